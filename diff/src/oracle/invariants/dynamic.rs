//! The dynamic section against the sections it speaks of; versions.

use object::elf;

use super::Flaws;
use super::image::{Image, half, quad};
use crate::Request;
use crate::class::Class;
use crate::model::elf::machine;

/// Tag, its name, the type of the section whose address it has.
const ADDRESSES: &[(i64, &str, elf::SectionType)] = &[
    (4, "DT_HASH", elf::SHT_HASH),
    (6, "DT_SYMTAB", elf::SHT_DYNSYM),
    (0x6fff_fef5, "DT_GNU_HASH", elf::SHT_GNU_HASH),
    (0x6fff_fff0, "DT_VERSYM", elf::SHT_GNU_VERSYM),
    (0x6fff_fffc, "DT_VERDEF", elf::SHT_GNU_VERDEF),
    (0x6fff_fffe, "DT_VERNEED", elf::SHT_GNU_VERNEED),
    (25, "DT_INIT_ARRAY", elf::SHT_INIT_ARRAY),
    (26, "DT_FINI_ARRAY", elf::SHT_FINI_ARRAY),
    (36, "DT_RELR", elf::SHT_RELR),
];

/// Tag, its name, its address tag, the size of an entry.
fn sizes(class: Class) -> [(i64, &'static str, i64, u64); 7] {
    let (sizes, word) = (class.sizes(), class.word());
    [
        (8, "DT_RELASZ", 7, sizes.rela),
        (18, "DT_RELSZ", 17, sizes.rel),
        (2, "DT_PLTRELSZ", 23, word),
        (27, "DT_INIT_ARRAYSZ", 25, word),
        (28, "DT_FINI_ARRAYSZ", 26, word),
        (35, "DT_RELRSZ", 36, word),
        (10, "DT_STRSZ", 5, 1),
    ]
}

/// Tag, its name, its only value.
fn constants(class: Class, rel: bool) -> [(i64, &'static str, u64); 5] {
    let sizes = class.sizes();
    [
        (9, "DT_RELAENT", sizes.rela),
        (19, "DT_RELENT", sizes.rel),
        (11, "DT_SYMENT", sizes.symbol),
        (20, "DT_PLTREL", if rel { 17 } else { 7 }),
        (37, "DT_RELRENT", class.word()),
    ]
}

/// Bits of DT_FLAGS_1 that are a promise to the loader, and the `-z` word that asks for each.
const PROMISES: &[(u64, &str)] = &[
    (0x2, "global"),
    (0x10, "loadfltr"),
    (0x20, "initfirst"),
    (0x40, "nodlopen"),
    (0x80, "origin"),
    (0x400, "interpose"),
    (0x800, "nodefaultlib"),
    (0x1000, "nodump"),
];

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let Some(list) = &image.dynamic else { return };
    flags(request, image, flaws);
    flaws.check(image.terminated, "dynamic section without an end", "PT_DYNAMIC", 0, "DT_NULL");
    for (i, (tag, _)) in list.iter().enumerate() {
        let many =
            [1, 0x6fff_fffd_u64 as i64, 0x7fff_fffd, 0x7fff_ffff, 22].contains(&(*tag as i64));
        let twice = !many && list[..i].iter().any(|(other, _)| other == tag);
        flaws.check(!twice, "dynamic tag twice", format!("tag {tag:#x}"), *tag, "once");
    }
    for (tag, name, kind) in ADDRESSES {
        let section = image.sections.iter().find(|s| s.kind == kind.0 && s.size > 0);
        match (image.tag(*tag), section) {
            (Some(value), Some(section)) => {
                flaws.check(
                    value == section.addr,
                    "dynamic tag and section differ",
                    name,
                    value,
                    "sh_addr",
                );
            }
            (None, Some(section)) => {
                flaws.check(
                    false,
                    "section without its dynamic tag",
                    name,
                    section.addr,
                    "the tag",
                );
            }
            _ => {}
        }
    }
    for (tag, name, address, entry) in sizes(image.class) {
        let (size, start) = (image.tag(tag), image.tag(address));
        let pair = size.is_some() == start.is_some() || size == Some(0);
        flaws.check(pair, "dynamic tag without its pair", name, size.unwrap_or(0), "both");
        let (Some(size), Some(start)) = (size, start) else { continue };
        flaws.check(size % entry == 0, "table of broken entries", name, size, "whole entries");
        let there = size == 0 || image.range(start, size).is_some();
        flaws.check(there, "table outside of the image", name, start, "inside a PT_LOAD");
    }
    let rel = machine::of(image.header.machine).is_some_and(|machine| machine.rel);
    for (tag, name, value) in constants(image.class, rel) {
        let found = image.tag(tag).unwrap_or(value);
        flaws.check(
            found == value,
            "wrong constant in the dynamic section",
            name,
            found,
            "the ABI's",
        );
    }
    sizes_of_sections(image, flaws);
    strings(image, flaws);
    versions(image, flaws);
    hidden(image, flaws);
}

/// What nobody asked for. What must be there are facts.
fn flags(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let asked = |word: &str| request.args.iter().any(|arg| arg.contains(word));
    let origin = u64::from(asked("origin"));
    let flags = image.tag(30).unwrap_or(0) & !(0x1e | origin);
    flaws.check(flags == 0, "DT_FLAGS that nobody asked for", "DT_FLAGS", flags, "none");
    // Bound at load, not to be unloaded, a program.
    let mut allowed = 0x1 | 0x8;
    if request.mode == crate::Mode::Pie {
        allowed |= 0x0800_0000;
    }
    let promised = PROMISES.iter().filter(|(_, word)| asked(word));
    allowed = promised.fold(allowed, |allowed, (bit, _)| allowed | bit);
    let flags = image.tag(0x6fff_fffb).unwrap_or(0) & !allowed;
    flaws.check(flags == 0, "DT_FLAGS_1 that nobody asked for", "DT_FLAGS_1", flags, "none");
}

/// Where one section is the whole table the sizes must be equal.
fn sizes_of_sections(image: &Image<'_>, flaws: &mut Flaws) {
    for (name, tag, size_tag) in [
        (".init_array", 25, 27),
        (".fini_array", 26, 28),
        (".relr.dyn", 36, 35),
        (".dynstr", 5, 10),
    ] {
        let (Some(section), Some(addr), Some(size)) =
            (image.named(name), image.tag(tag), image.tag(size_tag))
        else {
            continue;
        };
        let same = section.addr == addr && section.size == size;
        flaws.check(same, "table and section differ in size", name, size, "sh_size");
    }
    // Every stored dynamic relocation is in a table that the loader reads.
    let mut tables: Vec<(u64, u64)> = Vec::new();
    for (start, size) in [(7, 8), (17, 18), (23, 2)] {
        tables.extend(image.tag(start).zip(image.tag(size)));
    }
    let relas = image
        .sections
        .iter()
        .filter(|s| matches!(s.kind, 4 | 9) && s.is(super::image::ALLOC) && s.size > 0);
    for section in relas {
        let covered = tables.iter().any(|(start, size)| {
            section.addr >= *start && section.end() <= start.saturating_add(*size)
        });
        flaws.check(
            covered,
            "relocations that the loader misses",
            &section.name,
            section.addr,
            "in a table",
        );
    }
}

/// A definition that no other module may see is removed or made local.
///
/// Spec: gABI ch. 4, "Symbol Visibility".
fn hidden(image: &Image<'_>, flaws: &mut Flaws) {
    let Some(table) = image.dynsym() else { return };
    for (i, symbol) in image.symbols(table).iter().enumerate() {
        let seen = symbol.hidden() && symbol.defined() && !symbol.local();
        let (at, other) = (format!(".dynsym[{i}]"), symbol.other.into());
        flaws.check(!seen, "hidden definition is exported", at, other, "a local one, or none");
    }
}

/// Names in the dynamic section.
fn strings(image: &Image<'_>, flaws: &mut Flaws) {
    for (tag, value) in image.dynamic.iter().flatten() {
        if [1, 14, 15, 29].contains(tag) {
            let name = u32::try_from(*value).ok().and_then(|at| image.dynstr(at));
            flaws.check(
                name.is_some(),
                "name outside of .dynstr",
                format!("tag {tag}"),
                *value,
                "a string",
            );
        }
    }
}

/// Every version index has its definition or need, and hashes are those of the names.
fn versions(image: &Image<'_>, flaws: &mut Flaws) {
    let Some(dynsym) = image.dynsym() else { return };
    let count = dynsym.size / image.class.sizes().symbol;
    let mut known = vec![0_u16, 1];
    definitions(image, &mut known, flaws);
    needs(image, &mut known, flaws);
    let Some(versym) = image.tag(0x6fff_fff0) else {
        flaws.check(known.len() == 2, "versions without DT_VERSYM", ".gnu.version", 0, "DT_VERSYM");
        return;
    };
    for i in 0..count {
        let index = image.range(versym, count * 2).and_then(|bytes| half(bytes, i * 2));
        let Some(index) = index else {
            flaws.check(false, "version table too short", ".gnu.version", i, "an entry per symbol");
            return;
        };
        let good = known.contains(&(index & 0x7fff));
        flaws.check(
            good,
            "version that nobody defines",
            format!(".gnu.version[{i}]"),
            index.into(),
            "an index of a version",
        );
    }
}

/// glibc knows only the first version of the records.
fn record_version(bytes: &[u8], at: String, flaws: &mut Flaws) {
    let version = half(bytes, 0).unwrap_or(0);
    flaws.check(version == 1, "version record's version", at, version.into(), "1");
}

fn definitions(image: &Image<'_>, known: &mut Vec<u16>, flaws: &mut Flaws) {
    let (Some(start), Some(number)) = (image.tag(0x6fff_fffc), image.tag(0x6fff_fffd)) else {
        return;
    };
    let mut at = start;
    for i in 0..number {
        let Some(bytes) = image.range(at, 20) else {
            flaws.check(
                false,
                "version definitions cut short",
                "DT_VERDEF",
                i,
                "DT_VERDEFNUM of them",
            );
            return;
        };
        record_version(bytes, format!("verdef {i}"), flaws);
        let aux = at.saturating_add(quad(bytes, 12).unwrap_or(0).into());
        let name = image.at(aux).and_then(|b| quad(b, 0)).and_then(|at| image.dynstr(at));
        let hash = quad(bytes, 8).unwrap_or(0);
        let good = name.is_some_and(|name| super::hash::sysv(name) == hash);
        flaws.check(
            good,
            "version definition's hash",
            format!("verdef {i}"),
            hash.into(),
            "its name's",
        );
        known.push(half(bytes, 4).unwrap_or(0) & 0x7fff);
        let next = quad(bytes, 16).unwrap_or(0);
        let end = (next == 0) == (i + 1 == number);
        flaws.check(
            end,
            "DT_VERDEFNUM",
            format!("verdef {i}"),
            number,
            "the number of definitions",
        );
        at = at.saturating_add(next.into());
        if next == 0 {
            return;
        }
    }
}

fn needs(image: &Image<'_>, known: &mut Vec<u16>, flaws: &mut Flaws) {
    let (Some(start), Some(number)) = (image.tag(0x6fff_fffe), image.tag(0x6fff_ffff)) else {
        return;
    };
    let needed: Vec<&[u8]> = image
        .dynamic
        .iter()
        .flatten()
        .filter(|(tag, _)| *tag == 1)
        .filter_map(|(_, value)| image.dynstr(u32::try_from(*value).ok()?))
        .collect();
    let mut at = start;
    for i in 0..number {
        let Some(bytes) = image.range(at, 16) else {
            flaws.check(false, "version needs cut short", "DT_VERNEED", i, "DT_VERNEEDNUM of them");
            return;
        };
        record_version(bytes, format!("verneed {i}"), flaws);
        let file = quad(bytes, 4).and_then(|at| image.dynstr(at)).unwrap_or_default();
        let good = needed.contains(&file);
        flaws.check(
            good,
            "versions of a library not needed",
            format!("verneed {i}"),
            i,
            "a DT_NEEDED",
        );
        names(image, at, bytes, i, known, flaws);
        let next = quad(bytes, 12).unwrap_or(0);
        let end = (next == 0) == (i + 1 == number);
        flaws.check(end, "DT_VERNEEDNUM", format!("verneed {i}"), number, "the number of needs");
        at = at.saturating_add(next.into());
        if next == 0 {
            return;
        }
    }
}

/// The versions needed of one library; `bytes` is the record at `at`, the `i`-th.
fn names(
    image: &Image<'_>,
    at: u64,
    bytes: &[u8],
    i: u64,
    known: &mut Vec<u16>,
    flaws: &mut Flaws,
) {
    let mut aux = at.saturating_add(quad(bytes, 8).unwrap_or(0).into());
    let count = half(bytes, 2).unwrap_or(0);
    for number in 0..count {
        let Some(bytes) = image.range(aux, 16) else { break };
        let name = quad(bytes, 8).and_then(|at| image.dynstr(at));
        let hash = quad(bytes, 0).unwrap_or(0);
        let good = name.is_some_and(|name| super::hash::sysv(name) == hash);
        flaws.check(good, "version need's hash", format!("verneed {i}"), hash.into(), "its name's");
        let other = half(bytes, 6).unwrap_or(0);
        let fresh = !known.contains(&other);
        flaws.check(fresh, "version index twice", format!("verneed {i}"), other.into(), "its own");
        known.push(other);
        let next = quad(bytes, 12).unwrap_or(0);
        aux = aux.saturating_add(next.into());
        // glibc follows vna_next, not vn_cnt.
        let end = (next == 0) == (number + 1 == count);
        flaws.check(end, "vn_cnt", format!("verneed {i}"), next.into(), "the number of names");
        if next == 0 {
            break;
        }
    }
}
