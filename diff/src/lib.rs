//! The judge: takes bytes and gives reports.
//!
//! A [`Request`] is a whole link as data. An [`adapter`] has one linker perform it, [`model`] turns
//! what came out into [`Facts`], [`oracle`]s compare Facts, [`divergence`]s explain differences away.
//! There is no randomness here and nobody knows what a case is. Only `adapter/reference.rs` may name
//! the reference linker: the judge reads every output with its own decoders.

pub mod adapter;
mod bytes;
mod class;
pub mod desugar;
pub mod divergence;
pub mod expectation;
pub mod loader;
pub mod model;
pub mod oracle;
pub mod real;
pub mod report;
pub mod request;
pub mod run;
pub mod selftest;

pub use expectation::Expectation;
pub use model::{Facts, Family, Key, Place, Value};
pub use request::{Arch, File, Format, Mode, Request, Target};
