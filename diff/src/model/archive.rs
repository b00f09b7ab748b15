//! An archive's bytes → its members: GNU, BSD and thin.
//!
//! It must not know what members are.

use crate::bytes::slice;
use crate::{File, Request};

/// How an archive starts.
pub(crate) const MAGIC: &[u8] = b"!<arch>\n";

/// How an archive starts whose members are files of their own.
pub(crate) const THIN: &[u8] = b"!<thin>\n";

/// The members of the archive `file`, each as `lib.a(m.o)`; what can't be read is left out.
pub(crate) fn members<'a>(request: &'a Request, file: &'a File) -> Vec<(String, &'a [u8])> {
    let bytes = &file.bytes[..];
    let thin = bytes.starts_with(THIN);
    let mut list = Vec::new();
    for (member, start, size) in listed(bytes) {
        let content = match thin {
            true => request.file(member).map(|file| &file.bytes[..]),
            false => slice(bytes, start, size),
        };
        list.extend(content.map(|content| (format!("{}({member})", file.name), content)));
    }
    list
}

/// The files that a thin archive's members are, as it has them: relative to where it is.
pub(crate) fn thin_members(bytes: &[u8]) -> Vec<&str> {
    let thin = bytes.starts_with(THIN).then(|| listed(bytes));
    thin.into_iter().flatten().map(|(member, ..)| member).collect()
}

/// An archive's members: name, where the contents start, their size.
fn listed(bytes: &[u8]) -> Vec<(&str, u64, u64)> {
    let thin = bytes.starts_with(THIN);
    let mut list = Vec::new();
    let mut long: &[u8] = &[];
    let mut at = 8;
    while let Some(header) = slice(bytes, at, 60) {
        let text = |range: std::ops::Range<usize>| {
            std::str::from_utf8(&header[range]).unwrap_or_default().trim_end()
        };
        let (name, Ok(size)) = (text(0..16), text(48..58).parse::<u64>()) else { break };
        let start = at.saturating_add(60);
        let special = matches!(name, "/" | "//" | "/SYM64/") || name.starts_with("__.SYMDEF");
        let stored = if thin && !special { 0 } else { size };
        at = start.saturating_add(stored).checked_next_multiple_of(2).unwrap_or(u64::MAX);
        if name == "//" {
            long = slice(bytes, start, size).unwrap_or_default();
        }
        if special {
            continue;
        }
        let (member, before) = member(name, long, bytes, start);
        if !member.starts_with("__.SYMDEF") {
            list.push((member, start.saturating_add(before), size.saturating_sub(before)));
        }
    }
    list
}

/// What `request` links, each under the name that facts give it: files that are no archives, and members.
pub(crate) fn contents(request: &Request) -> Vec<(String, &[u8])> {
    let archive = |file: &File| file.bytes.starts_with(MAGIC) || file.bytes.starts_with(THIN);
    let archives = request.files.iter().filter(|file| archive(file));
    let mut all: Vec<_> = archives.flat_map(|file| members(request, file)).collect();
    // A thin archive's member is a file of its own, but not because it is linked as one.
    let of_member = |bytes: &[u8]| all.iter().any(|(_, member)| std::ptr::eq(*member, bytes));
    let alone = |file: &&File| {
        !archive(file) && (request.args.contains(&file.name) || !of_member(&file.bytes))
    };
    let files = request.files.iter().filter(alone);
    let files: Vec<_> = files.map(|file| (file.name.clone(), &file.bytes[..])).collect();
    all.extend(files);
    all
}

/// A member's whole name, and how many bytes of it are stored before the contents.
fn member<'a>(name: &'a str, long: &'a [u8], bytes: &'a [u8], start: u64) -> (&'a str, u64) {
    if let Some(offset) = name.strip_prefix('/').and_then(|n| n.parse::<usize>().ok()) {
        let tail = long.get(offset..).unwrap_or_default();
        let end = memchr::memchr(b'\n', tail).unwrap_or(tail.len());
        let text = std::str::from_utf8(&tail[..end]).unwrap_or_default();
        return (text.strip_suffix('/').unwrap_or(text), 0);
    }
    if let Some(len) = name.strip_prefix("#1/").and_then(|n| n.parse::<u64>().ok()) {
        let raw = slice(bytes, start, len).unwrap_or_default();
        let text = std::str::from_utf8(raw).unwrap_or_default();
        return (text.trim_end_matches('\0'), len);
    }
    (name.strip_suffix('/').unwrap_or(name), 0)
}

/// An archive's entry as it is stored: the header, what is behind it, and whether that is no member.
struct Entry<'a> {
    at: usize,
    header: &'a [u8],
    content: &'a [u8],
    special: bool,
}

/// The archive `bytes`, not a thin one, with other members: `other` is given the number of each, as [`members`] counts
/// them, and its bytes. None if all stay.
pub(crate) fn with_members(
    bytes: &[u8],
    mut other: impl FnMut(usize, &[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut out = bytes.get(..8)?.to_vec();
    let (mut moved, mut indexes) = (Vec::new(), Vec::new());
    let (mut number, mut changed) = (0, false);
    for Entry { at, header, content, special } in entries(bytes) {
        moved.push((at as u64, out.len() as u64));
        if special {
            indexes.push((out.len() + 60, String::from_utf8_lossy(&header[..16]).into_owned()));
        }
        // BSD has a long name before the member.
        let name = std::str::from_utf8(&header[..16]).ok()?.trim_end();
        let before = name.strip_prefix("#1/").map_or(Ok(0), str::parse::<usize>).ok()?;
        let new = match special {
            true => None,
            false => other(number, content.get(before..)?),
        };
        number += usize::from(!special);
        changed |= new.is_some();
        let content = new.map_or_else(
            || content.to_vec(),
            |new| [content.get(..before).unwrap_or_default(), &new].concat(),
        );
        out.extend(&header[..48]);
        out.extend(format!("{:<10}", content.len()).as_bytes());
        out.extend(&header[58..]);
        out.extend(&content);
        if out.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    for (start, name) in indexes {
        reindex(&mut out[start..], name.trim_end(), &moved)?;
    }
    changed.then_some(out)
}

fn entries(bytes: &[u8]) -> Vec<Entry<'_>> {
    let mut list = Vec::new();
    let mut at = 8;
    while let Some(header) = bytes.get(at..at + 60) {
        let name = std::str::from_utf8(&header[..16]).unwrap_or_default().trim_end();
        let size = std::str::from_utf8(&header[48..58]).unwrap_or_default().trim_end();
        let Ok(size) = size.parse::<usize>() else { break };
        let Some(content) = bytes.get(at + 60..at + 60 + size) else { break };
        let long = name.starts_with("#1/") && content.starts_with(b"__.SYMDEF");
        let special =
            matches!(name, "/" | "//" | "/SYM64/") || name.starts_with("__.SYMDEF") || long;
        list.push(Entry { at, header, content, special });
        at = (at + 60 + size).next_multiple_of(2);
    }
    list
}

/// Moves the places of members in BSD's index, whose name is before it if it is long: of each symbol where its name is
/// in the strings behind, and where its member is.
fn reindex_bsd(index: &mut [u8], name: &str, moved: &[(u64, u64)]) -> Option<()> {
    let before = name.strip_prefix("#1/").map_or(Ok(0), str::parse::<usize>).ok()?;
    let wide = name.contains("_64") || index.get(..before)?.starts_with(b"__.SYMDEF_64");
    let width = if wide { 8 } else { 4 };
    let index = index.get_mut(before..)?;
    let size = usize::try_from(crate::bytes::number(index.get(..width)?)).ok()?;
    for pair in index.get_mut(width..)?.get_mut(..size)?.chunks_exact_mut(2 * width) {
        let old = crate::bytes::number(&pair[width..]);
        let new = moved.iter().find(|(from, _)| *from == old).map_or(old, |(_, to)| *to);
        pair[width..].copy_from_slice(&new.to_le_bytes()[..width]);
    }
    Some(())
}

/// Moves the places of members in an index called `name` at the start of `index`.
fn reindex(index: &mut [u8], name: &str, moved: &[(u64, u64)]) -> Option<()> {
    if name.starts_with("#1/") || name.starts_with("__.SYMDEF") {
        return reindex_bsd(index, name, moved);
    }
    let width = match name {
        "/" => 4,
        "/SYM64/" => 8,
        _ => return Some(()),
    };
    let read = |raw: &[u8]| raw.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let count = usize::try_from(read(index.get(..width)?)).ok()?;
    for raw in index.get_mut(width..)?.get_mut(..count.checked_mul(width)?)?.chunks_exact_mut(width)
    {
        let old = read(raw);
        let new = moved.iter().find(|(from, _)| *from == old).map_or(old, |(_, to)| *to);
        raw.copy_from_slice(&new.to_be_bytes()[8 - width..]);
    }
    Some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Mode, Target};

    /// A GNU archive of members with short names, and an index that says of each where it is.
    pub(crate) fn archive(list: &[(&str, &[u8])]) -> Vec<u8> {
        let header = |name: &str, size: usize| {
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).into_bytes()
        };
        let names: Vec<u8> = list.iter().flat_map(|it| [it.0.as_bytes(), &[0]].concat()).collect();
        let size = 4 + 4 * list.len() + names.len();
        let mut at = (8 + 60 + size).next_multiple_of(2);
        let mut index = (list.len() as u32).to_be_bytes().to_vec();
        for (_, bytes) in list {
            index.extend((at as u32).to_be_bytes());
            at = (at + 60 + bytes.len()).next_multiple_of(2);
        }
        let mut out = [MAGIC, &header("/", size), &index, &names].concat();
        for (name, bytes) in list {
            out.resize(out.len().next_multiple_of(2), b'\n');
            out.extend(header(&format!("{name}/"), bytes.len()));
            out.extend(*bytes);
        }
        out.resize(out.len().next_multiple_of(2), b'\n');
        out
    }

    #[test]
    fn a_longer_member_moves_what_follows() {
        let old = archive(&[("a.o", b"one"), ("b.o", b"other"), ("c.o", b"third")]);
        let new = with_members(&old, |at, bytes| (at == 1).then(|| [bytes, b" and more"].concat()));
        let new = new.unwrap();
        assert_eq!(new, archive(&[("a.o", b"one"), ("b.o", b"other and more"), ("c.o", b"third")]));
        assert_eq!(with_members(&old, |_, _| None), None);
        // BSD's index, under its short name and its long one.
        for (name, before) in [("__.SYMDEF", &b""[..]), ("#1/12", &b"__.SYMDEF\0\0\0"[..])] {
            let made = |sizes: [usize; 2]| {
                let header = |name: &str, size: usize| {
                    format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644)
                };
                let size = before.len() + 4 + 16 + 4 + 4;
                let first = (8 + 60 + size) as u32;
                let second = first + 60 + sizes[0] as u32;
                let words = [16, 0, first, 2, second, 4].map(u32::to_le_bytes).concat();
                let mut out = [MAGIC, header(name, size).as_bytes(), before, &words].concat();
                out.extend(b"f\0g\0");
                for (name, size) in ["a.o/", "b.o/"].into_iter().zip(sizes) {
                    out.extend(header(name, size).as_bytes());
                    out.extend(vec![b'x'; size]);
                }
                out
            };
            let longer = with_members(&made([4, 6]), |at, _| (at == 0).then(|| vec![b'x'; 8]));
            assert_eq!(longer, Some(made([8, 6])), "{name}");
        }
        let file = File { name: "l.a".into(), bytes: new.into() };
        let request = Request {
            target: Target::ALL[0],
            mode: Mode::Shared,
            args: vec!["l.a".into()],
            files: vec![file.clone()],
            goos: None,
        };
        let names: Vec<String> = members(&request, &file).into_iter().map(|m| m.0).collect();
        assert_eq!(names, ["l.a(a.o)", "l.a(b.o)", "l.a(c.o)"]);
    }
}
