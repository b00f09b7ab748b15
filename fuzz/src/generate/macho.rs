//! Cases of Mach-O: the symbol-kind matrix, the relocation sweep, random ones, Go modules and worlds of them.
//!
//! Nothing here must know what a linker makes of a case.

mod code;
pub mod matrix;
pub mod modules;
mod parts;
pub(super) mod random;
pub mod sweep;
#[cfg(test)]
mod tests;
pub mod worlds;
