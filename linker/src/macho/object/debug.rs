//! Debug information, as far as the debug map needs it: the first unit's entry → the source's folder
//! and name (DWARF 2 to 5). What can't be read is no error: nothing but a debugger would miss it.

use super::Object;
use crate::format::macho::read::{Bytes, Read, bad};

/// Attributes of units.
mod at {
    pub(super) const NAME: u64 = 0x03;
    pub(super) const COMP_DIR: u64 = 0x1b;
    pub(super) const STR_OFFSETS_BASE: u64 = 0x72;
}

/// The source's folder and name; none of an object without debug information.
pub(super) fn source(object: &Object<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let unit = Unit {
        info: section(object, b"__debug_info")?,
        abbrev: section(object, b"__debug_abbrev")?,
        strings: section(object, b"__debug_str"),
        line_strings: section(object, b"__debug_line_str"),
        offsets: section(object, b"__debug_str_offs"),
    };
    unit.source().ok().flatten()
}

fn section<'a>(object: &Object<'a>, name: &[u8]) -> Option<Bytes<'a>> {
    let dwarf = |s: &&super::Section<'_>| s.header.segment == b"__DWARF" && s.header.name == name;
    object.sections.iter().find(dwarf).map(|section| Bytes(section.data))
}

struct Unit<'a> {
    info: Bytes<'a>,
    abbrev: Bytes<'a>,
    strings: Option<Bytes<'a>>,
    line_strings: Option<Bytes<'a>>,
    offsets: Option<Bytes<'a>>,
}

/// A string, where it is.
enum Text<'a> {
    Here(&'a [u8]),
    Strings(usize),
    LineStrings(usize),
    Indexed(usize),
}

impl<'a> Unit<'a> {
    fn source(&self) -> Read<Option<(Vec<u8>, Vec<u8>)>> {
        let info = self.info;
        let version = info.u16(4)?;
        let (abbrev, width, mut at) = match version {
            5 => (info.u32(8)?, info.u8(7)?, if info.u8(6)? == 4 { 20 } else { 12 }),
            _ => (info.u32(6)?, info.u8(10)?, 11),
        };
        let code = info.uleb(&mut at)?;
        let mut rows = self.row(abbrev as usize, code)?;
        let (mut name, mut folder, mut base) = (None, None, 8);
        loop {
            let attribute = self.abbrev.uleb(&mut rows)?;
            let form = self.abbrev.uleb(&mut rows)?;
            if form == 0x21 {
                self.abbrev.uleb(&mut rows)?;
            }
            if (attribute, form) == (0, 0) {
                break;
            }
            if attribute == at::STR_OFFSETS_BASE {
                base = info.u32(at)? as usize;
            }
            let text = self.value(form, width, &mut at)?;
            match attribute {
                at::NAME => name = text,
                at::COMP_DIR => folder = text,
                _ => {}
            }
        }
        let text = |text: Option<Text<'a>>| text.and_then(|text| self.text(text, base));
        Ok(text(name).map(|name| (text(folder).unwrap_or_default().to_vec(), name.to_vec())))
    }

    /// Where the attributes of entry `code` are listed.
    fn row(&self, mut at: usize, code: u64) -> Read<usize> {
        loop {
            let found = self.abbrev.uleb(&mut at)?;
            if found == 0 {
                return bad(at, "an entry's form is missing");
            }
            self.abbrev.uleb(&mut at)?;
            at += 1;
            if found == code {
                return Ok(at);
            }
            while (self.abbrev.uleb(&mut at)?, self.abbrev.uleb(&mut at)?) != (0, 0) {}
        }
    }

    /// Passes over a value; gives it if it is text.
    fn value(&self, form: u64, width: u8, at: &mut usize) -> Read<Option<Text<'a>>> {
        let info = self.info;
        let start = *at;
        let word = |len: usize| -> Read<usize> {
            let bytes = info.slice(start, len)?;
            Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte)))
        };
        let (text, len) = match form {
            0x08 => (Some(Text::Here(info.cstr(start)?)), info.cstr(start)?.len() + 1),
            0x0e => (Some(Text::Strings(word(4)?)), 4),
            0x1f => (Some(Text::LineStrings(word(4)?)), 4),
            0x25..=0x28 => {
                let len = form as usize - 0x24;
                (Some(Text::Indexed(word(len)?)), len)
            }
            0x1a => {
                let index = info.uleb(at)?;
                return Ok(Some(Text::Indexed(index as usize)));
            }
            0x0d | 0x0f | 0x1b | 0x22 | 0x23 => {
                info.uleb(at)?;
                return Ok(None);
            }
            0x18 => {
                let len = info.uleb(at)? as usize;
                *at = at.saturating_add(len);
                return Ok(None);
            }
            0x19 | 0x21 => (None, 0),
            0x01 => (None, usize::from(width)),
            0x0b | 0x0c | 0x29 => (None, 1),
            0x05 | 0x2a => (None, 2),
            0x2b => (None, 3),
            0x06 | 0x13 | 0x17 | 0x2c => (None, 4),
            0x07 | 0x20 => (None, 8),
            0x1e => (None, 16),
            _ => return bad(start, "a value of an unknown form"),
        };
        *at += len;
        Ok(text)
    }

    fn text(&self, text: Text<'a>, base: usize) -> Option<&'a [u8]> {
        match text {
            Text::Here(text) => Some(text),
            Text::Strings(at) => self.strings?.cstr(at).ok(),
            Text::LineStrings(at) => self.line_strings?.cstr(at).ok(),
            Text::Indexed(index) => {
                let at = self.offsets?.u32(base.checked_add(index.checked_mul(4)?)?).ok()?;
                self.strings?.cstr(at as usize).ok()
            }
        }
    }
}
