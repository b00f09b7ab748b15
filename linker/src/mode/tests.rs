use object::read::elf::ElfFile64;
use object::write::{Object, StandardSection};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind, elf};

use super::*;
use crate::robustness::sample::{new, reloc, symbol};
use crate::{MemoryFiles, link_args};

/// An object of code that defines `names` as functions, and the data called `datas`.
fn object(names: &[&str], datas: &[&str]) -> Vec<u8> {
    let mut o = new();
    let text = o.section_id(StandardSection::Text);
    for name in names {
        let at = o.append_section_data(text, &[0xc3; 16], 16);
        symbol(&mut o, name, SymbolKind::Text, Some((text, at, 16)));
    }
    let data = o.section_id(StandardSection::Data);
    for name in datas {
        let at = o.append_section_data(data, &[0; 8], 8);
        let id = symbol(&mut o, name, SymbolKind::Data, Some((data, at, 8)));
        if name.starts_with("local.") {
            let hidden = elf::SymbolOther(elf::STV_HIDDEN.0);
            let st_info = elf::SymbolInfo(elf::STB_GLOBAL.0 << 4 | elf::STT_OBJECT.0);
            o.symbol_mut(id).flags = object::SymbolFlags::Elf { st_info, st_other: hidden };
        }
    }
    o.write().unwrap()
}

fn link(line: &str, object: Vec<u8>) -> Result<Vec<u8>, crate::Errors> {
    let files: MemoryFiles = [("a.o", object)].into_iter().collect();
    let args: Vec<String> = line.split(' ').map(String::from).collect();
    link_args(&args, &files).map(|(image, _)| image)
}

type Image<'a> = ElfFile64<'a, Endianness>;

fn read(image: &[u8]) -> Image<'_> {
    Image::parse(image).unwrap()
}

/// The address of the symbol called `name`; 0 without one.
pub(crate) fn address<'a>(file: &impl object::Object<'a>, name: &str) -> u64 {
    file.symbols().find(|s| s.name() == Ok(name)).map(|s| s.address()).unwrap_or_default()
}

/// What is at an address.
pub(crate) fn bytes<'a>(file: &impl object::Object<'a>, at: u64, len: usize) -> &'a [u8] {
    let section = file.sections().find(|s| (s.address()..s.address() + s.size()).contains(&at));
    let section = section.expect("a section");
    &section.data().unwrap()[(at - section.address()) as usize..][..len]
}

/// A section's words of 64 bits.
pub(crate) fn words<'a>(file: &impl object::Object<'a>, section: &str) -> Vec<u64> {
    let data = file.section_by_name(section).map_or(&[][..], |s| s.data().unwrap());
    data.chunks_exact(8).map(|w| u64::from_le_bytes(w.try_into().unwrap())).collect()
}

#[test]
fn a_library_starts_its_runtime_once() {
    let module = || object(&["_rt0_amd64_linux_lib", "_rt0_amd64_android_lib", "f"], &[]);
    let image = link("--buildmode=c-shared a.o", module()).unwrap();
    let file = read(&image);
    assert_eq!(words(&file, ".init_array"), [address(&file, "_rt0_amd64_linux_lib")]);
    let image = link("--buildmode c-shared --goos android a.o", module()).unwrap();
    let file = read(&image);
    assert_eq!(words(&file, ".init_array"), [address(&file, "_rt0_amd64_android_lib")]);
    let image = link("--buildmode=plugin a.o", module()).unwrap();
    assert!(read(&image).section_by_name(".init_array").is_none(), "the host has a runtime");
}

#[test]
fn a_module_announces_its_data_to_the_host() {
    let module = object(&["f"], &["local.moduledata"]);
    let image = link("--buildmode=plugin a.o", module).unwrap();
    let file = read(&image);
    let function = address(&file, "go:link.addmoduledata");
    assert_eq!(words(&file, ".init_array"), [function]);
    assert_eq!(words(&file, ".init_array").len(), 1);
    let code = bytes(&file, function, 13);
    let target = |at: usize| {
        let distance = i32::from_le_bytes(code[at..at + 4].try_into().unwrap());
        function.wrapping_add(at as u64 + 4).wrapping_add_signed(distance.into())
    };
    assert_eq!((&code[..3], code[7], code[12]), (&[0x48, 0x8d, 0x3d][..], 0xe8, 0xc3));
    assert_eq!(target(3), address(&file, "local.moduledata"));
    let plt = file.section_by_name(".plt").unwrap();
    assert!((plt.address()..plt.address() + plt.size()).contains(&target(8)), "through the PLT");
    let wanted = file.dynamic_symbols().find(|s| s.name() == Ok("runtime.addmoduledata"));
    assert!(wanted.unwrap().is_undefined());
}

#[test]
fn a_module_with_the_runtime_heads_the_list() {
    let datas = ["runtime.firstmoduledata", "runtime.lastmoduledatap"];
    for mode in ["c-shared", "pie"] {
        let module = object(&["runtime.addmoduledata", "_start"], &datas);
        let image = link(&format!("--buildmode={mode} a.o"), module).unwrap();
        let file = read(&image);
        let last = address(&file, "runtime.lastmoduledatap");
        let first = address(&file, "runtime.firstmoduledata");
        assert_eq!(bytes(&file, last, 8), first.to_le_bytes(), "{mode}");
        assert!(file.section_by_name(".init_array").is_none(), "{mode}: nobody to tell");
    }
    // Another module's is that one's to set.
    let module = object(&["runtime.addmoduledata", "_start"], &datas[..1]);
    let image = link("--buildmode=c-shared a.o", module).unwrap();
    assert_eq!(address(&read(&image), "runtime.lastmoduledatap"), 0);
}

/// An image of `first` and of archive members.
fn link_lazy(line: &str, first: Vec<u8>, members: Vec<Vec<u8>>) -> Vec<u8> {
    let names: Vec<String> = (0..members.len()).map(|at| format!("{at}.o")).collect();
    let line = format!("{line} a.o --start-lib {} --end-lib", names.join(" "));
    let all = names.iter().map(String::as_str).zip(members).chain([("a.o", first)]);
    let files: MemoryFiles = all.collect();
    let args: Vec<String> = line.split(' ').map(String::from).collect();
    link_args(&args, &files).unwrap().0
}

#[test]
fn an_archives_runtime_is_the_modules_own() {
    let runtime = ["runtime.addmoduledata", "peer"];
    for (mode, data) in [
        ("c-shared", "runtime.firstmoduledata"),
        ("pie", "runtime.firstmoduledata"),
        ("plugin", "local.moduledata"),
    ] {
        // Nothing but the mode asks for it.
        let members = vec![object(&runtime, &["runtime.lastmoduledatap"]), object(&["no"], &[])];
        let line = format!("--buildmode={mode}");
        let image = link_lazy(&line, object(&["_start"], &[data]), members);
        let file = read(&image);
        let last = address(&file, "runtime.lastmoduledatap");
        assert_eq!(bytes(&file, last, 8), address(&file, data).to_le_bytes(), "{mode}");
        assert_ne!(address(&file, "peer"), 0, "{mode}");
        assert_eq!(address(&file, "no"), 0, "{mode}");
        assert!(file.section_by_name(".init_array").is_none(), "{mode}: nobody to tell");
        // Without the variable there is nothing to set; the runtime is there nonetheless.
        let members = vec![object(&runtime, &[])];
        let image = link_lazy(&line, object(&["_start"], &[data]), members);
        let file = read(&image);
        assert_ne!(address(&file, "peer"), 0, "{mode}");
        assert!(file.section_by_name(".init_array").is_none(), "{mode}: nobody to tell");
    }
}

#[test]
fn a_member_stays_though_its_variable_is_set() {
    let datas = ["runtime.firstmoduledata"];
    let members = vec![object(&["no"], &[]), object(&["peer"], &["runtime.lastmoduledatap"])];
    let line = "--buildmode=c-shared -u runtime.lastmoduledatap";
    let image = link_lazy(line, object(&["runtime.addmoduledata"], &datas), members);
    let file = read(&image);
    let last = address(&file, "runtime.lastmoduledatap");
    assert_eq!(bytes(&file, last, 8), address(&file, datas[0]).to_le_bytes());
    assert_ne!(address(&file, "peer"), 0);
}

#[test]
fn a_second_list_is_a_duplicate() {
    let last = "runtime.lastmoduledatap";
    let files: MemoryFiles = [
        ("a.o", object(&["runtime.addmoduledata"], &["runtime.firstmoduledata", last])),
        ("b.o", object(&["f"], &[last])),
    ]
    .into_iter()
    .collect();
    let args = ["--buildmode=c-shared", "a.o", "b.o"].map(String::from);
    let errors = link_args(&args, &files).unwrap_err();
    assert_eq!(errors.first().kind(), ErrorKind::DuplicateSymbol);
}

#[test]
fn a_plain_module_is_an_ordinary_library() {
    let plain = object(&["f"], &["x"]);
    let flags = |mode: &str| Mode::named(mode).unwrap().flags().join(" ");
    for mode in ["c-shared", "plugin"] {
        let by_mode = link(&format!("--buildmode={mode} a.o"), plain.clone()).unwrap();
        let by_flags = link(&format!("{} a.o", flags(mode)), plain.clone()).unwrap();
        assert!(by_mode == by_flags, "{mode}");
    }
    assert_eq!(flags("c-shared"), "-shared -Bsymbolic -z nodelete -z relro");
    assert_eq!(flags("plugin"), "-shared -z now -z relro");
}

#[test]
fn later_flags_win() {
    let options = |line: &str| {
        let args: Vec<String> = line.split(' ').map(String::from).collect();
        Options::parse(&args, &MemoryFiles::new()).unwrap()
    };
    let forced = options("--buildmode=plugin -Bsymbolic a.o");
    assert_eq!((forced.symbolic, forced.kind), (Symbolic::All, OutputKind::Shared));
    assert!(!options("--buildmode=plugin -z lazy a.o").z.now);
}

#[test]
fn an_object_that_the_go_linker_made_has_everything() {
    let mut o = new();
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0xc3; 16], 16);
    for name in ["runtime.addmoduledata", "_rt0_amd64_linux_lib"] {
        symbol(&mut o, name, SymbolKind::Text, Some((text, 0, 16)));
    }
    let id = symbol(&mut o, "go:link.addmoduledatainit", SymbolKind::Data, Some((text, 0, 8)));
    o.symbol_mut(id).scope = object::SymbolScope::Compilation;
    let image = link("--buildmode=c-shared a.o", o.write().unwrap()).unwrap();
    assert!(read(&image).section_by_name(".init_array").is_none());
}

/// Adds a word for each of `names`.
fn pointers(names: &[&str], sections: &[(&str, usize)]) -> Vec<u8> {
    let mut o: Object<'_> = new();
    for (name, size) in sections {
        let kind =
            if *name == ".text" { object::SectionKind::Text } else { object::SectionKind::Data };
        let id = o.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
        o.append_section_data(id, &vec![0xcc; *size], 4);
    }
    let table = o.add_section(Vec::new(), b".table".to_vec(), object::SectionKind::Data);
    o.append_section_data(table, &vec![0; 8 * names.len()], 8);
    for (at, name) in (0..).zip(names) {
        let id = symbol(&mut o, name, SymbolKind::Data, None);
        reloc(&mut o, table, 8 * at, id, 0, elf::R_X86_64_64);
    }
    o.write().unwrap()
}

#[test]
fn markers_bound_their_sections() {
    let names = ["runtime.text", "runtime.etext", "runtime.noptrdata", "runtime.enoptrdata"];
    let image =
        link("--buildmode=c-shared a.o", pointers(&names, &[(".text", 21), (".noptrdata", 8)]));
    let image = image.unwrap();
    let file = read(&image);
    let bounds = |name: &str| {
        let section = file.section_by_name(name).unwrap();
        [section.address(), section.address() + section.size()]
    };
    assert_eq!(words(&file, ".table"), [bounds(".text"), bounds(".noptrdata")].concat());
    assert_eq!(bounds(".text")[1] - bounds(".text")[0], 21);
    // Not the one that starts there.
    for (name, section) in [("runtime.etext", ".text"), ("runtime.enoptrdata", ".noptrdata")] {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name)).unwrap();
        let section = file.section_by_name(section).unwrap();
        assert_eq!(symbol.section_index(), Some(section.index()), "{name}");
    }
    // Without the section both are the same place.
    let image = link("--buildmode=c-shared a.o", pointers(&names[2..], &[(".text", 1)])).unwrap();
    let table = words(&read(&image), ".table");
    assert_eq!(table[0], table[1]);
    let error = link("-shared -z defs a.o", pointers(&names[..1], &[(".text", 1)])).unwrap_err();
    assert_eq!(error.first().kind(), ErrorKind::UndefinedSymbol, "only a mode has markers");
}

#[test]
fn the_matrix_says_where() {
    let fails = |line: &str| {
        let errors = link(line, object(&["f"], &[])).unwrap_err();
        (errors.first().kind(), errors.to_string())
    };
    for (line, text) in [
        (
            "--buildmode=plugin --goos=windows a.o",
            "buildmode plugin not supported on windows/amd64",
        ),
        ("--buildmode=c-shared --goarch=386 a.o", "buildmode c-shared not supported on linux/386"),
        ("--buildmode=bogus a.o", "invalid buildmode: \"bogus\""),
        ("--buildmode=c-archive a.o", "buildmode c-archive is not the linker's"),
        ("--buildmode=plugin --goos=darwin a.o", "--goos=darwin: the inputs are ELF"),
        ("--goos=linux a.o", "--goos and --goarch go with --buildmode"),
        ("--buildmode=pie -r a.o", "-r and --buildmode may not be used together"),
        ("-r --buildmode=plugin a.o", "-r and --buildmode may not be used together"),
        ("-r --buildmode=c-shared -shared a.o", "-r and --buildmode may not be used together"),
        ("--buildmode=exe -shared a.o", "--buildmode=exe and -shared may not be used together"),
        ("-shared --buildmode=exe a.o", "--buildmode=exe and -shared may not be used together"),
        ("--buildmode=c-shared -pie a.o", "--buildmode=c-shared and -pie may not be used together"),
        ("-pie --buildmode=plugin a.o", "--buildmode=plugin and -pie may not be used together"),
        (
            "--buildmode=c-shared -no-pie a.o",
            "--buildmode=c-shared and -no-pie may not be used together",
        ),
        (
            "-no-pie --buildmode=plugin a.o",
            "--buildmode=plugin and -no-pie may not be used together",
        ),
        ("-no-pie --buildmode=pie a.o", "--buildmode=pie and -no-pie may not be used together"),
    ] {
        let (kind, said) = fails(line);
        assert_eq!(kind, ErrorKind::Usage, "{line}");
        assert!(said.ends_with(text), "{line}: {said}");
    }
    let (kind, said) = fails("--buildmode=plugin --goarch=arm64 a.o");
    assert_eq!(kind, ErrorKind::WrongMachine, "{said}");
    let plugin = Mode::named("plugin").unwrap();
    for goos in ["linux", "android"] {
        for goarch in machines() {
            plugin.check(goos, goarch).unwrap();
        }
    }
    assert!(plugin.check("darwin", "arm").is_err(), "gone from the platform");
}

#[test]
fn a_machine_without_a_mode_is_named() {
    let mut other = object(&["f"], &[]);
    for (class, machine, line, text) in [
        (1, 3, "--buildmode=c-shared a.o", "buildmode c-shared not supported on linux/386"),
        (1, 3, "--buildmode=plugin --goos=android a.o", "not supported on android/386"),
        (2, 243, "--buildmode=plugin a.o", "buildmode plugin not supported on linux/riscv64"),
        (1, 3, "-shared a.o", "no supported machine: it is ELF32 little-endian, machine 3"),
        (2, 8, "--buildmode=plugin a.o", "buildmode plugin not supported on linux/mips64le"),
        (2, 21, "--buildmode=plugin a.o", "buildmode plugin not supported on linux/ppc64le"),
        (1, 2, "--buildmode=plugin a.o", "it is ELF32 little-endian, machine 2"),
    ] {
        (other[4], other[18]) = (class, machine);
        let said = link(line, other.clone()).unwrap_err().to_string();
        assert!(said.ends_with(text), "{line}: {said}");
    }
    // What says all itself needs no input that can be read.
    let said = link("--buildmode=plugin --goos=windows --goarch=amd64 a.o", b"MZ".to_vec());
    let said = said.unwrap_err().to_string();
    assert_eq!(said, "buildmode plugin not supported on windows/amd64");
    // The table, its errors and what people are told are one.
    for mode in MODES {
        for (goos, goarch) in SYSTEMS.iter().flat_map(|s| machines().iter().map(|m| (s.0, *m))) {
            let refused = mode.check(goos, goarch).err().map(|error| error.to_string());
            let told = explain(mode.name, goos, goarch).err().map(|error| error.to_string());
            assert_eq!(refused, told, "{} {goos}/{goarch}", mode.name);
            let has = mode.targets.iter().any(|row| row.0 == goos && row.1.contains(&goarch));
            assert_eq!(has, refused.is_none(), "{} {goos}/{goarch}", mode.name);
        }
    }
}

#[test]
fn what_the_command_line_says_wins_wherever_it_stands() {
    let parse = |line: &str| {
        let args: Vec<String> = line.split(' ').map(String::from).collect();
        Options::parse(&args, &MemoryFiles::default()).unwrap()
    };
    for mode in ["--buildmode=plugin", "--buildmode c-shared"] {
        for flags in ["-z lazy", "-z now", "-z norelro", "-Bsymbolic", "-Bsymbolic-functions"] {
            let [first, last] = [format!("{flags} {mode} a.o"), format!("{mode} {flags} a.o")];
            let (first, last) = (parse(&first), parse(&last));
            let all = |o: &Options| (o.kind, o.symbolic, o.z.now, o.z.relro, o.z.nodelete);
            assert_eq!(all(&first), all(&last), "{mode} {flags}");
        }
    }
    let plugin = parse("-z now --buildmode=c-shared -z norelro a.o");
    assert!(plugin.z.now && plugin.z.nodelete && !plugin.z.relro);
    assert_eq!(plugin.symbolic, Symbolic::All);
    assert!(!parse("-z lazy --buildmode=plugin a.o").z.now);
    assert_eq!(parse("-Bsymbolic --buildmode=plugin a.o").symbolic, Symbolic::All);
    // A driver says what the mode says, too.
    assert_eq!(parse("-shared --buildmode=plugin a.o").kind, OutputKind::Shared);
    assert_eq!(parse("-pie --buildmode=pie a.o").kind, OutputKind::Pie);
    // The last of several modes is the only one.
    let last = parse("--buildmode=plugin --buildmode=c-shared a.o");
    assert!(!last.z.now && last.z.nodelete);
}

#[test]
fn every_machine_reads_its_code_back() {
    for &arch in crate::arch::ARCHES.iter().filter(|arch| machines().contains(&arch.name)) {
        let all = Addition {
            start: Some("start".into()),
            announce: Some("local.moduledata"),
            list: Some("local.moduledata"),
            pulls: true,
        };
        let bytes = all.object(arch, |name| Ok(name.to_owned())).unwrap();
        let object = crate::format::elf::read::object(&bytes, "a.o".into(), arch).unwrap();
        let text =
            (1..object.sections.len()).find(|at| object.section_name(*at) == b".text").unwrap();
        let init = &arch.module_init;
        assert_eq!(object.section_data(text), init.code, "{}", arch.name);
        let mut found: Vec<_> =
            object.relocs(text).iter().map(|r| (r.offset, r.kind, r.addend)).collect();
        let mut wanted: Vec<_> =
            init.data.iter().chain([&init.call]).map(|f| (f.offset, f.kind, f.addend)).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted, "{}", arch.name);
        let file = object::File::parse(&*bytes).unwrap();
        let marks = file.symbols().filter(|s| s.name().unwrap().starts_with('$'));
        let marks: Vec<_> = marks.map(|s| (s.address(), s.name().unwrap().to_owned())).collect();
        let named = |&(at, name): &(u64, &str)| (at, name.to_owned());
        assert_eq!(marks, init.marks.iter().map(named).collect::<Vec<_>>(), "{}", arch.name);
    }
}

/// What nobody outside sees is local in a library's table (gABI ch. 4, STV_HIDDEN), before all that is not.
#[test]
fn hidden_names_are_local() {
    for more in ["", "--emit-relocs "] {
        let image =
            link(&format!("--buildmode=plugin {more}a.o"), object(&["f"], &["local.x", "d"]));
        let image = image.unwrap();
        let file = read(&image);
        let local = |name: &str| file.symbols().find(|s| s.name() == Ok(name)).unwrap().is_local();
        assert_eq!([local("local.x"), local("d"), local("f")], [true, false, false], "{more}");
        let table = file.section_by_name(".symtab").unwrap().elf_section_header();
        let first = file.symbols().position(|symbol| symbol.is_global()).unwrap();
        // The null symbol is not among them.
        assert_eq!(table.sh_info.get(Endianness::Little) as usize, first + 1, "{more}");
        assert!(file.symbols().skip(first).all(|symbol| symbol.is_global()), "{more}");
    }
}
