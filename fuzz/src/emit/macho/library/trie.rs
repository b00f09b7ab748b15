//! Names with addresses → the bytes of an export trie.
//!
//! Spec: `mach-o/loader.h` at dyld_info_command, "the exported symbols".

/// One name.
pub(super) struct Export<'a> {
    pub(super) name: &'a str,
    /// EXPORT_SYMBOL_FLAGS_*.
    pub(super) flags: u64,
    /// From the image's base, or the number itself of an absolute one.
    pub(super) value: u64,
}

/// Appends an unsigned LEB128 number.
pub(super) fn uleb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[derive(Default)]
struct Node {
    terminal: Vec<u8>,
    edges: Vec<(Vec<u8>, usize)>,
}

/// The trie of `exports`; of two with one name the first counts. None are no bytes.
pub(super) fn trie(mut exports: Vec<Export<'_>>) -> Vec<u8> {
    exports.sort_by(|a, b| a.name.cmp(b.name));
    exports.dedup_by(|b, a| a.name == b.name);
    if exports.is_empty() {
        return Vec::new();
    }
    let mut nodes = Vec::new();
    build(&exports, 0, &mut nodes);
    // Offsets are numbers of any length, so where a node is depends on where the others are.
    let mut offsets = vec![0; nodes.len()];
    loop {
        let mut out = Vec::new();
        let mut now = Vec::with_capacity(nodes.len());
        for node in &nodes {
            now.push(out.len() as u64);
            write(node, &offsets, &mut out);
        }
        if now == offsets {
            return out;
        }
        offsets = now;
    }
}

/// Adds the node of the names that share their first `depth` bytes, and those below; gives its index.
fn build(exports: &[Export<'_>], depth: usize, nodes: &mut Vec<Node>) -> usize {
    let index = nodes.len();
    nodes.push(Node::default());
    let mut rest = exports;
    if let Some((first, others)) = rest.split_first()
        && first.name.len() == depth
    {
        let terminal = &mut nodes[index].terminal;
        uleb(terminal, first.flags);
        uleb(terminal, first.value);
        rest = others;
    }
    while let Some(first) = rest.first() {
        let name = first.name.as_bytes();
        let same = rest.iter().take_while(|e| e.name.as_bytes()[depth] == name[depth]).count();
        let (group, others) = rest.split_at(same);
        let last = group[same - 1].name.as_bytes();
        let shared = name.iter().zip(last).take_while(|(a, b)| a == b).count();
        let child = build(group, shared, nodes);
        nodes[index].edges.push((name[depth..shared].to_vec(), child));
        rest = others;
    }
    index
}

fn write(node: &Node, offsets: &[u64], out: &mut Vec<u8>) {
    uleb(out, node.terminal.len() as u64);
    out.extend_from_slice(&node.terminal);
    out.push(node.edges.len() as u8);
    for (label, child) in &node.edges {
        out.extend_from_slice(label);
        out.push(0);
        uleb(out, offsets[*child]);
    }
}
