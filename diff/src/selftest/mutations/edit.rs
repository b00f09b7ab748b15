//! Edits of an ELF64 image by its own structures: headers, tags, tables and symbols by name.
//!
//! It must not know what an edit is for. False says that the image has nothing of the kind.

use object::elf;

pub(in crate::selftest) fn get(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

pub(in crate::selftest) fn put(bytes: &mut [u8], at: usize, value: u64) -> bool {
    match bytes.get_mut(at..at.saturating_add(8)) {
        Some(field) => {
            field.copy_from_slice(&value.to_le_bytes());
            true
        }
        None => false,
    }
}

/// Adds to a 64-bit field (a 32-bit one at 12 has nothing behind it in a relocation's info).
pub(in crate::selftest) fn add(bytes: &mut [u8], at: usize, number: u64) -> bool {
    if at == 12 {
        return bytes.get_mut(12).is_some_and(|byte| {
            *byte = byte.wrapping_add(number as u8);
            true
        });
    }
    get(bytes, at).is_some_and(|value| put(bytes, at, value.wrapping_add(number)))
}

pub(in crate::selftest) fn flip(bytes: &mut [u8], at: usize, bits: u8) -> bool {
    bytes.get_mut(at).is_some_and(|byte| {
        *byte ^= bits;
        true
    })
}

pub(in crate::selftest) fn small(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let field = bytes.get(at..at + len)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

/// File offsets of the program headers of this type.
pub(in crate::selftest) fn segments(image: &[u8], kind: elf::ProgramType) -> Vec<usize> {
    let table = small(image, 32, 8).unwrap_or(0);
    (0..small(image, 56, 2).unwrap_or(0))
        .map(|i| table + i * 56)
        .filter(|at| small(image, *at, 4) == Some(kind.0 as usize))
        .collect()
}

pub(in crate::selftest) fn segment(
    image: &mut [u8],
    kind: elf::ProgramType,
    field: usize,
    number: u64,
) -> bool {
    let at = segments(image, kind).last().copied();
    at.is_some_and(|at| add(image, at + field, number))
}

pub(in crate::selftest) fn set_segment(
    image: &mut [u8],
    kind: elf::ProgramType,
    field: usize,
    number: u64,
) -> bool {
    segments(image, kind).last().copied().is_some_and(|at| put(image, at + field, number))
}

pub(in crate::selftest) fn xor(
    image: &mut [u8],
    kind: elf::ProgramType,
    field: usize,
    bits: u8,
) -> bool {
    segments(image, kind).first().copied().is_some_and(|at| flip(image, at + field, bits))
}

/// Flips a permission of the first PT_LOAD that has `having`.
pub(in crate::selftest) fn flags(image: &mut [u8], having: u8, bits: u8) -> bool {
    let mut list = segments(image, elf::PT_LOAD).into_iter();
    let at = list.find(|at| image.get(at + 4).is_some_and(|flags| flags & having != 0));
    at.is_some_and(|at| flip(image, at + 4, bits))
}

/// File offset and size of the first section of this type.
pub(in crate::selftest) fn section(image: &[u8], kind: elf::SectionType) -> Option<(usize, usize)> {
    let at = section_header(image, kind)?;
    Some((small(image, at + 24, 8)?, small(image, at + 32, 8)?))
}

pub(in crate::selftest) fn section_header(image: &[u8], kind: elf::SectionType) -> Option<usize> {
    let table = small(image, 40, 8)?;
    let mut list = (0..small(image, 60, 2)?).map(|i| table + i * 64);
    list.find(|at| small(image, at + 4, 4) == Some(kind.0 as usize))
}

pub(in crate::selftest) fn header(image: &mut [u8], kind: elf::SectionType, field: usize) -> bool {
    section_header(image, kind).is_some_and(|at| add(image, at + field, 0x1001))
}

pub(in crate::selftest) fn tag(image: &mut [u8], tag: u64, change: fn(u64) -> u64) -> bool {
    let Some((start, size)) = section(image, elf::SHT_DYNAMIC) else { return false };
    for at in (start..start + size).step_by(16) {
        if get(image, at) == Some(tag) {
            let value = get(image, at + 8).unwrap_or(0);
            return put(image, at + 8, change(value));
        }
    }
    false
}

pub(in crate::selftest) fn no_end(image: &mut [u8]) -> bool {
    let Some((start, size)) = section(image, elf::SHT_DYNAMIC) else { return false };
    for at in (start..start + size).step_by(16) {
        if get(image, at) == Some(0) {
            put(image, at, 30);
        }
    }
    true
}

/// Changes the first dynamic relocation of this type.
pub(in crate::selftest) fn rela(
    image: &mut [u8],
    kind: usize,
    change: fn(&mut [u8]) -> bool,
) -> bool {
    let table = small(image, 40, 8).unwrap_or(0);
    for header in (0..small(image, 60, 2).unwrap_or(0)).map(|i| table + i * 64) {
        if small(image, header + 4, 4) != Some(elf::SHT_RELA.0 as usize) {
            continue;
        }
        let (start, size) = (small(image, header + 24, 8), small(image, header + 32, 8));
        let (Some(start), Some(size)) = (start, size) else { continue };
        for at in (start..start.saturating_add(size)).step_by(24) {
            if small(image, at + 8, 4) == Some(kind)
                && let Some(entry) = image.get_mut(at..at + 24)
            {
                return change(entry);
            }
        }
    }
    false
}

/// Changes the dynamic symbol of this name.
pub(in crate::selftest) fn symbol(
    image: &mut [u8],
    name: &str,
    change: fn(&mut [u8]) -> bool,
) -> bool {
    let at = symbol_at(image, name);
    at.and_then(|at| image.get_mut(at..at + 24)).is_some_and(change)
}

/// The file offset of the dynamic symbol of this name.
fn symbol_at(image: &[u8], name: &str) -> Option<usize> {
    let (start, size) = section(image, elf::SHT_DYNSYM)?;
    let header = section_header(image, elf::SHT_DYNSYM)?;
    let strings = small(image, header + 40, 4)?;
    let table = small(image, 40, 8)?;
    let strings = small(image, table + strings * 64 + 24, 8)?;
    let wanted = [name.as_bytes(), &[0]].concat();
    let mut entries = (start..start.saturating_add(size)).step_by(24);
    entries.find(|at| {
        let text = strings + small(image, *at, 4).unwrap_or(0);
        image.get(text..text + wanted.len()) == Some(&wanted)
    })
}

pub(in crate::selftest) fn last_word(image: &mut [u8], kind: elf::SectionType) -> bool {
    let Some((start, size)) = section(image, kind) else { return false };
    size >= 4 && flip(&mut image[start + size - 4..], 1, 0xff)
}

pub(in crate::selftest) fn zero(
    image: &mut [u8],
    kind: elf::SectionType,
    at: usize,
    len: usize,
) -> bool {
    let Some((start, size)) = section(image, kind) else { return false };
    at + len <= size && {
        image[start + at..start + at + len].fill(0);
        true
    }
}

pub(in crate::selftest) fn find(image: &[u8], bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(image, bytes)
}

/// The displacement behind this opcode in the subject's function, found by the marker of .text.
fn place(image: &[u8], opcode: &[u8]) -> Option<usize> {
    let marker =
        [crate::model::MARKER_MAGIC, crate::model::digest(b".text").to_le_bytes()].concat();
    let start = find(image, &marker)? + 16;
    let code = image.get(start..start + 20)?;
    Some(start + find(code, opcode)?)
}

pub(in crate::selftest) fn code(image: &mut [u8], opcode: &[u8], number: u8) -> bool {
    let Some(at) = place(image, opcode) else { return false };
    flip(&mut image[at + opcode.len()..], 0, number)
}

pub(in crate::selftest) fn opcode(image: &mut [u8], opcode: &[u8], byte: usize, bits: u8) -> bool {
    place(image, opcode).is_some_and(|at| flip(&mut image[at..], byte, bits))
}

/// Changes the tag of an entry, keeping its value.
pub(in crate::selftest) fn retag(image: &mut [u8], tag: u64, other: u64) -> bool {
    let Some((start, size)) = section(image, elf::SHT_DYNAMIC) else { return false };
    let mut entries = (start..start + size).step_by(16);
    entries.find(|at| get(image, *at) == Some(tag)).is_some_and(|at| put(image, at, other))
}

/// File offset and size of the section of this name.
pub(in crate::selftest) fn named(image: &[u8], name: &str) -> Option<(usize, usize)> {
    let table = small(image, 40, 8)?;
    let names = small(image, table + small(image, 62, 2)? * 64 + 24, 8)?;
    let wanted = [name.as_bytes(), &[0]].concat();
    let mut list = (0..small(image, 60, 2)?).map(|i| table + i * 64);
    let header = list.find(|at| {
        let text = names + small(image, *at, 4).unwrap_or(0);
        image.get(text..text + wanted.len()) == Some(&wanted)
    })?;
    Some((small(image, header + 24, 8)?, small(image, header + 32, 8)?))
}

/// Flips a bit of the named section's byte `at`.
pub(in crate::selftest) fn text(image: &mut [u8], name: &str, at: usize) -> bool {
    named(image, name).is_some_and(|(start, size)| at < size && flip(image, start + at, 1))
}

/// Flips bits of byte `at` of the first section of this type.
pub(in crate::selftest) fn bytes_of(
    image: &mut [u8],
    kind: elf::SectionType,
    at: usize,
    bits: u8,
) -> bool {
    section(image, kind).is_some_and(|(start, size)| at < size && flip(image, start + at, bits))
}

/// Loses the last entry of the packed relocations (or the last of its bits).
pub(in crate::selftest) fn last_relr(image: &mut [u8]) -> bool {
    let Some((start, size)) = section(image, elf::SHT_RELR) else { return false };
    let mut entries = (start..start + size).step_by(8).rev();
    let Some(at) = entries.find(|at| get(image, *at).is_some_and(|e| e & 1 != 0)) else {
        return false;
    };
    let entry = get(image, at).unwrap_or(0);
    let bit = 63 - entry.leading_zeros();
    bit > 0 && put(image, at, entry & !(1 << bit))
}

/// Flips bits of the version index of the dynamic symbol of this name.
pub(in crate::selftest) fn version(image: &mut [u8], name: &str, bits: u16) -> bool {
    let Some((start, _)) = section(image, elf::SHT_DYNSYM) else { return false };
    let Some((versions, _)) = section(image, elf::SHT_GNU_VERSYM) else { return false };
    let Some(at) = symbol_at(image, name) else { return false };
    let at = versions + (at - start) / 24 * 2;
    let [low, high] = bits.to_le_bytes();
    flip(image, at, low) && flip(image, at + 1, high)
}

/// Flips bits of the byte `at` behind the start of `pattern` in `.eh_frame`, wherever it is: gold has
/// a CIE of its own before those of the inputs.
pub(in crate::selftest) fn frame(image: &mut [u8], pattern: &[u8], at: isize, bits: u8) -> bool {
    let Some((start, size)) = named(image, ".eh_frame") else { return false };
    let bytes = image.get(start..start + size).unwrap_or_default();
    let found: Vec<usize> = memchr::memmem::find_iter(bytes, pattern).collect();
    let flip_at = |place: &usize| {
        (start + place).checked_add_signed(at).is_some_and(|at| flip(image, at, bits))
    };
    found.iter().map(flip_at).fold(false, |any, done| any | done)
}

/// Whether functions are bound when they are called first.
pub(in crate::selftest) fn lazy(image: &[u8]) -> bool {
    let Some((start, size)) = section(image, elf::SHT_DYNAMIC) else { return false };
    let now = |at: usize| match (get(image, at), get(image, at + 8)) {
        (Some(24), _) => true,
        (Some(30), Some(flags)) => flags & 8 != 0,
        (Some(0x6fff_fffb), Some(flags)) => flags & 1 != 0,
        _ => false,
    };
    !(start..start + size).step_by(16).any(now)
}

/// Flips a bit of byte `at` of the second version definition; the first is the file's own name.
pub(in crate::selftest) fn definition(image: &mut [u8], at: usize) -> bool {
    let Some((start, _)) = section(image, elf::SHT_GNU_VERDEF) else { return false };
    match small(image, start + 16, 4) {
        Some(next) if next > 0 => flip(image, start + next + at, 8),
        _ => false,
    }
}

/// Moves the slot that `mov x@GOTTPOFF(%rip), %rdx` reads, or the offset it was rewritten to.
pub(in crate::selftest) fn thread(image: &mut [u8]) -> bool {
    let slot = find(image, &[0x48, 0x8b, 0x15]).map(|at| at + 3);
    let number = find(image, &[0x48, 0xc7, 0xc2]).map(|at| at + 3);
    number.or(slot).is_some_and(|at| flip(image, at, 8))
}
