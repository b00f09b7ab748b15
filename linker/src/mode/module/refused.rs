//! What a mode asks for and can't have, and what it need not ask for.

use object::write::SectionId;
use object::{SymbolKind, elf};

use super::tests::{Image, OWN, RW, START, link, local, section};
use crate::ErrorKind;
use crate::mode::tests::{address, words};
use crate::robustness::sample::{new, symbol};

/// An object that has `name` eight bytes into a section of its own.
fn module(name: &str, is_local: bool, at: (&str, elf::SectionFlags), kind: SymbolKind) -> Vec<u8> {
    let mut o = new();
    let home: SectionId = section(&mut o, at.0, (elf::SHT_PROGBITS, at.1), &[0x55; 24]);
    match is_local {
        true => local(&mut o, name, home, 8),
        false => symbol(&mut o, name, kind, Some((home, 8, 8))),
    };
    o.write().unwrap()
}

#[test]
fn what_is_not_loaded_once_is_no_modules_data_and_no_start() {
    let threads = elf::SectionFlags(RW.0 | elf::SHF_TLS.0);
    for (section, flags, kind, wrong) in [
        (".foo", elf::SectionFlags(0), SymbolKind::Data, "is not loaded"),
        (".tdata", threads, SymbolKind::Tls, "is thread-local"),
    ] {
        for is_local in [false, true] {
            for (mode, name, what) in [
                ("plugin", OWN, "a module's data"),
                ("c-shared", OWN, "a module's data"),
                ("pie", OWN, "a module's data"),
                ("exe", OWN, "a module's data"),
                ("c-shared", START, "what starts a library"),
            ] {
                let object = module(name, is_local, (section, flags), kind);
                let line = format!("--buildmode={mode} *");
                let error = link(&line, vec![object]).map(drop).unwrap_err();
                assert_eq!(error.first().kind(), ErrorKind::ModeConflict, "{error}");
                let text = format!("0.o:({section}+0x8): {name} {wrong}: {what} has an address");
                assert_eq!(error.to_string(), text, "{mode} {is_local}");
            }
            // Elsewhere it is a name like others.
            let object = module(START, is_local, (section, flags), kind);
            link("--buildmode=plugin *", vec![object]).unwrap();
        }
    }
}

#[test]
fn a_start_that_init_names_has_no_entry() {
    for (line, is_local, count) in [
        (format!("--buildmode=c-shared -init {START} *"), false, 0),
        (format!("--buildmode=c-shared -init={START} *"), false, 0),
        (format!("--buildmode=c-shared -init other -init {START} *"), false, 0),
        (format!("--buildmode=c-shared -init {START} -init other *"), false, 1),
        (format!("--buildmode=c-shared -fini {START} *"), false, 1),
        // No name that all objects see: the loader is told of none.
        (format!("--buildmode=c-shared -init {START} *"), true, 1),
    ] {
        let object = module(START, is_local, (".text", elf::SectionFlags(6)), SymbolKind::Text);
        let image = link(&line, vec![object]).unwrap();
        let file = Image::parse(&*image).unwrap();
        let start = address(&file, START);
        assert_eq!(words(&file, ".init_array"), vec![start; count], "{line} {is_local}");
        let tags = words(&file, ".dynamic");
        let is_called = tags.chunks(2).any(|tag| tag == [12, start]);
        assert!(is_called != (count == 1), "{line} {is_local}");
    }
}

#[test]
fn a_marker_that_defsym_defines_is_a_definition() {
    use object::{Object as _, ObjectSymbol as _};
    let module = || {
        let mut o = new();
        let text = section(&mut o, ".text", (elf::SHT_PROGBITS, elf::SectionFlags(6)), &[0xc3; 8]);
        symbol(&mut o, "f", SymbolKind::Text, Some((text, 0, 8)));
        for name in ["runtime.text", "_end"] {
            symbol(&mut o, name, SymbolKind::Data, None);
        }
        o.write().unwrap()
    };
    let exported = |line: &str, name: &str| {
        let image = link(line, vec![module()]).unwrap();
        let file = Image::parse(&*image).unwrap();
        file.dynamic_symbols().find(|s| s.name() == Ok(name)).map(|symbol| symbol.address())
    };
    for name in ["runtime.text", "_end"] {
        assert_eq!(exported("--buildmode=plugin *", name), None);
        let line = format!("--buildmode=plugin --defsym {name}=0x100 *");
        assert_eq!(exported(&line, name), Some(0x100));
    }
}
