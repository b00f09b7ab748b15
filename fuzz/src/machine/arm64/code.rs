//! Code of AArch64: one row for each way to refer to a symbol.
//!
//! Each leaves its result in `x0`. Spec: AAELF64 §5.7, ELF TLS ABI for AArch64, Cortex-A sequences of gcc's
//! tiny, small and large code models.

use super::*;
use crate::config::Config;
use crate::machine::code::{Code, Sequence, datum, piece};

/// Bytes of instructions.
macro_rules! words {
    [$($word:literal)*] => {
        &[$($word as u32 as u8, ($word as u32 >> 8) as u8, ($word as u32 >> 16) as u8, ($word as u32 >> 24) as u8),*]
    };
}

macro_rules! a64 {
    ($on:expr, $needs:expr, [$($word:literal)*], $(($at:literal, $kind:ident, $addend:literal, $who:ident))*) => {{
        use crate::machine::code::{Needs::*, Who};
        Sequence {
            state: 0,
            bytes: words![$($word)*],
            parts: &[$(($at, $kind, $addend, Who::$who)),*],
            needs: $needs,
            on: $on,
        }
    }};
}

/// What AArch64 code is made of.
pub(super) const CODE: Code = Code {
    sequences: SEQUENCES,
    rare: &[],
    align: 4,
    nop: words![0xd503201f],
    ret: words![0xd65f03c0],
    // mov x8, #93; mov x0, #0; svc #0
    exit: words![0xd2800ba8 0xd2800000 0xd4000001],
    returns,
    state: |_| 0,
    resolver,
    // adr x0, .; ret
    own_resolver: words![0x10000000 0xd65f03c0],
    // adrp x0, S; add x0, x0, :lo12:S
    take: piece(
        words![0x90000000 0x91000000],
        &[(0, R_AARCH64_ADR_PREL_PG_HI21, 0), (4, R_AARCH64_ADD_ABS_LO12_NC, 0)],
    ),
    // adrp x0, :got:S; ldr x0, [x0, :got_lo12:S]
    got: piece(
        words![0x90000000 0xf9400000],
        &[(0, R_AARCH64_ADR_GOT_PAGE, 0), (4, R_AARCH64_LD64_GOT_LO12_NC, 0)],
    ),
    // bl S
    call: piece(words![0x94000000], &[(0, R_AARCH64_CALL26, 0)]),
    // movz x0, #:abs_g1:S; movk x0, #:abs_g0_nc:S
    absolute: piece(
        words![0xd2a00000 0xf2800000],
        &[(0, R_AARCH64_MOVW_UABS_G1, 0), (4, R_AARCH64_MOVW_UABS_G0_NC, 0)],
    ),
    // adrp x0, :gottprel:S; ldr x0, [x0, :gottprel_lo12:S]
    tls_initial: piece(
        words![0x90000000 0xf9400000],
        &[
            (0, R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21, 0),
            (4, R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, 0),
        ],
    ),
    // add x0, x0, :tprel_hi12:S; add x0, x0, :tprel_lo12_nc:S
    tls_local: piece(
        words![0x91400000 0x91000000],
        &[(0, R_AARCH64_TLSLE_ADD_TPREL_HI12, 0), (4, R_AARCH64_TLSLE_ADD_TPREL_LO12_NC, 0)],
    ),
};

/// `movz x0, …; movk x0, …` of all halfwords; `ret`
fn returns(number: u64) -> Vec<u8> {
    let half = |n: u32| ((number >> (16 * n)) as u32 & 0xffff) << 5 | n << 21;
    let words = [0xd280_0000 | half(0), 0xf280_0000 | half(1), 0xf280_0000 | half(2)];
    let rest = [0xf280_0000 | half(3), 0xd65f_03c0];
    words.into_iter().chain(rest).flat_map(u32::to_le_bytes).collect()
}

/// `adr x0, 1f; ret; 1:` and a function that returns the number.
fn resolver(number: u64) -> Vec<u8> {
    let mut bytes = words![0x10000040 0xd65f03c0].to_vec();
    bytes.extend_from_slice(&returns(number));
    bytes
}

fn always(_: &Config) -> bool {
    true
}

#[rustfmt::skip]
const SEQUENCES: &[Sequence] = &[
    // adrp x0, S; add x0, x0, :lo12:S; and with a gap, through x1, without overflow checks
    a64!(always, Near, [0x90000000 0x91000000 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Target) (4, R_AARCH64_ADD_ABS_LO12_NC, 0, Target)),
    a64!(always, Near, [0x90000001 0xd503201f 0x91000020 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Target) (8, R_AARCH64_ADD_ABS_LO12_NC, 0, Target)),
    a64!(always, Near, [0x90000000 0x91000000 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21_NC, 0, Target) (4, R_AARCH64_ADD_ABS_LO12_NC, 0, Target)),
    // adr x0, S
    a64!(|c| c.tiny, Placed, [0x10000000 0xd65f03c0], (0, R_AARCH64_ADR_PREL_LO21, 0, Target)),
    // adrp x1, S; ldrb, ldrh, ldr w, ldr x, ldr q
    a64!(always, Loaded(1), [0x90000001 0x39400020 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Target) (4, R_AARCH64_LDST8_ABS_LO12_NC, 0, Target)),
    a64!(always, Loaded(2), [0x90000001 0x79400020 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Target) (4, R_AARCH64_LDST16_ABS_LO12_NC, 0, Target)),
    a64!(always, Loaded(4), [0x90000001 0xb9400020 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Target) (4, R_AARCH64_LDST32_ABS_LO12_NC, 0, Target)),
    a64!(always, Loaded(8), [0x90000001 0xf9400020 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Target) (4, R_AARCH64_LDST64_ABS_LO12_NC, 0, Target)),
    a64!(always, Loaded(16), [0x90000001 0x3dc00020 0x9e660000 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Target) (4, R_AARCH64_LDST128_ABS_LO12_NC, 0, Target)),
    // ldr x0, S
    a64!(|c| c.tiny, Loaded(8), [0x58000000 0xd65f03c0], (0, R_AARCH64_LD_PREL_LO19, 0, Target)),
    // bl S; b S
    a64!(always, Function, [0xa9bf7bfd 0x94000000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_CALL26, 0, Target)),
    a64!(always, Function, [0x14000000], (0, R_AARCH64_JUMP26, 0, Target)),
    // cmp xzr, xzr; b.eq S; cbz xzr, S; tbz wzr, #3, S
    a64!(|c| c.narrow, Body, [0xeb1f03ff 0x54000000], (4, R_AARCH64_CONDBR19, 0, Target)),
    a64!(|c| c.narrow, Body, [0xb400001f], (0, R_AARCH64_CONDBR19, 0, Target)),
    a64!(|c| c.narrow, Body, [0x3618001f], (0, R_AARCH64_TSTBR14, 0, Target)),
    // adrp x0, :got:S; ldr x0, [x0, :got_lo12:S]; and with a gap, through x1
    a64!(|c| c.got, Any, [0x90000000 0xf9400000 0xd65f03c0], (0, R_AARCH64_ADR_GOT_PAGE, 0, Target) (4, R_AARCH64_LD64_GOT_LO12_NC, 0, Target)),
    a64!(|c| c.got, Any, [0x90000001 0xd503201f 0xf9400020 0xd65f03c0], (0, R_AARCH64_ADR_GOT_PAGE, 0, Target) (8, R_AARCH64_LD64_GOT_LO12_NC, 0, Target)),
    // one page, two loads
    a64!(|c| c.got, Any, [0x90000001 0xf9400020 0xf9400021 0xd65f03c0], (0, R_AARCH64_ADR_GOT_PAGE, 0, Target) (4, R_AARCH64_LD64_GOT_LO12_NC, 0, Target) (8, R_AARCH64_LD64_GOT_LO12_NC, 0, Target)),
    // …; br x16; blr x1
    a64!(|c| c.got, Pointer, [0x90000010 0xf9400210 0xd61f0200], (0, R_AARCH64_ADR_GOT_PAGE, 0, Target) (4, R_AARCH64_LD64_GOT_LO12_NC, 0, Target)),
    a64!(|c| c.got, Pointer, [0xa9bf7bfd 0x90000001 0xf9400021 0xd63f0020 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_ADR_GOT_PAGE, 0, Target) (8, R_AARCH64_LD64_GOT_LO12_NC, 0, Target)),
    // ldr x0, :got:S
    a64!(|c| c.tiny, Any, [0x58000000 0xd65f03c0], (0, R_AARCH64_GOT_LD_PREL19, 0, Target)),
    // adrp x0, _GLOBAL_OFFSET_TABLE_; ldr x0, [x0, :gotpage_lo15:S]
    a64!(|c| c.got, Any, [0x90000000 0xf9400000 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Got) (4, R_AARCH64_LD64_GOTPAGE_LO15, 0, Target)),
    // …; add x0, x0, :lo12:_GLOBAL_OFFSET_TABLE_; ldr x0, [x0, :gotoff_lo15:S]
    a64!(|c| c.large && c.rare, Any, [0x90000000 0x91000000 0xf9400000 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Got) (4, R_AARCH64_ADD_ABS_LO12_NC, 0, Got) (8, R_AARCH64_LD64_GOTOFF_LO15, 0, Target)),
    // …; movz x1, :gotoff_g1:S; movk x1, :gotoff_g0_nc:S; ldr x0, [x0, x1]
    a64!(|c| c.large && c.rare, Any, [0x90000000 0x91000000 0xd2a00001 0xf2800001 0xf8616800 0xd65f03c0], (0, R_AARCH64_ADR_PREL_PG_HI21, 0, Got) (4, R_AARCH64_ADD_ABS_LO12_NC, 0, Got) (8, R_AARCH64_MOVW_GOTOFF_G1, 0, Target) (12, R_AARCH64_MOVW_GOTOFF_G0_NC, 0, Target)),
    // movz, movk of all halfwords, of three, of two; signed
    a64!(|c| c.absolute_code, Address, [0xd2e00000 0xf2c00000 0xf2a00000 0xf2800000 0xd65f03c0], (0, R_AARCH64_MOVW_UABS_G3, 0, Target) (4, R_AARCH64_MOVW_UABS_G2_NC, 0, Target) (8, R_AARCH64_MOVW_UABS_G1_NC, 0, Target) (12, R_AARCH64_MOVW_UABS_G0_NC, 0, Target)),
    a64!(|c| c.absolute_code, LowAddress, [0xd2c00000 0xf2a00000 0xf2800000 0xd65f03c0], (0, R_AARCH64_MOVW_UABS_G2, 0, Target) (4, R_AARCH64_MOVW_UABS_G1_NC, 0, Target) (8, R_AARCH64_MOVW_UABS_G0_NC, 0, Target)),
    a64!(|c| c.absolute_code, LowAddress, [0xd2a00000 0xf2800000 0xd65f03c0], (0, R_AARCH64_MOVW_UABS_G1, 0, Target) (4, R_AARCH64_MOVW_UABS_G0_NC, 0, Target)),
    a64!(|c| c.absolute_code, LowAddress, [0xd2a00000 0xf2800000 0xd65f03c0], (0, R_AARCH64_MOVW_SABS_G1, 0, Target) (4, R_AARCH64_MOVW_UABS_G0_NC, 0, Target)),
    a64!(|c| c.absolute_code, LowAddress, [0xd2c00000 0xf2a00000 0xf2800000 0xd65f03c0], (0, R_AARCH64_MOVW_SABS_G2, 0, Target) (4, R_AARCH64_MOVW_UABS_G1_NC, 0, Target) (8, R_AARCH64_MOVW_UABS_G0_NC, 0, Target)),
    // ldr x0, 1f; ret; 1: .xword S
    a64!(|c| c.absolute_code, Address, [0x58000040 0xd65f03c0 0x00000000 0x00000000], (8, R_AARCH64_ABS64, 0, Target)),
    // adr x1, .; movz, movk of S - .; add x0, x0, x1
    a64!(|c| c.large && c.rare, Near, [0x10000001 0xd2e00000 0xf2c00000 0xf2a00000 0xf2800000 0x8b010000 0xd65f03c0], (4, R_AARCH64_MOVW_PREL_G3, 4, Target) (8, R_AARCH64_MOVW_PREL_G2_NC, 8, Target) (12, R_AARCH64_MOVW_PREL_G1_NC, 12, Target) (16, R_AARCH64_MOVW_PREL_G0_NC, 16, Target)),
    a64!(|c| c.large && c.rare, Placed, [0x10000001 0xd2c00000 0xf2a00000 0xf2800000 0x8b010000 0xd65f03c0], (4, R_AARCH64_MOVW_PREL_G2, 4, Target) (8, R_AARCH64_MOVW_PREL_G1_NC, 8, Target) (12, R_AARCH64_MOVW_PREL_G0_NC, 12, Target)),
    a64!(|c| c.large && c.rare, Placed, [0x10000001 0xd2a00000 0xf2800000 0x8b010000 0xd65f03c0], (4, R_AARCH64_MOVW_PREL_G1, 4, Target) (8, R_AARCH64_MOVW_PREL_G0_NC, 8, Target)),
    // General dynamic: adrp x0, :tlsgd:S; add x0, x0, :tlsgd_lo12:S; bl __tls_get_addr; nop; and with adr
    a64!(|c| c.tls_gd, Tls, [0xa9bf7bfd 0x90000000 0x91000000 0x94000000 0xd503201f 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSGD_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSGD_ADD_LO12_NC, 0, Target) (12, R_AARCH64_CALL26, 0, TlsGetAddr)),
    a64!(|c| c.tls_gd && c.rare, Tls, [0xa9bf7bfd 0x10000000 0x94000000 0xd503201f 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSGD_ADR_PREL21, 0, Target) (8, R_AARCH64_CALL26, 0, TlsGetAddr)),
    // Local dynamic: adrp x0, :tlsldm:S; add; bl; nop; add x0, x0, :dtprel_hi12:S; add x0, x0, :dtprel_lo12_nc:S
    a64!(|c| c.tls_ld && c.rare, NearTls, [0xa9bf7bfd 0x90000000 0x91000000 0x94000000 0xd503201f 0x91400000 0x91000000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSLD_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSLD_ADD_LO12_NC, 0, Target) (12, R_AARCH64_CALL26, 0, TlsGetAddr) (20, R_AARCH64_TLSLD_ADD_DTPREL_HI12, 0, Target) (24, R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC, 0, Target)),
    a64!(|c| c.tls_ld && c.rare, NearTls, [0xa9bf7bfd 0x10000000 0x94000000 0xd503201f 0x91000000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSLD_ADR_PREL21, 0, Target) (8, R_AARCH64_CALL26, 0, TlsGetAddr) (16, R_AARCH64_TLSLD_ADD_DTPREL_LO12, 0, Target)),
    // …; movz x1, :dtprel_g1:S; movk x1, :dtprel_g0_nc:S; add x0, x0, x1; and :dtprel_g0:
    a64!(|c| c.tls_ld && c.rare, NearTls, [0xa9bf7bfd 0x90000000 0x91000000 0x94000000 0xd503201f 0xd2a00001 0xf2800001 0x8b010000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSLD_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSLD_ADD_LO12_NC, 0, Target) (12, R_AARCH64_CALL26, 0, TlsGetAddr) (20, R_AARCH64_TLSLD_MOVW_DTPREL_G1, 0, Target) (24, R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC, 0, Target)),
    a64!(|c| c.tls_ld && c.rare, NearTls, [0xa9bf7bfd 0x90000000 0x91000000 0x94000000 0xd503201f 0xd2800001 0x8b010000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSLD_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSLD_ADD_LO12_NC, 0, Target) (12, R_AARCH64_CALL26, 0, TlsGetAddr) (20, R_AARCH64_TLSLD_MOVW_DTPREL_G0, 0, Target)),
    // …; movz x1, :dtprel_g2:S; movk x1, :dtprel_g1_nc:S; movk
    a64!(|c| c.tls_ld && c.rare, NearTls, [0xa9bf7bfd 0x90000000 0x91000000 0x94000000 0xd503201f 0xd2c00001 0xf2a00001 0xf2800001 0x8b010000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSLD_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSLD_ADD_LO12_NC, 0, Target) (12, R_AARCH64_CALL26, 0, TlsGetAddr) (20, R_AARCH64_TLSLD_MOVW_DTPREL_G2, 0, Target) (24, R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC, 0, Target) (28, R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC, 0, Target)),
    // …; add x0, x0, :dtprel_hi12:S; ldrb w0, [x0, :dtprel_lo12_nc:S]; and :dtprel_lo12:
    a64!(|c| c.tls_ld && c.rare, NearTls, [0xa9bf7bfd 0x90000000 0x91000000 0x94000000 0xd503201f 0x91400000 0x39400000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSLD_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSLD_ADD_LO12_NC, 0, Target) (12, R_AARCH64_CALL26, 0, TlsGetAddr) (20, R_AARCH64_TLSLD_ADD_DTPREL_HI12, 0, Target) (24, R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC, 0, Target)),
    a64!(|c| c.tls_ld && c.rare, NearTls, [0xa9bf7bfd 0x90000000 0x91000000 0x94000000 0xd503201f 0x39400000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSLD_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSLD_ADD_LO12_NC, 0, Target) (12, R_AARCH64_CALL26, 0, TlsGetAddr) (20, R_AARCH64_TLSLD_LDST8_DTPREL_LO12, 0, Target)),
    // Initial exec: mrs x1, tpidr_el0; adrp x0, :gottprel:S; ldr x0, [x0, :gottprel_lo12:S]; add; and in other orders
    a64!(|c| c.tls_ie, Tls, [0xd53bd041 0x90000000 0xf9400000 0x8b010000 0xd65f03c0], (4, R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21, 0, Target) (8, R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, 0, Target)),
    a64!(|c| c.tls_ie && c.rare, Tls, [0x90000002 0xd53bd041 0xf9400042 0x8b010040 0xd65f03c0], (0, R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21, 0, Target) (8, R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, 0, Target)),
    a64!(|c| c.tls_ie && c.rare, Tls, [0xd53bd041 0x58000000 0x8b010000 0xd65f03c0], (4, R_AARCH64_TLSIE_LD_GOTTPREL_PREL19, 0, Target)),
    // Local exec: mrs x0, tpidr_el0; add x0, x0, :tprel_hi12:S; add x0, x0, :tprel_lo12_nc:S; and :tprel_lo12:
    a64!(|c| c.tls_le, ExeTls, [0xd53bd040 0x91400000 0x91000000 0xd65f03c0], (4, R_AARCH64_TLSLE_ADD_TPREL_HI12, 0, Target) (8, R_AARCH64_TLSLE_ADD_TPREL_LO12_NC, 0, Target)),
    a64!(|c| c.tls_le && c.rare, ExeTls, [0xd53bd040 0x91000000 0xd65f03c0], (4, R_AARCH64_TLSLE_ADD_TPREL_LO12, 0, Target)),
    // movz x0, :tprel_g1:S …; three halfwords; one
    a64!(|c| c.tls_le, ExeTls, [0xd2a00000 0xf2800000 0xd53bd041 0x8b010000 0xd65f03c0], (0, R_AARCH64_TLSLE_MOVW_TPREL_G1, 0, Target) (4, R_AARCH64_TLSLE_MOVW_TPREL_G0_NC, 0, Target)),
    a64!(|c| c.tls_le, ExeTls, [0xd2c00000 0xf2a00000 0xf2800000 0xd53bd041 0x8b010000 0xd65f03c0], (0, R_AARCH64_TLSLE_MOVW_TPREL_G2, 0, Target) (4, R_AARCH64_TLSLE_MOVW_TPREL_G1_NC, 0, Target) (8, R_AARCH64_TLSLE_MOVW_TPREL_G0_NC, 0, Target)),
    a64!(|c| c.tls_le, ExeTls, [0xd2800000 0xd53bd041 0x8b010000 0xd65f03c0], (0, R_AARCH64_TLSLE_MOVW_TPREL_G0, 0, Target)),
    // …; ldrb w0, [x0, :tprel_lo12_nc:S]; :tprel_lo12:
    a64!(|c| c.tls_le, ExeTls, [0xd53bd040 0x91400000 0x39400000 0xd65f03c0], (4, R_AARCH64_TLSLE_ADD_TPREL_HI12, 0, Target) (8, R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC, 0, Target)),
    a64!(|c| c.tls_le && c.rare, ExeTls, [0xd53bd040 0x39400000 0xd65f03c0], (4, R_AARCH64_TLSLE_LDST8_TPREL_LO12, 0, Target)),
    // Descriptor: adrp x0, :tlsdesc:S; ldr x1, [x0, :tlsdesc_lo12:S]; add x0, x0, :tlsdesc_lo12:S; blr x1; and tiny
    a64!(|c| c.tls_desc, Tls, [0xa9bf7bfd 0x90000000 0xf9400001 0x91000000 0xd63f0020 0xd53bd041 0x8b010000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSDESC_ADR_PAGE21, 0, Target) (8, R_AARCH64_TLSDESC_LD64_LO12, 0, Target) (12, R_AARCH64_TLSDESC_ADD_LO12, 0, Target) (16, R_AARCH64_TLSDESC_CALL, 0, Target)),
    a64!(|c| c.tls_desc && c.rare, Tls, [0xa9bf7bfd 0x58000001 0x10000000 0xd63f0020 0xd53bd041 0x8b010000 0xa8c17bfd 0xd65f03c0], (4, R_AARCH64_TLSDESC_LD_PREL19, 0, Target) (8, R_AARCH64_TLSDESC_ADR_PREL21, 0, Target) (12, R_AARCH64_TLSDESC_CALL, 0, Target)),
];

/// What the sweep tries.
#[rustfmt::skip]
pub(super) const SWEEP: &[Piece] = &[
    datum(&[0; 8], &[(0, R_AARCH64_ABS64, 0)]),
    datum(&[0; 4], &[(0, R_AARCH64_ABS32, 0)]),
    datum(&[0; 2], &[(0, R_AARCH64_ABS16, 0)]),
    piece(words![0xd2800000], &[(0, R_AARCH64_MOVW_UABS_G0, 0)]),
    piece(words![0xf2800000], &[(0, R_AARCH64_MOVW_UABS_G0_NC, 0)]),
    piece(words![0xd2800000], &[(0, R_AARCH64_MOVW_SABS_G0, 0)]),
    piece(words![0xd2a00000], &[(0, R_AARCH64_MOVW_UABS_G1, 0)]),
    piece(words![0xf2a00000], &[(0, R_AARCH64_MOVW_UABS_G1_NC, 0)]),
    piece(words![0xd2a00000], &[(0, R_AARCH64_MOVW_SABS_G1, 0)]),
    piece(words![0xd2c00000], &[(0, R_AARCH64_MOVW_UABS_G2, 0)]),
    piece(words![0xf2c00000], &[(0, R_AARCH64_MOVW_UABS_G2_NC, 0)]),
    piece(words![0xd2c00000], &[(0, R_AARCH64_MOVW_SABS_G2, 0)]),
    piece(words![0xd2e00000], &[(0, R_AARCH64_MOVW_UABS_G3, 0)]),
    piece(words![0x92800000], &[(0, R_AARCH64_MOVW_SABS_G0, 0)]),
    piece(words![0xf2e00000], &[(0, R_AARCH64_MOVW_UABS_G3, 0)]),
    datum(&[0; 8], &[(0, R_AARCH64_PREL64, 0)]),
    datum(&[0; 4], &[(0, R_AARCH64_PREL32, 0)]),
    datum(&[0; 2], &[(0, R_AARCH64_PREL16, 0)]),
    datum(&[0; 4], &[(0, R_AARCH64_PLT32, 0)]),
    piece(words![0x58000000], &[(0, R_AARCH64_LD_PREL_LO19, 0)]),
    piece(words![0x10000000], &[(0, R_AARCH64_ADR_PREL_LO21, 0)]),
    piece(words![0x90000000 0x91000000], &[(0, R_AARCH64_ADR_PREL_PG_HI21, 0), (4, R_AARCH64_ADD_ABS_LO12_NC, 0)]),
    piece(words![0x90000000], &[(0, R_AARCH64_ADR_PREL_PG_HI21_NC, 0)]),
    piece(words![0x91000000], &[(0, R_AARCH64_ADD_ABS_LO12_NC, 0)]),
    piece(words![0x39400000], &[(0, R_AARCH64_LDST8_ABS_LO12_NC, 0)]),
    piece(words![0x79400000], &[(0, R_AARCH64_LDST16_ABS_LO12_NC, 0)]),
    piece(words![0xb9400000], &[(0, R_AARCH64_LDST32_ABS_LO12_NC, 0)]),
    piece(words![0xf9400000], &[(0, R_AARCH64_LDST64_ABS_LO12_NC, 0)]),
    piece(words![0x3dc00000], &[(0, R_AARCH64_LDST128_ABS_LO12_NC, 0)]),
    piece(words![0x36000000], &[(0, R_AARCH64_TSTBR14, 0)]),
    piece(words![0x54000000], &[(0, R_AARCH64_CONDBR19, 0)]),
    piece(words![0x14000000], &[(0, R_AARCH64_JUMP26, 0)]),
    piece(words![0x94000000], &[(0, R_AARCH64_CALL26, 0)]),
    piece(words![0xd2800000], &[(0, R_AARCH64_MOVW_PREL_G0, 0)]),
    piece(words![0xf2800000], &[(0, R_AARCH64_MOVW_PREL_G0_NC, 0)]),
    piece(words![0xd2a00000], &[(0, R_AARCH64_MOVW_PREL_G1, 0)]),
    piece(words![0xf2a00000], &[(0, R_AARCH64_MOVW_PREL_G1_NC, 0)]),
    piece(words![0xd2c00000], &[(0, R_AARCH64_MOVW_PREL_G2, 0)]),
    piece(words![0xf2c00000], &[(0, R_AARCH64_MOVW_PREL_G2_NC, 0)]),
    piece(words![0xd2e00000], &[(0, R_AARCH64_MOVW_PREL_G3, 0)]),
    piece(words![0x90000000 0xf9400000], &[(0, R_AARCH64_ADR_GOT_PAGE, 0), (4, R_AARCH64_LD64_GOT_LO12_NC, 0)]),
    piece(words![0x90000001 0xf9400020], &[(0, R_AARCH64_ADR_GOT_PAGE, 0), (4, R_AARCH64_LD64_GOT_LO12_NC, 0)]),
    piece(words![0x90000000 0xd503201f 0xf9400000], &[(0, R_AARCH64_ADR_GOT_PAGE, 0), (8, R_AARCH64_LD64_GOT_LO12_NC, 0)]),
    piece(words![0x58000000], &[(0, R_AARCH64_GOT_LD_PREL19, 0)]),
    datum(&[0; 4], &[(0, R_AARCH64_GOTPCREL32, 0)]),
    piece(words![0xd2c00000], &[(0, R_AARCH64_TLSLE_MOVW_TPREL_G2, 0)]),
    piece(words![0xd2a00000], &[(0, R_AARCH64_TLSLE_MOVW_TPREL_G1, 0)]),
    piece(words![0xf2a00000], &[(0, R_AARCH64_TLSLE_MOVW_TPREL_G1_NC, 0)]),
    piece(words![0xd2800000], &[(0, R_AARCH64_TLSLE_MOVW_TPREL_G0, 0)]),
    piece(words![0xf2800000], &[(0, R_AARCH64_TLSLE_MOVW_TPREL_G0_NC, 0)]),
    piece(words![0x91400000], &[(0, R_AARCH64_TLSLE_ADD_TPREL_HI12, 0)]),
    piece(words![0x91000000], &[(0, R_AARCH64_TLSLE_ADD_TPREL_LO12, 0)]),
    piece(words![0x91000000], &[(0, R_AARCH64_TLSLE_ADD_TPREL_LO12_NC, 0)]),
    piece(words![0x39400000], &[(0, R_AARCH64_TLSLE_LDST8_TPREL_LO12, 0)]),
    piece(words![0x39400000], &[(0, R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC, 0)]),
    piece(words![0x79400000], &[(0, R_AARCH64_TLSLE_LDST16_TPREL_LO12, 0)]),
    piece(words![0x79400000], &[(0, R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC, 0)]),
    piece(words![0xb9400000], &[(0, R_AARCH64_TLSLE_LDST32_TPREL_LO12, 0)]),
    piece(words![0xb9400000], &[(0, R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC, 0)]),
    piece(words![0xf9400000], &[(0, R_AARCH64_TLSLE_LDST64_TPREL_LO12, 0)]),
    piece(words![0xf9400000], &[(0, R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC, 0)]),
    piece(words![0x3dc00000], &[(0, R_AARCH64_TLSLE_LDST128_TPREL_LO12, 0)]),
    piece(words![0x3dc00000], &[(0, R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC, 0)]),
    piece(words![0xd2c00000], &[(0, R_AARCH64_TLSLD_MOVW_DTPREL_G2, 0)]),
    piece(words![0xd2a00000], &[(0, R_AARCH64_TLSLD_MOVW_DTPREL_G1, 0)]),
    piece(words![0xf2a00000], &[(0, R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC, 0)]),
    piece(words![0xd2800000], &[(0, R_AARCH64_TLSLD_MOVW_DTPREL_G0, 0)]),
    piece(words![0xf2800000], &[(0, R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC, 0)]),
    piece(words![0x91400000], &[(0, R_AARCH64_TLSLD_ADD_DTPREL_HI12, 0)]),
    piece(words![0x91000000], &[(0, R_AARCH64_TLSLD_ADD_DTPREL_LO12, 0)]),
    piece(words![0x91000000], &[(0, R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC, 0)]),
    piece(words![0x39400000], &[(0, R_AARCH64_TLSLD_LDST8_DTPREL_LO12, 0)]),
    piece(words![0x39400000], &[(0, R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC, 0)]),
    piece(words![0x79400000], &[(0, R_AARCH64_TLSLD_LDST16_DTPREL_LO12, 0)]),
    piece(words![0x79400000], &[(0, R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC, 0)]),
    piece(words![0xb9400000], &[(0, R_AARCH64_TLSLD_LDST32_DTPREL_LO12, 0)]),
    piece(words![0xb9400000], &[(0, R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC, 0)]),
    piece(words![0xf9400000], &[(0, R_AARCH64_TLSLD_LDST64_DTPREL_LO12, 0)]),
    piece(words![0xf9400000], &[(0, R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC, 0)]),
    piece(words![0x3dc00000], &[(0, R_AARCH64_TLSLD_LDST128_DTPREL_LO12, 0)]),
    piece(words![0x3dc00000], &[(0, R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC, 0)]),
    piece(words![0x90000000 0xf9400000], &[(0, R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21, 0), (4, R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, 0)]),
    piece(words![0x58000000], &[(0, R_AARCH64_TLSIE_LD_GOTTPREL_PREL19, 0)]),
];
