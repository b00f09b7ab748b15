//! `scold reduce`: a case or a finding → a smaller one that shows the same.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use scold_fuzz::campaign::Examine as _;
use scold_fuzz::examine::{Bench, remember_panics};
use scold_fuzz::reduce::Budget;
use scold_fuzz::{settle, text};

use crate::args::{Depth, Linkers, read_case, recorded_signature};
use crate::exit::{Answer, Done, Failure};
use crate::out::{errln, out, outln};

/// Make a case smaller while it shows the same finding.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold reduce findings/expected-…            the folder is written again
  scold reduce big.case > small.case
  scold reduce big.case --signature 'expected/site …' --linkers lld")]
pub(crate) struct Reduce {
    #[command(flatten)]
    linkers: Linkers,
    /// A case, or a finding's folder
    path: PathBuf,
    /// What it must go on showing; by default what the folder says, or the first thing it shows
    #[arg(long)]
    signature: Option<String>,
    /// Candidates to try
    #[arg(long, default_value_t = 5000, value_name = "N")]
    candidates: usize,
    /// Seconds to take
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    time: u64,
    /// Oracles that cost at most this
    #[arg(long, value_enum, default_value_t = Depth::Runs)]
    depth: Depth,
}

impl Reduce {
    pub(crate) fn run(self) -> Answer {
        let case = read_case(&self.path)?;
        let linkers = self.linkers.adapters_for(std::slice::from_ref(&self.path))?;
        let bench = Bench::new(linkers, self.depth.cost(), self.linkers.limit());
        remember_panics();
        let wanted = self.signature.clone().or_else(|| recorded_signature(&self.path));
        let sightings = bench.examine(&case).sightings;
        let shown: Vec<&str> = sightings.iter().map(|s| s.signature.as_str()).collect();
        let sighting = match &wanted {
            Some(wanted) => sightings.iter().find(|s| s.signature == *wanted),
            None => sightings.first(),
        };
        let Some(sighting) = sighting else {
            let wanted = wanted.unwrap_or_else(|| "anything".into());
            let list = if shown.is_empty() { "nothing".into() } else { shown.join("; ") };
            return Err(Failure::Usage(format!("it does not show {wanted}, but {list}")));
        };
        let time = Duration::from_secs(self.time);
        let budget = Budget { candidates: self.candidates, time };
        let reduced = settle::shrink(&bench, &case, sighting, budget, &AtomicBool::new(false));
        let minimal = if reduced.minimal { "nothing more can go" } else { "the budget is spent" };
        errln!("{} of {} steps kept; {minimal}", reduced.kept, reduced.tried);
        if self.path.is_dir() {
            let root = self.path.parent().unwrap_or(&self.path);
            let path = settle::write(root, &bench, &reduced.case, sighting, "reduce")
                .map_err(|error| Failure::environment(self.path.display(), error))?;
            outln!("{}", path.display());
        } else {
            out!("{}", text::print(&reduced.case));
        }
        Ok(Done::Clean)
    }
}
