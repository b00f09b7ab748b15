//! Inputs that no link can use, and options that choose among inputs.

use super::super::options::Options;
use super::super::stabs::shown;
use super::messages::says;
use super::*;
use crate::format::macho::{kind, nlist};

/// An archive with the member `name`, without an index.
fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!(
        "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        format!("{name}/"),
        0,
        0,
        0,
        644,
        bytes.len()
    );
    [b"!<arch>\n", header.as_bytes(), bytes].concat()
}

/// An object with a section of eight zeros.
fn with_section(segment: &str, name: &str, kind: u32) -> Vec<u8> {
    let mut maker = maker(true);
    let (segment, name) = (segment.as_bytes().to_vec(), name.as_bytes().to_vec());
    let section = maker.object.add_section(segment, name, object::SectionKind::Data);
    let flags = m::SectionFlags(kind);
    maker.object.section_mut(section).flags = object::SectionFlags::MachO { flags, reserved2: 0 };
    maker.object.append_section_data(section, &[0; 8], 8);
    maker.bytes()
}

#[test]
fn sections_that_linkers_make_are_refused() {
    let mut files = files(true);
    for (sort, name) in [
        (kind::GOT, "__got"),
        (kind::LAZY_POINTERS, "__la"),
        (kind::STUBS, "__stubs"),
        (kind::TLV_POINTERS, "__tp"),
    ] {
        files.insert("s.o", with_section("__DATA", name, sort));
        let text = says(true, "-dylib s.o l.tbd", &files);
        assert!(text.starts_with("s.o") && text.contains("slots of symbols"), "{text}");
    }
    for (segment, name) in
        [("__TEXT", "__stubs"), ("__DATA_CONST", "__got"), ("__TEXT", "__unwind_info")]
    {
        files.insert("s.o", with_section(segment, name, 0));
        files.insert("u.o", super::messages::unwound(true, 0, 4));
        let text = says(true, "-dylib s.o u.o l.tbd -undefined dynamic_lookup", &files);
        let place = format!("s.o:({segment},{name}+0x0): ");
        assert_eq!(text, format!("{place}the linker makes a section of this name"));
    }
    files.insert("s.o", with_section("__DATA", "__mine", 0));
    link_args(&args(true, "-dylib s.o l.tbd"), &files).expect("a name that is nobody's");
}

#[test]
fn more_than_a_page_is_no_alignment() {
    for (arm, page) in [(true, 14), (false, 12)] {
        let mut files = files(arm);
        let mut link = |shift| {
            let mut maker = maker(arm);
            let data = maker.object.section_id(StandardSection::Data);
            maker.object.append_section_data(data, &[1; 8], 1_u64 << shift);
            files.insert("s.o", maker.bytes());
            let (image, report) =
                link_args(&args(arm, "-dylib s.o l.tbd"), &files).expect("a link");
            let read = object::File::parse(&*image).expect("an image");
            let data = read.section_by_name("__data").expect("data");
            (data.address() % (1 << page), data.align(), report.warnings.len())
        };
        assert_eq!(link(page), (0, 1 << page, 0));
        for shift in [15, 16, 20] {
            assert_eq!(link(shift), (0, 1 << page, 1), "{shift}");
        }
    }
}

#[test]
fn symbols_that_mean_nothing_to_a_link_are_refused() {
    let mut files = files(true);
    let mut says = |maker: Maker| {
        files.insert("r.o", maker.bytes());
        super::messages::says(true, "-dylib r.o l.tbd", &files)
    };
    let mut maker = Maker::new(true);
    let resolver = maker.function("f", "puts", false);
    let n_desc = m::SymbolDesc(nlist::RESOLVER);
    maker.object.symbol_mut(resolver).flags =
        SymbolFlags::MachO { n_type: m::SymbolFlags(0xf), n_desc };
    assert_eq!(says(maker), "r.o: _f is a .symbol_resolver, which is not supported");
    let mut maker = Maker::new(true);
    maker.object.mangling = object::write::Mangling::None;
    maker.function("f", "", false);
    let text = says(maker);
    assert!(text.ends_with("is undefined and has no name"), "{text}");
}

#[test]
fn bytes_are_relocated_once() {
    for arm in [false, true] {
        for (second, wanted) in [(16, None), (12, Some(12)), (8, Some(8)), (4, Some(8))] {
            let mut maker = maker(arm);
            let data = maker.object.section_id(StandardSection::Data);
            let symbol = maker.symbol("environ", SymbolKind::Data, false);
            let start = maker.object.append_section_data(data, &[0; 24], 8);
            let r_type = m::X86_64_RELOC_UNSIGNED;
            let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
            for offset in [8, second].map(|skip| start + skip) {
                let relocation = Relocation { offset, symbol, addend: 0, flags };
                maker.object.add_relocation(data, relocation).expect("a relocation");
            }
            let mut files = files(arm);
            files.insert("r.o", maker.bytes());
            let linked = link_args(&args(arm, "-dylib r.o l.tbd"), &files);
            let said = linked.map(drop).map_err(|errors| errors.first().to_string());
            let text = |skip| {
                let place = format!("r.o:(__DATA,__data+{:#x})", start + skip);
                Err(format!("{place}: a second relocation of the same bytes"))
            };
            assert_eq!(said, wanted.map_or(Ok(()), text), "{arm} {second}");
        }
    }
}

#[test]
fn bitcode_is_named_wherever_it_is() {
    let mut files = files(true);
    for code in [&b"BC\xc0\xde1234"[..], b"\xde\xc0\x17\x0b1234"] {
        files.insert("b.o", code.to_vec());
        files.insert("b.a", archive("b.o", code));
        for (name, title) in [("b.o", "b.o"), ("-force_load b.a", "b.a(b.o)")] {
            let text = says(true, &format!("-dylib a.o {name} l.tbd"), &files);
            assert!(text.starts_with(title), "{text}");
            assert!(text.contains("LLVM bitcode") && text.contains("-flto"), "{text}");
        }
    }
}

#[test]
fn thread_local_variables_are_reached_as_such_only() {
    let mut files = files(true);
    let tbd = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: /v\nexports:\n  \
               - targets: [ arm64-macos ]\n    symbols: [ _g ]\n    thread-local-symbols: [ _v ]\n...\n";
    files.insert("v.tbd", tbd.as_bytes().to_vec());
    let access = (m::ARM64_RELOC_TLVP_LOAD_PAGE21, true);
    let plain = (m::ARM64_RELOC_GOT_LOAD_PAGE21, true);
    for (name, form, wrong) in [
        ("v", access, None),
        ("v", plain, Some("_v, which is thread-local")),
        ("g", access, Some("_g, which is not thread-local")),
        ("g", plain, None),
    ] {
        files.insert("r.o", relocated(true, &0x9000_0000_u32.to_le_bytes(), name, form));
        let linked = link_args(&args(true, "-dylib r.o v.tbd l.tbd"), &files);
        match (linked, wrong) {
            (Ok(_), None) => {}
            (Err(errors), Some(text)) => assert!(errors.to_string().contains(text), "{errors}"),
            (linked, _) => panic!("{name}: {:?}", linked.map(drop)),
        }
    }
}

#[test]
fn a_library_may_come_before_archives_of_all_folders() {
    let mut files = files(true);
    files.insert(
        "p/libx.a",
        archive("x.o", &relocated(true, &[0; 4], "puts", (m::ARM64_RELOC_BRANCH26, true))),
    );
    let (library, _) =
        link_args(&args(true, "-dylib -install_name /q/x a.o l.tbd"), &files).expect("a library");
    files.insert("q/libx.dylib", library);
    let mut maker = Maker::new(true);
    maker.function("main", "f", false);
    files.insert("m.o", maker.bytes());
    let link = |way: &str| link_args(&args(true, &format!("m.o -Lp -Lq -lx l.tbd{way}")), &files);
    let undefined = link("").expect_err("the archive has no _f").to_string();
    assert!(undefined.contains("undefined symbol: _f"), "{undefined}");
    link(" -search_dylibs_first").expect("the library has it");
    link(" -search_dylibs_first -search_paths_first").expect_err("the last one counts");
}

#[test]
fn the_debug_map_leaves_the_prefix_out() {
    let path = "/src/obj/a.o";
    for (prefix, wanted) in
        [("", path), (" -oso_prefix /src/", "obj/a.o"), (" -oso_prefix /no/", path)]
    {
        let line = format!("-dylib {path} l.tbd{prefix}");
        let options = Options::parse(&args(true, &line), &files(true)).expect(&line);
        assert_eq!(shown(&options, path), wanted, "{prefix}");
    }
    let here = std::env::current_dir().expect("a folder").join("a.o");
    let options = Options::parse(&args(true, "-oso_prefix ."), &files(true));
    assert_eq!(shown(&options.expect("options"), &here.display().to_string()), "a.o");
}

#[test]
fn commons_of_libraries_are_not_supported() {
    let files = files(true);
    link_args(&args(true, "-dylib a.o l.tbd -commons ignore_dylibs"), &files).expect("the default");
    let text = says(true, "-dylib a.o l.tbd -commons use_dylibs", &files);
    assert_eq!(text, "-commons: use_dylibs is not supported");
}

/// A name of a header is that of the image's own kind.
#[test]
fn a_header_is_called_as_the_image_is() {
    for (kind, mine) in [("execute -e _u", "execute"), ("dylib", "dylib"), ("bundle", "bundle")] {
        for name in ["execute", "dylib", "bundle"] {
            let mut files = files(true);
            files.insert("u.o", super::libraries::calling("u", &format!("_mh_{name}_header")));
            let linked = link_args(&args(true, &format!("-{kind} u.o l.tbd")), &files);
            let said = linked.map(drop).map_err(|errors| errors.first().kind());
            let wanted = Err(ErrorKind::UndefinedSymbol);
            assert_eq!(said, if name == mine { Ok(()) } else { wanted }, "{name} of {kind}");
        }
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let mut files = files(true);
    files.insert("list", b"_f\n_[x\n".to_vec());
    for (line, wanted) in [
        ("-e _f -stack_size 1800", "-stack_size: 0x1800 is not a multiple of 0x1000"),
        ("-dylib -stack_size 2000", "-stack_size: only a program has one"),
        ("-dylib -pagezero_size 4000", "-pagezero_size: only a program has one"),
        ("-bundle -init _f", "-init: only a library has one"),
        (
            "-dylib -no_exported_symbols -exported_symbol _f",
            "-no_exported_symbols: goes not with a list of symbols",
        ),
        ("-dylib -exported_symbol _[x", "-exported_symbol: not a pattern: _[x"),
        ("-dylib -unexported_symbol _[x", "-unexported_symbol: not a pattern: _[x"),
        ("-dylib -exported_symbols_list list", "-exported_symbols_list: list: not a pattern: _[x"),
    ] {
        assert_eq!(says(true, &format!("{line} a.o l.tbd"), &files), wanted);
    }
    link_args(&args(true, "-e _f -stack_size 2000 a.o l.tbd"), &files).expect("a stack");
}

/// Signed pointers are called, and call, in another way; a library's code stays its own.
#[test]
fn objects_of_arm64e_are_for_another_machine() {
    let signed = |mut bytes: Vec<u8>| {
        bytes[8..12].copy_from_slice(&0x8000_0002_u32.to_le_bytes());
        bytes
    };
    let mut files = files(true);
    let (library, _) = link_args(&args(true, "-dylib a.o l.tbd"), &files).expect("a library");
    files.insert("e.o", signed(sample(true)));
    files.insert("e.a", archive("e.o", &signed(sample(true))));
    files.insert("e.dylib", signed(library));
    files.insert("u.o", super::libraries::calling("u", "f"));
    for name in ["e.o", "e.a"] {
        let line = format!("-dylib {name} -arch_errors_fatal u.o l.tbd");
        let text = says(true, &line, &files);
        assert_eq!(text, format!("{name}: is for arm64e, the link for arm64"));
    }
    link_args(&args(true, "-dylib u.o e.dylib l.tbd"), &files).expect("a library for both");
}

/// What is missing, and what is missed because of it.
#[test]
fn what_a_missing_library_would_have_is_told_of() {
    let mut files = files(true);
    files.insert("u.o", super::libraries::calling("u", "z"));
    let linked = link_args(&args(true, "-dylib u.o -lz -framework Z no.o l.tbd"), &files);
    let all: Vec<_> = linked.expect_err("three files").iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(all[..2], ["framework not found: Z", "library not found: -lz"]);
    assert!(all[2].starts_with("no.o: "), "{all:?}");
    assert!(all[3].starts_with("u.o:") && all[3].ends_with("undefined symbol: _z"), "{all:?}");
    // Beside what is no object nothing is known.
    files.insert("no.o", b"no".to_vec());
    let linked = link_args(&args(true, "-dylib u.o -lz no.o l.tbd"), &files);
    assert_eq!(linked.expect_err("two files").iter().count(), 2);
}
