//! arm's thunks, the same for targets out of reach and for those in the other state; each is in the state of
//! the branches to it, and position-independent.

use super::fields::{THUMB_MOVT, THUMB_MOVW};
use super::put_all;
use crate::arch::Stub;

/// By instruction set: arm, Thumb.
pub(super) const STUBS: &[Stub] = &[
    Stub {
        size: 16,
        align: 4,
        marks: &[(0, "$a"), (12, "$d")],
        write: |buf, at, to| write(buf, 0, (at, to)),
    },
    Stub { size: 16, align: 4, marks: &[(0, "$t")], write: |buf, at, to| write(buf, 1, (at, to)) },
];

/// Writes one in Thumb state if `own` is 1. It reaches everything.
fn write(buf: &mut [u8], own: i64, (at, to): (u64, u64)) -> bool {
    // Both read the program counter at the same place.
    let distance = (to as u32).wrapping_sub(at as u32 + 12);
    let value = i64::from(distance);
    match own {
        // `ldr ip, [pc, #4]; add ip, pc, ip; bx ip; .word to - .`
        0 => put_all(buf, [0xe59f_c004, 0xe08f_c00c, 0xe12f_ff1c, distance]),
        // `movw ip, #...; movt ip, #...; add ip, pc; bx ip; nop.w`
        _ => put_all(
            buf,
            [
                (THUMB_MOVW.put)(0x0c00_f240, value),
                (THUMB_MOVT.put)(0x0c00_f2c0, value),
                0x4760_44fc,
                0x8000_f3af,
            ],
        ),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thunks_are_in_the_state_of_their_branches() {
        let word = |buf: &[u8], at: usize| u32::from_le_bytes(buf[at..at + 4].try_into().unwrap());
        let mut buf = [0; 16];
        assert!(write(&mut buf, 0, (0x1000, 0x8001_2345)));
        assert_eq!((word(&buf, 0), word(&buf, 12)), (0xe59f_c004, 0x8001_1339));
        assert!(write(&mut buf, 1, (0x1000, 0x1ff0)));
        let halves = [0xf640, 0x7ce4, 0xf2c0, 0x0c00, 0x44fc, 0x4760];
        let found = buf.chunks_exact(2).map(|h| u16::from_le_bytes([h[0], h[1]]));
        assert!(found.take(6).eq(halves), "{buf:x?}");
    }
}
