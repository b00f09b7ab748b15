//! Inputs: the files a link reads, found, mapped and sniffed by content, never by name; scripts
//! and archives are expanded here. It must not know what is inside an object.

mod archive;
mod demangle;
mod expand;
mod files;
mod glob;
mod lex;
mod load;
pub(crate) mod made;
mod pattern;
mod script;
#[cfg(test)]
mod tests;
mod version;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use archive::{Archive, IndexEntry, Member};
pub(crate) use archive::{BITCODE, is_archive, is_bitcode};
pub use files::{DiskFiles, MemoryFiles};
pub(crate) use load::os_error;
pub use pattern::{Name, Pattern, PatternSet};
pub use script::Said;
pub use version::{Assignment, VersionMatcher, VersionNode, VersionScript};

use crate::arch::Arch;
use crate::options::State;
use crate::{Errors, Options};

/// The bytes of one file, mapped or owned.
#[derive(Clone, Debug)]
pub enum Data {
    /// A file on disk, mapped.
    Mapped(Arc<memmap2::Mmap>),
    /// A file in memory.
    Owned(Arc<[u8]>),
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes.into())
    }
}

impl std::ops::Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Where files come from: the disk, or memory for in-process callers.
pub trait Files: Sync {
    /// Opens `path`; `NotFound` if there is none.
    fn open(&self, path: &Path) -> io::Result<Data>;
}

/// What an input is, by its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputKind {
    /// A relocatable object (ET_REL).
    Object,
    /// A shared library (ET_DYN).
    Shared,
}

/// One object or shared library. Archives are already split into their members.
#[derive(Clone, Debug)]
pub struct Input {
    /// What people call it: `a.o`, `lib.a(m.o)`.
    pub name: String,
    /// The file it came from: for a member its archive.
    pub path: PathBuf,
    /// What it is.
    pub kind: InputKind,
    /// The positional state of the command line where it was named.
    pub state: State,
    /// Linked only if something needs it: a member of an archive, unless `--whole-archive`.
    pub lazy: bool,
    /// Which archive it is a member of: the archives are counted from 0 in command-line order.
    pub archive: Option<u32>,
    /// Its symbols are hidden (`--exclude-libs`).
    pub hidden: bool,
    /// DT_NEEDED for a library without DT_SONAME: the name as given, or `libNAME.so`.
    pub needed: String,
    data: Data,
    range: Range<usize>,
}

impl Input {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.range.clone()]
    }
}

/// Every file of a link, in command-line order.
#[derive(Clone, Default, Debug)]
pub struct Inputs {
    /// The objects and libraries.
    pub list: Vec<Input>,
    /// The machine all of them are for; `None` only if there are none and `-m` is missing.
    pub emulation: Option<&'static Arch>,
    /// Every file opened, scripts and archives included, in order, each once.
    pub opened: Vec<PathBuf>,
    /// What linker scripts among them say of the link as a whole.
    pub said: Said,
    /// Warnings for people, in order.
    pub warnings: Vec<String>,
}

impl Inputs {
    /// Finds and opens every file `options` name, and what linker scripts name in turn.
    ///
    /// Errors: `missing-file`, `bad-input`, `bad-script`, `wrong-machine`, `io`.
    pub fn load(options: &Options, files: &dyn Files) -> Result<Self, Errors> {
        load::load(options, files)
    }
}
