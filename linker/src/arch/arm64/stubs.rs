//! Code between sections: thunks to what a branch can't reach, places for instructions that a
//! Cortex-A53 can't have where they are.
//!
//! Spec: AAELF64 §5.7.10 leaves x16 and x17 to veneers; ARM-EPM-048406 describes the errata.

use super::fields::{ADRP, IMM26, LO12};
use super::{R_AARCH64_CALL26, R_AARCH64_JUMP26, put_all};
use crate::arch::{Erratum, Range, Stub, Thunks};

/// How far `b` and `bl` go.
const BRANCH: Range = Range::Signed(28);

/// Those of branches between functions: the others stay within one.
pub(super) const THUNKS: Thunks = Thunks {
    stubs: &[
        Stub { size: 12, align: 4, marks: &[(0, "$x")], write: near },
        Stub { size: 24, align: 8, marks: &[(0, "$x"), (16, "$d")], write: far },
    ],
    reach: 1 << 27,
    kinds: &[R_AARCH64_CALL26, R_AARCH64_JUMP26],
    // What is far from the branch may be far from its thunk too, that being no further than 1 GiB.
    stub: |_, distance| (distance.unsigned_abs() >= 3 << 30).into(),
};

/// The faults of the Cortex-A53 that compilers may ask to avoid.
pub(super) const ERRATA: &[Erratum] = &[
    Erratum { flag: "fix-cortex-a53-843419", find: find_843419, stub: BACK, branch: load_away },
    Erratum { flag: "fix-cortex-a53-835769", find: find_835769, stub: BACK, branch: multiply_away },
];

/// A moved instruction and the way back.
const BACK: Stub = Stub { size: 8, align: 4, marks: &[(0, "$x")], write: back };

/// `adrp x16, to; add x16, x16, lo12(to); br x16`
fn near(buf: &mut [u8], at: u64, to: u64) -> bool {
    let page = (to & !0xfff).wrapping_sub(at & !0xfff) as i64;
    let low = (to & 0xfff) as i64;
    put_all(buf, [(ADRP.put)(0x9000_0010, page), (LO12.put)(0x9100_0210, low), 0xd61f_0200]);
    Range::Signed(33).holds(page)
}

/// `ldr x16, 1f; adr x17, .; add x16, x16, x17; br x16; 1: .quad to - .`
fn far(buf: &mut [u8], at: u64, to: u64) -> bool {
    let (code, distance) = buf.split_at_mut(16);
    put_all(code, [0x5800_0090, 0x1000_0011, 0x8b11_0210, 0xd61f_0200]);
    distance.copy_from_slice(&to.wrapping_sub(at.wrapping_add(4)).to_le_bytes());
    true
}

/// `b to`, behind the moved instruction.
fn back(buf: &mut [u8], at: u64, to: u64) -> bool {
    let distance = to.wrapping_sub(at.wrapping_add(4)) as i64;
    put_all(&mut buf[4..], [branch(distance)]);
    BRANCH.holds(distance)
}

/// `b` over `distance`.
fn branch(distance: i64) -> u32 {
    (IMM26.put)(0x1400_0000, distance)
}

/// The branch that takes the place of what `moves`.
fn away(moves: bool, distance: i64) -> Option<[u8; 4]> {
    (moves && BRANCH.holds(distance)).then(|| branch(distance).to_le_bytes())
}

fn load_away(old: [u8; 4], distance: i64) -> Option<[u8; 4]> {
    away(is_immediate_access(u32::from_le_bytes(old)), distance)
}

fn multiply_away(old: [u8; 4], distance: i64) -> Option<[u8; 4]> {
    away(is_accumulation(u32::from_le_bytes(old)), distance)
}

/// Instruction number `index` of `code`.
fn word(code: &[u8], index: usize) -> Option<u32> {
    let bytes = code.get(index.checked_mul(4)?..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Erratum 843419: `adrp` in the last two words of a page, a load or store that leaves its register
/// alone, perhaps another instruction, and an access by that register with an offset.
fn find_843419(code: &[u8], addr: u64, found: &mut Vec<u64>) {
    for last in [0xff8, 0xffc] {
        let mut at = last_word(addr, last);
        while let Some(adrp) = word(code, (at / 4) as usize).filter(|_| addr.is_multiple_of(4)) {
            let index = (at / 4) as usize;
            if adrp & 0x9f00_0000 == 0x9000_0000 {
                found.extend(after_page(code, index, adrp & 31).map(|i| i as u64 * 4));
            }
            at += 0x1000;
        }
    }
    found.sort_unstable();
}

/// The first offset that is at `last` in its page.
fn last_word(addr: u64, last: u64) -> u64 {
    last.wrapping_sub(addr) & 0xfff
}

/// The access that must not follow the `adrp` at `index`.
fn after_page(code: &[u8], index: usize, reg: u32) -> Option<usize> {
    let second = word(code, index + 1)?;
    if !is_access(second) || writes(second, reg) {
        return None;
    }
    let bad = |insn: u32| is_immediate_access(insn) && insn >> 5 & 31 == reg;
    if bad(word(code, index + 2)?) {
        return Some(index + 2);
    }
    let third = word(code, index + 2).filter(|&insn| !is_branch(insn));
    third.and(word(code, index + 3)).filter(|&insn| bad(insn)).map(|_| index + 3)
}

/// Whether `insn` is a load or store.
fn is_access(insn: u32) -> bool {
    insn & 0x0a00_0000 == 0x0800_0000
}

/// Whether `insn` is a load or store with an unsigned scaled offset.
fn is_immediate_access(insn: u32) -> bool {
    insn & 0x3b00_0000 == 0x3900_0000
}

/// Whether `insn` goes elsewhere: `nop` and barriers, in the same group of encodings, do not.
fn is_branch(insn: u32) -> bool {
    let immediate = matches!(insn & 0x7c00_0000, 0x1400_0000 | 0x3400_0000);
    immediate || matches!(insn & 0xfe00_0000, 0x5400_0000 | 0xd600_0000)
}

/// Whether the load or store `insn` surely changes the general register `reg`: in doubt it doesn't, and
/// an instruction is moved that might have stayed.
fn writes(insn: u32, reg: u32) -> bool {
    let (vector, load) = (insn >> 26 & 1 == 1, insn >> 22 & 1 == 1);
    let to = !vector && insn & 31 == reg;
    match insn >> 27 & 7 {
        // Loads of literals, which may be prefetches; loads with an offset.
        3 if insn & 0x3b00_0000 == 0x1800_0000 => to && insn >> 30 != 3,
        7 if insn & 0x3b00_0000 == 0x3900_0000 => to && load,
        _ => false,
    }
}

/// Erratum 835769: a load or store right before a multiplication of 64 bits that accumulates, unless
/// the one waits for the other.
fn find_835769(code: &[u8], addr: u64, found: &mut Vec<u64>) {
    if !addr.is_multiple_of(4) {
        return;
    }
    for (index, pair) in code.windows(8).step_by(4).enumerate() {
        let (Some(first), Some(second)) = (word(pair, 0), word(pair, 1)) else { continue };
        if is_accumulation(second) && is_access(first) && !feeds(first, second) {
            found.push(index as u64 * 4 + 4);
        }
    }
}

/// Whether `insn` is `madd`, `msub` and their long forms, of 64 bits, with a register to add to.
fn is_accumulation(insn: u32) -> bool {
    // MADD, MSUB, SMADDL, SMSUBL, UMADDL, UMSUBL; without an addend it is a mere multiplication.
    insn & 0xff00_0000 == 0x9b00_0000
        && matches!(insn >> 21 & 7, 0 | 1 | 5)
        && insn >> 10 & 31 != 31
}

/// Whether the load `first` surely has a register that `second` reads.
fn feeds(first: u32, second: u32) -> bool {
    let reads = [second >> 5 & 31, second >> 16 & 31, second >> 10 & 31];
    let load = first & 0x3b40_0000 == 0x3940_0000 && first >> 26 & 1 == 0;
    load && reads.contains(&(first & 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(insns: &[u32]) -> Vec<u8> {
        insns.iter().flat_map(|insn| insn.to_le_bytes()).collect()
    }

    #[test]
    fn a_thunk_goes_as_far_as_it_says() {
        let mut code = [0; 12];
        assert!(near(&mut code, 0x41_0000, 0x1042_1018));
        // adrp x16, 10421000; add x16, x16, #24; br x16
        assert_eq!(code[..], bytes(&[0xb008_0090, 0x9100_6210, 0xd61f_0200]));
        assert!(!near(&mut code, 0x41_0000, 0x1_8041_0000));
        let mut code = [0; 24];
        assert!(far(&mut code, 0x41_0000, 0x1_8041_0018));
        assert_eq!(code[16..], 0x1_8000_0014_u64.to_le_bytes());
        let stub = |distance| (THUNKS.stub)(0, distance);
        assert_eq!([stub(0x800_0000), stub(-0x800_0004), stub(1 << 40)], [0, 0, 1]);
    }

    #[test]
    fn an_access_after_a_late_adrp_moves() {
        // adrp x0; str x3, [x2]; ldr x1, [x0, #8]
        let short = bytes(&[0x9000_0000, 0xf900_0043, 0xf940_0401]);
        // ... with `mov x4, x5` before the last.
        let long = bytes(&[0x9000_0000, 0xf900_0043, 0xaa05_03e4, 0xf940_0401]);
        let find = |code: &[u8], addr| {
            let mut found = Vec::new();
            find_843419(code, addr, &mut found);
            found
        };
        assert_eq!(find(&short, 0x1ff8), [8]);
        assert_eq!(find(&short, 0x1ffc), [8]);
        assert_eq!(find(&long, 0x2ff8), [12]);
        assert!(find(&short, 0x1ff4).is_empty());
        let mut nop = long.clone();
        nop[8..12].copy_from_slice(&0xd503_201f_u32.to_le_bytes());
        assert_eq!(find(&nop, 0x2ff8), [12], "no branch");
        let [mut other, mut branch] = [short, long];
        // ldr x0, [x2] in the middle; a branch in the middle.
        other[4..8].copy_from_slice(&0xf940_0040_u32.to_le_bytes());
        assert!(find(&other, 0x1ff8).is_empty());
        // b; cbz; tbnz; b.eq; ret
        for insn in [0x1400_0001, 0xb400_0040, 0x3708_0040, 0x5400_0040, 0xd65f_03c0_u32] {
            branch[8..12].copy_from_slice(&insn.to_le_bytes());
            assert!(find(&branch, 0x1ff8).is_empty(), "{insn:x}");
        }
        let long_before = [vec![0; 0x1000], bytes(&[0x9000_0000, 0xf900_0043, 0xf940_0401])];
        assert_eq!(find(&long_before.concat(), 0xff8), [0x1008]);
        assert_eq!(
            load_away(0xf940_0401_u32.to_le_bytes(), 8),
            Some(0x1400_0002_u32.to_le_bytes())
        );
        assert_eq!(load_away(0x9100_0401_u32.to_le_bytes(), 8), None, "relaxed: an add");
    }

    #[test]
    fn a_multiplication_after_an_access_moves() {
        let find = |insns: &[u32]| {
            let mut found = Vec::new();
            find_835769(&bytes(insns), 0x1000, &mut found);
            found
        };
        // ldr x1, [x0]; madd x2, x3, x4, x5
        assert_eq!(find(&[0xf940_0001, 0x9b04_1462]), [4]);
        assert!(find(&[0xf940_0003, 0x9b04_1462]).is_empty(), "waits for x3");
        assert!(find(&[0xf940_0001, 0x9b04_7c62]).is_empty(), "mul");
        assert!(find(&[0xaa05_03e4, 0x9b04_1462]).is_empty(), "no access");
    }
}
