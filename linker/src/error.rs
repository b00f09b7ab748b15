//! Errors: one word wide, boxed; a kind to branch on, a site and a text for people.

use std::fmt;

/// A result whose error is one [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a class that tests and the judge can branch on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ErrorKind {
    /// A strong reference that nothing defines (or a hidden one that only a library defines).
    UndefinedSymbol,
    /// Two strong definitions of one name.
    DuplicateSymbol,
    /// The value does not fit the field.
    RelocOverflow,
    /// The value is not a multiple of the field's scale.
    RelocMisaligned,
    /// A relocation type this output can't have at all.
    RelocUnsupported,
    /// A relocation that would need a dynamic form which does not exist.
    RelocDynamic,
    /// TLS and non-TLS mentions of one symbol.
    TlsMismatch,
    /// A version that no script or library defines.
    UndefinedVersion,
    /// A malformed object, archive or shared library.
    BadInput,
    /// A malformed linker script, version script, dynamic list or response file.
    BadScript,
    /// An input for another machine or class.
    WrongMachine,
    /// An option that does not exist.
    UnknownOption,
    /// An option that other linkers have.
    UnsupportedOption,
    /// An option used wrongly, or a missing argument.
    Usage,
    /// What a build mode asks for can't be had with these inputs or options.
    ModeConflict,
    /// A file or library that can't be found.
    MissingFile,
    /// The operating system refused.
    Io,
    /// The linker broke its own promise.
    Internal,
}

impl ErrorKind {
    /// What it is that a file can't be opened.
    pub(crate) fn of_open(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::MissingFile,
            _ => Self::Io,
        }
    }

    /// The stable code, such as `reloc-overflow`.
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
            Self::UnsupportedOption => "unsupported-option",
            Self::Usage => "usage",
            Self::ModeConflict => "mode-conflict",
            Self::MissingFile => "missing-file",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }
}

/// Where it went wrong; empty parts are unknown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Site {
    /// The input as people know it: `a.o`, `lib.a(m.o)`.
    pub file: String,
    /// The input section's name.
    pub section: Option<String>,
    /// Bytes from the start of the section, or of the file when there is no section.
    pub offset: Option<u64>,
}

/// One error, one word wide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Inner {
    kind: ErrorKind,
    site: Option<Site>,
    text: String,
}

impl Error {
    /// An error without a place.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, site: None, text: text.into() }))
    }

    /// The same error at `site`; a site already there stays.
    #[must_use]
    pub fn at(mut self, site: Site) -> Self {
        self.0.site.get_or_insert(site);
        self
    }

    /// The same error in `file`, place unknown.
    #[must_use]
    pub fn in_file(self, file: impl Into<String>) -> Self {
        self.at(Site { file: file.into(), section: None, offset: None })
    }

    /// What went wrong, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it went wrong.
    pub fn site(&self) -> Option<&Site> {
        self.0.site.as_ref()
    }

    /// What went wrong, for people.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(section) = &self.section {
            write!(f, ":({section}")?;
            if let Some(offset) = self.offset {
                write!(f, "+{offset:#x}")?;
            }
            f.write_str(")")?;
        } else if let Some(offset) = self.offset {
            write!(f, ":{offset:#x}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(site) = &self.0.site {
            write!(f, "{site}: ")?;
        }
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for Error {}

/// A malformed place in some bytes, found by a reader that doesn't know whose bytes they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// Bytes from the start of what was read.
    pub offset: u64,
    /// What is wrong there.
    pub text: &'static str,
}

impl Malformed {
    /// The `bad-input` error of `section` in `file`.
    pub fn in_section(self, file: impl Into<String>, section: impl Into<String>) -> Error {
        let site =
            Site { file: file.into(), section: Some(section.into()), offset: Some(self.offset) };
        Error::new(ErrorKind::BadInput, self.text).at(site)
    }
}

/// Everything a phase found, sorted by file, section, offset. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// Sorts `list`; `None` if there is nothing in it.
    pub fn collect(mut list: Vec<Error>) -> Option<Self> {
        list.sort_by(|a, b| (a.site(), a.text()).cmp(&(b.site(), b.text())));
        list.dedup();
        (!list.is_empty()).then_some(Self(list))
    }

    /// The errors, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// The first error: what the whole is judged by.
    pub fn first(&self) -> &Error {
        &self.0[0]
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
