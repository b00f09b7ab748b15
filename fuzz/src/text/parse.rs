//! Text → case. Errors name the line; nothing in a text must make it panic or allocate without bound.

mod object;

use std::str::FromStr;

use super::Error;
use super::words::{Word, Words, is, split};
use super::{BINDINGS, HASH_STYLES, PLAIN_OPTIONS, SYMBOL_KINDS, VALIDITIES};
use super::{VISIBILITIES, value};
use crate::case::*;

/// No section of a case is larger: a typo must not fill the memory.
const LARGEST: u64 = 1 << 30;

type Result<T> = std::result::Result<T, Error>;

/// Reads a case from its text form.
///
/// Errors: the first line that is not understood.
pub fn parse(text: &str) -> Result<Case> {
    let mut parser = Parser { lines: text.lines().enumerate(), line: 0 };
    let (mut case, mut more) = link(&mut parser)?;
    while more {
        let (other, again) = link(&mut parser)?;
        case.beside.push(other);
        more = again;
    }
    Ok(case)
}

/// One link, and whether another one stands beside it.
fn link(parser: &mut Parser<'_>) -> Result<(Case, bool)> {
    let mut head = parser.next()?.ok_or_else(|| parser.error("no `case` line"))?;
    parser.expect(&mut head, "case")?;
    let target = parser.parsed(&mut head)?;
    let mode = parser.parsed(&mut head)?;
    let validity = match head.peek() {
        Some(_) => parser.value(&mut head, VALIDITIES)?,
        None => Validity::Defined,
    };
    parser.end(head)?;
    let (options, inputs) = (Vec::new(), Vec::new());
    let mut case =
        Case { target, mode, validity, options, inputs, versions: None, beside: Vec::new() };
    while let Some(mut words) = parser.next()? {
        match parser.word(&mut words)?.as_str() {
            "option" => case.options.push(parser.option(words)?),
            "versions" => case.versions = Some(parser.versions(words)?),
            "object" => case.inputs.push(Input::Object(parser.object(words)?)),
            "archive" => case.inputs.push(Input::Archive(parser.archive(words)?)),
            "library" => case.inputs.push(Input::Library(parser.library(words)?)),
            "group" => {
                let mut archives = Vec::new();
                parser.open(words)?;
                while let Some(mut words) = parser.inside()? {
                    parser.expect(&mut words, "archive")?;
                    archives.push(parser.archive(words)?);
                }
                case.inputs.push(Input::Group(archives));
            }
            "beside" => {
                parser.end(words)?;
                return Ok((case, true));
            }
            other => return Err(parser.error(&format!("no directive `{other}`"))),
        }
    }
    Ok((case, false))
}

struct Parser<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    line: usize,
}

impl Parser<'_> {
    fn error(&self, text: &str) -> Error {
        Error { line: self.line, text: text.to_owned() }
    }

    /// The words of the next line that has any.
    fn next(&mut self) -> Result<Option<Words>> {
        for (i, line) in self.lines.by_ref() {
            self.line = i + 1;
            let words = split(line).map_err(|text| Error { line: i + 1, text: text.into() })?;
            if !words.is_empty() {
                return Ok(Some(words.into_iter().peekable()));
            }
        }
        Ok(None)
    }

    /// The next line of a block; none at its `}`.
    fn inside(&mut self) -> Result<Option<Words>> {
        let mut words = self.next()?.ok_or_else(|| self.error("a block is not closed"))?;
        if !is(&mut words, "}") {
            return Ok(Some(words));
        }
        words.next();
        self.end(words)?;
        Ok(None)
    }

    fn open(&self, mut words: Words) -> Result<()> {
        self.expect(&mut words, "{")?;
        self.end(words)
    }

    fn end(&self, mut words: Words) -> Result<()> {
        match words.next() {
            Some(word) => Err(self.error(&format!("`{}` is too much", word.text))),
            None => Ok(()),
        }
    }

    fn raw(&self, words: &mut Words) -> Result<Word> {
        words.next().ok_or_else(|| self.error("the line ends early"))
    }

    fn word(&self, words: &mut Words) -> Result<String> {
        Ok(self.raw(words)?.text)
    }

    /// The name of a file of the link: it is written into some folder, and must stay in it.
    fn file_name(&self, words: &mut Words) -> Result<String> {
        let name = self.word(words)?;
        let inside = |part| matches!(part, std::path::Component::Normal(_));
        match !name.is_empty() && std::path::Path::new(&name).components().all(inside) {
            true => Ok(name),
            false => Err(self.error(&format!("`{name}` is no file of the link's own folder"))),
        }
    }

    fn expect(&self, words: &mut Words, expected: &str) -> Result<()> {
        match self.word(words)? {
            word if word == expected => Ok(()),
            word => Err(self.error(&format!("expected `{expected}`, found `{word}`"))),
        }
    }

    fn parsed<T: FromStr<Err = String>>(&self, words: &mut Words) -> Result<T> {
        self.word(words)?.parse().map_err(|text: String| self.error(&text))
    }

    fn value<T: Copy>(&self, words: &mut Words, known: super::Words<T>) -> Result<T> {
        let word = self.word(words)?;
        value(known, &word).ok_or_else(|| {
            let list: Vec<_> = known.iter().map(|(word, _)| *word).collect();
            self.error(&format!("`{word}` is none of {}", list.join(", ")))
        })
    }

    fn number(&self, words: &mut Words) -> Result<u64> {
        let word = self.word(words)?;
        self.parse_number(&word)
    }

    fn parse_number(&self, word: &str) -> Result<u64> {
        let parsed = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => word.parse(),
        };
        parsed.map_err(|_| self.error(&format!("`{word}` is no number")))
    }

    fn option(&self, mut words: Words) -> Result<Opt> {
        let word = self.word(&mut words)?;
        let option = match word.as_str() {
            "hash-style" => Opt::HashStyle(self.value(&mut words, HASH_STYLES)?),
            "wrap" => Opt::Wrap(self.word(&mut words)?),
            "soname" => Opt::Soname(self.word(&mut words)?),
            "entry" => Opt::Entry(self.word(&mut words)?),
            "undefined" => Opt::Undefined(self.word(&mut words)?),
            "may-be-undefined" => Opt::MayBeUndefined(self.word(&mut words)?),
            "exported" => Opt::Exported(self.word(&mut words)?),
            "unexported" => Opt::Unexported(self.word(&mut words)?),
            "min-os" => Opt::MinOs(
                u8::try_from(self.number(&mut words)?)
                    .map_err(|_| self.error("macOS has no such version"))?,
            ),
            "dynamic-list" => Opt::DynamicList(words.by_ref().map(|word| word.text).collect()),
            "defsym" => {
                let name = self.word(&mut words)?;
                let value = self.raw(&mut words)?;
                let digit = value.text.starts_with(|c: char| c.is_ascii_digit());
                Opt::Defsym(
                    name,
                    if digit && !value.quoted {
                        DefsymValue::Number(self.parse_number(&value.text)?)
                    } else {
                        DefsymValue::Symbol(value.text)
                    },
                )
            }
            plain => PLAIN_OPTIONS
                .iter()
                .find(|(known, _)| *known == plain)
                .map(|(_, option)| option.clone())
                .ok_or_else(|| self.error(&format!("no option `{plain}`")))?,
        };
        self.end(words)?;
        Ok(option)
    }

    fn versions(&mut self, words: Words) -> Result<VersionScript> {
        self.open(words)?;
        let mut nodes = Vec::new();
        while let Some(mut words) = self.inside()? {
            self.expect(&mut words, "node")?;
            let name = self.word(&mut words)?;
            let mut parent = None;
            if is(&mut words, "parent") {
                words.next();
                parent = Some(self.word(&mut words)?);
            }
            self.open(words)?;
            let mut node = VersionNode { name, global: vec![], local: vec![], parent };
            while let Some(mut words) = self.inside()? {
                let scope = match self.word(&mut words)?.as_str() {
                    "global" => &mut node.global,
                    "local" => &mut node.local,
                    other => return Err(self.error(&format!("no scope `{other}`"))),
                };
                scope.push(self.word(&mut words)?);
                self.end(words)?;
            }
            nodes.push(node);
        }
        Ok(VersionScript { nodes })
    }

    fn archive(&mut self, mut words: Words) -> Result<Archive> {
        let name = self.file_name(&mut words)?;
        let mut archive = Archive { name, members: vec![], whole: false, thin: false };
        loop {
            match self.word(&mut words)?.as_str() {
                "whole" => archive.whole = true,
                "thin" => archive.thin = true,
                "{" => break,
                other => return Err(self.error(&format!("no archive property `{other}`"))),
            }
        }
        self.end(words)?;
        while let Some(mut words) = self.inside()? {
            self.expect(&mut words, "object")?;
            archive.members.push(self.object(words)?);
        }
        Ok(archive)
    }

    fn library(&mut self, mut words: Words) -> Result<Library> {
        let name = self.file_name(&mut words)?;
        let mut library =
            Library { name, soname: None, as_needed: false, symbols: vec![], weak: false };
        loop {
            match self.word(&mut words)?.as_str() {
                "soname" => library.soname = Some(self.word(&mut words)?),
                "as-needed" => library.as_needed = true,
                "weak" => library.weak = true,
                "{" => break,
                other => return Err(self.error(&format!("no library property `{other}`"))),
            }
        }
        self.end(words)?;
        while let Some(mut words) = self.inside()? {
            self.expect(&mut words, "symbol")?;
            library.symbols.push(self.library_symbol(words)?);
        }
        Ok(library)
    }

    fn library_symbol(&self, mut words: Words) -> Result<LibrarySymbol> {
        let name = self.word(&mut words)?;
        let mut version = None;
        for (sign, default) in [("@", false), ("@@", true)] {
            if version.is_none() && is(&mut words, sign) {
                words.next();
                version = Some((self.word(&mut words)?, default));
            }
        }
        let binding = self.value(&mut words, BINDINGS)?;
        let kind = self.value(&mut words, SYMBOL_KINDS)?;
        let visibility = self.visibility(&mut words);
        let defined = match self.word(&mut words)?.as_str() {
            "undefined" => LibraryDefinition::Undefined,
            "absolute" => LibraryDefinition::Absolute(self.number(&mut words)?),
            "alias" => {
                let alias = u32::try_from(self.number(&mut words)?)
                    .map_err(|_| self.error("an alias number has 32 bits"))?;
                let readonly = is(&mut words, "readonly");
                if readonly {
                    words.next();
                }
                LibraryDefinition::Defined { alias, readonly }
            }
            other => return Err(self.error(&format!("no definition `{other}`"))),
        };
        let size = self.size(&mut words)?;
        self.end(words)?;
        Ok(LibrarySymbol { name, version, binding, kind, visibility, size, defined })
    }

    fn visibility(&self, words: &mut Words) -> Visibility {
        match words.peek().and_then(|word| value(VISIBILITIES, &word.text)) {
            Some(visibility) => {
                words.next();
                visibility
            }
            None => Visibility::Default,
        }
    }

    fn size(&self, words: &mut Words) -> Result<u64> {
        if !is(words, "size") {
            return Ok(0);
        }
        words.next();
        self.number(words)
    }
}
