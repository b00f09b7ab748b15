//! Patterns: exact names and globs, as version scripts and dynamic lists have them.

use rustc_hash::FxHashSet;

use super::lex::{Dialect, Lexer, Token};
use crate::Result;

/// A name or a glob.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pattern {
    /// The text, without quotes.
    pub text: String,
    /// `*`, `?` and `[…]` have their meaning.
    pub is_glob: bool,
}

impl Pattern {
    /// The pattern written as `text`: a glob if it has a glob's characters.
    pub fn glob(text: &str) -> Self {
        Self { text: text.into(), is_glob: text.contains(['*', '?', '[']) }
    }

    /// The pattern of a script's word; quotes make it exact.
    pub(super) fn from_token(token: Token<'_>) -> Self {
        if token.quoted {
            Self { text: token.text.into(), is_glob: false }
        } else {
            Self::glob(token.text)
        }
    }

    /// Whether it matches every name.
    pub fn is_star(&self) -> bool {
        self.is_glob && self.text == "*"
    }

    /// Whether it matches `name`.
    pub fn matches(&self, name: &[u8]) -> bool {
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

/// Patterns made ready to be asked often.
#[derive(Clone, Default, Debug)]
pub struct PatternSet<'a> {
    exact: FxHashSet<&'a [u8]>,
    globs: Vec<&'a Pattern>,
    all: bool,
}

impl<'a> PatternSet<'a> {
    /// Prepares `patterns`.
    pub fn new(patterns: &'a [Pattern]) -> Self {
        let (globs, exact): (Vec<_>, Vec<_>) = patterns.iter().partition(|p| p.is_glob);
        Self {
            exact: exact.into_iter().map(|p| p.text.as_bytes()).collect(),
            all: globs.iter().any(|p| p.is_star()),
            globs,
        }
    }

    /// Whether one of them matches `name`.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.all || self.exact.contains(name) || self.globs.iter().any(|p| p.matches(name))
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
