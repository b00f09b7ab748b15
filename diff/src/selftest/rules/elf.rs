//! The rules of ELF, each broken on every machine.
//!
//! A linker that breaks one links as it does in no mode when it is given the mode's flags, and what the judge itself
//! would add, but for the mistake.

use super::{Planted, Row, linked, refused, row};
use crate::desugar::slips::{self, Slip};
use crate::desugar::{OBJECT, desugar, sample};
use crate::{Mode, Request, Target};

const STARTS: &str = "a library starts its runtime once";
const TELLS: &str = "a module tells its host's runtime of its data once, through the PLT";
const LISTS: &str = "a module with the runtime is the list's first and last";
const SHARES: &str = "a plugin's data is its host's";
const OWNS: &str = "a c-shared library's symbols are its own";
const STAYS: &str = "a c-shared library stays when it is closed";
const NOW: &str = "a plugin is bound when it is loaded";
const RELRO: &str = "what only the loader writes is protected";
const BOUNDS: &str = "markers bound their sections, also those that are not there";
const PLACES: &str = "a mode is refused where a system has none, in Go's words";
const FILES: &str = "a library is no executable file, a program is one";

/// Every fault.
pub(super) const ROWS: &[Row] = &[
    row(STARTS, "no init entry", |t| slip(start(t)?, Slip::NoEntry)),
    row(STARTS, "two init entries", |t| slip(start(t)?, Slip::TwoEntries)),
    row(STARTS, "an init entry beside -init", with_init),
    row(STARTS, "the init entry is a word further", |t| slip(start(t)?, Slip::EntryMoved)),
    row(STARTS, "the init entry comes last", |t| last(with_own(start(t)?, true)?)),
    row(TELLS, "nothing is added", |t| bare(guest(t)?)),
    row(TELLS, "no init entry", |t| slip(guest(t)?, Slip::NoEntry)),
    row(TELLS, "two init entries", |t| slip(guest(t)?, Slip::TwoEntries)),
    row(TELLS, "the module data is a word further", |t| slip(guest(t)?, Slip::DataMoved)),
    row(TELLS, "addmoduledata not through the PLT", |t| slip(guest(t)?, Slip::OwnCall)),
    row(TELLS, "the module data is the second argument", |t| slip(guest(t)?, Slip::OtherRegister)),
    row(TELLS, "the function does not return", |t| slip(guest(t)?, Slip::NoReturn)),
    row(TELLS, "the function is exported", |t| slip(guest(t)?, Slip::Exported)),
    row(TELLS, "the init entry comes last", |t| last(with_own(guest(t)?, true)?)),
    row(LISTS, "runtime.lastmoduledatap is not set", |t| bare(list(t)?)),
    row(LISTS, "runtime.lastmoduledatap is something else", |t| {
        slip(list(t)?, Slip::ListOf("runtime.addmoduledata"))
    }),
    row(LISTS, "the host's data comes before a plugin's own", |t| {
        slip(listed(t)?, Slip::ListOf("runtime.firstmoduledata"))
    }),
    row(LISTS, "the module tells itself, too", both),
    row(LISTS, "a guest has an end of the list", |t| {
        slip(with_own(guest(t)?, false)?, Slip::OwnList)
    }),
    row(SHARES, "-Bsymbolic in a plugin", |t| flags(guest(t)?, "", &["-Bsymbolic"])),
    row(OWNS, "-Bsymbolic is lost", |t| flags(start(t)?, "-Bsymbolic", &[])),
    row(STAYS, "-z nodelete is lost", |t| flags(start(t)?, "nodelete", &[])),
    row(NOW, "-z lazy in a plugin", |t| flags(guest(t)?, "now", &["-z", "lazy"])),
    row(RELRO, "-z norelro in a plugin", |t| flags(guest(t)?, "", &["-z", "norelro"])),
    row(RELRO, "-z norelro in a c-shared library", |t| flags(start(t)?, "", &["-z", "norelro"])),
    row(BOUNDS, "markers are off by one", |t| moved(t, 1)),
    row(BOUNDS, "markers are a word early", |t| moved(t, -(word(t) as i32))),
    row(FILES, "a c-shared library has 0777", |t| file(start(t)?, Mode::Shared)),
    row(FILES, "a plugin has 0777", |t| file(guest(t)?, Mode::Shared)),
    row(FILES, "a program has 0666", |t| file(program(t)?, Mode::CShared)),
    row(PLACES, "a library is linked all the same", |t| linked(desugar(start(t)?))),
    row(PLACES, "a plugin is linked all the same", |t| linked(desugar(guest(t)?))),
    row(PLACES, "a plugin is refused for something else", |t| refused(desugar(guest(t)?))),
];

fn word(target: Target) -> usize {
    if target == Target::ARM_ELF { 4 } else { 8 }
}

/// A plugin; nothing is added yet.
fn guest(target: Target) -> Option<Request> {
    sample::module(target, Mode::Plugin, &["type.T", "f", "local.moduledata"])
}

/// A library with a start, and no more.
fn start(target: Target) -> Option<Request> {
    sample::module(target, Mode::CShared, &["type.T", &entry(target)?])
}

/// The name of the start.
fn entry(target: Target) -> Option<String> {
    Some(format!("_rt0_{}_linux_lib", target.name().strip_suffix("-elf")?))
}

/// A library with the runtime.
fn list(target: Target) -> Option<Request> {
    let [append, first, last] = sample::RUNTIME;
    sample::module(target, Mode::CShared, &["type.T", append, first, last])
}

/// A plugin with a runtime of its own.
fn listed(target: Target) -> Option<Request> {
    let [append, first, last] = sample::RUNTIME;
    sample::module(target, Mode::Plugin, &["type.T", append, first, last])
}

/// A program with the runtime.
fn program(target: Target) -> Option<Request> {
    let [append, first, last] = sample::RUNTIME;
    sample::module(target, Mode::Pie, &["_start", append, first, last])
}

/// `linked`, a link in no mode, with the flags of `request`'s but for `lost`, and `more`.
fn plain(request: &Request, linked: Request, lost: &str, more: &[&str]) -> Option<Request> {
    let mut given: Vec<&str> = request.mode.args(request.target.format).to_vec();
    if let Some(at) = given.iter().position(|flag| *flag == lost) {
        let from = if given[at - 1] == "-z" { at - 1 } else { at };
        given.drain(from..=at);
    } else if !lost.is_empty() {
        return None;
    }
    let (_, rest) = given.split_first()?;
    let flags = rest.iter().chain(more).map(|flag| (*flag).to_owned());
    let args = flags.chain(linked.args).collect();
    Some(Request { mode: Mode::Shared, args, ..linked })
}

/// The mode's flags, and what it adds with a mistake.
fn slip(request: Request, slip: Slip) -> Option<Planted> {
    let faulty = plain(&request, slips::desugar(&request, slip)?, "", &[])?;
    Some(Planted::new(desugar(request), faulty))
}

/// The mode's flags, and nothing added.
fn bare(request: Request) -> Option<Planted> {
    let faulty = plain(&request, request.clone(), "", &[])?;
    Some(Planted::new(desugar(request), faulty))
}

/// What the mode adds, and other flags than its own.
fn flags(request: Request, lost: &str, more: &[&str]) -> Option<Planted> {
    let faulty = plain(&request, slips::desugar(&request, Slip::None)?, lost, more)?;
    Some(Planted::new(desugar(request), faulty))
}

/// The loader calls the start, and has an entry for it as well.
fn with_init(target: Target) -> Option<Planted> {
    let mut library = start(target)?;
    let mut linked = slips::desugar(&library, Slip::None)?;
    let init = ["-init".to_owned(), entry(target)?];
    linked.args.extend(init.clone());
    library.args.extend(init);
    let faulty = plain(&library, linked, "", &[])?;
    Some(Planted::new(desugar(library), faulty))
}

/// The runtime's own module is told of as if it were a guest.
fn both(target: Target) -> Option<Planted> {
    let library = list(target)?;
    let own = slips::desugar(&library, Slip::None)?;
    let alone = sample::module(target, Mode::CShared, &["type.T", sample::RUNTIME[1]])?;
    let mut linked = slips::desugar(&alone, Slip::None)?;
    linked.files.retain(|file| library.file(&file.name).is_none());
    linked.files.extend(own.files);
    let faulty = plain(&library, linked, "", &[])?;
    Some(Planted::new(desugar(library), faulty))
}

/// `request` with an init entry of the module's own, or a word that holds the end of the list.
fn with_own(mut request: Request, is_init: bool) -> Option<Request> {
    let (section, to) =
        if is_init { (".init_array", "type.T") } else { (".data", sample::RUNTIME[2]) };
    let file = sample::pointer(request.target, section, to)?;
    request.args.push(file.name.clone());
    request.files.push(file);
    Some(request)
}

/// What the mode adds comes behind all else.
fn last(request: Request) -> Option<Planted> {
    let mut linked = slips::desugar(&request, Slip::None)?;
    let at = linked.args.iter().position(|arg| arg == OBJECT)?;
    let first = linked.args.remove(at);
    linked.args.push(first);
    let faulty = plain(&request, linked, "", &[])?;
    Some(Planted::new(desugar(request), faulty))
}

/// Every marker somewhere else.
fn moved(target: Target, by: i32) -> Option<Planted> {
    let request = sample::bounded(target, Mode::Plugin, 0)?;
    let faulty = sample::bounded(target, Mode::Plugin, by)?;
    Some(Planted::new(desugar(request), desugar(faulty)))
}

/// The output is right, the file is that of another mode.
fn file(request: Request, mode: Mode) -> Option<Planted> {
    let request = desugar(request);
    let file = Request { mode, ..request.clone() };
    Some(Planted { file, ..Planted::new(request.clone(), request) })
}

/// Nothing broken: what is added and the flags are the mode.
#[cfg(test)]
pub(super) fn unbroken(target: Target) -> Vec<Planted> {
    let all = [guest(target), start(target), list(target)];
    let same = all.into_iter().filter_map(|request| {
        let request = request?;
        let faulty = plain(&request, slips::desugar(&request, Slip::None)?, "", &[])?;
        Some(Planted::new(desugar(request), faulty))
    });
    same.chain(moved(target, 0)).collect()
}
