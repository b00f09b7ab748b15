//! All linkers of this machine against each other and the specs.
//!
//! `cargo fuzz run differential`; without libFuzzer the program runs the files it is given.

#![cfg_attr(fuzzing, no_main)]

scold_fuzz::fuzz_target!(differential);
