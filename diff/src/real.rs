//! Real links: arguments as one would give `ld` → a [`Request`] with every file in it.
//!
//! Files are read once, so that each linker gets the same bytes; what only a linker's own search can
//! find (libc's scripts, default folders) stays an argument. It must not know who asks.

mod inputs;
mod ld64;
mod modes;
mod reexports;
mod response;
mod script;
mod target;

use std::path::{Component, Path, PathBuf};
use std::{fmt, io};

pub use target::target;

use crate::model::archive;
use crate::{File, Format, Mode, Request, Target, desugar};

/// The request that `args` describe, paths relative to `dir`: as GNU ld takes them, or for Mach-O as ld64 does.
/// `@FILE` stands for the arguments in FILE; `-o FILE` is dropped. What `--buildmode` asks for, with `--goos` and `--goarch`, is there for linkers that know no
/// modes, too: [`desugar`] adds it.
///
/// [`desugar`]: crate::desugar::desugar
///
/// Errors: a file that can't be read; an option whose argument is missing; a mode that isn't there on the system, or
/// beside an option that asks for something else.
pub fn request(target: Target, args: &[String], dir: &Path) -> io::Result<Request> {
    let mut reader = Reader::new(target, dir);
    let (args, mut asked) = modes::read(&response::expand(args, dir)?)?;
    let args = &args[..];
    if target.format == Format::Macho {
        ld64::read(&mut reader, args, &mut asked)?;
        return asked.apply(reader.request);
    }
    // The root counts for folders named before it, and those for libraries.
    reader.root = root(args, dir);
    reader.folders = folders(args).iter().map(|folder| reader.folder(folder)).collect();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next().cloned().ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("{arg} needs an argument"))
            })
        };
        match arg.as_str() {
            option if is_passed_over(option) => _ = value()?,
            // A compiler that links in a mode says what that is, too.
            arg if asked.says_kind(arg) => {}
            "-shared" | "--shared" | "-Bshareable" => reader.request.mode = Mode::Shared,
            "-pie" | "--pie" | "-pic-executable" => reader.request.mode = Mode::Pie,
            "-no-pie" | "--no-pie" => reader.request.mode = Mode::Exe,
            "-l" | "--library" => {
                let name = value()?;
                reader.library(&name)?;
            }
            "-L" | "--library-path" => {
                let folder = reader.folder(&value()?);
                reader.request.args.push(format!("-L{}", folder.display()));
            }
            "-sysroot" | "--sysroot" => reader.sysroot(&value()?),
            option if has_word(option) => {
                let value = value()?;
                reader.request.args.extend([arg.clone(), value]);
            }
            option if has_file(option) => {
                let shown = value()?;
                let path = dir.join(&shown);
                // `-R` of a folder is `-rpath`.
                let name = if path.is_dir() { shown } else { reader.file(&path, &shown)? };
                reader.request.args.extend([arg.clone(), name]);
            }
            _ => reader.other(arg)?,
        }
    }
    reader.request.args.extend(reader.built_in());
    asked.apply(reader.request)
}

/// Whether a link has no input of its own: neither a file among its arguments nor a library to look for.
pub fn is_empty(request: &Request) -> bool {
    let own = |arg: &String| request.file(arg).is_some() && !desugar::is_added(arg);
    let sought = |arg: &String| arg.starts_with("-l") || arg.ends_with("framework");
    !request.args.iter().any(|arg| own(arg) || sought(arg))
}

/// Options whose second word is no file to read, however many dashes they have.
const WORDS: &[&str] = &[
    "architecture",
    "assert",
    "auxiliary",
    "defsym",
    "dynamic-linker",
    "entry",
    "exclude-libs",
    "export-dynamic-symbol",
    "filter",
    "fini",
    "format",
    "gpsize",
    "hash-style",
    "init",
    "oformat",
    "require-defined",
    "rpath",
    "rpath-link",
    "section-start",
    "soname",
    "sort-section",
    "trace-symbol",
    "undefined",
    "wrap",
];

/// Options whose second word is a file, and no input.
const FILES: &[&str] = &[
    "T",
    "dT",
    "script",
    "default-script",
    "version-script",
    "dynamic-list",
    "export-dynamic-symbol-list",
    "retain-symbols-file",
    "just-symbols",
    "R",
];

/// Those of one letter, with one dash.
const LETTERS: &str = "AaYOzeuhyfFbGI";

/// `option` without its dashes.
fn bare(option: &str) -> Option<&str> {
    option.strip_prefix("--").or_else(|| option.strip_prefix('-'))
}

/// Whether `option` and its second word are nothing to pass on: the output, the target, files that each linker would
/// write over the others', and a compiler's plugin, which every link names and that has nothing to do here.
fn is_passed_over(option: &str) -> bool {
    let names = ["output", "Map", "dependency-file", "plugin", "plugin-opt"];
    matches!(option, "-o" | "-m") || bare(option).is_some_and(|name| names.contains(&name))
}

/// Whether `option` has a second word that is a file to read.
fn has_file(option: &str) -> bool {
    bare(option).is_some_and(|name| FILES.contains(&name))
}

/// Whether `option` has a second word that is no file to read.
fn has_word(option: &str) -> bool {
    let long = bare(option);
    let short = option.strip_prefix('-').filter(|letter| letter.len() == 1);
    long.is_some_and(|name| WORDS.contains(&name))
        || short.is_some_and(|letter| LETTERS.contains(letter))
}

/// What `-L` names.
fn folders(args: &[String]) -> Vec<&str> {
    let mut list = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        let folder = match arg.strip_prefix("-L") {
            Some("") => args.get(i + 1).map(String::as_str),
            attached => attached.or_else(|| arg.strip_prefix("--library-path=")),
        };
        list.extend(folder);
    }
    list
}

/// `name` without what says that it is below the root of the system's files.
fn rooted(name: &str) -> Option<&str> {
    name.strip_prefix('=').or_else(|| name.strip_prefix("$SYSROOT"))
}

/// What the last `--sysroot` names.
fn root(args: &[String], dir: &Path) -> Option<PathBuf> {
    let mut roots = args.iter().enumerate().rev().filter_map(|(at, arg)| {
        match bare(arg)?.strip_prefix("sysroot")? {
            "" => args.get(at + 1).map(String::as_str),
            attached => attached.strip_prefix('='),
        }
    });
    roots.next().map(|root| dir.join(root))
}

struct Reader<'a> {
    dir: &'a Path,
    folders: Vec<PathBuf>,
    request: Request,
    prefer_static: bool,
    /// `--sysroot`.
    root: Option<PathBuf>,
    /// How many scripts deep.
    scripts: usize,
    /// Between `--start-group` and `--end-group`.
    in_group: bool,
    /// Where each file was, and its name in the request.
    origins: Vec<(PathBuf, String)>,
}

impl<'a> Reader<'a> {
    fn new(target: Target, dir: &'a Path) -> Self {
        let (mode, args, files) = (Mode::Exe, Vec::new(), Vec::new());
        Self {
            dir,
            folders: Vec::new(),
            request: Request { target, mode, args, files, goos: None },
            prefer_static: false,
            root: None,
            scripts: 0,
            in_group: false,
            origins: Vec::new(),
        }
    }

    /// `--sysroot`, for linkers that run elsewhere.
    fn sysroot(&mut self, root: &str) {
        self.request.args.push(format!("--sysroot={}", self.dir.join(root).display()));
    }

    /// The folder that `-L` calls `name`.
    fn folder(&self, name: &str) -> PathBuf {
        rooted(name).map_or_else(|| self.dir.join(name), |rest| self.below(rest))
    }

    /// `name` below the root of the system's files.
    fn below(&self, name: &str) -> PathBuf {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        root.join(name.trim_start_matches('/'))
    }

    /// An argument that takes no second word.
    fn other(&mut self, arg: &str) -> io::Result<()> {
        match arg {
            "-Bstatic" | "-static" | "-dn" | "-non_shared" => self.prefer_static = true,
            "-Bdynamic" | "-dy" | "-call_shared" => self.prefer_static = false,
            "--start-group" | "-(" => self.in_group = true,
            "--end-group" | "-)" => self.in_group = false,
            _ => {}
        }
        if let Some(name) = arg.strip_prefix("-l").filter(|_| !arg.starts_with("--")) {
            return self.library(name);
        }
        if let Some(folder) = arg.strip_prefix("-L") {
            self.request.args.push(format!("-L{}", self.folder(folder).display()));
            return Ok(());
        }
        if arg.starts_with("-o") && !arg.starts_with("--") && arg.len() > 2 {
            return Ok(());
        }
        match arg.split_once('=') {
            Some(("-sysroot" | "--sysroot", root)) => self.sysroot(root),
            Some((option, _)) if is_passed_over(option) => {}
            // A version script, a dynamic list, a response file by another name.
            Some((option, path)) if option.starts_with('-') && self.dir.join(path).is_file() => {
                let name = self.file(&self.dir.join(path), path)?;
                self.request.args.push(format!("{option}={name}"));
            }
            _ if arg.starts_with('-') => self.request.args.push(arg.into()),
            _ => self.input(&self.dir.join(arg), arg)?,
        }
        Ok(())
    }

    /// Reads `path` and gives the name under which it is in the request.
    fn file(&mut self, path: &Path, shown: &str) -> io::Result<String> {
        self.file_as(path, shown, base(path))
    }

    /// The same, called `base` if no other file is.
    fn file_as(&mut self, path: &Path, shown: &str, base: String) -> io::Result<String> {
        let bytes = std::fs::read(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{shown}: {error}")))?;
        for member in archive::thin_members(&bytes) {
            self.member(path, shown, member)?;
        }
        Ok(self.keep(path, base, bytes))
    }

    /// Takes the bytes of what is at `path` as a file called `base`, if no other is; gives its name.
    fn keep(&mut self, path: &Path, base: String, bytes: Vec<u8>) -> String {
        let other = |name: &str| self.request.file(name).is_some_and(|f| *f.bytes != bytes[..]);
        let taken = |name: &str| desugar::is_added(name) || other(name);
        // The same name in two folders: keep both, and the extension.
        let name = (0..)
            .map(|n| if n == 0 { base.clone() } else { format!("{n}-{base}") })
            .find(|name| !taken(name))
            .unwrap_or(base);
        if self.request.file(&name).is_none() {
            self.request.files.push(File { name: name.clone(), bytes: bytes.into() });
        }
        self.origins.push((path.to_owned(), name.clone()));
        name
    }

    /// Reads a member of the thin archive at `path`, for linkers to find it where that says it is.
    fn member(&mut self, path: &Path, shown: &str, member: &str) -> io::Result<()> {
        let wrong = |kind, why: &dyn fmt::Display| {
            Err(io::Error::new(kind, format!("{shown}: member {member} of a thin archive: {why}")))
        };
        let inside = |part| matches!(part, Component::Normal(_));
        if !Path::new(member).components().all(inside) {
            return wrong(io::ErrorKind::InvalidInput, &"is outside of the archive's folder");
        }
        let bytes = match std::fs::read(path.with_file_name(member)) {
            Ok(bytes) => bytes,
            Err(error) => return wrong(error.kind(), &error),
        };
        match self.request.file(member) {
            Some(file) if *file.bytes == bytes[..] => Ok(()),
            Some(_) => wrong(io::ErrorKind::InvalidInput, &"another input has its name"),
            None => {
                self.request.files.push(File { name: member.to_owned(), bytes: bytes.into() });
                Ok(())
            }
        }
    }
}

/// What a file is called, without its folder.
fn base(path: &Path) -> String {
    path.file_name().map_or_else(|| "input".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str], dir: &Path) -> io::Result<Request> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        request(Target::AMD64_ELF, &args, dir)
    }

    #[test]
    fn files_get_short_names_and_options_stay() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        at("x/a.o", b"1");
        at("y/a.o", b"2");
        at("v.map", b"{};");
        at("lib/libz.so", b"\x7fELF");
        at("lib/libs.so", b"GROUP(libz.so)");
        let args = [
            "-shared",
            "-o",
            "out",
            "x/a.o",
            "y/a.o",
            "x/a.o",
            "--version-script=v.map",
            "-lz",
            "-ls",
            "-lnone",
            "-z",
            "now",
            "-Llib",
            "--hash-style=gnu",
        ];
        let request = parse(&args, dir.path()).unwrap();
        assert_eq!(request.mode, Mode::Shared);
        let folder = format!("-L{}", dir.path().join("lib").display());
        let args = [
            "a.o",
            "1-a.o",
            "a.o",
            "--version-script=v.map",
            "libz.so",
            "--start-group",
            "libz.so",
            "--end-group",
            "-lnone",
            "-z",
            "now",
            &folder,
            "--hash-style=gnu",
        ];
        assert_eq!(request.args[..args.len()], args);
        // Where GNU ld would look for what is left, for everybody.
        assert!(request.args[args.len()..].iter().all(|arg| arg.starts_with("-L/")));
        let names: Vec<&str> = request.files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a.o", "1-a.o", "v.map", "libz.so"]);
    }

    #[test]
    fn second_words_are_no_inputs_and_thin_archives_bring_their_members() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        let thin = |member: &str| {
            format!(
                "!<thin>\n{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                format!("{member}/"),
                0,
                0,
                0,
                644,
                3
            )
        };
        write("m.o", b"abc");
        write("t.a", thin("m.o").as_bytes());
        write("gone.a", thin("gone.o").as_bytes());
        let args =
            ["--exclude-libs", "ALL", "-Map", "out.map", "-export-dynamic-symbol", "f", "t.a"];
        // As compilers say it.
        let plugin = ["-plugin", "gone.so", "-plugin-opt=-fresolution=x.res", "--plugin=gone.so"];
        let request = parse(&[&plugin[..], &args].concat(), dir.path()).unwrap();
        assert_eq!(request.args, ["--exclude-libs", "ALL", "-export-dynamic-symbol", "f", "t.a"]);
        assert_eq!(request.file("m.o").map(|file| &file.bytes[..]), Some(&b"abc"[..]));
        let error = parse(&["gone.a"], dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("gone.a: member gone.o of a thin archive: "), "{error}");
        std::fs::create_dir(dir.path().join("x")).unwrap();
        write("x/up.a", thin("../m.o").as_bytes());
        let error = parse(&["x/up.a"], dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("is outside of the archive's folder"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = parse(&["gone.o"], dir.path()).unwrap_err();
        assert!(error.to_string().starts_with("gone.o: "), "{error}");
        assert!(parse(&["-o"], dir.path()).is_err());
    }
}
