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
