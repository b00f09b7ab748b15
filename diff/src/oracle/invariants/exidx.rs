//! .ARM.exidx: found by its segment, sorted, each entry readable, and the last one ends the range before.
//!
//! Spec: EHABI32 §5.

use super::Flaws;
use super::image::{EXEC, Image, quad};
use crate::model::elf::machine;

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    let Some(kind) = machine::of(image.header.machine).and_then(|machine| machine.index) else {
        return;
    };
    let section = image.sections.iter().find(|s| s.kind == kind && s.size > 0);
    let Some(segment) = image.segment(kind) else {
        flaws.check(
            section.is_none(),
            "index without its segment",
            ".ARM.exidx",
            0,
            "PT_ARM_EXIDX",
        );
        return;
    };
    let (start, size) = (segment.vaddr, segment.filesz);
    if let Some(section) = section {
        let same = (section.addr, section.size) == (start, size);
        flaws.check(same, "segment and section differ", ".ARM.exidx", start, "the section's range");
    }
    let whole = size.is_multiple_of(8) && start.is_multiple_of(4);
    flaws.check(whole, "section of broken entries", ".ARM.exidx", size, "whole entries");
    let bytes = image.range(start, size).unwrap_or_default();
    let mut last: Option<(u64, u32)> = None;
    for at in (0..bytes.len() as u64 / 8 * 8).step_by(8) {
        let (Some(first), Some(second)) = (quad(bytes, at), quad(bytes, at + 4)) else { break };
        let place = format!(".ARM.exidx+{at:#x}");
        let function = relative(start.wrapping_add(at), first);
        flaws.check(first >> 31 == 0, "index entry's bit 31", &place, first.into(), "clear");
        if let Some((before, _)) = last {
            flaws.check(before < function, "index not sorted", &place, function, "ascending");
        }
        if second != 1 && second >> 31 == 0 {
            let table = relative(start.wrapping_add(at + 4), second);
            let there = image.range(table, 4).is_some();
            flaws.check(there, "index points outside", &place, table, "a table entry");
        }
        last = Some((function, second));
    }
    // Without an end, what lies behind the last function would unwind as that.
    if let Some((function, word)) = last {
        flaws.check(
            word == 1,
            "index without an end",
            ".ARM.exidx",
            word.into(),
            "EXIDX_CANTUNWIND",
        );
        let mut code = image.sections.iter().filter(|s| s.is(EXEC) && s.in_memory());
        let inside = code.any(|s| function >= s.addr && function <= s.end());
        flaws.check(
            inside,
            "index ends outside of code",
            ".ARM.exidx",
            function,
            "the end of code",
        );
    }
}

fn relative(at: u64, word: u32) -> u64 {
    let distance = i64::from((word << 1) as i32 >> 1);
    at.wrapping_add_signed(distance) & 0xffff_ffff
}
