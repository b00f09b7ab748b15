//! Hand-made tables, and every way to damage them.

use super::*;
use crate::Arch;
use crate::model::macho::image::{Blob, DyldInfo, Library, Segment};

/// An image of a text segment at 0x1000 with `tables` in it and data at 0x5000, `pointers` first.
fn image<'a>(bytes: &'a [u8], data: u64) -> File<'a> {
    let segment = |name, address, offset: u64, end: u64, protection| Segment {
        name,
        address,
        size: 0x4000,
        offset,
        file_size: end - offset,
        protection,
        flags: 0,
    };
    File {
        bytes,
        machine: super::super::machine::of(Arch::Arm64).expect("a machine of ours"),
        kind: super::super::image::DYLIB,
        flags: 0,
        segments: vec![
            segment("__TEXT", 0x1000, 0, data, 5),
            segment("__DATA", 0x5000, data, bytes.len() as u64, 3),
        ],
        sections: Vec::new(),
        symbols: Vec::new(),
        libraries: vec![Library { name: "/libx.dylib", weak: false, command: 0xc }],
        id: None,
        paths: Vec::new(),
        entry: None,
        routine: None,
        info: None,
        chains: None,
        trie: None,
        hints: None,
    }
}

/// Tables, then the words of the data segment.
fn bytes(tables: &[u8], data: &[u64]) -> Vec<u8> {
    let mut bytes = tables.to_vec();
    bytes.extend(data.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A table for two segments, the second with one page whose chain starts at 8.
fn chains(format: u16, imports: &[u8], import_format: u32, count: u32) -> Vec<u8> {
    let names = b"\0_f\0_w\0";
    let starts = 28;
    let imports_at = starts + 12 + 24;
    let names_at = imports_at + imports.len() as u32;
    let mut blob = words(&[0, starts, imports_at, names_at, count, import_format, 0]);
    blob.extend(words(&[2, 0, 12]));
    blob.extend(words(&[24, 0x4000 | u32::from(format) << 16]));
    blob.extend(0x4000_u64.to_le_bytes());
    blob.extend(words(&[0, 1 | 8 << 16]));
    blob.extend(imports);
    blob.extend(names);
    blob
}

/// A rebase with high bits, a bind of `_f` from library 1 plus 3 in the pointer, one of `_w`.
const DATA: [u64; 4] =
    [0x77, 0x5010 | 0xab << 36 | 2 << 51, 1 << 63 | 3 << 24 | 2 << 51, 1 << 63 | 1];

fn read_chains(blob: &[u8]) -> Fixups {
    let all = bytes(blob, &DATA);
    let mut file = image(&all, blob.len() as u64);
    file.chains = Some(Blob { offset: 0, size: blob.len() as u32 });
    Fixups::read(&file)
}

fn bind(ordinal: i64, name: &str, addend: i64, weak: bool, lazy: bool) -> Option<Bind> {
    Some(Bind { ordinal, name: name.into(), addend, weak, lazy })
}

#[test]
fn chains_of_every_import_format() {
    let weak = u64::from(0xfffd_u16) | 4 << 32;
    let mut wide = (1 | 1 << 16 | 1_u64 << 32).to_le_bytes().to_vec();
    wide.extend(0_u64.to_le_bytes());
    wide.extend(weak.to_le_bytes());
    wide.extend((-2_i64).to_le_bytes());
    let formats: [(u32, Vec<u8>, i64); 3] = [
        (1, words(&[1 | 1 << 8 | 1 << 9, 0xfd | 4 << 9]), 0),
        (2, words(&[1 | 1 << 8 | 1 << 9, 0, 0xfd | 4 << 9, -2_i32 as u32]), -2),
        (3, wide, -2),
    ];
    for (format, imports, addend) in formats {
        for pointers in [2, 6] {
            let fixups = read_chains(&chains(pointers, &imports, format, 2));
            assert_eq!(fixups.broken, None, "{format} {pointers}");
            let base = if pointers == 6 { 0x1000 } else { 0 };
            let all: Vec<_> = fixups.map.into_iter().collect();
            let fixup = |rebase, bind| Fixup { rebase, bind, coalesce: None };
            let high = 0xab00_0000_0000_0000;
            assert_eq!(all[0], (0x5008, fixup(Some((0x5010 + base) | high), None)));
            assert_eq!(all[1], (0x5010, fixup(None, bind(1, "_f", 3, true, false))));
            assert_eq!(all[2], (0x5018, fixup(None, bind(WEAK, "_w", addend, false, false))));
        }
    }
}

#[test]
fn damaged_chains_are_told() {
    let good = chains(2, &words(&[1 | 1 << 9, 1 | 4 << 9]), 1, 2);
    let broken = |at: usize, byte: u8| {
        let mut blob = good.clone();
        blob[at] = byte;
        read_chains(&blob).broken
    };
    for (at, byte, text) in [
        (0, 1, "version"),
        (28, 3, "number of segments"),
        (46, 12, "pointer format"),
        (44, 1, "page size"),
        (49, 1, "segment offset"),
        (64, 2, "not there"),
        (62, 0xf9, "leaves its segment"),
    ] {
        let said = broken(at, byte);
        assert!(said.as_ref().is_some_and(|said| said.contains(text)), "{at}: {said:?}");
    }
    // Whatever is cut or changed: an answer.
    for at in 0..good.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let _ = broken(at, byte);
        }
        let _ = read_chains(&good[..at]);
    }
}

/// Rebase two slots; bind, weak-bind and lazily bind others.
const REBASE: &[u8] = &[0x11, 0x21, 0x00, 0x52, 0x00];
const BIND: &[u8] = &[
    0x11, 0x41, b'_', b'f', 0, 0x51, 0x60, 0x7f, 0x71, 0x10, 0x90, 0x3e, 0x40, b'_', b'g', 0, 0x90,
    0,
];
const WEAK_BIND: &[u8] = &[0x40, b'_', b'w', 0, 0x51, 0x71, 0x08, 0x90, 0x48, b'_', b's', 0, 0];
const LAZY: &[u8] = &[
    0x71, 0x20, 0x11, 0x40, b'_', b'l', 0, 0x90, 0, 0x71, 0x28, 0x11, 0x40, b'_', b'm', 0, 0x90, 0,
];

fn read_opcodes(tables: [&[u8]; 4]) -> Fixups {
    let joined = tables.concat();
    let all = bytes(&joined, &[0x1010, 0x5008, 0, 0, 0x1100, 0x110c]);
    let mut file = image(&all, joined.len() as u64);
    let mut offset = 0;
    let mut blobs = tables.iter().map(|table| {
        let blob = Blob { offset, size: table.len() as u32 };
        offset += blob.size;
        blob
    });
    let mut next = || blobs.next().unwrap_or_default();
    file.info = Some(DyldInfo {
        rebase: next(),
        bind: next(),
        weak_bind: next(),
        lazy_bind: next(),
        export: Blob::default(),
    });
    Fixups::read(&file)
}

#[test]
fn opcodes_of_every_table() {
    let fixups = read_opcodes([REBASE, BIND, WEAK_BIND, LAZY]);
    assert_eq!(fixups.broken, None);
    let fixup = |rebase, bind| Fixup { rebase, bind, coalesce: None };
    let wanted = [
        (0x5000, fixup(Some(0x1010), None)),
        (0x5008, Fixup { coalesce: Some(("_w".into(), 0)), ..fixup(Some(0x5008), None) }),
        (0x5010, fixup(None, bind(1, "_f", -1, true, false))),
        (0x5018, fixup(None, bind(FLAT, "_g", -1, false, false))),
        (0x5020, fixup(None, bind(1, "_l", 0, false, true))),
        (0x5028, fixup(None, bind(1, "_m", 0, false, true))),
    ];
    assert_eq!(fixups.map.into_iter().collect::<Vec<_>>(), wanted);
    assert_eq!(fixups.strong, ["_s"]);
    assert_eq!(fixups.lazy.into_iter().collect::<Vec<_>>(), [(0, 0x5020), (9, 0x5028)]);
}

#[test]
fn damaged_opcodes_are_told() {
    let twice = read_opcodes([&[0x11, 0x21, 0, 0x51, 0x21, 0, 0x51, 0], &[], &[], &[]]);
    assert_eq!(twice.broken.as_deref(), Some("a slot is rebased twice"));
    let far = read_opcodes([REBASE, &[0x12, 0], &[], &[]]);
    assert_eq!(far.broken.as_deref(), Some("damaged bind opcodes"));
    let text = read_opcodes([&[0x11, 0x20, 0, 0x51, 0, 0, 0, 0], &[], &[], &[]]);
    assert_eq!(text.broken.as_deref(), Some("a fixup in read-only memory"));
    let overlap = read_opcodes([&[0x11, 0x21, 0, 0x51, 0x21, 4, 0x51, 0], &[], &[], &[]]);
    assert_eq!(overlap.broken.as_deref(), Some("fixups that overlap"));
    let tables = [REBASE, BIND, WEAK_BIND, LAZY];
    for which in 0..4 {
        for at in 0..tables[which].len() {
            for byte in [0, 0x3f, 0x8f, 0xc1, 0xff] {
                let mut changed = tables[which].to_vec();
                changed[at] = byte;
                let mut all = tables;
                all[which] = &changed;
                let _ = read_opcodes(all);
            }
            let mut all = tables;
            all[which] = &tables[which][..at];
            let _ = read_opcodes(all);
        }
    }
}
