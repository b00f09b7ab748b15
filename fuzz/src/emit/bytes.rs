//! Little-endian ELF pieces of both classes: a byte buffer with an alignment, the rows of ELF's tables.
//!
//! It must not know what the sections mean, nor any machine.

/// EI_CLASS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Words of 4 bytes.
    Elf32,
    /// Words of 8 bytes.
    Elf64,
}

impl Class {
    /// Bytes of an address.
    pub fn word(self) -> u64 {
        match self {
            Self::Elf32 => 4,
            Self::Elf64 => 8,
        }
    }

    /// One of two numbers: of ELF32, of ELF64.
    pub(super) fn pick(self, narrow: u64, wide: u64) -> u64 {
        match self {
            Self::Elf32 => narrow,
            Self::Elf64 => wide,
        }
    }
}

/// A growing file.
#[derive(Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// An address or size as wide as `class` has it.
    pub(super) fn word(&mut self, class: Class, value: u64) {
        match class {
            Class::Elf32 => self.u32(value as u32),
            Class::Elf64 => self.u64(value),
        }
    }

    /// Appends a string and its NUL; gives the string's offset.
    pub(super) fn string(&mut self, string: &str) -> u32 {
        let offset = self.0.len() as u32;
        self.0.extend_from_slice(string.as_bytes());
        self.0.push(0);
        offset
    }

    /// Pads with zeros to a multiple of `align`, a power of two; gives the length.
    pub(super) fn align(&mut self, align: u64) -> u64 {
        let align = align.max(1) as usize;
        let len = self.0.len().next_multiple_of(align);
        self.0.resize(len, 0);
        len as u64
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Overwrites bytes that are there already.
    pub(super) fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// One row of the section header table.
#[derive(Clone, Copy, Default)]
pub(super) struct Header {
    pub(super) name: u32,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) addr: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) align: u64,
    pub(super) entsize: u64,
}

impl Header {
    pub(super) fn write(&self, class: Class, out: &mut Bytes) {
        out.u32(self.name);
        out.u32(self.kind);
        for field in [self.flags, self.addr, self.offset, self.size] {
            out.word(class, field);
        }
        out.u32(self.link);
        out.u32(self.info);
        out.word(class, self.align);
        out.word(class, self.entsize);
    }
}

/// One row of the program header table.
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) align: u64,
}

impl Segment {
    pub(super) fn write(&self, class: Class, out: &mut Bytes) {
        out.u32(self.kind);
        if class == Class::Elf64 {
            out.u32(self.flags);
        }
        for field in [self.offset, self.address, self.address, self.size, self.size] {
            out.word(class, field);
        }
        if class == Class::Elf32 {
            out.u32(self.flags);
        }
        out.word(class, self.align);
    }
}

/// What differs between the ELF headers the emitters write.
pub(super) struct FileHeader {
    pub(super) class: Class,
    pub(super) machine: u16,
    pub(super) flags: u32,
    pub(super) kind: u16,
    pub(super) osabi: u8,
    pub(super) phnum: u16,
    pub(super) shoff: u64,
    pub(super) shnum: u16,
    pub(super) shstrndx: u16,
}

impl FileHeader {
    /// The bytes of the header; program headers, if any, are behind it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (class, size) = (self.class, self.class.pick(52, 64));
        let mut out = Bytes(Vec::with_capacity(64));
        let number = class.pick(1, 2) as u8;
        out.0.extend_from_slice(&[0x7f, b'E', b'L', b'F', number, 1, 1, self.osabi]);
        out.u64(0);
        out.u16(self.kind);
        out.u16(self.machine);
        out.u32(1);
        out.word(class, 0);
        out.word(class, if self.phnum == 0 { 0 } else { size });
        out.word(class, self.shoff);
        out.u32(self.flags);
        out.u16(size as u16);
        out.u16(if self.phnum == 0 { 0 } else { class.pick(32, 56) as u16 });
        out.u16(self.phnum);
        out.u16(class.pick(40, 64) as u16);
        out.u16(self.shnum);
        out.u16(self.shstrndx);
        out.0
    }
}

/// One row of a symbol table.
pub(super) struct Sym {
    pub(super) name: u32,
    pub(super) info: u8,
    pub(super) other: u8,
    pub(super) shndx: u16,
    pub(super) value: u64,
    pub(super) size: u64,
}

impl Sym {
    pub(super) const NULL: Self = Self { name: 0, info: 0, other: 0, shndx: 0, value: 0, size: 0 };

    pub(super) fn write(&self, class: Class, out: &mut Bytes) {
        out.u32(self.name);
        if class == Class::Elf32 {
            out.u32(self.value as u32);
            out.u32(self.size as u32);
        }
        out.u8(self.info);
        out.u8(self.other);
        out.u16(self.shndx);
        if class == Class::Elf64 {
            out.u64(self.value);
            out.u64(self.size);
        }
    }
}
