//! Expectations of Mach-O held against the reference.

use std::collections::BTreeMap;
use std::time::Duration;

use scold_diff::Target;
use scold_diff::adapter::{self, Outcome};
use scold_diff::expectation::Strictness;

use crate::expect::expect;
use crate::generate::macho::{matrix, sweep};
use crate::{Case, emit};

#[test]
fn refusals() {
    let Ok(wish) = std::env::var("SCOLD_SURVEY") else { return };
    let mut parts = wish.split('/');
    let name = parts.next().unwrap();
    let target: Target = parts.next().unwrap().parse().unwrap();
    let engine = parts.next().unwrap();
    let step: usize = parts.next().unwrap().parse().unwrap();
    let linkers = adapter::select(&[name.to_owned()], &[]).unwrap();
    let cases: Box<dyn Iterator<Item = Case>> = match engine {
        "matrix" => {
            Box::new((0..matrix::count()).step_by(step).filter_map(|n| matrix::case(target, n)))
        }
        _ => {
            Box::new((0..sweep::count(target)).step_by(step).filter_map(|n| sweep::case(target, n)))
        }
    };
    let mut shapes: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut refused = 0;
    let mut count = 0;
    for case in cases {
        count += 1;
        let expectation = expect(&case);
        let request = emit::request(&case);
        let outcome = linkers[0].link(&request, Duration::from_secs(10));
        let (facts, said) = match &outcome {
            Outcome::Linked(_) => (scold_diff::Facts::default(), String::new()),
            Outcome::Refused(class, said) => {
                refused += 1;
                (scold_diff::Facts::refused(*class), said.clone())
            }
            other => panic!("{other:?}"),
        };
        let judgement = expectation.judge(&facts, Strictness::Reference);
        for wrong in judgement.wrong.iter().filter(|w| w.key.family == scold_diff::Family::Error) {
            let line = said.lines().next().unwrap_or("").to_owned();
            let shape = format!("{:?} {:?} {:?}", expectation.refusal, wrong.found, 0);
            let entry = shapes.entry(shape).or_default();
            entry.0 += 1;
            if entry.1.is_empty() {
                entry.1 = format!("{line}\n{case:?}");
            }
        }
    }
    eprintln!("{count} cases, {refused} refused");
    for (shape, (count, example)) in &shapes {
        eprintln!("== {count} x {shape}\n{example}\n");
    }
}
