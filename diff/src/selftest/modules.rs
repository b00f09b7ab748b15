//! Faults of linkers that know build modes: each forgets a rule of what a mode adds.

use std::sync::Arc;

use super::faults::{Fault, Plant, get, put, raise, relocations, row};
use crate::desugar::{OBJECT, desugar, sample, sugared};
use crate::{File, Mode, Request, Target};

/// Every fault, one row each.
pub(super) const ROWS: &[Fault] = &[
    row("a mode adds nothing", Plant::Request(|r| plain(r, "") && drop(r))),
    row("a mode adds everything twice", Plant::Request(|r| plain(r, "") && twice(r))),
    row(
        "module data is a word further",
        Plant::Request(|r| plain(r, "") && edit(r, |kind| kind == 2, 8)),
    ),
    row(
        "init entries are a word further",
        Plant::Request(|r| plain(r, "") && edit(r, |kind| kind == 1, 8)),
    ),
    row("the list of modules starts nowhere", Plant::Request(|r| plain(r, "") && unlisted(r))),
    row(
        "the list of modules starts a word further",
        Plant::Request(|r| {
            plain(r, "") && change_in(r, "a.o", |r| get(r, 8, 4) == 1 && raise(r, 16, 8))
        }),
    ),
    row("modules are announced directly", Plant::Request(|r| plain(r, "") && direct(r))),
    row("a plugin binds its own data", Plant::Request(|r| r.mode == Mode::Plugin && symbolic(r))),
    row("a c-shared library can be closed", Plant::Request(|r| plain(r, "nodelete"))),
    row("a plugin is bound when called", Plant::Request(|r| plain(r, "now"))),
    row("a section marker is off by one", Plant::Request(|r| moved(r, 1))),
    row(
        "a section's tail is before its last word",
        Plant::Request(|r| moved(r, 0u64.wrapping_sub(8))),
    ),
    row(
        "an announced module is nobody's: its entry stays out",
        Plant::Request(|r| plain(r, "") && lost(r)),
    ),
];

/// Modules: a guest, a library with a runtime.
pub(super) fn subjects() -> Vec<Request> {
    let [append, first, last] = sample::RUNTIME;
    let guest = &["type.T", "f", "local.moduledata"][..];
    let library = &["type.T", "_rt0_amd64_linux_lib", append, first, last][..];
    [(Mode::Plugin, guest), (Mode::CShared, library)]
        .into_iter()
        .filter_map(|(mode, names)| sample::module(Target::AMD64_ELF, mode, names))
        .chain(sample::bounded(Target::AMD64_ELF, Mode::Plugin))
        .map(desugar)
        .collect()
}

/// Section bounds are so many bytes from where they are.
fn moved(request: &mut Request, by: u64) -> bool {
    change_in(request, sample::BOUNDED, |r| get(r, 8, 4) == 1 && raise(r, 16, by))
}

/// The init entries are data.
fn lost(request: &mut Request) -> bool {
    let Some(file) = request.files.iter_mut().find(|file| file.name == OBJECT) else {
        return false;
    };
    let mut bytes = file.bytes.to_vec();
    let changed = super::faults::sections(&mut bytes, |s| get(s, 4, 4) == 14 && put(s, 4, 4, 1));
    file.bytes = Arc::from(bytes);
    changed
}

/// The same as a link in no mode, without the `-z` keyword `lost`: what a mode asks for is in the flags.
fn plain(request: &mut Request, lost: &str) -> bool {
    let of_modes = matches!(request.mode, Mode::CShared | Mode::Plugin);
    if sugared(request).is_none() || !of_modes {
        return false;
    }
    let mut flags: Vec<String> =
        request.mode.args(request.target.format).iter().map(|arg| (*arg).to_owned()).collect();
    let at = flags.iter().position(|flag| flag == lost);
    if let Some(at) = at {
        flags.drain(at - 1..=at);
    }
    request.mode = Mode::Shared;
    flags.remove(0);
    request.args.splice(0..0, flags);
    lost.is_empty() || at.is_some()
}

/// What a mode changes in objects is as it was.
fn unlisted(request: &mut Request) -> bool {
    let Some(before) = sugared(request) else { return false };
    let mut changed = false;
    for file in &mut request.files {
        if let Some(old) = before.file(&file.name).filter(|old| *old != file) {
            *file = old.clone();
            changed = true;
        }
    }
    changed
}

fn drop(request: &mut Request) -> bool {
    request.args.retain(|arg| arg != OBJECT);
    true
}

fn twice(request: &mut Request) -> bool {
    let Some(bytes) = request.file(OBJECT).map(|file| file.bytes.clone()) else { return false };
    request.files.push(File { name: "again.o".into(), bytes });
    request.args.push("again.o".into());
    true
}

/// Adds to the addend of each relocation of the added object whose type is a `wanted` one.
fn edit(request: &mut Request, wanted: fn(u64) -> bool, by: u64) -> bool {
    change(request, |r| wanted(get(r, 8, 4)) && raise(r, 16, by))
}

/// PLT32 is PC32.
fn direct(request: &mut Request) -> bool {
    change(request, |r| get(r, 8, 4) == 4 && put(r, 8, 4, 2))
}

fn change(request: &mut Request, change: impl Fn(&mut [u8]) -> bool) -> bool {
    change_in(request, OBJECT, change)
}

/// The same for the relocations of any file.
fn change_in(request: &mut Request, name: &str, change: impl Fn(&mut [u8]) -> bool) -> bool {
    let Some(file) = request.files.iter_mut().find(|file| file.name == name) else {
        return false;
    };
    let mut bytes = file.bytes.to_vec();
    let changed = request.target == Target::AMD64_ELF && relocations(&mut bytes, change);
    file.bytes = Arc::from(bytes);
    changed
}

fn symbolic(request: &mut Request) -> bool {
    request.args.push("-Bsymbolic".into());
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::adapter::{Adapter as _, Outcome, Reference};
    use crate::model::elf;

    #[test]
    fn every_rule_that_is_forgotten_changes_facts() {
        let facts = |request: &Request, linked: &Request| match Reference::default()
            .link(linked, Duration::from_secs(20))
        {
            Outcome::Linked(image) => elf::facts(request, &image).to_string(),
            other => format!("{other:?}"),
        };
        for fault in ROWS {
            let shows = |request: &Request| {
                let other = fault.plant(request);
                other.is_some_and(|other| facts(request, &other) != facts(request, request))
            };
            assert!(subjects().iter().any(shows), "{}", fault.name);
        }
        // Only modes know section bounds.
        for request in subjects().into_iter().filter(|r| r.file(sample::BOUNDED).is_none()) {
            let mut same = request.clone();
            assert!(plain(&mut same, ""));
            assert_eq!(facts(&request, &same), facts(&request, &request), "flags and an object");
        }
    }
}
