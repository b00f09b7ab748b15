//! The options of ld64, a row each: name, arguments, what it does. Must not know how rows are found.

use super::{Kind, Named, Options, Take, Undefined};
use crate::format::macho::stub::version;
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
}

/// `"name" (argument) field = value;` sets a field, `field << value;` adds to a list.
macro_rules! rows {
    ($($name:literal ($($arg:ident)?) $field:ident $op:tt $value:expr;)*) => {
        &[$(Row {
            name: $name,
            args: 0 $(+ { stringify!($arg); 1 })?,
            act: |_options, _args| {
                $(let $arg = &_args[0];)?
                rows!(@ _options.$field $op $value);
                Ok(())
            },
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

fn threads(text: &str) -> Result<Option<usize>, String> {
    let count = text.parse().ok().filter(|&count| count > 0);
    count.map(Some).ok_or_else(|| format!("not a number of threads: {text}"))
}

/// Options whose argument is attached, the longest first: `-lNAME`.
pub(super) const ATTACHED: &[Row] = rows! {
    "reexport-l" (a) inputs << library(a, REEXPORT);
    "needed-l" (a) inputs << library(a, NEEDED);
    "upward-l" (a) inputs << library(a, UPWARD);
    "hidden-l" (a) inputs << library(a, HIDDEN);
    "weak-l" (a) inputs << library(a, WEAK);
    "l" (a) inputs << library(a, PLAIN);
    "L" (a) library_paths << a.into();
    "F" (a) framework_paths << a.into();
};

/// All others that do something.
pub(super) const ROWS: &[Row] = rows! {
    "arch" (a) machine = Some(machine(a)?);
    "macosx_version_min" (a) minos = parsed(a)?;
    "macos_version_min" (a) minos = parsed(a)?;
    "sdk_version" (a) sdk = parsed(a)?;
    "execute" () kind = Kind::Execute;
    "dylib" () kind = Kind::Dylib;
    "bundle" () kind = Kind::Bundle;
    "o" (a) output = a.into();
    "flat_namespace" () flat = true;
    "twolevel_namespace" () flat = false;
    "undefined" (a) undefined = undefined(a)?;
    "U" (a) allowed << a.clone();
    "u" (a) wanted << a.clone();
    "e" (a) entry = Some(a.clone());
    "init" (a) init = Some(a.clone());
    "syslibroot" (a) roots << a.into();
    "Z" () no_default_paths = true;
    "framework" (a) inputs << framework(a, PLAIN);
    "weak_framework" (a) inputs << framework(a, WEAK);
    "needed_framework" (a) inputs << framework(a, NEEDED);
    "reexport_framework" (a) inputs << framework(a, REEXPORT);
    "upward_framework" (a) inputs << framework(a, UPWARD);
    "weak_library" (a) inputs << path(a, WEAK);
    "needed_library" (a) inputs << path(a, NEEDED);
    "reexport_library" (a) inputs << path(a, REEXPORT);
    "upward_library" (a) inputs << path(a, UPWARD);
    "force_load" (a) inputs << path(a, FORCE);
    "load_hidden" (a) inputs << path(a, HIDDEN);
    "bundle_loader" (a) bundle_loader = Some(a.into());
    "all_load" () all_load = true;
    "noall_load" () all_load = false;
    "ObjC" () objc_load = true;
    "install_name" (a) install_name = Some(a.clone());
    "dylib_install_name" (a) install_name = Some(a.clone());
    "current_version" (a) current = parsed(a)?;
    "dylib_current_version" (a) current = parsed(a)?;
    "compatibility_version" (a) compatibility = parsed(a)?;
    "dylib_compatibility_version" (a) compatibility = parsed(a)?;
    "rpath" (a) rpaths << a.clone();
    "exported_symbol" (a) exported += [a.clone()];
    "no_exported_symbols" () exported += [];
    "unexported_symbol" (a) unexported << a.clone();
    "headerpad" (a) headerpad = Some(room(a)?);
    "headerpad_max_install_names" () headerpad_names = true;
    "image_base" (a) base = Some(number(a)?);
    "seg1addr" (a) base = Some(number(a)?);
    "pagezero_size" (a) pagezero = Some(number(a)?);
    "stack_size" (a) stack_size = number(a)?;
    "dead_strip" () dead_strip = true;
    "dead_strip_dylibs" () dead_strip_dylibs = true;
    "S" () no_debug = true;
    "x" () no_locals = true;
    "fixup_chains" () chained = Some(true);
    "no_fixup_chains" () chained = Some(false);
    "bind_at_load" () bind_at_load = true;
    "adhoc_codesign" () sign = Some(true);
    "no_adhoc_codesign" () sign = Some(false);
    "no_uuid" () no_uuid = true;
    "no_function_starts" () no_function_starts = true;
    "function_starts" () no_function_starts = false;
    "no_data_in_code_info" () no_data_in_code = true;
    "data_in_code_info" () no_data_in_code = false;
    "no_compact_unwind" () no_compact_unwind = true;
    "mark_dead_strippable_dylib" () dead_strippable = true;
    "application_extension" () application_extension = true;
    "no_application_extension" () application_extension = false;
    "map" (a) map = Some(a.into());
    "w" () no_warnings = true;
    "fatal_warnings" () fatal_warnings = true;
    "v" () version = true;
    "-version" () version = true;
    "threads" (a) threads = threads(a)?;
};

/// Accepted for the sake of those who always pass them: names with the arguments they take.
pub(super) const IGNORED: &[(&str, usize)] = &[
    ("demangle", 0),
    ("dynamic", 0),
    ("pie", 0),
    ("no_pie", 0),
    ("lto_library", 1),
    ("object_path_lto", 1),
    ("mllvm", 1),
    ("no_deduplicate", 0),
    ("deduplicate", 0),
    ("objc_abi_version", 1),
    ("no_implicit_dylibs", 0),
    ("search_paths_first", 0),
    ("search_dylibs_first", 0),
    ("multiply_defined", 1),
    ("multiply_defined_unused", 1),
    ("single_module", 0),
    ("read_only_relocs", 1),
    ("commons", 1),
    ("dependency_info", 1),
    ("ld_classic", 0),
    ("ld_new", 0),
    ("no_objc_category_merging", 0),
    ("no_warn_duplicate_libraries", 0),
    ("no_source_version", 0),
    ("add_source_version", 0),
    ("oso_prefix", 1),
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
