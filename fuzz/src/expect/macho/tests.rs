//! Expectations of Mach-O held against real linkers over the exhaustive engines and random cases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scold_diff::adapter::{self, Outcome, Shared};
use scold_diff::expectation::Strictness;
use scold_diff::{Family, Key, Mode, Target, model};

use crate::expect::expect;
use crate::generate::macho::{matrix, sweep};
use crate::generate::seeded;
use crate::{Case, emit, text};

const TARGETS: [Target; 2] = [Target::AMD64_MACHO, Target::ARM64_MACHO];
const MODES: [Mode; 4] = [Mode::CShared, Mode::Plugin, Mode::Shared, Mode::Pie];

/// Every `step`-th case of an engine; so many random ones.
fn cases(target: Target, engine: &str, step: u64) -> Box<dyn Iterator<Item = Case>> {
    match engine {
        "matrix" => Box::new(
            (0..matrix::count())
                .step_by(step as usize)
                .filter_map(move |n| matrix::case(target, n)),
        ),
        "sweep" => Box::new(
            (0..sweep::count(target))
                .step_by(step as usize)
                .filter_map(move |n| sweep::case(target, n)),
        ),
        _ => Box::new((0..step).map(move |n| seeded(7, n, target, MODES[n as usize % 4]))),
    }
}

/// What a linker gets wrong, by shape, with how often and the first case that shows it.
fn survey(
    linker: &Shared,
    cases: impl Iterator<Item = Case>,
    strictness: Strictness,
) -> BTreeMap<String, (usize, String)> {
    let mut shapes: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut total, mut refused) = (0, 0);
    for case in cases {
        total += 1;
        let expectation = expect(&case);
        let request = emit::request(&case);
        let (facts, said) = match linker.link(&request, Duration::from_secs(30)) {
            Outcome::Linked(image) => (model::facts(&request, &image), String::new()),
            Outcome::Refused(class, said) => {
                refused += 1;
                (scold_diff::Facts::refused(class), said)
            }
            other => {
                let shape = format!("{other:?}").chars().take(60).collect();
                shapes.entry(shape).or_default().0 += 1;
                continue;
            }
        };
        let judgement = expectation.judge(&facts, strictness);
        for reason in judgement.unjudged.iter().map(|u| u.1).collect::<BTreeSet<_>>() {
            *reasons.entry(reason).or_default() += 1;
        }
        for wrong in judgement.wrong {
            let show = |v: &Option<scold_diff::Value>| {
                let text = v.as_ref().map_or("-".to_owned(), ToString::to_string);
                text.replace(|c: char| c.is_ascii_digit(), "")
            };
            let (wanted, found) = (show(&wrong.expected), show(&wrong.found));
            let shape = format!("{} {wanted} | {found}", wrong.key.family.name());
            let entry = shapes.entry(shape).or_default();
            entry.0 += 1;
            if entry.1.is_empty() {
                let line = said.lines().next().unwrap_or_default();
                entry.1 = format!("{}: {line}\n{case:?}", wrong.key);
            }
        }
    }
    eprintln!("{}: {total} cases, {refused} refused", linker.name());
    for (reason, count) in reasons {
        eprintln!("{count:6} x not judged: {reason}");
    }
    shapes
}

/// `SCOLD_SURVEY_MACHO=LINKER/TARGET/ENGINE/STEP cargo test -p scold-fuzz survey_macho -- --nocapture`: a
/// tool for people, that does nothing unasked.
#[test]
fn survey_macho() {
    let Ok(wish) = std::env::var("SCOLD_SURVEY_MACHO") else { return };
    let parts: Vec<&str> = wish.split('/').collect();
    let [name, target, engine, step] = parts[..] else { panic!("LINKER/TARGET/ENGINE/STEP") };
    let linkers = adapter::select(&[name.to_owned()], &[]).expect("no such linker");
    let reference = name == "reference";
    let strictness = if reference { Strictness::Reference } else { Strictness::Spec };
    let target = target.parse().expect("no such target");
    let list = cases(target, engine, step.parse().expect("a number"));
    let mut shapes: Vec<_> = survey(&linkers[0], list, strictness).into_iter().collect();
    shapes.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (shape, (count, example)) in &shapes {
        eprintln!("== {count} x {shape}\n{example}\n");
    }
}

#[test]
fn the_reference_gives_what_is_expected() {
    let reference = adapter::select(&["reference".into()], &[]).expect("ours is always there");
    for target in TARGETS {
        for (engine, step) in [("matrix", 1009), ("sweep", 211), ("random", 150)] {
            let list = cases(target, engine, step);
            let wrong = survey(&reference[0], list, Strictness::Reference);
            assert!(wrong.is_empty(), "{target} {engine}: {wrong:#?}");
        }
    }
}

/// Branches over more than they reach go by thunks.
#[test]
fn the_reference_reaches_over_gaps() {
    let reference = adapter::select(&["reference".into()], &[]).expect("ours is always there");
    let target = Target::ARM64_MACHO;
    let far = |case: &Case| {
        let sections = case.objects().into_iter().flat_map(|object| &object.sections);
        sections.map(|section| section.size()).sum::<u64>() > 1 << 20
    };
    let list = (0..).map(|n| seeded(7, n, target, MODES[n as usize % 4])).filter(far).take(3);
    let wrong = survey(&reference[0], list, Strictness::Reference);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A weak function lost, in a section that stays: who leaves its entry out needs no import of its routine.
#[test]
fn the_routine_of_a_lost_copy_is_left_to_policy() {
    let expected = expect(
        &text::parse(include_str!("../../../../corpus/regress/macho-routine-of-a-lost-copy.case"))
            .unwrap(),
    );
    let import = Key::new(Family::Import, "_routine@flat");
    assert!(expected.facts.get(&import).is_some(), "{}", expected.facts);
    assert!(expected.open_reason(&import, Strictness::Spec).is_some());
    assert!(expected.open_reason(&import, Strictness::Reference).is_none());
}
