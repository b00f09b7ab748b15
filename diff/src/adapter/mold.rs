//! mold.

use super::{Linker, Port};
use crate::Target;
use crate::model::ErrorClass as E;

/// The row of mold.
pub(super) static LINKER: Linker = Linker {
    name: "mold",
    ports: &[Port::of(Target::AMD64_ELF), Port::of(Target::ARM64_ELF), Port::of(Target::ARM_ELF)],
    lists: false,
    programs: &["mold", "ld.mold"],
    numbered: None,
    hidden: || None,
    version: "--version",
    is: |banner| banner.starts_with("mold "),
    words: None,
    env: &[],
    // Without it the work happens in a child that neither limits nor accounting reach.
    args: &["-z", "text", "--no-fork"],
    newer: &[],
    threads: Some("--threads="),
    lacks: &[("--target1-", "mold takes R_ARM_TARGET1 as an address")],
    unsupported: &[("unknown relocation", "mold lacks this relocation")],
    crash: &["internal error", "Assertion `", "terminate called"],
    classes: CLASSES,
    package: "Debian package mold",
};

const CLASSES: &[(&str, E)] = &[
    ("duplicate symbol", E::DuplicateSymbol),
    ("undefined symbol", E::UndefinedSymbol),
    ("symbol*is not defined", E::UndefinedSymbol),
    ("misaligned", E::RelocMisaligned),
    ("out of range", E::RelocOverflow),
    ("cannot be used", E::RelocDynamic),
    ("can not be used", E::RelocDynamic),
    ("recompile with -f", E::RelocDynamic),
    ("TLS attribute mismatch", E::TlsMismatch),
    ("TLS*mismatch", E::TlsMismatch),
    ("must be followed", E::RelocUnsupported),
    ("unknown relocation", E::RelocUnsupported),
    ("unsupported relocation", E::RelocUnsupported),
    ("undefined version", E::UndefinedVersion),
    ("unknown command line option", E::UnknownOption),
    ("unknown linker script token", E::BadScript),
    ("expected '*but got", E::BadScript),
    ("unknown -m argument", E::Usage),
    ("missing argument", E::Usage),
    ("incompatible file type", E::WrongMachine),
    ("unsupported", E::WrongMachine),
    ("library not found", E::MissingFile),
    ("cannot open", E::MissingFile),
    ("No such file", E::MissingFile),
    ("version script", E::BadScript),
    ("syntax error", E::BadScript),
    ("unknown file type", E::BadInput),
    ("corrupted", E::BadInput),
    ("truncated", E::BadInput),
    ("bad ", E::BadInput),
    ("not a", E::BadInput),
    ("invalid", E::BadInput),
];
