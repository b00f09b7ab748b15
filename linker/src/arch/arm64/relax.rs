//! arm64's rewrites: the descriptor sequence, whose argument and result the ABI fixes to x0.
//!
//! `adrp x0; ldr xN, [x0]; add x0, x0; blr xN` becomes `movz x0; movk x0` or `adrp x0; ldr x0, [x0]`,
//! and no-ops. Each instruction is rewritten by its own relocation. A load of an offset from the thread
//! pointer becomes that offset only if `adrp` and the load are neighbours and share their register:
//! the ABI does not ask for that, though lld and GNU ld take it for granted.

use super::NOP;
use super::fields::{ADRP, LO12_8, MOVW_0, MOVW_1};
use crate::arch::{Relax, Rewrite};

/// R_AARCH64_TLSDESC_ADR_PAGE21
const ADR: u32 = 562;
/// R_AARCH64_TLSDESC_LD64_LO12
const LOAD: u32 = 563;
/// R_AARCH64_TLSDESC_ADD_LO12
const ADD: u32 = 564;

/// R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21
const IE_ADR: u32 = 541;
/// R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC
const IE_LOAD: u32 = 542;

/// Whether `adrp r, slot; ldr r, [r, lo12(slot)]` begins at `offset`.
fn loads_offset(code: &[u8], offset: u64) -> bool {
    let pair = at(code, offset).zip(at(code, offset.saturating_add(4)));
    pair.is_some_and(|(adrp, ldr)| {
        let reg = adrp & 31;
        adrp & 0x9f00_0000 == 0x9000_0000
            && ldr & 0xffc0_0000 == 0xf940_0000
            && (ldr & 31, ldr >> 5 & 31) == (reg, reg)
    })
}

/// The instruction at `offset`.
fn at(code: &[u8], offset: u64) -> Option<u32> {
    let bytes = code.get(usize::try_from(offset).ok()?..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Whether the code around `offset` has the form that `what` rewrites. There is one form of each.
pub(super) fn can(
    code: &[u8],
    offset: u64,
    kind: u32,
    what: Relax,
    _next: Option<(u64, u32)>,
) -> Option<Rewrite> {
    let insn = at(code, offset)?;
    let known = match (what, kind) {
        (Relax::DescToLe | Relax::DescToIe, ADR) => insn & 0x9f00_001f == 0x9000_0000,
        (Relax::DescToLe | Relax::DescToIe, LOAD) => insn & 0xffc0_03e0 == 0xf940_0000,
        (Relax::DescToLe | Relax::DescToIe, ADD) => insn & 0xffc0_03ff == 0x9100_0000,
        (Relax::IeToLe, IE_ADR) => loads_offset(code, offset),
        (Relax::IeToLe, IE_LOAD) => offset.checked_sub(4).is_some_and(|at| loads_offset(code, at)),
        (Relax::DescCall, _) => insn & 0xffff_fc1f == 0xd63f_0000,
        _ => false,
    };
    known.then_some(Rewrite { what, form: 0 })
}

/// Rewrites the instruction at `offset`; false if `value` does not fit.
pub(super) fn rewrite(
    code: &[u8],
    out: &mut [u8],
    (offset, kind): (u64, u32),
    Rewrite { what, .. }: Rewrite,
    value: i64,
    place: u64,
) -> bool {
    let old = at(code, offset).unwrap_or(NOP);
    let page = (value & !0xfff).wrapping_sub((place & !0xfff) as i64);
    let (insn, fits) = match (what, kind) {
        // movz x0, #high, lsl 16; movk x0, #low
        (Relax::DescToLe, ADR) => ((MOVW_1.put)(0xd2a0_0000, value), value >> 32 == 0),
        (Relax::DescToLe, LOAD) => ((MOVW_0.put)(0xf280_0000, value), true),
        // adrp x0, slot; ldr x0, [x0, lo12(slot)]
        (Relax::DescToIe, ADR) => ((ADRP.put)(0x9000_0000, page), page >> 32 == page >> 63),
        (Relax::DescToIe, LOAD) => ((LO12_8.put)(0xf940_0000, value), true),
        // The same for any register.
        (Relax::IeToLe, IE_ADR) => ((MOVW_1.put)(0xd2a0_0000 | old & 31, value), value >> 32 == 0),
        (Relax::IeToLe, IE_LOAD) => ((MOVW_0.put)(0xf280_0000 | old & 31, value), true),
        _ => (NOP, true),
    };
    let from = offset as usize;
    out[from..from + 4].copy_from_slice(&insn.to_le_bytes());
    fits
}

/// The relocation of what [`rewrite`] leaves.
pub(super) fn rewritten(kind: u32, Rewrite { what, .. }: Rewrite) -> Option<(i64, u32, i64)> {
    match (what, kind) {
        (Relax::DescToLe, ADR) | (Relax::IeToLe, IE_ADR) => Some((0, 545, 0)),
        (Relax::DescToLe, LOAD) | (Relax::IeToLe, IE_LOAD) => Some((0, 548, 0)),
        (Relax::DescToIe, ADR) => Some((0, 541, 0)),
        (Relax::DescToIe, LOAD) => Some((0, 542, 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(insns: &[u32]) -> Vec<u8> {
        insns.iter().flat_map(|insn| insn.to_le_bytes()).collect()
    }

    /// `code` with the instruction at `at` rewritten, if it can be.
    fn one(code: &[u8], at: (u64, u32), what: Relax, value: i64, place: u64) -> Option<Vec<u8>> {
        let form = can(code, at.0, at.1, what, None)?;
        let mut out = code.to_vec();
        assert!(rewrite(code, &mut out, at, form, value, place));
        Some(out[at.0 as usize..][..4].to_vec())
    }

    #[test]
    fn a_load_of_an_offset_keeps_its_register() {
        // adrp x3, 0; ldr x3, [x3]
        let code = bytes(&[0x9000_0003, 0xf940_0063]);
        let adrp = one(&code, (0, IE_ADR), Relax::IeToLe, 0x1_2345, 0);
        let load = one(&code, (4, IE_LOAD), Relax::IeToLe, 0x1_2345, 4);
        // movz x3, #1, lsl 16; movk x3, #0x2345
        assert_eq!(adrp, Some(bytes(&[0xd2a0_0023])));
        assert_eq!(load, Some(bytes(&[0xf284_68a3])));
        for other in [[0x9000_0003, 0xf940_0061], [0x9000_0003, 0xf940_0041], [NOP, 0xf940_0063]] {
            let code = bytes(&other);
            assert!(can(&code, 0, IE_ADR, Relax::IeToLe, None).is_none(), "{other:x?}");
            assert!(can(&code, 4, IE_LOAD, Relax::IeToLe, None).is_none(), "{other:x?}");
        }
    }

    #[test]
    fn a_descriptor_becomes_an_offset_or_a_load_of_one() {
        // gcc takes any register for the function.
        let code = bytes(&[0x9000_0000, 0xf940_0002, 0x9100_0000, 0xd63f_0040]);
        let after = |what: Relax, value: i64| -> Vec<u8> {
            let kinds = [ADR, LOAD, ADD, 569].into_iter().zip((0..).step_by(4));
            let each = kinds.map(|(kind, at)| {
                let what = if kind == 569 { Relax::DescCall } else { what };
                one(&code, (at, kind), what, value, 0x1000 + at).unwrap()
            });
            each.flatten().collect()
        };
        assert_eq!(after(Relax::DescToLe, 0x1_2345), bytes(&[0xd2a0_0020, 0xf284_68a0, NOP, NOP]));
        assert_eq!(after(Relax::DescToIe, 0x2008), bytes(&[0xb000_0000, 0xf940_0400, NOP, NOP]));
    }
}
