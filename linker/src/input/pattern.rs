//! Patterns: exact names and globs, as version scripts and dynamic lists have them.

use std::borrow::Cow;
use std::cell::OnceCell;

use rustc_hash::FxHashSet;

use super::demangle::demangled;
use super::glob::Glob;
use super::lex::{Dialect, Lexer, Token};
use crate::Result;

/// A name or a glob.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pattern {
    /// The text, without quotes.
    pub text: String,
    /// `*`, `?` and `[…]` have their meaning.
    glob: Option<Glob>,
    /// It is for demangled names: `extern "C++"`.
    pub is_cxx: bool,
}

impl Pattern {
    /// The pattern written as `text`: a glob if it has a glob's characters; a backslash takes the next
    /// one as it is.
    ///
    /// Errors: what is wrong with the glob, for people.
    pub fn glob(text: &str) -> std::result::Result<Self, String> {
        let mut plain = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' | '?' | '[' => {
                    let glob = Some(Glob::parse(text)?);
                    return Ok(Self { text: text.into(), glob, is_cxx: false });
                }
                '\\' => plain.push(chars.next().unwrap_or(c)),
                _ => plain.push(c),
            }
        }
        Ok(Self::exact(&plain))
    }

    /// The pattern of the one name `text`.
    pub fn exact(text: &str) -> Self {
        Self { text: text.into(), glob: None, is_cxx: false }
    }

    /// Whether `*`, `?` and `[…]` have their meaning.
    pub fn is_glob(&self) -> bool {
        self.glob.is_some()
    }

    /// The same pattern for demangled names.
    #[must_use]
    pub fn cxx(self) -> Self {
        Self { is_cxx: true, ..self }
    }

    /// The pattern of a script's word; quotes make it exact.
    ///
    /// Errors: `bad-script` for a malformed glob.
    pub(super) fn from_token(lexer: &Lexer<'_>, token: Token<'_>) -> Result<Self> {
        if token.quoted {
            return Ok(Self::exact(token.text));
        }
        Self::glob(token.text).map_err(|text| lexer.error(token, text))
    }

    /// Whether it matches every name.
    pub fn is_star(&self) -> bool {
        self.glob.as_ref().is_some_and(Glob::is_star)
    }

    /// Whether it matches `name`.
    pub fn matches(&self, name: &Name<'_>) -> bool {
        let name = if self.is_cxx { name.written() } else { name.raw };
        match &self.glob {
            Some(glob) => glob.matches(name),
            None => self.text.as_bytes() == name,
        }
    }

    /// Reads a dynamic list, `{ foo; bar*; };`, the content of `file`: one that says nothing is none.
    ///
    /// Errors: `bad-script`.
    pub fn parse_list(bytes: &[u8], file: &str) -> Result<Vec<Self>> {
        let mut lexer = Lexer::new(bytes, file, Dialect::Version)?;
        let mut list = Vec::new();
        loop {
            lexer.expect("{")?;
            super::version::patterns(&mut lexer, &mut list)?;
            lexer.expect("}")?;
            lexer.expect(";")?;
            if lexer.peek().is_none() {
                return Ok(list);
            }
        }
    }
}

/// A symbol's name, demangled when a pattern wants it so.
#[derive(Debug)]
pub struct Name<'n> {
    /// As the symbol table has it.
    pub raw: &'n [u8],
    written: OnceCell<Cow<'n, [u8]>>,
}

impl<'n> Name<'n> {
    /// The name `raw`.
    pub fn new(raw: &'n [u8]) -> Self {
        Self { raw, written: OnceCell::new() }
    }

    /// As people write it in C++.
    pub fn written(&self) -> &[u8] {
        self.written.get_or_init(|| demangled(self.raw))
    }
}

/// Patterns made ready to be asked often.
#[derive(Clone, Default, Debug)]
pub struct PatternSet<'a> {
    exact: FxHashSet<&'a [u8]>,
    exact_cxx: FxHashSet<&'a [u8]>,
    globs: Vec<&'a Pattern>,
    all: bool,
}

impl<'a> PatternSet<'a> {
    /// Prepares `patterns`.
    pub fn new(patterns: &'a [Pattern]) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            match (pattern.is_glob(), pattern.is_cxx) {
                (true, _) if pattern.is_star() => set.all = true,
                (true, _) => set.globs.push(pattern),
                (false, true) => drop(set.exact_cxx.insert(pattern.text.as_bytes())),
                (false, false) => drop(set.exact.insert(pattern.text.as_bytes())),
            }
        }
        set
    }

    /// Whether one of them matches `name`.
    pub fn matches(&self, name: &[u8]) -> bool {
        if self.all || self.exact.contains(name) {
            return true;
        }
        let name = Name::new(name);
        !self.exact_cxx.is_empty() && self.exact_cxx.contains(name.written())
            || self.globs.iter().any(|p| p.matches(&name))
    }
}
