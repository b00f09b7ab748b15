//! A Go plugin as dyld wants it.
//!
//! dyld looks up zero-sized locals in the wrong image, so that the markers of sections are symbols with a size: the
//! first of a section, and the last; between them data lies by size, what is of one size as it came. Everything is
//! bound when it is loaded, by tables that still fit when Go has added a segment, for whose command there is room.

use super::Broken;
use crate::Request;
use crate::bytes::u32_at;
use crate::model::macho::fixups::Fixups;
use crate::model::macho::image::{File, Section};
use crate::model::macho::{Laid, laid_out};

/// MH_BINDATLOAD.
const BIND_AT_LOAD: u32 = 8;
/// LC_DYLD_CHAINED_FIXUPS.
const CHAINED: u32 = 0x8000_0034;
/// `-headerpad 1144`: hexadecimal, as ld64 reads it.
const PAD: u64 = 0x1144;

/// Head, tail, segment and section; whether what is between lies by size.
const BOUNDS: &[(&str, &str, &str, &str, bool)] = &[
    ("_runtime.text", "_runtime.etext", "__TEXT", "__text", false),
    ("_runtime.rodata", "_runtime.erodata", "__TEXT", "__rodata", true),
    ("_runtime.types", "_runtime.etypes", "__DATA_CONST", "__go_type", true),
    ("_runtime.noptrdata", "_runtime.enoptrdata", "__DATA", "__noptrdata", true),
    ("_runtime.data", "_runtime.edata", "__DATA", "__data", true),
    ("_runtime.bss", "_runtime.ebss", "__DATA", "__bss", true),
    ("_runtime.noptrbss", "_runtime.enoptrbss", "__DATA", "__noptrbss", true),
];

/// What is wrong with `image`.
pub(super) fn check(request: &Request, command: &[String], image: &[u8]) -> Vec<Broken> {
    let Ok(file) = File::read(image) else { return Vec::new() };
    let mut broken = Vec::new();
    bound(&file, command, &mut broken);
    room(&file, command, &mut broken);
    let laid = laid_out(request, image);
    for row in BOUNDS {
        let is = |s: &&Section<'_>| (s.segment, s.name) == (row.2, row.3);
        if let Some(section) = file.sections.iter().find(is) {
            order(&file, section, row, &laid, &mut broken);
        }
    }
    broken
}

/// Nothing waits for its first call, and no table counts segments.
fn bound(file: &File<'_>, command: &[String], broken: &mut Vec<Broken>) {
    let mut add = |shape, found: String, wanted| {
        broken.push((shape, "header".to_owned(), found, wanted));
    };
    let fixups = Fixups::read(file);
    let lazy = fixups.map.values().any(|f| f.bind.as_ref().is_some_and(|bind| bind.lazy));
    if lazy || file.flags & BIND_AT_LOAD == 0 {
        let found = if lazy { "lazy bindings" } else { "no MH_BINDATLOAD" };
        add("bound when called", found.into(), "bound when loaded");
    }
    let (count, mut at) = (u32_at(file.bytes, 16).unwrap_or(0), 32);
    let mut chained = false;
    for _ in 0..count {
        let (Some(kind), Some(size)) = (u32_at(file.bytes, at), u32_at(file.bytes, at + 4)) else {
            break;
        };
        chained |= kind == CHAINED;
        at += u64::from(size);
    }
    if chained && !command.iter().any(|arg| arg == "-fixup_chains") {
        add("chained fixups", "LC_DYLD_CHAINED_FIXUPS".into(), "LC_DYLD_INFO_ONLY");
    }
}

/// Room for more load commands.
fn room(file: &File<'_>, command: &[String], broken: &mut Vec<Broken>) {
    let asked = command.iter().rposition(|arg| arg == "-headerpad");
    let asked = asked.and_then(|at| command.get(at + 1));
    let hex = asked.map(|text| text.trim_start_matches("0x"));
    let wanted = hex.and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(PAD);
    let end = 32 + u64::from(u32_at(file.bytes, 20).unwrap_or(0));
    let sections = file.sections.iter().filter(|s| !s.zerofill() && s.size > 0);
    let first = sections.map(|section| u64::from(section.offset)).min().unwrap_or(end);
    let found = first.saturating_sub(end);
    if found < wanted {
        let found = format!("{found:#x}");
        broken.push(("room for load commands", "header".into(), found, "-headerpad 1144"));
    }
}

fn order(
    file: &File<'_>,
    section: &Section<'_>,
    &(head, tail, _, _, by_size): &(&str, &str, &str, &str, bool),
    laid: &[Laid],
    broken: &mut Vec<Broken>,
) {
    let address = |name: &str| {
        let found = file.symbols.iter().find(|s| s.name == name && s.in_section());
        found.map(|symbol| symbol.value)
    };
    let (first, last) = (address(head), address(tail));
    let end = section.address.saturating_add(section.size);
    let mut add = |shape, key: &str, found: u64, wanted| {
        broken.push((shape, key.to_owned(), format!("{found:#x}"), wanted));
    };
    if let Some(first) = first {
        if first != section.address {
            add("head is not first", head, first - section.address.min(first), "offset 0");
        }
        let early = laid.iter().find(|laid| (first + 1..first + 8).contains(&laid.address));
        let same = laid.iter().filter(|laid| laid.address == first);
        if early.is_some() || same.filter(|laid| laid.size > 0).count() > 1 {
            add("head has no size", head, early.map_or(first, |laid| laid.address), "8 bytes");
        }
    }
    if let Some(last) = last.filter(|last| ![Some(end), end.checked_sub(8)].contains(&Some(*last)))
    {
        add("tail is not last", tail, end.wrapping_sub(last), "the section's end, or 8 before it");
    }
    if !by_size || (first.is_none() && last.is_none()) {
        return;
    }
    let inside = laid.iter().filter(|laid| section.has(laid.address));
    let between: Vec<&Laid> =
        inside.filter(|laid| ![first, last].contains(&Some(laid.address))).collect();
    for pair in between.windows(2) {
        if (pair[0].size, pair[0].index) > (pair[1].size, pair[1].index) {
            add("data is not by size", &pair[1].name, pair[1].size, "in order of size and input");
        }
    }
}
