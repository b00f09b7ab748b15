//! Inputs: the files a link reads, found, mapped and sniffed; scripts are expanded here.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::{Errors, Options};

/// The bytes of one file, mapped or owned.
#[derive(Clone, Debug)]
pub enum Data {
    /// A file on disk, mapped.
    Mapped(Arc<memmap2::Mmap>),
    /// A file in memory.
    Owned(Arc<[u8]>),
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

/// Every file of a link, in command-line order.
#[derive(Default, Debug)]
pub struct Inputs {}

impl Inputs {
    /// Finds and opens every file `options` name, and what linker scripts name in turn.
    ///
    /// Errors: `missing-file`, `bad-script`, `io`.
    pub fn load(options: &Options, files: &dyn Files) -> Result<Self, Errors> {
        let _ = (options, files);
        Ok(Self {})
    }
}
