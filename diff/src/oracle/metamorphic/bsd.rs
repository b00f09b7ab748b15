//! An object → a BSD archive with it as the only member, as darwin's linkers read them.
//!
//! It must not know what is in the member beyond the names it is given.
//!
//! Spec: `ar(5)`, `mach-o/ranlib.h`.

/// Bytes of a member's header.
const HEADER: usize = 60;

/// The archive: `names` are those that the member defines.
pub(super) fn archive(name: &str, bytes: &[u8], names: &[Vec<u8>]) -> Vec<u8> {
    let mut strings = Vec::new();
    let mut offsets = Vec::new();
    for name in names {
        offsets.push(strings.len() as u32);
        strings.extend_from_slice(name);
        strings.push(0);
    }
    strings.resize(strings.len().next_multiple_of(8), 0);
    // `#1/16`, and then so many bytes of name.
    let index_len = 16 + 4 + 8 * names.len() + 4 + strings.len();
    let member_at = (8 + HEADER + index_len).next_multiple_of(2) as u32;
    let mut index = (8 * names.len() as u32).to_le_bytes().to_vec();
    for offset in offsets {
        index.extend(offset.to_le_bytes());
        index.extend(member_at.to_le_bytes());
    }
    index.extend((strings.len() as u32).to_le_bytes());
    index.extend(strings);
    let mut out = b"!<arch>\n".to_vec();
    append(&mut out, b"__.SYMDEF", 16, &index);
    let start = out.len() + HEADER;
    append(&mut out, name.as_bytes(), (start + name.len()).next_multiple_of(8) - start, bytes);
    out
}

fn append(out: &mut Vec<u8>, name: &[u8], room: usize, bytes: &[u8]) {
    let (head, size) = (format!("#1/{room}"), room + bytes.len());
    let text = format!("{head:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    out.extend_from_slice(text.as_bytes());
    let end = out.len() + room;
    out.extend_from_slice(name);
    out.resize(end, 0);
    out.extend_from_slice(bytes);
    if !out.len().is_multiple_of(2) {
        out.push(b'\n');
    }
}
