//! What libraries pass on and where it is found; archives whose members are files of their own.

use super::*;

/// The library that the options `first` make.
fn library(files: &MemoryFiles, first: &str) -> Vec<u8> {
    let (image, _) = link_args(&args(true, &format!("-dylib {first} l.tbd")), files).expect(first);
    image
}

/// An object with a function `name` that calls `callee`.
fn calling(name: &str, callee: &str) -> Vec<u8> {
    let mut maker = Maker::new(true);
    maker.function(name, callee, false);
    maker.bytes()
}

#[test]
fn what_is_passed_on_is_found_where_its_loader_is() {
    for (name, rpath, place) in [
        ("@loader_path/z.dylib", "", Some("d/z.dylib")),
        ("@loader_path/e/z.dylib", "", Some("d/e/z.dylib")),
        ("@rpath/z.dylib", " -rpath /no -rpath @loader_path/../f", Some("d/../f/z.dylib")),
        ("@rpath/z.dylib", " -rpath /g/", Some("/g/z.dylib")),
        ("@executable_path/h/z.dylib", "", Some("/out/h/z.dylib")),
        ("/i/z.dylib", "", Some("/i/z.dylib")),
        ("@rpath/z.dylib", " -rpath @rpath", None),
        ("@loader_path/z.dylib", "", None),
    ] {
        let mut files = files(true);
        files.insert("z.o", calling("z", "puts"));
        files.insert("y.o", calling("y", "puts"));
        files.insert("u.o", calling("main", "z"));
        let inner = library(&files, &format!("-install_name {name} z.o"));
        files.insert("z.dylib", inner.clone());
        let outer = format!("-install_name /d/y.dylib{rpath} y.o -reexport_library z.dylib");
        files.insert("d/y.dylib", library(&files, &outer));
        if let Some(place) = place {
            files.insert(place, inner);
        }
        let link = |wants: &str| {
            let linked = link_args(&args(true, &format!("{wants} d/y.dylib l.tbd")), &files);
            linked.map(drop).map_err(|errors| errors.to_string())
        };
        let said = match place {
            Some(_) => Ok(()),
            None => Err(format!("d/y.dylib: unable to locate re-export {name}")),
        };
        assert_eq!(link("u.o"), said, "{name}{rpath}");
        // Whether anything is wanted of it or not.
        assert_eq!(link("-e _f a.o"), said, "{name}{rpath}");
    }
}

#[test]
fn what_is_for_another_machine_is_left_out() {
    let mut files = files(true);
    files.insert("x.o", sample(false));
    let (other, _) =
        link_args(&args(false, "-dylib a.o l.tbd"), &super::files(false)).expect("x86_64");
    files.insert("libx.dylib", other);
    let link = |more: &str| link_args(&args(true, more), &files);
    let (image, report) = link("-dylib x.o a.o -L. -weak-lx l.tbd").expect("the rest");
    assert_eq!(image, link("-dylib a.o l.tbd").expect("the same").0);
    let said = "is for x86_64, the link for arm64; ignored";
    let said = ["x.o", "./libx.dylib"].map(|name| format!("{name}: {said}"));
    assert_eq!(report.warnings, said);
    let errors = link("-dylib x.o a.o -L. -lx l.tbd -arch_errors_fatal").expect_err("two errors");
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::WrongMachine), "{errors}");
    assert_eq!(errors.iter().count(), 2);
}

#[test]
fn a_variable_is_never_looked_up() {
    for (arm, code, kind) in [
        (false, &[0x48, 0x8b, 0x3d, 0, 0, 0, 0][..], m::X86_64_RELOC_TLV),
        (true, &[0, 0, 0, 0x90], m::ARM64_RELOC_TLVP_LOAD_PAGE21),
    ] {
        let mut files = files(arm);
        let at = code.len() as u64 - 4;
        let mut maker = Maker::new(arm);
        let (mine, variable) =
            (maker.symbol("f", SymbolKind::Text, false), maker.symbol("v", SymbolKind::Tls, false));
        let text = maker.object.section_id(StandardSection::Text);
        maker.object.add_symbol_data(mine, text, code, 4);
        let flags = RelocationFlags::MachO { r_type: kind, r_pcrel: true, r_length: 2 };
        let addend = if arm { 0 } else { -4 };
        let relocation = Relocation { offset: at, symbol: variable, addend, flags };
        maker.object.add_relocation(text, relocation).expect("a relocation");
        files.insert("v.o", maker.bytes());
        for how in ["-undefined dynamic_lookup", "-U _v"] {
            let linked = link_args(&args(arm, &format!("-dylib v.o l.tbd {how}")), &files);
            let error = linked.expect_err("no variable");
            assert_eq!(error.first().kind(), ErrorKind::TlsMismatch, "{how}: {error}");
        }
    }
}

#[test]
fn a_thin_archives_members_are_files() {
    let mut files = files(true);
    files.insert("u.o", calling("u", "z"));
    let member = calling("z", "puts");
    let header = |name: &str, size: usize| format!("{name:<48}{size:<10}`\n");
    // No index: what the members define is read from them.
    let archive = format!("!<thin>\n{}{}", header("no.o/", 9), header("z.o/", member.len()));
    files.insert("k/t.a", archive.clone().into_bytes());
    let link = |files: &MemoryFiles| {
        let linked = link_args(&args(true, "-dylib u.o k/t.a l.tbd"), files);
        linked.map(|it| it.0).map_err(|errors| errors.to_string())
    };
    let text = link(&files).expect_err("no members");
    assert!(text.starts_with("k/t.a(no.o): k/no.o: cannot open"), "{text}");
    files.insert("k/no.o", b"no object".to_vec());
    files.insert("k/z.o", member);
    let image = link(&files).expect("a member that is a file");
    let file = object::File::parse(&*image).expect("an image");
    assert!(file.symbols().any(|symbol| symbol.name() == Ok("_z") && symbol.is_definition()));
}
