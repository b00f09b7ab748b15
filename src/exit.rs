//! What a subcommand comes to → exit code and message.

use std::fmt;
use std::process::ExitCode;

use crate::out::errln;

/// What a subcommand found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// Nothing unexplained.
    Clean,
    /// Findings.
    Findings,
    /// The code that a program it stands for would exit with.
    Code(u8),
}

/// Why a subcommand could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was called wrongly.
    Usage(String),
    /// Something is missing here, or the system refused.
    Environment(String),
}

/// What `run` of each subcommand gives.
pub(crate) type Answer = Result<Done, Failure>;

impl Failure {
    /// `context: error`, as a failure of the environment.
    pub(crate) fn environment(context: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Environment(format!("{context}: {error}"))
    }

    /// `context: error`, as wrong usage.
    pub(crate) fn usage(context: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Usage(format!("{context}: {error}"))
    }
}

/// Prints what went wrong, and gives the exit code: 0, 1, 2, 3.
pub(crate) fn code(answer: Answer) -> ExitCode {
    // What a machine that can't start programs says of linkers is worth nothing.
    let answer = match (answer, scold_diff::run::trouble()) {
        (Ok(_), Some(trouble)) => Err(Failure::Environment(trouble)),
        (answer, _) => answer,
    };
    let (code, text) = match answer {
        Ok(Done::Clean) => return ExitCode::SUCCESS,
        Ok(Done::Findings) => return ExitCode::from(1),
        Ok(Done::Code(code)) => return ExitCode::from(code),
        Err(Failure::Usage(text)) => (2, text),
        Err(Failure::Environment(text)) => (3, text),
    };
    let style = anstyle::AnsiColor::Red.on_default() | anstyle::Effects::BOLD;
    errln!("{style}error:{style:#} {text}");
    ExitCode::from(code)
}
