//! Fixups: what dyld takes, and that each slot is one of the image's own kind.

use super::super::Flaws;
use super::Image;
use crate::bytes::{str_at, u16_at, u32_at, u64_at};
use crate::model::macho::fixups::{FLAT, WEAK};
use crate::model::macho::image::TWOLEVEL;

/// S_LAZY_SYMBOL_POINTERS.
const LAZY: u32 = 7;

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    if let Some(why) = &image.fixups.broken {
        flaws.add("fixups that dyld refuses", "fixups", why, "what it takes");
    }
    if let Some(blob) = image.file.chains.and_then(|blob| image.file.blob(blob)) {
        chained(image, blob, flaws);
    }
    let flat = image.file.flags & TWOLEVEL == 0;
    for (address, fixup) in &image.fixups.map {
        let Some(section) = image.file.section_at(*address) else {
            flaws.check(false, "fixup between sections", "fixups", *address, "in one");
            continue;
        };
        let at = format!("{},{}", section.segment, section.name);
        if section.zerofill() {
            flaws.check(false, "fixup without bytes", &at, *address, "bytes in the file");
        }
        let Some(bind) = &fixup.bind else { continue };
        let libraries = image.file.libraries.len() as i64;
        let known = (WEAK..=libraries).contains(&bind.ordinal);
        flaws.check(known, "bind to a library that is not there", &at, *address, "one there");
        // Without names of libraries there is nothing to count.
        let good = !flat || matches!(bind.ordinal, WEAK | FLAT);
        let wanted = "a look-up everywhere";
        flaws.check(good, "flat image binds to one library", &bind.name, *address, wanted);
        if bind.name.is_empty() {
            flaws.check(false, "bind of no name", &at, *address, "a name");
        }
        if bind.lazy {
            let slot = section.kind() == LAZY;
            flaws.check(slot, "lazy bind elsewhere", &bind.name, *address, "of a lazy pointer");
            let helper = fixup.rebase.is_some_and(|target| image.executable(target));
            flaws.check(helper, "lazy pointer", &bind.name, *address, "its helper's address");
        }
    }
    names(image, flaws);
}

/// What binds look up is in the symbol table: as an import, or as the image's own that yields.
fn names(image: &Image<'_>, flaws: &mut Flaws) {
    let known = |name: &str| {
        image.file.symbols.iter().any(|symbol| symbol.external() && symbol.name == name)
    };
    for (address, fixup) in &image.fixups.map {
        let names = [
            fixup.bind.as_ref().map(|bind| bind.name.as_str()),
            fixup.coalesce.as_ref().map(|pair| pair.0.as_str()),
        ];
        for name in names.into_iter().flatten() {
            flaws.check(known(name), "bind of no symbol", name, *address, "a symbol of the table");
        }
    }
    for name in &image.fixups.strong {
        if !known(name) {
            flaws.add("strong definition of no symbol", name, "missing", "a symbol of the table");
        }
    }
}

/// The table of LC_DYLD_CHAINED_FIXUPS, read again.
fn chained(image: &Image<'_>, blob: &[u8], flaws: &mut Flaws) {
    let word = |at| u32_at(blob, at).unwrap_or(0);
    let (starts, imports, names) = (word(4), word(8), word(12));
    let at = "chained fixups";
    flaws.check(
        starts >= 28 && starts.is_multiple_of(4),
        "chain starts",
        at,
        starts.into(),
        "4 by 4",
    );
    let ordered = starts <= imports && imports <= names && names as usize <= blob.len();
    flaws.check(ordered, "order of chained tables", at, imports.into(), "starts, imports, names");
    let (count, format) = (u64::from(word(16)), word(20));
    let size = [4, 8, 16].get(format.wrapping_sub(1) as usize).copied().unwrap_or(0_u64);
    flaws.check(size > 0, "import format", at, format.into(), "1, 2 or 3");
    let room = u64::from(names.wrapping_sub(imports));
    flaws.check(size * count <= room, "imports over names", at, count, "room for each");
    let pool = blob.get(names as usize..).unwrap_or_default();
    for i in 0..count {
        let entry = u64::from(imports) + size * i;
        let name = match format {
            3 => u64_at(blob, entry).unwrap_or(0) >> 32,
            _ => u64::from(word(entry) >> 9),
        };
        let good = name < pool.len() as u64 && !str_at(pool, name).is_empty();
        flaws.check(good, "import's name", i, name, "in the pool");
    }
    for index in 0..u64::from(word(starts.into())) {
        let offset = word(u64::from(starts) + 4 + 4 * index);
        let Some(segment) = image.file.segments.get(index as usize).filter(|_| offset > 0) else {
            continue;
        };
        let start = u64::from(starts) + u64::from(offset);
        let half = |k| u64::from(u16_at(blob, start + k).unwrap_or(0));
        let (page, pages) = (half(4), half(20));
        let wanted = image.file.machine.page;
        flaws.check(page == wanted, "page size of chains", segment.name, page, "the machine's");
        let most = segment.size.div_ceil(wanted);
        flaws.check(pages <= most, "pages of chains", segment.name, pages, "the segment's");
        flaws.check(segment.writable(), "chains in read-only memory", segment.name, 0, "writable");
        let limit = word(start + 16);
        flaws.check(limit == 0, "max_valid_pointer", segment.name, limit.into(), "0");
        for k in 0..pages {
            let first = half(22 + 2 * k);
            let good = first == 0xffff || first < page;
            flaws.check(good, "page's chain starts outside", segment.name, first, "inside");
        }
    }
}
