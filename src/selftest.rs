//! `scold selftest`: faults planted, faults caught.

use clap::Args;
use scold_diff::adapter::{self, REFERENCE};
use scold_diff::selftest::{self, Caught, Rules, Score};
use scold_diff::{Mode, Target, oracle};
use scold_fuzz::{emit, expect, generate};
use serde_json::{Value, json};

use crate::args::{Depth, Linkers};
use crate::exit::{Answer, Done, Failure};

/// Plant faults and count how many each oracle catches.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold selftest                          every linker's correct output, every fault
  scold selftest --linkers gnu_ld --depth bytes

Also breaks each rule of a build mode in the reference linker, on each target that has it, and names the
oracles that saw it.

Exits 1 when a fault was missed or a correct output was complained about; flipped bits are only counted.")]
pub(crate) struct Selftest {
    #[command(flatten)]
    linkers: Linkers,
    /// Oracles that cost at most this
    #[arg(long, value_enum, default_value_t = Depth::Bytes)]
    depth: Depth,
    /// Bits of each part of each correct output that are flipped, one at a time; 0 for none
    #[arg(long, default_value_t = 40, value_name = "N")]
    bits: u64,
    /// Random cases that the reference links with each of its own faults; with fewer than the default, those that
    /// show nothing are said to be undecided
    #[arg(long, default_value_t = selftest::ENOUGH, value_name = "N")]
    cases: u64,
    /// One JSON object for machines
    #[arg(long)]
    json: bool,
}

impl Selftest {
    pub(crate) fn run(self) -> Answer {
        let oracles = oracle::up_to(self.depth.cost());
        let score = selftest::run(&self.linkers.adapters()?, &oracles, self.linkers.limit());
        let case = |number| {
            let mode = Mode::ALL[number as usize % Mode::ALL.len()];
            let case = generate::seeded(1, number, Target::AMD64_ELF, mode);
            (emit::request(&case), expect::expect(&case))
        };
        let module = |number: u64| {
            let mode = Mode::ALL[number as usize % Mode::ALL.len()];
            let case = generate::modules::seeded(1, number, Target::AMD64_ELF, mode)?;
            Some((emit::request(&case), expect::expect(&case)))
        };
        let modules = (0..self.cases / 5).filter_map(module);
        let cases: Vec<_> = (0..self.cases).map(case).chain(modules).collect();
        let reference = adapter::select(&[REFERENCE.into()], &[]).map_err(Failure::Environment)?;
        let inside = selftest::in_linker(&reference[0], &cases, &oracles, self.linkers.limit());
        let inside = inside.with_cases(self.cases);
        let rules = selftest::rules(&reference[0], &oracles, self.linkers.limit());
        let flips = selftest::flips(&self.linkers.adapters()?, self.bits, self.linkers.limit());
        if self.json {
            let (flipped, caught) = flips.total();
            let rows = flips.rows.iter().map(|(name, row)| {
                let idle: u64 = row.idle.values().sum();
                let counts = json!({"flipped": row.flipped, "caught": row.caught, "idle": idle});
                (name.clone(), counts)
            });
            let bits = json!({
                "flipped": flipped,
                "caught": caught,
                "parts": rows.collect::<serde_json::Map<_, _>>(),
            });
            println!(
                "{}",
                json!({
                    "outputs": object(&score),
                    "linker": object(&inside),
                    "rules": rows_of(&rules),
                    "bits": bits,
                })
            );
        } else {
            print!("In correct outputs:\n{score}\nIn the reference linker:\n{inside}\n{rules}\n");
            print!("In bits of correct outputs:\n{flips}");
        }
        if score.planted == 0 {
            return Err(Failure::Environment("no linker here made anything to plant in".into()));
        }
        let clean = |score: &Score| score.missed.is_empty() && score.false_alarms.is_empty();
        let unbroken = rules.missed().count() == 0;
        Ok(if clean(&score) && clean(&inside) && unbroken { Done::Clean } else { Done::Findings })
    }
}

/// A row for each rule, fault and target, with the oracles that saw it.
fn rows_of(rules: &Rules) -> Value {
    let row = |caught: &Caught| {
        json!({
            "rule": caught.rule,
            "fault": caught.fault,
            "target": caught.target.name(),
            "caught_by": caught.oracles,
        })
    };
    rules.0.iter().map(row).collect()
}

fn object(score: &Score) -> Value {
    json!({
        "planted": score.planted,
        "caught": score.caught,
        "by": score.by,
        "missed": score.missed,
        "undecided": score.undecided,
        "unplanted": score.unplanted,
        "allowed": score.allowed,
        "false_alarms": score.false_alarms,
    })
}
