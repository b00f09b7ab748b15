//! Symbols of the output object: sections', locals in file order, then each global once.

use rustc_hash::FxHashMap;

use super::{NOWHERE, Work};
use crate::object::{Home, Object, SymId, bind, kind, vis};
use crate::options::{Discard, Expression, Strip};
use crate::resolve::mention;

/// Where an output symbol is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Undefined,
    Absolute,
    Common,
    Part(u32),
    /// In a section group: assemblers put signatures there that are no symbols otherwise.
    Group(u32),
}

/// One output symbol.
#[derive(Clone, Debug)]
pub(super) struct OutSymbol<'w> {
    pub(super) name: &'w [u8],
    /// `@V` or `@@V`, kept for the final link.
    pub(super) version: Option<(&'w [u8], bool)>,
    pub(super) value: u64,
    pub(super) size: u64,
    pub(super) place: Place,
    pub(super) bind: u8,
    pub(super) kind: u8,
    pub(super) other: u8,
}

/// The symbol table, and how to find a symbol's new number.
pub(super) struct Table<'w> {
    /// All but the null symbol.
    pub(super) symbols: Vec<OutSymbol<'w>>,
    /// How many of them are local.
    pub(super) locals: usize,
    /// By object and old index; 0 for what is left out.
    local_numbers: Vec<Vec<u32>>,
    global_numbers: FxHashMap<SymId, u32>,
}

impl Table<'_> {
    /// The new number of `object`'s symbol `index`, and what to add to a relocation's addend.
    /// `None` for a symbol of a section that is left out.
    pub(super) fn number(&self, work: &Work<'_, '_>, at: usize, index: u32) -> Option<(u32, u64)> {
        let object = work.objects[at];
        if index == 0 {
            return Some((0, 0));
        }
        if index >= object.first_global {
            let number = *self.global_numbers.get(&object.id(index))?;
            return Some((number, 0));
        }
        let symbol = object.symbols.get(index);
        match (symbol.kind, symbol.home) {
            (kind::SECTION, Home::Section(s)) => {
                let (part, offset) = work.places[object.sec(s).i()];
                (part != NOWHERE).then(|| (part + 1, offset.wrapping_add(symbol.value)))
            }
            _ => Some((self.local_numbers[at][index as usize], 0)).filter(|n| n.0 != 0),
        }
    }
}

/// Collects the symbols of the output.
pub(super) fn collect<'w>(work: &Work<'w, '_>) -> Table<'w> {
    let mut symbols: Vec<OutSymbol<'w>> = (0..work.parts.len())
        .map(|part| OutSymbol {
            name: b"",
            version: None,
            value: 0,
            size: 0,
            place: Place::Part(part as u32),
            bind: bind::LOCAL,
            kind: kind::SECTION,
            other: vis::DEFAULT,
        })
        .collect();
    let groups: FxHashMap<(usize, u32), u32> =
        work.groups.iter().zip(0..).map(|(g, number)| ((g.object, g.section), number)).collect();
    let mut local_numbers = Vec::with_capacity(work.objects.len());
    for (at, &object) in work.objects.iter().enumerate() {
        let needed = needed(work, object);
        let mut numbers = vec![0; object.first_global as usize];
        for index in 1..object.first_global {
            let Some(out) = local(work, object, &groups, at, index) else { continue };
            if !needed.contains(&index) && is_dropped(work, &out) {
                continue;
            }
            symbols.push(out);
            numbers[index as usize] = symbols.len() as u32;
        }
        local_numbers.push(numbers);
    }
    let locals = symbols.len();
    let mut global_numbers = FxHashMap::default();
    for &object in &work.objects {
        for &id in object.globals.iter().filter(|&&id| !is_collected(work, id)) {
            global_numbers.entry(id).or_insert_with(|| {
                symbols.push(global(work, id));
                symbols.len() as u32
            });
        }
    }
    if let Some((bit, _)) = work.arch.variant {
        for id in crate::synthetic::properties::variants(work.arch, work.res) {
            if let Some(&number) = global_numbers.get(&id) {
                symbols[number as usize - 1].other |= bit;
            }
        }
    }
    for (id, symbol) in defsyms(work) {
        match global_numbers.get(&id) {
            Some(&number) => symbols[number as usize - 1] = symbol,
            None => {
                symbols.push(symbol);
                global_numbers.insert(id, symbols.len() as u32);
            }
        }
    }
    Table { symbols, locals, local_numbers, global_numbers }
}

/// Whether `--gc-sections` took the section that `id` is in.
fn is_collected(work: &Work<'_, '_>, id: SymId) -> bool {
    let def = work.res.defs[id.i()];
    let (Some(symbol), Some(object)) = (work.res.winner(id), work.res.object(def.file())) else {
        return false;
    };
    let gone = |s: u32| work.places[object.sec(s).i()].0 == NOWHERE;
    work.options.gc_sections && matches!(symbol.home, Home::Section(s) if s != 0 && gone(s))
}

/// What `--defsym` defines: numbers, and other symbols' places.
fn defsyms<'w>(work: &Work<'w, '_>) -> Vec<(SymId, OutSymbol<'w>)> {
    let all = &work.options.defsyms;
    let mut found: Vec<Option<(SymId, OutSymbol<'w>)>> = vec![None; all.len()];
    for &at in &work.order.all {
        let Some(id) = work.res.find(all[at].name.as_bytes()) else { continue };
        let mut symbol = OutSymbol {
            name: work.res.names.get(id),
            version: None,
            value: 0,
            size: 0,
            place: Place::Absolute,
            bind: bind::GLOBAL,
            kind: kind::NOTYPE,
            other: work.res.visibility[id.i()],
        };
        if let Expression::Number(value) = all[at].value {
            symbol.value = value;
        } else if let Some((target, addend)) = all[at].value.as_alias() {
            let known = work.order.seen(at, target).and_then(|other| found[other].clone());
            let known = known.map(|(_, symbol)| symbol);
            let object = || work.res.find(target.as_bytes()).map(|id| global(work, id));
            let Some(of) = known.or_else(object) else { continue };
            (symbol.place, symbol.kind) = (of.place, of.kind);
            symbol.value = of.value.wrapping_add_signed(addend);
        }
        found[at] = Some((id, symbol));
    }
    found.into_iter().flatten().collect()
}

/// Local symbols that relocations and groups name, if any could be dropped.
fn needed(work: &Work<'_, '_>, object: &Object<'_>) -> rustc_hash::FxHashSet<u32> {
    let mut needed = rustc_hash::FxHashSet::default();
    if work.options.strip != Strip::All
        && matches!(work.options.discard, Discard::None | Discard::SecMerge)
    {
        return needed;
    }
    for index in 1..object.sections.len() {
        if work.places[object.sec(index).i()].0 != NOWHERE {
            needed.extend(object.relocs(index).iter().map(|r| r.sym));
        }
    }
    needed.extend(object.groups.iter().map(|g| g.signature));
    needed
}

fn is_dropped(work: &Work<'_, '_>, symbol: &OutSymbol<'_>) -> bool {
    match work.options.discard {
        _ if work.options.strip == Strip::All => true,
        Discard::All => symbol.kind != kind::FILE,
        Discard::Locals => symbol.name.starts_with(b".L"),
        Discard::None | Discard::SecMerge => false,
    }
}

fn local<'w>(
    work: &Work<'w, '_>,
    object: &'w Object<'_>,
    groups: &FxHashMap<(usize, u32), u32>,
    at: usize,
    index: u32,
) -> Option<OutSymbol<'w>> {
    let symbol = object.symbols.get(index);
    let (place, value) = match symbol.home {
        Home::Section(_) if symbol.kind == kind::SECTION => return None,
        Home::Section(s) => match (work.places[object.sec(s).i()], groups.get(&(at, s))) {
            (_, Some(&group)) => (Place::Group(group), symbol.value),
            ((NOWHERE, _), _) => return None,
            ((part, offset), _) => (Place::Part(part), symbol.value.wrapping_add(offset)),
        },
        Home::Absolute => (Place::Absolute, symbol.value),
        Home::Undefined | Home::Common => return None,
    };
    Some(OutSymbol {
        name: object.symbol_name(index),
        version: None,
        value,
        size: symbol.size,
        place,
        bind: bind::LOCAL,
        kind: symbol.kind,
        other: symbol.vis | symbol.rest,
    })
}

fn global<'w>(work: &Work<'w, '_>, id: SymId) -> OutSymbol<'w> {
    let res = work.res;
    let (def, mentions) = (res.defs[id.i()], res.mentions[id.i()]);
    let version = res.versions.get(&id).copied();
    let name = res.names.get(id);
    let mut out = OutSymbol {
        name,
        // The name of a symbol with a version that is not the default one has it already.
        version: version.filter(|v| v.1 && !name.contains(&b'@')),
        value: 0,
        size: 0,
        place: Place::Undefined,
        bind: if mentions & mention::STRONG == 0 { bind::WEAK } else { bind::GLOBAL },
        kind: if mentions & mention::TLS != 0 { kind::TLS } else { kind::NOTYPE },
        other: res.visibility[id.i()],
    };
    let (Some(symbol), Some(object)) = (res.winner(id), res.object(def.file())) else {
        return out;
    };
    if !def.is_local() {
        return out;
    }
    (out.bind, out.kind, out.size) = (symbol.bind, symbol.kind, symbol.size);
    out.other |= symbol.rest;
    match symbol.home {
        Home::Section(s) => {
            let (part, offset) = work.places[object.sec(s).i()];
            if part != NOWHERE {
                out.place = Place::Part(part);
                out.value = symbol.value.wrapping_add(offset);
            }
        }
        Home::Absolute => (out.place, out.value) = (Place::Absolute, symbol.value),
        Home::Common => {
            let largest = res.commons.get(&id).copied();
            let (size, align) = largest.unwrap_or((symbol.size, symbol.value));
            (out.place, out.value, out.size) = (Place::Common, align, size);
        }
        Home::Undefined => {}
    }
    out
}
