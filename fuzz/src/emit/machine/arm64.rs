//! arm64: ELF64, addends in tables, `$x` and `$d` where code and data alternate.

use object::elf;
use scold_diff::Arch;

use super::{Assembler, Class, Machine};
use crate::case::{Object, Section};

/// The row.
pub(super) const MACHINE: Machine = Machine {
    arch: Arch::Arm64,
    class: Class::Elf64,
    flags: 0,
    library_flags: 0,
    page: 0x1_0000,
    unwind: elf::SHT_PROGBITS.0,
    attributes: None,
    addends: None,
    mapping,
    returns: |number, _| (returns(number), 0),
    // adr x0, . + 16; ret; nop; nop
    resolver: [
        0x80, 0, 0, 0x10, 0xc0, 0x03, 0x5f, 0xd6, 0x1f, 0x20, 0x03, 0xd5, 0x1f, 0x20, 0x03, 0xd5,
    ],
    assembler: Assembler {
        head: "",
        sigil: '@',
        names: &[],
        operators: &[],
        clang_only: &["R_AARCH64_PLT32", "R_AARCH64_GOTPCREL32"],
        clang: "aarch64-linux-gnu",
        returns: |number| format!("\tldr x0, ={number:#x}\n\tret\n\t.ltorg\n"),
        resolver: "\tadr x0, 1f\n\tret\n1:",
    },
};

/// `movz`, three `movk`, `ret`.
fn returns(number: u64) -> Vec<u8> {
    let moves = (0..4).map(|half| {
        let opcode: u32 = if half == 0 { 0xd280_0000 } else { 0xf280_0000 };
        opcode | half << 21 | ((number >> (16 * half) & 0xffff) as u32) << 5
    });
    moves.chain([0xd65f_03c0]).flat_map(u32::to_le_bytes).collect()
}

/// A marker is data, the rest of a section with code is code. Spec: AAELF64 §5.5.5.
fn mapping(_: &Object, _: usize, section: &Section) -> Vec<(&'static str, u64)> {
    let mut list = Vec::new();
    if section.flags.exec {
        if section.start() > 0 {
            list.push(("$d", 0));
        }
        if !section.data.is_empty() {
            list.push(("$x", section.start()));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::returns;

    #[test]
    fn a_number_is_moved_in_quarters() {
        let code = returns(0x1111_2222_3333_4444);
        let words: Vec<u32> =
            code.chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect();
        assert_eq!(words, [0xd288_8880, 0xf2a6_6660, 0xf2c4_4440, 0xf2e2_2220, 0xd65f_03c0]);
    }
}
