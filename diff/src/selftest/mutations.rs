//! The table of faults: a name, and how to plant it into an ELF64 image by its own structures.

use object::elf;

/// One fault.
pub struct Mutation {
    /// What is broken.
    pub name: &'static str,
    /// Plants it; false if this image has nothing of the kind.
    pub apply: fn(&mut [u8]) -> bool,
}

/// Every fault, one row each.
pub const MUTATIONS: &[Mutation] = &[
    Mutation { name: "PT_LOAD p_flags: writable code", apply: |i| flags(i, 1, 2) },
    Mutation { name: "PT_LOAD p_flags: data read-only", apply: |i| flags(i, 2, 2) },
    Mutation { name: "PT_LOAD p_vaddr not congruent", apply: |i| segment(i, elf::PT_LOAD, 16, 8) },
    Mutation {
        name: "PT_LOAD p_filesz too large",
        apply: |i| segment(i, elf::PT_LOAD, 32, 1 << 40),
    },
    Mutation {
        name: "PT_GNU_RELRO too long",
        apply: |i| segment(i, elf::PT_GNU_RELRO, 40, 0x3000),
    },
    Mutation { name: "PT_GNU_STACK executable", apply: |i| xor(i, elf::PT_GNU_STACK, 4, 1) },
    Mutation {
        // By two words: gold rounds the size up to the alignment, where one word less is no fault.
        name: "PT_TLS p_memsz too small",
        apply: |i| segment(i, elf::PT_TLS, 40, u64::MAX - 15),
    },
    Mutation { name: "PT_TLS p_align too small", apply: |i| set_segment(i, elf::PT_TLS, 48, 1) },
    Mutation { name: "PT_DYNAMIC elsewhere", apply: |i| segment(i, elf::PT_DYNAMIC, 16, 16) },
    Mutation { name: "DT_STRSZ short", apply: |i| tag(i, 10, |v| v / 2) },
    Mutation { name: "DT_SYMTAB off by an entry", apply: |i| tag(i, 6, |v| v + 24) },
    Mutation { name: "DT_RELASZ short", apply: |i| tag(i, 8, |v| v - 24) },
    Mutation { name: "DT_RELAENT wrong", apply: |i| tag(i, 9, |v| v + 8) },
    Mutation { name: "DT_INIT_ARRAYSZ zero", apply: |i| tag(i, 27, |_| 0) },
    Mutation { name: "DT_GNU_HASH elsewhere", apply: |i| tag(i, 0x6fff_fef5, |v| v + 8) },
    Mutation { name: "DT_RELACOUNT too large", apply: |i| tag(i, 0x6fff_fff9, |v| v + 1000) },
    Mutation { name: "RELATIVE addend off by one", apply: |i| rela(i, 8, |r| add(r, 16, 1)) },
    Mutation {
        name: "RELATIVE addend without its low bits",
        apply: |i| rela(i, 8, |r| add(r, 16, 16)),
    },
    Mutation { name: "RELATIVE at the wrong place", apply: |i| rela(i, 8, |r| add(r, 0, 8)) },
    Mutation {
        name: "RELATIVE outside of the image",
        apply: |i| rela(i, 8, |r| add(r, 0, 1 << 32)),
    },
    Mutation {
        name: "symbolic relocation names another symbol",
        apply: |i| rela(i, 1, |r| add(r, 12, 1)),
    },
    Mutation {
        name: "symbolic relocation of another type",
        apply: |i| rela(i, 1, |r| add(r, 8, 9)),
    },
    Mutation { name: "GLOB_DAT names another symbol", apply: |i| rela(i, 6, |r| add(r, 12, 1)) },
    Mutation { name: "JUMP_SLOT names another symbol", apply: |i| rela(i, 7, |r| add(r, 12, 1)) },
    Mutation { name: "JUMP_SLOT at the wrong place", apply: |i| rela(i, 7, |r| add(r, 0, 8)) },
    Mutation { name: "dynsym value off by one", apply: |i| symbol(i, "v", |s| add(s, 8, 1)) },
    Mutation { name: "dynsym value far away", apply: |i| symbol(i, "f", |s| add(s, 8, 1 << 33)) },
    Mutation { name: "dynsym size off by one", apply: |i| symbol(i, "v", |s| add(s, 16, 1)) },
    Mutation { name: "dynsym type", apply: |i| symbol(i, "v", |s| flip(s, 4, 3)) },
    Mutation { name: "dynsym binding", apply: |i| symbol(i, "v", |s| flip(s, 4, 0x30)) },
    Mutation { name: "dynsym visibility", apply: |i| symbol(i, "v", |s| flip(s, 5, 3)) },
    Mutation { name: "dynsym section", apply: |i| symbol(i, "v", |s| flip(s, 6, 0xff)) },
    Mutation { name: "dynsym name", apply: |i| symbol(i, "v", |s| flip(s, 0, 1)) },
    Mutation { name: "TLS symbol's value", apply: |i| symbol(i, "t", |s| add(s, 8, 1 << 20)) },
    Mutation { name: ".gnu.hash chain", apply: |i| last_word(i, elf::SHT_GNU_HASH) },
    Mutation { name: ".gnu.hash bloom filter", apply: |i| zero(i, elf::SHT_GNU_HASH, 16, 8) },
    Mutation { name: ".hash nchain", apply: |i| zero(i, elf::SHT_HASH, 4, 4) },
    Mutation { name: "code: call target off by one", apply: |i| code(i, &[0xe8], 1) },
    Mutation { name: "code: GOT slot off by eight", apply: |i| code(i, &[0x48, 0x8b, 0x05], 8) },
    Mutation { name: "code: lea off by one", apply: |i| code(i, &[0x48, 0x8d, 0x0d], 1) },
    Mutation { name: "code: lea opcode is a mov", apply: |i| opcode(i, &[0x48, 0x8d, 0x0d], 1, 6) },
    Mutation {
        name: "data byte lost",
        apply: |i| find(i, &[0x11; 16]).is_some_and(|at| flip(&mut i[at + 5..], 0, 0x11)),
    },
    Mutation {
        name: "read-only byte lost",
        apply: |i| find(i, b"a table of bytes").is_some_and(|at| flip(&mut i[at..], 3, 1)),
    },
    Mutation {
        name: "TLS template byte lost",
        apply: |i| find(i, &[0x22; 8]).is_some_and(|at| flip(&mut i[at..], 2, 1)),
    },
    Mutation {
        name: "probe's constant",
        apply: |i| find(i, &[0x48, 0xb8, 1, 0, 0]).is_some_and(|at| flip(&mut i[at..], 4, 1)),
    },
    Mutation { name: "section header: address", apply: |i| header(i, elf::SHT_INIT_ARRAY, 16) },
    Mutation { name: "section header: size", apply: |i| header(i, elf::SHT_DYNSYM, 32) },
    Mutation { name: "DT_NULL overwritten", apply: no_end },
];

fn get(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, value: u64) -> bool {
    match bytes.get_mut(at..at.saturating_add(8)) {
        Some(field) => {
            field.copy_from_slice(&value.to_le_bytes());
            true
        }
        None => false,
    }
}

/// Adds to a 64-bit field (a 32-bit one at 12 has nothing behind it in a relocation's info).
fn add(bytes: &mut [u8], at: usize, number: u64) -> bool {
    if at == 12 {
        return bytes.get_mut(12).is_some_and(|byte| {
            *byte = byte.wrapping_add(number as u8);
            true
        });
    }
    get(bytes, at).is_some_and(|value| put(bytes, at, value.wrapping_add(number)))
}

fn flip(bytes: &mut [u8], at: usize, bits: u8) -> bool {
    bytes.get_mut(at).is_some_and(|byte| {
        *byte ^= bits;
        true
    })
}

fn small(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let field = bytes.get(at..at + len)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

/// File offsets of the program headers of this type.
fn segments(image: &[u8], kind: elf::ProgramType) -> Vec<usize> {
    let table = small(image, 32, 8).unwrap_or(0);
    (0..small(image, 56, 2).unwrap_or(0))
        .map(|i| table + i * 56)
        .filter(|at| small(image, *at, 4) == Some(kind.0 as usize))
        .collect()
}

fn segment(image: &mut [u8], kind: elf::ProgramType, field: usize, number: u64) -> bool {
    let at = segments(image, kind).last().copied();
    at.is_some_and(|at| add(image, at + field, number))
}

fn set_segment(image: &mut [u8], kind: elf::ProgramType, field: usize, number: u64) -> bool {
    segments(image, kind).last().copied().is_some_and(|at| put(image, at + field, number))
}

fn xor(image: &mut [u8], kind: elf::ProgramType, field: usize, bits: u8) -> bool {
    segments(image, kind).first().copied().is_some_and(|at| flip(image, at + field, bits))
}

/// Flips a permission of the first PT_LOAD that has `having`.
fn flags(image: &mut [u8], having: u8, bits: u8) -> bool {
    let mut list = segments(image, elf::PT_LOAD).into_iter();
    let at = list.find(|at| image.get(at + 4).is_some_and(|flags| flags & having != 0));
    at.is_some_and(|at| flip(image, at + 4, bits))
}

/// File offset and size of the first section of this type.
fn section(image: &[u8], kind: elf::SectionType) -> Option<(usize, usize)> {
    let at = section_header(image, kind)?;
    Some((small(image, at + 24, 8)?, small(image, at + 32, 8)?))
}

fn section_header(image: &[u8], kind: elf::SectionType) -> Option<usize> {
    let table = small(image, 40, 8)?;
    let mut list = (0..small(image, 60, 2)?).map(|i| table + i * 64);
    list.find(|at| small(image, at + 4, 4) == Some(kind.0 as usize))
}

fn header(image: &mut [u8], kind: elf::SectionType, field: usize) -> bool {
    section_header(image, kind).is_some_and(|at| add(image, at + field, 0x1001))
}

fn tag(image: &mut [u8], tag: u64, change: fn(u64) -> u64) -> bool {
    let Some((start, size)) = section(image, elf::SHT_DYNAMIC) else { return false };
    for at in (start..start + size).step_by(16) {
        if get(image, at) == Some(tag) {
            let value = get(image, at + 8).unwrap_or(0);
            return put(image, at + 8, change(value));
        }
    }
    false
}

fn no_end(image: &mut [u8]) -> bool {
    let Some((start, size)) = section(image, elf::SHT_DYNAMIC) else { return false };
    for at in (start..start + size).step_by(16) {
        if get(image, at) == Some(0) {
            put(image, at, 30);
        }
    }
    true
}

/// Changes the first dynamic relocation of this type.
fn rela(image: &mut [u8], kind: usize, change: fn(&mut [u8]) -> bool) -> bool {
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
fn symbol(image: &mut [u8], name: &str, change: fn(&mut [u8]) -> bool) -> bool {
    let Some((start, size)) = section(image, elf::SHT_DYNSYM) else { return false };
    let Some(header) = section_header(image, elf::SHT_DYNSYM) else { return false };
    let strings = small(image, header + 40, 4).unwrap_or(0);
    let table = small(image, 40, 8).unwrap_or(0);
    let strings = small(image, table + strings * 64 + 24, 8).unwrap_or(0);
    for at in (start..start.saturating_add(size)).step_by(24) {
        let text = strings + small(image, at, 4).unwrap_or(0);
        let wanted = [name.as_bytes(), &[0]].concat();
        if image.get(text..text + wanted.len()) == Some(&wanted)
            && let Some(entry) = image.get_mut(at..at + 24)
        {
            return change(entry);
        }
    }
    false
}

fn last_word(image: &mut [u8], kind: elf::SectionType) -> bool {
    let Some((start, size)) = section(image, kind) else { return false };
    size >= 4 && flip(&mut image[start + size - 4..], 1, 0xff)
}

fn zero(image: &mut [u8], kind: elf::SectionType, at: usize, len: usize) -> bool {
    let Some((start, size)) = section(image, kind) else { return false };
    at + len <= size && {
        image[start + at..start + at + len].fill(0);
        true
    }
}

fn find(image: &[u8], bytes: &[u8]) -> Option<usize> {
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

fn code(image: &mut [u8], opcode: &[u8], number: u8) -> bool {
    let Some(at) = place(image, opcode) else { return false };
    flip(&mut image[at + opcode.len()..], 0, number)
}

fn opcode(image: &mut [u8], opcode: &[u8], byte: usize, bits: u8) -> bool {
    place(image, opcode).is_some_and(|at| flip(&mut image[at..], byte, bits))
}
