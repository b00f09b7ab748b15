//! Arguments as ld64 takes them → a request.
//!
//! Options may have one dash or two and take their arguments as words of their own.

use std::io;
use std::path::PathBuf;

use super::Reader;
use super::modes::Asked;
use crate::Mode;

/// Options with a word behind them that is a file.
const FILES: &[&str] = &[
    "-force_load",
    "-weak_library",
    "-reexport_library",
    "-needed_library",
    "-upward_library",
    "-load_hidden",
    "-exported_symbols_list",
    "-unexported_symbols_list",
    "-order_file",
    "-bundle_loader",
];

/// Options with a word behind them that is none.
const WORDS: &[&str] = &[
    "-install_name",
    "-dylib_install_name",
    "-undefined",
    "-U",
    "-u",
    "-e",
    "-init",
    "-rpath",
    "-exported_symbol",
    "-unexported_symbol",
    "-current_version",
    "-compatibility_version",
    "-dylib_current_version",
    "-dylib_compatibility_version",
    "-headerpad",
    "-pagezero_size",
    "-stack_size",
    "-framework",
    "-weak_framework",
    "-macos_version_min",
    "-macosx_version_min",
    "-umbrella",
];

/// Adds `args`, in which nothing is left of what `asked` says, to the request of `reader`.
///
/// Errors: a file that can't be read; an option whose argument is missing.
pub(super) fn read(reader: &mut Reader<'_>, args: &[String], asked: &mut Asked) -> io::Result<()> {
    let system = folders(reader, args);
    reader.request.mode = asked.mode.unwrap_or_else(|| mode(args));
    let mut args = args.iter();
    let mut output = "a.out".to_owned();
    while let Some(arg) = args.next() {
        let mut word = || {
            args.next().cloned().ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("{arg} needs an argument"))
            })
        };
        let option = arg.strip_prefix('-').filter(|_| arg.starts_with("--")).unwrap_or(arg);
        match option {
            // The target, the output and the mode are not the arguments' to say.
            "-arch" | "-syslibroot" => {
                word()?;
            }
            "-o" => output = word()?,
            kind if asked.says_kind(kind) => {}
            // A mode that isn't flat may be all the same.
            "-flat_namespace" if reader.request.mode == Mode::CShared && asked.mode.is_some() => {
                reader.request.args.push(option.into());
            }
            "-dylib" | "-bundle" | "-execute" | "-flat_namespace" | "-pie" | "-dynamic" => {}
            "-L" | "-F" => {
                word()?;
            }
            "-platform_version" => {
                let words = [word()?, word()?, word()?];
                reader.request.args.push(option.into());
                reader.request.args.extend(words);
            }
            _ if FILES.contains(&option) => {
                let path = word()?;
                let name = reader.file(&reader.dir.join(&path), &path)?;
                reader.request.args.extend([option.to_owned(), name]);
            }
            _ if WORDS.contains(&option) => {
                let word = word()?;
                reader.request.args.extend([option.to_owned(), word]);
            }
            _ => other(reader, option, &system)?,
        }
    }
    // A library is called what its output is, and each linker has an output of its own.
    let library = matches!(reader.request.mode, Mode::CShared | Mode::Plugin);
    let names = ["-install_name", "-dylib_install_name"];
    if library && !reader.request.args.iter().any(|arg| names.contains(&arg.as_str())) {
        reader.request.args.extend(["-install_name".to_owned(), output]);
    }
    Ok(())
}

/// What is asked for: a flat dylib is a plugin, an executable the default.
fn mode(args: &[String]) -> Mode {
    let given = |name: &str| args.iter().any(|arg| arg.trim_start_matches('-') == name);
    match (given("dylib"), given("bundle"), given("flat_namespace")) {
        (true, _, true) => Mode::Plugin,
        (true, _, false) => Mode::CShared,
        (false, true, _) => Mode::Shared,
        (false, false, _) => Mode::Pie,
    }
}

/// Where libraries are looked for: `-L`, then the folders of `-syslibroot`.
fn folders(reader: &Reader<'_>, args: &[String]) -> Vec<PathBuf> {
    let behind = |name: &'static str| {
        let pairs = args.iter().zip(args.iter().skip(1));
        pairs.filter(move |(arg, _)| *arg == name).map(|(_, value)| value.clone())
    };
    let attached = args.iter().filter_map(|arg| arg.strip_prefix("-L")).filter(|l| !l.is_empty());
    let own = attached.map(str::to_owned).chain(behind("-L")).map(|folder| reader.dir.join(folder));
    let roots: Vec<String> = behind("-syslibroot").collect();
    let system = roots.iter().flat_map(|root| {
        ["usr/lib", "usr/local/lib"].map(|folder| reader.dir.join(root).join(folder))
    });
    own.chain(system).collect()
}

/// An input, a library to look for, or an option without a word.
fn other(reader: &mut Reader<'_>, arg: &str, folders: &[PathBuf]) -> io::Result<()> {
    if arg.starts_with("-L") || arg.starts_with("-F") {
        return Ok(());
    }
    let library = arg.strip_prefix("-l").filter(|_| !arg.starts_with("-lto"));
    if let Some(name) = library {
        let ends = ["tbd", "dylib", "a"];
        let paths = folders
            .iter()
            .flat_map(|folder| ends.map(|end| folder.join(format!("lib{name}.{end}"))));
        let path = paths.clone().find(|path| path.is_file());
        let path = path.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no library for {arg}"))
        })?;
        let shown = path.display().to_string();
        let name = reader.file(&path, &shown)?;
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
        let named = |args: &[&str]| parse(args).unwrap().args;
        let library = ["a.o", "-install_name", "libz.dylib"];
        assert_eq!(named(&["-dylib", "-o", "libz.dylib", "a.o"]), library);
        assert_eq!(named(&["-dylib", "a.o"])[2], "a.out", "as ld64 calls its output");
        assert!(parse(&["-lnone"]).is_err() && parse(&["-e"]).is_err());
    }
}
