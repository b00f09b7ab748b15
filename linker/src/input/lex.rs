//! Words and punctuation of linker scripts, version scripts and dynamic lists. It must not know
//! what they mean.

use crate::{Error, ErrorKind, Result, Site};

/// A word or a punctuation mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token<'a> {
    /// Its text, without quotes.
    pub(super) text: &'a str,
    /// It stood in quotes: never punctuation, a keyword or a glob.
    pub(super) quoted: bool,
    /// Where it starts, in bytes.
    pub(super) offset: usize,
}

/// What ends a word in this kind of file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Paths may hold colons.
    Linker,
    /// A single colon ends `global:`; a double one is part of a C++ name. `#` starts a comment.
    Version,
}

/// A cursor over the tokens of one file.
pub(super) struct Lexer<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    file: &'a str,
    end: usize,
}

impl<'a> Lexer<'a> {
    /// Splits `bytes`, the content of `file`.
    pub(super) fn new(bytes: &'a [u8], file: &'a str, dialect: Dialect) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            bad(file, error.valid_up_to(), "not a script: it is not UTF-8 text".into())
        })?;
        let tokens = split(text, file, dialect)?;
        Ok(Self { text, tokens, next: 0, file, end: text.len() })
    }

    /// The token the cursor stands on.
    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    /// The token `n` behind the cursor.
    pub(super) fn peek_at(&self, n: usize) -> Option<Token<'a>> {
        self.tokens.get(self.next + n).copied()
    }

    /// Takes a token.
    pub(super) fn take(&mut self) -> Option<Token<'a>> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }

    /// Takes the token if it is the mark or keyword `text`.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.at(text);
        self.next += usize::from(found);
        found
    }

    /// Whether the cursor stands on the mark or keyword `text`.
    pub(super) fn at(&self, text: &str) -> bool {
        self.peek().is_some_and(|t| !t.quoted && t.text == text)
    }

    /// Takes `text` or fails.
    pub(super) fn expect(&mut self, text: &str) -> Result<()> {
        if self.eat(text) { Ok(()) } else { Err(self.unexpected(&format!("`{text}`"))) }
    }

    /// Takes a word or fails.
    pub(super) fn word(&mut self, what: &str) -> Result<Token<'a>> {
        match self.peek() {
            Some(token) if token.quoted || !is_mark(token.text) => {
                self.next += 1;
                Ok(token)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Takes everything up to the mark `text`, and that.
    pub(super) fn skip_to(&mut self, text: &str) -> Result<()> {
        while !self.eat(text) {
            if self.take().is_none() {
                return self.expect(text);
            }
        }
        Ok(())
    }

    /// The text from `first`, a token that has been taken, up to the next `;`.
    pub(super) fn statement(&self, first: Token<'a>) -> Option<&'a str> {
        let rest = &self.tokens[self.next..];
        let end = rest.iter().find(|t| !t.quoted && t.text == ";")?.offset;
        self.text.get(first.offset..end)
    }

    /// Takes a block in braces; the text inside.
    pub(super) fn block(&mut self) -> Result<&'a str> {
        let start = self.peek().map_or(self.end, |t| t.offset + 1);
        self.expect("{")?;
        let mut depth = 1;
        loop {
            let Some(token) = self.take() else { return Err(self.unexpected("`}`")) };
            match token.text {
                _ if token.quoted => {}
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.text.get(start..token.offset).unwrap_or_default());
            }
        }
    }

    /// An error at the cursor: something else stands there.
    pub(super) fn unexpected(&self, wanted: &str) -> Error {
        match self.peek() {
            Some(t) => {
                bad(self.file, t.offset, format!("expected {wanted}, found `{}`", clip(t.text)))
            }
            None => bad(self.file, self.end, format!("expected {wanted}, found the end")),
        }
    }

    /// Where `token` is.
    pub(super) fn site(&self, token: Token<'_>) -> Site {
        Site { file: self.file.into(), section: None, offset: Some(token.offset as u64) }
    }

    /// An error at `token`.
    pub(super) fn error(&self, token: Token<'_>, text: String) -> Error {
        bad(self.file, token.offset, text)
    }
}

/// A `bad-script` error.
fn bad(file: &str, offset: usize, text: String) -> Error {
    let site = Site { file: file.into(), section: None, offset: Some(offset as u64) };
    Error::new(ErrorKind::BadScript, text).at(site)
}

/// Long words cut for messages.
fn clip(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

fn is_mark(text: &str) -> bool {
    matches!(text, "{" | "}" | "(" | ")" | ";" | "," | ":")
}

fn split<'a>(text: &'a str, file: &str, dialect: Dialect) -> Result<Vec<Token<'a>>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let len = match bytes[at] {
            b if b.is_ascii_whitespace() || b == 0x0b => 1,
            b'/' if rest.starts_with("/*") => {
                let len = rest.find("*/");
                len.ok_or_else(|| bad(file, at, "comment without end".into()))? + 2
            }
            b'#' if dialect == Dialect::Version => rest.find('\n').unwrap_or(rest.len()),
            b'"' => {
                let len = rest[1..].find('"');
                let len = len.ok_or_else(|| bad(file, at, "quote without end".into()))?;
                tokens.push(Token { text: &rest[1..=len], quoted: true, offset: at });
                len + 2
            }
            b if b"{}();,".contains(&b) || (b == b':' && dialect == Dialect::Version) => {
                tokens.push(Token { text: &rest[..1], quoted: false, offset: at });
                1
            }
            b if b < 0x20 || b == 0x7f => {
                return Err(bad(file, at, format!("not a script: byte {b:#04x}")));
            }
            _ => {
                let len = word_len(rest, dialect);
                tokens.push(Token { text: &rest[..len], quoted: false, offset: at });
                len
            }
        };
        at += len;
    }
    Ok(tokens)
}

/// How long the word at the start of `rest` is; at least one character.
fn word_len(rest: &str, dialect: Dialect) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b':' if dialect == Dialect::Version => {
                if bytes.get(at + 1) != Some(&b':') {
                    break;
                }
                at += 2;
            }
            // A comment ends a word, but `*/` and `lib/*` do not hold one.
            b'/' if at > 0 && rest[at..].starts_with("/*") => break,
            b if b <= 0x20 || b"{}();,\"".contains(&b) => break,
            _ => at += 1,
        }
    }
    at.max(rest.chars().next().map_or(1, char::len_utf8))
}
