//! Where files come from: the disk, or a table in memory. It must not know what they hold.

#![allow(unsafe_code)] // Mapping a file has no safe form; see the one block below.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::{Data, Files};

/// Below this a read is cheaper than a mapping and its page faults.
const MAP_FROM: u64 = 16 << 10;
/// More than this from a pipe is refused.
const MAX_STREAM: u64 = 4 << 30;
/// More than this from a device, which may never end, is refused: nobody types as much.
const MAX_DEVICE: u64 = 1 << 20;

/// The files of this machine.
#[derive(Clone, Copy, Default, Debug)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn open(&self, path: &Path) -> io::Result<Data> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
        }
        if meta.is_file() && meta.len() >= MAP_FROM {
            // SAFETY: the mapping is read-only and private. Another process could still change or
            // truncate the file under it; every linker that maps its inputs lives with that, and
            // nothing read from the map is trusted to stay the same between two reads.
            let map = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file)? };
            return Ok(Data::Mapped(Arc::new(map)));
        }
        let most = if meta.file_type().is_char_device() { MAX_DEVICE } else { MAX_STREAM };
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        file.by_ref().take(most).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "stream is too large"));
        }
        Ok(Data::Owned(bytes.into()))
    }
}

/// Files in memory, for in-process links and tests.
#[derive(Clone, Default, Debug)]
pub struct MemoryFiles {
    files: BTreeMap<PathBuf, Arc<[u8]>>,
}

impl MemoryFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces it.
    pub fn insert(&mut self, path: impl AsRef<Path>, bytes: impl Into<Arc<[u8]>>) {
        self.files.insert(plain(path.as_ref()), bytes.into());
    }
}

impl<P: AsRef<Path>, B: Into<Arc<[u8]>>> FromIterator<(P, B)> for MemoryFiles {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(iter: I) -> Self {
        let mut files = Self::new();
        for (path, bytes) in iter {
            files.insert(path, bytes);
        }
        files
    }
}

impl Files for MemoryFiles {
    fn open(&self, path: &Path) -> io::Result<Data> {
        match self.files.get(path).or_else(|| self.files.get(&plain(path))) {
            Some(bytes) => Ok(Data::Owned(Arc::clone(bytes))),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "No such file or directory")),
        }
    }
}

/// `path` without `.` components.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}
