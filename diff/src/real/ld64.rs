//! Arguments as ld64 takes them → a request.
//!
//! Options may have one dash or two and take their arguments as words of their own.

use std::io;
use std::path::PathBuf;

use super::Reader;
use super::modes::Asked;
use crate::Mode;
use crate::adapter::ld64;

/// What to do with the words behind an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    /// One, the name of a file.
    File,
    /// One that is none.
    Word,
    /// One that goes with its option: a folder to search, another output, a part of the linker itself.
    Nothing,
    /// `-platform_version` has three.
    Platform,
    /// `-macos_version_min`, which not all linkers know.
    Oldest,
    /// `-sdk_version`, the same.
    Sdk,
    /// The name of a framework.
    Framework,
    /// A list of inputs.
    List,
}

/// Options with words behind them.
const OPTIONS: &[(Words, &[&str])] = &[
    (Words::File, ld64::FILES),
    (Words::Word, ld64::WORDS),
    (
        Words::Nothing,
        &[
            // The target is not the arguments' to say.
            "-arch",
            "-syslibroot",
            "-L",
            "-F",
            "-map",
            "-dependency_info",
            "-object_path_lto",
            "-lto_library",
            "-mllvm",
            "-threads",
        ],
    ),
    (Words::Platform, &["-platform_version"]),
    (Words::Oldest, &["-macos_version_min", "-macosx_version_min"]),
    (Words::Sdk, &["-sdk_version"]),
    (Words::List, &["-filelist"]),
    (
        Words::Framework,
        &[
            "-framework",
            "-weak_framework",
            "-needed_framework",
            "-reexport_framework",
            "-upward_framework",
        ],
    ),
];

/// What starts the name of a library that is looked for, and the same with its path.
const LIBRARIES: &[(&str, &str)] = &[
    ("-reexport-l", "-reexport_library"),
    ("-needed-l", "-needed_library"),
    ("-upward-l", "-upward_library"),
    ("-hidden-l", "-load_hidden"),
    ("-weak-l", "-weak_library"),
];

/// What is said of systems beside `-platform_version`.
#[derive(Default)]
struct Versions {
    oldest: Option<String>,
    sdk: Option<String>,
}

impl Versions {
    /// All of it as the one option that every linker knows.
    fn option(self, args: &[String]) -> Option<[String; 4]> {
        let said = args.iter().rposition(|arg| arg == "-platform_version");
        let said = |at: usize| said.and_then(|option| args.get(option + at)).cloned();
        if self.oldest.is_none() && self.sdk.is_none() {
            return None;
        }
        let oldest = self.oldest.or_else(|| said(2)).unwrap_or_else(|| "13.0".into());
        let sdk = self.sdk.or_else(|| said(3)).unwrap_or_else(|| oldest.clone());
        Some(["-platform_version".into(), "macos".into(), oldest, sdk])
    }
}

/// Adds `args`, in which nothing is left of what `asked` says, to the request of `reader`.
///
/// Errors: a file that can't be read; an option whose argument is missing.
pub(super) fn read(reader: &mut Reader<'_>, args: &[String], asked: &mut Asked) -> io::Result<()> {
    let (system, given) = (folders(reader, args), args);
    reader.request.mode = asked.mode.unwrap_or_else(|| mode(args));
    let mut args = args.iter();
    let mut output = "a.out".to_owned();
    let mut versions = Versions::default();
    while let Some(arg) = args.next() {
        let mut word = || {
            args.next().cloned().ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("{arg} needs an argument"))
            })
        };
        let option = arg.strip_prefix('-').filter(|_| arg.starts_with("--")).unwrap_or(arg);
        if option == "-o" {
            output = word()?;
            continue;
        }
        let words = OPTIONS.iter().find(|row| row.1.contains(&option)).map(|row| row.0);
        match words {
            Some(Words::Nothing) => drop(word()?),
            Some(Words::Platform) => {
                let words = [word()?, word()?, word()?];
                reader.request.args.push(option.into());
                reader.request.args.extend(words);
            }
            Some(Words::Oldest) => versions.oldest = Some(word()?),
            Some(Words::Sdk) => versions.sdk = Some(word()?),
            Some(Words::File) => {
                let path = word()?;
                let name = reader.file(&reader.dir.join(&path), &path)?;
                reader.request.args.extend([option.to_owned(), name]);
            }
            Some(Words::Word) => reader.request.args.extend([option.to_owned(), word()?]),
            Some(Words::List) => list(reader, &word()?)?,
            Some(Words::Framework) => framework(reader, option, &word()?, &system)?,
            // The output and the mode are not the arguments' to say.
            None if asked.says_kind(option) => {}
            // A mode that isn't flat may be all the same.
            None if option == "-flat_namespace" && reader.request.mode != Mode::Plugin => {
                reader.request.args.push(option.into());
            }
            None if MODES.contains(&option) => {}
            None => other(reader, option, &system)?,
        }
    }
    super::reexports::add(reader, given, &system)?;
    let platform = versions.option(&reader.request.args);
    reader.request.args.extend(platform.into_iter().flatten());
    // A library is called what its output is, and each linker has an output of its own.
    let library = matches!(reader.request.mode, Mode::CShared | Mode::Plugin);
    let names = ["-install_name", "-dylib_install_name"];
    if library && !reader.request.args.iter().any(|arg| names.contains(&arg.as_str())) {
        reader.request.args.extend(["-install_name".to_owned(), output]);
    }
    Ok(())
}

/// What the mode of a request, and its linkers' defaults, say.
const MODES: &[&str] =
    &["-dylib", "-bundle", "-execute", "-flat_namespace", "-pie", "-no_pie", "-dynamic"];

/// The inputs that the file of `-filelist FILE[,FOLDER]` names, a line each.
fn list(reader: &mut Reader<'_>, value: &str) -> io::Result<()> {
    let (path, folder) = value.split_once(',').unwrap_or((value, ""));
    let text = std::fs::read_to_string(reader.dir.join(path))
        .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let name = reader.file(&reader.dir.join(folder).join(line), line)?;
        reader.request.args.push(name);
    }
    Ok(())
}

/// What is asked for: a flat dylib is a plugin, an executable the default.
fn mode(args: &[String]) -> Mode {
    let place = args.iter().rfind(|arg| matches!(arg.trim_start_matches('-'), "pie" | "no_pie"));
    let stays = place.is_some_and(|arg| arg.ends_with("no_pie"));
    let given = |name: &str| args.iter().any(|arg| arg.trim_start_matches('-') == name);
    match (given("dylib"), given("bundle"), given("flat_namespace")) {
        (true, _, true) => Mode::Plugin,
        (true, _, false) => Mode::CShared,
        (false, true, _) => Mode::Shared,
        (false, false, _) if stays => Mode::Exe,
        (false, false, _) => Mode::Pie,
    }
}

/// Whether `args` ask for a program.
pub(super) fn makes_program(args: &[String]) -> bool {
    matches!(mode(args), Mode::Exe | Mode::Pie)
}

/// Where libraries and frameworks are looked for.
pub(super) struct Folders {
    pub(super) libraries: Vec<PathBuf>,
    pub(super) frameworks: Vec<PathBuf>,
    /// `-syslibroot`.
    pub(super) roots: Vec<PathBuf>,
}

/// `-L` and `-F`, then the system's folders; what is absolute is inside of `-syslibroot` first.
fn folders(reader: &Reader<'_>, args: &[String]) -> Folders {
    let behind = |name: &'static str| {
        let pairs = args.iter().zip(args.iter().skip(1));
        pairs.filter(move |(arg, _)| *arg == name).map(|(_, value)| value.clone())
    };
    let roots: Vec<PathBuf> = behind("-syslibroot").map(|root| reader.dir.join(root)).collect();
    let inside = |folder: &str| {
        let rest = folder.strip_prefix('/').map(str::to_owned);
        roots.iter().filter_map(|root| Some(root.join(rest.as_ref()?))).collect::<Vec<_>>()
    };
    let no_system = args.iter().any(|arg| arg == "-Z");
    let all = |option: &'static str, system: [&str; 2]| {
        let attached = args.iter().filter_map(|arg| arg.strip_prefix(option));
        let attached = attached.filter(|folder| !folder.is_empty()).map(str::to_owned);
        let own = attached.chain(behind(option)).flat_map(|folder| {
            inside(&folder).into_iter().chain([reader.dir.join(&folder)]).collect::<Vec<_>>()
        });
        let system = system.into_iter().filter(|_| !no_system).flat_map(inside);
        own.chain(system).collect()
    };
    Folders {
        libraries: all("-L", ["/usr/lib", "/usr/local/lib"]),
        frameworks: all("-F", ["/Library/Frameworks", "/System/Library/Frameworks"]),
        roots: roots.clone(),
    }
}

/// The framework NAME, as the file that is its library.
fn framework(
    reader: &mut Reader<'_>,
    option: &str,
    name: &str,
    folders: &Folders,
) -> io::Result<()> {
    // Of `NAME,SUFFIX` there is the plain one in any case.
    let name = name.split(',').next().unwrap_or(name);
    let paths = folders.frameworks.iter().flat_map(|folder| {
        let inner = folder.join(format!("{name}.framework"));
        [(".tbd", "tbd"), ("", "dylib")]
            .map(|(end, kind)| (inner.join(format!("{name}{end}")), kind))
    });
    let found = paths.into_iter().find(|(path, _)| path.is_file());
    let (path, kind) = found.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no framework for {option} {name}"))
    })?;
    // What libraries are called says what they are to some linkers.
    let file = reader.file_as(&path, &path.display().to_string(), format!("{name}.{kind}"))?;
    let take = option.strip_suffix("framework").filter(|take| *take != "-");
    reader.request.args.extend(take.map(|take| format!("{take}library")));
    reader.request.args.push(file);
    Ok(())
}

/// An input, a library to look for, or an option without a word.
fn other(reader: &mut Reader<'_>, arg: &str, folders: &Folders) -> io::Result<()> {
    if arg.starts_with("-L") || arg.starts_with("-F") || arg == "-Z" {
        return Ok(());
    }
    let with_path = |(start, option): &(&str, &'static str)| {
        arg.strip_prefix(start).map(|name| (name, Some(*option)))
    };
    let special = LIBRARIES.iter().find_map(with_path);
    if let Some((name, option)) = special.or_else(|| Some((arg.strip_prefix("-l")?, None))) {
        let ends = ["tbd", "dylib", "a"];
        let paths = folders
            .libraries
            .iter()
            .flat_map(|folder| ends.map(|end| folder.join(format!("lib{name}.{end}"))));
        let path = paths.clone().find(|path| path.is_file());
        let path = path.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no library for {arg}"))
        })?;
        let shown = path.display().to_string();
        let name = reader.file(&path, &shown)?;
        reader.request.args.extend(option.map(str::to_owned));
        reader.request.args.push(name);
        return Ok(());
    }
    if arg.starts_with('-') {
        reader.request.args.push(arg.into());
        return Ok(());
    }
    let name = reader.file(&reader.dir.join(arg), arg)?;
    reader.request.args.push(name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;
    use crate::Target;

    #[test]
    fn words_files_and_libraries() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        };
        for name in ["a.o", "lib/libx.a", "sdk/usr/lib/libSystem.tbd", "lib/liby.dylib", "list"] {
            put(name);
        }
        let parse = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            request(Target::ARM64_MACHO, &args, dir.path())
        };
        let args = [
            "-arch",
            "arm64",
            "-dylib",
            "-platform_version",
            "macos",
            "13.0",
            "14.0",
            "-o",
            "out",
            "a.o",
            "-Llib",
            "-lx",
            "-syslibroot",
            "sdk",
            "-lSystem",
            "-weak_library",
            "lib/liby.dylib",
            "--exported_symbols_list",
            "list",
            "-install_name",
            "x",
            "-dead_strip",
        ];
        let request = parse(&args).unwrap();
        assert_eq!(request.mode, Mode::CShared);
        let wanted = [
            "-platform_version",
            "macos",
            "13.0",
            "14.0",
            "a.o",
            "libx.a",
            "libSystem.tbd",
            "-weak_library",
            "liby.dylib",
            "-exported_symbols_list",
            "list",
            "-install_name",
            "x",
            "-dead_strip",
        ];
        assert_eq!(request.args, wanted);
        let names: Vec<&str> = request.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.o", "libx.a", "libSystem.tbd", "liby.dylib", "list"]);
        assert_eq!(parse(&["-dylib", "-flat_namespace", "a.o"]).unwrap().mode, Mode::Plugin);
        let bundle = parse(&["-bundle", "a.o"]).unwrap();
        assert_eq!((bundle.mode, bundle.args), (Mode::Shared, vec!["a.o".to_owned()]));
        assert_eq!(parse(&["a.o"]).unwrap().mode, Mode::Pie);
        let mode = |args: &[&str]| parse(args).unwrap().mode;
        assert_eq!(mode(&["-pie", "-no_pie", "a.o"]), Mode::Exe);
        assert_eq!(mode(&["-no_pie", "-pie", "a.o"]), Mode::Pie);
        assert_eq!(mode(&["-no_pie", "-dylib", "a.o"]), Mode::CShared);
        assert_eq!(parse(&["-no_pie", "-execute", "a.o"]).unwrap().args, ["a.o"]);
        let named = |args: &[&str]| parse(args).unwrap().args;
        let library = ["a.o", "-install_name", "libz.dylib"];
        assert_eq!(named(&["-dylib", "-o", "libz.dylib", "a.o"]), library);
        assert_eq!(named(&["-dylib", "a.o"])[2], "a.out", "as ld64 calls its output");
        assert!(parse(&["-lnone"]).is_err() && parse(&["-e"]).is_err());
    }

    #[test]
    fn frameworks_are_found_in_folders_and_roots() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "f/One.framework/One",
            "sdk/System/Library/Frameworks/Two.framework/Two.tbd",
            "sdk/opt/fw/Three.framework/Three.tbd",
            "sdk/opt/lib/libx.tbd",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let parse = |args: &str| {
            let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
            let request = request(Target::AMD64_MACHO, &args, dir.path());
            request.map(|request| request.args.join(" ")).map_err(|error| error.to_string())
        };
        for (args, wanted) in [
            ("-Ff -framework One", "One.dylib"),
            ("-F f -weak_framework One", "-weak_library One.dylib"),
            ("-syslibroot sdk -framework Two,_debug", "Two.tbd"),
            ("-syslibroot sdk -reexport_framework Two", "-reexport_library Two.tbd"),
            ("-syslibroot sdk -F/opt/fw -needed_framework Three", "-needed_library Three.tbd"),
            ("-syslibroot sdk -L/opt/lib -lx", "libx.tbd"),
        ] {
            assert_eq!(parse(args), Ok(wanted.to_owned()), "{args}");
        }
        for args in
            ["-framework One", "-syslibroot sdk -Z -framework Two", "-F/opt/fw -framework Three"]
        {
            assert!(parse(args).unwrap_err().starts_with("no framework for -framework "), "{args}");
        }
    }

    /// What is behind an option is no input, what another output is called concerns nobody, and every way to name a
    /// library or an input finds it.
    #[test]
    fn every_option_takes_its_words() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("o")).unwrap();
        for name in ["a.o", "o/b.o", "liby.a"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::fs::write(dir.path().join("list"), "b.o\n\n").unwrap();
        let parse = |args: &str| {
            let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
            request(Target::AMD64_MACHO, &args, dir.path()).unwrap().args.join(" ")
        };
        for (words, names) in OPTIONS {
            for name in *names {
                let (given, wanted) = match words {
                    Words::File => ("liby.a", format!("{name} liby.a a.o")),
                    Words::Word => ("x", format!("{name} x a.o")),
                    Words::Nothing => ("x", "a.o".into()),
                    Words::Platform => ("macos 11.0 12.0", format!("{name} macos 11.0 12.0 a.o")),
                    Words::Oldest => ("11.0", "a.o -platform_version macos 11.0 11.0".into()),
                    Words::Sdk => ("14.0", "a.o -platform_version macos 13.0 14.0".into()),
                    Words::List => ("list,o", "b.o a.o".into()),
                    Words::Framework => continue,
                };
                assert_eq!(parse(&format!("{name} {given} a.o")), wanted);
            }
        }
        for (start, option) in LIBRARIES {
            assert_eq!(parse(&format!("{start}y -L.")), format!("{option} liby.a"));
        }
        let versions = parse("-sdk_version 12.0 -macos_version_min 11.0");
        assert_eq!(versions, "-platform_version macos 11.0 12.0");
    }
}
