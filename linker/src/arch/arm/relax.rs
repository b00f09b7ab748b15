//! arm's descriptors of thread-locals: where their calls count from, and what becomes of them in executables.
//!
//! The literal with the descriptor's distance has the distance to the call as its addend, bit 0 of it saying
//! that the call is Thumb code; so what it counts from is in the call. No other access is ever rewritten:
//! the ABI has no sequence for it.

use super::*;
use crate::arch::{Relax, Rewrite};
use crate::format::elf::tables::{u16_at, u32_at};

/// What comes first of a sequence: `bl` to the stub, or an addition of the program counter.
const CALL: u8 = 0;
const ADD: u8 = 1;
/// In Thumb state.
const THUMB: u8 = 2;

/// What the literal at `at` counts from, beside the distance to the first instruction, if that is known.
fn first(code: &[u8], at: usize) -> Option<u8> {
    let distance = u32_at(code, at);
    let from = at.wrapping_sub((distance & !1) as i32 as usize);
    if distance & 1 != 0 {
        return match u16_at(code, from) {
            half if half & 0xf800 == 0xf000 => Some(THUMB | CALL),
            half if half & 0xff78 == 0x4478 => Some(THUMB | ADD),
            _ => None,
        };
    }
    match u32_at(code, from) {
        insn if insn & 0xfe00_0000 == 0xfa00_0000 || insn >> 24 == 0xeb => Some(CALL),
        insn if insn & 0xffff_0ff0 == 0xe08f_0000 => Some(ADD),
        _ => None,
    }
}

/// The instruction of a sequence in place of `insn`, for an offset that is in the literal (`le`) or in the GOT.
fn replacement(kind: u32, insn: u32, le: bool) -> Option<u32> {
    let half = insn & 0xffff;
    Some(match kind {
        // `nop` and `ldr r0, [pc, r0]`.
        R_ARM_TLS_CALL if le => 0xe1a0_0000,
        R_ARM_TLS_CALL => 0xe79f_0000,
        // `nop.w` and `add r0, pc; ldr r0, [r0]`.
        R_ARM_THM_TLS_CALL if le => 0x8000_f3af,
        R_ARM_THM_TLS_CALL => 0x6800_4478,
        R_ARM_TLS_DESCSEQ => match insn {
            // `add rx, pc, ry`; `ldr rx, [ry, #4]`; `blx rx`.
            _ if insn & 0xffff_0ff0 == 0xe08f_0000 && le => 0xe1a0_0000 | insn & 0xf00f,
            _ if insn & 0xffff_0ff0 == 0xe08f_0000 => insn,
            _ if insn & 0xfff0_0fff == 0xe590_0004 && le => {
                0xe1a0_0000 | insn & 0xf000 | insn >> 16 & 0xf
            }
            _ if insn & 0xfff0_0fff == 0xe590_0004 => insn & !0xfff,
            _ if insn & 0xffff_fff0 == 0xe12f_ff30 => 0xe1a0_0000 | insn & 0xf,
            _ => return None,
        },
        R_ARM_THM_TLS_DESCSEQ16 => match half {
            // `add rx, pc`; `ldr rx, [ry, #4]`; `blx rx`.
            _ if half & 0xff78 == 0x4478 && le => 0xbf00,
            _ if half & 0xff78 == 0x4478 => half,
            _ if half & 0xffc0 == 0x6840 && le => 0x4600 | half & 0x3f,
            _ if half & 0xffc0 == 0x6840 => 0x6800 | half & 0x3f,
            _ if half & 0xff87 == 0x4780 => 0x4600 | half & 0x78,
            _ => return None,
        },
        // `ldr.w rx, [ry, #4]` → `mov.w rx, ry` and `ldr.w rx, [ry]`.
        R_ARM_THM_TLS_DESCSEQ32 if insn & 0x0fff_fff0 == 0x0004_f8d0 => match le {
            true => 0xea4f | (insn >> 28) << 24 | (insn & 0xf) << 16,
            false => insn & !0x0fff_0000,
        },
        _ => return None,
    })
}

fn bytes(kind: u32) -> usize {
    if kind == R_ARM_THM_TLS_DESCSEQ16 { 2 } else { 4 }
}

/// What can be done to the code around `offset` if `what` is wanted.
pub(super) fn can(
    code: &[u8],
    offset: u64,
    kind: u32,
    what: Relax,
    _: Option<(u64, u32)>,
) -> Option<Rewrite> {
    let at = offset as usize;
    let form = match (what, kind) {
        (Relax::Desc | Relax::DescToLe | Relax::DescToIe, R_ARM_TLS_GOTDESC) => first(code, at)?,
        (Relax::DescCall | Relax::DescLoad, _) => {
            let insn = super::super::insn(code.get(at..at + bytes(kind))?);
            replacement(kind, insn, what == Relax::DescCall)?;
            0
        }
        _ => return None,
    };
    Some(Rewrite { what, form })
}

/// Rewrites in `out` what [`can`] found at `offset` of `code`.
pub(super) fn rewrite(
    code: &[u8],
    out: &mut [u8],
    (offset, kind): (u64, u32),
    Rewrite { what, form }: Rewrite,
    value: i64,
    place: u64,
) -> bool {
    let at = offset as usize;
    if matches!(what, Relax::DescCall | Relax::DescLoad) {
        let len = bytes(kind);
        let insn = super::super::insn(&code[at..at + len]);
        if let Some(new) = replacement(kind, insn, what == Relax::DescCall) {
            out[at..at + len].copy_from_slice(&new.to_le_bytes()[..len]);
        }
        return true;
    }
    let first = (place as u32).wrapping_sub(u32_at(code, at) & !1);
    // A call leaves the address after it, and its state, in `lr`; what reads `pc` is two instructions behind.
    let ahead = match (what, form) {
        (Relax::Desc, CALL) => 4,
        (Relax::Desc, form) if form == THUMB | CALL => 5,
        (_, form) if form & THUMB != 0 => 4,
        _ => 8,
    };
    let word = match what {
        Relax::DescToLe => value as u32,
        _ => (value as u32).wrapping_sub(first).wrapping_sub(ahead),
    };
    out[at..at + 4].copy_from_slice(&word.to_le_bytes());
    true
}

/// The relocation of what [`rewrite`] leaves.
pub(super) fn rewritten(kind: u32, Rewrite { what, .. }: Rewrite) -> Option<(i64, u32, i64)> {
    match what {
        Relax::DescToLe => Some((0, R_ARM_TLS_LE32, 0)),
        Relax::DescToIe => Some((0, R_ARM_TLS_IE32, 0)),
        Relax::Desc => Some((0, kind, 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bl stub` at 0 and its literal at 8, in either state.
    #[test]
    fn a_literal_counts_from_its_call() {
        let at = (8, R_ARM_TLS_GOTDESC);
        for (call, distance, wanted) in [
            (0xeb00_0000u32, 8u32, [0x500 - 4, 0x500 - 8]),
            (0xf800_f000, 9, [0x500 - 5, 0x500 - 4]),
            (0xe08f_0000, 8, [0x500 - 8, 0x500 - 8]),
            (0x0000_4478, 9, [0x500 - 4, 0x500 - 4]),
        ] {
            let code = [call, 0, distance].map(u32::to_le_bytes).concat();
            for (what, wanted) in [Relax::Desc, Relax::DescToIe].into_iter().zip(wanted) {
                let found = can(&code, at.0, at.1, what, None).unwrap();
                let mut out = code.clone();
                assert!(rewrite(&code, &mut out, at, found, 0x1500, 0x1008));
                assert_eq!(u32_at(&out, 8), wanted, "{call:#x} {what:?}");
            }
        }
        let code = [0u32, 0, 8].map(u32::to_le_bytes).concat();
        assert!(can(&code, 8, R_ARM_TLS_GOTDESC, Relax::Desc, None).is_none());
    }

    #[test]
    fn sequences_become_moves_and_loads() {
        for (kind, insn, le, ie) in [
            (R_ARM_TLS_DESCSEQ, 0xe08f_1002, 0xe1a0_1002, 0xe08f_1002),
            (R_ARM_TLS_DESCSEQ, 0xe591_3004, 0xe1a0_3001, 0xe591_3000),
            (R_ARM_TLS_DESCSEQ, 0xe12f_ff33, 0xe1a0_0003, 0xe1a0_0003),
            (R_ARM_THM_TLS_DESCSEQ16, 0x4479, 0xbf00, 0x4479),
            (R_ARM_THM_TLS_DESCSEQ16, 0x6841, 0x4601, 0x6801),
            (R_ARM_THM_TLS_DESCSEQ16, 0x4788, 0x4608, 0x4608),
            (R_ARM_THM_TLS_DESCSEQ32, 0x3004_f8d1, 0x0301_ea4f, 0x3000_f8d1),
        ] {
            assert_eq!(replacement(kind, insn, true), Some(le), "{insn:#x}");
            assert_eq!(replacement(kind, insn, false), Some(ie), "{insn:#x}");
        }
        assert_eq!(replacement(R_ARM_TLS_DESCSEQ, 0xe1a0_0000, true), None);
    }
}
