//! Relocations of one section that make an address together, found by their group.
//!
//! ADRP and its low bits, MOVZ and its MOVKs: each is a relocation of its own, tied to the others only by
//! symbol and addend. It must not know what they compute.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::super::machine::{Machine, Mate, Row};
use super::super::object::{Reloc, Section};

/// How many relocations on each side of one are handed to the machine.
const REACH: usize = 6;

/// Every relocation of a section that is in a group.
#[derive(Debug)]
pub(super) struct Groups {
    /// Which of `mates`: those of one group, symbol and addend, in order.
    ranges: FxHashMap<(u8, u32, i64), Range<usize>>,
    mates: Vec<Mate>,
    /// Each place has an addend of its own, counted from there: symbols alone tie them.
    apart: bool,
}

impl Groups {
    pub(super) fn of(machine: &Machine, section: &Section<'_>) -> Self {
        let mut list = Vec::new();
        for reloc in section.relocs() {
            let row = (machine.row)(reloc.r_type).filter(|row| row.group != 0);
            if let (Some(row), Ok(at)) = (row, usize::try_from(reloc.offset)) {
                let key = (row.group, reloc.symbol, if machine.rel { 0 } else { reloc.addend });
                list.push((key, Mate { at, r_type: reloc.r_type }));
            }
        }
        list.sort_unstable();
        let mut ranges: FxHashMap<_, Range<usize>> = FxHashMap::default();
        for (i, (key, _)) in list.iter().enumerate() {
            ranges.entry(*key).or_insert(i..i).end = i + 1;
        }
        Self { ranges, mates: list.into_iter().map(|(_, mate)| mate).collect(), apart: machine.rel }
    }

    /// The nearest of `reloc`'s group, itself among them.
    pub(super) fn around(&self, reloc: Reloc, row: Row) -> &[Mate] {
        if row.group == 0 {
            return &[];
        }
        let key = (row.group, reloc.symbol, if self.apart { 0 } else { reloc.addend });
        let range = self.ranges.get(&key).cloned().unwrap_or_default();
        let mates = &self.mates[range];
        let at = usize::try_from(reloc.offset).unwrap_or(usize::MAX);
        let own = mates.partition_point(|mate| (mate.at, mate.r_type) < (at, reloc.r_type));
        &mates[own.saturating_sub(REACH)..mates.len().min(own + REACH + 1)]
    }
}
