//! The quality of Mach-O's cases: valid, varied, the same for the same seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scold_diff::adapter::{self, Outcome, REFERENCE};
use scold_diff::model::ErrorClass;
use scold_diff::model::macho::is_linkers;
use scold_diff::{Mode, Target};

use super::{matrix, sweep};
use crate::case::{Binding, Definition, SectionKind};
use crate::generate::{bytes, from_bytes, seeded};
use crate::machine::Form;
use crate::{Case, emit, expect, machine, text};

const TARGETS: [Target; 2] = [Target::AMD64_MACHO, Target::ARM64_MACHO];
const MODES: [Mode; 4] = [Mode::CShared, Mode::Plugin, Mode::Shared, Mode::Pie];

fn cases(target: Target, count: u64) -> impl Iterator<Item = Case> {
    (0..count).map(move |i| seeded(7, i, target, MODES[i as usize % 4]))
}

#[test]
fn a_seed_gives_the_same_case_and_its_text_reads_back() {
    for target in TARGETS {
        for (i, case) in cases(target, 200).enumerate() {
            assert_eq!(case, seeded(7, i as u64, target, case.mode));
            assert_eq!(text::parse(&text::print(&case)).as_ref(), Ok(&case));
        }
        let matrix = (0..matrix::count()).step_by(3001).filter_map(|n| matrix::case(target, n));
        let sweep = (0..sweep::count(target)).step_by(601).filter_map(|n| sweep::case(target, n));
        for case in matrix.chain(sweep) {
            assert_eq!(text::parse(&text::print(&case)).as_ref(), Ok(&case));
        }
    }
}

#[test]
fn few_bytes_never_panic() {
    let bytes = bytes(3, 3);
    for len in 0..400 {
        for target in TARGETS {
            let _ = from_bytes(&bytes[..len], target, None);
        }
    }
}

/// Every relocation that objects have, every kind of section and of definition shows up.
#[test]
fn everything_appears() {
    for target in TARGETS {
        let mut relocs: BTreeSet<u32> = BTreeSet::new();
        let mut kinds: BTreeSet<SectionKind> = BTreeSet::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for case in cases(target, 600) {
            seen.extend(case.options.iter().map(|option| match option {
                crate::case::Opt::GcSections => "dead strip",
                crate::case::Opt::Exported(_) | crate::case::Opt::Unexported(_) => "lists",
                crate::case::Opt::DynamicLookup => "lookup",
                crate::case::Opt::AsNeeded => "needed only",
                _ => "option",
            }));
            for object in case.objects() {
                seen.insert(if object.subsections { "atoms" } else { "sections" });
                for symbol in &object.symbols {
                    seen.extend(is_linkers(&symbol.name).then_some("the linker's"));
                    seen.extend(symbol.desc.alt_entry.then_some("alt entry"));
                    seen.extend(symbol.desc.can_be_hidden.then_some("can be hidden"));
                    seen.extend(symbol.desc.no_dead_strip.then_some("no dead strip"));
                    seen.insert(match (symbol.definition, symbol.binding) {
                        (Definition::Undefined, Binding::Weak) => "weak reference",
                        (Definition::Undefined, _) => "reference",
                        (Definition::Common { .. }, _) => "common",
                        (Definition::Absolute(_), _) => "number",
                        (_, Binding::Weak) => "weak",
                        _ => "definition",
                    });
                }
                for section in &object.sections {
                    kinds.insert(section.kind);
                    relocs.extend(section.relocs.iter().map(|reloc| reloc.r_type));
                }
            }
        }
        assert_eq!(seen.len(), 17, "{seen:?}");
        assert_eq!(kinds.len(), 12, "{kinds:?}");
        let sweep = (0..sweep::count(target)).step_by(16).filter_map(|n| sweep::case(target, n));
        for case in sweep {
            let sections = case.objects().into_iter().flat_map(|object| &object.sections);
            relocs.extend(sections.flat_map(|s| &s.relocs).map(|reloc| reloc.r_type));
        }
        for row in machine::rows(target).0.iter().filter(|row| row.form != Form::Addend) {
            assert!(relocs.contains(&row.number), "{}", row.name);
        }
    }
}

/// At least nine of ten cases are taken, by every linker here.
#[test]
fn most_cases_link() {
    for linker in adapter::select(&["all".into()], &[]).unwrap() {
        for target in TARGETS.into_iter().filter(|target| linker.serves(*target)) {
            if linker.name() == REFERENCE {
                continue;
            }
            let mut refused = BTreeMap::<String, Vec<u64>>::new();
            for (i, case) in (0..).zip(cases(target, 100)) {
                match linker.link(&emit::request(&case), Duration::from_secs(10)) {
                    // A crash is a bug of the linker, whatever the case is like.
                    Outcome::Linked(_) | Outcome::Unsupported(_) | Outcome::Crashed(_) => {}
                    Outcome::Refused(ErrorClass::RelocUnsupported, _) => {}
                    other => {
                        let shown = format!("{other:?}").chars().take(200).collect();
                        refused.entry(shown).or_default().push(i);
                    }
                }
            }
            let failures: usize = refused.values().map(Vec::len).sum();
            assert!(failures <= 10, "{target}, {}: {refused:#?}", linker.name());
        }
    }
}

/// What opens a case as a whole hides most differences: few may be open, none for the reference.
#[test]
fn few_cases_are_open_as_a_whole() {
    for target in TARGETS {
        let mut whole = 0;
        for case in cases(target, 500) {
            let expectation = expect::expect(&case);
            let open = expectation.open.iter().filter(|open| open.family.is_none());
            assert!(open.clone().all(|open| open.policy), "{case:?}");
            whole += usize::from(open.count() > 0);
        }
        assert!(whole <= 25, "{target}: {whole} of 500");
    }
}
