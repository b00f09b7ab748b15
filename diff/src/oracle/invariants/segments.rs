//! What a kernel and a dynamic linker take for granted about program headers.

use object::elf;

use super::Flaws;
use super::image::{Image, Segment};
use crate::Request;

const PAGE: u64 = 4096;

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    each(image, flaws);
    loads(image, flaws);
    inside(image, flaws);
    relro(request, image, flaws);
    tls(image, flaws);
    permissions(image, flaws);
    interpreter(request, image, flaws);
    if !request.mode.is_library() && image.entry != 0 {
        let code = image.loads().any(|l| l.flags & 1 != 0 && l.has(image.entry, 1));
        flaws.check(code, "entry outside of code", "e_entry", image.entry, "an executable address");
    }
}

/// The loader that was asked for.
fn interpreter(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let Some(segment) = image.segment(elf::PT_INTERP.0) else { return };
    let args = request.args.iter();
    let named =
        args.clone().find_map(|arg| arg.trim_start_matches('-').strip_prefix("dynamic-linker="));
    let next = args.skip_while(|arg| arg.trim_start_matches('-') != "dynamic-linker").nth(1);
    let asked = named.or(next.map(String::as_str)).unwrap_or(request.target.arch.interpreter());
    let start = usize::try_from(segment.offset).unwrap_or(usize::MAX);
    let found = image.bytes.get(start..).unwrap_or_default();
    let found = &found[..found.len().min(usize::try_from(segment.filesz).unwrap_or(usize::MAX))];
    if found.strip_suffix(&[0]) != Some(asked.as_bytes()) {
        let found = String::from_utf8_lossy(found);
        flaws.add("another loader than asked for", "PT_INTERP", found, "the path and a NUL");
    }
}

fn each(image: &Image<'_>, flaws: &mut Flaws) {
    for (i, segment) in image.segments.iter().enumerate() {
        let at = format!("segment {i} (type {:#x})", segment.kind);
        let end = segment.offset.checked_add(segment.filesz);
        // Of a segment without bytes the offset says nothing.
        let fits = segment.filesz == 0 || end.is_some_and(|end| end <= image.bytes.len() as u64);
        flaws.check(fits, "segment beyond the file", &at, segment.offset, "inside the file");
        let align = segment.align;
        let power = align == 0 || align.is_power_of_two();
        flaws.check(power, "segment alignment", &at, align, "a power of two");
        if matches!(elf::ProgramType(segment.kind), elf::PT_LOAD | elf::PT_TLS)
            && power
            && align > 1
            && segment.filesz > 0
        {
            let congruent = segment.vaddr % align == segment.offset % align;
            flaws.check(
                congruent,
                "offset not congruent to address",
                &at,
                segment.offset,
                "p_vaddr mod p_align",
            );
        }
        if segment.kind == elf::PT_LOAD.0 {
            let sizes = segment.filesz <= segment.memsz;
            flaws.check(sizes, "p_filesz above p_memsz", &at, segment.filesz, "at most p_memsz");
        }
    }
}

fn loads(image: &Image<'_>, flaws: &mut Flaws) {
    let loads: Vec<&Segment> = image.loads().filter(|load| load.memsz > 0).collect();
    for pair in loads.windows(2) {
        let at = format!("PT_LOAD at {:#x}", pair[1].vaddr);
        let ascending = pair[0].vaddr < pair[1].vaddr;
        flaws.check(ascending, "PT_LOADs not ascending", &at, pair[0].vaddr, "ascending addresses");
        if !ascending {
            continue;
        }
        let apart = pair[0].end() <= pair[1].vaddr;
        flaws.check(apart, "PT_LOADs overlap", &at, pair[0].end(), "disjoint segments");
        // The loader maps whole pages: the second hides the end of the first.
        let first_page = (pair[0].end().saturating_sub(1)) / PAGE;
        let shared = apart && first_page == pair[1].vaddr / PAGE;
        let same_file_page = pair[0].vaddr.wrapping_sub(pair[0].offset)
            == pair[1].vaddr.wrapping_sub(pair[1].offset)
            && pair[0].filesz == pair[0].memsz
            && pair[0].flags == pair[1].flags;
        let good = !shared || same_file_page;
        flaws.check(good, "PT_LOADs share a page", &at, pair[0].end(), "a page for each");
    }
}

/// Segments that describe a part of a PT_LOAD.
fn inside(image: &Image<'_>, flaws: &mut Flaws) {
    for (kind, section) in [
        (elf::PT_DYNAMIC, ".dynamic"),
        (elf::PT_INTERP, ".interp"),
        (elf::PT_GNU_EH_FRAME, ".eh_frame_hdr"),
        (elf::PT_PHDR, ""),
        (elf::PT_GNU_RELRO, ""),
    ] {
        let Some(segment) = image.segment(kind.0) else {
            let missing = image.named(section).is_some_and(|s| !section.is_empty() && s.size > 0);
            flaws.check(!missing, "section without its segment", section, 0, "a segment for it");
            continue;
        };
        if segment.memsz == 0 || segment.filesz == 0 {
            continue;
        }
        let at = format!("{kind:?}");
        // Writers round the end of RELRO up to a page.
        let len = if kind == elf::PT_GNU_RELRO { segment.filesz } else { segment.memsz };
        let load = image.loads().find(|load| load.has(segment.vaddr, len));
        flaws.check(
            load.is_some(),
            "segment outside of PT_LOADs",
            &at,
            segment.vaddr,
            "inside one",
        );
        if let Some(load) = load {
            let same =
                segment.vaddr.wrapping_sub(segment.offset) == load.vaddr.wrapping_sub(load.offset);
            flaws.check(
                same,
                "segment maps other bytes",
                &at,
                segment.offset,
                "as its PT_LOAD does",
            );
        }
        if let Some(section) = image.named(section).filter(|_| !section.is_empty()) {
            let same = (segment.vaddr, segment.memsz) == (section.addr, section.size);
            flaws.check(
                same,
                "segment and section differ",
                &at,
                segment.vaddr,
                "the section's range",
            );
        }
        if kind == elf::PT_PHDR {
            let good = segment.offset == image.phoff;
            flaws.check(good, "PT_PHDR elsewhere", &at, segment.offset, "e_phoff");
        }
    }
}

/// The loader protects the whole pages of RELRO, its first page included.
fn relro(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let Some(relro) = image.segment(elf::PT_GNU_RELRO.0) else {
        // Every linker is told `-z relro`; the request may say otherwise.
        let words = request.args.iter().map(|arg| arg.strip_prefix("-z").unwrap_or(arg));
        let last = words.rev().find(|word| matches!(*word, "relro" | "norelro"));
        let dynamic =
            image.named(".dynamic").filter(|s| s.in_memory() && s.is(super::image::WRITE));
        if let Some(section) = dynamic.filter(|_| last != Some("norelro")) {
            flaws.add("no PT_GNU_RELRO", ".dynamic", format!("{:#x}", section.addr), "protected");
        }
        return;
    };
    let (start, end) = (relro.vaddr / PAGE * PAGE, relro.end() / PAGE * PAGE);
    for section in image.sections.iter().filter(|s| s.in_memory() && s.is(super::image::WRITE)) {
        // The page of RELRO's start may have something else before it.
        let before = end > start && section.addr < relro.vaddr && section.end() > start;
        // bfd puts the reserved entries of .got.plt, and only those, into RELRO.
        let straddles = section.addr < end && section.end() > relro.end();
        let hit = before || (straddles && section.name != ".got.plt");
        flaws.check(
            !hit,
            "RELRO protects writable data",
            &section.name,
            section.addr,
            "outside of its pages",
        );
        let within = section.addr >= relro.vaddr && section.end() <= relro.end();
        let cut = within && section.end() > end && section.name.starts_with(".data.rel.ro");
        flaws.check(
            !cut,
            "RELRO ends inside a section",
            &section.name,
            relro.end(),
            "a page boundary",
        );
    }
    let now = request.args.iter().any(|arg| arg == "now" || arg == "-znow");
    for name in [".dynamic", ".got"] {
        let Some(section) = image.named(name) else { continue };
        let loaders = section.in_memory() && section.is(super::image::WRITE);
        let inside = section.addr >= relro.vaddr && section.end() <= relro.end();
        let good = inside || !loaders || (name == ".got" && !now);
        flaws.check(good, "outside of RELRO", name, section.addr, "inside");
    }
}

fn tls(image: &Image<'_>, flaws: &mut Flaws) {
    let sections: Vec<_> =
        image.sections.iter().filter(|s| s.is(super::image::TLS) && s.size > 0).collect();
    let Some(tls) = image.segment(elf::PT_TLS.0) else {
        if let Some(first) = sections.first() {
            flaws.add("TLS without PT_TLS", &first.name, "none", "a PT_TLS");
        }
        return;
    };
    for section in sections {
        let inside = section.addr >= tls.vaddr && section.end() <= tls.end();
        flaws.check(inside, "TLS section outside of PT_TLS", &section.name, section.addr, "inside");
        let good = section.align <= tls.align.max(1);
        flaws.check(good, "PT_TLS alignment too small", &section.name, tls.align, "the section's");
    }
    let load = image.loads().any(|load| load.has(tls.vaddr, tls.filesz));
    flaws.check(
        load || tls.filesz == 0,
        "PT_TLS outside of PT_LOADs",
        "PT_TLS",
        tls.vaddr,
        "inside",
    );
}

fn permissions(image: &Image<'_>, flaws: &mut Flaws) {
    let asked = image
        .sections
        .iter()
        .any(|s| s.is(super::image::WRITE) && s.is(super::image::EXEC) && s.name != ".plt");
    for load in image.loads() {
        let both = load.flags & 3 == 3;
        flaws.check(!both || asked, "writable code", "PT_LOAD", load.vaddr, "W or X");
    }
    if let Some(stack) = image.segment(elf::PT_GNU_STACK.0) {
        let good = stack.flags & 1 == 0;
        flaws.check(good, "executable stack", "PT_GNU_STACK", stack.flags.into(), "not executable");
    }
}
