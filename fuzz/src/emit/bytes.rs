//! Little-endian ELF64 pieces: a byte buffer with an alignment, a section header table.
//!
//! It must not know what the sections mean.

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
    pub(super) fn write(&self, out: &mut Bytes) {
        out.u32(self.name);
        out.u32(self.kind);
        out.u64(self.flags);
        out.u64(self.addr);
        out.u64(self.offset);
        out.u64(self.size);
        out.u32(self.link);
        out.u32(self.info);
        out.u64(self.align);
        out.u64(self.entsize);
    }
}

/// What differs between the ELF headers the emitters write.
pub(super) struct FileHeader {
    pub(super) kind: u16,
    pub(super) osabi: u8,
    pub(super) phoff: u64,
    pub(super) phnum: u16,
    pub(super) shoff: u64,
    pub(super) shnum: u16,
    pub(super) shstrndx: u16,
}

impl FileHeader {
    /// The 64 bytes of the header, for x86-64.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Bytes(Vec::with_capacity(64));
        out.0.extend_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, self.osabi]);
        out.u64(0);
        out.u16(self.kind);
        out.u16(object::elf::EM_X86_64.0);
        out.u32(1);
        out.u64(0);
        out.u64(self.phoff);
        out.u64(self.shoff);
        out.u32(0);
        out.u16(64);
        out.u16(if self.phnum == 0 { 0 } else { 56 });
        out.u16(self.phnum);
        out.u16(64);
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

    pub(super) fn write(&self, out: &mut Bytes) {
        out.u32(self.name);
        out.u8(self.info);
        out.u8(self.other);
        out.u16(self.shndx);
        out.u64(self.value);
        out.u64(self.size);
    }
}
