//! Options: the command line as plain data. One row per flag: spelling, argument, meaning.

use crate::{Errors, Files};

/// What the command line asks for.
#[derive(Clone, Default, Debug)]
pub struct Options {}

impl Options {
    /// Reads a command line (without the program's name); response files come from `files`.
    ///
    /// Errors: `unknown-option`, `usage`, `bad-script`, `missing-file`.
    pub fn parse(args: &[String], files: &dyn Files) -> Result<Self, Errors> {
        let _ = (args, files);
        Ok(Self {})
    }
}
