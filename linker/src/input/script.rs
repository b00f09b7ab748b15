//! Linker scripts as libc and others ship them: `OUTPUT_FORMAT`, `GROUP`, `INPUT`, `AS_NEEDED`,
//! `SEARCH_DIR`. Scripts that place sections are refused with a clear error.

use super::lex::{Dialect, Lexer, Token};
use crate::{Error, ErrorKind, Result};

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
                "SEARCH_DIR" => {
                    lexer.expect("(")?;
                    script.search_dirs.push(lexer.word("a directory")?.text.into());
                    lexer.expect(")")?;
                }
                // What the machine and format are, the inputs say.
                "OUTPUT_FORMAT" | "OUTPUT_ARCH" | "TARGET" => skip_arguments(&mut lexer)?,
                _ => return Err(unknown(&lexer, command)),
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

fn skip_arguments(lexer: &mut Lexer<'_>) -> Result<()> {
    lexer.expect("(")?;
    while !lexer.eat(")") {
        if !lexer.eat(",") {
            lexer.word("an argument or `)`")?;
        }
    }
    Ok(())
}

/// A word that is no command of ours: a script that wants more, or no script at all.
fn unknown(lexer: &Lexer<'_>, command: Token<'_>) -> Error {
    let error = match command.text {
        "SECTIONS" | "PHDRS" | "MEMORY" | "ENTRY" | "VERSION" | "PROVIDE" | "ASSERT" => {
            let text = format!("linker script command {} is not supported", command.text);
            return lexer.error(command, text);
        }
        _ => Error::new(ErrorKind::BadInput, NOT_RECOGNIZED),
    };
    error.at(lexer.site(command))
}
