//! Code of Go modules: what hands a module's data to its host's runtime, as the Go linker makes it; the runtime's
//! own function behind it; what init functions do to be seen. One row a machine.

use scold_diff::request::Arch;

use super::Piece;
use super::code::piece;

/// Instructions that refer to two symbols.
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    /// With the fields that refer to the data.
    pub code: Piece,
    /// The field of the call: offset, type, addend.
    pub call: (u64, u32, i64),
    /// Its alignment.
    pub align: u64,
    /// `runtime.addmoduledata`: makes its argument the next of the last module, and the last one. The fields refer
    /// to `runtime.lastmoduledatap`, through the GOT.
    pub append: Piece,
    /// After the address of a log, a count and bytes 8 bytes on, was made: appends a byte and returns.
    pub log: fn(u8) -> Vec<u8>,
    /// A function that returns an address from the GOT.
    pub got: Piece,
    /// Types of calls that every linker takes to functions of either instruction set.
    pub calls: &'static [u32],
}

/// Words as bytes.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The machine's.
pub fn of(arch: Arch) -> Announce {
    match arch {
        Arch::Amd64 => AMD64,
        Arch::Arm64 => ARM64,
        Arch::Arm => ARM,
    }
}

/// `runtime.addmoduledata` as [`Announce::append`], with Mach-O's relocations.
pub fn darwin(arch: Arch) -> Piece {
    use super::macho::{amd64::*, arm64::*};
    const AMD64_FIELDS: &[(u8, u32, i8)] = &[(3, X86_64_RELOC_GOT_LOAD, 0)];
    const ARM64_FIELDS: &[(u8, u32, i8)] =
        &[(0, ARM64_RELOC_GOT_LOAD_PAGE21, 0), (4, ARM64_RELOC_GOT_LOAD_PAGEOFF12, 0)];
    let fields = if arch == Arch::Arm64 { ARM64_FIELDS } else { AMD64_FIELDS };
    Piece { fields, ..of(arch).append }
}

/// lea; R_X86_64_PC32, R_X86_64_PLT32.
const AMD64: Announce = Announce {
    code: piece(&[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3], &[(3, 2, -4)]),
    call: (8, 4, -4),
    align: 16,
    // mov S@gotpcrel, %rax; mov (%rax), %rcx; mov %rdi, (%rcx); mov %rdi, (%rax); ret
    append: piece(
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x48, 0x8b, 0x08, 0x48, 0x89, 0x39, 0x48, 0x89, 0x38, 0xc3],
        &[(3, 42, -4)],
    ),
    // mov (%rax), %ecx; movb $N, 8(%rax,%rcx); incl (%rax); ret
    log: |number| vec![0x8b, 0x08, 0xc6, 0x44, 0x08, 0x08, number, 0xff, 0x00, 0xc3],
    // mov S@gotpcrel(%rip), %rax; ret
    got: piece(&[0x48, 0x8b, 0x05, 0, 0, 0, 0, 0xc3], &[(3, 42, -4)]),
    calls: &[4],
};

/// adrp, add, b; R_AARCH64_ADR_PREL_PG_HI21, ADD_ABS_LO12_NC, CALL26.
const ARM64: Announce = Announce {
    code: piece(&[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14], &[(0, 275, 0), (4, 277, 0)]),
    call: (8, 283, 0),
    align: 16,
    // adrp x1, :got:S; ldr x1, [x1, :got_lo12:S]; ldr x2, [x1]; str x0, [x2]; str x0, [x1]; ret
    append: piece(
        &[
            0x01, 0, 0, 0x90, 0x21, 0, 0x40, 0xf9, 0x22, 0, 0x40, 0xf9, 0x40, 0, 0, 0xf9, 0x20, 0,
            0, 0xf9, 0xc0, 0x03, 0x5f, 0xd6,
        ],
        &[(0, 311, 0), (4, 312, 0)],
    ),
    // ldr w1, [x0]; add w2, w1, #1; str w2, [x0]; add x0, x0, x1; mov w1, #N; strb w1, [x0, #8]; ret
    log: |number| {
        let number = 0x5280_0001 | u32::from(number) << 5;
        let [count, byte] = [0xb940_0001, 0x3900_2001];
        words(&[count, 0x1100_0422, 0xb900_0002, 0x8b01_0000, number, byte, 0xd65f_03c0])
    },
    // adrp x0, :got:S; ldr x0, [x0, :got_lo12:S]; ret
    got: piece(
        &[0, 0, 0, 0x90, 0, 0, 0x40, 0xf9, 0xc0, 0x03, 0x5f, 0xd6],
        &[(0, 311, 0), (4, 312, 0)],
    ),
    calls: &[282, 283],
};

/// ldr, add, b, the distance; R_ARM_REL32, R_ARM_JUMP24.
const ARM: Announce = Announce {
    code: piece(
        &[4, 0, 0x9f, 0xe5, 0, 0, 0x8f, 0xe0, 0xfe, 0xff, 0xff, 0xea, 0, 0, 0, 0],
        &[(12, 3, 0)],
    ),
    call: (8, 29, -8),
    align: 4,
    // ldr r1, [pc, #20]; add r1, pc, r1; ldr r1, [r1]; ldr r2, [r1]; str r0, [r2]; str r0, [r1]; bx lr;
    // .word S@GOT_PREL, from where pc is at the addition
    append: piece(
        &[
            0x14, 0x10, 0x9f, 0xe5, 0x01, 0x10, 0x8f, 0xe0, 0, 0x10, 0x91, 0xe5, 0, 0x20, 0x91,
            0xe5, 0, 0, 0x82, 0xe5, 0, 0, 0x81, 0xe5, 0x1e, 0xff, 0x2f, 0xe1, 0, 0, 0, 0,
        ],
        &[(28, 96, 16)],
    ),
    // ldr r1, [r0]; add r2, r1, #1; str r2, [r0]; add r0, r0, r1; mov r1, #N; strb r1, [r0, #8]; bx lr
    log: |number| {
        let number = 0xe3a0_1000 | u32::from(number);
        let [count, byte] = [0xe590_1000, 0xe5c0_1008];
        words(&[count, 0xe281_2001, 0xe580_2000, 0xe080_0001, number, byte, 0xe12f_ff1e])
    },
    // ldr r0, [pc, #8]; add r0, pc, r0; ldr r0, [r0]; bx lr; .word S@GOT_PREL, as above
    got: piece(
        &[
            0x08, 0, 0x9f, 0xe5, 0, 0, 0x8f, 0xe0, 0, 0, 0x90, 0xe5, 0x1e, 0xff, 0x2f, 0xe1, 0, 0,
            0, 0,
        ],
        &[(16, 96, 4)],
    ),
    calls: &[28, 29, 10, 30],
};
