//! Text linker scripts among a link's inputs → the inputs that they name, as arguments.
//!
//! What names no input stays a script. It must not know where files are.
//!
//! Spec: GNU ld's manual, "Commands Dealing with Files".

use std::ops::Range;

/// What a script says of inputs.
#[derive(PartialEq, Eq, Default, Debug)]
pub(super) struct Script {
    pub(super) items: Vec<Item>,
    /// `SEARCH_DIR`.
    pub(super) folders: Vec<String>,
    /// The script without that, if it says anything else.
    pub(super) rest: Option<String>,
}

/// A part of a command that names inputs.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// A file, or `-lNAME`.
    Input(String),
    /// What `GROUP` or `AS_NEEDED` are as options.
    Option(&'static str),
}

/// Commands that are about outputs that every linker here makes anyway.
const IDLE: [&str; 3] = ["OUTPUT_ARCH", "OUTPUT_FORMAT", "TARGET"];

/// A word with what is around it in the script.
#[derive(Debug)]
struct Token<'a> {
    text: &'a str,
    /// With the quotes.
    span: Range<usize>,
    quoted: bool,
}

impl Token<'_> {
    fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }
}

/// Reads a script; none if it names no inputs, or is none.
pub(super) fn parse(text: &str) -> Option<Script> {
    let tokens = tokens(text)?;
    let mut script = Script::default();
    let (mut cut, mut depth, mut others) = (Vec::new(), 0_usize, false);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let called = depth == 0 && tokens.get(at + 1).is_some_and(|next| next.is("("));
        let end = if called { close(&tokens, at + 1)? } else { at };
        let inner = tokens.get(at + 2..end).unwrap_or_default();
        let named = |names: &[&str]| called && names.iter().any(|name| token.is(name));
        if named(&["INPUT", "GROUP"]) {
            script.group(inner, token.is("GROUP"))?;
            cut.push(token.span.start..tokens[end].span.end);
        } else if named(&["SEARCH_DIR"]) {
            script.folders.extend(inner.iter().map(|word| word.text.to_owned()));
            cut.push(token.span.start..tokens[end].span.end);
        } else if !named(&IDLE) && !token.is(";") {
            others = true;
        }
        depth = match token {
            open if open.is("{") => depth + 1,
            shut if shut.is("}") => depth.checked_sub(1)?,
            _ => depth,
        };
        at = end + 1;
    }
    if others {
        let mut rest = text.to_owned();
        cut.iter().rev().for_each(|span| rest.replace_range(span.clone(), " "));
        script.rest = Some(rest);
    }
    (!script.items.is_empty()).then_some(script)
}

impl Script {
    fn group(&mut self, words: &[Token<'_>], searched_again: bool) -> Option<()> {
        let option = |text| Item::Option(text);
        self.items.extend(searched_again.then(|| option("--start-group")));
        let mut at = 0;
        while let Some(word) = words.get(at) {
            if word.is("AS_NEEDED") && words.get(at + 1).is_some_and(|next| next.is("(")) {
                let end = close(words, at + 1)?;
                self.items.extend(["--push-state", "--as-needed"].map(option));
                self.items.extend(words[at + 2..end].iter().map(input));
                self.items.push(option("--pop-state"));
                at = end;
            } else {
                self.items.push(input(word));
            }
            at += 1;
        }
        self.items.extend(searched_again.then(|| option("--end-group")));
        Some(())
    }
}

fn input(word: &Token<'_>) -> Item {
    Item::Input(word.text.to_owned())
}

/// Which token closes the parenthesis that one opens.
fn close(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().enumerate().skip(open).find_map(|(at, token)| {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
        }
        (depth == 0).then_some(at)
    })
}

/// Words, and signs that stand alone; without comments and the commas between names.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut list = Vec::new();
    let mut at = 0;
    let sign = |c: char| "(){};,".contains(c);
    while let Some(first) = text[at..].chars().next() {
        let tail = &text[at..];
        if tail.starts_with("/*") {
            at += tail.find("*/")? + 2;
        } else if first == '"' {
            let end = at + 1 + tail[1..].find('"')?;
            list.push(Token { text: &text[at + 1..end], span: at..end + 1, quoted: true });
            at = end + 1;
        } else if first.is_whitespace() || first == ',' {
            at += first.len_utf8();
        } else {
            let ends = |c: char| c.is_whitespace() || sign(c) || c == '"';
            let len = if sign(first) { 1 } else { tail.find(ends).unwrap_or(tail.len()) };
            list.push(Token { text: &tail[..len], span: at..at + len, quoted: false });
            at += len;
        }
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<(String, Option<String>)> {
        let script = parse(text)?;
        let words = script.items.into_iter().map(|item| match item {
            Item::Input(name) => name,
            Item::Option(option) => option.to_owned(),
        });
        let words: Vec<String> = words.collect();
        Some((words.join(" "), script.rest))
    }

    #[test]
    fn inputs_of_scripts_are_arguments() {
        let libc = "/* GNU ld script */ OUTPUT_FORMAT(elf64-x86-64)
            GROUP ( /lib/libc.so.6 \"a b.a\"  AS_NEEDED ( /lib64/ld.so -lx ) )";
        let wanted = "--start-group /lib/libc.so.6 a b.a --push-state --as-needed /lib64/ld.so -lx \
            --pop-state --end-group";
        assert_eq!(said(libc), Some((wanted.to_owned(), None)));
        assert_eq!(said("INPUT(a.o,b.o);INPUT(c.o)"), Some(("a.o b.o c.o".to_owned(), None)));
        let folders = parse("SEARCH_DIR(\"x\") INPUT(a.o)").unwrap().folders;
        assert_eq!(folders, ["x"]);
    }

    #[test]
    fn what_else_a_script_says_stays() {
        let (inputs, rest) = said("INPUT(a.o) PROVIDE(x = 1);").unwrap();
        assert_eq!((&*inputs, rest.as_deref()), ("a.o", Some("  PROVIDE(x = 1);")));
        for none in [
            "SECTIONS { .text : { INPUT(a.o) } }",
            "V1 { global: f; local: *; };",
            "INPUT(a.o",
            "INPUT()",
            "/* INPUT(a.o)",
            "\"INPUT\"(a.o)",
            "} INPUT(a.o)",
            "text",
            "",
        ] {
            assert_eq!(said(none), None, "{none}");
        }
    }
}
