//! Tables about code: where functions start, what is data among instructions.

use super::super::Flaws;
use super::Image;
use crate::bytes::{u16_at, u32_at};
use crate::model::macho::image::Symbol;

/// S_ATTR_PURE_INSTRUCTIONS or S_ATTR_SOME_INSTRUCTIONS.
const CODE: u32 = 0x8000_0400;

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    if let Some(starts) = image.table(0x26) {
        functions(image, starts, flaws);
    }
    if let Some(table) = image.table(0x29) {
        data(image, table, flaws);
    }
}

/// Distances in base 128, each from the one before, up to a zero.
fn functions(image: &Image<'_>, table: &[u8], flaws: &mut Flaws) {
    let (mut at, mut value, mut shift) = (image.file.base(), 0_u64, 0_u32);
    let mut list = Vec::new();
    let mut rest = table.iter();
    let mut ended = table.is_empty();
    for byte in rest.by_ref() {
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 != 0 {
            continue;
        }
        if value == 0 {
            ended = true;
            break;
        }
        at = at.wrapping_add(value);
        list.push(at);
        (value, shift) = (0, 0);
    }
    let padding = rest.all(|byte| *byte == 0);
    let good = ended && padding;
    flaws.check(good, "end of function starts", "table", table.len() as u64, "zeros");
    for address in &list {
        let section = image.file.section_at(*address);
        let code = section.is_some_and(|section| section.flags & CODE != 0);
        flaws.check(code, "function starts outside of code", "table", *address, "in code");
    }
    // Symbols of code are what it lists, but for other names and for lld's thunks, which ld64 lists.
    let alternative = |desc: u16| desc & 0x200 != 0;
    let functions = |s: &&Symbol<'_>| !alternative(s.desc) && !is_thunk(s.name);
    for symbol in image.file.symbols.iter().filter(|s| s.in_section()).filter(functions) {
        let section = usize::from(symbol.section).checked_sub(1);
        let section = section.and_then(|at| image.file.sections.get(at));
        let code = section.is_some_and(|s| s.name == "__text" && s.has(symbol.value));
        let listed = list.is_empty() || list.binary_search(&symbol.value).is_ok();
        let (at, wanted) = (symbol.name, "among function starts");
        flaws.check(!code || listed, "function that starts nowhere", at, symbol.value, wanted);
    }
}

/// Whether lld calls its thunks so: a function, `.thunk.`, a number.
fn is_thunk(name: &str) -> bool {
    let number = name.rsplit_once(".thunk.").map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// {offset, length, kind}, by offset.
fn data(image: &Image<'_>, table: &[u8], flaws: &mut Flaws) {
    let whole = table.len().is_multiple_of(8);
    flaws.check(whole, "data in code", "table", table.len() as u64, "8 bytes each");
    let mut end = 0;
    for entry in table.chunks_exact(8) {
        let offset = u64::from(u32_at(entry, 0).unwrap_or(0));
        let len = u64::from(u16_at(entry, 4).unwrap_or(0));
        let kind = u16_at(entry, 6).unwrap_or(0);
        let ordered = offset >= end;
        flaws.check(ordered, "order of data in code", "table", offset, "one behind the other");
        end = offset + len;
        let known = (1..=5).contains(&kind);
        flaws.check(known, "kind of data in code", "table", kind.into(), "1 to 5");
        let section = image.file.sections.iter().find(|section| {
            let start = u64::from(section.offset);
            section.flags & CODE != 0 && offset >= start && end <= start + section.size
        });
        flaws.check(section.is_some(), "data in code elsewhere", "table", offset, "in code");
    }
}
