//! The inputs of a darwin link → what those that take part say that matters to modes.
//!
//! Of archives only members count that something asks for. It must not know what a mode makes of the names.

use std::collections::{BTreeSet, HashMap};

use super::{Image, mangled};
use crate::model::archive;
use crate::model::macho::image::{self, Symbol};
use crate::model::macho::{inits, machine};
use crate::{File, Request};

/// What the inputs that take part say.
#[derive(Default)]
pub(super) struct Said {
    defined: Vec<String>,
    /// Common blocks: name, size, log2 of the alignment.
    blocks: Vec<(String, u64, u32)>,
    undefined: Vec<String>,
    /// Of one object only.
    local: Vec<String>,
    /// What each thread has its own of.
    threads: Vec<String>,
    /// What init entries call, and whether that is for all objects.
    called: Vec<(String, bool)>,
    /// The Go linker has added it all.
    pub(super) complete: bool,
}

/// An object, or a member of an archive.
struct Unit<'r> {
    /// `a.o` or `l.a(m.o)`.
    label: String,
    file: Image<'r>,
    bytes: &'r [u8],
    /// Takes part only if something asks for it.
    lazy: bool,
    /// Whether it has any of the names that modes look at.
    known: bool,
}

impl Said {
    /// What the inputs of `request` say if `more` is asked for, too.
    pub(super) fn of(request: &Request, more: Option<&str>) -> Self {
        let inputs = Inputs::read(request, |file| file != super::OBJECT);
        let mut said = Self::default();
        if !inputs.units.iter().any(|unit| unit.known) {
            return said;
        }
        let entry = mangled(super::ENTRY);
        let machine = machine::of(request.target.arch);
        for unit in inputs.taking_part(request, more).into_iter().filter(|unit| unit.known) {
            let called = machine.map_or_else(Vec::new, |machine| inits(unit.bytes, machine));
            said.called.extend(called.into_iter().map(|(name, global)| (name.to_owned(), global)));
            for symbol in unit.file.symbols.iter().filter(|symbol| !symbol.stab()) {
                said.complete |= symbol.name == entry && symbol.in_section() && !symbol.external();
                let home = unit.file.sections.get(usize::from(symbol.section).wrapping_sub(1));
                // S_THREAD_LOCAL_REGULAR, S_THREAD_LOCAL_ZEROFILL, S_THREAD_LOCAL_VARIABLES.
                if symbol.in_section() && home.is_some_and(|it| matches!(it.kind(), 0x11..=0x13)) {
                    said.threads.push(symbol.name.to_owned());
                }
                if symbol.external() && symbol.name.starts_with('_') {
                    let name = symbol.name.to_owned();
                    match defines(symbol) {
                        true if symbol.common() => {
                            // GET_COMM_ALIGN.
                            let align = u32::from(symbol.desc >> 8 & 15);
                            said.blocks.push((name, symbol.value, align));
                        }
                        true => said.defined.push(name),
                        false => said.undefined.push(name),
                    }
                } else if symbol.in_section() {
                    said.local.push(symbol.name.to_owned());
                }
            }
        }
        said
    }

    /// For all objects; what is local counts as well, and clashes if it is in several.
    pub(super) fn defines(&self, name: &str) -> bool {
        self.is_global(name) || self.local.iter().any(|other| other == name)
    }

    /// Whether only one object for itself does.
    pub(super) fn is_local(&self, name: &str) -> bool {
        self.defines(name) && !self.is_global(name)
    }

    pub(super) fn is_global(&self, name: &str) -> bool {
        let block = self.blocks.iter().any(|(other, ..)| other == name);
        block || self.defined.iter().any(|other| other == name)
    }

    /// Size and log2 of the alignment of the common block that all objects mean by `name`: the largest of each.
    pub(super) fn common(&self, name: &str) -> Option<(u64, u32)> {
        let same = self.blocks.iter().filter(|(other, ..)| other == name);
        let all = same.map(|(_, size, align)| (*size, *align));
        let is_block = self.defined.iter().all(|other| other != name);
        all.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1))).filter(|_| is_block)
    }

    /// Whether an init entry calls it.
    pub(super) fn calls(&self, name: &str) -> bool {
        let global = self.is_global(name);
        self.called.iter().any(|(other, all)| other == name && *all == global)
    }

    /// Whether each thread has its own.
    pub(super) fn is_threads(&self, name: &str) -> bool {
        self.threads.iter().any(|other| other == name)
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        !self.is_global(name) && self.undefined.iter().any(|other| other == name)
    }
}

fn defines(symbol: &Symbol<'_>) -> bool {
    symbol.in_section() || symbol.absolute() || symbol.common()
}

/// Whether `bytes` have any of the names at all: most objects don't.
pub(super) fn mentions_go(bytes: &[u8]) -> bool {
    let parts = ["_rt0_", "moduledata", "_runtime."];
    parts.iter().any(|part| memchr::memmem::find(bytes, part.as_bytes()).is_some())
}

/// Objects and members in the order of the command line, and who offers what.
#[derive(Default)]
struct Inputs<'r> {
    units: Vec<Unit<'r>>,
    /// The first member that defines a name; none if a library that comes before does.
    offers: HashMap<&'r str, Option<usize>>,
}

impl<'r> Inputs<'r> {
    /// Those of the files that are `wanted`.
    fn read(request: &'r Request, wanted: impl Fn(&str) -> bool) -> Self {
        let mut inputs = Self::default();
        let all = request.args.iter().any(|arg| arg == "-all_load");
        let mut whole = false;
        for arg in &request.args {
            if let Some(file) = request.file(arg).filter(|file| wanted(&file.name)) {
                inputs.file(request, file, whole || all);
            }
            whole = arg == "-force_load";
        }
        inputs
    }

    fn file(&mut self, request: &'r Request, file: &'r File, whole: bool) {
        if is_archive(&file.bytes) {
            for (label, bytes) in archive::members(request, file) {
                self.unit(label, bytes, !whole);
            }
            return;
        }
        match image::file_kind(&file.bytes) {
            Some(image::OBJECT) => self.unit(file.name.clone(), &file.bytes, false),
            Some(image::DYLIB) => {
                let library = Image::read(&file.bytes).map(|image| image.symbols);
                let symbols = library.unwrap_or_default();
                for symbol in symbols.iter().filter(|s| s.external() && defines(s)) {
                    self.offers.entry(symbol.name).or_insert(None);
                }
            }
            _ => {}
        }
    }

    fn unit(&mut self, label: String, bytes: &'r [u8], lazy: bool) {
        let Ok(file) = Image::read(bytes) else { return };
        let at = self.units.len();
        let own = file.symbols.iter().filter(|symbol| symbol.external() && !symbol.stab());
        for symbol in own.filter(|symbol| lazy && defines(symbol)) {
            self.offers.entry(symbol.name).or_insert(Some(at));
        }
        self.units.push(Unit { label, file, bytes, lazy, known: mentions_go(bytes) });
    }

    /// Objects, and the members that something asks for, by and by.
    fn taking_part(&self, request: &'r Request, more: Option<&'r str>) -> Vec<&Unit<'r>> {
        let mut taken: Vec<bool> = self.units.iter().map(|unit| !unit.lazy).collect();
        let mut defined: BTreeSet<&str> = BTreeSet::new();
        let mut queue: Vec<&str> = named(request).into_iter().chain(more).collect();
        let mut news: Vec<usize> = (0..taken.len()).filter(|at| taken[*at]).collect();
        while !news.is_empty() || !queue.is_empty() {
            for unit in news.drain(..).map(|at| &self.units[at]) {
                for symbol in unit.file.symbols.iter().filter(|s| s.external() && !s.stab()) {
                    match defines(symbol) {
                        true => _ = defined.insert(symbol.name),
                        false => queue.push(symbol.name),
                    }
                }
            }
            for name in queue.drain(..).filter(|name| !defined.contains(name)) {
                if let Some(Some(at)) = self.offers.get(name)
                    && !std::mem::replace(&mut taken[*at], true)
                {
                    news.push(*at);
                }
            }
        }
        self.units.iter().zip(taken).filter(|(_, taken)| *taken).map(|(unit, _)| unit).collect()
    }
}

/// The objects that take part, as they are linked: members that something asks for are behind all others.
pub(super) fn present(request: &Request) -> Vec<String> {
    let inputs = Inputs::read(request, |_| true);
    let mut list = inputs.taking_part(request, None);
    list.sort_by_key(|unit| unit.lazy);
    list.into_iter().map(|unit| unit.label.clone()).collect()
}

/// Whether `bytes` start as an archive does.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(archive::MAGIC) || bytes.starts_with(archive::THIN)
}

/// The names that arguments ask for, and where a program starts.
fn named(request: &Request) -> Vec<&str> {
    let mut names = Vec::new();
    for (option, name) in request.args.iter().zip(request.args.iter().skip(1)) {
        if matches!(option.as_str(), "-u" | "-e" | "-init" | "-exported_symbol") {
            names.push(name.as_str());
        }
    }
    if !request.mode.is_library() && !request.args.iter().any(|arg| arg == "-e") {
        names.push("_main");
    }
    names
}
