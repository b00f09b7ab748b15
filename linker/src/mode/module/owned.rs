//! A module's own names: local ones, and those that its host has, too.

use object::write::{Object, StandardSection, SymbolSection};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, SymbolFlags, SymbolKind, SymbolScope, elf,
};

use super::tests::{APPEND, FIRST, Image, LAST, OWN, RW, START, link, local, pointed, section};
use crate::ErrorKind;
use crate::mode::tests::{address, bytes, words};
use crate::robustness::sample::{new, symbol};

/// An object with these names, those that it alone sees first: functions, module data, a word.
fn module(locals: &[&str], globals: &[&str]) -> Vec<u8> {
    let mut o = new();
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0xc3; 48], 16);
    let data = section(&mut o, ".data", (elf::SHT_PROGBITS, RW), &[0x55; 48]);
    let all = locals.iter().map(|name| (name, true)).chain(globals.iter().map(|n| (n, false)));
    for (name, is_local) in all {
        let (kind, home, at) = match *name {
            LAST => (SymbolKind::Data, data, 8),
            FIRST => (SymbolKind::Data, data, 16),
            OWN => (SymbolKind::Data, data, 32),
            APPEND => (SymbolKind::Text, text, 16),
            _ => (SymbolKind::Text, text, 32),
        };
        let id = symbol(&mut o, name, kind, Some((home, at, 8)));
        if is_local {
            o.symbol_mut(id).scope = SymbolScope::Compilation;
        }
    }
    o.write().unwrap()
}

/// What the function that announces a module's data hands over.
fn announced(file: &Image<'_>) -> u64 {
    let function = address(file, "go:link.addmoduledata");
    assert_eq!(words(file, ".init_array"), [function]);
    let lea = bytes(file, function, 7);
    let distance = i32::from_le_bytes(lea[3..].try_into().unwrap());
    (function + 7).wrapping_add_signed(distance.into())
}

fn exports(file: &Image<'_>, name: &str) -> bool {
    file.dynamic_symbols().any(|symbol| symbol.name() == Ok(name))
}

#[test]
fn a_local_name_counts_like_a_global_one() {
    for mode in ["c-shared", "plugin"] {
        for locals in [&[FIRST][..], &[OWN]] {
            let image = link(&format!("--buildmode={mode} *"), vec![module(locals, &[])]).unwrap();
            let file = Image::parse(&*image).unwrap();
            assert_eq!(announced(&file), address(&file, locals[0]), "{mode} {locals:?}");
            assert!(!exports(&file, locals[0]), "{mode} {locals:?}");
        }
        for locals in [&[APPEND][..], &[FIRST], &[LAST], &[APPEND, FIRST, LAST], &[OWN, LAST]] {
            let globals: Vec<&str> =
                [APPEND, FIRST, LAST].into_iter().filter(|name| !locals.contains(name)).collect();
            let objects = vec![module(locals, &globals)];
            let image = link(&format!("--buildmode={mode} *"), objects).unwrap();
            let own = mode == "plugin" && locals.contains(&OWN);
            let [word, data] = pointed(&image, if own { OWN } else { FIRST });
            assert_eq!(word, data, "{mode} {locals:?}");
            let file = Image::parse(&*image).unwrap();
            assert!(file.section_by_name(".init_array").is_none(), "{mode} {locals:?}");
            assert!(!file.dynamic_symbols().any(|s| s.is_undefined()), "{mode} {locals:?}");
        }
    }
    // Nobody loads an executable.
    let image = link("--buildmode=pie *", vec![module(&[FIRST, LAST], &["_start"])]).unwrap();
    let [word, data] = pointed(&image, FIRST);
    assert_eq!(word, data);
}

#[test]
fn a_modules_data_is_its_own_though_others_see_it() {
    // No host's comes first: the address is one of this image.
    let image = link("--buildmode=plugin *", vec![module(&[], &[FIRST])]).unwrap();
    let file = Image::parse(&*image).unwrap();
    assert_eq!(announced(&file), address(&file, FIRST));
    assert!(exports(&file, FIRST));
    for line in ["--buildmode=plugin *", "--buildmode=c-shared -Bno-symbolic *"] {
        let image = link(line, vec![module(&[], &[APPEND, FIRST, LAST])]).unwrap();
        let [word, data] = pointed(&image, FIRST);
        assert_eq!(word, data, "{line}");
        let file = Image::parse(&*image).unwrap();
        let relocs = file.dynamic_relocations().unwrap();
        let kinds: Vec<_> = relocs.map(|(_, reloc)| reloc.flags()).collect();
        let relative = object::RelocationFlags::Elf { r_type: elf::R_X86_64_RELATIVE };
        assert_eq!(kinds, [relative], "{line}");
    }
}

#[test]
fn a_name_is_in_the_table_as_often_as_in_objects() {
    for (mode, name) in [("c-shared", START), ("plugin", OWN), ("plugin", FIRST)] {
        let image = link(&format!("--buildmode={mode} *"), vec![module(&[name], &[])]).unwrap();
        let file = Image::parse(&*image).unwrap();
        assert_eq!(file.symbols().filter(|s| s.name() == Ok(name)).count(), 1, "{name}");
    }
    // What only one object sees no other finds.
    let line = format!("--buildmode=c-shared --defsym=bar={START} *");
    let error = link(&line, vec![module(&[START], &[])]).map(drop).unwrap_err();
    assert_eq!(error.first().kind(), ErrorKind::UndefinedSymbol, "{error}");
}

#[test]
fn of_several_local_names_none_counts() {
    for name in [START, FIRST, LAST, APPEND] {
        let objects = vec![module(&[name], &[]), module(&[name], &["f"])];
        let error = link("--buildmode=c-shared *", objects).map(drop).unwrap_err();
        let text =
            format!("several local symbols {name}: the build mode asks for one; another is in 0.o");
        assert!(error.to_string().contains(&text), "{error}");
        // One that all see is the one.
        let objects = vec![module(&[name], &[]), module(&[name], &[]), module(&[], &[name])];
        link("--buildmode=c-shared *", objects).unwrap();
    }
}

#[test]
fn a_start_that_is_chosen_at_load_is_one() {
    let mut o: Object<'_> = new();
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0xc3; 16], 16);
    let id = symbol(&mut o, START, SymbolKind::Text, Some((text, 8, 1)));
    let st_info = elf::SymbolInfo(elf::STB_GLOBAL.0 << 4 | elf::STT_GNU_IFUNC.0);
    o.symbol_mut(id).flags = SymbolFlags::Elf { st_info, st_other: elf::SymbolOther(0) };
    let image = link("--buildmode=c-shared *", vec![o.write().unwrap()]).unwrap();
    let file = Image::parse(&*image).unwrap();
    let home = |name: &str| file.section_by_name(name).unwrap();
    // Others call the entry that goes through the resolver; who debugs finds that itself.
    let seen = file.dynamic_symbols().find(|symbol| symbol.name() == Ok(START)).unwrap();
    assert_eq!(seen.section_index(), Some(home(".plt").index()));
    assert_eq!(words(&file, ".init_array"), [seen.address()]);
    let own = file.symbols().find(|symbol| symbol.name() == Ok(START)).unwrap();
    assert_eq!(own.section_index(), Some(home(".text").index()));
    assert_eq!(own.address(), home(".text").address() + 8);
}

#[test]
fn a_start_that_is_a_number_is_none() {
    for is_local in [false, true] {
        let mut o: Object<'_> = new();
        let text = o.section_id(StandardSection::Text);
        o.append_section_data(text, &[0xc3; 16], 16);
        let id = local(&mut o, START, text, 0x1234);
        o.symbol_mut(id).section = SymbolSection::Absolute;
        if !is_local {
            o.symbol_mut(id).scope = SymbolScope::Dynamic;
        }
        let object = o.write().unwrap();
        let error = link("--buildmode=c-shared *", vec![object]).map(drop).unwrap_err();
        let text = format!("0.o: {START} is a number: what starts a library has an address");
        assert_eq!(error.to_string(), text, "{is_local}");
    }
}
