//! What the fields of [`super::Options`] can be. Must not know how a command line spells it.

use std::path::PathBuf;

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
    /// `--just-symbols`: the file at this path, of which only the symbols' values count.
    Symbols(PathBuf),
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
    /// `--format=binary`: files are bytes to embed, whatever is in them.
    pub binary: bool,
}

/// `--defsym NAME=VALUE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Defsym {
    /// The symbol defined.
    pub name: String,
    /// Its value.
    pub value: super::Expression,
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

/// How bad something is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Severity {
    /// Not worth a word.
    #[default]
    None,
    /// A warning.
    Warning,
    /// An error.
    Error,
}

/// What in a finished image is worth a word.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Warn {
    /// Relocations in read-only memory (where they are allowed at all).
    pub textrel: Severity,
    /// A stack that is executable.
    pub execstack: Severity,
    /// A segment that is writable and executable.
    pub rwx: Severity,
}
