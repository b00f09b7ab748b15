use object::write::{Object, SectionId, StandardSection, Symbol, SymbolId, SymbolSection};
use object::{Object as _, SectionFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf};

use crate::mode::tests::{address, bytes, words};
use crate::robustness::sample::{new, reloc, symbol};
use crate::{Errors, MemoryFiles, link_args};

pub(super) const LAST: &str = "runtime.lastmoduledatap";
pub(super) const FIRST: &str = "runtime.firstmoduledata";
pub(super) const OWN: &str = "local.moduledata";
pub(super) const APPEND: &str = "runtime.addmoduledata";
pub(super) const START: &str = "_rt0_amd64_linux_lib";
pub(super) const RW: elf::SectionFlags = elf::SectionFlags(3);

/// A section of `bytes`; of zeros if it has the type of those.
pub(super) fn section(
    o: &mut Object<'_>,
    name: &str,
    (sh_type, sh_flags): (elf::SectionType, elf::SectionFlags),
    bytes: &[u8],
) -> SectionId {
    let zeros = sh_type == elf::SHT_NOBITS;
    let kind = if zeros { SectionKind::UninitializedData } else { SectionKind::Data };
    let id = o.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
    o.section_mut(id).flags = SectionFlags::Elf { sh_type, sh_flags };
    match zeros {
        true => o.append_section_bss(id, bytes.len() as u64, 8),
        false => o.append_section_data(id, bytes, 8),
    };
    id
}

/// A local symbol of eight bytes.
pub(super) fn local(o: &mut Object<'_>, name: &str, section: SectionId, value: u64) -> SymbolId {
    let id = symbol(o, name, SymbolKind::Data, Some((section, value, 8)));
    o.symbol_mut(id).scope = SymbolScope::Compilation;
    id
}

/// An object with what appends to the list, and module data; then what `more` adds to it.
pub(super) fn runtime(more: impl FnOnce(&mut Object<'static>)) -> Vec<u8> {
    let mut o = new();
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0xc3; 32], 16);
    symbol(&mut o, APPEND, SymbolKind::Text, Some((text, 0, 16)));
    symbol(&mut o, "_start", SymbolKind::Text, Some((text, 16, 16)));
    let data = section(&mut o, ".go.module", (elf::SHT_PROGBITS, RW), &[1; 16]);
    symbol(&mut o, FIRST, SymbolKind::Data, Some((data, 0, 16)));
    more(&mut o);
    o.write().unwrap()
}

/// A module with all that modes look at: where it starts, an init entry, its data, the list among bytes or zeros.
pub(crate) fn sample(zeros: bool) -> Vec<u8> {
    runtime(|o| {
        let kind = if zeros { elf::SHT_NOBITS } else { elf::SHT_PROGBITS };
        let home = section(o, ".bss", (kind, RW), &[0; 32]);
        symbol(o, LAST, SymbolKind::Data, Some((home, 8, 8)));
        let start = local(o, START, home, 16);
        let own = local(o, OWN, home, 24);
        let init = section(o, ".init_array", (elf::SHT_INIT_ARRAY, RW), &[0; 16]);
        reloc(o, init, 0, start, 8, elf::R_X86_64_64);
        reloc(o, init, 8, own, 0, elf::R_X86_64_64);
    })
}

pub(super) fn link(line: &str, objects: Vec<Vec<u8>>) -> Result<Vec<u8>, Errors> {
    let names: Vec<String> = (0..objects.len()).map(|at| format!("{at}.o")).collect();
    let files: MemoryFiles = names.iter().map(String::as_str).zip(objects).collect();
    let words = line.split(' ').map(String::from);
    let args: Vec<String> =
        words.flat_map(|word| if word == "*" { names.clone() } else { vec![word] }).collect();
    link_args(&args, &files).map(|(image, _)| image)
}

pub(super) type Image<'a> = object::read::elf::ElfFile64<'a, object::Endianness>;

/// The word at the place called `LAST`, which must be the only one there is, and the address of `data`.
pub(super) fn pointed(image: &[u8], data: &str) -> [u64; 2] {
    let file = Image::parse(image).unwrap();
    let at = address(&file, LAST);
    [u64::from_le_bytes(bytes(&file, at, 8).try_into().unwrap()), address(&file, data)]
}

#[track_caller]
fn assert_points(image: &[u8], data: &str) {
    let [word, address] = pointed(image, data);
    assert_eq!(word, address);
    assert_ne!(address, 0);
}

#[test]
fn the_sample_links() {
    for zeros in [false, true] {
        for mode in ["c-shared", "plugin", "pie"] {
            assert_points(
                &link(&format!("--buildmode={mode} *"), vec![sample(zeros)]).unwrap(),
                match mode {
                    "plugin" => OWN,
                    _ => FIRST,
                },
            );
        }
    }
}

#[test]
fn who_reaches_the_list_without_its_name_sees_it_too() {
    for (name, kind, content) in [
        (".data", elf::SHT_PROGBITS, &[0x55; 32][..]),
        (".bss", elf::SHT_NOBITS, &[0; 32]),
        (".noptrbss", elf::SHT_NOBITS, &[0; 32]),
        (".bss.one", elf::SHT_NOBITS, &[0; 32]),
        ("mine", elf::SHT_NOBITS, &[0; 32]),
    ] {
        let object = runtime(|o| {
            let home = section(o, name, (kind, RW), content);
            symbol(o, LAST, SymbolKind::Data, Some((home, 8, 8)));
            let label = local(o, "label", home, 8);
            let start = o.section_symbol(home);
            let table = section(o, ".table", (elf::SHT_PROGBITS, RW), &[0; 24]);
            reloc(o, table, 0, label, 0, elf::R_X86_64_64);
            reloc(o, table, 8, start, 8, elf::R_X86_64_64);
            let last = symbol(o, "other", SymbolKind::Data, Some((home, 24, 8)));
            reloc(o, table, 16, last, 0, elf::R_X86_64_64);
        });
        for mode in ["c-shared", "pie", "exe"] {
            let image = link(&format!("--buildmode={mode} *"), vec![object.clone()]).unwrap();
            assert_points(&image, FIRST);
            let file = Image::parse(&*image).unwrap();
            let last = address(&file, LAST);
            assert_eq!(words(&file, ".table"), [last, last, last + 16], "{mode} {name}");
            assert_eq!(bytes(&file, last + 16, 8), &content[24..], "{name}");
        }
    }
}

#[test]
fn what_the_list_was_is_gone() {
    // Its own relocation, another one's right before it, and one right behind.
    let object = |fields: [u64; 3]| {
        runtime(|o| {
            let home = section(o, ".data", (elf::SHT_PROGBITS, RW), &[0; 32]);
            symbol(o, LAST, SymbolKind::Data, Some((home, 8, 8)));
            let start = symbol(o, "_start", SymbolKind::Text, None);
            for at in fields {
                reloc(o, home, at, start, 4, elf::R_X86_64_64);
            }
        })
    };
    let image = link("--buildmode=exe *", vec![object([0, 8, 16])]).unwrap();
    assert_points(&image, FIRST);
    let file = Image::parse(&*image).unwrap();
    let (last, start) = (address(&file, LAST), address(&file, "_start") + 4);
    let word = |at: u64| u64::from_le_bytes(bytes(&file, at, 8).try_into().unwrap());
    assert_eq!([word(last - 8), word(last + 8)], [start; 2]);
    for odd in [4, 12] {
        let error = link("--buildmode=exe *", vec![object([24, odd, 24])]).map(drop).unwrap_err();
        assert!(error.to_string().contains("another relocation overlaps it"), "{error}");
    }
}

#[test]
fn a_list_that_is_right_already_stays() {
    let object = |set: bool| {
        runtime(|o| {
            let home = section(o, ".data", (elf::SHT_PROGBITS, RW), &[0; 8]);
            symbol(o, LAST, SymbolKind::Data, Some((home, 0, 8)));
            let first = o.symbol_id(FIRST.as_bytes()).unwrap();
            if set {
                reloc(o, home, 0, first, 0, elf::R_X86_64_64);
            }
        })
    };
    let made = |set| link("--buildmode=pie -s *", vec![object(set)]).unwrap();
    assert!(made(true) == made(false));
}

#[test]
fn a_member_and_a_common_block_hold_the_list_as_well() {
    let last = |o: &mut Object<'static>| {
        let home = section(o, ".data", (elf::SHT_PROGBITS, RW), &[3; 8]);
        symbol(o, LAST, SymbolKind::Data, Some((home, 0, 8)));
    };
    let member = || {
        let mut o = new();
        last(&mut o);
        o.write().unwrap()
    };
    let line = "--buildmode=pie -u runtime.lastmoduledatap 0.o --start-lib 1.o --end-lib";
    assert_points(&link(line, vec![runtime(|_| {}), member()]).unwrap(), FIRST);
    let block = |size: u64| {
        let mut o = new();
        o.add_symbol(Symbol {
            name: LAST.into(),
            value: 16,
            size,
            kind: SymbolKind::Data,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Common,
            flags: SymbolFlags::None,
        });
        o.write().unwrap()
    };
    let image = link("--buildmode=exe *", vec![runtime(|_| {}), block(8), block(24)]).unwrap();
    assert_points(&image, FIRST);
    let error = link("--buildmode=exe *", vec![runtime(|_| {}), block(4)]).map(drop).unwrap_err();
    assert!(error.to_string().contains("too small"), "{error}");
}

#[test]
fn what_can_not_hold_an_address_is_an_error() {
    type Kind = (&'static str, elf::SectionType, u32, u64, SymbolKind, &'static str);
    let rows: [Kind; 6] = [
        (".tdata", elf::SHT_PROGBITS, 0x403, 0, SymbolKind::Tls, "each thread has its own"),
        (".rodata", elf::SHT_PROGBITS, 2, 0, SymbolKind::Data, "can't be written"),
        (".debug", elf::SHT_PROGBITS, 0, 0, SymbolKind::Data, "can't be written"),
        (".m", elf::SHT_PROGBITS, 0x13, 0, SymbolKind::Data, "may be merged"),
        (".init_array", elf::SHT_INIT_ARRAY, 3, 0, SymbolKind::Data, "not for data"),
        (".data", elf::SHT_PROGBITS, 3, 4, SymbolKind::Data, "ends before"),
    ];
    for (name, sh_type, flags, at, kind, text) in rows {
        let object = runtime(|o| {
            let flags = elf::SectionFlags(flags.into());
            let home = section(o, name, (sh_type, flags), &[0; 8]);
            symbol(o, LAST, kind, Some((home, at, 8)));
        });
        let error = link("--buildmode=exe *", vec![object]).map(drop).unwrap_err();
        assert!(error.to_string().contains(text), "{name}: {error}");
        assert!(error.to_string().contains(&format!(":({name}+{at:#x})")), "{name}: {error}");
    }
    let number = runtime(|o| {
        let id = symbol(o, LAST, SymbolKind::Data, None);
        o.symbol_mut(id).section = SymbolSection::Absolute;
    });
    let error = link("--buildmode=exe *", vec![number]).map(drop).unwrap_err();
    assert!(error.to_string().contains("it is a number"), "{error}");
    let large = runtime(|o| {
        let home = section(o, ".bss", (elf::SHT_NOBITS, RW), &[]);
        o.append_section_bss(home, 1 << 40, 8);
        symbol(o, LAST, SymbolKind::Data, Some((home, 0, 8)));
    });
    let error = link("--buildmode=exe *", vec![large]).map(drop).unwrap_err();
    assert!(error.to_string().contains("too many zeros"), "{error}");
}

/// An object with module data of these bindings and visibilities.
fn guest(datas: &[(bool, u8)]) -> Vec<u8> {
    let mut o = new();
    for (at, &(is_local, visibility)) in datas.iter().enumerate() {
        let data = section(&mut o, ".go.module", (elf::SHT_PROGBITS, RW), &[1; 16]);
        let bind = if is_local { elf::STB_LOCAL } else { elf::STB_GLOBAL };
        let id = o.add_symbol(Symbol {
            name: OWN.into(),
            value: 8 * at as u64,
            size: 8,
            kind: SymbolKind::Data,
            scope: if is_local { SymbolScope::Compilation } else { SymbolScope::Dynamic },
            weak: false,
            section: SymbolSection::Section(data),
            flags: SymbolFlags::None,
        });
        let st_info = elf::SymbolInfo(bind.0 << 4 | elf::STT_OBJECT.0);
        let st_other = elf::SymbolOther(visibility);
        o.symbol_mut(id).flags = SymbolFlags::Elf { st_info, st_other };
    }
    o.write().unwrap()
}

#[test]
fn own_module_data_is_announced_whoever_sees_it() {
    let other = || {
        let mut o = new();
        let text = o.section_id(StandardSection::Text);
        o.append_section_data(text, &[0xc3; 16], 16);
        symbol(&mut o, "f", SymbolKind::Text, Some((text, 0, 16)));
        o.write().unwrap()
    };
    for data in [(true, 0), (false, 0), (false, elf::STV_HIDDEN.0), (false, elf::STV_PROTECTED.0)] {
        let objects = vec![other(), guest(&[data])];
        let image = link("--buildmode=plugin *", objects).unwrap();
        let file = Image::parse(&*image).unwrap();
        let function = address(&file, "go:link.addmoduledata");
        assert_eq!(words(&file, ".init_array"), [function], "{data:?}");
        let lea = bytes(&file, function, 7);
        let distance = i32::from_le_bytes(lea[3..].try_into().unwrap());
        let target = (function + 7).wrapping_add_signed(distance.into());
        let section =
            file.section_by_name(".go.module").map(|s| object::ObjectSection::address(&s));
        assert_eq!(Some(target), section, "{data:?}");
        let mut exports = file.dynamic_symbols();
        let seen = exports.any(|s| object::ObjectSymbol::name(&s) == Ok(OWN));
        assert_eq!(seen, data.1 == elf::STV_PROTECTED.0, "{data:?}");
    }
    let twice = [vec![guest(&[(true, 0); 2])], vec![guest(&[(true, 0)]), guest(&[(true, 0)])]];
    for objects in twice {
        let error = link("--buildmode=plugin *", objects).map(drop).unwrap_err();
        assert_eq!(error.first().kind(), crate::ErrorKind::DuplicateSymbol, "{error}");
        let text = "several local symbols local.moduledata: the build mode asks for one; another";
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains(":(.go.module+0x"), "{error}");
    }
}

#[test]
fn a_library_has_one_entry_however_it_starts() {
    let library = |is_local: bool, entry: Option<(&str, bool, i64)>| {
        let mut o = new();
        let text = o.section_id(StandardSection::Text);
        o.append_section_data(text, &[0xc3; 32], 16);
        let start = symbol(&mut o, START, SymbolKind::Text, Some((text, 16, 16)));
        if is_local {
            o.symbol_mut(start).scope = SymbolScope::Compilation;
        }
        if let Some((name, by_section, addend)) = entry {
            let old = !name.starts_with(".init_array");
            let kind = if old { elf::SHT_PROGBITS } else { elf::SHT_INIT_ARRAY };
            let init = section(&mut o, name, (kind, RW), &[0; 8]);
            let target = if by_section { o.section_symbol(text) } else { start };
            reloc(&mut o, init, 0, target, addend, elf::R_X86_64_64);
        }
        o.write().unwrap()
    };
    for is_local in [false, true] {
        for (entry, count) in [
            (None, 1),
            (Some((".init_array", false, 0)), 1),
            (Some((".init_array", true, 16)), 1),
            (Some((".init_array", true, 0)), 2),
            (Some((".init_array", false, 4)), 2),
            (Some((".ctors", false, 0)), 1),
            (Some((".ctors.100", true, 16)), 1),
            (Some((".ctors", true, 0)), 2),
            (Some((".dtors", false, 0)), 1),
        ] {
            let objects = vec![library(is_local, entry)];
            let image = link("--buildmode=c-shared *", objects).unwrap();
            let file = Image::parse(&*image).unwrap();
            let entries = words(&file, ".init_array");
            let start = address(&file, START);
            assert_eq!(entries.len(), count, "{is_local} {entry:?}");
            assert_eq!(entries.iter().filter(|to| **to == start).count(), 1, "{entry:?}");
        }
    }
    let objects = vec![library(true, None), library(true, None)];
    let error = link("--buildmode=c-shared *", objects).map(drop).unwrap_err();
    assert_eq!(error.first().kind(), crate::ErrorKind::DuplicateSymbol, "{error}");
}

#[test]
fn every_type_of_an_address_is_an_entry() {
    use object::{Architecture, BinaryFormat, Endianness};
    for (r_type, has_another) in
        [(elf::R_ARM_ABS32, false), (elf::R_ARM_TARGET1, false), (elf::R_ARM_REL32, true)]
    {
        let mut o = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
        let text = o.section_id(StandardSection::Text);
        o.append_section_data(text, &[0; 8], 4);
        let name = "_rt0_arm_linux_lib";
        let start = symbol(&mut o, name, SymbolKind::Text, Some((text, 4, 4)));
        let init = section(&mut o, ".init_array", (elf::SHT_INIT_ARRAY, RW), &[0; 4]);
        reloc(&mut o, init, 0, start, 0, r_type);
        let image = link("--buildmode=c-shared *", vec![o.write().unwrap()]).unwrap();
        let file = object::read::elf::ElfFile32::<Endianness>::parse(&*image).unwrap();
        let entries = file.section_by_name(".init_array").unwrap();
        assert_eq!(object::ObjectSection::size(&entries) > 4, has_another, "{r_type:?}");
    }
}

#[test]
fn what_a_mode_looks_for_is_an_objects() {
    let module = || runtime(|_| ());
    for (mode, name) in
        [("plugin", OWN), ("c-shared", FIRST), ("c-shared", START), ("exe", LAST), ("pie", APPEND)]
    {
        let line = format!("--buildmode={mode} --defsym {name}=_start *");
        let error = link(&line, vec![module()]).map(drop).unwrap_err();
        assert_eq!(error.first().kind(), crate::ErrorKind::ModeConflict, "{line}");
        assert!(error.to_string().contains(&format!("--defsym {name} may not")), "{error}");
    }
    // No plugin starts itself, no other name matters, and without a mode none does.
    for line in [
        format!("--buildmode=plugin --defsym {START}=_start *"),
        format!("--buildmode=plugin --defsym other={FIRST} *"),
        format!("-shared --defsym {OWN}=_start *"),
    ] {
        link(&line, vec![module()]).unwrap();
    }
}

#[test]
fn data_that_is_a_number_is_no_data() {
    let module = || {
        let mut o = new();
        let text = o.section_id(StandardSection::Text);
        o.append_section_data(text, &[0xc3; 16], 16);
        symbol(&mut o, "_start", SymbolKind::Text, Some((text, 0, 16)));
        let id = symbol(&mut o, OWN, SymbolKind::Data, None);
        o.symbol_mut(id).section = SymbolSection::Absolute;
        o.symbol_mut(id).value = 0x1000;
        o.write().unwrap()
    };
    for mode in ["plugin", "c-shared", "pie"] {
        let error = link(&format!("--buildmode={mode} *"), vec![module()]).map(drop).unwrap_err();
        let text = "0.o: local.moduledata is a number: a module's data has an address";
        assert_eq!(error.to_string(), text, "{mode}");
    }
}
