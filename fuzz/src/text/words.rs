//! A line → its words: blanks, quotes, escapes, comments. It must not know what the words mean.

/// A word and whether it was quoted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
    pub(super) quoted: bool,
}

/// The words of a line that are not read yet.
pub(super) type Words = std::iter::Peekable<std::vec::IntoIter<Word>>;

/// Whether the next word is `expected`, unquoted.
pub(super) fn is(words: &mut Words, expected: &str) -> bool {
    words.peek().is_some_and(|word| word.text == expected && !word.quoted)
}

/// Splits a line at blanks, outside of quotes, up to a `;`.
pub(super) fn split(line: &str) -> std::result::Result<Vec<Word>, &'static str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with(';') {
        if let Some(inner) = rest.strip_prefix('"') {
            let (bytes, len) = unquote(inner)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            words.push(Word { text, bytes, quoted: true });
            rest = inner[len..].trim_start();
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == ';').unwrap_or(rest.len());
            let text = rest[..end].to_owned();
            words.push(Word { bytes: text.clone().into_bytes(), text, quoted: false });
            rest = rest[end..].trim_start();
        }
    }
    // Names end at a NUL in every format; only a section's text may hold one.
    let data = words.first().is_some_and(|word| word.text == "text" && !word.quoted);
    if !data && words.iter().any(|word| word.bytes.contains(&0)) {
        return Err("a name has a NUL");
    }
    Ok(words)
}

/// The bytes up to the closing quote, and how much of the text that was, quote included.
fn unquote(text: &str) -> std::result::Result<(Vec<u8>, usize), &'static str> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((bytes, at + 1)),
            '\\' => {
                let (at, escape) = chars.next().ok_or("a quote is not closed")?;
                match escape {
                    'n' => bytes.push(b'\n'),
                    't' => bytes.push(b'\t'),
                    'r' => bytes.push(b'\r'),
                    '0' => bytes.push(0),
                    'x' => {
                        let hex = text.get(at + 1..at + 3).ok_or("\\x takes two digits")?;
                        bytes
                            .push(u8::from_str_radix(hex, 16).map_err(|_| "\\x takes two digits")?);
                        chars.nth(1);
                    }
                    'u' => {
                        let rest = text[at + 1..].strip_prefix('{').ok_or("\\u takes {HEX}")?;
                        let end = rest.find('}').ok_or("\\u takes {HEX}")?;
                        let code = u32::from_str_radix(&rest[..end], 16).ok();
                        let c = code.and_then(char::from_u32).ok_or("\\u takes {HEX}")?;
                        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        chars.nth(rest[..end].chars().count() + 1);
                    }
                    other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err("a quote is not closed")
}
