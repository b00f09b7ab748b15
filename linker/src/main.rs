//! `ld-scold`: a drop-in for `ld` as gcc, clang, rustc and go call it. See [`scold_linker::command`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(scold_linker::command::run_os(std::env::args_os().skip(1)))
}
