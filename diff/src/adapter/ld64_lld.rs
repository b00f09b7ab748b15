//! lld's port to Mach-O, called as ld64 is; distribution's and the Rust toolchain's.

use super::{Linker, Port, lld};
use crate::Target;
use crate::model::ErrorClass as E;

/// The row of ld64.lld.
pub(super) static LINKER: Linker = Linker {
    name: "ld64_lld",
    ports: &[Port::of(Target::AMD64_MACHO), Port::of(Target::ARM64_MACHO)],
    lists: false,
    programs: &["ld64.lld"],
    numbered: Some("ld64.lld-"),
    hidden: || lld::toolchain("ld64.lld"),
    version: "--version",
    // The port to ELF says more.
    is: |banner| lld::is_lld(banner) && !banner.contains("compatible"),
    words: None,
    env: &[],
    // Where the objects were is no part of the output.
    args: &["-oso_prefix", "."],
    // Method lists stay as compilers write them, as with other linkers.
    newer: &[(19, "-no_objc_relative_method_lists")],
    threads: Some("--threads="),
    lacks: &[],
    unsupported: &[
        ("Option `*' is not yet implemented", "lld says that it is not written yet"),
        ("Option `*' is undocumented", "lld says that it is not written yet"),
        ("unknown argument '-no_fixup_chains'", "lld 14 chains no fixups, nor can be told not to"),
    ],
    crash: &["PLEASE submit a bug report", "Assertion `", "UNREACHABLE executed", "LLVM ERROR"],
    classes: CLASSES,
    package: "Debian package lld, or any Rust toolchain (rust-lld)",
};

const CLASSES: &[(&str, E)] = &[
    ("duplicate symbol", E::DuplicateSymbol),
    ("undefined symbol", E::UndefinedSymbol),
    ("is not*-byte aligned", E::RelocMisaligned),
    ("unaligned pointer", E::RelocMisaligned),
    ("not aligned", E::RelocMisaligned),
    ("fixups are unaligned", E::RelocMisaligned),
    ("out of range", E::RelocOverflow),
    ("does not fit into chained fixup", E::RelocOverflow),
    ("requires that symbol*be thread-local", E::TlsMismatch),
    ("requires that symbol*not be thread-local", E::TlsMismatch),
    ("relocation*has width", E::RelocUnsupported),
    ("relocation*must be", E::RelocUnsupported),
    ("relocation requires", E::RelocUnsupported),
    ("unhandled relocation", E::RelocUnsupported),
    ("invalid relocation", E::RelocUnsupported),
    ("SUBTRACTOR", E::RelocUnsupported),
    ("unknown argument", E::UnknownOption),
    ("missing argument", E::Usage),
    ("must specify -arch", E::Usage),
    ("incompatible with target architecture", E::WrongMachine),
    ("which is different from target platform", E::BadInput),
    ("library not found", E::MissingFile),
    ("framework not found", E::MissingFile),
    ("unable to locate re-export", E::MissingFile),
    ("cannot open", E::MissingFile),
    ("No such file", E::MissingFile),
    ("unhandled file type", E::BadInput),
    ("malformed", E::BadInput),
    ("truncated", E::BadInput),
    ("invalid", E::BadInput),
    ("corrupt", E::BadInput),
    ("too small", E::BadInput),
    ("extends past", E::BadInput),
];
