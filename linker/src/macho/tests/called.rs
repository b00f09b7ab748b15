//! What runs first: lists of functions that the loader calls, what Objective-C's runtime reads of an image.

use super::*;
use crate::format::macho::{kind, lc, read};

/// Adds `section` of `__DATA`, of this sort and with these bytes; the pointers at offsets are to symbols.
fn add(
    maker: &mut Maker,
    (section, sort): (&str, u32),
    bytes: &[u8],
    pointers: &[(u64, object::write::SymbolId)],
) {
    let id =
        maker.object.add_section(b"__DATA".to_vec(), section.into(), object::SectionKind::Data);
    let flags = m::SectionFlags(sort);
    maker.object.section_mut(id).flags = object::SectionFlags::MachO { flags, reserved2: 0 };
    maker.object.append_section_data(id, bytes, 8);
    for &(offset, symbol) in pointers {
        let r_type = m::X86_64_RELOC_UNSIGNED;
        let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
        let relocation = Relocation { offset, symbol, addend: 0, flags };
        maker.object.add_relocation(id, relocation).expect("a relocation");
    }
}

/// An object with such a list of functions, which are to be a function, a variable, or what others have.
fn list(arm: bool, section: (&str, u32), size: usize, names: &[(u64, &str)]) -> Vec<u8> {
    let mut maker = Maker::new(arm);
    let f = maker.function("f", "puts", false);
    let v = maker.symbol("v", SymbolKind::Data, false);
    let data = maker.object.section_id(StandardSection::Data);
    maker.object.add_symbol_data(v, data, &[7; 8], 8);
    let mut symbol = |name: &str| match name {
        "f" => f,
        "v" => v,
        other => maker.symbol(other, SymbolKind::Text, false),
    };
    let pointers: Vec<_> = names.iter().map(|(offset, name)| (*offset, symbol(name))).collect();
    add(&mut maker, section, &vec![0; size], &pointers);
    maker.bytes()
}

#[test]
fn what_the_loader_calls_is_code() {
    let bad = "no function to call: ";
    for (bytes, pointers, wanted) in [
        (16, &[(0, "f"), (8, "puts")][..], None),
        (8, &[(0, "v")], Some((0, format!("{bad}_v is no code")))),
        (16, &[(0, "f")], Some((8, format!("{bad}the loader would call address 0 or a number")))),
        (4, &[], Some((0, "a list of functions of 4 bytes: no whole pointers".to_owned()))),
        (8, &[(0, "nobody")], Some((0, "undefined symbol: _nobody".to_owned()))),
    ] {
        let lists = [("__mod_init_func", kind::MOD_INIT), ("__mod_term_func", kind::MOD_TERM)];
        for (name, sort) in lists {
            for (arm, way) in [(true, ""), (false, ""), (true, " -no_fixup_chains")] {
                let mut files = files(arm);
                files.insert("i.o", list(arm, (name, sort), bytes, pointers));
                let linked = link_args(&args(arm, &format!("-dylib i.o l.tbd{way}")), &files);
                let said = linked.map(drop).map_err(|errors| errors.first().to_string());
                let wanted = wanted
                    .as_ref()
                    .map(|(at, text)| format!("i.o:(__DATA,{name}+{at:#x}): {text}"));
                let said = said.err();
                let alike =
                    said.as_ref().zip(wanted.as_ref()).is_some_and(|(s, w)| s.starts_with(w));
                assert!(alike || said == wanted, "{way}: {said:?}, not {wanted:?}");
            }
        }
    }
}

/// The bytes of an image's remark.
fn info(image: &[u8]) -> &[u8] {
    let file = read::File::parse(image).expect("an image");
    let sections = file.sections().expect("sections");
    let info = sections.iter().find(|section| section.name == b"__objc_imageinfo").unwrap();
    file.bytes.slice(info.offset as usize, info.size as usize).unwrap()
}

/// The runtime reads one remark: of several objects it is what holds for all.
#[test]
fn remarks_for_objective_c_are_one() {
    let link = |all: &[(u32, u32)]| {
        let mut files = files(true);
        let names = ["x.o", "y.o", "z.o"];
        for (name, (version, flags)) in names.iter().zip(all) {
            let mut maker = Maker::new(true);
            let bytes = [version.to_le_bytes(), flags.to_le_bytes()].concat();
            add(&mut maker, ("__objc_imageinfo", 0x1000_0000), &bytes, &[]);
            files.insert(name, maker.bytes());
        }
        let line = format!("-dylib a.o {} l.tbd", names[..all.len()].join(" "));
        let linked = link_args(&args(true, &line), &files);
        linked.map(|linked| linked.0).map_err(|errors| errors.first().to_string())
    };
    for (all, wanted) in [
        (&[(0, 0x42)][..], 0x40),
        (&[(0, 0), (0, 0x0503_0740), (0, 0x40)], 0x0503_0700),
        (&[(0, 0x40), (0, 0x0503_0740), (0, 0x0501_0740)], 0x0501_0740),
        // Who knows what it says.
        (&[(1, 0x740), (0, 0x40)], 0),
    ] {
        let image = link(all).expect("a link");
        assert_eq!(info(&image), [[0; 4], u32::to_le_bytes(wanted)].concat(), "{all:x?}");
    }
    // What others' -r makes of several objects.
    let mut maker = Maker::new(true);
    let two = [0, 0x0500_0740_u32, 0, 0x0501_0700].map(u32::to_le_bytes).concat();
    add(&mut maker, ("__objc_imageinfo", 0x1000_0000), &two, &[]);
    let mut files = files(true);
    files.insert("x.o", maker.bytes());
    let (image, _) = link_args(&args(true, "-dylib a.o x.o l.tbd"), &files).expect("a link");
    assert_eq!(info(&image), [[0; 4], 0x0500_0700_u32.to_le_bytes()].concat());
    let place = "y.o:(__DATA,__objc_imageinfo+0x0): ";
    let wanted = format!("{place}is by version 6 of Swift's ABI, x.o by 7");
    assert_eq!(link(&[(0, 0x740), (0, 0x600)]), Err(wanted));
}

/// Zeros without bytes are no remark: nothing is written for them.
#[test]
fn a_remark_without_bytes_is_none() {
    let mut maker = Maker::new(true);
    let names = ["__DATA", "__objc_imageinfo"].map(|name| name.as_bytes().to_vec());
    let [segment, section] = names;
    let id = maker.object.add_section(segment, section, object::SectionKind::UninitializedData);
    let flags = m::SectionFlags(kind::ZEROFILL);
    maker.object.section_mut(id).flags = object::SectionFlags::MachO { flags, reserved2: 0 };
    maker.object.append_section_bss(id, 1 << 26, 8);
    let mut files = files(true);
    files.insert("x.o", maker.bytes());
    let (image, report) = link_args(&args(true, "-dylib a.o x.o l.tbd"), &files).expect("a link");
    read::File::parse(&image).expect("an image");
    assert!(report.warnings.is_empty(), "{:?}", report.warnings.first());
    let mut maker = Maker::new(true);
    add(&mut maker, ("__objc_imageinfo", 0x1000_0000), &[1; 1 << 16], &[]);
    files.insert("x.o", maker.bytes());
    let (_, report) = link_args(&args(true, "-dylib a.o x.o l.tbd"), &files).expect("a link");
    assert_eq!(report.warnings.len(), 1, "one for all of a section");
}

/// A stub says of its names where they were before, and when they came.
#[test]
fn names_are_where_they_were_on_the_oldest_system() {
    let mut files = files(true);
    files.insert("u.o", super::libraries::calling("u", "moved"));
    let stub = |name: &str, more: &str| {
        format!(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: {name}\nexports:\n  - \
             targets: [ arm64-macos ]\n    symbols: [ {more}_moved, _puts ]\n...\n"
        )
    };
    for (more, wanted) in [
        ("'$ld$previous$/old$$1$10.0$14.0$_moved$', ", Ok("/old")),
        ("'$ld$previous$/old$$1$14.0$15.0$_moved$', ", Ok("/new")),
        ("'$ld$install_name$os13.0$/then', ", Ok("/then")),
        ("'$ld$hide$os13.0$_moved', ", Err("u.o:(__TEXT,__text+0x0): undefined symbol: _moved")),
    ] {
        files.insert("n.tbd", stub("/new", more).into_bytes());
        files.insert("o.tbd", stub("/old", "").replace("_moved, _puts", "_other").into_bytes());
        // The old library may be there, too, as it is now.
        for line in ["-dylib u.o n.tbd", "-dylib u.o o.tbd n.tbd"] {
            let linked = link_args(&args(true, line), &files);
            match wanted {
                Err(text) => assert_eq!(linked.unwrap_err().first().to_string(), text),
                Ok(path) => {
                    let image = linked.expect(more).0;
                    let file = read::File::parse(&image).expect("an image");
                    let symbols = file.symbols().expect("symbols");
                    let moved = symbols.iter().find(|symbol| symbol.name == b"_moved").unwrap();
                    let loads =
                        file.commands.iter().filter(|command| command.cmd == lc::LOAD_DYLIB);
                    let loads: Vec<_> = loads.map(|command| command.string(8).unwrap()).collect();
                    let ordinal = usize::from(moved.desc >> 8);
                    assert_eq!(loads[ordinal - 1], path.as_bytes(), "{more}");
                }
            }
        }
    }
}
