//! Where arm's instructions keep a value: operands of loads, moves and additions, ARM and Thumb.
//!
//! A Thumb-2 instruction is two halfwords, the first one in the low half here. Magnitudes have their sign
//! in the instruction: as a bit (U), or by ADD becoming SUB.

use crate::arch::Code;
use crate::arch::rotated::{group, position, rest};

/// `value` of so many bits, sign-extended.
pub(super) fn sign(value: u32, bits: u32) -> i64 {
    i64::from((value << (32 - bits)) as i32 >> (32 - bits))
}

/// 31 bits of data; the last is another's.
pub(super) const WORD31: Code = Code {
    scale: 0,
    put: |old, v| old & 0x8000_0000 | v as u32 & 0x7fff_ffff,
    get: |word| sign(word & 0x7fff_ffff, 31),
};

/// `movw`, `movt`: imm4:imm12.
const fn mov(old: u32, half: u32) -> u32 {
    old & 0xfff0_f000 | (half & 0xf000) << 4 | half & 0xfff
}

fn mov_addend(insn: u32) -> i64 {
    sign(insn >> 4 & 0xf000 | insn & 0xfff, 16)
}

pub(super) const MOVW: Code =
    Code { scale: 0, put: |old, v| mov(old, v as u32 & 0xffff), get: mov_addend };
pub(super) const MOVT: Code =
    Code { scale: 0, put: |old, v| mov(old, v as u32 >> 16), get: mov_addend };

/// `movw`, `movt` of Thumb: imm4:i:imm3:imm8.
const fn thumb_mov(old: u32, half: u32) -> u32 {
    old & 0x8f00_fbf0
        | half >> 12
        | (half & 0x800) >> 1
        | (half & 0x700) << 20
        | (half & 0xff) << 16
}

fn thumb_mov_addend(insn: u32) -> i64 {
    let half = (insn & 0xf) << 12 | (insn & 0x400) << 1 | insn >> 20 & 0x700 | insn >> 16 & 0xff;
    sign(half, 16)
}

pub(super) const THUMB_MOVW: Code =
    Code { scale: 0, put: |old, v| thumb_mov(old, v as u32 & 0xffff), get: thumb_mov_addend };
pub(super) const THUMB_MOVT: Code =
    Code { scale: 0, put: |old, v| thumb_mov(old, v as u32 >> 16), get: thumb_mov_addend };

/// `n` of magnitude `magnitude`, negative unless `positive`.
fn signed(positive: bool, magnitude: u32) -> i64 {
    if positive { magnitude.into() } else { -i64::from(magnitude) }
}

const UP: u32 = 1 << 23;

/// `old` with the sign of `value` in bit 23 (U).
fn up(old: u32, value: i64) -> u32 {
    if value < 0 { old & !UP } else { old | UP }
}

/// `ldr`: twelve bits and U; what `groups` left.
fn load12(old: u32, value: i64, groups: u8) -> u32 {
    up(old & !0xfff, value) | rest(value, groups) & 0xfff
}

/// `ldrd`, `ldrh`, `ldrsb` and their kind: eight bits in two parts, and U.
fn load8(old: u32, value: i64, groups: u8) -> u32 {
    let rest = rest(value, groups);
    up(old & !0xf0f, value) | (rest & 0xf0) << 4 | rest & 0xf
}

/// `ldc`, `vldr`: eight bits that count words, and U.
fn load_words(old: u32, value: i64, groups: u8) -> u32 {
    up(old & !0xff, value) | rest(value, groups) >> 2 & 0xff
}

/// `add` or `sub` of a rotated byte: group number `groups`.
fn add(old: u32, value: i64, groups: u8) -> u32 {
    let rest = rest(value, groups);
    let at = position(rest);
    let rotation = ((32 - at) / 2) & 0xf;
    let sub = if value < 0 { 1 << 22 } else { 1 << 23 };
    old & !0x00e0_0fff | sub | rotation << 8 | group(rest) >> at
}

fn add_addend(insn: u32) -> i64 {
    let value = (insn & 0xff).rotate_right((insn >> 8 & 0xf) * 2);
    signed(insn & 0x01e0_0000 != 1 << 22, value)
}

const fn code(put: fn(u32, i64) -> u32, get: fn(u32) -> i64) -> Code {
    Code { scale: 0, put, get }
}

const LOAD12: fn(u32) -> i64 = |insn| signed(insn & UP != 0, insn & 0xfff);
const LOAD8: fn(u32) -> i64 = |insn| signed(insn & UP != 0, insn >> 4 & 0xf0 | insn & 0xf);
const LOAD_WORDS: fn(u32) -> i64 = |insn| signed(insn & UP != 0, (insn & 0xff) << 2);

pub(super) const LDR_0: Code = code(|old, v| load12(old, v, 0), LOAD12);
pub(super) const LDR_1: Code = code(|old, v| load12(old, v, 1), LOAD12);
pub(super) const LDR_2: Code = code(|old, v| load12(old, v, 2), LOAD12);
pub(super) const LDRS_0: Code = code(|old, v| load8(old, v, 0), LOAD8);
pub(super) const LDRS_1: Code = code(|old, v| load8(old, v, 1), LOAD8);
pub(super) const LDRS_2: Code = code(|old, v| load8(old, v, 2), LOAD8);
pub(super) const LDC_0: Code =
    Code { scale: 2, ..code(|old, v| load_words(old, v, 0), LOAD_WORDS) };
pub(super) const LDC_1: Code =
    Code { scale: 2, ..code(|old, v| load_words(old, v, 1), LOAD_WORDS) };
pub(super) const LDC_2: Code =
    Code { scale: 2, ..code(|old, v| load_words(old, v, 2), LOAD_WORDS) };
pub(super) const ADD_0: Code = code(|old, v| add(old, v, 0), add_addend);
pub(super) const ADD_1: Code = code(|old, v| add(old, v, 1), add_addend);
pub(super) const ADD_2: Code = code(|old, v| add(old, v, 2), add_addend);

/// `ldr.w` from a literal: twelve bits in the second halfword, U in the first.
pub(super) const THUMB_LDR: Code = code(
    |old, v| {
        let up = if v < 0 { 0 } else { 1 << 7 };
        old & !0x0fff_0080 | up | (v.unsigned_abs() as u32 & 0xfff) << 16
    },
    |insn| signed(insn & 1 << 7 != 0, insn >> 16 & 0xfff),
);

/// `adr.w`: `add` or `sub` of i:imm3:imm8.
pub(super) const THUMB_ADR: Code = code(
    |old, v| {
        let n = v.unsigned_abs() as u32;
        let sub = if v < 0 { 0xa0 } else { 0 };
        old & !0x70ff_04a0 | sub | (n & 0x800) >> 1 | (n & 0x700) << 20 | (n & 0xff) << 16
    },
    |insn| signed(insn & 0xa0 == 0, (insn & 0x400) << 1 | insn >> 20 & 0x700 | insn >> 16 & 0xff),
);

/// `ldr` of sixteen bits from a literal: eight bits that count words. The addend is -4 at least.
pub(super) const THUMB_LDR8: Code = Code {
    scale: 2,
    put: |old, v| old & 0xff00 | v as u32 >> 2 & 0xff,
    get: |insn| i64::from(((insn & 0xff) * 4 + 4) & 0x3ff) - 4,
};

/// `ldr` of sixteen bits from a register: five bits that count words.
pub(super) const THUMB_LDR5: Code = Code {
    scale: 2,
    put: |old, v| old & !0x7c0 | (v as u32 >> 2 & 0x1f) << 6,
    get: |insn| i64::from(insn >> 6 & 0x1f) * 4,
};

/// `movs`, `adds` of sixteen bits: one byte of the value.
const fn byte<const N: u32>() -> Code {
    code(|old, v| old & 0xff00 | v as u32 >> (8 * N) & 0xff, |insn| i64::from(insn & 0xff))
}

pub(super) const BYTE_0: Code = byte::<0>();
pub(super) const BYTE_1: Code = byte::<1>();
pub(super) const BYTE_2: Code = byte::<2>();
pub(super) const BYTE_3: Code = byte::<3>();

/// An instruction that stays as it is.
pub(super) const SAME: Code = code(|old, _| old, |_| 0);

/// `bx Rm` → `mov pc, Rm`.
pub(super) const BX_TO_MOV: Code = code(|old, _| old & 0xf000_000f | 0x01a0_f000, |_| 0);

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that `field` holds come back, whatever was in their place.
    fn round(field: &Code, old: u32, values: &[i64]) {
        for &value in values {
            let (zero, ones) = ((field.put)(old, 0), (field.put)(old, value));
            assert_eq!((field.get)(ones), value, "{old:#x} {value:#x}");
            assert_eq!((field.put)(ones, 0), zero, "{old:#x} {value:#x}: replaced");
        }
    }

    #[test]
    fn what_is_put_is_got() {
        let twelve = [0, 1, -1, 0xfff, -0xfff];
        round(&LDR_0, 0xe51f_0000, &twelve);
        round(&THUMB_LDR, 0x0000_f8df, &twelve);
        round(&THUMB_ADR, 0x0000_f20f, &twelve);
        round(&LDRS_0, 0xe15f_00d0, &[0, 0xff, -0xff]);
        round(&LDC_0, 0xed5f_0a00, &[0, 0x3fc, -0x3fc]);
        round(&MOVW, 0xe300_0000, &[0, 0x7fff, -0x8000, -2]);
        round(&THUMB_MOVW, 0x0000_f240, &[0, 0x7fff, -0x8000, -2]);
        round(&WORD31, 0, &[0, 0x3fff_ffff, -0x4000_0000]);
        round(&THUMB_LDR8, 0x4800, &[-4, 0, 0x3f8]);
        round(&THUMB_LDR5, 0x6800, &[0, 0x7c]);
        round(&ADD_0, 0xe28f_0000, &[0, 0xff, 0x3fc, -0xff00, 0xff00_0000, -0x3fc]);
    }

    #[test]
    fn an_addition_has_the_first_group() {
        assert_eq!((ADD_0.put)(0xe28f_0000, 0x1234_5678), 0xe28f_0548);
    }

    #[test]
    fn moves_have_their_half() {
        assert_eq!((MOVT.put)(0xe340_1000, 0x1234_5678), 0xe341_1234);
        assert_eq!((THUMB_MOVT.put)(0x0100_f2c0, 0x9abc_5678), 0x21bc_f6c9);
        assert_eq!((THUMB_MOVW.put)(0x0100_f240, 0x1234_5678), 0x6178_f245);
    }
}
