//! Writing: atoms and what the linker made → the bytes of the image, in parallel, each atom copied and
//! relocated while it is warm. Must not change the layout.

use rayon::prelude::*;

use super::commands;
use super::fixups::{Fixups, template_offset};
use super::layout::thunks;
use super::link::{BINDER, Init, Link, Made, Ref, Slots};
use super::linkedit::Linkedit;
use super::object::{Atom, Reloc, Target};
use super::scan::relaxes;
use crate::arch::{Field, Range, What};
use crate::{Error, ErrorKind, Errors, Result};

/// Atoms written by one thread at a time.
const CHUNK: usize = 256;

/// Writes all sections. `lazy` are the offsets of the lazy binds.
///
/// Errors: `reloc-overflow`, `reloc-misaligned`, `reloc-unsupported`.
pub fn sections(link: &Link<'_>, image: &mut [u8], lazy: &[u32]) -> Result<(), Errors> {
    let mut rest = image;
    let mut at = 0;
    let mut parts = Vec::new();
    for (index, out) in link.outs.iter().enumerate() {
        if out.is_zerofill() || out.size == 0 {
            continue;
        }
        let (_, tail) = rest.split_at_mut((out.offset - at) as usize);
        let (part, tail) = tail.split_at_mut(out.size as usize);
        (rest, at) = (tail, out.offset + out.size);
        parts.push((index, part));
    }
    let errors: Vec<Error> = parts
        .into_par_iter()
        .flat_map_iter(|(index, part)| match link.outs[index].made {
            Some(made) => write_made(link, made, part, lazy),
            None => write_atoms(link, index, part),
        })
        .collect();
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// Writes the atoms and thunks of a section.
fn write_atoms(link: &Link<'_>, index: usize, out: &mut [u8]) -> Vec<Error> {
    let section = &link.outs[index];
    let mut errors = Vec::new();
    if let Some(thunk) = &link.machine.thunk {
        for &(offset, what, addend) in &section.thunks {
            let place = &mut out[offset as usize..(offset + thunk.size) as usize];
            let to = branch_target(link, what).wrapping_add(addend as u64);
            if !(thunk.write)(place, section.addr + offset, to) {
                let text = format!("a thunk can't reach {:#x}, {}", to, link.title_of(what));
                errors.push(Error::new(ErrorKind::RelocOverflow, text));
            }
        }
    }
    errors.extend(split(link, index, &section.atoms, section.addr, out));
    errors
}

/// Writes `atoms`, whose section's bytes from `addr` on are `out`, on as many threads as there are.
fn split(link: &Link<'_>, index: usize, atoms: &[u32], addr: u64, out: &mut [u8]) -> Vec<Error> {
    if atoms.len() > CHUNK {
        let (left, right) = atoms.split_at(atoms.len() / 2);
        let middle = link.atoms[right[0] as usize].addr;
        let (a, b) = out.split_at_mut((middle - addr) as usize);
        let (mut errors, more) = rayon::join(
            || split(link, index, left, addr, a),
            || split(link, index, right, middle, b),
        );
        errors.extend(more);
        return errors;
    }
    let mut errors = Vec::new();
    for &at in atoms {
        let atom = &link.atoms[at as usize];
        let data = link.data(atom);
        let start = (atom.addr - addr) as usize;
        // Zeros have no bytes in the object.
        let place = &mut out[start..start + atom.size as usize];
        place[..data.len()].copy_from_slice(data);
        for reloc in link.relocs(atom) {
            if let Err((kind, text)) = apply(link, index, atom, reloc, place) {
                let site = link.files[atom.file as usize].site(atom.section, reloc.offset.into());
                errors.push(Error::new(kind, text).at(site));
            }
        }
    }
    errors
}

/// Where a branch to `what` goes: its stub if it has one.
pub(super) fn branch_target(link: &Link<'_>, what: Ref) -> u64 {
    match link.stubs.get(what) {
        Some(number) if link.bound(what).is_some() => {
            link.address_of(Made::Stubs) + number * link.machine.stub_size
        }
        _ => link.address(what),
    }
}

fn apply(
    link: &Link<'_>,
    index: usize,
    atom: &Atom,
    reloc: &Reloc,
    bytes: &mut [u8],
) -> Result<(), (ErrorKind, String)> {
    let machine = link.machine;
    let Some(row) = machine.row(reloc.kind) else { return Ok(()) };
    let file = atom.file as usize;
    let what = link.target(file, reloc.target);
    let at = (u64::from(reloc.offset) - atom.start) as usize;
    let place = atom.addr + at as u64;
    let base = match row.relaxable && relaxes(link, atom, reloc, what) {
        true => {
            (machine.relax)(reloc.kind, bytes, at);
            link.address(what)
        }
        false => letter(link, row.what, what),
    };
    let mut value = (base as i64).wrapping_add(reloc.addend);
    if reloc.minus != Target::None {
        value = value.wrapping_sub(link.address(link.target(file, reloc.minus)) as i64);
    } else if let Some(start) = template_offset(link, &link.outs[index], what) {
        value = value.wrapping_sub(start as i64);
    }
    let insn = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    let pair = reloc.minus != Target::None;
    let (field, range) = match (reloc.kind == machine.unsigned, reloc.size) {
        // An address may be read either way; a difference has a sign.
        (true, 4) if pair => (Field::Data(4), Range::Signed(32)),
        (true, 4) => (Field::Data(4), Range::Either(32)),
        (true, _) => (Field::Data(8), Range::Any),
        (false, _) => ((machine.field)(row, u32::from_le_bytes(insn)), row.range),
    };
    if bytes.len() < at + field.len() as usize {
        let text = "the relocation reaches over the end of its symbol's bytes";
        return Err((ErrorKind::BadInput, text.to_owned()));
    }
    let mut counted = row.base.count(value, place as i64, || 0);
    if row.what == What::Plt && !range.holds(counted) {
        let thunk = thunks::find(link, index, place, what, reloc.addend);
        counted = thunk.map_or(counted, |thunk| thunk.wrapping_sub(place) as i64);
    }
    let name = || match pair {
        true => link.title(file, reloc.target) + " - " + &link.title(file, reloc.minus),
        false => link.title(file, reloc.target),
    };
    if !range.holds(counted) {
        let title = if pair { machine.row(machine.subtractor).unwrap_or(row) } else { row };
        let text = format!("{} out of range: {counted} is not in {range}", title.name);
        return Err((ErrorKind::RelocOverflow, text + "; refers to " + &name()));
    }
    if !field.counts(counted) {
        let text = format!("{}: {counted:#x} is misaligned", row.name);
        return Err((ErrorKind::RelocMisaligned, text + "; refers to " + &name()));
    }
    field.write(&mut bytes[at..], counted);
    Ok(())
}

/// The address that a letter of a row stands for.
fn letter(link: &Link<'_>, letter: What, what: Ref) -> u64 {
    let slot = |made, slots: &Slots| link.address_of(made) + 8 * slots.get(what).unwrap_or(0);
    match letter {
        What::Plt => branch_target(link, what),
        What::Got => slot(Made::Got, &link.got),
        What::TlsDesc => slot(Made::TlvPointers, &link.tlv),
        _ => link.address(what),
    }
}

/// Writes what the linker made; gives all that is wrong with it.
fn write_made(link: &Link<'_>, made: Made, out: &mut [u8], lazy: &[u32]) -> Vec<Error> {
    match made {
        Made::Stubs => return write_stubs(link, out),
        Made::Helper => return write_helper(link, out, lazy),
        Made::EhFrame => return super::unwind::write_records(link, link.address_of(made), out),
        Made::InitOffsets => {
            let put = |(init, out): (&Init, &mut [u8])| {
                out.copy_from_slice(&init_offset(link, init)?.to_le_bytes());
                Ok(())
            };
            let offsets = link.inits.iter().zip(out.chunks_exact_mut(4));
            return offsets.filter_map(|offset| put(offset).err()).collect();
        }
        Made::UnwindInfo => out.copy_from_slice(&link.unwind.info),
        Made::Got | Made::LazyPointers | Made::TlvPointers | Made::Private => {
            // Numbers; addresses are the loader's affair.
            for (&what, out) in link.got.list.iter().zip(out.chunks_exact_mut(8)) {
                if made == Made::Got && link.is_absolute(what) {
                    out.copy_from_slice(&link.address(what).to_le_bytes());
                }
            }
        }
    }
    Vec::new()
}

fn write_stubs(link: &Link<'_>, out: &mut [u8]) -> Vec<Error> {
    let (machine, section) = (link.machine, link.address_of(Made::Stubs));
    let size = machine.stub_size as usize;
    let (got, pointers) = (link.address_of(Made::Got), link.address_of(Made::LazyPointers));
    let mut errors = Vec::new();
    for ((i, &what), out) in (0..).zip(&link.stubs.list).zip(out.chunks_exact_mut(size)) {
        let slot = match link.lazy.get(what) {
            Some(slot) => pointers + 8 * slot,
            None => got + 8 * link.got.get(what).unwrap_or(0),
        };
        let at = section + machine.stub_size * i;
        if !(machine.stub)(out, at, slot) {
            let name = link.title_of(what);
            let text =
                format!("the stub of {name} at {at:#x} can't reach its pointer at {slot:#x}");
            errors.push(Error::new(ErrorKind::RelocOverflow, text));
        }
    }
    errors
}

/// Writes the code that lazy pointers lead to at first.
fn write_helper(link: &Link<'_>, out: &mut [u8], lazy: &[u32]) -> Vec<Error> {
    let (helper, section) = (&link.machine.helper, link.address_of(Made::Helper));
    let mut errors = Vec::new();
    let mut check = |near: bool, at: u64, whose: &dyn Fn() -> String| {
        if !near {
            let whose = whose();
            let text =
                format!("the code for lazy binding at {at:#x} can't reach the pointers of {whose}");
            errors.push(Error::new(ErrorKind::RelocOverflow, text));
        }
    };
    let binder = link.binder.and_then(|id| link.got.get(Ref::Name(id))).unwrap_or(0);
    let binder = link.address_of(Made::Got) + 8 * binder;
    let (head, entries) = out.split_at_mut(helper.header_size as usize);
    let near = (helper.header)(head, section, link.address_of(Made::Private), binder);
    check(near, section, &|| String::from_utf8_lossy(BINDER).into_owned());
    let entries = entries.chunks_exact_mut(helper.entry_size as usize);
    for (((i, entry), &offset), &what) in (0..).zip(entries).zip(lazy).zip(&link.lazy.list) {
        let at = section + helper.header_size + helper.entry_size * i;
        check((helper.entry)(entry, at, section, offset), at, &|| link.title_of(what));
    }
    errors
}

/// Where the loader calls a function: the image's own, or the stub of another's.
pub(super) fn function(link: &Link<'_>, what: Ref) -> u64 {
    match link.atom_of(what) {
        Some(_) => link.address(what),
        None => branch_target(link, what),
    }
}

/// How far `init` is from the start of the image.
fn init_offset(link: &Link<'_>, init: &Init) -> Result<u32> {
    let target = function(link, init.what);
    let offset = target.wrapping_add(init.addend as u64).wrapping_sub(link.base);
    u32::try_from(offset).map_err(|_| {
        let text = format!("{offset:#x} is not in 0..2^32-1; the offset of an initializer");
        let text = format!("{text}, {}", link.title_of(init.what));
        let error = Error::new(ErrorKind::RelocOverflow, text);
        let (file, section, offset) = init.from;
        error.at(link.files[file as usize].site(section, offset))
    })
}

/// Writes what the loader starts from into every place it mends.
pub fn pointers(link: &Link<'_>, image: &mut [u8], fixups: &Fixups, words: &[u64]) {
    let mut segments = link.segments.iter().filter(|segment| segment.protection & 2 != 0);
    let Some(mut segment) = segments.next() else { return };
    for (fixup, word) in fixups.list.iter().zip(words) {
        while fixup.addr >= segment.addr + segment.size {
            match segments.next() {
                Some(next) => segment = next,
                None => return,
            }
        }
        let at = (segment.offset + (fixup.addr - segment.addr)) as usize;
        image[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}

/// Writes the load commands and the tables at the end.
pub fn tables(link: &Link<'_>, image: &mut [u8], linkedit: &Linkedit) {
    let head = commands::build(link, linkedit);
    image[..head.len()].copy_from_slice(&head);
    for (_, at, _, bytes) in &linkedit.parts {
        let at = *at as usize;
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
