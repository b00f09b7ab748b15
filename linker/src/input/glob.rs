//! Globs of scripts → a form that matches a name in one pass. Compiled once, asked for every symbol.
//!
//! Both texts may be an attacker's, so no part of a glob is looked at again and again: plain text
//! between stars is searched for as such, the rest by sets of states. It must not know what a match means.

/// One byte of a name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum One {
    Any,
    Byte(u8),
    /// A bit for each byte.
    Class(Box<[u64; 4]>),
}

impl One {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Byte(wanted) => *wanted == byte,
            Self::Class(set) => set[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0,
        }
    }
}

/// So many parts are tried at each place; more are looked for all at once.
const FEW: usize = 8;

/// What stands between two stars.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Run {
    parts: Vec<One>,
    /// The same as text, if it is nothing else.
    plain: Option<Vec<u8>>,
}

impl Run {
    fn new(parts: Vec<One>) -> Self {
        let byte = |part: &One| match part {
            One::Byte(byte) => Some(*byte),
            _ => None,
        };
        let plain = parts.iter().map(byte).collect();
        Self { parts, plain }
    }

    /// Whether it matches all of `name`.
    fn is(&self, name: &[u8]) -> bool {
        self.parts.len() == name.len() && self.parts.iter().zip(name).all(|(p, &b)| p.matches(b))
    }

    /// Where its first match in `name` ends.
    fn find(&self, name: &[u8]) -> Option<usize> {
        match &self.plain {
            Some(text) => Some(memchr::memmem::find(name, text)? + text.len()),
            None if self.parts.len() <= FEW => {
                let mut windows = name.windows(self.parts.len());
                Some(windows.position(|part| self.is(part))? + self.parts.len())
            }
            None => self.search(name),
        }
    }

    /// The same for what is not plain: bit i says that i+1 parts match what ends here (shift-and).
    fn search(&self, name: &[u8]) -> Option<usize> {
        let last = self.parts.len().checked_sub(1)?;
        let words = self.parts.len().div_ceil(64);
        let mut states = vec![0_u64; words];
        let mut masks: Vec<Option<Vec<u64>>> = vec![None; 256];
        for (at, &byte) in name.iter().enumerate() {
            let mask = masks[usize::from(byte)].get_or_insert_with(|| self.mask(byte, words));
            let mut carry = 1;
            for (state, mask) in states.iter_mut().zip(mask) {
                let next = *state >> 63;
                *state = (*state << 1 | carry) & *mask;
                carry = next;
            }
            if states[last / 64] >> (last % 64) & 1 != 0 {
                return Some(at + 1);
            }
        }
        None
    }

    /// Which parts match `byte`.
    fn mask(&self, byte: u8, words: usize) -> Vec<u64> {
        let mut mask = vec![0; words];
        for (at, _) in self.parts.iter().enumerate().filter(|(_, part)| part.matches(byte)) {
            mask[at / 64] |= 1 << (at % 64);
        }
        mask
    }
}

/// A compiled glob.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Glob {
    /// Before the first star; all of it without one.
    first: Run,
    /// Between stars.
    middle: Vec<Run>,
    /// After the last star.
    last: Option<Run>,
}

impl Glob {
    /// Reads `text`: `*`, `?`, `[…]`, and a backslash that takes the next character as it is.
    ///
    /// Errors: what is wrong, for people. lld refuses the same; GNU ld takes such a bracket as it is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let (mut runs, mut parts, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'*' => runs.push(Run::new(std::mem::take(&mut parts))),
                b'?' => parts.push(One::Any),
                b'\\' if at < bytes.len() => {
                    parts.push(One::Byte(bytes[at]));
                    at += 1;
                }
                b'[' => {
                    let (len, set) =
                        class(&bytes[at..]).map_err(|what| format!("glob `{text}`: {what}"))?;
                    parts.push(One::Class(Box::new(set)));
                    at += len;
                }
                byte => parts.push(One::Byte(byte)),
            }
        }
        let end = Run::new(parts);
        if runs.is_empty() {
            return Ok(Self { first: end, middle: runs, last: None });
        }
        let first = runs.remove(0);
        runs.retain(|run| !run.parts.is_empty());
        Ok(Self { first, middle: runs, last: Some(end) })
    }

    /// Whether it is `*`.
    pub(super) fn is_star(&self) -> bool {
        let last = self.last.as_ref().is_some_and(|run| run.parts.is_empty());
        last && self.middle.is_empty() && self.first.parts.is_empty()
    }

    /// Whether it matches all of `name`.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let Some(last) = &self.last else { return self.first.is(name) };
        let Some((head, rest)) = name.split_at_checked(self.first.parts.len()) else {
            return false;
        };
        let Some(end) = rest.len().checked_sub(last.parts.len()) else { return false };
        if !self.first.is(head) || !last.is(&rest[end..]) {
            return false;
        }
        let mut rest = &rest[..end];
        // The first match of each leaves the most for the next.
        self.middle.iter().all(|run| {
            let found = run.find(rest);
            rest = &rest[found.unwrap_or(0)..];
            found.is_some()
        })
    }
}

/// Reads a class behind its `[`: its length with the `]`, and its bytes.
fn class(text: &[u8]) -> Result<(usize, [u64; 4]), &'static str> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let (mut at, mut set) = (start, [0_u64; 4]);
    loop {
        let low = match text.get(at) {
            None => return Err("`[` has no `]`"),
            Some(b']') if at > start => break,
            Some(&low) => low,
        };
        let high = match (text.get(at + 1), text.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                at += 2;
                high
            }
            _ => low,
        };
        if high < low {
            return Err("a range ends before it starts");
        }
        for byte in low..=high {
            set[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        at += 1;
    }
    if negated {
        set = set.map(|word| !word);
    }
    Ok((at + 1, set))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: every way to split the name.
    fn slow(parts: &[(bool, Option<One>)], name: &[u8]) -> bool {
        match parts.split_first() {
            None => name.is_empty(),
            Some(((true, _), rest)) => (0..=name.len()).any(|n| slow(rest, &name[n..])),
            Some(((_, one), rest)) => {
                let one = one.as_ref().expect("no star");
                name.split_first().is_some_and(|(&b, name)| one.matches(b) && slow(rest, name))
            }
        }
    }

    #[test]
    fn every_short_glob_matches_what_its_definition_says() {
        let ab = One::Class(Box::new([0, 1 << (b'a' - 64) | 1 << (b'b' - 64), 0, 0]));
        let all = [
            ("*", (true, None)),
            ("?", (false, Some(One::Any))),
            ("a", (false, Some(One::Byte(b'a')))),
            ("[ab]", (false, Some(ab))),
        ];
        let names: Vec<Vec<u8>> = (0..5_u32)
            .flat_map(|len| (0..3_usize.pow(len)).map(move |n| (len, n)))
            .map(|(len, n)| (0..len).map(|i| b"abc"[n / 3_usize.pow(i) % 3]).collect())
            .collect();
        for n in 0..4_usize.pow(4) {
            let picked: Vec<_> = (0..4).map(|i| &all[n / 4_usize.pow(i) % 4]).collect();
            let text: String = picked.iter().map(|p| p.0).collect();
            let parts: Vec<_> = picked.iter().map(|p| p.1.clone()).collect();
            let glob = Glob::parse(&text).unwrap();
            for name in &names {
                let wanted = slow(&parts, name);
                assert_eq!(glob.matches(name), wanted, "{text} {}", name.escape_ascii());
            }
        }
    }

    #[test]
    fn long_runs_cross_words() {
        let glob = Glob::parse(&format!("*{}?[x]*", "a".repeat(150))).unwrap();
        let name = |n: usize, tail: &str| [&b"a".repeat(n), tail.as_bytes()].concat();
        assert!(glob.matches(&name(151, "x")));
        assert!(glob.matches(&name(500, "bxy")));
        assert!(!glob.matches(&name(150, "x")));
        assert!(!glob.matches(&name(500, "bb")));
    }

    /// Where a pass over pattern × pattern × name would never end.
    #[test]
    fn hostile_globs_end() {
        let name = b"a".repeat(1 << 17);
        for text in ["a*".repeat(1 << 16), "*".to_owned() + &"a".repeat(1 << 13) + "b?*"] {
            let wanted = !text.contains('b');
            assert_eq!(Glob::parse(&text).unwrap().matches(&name), wanted);
        }
        assert!(Glob::parse(&"[".repeat(1 << 17)).is_err());
    }

    #[test]
    fn brackets_have_ends() {
        for text in ["a[", "[]", "[!]", "x[a-", "*[a*", "[z-a]"] {
            assert!(Glob::parse(text).is_err(), "{text}");
        }
        for text in ["]", "[]]", "[!a]", "[^]a]", "*[*]", "[a-]", r"\[", r"a\"] {
            assert!(Glob::parse(text).is_ok(), "{text}");
        }
    }
}
