//! wild.

use super::{Linker, Port};
use crate::Target;
use crate::model::ErrorClass as E;

/// The row of wild.
pub(super) static LINKER: Linker = Linker {
    name: "wild",
    ports: &[Port::of(Target::AMD64_ELF), Port::of(Target::ARM64_ELF)],
    lists: false,
    programs: &["wild", "ld.wild"],
    numbered: None,
    hidden: || None,
    version: "--version",
    is: |banner| banner.starts_with("Wild "),
    words: None,
    env: &[],
    // It collects garbage unless told not to, and forks; `-z text` only earns a warning.
    args: &["--no-fork", "--no-gc-sections"],
    newer: &[],
    threads: Some("--threads="),
    lacks: &[],
    unsupported: &[
        ("Unknown x86_64 relocation type", "wild lacks this relocation"),
        ("Unknown aarch64 relocation type", "wild lacks this relocation"),
        ("not yet supported", "wild says that it is not written yet"),
        ("not yet implemented", "wild says that it is not written yet"),
        ("is not supported", "wild says that it does not support this"),
    ],
    crash: &["panicked at"],
    classes: CLASSES,
    package: "cargo install wild-linker --locked",
};

const CLASSES: &[(&str, E)] = &[
    ("Direct relocation*to dynamic symbol", E::RelocDynamic),
    ("Failed to apply relocation of type", E::RelocOverflow),
    ("Duplicate symbol", E::DuplicateSymbol),
    ("duplicate symbol", E::DuplicateSymbol),
    // It means a library's number.
    ("Copy relocation for undefined symbol", E::RelocDynamic),
    ("ndefined symbol", E::UndefinedSymbol),
    ("out of range", E::RelocOverflow),
    ("outside of bounds", E::RelocOverflow),
    ("overflow", E::RelocOverflow),
    ("not aligned", E::RelocMisaligned),
    ("misaligned", E::RelocMisaligned),
    ("recompile with -f", E::RelocDynamic),
    ("cannot be used", E::RelocDynamic),
    ("read-only", E::RelocDynamic),
    ("TLS", E::TlsMismatch),
    ("Unsupported relocation", E::RelocUnsupported),
    ("Unknown relocation", E::RelocUnsupported),
    ("ndefined version", E::UndefinedVersion),
    ("nrecognized option", E::UnknownOption),
    ("nknown argument", E::UnknownOption),
    ("issing argument", E::Usage),
    ("incompatible architecture", E::WrongMachine),
    ("ouldn't find library", E::MissingFile),
    ("No such file", E::MissingFile),
    ("Failed to parse version script", E::BadScript),
    ("inker script", E::BadScript),
    ("Failed to parse object", E::BadInput),
    ("Failed to process", E::BadInput),
    ("nvalid", E::BadInput),
];
