//! What a link's libraries pass on, found as ld64 finds it → files of the request, in a folder of their own that every
//! linker searches first: the inputs are copies, and nothing is where they say. It must not know what is used.
//!
//! Spec: man ld, "Indirect dynamic libraries"; `@rpath` in man dyld.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ld64::Folders;
use super::{File, Reader};
use crate::bytes::{slice, u32_at};
use crate::model::macho::image;

/// The folder in the request.
const FOLDER: &str = "reexports";

/// Folders that `@rpath` may be, each with that of the image which says so.
type Rpaths = Vec<(String, PathBuf)>;

/// A library that another passes on, or loads.
struct Wanted {
    name: String,
    /// The other's folder.
    dir: PathBuf,
    rpaths: Rpaths,
}

/// What a library says of itself and others.
#[derive(Default)]
struct Library {
    /// Its own name, or those of all that are in the file.
    names: Vec<String>,
    passes_on: Vec<String>,
    /// Those it loads for itself.
    loads: Vec<String>,
    rpaths: Vec<String>,
}

/// Adds what the libraries of `reader`'s request pass on, with `args` of the link; in a flat namespace what they load,
/// too. What is nowhere is the linkers' to tell.
///
/// Errors: a file that can't be read; two libraries that a search can't tell apart.
pub(super) fn add(reader: &mut Reader<'_>, args: &[String], folders: &Folders) -> io::Result<()> {
    let flat = args.iter().any(|arg| arg.trim_start_matches('-') == "flat_namespace");
    let output = value(args, "-o").last().unwrap_or("a.out");
    let here = folder(&reader.dir.join(output)).to_owned();
    let own: Rpaths = value(args, "-rpath").map(|path| (path.to_owned(), here.clone())).collect();
    let executable = super::ld64::makes_program(args).then_some(here);
    let cputype = super::target::cputype(reader.request.target);
    let mut work: Vec<Wanted> = Vec::new();
    let mut given: Vec<(String, PathBuf)> = Vec::new();
    for (path, name) in &reader.origins {
        let bytes = reader.request.file(name).map(|file| &file.bytes[..]).unwrap_or_default();
        let library = read(bytes, cputype);
        work.extend(wanted(&library, folder(path), &own, flat));
        given.extend(library.names.into_iter().map(|name| (name, path.clone())));
    }
    let mut done = BTreeSet::new();
    let mut added = false;
    while let Some(next) = work.pop() {
        if !done.insert((next.name.clone(), next.dir.clone())) {
            continue;
        }
        let places = places(&next, folders, executable.as_deref());
        let stub = |place: PathBuf| [place.with_extension("tbd"), place];
        let found = places.into_iter().flat_map(stub).find(|path| path.is_file());
        // What is linked under that name needs no search, but not all linkers see that.
        let linked = || given.iter().find(|(name, _)| *name == next.name);
        let Some(path) = found.or_else(|| linked().map(|(_, path)| path.clone())) else { continue };
        let bytes = std::fs::read(&path)?;
        let stub = !image::is_macho(&bytes) && parts(&bytes).is_empty();
        work.extend(wanted(&read(&bytes, cputype), folder(&path), &next.rpaths, flat));
        for name in names(&next.name, stub) {
            put(reader, name, &bytes)?;
            added = true;
        }
    }
    if added {
        reader.request.args.extend(["-L", "-F"].map(|option| format!("{option}{FOLDER}")));
    }
    Ok(())
}

/// The words behind `option`.
fn value<'a>(args: &'a [String], option: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = args.iter().zip(args.iter().skip(1));
    pairs.filter(move |(arg, _)| *arg == option).map(|(_, value)| value.as_str())
}

/// The folder of the file at `path`.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// What `library`, in `dir`, makes a linker look for.
fn wanted(library: &Library, dir: &Path, above: &Rpaths, flat: bool) -> Vec<Wanted> {
    let own = library.rpaths.iter().map(|path| (path.clone(), dir.to_owned()));
    let rpaths: Rpaths = own.chain(above.iter().cloned()).collect();
    let loads = library.loads.iter().filter(|_| flat);
    let all = library.passes_on.iter().chain(loads);
    all.map(|name| Wanted { name: name.clone(), dir: dir.to_owned(), rpaths: rpaths.clone() })
        .collect()
}

/// A file of the request.
fn put(reader: &mut Reader<'_>, name: String, bytes: &[u8]) -> io::Result<()> {
    match reader.request.file(&name) {
        Some(other) if *other.bytes == *bytes => {}
        Some(_) => {
            let text = format!("two libraries that are passed on are called {name}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        None => reader.request.files.push(File { name, bytes: bytes.into() }),
    }
    Ok(())
}

/// The framework that `name` is the library of: its folder's and the library's name.
fn framework(name: &str) -> Option<String> {
    let (rest, leaf) = name.rsplit_once('/')?;
    let whole = rest.rsplit_once("/Versions/").map_or(rest, |(framework, _)| framework);
    let inside = format!("{leaf}.framework");
    (whole.rsplit('/').next() == Some(&*inside)).then(|| format!("{inside}/{leaf}"))
}

/// What the library called `name` is called in the request: linkers differ in the ends they try.
fn names(name: &str, stub: bool) -> Vec<String> {
    let leaf = name.rsplit('/').next().unwrap_or(name);
    let kind = if stub { "tbd" } else { "dylib" };
    let named = |path: &Path| format!("{FOLDER}/{}", path.display());
    let mut all = vec![named(&Path::new(leaf).with_extension(kind))];
    if let Some(inside) = framework(name) {
        let end = if stub { ".tbd" } else { "" };
        all.push(format!("{FOLDER}/{inside}{end}"));
    } else if !stub {
        all.push(named(Path::new(leaf)));
    }
    // zig looks for nothing else.
    if !leaf.starts_with("lib") {
        all.push(named(&Path::new(&format!("lib{leaf}")).with_extension(kind)));
    }
    all.dedup();
    all
}

/// Where the library may be: where libraries are looked for, then where the loader would find it.
fn places(wanted: &Wanted, folders: &Folders, program: Option<&Path>) -> Vec<PathBuf> {
    let name = &*wanted.name;
    let leaf = name.rsplit('/').next().unwrap_or(name);
    let searched: Vec<PathBuf> = match framework(name) {
        Some(inside) => folders.frameworks.iter().map(|dir| dir.join(&inside)).collect(),
        None => folders.libraries.iter().map(|dir| dir.join(leaf)).collect(),
    };
    let mut all = searched;
    let rpaths = name.strip_prefix("@rpath/").map_or(&[][..], |_| &wanted.rpaths);
    let rest = name.strip_prefix("@rpath/").unwrap_or(name);
    for (path, dir) in rpaths {
        all.extend(loaded(
            &format!("{}/{rest}", path.trim_end_matches('/')),
            dir,
            folders,
            program,
        ));
    }
    all.extend(loaded(name, &wanted.dir, folders, program));
    all
}

/// Where the loader finds `name`, asked for by an image in `dir`.
fn loaded(name: &str, dir: &Path, folders: &Folders, program: Option<&Path>) -> Vec<PathBuf> {
    if let Some(rest) = name.strip_prefix("@loader_path/") {
        return vec![dir.join(rest)];
    }
    if let Some(rest) = name.strip_prefix("@executable_path/") {
        return program.map(|folder| folder.join(rest)).into_iter().collect();
    }
    if name.starts_with('@') {
        return Vec::new();
    }
    let inside = |root: &PathBuf| root.join(name.trim_start_matches('/'));
    folders.roots.iter().map(inside).chain([PathBuf::from(name)]).collect()
}

/// Reads a library; what is none says nothing.
fn read(bytes: &[u8], cputype: Option<u32>) -> Library {
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"--- !tapi-tbd") {
        return yaml(&String::from_utf8_lossy(text));
    }
    if text.starts_with(b"{") {
        return serde_json::from_slice(text)
            .map(|json: Value| json_stub(&json))
            .unwrap_or_default();
    }
    let part = parts(bytes).into_iter().find(|part| Some(part.0) == cputype);
    let bytes = part.map_or(bytes, |part| part.1);
    if image::file_kind(bytes) != Some(image::DYLIB) {
        return Library::default();
    }
    let Ok(file) = image::File::read(bytes) else { return Library::default() };
    let names = file.id.map(str::to_owned).into_iter().collect();
    let mut library = Library { names, ..Library::default() };
    for one in &file.libraries {
        let list = match one.command {
            image::REEXPORT => &mut library.passes_on,
            _ => &mut library.loads,
        };
        list.push(one.name.to_owned());
    }
    library.rpaths = file.paths.iter().map(|path| (*path).to_owned()).collect();
    library
}

/// The parts of a file for several machines, each with its machine.
///
/// Spec: `mach-o/fat.h`: all of it big-endian.
fn parts(bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let word = |at: u64| u32_at(bytes, at).map(u32::swap_bytes);
    if word(0) != Some(0xcafe_babe) {
        return Vec::new();
    }
    let part = |number: u64| {
        let at = 8 + 20 * number;
        Some((word(at)?, slice(bytes, word(at + 8)?.into(), word(at + 12)?.into())?))
    };
    (0..word(4).unwrap_or_default().into()).map_while(part).collect()
}

/// What a stub of version 4 passes on, for any machine, but for what it has in itself.
fn yaml(text: &str) -> Library {
    let mut library = Library::default();
    let mut inside = false;
    for line in text.lines() {
        if !line.starts_with([' ', '-']) || line.starts_with("---") {
            inside = line.starts_with("reexported-libraries:");
        }
        if let Some(name) = line.strip_prefix("install-name:") {
            library.names.push(name.trim().trim_matches(['\'', '"']).to_owned());
        }
        let words = line.split(['[', ',', ']']).filter(|_| inside);
        let words =
            words.map(|word| word.trim().trim_start_matches("- ").trim_matches(['\'', '"']));
        let paths = words.filter(|word| word.starts_with(['/', '@']));
        library.passes_on.extend(paths.map(str::to_owned));
    }
    let Library { names, passes_on, .. } = &mut library;
    passes_on.retain(|name| !names.contains(name));
    library
}

/// The same of version 5.
fn json_stub(json: &Value) -> Library {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let libraries: Vec<Value> =
        [json["main_library"].clone()].into_iter().chain(list(&json["libraries"])).collect();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let own: Vec<String> = libraries
        .iter()
        .flat_map(|library| list(&library["install_names"]))
        .filter_map(|name| text(&name["name"]))
        .collect();
    let groups = libraries.iter().flat_map(|library| list(&library["reexported_libraries"]));
    let all = groups.flat_map(|group| list(&group["names"])).filter_map(|name| text(&name));
    let passes_on = all.filter(|name| !own.contains(name)).collect();
    Library { names: own, passes_on, ..Library::default() }
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;
    use crate::Target;

    /// A library's header with one command each for `id`, what it passes on, and `@rpath`.
    fn dylib(cputype: u32, passes_on: &str, rpath: &str) -> Vec<u8> {
        let mut commands = Vec::new();
        for (number, text, at) in [(image::REEXPORT, passes_on, 24), (0x8000_001c, rpath, 12)] {
            let size = (at + text.len() + 1).next_multiple_of(8);
            let mut command = [number, size as u32, at as u32].map(u32::to_le_bytes).concat();
            command.resize(at, 0);
            command.extend(text.as_bytes());
            command.resize(size, 0);
            commands.extend(command);
        }
        let words = [0xfeed_facf, cputype, 0, image::DYLIB, 2, commands.len() as u32, 0, 0];
        [words.map(u32::to_le_bytes).concat(), commands].concat()
    }

    /// A file with parts for both machines.
    fn fat(parts: [(u32, &[u8]); 2]) -> Vec<u8> {
        let mut words = vec![0xcafe_babe, 2];
        let mut at = 48;
        for (cputype, bytes) in parts {
            words.extend([cputype, 0, at, bytes.len() as u32, 0]);
            at += bytes.len() as u32;
        }
        let head: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        [&head[..], parts[0].1, parts[1].1].concat()
    }

    /// A folder with `files`, and what a link of `args` in it copies.
    fn copied(files: &[(&str, &[u8])], args: &str) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        let made = request(Target::ARM64_MACHO, &args, dir.path());
        let made = made.map_err(|error| error.to_string())?;
        let names = made.files.into_iter().map(|file| file.name);
        let names: Vec<String> = names.filter(|name| name.contains('/')).collect();
        let asked = ["-Lreexports", "-Freexports"];
        let asked = made.args.windows(2).any(|pair| pair == asked);
        assert_eq!(asked, !names.is_empty());
        Ok(names)
    }

    const ARM64: u32 = 0x100_000c;
    const AMD64: u32 = 0x100_0007;

    #[test]
    fn what_is_passed_on_goes_with_the_link() {
        let z = dylib(ARM64, "", "");
        for (passes_on, rpath, place, args, wanted) in [
            ("@loader_path/e/z.dylib", "", "d/e/z.dylib", "", "z.dylib libz.dylib"),
            ("@loader_path/e/z.dylib", "", "e/z.dylib", "", ""),
            ("@rpath/z.dylib", "@loader_path/../f", "f/z.dylib", "", "z.dylib libz.dylib"),
            (
                "@rpath/z.dylib",
                "",
                "o/f/z.dylib",
                " -o o/x -rpath @loader_path/f",
                "z.dylib libz.dylib",
            ),
            ("@executable_path/z.1.dylib", "", "o/z.1.dylib", " -o o/x", ""),
            (
                "@executable_path/z.1.dylib",
                "",
                "o/z.1.dylib",
                " -o o/x -execute",
                "z.1.dylib libz.1.dylib",
            ),
            ("/opt/z.dylib", "", "k/z.dylib", " -Lk", "z.dylib libz.dylib"),
            ("/opt/z.dylib", "", "sdk/opt/z.dylib", " -syslibroot sdk", "z.dylib libz.dylib"),
            ("/opt/Z", "", "k/Z", " -Lk", "Z.dylib Z libZ.dylib"),
            (
                "/opt/Z.framework/Z",
                "",
                "k/Z.framework/Z",
                " -F k",
                "Z.dylib Z.framework/Z libZ.dylib",
            ),
        ] {
            let y = dylib(ARM64, passes_on, rpath);
            let files = [("d/y.dylib", &y[..]), (place, &z)];
            let last = if args.contains("-execute") { "" } else { " -dylib" };
            let names = copied(&files, &format!("d/y.dylib{args}{last}")).unwrap();
            let all: Vec<&str> =
                names.iter().filter_map(|name| name.strip_prefix("reexports/")).collect();
            assert_eq!(all.join(" "), wanted, "{passes_on} {rpath} {place}{args}");
        }
    }

    #[test]
    fn chains_go_on_through_stubs_and_parts() {
        let stub = b"--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\n\
            install-name: '/opt/y.dylib'\nreexported-libraries:\n  - targets: [ arm64-macos ]\n    \
            libraries: [ '/opt/in.dylib',\n      '/opt/z.dylib' ]\nexports: []\n--- !tapi-tbd\n\
            tbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: '/opt/in.dylib'\n...\n";
        let json = br#"{"tapi_tbd_version": 5, "main_library": {"install_names": [{"name": "/opt/z.dylib"}],
            "reexported_libraries": [{"names": ["/opt/in.dylib", "/opt/a.dylib"]}]},
            "libraries": [{"install_names": [{"name": "/opt/in.dylib"}]}]}"#;
        let (mine, other) = (dylib(ARM64, "/opt/b.dylib", ""), dylib(AMD64, "/opt/in.dylib", ""));
        let both = fat([(AMD64, &other), (ARM64, &mine)]);
        let last = dylib(ARM64, "@rpath/y.dylib", "");
        let files: [(&str, &[u8]); 5] = [
            ("y.tbd", stub),
            ("k/z.tbd", json),
            ("k/a.dylib", &both),
            ("k/b.dylib", &last),
            ("k/in.dylib", &last),
        ];
        let wanted = ["z.tbd", "libz.tbd", "a.dylib", "liba.dylib", "b.dylib", "libb.dylib"];
        let wanted = wanted.map(|name| format!("reexports/{name}"));
        assert_eq!(copied(&files, "-dylib y.tbd -Lk").unwrap(), wanted);
    }

    #[test]
    fn two_of_one_name_are_an_error() {
        let (one, other) = (dylib(ARM64, "/1/z.dylib", ""), dylib(ARM64, "/2/z.dylib", ""));
        let (mine, theirs) = (dylib(ARM64, "/3", ""), dylib(ARM64, "/4", ""));
        let files: [(&str, &[u8]); 4] = [
            ("a.dylib", &one),
            ("b.dylib", &other),
            ("s/1/z.dylib", &mine),
            ("s/2/z.dylib", &theirs),
        ];
        let error = copied(&files, "-dylib a.dylib b.dylib -syslibroot s").unwrap_err();
        assert_eq!(error, "two libraries that are passed on are called reexports/z.dylib");
    }

    #[test]
    fn what_is_loaded_counts_in_a_flat_namespace() {
        let mut y = dylib(ARM64, "@loader_path/z.dylib", "");
        y[32..36].copy_from_slice(&0xc_u32.to_le_bytes());
        let z = dylib(ARM64, "", "");
        let files = [("y.dylib", &y[..]), ("z.dylib", &z)];
        assert!(copied(&files, "-dylib y.dylib").unwrap().is_empty());
        let flat = copied(&files, "-dylib -flat_namespace y.dylib").unwrap();
        assert_eq!(flat, ["reexports/z.dylib", "reexports/libz.dylib"]);
    }
}
