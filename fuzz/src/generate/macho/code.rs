//! Instructions of both machines with Mach-O's relocations, as clang writes them.
//!
//! Nothing here must know what a linker makes of them.

use scold_diff::request::Arch;

use crate::machine::Piece;
use crate::machine::macho::{amd64::*, arm64::*};

/// Pieces of code.
pub(super) struct Code {
    /// Returns.
    pub(super) ret: &'static [u8],
    /// Does nothing.
    pub(super) nop: &'static [u8],
    /// Calls.
    pub(super) call: Piece,
    /// Jumps.
    pub(super) jump: Piece,
    /// Makes an address.
    pub(super) take: Piece,
    /// Loads an address from a slot, which a linker may relax.
    pub(super) load: Piece,
    /// Uses a slot in a way that can't be relaxed; data of a distance to one.
    pub(super) slot: Piece,
    /// Loads the address of a thread-local variable's descriptor, calls its thunk.
    pub(super) variable: Piece,
    /// Other ways to reach something of this image.
    pub(super) direct: &'static [Piece],
    /// What compilers hardly write.
    pub(super) rare: &'static [Piece],
    /// Data that holds an address, in 8 bytes and in 4.
    pub(super) words: [Piece; 2],
    /// Makes a frame, so that others can be called, and takes it away.
    pub(super) enter: &'static [u8],
    pub(super) leave: &'static [u8],
    /// Loads the word that the result is the address of.
    pub(super) look: &'static [u8],
    /// Loads the word at an address as the result.
    pub(super) peek: Piece,
    /// A function that returns a constant: the bytes, and where its 32 bits are.
    pub(super) constant: (&'static [u8], Constant),
}

/// How a function's constant is written into it.
#[derive(Clone, Copy)]
pub(super) enum Constant {
    /// 32 bits at an offset.
    Word(usize),
    /// 16 bits of `movz` at 0.
    Movz,
}

const fn code(bytes: &'static [u8], fields: &'static [(u8, u32, i8)]) -> Piece {
    Piece { bytes, fields, code: true }
}

const fn data(bytes: &'static [u8], fields: &'static [(u8, u32, i8)]) -> Piece {
    Piece { bytes, fields, code: false }
}

static AMD64: Code = Code {
    ret: &[0xc3],
    nop: &[0x90],
    call: code(&[0xe8, 0, 0, 0, 0], &[(1, X86_64_RELOC_BRANCH, 0)]),
    jump: code(&[0xe9, 0, 0, 0, 0], &[(1, X86_64_RELOC_BRANCH, 0)]),
    // lea x(%rip), %rax
    take: code(&[0x48, 0x8d, 0x05, 0, 0, 0, 0], &[(3, X86_64_RELOC_SIGNED, 0)]),
    // movq x@GOTPCREL(%rip), %rax
    load: code(&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[(3, X86_64_RELOC_GOT_LOAD, 0)]),
    // pushq x@GOTPCREL(%rip); popq %rax
    slot: code(&[0xff, 0x35, 0, 0, 0, 0, 0x58], &[(2, X86_64_RELOC_GOT, 0)]),
    // movq x@TLVP(%rip), %rdi; callq *(%rdi)
    variable: code(&[0x48, 0x8b, 0x3d, 0, 0, 0, 0, 0xff, 0x17], &[(3, X86_64_RELOC_TLV, 0)]),
    direct: &[
        // cmpb $0, x(%rip); cmpw $0, x(%rip); cmpl $0, x(%rip)
        code(&[0x80, 0x3d, 0, 0, 0, 0, 0], &[(2, X86_64_RELOC_SIGNED_1, 0)]),
        code(&[0x66, 0x81, 0x3d, 0, 0, 0, 0, 0, 0], &[(3, X86_64_RELOC_SIGNED_2, 0)]),
        code(&[0x81, 0x3d, 0, 0, 0, 0, 0, 0, 0, 0], &[(2, X86_64_RELOC_SIGNED_4, 0)]),
    ],
    rare: &[
        // jmp x, with a distance of one byte
        code(&[0xeb, 0, 0x90, 0x90], &[(1, X86_64_RELOC_BRANCH_1, 0)]),
        // movl x@GOTPCREL(%rip), %eax is no load of an address.
        code(&[0x8b, 0x05, 0, 0, 0, 0], &[(2, X86_64_RELOC_GOT, 0)]),
        data(&[0, 0, 0, 0], &[(0, X86_64_RELOC_GOT, 4)]),
    ],
    words: [
        data(&[0; 8], &[(0, X86_64_RELOC_UNSIGNED, 0)]),
        data(&[0; 4], &[(0, X86_64_RELOC_UNSIGNED_4, 0)]),
    ],
    // pushq %rax; popq %rcx; movq (%rax), %rax
    enter: &[0x50],
    leave: &[0x59],
    look: &[0x48, 0x8b, 0x00],
    // movq x(%rip), %rax
    peek: code(&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[(3, X86_64_RELOC_SIGNED, 0)]),
    // movl $n, %eax; retq
    constant: (&[0xb8, 0, 0, 0, 0, 0xc3, 0x90, 0x90], Constant::Word(1)),
};

static ARM64: Code = Code {
    ret: &[0xc0, 0x03, 0x5f, 0xd6],
    nop: &[0x1f, 0x20, 0x03, 0xd5],
    call: code(&[0, 0, 0, 0x94], &[(0, ARM64_RELOC_BRANCH26, 0)]),
    jump: code(&[0, 0, 0, 0x14], &[(0, ARM64_RELOC_BRANCH26, 0)]),
    // adrp x0, x@PAGE; add x0, x0, x@PAGEOFF
    take: code(
        &[0, 0, 0, 0x90, 0, 0, 0, 0x91],
        &[(0, ARM64_RELOC_PAGE21, 0), (4, ARM64_RELOC_PAGEOFF12, 0)],
    ),
    // adrp x0, x@GOTPAGE; ldr x0, [x0, x@GOTPAGEOFF]
    load: code(
        &[0, 0, 0, 0x90, 0, 0, 0x40, 0xf9],
        &[(0, ARM64_RELOC_GOT_LOAD_PAGE21, 0), (4, ARM64_RELOC_GOT_LOAD_PAGEOFF12, 0)],
    ),
    // .long x@GOT - .
    slot: data(&[0, 0, 0, 0], &[(0, ARM64_RELOC_POINTER_TO_GOT, 0)]),
    // adrp x0, x@TLVPPAGE; ldr x0, [x0, x@TLVPPAGEOFF]; ldr x1, [x0]; blr x1
    variable: code(
        &[0, 0, 0, 0x90, 0, 0, 0x40, 0xf9, 1, 0, 0x40, 0xf9, 0x20, 0, 0x3f, 0xd6],
        &[(0, ARM64_RELOC_TLVP_LOAD_PAGE21, 0), (4, ARM64_RELOC_TLVP_LOAD_PAGEOFF12, 0)],
    ),
    direct: &[
        // adrp x1, x@PAGE; ldrb w0, [x1, x@PAGEOFF]
        code(
            &[1, 0, 0, 0x90, 0x20, 0, 0x40, 0x39],
            &[(0, ARM64_RELOC_PAGE21, 0), (4, ARM64_RELOC_PAGEOFF12, 0)],
        ),
        // adrp x2, x@PAGE; ldr w0, [x2, x@PAGEOFF]
        code(
            &[2, 0, 0, 0x90, 0x40, 0, 0x40, 0xb9],
            &[(0, ARM64_RELOC_PAGE21, 0), (4, ARM64_RELOC_PAGEOFF12, 0)],
        ),
    ],
    rare: &[
        // ldrh w0, [x1, x@PAGEOFF]; ldr x0, [x1, x@PAGEOFF]; ldr q0, [x1, x@PAGEOFF]; str x0, [x1, x@PAGEOFF]
        code(&[0x20, 0, 0x40, 0x79], &[(0, ARM64_RELOC_PAGEOFF12, 0)]),
        code(&[0x20, 0, 0x40, 0xf9], &[(0, ARM64_RELOC_PAGEOFF12, 0)]),
        code(&[0x20, 0, 0xc0, 0x3d], &[(0, ARM64_RELOC_PAGEOFF12, 0)]),
        code(&[0x20, 0, 0, 0xf9], &[(0, ARM64_RELOC_PAGEOFF12, 0)]),
        data(&[0; 8], &[(0, ARM64_RELOC_POINTER_TO_GOT_8, 0)]),
    ],
    words: [
        data(&[0; 8], &[(0, ARM64_RELOC_UNSIGNED, 0)]),
        data(&[0; 4], &[(0, ARM64_RELOC_UNSIGNED_4, 0)]),
    ],
    // stp x29, x30, [sp, #-16]!; ldp x29, x30, [sp], #16; ldr x0, [x0]
    enter: &[0xfd, 0x7b, 0xbf, 0xa9],
    leave: &[0xfd, 0x7b, 0xc1, 0xa8],
    look: &[0, 0, 0x40, 0xf9],
    // adrp x8, x@PAGE; ldr x0, [x8, x@PAGEOFF]
    peek: code(
        &[8, 0, 0, 0x90, 0, 0x01, 0x40, 0xf9],
        &[(0, ARM64_RELOC_PAGE21, 0), (4, ARM64_RELOC_PAGEOFF12, 0)],
    ),
    // movz w0, #n; ret
    constant: (&[0, 0, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6], Constant::Movz),
};

/// The pieces of an architecture.
pub(super) fn of(arch: Arch) -> &'static Code {
    match arch {
        Arch::Arm64 => &ARM64,
        _ => &AMD64,
    }
}

impl Code {
    /// A function that returns `number`, 16 bits of it.
    pub(super) fn returns(&self, number: u16) -> Vec<u8> {
        let (bytes, how) = self.constant;
        let mut bytes = bytes.to_vec();
        match how {
            Constant::Word(at) => bytes[at..at + 2].copy_from_slice(&number.to_le_bytes()),
            Constant::Movz => {
                let insn = 0x5280_0000_u32 | u32::from(number) << 5;
                bytes[..4].copy_from_slice(&insn.to_le_bytes());
            }
        }
        bytes
    }
}
