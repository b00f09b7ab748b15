//! A Go plugin as dyld wants it.
//!
//! Everything is bound when it is loaded, by tables that still fit when Go has added a segment, for whose command
//! there is room. How its data lies is an invariant.

use super::Broken;
use crate::bytes::u32_at;
use crate::model::macho::fixups::Fixups;
use crate::model::macho::image::File;

/// MH_BINDATLOAD.
const BIND_AT_LOAD: u32 = 8;
/// LC_DYLD_CHAINED_FIXUPS.
const CHAINED: u32 = 0x8000_0034;
/// `-headerpad 1144`: hexadecimal, as ld64 reads it.
const PAD: u64 = 0x1144;

/// What is wrong with `image`.
pub(super) fn check(command: &[String], image: &[u8]) -> Vec<Broken> {
    let Ok(file) = File::read(image) else { return Vec::new() };
    let mut broken = Vec::new();
    bound(&file, command, &mut broken);
    room(&file, command, &mut broken);
    broken
}

/// Nothing waits for its first call, and no table counts segments unless one was asked for.
fn bound(file: &File<'_>, command: &[String], broken: &mut Vec<Broken>) {
    let mut add = |shape, found: &str, wanted| {
        broken.push((shape, "header".to_owned(), found.to_owned(), wanted));
    };
    if is_chained(file) {
        // dyld follows chains when it loads an image.
        if !command.iter().any(|arg| arg == "-fixup_chains") {
            add("chained fixups", "LC_DYLD_CHAINED_FIXUPS", "LC_DYLD_INFO_ONLY");
        }
        return;
    }
    let fixups = Fixups::read(file);
    let lazy = fixups.map.values().any(|f| f.bind.as_ref().is_some_and(|bind| bind.lazy));
    if lazy || file.flags & BIND_AT_LOAD == 0 {
        let found = if lazy { "lazy bindings" } else { "no MH_BINDATLOAD" };
        add("bound when called", found, "bound when loaded");
    }
}

fn is_chained(file: &File<'_>) -> bool {
    let (count, mut at) = (u32_at(file.bytes, 16).unwrap_or(0), 32);
    for _ in 0..count {
        let (Some(kind), Some(size)) = (u32_at(file.bytes, at), u32_at(file.bytes, at + 4)) else {
            break;
        };
        if kind == CHAINED {
            return true;
        }
        at += u64::from(size);
    }
    false
}

/// Room for more load commands, before what comes next.
fn room(file: &File<'_>, command: &[String], broken: &mut Vec<Broken>) {
    let asked = command.iter().rposition(|arg| arg == "-headerpad");
    let asked = asked.and_then(|at| command.get(at + 1));
    let hex = asked.map(|text| text.trim_start_matches("0x"));
    let wanted = hex.and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(PAD);
    let end = 32 + u64::from(u32_at(file.bytes, 20).unwrap_or(0));
    let sections = file.sections.iter().filter(|s| !s.zerofill() && s.size > 0);
    let Some(first) = sections.map(|section| u64::from(section.offset)).min() else { return };
    let found = first.saturating_sub(end);
    if found < wanted {
        let found = format!("{found:#x}");
        broken.push(("room for load commands", "header".into(), found, "-headerpad 1144"));
    }
}
