//! The export trie: names with what they stand for ↔ bytes. Must not know of images.

use super::read::{Bytes, Read, bad};
use super::{pad, put_uleb, uleb_len};

/// One exported name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export<'a> {
    /// With its underscore.
    pub name: &'a [u8],
    /// Kind (0 regular, 1 thread-local, 2 absolute) and bits: 4 weak, 8 from another library.
    pub flags: u64,
    /// Offset from the image's base, a value, or a library's ordinal.
    pub value: u64,
}

/// Bit of [`Export::flags`]: a weak definition.
pub const WEAK: u64 = 4;
/// Bit of [`Export::flags`]: from another library.
pub const REEXPORT: u64 = 8;

/// Node of the tree while it is laid out.
#[derive(Default)]
struct Node {
    /// Flags and value.
    leaf: Option<(u64, u64)>,
    /// Range of the name on the edge: (export, from, to), and the node behind it.
    edges: Vec<(usize, usize, usize, usize)>,
    offset: usize,
}

impl Node {
    fn leaf_len(&self) -> usize {
        self.leaf.map_or(0, |(flags, value)| {
            uleb_len(flags) + uleb_len(value) + usize::from(flags & REEXPORT != 0)
        })
    }

    fn len(&self, nodes: &[Node]) -> usize {
        let leaf = self.leaf_len();
        let edge = |&(_, from, to, node): &(usize, usize, usize, usize)| {
            to - from + 1 + uleb_len(nodes[node].offset as u64)
        };
        uleb_len(leaf as u64) + leaf + 1 + self.edges.iter().map(edge).sum::<usize>()
    }
}

/// The trie of `exports`, sorted by name, each once.
pub fn build(exports: &[Export<'_>]) -> Vec<u8> {
    let mut nodes = vec![Node::default()];
    grow(exports, &mut nodes);
    // An offset's length depends on the offsets: they only grow, so this ends.
    loop {
        let mut offset = 0;
        let mut moved = false;
        for at in 0..nodes.len() {
            moved |= nodes[at].offset != offset;
            nodes[at].offset = offset;
            offset += nodes[at].len(&nodes);
        }
        if !moved {
            break;
        }
    }
    let mut out = Vec::new();
    for node in &nodes {
        put_uleb(&mut out, node.leaf_len() as u64);
        if let Some((flags, value)) = node.leaf {
            put_uleb(&mut out, flags);
            put_uleb(&mut out, value);
            if flags & REEXPORT != 0 {
                out.push(0);
            }
        }
        out.push(node.edges.len() as u8);
        for &(export, from, to, child) in &node.edges {
            out.extend(&exports[export].name[from..to]);
            out.push(0);
            put_uleb(&mut out, nodes[child].offset as u64);
        }
    }
    pad(&mut out, 8);
    out
}

/// Splits runs of sorted names at the first byte they differ in; names have no NUL, so a node has at
/// most 255 edges. A list of work, no recursion: names may be long.
fn grow(exports: &[Export<'_>], nodes: &mut Vec<Node>) {
    let mut work = vec![(0, exports.len(), 0, 0)];
    while let Some((mut first, end, depth, node)) = work.pop() {
        if first < end && exports[first].name.len() == depth {
            nodes[node].leaf = Some((exports[first].flags, exports[first].value));
            first += 1;
        }
        while first < end {
            let (start, byte) = (first, exports[first].name[depth]);
            let run = exports[start..end].partition_point(|export| export.name[depth] == byte);
            first = start + run;
            let (a, b) = (exports[start].name, exports[first - 1].name);
            let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
            let child = nodes.len();
            nodes.push(Node::default());
            nodes[node].edges.push((start, depth, shared, child));
            work.push((start, first, shared, child));
        }
    }
}

/// Calls `found` with the name and flags of every export of `trie`.
pub fn walk(trie: &[u8], found: &mut dyn FnMut(Vec<u8>, u64)) -> Read<()> {
    if trie.is_empty() {
        return Ok(());
    }
    let bytes = Bytes(trie);
    let mut work = vec![(0usize, Vec::new())];
    let mut visits = 0;
    while let Some((node, name)) = work.pop() {
        visits += 1;
        if visits > trie.len() {
            return bad(node, "the export trie has a loop");
        }
        let mut at = node;
        let leaf = bytes.uleb(&mut at)? as usize;
        if leaf > 0 {
            let flags = bytes.uleb(&mut at.clone())?;
            found(name.clone(), flags);
        }
        at = at.saturating_add(leaf);
        let edges = bytes.u8(at)?;
        at += 1;
        for _ in 0..edges {
            let edge = bytes.cstr(at)?;
            at += edge.len() + 1;
            let child = bytes.uleb(&mut at)? as usize;
            if name.len() + edge.len() > 1 << 16 {
                return bad(node, "a name in the export trie is too long");
            }
            work.push((child, [&name, edge].concat()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let names: Vec<Vec<u8>> =
            (0..500).map(|i| format!("_n{:x}", i * 7919 % 4096).into_bytes()).collect();
        let mut exports: Vec<_> = names
            .iter()
            .map(|name| Export { name, flags: 0, value: name.len() as u64 * 999 })
            .collect();
        exports.push(Export { name: b"_", flags: WEAK, value: 3 });
        exports.sort_by_key(|export| export.name);
        exports.dedup_by_key(|export| export.name);
        let trie = build(&exports);
        let mut seen = Vec::new();
        walk(&trie, &mut |name, flags| seen.push((name, flags))).unwrap();
        seen.sort();
        let wanted: Vec<_> = exports.iter().map(|e| (e.name.to_vec(), e.flags)).collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn loops_end() {
        // A node whose only edge leads to itself.
        assert!(walk(&[0, 1, b'a', 0, 0], &mut |_, _| {}).is_err());
    }
}
