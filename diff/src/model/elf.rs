//! ELF modules → Facts.
//!
//! The reader's table of contents: the inputs are read (`inputs`), found in the output (`places`),
//! every relocation site is decoded and followed (`sites`, `judge`), and what the dynamic tables say is
//! told in terms of places (`dynamic`, `unwind`). What is particular to a machine is in its own
//! module, picked in `machine`. It must not know the linker that wrote the output.

mod amd64;
mod arm;
mod arm64;
mod bounds;
mod copies;
mod dynamic;
mod exidx;
pub(crate) mod frame;
#[cfg(test)]
pub(crate) mod hostile;
mod inputs;
mod judge;
pub(crate) mod machine;
mod match_bytes;
mod match_names;
mod names;
mod object;
mod places;
mod sites;
#[cfg(test)]
mod tests;
mod unwind;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::{Family, Value, section_label};
use crate::loader::Module;
use crate::{Facts, Request};

/// Reads the output of `request` as a loader would.
///
/// Never panics on any bytes: what can't be read becomes a `Bad` meaning or a missing fact.
pub fn facts(request: &Request, output: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let mut module = match Module::load(output) {
        Ok(module) => module,
        Err(text) => {
            facts.put(Family::Dynamic, "broken", Value::Text(text.into()));
            return facts;
        }
    };
    module.executable = !request.mode.is_library();
    let mut inputs = inputs::Inputs::read(request);
    let mut places = places::Places::locate(&inputs, &module);
    let absent = places.absent(&inputs);
    if absent.contains(&true) {
        inputs.forget(&absent);
        places = places::Places::locate(&inputs, &module);
    }
    let plt_got = module.dynamic.as_ref().and_then(|dynamic| dynamic.plt_got);
    let got = places.symbol("_GLOBAL_OFFSET_TABLE_").or(plt_got);
    let judge = judge::Judge {
        request,
        inputs: &inputs,
        places: &places,
        module: &module,
        got: Cell::new(None),
        default_got: got,
        ifuncs: RefCell::new(FxHashMap::default()),
        bounds: RefCell::new(FxHashMap::default()),
        empties: RefCell::new(FxHashMap::default()),
        depth: Cell::new(0),
    };
    dynamic::facts(&judge, &mut facts);
    unwind::facts(&judge, &mut facts);
    exidx::facts(&judge, &mut facts);
    sites::facts(&judge, &mut facts);
    facts
}

/// Whether `name` is one that linkers define when nobody else does: it has no `lookup` fact.
pub fn is_linkers(name: &str) -> bool {
    names::is_linkers(name)
}

pub(crate) use bounds::{BOUNDS, Bound};

/// How an object defines a name, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Standing {
    /// For itself.
    Local,
    Weak,
    Common,
    Strong,
}

/// A definition in an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defined {
    pub(crate) standing: Standing,
    /// Which of the object's symbols it is.
    pub(crate) symbol: u32,
    /// It has no place.
    pub(crate) number: bool,
    /// It is in a section that isn't loaded, or each thread has its own.
    pub(crate) unloaded: bool,
    /// Its section, if it has one, and how far in there it is.
    pub(crate) home: (Option<u32>, u64),
    /// Of a common block: st_size, and its alignment, st_value.
    pub(crate) block: Option<(u64, u64)>,
}

/// How an object defines `name`, each time it does, where sections that are `dropped` don't count.
pub(crate) fn definitions(bytes: &[u8], name: &str, dropped: &BTreeSet<u32>) -> Vec<Defined> {
    let Some(object) = relocatable(bytes) else { return Vec::new() };
    let (symbols, sections) = (&object.symbols, &object.sections);
    let defined = |(at, symbol): (u32, &object::Symbol<'_>)| {
        let standing = match (symbol.binding, symbol.place) {
            (_, object::Where::Undefined) => return None,
            (_, object::Where::Section(at)) if dropped.contains(&at) => return None,
            (0, _) => Standing::Local,
            (_, object::Where::Common) => Standing::Common,
            (2, _) => Standing::Weak,
            _ => Standing::Strong,
        };
        let number = symbol.place == object::Where::Absolute;
        let section = match symbol.place {
            object::Where::Section(at) => Some(at),
            _ => None,
        };
        let found = section.and_then(|at| sections.get(at as usize));
        let is_loaded = |s: &object::Section<'_>| s.has(object::ALLOC) && !s.has(object::TLS);
        // STT_TLS.
        let unloaded = symbol.kind == 6 || !found.is_none_or(is_loaded);
        let home = (section, symbol.value);
        let is_common = symbol.place == object::Where::Common;
        let block = is_common.then_some((symbol.size, symbol.value));
        let found = Defined { standing, symbol: at, number, unloaded, home, block };
        // STT_SECTION, STT_FILE: the names of a section and of a source file are nobody's.
        (!matches!(symbol.kind, 3 | 4)).then_some(found)
    };
    let all = (0..).zip(symbols).filter(|(_, symbol)| symbol.name == name);
    all.filter_map(defined).collect()
}

/// The COMDAT groups of an object: the name that each goes by, and its sections.
pub(crate) fn comdats(bytes: &[u8]) -> Vec<(&str, Vec<u32>)> {
    let groups = relocatable(bytes).map(|object| object.groups).unwrap_or_default();
    groups.into_iter().map(|group| (group.name, group.sections)).collect()
}

/// Whether an init entry of an object, a word of one of the types `words`, leads to `name`, where sections that are
/// `dropped` don't count.
pub(crate) fn calls(bytes: &[u8], name: &str, words: &[u32], dropped: &BTreeSet<u32>) -> bool {
    let Some(object) = relocatable(bytes) else { return false };
    let symbols = &object.symbols;
    let place = |symbol: &object::Symbol<'_>, addend: i64| {
        let offset = symbol.value.wrapping_add_signed(addend);
        (symbol.place != object::Where::Undefined).then_some((symbol.place, offset))
    };
    let own = symbols.iter().filter(|symbol| symbol.name == name);
    let homes: Vec<_> = own.filter_map(|symbol| place(symbol, 0)).collect();
    // SHT_INIT_ARRAY, and what did its work before there was one.
    let is_old = |name: &str| name == ".ctors" || name.starts_with(".ctors.");
    let kept = (0..).zip(&object.sections).filter(|(at, _)| !dropped.contains(at));
    let arrays = kept.map(|it| it.1).filter(|section| section.kind == 14 || is_old(section.name));
    let mut entries =
        arrays.flat_map(object::Section::relocs).filter(|r| words.contains(&r.r_type));
    entries.any(|reloc| {
        let Some(symbol) = symbols.get(reloc.symbol as usize) else { return false };
        let by_name = symbol.name == name && reloc.addend == 0;
        by_name || place(symbol, reloc.addend).is_some_and(|place| homes.contains(&place))
    })
}

/// What a mention of a name in an object is to other objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Facing {
    /// Nothing.
    Local,
    /// A definition.
    Defined,
    /// A reference that asks for one.
    Wanted,
    /// A reference that does without.
    Weak,
}

/// A symbol that an object mentions.
#[derive(Clone)]
pub(crate) struct Mention<'a> {
    pub(crate) name: &'a str,
    pub(crate) facing: Facing,
}

/// The symbols of an object; none of what is none.
pub(crate) fn mentions(bytes: &[u8]) -> Vec<Mention<'_>> {
    let symbols = relocatable(bytes).map(|object| object.symbols).unwrap_or_default();
    let facing = |symbol: &object::Symbol<'_>| match (symbol.binding, symbol.place) {
        (0, _) => Facing::Local,
        (2, object::Where::Undefined) => Facing::Weak,
        (_, object::Where::Undefined) => Facing::Wanted,
        _ => Facing::Defined,
    };
    symbols.iter().skip(1).map(|s| Mention { name: s.name, facing: facing(s) }).collect()
}

/// What places a section beside others.
#[derive(Clone)]
pub(crate) struct Outline<'a> {
    pub(crate) name: &'a str,
    /// SHT_*.
    pub(crate) kind: u32,
    /// SHF_*.
    pub(crate) flags: u64,
    pub(crate) align: u64,
}

/// The sections of an object that are loaded.
pub(crate) fn outlines(bytes: &[u8]) -> Vec<Outline<'_>> {
    let sections = relocatable(bytes).map(|object| object.sections).unwrap_or_default();
    let loaded = sections.iter().filter(|section| section.has(object::ALLOC));
    loaded.map(|s| Outline { name: s.name, kind: s.kind, flags: s.flags, align: s.align }).collect()
}

/// How far beside its symbol each relocation of an object leads: `FILE:SECTION+0xOFF`, as site facts name it, and bytes.
pub(crate) fn beside(machine: u16, file: &str, bytes: &[u8]) -> Vec<(String, i64)> {
    let (Some(machine), Some(object)) = (machine::of(machine), relocatable(bytes)) else {
        return Vec::new();
    };
    let distance = |reloc: &object::Reloc| {
        let form = (machine.row)(reloc.r_type).map(|row| row.form);
        let from_place = matches!(form, Some(machine::Form::Pc | machine::Form::Plt));
        match from_place {
            // Where the program counter is said to be, is in the addend of each field.
            true if machine.rel && (-8..0).contains(&reloc.addend) => 0,
            true => reloc.addend.wrapping_add_unsigned(machine.instruction_bias),
            false => reloc.addend,
        }
    };
    let sections = object.sections.iter().flat_map(|section| {
        let name = section_label(file, section.name, section.nth as usize);
        section.relocs().map(move |reloc| (format!("{name}+{:#x}", reloc.offset), distance(&reloc)))
    });
    sections.collect()
}

fn relocatable(bytes: &[u8]) -> Option<object::Object<'_>> {
    (crate::bytes::u16_at(bytes, 16) == Some(1))
        .then(|| object::read(String::new(), bytes))
        .flatten()
}

/// Whether `bytes` are a library's.
pub(crate) fn is_library(bytes: &[u8]) -> bool {
    crate::class::Class::of(bytes).is_some() && crate::bytes::u16_at(bytes, 16) == Some(3)
}

/// The names that a library defines for everybody, and those that it needs; whether it is one of the former.
pub(crate) fn dynamic_names(bytes: &[u8]) -> Vec<(&str, bool)> {
    let symbols = Module::load(bytes).map(|module| module.symbols.list).unwrap_or_default();
    // A hidden version answers to nobody who asks by the plain name.
    let plain = symbols.iter().skip(1).filter(|s| s.undefined() || s.version & 0x8000 == 0);
    // Nor is what has a version another library's asked of anybody else.
    let asks = plain.filter(|s| !s.undefined() || !(s.binding == 2 || s.version & 0x7fff > 1));
    asks.map(|symbol| (symbol.name, !symbol.undefined())).collect()
}
