//! ELF32 and ELF64: bytes of their records → one form of each, every number 64 bits wide.
//!
//! It must not know which machine the file is for, nor what a record means.

use crate::bytes::{number, slice, u16_at, u32_at, u64_at};

/// EI_CLASS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    Elf32,
    Elf64,
}

/// How many bytes each record has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) header: u64,
    pub(crate) segment: u64,
    pub(crate) section: u64,
    pub(crate) symbol: u64,
    pub(crate) rel: u64,
    pub(crate) rela: u64,
    pub(crate) dynamic: u64,
}

/// The file header, from e_type on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileHeader {
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) version: u32,
    pub(crate) entry: u64,
    pub(crate) segments: u64,
    pub(crate) sections: u64,
    pub(crate) flags: u32,
    pub(crate) size: u16,
    pub(crate) segment_size: u16,
    pub(crate) segment_count: u16,
    pub(crate) section_size: u16,
    pub(crate) section_count: u16,
    pub(crate) names: u16,
}

/// A program header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) file_size: u64,
    pub(crate) size: u64,
    pub(crate) align: u64,
}

/// A section header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionHeader {
    pub(crate) name: u32,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entsize: u64,
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawSymbol {
    pub(crate) name: u32,
    pub(crate) info: u8,
    pub(crate) other: u8,
    pub(crate) section: u16,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

/// A relocation; one of a REL table has no addend of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawReloc {
    pub(crate) offset: u64,
    pub(crate) r_type: u32,
    pub(crate) symbol: u32,
    pub(crate) addend: Option<i64>,
}

impl Class {
    /// The class of a little-endian file of version 1.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.get(..7)? {
            b"\x7fELF\x01\x01\x01" => Some(Self::Elf32),
            b"\x7fELF\x02\x01\x01" => Some(Self::Elf64),
            _ => None,
        }
    }

    /// Bytes of an address.
    pub(crate) fn word(self) -> u64 {
        match self {
            Self::Elf32 => 4,
            Self::Elf64 => 8,
        }
    }

    /// `value` as an address: modulo what a word can hold.
    pub(crate) fn wrap(self, value: u64) -> u64 {
        match self {
            Self::Elf32 => value & 0xffff_ffff,
            Self::Elf64 => value,
        }
    }

    /// The word at `at`.
    pub(crate) fn word_at(self, bytes: &[u8], at: u64) -> Option<u64> {
        match self {
            Self::Elf32 => u32_at(bytes, at).map(u64::from),
            Self::Elf64 => u64_at(bytes, at),
        }
    }

    /// The sizes of this class' records.
    pub(crate) fn sizes(self) -> Sizes {
        match self {
            Self::Elf32 => Sizes {
                header: 52,
                segment: 32,
                section: 40,
                symbol: 16,
                rel: 8,
                rela: 12,
                dynamic: 8,
            },
            Self::Elf64 => Sizes {
                header: 64,
                segment: 56,
                section: 64,
                symbol: 24,
                rel: 16,
                rela: 24,
                dynamic: 16,
            },
        }
    }

    /// How many bytes a relocation of a table of this form has.
    pub(crate) fn reloc_size(self, rela: bool) -> u64 {
        if rela { self.sizes().rela } else { self.sizes().rel }
    }

    /// Reads the file header.
    pub(crate) fn file_header(self, bytes: &[u8]) -> Option<FileHeader> {
        let word = self.word();
        let address = |n: u64| self.word_at(bytes, 24 + n * word);
        let tail = 24 + 3 * word;
        let half = |k: u64| u16_at(bytes, tail + k);
        Some(FileHeader {
            kind: u16_at(bytes, 16)?,
            machine: u16_at(bytes, 18)?,
            version: u32_at(bytes, 20)?,
            entry: address(0)?,
            segments: address(1)?,
            sections: address(2)?,
            flags: u32_at(bytes, tail)?,
            size: half(4)?,
            segment_size: half(6)?,
            segment_count: half(8)?,
            section_size: half(10)?,
            section_count: half(12)?,
            names: half(14)?,
        })
    }

    /// Reads the program header at `at`.
    pub(crate) fn segment(self, bytes: &[u8], at: u64) -> Option<SegmentHeader> {
        let raw = slice(bytes, at, self.sizes().segment)?;
        let half = |k| u32_at(raw, k);
        let word = |k| self.word_at(raw, k);
        let places = match self {
            Self::Elf32 => [24, 4, 8, 16, 20, 28],
            Self::Elf64 => [4, 8, 16, 32, 40, 48],
        };
        Some(SegmentHeader {
            kind: half(0)?,
            flags: half(places[0])?,
            offset: word(places[1])?,
            address: word(places[2])?,
            file_size: word(places[3])?,
            size: word(places[4])?,
            align: word(places[5])?,
        })
    }

    /// Reads the section header at `at`.
    pub(crate) fn section(self, bytes: &[u8], at: u64) -> Option<SectionHeader> {
        let raw = slice(bytes, at, self.sizes().section)?;
        let half = |k| u32_at(raw, k);
        let width = self.word();
        // Four words from offset 8, two halves, two words.
        let word = |n: u64| self.word_at(raw, 8 + n * width);
        let middle = 8 + 4 * width;
        Some(SectionHeader {
            name: half(0)?,
            kind: half(4)?,
            flags: word(0)?,
            address: word(1)?,
            offset: word(2)?,
            size: word(3)?,
            link: half(middle)?,
            info: half(middle + 4)?,
            align: self.word_at(raw, middle + 8)?,
            entsize: self.word_at(raw, middle + 8 + width)?,
        })
    }

    /// Reads every section header of the table at `table`: at most as many as the file has bytes for.
    pub(crate) fn sections(self, bytes: &[u8], header: &FileHeader) -> Option<Vec<SectionHeader>> {
        let (table, size) = (header.sections, self.sizes().section);
        if table == 0 || u64::from(header.section_size) != size {
            return None;
        }
        let mut count = u64::from(header.section_count);
        if count == 0 {
            count = self.section(bytes, table)?.size;
        }
        let all = slice(bytes, table, count.checked_mul(size)?)?;
        (0..count).map(|i| self.section(all, i * size)).collect()
    }

    /// Reads a symbol from exactly its bytes.
    pub(crate) fn symbol(self, raw: &[u8]) -> Option<RawSymbol> {
        let info = match self {
            Self::Elf32 => 12,
            Self::Elf64 => 4,
        };
        let (value, size) = match self {
            Self::Elf32 => (u32_at(raw, 4)?.into(), u32_at(raw, 8)?.into()),
            Self::Elf64 => (u64_at(raw, 8)?, u64_at(raw, 16)?),
        };
        Some(RawSymbol {
            name: u32_at(raw, 0)?,
            info: *raw.get(info)?,
            other: *raw.get(info + 1)?,
            section: u16_at(raw, info as u64 + 2)?,
            value,
            size,
        })
    }

    /// The relocations of a table.
    pub(crate) fn relocs(
        self,
        table: &[u8],
        rela: bool,
    ) -> impl Iterator<Item = RawReloc> + use<'_> {
        table.chunks_exact(self.reloc_size(rela) as usize).map(move |raw| self.reloc(raw, rela))
    }

    /// `raw` is exactly one.
    fn reloc(self, raw: &[u8], rela: bool) -> RawReloc {
        match self {
            Self::Elf32 => {
                let info = number(&raw[4..8]) as u32;
                let addend = rela.then(|| i64::from(number(&raw[8..12]) as u32 as i32));
                let offset = number(&raw[..4]);
                RawReloc { offset, r_type: info & 0xff, symbol: info >> 8, addend }
            }
            Self::Elf64 => {
                let info = number(&raw[8..16]);
                let addend = rela.then(|| number(&raw[16..24]) as i64);
                let offset = number(&raw[..8]);
                RawReloc { offset, r_type: info as u32, symbol: (info >> 32) as u32, addend }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_fields_where_the_gabi_says() {
        let bytes: Vec<u8> = (0..64).collect();
        let half = |at: usize| u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
        let narrow = Class::Elf32.segment(&bytes, 0).unwrap();
        assert_eq!(
            [narrow.offset, narrow.flags.into(), narrow.align],
            [half(4), half(24), half(28)]
        );
        let section = Class::Elf32.section(&bytes, 0).unwrap();
        assert_eq!([section.info.into(), section.entsize], [half(28), half(36)]);
        let symbol = Class::Elf32.symbol(&bytes[..16]).unwrap();
        assert_eq!((symbol.value, symbol.info, symbol.section), (half(4), 12, 0x0f0e));
        let symbol = Class::Elf64.symbol(&bytes[..24]).unwrap();
        assert_eq!((symbol.info, symbol.other, symbol.section), (4, 5, 0x0706));
        let reloc = Class::Elf32.relocs(&bytes[..8], false).next().unwrap();
        assert_eq!((reloc.offset, reloc.r_type, reloc.symbol), (half(0), 4, 0x0007_0605));
        assert_eq!(reloc.addend, None);
        assert!(Class::Elf64.section(&bytes[..63], 0).is_none());
        assert_eq!(Class::Elf32.wrap(0x1_0000_0002), 2);
    }
}
