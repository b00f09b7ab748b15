//! The tables of a mapped ELF file, read entry by entry: section headers, symbols, relocations.
//!
//! An index outside of a table gives an empty entry; the reader checks what must not be.
//! Must not know what the entries are for.

use super::class::{Class, RelocForm, SymbolRecord};
use super::*;
use crate::arch::Arch;
use crate::object::{Home, Reloc, Section, Symbol, kind};

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
    /// Section numbers of the machine's own that mean a common symbol.
    commons: &'static [u16],
    two_states: bool,
    class: Class,
}

/// Relocations in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct RelocTable<'a> {
    bytes: &'a [u8],
    /// What they are for: REL has its addends there.
    fields: &'a [u8],
    arch: &'static Arch,
    form: RelocForm,
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8).and_then(|b| b.try_into().ok()) {
        Some(word) => u64::from_le_bytes(word),
        None => 0,
    }
}

/// The `N` bytes of entry `index`; zeroes if there is none.
#[inline]
fn entry<const N: usize>(bytes: &[u8], index: u32) -> &[u8; N] {
    let from = index as usize * N;
    let raw = bytes.get(from..).and_then(|tail| tail.first_chunk());
    raw.unwrap_or(&[0; N])
}

/// Out of line, so that what reads the wider class stays small.
#[inline(never)]
fn narrow_symbol(bytes: &[u8], index: u32, two_states: bool) -> SymbolRecord {
    let mut symbol = Class::Elf32.symbol_at(entry::<16>(bytes, index));
    // Before bit 0 of the value, the type said which instruction set a function is of.
    if two_states && symbol.info & 15 == kind::SECOND_SET {
        symbol.info = symbol.info & 0xf0 | kind::FUNC;
        symbol.value |= 1;
    }
    symbol
}

/// See [`narrow_symbol`].
#[inline(never)]
fn narrow_section(bytes: &[u8], index: u32) -> Section {
    Class::Elf32.section_at(entry::<40>(bytes, index))
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
    #[inline]
    pub fn get(&self, index: u32) -> Section {
        match self.class {
            Class::Elf64 => Class::Elf64.section_at(entry::<64>(self.bytes, index)),
            Class::Elf32 => narrow_section(self.bytes, index),
        }
    }

    /// Where the name of the section at `index` is; 0 if there is none.
    #[inline]
    pub fn name(&self, index: u32) -> u32 {
        u32_at(self.bytes, index as usize * self.class.section())
    }

    /// Every header with its index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Section)> + 'a {
        let table = *self;
        (0..table.count).map(move |i| (i, table.get(i)))
    }
}

impl<'a> SymbolTable<'a> {
    pub(crate) fn new(bytes: &'a [u8], extended: &'a [u8], arch: &'static Arch) -> Self {
        Self {
            bytes,
            extended,
            commons: arch.commons,
            two_states: arch.two_states,
            class: arch.class,
        }
    }

    /// How many symbols there are, the null one included.
    pub fn len(&self) -> u32 {
        (self.bytes.len() / self.class.symbol()) as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The symbol at `index`; all zero if there is none.
    // Most callers look at one or two fields: inlined, the others are not read.
    #[inline(always)]
    pub fn get(&self, index: u32) -> Symbol {
        let raw = match self.class {
            Class::Elf64 => Class::Elf64.symbol_at(entry::<24>(self.bytes, index)),
            Class::Elf32 => narrow_symbol(self.bytes, index, self.two_states),
        };
        let home = match raw.shndx {
            SHN_UNDEF => Home::Undefined,
            SHN_COMMON => Home::Common,
            SHN_XINDEX => Home::Section(u32_at(self.extended, index as usize * 4)),
            at if at >= SHN_LORESERVE && self.commons.contains(&at) => Home::Common,
            at if at >= SHN_LORESERVE => Home::Absolute,
            at => Home::Section(at.into()),
        };
        Symbol {
            name: raw.name,
            bind: raw.info >> 4,
            kind: raw.info & 15,
            vis: raw.other & 3,
            rest: raw.other & !3,
            home,
            value: raw.value,
            size: raw.size,
        }
    }
}

impl<'a> RelocTable<'a> {
    /// The relocations `bytes` of a section that holds `fields`, which are looked at only if the records are
    /// not `explicit`.
    pub fn new(bytes: &'a [u8], fields: &'a [u8], explicit: bool, arch: &'static Arch) -> Self {
        Self { bytes, fields, arch, form: RelocForm { class: arch.class, explicit } }
    }

    /// The same relocations sorted by offset, those of one place as they were; `None` if they are.
    pub fn sorted(&self) -> Option<Box<[u8]>> {
        if self.iter().is_sorted_by_key(|r| r.offset) {
            return None;
        }
        let form = self.form;
        let mut list: Vec<&[u8]> = self.bytes.chunks_exact(form.size()).collect();
        list.sort_by_key(|raw| form.read(raw).offset);
        Some(list.concat().into())
    }

    /// Whether records have addends.
    pub fn is_explicit(&self) -> bool {
        self.form.explicit
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.form.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The relocation at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Reloc> {
        const WIDE: RelocForm = RelocForm { class: Class::Elf64, explicit: true };
        if self.form != WIDE {
            return self.other(index);
        }
        let from = index.checked_mul(WIDE.size())?;
        let raw: &[u8; WIDE.size()] = self.bytes.get(from..)?.first_chunk()?;
        Some(WIDE.read(raw))
    }

    /// The same in the other forms.
    #[inline(never)]
    fn other(&self, index: usize) -> Option<Reloc> {
        let size = self.form.size();
        let raw = self.bytes.get(index.checked_mul(size)?..)?.get(..size)?;
        let reloc = self.form.read(raw);
        if self.form.explicit {
            return Some(reloc);
        }
        let place = self.fields.get(reloc.offset as usize..).unwrap_or(&[]);
        Some(Reloc { addend: self.arch.implicit_addend(reloc.kind, place), ..reloc })
    }

    /// Each relocation in file order.
    pub fn iter(&self) -> impl Iterator<Item = Reloc> + 'a {
        let table = *self;
        (0..table.len()).map_while(move |index| table.get(index))
    }
}
