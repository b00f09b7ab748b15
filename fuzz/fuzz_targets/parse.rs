//! Arbitrary bytes never make the parsers, the reference or the judge panic.
//!
//! `cargo fuzz run parse`; without libFuzzer the program runs the files it is given.

#![cfg_attr(fuzzing, no_main)]

scold_fuzz::fuzz_target!(parse);
