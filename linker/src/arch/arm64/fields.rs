//! Where arm64's instructions keep their values. The machine has RELA only: nothing is read back.

use crate::arch::Code;

const fn code(scale: u8, put: fn(u32, i64) -> u32) -> Code {
    Code { scale, put, get: |_| 0 }
}

/// `insn` with the low `bits` of `value` from bit `at` on.
const fn set(insn: u32, at: u32, bits: u32, value: i64) -> u32 {
    let mask = (1 << bits) - 1;
    insn & !(mask << at) | (value as u32 & mask) << at
}

/// `adr`: two bits apart from the rest.
const fn adr(insn: u32, value: i64) -> u32 {
    set(set(insn, 29, 2, value), 5, 19, value >> 2)
}

/// Sixteen bits from bit `from` on, for `movz` and `movk`.
const fn movw(insn: u32, value: i64, from: u32) -> u32 {
    set(insn, 5, 16, value >> from)
}

/// The same, as `movz` of a positive value or `movn` of a negative one; `movk` stays.
const fn movnz(insn: u32, value: i64, from: u32) -> u32 {
    if insn >> 29 & 3 == 3 {
        return movw(insn, value, from);
    }
    let (opcode, bits) = if value < 0 { (0, !value) } else { (2, value) };
    movw(set(insn, 29, 2, opcode), bits, from)
}

pub(super) const ADR: Code = code(0, adr);
/// Pages of 4 KiB.
pub(crate) const ADRP: Code = code(12, |insn, value| adr(insn, value >> 12));
pub(super) const IMM14: Code = code(2, |insn, value| set(insn, 5, 14, value >> 2));
pub(super) const IMM19: Code = code(2, |insn, value| set(insn, 5, 19, value >> 2));
pub(crate) const IMM26: Code = code(2, |insn, value| set(insn, 0, 26, value >> 2));
pub(super) const HI12: Code = code(0, |insn, value| set(insn, 10, 12, value >> 12));
pub(crate) const LO12: Code = code(0, |insn, value| set(insn, 10, 12, value));
pub(crate) const LO12_2: Code = code(1, |insn, value| set(insn, 10, 12, (value & 0xfff) >> 1));
pub(crate) const LO12_4: Code = code(2, |insn, value| set(insn, 10, 12, (value & 0xfff) >> 2));
pub(crate) const LO12_8: Code = code(3, |insn, value| set(insn, 10, 12, (value & 0xfff) >> 3));
pub(crate) const LO12_16: Code = code(4, |insn, value| set(insn, 10, 12, (value & 0xfff) >> 4));
pub(super) const LO15: Code = code(3, |insn, value| set(insn, 10, 12, value >> 3));
pub(super) const MOVW_0: Code = code(0, |insn, value| movw(insn, value, 0));
pub(super) const MOVW_1: Code = code(0, |insn, value| movw(insn, value, 16));
pub(super) const MOVW_2: Code = code(0, |insn, value| movw(insn, value, 32));
pub(super) const MOVW_3: Code = code(0, |insn, value| movw(insn, value, 48));
pub(super) const MOVNZ_0: Code = code(0, |insn, value| movnz(insn, value, 0));
pub(super) const MOVNZ_1: Code = code(0, |insn, value| movnz(insn, value, 16));
pub(super) const MOVNZ_2: Code = code(0, |insn, value| movnz(insn, value, 32));
pub(super) const MOVNZ_3: Code = code(0, |insn, value| movnz(insn, value, 48));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_replaced_whatever_was_there() {
        let put = |code: &Code, insn, value| (code.put)(insn, value);
        assert_eq!(put(&ADRP, 0x9000_0000, 0x1000), 0xb000_0000);
        assert_eq!(put(&ADRP, 0xf0ff_ffe0, 0), 0x9000_0000);
        assert_eq!(put(&IMM26, 0x97ff_ffff, 8), 0x9400_0002, "bl .+8");
        assert_eq!(put(&IMM26, 0x9400_0000, -4), 0x97ff_ffff, "bl .-4");
        assert_eq!(put(&LO12_8, 0xf940_0000, 0x123_4ff8), 0xf947_fc00);
        assert_eq!(put(&MOVNZ_1, 0xd2a0_0000, -0x1_0000), 0x92a0_0000, "movn x0, #0, lsl 16");
        assert_eq!(put(&MOVNZ_1, 0x92a0_0000, 0x5_0000), 0xd2a0_00a0, "movz x0, #5, lsl 16");
        assert_eq!(put(&MOVW_0, 0xf280_0000, 0x1_2345), 0xf284_68a0, "movk x0, #0x2345");
    }
}
