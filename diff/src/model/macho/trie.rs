//! The export trie: bytes → what each name is, and what looking one up gives.
//!
//! It must not know what the names are for.
//!
//! Spec: `mach-o/loader.h`, EXPORT_SYMBOL_FLAGS_*; dyld walks it as [`lookup`] does.

use super::leb::Reader;

/// EXPORT_SYMBOL_FLAGS_KIND_THREAD_LOCAL.
pub(crate) const THREAD_LOCAL: u64 = 1;
/// EXPORT_SYMBOL_FLAGS_KIND_ABSOLUTE.
pub(crate) const ABSOLUTE: u64 = 2;
/// EXPORT_SYMBOL_FLAGS_WEAK_DEFINITION.
pub(crate) const WEAK: u64 = 4;
/// EXPORT_SYMBOL_FLAGS_REEXPORT.
pub(crate) const REEXPORT: u64 = 8;
/// EXPORT_SYMBOL_FLAGS_STUB_AND_RESOLVER.
pub(crate) const RESOLVER: u64 = 0x10;

/// What a name is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Export {
    /// EXPORT_SYMBOL_FLAGS_*.
    pub(crate) flags: u64,
    /// The offset from the image's start, the number of an absolute symbol, or the ordinal of a library.
    pub(crate) value: u64,
    /// The name it has in that library, if it is another one.
    pub(crate) other: String,
}

impl Export {
    /// The low bits: regular, thread-local or absolute.
    pub(crate) fn kind(&self) -> u64 {
        self.flags & 3
    }
}

/// How deep names may be nested, and how many nodes there may be: a damaged trie can go in circles.
const DEEPEST: usize = 512;
const MOST: usize = 1 << 20;

/// Every name, in the trie's order; none if it is damaged.
pub(crate) fn entries(trie: &[u8]) -> Option<Vec<(String, Export)>> {
    let mut list = Vec::new();
    if trie.is_empty() {
        return Some(list);
    }
    let mut budget = MOST;
    let mut waiting = vec![(0_u64, Vec::<u8>::new(), 0_usize)];
    while let Some((at, name, depth)) = waiting.pop() {
        budget = budget.checked_sub(1)?;
        if depth > DEEPEST {
            return None;
        }
        let (export, children) = node(trie, at)?;
        if let Some(export) = export {
            list.push((String::from_utf8_lossy(&name).into_owned(), export));
        }
        for (edge, child) in children.into_iter().rev() {
            waiting.push((child, [&name[..], edge].concat(), depth + 1));
        }
    }
    Some(list)
}

/// What dyld finds for `name`: it follows the first edge that is a prefix of what is left.
pub(crate) fn lookup(trie: &[u8], name: &str) -> Option<Export> {
    let mut rest = name.as_bytes();
    let mut at = 0;
    for _ in 0..=name.len() {
        if trie.is_empty() {
            return None;
        }
        let (export, children) = node(trie, at)?;
        if rest.is_empty() {
            return export;
        }
        let (edge, child) = children.into_iter().find(|(edge, _)| rest.starts_with(edge))?;
        if edge.is_empty() {
            return None;
        }
        rest = &rest[edge.len()..];
        at = child;
    }
    None
}

/// A node: its name's export, and its edges.
type Node<'a> = (Option<Export>, Vec<(&'a [u8], u64)>);

fn node(trie: &[u8], at: u64) -> Option<Node<'_>> {
    let mut reader = Reader::at(trie, at)?;
    let size = reader.uleb()?;
    let start = reader.position();
    let mut export = None;
    if size > 0 {
        let flags = reader.uleb()?;
        let value = reader.uleb()?;
        let mut other = String::new();
        if flags & REEXPORT != 0 {
            other = String::from_utf8_lossy(reader.cstr()?).into_owned();
        } else if flags & RESOLVER != 0 {
            reader.uleb()?;
        }
        if reader.position() > start.checked_add(size)? {
            return None;
        }
        export = Some(Export { flags, value, other });
    }
    let mut reader = Reader::at(trie, start.checked_add(size)?)?;
    let count = reader.byte()?;
    let mut children = Vec::with_capacity(count.into());
    for _ in 0..count {
        let edge = reader.cstr()?;
        let child = reader.uleb()?;
        // 0 is the root.
        if child == 0 {
            return None;
        }
        children.push((edge, child));
    }
    Some((export, children))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `_a` regular at 0x10, `_ab` weak at 0x20, `_t` absolute 7.
    const TRIE: &[u8] = &[
        0, 1, b'_', 0, 5, // root: `_` → 5
        0, 2, b'a', 0, 13, b't', 0, 22, // `_`: `a` → 13, `t` → 22
        2, 0, 0x10, 1, b'b', 0, 27, 0, 0, // `_a`: regular 0x10; `b` → 27
        2, 2, 7, 0, 0, // `_t`
        2, 4, 0x20, 0, // `_ab`
    ];

    #[test]
    fn names_are_listed_and_found() {
        let names: Vec<_> = entries(TRIE).unwrap();
        let plain: Vec<_> =
            names.iter().map(|(name, e)| (name.as_str(), e.flags, e.value)).collect();
        assert_eq!(plain, [("_a", 0, 0x10), ("_ab", WEAK, 0x20), ("_t", ABSOLUTE, 7)]);
        for (name, export) in &names {
            assert_eq!(lookup(TRIE, name).as_ref(), Some(export), "{name}");
        }
        for name in ["", "_", "_b", "_abc", "_aa", "a"] {
            assert_eq!(lookup(TRIE, name), None, "{name}");
        }
        assert_eq!(entries(&[]), Some(Vec::new()));
        assert_eq!(lookup(&[], "_a"), None);
    }

    #[test]
    fn damaged_tries_end() {
        for at in 0..TRIE.len() {
            for byte in 0..=255 {
                let mut trie = TRIE.to_vec();
                trie[at] = byte;
                let _ = (entries(&trie), lookup(&trie, "_ab"));
            }
            assert_eq!(lookup(&TRIE[..at], "_ab"), None);
        }
        // A node that is its own child.
        assert_eq!(entries(&[0, 0, 0, 1, b'x', 0, 2]), Some(Vec::new()));
        assert_eq!(entries(&[0, 1, b'x', 0, 5, 0, 1, b'y', 0, 5]), None);
    }
}
