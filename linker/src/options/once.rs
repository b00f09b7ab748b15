//! Files that are read once, however often options name them or are read themselves: a pipe has its text only once. It
//! must not know what is in them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Data, Files};

/// See the module.
pub(crate) struct Once<'f> {
    files: &'f dyn Files,
    read: Mutex<HashMap<PathBuf, Data>>,
}

impl<'f> Once<'f> {
    /// What `files` has.
    pub(crate) fn new(files: &'f dyn Files) -> Self {
        Self { files, read: Mutex::default() }
    }
}

impl Files for Once<'_> {
    fn open(&self, path: &Path) -> io::Result<Data> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data) = read.get(path) {
            return Ok(data.clone());
        }
        let data = self.files.open(path)?;
        read.insert(path.to_owned(), data.clone());
        Ok(data)
    }
}
