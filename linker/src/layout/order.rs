//! Orders: members inside an output section, output sections inside the image.

use super::{Made, OutSec};
use crate::format::elf::*;
use crate::link::Link;

/// Puts init functions into priority order, and link-order sections into that of what they are
/// linked to; everything else stays as the command line has it.
pub(crate) fn sort_members(link: &Link<'_>, out: &mut OutSec, sec_off: &[u64]) {
    if matches!(out.kind, SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY) {
        out.members.sort_by_key(|m| {
            let name = link.object(m.file).section_name(m.index);
            crate::init_order::classify(name).map_or(crate::init_order::NO_PRIORITY, |c| c.rank)
        });
    }
    if !is_link_order(link, out) {
        return;
    }
    out.members.sort_by_key(|m| {
        let object = link.object(m.file);
        let section = object.sections.get(m.index);
        let target = object.sec(section.link);
        match section.flags & SHF_LINK_ORDER != 0 && section.link != 0 {
            true => (link.sec_out[target.i()], sec_off[target.i()]),
            false => (super::SecPlace::NOWHERE, 0),
        }
    });
}

/// Whether a member's place depends on where another section is.
pub(crate) fn is_link_order(link: &Link<'_>, out: &OutSec) -> bool {
    let flags = |m: &super::Member| link.object(m.file).sections.get(m.index).flags;
    out.members.first().is_some_and(|m| flags(m) & SHF_LINK_ORDER != 0)
        && out.members.iter().any(|m| flags(m) & SHF_LINK_ORDER != 0)
}

/// Whether a writable section is read-only once relocated.
pub(crate) fn is_relro(link: &Link<'_>, out: &OutSec) -> bool {
    if !link.options.z.relro || out.flags & SHF_WRITE == 0 || !out.is_alloc() {
        return false;
    }
    match out.made {
        Some(Made::Dynamic | Made::Got | Made::CopyRelro) => true,
        Some(Made::GotPlt) => link.options.z.now,
        Some(_) => false,
        None => {
            out.is_tls()
                || matches!(out.kind, SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY)
                || matches!(
                    &out.name[..],
                    b".data.rel.ro" | b".bss.rel.ro" | b".ctors" | b".dtors" | b".jcr"
                )
        }
    }
}

/// Where an output section goes: R, RX, RELRO, RW, RW zeroed, then what is not loaded;
/// those with the flag `large` after others of their kind.
pub(crate) fn rank(out: &OutSec, large: u64) -> (u8, u8) {
    if !out.is_alloc() {
        return match out.made {
            Some(Made::Symtab) => (10, 0),
            Some(Made::SymtabShndx) => (10, 1),
            Some(Made::Shstrtab) => (10, 2),
            Some(Made::Strtab) => (10, 3),
            _ => (9, 0),
        };
    }
    let zeroed = !out.in_file();
    if out.flags & SHF_WRITE == 0 {
        if out.flags & SHF_EXECINSTR != 0 {
            return (
                2,
                match (&out.name[..], out.made) {
                    (b".init", _) => 0,
                    (_, Some(Made::Plt)) => 1,
                    (b".fini", _) => 3,
                    _ => 2,
                },
            );
        }
        let within = match out.made {
            Some(made) if made <= Made::RelaPlt => made as u8,
            Some(_) => 200,
            None if out.kind == SHT_NOTE => Made::BuildId as u8,
            None => 100,
        };
        return (1, if zeroed { 255 } else { within });
    }
    if out.flags & SHF_EXECINSTR != 0 {
        return (3, 0);
    }
    if out.relro {
        return (
            4,
            match (out.is_tls(), zeroed, out.made) {
                (true, false, _) => 0,
                (true, true, _) => 1,
                (_, false, None) if out.kind != SHT_PROGBITS => 2,
                (_, false, None) => 3,
                (_, false, Some(made)) => 4 + made as u8,
                (_, true, _) => 100,
            },
        );
    }
    (
        5,
        match (out.is_tls(), zeroed, out.made) {
            (true, false, _) => 0,
            (true, true, _) => 1,
            (_, false, Some(_)) => 2,
            (_, false, None) => 3,
            (_, true, _) if out.flags & large != 0 => 101,
            (_, true, _) => 100,
        },
    )
}
