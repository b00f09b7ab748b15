//! arm: its relocations as AAELF32 tells them, what linkers may rewrite around them, code of both
//! instruction sets.
//!
//! A function's offset is odd where it is Thumb code: S and T are one number then, and `(S + A) | T` needs
//! no letter of its own as long as A is even. The rows are the judge's own; they must not know the
//! linker's. Spec: AAELF32 2023Q3 §5.6.1 (table 5-5 and the notes under it), §5.6.2; TLS descriptors as
//! "Thread-Local Storage Descriptors for IA32 and AMD64/EM64T" has them for ARM.

mod code;

use scold_diff::request::Arch;

use super::Machine;
use super::rows::{Field, any, data, either, groups, magnitude, part, rows, signed, unsigned};

/// The machine.
pub static MACHINE: Machine = Machine {
    arch: Arch::Arm,
    rows: ROWS,
    word: 4,
    rela: false,
    pointer: R_ARM_ABS32,
    init: R_ARM_TARGET1,
    distance: R_ARM_REL32,
    // No linker rewrites the call.
    tls_call: 0,
    null_is_here: true,
    interworks: true,
    tcb: Some(8),
    words: &[
        R_ARM_ABS32,
        R_ARM_ABS32,
        R_ARM_ABS32,
        R_ARM_TARGET1,
        R_ARM_REL32,
        R_ARM_TARGET2,
        R_ARM_GOT_PREL,
        R_ARM_PREL31,
        R_ARM_TLS_LDO32,
    ],
    rare_words: &[],
    // No distances of these widths.
    narrow: &[],
    got_base: R_ARM_BASE_PREL,
    sweep: code::SWEEP,
    code: code::CODE,
    // 2, -4, lr.
    factors: &[2, 0x7c, 14],
    // DW_CFA_def_cfa sp, 0.
    frame: &[0x0c, 13, 0],
    loader: ("ld-linux-armhf.so.3", "GLIBC_2.4"),
    rewritable,
    rare_sequence: |_, _, _| false,
};

/// Bits of an instruction of four bytes; Thumb's first halfword is the lower half.
const fn bits(mask: u32) -> Field {
    Field { width: 4, mask: mask as u64 }
}

/// Bits of a halfword.
const fn half(mask: u16) -> Field {
    Field { width: 2, mask: mask as u64 }
}

const BRANCH: Field = bits(0x00ff_ffff);
/// S, J1, J2 and the immediates of `bl` and `b.w`.
const LONG: Field = bits(0x2fff_07ff);
const COND: Field = bits(0x2fff_043f);
const MOVE: Field = bits(0x000f_0fff);
const THUMB_MOVE: Field = bits(0x70ff_040f);
/// With U, or the bit that makes `add` of `sub`.
const LOAD: Field = bits(0x0080_0fff);
const LOAD_HALF: Field = bits(0x0080_0f0f);
const LOAD_CO: Field = bits(0x0080_00ff);
const ADD: Field = bits(0x00c0_0fff);
const THUMB_LOAD: Field = bits(0x0fff_0080);
const THUMB_ADR: Field = bits(0x70ff_04a0);

rows! {
    /// Spec: AAELF32 table 5-5. What counts from SB is not here: no compiler writes it for Linux.
    ROWS:
    R_ARM_NONE = 0, Nothing, data(0), any();
    R_ARM_PC24 = 1, Call, BRANCH, signed(26).extended().aligned(4);
    R_ARM_ABS32 = 2, Absolute, data(4), any();
    R_ARM_REL32 = 3, Relative, data(4), any();
    R_ARM_LDR_PC_G0 = 4, Relative, LOAD, magnitude(12);
    R_ARM_ABS16 = 5, Absolute, data(2), either(16).disputed();
    R_ARM_ABS12 = 6, Absolute, LOAD, magnitude(12).disputed(), rare;
    R_ARM_THM_ABS5 = 7, Absolute, half(0x7c0), unsigned(7).aligned(4), rare;
    R_ARM_ABS8 = 8, Absolute, data(1), either(8).disputed();
    R_ARM_THM_CALL = 10, Call, LONG, signed(25).extended().aligned(2);
    R_ARM_THM_PC8 = 11, Relative, half(0xff), unsigned(10).aligned(4), rare;
    R_ARM_TLS_DESC = 13, Loader, data(4), any();
    R_ARM_TLS_DTPMOD32 = 17, Loader, data(4), any();
    R_ARM_TLS_DTPOFF32 = 18, Loader, data(4), any();
    R_ARM_TLS_TPOFF32 = 19, Loader, data(4), any();
    R_ARM_COPY = 20, Loader, data(0), any();
    R_ARM_GLOB_DAT = 21, Loader, data(4), any();
    R_ARM_JUMP_SLOT = 22, Loader, data(4), any();
    R_ARM_RELATIVE = 23, Loader, data(4), any();
    R_ARM_GOTOFF32 = 24, FromGot, data(4), any();
    R_ARM_BASE_PREL = 25, GotBase, data(4), any();
    R_ARM_GOT_BREL = 26, Got, data(4), any();
    R_ARM_PLT32 = 27, Call, BRANCH, signed(26).extended().aligned(4);
    R_ARM_CALL = 28, Call, BRANCH, signed(26).extended().aligned(4);
    R_ARM_JUMP24 = 29, Call, BRANCH, signed(26).extended().aligned(4);
    R_ARM_THM_JUMP24 = 30, Call, LONG, signed(25).extended().aligned(2);
    R_ARM_TARGET1 = 38, Absolute, data(4), any();
    R_ARM_V4BX = 40, Nothing, data(0), any();
    R_ARM_TARGET2 = 41, Got, data(4), any();
    R_ARM_PREL31 = 42, Call, bits(0x7fff_ffff), signed(31);
    R_ARM_MOVW_ABS_NC = 43, Absolute, MOVE, part(16);
    R_ARM_MOVT_ABS = 44, Absolute, MOVE, part(16).from(16);
    R_ARM_MOVW_PREL_NC = 45, Relative, MOVE, part(16);
    R_ARM_MOVT_PREL = 46, Relative, MOVE, part(16).from(16);
    R_ARM_THM_MOVW_ABS_NC = 47, Absolute, THUMB_MOVE, part(16);
    R_ARM_THM_MOVT_ABS = 48, Absolute, THUMB_MOVE, part(16).from(16);
    R_ARM_THM_MOVW_PREL_NC = 49, Relative, THUMB_MOVE, part(16);
    R_ARM_THM_MOVT_PREL = 50, Relative, THUMB_MOVE, part(16).from(16);
    R_ARM_THM_JUMP19 = 51, Call, COND, signed(21).extended().aligned(2);
    R_ARM_THM_JUMP6 = 52, Relative, half(0x2f8), unsigned(7).aligned(2);
    R_ARM_THM_ALU_PREL_11_0 = 53, Relative, THUMB_ADR, magnitude(12), rare;
    R_ARM_THM_PC12 = 54, Relative, THUMB_LOAD, magnitude(12), rare;
    R_ARM_ABS32_NOI = 55, Absolute, data(4), any(), rare;
    R_ARM_REL32_NOI = 56, Relative, data(4), any(), rare;
    R_ARM_ALU_PC_G0_NC = 57, Relative, ADD, part(32);
    R_ARM_ALU_PC_G0 = 58, Relative, ADD, groups(1, 0);
    R_ARM_ALU_PC_G1_NC = 59, Relative, ADD, part(32);
    R_ARM_ALU_PC_G1 = 60, Relative, ADD, groups(2, 0);
    R_ARM_ALU_PC_G2 = 61, Relative, ADD, groups(3, 0);
    R_ARM_LDR_PC_G1 = 62, Relative, LOAD, groups(1, 12);
    R_ARM_LDR_PC_G2 = 63, Relative, LOAD, groups(2, 12);
    R_ARM_LDRS_PC_G0 = 64, Relative, LOAD_HALF, groups(0, 8);
    R_ARM_LDRS_PC_G1 = 65, Relative, LOAD_HALF, groups(1, 8);
    R_ARM_LDRS_PC_G2 = 66, Relative, LOAD_HALF, groups(2, 8);
    R_ARM_LDC_PC_G0 = 67, Relative, LOAD_CO, groups(0, 10).aligned(4);
    R_ARM_LDC_PC_G1 = 68, Relative, LOAD_CO, groups(1, 10).aligned(4);
    R_ARM_LDC_PC_G2 = 69, Relative, LOAD_CO, groups(2, 10).aligned(4);
    R_ARM_TLS_GOTDESC = 90, TlsDescriptor, data(4), any(), rare;
    R_ARM_TLS_CALL = 91, Nothing, bits(0), any();
    R_ARM_TLS_DESCSEQ = 92, Nothing, bits(0), any();
    R_ARM_THM_TLS_CALL = 93, Nothing, bits(0), any();
    R_ARM_GOT_ABS = 95, Got, data(4), any(), rare;
    R_ARM_GOT_PREL = 96, Got, data(4), any();
    R_ARM_GOT_BREL12 = 97, Got, LOAD, magnitude(12), rare;
    R_ARM_GOTOFF12 = 98, FromGot, LOAD, magnitude(12), rare;
    R_ARM_THM_JUMP11 = 102, Relative, half(0x7ff), signed(12).aligned(2);
    R_ARM_THM_JUMP8 = 103, Relative, half(0xff), signed(9).aligned(2);
    R_ARM_TLS_GD32 = 104, TlsDynamic, data(4), any();
    R_ARM_TLS_LDM32 = 105, TlsModule, data(4), any();
    R_ARM_TLS_LDO32 = 106, DtpOffset, data(4), any();
    R_ARM_TLS_IE32 = 107, TlsInitial, data(4), any();
    R_ARM_TLS_LE32 = 108, TpOffset, data(4), any();
    R_ARM_TLS_LDO12 = 109, DtpOffset, LOAD, magnitude(12), rare;
    R_ARM_TLS_LE12 = 110, TpOffset, LOAD, magnitude(12), rare;
    R_ARM_TLS_IE12GP = 111, TlsInitial, LOAD, magnitude(12), rare;
    R_ARM_THM_TLS_DESCSEQ16 = 129, Nothing, half(0), any();
    R_ARM_THM_TLS_DESCSEQ32 = 130, Nothing, bits(0), any();
    R_ARM_THM_GOT_BREL12 = 131, Got, THUMB_LOAD, magnitude(12), rare;
    R_ARM_THM_ALU_ABS_G0_NC = 132, Absolute, half(0xff), part(8), rare;
    R_ARM_THM_ALU_ABS_G1_NC = 133, Absolute, half(0xff), part(8).from(8), rare;
    R_ARM_THM_ALU_ABS_G2_NC = 134, Absolute, half(0xff), part(8).from(16), rare;
    R_ARM_THM_ALU_ABS_G3 = 135, Absolute, half(0xff), part(8).from(24), rare;
    R_ARM_IRELATIVE = 160, Loader, data(4), any();
}

/// How many bytes before and from the place of a relocation a linker may rewrite: its field, with the rest
/// of an instruction, for a call may become another and a call of a descriptor a load.
fn rewritable(r_type: u32, _: &[u8], _: u64) -> (u64, u64) {
    match r_type {
        // `bx` becomes `mov pc` for a processor that has none.
        R_ARM_V4BX => (0, 4),
        _ => (0, MACHINE.input_row(r_type).map_or(4, |row| row.field.width.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit;
    use scold_diff::Target;

    /// The emitter knows the same fields.
    #[test]
    fn an_addend_touches_the_field_and_nothing_else() {
        for row in ROWS.iter().filter(|row| row.form != crate::machine::Form::Loader) {
            for old in [0_u32, u32::MAX] {
                for addend in [0, 4, -4, 0x7c, -2, 1] {
                    let mut bytes = old.to_le_bytes();
                    let put = emit::machine::find(Target::ARM_ELF).addends.unwrap();
                    put(row.number, &mut bytes, addend);
                    let changed = u64::from(u32::from_le_bytes(bytes) ^ old);
                    // `blx` has one bit more.
                    let mask = row.field.mask | if row.field == BRANCH { 1 << 24 } else { 0 };
                    assert_eq!(changed & !mask, 0, "{} {old:#x} {addend}", row.name);
                }
            }
        }
    }
}
