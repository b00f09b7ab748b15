//! Dynamic relocations: where they write, what they name.

use std::collections::BTreeMap;

use super::Flaws;
use super::image::{Image, Rela};
use crate::Request;
use crate::loader::Kind;
use crate::model::elf::machine::{self, Machine};

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let Some(machine) = machine::of(request.target.arch.machine()) else { return };
    let (table, plt) = tables(image, machine);
    let symbols = image.dynsym().map(|section| image.symbols(section)).unwrap_or_default();
    let textrel = image.tag(22).is_some() || image.tag(30).is_some_and(|flags| flags & 4 != 0);
    let static_tls = image.tag(30).is_some_and(|flags| flags & 16 != 0);
    let mut written: BTreeMap<u64, u64> = BTreeMap::new();
    for (name, rela) in
        table.iter().map(|r| ("DT_RELA", r)).chain(plt.iter().map(|r| ("DT_JMPREL", r)))
    {
        let at = format!("{name} {:#x} type {}", rela.offset, rela.kind);
        let symbol = symbols.get(rela.symbol as usize);
        flaws.check(
            rela.symbol == 0 || symbol.is_some(),
            "relocation with no symbol",
            &at,
            rela.symbol.into(),
            "an index in .dynsym",
        );
        let Some((kind, size)) = (machine.dynamic)(rela.kind) else { continue };
        let len = match kind {
            Kind::Copy => symbol.map_or(1, |symbol| symbol.size),
            _ => size.into(),
        };
        place(image, rela.offset, len, &at, textrel, flaws);
        if written.insert(rela.offset, len).is_some() {
            flaws.check(false, "two relocations of one place", &at, rela.offset, "one");
        }
        target(image, rela, kind, &at, flaws);
        if kind == Kind::TpOff && request.mode.is_library() {
            flaws.check(
                static_tls,
                "static TLS without DF_STATIC_TLS",
                &at,
                rela.offset,
                "the flag",
            );
        }
        if kind == Kind::Copy && request.mode.is_library() {
            flaws.check(false, "copy relocation in a library", &at, rela.offset, "none");
        }
        known(machine, rela, kind, &at, flaws);
    }
    packed(image, textrel, &mut written, flaws);
    apart(written, flaws);
    counts(machine, image, &table, flaws);
}

/// Only what the loader knows may be left to it.
fn known(machine: &Machine, rela: &Rela, kind: Kind, at: &str, flaws: &mut Flaws) {
    let known = kind != Kind::Unknown || machine.untaken.contains(&rela.kind);
    flaws.check(
        known,
        "relocation that the loader doesn't know",
        at,
        rela.kind.into(),
        "a dynamic one",
    );
}

/// DT_RELR: inside, apart from DT_RELA, pointing inside.
fn packed(image: &Image<'_>, textrel: bool, written: &mut BTreeMap<u64, u64>, flaws: &mut Flaws) {
    for slot in relr(image) {
        let at = format!("DT_RELR {slot:#x}");
        let word = image.class.word();
        place(image, slot, word, &at, textrel, flaws);
        if written.insert(slot, word).is_some() {
            flaws.check(false, "RELR and RELA overlap", &at, slot, "one of them");
        }
        let value = image.number(slot, word as u8).unwrap_or(0);
        let inside = inside(image, value);
        flaws.check(inside, "RELR slot points outside", &at, value, "an address of the image");
    }
}

/// No two relocations write one byte.
fn apart(written: BTreeMap<u64, u64>, flaws: &mut Flaws) {
    let mut last: Option<(u64, u64)> = None;
    for (start, len) in written {
        if let Some((before, len)) = last {
            let apart = before.saturating_add(len) <= start;
            flaws.check(
                apart,
                "relocations overlap",
                format!("{start:#x}"),
                before,
                "disjoint places",
            );
        }
        last = Some((start, len));
    }
}

fn tables(image: &Image<'_>, machine: &Machine) -> (Vec<Rela>, Vec<Rela>) {
    let read = |start, size| match (image.tag(start), image.tag(size)) {
        (Some(start), Some(size)) => (start, size),
        _ => (0, 0),
    };
    let table = if machine.rel { read(17, 18) } else { read(7, 8) };
    let ((start, mut size), (plt, plt_size)) = (table, read(23, 2));
    // The PLT's may be the tail of the whole table.
    if plt_size > 0 && plt >= start && plt < start.saturating_add(size) {
        size = plt - start;
    }
    (image.relas(start, size, !machine.rel), image.relas(plt, plt_size, !machine.rel))
}

fn place(image: &Image<'_>, at: u64, len: u64, name: &str, textrel: bool, flaws: &mut Flaws) {
    let Some(load) = image.loads().find(|load| load.has(at, len)) else {
        flaws.check(false, "relocation outside of the image", name, at, "inside a PT_LOAD");
        return;
    };
    let good = load.flags & 2 != 0 || textrel;
    flaws.check(good, "relocation in read-only memory", name, at, "writable, or DT_TEXTREL");
}

fn inside(image: &Image<'_>, addr: u64) -> bool {
    let (low, high) = image
        .loads()
        .fold((u64::MAX, 0), |(low, high), load| (low.min(load.vaddr), high.max(load.end())));
    // References before or behind a section (S - 1, the end) are legal: be wide, not blind.
    addr >= low.saturating_sub(1 << 32) && addr <= high.saturating_add(1 << 32)
}

fn target(image: &Image<'_>, rela: &Rela, kind: Kind, at: &str, flaws: &mut Flaws) {
    match kind {
        Kind::Relative | Kind::Irelative => {
            flaws.check(
                rela.symbol == 0,
                "relative relocation with a symbol",
                at,
                rela.symbol.into(),
                "none",
            );
        }
        _ => {}
    }
    let word = image.class.word();
    let stored = || image.number(rela.offset, word as u8).unwrap_or(0);
    if kind == Kind::Irelative {
        let addr = rela.addend.map_or_else(stored, |addend| addend as u64);
        let code = image.loads().any(|load| load.flags & 1 != 0 && load.has(addr, 1));
        flaws.check(code, "IFUNC resolver outside of code", at, addr, "executable");
    }
    let plain = matches!(kind, Kind::Copy | Kind::GlobDat | Kind::JumpSlot | Kind::DtpMod);
    // What is in the place of one without an addend is left over, or a lazy slot's way to the resolver.
    let addend = rela.addend.unwrap_or(0) as u64;
    flaws.check(!plain || addend == 0, "addend that nothing adds", at, addend, "0");
    let needs_name = matches!(kind, Kind::Copy | Kind::GlobDat | Kind::JumpSlot);
    flaws.check(!needs_name || rela.symbol != 0, "relocation without a name", at, 0, "a symbol");
}

/// DT_RELACOUNT relative relocations come first.
fn counts(machine: &Machine, image: &Image<'_>, table: &[Rela], flaws: &mut Flaws) {
    let tag = if machine.rel { 0x6fff_fffa } else { 0x6fff_fff9 };
    if let Some(count) = image.tag(tag) {
        let first = usize::try_from(count).ok().and_then(|count| table.get(..count));
        let good = first.is_some_and(|list| list.iter().all(|rela| rela.kind == machine.relative));
        flaws.check(good, "DT_RELACOUNT", "DT_RELACOUNT", count, "relative relocations first");
    }
}

/// The addresses in DT_RELR.
fn relr(image: &Image<'_>) -> Vec<u64> {
    let (Some(start), Some(size)) = (image.tag(36), image.tag(35)) else { return Vec::new() };
    let mut list = Vec::new();
    let mut next = 0_u64;
    let word = image.class.word();
    let many = 8 * word - 1;
    for entry in image.range(start, size).unwrap_or_default().chunks_exact(word as usize) {
        let entry = crate::bytes::number(entry);
        if entry & 1 == 0 {
            list.push(entry);
            next = entry.wrapping_add(word);
        } else {
            let bits = (0..many).filter(|bit| entry >> (bit + 1) & 1 != 0);
            list.extend(bits.map(|bit| next.wrapping_add(bit * word)));
            next = next.wrapping_add(many * word);
        }
    }
    list
}
