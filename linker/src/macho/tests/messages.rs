//! What errors say: the place, what it refers to, the number that is wrong.

use super::*;

/// The text of the one error of a link.
pub(super) fn says(arm: bool, more: &str, files: &MemoryFiles) -> String {
    link_args(&args(arm, more), files).map(drop).expect_err("no link").to_string()
}

/// An object with a function of six bytes or four and its entry in `__compact_unwind`.
pub(super) fn unwound(arm: bool, skip: i64, len: u32) -> Vec<u8> {
    let mut maker = Maker::new(arm);
    let symbol = maker.function("u", "puts", false);
    let name = |text: &str| text.as_bytes().to_vec();
    let unwind = maker.object.add_section(
        name("__LD"),
        name("__compact_unwind"),
        object::SectionKind::Debug,
    );
    let mut entry = [0; 32];
    entry[8..12].copy_from_slice(&len.to_le_bytes());
    let offset = maker.object.append_section_data(unwind, &entry, 8);
    let r_type = m::X86_64_RELOC_UNSIGNED;
    let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
    let relocation = Relocation { offset, symbol, addend: skip, flags };
    maker.object.add_relocation(unwind, relocation).expect("a relocation");
    maker.bytes()
}

#[test]
fn a_corrupt_unwind_entry_is_named_where_it_is() {
    for (arm, size) in [(true, 4), (false, 6)] {
        let mut files = files(arm);
        let mut link = |skip, len| {
            files.insert("u.o", unwound(arm, skip, len));
            link_args(&args(arm, "-dylib a.o u.o l.tbd"), &files).map_err(|e| e.to_string())
        };
        link(0, size).expect("the whole function");
        let site = "u.o:(__LD,__compact_unwind+0x8): ";
        let text = link(0, 0x7fff_ffff).expect_err("a length out of proportion");
        assert!(text.contains(&format!("{site}an unwind entry reaches over the end")), "{text}");
        let text = link(0, size + 1).expect_err("a byte too many");
        assert!(text.contains(site), "{text}");
        for skip in [-1, 0x7fff_ffff_0000, size as i64 + 1] {
            let text = link(skip, 0).expect_err("no function there");
            assert!(text.contains("u.o:(__LD,__compact_unwind+0x0): "), "{text}");
            assert!(text.contains("outside of its section"), "{text}");
        }
    }
}

/// The number `value` as a symbol of the object alone.
fn number(maker: &mut Maker, name: &str, value: u64) -> object::write::SymbolId {
    let symbol = maker.symbol(name, SymbolKind::Data, false);
    let number = maker.object.symbol_mut(symbol);
    (number.value, number.section) = (value, SymbolSection::Absolute);
    number.scope = SymbolScope::Compilation;
    symbol
}

/// Adds a variable `v` with a relocation at its start.
fn variable(
    maker: &mut Maker,
    section: StandardSection,
    (symbol, addend): (object::write::SymbolId, i64),
    (r_type, r_length): (m::RelocationType, u8),
) {
    let mine = maker.symbol("v", SymbolKind::Data, false);
    let section = maker.object.section_id(section);
    let offset = maker.object.add_symbol_data(mine, section, &[0; 16], 8);
    let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length };
    let relocation = Relocation { offset, symbol, addend, flags };
    maker.object.add_relocation(section, relocation).expect("a relocation");
}

#[test]
fn errors_of_pointers_name_place_symbol_and_number() {
    let plain = m::ARM64_RELOC_UNSIGNED;
    let mut files = files(true);
    let mut link = |section, local: bool, addend, length, way: &str| {
        let mut maker = Maker::new(true);
        let symbol = match local {
            true => {
                let id = maker.function("e", "f", false);
                maker.object.symbol_mut(id).scope = SymbolScope::Compilation;
                id
            }
            false => maker.symbol("environ", SymbolKind::Data, false),
        };
        variable(&mut maker, section, (symbol, addend), (plain, length));
        files.insert("v.o", maker.bytes());
        says(true, &format!("-dylib a.o v.o l.tbd{way}"), &files)
    };
    let far = link(StandardSection::Data, true, 1 << 40, 3, "");
    for part in ["v.o:(__DATA,__data+0x0)", "_e", "0x100000", "0..2^36-1", "-no_fixup_chains"] {
        assert!(far.contains(part), "{part}: {far}");
    }
    let text = link(StandardSection::Text, false, 0, 3, "");
    assert!(text.contains("v.o:(__TEXT,__text+") && text.contains("refers to _environ"), "{text}");
    let short = link(StandardSection::Data, false, 0, 2, "");
    assert!(short.contains("four bytes can't be mended"), "{short}");
    assert!(short.contains("refers to _environ"), "{short}");
}

#[test]
fn errors_of_code_name_the_symbol() {
    let mut files = files(true);
    let mut says = |code: u32, name: &str, form| {
        files.insert("r.o", relocated(true, &code.to_le_bytes(), name, form));
        super::messages::says(true, "-dylib a.o r.o l.tbd", &files)
    };
    let page = says(0x9000_0000, "environ", (m::ARM64_RELOC_PAGE21, true));
    assert!(page.contains("ARM64_RELOC_PAGE21 can't reach into another image"), "{page}");
    assert!(page.contains("r.o:(__TEXT,__text+0x0)") && page.contains("_environ"), "{page}");
    let variable = says(0x9000_0000, "f", (m::ARM64_RELOC_TLVP_LOAD_PAGE21, true));
    assert!(variable.contains("against _f, which is not thread-local"), "{variable}");
    for (code, kind, pcrel, name) in [
        (0xb000_0000, m::ARM64_RELOC_GOT_LOAD_PAGE21, true, "ARM64_RELOC_GOT_LOAD_PAGE21"),
        (0xf940_0400, m::ARM64_RELOC_GOT_LOAD_PAGEOFF12, false, "ARM64_RELOC_GOT_LOAD_PAGEOFF12"),
    ] {
        let slot = says(code, "environ", (kind, pcrel));
        assert!(slot.contains(&format!("{name} with an addend in the instruction")), "{slot}");
    }
    let stub = says(0x1400_0001, "puts", (m::ARM64_RELOC_BRANCH26, true));
    assert!(stub.contains("the stub of _puts, 4 bytes"), "{stub}");
}

#[test]
fn a_local_number_out_of_range_is_named() {
    let mut files = files(false);
    let mut maker = Maker::new(false);
    let far = number(&mut maker, "e", 1 << 40);
    variable(&mut maker, StandardSection::Data, (far, 0), (m::X86_64_RELOC_UNSIGNED, 2));
    files.insert("v.o", maker.bytes());
    let text = says(false, "-dylib a.o v.o l.tbd", &files);
    for part in ["v.o:(__DATA,__data+0x0)", "1099511627776", "-2^31..2^32-1", "refers to _e"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_short_difference_has_a_sign() {
    for (arm, title) in [(true, "ARM64_RELOC_SUBTRACTOR"), (false, "X86_64_RELOC_SUBTRACTOR")] {
        let mut files = files(arm);
        let mut link = |value: i64| {
            let mut maker = Maker::new(arm);
            let to = number(&mut maker, "to", value as u64);
            let from = number(&mut maker, "from", 0);
            maker.short_difference("d", to, from);
            files.insert("d.o", maker.bytes());
            link_args(&args(arm, "-dylib a.o d.o l.tbd"), &files).map_err(|e| e.to_string())
        };
        for value in [i32::MIN, -1, i32::MAX] {
            link(value.into()).expect("a signed number of 32 bits");
        }
        for value in [i64::from(i32::MIN) - 1, 1 << 31, u32::MAX.into()] {
            let text = link(value).expect_err("no such number");
            for part in [title, &format!("{value} is not in -2^31..2^31-1"), "_to - _from"] {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(text.contains("d.o:(__DATA,__data+0x0): "), "{text}");
        }
    }
}

#[test]
fn who_wants_an_undefined_symbol_is_named() {
    let files = files(true);
    for (more, end) in [
        ("-dylib a.o l.tbd -u _none", "undefined symbol: _none; wanted by -u"),
        ("-dylib a.o l.tbd -init _none", "undefined symbol: _none; wanted by -init"),
        ("-dylib a.o l.tbd -exported_symbol _none", "_none; wanted by -exported_symbol"),
        ("-e _none a.o l.tbd", "undefined symbol: _none; wanted by -e"),
        ("a.o l.tbd", "undefined symbol: _main; where a program starts, but for -e"),
    ] {
        let text = says(true, more, &files);
        assert!(text.ends_with(end), "{more}: {text}");
    }
}

#[test]
fn a_hidden_symbol_that_is_to_be_exported_is_named() {
    let mut maker = Maker::new(false);
    let hidden = maker.function("hidden", "puts", false);
    maker.object.symbol_mut(hidden).scope = SymbolScope::Linkage;
    maker.function("seen", "puts", false);
    let mut files = files(false);
    files.insert("h.o", maker.bytes());
    let line = "-dylib h.o l.tbd -exported_symbol _hidden -exported_symbol _seen";
    let (_, report) = link_args(&args(false, line), &files).expect("a link");
    let said = ["cannot export _hidden, which is hidden; -exported_symbol"];
    assert_eq!(report.warnings, said);
}

#[test]
fn a_fourth_personality_routine_is_named_with_its_function() {
    let mut maker = Maker::new(false);
    let name = |text: &str| text.as_bytes().to_vec();
    let unwind = maker.object.add_section(
        name("__LD"),
        name("__compact_unwind"),
        object::SectionKind::Debug,
    );
    for number in 0..4 {
        let function = maker.function(&format!("f{number}"), "puts", false);
        let routine = maker.function(&format!("p{number}"), "puts", false);
        let mut entry = [0; 32];
        entry[8] = 6;
        let offset = maker.object.append_section_data(unwind, &entry, 8);
        for (skip, symbol) in [(0, function), (16, routine)] {
            let r_type = m::X86_64_RELOC_UNSIGNED;
            let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
            let relocation = Relocation { offset: offset + skip, symbol, addend: 0, flags };
            maker.object.add_relocation(unwind, relocation).expect("a relocation");
        }
    }
    let mut files = files(false);
    files.insert("p.o", maker.bytes());
    let text = says(false, "-dylib p.o l.tbd", &files);
    assert!(text.contains("p.o:(__TEXT,__text+0x"), "{text}");
    assert!(text.ends_with("the unwind table has no room for _p3"), "{text}");
}

#[test]
fn an_initializer_out_of_reach_is_named_where_it_is() {
    let mut files = files(true);
    let mut maker = Maker::new(true);
    let start = maker.function("c1", "f", false);
    let (segment, name) = (b"__DATA".to_vec(), b"__mod_init_func".to_vec());
    let inits = maker.object.add_section(segment, name, object::SectionKind::Data);
    maker.object.section_mut(inits).flags = object::SectionFlags::MachO {
        flags: m::SectionFlags(crate::format::macho::kind::MOD_INIT),
        reserved2: 0,
    };
    maker.object.append_section_data(inits, &[0; 16], 8);
    let flags =
        RelocationFlags::MachO { r_type: m::ARM64_RELOC_UNSIGNED, r_pcrel: false, r_length: 3 };
    for (offset, addend) in [(0, 0), (8, 1 << 40)] {
        let relocation = Relocation { offset, symbol: start, addend, flags };
        maker.object.add_relocation(inits, relocation).expect("a relocation");
    }
    files.insert("i.o", maker.bytes());
    let text = says(true, "-dylib a.o i.o l.tbd", &files);
    for part in ["i.o:(__DATA,__mod_init_func+0x8): ", "0..2^32-1", "_c1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn options_that_make_no_sense_are_errors_or_warnings() {
    let mut files = files(true);
    let more = "-execute -pagezero_size 1 a.o l.tbd";
    let said = says(true, more, &files);
    assert!(said.contains("-pagezero_size: 0x1 is not a multiple"), "{said}");
    let whole = "-dylib -pagezero_size 0 -install_name x a.o l.tbd";
    let warnings = |more: &str, files: &MemoryFiles| {
        link_args(&args(true, more), files).expect(more).1.warnings
    };
    assert!(warnings(whole, &files).is_empty(), "a name");
    assert!(warnings("-e _f -pagezero_size 4000 a.o l.tbd", &files).is_empty(), "a page");
    for kind in ["-bundle", "-dylib"] {
        let said = warnings(&format!("{kind} -e _f a.o l.tbd"), &files);
        assert_eq!(said, ["-e has no effect: only a program has an entry"], "{kind}");
    }
    let mut maker = Maker::new(true);
    maker.function("main", "puts", false);
    files.insert("m.o", maker.bytes());
    for kind in ["-bundle", "-execute"] {
        let said = warnings(&format!("{kind} -install_name x m.o l.tbd"), &files);
        assert!(said.iter().any(|text| text.starts_with("-install_name has no effect")), "{kind}");
    }
}

/// A section of `__TEXT` that takes 3 GiB of memory, so that data is out of reach of code.
fn push_apart(maker: &mut Maker) {
    let kind = object::SectionKind::UninitializedData;
    let far = maker.object.add_section(b"__TEXT".to_vec(), b"__far".to_vec(), kind);
    maker.object.append_section_bss(far, 3 << 30, 8);
}

#[test]
fn every_stub_and_lazy_pointer_out_of_reach_is_named() {
    let mut files = files(false);
    let mut maker = Maker::new(false);
    maker.function("g", "puts", false);
    maker.function("h", "environ", false);
    push_apart(&mut maker);
    files.insert("f.o", maker.bytes());
    let stub = "- targets: [ x86_64-macos ]\n    symbols: [ dyld_stub_binder, _puts, _environ ]\n";
    let stub = format!(
        "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos ]\n\
         install-name: /usr/lib/libSystem.B.dylib\nexports:\n  {stub}...\n"
    );
    files.insert("l.tbd", stub.into_bytes());
    let chained = says(false, "-dylib f.o l.tbd", &files);
    let classic = says(false, "-dylib -no_fixup_chains f.o l.tbd", &files);
    for text in [&chained, &classic] {
        for name in ["_puts", "_environ"] {
            let found = text.lines().any(|line| {
                line.starts_with(&format!("the stub of {name} at 0x"))
                    && line.contains("can't reach its pointer at 0xc000")
            });
            assert!(found, "{name}: {text}");
        }
    }
    let helper = "can't reach the pointers of dyld_stub_binder";
    assert!(classic.contains(helper) && !chained.contains(helper), "{classic}\n{chained}");
    assert_eq!((chained.lines().count(), classic.lines().count()), (2, 3));
}

#[test]
fn every_unwind_record_out_of_reach_is_named_where_it_is() {
    let mut files = files(false);
    let mut maker = Maker::new(false);
    push_apart(&mut maker);
    let kind = object::SectionKind::Debug;
    let frame = maker.object.add_section(b"__TEXT".to_vec(), b"__eh_frame".to_vec(), kind);
    // A CIE with a personality routine in the GOT, `zPR`, and a FDE; twice.
    let cie = *b"\x18\0\0\0\0\0\0\0\x01zPR\0\x01\x78\x10\x06\x9b\0\0\0\0\x10\x0c\x07\x08\0\0";
    let fde = [&[0x18, 0, 0, 0, 0x20, 0, 0, 0][..], &[0; 20]].concat();
    for number in 0..2 {
        let function = maker.function(&format!("g{number}"), "puts", false);
        let routine = maker.symbol(["puts", "environ"][number], SymbolKind::Text, false);
        let offset = maker.object.append_section_data(frame, &cie, 4);
        let flags =
            RelocationFlags::MachO { r_type: m::X86_64_RELOC_GOT, r_pcrel: true, r_length: 2 };
        let relocation = Relocation { offset: offset + 18, symbol: routine, addend: 0, flags };
        maker.object.add_relocation(frame, relocation).expect("a relocation");
        let offset = maker.object.append_section_data(frame, &fde, 4);
        let here = maker.symbol(&format!("fde{offset}"), SymbolKind::Data, false);
        let symbol = maker.object.symbol_mut(here);
        symbol.scope = SymbolScope::Compilation;
        (symbol.value, symbol.section) = (offset + 8, SymbolSection::Section(frame));
        let (plain, minus) = (m::X86_64_RELOC_UNSIGNED, m::X86_64_RELOC_SUBTRACTOR);
        for (symbol, r_type) in [(function, plain), (here, minus)] {
            let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
            let relocation = Relocation { offset: offset + 8, symbol, addend: 0, flags };
            maker.object.add_relocation(frame, relocation).expect("a relocation");
        }
    }
    files.insert("f.o", maker.bytes());
    let text = says(false, "-dylib f.o l.tbd", &files);
    let records = text.lines().filter(|line| line.contains("an unwind record is too far"));
    let places: Vec<_> = records.filter_map(|line| line.split_once(": ")).collect();
    let sites = ["f.o:(__TEXT,__eh_frame+0x12)", "f.o:(__TEXT,__eh_frame+0x4a)"];
    assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), sites, "{text}");
}

#[test]
fn a_section_in_a_segment_of_the_linkers_own_is_named() {
    for arm in [false, true] {
        for (kind, segment) in ["-dylib", "-bundle", "-execute"]
            .into_iter()
            .flat_map(|kind| ["__PAGEZERO", "__LINKEDIT"].map(|segment| (kind, segment)))
        {
            let mut maker = Maker::new(arm);
            maker.function("main", "puts", false);
            let (segment_name, name) = (segment.as_bytes().to_vec(), b"__a".to_vec());
            let section = maker.object.add_section(segment_name, name, object::SectionKind::Data);
            maker.object.append_section_data(section, &[5; 8], 8);
            let mut files = files(arm);
            files.insert("p.o", maker.bytes());
            let text = says(arm, &format!("{kind} p.o l.tbd"), &files);
            let wanted = format!("p.o:({segment},__a+0x0): the segment {segment} has no sections");
            assert!(text.starts_with(&wanted), "{arm} {kind}: {text}");
        }
    }
}
