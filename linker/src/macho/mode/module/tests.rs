use object::macho as m;
use object::write::{Relocation, SectionId, SymbolSection};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, SectionFlags, SectionKind,
    SymbolScope,
};

use crate::macho::mode::tests::{ARCHES, DATA, Maker, TEXT, link, module, read};
use crate::mode::tests::{address, bytes, words};

const LAST: &str = "runtime.lastmoduledatap";
const FIRST: &str = "runtime.firstmoduledata";
const OWN: &str = "local.moduledata";
const APPEND: &str = "runtime.addmoduledata";

/// A runtime but for the end of its list.
fn runtime(arch: &str, more: impl FnOnce(&mut Maker)) -> Vec<u8> {
    let mut maker = Maker::new(arch);
    maker.data(TEXT, APPEND, 16, None);
    maker.data(DATA, FIRST, 16, None);
    more(&mut maker);
    maker.bytes()
}

fn section(maker: &mut Maker, place: (&str, &str), flags: u32) -> SectionId {
    let zeros = flags & 0xff == crate::format::macho::kind::ZEROFILL;
    let kind = if zeros { SectionKind::UninitializedData } else { SectionKind::Data };
    let id = maker.0.add_section(place.0.into(), place.1.into(), kind);
    let flags = m::SectionFlags(flags);
    maker.0.section_mut(id).flags = SectionFlags::MachO { flags, reserved2: 0 };
    id
}

/// A word of `section` that refers to a symbol of the object.
fn refer(maker: &mut Maker, section: SectionId, to: &str) {
    let symbol = maker.symbol(to, SymbolSection::Undefined);
    let offset = maker.0.append_section_data(section, &[0; 8], 8);
    let flags =
        RelocationFlags::MachO { r_type: m::X86_64_RELOC_UNSIGNED, r_pcrel: false, r_length: 3 };
    let relocation = Relocation { offset, symbol, addend: 0, flags };
    maker.0.add_relocation(section, relocation).unwrap();
}

#[test]
fn who_reaches_the_list_without_its_name_sees_it_too() {
    for arch in ARCHES {
        for (name, flags) in [("__data", 0), ("__bss", 1), ("__noptrbss", 1), ("__mine", 1)] {
            let object = runtime(arch, |maker| {
                let home = section(maker, ("__DATA", name), flags);
                let table = section(maker, ("__DATA", "__table"), 0);
                let last = maker.symbol(LAST, SymbolSection::Section(home));
                let other = maker.symbol("other", SymbolSection::Section(home));
                // Private to the object, so its pointer binds nothing by name.
                let label = maker.symbol("label", SymbolSection::Section(home));
                maker.0.symbol_mut(label).scope = SymbolScope::Compilation;
                if flags == 0 {
                    maker.0.add_symbol_data(last, home, &[0x77; 8], 8);
                    maker.0.add_symbol_data(other, home, &[0x66; 8], 8);
                } else {
                    maker.0.add_symbol_bss(last, home, 8, 8);
                    maker.0.add_symbol_bss(other, home, 8, 8);
                }
                let value = maker.0.symbol(last).value;
                maker.0.symbol_mut(label).value = value;
                refer(maker, table, "label");
            });
            let line = "--buildmode=c-shared -no_fixup_chains";
            let image = link(arch, line, object).unwrap();
            let file = read(&image);
            let last = address(&file, "_runtime.lastmoduledatap");
            let first = address(&file, "_runtime.firstmoduledata");
            assert_eq!(bytes(&file, last, 8), first.to_le_bytes(), "{arch} {name}");
            assert_eq!(words(&file, "__table"), [last], "{arch} {name}");
            let other = address(&file, "_other");
            let rest = if flags == 0 { [0x66; 8] } else { [0; 8] };
            assert_eq!(bytes(&file, other, 8), rest, "{arch} {name}");
        }
    }
}

#[test]
fn what_one_object_alone_sees_counts_as_well() {
    for arch in ARCHES {
        let module = |names: &[&str]| {
            let mut maker = Maker::new(arch);
            for name in [APPEND, FIRST, LAST] {
                let place = if name == APPEND { TEXT } else { DATA };
                maker.data(place, name, 16, None);
                let id = maker.symbol(name, SymbolSection::Undefined);
                if names.contains(&name) {
                    maker.0.symbol_mut(id).scope = SymbolScope::Compilation;
                }
            }
            maker.bytes()
        };
        for names in [&[APPEND][..], &[FIRST], &[LAST], &[APPEND, FIRST, LAST]] {
            let line = "--buildmode=c-shared -no_fixup_chains";
            let image = link(arch, line, module(names)).unwrap();
            let file = read(&image);
            let last = address(&file, "_runtime.lastmoduledatap");
            let first = address(&file, "_runtime.firstmoduledata");
            assert_eq!(bytes(&file, last, 8), first.to_le_bytes(), "{arch} {names:?}");
            assert!(file.section_by_name("__mod_init_func").is_none(), "{arch} {names:?}");
        }
    }
}

#[test]
fn a_common_block_holds_the_list_as_well() {
    for arch in ARCHES {
        let block = |size: u64| {
            runtime(arch, |maker| {
                let last = maker.symbol(LAST, SymbolSection::Common);
                maker.0.symbol_mut(last).size = size;
            })
        };
        let line = "--buildmode=c-shared -no_fixup_chains";
        let image = link(arch, line, block(24)).unwrap();
        let file = read(&image);
        let last = address(&file, "_runtime.lastmoduledatap");
        let first = address(&file, "_runtime.firstmoduledata");
        assert_eq!(bytes(&file, last, 8), first.to_le_bytes(), "{arch}");
        let error = link(arch, line, block(4)).map(drop).unwrap_err();
        assert!(error.to_string().contains("it has 4 bytes"), "{error}");
    }
}

#[test]
fn what_can_not_hold_an_address_is_an_error() {
    for arch in ARCHES {
        let fails = |object: Vec<u8>| {
            let line = "--buildmode=c-shared -no_fixup_chains";
            link(arch, line, object).map(drop).unwrap_err().to_string()
        };
        let number = runtime(arch, |maker| {
            maker.symbol(LAST, SymbolSection::Absolute);
        });
        assert!(fails(number).contains("it is a number"));
        let code = runtime(arch, |maker| maker.data(TEXT, LAST, 16, None));
        assert!(fails(code).contains("its section is not for data"));
        let short = runtime(arch, |maker| maker.data(("__DATA", "__short"), LAST, 4, None));
        assert!(fails(short).contains("its section ends before"));
    }
}

#[test]
fn own_module_data_is_announced_whoever_sees_it() {
    let guest = |arch: &str, scope: SymbolScope| {
        let mut maker = Maker::new(arch);
        maker.data(DATA, OWN, 16, None);
        let id = maker.symbol(OWN, SymbolSection::Undefined);
        maker.0.symbol_mut(id).scope = scope;
        maker.bytes()
    };
    for arch in ARCHES {
        for scope in [SymbolScope::Compilation, SymbolScope::Linkage, SymbolScope::Dynamic] {
            let line = "--buildmode=plugin -U _runtime.addmoduledata";
            let image = link(arch, line, guest(arch, scope)).unwrap();
            let file = read(&image);
            let function = address(&file, "_go:link.addmoduledata");
            assert_eq!(words(&file, "__mod_init_func"), [function], "{arch} {scope:?}");
            let section = file.section_by_name("__data").unwrap();
            assert_eq!(address(&file, "_local.moduledata"), section.address());
            let own = file.symbols().find(|s| s.name() == Ok("_local.moduledata"));
            assert!(!own.unwrap().is_global(), "{arch} {scope:?}: another image would see it");
        }
        let mut twice = Maker::new(arch);
        twice.data(DATA, OWN, 16, None);
        let id = twice.symbol(OWN, SymbolSection::Undefined);
        twice.0.symbol_mut(id).scope = SymbolScope::Compilation;
        // Under another name until the first one has it.
        twice.data(DATA, "more", 16, None);
        let more = twice.symbol("more", SymbolSection::Undefined);
        twice.0.symbol_mut(more).scope = SymbolScope::Compilation;
        twice.0.symbol_mut(more).name = b"_local.moduledata".to_vec();
        let line = "--buildmode=plugin -U _runtime.addmoduledata";
        let error = link(arch, line, twice.bytes()).map(drop).unwrap_err();
        assert_eq!(error.first().kind(), crate::ErrorKind::DuplicateSymbol, "{error}");
    }
}

#[test]
fn a_library_has_one_entry_however_it_starts() {
    for (arch, goarch) in [("x86_64", "amd64"), ("arm64", "arm64")] {
        let start = format!("_rt0_{goarch}_darwin_lib");
        for (scope, has_entry) in [
            (SymbolScope::Dynamic, false),
            (SymbolScope::Dynamic, true),
            (SymbolScope::Compilation, false),
            (SymbolScope::Compilation, true),
        ] {
            let mut maker = Maker::new(arch);
            maker.data(TEXT, &start, 16, None);
            let id = maker.symbol(&start, SymbolSection::Undefined);
            maker.0.symbol_mut(id).scope = scope;
            if has_entry {
                let init = section(&mut maker, ("__DATA", "__mod_init_func"), 9);
                refer(&mut maker, init, &start);
            }
            let line = "--buildmode=c-shared -no_fixup_chains";
            let image = link(arch, line, maker.bytes()).unwrap();
            let file = read(&image);
            let to = address(&file, &format!("_{start}"));
            assert_eq!(words(&file, "__mod_init_func"), [to], "{arch} {scope:?} {has_entry}");
        }
    }
}

/// The name of what starts a library.
fn start(arch: &str) -> String {
    let goarch = if arch == "x86_64" { "amd64" } else { arch };
    format!("_rt0_{goarch}_darwin_lib")
}

#[test]
fn what_each_thread_has_is_no_modules_data_and_no_start() {
    for arch in ARCHES {
        for (line, name, what) in [
            ("--buildmode=plugin -U _runtime.addmoduledata", OWN, "a module's data"),
            ("--buildmode=c-shared", &*start(arch), "what starts a library"),
        ] {
            let mut maker = Maker::new(arch);
            let kind = crate::format::macho::kind::TLV_VARS;
            let home = section(&mut maker, ("__DATA", "__thread_vars"), kind);
            for (name, size) in [("first", 8), (name, 24)] {
                let symbol = maker.symbol(name, SymbolSection::Section(home));
                maker.0.add_symbol_data(symbol, home, &vec![0; size], 8);
            }
            let error = link(arch, line, maker.bytes()).map(drop).unwrap_err();
            let place = "a.o:(__DATA,__thread_vars+0x8)";
            let text = format!("{place}: _{name} is thread-local: {what} has an address");
            assert_eq!(error.to_string(), text, "{arch}");
            assert_eq!(error.first().kind(), crate::ErrorKind::ModeConflict);
        }
    }
}

#[test]
fn a_start_that_init_names_has_no_entry() {
    for arch in ARCHES {
        let start = start(arch);
        for (init, count) in [(format!("-init _{start}"), 0), ("-init _f".into(), 1)] {
            let object = module(arch, &[&start, "f"], &[]);
            let image =
                link(arch, &format!("--buildmode=c-shared -no_fixup_chains {init}"), object)
                    .unwrap();
            let file = read(&image);
            let entries = file.section_by_name("__mod_init_func");
            assert_eq!(entries.map_or(0, |entries| entries.size() / 8), count, "{arch} {init}");
        }
    }
}
