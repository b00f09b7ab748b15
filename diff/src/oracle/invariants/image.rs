//! Bytes → headers and tables of a little-endian ELF64 image, every read checked.

use object::elf;

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
    pub(super) addend: i64,
}

/// An image.
pub(super) struct Image<'a> {
    pub(super) bytes: &'a [u8],
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
        (bytes.get(..6)? == b"\x7fELF\x02\x01").then_some(())?;
        let mut image = Self {
            bytes,
            library: false,
            entry: word(bytes, 24)?,
            phoff: word(bytes, 32)?,
            segments: Vec::new(),
            sections: Vec::new(),
            dynamic: None,
            terminated: true,
        };
        image.library = half(bytes, 16)? == elf::ET_DYN.0;
        for i in 0..u64::from(half(bytes, 56)?) {
            image.segments.push(segment(bytes, image.phoff.checked_add(i * 56)?)?);
        }
        image.read_sections()?;
        image.read_dynamic();
        Some(image)
    }

    fn read_sections(&mut self) -> Option<()> {
        let bytes = self.bytes;
        let start = word(bytes, 40)?;
        if start == 0 {
            return Some(());
        }
        let (mut count, mut names) = (u64::from(half(bytes, 60)?), u32::from(half(bytes, 62)?));
        if count == 0 {
            count = word(bytes, start.checked_add(32)?)?;
        }
        if names == u32::from(elf::SHN_XINDEX.0) {
            names = quad(bytes, start.checked_add(40)?)?;
        }
        (count.checked_mul(64)? <= bytes.len() as u64).then_some(())?;
        let at = |i: u64| start.checked_add(i * 64);
        let strings = (at(names.into())).and_then(|at| section(bytes, at));
        for i in 0..count {
            let (mut section, name) = section(bytes, at(i)?)?;
            if let Some((strings, _)) = &strings {
                let text = strings.offset.checked_add(name.into()).and_then(|at| text(bytes, at));
                section.name = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
            }
            self.sections.push(section);
        }
        Some(())
    }

    fn read_dynamic(&mut self) {
        let Some(dynamic) = self.segment(elf::PT_DYNAMIC.0) else { return };
        let mut list = Vec::new();
        self.terminated = false;
        for i in 0..dynamic.filesz / 16 {
            let at = dynamic.offset.saturating_add(i * 16);
            let (Some(tag), Some(value)) =
                (word(self.bytes, at), word(self.bytes, at.saturating_add(8)))
            else {
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
        self.data(table).unwrap_or_default().chunks_exact(24).filter_map(symbol).collect()
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

    /// The relocations at an address.
    pub(super) fn relas(&self, addr: u64, size: u64) -> Vec<Rela> {
        let bytes = self.range(addr, size).unwrap_or_default();
        bytes.chunks_exact(24).filter_map(rela).collect()
    }
}

fn segment(bytes: &[u8], at: u64) -> Option<Segment> {
    at.checked_add(56)?;
    Some(Segment {
        kind: quad(bytes, at)?,
        flags: quad(bytes, at + 4)?,
        offset: word(bytes, at + 8)?,
        vaddr: word(bytes, at + 16)?,
        filesz: word(bytes, at + 32)?,
        memsz: word(bytes, at + 40)?,
        align: word(bytes, at.checked_add(48)?)?,
    })
}

fn section(bytes: &[u8], at: u64) -> Option<(Section, u32)> {
    at.checked_add(64)?;
    let section = Section {
        name: String::new(),
        kind: quad(bytes, at + 4)?,
        flags: word(bytes, at + 8)?,
        addr: word(bytes, at + 16)?,
        offset: word(bytes, at + 24)?,
        size: word(bytes, at + 32)?,
        link: quad(bytes, at + 40)?,
        info: quad(bytes, at + 44)?,
        align: word(bytes, at + 48)?,
        entsize: word(bytes, at + 56)?,
    };
    Some((section, quad(bytes, at)?))
}

fn symbol(bytes: &[u8]) -> Option<Symbol> {
    Some(Symbol {
        name: quad(bytes, 0)?,
        info: *bytes.get(4)?,
        other: *bytes.get(5)?,
        section: half(bytes, 6)?,
        value: word(bytes, 8)?,
        size: word(bytes, 16)?,
    })
}

fn rela(bytes: &[u8]) -> Option<Rela> {
    let info = word(bytes, 8)?;
    Some(Rela {
        offset: word(bytes, 0)?,
        kind: info as u32,
        symbol: (info >> 32) as u32,
        addend: word(bytes, 16)? as i64,
    })
}

pub(super) fn half(bytes: &[u8], at: u64) -> Option<u16> {
    let at = usize::try_from(at).ok()?;
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn quad(bytes: &[u8], at: u64) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn word(bytes: &[u8], at: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A string up to its NUL.
pub(super) fn text(bytes: &[u8], at: u64) -> Option<&[u8]> {
    let bytes = bytes.get(usize::try_from(at).ok()?..)?;
    bytes.get(..memchr::memchr(0, bytes)?)
}
