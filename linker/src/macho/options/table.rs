//! The options of ld64, a row each: name, arguments, what it does. Must not know how rows are found.

use super::{Kind, Named, Options, Take, Undefined, is_glob};
use crate::format::macho::stub::version;
use crate::input::Pattern;
use crate::macho::machine::Machine;

/// What an option does with its arguments. Errors are for people.
pub(super) type Act = fn(&mut Options, &[String]) -> Result<(), String>;

/// One option.
pub(super) struct Row {
    /// Without the dash.
    pub(super) name: &'static str,
    /// Arguments that follow.
    pub(super) args: usize,
    /// What it does.
    pub(super) act: Act,
    /// For people: what its argument is, if it has one, and what it does; empty if it is another's old name.
    pub(super) help: (&'static str, &'static str),
}

/// `"name" (argument) field = value => "ARGUMENT" "what it does";` sets a field, `field << value` adds to a list.
macro_rules! rows {
    ($($name:literal ($($arg:ident)?) $field:ident $op:tt $value:expr => $what:literal $help:literal;)*) => {
        &[$(Row {
            name: $name,
            args: 0 $(+ { stringify!($arg); 1 })?,
            act: |_options, _args| {
                $(let $arg = &_args[0];)?
                rows!(@ _options.$field $op $value);
                Ok(())
            },
            help: ($what, $help),
        }),*]
    };
    (@ $o:ident.$field:ident = $value:expr) => { $o.$field = $value };
    (@ $o:ident.$field:ident << $value:expr) => { $o.$field.push($value) };
    (@ $o:ident.$field:ident += $value:expr) => { $o.$field.get_or_insert_default().extend($value) };
}

const PLAIN: Take = Take {
    weak: false,
    reexport: false,
    needed: false,
    upward: false,
    force: false,
    hidden: false,
};
const WEAK: Take = Take { weak: true, ..PLAIN };
const REEXPORT: Take = Take { reexport: true, ..PLAIN };
const NEEDED: Take = Take { needed: true, ..PLAIN };
const UPWARD: Take = Take { upward: true, ..PLAIN };
const FORCE: Take = Take { force: true, ..PLAIN };
const HIDDEN: Take = Take { hidden: true, ..PLAIN };

fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| format!("not a hexadecimal number: {text}"))
}

/// Bytes of the file: no more than its offsets can tell.
fn room(text: &str) -> Result<u64, String> {
    let bytes = number(text)?;
    let fits = u32::try_from(bytes).is_ok();
    fits.then_some(bytes).ok_or_else(|| format!("{bytes:#x} is out of proportion"))
}

fn parsed(text: &str) -> Result<u32, String> {
    version(text).ok_or_else(|| format!("not a version: {text}"))
}

fn library(name: &str, take: Take) -> (Named, Take) {
    (Named::Library(name.to_owned()), take)
}

fn path(name: &str, take: Take) -> (Named, Take) {
    (Named::Path(name.into()), take)
}

/// `-framework NAME,SUFFIX` asks for a variant nobody makes any more.
fn framework(name: &str, take: Take) -> (Named, Take) {
    (Named::Framework(name.split(',').next().unwrap_or(name).to_owned()), take)
}

fn machine(name: &str) -> Result<&'static Machine, String> {
    Machine::named(name).ok_or_else(|| match name {
        "armv7" | "armv7s" | "armv6" | "arm" | "i386" | "ppc" => {
            format!("architecture {name} is gone from the platform")
        }
        _ => format!("unknown architecture: {name}"),
    })
}

fn undefined(name: &str) -> Result<Undefined, String> {
    match name {
        "error" => Ok(Undefined::Error),
        "warning" => Ok(Undefined::Warning),
        "suppress" => Ok(Undefined::Suppress),
        "dynamic_lookup" => Ok(Undefined::Lookup),
        _ => Err(format!("unknown treatment of undefined symbols: {name}")),
    }
}

/// A name that may be a pattern.
pub(super) fn pattern(text: &str) -> Result<String, String> {
    match is_glob(text) && Pattern::glob(text).is_err() {
        true => Err(format!("not a pattern: {text}")),
        false => Ok(text.to_owned()),
    }
}

/// What `-lazy_library`, `-lazy_framework` and `-lazy-l` ask for, which no loader does any more.
fn lazy(name: &str) -> Result<(Named, Take), String> {
    Err(format!("{name}: no library is loaded lazily"))
}

/// What `-commons` may say: a library's variable is no common's definition.
pub(super) fn commons(how: &str) -> Result<(), String> {
    match how {
        "ignore_dylibs" => Ok(()),
        _ => Err(format!("{how} is not supported")),
    }
}

/// The path that `-oso_prefix` means.
fn prefix(text: &str) -> Result<String, String> {
    if text != "." {
        return Ok(text.to_owned());
    }
    let folder = std::env::current_dir().map_err(|error| format!("this folder: {error}"))?;
    Ok(format!("{}/", folder.display()))
}

fn threads(text: &str) -> Result<Option<usize>, String> {
    let count = text.parse().ok().filter(|&count| count > 0);
    count.map(Some).ok_or_else(|| format!("not a number of threads: {text}"))
}

/// Options whose argument is attached, the longest first: `-lNAME`.
pub(super) const ATTACHED: &[Row] = rows! {
    "reexport-l" (a) inputs << library(a, REEXPORT) => "NAME" "The same, and its symbols are the output's, too";
    "needed-l" (a) inputs << library(a, NEEDED) => "NAME" "The same, and it stays with -dead_strip_dylibs";
    "upward-l" (a) inputs << library(a, UPWARD) => "NAME" "The same, a library that is above this one";
    "hidden-l" (a) inputs << library(a, HIDDEN) => "NAME" "An archive, nothing of which is exported";
    "weak-l" (a) inputs << library(a, WEAK) => "NAME" "The same, and the program runs without it";
    "lazy-l" (a) inputs << lazy(a)? => "" "";
    "l" (a) inputs << library(a, PLAIN) => "NAME" "Link libNAME.tbd, libNAME.dylib or libNAME.a";
    "L" (a) library_paths << a.into() => "DIR" "Search DIR for libraries";
    "F" (a) framework_paths << a.into() => "DIR" "Search DIR for frameworks";
};

/// All others that do something.
pub(super) const ROWS: &[Row] = rows! {
    "arch" (a) machine = Some(machine(a)?) => "ARCH" "The machine: x86_64 or arm64";
    "macosx_version_min" (a) minos = parsed(a)? => "VERSION" "The oldest macOS that the output runs on";
    "macos_version_min" (a) minos = parsed(a)? => "VERSION" "The same";
    "sdk_version" (a) sdk = parsed(a)? => "VERSION" "The SDK that it is made with";
    "execute" () kind = Kind::Execute => "" "Make a program (default)";
    "dylib" () kind = Kind::Dylib => "" "Make a library";
    "bundle" () kind = Kind::Bundle => "" "Make a bundle";
    "o" (a) output = a.into() => "FILE" "Write the output to FILE (a.out)";
    "flat_namespace" () flat = true => "" "Names are looked up in every image";
    "twolevel_namespace" () flat = false => "" "Names are looked up in the library that has them (default)";
    "undefined" (a) undefined = undefined(a)? => "HOW" "error, dynamic_lookup; with a flat namespace: warning, suppress";
    "U" (a) allowed << a.clone() => "SYMBOL" "SYMBOL may be undefined: it is looked up at run time";
    "u" (a) wanted << a.clone() => "SYMBOL" "Search archives for SYMBOL, which must be there";
    "e" (a) entry = Some(a.clone()) => "SYMBOL" "Start at SYMBOL (_main)";
    "init" (a) init = Some(a.clone()) => "SYMBOL" "Call SYMBOL before all other initialisers of the library";
    "syslibroot" (a) roots << a.into() => "DIR" "Absolute paths of libraries start in DIR";
    "search_paths_first" () dylibs_first = false => "" "The first folder that has a library or an archive counts (default)";
    "search_dylibs_first" () dylibs_first = true => "" "Archives count only if no folder has a library";
    "Z" () no_default_paths = true => "" "Search no folders but those of -L and -F";
    "framework" (a) inputs << framework(a, PLAIN) => "NAME" "Link the framework NAME";
    "weak_framework" (a) inputs << framework(a, WEAK) => "NAME" "The same, and the program runs without it";
    "needed_framework" (a) inputs << framework(a, NEEDED) => "NAME" "The same, and it stays with -dead_strip_dylibs";
    "reexport_framework" (a) inputs << framework(a, REEXPORT) => "NAME" "The same, and its symbols are the output's, too";
    "upward_framework" (a) inputs << framework(a, UPWARD) => "NAME" "The same, one that is above this output";
    "weak_library" (a) inputs << path(a, WEAK) => "FILE" "Link FILE, without which the program runs";
    "needed_library" (a) inputs << path(a, NEEDED) => "FILE" "Link FILE, which stays with -dead_strip_dylibs";
    "reexport_library" (a) inputs << path(a, REEXPORT) => "FILE" "Link FILE, whose symbols are the output's, too";
    "upward_library" (a) inputs << path(a, UPWARD) => "FILE" "Link FILE, which is above this output";
    "lazy_library" (a) inputs << lazy(a)? => "" "";
    "lazy_framework" (a) inputs << lazy(a)? => "" "";
    "force_load" (a) inputs << path(a, FORCE) => "FILE" "Link every member of the archive FILE";
    "load_hidden" (a) inputs << path(a, HIDDEN) => "FILE" "Link the archive FILE, nothing of which is exported";
    "bundle_loader" (a) bundle_loader = Some(a.into()) => "FILE" "The program that will load the bundle";
    "arch_errors_fatal" () arch_errors_fatal = true => "" "Files for another machine are errors, not only left out";
    "all_load" () all_load = true => "" "Link every member of every archive";
    "noall_load" () all_load = false => "" "Link the members that are needed (default)";
    "ObjC" () objc_load = true => "" "Link members with classes or categories, too";
    "install_name" (a) install_name = Some(a.clone()) => "PATH" "Where programs will find the library";
    "dylib_install_name" (a) install_name = Some(a.clone()) => "" "";
    "current_version" (a) current = parsed(a)? => "VERSION" "The library's version";
    "dylib_current_version" (a) current = parsed(a)? => "" "";
    "compatibility_version" (a) compatibility = parsed(a)? => "VERSION" "The oldest version it can stand for";
    "dylib_compatibility_version" (a) compatibility = parsed(a)? => "" "";
    "rpath" (a) rpaths << a.clone() => "DIR" "What @rpath may be";
    "exported_symbol" (a) exported += [pattern(a)?] => "SYMBOL" "Export SYMBOL, which may be a pattern, and what others say so";
    "no_exported_symbols" () no_exports = true => "" "Export nothing";
    "unexported_symbol" (a) unexported << pattern(a)? => "SYMBOL" "Don't export SYMBOL, which may be a pattern";
    "headerpad" (a) headerpad = Some(room(a)?) => "SIZE" "Leave so many bytes (hexadecimal) after the load commands";
    "headerpad_max_install_names" () headerpad_names = true => "" "Leave room for install names of 1,024 bytes";
    "image_base" (a) base = Some(number(a)?) => "ADDRESS" "Where the image starts (hexadecimal)";
    "seg1addr" (a) base = Some(number(a)?) => "ADDRESS" "The same";
    "pagezero_size" (a) pagezero = Some(number(a)?) => "SIZE" "Bytes of __PAGEZERO (hexadecimal)";
    "no_pie" () no_pie = true => "" "A program that runs where it is linked to (x86_64)";
    "pie" () no_pie = false => "" "One that runs anywhere (default)";
    "stack_size" (a) stack_size = number(a)? => "SIZE" "Bytes of the program's stack (hexadecimal)";
    "dead_strip" () dead_strip = true => "" "Leave out what nothing reaches";
    "no_implicit_dylibs" () no_implicit = true => "" "Public libraries that others pass on are not linked themselves";
    "dead_strip_dylibs" () dead_strip_dylibs = true => "" "Leave out libraries that nothing uses";
    "oso_prefix" (a) oso_prefix = Some(prefix(a)?) => "PREFIX" "Leave PREFIX out of the debug map's paths; . is this folder";
    "S" () no_debug = true => "" "No debug map";
    "x" () no_locals = true => "" "No local symbols";
    "fixup_chains" () chained = Some(true) => "" "Fixups as chains (default from macOS 12 or 13 on)";
    "no_fixup_chains" () chained = Some(false) => "" "Fixups as opcodes";
    "bind_at_load" () bind_at_load = true => "" "Bind everything when the image is loaded";
    "adhoc_codesign" () sign = Some(true) => "" "Sign the output (default for arm64)";
    "no_adhoc_codesign" () sign = Some(false) => "" "Don't";
    "no_uuid" () no_uuid = true => "" "No LC_UUID";
    "no_function_starts" () no_function_starts = true => "" "No LC_FUNCTION_STARTS";
    "function_starts" () no_function_starts = false => "" "With it (default)";
    "no_data_in_code_info" () no_data_in_code = true => "" "No LC_DATA_IN_CODE";
    "data_in_code_info" () no_data_in_code = false => "" "With it (default)";
    "no_compact_unwind" () no_compact_unwind = true => "" "No __unwind_info";
    "mark_dead_strippable_dylib" () dead_strippable = true => "" "Who links the library needs it only if it is used";
    "application_extension" () application_extension = true => "" "The library is fit for extensions of applications";
    "no_application_extension" () application_extension = false => "" "It is not (default)";
    "map" (a) map = Some(a.into()) => "FILE" "Write to FILE where everything is";
    "w" () no_warnings = true => "" "No warnings";
    "fatal_warnings" () fatal_warnings = true => "" "Warnings are errors";
    "v" () version = true => "" "Say which linker this is";
    "-version" () version = true => "" "The same";
    "-help" () help = true => "" "Print this";
    "threads" (a) threads = threads(a)? => "N" "Link with N threads";
};

/// Accepted for the sake of those who always pass them: names with the arguments they take.
pub(super) const IGNORED: &[(&str, usize)] = &[
    ("demangle", 0),
    ("dynamic", 0),
    ("lto_library", 1),
    ("object_path_lto", 1),
    ("mllvm", 1),
    ("no_deduplicate", 0),
    ("deduplicate", 0),
    ("objc_abi_version", 1),
    ("multiply_defined", 1),
    ("multiply_defined_unused", 1),
    ("single_module", 0),
    ("read_only_relocs", 1),
    ("dependency_info", 1),
    ("ld_classic", 0),
    ("ld_new", 0),
    ("no_objc_category_merging", 0),
    ("no_objc_relative_method_lists", 0),
    ("objc_relative_method_lists", 0),
    ("no_warn_duplicate_libraries", 0),
    ("no_source_version", 0),
    ("add_source_version", 0),
    ("reproducible", 0),
    ("ignore_optimization_hints", 0),
    ("version_load_command", 0),
    ("prebind", 0),
    ("noprebind", 0),
];

/// What `-platform_version` says.
pub(super) fn platform(options: &mut Options, args: &[String]) -> Result<(), String> {
    if !matches!(args[0].as_str(), "macos" | "1") {
        return Err(format!("platform is not macos: {}", args[0]));
    }
    (options.minos, options.sdk) = (parsed(&args[1])?, parsed(&args[2])?);
    Ok(())
}
