//! Valid inputs to spoil: two objects with a bit of everything, an archive, a library.

use std::sync::OnceLock;

use object::write::{
    Comdat, Object, Relocation, SectionId, StandardSection, Symbol, SymbolId, SymbolSection,
};
use object::{
    Architecture, BinaryFormat, ComdatKind, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope, elf,
};

use crate::{MemoryFiles, link_args};

/// All samples by name.
pub(crate) fn files() -> MemoryFiles {
    ["a.o", "b.o", "l.a", "libx.so"].map(|name| (name, bytes(name))).into_iter().collect()
}

/// One sample.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    static ALL: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
    let all = ALL.get_or_init(|| [first(), second(), archive(), library()]);
    all[["a.o", "b.o", "l.a", "libx.so"].iter().position(|n| *n == name).unwrap()].clone()
}

pub(crate) fn new() -> Object<'static> {
    Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little)
}

fn flags(sh_type: elf::SectionType, sh_flags: elf::SectionFlags) -> SectionFlags {
    SectionFlags::Elf { sh_type, sh_flags }
}

pub(crate) fn symbol(
    object: &mut Object<'_>,
    name: &str,
    kind: SymbolKind,
    at: Option<(SectionId, u64, u64)>,
) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.into(),
        value: at.map_or(0, |a| a.1),
        size: at.map_or(0, |a| a.2),
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: at.map_or(SymbolSection::Undefined, |a| SymbolSection::Section(a.0)),
        flags: SymbolFlags::None,
    })
}

pub(crate) fn reloc(
    object: &mut Object<'_>,
    section: SectionId,
    offset: u64,
    symbol: SymbolId,
    addend: i64,
    r_type: elf::RelocationType,
) {
    let flags = RelocationFlags::Elf { r_type };
    object.add_relocation(section, Relocation { offset, symbol, addend, flags }).unwrap();
}

/// Code that calls and loads in several ways, data, strings, TLS, unwind tables, init functions.
fn first() -> Vec<u8> {
    let mut o = new();
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0x90; 64], 16);
    let f = symbol(&mut o, "f", SymbolKind::Text, Some((text, 0, 32)));
    let g = symbol(&mut o, "g", SymbolKind::Text, None);
    let imported = symbol(&mut o, "imported", SymbolKind::Text, None);
    let member = symbol(&mut o, "member", SymbolKind::Text, None);
    let data = o.section_id(StandardSection::Data);
    o.append_section_data(data, &[7; 24], 8);
    let d = symbol(&mut o, "d", SymbolKind::Data, Some((data, 0, 8)));
    let strings = o.add_section(vec![], b".rodata.str1.1".to_vec(), SectionKind::ReadOnlyString);
    o.append_section_data(strings, b"hello\0lo\0hello\0", 1);
    let string = o.section_symbol(strings);
    let tdata = o.section_id(StandardSection::Tls);
    o.append_section_data(tdata, &[1; 8], 8);
    let t = symbol(&mut o, "t", SymbolKind::Tls, Some((tdata, 0, 8)));
    let init = o.add_section(vec![], b".init_array.00100".to_vec(), SectionKind::Data);
    o.section_mut(init).flags = flags(elf::SHT_INIT_ARRAY, elf::SHF_ALLOC | elf::SHF_WRITE);
    o.append_section_data(init, &[0; 8], 8);
    o.append_section_data(text, &[0x48, 0x8b, 5, 0, 0, 0, 0], 16);
    reloc(&mut o, text, 1, g, -4, elf::R_X86_64_PLT32);
    reloc(&mut o, text, 8, imported, -4, elf::R_X86_64_PLT32);
    reloc(&mut o, text, 16, string, 2, elf::R_X86_64_PC32);
    reloc(&mut o, text, 24, member, -4, elf::R_X86_64_PLT32);
    reloc(&mut o, text, 32, t, -4, elf::R_X86_64_GOTTPOFF);
    reloc(&mut o, text, 67, d, -4, elf::R_X86_64_REX_GOTPCRELX);
    reloc(&mut o, data, 0, f, 0, elf::R_X86_64_64);
    reloc(&mut o, data, 8, imported, 8, elf::R_X86_64_64);
    reloc(&mut o, init, 0, f, 0, elf::R_X86_64_64);
    thread_locals(&mut o, text, t);
    unwind(&mut o, text);
    debug(&mut o, f);
    o.write().unwrap()
}

/// General- and local-dynamic sequences at the section's end, each with a relocation over its opcodes.
fn thread_locals(o: &mut Object<'_>, text: SectionId, t: SymbolId) {
    let resolver = symbol(o, "imported", SymbolKind::Text, None);
    let number = symbol(o, "number", SymbolKind::Data, None);
    o.symbol_mut(number).section = SymbolSection::Absolute;
    (o.symbol_mut(number).value, o.symbol_mut(number).scope) = (0x48, SymbolScope::Linkage);
    let ld = [0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0];
    let at = o.append_section_data(text, &ld, 1);
    reloc(o, text, at + 7, number, 0, elf::R_X86_64_8);
    reloc(o, text, at + 3, t, -4, elf::R_X86_64_TLSLD);
    reloc(o, text, at + 8, resolver, -4, elf::R_X86_64_PLT32);
    let gd = [0x66, 0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0];
    let at = o.append_section_data(text, &gd, 1);
    reloc(o, text, at + 8, number, 0xb800, elf::R_X86_64_16);
    reloc(o, text, at + 4, t, -4, elf::R_X86_64_TLSGD);
    reloc(o, text, at + 12, resolver, -4, elf::R_X86_64_PLT32);
}

/// A CIE and an FDE.
fn unwind(o: &mut Object<'_>, text: SectionId) {
    let f = o.section_symbol(text);
    let frame = o.add_section(vec![], b".eh_frame".to_vec(), SectionKind::ReadOnlyData);
    let mut b = vec![
        20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0,
    ];
    b.extend([16, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0]);
    o.append_section_data(frame, &b, 8);
    reloc(o, frame, 32, f, 0, elf::R_X86_64_PC32);
}

fn debug(o: &mut Object<'_>, f: SymbolId) {
    let debug = o.add_section(vec![], b".debug_info".to_vec(), SectionKind::Debug);
    o.append_section_data(debug, &[0; 300], 1);
    reloc(o, debug, 8, f, 4, elf::R_X86_64_64);
}

/// COMDAT, common, weak, mergeable constants, a property note, a compressed section.
fn second() -> Vec<u8> {
    let mut o = new();
    let text = o.add_section(vec![], b".text.g".to_vec(), SectionKind::Text);
    o.append_section_data(text, &[0xc3; 16], 16);
    symbol(&mut o, "g", SymbolKind::Text, Some((text, 0, 16)));
    let once = o.add_section(vec![], b".text.once".to_vec(), SectionKind::Text);
    o.append_section_data(once, &[0xc3; 16], 16);
    let code = elf::SHF_ALLOC | elf::SHF_EXECINSTR | elf::SHF_GROUP;
    o.section_mut(once).flags = flags(elf::SHT_PROGBITS, code);
    let key = symbol(&mut o, "once", SymbolKind::Text, Some((once, 0, 16)));
    o.symbol_mut(key).weak = true;
    o.add_comdat(Comdat { kind: ComdatKind::Any, symbol: key, sections: vec![once] });
    let constants = o.add_section(vec![], b".rodata.cst8".to_vec(), SectionKind::ReadOnlyData);
    o.section_mut(constants).flags = flags(elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_MERGE);
    o.append_section_data(constants, &[1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8], 8);
    let constant = o.section_symbol(constants);
    let common = symbol(&mut o, "common", SymbolKind::Data, None);
    o.symbol_mut(common).section = SymbolSection::Common;
    (o.symbol_mut(common).value, o.symbol_mut(common).size) = (8, 40);
    reloc(&mut o, text, 4, constant, 4, elf::R_X86_64_PC32);
    reloc(&mut o, text, 9, key, -4, elf::R_X86_64_PLT32);
    let note = o.add_section(vec![], b".note.gnu.property".to_vec(), SectionKind::Note);
    o.section_mut(note).flags = flags(elf::SHT_NOTE, elf::SHF_ALLOC);
    let words: [u32; 8] = [4, 16, 5, 0x0055_4e47, 0xc000_0002, 4, 3, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    o.append_section_data(note, &bytes, 8);
    let packed = o.add_section(vec![], b".debug_str".to_vec(), SectionKind::Debug);
    o.section_mut(packed).flags = flags(elf::SHT_PROGBITS, elf::SHF_COMPRESSED);
    let plain = [b"debug ".repeat(40), vec![0]].concat();
    let method = crate::compress::Method::Zlib;
    o.append_section_data(packed, &crate::compress::compress(&plain, method, 1, 8).unwrap(), 8);
    unwind(&mut o, text);
    o.write().unwrap()
}

/// An archive of one member, with its index.
fn archive() -> Vec<u8> {
    let mut o = new();
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0xc3; 16], 16);
    symbol(&mut o, "member", SymbolKind::Text, Some((text, 0, 16)));
    let object = o.write().unwrap();
    let header =
        |name: &str, size: usize| format!("{name:<16}{0:<12}{0:<6}{0:<6}{0:<8}{size:<10}`\n", 0);
    let mut out = b"!<arch>\n".to_vec();
    let index = [&1u32.to_be_bytes()[..], &(8u32 + 60 + 16).to_be_bytes(), b"member\0\0"].concat();
    out.extend(header("/", index.len()).bytes());
    out.extend(&index);
    out.extend(header("m.o/", object.len()).bytes());
    out.extend(object);
    out
}

/// A library that this linker itself makes; empty as long as it can't.
fn library() -> Vec<u8> {
    let mut o = new();
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0xc3; 16], 16);
    symbol(&mut o, "imported", SymbolKind::Text, Some((text, 0, 16)));
    let files: MemoryFiles = [("x.o", o.write().unwrap())].into_iter().collect();
    let args = ["-shared", "-soname", "libx.so", "x.o"].map(String::from);
    link_args(&args, &files).map(|(image, _)| image).unwrap_or_default()
}
