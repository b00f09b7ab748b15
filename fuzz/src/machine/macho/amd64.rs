//! x86-64: the relocations of `mach-o/x86_64/reloc.h`.
//!
//! The rows are the judge's own; they must not know the linker's.

use scold_diff::request::Arch;

use super::{Machine, rows};
use crate::machine::rows::{any, data, signed, unsigned};

/// The machine.
pub static MACHINE: Machine = Machine {
    arch: Arch::Amd64,
    rows: ROWS,
    pointer: X86_64_RELOC_UNSIGNED,
    minus: [X86_64_RELOC_SUBTRACTOR_4, X86_64_RELOC_SUBTRACTOR],
    rewritable,
    dwarf: 0x0400_0000,
};

rows! {
    /// Where one type has several forms, the length in bytes is behind a dot unless it is the usual one.
    /// SIGNED_N is SIGNED with an immediate of N bytes behind the field: `S + A - (P + 4 + N)`.
    ROWS:
    X86_64_RELOC_UNSIGNED_4 "X86_64_RELOC_UNSIGNED.4" = (0, false, 2), Absolute, data(4), unsigned(32);
    X86_64_RELOC_UNSIGNED "X86_64_RELOC_UNSIGNED" = (0, false, 3), Absolute, data(8), any();
    X86_64_RELOC_SIGNED "X86_64_RELOC_SIGNED" = (1, true, 2), Relative, data(4), signed(32);
    X86_64_RELOC_BRANCH_1 "X86_64_RELOC_BRANCH.1" = (2, true, 0), Branch, data(1), signed(8), rare;
    X86_64_RELOC_BRANCH "X86_64_RELOC_BRANCH" = (2, true, 2), Call, data(4), signed(32);
    X86_64_RELOC_GOT_LOAD "X86_64_RELOC_GOT_LOAD" = (3, true, 2), Got, data(4), signed(32);
    X86_64_RELOC_GOT "X86_64_RELOC_GOT" = (4, true, 2), Got, data(4), signed(32);
    X86_64_RELOC_SUBTRACTOR_4 "X86_64_RELOC_SUBTRACTOR.4" = (5, false, 2), Minus, data(4), signed(32);
    X86_64_RELOC_SUBTRACTOR "X86_64_RELOC_SUBTRACTOR" = (5, false, 3), Minus, data(8), any();
    X86_64_RELOC_SIGNED_1 "X86_64_RELOC_SIGNED_1" = (6, true, 2), Relative, data(4), signed(32);
    X86_64_RELOC_SIGNED_2 "X86_64_RELOC_SIGNED_2" = (7, true, 2), Relative, data(4), signed(32);
    X86_64_RELOC_SIGNED_4 "X86_64_RELOC_SIGNED_4" = (8, true, 2), Relative, data(4), signed(32);
    X86_64_RELOC_TLV "X86_64_RELOC_TLV" = (9, true, 2), TlsDescriptor, data(4), signed(32);
}

/// A load of the GOT and of a thread-local's address may become `lea`: the opcode and its ModRM.
fn rewritable(number: u32) -> (u64, u64) {
    match number {
        X86_64_RELOC_GOT_LOAD | X86_64_RELOC_TLV => (2, 4),
        _ => (0, 1 << super::parts(number).2),
    }
}
