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
        if member.starts_with("__.SYMDEF") {
            continue;
        }
        let content = match thin {
            true => request.file(member).map(|file| &file.bytes[..]),
            false => slice(bytes, start.saturating_add(before), size.saturating_sub(before)),
        };
        list.extend(content.map(|content| (format!("{}({member})", file.name), content)));
    }
    list
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
