//! Options: the command line as plain data. `table` has one row per flag: spelling, argument,
//! meaning; parsing and `--help` derive from it. Only version scripts, dynamic lists and response
//! files are read here. It must not open inputs, nor know what the pipeline does with a wish.

mod help;
mod parse;
mod response;
mod table;
#[cfg(test)]
mod tests;
mod zkeyword;

use std::path::PathBuf;

pub(crate) use table::EMULATIONS;
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
    /// `-static` was given: no shared library is wanted, `-l` finds archives only.
    pub is_static: bool,
    /// `-m`, if given; otherwise the inputs say.
    pub emulation: Option<&'static Emulation>,
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
    /// `-d`: commons are allocated even under `-r`.
    pub define_common: bool,
    /// `--build-id`; the last one wins.
    pub build_id: BuildId,
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

/// What to do at all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Action {
    /// Link.
    #[default]
    Link,
    /// `--version`: print it and stop.
    Version,
    /// `--help`: print it and stop.
    Help,
}

/// What kind of file is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum OutputKind {
    /// A position-dependent executable.
    #[default]
    Exe,
    /// A position-independent executable.
    Pie,
    /// A shared library.
    Shared,
    /// `-r`: another object.
    Relocatable,
}

impl OutputKind {
    /// Whether the loader chooses the address.
    pub fn is_pic(self) -> bool {
        matches!(self, Self::Pie | Self::Shared)
    }

    /// Whether this is an executable of either kind.
    pub fn is_executable(self) -> bool {
        matches!(self, Self::Exe | Self::Pie)
    }
}

/// An emulation: a name of GNU ld for a machine and its class.
#[derive(PartialEq, Eq, Debug)]
pub struct Emulation {
    /// `elf_x86_64`.
    pub name: &'static str,
    /// `e_machine`.
    pub machine: u16,
    /// ELFCLASS64 rather than ELFCLASS32.
    pub is_64: bool,
}

/// One input of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputArg {
    /// What is named.
    pub what: Named,
    /// The state in force there.
    pub state: State,
}

/// How an input is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// A path, as given.
    Path(PathBuf),
    /// `-lNAME`: `libNAME.so`, `libNAME.a`.
    Library(String),
    /// `-l:NAME`: exactly that name, in the library directories.
    Exact(String),
}

/// The positional state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct State {
    /// `--as-needed`: a library nobody uses gets no DT_NEEDED.
    pub as_needed: bool,
    /// `--whole-archive`: every member is linked.
    pub whole_archive: bool,
    /// `-Bstatic`: `-l` finds archives only.
    pub prefer_static: bool,
    /// Between `--start-lib` and `--end-lib`: objects count as archive members.
    pub lazy_objects: bool,
}

/// `--defsym NAME=VALUE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Defsym {
    /// The symbol defined.
    pub name: String,
    /// Its value.
    pub value: DefsymValue,
}

/// What a `--defsym` symbol is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DefsymValue {
    /// A number.
    Absolute(u64),
    /// Another symbol plus a number.
    Symbol {
        /// The other symbol.
        name: String,
        /// Added to its value.
        addend: i64,
    },
}

/// Which definitions of a library bind to themselves.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Symbolic {
    /// None: all can be preempted.
    #[default]
    None,
    /// `-Bsymbolic-functions`.
    Functions,
    /// `-Bsymbolic-non-weak-functions`.
    NonWeakFunctions,
    /// `-Bsymbolic-non-weak`.
    NonWeak,
    /// `-Bsymbolic`.
    All,
}

/// Which hash tables are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashStyle {
    /// `.gnu.hash`.
    pub gnu: bool,
    /// `.hash`.
    pub sysv: bool,
}

/// `--unresolved-symbols`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Unresolved {
    /// Report all.
    #[default]
    ReportAll,
    /// Report none.
    IgnoreAll,
    /// Report those of shared libraries only.
    IgnoreInObjectFiles,
    /// Report those of objects only.
    IgnoreInSharedLibs,
}

/// What symbols and debug sections are left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Strip {
    /// None.
    #[default]
    None,
    /// `-S`: debug sections.
    Debug,
    /// `-s`: debug sections and the symbol table.
    All,
}

/// Which local symbols are left out of the symbol table.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Discard {
    /// `.L` names in merged sections, as GNU ld without an option.
    #[default]
    SecMerge,
    /// `--discard-none`.
    None,
    /// `-X`: all `.L` names.
    Locals,
    /// `-x`: all locals.
    All,
}

/// `--build-id`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum BuildId {
    /// None.
    #[default]
    None,
    /// `fast`: a hash that need not be cryptographic.
    Fast,
    /// `md5`: 16 bytes of the output's hash.
    Md5,
    /// `sha1`, also what the bare option means.
    Sha1,
    /// `uuid`: random.
    Uuid,
    /// `0xHEX`.
    Hex(Vec<u8>),
}

/// `--compress-debug-sections`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum CompressDebug {
    /// As they are.
    #[default]
    None,
    /// ELFCOMPRESS_ZLIB.
    Zlib,
    /// ELFCOMPRESS_ZSTD.
    Zstd,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            action: Action::Link,
            show_version: false,
            output: PathBuf::from("a.out"),
            kind: OutputKind::Exe,
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
            unresolved: Unresolved::ReportAll,
            defs: None,
            allow_shlib_undefined: None,
            warn_unresolved: false,
            allow_multiple_definition: false,
            gc_sections: false,
            print_gc_sections: false,
            gc_keep_exported: false,
            emit_relocs: false,
            relax: true,
            eh_frame_hdr: false,
            optimize: 1,
            strip: Strip::None,
            discard: Discard::SecMerge,
            define_common: false,
            build_id: BuildId::None,
            compress_debug: CompressDebug::None,
            image_base: None,
            apply_dynamic_relocs: true,
            z: Z::default(),
            map: None,
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
