//! Same plan, same findings, whatever the threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use scold_diff::oracle::{Complaint, Verdict};
use scold_diff::{Mode, Target};

use super::schedule::Source;
use super::{Bounds, Case, Engine, Examination, Examine, Outcome, Schedule, Sighting, run};
use crate::case::{Opt, Validity};

/// A case that carries its number.
fn case(number: u64, mode: Mode) -> Case {
    Case {
        target: Target::AMD64_ELF,
        mode,
        validity: Validity::Defined,
        options: vec![Opt::Soname(number.to_string())],
        inputs: Vec::new(),
        versions: None,
        beside: Vec::new(),
    }
}

fn number(case: &Case) -> u64 {
    match &case.options[0] {
        Opt::Soname(name) => name.parse().expect("a number"),
        other => panic!("{other:?}"),
    }
}

/// Every 7th case shows something of one of three signatures.
struct Fake;

impl Examine for Fake {
    fn examine(&self, case: &Case) -> Examination {
        let n = number(case);
        // Uneven work, so that threads overtake each other.
        std::thread::sleep(std::time::Duration::from_micros(n * 37 % 50));
        let sightings = (n % 7 == 3).then(|| Sighting {
            signature: format!("s{}", n % 3),
            complaint: Complaint {
                oracle: "expected",
                linker: format!("linker-{}", n % 2),
                shape: "site missing".into(),
                keys: Vec::new(),
                detail: n.to_string(),
                known: None,
            },
        });
        let verdict = if sightings.is_some() { Verdict::Divergent } else { Verdict::Agree };
        Examination {
            skipped: Vec::new(),
            links: 2,
            verdicts: vec![("x".into(), verdict)],
            open: BTreeMap::new(),
            sightings: sightings.into_iter().collect(),
            known: BTreeSet::from(["BUGS.md 1".to_owned()]),
        }
    }
}

fn schedule(modes: &[Mode]) -> Schedule {
    let mode = |n| if n % 2 == 0 { Mode::Shared } else { Mode::Exe };
    let source = Source { len: None, case: Arc::new(move |n| Some(case(n, mode(n)))) };
    Schedule::new(vec![source], modes, 1)
}

fn hunt(jobs: usize, modes: &[Mode]) -> Outcome {
    let bounds = Bounds { jobs, cases: Some(200), time: None };
    run(&schedule(modes), bounds, &Fake, &AtomicBool::new(false), &())
}

#[test]
fn threads_do_not_change_what_is_found() {
    let summary = |outcome: &Outcome| {
        outcome
            .found
            .iter()
            .map(|f| (f.sighting.signature.clone(), f.number, f.count, f.linkers.clone()))
            .collect::<Vec<_>>()
    };
    let one = hunt(1, &[]);
    assert_eq!((one.totals.cases, one.totals.links, one.totals.findings), (200, 400, 3));
    assert_eq!(one.totals.known["BUGS.md 1"], 200);
    assert_eq!(one.totals.verdicts["x"].get(Verdict::Divergent), 29);
    assert_eq!(one.found[0].number, 3);
    assert_eq!(one.found[0].linkers.len(), 2);
    for jobs in [2, 4] {
        assert_eq!(summary(&hunt(jobs, &[])), summary(&one));
    }
}

#[test]
fn other_modes_are_left_out() {
    let outcome = hunt(2, &[Mode::Exe]);
    assert_eq!(outcome.totals.cases, 200);
    assert!(outcome.found.iter().all(|f| f.case.mode == Mode::Exe));
}

#[test]
fn a_cancelled_hunt_ends_and_keeps_what_it_has() {
    let cancel = AtomicBool::new(true);
    let bounds = Bounds { jobs: 2, cases: None, time: None };
    let outcome = run(&schedule(&[]), bounds, &Fake, &cancel, &());
    assert!(outcome.cancelled && outcome.totals.cases == 0);
}

#[test]
fn engines_are_known_by_name() {
    for engine in Engine::ALL {
        assert_eq!(engine.name().parse(), Ok(*engine));
    }
    assert!("fuzz".parse::<Engine>().is_err());
}
