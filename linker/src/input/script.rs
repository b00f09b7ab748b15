//! Linker scripts as libc and others ship them: `OUTPUT_FORMAT`, `GROUP`, `INPUT`, `AS_NEEDED`,
//! `SEARCH_DIR`, `ENTRY`, `VERSION`, assignments. Scripts that place sections are refused with a clear error.

use std::borrow::Cow;

use super::VersionScript;
use super::lex::{Dialect, Lexer, Token};
use crate::options::{Defsym, Expression, is_name};
use crate::{Error, ErrorKind, Options, Result};

/// What is said about a file of no known kind.
pub(super) const NOT_RECOGNIZED: &str =
    "file format not recognized: neither ELF, an archive nor a linker script";

/// A file a script names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ScriptInput {
    /// The name: a path, a bare name, or `-lNAME`.
    pub(super) name: String,
    /// Inside `AS_NEEDED`.
    pub(super) as_needed: bool,
}

/// What a script asks for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Script {
    /// Files, in order.
    pub(super) inputs: Vec<ScriptInput>,
    /// `SEARCH_DIR`.
    pub(super) search_dirs: Vec<String>,
    /// What `OUTPUT_FORMAT` names: the output's format, or it and its big- and little-endian forms.
    pub(super) format: Option<String>,
    /// What it says beside files.
    pub(super) said: Said,
}

/// What linker scripts among the inputs say of the link as a whole.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Said {
    /// `ENTRY`.
    pub entry: Option<String>,
    /// `VERSION`.
    pub versions: Option<VersionScript>,
    /// `NAME = EXPRESSION;`.
    pub defsyms: Vec<Defsym>,
}

impl Said {
    /// `options` with what was said added; the command line is stronger.
    ///
    /// Errors: `bad-script` if a version is in both.
    pub fn apply<'o>(&self, options: &'o Options) -> Result<Cow<'o, Options>> {
        if *self == Self::default() {
            return Ok(Cow::Borrowed(options));
        }
        let mut options = options.clone();
        options.entry = options.entry.or_else(|| self.entry.clone());
        options.defsyms.splice(0..0, self.defsyms.iter().cloned());
        if let Some(more) = &self.versions {
            match &mut options.version_script {
                Some(first) => first.append(more.clone(), "linker scripts")?,
                none => *none = Some(more.clone()),
            }
        }
        Ok(Cow::Owned(options))
    }

    /// Adds what the script `file` said.
    ///
    /// Errors: `bad-script` if a version is in two of them.
    pub(super) fn append(&mut self, other: Self, file: &str) -> Result<()> {
        self.entry = other.entry.or(self.entry.take());
        self.defsyms.extend(other.defsyms);
        if let Some(more) = other.versions {
            match &mut self.versions {
                Some(first) => first.append(more, file)?,
                none => *none = Some(more),
            }
        }
        Ok(())
    }
}

impl Script {
    /// Reads a script, the content of `file`.
    pub(super) fn parse(bytes: &[u8], file: &str) -> Result<Self> {
        let mut lexer = Lexer::new(bytes, file, Dialect::Linker)?;
        let mut script = Self::default();
        while let Some(command) = lexer.take() {
            match command.text {
                ";" if !command.quoted => {}
                "GROUP" | "INPUT" => {
                    lexer.expect("(")?;
                    script.files(&mut lexer, false)?;
                }
                "SEARCH_DIR" => script.search_dirs.push(argument(&mut lexer, "a directory")?),
                "ENTRY" => script.said.entry = Some(argument(&mut lexer, "a symbol")?),
                "OUTPUT_FORMAT" => {
                    lexer.expect("(")?;
                    script.format = Some(lexer.word("a format")?.text.into());
                    lexer.skip_to(")")?;
                }
                // The machine is that of the inputs.
                "OUTPUT_ARCH" | "TARGET" => {
                    lexer.expect("(")?;
                    lexer.skip_to(")")?;
                }
                "VERSION" if lexer.at("{") => {
                    let text = lexer.block()?;
                    let versions = VersionScript::parse(text.as_bytes(), file)?;
                    script
                        .said
                        .append(Said { versions: Some(versions), ..Said::default() }, file)?;
                }
                _ => match assignment(&mut lexer, command)? {
                    Some(defsym) => script.said.defsyms.push(defsym),
                    None => return Err(unknown(&lexer, command)),
                },
            }
        }
        Ok(script)
    }

    /// The list after `(`, up to and with its `)`.
    fn files(&mut self, lexer: &mut Lexer<'_>, as_needed: bool) -> Result<()> {
        while !lexer.eat(")") {
            if lexer.eat(",") {
                continue;
            }
            let name = lexer.word("a file or `)`")?;
            if name.text == "AS_NEEDED" && !name.quoted && !as_needed && lexer.eat("(") {
                self.files(lexer, true)?;
            } else {
                self.inputs.push(ScriptInput { name: name.text.into(), as_needed });
            }
        }
        Ok(())
    }
}

/// The one argument in parentheses.
fn argument(lexer: &mut Lexer<'_>, what: &str) -> Result<String> {
    lexer.expect("(")?;
    let word = lexer.word(what)?.text.into();
    lexer.expect(")")?;
    Ok(word)
}

/// `NAME = EXPRESSION;`, of which the first word has been taken; `None` if that is not what stands there.
fn assignment(lexer: &mut Lexer<'_>, first: Token<'_>) -> Result<Option<Defsym>> {
    let Some(text) = lexer.statement(first) else { return Ok(None) };
    let Some((name, value)) = text.split_once('=') else { return Ok(None) };
    let name = name.trim().trim_matches('"');
    if !is_name(name) || value.starts_with('=') {
        return Ok(None);
    }
    let value =
        Expression::parse(value).map_err(|text| lexer.error(first, format!("{name}: {text}")))?;
    lexer.skip_to(";")?;
    Ok(Some(Defsym { name: name.into(), value }))
}

/// A word that is no command of ours: a script that wants more, or no script at all.
fn unknown(lexer: &Lexer<'_>, command: Token<'_>) -> Error {
    let error = match command.text {
        "SECTIONS" | "PHDRS" | "MEMORY" | "VERSION" | "PROVIDE" | "PROVIDE_HIDDEN" | "HIDDEN"
        | "ASSERT" | "EXTERN" | "INCLUDE" | "STARTUP" | "INSERT" | "NOCROSSREFS" => {
            let text = format!("linker script command {} is not supported", command.text);
            return lexer.error(command, text);
        }
        _ if lexer.peek().is_some_and(|t| !t.quoted && is_compound(t.text)) => {
            let text = "an assignment that changes a symbol is not supported".into();
            return lexer.error(command, text);
        }
        _ => Error::new(ErrorKind::BadInput, NOT_RECOGNIZED),
    };
    error.at(lexer.site(command))
}

/// `+=` and its like, whatever follows without a space.
fn is_compound(text: &str) -> bool {
    let operators = ["+=", "-=", "*=", "/=", "&=", "|=", "^=", "<<=", ">>="];
    operators.iter().any(|operator| text.starts_with(operator))
}
