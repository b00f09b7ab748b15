//! Archives: bytes to members and the symbol index. GNU (32- and 64-bit index), BSD and thin
//! ones. It must not know what members hold.

use std::ops::Range;

use crate::{Error, ErrorKind, Result, Site};

const MAGIC: &[u8] = b"!<arch>\n";
const THIN_MAGIC: &[u8] = b"!<thin>\n";
const HEADER: usize = 60;

/// An archive, split.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    /// Members live in files of their own, named relative to the archive.
    pub is_thin: bool,
    /// The members in order, the index and the table of long names left out.
    pub members: Vec<Member<'a>>,
    index: Option<(IndexKind, &'a [u8])>,
    file: &'a str,
}

/// One member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Its name; in a thin archive a path.
    pub name: &'a [u8],
    /// Where its header starts: what the index refers to.
    pub header: u64,
    /// Where its bytes are in the archive; empty in a thin archive.
    pub range: Range<usize>,
}

/// One row of the symbol index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexEntry<'a> {
    /// The symbol.
    pub name: &'a [u8],
    /// [`Member::header`] of the member that defines it.
    pub header: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum IndexKind {
    Gnu32,
    Gnu64,
    Bsd32,
    Bsd64,
}

/// Whether `bytes` start as an archive does.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || bytes.starts_with(THIN_MAGIC)
}

/// What is said about bitcode.
pub(crate) const BITCODE: &str = "LLVM bitcode: link-time optimisation (-flto) is not supported";

/// Whether `bytes` are what `clang -flto` writes, bare or wrapped (LLVM Bitcode File Format, Magic Numbers).
pub(crate) fn is_bitcode(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BC\xc0\xde") || bytes.starts_with(&0x0b17_c0de_u32.to_le_bytes())
}

impl<'a> Archive<'a> {
    /// Splits `bytes`, the content of `file`.
    ///
    /// Errors: `bad-input` with the offset of the header that is wrong.
    pub fn parse(bytes: &'a [u8], file: &'a str) -> Result<Self> {
        if !is_archive(bytes) {
            return Err(bad(file, 0, "not an archive"));
        }
        let is_thin = bytes.starts_with(THIN_MAGIC);
        let mut archive = Self { is_thin, members: Vec::new(), index: None, file };
        let mut long_names: &[u8] = &[];
        let mut at = MAGIC.len();
        // Some archivers end with one newline too many, or pad with zeros.
        while bytes.len() - at >= HEADER || bytes[at..].iter().any(|&b| b != b'\n' && b != 0) {
            let header = bytes
                .get(at..at + HEADER)
                .ok_or_else(|| bad(file, at, "archive ends inside a member's header"))?;
            if &header[58..60] != b"`\n" {
                return Err(bad(file, at, "archive member's header is malformed"));
            }
            let size = decimal(&header[48..58])
                .ok_or_else(|| bad(file, at, "archive member's size is not a number"))?;
            let raw = trim(&header[..16]);
            let special = special(raw);
            // A thin archive stores only its own tables.
            let stored = if is_thin && special.is_none() && raw != b"//" { 0 } else { size };
            let start = at + HEADER;
            let end = start
                .checked_add(stored)
                .filter(|&end| end <= bytes.len())
                .ok_or_else(|| bad(file, at, "archive member reaches past the end of the file"))?;
            let data = start..end;
            match special {
                Some(kind) => archive.index = archive.index.or(Some((kind, &bytes[data]))),
                None if raw == b"//" => long_names = &bytes[data],
                None => archive.member(bytes, long_names, raw, at, data)?,
            }
            at = (end + (end & 1)).min(bytes.len());
        }
        Ok(archive)
    }

    fn member(
        &mut self,
        bytes: &'a [u8],
        long_names: &'a [u8],
        raw: &'a [u8],
        at: usize,
        mut range: Range<usize>,
    ) -> Result<()> {
        let name = if let Some(len) = raw.strip_prefix(b"#1/") {
            // BSD: the name stands before the data, padded with zeros.
            let len = decimal(len)
                .filter(|&len| len <= range.len())
                .ok_or_else(|| bad(self.file, at, "archive member's name is too long"))?;
            let name = &bytes[range.start..range.start + len];
            range.start += len;
            let name = &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())];
            if let Some(kind) = special(name) {
                self.index = self.index.or(Some((kind, &bytes[range])));
                return Ok(());
            }
            name
        } else if raw.len() > 1 && raw[0] == b'/' && raw[1].is_ascii_digit() {
            // GNU: an offset into the table of long names; thin ones may add `:OFFSET`.
            let digits = raw[1..].split(|&b| b == b':').next().unwrap_or_default();
            let rest = decimal(digits).and_then(|offset| long_names.get(offset..));
            let rest =
                rest.ok_or_else(|| bad(self.file, at, "archive member's long name is missing"))?;
            let end = rest.iter().position(|&b| b == b'\n' || b == 0).unwrap_or(rest.len());
            rest[..end].strip_suffix(b"/").unwrap_or(&rest[..end])
        } else {
            raw.strip_suffix(b"/").unwrap_or(raw)
        };
        self.members.push(Member { name, header: at as u64, range });
        Ok(())
    }

    /// The symbol index; `None` if the archive has none.
    ///
    /// Errors: `bad-input` if it is malformed.
    pub fn index(&self) -> Result<Option<Vec<IndexEntry<'a>>>> {
        let Some((kind, bytes)) = self.index else { return Ok(None) };
        let entries = match kind {
            IndexKind::Gnu32 => gnu_index(bytes, 4),
            IndexKind::Gnu64 => gnu_index(bytes, 8),
            IndexKind::Bsd32 => bsd_index(bytes, 4),
            IndexKind::Bsd64 => bsd_index(bytes, 8),
        };
        let entries =
            entries.ok_or_else(|| bad(self.file, MAGIC.len(), "archive's symbol index is cut"))?;
        Ok(Some(entries))
    }
}

fn special(name: &[u8]) -> Option<IndexKind> {
    match name {
        b"/" => Some(IndexKind::Gnu32),
        b"/SYM64/" => Some(IndexKind::Gnu64),
        b"__.SYMDEF" | b"__.SYMDEF SORTED" => Some(IndexKind::Bsd32),
        b"__.SYMDEF_64" | b"__.SYMDEF_64 SORTED" => Some(IndexKind::Bsd64),
        _ => None,
    }
}

/// Count, offsets, then as many names, all big-endian.
fn gnu_index(bytes: &[u8], word: usize) -> Option<Vec<IndexEntry<'_>>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let read = |bytes: &[u8]| bytes.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let count = usize::try_from(read(bytes.get(..word)?)).ok()?;
    let names_at = count.checked_add(1)?.checked_mul(word)?;
    let offsets = bytes.get(word..names_at)?;
    let mut names = bytes.get(names_at..)?;
    let mut entries = Vec::with_capacity(count);
    for offset in offsets.chunks_exact(word) {
        let end = memchr::memchr(0, names)?;
        entries.push(IndexEntry { name: &names[..end], header: read(offset) });
        names = &names[end + 1..];
    }
    Some(entries)
}

/// Size, (name, offset) pairs, size, names, all little-endian.
fn bsd_index(bytes: &[u8], word: usize) -> Option<Vec<IndexEntry<'_>>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let read = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let size = usize::try_from(read(bytes.get(..word)?)).ok()?;
    let pairs = bytes.get(word..word.checked_add(size)?)?;
    let strings = bytes.get(word + size..)?;
    let strings_len = usize::try_from(read(strings.get(..word)?)).ok()?;
    let strings = strings.get(word..word.checked_add(strings_len)?)?;
    let mut entries = Vec::with_capacity(pairs.len() / (2 * word));
    for pair in pairs.chunks_exact(2 * word) {
        let name = strings.get(usize::try_from(read(&pair[..word])).ok()?..)?;
        let end = memchr::memchr(0, name)?;
        entries.push(IndexEntry { name: &name[..end], header: read(&pair[word..]) });
    }
    Some(entries)
}

/// Without the spaces at the end.
fn trim(field: &[u8]) -> &[u8] {
    let len = field.iter().rposition(|&b| b != b' ').map_or(0, |at| at + 1);
    &field[..len]
}

/// A decimal field, padded with spaces.
fn decimal(field: &[u8]) -> Option<usize> {
    let digits = trim(field);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0usize, |n, &b| {
        let digit = char::from(b).to_digit(10)? as usize;
        n.checked_mul(10)?.checked_add(digit)
    })
}

fn bad(file: &str, offset: usize, text: &str) -> Error {
    let site = Site { file: file.into(), section: None, offset: Some(offset as u64) };
    Error::new(ErrorKind::BadInput, text).at(site)
}
