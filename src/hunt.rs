//! `scold hunt`: generate, link with everyone, judge, reduce, write folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use scold_diff::adapter::Shared;
use scold_diff::oracle::Verdict;
use scold_fuzz::campaign::{self, Bounds, Outcome, Tally};
use scold_fuzz::examine::{Bench, remember_panics};
use scold_fuzz::reduce::Budget;
use scold_fuzz::settle::{Settle, Settled};
use serde::Serialize;

use crate::args::{Depth, Linkers, Plan, default_jobs};
use crate::exit::{Answer, Done, Failure};
use crate::out::{errln, outln};
use crate::progress::Progress;

/// Generate cases, link them with every linker, report what can't be explained.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold hunt --time 60                           a minute with every linker here
  scold hunt --engine matrix --linkers lld,mold  every pair of symbol kinds with two of them
  scold hunt --linkers reference --cases 100000  in process: the reference against the specs
  scold hunt --linker mine=./ld --time 600       your own linker against the rest
  scold hunt --seed 7 --cases 5000 --json        the same findings every time, for machines

Each finding is a folder with the case, the objects, a script that shows the bug, and a report.")]
pub(crate) struct Hunt {
    #[command(flatten)]
    linkers: Linkers,
    #[command(flatten)]
    plan: Plan,
    /// Stop after this many cases
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// Stop after this many seconds (reducing what was found comes after)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    time: Option<u64>,
    /// Threads
    #[arg(long, short, default_value_t = default_jobs(), value_name = "N", value_parser = jobs)]
    jobs: usize,
    /// Oracles that cost at most this
    #[arg(long, value_enum, default_value_t = Depth::Runs)]
    depth: Depth,
    /// Where findings go, a folder each
    #[arg(long, default_value = "findings", value_name = "DIR")]
    out: PathBuf,
    /// Write findings as they were found
    #[arg(long)]
    no_reduce: bool,
    /// Seconds that reducing one finding may take
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    reduce_time: u64,
    /// JSON lines for machines; the last one is the summary
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
}

impl Hunt {
    pub(crate) fn run(self) -> Answer {
        let adapters = self.linkers.adapters()?;
        let seed = self.plan.seed.unwrap_or_else(clock);
        let schedule = self.plan.schedule(seed)?;
        writable(&self.out)?;
        let bench = Bench::new(adapters.clone(), self.depth.cost(), self.linkers.limit());
        let cancel = on_interrupt()?;
        remember_panics();

        let progress = Progress::new(self.cases, self.quiet, self.json);
        if !self.json {
            let names: Vec<&str> = adapters.iter().map(|linker| linker.name()).collect();
            progress.say(&format!("hunting with seed {seed}: {}", names.join(", ")));
            for target in self.plan.targets()? {
                let idle = adapters.iter().filter(|linker| !linker.serves(target));
                let idle: Vec<&str> = idle.map(|linker| linker.name()).collect();
                if !idle.is_empty() {
                    progress.say(&format!("not asked for {target}: {}", idle.join(", ")));
                }
            }
        }
        let time = self.time.map(Duration::from_secs);
        let bounds = Bounds { jobs: self.jobs, cases: self.cases, time };
        let outcome = campaign::run(&schedule, bounds, &bench, &cancel, &progress);
        let reduce = !self.no_reduce && !outcome.cancelled;
        if !outcome.found.is_empty() {
            let doing = if reduce { "reducing" } else { "writing" };
            progress.say(&format!("{doing} {} findings", outcome.found.len()));
        }
        let budget = Budget { time: Duration::from_secs(self.reduce_time), ..Budget::default() };
        let settle = Settle {
            bench: &bench,
            budget: reduce.then_some(budget),
            root: &self.out,
            origin: &format!("hunt {}", self.plan.spelled(seed)),
            jobs: self.jobs,
        };
        let settled = settle
            .all(&outcome.found, &cancel)
            .map_err(|error| Failure::environment(self.out.display(), error))?;
        progress.finish();
        if self.json {
            let line = summary(&outcome, &settled);
            outln!("{}", line.map_err(|error| Failure::environment("json", error))?);
        } else {
            report(seed, &adapters, &outcome, &settled);
        }
        Ok(if settled.is_empty() { Done::Clean } else { Done::Findings })
    }
}

/// A seed for those who gave none.
fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs() ^ u64::from(now.subsec_micros()))
}

/// More threads than any machine has cores for are a slip of the finger.
const MOST_JOBS: usize = 4096;

/// At least one thread.
fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one thread is needed".into()),
        Ok(jobs) if jobs > MOST_JOBS => Err(format!("{MOST_JOBS} threads at most")),
        Ok(jobs) => Ok(jobs),
        Err(error) => Err(format!("{error}")),
    }
}

/// Fails if findings can't be written to `folder`: before the hunt, not after it. Leaves nothing there.
fn writable(folder: &Path) -> Result<(), Failure> {
    let new: Vec<&Path> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    let probe = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    for path in new {
        // Only what is empty goes.
        let _ = std::fs::remove_dir(path);
    }
    probe.map(drop).map_err(|error| Failure::environment(folder.display(), error))
}

/// Becomes true at the first Ctrl-C or SIGTERM; the second one ends the program at once.
fn on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let cancel = Arc::new(AtomicBool::new(false));
    let seen = cancel.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        errln!("\nfinishing; what was found is kept (Ctrl-C again: stop at once)");
    })
    .map_err(|error| Failure::environment("Ctrl-C", error))?;
    Ok(cancel)
}

/// The one line that machines read last, its fields in this order.
#[derive(Serialize)]
struct Summary<'a> {
    cases: u64,
    links: u64,
    /// Looks that this machine did not allow.
    skipped: &'a BTreeMap<String, u64>,
    seconds: f64,
    verdicts: BTreeMap<&'a str, Counts<'a>>,
    findings: Vec<Line<'a>>,
    /// In how many cases each known bug showed.
    known: &'a BTreeMap<String, u64>,
}

/// How often each verdict was given to a linker.
#[derive(Serialize)]
struct Counts<'a> {
    agree: u64,
    divergent: u64,
    poisoned: u64,
    refused: u64,
    crashed: u64,
    hung: u64,
    /// Of all these, how often keys differed that the specs leave open.
    open: u64,
    /// In how many of these cases for each reason.
    open_by_reason: &'a BTreeMap<&'static str, u64>,
}

impl<'a> Counts<'a> {
    fn of(tally: &'a Tally) -> Self {
        Self {
            agree: tally.get(Verdict::Agree),
            divergent: tally.get(Verdict::Divergent),
            poisoned: tally.get(Verdict::Poisoned),
            refused: tally.get(Verdict::Refused),
            crashed: tally.get(Verdict::Crashed),
            hung: tally.get(Verdict::Hung),
            open: tally.open,
            open_by_reason: &tally.reasons,
        }
    }
}

/// A finding.
#[derive(Serialize)]
struct Line<'a> {
    signature: &'a str,
    linkers: &'a [String],
    class: &'a str,
    path: &'a Path,
}

fn summary(outcome: &Outcome, settled: &[Settled]) -> serde_json::Result<String> {
    let verdicts = &outcome.totals.verdicts;
    serde_json::to_string(&Summary {
        cases: outcome.totals.cases,
        links: outcome.totals.links,
        skipped: &outcome.totals.skipped,
        seconds: (outcome.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        verdicts: verdicts.iter().map(|(linker, tally)| (&**linker, Counts::of(tally))).collect(),
        findings: settled
            .iter()
            .map(|finding| Line {
                signature: &finding.signature,
                linkers: &finding.linkers,
                class: finding.class,
                path: &finding.path,
            })
            .collect(),
        known: &outcome.totals.known,
    })
}

fn report(seed: u64, adapters: &[Shared], outcome: &Outcome, settled: &[Settled]) {
    let seconds = outcome.elapsed.as_secs_f64().max(0.001);
    let (cases, links) = (outcome.totals.cases, outcome.totals.links);
    outln!(
        "seed {seed} · {cases} cases · {links} links · {seconds:.1} s · {:.0} cases/s · {:.0} links/s\n",
        cases as f64 / seconds,
        links as f64 / seconds
    );
    crate::print::tallies(adapters, &outcome.totals.verdicts);
    let known = &outcome.totals.known;
    if !known.is_empty() {
        let number = |bug: &str| bug.rsplit(' ').next().and_then(|n| n.parse::<u32>().ok());
        let mut list: Vec<_> = known.iter().collect();
        list.sort_by_key(|(bug, _)| number(bug));
        let each = list.iter().map(|(bug, count)| format!("{bug} ({count})"));
        outln!("\nknown bugs seen (cases): {}", each.collect::<Vec<_>>().join(", "));
    }
    let mut open: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in outcome.totals.verdicts.values().flat_map(|tally| &tally.reasons) {
        *open.entry(reason).or_default() += count;
    }
    if !open.is_empty() {
        let each = open.iter().map(|(reason, count)| format!("{reason} ({count})"));
        outln!("\nnot judged (links): {}", each.collect::<Vec<_>>().join(", "));
    }
    for (why, count) in &outcome.totals.skipped {
        outln!("\nskipped {count} times: {why}");
    }
    let bold = anstyle::Style::new().bold();
    outln!("\n{bold}{} findings{bold:#}", settled.len());
    for finding in settled {
        let red = anstyle::AnsiColor::Red.on_default();
        let plural = if finding.count == 1 { "case" } else { "cases" };
        outln!(
            "  {red}{:<9}{red:#} {}  ({} {plural})\n            {}\n            {}",
            finding.class,
            finding.signature,
            finding.count,
            finding.summary,
            finding.path.display()
        );
    }
}
