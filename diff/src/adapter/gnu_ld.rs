//! GNU ld (bfd).

use super::{Linker, Port};
use crate::Target;
use crate::model::ErrorClass as E;

/// The row of GNU ld.
pub(super) static LINKER: Linker = Linker {
    name: "gnu_ld",
    ports: &[
        Port {
            programs: &["x86_64-linux-gnu-ld.bfd"],
            package: "Debian package binutils-x86-64-linux-gnu",
            ..Port::of(Target::AMD64_ELF)
        },
        Port {
            programs: &["aarch64-linux-gnu-ld.bfd", "aarch64-linux-gnu-ld"],
            package: "Debian package binutils-aarch64-linux-gnu",
            unsupported: &[("unrecognized relocation type 0x", "bfd lacks this relocation")],
            ..Port::of(Target::ARM64_ELF)
        },
        Port {
            programs: &["arm-linux-gnueabihf-ld.bfd", "arm-linux-gnueabihf-ld"],
            package: "Debian package binutils-arm-linux-gnueabihf",
            ..Port::of(Target::ARM_ELF)
        },
    ],
    lists: true,
    programs: &["ld.bfd", "ld"],
    numbered: None,
    hidden: || None,
    version: "--version",
    is: |banner| banner.starts_with("GNU ld"),
    words: None,
    env: &[],
    args: &["-z", "text", "-z", "separate-code"],
    newer: &[],
    threads: None,
    lacks: &[],
    unsupported: &[],
    crash: &["internal error", "BFD*assertion fail", "ld terminated with signal"],
    classes: CLASSES,
    package: "Debian package binutils",
};

/// bfd reports through several hands: the linker itself, libbfd, and the back end of the machine.
pub(super) const CLASSES: &[(&str, E)] = &[
    ("multiple definition of", E::DuplicateSymbol),
    ("undefined reference to", E::UndefinedSymbol),
    ("isn't defined", E::UndefinedSymbol),
    ("referenced by DSO", E::UndefinedSymbol),
    ("against external or undefined symbol", E::RelocDynamic),
    ("against undefined symbol*can not be used when making", E::RelocDynamic),
    ("undefined symbol", E::UndefinedSymbol),
    ("relocation truncated to fit", E::RelocOverflow),
    ("out of range", E::RelocOverflow),
    ("relocation overflow", E::RelocOverflow),
    ("symbol number*but only", E::BadInput),
    ("invalid symbol index", E::BadInput),
    ("TLS definition in*mismatches non-TLS", E::TlsMismatch),
    ("TLS reference in*mismatches non-TLS", E::TlsMismatch),
    ("non-TLS definition in*mismatches TLS", E::TlsMismatch),
    ("non-TLS reference in*mismatches TLS", E::TlsMismatch),
    ("accessed both as normal and thread local symbol", E::TlsMismatch),
    ("can not be used when making", E::RelocDynamic),
    ("can't be used when making", E::RelocDynamic),
    ("recompile with -f", E::RelocDynamic),
    ("dangerous relocation", E::RelocDynamic),
    ("read-only segment has dynamic relocations", E::RelocDynamic),
    ("TLS transition from", E::RelocUnsupported),
    ("unsupported relocation type", E::RelocUnsupported),
    ("unrecognized relocation", E::RelocUnsupported),
    ("unresolvable*relocation", E::RelocUnsupported),
    ("relocation*against STT_GNU_IFUNC symbol*isn't supported", E::RelocUnsupported),
    ("version node not found", E::UndefinedVersion),
    ("undefined version", E::UndefinedVersion),
    ("has undefined version", E::UndefinedVersion),
    ("unrecognized option", E::UnknownOption),
    ("unrecognised option", E::UnknownOption),
    ("unrecognised emulation mode", E::Usage),
    ("missing argument", E::Usage),
    ("requires an argument", E::Usage),
    ("incompatible with", E::WrongMachine),
    ("is incompatible", E::WrongMachine),
    ("Relocations in generic ELF", E::WrongMachine),
    ("syntax error", E::BadScript),
    ("file format not recognized", E::BadInput),
    ("file in wrong format", E::BadInput),
    ("file not recognized", E::BadInput),
    ("file truncated", E::BadInput),
    ("malformed archive", E::BadInput),
    ("bad value", E::BadInput),
    ("invalid string offset", E::BadInput),
    ("cannot find", E::MissingFile),
    ("No such file", E::MissingFile),
    ("cannot open", E::Io),
];
