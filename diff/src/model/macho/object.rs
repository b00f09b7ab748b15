//! An object file → its atoms, its symbols, and the relocations of each atom.
//!
//! It must not know the output, nor what a relocation's type means beyond how its addend is stored.
//!
//! Spec: `mach-o/reloc.h`; MH_SUBSECTIONS_VIA_SYMBOLS in `mach-o/loader.h`.

use super::image::{File, OBJECT, SUBSECTIONS, Section, kind};
use super::leb::Reader;
use super::machine::{Machine, RawReloc};
use crate::bytes::{slice, u32_at};
use crate::model::MARKER_MAGIC;

/// N_ALT_ENTRY.
const ALT_ENTRY: u16 = 0x200;
/// N_WEAK_DEF.
const WEAK_DEF: u16 = 0x80;

/// Where a symbol is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    Undefined,
    Absolute(u64),
    /// So many bytes into an atom of this object.
    Atom(u32, u64),
    /// Common storage of this size.
    Common(u64),
}

/// A symbol of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    pub(super) place: Where,
    /// N_EXT: others may refer to it, though N_PEXT keeps it in the image.
    pub(super) external: bool,
    /// N_WEAK_DEF.
    pub(super) weak: bool,
}

/// What a linker moves as a whole: a section, or what is between two symbols of one.
#[derive(Clone, Debug)]
pub(super) struct Atom<'a> {
    pub(super) segment: &'a str,
    pub(super) section: &'a str,
    /// How many atoms of this section name come before it in the file.
    pub(super) nth: u32,
    /// S_*.
    pub(super) kind: u32,
    /// S_ATTR_PURE_INSTRUCTIONS or S_ATTR_SOME_INSTRUCTIONS.
    pub(super) code: bool,
    pub(super) align: u64,
    /// Address in the object.
    pub(super) address: u64,
    /// Bytes from its section's start.
    pub(super) start: u64,
    pub(super) size: u64,
    /// Its bytes; none of zero-filled ones.
    pub(super) data: &'a [u8],
    pub(super) relocs: Vec<Reloc>,
    pub(super) hints: Vec<Hint>,
    /// The bytes after MARKER_MAGIC and where MARKER_MAGIC is.
    pub(super) marker: Option<([u8; 8], u64)>,
}

impl Atom<'_> {
    /// Whether the file has no bytes of it.
    pub(super) fn zerofill(&self) -> bool {
        matches!(self.kind, kind::ZEROFILL | kind::GB_ZEROFILL | kind::TLV_ZEROFILL)
    }

    /// Whether it is a part of the thread-local template.
    pub(super) fn template(&self) -> bool {
        matches!(self.kind, kind::TLV_REGULAR | kind::TLV_ZEROFILL)
    }

    /// How long the pieces are that the linker keeps one of each of; 1 for strings, none if it keeps all.
    pub(super) fn piece(&self) -> Option<u64> {
        match self.kind {
            kind::CSTRING => Some(1),
            kind::LITERAL4 => Some(4),
            kind::LITERAL8 => Some(8),
            kind::LITERAL16 => Some(16),
            _ => None,
        }
    }

    /// Whether it has an address of its own in the output: no debug information, nothing that is digested.
    pub(super) fn placeable(&self) -> bool {
        self.piece().is_none()
            && self.size > 0
            && !matches!(self.segment, "__DWARF" | "__LD" | "__LLVM")
            && !matches!(self.kind, kind::MOD_INIT | kind::MOD_TERM | kind::INIT_OFFSETS)
            && self.section != "__eh_frame"
            && self.section != "__compact_unwind"
            && self.section != "__objc_imageinfo"
    }
}

/// What a relocation is against.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Target {
    /// A symbol's index.
    Symbol(u32),
    /// An atom's index: what has the address that the field holds.
    Atom(u32),
    /// A number.
    Number,
}

/// A relocation, with what stands before it as a part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reloc {
    /// In its atom.
    pub(super) offset: u64,
    pub(super) r_type: u8,
    /// Bytes of the field.
    pub(super) size: u8,
    pub(super) target: Target,
    /// A.
    pub(super) addend: i64,
    /// Of a SUBTRACTOR: what is subtracted.
    pub(super) minus: Option<Target>,
}

/// LC_LINKER_OPTIMIZATION_HINT: instructions that a linker may rewrite together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hint {
    /// LOH_*.
    pub(super) kind: u8,
    /// Where in the atom each is.
    pub(super) at: Vec<u64>,
}

impl Hint {
    /// LOH_ARM64_ADRP_ADRP: both make the same page, if that is near enough.
    pub(super) const PAGE_AGAIN: u8 = 1;
}

/// An object of the link.
#[derive(Clone, Debug)]
pub(super) struct Object<'a> {
    /// `a.o` or `lib.a(m.o)`.
    pub(super) file: String,
    pub(super) atoms: Vec<Atom<'a>>,
    pub(super) symbols: Vec<Symbol<'a>>,
    /// Sections with an entry for each function: `__compact_unwind`.
    pub(super) unwind: Vec<u32>,
}

/// Reads an object; none if it is no object that can be read.
pub(super) fn read<'a>(name: String, bytes: &'a [u8], machine: &Machine) -> Option<Object<'a>> {
    let file = File::read(bytes).ok()?;
    if file.kind != OBJECT || file.machine.arch != machine.arch {
        return None;
    }
    let mut object =
        Object { file: name, atoms: Vec::new(), symbols: Vec::new(), unwind: Vec::new() };
    // By section: its atoms.
    let ranges: Vec<_> = (0..file.sections.len())
        .map(|index| {
            let first = object.atoms.len();
            split(&file, index, &mut object.atoms);
            first..object.atoms.len()
        })
        .collect();
    let mut seen: Vec<((&str, &str), u32)> = Vec::new();
    for atom in &mut object.atoms {
        let name = (atom.segment, atom.section);
        match seen.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => {
                atom.nth = *count;
                *count += 1;
            }
            None => seen.push((name, 1)),
        }
    }
    let find = |section: usize, address: u64| {
        let range = ranges.get(section.checked_sub(1)?)?.clone();
        let atoms = &object.atoms[range.clone()];
        let at = atoms.partition_point(|atom| atom.address <= address).checked_sub(1)?;
        let index = (range.start + at) as u32;
        Some((index, address.wrapping_sub(atoms[at].address)))
    };
    object.symbols = file.symbols.iter().map(|symbol| placed(symbol, find)).collect();
    let mut relocs = Vec::new();
    for (index, section) in file.sections.iter().enumerate() {
        let data = file.contents(section).unwrap_or_default();
        for reloc in read_relocs(&file, section, data, machine, find) {
            let place = section.address.wrapping_add(reloc.offset);
            let Some((atom, offset)) = find(index + 1, place) else { continue };
            relocs.push((atom, Reloc { offset, ..reloc }));
        }
        if section.name == "__compact_unwind" {
            object.unwind.extend(ranges[index].clone().map(|atom| atom as u32));
        }
    }
    read_hints(&file, &mut object.atoms);
    relocs.sort_by_key(|(atom, reloc)| (*atom, reloc.offset));
    for (atom, reloc) in relocs {
        object.atoms[atom as usize].relocs.push(reloc);
    }
    Some(object)
}

/// Names of what the loader would call first of an object, and whether each is for all objects.
pub(crate) fn inits<'a>(bytes: &'a [u8], machine: &Machine) -> Vec<(&'a str, bool)> {
    let Some(object) = read(String::new(), bytes, machine) else { return Vec::new() };
    let tables = object.atoms.iter().filter(|atom| atom.kind == kind::MOD_INIT);
    let mut names = Vec::new();
    for reloc in tables.flat_map(|atom| &atom.relocs).filter(|reloc| reloc.minus.is_none()) {
        let leads = match reloc.target {
            Target::Atom(atom) => Where::Atom(atom, 0),
            Target::Symbol(at) => match object.symbols.get(at as usize) {
                Some(symbol) if symbol.place != Where::Undefined => symbol.place,
                Some(symbol) if reloc.addend == 0 => {
                    names.push((symbol.name, true));
                    continue;
                }
                _ => continue,
            },
            Target::Number => continue,
        };
        if let Where::Atom(atom, offset) = leads {
            let place = Where::Atom(atom, offset.wrapping_add_signed(reloc.addend));
            let there = object.symbols.iter().filter(|symbol| symbol.place == place);
            names.extend(there.map(|symbol| (symbol.name, symbol.external)));
        }
    }
    names
}

fn placed<'a>(
    symbol: &super::image::Symbol<'a>,
    find: impl Fn(usize, u64) -> Option<(u32, u64)>,
) -> Symbol<'a> {
    let place = if symbol.common() {
        Where::Common(symbol.value)
    } else if symbol.absolute() {
        Where::Absolute(symbol.value)
    } else if symbol.in_section() {
        find(symbol.section.into(), symbol.value)
            .map_or(Where::Undefined, |(atom, offset)| Where::Atom(atom, offset))
    } else {
        Where::Undefined
    };
    let name = if symbol.stab() { "" } else { symbol.name };
    let weak = symbol.desc & WEAK_DEF != 0 && place != Where::Undefined;
    Symbol { name, place, external: symbol.external() && !symbol.stab(), weak }
}

/// Adds the atoms of a section.
fn split<'a>(file: &File<'a>, index: usize, atoms: &mut Vec<Atom<'a>>) {
    let section = &file.sections[index];
    let data = file.contents(section).unwrap_or_default();
    let mut starts = vec![section.address];
    let whole = matches!(
        section.kind(),
        kind::CSTRING
            | kind::LITERAL4
            | kind::LITERAL8
            | kind::LITERAL16
            | kind::MOD_INIT
            | kind::MOD_TERM
    ) || matches!(section.name, "__eh_frame" | "__compact_unwind");
    if file.flags & SUBSECTIONS != 0 && !whole {
        let here = |s: &&super::image::Symbol<'_>| {
            s.in_section() && usize::from(s.section) == index + 1 && section.has(s.value)
        };
        let begins =
            |s: &&super::image::Symbol<'_>| s.desc & ALT_ENTRY == 0 && !s.name.starts_with('L');
        let symbols = file.symbols.iter().filter(here).filter(begins);
        starts.extend(symbols.map(|symbol| symbol.value));
        starts.sort_unstable();
        starts.dedup();
    }
    let end = section.address.saturating_add(section.size);
    let ends = starts.iter().skip(1).copied().chain([end]);
    for (address, end) in starts.iter().copied().zip(ends) {
        let start = address.wrapping_sub(section.address);
        let size = end.saturating_sub(address);
        let data = slice(data, start, size).unwrap_or_default();
        atoms.push(Atom {
            segment: section.segment,
            section: section.name,
            nth: 0,
            kind: section.kind(),
            code: section.flags & 0x8000_0400 != 0,
            align: alignment(section, start),
            address,
            start,
            size,
            data,
            relocs: Vec::new(),
            hints: Vec::new(),
            marker: marker(data),
        });
    }
}

/// What an atom at `start` of a section can rely on.
fn alignment(section: &Section<'_>, start: u64) -> u64 {
    match start {
        0 => section.align,
        start => section.align.min(1 << start.trailing_zeros()),
    }
}

fn marker(data: &[u8]) -> Option<([u8; 8], u64)> {
    let at = memchr::memmem::find(data, &MARKER_MAGIC)?;
    let unique = data.get(at + 8..at + 16)?.try_into().ok()?;
    Some((unique, at as u64))
}

/// Gives each atom its hints; those that are none, or of several atoms, are nobody's.
fn read_hints(file: &File<'_>, atoms: &mut [Atom<'_>]) {
    let blob = file.hints.and_then(|blob| file.blob(blob)).unwrap_or_default();
    let Some(mut reader) = Reader::at(blob, 0) else { return };
    while let Some((kind, count)) = reader.uleb().zip(reader.uleb()).filter(|(kind, _)| *kind > 0) {
        let mut places = Vec::new();
        for _ in 0..count {
            match reader.uleb() {
                Some(place) => places.push(place),
                None => return,
            }
        }
        let (Ok(kind), Some(first)) = (u8::try_from(kind), places.first()) else { continue };
        let has = |atom: &Atom<'_>, place: u64| place.wrapping_sub(atom.address) < atom.size;
        // An empty section may be where the next one starts.
        let found = atoms.iter_mut().find(|atom| atom.code && has(atom, *first));
        if let Some(atom) = found.filter(|atom| places.iter().all(|place| has(atom, *place))) {
            let at = places.iter().map(|place| place - atom.address).collect();
            atom.hints.push(Hint { kind, at });
        }
    }
}

/// The relocations of a section, offsets from its start, in the table's order; pairs are one.
fn read_relocs(
    file: &File<'_>,
    section: &Section<'_>,
    data: &[u8],
    machine: &Machine,
    find: impl Fn(usize, u64) -> Option<(u32, u64)>,
) -> Vec<Reloc> {
    let size = 8 * u64::from(section.reloc_count);
    let table = slice(file.bytes, section.reloc_offset.into(), size).unwrap_or_default();
    let mut list = Vec::new();
    let (mut minus, mut explicit) = (None, None);
    for entry in table.chunks_exact(8) {
        let (Some(address), Some(word)) = (u32_at(entry, 0), u32_at(entry, 4)) else { break };
        let raw = RawReloc {
            offset: address.into(),
            symbol: word & 0xff_ffff,
            pcrel: word >> 24 & 1 != 0,
            size: 1 << (word >> 25 & 3),
            external: word >> 27 & 1 != 0,
            r_type: (word >> 28) as u8,
        };
        let object_place = section.address.wrapping_add(raw.offset);
        let field = slice(data, raw.offset, raw.size.into()).unwrap_or_default();
        if Some(raw.r_type) == machine.addend {
            explicit = Some(i64::from((raw.symbol << 8).cast_signed() >> 8));
            continue;
        }
        let stored = (machine.stored)(&raw, field);
        let (target, addend) = match (raw.external, raw.symbol) {
            (true, index) => (Target::Symbol(index), explicit.unwrap_or(stored)),
            (false, 0) => (Target::Number, stored),
            (false, ordinal) => {
                let object = (machine.object_target)(&raw, stored, object_place);
                match find(ordinal as usize, object) {
                    Some((atom, offset)) => (Target::Atom(atom), offset.cast_signed()),
                    None => (Target::Number, stored),
                }
            }
        };
        if raw.r_type == machine.subtractor {
            minus = Some(target);
            continue;
        }
        list.push(Reloc {
            offset: raw.offset,
            r_type: raw.r_type,
            size: raw.size,
            target,
            addend,
            minus: minus.take(),
        });
        explicit = None;
    }
    list
}
