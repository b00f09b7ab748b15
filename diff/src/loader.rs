//! The abstract dynamic loader: the bytes of a linked ELF module → what loading it does, symbolically.
//!
//! It maps the PT_LOADs, reads PT_DYNAMIC and its tables, and says for every slot that a dynamic
//! relocation writes what it will hold ([`Module::memory`]), which functions run at load and unload, and
//! what its hash tables answer. It reads only what a loader reads (section headers serve to count
//! symbols). It must not know the inputs of the link.

mod dynamic;
mod image;
mod relocs;
mod symbols;

pub use dynamic::Dynamic;
pub use image::{Header, Image, Segment, Tls};
pub use relocs::{DynReloc, Kind};
pub use symbols::{Symbol, Symbols, Version, gnu_hash, sysv_hash};

use crate::bytes::str_at;
use crate::model::elf::machine::{self, Machine};

/// A module as a loader sees it.
#[derive(Clone, Debug)]
pub struct Module<'a> {
    /// What is mapped.
    pub image: Image<'a>,
    pub(crate) machine: &'static Machine,
    /// The dynamic section; a static executable has none.
    pub dynamic: Option<Dynamic>,
    /// Dynamic symbols.
    pub symbols: Symbols<'a>,
    /// Dynamic relocations, sorted by address.
    pub relocs: Vec<DynReloc>,
    /// Those of them that copy, in the same order.
    pub copies: Vec<DynReloc>,
    /// Addresses of the IRELATIVE entries that a static executable applies itself, ascending.
    pub irelative: Vec<u64>,
    /// It is searched first at run time: fixed addresses, an interpreter, or DF_1_PIE.
    pub executable: bool,
}

/// What a slot holds once the module is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Load base + this.
    Address(u64),
    /// What looking `name` up in the scope gives, plus the addend.
    Lookup {
        /// Without its version.
        name: String,
        /// The version asked for.
        version: Option<String>,
        /// A.
        addend: u64,
        /// Nothing found is no error: the slot holds the addend then.
        weak: bool,
        /// Until the first call of a lazily bound slot: load base + this.
        lazy: Option<u64>,
    },
    /// What the resolver at load base + this returns.
    Ifunc(u64),
    /// A number.
    Number(u64),
    /// Anything TLS: it depends on the thread library.
    Tls,
    /// Nothing a loader can do; the text says why.
    Bad(String),
}

/// A slot that a dynamic relocation writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    /// Where, before the load base.
    pub address: u64,
    /// Bytes.
    pub size: u8,
    /// What it holds.
    pub content: Content,
}

impl<'a> Module<'a> {
    /// Loads `bytes`.
    ///
    /// Errors: a text, if it can't be mapped. What is wrong in dynamic tables is in `dynamic.broken`.
    pub fn load(bytes: &'a [u8]) -> Result<Self, String> {
        let image = Image::read(bytes)?;
        let machine = machine::of(image.machine);
        let machine = machine.ok_or_else(|| format!("e_machine is {}", image.machine))?;
        let mut dynamic = Dynamic::read(&image, machine);
        if image.dynamic.is_some_and(|(address, size)| image.slice(address, size).is_none()) {
            return Err("PT_DYNAMIC is not mapped".into());
        }
        let relocs;
        let mut irelative = Vec::new();
        let mut symbols = Symbols::default();
        if let Some(dynamic) = &mut dynamic {
            let (list, broken) = relocs::read(&image, machine, dynamic);
            relocs = list;
            if dynamic.broken.is_none() {
                dynamic.broken = broken;
            }
            let used = relocs.iter().map(|reloc| reloc.symbol).max().unwrap_or(0);
            symbols = Symbols::read(&image, dynamic, used);
            if used as usize >= symbols.list.len().max(1) {
                dynamic.broken = Some("a relocation names a symbol that does not exist".into());
            }
        } else {
            (relocs, irelative) = static_irelative(&image, machine);
        }
        let copies = relocs.iter().filter(|reloc| reloc.kind == Kind::Copy).copied().collect();
        let pie = dynamic.as_ref().is_some_and(|dynamic| dynamic.pie);
        let executable = !image.moves || image.interpreter || pie;
        Ok(Self { image, machine, dynamic, symbols, relocs, copies, irelative, executable })
    }

    /// The relocation that writes exactly at `address`.
    pub fn reloc_at(&self, address: u64) -> Option<&DynReloc> {
        let at = self.relocs.partition_point(|reloc| reloc.address < address);
        self.relocs.get(at).filter(|reloc| reloc.address == address)
    }

    /// Relocations that write into `start..end`.
    pub fn relocs_in(&self, start: u64, end: u64) -> impl Iterator<Item = &DynReloc> {
        let first = start.saturating_sub(15);
        let at = self.relocs.partition_point(|reloc| reloc.address < first);
        self.relocs[at..]
            .iter()
            .take_while(move |reloc| reloc.address < end)
            .filter(move |reloc| reloc.address.saturating_add(reloc.size.into()) > start)
    }

    /// The symbol of a relocation.
    pub fn symbol(&self, index: u32) -> Option<&Symbol<'a>> {
        self.symbols.list.get(index as usize)
    }

    /// Whether looking this symbol up from this module finds its own definition, always.
    ///
    /// Spec: gABI ch. 5, "Shared Object Dependencies"; STV_PROTECTED; an executable is searched first.
    pub fn binds_locally(&self, symbol: &Symbol<'_>) -> bool {
        if symbol.undefined() {
            return false;
        }
        symbol.binding == 0
            || symbol.visibility != 0
            || self.executable
            || self.dynamic.as_ref().is_some_and(|dynamic| dynamic.symbolic)
    }

    /// A string of the dynamic string table.
    pub fn string(&self, offset: u64) -> &'a str {
        str_at(self.symbols.strings, offset)
    }

    /// What a look-up of `name` without a version gives: an index; an error if the tables disagree.
    pub fn lookup(&self, name: &str) -> Result<Option<u32>, &'static str> {
        let Some(dynamic) = &self.dynamic else { return Ok(None) };
        let gnu = dynamic.gnu_hash.map(|table| self.symbols.gnu_lookup(&self.image, table, name));
        let sysv =
            dynamic.sysv_hash.map(|table| self.symbols.sysv_lookup(&self.image, table, name));
        match (gnu, sysv) {
            (Some(gnu), Some(sysv)) if !self.same(gnu, sysv) => {
                Err("DT_GNU_HASH and DT_HASH disagree")
            }
            (Some(found), _) | (None, Some(found)) => Ok(found),
            (None, None) => Ok(None),
        }
    }

    /// Whether two answers are the same to who asked: lld has symbols twice in its table, a copied variable under each
    /// version that it has in its library.
    fn same(&self, one: Option<u32>, two: Option<u32>) -> bool {
        let what = |index: Option<u32>| {
            let symbol = self.symbol(index?)?;
            Some((symbol.name, symbol.value, symbol.kind, symbol.section))
        };
        one == two || (one.is_some() && what(one) == what(two))
    }

    /// What every relocated slot holds once the module is loaded, before any lazy binding.
    pub fn memory(&self) -> Vec<Cell> {
        let cell = |reloc: &DynReloc| {
            let content = self.content(reloc);
            Cell { address: reloc.address, size: reloc.size, content }
        };
        self.relocs.iter().filter(|reloc| reloc.kind != Kind::Copy).map(cell).collect()
    }

    fn content(&self, reloc: &DynReloc) -> Content {
        if self.image.segment(reloc.address).is_none() {
            return Content::Bad("relocation outside the image".into());
        }
        match reloc.kind {
            Kind::Relative => Content::Address(reloc.addend),
            Kind::Irelative => Content::Ifunc(reloc.addend),
            Kind::DtpMod | Kind::DtpOff | Kind::TpOff | Kind::TlsDesc => Content::Tls,
            Kind::Symbol | Kind::GlobDat | Kind::JumpSlot | Kind::Symbol32 => self.symbolic(reloc),
            Kind::Size | Kind::Pc32 | Kind::Copy | Kind::Unknown => {
                Content::Bad(format!("{:?} relocation", reloc.kind))
            }
        }
    }

    fn symbolic(&self, reloc: &DynReloc) -> Content {
        let Some(symbol) = self.symbol(reloc.symbol) else {
            return Content::Bad("no such symbol".into());
        };
        if self.binds_locally(symbol) {
            let value = symbol.value.wrapping_add(reloc.addend);
            return match (symbol.absolute(), symbol.ifunc()) {
                (true, _) => Content::Number(value),
                (_, true) => Content::Ifunc(value),
                _ => Content::Address(value),
            };
        }
        let now = self.dynamic.as_ref().is_some_and(|dynamic| dynamic.now);
        let lazy = reloc.kind == Kind::JumpSlot && !now;
        Content::Lookup {
            name: symbol.name.to_owned(),
            version: self.symbols.version(symbol).map(|version| version.name.to_owned()),
            addend: reloc.addend,
            weak: symbol.binding == 2,
            lazy: if lazy { self.image.word(reloc.address) } else { None },
        }
    }
}

impl Module<'_> {
    /// The slot that the PLT entry at `address` jumps through, if there is one.
    pub(crate) fn stub(&self, address: u64) -> Option<u64> {
        machine::slot_behind(self.machine, &self.image, address)
    }
}

/// A static executable applies its IRELATIVE table itself, between two symbols; its section is found
/// by type and contents, because no program header names it.
fn static_irelative(image: &Image<'_>, machine: &Machine) -> (Vec<DynReloc>, Vec<u64>) {
    let kind = if machine.rel { 9 } else { 4 };
    let tables = image.headers.iter().filter(|h| h.kind == kind && h.address != 0);
    let entry = image.class.reloc_size(!machine.rel);
    let size = image.class.word() as u8;
    let (mut list, mut entries) = (Vec::new(), Vec::new());
    for header in tables {
        let Some(table) = image.slice(header.address, header.size) else { continue };
        let relocs = image.class.relocs(table, !machine.rel);
        for (raw, at) in relocs.zip((0..).step_by(entry as usize)) {
            if (raw.r_type, raw.symbol) != (machine.irelative, 0) {
                continue;
            }
            let (address, kind) = (raw.offset, Kind::Irelative);
            let addend = match raw.addend {
                Some(addend) => addend as u64,
                None => relocs::in_place(image, kind, address, size, 0),
            };
            list.push(DynReloc { address, kind, size, symbol: 0, addend, plt_index: None });
            entries.push(header.address.wrapping_add(at));
        }
    }
    list.sort_by_key(|reloc| reloc.address);
    entries.sort_unstable();
    (list, entries)
}
