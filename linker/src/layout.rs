//! Layout: sections of the link → output sections → segments → addresses.
//!
//! Must not know of relocations or symbols' meaning; it moves bytes' places, never bytes.

pub mod addresses;
pub mod assign;
mod errata;
pub mod order;
mod segments;
pub mod symbols;
pub mod thunks;

use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::class::SymbolHome;
use crate::object::{FileId, SecId};

/// One input section's place in an output section.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Member {
    /// Whose it is.
    pub file: FileId,
    /// Which of its sections.
    pub index: u32,
    /// Its id.
    pub sec: SecId,
}

/// What became of an input section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It is in no output section of its own: dead, or part of what the linker makes.
    Nowhere,
    /// It is whole in the output section of this number.
    Out(u32),
    /// Its pieces are in the merge of this number.
    Merge(u32),
}

/// A [`Place`] in four bytes; there are as many as sections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SecPlace(u32);

impl SecPlace {
    const MERGE: u32 = 1 << 31;
    /// See [`Place::Nowhere`].
    pub const NOWHERE: Self = Self(u32::MAX);

    /// See [`Place::Out`].
    pub fn out(number: u32) -> Self {
        Self(number)
    }

    /// See [`Place::Merge`].
    pub fn merge(number: u32) -> Self {
        Self(number | Self::MERGE)
    }

    /// What it says.
    #[inline]
    pub fn get(self) -> Place {
        match self {
            Self::NOWHERE => Place::Nowhere,
            Self(merge) if merge & Self::MERGE != 0 => Place::Merge(merge & !Self::MERGE),
            Self(out) => Place::Out(out),
        }
    }

    /// The output section it is whole in.
    #[inline]
    pub fn whole(self) -> Option<u32> {
        (self.0 & Self::MERGE == 0).then_some(self.0)
    }

    /// Whether its pieces are merged.
    #[inline]
    pub fn is_merged(self) -> bool {
        matches!(self.get(), Place::Merge(_))
    }
}

/// What the linker itself puts into an output section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum Made {
    Interp,
    Property,
    BuildId,
    Package,
    GnuHash,
    Hash,
    Dynsym,
    Dynstr,
    Versym,
    Verdef,
    Verneed,
    RelaDyn,
    Relr,
    RelaPlt,
    EhFrameHdr,
    EhFrame,
    Index,
    Plt,
    Dynamic,
    Got,
    GotPlt,
    CopyRelro,
    Copy,
    Attributes,
    Symtab,
    SymtabShndx,
    Strtab,
    Shstrtab,
    /// Relocations kept by `--emit-relocs`; one for each section they are for.
    Kept,
}

/// One output section.
#[derive(Clone, Debug)]
pub struct OutSec {
    /// Its name.
    pub name: Vec<u8>,
    /// `SHT_*`.
    pub kind: u32,
    /// `SHF_*`.
    pub flags: u64,
    /// A power of two.
    pub align: u64,
    /// `sh_entsize`.
    pub entsize: u64,
    /// `sh_link` and `sh_info`, once sections have numbers.
    pub link: u32,
    /// See `link`.
    pub info: u32,
    /// Address, 0 if not loaded.
    pub addr: u64,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes in memory, or in the file if it has no place in memory.
    pub size: u64,
    /// Input sections in order.
    pub members: Vec<Member>,
    /// What the linker makes of it.
    pub made: Option<Made>,
    /// Number in the output's section table, 0 if it is not there.
    pub shndx: u32,
    /// Read-only once relocated.
    pub relro: bool,
    /// Replacement contents: compressed debug sections.
    pub packed: Option<Vec<u8>>,
}

impl OutSec {
    /// What a symbol in it is in.
    pub fn home(&self) -> SymbolHome {
        SymbolHome::Section(self.shndx)
    }

    /// An empty section.
    pub fn new(name: &[u8], kind: u32, flags: u64) -> Self {
        Self {
            name: name.to_vec(),
            kind,
            flags,
            align: 1,
            entsize: 0,
            link: 0,
            info: 0,
            addr: 0,
            offset: 0,
            size: 0,
            members: Vec::new(),
            made: None,
            shndx: 0,
            relro: false,
            packed: None,
        }
    }

    /// Whether it has bytes in the file.
    pub fn in_file(&self) -> bool {
        self.kind != crate::format::elf::SHT_NOBITS
    }

    /// Whether it takes addresses of its own: `.tbss` lies in each thread's block instead.
    pub fn in_memory(&self) -> bool {
        self.in_file() || !self.is_tls()
    }

    /// Whether it is loaded.
    pub fn is_alloc(&self) -> bool {
        self.flags & crate::format::elf::SHF_ALLOC != 0
    }

    /// Whether it takes part in the TLS block.
    pub fn is_tls(&self) -> bool {
        self.flags & crate::format::elf::SHF_TLS != 0
    }
}

/// `value` rounded up to a multiple of `align`, a power of two; the last address if there is none.
pub fn align_up(value: u64, align: u64) -> u64 {
    let mask = align.max(1) - 1;
    value.checked_add(mask).map_or(u64::MAX, |sum| sum & !mask)
}

/// The error of an output section that is larger than what is left for it.
pub(crate) fn too_large(out: &OutSec) -> Errors {
    let name = String::from_utf8_lossy(&out.name);
    let text = format!("the image does not fit the address space: no room for {name}");
    Error::new(ErrorKind::Usage, text).into()
}
