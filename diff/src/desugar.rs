//! A Go module's link in some mode → the same link for linkers that know no modes: what the mode adds, as an
//! object more.
//!
//! `-buildmode` has the Go linker add an init entry, a function that announces the module's data to its
//! host's runtime, or the head of the runtime's list. Which of them comes of what the objects define; the
//! object is the judge's own, not the reference linker's. It must not know who links, or what for.

mod bounds;
mod code;
mod edit;
pub(crate) mod macho;
mod said;
pub(crate) mod sample;
pub(crate) mod slips;
#[cfg(test)]
mod tests;
mod text;
mod write;

use edit::{Change, Pointer};
use said::{Said, Unit};

use crate::model::archive;
use crate::model::elf::{self, Defined, Standing};
use crate::{File, Format, Mode, Request, Target};

/// The object's name; no request has another file of this name.
pub const OBJECT: &str = "buildmode.o";

/// The name of an object after all others: where sections end that the module asks the bounds of.
pub const TAIL: &str = "buildmode.end.o";

/// Whether a file of this name is one of those.
pub(crate) fn is_added(name: &str) -> bool {
    name == OBJECT || name == TAIL
}

/// Whether `bytes` are an object that a mode changed.
pub(crate) fn is_changed(bytes: &[u8]) -> bool {
    bytes.ends_with(edit::MAGIC)
}

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
    /// The bytes and fields as assemblers read them.
    lines: Vec<String>,
}

/// What a mode adds to a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extra {
    code: &'static code::Code,
    parts: Vec<Part>,
    /// What goes behind all other inputs.
    tail: Vec<Part>,
    /// Names that it asks for: an archive's runtime that is part of the module because the module was to announce
    /// itself; what must not come behind the tail.
    wanted: Vec<String>,
    /// What is another in files of the link: their names, and which member it is of an archive's.
    changes: Vec<(Place, Change)>,
}

/// A file's name, and which member it is of an archive's.
type Place = (String, Option<usize>);

/// How what is added and what changes call what the inputs define.
struct Names<'s, 'r> {
    said: &'s Said<'r>,
    mode: Mode,
}

impl Names<'_, '_> {
    /// Whether what defines `name` so has an alias: by the name alone others would find none, or another module's.
    fn is_aliased(&self, name: &str, it: &Defined) -> bool {
        it.standing == Standing::Local
            || self.is_no_place(name, it)
            || name == FIRST && self.mode.is_library()
    }

    /// Whether it is a number, where only a place will do.
    fn is_no_place(&self, name: &str, it: &Defined) -> bool {
        it.number && (![FIRST, OWN].contains(&name) || self.mode != Mode::Exe)
    }

    /// Whether the mode can't have `name`: what is called so isn't loaded or each thread has its own, or the alias that
    /// it has to have is something else.
    fn is_refused(&self, name: &str) -> bool {
        let found = self.said.find(name);
        let [(unit, it)] = &found[..] else { return false };
        let is_other = |(other, at): &(&Unit<'_>, Defined)| {
            at.standing != Standing::Local && !(std::ptr::eq(*unit, *other) && at.home == it.home)
        };
        let alias = format!("{ALIAS}{name}");
        it.unloaded
            || self.is_aliased(name, it) && self.said.find(&alias).first().is_some_and(is_other)
    }

    /// What they call what is called `name`.
    fn handle(&self, name: &str) -> String {
        let all = self.said.find(name);
        let aliased = all.iter().any(|(_, it)| self.is_aliased(name, it));
        if aliased { format!("{ALIAS}{name}") } else { name.to_owned() }
    }

    /// What changes in whose bytes: `used` names are called so, `list` is what the list starts with; of `looked` for
    /// names several local ones clash as global ones do.
    fn changes(&self, used: &[&str], list: Option<&str>, looked: &[&str]) -> Vec<(Place, Change)> {
        let mut changes: Vec<(Place, Change)> = Vec::new();
        let mut change = |unit: &Unit<'_>, change: &dyn Fn(&mut Change)| {
            change(at_place(&mut changes, (unit.file.to_owned(), unit.member)));
        };
        let alias = |name: &str, it: &Defined| (it.symbol, format!("{ALIAS}{name}"));
        let block =
            |name: &str, it: &Defined| Some((it.symbol, it.block.map(|_| self.said.block(name))?));
        for name in used {
            for (unit, it) in self.said.find(name) {
                if self.is_no_place(name, &it) {
                    continue;
                } else if self.is_aliased(name, &it) {
                    change(unit, &|change| {
                        change.aliases.push(alias(name, &it));
                        change.blocks.extend(block(name, &it));
                    });
                } else if *name == OWN {
                    change(unit, &|change| change.hidden.push((it.symbol, OWN.to_owned())));
                }
            }
        }
        for name in looked.iter().filter(|name| !used.contains(name)) {
            let all = self.said.find(name);
            for (unit, it) in all.iter().filter(|_| all.len() > 1) {
                change(unit, &|change| change.aliases.push(alias(name, it)));
            }
        }
        if let Some(data) = list {
            for (unit, it) in self.said.find(LAST) {
                let pointer =
                    Pointer { symbol: (it.symbol, LAST.to_owned()), target: self.handle(data) };
                change(unit, &|change| {
                    change.pointer = Some(pointer.clone());
                    change.blocks.extend(block(LAST, &it));
                });
            }
        }
        changes
    }
}

/// What changes at `place`.
fn at_place(changes: &mut Vec<(Place, Change)>, place: Place) -> &mut Change {
    let known = changes.iter().position(|(other, _)| *other == place);
    let at = known.unwrap_or(changes.len());
    if known.is_none() {
        changes.push((place, Change::default()));
    }
    &mut changes[at].1
}

/// All sections that the link has for linkers that know no modes, but for empty ones that bound others: the
/// inputs' as they are once `changes` are made in them, which `changed` are, and those of `parts`.
fn sections<'a>(
    said: &Said<'a>,
    changes: &[(Place, Change)],
    changed: &'a [Vec<u8>],
    parts: &[Part],
) -> Vec<elf::Outline<'a>> {
    let mut list = said.sections(changes);
    list.extend(changed.iter().flat_map(|bytes| elf::outlines(bytes)));
    let outline =
        |&Part { name, kind, flags, align, .. }: &Part| elf::Outline { name, kind, flags, align };
    list.extend(parts.iter().map(outline));
    list
}

const FUNCTION: &str = "go:link.addmoduledata";
const ENTRY: &str = "go:link.addmoduledatainit";
const APPEND: &str = "runtime.addmoduledata";
const FIRST: &str = "runtime.firstmoduledata";
const LAST: &str = "runtime.lastmoduledatap";
/// Module data that is nobody else's, whatever others see.
const OWN: &str = "local.moduledata";
/// What comes before a name in another for the same place.
const ALIAS: &str = "go:link.";
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
        let code = code::of(arch.machine())?;
        let mut said = Said::of(request, None)?;
        let names = match request.mode {
            Mode::Plugin => [OWN, FIRST],
            _ => [FIRST, OWN],
        };
        let known = |said: &Said<'_>| names.into_iter().find(|name| said.defines(name));
        // Nobody loads an executable: if it has the list, it has the runtime.
        let lists = |said: &Said<'_>| !request.mode.is_library() && said.defines(LAST);
        let runs = |said: &Said<'_>| said.defines(APPEND) || lists(said);
        // A list whose end nobody else sees has nothing to do with the host's.
        let announces = |said: &Said<'_>| !said.complete && !runs(said) && !said.is_local(LAST);
        // Asking for the host's runtime may find one in an archive: then it is the module's own.
        let asks = known(&said).is_some() && announces(&said);
        let asked = known(&said).filter(|_| asks);
        if asks {
            said = Said::of(request, Some(APPEND))?;
        }
        let mut made = Vec::new();
        let data = known(&said).filter(|_| !said.complete);
        let runtime = runs(&said);
        let handles = Names { said: &said, mode: request.mode };
        let announced = data.filter(|_| announces(&said));
        if let Some(data) = announced {
            made.push(code.announce(&handles.handle(data)));
            made.push(code.entry(ENTRY, FUNCTION));
        }
        let start = start_of(request);
        let wanted = request.mode == Mode::CShared && !said.complete;
        // What the loader calls already has no entry.
        let is_called = said.is_init(&start) || said.calls(&start, code);
        let starts = wanted && said.defines(&start) && !is_called;
        if starts {
            made.push(code.entry(&format!("{start}.ptr"), &handles.handle(&start)));
        }
        let list = data.filter(|_| runtime && said.defines(LAST));
        // Whoever asks for a runtime by it has it for itself, whatever comes of that.
        let own = asked.or(announced).or(list);
        let used: Vec<&str> = own.into_iter().chain(starts.then_some(&*start)).collect();
        // Nobody else says why there can be no such module.
        if used.iter().any(|name| handles.is_refused(name)) {
            return None;
        }
        let mut looked = vec![APPEND, LAST];
        looked.extend(known(&said).into_iter().chain(wanted.then_some(&*start)));
        looked.retain(|_| !said.complete);
        let changes = handles.changes(&used, list, &looked);
        let pulls = (asks && runtime).then_some(APPEND);
        Self::bounded(&said, code, changes, made, pulls)
    }

    /// What was made, with what bounds the sections as they are after the changes.
    fn bounded(
        said: &Said<'_>,
        code: &'static code::Code,
        mut changes: Vec<(Place, Change)>,
        mut made: Vec<Part>,
        pulls: Option<&str>,
    ) -> Option<Self> {
        let moved = bounds::moved(said);
        for (place, mark) in bounds::marks(said, &moved) {
            at_place(&mut changes, place).marks.push(mark);
        }
        let changed = said.changed(code, &changes);
        let sections = sections(said, &changes, &changed, &made);
        let mut parts = bounds::heads(said, &sections, &moved);
        parts.append(&mut made);
        let tail = bounds::tails(said, &sections, &moved);
        let before = said.asked.iter().copied().filter(|_| !tail.is_empty());
        let wanted: Vec<String> = pulls.into_iter().chain(before).map(str::to_owned).collect();
        let some = !parts.is_empty() || !tail.is_empty() || !changes.is_empty() || pulls.is_some();
        some.then_some(Self { code, parts, tail, wanted, changes })
    }

    /// Whether there is an object before all others.
    fn has_first(&self) -> bool {
        !self.parts.is_empty() || !self.wanted.is_empty()
    }

    /// The object, if there is one.
    pub fn object(&self) -> Option<Vec<u8>> {
        let wanted: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
        self.has_first().then(|| write::object(self.code, &self.parts, &wanted))
    }

    /// The object behind all others, if there is one.
    pub fn tail(&self) -> Option<Vec<u8>> {
        (!self.tail.is_empty()).then(|| write::object(self.code, &self.tail, &[]))
    }

    /// The objects as GNU as reads them, each with its name; what is another in others as comments.
    pub fn texts(&self) -> Vec<(&'static str, String)> {
        let mut first = if self.has_first() { text::print(&self.parts) } else { String::new() };
        self.wanted.iter().for_each(|name| text::want(&mut first, name));
        self.changes.iter().for_each(|((file, _), change)| text::remark(&mut first, file, change));
        let tail = (!self.tail.is_empty()).then(|| (TAIL, text::print(&self.tail)));
        [(OBJECT, first)].into_iter().chain(tail).collect()
    }
}

/// The name of what starts a library.
fn start_of(request: &Request) -> String {
    let target = request.target.name();
    let goarch = target.split('-').next().unwrap_or(target);
    format!("_rt0_{goarch}_{}_lib", request.goos())
}

/// Whether `request` is of a library that is started by what `-init` names, and by no entry of its own.
pub(crate) fn starts_by_init(request: &Request) -> bool {
    let Target { arch, format } = request.target;
    let named = |arg: &String| arg.trim_start_matches('-').starts_with("init");
    if request.mode != Mode::CShared || format != Format::Elf || !request.args.iter().any(named) {
        return false;
    }
    let before = sugared(request);
    let request = before.as_ref().unwrap_or(request);
    let start = start_of(request);
    let known = code::of(arch.machine()).zip(Said::of(request, None));
    known.is_some_and(|(code, said)| {
        said.defines(&start) && said.is_init(&start) && !said.calls(&start, code)
    })
}

/// `request` for linkers that know no modes.
pub fn desugar(request: Request) -> Request {
    if request.target.format == Format::Macho {
        return macho::desugar(request);
    }
    if sugared(&request).is_some() {
        return request;
    }
    match Extra::of(&request) {
        Some(extra) => apply(&extra, request),
        None => request,
    }
}

/// `request` with `extra`.
fn apply(extra: &Extra, request: Request) -> Request {
    let Request { target, mode, mut args, mut files, goos } = request;
    for ((name, member), change) in &extra.changes {
        for file in files.iter_mut().filter(|file| file.name == *name) {
            let changed = match member {
                None => edit::changed(extra.code, &file.bytes, change),
                Some(member) => archive::with_members(&file.bytes, |at, bytes| {
                    let own = at == *member;
                    own.then(|| edit::changed(extra.code, bytes, change)).flatten()
                }),
            };
            if let Some(bytes) = changed {
                file.bytes = bytes.into();
            }
        }
    }
    if let Some(bytes) = extra.object() {
        args.insert(0, OBJECT.to_owned());
        files.insert(0, File { name: OBJECT.to_owned(), bytes: bytes.into() });
    }
    if let Some(bytes) = extra.tail() {
        args.push(TAIL.to_owned());
        files.push(File { name: TAIL.to_owned(), bytes: bytes.into() });
    }
    Request { target, mode, args, files, goos }
}

/// The request that became `request` by [`desugar`]; none if none did.
pub fn sugared(request: &Request) -> Option<Request> {
    if request.target.format == Format::Macho {
        return macho::sugared(request);
    }
    let mut before = request.clone();
    let mut changed = false;
    if before.args.first().is_some_and(|first| first == OBJECT) {
        before.args.remove(0);
        changed = true;
    }
    if before.args.last().is_some_and(|last| last == TAIL) {
        before.args.pop();
        changed = true;
    }
    if changed {
        before.files.retain(|file| !is_added(&file.name));
    }
    for file in &mut before.files {
        if let Some(bytes) = edit::original(&file.bytes) {
            file.bytes = bytes.into();
            changed = true;
        }
    }
    changed.then_some(before)
}

/// The objects that the mode of `request` adds, by their names, as assemblers read them, and what it changes in others
/// as comments; nothing if that is nothing.
pub fn texts(request: &Request) -> Vec<(&'static str, String)> {
    let before = sugared(request);
    let request = before.as_ref().unwrap_or(request);
    match request.target.format {
        Format::Elf => Extra::of(request).map_or_else(Vec::new, |extra| extra.texts()),
        Format::Macho => macho::text(request).into_iter().map(|text| (OBJECT, text)).collect(),
    }
}
