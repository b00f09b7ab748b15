//! Archive → the bytes of a BSD archive with its symbol index.
//!
//! Names are in front of the contents, padded so that every member's bytes start at a multiple of 8, as
//! `libtool` and `llvm-ar` do it. There are no thin ones. It must not know what is in the members beyond the
//! names they define.

use crate::case::{Archive, Binding, Definition, Object};
use crate::emit::bytes::Bytes;

/// Bytes of a member's header.
const HEADER: usize = 60;
const INDEX: &str = "__.SYMDEF";

/// The bytes of `archive`, whose members' bytes are `members`.
pub(super) fn archive(archive: &Archive, members: &[Vec<u8>]) -> Vec<u8> {
    let names = archive.members.iter().enumerate();
    let names: Vec<(usize, &str)> =
        names.flat_map(|(i, member)| defined(member).map(move |name| (i, name))).collect();
    let mut strings = Bytes::default();
    let offsets: Vec<u32> = names.iter().map(|(_, name)| strings.string(name)).collect();
    strings.align(8);
    let index_len = 4 + 8 * names.len() + 4 + strings.0.len();

    let mut at = 8;
    let mut starts = Vec::new();
    at = end_of(at, INDEX, index_len);
    for (member, bytes) in archive.members.iter().zip(members) {
        starts.push(at as u32);
        at = end_of(at, &member.name, bytes.len());
    }

    let mut index = Bytes::default();
    index.u32(8 * names.len() as u32);
    for ((member, _), offset) in names.iter().zip(&offsets) {
        index.u32(*offset);
        index.u32(starts.get(*member).copied().unwrap_or(0));
    }
    index.u32(strings.0.len() as u32);
    index.0.extend_from_slice(&strings.0);

    let mut out = b"!<arch>\n".to_vec();
    append(&mut out, INDEX, &index.0);
    for (member, bytes) in archive.members.iter().zip(members) {
        append(&mut out, &member.name, bytes);
    }
    out
}

/// How many bytes the name of a member at `at` takes.
fn name_len(at: usize, name: &str) -> usize {
    let start = at + HEADER;
    (start + name.len()).next_multiple_of(8) - start
}

fn end_of(at: usize, name: &str, len: usize) -> usize {
    (at + HEADER + name_len(at, name) + len).next_multiple_of(2)
}

fn append(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let len = name_len(out.len(), name);
    let (head, size) = (format!("#1/{len}"), len + bytes.len());
    let header = format!("{head:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    out.extend_from_slice(header.as_bytes());
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    out.resize(start + len, 0);
    out.extend_from_slice(bytes);
    if out.len() % 2 == 1 {
        out.push(b'\n');
    }
}

/// The names that the index lists. Commons are in it, as `libtool -c` has them.
fn defined(object: &Object) -> impl Iterator<Item = &str> {
    object
        .symbols
        .iter()
        .filter(|s| s.binding != Binding::Local && s.definition != Definition::Undefined)
        .map(|symbol| symbol.name.as_str())
}
