//! Small links in process: what is exported and imported, what is refused, bytes gone wrong.

mod called;
mod libraries;
mod messages;
mod programs;
mod refusals;
mod sorts;

use object::macho as m;
use object::write::{Object, Relocation, StandardSection, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSection as _, ObjectSymbol as _,
    RelocationFlags, SymbolFlags, SymbolKind, SymbolScope,
};

use super::link_args;
use crate::{ErrorKind, MemoryFiles};

/// An object builder for one machine.
struct Maker {
    object: Object<'static>,
    arm: bool,
}

impl Maker {
    fn new(arm: bool) -> Self {
        let machine = if arm { Architecture::Aarch64 } else { Architecture::X86_64 };
        let mut object = Object::new(BinaryFormat::MachO, machine, Endianness::Little);
        object.set_subsections_via_symbols();
        Self { object, arm }
    }

    fn symbol(&mut self, name: &str, kind: SymbolKind, weak: bool) -> object::write::SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind,
            scope: SymbolScope::Dynamic,
            weak,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::None,
        })
    }

    /// A function `name` that calls `callee`.
    fn function(&mut self, name: &str, callee: &str, weak: bool) -> object::write::SymbolId {
        let (mine, theirs) = (
            self.symbol(name, SymbolKind::Text, weak),
            self.symbol(callee, SymbolKind::Text, false),
        );
        let code: &[u8] = if self.arm { &[0, 0, 0, 0x94] } else { &[0xe8, 0, 0, 0, 0, 0xc3] };
        let text = self.object.section_id(StandardSection::Text);
        let at = self.object.add_symbol_data(mine, text, code, 4);
        let (offset, r_type) = match self.arm {
            true => (at, m::ARM64_RELOC_BRANCH26),
            false => (at + 1, m::X86_64_RELOC_BRANCH),
        };
        let addend = if self.arm { 0 } else { -4 };
        let flags = RelocationFlags::MachO { r_type, r_pcrel: true, r_length: 2 };
        let relocation = Relocation { offset, symbol: theirs, addend, flags };
        self.object.add_relocation(text, relocation).expect("a relocation");
        mine
    }

    /// A variable `name` that points to `to`.
    fn pointer(&mut self, name: &str, to: &str) {
        self.pointer_at(name, to, 0);
    }

    /// The same, so many bytes behind the variable's start.
    fn pointer_at(&mut self, name: &str, to: &str, skip: u64) {
        let (mine, theirs) =
            (self.symbol(name, SymbolKind::Data, false), self.symbol(to, SymbolKind::Data, false));
        let data = self.object.section_id(StandardSection::Data);
        let offset = skip + self.object.add_symbol_data(mine, data, &[0; 16], 8);
        // The plain address is 0 on both machines.
        let flags = RelocationFlags::MachO {
            r_type: m::X86_64_RELOC_UNSIGNED,
            r_pcrel: false,
            r_length: 3,
        };
        let relocation = Relocation { offset, symbol: theirs, addend: 0, flags };
        self.object.add_relocation(data, relocation).expect("a relocation");
    }

    /// A variable `name` that holds `to - name`.
    fn difference(&mut self, name: &str, to: &str) {
        let (mine, theirs) =
            (self.symbol(name, SymbolKind::Data, false), self.symbol(to, SymbolKind::Data, false));
        let data = self.object.section_id(StandardSection::Data);
        let offset = self.object.add_symbol_data(mine, data, &[0; 8], 8);
        let minus = if self.arm { m::ARM64_RELOC_SUBTRACTOR } else { m::X86_64_RELOC_SUBTRACTOR };
        // The builder writes the last one first.
        for (symbol, r_type) in [(theirs, m::X86_64_RELOC_UNSIGNED), (mine, minus)] {
            let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
            let relocation = Relocation { offset, symbol, addend: 0, flags };
            self.object.add_relocation(data, relocation).expect("a relocation");
        }
    }

    /// A variable `name` that holds `to - from` in four bytes.
    fn short_difference(
        &mut self,
        name: &str,
        to: object::write::SymbolId,
        from: object::write::SymbolId,
    ) {
        let mine = self.symbol(name, SymbolKind::Data, false);
        let data = self.object.section_id(StandardSection::Data);
        let offset = self.object.add_symbol_data(mine, data, &[0; 8], 8);
        let minus = if self.arm { m::ARM64_RELOC_SUBTRACTOR } else { m::X86_64_RELOC_SUBTRACTOR };
        for (symbol, r_type) in [(from, minus), (to, m::X86_64_RELOC_UNSIGNED)] {
            let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 2 };
            let relocation = Relocation { offset, symbol, addend: 0, flags };
            self.object.add_relocation(data, relocation).expect("a relocation");
        }
    }

    fn bytes(self) -> Vec<u8> {
        self.object.write().expect("an object")
    }
}

fn args(arm: bool, more: &str) -> Vec<String> {
    let arch = if arm { "arm64" } else { "x86_64" };
    let all = format!("-arch {arch} -platform_version macos 13.0 13.0 -o /out/l.dylib {more}");
    all.split(' ').map(str::to_owned).collect()
}

/// An object with a function, a pointer and two imports.
fn sample(arm: bool) -> Vec<u8> {
    maker(arm).bytes()
}

fn maker(arm: bool) -> Maker {
    let mut maker = Maker::new(arm);
    maker.function("f", "puts", false);
    maker.pointer("p", "f");
    maker.pointer("q", "environ");
    maker
}

fn files(arm: bool) -> MemoryFiles {
    let stub = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64e-macos ]\n\
                install-name: /usr/lib/libSystem.B.dylib\nexports:\n  - targets: [ x86_64-macos, \
                arm64e-macos ]\n    symbols: [ _puts, _environ ]\n...\n";
    let mut files = MemoryFiles::new();
    files.insert("a.o", sample(arm));
    files.insert("l.tbd", stub.as_bytes().to_vec());
    files
}

#[test]
fn a_dylib_exports_and_imports() {
    for (arm, way) in
        [(true, ""), (false, ""), (true, " -no_fixup_chains"), (false, " -flat_namespace")]
    {
        let link = || link_args(&args(arm, &format!("-dylib a.o l.tbd{way}")), &files(arm));
        let (image, _) = link().expect("a link");
        assert_eq!(image, link().expect("again").0, "the same inputs give the same bytes");
        let file = object::File::parse(&*image).expect("an image");
        let defined = file.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition());
        let mut exports: Vec<_> =
            defined.map(|symbol| symbol.name().expect("a name").to_owned()).collect();
        exports.sort();
        assert_eq!(exports, ["_f", "_p", "_q"], "{arm} {way}");
        let undefined = file.symbols().filter(|symbol| symbol.is_undefined());
        let undefined: Vec<_> = undefined.map(|symbol| symbol.name().unwrap().to_owned()).collect();
        assert_eq!(undefined, ["_environ", "_puts"], "{arm} {way}");
    }
}

#[test]
fn without_exports_there_is_no_trie() {
    use crate::format::macho::lc;
    for (arm, way) in [(true, ""), (false, ""), (true, " -no_fixup_chains")] {
        let all = args(arm, &format!("-dylib a.o l.tbd -no_exported_symbols{way}"));
        let (image, _) = link_args(&all, &files(arm)).expect("a link");
        let file = object::File::parse(&*image).expect("an image");
        let seen = file.symbols().filter(|s| s.is_global() && s.is_definition());
        assert_eq!(seen.count(), 0);
        let read = crate::format::macho::read::File::parse(&image).expect("commands");
        let size = match way {
            "" => read.command(&[lc::EXPORTS_TRIE]).map(|command| command.bytes.0[12..16].to_vec()),
            _ => {
                read.command(&[lc::DYLD_INFO_ONLY]).map(|command| command.bytes.0[44..48].to_vec())
            }
        };
        assert_eq!(size.expect("a command"), [0; 4], "{arm} {way}");
    }
}

#[test]
fn arm64_is_signed_and_every_page_hashed() {
    use sha2::{Digest, Sha256};
    let (image, _) = link_args(&args(true, "-dylib a.o l.tbd"), &files(true)).expect("a link");
    let read = crate::format::macho::read::File::parse(&image).unwrap();
    let command = read.command(&[crate::format::macho::lc::CODE_SIGNATURE]).expect("a signature");
    let at = command.bytes.u32(8).unwrap() as usize;
    let hashes = image.len() - (at.div_ceil(4096)) * 32;
    for (page, hash) in image[..at].chunks(4096).zip(image[hashes..].chunks(32)) {
        assert_eq!(Sha256::digest(page)[..], *hash);
    }
    let other = link_args(&args(false, "-dylib a.o l.tbd"), &files(false)).expect("a link").0;
    let read = crate::format::macho::read::File::parse(&other).unwrap();
    assert!(read.command(&[crate::format::macho::lc::CODE_SIGNATURE]).is_none());
}

/// clang names the start of code even where there is none: that is no function, but where other data starts.
#[test]
fn no_function_starts_behind_code() {
    for (arm, code, starts) in [(true, 0, 0), (true, 4, 1), (false, 0, 0), (false, 1, 1)] {
        let mut maker = Maker::new(arm);
        let text = maker.object.section_id(StandardSection::Text);
        let start = maker.symbol("start", SymbolKind::Text, false);
        maker.object.append_section_data(text, &[0; 4][..code], 4);
        maker.object.symbol_mut(start).section = SymbolSection::Section(text);
        maker.pointer("p", "start");
        let mut files = files(arm);
        files.insert("a.o", maker.bytes());
        let (image, _) = link_args(&args(arm, "-dylib a.o l.tbd"), &files).expect("a link");
        let read = crate::format::macho::read::File::parse(&image).unwrap();
        let command = read.command(&[crate::format::macho::lc::FUNCTION_STARTS]).expect("a table");
        let at = command.bytes.u32(8).unwrap() as usize;
        assert_eq!(usize::from(image[at] != 0), starts, "{arm} {code}");
    }
}

#[test]
fn what_is_missing_or_twice_there_is_an_error() {
    let fails = |more: &str, files: &MemoryFiles| {
        link_args(&args(true, more), files).expect_err("no link").first().kind()
    };
    let mut files = files(true);
    assert_eq!(fails("-dylib a.o", &files), ErrorKind::UndefinedSymbol);
    assert_eq!(fails("-dylib a.o a.o l.tbd", &files), ErrorKind::DuplicateSymbol);
    assert_eq!(fails("-dylib a.o l.tbd -lnone", &files), ErrorKind::MissingFile);
    assert_eq!(fails("-dylib a.o l.tbd --as-needed", &files), ErrorKind::UnknownOption);
    assert_eq!(fails("a.o l.tbd", &files), ErrorKind::UndefinedSymbol, "_main");
    files.insert("x.o", sample(false));
    assert_eq!(fails("-dylib x.o -arch_errors_fatal", &files), ErrorKind::WrongMachine);
}

/// An object whose function `g` has a relocation of `code` against `name`.
fn relocated(
    arm: bool,
    code: &[u8],
    name: &str,
    (r_type, r_pcrel): (m::RelocationType, bool),
) -> Vec<u8> {
    let mut maker = Maker::new(arm);
    let mine = maker.symbol("g", SymbolKind::Text, false);
    let symbol = maker.symbol(name, SymbolKind::Data, false);
    let text = maker.object.section_id(StandardSection::Text);
    let at = maker.object.add_symbol_data(mine, text, code, 4);
    let offset = at + code.len() as u64 - 4;
    let addend = if arm { 0 } else { -4 };
    let flags = RelocationFlags::MachO { r_type, r_pcrel, r_length: 2 };
    let relocation = Relocation { offset, symbol, addend, flags };
    maker.object.add_relocation(text, relocation).expect("a relocation");
    maker.bytes()
}

#[test]
fn code_reaches_other_images_only_through_slots_and_stubs() {
    let kind = |arm, code: &[u8], name, form| {
        let mut files = files(arm);
        files.insert("r.o", relocated(arm, code, name, form));
        link_args(&args(arm, "-dylib a.o r.o l.tbd"), &files).err().map(|e| e.first().kind())
    };
    let lea = [0x48, 0x8d, 5, 0, 0, 0, 0];
    let jump = [0xe9, 0, 0, 0, 0];
    let into = [0xe9, 4, 0, 0, 0];
    let (signed, branch) = ((m::X86_64_RELOC_SIGNED, true), (m::X86_64_RELOC_BRANCH, true));
    assert_eq!(kind(false, &lea, "environ", signed), Some(ErrorKind::RelocDynamic));
    assert_eq!(kind(false, &lea, "f", signed), None);
    assert_eq!(kind(false, &jump, "puts", branch), None);
    assert_eq!(kind(false, &into, "f", branch), None);
    let not_relative = (m::X86_64_RELOC_BRANCH, false);
    assert_eq!(kind(false, &jump, "f", not_relative), Some(ErrorKind::RelocUnsupported));
    let adrp = 0x9000_0000u32.to_le_bytes();
    let page = (m::ARM64_RELOC_PAGE21, true);
    assert_eq!(kind(true, &adrp, "environ", page), Some(ErrorKind::RelocDynamic));
    assert_eq!(kind(true, &adrp, "f", page), None);
    // An offset of a slot on what is no load would be left behind when the other half is relaxed.
    let add = 0x9100_0000u32.to_le_bytes();
    let got = (m::ARM64_RELOC_GOT_LOAD_PAGEOFF12, false);
    assert_eq!(kind(true, &add, "f", got), Some(ErrorKind::RelocUnsupported));
    assert_eq!(kind(true, &0xf940_0000u32.to_le_bytes(), "f", got), None);
    // Into the middle of a stub nothing jumps.
    let into = 0x1400_0001u32.to_le_bytes();
    let branch = (m::ARM64_RELOC_BRANCH26, true);
    assert_eq!(kind(true, &into, "puts", branch), Some(ErrorKind::RelocUnsupported));
    assert_eq!(kind(true, &into, "f", branch), None);
}

#[test]
fn an_addend_in_the_instruction_counts_as_one_beside_it() {
    let mut files = files(true);
    // b f+8, as objects said before ARM64_RELOC_ADDEND.
    let code = 0x1400_0002u32.to_le_bytes();
    let form = (m::ARM64_RELOC_BRANCH26, true);
    files.insert("r.o", relocated(true, &code, "f", form));
    let (image, report) = link_args(&args(true, "-dylib r.o a.o l.tbd"), &files).expect("a link");
    assert!(report.warnings[0].starts_with("r.o:(__TEXT,__text+0x0): an addend in"));
    let file = object::File::parse(&*image).expect("an image");
    let at = |name| {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
        symbol.expect("a symbol").address()
    };
    let place = at("_g") as usize;
    let insn = u32::from_le_bytes(image[place..place + 4].try_into().expect("four bytes"));
    let wanted = (at("_f") + 8 - at("_g")) as u32 / 4;
    assert_eq!(insn, 0x1400_0000 | wanted);
}

#[test]
fn a_weak_copy_that_lost_is_the_winner_wherever_that_is() {
    let mut first = Maker::new(false);
    // In an object that can't be cut: the winner is inside of an atom.
    first.function("before", "puts", false);
    first.function("w", "puts", true);
    let mut first = first.bytes();
    first[24..28].copy_from_slice(&0_u32.to_le_bytes());
    let mut second = Maker::new(false);
    let copy = second.function("w", "puts", true);
    // A name of the copy's place that is nobody else's, and a pointer to it.
    let place = second.object.symbol(copy).section;
    let other = second.symbol("l_w", SymbolKind::Data, false);
    let symbol = second.object.symbol_mut(other);
    (symbol.section, symbol.scope) = (place, SymbolScope::Compilation);
    symbol.name = b"ltmp1".to_vec();
    let mine = second.symbol("p", SymbolKind::Data, false);
    let data = second.object.section_id(StandardSection::Data);
    let offset = second.object.add_symbol_data(mine, data, &[0; 8], 8);
    let r_type = m::X86_64_RELOC_UNSIGNED;
    let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
    let relocation = Relocation { offset, symbol: other, addend: 0, flags };
    second.object.add_relocation(data, relocation).expect("a relocation");
    let mut files = files(false);
    files.insert("1.o", first);
    files.insert("2.o", second.bytes());
    let line = "-dylib -no_fixup_chains 1.o 2.o l.tbd";
    let (image, _) = link_args(&args(false, line), &files).expect("a link");
    let file = object::File::parse(&*image).expect("an image");
    let at = |name| {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
        symbol.expect("a symbol").address()
    };
    let section = file.section_by_name("__data").expect("data");
    let offset = (at("_p") - section.address()) as usize;
    let word = &section.data().expect("bytes")[offset..offset + 8];
    assert_eq!(u64::from_le_bytes(word.try_into().expect("a word")), at("_w"));
}

#[test]
fn options_that_exclude_each_other_or_name_nothing_are_refused() {
    let fails = |more: &str| {
        let all = format!("-dylib a.o l.tbd {more}");
        link_args(&args(true, &all), &files(true)).expect_err("no link").first().kind()
    };
    assert_eq!(fails("-undefined suppress"), ErrorKind::Usage);
    assert_eq!(fails("-exported_symbol _f -unexported_symbol _p"), ErrorKind::Usage);
    assert_eq!(fails("-exported_symbol _none"), ErrorKind::UndefinedSymbol);
    assert_eq!(fails("-init _none"), ErrorKind::UndefinedSymbol);
    for (option, value) in [
        ("headerpad", "ffffffffffffff00"),
        ("headerpad", "100000000"),
        ("image_base", "ffffffffffff0000"),
    ] {
        let all = args(true, &format!("-dylib a.o l.tbd -{option} {value}"));
        let text = link_args(&all, &files(true)).expect_err("out of proportion").to_string();
        assert!(text.contains(&format!("-{option}: 0x{value} ")), "{text}");
    }
    let all = args(true, "-dylib a.o l.tbd -exported_symbol _f -exported_symbol _none*");
    link_args(&all, &files(true)).expect("patterns need not match");
}

#[test]
fn weak_copies_give_way_to_a_strong_one() {
    let copy = |weak, callee: &str| {
        let mut maker = Maker::new(true);
        maker.function("w", callee, weak);
        maker.bytes()
    };
    let mut files = files(true);
    files.insert("w1.o", copy(true, "first"));
    files.insert("w2.o", copy(true, "second"));
    files.insert("s.o", copy(false, "puts"));
    // The callees of copies that lost are nobody's.
    for order in ["w1.o s.o", "s.o w1.o w2.o"] {
        link_args(&args(true, &format!("-dylib {order} l.tbd")), &files).expect(order);
    }
    let all = "-dylib w1.o w2.o l.tbd";
    let errors = link_args(&args(true, all), &files).expect_err("the first copy stays");
    assert!(errors.to_string().contains("undefined symbol: _first"), "{errors}");
}

#[test]
fn mutated_objects_never_panic() {
    for arm in [true, false] {
        let mut maker = maker(arm);
        maker.difference("d", "f");
        let sample = maker.bytes();
        let mut whole = files(arm);
        whole.insert("a.o", sample.clone());
        link_args(&args(arm, "-dylib a.o l.tbd"), &whole).expect("what is not mutated");
        let mut seed = 1u64;
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        for round in 0..3000 {
            let mut bytes = sample.clone();
            for _ in 0..=next() % 3 {
                let at = next() % bytes.len();
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1 << (next() % 8)][next() % 6];
            }
            bytes.truncate(if next() % 8 == 0 { next() % bytes.len() } else { bytes.len() });
            let mut files = files(arm);
            files.insert("a.o", bytes);
            let ways = ["", " -no_fixup_chains", " -flat_namespace", " -dead_strip"];
            let way = ways[round % ways.len()];
            let _ = link_args(&args(arm, &format!("-dylib a.o l.tbd{way} -threads 1")), &files);
        }
    }
}
