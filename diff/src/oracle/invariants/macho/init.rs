//! What dyld runs and sets up when it loads an image: initialisers and thread-local variables.

use super::super::Flaws;
use super::Image;
use crate::model::macho::image::{Section, kind};

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    if let Some(first) = image.file.routine {
        let code = image.executable(first);
        flaws.check(code, "initialiser outside of code", "LC_ROUTINES_64", first, "code");
    }
    for section in &image.file.sections {
        match section.kind() {
            kind::MOD_INIT | kind::MOD_TERM => pointers(image, section, flaws),
            kind::INIT_OFFSETS => offsets(image, section, flaws),
            kind::TLV_VARIABLES => descriptors(image, section, flaws),
            _ => {}
        }
    }
    template(image, flaws);
}

fn pointers(image: &Image<'_>, section: &Section<'_>, flaws: &mut Flaws) {
    let at = section.name;
    let whole = section.size.is_multiple_of(8) && section.address.is_multiple_of(8);
    flaws.check(whole, "initialisers' section", at, section.size, "whole pointers");
    for address in (0..section.size / 8).map(|i| section.address + 8 * i) {
        let bound = image.fixups.at(address).is_some_and(|fixup| fixup.bind.is_some());
        let held = image.fixups.held(&image.file, address);
        let code = bound || held.is_some_and(|target| image.executable(target));
        flaws.check(code, "initialiser outside of code", at, address, "a pointer to code");
    }
}

fn offsets(image: &Image<'_>, section: &Section<'_>, flaws: &mut Flaws) {
    let at = section.name;
    let whole = section.size.is_multiple_of(4) && section.address.is_multiple_of(4);
    flaws.check(whole, "initialisers' section", at, section.size, "whole offsets");
    let fixed = image.file.at(section.address).is_some_and(|segment| !segment.writable());
    flaws.check(fixed, "offsets of initialisers", at, section.address, "in read-only memory");
    for address in (0..section.size / 4).map(|i| section.address + 4 * i) {
        let offset = image.file.u32(address).unwrap_or(u32::MAX);
        let code = image.executable(image.file.base().wrapping_add(offset.into()));
        flaws.check(code, "initialiser outside of code", at, offset.into(), "an offset of code");
    }
}

fn descriptors(image: &Image<'_>, section: &Section<'_>, flaws: &mut Flaws) {
    let at = section.name;
    let whole = section.size.is_multiple_of(24);
    flaws.check(whole, "thread-local descriptors", at, section.size, "24 bytes each");
    let aligned = section.address.is_multiple_of(8);
    flaws.check(aligned, "thread-local descriptors", at, section.address, "aligned to 8");
    let size = bounds(image).map_or(0, |(start, end)| end - start);
    for address in (0..section.size / 24).map(|i| section.address + 24 * i) {
        let fixup = image.fixups.at(address);
        let name = fixup.and_then(|fixup| fixup.bind.as_ref()).map(|bind| bind.name.as_str());
        if name != Some("__tlv_bootstrap") {
            let found = name.unwrap_or("nothing");
            flaws.add("descriptor's function", at, found, "__tlv_bootstrap");
        }
        let key = image.file.word(address + 8).unwrap_or(u64::MAX);
        flaws.check(key == 0, "descriptor's key", at, key, "0");
        let offset = image.file.word(address + 16).unwrap_or(u64::MAX);
        let moved = image.fixups.at(address + 8).or(image.fixups.at(address + 16)).is_some();
        flaws.check(!moved, "descriptor with more fixups", at, address, "its function's only");
        flaws.check(offset <= size, "variable outside of the template", at, offset, "inside");
    }
}

/// From where to where dyld copies thread-locals.
fn bounds(image: &Image<'_>) -> Option<(u64, u64)> {
    let parts = image.file.sections.iter().filter(|section| section.template());
    let ends = parts.map(|section| (section.address, section.address.saturating_add(section.size)));
    ends.reduce(|(start, end), (from, to)| (start.min(from), end.max(to)))
}

/// Only thread-locals are between the first and the last of them: what else is there would be copied.
fn template(image: &Image<'_>, flaws: &mut Flaws) {
    let Some((start, end)) = bounds(image) else { return };
    for section in image.file.sections.iter().filter(|s| !s.template() && s.size > 0) {
        let apart = section.address.saturating_add(section.size) <= start || section.address >= end;
        let at = section.name;
        flaws.check(apart, "section among thread-locals", at, section.address, "outside");
    }
    // What has bytes is copied when its pointers are right.
    let zeros = image.file.sections.iter().filter(|s| s.template() && s.zerofill());
    for section in zeros {
        let end = section.address.saturating_add(section.size);
        for (address, _) in image.fixups.within(section.address, end) {
            flaws.check(false, "fixup among thread-local zeros", section.name, address, "none");
        }
    }
}
