//! The table of flags: one row each, from which parsing and `--help` derive; [`super::modes`] and
//! [`super::hints`] are further parts.

use crate::arch::ARCHES;
use std::path::PathBuf;

use super::parse::{Parser, number, unsupported, usage};
use super::{
    Action, BuildId, CompressDebug, Discard, HashStyle, Named, OutputKind, Severity, Strip,
    Symbolic, Unresolved,
};
use crate::Result;
use crate::input::Pattern;

/// What follows a flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arg {
    /// Nothing.
    No,
    /// An argument, attached or the next one.
    Needed(&'static str),
    /// An argument only if attached.
    Maybe(&'static str),
}
use Arg::{Maybe, Needed, No};

/// One flag.
pub(super) struct Row {
    /// Spellings without dashes. One letter: one dash. Longer: one dash or two.
    pub(super) names: &'static [&'static str],
    /// What follows.
    pub(super) arg: Arg,
    /// The meaning, for people; empty for what is accepted without effect.
    pub(super) help: &'static str,
    /// What it does.
    pub(super) apply: fn(&mut Parser<'_>, &str) -> Result<()>,
}

pub(super) const fn row(
    names: &'static [&'static str],
    arg: Arg,
    help: &'static str,
    apply: fn(&mut Parser<'_>, &str) -> Result<()>,
) -> Row {
    Row { names, arg, help, apply }
}

/// Whether `name` is what BFD calls a format that is read and written here.
pub(super) fn is_format(name: &str) -> bool {
    matches!(name, "elf" | "default") || ARCHES.iter().any(|arch| arch.format == name)
}

/// `set!(field = value)`: an action that sets one field of the options.
macro_rules! set {
    ($($field:ident).+ = $value:expr) => {
        |p, _| {
            p.options.$($field).+ = $value;
            Ok(())
        }
    };
}

/// `push!(field)`: an action that appends its argument.
macro_rules! push {
    ($field:ident) => {
        |p, v| {
            p.options.$field.push(v.into());
            Ok(())
        }
    };
}

/// `state!(field = value)`: an action on the positional state.
macro_rules! state {
    ($field:ident = $value:expr) => {
        |p, _| {
            p.state.$field = $value;
            Ok(())
        }
    };
}

/// `refuse!(text)`: a flag that is known and can't be had.
macro_rules! refuse {
    ($text:literal) => {
        |_, _| Err($crate::options::parse::unsupported($text.into()))
    };
}
pub(super) use {refuse, set};

/// Every flag.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(super::modes::ROWS).chain(super::machine::ROWS).chain(super::hints::ROWS)
}

/// The flags that do something.
#[rustfmt::skip]
static ROWS: &[Row] = &[
    // What is made.
    row(&["o", "output"], Needed("FILE"), "Write the output to FILE (a.out)", |p, v| {
        if v.is_empty() {
            return Err(usage("-o needs a file name".into()));
        }
        p.options.output = PathBuf::from(v);
        Ok(())
    }),
    row(&["shared", "Bshareable"], No, "Make a shared library", set!(kind = OutputKind::Shared)),
    row(&["pie", "pic-executable"], No, "Make a position-independent executable", set!(kind = OutputKind::Pie)),
    row(&["no-pie"], No, "Make a position-dependent executable (default)", |p, _| {
        p.no_pie()
    }),
    row(&["r", "relocatable", "i"], No, "Make an object that can be linked again", |p, _| {
        p.relocatable = true;
        Ok(())
    }),
    row(&["static"], No, "Link against no shared library", |p, _| {
        p.options.is_static = true;
        p.state.prefer_static = true;
        Ok(())
    }),
    row(&["m"], Needed("EMULATION"), "The machine, as the last line here names it", |p, v| p.emulation(v)),

    // Inputs.
    row(&["l", "library"], Needed("NAME"), "Link libNAME.so or libNAME.a; :NAME is that file", |p, v| {
        match v.strip_prefix(':') {
            Some(exact) => p.input(Named::Exact(exact.into())),
            None => p.input(Named::Library(v.into())),
        }
        Ok(())
    }),
    row(&["L", "library-path"], Needed("DIR"), "Search DIR for libraries", |p, v| {
        let dir = p.in_sysroot(v);
        p.options.library_dirs.push(dir);
        Ok(())
    }),
    // The value was taken beforehand, so that an earlier -L=DIR sees it.
    row(&["sysroot"], Needed("DIR"), "Where =DIR and scripts' absolute paths start", |_, _| Ok(())),
    row(&["as-needed"], No, "DT_NEEDED only for libraries that are used", state!(as_needed = true)),
    row(&["no-as-needed"], No, "DT_NEEDED for every library (default)", state!(as_needed = false)),
    row(&["whole-archive"], No, "Link every member of the archives that follow", state!(whole_archive = true)),
    row(&["no-whole-archive"], No, "Link the members that are needed (default)", state!(whole_archive = false)),
    row(&["Bstatic", "dn", "non_shared"], No, "-l finds archives only", state!(prefer_static = true)),
    row(&["Bdynamic", "dy", "call_shared"], No, "-l finds shared libraries first (default)", state!(prefer_static = false)),
    row(&["push-state"], No, "Remember the state of the flags above", |p, _| {
        p.saved.push(p.state);
        Ok(())
    }),
    row(&["pop-state"], No, "Return to the state remembered", |p, _| {
        p.state = p.saved.pop().ok_or_else(|| usage("--pop-state without --push-state".into()))?;
        Ok(())
    }),
    row(&["start-group", "("], No, "Archives up to --end-group may need each other (always)", |p, _| {
        if p.in_group {
            return Err(usage("--start-group inside a group".into()));
        }
        p.in_group = true;
        Ok(())
    }),
    row(&["end-group", ")"], No, "See --start-group", |p, _| {
        if !p.in_group {
            return Err(usage("--end-group without --start-group".into()));
        }
        p.in_group = false;
        Ok(())
    }),
    row(&["start-lib"], No, "Objects up to --end-lib count as archive members", state!(lazy_objects = true)),
    row(&["end-lib"], No, "See --start-lib", state!(lazy_objects = false)),
    row(&["exclude-libs"], Needed("LIBS"), "Hide the symbols of these archives, or ALL", |p, v| {
        let names = v.split([',', ':']).filter(|name| !name.is_empty());
        p.options.exclude_libs.extend(names.map(String::from));
        Ok(())
    }),
    row(&["copy-dt-needed-entries", "add-needed"], No, "", refuse!("--copy-dt-needed-entries is not supported; name the libraries")),
    // What libraries need is for the loader only.
    row(&["no-copy-dt-needed-entries", "no-add-needed"], No, "", |_, _| Ok(())),
    row(&["b", "format"], Needed("FORMAT"), "binary: embed the files that follow; elf: link them (default)", |p, v| {
        p.state.binary = match v {
            "binary" => true,
            _ if is_format(v) => false,
            _ => return Err(usage(format!("--format={v}: only ELF and binary inputs are read"))),
        };
        Ok(())
    }),
    row(&["T", "script", "default-script", "dT"], Needed("FILE"), "", refuse!("-T: linker scripts that place sections are not supported")),
    row(&["c", "mri-script"], Needed("FILE"), "", refuse!("-c: MRI scripts are not supported")),
    row(&["R", "just-symbols"], Needed("FILE"), "Take the values of FILE's symbols only; of a directory, -rpath", |p, v| {
        // What is no file is a run path, as in GNU ld.
        match p.read(v) {
            Ok(_) => p.input(Named::Symbols(v.into())),
            Err(_) => add_rpath(p, v),
        }
        Ok(())
    }),

    // Symbols.
    row(&["e", "entry"], Needed("SYMBOL"), "Start at SYMBOL (_start) or at a number", |p, v| {
        p.options.entry = Some(v.into());
        Ok(())
    }),
    row(&["u", "undefined"], Needed("SYMBOL"), "Search archives for SYMBOL", push!(undefined)),
    row(&["require-defined"], Needed("SYMBOL"), "Search, and fail if nothing defines it", push!(require_defined)),
    row(&["init"], Needed("SYMBOL"), "DT_INIT (_init)", |p, v| {
        p.options.init = v.into();
        Ok(())
    }),
    row(&["fini"], Needed("SYMBOL"), "DT_FINI (_fini)", |p, v| {
        p.options.fini = v.into();
        Ok(())
    }),
    row(&["defsym"], Needed("NAME=VALUE"), "Define NAME as a number, a symbol, or an expression of them", |p, v| p.defsym(v)),
    row(&["wrap"], Needed("SYMBOL"), "References go to __wrap_SYMBOL, __real_SYMBOL to SYMBOL", |p, v| {
        if v.is_empty() {
            return Err(usage("--wrap needs a symbol".into()));
        }
        p.options.wrap.push(v.into());
        Ok(())
    }),
    row(&["y", "trace-symbol"], Needed("SYMBOL"), "Say which files mention SYMBOL", push!(trace_symbols)),
    row(&["allow-multiple-definition"], No, "The first of several definitions wins", set!(allow_multiple_definition = true)),
    row(&["no-allow-multiple-definition"], No, "Several definitions are errors (default)", set!(allow_multiple_definition = false)),
    row(&["no-undefined"], No, "Undefined symbols are errors, in libraries too", set!(defs = Some(true))),
    row(&["undefined-version"], No, "A version script may name what nothing defines (default)", set!(no_undefined_version = false)),
    row(&["no-undefined-version"], No, "It may not", set!(no_undefined_version = true)),
    row(&["allow-shlib-undefined"], No, "Libraries may have undefined symbols", set!(allow_shlib_undefined = Some(true))),
    row(&["no-allow-shlib-undefined"], No, "They may not", set!(allow_shlib_undefined = Some(false))),
    row(&["unresolved-symbols"], Needed("POLICY"), "report-all, ignore-all, ignore-in-object-files, ignore-in-shared-libs", |p, v| {
        p.options.unresolved = match v {
            "report-all" => Unresolved::ReportAll,
            "ignore-all" => Unresolved::IgnoreAll,
            "ignore-in-object-files" => Unresolved::IgnoreInObjectFiles,
            "ignore-in-shared-libs" => Unresolved::IgnoreInSharedLibs,
            _ => return Err(usage(format!("--unresolved-symbols={v}: no such policy"))),
        };
        Ok(())
    }),
    row(&["warn-unresolved-symbols"], No, "Undefined symbols are warnings", set!(warn_unresolved = true)),
    row(&["noinhibit-exec"], No, "Make an output in spite of undefined and duplicate symbols", |p, _| {
        p.options.warn_unresolved = true;
        p.options.allow_multiple_definition = true;
        Ok(())
    }),
    row(&["error-unresolved-symbols"], No, "Undefined symbols are errors (default)", set!(warn_unresolved = false)),
    row(&["d", "dc", "dp", "define-common"], No, "Allocate commons even with -r", set!(define_common = true)),
    row(&["no-define-common"], No, "", set!(define_common = false)),

    // The dynamic section.
    row(&["soname", "h"], Needed("NAME"), "DT_SONAME", |p, v| {
        p.options.soname = (!v.is_empty()).then(|| v.into());
        Ok(())
    }),
    row(&["rpath"], Needed("DIRS"), "DT_RUNPATH", |p, v| {
        add_rpath(p, v);
        Ok(())
    }),
    row(&["rpath-link"], Needed("DIRS"), "Where the libraries of libraries are (not needed here)", |_, _| Ok(())),
    row(&["enable-new-dtags"], No, "DT_RUNPATH (default)", set!(new_dtags = true)),
    row(&["disable-new-dtags"], No, "DT_RPATH instead", set!(new_dtags = false)),
    row(&["dynamic-linker", "I"], Needed("FILE"), "PT_INTERP", |p, v| {
        p.options.dynamic_linker = Some(v.into());
        p.options.no_dynamic_linker = false;
        Ok(())
    }),
    row(&["no-dynamic-linker"], No, "No PT_INTERP: a static PIE", |p, _| {
        p.options.dynamic_linker = None;
        p.options.no_dynamic_linker = true;
        Ok(())
    }),
    row(&["f", "auxiliary"], Needed("NAME"), "DT_AUXILIARY", push!(auxiliary)),
    row(&["F", "filter"], Needed("NAME"), "DT_FILTER", push!(filter)),
    row(&["audit"], Needed("NAME"), "DT_AUDIT", push!(audit)),
    row(&["P", "depaudit"], Needed("NAME"), "DT_DEPAUDIT", push!(depaudit)),
    row(&["export-dynamic", "E"], No, "Export all symbols of an executable", set!(export_dynamic = true)),
    row(&["no-export-dynamic"], No, "Export what libraries use (default)", set!(export_dynamic = false)),
    row(&["export-dynamic-symbol"], Needed("GLOB"), "Export what matches", |p, v| p.export_symbol(v)),
    row(&["export-dynamic-symbol-list"], Needed("FILE"), "Export what FILE lists", |p, v| {
        let list = Pattern::parse_list(&p.read(v)?, v)?;
        p.options.export_dynamic_symbols.extend(list);
        Ok(())
    }),
    row(&["dynamic-list"], Needed("FILE"), "Export what FILE lists; in a library, only that can be preempted", |p, v| {
        let list = Pattern::parse_list(&p.read(v)?, v)?;
        p.options.dynamic_list.get_or_insert_default().extend(list);
        Ok(())
    }),
    row(&["dynamic-list-cpp-new"], No, "--dynamic-list of C++'s operators new and delete", |p, _| {
        p.cxx_list(&["operator new*", "operator delete*"])
    }),
    row(&["dynamic-list-cpp-typeinfo"], No, "--dynamic-list of C++'s typeinfo", |p, _| {
        p.cxx_list(&["typeinfo for*", "typeinfo name for*"])
    }),
    row(&["version-script"], Needed("FILE"), "Symbol versions, and what is local", |p, v| p.version_script(v)),
    row(&["Bsymbolic"], No, "A library's definitions can't be preempted", set!(symbolic = Symbolic::All)),
    row(&["Bsymbolic-functions"], No, "Its functions can't be", set!(symbolic = Symbolic::Functions)),
    row(&["Bsymbolic-non-weak"], No, "Its non-weak definitions can't be", set!(symbolic = Symbolic::NonWeak)),
    row(&["Bsymbolic-non-weak-functions"], No, "Its non-weak functions can't be", set!(symbolic = Symbolic::NonWeakFunctions)),
    row(&["Bgroup"], No, "Look up in the libraries loaded together first (DF_1_GROUP)", set!(z.group = true)),
    row(&["Bno-symbolic"], No, "All can be (default)", set!(symbolic = Symbolic::None)),
    row(&["hash-style"], Needed("STYLE"), "gnu, sysv or both (default)", |p, v| {
        p.options.hash_style = match v {
            "gnu" => HashStyle { gnu: true, sysv: false },
            "sysv" => HashStyle { gnu: false, sysv: true },
            "both" => HashStyle { gnu: true, sysv: true },
            _ => return Err(usage(format!("--hash-style={v}: no such style"))),
        };
        Ok(())
    }),
    row(&["pack-dyn-relocs"], Needed("STYLE"), "none or relr", |p, v| {
        p.options.pack_relr = match v {
            "none" => false,
            "relr" => true,
            _ => return Err(usage(format!("--pack-dyn-relocs={v}: only none and relr"))),
        };
        Ok(())
    }),
    row(&["apply-dynamic-relocs"], No, "Store addends in place too (default)", set!(apply_dynamic_relocs = true)),
    row(&["no-apply-dynamic-relocs"], No, "Store them in the relocations only", set!(apply_dynamic_relocs = false)),
    row(&["z"], Needed("KEYWORD"), "See below", super::zkeyword::apply),

    // Sections and addresses.
    row(&["gc-sections"], No, "Drop sections nothing refers to", set!(gc_sections = true)),
    row(&["no-gc-sections"], No, "Keep them (default)", set!(gc_sections = false)),
    row(&["print-gc-sections"], No, "Say what was dropped", set!(print_gc_sections = true)),
    row(&["no-print-gc-sections"], No, "", set!(print_gc_sections = false)),
    row(&["gc-keep-exported"], No, "Exported symbols keep sections", set!(gc_keep_exported = true)),
    row(&["no-gc-keep-exported"], No, "", set!(gc_keep_exported = false)),
    row(&["emit-relocs", "q"], No, "Keep the input's relocations", set!(emit_relocs = true)),
    row(&["no-emit-relocs"], No, "", set!(emit_relocs = false)),
    row(&["relax"], No, "Make instructions simpler where the psABI allows (default)", set!(relax = true)),
    row(&["no-relax"], No, "Leave them", set!(relax = false)),
    row(&["eh-frame-hdr"], No, "Make .eh_frame_hdr", set!(eh_frame_hdr = true)),
    row(&["no-eh-frame-hdr"], No, "Make none (default)", set!(eh_frame_hdr = false)),
    row(&["rosegment"], No, "Read-only data shares no segment with code (default)", |_, _| Ok(())),
    // A permission, not a duty.
    row(&["no-rosegment"], No, "", |_, _| Ok(())),
    row(&["image-base", "Ttext-segment"], Needed("ADDRESS"), "Where the image starts", |p, v| {
        // GNU ld reads -Ttext-segment as hexadecimal, with or without 0x.
        let hex = v.trim_start_matches("0x").trim_start_matches("0X");
        let value = number(&format!("0x{hex}"));
        p.options.image_base = Some(value.ok_or_else(|| usage(format!("invalid address: {v}")))?);
        Ok(())
    }),
    row(&["Ttext", "Tdata", "Tbss", "Trodata-segment", "Tldata-segment"], Needed("ADDRESS"), "", refuse!("section addresses can't be chosen; see --image-base")),
    row(&["section-start"], Needed("NAME=ADDRESS"), "", refuse!("--section-start: section addresses can't be chosen; see --image-base")),
    row(&["O"], Needed("LEVEL"), "From 2 on, strings share their tails", |p, v| {
        let level = number(v).and_then(|n| u8::try_from(n).ok());
        p.options.optimize = level.ok_or_else(|| usage(format!("invalid optimization level: {v}")))?;
        Ok(())
    }),
    row(&["s", "strip-all"], No, "Leave out symbols and debug sections", |p, _| {
        p.options.strip = Strip::All;
        Ok(())
    }),
    row(&["S", "strip-debug"], No, "Leave out debug sections", |p, _| {
        p.options.strip = p.options.strip.max(Strip::Debug);
        Ok(())
    }),
    row(&["retain-symbols-file"], Needed("FILE"), "Leave out all symbols but those that FILE lists", |p, v| p.retain(v)),
    row(&["x", "discard-all"], No, "Leave out local symbols", set!(discard = Discard::All)),
    row(&["X", "discard-locals"], No, "Leave out local symbols called .L*", |p, _| {
        if p.options.discard != Discard::All {
            p.options.discard = Discard::Locals;
        }
        Ok(())
    }),
    row(&["discard-none"], No, "Keep local symbols", set!(discard = Discard::None)),
    row(&["package-metadata"], Maybe("JSON"), "A note of JSON, %XX in it a byte: which package this is from", |p, v| {
        p.options.package_metadata = if v.is_empty() { None } else { Some(percent_decoded(v)?) };
        Ok(())
    }),
    row(&["build-id"], Maybe("STYLE"), "sha1 (default), fast, md5, uuid, 0xHEX, none; the last wins", |p, v| {
        p.options.build_id = build_id(v)?;
        Ok(())
    }),
    row(&["no-build-id"], No, "", set!(build_id = BuildId::None)),
    row(&["compress-debug-sections"], Needed("STYLE"), "none, zlib or zstd", |p, v| {
        p.options.compress_debug = match v {
            "none" => CompressDebug::None,
            "zlib" | "zlib-gabi" => CompressDebug::Zlib,
            "zstd" => CompressDebug::Zstd,
            _ => return Err(usage(format!("--compress-debug-sections={v}: only none, zlib and zstd"))),
        };
        Ok(())
    }),
    row(&["icf"], Needed("STYLE"), "none: functions are never folded", |_, v| match v {
        "none" => Ok(()),
        _ => Err(unsupported(format!("--icf={v}: folding is not supported"))),
    }),

    // What is said.
    row(&["Map"], Needed("FILE"), "Write a map to FILE; - is the standard output", |p, v| {
        p.options.map = Some(v.into());
        Ok(())
    }),
    row(&["M", "print-map"], No, "Write a map to the standard output", set!(map = Some("-".into()))),
    row(&["dependency-file"], Needed("FILE"), "Write a Makefile rule of what was read", |p, v| {
        p.options.dependency_file = Some(v.into());
        Ok(())
    }),
    row(&["t", "trace"], No, "Print the name of each input", set!(trace = true)),
    row(&["threads", "thread-count"], Maybe("N"), "Use N threads (all)", |p, v| {
        if v.is_empty() {
            p.options.threads = None;
            return Ok(());
        }
        let n = number(v).filter(|n| (1..=1024).contains(n));
        p.options.threads = Some(n.ok_or_else(|| usage(format!("--threads={v}: not a number of threads")))? as usize);
        Ok(())
    }),
    row(&["no-threads"], No, "Use one thread", set!(threads = Some(1))),
    row(&["fatal-warnings"], No, "Warnings are errors", set!(fatal_warnings = true)),
    row(&["no-fatal-warnings"], No, "They are not (default)", set!(fatal_warnings = false)),
    row(&["w", "no-warnings"], No, "No warnings", set!(no_warnings = true)),
    row(&["error-limit"], Needed("N"), "Print N errors (20); 0: all", |p, v| {
        let n = number(v).and_then(|n| usize::try_from(n).ok());
        p.options.error_limit = n.ok_or_else(|| usage(format!("--error-limit={v}: not a number")))?;
        Ok(())
    }),
    row(&["warn-textrel", "warn-shared-textrel"], No, "Warn of relocations in read-only memory", set!(warn.textrel = Severity::Warning)),
    row(&["no-warn-textrel", "no-warn-shared-textrel"], No, "", set!(warn.textrel = Severity::None)),
    row(&["warn-execstack"], No, "Warn of an executable stack", set!(warn.execstack = Severity::Warning)),
    row(&["error-execstack"], No, "It is an error", set!(warn.execstack = Severity::Error)),
    row(&["no-warn-execstack", "no-error-execstack"], No, "It is neither (default)", set!(warn.execstack = Severity::None)),
    row(&["warn-rwx-segments"], No, "Warn of memory that is writable and executable", set!(warn.rwx = Severity::Warning)),
    row(&["error-rwx-segments"], No, "It is an error", set!(warn.rwx = Severity::Error)),
    row(&["no-warn-rwx-segments", "no-error-rwx-segments"], No, "It is neither (default)", set!(warn.rwx = Severity::None)),
    row(&["version"], No, "Print the version", set!(action = Action::Version)),
    row(&["v", "V", "verbose"], No, "Print the version, then link if there are inputs", set!(show_version = true)),
    row(&["help"], No, "Print this", set!(action = Action::Help)),
    row(&["cref"], No, "List which files define and use each symbol, in the map or on the standard output", set!(cref = true)),
];

/// Appends to the run path what is not there yet.
fn add_rpath(p: &mut Parser<'_>, value: &str) {
    for dir in value.split(':').filter(|dir| !dir.is_empty()) {
        if !p.options.rpath.iter().any(|old| old == dir) {
            p.options.rpath.push(dir.into());
        }
    }
}

/// `text` with each `%XX` replaced by the byte it stands for, as gcc's driver needs commas written.
fn percent_decoded(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    out.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let byte = part.get(..2).filter(|digits| !digits.starts_with('+'));
        let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.ok_or_else(|| {
            usage(format!("--package-metadata={text}: % needs two hexadecimal digits"))
        })?);
        out.extend(part.bytes().skip(2));
    }
    Ok(out)
}

/// The value of `--build-id`.
fn build_id(style: &str) -> Result<BuildId> {
    Ok(match style {
        "" | "sha1" | "tree" => BuildId::Sha1,
        "fast" => BuildId::Fast,
        "md5" => BuildId::Md5,
        "uuid" => BuildId::Uuid,
        "none" => BuildId::None,
        _ => {
            let bad = || usage(format!("--build-id={style}: no such style"));
            let digits = style.strip_prefix("0x").or_else(|| style.strip_prefix("0X"));
            // GNU ld allows dashes and colons between the bytes.
            let digits: Vec<u8> =
                digits.ok_or_else(bad)?.bytes().filter(|b| !b"-:".contains(b)).collect();
            if digits.is_empty() || !digits.len().is_multiple_of(2) {
                return Err(bad());
            }
            let nibble = |b: u8| char::from(b).to_digit(16).map(|d| d as u8).ok_or_else(bad);
            let bytes: Result<_> =
                digits.chunks(2).map(|d| Ok(nibble(d[0])? << 4 | nibble(d[1])?)).collect();
            BuildId::Hex(bytes?)
        }
    })
}
