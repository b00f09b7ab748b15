//! The same for Mach-O: an object more, flags, an order file, and what ld64 has no flag for and is therefore written
//! into the objects: the word that ends the runtime's list, section bounds by ld64's names, local names that the link
//! is to see, and where a plugin's read-only data with addresses in it is.
//!
//! What an object was before is behind what it is, or can be told from it, for a linker that does all this itself.

mod made;
mod order;
mod patch;
mod said;
mod text;

use std::collections::BTreeSet;

use super::{APPEND, ENTRY, LAST, OBJECT, OWN};
use crate::model::archive;
use crate::model::macho::image::{self, File as Image};
use crate::request::Mode;
use crate::{File, Request};

pub(crate) use order::{Name, Row, rows};
use said::{Said, is_archive, mentions_go};

/// The file with the order of a plugin's data.
const ORDER: &str = "buildmode.order";
/// What a plugin is linked with; options after them count.
const FLAGS: &[&str] = &["-no_fixup_chains", "-headerpad", "1144"];

/// Bytes of zeros that may become bytes of the file.
const MOST: u64 = 1 << 27;

/// Names that bound a section: start, end, segment, section; whether a plugin's symbols between lie by size.
pub(crate) type Marker = (&'static str, &'static str, &'static str, &'static str, bool);

/// Every one.
pub(crate) static MARKERS: &[Marker] = &[
    ("_runtime.text", "_runtime.etext", "__TEXT", "__text", false),
    ("_runtime.rodata", "_runtime.erodata", "__TEXT", "__rodata", true),
    ("_runtime.types", "_runtime.etypes", "__DATA_CONST", "__go_type", true),
    ("_runtime.noptrdata", "_runtime.enoptrdata", "__DATA", "__noptrdata", true),
    ("_runtime.data", "_runtime.edata", "__DATA", "__data", true),
    ("_runtime.bss", "_runtime.ebss", "__DATA", "__bss", true),
    ("_runtime.noptrbss", "_runtime.enoptrbss", "__DATA", "__noptrbss", true),
];

/// A name as objects have it.
fn mangled(name: &str) -> String {
    format!("_{name}")
}

/// What a mode does to a link.
#[derive(Default, Debug)]
struct Plan {
    /// The module's data, which is announced to the host.
    announce: Option<String>,
    /// The function that starts the library.
    start: Option<String>,
    /// The data that the runtime's list starts and ends with.
    list: Option<String>,
    /// The list's end is a local symbol.
    local_list: bool,
    /// It is a common block: its size, log2 of its alignment.
    common: Option<(u64, u32)>,
    /// Markers that are symbols of their own.
    heads: Vec<(&'static Marker, &'static str)>,
    /// Names that are bounds of sections, and how ld64 calls them.
    bounds: Vec<(&'static str, String)>,
    /// Names that all objects see, wherever they are, and no other image does. Whether only one object for itself has
    /// it: else a local symbol of that name is another thing.
    shared: Vec<(bool, String)>,
    /// An archive's runtime is part of the module because the module was to announce itself: what asked for it still
    /// does.
    pulls: bool,
}

impl Plan {
    fn of(request: &Request) -> Option<Self> {
        if matches!(request.mode, Mode::Shared | Mode::Exe) {
            return None;
        }
        let mut said = Said::of(request, None);
        if said.complete {
            return None;
        }
        let names = match request.mode {
            Mode::Plugin => ["local.moduledata", "runtime.firstmoduledata"],
            _ => ["runtime.firstmoduledata", "local.moduledata"],
        };
        let known = |said: &Said| names.into_iter().map(mangled).find(|name| said.defines(name));
        let append = mangled(APPEND);
        let lists = |said: &Said| request.mode == Mode::Pie && said.defines(&mangled(LAST));
        let runs = |said: &Said| said.defines(&append) || lists(said);
        // Asking for the host's runtime may find one in an archive: then it is the module's own.
        // A list whose end nobody else sees has nothing to do with the host's.
        let last = mangled(LAST);
        let announces = |said: &Said| !runs(said) && !said.is_local(&last);
        let asked = known(&said).filter(|_| announces(&said));
        if asked.is_some() {
            said = Said::of(request, Some(&append));
        }
        let data = known(&said).filter(|_| !said.complete);
        let runtime = runs(&said);
        let list = data.clone().filter(|_| runtime && said.defines(&last));
        let mut plan = Self {
            announce: data.filter(|_| announces(&said)),
            start: starts(request, &said),
            list,
            pulls: asked.is_some() && runtime,
            ..Self::default()
        };
        // Nobody else says why there can be no such module.
        let used = [&asked, &plan.announce, &plan.list, &plan.start].into_iter().flatten();
        if used.into_iter().any(|name| said.is_threads(name)) {
            return None;
        }
        plan.common = said.common(&last).filter(|_| plan.list.is_some());
        if plan.common.is_some_and(|(size, _)| !(8..=MOST).contains(&size)) {
            return None;
        }
        // Whoever asks for a runtime by it has it for itself, whatever comes of that.
        let named = [asked.as_ref(), plan.announce.as_ref(), plan.list.as_ref()].into_iter();
        let own = |name: &&String| **name == mangled(OWN) || !said.is_global(name);
        let mut shared: BTreeSet<String> = named.flatten().filter(own).cloned().collect();
        shared.extend(plan.start.clone().filter(|name| !said.is_global(name)));
        let is_local = |name: &String| !said.is_global(name);
        plan.shared = shared.into_iter().map(|name| (is_local(&name), name)).collect();
        plan.local_list = !said.is_global(&mangled(LAST));
        plan.mark(request, &said);
        (!plan.is_empty()).then_some(plan)
    }

    /// Adds what bounds sections.
    fn mark(&mut self, request: &Request, said: &Said) {
        for row in MARKERS {
            let wanted: Vec<_> = [row.0, row.1].into_iter().filter(|n| said.wants(n)).collect();
            if request.mode == Mode::Plugin {
                // Both, unless the module has one of its own.
                let made = [row.0, row.1].into_iter().filter(|name| !said.is_global(name));
                self.heads.extend(made.filter(|_| !wanted.is_empty()).map(|name| (row, name)));
            } else {
                let bound = |name: &'static str| {
                    let end = if name == row.1 { "end" } else { "start" };
                    (name, format!("section${end}${}${}", row.2, row.3))
                };
                self.bounds.extend(wanted.into_iter().map(bound));
            }
        }
    }

    fn is_empty(&self) -> bool {
        let named = [&self.announce, &self.start, &self.list];
        let bare = self.heads.is_empty() && self.bounds.is_empty();
        bare && !self.pulls && named.iter().all(|name| name.is_none())
    }
}

/// What starts a library when it is loaded, if it has that and nothing calls it yet.
fn starts(request: &Request, said: &Said) -> Option<String> {
    let target = request.target.name();
    let start = mangled(&format!("_rt0_{}_darwin_lib", target.split('-').next()?));
    let init = request.args.iter().rposition(|arg| arg == "-init");
    let init = init.and_then(|at| request.args.get(at + 1));
    let is_called = init == Some(&start) && said.is_global(&start) || said.calls(&start);
    let starts = request.mode == Mode::CShared && said.defines(&start) && !is_called;
    starts.then_some(start)
}

/// The objects and archives that `request` names, but for the one that stands for the mode.
fn objects(request: &Request) -> impl Iterator<Item = &File> {
    let named = |file: &&File| file.name != OBJECT && request.args.contains(&file.name);
    let object = |file: &&File| {
        is_archive(&file.bytes) || image::file_kind(&file.bytes) == Some(image::OBJECT)
    };
    request.files.iter().filter(named).filter(object).filter(|file| mentions_go(&file.bytes))
}

/// `request` for linkers that know no modes.
pub(super) fn desugar(request: Request) -> Request {
    if sugared(&request).is_some() {
        return request;
    }
    let plan = Plan::of(&request);
    if request.mode != Mode::Plugin {
        return match plan {
            Some(plan) => apply(&plan, request),
            None => request,
        };
    }
    let segment = constants(&request);
    let mut request = match plan {
        Some(plan) => apply(&plan, moved(request, segment)),
        // A plain library is a plugin of the same kind.
        None => {
            let mut request = moved(request, segment);
            request.args.splice(0..0, FLAGS.iter().map(|flag| (*flag).to_owned()));
            return request;
        }
    };
    let bytes = order::file(&request).into_bytes().into();
    request.files.push(File { name: ORDER.into(), bytes });
    request
}

/// The segment of data that is written only when it is loaded; before macOS 10.15 there was none.
fn constants(request: &Request) -> &'static str {
    let min = request.args.iter().position(|arg| arg == "-platform_version");
    let min = min.and_then(|at| request.args.get(at + 2));
    let mut parts = min.map_or("", String::as_str).split('.').map(str::parse::<u32>);
    // Systems that run nothing unsigned came later.
    let machine = crate::model::macho::machine::of(request.target.arch);
    let late = machine.is_none_or(|machine| machine.signed);
    match (parts.next(), parts.next()) {
        (Some(Ok(10)), minor) if !late && !matches!(minor, Some(Ok(15..))) => "__DATA",
        _ => "__DATA_CONST",
    }
}

/// `request` with read-only data that has addresses in it in `segment`.
fn moved(mut request: Request, segment: &str) -> Request {
    for file in &mut request.files {
        if let Some(bytes) = patch::moved(&file.bytes, segment) {
            file.bytes = bytes.into();
        }
    }
    request
}

/// `request` with what `plan` says.
fn apply(plan: &Plan, request: Request) -> Request {
    let Request { target, mode, mut args, mut files, goos } = request;
    // A thin archive's members are files of their own.
    let thin = files.iter().any(|file| file.bytes.starts_with(archive::THIN));
    for file in &mut files {
        if args.contains(&file.name) || thin {
            let changed = patch::inside(&file.bytes, |object| patch::changed(object, plan));
            file.bytes = changed.map_or_else(|| file.bytes.clone(), Into::into);
        }
    }
    files.insert(0, File { name: OBJECT.into(), bytes: made::object(plan, target.arch).into() });
    let mut first: Vec<String> = Vec::new();
    if mode == Mode::Plugin {
        first.extend(FLAGS.iter().map(|flag| (*flag).to_owned()));
        first.extend(["-order_file".into(), ORDER.into()]);
    }
    first.push(OBJECT.into());
    args.splice(0..0, first);
    Request { target, mode, args, files, goos }
}

/// The request before [`desugar`]; none if it did nothing.
pub(super) fn sugared(request: &Request) -> Option<Request> {
    let flags = || FLAGS.iter().copied().chain(["-order_file", ORDER]);
    let plain = request.args.iter().zip(FLAGS).filter(|(arg, flag)| arg == *flag).count();
    let count = match request.args.iter().position(|arg| arg == OBJECT) {
        Some(0) => 1,
        Some(at) if request.args[..at].iter().map(String::as_str).eq(flags()) => at + 1,
        None if request.mode == Mode::Plugin && plain == FLAGS.len() => plain,
        _ => return None,
    };
    let mut before = request.clone();
    before.args.drain(..count);
    before.files.retain(|file| file.name != OBJECT && file.name != ORDER);
    for file in &mut before.files {
        let original = |bytes: &[u8]| patch::original(bytes).map(<[u8]>::to_vec);
        if let Some(before) = patch::inside(&file.bytes, original) {
            file.bytes = before.into();
        }
        if let Some(original) = patch::unmoved(&file.bytes) {
            file.bytes = original.into();
        }
    }
    Some(before)
}

/// What the mode adds, as clang reads it, and in comments what it changes; none if that is nothing.
pub(super) fn text(request: &Request) -> Option<String> {
    let before = sugared(request);
    let request = before.as_ref().unwrap_or(request);
    Plan::of(request).map(|plan| text::print(&plan, request))
}

/// An object that defines `name`, as a word of data, and nothing else.
#[cfg(test)]
pub(crate) fn sample(arch: crate::Arch, name: &str) -> Vec<u8> {
    samples(arch, &[name])
}

/// The same with several names.
#[cfg(test)]
pub(super) fn samples(arch: crate::Arch, names: &[&str]) -> Vec<u8> {
    let row = MARKERS.iter().find(|row| row.3 == "__data");
    let heads = |name: &&str| Some((row?, &*mangled(name).leak()));
    let plan = Plan { heads: names.iter().filter_map(heads).collect(), ..Plan::default() };
    made::object(&plan, arch)
}

#[cfg(test)]
mod tests;
