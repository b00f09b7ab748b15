//! Options: the command line of ld64 → what the link is to do. Must not open files but lists.

mod help;
mod parse;
mod table;

use std::path::PathBuf;

use super::machine::Machine;
use crate::{Errors, Files};

/// What the output is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// A program.
    #[default]
    Execute,
    /// A dynamic library.
    Dylib,
    /// A module for `dlopen` that nothing links with.
    Bundle,
}

/// What becomes of names that nothing defines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Undefined {
    /// An error.
    #[default]
    Error,
    /// A warning, then looked up at run time.
    Warning,
    /// Looked up at run time, in a flat namespace.
    Suppress,
    /// Looked up at run time.
    Lookup,
}

/// How a library is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Take {
    /// May be missing at run time.
    pub weak: bool,
    /// Its names are passed on.
    pub reexport: bool,
    /// Stays even if nothing uses it.
    pub needed: bool,
    /// Loaded after this image.
    pub upward: bool,
    /// All members of the archive are linked.
    pub force: bool,
    /// What the archive defines stays inside.
    pub hidden: bool,
}

impl Take {
    /// Takes what is named again as either mention wants it; whose members stay inside is told the first time.
    pub fn add(&mut self, again: Self) {
        self.weak |= again.weak;
        self.reexport |= again.reexport;
        self.needed |= again.needed;
        self.upward |= again.upward;
        self.force |= again.force;
    }
}

/// One input as named.
#[derive(Clone, Debug)]
pub enum Named {
    /// A file.
    Path(PathBuf),
    /// `-lNAME`.
    Library(String),
    /// `-framework NAME`.
    Framework(String),
}

/// The options of a link.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Options {
    pub machine: Option<&'static Machine>,
    /// 1 is macOS.
    pub platform: u32,
    pub minos: u32,
    pub sdk: u32,
    pub kind: Kind,
    pub output: PathBuf,
    pub inputs: Vec<(Named, Take)>,
    pub roots: Vec<PathBuf>,
    pub library_paths: Vec<PathBuf>,
    pub framework_paths: Vec<PathBuf>,
    /// Libraries of all folders come before archives of any.
    pub dylibs_first: bool,
    /// What `N_OSO` leaves out at the start of paths.
    pub oso_prefix: Option<String>,
    /// Whether the system's own folders are searched.
    pub no_default_paths: bool,
    pub flat: bool,
    pub undefined: Undefined,
    /// `-U`.
    pub allowed: Vec<String>,
    /// `-u`: as if an object referred to them.
    pub wanted: Vec<String>,
    pub entry: Option<String>,
    /// Called first: `-init`.
    pub init: Option<String>,
    pub install_name: Option<String>,
    pub current: u32,
    pub compatibility: u32,
    pub rpaths: Vec<String>,
    /// Nothing else is exported.
    pub exported: Option<Vec<String>>,
    pub unexported: Vec<String>,
    /// `-no_exported_symbols`.
    pub no_exports: bool,
    pub headerpad: Option<u64>,
    pub headerpad_names: bool,
    pub base: Option<u64>,
    pub pagezero: Option<u64>,
    pub stack_size: u64,
    /// `-no_pie`: the program runs where it is linked to.
    pub no_pie: bool,
    pub dead_strip: bool,
    pub dead_strip_dylibs: bool,
    /// Public libraries that others pass on are not linked themselves.
    pub no_implicit: bool,
    /// `-S`: no debug map.
    pub no_debug: bool,
    /// `-x`: no local symbols.
    pub no_locals: bool,
    /// `-fixup_chains`, `-no_fixup_chains`.
    pub chained: Option<bool>,
    pub bind_at_load: bool,
    pub all_load: bool,
    /// Files for another machine are errors.
    pub arch_errors_fatal: bool,
    /// `-ObjC`.
    pub objc_load: bool,
    /// `-adhoc_codesign`, `-no_adhoc_codesign`.
    pub sign: Option<bool>,
    pub no_uuid: bool,
    pub no_function_starts: bool,
    pub no_data_in_code: bool,
    pub no_compact_unwind: bool,
    pub dead_strippable: bool,
    pub application_extension: bool,
    pub map: Option<PathBuf>,
    pub bundle_loader: Option<PathBuf>,
    pub threads: Option<usize>,
    pub no_warnings: bool,
    pub fatal_warnings: bool,
    pub version: bool,
    pub help: bool,
    pub warnings: Vec<String>,
    /// `--buildmode`, `--goos`, `--goarch`.
    pub build: crate::mode::Build,
}

/// Whether a name is a pattern.
pub fn is_glob(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

impl Options {
    /// Reads a command line, without the program's name.
    ///
    /// Errors: `unknown-option`, `usage`, `io` for lists that can't be read.
    pub fn parse(args: &[String], files: &dyn Files) -> Result<Self, Errors> {
        parse::parse(args, files)
    }

    /// What `--help` prints.
    pub fn help_text() -> String {
        help::text()
    }

    /// The machine; the parser saw to it that there is one.
    pub fn arch(&self) -> &'static Machine {
        self.machine.unwrap_or(&super::machine::arm64::ARM64)
    }

    /// Whether fixups are chained: as ld64 decides, by the oldest system the output is for.
    pub fn is_chained(&self) -> bool {
        let from = match self.kind {
            Kind::Execute => self.arch().chained_programs,
            _ => 12 << 16,
        };
        let late = self.undefined != Undefined::Error && !self.flat;
        self.chained.unwrap_or(self.minos >= from && !late && self.slides())
    }

    /// Whether the image may be loaded elsewhere than where it is linked to.
    pub fn slides(&self) -> bool {
        self.kind != Kind::Execute || !self.no_pie
    }

    /// Whether `__DATA_CONST` holds what never changes after loading.
    pub fn has_const(&self) -> bool {
        self.arch().always_signed || self.minos >= (10 << 16 | 15 << 8)
    }

    /// The names to be exported that are no patterns: they must be there.
    pub fn exported_names(&self) -> impl Iterator<Item = &str> {
        let listed = self.exported.iter().flatten().map(String::as_str);
        listed.filter(|name| !is_glob(name))
    }

    /// Names that options want to be there, each with the option.
    pub fn asked_names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let entry = self.entry.as_deref().unwrap_or("_main");
        let entry = (self.kind == Kind::Execute).then_some(("-e", entry));
        let wanted = self.wanted.iter().map(|name| ("-u", name.as_str()));
        let init = self.init.iter().map(|name| ("-init", name.as_str()));
        let exported = self.exported_names().map(|name| ("-exported_symbol", name));
        wanted.chain(init).chain(exported).chain(entry)
    }

    /// Whether the output is signed.
    pub fn is_signed(&self) -> bool {
        self.sign.unwrap_or(self.arch().always_signed)
    }
}
