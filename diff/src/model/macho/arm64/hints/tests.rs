//! Every kind of hint: what a linker may make of it, and what it may not.

use super::*;

/// The first instruction is at 0x1000; the target is 0x2008 unless said.
fn made(kind: u8, from: &[u32], to: &[u32], before: Option<u64>) -> Option<Made> {
    let words = from.iter().zip(to).enumerate();
    let step = |(i, (from, to)): (usize, (&u32, &u32))| Step {
        from: *from,
        to: *to,
        place: 0x1000 + 4 * i as u64,
    };
    follow(kind, false, &words.map(step).collect::<Vec<_>>(), before)
}

/// `adrp x0, 1`, `add x1, x0, #8`, `ldr w2, [x1, #4]`, `str w2, [x1, #4]`, `ldr x1, [x0, #8]`.
const ADRP: u32 = 0xb000_0000;
const ADD_8: u32 = 0x9100_2001;
const LDR_4: u32 = 0xb940_0422;
const STR_4: u32 = 0xb900_0422;
const SLOT_8: u32 = 0xf940_0401;

/// `adr xN, 0x2008` and `ldr xN, 0x2008 + more` at instruction `n`.
fn adr(n: u32, register: u32) -> u32 {
    let distance = 0x1008 - 4 * n;
    0x1000_0000 | (distance & 3) << 29 | (distance >> 2) << 5 | register
}
fn near_load(opcode: u32, n: u32, more: u32, register: u32) -> u32 {
    opcode | ((0x1008 + more - 4 * n) >> 2) << 5 | register
}

#[test]
fn addresses_may_be_made_in_one() {
    let from = [0x9000_0000, 0x9100_0001];
    for to in [[ADRP, ADD_8], [adr(0, 1), NOP], [NOP, adr(1, 1)]] {
        assert_eq!(made(ADD, &from, &to, None), Some(Ok((0x2008, false))), "{to:x?}");
    }
    assert_eq!(made(ADD, &from, &[NOP, ADD_8], Some(0x5000)), Some(Ok((0x5008, false))));
    // Elsewhere, nowhere, in another register, by another's page.
    assert_eq!(made(ADD, &from, &[adr(0, 1) ^ 0x20, NOP], None), Some(Ok((0x200c, false))));
    for to in [[NOP, NOP], [adr(0, 0), NOP], [adr(0, 2), NOP], [NOP, adr(1, 0)], [NOP, ADD_8]] {
        assert!(matches!(made(ADD, &from, &to, None), Some(Err(_))), "{to:x?}");
    }
}

#[test]
fn accesses_may_be_direct() {
    let from = [0x9000_0000, 0x9100_0001, LDR_4];
    let direct = near_load(0x1800_0000, 2, 4, 2);
    let by_page = 0xb940_0c02; // ldr w2, [x0, #12]
    for to in
        [[ADRP, ADD_8, LDR_4], [NOP, NOP, direct], [ADRP, NOP, by_page], [adr(0, 1), NOP, LDR_4]]
    {
        assert_eq!(made(3, &from, &to, None), Some(Ok((0x2008, false))), "{to:x?}");
    }
    assert_eq!(made(3, &from, &[ADRP, NOP, LDR_4 & !0x3e0], None), Some(Ok((0x2000, false))));
    let wide = near_load(0x5800_0000, 2, 4, 2);
    for to in [[NOP, NOP, LDR_4], [NOP, NOP, wide], [NOP, NOP, direct ^ 1], [ADRP, NOP, LDR_4]] {
        assert!(matches!(made(3, &from, &to, None), Some(Err(_))), "{to:x?}");
    }
    let from = [0x9000_0000, 0x9100_0001, STR_4];
    assert_eq!(
        made(5, &from, &[ADRP, NOP, STR_4 & !0x3e0 | 2 << 10], None),
        Some(Ok((0x2008, false)))
    );
    assert!(matches!(made(5, &from, &[NOP, NOP, direct], None), Some(Err(_))));
    let from = [0x9000_0000, 0xb940_0001];
    let near = near_load(0x1800_0000, 1, 0, 1);
    for to in [[ADRP, 0xb940_0801], [NOP, near]] {
        assert_eq!(made(LOAD, &from, &to, None), Some(Ok((0x2008, false))), "{to:x?}");
    }
}

#[test]
fn slots_may_be_near_or_left_out() {
    let from = [0x9000_0000, 0xf940_0001, LDR_4];
    let near = near_load(0x5800_0000, 1, 0, 1);
    for to in [[ADRP, SLOT_8, LDR_4], [NOP, near, LDR_4]] {
        assert_eq!(made(4, &from, &to, None), Some(Ok((0x2008, true))), "{to:x?}");
        assert_eq!(made(GOT, &from[..2], &to[..2], None), Some(Ok((0x2008, true))), "{to:x?}");
    }
    for to in [[ADRP, ADD_8, LDR_4], [NOP, NOP, near_load(0x1800_0000, 2, 4, 2)]] {
        assert_eq!(made(4, &from, &to, None), Some(Ok((0x2008, false))), "{to:x?}");
    }
    let half = near_load(0x1800_0000, 1, 0, 1);
    for to in [[NOP, half, LDR_4], [NOP, near, LDR_4 ^ 0x400], [NOP, near ^ 1, LDR_4]] {
        assert!(matches!(made(4, &from, &to, None), Some(Err(_))), "{to:x?}");
    }
    // Of a thread-local variable's descriptor.
    let steps = [(0x9000_0000, ADRP), (0xf940_0001, ADD_8)];
    let step = |i: usize| Step { from: steps[i].0, to: steps[i].1, place: 0x1000 + 4 * i as u64 };
    assert_eq!(follow(LOAD, true, &[step(0), step(1)], None), Some(Ok((0x2008, false))));
    // No load from a slot, a hint of two instructions with three, a kind that is none.
    assert_eq!(made(4, &[0x9000_0000, ADD_8, LDR_4], &[ADRP, ADD_8, LDR_4], None), None);
    assert_eq!(made(ADD, &[0x9000_0000, ADD_8, LDR_4], &[ADRP, ADD_8, LDR_4], None), None);
    assert_eq!(made(9, &from[..2], &[ADRP, SLOT_8], None), None);
}

#[test]
fn a_page_does_for_two() {
    let from = [0x9000_0000, 0x9000_0000];
    assert_eq!(made(Hint::PAGE_AGAIN, &from, &[ADRP, NOP], None), Some(Ok((0x2000, false))));
    assert_eq!(made(Hint::PAGE_AGAIN, &from, &[NOP, NOP], Some(0x7000)), Some(Ok((0x7000, false))));
    assert!(matches!(made(Hint::PAGE_AGAIN, &from, &[NOP, NOP], None), Some(Err(_))));
    assert_eq!(made(Hint::PAGE_AGAIN, &[0x9000_0000, 0x9000_0001], &[ADRP, NOP], None), None);
}
