//! `__compact_unwind` and `__eh_frame` of an input: which function each entry describes and how.
//!
//! Spec: compact_unwind_encoding.h. It must not know which functions are in the output.

use scold_diff::model::{Meaning, Value};
use scold_diff::{Family, Key};

use super::resolve::{Fate, LOCAL, Winner};
use super::sites::Sites;
use crate::case::{Data, Definition, Object, Reloc, Section, SymbolRef};
use crate::expect::unwind::{Fde, fdes};

/// Bytes of an entry: the function, its length, its encoding, its personality routine, its LSDA.
const ENTRY: usize = 32;
/// Bits of an encoding that a linker sets: which personality, whether there is an LSDA.
const LINKERS: u32 = 0x7000_0000;
/// How the rest is to be read.
const MODE: u32 = 0x0f00_0000;

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

/// Whether a section describes functions, and goes with them.
pub(super) fn describes(section: &Section) -> bool {
    is_compact(section) || is_frames(section)
}

fn is_frames(section: &Section) -> bool {
    section.name == "__TEXT,__eh_frame"
}

/// A record of an object's `__eh_frame` with its section, which pointers count from.
pub(super) type Frame<'c> = (&'c Section, Fde<'c>);

/// All that can be read.
pub(super) fn frames(object: &Object) -> impl Iterator<Item = Frame<'_>> {
    let sections = object.sections.iter().filter(|section| is_frames(section));
    sections.flat_map(|section| {
        fdes(section).unwrap_or_default().into_iter().map(move |fde| (section, fde))
    })
}

/// Where in the object a record's pointer leads: the difference of two, the second in the section itself.
pub(super) fn led(object: &Object, section: &Section, to: &Reloc) -> Option<(usize, i64)> {
    let minus = section.relocs.iter().find(|reloc| reloc.offset == to.offset)?;
    let (from, at) = own(object, minus)?;
    let (there, offset) = own(object, to)?;
    let place = to.offset.wrapping_sub(section.start()) as i64;
    // The pointer is relative to its own place.
    std::ptr::eq(&object.sections[from], section)
        .then(|| (there, offset.wrapping_add(place).wrapping_sub(at)))
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

/// Why an entry is left to policy.
const LOST: &str = "a weak copy that lost, in a section that stays";

impl Sites<'_, '_> {
    /// `unwind`: what looking a function's start up gives.
    pub(super) fn unwind(&mut self) {
        let link = self.link;
        let mut lost = Vec::new();
        for &file in &link.world.order {
            for entry in entries(link.world.files[file].object) {
                let Some((section, offset)) = self.function_of(file, &entry) else { continue };
                match self.lost(file, section, offset) {
                    true => lost.push((file, section, offset, entry)),
                    false => self.entry_of(file, (section, offset), &entry),
                }
            }
        }
        let others: Vec<String> = self.bound.keys().cloned().collect();
        for (file, section, offset, entry) in lost {
            let key = format!("{}+{offset:#x}", link.labels[file][section]);
            self.findings.policy(Key::new(Family::Unwind, key), LOST);
            self.entry_of(file, (section, offset), &entry);
        }
        // Who leaves such an entry out needs no routine for it.
        for name in self.bound.keys().filter(|name| others.binary_search(name).is_err()) {
            self.findings.policy(Key::new(Family::Import, name.clone()), LOST);
        }
    }

    /// The function that an entry is about, if it is in the output: the one that it was compiled with, even if its name
    /// is another's now.
    fn function_of(&self, file: usize, entry: &Entry<'_>) -> Option<(usize, i64)> {
        let (section, offset) = own(self.link.world.files[file].object, entry.function?)?;
        (self.link.fates[file][section] == Fate::Live).then_some((section, offset))
    }

    fn entry_of(&mut self, file: usize, (section, offset): (usize, i64), entry: &Entry<'_>) {
        let key = format!("{}+{offset:#x}", self.link.labels[file][section]);
        if entry.encoding & MODE == self.link.world.machine.dwarf {
            return self.frame_of(file, (section, offset), key);
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

    /// What DWARF tells of a function.
    fn frame_of(&mut self, file: usize, function: (usize, i64), key: String) {
        let object = self.link.world.files[file].object;
        let mine = |(section, fde): &Frame<'_>| led(object, section, fde.begin) == Some(function);
        let mut found = frames(object).filter(mine);
        let (Some((section, fde)), None) = (found.next(), found.next()) else {
            return self.findings.open(Family::Unwind, key, "no record, or two, for a function");
        };
        let lsda = fde.lsda.map(|reloc| led(object, section, reloc));
        let lsda = match lsda {
            None => "none".to_owned(),
            Some(Some((section, offset))) => {
                format!("{}+{offset:#x}", self.link.labels[file][section])
            }
            Some(None) => {
                return self.findings.open(Family::Unwind, key, "a table that is elsewhere");
            }
        };
        let mut text = format!("dwarf len={} aug={} lsda={lsda}", fde.length, fde.augmentation);
        if let Some((indirect, reloc)) = fde.personality {
            match reloc.filter(|_| indirect).and_then(|reloc| self.named(file, reloc)) {
                Some(routine) => text.push_str(&format!(" personality={routine}")),
                None => {
                    let reason = "a personality routine without a slot";
                    return self.findings.open(Family::Unwind, key, reason);
                }
            }
        }
        if fde.written {
            return self.findings.open(Family::Unwind, key, "a relocation of instructions");
        }
        let (code, data, register) = fde.factors;
        text.push_str(&format!(" cfa={code},{data},{register} frame={:016x}", fde.frame));
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
