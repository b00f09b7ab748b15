//! The part of YAML that text stubs use: block mappings and sequences by indentation, flow sequences
//! over any number of lines, plain and quoted scalars, documents. Must not know what stubs say.

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A scalar, unquoted.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Map(map) => map.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The items of a sequence; none of anything else.
    pub fn items(&self) -> &[Node] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    /// A scalar's text; nothing of anything else.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }
}

/// Deepest nesting.
const DEPTH: usize = 16;

/// Lines of text with their indentation.
struct Reader<'a> {
    lines: Vec<(usize, &'a str, usize)>,
    at: usize,
}

/// The documents of `text`, or the line that is wrong and why.
pub fn parse(text: &str) -> Result<Vec<Node>, (usize, &'static str)> {
    let mut documents = Vec::new();
    let mut lines = Vec::new();
    let flush = |lines: &mut Vec<_>, documents: &mut Vec<_>| {
        let mut reader = Reader { lines: std::mem::take(lines), at: 0 };
        if !reader.lines.is_empty() {
            documents.push(reader.block(0, 0)?);
            if let Some(&(_, _, number)) = reader.lines.get(reader.at) {
                return Err((number, "unexpected indentation"));
            }
        }
        Ok(())
    };
    for (i, line) in text.lines().enumerate() {
        if line.starts_with("---") || line.starts_with("...") {
            flush(&mut lines, &mut documents)?;
            continue;
        }
        let content = line.trim_start_matches(' ');
        if !content.trim_end().is_empty() && !content.starts_with('#') {
            lines.push((line.len() - content.len(), content.trim_end(), i + 1));
        }
    }
    flush(&mut lines, &mut documents)?;
    Ok(documents)
}

type Parsed<T> = Result<T, (usize, &'static str)>;

impl Reader<'_> {
    /// The block that starts at the current line, indented by at least `indent`.
    fn block(&mut self, indent: usize, depth: usize) -> Parsed<Node> {
        let Some(&(mine, text, number)) = self.lines.get(self.at) else {
            return Ok(Node::Text(String::new()));
        };
        if depth > DEPTH {
            return Err((number, "nested too deeply"));
        }
        if mine < indent {
            return Ok(Node::Text(String::new()));
        }
        match text.starts_with("- ") || text == "-" {
            true => self.list(mine, depth),
            false => self.map(mine, depth),
        }
    }

    fn list(&mut self, indent: usize, depth: usize) -> Parsed<Node> {
        let mut list = Vec::new();
        while let Some(&(mine, text, number)) = self.lines.get(self.at) {
            let Some(rest) = text.strip_prefix('-').filter(|_| mine == indent) else { break };
            let item = rest.trim_start_matches(' ');
            if item.is_empty() {
                self.at += 1;
                list.push(self.block(indent + 1, depth + 1)?);
            } else if key(item).is_some() {
                // The item's mapping starts on the dash's line, indented by where its first key is.
                let inner = mine + (text.len() - item.len());
                self.lines[self.at] = (inner, item, number);
                list.push(self.block(inner, depth + 1)?);
            } else {
                list.push(self.value(item)?);
            }
        }
        Ok(Node::List(list))
    }

    fn map(&mut self, indent: usize, depth: usize) -> Parsed<Node> {
        let mut map = Vec::new();
        while let Some(&(mine, text, number)) = self.lines.get(self.at) {
            if mine != indent || text.starts_with("- ") {
                break;
            }
            let Some((name, rest)) = key(text) else { return Err((number, "no `key: value`")) };
            let value = if rest.is_empty() {
                self.at += 1;
                // A sequence may stand as far left as its key.
                let dash = self.lines.get(self.at).is_some_and(|l| l.1.starts_with('-'));
                self.block(indent + usize::from(!dash), depth + 1)?
            } else {
                self.value(rest)?
            };
            map.push((name.to_owned(), value));
        }
        Ok(Node::Map(map))
    }

    /// A scalar or a flow sequence, which may go on over the next lines; the reader moves behind it.
    fn value(&mut self, text: &str) -> Parsed<Node> {
        let number = self.lines[self.at].2;
        self.at += 1;
        let Some(mut rest) = text.strip_prefix('[') else {
            let (text, _) = unquote(text).ok_or((number, NO_QUOTE))?;
            return Ok(Node::Text(text));
        };
        let mut list = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', ',']);
            if rest.is_empty() {
                let Some(&(_, line, _)) = self.lines.get(self.at) else {
                    return Err((number, "a list has no end"));
                };
                self.at += 1;
                rest = line;
            } else if rest.starts_with(']') {
                return Ok(Node::List(list));
            } else {
                let (item, len) = unquote(rest).ok_or((number, NO_QUOTE))?;
                list.push(Node::Text(item));
                rest = &rest[len..];
            }
        }
    }
}

/// `key: rest`, if that is what `text` is.
fn key(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(':')?;
    let plain = !name.starts_with(['[', '\'', '"', '{']);
    (plain && (rest.is_empty() || rest.starts_with(' '))).then(|| (name.trim(), rest.trim()))
}

/// What is wrong with a scalar that a line doesn't end.
const NO_QUOTE: &str = "a quoted text has no end";

/// The scalar at the head of `text`, without quotes, and the bytes it took; none if its quote isn't closed.
fn unquote(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let len = text.find([',', ']']).unwrap_or(text.len());
        let len = text[..len].find(" #").unwrap_or(len);
        return Some((text[..len].trim_end().to_owned(), len));
    };
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if quote == '\'' && chars.next_if(|next| next.1 == '\'').is_some() {
                out.push('\'');
                continue;
            }
            return Some((out, at + 1));
        }
        match c {
            '\\' if quote == '"' => out.extend(chars.next().map(|next| next.1)),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_are_read() {
        let text = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ a, 'b''c',\n  \"d e\" ]\nexports:\n  - \
                    targets: [ x ]\n    symbols: [ _f,\n               '$g' ]\n  - targets:\n    - y\n\
                    --- !tapi-tbd\nname: z\n...\n";
        let documents = parse(text).unwrap();
        assert_eq!(documents.len(), 2);
        let text = |nodes: &[Node]| nodes.iter().map(|n| n.text().to_owned()).collect::<Vec<_>>();
        assert_eq!(text(documents[0].get("targets").unwrap().items()), ["a", "b'c", "d e"]);
        let exports = documents[0].get("exports").unwrap().items();
        assert_eq!(text(exports[0].get("symbols").unwrap().items()), ["_f", "$g"]);
        assert_eq!(text(exports[1].get("targets").unwrap().items()), ["y"]);
        assert_eq!(documents[1].get("name").unwrap().text(), "z");
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        assert_eq!(parse("a: [ b,\n c"), Err((1, "a list has no end")));
        assert!(parse("a:\n  b: c\n d: e").is_err());
    }
}
