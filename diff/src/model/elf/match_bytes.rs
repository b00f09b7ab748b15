//! Unmarked sections of real inputs → addresses, by their bytes with the relocation holes masked.
//!
//! A section is first looked for where the one before it of the same name ended (linkers keep input
//! order), then anywhere. It must not know what a relocation means beyond its mask.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem::Finder;

use super::inputs::Inputs;
use super::machine::Machine;
use super::object::{EXEC, Section, Symbol, TLS, Where};
use crate::loader::Module;

const NOWHERE: u64 = u64::MAX;

/// Finds what is still nowhere.
pub(super) fn locate(inputs: &Inputs<'_>, module: &Module<'_>, base: &mut [u64]) {
    // Forwards: the previous section of the same name; backwards: the next one.
    for _ in 0..2 {
        let mut ends: rustc_hash::FxHashMap<&str, u64> = rustc_hash::FxHashMap::default();
        let sections = inputs.objects.iter().flat_map(|object| &object.sections);
        for (id, section) in sections.enumerate() {
            if wanted(section) {
                let name = output_name(section.name);
                let guess = ends.get(name).map(|end| end.next_multiple_of(section.align.max(1)));
                if base[id] == NOWHERE {
                    if let Some(guess) = guess.filter(|guess| fits(module, section, *guess)) {
                        base[id] = guess;
                    } else if let Some(found) = search(module, section) {
                        base[id] = found;
                    }
                }
                if base[id] != NOWHERE {
                    ends.insert(name, base[id].saturating_add(section.size));
                }
            }
        }
    }
}

fn wanted(section: &Section<'_>) -> bool {
    section.placeable() && section.marker().is_none() && section.size > 0 && !section.has(TLS)
}

/// `.text.f` and `.text` end up together.
fn output_name(name: &str) -> &str {
    let end = name.get(1..).and_then(|tail| tail.find('.')).map_or(name.len(), |at| at + 1);
    &name[..end]
}

/// Whether the section's bytes are at `address`, as far as relocations leave them.
fn fits(module: &Module<'_>, section: &Section<'_>, address: u64) -> bool {
    if section.nobits() || section.is_array() {
        return false;
    }
    let Some(found) = module.image.slice(address, section.size) else { return false };
    if masked_bytes(module.machine, section) * 2 > section.size {
        return false;
    }
    let mut at = 0_usize;
    for hole in holes(module.machine, section) {
        let start = usize::try_from(hole.start).unwrap_or(usize::MAX).min(section.data.len());
        if at < start && section.data[at..start] != found[at..start] {
            return false;
        }
        let end = usize::try_from(hole.end).unwrap_or(usize::MAX);
        at = at.max(end.min(section.data.len()));
    }
    section.data[at..] == found[at..]
}

/// What relocations may write, ascending: nothing says that their table must be.
fn holes(machine: &Machine, section: &Section<'_>) -> Vec<Range<u64>> {
    let mut holes: Vec<Range<u64>> = section
        .relocs()
        .map(|reloc| {
            let (before, after) = (machine.mask)(reloc.r_type);
            reloc.offset.saturating_sub(before)..reloc.offset.saturating_add(after)
        })
        .collect();
    if !holes.is_sorted_by_key(|hole| hole.start) {
        holes.sort_unstable_by_key(|hole| hole.start);
    }
    holes
}

fn masked_bytes(machine: &Machine, section: &Section<'_>) -> u64 {
    let width = |(before, after): (u64, u64)| before + after;
    section.relocs().map(|reloc| width((machine.mask)(reloc.r_type))).sum()
}

/// The longest run of a section's bytes without holes, if it is one that is not everywhere.
fn run(machine: &Machine, section: &Section<'_>) -> Option<Range<u64>> {
    if section.nobits() || section.is_array() {
        return None;
    }
    let (mut from, mut best) = (0_u64, 0..0_u64);
    let end = std::iter::once(section.size..section.size);
    for hole in holes(machine, section).into_iter().chain(end) {
        let start = hole.start.min(section.size);
        if start > from && start - from > best.end - best.start {
            best = from..start;
        }
        from = from.max(hole.end);
    }
    let start = section.data.get(best.start as usize..best.end.min(best.start + 64) as usize)?;
    let alike = start.iter().all(|byte| *byte == start[0]);
    // A long search for each of many sections is not worth it either.
    (start.len() >= 12 && !alike).then_some(best)
}

/// Names of sections that nothing but their neighbours tells where they are: they have no marker, no symbol, and too
/// few bytes. That an output has none of their facts says nothing.
pub(super) fn nameless(inputs: &Inputs<'_>, machine: &Machine) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (object, first) in inputs.objects.iter().zip(&inputs.first) {
        for (at, section) in (0..).zip(&object.sections).filter(|(_, section)| wanted(section)) {
            let here = |s: &Symbol<'_>| s.place == Where::Section(at) && !s.name.is_empty();
            if !object.symbols.iter().any(here) && run(machine, section).is_none() {
                names.insert(inputs.section_name(first + at));
            }
        }
    }
    names
}

/// The only address at which the section's bytes are, by its longest run without holes.
fn search(module: &Module<'_>, section: &Section<'_>) -> Option<u64> {
    let best = run(module.machine, section)?;
    let best_end = best.end.min(best.start + 64);
    let run = section.data.get(best.start as usize..best_end as usize)?;
    let finder = Finder::new(run);
    let mut found = None;
    for segment in module.image.loads.iter().filter(|s| s.executable() || !section.has(EXEC)) {
        let bytes = crate::bytes::slice(module.image.bytes, segment.offset, segment.file_size)?;
        for at in finder.find_iter(bytes) {
            let address = (segment.address + at as u64).wrapping_sub(best.start);
            if !address.is_multiple_of(section.align) || !fits(module, section, address) {
                continue;
            }
            if found.is_some() {
                return None;
            }
            found = Some(address);
        }
    }
    found
}
