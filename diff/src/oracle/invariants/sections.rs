//! Section headers and symbol tables among themselves and against the segments.

use object::elf;

use super::Flaws;
use super::image::{ALLOC, EXEC, Image, Section, WRITE};

/// Names that linkers make: gold gives them the index of any section near.
const RESERVED: &[&str] = &[
    "_end",
    "end",
    "_edata",
    "edata",
    "_etext",
    "etext",
    "__bss_start",
    // Of GNU ld for Arm, before the alignment of .bss and behind it.
    "__bss_start__",
    "_bss_end__",
    "__bss_end__",
    "__end__",
];

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    for section in &image.sections {
        one(image, section, flaws);
    }
    overlaps(image, flaws);
    for table in &image.sections {
        if matches!(elf::SectionType(table.kind), elf::SHT_SYMTAB | elf::SHT_DYNSYM) {
            symbols(image, table, flaws);
        }
    }
}

fn one(image: &Image<'_>, section: &Section, flaws: &mut Flaws) {
    let at = &section.name;
    if section.kind == 0 {
        return;
    }
    let inside = image.data(section).is_some();
    flaws.check(inside, "section beyond the file", at, section.offset, "inside the file");
    let power = section.align == 0 || section.align.is_power_of_two();
    flaws.check(power, "section alignment", at, section.align, "a power of two");
    if section.is(ALLOC) && power && section.align > 1 {
        let aligned = section.addr.is_multiple_of(section.align);
        flaws.check(aligned, "section misaligned", at, section.addr, "a multiple of sh_addralign");
    }
    let (sizes, word) = (image.class.sizes(), image.class.word());
    let entry = match elf::SectionType(section.kind) {
        elf::SHT_SYMTAB | elf::SHT_DYNSYM => sizes.symbol,
        elf::SHT_RELA => sizes.rela,
        elf::SHT_REL => sizes.rel,
        elf::SHT_DYNAMIC => sizes.dynamic,
        elf::SHT_RELR | elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY => word,
        elf::SHT_GNU_VERSYM => 2,
        _ => 1,
    };
    let whole = section.size.is_multiple_of(entry);
    flaws.check(whole, "section of broken entries", at, section.size, "whole entries");
    let listed = matches!(
        elf::SectionType(section.kind),
        elf::SHT_SYMTAB | elf::SHT_DYNSYM | elf::SHT_RELA | elf::SHT_REL | elf::SHT_DYNAMIC
    );
    let declared = !listed || section.entsize == entry;
    flaws.check(declared, "sh_entsize", at, section.entsize, "the size of an entry");
    let linked = (section.link as usize) < image.sections.len();
    flaws.check(linked, "sh_link", at, section.link.into(), "a section");
    links(image, section, flaws);
    if section.in_memory() {
        mapped(image, section, flaws);
    }
}

fn links(image: &Image<'_>, section: &Section, flaws: &mut Flaws) {
    let wanted = match elf::SectionType(section.kind) {
        elf::SHT_SYMTAB | elf::SHT_DYNSYM | elf::SHT_DYNAMIC => elf::SHT_STRTAB,
        elf::SHT_GNU_VERDEF | elf::SHT_GNU_VERNEED => elf::SHT_STRTAB,
        elf::SHT_HASH | elf::SHT_GNU_HASH | elf::SHT_GNU_VERSYM => elf::SHT_DYNSYM,
        _ => return,
    };
    if let Some(other) = image.sections.get(section.link as usize) {
        let good = other.kind == wanted.0;
        flaws.check(good, "sh_link to another kind", &section.name, other.kind.into(), "its table");
    }
}

fn mapped(image: &Image<'_>, section: &Section, flaws: &mut Flaws) {
    let at = &section.name;
    let Some(load) = image.loads().find(|load| load.has(section.addr, section.size)) else {
        flaws.check(false, "section outside of PT_LOADs", at, section.addr, "inside one");
        return;
    };
    if section.kind != elf::SHT_NOBITS.0 {
        let same =
            section.addr.wrapping_sub(section.offset) == load.vaddr.wrapping_sub(load.offset);
        flaws.check(same, "section maps other bytes", at, section.offset, "as its PT_LOAD does");
        let stored = section.end() <= load.vaddr.saturating_add(load.filesz);
        flaws.check(stored, "section beyond p_filesz", at, section.addr, "stored bytes");
    }
    let writable = !section.is(WRITE) || load.flags & 2 != 0;
    flaws.check(writable, "writable section in a read-only segment", at, section.addr, "W");
    let runs = !section.is(EXEC) || load.flags & 1 != 0;
    flaws.check(runs, "code in a segment that is not executable", at, section.addr, "X");
}

fn overlaps(image: &Image<'_>, flaws: &mut Flaws) {
    let mut memory: Vec<&Section> = image.sections.iter().filter(|s| s.in_memory()).collect();
    memory.sort_by_key(|section| section.addr);
    for pair in memory.windows(2) {
        let at = format!("{} and {}", pair[0].name, pair[1].name);
        let apart = pair[0].end() <= pair[1].addr;
        flaws.check(apart, "sections overlap in memory", at, pair[1].addr, "disjoint sections");
    }
    let stored = |s: &&Section| s.kind != elf::SHT_NOBITS.0 && s.kind != 0 && s.size > 0;
    let mut file: Vec<&Section> = image.sections.iter().filter(stored).collect();
    file.sort_by_key(|section| section.offset);
    for pair in file.windows(2) {
        let at = format!("{} and {}", pair[0].name, pair[1].name);
        let apart = pair[0].offset.saturating_add(pair[0].size) <= pair[1].offset;
        flaws.check(apart, "sections overlap in the file", at, pair[1].offset, "disjoint sections");
    }
}

fn symbols(image: &Image<'_>, table: &Section, flaws: &mut Flaws) {
    let strings = image.sections.get(table.link as usize).and_then(|s| image.data(s));
    let strings = strings.unwrap_or_default();
    let tls = image.segment(elf::PT_TLS.0);
    for (i, symbol) in image.symbols(table).iter().enumerate() {
        let name = super::image::text(strings, symbol.name.into());
        let shown = String::from_utf8_lossy(name.unwrap_or_default());
        let at = format!("{}[{i}] {shown}", table.name);
        flaws.check(name.is_some(), "symbol without a name", &at, symbol.name.into(), "a string");
        let local = (i as u64) < u64::from(table.info);
        let good = local == symbol.local();
        flaws.check(
            good,
            "locals and globals mixed",
            &at,
            table.info.into(),
            "sh_info between them",
        );
        let index = symbol.section;
        if index == 0 || index >= elf::SHN_LORESERVE {
            continue;
        }
        let Some(section) = image.sections.get(usize::from(index)) else {
            flaws.check(false, "symbol in no section", &at, index.into(), "a section");
            continue;
        };
        if symbol.kind() == elf::STT_TLS.0 {
            // The base of a block stays in .symtab as bfd's name for its end, padding and all, or as 0
            // where there is none: no loader asks.
            let base = shown == "_TLS_MODULE_BASE_" && table.kind == elf::SHT_SYMTAB.0;
            let good = base || tls.is_some_and(|tls| symbol.value <= tls.memsz);
            flaws.check(good, "TLS symbol outside of PT_TLS", &at, symbol.value, "an offset in it");
        } else if RESERVED.contains(&&*shown) {
            // Which section they belong to is each linker's choice.
        } else if section.is(ALLOC) && table.kind == elf::SHT_DYNSYM.0 && section.in_memory() {
            let good = symbol.value >= section.addr && symbol.value <= section.end();
            flaws.check(good, "symbol outside of its section", &at, symbol.value, "inside");
        }
    }
}
