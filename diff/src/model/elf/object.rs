//! A relocatable ELF object's bytes → sections, symbols and relocations, in neutral terms.
//!
//! It must not know the link it takes part in. What can't be read is left out: a linker's job is to
//! refuse it, the judge's only to go on.

use crate::bytes::{slice, str_at, u16_at, u32_at, u64_at};
use crate::model::MARKER_MAGIC;

/// SHF_*.
pub(super) const ALLOC: u64 = 2;
pub(super) const EXEC: u64 = 4;
pub(super) const MERGE: u64 = 16;
pub(super) const STRINGS: u64 = 32;
pub(super) const TLS: u64 = 0x400;
const EXCLUDE: u64 = 0x8000_0000;

/// An input section.
#[derive(Clone, Debug)]
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    /// Which of the object's sections of that name, from 0.
    pub(super) nth: u32,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) size: u64,
    pub(super) align: u64,
    pub(super) entsize: u64,
    /// Empty for NOBITS.
    pub(super) data: &'a [u8],
    relocs: &'a [u8],
}

/// A relocation of a section, with its addend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reloc {
    pub(super) offset: u64,
    pub(super) r_type: u32,
    pub(super) symbol: u32,
    pub(super) addend: i64,
}

/// Where a symbol is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    Undefined,
    Absolute,
    Common,
    Section(u32),
}

/// A symbol of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol<'a> {
    /// Without `@VER`.
    pub(super) name: &'a str,
    pub(super) binding: u8,
    pub(super) kind: u8,
    pub(super) place: Where,
    pub(super) value: u64,
    pub(super) size: u64,
}

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Object<'a> {
    /// `a.o` or `lib.a(m.o)`.
    pub(super) file: String,
    pub(super) sections: Vec<Section<'a>>,
    pub(super) symbols: Vec<Symbol<'a>>,
}

impl<'a> Section<'a> {
    pub(super) fn has(&self, flag: u64) -> bool {
        self.flags & flag == flag
    }

    pub(super) fn nobits(&self) -> bool {
        self.kind == 8
    }

    /// Merged by content rather than placed.
    pub(super) fn merged(&self) -> bool {
        self.has(MERGE) && self.entsize > 0
    }

    /// The unique half of its marker.
    pub(super) fn marker(&self) -> Option<[u8; 8]> {
        let head = self.data.get(..16)?;
        (head[..8] == MARKER_MAGIC).then(|| head[8..].try_into().unwrap_or_default())
    }

    /// In the output as a piece of its own, if at all.
    pub(super) fn placeable(&self) -> bool {
        self.has(ALLOC)
            && self.flags & EXCLUDE == 0
            && matches!(self.kind, 1 | 7 | 8 | 14..=16 | 0x7000_0001..)
            && !self.merged()
            && !self.is_unwind()
            && self.name != ".note.gnu.property"
    }

    /// A table of functions to call at load or unload.
    pub(super) fn is_array(&self) -> bool {
        matches!(self.kind, 14..=16)
            || self.name.starts_with(".ctors")
            || self.name.starts_with(".dtors")
    }

    pub(super) fn is_unwind(&self) -> bool {
        self.name == ".eh_frame"
    }

    /// Whether it has site, bytes and perm facts once found.
    pub(super) fn told(&self) -> bool {
        self.placeable() && !self.is_array() && self.size > 0
    }

    pub(super) fn relocs(&self) -> impl Iterator<Item = Reloc> + use<'a> {
        self.relocs.chunks_exact(24).map(|raw| {
            let word = |k: usize| crate::bytes::number(&raw[k..k + 8]);
            let info = word(8);
            Reloc {
                offset: word(0),
                r_type: info as u32,
                symbol: (info >> 32) as u32,
                addend: word(16) as i64,
            }
        })
    }
}

/// Reads a 64-bit ET_REL.
pub(super) fn read(file: String, bytes: &[u8]) -> Option<Object<'_>> {
    let table = u64_at(bytes, 40)?;
    let mut count = u64::from(u16_at(bytes, 60)?);
    let mut names = u32::from(u16_at(bytes, 62)?);
    if count == 0 {
        count = u64_at(bytes, table.checked_add(32)?)?;
    }
    if names == 0xffff {
        names = u32_at(bytes, table.checked_add(40)?)?;
    }
    let table = slice(bytes, table, count.checked_mul(64)?)?;
    let raw = |i: u32| slice(table, u64::from(i) * 64, 64);
    let content = |raw: &[u8]| slice(bytes, u64_at(raw, 24)?, u64_at(raw, 32)?);
    let names = raw(names).and_then(content).unwrap_or_default();
    let mut object = Object { file, sections: Vec::new(), symbols: Vec::new() };
    object.sections.reserve_exact(count as usize);
    let mut symbols = None;
    for header in table.chunks_exact(64) {
        let kind = u32_at(header, 4)?;
        let size = u64_at(header, 32)?;
        if kind == 2 {
            symbols = Some(header);
        }
        let data = if kind == 8 { &[] } else { content(header).unwrap_or_default() };
        object.sections.push(Section {
            name: str_at(names, u32_at(header, 0)?.into()),
            nth: 0,
            kind,
            flags: u64_at(header, 8)?,
            size: if kind == 8 { size } else { data.len() as u64 },
            align: u64_at(header, 48)?.max(1),
            entsize: u64_at(header, 56)?,
            data,
            relocs: &[],
        });
    }
    for header in table.chunks_exact(64).filter(|header| u32_at(header, 4) == Some(4)) {
        let target = u32_at(header, 44)? as usize;
        if let (Some(section), Some(data)) = (object.sections.get_mut(target), content(header)) {
            section.relocs = data;
        }
    }
    number(&mut object.sections);
    if let Some(header) = symbols {
        let strings = raw(u32_at(header, 40)?).and_then(content).unwrap_or_default();
        let wide = table.chunks_exact(64).find(|h| u32_at(h, 4) == Some(18)).and_then(content);
        let all = content(header).unwrap_or_default();
        let wide = wide.unwrap_or_default();
        object.symbols.extend(
            all.chunks_exact(24).enumerate().map(|(i, raw)| symbol(raw, i as u64, strings, wide)),
        );
        for symbol in &mut object.symbols {
            if matches!(symbol.place, Where::Section(at) if at as usize >= object.sections.len()) {
                symbol.place = Where::Undefined;
            }
        }
    }
    Some(object)
}

fn symbol<'a>(raw: &[u8], index: u64, strings: &'a [u8], wide: &[u8]) -> Symbol<'a> {
    let name = str_at(strings, u32_at(raw, 0).unwrap_or(0).into());
    let place = match u16_at(raw, 6).unwrap_or(0) {
        0 => Where::Undefined,
        0xfff1 => Where::Absolute,
        0xfff2 => Where::Common,
        0xffff => Where::Section(u32_at(wide, 4 * index).unwrap_or(0)),
        section => Where::Section(section.into()),
    };
    Symbol {
        name: name.split_once('@').map_or(name, |(name, _)| name),
        binding: raw[4] >> 4,
        kind: raw[4] & 15,
        place,
        value: u64_at(raw, 8).unwrap_or(0),
        size: u64_at(raw, 16).unwrap_or(0),
    }
}

/// Numbers sections of equal names.
fn number(sections: &mut [Section<'_>]) {
    if sections.len() > 64 {
        let mut seen = rustc_hash::FxHashMap::default();
        for section in sections {
            let count = seen.entry(section.name).or_insert(0);
            section.nth = *count;
            *count += 1;
        }
        return;
    }
    for i in 0..sections.len() {
        let name = sections[i].name;
        let last = sections[..i].iter().rev().find(|earlier| earlier.name == name);
        sections[i].nth = last.map_or(0, |last| last.nth + 1);
    }
}
