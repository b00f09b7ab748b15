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
    /// The text of `-Map`, if asked for.
    pub map: Option<String>,
}
