//! `@FILE` among a link's arguments → the arguments in FILE, quoted as GNU's tools read them.
//!
//! A name that isn't there is no response file, but an argument like any other. It must not know any option.

use std::io;
use std::path::Path;

/// Files within files within files.
const MAX_DEPTH: usize = 32;
/// Arguments in all, so that a file that names itself twice ends.
const MAX_ARGS: usize = 1 << 20;

/// `args` with every response file's arguments in its place; paths are relative to `dir`.
///
/// Errors: a file that is no text or can't be read, or names itself.
pub(super) fn expand(args: &[String], dir: &Path) -> io::Result<Vec<String>> {
    let mut out = Vec::new();
    expand_into(args, dir, 0, &mut out)?;
    Ok(out)
}

fn expand_into(args: &[String], dir: &Path, depth: usize, out: &mut Vec<String>) -> io::Result<()> {
    let wrong = |kind, name: &str, text: &str| io::Error::new(kind, format!("{name}: {text}"));
    for arg in args {
        let file = arg.strip_prefix('@').filter(|name| !name.is_empty());
        let Some((name, path)) = file.map(|name| (name, dir.join(name))).filter(|it| it.1.exists())
        else {
            out.push(arg.clone());
            continue;
        };
        if depth == MAX_DEPTH || out.len() > MAX_ARGS {
            let text = "response files are nested too deeply";
            return Err(wrong(io::ErrorKind::InvalidInput, name, text));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(error.kind(), name, &error.to_string()))?;
        expand_into(&words(&text), dir, depth + 1, out)?;
    }
    Ok(())
}

/// Words between white space: quotes of either kind hold some together, a backslash takes what follows as it is.
fn words(text: &str) -> Vec<String> {
    let mut list = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_ascii_whitespace() {
            list.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\\' => word.extend(chars.next()),
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            _ => word.push(c),
        }
    }
    list.extend(word);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_arguments_within_files() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| std::fs::write(dir.path().join(name), text).unwrap();
        let read = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            expand(&args, dir.path())
        };
        put("one", b"--buildmode\nplugin 'a b.o' \"c\\\"\"x\\ y ''\t@two");
        put("two", b"  z.o\n");
        let wanted = ["-g", "--buildmode", "plugin", "a b.o", "c\"x y", "", "z.o", "@gone", "@"];
        assert_eq!(read(&["-g", "@one", "@gone", "@"]).unwrap(), wanted);
        put("self", b"@self @self");
        assert!(read(&["@self"]).unwrap_err().to_string().starts_with("self: "));
        put("bytes", &[0xff, 0xfe]);
        assert!(read(&["@bytes"]).is_err());
    }
}
