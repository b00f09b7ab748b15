//! The tables of a mapped ELF file, read entry by entry: section headers, symbols, relocations.
//!
//! An index outside of a table gives an empty entry; the reader checks what must not be.
//! Must not know what the entries are for.

use super::class::Class;
use super::*;
use crate::arch::Arch;
use crate::object::{Home, Reloc, Section, Symbol};

/// Section headers in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct SectionTable<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) count: u32,
    pub(super) class: Class,
}

/// Symbols in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    bytes: &'a [u8],
    extended: &'a [u8],
    arch: &'static Arch,
}

/// Relocations in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct RelocTable<'a> {
    bytes: &'a [u8],
    /// What they are for: REL has its addends there.
    fields: &'a [u8],
    arch: &'static Arch,
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8).and_then(|b| b.try_into().ok()) {
        Some(word) => u64::from_le_bytes(word),
        None => 0,
    }
}

/// The `N` bytes of entry `index`; zeroes if there is none.
fn entry<const N: usize>(bytes: &[u8], index: u32) -> &[u8; N] {
    let from = index as usize * N;
    let raw = bytes.get(from..).and_then(|tail| tail.first_chunk());
    raw.unwrap_or(&[0; N])
}

impl<'a> SectionTable<'a> {
    /// How many headers there are, the null one included.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The header at `index`; all zero if there is none.
    pub fn get(&self, index: u32) -> Section {
        match self.class {
            Class::Elf64 => Class::Elf64.section_at(entry::<64>(self.bytes, index)),
            Class::Elf32 => Class::Elf32.section_at(entry::<40>(self.bytes, index)),
        }
    }

    /// Every header with its index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Section)> + 'a {
        let table = *self;
        (0..table.count).map(move |i| (i, table.get(i)))
    }
}

impl<'a> SymbolTable<'a> {
    pub(crate) fn new(bytes: &'a [u8], extended: &'a [u8], arch: &'static Arch) -> Self {
        Self { bytes, extended, arch }
    }

    /// How many symbols there are, the null one included.
    pub fn len(&self) -> u32 {
        (self.bytes.len() / self.arch.class.symbol()) as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The symbol at `index`; all zero if there is none.
    #[inline]
    pub fn get(&self, index: u32) -> Symbol {
        let raw = match self.arch.class {
            Class::Elf64 => Class::Elf64.symbol_at(entry::<24>(self.bytes, index)),
            Class::Elf32 => Class::Elf32.symbol_at(entry::<16>(self.bytes, index)),
        };
        let home = match raw.shndx {
            SHN_UNDEF => Home::Undefined,
            SHN_COMMON => Home::Common,
            SHN_XINDEX => Home::Section(u32_at(self.extended, index as usize * 4)),
            at if at >= SHN_LORESERVE && self.arch.commons.contains(&at) => Home::Common,
            at if at >= SHN_LORESERVE => Home::Absolute,
            at => Home::Section(at.into()),
        };
        Symbol {
            name: raw.name,
            bind: raw.info >> 4,
            kind: raw.info & 15,
            vis: raw.other & 3,
            home,
            value: raw.value,
            size: raw.size,
        }
    }
}

impl<'a> RelocTable<'a> {
    /// The relocations `bytes` of a section that holds `fields`.
    pub fn new(bytes: &'a [u8], fields: &'a [u8], arch: &'static Arch) -> Self {
        Self { bytes, fields, arch }
    }

    /// The same relocations sorted by offset, those of one place as they were; `None` if they are.
    pub fn sorted(&self) -> Option<Box<[u8]>> {
        if self.iter().is_sorted_by_key(|r| r.offset) {
            return None;
        }
        let form = self.arch.relocs();
        let mut list: Vec<&[u8]> = self.bytes.chunks_exact(form.size()).collect();
        list.sort_by_key(|raw| form.read(raw).offset);
        Some(list.concat().into())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.arch.relocs().size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The relocation at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Reloc> {
        let form = self.arch.relocs();
        let from = index.checked_mul(form.size())?;
        let raw = self.bytes.get(from..)?.get(..form.size())?;
        if form.explicit {
            return Some(form.read(raw));
        }
        let reloc = form.read(raw);
        let place = self.fields.get(reloc.offset as usize..).unwrap_or(&[]);
        Some(Reloc { addend: self.arch.implicit_addend(reloc.kind, place), ..reloc })
    }

    /// Each relocation in file order.
    pub fn iter(&self) -> impl Iterator<Item = Reloc> + 'a {
        let table = *self;
        (0..table.len()).map_while(move |index| table.get(index))
    }
}
