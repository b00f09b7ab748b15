//! `scold replay`: cases and findings, judged again.

use std::path::PathBuf;

use clap::Args;
use scold_fuzz::examine::Bench;

use crate::args::{Depth, Linkers, read_case, recorded_signature};
use crate::exit::{Answer, Done};
use crate::out::outln;
use crate::print;

/// Judge a case or a finding again.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold replay findings/expected-…
  scold replay corpus/regress/*.case --linkers reference
  scold replay x.case --linker new=./build/ld")]
pub(crate) struct Replay {
    #[command(flatten)]
    linkers: Linkers,
    /// Oracles that cost at most this
    #[arg(long, value_enum, default_value_t = Depth::Runs)]
    depth: Depth,
    /// Cases or findings' folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

impl Replay {
    pub(crate) fn run(self) -> Answer {
        let bench = Bench::new(
            self.linkers.adapters_for(&self.paths)?,
            self.depth.cost(),
            self.linkers.limit(),
        );
        let mut news = false;
        for path in &self.paths {
            if self.paths.len() > 1 {
                outln!("\n{}", path.display());
            }
            let examined = bench.examined(&read_case(path)?);
            news |= print::examined(&examined);
            if let Some(signature) = recorded_signature(path) {
                let sightings = examined.examination().sightings;
                let shows = sightings.iter().any(|s| s.signature == signature);
                outln!(
                    "\nit {} {signature}",
                    if shows { "still shows" } else { "no longer shows" }
                );
            }
        }
        Ok(if news { Done::Findings } else { Done::Clean })
    }
}
