//! The reference linker: objects, archives, shared libraries and options in, one linked image out.
//!
//! [`link`] is the pipeline. It must not know of other linkers, of generated cases, or of the judge.

#![warn(missing_docs)]

pub mod command;
pub mod compress;
pub mod eh_frame;
pub mod error;
pub mod init_order;
pub mod input;
pub mod merge;
pub mod options;
pub mod output;
pub mod synthetic;

pub use error::{Error, ErrorKind, Errors, Malformed, Result, Site};
pub use input::{Data, DiskFiles, Files, Input, InputKind, Inputs, MemoryFiles};
pub use options::Options;
pub use output::{Report, Sink, Stats};

/// Links `inputs` as `options` ask and writes the image into `sink`.
///
/// Errors: every error found by the phase that failed, sorted by file, section, offset.
pub fn link(inputs: &Inputs, options: &Options, sink: &mut dyn Sink) -> Result<Report, Errors> {
    let _ = (inputs, options, sink);
    Err(Errors::from(Error::new(ErrorKind::Internal, "not written yet")))
}

/// Links a command line (without the program's name) whose files come from `files`, in process.
pub fn link_args(args: &[String], files: &dyn Files) -> Result<(Vec<u8>, Report), Errors> {
    let options = Options::parse(args, files)?;
    let inputs = Inputs::load(&options, files)?;
    let mut image = Vec::new();
    let report = link(&inputs, &options, &mut image)?;
    Ok((image, report))
}
