//! Options: the command line as plain data. `table` has one row per flag: spelling, argument,
//! meaning; parsing and `--help` derive from it. Only version scripts, dynamic lists and response
//! files are read here. It must not open inputs, nor know what the pipeline does with a wish.

mod expression;
mod help;
mod hints;
mod machine;
mod modes;
mod once;
mod parse;
mod response;
mod table;
#[cfg(test)]
mod tests;
mod values;
mod zkeyword;

pub(crate) use once::Once;
pub(crate) use response::expand as expand_responses;

use crate::arch::Arch;
use crate::mode::Build;
use std::path::PathBuf;

use rustc_hash::FxHashSet;

pub(crate) use expression::is_name;
pub use expression::{Binary, Expression, Unary};
pub use values::*;
pub use zkeyword::Z;

pub use crate::input::{Pattern, VersionNode, VersionScript};
use crate::{Errors, Files};

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Link, or only print something.
    pub action: Action,
    /// `-v`, `-V`: print the version first.
    pub show_version: bool,
    /// `-o`; `a.out` without it.
    pub output: PathBuf,
    /// What is made.
    pub kind: OutputKind,
    /// `--buildmode` and its target; what the mode asks of the other fields is in them.
    pub build: Build,
    /// `-static` was given: no shared library is wanted, `-l` finds archives only.
    pub is_static: bool,
    /// `-m`, if given; otherwise the inputs say.
    pub emulation: Option<&'static Arch>,
    /// The inputs in command-line order, each with the state in force at its place.
    pub inputs: Vec<InputArg>,
    /// `-L`, in order, `=` and `$SYSROOT` already replaced.
    pub library_dirs: Vec<PathBuf>,
    /// `--sysroot`, unless it is empty or `/`.
    pub sysroot: Option<PathBuf>,

    /// `-e`: a symbol or a number; `None` means `_start`.
    pub entry: Option<String>,
    /// `-u`: names to treat as undefined, so that archives are searched for them.
    pub undefined: Vec<String>,
    /// `--require-defined`: like `-u`, and an error if nothing defines them.
    pub require_defined: Vec<String>,
    /// `--defsym`.
    pub defsyms: Vec<Defsym>,
    /// `--wrap`.
    pub wrap: Vec<String>,
    /// `--trace-symbol`.
    pub trace_symbols: Vec<String>,
    /// `-init`.
    pub init: String,
    /// `-fini`.
    pub fini: String,

    /// `-soname`.
    pub soname: Option<String>,
    /// `-rpath`, joined with `:` by the writer; duplicates already dropped.
    pub rpath: Vec<String>,
    /// `--enable-new-dtags` (the default): DT_RUNPATH rather than DT_RPATH.
    pub new_dtags: bool,
    /// `--dynamic-linker`.
    pub dynamic_linker: Option<String>,
    /// `--no-dynamic-linker`: no PT_INTERP (static PIE).
    pub no_dynamic_linker: bool,
    /// `--auxiliary`: DT_AUXILIARY.
    pub auxiliary: Vec<String>,
    /// `--filter`: DT_FILTER.
    pub filter: Vec<String>,
    /// `--audit`, joined by the writer.
    pub audit: Vec<String>,
    /// `--depaudit`, joined by the writer.
    pub depaudit: Vec<String>,

    /// `--export-dynamic`.
    pub export_dynamic: bool,
    /// `--export-dynamic-symbol`, and lists of it.
    pub export_dynamic_symbols: Vec<Pattern>,
    /// `--dynamic-list`; in a library it also makes everything else bind locally.
    pub dynamic_list: Option<Vec<Pattern>>,
    /// `--version-script`s, merged.
    pub version_script: Option<VersionScript>,
    /// `--no-undefined-version`: a script's exact name that nothing defines is an error.
    pub no_undefined_version: bool,
    /// `--exclude-libs`: archives whose symbols become hidden; `ALL` is every one.
    pub exclude_libs: Vec<String>,
    /// `-Bsymbolic` and its relatives.
    pub symbolic: Symbolic,
    /// `--hash-style`.
    pub hash_style: HashStyle,
    /// `--pack-dyn-relocs=relr`, `-z pack-relative-relocs`.
    pub pack_relr: bool,

    /// `--warn-textrel` and its like.
    pub warn: Warn,
    /// What to do with undefined symbols.
    pub unresolved: Unresolved,
    /// `-z defs`/`--no-undefined`, `-z undefs`; `None`: the output kind's default.
    pub defs: Option<bool>,
    /// `--[no-]allow-shlib-undefined`; `None`: the output kind's default.
    pub allow_shlib_undefined: Option<bool>,
    /// `--warn-unresolved-symbols`: undefined symbols are warnings.
    pub warn_unresolved: bool,
    /// `--allow-multiple-definition`, `-z muldefs`: the first definition wins silently.
    pub allow_multiple_definition: bool,

    /// `--gc-sections`.
    pub gc_sections: bool,
    /// `--print-gc-sections`.
    pub print_gc_sections: bool,
    /// `--gc-keep-exported`: exported symbols are roots of an executable too.
    pub gc_keep_exported: bool,
    /// `--emit-relocs`.
    pub emit_relocs: bool,
    /// `--target1-…`, `--target2` and the like: what the machine's ABI leaves open.
    pub choices: crate::arch::Choices,
    /// Whether objects that don't go together are an error.
    pub mismatches: bool,
    /// `--merge-exidx-entries` (the default): equal neighbours in the index of unwind tables become one.
    pub merge_exidx: bool,
    /// `--relax` (the default); off switches every optional relaxation off.
    pub relax: bool,
    /// `--eh-frame-hdr`.
    pub eh_frame_hdr: bool,
    /// `-O`; from 2 on string tails are merged.
    pub optimize: u8,
    /// `-s`, `-S`.
    pub strip: Strip,
    /// `-x`, `-X`, `--discard-none`.
    pub discard: Discard,
    /// `--retain-symbols-file`: the only names the symbol table keeps.
    pub retain: Option<FxHashSet<Vec<u8>>>,
    /// `-d`: commons are allocated even under `-r`.
    pub define_common: bool,
    /// `--build-id`; the last one wins.
    pub build_id: BuildId,
    /// `--package-metadata`: the JSON text of `.note.package`.
    pub package_metadata: Option<Vec<u8>>,
    /// `--fix-cortex-…`: which errata to avoid, as they were spelled.
    pub errata: Vec<String>,
    /// `--compress-debug-sections`.
    pub compress_debug: CompressDebug,
    /// `--image-base`, `-Ttext-segment`.
    pub image_base: Option<u64>,
    /// `--apply-dynamic-relocs`: addends are stored in place too. Always on: Go's FIPS check
    /// reads them from the file; `--no-apply-dynamic-relocs` turns it off.
    pub apply_dynamic_relocs: bool,
    /// `-z` keywords.
    pub z: Z,

    /// `-Map`, `-M`: where the map goes; `-` is the standard output.
    pub map: Option<PathBuf>,
    /// `--cref`: list who defines and who uses each symbol.
    pub cref: bool,
    /// `--dependency-file`: a Makefile rule of what was read.
    pub dependency_file: Option<PathBuf>,
    /// `-t`: print the name of each input.
    pub trace: bool,
    /// `--threads`; `None`: as many as the machine has. `--no-threads` is 1.
    pub threads: Option<usize>,
    /// `--fatal-warnings`.
    pub fatal_warnings: bool,
    /// `--no-warnings`.
    pub no_warnings: bool,
    /// `--error-limit`; 0 is none.
    pub error_limit: usize,
    /// Warnings about the command line itself, in order.
    pub warnings: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            action: Action::Link,
            show_version: false,
            output: PathBuf::from("a.out"),
            kind: OutputKind::Exe,
            build: Build::default(),
            is_static: false,
            emulation: None,
            inputs: Vec::new(),
            library_dirs: Vec::new(),
            sysroot: None,
            entry: None,
            undefined: Vec::new(),
            require_defined: Vec::new(),
            defsyms: Vec::new(),
            wrap: Vec::new(),
            trace_symbols: Vec::new(),
            init: "_init".into(),
            fini: "_fini".into(),
            soname: None,
            rpath: Vec::new(),
            new_dtags: true,
            dynamic_linker: None,
            no_dynamic_linker: false,
            auxiliary: Vec::new(),
            filter: Vec::new(),
            audit: Vec::new(),
            depaudit: Vec::new(),
            export_dynamic: false,
            export_dynamic_symbols: Vec::new(),
            dynamic_list: None,
            version_script: None,
            no_undefined_version: false,
            exclude_libs: Vec::new(),
            symbolic: Symbolic::None,
            hash_style: HashStyle { gnu: true, sysv: true },
            pack_relr: false,
            warn: Warn::default(),
            unresolved: Unresolved::ReportAll,
            defs: None,
            allow_shlib_undefined: None,
            warn_unresolved: false,
            allow_multiple_definition: false,
            gc_sections: false,
            print_gc_sections: false,
            gc_keep_exported: false,
            emit_relocs: false,
            choices: crate::arch::Choices::default(),
            mismatches: true,
            merge_exidx: true,
            relax: true,
            eh_frame_hdr: false,
            optimize: 1,
            strip: Strip::None,
            discard: Discard::SecMerge,
            retain: None,
            define_common: false,
            build_id: BuildId::None,
            package_metadata: None,
            errata: Vec::new(),
            compress_debug: CompressDebug::None,
            image_base: None,
            apply_dynamic_relocs: true,
            z: Z::default(),
            map: None,
            cref: false,
            dependency_file: None,
            trace: false,
            threads: None,
            fatal_warnings: false,
            no_warnings: false,
            error_limit: 20,
            warnings: Vec::new(),
        }
    }
}

/// A number as options take it: decimal, `0x` hexadecimal, with an optional K or M.
pub(crate) fn number(text: &str) -> Option<u64> {
    parse::number(text)
}

impl Options {
    /// Reads a command line (without the program's name); response files come from `files`.
    ///
    /// Errors: `unknown-option`, `usage`, `bad-script`, `missing-file`.
    pub fn parse(args: &[String], files: &dyn Files) -> Result<Self, Errors> {
        parse::parse(args, files)
    }

    /// The text of `--help`.
    pub fn help() -> String {
        help::text()
    }
}
