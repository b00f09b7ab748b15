//! Outputs: where the image goes. A file appears whole or not at all. It must not know what an
//! image holds.

mod file;

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use file::FileSink;

use crate::input::{Data, Files};
use crate::link::Link;
use crate::{Error, ErrorKind};

/// Takes the image: told its size once, it lends the buffer that threads fill in place.
pub trait Sink {
    /// A zeroed buffer of exactly `len` bytes.
    fn allocate(&mut self, len: usize) -> io::Result<&mut [u8]>;

    /// What people call it, if it has a name.
    fn name(&self) -> Option<String> {
        None
    }
}

impl Sink for Vec<u8> {
    fn allocate(&mut self, len: usize) -> io::Result<&mut [u8]> {
        if len <= self.capacity() {
            self.clear();
            self.resize(len, 0);
        } else {
            // Fresh pages are zero already: gaps for alignment cost no memory.
            *self = vec![0; len];
        }
        Ok(self)
    }
}

/// Files that remember which of them were opened: what the output may not be.
pub(crate) struct Watched<'f> {
    files: &'f dyn Files,
    opened: Mutex<BTreeSet<PathBuf>>,
}

impl<'f> Watched<'f> {
    /// None opened yet.
    pub(crate) fn new(files: &'f dyn Files) -> Self {
        Self { files, opened: Mutex::default() }
    }

    /// The opened file that is the one at `output`.
    fn same(&self, output: &Path) -> Option<PathBuf> {
        // A file that is not there yet is no input; a device is as good as before.
        let own = std::fs::metadata(output).ok().filter(std::fs::Metadata::is_file)?;
        let same = |path: &&PathBuf| {
            std::fs::metadata(path).is_ok_and(|it| (it.dev(), it.ino()) == (own.dev(), own.ino()))
        };
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().find(same).cloned()
    }

    /// Checks that none is the file at `output`: it would be gone, and the next link with it.
    ///
    /// Errors: `usage`.
    pub(crate) fn refuse(&self, output: &Path) -> crate::Result<()> {
        match self.same(output) {
            Some(path) => {
                Err(Error::new(ErrorKind::Usage, "is the output, too: -o would overwrite it")
                    .in_file(path.display().to_string()))
            }
            None => Ok(()),
        }
    }

    /// Removes what an earlier link left at `output`, as GNU ld and gold do when a link fails: nobody
    /// shall take it for the result of this one. Inputs and special files stay.
    pub(crate) fn discard(&self, output: &Path) {
        let stays = file::is_special(output).unwrap_or(true) || self.same(output).is_some();
        if !stays {
            let _ = std::fs::remove_file(output);
        }
    }
}

impl Files for Watched<'_> {
    fn open(&self, path: &Path) -> io::Result<Data> {
        let data = self.files.open(path)?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        Ok(data)
    }
}

/// Largest image whatever the inputs, and bytes of image for each byte of input beyond it.
const ROOM: (u64, u64) = (1 << 30, 64);

/// Room in `sink` for an image of `size` bytes made of `inputs` bytes.
///
/// Errors: `usage` if absurd alignments make the image larger than any use, `io`.
pub(crate) fn allocate(sink: &mut dyn Sink, size: u64, inputs: u64) -> crate::Result<&mut [u8]> {
    let size = check_size(size, inputs)?;
    let name = sink.name();
    sink.allocate(size).map_err(|e| {
        let error = Error::new(ErrorKind::Io, format!("cannot write: {e}"));
        match name {
            Some(name) => error.in_file(name),
            None => error,
        }
    })
}

/// `size`, if an image made of `inputs` bytes can have so many.
///
/// Errors: `usage`.
pub(crate) fn check_size(size: u64, inputs: u64) -> crate::Result<usize> {
    let most = inputs.saturating_mul(ROOM.1).saturating_add(ROOM.0);
    let fits = usize::try_from(size).ok().filter(|_| size <= most);
    fits.ok_or_else(|| {
        let text = format!("the output would have {size} bytes, out of proportion to its inputs");
        Error::new(ErrorKind::Usage, text)
    })
}

/// What a successful link has to say beside the image.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// Warnings for people, in a fixed order.
    pub warnings: Vec<String>,
    /// What `--print-gc-sections` lists: `file:(section)`, in input order.
    pub removed: Vec<String>,
    /// What `--trace-symbol` lists, in input order.
    pub traced: Vec<String>,
    /// The text of `-Map`, if asked for.
    pub map: Option<String>,
    /// How much there was, and how long each phase took: for benches.
    pub stats: Stats,
}

/// How much a link had to do, and how long it took over it.
#[derive(Clone, Default, Debug)]
pub struct Stats {
    /// Input sections.
    pub sections: u64,
    /// Symbols of all inputs, locals included.
    pub symbols: u64,
    /// Relocations of the input sections that are in the output.
    pub relocations: u64,
    /// The phases as [`crate::link()`] lists them (`resolve`, `scan`, `layout`, `write` …), in order.
    pub phases: Vec<(&'static str, std::time::Duration)>,
}

impl Stats {
    /// What `link` had to do in these phases.
    pub(crate) fn of(link: &Link<'_>, phases: Vec<(&'static str, std::time::Duration)>) -> Self {
        Self {
            sections: link.res.section_count as u64,
            symbols: link.res.symbol_count as u64,
            relocations: link.relocation_count(),
            phases,
        }
    }

    /// How long the phases called `name` took together.
    pub fn phase(&self, name: &str) -> std::time::Duration {
        self.phases.iter().filter(|(phase, _)| *phase == name).map(|(_, time)| *time).sum()
    }
}
