//! Programs: where they are linked to, what they are made of and for.

use super::messages::says;
use super::*;
use crate::format::macho::{lc, read};

/// MH_PIE.
const PIE: u32 = 0x20_0000;

/// An image's bytes at an address.
fn word(image: &[u8], section: &str, skip: u64) -> u64 {
    let file = object::File::parse(image).expect("an image");
    let section = file.section_by_name(section).expect(section);
    let data = section.data().expect("bytes");
    u64::from_le_bytes(data[skip as usize..][..8].try_into().expect("a word"))
}

fn address(image: &[u8], name: &str) -> u64 {
    let file = object::File::parse(image).expect("an image");
    file.symbols().find(|symbol| symbol.name() == Ok(name)).expect(name).address()
}

/// `main` calls `puts`; pointers to it in code's segment, of eight bytes and of four, and in data.
fn pointing(arm: bool, short: bool) -> Vec<u8> {
    let mut maker = Maker::new(arm);
    let main = maker.function("main", "puts", false);
    maker.pointer("p", "main");
    let table = maker.object.section_id(StandardSection::ReadOnlyData);
    let sizes: &[u8] = if short { &[3, 2] } else { &[3] };
    for &r_length in sizes {
        let offset = maker.object.append_section_data(table, &[0; 8], 8);
        let r_type = m::X86_64_RELOC_UNSIGNED;
        let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length };
        let relocation = Relocation { offset, symbol: main, addend: 0, flags };
        maker.object.add_relocation(table, relocation).expect("a relocation");
    }
    maker.bytes()
}

fn linkable(arm: bool, short: bool) -> MemoryFiles {
    let stub = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
                install-name: /usr/lib/libSystem.B.dylib\nexports:\n  - targets: [ x86_64-macos, \
                arm64-macos ]\n    symbols: [ _puts, dyld_stub_binder ]\n...\n";
    let mut files = MemoryFiles::new();
    files.insert("m.o", pointing(arm, short));
    files.insert("l.tbd", stub.as_bytes().to_vec());
    files
}

#[test]
fn a_program_that_stays_where_it_is_linked_to_has_its_addresses() {
    let files = linkable(false, false);
    let text = says(false, "-execute m.o l.tbd", &files);
    assert!(text.contains("(__TEXT,__const+0x0): a pointer in __TEXT can't be mended"), "{text}");
    let said = says(false, "-execute m.o l.tbd -no_pie -pie", &files);
    assert_eq!(said, text, "the last word counts");
    let line = args(false, "-execute m.o l.tbd -no_pie");
    let (image, report) = link_args(&line, &files).expect("a link");
    assert_eq!(report.warnings, [""; 0]);
    let file = read::File::parse(&image).expect("an image");
    assert_eq!(file.header.flags & PIE, 0);
    // Nothing is rebased, by either encoding.
    assert!(file.command(&[lc::CHAINED_FIXUPS]).is_none());
    let info = file.command(&[lc::DYLD_INFO_ONLY]).expect("opcodes");
    assert_eq!(info.bytes.u32(12).expect("a size"), 0);
    let main = address(&image, "_main");
    assert!(main > 1 << 32);
    assert_eq!(word(&image, "__const", 0), main);
    assert_eq!(word(&image, "__data", 0), main);
    let helper = object::File::parse(&*image).expect("an image");
    let helper = helper.section_by_name("__stub_helper").expect("lazy binding");
    let lazy = word(&image, "__la_symbol_ptr", 0).wrapping_sub(helper.address());
    assert!(lazy > 0 && lazy < helper.size(), "{lazy:#x}");
    let text = says(false, "-execute m.o l.tbd -no_pie -fixup_chains", &files);
    assert_eq!(text, "-fixup_chains: goes not with -no_pie");
    // Libraries and bundles slide whatever is said.
    let text = says(false, "-dylib m.o l.tbd -no_pie", &files);
    assert!(text.contains("a pointer in __TEXT can't be mended"), "{text}");
}

#[test]
fn short_addresses_are_for_programs_that_stay_low() {
    let files = linkable(false, true);
    let text = says(false, "-execute m.o l.tbd -no_pie", &files);
    assert!(
        text.starts_with("m.o:(__TEXT,__const+0x8): X86_64_RELOC_UNSIGNED out of range"),
        "{text}"
    );
    let line = args(false, "-execute m.o l.tbd -no_pie -image_base 10000 -pagezero_size 10000");
    let (image, _) = link_args(&line, &files).expect("a link");
    let main = address(&image, "_main");
    assert_eq!([word(&image, "__const", 0), word(&image, "__const", 8)], [main; 2]);
}

#[test]
fn arm64_has_no_program_that_stays() {
    let files = linkable(true, false);
    let text = says(true, "-execute m.o l.tbd -no_pie", &files);
    assert!(text.contains("a pointer in __TEXT can't be mended"), "{text}");
    let mut files = files;
    let mut maker = Maker::new(true);
    maker.function("main", "puts", false);
    files.insert("m.o", maker.bytes());
    let (image, report) =
        link_args(&args(true, "-execute m.o l.tbd -no_pie -fixup_chains"), &files).expect("a link");
    let flags = read::File::parse(&image).expect("an image").header.flags;
    assert_eq!(flags & PIE, PIE);
    let said = "-no_pie has no effect: programs for arm64 run wherever they are loaded";
    assert_eq!(report.warnings, [said]);
    assert!(
        link_args(&args(true, "-dylib m.o l.tbd -no_pie"), &files)
            .expect("a link")
            .1
            .warnings
            .is_empty()
    );
}

/// An object that says which system it is for, with a command that the writer doesn't know.
fn system(command: &[u32]) -> Vec<u8> {
    let mut maker = Maker::new(true);
    maker.function("z", "puts", false);
    let plain = maker.bytes();
    let size = 4 * command.len() as u32;
    let (count, room) = (u32::from_le_bytes(plain[16..20].try_into().unwrap()), 20..24);
    let commands = u32::from_le_bytes(plain[room].try_into().unwrap());
    let end = 32 + commands as usize;
    let mut bytes = plain.clone();
    bytes[16..20].copy_from_slice(&(count + 1).to_le_bytes());
    bytes[20..24].copy_from_slice(&(commands + size).to_le_bytes());
    // Everything behind moves: offsets are in the segment, its sections and the symbol table.
    let moved = |bytes: &mut Vec<u8>, at: usize| {
        let old = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let new = if old == 0 { 0 } else { old + size };
        bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
    };
    let file = read::File::parse(&plain).expect("an object");
    for command in &file.commands {
        match command.cmd {
            lc::SEGMENT => {
                moved(&mut bytes, command.at + 40);
                for section in file.sections().expect("sections") {
                    moved(&mut bytes, section.at + 48);
                    moved(&mut bytes, section.at + 56);
                }
            }
            lc::SYMTAB => {
                moved(&mut bytes, command.at + 8);
                moved(&mut bytes, command.at + 16);
            }
            _ => {}
        }
    }
    let words: Vec<u8> = command.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.splice(end..end, words);
    bytes
}

#[test]
fn files_for_another_system_are_refused() {
    let version = |platform| [lc::BUILD_VERSION, 24, platform, 0x10_0000, 0x10_0000, 0];
    let rows: [(&[u32], Option<&str>); 7] = [
        (&version(1), None),
        (&[lc::VERSION_MIN_MACOSX, 16, 0x10_0000, 0], None),
        (&version(2), Some("iOS")),
        (&version(7), Some("iOS Simulator")),
        (&version(6), Some("Mac Catalyst")),
        (&[0x2f, 16, 0x10_0000, 0], Some("tvOS")),
        (&version(99), Some("platform 99")),
    ];
    for (command, other) in rows {
        let mut files = files(true);
        files.insert("z.o", system(command));
        files.insert("u.o", libraries::calling("u", "z"));
        let name = format!("{:<16}{:<32}{:<10}`\n", "z.o/", 0, system(command).len());
        let archive = [b"!<arch>\n", name.as_bytes(), &system(command)].concat();
        files.insert("z.a", archive);
        for (line, name) in [("-dylib z.o l.tbd", "z.o"), ("-dylib u.o z.a l.tbd", "z.a(z.o)")] {
            let linked = link_args(&args(true, line), &files).map_err(|errors| errors.to_string());
            let wanted = other.map(|other| format!("{name}: is for {other}, the link for macOS"));
            assert_eq!(linked.err(), wanted, "{line}");
        }
    }
}

#[test]
fn a_library_for_two_systems_is_for_either() {
    let image = link_args(&args(true, "-dylib a.o l.tbd"), &files(true)).expect("a library").0;
    let at = read::File::parse(&image).expect("an image");
    let at = at.command(&[lc::BUILD_VERSION]).expect("a version").at;
    let uuid = read::File::parse(&image).expect("an image");
    let uuid = uuid.command(&[lc::UUID]).expect("a command").at;
    let with = |platform: u32, second: bool| {
        let mut image = image.clone();
        image[at + 8..at + 12].copy_from_slice(&platform.to_le_bytes());
        if second {
            // A UUID has as many bytes as a version without tools.
            let words = [lc::BUILD_VERSION, 24, 1, 0x10_0000, 0x10_0000, 0];
            let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            image[uuid..uuid + 24].copy_from_slice(&words);
        }
        let mut files = files(true);
        files.insert("x.dylib", image);
        files.insert("u.o", libraries::calling("u", "f"));
        link_args(&args(true, "-dylib u.o x.dylib l.tbd"), &files).map_err(|e| e.to_string()).err()
    };
    assert_eq!(with(6, true), None);
    assert_eq!(
        with(6, false).expect("no link"),
        "x.dylib: is for Mac Catalyst, the link for macOS"
    );
}

#[test]
fn a_program_is_no_input_but_a_bundles_host() {
    let mut files = files(true);
    let mut maker = Maker::new(true);
    maker.function("main", "puts", false);
    files.insert("m.o", maker.bytes());
    files.insert("u.o", libraries::calling("u", "main"));
    let program = link_args(&args(true, "-execute m.o l.tbd"), &files).expect("a program").0;
    files.insert("p", program);
    let refused = "p: a program, which only -bundle_loader takes";
    for kind in ["-dylib", "-bundle", "-execute"] {
        assert_eq!(says(true, &format!("{kind} u.o p l.tbd"), &files), refused, "{kind}");
    }
    let host = " -bundle_loader p u.o l.tbd";
    link_args(&args(true, &format!("-bundle{host}")), &files).expect("a bundle");
    for kind in ["-dylib", "-execute"] {
        let text = says(true, &format!("{kind}{host}"), &files);
        assert_eq!(text, "-bundle_loader: only a bundle has one", "{kind}");
    }
    let text = says(true, "-bundle -bundle_loader m.o u.o l.tbd", &files);
    assert_eq!(text, "m.o: not a program, which -bundle_loader wants");
}

/// What dyld is told has any library's number, symbols have eight bits for it.
#[test]
fn symbols_of_far_libraries_say_that_they_are_looked_up() {
    use std::fmt::Write as _;
    let mut files = MemoryFiles::new();
    let mut maker = Maker::new(true);
    let mut line = "-dylib u.o".to_owned();
    for number in 1..=260 {
        let stub = format!(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: /l{number}\n\
             exports:\n  - targets: [ arm64-macos ]\n    symbols: [ _s{number} ]\n...\n"
        );
        files.insert(format!("{number}.tbd"), stub.into_bytes());
        let _ = write!(line, " {number}.tbd");
    }
    for number in [1, 253, 254, 255, 256, 260] {
        maker.pointer(&format!("p{number}"), &format!("s{number}"));
    }
    files.insert("u.o", maker.bytes());
    let (image, _) = link_args(&args(true, &line), &files).expect("a link");
    let symbols = read::File::parse(&image).expect("an image").symbols().expect("symbols");
    let ordinal = |number: u32| {
        let name = format!("_s{number}");
        symbols.iter().find(|s| s.name == name.as_bytes()).expect("a symbol").desc >> 8
    };
    let found = [1, 253, 254, 255, 256, 260].map(ordinal);
    assert_eq!(found, [1, 253, 0xfe, 0xfe, 0xfe, 0xfe]);
}

/// dyld calls what LC_ROUTINES_64 says before what sections list.
#[test]
fn what_is_to_be_called_first_has_a_command_of_its_own() {
    for arm in [false, true] {
        let mut files = linkable(arm, false);
        let mut maker = Maker::new(arm);
        maker.function("g", "puts", false);
        files.insert("g.o", maker.bytes());
        for way in ["-fixup_chains", "-no_fixup_chains"] {
            let link = |name: &str| {
                let line = format!("-dylib g.o l.tbd -init {name} {way}");
                link_args(&args(arm, &line), &files).expect("a link").0
            };
            let first = |image: &[u8]| {
                let file = read::File::parse(image).expect("an image");
                file.command(&[lc::ROUTINES]).expect("the command").bytes.u64(8).expect("a word")
            };
            let image = link("_g");
            assert_eq!(first(&image), address(&image, "_g"), "{arm} {way}");
            // Another's is called through its stub.
            let image = link("_puts");
            let file = object::File::parse(&*image).expect("an image");
            let stubs = file.section_by_name("__stubs").expect("stubs");
            assert_eq!(first(&image), stubs.address(), "{arm} {way}");
            assert!(file.section_by_name("__init_offsets").is_none(), "{arm} {way}");
        }
    }
}

/// A personality routine that one object defines and uses by its section, another by its name, is one.
#[test]
fn a_personality_routine_is_one_however_it_is_named() {
    for arm in [false, true] {
        let mut own = Maker::new(arm);
        own.function("first", "puts", false);
        let routine = own.function("p0", "puts", false);
        let text = own.object.section_id(StandardSection::Text);
        let at = own.object.symbol(routine).value;
        let by_section = own.object.section_symbol(text);
        let mut other = Maker::new(arm);
        let add = |maker: &mut Maker, function: &str, routine, addend: u64| {
            let name = |text: &str| text.as_bytes().to_vec();
            let function = maker.function(function, "puts", false);
            let kind = object::SectionKind::Debug;
            let unwind = maker.object.add_section(name("__LD"), name("__compact_unwind"), kind);
            let mut entry = [0; 32];
            entry[8] = 4;
            let offset = maker.object.append_section_data(unwind, &entry, 8);
            for (skip, symbol, addend) in [(0, function, 0), (16, routine, addend)] {
                let r_type = m::X86_64_RELOC_UNSIGNED;
                let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
                let addend = addend as i64;
                let relocation = Relocation { offset: offset + skip, symbol, addend, flags };
                maker.object.add_relocation(unwind, relocation).expect("a relocation");
            }
        };
        add(&mut own, "f", by_section, at);
        let named = other.symbol("p0", SymbolKind::Text, false);
        add(&mut other, "g", named, 0);
        let mut files = files(arm);
        // One piece of code: the routine is somewhere in it.
        let mut bytes = own.bytes();
        bytes[25] &= !0x20;
        files.insert("own.o", bytes);
        files.insert("other.o", other.bytes());
        for way in ["own.o other.o", "other.o own.o"] {
            let line = args(arm, &format!("-dylib -no_fixup_chains {way} l.tbd"));
            let (image, _) = link_args(&line, &files).expect("a link");
            let file = object::File::parse(&*image).expect("an image");
            let info = file.section_by_name("__unwind_info").expect("a table");
            let info = info.data().expect("bytes");
            let word = |at: usize| u32::from_le_bytes(info[at..at + 4].try_into().expect("a word"));
            assert_eq!(word(16), 1, "{arm} {way}: one routine");
            let got = file.section_by_name("__got").expect("slots");
            assert_eq!(u64::from(word(word(12) as usize)), got.address(), "{arm} {way}");
            assert_eq!(got.size(), 16, "the routine and puts");
            let slot = got.data().expect("bytes")[..8].try_into().expect("a word");
            assert_eq!(u64::from_le_bytes(slot), address(&image, "_p0"), "{arm} {way}");
        }
    }
}

#[test]
fn a_programs_header_is_exported_unless_options_say_otherwise() {
    let header = "__mh_execute_header";
    for (way, seen) in [
        ("", true),
        (" -unexported_symbol __mh_execute_header", false),
        (" -unexported_symbol __mh_*", false),
        (" -exported_symbol _main", false),
        (" -exported_symbol _main -exported_symbol __mh_*", true),
        (" -exported_symbol __mh_execute_header", true),
    ] {
        let mut files = files(true);
        files.insert("m.o", libraries::calling("main", "puts"));
        let line = args(true, &format!("-execute m.o l.tbd{way}"));
        let (image, report) = link_args(&line, &files).expect("a program");
        assert_eq!(report.warnings, [""; 0], "{way}");
        let file = object::File::parse(&*image).expect("an image");
        let listed = file.symbols().any(|symbol| symbol.name() == Ok(header));
        let read = read::File::parse(&image).expect("an image");
        let exports = read.command(&[lc::EXPORTS_TRIE]).expect("a trie");
        let mut exported = false;
        let trie = read.blob(exports, 8).expect("its bytes");
        crate::format::macho::trie::walk(trie, &mut |name, _| {
            exported |= name == header.as_bytes()
        })
        .expect("names");
        assert_eq!((listed, exported), (seen, seen), "{way}");
    }
}
