//! Apple's ld: the classic ld64, also as cctools-port builds it elsewhere, and the one that replaced it.

use super::{Linker, Port};
use crate::Target;
use crate::model::ErrorClass as E;

/// The row of ld64. Up to 951 it is the classic one; from 1015 on it is what Xcode 15 brought.
pub(super) static LINKER: Linker = Linker {
    name: "ld64",
    ports: &[Port::of(Target::AMD64_MACHO), Port::of(Target::ARM64_MACHO)],
    lists: false,
    programs: &["ld64", "ld-classic", "x86_64-apple-darwin-ld", "ld"],
    numbered: None,
    hidden: || None,
    version: "-v",
    is: |banner| banner.contains("PROGRAM:ld"),
    words: None,
    env: &[],
    args: &[],
    newer: &[],
    threads: None,
    lacks: &[],
    unsupported: &[],
    crash: &["Assertion failed", "ld: internal error"],
    classes: CLASSES,
    package: "cctools-port (github.com/tpoechtrager/cctools-port), or Xcode's command line tools",
};

/// Options with a word behind them that is a file.
pub(crate) const FILES: &[&str] = &[
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
pub(crate) const WORDS: &[&str] = &[
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
    "-image_base",
    "-seg1addr",
    "-pagezero_size",
    "-stack_size",
    "-umbrella",
    "-objc_abi_version",
    "-multiply_defined",
    "-multiply_defined_unused",
    "-read_only_relocs",
    "-commons",
    "-oso_prefix",
];

const CLASSES: &[(&str, E)] = &[
    ("duplicate symbol", E::DuplicateSymbol),
    ("ndefined symbols for architecture", E::UndefinedSymbol),
    ("symbol(s) not found", E::UndefinedSymbol),
    ("not found for architecture", E::UndefinedSymbol),
    ("illegal thread local variable reference", E::TlsMismatch),
    ("TLV*not thread local", E::TlsMismatch),
    ("not aligned", E::RelocMisaligned),
    ("misaligned", E::RelocMisaligned),
    ("unaligned pointer", E::RelocMisaligned),
    ("out of range", E::RelocOverflow),
    ("32-bit absolute address", E::RelocDynamic),
    ("illegal text-relocation", E::RelocDynamic),
    ("text reloc", E::RelocDynamic),
    ("unsupported*relocation", E::RelocUnsupported),
    ("unknown*relocation", E::RelocUnsupported),
    ("bad *relocation", E::RelocUnsupported),
    ("unknown option", E::UnknownOption),
    ("missing argument", E::Usage),
    ("which is not the architecture being linked", E::WrongMachine),
    ("building for*but attempting to link with file built for", E::WrongMachine),
    ("library not found", E::MissingFile),
    ("file not found", E::MissingFile),
    ("can't open", E::MissingFile),
    ("malformed", E::BadInput),
    ("unknown file type", E::BadInput),
    ("file is empty", E::BadInput),
    ("truncated", E::BadInput),
];
