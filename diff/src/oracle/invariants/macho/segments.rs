//! Segments and sections: order, protections, and that file and memory fit.

use super::super::Flaws;
use super::{EXECUTE, Image};
use crate::model::macho::image::{Section, Segment};

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    let segments = &image.file.segments;
    let page = image.file.machine.page;
    for segment in segments {
        each(image, segment, page, flaws);
    }
    order(image, flaws);
    let mut names: Vec<&str> = segments.iter().map(|segment| segment.name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        if pair[0] == pair[1] {
            flaws.add("segment's name twice", pair[0], "two", "each once");
        }
    }
    // Objective-C's runtime reads one remark.
    for info in image.file.sections.iter().filter(|s| s.name == "__objc_imageinfo") {
        flaws.check(info.size == 8, "remarks for Objective-C", info.name, info.size, "8 bytes");
    }
    let count = image.file.sections.len();
    flaws.check(count < 256, "too many sections", "header", count as u64, "255 at most");
    let mut number = 0;
    for (index, command) in image.commands.iter().filter(|c| c.number == 0x19).enumerate() {
        let count = command.word(64) as usize;
        let Some(segment) = segments.get(index) else { break };
        let end = (number + count).min(image.file.sections.len());
        sections(image, segment, &image.file.sections[number..end], flaws);
        number = end;
        let (most, first) = (command.word(56), command.word(60));
        let good = most & first == first;
        flaws.check(good, "initprot above maxprot", segment.name, first.into(), "a part of it");
    }
}

fn each(image: &Image<'_>, segment: &Segment<'_>, page: u64, flaws: &mut Flaws) {
    let at = segment.name;
    let file = segment.offset.checked_add(segment.file_size);
    let inside = file.is_some_and(|end| end <= image.file.bytes.len() as u64);
    flaws.check(inside, "segment beyond the file", at, segment.offset, "inside the file");
    let sized = segment.size >= segment.file_size;
    flaws.check(sized, "filesize above vmsize", at, segment.file_size, "at most vmsize");
    let ends = segment.address.checked_add(segment.size).is_some();
    flaws.check(ends, "segment beyond memory", at, segment.address, "a range of addresses");
    let whole = segment.address.is_multiple_of(page);
    flaws.check(whole, "segment's address", at, segment.address, "the start of a page");
    let whole = segment.offset.is_multiple_of(page) || segment.file_size == 0;
    flaws.check(whole, "segment's offset", at, segment.offset, "the start of a page");
    let wanted = match at {
        "__PAGEZERO" => 0,
        "__TEXT" => 5,
        "__LINKEDIT" => 1,
        _ => 3,
    };
    let found = segment.protection;
    flaws.check(found == wanted, "segment's protection", at, found.into(), "what dyld wants");
    let marked = segment.read_only();
    flaws.check(
        marked == (at == "__DATA_CONST"),
        "SG_READ_ONLY",
        at,
        segment.flags.into(),
        "on __DATA_CONST, nowhere else",
    );
}

fn order(image: &Image<'_>, flaws: &mut Flaws) {
    let all = &image.file.segments;
    let mapped: Vec<&Segment<'_>> = all.iter().filter(|s| s.name != "__PAGEZERO").collect();
    let zero = all.iter().position(|segment| segment.name == "__PAGEZERO");
    let program = image.file.kind == EXECUTE;
    let good = zero == program.then_some(0);
    flaws.check(good, "__PAGEZERO", "segments", all.len() as u64, "first, in programs only");
    let first = mapped.first().map_or("", |segment| segment.name);
    let text = mapped.first().is_some_and(|s| s.offset == 0 && s.file_size > 0);
    if first != "__TEXT" || !text {
        flaws.add("first segment", first, "another", "__TEXT from the file's start");
    }
    if mapped.last().is_none_or(|segment| segment.name != "__LINKEDIT") {
        flaws.add("last segment", "segments", "another", "__LINKEDIT");
    }
    for pair in all.windows(2) {
        let at = pair[1].name;
        let end = pair[0].address.saturating_add(pair[0].size);
        flaws.check(end <= pair[1].address, "segments overlap", at, end, "one behind the other");
    }
    let filed: Vec<&Segment<'_>> = mapped.into_iter().filter(|s| s.file_size > 0).collect();
    for pair in filed.windows(2) {
        let at = pair[1].name;
        let end = pair[0].offset.saturating_add(pair[0].file_size);
        let good = end <= pair[1].offset;
        flaws.check(good, "segments overlap in the file", at, end, "one behind the other");
    }
}

fn sections(image: &Image<'_>, segment: &Segment<'_>, list: &[Section<'_>], flaws: &mut Flaws) {
    let mut end = segment.address;
    let mut zeros = false;
    for section in list {
        let at = format!("{},{}", section.segment, section.name);
        let named = section.segment == segment.name;
        flaws.check(named, "section of another segment", &at, section.address, "its segment's");
        let behind = section.address >= end;
        flaws.check(behind, "sections overlap", &at, section.address, "one behind the other");
        end = section.address.saturating_add(section.size);
        let inside = end <= segment.address.saturating_add(segment.size);
        flaws.check(inside, "section outside of its segment", &at, end, "inside");
        let aligned = section.align > 0 && section.address.is_multiple_of(section.align);
        flaws.check(aligned, "section's alignment", &at, section.address, "as its header says");
        if section.zerofill() {
            let empty = section.offset == 0;
            flaws.check(empty, "zero-filled section's offset", &at, section.offset.into(), "0");
            zeros |= section.size > 0;
            continue;
        }
        flaws.check(!zeros, "zeros before bytes", &at, section.address, "zero-filled ones last");
        let distance = section.address.wrapping_sub(segment.address);
        let same = u64::from(section.offset).wrapping_sub(segment.offset) == distance;
        let wanted = "as far in the file as in memory";
        flaws.check(
            same || section.size == 0,
            "section's offset",
            &at,
            section.offset.into(),
            wanted,
        );
        let filed = distance.saturating_add(section.size) <= segment.file_size;
        flaws.check(filed, "section beyond its segment's bytes", &at, end, "inside");
        let relocated = section.reloc_count == 0 || image.file.kind == 1;
        flaws.check(relocated, "section with relocations", &at, section.reloc_count.into(), "none");
    }
}
