//! Formats: how bytes become the neutral model and back. One folder per format.

pub mod elf;
pub mod macho;
