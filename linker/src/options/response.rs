//! Response files: `@FILE` becomes the arguments in FILE, quoted as GNU's `expandargv` reads them.
//! Go writes them with `%q`, gcc and rustc with backslashes. It must not know any option.

use std::io;
use std::path::Path;

use crate::{Error, ErrorKind, Files, Result};

/// Files within files within files.
const MAX_DEPTH: usize = 32;
/// Arguments in all, so that a file naming itself twice ends.
const MAX_ARGS: usize = 4 << 20;

/// `args` with every response file expanded.
///
/// A name that can't be opened stays as it is, as in GNU's tools.
pub(crate) fn expand(args: &[String], files: &dyn Files) -> Result<Vec<String>> {
    let mut out = Vec::with_capacity(args.len());
    expand_into(args, files, 0, &mut out)?;
    Ok(out)
}

fn expand_into(
    args: &[String],
    files: &dyn Files,
    depth: usize,
    out: &mut Vec<String>,
) -> Result<()> {
    for arg in args {
        let Some(name) = arg.strip_prefix('@').filter(|name| !name.is_empty()) else {
            if out.len() >= MAX_ARGS {
                return Err(Error::new(ErrorKind::Usage, "too many arguments"));
            }
            out.push(arg.clone());
            continue;
        };
        let data = match files.open(Path::new(name)) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                out.push(arg.clone());
                continue;
            }
            Err(error) => return Err(Error::new(ErrorKind::Io, error.to_string()).in_file(name)),
        };
        if depth == MAX_DEPTH {
            let text = "response files are nested too deeply";
            return Err(Error::new(ErrorKind::BadScript, text).in_file(name));
        }
        let text = std::str::from_utf8(&data).map_err(|_| {
            Error::new(ErrorKind::BadScript, "response file is not UTF-8").in_file(name)
        })?;
        expand_into(&split(text), files, depth + 1, out)?;
    }
    Ok(())
}

/// Splits at white space; quotes group, a backslash takes the next character as it is.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return out;
        }
        let mut arg = String::new();
        let mut quote = None;
        while let Some(&c) = chars.peek() {
            if quote.is_none() && c.is_ascii_whitespace() {
                break;
            }
            chars.next();
            match c {
                '\\' => arg.extend(chars.next()),
                _ if quote == Some(c) => quote = None,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                _ => arg.push(c),
            }
        }
        out.push(arg);
    }
}
