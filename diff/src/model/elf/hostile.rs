//! The reader and the invariants on bytes that no linker and no assembler made: never a panic. Debug
//! builds count an overflow as one.

use std::sync::Arc;
use std::time::Duration;

use crate::adapter::{Adapter as _, Reference};
use crate::selftest::subject;
use crate::{Request, oracle};

/// xorshift64*.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % bound.max(1)
    }

    /// A few flipped bits, numbers at their limits, swapped words; sometimes the end is missing.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        const LIMITS: [u64; 8] =
            [0, 1, 7, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX - 7, u64::MAX];
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => {
                    let value = LIMITS[self.below(LIMITS.len())].to_le_bytes();
                    let at = at / 8 * 8;
                    let len = value.len().min(bytes.len() - at);
                    bytes[at..at + len].copy_from_slice(&value[..len]);
                }
                2 => {
                    let value = LIMITS[self.below(LIMITS.len())].to_le_bytes();
                    let at = at / 4 * 4;
                    let len = 4.min(bytes.len() - at);
                    bytes[at..at + len].copy_from_slice(&value[..len]);
                }
                _ => {
                    let from = self.below(bytes.len());
                    let len = 8.min(bytes.len() - at.max(from));
                    bytes.copy_within(from..from + len, at);
                }
            }
        }
        if self.below(16) == 0 {
            bytes.truncate(self.below(bytes.len()));
        }
    }
}

/// Every subject with the reference's output of it.
fn outputs() -> Vec<(Request, Vec<u8>)> {
    let link = |request: &Request| {
        let outcome = Reference::default().link(request, Duration::from_secs(60));
        outcome.image().expect("the reference links the subjects").to_vec()
    };
    subject::all().into_iter().map(|(_, request)| (request.clone(), link(&request))).collect()
}

fn read(request: &Request, image: &[u8]) {
    let _ = super::facts(request, image);
    let _ = oracle::flaws(request, image);
}

#[test]
fn damaged_outputs_are_read_without_a_panic() {
    for (number, (request, image)) in outputs().into_iter().enumerate() {
        let mut dice = Dice(0x5c01d + number as u64);
        for _ in 0..700 {
            let mut bad = image.clone();
            dice.damage(&mut bad);
            read(&request, &bad);
        }
    }
}

#[test]
fn damaged_inputs_are_read_without_a_panic() {
    for (number, (request, image)) in outputs().into_iter().enumerate() {
        let mut dice = Dice(0xd1ff + number as u64);
        for _ in 0..400 {
            let mut request = request.clone();
            let which = dice.below(request.files.len());
            let mut bytes = request.files[which].bytes.to_vec();
            dice.damage(&mut bytes);
            request.files[which].bytes = Arc::from(bytes);
            read(&request, &image);
        }
    }
}
