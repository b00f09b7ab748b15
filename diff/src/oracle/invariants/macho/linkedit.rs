//! The tables of __LINKEDIT: each aligned, inside, apart from the others, the signature last.

use super::super::Flaws;
use super::Image;
use crate::model::macho::image::Blob;

const SYMTAB: u32 = 2;
const DYSYMTAB: u32 = 0xb;
const CODE_SIGNATURE: u32 = 0x1d;

/// Load commands that are nothing but an offset and a size, with how the table is aligned.
const TABLES: &[(u32, &str, u64)] = &[
    (0x8000_0034, "chained fixups", 8),
    (0x8000_0033, "exports trie", 8),
    (0x26, "function starts", 8),
    (0x29, "data in code", 8),
    (0x1e, "segment split info", 8),
    (0x2e, "optimization hints", 8),
    (CODE_SIGNATURE, "code signature", 16),
];

/// A table: its name, from, to.
type Range = (&'static str, u64, u64);

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    let mut ranges: Vec<Range> = Vec::new();
    for (name, blob, align) in tables(image) {
        let (start, size) = (u64::from(blob.offset), u64::from(blob.size));
        if size == 0 {
            continue;
        }
        flaws.check(start.is_multiple_of(align), "table's alignment", name, start, "its own");
        ranges.push((name, start, start + size));
    }
    let Some(last) = image.segment("__LINKEDIT") else { return };
    let (from, to) = (last.offset, last.offset.saturating_add(last.file_size));
    ranges.sort_by_key(|range| range.1);
    for (name, start, end) in &ranges {
        let inside = *start >= from && *end <= to;
        flaws.check(inside, "table outside of __LINKEDIT", name, *start, "inside");
    }
    for pair in ranges.windows(2) {
        let apart = pair[0].2 <= pair[1].1;
        flaws.check(apart, "tables overlap", pair[1].0, pair[1].1, "one behind the other");
    }
    if let Some(signature) = ranges.iter().find(|range| range.0 == "code signature") {
        let end = image.file.bytes.len() as u64;
        let last = ranges.last().is_some_and(|range| range == signature) && signature.2 <= end;
        flaws.check(last, "signature is not last", "code signature", signature.2, "at the end");
    }
    let end = image.file.bytes.len() as u64;
    flaws.check(to == end, "bytes behind __LINKEDIT", "file", end, "none");
}

/// Every table: its name, where it is, and its alignment.
fn tables(image: &Image<'_>) -> Vec<(&'static str, Blob, u64)> {
    let mut list = Vec::new();
    for (number, name, align) in TABLES {
        for command in image.commands.iter().filter(|c| c.number == *number) {
            let blob = Blob { offset: command.word(8), size: command.word(12) };
            list.push((*name, blob, *align));
        }
    }
    if let Some(info) = image.file.info {
        list.extend([
            ("rebase opcodes", info.rebase, 8),
            ("bind opcodes", info.bind, 8),
            ("weak bind opcodes", info.weak_bind, 8),
            ("lazy bind opcodes", info.lazy_bind, 8),
            ("exports trie", info.export, 8),
        ]);
    }
    if let Some(symbols) = image.command(SYMTAB) {
        let table = Blob { offset: symbols.word(8), size: symbols.word(12).saturating_mul(16) };
        let strings = Blob { offset: symbols.word(16), size: symbols.word(20) };
        list.extend([("symbol table", table, 8), ("string table", strings, 1)]);
    }
    if let Some(dynamic) = image.command(DYSYMTAB) {
        let size = dynamic.word(60).saturating_mul(4);
        list.push(("indirect symbols", Blob { offset: dynamic.word(56), size }, 4));
    }
    list
}
