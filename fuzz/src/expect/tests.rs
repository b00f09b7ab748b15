//! Expectations held against real linkers: by hand on known cases, and over the exhaustive engines.

use std::collections::{BTreeMap, BTreeSet};
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
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
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
        for reason in judgement.unjudged.iter().map(|u| u.1).collect::<BTreeSet<_>>() {
            *reasons.entry(reason).or_default() += 1;
        }
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
    for (reason, count) in reasons {
        eprintln!("{count:6} x not judged: {reason}");
    }
    let mut shapes: Vec<_> = shapes.into_iter().collect();
    shapes.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (shape, (count, example)) in &shapes {
        eprintln!("== {count} x {shape}\n{example}\n");
    }
    bad
}

/// `SCOLD_SURVEY=LINKER/ENGINE/STEP[/MODE] cargo test -p scold-fuzz survey -- --nocapture`: a tool for
/// people, that does nothing unasked.
#[test]
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

/// An open without a family, or of every relocation, hides most differences of a case: few cases may
/// have one, and none for the reference, which is held to the project's policy.
#[test]
fn few_cases_are_open_as_a_whole() {
    const CASES: usize = 1000;
    let modes = scold_diff::Mode::ALL;
    let mut whole: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = 0;
    for i in 0..CASES {
        let case = generate::seeded(7, i as u64, Target::AMD64_ELF, modes[i % modes.len()]);
        let expectation = expect(&case);
        assert!(
            expectation.open.iter().all(|open| open.family.is_some() || open.policy),
            "{case:?}"
        );
        let mut reasons: Vec<&str> = Vec::new();
        let all = |open: &&scold_diff::expectation::Open| {
            open.family.is_none_or(|family| family == scold_diff::Family::Site)
                && &*open.rest == "*"
        };
        let opens = expectation.open.iter().filter(all);
        reasons.extend(opens.map(|open| open.reason));
        reasons.sort_unstable();
        reasons.dedup();
        count += usize::from(!reasons.is_empty());
        for reason in reasons {
            *whole.entry(reason).or_default() += 1;
        }
    }
    assert!(count * 100 <= CASES * CEILING, "{count} of {CASES}: {whole:#?}");
}

/// What the reference's output of this case has under these keys; it is what is expected.
fn agreed(text: &str, keys: &[&str]) -> Vec<String> {
    let case = crate::text::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let reference = &adapter::select(&[adapter::REFERENCE.to_owned()], &[]).unwrap()[0];
    let request = emit::request(&case);
    let outcome = reference.link(&request, Duration::from_secs(10));
    let Outcome::Linked(image) = outcome else { panic!("{outcome:?}\n{text}") };
    let facts = elf::facts(&request, &image);
    let judgement = expect(&case).judge(&facts, Strictness::Reference);
    assert!(judgement.is_agreement(), "{judgement:#?}\n{text}");
    let find = |key: &&str| {
        let found = facts.iter().find(|(found, _)| found.to_string() == **key);
        found.map_or_else(|| "absent".to_owned(), |(_, value)| value.to_string())
    };
    keys.iter().map(find).collect()
}

/// Old tables are run from their ends, by numbers that count down.
#[test]
fn constructors_run_from_the_last() {
    let word = "hex 00 00 00 00 00 00 00 00";
    let list = |name: &str, kind: &str, words: &[(u32, &str)]| {
        let hex: String = words.iter().map(|_| format!("    {word}\n")).collect();
        let relocs: String = words
            .iter()
            .map(|(at, name)| format!("    reloc {at:#x} R_X86_64_64 {name}\n"))
            .collect();
        format!("  section {name} {kind} aw align=8 {{\n{hex}{relocs}  }}\n")
    };
    let sections = list(".ctors", "progbits", &[(0, "a"), (8, "b")])
        + &list(".ctors.65435", "progbits", &[(0, "c")])
        + &list(".init_array.00099", "init_array", &[(0, "d")]);
    let symbols: String = ["a", "b", "c", "d"]
        .iter()
        .zip(16..)
        .map(|(name, at)| format!("  symbol {name} local func at .text+{at:#x} size 1\n"))
        .collect();
    let text = format!(
        "case amd64-elf shared\nobject a.o {{\n  section .text progbits ax align=1 marker {{\n    hex c3 c3 c3 \
         c3\n  }}\n{sections}{symbols}}}\n"
    );
    let places = agreed(&text, &["init.0", "init.1", "init.2", "init.3", "init.4"]);
    let place = |at: u32| format!("a.o:.text+{at:#x}");
    assert_eq!(places, [place(0x13), place(0x12), place(0x11), place(0x10), "absent".to_owned()]);
}

/// AAELF32 leaves it to the platform, and linkers to their options, what R_ARM_TARGET1 is.
#[test]
fn target1_is_what_the_options_say() {
    let text = |option: &str, section: &str| {
        let name = section.split(' ').next().unwrap_or_default();
        format!(
            "case arm-elf c-shared\n{option}object a.o {{\n  section {section} align=4 marker {{\n    hex 00 00 00 00\n    \
             reloc 0x10 R_ARM_TARGET1 x\n  }}\n  symbol x global object hidden at {name}+0x10 size 4\n}}\n"
        )
    };
    // Only a distance can be where the loader doesn't write.
    let (data, constant) = (".data progbits aw", ".rodata progbits a");
    for (option, section, key) in [
        ("", data, "a.o:.data+0x10"),
        ("option target1-abs\n", data, "a.o:.data+0x10"),
        ("option target1-rel\n", data, "a.o:.data+0x10"),
        ("option target1-rel\n", constant, "a.o:.rodata+0x10"),
    ] {
        let text = text(option, section);
        assert_eq!(agreed(&text, &[&format!("site.{key}")]), [key], "{text}");
    }
    let fixed = crate::text::parse(&text("option target1-abs\n", constant)).unwrap();
    assert!(emit::request(&fixed).args.contains(&"--target1-abs".to_owned()));
}

/// Of a Go module that the reference links, every fact is demanded or forbidden: no key is left out.
#[test]
fn nothing_is_open_of_modules() {
    let reference = &adapter::select(&[adapter::REFERENCE.to_owned()], &[]).unwrap()[0];
    let mut started = BTreeSet::new();
    for target in [Target::AMD64_ELF, Target::ARM64_ELF, Target::ARM_ELF] {
        let modules = (0..200).filter_map(|i: u64| {
            let mode = scold_diff::Mode::ALL[i as usize % scold_diff::Mode::ALL.len()];
            generate::modules::seeded(12, i, target, mode)
        });
        for case in modules {
            let request = emit::request(&case);
            let Outcome::Linked(image) = reference.link(&request, Duration::from_secs(10)) else {
                continue;
            };
            let facts = elf::facts(&request, &image);
            let judgement = expect(&case).judge(&facts, Strictness::Reference);
            assert!(judgement.is_agreement(), "{judgement:#?}\n{case:?}");
            let name = super::module_entry(target, case.goos());
            let starts = request.file(scold_diff::desugar::OBJECT).is_some_and(|file| {
                file.bytes.windows(name.len()).any(|part| part == name.as_bytes())
            });
            started.extend(starts.then(|| (target, case.goos())));
        }
    }
    // Every machine's start, on both systems.
    assert_eq!(started.len(), 6, "{started:?}");
}

/// In percent.
const CEILING: usize = 2;

/// One object with a word that refers to a symbol, linked beside `other`.
fn word_to(symbol: crate::case::Symbol, mode: scold_diff::Mode) -> Case {
    use crate::case::{
        Data, Input, Marker, Reloc, Section, SectionFlags, SectionKind, SymbolRef, Validity,
    };
    let data = Section {
        name: ".data".into(),
        kind: SectionKind::Progbits,
        flags: SectionFlags { alloc: true, write: true, ..SectionFlags::default() },
        align: 8,
        entsize: 0,
        marker: Marker::Head,
        data: Data::Bytes(vec![0; 8]),
        relocs: vec![Reloc { offset: 16, r_type: 1, symbol: SymbolRef::Named(0), addend: 0 }],
        link_order: None,
    };
    let object = crate::case::Object {
        name: "a.o".into(),
        sections: vec![data],
        symbols: vec![symbol],
        groups: Vec::new(),
        subsections: false,
    };
    Case {
        target: Target::AMD64_ELF,
        mode,
        validity: Validity::Defined,
        options: Vec::new(),
        inputs: vec![Input::Object(object)],
        versions: None,
        beside: Vec::new(),
    }
}

#[test]
fn a_word_means_what_binding_and_mode_make_of_it() {
    use crate::case::{Binding, Definition, Symbol, SymbolKind, Visibility};
    use scold_diff::{Family, Key, Mode};
    let symbol = |binding, visibility, definition| Symbol {
        name: "x".into(),
        binding,
        kind: SymbolKind::Object,
        visibility,
        size: 8,
        definition,
        desc: Default::default(),
    };
    let here = Definition::Section { section: 0, offset: 16 };
    let gone = Definition::Undefined;
    let (global, weak) = (Binding::Global, Binding::Weak);
    let (open, hidden) = (Visibility::Default, Visibility::Hidden);
    let cases = [
        (symbol(global, open, here), Mode::Shared, "dynamic x"),
        (symbol(global, open, here), Mode::CShared, "a.o:.data+0x10"),
        (symbol(global, open, here), Mode::Pie, "a.o:.data+0x10"),
        (symbol(global, hidden, here), Mode::Plugin, "a.o:.data+0x10"),
        (symbol(global, Visibility::Protected, here), Mode::Shared, "a.o:.data+0x10"),
        (symbol(global, open, gone), Mode::CShared, "dynamic x"),
        (symbol(weak, hidden, gone), Mode::Shared, "absolute 0x0"),
        (symbol(global, open, Definition::Absolute(7)), Mode::Pie, "absolute 0x7"),
        (symbol(global, open, Definition::Common { align: 8 }), Mode::Exe, "a.o:COMMON.x+0x0"),
    ];
    for (symbol, mode, meaning) in cases {
        let case = word_to(symbol, mode);
        let key = Key::new(Family::Site, "a.o:.data+0x10");
        let found = expect(&case).facts.get(&key).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(meaning), "{case:?}");
    }
    for (mode, visibility) in [(Mode::Exe, open), (Mode::Shared, hidden)] {
        let expectation = expect(&word_to(symbol(global, visibility, gone), mode));
        assert_eq!(expectation.facts.error(), Some(scold_diff::model::ErrorClass::UndefinedSymbol));
    }
}

#[test]
fn random_cases_are_expected_to_be_something() {
    for i in 0..300 {
        let mode = scold_diff::Mode::ALL[i as usize % scold_diff::Mode::ALL.len()];
        let case = generate::seeded(11, i, Target::AMD64_ELF, mode);
        assert!(expect(&case).facts.iter().next().is_some());
    }
}

/// What collection keeps for a library's sake only depends on whether the library is there by then.
#[test]
fn what_an_unneeded_library_keeps_is_left_to_policy() {
    let text = |how: &str| {
        format!(
            "case amd64-elf pie\noption gc-sections\nobject a.o {{\n  section .text progbits ax align=1 marker {{\n    \
             hex c3\n  }}\n  symbol f global func at .text+0x10\n}}\nlibrary libl.so{how} {{\n  symbol f global \
             func alias 7 size 16\n}}\n"
        )
    };
    let open = |how: &str| {
        let case = crate::text::parse(&text(how)).unwrap();
        expect(&case).open.iter().any(|open| open.family.is_none())
    };
    assert!(open(" as-needed"));
    assert!(!open(""));
}
