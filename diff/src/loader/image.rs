//! ELF file → what the kernel or ld.so maps: segments, addresses, bytes at addresses.
//!
//! It must not know relocations or symbols.

use crate::class::{Class, SectionHeader, SegmentHeader};
use crate::model::elf::machine;

/// A PT_LOAD.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// p_vaddr.
    pub address: u64,
    /// p_memsz.
    pub size: u64,
    /// p_offset.
    pub offset: u64,
    /// p_filesz.
    pub file_size: u64,
    /// PF_*.
    pub flags: u32,
}

impl Segment {
    /// PF_X.
    pub fn executable(&self) -> bool {
        self.flags & 1 != 0
    }

    /// PF_W.
    pub fn writable(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: u64) -> bool {
        address.wrapping_sub(self.address) < self.size
    }
}

/// PT_TLS.
#[derive(Clone, Copy, Debug)]
pub struct Tls {
    /// p_vaddr of the template.
    pub address: u64,
    /// p_filesz.
    pub file_size: u64,
    /// p_memsz.
    pub size: u64,
    /// p_align, at least 1.
    pub align: u64,
}

impl Tls {
    /// What is added to a template address to get an offset from the thread pointer in an executable
    /// (variant II: the block ends at the thread pointer).
    ///
    /// Spec: ELF TLS §3.4.1, §3.4.6; with p_vaddr misaligned as glibc's `_dl_determine_tlsoffset` does.
    pub fn tp_bias(&self) -> u64 {
        let mask = self.align.wrapping_sub(1);
        let first = self.address.wrapping_neg() & mask;
        let first = if self.align.is_power_of_two() { first } else { 0 };
        let size = self.size.wrapping_sub(first);
        let rounded = size.checked_next_multiple_of(self.align).unwrap_or(size);
        rounded.wrapping_add(first).wrapping_add(self.address).wrapping_neg()
    }
}

/// A section header; loaders don't read them, the judge does for symbol tables only.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// sh_name.
    pub name: u32,
    /// sh_type.
    pub kind: u32,
    /// sh_flags.
    pub flags: u64,
    /// sh_addr.
    pub address: u64,
    /// sh_offset.
    pub offset: u64,
    /// sh_size.
    pub size: u64,
    /// sh_link.
    pub link: u32,
}

impl Header {
    fn of(header: &SectionHeader) -> Self {
        let SectionHeader { name, kind, flags, address, offset, size, link, .. } = *header;
        Self { name, kind, flags, address, offset, size, link }
    }
}

/// A mapped ELF file.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// The file.
    pub bytes: &'a [u8],
    /// Its class: how wide its words are.
    pub(crate) class: Class,
    /// e_type is ET_DYN: addresses move by the load base.
    pub moves: bool,
    /// e_machine.
    pub machine: u16,
    /// e_entry.
    pub entry: u64,
    /// PT_LOADs, as they come.
    pub loads: Vec<Segment>,
    /// PT_DYNAMIC: address and size.
    pub dynamic: Option<(u64, u64)>,
    /// PT_TLS.
    pub tls: Option<Tls>,
    /// PT_GNU_RELRO: start and end, the end rounded down to a page as ld.so protects it.
    pub relro: Option<(u64, u64)>,
    /// PT_GNU_EH_FRAME: address and size.
    pub unwind: Option<(u64, u64)>,
    /// The unwinder's index that the machine has a segment for: address and size.
    pub index: Option<(u64, u64)>,
    /// PT_INTERP is there.
    pub interpreter: bool,
    /// Section headers.
    pub headers: Vec<Header>,
    /// Which of them has their names.
    names: u32,
}

const PAGE: u64 = 4096;

impl<'a> Image<'a> {
    /// Reads the file and program headers of a little-endian ELF file.
    ///
    /// Errors: a text, if a loader would refuse to map it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let class = Class::of(bytes).ok_or("not a little-endian ELF file")?;
        let header = class.file_header(bytes).ok_or("truncated file header")?;
        if !matches!(header.kind, 2 | 3) {
            return Err(format!("e_type is {}, neither ET_EXEC nor ET_DYN", header.kind));
        }
        if header.version != 1 {
            return Err("e_version is not 1".into());
        }
        let mut image = Self {
            bytes,
            class,
            moves: header.kind == 3,
            machine: header.machine,
            entry: header.entry,
            loads: Vec::with_capacity(6),
            dynamic: None,
            tls: None,
            relro: None,
            unwind: None,
            index: None,
            interpreter: false,
            headers: Vec::new(),
            names: header.names.into(),
        };
        let size = class.sizes().segment;
        if u64::from(header.segment_size) != size {
            return Err(format!("e_phentsize is {}", header.segment_size));
        }
        for i in 0..u64::from(header.segment_count) {
            let segment = class.segment(bytes, header.segments.wrapping_add(i * size));
            image.program_header(segment.ok_or("truncated program header")?)?;
        }
        let headers = class.sections(bytes, &header).unwrap_or_default();
        image.headers = headers.iter().map(Header::of).collect();
        if header.names == 0xffff {
            image.names = image.headers.first().map_or(0, |first| first.link);
        }
        Ok(image)
    }

    /// The name of a section.
    pub fn name_of(&self, header: &Header) -> &'a str {
        let names = self.headers.get(self.names as usize);
        let names = names.and_then(|it| crate::bytes::slice(self.bytes, it.offset, it.size));
        crate::bytes::str_at(names.unwrap_or_default(), header.name.into())
    }

    fn program_header(&mut self, header: SegmentHeader) -> Result<(), &'static str> {
        let SegmentHeader { kind, flags, offset, address, file_size, size, align } = header;
        match kind {
            1 => {
                if file_size > size || address.checked_add(size).is_none() {
                    return Err("PT_LOAD with impossible sizes");
                }
                if offset.checked_add(file_size).is_none_or(|end| end > self.bytes.len() as u64) {
                    return Err("PT_LOAD beyond the end of the file");
                }
                if address % PAGE != offset % PAGE {
                    return Err("PT_LOAD whose address and offset are not congruent");
                }
                self.loads.push(Segment { address, size, offset, file_size, flags });
            }
            2 => self.dynamic = Some((address, size)),
            3 => self.interpreter = true,
            7 => self.tls = Some(Tls { address, file_size, size, align: align.max(1) }),
            0x6474_e550 => self.unwind = Some((address, size)),
            _ if machine::of(self.machine).is_some_and(|row| row.index == Some(kind)) => {
                self.index = Some((address, size));
            }
            0x6474_e552 => self.relro = Some((address, address.wrapping_add(size) / PAGE * PAGE)),
            _ => {}
        }
        Ok(())
    }

    /// The segment that `address` is in.
    pub fn segment(&self, address: u64) -> Option<&Segment> {
        self.loads.iter().find(|segment| segment.contains(address))
    }

    /// `len` bytes at `address`, if all of them come from the file.
    pub fn slice(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        let segment = self.segment(address)?;
        let at = address - segment.address;
        if at.checked_add(len)? > segment.file_size {
            return None;
        }
        crate::bytes::slice(self.bytes, segment.offset.checked_add(at)?, len)
    }

    /// The bytes of the file from `address` to the end of its segment's file part.
    pub fn tail(&self, address: u64) -> &'a [u8] {
        let Some(segment) = self.segment(address) else { return &[] };
        let at = address - segment.address;
        let len = segment.file_size.saturating_sub(at);
        crate::bytes::slice(self.bytes, segment.offset.saturating_add(at), len).unwrap_or_default()
    }

    /// The `N` bytes at `address` as memory has them: zeros after the file part.
    pub fn memory<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let segment = self.segment(address)?;
        let at = address - segment.address;
        if at.checked_add(N as u64)? > segment.size {
            return None;
        }
        let mut memory = [0; N];
        let tail = self.tail(address);
        let len = tail.len().min(N);
        memory[..len].copy_from_slice(&tail[..len]);
        Some(memory)
    }

    /// The 64-bit number in memory at `address`.
    pub fn u64(&self, address: u64) -> Option<u64> {
        self.memory(address).map(u64::from_le_bytes)
    }

    /// The 32-bit number in memory at `address`.
    pub fn u32(&self, address: u64) -> Option<u32> {
        self.memory(address).map(u32::from_le_bytes)
    }

    /// The word in memory at `address`: as wide as an address is.
    pub fn word(&self, address: u64) -> Option<u64> {
        match self.class {
            Class::Elf32 => self.u32(address).map(u64::from),
            Class::Elf64 => self.u64(address),
        }
    }

    /// The unsigned number of `size` bytes in memory at `address`.
    pub fn number(&self, address: u64, size: u8) -> Option<u64> {
        Some(match size {
            1 => self.memory::<1>(address)?[0].into(),
            2 => u16::from_le_bytes(self.memory(address)?).into(),
            4 => self.u32(address)?.into(),
            8 => self.u64(address)?,
            _ => return None,
        })
    }
}
