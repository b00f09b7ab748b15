//! `scold link`: the reference linker, called as GNU ld is, or with `-arch` as ld64 is.

use std::ffi::OsString;

use clap::Args;

use crate::exit::{Answer, Done};

/// Link with the reference linker.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  scold link -shared -o liba.so a.o b.o\n  scold link -arch arm64 -dylib -o liba.dylib a.o   (Mach-O, as ld64)\n  scold link -- --help   (the linker's own options)\n  scold link -- -arch arm64 --help   (its options for Mach-O)"
)]
pub(crate) struct Link {
    /// Arguments as GNU ld takes them; with -arch ARCH, as ld64 does
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "LD-ARGS"
    )]
    args: Vec<OsString>,
}

impl Link {
    pub(crate) fn run(self) -> Answer {
        Ok(Done::Code(scold_linker::command::run_os(self.args.into_iter())))
    }
}
