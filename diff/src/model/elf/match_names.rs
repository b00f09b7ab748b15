//! Unmarked sections of real inputs → addresses, by symbols of the output's `.symtab` that can only be theirs.
//!
//! A name that one section of all inputs defines once is such, and so is a local one that its source file defines
//! once: STT_FILE tells locals of one name apart. It must not know what any relocation means.

use rustc_hash::{FxHashMap, FxHashSet};

use super::inputs::{Inputs, SecId, static_symbols, static_table};
use super::object::{FILE, IFUNC, Object, SECTION, Section, Symbol, TLS, Where};
use super::places::{NOWHERE, copied};
use crate::loader::Module;

/// Finds what is still nowhere, but for `others`; `symbols` are the output's names that occur once there, with their
/// values.
pub(super) fn locate(
    inputs: &Inputs<'_>,
    module: &Module<'_>,
    symbols: &FxHashMap<String, Option<u64>>,
    others: &FxHashSet<SecId>,
    base: &mut [u64],
) {
    for (name, here) in unique(inputs, others) {
        if let (Some(here), Some(Some(value))) = (here, symbols.get(name)) {
            put(inputs, module, here, *value, base);
        }
    }
    let lost = |object: usize| {
        let first = inputs.first[object] as usize;
        let sections = &inputs.objects[object].sections;
        sections.iter().zip(&base[first..]).any(|(s, base)| s.told() && *base == NOWHERE)
    };
    if (0..inputs.objects.len()).any(lost) {
        of_files(inputs, module, others, base);
        by_elimination(inputs, module, symbols, others, base);
    }
}

/// Whether local names of `object` may be in no output, though it is linked: GNU ld writes them with the contents of its
/// sections, and it has none.
pub(super) fn is_silent(inputs: &Inputs<'_>, object: &Object<'_>) -> bool {
    !inputs.gc && object.sections.iter().filter(|s| s.placeable()).all(Section::nobits)
}

/// Whether a section may be in the output, for all that its names there say.
pub(super) fn leave_open(
    inputs: &Inputs<'_>,
    module: &Module<'_>,
    symbols: &FxHashMap<String, Option<u64>>,
    id: SecId,
) -> bool {
    let Some(&owner) = inputs.owner.get(id as usize) else { return false };
    let (object, first) = (&inputs.objects[owner as usize], inputs.first[owner as usize]);
    let here = |symbol: &&Symbol<'_>| symbol.place == Where::Section(id - first);
    let names = object.symbols.iter().filter(here).filter(|symbol| symbol.kind != SECTION);
    let mut names = names.filter(|symbol| !symbol.name.is_empty());
    let silent = is_silent(inputs, object);
    let dropped = |symbol: &Symbol<'_>| {
        symbol.name.starts_with(".L") || inputs.discards || (silent && symbol.binding == 0)
    };
    names.all(|symbol| symbols.contains_key(symbol.name) || dropped(symbol))
        || static_symbols(module).next().is_none()
}

/// Names that one section of all inputs defines, once.
fn unique<'a>(
    inputs: &Inputs<'a>,
    others: &FxHashSet<SecId>,
) -> FxHashMap<&'a str, Option<(SecId, u64)>> {
    let mut unique: FxHashMap<&str, Option<(SecId, u64)>> = FxHashMap::default();
    for (object, first) in inputs.objects.iter().zip(&inputs.first) {
        for symbol in object.symbols.iter().skip(1).filter(|symbol| !symbol.name.is_empty()) {
            let here = match symbol.place {
                Where::Section(section) if others.contains(&(first + section)) => continue,
                Where::Section(section) => Some((first + section, symbol.value)),
                Where::Undefined => continue,
                Where::Absolute | Where::Common => None,
            };
            unique.entry(symbol.name).and_modify(|old| *old = None).or_insert(here);
        }
    }
    unique
}

/// Places sections by names that several define: what all but one are placed elsewhere than the output's is the last's.
fn by_elimination(
    inputs: &Inputs<'_>,
    module: &Module<'_>,
    symbols: &FxHashMap<String, Option<u64>>,
    others: &FxHashSet<SecId>,
    base: &mut [u64],
) {
    let mut homes: FxHashMap<&str, Option<Vec<(SecId, u64)>>> = FxHashMap::default();
    for (object, first) in inputs.objects.iter().zip(&inputs.first) {
        for symbol in object.symbols.iter().skip(1).filter(|symbol| !symbol.name.is_empty()) {
            let here = match symbol.place {
                Where::Undefined => continue,
                Where::Section(section) if others.contains(&(first + section)) => continue,
                // Its address may be that of a PLT entry.
                Where::Section(_) if symbol.kind == IFUNC => None,
                Where::Section(section) => Some((first + section, symbol.value)),
                Where::Absolute | Where::Common => None,
            };
            let home = homes.entry(symbol.name).or_insert_with(|| Some(Vec::new()));
            match (home.as_mut(), here) {
                (Some(list), Some(here)) => list.push(here),
                _ => *home = None,
            }
        }
    }
    for (name, list) in homes {
        let (Some(list), Some(&Some(value))) = (list, symbols.get(name)) else { continue };
        // What has a marker would have been found by that.
        let marked = |id| inputs.section(id).is_some_and(|section| section.marker().is_some());
        let mut open = list.iter().filter(|(id, _)| base[*id as usize] == NOWHERE && !marked(*id));
        let (Some(&last), None) = (open.next(), open.next()) else { continue };
        let is_there = |(id, offset): &(SecId, u64)| {
            let base = base[*id as usize];
            base != NOWHERE && base.wrapping_add(*offset) == value
        };
        if !list.iter().any(is_there) && !copied(module, value) {
            put(inputs, module, last, value, base);
        }
    }
}

/// Places a section by the value of a symbol that is so far into it.
fn put(
    inputs: &Inputs<'_>,
    module: &Module<'_>,
    (id, offset): (SecId, u64),
    value: u64,
    base: &mut [u64],
) {
    let Some(section) = inputs.section(id).filter(|section| section.placeable()) else { return };
    if section.marker().is_some() || base[id as usize] != NOWHERE {
        return;
    }
    let start = value.wrapping_sub(offset);
    let segment = module.image.segment(start);
    let within =
        segment.is_some_and(|s| (start - s.address).saturating_add(section.size) <= s.size);
    if section.has(TLS) || section.size == 0 || within {
        base[id as usize] = start;
    }
}

/// Places sections by local symbols, each told by its source file.
fn of_files(inputs: &Inputs<'_>, module: &Module<'_>, others: &FxHashSet<SecId>, base: &mut [u64]) {
    let mut homes: FxHashMap<&str, Option<usize>> = FxHashMap::default();
    for (number, object) in inputs.objects.iter().enumerate() {
        let mut files = object.symbols.iter().filter(|symbol| symbol.kind == FILE);
        let (file, more) = (files.next(), files.next());
        let home = more.is_none().then_some(number);
        for symbol in file.into_iter().chain(more).chain(files) {
            homes.entry(symbol.name).and_modify(|old| *old = None).or_insert(home);
        }
    }
    for (file, values) in locals(module) {
        let Some(Some(number)) = homes.get(file) else { continue };
        for (name, section, offset) in own(&inputs.objects[*number]) {
            let id = inputs.first[*number] + section;
            if let Some(Some(value)) = values.get(name)
                && !others.contains(&id)
            {
                put(inputs, module, (id, offset), *value, base);
            }
        }
    }
}

/// Local names that an object defines once: section and offset of each.
fn own<'o>(object: &'o Object<'_>) -> impl Iterator<Item = (&'o str, u32, u64)> {
    let mut own: FxHashMap<&str, Option<(u32, u64)>> = FxHashMap::default();
    let local = |symbol: &&Symbol<'_>| symbol.binding == 0 && !symbol.name.is_empty();
    for symbol in object.symbols.iter().filter(local) {
        if let Where::Section(section) = symbol.place
            && symbol.kind != SECTION
        {
            let here = Some((section, symbol.value));
            own.entry(symbol.name).and_modify(|old| *old = None).or_insert(here);
        }
    }
    own.into_iter().filter_map(|(name, here)| here.map(|(section, at)| (name, section, at)))
}

/// The output's local symbols by source file and name: addresses; none for what is there twice.
fn locals<'a>(module: &Module<'a>) -> FxHashMap<&'a str, FxHashMap<&'a str, Option<u64>>> {
    let bias = module.image.tls.map_or(0, |tls| tls.address);
    let mut files: FxHashMap<&str, FxHashMap<&str, Option<u64>>> = FxHashMap::default();
    let mut file = "";
    for (name, symbol) in static_table(module) {
        let (kind, local) = (symbol.info & 15, symbol.info >> 4 == 0);
        if kind == FILE {
            file = name;
        } else if local && kind != SECTION && symbol.section != 0 && !file.is_empty() {
            let value = symbol.value.wrapping_add(if kind == 6 { bias } else { 0 });
            let names = files.entry(file).or_default();
            names.entry(name).and_modify(|old| *old = None).or_insert(Some(value));
        }
    }
    files
}
