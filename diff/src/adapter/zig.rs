//! zig's linker, as `zig cc` calls it: compilers' arguments, and ld64's only as far as it knows them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Linker, PLATFORM, Port, ld64};
use crate::model::ErrorClass as E;
use crate::run::{self, Limits};
use crate::{Arch, Mode, Request, Target};

/// The row of zig.
pub(super) static LINKER: Linker = Linker {
    name: "zig",
    ports: &[Port::of(Target::AMD64_MACHO), Port::of(Target::ARM64_MACHO)],
    lists: false,
    programs: &["zig"],
    numbered: None,
    hidden: package,
    version: "version",
    is: |banner| banner.starts_with(|c: char| c.is_ascii_digit()) && !banner.contains(' '),
    words: Some(words),
    env: &[("ZIG_GLOBAL_CACHE_DIR", "cache"), ("ZIG_LOCAL_CACHE_DIR", "cache"), ("HOME", ".")],
    args: &[],
    newer: &[],
    threads: None,
    lacks: &[
        ("-bundle", "zig makes no bundles"),
        ("-flat_namespace", "zig has no flat namespace"),
        ("-U", "zig has no -U"),
        ("-exported_symbol", "zig has no list of exports"),
        ("-unexported_symbol", "zig has no list of exports"),
        ("-weak_library", "zig takes no weak library by its path"),
        ("-needed_library", "zig takes no needed library by its path"),
    ],
    unsupported: &[
        ("unsupported linker arg", "zig does not know this option"),
        ("TODO", "zig says that it is not written yet"),
    ],
    crash: &["panic:", "reached unreachable code", "Segmentation fault"],
    classes: CLASSES,
    package: "PyPI package ziglang",
};

const CLASSES: &[(&str, E)] = &[
    ("duplicate symbol definition", E::DuplicateSymbol),
    ("undefined symbol", E::UndefinedSymbol),
    ("illegal thread-local variable reference", E::TlsMismatch),
    ("UnexpectedRemainder", E::RelocMisaligned),
    ("unexpected remainder", E::RelocMisaligned),
    ("Overflow", E::RelocOverflow),
    ("overflow", E::RelocOverflow),
    ("does not fit", E::RelocOverflow),
    ("invalid length", E::RelocUnsupported),
    ("invalid relocation", E::RelocUnsupported),
    ("unhandled relocation", E::RelocUnsupported),
    ("unexpected relocation", E::RelocUnsupported),
    ("non-extern target", E::RelocUnsupported),
    ("non-PC-relative", E::RelocUnsupported),
    ("followed by ARM64_RELOC", E::RelocUnsupported),
    ("invalid cpu architecture", E::WrongMachine),
    ("unrecognized", E::UnknownOption),
    ("unknown command", E::UnknownOption),
    ("unknown argument", E::UnknownOption),
    ("FileNotFound", E::MissingFile),
    ("file not found", E::MissingFile),
    ("unable to find", E::MissingFile),
    ("failed to parse TBD", E::BadInput),
    ("parsing input file failed", E::BadInput),
    ("unknown file type", E::BadInput),
];

/// The value of an option as zig wants it: all three parts of a version, and the base of a number.
fn spelled(option: &str, value: &str) -> String {
    match option {
        "-current_version" | "-compatibility_version" => version(value, 3),
        "-headerpad" | "-stack_size" | "-pagezero_size" if !value.starts_with("0x") => {
            format!("0x{value}")
        }
        _ => value.to_owned(),
    }
}

/// A version of at least so many parts.
fn version(text: &str, parts: usize) -> String {
    let all = text.split('.').chain(["0"; 2]);
    all.take(text.split('.').count().max(parts)).collect::<Vec<_>>().join(".")
}

/// `zig cc` of the same link. It encodes fixups in one way, whatever is asked.
fn words(request: &Request) -> Vec<String> {
    let mut minos = "13.0".to_owned();
    let mut rest = Vec::new();
    let mut args = request.args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            PLATFORM => {
                let platform: Vec<&String> = args.by_ref().take(3).collect();
                minos = platform.get(1).map_or(minos, |text| version(text, 2));
            }
            "-fixup_chains" | "-no_fixup_chains" => {}
            // The compiler's own: the linker's it does not pass on.
            _ if arg.starts_with("-L") || arg.starts_with("-F") => rest.push(arg.clone()),
            // A compiler has to be given both together.
            name if ld64::WORDS.contains(&name) || ld64::FILES.contains(&name) => {
                let value = args.next().map_or("", String::as_str);
                rest.push(format!("-Wl,{arg},{}", spelled(name, value)));
            }
            _ if arg.starts_with('-') => rest.push(format!("-Wl,{arg}")),
            _ => rest.push(arg.clone()),
        }
    }
    let arch = if request.target.arch == Arch::Amd64 { "x86_64" } else { "aarch64" };
    let mut words = vec!["cc".to_owned(), "-target".into(), format!("{arch}-macos.{minos}")];
    words.push("-nostdlib".into());
    if request.mode == Mode::CShared {
        words.push("-shared".into());
    }
    words.extend(rest);
    words
}

/// The program of the package `ziglang`: in the folder `SCOLD_ZIG`, or where python has it.
fn package() -> Option<PathBuf> {
    let told = std::env::var_os("SCOLD_ZIG").map(PathBuf::from);
    let python = || {
        let script = "import ziglang, os; print(os.path.dirname(ziglang.__file__))";
        let python = run::find("python3").into_iter().next()?;
        let limits = Limits::wall(Duration::from_secs(20));
        let run = run::run(&python, &["-c", script], Path::new("/"), &[], limits).ok()?;
        let path = run.out().trim().to_owned();
        (!path.is_empty()).then(|| PathBuf::from(path))
    };
    told.or_else(python).map(|folder| folder.join("zig")).filter(|path| path.is_file())
}
