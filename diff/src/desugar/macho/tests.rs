//! Modules that are in archives, wholly or in part.

use super::*;
use crate::adapter::{ADAPTERS, Adapter, Outcome, Reference};
use crate::model::macho;
use crate::{Arch, Target};

/// A member's name, and what it defines.
type Member = (&'static str, &'static [&'static str]);

const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);
const SYSTEM: &str = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
    install-name: '/usr/lib/libSystem.B.dylib'\nexports:\n  - targets: [ x86_64-macos, \
    arm64-macos ]\n    symbols: [ dyld_stub_binder ]\n...\n";

/// An archive with an index of what its members define.
fn archive(members: &[(&str, Vec<u8>, &[&str])]) -> Vec<u8> {
    let header = |name: &str, size: usize| {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).into_bytes()
    };
    let names: Vec<String> =
        members.iter().flat_map(|it| it.2).map(|name| mangled(name) + "\0").collect();
    let names = names.concat();
    let count: usize = members.iter().map(|it| it.2.len()).sum();
    let size = (4 + 4 * count + names.len()).next_multiple_of(2);
    let mut index = (count as u32).to_be_bytes().to_vec();
    let mut at = 8 + 60 + size;
    for (_, bytes, names) in members {
        names.iter().for_each(|_| index.extend((at as u32).to_be_bytes()));
        at += 60 + bytes.len().next_multiple_of(2);
    }
    index.extend(names.bytes());
    index.resize(size, 0);
    let mut out = [b"!<arch>\n", &*header("/", size), &index].concat();
    for (name, bytes, _) in members {
        out.extend(header(&format!("{name}/"), bytes.len()));
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

/// A plugin of an object with `names`, and an archive whose members have `members`.
fn request(arch: Arch, names: &[&str], members: &[Member]) -> Request {
    let member = |it: &Member| (it.0, samples(arch, it.1), it.1);
    let list: Vec<_> = members.iter().map(member).collect();
    let file = |name: &str, bytes: Vec<u8>| File { name: name.into(), bytes: bytes.into() };
    Request {
        target: if arch == Arch::Amd64 { Target::AMD64_MACHO } else { Target::ARM64_MACHO },
        mode: Mode::Plugin,
        args: ["a.o", "l.a", "l.tbd"].map(str::to_owned).to_vec(),
        files: vec![
            file("a.o", samples(arch, names)),
            file("l.a", archive(&list)),
            file("l.tbd", SYSTEM.as_bytes().to_vec()),
        ],
        goos: None,
    }
}

#[test]
fn of_an_archive_counts_what_is_asked_for() {
    let plan = |request: &Request| Plan::of(request);
    let own: Member = ("m.o", &[OWN]);
    assert!(plan(&request(Arch::Amd64, &["f"], &[own])).is_none());
    let mut asked = request(Arch::Amd64, &["f"], &[("n.o", &["h"]), ("m.o", &[OWN, "g"])]);
    asked.args.splice(0..0, ["-u", "_g"].map(str::to_owned));
    assert_eq!(plan(&asked).unwrap().announce, Some(mangled(OWN)));
    let mut whole = request(Arch::Amd64, &["f"], &[own]);
    whole.args.insert(1, "-force_load".into());
    assert_eq!(plan(&whole).unwrap().announce, Some(mangled(OWN)));
}

/// What asks for a runtime finds one in an archive, and goes on asking.
#[test]
fn a_runtime_may_be_in_an_archive() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let before = request(arch, &["f", OWN], &[("n.o", &["h"]), ("m.o", &[APPEND, LAST])]);
        let plan = Plan::of(&before).unwrap();
        assert!(plan.pulls && plan.announce.is_none() && plan.list.is_some(), "{plan:?}");
        let request = desugar(before.clone());
        assert_ne!(request.file("l.a"), before.file("l.a"));
        assert_eq!(sugared(&request), Some(before));
        let list = "site.l.a(m.o):__DATA,__data#1+0x0 ";
        assert!(sites(&request).iter().any(|site| site.starts_with(list)));
    }
}

/// What is referred to where, which every linker here says alike.
fn sites(request: &Request) -> Vec<String> {
    let sites = |image: &[u8]| {
        let text = macho::facts(request, image).to_string();
        let lines = text.lines().filter(|line| line.starts_with("site."));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let own = match Reference::default().link(request, LIMIT) {
        Outcome::Linked(image) => sites(&image),
        other => panic!("{other:?}"),
    };
    let all = ADAPTERS.iter().filter(|linker| linker.name == "ld64_lld");
    for linker in all.flat_map(|linker| linker.installed()) {
        match linker.link(request, LIMIT) {
            Outcome::Linked(image) => assert_eq!(own, sites(&image), "{}", linker.name()),
            Outcome::Unsupported(_) => {}
            other => panic!("{}: {other:?}", linker.name()),
        }
    }
    own
}

/// An object whose list ends in a common block of `size` bytes.
fn common(arch: Arch, size: u64) -> Vec<u8> {
    use object::write::{Object, Symbol, SymbolSection};
    use object::{BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};
    let arch = match arch {
        Arch::Amd64 => object::Architecture::X86_64,
        _ => object::Architecture::Aarch64,
    };
    let mut object = Object::new(BinaryFormat::MachO, arch, Endianness::Little);
    object.add_common_symbol(
        Symbol {
            name: LAST.into(),
            value: 0,
            size: 0,
            kind: SymbolKind::Data,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Common,
            flags: SymbolFlags::None,
        },
        size,
        8,
    );
    object.write().unwrap()
}

/// Where there were zeros is a word in the file.
#[test]
fn the_list_may_end_in_zeros_or_in_a_common_block() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let runtime = || request(arch, &[OWN, APPEND], &[]);
        let of = |bytes: Vec<u8>, list: &str| {
            let mut before = runtime();
            before.files.push(File { name: "z.o".into(), bytes: bytes.into() });
            before.args.push("z.o".into());
            let request = desugar(before.clone());
            assert_eq!(sugared(&request), Some(before));
            let found = sites(&request);
            assert!(found.iter().any(|site| site.starts_with(list)), "{found:?}");
        };
        let row = MARKERS.iter().find(|row| row.3 == "__bss").unwrap();
        let zeros = Plan { heads: vec![(row, mangled(LAST).leak())], ..Plan::default() };
        of(made::object(&zeros, arch), "site.z.o:__DATA,__data+0x0 ");
        let block = |size: u64| common(arch, size);
        of(block(24), "site.buildmode.o:__DATA,__noptrdata+0x0 ");
        let mut short = runtime();
        short.files.push(File { name: "z.o".into(), bytes: block(4).into() });
        short.args.push("z.o".into());
        assert!(Plan::of(&short).is_none());
    }
}

/// What an object's own init entry calls gets no other.
#[test]
fn a_start_that_is_called_has_no_entry() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let start =
            format!("_rt0_{}_darwin_lib", if arch == Arch::Amd64 { "amd64" } else { "arm64" });
        let mut alone = request(arch, &[&start], &[]);
        alone.mode = Mode::CShared;
        assert_eq!(Plan::of(&alone).unwrap().start, Some(mangled(&start)));
        let entry = Plan { start: Some(mangled(&start)), ..Plan::default() };
        let bytes = made::object(&entry, arch).into();
        let mut called = alone;
        called.files.push(File { name: "i.o".into(), bytes });
        called.args.push("i.o".into());
        assert!(Plan::of(&called).is_none());
    }
}
