//! Orders: members inside an output section, output sections inside the image.

use super::{Made, OutSec};
use crate::format::elf::*;
use crate::link::Link;

/// Puts init functions into priority order; everything else stays as the command line has it.
pub(crate) fn sort_members(link: &Link<'_>, out: &mut OutSec) {
    let arrays: &[&[u8]] =
        &[b".init_array", b".fini_array", b".preinit_array", b".ctors", b".dtors"];
    if !arrays.contains(&&out.name[..]) {
        return;
    }
    out.members.sort_by_key(|m| {
        let name = link.object(m.file).section_name(m.index);
        priority(name)
    });
}

/// Priority of `.init_array.N`; without one it comes last, after 65535. `.ctors.N` counts down.
fn priority(name: &[u8]) -> u32 {
    let Some(at) = name.iter().rposition(|&c| c == b'.').filter(|&at| at > 0) else {
        return 1 << 16;
    };
    match std::str::from_utf8(&name[at + 1..]).ok().and_then(|s| s.parse::<u32>().ok()) {
        Some(n) if name.starts_with(b".ctors") || name.starts_with(b".dtors") => {
            65535 - n.min(65535)
        }
        Some(n) => n.min(65535),
        None => 1 << 16,
    }
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

/// Where an output section goes: R, RX, RELRO, RW, RW zeroed, then what is not loaded.
pub(crate) fn rank(out: &OutSec) -> (u8, u8) {
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
            None if out.kind == SHT_NOTE => Made::Property as u8,
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
            (_, true, _) if out.flags & SHF_X86_64_LARGE != 0 => 101,
            (_, true, _) => 100,
        },
    )
}
