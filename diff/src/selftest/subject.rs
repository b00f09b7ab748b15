//! The links that faults are planted into: objects with a bit of everything, written here so that no
//! assembler is needed.
//!
//! [`all`] has one for each kind of output: a plain library, one with versions and packed relocations,
//! a position-independent and a fixed program that use a library.

mod arm64;
mod frames;
mod macho;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope, elf,
};

use crate::adapter::{Adapter as _, Reference};
use crate::model::{MARKER_MAGIC, digest};
use crate::{File, Mode, Request, Target};

/// Every subject, with its name.
pub(crate) fn all() -> Vec<(&'static str, Request)> {
    let mut versioned = request();
    versioned.args.extend(
        ["libs.so", "--version-script=v.map", "-soname=subject.so", "-z", "pack-relative-relocs"]
            .map(String::from),
    );
    versioned.files.push(library());
    let script = b"V1 { global: f; v; };\nV2 { global: t; table; scold*; } V1;\n";
    versioned.files.push(File { name: "v.map".into(), bytes: Arc::from(&script[..]) });
    let program = |mode| Request {
        mode,
        args: vec!["a.o".into(), "libs.so".into()],
        files: vec![object(Some(mode)), library()],
        ..request()
    };
    let mut list = vec![
        ("library", request()),
        ("versioned", versioned),
        ("pie", program(Mode::Pie)),
        ("exe", program(Mode::Exe)),
    ];
    list.extend(arm64::all());
    list
}

/// Every subject of Mach-O, with its name.
pub(crate) fn macho() -> Vec<(&'static str, Request)> {
    macho::all()
}

/// A program that exports what a list names.
fn listed() -> Request {
    let list = b"{ f; };\n";
    let mode = Mode::Pie;
    Request {
        mode,
        args: ["a.o", "libs.so", "--dynamic-list=d.list"].map(String::from).into(),
        files: vec![
            object(Some(mode)),
            library(),
            File { name: "d.list".into(), bytes: Arc::from(&list[..]) },
        ],
        ..request()
    }
}

/// What a linker with a fault of its own is given beside random cases.
pub(crate) fn for_faults() -> Vec<Request> {
    all().into_iter().map(|(_, request)| request).chain([listed()]).collect()
}

/// The plain library.
pub(crate) fn request() -> Request {
    Request {
        target: Target::AMD64_ELF,
        mode: Mode::Shared,
        args: vec!["a.o".into()],
        files: vec![object(None)],
        goos: None,
    }
}

/// What the programs are linked with; who made it is of no interest.
fn library() -> File {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let text = section(&mut object, ".text", SectionKind::Text);
        let data = section(&mut object, ".data", SectionKind::Data);
        let f_at = object.append_section_data(text, &[0xc3; 8], 16);
        let v_at = object.append_section_data(data, &[0x33; 16], 16);
        define(&mut object, "lib_f", text, f_at, SymbolKind::Text, 8);
        define(&mut object, "g", text, f_at, SymbolKind::Text, 8);
        define(&mut object, "lib_v", data, v_at, SymbolKind::Data, 16);
        let bytes: Arc<[u8]> = object.write().unwrap_or_default().into();
        let script = b"LIB_1 { global: *; };\n";
        let request = Request {
            args: ["l.o", "-soname=libs.so", "--version-script=l.map"].map(String::from).into(),
            files: vec![
                File { name: "l.o".into(), bytes },
                File { name: "l.map".into(), bytes: Arc::from(&script[..]) },
            ],
            ..Request {
                target: Target::AMD64_ELF,
                mode: Mode::Shared,
                args: vec![],
                files: vec![],
                goos: None,
            }
        };
        let outcome = Reference::default().link(&request, Duration::from_secs(60));
        Arc::from(outcome.image().unwrap_or_default())
    });
    File { name: "libs.so".into(), bytes: bytes.clone() }
}

/// The object; a program, of that mode, has an entry that uses a library.
fn object(program: Option<Mode>) -> File {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let text = section(&mut object, ".text", SectionKind::Text);
    let data = section(&mut object, ".data", SectionKind::Data);
    let rodata = section(&mut object, ".rodata", SectionKind::ReadOnlyData);
    let relro = section(&mut object, ".data.rel.ro", SectionKind::ReadOnlyDataWithRel);
    let tdata = section(&mut object, ".tdata", SectionKind::Tls);
    let init = object.add_section(vec![], b".init_array".to_vec(), SectionKind::Data);
    object.section_mut(init).flags = object::SectionFlags::Elf {
        sh_flags: elf::SHF_ALLOC | elf::SHF_WRITE,
        sh_type: elf::SHT_INIT_ARRAY,
    };
    // f: call g@PLT; mov v@GOTPCREL(%rip),%rax; lea table(%rip),%rcx; ret
    let code = [
        &[0xe8, 0, 0, 0, 0][..],
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0],
        &[0x48, 0x8d, 0x0d, 0, 0, 0, 0],
        &[0xc3],
    ]
    .concat();
    let f_at = object.append_section_data(text, &code, 16);
    let body = [&[0x48, 0xb8][..], &0x5c01_d000_0000_0001_u64.to_le_bytes(), &[0xc3]].concat();
    let probe_at = object.append_section_data(text, &body, 16);
    let v_at = object.append_section_data(data, &[0x11; 16], 8);
    let slot_at = object.append_section_data(data, &[0; 16], 8);
    let table_at = object.append_section_data(rodata, b"a table of bytes", 1);
    let pointer_at = object.append_section_data(relro, &[0; 8], 8);
    let t_at = object.append_section_data(tdata, &[0x22; 8], 8);
    let init_at = object.append_section_data(init, &[0; 8], 8);

    let f = define(&mut object, "f", text, f_at, SymbolKind::Text, code.len() as u64);
    // Run at load: it needs nothing, where f would call a g that nobody has.
    let probe =
        define(&mut object, "scold.probe.1", text, probe_at, SymbolKind::Text, body.len() as u64);
    let v = define(&mut object, "v", data, v_at, SymbolKind::Data, 16);
    let table = define(&mut object, "table", rodata, table_at, SymbolKind::Data, 16);
    let t = define(&mut object, "t", tdata, t_at, SymbolKind::Tls, 8);
    let g = undefined(&mut object, "g", program.is_none());
    let w = undefined(&mut object, "w", true);
    relocate(&mut object, text, f_at + 1, elf::R_X86_64_PLT32, g, -4);
    relocate(&mut object, text, f_at + 8, elf::R_X86_64_REX_GOTPCRELX, v, -4);
    let hidden = object.section_symbol(rodata);
    let into_table = i64::try_from(table_at).unwrap_or(0) - 4;
    relocate(&mut object, text, f_at + 15, elf::R_X86_64_PC32, hidden, into_table);
    relocate(&mut object, data, slot_at, elf::R_X86_64_64, f, 0);
    relocate(&mut object, data, slot_at + 8, elf::R_X86_64_64, w, 0);
    relocate(&mut object, relro, pointer_at, elf::R_X86_64_64, table, 3);
    relocate(&mut object, init, init_at, elf::R_X86_64_64, probe, 0);
    if let Some(mode) = program {
        uses(&mut object, text, t, mode);
    }
    let functions = [(f_at, code.len() as u64), (probe_at, body.len() as u64)];
    let text = object.section_symbol(text);
    let frames = frames::Frames { text, functions, table: hidden, table_at, slot: relro };
    frames.add(&mut object, f);
    File { name: "a.o".into(), bytes: object.write().unwrap_or_default().into() }
}

/// `_start`: a call, an address and a variable of the library, a TLS variable through the GOT.
fn uses(object: &mut Object<'_>, text: SectionId, t: SymbolId, mode: Mode) {
    // call lib_f@PLT; mov $lib_f,%rax; mov lib_v(%rip),%rcx; mov t@GOTTPOFF(%rip),%rdx; ret
    let address = if mode == Mode::Exe { [0x48, 0xc7, 0xc0] } else { [0x48, 0x8d, 0x05] };
    let code = [
        &[0xe8, 0, 0, 0, 0][..],
        &address,
        &[0; 4],
        &[0x48, 0x8b, 0x0d, 0, 0, 0, 0],
        &[0x48, 0x8b, 0x15, 0, 0, 0, 0],
        &[0xc3],
    ]
    .concat();
    let at = object.append_section_data(text, &code, 16);
    define(object, "_start", text, at, SymbolKind::Text, code.len() as u64);
    let function = undefined(object, "lib_f", false);
    let variable = undefined(object, "lib_v", false);
    relocate(object, text, at + 1, elf::R_X86_64_PLT32, function, -4);
    // bfd makes canonical PLT entries only for absolute addresses; where the program moves, its own
    // code's address stands there.
    match mode {
        Mode::Exe => relocate(object, text, at + 8, elf::R_X86_64_32S, function, 0),
        _ => {
            let own = object.section_symbol(text);
            relocate(object, text, at + 8, elf::R_X86_64_PC32, own, 12);
        }
    }
    relocate(object, text, at + 15, elf::R_X86_64_PC32, variable, -4);
    relocate(object, text, at + 22, elf::R_X86_64_GOTTPOFF, t, -4);
}

/// A section that starts with its marker.
fn section(object: &mut Object<'_>, name: &str, kind: SectionKind) -> SectionId {
    let id = object.add_section(vec![], name.as_bytes().to_vec(), kind);
    let marker = [MARKER_MAGIC, digest(name.as_bytes()).to_le_bytes()].concat();
    object.append_section_data(id, &marker, 16);
    id
}

fn define(
    object: &mut Object<'_>,
    name: &str,
    section: SectionId,
    value: u64,
    kind: SymbolKind,
    size: u64,
) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value,
        size,
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}

fn undefined(object: &mut Object<'_>, name: &str, weak: bool) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Dynamic,
        weak,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    })
}

fn relocate(
    object: &mut Object<'_>,
    section: SectionId,
    offset: u64,
    r_type: elf::RelocationType,
    symbol: SymbolId,
    addend: i64,
) {
    let flags = RelocationFlags::Elf { r_type };
    // The writer knows every symbol and section used here.
    let _ = object.add_relocation(section, Relocation { offset, symbol, addend, flags });
}
