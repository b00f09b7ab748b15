//! Worlds that are right do what they must on every machine, and each rule that a linker forgets shows.

use std::sync::Arc;
use std::time::Duration;

use scold_diff::adapter::{Adapter, Outcome, Reference, Shared};
use scold_diff::desugar::{self, OBJECT, TAIL};
use scold_diff::oracle::Cost;
use scold_diff::request::Format;
use scold_diff::{File, Mode, Request, Target};

use crate::campaign::{Examine, Sighting};
use crate::examine::Bench;
use crate::generate::{macho, worlds};
use crate::{Case, settle};

const LIMIT: Duration = Duration::from_secs(60);
const MODES: [Mode; 4] = [Mode::Plugin, Mode::Pie, Mode::Exe, Mode::CShared];

fn cases(target: Target, count: u64) -> impl Iterator<Item = Case> {
    let world = match target.format {
        Format::Elf => worlds::seeded,
        Format::Macho => macho::worlds::seeded,
    };
    (0..count).filter_map(move |n| world(11, n, target, MODES[n as usize % MODES.len()]))
}

/// What is wrong, and whether it could be run.
fn complaints(linker: &Shared, case: &Case) -> (Vec<String>, bool) {
    let examined = Bench::new(vec![linker.clone()], Cost::Runs, LIMIT).examined(case);
    let ran = examined.ruling.skipped.is_empty();
    let list = examined.ruling.complaints.iter();
    (list.map(|c| format!("{} {}: {:?}", c.oracle, c.shape, c.keys)).collect(), ran)
}

#[test]
fn modules_run_together_in_every_order() {
    let linker: Shared = Arc::new(Reference::default());
    for target in Target::ALL {
        for case in cases(*target, 16) {
            let (list, ran) = complaints(&linker, &case);
            assert!(list.is_empty(), "{list:#?}\n{case:?}");
            if !ran {
                assert_ne!(
                    std::env::var("SCOLD_REQUIRE").as_deref(),
                    Ok("all"),
                    "nothing runs {target}"
                );
                println!("skipped: nothing here runs {target} modules");
                break;
            }
        }
    }
}

/// What a linker takes a request for.
type Change = fn(&mut Request);

/// A linker that forgets a rule of build modes.
struct Forgetful(Change);

impl Adapter for Forgetful {
    fn name(&self) -> &str {
        "forgetful"
    }
    fn version(&self) -> &str {
        "0"
    }
    fn link(&self, request: &Request, limit: Duration) -> Outcome {
        let mut request = request.clone();
        // What a mode asks for, in flags.
        let flags = request.mode.args(request.target.format).iter().map(|arg| (*arg).to_owned());
        match request.target.format {
            Format::Elf if request.mode.is_library() => {
                request.args.splice(0..0, flags.skip(1));
                request.mode = Mode::Shared;
                (self.0)(&mut request);
            }
            Format::Elf => {}
            // Flags before others: no object comes first, so that no mode is asked for.
            Format::Macho => {
                // Only modes order data here.
                if let Some(at) = request.args.iter().position(|arg| arg == "-order_file") {
                    request.args.drain(at..at + 2);
                }
                request.args.splice(0..0, flags);
                if request.mode.is_library() {
                    request.mode = Mode::CShared;
                }
                (self.0)(&mut request);
            }
        }
        Reference::default().link(&request, limit)
    }
}

/// Takes `-z KEYWORD` away.
fn without(request: &mut Request, keyword: &str) {
    if let Some(at) = request.args.iter().position(|arg| arg == keyword) {
        request.args.drain(at - 1..=at);
    }
}

fn guest(request: &Request) -> bool {
    request.args.iter().any(|arg| arg == "now")
}

/// Whether it asks for bounds of sections, which can't be defined twice, nor be left out.
fn bounded(request: &Request) -> bool {
    request.args.iter().any(|arg| arg == TAIL)
}

/// Adds what the mode adds once more.
fn again(request: &mut Request) {
    if bounded(request) {
        return;
    }
    if let Some(bytes) = request.file(OBJECT).map(|file| file.bytes.clone()) {
        request.files.push(File { name: "again.o".into(), bytes });
        request.args.push("again.o".into());
    }
}

/// Whether some world of `target` shows that a linker forgets `rule`; nothing here may run them.
fn is_caught(target: Target, rule: &str, fault: Change) -> bool {
    let linker: Shared = Arc::new(Forgetful(fault));
    let mut ran = true;
    let caught = cases(target, 60).any(|case| {
        let (list, all) = complaints(&linker, &case);
        ran &= all;
        list.iter().any(|c| c.starts_with("execute") && c.contains(rule))
    });
    caught || !ran
}

#[test]
fn each_forgotten_rule_is_seen_at_run_time() {
    let faults: [(&str, Change); 6] = [
        ("module list", |r| {
            // Nothing is announced.
            if guest(r) && !bounded(r) {
                r.args.retain(|arg| arg != OBJECT);
            }
        }),
        ("module list", |r| {
            // Everything is announced twice.
            if guest(r) {
                again(r);
            }
        }),
        ("one copy", |r| {
            if guest(r) {
                r.args.push("-Bsymbolic".into());
            }
        }),
        ("section bounds", |r| {
            // Every section ends before its contents.
            if let Some(at) = r.args.iter().position(|arg| arg == TAIL) {
                let tail = r.args.remove(at);
                r.args.insert(0, tail);
            }
        }),
        ("unload", |r| without(r, "nodelete")),
        ("init functions", |r| {
            // A library's runtime starts twice.
            if !guest(r) {
                again(r);
            }
        }),
    ];
    for (rule, fault) in faults {
        assert!(is_caught(Target::AMD64_ELF, rule, fault), "{rule}");
    }
    // The same linker with nothing forgotten.
    let linker: Shared = Arc::new(Forgetful(|_| ()));
    for case in cases(Target::AMD64_ELF, 12) {
        let (list, _) = complaints(&linker, &case);
        assert!(list.iter().all(|c| !c.starts_with("execute")), "{list:#?}");
    }
}

/// Takes what the mode adds away.
fn without_object(request: &mut Request) {
    request.args.retain(|arg| arg != OBJECT);
}

fn is_flat(request: &Request) -> bool {
    request.args.iter().any(|arg| arg == "-flat_namespace")
}

#[test]
fn each_forgotten_rule_of_darwin_is_seen_at_run_time() {
    let faults: [(&str, Change); 5] = [
        // Nothing is announced.
        ("module list", |r| {
            if is_flat(r) {
                without_object(r)
            }
        }),
        // Everything is announced twice.
        ("module list", |r| {
            if is_flat(r) {
                again(r)
            }
        }),
        // The list has no end.
        ("module list", |r| {
            let mut plain = r.clone();
            let at = plain.args.iter().position(|arg| arg == OBJECT).unwrap_or(0);
            plain.args.drain(..at);
            // A guest has none, but constants that dyld writes.
            if let Some(before) = desugar::sugared(&plain).filter(|_| !is_flat(r)) {
                for file in &mut r.files {
                    if let Some(old) = before.file(&file.name) {
                        file.bytes = old.bytes.clone();
                    }
                }
            }
        }),
        // A plugin has a namespace of its own.
        ("one copy", |r| r.args.retain(|arg| arg != "-flat_namespace")),
        // A library's runtime is not started.
        ("init functions", |r| {
            if !is_flat(r) {
                without_object(r)
            }
        }),
    ];
    for (rule, fault) in faults {
        assert!(is_caught(Target::AMD64_MACHO, rule, fault), "{rule}");
    }
    // The same linker with nothing forgotten.
    let linker: Shared = Arc::new(Forgetful(|_| ()));
    for case in cases(Target::AMD64_MACHO, 12) {
        let (list, _) = complaints(&linker, &case);
        assert!(list.iter().all(|c| !c.starts_with("execute")), "{list:#?}");
    }
}

/// What one link of a world shows by itself is that link's: the folder is written of it, not of the world's first.
#[test]
fn what_one_link_shows_is_that_links() {
    let fault: Change = |r| without(r, "now");
    let linkers: Vec<Shared> = vec![Arc::new(Forgetful(fault))];
    let bench = Bench::new(linkers, Cost::Bytes, LIMIT);
    let mut seen = 0;
    for case in cases(Target::AMD64_ELF, 30).filter(|case| case.mode != Mode::Plugin) {
        let sightings = bench.examine(&case).sightings;
        let now = |s: &Sighting| s.complaint.keys.iter().any(|key| key.key == "dynamic.now");
        let Some(sighting) = sightings.into_iter().find(now) else { continue };
        let small = settle::alone(&bench, &case, &sighting.signature);
        assert_eq!((small.mode, small.beside.len()), (Mode::Plugin, 0), "{case:?}");
        assert!(settle::shows(&bench, &small, &sighting.signature));
        seen += 1;
    }
    assert!(seen > 0, "a plugin binds late in some world");
}
