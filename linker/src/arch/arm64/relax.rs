//! arm64's rewrites, each instruction by its own relocation: loads from the GOT, and of TLS the descriptor
//! sequence, whose argument and result the ABI fixes to x0, and loads of offsets.
//!
//! `adrp x0; ldr xN, [x0]; add x0, x0; blr xN`, or `ldr xN; adr x0; blr xN`, becomes `movz x0; movk x0`, or a
//! load of the offset, and no-ops. What loads from the GOT must be `adrp` and `ldr` next to each other with one
//! register: AAELF64 §5.7.11 asks for that. For loads of thread-locals' offsets it does not, though lld and GNU
//! ld take it for granted.

use super::fields::{ADRP, IMM19, LO12, LO12_8, MOVW_0, MOVW_1};
use super::{
    NOP, R_AARCH64_ADD_ABS_LO12_NC, R_AARCH64_ADR_GOT_PAGE, R_AARCH64_ADR_PREL_PG_HI21,
    R_AARCH64_LD64_GOT_LO12_NC, R_AARCH64_TLSDESC_ADD_LO12 as ADD,
    R_AARCH64_TLSDESC_ADR_PAGE21 as ADR, R_AARCH64_TLSDESC_ADR_PREL21 as TINY_ADR,
    R_AARCH64_TLSDESC_LD_PREL19 as TINY_LOAD, R_AARCH64_TLSDESC_LD64_LO12 as LOAD,
    R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21 as IE_ADR, R_AARCH64_TLSIE_LD_GOTTPREL_PREL19,
    R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC as IE_LOAD, R_AARCH64_TLSLE_MOVW_TPREL_G0_NC,
    R_AARCH64_TLSLE_MOVW_TPREL_G1,
};
use crate::arch::{Range, Relax, Rewrite};

/// Whether `adrp r, slot; ldr r, [r, lo12(slot)]` begins at `offset`.
fn loads_slot(code: &[u8], offset: u64) -> bool {
    let pair = at(code, offset).zip(at(code, offset.saturating_add(4)));
    pair.is_some_and(|(adrp, ldr)| {
        let reg = adrp & 31;
        adrp & 0x9f00_0000 == 0x9000_0000
            && ldr & 0xffc0_0000 == 0xf940_0000
            && (ldr & 31, ldr >> 5 & 31) == (reg, reg)
    })
}

/// Whether `ldr xN, slot; adr x0, slot` begins at `offset`.
fn loads_tiny(code: &[u8], offset: u64) -> bool {
    let pair = at(code, offset).zip(at(code, offset.saturating_add(4)));
    pair.is_some_and(|(ldr, adr)| {
        ldr & 0xff00_0000 == 0x5800_0000 && adr & 0x9f00_001f == 0x1000_0000
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
    let before = offset.checked_sub(4);
    let known = match (what, kind) {
        (Relax::GotToPc, R_AARCH64_ADR_GOT_PAGE) => loads_slot(code, offset),
        (Relax::GotToPc, R_AARCH64_LD64_GOT_LO12_NC) => {
            before.is_some_and(|at| loads_slot(code, at))
        }
        (Relax::DescToLe | Relax::DescToIe, ADR) => insn & 0x9f00_001f == 0x9000_0000,
        (Relax::DescToLe | Relax::DescToIe, LOAD) => insn & 0xffc0_03e0 == 0xf940_0000,
        (Relax::DescToLe | Relax::DescToIe, ADD) => insn & 0xffc0_03ff == 0x9100_0000,
        (Relax::DescToLe | Relax::DescToIe, TINY_LOAD) => loads_tiny(code, offset),
        (Relax::DescToLe | Relax::DescToIe, TINY_ADR) => {
            before.is_some_and(|at| loads_tiny(code, at))
        }
        (Relax::IeToLe, IE_ADR) => loads_slot(code, offset),
        (Relax::IeToLe, IE_LOAD) => before.is_some_and(|at| loads_slot(code, at)),
        // Behind `add x0, xN, x0` it is the large model's, which stays.
        (Relax::DescCall, _) => {
            let large = before
                .and_then(|at| self::at(code, at))
                .is_some_and(|insn| insn & 0xff20_001f == 0x8b00_0000);
            insn & 0xffff_fc1f == 0xd63f_0000 && !large
        }
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
        // adrp x, symbol; add x, x, lo12(symbol)
        (Relax::GotToPc, R_AARCH64_ADR_GOT_PAGE) => {
            ((ADRP.put)(old, page), Range::Signed(33).holds(page))
        }
        (Relax::GotToPc, _) => ((LO12.put)(0x9100_0000 | old & 0x3ff, value), true),
        // movz x0, #high, lsl 16; movk x0, #low
        (Relax::DescToLe, ADR | TINY_LOAD) => ((MOVW_1.put)(0xd2a0_0000, value), value >> 32 == 0),
        (Relax::DescToLe, LOAD | TINY_ADR) => ((MOVW_0.put)(0xf280_0000, value), true),
        // adrp x0, slot; ldr x0, [x0, lo12(slot)]
        (Relax::DescToIe, ADR) => ((ADRP.put)(0x9000_0000, page), page >> 32 == page >> 63),
        (Relax::DescToIe, LOAD) => ((LO12_8.put)(0xf940_0000, value), true),
        // ldr x0, slot
        (Relax::DescToIe, TINY_LOAD) => {
            let distance = value.wrapping_sub(place as i64);
            ((IMM19.put)(0x5800_0000, distance), Range::Signed(21).holds(distance))
        }
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
    let kind = match (what, kind) {
        (Relax::GotToPc, R_AARCH64_ADR_GOT_PAGE) => R_AARCH64_ADR_PREL_PG_HI21,
        (Relax::GotToPc, _) => R_AARCH64_ADD_ABS_LO12_NC,
        (Relax::DescToLe, ADR | TINY_LOAD) | (Relax::IeToLe, IE_ADR) => {
            R_AARCH64_TLSLE_MOVW_TPREL_G1
        }
        (Relax::DescToLe, LOAD | TINY_ADR) | (Relax::IeToLe, IE_LOAD) => {
            R_AARCH64_TLSLE_MOVW_TPREL_G0_NC
        }
        (Relax::DescToIe, ADR) => IE_ADR,
        (Relax::DescToIe, LOAD) => IE_LOAD,
        (Relax::DescToIe, TINY_LOAD) => R_AARCH64_TLSIE_LD_GOTTPREL_PREL19,
        _ => return None,
    };
    Some((0, kind, 0))
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

    #[test]
    fn the_tiny_model_s_descriptor_is_rewritten_too() {
        // ldr x1, slot; adr x0, slot; blr x1
        let code = bytes(&[0x5800_0001, 0x1000_0000, 0xd63f_0020]);
        let after = |what: Relax, value: i64| -> Vec<u8> {
            let kinds = [(TINY_LOAD, 0), (TINY_ADR, 4), (569, 8)].into_iter();
            let each = kinds.map(|(kind, at)| {
                let what = if kind == 569 { Relax::DescCall } else { what };
                one(&code, (at, kind), what, value, 0x1000 + at).unwrap()
            });
            each.flatten().collect()
        };
        assert_eq!(after(Relax::DescToLe, 0x1_2345), bytes(&[0xd2a0_0020, 0xf284_68a0, NOP]));
        assert_eq!(after(Relax::DescToIe, 0x1010), bytes(&[0x5800_0080, NOP, NOP]));
        // add x0, x9, x0; blr x1
        let large = bytes(&[0x8b00_0120, 0xd63f_0020]);
        assert!(can(&large, 4, 569, Relax::DescCall, None).is_none(), "its load stays");
    }

    #[test]
    fn a_load_from_the_got_becomes_an_address() {
        let (adrp, ldr) = (R_AARCH64_ADR_GOT_PAGE, R_AARCH64_LD64_GOT_LO12_NC);
        // adrp x3, slot; ldr x3, [x3, slot]
        let code = bytes(&[0x9000_0003, 0xf940_0463]);
        let first = one(&code, (0, adrp), Relax::GotToPc, 0x2345, 0x1000);
        let second = one(&code, (4, ldr), Relax::GotToPc, 0x2345, 0x1004);
        // adrp x3, 2000; add x3, x3, #0x345
        assert_eq!([first, second], [0xb000_0003, 0x910d_1463].map(|insn| Some(bytes(&[insn]))));
        // The page may serve other loads.
        let other = bytes(&[0x9000_0003, 0xf940_0464]);
        assert!(can(&other, 0, adrp, Relax::GotToPc, None).is_none());
        assert!(can(&other, 4, ldr, Relax::GotToPc, None).is_none());
    }
}
