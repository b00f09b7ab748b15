//! AArch64: the relocations of `mach-o/arm64/reloc.h`.
//!
//! Instructions are words; an address is two, each with a relocation for its half. The rows are the judge's
//! own; they must not know the linker's.

use scold_diff::request::Arch;

use super::{Machine, rows};
use crate::machine::rows::{any, data, insn, part, signed, unsigned};

/// The machine.
pub static MACHINE: Machine = Machine {
    arch: Arch::Arm64,
    rows: ROWS,
    pointer: ARM64_RELOC_UNSIGNED,
    minus: [ARM64_RELOC_SUBTRACTOR_4, ARM64_RELOC_SUBTRACTOR],
    rewritable,
    dwarf: 0x0300_0000,
};

rows! {
    /// Where one type has several forms, the length in bytes is behind a dot unless it is the usual one.
    /// PAGEOFF12 counts in what its instruction loads: bytes for `add`. ADDEND is what the emitter writes for the
    /// addend of BRANCH26, PAGE21 and PAGEOFF12; in a case it stands only where an odd one is tried.
    ROWS:
    ARM64_RELOC_UNSIGNED_4 "ARM64_RELOC_UNSIGNED.4" = (0, false, 2), Absolute, data(4), unsigned(32);
    ARM64_RELOC_UNSIGNED "ARM64_RELOC_UNSIGNED" = (0, false, 3), Absolute, data(8), any();
    ARM64_RELOC_SUBTRACTOR_4 "ARM64_RELOC_SUBTRACTOR.4" = (1, false, 2), Minus, data(4), signed(32);
    ARM64_RELOC_SUBTRACTOR "ARM64_RELOC_SUBTRACTOR" = (1, false, 3), Minus, data(8), any();
    ARM64_RELOC_BRANCH26 "ARM64_RELOC_BRANCH26" = (2, true, 2), Call, insn(0x03ff_ffff), signed(28).aligned(4).from(2).extended();
    ARM64_RELOC_PAGE21 "ARM64_RELOC_PAGE21" = (3, true, 2), Page, insn(0x60ff_ffe0), signed(33).from(12);
    ARM64_RELOC_PAGEOFF12 "ARM64_RELOC_PAGEOFF12" = (4, false, 2), Low, insn(0x003f_fc00), part(12);
    ARM64_RELOC_GOT_LOAD_PAGE21 "ARM64_RELOC_GOT_LOAD_PAGE21" = (5, true, 2), Got, insn(0x60ff_ffe0), signed(33).from(12);
    ARM64_RELOC_GOT_LOAD_PAGEOFF12 "ARM64_RELOC_GOT_LOAD_PAGEOFF12" = (6, false, 2), Got, insn(0x003f_fc00), part(12).from(3);
    ARM64_RELOC_POINTER_TO_GOT_8 "ARM64_RELOC_POINTER_TO_GOT.8" = (7, false, 3), Got, data(8), any(), rare;
    ARM64_RELOC_POINTER_TO_GOT "ARM64_RELOC_POINTER_TO_GOT" = (7, true, 2), Got, data(4), signed(32);
    ARM64_RELOC_TLVP_LOAD_PAGE21 "ARM64_RELOC_TLVP_LOAD_PAGE21" = (8, true, 2), TlsDescriptor, insn(0x60ff_ffe0), signed(33).from(12);
    ARM64_RELOC_TLVP_LOAD_PAGEOFF12 "ARM64_RELOC_TLVP_LOAD_PAGEOFF12" = (9, false, 2), TlsDescriptor, insn(0x003f_fc00), part(12).from(3);
    ARM64_RELOC_ADDEND "ARM64_RELOC_ADDEND" = (10, false, 2), Addend, insn(0), any();
}

/// Every instruction is a word of its own.
fn rewritable(number: u32) -> (u64, u64) {
    match number {
        ARM64_RELOC_ADDEND => (0, 0),
        _ => (0, 1 << super::parts(number).2),
    }
}
