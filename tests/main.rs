//! The one integration binary: modules, not files of their own, so that it links once.

// Tests call tools and the command under test directly.
#![allow(clippy::disallowed_methods)]

mod cases;
mod cli;
mod drop_in;
mod errors;
mod regress;
mod tidy;
