//! Compact unwind: `__LD,__compact_unwind` → one entry for each function. Must not know how images
//! keep them.

use super::{Atom, Object, Reloc, Target, in_section};
use crate::{Malformed, Result};

/// Bytes of an entry.
const SIZE: usize = 32;

/// How to unwind through one function.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The function: its atom, and where in it.
    pub function: (u32, u64),
    /// Bytes it covers.
    pub len: u32,
    /// How.
    pub encoding: u32,
    /// The personality routine.
    pub personality: Option<(Target, i64)>,
    /// The language's table.
    pub lsda: Option<(u32, u64)>,
}

impl Object<'_> {
    pub(super) fn read_unwind(&mut self, atoms: &[Atom]) -> Result<()> {
        let found = |section: &super::Section<'_>| section.header.name == b"__compact_unwind";
        let Some(section) = self.sections.iter().find(|section| found(section)) else {
            return Ok(());
        };
        let fail = |offset: usize, text| {
            in_section(Malformed { offset: offset as u64, text }, &self.name, &section.header)
        };
        if !section.data.len().is_multiple_of(SIZE) {
            return Err(fail(section.data.len(), "the unwind table's size is no multiple of 32"));
        }
        // Whether so many bytes at a place are in its section; a function may be several atoms.
        let holds = |(atom, offset): (u32, u64), len: u64| {
            let atom = &atoms[atom as usize];
            let size = self.sections[atom.section as usize].header.size;
            let at = atom.start.wrapping_add(offset);
            at <= size && len <= size - at
        };
        let mut out = Vec::with_capacity(section.data.len() / SIZE);
        let mut relocs = section.relocs.as_slice();
        for at in (0..section.data.len()).step_by(SIZE) {
            let count = relocs.partition_point(|reloc| (reloc.offset as usize) < at + SIZE);
            let (mine, rest) = relocs.split_at(count);
            relocs = rest;
            let find = |field: usize| {
                let reloc = mine.iter().find(|r| r.offset as usize == at + field && r.size == 8);
                reloc.map(|Reloc { target, addend, .. }| (*target, *addend))
            };
            let word = |field: usize| {
                let bytes = section.data[at + field..].first_chunk().copied().unwrap_or_default();
                u32::from_le_bytes(bytes)
            };
            let function = find(0).and_then(|(target, addend)| self.local(target, addend));
            let Some(function) = function else {
                return Err(fail(at, "an unwind entry of no function"));
            };
            if !holds(function, 0) {
                return Err(fail(at, "an unwind entry's function is outside of its section"));
            }
            if !holds(function, word(8).into()) {
                return Err(fail(at + 8, "an unwind entry reaches over the end of its section"));
            }
            let lsda = find(24).and_then(|(target, addend)| self.local(target, addend));
            if lsda.is_some_and(|lsda| !holds(lsda, 0)) {
                return Err(fail(at + 24, "an unwind entry's table is outside of its section"));
            }
            let (len, encoding, personality) = (word(8), word(12), find(16));
            out.push(Entry { function, len, encoding, personality, lsda });
        }
        self.unwind = out;
        Ok(())
    }
}
