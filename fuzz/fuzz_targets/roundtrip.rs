//! A case's text reads back, and the same case gives the same bytes.
//!
//! `cargo fuzz run roundtrip`; without libFuzzer the program runs the files it is given.

#![cfg_attr(fuzzing, no_main)]

scold_fuzz::fuzz_target!(roundtrip);
