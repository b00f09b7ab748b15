//! `__compact_unwind` of an input: which function each entry describes and how.
//!
//! Spec: compact_unwind_encoding.h. It must not know which functions are in the output.

use scold_diff::model::{Meaning, Value};
use scold_diff::{Family, Key};

use super::resolve::{Fate, LOCAL, Winner};
use super::sites::Sites;
use crate::case::{Data, Definition, Object, Reloc, Section, SymbolRef};

/// Bytes of an entry: the function, its length, its encoding, its personality routine, its LSDA.
const ENTRY: usize = 32;
/// Bits of an encoding that a linker sets: which personality, whether there is an LSDA.
const LINKERS: u32 = 0x7000_0000;

/// One entry of an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'c> {
    pub(super) function: Option<&'c Reloc>,
    pub(super) encoding: u32,
    pub(super) personality: Option<&'c Reloc>,
    pub(super) lsda: Option<&'c Reloc>,
}

/// Whether a section holds such entries.
pub(super) fn is_compact(section: &Section) -> bool {
    section.name == "__LD,__compact_unwind"
}

/// All entries of an object.
pub(super) fn entries(object: &Object) -> impl Iterator<Item = Entry<'_>> {
    let sections = object.sections.iter().filter(|section| is_compact(section));
    sections.flat_map(|section| {
        let data: &[u8] = if let Data::Bytes(data) = &section.data { data } else { &[] };
        (0..).zip(data.chunks_exact(ENTRY)).map(|(at, bytes)| {
            let start = section.start() + (at * ENTRY) as u64;
            let reloc = |offset| section.relocs.iter().find(|r| r.offset == start + offset);
            Entry {
                function: reloc(0),
                encoding: bytes[12..16].iter().rev().fold(0, |v, b| v << 8 | u32::from(*b)),
                personality: reloc(16),
                lsda: reloc(24),
            }
        })
    })
}

impl Sites<'_, '_> {
    /// `unwind`: what looking a function's start up gives.
    pub(super) fn unwind(&mut self) {
        for file in self.link.world.order.clone() {
            for entry in entries(self.link.world.files[file].object) {
                self.entry_of(file, &entry);
            }
        }
    }

    fn entry_of(&mut self, file: usize, entry: &Entry<'_>) {
        // An entry belongs to the function it was compiled with, even if its name is another's now.
        let object = self.link.world.files[file].object;
        let Some((section, offset)) = entry.function.and_then(|it| own(object, it)) else { return };
        if self.link.fates[file][section] != Fate::Live {
            return;
        }
        let key = format!("{}+{offset:#x}", self.link.labels[file][section]);
        if self.lost(file, section, offset) {
            let reason = "a weak copy that lost, in a section that stays";
            self.findings.policy(Key::new(Family::Unwind, key.clone()), reason);
        }
        let text = |meaning: Option<Meaning>| match meaning {
            Some(meaning) => meaning.to_string(),
            None => "none".to_owned(),
        };
        let personality = entry.personality.and_then(|reloc| self.named(file, reloc));
        let lsda = entry.lsda.and_then(|reloc| self.at(file, reloc));
        let text = format!(
            "enc={:#x} personality={} lsda={}",
            entry.encoding & !LINKERS,
            text(personality),
            text(lsda)
        );
        self.facts.add(Family::Unwind, key, Value::Text(text.into()));
    }

    /// Whether a name starts there that is another definition's now: nothing leads to it by name.
    fn lost(&self, file: usize, section: usize, offset: i64) -> bool {
        let symbols = self.link.world.files[file].object.symbols.iter();
        symbols.zip(&self.link.ids[file]).enumerate().any(|(index, (symbol, id))| {
            let here = matches!(symbol.definition, Definition::Section { section: s, offset: o }
                if s == section && o as i64 == offset);
            here && *id != LOCAL
                && self.link.syms[*id].winner != Winner::Object { file, symbol: index }
        })
    }

    /// The place that a pointer leads to, its addend counted.
    fn at(&mut self, file: usize, reloc: &Reloc) -> Option<Meaning> {
        match self.named(file, reloc)? {
            Meaning::Place(mut place) => {
                place.offset = place.offset.wrapping_add(reloc.addend);
                Some(Meaning::Place(place))
            }
            _ => None,
        }
    }
}

/// The section of the object itself that a pointer leads to, and where in it.
pub(super) fn own(object: &Object, reloc: &Reloc) -> Option<(usize, i64)> {
    match reloc.symbol {
        SymbolRef::Null => None,
        SymbolRef::Section(section) => Some((section, reloc.addend)),
        SymbolRef::Named(symbol) => match object.symbols[symbol].definition {
            Definition::Section { section, offset } => {
                Some((section, (offset as i64).wrapping_add(reloc.addend)))
            }
            _ => None,
        },
    }
}
