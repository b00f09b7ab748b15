//! Bytes → headers and tables of a little-endian ELF image, every read checked.

use object::elf;

use crate::class::{Class, FileHeader, RawReloc, RawSymbol};

/// A program header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) vaddr: u64,
    pub(super) filesz: u64,
    pub(super) memsz: u64,
    pub(super) align: u64,
}

impl Segment {
    /// Whether the memory range lies in this one's.
    pub(super) fn has(&self, addr: u64, len: u64) -> bool {
        let end = self.vaddr.checked_add(self.memsz);
        addr >= self.vaddr && addr.checked_add(len).is_some_and(|e| end.is_some_and(|end| e <= end))
    }

    pub(super) fn end(&self) -> u64 {
        self.vaddr.saturating_add(self.memsz)
    }
}

/// A section header.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
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

impl Section {
    pub(super) fn is(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn end(&self) -> u64 {
        self.addr.saturating_add(self.size)
    }

    /// Takes room in memory of its own.
    pub(super) fn in_memory(&self) -> bool {
        let tls_bss = self.is(TLS) && self.kind == elf::SHT_NOBITS.0;
        self.is(ALLOC) && !tls_bss && self.size > 0
    }
}

pub(super) const WRITE: u64 = 1;
pub(super) const ALLOC: u64 = 2;
pub(super) const EXEC: u64 = 4;
pub(super) const TLS: u64 = 0x400;

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) name: u32,
    pub(super) info: u8,
    pub(super) other: u8,
    pub(super) section: u16,
    pub(super) value: u64,
    pub(super) size: u64,
}

impl Symbol {
    pub(super) fn kind(&self) -> u8 {
        self.info & 15
    }

    pub(super) fn local(&self) -> bool {
        self.info >> 4 == 0
    }

    /// STV_INTERNAL or STV_HIDDEN.
    pub(super) fn hidden(&self) -> bool {
        matches!(self.other & 3, 1 | 2)
    }

    pub(super) fn defined(&self) -> bool {
        self.section != 0
    }
}

/// A dynamic relocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rela {
    pub(super) offset: u64,
    pub(super) kind: u32,
    pub(super) symbol: u32,
    pub(super) addend: Option<i64>,
}

/// An image.
pub(super) struct Image<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) class: Class,
    pub(super) header: FileHeader,
    pub(super) library: bool,
    pub(super) entry: u64,
    pub(super) phoff: u64,
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    /// Tags and values up to DT_NULL; `None` without PT_DYNAMIC.
    pub(super) dynamic: Option<Vec<(u64, u64)>>,
    /// Whether DT_NULL ends the dynamic section.
    pub(super) terminated: bool,
}

impl<'a> Image<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let class = Class::of(bytes)?;
        let header = class.file_header(bytes)?;
        let mut image = Self {
            bytes,
            class,
            header,
            library: header.kind == elf::ET_DYN.0,
            entry: header.entry,
            phoff: header.segments,
            segments: Vec::new(),
            sections: Vec::new(),
            dynamic: None,
            terminated: true,
        };
        for i in 0..u64::from(header.segment_count) {
            let at = image.phoff.checked_add(i * class.sizes().segment)?;
            let raw = class.segment(bytes, at)?;
            image.segments.push(Segment {
                kind: raw.kind,
                flags: raw.flags,
                offset: raw.offset,
                vaddr: raw.address,
                filesz: raw.file_size,
                memsz: raw.size,
                align: raw.align,
            });
        }
        image.read_sections()?;
        image.read_dynamic();
        Some(image)
    }

    fn read_sections(&mut self) -> Option<()> {
        if self.header.sections == 0 {
            return Some(());
        }
        let headers = self.class.sections(self.bytes, &self.header)?;
        let mut names = u32::from(self.header.names);
        if names == u32::from(elf::SHN_XINDEX.0) {
            names = headers.first()?.link;
        }
        let strings = headers.get(names as usize).map(|strings| strings.offset);
        for raw in headers {
            let name = strings.and_then(|at| at.checked_add(raw.name.into()));
            let name = name.and_then(|at| text(self.bytes, at)).unwrap_or_default();
            self.sections.push(Section {
                name: String::from_utf8_lossy(name).into_owned(),
                kind: raw.kind,
                flags: raw.flags,
                addr: raw.address,
                offset: raw.offset,
                size: raw.size,
                link: raw.link,
                info: raw.info,
                align: raw.align,
                entsize: raw.entsize,
            });
        }
        Some(())
    }

    fn read_dynamic(&mut self) {
        let Some(dynamic) = self.segment(elf::PT_DYNAMIC.0) else { return };
        let (word, entry) = (self.class.word(), self.class.sizes().dynamic);
        let mut list = Vec::new();
        self.terminated = false;
        for i in 0..dynamic.filesz / entry {
            let at = dynamic.offset.saturating_add(i * entry);
            let read = |at| self.class.word_at(self.bytes, at);
            let (Some(tag), Some(value)) = (read(at), read(at.saturating_add(word))) else {
                break;
            };
            if tag == 0 {
                self.terminated = true;
                break;
            }
            list.push((tag, value));
        }
        self.dynamic = Some(list);
    }

    /// The first segment of this kind.
    pub(super) fn segment(&self, kind: u32) -> Option<Segment> {
        self.segments.iter().find(|segment| segment.kind == kind).copied()
    }

    pub(super) fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD.0)
    }

    /// The value of a dynamic tag.
    pub(super) fn tag(&self, tag: i64) -> Option<u64> {
        let list = self.dynamic.as_ref()?;
        list.iter().find(|(other, _)| *other == tag as u64).map(|(_, value)| *value)
    }

    pub(super) fn named(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The file's bytes from this address to the end of its segment.
    pub(super) fn at(&self, addr: u64) -> Option<&'a [u8]> {
        let load = self.loads().find(|l| addr >= l.vaddr && addr - l.vaddr < l.filesz)?;
        let start = load.offset.checked_add(addr - load.vaddr)?;
        let end = load.offset.checked_add(load.filesz)?;
        self.bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    pub(super) fn range(&self, addr: u64, len: u64) -> Option<&'a [u8]> {
        self.at(addr)?.get(..usize::try_from(len).ok()?)
    }

    /// The file's bytes of a section.
    pub(super) fn data(&self, section: &Section) -> Option<&'a [u8]> {
        if section.kind == elf::SHT_NOBITS.0 {
            return Some(&[]);
        }
        let end = section.offset.checked_add(section.size)?;
        self.bytes.get(usize::try_from(section.offset).ok()?..usize::try_from(end).ok()?)
    }

    /// The symbols of a symbol table section.
    pub(super) fn symbols(&self, table: &Section) -> Vec<Symbol> {
        let size = self.class.sizes().symbol as usize;
        let raw = self.data(table).unwrap_or_default().chunks_exact(size);
        let symbol = |raw| {
            let RawSymbol { name, info, other, section, value, size } = self.class.symbol(raw)?;
            Some(Symbol { name, info, other, section, value, size })
        };
        raw.filter_map(symbol).collect()
    }

    pub(super) fn dynsym(&self) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == elf::SHT_DYNSYM.0)
    }

    /// A string of the dynamic string table.
    pub(super) fn dynstr(&self, at: u32) -> Option<&'a [u8]> {
        let table = self.tag(5)?;
        let size = self.tag(10)?;
        let bytes = self.range(table, size)?;
        text(bytes, at.into())
    }

    /// The relocations of the table at an address: those of REL without an addend.
    pub(super) fn relas(&self, addr: u64, size: u64, rela: bool) -> Vec<Rela> {
        let bytes = self.range(addr, size).unwrap_or_default();
        let read = |raw: RawReloc| Rela {
            offset: raw.offset,
            kind: raw.r_type,
            symbol: raw.symbol,
            addend: raw.addend,
        };
        self.class.relocs(bytes, rela).map(read).collect()
    }

    /// The number of `size` bytes that the file has for an address.
    pub(super) fn number(&self, addr: u64, size: u8) -> Option<u64> {
        (size <= 8).then(|| self.range(addr, size.into())).flatten().map(crate::bytes::number)
    }
}

pub(super) fn half(bytes: &[u8], at: u64) -> Option<u16> {
    let at = usize::try_from(at).ok()?;
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn quad(bytes: &[u8], at: u64) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A string up to its NUL.
pub(super) fn text(bytes: &[u8], at: u64) -> Option<&[u8]> {
    let bytes = bytes.get(usize::try_from(at).ok()?..)?;
    bytes.get(..memchr::memchr(0, bytes)?)
}
