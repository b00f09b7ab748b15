//! Does the judge work? Faults planted in correct images in, how many each oracle caught out.
//!
//! A [`Mutation`] breaks one named structure of a correct output; every linker's output gets all of
//! them. A [`Fault`] is a linker's, which then links many cases. Each oracle is asked alone. What nobody
//! catches is listed by name.

#[cfg(test)]
mod arm;
mod faults;
mod flips;
mod idle;
mod mutations;
mod rules;
pub(crate) mod subject;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use faults::{FAULTS, Fault};
pub use flips::{Flips, Row, run as flips};
pub use mutations::{MUTATIONS, Mutation};
pub use rules::{Caught, Rules, rules};

use crate::adapter::{Adapter, Outcome, Shared};
use crate::divergence;
use crate::oracle::{self, Evidence, ORACLES, Oracle, Trial};
use crate::{Expectation, Request};

/// Faults in outputs that nobody has to see, with the reason: mutation, subject, reason.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("PT_GNU_RELRO too long", "arm64 library", HOLE),
    ("PT_GNU_RELRO too long", "arm64 pie", HOLE),
    ("arm64: RELATIVE addend", "arm64 pie", DEAD),
    ("arm64: RELATIVE's place", "arm64 pie", DEAD),
    ("arm64: PLT entry loads another slot", "arm64 pie", NOBODY),
    ("arm64: PLT entry's register", "arm64 pie", NOBODY),
    ("DT_PLTGOT elsewhere", "arm64 pie", NOBODY),
];
const HOLE: &str = "between segments for pages of 64 KiB there is a hole";
const NOBODY: &str =
    "the only call is of a weak name that nobody has, and goes on without the entry";
const DEAD: &str = "lld leaves the slot of a load that it made an address";

/// Outputs that a linker is known to get wrong: linker, subject, what is wrong. Nothing is planted there.
const WRONG: &[(&str, &str, &str)] =
    &[("wild", "exe", "a PLT entry stands for the function, but other modules don't find it")];

/// How many faults each oracle caught, of how many.
#[derive(Clone, Default, Debug)]
pub struct Score {
    /// Planted faults.
    pub planted: usize,
    /// Caught by at least one oracle.
    pub caught: usize,
    /// By oracle.
    pub by: BTreeMap<&'static str, usize>,
    /// Linker (and subject) and mutation of what nobody caught.
    pub missed: Vec<(String, &'static str)>,
    /// Those that a few random cases did not show: with [`ENOUGH`] of them, they would be missed.
    pub undecided: Vec<(String, &'static str)>,
    /// A linker's faults that changed nothing in any case, so that nobody could catch them.
    pub unplanted: Vec<&'static str>,
    /// Those that nobody has to catch, with the reason.
    pub allowed: Vec<(&'static str, &'static str)>,
    /// Complaints about outputs with nothing planted: linker, signature.
    pub false_alarms: Vec<(String, String)>,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "planted faults caught: {} of {}", self.caught, self.planted)?;
        for (oracle, count) in &self.by {
            writeln!(f, "  {oracle:<12} {count}")?;
        }
        for (linker, mutation) in &self.missed {
            writeln!(f, "  missed: {mutation} ({linker})")?;
        }
        for (linker, fault) in &self.undecided {
            writeln!(f, "  not decided: {fault} ({linker}), with fewer than {ENOUGH} cases")?;
        }
        for fault in &self.unplanted {
            writeln!(f, "  not planted: {fault}, which changes nothing in these cases")?;
        }
        for (mutation, reason) in &self.allowed {
            writeln!(f, "  not seen: {mutation}, because {reason}")?;
        }
        for (linker, signature) in &self.false_alarms {
            writeln!(f, "  false alarm: {signature} ({linker})")?;
        }
        Ok(())
    }
}

/// A linker whose output is there already.
#[derive(Default)]
struct Canned {
    name: String,
    version: String,
    /// How it was called.
    command: Vec<String>,
    /// What it was made into.
    file_mode: Option<(u32, u32)>,
    /// What came of it where there is no such mode.
    elsewhere: Option<Outcome>,
}

impl Canned {
    fn named(name: &str) -> Shared {
        Arc::new(Self { name: name.into(), version: "1.0".into(), ..Self::default() })
    }
}

impl Adapter for Canned {
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> &str {
        &self.version
    }
    fn link(&self, _: &Request, _: Duration) -> Outcome {
        Outcome::Unsupported("its output is there already")
    }
    fn command(&self, _: &Request) -> Vec<String> {
        self.command.clone()
    }
    fn file_mode(&self, _: &Request, _: Duration) -> Option<(u32, u32)> {
        self.file_mode
    }
    fn elsewhere(&self, _: &Request, _: Duration) -> Option<Outcome> {
        self.elsewhere.clone()
    }
}

/// A correct output of a subject, and the facts that its faulty copies are held against.
struct Planted {
    subject: &'static str,
    request: Request,
    trial: Trial,
    expected: Expectation,
}

/// The outputs of `requests` by every linker that can make it.
fn subjects(
    requests: impl IntoIterator<Item = (&'static str, Request)>,
    linkers: &[Shared],
    limit: Duration,
) -> Vec<Planted> {
    let mut list = Vec::new();
    for (subject, request) in requests {
        for linker in linkers {
            let trial = Trial::run(linker, &request, limit);
            if trial.outcome.image().is_some() {
                // The correct output itself is what the faulty one is held against.
                let expected = Expectation { facts: trial.facts.clone(), ..Expectation::default() };
                list.push(Planted { subject, request: request.clone(), trial, expected });
            }
        }
    }
    list
}

impl Planted {
    /// What `oracle` says of this linker when it makes `image`.
    fn complaint(
        &self,
        image: &[u8],
        oracle: &'static dyn Oracle,
        limit: Duration,
    ) -> Option<String> {
        let name = self.trial.linker.name();
        let faulty =
            Trial::of(&Canned::named(name), &self.request, Outcome::Linked(image.to_vec()));
        // The vote needs voters: two that have the correct output.
        let voters = ["correct-1", "correct-2"]
            .map(|name| Trial { linker: Canned::named(name), ..self.trial.clone() });
        let alone = oracle.name() != "agree";
        let expected = (oracle.name() == "expected").then_some(&self.expected);
        let all: Vec<Trial> =
            std::iter::once(faulty).chain(voters.into_iter().filter(|_| !alone)).collect();
        let evidence = Evidence {
            request: &self.request,
            trials: &all,
            expected,
            rules: divergence::Rules::standard(),
            limit,
        };
        let ruling = oracle::judge(&evidence, &[oracle]);
        let own = ruling.complaints.iter().find(|c| c.linker == name);
        own.map(|complaint| complaint.signature(&self.request))
    }
}

/// Plants every fault into the output of every subject by every linker; linkers that can't link a
/// subject are left out. With `oracles` empty all are asked.
pub fn run(linkers: &[Shared], oracles: &[&'static dyn Oracle], limit: Duration) -> Score {
    let oracles = if oracles.is_empty() { ORACLES } else { oracles };
    let all = subject::all().into_iter().chain(subject::macho());
    score(&subjects(all, linkers, limit), oracles, limit)
}

/// Plants every fault into every output.
fn score(all: &[Planted], oracles: &[&'static dyn Oracle], limit: Duration) -> Score {
    let mut score =
        Score { by: oracles.iter().map(|o| (o.name(), 0)).collect(), ..Score::default() };
    for planted in all {
        let image = planted.trial.outcome.image().unwrap_or_default();
        let name = format!("{}, {}", planted.trial.linker.name(), planted.subject);
        let alarms = oracles.iter().filter_map(|oracle| planted.complaint(image, *oracle, limit));
        let alarms: Vec<String> = alarms.collect();
        if !alarms.is_empty() {
            let family = planted.trial.linker.family();
            match WRONG.iter().find(|(l, s, _)| *l == family && *s == planted.subject) {
                Some((linker, _, what)) => score.allowed.push((linker, what)),
                None => score.false_alarms.extend(alarms.into_iter().map(|a| (name.clone(), a))),
            }
            continue;
        }
        for mutation in mutations::of(image) {
            let Some(faulty) = mutation.plant(image) else { continue };
            score.planted += 1;
            let mut caught = false;
            for oracle in oracles {
                if planted.complaint(&faulty, *oracle, limit).is_some() {
                    *score.by.entry(oracle.name()).or_default() += 1;
                    caught = true;
                }
            }
            score.caught += usize::from(caught);
            if !caught {
                score.miss(mutation.name, planted.subject, name.clone());
            }
        }
    }
    score
}

impl Score {
    /// Files a fault that nobody caught.
    fn miss(&mut self, mutation: &'static str, subject: &str, name: String) {
        let known = ALLOWED.iter().find(|(m, s, _)| *m == mutation && *s == subject);
        match known {
            Some((mutation, _, reason)) => self.allowed.push((mutation, reason)),
            None => self.missed.push((name, mutation)),
        }
    }
}

/// So many random cases show each [`Fault`] of a linker.
pub const ENOUGH: u64 = 150;

impl Score {
    /// A fault may change nothing that counts in any of `cases` random cases: with too few, who caught none of
    /// it missed nothing yet.
    pub fn with_cases(mut self, cases: u64) -> Self {
        if cases < ENOUGH {
            self.undecided.append(&mut self.missed);
        }
        self
    }
}

/// Plants every fault into `linker`, which links `cases` and the subjects with it until each oracle caught
/// it. A fault that changes none of their outputs does not count.
pub fn in_linker(
    linker: &Shared,
    cases: &[(Request, Expectation)],
    oracles: &[&'static dyn Oracle],
    limit: Duration,
) -> Score {
    let mut score =
        Score { by: oracles.iter().map(|o| (o.name(), 0)).collect(), ..Score::default() };
    let told = |request: Request| {
        let facts = Trial::run(linker, &request, limit).facts;
        (request, Expectation { facts, ..Expectation::default() })
    };
    let subjects: Vec<_> = subject::for_faults().into_iter().map(told).collect();
    let cases: Vec<&(Request, Expectation)> = cases.iter().chain(&subjects).collect();
    let honest: Vec<Trial> =
        cases.iter().map(|(request, _)| Trial::run(linker, request, limit)).collect();
    for fault in FAULTS {
        let mut planted = false;
        let mut left = oracles.to_vec();
        for ((request, expected), honest) in cases.iter().zip(&honest) {
            let Some(faulty) = fault.plant(request) else { continue };
            let faulty = Trial::of(linker, request, linker.link(&faulty, limit));
            if faulty.outcome == honest.outcome {
                continue;
            }
            planted = true;
            left.retain(|oracle| {
                let say = |trial| complaints(request, expected, trial, honest, *oracle, limit);
                let found = say(&faulty);
                found.is_empty() || {
                    let before = say(honest);
                    found.iter().all(|shape| before.contains(shape))
                }
            });
            if left.is_empty() {
                break;
            }
        }
        score.planted += usize::from(planted);
        score.caught += usize::from(left.len() < oracles.len());
        if !planted {
            score.unplanted.push(fault.name);
        }
        for (oracle, count) in &mut score.by {
            *count += usize::from(planted && !left.iter().any(|other| other.name() == *oracle));
        }
        if planted && left.len() == oracles.len() {
            score.missed.push((linker.name().to_owned(), fault.name));
        }
    }
    score
}

/// What `oracle` says about `trial`; if it takes a vote, against two that link as `honest` did.
fn complaints(
    request: &Request,
    expected: &Expectation,
    trial: &Trial,
    honest: &Trial,
    oracle: &'static dyn Oracle,
    limit: Duration,
) -> Vec<String> {
    let canned = |name: &str, trial: &Trial| Trial { linker: Canned::named(name), ..trial.clone() };
    // Nobody else looks at what else it makes.
    let is_asked = oracle.name() == "modes";
    let planted = Canned {
        name: "planted".into(),
        version: "1.0".into(),
        command: trial.linker.command(request),
        file_mode: is_asked.then(|| trial.linker.file_mode(request, limit)).flatten(),
        elsewhere: is_asked.then(|| trial.linker.elsewhere(request, limit)).flatten(),
    };
    let mut trials = vec![Trial { linker: Arc::new(planted), ..trial.clone() }];
    if matches!(oracle.name(), "agree" | "execute") {
        trials.extend(["correct-1", "correct-2"].map(|name| canned(name, honest)));
    }
    let expected = (oracle.name() == "expected").then_some(expected);
    let rules = divergence::Rules::standard();
    let evidence = Evidence { request, trials: &trials, expected, rules, limit };
    let ruling = oracle::judge(&evidence, &[oracle]);
    let own = ruling
        .complaints
        .into_iter()
        .filter(|c| c.linker == "planted" && c.oracle == oracle.name());
    own.map(|complaint| complaint.shape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cases_decide_nothing() {
        let missed = vec![("reference".to_owned(), "a fault")];
        let score = |cases| Score { missed: missed.clone(), ..Score::default() }.with_cases(cases);
        assert!(score(ENOUGH - 1).missed.is_empty());
        let text = score(ENOUGH - 1).to_string();
        assert!(
            text.contains("not decided: a fault (reference), with fewer than 150 cases"),
            "{text}"
        );
        assert_eq!(score(ENOUGH).missed, missed);
        assert!(score(ENOUGH).undecided.is_empty());
    }

    /// Without the further versions of a linker.
    fn one_of_each(linkers: Vec<Shared>) -> Vec<Shared> {
        linkers.into_iter().filter(|linker| linker.name() == linker.family()).collect()
    }

    #[test]
    fn planted_faults_are_caught_and_correct_outputs_are_not() {
        let linkers = crate::adapter::select(&["all".into()], &[]).unwrap();
        let oracles = oracle::up_to(oracle::Cost::Bytes);
        let score = run(&one_of_each(linkers), &oracles, Duration::from_secs(20));
        println!("{score}");
        if score.planted == 0 {
            assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no linker here");
            println!("skipped: no linker here; apt-get install binutils");
            return;
        }
        assert!(score.missed.is_empty(), "{score}");
        assert!(score.false_alarms.is_empty(), "{score}");
        // What modes promise is planted in links of modes: `rules`.
        for (oracle, caught) in score.by.iter().filter(|(oracle, _)| **oracle != "modes") {
            assert!(*caught > 0, "{oracle} catches nothing: {score}");
        }
    }

    #[test]
    fn planted_faults_of_macho_are_caught() {
        let limit = Duration::from_secs(20);
        let linkers = crate::adapter::select(&["all".into()], &[]).unwrap();
        let all = subjects(subject::macho(), &one_of_each(linkers), limit);
        assert!(all.len() >= 8, "the reference links every subject");
        let score = score(&all, &oracle::up_to(oracle::Cost::Bytes), limit);
        println!("{score}");
        assert!(score.planted > 500, "{score}");
        assert!(score.missed.is_empty(), "{score}");
        assert!(score.false_alarms.is_empty(), "{score}");
    }

    #[test]
    fn flipped_bits_are_seen() {
        let linkers = crate::adapter::select(&["all".into()], &[]).unwrap();
        let flips = flips(&one_of_each(linkers), 5, Duration::from_secs(20));
        println!("{flips}");
        let (flipped, caught) = flips.total();
        assert!(flipped > 500, "{flips}");
        assert_eq!(caught, flipped, "{flips}");
    }

    #[test]
    fn a_linkers_faults_show_on_the_subject() {
        let linkers = crate::adapter::select(&[crate::adapter::REFERENCE.into()], &[]).unwrap();
        let oracles = oracle::up_to(oracle::Cost::Bytes);
        let score = in_linker(&linkers[0], &[], &oracles, Duration::from_secs(20));
        assert!(score.planted >= 20, "{score}");
        assert!(score.missed.is_empty(), "{score}");
        assert_eq!(score.planted + score.unplanted.len(), FAULTS.len(), "{score}");
    }
}
