//! `__compact_unwind` of inputs and `__unwind_info` of the image → `unwind` facts: what an unwinder finds for
//! each function.
//!
//! It must not know how the table is paged beyond what looking a function up needs.
//!
//! Spec: `mach-o/compact_unwind_encoding.h`.

use super::judge::{Judge, Reference, Use};
use super::object::{Atom, Object, Reloc, Target, Where};
use crate::bytes::{u16_at, u32_at};
use crate::model::{Facts, Family, Value};

/// UNWIND_HAS_LSDA.
const HAS_LSDA: u32 = 0x4000_0000;
/// UNWIND_PERSONALITY_MASK.
const PERSONALITY: u32 = 0x3000_0000;
/// What is the machine's own: the mode and its operands.
const OWN: u32 = 0x0fff_ffff;
/// UNWIND_*_MODE_MASK.
const MODE: u32 = 0x0f00_0000;

/// Adds the facts of every input entry whose function is in the output.
pub(super) fn facts(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let table = judge.file.sections.iter().find(|section| section.name == "__unwind_info");
    let table = table.and_then(|section| judge.file.slice(section.address, section.size));
    for (index, object) in judge.inputs.objects.iter().enumerate() {
        let sections = object.unwind.iter().filter_map(|atom| object.atoms.get(*atom as usize));
        for atom in sections {
            for entry in 0..atom.size / 32 {
                let Some(address) = function(judge, index, object, atom, 32 * entry) else {
                    continue;
                };
                let Some(place) = judge.places.at(judge.inputs, address) else { continue };
                let pc = address.wrapping_sub(judge.file.base());
                let found = table.map(|table| find(table, pc));
                let text = match found {
                    None => "missing".to_owned(),
                    Some(None) => "unreadable".to_owned(),
                    Some(Some(found)) => tell(judge, &found, address),
                };
                facts.put(Family::Unwind, place.to_string(), Value::Text(text.into()));
            }
        }
    }
}

/// The address of the function that the input entry at `at` is for, if that is in the output.
fn function(
    judge: &Judge<'_, '_>,
    index: usize,
    object: &Object<'_>,
    atom: &Atom<'_>,
    at: u64,
) -> Option<u64> {
    let reloc: &Reloc = atom.relocs.iter().find(|reloc| reloc.offset == at)?;
    let (target, offset) = match reloc.target {
        Target::Atom(target) => (target, 0),
        Target::Symbol(symbol) => match object.symbols.get(symbol as usize)?.place {
            Where::Atom(target, offset) => (target, offset),
            _ => return None,
        },
        Target::Number => return None,
    };
    let base = judge.places.base(judge.inputs.first[index] + target)?;
    Some(base.wrapping_add(offset).wrapping_add_signed(reloc.addend))
}

/// What the table has for a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Offset from the image's start of the function that the entry is for.
    pub(super) start: u32,
    pub(super) encoding: u32,
    /// Offset of the slot with the personality routine's address.
    pub(super) personality: Option<u32>,
    pub(super) lsda: Option<u32>,
}

/// How a second-level page's table is read.
struct Page<'t> {
    bytes: &'t [u8],
    /// UNWIND_SECOND_LEVEL_COMPRESSED, with the page's own encodings.
    compressed: bool,
    /// Where the page's functions start.
    base: u32,
}

impl Page<'_> {
    fn count(&self) -> Option<u64> {
        u16_at(self.bytes, 6).map(u64::from)
    }

    /// The first offset of entry `i`.
    fn start(&self, i: u64) -> Option<u32> {
        let entries = u64::from(u16_at(self.bytes, 4)?);
        match self.compressed {
            true => Some(self.base.wrapping_add(u32_at(self.bytes, entries + 4 * i)? & 0xff_ffff)),
            false => u32_at(self.bytes, entries + 8 * i),
        }
    }
}

/// The entry that a look-up of the function at offset `pc` gives; none if the table is damaged.
pub(super) fn find(table: &[u8], pc: u64) -> Option<Entry> {
    let word = |at: u64| u32_at(table, at);
    if word(0)? != 1 {
        return None;
    }
    let pc = u32::try_from(pc).ok()?;
    let (common, common_count) = (u64::from(word(4)?), word(8)?);
    let (personalities, personality_count) = (u64::from(word(12)?), word(16)?);
    let (index, count) = (u64::from(word(20)?), u64::from(word(24)?));
    let first = |i: u64| word(index + 12 * i);
    // The last entry is where the functions end.
    let last = last_not_above(count.checked_sub(1)?, pc, first)?;
    let nothing = Entry { start: pc, encoding: 0, personality: None, lsda: None };
    let second = u64::from(word(index + 12 * last + 4)?);
    if pc >= first(count - 1)? || second == 0 {
        return Some(nothing);
    }
    let bytes = table.get(usize::try_from(second).ok()?..)?;
    let compressed = match u32_at(bytes, 0)? {
        2 => false,
        3 => true,
        _ => return None,
    };
    let page = Page { bytes, compressed, base: first(last)? };
    let at = last_not_above(page.count()?, pc, |i| page.start(i))?;
    let entries = u64::from(u16_at(bytes, 4)?);
    let encoding = if compressed {
        let number = u32_at(bytes, entries + 4 * at)? >> 24;
        match number.checked_sub(common_count) {
            None => word(common + 4 * u64::from(number))?,
            Some(own) => {
                let own_count = u32::from(u16_at(bytes, 10)?);
                let list = u64::from(u16_at(bytes, 8)?);
                (own < own_count).then(|| u32_at(bytes, list + 4 * u64::from(own))).flatten()?
            }
        }
    } else {
        u32_at(bytes, entries + 8 * at + 4)?
    };
    let personality = match (encoding & PERSONALITY) >> 28 {
        0 => None,
        n if n > personality_count => return None,
        n => Some(word(personalities + 4 * u64::from(n - 1))?),
    };
    let start = page.start(at)?;
    let lsda = (encoding & HAS_LSDA != 0).then(|| lsda(table, index, last, start)).flatten();
    Some(Entry { start, encoding, personality, lsda })
}

/// The last of `count` ascending entries that is not above `pc`.
fn last_not_above(count: u64, pc: u32, start: impl Fn(u64) -> Option<u32>) -> Option<u64> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if start(middle)? <= pc { low = middle + 1 } else { high = middle }
    }
    low.checked_sub(1)
}

/// The LSDA of the function that starts at `start`, from the index entries of its page.
fn lsda(table: &[u8], index: u64, page: u64, start: u32) -> Option<u32> {
    let from = u64::from(u32_at(table, index + 12 * page + 8)?);
    let to = u64::from(u32_at(table, index + 12 * (page + 1) + 8)?);
    let count = to.checked_sub(from)? / 8;
    let at = last_not_above(count, start, |i| u32_at(table, from + 8 * i))?;
    (u32_at(table, from + 8 * at)? == start).then(|| u32_at(table, from + 8 * at + 4)).flatten()
}

/// What an unwinder is told about the function at `address`.
fn tell(judge: &Judge<'_, '_>, entry: &Entry, address: u64) -> String {
    let base = judge.file.base();
    let own = entry.encoding & OWN;
    let here = base.wrapping_add(entry.start.into());
    // One entry does for several functions in a row, if nothing in it is of one of them.
    let alone = entry.encoding & HAS_LSDA != 0 || own & MODE == judge.machine.dwarf;
    if alone && here != address {
        return "of another function".to_owned();
    }
    if own & MODE == judge.machine.dwarf {
        return super::frames::tell(judge, own & !MODE, address);
    }
    let personality = entry.personality.map_or("none".to_owned(), |slot| {
        let slot = judge.slot(base.wrapping_add(slot.into()));
        judge.settle(slot, Reference::NONE, Use::Address).to_string()
    });
    let lsda = match entry.lsda {
        Some(offset) => place(judge, base.wrapping_add(offset.into())),
        None if entry.encoding & HAS_LSDA != 0 => "missing".to_owned(),
        None => "none".to_owned(),
    };
    format!("enc={own:#x} personality={personality} lsda={lsda}")
}

/// The place of an LSDA.
pub(super) fn place(judge: &Judge<'_, '_>, address: u64) -> String {
    let place = judge.places.at(judge.inputs, address);
    place.map_or("outside of any atom".to_owned(), |place| place.to_string())
}
