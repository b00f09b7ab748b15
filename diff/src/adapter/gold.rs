//! gold, the other linker of binutils (up to 2.43).

use super::{Linker, Port};
use crate::Target;
use crate::model::ErrorClass as E;

/// The row of gold.
pub(super) static LINKER: Linker = Linker {
    name: "gold",
    ports: &[
        Port {
            programs: &["x86_64-linux-gnu-ld.gold"],
            package: "Debian package binutils-x86-64-linux-gnu",
            ..Port::of(Target::AMD64_ELF)
        },
        Port {
            listed: Some("aarch64_elf64_le_vec"),
            programs: &["aarch64-linux-gnu-ld.gold"],
            package: "Debian package binutils-aarch64-linux-gnu",
            ..Port::of(Target::ARM64_ELF)
        },
        Port {
            listed: Some("armelf"),
            programs: &["arm-linux-gnueabihf-ld.gold"],
            package: "Debian package binutils-arm-linux-gnueabihf",
            ..Port::of(Target::ARM_ELF)
        },
    ],
    lists: true,
    programs: &["ld.gold", "gold"],
    numbered: None,
    hidden: || None,
    version: "--version",
    is: |banner| banner.starts_with("GNU gold"),
    words: None,
    env: &[],
    args: &["-z", "text"],
    newer: &[],
    threads: None,
    lacks: &[
        ("pack-relative-relocs", "gold has no RELR"),
        ("--pack-dyn-relocs", "gold has no RELR"),
    ],
    unsupported: &[
        ("unsupported reloc *against", "gold lacks this relocation"),
        ("unimplemented reloc *in object file", "gold lacks this relocation"),
        ("and -static are incompatible", "gold makes static what is fixed only"),
        ("in THUMB-2 not supported yet", "gold lacks conditional branches to PLT entries"),
    ],
    crash: &["internal error in"],
    classes: CLASSES,
    package: "Debian package binutils (binutils-gold from trixie on)",
};

const CLASSES: &[(&str, E)] = &[
    ("multiple definition of", E::DuplicateSymbol),
    ("undefined reference to", E::UndefinedSymbol),
    ("symbol*is not defined locally", E::UndefinedSymbol),
    ("relocation overflow", E::RelocOverflow),
    ("relocation truncated", E::RelocOverflow),
    ("used as both __thread and non-__thread", E::TlsMismatch),
    ("TLS symbol*mismatch", E::TlsMismatch),
    ("mismatch between TLS", E::TlsMismatch),
    ("TLS relocation against invalid", E::TlsMismatch),
    ("TLS reloc", E::TlsMismatch),
    ("non-TLS", E::TlsMismatch),
    ("requires dynamic", E::RelocDynamic),
    ("requires unsupported dynamic reloc", E::RelocDynamic),
    ("recompile with -f", E::RelocDynamic),
    ("can not be used when making", E::RelocDynamic),
    ("text relocations", E::RelocDynamic),
    ("read-only segment has dynamic relocations", E::RelocDynamic),
    ("unexpected reloc", E::RelocUnsupported),
    ("unsupported reloc", E::RelocUnsupported),
    ("undefined version", E::UndefinedVersion),
    ("unexpected argument", E::UnknownOption),
    ("unknown option", E::UnknownOption),
    ("unrecognized option", E::UnknownOption),
    ("missing argument", E::Usage),
    ("unknown -z option", E::UnknownOption),
    ("incompatible target", E::WrongMachine),
    ("unsupported ELF machine", E::WrongMachine),
    ("syntax error", E::BadScript),
    ("not an object or archive", E::BadInput),
    ("file is empty", E::BadInput),
    ("file too short", E::BadInput),
    ("malformed", E::BadInput),
    ("bad ", E::BadInput),
    ("out of range", E::BadInput),
    ("cannot find", E::MissingFile),
    ("cannot open", E::MissingFile),
    ("No such file", E::MissingFile),
];
