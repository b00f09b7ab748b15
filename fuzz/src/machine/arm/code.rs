//! Code sequences of arm, in ARM and in Thumb code: one row for each way to refer to a symbol.
//!
//! Each leaves its result in `r0`. Words and halfwords are as the assembler prints them, but
//! fields are zero: the emitter makes `add` or `sub` of an operand's sign.
//! Spec: AAELF32 §5.6.1; TLS as gcc and clang write it, with `-mtls-dialect=gnu` and `gnu2`.

use super::*;
use crate::config::Config;
use crate::machine::code::{Code, Needs::*, Piece, Sequence, Who, datum, piece};

const fn words<const N: usize>(words: &[u32]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        bytes[i] = (words[i / 4] >> (8 * (i % 4))) as u8;
        i += 1;
    }
    bytes
}

const fn halves<const N: usize>(halves: &[u16]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        bytes[i] = (halves[i / 2] >> (8 * (i % 2))) as u8;
        i += 1;
    }
    bytes
}

/// Words of ARM code as bytes.
macro_rules! arm {
    ($($word:literal)*) => {{
        const WORDS: &[u32] = &[$($word),*];
        const BYTES: [u8; 4 * WORDS.len()] = words(WORDS);
        const SLICE: &[u8] = &BYTES;
        SLICE
    }};
}

/// Halfwords of Thumb code as bytes.
macro_rules! thumb {
    ($($half:literal)*) => {{
        const HALVES: &[u16] = &[$($half),*];
        const BYTES: [u8; 2 * HALVES.len()] = halves(HALVES);
        const SLICE: &[u8] = &BYTES;
        SLICE
    }};
}

macro_rules! sequence {
    ($on:expr, $needs:expr, $set:ident[$($code:literal)*], $(($at:literal, $kind:ident, $addend:literal, $who:ident))*) => {
        Sequence {
            bytes: $set![$($code)*],
            parts: &[$(($at, $kind, $addend, Who::$who)),*],
            needs: $needs,
            on: $on,
            state: sequence!(@ $set),
        }
    };
    (@ arm) => { 0 };
    (@ thumb) => { 1 };
}

/// What arm code is made of: where one set has to do, it is ARM.
pub(super) const CODE: Code = Code {
    sequences: SEQUENCES,
    rare: &[],
    align: 4,
    nop: &[0, 0xf0, 0x20, 0xe3],
    ret: RET,
    // mov r7, #1; mov r0, #0; svc 0
    exit: arm![0xe3a0_7001 0xe3a0_0000 0xef00_0000],
    returns,
    state: |number| number & 1,
    resolver,
    // sub r0, pc, #8; bx lr
    own_resolver: arm![0xe24f_0008 0xe12f_ff1e],
    // movw, movt r0, S - (. + 16); add r0, pc, r0
    take: piece(
        arm![0xe300_0000 0xe340_0000 0xe08f_0000],
        &[(0, R_ARM_MOVW_PREL_NC, -16), (4, R_ARM_MOVT_PREL, -12)],
    ),
    // ldr r0, [pc]; b over; .word S@GOT_PREL
    got: piece(arm![0xe59f_0000 0xea00_0000 0], &[(8, R_ARM_GOT_PREL, 0)]),
    // bl S
    call: piece(arm![0xeb00_0000], &[(0, R_ARM_CALL, -8)]),
    // movw, movt r0, S
    absolute: piece(
        arm![0xe300_0000 0xe340_0000],
        &[(0, R_ARM_MOVW_ABS_NC, 0), (4, R_ARM_MOVT_ABS, 0)],
    ),
    // ldr r0, [pc]; b over; .word S@GOTTPOFF
    tls_initial: piece(arm![0xe59f_0000 0xea00_0000 0], &[(8, R_ARM_TLS_IE32, 0)]),
    // ldr r0, [pc]; b over; .word S@TPOFF
    tls_local: piece(arm![0xe59f_0000 0xea00_0000 0], &[(8, R_ARM_TLS_LE32, 0)]),
};

/// `bx lr`
const RET: &[u8] = &[0x1e, 0xff, 0x2f, 0xe1];

/// Thumb code for odd numbers: `ldr r0, [pc, #4]; ldr r1, [pc, #8]; bx lr; nop`; ARM code for even ones:
/// `ldr r0, [pc, #4]; ldr r1, [pc, #4]; bx lr`; and the number.
fn returns(number: u64) -> Vec<u8> {
    let code: &[u8] = match number & 1 {
        0 => arm![0xe59f_0004 0xe59f_1004 0xe12f_ff1e],
        _ => thumb![0x4801 0x4902 0x4770 0xbf00],
    };
    [code, &number.to_le_bytes()].concat()
}

/// `add r0, pc, #N; bx lr` and, 8 bytes on, a function that returns the number; in Thumb code it takes
/// bit 0 with it.
fn resolver(number: u64) -> Vec<u8> {
    let code: &[u8] = match number & 1 {
        0 => arm![0xe28f_0000 0xe12f_ff1e],
        // adr r0, 1f; adds r0, #1; bx lr; nop
        _ => thumb![0xa001 0x3001 0x4770 0xbf00],
    };
    [code, &returns(number)].concat()
}

/// What the sweep tries.
#[rustfmt::skip]
pub(super) const SWEEP: &[Piece] = &[
    datum(&[0; 4], &[(0, R_ARM_ABS32, 0)]),
    datum(&[0; 2], &[(0, R_ARM_ABS16, 0)]),
    datum(&[0; 1], &[(0, R_ARM_ABS8, 0)]),
    datum(&[0; 4], &[(0, R_ARM_REL32, 0)]),
    datum(&[0; 4], &[(0, R_ARM_TARGET1, 0)]),
    datum(&[0; 4], &[(0, R_ARM_PREL31, 0)]),
    piece(arm![0xeb00_0000], &[(0, R_ARM_CALL, 0)]),
    piece(arm![0xea00_0000], &[(0, R_ARM_JUMP24, 0)]),
    piece(arm![0xeb00_0000], &[(0, R_ARM_PLT32, 0)]),
    piece(arm![0xea00_0000], &[(0, R_ARM_PC24, 0)]),
    piece(thumb![0xf000 0xd000], &[(0, R_ARM_THM_CALL, 0)]),
    piece(thumb![0xf000 0x9000], &[(0, R_ARM_THM_JUMP24, 0)]),
    piece(thumb![0xf000 0x8000], &[(0, R_ARM_THM_JUMP19, 0)]),
    piece(thumb![0xe000], &[(0, R_ARM_THM_JUMP11, 0)]),
    piece(thumb![0xd000], &[(0, R_ARM_THM_JUMP8, 0)]),
    piece(thumb![0xb100], &[(0, R_ARM_THM_JUMP6, 0)]),
    piece(arm![0xe300_0000], &[(0, R_ARM_MOVW_ABS_NC, 0)]),
    piece(arm![0xe340_0000], &[(0, R_ARM_MOVT_ABS, 0)]),
    piece(arm![0xe300_0000], &[(0, R_ARM_MOVW_PREL_NC, 0)]),
    piece(arm![0xe340_0000], &[(0, R_ARM_MOVT_PREL, 0)]),
    piece(thumb![0xf240 0], &[(0, R_ARM_THM_MOVW_ABS_NC, 0)]),
    piece(thumb![0xf2c0 0], &[(0, R_ARM_THM_MOVT_ABS, 0)]),
    piece(thumb![0xf240 0], &[(0, R_ARM_THM_MOVW_PREL_NC, 0)]),
    piece(thumb![0xf2c0 0], &[(0, R_ARM_THM_MOVT_PREL, 0)]),
    piece(arm![0xe20f_0000], &[(0, R_ARM_ALU_PC_G0_NC, 0)]),
    piece(arm![0xe20f_0000], &[(0, R_ARM_ALU_PC_G0, 0)]),
    piece(arm![0xe20f_0000], &[(0, R_ARM_ALU_PC_G1_NC, 0)]),
    piece(arm![0xe20f_0000], &[(0, R_ARM_ALU_PC_G1, 0)]),
    piece(arm![0xe20f_0000], &[(0, R_ARM_ALU_PC_G2, 0)]),
    piece(arm![0xe51f_0000], &[(0, R_ARM_LDR_PC_G0, 0)]),
    piece(arm![0xe510_0000], &[(0, R_ARM_LDR_PC_G1, 0)]),
    piece(arm![0xe510_0000], &[(0, R_ARM_LDR_PC_G2, 0)]),
    piece(arm![0xe15f_00b0], &[(0, R_ARM_LDRS_PC_G0, 0)]),
    piece(arm![0xe150_00b0], &[(0, R_ARM_LDRS_PC_G1, 0)]),
    piece(arm![0xe150_00b0], &[(0, R_ARM_LDRS_PC_G2, 0)]),
    piece(arm![0xed1f_0a00], &[(0, R_ARM_LDC_PC_G0, 0)]),
    piece(arm![0xed10_0a00], &[(0, R_ARM_LDC_PC_G1, 0)]),
    piece(arm![0xed10_0a00], &[(0, R_ARM_LDC_PC_G2, 0)]),
    piece(thumb![0x4800], &[(0, R_ARM_THM_PC8, 0)]),
    piece(thumb![0xf85f 0], &[(0, R_ARM_THM_PC12, 0)]),
    piece(thumb![0xf20f 0], &[(0, R_ARM_THM_ALU_PREL_11_0, 0)]),
    piece(arm![0xe510_0000], &[(0, R_ARM_ABS12, 0)]),
    piece(thumb![0x6800], &[(0, R_ARM_THM_ABS5, 0)]),
    piece(thumb![0x2000], &[(0, R_ARM_THM_ALU_ABS_G0_NC, 0)]),
    piece(thumb![0x2000], &[(0, R_ARM_THM_ALU_ABS_G1_NC, 0)]),
    piece(thumb![0x2000], &[(0, R_ARM_THM_ALU_ABS_G2_NC, 0)]),
    piece(thumb![0x2000], &[(0, R_ARM_THM_ALU_ABS_G3, 0)]),
    datum(&[0; 4], &[(0, R_ARM_GOT_PREL, 0)]),
    datum(&[0; 4], &[(0, R_ARM_TARGET2, 0)]),
    datum(&[0; 4], &[(0, R_ARM_TLS_LE32, 0)]),
    datum(&[0; 4], &[(0, R_ARM_TLS_LDO32, 0)]),
    datum(&[0; 4], &[(0, R_ARM_TLS_IE32, 0)]),
];

fn always(_: &Config) -> bool {
    true
}

#[rustfmt::skip]
const SEQUENCES: &[Sequence] = &[
    // push {r4, lr}; bl S; pop {r4, pc}; as R_ARM_CALL, PLT32, PC24; blx S
    sequence!(always, Function, arm[0xe92d4010 0xeb000000 0xe8bd8010], (4, R_ARM_CALL, -8, Target)),
    sequence!(always, Function, arm[0xe92d4010 0xeb000000 0xe8bd8010], (4, R_ARM_PLT32, -8, Target)),
    sequence!(always, Function, arm[0xe92d4010 0xeb000000 0xe8bd8010], (4, R_ARM_PC24, -8, Target)),
    sequence!(always, Function, arm[0xe92d4010 0xfa000000 0xe8bd8010], (4, R_ARM_CALL, -8, Target)),
    // b S; cmp r0, r0; beq S; push; cmp; bleq S; pop
    sequence!(always, Function, arm[0xea000000], (0, R_ARM_JUMP24, -8, Target)),
    sequence!(always, Function, arm[0xea000000], (0, R_ARM_PLT32, -8, Target)),
    sequence!(always, Function, arm[0xe1500000 0x0a000000], (4, R_ARM_JUMP24, -8, Target)),
    sequence!(always, Function, arm[0xe92d4010 0xe1500000 0x0b000000 0xe8bd8010], (8, R_ARM_JUMP24, -8, Target)),
    // push {r4, lr}; bl S; pop {r4, pc}; blx S; b.w S; cmp r0, r0; beq.w S
    sequence!(always, Function, thumb[0xb510 0xf000 0xd000 0xbd10], (2, R_ARM_THM_CALL, -4, Target)),
    sequence!(always, Function, thumb[0xb510 0xbf00 0xf000 0xd000 0xbd10], (4, R_ARM_THM_CALL, -4, Target)),
    sequence!(always, Function, thumb[0xb510 0xf000 0xc000 0xbd10], (2, R_ARM_THM_CALL, -4, Target)),
    sequence!(always, Function, thumb[0xf000 0x9000], (0, R_ARM_THM_JUMP24, -4, Target)),
    sequence!(always, Function, thumb[0x4280 0xf000 0x8000], (2, R_ARM_THM_JUMP19, -4, Target)),
    // movw, movt r0, S - (. + 16); add r0, pc, r0; bx lr
    sequence!(always, Near, arm[0xe3000000 0xe3400000 0xe08f0000 0xe12fff1e], (0, R_ARM_MOVW_PREL_NC, -16, Target) (4, R_ARM_MOVT_PREL, -12, Target)),
    sequence!(always, Near, thumb[0xf240 0 0xf2c0 0 0x4478 0x4770], (0, R_ARM_THM_MOVW_PREL_NC, -12, Target) (4, R_ARM_THM_MOVT_PREL, -8, Target)),
    // ldr r0, [pc, #4]; add r0, pc, r0; bx lr; .word S - .
    sequence!(always, Near, arm[0xe59f0004 0xe08f0000 0xe12fff1e 0], (12, R_ARM_REL32, 0, Target)),
    sequence!(always, Near, thumb[0x4801 0x4478 0x4770 0xbf00 0 0], (8, R_ARM_REL32, 2, Target)),
    // add r0, pc, #S:pc_g0_nc; add r0, r0, #S:pc_g1_nc; ldr r0, [r0, #S:pc_g2], ldrh, vldr
    sequence!(|c| c.large, Loaded(4), arm[0xe20f0000 0xe2000000 0xe5100000 0xe12fff1e], (0, R_ARM_ALU_PC_G0_NC, -8, Target) (4, R_ARM_ALU_PC_G1_NC, -4, Target) (8, R_ARM_LDR_PC_G2, 0, Target)),
    sequence!(|c| c.large, Loaded(4), arm[0xe20f0000 0xe2000000 0xe2000000 0xe12fff1e], (0, R_ARM_ALU_PC_G0_NC, -8, Target) (4, R_ARM_ALU_PC_G1_NC, -4, Target) (8, R_ARM_ALU_PC_G2, 0, Target)),
    sequence!(|c| c.large, Loaded(4), arm[0xe20f0000 0xe5100000 0xe12fff1e], (0, R_ARM_ALU_PC_G0_NC, -8, Target) (4, R_ARM_LDR_PC_G1, -4, Target)),
    sequence!(|c| c.large, Loaded(4), arm[0xe20f0000 0xe2000000 0xe15000b0 0xe12fff1e], (0, R_ARM_ALU_PC_G0_NC, -8, Target) (4, R_ARM_ALU_PC_G1_NC, -4, Target) (8, R_ARM_LDRS_PC_G2, 0, Target)),
    // add r0, pc, #0; a word in the function itself: ldr r0, [pc, #N]; bx lr
    sequence!(|c| c.narrow, Nothing, arm[0xe51f0000 0xe12fff1e 0x00c0ffee], (0, R_ARM_LDR_PC_G0, 0, Here)),
    sequence!(|c| c.narrow, Nothing, arm[0xe20f0000 0xe12fff1e], (0, R_ARM_ALU_PC_G0, 0, Here)),
    // movs r0, #0; b, beq, cbz over a nop; bx lr
    sequence!(|c| c.narrow, Nothing, thumb[0x2000 0xe000 0xbf00 0x4770], (2, R_ARM_THM_JUMP11, 2, Here)),
    sequence!(|c| c.narrow, Nothing, thumb[0x2000 0xd000 0xbf00 0x4770], (2, R_ARM_THM_JUMP8, 2, Here)),
    sequence!(|c| c.narrow, Nothing, thumb[0x2000 0xb100 0xbf00 0x4770], (2, R_ARM_THM_JUMP6, 2, Here)),
    // ldr r0, [pc, #8]; add r0, pc, r0; ldr r0, [r0]; bx lr; .word S@GOT - .; and ldr r0, [pc, r0]
    sequence!(|c| c.got, Any, arm[0xe59f0008 0xe08f0000 0xe5900000 0xe12fff1e 0], (16, R_ARM_GOT_PREL, 4, Target)),
    sequence!(|c| c.got, Any, arm[0xe59f0004 0xe79f0000 0xe12fff1e 0], (12, R_ARM_GOT_PREL, 0, Target)),
    sequence!(|c| c.got, Any, arm[0xe59f0004 0xe79f0000 0xe12fff1e 0], (12, R_ARM_TARGET2, 0, Target)),
    sequence!(|c| c.got, Any, thumb[0x4801 0x4478 0x6800 0x4770 0 0], (8, R_ARM_GOT_PREL, 2, Target)),
    // ldr r3, [pc, #12]; ldr r0, [pc, #12]; add r3, pc, r3; ldr r0, [r3, r0]; bx lr; the GOT's address, S@GOT
    sequence!(|c| c.got, Any, arm[0xe59f300c 0xe59f000c 0xe08f3003 0xe7930000 0xe12fff1e 0 0], (20, R_ARM_BASE_PREL, 4, Got) (24, R_ARM_GOT_BREL, 0, Target)),
    // …; add r0, r3, r0
    sequence!(|c| c.got, Placed, arm[0xe59f300c 0xe59f000c 0xe08f3003 0xe0830000 0xe12fff1e 0 0], (20, R_ARM_BASE_PREL, 4, Got) (24, R_ARM_GOTOFF32, 0, Target)),
    // movw, movt r0, S; bx lr; ldr r0, [pc]; bx lr; .word S
    sequence!(|c| c.absolute_code, Address, arm[0xe3000000 0xe3400000 0xe12fff1e], (0, R_ARM_MOVW_ABS_NC, 0, Target) (4, R_ARM_MOVT_ABS, 0, Target)),
    sequence!(|c| c.absolute_code, Address, thumb[0xf240 0 0xf2c0 0 0x4770], (0, R_ARM_THM_MOVW_ABS_NC, 0, Target) (4, R_ARM_THM_MOVT_ABS, 0, Target)),
    sequence!(|c| c.absolute_code, Address, arm[0xe59f0000 0xe12fff1e 0], (8, R_ARM_ABS32, 0, Target)),
    sequence!(|c| c.absolute_code, Address, thumb[0x4800 0x4770 0 0], (4, R_ARM_ABS32, 0, Target)),
    // General dynamic: push {r4, lr}; ldr r0, [pc, #8]; add r0, pc, r0; bl __tls_get_addr; pop; .word S@TLSGD
    sequence!(|c| c.tls_gd, Tls, arm[0xe92d4010 0xe59f0008 0xe08f0000 0xeb000000 0xe8bd8010 0], (20, R_ARM_TLS_GD32, 4, Target) (12, R_ARM_CALL, -8, TlsGetAddr)),
    sequence!(|c| c.tls_gd, Tls, thumb[0xb510 0x4802 0x4478 0xf000 0xd000 0xbd10 0 0], (12, R_ARM_TLS_GD32, 4, Target) (6, R_ARM_THM_CALL, -4, TlsGetAddr)),
    // Local dynamic: …; ldr r1, [pc, #8]; add r0, r0, r1; pop; .word S@TLSLDM, S@DTPOFF
    sequence!(|c| c.tls_ld, NearTls, arm[0xe92d4010 0xe59f0010 0xe08f0000 0xeb000000 0xe59f1008 0xe0800001 0xe8bd8010 0 0], (28, R_ARM_TLS_LDM32, 12, Target) (12, R_ARM_PLT32, -8, TlsGetAddr) (32, R_ARM_TLS_LDO32, 0, Target)),
    // Initial exec: ldr r0, [pc, #12]; ldr r0, [pc, r0]; mrc r1 (the thread pointer); add r0, r1, r0; bx lr
    sequence!(|c| c.tls_ie, Tls, arm[0xe59f000c 0xe79f0000 0xee1d1f70 0xe0810000 0xe12fff1e 0], (20, R_ARM_TLS_IE32, 8, Target)),
    sequence!(|c| c.tls_ie, Tls, thumb[0x4803 0x4478 0x6800 0xee1d 0x1f70 0x4408 0x4770 0xbf00 0 0], (16, R_ARM_TLS_IE32, 10, Target)),
    // Local exec: ldr r0, [pc, #8]; mrc r1; add r0, r1, r0; bx lr
    sequence!(|c| c.tls_le, ExeTls, arm[0xe59f0008 0xee1d1f70 0xe0810000 0xe12fff1e 0], (16, R_ARM_TLS_LE32, 0, Target)),
    sequence!(|c| c.tls_le, ExeTls, thumb[0x4802 0xee1d 0x1f70 0x4408 0x4770 0xbf00 0 0], (12, R_ARM_TLS_LE32, 0, Target)),
    // Descriptor: push {r4, lr}; ldr r0, [pc, #12]; bl S(tlscall); mrc r1; add r0, r1, r0; pop; .word S(tlsdesc)
    sequence!(|c| c.tls_desc, Tls, arm[0xe92d4010 0xe59f000c 0xeb000000 0xee1d1f70 0xe0810000 0xe8bd8010 0], (24, R_ARM_TLS_GOTDESC, 16, Target) (8, R_ARM_TLS_CALL, 0, Target)),
    sequence!(|c| c.tls_desc, Tls, thumb[0xb510 0x4803 0xf000 0xf800 0xee1d 0x1f70 0x4408 0xbd10 0 0], (16, R_ARM_TLS_GOTDESC, 13, Target) (4, R_ARM_THM_TLS_CALL, 0, Target)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_choose_the_instruction_set() {
        assert_eq!(returns(2)[..4], [4, 0, 0x9f, 0xe5]);
        assert_eq!(returns(3)[..4], [1, 0x48, 2, 0x49]);
        assert_eq!(resolver(3).len(), 8 + 16);
    }

    #[test]
    fn fields_lie_in_the_code() {
        for sequence in SEQUENCES {
            for (at, kind, _, _) in sequence.parts {
                let width = MACHINE.row(*kind).unwrap().field.width;
                assert!(usize::from(at + width) <= sequence.bytes.len(), "{sequence:?}");
            }
        }
    }
}
