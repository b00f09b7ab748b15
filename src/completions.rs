//! `scold completions SHELL`: the command line → a completion script.

use clap::Args;
use clap_complete::Shell;

use crate::exit::{Answer, Done};

/// Print shell completions.
#[derive(Args)]
#[command(
    after_help = "Example:\n  scold completions bash > ~/.local/share/bash-completion/completions/scold"
)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, command: &mut clap::Command) -> Answer {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "scold", &mut script);
        // A reader that has seen enough is no failure.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
        Ok(Done::Clean)
    }
}
