//! Atoms of real inputs that have neither a marker nor a name of their own in the output → addresses, by their
//! neighbours and their bytes.
//!
//! Linkers keep the order of input, so an atom is looked for where the one before it or behind it of the same section
//! leaves room, then where the output has a symbol of its name, then anywhere; before all that where references lead. What relocations and hints may write is
//! left out of the comparison; what is mostly that must be between two neighbours without a gap. It must not know what a
//! relocation means.

mod referred;

use std::collections::BTreeMap;
use std::ops::Range;

use memchr::memmem::Finder;
use rustc_hash::FxHashMap;

use super::fixups::Fixups;
use super::image::File;
use super::inputs::{AtomId, Inputs};
use super::machine::Machine;
use super::object::{Atom, Where};

/// No place.
const NOWHERE: u64 = u64::MAX;

/// Atoms that are looked for in a link. More are no program that anybody waits for.
const MOST: usize = 1 << 16;

/// What linkers call the loader's word.
const PRIVATE: [&str; 2] = ["__dyld_private", "dyld_private"];

/// Sections that no input has a part of.
const MADE: [&str; 7] = [
    "__dyld_private",
    "__got",
    "__la_symbol_ptr",
    "__stubs",
    "__stub_helper",
    "__thread_ptrs",
    "__unwind_info",
];

/// What an atom is looked for by.
struct Search<'s, 'a> {
    inputs: &'s Inputs<'a>,
    file: &'s File<'a>,
    machine: &'static Machine,
    /// What is taken: start and end.
    taken: BTreeMap<u64, u64>,
    /// Values of the output's symbols.
    symbols: FxHashMap<&'a str, Vec<u64>>,
    /// Local names of each atom, with the offset.
    names: FxHashMap<AtomId, Vec<(&'a str, u64)>>,
}

/// Finds what is still nowhere, in objects that have no markers.
pub(super) fn locate<'a>(inputs: &Inputs<'a>, file: &File<'a>, base: &mut [u64]) {
    let runs = runs(inputs);
    let lost = runs.iter().flatten().filter(|id| base[**id as usize] == NOWHERE).count();
    if lost == 0 || lost > MOST {
        return;
    }
    let mut search = Search::new(inputs, file, base);
    let fixups = Fixups::read(file);
    for round in 0..3 {
        let mut found = search.referred(&fixups, false, base);
        for run in &runs {
            found += search.beside(run, base) + search.fill(run, base);
        }
        if round < 2 {
            for id in runs.iter().flatten() {
                found += usize::from(search.anywhere(*id, round > 0, base).is_some());
            }
        }
        if found == 0 {
            break;
        }
    }
    search.referred(&fixups, true, base);
}

/// The atoms that can be looked for, by section, in the inputs' order.
fn runs(inputs: &Inputs<'_>) -> Vec<Vec<AtomId>> {
    let mut numbers: FxHashMap<(&str, &str), usize> = FxHashMap::default();
    let mut runs: Vec<Vec<AtomId>> = Vec::new();
    let present = (0..inputs.objects.len()).filter(|index| !inputs.is_absent(*index));
    for (object, first) in present.map(|index| (&inputs.objects[index], &inputs.first[index])) {
        // Everything in what a build mode adds has a name that outputs keep.
        let added = object.file == crate::desugar::OBJECT;
        if added || object.atoms.iter().any(|atom| atom.marker.is_some()) {
            continue;
        }
        for (id, atom) in (*first..).zip(&object.atoms).filter(|(_, atom)| atom.placeable()) {
            let number = *numbers.entry((atom.segment, atom.section)).or_insert(runs.len());
            if number == runs.len() {
                runs.push(Vec::new());
            }
            runs[number].push(id);
        }
    }
    runs
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(inputs: &'s Inputs<'a>, file: &'s File<'a>, base: &[u64]) -> Self {
        let mut names: FxHashMap<AtomId, Vec<(&str, u64)>> = FxHashMap::default();
        for (object, first) in inputs.objects.iter().zip(&inputs.first) {
            for symbol in object.symbols.iter().filter(|s| !s.external && !s.name.is_empty()) {
                if let Where::Atom(atom, offset) = symbol.place {
                    names.entry(first + atom).or_default().push((symbol.name, offset));
                }
            }
        }
        let mut symbols: FxHashMap<&str, Vec<u64>> = FxHashMap::default();
        for symbol in file.symbols.iter().filter(|s| s.in_section() && !s.name.is_empty()) {
            symbols.entry(symbol.name).or_default().push(symbol.value);
        }
        let mut search =
            Self { inputs, file, machine: file.machine, taken: BTreeMap::new(), symbols, names };
        for (id, atom) in inputs.placeable() {
            let start = base[id as usize];
            if start != NOWHERE {
                search.taken.insert(start, start.saturating_add(atom.size));
            }
        }
        // A word that linkers with lazy binding have for the loader in front of the inputs' data.
        let own = |s: &&super::image::Symbol<'_>| s.in_section() && PRIVATE.contains(&s.name);
        for symbol in file.symbols.iter().filter(own) {
            search.taken.insert(symbol.value, symbol.value.saturating_add(8));
        }
        for section in file.sections.iter().filter(|section| MADE.contains(&section.name)) {
            search.taken.insert(section.address, section.address.saturating_add(section.size));
        }
        search
    }

    /// Finds atoms by where the ones before and behind them are: how many.
    fn beside(&mut self, run: &[AtomId], base: &mut [u64]) -> usize {
        let mut found = 0;
        for backwards in [false, true] {
            let order: Vec<usize> = match backwards {
                false => (0..run.len()).collect(),
                true => (0..run.len()).rev().collect(),
            };
            for at in order {
                if base[run[at] as usize] == NOWHERE
                    && let Some(address) = self.guess(run, at, base)
                {
                    self.put(run[at], address, base);
                    found += 1;
                }
            }
        }
        found
    }

    /// Where the neighbours of an atom say that it is, if its bytes are there.
    fn guess(&self, run: &[AtomId], at: usize, base: &[u64]) -> Option<u64> {
        let (id, atom) = (run[at], self.inputs.atom(run[at])?);
        let neighbour = |other: Option<usize>| {
            let other = *run.get(other?)?;
            let start = Some(base[other as usize]).filter(|start| *start != NOWHERE)?;
            Some((start, self.inputs.atom(other)?, self.inputs.owner[other as usize]))
        };
        let same = |(_, other, owner): &(u64, &Atom<'_>, u32)| {
            *owner == self.inputs.owner[id as usize] && other.section == atom.section
        };
        let before = neighbour(at.checked_sub(1));
        let behind = neighbour(Some(at + 1));
        let mut guesses = Vec::new();
        if let Some((start, other, _)) = before {
            let end = start.wrapping_add(other.size);
            if before.as_ref().is_some_and(same) {
                guesses.push(start.wrapping_add(atom.start.wrapping_sub(other.start)));
            }
            guesses.push(end.checked_next_multiple_of(atom.align.max(1))?);
        } else if at == 0 {
            let sections = self.file.sections.iter();
            let own = sections.filter(|s| s.name == atom.section).map(|s| s.address);
            guesses.extend(own);
        }
        if let Some((start, other, _)) = behind {
            if behind.as_ref().is_some_and(same) {
                guesses.push(start.wrapping_sub(other.start.wrapping_sub(atom.start)));
            }
            let address = start.saturating_sub(atom.size);
            guesses.push(address - address % atom.align.max(1));
        }
        guesses.into_iter().find(|address| {
            self.free(atom, *address)
                && (self.bytes_fit(atom, *address).unwrap_or(false) || self.named(id, *address))
        })
    }

    /// Places the atoms of every stretch of a run that has nothing but them between two that are placed, or between one and an
    /// end of the section: what is mostly written by the linker, or has no bytes, can't be known otherwise.
    fn fill(&mut self, run: &[AtomId], base: &mut [u64]) -> usize {
        let mut at = 0;
        let mut found = 0;
        while at < run.len() {
            let lost = |id: &AtomId| base[*id as usize] == NOWHERE;
            let count = run[at..].iter().take_while(|id| lost(id)).count();
            if count > 0 {
                let rest = &run[at..(at + count + 1).min(run.len())];
                let places = match at.checked_sub(1).map(|before| run[before]) {
                    Some(before) => {
                        let start = base[before as usize];
                        let snug = || self.snug(before, start, rest[0]).filter(|_| count == 1);
                        let places = self.stretch(before, start, rest, base);
                        places.or_else(|| snug().map(|place| vec![place]))
                    }
                    None => self.head(rest, base),
                };
                let places = places.unwrap_or_default();
                for (id, address) in rest.iter().zip(&places) {
                    self.put(*id, *address, base);
                }
                found += places.len();
            }
            at += count + 1;
        }
        found
    }

    /// Where the atoms from a run's first on are: a section of the output starts with them.
    fn head(&self, run: &[AtomId], base: &[u64]) -> Option<Vec<u64>> {
        let (first, rest) = run.split_first()?;
        let atom = self.inputs.atom(*first)?;
        let sections = self.file.sections.iter().filter(|section| section.name == atom.section);
        let starts = sections.map(|s| self.taken.get(&s.address).copied().unwrap_or(s.address));
        let aligned = starts.filter_map(|start| start.checked_next_multiple_of(atom.align.max(1)));
        aligned.into_iter().find_map(|start| {
            if !self.free(atom, start) || self.bytes_fit(atom, start) == Some(false) {
                return None;
            }
            let mut places = vec![start];
            places.extend(self.stretch(*first, start, rest, base)?);
            Some(places)
        })
    }

    /// Where an atom is behind `before`, which is at `address`, and fills what is left up to whatever the output has
    /// there: zig sorts by alignment.
    fn snug(&self, before: AtomId, address: u64, id: AtomId) -> Option<u64> {
        let (atom, other) = (self.inputs.atom(id)?, self.inputs.atom(before)?);
        let end = address.saturating_add(other.size);
        let start = end.checked_next_multiple_of(atom.align.max(1))?;
        let end = start.checked_add(atom.size).filter(|end| *end > start)?;
        let fits = self.free(atom, start) && self.bytes_fit(atom, start) != Some(false);
        (fits && self.taken.contains_key(&end)).then_some(start)
    }

    /// Where the atoms between `before`, which is at `address`, and the last, which is placed if the section goes on, are.
    fn stretch(
        &self,
        mut before: AtomId,
        mut address: u64,
        rest: &[AtomId],
        base: &[u64],
    ) -> Option<Vec<u64>> {
        let mut places = Vec::new();
        for id in rest {
            let (atom, other) = (self.inputs.atom(*id)?, self.inputs.atom(before)?);
            let same = self.inputs.owner[*id as usize] == self.inputs.owner[before as usize];
            let next = match same && atom.start > other.start {
                true => address.wrapping_add(atom.start - other.start),
                false => (address.saturating_add(other.size))
                    .checked_next_multiple_of(atom.align.max(1))?,
            };
            let placed = base[*id as usize];
            if placed != NOWHERE {
                return (placed == next).then_some(places);
            }
            if !self.free(atom, next) || self.bytes_fit(atom, next) == Some(false) {
                return None;
            }
            places.push(next);
            (before, address) = (*id, next);
        }
        // The section ends here.
        let end = address.wrapping_add(self.inputs.atom(before)?.size);
        let section = self.file.section_at(address)?;
        (section.address + section.size == end).then_some(places)
    }

    /// Whether the output has a symbol of the atom's at `address`.
    fn named(&self, id: AtomId, address: u64) -> bool {
        let names = self.names.get(&id).map_or(&[][..], |names| names);
        names.iter().any(|(name, offset)| {
            let values = self.symbols.get(name);
            values.is_some_and(|values| values.contains(&address.wrapping_add(*offset)))
        })
    }

    /// Whether nobody has that room, in a section of the same kind.
    fn free(&self, atom: &Atom<'_>, address: u64) -> bool {
        let Some(end) = address.checked_add(atom.size) else { return false };
        let before = self.taken.range(..end).next_back();
        let section = self.file.section_at(address);
        before.is_none_or(|(start, taken_end)| *taken_end <= address || *start >= end)
            && section.is_some_and(|s| {
                let same = (s.zerofill(), s.template()) == (atom.zerofill(), atom.template());
                same && end - s.address <= s.size
            })
    }

    /// Whether the atom's bytes are at `address` but for what may be written; none if that says nothing.
    fn bytes_fit(&self, atom: &Atom<'_>, address: u64) -> Option<bool> {
        if atom.zerofill() {
            return None;
        }
        let Some(found) = self.file.slice(address, atom.size) else { return Some(false) };
        let mut at = 0_usize;
        let mut compared = 0;
        let end = atom.data.len();
        for hole in self.holes(atom).into_iter().chain(std::iter::once(end..end)) {
            let start = hole.start.min(end);
            if at < start {
                if atom.data[at..start] != found[at..start] {
                    return Some(false);
                }
                compared += start - at;
            }
            at = at.max(hole.end.min(end));
        }
        (compared * 2 >= end).then_some(true)
    }

    /// What a linker may write, ascending.
    fn holes(&self, atom: &Atom<'_>) -> Vec<Range<usize>> {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let relocs = atom.relocs.iter().map(|reloc| {
            let (before, after) = (self.machine.mask)(reloc.r_type, reloc.size);
            index(reloc.offset.saturating_sub(before))..index(reloc.offset.saturating_add(after))
        });
        let hints = atom.hints.iter().flat_map(|hint| &hint.at);
        let hints = hints.map(|at| index(*at)..index(at.saturating_add(4)));
        let mut holes: Vec<_> = relocs.chain(hints).collect();
        holes.sort_unstable_by_key(|hole| hole.start);
        holes
    }

    fn put(&mut self, id: AtomId, address: u64, base: &mut [u64]) {
        let size = self.inputs.atom(id).map_or(0, |atom| atom.size);
        base[id as usize] = address;
        self.taken.insert(address, address.saturating_add(size));
    }

    /// Finds an atom by its symbols in the output, or by its longest run of bytes if that is there once; with `first` the
    /// first of several will do, as equal ones come in the inputs' order.
    fn anywhere(&mut self, id: AtomId, first: bool, base: &mut [u64]) -> Option<()> {
        if base[id as usize] != NOWHERE {
            return None;
        }
        let atom = self.inputs.atom(id)?;
        let fits = |address: &u64| {
            self.free(atom, *address) && self.bytes_fit(atom, *address).unwrap_or(false)
        };
        let names = self.names.get(&id).map_or(&[][..], |names| names);
        let named = names.iter().flat_map(|(name, offset)| {
            let values = self.symbols.get(name).map_or(&[][..], |values| values);
            values.iter().map(|value| value.wrapping_sub(*offset))
        });
        let mut candidates: Vec<u64> = named.filter(fits).collect();
        if candidates.is_empty() {
            candidates = self.with_bytes(atom).into_iter().filter(fits).collect();
        }
        candidates.sort_unstable();
        candidates.dedup();
        match candidates[..] {
            [only] => self.put(id, only, base),
            [lowest, ..] if first => self.put(id, lowest, base),
            _ => return None,
        }
        Some(())
    }

    /// Where the atom's longest run of its own bytes is.
    fn with_bytes(&self, atom: &Atom<'_>) -> Vec<u64> {
        let (mut from, mut best) = (0, 0..0);
        let end = atom.data.len();
        for hole in self.holes(atom).into_iter().chain(std::iter::once(end..end)) {
            let start = hole.start.min(end);
            if start > from && start - from > best.len() {
                best = from..start;
            }
            from = from.max(hole.end);
        }
        // Short runs are everywhere, and so are those of one byte.
        let run = &atom.data[best.start..best.end.min(best.start + 64)];
        if run.len() < 12 || run.iter().all(|byte| *byte == run[0]) {
            return Vec::new();
        }
        let finder = Finder::new(run);
        let mut list = Vec::new();
        for section in self.file.sections.iter().filter(|s| !s.zerofill()) {
            let bytes = self.file.slice(section.address, section.size).unwrap_or_default();
            let places = finder.find_iter(bytes).map(|at| section.address + at as u64);
            list.extend(places.map(|place| place.wrapping_sub(best.start as u64)).take(1 << 10));
        }
        list.retain(|address| address.is_multiple_of(atom.align.max(1)));
        list
    }
}
