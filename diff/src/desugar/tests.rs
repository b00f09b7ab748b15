mod hostile;
mod refused;

use std::time::Duration;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use super::sample::{RUNTIME, module};
use super::*;
use crate::adapter::{ADAPTERS, Adapter, Outcome, Reference};
use crate::model::elf;
use crate::run::{self, Limits, Scratch};
use crate::{Arch, Mode};

const LIMIT: Duration = Duration::from_secs(20);

fn in_mode(mode: Mode, names: &[&str]) -> Request {
    module(Target::AMD64_ELF, mode, names).unwrap()
}

fn part_names(request: &Request) -> Vec<&'static str> {
    Extra::of(request)
        .map_or(Vec::new(), |extra| extra.parts.iter().map(|part| part.name).collect())
}

#[test]
fn what_is_added_comes_of_what_is_defined() {
    let parts = |mode, names: &[&str]| part_names(&in_mode(mode, names));
    assert_eq!(parts(Mode::Plugin, &["local.moduledata"]), [".text", ".init_array"]);
    assert_eq!(parts(Mode::CShared, &["_rt0_amd64_linux_lib"]), [".init_array"]);
    assert!(parts(Mode::CShared, &RUNTIME).is_empty());
    assert!(parts(Mode::Plugin, &["_rt0_amd64_linux_lib", "f"]).is_empty());
    assert!(parts(Mode::CShared, &["_rt0_arm64_linux_lib"]).is_empty());
    assert!(parts(Mode::Shared, &RUNTIME).is_empty());
    let plain = in_mode(Mode::CShared, &["f"]);
    assert_eq!(desugar(plain.clone()), plain);
}

/// A module of one object, which alone sees those of `names` that `is_local` says.
fn owned(mode: Mode, names: &[&str], is_local: impl Fn(&str) -> bool) -> Request {
    let part = |name: &&str| Part {
        name: ".data",
        kind: 1,
        flags: 3,
        align: 16,
        bytes: vec![0; 16],
        symbols: vec![Symbol {
            name: (*name).to_owned(),
            global: !is_local(name),
            hidden: false,
            kind: DATA,
        }],
        fields: Vec::new(),
        lines: Vec::new(),
    };
    let parts: Vec<Part> = names.iter().map(part).collect();
    let bytes = write::object(code::of(62).unwrap(), &parts, &[]).into();
    let files = vec![File { name: "a.o".into(), bytes }];
    Request { target: Target::AMD64_ELF, mode, args: vec!["a.o".into()], files, goos: None }
}

#[test]
fn what_one_object_alone_sees_counts_as_well() {
    let [append, first, last] = RUNTIME;
    let start = "_rt0_amd64_linux_lib";
    for mode in [Mode::CShared, Mode::Plugin] {
        for name in [first, "local.moduledata"] {
            let request = owned(mode, &[name], |_| true);
            assert_eq!(part_names(&request), [".text", ".init_array"], "{mode} {name}");
            let extra = Extra::of(&request).unwrap();
            assert_eq!(extra.changes[0].1.aliases, [(1, format!("go:link.{name}"))]);
            assert_eq!(extra.parts[0].fields[0].symbol, format!("go:link.{name}"));
        }
        for name in RUNTIME {
            let extra = Extra::of(&owned(mode, &RUNTIME, |other| other == name)).unwrap();
            assert!(extra.parts.is_empty(), "{mode} {name}: {extra:?}");
            let change = &extra.changes[0].1;
            let pointer = change.pointer.as_ref().unwrap();
            assert_eq!(
                (&*pointer.symbol.1, &*pointer.target),
                (last, &*format!("go:link.{first}"))
            );
            assert!(change.hidden.is_empty());
        }
    }
    // Of two none counts, and then no linker takes both.
    for name in [start, first, append, last] {
        let mut request = owned(Mode::CShared, &[name], |_| true);
        let other = File { name: "b.o".into(), ..request.files[0].clone() };
        request.files.push(other);
        request.args.push("b.o".into());
        let changes = Extra::of(&request).unwrap().changes;
        let aliases: Vec<_> = changes.iter().map(|it| (&*it.0.0, &it.1.aliases)).collect();
        let alias = vec![(1, format!("go:link.{name}"))];
        assert_eq!(aliases, [("a.o", &alias), ("b.o", &alias)]);
    }
}

#[test]
fn the_request_comes_back() {
    let start = ["_rt0_amd64_linux_lib"];
    for (names, args) in [
        (&RUNTIME[..], &["a.o"][..]),
        (&[RUNTIME[0], RUNTIME[1], RUNTIME[2], start[0]], &[OBJECT, "a.o"]),
        (&start, &[OBJECT, "a.o"]),
    ] {
        for arch in [Arch::Amd64, Arch::Arm64, Arch::Arm] {
            let target = Target { arch, format: Format::Elf };
            let request = module(target, Mode::CShared, names).unwrap();
            let other = desugar(request.clone());
            assert!(arch != Arch::Amd64 || other.args == args, "{:?}", other.args);
            let changed = names.contains(&RUNTIME[2]);
            assert_eq!(other.file("a.o") != request.file("a.o"), changed);
            assert_eq!(sugared(&other).is_some(), changed || arch == Arch::Amd64);
            assert_eq!(sugared(&other).unwrap_or(other.clone()), request);
            assert_eq!(desugar(other.clone()), other);
            assert_eq!(sugared(&request), None);
        }
    }
}

/// A module, and more objects in an archive behind it.
fn with_archive(names: &[&str], members: &[&[&str]]) -> Request {
    let mut request = in_mode(Mode::Plugin, names);
    let one = |names: &&[&str]| in_mode(Mode::Plugin, names).files[0].bytes.to_vec();
    let objects: Vec<Vec<u8>> = members.iter().map(one).collect();
    let list: Vec<(&str, &[u8])> =
        ["m.o", "n.o"].into_iter().zip(objects.iter().map(|o| &**o)).collect();
    let bytes = crate::model::archive::tests::archive(&list).into();
    request.files.push(File { name: "l.a".into(), bytes });
    request.args.push("l.a".into());
    request
}

#[test]
fn of_an_archive_counts_what_is_asked_for() {
    let [append, first, last] = RUNTIME;
    // Nobody asks for the member.
    assert_eq!(Extra::of(&with_archive(&["f"], &[&["local.moduledata"]])), None);
    let mut asked = with_archive(&["f"], &[&["local.moduledata", "g"], &["h", first]]);
    asked.args.splice(0..0, ["-u".to_owned(), "g".to_owned()]);
    let extra = Extra::of(&asked).unwrap();
    assert_eq!(part_names(&asked), [".text", ".init_array"]);
    assert_eq!(extra.changes.iter().map(|it| it.0.1).collect::<Vec<_>>(), [Some(0)]);
    let whole = with_archive(&["f"], &[&["local.moduledata"]]);
    let args = ["a.o", "--whole-archive", "l.a"].map(str::to_owned).to_vec();
    assert_eq!(part_names(&Request { args, ..whole }), [".text", ".init_array"]);
    // An object that waits to be asked for is as good as a member.
    let lone = in_mode(Mode::Plugin, &["f"]);
    let mut lazy = in_mode(Mode::Plugin, &["local.moduledata", "g"]);
    lazy.files[0].name = "b.o".into();
    let files = [lone.files.clone(), lazy.files].concat();
    let args = ["a.o", "--start-lib", "b.o", "--end-lib"].map(str::to_owned).to_vec();
    let mut lazy = Request { args, files, ..lone };
    assert!(part_names(&lazy).is_empty());
    lazy.args.extend(["-u".to_owned(), "g".to_owned()]);
    assert_eq!(part_names(&lazy), [".text", ".init_array"]);
    // What asks for a runtime finds one, and goes on asking.
    let own = with_archive(&["f", "local.moduledata"], &[&[append, last]]);
    let extra = Extra::of(&own).unwrap();
    assert!(extra.wanted == [append] && extra.parts.is_empty(), "{extra:?}");
    let changed = desugar(own.clone());
    assert_eq!(changed.args, [OBJECT, "a.o", "l.a"]);
    assert_ne!(changed.file("l.a"), own.file("l.a"));
    assert_eq!(sugared(&changed), Some(own));
}

/// lld looks for what options ask for when it has read all inputs, and the tail would come before it.
#[test]
fn what_options_ask_for_comes_before_the_tail() {
    let mut request = super::sample::bounded(Target::AMD64_ELF, Mode::Plugin, 0).unwrap();
    let member = in_mode(Mode::Plugin, &["g"]).files[0].bytes.to_vec();
    let bytes = crate::model::archive::tests::archive(&[("m.o", &member)]).into();
    request.files.push(File { name: "l.a".into(), bytes });
    request.args.extend(["l.a", "--defsym=h=g", "-u", "nobody"].map(str::to_owned));
    assert_eq!(Extra::of(&request).unwrap().wanted, ["g"]);
}

/// Linkers have such types among other data: who has them says where they are.
#[test]
fn types_among_other_data_are_bounded_by_who_has_them() {
    let target = Target::AMD64_ELF;
    let mut request = in_mode(Mode::CShared, &["local.moduledata"]);
    for (name, to) in [("t.o", "runtime.types"), ("e.o", "runtime.etypes")] {
        let mut file = super::sample::pointer(target, ".data", to).unwrap();
        file.name = name.into();
        request.args.push(name.into());
        request.files.push(file);
    }
    assert!(part_names(&request).contains(&".go.type"));
    let marks = |extra: &Extra| {
        let each = extra.changes.iter().flat_map(|(place, change)| {
            change.marks.iter().map(|mark| (place.0.clone(), mark.name, mark.at_end))
        });
        each.collect::<Vec<_>>()
    };
    let end = ("t.o".to_owned(), "runtime.etypes", true);
    let start = ("t.o".to_owned(), "runtime.types", false);
    // Who has them may ask for nothing that modes know.
    for (to, wanted) in [("plain", vec![end.clone()]), ("runtime.types", vec![start, end])] {
        let types = super::sample::pointer(target, ".data.rel.ro.go.type", to).unwrap();
        request.files[1] = crate::File { name: "t.o".into(), ..types };
        let extra = Extra::of(&request).unwrap();
        assert_eq!(marks(&extra), wanted);
        assert!(!part_names(&request).contains(&".go.type"), "{to}");
        assert!(extra.tail.is_empty(), "{to}");
    }
    assert_eq!(sugared(&desugar(request.clone())), Some(request));
}

#[test]
fn bounds_are_around_what_they_bound() {
    let request = super::sample::bounded(Target::AMD64_ELF, Mode::Plugin, 0).unwrap();
    let other = desugar(request.clone());
    assert_eq!(other.args.first().map(String::as_str), Some(OBJECT));
    assert_eq!(other.args.last().map(String::as_str), Some(TAIL));
    assert_eq!(sugared(&other), Some(request.clone()));
    let extra = Extra::of(&request).unwrap();
    let tail: Vec<_> = extra.tail.iter().map(|part| (part.name, part.align)).collect();
    assert_eq!(tail, [(".text", 1), (".noptrbss", 1)]);
    // As aligned as what follows.
    assert_eq!((extra.parts[0].name, extra.parts[0].align), (".text.unlikely", 16));
}

/// What moves and what is added counts, too: a head that is less aligned than what it heads comes behind it where
/// linkers order by alignment.
#[test]
fn heads_are_aligned_as_linkers_get_what_they_head() {
    let heads = |request: &Request| {
        let parts = Extra::of(request).unwrap().parts;
        let named = parts.into_iter().filter(|part| part.bytes.is_empty());
        named.map(|part| (part.symbols[0].name.clone(), part.kind, part.align)).collect::<Vec<_>>()
    };
    let all: Vec<&str> = elf::BOUNDS.iter().map(|bound| bound.start).collect();
    // The list's end is in a `.bss` that becomes `.data`.
    let list = sample::zeros(Target::AMD64_ELF, Mode::Plugin, &all).unwrap();
    let found = heads(&list);
    let of = |name: &str| found.iter().find(|head| head.0 == name).map(|head| (head.1, head.2));
    assert_eq!((of("runtime.data"), of("runtime.bss")), (Some((1, 32)), Some((8, 4))));
    assert_eq!(of("runtime.text"), Some((1, 1)), "none");
    assert_eq!(texts(&list), texts(&desugar(list.clone())));
    // The function that announces is the only code.
    let mut announcer = sample::zeros(Target::AMD64_ELF, Mode::Plugin, &all).unwrap();
    let own = sample::alone(Target::AMD64_ELF, "local.moduledata", 4).unwrap();
    announcer.files[0].bytes = own.into();
    announcer.args.truncate(2);
    let found = heads(&announcer);
    assert_eq!(found[0], ("runtime.text".to_owned(), 1, 16));
}

#[test]
fn every_linker_makes_the_same_of_a_module() {
    let all: Vec<Box<dyn Adapter>> = ADAPTERS
        .iter()
        .flat_map(|linker| linker.installed())
        .map(|linker| Box::new(linker) as Box<dyn Adapter>)
        .collect();
    let mut compared = 0;
    for arch in [Arch::Amd64, Arch::Arm64, Arch::Arm] {
        let target = Target { arch, format: Format::Elf };
        let entry = format!("_rt0_{}_linux_lib", target.name().trim_end_matches("-elf"));
        for (mode, names) in [
            (Mode::Plugin, &["f", "local.moduledata"][..]),
            (Mode::CShared, &["f", &entry, RUNTIME[0], RUNTIME[1], RUNTIME[2]]),
        ] {
            let request = desugar(module(target, mode, names).unwrap());
            let made = Reference::default().link(&request, LIMIT);
            let Outcome::Linked(image) = made else { panic!("{target} {mode}: {made:?}") };
            let facts = elf::facts(&request, &image);
            // A machine that the judge reads.
            let known = facts.to_string().contains("bytes.a.o:.text");
            assert!(known || target != Target::AMD64_ELF);
            if known {
                let text = facts.to_string();
                assert!(text.contains("init.0"), "{text}");
                let made = if mode == Mode::Plugin { "buildmode.o" } else { "site.a.o:.noptrdata" };
                assert!(text.contains(made), "{text}");
            }
            for linker in all.iter().filter(|linker| linker.serves(target)) {
                match linker.link(&request, LIMIT) {
                    Outcome::Linked(image) if known => {
                        let other = elf::facts(&request, &image);
                        assert_eq!(told(&facts), told(&other), "{} {target} {mode}", linker.name());
                        compared += 1;
                    }
                    Outcome::Linked(_) | Outcome::Unsupported(_) => {}
                    other => panic!("{} {target} {mode}: {other:?}", linker.name()),
                }
            }
        }
    }
    if compared == 0 {
        eprintln!("skipped: no other linker here");
    }
}

/// The facts but for DF_SYMBOLIC, which mold never sets, and DF_BIND_NOW, which wild always sets.
fn told(facts: &crate::Facts) -> String {
    let text = facts.to_string();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("dynamic.symbolic") && !line.starts_with("dynamic.now"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What counts of an object: sections that are loaded, what refers to what in them, the symbols that begin one.
fn contents(bytes: &[u8]) -> Vec<String> {
    let file = object::File::parse(bytes).unwrap();
    let mut list = Vec::new();
    let section_name = |at| file.section_by_index(at).unwrap().name().unwrap().to_owned();
    // Assemblers begin with three sections of their own: those count that have a symbol.
    let named = file.symbols().filter_map(|s| Some((s.section_index()?, s)));
    let named: Vec<_> = named
        .filter(|(_, s)| !s.name().unwrap().is_empty() && !s.name().unwrap().starts_with('$'))
        .collect();
    for (at, symbol) in &named {
        let section = file.section_by_index(*at).unwrap();
        let flags = match section.flags() {
            object::SectionFlags::Elf { sh_type, sh_flags } => (sh_type.0, sh_flags.0),
            _ => unreachable!(),
        };
        let (name, binding) = (symbol.name().unwrap(), symbol.is_global());
        list.push(format!(
            "{} {flags:x?} {} {:x?}: {name} {binding} {:?} {}",
            section_name(*at),
            section.align(),
            section.data().unwrap(),
            symbol.scope(),
            symbol.size(),
        ));
        // Mapping symbols of code: those of data are the assembler's choice.
        let marks = file.symbols().filter(|s| s.section_index() == Some(*at));
        let marks = marks.filter(|s| flags.1 & 4 != 0 && s.name().unwrap().starts_with('$'));
        list.extend(marks.map(|s| format!("  {} {:#x}", s.name().unwrap(), s.address())));
        for (offset, reloc) in section.relocations() {
            let object::RelocationTarget::Symbol(target) = reloc.target() else { unreachable!() };
            let target = file.symbol_by_index(target).unwrap();
            let to = match target.section_index() {
                Some(at) => format!("{}+{}", section_name(at), target.address()),
                None => target.name().unwrap().to_owned(),
            };
            list.push(format!("  {offset:#x} {:?} {to} {}", reloc.flags(), reloc.addend()));
        }
    }
    let wanted = file.symbols().filter(|symbol| symbol.is_undefined());
    list.extend(wanted.map(|symbol| format!("wants {}", symbol.name().unwrap())));
    list.sort();
    list
}

#[test]
fn the_text_is_the_same_object() {
    let mut seen = 0;
    for (arch, assembler) in [
        (Arch::Amd64, "x86_64-linux-gnu-as"),
        (Arch::Arm64, "aarch64-linux-gnu-as"),
        (Arch::Arm, "arm-linux-gnueabihf-as"),
    ] {
        let Some(assembler) = run::find(assembler).into_iter().next() else {
            eprintln!("skipped: no {assembler} here");
            continue;
        };
        let target = Target { arch, format: Format::Elf };
        let start = format!("_rt0_{}_linux_lib", target.name().trim_end_matches("-elf"));
        let [append, first, last] = RUNTIME;
        for request in [
            module(target, Mode::Plugin, &["local.moduledata"]).unwrap(),
            module(target, Mode::CShared, &[&start, append, first, last]).unwrap(),
            module(target, Mode::Plugin, &[first]).unwrap(),
            super::sample::bounded(target, Mode::Plugin, 0).unwrap(),
        ] {
            let extra = Extra::of(&request).unwrap();
            let objects = [extra.object(), extra.tail()].into_iter().flatten();
            for ((name, text), object) in extra.texts().into_iter().zip(objects) {
                let files = [File { name: "a.s".into(), bytes: text.clone().into_bytes().into() }];
                let scratch = Scratch::with(&files).unwrap();
                let args = ["a.s", "-o", "a.o"];
                let ran = run::run(&assembler, &args, scratch.path(), &[], Limits::wall(LIMIT));
                let ran = ran.unwrap();
                assert_eq!(ran.end, run::End::Exit(0), "{}\n{text}", ran.err());
                let bytes = std::fs::read(scratch.path().join("a.o")).unwrap();
                assert_eq!(contents(&bytes), contents(&object), "{target} {name}\n{text}");
                assert!(!text.contains(".byte"), "{text}");
                seen += 1;
            }
        }
    }
    assert!(seen == 0 || seen % 5 == 0, "each has five objects: {seen}");
}

#[test]
fn an_entry_of_an_older_kind_is_one() {
    // Who it is called by is all that differs: the section's name or the relocation's type.
    let start = "_rt0_amd64_linux_lib";
    let whole = in_mode(Mode::CShared, &[start]);
    let calling = |name: &'static str, r_type: u32| {
        let code = super::code::of(Arch::Amd64.machine()).unwrap();
        let mut entry = code.entry("entry", start);
        (entry.name, entry.kind) = (name, 1);
        entry.fields[0].r_type = r_type;
        let mut request = whole.clone();
        let bytes = super::write::object(code, &[entry], &[]).into();
        request.args.push("calls.o".to_owned());
        request.files.push(File { name: "calls.o".to_owned(), bytes });
        part_names(&request)
    };
    assert!(calling(".ctors", 1).is_empty() && calling(".ctors.7", 1).is_empty());
    assert_eq!(calling(".dtors", 1), [".init_array"]);
    assert_eq!(calling(".ctors", 2), [".init_array"]);
}
