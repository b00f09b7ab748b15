//! `scold link`: the reference linker, called as GNU ld is.

use std::ffi::OsString;

use clap::Args;

use crate::exit::{Answer, Done};

/// Link with the reference linker.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  scold link -shared -o liba.so a.o b.o\n  scold link --help   (after `--`: the linker's own options)"
)]
pub(crate) struct Link {
    /// Arguments as GNU ld takes them
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
