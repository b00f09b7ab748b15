//! Faults that only arm has, planted into a link of two states by the reference: which half of the judge
//! sees each, its facts or its invariants.

use std::sync::Arc;
use std::time::Duration;

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope, elf,
};

use crate::adapter::{Adapter as _, Reference};
use crate::class::Class;
use crate::model::{MARKER_MAGIC, digest, elf::facts};
use crate::oracle::flaws;
use crate::{Facts, File, Mode, Request, Target};

/// Who sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum By {
    Facts,
    Invariants,
}

type Change = fn(&mut [u8]) -> Option<()>;

/// Faults in a library.
const LIBRARY: &[(&str, By, Change)] = &[
    ("BLX is BL", By::Facts, |i| patch(i, ".text.a", 16, 4, |w| (w & 0x00ff_ffff) | 0xeb00_0000)),
    ("BLX forgets bit 1", By::Facts, |i| patch(i, ".text.a", 16, 4, |w| w ^ 0x0100_0000)),
    ("BL two instructions off", By::Facts, |i| patch(i, ".text.a", 16, 4, |w| w + 2)),
    ("BL has a condition", By::Facts, |i| patch(i, ".text.a", 20, 4, |w| w & 0x0fff_ffff)),
    ("BL is B", By::Facts, |i| patch(i, ".text.a", 20, 4, |w| w & !0x0100_0000)),
    ("Thumb BLX is BL", By::Facts, |i| patch(i, ".text.t", 18, 2, |h| h | 0x1000)),
    ("Thumb J1 flipped", By::Facts, |i| patch(i, ".text.t", 18, 2, |h| h ^ 0x2000)),
    ("T lost in a slot", By::Facts, |i| patch(i, ".data", 16, 4, |w| w & !1)),
    ("T in a slot of ARM code", By::Facts, |i| patch(i, ".data", 20, 4, |w| w | 1)),
    ("addend in a slot off", By::Facts, |i| patch(i, ".data", 20, 4, |w| w + 4)),
    ("T lost in a distance", By::Facts, |i| patch(i, ".data", 24, 4, |w| w & !1)),
    ("T lost in an export", By::Facts, |i| export(i, b"tf", |v| v & !1)),
    ("index not sorted", By::Invariants, |i| index(i, |t| t.swap(0, 1))),
    ("index without an end", By::Invariants, |i| last(i, |w| w | 0x80b0_b0b0)),
    ("index word wrong", By::Facts, |i| index(i, |t| t[0].1 ^= 0x100)),
    ("function can't be unwound", By::Facts, |i| index(i, |t| t[0].1 = 1)),
    ("PT_ARM_EXIDX lost", By::Invariants, |i| segment(i, 0x7000_0001, 0, |_| 0)),
    ("PT_ARM_EXIDX short", By::Facts, |i| segment(i, 0x7000_0001, 20, |_| 0)),
    ("soft-float", By::Invariants, |i| put(i, 36, 4, |_| 0x0500_0200)),
    ("EABI version lost", By::Invariants, |i| put(i, 36, 4, |_| 0)),
    ("DT_REL is DT_RELA", By::Facts, |i| tag(i, 17, |_| 7)),
    ("DT_RELENT of RELA", By::Facts, |i| value(i, 19, |_| 12)),
    ("DT_PLTREL is RELA", By::Facts, |i| value(i, 20, |_| 7)),
    ("lazy slot starts elsewhere", By::Facts, |i| slot(i, |w| w + 4)),
    ("BL one entry off", By::Facts, |i| patch(i, ".text.a", 28, 4, |w| w + 1)),
    ("DT_SYMENT of ELF64", By::Facts, |i| value(i, 11, |_| 24)),
];

/// Faults in a program.
const PROGRAM: &[(&str, By, Change)] = &[
    ("MOVW wrong", By::Facts, |i| patch(i, ".text.m", 16, 4, |w| w ^ 4)),
    ("T lost in MOVW", By::Facts, |i| patch(i, ".text.m", 16, 4, |w| w & !1)),
    ("MOVT wrong", By::Facts, |i| patch(i, ".text.m", 20, 4, |w| w ^ 1)),
    ("MOVT of another register", By::Facts, |i| patch(i, ".text.m", 20, 4, |w| w ^ 0x1000)),
    ("T lost at the entry", By::Facts, |i| put(i, 24, 4, |w| w & !1)),
];

#[test]
fn arms_faults_are_seen() {
    for (mode, faults) in [(Mode::Shared, LIBRARY), (Mode::Exe, PROGRAM)] {
        let request = request(mode);
        let outcome = Reference::default().link(&request, Duration::from_secs(60));
        let Some(good) = outcome.image() else { panic!("{mode}: {outcome:?}") };
        let before: Facts = facts(&request, good);
        assert_eq!(flaws(&request, good), [], "{mode}");
        assert!(!before.to_string().contains("bad: "), "{before}");
        for (name, by, apply) in faults {
            let mut image = good.to_vec();
            assert!(apply(&mut image).is_some() && image != good, "{name} was not planted");
            let seen = match by {
                By::Facts => facts(&request, &image) != before,
                By::Invariants => !flaws(&request, &image).is_empty(),
            };
            assert!(seen, "{name} is not seen by {by:?}");
        }
    }
}

/// A link of code in both states, with an index for it.
fn request(mode: Mode) -> Request {
    let mut args = vec!["a.o".to_owned()];
    if mode == Mode::Exe {
        args.extend(["-e".to_owned(), "tf".to_owned()]);
    }
    let files = vec![File { name: "a.o".into(), bytes: Arc::from(written(mode)) }];
    Request { target: Target::ARM_ELF, mode, args, files, goos: None }
}

fn written(mode: Mode) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    object.flags = FileFlags::Elf {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_flags: elf::FileFlags(0x0500_0400),
    };
    // bl tf; bl af; bx lr; bl g
    let code = [0xebff_fffe, 0xebff_fffe, 0xe12f_ff1e, 0xebff_fffe];
    let a = section(&mut object, ".text.a", &code);
    // bl af; bx lr; nop
    let t = section(&mut object, ".text.t", &[0xfffe_f7ff, 0xbf00_4770]);
    let af = define(&mut object, "af", a, 16, SymbolKind::Text);
    let tf = define(&mut object, "tf", t, 17, SymbolKind::Text);
    let data = section(&mut object, ".data", &[0, 0, 0]);
    relocate(&mut object, a, 16, elf::R_ARM_CALL, tf);
    relocate(&mut object, a, 20, elf::R_ARM_CALL, af);
    relocate(&mut object, t, 16, elf::R_ARM_THM_PC22, af);
    let g = undefined(&mut object, "g");
    relocate(&mut object, a, 28, elf::R_ARM_CALL, g);
    let hidden = object.section_symbol(a);
    relocate(&mut object, data, 16, elf::R_ARM_ABS32, tf);
    relocate(&mut object, data, 20, elf::R_ARM_ABS32, hidden);
    relocate(&mut object, data, 24, elf::R_ARM_REL32, tf);
    if mode == Mode::Exe {
        // movw r0, tf; movt r0, tf
        let m = section(&mut object, ".text.m", &[0xe300_0000, 0xe340_0000]);
        relocate(&mut object, m, 16, elf::R_ARM_MOVW_ABS_NC, tf);
        relocate(&mut object, m, 20, elf::R_ARM_MOVT_ABS, tf);
    }
    // pop {r14}, finish; two registers
    for (name, word, code) in [("a", 0x80a8_b0b0, a), ("t", 0x80ab_b0b0, t)] {
        let name = format!(".ARM.exidx.text.{name}").into_bytes();
        let index = object.add_section(vec![], name, SectionKind::ReadOnlyData);
        let sh_flags = elf::SHF_ALLOC | elf::SHF_LINK_ORDER;
        let sh_type = elf::SectionType(0x7000_0001);
        object.section_mut(index).flags = SectionFlags::Elf { sh_type, sh_flags };
        object.append_section_data(index, &bytes(&[16, word]), 4);
        let code = object.section_symbol(code);
        relocate(&mut object, index, 0, elf::R_ARM_PREL31, code);
    }
    linked(object.write().unwrap_or_default())
}

/// Names the code of each index in its header, which the writer doesn't.
fn linked(mut object: Vec<u8>) -> Vec<u8> {
    let class = Class::Elf32;
    let Some(header) = class.file_header(&object) else { return object };
    let headers = class.sections(&object, &header).unwrap_or_default();
    let code = (0..).zip(&headers).filter(|(_, header)| header.flags & 4 != 0).map(|(i, _)| i);
    let tables = headers.iter().enumerate().filter(|(_, header)| header.kind == 0x7000_0001);
    for ((at, _), code) in tables.zip(code) {
        put(&mut object, header.sections as usize + at * 40 + 24, 4, |_| code);
    }
    object
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A section of words behind its marker.
fn section(object: &mut Object<'_>, name: &str, words: &[u32]) -> SectionId {
    let code = name.starts_with(".text");
    let kind = if code { SectionKind::Text } else { SectionKind::Data };
    let id = object.add_section(vec![], name.as_bytes().to_vec(), kind);
    object.append_section_data(id, &[&marker(name)[..], &bytes(words)].concat(), 16);
    id
}

fn marker(name: &str) -> Vec<u8> {
    [MARKER_MAGIC, digest(name.as_bytes()).to_le_bytes()].concat()
}

fn define(
    object: &mut Object<'_>,
    name: &str,
    section: SectionId,
    value: u64,
    kind: SymbolKind,
) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value,
        size: 4,
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::Elf {
            st_info: elf::SymbolInfo::new(elf::STB_GLOBAL, elf::STT_FUNC),
            st_other: elf::SymbolOther(3),
        },
    })
}

fn undefined(object: &mut Object<'_>, name: &str) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Dynamic,
        weak: true,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    })
}

/// The addend is in the field already.
fn relocate(
    object: &mut Object<'_>,
    section: SectionId,
    offset: u64,
    r_type: elf::RelocationType,
    symbol: SymbolId,
) {
    let flags = RelocationFlags::Elf { r_type };
    object.add_relocation(section, Relocation { offset, symbol, addend: 0, flags }).unwrap();
}

/// Changes `size` bytes at `at`.
fn put(image: &mut [u8], at: usize, size: usize, change: impl Fn(u32) -> u32) -> Option<()> {
    let field = image.get_mut(at..at + size)?;
    let old = crate::bytes::number(field) as u32;
    field.copy_from_slice(&change(old).to_le_bytes()[..size]);
    Some(())
}

/// The same, behind the marker of a section.
fn patch(
    image: &mut [u8],
    name: &str,
    at: usize,
    size: usize,
    change: impl Fn(u32) -> u32,
) -> Option<()> {
    let start = memchr::memmem::find(image, &marker(name))?;
    put(image, start + at, size, change)
}

/// Changes a field of the first program header of a kind.
fn segment(image: &mut [u8], kind: u32, at: usize, change: impl Fn(u32) -> u32) -> Option<()> {
    let header = Class::Elf32.file_header(image)?;
    let places = (0..u64::from(header.segment_count)).map(|i| header.segments + i * 32);
    let mut places = places.filter(|at| crate::bytes::u32_at(image, *at) == Some(kind));
    let start = usize::try_from(places.next()?).ok()?;
    put(image, start + at, 4, change)
}

/// File offset and size of the segment of a kind.
fn place(image: &[u8], kind: u32) -> Option<(usize, usize)> {
    let header = Class::Elf32.file_header(image)?;
    let at = |i: u64| Class::Elf32.segment(image, header.segments + i * 32);
    let segments = (0..u64::from(header.segment_count)).filter_map(at);
    let segment = segments.into_iter().find(|segment| segment.kind == kind)?;
    Some((segment.offset as usize, segment.file_size as usize))
}

/// Changes the entries of the index, as they are stored.
fn index(image: &mut [u8], change: impl Fn(&mut Vec<(u32, u32)>)) -> Option<()> {
    let (start, size) = place(image, 0x7000_0001)?;
    let read = |raw: &[u8]| crate::bytes::number(raw) as u32;
    let raw = image.get_mut(start..start + size)?;
    let mut entries = raw.chunks_exact(8).map(|e| (read(&e[..4]), read(&e[4..]))).collect();
    change(&mut entries);
    let new: Vec<u32> = entries.into_iter().flat_map(|(one, two)| [one, two]).collect();
    raw.copy_from_slice(&bytes(&new));
    Some(())
}

/// Changes the second word of the last entry.
fn last(image: &mut [u8], change: impl Fn(u32) -> u32) -> Option<()> {
    let (start, size) = place(image, 0x7000_0001)?;
    put(image, start + size - 4, 4, change)
}

fn entry(image: &[u8], tag: u64) -> Option<usize> {
    let (start, size) = place(image, 2)?;
    (start..start + size)
        .step_by(8)
        .find(|at| image.get(*at..at + 4).is_some_and(|raw| crate::bytes::number(raw) == tag))
}

/// Changes a dynamic tag.
fn tag(image: &mut [u8], tag: u64, change: impl Fn(u32) -> u32) -> Option<()> {
    let at = entry(image, tag)?;
    put(image, at, 4, change)
}

/// Changes the value of a dynamic tag.
fn value(image: &mut [u8], tag: u64, change: impl Fn(u32) -> u32) -> Option<()> {
    let at = entry(image, tag)?;
    put(image, at + 4, 4, change)
}

/// Changes what the slot of the first entry of DT_JMPREL starts with.
fn slot(image: &mut [u8], change: impl Fn(u32) -> u32) -> Option<()> {
    let class = Class::Elf32;
    let headers = class.sections(image, &class.file_header(image)?)?;
    let table = entry(image, 23).and_then(|at| crate::bytes::u32_at(image, at as u64 + 4))?;
    let at = |address: u32| {
        let within = |h: &&crate::class::SectionHeader| {
            u64::from(address).wrapping_sub(h.address) < h.size && h.address != 0
        };
        let header = headers.iter().find(within)?;
        usize::try_from(u64::from(address) - header.address + header.offset).ok()
    };
    let place = crate::bytes::u32_at(image, at(table)? as u64)?;
    put(image, at(place)?, 4, change)
}

/// Changes the value of the dynamic symbol of this name.
fn export(image: &mut [u8], name: &[u8], change: impl Fn(u32) -> u32) -> Option<()> {
    let class = Class::Elf32;
    let headers = class.sections(image, &class.file_header(image)?)?;
    let table = headers.iter().find(|header| header.kind == 11)?;
    let strings = headers.get(table.link as usize)?.offset as usize;
    let at = (table.offset..table.offset + table.size).step_by(16).find(|at| {
        let text = strings + crate::bytes::u32_at(image, *at).unwrap_or(0) as usize;
        image.get(text..).is_some_and(|text| text.starts_with(&[name, &[0]].concat()))
    })?;
    put(image, at as usize + 4, 4, change)
}
