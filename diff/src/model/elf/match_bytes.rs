//! Unmarked sections of real inputs → addresses, by their bytes with the relocation holes masked.
//!
//! A section is first looked for where the one before it of the same name ended (linkers keep input
//! order), then anywhere that has the like of it and nothing else. It must not know what a relocation means beyond its
//! mask.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use memchr::memmem::Finder;
use rustc_hash::{FxHashMap, FxHashSet};

use super::inputs::{Inputs, SecId};
use super::machine::Machine;
use super::object::{ALLOC, EXEC, Section, TLS, WRITE};
use super::places::NOWHERE;
use crate::bytes::slice;
use crate::loader::{Header, Module};

/// As many places of a section's bytes count, and as many are looked at.
const MOST: usize = 64;
const MOST_TRIED: usize = 1 << 16;

/// SHT_PROGBITS, SHT_NOTE.
const BYTES: [u32; 2] = [1, 7];
/// SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY.
const ARRAYS: RangeInclusive<u32> = 14..=16;
/// From SHT_LOPROC on, but for that + 1, tables to unwind by: SHT_ARM_EXIDX, SHT_X86_64_UNWIND.
const PROCESSORS: Range<u32> = 0x7000_0002..0x8000_0000;

/// PROGBITS that linkers make themselves.
const MADE: [&str; 9] = [
    ".eh_frame",
    ".eh_frame_hdr",
    ".got",
    ".got.plt",
    ".interp",
    ".iplt",
    ".plt",
    ".plt.got",
    ".plt.sec",
];

/// What an output has of inputs, piece by piece.
#[derive(Debug)]
pub(super) struct Map<'a> {
    parts: Vec<Part<'a>>,
}

/// A section of the output, or, if it has none, a segment.
#[derive(Debug)]
struct Part<'a> {
    address: u64,
    bytes: &'a [u8],
    writable: bool,
    /// None if both code and data may be there.
    code: Option<bool>,
}

impl<'a> Map<'a> {
    pub(super) fn of(module: &Module<'a>) -> Self {
        let image = &module.image;
        let filled = |header: &&Header| {
            let kind = header.kind;
            let input =
                BYTES.contains(&kind) || ARRAYS.contains(&kind) || PROCESSORS.contains(&kind);
            input && header.flags & ALLOC != 0 && header.flags & TLS == 0
        };
        let own = |header: &&Header| !MADE.contains(&image.name_of(header));
        let mut parts: Vec<Part<'_>> = (image.headers.iter().filter(filled).filter(own))
            .filter_map(|header| {
                Some(Part {
                    address: header.address,
                    bytes: image.slice(header.address, header.size)?,
                    writable: header.flags & WRITE != 0,
                    code: Some(header.flags & EXEC != 0),
                })
            })
            .collect();
        if !image.headers.iter().any(|header| header.flags & ALLOC != 0) {
            parts.extend(image.loads.iter().filter_map(|segment| {
                Some(Part {
                    address: segment.address,
                    bytes: slice(image.bytes, segment.offset, segment.file_size)?,
                    writable: segment.writable(),
                    code: if segment.executable() { None } else { Some(false) },
                })
            }));
        }
        Self { parts }
    }

    /// The parts where a section may be.
    fn like<'m>(&'m self, section: &Section<'_>) -> impl Iterator<Item = &'m Part<'a>> {
        let (code, writable) = (section.has(EXEC), section.has(WRITE));
        let like = move |part: &&Part<'_>| {
            part.code.is_none_or(|is_code| is_code == code) && (part.writable || !writable)
        };
        self.parts.iter().filter(like)
    }
}

/// What is taken of an output: start and end of each part, which have nothing in common.
#[derive(Debug, Default)]
struct Taken {
    list: BTreeMap<u64, u64>,
}

impl Taken {
    fn put(&mut self, start: u64, size: u64) {
        if size > 0 {
            let (mut from, mut to) = (start, start.saturating_add(size));
            while let Some((other, end)) = self.last_before(to).filter(|(_, end)| *end > from) {
                self.list.remove(&other);
                (from, to) = (from.min(other), to.max(end));
            }
            self.list.insert(from, to);
        }
    }

    /// The last part that starts before `end`.
    fn last_before(&self, end: u64) -> Option<(u64, u64)> {
        self.list.range(..end).next_back().map(|(start, end)| (*start, *end))
    }

    fn is_free(&self, start: u64, size: u64) -> bool {
        let before = self.last_before(start.saturating_add(size));
        before.is_none_or(|(_, end)| end <= start)
    }
}

/// Finds what is still nowhere, but for `others`; gives what may be there all the same, though bytes don't tell where.
pub(super) fn locate(
    inputs: &Inputs<'_>,
    module: &Module<'_>,
    others: &FxHashSet<SecId>,
    base: &mut [u64],
) -> Vec<SecId> {
    let map = Map::of(module);
    let mut taken = Taken::default();
    let sections = || (0..).zip(inputs.objects.iter().flat_map(|object| &object.sections));
    let told = |section: &Section<'_>| section.told() && !section.has(TLS);
    for (id, section) in sections().filter(|(id, section)| base[*id] != NOWHERE && told(section)) {
        taken.put(base[id], section.size);
    }
    // Forwards: the previous section of the same name; backwards: the next one.
    for _ in 0..2 {
        let mut ends: FxHashMap<&str, u64> = FxHashMap::default();
        for (id, section) in sections() {
            if !wanted(section) || others.contains(&(id as SecId)) {
                continue;
            }
            let name = output_name(section.name);
            if base[id] == NOWHERE {
                let end = ends.get(name).copied();
                let guess = end.and_then(|end| end.checked_next_multiple_of(section.align.max(1)));
                let guess = guess.filter(|guess| {
                    taken.is_free(*guess, section.size) && fits(module, &map, section, *guess)
                });
                let found = guess.or_else(|| {
                    let mut hits = search(module, &map, section)?;
                    hits.retain(|hit| taken.is_free(*hit, section.size));
                    if let [only] = hits[..] { Some(only) } else { None }
                });
                if let Some(found) = found {
                    base[id] = found;
                    taken.put(found, section.size);
                }
            }
            if base[id] != NOWHERE {
                ends.insert(name, base[id].saturating_add(section.size));
            }
        }
    }
    let unknown = sections().filter(|(id, section)| {
        base[*id] == NOWHERE && wanted(section) && !others.contains(&(*id as SecId))
    });
    let silent = unknown.filter(|(_, section)| {
        let hits = search(module, &map, section);
        hits.is_none_or(|hits| hits.iter().any(|hit| taken.is_free(*hit, section.size)))
    });
    silent.map(|(id, _)| id as SecId).collect()
}

fn wanted(section: &Section<'_>) -> bool {
    section.placeable() && section.marker().is_none() && section.size > 0 && !section.has(TLS)
}

/// `.text.f` and `.text` end up together.
fn output_name(name: &str) -> &str {
    let end = name.get(1..).and_then(|tail| tail.find('.')).map_or(name.len(), |at| at + 1);
    &name[..end]
}

/// Whether the section's bytes are at `address`, as far as relocations leave them, among their like.
fn fits(module: &Module<'_>, map: &Map<'_>, section: &Section<'_>, address: u64) -> bool {
    let inside = |part: &Part<'_>| {
        let at = address.wrapping_sub(part.address);
        at.checked_add(section.size).is_some_and(|end| end <= part.bytes.len() as u64)
    };
    !section.nobits()
        && !section.is_array()
        && masked_bytes(module.machine, section) * 2 <= section.size
        && map.like(section).any(inside)
        && !differs(module, section, address)
}

/// Whether other bytes are at `address` than relocations can make of the section's.
pub(super) fn differs(module: &Module<'_>, section: &Section<'_>, address: u64) -> bool {
    if section.nobits() {
        return false;
    }
    let Some(found) = module.image.slice(address, section.size) else { return section.size > 0 };
    let mut at = 0_usize;
    for hole in holes(module.machine, section) {
        let start = usize::try_from(hole.start).unwrap_or(usize::MAX).min(section.data.len());
        if at < start && section.data[at..start] != found[at..start] {
            return true;
        }
        let end = usize::try_from(hole.end).unwrap_or(usize::MAX);
        at = at.max(end.min(section.data.len()));
    }
    section.data[at..] != found[at..]
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

/// The addresses at which the section's bytes are, by its longest run without holes; none if that has no such run, or
/// is everywhere.
pub(super) fn search(
    module: &Module<'_>,
    map: &Map<'_>,
    section: &Section<'_>,
) -> Option<Vec<u64>> {
    let best = run(module.machine, section)?;
    let best_end = best.end.min(best.start + 64);
    let run = section.data.get(best.start as usize..best_end as usize).unwrap_or_default();
    let finder = Finder::new(run);
    let hits = map.like(section).flat_map(|part| {
        let hits = finder.find_iter(part.bytes);
        hits.map(|at| part.address.wrapping_add(at as u64).wrapping_sub(best.start))
    });
    let mut fit = Vec::new();
    for (tried, address) in hits.enumerate() {
        if tried == MOST_TRIED || fit.len() == MOST {
            return None;
        }
        if address.is_multiple_of(section.align) && fits(module, map, section, address) {
            fit.push(address);
        }
    }
    Some(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_stays_taken() {
        let mut taken = Taken::default();
        for (start, size) in [(0, 100), (10, 10), (200, 50), (220, 100), (300, 0)] {
            taken.put(start, size);
        }
        let free = |start, size| taken.is_free(start, size);
        assert!(!free(50, 10) && !free(99, 1) && free(100, 100) && !free(100, 101));
        assert!(!free(310, 1) && free(320, u64::MAX) && free(100, 0));
    }
}
