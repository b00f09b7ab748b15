//! The quality of random cases: valid, varied, small, the same for the same seed.

use std::collections::BTreeMap;
use std::time::Duration;

use scold_diff::adapter::{self, Outcome, REFERENCE};

use scold_diff::model::ErrorClass;

use super::*;
use crate::case::SymbolKind;
use crate::config::KNOBS;
use crate::machine;
use crate::text;

const TARGETS: [Target; 2] = [Target::AMD64_ELF, Target::ARM64_ELF];

fn cases(target: Target, count: u64) -> impl Iterator<Item = Case> {
    (0..count).map(move |i| seeded(7, i, target, Mode::ALL[i as usize % Mode::ALL.len()]))
}

#[test]
fn a_seed_gives_the_same_case_and_its_text_reads_back() {
    for target in TARGETS {
        for (i, case) in cases(target, 300).enumerate() {
            let mode = case.mode;
            assert_eq!(case, seeded(7, i as u64, target, mode));
            assert_eq!(text::parse(&text::print(&case)).as_ref(), Ok(&case));
        }
    }
}

#[test]
fn no_bytes_are_a_small_case() {
    for target in TARGETS {
        let case = from_bytes(&[], target, None);
        assert!(text::print(&case).lines().count() < 60, "{case:?}");
    }
}

#[test]
fn few_bytes_never_panic() {
    let bytes = bytes(3, 3);
    for len in 0..600 {
        for target in TARGETS {
            let _ = from_bytes(&bytes[..len], target, None);
        }
    }
}

/// Every knob, every relocation that the forms have, every kind of symbol shows up.
#[test]
fn everything_appears() {
    TARGETS.into_iter().for_each(everything_appears_for);
}

fn everything_appears_for(target: Target) {
    let mut relocs: BTreeMap<u32, usize> = BTreeMap::new();
    let mut kinds: BTreeMap<SymbolKind, usize> = BTreeMap::new();
    let (mut lines, mut sections, mut total) = (0, 0, 0);
    for case in cases(target, 2000) {
        lines += text::print(&case).lines().count();
        for object in case.objects() {
            sections += object.sections.len();
            for reloc in object.sections.iter().flat_map(|section| &section.relocs) {
                *relocs.entry(reloc.r_type).or_default() += 1;
                total += 1;
            }
            object.symbols.iter().for_each(|s| *kinds.entry(s.kind).or_default() += 1);
        }
    }
    eprintln!(
        "per case: {} lines, {} sections, {} relocations",
        lines / 2000,
        sections / 2000,
        total / 2000
    );
    let machine = machine::of(target.arch);
    let sequences = machine.code.sequences.iter().chain(machine.code.rare);
    let of_code = sequences.flat_map(|sequence| sequence.parts).map(|part| part.1);
    let narrow = machine.narrow.iter().flat_map(|(_, distance, number)| [*distance, *number]);
    for r_type in
        of_code.chain(machine.words.iter().chain(machine.rare_words).copied()).chain(narrow)
    {
        assert!(relocs.contains_key(&r_type), "{:?}: {relocs:?}", machine.name(r_type));
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    let mut on: BTreeMap<&str, usize> = BTreeMap::new();
    for i in 0..500 {
        let bytes = bytes(7, i);
        for name in Config::draw(&mut Dice::new(&bytes)).on() {
            *on.entry(name).or_default() += 1;
        }
    }
    for knob in KNOBS.iter().filter(|knob| knob.permille > 0) {
        assert!(on.contains_key(knob.name), "{}", knob.name);
    }
}

/// At least nine of ten cases are taken, by every linker here.
#[test]
fn most_cases_link() {
    TARGETS.into_iter().for_each(most_cases_link_for);
}

fn most_cases_link_for(target: Target) {
    let count = std::env::var("SCOLD_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    for linker in adapter::select(&["all".into()], &[]).unwrap() {
        if linker.name() == REFERENCE || !linker.serves(target) {
            continue;
        }
        let (mut refused, mut unsupported) = (BTreeMap::<String, Vec<u64>>::new(), 0);
        for (i, case) in cases(target, count).enumerate() {
            match linker.link(&crate::emit::request(&case), Duration::from_secs(10)) {
                Outcome::Linked(_) => {}
                Outcome::Unsupported(_) => unsupported += 1,
                // A bug of the linker, whatever the case is like.
                Outcome::Crashed(_) => {}
                Outcome::Refused(ErrorClass::RelocUnsupported, _) => unsupported += 1,
                other => {
                    let text = format!("{other:?}");
                    let shown = text.chars().take(300).collect();
                    refused.entry(shown).or_default().push(i as u64);
                }
            }
        }
        let failures: usize = refused.values().map(Vec::len).sum();
        eprintln!(
            "{target}, {}: {failures} of {count} refused, {unsupported} unsupported",
            linker.name()
        );
        if std::env::var_os("SCOLD_VERBOSE").is_some() {
            for (text, list) in &refused {
                eprintln!("  {list:?} {text}");
            }
        }
        assert!(failures as u64 * 10 <= count, "{target}, {}: {refused:#?}", linker.name());
    }
}
