//! The selftest's subject is loaded for real, correct and with faults.

use std::sync::Arc;
use std::time::Duration;

use object::{Object as _, ObjectSection as _};

use super::super::judge;
use super::super::tests::Named;
use super::*;
use crate::adapter::{self, Outcome, Shared};
use crate::divergence::Rules;
use crate::model::{MARKER_MAGIC, Meaning, Place};
use crate::selftest::{MUTATIONS, subject};
use crate::{Facts, Key, Value};

fn complaints(request: &Request, images: &[(&'static str, Vec<u8>)]) -> Vec<String> {
    let trials: Vec<Trial> = images
        .iter()
        .map(|(name, image)| {
            let linker: Shared = Arc::new(Named(name));
            Trial::of(&linker, request, Outcome::Linked(image.clone()))
        })
        .collect();
    let rules = Rules::default();
    let limit = Duration::from_secs(20);
    let evidence = Evidence { request, trials: &trials, expected: None, rules: &rules, limit };
    let list = judge(&evidence, &[&Execute]).complaints;
    list.into_iter().map(|c| format!("{} {}: {:?}", c.linker, c.shape, c.keys)).collect()
}

/// Correct outputs of the subject, by linker.
fn images(request: &Request) -> Vec<(&'static str, Vec<u8>)> {
    let mut list = Vec::new();
    for name in ["gnu_ld", "gold", "lld", "mold", "wild"] {
        let Ok(linkers) = adapter::select(&[name.to_owned()], &[]) else { continue };
        let outcome = linkers[0].link(request, Duration::from_secs(20));
        if let Outcome::Linked(image) = outcome {
            list.push((name, image));
        }
    }
    list
}

fn able() -> bool {
    let able = Platform::of(subject::request().target).is_some_and(|p| Host::get(p).is_ok());
    if !able {
        assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no C compiler here");
        println!("skipped: needs a C compiler on amd64 Linux; apt-get install gcc");
    }
    able
}

#[test]
fn correct_modules_do_what_the_loader_says() {
    let mut request = subject::request();
    for mode in [crate::Mode::Shared, crate::Mode::CShared, crate::Mode::Plugin] {
        request.mode = mode;
        if able() {
            let list = complaints(&request, &images(&request));
            assert!(list.is_empty(), "{mode}: {list:#?}");
        }
    }
}

#[test]
fn planted_faults_show_at_run_time() {
    let request = subject::request();
    let images = images(&request);
    if !able() || images.len() < 3 {
        return;
    }
    for (name, shape) in [
        ("probe's constant", "probe returns number for number"),
        (".gnu.hash bloom filter", "does not load: fail undefined symbol"),
        ("RELATIVE at the wrong place", "crash"),
    ] {
        let mutation = MUTATIONS.iter().find(|mutation| mutation.name == name).unwrap();
        let mut list = images.clone();
        let faulty = list.iter_mut().any(|(_, image)| (mutation.apply)(image));
        let list = complaints(&request, &list);
        assert!(!faulty || list.iter().any(|text| text.contains(shape)), "{name}: {list:#?}");
    }
}

#[test]
fn aliases_agree_and_other_places_do_not() {
    let request = subject::request();
    let trials: Vec<Trial> = ["a", "b", "c"]
        .map(|name| Trial::of(&(Arc::new(Named(name)) as Shared), &request, Outcome::Hung))
        .into();
    let vote_on = |answers: [&[&str]; 3]| {
        let answer = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut ruling = Ruling::default();
        let list: Vec<(&Trial, values::Answer)> = trials.iter().zip(answers.map(answer)).collect();
        vote("probe", &list, &mut ruling);
        ruling
            .complaints
            .into_iter()
            .map(|c| format!("{} {}", c.linker, c.shape))
            .collect::<Vec<_>>()
    };
    let both = &["place a.o:.data+0x10", "symbol v"][..];
    let none: Vec<String> = Vec::new();
    assert_eq!(vote_on([both, &["place a.o:.data+0x10"], &["symbol v"]]), none);
    assert_eq!(vote_on([both, both, &["symbol w"]]), ["c probe returns symbol for place"]);
    assert_eq!(
        vote_on([&["place a.o:.data+0x18"], both, both]),
        ["a probe returns place for place"]
    );
    assert_eq!(vote_on([both, &["symbol x"], &["number 0x1"]]), none);
    // As many bytes as both have.
    assert_eq!(vote_on([&["memory 00"], &["memory 0000"], &["memory 00000000"]]), none);
    assert_eq!(
        vote_on([&["memory 01"], &["memory 0000"], &["memory 00000000"]]),
        ["a probe returns memory for memory"]
    );
}

/// Where an output is loaded.
const BASE: u64 = 0x7f00_0000_0000;

/// The subject, as the reference links it.
fn linked() -> (Request, Vec<u8>) {
    let request = subject::request();
    let reference = adapter::select(&["reference".to_owned()], &[]).unwrap();
    let outcome = reference[0].link(&request, Duration::from_secs(20));
    let image = outcome.image().unwrap().to_vec();
    (request, image)
}

/// What has no marker may begin where a section ends: the end's address is the section's, and memory.
#[test]
fn the_end_of_a_section_may_be_somebody_elses_start() {
    let (request, image) = linked();
    let module = Module::load(&image).unwrap();
    let values = Values::new(&request, &module, &image, BASE);
    let kinds = |offset: u64| {
        let answer = values.answer(&format!("{:#x} * 0 0000000000000000", BASE + offset));
        answer.iter().map(|text| text.split('+').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let marked = super::super::invariants::inputs::marked(&request);
    let (key, table) = marked.iter().find(|(_, m)| m.name == "a.o:.rodata").unwrap();
    let start = |at: &u64| {
        let word = |at| module.image.memory(at);
        word(*at) == Some(MARKER_MAGIC) && word(*at + 8) == Some(*key)
    };
    let at = (0..image.len() as u64).find(start).unwrap();
    assert_eq!(kinds(at + table.size - 1), ["place a.o:.rodata"]);
    assert_eq!(kinds(at + table.size), ["memory 00000000", "place a.o:.rodata"]);
}

/// A low address may be a number, and is what lies there all the same.
#[test]
fn a_low_address_is_of_memory_too() {
    let (request, image) = linked();
    let module = Module::load(&image).unwrap();
    let values = Values::new(&request, &module, &image, 0x8000);
    let answer = |line: &str| values.answer(line).into_iter().collect::<Vec<_>>();
    assert_eq!(answer("0x8000 * 0 7f454c4602010100"), ["memory 7f454c46", "number 0x8000"]);
    assert_eq!(answer("0x8000 - 0 -"), ["number 0x8000"]);
}

/// The first word of the GOT is where this linker put the dynamic section.
#[test]
fn the_start_of_the_got_is_no_memory_to_compare() {
    let (request, mut image) = linked();
    let (dynamic, _) = Module::load(&image).unwrap().image.dynamic.unwrap();
    // Padding of `e_ident`.
    let got = 8;
    image[got..got + 8].copy_from_slice(&dynamic.to_le_bytes());
    let module = Module::load(&image).unwrap();
    let values = Values::new(&request, &module, &image, BASE);
    let answer = |at: usize| {
        let answer = values.answer(&format!("{:#x} * 0 0011223344556677", BASE + at as u64));
        answer.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(answer(got), ["the GOT"]);
    assert_eq!(answer(got + 8), ["memory 00112233"]);
}

/// Behind the last segment's memory is the rest of a page of the file.
#[test]
fn what_follows_the_image_is_not_its_memory() {
    let (request, image) = linked();
    let module = Module::load(&image).unwrap();
    let values = Values::new(&request, &module, &image, BASE);
    let last = module.image.loads.iter().max_by_key(|load| load.address).unwrap();
    let end = last.address + last.size;
    let bytes = |before: u64| values.own(BASE + end - before, "0011223344556677");
    assert_eq!([bytes(4), bytes(1), bytes(0)], ["00112233", "00", ""]);
}

/// What is beside the section that a reference means is whatever a linker put there.
#[test]
fn a_probe_of_what_is_beside_a_section_is_not_asked() {
    let (request, image) = linked();
    let linked = crate::model::facts(&request, &image);
    // A function with relocations, as if it were a probe.
    let probe = linked.get(&Key::new(Family::Export, "f")).unwrap();
    let Value::Export { meaning: Meaning::Place(code), .. } = probe else { panic!("{probe:?}") };
    let own = |(site, _): &(String, i64)| {
        let (section, offset) = site.rsplit_once("+0x").unwrap();
        let offset = i64::from_str_radix(offset, 16).unwrap();
        section == "a.o:.text" && offset >= code.offset
    };
    let object = &request.file("a.o").unwrap().bytes;
    let sites = crate::model::elf::beside(request.target.arch.machine(), "a.o", object);
    let (site, beside) = sites.into_iter().find(own).unwrap();
    let asked = |section: &str, start: i64| {
        let mut facts = Facts::default();
        facts.add(Family::Export, "scold.probe.1", probe.clone());
        let place = Place { section: section.into(), offset: start - beside };
        facts.add(Family::Site, site.clone(), Value::Ref(Meaning::Place(place)));
        values::strays(&request, &facts).is_empty()
    };
    // The table has eight bytes and no marker: four of it are compared. Where .data ends, it is known by its marker.
    for (start, good) in [(0, true), (4, true), (5, false), (9, false), (-1, false)] {
        assert_eq!(asked("a.o:.init_array", start), good, "{start}");
    }
    let elf = object::File::parse(&**object).unwrap();
    let end = elf.section_by_name(".data").unwrap().size() as i64;
    for (start, good) in [(0, true), (end, true), (end + 1, false), (-1, false)] {
        assert_eq!(asked("a.o:.data", start), good, "{start}");
    }
}

/// Distances count from the instruction's end, four bytes behind the field.
#[test]
fn how_far_beside_its_symbol_a_site_leads() {
    let (request, _) = linked();
    let object = &request.file("a.o").unwrap().bytes;
    let sites = crate::model::elf::beside(request.target.arch.machine(), "a.o", object);
    let file = object::File::parse(&**object).unwrap();
    let text = file.section_by_name(".text").unwrap();
    let mut distances = text.relocations().filter(|(_, reloc)| {
        matches!(reloc.flags(), object::RelocationFlags::Elf { r_type } if matches!(r_type.0, 2 | 4))
    });
    let good = |at: u64, addend: i64| sites.contains(&(format!("a.o:.text+{at:#x}"), addend + 4));
    assert!(distances.all(|(at, reloc)| good(at, reloc.addend())), "{sites:?}");
}

/// Correct outputs of a subject of Mach-O, by linker.
fn macho_images(request: &Request) -> Vec<(&'static str, Vec<u8>)> {
    let mut list = Vec::new();
    for name in ["reference", "ld64_lld", "rust-ld64"] {
        let Ok(linkers) = adapter::select(&[name.to_owned()], &[]) else { continue };
        if let Outcome::Linked(image) = linkers[0].link(request, Duration::from_secs(20)) {
            list.push((name, image));
        }
    }
    list
}

#[test]
fn macho_images_are_loaded_and_their_probes_called() {
    for (name, request) in subject::macho() {
        let Some(platform) = Platform::of(request.target) else { continue };
        if let Err(why) = Host::get(platform) {
            assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "{name}: {why}");
            println!("skipped: {name}: {why}");
            continue;
        }
        let images = macho_images(&request);
        let list = complaints(&request, &images);
        assert!(list.is_empty(), "{name}: {list:#?}");
        // mov x0, #42; movl $42, %eax
        let constant: &[u8] = match request.target.arch {
            crate::Arch::Arm64 => b"\x40\x05\x80\xd2\xc0\x03\x5f\xd6",
            _ => b"\xb8\x2a\0\0\0\xc3",
        };
        let (_, good) = &images[0];
        let at = memchr::memmem::find(good, constant).expect("the probe's code");
        let mut bad = good.clone();
        bad[at + 1] ^= 1;
        let list = ["faulty", "one", "two"].into_iter().zip([bad, good.clone(), good.clone()]);
        let list = complaints(&request, &list.collect::<Vec<_>>());
        assert!(
            list.len() == 1 && list[0].starts_with("faulty probe returns number for number"),
            "{name}: {list:#?}"
        );
        // The initialiser becomes what no machine runs: udf, ud2.
        let mut bad = good.clone();
        let (ret, trap): (&[u8], &[u8]) = match request.target.arch {
            crate::Arch::Arm64 => (b"\xc0\x03\x5f\xd6\x1f\x20\x03\xd5", &[0; 4]),
            _ => (b"\xc3\x90\x90\x90\x90\x90\x90\x90", b"\x0f\x0b"),
        };
        // The second of two like it is the initialiser.
        let starts: Vec<usize> = memchr::memmem::find_iter(good, ret).collect();
        let start = *starts.last().expect("the initialiser's code");
        bad[start..start + trap.len()].copy_from_slice(trap);
        let list = complaints(&request, &[("faulty", bad)]);
        assert!(list.iter().any(|text| text.contains("crash in open")), "{name}: {list:#?}");
    }
}

/// Go leaves a segment with its debug information in a library, mapped nowhere.
#[test]
fn a_segment_that_takes_no_room_is_not_mapped() {
    let all = subject::macho().into_iter();
    let dylibs = all.filter(|(_, request)| request.target == crate::Target::AMD64_MACHO);
    for (name, mut request) in dylibs.filter(|(name, _)| name.ends_with("dylib")) {
        if Platform::of(request.target).is_none_or(|platform| Host::get(platform).is_err()) {
            assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no C compiler here");
            println!("skipped: needs a C compiler on amd64 Linux; apt-get install gcc");
            return;
        }
        request.args.extend(["-headerpad".into(), "100".into()]);
        let reference = adapter::Reference::default();
        let outcome = adapter::Adapter::link(&reference, &request, Duration::from_secs(20));
        let Outcome::Linked(mut image) = outcome else { panic!("{name}: {outcome:?}") };
        let word = |image: &[u8], at| crate::bytes::u32_at(image, at).unwrap();
        let (count, size) = (word(&image, 16), word(&image, 20));
        let mut segment = [0x19_u32.to_le_bytes(), 72_u32.to_le_bytes()].concat();
        segment.extend(b"__DWARF\0\0\0\0\0\0\0\0\0");
        segment.extend([1_u64 << 40, 0, 0, 16].iter().flat_map(|number| number.to_le_bytes()));
        segment.extend([7_u32, 3, 0, 0].iter().flat_map(|number| number.to_le_bytes()));
        image[16..20].copy_from_slice(&(count + 1).to_le_bytes());
        image[20..24].copy_from_slice(&(size + 72).to_le_bytes());
        let at = 32 + size as usize;
        assert!(image[at..at + 72].iter().all(|byte| *byte == 0), "room for it");
        image[at..at + 72].copy_from_slice(&segment);
        let list = complaints(&request, &[("reference", image)]);
        assert!(list.is_empty(), "{name}: {list:#?}");
    }
}

/// Code that prints `open 0x1` and returns 42, by the kernel's own numbers.
fn printing(arch: crate::Arch) -> Vec<u8> {
    let arm64: [u32; 7] = [
        0xd280_0808, // mov x8, #64
        0xd280_0020, // mov x0, #1
        0x1000_00a1, // adr x1, the text
        0xd280_0122, // mov x2, #9
        0xd400_0001, // svc #0
        0xd280_0540, // mov x0, #42
        0xd65f_03c0, // ret
    ];
    // movl $1, %eax; movl $1, %edi; leaq the text(%rip), %rsi; movl $9, %edx; syscall; movl $42, %eax; ret
    let amd64 = b"\xb8\x01\0\0\0\xbf\x01\0\0\0\x48\x8d\x35\x0d\0\0\0\xba\x09\0\0\0\x0f\x05\xb8\x2a\0\0\0\xc3";
    let code = match arch {
        crate::Arch::Arm64 => arm64.iter().flat_map(|word| word.to_le_bytes()).collect(),
        _ => amd64.to_vec(),
    };
    [&code[..], b"open 0x1\n"].concat()
}

/// A library whose initialiser and probe print.
fn noisy(target: crate::Target) -> Request {
    use object::write::{Object, Relocation, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SectionFlags, SectionKind};
    let arch = match target.arch {
        crate::Arch::Arm64 => Architecture::Aarch64,
        _ => Architecture::X86_64,
    };
    let macho = target.format == Format::Macho;
    let format = if macho { BinaryFormat::MachO } else { BinaryFormat::Elf };
    let mut object = Object::new(format, arch, Endianness::Little);
    let text = object.section_id(object::write::StandardSection::Text);
    let at = object.append_section_data(text, &printing(target.arch), 8);
    let symbol = object.add_symbol(Symbol {
        name: b"scold.probe.1".to_vec(),
        value: at,
        size: printing(target.arch).len() as u64,
        kind: object::SymbolKind::Text,
        scope: object::SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(text),
        flags: object::SymbolFlags::None,
    });
    let (segment, name, flags) = match macho {
        true => {
            let flags = object::macho::SectionFlags(crate::model::macho::image::kind::MOD_INIT);
            ("__DATA", "__mod_init_func", SectionFlags::MachO { flags, reserved2: 0 })
        }
        false => {
            let sh_flags = object::elf::SHF_ALLOC | object::elf::SHF_WRITE;
            let flags = SectionFlags::Elf { sh_type: object::elf::SHT_INIT_ARRAY, sh_flags };
            ("", ".init_array", flags)
        }
    };
    let init = object.add_section(segment.into(), name.into(), SectionKind::Data);
    object.section_mut(init).flags = flags;
    object.append_section_data(init, &[0; 8], 8);
    let flags = object::RelocationFlags::Generic {
        kind: object::RelocationKind::Absolute,
        encoding: object::RelocationEncoding::Generic,
        size: 64,
    };
    object.add_relocation(init, Relocation { offset: 0, symbol, addend: 0, flags }).unwrap();
    let bytes = object.write().unwrap().into();
    let args = vec!["a.o".into()];
    let files = vec![crate::File { name: "a.o".into(), bytes }];
    Request { target, mode: crate::Mode::Shared, args, files, goos: None }
}

/// What a module prints, when it is loaded or later, is its own affair: no answer of the host's.
#[test]
fn what_a_module_prints_is_no_answer() {
    use crate::Target;
    let all = [Target::AMD64_ELF, Target::ARM64_ELF, Target::AMD64_MACHO, Target::ARM64_MACHO];
    for request in all.map(noisy) {
        let target = request.target;
        if let Some(Err(why)) = Platform::of(target).map(Host::get) {
            assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "{target}: {why}");
            println!("skipped: {target}: {why}");
            continue;
        }
        let reference = adapter::Reference::default();
        let outcome = adapter::Adapter::link(&reference, &request, Duration::from_secs(20));
        let Outcome::Linked(good) = outcome else { panic!("{target}: {outcome:?}") };
        let list = complaints(&request, &[("reference", good.clone())]);
        assert!(list.is_empty(), "{target}: {list:#?}");
        // Its probe is heard all the same.
        let (constant, other): (&[u8], &[u8]) = match target.arch {
            crate::Arch::Arm64 => (b"\x40\x05\x80\xd2", b"\x60\x05\x80\xd2"),
            _ => (b"\xb8\x2a\0\0\0", b"\xb8\x2b\0\0\0"),
        };
        let at = memchr::memmem::find(&good, constant).expect("the probe's code");
        let mut bad = good.clone();
        bad[at..at + other.len()].copy_from_slice(other);
        let list = [("faulty", bad), ("one", good.clone()), ("two", good)];
        let list = complaints(&request, &list);
        assert!(
            list.len() == 1 && list[0].starts_with("faulty probe returns number for number"),
            "{target}: {list:#?}"
        );
    }
}

/// What a library passes on, whole or by a name in its trie, is found where it is.
#[test]
fn what_a_library_passes_on_is_found_where_it_is() {
    let target = crate::Target::AMD64_MACHO;
    let host = Platform::of(target).map(Host::get);
    let Some(Ok(host)) = host else {
        assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no C compiler here");
        println!("skipped: needs a C compiler on amd64 Linux; apt-get install gcc");
        return;
    };
    let object = |name: &str, bytes| crate::File { name: name.into(), bytes };
    let empty = object::write::Object::new(
        object::BinaryFormat::MachO,
        object::Architecture::X86_64,
        object::Endianness::Little,
    );
    let mut request = noisy(target);
    request.mode = crate::Mode::CShared;
    request.files.push(object("empty.o", empty.write().unwrap().into()));
    let mut link = |name: &str, args: &str| {
        request.args = args.split_whitespace().map(String::from).collect();
        let reference = adapter::Reference::default();
        let outcome = adapter::Adapter::link(&reference, &request, Duration::from_secs(20));
        let Outcome::Linked(image) = outcome else { panic!("{name}: {outcome:?}") };
        request.files.push(object(name, image.into()));
    };
    link("own.dylib", "-install_name @loader_path/own.dylib a.o");
    link("whole.dylib", "-install_name /whole -reexport_library own.dylib empty.o");
    let name = "-exported_symbol _scold.probe.1";
    link("named.dylib", &format!("-install_name /named {name} own.dylib empty.o"));
    link("main", "whole.dylib named.dylib own.dylib empty.o");
    let main = request.files.pop().unwrap();
    let script = "find _scold.probe.1 1 0\nfind _scold.probe.1 2 0\nfind _scold.probe.1 3 0\n\
                  find _nobody 1 0\n";
    let run = macho::play(host, &request, &main.bytes, script, Duration::from_secs(20)).unwrap();
    let out = run.out();
    let lines: Vec<&str> = out.lines().skip(1).collect();
    let [whole, named, own, nobody, "end"] = lines[..] else { panic!("{out}") };
    assert!(whole == own && named == own && nobody != own, "{out}");
}
