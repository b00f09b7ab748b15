//! The neutral input model: what a reader makes of an object file, whatever its class.
//!
//! Headers, symbols and relocations stay in the mapped file and are decoded on access; only side
//! tables are owned. Nothing here knows which definition wins or where a section ends up.

pub(crate) mod walk;

use crate::arch::Arch;
use crate::format::elf::tables::{RelocTable, SectionTable, SymbolTable};

/// A symbol of the link: names first (one id per name), then every object's local symbols.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SymId(pub u32);

/// A section of the link: each object's sections follow each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SecId(pub u32);

/// A file of the link, in command-line order, archive members counted one by one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub u32);

impl SymId {
    /// As an index into a side table.
    pub fn i(self) -> usize {
        self.0 as usize
    }
}

impl SecId {
    /// As an index into a side table.
    pub fn i(self) -> usize {
        self.0 as usize
    }
}

impl FileId {
    /// As an index into a side table.
    pub fn i(self) -> usize {
        self.0 as usize
    }
}

/// Binding of a symbol, as the gABI numbers it.
pub mod bind {
    #![allow(missing_docs)]
    pub const LOCAL: u8 = 0;
    pub const GLOBAL: u8 = 1;
    pub const WEAK: u8 = 2;
    pub const UNIQUE: u8 = 10;
}

/// Type of a symbol, as the gABI numbers it.
pub mod kind {
    #![allow(missing_docs)]
    pub const NOTYPE: u8 = 0;
    pub const OBJECT: u8 = 1;
    pub const FUNC: u8 = 2;
    pub const SECTION: u8 = 3;
    pub const FILE: u8 = 4;
    pub const COMMON: u8 = 5;
    pub const TLS: u8 = 6;
    pub const IFUNC: u8 = 10;
    /// Arm's, before EABI: a function in Thumb state.
    pub const SECOND_SET: u8 = 13;
}

/// Visibility of a symbol, as the gABI numbers it.
pub mod vis {
    #![allow(missing_docs)]
    pub const DEFAULT: u8 = 0;
    pub const INTERNAL: u8 = 1;
    pub const HIDDEN: u8 = 2;
    pub const PROTECTED: u8 = 3;
}

/// Where a symbol is defined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Home {
    /// Nowhere in this file.
    Undefined,
    /// A fixed value.
    Absolute,
    /// A common block; the value is the alignment.
    Common,
    /// A section of the file.
    Section(u32),
}

/// One symbol, decoded.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// Offset of the name in the string table.
    pub name: u32,
    /// Offset in the section, absolute value, or alignment of a common block.
    pub value: u64,
    /// Size in bytes.
    pub size: u64,
    /// Where it is defined.
    pub home: Home,
    /// One of [`bind`].
    pub bind: u8,
    /// One of [`kind`].
    pub kind: u8,
    /// One of [`vis`].
    pub vis: u8,
    /// What `st_other` says beside that.
    pub rest: u8,
}

impl Symbol {
    /// Whether it is a weak mention or definition.
    pub fn is_weak(&self) -> bool {
        self.bind == bind::WEAK
    }
}

/// One section header, decoded.
#[derive(Clone, Copy, Default, Debug)]
pub struct Section {
    /// Offset of the name in the section name table.
    pub name: u32,
    /// `SHT_*`.
    pub kind: u32,
    /// `SHF_*`.
    pub flags: u64,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes in the file, or in memory for `SHT_NOBITS`.
    pub size: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// A power of two, at least 1.
    pub align: u64,
    /// `sh_entsize`.
    pub entsize: u64,
    /// `sh_addr`: 0 in objects.
    pub addr: u64,
}

/// One relocation, decoded.
#[derive(Clone, Copy, Debug)]
pub struct Reloc {
    /// Bytes from the start of the section.
    pub offset: u64,
    /// The machine's relocation type.
    pub kind: u32,
    /// Index into the file's symbol table.
    pub sym: u32,
    /// Explicit, or read from the field for REL.
    pub addend: i64,
}

/// A COMDAT group: its signature and its member sections.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Index of the group section.
    pub section: u32,
    /// Index of the signature symbol.
    pub signature: u32,
    /// The signature as bytes, and its hash.
    pub name: (&'a [u8], u64),
    /// Bytes of the member indexes, four each.
    pub members: &'a [u8],
    /// Whether duplicates are dropped (`GRP_COMDAT`).
    pub comdat: bool,
}

impl Group<'_> {
    /// Indexes of the member sections; the reader has checked them.
    pub fn sections(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }
}

/// A version suffix on a symbol's name: `foo@V` or `foo@@V`.
#[derive(Clone, Copy, Debug)]
pub struct SymVersion<'a> {
    /// Index into the file's symbol table.
    pub sym: u32,
    /// What follows the `@`s.
    pub version: &'a [u8],
    /// `@@`: the version an unversioned reference gets.
    pub default: bool,
}

/// One relocatable object, read but not yet placed.
#[derive(Debug)]
pub struct Object<'a> {
    /// As people know it: `a.o`, `lib.a(m.o)`.
    pub name: String,
    /// What it is made for.
    pub arch: &'static Arch,
    /// The whole file.
    pub data: &'a [u8],
    /// Section headers.
    pub sections: SectionTable<'a>,
    /// Section names.
    pub section_names: &'a [u8],
    /// Symbols.
    pub symbols: SymbolTable<'a>,
    /// Symbol names.
    pub names: &'a [u8],
    /// Index of the first symbol that is not local.
    pub first_global: u32,
    /// For each section the index of its relocation section, or 0.
    pub relocs_of: Vec<u32>,
    /// Section groups.
    pub groups: Vec<Group<'a>>,
    /// Sections named `.gnu.linkonce.*`.
    pub linkonce: Vec<u32>,
    /// Name and hash of each global symbol, in order, without version suffix if default.
    pub keys: Vec<(&'a [u8], u64)>,
    /// Version suffixes, in symbol order.
    pub versions: Vec<SymVersion<'a>>,
    /// Common symbols.
    pub commons: Vec<u32>,
    /// For each section whether nothing of it reaches the output.
    pub dead: Vec<bool>,
    /// Place in the order of loading: what decides which COMDAT group is kept.
    pub seq: u32,
    /// For each global symbol its id.
    pub globals: Vec<SymId>,
    /// Id of section 0.
    pub sec_base: u32,
    /// Id of symbol 0, for local symbols.
    pub local_base: u32,
    /// What replaces a compressed section's bytes, and their alignment, by section.
    pub inflated: Vec<(u32, Box<[u8]>, u64)>,
    /// Relocations of unwind tables that were not sorted, by section.
    pub sorted: Vec<(u32, Box<[u8]>)>,
    /// Whether it asks for an executable stack.
    pub exec_stack: bool,
}

impl<'a> Object<'a> {
    /// The id of the symbol at `index`.
    pub fn id(&self, index: u32) -> SymId {
        if index < self.first_global {
            SymId(self.local_base + index)
        } else {
            self.globals[(index - self.first_global) as usize]
        }
    }

    /// The id of the section at `index`.
    pub fn sec(&self, index: u32) -> SecId {
        SecId(self.sec_base + index)
    }

    /// The name of the section at `index`.
    pub fn section_name(&self, index: u32) -> &'a [u8] {
        c_string(self.section_names, self.sections.name(index))
    }

    /// Whether the name of the section at `index` begins with `prefix`, which has no zero: what is asked of every
    /// section need not look for its name's end.
    #[inline]
    pub fn named_after(&self, index: u32, prefix: &[u8]) -> bool {
        let at = self.sections.name(index) as usize;
        self.section_names.get(at..).is_some_and(|name| name.starts_with(prefix))
    }

    /// The name of the symbol at `index`; a section symbol has its section's.
    pub fn symbol_name(&self, index: u32) -> &'a [u8] {
        let symbol = self.symbols.get(index);
        match symbol.home {
            Home::Section(s) if symbol.kind == kind::SECTION && symbol.name == 0 => {
                self.section_name(s)
            }
            _ => c_string(self.names, symbol.name),
        }
    }

    /// The bytes of the section at `index`, inflated; empty for `SHT_NOBITS`.
    pub fn section_data(&self, index: u32) -> &[u8] {
        if !self.inflated.is_empty()
            && let Ok(at) = self.inflated.binary_search_by_key(&index, |e| e.0)
        {
            return &self.inflated[at].1;
        }
        self.sections.get(index).data(self.data)
    }

    /// The size of the section at `index` once inflated.
    pub fn section_size(&self, index: u32) -> u64 {
        if !self.inflated.is_empty()
            && let Ok(at) = self.inflated.binary_search_by_key(&index, |e| e.0)
        {
            return self.inflated[at].1.len() as u64;
        }
        self.sections.get(index).size
    }

    /// Whether the bytes of the section at `index` are not those in the file.
    pub fn is_inflated(&self, index: u32) -> bool {
        self.inflated.binary_search_by_key(&index, |e| e.0).is_ok()
    }

    /// The alignment of the section at `index` once inflated: a compressed one's header has its own.
    pub fn section_align(&self, index: u32) -> u64 {
        if !self.inflated.is_empty()
            && let Ok(at) = self.inflated.binary_search_by_key(&index, |e| e.0)
        {
            return self.inflated[at].2;
        }
        self.sections.get(index).align
    }

    /// Whether the words of the section at `index` go to the output in reverse.
    pub fn is_reversed(&self, index: u32) -> bool {
        (self.named_after(index, b".ctors") || self.named_after(index, b".dtors"))
            && crate::init_order::classify(self.section_name(index)).is_some_and(|c| c.reversed)
    }

    /// The relocations of the section at `index`; those of `.eh_frame` sorted by offset.
    pub fn relocs(&self, index: u32) -> RelocTable<'_> {
        let at = self.relocs_of[index as usize];
        if at == 0 {
            return RelocTable::new(&[], &[], true, self.arch);
        }
        let section = self.sections.get(at);
        let explicit = section.kind == crate::format::elf::SHT_RELA;
        let fields = if explicit { &[] } else { self.section_data(index) };
        if !self.sorted.is_empty()
            && let Ok(at) = self.sorted.binary_search_by_key(&index, |e| e.0)
        {
            return RelocTable::new(&self.sorted[at].1, fields, explicit, self.arch);
        }
        RelocTable::new(section.data(self.data), fields, explicit, self.arch)
    }
}

impl Section {
    /// The bytes in the file; empty for `SHT_NOBITS` and what the reader refused.
    pub fn data<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        if self.kind == crate::format::elf::SHT_NOBITS {
            return &[];
        }
        let (from, len) = (self.offset as usize, self.size as usize);
        from.checked_add(len).and_then(|to| file.get(from..to)).unwrap_or(&[])
    }
}

/// The bytes of `table` from `at` to the next NUL; empty if out of range.
pub fn c_string(table: &[u8], at: u32) -> &[u8] {
    let tail = table.get(at as usize..).unwrap_or(&[]);
    &tail[..memchr::memchr(0, tail).unwrap_or(tail.len())]
}

/// Whether `__start_` and `__stop_` can be put before `name`.
pub fn is_c_identifier(name: &[u8]) -> bool {
    name.first().is_some_and(|first| !first.is_ascii_digit())
        && name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

/// A fast, fixed hash of a name: the same on every run and machine.
pub fn hash_name(name: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = name.len() as u64;
    let mut chunks = name.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(K);
    }
    let rest = chunks.remainder();
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    hash = (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(K);
    hash ^ (hash >> 29)
}
