//! arm: ELF32, EABI5 with hard float, addends in the fields of two instruction sets.
//!
//! A function's offset is odd where it is Thumb code. Spec: AAELF32 §5.5 and §5.6 (2023Q3).

mod addends;

use object::elf;
use scold_diff::Arch;

use super::{Assembler, Class, Machine};
use crate::case::{Definition, Object, Section, SymbolKind};

/// The row.
pub(super) const MACHINE: Machine = Machine {
    arch: Arch::Arm,
    class: Class::Elf32,
    // EF_ARM_EABI_VER5; EF_ARM_ABI_FLOAT_HARD.
    flags: 0x0500_0000,
    library_flags: 0x400,
    page: 0x1_0000,
    unwind: elf::SHT_PROGBITS.0,
    attributes: Some((".ARM.attributes", 0x7000_0003, ATTRIBUTES)),
    addends: Some(addends::put),
    mapping,
    returns: |number, alias| match alias % 2 {
        0 => (arm_returns(number), 0),
        _ => (thumb_returns(number), 1),
    },
    // add r0, pc, #8; bx lr; nop; nop
    resolver: [
        0x08, 0, 0x8f, 0xe2, 0x1e, 0xff, 0x2f, 0xe1, 0, 0xf0, 0x20, 0xe3, 0, 0xf0, 0x20, 0xe3,
    ],
    assembler: Assembler {
        head: "\t.syntax unified\n\t.arch armv7-a\n\t.fpu vfpv3-d16\n\t.eabi_attribute 28, 1\n",
        sigil: '%',
        names: &[
            ("R_ARM_BASE_PREL", "R_ARM_GOTPC"),
            ("R_ARM_GOT_BREL", "R_ARM_GOT32"),
            ("R_ARM_THM_ALU_ABS_G3", "R_ARM_THM_ALU_ABS_G3_NC"),
        ],
        operators: &[
            ("R_ARM_TLS_GOTDESC", "tlsdesc"),
            ("R_ARM_TLS_GD32", "tlsgd"),
            ("R_ARM_TLS_IE32", "gottpoff"),
            ("R_ARM_TLS_LE32", "tpoff"),
        ],
        clang_only: &[],
        clang: "arm-linux-gnueabihf",
        returns: |number| {
            let (low, high) = (number as u32, number >> 32);
            format!(
                "\t.arm\n\tldr r0, [pc, #4]\n\tldr r1, [pc, #4]\n\tbx lr\n\t.word {low:#x}, {high:#x}\n"
            )
        },
        resolver: "\t.arm\n\tadr r0, 1f\n\tbx lr\n1:",
    },
};

/// v7-A, ARM and Thumb-2, eight bytes aligned, ints for enums, VFP arguments.
const ATTRIBUTES: &[u8] = &[
    b'A', 37, 0, 0, 0, b'a', b'e', b'a', b'b', b'i', 0, // the vendor's subsection
    1, 27, 0, 0, 0, // of the whole file
    6, 10, 7, b'A', 8, 1, 9, 2, 10, 3, 18, 4, 20, 1, 21, 1, 24, 1, 26, 2, 28, 1,
];

/// `ldr r0, [pc, #4]; ldr r1, [pc, #4]; bx lr` and the number.
fn arm_returns(number: u64) -> Vec<u8> {
    let code: [u32; 3] = [0xe59f_0004, 0xe59f_1004, 0xe12f_ff1e];
    code.iter().flat_map(|word| word.to_le_bytes()).chain(number.to_le_bytes()).collect()
}

/// `ldr r0, [pc, #4]; ldr r1, [pc, #8]; bx lr; nop` and the number.
fn thumb_returns(number: u64) -> Vec<u8> {
    let code: [u16; 4] = [0x4801, 0x4902, 0x4770, 0xbf00];
    code.iter().flat_map(|half| half.to_le_bytes()).chain(number.to_le_bytes()).collect()
}

/// `$a` or `$t` as the functions there say, `$d` for markers and words in code.
///
/// What no function begins is as the next one is, or else ARM code.
fn mapping(object: &Object, index: usize, section: &Section) -> Vec<(&'static str, u64)> {
    if !section.flags.exec || section.size() == 0 {
        return Vec::new();
    }
    let mut functions: Vec<(u64, &'static str)> = Vec::new();
    for symbol in &object.symbols {
        let code = matches!(symbol.kind, SymbolKind::Func | SymbolKind::Ifunc);
        if let (Definition::Section { section, offset }, true) = (symbol.definition, code)
            && section == index
        {
            functions.push((offset & !1, if offset & 1 == 1 { "$t" } else { "$a" }));
        }
    }
    functions.sort_unstable();
    let start = section.start();
    let first = functions.first().map_or("$a", |(_, name)| name);
    let mut list = if start > 0 { vec![("$d", 0)] } else { vec![] };
    list.push((first, start));
    list.extend(functions.iter().map(|(at, name)| (*name, *at)));
    for reloc in section.relocs.iter().filter(|reloc| addends::is_word(reloc.r_type)) {
        let state = functions.iter().rev().find(|(at, _)| *at <= reloc.offset);
        list.push(("$d", reloc.offset));
        let end = reloc.offset.saturating_add(4);
        if end < section.size() && !functions.iter().any(|(at, _)| *at == end) {
            list.push((state.map_or(first, |(_, name)| name), end));
        }
    }
    // The last of what begins at one place is the word's, and a word behind a word stays data.
    list.sort_by_key(|(name, at)| (*at, *name == "$d"));
    list.dedup_by(|later, earlier| {
        let same = later.1 == earlier.1;
        if same {
            earlier.0 = later.0;
        }
        same
    });
    list.dedup_by_key(|(name, _)| *name);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_say_their_own_length() {
        assert_eq!(ATTRIBUTES.len(), 1 + 37);
        assert_eq!(ATTRIBUTES.len() - 11, 27);
    }
}
