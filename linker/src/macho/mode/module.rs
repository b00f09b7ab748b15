//! Where a link defines the names that modes look at, and the variable of a runtime that a mode sets. Must not know
//! which mode it is.

use super::made::LAST;
use super::{find, mangled};
use crate::format::macho::{kind, nlist};
use crate::macho::link::{Def, Link};
use crate::macho::object::{Home, Reloc, Symbol, Target};
use crate::object::SymId;
use crate::{Error, ErrorKind, Result};

/// Bytes of zeros that may become data.
const MOST: u64 = 1 << 27;

/// Local symbols called `name`: file and number.
pub(super) fn locals(link: &Link<'_>, name: &str) -> impl Iterator<Item = (usize, usize)> {
    let name = mangled(name);
    link.files.iter().enumerate().flat_map(move |(file, object)| {
        let is = |symbol: &Symbol<'_>| {
            let here = matches!(symbol.home, Home::Atom(..) | Home::Absolute(_));
            let plain = symbol.kind & (nlist::EXT | nlist::STAB) == 0;
            here && plain && symbol.name == name
        };
        let all = object.symbols.iter().enumerate();
        let found: Vec<_> = all.filter(|(_, symbol)| is(symbol)).map(|(at, _)| at).collect();
        found.into_iter().map(move |at| (file, at))
    })
}

/// Where `link` defines `name`, for all objects or for one.
///
/// Errors: `duplicate-symbol` if there are several local ones.
pub(super) fn defined(link: &Link<'_>, name: &str) -> Result<Option<(usize, usize)>> {
    let global = find(link, name).map(|id| &link.globals[id.i()]);
    if let Some(Def::Object(file, symbol)) = global.map(|global| global.def) {
        return Ok(Some((file as usize, symbol as usize)));
    }
    let mut found = locals(link, name);
    let first = found.next();
    match (first, found.next()) {
        (Some(one), Some(other)) => {
            let text = format!(
                "several local symbols _{name}: the build mode asks for one; another is in {}",
                link.files[one.0].name
            );
            Err(Error::new(ErrorKind::DuplicateSymbol, text).in_file(&link.files[other.0].name))
        }
        _ => Ok(first),
    }
}

/// Checks that `what`, which is called `name`, has an address.
///
/// Errors: `undefined-symbol` if it is a number.
pub(super) fn refuse_number(link: &Link<'_>, name: &str, what: &str) -> Result<()> {
    let Some((file, symbol)) = defined(link, name)? else { return Ok(()) };
    match link.files[file].symbols[symbol].home {
        Home::Absolute(_) => {
            let text = format!("_{name} is a number: {what} has an address");
            Err(Error::new(ErrorKind::UndefinedSymbol, text).in_file(&link.files[file].name))
        }
        _ => Ok(()),
    }
}

/// Checks that `what`, which is called `name`, is not each thread's own. What is not loaded is no definition at all.
///
/// Errors: `mode-conflict`.
pub(super) fn refuse_threads(link: &Link<'_>, name: &str, what: &str) -> Result<()> {
    let Some((file, symbol)) = defined(link, name)? else { return Ok(()) };
    let object = &link.files[file];
    let Symbol { section, value, .. } = object.symbols[symbol];
    let index = usize::from(section).wrapping_sub(1);
    let Some(header) = object.sections.get(index).map(|section| section.header) else {
        return Ok(());
    };
    if !matches!(header.kind(), kind::TLV_REGULAR | kind::TLV_ZEROFILL | kind::TLV_VARS) {
        return Ok(());
    }
    let text = format!("_{name} is thread-local: {what} has an address");
    let site = object.site(index as u32, value.wrapping_sub(header.addr));
    Err(Error::new(ErrorKind::ModeConflict, text).at(site))
}

/// Whether `-init` names `start` and an object has it: then the loader calls that without an entry.
pub(super) fn is_init(link: &Link<'_>, start: &str) -> bool {
    let named = link.options.init.as_ref().is_some_and(|name| name.as_bytes() == mangled(start));
    let global = find(link, start).map(|id| &link.globals[id.i()]);
    named && global.is_some_and(|global| matches!(global.def, Def::Object(..)))
}

/// Size and alignment of the common block that ends the runtime's list, if one does.
pub(super) fn common(link: &Link<'_>) -> Option<(u64, u8)> {
    match link.globals[find(link, LAST)?.i()].def {
        Def::Made(atom) => Some(&link.atoms[atom as usize]).map(|atom| (atom.size, atom.align)),
        _ => None,
    }
}

/// Checks that a common block of so many bytes can become data that has an address in it.
///
/// Errors: `mode-conflict`.
pub(super) fn check_common(size: u64) -> Result<()> {
    let text = format!("_{LAST} can't hold an address: it has {size} bytes");
    let error = || Error::new(ErrorKind::ModeConflict, text);
    (8..=MOST).contains(&size).then_some(()).ok_or_else(error)
}

/// Whether an init entry leads to the symbol at `place`.
pub(super) fn is_called(link: &Link<'_>, (file, symbol): (usize, usize)) -> bool {
    let home = |file: usize, home: Home| match home {
        Home::Atom(atom, offset) => Some((link.files[file].first_atom + atom, offset)),
        _ => None,
    };
    let start = home(file, link.files[file].symbols[symbol].home);
    let files = link.files.iter().enumerate();
    let mut entries = files.filter(|(_, object)| *object.name != *crate::mode::OBJECT).flat_map(
        |(file, object)| {
            let sections = object.sections.iter();
            let inits = sections.filter(|section| section.header.kind() == kind::MOD_INIT);
            inits.flat_map(|section| &section.relocs).map(move |reloc| (file, reloc))
        },
    );
    entries.any(|(file, reloc)| {
        let leads = link.atom_of(link.target(file, reloc.target));
        let moved = |(atom, at): (u32, u64)| (atom, at.wrapping_add_signed(reloc.addend));
        start.is_some() && leads.map(moved) == start
    })
}

/// Has the variable that ends the runtime's list hold the address of `data`, whatever it was.
///
/// Errors: `mode-conflict` if it is no variable that can.
pub(super) fn point(link: &mut Link<'_>, data: &str) -> Result<()> {
    let (Some((file, symbol)), Some(data)) = (defined(link, LAST)?, find(link, data)) else {
        return Ok(());
    };
    let Symbol { home, section, .. } = link.files[file].symbols[symbol];
    let fail = |text: &str| {
        let text = format!("_{LAST} can't hold an address: {text}");
        Err(Error::new(ErrorKind::ModeConflict, text).in_file(&link.files[file].name))
    };
    let Home::Atom(atom, offset) = home else { return fail("it is a number") };
    let start = link.atoms[(link.files[file].first_atom + atom) as usize].start + offset;
    let index = usize::from(section).wrapping_sub(1);
    let Some(found) = link.files[file].sections.get(index) else {
        return fail("it is in no section");
    };
    let header = found.header;
    let sort = header.kind();
    let zeros = matches!(sort, kind::ZEROFILL | kind::GB_ZEROFILL);
    if header.segment == b"__TEXT" || !(zeros || matches!(sort, kind::REGULAR | kind::COALESCED)) {
        return fail("its section is not for data");
    }
    if start.checked_add(8).is_none_or(|end| end > header.size) {
        return fail("its section ends before");
    }
    if zeros && header.size > MOST {
        return fail("too many zeros are around it");
    }
    let word = start..start + 8;
    let touches = |r: &Reloc| {
        let (from, to) = (u64::from(r.offset), u64::from(r.offset) + u64::from(r.size));
        from < word.end && to > word.start && !(from >= word.start && to <= word.end)
    };
    if u32::try_from(word.end).is_err() || found.relocs.iter().any(touches) {
        return fail("another relocation overlaps it, or it is too far");
    }
    write(link, (file, index), start as u32, data);
    Ok(())
}

/// The word at `offset` of a section holds the address of `data`.
fn write(link: &mut Link<'_>, (file, section): (usize, usize), offset: u32, data: SymId) {
    let name = link.names.get(data);
    let object = &mut link.files[file];
    let target = Target::Symbol(object.symbols.len() as u32);
    let (kind, home) = (nlist::EXT, Home::Undefined);
    object.symbols.push(Symbol { name, home, kind, desc: 0, section: 0, value: 0, id: data });
    let section = &mut object.sections[section];
    if section.is_zerofill() {
        // Bytes are with bytes.
        section.header.flags &= !0xff;
        section.header.name = match section.header.name {
            b"__bss" | b"__common" => b"__data",
            b"__noptrbss" => b"__noptrdata",
            name => name,
        };
    }
    let old = std::mem::take(&mut section.relocs);
    let (before, rest): (Vec<_>, Vec<_>) = old.into_iter().partition(|r| r.offset < offset);
    let after = rest.into_iter().filter(|r| r.offset >= offset + 8);
    let (kind, minus) = (link.machine.unsigned, Target::None);
    let reloc = Reloc { offset, kind, size: 8, target, minus, addend: 0 };
    section.relocs = before.into_iter().chain([reloc]).chain(after).collect();
}

#[cfg(test)]
mod tests;
