//! Objects: the bytes of one file → sections cut into atoms, symbols with where they are, relocations
//! that name what they mean. Must not know of other files.

mod atoms;
mod debug;
mod eh_frame;
mod relocs;
mod unwind;

use super::machine::Machine;
use crate::format::macho::read::{self, Bytes, File};
use crate::format::macho::{attr, kind, lc, nlist};
use crate::object::SymId;
use crate::{Error, ErrorKind, Malformed, Result, Site};

pub use eh_frame::{Pointer, Record};
pub use unwind::Entry;

/// No atom, no symbol, no section.
pub const NONE: u32 = u32::MAX;

/// Bytes that one section or symbol may have.
const MOST: u64 = 1 << 36;

/// A section of an object.
#[derive(Debug)]
pub struct Section<'a> {
    /// What the file says of it.
    pub header: read::Section<'a>,
    /// Its bytes; none if it is zero-filled.
    pub data: &'a [u8],
    /// Its relocations by offset.
    pub relocs: Vec<Reloc>,
    /// Its atoms, in the object's list.
    pub atoms: std::ops::Range<u32>,
}

impl Section<'_> {
    /// Whether it has no bytes in files.
    pub fn is_zerofill(&self) -> bool {
        matches!(self.header.kind(), kind::ZEROFILL | kind::GB_ZEROFILL | kind::TLV_ZEROFILL)
    }
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Nothing.
    None,
    /// A symbol of the object.
    Symbol(u32),
    /// An atom of the object; where in it is part of the addend.
    Atom(u32),
}

/// A relocation.
#[derive(Clone, Copy, Debug)]
pub struct Reloc {
    /// From the start of the section.
    pub offset: u32,
    /// The machine's number.
    pub kind: u8,
    /// Bytes of the field.
    pub size: u8,
    /// `S`.
    pub target: Target,
    /// Subtracted from it.
    pub minus: Target,
    /// `A`.
    pub addend: i64,
}

/// The smallest piece that stays or goes.
#[derive(Clone, Copy, Debug)]
pub struct Atom {
    /// The object.
    pub file: u32,
    /// Its section there.
    pub section: u32,
    /// Where in the section.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Logarithm.
    pub align: u8,
    /// Whether something reaches it.
    pub live: bool,
    /// The atom in whose place it is used; `NONE` if it is used itself.
    pub forward: u32,
    /// Where in that atom.
    pub forward_at: u64,
    /// The output section.
    pub out: u32,
    /// Its address.
    pub addr: u64,
}

/// Where a symbol is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// Elsewhere.
    Undefined,
    /// A number.
    Absolute(u64),
    /// Room to be made: bytes, logarithm of the alignment.
    Common(u64, u8),
    /// In an atom of the object, at an offset.
    Atom(u32, u64),
    /// In a section that is no part of images, such as `__debug_info`.
    Nowhere,
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// With its underscore.
    pub name: &'a [u8],
    /// Where it is.
    pub home: Home,
    /// `n_type`.
    pub kind: u8,
    /// `n_desc`.
    pub desc: u16,
    /// Its section, from 1; 0 if it has none.
    pub section: u8,
    /// `n_value`.
    pub value: u64,
    /// The name's number; unused for locals.
    pub id: SymId,
}

impl Symbol<'_> {
    /// Whether other files may see it.
    pub fn is_global(&self) -> bool {
        self.kind & nlist::EXT != 0 && self.kind & nlist::STAB == 0
    }

    /// Whether only files of this link may see it.
    pub fn is_private(&self) -> bool {
        self.kind & nlist::PEXT != 0
    }
}

/// An object.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Object<'a> {
    /// What people call it.
    pub name: String,
    pub sections: Vec<Section<'a>>,
    pub symbols: Vec<Symbol<'a>>,
    /// Where its atoms start in the link's list.
    pub first_atom: u32,
    /// Compact unwind entries.
    pub unwind: Vec<Entry>,
    /// DWARF unwind records.
    pub records: Vec<Record>,
    /// Offset of a piece of data in code: section, offset, length, kind.
    pub data_in_code: Vec<(u32, u64, u16, u16)>,
    /// The source's folder and name, if it has debug information.
    pub source: Option<(Vec<u8>, Vec<u8>)>,
    /// What it defines stays inside.
    pub hidden: bool,
    /// The first instruction with an addend of its own: section and offset.
    pub embeds: Option<(u32, u64)>,
    /// The file.
    pub bytes: &'a [u8],
}

/// Whether a link can tell what every symbol of `table` is. Errors are for people.
fn check(table: &[read::Nlist<'_>]) -> Result<(), String> {
    for (i, symbol) in table.iter().enumerate().filter(|(_, it)| it.kind & nlist::STAB == 0) {
        let sort = symbol.kind & nlist::TYPE;
        if sort == nlist::UNDF && symbol.kind & nlist::EXT != 0 && symbol.name.is_empty() {
            return Err(format!("symbol {i} is undefined and has no name"));
        }
        if sort == nlist::SECT && symbol.desc & nlist::RESOLVER != 0 {
            let name = String::from_utf8_lossy(symbol.name);
            return Err(format!("{name} is a .symbol_resolver, which is not supported"));
        }
    }
    Ok(())
}

/// The least alignment of a section of this sort, which compilers may leave out: of literals, which are loaded as
/// one, their size; of thread-local variables' descriptors, which are pointers, a pointer's. Logarithm.
fn element_align(kind: u32) -> u32 {
    match kind {
        kind::LITERAL4 => 2,
        kind::LITERAL8 | kind::TLV_VARS => 3,
        kind::LITERAL16 => 4,
        _ => 0,
    }
}

/// What is wrong in `section`, counted from its start.
pub fn in_section(error: Malformed, file: &str, section: &read::Section<'_>) -> Error {
    error.in_section(file, section.title())
}

impl<'a> Object<'a> {
    /// Reads the object `bytes`, called `name`; its atoms are given apart.
    ///
    /// Errors: `bad-input`, `wrong-machine`, `reloc-unsupported`.
    pub fn parse(name: &str, bytes: &'a [u8], machine: &Machine) -> Result<(Self, Vec<Atom>)> {
        let file = File::parse(bytes).map_err(|error| error.in_file(name))?;
        super::inputs::check(&file, machine, name)?;
        let mut object = Self {
            name: name.to_owned(),
            sections: Vec::new(),
            symbols: Vec::new(),
            first_atom: 0,
            unwind: Vec::new(),
            records: Vec::new(),
            data_in_code: Vec::new(),
            source: None,
            hidden: false,
            embeds: None,
            bytes,
        };
        object.read_sections(&file).map_err(|error| error.in_file(name))?;
        let table = file.symbols().map_err(|error| error.in_file(name))?;
        check(&table).map_err(|text| Error::new(ErrorKind::BadInput, text).in_file(name))?;
        let atoms = object.cut(&file, &table)?;
        object.read_symbols(&table, &atoms).map_err(|error| error.in_file(name))?;
        object.read_relocs(machine, &atoms)?;
        object.read_unwind(&atoms)?;
        object.read_eh_frame(machine, &atoms)?;
        object.read_data_in_code(&file).map_err(|error| error.in_file(name))?;
        object.source = debug::source(&object);
        Ok((object, atoms))
    }

    fn read_sections(&mut self, file: &File<'a>) -> read::Read<()> {
        for mut header in file.sections()? {
            header.align = header.align.max(element_align(header.kind()));
            let zero =
                matches!(header.kind(), kind::ZEROFILL | kind::GB_ZEROFILL | kind::TLV_ZEROFILL);
            let slots = matches!(
                header.kind(),
                kind::GOT | kind::LAZY_POINTERS | kind::STUBS | kind::TLV_POINTERS
            );
            if slots && header.size > 0 {
                return read::bad(
                    header.at,
                    "slots of symbols (.indirect_symbol), which linkers make",
                );
            }
            if header.align > 31 {
                return read::bad(header.at, "a section's alignment is out of range");
            }
            if header.size > MOST || header.addr.checked_add(header.size).is_none() {
                return read::bad(header.at, "a section's size is out of range");
            }
            let data = match zero {
                true => &[],
                false => file.bytes.slice(header.offset as usize, header.size as usize)?,
            };
            self.sections.push(Section { header, data, relocs: Vec::new(), atoms: 0..0 });
        }
        Ok(())
    }

    fn read_symbols(&mut self, table: &[read::Nlist<'a>], atoms: &[Atom]) -> read::Read<()> {
        self.symbols.reserve(table.len());
        for (i, symbol) in table.iter().enumerate() {
            let home = if symbol.kind & nlist::STAB != 0 {
                Home::Nowhere
            } else {
                match symbol.kind & nlist::TYPE {
                    nlist::UNDF if symbol.value == 0 || symbol.kind & nlist::EXT == 0 => {
                        Home::Undefined
                    }
                    nlist::UNDF if symbol.value > MOST => {
                        return read::bad(i * 16, "a common symbol's size is out of range");
                    }
                    nlist::UNDF => Home::Common(symbol.value, (symbol.desc >> 8 & 15) as u8),
                    nlist::ABS => Home::Absolute(symbol.value),
                    nlist::SECT => match self.home(atoms, symbol.section.into(), symbol.value) {
                        Some(home) => home,
                        None => return read::bad(i * 16, "a symbol is outside of its section"),
                    },
                    _ => return read::bad(i * 16, "a symbol of an unknown type"),
                }
            };
            self.symbols.push(Symbol {
                name: symbol.name,
                home,
                kind: symbol.kind,
                desc: symbol.desc,
                section: if matches!(home, Home::Atom(..)) { symbol.section } else { 0 },
                value: symbol.value,
                id: SymId(NONE),
            });
        }
        Ok(())
    }

    /// The atom at address `addr` of section `ordinal`, counted from 1, and where in it.
    fn home(&self, atoms: &[Atom], ordinal: u32, addr: u64) -> Option<Home> {
        let section = self.sections.get((ordinal as usize).checked_sub(1)?)?;
        let offset = addr.wrapping_sub(section.header.addr);
        if section.atoms.is_empty() {
            return Some(Home::Nowhere);
        }
        let (atom, offset) = atoms::at(atoms, section, offset as i64);
        (offset >= 0 && addr.wrapping_sub(section.header.addr) <= section.header.size)
            .then_some(Home::Atom(atom, offset as u64))
    }

    fn read_data_in_code(&mut self, file: &File<'a>) -> read::Read<()> {
        let Some(command) = file.command(&[lc::DATA_IN_CODE]) else { return Ok(()) };
        let blob = Bytes(file.blob(command, 8)?);
        for at in (0..blob.0.len() / 8).map(|i| 8 * i) {
            let (offset, len) = (u64::from(blob.u32(at)?), blob.u16(at + 4)?);
            // In objects offsets are from the start of the first section's address space.
            let section = self.sections.iter().position(|section| {
                let at = offset.wrapping_sub(section.header.addr);
                at < section.header.size && section.header.flags & attr::SOME_INSTRUCTIONS != 0
            });
            let Some(section) = section else { continue };
            let offset = offset - self.sections[section].header.addr;
            self.data_in_code.push((section as u32, offset, len, blob.u16(at + 6)?));
        }
        Ok(())
    }

    /// The atom at address `addr` of the object, and where in it.
    pub fn at_address(&self, atoms: &[Atom], addr: u64) -> Option<(u32, u64)> {
        let inside = |section: &&Section<'_>| {
            addr.wrapping_sub(section.header.addr) < section.header.size
                && !section.atoms.is_empty()
        };
        let section = self.sections.iter().find(inside)?;
        let (atom, offset) = atoms::at(atoms, section, (addr - section.header.addr) as i64);
        Some((atom, offset as u64))
    }

    /// Where in the object a relocation leads, if it is an atom of it.
    pub fn local(&self, target: Target, addend: i64) -> Option<(u32, u64)> {
        match target {
            Target::None => None,
            Target::Atom(atom) => Some((atom, addend as u64)),
            Target::Symbol(index) => match self.symbols[index as usize].home {
                Home::Atom(atom, offset) => Some((atom, offset.wrapping_add(addend as u64))),
                _ => None,
            },
        }
    }

    /// The title of a section, for people.
    pub fn site(&self, section: u32, offset: u64) -> Site {
        let section = self.sections.get(section as usize).map(|s| s.header.title());
        Site { file: self.name.clone(), section, offset: Some(offset) }
    }
}
