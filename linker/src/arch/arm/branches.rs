//! arm's branches: how far each goes, and which of them change the instruction set.
//!
//! Bit 0 of a distance is the state of where it ends: 1 is Thumb. `bl` and `blx` become each other; no
//! other branch can change the state.

use super::fields::sign;
use crate::arch::Branch;

/// What a branch in ARM state finds in the program counter, and one in Thumb state.
const ARM_PC: i64 = 8;
const THUMB_PC: i64 = 4;

/// `blx` to an immediate.
fn is_blx(insn: u32) -> bool {
    insn & 0xfe00_0000 == 0xfa00_0000
}

/// Whether it can become `blx`: it is one, or `bl` without a condition.
fn links(insn: u32) -> bool {
    is_blx(insn) || insn & 0xff00_0000 == 0xeb00_0000
}

fn holds(value: i64, bits: u32) -> bool {
    value >> (bits - 1) == 0 || value >> (bits - 1) == -1
}

/// `b`, `bl`, `blx`: 24 bits that count words; `blx` has a halfword more.
pub(super) const ARM_BRANCH: Branch = Branch {
    len: 4,
    own: 0,
    pc: ARM_PC,
    aligned: [4, 2],
    state: |insn| is_blx(insn).into(),
    reaches: |insn, v| (v & 1 == 0 || links(insn)) && holds(v, 26),
    put: |old, v| {
        let words = v as u32 >> 2 & 0xff_ffff;
        match (v & 1 != 0, is_blx(old)) {
            (true, _) => 0xfa00_0000 | (v as u32 & 2) << 23 | words,
            (false, true) => 0xeb00_0000 | words,
            (false, false) => old & 0xff00_0000 | words,
        }
    },
    get: |insn| {
        let half = if is_blx(insn) { insn >> 23 & 2 } else { 0 };
        sign((insn & 0xff_ffff) << 2 | half, 26)
    },
    // `mov r0, r0`: before ARMv6K there is no other.
    nothing: |_| 0xe1a0_0000,
};

/// The distance in S, J1, J2, imm10 and imm11 of the two halfwords.
fn thumb_distance(insn: u32) -> i64 {
    let (s, first, second) = (insn >> 10 & 1, insn & 0x3ff, insn >> 16);
    let i1 = !(second >> 13 ^ s) & 1;
    let i2 = !(second >> 11 ^ s) & 1;
    sign(s << 24 | i1 << 23 | i2 << 22 | first << 12 | (second & 0x7ff) << 1, 25)
}

fn put_thumb(old: u32, value: i64) -> u32 {
    let v = value as u32;
    let s = v >> 24 & 1;
    let (j1, j2) = (!(v >> 23 ^ s) & 1, !(v >> 22 ^ s) & 1);
    let second = j1 << 13 | j2 << 11 | v >> 1 & 0x7ff;
    old & !0x2fff_07ff | s << 10 | v >> 12 & 0x3ff | second << 16
}

/// Clear in `blx`, set in `bl`.
const TO_THUMB: u32 = 1 << 28;

/// What `blx` counts from is a word's start, at or before its own: a distance of half a word more.
fn whole_words(value: i64) -> i64 {
    (value + 2) & !3
}

/// `bl`, `blx` of Thumb.
pub(super) const THUMB_CALL: Branch = Branch {
    len: 4,
    own: 1,
    pc: THUMB_PC,
    aligned: [4, 2],
    state: |insn| (insn & TO_THUMB != 0).into(),
    reaches: |_, v| holds(if v & 1 != 0 { v } else { whole_words(v) }, 25),
    put: |old, v| match v & 1 {
        0 => put_thumb(old, whole_words(v)) & !TO_THUMB,
        _ => put_thumb(old, v) | TO_THUMB,
    },
    get: thumb_distance,
    nothing: NOTHING,
};

/// `b.w`.
pub(super) const THUMB_JUMP: Branch = Branch {
    len: 4,
    own: 1,
    pc: THUMB_PC,
    aligned: [4, 2],
    state: |_| 1,
    reaches: |_, v| v & 1 != 0 && holds(v, 25),
    put: put_thumb,
    get: thumb_distance,
    nothing: NOTHING,
};

/// `b<cond>.w`: S:J2:J1:imm6:imm11.
pub(super) const THUMB_COND: Branch = Branch {
    reaches: |_, v| v & 1 != 0 && holds(v, 21),
    put: |old, value| {
        let v = value as u32;
        let second = (v >> 18 & 1) << 13 | (v >> 19 & 1) << 11 | v >> 1 & 0x7ff;
        old & !0x2fff_043f | (v >> 20 & 1) << 10 | v >> 12 & 0x3f | second << 16
    },
    get: |insn| {
        let (s, first, second) = (insn >> 10 & 1, insn & 0x3f, insn >> 16);
        let (j1, j2) = (second >> 13 & 1, second >> 11 & 1);
        sign(s << 20 | j2 << 19 | j1 << 18 | first << 12 | (second & 0x7ff) << 1, 21)
    },
    ..THUMB_JUMP
};

/// `b` of sixteen bits.
pub(super) const SHORT_JUMP: Branch = Branch {
    len: 2,
    reaches: |_, v| v & 1 != 0 && holds(v, 12),
    put: |old, v| old & !0x7ff | v as u32 >> 1 & 0x7ff,
    get: |insn| sign((insn & 0x7ff) << 1, 12),
    nothing: |_| 0xbf00,
    ..THUMB_JUMP
};

/// `b<cond>` of sixteen bits.
pub(super) const SHORT_COND: Branch = Branch {
    reaches: |_, v| v & 1 != 0 && holds(v, 9),
    put: |old, v| old & !0xff | v as u32 >> 1 & 0xff,
    get: |insn| sign((insn & 0xff) << 1, 9),
    ..SHORT_JUMP
};

/// `cbz`, `cbnz`: forward only. The addend is -4 at least.
pub(super) const SHORT_ZERO: Branch = Branch {
    reaches: |_, v| v & 1 != 0 && (0..128).contains(&v),
    put: |old, v| {
        let v = v as u32;
        old & !0x2f8 | (v & 0x40) << 3 | (v & 0x3e) << 2
    },
    get: |insn| i64::from(((insn >> 3 & 0x40 | insn >> 2 & 0x3e) + 4) & 0x7f) - 4,
    ..SHORT_JUMP
};

/// `nop.w`
const NOTHING: fn(u32) -> u32 = |_| 0x8000_f3af;

#[cfg(test)]
mod tests {
    use super::*;

    /// Distances that `branch` holds come back, and the others are known.
    fn round(branch: &Branch, old: u32, inside: &[i64], outside: &[i64]) {
        for &v in inside {
            assert!((branch.reaches)(old, v), "{old:#x} {v:#x}");
            let new = (branch.put)(old, v);
            assert_eq!((branch.get)(new), v & !1, "{old:#x} {v:#x}");
            assert_eq!((branch.state)(new), v & 1, "{old:#x} {v:#x}");
            assert_eq!((branch.put)((branch.put)(old, -2 | v & 1), v), new, "replaced");
        }
        for &v in outside {
            assert!(!(branch.reaches)(old, v), "{old:#x} {v:#x}");
        }
    }

    #[test]
    fn branches_reach_as_far_as_their_bits() {
        let far = 1 << 25;
        round(
            &ARM_BRANCH,
            0xeb00_0000,
            &[0, -8, far - 4, -far, 1, far - 1, 1 - far],
            &[far, -far - 4],
        );
        round(&ARM_BRANCH, 0x0a00_0000, &[0, far - 4, -far], &[1, far - 1]);
        round(&ARM_BRANCH, 0x0b00_0000, &[0], &[1]);
        let far = 1 << 24;
        round(&THUMB_CALL, 0xd000_f000, &[1, far - 1, 1 - far, 0, far - 4, -far], &[far, far - 2]);
        round(&THUMB_JUMP, 0x9000_f000, &[1, far - 1, 1 - far], &[far + 1, 0, -far - 1]);
        let far = 1 << 20;
        round(&THUMB_COND, 0x8000_f040, &[1, far - 1, 1 - far], &[far + 1, 0, -far - 1]);
        round(&SHORT_JUMP, 0xe000, &[1, 0x7ff, -0x7ff], &[0x801, 0, -0x801]);
        round(&SHORT_COND, 0xd000, &[1, 0xff, -0xff], &[0x101, 0]);
        round(&SHORT_ZERO, 0xb100, &[1, 0x7b], &[0x81, 0, -1]);
    }

    #[test]
    fn blx_counts_from_a_word() {
        // At 2 modulo 4, to 0x100 further: what it counts from is two bytes before.
        assert_eq!((THUMB_CALL.get)((THUMB_CALL.put)(0xd000_f000, 0xfe)), 0x100);
        assert_eq!((THUMB_CALL.put)(0xf800_f000, 0), 0xe800_f000);
    }
}
