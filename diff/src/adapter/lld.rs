//! lld, distribution's and the Rust toolchain's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Linker, Port};
use crate::Target;
use crate::model::ErrorClass as E;
use crate::run::{self, Limits};

/// The row of lld.
pub(super) static LINKER: Linker = Linker {
    name: "lld",
    ports: &[
        Port::of(Target::AMD64_ELF),
        Port { unsupported: LACKS, ..Port::of(Target::ARM64_ELF) },
        Port { unsupported: LACKS, ..Port::of(Target::ARM_ELF) },
    ],
    lists: false,
    programs: &["ld.lld"],
    numbered: Some("ld.lld-"),
    hidden: || toolchain("ld.lld"),
    version: "--version",
    is: |banner| is_lld(banner) && banner.ends_with(GNU),
    words: None,
    env: &[],
    // From 13 on lld drops C-identifier sections that only __start_/__stop_ symbols mention.
    args: &["-z", "text", "-z", "nostart-stop-gc"],
    newer: &[],
    threads: Some("--threads="),
    lacks: &[],
    unsupported: &[],
    crash: &["PLEASE submit a bug report", "Assertion `", "UNREACHABLE executed", "LLVM ERROR"],
    classes: CLASSES,
    package: "Debian package lld, or any Rust toolchain (rust-lld)",
};

/// On arm64 no traditional TLS, no large model's GOT; on arm no descriptors: parts of the ABI.
const LACKS: &[(&str, &str)] = &[
    ("unknown relocation (*) against", "lld lacks this relocation on this machine"),
    ("cannot read addend for relocation", "lld lacks this relocation on this machine"),
];

const CLASSES: &[(&str, E)] = &[
    ("duplicate symbol", E::DuplicateSymbol),
    ("undefined symbol", E::UndefinedSymbol),
    ("undefined hidden symbol", E::UndefinedSymbol),
    ("undefined protected symbol", E::UndefinedSymbol),
    ("undefined internal symbol", E::UndefinedSymbol),
    ("undefined reference", E::UndefinedSymbol),
    ("non-exported symbol", E::UndefinedSymbol),
    ("is not a multiple of", E::RelocMisaligned),
    ("improper alignment for relocation", E::RelocMisaligned),
    ("out of range", E::RelocOverflow),
    ("cannot be used against", E::RelocDynamic),
    ("cannot be used with -shared", E::RelocDynamic),
    ("relocation*cannot refer to absolute symbol", E::RelocDynamic),
    ("unencodeable immediate", E::RelocOverflow),
    ("cannot preempt symbol", E::RelocDynamic),
    ("recompile with -f", E::RelocDynamic),
    ("can't create dynamic relocation", E::RelocDynamic),
    ("TLS attribute mismatch", E::TlsMismatch),
    ("has an STT_TLS symbol but doesn't have", E::TlsMismatch),
    ("must be used in", E::RelocUnsupported),
    ("must be used with", E::RelocUnsupported),
    ("unknown relocation", E::RelocUnsupported),
    ("unsupported relocation", E::RelocUnsupported),
    ("internal linker error: wrong relocation", E::RelocUnsupported),
    ("has undefined version", E::UndefinedVersion),
    ("version script assignment*failed: symbol not defined", E::UndefinedVersion),
    ("unknown argument", E::UnknownOption),
    ("unknown -z value", E::UnknownOption),
    ("missing argument", E::Usage),
    ("unknown emulation", E::Usage),
    ("is incompatible with", E::WrongMachine),
    ("unable to find library", E::MissingFile),
    ("cannot open", E::MissingFile),
    ("No such file", E::MissingFile),
    ("expected*but got", E::BadScript),
    ("unknown directive", E::BadScript),
    ("malformed", E::BadInput),
    ("unknown file type", E::BadInput),
    ("file is empty", E::BadInput),
    ("file is too short", E::BadInput),
    ("invalid", E::BadInput),
    ("corrupt", E::BadInput),
    ("unexpected EOF", E::BadInput),
    ("goes past the end of", E::BadInput),
];

/// Whether the banner is one of lld's, in any of its ports.
pub(super) fn is_lld(banner: &str) -> bool {
    banner.starts_with("LLD ") || banner.contains(" LLD ")
}

/// How the banner of the port to ELF ends; no other's does.
const GNU: &str = "(compatible with GNU linkers)";

/// rust-lld under the name of one of its ports, `ld.lld` or `ld64.lld`, from the sysroot of `rustc`, or of the newest toolchain of rustup.
pub(super) fn toolchain(port: &str) -> Option<PathBuf> {
    let asked = run::find("rustc").into_iter().find_map(|rustc| {
        let home = std::env::var("HOME").unwrap_or_default();
        let limits = Limits::wall(Duration::from_secs(20));
        let env = [("HOME", home.as_str())];
        let run = run::run(&rustc, &["--print", "sysroot"], Path::new("/"), &env, limits).ok()?;
        in_sysroot(Path::new(run.out().trim()), port)
    });
    asked.or_else(|| {
        let home = std::env::var_os("RUSTUP_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".rustup")))?;
        let mut toolchains: Vec<PathBuf> = std::fs::read_dir(home.join("toolchains"))
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        toolchains.sort();
        toolchains.iter().rev().find_map(|sysroot| in_sysroot(sysroot, port))
    })
}

fn in_sysroot(sysroot: &Path, port: &str) -> Option<PathBuf> {
    let targets = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    let folders = targets.flatten().map(|target| target.path().join("bin/gcc-ld"));
    folders.map(|folder| folder.join(port)).find(|path| path.is_file())
}
