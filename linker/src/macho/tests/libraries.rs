//! What libraries pass on and where it is found; archives whose members are files of their own.

use super::*;
use crate::format::macho::{dylib, lc, read, trie};

/// The library that the options `first` make.
fn library(files: &MemoryFiles, first: &str) -> Vec<u8> {
    let (image, _) = link_args(&args(true, &format!("-dylib {first} l.tbd")), files).expect(first);
    image
}

/// An object with a function `name` that calls `callee`.
pub(super) fn calling(name: &str, callee: &str) -> Vec<u8> {
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
            linked.map(drop).map_err(|errors| errors.first().to_string())
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

/// A library called `name`, of an object with a function `symbol`, made with `more`.
fn named(files: &mut MemoryFiles, name: &str, symbol: &str, more: &str) -> Vec<u8> {
    files.insert("made.o", calling(symbol, "puts"));
    library(files, &format!("-install_name {name} made.o{more}"))
}

#[test]
fn what_is_passed_on_is_looked_for_where_libraries_are() {
    for (name, place, way, found) in [
        ("/opt/z.dylib", "k/z.dylib", "", false),
        ("/opt/z.dylib", "k/z.dylib", " -Lk", true),
        ("/opt/z.dylib", "k/z.dylib", " -Fk", false),
        ("@rpath/z.dylib", "k/z.dylib", " -Lk", true),
        ("/opt/Z.framework/Z", "k/Z.framework/Z", " -Fk", true),
        ("/opt/Z.framework/Versions/A/Z", "k/Z.framework/Z", " -Fk", true),
        ("/opt/Z.framework/Z", "k/Z.framework/Z", " -Lk", false),
        ("/opt/Z.framework/Z", "k/Z", " -Fk", false),
        ("/opt/z.dylib", "/sdk/k/z.dylib", " -L/k -syslibroot /sdk", true),
        // What the link itself says of @rpath.
        ("@rpath/z.dylib", "/r/z.dylib", " -rpath /r", true),
        ("@rpath/z.dylib", "/out/r/z.dylib", " -rpath @loader_path/r", true),
    ] {
        let mut files = files(true);
        let inner = named(&mut files, name, "z", "");
        files.insert("inner.dylib", inner.clone());
        let outer = named(&mut files, "/d/y.dylib", "y", " -reexport_library inner.dylib");
        files.insert("y.dylib", outer);
        files.insert("inner.dylib", Vec::new());
        files.insert(place, inner);
        files.insert("u.o", calling("u", "z"));
        let line = format!("-dylib u.o y.dylib l.tbd{way}");
        let said = link_args(&args(true, &line), &files).map_err(|e| e.iter().last().cloned());
        let said = said.err().flatten().map(|error| error.to_string());
        let wanted = format!("y.dylib: unable to locate re-export {name}");
        assert_eq!(said, (!found).then_some(wanted), "{name} {place}{way}");
    }
}

/// dyld takes the paths of all that led to a library.
#[test]
fn rpaths_of_the_whole_chain_count() {
    for (rpath, place) in [("/r", "/r"), ("@loader_path/r", "o/r")] {
        let mut files = files(true);
        let first = named(&mut files, "@rpath/1.dylib", "z", "");
        files.insert("1.dylib", first.clone());
        let second = named(&mut files, "@rpath/2.dylib", "y", " -reexport_library 1.dylib");
        files.insert(format!("{place}/1.dylib"), first);
        files.insert(format!("{place}/2.dylib"), second.clone());
        files.insert("2.dylib", second);
        let more = format!(" -reexport_library 2.dylib -rpath {rpath}");
        // Where the second one is when the third is made, its path leads nowhere.
        let third = named(&mut files, "/x/3.dylib", "x", &format!("{more} -L."));
        files.insert("o/3.dylib", third);
        files.insert("1.dylib", Vec::new());
        files.insert("u.o", calling("u", "z"));
        link_args(&args(true, "-dylib u.o o/3.dylib l.tbd"), &files).expect(rpath);
    }
}

/// In a flat namespace every image sees the names of all, not just those of the libraries it names.
#[test]
fn a_flat_link_sees_what_its_libraries_load() {
    let mut files = files(true);
    let inner = named(&mut files, "/i/z.dylib", "z", "");
    files.insert("/i/z.dylib", inner);
    files.insert("made.o", calling("y", "z"));
    let outer = library(&files, "-install_name /d/y.dylib made.o /i/z.dylib");
    files.insert("y.dylib", outer);
    files.insert("u.o", calling("u", "z"));
    let link = |way: &str, files: &MemoryFiles| {
        let linked = link_args(&args(true, &format!("-dylib u.o y.dylib l.tbd{way}")), files);
        linked.map(|it| it.0).map_err(|errors| errors.to_string())
    };
    let text = link("", &files).expect_err("a name of a library that is not named");
    assert!(text.ends_with("undefined symbol: _z"), "{text}");
    let image = link(" -flat_namespace", &files).expect("a flat link");
    let file = object::File::parse(&*image).expect("an image");
    let names = file.symbols().filter(|symbol| symbol.is_undefined());
    let names: Vec<_> = names.map(|symbol| symbol.name().expect("a name").to_owned()).collect();
    assert_eq!(names, ["_z"]);
    assert!(memchr::memmem::find(&image, b"/i/z.dylib").is_none(), "no library of its own");
    // What is named comes first, and what isn't found is missed only if it is needed.
    files.insert("/i/z.dylib", b"".to_vec());
    let text = link(" -flat_namespace", &files).expect_err("an undefined name");
    assert!(text.contains("undefined symbol: _z"), "{text}");
    link(" -flat_namespace z.o", &{
        files.insert("z.o", calling("z", "puts"));
        files
    })
    .expect("nothing is missed");
}

/// What is for another machine is passed over where it is only looked for; of an archive nothing is taken.
#[test]
fn what_is_for_another_machine_is_passed_over() {
    let other = |arm: bool| {
        let mut maker = Maker::new(arm);
        maker.function("z", "puts", false);
        maker.bytes()
    };
    let archive = |object: &[u8]| {
        let header = format!("{:<48}{:<10}`\n", "z.o/", object.len());
        [b"!<arch>\n", header.as_bytes(), object].concat()
    };
    let dylib = |arm: bool| {
        let mut files = files(arm);
        files.insert("z.o", other(arm));
        link_args(&args(arm, "-dylib -install_name /z z.o l.tbd"), &files).expect("a library").0
    };
    let stub = |target: &str| {
        let text = format!(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ {target} ]\ninstall-name: /z\n\
             exports:\n  - targets: [ {target} ]\n    symbols: [ _z ]\n...\n"
        );
        text.into_bytes()
    };
    let mut files = files(true);
    files.insert("u.o", calling("u", "z"));
    files.insert("v.o", calling("v", "puts"));
    files.insert("w/liba.a", archive(&other(false)));
    files.insert("r/liba.a", archive(&other(true)));
    files.insert("w/libd.dylib", dylib(false));
    files.insert("r/libd.dylib", dylib(true));
    files.insert("w/libt.tbd", stub("x86_64-macos"));
    files.insert("r/libt.tbd", stub("arm64-macos"));
    files.insert("i.tbd", stub("arm64-ios"));
    let link = |line: &str| {
        let linked = link_args(&args(true, &format!("-dylib {line} l.tbd")), &files);
        linked.map(|it| it.1.warnings.join("; ")).map_err(|errors| errors.to_string())
    };
    for (name, file, why) in [
        ("a", "w/liba.a", "is for x86_64, the link for arm64"),
        ("d", "w/libd.dylib", "is for x86_64, the link for arm64"),
        ("t", "w/libt.tbd", "has nothing for arm64-macos"),
    ] {
        let ignored = format!("{file}: {why}; ignored");
        assert_eq!(link(&format!("u.o -Lw -Lr -l{name}")), Ok(ignored.clone()));
        assert_eq!(link(&format!("u.o -Lr -Lw -l{name}")), Ok(String::new()));
        assert_eq!(link(&format!("v.o -Lw -l{name}")), Ok(ignored.clone()));
        assert_eq!(link(&format!("u.o {file} -Lw -Lr -l{name}")), Ok(ignored.clone()));
        assert_eq!(link(&format!("v.o {file}")), Ok(ignored));
        let fatal = link(&format!("u.o -Lw -Lr -l{name} -arch_errors_fatal"));
        assert_eq!(fatal, Err(format!("{file}: {why}")));
    }
    // Another system's is none that this one has no use for: it may be what was meant.
    let text = link("v.o i.tbd").expect_err("a stub for another system");
    assert_eq!(text, "i.tbd: is for arm64-ios, the link for arm64-macos");
    let forced = link("v.o -force_load w/liba.a");
    assert_eq!(forced, Ok("w/liba.a: is for x86_64, the link for arm64; ignored".into()));
    let text = link("u.o w/liba.a").expect_err("an undefined name");
    assert!(text.ends_with("undefined symbol: _z"), "{text}");
}

/// A stub called `name` that has `symbol`, passes `passed` on, and says `more` of itself.
fn stub(name: &str, symbol: &str, passed: &str, more: &str) -> Vec<u8> {
    let passed = match passed {
        "" => String::new(),
        name => format!(
            "reexported-libraries:\n  - targets: [ arm64-macos ]\n    libraries: [ '{name}' ]\n"
        ),
    };
    let head = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\n";
    let exports = "exports:\n  - targets: [ arm64-macos ]\n    symbols:";
    format!("{head}install-name: '{name}'\n{more}{passed}{exports} [ {symbol} ]\n...\n")
        .into_bytes()
}

/// Whoever uses what a public library has, and another passes on, loads it itself.
#[test]
fn public_libraries_that_are_passed_on_are_linked_themselves() {
    const APP: &str = "/System/Library/Frameworks/A.framework";
    let inner = format!("{APP}/Frameworks/B.framework/B");
    let (framework, beside) = (format!("{APP}/Versions/C/A"), format!("{APP}/libA.dylib"));
    let closed = "allowable-clients:\n  - targets: [ arm64-macos ]\n    clients: [ y ]\n";
    for (name, more, flags, loaded) in [
        ("/usr/lib/z.dylib", "", "", true),
        ("/usr/lib/z.dylib", "", " -no_implicit_dylibs", false),
        ("/usr/lib/z.dylib", "", " -flat_namespace", false),
        ("/usr/lib/z.dylib", closed, "", false),
        ("/usr/lib/system/z.dylib", "", "", false),
        ("/opt/z.dylib", "", "", false),
        (&framework, "", "", true),
        (&inner, "", "", false),
        (&beside, "", "", false),
    ] {
        let mut files = files(true);
        files.insert("y.tbd", stub("/opt/y.dylib", "_y", name, ""));
        let place = std::path::Path::new(name).with_extension("tbd");
        files.insert(place.to_str().expect("a path"), stub(name, "_z", "/opt/w.dylib", more));
        files.insert("/opt/w.tbd", stub("/opt/w.dylib", "_w", "", ""));
        for (symbol, own) in [("y", false), ("z", true), ("w", true)] {
            files.insert("u.o", calling("u", symbol));
            let line = format!("-dylib u.o y.tbd l.tbd{flags}");
            let image = link_args(&args(true, &line), &files).expect("a link").0;
            let has = |name: &str| memchr::memmem::find(&image, name.as_bytes()).is_some();
            assert_eq!(has(name), own && loaded, "{symbol} of {name}{flags}");
            assert!(has("/opt/y.dylib") && !has("/opt/w.dylib"));
        }
        // What is named comes first, wherever it is.
        files.insert("u.o", calling("u", "z"));
        files.insert("v.tbd", stub("/opt/v.dylib", "_z", "", ""));
        let line = format!("-dylib u.o y.tbd v.tbd l.tbd -dead_strip_dylibs{flags}");
        let image = link_args(&args(true, &line), &files).expect("a link").0;
        let has = |name: &str| memchr::memmem::find(&image, name.as_bytes()).is_some();
        assert_eq!(has("/opt/v.dylib"), loaded, "{name}{flags}");
    }
}

/// What every mention says of a library counts, whichever of its files is named.
#[test]
fn a_library_is_taken_as_any_mention_wants_it() {
    let mut files = files(true);
    files.insert("v.tbd", stub("/opt/v.dylib", "_v", "", ""));
    files.insert("w.tbd", stub("/opt/v.dylib", "_w", "", ""));
    files.insert("u.o", calling("u", "v"));
    files.insert("w.o", calling("x", "w"));
    let command = |inputs: &str| {
        let line = format!("-dylib {inputs} l.tbd -dead_strip_dylibs");
        let (image, _) = link_args(&args(true, &line), &files).expect("a link");
        let file = read::File::parse(&image).expect("an image");
        let named = |c: &&read::Command<'_>| c.string(8).ok() == Some(b"/opt/v.dylib");
        file.commands.iter().filter(|c| c.cmd != lc::ID_DYLIB).find(named).map(|c| c.cmd)
    };
    assert_eq!(command("u.o v.tbd v.tbd"), Some(lc::LOAD_DYLIB));
    assert_eq!(command("a.o v.tbd v.tbd"), None);
    for (option, wanted, needed) in [
        ("-weak_library", lc::LOAD_WEAK_DYLIB, false),
        ("-upward_library", lc::LOAD_UPWARD_DYLIB, false),
        ("-reexport_library", lc::REEXPORT_DYLIB, true),
        ("-needed_library", lc::LOAD_DYLIB, true),
    ] {
        for other in ["v.tbd", "w.tbd"] {
            for inputs in [format!("v.tbd {option} {other}"), format!("{option} {other} v.tbd")] {
                assert_eq!(command(&format!("u.o {inputs}")), Some(wanted), "{inputs}");
                let kept = needed.then_some(wanted);
                assert_eq!(command(&format!("a.o {inputs}")), kept, "{inputs}");
            }
        }
    }
    // Whichever is used.
    assert_eq!(command("w.o v.tbd w.tbd"), Some(lc::LOAD_DYLIB));
    assert_eq!(command("u.o w.o v.tbd w.tbd"), Some(lc::LOAD_DYLIB));
}

/// Spec: man ld, `-exported_symbol`; ld64 and lld: a name that a library has is exported as its.
#[test]
fn what_a_library_has_is_passed_on_if_it_is_to_be_exported() {
    let mut files = files(true);
    for way in ["-fixup_chains", "-no_fixup_chains", "-flat_namespace"] {
        for (list, wanted) in [
            ("-exported_symbol _puts", &["_puts"][..]),
            ("-exported_symbol _p* -exported_symbol _f", &["_f", "_p", "_puts"]),
            ("-exported_symbol _f", &["_f"]),
            ("-unexported_symbol _f", &["_p", "_q"]),
        ] {
            let line = format!("-dylib a.o l.tbd -install_name /opt/m.dylib {list} {way}");
            let (image, _) = link_args(&args(true, &line), &files).expect("a link");
            let file = read::File::parse(&image).expect("an image");
            let exports = dylib::library(&file).expect("a library").exports;
            let mut names: Vec<_> = exports.iter().map(|export| &*export.name).collect();
            names.sort_unstable();
            let wanted: Vec<&[u8]> = wanted.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(names, wanted, "{list} {way}");
            let table = match file.command(&[lc::EXPORTS_TRIE]) {
                Some(command) => file.blob(command, 8),
                None => file.blob(file.command(&[lc::DYLD_INFO_ONLY]).expect("a trie"), 40),
            };
            trie::walk(table.expect("the trie"), &mut |name, flags| {
                assert_eq!(flags & trie::REEXPORT != 0, name == b"_puts", "{list} {way}");
            })
            .expect("names");
        }
    }
    // It serves others as its own.
    files.insert("u.o", calling("u", "puts"));
    let passes = library(&files, "a.o -install_name /opt/m.dylib -exported_symbol _puts");
    files.insert("m.dylib", passes);
    link_args(&args(true, "-dylib u.o m.dylib"), &files).expect("a link");
}
