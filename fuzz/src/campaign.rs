//! The hunt: a plan → cases → examinations → verdicts counted per linker, findings folded by signature.
//!
//! Case *i* of a plan is a function of the plan alone, and a finding is represented by the lowest case
//! that showed it: neither threads nor time change what is found, only how far a hunt gets.
//!
//! It must not know how a case is judged ([`Examine`] does), nor who watches ([`Watch`] does): it
//! prints nothing.

mod engines;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use engines::sources;
pub use schedule::{Engine, Schedule, Source};

use scold_diff::oracle::{Complaint, Verdict};

use crate::Case;

/// How often each verdict was given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    verdicts: [u64; 6],
    /// How often keys differed that the specs leave open, whatever the verdict.
    pub open: u64,
    /// Of these, in how many cases for each reason.
    pub reasons: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, verdict: Verdict) {
        self.verdicts[verdict as usize] += 1;
    }

    /// How often `verdict` was given.
    pub fn get(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }
}

/// Something wrong that one case showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// What folds duplicates: oracle, key shape, linker, architecture.
    pub signature: String,
    /// What an oracle said.
    pub complaint: Complaint,
}

impl Sighting {
    /// How it shows: `silent`, `refused`, `accepted`, `crash`, `hang`; `panic` is scold's own.
    pub fn class(&self) -> &'static str {
        if self.complaint.oracle == "scold" { "panic" } else { self.complaint.class() }
    }

    /// Who is blamed.
    pub fn linkers(&self) -> impl Iterator<Item = &str> {
        self.complaint.linker.split('|')
    }
}

/// What examining one case gave.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Examination {
    /// Links that were made.
    pub links: u64,
    /// One verdict for each linker that was asked.
    pub verdicts: Vec<(String, Verdict)>,
    /// Linkers that were not judged on every key, and why not.
    pub open: BTreeMap<String, BTreeSet<&'static str>>,
    /// What an oracle could not look at because this machine failed it: why.
    pub skipped: Vec<String>,
    /// What was wrong.
    pub sightings: Vec<Sighting>,
    /// Bugs that showed and are known already, each once.
    pub known: BTreeSet<String>,
}

/// Judges one case with everything there is to judge it with.
pub trait Examine: Sync {
    /// Links and compares; never panics, whatever the linkers do.
    fn examine(&self, case: &Case) -> Examination;
}

/// Sees a hunt go on; called from its threads.
pub trait Watch: Sync {
    /// One more case is done.
    fn advanced(&self, so_far: &Totals) {
        let _ = so_far;
    }

    /// A signature was seen for the first time.
    fn found(&self, found: &Found) {
        let _ = found;
    }
}

/// Nobody watches.
impl Watch for () {}

/// What a hunt counted.
#[derive(Clone, Default, Debug)]
pub struct Totals {
    /// Cases examined.
    pub cases: u64,
    /// Links made.
    pub links: u64,
    /// How often an oracle could not look because this machine failed it, by the reason.
    pub skipped: BTreeMap<String, u64>,
    /// Signatures seen.
    pub findings: u64,
    /// Verdicts by linker.
    pub verdicts: BTreeMap<String, Tally>,
    /// In how many cases each known bug showed.
    pub known: BTreeMap<String, u64>,
}

/// A finding: every sighting with one signature.
#[derive(Clone)]
pub struct Found {
    /// The lowest case that showed it.
    pub case: Case,
    /// Its number in the plan.
    pub number: u64,
    /// What that case showed.
    pub sighting: Sighting,
    /// Who was blamed in any case.
    pub linkers: BTreeSet<String>,
    /// How many cases showed it.
    pub count: u64,
}

/// How far a hunt goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Threads; at least one.
    pub jobs: usize,
    /// Cases at most.
    pub cases: Option<u64>,
    /// Wall time; cases under way are finished.
    pub time: Option<Duration>,
}

/// What a hunt came to.
#[derive(Clone)]
pub struct Outcome {
    /// What it counted.
    pub totals: Totals,
    /// What it found, by signature.
    pub found: Vec<Found>,
    /// How long it took.
    pub elapsed: Duration,
    /// It was told to stop.
    pub cancelled: bool,
}

/// Hunts along `schedule` until it ends, a bound is met, or `cancel` becomes true.
pub fn run(
    schedule: &Schedule,
    bounds: Bounds,
    examiner: &dyn Examine,
    cancel: &AtomicBool,
    watch: &dyn Watch,
) -> Outcome {
    let started = Instant::now();
    let queue = Mutex::new(Queue { next: 0, left: bounds.cases });
    let state = Mutex::new(State::default());
    let worker = || {
        while !cancel.load(Ordering::Relaxed) && bounds.time.is_none_or(|t| started.elapsed() < t) {
            let Some((number, case)) = lock(&queue).take(schedule) else { break };
            let examination = examiner.examine(&case);
            lock(&state).fold(number, *case, examination, watch);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..bounds.jobs.max(1) {
            scope.spawn(worker);
        }
        worker();
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    Outcome {
        totals: state.totals,
        found: state.found.into_values().collect(),
        elapsed: started.elapsed(),
        cancelled: cancel.load(Ordering::Relaxed),
    }
}

/// What comes next. Numbers without a case don't count, so cases are made one after the other; that
/// takes a small part of the time that examining one takes.
struct Queue {
    next: u64,
    left: Option<u64>,
}

impl Queue {
    fn take(&mut self, schedule: &Schedule) -> Option<(u64, Box<Case>)> {
        if self.left == Some(0) {
            return None;
        }
        loop {
            let number = self.next;
            self.next += 1;
            match schedule.case(number) {
                schedule::Slot::Case(case) => {
                    self.left = self.left.map(|left| left - 1);
                    return Some((number, case));
                }
                schedule::Slot::Empty => {}
                schedule::Slot::End => return None,
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct State {
    totals: Totals,
    found: BTreeMap<String, Found>,
}

/// How many reasons for skipping are told apart.
const MOST_REASONS: usize = 16;

impl State {
    fn fold(&mut self, number: u64, case: Case, examination: Examination, watch: &dyn Watch) {
        self.totals.cases += 1;
        self.totals.links += examination.links;
        for why in examination.skipped {
            // One reason for all that come after many: they may have numbers in them.
            let known = self.totals.skipped.contains_key(&why);
            let many = !known && self.totals.skipped.len() >= MOST_REASONS;
            let why = if many { "other reasons".into() } else { why };
            *self.totals.skipped.entry(why).or_default() += 1;
        }
        for (linker, verdict) in examination.verdicts {
            self.totals.verdicts.entry(linker).or_default().add(verdict);
        }
        for (linker, reasons) in examination.open {
            let tally = self.totals.verdicts.entry(linker).or_default();
            tally.open += 1;
            for reason in reasons {
                *tally.reasons.entry(reason).or_default() += 1;
            }
        }
        for bug in examination.known {
            *self.totals.known.entry(bug).or_default() += 1;
        }
        let mut counted = BTreeSet::new();
        for sighting in examination.sightings {
            // A case shows a signature once, however many keys of it differ.
            let first = counted.insert(sighting.signature.clone());
            match self.found.get_mut(&sighting.signature) {
                Some(found) => {
                    found.count += u64::from(first);
                    found.linkers.extend(sighting.linkers().map(str::to_owned));
                    if number < found.number {
                        (found.number, found.case, found.sighting) =
                            (number, case.clone(), sighting);
                    }
                }
                None => {
                    let linkers = sighting.linkers().map(str::to_owned).collect();
                    let signature = sighting.signature.clone();
                    let found = Found { case: case.clone(), number, sighting, linkers, count: 1 };
                    self.totals.findings += 1;
                    watch.found(&found);
                    self.found.insert(signature, found);
                }
            }
        }
        watch.advanced(&self.totals);
    }
}

#[cfg(test)]
mod tests;
