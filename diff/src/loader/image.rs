//! ELF file → what the kernel or ld.so maps: segments, addresses, bytes at addresses.
//!
//! It must not know relocations or symbols.

use crate::bytes::{u16_at, u32_at, u64_at};

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
    /// sh_type.
    pub kind: u32,
    /// sh_addr.
    pub address: u64,
    /// sh_offset.
    pub offset: u64,
    /// sh_size.
    pub size: u64,
    /// sh_link.
    pub link: u32,
}

/// A mapped ELF file.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// The file.
    pub bytes: &'a [u8],
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
    /// PT_INTERP is there.
    pub interpreter: bool,
    /// Section headers.
    pub headers: Vec<Header>,
}

const PAGE: u64 = 4096;

impl<'a> Image<'a> {
    /// Reads the file and program headers of a 64-bit little-endian ELF file.
    ///
    /// Errors: a text, if a loader would refuse to map it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.get(..7) != Some(b"\x7fELF\x02\x01\x01") {
            return Err("not a 64-bit little-endian ELF file".into());
        }
        let half = |at| u16_at(bytes, at).ok_or("truncated file header");
        let word = |at| u64_at(bytes, at).ok_or("truncated file header");
        let kind = half(16)?;
        if !matches!(kind, 2 | 3) {
            return Err(format!("e_type is {kind}, neither ET_EXEC nor ET_DYN"));
        }
        if u32_at(bytes, 20) != Some(1) {
            return Err("e_version is not 1".into());
        }
        let mut image = Self {
            bytes,
            moves: kind == 3,
            machine: half(18)?,
            entry: word(24)?,
            loads: Vec::with_capacity(6),
            dynamic: None,
            tls: None,
            relro: None,
            unwind: None,
            interpreter: false,
            headers: Vec::new(),
        };
        let (table, entry, count) = (word(32)?, half(54)?, half(56)?);
        if entry != 56 {
            return Err(format!("e_phentsize is {entry}"));
        }
        for i in 0..u64::from(count) {
            image
                .program_header(table.wrapping_add(i * 56))
                .ok_or("truncated program header")??;
        }
        image.headers = headers(bytes).unwrap_or_default();
        Ok(image)
    }

    fn program_header(&mut self, at: u64) -> Option<Result<(), &'static str>> {
        let field = |k: u64| u64_at(self.bytes, at.checked_add(k)?);
        let kind = u32_at(self.bytes, at)?;
        let (offset, address, file_size, size) = (field(8)?, field(16)?, field(32)?, field(40)?);
        let align = field(48)?;
        match kind {
            1 => {
                if file_size > size || address.checked_add(size).is_none() {
                    return Some(Err("PT_LOAD with impossible sizes"));
                }
                if offset.checked_add(file_size).is_none_or(|end| end > self.bytes.len() as u64) {
                    return Some(Err("PT_LOAD beyond the end of the file"));
                }
                if address % PAGE != offset % PAGE {
                    return Some(Err("PT_LOAD whose address and offset are not congruent"));
                }
                let flags = u32_at(self.bytes, at + 4)?;
                self.loads.push(Segment { address, size, offset, file_size, flags });
            }
            2 => self.dynamic = Some((address, size)),
            3 => self.interpreter = true,
            7 => self.tls = Some(Tls { address, file_size, size, align: align.max(1) }),
            0x6474_e550 => self.unwind = Some((address, size)),
            0x6474_e552 => self.relro = Some((address, address.wrapping_add(size) / PAGE * PAGE)),
            _ => {}
        }
        Some(Ok(()))
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
}

fn headers(bytes: &[u8]) -> Option<Vec<Header>> {
    let table = u64_at(bytes, 40)?;
    if table == 0 || u16_at(bytes, 58)? != 64 {
        return None;
    }
    let mut count = u64::from(u16_at(bytes, 60)?);
    if count == 0 {
        count = u64_at(bytes, table.checked_add(32)?)?;
    }
    let all = crate::bytes::slice(bytes, table, count.checked_mul(64)?)?;
    Some(
        all.chunks_exact(64)
            .map(|raw| Header {
                kind: u32_at(raw, 4).unwrap_or(0),
                address: u64_at(raw, 16).unwrap_or(0),
                offset: u64_at(raw, 24).unwrap_or(0),
                size: u64_at(raw, 32).unwrap_or(0),
                link: u32_at(raw, 40).unwrap_or(0),
            })
            .collect(),
    )
}
