//! The reader of shared objects: bytes → what a link against them sees.
//!
//! Only the dynamic symbol table, its versions and a few tags are read; code is never looked at.

use super::class::Class;
use super::read::{check_header, section_table};
use super::tables::{SymbolTable, u16_at, u32_at};
use super::*;
use crate::arch::Arch;
use crate::error::{Error, ErrorKind, Result};
use crate::object::{Home, Symbol, bind, c_string, hash_name};

/// A name a library defines.
#[derive(Clone, Copy, Debug)]
pub struct SharedSymbol<'a> {
    /// Its name, without version.
    pub name: &'a [u8],
    /// [`hash_name`] of it.
    pub hash: u64,
    /// Index in the dynamic symbol table.
    pub index: u32,
    /// Version index, hidden bit removed; 0 and 1 mean none.
    pub version: u16,
    /// Whether only a reference with the version binds to it.
    pub hidden: bool,
}

/// What a library wants from others.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// Its name, without version.
    pub name: &'a [u8],
    /// [`hash_name`] of it.
    pub hash: u64,
    /// Whether it can do without.
    pub weak: bool,
    /// Whether another library has it, of a version: no archive member is asked for.
    pub versioned: bool,
}

/// A shared object to link against.
#[derive(Debug)]
pub struct Shared<'a> {
    /// As people know it.
    pub name: String,
    /// What DT_NEEDED will say.
    pub soname: &'a [u8],
    /// Its own DT_NEEDED.
    pub needed: Vec<&'a [u8]>,
    /// The dynamic symbol table.
    pub symbols: SymbolTable<'a>,
    /// What it defines for others.
    pub defined: Vec<SharedSymbol<'a>>,
    /// What it wants from others.
    pub undefined: Vec<Want<'a>>,
    /// Version names by index.
    pub versions: Vec<&'a [u8]>,
    /// Only wanted if something refers to it.
    pub as_needed: bool,
    /// Whether something does.
    pub used: bool,
    /// Section alignments, for copies of its data.
    pub aligns: Vec<u64>,
    /// Address ranges that are read-only once relocated.
    pub read_only: Vec<(u64, u64)>,
}

impl Shared<'_> {
    /// Whether `address` can't be written to once the library is relocated.
    pub fn is_read_only(&self, address: u64) -> bool {
        let after = self.read_only.partition_point(|range| range.0 <= address);
        after > 0 && address < self.read_only[after - 1].1
    }

    /// The alignment a copy of `symbol` needs: its section's, as far as its address has it.
    pub fn align_of(&self, symbol: &Symbol) -> u64 {
        let section = match symbol.home {
            Home::Section(s) => self.aligns.get(s as usize).copied().unwrap_or(64),
            _ => 64,
        };
        let by_value = 1u64 << symbol.value.trailing_zeros().min(12);
        section.clamp(1, 4096).min(by_value)
    }
}

/// Reads a shared object; `given` is how the command line calls it.
///
/// Errors: `bad-input`, `wrong-machine`.
pub fn shared<'a>(
    data: &'a [u8],
    name: String,
    given: &'a [u8],
    arch: &'static Arch,
) -> Result<Shared<'a>> {
    let bad = |text: &str| Error::new(ErrorKind::BadInput, text).in_file(&name);
    let class = arch.class;
    if check_header(data, &name, arch)? != ET_DYN {
        return Err(bad("not a shared object"));
    }
    let (sections, _) = section_table(data, &name, class)?;
    let mut tables = Tables::default();
    let mut aligns = Vec::with_capacity(sections.len() as usize);
    for (_, section) in sections.iter() {
        aligns.push(section.align);
        let strings = sections.get(section.link).data(data);
        match section.kind {
            SHT_DYNSYM => {
                tables.symbols = section.data(data);
                tables.strings = strings;
            }
            SHT_DYNAMIC => tables.dynamic = (section.data(data), strings),
            SHT_GNU_VERSYM => tables.versym = section.data(data),
            SHT_GNU_VERDEF => tables.verdef = (section.data(data), strings),
            _ => {}
        }
    }
    if !tables.symbols.len().is_multiple_of(class.symbol()) {
        return Err(bad("the dynamic symbol table is malformed"));
    }
    let mut shared = Shared {
        soname: given,
        needed: Vec::new(),
        symbols: SymbolTable::new(tables.symbols, &[], arch),
        defined: Vec::new(),
        undefined: Vec::new(),
        versions: read_verdef(tables.verdef.0, tables.verdef.1)
            .ok_or_else(|| bad("the version definitions are malformed"))?,
        as_needed: false,
        used: false,
        aligns,
        read_only: read_only_ranges(data, class),
        name,
    };
    let (dynamic, strings) = tables.dynamic;
    for entry in dynamic.chunks_exact(class.dynamic()) {
        let string = c_string(strings, class.word_at(entry, class.word()) as u32);
        match class.word_at(entry, 0) {
            DT_NULL => break,
            DT_SONAME => shared.soname = string,
            DT_NEEDED => shared.needed.push(string),
            _ => {}
        }
    }
    read_symbols(&mut shared, &tables);
    Ok(shared)
}

#[derive(Default)]
struct Tables<'a> {
    symbols: &'a [u8],
    strings: &'a [u8],
    dynamic: (&'a [u8], &'a [u8]),
    versym: &'a [u8],
    verdef: (&'a [u8], &'a [u8]),
}

fn read_symbols<'a>(shared: &mut Shared<'a>, tables: &Tables<'a>) {
    for index in 1..shared.symbols.len() {
        let symbol = shared.symbols.get(index);
        let name = c_string(tables.strings, symbol.name);
        if symbol.bind == bind::LOCAL || name.is_empty() {
            continue;
        }
        let hash = hash_name(name);
        let raw = match tables.versym.is_empty() {
            true => VER_NDX_GLOBAL,
            false => u16_at(tables.versym, index as usize * 2),
        };
        let version = raw & !VERSYM_HIDDEN;
        if symbol.home == Home::Undefined {
            let (weak, versioned) = (symbol.is_weak(), version > VER_NDX_GLOBAL);
            shared.undefined.push(Want { name, hash, weak, versioned });
            continue;
        }
        if version == VER_NDX_LOCAL {
            continue;
        }
        let hidden = raw & VERSYM_HIDDEN != 0;
        shared.defined.push(SharedSymbol { name, hash, index, version, hidden });
    }
}

/// Version names by index; `None` if an entry is outside the section.
fn read_verdef<'a>(data: &'a [u8], strings: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut names: Vec<&[u8]> = Vec::new();
    let mut at = 0usize;
    // Each entry is at least 20 bytes, so this bounds a chain that runs in circles.
    for _ in 0..data.len() / 20 {
        let entry = data.get(at..)?;
        let index = usize::from(u16_at(entry, 4) & !VERSYM_HIDDEN);
        let aux = entry.get(u32_at(entry, 12) as usize..)?;
        if names.len() <= index {
            names.resize(index + 1, &[]);
        }
        names[index] = c_string(strings, u32_at(aux, 0));
        match u32_at(entry, 16) {
            0 => break,
            next => at = at.checked_add(next as usize)?,
        }
    }
    Some(names)
}

/// Address ranges of segments without PF_W, and of PT_GNU_RELRO.
fn read_only_ranges(data: &[u8], class: Class) -> Vec<(u64, u64)> {
    let at = class.header_offsets();
    let from = class.word_at(data, at.segments) as usize;
    let headers = data.get(from..).unwrap_or(&[]).chunks_exact(class.segment());
    let mut list: Vec<(u64, u64)> = headers
        .take(u16_at(data, at.segment_count).into())
        .map(|raw| class.segment_at(raw))
        .filter(|&(kind, flags, ..)| kind == PT_GNU_RELRO || (kind == PT_LOAD && flags & PF_W == 0))
        .map(|(_, _, from, _, size)| (from, from.saturating_add(size)))
        .collect();
    list.sort_unstable();
    list.dedup_by(|next, last| {
        let joins = next.0 <= last.1;
        last.1 = if joins { last.1.max(next.1) } else { last.1 };
        joins
    });
    list
}
