//! Inputs beside an output → where each input section is, and which place an address is.
//!
//! Sections are found by their markers, then by symbols that can only be theirs, then beside a neighbour
//! of the same name or alone by their bytes with relocation holes masked. It must not know what any
//! relocation means.

use rustc_hash::{FxHashMap, FxHashSet};

use super::inputs::{Common, Inputs, SecId, Spot, static_symbols};
use super::object::{EXEC, IFUNC, Section, TLS, Where};
use super::{copies, match_bytes, match_names};
use crate::desugar;
use crate::loader::{Kind, Module};
use crate::model::{MARKER_MAGIC, Place};

/// No place.
pub(super) const NOWHERE: u64 = u64::MAX;

/// A placed section or common, as an interval of addresses.
#[derive(Clone, Copy, Debug)]
struct Interval {
    start: u64,
    end: u64,
    /// A section id, or `inputs.owner.len() +` a common's index.
    id: u32,
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Places {
    /// By section id, then by common: the address (for TLS: in the template).
    base: Vec<u64>,
    loads: Vec<Interval>,
    tls: Vec<Interval>,
    /// Sections of COMDAT groups that another copy speaks for.
    others: FxHashSet<SecId>,
    /// Sections of real inputs that may be in the output, though nothing tells where.
    pub(super) lost: FxHashSet<SecId>,
    /// Sections whose marker is in the output twice.
    pub(super) twice: Vec<SecId>,
    /// Symbols of the output's .symtab whose name occurs once: value, section index.
    pub(super) symbols: FxHashMap<String, Option<u64>>,
}

impl Places {
    /// Finds every section of `inputs` in the output.
    pub(super) fn locate(inputs: &Inputs<'_>, module: &Module<'_>) -> Self {
        let total = inputs.owner.len() + inputs.commons.len();
        let mut places = Self {
            base: vec![NOWHERE; total],
            loads: Vec::new(),
            tls: Vec::new(),
            others: FxHashSet::default(),
            lost: FxHashSet::default(),
            twice: Vec::new(),
            symbols: FxHashMap::default(),
        };
        let marked = places.by_markers(inputs, module);
        places.read_symbols(inputs, module);
        if marked < placeable(inputs).count() {
            let Self { symbols, base, .. } = &mut places;
            let others = copies::others(inputs, module, symbols);
            match_names::locate(inputs, module, symbols, &others, base);
            let unknown = match_bytes::locate(inputs, module, &others, base);
            places.others = others;
            places.announcer(inputs, module);
            places.lose(inputs, module, unknown);
        }
        places.index(inputs);
        places.commons(inputs, module);
        places
    }

    /// Which objects are archive members that were not extracted: none of their marked sections is
    /// in the output.
    pub(super) fn absent(&self, inputs: &Inputs<'_>) -> Vec<bool> {
        let members = || {
            inputs.objects.iter().enumerate().map(|(index, object)| {
                // An absolute symbol is there even if all sections are garbage.
                let absolute = || {
                    let mut symbols = object.symbols.iter().filter(|s| s.binding != 0);
                    inputs.gc && symbols.any(|s| matches!(s.place, Where::Absolute))
                };
                !inputs.is_certain(index) && !absolute()
            })
        };
        if !members().any(|member| member) {
            return vec![false; inputs.objects.len()];
        }
        let mut seen: Vec<(bool, bool)> = vec![(false, false); inputs.objects.len()];
        for (id, section) in placeable(inputs) {
            let (marked, placed) = &mut seen[inputs.owner[id as usize] as usize];
            *marked |= section.marker().is_some();
            *placed |= self.base[id as usize] != NOWHERE;
        }
        members().zip(seen).map(|(member, (marked, placed))| member && marked && !placed).collect()
    }

    fn by_markers(&mut self, inputs: &Inputs<'_>, module: &Module<'_>) -> usize {
        let mut markers = FxHashMap::default();
        for (id, section) in placeable(inputs) {
            if let Some(marker) = section.marker() {
                markers.insert(marker, id);
            }
        }
        if markers.is_empty() {
            return 0;
        }
        let finder = memchr::memmem::Finder::new(&MARKER_MAGIC);
        for segment in &module.image.loads {
            let bytes = module.image.tail(segment.address);
            let bytes = &bytes[..bytes.len().min(segment.file_size as usize)];
            for at in finder.find_iter(bytes) {
                let Some(Ok(marker)) = bytes.get(at + 8..at + 16).map(<[u8; 8]>::try_from) else {
                    continue;
                };
                let Some(&id) = markers.get(&marker) else { continue };
                let address = segment.address.wrapping_add(at as u64);
                let base = &mut self.base[id as usize];
                if *base == NOWHERE {
                    *base = address;
                } else if *base != address {
                    self.twice.push(id);
                }
            }
        }
        markers.len()
    }

    /// Reads the output's .symtab: names that occur once there and are where the inputs have them.
    fn read_symbols(&mut self, inputs: &Inputs<'_>, module: &Module<'_>) {
        let bias = module.image.tls.map_or(0, |tls| tls.address);
        let ifuncs = inputs.objects.iter().flat_map(|object| &object.symbols);
        let ifuncs: FxHashSet<&str> =
            ifuncs.filter(|symbol| symbol.kind == IFUNC).map(|symbol| symbol.name).collect();
        let mut add = |name: &str, value: u64, kind: u8| {
            let value = match kind {
                6 => Some(value.wrapping_add(bias)),
                // A function now: its own PLT entry. Behind that is the resolver, which the inputs call so.
                _ if kind != IFUNC && ifuncs.contains(name) => {
                    let slot = module.stub(value).and_then(|slot| module.reloc_at(slot));
                    slot.filter(|reloc| reloc.kind == Kind::Irelative).map(|reloc| reloc.addend)
                }
                _ => Some(value),
            };
            match self.symbols.get_mut(name) {
                Some(old) if *old == value => {}
                Some(old) => *old = None,
                None => _ = self.symbols.insert(name.to_owned(), value),
            }
        };
        let mut any = false;
        for (name, value, _, kind) in static_symbols(module) {
            any = true;
            add(name, value, kind);
        }
        if !any {
            for symbol in module.symbols.list.iter().filter(|symbol| !symbol.undefined()) {
                add(symbol.name, symbol.value, symbol.kind);
            }
        }
    }

    /// Of sections that nothing tells of, those of real inputs that take part, and whose names may be there.
    fn lose(&mut self, inputs: &Inputs<'_>, module: &Module<'_>, mut unknown: Vec<SecId>) {
        let real = |index: usize| {
            let object = &inputs.objects[index];
            let mut ids = (inputs.first[index]..).zip(&object.sections);
            let marked = object.sections.iter().any(|section| section.marker().is_some());
            let mut placed =
                || ids.any(|(id, section)| section.size > 0 && self.base(id).is_some());
            !marked && !desugar::is_added(&object.file) && (inputs.is_certain(index) || placed())
        };
        let mut known: FxHashMap<u32, bool> = FxHashMap::default();
        let replaced = match unknown.is_empty() {
            true => FxHashSet::default(),
            false => copies::replaced(inputs, &self.base),
        };
        unknown.retain(|id| {
            let owner = inputs.owner[*id as usize];
            self.base(*id).is_none()
                && !replaced.contains(id)
                && *known.entry(owner).or_insert_with(|| real(owner as usize))
                && match_names::leave_open(inputs, module, &self.symbols, *id)
        });
        self.lost = unknown.into_iter().collect();
    }

    /// The value of the output's only symbol called `name`.
    pub(super) fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied().flatten()
    }

    /// The function that a build mode adds has no bytes of its own to know it by, and in a stripped output no name: it
    /// is where the only init entry leads that leads to nothing else. What is there is then held against it.
    fn announcer(&mut self, inputs: &Inputs<'_>, module: &Module<'_>) {
        let code = |section: &Section<'_>| section.has(EXEC) && section.size > 0;
        let mut made = placeable(inputs)
            .filter(|(id, section)| inputs.section_file(*id) == desugar::OBJECT && code(section));
        let (Some((id, _)), None) = (made.next(), made.next()) else { return };
        if self.base[id as usize] != NOWHERE {
            return;
        }
        self.index(inputs);
        let mut strays = init_entries(module).filter(|entry| !self.occupied(*entry));
        if let (Some(entry), None) = (strays.next(), strays.next()) {
            self.base[id as usize] = entry;
        }
    }

    fn index(&mut self, inputs: &Inputs<'_>) {
        self.loads.clear();
        self.tls.clear();
        for (id, section) in placeable(inputs) {
            let start = self.base[id as usize];
            if start != NOWHERE {
                let interval = Interval { start, end: start.saturating_add(section.size), id };
                if section.has(TLS) { &mut self.tls } else { &mut self.loads }.push(interval);
            }
        }
        self.loads.sort_by_key(|interval| (interval.start, interval.end));
        self.tls.sort_by_key(|interval| (interval.start, interval.end));
    }

    /// A common is where the output's symbol of its name is, unless a section is there.
    fn commons(&mut self, inputs: &Inputs<'_>, module: &Module<'_>) {
        let sections = inputs.owner.len();
        let mut found = Vec::new();
        for (i, common) in inputs.commons.iter().enumerate() {
            let value = self.symbol(common.name).or_else(|| self.unplaced(common, module));
            let Some(value) = value else { continue };
            // Another definition won: a number, or an IFUNC whose symbol is a PLT entry.
            let defs = inputs.defs.get(common.name).map_or(&[][..], |defs| defs);
            let code = |kind| matches!(kind, 2 | 10);
            if defs.iter().any(|def| def.spot == Spot::Absolute(value))
                || (defs.iter().any(|def| def.kind == 10)
                    && static_symbols(module)
                        .any(|(name, _, _, kind)| name == common.name && code(kind)))
            {
                continue;
            }
            let list = if common.tls { &self.tls } else { &self.loads };
            // Nor are copies and PLT entries commons.
            let code = || module.image.segment(value).is_none_or(|segment| segment.executable());
            if inside(list, value).is_some() || (!common.tls && (copied(module, value) || code())) {
                continue;
            }
            self.base[sections + i] = value;
            let id = (sections + i) as u32;
            found.push((
                common.tls,
                Interval { start: value, end: value.saturating_add(common.size), id },
            ));
        }
        if found.is_empty() {
            return;
        }
        for (tls, interval) in found {
            if tls { &mut self.tls } else { &mut self.loads }.push(interval);
        }
        self.loads.sort_by_key(|interval| (interval.start, interval.end));
        self.tls.sort_by_key(|interval| (interval.start, interval.end));
    }

    /// Of several addresses that the output's .symtab gives a common's name (`thing`, and `thing@V1`
    /// without its version), the only one that is in no section of the inputs.
    fn unplaced(&self, common: &Common<'_>, module: &Module<'_>) -> Option<u64> {
        self.symbols.get(common.name)?;
        let bias = if common.tls { module.image.tls?.address } else { 0 };
        let list = if common.tls { &self.tls } else { &self.loads };
        let all = static_symbols(module).filter(|(name, ..)| *name == common.name);
        let all = all.map(|(_, value, ..)| value.wrapping_add(bias));
        let mut free = all.filter(|value| inside(list, *value).is_none());
        let first = free.next()?;
        free.all(|other| other == first).then_some(first)
    }

    /// The address of a section that is in the output.
    pub(super) fn base(&self, id: SecId) -> Option<u64> {
        self.base.get(id as usize).copied().filter(|base| *base != NOWHERE)
    }

    /// The address of what a definition defines, if it is in the output; numbers have none.
    pub(super) fn address(&self, inputs: &Inputs<'_>, spot: Spot) -> Option<u64> {
        match spot {
            Spot::Section(id, offset) => Some(self.base(id)?.wrapping_add(offset)),
            Spot::Common(common) => self.base((inputs.owner.len() + common as usize) as u32),
            Spot::Absolute(_) => None,
        }
    }

    /// The place a definition defines.
    pub(super) fn place(&self, inputs: &Inputs<'_>, spot: Spot) -> Option<Place> {
        let (id, offset) = match spot {
            Spot::Section(id, offset) => (id, offset),
            Spot::Common(common) => ((inputs.owner.len() + common as usize) as u32, 0),
            Spot::Absolute(_) => return None,
        };
        Some(Place { section: name(inputs, id).into(), offset: offset as i64 })
    }

    /// Whether a definition is in a section that may be in the output, though nothing tells where.
    pub(super) fn is_lost(&self, inputs: &Inputs<'_>, spot: Spot) -> bool {
        let Spot::Section(id, _) = spot else { return false };
        self.base(id).is_none()
            && !self.others.contains(&id)
            && inputs.section(id).is_some_and(|it| it.told() && it.marker().is_none())
    }

    /// Whether a section with these flags may be in the output, though nothing tells where.
    pub(super) fn any_lost(&self, inputs: &Inputs<'_>, flags: u64) -> bool {
        placeable(inputs).any(|(id, section)| {
            let same = section.has(EXEC) == (flags & EXEC != 0);
            same && !section.has(TLS) && self.is_lost(inputs, Spot::Section(id, 0))
        })
    }

    /// The place that `address` is, in a section or at its end.
    pub(super) fn at(&self, inputs: &Inputs<'_>, address: u64) -> Option<Place> {
        interval(&self.loads, address).map(|found| found.place(inputs, address))
    }

    /// Whether `address` is in a section (not at its end).
    pub(super) fn occupied(&self, address: u64) -> bool {
        inside(&self.loads, address).is_some()
    }

    /// Whether `address` is in a section, neither at its start nor at its end.
    pub(super) fn is_inside(&self, address: u64) -> bool {
        inside(&self.loads, address).is_some_and(|interval| interval.start < address)
    }

    /// The place of a template address.
    pub(super) fn tls_at(&self, inputs: &Inputs<'_>, address: u64) -> Option<Place> {
        interval(&self.tls, address).map(|found| found.place(inputs, address))
    }

    /// Every placed section: id and address.
    pub(super) fn sections(&self) -> impl Iterator<Item = (SecId, u64)> {
        let filled = |(id, base): (usize, &u64)| (*base != NOWHERE).then_some((id as u32, *base));
        self.base.iter().enumerate().filter_map(filled)
    }
}

impl Interval {
    fn place(&self, inputs: &Inputs<'_>, address: u64) -> Place {
        let offset = address.wrapping_sub(self.start) as i64;
        Place { section: name(inputs, self.id).into(), offset }
    }
}

fn name(inputs: &Inputs<'_>, id: u32) -> String {
    let sections = inputs.owner.len() as u32;
    match id.checked_sub(sections) {
        None => inputs.section_name(id),
        Some(common) => {
            let common = &inputs.commons[common as usize];
            format!("{}:COMMON.{}", inputs.objects[common.object as usize].file, common.name)
        }
    }
}

/// Where the init entries of a module with a dynamic section lead, those that no look-up decides.
fn init_entries(module: &Module<'_>) -> impl Iterator<Item = u64> {
    let (start, size) = module.dynamic.as_ref().map_or((0, 0), |dynamic| dynamic.init_array);
    let word = module.image.class.word();
    let size = module.image.slice(start, size).map_or(0, |_| size);
    let slots = (0..size / word).map(move |i| start.wrapping_add(word * i));
    slots.filter_map(|slot| match module.reloc_at(slot) {
        Some(reloc) if reloc.kind == Kind::Relative => Some(reloc.addend),
        Some(_) => None,
        None => module.image.word(slot).filter(|_| !module.image.moves),
    })
}

/// Sections that can be in the output as a piece of their own.
fn placeable<'i, 'a>(inputs: &'i Inputs<'a>) -> impl Iterator<Item = (SecId, &'i Section<'a>)> {
    let sections = inputs.objects.iter().flat_map(|object| &object.sections);
    (0..).zip(sections).filter(|(_, section)| section.placeable())
}

fn inside(list: &[Interval], address: u64) -> Option<&Interval> {
    let at = list.partition_point(|interval| interval.start <= address);
    list[..at].iter().rev().take(8).find(|interval| address < interval.end)
}

fn interval(list: &[Interval], address: u64) -> Option<&Interval> {
    inside(list, address).or_else(|| {
        let at = list.partition_point(|interval| interval.start <= address);
        list[..at].iter().rev().take(8).find(|interval| address == interval.end)
    })
}

/// Whether `address` is storage that a copy relocation fills.
pub(super) fn copied(module: &Module<'_>, address: u64) -> bool {
    copy_at(module, address).is_some()
}

/// The copy relocation whose storage has `address`: its symbol's index, and the offset in it.
pub(super) fn copy_at(module: &Module<'_>, address: u64) -> Option<(u32, u64)> {
    let before = module.copies.partition_point(|copy| copy.address <= address);
    // Copies don't overlap, but for aliases; the first of those is meant.
    let start = before.saturating_sub(ALIASES);
    module.copies[start..before].iter().find_map(|copy| {
        let size = module.symbol(copy.symbol).map_or(0, |symbol| symbol.size.max(1));
        let offset = address - copy.address;
        (offset < size).then_some((copy.symbol, offset))
    })
}

/// How many copies of one place are looked at.
const ALIASES: usize = 32;
