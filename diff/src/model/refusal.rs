//! Why links are refused: the classes that all linkers' messages fall into.
//!
//! It must not know any linker's words.

/// Why a link was refused. Oracles compare these, never messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // The codes are the documentation; the reference explains each.
pub enum ErrorClass {
    UndefinedSymbol,
    DuplicateSymbol,
    RelocOverflow,
    RelocMisaligned,
    RelocUnsupported,
    RelocDynamic,
    TlsMismatch,
    UndefinedVersion,
    BadInput,
    BadScript,
    WrongMachine,
    UnknownOption,
    Usage,
    /// The reference's own: a build mode that can't be had, which others are not asked for.
    ModeConflict,
    MissingFile,
    Io,
    /// A message no rule of the adapter recognises.
    Other,
}

impl ErrorClass {
    /// The stable code, the same as the reference's.
    pub fn code(self) -> &'static str {
        match self {
            Self::UndefinedSymbol => "undefined-symbol",
            Self::DuplicateSymbol => "duplicate-symbol",
            Self::RelocOverflow => "reloc-overflow",
            Self::RelocMisaligned => "reloc-misaligned",
            Self::RelocUnsupported => "reloc-unsupported",
            Self::RelocDynamic => "reloc-dynamic",
            Self::TlsMismatch => "tls-mismatch",
            Self::UndefinedVersion => "undefined-version",
            Self::BadInput => "bad-input",
            Self::BadScript => "bad-script",
            Self::WrongMachine => "wrong-machine",
            Self::UnknownOption => "unknown-option",
            Self::Usage => "usage",
            Self::ModeConflict => "mode-conflict",
            Self::MissingFile => "missing-file",
            Self::Io => "io",
            Self::Other => "other",
        }
    }
}
