//! What the emitters write, taken by the linkers of this machine and by its dynamic loader.

use std::time::Duration;

use scold_diff::adapter::{self, Outcome};
use scold_diff::run::{self, End, Limits, Scratch};
use scold_diff::{Mode, Target};

use super::*;
use crate::case::*;
use crate::generate::matrix;

fn named(name: &str, kind: SymbolKind, definition: Definition) -> Symbol {
    let binding = Binding::Global;
    let (name, visibility) = (name.to_owned(), Visibility::Default);
    Symbol { name, binding, kind, visibility, size: 8, definition, desc: Default::default() }
}

fn section(name: &str, flags: SectionFlags, data: Vec<u8>, relocs: Vec<Reloc>) -> Section {
    Section {
        name: name.into(),
        kind: SectionKind::Progbits,
        flags,
        align: 16,
        entsize: 0,
        marker: crate::case::Marker::Head,
        data: Data::Bytes(data),
        relocs,
        link_order: None,
    }
}

const TEXT: SectionFlags = SectionFlags {
    alloc: true,
    exec: true,
    write: false,
    tls: false,
    merge: false,
    strings: false,
    retain: false,
    exclude: false,
};

/// A function that calls one of the library's, reads its data, and a pointer to each.
fn object_using_library() -> Object {
    let call = |offset, symbol, r_type| Reloc {
        offset,
        r_type,
        symbol: SymbolRef::Named(symbol),
        addend: -4,
    };
    // call v; mov d@GOTPCREL(%rip), %rax; ret
    let code = vec![0xe8, 0, 0, 0, 0, 0x48, 0x8b, 0x05, 0, 0, 0, 0, 0xc3];
    let data = SectionFlags { write: true, exec: false, ..TEXT };
    let pointers = (0..3)
        .map(|i| Reloc {
            offset: 16 + 8 * i,
            r_type: 1,
            symbol: SymbolRef::Named(1 + i as usize),
            addend: 0,
        })
        .collect();
    let place = |section, offset| Definition::Section { section, offset };
    Object {
        name: "a.o".into(),
        sections: vec![
            section(".text", TEXT, code, vec![call(17, 1, 4), call(24, 2, 42)]),
            section(".data", data, vec![0; 24], pointers),
            section(".text.g", TEXT, vec![0xc3], vec![]),
        ],
        symbols: vec![
            named("probe", SymbolKind::Func, place(0, 16)),
            named("v", SymbolKind::Notype, Definition::Undefined),
            named("d", SymbolKind::Notype, Definition::Undefined),
            named("f", SymbolKind::Notype, Definition::Undefined),
            named("g", SymbolKind::Func, place(2, 16)),
        ],
        groups: vec![Group { signature: "g".into(), comdat: true, members: vec![2] }],
        subsections: false,
    }
}

fn case(mode: Mode, inputs: Vec<Input>) -> Case {
    Case {
        target: Target::AMD64_ELF,
        mode,
        validity: Validity::Defined,
        options: vec![Opt::Soname("out.so".into()), Opt::DynamicList(vec!["pro*".into()])],
        inputs,
        versions: None,
        beside: Vec::new(),
    }
}

#[test]
fn every_linker_takes_objects_archives_and_libraries() {
    let mut other = object_using_library();
    other.name = "m_with_a_long_name.o".into();
    other.symbols[0].name = "other".into();
    let archive = |name: &str, thin| Archive {
        name: name.into(),
        members: vec![other.clone()],
        whole: true,
        thin,
    };
    for thin in [false, true] {
        let inputs = vec![
            Input::Object(object_using_library()),
            Input::Archive(archive("l.a", thin)),
            Input::Library(library::tests::sample()),
        ];
        let request = request(&case(Mode::Shared, inputs));
        for linker in adapter::select(&["all".into()], &[]).unwrap() {
            if linker.name() == adapter::REFERENCE || !linker.serves(request.target) {
                continue;
            }
            let outcome = linker.link(&request, Duration::from_secs(10));
            let name = linker.name();
            assert!(matches!(outcome, Outcome::Linked(_)), "{name}, thin {thin}: {outcome:?}");
        }
    }
}

#[test]
fn the_loader_takes_a_library() {
    let Some(python) = run::find("python3").pop() else {
        eprintln!("skipped: no python3 here (apt-get install python3)");
        assert!(std::env::var("SCOLD_REQUIRE").as_deref() != Ok("all"));
        return;
    };
    let scratch = Scratch::new().unwrap();
    let library = library::tests::sample();
    scratch.write(&library.name, &library::library(&library, Target::AMD64_ELF)).unwrap();
    let script = "import ctypes as c\n\
         l = c.CDLL('./libx.so')\n\
         for n in 'fvi': f = l[n]; f.restype = c.c_uint64; print(f())\n\
         print(c.c_uint64.in_dll(l, 'd').value, c.c_uint64.in_dll(l, 't').value)";
    let limits = Limits::default();
    let run = run::run(&python, &["-c", script], scratch.path(), &[], limits).unwrap();
    assert_eq!(run.end, End::Exit(0), "{}", run.err());
    let number = |alias| library::number("libx.so", alias);
    let expected =
        format!("{}\n{}\n{}\n{} {}\n", number(1), number(6), number(4), number(2), number(3));
    assert_eq!(run.out(), expected);
}

/// `as` makes of an object's text what the emitter writes: sections, symbols and relocations.
#[test]
fn assembler_text_makes_the_same_object() {
    for (target, name) in [
        (Target::AMD64_ELF, "x86_64-linux-gnu-as"),
        (Target::ARM64_ELF, "aarch64-linux-gnu-as"),
        (Target::ARM_ELF, "arm-linux-gnueabihf-as"),
    ] {
        let Some(assembler) = run::find(name).pop() else {
            eprintln!("skipped: no {name} here (apt-get install binutils-…)");
            assert!(std::env::var("SCOLD_REQUIRE").as_deref() != Ok("all"));
            continue;
        };
        assembled(target, &assembler);
    }
}

fn assembled(target: Target, assembler: &std::path::Path) {
    for number in 0..40 {
        let mode = Mode::ALL[number as usize % Mode::ALL.len()];
        let random = crate::generate::seeded(11, number, target, mode);
        // A stride apart, because neighbours are alike.
        let stride = matrix::count(target) / 40;
        let table = (number * stride..).find_map(|n| matrix::case(target, n)).unwrap();
        for (engine, case) in [("random", random), ("matrix", table)] {
            for input in &case.inputs {
                let Input::Object(object) = input else { continue };
                if !folded(object) && !has_rare(object, target) {
                    same_object(object, target, assembler, &format!("{engine} {number}"));
                }
            }
        }
    }
    if target == Target::ARM_ELF {
        same_object(&thread_words(), target, assembler, "words of thread-local variables");
    }
}

fn same_object(object: &Object, target: Target, assembler: &std::path::Path, what: &str) {
    let scratch = Scratch::new().unwrap();
    let text = asm::object(object, target);
    scratch.write("a.s", text.as_bytes()).unwrap();
    let args = ["-o", "a.o", "a.s"];
    let run = run::run(assembler, &args, scratch.path(), &[], Limits::default()).unwrap();
    assert_eq!(run.end, End::Exit(0), "{what}: {}\n{text}", run.err());
    let made = std::fs::read(scratch.path().join("a.o")).unwrap();
    assert_eq!(shape(&made), shape(&elf::object(object, target)), "{what}\n{text}");
}

/// Words whose addends `as` adds the variable's place to, and one that it doesn't, of a variable of the object, of one
/// elsewhere and of one with a version.
fn thread_words() -> Object {
    let data = SectionFlags { write: true, exec: false, tls: true, ..TEXT };
    let place = |offset| Definition::Section { section: 1, offset };
    let words = [90, 104, 106, 107, 108];
    let relocs = (0..15).map(|i: u64| Reloc {
        offset: 16 + 4 * i,
        r_type: words[i as usize % 5],
        symbol: SymbolRef::Named(i as usize / 5),
        addend: i as i64 - 4,
    });
    Object {
        name: "a.o".into(),
        sections: vec![
            section(".text", TEXT, vec![0; 60], relocs.collect()),
            section(".tdata", data, vec![1; 8], vec![]),
        ],
        symbols: vec![
            named("t", SymbolKind::Tls, place(16)),
            named("u", SymbolKind::Tls, Definition::Undefined),
            named("v@V1", SymbolKind::Tls, place(20)),
        ],
        groups: vec![],
        subsections: false,
    }
}

/// Whether some relocation may be unknown to the assembler, or be written in another way.
fn has_rare(object: &Object, target: Target) -> bool {
    let machine = crate::machine::of(target.arch);
    let mut relocs = object.sections.iter().flat_map(|section| &section.relocs);
    relocs.any(|reloc| {
        // A local symbol may become its section's and an addend, which is in the bytes then.
        if let (SymbolRef::Named(index), false) = (reloc.symbol, machine.rela)
            && object.symbols[index].binding == Binding::Local
        {
            return true;
        }
        machine.rare_words.contains(&reloc.r_type)
            || machine.row(reloc.r_type).is_none_or(|row| row.rare)
    })
}

/// Whether the assembler settles a relocation itself: those of local absolute symbols.
fn folded(object: &Object) -> bool {
    let relocs = object.sections.iter().flat_map(|section| &section.relocs);
    relocs.into_iter().any(|reloc| {
        let SymbolRef::Named(index) = reloc.symbol else { return false };
        let symbol = &object.symbols[index];
        symbol.binding == Binding::Local && matches!(symbol.definition, Definition::Absolute(_))
    })
}

/// What counts of an object: contents, and symbols and relocations by name.
fn shape(bytes: &[u8]) -> Vec<String> {
    use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
    let file = object::File::parse(bytes).unwrap();
    let mut list = Vec::new();
    for section in file.sections().filter(|section| section.size() > 0 || section.align() > 1) {
        let name = section.name().unwrap();
        if [".symtab", ".strtab", ".shstrtab", ".group"].contains(&name)
            || name.starts_with(".rel")
            || name == ".ARM.attributes"
        {
            continue;
        }
        let data = section.data().unwrap();
        // The assembler fills up the last word of code.
        let mut data = data.to_vec();
        if section.kind() == object::SectionKind::Text {
            data.resize(data.len().next_multiple_of(4), 0);
        }
        // Addends are in the fields: the contents have them.
        let implicit = file.architecture() == object::Architecture::Arm;
        list.push(format!("{name} {} {data:x?}", section.align()));
        for (offset, reloc) in section.relocations() {
            if implicit {
                list.push(format!("{name}+{offset:#x} {:?}", reloc.flags()));
                continue;
            }
            let object::RelocationTarget::Symbol(index) = reloc.target() else { continue };
            let symbol = file.symbol_by_index(index).unwrap();
            // The assembler may name a local symbol by its section: the place is what counts.
            let section = symbol.section_index().map(|i| file.section_by_index(i).unwrap());
            let at = match section {
                Some(section) if symbol.is_local() => {
                    let place = symbol.address().wrapping_add(reloc.addend() as u64);
                    format!("{} {place:#x}", section.name().unwrap())
                }
                _ => format!("{} {}", symbol.name().unwrap(), reloc.addend()),
            };
            list.push(format!("{name}+{offset:#x} {:?} {at}", reloc.flags()));
        }
    }
    let symbols = file.symbols().filter(|symbol| symbol.is_global());
    list.extend(symbols.map(|symbol| {
        let (name, kind) = (symbol.name().unwrap(), symbol.kind());
        format!("{name} {kind:?} {:?} {}", symbol.flags(), symbol.size())
    }));
    list.sort();
    list
}

#[test]
fn libraries_of_every_machine_read_back() {
    use object::{Object as _, ObjectSymbol as _};
    for target in Target::ALL.iter().filter(|target| target.format == Format::Elf) {
        let bytes = library::library(&library::tests::sample(), *target);
        let file = object::File::parse(&*bytes).unwrap();
        let find = |name| file.dynamic_symbols().find(|s| s.name() == Ok(name)).unwrap();
        assert_eq!(find("d").address(), find("d_alias").address(), "{target}");
        assert_eq!(find("a").address(), 0x1234, "{target}");
        // The first function's number is odd: Thumb code, where there is such a thing.
        assert_eq!(find("f").address() % 2 == 1, *target == Target::ARM_ELF, "{target}");
        assert_eq!(file.is_64(), *target != Target::ARM_ELF);
    }
}

#[test]
fn text_names_an_assembler_that_knows_its_relocations() {
    for (r_type, expected) in
        [(315, "clang --target=aarch64-linux-gnu -c -o a.o"), (261, "as -o a.o -")]
    {
        let target = SymbolRef::Named(0);
        let reloc = Reloc { offset: 16, r_type, symbol: target, addend: 0 };
        let object = Object {
            name: "a.o".into(),
            sections: vec![section(".text", TEXT, vec![0; 4], vec![reloc])],
            symbols: vec![named("f", SymbolKind::Notype, Definition::Undefined)],
            groups: vec![],
            subsections: false,
        };
        let target = Target::ARM64_ELF;
        let case = Case { target, ..case(Mode::Shared, vec![Input::Object(object)]) };
        let text = asm::text(&case, &request(&case));
        assert!(text.starts_with(&format!("# ---- a.o: {expected}")), "{text}");
    }
}
