//! Mach-O files as their headers describe them: bytes → segments, sections, symbols, load commands.
//!
//! Objects and images alike. Every read is checked: a damaged file is an error or lacks what is cut off. It must
//! not know what anything is for.
//!
//! Spec: `mach-o/loader.h`, `mach-o/nlist.h`.

use super::machine::{self, Machine};
use crate::bytes::{slice, str_at, u16_at, u32_at, u64_at};

/// MH_OBJECT.
pub(crate) const OBJECT: u32 = 1;
/// MH_EXECUTE.
pub(crate) const EXECUTE: u32 = 2;
/// MH_DYLIB.
pub(crate) const DYLIB: u32 = 6;
/// LC_REEXPORT_DYLIB.
pub(crate) const REEXPORT: u32 = 0x8000_001f;
/// LC_LAZY_LOAD_DYLIB.
const LAZY: u32 = 0x20;
/// LC_LOAD_UPWARD_DYLIB.
const UPWARD: u32 = 0x8000_0023;
/// MH_TWOLEVEL.
pub(crate) const TWOLEVEL: u32 = 0x80;
/// MH_PIE.
pub(crate) const PIE: u32 = 0x20_0000;
/// MH_SUBSECTIONS_VIA_SYMBOLS.
pub(crate) const SUBSECTIONS: u32 = 0x2000;
/// MH_WEAK_DEFINES.
pub(crate) const WEAK_DEFINES: u32 = 0x8000;

/// S_* that mean something to the judge.
pub(crate) mod kind {
    pub(crate) const ZEROFILL: u32 = 1;
    pub(crate) const CSTRING: u32 = 2;
    pub(crate) const LITERAL4: u32 = 3;
    pub(crate) const LITERAL8: u32 = 4;
    pub(crate) const MOD_INIT: u32 = 9;
    pub(crate) const MOD_TERM: u32 = 0xa;
    pub(crate) const GB_ZEROFILL: u32 = 0xc;
    pub(crate) const LITERAL16: u32 = 0xe;
    pub(crate) const TLV_REGULAR: u32 = 0x11;
    pub(crate) const TLV_ZEROFILL: u32 = 0x12;
    pub(crate) const TLV_VARIABLES: u32 = 0x13;
    pub(crate) const INIT_OFFSETS: u32 = 0x16;
}

/// LC_SEGMENT_64.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) offset: u64,
    pub(crate) file_size: u64,
    /// initprot: 1 read, 2 write, 4 execute.
    pub(crate) protection: u32,
    /// SG_*.
    pub(crate) flags: u32,
}

impl Segment<'_> {
    /// Whether anything may be mapped there.
    pub(crate) fn accessible(&self) -> bool {
        self.protection != 0
    }

    /// VM_PROT_WRITE.
    pub(crate) fn writable(&self) -> bool {
        self.protection & 2 != 0
    }

    /// VM_PROT_EXECUTE.
    pub(crate) fn executable(&self) -> bool {
        self.protection & 4 != 0
    }

    /// SG_READ_ONLY: written by the loader only.
    pub(crate) fn read_only(&self) -> bool {
        self.flags & 0x10 != 0
    }
}

/// A section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) segment: &'a str,
    pub(crate) name: &'a str,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) offset: u32,
    /// A power of two.
    pub(crate) align: u64,
    pub(crate) reloc_offset: u32,
    pub(crate) reloc_count: u32,
    /// S_* and S_ATTR_*.
    pub(crate) flags: u32,
    pub(crate) reserved1: u32,
    pub(crate) reserved2: u32,
}

impl Section<'_> {
    /// S_*.
    pub(crate) fn kind(&self) -> u32 {
        self.flags & 0xff
    }

    /// Whether the file has no bytes of it.
    pub(crate) fn zerofill(&self) -> bool {
        matches!(self.kind(), kind::ZEROFILL | kind::GB_ZEROFILL | kind::TLV_ZEROFILL)
    }

    /// Whether it is a part of the thread-local template.
    pub(crate) fn template(&self) -> bool {
        matches!(self.kind(), kind::TLV_REGULAR | kind::TLV_ZEROFILL)
    }

    /// Whether `address` is in it.
    pub(crate) fn has(&self, address: u64) -> bool {
        address.wrapping_sub(self.address) < self.size
    }
}

/// An entry of the symbol table; stabs are left out of [`File::symbols`]' meaning, not of its numbering.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    /// n_type.
    pub(crate) n_type: u8,
    /// n_sect: a section's number from 1.
    pub(crate) section: u8,
    /// n_desc.
    pub(crate) desc: u16,
    pub(crate) value: u64,
}

impl Symbol<'_> {
    /// N_STAB.
    pub(crate) fn stab(&self) -> bool {
        self.n_type & 0xe0 != 0
    }

    /// N_EXT.
    pub(crate) fn external(&self) -> bool {
        self.n_type & 1 != 0
    }

    /// N_UNDF with a size.
    pub(crate) fn common(&self) -> bool {
        !self.stab() && self.external() && self.n_type & 0xe == 0 && self.value != 0
    }

    /// N_ABS.
    pub(crate) fn absolute(&self) -> bool {
        !self.stab() && self.n_type & 0xe == 2
    }

    /// N_SECT.
    pub(crate) fn in_section(&self) -> bool {
        !self.stab() && self.n_type & 0xe == 0xe
    }
}

/// An LC_LOAD_DYLIB or one of its kin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Library<'a> {
    pub(crate) name: &'a str,
    /// LC_LOAD_WEAK_DYLIB.
    pub(crate) weak: bool,
    /// The command's number.
    pub(crate) command: u32,
}

impl Library<'_> {
    /// How it is loaded, unless as most are.
    pub(crate) fn way(&self) -> Option<&'static str> {
        match self.command {
            _ if self.weak => Some("weak"),
            REEXPORT => Some("re-exported"),
            LAZY => Some("lazy"),
            UPWARD => Some("upward"),
            _ => None,
        }
    }
}

/// A range of the file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Blob {
    pub(crate) offset: u32,
    pub(crate) size: u32,
}

/// LC_DYLD_INFO(_ONLY).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct DyldInfo {
    pub(crate) rebase: Blob,
    pub(crate) bind: Blob,
    pub(crate) weak_bind: Blob,
    pub(crate) lazy_bind: Blob,
    pub(crate) export: Blob,
}

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct File<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) machine: &'static Machine,
    /// MH_*: what kind of file.
    pub(crate) kind: u32,
    /// MH_*: flags.
    pub(crate) flags: u32,
    pub(crate) segments: Vec<Segment<'a>>,
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) symbols: Vec<Symbol<'a>>,
    pub(crate) libraries: Vec<Library<'a>>,
    /// LC_ID_DYLIB.
    pub(crate) id: Option<&'a str>,
    /// LC_RPATH, in order.
    pub(crate) paths: Vec<&'a str>,
    /// LC_MAIN's entryoff.
    pub(crate) entry: Option<u64>,
    /// LC_ROUTINES_64's init_address.
    pub(crate) routine: Option<u64>,
    pub(crate) info: Option<DyldInfo>,
    /// LC_DYLD_CHAINED_FIXUPS.
    pub(crate) chains: Option<Blob>,
    /// LC_DYLD_EXPORTS_TRIE.
    pub(crate) trie: Option<Blob>,
    /// Objects: LC_LINKER_OPTIMIZATION_HINT.
    pub(crate) hints: Option<Blob>,
}

/// Whether `bytes` start as a 64-bit Mach-O file of this byte order does.
pub(crate) fn is_macho(bytes: &[u8]) -> bool {
    u32_at(bytes, 0) == Some(0xfeed_facf)
}

/// MH_OBJECT, MH_DYLIB…
pub(crate) fn file_kind(bytes: &[u8]) -> Option<u32> {
    u32_at(bytes, 12).filter(|_| is_macho(bytes))
}

/// The NUL-padded name of up to 16 bytes at `at`.
fn name16(bytes: &[u8], at: u64) -> &str {
    let raw = slice(bytes, at, 16).unwrap_or_default();
    let end = memchr::memchr(0, raw).unwrap_or(raw.len());
    std::str::from_utf8(&raw[..end]).unwrap_or("\u{fffd}")
}

impl<'a> File<'a> {
    /// Reads `bytes`.
    ///
    /// Errors: a text, if the header or a load command is damaged, or the machine is none of ours.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        if !is_macho(bytes) {
            return Err("not a 64-bit Mach-O file".into());
        }
        let word = |at: u64| u32_at(bytes, at).ok_or_else(|| "the header is cut".to_owned());
        let cputype = word(4)?;
        let machine =
            machine::of_header(cputype).ok_or_else(|| format!("cputype is {cputype:#x}"))?;
        let mut file = Self {
            bytes,
            machine,
            kind: word(12)?,
            flags: word(24)?,
            segments: Vec::new(),
            sections: Vec::new(),
            symbols: Vec::new(),
            libraries: Vec::new(),
            id: None,
            paths: Vec::new(),
            entry: None,
            routine: None,
            info: None,
            chains: None,
            trie: None,
            hints: None,
        };
        let (count, size) = (word(16)?, word(20)?);
        let mut commands = slice(bytes, 32, size.into()).ok_or("load commands are cut")?;
        for _ in 0..count {
            let size = u32_at(commands, 4).filter(|size| *size >= 8);
            let (command, rest) = size
                .and_then(|size| commands.split_at_checked(size as usize))
                .ok_or("a load command is cut")?;
            file.command(command).ok_or("a load command is cut")?;
            commands = rest;
        }
        Ok(file)
    }

    /// Takes one load command in; none if it is too short.
    fn command(&mut self, command: &'a [u8]) -> Option<()> {
        let word = |at| u32_at(command, at);
        let blob = |at| Some(Blob { offset: word(at)?, size: word(at + 4)? });
        let text = || Some(str_at(command, word(8)?.into()));
        match word(0)? {
            0x19 => self.segment(command)?,
            0x2 => self.symbol_table(word(8)?, word(12)?, word(16)?, word(20)?),
            0xd => self.id = Some(text()?),
            number @ (0xc | 0x8000_0018 | REEXPORT | LAZY | UPWARD) => {
                let weak = number == 0x8000_0018;
                self.libraries.push(Library { name: text()?, weak, command: number });
            }
            0x8000_001c => self.paths.push(text()?),
            0x1a => self.routine = Some(u64_at(command, 8)?),
            0x8000_0028 => self.entry = Some(u64_at(command, 8)?),
            0x22 | 0x8000_0022 => {
                self.info = Some(DyldInfo {
                    rebase: blob(8)?,
                    bind: blob(16)?,
                    weak_bind: blob(24)?,
                    lazy_bind: blob(32)?,
                    export: blob(40)?,
                });
            }
            0x8000_0034 => self.chains = Some(blob(8)?),
            0x8000_0033 => self.trie = Some(blob(8)?),
            0x2e => self.hints = Some(blob(8)?),
            _ => {}
        }
        Some(())
    }

    fn segment(&mut self, command: &'a [u8]) -> Option<()> {
        let (word, long) = (|at| u32_at(command, at), |at| u64_at(command, at));
        self.segments.push(Segment {
            name: name16(command, 8),
            address: long(24)?,
            size: long(32)?,
            offset: long(40)?,
            file_size: long(48)?,
            protection: word(60)?,
            flags: word(68)?,
        });
        for i in 0..u64::from(word(64)?) {
            let at = 72 + 80 * i;
            let section = slice(command, at, 80)?;
            let word = |at| u32_at(section, at);
            self.sections.push(Section {
                name: name16(section, 0),
                segment: name16(section, 16),
                address: u64_at(section, 32)?,
                size: u64_at(section, 40)?,
                offset: word(48)?,
                align: 1_u64.checked_shl(word(52)?).unwrap_or(u64::MAX),
                reloc_offset: word(56)?,
                reloc_count: word(60)?,
                flags: word(64)?,
                reserved1: word(68)?,
                reserved2: word(72)?,
            });
        }
        Some(())
    }

    fn symbol_table(&mut self, offset: u32, count: u32, strings: u32, size: u32) {
        let strings = slice(self.bytes, strings.into(), size.into()).unwrap_or_default();
        let entry = |i: u64| {
            let raw = slice(self.bytes, u64::from(offset) + 16 * i, 16)?;
            Some(Symbol {
                name: str_at(strings, u32_at(raw, 0)?.into()),
                n_type: raw[4],
                section: raw[5],
                desc: u16_at(raw, 6)?,
                value: u64_at(raw, 8)?,
            })
        };
        self.symbols = (0..count.into()).map_while(entry).collect();
    }

    /// A range of the file; none if it is cut.
    pub(crate) fn blob(&self, blob: Blob) -> Option<&'a [u8]> {
        slice(self.bytes, blob.offset.into(), blob.size.into())
    }

    /// The contents of a section of an object.
    pub(crate) fn contents(&self, section: &Section<'_>) -> Option<&'a [u8]> {
        match section.zerofill() {
            true => Some(&[]),
            false => slice(self.bytes, section.offset.into(), section.size),
        }
    }

    /// Whether it may be loaded elsewhere than where it says: all but programs that are not MH_PIE.
    pub(crate) fn slides(&self) -> bool {
        self.kind != EXECUTE || self.flags & PIE != 0
    }

    /// Where the image starts: the address of its header.
    pub(crate) fn base(&self) -> u64 {
        let first = self.segments.iter().find(|s| s.offset == 0 && s.file_size > 0);
        first.map_or(0, |segment| segment.address)
    }

    /// The accessible segment that has `address`.
    pub(crate) fn at(&self, address: u64) -> Option<&Segment<'a>> {
        let has = |s: &&Segment<'_>| s.accessible() && address.wrapping_sub(s.address) < s.size;
        self.segments.iter().find(has)
    }

    /// The section that has `address`.
    pub(crate) fn section_at(&self, address: u64) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.has(address))
    }

    /// What the file has from `address` to the end of its segment.
    pub(crate) fn tail(&self, address: u64) -> &'a [u8] {
        let Some(segment) = self.at(address) else { return &[] };
        let skip = address.wrapping_sub(segment.address);
        let bytes = slice(self.bytes, segment.offset, segment.file_size).unwrap_or_default();
        usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default()
    }

    /// `len` bytes at `address`, if the file has them.
    pub(crate) fn slice(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        slice(self.tail(address), 0, len)
    }

    /// A 32-bit number at `address`.
    pub(crate) fn u32(&self, address: u64) -> Option<u32> {
        u32_at(self.tail(address), 0)
    }

    /// A 64-bit number at `address`; what is not in the file is zero.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        self.slot(address, 8)
    }

    /// The number of `size` bytes at `address`, zero where the file has nothing of the segment.
    fn slot(&self, address: u64, size: u64) -> Option<u64> {
        let segment = self.at(address)?;
        if let Some(bytes) = self.slice(address, size) {
            return Some(crate::bytes::number(bytes));
        }
        let skip = address.wrapping_sub(segment.address);
        (skip >= segment.file_size && segment.size - skip >= size).then_some(0)
    }

    /// Where the thread-local template starts: dyld takes the first of its sections as 0.
    pub(crate) fn template(&self) -> Option<u64> {
        self.sections.iter().filter(|s| s.template()).map(|s| s.address).min()
    }
}
