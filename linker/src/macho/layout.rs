//! Layout: output sections → addresses and places in the file. Segments start at pages; up to the
//! first zero-filled byte the file has the same distances as memory. Must not know what sections hold.

pub mod thunks;

use super::commands;
use super::link::{Bound, Def, Link, Made, Out, Ref, Segment};
use super::object::{Home, NONE};
use super::options::Kind;
use crate::format::macho::kind;
use crate::object::SymId;
use crate::{Error, ErrorKind, Errors, Result};

/// Where programs are linked to, unless told.
const PROGRAM: u64 = 1 << 32;
/// What a name may need in a load command.
const NAME_ROOM: u64 = 1024;
/// Addresses beyond this are out of proportion.
const LIMIT: u64 = 1 << 46;

/// Gives everything but the tables at the end its address.
///
/// Errors: `usage` for images out of proportion, `reloc-overflow` for branches no code can bridge.
pub fn arrange(link: &mut Link<'_>) -> Result<(), Errors> {
    make_segments(link);
    thunks::place(link);
    // Unwind tables are behind all code: once its addresses are known, so are their sizes.
    for _ in 0..2 {
        addresses(link)?;
        super::unwind::build(link)?;
        let (info, records) = link.unwind.sizes();
        for out in &mut link.outs {
            match out.made {
                Some(Made::UnwindInfo) => out.size = info,
                Some(Made::EhFrame) => out.size = records,
                _ => {}
            }
        }
    }
    name_addresses(link);
    indirect(link);
    Ok(())
}

fn make_segments(link: &mut Link<'_>) {
    let program = link.options.kind == Kind::Execute;
    link.base = link.options.base.unwrap_or(if program { PROGRAM } else { 0 });
    let mut segments: Vec<Segment> = Vec::new();
    if program {
        let size = link.options.pagezero.unwrap_or(PROGRAM).min(link.base);
        segments.push(Segment { name: b"__PAGEZERO".to_vec(), size, ..Segment::default() });
    }
    for (at, out) in link.outs.iter().enumerate() {
        match segments.last_mut() {
            Some(last) if last.name == out.segment => last.outs.end = at + 1,
            _ => {
                let name = out.segment.clone();
                let (protection, flags) = match &*name {
                    b"__TEXT" => (5, 0),
                    b"__DATA_CONST" => (3, 0x10),
                    _ => (3, 0),
                };
                let outs = at..at + 1;
                segments.push(Segment { name, protection, flags, outs, ..Segment::default() });
            }
        }
    }
    let name = b"__LINKEDIT".to_vec();
    let outs = link.outs.len()..link.outs.len();
    segments.push(Segment { name, protection: 1, outs, ..Segment::default() });
    link.segments = segments;
}

fn addresses(link: &mut Link<'_>) -> Result<(), Errors> {
    let page = link.machine.page;
    let mut addr = link.base;
    let mut file = 0u64;
    let head = commands::size(link) + padding(link);
    for index in 0..link.segments.len() {
        if link.segments[index].name == b"__PAGEZERO" {
            continue;
        }
        addr = addr.next_multiple_of(page);
        file = file.next_multiple_of(page);
        let (start, file_start) = (addr, file);
        if addr == link.base {
            (addr, file) = (addr + head, file + head);
        }
        for at in link.segments[index].outs.clone() {
            let align = template_align(&link.outs, at);
            let out = &mut link.outs[at];
            addr = addr.next_multiple_of(1 << align);
            let old = std::mem::replace(&mut out.addr, addr);
            let moved = addr.wrapping_sub(old);
            if !out.is_zerofill() {
                file = file_start + (addr - start);
                out.offset = file;
                file += out.size;
            }
            for atom in &out.atoms {
                let atom = &mut link.atoms[*atom as usize];
                atom.addr = atom.addr.wrapping_add(moved);
            }
            addr += out.size;
            if addr > link.base + LIMIT {
                let text = "the image would be out of proportion";
                return Err(Error::new(ErrorKind::Usage, text).into());
            }
        }
        let segment = &mut link.segments[index];
        (segment.addr, segment.offset) = (start, file_start);
        if segment.name != b"__LINKEDIT" {
            segment.size = (addr - start).next_multiple_of(page);
            segment.file_size = (file - file_start).next_multiple_of(page);
            // A segment without a byte in the file has no place in it either.
            addr = start + segment.size;
            file = file_start + segment.file_size;
        }
    }
    Ok(())
}

/// The block of thread-locals is copied as a whole: it starts as aligned as its strictest part.
fn template_align(outs: &[Out], at: usize) -> u8 {
    let is_template = |out: &&Out| matches!(out.kind(), kind::TLV_REGULAR | kind::TLV_ZEROFILL);
    let first = outs.iter().position(|out| is_template(&out));
    match first == Some(at) {
        true => outs.iter().filter(is_template).map(|out| out.align).max().unwrap_or(0),
        false => outs[at].align,
    }
}

/// Room behind the load commands for others to add to.
fn padding(link: &Link<'_>) -> u64 {
    let least = link.options.headerpad.unwrap_or(32).max(32);
    let names = match link.options.headerpad_names {
        true => NAME_ROOM * (1 + link.libraries.iter().filter(|l| l.ordinal > 0).count() as u64),
        false => 0,
    };
    least.max(names)
}

/// The address of every name.
fn name_addresses(link: &mut Link<'_>) {
    for at in 0..link.globals.len() {
        let what = Ref::Name(SymId(at as u32));
        let addr = match link.globals[at].def {
            Def::Bound(bound) => bound_address(link, &link.bounds[bound as usize]),
            Def::Object(file, symbol) => {
                match link.files[file as usize].symbols[symbol as usize].home {
                    Home::Absolute(value) => value,
                    _ => own(link, what),
                }
            }
            _ => own(link, what),
        };
        link.globals[at].addr = addr;
    }
}

fn own(link: &Link<'_>, what: Ref) -> u64 {
    let Some((atom, offset)) = link.atom_of(what) else { return 0 };
    let it = &link.atoms[atom as usize];
    let (start, offset) = match it.forward {
        NONE => (it.addr, offset),
        other => (link.atoms[other as usize].addr, offset.wrapping_add(it.forward_at)),
    };
    start.wrapping_add(offset)
}

/// What is not there is empty, and somewhere in the image: it moves with it.
fn bound_address(link: &Link<'_>, bound: &Bound) -> u64 {
    match bound {
        Bound::Base => link.base,
        Bound::Section(segment, name, end) => {
            let found = link.outs.iter().find(|o| o.segment == *segment && o.name == *name);
            found.map_or(link.base, |out| if *end { out.addr + out.size } else { out.addr })
        }
        Bound::Segment(name, end) => {
            let found = link.segments.iter().find(|segment| segment.name == *name);
            found.map_or(link.base, |s| if *end { s.addr + s.size } else { s.addr })
        }
    }
}

/// Sections of slots say where their names start in the table of indirect symbols.
fn indirect(link: &mut Link<'_>) {
    let mut count = 0;
    for out in &mut link.outs {
        let slots = match out.made {
            Some(Made::Stubs) => link.stubs.list.len(),
            Some(Made::Got) => link.got.list.len(),
            Some(Made::LazyPointers) => link.lazy.list.len(),
            Some(Made::TlvPointers) => link.tlv.list.len(),
            _ => continue,
        };
        out.reserved[0] = count;
        count += slots as u32;
    }
}
