//! What the emitter writes, read back by the `object` crate and beside what clang makes of the same case's text.

use std::time::Duration;

use ::object::read::macho::MachOFile64;
use ::object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, SectionIndex};
use scold_diff::adapter::{self, Outcome};
use scold_diff::run::{self, End, Limits, Scratch};
use scold_diff::{Mode, Target};

use super::{can_have, object as write, request};
use crate::Case;
use crate::case::{Input, Object, Opt};
use crate::emit::{self, asm};
use crate::generate;
use crate::generate::macho::{matrix, sweep, worlds};
use crate::machine::macho as machine;
use crate::text;

/// Everything that assembler text can say, for x86-64.
const AMD64: &str = include_str!("tests/amd64.case");
/// The same for arm64.
const ARM64: &str = include_str!("tests/arm64.case");
/// Archives and libraries of every kind.
const INPUTS: &str = include_str!("tests/inputs.case");

fn cases() -> impl Iterator<Item = Case> {
    [AMD64, ARM64].into_iter().map(|text| text::parse(text).unwrap())
}

fn objects(case: &Case) -> Vec<Object> {
    case.objects().into_iter().cloned().collect()
}

type File<'a> = MachOFile64<'a, Endianness>;

/// `SEGMENT,SECTION` of a section.
fn name(section: &::object::read::macho::MachOSection64<'_, '_>) -> String {
    format!("{},{}", section.segment_name().unwrap().unwrap_or(""), section.name().unwrap())
}

/// What counts of an object: sections with contents, symbols and relocations by name.
fn shape(bytes: &[u8]) -> Vec<String> {
    let file = File::parse(bytes).unwrap();
    let mut list = Vec::new();
    let flags = file.macho_header().flags.get(Endianness::Little);
    list.push(format!("flags {:#x}", flags.0));
    for section in file.sections().filter(|section| section.size() > 0) {
        let (name, header) = (name(&section), section.macho_section());
        // S_ATTR_SOME_INSTRUCTIONS is clang's where it wrote some itself.
        let flags = header.flags.get(Endianness::Little).0 & !0x400;
        let data = section.data().unwrap();
        let size = (section.align(), section.size());
        let mut data = data.to_vec();
        for reloc in section.macho_relocations().unwrap() {
            let info = reloc.info(Endianness::Little);
            // The field of a POINTER_TO_GOT is nobody's; clang has a number there.
            let field = info.r_address as usize..info.r_address as usize + (1 << info.r_length);
            if !info.r_extern && info.r_symbolnum > 0 && info.r_length == 3 {
                // The address is one of its file.
                let field = &mut data[field.clone()];
                let value = u64::from_le_bytes((&*field).try_into().unwrap());
                let section = SectionIndex(info.r_symbolnum as usize);
                let base = file.section_by_index(section).unwrap().address();
                field.copy_from_slice(&(value - base).to_le_bytes());
            }
            let to_got =
                file.architecture() == ::object::Architecture::Aarch64 && info.r_type.0 == 7;
            if to_got && info.r_length == 2 {
                data[field].fill(0);
            }
            list.push(format!("{name} {}", relocation(&file, &info)));
        }
        list.push(format!("{name} {size:?} {flags:#x} {data:x?}"));
    }
    for symbol in file.symbols().filter(|s| !s.name().unwrap().starts_with("ltmp")) {
        let nlist = symbol.macho_symbol();
        let place = symbol.section_index().map(|index| {
            let section = file.section_by_index(index).unwrap();
            format!("{}+{:#x}", name(&section), symbol.address() - section.address())
        });
        let place = place.unwrap_or_else(|| format!("{:#x}", symbol.address()));
        // `.reference` is the only way to name what nothing refers to, and keeps it.
        let kept = if symbol.is_undefined() { 0x20 } else { 0 };
        let desc = nlist.n_desc.get(Endianness::Little).0 & !kept;
        list.push(format!("{} {:#x} {desc:#x} {place}", symbol.name().unwrap(), nlist.n_type.0));
    }
    list.sort();
    list
}

/// A row of a relocation table. Of SIGNED_N the field is compared, clang writes SIGNED where the addend isn't 0.
fn relocation(file: &File<'_>, info: &::object::macho::RelocationInfo) -> String {
    let target = match (info.r_extern, info.r_symbolnum) {
        (true, index) => {
            let index = ::object::SymbolIndex(index as usize);
            file.symbol_by_index(index).unwrap().name().unwrap().to_owned()
        }
        (false, number) => file
            .section_by_index(SectionIndex(number as usize))
            .map_or_else(|_| format!("{number:#x}"), |section| name(&section)),
    };
    let kind = match (file.architecture(), info.r_type.0) {
        (::object::Architecture::X86_64, 6..=8) => 1,
        (_, kind) => kind,
    };
    let (pcrel, length) = (info.r_pcrel, info.r_length);
    format!("+{:#06x} {kind} {pcrel} {length} {target}", info.r_address)
}

/// Cases of each engine that clang is asked about.
const FEW: usize = 20;

#[test]
fn clang_makes_the_same_object_of_the_text() {
    let Some(clang) =
        ["clang-22", "clang-19", "clang"].into_iter().find_map(|c| run::find(c).pop())
    else {
        eprintln!("skipped: no clang here (apt-get install clang)");
        assert!(std::env::var("SCOLD_REQUIRE").as_deref() != Ok("all"));
        return;
    };
    let compare = |one: &Object, target: Target| {
        let (made, text) = assemble(&clang, one, target);
        assert_eq!(shape(&made), shape(&write(one, target)), "{text}");
    };
    for case in cases() {
        for one in objects(&case) {
            assert!(asm::macho::is_whole(&one, case.target), "{}", asm::object(&one, case.target));
            compare(&one, case.target);
        }
    }
    for target in [Target::AMD64_MACHO, Target::ARM64_MACHO] {
        let mut whole = 0;
        let matrix = (0..matrix::count()).step_by(37).filter_map(|n| matrix::case(target, n));
        let count = sweep::count(target) as usize;
        let sweep = (0..count as u64).step_by(count / FEW).filter_map(|n| sweep::case(target, n));
        let random = (0..FEW as u64).map(|n| generate::seeded(2, n, target, Mode::CShared));
        let worlds = (0..FEW as u64).filter_map(|n| worlds::seeded(2, n, target, Mode::Plugin));
        let all = matrix.take(FEW).chain(sweep).chain(random).chain(worlds);
        for case in all {
            for one in objects(&case).iter().filter(|one| asm::macho::is_whole(one, target)) {
                compare(one, target);
                whole += 1;
            }
        }
        assert!(whole >= 4 * FEW, "{target}: {whole}");
    }
}

/// Clang takes no difference of a name that the file does not have, for amd64: the text says what is missing.
#[test]
fn text_that_is_not_the_whole_object_says_so() {
    let clang = ["clang-22", "clang-19", "clang"].into_iter().find_map(|c| run::find(c).pop());
    for (from, to) in [
        ("X86_64_RELOC_SUBTRACTOR.4 _h", "X86_64_RELOC_SUBTRACTOR.4 _ext"),
        ("X86_64_RELOC_UNSIGNED.4 _g 7", "X86_64_RELOC_UNSIGNED.4 _com 7"),
        ("X86_64_RELOC_SUBTRACTOR _f", "X86_64_RELOC_SUBTRACTOR _ext"),
    ] {
        assert!(AMD64.contains(from));
        let case = text::parse(&AMD64.replace(from, to)).unwrap();
        let one = &objects(&case)[0];
        let text = asm::object(one, case.target);
        let head = "// this text is not the whole object: relocations left as comments: 2\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("// here X86_64_RELOC_SUBTRACTOR"), "{text}");
        if let Some(clang) = &clang {
            assemble(clang, one, case.target);
        }
    }
    for case in cases() {
        let one = &objects(&case)[0];
        assert!(!asm::object(one, case.target).contains("not the whole object"));
    }
}

#[test]
fn every_linker_takes_what_is_written() {
    for source in [AMD64, ARM64, INPUTS] {
        let mut case = text::parse(source).unwrap();
        case.options.push(Opt::DynamicLookup);
        let request = request(&case);
        let linkers = adapter::select(&["all".into()], &[]).unwrap();
        let mut takers = 0;
        for linker in linkers.iter().filter(|linker| linker.serves(case.target)) {
            let outcome = linker.link(&request, Duration::from_secs(10));
            let name = linker.name();
            match outcome {
                Outcome::Linked(_) => takers += 1,
                Outcome::Unsupported(why) => println!("not asked: {name}: {why}"),
                other => panic!("{name}: {other:?}\n{source}"),
            }
        }
        // The reference and the toolchain's lld are everywhere.
        assert!(takers >= 2, "{takers}\n{source}");
    }
}

/// Assembles the text of an object as its heading says.
fn assemble(clang: &std::path::Path, one: &Object, target: Target) -> (Vec<u8>, String) {
    let scratch = Scratch::new().unwrap();
    let text = asm::object(one, target);
    scratch.write("a.s", text.as_bytes()).unwrap();
    let command = asm::macho::command(target, "a.o");
    let mut args: Vec<&str> = command.split(' ').skip(1).collect();
    args.pop();
    args.push("a.s");
    let run = run::run(clang, &args, scratch.path(), &[], Limits::default()).unwrap();
    assert_eq!(run.end, End::Exit(0), "{}\n{text}", run.err());
    (std::fs::read(scratch.path().join("a.o")).unwrap(), text)
}

/// Every byte of every relocation's row, where what it refers to is a section.
#[test]
fn relocations_of_sections_have_the_address_in_their_object() {
    let case = "case amd64-macho c-shared\nobject a.o {\n\
         section __TEXT,__text progbits ax align=1 {\n\
         hex 48 8d 05 00 00 00 00 c6 05 00 00 00 00 01\n\
         reloc 3 X86_64_RELOC_SIGNED [__TEXT,__const] 1\n\
         reloc 9 X86_64_RELOC_SIGNED_1 [__TEXT,__const]\n\
         }\n\
         section __DATA,__data progbits aw align=8 {\n\
         fill 0 16\nreloc 0 X86_64_RELOC_UNSIGNED [__TEXT,__const] -1\n}\n\
         section __TEXT,__const progbits a align=16 {\nhex 01 02\n}\n}\n";
    let case = text::parse(case).unwrap();
    let bytes = write(case.objects()[0], case.target);
    let file = File::parse(&*bytes).unwrap();
    let sections: Vec<_> = file.sections().collect();
    let (text, data) = (sections[0].data().unwrap(), sections[1].data().unwrap());
    assert_eq!(sections[2].address(), 0x20);
    // 0x20 + 1 - (3 + 4); 0x20 - (9 + 4 + 1): both from where the field is in the file.
    assert_eq!(text, [0x48, 0x8d, 5, 0x1a, 0, 0, 0, 0xc6, 5, 0x12, 0, 0, 0, 1]);
    assert_eq!(data[..8], 0x1f_u64.to_le_bytes());
    let rows = |i: usize| -> Vec<String> {
        let section: &::object::read::macho::MachOSection64<'_, '_> = &sections[i];
        let rows = section.macho_relocations().unwrap().iter();
        rows.map(|row| relocation(&file, &row.info(Endianness::Little))).collect()
    };
    assert_eq!(rows(0), ["+0x0009 1 true 2 __TEXT,__const", "+0x0003 1 true 2 __TEXT,__const"]);
    assert_eq!(rows(1), ["+0x0000 0 false 3 __TEXT,__const"]);
}

/// A reference that leads nowhere is 0, and nothing panics.
#[test]
fn indexes_outside_of_the_object_are_written() {
    use crate::case::{Definition, SymbolRef};
    let mut case = cases().next().unwrap();
    for one in case.objects_mut() {
        for reloc in one.sections.iter_mut().flat_map(|section| &mut section.relocs) {
            reloc.symbol = SymbolRef::Section(99);
            reloc.offset = u64::MAX - 1;
        }
        for symbol in &mut one.symbols {
            symbol.definition = Definition::Section { section: 99, offset: u64::MAX };
        }
    }
    let request = request(&case);
    assert!(File::parse(&*request.files[0].bytes).is_ok());
    let _ = asm::text(&case, &request);
}

#[test]
fn archives_list_what_members_define() {
    use ::object::read::archive::ArchiveFile;
    let case = text::parse(INPUTS).unwrap();
    let request = request(&case);
    let bytes = &request.file("lib1.a").unwrap().bytes;
    let archive = ArchiveFile::parse(&**bytes).unwrap();
    let mut found = Vec::new();
    for symbol in archive.symbols().unwrap().unwrap() {
        let symbol = symbol.unwrap();
        let member = archive.member(symbol.offset()).unwrap();
        let names = [symbol.name(), member.name()].map(|name| String::from_utf8_lossy(name));
        found.push(names.join(" "));
    }
    let expected = ["_m m1.o", "_c m1.o", "_other member_with_a_long_name.o"];
    assert_eq!(found, expected);
    for member in archive.members() {
        let (at, _) = member.unwrap().file_range();
        assert_eq!(at % 8, 0);
    }
    let args = request.args.join(" ");
    let expected = "-dead_strip -platform_version macos 11.0 26.0 -exported_symbol _f \
         -install_name @rpath/scold.dylib a.o lib1.a -force_load lib2.a -weak_library libx.dylib liby.dylib \
         libSystem.tbd";
    assert_eq!(args, expected);
}

#[test]
fn libraries_export_what_they_define() {
    let case = text::parse(INPUTS).unwrap();
    let request = request(&case);
    let bytes = &request.file("libx.dylib").unwrap().bytes;
    let file = File::parse(&**bytes).unwrap();
    let symbol = |name| file.symbols().find(|symbol| symbol.name() == Ok(name)).unwrap();
    assert_eq!(symbol("_xa").address(), 0x77);
    assert_eq!(symbol("_xd").address(), symbol("_xd2").address());
    assert!(symbol("_xu").is_undefined());
    let weak = symbol("_wk").macho_symbol().n_desc.get(Endianness::Little).0;
    assert_eq!(weak, 0x80);
    let exports = file.exports().unwrap().map(|export| format!("{:?}", export.unwrap()));
    let exports = exports.collect::<Vec<_>>().join("\n");
    for name in ["_x", "_xd", "_xd2", "_wk", "_xt", "_xc", "_xa"] {
        let address = symbol(name).address();
        let wanted = match name {
            "_xt" => format!("name: \"{name}\", target: TlvDescriptor {{ address: {address} }}"),
            "_xa" => format!("name: \"{name}\", target: Absolute {{ value: {address} }}"),
            "_wk" => format!("name: \"{name}\", target: Address {{ address: {address} }}, weak"),
            _ => format!("name: \"{name}\", target: Address {{ address: {address} }}"),
        };
        assert!(exports.contains(&wanted), "{wanted}\n{exports}");
    }
    assert!(!exports.contains("_xu"));
    let number = emit::library::number("libx.dylib", 2).to_le_bytes();
    let at = symbol("_xd").address();
    let section = file.sections().find(|s| s.name() == Ok("__data")).unwrap();
    assert_eq!(section.data_range(at, 8).unwrap().unwrap(), number);
    assert_eq!(Input::Library(library(&case)), case.inputs[3]);
}

fn library(case: &Case) -> crate::case::Library {
    let Input::Library(library) = &case.inputs[3] else { panic!("no library") };
    assert_eq!(super::install_name(library), "/scold/libx.dylib");
    library.clone()
}

#[test]
fn addends_go_where_they_have_room() {
    use scold_diff::Arch::{Amd64, Arm64};
    let rows = [
        (Amd64, machine::amd64::X86_64_RELOC_UNSIGNED, i64::MIN, true),
        (Amd64, machine::amd64::X86_64_RELOC_UNSIGNED_4, 0xffff_ffff, true),
        (Amd64, machine::amd64::X86_64_RELOC_UNSIGNED_4, 0x1_0000_0000, false),
        (Amd64, machine::amd64::X86_64_RELOC_SIGNED, 0x7fff_ffff, true),
        (Amd64, machine::amd64::X86_64_RELOC_SIGNED, 0x8000_0000, false),
        (Amd64, machine::amd64::X86_64_RELOC_SIGNED_4, 0x8000_0003, true),
        (Amd64, machine::amd64::X86_64_RELOC_SUBTRACTOR, 1, false),
        (Arm64, machine::arm64::ARM64_RELOC_PAGE21, -0x80_0000, true),
        (Arm64, machine::arm64::ARM64_RELOC_PAGE21, 0x80_0000, false),
        (Arm64, machine::arm64::ARM64_RELOC_GOT_LOAD_PAGE21, 8, false),
        (Arm64, machine::arm64::ARM64_RELOC_POINTER_TO_GOT, 8, false),
        (Arm64, 0xff, 0, false),
    ];
    for (arch, r_type, addend, expected) in rows {
        assert_eq!(can_have(arch, r_type, addend), expected, "{arch:?} {r_type:#x} {addend:#x}");
    }
}
