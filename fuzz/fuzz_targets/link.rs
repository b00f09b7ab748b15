//! The reference linker alone, in process, against what the specs demand.
//!
//! `cargo fuzz run link`; without libFuzzer the program runs the files it is given.

#![cfg_attr(fuzzing, no_main)]

scold_fuzz::fuzz_target!(link);
