//! Outputs: where the image goes. A file appears whole or not at all. It must not know what an
//! image holds.

mod file;

use std::io;

pub use file::FileSink;

/// Takes the image: told its size once, it lends the buffer that threads fill in place.
pub trait Sink {
    /// A zeroed buffer of exactly `len` bytes.
    fn allocate(&mut self, len: usize) -> io::Result<&mut [u8]>;
}

impl Sink for Vec<u8> {
    fn allocate(&mut self, len: usize) -> io::Result<&mut [u8]> {
        self.clear();
        self.resize(len, 0);
        Ok(self)
    }
}

/// What a successful link has to say beside the image.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// Warnings for people, in a fixed order.
    pub warnings: Vec<String>,
    /// What `--print-gc-sections` lists: `file:(section)`, in input order.
    pub removed: Vec<String>,
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
    /// The phases as [`crate::link`] lists them (`resolve`, `scan`, `layout`, `write` …), in order.
    pub phases: Vec<(&'static str, std::time::Duration)>,
}

impl Stats {
    /// How long the phases called `name` took together.
    pub fn phase(&self, name: &str) -> std::time::Duration {
        self.phases.iter().filter(|(phase, _)| *phase == name).map(|(_, time)| *time).sum()
    }
}
