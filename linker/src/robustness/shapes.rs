//! Valid inputs of many equal parts, one test for each table that was once walked per entry.
//!
//! Nothing is timed: with one pass over a table for each of its entries these take minutes, and
//! memory that a test machine does not have.

use object::write::{Comdat, Object, SectionId, SymbolId};
use object::{ComdatKind, SectionFlags, SectionKind, SymbolKind, elf};

use super::sample::{new, reloc, symbol};
use crate::{ErrorKind, MemoryFiles, link_args};

/// How many of each.
const MANY: usize = 20_000;

fn section(o: &mut Object<'_>, name: &str, sh_flags: elf::SectionFlags) -> SectionId {
    let section = o.add_section(vec![], name.as_bytes().to_vec(), SectionKind::Data);
    o.section_mut(section).flags = SectionFlags::Elf { sh_type: elf::SHT_PROGBITS, sh_flags };
    o.append_section_data(section, &[0; 8], 8);
    section
}

fn data(o: &mut Object<'_>, name: &str) -> SectionId {
    section(o, name, elf::SHF_ALLOC | elf::SHF_WRITE)
}

/// A table of addresses of `targets`.
fn table(o: &mut Object<'_>, targets: impl Iterator<Item = SymbolId>) {
    let words = data(o, ".data");
    for (at, target) in targets.collect::<Vec<_>>().into_iter().enumerate() {
        o.append_section_data(words, &[0; 8], 8);
        reloc(o, words, 8 * at as u64, target, 0, elf::R_X86_64_64);
    }
}

fn link(objects: &[(&'static str, Object<'_>)], args: &str) -> Result<Vec<u8>, crate::Errors> {
    let objects = objects.iter().map(|(name, o)| (*name, o.write().unwrap()));
    link_files(objects.collect(), args)
}

fn link_files(files: MemoryFiles, args: &str) -> Result<Vec<u8>, crate::Errors> {
    let args: Vec<String> = args.split(' ').map(String::from).collect();
    link_args(&args, &files).map(|(image, _)| image)
}

#[test]
fn bounds_of_many_sections() {
    let mut o = new();
    let targets: Vec<SymbolId> = (0..MANY)
        .flat_map(|i| {
            data(&mut o, &format!("s{i}"));
            ["start", "stop"]
                .map(|end| symbol(&mut o, &format!("__{end}_s{i}"), SymbolKind::Data, None))
        })
        .collect();
    table(&mut o, targets.into_iter());
    link(&[("a.o", o)], "-shared --emit-relocs a.o").unwrap();
}

#[test]
fn one_name_for_many_sections() {
    let mut o = new();
    for _ in 0..MANY {
        data(&mut o, "foo");
    }
    let start = symbol(&mut o, "__start_foo", SymbolKind::Data, None);
    table(&mut o, std::iter::repeat_n(start, MANY));
    let root = o.section_id(object::write::StandardSection::Data);
    symbol(&mut o, "root", SymbolKind::Data, Some((root, 0, 8)));
    link(&[("a.o", o)], "-shared --gc-sections a.o").unwrap();
}

#[test]
fn one_group_of_many_sections() {
    let mut o = new();
    let flags = elf::SHF_ALLOC | elf::SHF_WRITE | elf::SHF_GROUP;
    let sections: Vec<_> = (0..MANY).map(|i| section(&mut o, &format!(".s{i}"), flags)).collect();
    let key = symbol(&mut o, "key", SymbolKind::Data, Some((sections[0], 0, 8)));
    o.add_comdat(Comdat { kind: ComdatKind::Any, symbol: key, sections });
    link(&[("a.o", o)], "-shared --gc-sections a.o").unwrap();
}

#[test]
fn many_versioned_names() {
    let (mut o, mut user) = (new(), new());
    let home = data(&mut o, ".data");
    for i in 0..MANY {
        symbol(&mut o, &format!("f{i}@@V"), SymbolKind::Data, Some((home, 0, 8)));
    }
    let names = |i: usize| format!("f{i}@V");
    let users: Vec<_> =
        (0..MANY).map(|i| symbol(&mut user, &names(i), SymbolKind::Data, None)).collect();
    table(&mut user, users.into_iter());
    let files = || -> MemoryFiles {
        let files = [("a.o", &o), ("b.o", &user)].map(|(name, o)| (name, o.write().unwrap()));
        files.into_iter().chain([("v.map", b"V {};".to_vec())]).collect()
    };
    let library = link_files(files(), "-shared --version-script=v.map a.o").unwrap();
    link_files(files(), "-shared --version-script=v.map b.o --start-lib a.o --end-lib").unwrap();
    let mut all = files();
    all.insert("a.so", library);
    link_files(all, "-shared b.o a.so").unwrap();
}

#[test]
fn many_versions() {
    let mut o = new();
    let home = data(&mut o, ".data");
    for i in 0..MANY {
        symbol(&mut o, &format!("f@V{i}"), SymbolKind::Data, Some((home, 0, 8)));
    }
    link(&[("a.o", o)], "-pie -E a.o").unwrap();
}

/// Their numbers have 15 bits.
#[test]
fn more_versions_than_there_are_numbers() {
    let mut o = new();
    let home = data(&mut o, ".data");
    for i in 0..40_000 {
        symbol(&mut o, &format!("f@V{i}"), SymbolKind::Data, Some((home, 0, 8)));
    }
    let errors = link(&[("a.o", o)], "-pie -E a.o").unwrap_err();
    assert!(errors.iter().all(|e| e.kind() == ErrorKind::UndefinedVersion));
}

#[test]
fn many_names_of_two_types() {
    let (mut o, mut other) = (new(), new());
    let home = section(&mut o, ".tdata", elf::SHF_ALLOC | elf::SHF_WRITE | elf::SHF_TLS);
    for i in 0..MANY {
        symbol(&mut o, &format!("t{i}"), SymbolKind::Tls, Some((home, 0, 8)));
        symbol(&mut other, &format!("t{i}"), SymbolKind::Data, None);
    }
    // The writer leaves out the type of what is not defined; here it is said.
    let mut bytes = other.write().unwrap();
    super::set_symbol_types(&mut bytes, 1);
    let files: MemoryFiles = [("a.o", o.write().unwrap()), ("b.o", bytes)].into_iter().collect();
    let errors = link_files(files, "-shared a.o b.o").unwrap_err();
    assert_eq!(errors.iter().count(), MANY);
    assert!(errors.iter().all(|e| e.kind() == ErrorKind::TlsMismatch));
}

#[test]
fn many_commons_beside_many_sections() {
    let mut o = new();
    for i in 0..MANY {
        data(&mut o, &format!(".s{i}"));
        let common = symbol(&mut o, &format!("c{i}"), SymbolKind::Data, None);
        o.symbol_mut(common).section = object::write::SymbolSection::Common;
        (o.symbol_mut(common).value, o.symbol_mut(common).size) = (8, 8);
    }
    link(&[("a.o", o)], "-shared a.o").unwrap();
}

#[test]
fn a_common_of_no_bytes_has_a_place() {
    let mut o = new();
    let common = symbol(&mut o, "c", SymbolKind::Data, None);
    o.symbol_mut(common).section = object::write::SymbolSection::Common;
    link(&[("a.o", o)], "-shared a.o").unwrap();
}

#[test]
fn many_merged_sections() {
    let mut o = new();
    for i in 0..MANY {
        let flags = elf::SHF_ALLOC | elf::SHF_MERGE | elf::SHF_STRINGS;
        let at = section(&mut o, &format!(".s{i}"), flags);
        o.section_mut(at).append_data(b"text\0", 1);
    }
    link(&[("a.o", o)], "-shared a.o").unwrap();
}

#[test]
fn many_copies_of_one_library() {
    let (mut o, mut library) = (new(), new());
    let home = data(&mut library, ".data");
    library.append_section_data(home, &vec![0; 8 * MANY], 8);
    let code = section(&mut o, ".text", elf::SHF_ALLOC | elf::SHF_EXECINSTR);
    o.append_section_data(code, &vec![0; 8 * MANY], 8);
    for i in 0..MANY {
        let at = 8 * i as u64;
        symbol(&mut library, &format!("v{i}"), SymbolKind::Data, Some((home, at, 8)));
        let used = symbol(&mut o, &format!("v{i}"), SymbolKind::Data, None);
        reloc(&mut o, code, at, used, 0, elf::R_X86_64_PC32);
    }
    let image = link(&[("l.o", library)], "-shared l.o").unwrap();
    let files = [("a.o", o.write().unwrap()), ("l.so", image)].into_iter().collect();
    link_files(files, "-no-pie a.o l.so").unwrap();
}

#[test]
fn many_local_indirect_functions() {
    let mut o = new();
    let code = section(&mut o, ".text", elf::SHF_ALLOC | elf::SHF_EXECINSTR);
    let functions: Vec<_> = (0..MANY)
        .map(|i| {
            let id = symbol(&mut o, &format!("f{i}"), SymbolKind::Text, Some((code, 0, 8)));
            o.symbol_mut(id).scope = object::SymbolScope::Compilation;
            id
        })
        .collect();
    table(&mut o, functions.into_iter());
    let mut bytes = o.write().unwrap();
    super::set_symbol_types(&mut bytes, 10);
    let files: MemoryFiles = [("a.o", bytes)].into_iter().collect();
    link_files(files, "-shared a.o").unwrap();
}

#[test]
fn many_wrapped_names() {
    let mut o = new();
    let names: Vec<String> = (0..MANY).map(|i| format!("f{i}")).collect();
    let users: Vec<_> =
        names.iter().map(|name| symbol(&mut o, name, SymbolKind::Data, None)).collect();
    table(&mut o, users.into_iter());
    let wraps: Vec<String> = names.iter().map(|name| format!("--wrap={name}")).collect();
    let image = link(&[("a.o", o)], &format!("-shared a.o {}", wraps.join(" "))).unwrap();
    assert!(image.windows(10).any(|w| w == b"__wrap_f7\0"));
}

/// Section numbers that `st_shndx` has no room for, and those that look like its reserved ones.
#[test]
fn more_sections_than_symbols_can_number() {
    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
    let mut o = new();
    for i in 0..66_000 {
        let home = data(&mut o, &format!("s{i}"));
        if i >= 65_200 {
            symbol(&mut o, &format!("v{i}"), SymbolKind::Data, Some((home, 0, 8)));
        }
    }
    let object = o.write().unwrap();
    for args in ["-shared a.o", "-r a.o"] {
        let image = link_files([("a.o", object.clone())].into_iter().collect(), args).unwrap();
        let file = object::File::parse(&*image).unwrap();
        let mut seen = 0;
        for symbol in file.symbols().filter(|s| s.name().is_ok_and(|n| n.starts_with('v'))) {
            let home = symbol.section_index().map(|at| file.section_by_index(at).unwrap());
            let wanted = symbol.name().unwrap().replace('v', "s");
            assert_eq!(home.and_then(|s| s.name().ok()), Some(&*wanted), "{args}");
            seen += 1;
        }
        assert_eq!(seen, 800, "{args}");
    }
}
