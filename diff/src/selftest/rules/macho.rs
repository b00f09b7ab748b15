//! The rules of darwin, each broken on both machines.
//!
//! A linker that breaks one links as ld64 does in no mode when it is given the mode's options, the object that the
//! mode adds as the judge has it, and a module whose data is laid out already, but for the mistake.

mod module;

use super::{Planted, Row, linked, refused, row};
use crate::desugar::OBJECT;
use crate::{Mode, Request, Target};
use module::{Change, Made, link};

const STARTS: &str = "a library starts its runtime once";
const TELLS: &str = "a module tells its host's runtime of its data once, through a stub";
const LISTS: &str = "a module with the runtime is the list's first and last";
const FLAT: &str = "a plugin's names are looked up in all images, a library's are its own";
const NOW: &str = "a plugin is bound when it is loaded";
const ROOM: &str = "a plugin has room for the load command that Go adds";
const TABLES: &str = "a plugin's fixups do not count segments";
const EXPORTS: &str = "what is not local is exported";
const FIXED: &str = "read-only data with addresses is no part of __TEXT";
const BOUNDS: &str = "markers are a plugin's first and last symbols, with a size";
const ORDER: &str = "data lies by size, then as it came";
const PLACES: &str = "a mode is refused where a system has none, in Go's words";
const FILES: &str = "a library is no executable file";

/// Every fault.
pub(super) const ROWS: &[Row] = &[
    row(STARTS, "no init entry", |t| start(t, Change::NoEntry)),
    row(STARTS, "two init entries", |t| start(t, Change::TwoEntries)),
    row(STARTS, "the init entry is a word further", |t| start(t, Change::EntryMoved)),
    row(TELLS, "no init entry", |t| guest(t, Change::NoEntry)),
    row(TELLS, "two init entries", |t| guest(t, Change::TwoEntries)),
    row(TELLS, "the module data is a word further", |t| guest(t, Change::DataMoved)),
    row(TELLS, "addmoduledata not through a stub", |t| guest(t, Change::OwnCall)),
    row(LISTS, "runtime.lastmoduledatap is not set", list),
    row(FLAT, "-flat_namespace is lost", |t| lost(t, "-flat_namespace")),
    row(FLAT, "-flat_namespace in a c-shared library", flat),
    row(NOW, "-bind_at_load is lost", |t| lost(t, "-bind_at_load")),
    row(ROOM, "-headerpad 1144 in decimal", |t| swapped(t, "1144", "478")),
    row(TABLES, "-no_fixup_chains is lost", |t| swapped(t, "-no_fixup_chains", "-fixup_chains")),
    row(EXPORTS, "a type is private", |t| guest(t, Change::Private)),
    row(EXPORTS, "a type has no underscore", |t| guest(t, Change::Bare)),
    row(FIXED, "__rodata stays in __TEXT", |t| guest(t, Change::Text)),
    row(BOUNDS, "the head is behind the first symbol", |t| guest(t, Change::HeadLate)),
    row(BOUNDS, "the tail is before the last symbol", |t| guest(t, Change::TailEarly)),
    row(BOUNDS, "the head has no size", |t| guest(t, Change::HeadEmpty)),
    row(BOUNDS, "code's head is behind a function", |t| guest(t, Change::CodeFirst)),
    row(BOUNDS, "a build id is before code's head", |t| guest(t, Change::BuildId)),
    row(BOUNDS, "code's tail is before a function", |t| guest(t, Change::CodeLast)),
    row(BOUNDS, "markers are off by one", |t| guest(t, Change::MarkersMoved)),
    row(ORDER, "data lies as it came", |t| guest(t, Change::Unsorted)),
    row(ORDER, "what is of one size the other way round", |t| guest(t, Change::Ties)),
    row(FILES, "a c-shared library has 0777", |t| file(link(t, Made::Start, Change::None))),
    row(FILES, "a plugin has 0777", |t| file(link(t, Made::Guest, Change::None))),
    row(PLACES, "a library is linked all the same", |t| {
        linked(link(t, Made::Start, Change::Unlinked))
    }),
    row(PLACES, "a plugin is linked all the same", |t| {
        linked(link(t, Made::Guest, Change::Unlinked))
    }),
    row(PLACES, "a plugin is refused for something else", |t| {
        refused(link(t, Made::Guest, Change::Unlinked))
    }),
];

/// What `--buildmode=plugin` stands for, but for the kind of output.
const GUEST: &[&str] =
    &["-flat_namespace", "-bind_at_load", "-headerpad", "1144", "-no_fixup_chains"];

/// The link in no mode, of what the mode makes of the module, with these options.
fn plain(target: Target, made: Made, options: &[&str], change: Change) -> Request {
    let mut request = link(target, made, change);
    request.args.splice(0..0, options.iter().map(|option| (*option).to_owned()));
    // The kind of output, and no more.
    request.mode = Mode::CShared;
    request
}

fn guest(target: Target, change: Change) -> Option<Planted> {
    let faulty = plain(target, Made::Guest, GUEST, change);
    Some(Planted::new(link(target, Made::Guest, Change::Unlinked), faulty))
}

fn start(target: Target, change: Change) -> Option<Planted> {
    let faulty = plain(target, Made::Start, &["-fixup_chains"], change);
    Some(Planted::new(link(target, Made::Start, Change::Unlinked), faulty))
}

/// The runtime is nobody's business.
fn list(target: Target) -> Option<Planted> {
    let request = link(target, Made::List, Change::Unlinked);
    let mut faulty = request.clone();
    faulty.args.retain(|arg| arg != OBJECT);
    Some(Planted::new(request, faulty))
}

/// An option of the mode is lost.
fn lost(target: Target, option: &str) -> Option<Planted> {
    let options: Vec<&str> = GUEST.iter().copied().filter(|other| *other != option).collect();
    let faulty = plain(target, Made::Guest, &options, Change::None);
    Some(Planted::new(link(target, Made::Guest, Change::Unlinked), faulty))
}

/// An option of the mode is another.
fn swapped(target: Target, option: &str, other: &str) -> Option<Planted> {
    let new = |old: &&'static str| if *old == option { other.to_owned() } else { (*old).into() };
    let options: Vec<String> = GUEST.iter().map(new).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let faulty = plain(target, Made::Guest, &options, Change::None);
    Some(Planted::new(link(target, Made::Guest, Change::Unlinked), faulty))
}

fn flat(target: Target) -> Option<Planted> {
    let options = ["-fixup_chains", "-flat_namespace"];
    let faulty = plain(target, Made::Start, &options, Change::None);
    Some(Planted::new(link(target, Made::Start, Change::Unlinked), faulty))
}

/// The output is right, the file is a plain library's.
fn file(faulty: Request) -> Option<Planted> {
    let mode = faulty.mode;
    let made = if mode == Mode::Plugin { Made::Guest } else { Made::Start };
    let request = link(faulty.target, made, Change::Unlinked);
    let options = if mode == Mode::Plugin { GUEST } else { &[] };
    let file = plain(faulty.target, made, options, Change::None);
    Some(Planted { file, ..Planted::new(request.clone(), request) })
}

/// Nothing broken.
#[cfg(test)]
pub(super) fn unbroken(target: Target) -> Vec<Planted> {
    let all = [(Made::Guest, GUEST), (Made::Start, &["-fixup_chains"])];
    let same = all.into_iter().map(|(made, options)| {
        let faulty = plain(target, made, options, Change::None);
        let request = link(target, made, Change::Unlinked);
        Planted::new(request, faulty)
    });
    same.collect()
}
