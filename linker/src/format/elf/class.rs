//! The two classes of ELF: sizes and field order of every record, for readers, planners and writers.
//!
//! Nothing else knows how many bytes a record takes. Values are 64 bits wide on this side; a 32-bit
//! record keeps the low half.

use super::tables::{u32_at, u64_at};
use super::{SHN_ABS, SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX};
use crate::object::{Reloc, Section};

/// ELF32 or ELF64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Words of four bytes.
    Elf32,
    /// Words of eight bytes.
    Elf64,
}

/// What a symbol of an output is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SymbolHome {
    /// One of the numbers that are no section's.
    Reserved(u16),
    /// The section of this number.
    Section(u32),
}

impl SymbolHome {
    /// Nothing.
    pub const UNDEFINED: Self = Self::Reserved(SHN_UNDEF);
    /// A number.
    pub const ABSOLUTE: Self = Self::Reserved(SHN_ABS);

    /// `st_shndx`, and what the table of extended numbers has beside it.
    pub fn numbers(self) -> (u16, u32) {
        match self {
            Self::Reserved(number) => (number, 0),
            Self::Section(number) if number < u32::from(SHN_LORESERVE) => (number as u16, 0),
            Self::Section(number) => (SHN_XINDEX, number),
        }
    }
}

/// A symbol, ready to write.
#[derive(Clone, Copy, Default, Debug)]
pub struct SymbolRecord {
    /// Offset of the name.
    pub name: u32,
    /// Binding and type.
    pub info: u8,
    /// Visibility and what the machine adds.
    pub other: u8,
    /// `st_shndx` as it fits its field.
    pub shndx: u16,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
}

/// Where the ELF header has what readers want of it.
#[derive(Clone, Copy, Debug)]
pub struct HeaderOffsets {
    /// `e_phoff`.
    pub segments: usize,
    /// `e_shoff`.
    pub sections: usize,
    /// `e_phnum`.
    pub segment_count: usize,
    /// `e_flags`.
    pub flags: usize,
    /// `e_shentsize`.
    pub section_size: usize,
    /// `e_shnum`.
    pub section_count: usize,
    /// `e_shstrndx`.
    pub names: usize,
}

impl Class {
    const fn pick(self, narrow: usize, wide: usize) -> usize {
        match self {
            Self::Elf32 => narrow,
            Self::Elf64 => wide,
        }
    }

    /// `EI_CLASS`.
    pub const fn ident(self) -> u8 {
        self.pick(1, 2) as u8
    }

    /// Bytes of an address.
    pub const fn word(self) -> usize {
        self.pick(4, 8)
    }

    /// The last address.
    pub const fn last_address(self) -> u64 {
        match self {
            Self::Elf32 => u32::MAX as u64,
            Self::Elf64 => u64::MAX,
        }
    }

    /// `value` as arithmetic on addresses leaves it: sign-extended.
    #[inline]
    pub const fn wrap(self, value: i64) -> i64 {
        match self {
            Self::Elf32 => value as i32 as i64,
            Self::Elf64 => value,
        }
    }

    /// Bytes of the ELF header.
    pub const fn header(self) -> usize {
        self.pick(52, 64)
    }

    /// Bytes of a section header.
    pub const fn section(self) -> usize {
        self.pick(40, 64)
    }

    /// Bytes of a program header.
    pub const fn segment(self) -> usize {
        self.pick(32, 56)
    }

    /// Bytes of a symbol.
    pub const fn symbol(self) -> usize {
        self.pick(16, 24)
    }

    /// Bytes of an entry of `.dynamic`.
    pub const fn dynamic(self) -> usize {
        2 * self.word()
    }

    /// Where the ELF header has its fields.
    pub const fn header_offsets(self) -> HeaderOffsets {
        HeaderOffsets {
            segments: self.pick(28, 32),
            sections: self.pick(32, 40),
            flags: self.pick(36, 48),
            segment_count: self.pick(44, 56),
            section_size: self.pick(46, 58),
            section_count: self.pick(48, 60),
            names: self.pick(50, 62),
        }
    }

    /// The word at `at`; 0 outside of `bytes`.
    #[inline]
    pub fn word_at(self, bytes: &[u8], at: usize) -> u64 {
        match self {
            Self::Elf32 => u32_at(bytes, at).into(),
            Self::Elf64 => u64_at(bytes, at),
        }
    }

    /// Replaces the word at the head of `out`.
    #[inline]
    pub fn put_word(self, out: &mut [u8], value: u64) {
        out[..self.word()].copy_from_slice(&value.to_le_bytes()[..self.word()]);
    }

    /// Type, flags, address, offset and size of a program header, as it is in memory.
    pub fn segment_at(self, raw: &[u8]) -> (u32, u32, u64, u64, u64) {
        let (flags, words) = (self.pick(24, 4), self.pick(4, 8));
        let word = |i: usize| self.word_at(raw, words + i * self.word());
        // Offset, virtual address, physical address, size in the file, size in memory.
        (u32_at(raw, 0), u32_at(raw, flags), word(1), word(0), word(4))
    }

    /// Reads a section header.
    #[inline]
    pub fn section_at(self, raw: &[u8]) -> Section {
        let w = self.word();
        let word = |at| self.word_at(raw, at);
        Section {
            name: u32_at(raw, 0),
            kind: u32_at(raw, 4),
            flags: word(8),
            addr: word(8 + w),
            offset: word(8 + 2 * w),
            size: word(8 + 3 * w),
            link: u32_at(raw, 8 + 4 * w),
            info: u32_at(raw, 12 + 4 * w),
            align: word(16 + 4 * w).max(1),
            entsize: word(16 + 5 * w),
        }
    }

    /// Writes a section header.
    pub fn put_section(self, out: &mut [u8], section: &Section) {
        let w = self.word();
        let (name, kind) = (section.name, section.kind);
        for (at, value) in
            [(0, name), (4, kind), (8 + 4 * w, section.link), (12 + 4 * w, section.info)]
        {
            out[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let words = [
            (8, section.flags),
            (8 + w, section.addr),
            (8 + 2 * w, section.offset),
            (8 + 3 * w, section.size),
            (16 + 4 * w, section.align),
            (16 + 5 * w, section.entsize),
        ];
        for (at, value) in words {
            self.put_word(&mut out[at..], value);
        }
    }

    /// Name, info, other, section number, value and size of a symbol.
    #[inline]
    pub fn symbol_at(self, raw: &[u8]) -> SymbolRecord {
        let short = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
        match self {
            Self::Elf64 => SymbolRecord {
                name: u32_at(raw, 0),
                info: raw[4],
                other: raw[5],
                shndx: short(6),
                value: u64_at(raw, 8),
                size: u64_at(raw, 16),
            },
            Self::Elf32 => SymbolRecord {
                name: u32_at(raw, 0),
                info: raw[12],
                other: raw[13],
                shndx: short(14),
                value: u32_at(raw, 4).into(),
                size: u32_at(raw, 8).into(),
            },
        }
    }

    /// Writes a symbol.
    #[inline]
    pub fn put_symbol(self, out: &mut [u8], symbol: &SymbolRecord) {
        out[..4].copy_from_slice(&symbol.name.to_le_bytes());
        let (value, size, rest) = match self {
            Self::Elf64 => (8, 16, 4),
            Self::Elf32 => (4, 8, 12),
        };
        self.put_word(&mut out[value..], symbol.value);
        self.put_word(&mut out[size..], symbol.size);
        (out[rest], out[rest + 1]) = (symbol.info, symbol.other);
        out[rest + 2..rest + 4].copy_from_slice(&symbol.shndx.to_le_bytes());
    }
}

/// How a machine's relocations are recorded: the class, and whether the addend is in the record (RELA)
/// or in the field (REL).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelocForm {
    /// The class of the file.
    pub class: Class,
    /// Whether records have an addend.
    pub explicit: bool,
}

impl RelocForm {
    /// Bytes of a record.
    pub const fn size(self) -> usize {
        let words = if self.explicit { 3 } else { 2 };
        words * self.class.word()
    }

    /// What names of sections of them begin with.
    pub const fn prefix(self) -> &'static str {
        if self.explicit { ".rela" } else { ".rel" }
    }

    /// `SHT_RELA` or `SHT_REL`.
    pub const fn section_kind(self) -> u32 {
        if self.explicit { super::SHT_RELA } else { super::SHT_REL }
    }

    /// `DT_RELA`, `DT_RELASZ`, `DT_RELAENT`, `DT_RELACOUNT`, or those of REL.
    pub const fn tags(self) -> [u64; 4] {
        use super::*;
        match self.explicit {
            true => [DT_RELA, DT_RELASZ, DT_RELAENT, DT_RELACOUNT],
            false => [DT_REL, DT_RELSZ, DT_RELENT, DT_RELCOUNT],
        }
    }

    /// Reads a record; of REL the addend is 0 here.
    #[inline]
    pub fn read(self, raw: &[u8]) -> Reloc {
        let word = |i: usize| self.class.word_at(raw, i * self.class.word());
        let addend = if self.explicit { word(2) as i64 } else { 0 };
        let (offset, info) = (word(0), word(1));
        match self.class {
            Class::Elf64 => Reloc { offset, kind: info as u32, sym: (info >> 32) as u32, addend },
            Class::Elf32 => Reloc {
                offset,
                kind: info as u32 & 0xff,
                sym: info as u32 >> 8,
                // Two's complement of 32 bits.
                addend: addend as i32 as i64,
            },
        }
    }

    /// Writes a record; of REL the addend is the field's own business.
    #[inline]
    pub fn write(self, out: &mut [u8], reloc: &Reloc) {
        let info = match self.class {
            Class::Elf64 => u64::from(reloc.sym) << 32 | u64::from(reloc.kind),
            Class::Elf32 => u64::from(reloc.sym << 8 | reloc.kind & 0xff),
        };
        let word = self.class.word();
        self.class.put_word(out, reloc.offset);
        self.class.put_word(&mut out[word..], info);
        if self.explicit {
            self.class.put_word(&mut out[2 * word..], reloc.addend as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, RelocForm, SymbolRecord};
    use crate::object::{Reloc, Section};

    #[test]
    fn what_is_written_reads_back_in_both_classes() {
        for class in [Class::Elf32, Class::Elf64] {
            let symbol =
                SymbolRecord { name: 1, info: 0x12, other: 2, shndx: 5, value: 6, size: 7 };
            let mut raw = vec![0xff; class.symbol()];
            class.put_symbol(&mut raw, &symbol);
            assert_eq!(format!("{:?}", class.symbol_at(&raw)), format!("{symbol:?}"));
            let (flags, addr, offset, size) = (4, 5, 6, 7);
            let (link, info, align, entsize) = (8, 9, 16, 11);
            let section =
                Section { name: 1, kind: 3, flags, addr, offset, size, link, info, align, entsize };
            let mut raw = vec![0xff; class.section()];
            class.put_section(&mut raw, &section);
            assert_eq!(format!("{:?}", class.section_at(&raw)), format!("{section:?}"));
            for explicit in [true, false] {
                let form = RelocForm { class, explicit };
                let addend = if explicit { -4 } else { 0 };
                let reloc = Reloc { offset: 0x10, kind: 23, sym: 0x1234, addend };
                let mut raw = vec![0xff; form.size()];
                form.write(&mut raw, &reloc);
                assert_eq!(format!("{:?}", form.read(&raw)), format!("{reloc:?}"));
            }
        }
    }
}
