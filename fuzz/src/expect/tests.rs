//! Expectations held against real linkers: by hand on known cases, and over the exhaustive engines.

use std::collections::BTreeMap;
use std::time::Duration;

use scold_diff::Target;
use scold_diff::adapter::{self, Outcome, Shared};
use scold_diff::expectation::Strictness;
use scold_diff::model::elf;

use super::expect;
use crate::generate::{self, matrix, sweep};
use crate::{Case, emit};

/// What one linker gets wrong over many cases, by shape, with the first case that shows it.
fn survey(linker: &Shared, cases: impl Iterator<Item = Case>, strictness: Strictness) -> usize {
    let mut shapes: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let (mut total, mut bad, mut unjudged) = (0, 0, 0);
    for case in cases {
        total += 1;
        let request = emit::request(&case);
        let expectation = expect(&case);
        let facts = match linker.link(&request, Duration::from_secs(10)) {
            Outcome::Linked(image) => elf::facts(&request, &image),
            Outcome::Refused(class, message) => {
                let judgement = expectation.judge(&scold_diff::Facts::refused(class), strictness);
                if !judgement.wrong.is_empty() {
                    bad += 1;
                    let line = message.lines().find(|l| l.contains("error")).unwrap_or(&message);
                    let shape = format!("refused {class:?}, wanted {:?}", expectation.refusal);
                    let entry = shapes.entry(shape).or_default();
                    entry.0 += 1;
                    if entry.1.is_empty() {
                        entry.1 = format!("{line}\n{case:?}");
                    }
                }
                continue;
            }
            other => {
                shapes.entry(format!("{other:?}").chars().take(60).collect()).or_default().0 += 1;
                continue;
            }
        };
        let judgement = expectation.judge(&facts, strictness);
        unjudged += usize::from(!judgement.unjudged.is_empty());
        bad += usize::from(!judgement.wrong.is_empty());
        for wrong in judgement.wrong {
            let show = |v: &Option<scold_diff::Value>| {
                let text = v.as_ref().map_or("-".to_owned(), ToString::to_string);
                text.replace(|c: char| c.is_ascii_digit(), "")
            };
            let shape = format!(
                "{} {} | {}",
                wrong.key.family.name(),
                show(&wrong.expected),
                show(&wrong.found)
            );
            let entry = shapes.entry(shape).or_default();
            entry.0 += 1;
            if entry.1.is_empty() {
                entry.1 =
                    format!("{}: {:?} / {:?}\n{case:?}", wrong.key, wrong.expected, wrong.found);
            }
        }
    }
    let name = linker.name();
    eprintln!("{name}: {total} cases, {bad} disagree, {unjudged} partly unjudged");
    let mut shapes: Vec<_> = shapes.into_iter().collect();
    shapes.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (shape, (count, example)) in &shapes {
        eprintln!("== {count} x {shape}\n{example}\n");
    }
    bad
}

/// `SCOLD_SURVEY=LINKER/ENGINE/STEP[/MODE]`: a tool for people, run by hand.
#[test]
#[ignore = "a tool: SCOLD_SURVEY=lld/matrix/7 cargo test -p scold-fuzz survey -- --ignored --nocapture"]
fn survey_a_linker() {
    let Ok(wish) = std::env::var("SCOLD_SURVEY") else { return };
    let mut parts = wish.split('/');
    let (name, engine) = (parts.next().unwrap_or(""), parts.next().unwrap_or("matrix"));
    let step: usize = parts.next().and_then(|s| s.parse().ok()).unwrap_or(7);
    let mode = parts.next();
    let linkers = adapter::select(&[name.to_owned()], &[]).expect("no such linker");
    let linker = &linkers[0];
    let target = Target::AMD64_ELF;
    let strictness = if name == "reference" { Strictness::Reference } else { Strictness::Spec };
    let chosen = |case: &Case| mode.is_none_or(|mode| case.mode.name() == mode);
    match engine {
        "matrix" => survey(linker, matrix::matrix(target).filter(chosen).step_by(step), strictness),
        "sweep" => survey(linker, sweep::sweep(target).filter(chosen).step_by(step), strictness),
        _ => {
            let modes = scold_diff::Mode::ALL;
            let seeded = |i: usize| generate::seeded(7, i as u64, target, modes[i % modes.len()]);
            survey(linker, (0..step).map(seeded).filter(chosen), strictness)
        }
    };
}
