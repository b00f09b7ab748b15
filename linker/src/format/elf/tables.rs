//! The tables of a mapped ELF64 file, read entry by entry: section headers, symbols, relocations.
//!
//! An index outside of a table gives an empty entry; the reader checks what must not be.
//! Must not know what the entries are for.

use super::*;
use crate::object::{Home, Reloc, Section, Symbol};

/// Section headers in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct SectionTable<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) count: u32,
}

/// Symbols in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    bytes: &'a [u8],
    extended: &'a [u8],
}

/// Relocations in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct RelocTable<'a> {
    bytes: &'a [u8],
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

impl<'a> SectionTable<'a> {
    const STRIDE: usize = 64;

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
        let from = index as usize * Self::STRIDE;
        let raw = self.bytes.get(from..from + Self::STRIDE).unwrap_or(&[0; Self::STRIDE]);
        Section {
            name: u32_at(raw, 0),
            kind: u32_at(raw, 4),
            flags: u64_at(raw, 8),
            addr: u64_at(raw, 16),
            offset: u64_at(raw, 24),
            size: u64_at(raw, 32),
            link: u32_at(raw, 40),
            info: u32_at(raw, 44),
            align: u64_at(raw, 48).max(1),
            entsize: u64_at(raw, 56),
        }
    }

    /// Every header with its index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Section)> + 'a {
        let table = *self;
        (0..table.count).map(move |i| (i, table.get(i)))
    }
}

impl<'a> SymbolTable<'a> {
    const STRIDE: usize = 24;

    pub(crate) fn new(bytes: &'a [u8], extended: &'a [u8]) -> Self {
        Self { bytes, extended }
    }

    /// How many symbols there are, the null one included.
    pub fn len(&self) -> u32 {
        (self.bytes.len() / Self::STRIDE) as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The symbol at `index`; all zero if there is none.
    pub fn get(&self, index: u32) -> Symbol {
        let from = index as usize * Self::STRIDE;
        let raw = self.bytes.get(from..from + Self::STRIDE).unwrap_or(&[0; Self::STRIDE]);
        let home = match u16_at(raw, 6) {
            SHN_UNDEF => Home::Undefined,
            SHN_COMMON | SHN_X86_64_LCOMMON => Home::Common,
            SHN_XINDEX => Home::Section(u32_at(self.extended, index as usize * 4)),
            at if at >= SHN_LORESERVE => Home::Absolute,
            at => Home::Section(at.into()),
        };
        Symbol {
            name: u32_at(raw, 0),
            bind: raw[4] >> 4,
            kind: raw[4] & 15,
            vis: raw[5] & 3,
            home,
            value: u64_at(raw, 8),
            size: u64_at(raw, 16),
        }
    }
}

impl<'a> RelocTable<'a> {
    const STRIDE: usize = 24;

    /// No relocations.
    pub fn empty() -> Self {
        Self { bytes: &[] }
    }

    /// The relocations in `section` of `file`.
    pub fn new(section: Section, file: &'a [u8]) -> Self {
        Self { bytes: section.data(file) }
    }

    /// The relocations in `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The same relocations sorted by offset, those of one place as they were; `None` if they are.
    pub fn sorted(&self) -> Option<Box<[u8]>> {
        if self.iter().is_sorted_by_key(|r| r.offset) {
            return None;
        }
        let mut list: Vec<&[u8]> = self.bytes.chunks_exact(Self::STRIDE).collect();
        list.sort_by_key(|raw| decode(raw).offset);
        Some(list.concat().into())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / Self::STRIDE
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The relocation at `index`.
    pub fn get(&self, index: usize) -> Option<Reloc> {
        let from = index.checked_mul(Self::STRIDE)?;
        self.bytes.get(from..from + Self::STRIDE).map(decode)
    }

    /// Each relocation in file order.
    pub fn iter(&self) -> impl Iterator<Item = Reloc> + 'a {
        self.bytes.chunks_exact(Self::STRIDE).map(decode)
    }
}

fn decode(raw: &[u8]) -> Reloc {
    Reloc {
        offset: u64_at(raw, 0),
        kind: u32_at(raw, 8),
        sym: u32_at(raw, 12),
        addend: u64_at(raw, 16) as i64,
    }
}
