//! Edits of a Mach-O image by its own structures: load commands, sections, symbols and tables.
//!
//! It must not know what an edit is for. False says that the image has nothing of the kind.

use sha2::{Digest as _, Sha256};

use super::super::edit::small;

pub(super) const SYMTAB: u32 = 2;
pub(super) const DYSYMTAB: u32 = 0xb;
pub(super) const LOAD_DYLIB: u32 = 0xc;
pub(super) const ID_DYLIB: u32 = 0xd;
pub(super) const LOAD_DYLINKER: u32 = 0xe;
pub(super) const ROUTINES: u32 = 0x1a;
pub(super) const UUID: u32 = 0x1b;
pub(super) const SIGNATURE: u32 = 0x1d;
pub(super) const MAIN: u32 = 0x8000_0028;
pub(super) const BUILD_VERSION: u32 = 0x32;
const SEGMENT: u32 = 0x19;
const INFO: u32 = 0x8000_0022;
const TRIE: u32 = 0x8000_0033;
const CHAINS: u32 = 0x8000_0034;

pub(in crate::selftest) fn is_macho(image: &[u8]) -> bool {
    small(image, 0, 4) == Some(0xfeed_facf)
}

/// Changes the 32-bit word at `at`.
pub(super) fn word(image: &mut [u8], at: usize, change: fn(u32) -> u32) -> bool {
    let Some(bytes) = image.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
        return false;
    };
    *bytes = change(u32::from_le_bytes(*bytes)).to_le_bytes();
    true
}

/// Where load commands of a kind are, and their sizes.
fn commands(image: &[u8], number: u32) -> Vec<(usize, usize)> {
    let mut at = 32;
    let mut list = Vec::new();
    for _ in 0..small(image, 16, 4).unwrap_or(0) {
        let (Some(found), Some(size)) = (small(image, at, 4), small(image, at + 4, 4)) else {
            break;
        };
        if found == number as usize {
            list.push((at, size));
        }
        at += size.max(8);
    }
    list
}

/// Changes the first load command of a kind.
pub(super) fn command(image: &mut [u8], number: u32, change: fn(&mut [u8])) -> bool {
    let Some(&(at, size)) = commands(image, number).first() else { return false };
    change(&mut image[at..at + size]);
    true
}

pub(super) fn signed(image: &[u8]) -> bool {
    !commands(image, SIGNATURE).is_empty()
}

pub(super) fn chained(image: &[u8]) -> bool {
    !commands(image, CHAINS).is_empty()
}

pub(super) fn arm64(image: &[u8]) -> bool {
    small(image, 4, 4) == Some(0x0100_000c)
}

/// Makes an instruction of `__text` do nothing.
pub(super) fn nop(image: &mut [u8], at: usize) -> bool {
    let start = header(image, "__text").and_then(|header| small(image, header + 48, 4));
    start.is_some_and(|start| word(image, start + at, |_| 0xd503_201f))
}

fn named(image: &[u8], at: usize, name: &str) -> bool {
    image.get(at..at + 16).is_some_and(|field| {
        field.starts_with(name.as_bytes()) && field[name.len()..].iter().all(|byte| *byte == 0)
    })
}

/// Changes the word at `field` of the segment called `name`.
pub(super) fn segment(image: &mut [u8], name: &str, field: usize, change: fn(u32) -> u32) -> bool {
    let list = commands(image, SEGMENT);
    let found = list.into_iter().find(|(at, _)| named(image, at + 8, name));
    found.is_some_and(|(at, _)| word(image, at + field, change))
}

/// Where the header of the section called `name` is, the first of that name.
fn header(image: &[u8], name: &str) -> Option<usize> {
    let segments = commands(image, SEGMENT).into_iter();
    let mut headers = segments.flat_map(|(at, size)| (at + 72..at + size).step_by(80));
    headers.find(|at| named(image, *at, name))
}

/// Changes the word at `field` of the header of the section called `name`.
pub(super) fn section(image: &mut [u8], name: &str, field: usize, change: fn(u32) -> u32) -> bool {
    header(image, name).is_some_and(|at| word(image, at + field, change))
}

/// Flips bits of a section's byte.
pub(super) fn contents(image: &mut [u8], name: &str, byte: usize, bits: u8) -> bool {
    let Some(at) = header(image, name) else { return false };
    let (start, size) = (small(image, at + 48, 4), small(image, at + 40, 8));
    let (Some(start), Some(size)) = (start, size) else { return false };
    let Some(found) = image.get_mut(start + byte).filter(|_| byte < size) else { return false };
    *found ^= bits;
    true
}

/// Changes the entry of the symbol called `name`.
pub(super) fn symbol(image: &mut [u8], name: &str, change: fn(&mut [u8])) -> bool {
    let Some(&(at, _)) = commands(image, SYMTAB).first() else { return false };
    let field = |k| small(image, at + k, 4).unwrap_or(0);
    let (table, count, strings) = (field(8), field(12), field(16));
    let text = [name.as_bytes(), &[0]].concat();
    let found = (0..count).map(|i| table + 16 * i).find(|entry| {
        let at = strings + small(image, *entry, 4).unwrap_or(0);
        image.get(at..).is_some_and(|rest| rest.starts_with(&text))
    });
    let Some(entry) = found.and_then(|at| image.get_mut(at..at + 16)) else { return false };
    change(entry);
    true
}

/// Where a load command of the kind offset and size says.
fn place(image: &[u8], number: u32, field: usize) -> Option<(usize, usize)> {
    let (at, _) = *commands(image, number).first()?;
    let (start, size) = (small(image, at + field, 4)?, small(image, at + field + 4, 4)?);
    (size > 0 && start + size <= image.len()).then_some((start, size))
}

/// Changes a table.
pub(super) fn table(image: &mut [u8], number: u32, change: fn(&mut [u8])) -> bool {
    let Some((start, size)) = place(image, number, 8) else { return false };
    change(&mut image[start..start + size]);
    true
}

pub(super) fn chains(image: &mut [u8], change: fn(&mut [u8])) -> bool {
    table(image, CHAINS, change)
}

/// Changes what tells where chains start; the first number is where the first segment with any is.
pub(super) fn starts(image: &mut [u8], change: fn(usize, &mut [u8])) -> bool {
    let Some((start, size)) = place(image, CHAINS, 8) else { return false };
    let from = start + small(image, start + 4, 4).unwrap_or(0);
    let segments = small(image, from, 4).unwrap_or(0);
    let mut offsets = (0..segments).filter_map(|i| small(image, from + 4 + 4 * i, 4));
    let Some(first) = offsets.find(|offset| *offset > 0) else { return false };
    change(first, &mut image[from..start + size]);
    true
}

/// Changes the first entry of the import table that names a library.
pub(super) fn import(image: &mut [u8], change: fn(&mut [u8])) -> bool {
    let Some((start, size)) = place(image, CHAINS, 8) else { return false };
    let field = |at| small(image, start + at, 4).unwrap_or(0);
    // The subjects' addends make the format 2.
    let (table, count) = (start + field(8), if field(20) == 2 { field(16) } else { 0 });
    let mut entries = (0..count).map(|i| table + 8 * i);
    let found = entries.find(|at| image.get(*at).is_some_and(|ordinal| *ordinal < 0xf0));
    let Some(entry) = found.and_then(|at| image.get_mut(at..start + size)) else { return false };
    change(entry);
    true
}

/// Changes a stream of LC_DYLD_INFO: rebase, bind, weak bind, lazy bind.
pub(super) fn opcodes(image: &mut [u8], stream: usize, change: fn(&mut [u8])) -> bool {
    let Some((start, size)) = place(image, INFO, 8 + 8 * stream) else { return false };
    change(&mut image[start..start + size]);
    true
}

fn trie_place(image: &[u8]) -> Option<(usize, usize)> {
    place(image, TRIE, 8).or_else(|| place(image, INFO, 40))
}

pub(super) fn trie(image: &mut [u8], change: fn(&mut [u8])) -> bool {
    let Some((start, size)) = trie_place(image) else { return false };
    change(&mut image[start..start + size]);
    true
}

/// Flips bits of a byte of the first leaf that a walk along first edges meets: flags, then the value.
pub(super) fn leaf(image: &mut [u8], byte: usize, bits: u8) -> bool {
    let Some((start, size)) = trie_place(image) else { return false };
    let bytes = &mut image[start..start + size];
    let mut at = 0;
    // Sizes of leaves are one byte, and offsets of nodes at most two.
    while bytes.get(at) == Some(&0) {
        let Some(len) = bytes[at + 2..].iter().position(|byte| *byte == 0) else { return false };
        let edge = at + 2 + len + 1;
        let low = usize::from(bytes[edge]);
        let high = if low > 127 { usize::from(bytes[edge + 1]) << 7 } else { 0 };
        at = low & 127 | high;
    }
    bytes.get_mut(at + 1 + byte).is_some_and(|found| {
        *found ^= bits;
        true
    })
}

/// Changes the first slot of the GOT.
pub(super) fn got(image: &mut [u8], change: fn(&mut [u8])) -> bool {
    let start = header(image, "__got").and_then(|at| small(image, at + 48, 4));
    let Some(slot) = start.and_then(|start| image.get_mut(start..start + 8)) else { return false };
    change(slot);
    chained(image)
}

/// The first entry of the stub helper names a bind one byte further.
pub(super) fn helper(image: &mut [u8]) -> bool {
    contents(image, "__stub_helper", if arm64(image) { 24 + 8 } else { 16 + 1 }, 1)
}

/// The first stub jumps by the pointer behind its own.
pub(super) fn stub(image: &mut [u8]) -> bool {
    match arm64(image) {
        // The offset of ldr is in units of 8 from bit 10 on.
        true => contents(image, "__stubs", 5, 4),
        false => contents(image, "__stubs", 2, 8),
    }
}

/// Changes the entry of the first stub in the table of indirect symbols.
pub(super) fn indirect(image: &mut [u8], change: fn(u32) -> u32) -> bool {
    let Some(&(at, _)) = commands(image, DYSYMTAB).first() else { return false };
    let first = header(image, "__stubs").and_then(|header| small(image, header + 68, 4));
    let Some((first, table)) = first.zip(small(image, at + 56, 4)) else { return false };
    word(image, table + 4 * first, change)
}

/// Flips a bit of the index of the unwind table.
pub(super) fn unwind(image: &mut [u8], field: usize) -> bool {
    let start = header(image, "__unwind_info").and_then(|at| small(image, at + 48, 4));
    let index = start.and_then(|start| small(image, start + 20, 4));
    index.is_some_and(|index| contents(image, "__unwind_info", index + field, 4))
}

/// Flips a bit of the signature's last hash.
pub(super) fn hash(image: &mut [u8]) -> bool {
    let Some((start, _)) = place(image, SIGNATURE, 8) else { return false };
    let size = small(image, start + 4, 4).map_or(0, |size| (size as u32).swap_bytes() as usize);
    image.get_mut(start + size - 1).is_some_and(|byte| {
        *byte ^= 1;
        true
    })
}

/// Signs again what is signed, so that a fault is not seen by its hash alone.
pub(in crate::selftest) fn seal(image: &mut [u8]) -> Option<()> {
    let (start, _) = place(image, SIGNATURE, 8)?;
    let big = |at: usize| Some((small(image, at, 4)? as u32).swap_bytes() as usize);
    let directory = start + big(start + 16)?;
    let (hashes, count) = (directory + big(directory + 16)?, big(directory + 28)?);
    let page = 1_usize << image.get(directory + 39).filter(|log| **log < 20)?;
    let (code, rest) = image.split_at_mut_checked(start)?;
    for (i, page) in code.chunks(page).enumerate().take(count) {
        let at = hashes - start + 32 * i;
        rest.get_mut(at..at + 32)?.copy_from_slice(&Sha256::digest(page));
    }
    Some(())
}
