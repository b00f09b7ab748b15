//! Edits of a link's files and arguments, one per line, by the names of the ELF structures' fields.
//!
//! Only ELF64 little-endian. Unknown words fail: a test that edits nothing tests nothing.

use std::collections::BTreeMap;

/// A link that is being spoilt.
pub(super) struct Link {
    /// The command line.
    pub args: Vec<String>,
    /// Its files.
    pub files: BTreeMap<String, Vec<u8>>,
}

type Result<T> = std::result::Result<T, String>;

/// Name, offset, size of a structure's fields.
type Fields = &'static [(&'static str, usize, usize)];

const HEADER: Fields = &[
    ("ei_class", 4, 1),
    ("ei_data", 5, 1),
    ("ei_version", 6, 1),
    ("e_type", 16, 2),
    ("e_machine", 18, 2),
    ("e_shoff", 40, 8),
    ("e_shentsize", 58, 2),
    ("e_shnum", 60, 2),
    ("e_shstrndx", 62, 2),
];
const SECTION: Fields = &[
    ("sh_name", 0, 4),
    ("sh_type", 4, 4),
    ("sh_flags", 8, 8),
    ("sh_offset", 24, 8),
    ("sh_size", 32, 8),
    ("sh_link", 40, 4),
    ("sh_info", 44, 4),
    ("sh_addralign", 48, 8),
    ("sh_entsize", 56, 8),
];
const SYMBOL: Fields = &[
    ("st_name", 0, 4),
    ("st_info", 4, 1),
    ("st_other", 5, 1),
    ("st_shndx", 6, 2),
    ("st_value", 8, 8),
    ("st_size", 16, 8),
];
const RELA: Fields = &[("r_offset", 0, 8), ("r_type", 8, 4), ("r_sym", 12, 4), ("r_addend", 16, 8)];

/// Applies one line:
///
/// ```text
/// args ARG…                          arguments after those of the case
/// file NAME HEX…                     a file of these bytes
/// text NAME WORDS…                   a file of this text, `\n` for a line's end
/// truncate FILE LENGTH               the first bytes of a file only
/// append FILE HEX…                   bytes after its end
/// header FILE FIELD VALUE            a field of the ELF header
/// section FILE NAME FIELD VALUE      a field of a section's header
/// symbol FILE NAME FIELD VALUE       a field of a symbol
/// reloc FILE SECTION N FIELD VALUE   a field of the N-th relocation of a section
/// bytes FILE SECTION OFFSET HEX…     bytes of a section
/// ```
pub(super) fn apply(link: &mut Link, line: &str) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["args", ref rest @ ..] => link.args.extend(rest.iter().map(|a| a.to_string())),
        ["file", name, ref rest @ ..] => {
            link.files.insert(name.into(), hex(rest)?);
        }
        ["text", name, ref rest @ ..] => {
            link.files.insert(name.into(), rest.join(" ").replace("\\n", "\n").into_bytes());
        }
        ["truncate", name, len] => {
            let len = number(len)? as usize;
            let bytes = file(link, name)?;
            (len < bytes.len()).then_some(()).ok_or("it is not longer than that")?;
            bytes.truncate(len);
        }
        ["append", name, ref rest @ ..] => file(link, name)?.extend(hex(rest)?),
        ["header", name, field, value] => put(file(link, name)?, 0, HEADER, field, value)?,
        ["section", name, section, field, value] => {
            let bytes = file(link, name)?;
            let at = section_header(bytes, section)?;
            put(bytes, at, SECTION, field, value)?;
        }
        ["symbol", name, symbol, field, value] => {
            let bytes = file(link, name)?;
            let at = symbol_at(bytes, symbol)?;
            put(bytes, at, SYMBOL, field, value)?;
        }
        ["reloc", name, section, index, field, value] => {
            let bytes = file(link, name)?;
            let at = section_header(bytes, &format!(".rela{section}"))?;
            let at = get(bytes, at + 24, 8)? as usize + 24 * number(index)? as usize;
            put(bytes, at, RELA, field, value)?;
        }
        ["bytes", name, section, offset, ref rest @ ..] => {
            let bytes = file(link, name)?;
            let at = section_header(bytes, section)?;
            let at = get(bytes, at + 24, 8)? as usize + number(offset)? as usize;
            let new = hex(rest)?;
            bytes.get_mut(at..at + new.len()).ok_or("outside the file")?.copy_from_slice(&new);
        }
        _ => return Err("no such edit".into()),
    }
    Ok(())
}

fn file<'a>(link: &'a mut Link, name: &str) -> Result<&'a mut Vec<u8>> {
    link.files.get_mut(name).ok_or_else(|| format!("no file {name}"))
}

fn number(word: &str) -> Result<u64> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse::<i64>().map(|n| n as u64).or_else(|_| word.parse()),
    };
    parsed.map_err(|_| format!("no number: {word}"))
}

fn hex(words: &[&str]) -> Result<Vec<u8>> {
    let byte = |w: &&str| u8::from_str_radix(w, 16).map_err(|_| format!("no byte: {w}"));
    words.iter().map(byte).collect()
}

fn get(bytes: &[u8], at: usize, size: usize) -> Result<u64> {
    let field = bytes.get(at..at + size).ok_or("outside the file")?;
    Ok(field.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
}

fn put(bytes: &mut [u8], at: usize, fields: Fields, field: &str, value: &str) -> Result<()> {
    let row = fields.iter().find(|row| row.0 == field).ok_or("no such field")?;
    let (at, size) = (at + row.1, row.2);
    let value = number(value)?.to_le_bytes();
    bytes.get_mut(at..at + size).ok_or("outside the file")?.copy_from_slice(&value[..size]);
    Ok(())
}

fn name_at(bytes: &[u8], at: usize) -> &[u8] {
    let tail = bytes.get(at..).unwrap_or_default();
    &tail[..tail.iter().position(|&b| b == 0).unwrap_or(tail.len())]
}

fn section_headers(bytes: &[u8]) -> Result<Vec<usize>> {
    let (start, count) = (get(bytes, 40, 8)? as usize, get(bytes, 60, 2)? as usize);
    Ok((0..count).map(|i| start + 64 * i).collect())
}

fn section_header(bytes: &[u8], name: &str) -> Result<usize> {
    let headers = section_headers(bytes)?;
    let strings = headers[get(bytes, 62, 2)? as usize];
    let strings = get(bytes, strings + 24, 8)? as usize;
    for at in headers {
        if name_at(bytes, strings + get(bytes, at, 4)? as usize) == name.as_bytes() {
            return Ok(at);
        }
    }
    Err(format!("no section {name}"))
}

fn symbol_at(bytes: &[u8], name: &str) -> Result<usize> {
    let table = section_header(bytes, ".symtab")?;
    let strings = section_headers(bytes)?[get(bytes, table + 40, 4)? as usize];
    let strings = get(bytes, strings + 24, 8)? as usize;
    let (start, size) = (get(bytes, table + 24, 8)? as usize, get(bytes, table + 32, 8)? as usize);
    for at in (start..start + size).step_by(24) {
        if name_at(bytes, strings + get(bytes, at, 4)? as usize) == name.as_bytes() {
            return Ok(at);
        }
    }
    Err(format!("no symbol {name}"))
}
