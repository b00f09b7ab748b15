//! The table of a linker's faults: a request in, what a linker with the fault takes it for out.
//!
//! A linker that computes one relocation wrongly, or forgets one rule, links as a correct one does that
//! is given something else. So no linker needs a switch for its faults, and any can have them: the
//! judge is shown the request as it is, the linker as the fault has it.

use std::sync::Arc;

use object::elf;

use crate::{Mode, Request};

/// One fault.
pub struct Fault {
    /// What the linker does wrongly.
    pub name: &'static str,
    plant: Plant,
}

/// How a request changes.
#[derive(Clone, Copy)]
pub(super) enum Plant {
    /// As a whole; false if it does not.
    Request(fn(&mut Request) -> bool),
    /// Every symbol of an object: its 24 bytes.
    Symbol(fn(&mut [u8]) -> bool),
    /// Every section header of an object: its 64 bytes.
    Section(fn(&mut [u8]) -> bool),
    /// The addend of every relocation of this type.
    Addend(elf::RelocationType, i64),
    /// Every relocation of the first type is of the second.
    Retype(elf::RelocationType, elf::RelocationType),
}

use Plant::{Addend, Retype, Section, Symbol};

pub(super) const fn row(name: &'static str, plant: Plant) -> Fault {
    Fault { name, plant }
}

/// Every fault, one row each.
pub const FAULTS: &[Fault] = &[
    row("-Bsymbolic has no effect", Plant::Request(|r| mode(r, Mode::CShared, Mode::Shared))),
    row("-z now has no effect", Plant::Request(|r| mode(r, Mode::Plugin, Mode::Shared))),
    row("--version-script has no effect", Plant::Request(|r| lose(r, "--version-script"))),
    row("--dynamic-list has no effect", Plant::Request(|r| lose(r, "--dynamic-list"))),
    row("--export-dynamic has no effect", Plant::Request(|r| lose(r, "--export-dynamic"))),
    row("--gc-sections has no effect", Plant::Request(|r| lose(r, "--gc-sections"))),
    row("--wrap has no effect", Plant::Request(|r| lose(r, "--wrap"))),
    row("-soname has no effect", Plant::Request(|r| lose(r, "-soname"))),
    row("--as-needed has no effect", Plant::Request(|r| lose(r, "--as-needed"))),
    row("--whole-archive has no effect", Plant::Request(|r| lose(r, "--whole-archive"))),
    row("sections are collected unasked", Plant::Request(|r| add(r, &["--gc-sections"]))),
    row("no relro", Plant::Request(|r| add(r, &["-z", "norelro"]))),
    row("functions bind as with -Bsymbolic", Plant::Request(|r| add(r, &["-Bsymbolic-functions"]))),
    row("no .eh_frame_hdr", Plant::Request(|r| add(r, &["--no-eh-frame-hdr"]))),
    row("the last object comes first", Plant::Request(reverse)),
    row("protected symbols are preemptible", Symbol(|s| visibility(s, 3, 0))),
    row("hidden symbols are exported", Symbol(|s| visibility(s, 2, 0))),
    row("default symbols are hidden", Symbol(|s| defined(s) && visibility(s, 0, 2))),
    row("weak definitions are strong", Symbol(|s| defined(s) && binding(s, 2, 1))),
    row("strong definitions are weak", Symbol(|s| defined(s) && binding(s, 1, 2))),
    row("weak references are strong", Symbol(|s| !defined(s) && binding(s, 2, 1))),
    row("strong references are weak", Symbol(|s| !defined(s) && binding(s, 1, 2))),
    row("unique symbols are global", Symbol(|s| binding(s, 10, 1))),
    row("IFUNC is a function", Symbol(|s| kind(s, 10, 2))),
    row("functions are objects", Symbol(|s| kind(s, 2, 1))),
    row("sizes are lost", Symbol(|s| defined(s) && put(s, 16, 8, 0))),
    row("absolute symbols count from the base", Symbol(|s| value(s, 0xfff1, 16))),
    row("symbols are off by a word", Symbol(|s| kind_of(s) != 3 && !special(s) && raise(s, 8, 8))),
    row("alignment is lost", Section(|s| get(s, 48, 8) > 16 && put(s, 48, 8, 1))),
    row("data is read-only", Section(|s| flag(s, 1))),
    row("code is not executable", Section(|s| flag(s, 4))),
    row("mergeable strings are constants", Section(|s| flag(s, 0x20))),
    row("init_array is data", Section(|s| get(s, 4, 4) == 14 && put(s, 4, 4, 1))),
    row("fini_array is init_array", Section(|s| get(s, 4, 4) == 15 && put(s, 4, 4, 14))),
    row("64: addend off by one", Addend(elf::R_X86_64_64, 1)),
    row("PC32: addend off by one", Addend(elf::R_X86_64_PC32, 1)),
    row("PLT32: addend off by one", Addend(elf::R_X86_64_PLT32, 1)),
    row("32: addend off by one", Addend(elf::R_X86_64_32, 1)),
    row("32S: addend off by one", Addend(elf::R_X86_64_32S, 1)),
    row("PC64: addend off by one", Addend(elf::R_X86_64_PC64, 1)),
    row("GOTPCREL: addend off by eight", Addend(elf::R_X86_64_GOTPCREL, 8)),
    row("GOTPCRELX: addend off by eight", Addend(elf::R_X86_64_GOTPCRELX, 8)),
    row("REX_GOTPCRELX: addend off by eight", Addend(elf::R_X86_64_REX_GOTPCRELX, 8)),
    row("GOTOFF64: addend off by one", Addend(elf::R_X86_64_GOTOFF64, 1)),
    row("SIZE64: addend off by one", Addend(elf::R_X86_64_SIZE64, 1)),
    row("TPOFF32: addend off by four", Addend(elf::R_X86_64_TPOFF32, 4)),
    row("DTPOFF32: addend off by four", Addend(elf::R_X86_64_DTPOFF32, 4)),
    row("GOTTPOFF: the slot after", Addend(elf::R_X86_64_GOTTPOFF, 8)),
    row("TLSGD: the slot after", Addend(elf::R_X86_64_TLSGD, 8)),
    row("64 is PC64", Retype(elf::R_X86_64_64, elf::R_X86_64_PC64)),
    row("PLT32 is PC32", Retype(elf::R_X86_64_PLT32, elf::R_X86_64_PC32)),
    row("GOTPCREL is PC32", Retype(elf::R_X86_64_GOTPCREL, elf::R_X86_64_PC32)),
    row("TPOFF32 is DTPOFF32", Retype(elf::R_X86_64_TPOFF32, elf::R_X86_64_DTPOFF32)),
    row("32S is 32", Retype(elf::R_X86_64_32S, elf::R_X86_64_32)),
];

impl Fault {
    /// What a linker with this fault takes `request` for; none if that is the same.
    pub fn plant(&self, request: &Request) -> Option<Request> {
        let mut request = request.clone();
        let mut changed = false;
        if let Plant::Request(change) = self.plant {
            changed = change(&mut request);
        }
        for file in &mut request.files {
            let mut bytes = file.bytes.to_vec();
            if relocatable(&bytes) && self.object(&mut bytes) {
                file.bytes = Arc::from(bytes);
                changed = true;
            }
        }
        changed.then_some(request)
    }

    fn object(&self, image: &mut [u8]) -> bool {
        match self.plant {
            Plant::Request(_) => false,
            Symbol(change) => entries(image, elf::SHT_SYMTAB.0, 24, change),
            Section(change) => sections(image, change),
            Addend(r_type, by) => relocations(image, |r| {
                get(r, 8, 4) == u64::from(r_type.0) && raise(r, 16, by as u64)
            }),
            Retype(from, to) => relocations(image, |r| {
                get(r, 8, 4) == u64::from(from.0) && put(r, 8, 4, u64::from(to.0))
            }),
        }
    }
}

/// Changes every section header; whether any did.
pub(super) fn sections(image: &mut [u8], change: impl Fn(&mut [u8]) -> bool) -> bool {
    let (start, count) = headers(image);
    each(image, start, count.saturating_mul(64), 64, change)
}

pub(super) fn relocations(image: &mut [u8], change: impl Fn(&mut [u8]) -> bool) -> bool {
    entries(image, elf::SHT_RELA.0, 24, change)
}

fn relocatable(image: &[u8]) -> bool {
    image.starts_with(b"\x7fELF") && image.get(16) == Some(&1) && image.len() >= 64
}

/// Offset and number of the section headers.
fn headers(image: &[u8]) -> (usize, usize) {
    (get(image, 40, 8) as usize, get(image, 60, 2) as usize)
}

/// Changes every entry of the sections of this type; whether any did.
fn entries(image: &mut [u8], kind: u32, size: usize, change: impl Fn(&mut [u8]) -> bool) -> bool {
    let (start, count) = headers(image);
    let mut changed = false;
    for header in (0..count).map(|i| start.saturating_add(i * 64)) {
        if get(image, header.saturating_add(4), 4) == u64::from(kind) {
            let at = get(image, header + 24, 8) as usize;
            let bytes = get(image, header + 32, 8) as usize;
            changed |= each(image, at, bytes, size, &change);
        }
    }
    changed
}

/// Changes every entry but the first-of-nothing: entry 0 of symbols and headers is all zero.
fn each(
    image: &mut [u8],
    at: usize,
    len: usize,
    size: usize,
    change: impl Fn(&mut [u8]) -> bool,
) -> bool {
    let Some(table) = image.get_mut(at..at.saturating_add(len)) else { return false };
    let some = table.chunks_exact_mut(size).filter(|entry| entry.iter().any(|byte| *byte != 0));
    some.fold(false, |changed, entry| change(entry) | changed)
}

fn mode(request: &mut Request, from: Mode, to: Mode) -> bool {
    let is = request.mode == from;
    if is {
        request.mode = to;
    }
    is
}

fn lose(request: &mut Request, prefix: &str) -> bool {
    let before = request.args.len();
    request.args.retain(|arg| !arg.starts_with(prefix));
    request.args.len() != before
}

fn add(request: &mut Request, args: &[&str]) -> bool {
    request.args.extend(args.iter().map(|arg| (*arg).to_owned()));
    true
}

/// Swaps the first and the last object of the command line.
fn reverse(request: &mut Request) -> bool {
    let is = |arg: &String| request.file(arg).is_some_and(|file| relocatable(&file.bytes));
    let at: Vec<usize> = (0..request.args.len()).filter(|i| is(&request.args[*i])).collect();
    match at[..] {
        [first, .., last] => {
            request.args.swap(first, last);
            true
        }
        _ => false,
    }
}

pub(super) fn get(bytes: &[u8], at: usize, size: usize) -> u64 {
    let field = bytes.get(at..at.saturating_add(size)).unwrap_or_default();
    field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(super) fn put(bytes: &mut [u8], at: usize, size: usize, value: u64) -> bool {
    let changed = get(bytes, at, size) != value;
    if let Some(field) = bytes.get_mut(at..at + size) {
        field.copy_from_slice(&value.to_le_bytes()[..size]);
    }
    changed
}

pub(super) fn raise(bytes: &mut [u8], at: usize, by: u64) -> bool {
    put(bytes, at, 8, get(bytes, at, 8).wrapping_add(by))
}

fn defined(symbol: &[u8]) -> bool {
    get(symbol, 6, 2) != 0
}

/// Absolute, common or undefined.
fn special(symbol: &[u8]) -> bool {
    !defined(symbol) || get(symbol, 6, 2) >= 0xff00
}

fn kind_of(symbol: &[u8]) -> u64 {
    get(symbol, 4, 1) & 15
}

/// A global symbol of one visibility gets another.
fn visibility(symbol: &mut [u8], from: u64, to: u64) -> bool {
    let global = get(symbol, 4, 1) >> 4 != 0;
    let other = get(symbol, 5, 1);
    global && other & 3 == from && put(symbol, 5, 1, other & !3 | to)
}

fn binding(symbol: &mut [u8], from: u64, to: u64) -> bool {
    let info = get(symbol, 4, 1);
    info >> 4 == from && put(symbol, 4, 1, info & 15 | to << 4)
}

fn kind(symbol: &mut [u8], from: u64, to: u64) -> bool {
    let info = get(symbol, 4, 1);
    info & 15 == from && put(symbol, 4, 1, info & !15 | to)
}

fn value(symbol: &mut [u8], section: u64, by: u64) -> bool {
    get(symbol, 6, 2) == section && kind_of(symbol) != 4 && raise(symbol, 8, by)
}

/// An allocated section loses a flag.
fn flag(header: &mut [u8], bit: u64) -> bool {
    let flags = get(header, 8, 8);
    flags & 2 != 0 && flags & bit != 0 && put(header, 8, 8, flags & !bit)
}
