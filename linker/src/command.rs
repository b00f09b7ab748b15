//! The drop-in `ld`: a command line in, an exit code out, messages on standard error.
//!
//! `ld-scold` is nothing but this; `scold` is this too when it is called `ld` or `ld.scold` (through
//! the links that `scold prefix DIR` makes) and for `scold link`.

/// Runs the linker as a program: `args` without the program's name. Gives the exit code.
pub fn run(args: Vec<String>) -> u8 {
    let _ = args;
    eprintln!("ld.scold: error: not written yet");
    1
}
