//! A Go module's link in some mode → the same link for linkers that know no modes: what the mode adds, as an
//! object more.
//!
//! `-buildmode` has the Go linker add an init entry, a function that announces the module's data to its
//! host's runtime, or the head of the runtime's list. Which of them comes of what the objects define; the
//! object is the judge's own, not the reference linker's. It must not know who links, or what for.

mod code;
mod edit;
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod text;
mod write;

use edit::Change;

use crate::model::elf::{self, Standing};
use crate::{File, Format, Mode, Request, Target};

/// The object's name; no request has another file of this name.
pub const OBJECT: &str = "buildmode.o";

/// A symbol of the object.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Symbol {
    name: String,
    global: bool,
    hidden: bool,
    /// STT_*.
    kind: u8,
}

/// A field that refers to a symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Field {
    offset: u64,
    r_type: u32,
    /// The type for people and assemblers.
    name: &'static str,
    symbol: String,
    addend: i64,
}

/// A section of the object, with the symbols that are all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part {
    name: &'static str,
    /// SHT_*.
    kind: u32,
    /// SHF_*.
    flags: u64,
    align: u64,
    bytes: Vec<u8>,
    symbols: Vec<Symbol>,
    fields: Vec<Field>,
}

/// What a mode adds to a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extra {
    code: &'static code::Code,
    parts: Vec<Part>,
    /// What is another in files of the link, by name.
    changes: Vec<(String, Change)>,
}

/// What objects of a link say that matters here.
#[derive(Default)]
struct Said<'r> {
    files: Vec<&'r File>,
    /// The Go linker has added it all.
    complete: bool,
}

impl<'r> Said<'r> {
    fn of(request: &'r Request) -> Self {
        let named = request
            .files
            .iter()
            .filter(|file| file.name != OBJECT && request.args.contains(&file.name));
        let files: Vec<&File> = named.filter(|file| mentions_go(&file.bytes)).collect();
        let is_entry = |file: &&File| elf::standing(&file.bytes, ENTRY) == Some(Standing::Local);
        let complete = files.iter().any(is_entry);
        Self { files, complete }
    }

    /// Who defines `name` for all objects; or for itself, if that may be and is only one.
    fn find(&self, name: &str) -> Option<(&'r File, Standing)> {
        let each = self.files.iter();
        let all: Vec<_> =
            each.filter_map(|file| Some((*file, elf::standing(&file.bytes, name)?))).collect();
        // The first one of the best.
        let best = all.iter().rev().max_by_key(|(_, standing)| *standing).copied()?;
        let may_be_local = name == OWN || name.starts_with("_rt0_");
        (best.1 != Standing::Local || may_be_local && all.len() == 1).then_some(best)
    }

    fn defines(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// Whether `bytes` have any of the names at all: most objects don't.
fn mentions_go(bytes: &[u8]) -> bool {
    ["_rt0_", "moduledata"]
        .iter()
        .any(|part| memchr::memmem::find(bytes, part.as_bytes()).is_some())
}

const FUNCTION: &str = "go:link.addmoduledata";
const ENTRY: &str = "go:link.addmoduledatainit";
const APPEND: &str = "runtime.addmoduledata";
const LAST: &str = "runtime.lastmoduledatap";
/// Module data that is nobody else's, whatever others see.
const OWN: &str = "local.moduledata";
/// STT_OBJECT, STT_FUNC.
const DATA: u8 = 1;
const FUNC: u8 = 2;

impl Extra {
    /// What the mode of `request` adds to it; none if that is nothing.
    pub fn of(request: &Request) -> Option<Self> {
        let Target { arch, format } = request.target;
        if request.mode == Mode::Shared || format != Format::Elf {
            return None;
        }
        let said = Said::of(request);
        if said.complete || said.files.is_empty() {
            return None;
        }
        let code = code::of(arch.machine())?;
        let mut parts = Vec::new();
        let data = match request.mode {
            Mode::Plugin => [OWN, "runtime.firstmoduledata"],
            _ => ["runtime.firstmoduledata", OWN],
        };
        let data = data.into_iter().find(|name| said.defines(name));
        let runtime = said.defines(APPEND);
        if let Some(data) = data.filter(|_| !runtime) {
            parts.push(code.announce(data));
            parts.push(code.entry(ENTRY, FUNCTION));
        }
        let target = request.target.name();
        let start = format!("_rt0_{}_linux_lib", target.split('-').next().unwrap_or(target));
        let called = || said.files.iter().any(|file| elf::calls(&file.bytes, &start, code.word.0));
        let starts = request.mode == Mode::CShared && said.defines(&start) && !called();
        if starts {
            parts.push(code.entry(&format!("{start}.ptr"), &start));
        }
        let list = data.filter(|_| runtime && said.defines(LAST));
        let mut changes: Vec<(String, Change)> = Vec::new();
        let mut change = |name: &str, change: &dyn Fn(&mut Change)| {
            let Some((file, _)) = said.find(name) else { return };
            let known = changes.iter().position(|(name, _)| *name == file.name);
            let at = known.unwrap_or(changes.len());
            if known.is_none() {
                changes.push((file.name.clone(), Change::default()));
            }
            change(&mut changes[at].1);
        };
        if data.is_some_and(|data| data == OWN && (!runtime || list.is_some())) {
            change(OWN, &|change| change.shared.push(OWN.to_owned()));
        }
        if starts && said.find(&start).is_some_and(|(_, standing)| standing == Standing::Local) {
            change(&start, &|change| change.shared.push(start.clone()));
        }
        if let Some(data) = list {
            change(LAST, &|change| change.pointer = Some((LAST.to_owned(), data.to_owned())));
        }
        let some = !parts.is_empty() || !changes.is_empty();
        some.then_some(Self { code, parts, changes })
    }

    /// The object.
    pub fn object(&self) -> Vec<u8> {
        write::object(self.code, &self.parts)
    }

    /// The object as GNU as reads it, and what is another in others as comments.
    pub fn text(&self) -> String {
        let mut out = if self.parts.is_empty() { String::new() } else { text::print(&self.parts) };
        self.changes.iter().for_each(|(file, change)| text::remark(&mut out, file, change));
        out
    }
}

/// `request` for linkers that know no modes.
pub fn desugar(request: Request) -> Request {
    if sugared(&request).is_some() {
        return request;
    }
    let Some(extra) = Extra::of(&request) else { return request };
    let Request { target, mode, mut args, mut files } = request;
    for (name, change) in &extra.changes {
        for file in files.iter_mut().filter(|file| file.name == *name) {
            if let Some(bytes) = edit::changed(extra.code, &file.bytes, change) {
                file.bytes = bytes.into();
            }
        }
    }
    if !extra.parts.is_empty() {
        args.insert(0, OBJECT.to_owned());
        files.insert(0, File { name: OBJECT.to_owned(), bytes: extra.object().into() });
    }
    Request { target, mode, args, files }
}

/// The request that became `request` by [`desugar`]; none if none did.
pub fn sugared(request: &Request) -> Option<Request> {
    let mut before = request.clone();
    let added = before.args.first().is_some_and(|first| first == OBJECT);
    if added {
        before.args.remove(0);
        before.files.retain(|file| file.name != OBJECT);
    }
    let mut changed = false;
    for file in &mut before.files {
        if let Some(bytes) = edit::original(&file.bytes) {
            file.bytes = bytes.into();
            changed = true;
        }
    }
    (added || changed).then_some(before)
}
