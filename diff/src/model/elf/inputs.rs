//! A request's files and arguments → every object that may be in the link, and who defines each name.
//!
//! It must not know the output. Which archive members take part isn't decided here: their sections are
//! in the output or they aren't.

use rustc_hash::{FxHashMap, FxHashSet};

use super::bounds;
use super::object::{self, Object, Symbol, Where};
use crate::bytes::{slice, str_at, u16_at};
use crate::class::{Class, RawSymbol};
use crate::loader::{Module, Symbols};
use crate::model::{archive, section_label};
use crate::{Request, desugar};

/// A section of some object: index into [`Inputs::owner`].
pub(super) type SecId = u32;

/// What an input says a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spot {
    /// So many bytes from the start of a section.
    Section(SecId, u64),
    /// A number.
    Absolute(u64),
    /// Common storage: index into [`Inputs::commons`].
    Common(u32),
}

/// One definition of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Def {
    pub(super) spot: Spot,
    /// STT_*.
    pub(super) kind: u8,
    /// STB_WEAK: behind the strong ones of its name.
    pub(super) weak: bool,
}

impl Def {
    /// STT_FUNC or STT_GNU_IFUNC: what may have a state.
    pub(super) fn is_code(&self) -> bool {
        matches!(self.kind, 2 | 10)
    }
}

/// The common storage a name may get.
#[derive(Clone, Debug)]
pub(super) struct Common<'a> {
    pub(super) name: &'a str,
    /// Whose common is the largest; the first of equals.
    pub(super) object: u32,
    pub(super) size: u64,
    pub(super) tls: bool,
}

/// A list that is mostly one long.
pub(super) type Defs = Vec<Def>;

/// The inputs of a link.
#[derive(Debug, Default)]
pub(super) struct Inputs<'a> {
    pub(super) objects: Vec<Object<'a>>,
    /// The first section id of each object.
    pub(super) first: Vec<SecId>,
    /// The object of each section id.
    pub(super) owner: Vec<u32>,
    /// Global definitions in objects, by name.
    pub(super) defs: FxHashMap<&'a str, Defs>,
    /// Names that objects mention as globals.
    pub(super) mentioned: FxHashSet<&'a str>,
    /// Names that libraries define.
    pub(super) library: FxHashMap<&'a str, u64>,
    pub(super) commons: Vec<Common<'a>>,
    pub(super) wrapped: Vec<&'a str>,
    /// `--gc-sections`: sections that are not there say nothing.
    pub(super) gc: bool,
    /// `-x` and the like: outputs lack names.
    pub(super) discards: bool,
    /// Archives whose members all take part.
    pub(super) whole: Vec<&'a str>,
    /// `--defsym` names and values.
    pub(super) defsyms: Vec<(&'a str, &'a str)>,
}

impl<'a> Inputs<'a> {
    /// Reads all files of `request`.
    pub(super) fn read(request: &'a Request) -> Self {
        let mut inputs = Self::default();
        for file in &request.files {
            let bytes = &file.bytes[..];
            let named = || request.args.contains(&file.name);
            match bytes.get(..8) {
                Some(archive::MAGIC | archive::THIN) => {
                    for (name, bytes) in archive::members(request, file) {
                        if Class::of(bytes).is_some() {
                            inputs.object(name, bytes);
                        }
                    }
                }
                _ if Class::of(bytes).is_none() => {}
                _ => match u16_at(bytes, 16) {
                    Some(1) if named() => inputs.object(file.name.clone(), bytes),
                    Some(3) => inputs.library(bytes),
                    _ => {}
                },
            }
        }
        inputs.repeat(request);
        inputs.options(&request.args);
        for index in 0..inputs.objects.len() {
            inputs.define(index);
        }
        inputs
    }

    /// What takes part each time it is given is several objects: those after the first come last.
    fn repeat(&mut self, request: &'a Request) {
        let mut times: FxHashMap<&str, u32> = FxHashMap::default();
        for (file, ways) in request.given() {
            let is_archive = matches!(file.bytes.get(..8), Some(archive::MAGIC | archive::THIN));
            let takes_part = match is_archive {
                true => ways.whole,
                false => !ways.lazy && u16_at(&file.bytes, 16) == Some(1),
            };
            if !takes_part {
                continue;
            }
            let time = times.entry(&file.name).or_default();
            *time += 1;
            if *time == 1 {
                continue;
            }
            let objects = match is_archive {
                true => archive::members(request, file),
                false => vec![(file.name.clone(), &file.bytes[..])],
            };
            for (name, bytes) in objects.into_iter().filter(|(_, bytes)| Class::of(bytes).is_some())
            {
                self.object(format!("{name}#{time}"), bytes);
            }
        }
    }

    fn object(&mut self, file: String, bytes: &'a [u8]) {
        let Some(mut object) = object::read(file, bytes) else { return };
        if desugar::is_added(&object.file) {
            // Where something begins or ends is a name that linkers define.
            let sections = object.sections.iter_mut().filter(|section| section.size == 0);
            sections.for_each(|section| section.kind = 0);
            let symbols = object.symbols.iter_mut().filter(|s| bounds::is_marker(s.name));
            symbols.for_each(|symbol| symbol.place = Where::Undefined);
        } else if desugar::is_changed(bytes) {
            let is_moved = |place: Where| match place {
                Where::Section(at) => object.sections.get(at as usize).is_some_and(|section| {
                    bounds::BOUNDS.iter().any(|bound| bound.moved == Some(section.name))
                }),
                _ => false,
            };
            let symbols = object.symbols.iter_mut().filter(|s| bounds::is_marker(s.name));
            let made = symbols.filter(|symbol| symbol.binding != 0 && is_moved(symbol.place));
            made.for_each(|symbol| symbol.place = Where::Undefined);
        }
        let index = self.objects.len() as u32;
        self.first.push(self.owner.len() as u32);
        self.owner.resize(self.owner.len() + object.sections.len(), index);
        self.objects.push(object);
    }

    fn library(&mut self, bytes: &'a [u8]) {
        let Ok(Module { symbols: Symbols { list, .. }, .. }) = Module::load(bytes) else { return };
        for symbol in list {
            if !symbol.undefined() && symbol.version & 0x8000 == 0 {
                self.library.entry(symbol.name).or_insert(symbol.value);
            }
        }
    }

    fn options(&mut self, args: &'a [String]) {
        let mut whole = false;
        for (i, arg) in args.iter().enumerate() {
            let bare = arg.trim_start_matches('-');
            match bare {
                "whole-archive" => whole = true,
                "no-whole-archive" => whole = false,
                "gc-sections" => self.gc = true,
                "no-gc-sections" => self.gc = false,
                "x" | "discard-all" => self.discards = true,
                _ if whole => self.whole.push(arg),
                _ => {}
            }
            if let Some(name) = bare.strip_prefix("wrap=") {
                self.wrapped.push(name);
            } else if bare == "wrap" && arg.starts_with('-') {
                self.wrapped.extend(args.get(i + 1).map(|name| &**name));
            }
            let next = || args.get(i + 1).filter(|_| bare == "defsym" && arg.starts_with('-'));
            let text = bare.strip_prefix("defsym=").or_else(|| next().map(String::as_str));
            self.defsyms.extend(text.and_then(|text| text.split_once('=')));
        }
    }

    /// Forgets what the objects that are not in the output define; their mentions stay.
    pub(super) fn forget(&mut self, absent: &[bool]) {
        self.defs.clear();
        self.commons.clear();
        for index in (0..self.objects.len()).filter(|&index| !absent[index]) {
            self.define(index);
        }
    }

    fn define(&mut self, index: usize) {
        let (object, first) = (&self.objects[index], self.first[index]);
        for symbol in object.symbols.iter().skip(1).filter(|symbol| symbol.binding != 0) {
            self.mentioned.insert(symbol.name);
            let spot = match symbol.place {
                Where::Undefined => continue,
                Where::Absolute => Spot::Absolute(symbol.value),
                Where::Section(section) => Spot::Section(first.wrapping_add(section), symbol.value),
                Where::Common => {
                    let tls = symbol.kind == 6;
                    let list = self.defs.entry(symbol.name).or_default();
                    let old = list.iter().find_map(|def| match def.spot {
                        Spot::Common(common) => Some(common),
                        _ => None,
                    });
                    let new =
                        Common { name: symbol.name, object: index as u32, size: symbol.size, tls };
                    match old {
                        Some(old) => {
                            let old = &mut self.commons[old as usize];
                            if old.size < symbol.size {
                                *old = new;
                            }
                        }
                        None => {
                            let spot = Spot::Common(self.commons.len() as u32);
                            list.push(Def { spot, kind: symbol.kind, weak: false });
                            self.commons.push(new);
                        }
                    }
                    continue;
                }
            };
            let def = Def { spot, kind: symbol.kind, weak: symbol.binding == 2 };
            let list = self.defs.entry(symbol.name).or_default();
            let behind = list.iter().position(|other| other.weak && !def.weak);
            list.insert(behind.unwrap_or(list.len()), def);
        }
    }

    /// Whether object `index` takes part, whatever is needed.
    pub(super) fn is_certain(&self, index: usize) -> bool {
        let file = &self.objects[index].file;
        let member = file.strip_suffix(')').and_then(|name| name.split_once('('));
        member.is_none_or(|(archive, _)| self.whole.contains(&archive))
    }

    /// The definition that a symbol of `object` is itself.
    pub(super) fn own(&self, object: u32, symbol: &Symbol<'_>) -> Option<Def> {
        let spot = match symbol.place {
            Where::Absolute => Spot::Absolute(symbol.value),
            Where::Section(section) => {
                Spot::Section(self.first[object as usize].wrapping_add(section), symbol.value)
            }
            Where::Undefined | Where::Common => return None,
        };
        Some(Def { spot, kind: symbol.kind, weak: symbol.binding == 2 })
    }

    /// The section with this id.
    pub(super) fn section(&self, id: SecId) -> Option<&object::Section<'a>> {
        let object = *self.owner.get(id as usize)? as usize;
        self.objects[object].sections.get((id - self.first[object]) as usize)
    }

    /// The file of a section.
    pub(super) fn section_file(&self, id: SecId) -> &str {
        let owner = self.owner.get(id as usize);
        owner.map_or("", |object| &self.objects[*object as usize].file)
    }

    /// `FILE:NAME`, the name of a section in facts.
    pub(super) fn section_name(&self, id: SecId) -> String {
        let Some(section) = self.section(id) else { return "?".into() };
        let file = &self.objects[self.owner[id as usize] as usize].file;
        section_label(file, section.name, section.nth as usize)
    }

    /// The name that a reference to `name` is bound to under `--wrap`.
    pub(super) fn wrap<'n>(&self, name: &'n str) -> std::borrow::Cow<'n, str> {
        if self.wrapped.is_empty() {
            return name.into();
        }
        if self.wrapped.contains(&name) {
            return format!("__wrap_{name}").into();
        }
        match name.strip_prefix("__real_") {
            Some(real) if self.wrapped.contains(&real) => real.into(),
            _ => name.into(),
        }
    }
}

/// The symbols of an output's .symtab that are defined: (name, value, st_shndx, STT_*).
pub(super) fn static_symbols<'a>(
    module: &Module<'a>,
) -> impl Iterator<Item = (&'a str, u64, u16, u8)> {
    let defined = static_table(module).filter(|(_, raw)| raw.section != 0 && raw.name != 0);
    defined.map(|(name, raw)| (name, raw.value, raw.section, raw.info & 15))
}

/// All symbols of an output's .symtab, with their names.
pub(super) fn static_table<'a>(module: &Module<'a>) -> impl Iterator<Item = (&'a str, RawSymbol)> {
    let image = &module.image;
    let header = image.headers.iter().find(|header| header.kind == 2);
    let content = |offset, size| slice(image.bytes, offset, size);
    let table = header.and_then(|header| content(header.offset, header.size)).unwrap_or_default();
    let strings = header
        .and_then(|header| image.headers.get(header.link as usize))
        .and_then(|header| content(header.offset, header.size))
        .unwrap_or_default();
    let class = image.class;
    table.chunks_exact(class.sizes().symbol as usize).filter_map(move |raw| {
        let symbol = class.symbol(raw)?;
        Some((str_at(strings, symbol.name.into()), symbol))
    })
}
