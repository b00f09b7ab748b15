//! What the command prints: lines, on the standard output or the standard error.
//!
//! `println!` panics when the reader has gone (`scold replay … | head`). Here that ends the command as
//! SIGPIPE ends others, without a word; the signal itself stays ignored, since a hunt writes to
//! programs that may crash. It must not know what the lines say.

use std::fmt::Arguments;
use std::io::{self, Write as _};

/// What a shell says of a program that SIGPIPE ended.
const GONE: i32 = 128 + 13;

/// Prints a line on the standard output; colours only where they show.
macro_rules! outln {
    ($($text:tt)*) => { $crate::out::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// The same without the line's end.
macro_rules! out {
    ($($text:tt)*) => { $crate::out::print(format_args!($($text)*)) };
}

/// Prints a line on the standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::out::tell(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, out, outln};

/// See [`out!`].
pub(crate) fn print(text: Arguments<'_>) {
    done(anstream::stdout().lock().write_fmt(text));
}

/// See [`errln!`].
pub(crate) fn tell(text: Arguments<'_>) {
    done(anstream::stderr().lock().write_fmt(text));
}

/// Whoever can't be told has no use for the rest.
fn done(result: io::Result<()>) {
    if result.is_err() {
        std::process::exit(GONE);
    }
}
