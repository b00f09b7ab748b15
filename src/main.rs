//! scold: find bugs in linkers.
//!
//! The command line: one file per subcommand, no logic of its own. Called `ld` or `ld.scold` it is the
//! reference linker.

mod args;
mod completions;
mod diff;
mod doctor;
mod exit;
mod explain;
mod hunt;
mod link;
mod out;
mod prefix;
mod print;
mod progress;
mod reduce;
mod replay;
mod selftest;
mod show;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::exit::Answer;

/// Find bugs in linkers: generate small links, perform them with every linker here, compare what a
/// loader would see.
#[derive(Parser)]
#[command(name = "scold", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  scold hunt                                  hunt with every linker here until Ctrl-C
  scold hunt --time 60 --linkers gnu_ld,lld   a minute with two of them
  scold diff -- -shared a.o b.o               judge a link of your own
  scold replay findings/0001-…                run a finding again
  scold doctor                                what is here, and what would bring the rest

Exit codes: 0 nothing unexplained, 1 findings, 2 wrong usage, 3 something is missing here.";

#[derive(Subcommand)]
enum Command {
    /// Generate cases, link them with every linker, report what can't be explained
    Hunt(hunt::Hunt),
    /// Link real inputs with several linkers and judge the outputs
    Diff(diff::Diff),
    /// Link with the reference linker, called as GNU ld is
    Link(link::Link),
    /// Make a case smaller while it shows the same finding
    Reduce(reduce::Reduce),
    /// Judge a case or a finding again
    Replay(replay::Replay),
    /// Print a case as text, assembler text, or what must come out of it
    Show(show::Show),
    /// Say what a build mode adds to a link
    Explain(explain::Explain),
    /// List linkers, loaders and assemblers found here, and what brings the missing ones
    Doctor(doctor::Doctor),
    /// Plant faults and count how many each oracle catches
    Selftest(selftest::Selftest),
    /// Make a folder for `gcc -B DIR`, so that it links with the reference linker
    Prefix(prefix::Prefix),
    /// Print shell completions
    Completions(completions::Completions),
}

impl Command {
    fn run(self) -> Answer {
        match self {
            Self::Hunt(command) => command.run(),
            Self::Diff(command) => command.run(),
            Self::Link(command) => command.run(),
            Self::Reduce(command) => command.run(),
            Self::Replay(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Explain(command) => command.run(),
            Self::Doctor(command) => command.run(),
            Self::Selftest(command) => command.run(),
            Self::Prefix(command) => command.run(),
            Self::Completions(command) => command.run(&mut Cli::command()),
        }
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.next().is_some_and(|name| prefix::is_linker(&name)) {
        return ExitCode::from(scold_linker::command::run_os(args));
    }
    exit::code(Cli::parse().command.run())
}
