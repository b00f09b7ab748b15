//! `scold selftest`: faults planted, faults caught.

use clap::Args;
use scold_diff::{oracle, selftest};
use serde_json::json;

use crate::args::{Depth, Linkers};
use crate::exit::{Answer, Done, Failure};

/// Plant faults and count how many each oracle catches.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold selftest                          every linker's correct output, every fault
  scold selftest --linkers gnu_ld --depth bytes

Exits 1 when a fault was missed or a correct output was complained about.")]
pub(crate) struct Selftest {
    #[command(flatten)]
    linkers: Linkers,
    /// Oracles that cost at most this
    #[arg(long, value_enum, default_value_t = Depth::Bytes)]
    depth: Depth,
    /// One JSON object for machines
    #[arg(long)]
    json: bool,
}

impl Selftest {
    pub(crate) fn run(self) -> Answer {
        let oracles = oracle::up_to(self.depth.cost());
        let score = selftest::run(&self.linkers.adapters()?, &oracles, self.linkers.limit());
        if self.json {
            let line = json!({
                "planted": score.planted,
                "caught": score.caught,
                "by": score.by,
                "missed": score.missed,
                "false_alarms": score.false_alarms,
            });
            println!("{line}");
        } else {
            print!("{score}");
        }
        if score.planted == 0 {
            return Err(Failure::Environment("no linker here made anything to plant in".into()));
        }
        let clean = score.missed.is_empty() && score.false_alarms.is_empty();
        Ok(if clean { Done::Clean } else { Done::Findings })
    }
}
