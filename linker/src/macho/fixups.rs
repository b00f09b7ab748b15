//! Fixups: every pointer of the image → what the loader must do with it. Must not know how it is told.

use rayon::prelude::*;

use super::link::{Link, Made, Out, Ref};
use super::object::{Atom, Reloc, Target};
use crate::format::macho::chained::{Fixup, Value};
use crate::format::macho::kind;
use crate::{Error, ErrorKind, Errors};

/// What the loader does.
#[derive(Debug, Default)]
pub struct Fixups {
    /// By address.
    pub list: Vec<Fixup>,
    /// Lazy pointers: where, and the name's number.
    pub lazy: Vec<(u64, u32)>,
}

/// Finds all of them. An import's number is its name's.
///
/// Errors: `reloc-dynamic` for pointers that no loader mends.
pub fn collect(link: &Link<'_>) -> Result<Fixups, Errors> {
    let mut all = Fixups::default();
    let mut errors = Vec::new();
    for out in &link.outs {
        match out.made {
            Some(made) => made_pointers(link, out, made, &mut all),
            None => {
                let parts: Vec<_> = out
                    .atoms
                    .par_chunks(1 << 10)
                    .map(|atoms| atom_pointers(link, out, atoms))
                    .collect();
                for (list, wrong) in parts {
                    all.list.extend(list);
                    errors.extend(wrong);
                }
            }
        }
    }
    all.list.sort_unstable_by_key(|fixup| fixup.addr);
    Errors::collect(errors).map_or(Ok(all), Err)
}

/// What a pointer to `what` gets; nothing if it is a number.
fn value(link: &Link<'_>, what: Ref, addend: i64) -> Option<Value> {
    match link.bound(what) {
        Some(id) => Some(Value::Import(id.0, addend)),
        None if link.is_absolute(what) => None,
        None => Some(Value::Own(link.address(what).wrapping_add(addend as u64))),
    }
}

fn made_pointers(link: &Link<'_>, out: &Out, made: Made, all: &mut Fixups) {
    let slots = match made {
        Made::Got => &link.got.list,
        Made::TlvPointers => &link.tlv.list,
        Made::LazyPointers => {
            let helper = link.address_of(Made::Helper) + link.machine.helper.header_size;
            for (i, what) in (0..).zip(&link.lazy.list) {
                let entry = helper + i * link.machine.helper.entry_size;
                let addr = out.addr + 8 * i;
                all.list.push(Fixup { addr, value: Value::Own(entry) });
                all.lazy.extend(link.bound(*what).map(|id| (addr, id.0)));
            }
            return;
        }
        _ => return,
    };
    for (i, &what) in (0..).zip(slots) {
        let addr = out.addr + 8 * i;
        all.list.extend(value(link, what, 0).map(|value| Fixup { addr, value }));
    }
}

fn atom_pointers(link: &Link<'_>, out: &Out, atoms: &[u32]) -> (Vec<Fixup>, Vec<Error>) {
    let (mut list, mut errors) = (Vec::new(), Vec::new());
    for &at in atoms {
        let atom = &link.atoms[at as usize];
        for reloc in link.relocs(atom) {
            match pointer(link, out, atom, reloc) {
                Ok(fixup) => list.extend(fixup),
                Err(error) => errors.push(error),
            }
        }
    }
    (list, errors)
}

/// The fixup of a relocation, if the loader must mend its place.
fn pointer(link: &Link<'_>, out: &Out, atom: &Atom, reloc: &Reloc) -> Result<Option<Fixup>, Error> {
    if reloc.kind != link.machine.unsigned || reloc.minus != Target::None {
        return Ok(None);
    }
    let what = link.target(atom.file as usize, reloc.target);
    if template_offset(link, out, what).is_some() {
        return Ok(None);
    }
    let Some(value) = value(link, what, reloc.addend) else { return Ok(None) };
    // What stays where it is has its addresses already.
    if matches!(value, Value::Own(_)) && !link.options.slides() {
        return Ok(None);
    }
    let fail = |text: &str| {
        let text = format!("{text}; refers to {}", link.title(atom.file as usize, reloc.target));
        let site = link.files[atom.file as usize].site(atom.section, reloc.offset.into());
        Err(Error::new(ErrorKind::RelocDynamic, text).at(site))
    };
    if reloc.size != 8 {
        return fail("an address of four bytes can't be mended at load time");
    }
    if out.segment == b"__TEXT" {
        return fail("a pointer in __TEXT can't be mended at load time");
    }
    let addr = atom.addr + (u64::from(reloc.offset) - atom.start);
    Ok(Some(Fixup { addr, value }))
}

/// A thread-local variable's descriptor holds where the variable is in the template, not its
/// address: the offset of its start, if that is what a pointer to `what` in `out` is.
pub fn template_offset(link: &Link<'_>, out: &Out, what: Ref) -> Option<u64> {
    if out.kind() != kind::TLV_VARS {
        return None;
    }
    let (atom, _) = link.atom_of(what)?;
    let is_template = |out: &&Out| matches!(out.kind(), kind::TLV_REGULAR | kind::TLV_ZEROFILL);
    let home = link.outs.get(link.atoms[atom as usize].out as usize)?;
    let first = link.outs.iter().find(is_template)?;
    is_template(&home).then_some(first.addr)
}

/// An error about the pointer at an address of the image: where it is from, and what it refers to.
pub fn located(link: &Link<'_>, kind: ErrorKind, text: &str, addr: u64) -> Error {
    let inside = |out: &&Out| !out.is_zerofill() && addr.wrapping_sub(out.addr) < out.size;
    let Some(out) = link.outs.iter().find(inside) else { return Error::new(kind, text) };
    let slots = match out.made {
        Some(Made::Got) => Some(&link.got.list),
        Some(Made::TlvPointers) => Some(&link.tlv.list),
        Some(Made::LazyPointers) => Some(&link.lazy.list),
        _ => None,
    };
    if let Some(&what) = slots.and_then(|slots| slots.get((addr - out.addr) as usize / 8)) {
        return Error::new(kind, format!("{text}; the slot of {}", link.title_of(what)));
    }
    let after = out.atoms.partition_point(|&atom| link.atoms[atom as usize].addr <= addr);
    let Some(&at) = out.atoms[..after].last() else { return Error::new(kind, text) };
    let atom = &link.atoms[at as usize];
    let offset = atom.start + (addr - atom.addr);
    let reloc = link.relocs(atom).iter().find(|reloc| u64::from(reloc.offset) == offset);
    let (Some(reloc), Some(object)) = (reloc, link.files.get(atom.file as usize)) else {
        return Error::new(kind, text);
    };
    let name = link.title(atom.file as usize, reloc.target);
    Error::new(kind, format!("{text}; refers to {name}")).at(object.site(atom.section, offset))
}
