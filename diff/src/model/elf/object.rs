//! A relocatable ELF object's bytes → sections, symbols and relocations, in neutral terms.
//!
//! It must not know the link it takes part in. What can't be read is left out: a linker's job is to
//! refuse it, the judge's only to go on.

use super::machine::{self, Machine};
use crate::bytes::{slice, str_at, u32_at};
use crate::class::{Class, SectionHeader};
use crate::model::MARKER_MAGIC;

/// SHF_*.
pub(super) const WRITE: u64 = 1;
pub(super) const ALLOC: u64 = 2;
pub(super) const EXEC: u64 = 4;
pub(super) const MERGE: u64 = 16;
pub(super) const STRINGS: u64 = 32;
pub(super) const TLS: u64 = 0x400;
/// STT_*.
pub(super) const SECTION: u8 = 3;
pub(super) const FILE: u8 = 4;
pub(super) const IFUNC: u8 = 10;
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
    relocs: Table<'a>,
}

/// A relocation table, and how its records are read.
#[derive(Clone, Copy, Debug)]
struct Table<'a> {
    bytes: &'a [u8],
    class: Class,
    rela: bool,
    machine: Option<&'static Machine>,
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
    /// Its COMDAT groups.
    pub(super) groups: Vec<Group<'a>>,
}

/// A COMDAT group of an object.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// What it goes by.
    pub(super) name: &'a str,
    /// Its sections.
    pub(super) sections: Vec<u32>,
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
            && matches!(self.kind, 1 | 7 | 8 | 14..=16 | 0x7000_0002..)
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
        let Table { bytes, class, rela, machine } = self.relocs;
        let data = self.data;
        class.relocs(bytes, rela).map(move |raw| {
            let place = || machine.map(|machine| (machine.implicit)(raw.r_type, data, raw.offset));
            Reloc {
                offset: raw.offset,
                r_type: raw.r_type,
                symbol: raw.symbol,
                addend: raw.addend.or_else(place).unwrap_or(0),
            }
        })
    }
}

/// Reads an ET_REL.
pub(super) fn read(file: String, bytes: &[u8]) -> Option<Object<'_>> {
    let class = Class::of(bytes)?;
    let header = class.file_header(bytes)?;
    let headers = class.sections(bytes, &header)?;
    let mut names = u32::from(header.names);
    if names == 0xffff {
        names = headers.first()?.link;
    }
    let content = |header: &SectionHeader| slice(bytes, header.offset, header.size);
    let names = headers.get(names as usize).and_then(content).unwrap_or_default();
    let none = Table { bytes: &[], class, rela: true, machine: machine::of(header.machine) };
    let mut object = Object { file, sections: Vec::new(), symbols: Vec::new(), groups: Vec::new() };
    object.sections.reserve_exact(headers.len());
    for header in &headers {
        let nobits = header.kind == 8;
        let data = if nobits { &[] } else { content(header).unwrap_or_default() };
        object.sections.push(Section {
            name: str_at(names, header.name.into()),
            nth: 0,
            kind: header.kind,
            flags: header.flags,
            size: if nobits { header.size } else { data.len() as u64 },
            align: header.align.max(1),
            entsize: header.entsize,
            data,
            relocs: none,
        });
    }
    for header in headers.iter().filter(|header| matches!(header.kind, 4 | 9)) {
        let section = object.sections.get_mut(header.info as usize);
        if let (Some(section), Some(bytes)) = (section, content(header)) {
            section.relocs = Table { bytes, rela: header.kind == 4, ..none };
        }
    }
    number(&mut object.sections);
    if let Some(header) = headers.iter().rfind(|header| header.kind == 2) {
        let strings = headers.get(header.link as usize).and_then(content).unwrap_or_default();
        let wide = headers.iter().find(|header| header.kind == 18).and_then(content);
        let all = content(header).unwrap_or_default();
        let wide = wide.unwrap_or_default();
        let all = all.chunks_exact(class.sizes().symbol as usize).enumerate();
        object
            .symbols
            .extend(all.map_while(|(i, raw)| symbol(class, raw, i as u64, strings, wide)));
        for symbol in &mut object.symbols {
            if matches!(symbol.place, Where::Section(at) if at as usize >= object.sections.len()) {
                symbol.place = Where::Undefined;
            }
        }
    }
    object.groups = groups(bytes, &headers, &object);
    Some(object)
}

/// The COMDAT groups that these headers tell of.
fn groups<'a>(bytes: &'a [u8], headers: &[SectionHeader], object: &Object<'a>) -> Vec<Group<'a>> {
    // SHT_GROUP, GRP_COMDAT.
    let groups = headers.iter().filter(|header| header.kind == 17);
    let group = |header: &SectionHeader| {
        let words = slice(bytes, header.offset, header.size)?.chunks_exact(4);
        let mut words = words.map(|word| u32_at(word, 0).unwrap_or_default());
        let comdat = words.next()? & 1 != 0;
        let by = object.symbols.get(header.info as usize)?;
        // Older assemblers name a group as its first section.
        let name = match by.place {
            Where::Section(at) if by.kind == SECTION => object.sections.get(at as usize)?.name,
            _ => by.name,
        };
        comdat.then(|| Group { name, sections: words.collect() })
    };
    groups.filter_map(group).collect()
}

fn symbol<'a>(
    class: Class,
    raw: &[u8],
    index: u64,
    strings: &'a [u8],
    wide: &[u8],
) -> Option<Symbol<'a>> {
    let raw = class.symbol(raw)?;
    let mut name = str_at(strings, raw.name.into());
    if raw.info >> 4 == 0 && is_mapping(name) {
        name = "";
    }
    let place = match raw.section {
        0 => Where::Undefined,
        0xfff1 => Where::Absolute,
        0xfff2 => Where::Common,
        0xffff => Where::Section(u32_at(wide, 4 * index).unwrap_or(0)),
        section => Where::Section(section.into()),
    };
    Some(Symbol {
        name: name.split_once('@').map_or(name, |(name, _)| name),
        binding: raw.info >> 4,
        kind: raw.info & 15,
        place,
        value: raw.value,
        size: raw.size,
    })
}

/// `$a`, `$t`, `$d`, `$x`, with a suffix or without: they say what bytes are, and name nothing.
///
/// Spec: AAELF32 and AAELF64, "Mapping symbols".
fn is_mapping(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next() == Some(b'$')
        && bytes.next().is_some_and(|letter| b"atdx".contains(&letter))
        && bytes.next().is_none_or(|dot| dot == b'.')
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
