//! Patterns: exact names and globs, as version scripts and dynamic lists have them.

use std::borrow::Cow;
use std::cell::OnceCell;

use rustc_hash::FxHashSet;

use super::demangle::demangled;
use super::lex::{Dialect, Lexer, Token};
use crate::Result;

/// A name or a glob.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pattern {
    /// The text, without quotes.
    pub text: String,
    /// `*`, `?` and `[…]` have their meaning.
    pub is_glob: bool,
    /// It is for demangled names: `extern "C++"`.
    pub is_cxx: bool,
}

impl Pattern {
    /// The pattern written as `text`: a glob if it has a glob's characters; a backslash takes the next
    /// one as it is.
    pub fn glob(text: &str) -> Self {
        let mut plain = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' | '?' | '[' => {
                    return Self { text: text.into(), is_glob: true, is_cxx: false };
                }
                '\\' => plain.push(chars.next().unwrap_or(c)),
                _ => plain.push(c),
            }
        }
        Self { text: plain, is_glob: false, is_cxx: false }
    }

    /// The same pattern for demangled names.
    #[must_use]
    pub fn cxx(self) -> Self {
        Self { is_cxx: true, ..self }
    }

    /// The pattern of a script's word; quotes make it exact.
    pub(super) fn from_token(token: Token<'_>) -> Self {
        if token.quoted {
            Self { text: token.text.into(), is_glob: false, is_cxx: false }
        } else {
            Self::glob(token.text)
        }
    }

    /// Whether it matches every name.
    pub fn is_star(&self) -> bool {
        self.is_glob && self.text == "*"
    }

    /// Whether it matches `name`.
    pub fn matches(&self, name: &Name<'_>) -> bool {
        let name = if self.is_cxx { name.written() } else { name.raw };
        if self.is_glob { glob(self.text.as_bytes(), name) } else { self.text.as_bytes() == name }
    }

    /// Reads a dynamic list, `{ foo; bar*; };`, the content of `file`.
    ///
    /// Errors: `bad-script`.
    pub fn parse_list(bytes: &[u8], file: &str) -> Result<Vec<Self>> {
        let mut lexer = Lexer::new(bytes, file, Dialect::Version)?;
        let mut list = Vec::new();
        while lexer.peek().is_some() {
            lexer.expect("{")?;
            super::version::patterns(&mut lexer, &mut list)?;
            lexer.expect("}")?;
            lexer.expect(";")?;
        }
        Ok(list)
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
            match (pattern.is_glob, pattern.is_cxx) {
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

/// Whether the glob matches all of `name`.
///
/// Time: at most pattern × name, since only the last star is ever tried again.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(_) => one(&pattern[p..], name[n]),
            None => None,
        };
        match (step, star) {
            (Some(len), _) => {
                p += len;
                n += 1;
            }
            (None, Some((after, from))) => {
                p = after;
                n = from + 1;
                star = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Matches one byte against the head of `pattern`; the head's length if it does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern[0] {
        b'?' => Some(1),
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        b'[' => match class(pattern, byte) {
            Some((len, matched)) => matched.then_some(len),
            // A bracket without its end stands for itself.
            None => (byte == b'[').then_some(1),
        },
        literal => (literal == byte).then_some(1),
    }
}

/// Matches `byte` against the class at the head of `pattern`: its length, and whether it matched.
fn class(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(negated);
    let start = at;
    let mut found = false;
    loop {
        match *pattern.get(at)? {
            b']' if at > start => return Some((at + 1, found != negated)),
            low => {
                let high = match (pattern.get(at + 1), pattern.get(at + 2)) {
                    (Some(b'-'), Some(&high)) if high != b']' => {
                        at += 2;
                        high
                    }
                    _ => low,
                };
                found |= (low..=high).contains(&byte);
                at += 1;
            }
        }
    }
}
