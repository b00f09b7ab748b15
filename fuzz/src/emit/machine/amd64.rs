//! amd64: ELF64, addends in tables, `.eh_frame` has a type of its own.

use object::elf;
use scold_diff::Arch;

use super::{Assembler, Class, Machine, unmapped};

/// The row.
pub(super) const MACHINE: Machine = Machine {
    arch: Arch::Amd64,
    class: Class::Elf64,
    flags: 0,
    library_flags: 0,
    page: 0x1000,
    unwind: elf::SHT_X86_64_UNWIND.0,
    attributes: None,
    addends: None,
    mapping: unmapped,
    returns: |number, _| (returns(number).to_vec(), 0),
    // lea 1f(%rip), %rax; ret; .balign 16; 1:
    resolver: [0x48, 0x8d, 0x05, 9, 0, 0, 0, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90],
    assembler: Assembler {
        head: "",
        sigil: '@',
        names: &[],
        operators: &[],
        clang_only: &[],
        clang: "x86_64-linux-gnu",
        returns: |number| format!("\tmovabs ${number:#x}, %rax\n\tret\n"),
        resolver: "\tlea 1f(%rip), %rax\n\tret\n1:",
    },
};

/// `movabs $number, %rax; ret`
fn returns(number: u64) -> [u8; 11] {
    let mut code = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xc3];
    code[2..10].copy_from_slice(&number.to_le_bytes());
    code
}
