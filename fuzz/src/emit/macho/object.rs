//! Object → the bytes of an MH_OBJECT.
//!
//! File order: header, load commands, contents, relocations, symbols, strings. An index outside the object
//! is 0 in the file and never a panic.

use scold_diff::Target;

use super::layout::Layout;
use super::pieces::{Commands, HEADER, Sect, Segment};
use super::relocs::Relocs;
use super::symbols::Symbols;
use crate::case::Object;

/// MH_OBJECT; MH_SUBSECTIONS_VIA_SYMBOLS.
const KIND: u32 = 1;
const SUBSECTIONS: u32 = 0x2000;

/// The bytes of `object` as a relocatable file for `target`.
pub fn object(object: &Object, target: Target) -> Vec<u8> {
    let layout = Layout::new(object);
    let symbols = Symbols::new(object, &layout);
    let mut contents = layout.contents(object);
    let relocs = Relocs { object, layout: &layout, symbols: &symbols, arch: target.arch };
    let tables: Vec<Vec<u8>> =
        (0..layout.sections.len()).map(|i| relocs.table(i, &mut contents)).collect();

    let count = layout.sections.len() as u64;
    let start = HEADER + 72 + 80 * count + 24 + 24 + 80;
    let relocs_at = (start + contents.len() as u64).next_multiple_of(8);
    let symbols_at = relocs_at + tables.iter().map(|table| table.len() as u64).sum::<u64>();
    let strings_at = symbols_at + 16 * symbols.rows.len() as u64;
    let strings_len = symbols.strings.len().next_multiple_of(8);

    let mut commands = Commands::default();
    let end = layout.sections.last().map_or(0, |last| last.addr + last.size);
    let segment = Segment {
        name: "",
        vmaddr: 0,
        vmsize: end,
        fileoff: start,
        filesize: contents.len() as u64,
        prot: 7,
    };
    commands.segment(&segment, &headers(&layout, &tables, start, relocs_at));
    commands.build_version();
    commands.symtab((symbols_at, symbols.rows.len()), (strings_at, strings_len));
    commands.dysymtab(symbols.counts);
    debug_assert_eq!(commands.size(), start);

    let flags = if object.subsections { SUBSECTIONS } else { 0 };
    let mut out = commands.file(super::cpu(target.arch), KIND, flags);
    out.0.extend_from_slice(&contents);
    out.align(8);
    tables.iter().for_each(|table| out.0.extend_from_slice(table));
    symbols.rows.iter().for_each(|row| row.write(&mut out));
    out.0.extend_from_slice(&symbols.strings.0);
    out.align(8);
    out.0
}

fn headers(layout: &Layout<'_>, tables: &[Vec<u8>], start: u64, relocs_at: u64) -> Vec<Sect> {
    let mut next = relocs_at as u32;
    let sections = layout.sections.iter().zip(tables);
    let headers = sections.map(|(section, table)| {
        let reloff = next;
        next += table.len() as u32;
        Sect {
            name: section.name.to_owned(),
            addr: section.addr,
            size: section.size,
            offset: if section.zerofill { 0 } else { (start + section.addr) as u32 },
            align: section.align,
            reloff: if table.is_empty() { 0 } else { reloff },
            nreloc: table.len() as u32 / 8,
            flags: section.flags,
        }
    });
    headers.collect()
}
