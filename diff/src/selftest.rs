//! Does the judge work? Faults planted in correct images in, how many each oracle caught out.
//!
//! A [`Mutation`] breaks one named structure of a correct output; every linker's output gets all of
//! them. A [`Fault`] is a linker's, which then links many cases. Each oracle is asked alone. What nobody
//! catches is listed by name.

mod faults;
mod mutations;
pub(crate) mod subject;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use faults::{FAULTS, Fault};
pub use mutations::{MUTATIONS, Mutation};

use crate::adapter::{Adapter, Outcome, Shared};
use crate::divergence::Rules;
use crate::oracle::{self, Evidence, ORACLES, Oracle, Trial};
use crate::{Expectation, Request};

/// How many faults each oracle caught, of how many.
#[derive(Clone, Default, Debug)]
pub struct Score {
    /// Planted faults.
    pub planted: usize,
    /// Caught by at least one oracle.
    pub caught: usize,
    /// By oracle.
    pub by: BTreeMap<&'static str, usize>,
    /// Linker and mutation of what nobody caught.
    pub missed: Vec<(String, &'static str)>,
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
        for (linker, signature) in &self.false_alarms {
            writeln!(f, "  false alarm: {signature} ({linker})")?;
        }
        Ok(())
    }
}

/// A linker whose output is there already.
struct Canned {
    name: String,
    version: String,
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
}

/// Plants every fault into the output of every linker; linkers that can't link the subject are left
/// out. With `oracles` empty all are asked.
pub fn run(linkers: &[Shared], oracles: &[&'static dyn Oracle], limit: Duration) -> Score {
    let request = subject::request();
    let oracles = if oracles.is_empty() { ORACLES } else { oracles };
    let mut score =
        Score { by: oracles.iter().map(|o| (o.name(), 0)).collect(), ..Score::default() };
    let trials: Vec<Trial> = linkers
        .iter()
        .map(|linker| Trial::run(linker, &request, limit))
        .filter(|trial| trial.outcome.image().is_some())
        .collect();
    let rules = Rules::standard();
    for trial in &trials {
        // The correct output itself is what the faulty one is held against.
        let expected = Expectation { facts: trial.facts.clone(), ..Expectation::default() };
        let image = trial.outcome.image().unwrap_or_default();
        let name = trial.linker.name();
        let ask = |faulty: &[u8], oracle: &'static dyn Oracle| {
            let canned: Shared = Arc::new(Canned { name: name.into(), version: "1.0".into() });
            let faulty = Trial::of(&canned, &request, Outcome::Linked(faulty.to_vec()));
            // The vote needs voters: two that have the correct output.
            let voters = ["correct-1", "correct-2"].map(|name| {
                let linker: Shared = Arc::new(Canned { name: name.into(), version: "1.0".into() });
                Trial { linker, ..trial.clone() }
            });
            let alone = oracle.name() != "agree";
            let expected = (oracle.name() == "expected").then_some(&expected);
            let all: Vec<Trial> =
                std::iter::once(faulty).chain(voters.into_iter().filter(|_| !alone)).collect();
            let evidence = Evidence { request: &request, trials: &all, expected, rules, limit };
            let ruling = oracle::judge(&evidence, &[oracle]);
            ruling.complaints.iter().find(|c| c.linker == name).map(|c| c.signature(&request))
        };
        for oracle in oracles {
            let alarm = ask(image, *oracle);
            score.false_alarms.extend(alarm.map(|signature| (name.to_owned(), signature)));
        }
        for mutation in MUTATIONS {
            let mut faulty = image.to_vec();
            if !(mutation.apply)(&mut faulty) || faulty == image {
                continue;
            }
            score.planted += 1;
            let mut caught = false;
            for oracle in oracles {
                if ask(&faulty, *oracle).is_some() {
                    *score.by.entry(oracle.name()).or_default() += 1;
                    caught = true;
                }
            }
            score.caught += usize::from(caught);
            if !caught {
                score.missed.push((name.to_owned(), mutation.name));
            }
        }
    }
    score
}

/// Plants every fault into `linker`, which links `cases` and the subject with it until each oracle caught
/// it. A fault that changes none of their outputs does not count.
pub fn in_linker(
    linker: &Shared,
    cases: &[(Request, Expectation)],
    oracles: &[&'static dyn Oracle],
    limit: Duration,
) -> Score {
    let mut score =
        Score { by: oracles.iter().map(|o| (o.name(), 0)).collect(), ..Score::default() };
    let subject = subject::request();
    let facts = Trial::run(linker, &subject, limit).facts;
    let subject = (subject, Expectation { facts, ..Expectation::default() });
    let cases: Vec<&(Request, Expectation)> = cases.iter().chain([&subject]).collect();
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
    let canned = |name: &str, trial: &Trial| {
        let linker: Shared = Arc::new(Canned { name: name.into(), version: "1.0".into() });
        Trial { linker, ..trial.clone() }
    };
    let mut trials = vec![canned("planted", trial)];
    if matches!(oracle.name(), "agree" | "execute") {
        trials.extend(["correct-1", "correct-2"].map(|name| canned(name, honest)));
    }
    let expected = (oracle.name() == "expected").then_some(expected);
    let rules = Rules::standard();
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
    fn planted_faults_are_caught_and_correct_outputs_are_not() {
        let linkers = crate::adapter::select(&["all".into()], &[]).unwrap();
        let oracles = oracle::up_to(oracle::Cost::Bytes);
        let score = run(&linkers, &oracles, Duration::from_secs(20));
        println!("{score}");
        if score.planted == 0 {
            assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no linker here");
            println!("skipped: no linker here; apt-get install binutils");
            return;
        }
        assert!(score.caught * 50 >= score.planted * 49, "{score}");
        assert!(score.false_alarms.is_empty(), "{score}");
        for (oracle, caught) in &score.by {
            assert!(*caught > 0, "{oracle} catches nothing: {score}");
        }
    }

    #[test]
    fn a_linkers_faults_show_on_the_subject() {
        let linkers = crate::adapter::select(&[crate::adapter::REFERENCE.into()], &[]).unwrap();
        let oracles = oracle::up_to(oracle::Cost::Bytes);
        let score = in_linker(&linkers[0], &[], &oracles, Duration::from_secs(20));
        assert!(score.planted >= 15, "{score}");
        assert!(score.caught * 10 >= score.planted * 9, "{score}");
    }
}
