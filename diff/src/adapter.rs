//! Adapters: how to have one linker perform a [`Request`]. One file and one line each.

use std::time::Duration;

use crate::Request;
use crate::model::ErrorClass;

/// What came of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The output's bytes.
    Linked(Vec<u8>),
    /// Refused with a message, and its class.
    Refused(ErrorClass, String),
    /// Died of a signal (or panicked), with what it said.
    Crashed(String),
    /// Ran into the time or memory limit.
    Hung,
    /// Not asked: this linker is known not to do that, and why.
    Unsupported(&'static str),
}

/// One linker of this machine.
pub trait Adapter: Send + Sync {
    /// `reference`, `gnu_ld`, `gold`, `lld`, `lld-19`, `mold`, `wild`, or a name given by `--linker`.
    fn name(&self) -> &str;

    /// The version as it prints it, one line.
    fn version(&self) -> &str;

    /// Performs `request`; leaves nothing behind.
    fn link(&self, request: &Request, limit: Duration) -> Outcome;
}
