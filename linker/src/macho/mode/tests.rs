use object::macho as m;
use object::read::macho::MachOFile64;
use object::write::{Object, Relocation, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSection as _, RelocationFlags,
    SectionFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

use super::*;
use crate::MemoryFiles;
use crate::macho::link_args;
use crate::mode::tests::{address, bytes, words};

pub(super) const ARCHES: [&str; 2] = ["x86_64", "arm64"];

/// An object of functions and data; `pointers` are words that refer, each in a section of its own kind.
pub(super) struct Maker(pub(super) Object<'static>, Vec<(String, object::write::SectionId)>);

impl Maker {
    pub(super) fn new(arch: &str) -> Self {
        let arm = arch == "arm64";
        let machine = if arm { Architecture::Aarch64 } else { Architecture::X86_64 };
        let mut object = Object::new(BinaryFormat::MachO, machine, Endianness::Little);
        object.set_subsections_via_symbols();
        Self(object, Vec::new())
    }

    pub(super) fn symbol(&mut self, name: &str, section: SymbolSection) -> object::write::SymbolId {
        if let Some(id) = self.0.symbol_id(name.as_bytes()) {
            return id;
        }
        self.0.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Data,
            scope: SymbolScope::Dynamic,
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    /// `name`, so many bytes in `__SEGMENT,__section`; its first word refers to `to`.
    pub(super) fn data(&mut self, place: (&str, &str), name: &str, size: usize, to: Option<&str>) {
        let found = self.1.iter().find(|found| found.0 == place.1).map(|found| found.1);
        let id = found.unwrap_or_else(|| {
            let code = place.1 == "__text";
            let kind = if code { SectionKind::Text } else { SectionKind::Data };
            let id = self.0.add_section(place.0.into(), place.1.into(), kind);
            let flags = m::SectionFlags(if code { 0x8000_0400 } else { 0 });
            self.0.section_mut(id).flags = SectionFlags::MachO { flags, reserved2: 0 };
            self.1.push((place.1.to_owned(), id));
            id
        });
        let symbol = self.symbol(name, SymbolSection::Section(id));
        let offset =
            self.0.add_symbol_data(symbol, id, &vec![if to.is_some() { 0 } else { 0xcc }; size], 8);
        if let Some(to) = to {
            let symbol = self.symbol(to, SymbolSection::Undefined);
            let flags = RelocationFlags::MachO {
                r_type: m::X86_64_RELOC_UNSIGNED,
                r_pcrel: false,
                r_length: 3,
            };
            let relocation = Relocation { offset, symbol, addend: 0, flags };
            self.0.add_relocation(id, relocation).unwrap();
        }
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.write().unwrap()
    }
}

pub(super) const TEXT: (&str, &str) = ("__TEXT", "__text");
pub(super) const DATA: (&str, &str) = ("__DATA", "__data");

/// An object that defines these.
pub(super) fn module(arch: &str, functions: &[&str], datas: &[&str]) -> Vec<u8> {
    let mut maker = Maker::new(arch);
    functions.iter().for_each(|name| maker.data(TEXT, name, 16, None));
    datas.iter().for_each(|name| maker.data(DATA, name, 16, None));
    maker.bytes()
}

pub(super) fn link(arch: &str, line: &str, object: Vec<u8>) -> Result<Vec<u8>, crate::Errors> {
    link_lazy(arch, line, object, b"!<arch>\n".to_vec())
}

/// With an archive, `r.a`, as far as `line` names it.
pub(super) fn link_lazy(
    arch: &str,
    line: &str,
    object: Vec<u8>,
    archive: Vec<u8>,
) -> Result<Vec<u8>, crate::Errors> {
    let stub = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
                install-name: /usr/lib/libSystem.B.dylib\nexports:\n  - targets: [ x86_64-macos, \
                arm64-macos ]\n    symbols: [ dyld_stub_binder ]\n...\n";
    let files: MemoryFiles =
        [("a.o", object), ("l.tbd", stub.as_bytes().to_vec()), ("r.a", archive)]
            .into_iter()
            .collect();
    let all = format!("-arch {arch} -platform_version macos 13.0 13.0 -o /out/l {line} a.o l.tbd");
    let args: Vec<String> = all.split(' ').map(str::to_owned).collect();
    link_args(&args, &files).map(|(image, _)| image)
}

pub(super) type Image<'a> = MachOFile64<'a, Endianness>;

pub(super) fn read(image: &[u8]) -> Image<'_> {
    Image::parse(image).unwrap()
}

#[test]
fn a_plugin_announces_its_data_to_the_host() {
    for arch in ARCHES {
        let object = module(arch, &["f"], &["local.moduledata"]);
        let image = link(arch, "--buildmode=plugin -U _runtime.addmoduledata", object).unwrap();
        let file = read(&image);
        let function = address(&file, "_go:link.addmoduledata");
        assert_eq!(words(&file, "__mod_init_func"), [function], "{arch}");
        let init = init(arch).unwrap();
        let code = bytes(&file, function, init.code.len());
        let data = address(&file, "_local.moduledata");
        if arch == "x86_64" {
            assert_eq!((&code[..3], code[7], code[12]), (&[0x48, 0x8d, 0x3d][..], 0xe8, 0xc3));
            let distance = i32::from_le_bytes(code[3..7].try_into().unwrap());
            assert_eq!((function + 7).wrapping_add_signed(distance.into()), data);
        } else {
            let word = |at: usize| u32::from_le_bytes(code[at..at + 4].try_into().unwrap());
            assert_eq!(word(0) & 0x9f00_001f, 0x9000_0000, "adrp x0");
            let offset = data & 0xfff;
            assert_eq!(word(4), 0x9100_0000 | (offset as u32) << 10, "add x0, x0");
            assert_eq!(word(8) >> 26, 5, "b");
        }
        let stubs = file.section_by_name("__stubs").expect("a call to another image");
        assert!(stubs.size() > 0);
        // MH_NOUNDEFS, MH_TWOLEVEL.
        let flags = u32::from_le_bytes(image[24..28].try_into().unwrap());
        assert_eq!(flags & 0x81, 0, "a flat namespace");
        let commands = 32 + u32::from_le_bytes(image[20..24].try_into().unwrap());
        let text = file.section_by_name("__text").unwrap().file_range().unwrap().0;
        assert!(text - u64::from(commands) >= HEADERPAD, "room for more commands");
    }
}

#[test]
fn a_library_starts_its_runtime() {
    for (arch, goarch) in [("x86_64", "amd64"), ("arm64", "arm64")] {
        let entry = format!("_rt0_{goarch}_darwin_lib");
        let image = link(arch, "--buildmode c-shared", module(arch, &[&entry], &[])).unwrap();
        let file = read(&image);
        let offsets = file.section_by_name("__init_offsets").expect("one offset");
        let offset = u32::from_le_bytes(offsets.data().unwrap().try_into().unwrap());
        assert_eq!(u64::from(offset), address(&file, &format!("_{entry}")), "{arch}");
        let line = "--buildmode c-shared -no_fixup_chains";
        let image = link(arch, line, module(arch, &[&entry], &[])).unwrap();
        let file = read(&image);
        let start = address(&file, &format!("_{entry}"));
        assert_eq!(words(&file, "__mod_init_func"), [start], "{arch}");
    }
}

#[test]
fn a_module_with_the_runtime_heads_the_list() {
    let datas = ["runtime.firstmoduledata", "runtime.lastmoduledatap"];
    for arch in ARCHES {
        let object = module(arch, &["runtime.addmoduledata"], &datas);
        let image = link(arch, "--buildmode=c-shared -no_fixup_chains", object).unwrap();
        let file = read(&image);
        let last = address(&file, "_runtime.lastmoduledatap");
        let first = address(&file, "_runtime.firstmoduledata");
        assert_eq!(bytes(&file, last, 8), first.to_le_bytes(), "{arch}");
        assert!(file.section_by_name("__mod_init_func").is_none(), "{arch}: nobody to tell");
    }
}

#[test]
fn an_archives_runtime_is_the_modules_own() {
    for arch in ARCHES {
        for (mode, data) in
            [("c-shared", "runtime.firstmoduledata"), ("plugin", "local.moduledata")]
        {
            let member = module(arch, &["runtime.addmoduledata"], &["runtime.lastmoduledatap"]);
            let mut archive = b"!<arch>\n".to_vec();
            let size = member.len();
            archive.extend(format!("{:<16}{:<32}{size:<10}`\n", "m.o/", 0).bytes());
            archive.extend(member);
            let line = format!("--buildmode={mode} -no_fixup_chains r.a");
            let image = link_lazy(arch, &line, module(arch, &["f"], &[data]), archive).unwrap();
            let file = read(&image);
            let last = address(&file, "_runtime.lastmoduledatap");
            let data = address(&file, &format!("_{data}"));
            assert_eq!(bytes(&file, last, 8), data.to_le_bytes(), "{arch} {mode}");
            let init = file.section_by_name("__mod_init_func");
            assert!(init.is_none(), "{arch} {mode}: nobody to tell");
        }
    }
}

#[test]
fn data_lies_by_size_between_head_and_tail() {
    for arch in ARCHES {
        let mut maker = Maker::new(arch);
        for (name, size) in [("c", 32), ("a", 8), ("d", 32), ("b", 16), ("local.moduledata", 8)] {
            maker.data(DATA, name, size, None);
        }
        for (name, to) in [("p", "runtime.data"), ("q", "runtime.edata"), ("r", "runtime.text")] {
            maker.data(("__DATA", "__table"), name, 8, Some(to));
        }
        maker.data(TEXT, "f", 16, None);
        let object = maker.bytes();
        let line = "--buildmode=plugin -U _runtime.addmoduledata";
        let image = link(arch, line, object.clone()).unwrap();
        let file = read(&image);
        let table = words(&file, "__table");
        let at = |name: &str| address(&file, name);
        let section = file.section_by_name("__data").unwrap();
        assert_eq!(table[0], section.address(), "the head is the section's start");
        let order = ["_a", "_local.moduledata", "_b", "_c", "_d"].map(at);
        assert_eq!(order[0], table[0] + 8, "the head has a size");
        assert!(order.is_sorted() && order[4] < table[1], "{order:x?} {table:x?}");
        assert_eq!(table[1], order[4] + 32, "the tail comes last");
        assert_eq!(table[2], file.section_by_name("__text").unwrap().address(), "text's head");
        assert!(at("_f") > table[2]);
        // No mode: nobody has them.
        let error = link(arch, "-dylib", object).unwrap_err();
        assert_eq!(error.first().kind(), ErrorKind::UndefinedSymbol);
    }
}

#[test]
fn markers_bound_a_librarys_sections() {
    let mut maker = Maker::new("arm64");
    maker.data(DATA, "a", 24, None);
    let names = ["runtime.data", "runtime.edata", "runtime.bss", "runtime.ebss"];
    for (at, name) in names.iter().enumerate() {
        maker.data(("__DATA", "__table"), &format!("t{at}"), 8, Some(name));
    }
    let line = "--buildmode=c-shared -no_fixup_chains";
    let image = link("arm64", line, maker.bytes()).unwrap();
    let file = read(&image);
    let data = file.section_by_name("__data").unwrap();
    let table = words(&file, "__table");
    assert_eq!(table[..2], [data.address(), data.address() + data.size()]);
    assert_eq!(table[2], table[3], "no such section");
}

#[test]
fn read_only_data_with_addresses_can_be_written_when_loaded() {
    let mut maker = Maker::new("arm64");
    maker.data(DATA, "local.moduledata", 8, None);
    maker.data(("__TEXT", "__rodata"), "r", 8, Some("local.moduledata"));
    let line = "--buildmode=plugin -U _runtime.addmoduledata";
    let image = link("arm64", line, maker.bytes()).unwrap();
    let file = read(&image);
    let section = file.section_by_name("__rodata").unwrap();
    assert_eq!(section.segment_name(), Ok(Some("__DATA_CONST")));
}

#[test]
fn a_plain_module_is_an_ordinary_library() {
    for arch in ARCHES {
        let plain = || {
            let mut maker = Maker::new(arch);
            maker.data(TEXT, "f", 16, None);
            maker.data(DATA, "large", 32, None);
            maker.data(DATA, "small", 8, None);
            maker.bytes()
        };
        for name in ["c-shared", "plugin"] {
            let mode = Mode::named(name).unwrap();
            let by_mode = link(arch, &format!("--buildmode={name}"), plain()).unwrap();
            let by_flags = link(arch, flags(mode), plain()).unwrap();
            assert!(by_mode == by_flags, "{arch} {name}");
        }
    }
}

#[test]
fn the_matrix_says_where() {
    for (arch, line, text) in [
        (
            "x86_64",
            "--buildmode=plugin --goos=windows",
            "buildmode plugin not supported on windows/amd64",
        ),
        (
            "arm64",
            "--buildmode=c-shared --goarch=arm",
            "buildmode c-shared not supported on darwin/arm",
        ),
        ("arm64", "--buildmode=bogus", "invalid buildmode: \"bogus\""),
        ("arm64", "--buildmode=plugin --goos linux", "--goos=linux: the inputs are Mach-O"),
        ("arm64", "--buildmode=plugin --goarch=amd64", "--goarch=amd64: -arch is arm64"),
        (
            "arm64",
            "-bundle --buildmode=plugin",
            "--buildmode=plugin and -bundle may not be used together",
        ),
        ("arm64", "--buildmode=c-shared -execute", "and -execute may not be used together"),
        ("x86_64", "-dylib --buildmode=exe", "--buildmode=exe and -dylib may not be used together"),
        ("arm64", "--goos=darwin", "--goos and --goarch go with --buildmode"),
    ] {
        let said = link(arch, line, module(arch, &["f"], &[])).unwrap_err().to_string();
        assert!(said.ends_with(text), "{line}: {said}");
    }
}

#[test]
fn what_the_command_line_says_wins_wherever_it_stands() {
    let parse = |line: &str| {
        let all = format!("-arch arm64 -platform_version macos 13.0 13.0 {line} a.o");
        let args: Vec<String> = all.split(' ').map(str::to_owned).collect();
        Options::parse(&args, &MemoryFiles::default()).unwrap()
    };
    for line in [
        "-headerpad 20 -fixup_chains -twolevel_namespace --buildmode=plugin",
        "--buildmode=plugin -headerpad 20 -fixup_chains -twolevel_namespace",
    ] {
        let options = parse(line);
        assert_eq!((options.headerpad, options.chained), (Some(0x20), Some(true)), "{line}");
        assert!(!options.flat && options.bind_at_load && options.kind == Kind::Dylib, "{line}");
    }
    assert_eq!(parse("-dylib --buildmode c-shared").kind, Kind::Dylib);
    assert!(parse("-flat_namespace --buildmode c-shared").flat);
    assert!(!parse("--buildmode plugin --buildmode c-shared").flat, "the last mode alone");
}
