//! Archive → the bytes of a System V archive with a symbol index, thin or not.
//!
//! It must not know what is in the members beyond the names they define.

use crate::case::{Archive, Binding, Definition, Object};

/// The bytes of `archive`, whose members' bytes are `members`.
///
/// Member names go through the long-name table when thin (as GNU ar does), or over 15 bytes.
pub fn archive(archive: &Archive, members: &[Vec<u8>]) -> Vec<u8> {
    let mut long_names = Vec::new();
    let names: Vec<String> = archive
        .members
        .iter()
        .map(|member| {
            if !archive.thin && member.name.len() < 16 {
                return format!("{}/", member.name);
            }
            let at = long_names.len();
            long_names.extend_from_slice(member.name.as_bytes());
            long_names.extend_from_slice(b"/\n");
            format!("/{at}")
        })
        .collect();
    let index: Vec<(usize, &str)> = archive
        .members
        .iter()
        .enumerate()
        .flat_map(|(i, member)| defined(member).map(move |name| (i, name)))
        .collect();
    let strings: usize = index.iter().map(|(_, name)| name.len() + 1).sum();
    let index_size = 4 + 4 * index.len() + strings;

    let mut offset = 8 + 60 + even(index_size);
    if !long_names.is_empty() {
        offset += 60 + even(long_names.len());
    }
    let mut offsets = Vec::with_capacity(members.len());
    for bytes in members {
        offsets.push(offset as u32);
        offset += 60 + if archive.thin { 0 } else { even(bytes.len()) };
    }

    let mut out = Vec::with_capacity(offset);
    out.extend_from_slice(if archive.thin { b"!<thin>\n" } else { b"!<arch>\n" });
    header(&mut out, "/", index_size);
    out.extend_from_slice(&(index.len() as u32).to_be_bytes());
    for (member, _) in &index {
        out.extend_from_slice(&offsets[*member].to_be_bytes());
    }
    for (_, name) in &index {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
    }
    pad(&mut out);
    if !long_names.is_empty() {
        header(&mut out, "//", long_names.len());
        out.extend_from_slice(&long_names);
        pad(&mut out);
    }
    for (name, bytes) in names.iter().zip(members) {
        header(&mut out, name, bytes.len());
        if !archive.thin {
            out.extend_from_slice(bytes);
            pad(&mut out);
        }
    }
    out
}

/// The names that the index lists: what the member defines for others, commons included.
fn defined(object: &Object) -> impl Iterator<Item = &str> {
    object
        .symbols
        .iter()
        .filter(|s| s.binding != Binding::Local && s.definition != Definition::Undefined)
        .map(|symbol| symbol.name.as_str())
}

fn header(out: &mut Vec<u8>, name: &str, size: usize) {
    out.extend_from_slice(
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).as_bytes(),
    );
}

fn even(len: usize) -> usize {
    len.next_multiple_of(2)
}

fn pad(out: &mut Vec<u8>) {
    if out.len() % 2 == 1 {
        out.push(b'\n');
    }
}
