//! Random bytes → choices, through [`arbitrary::Unstructured`]. No bytes left means the first choice
//! everywhere, so it never fails and always ends.

use arbitrary::Unstructured;

/// A source of choices.
pub struct Dice<'a>(Unstructured<'a>);

impl<'a> Dice<'a> {
    /// Choices from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// A number below `n`; 0 if `n` is.
    pub fn below(&mut self, n: usize) -> usize {
        match n {
            0 | 1 => 0,
            2..=256 => self.0.int_in_range(0..=(n - 1) as u8).map_or(0, usize::from),
            _ => self.0.int_in_range(0..=(n - 1) as u32).map_or(0, |n| n as usize),
        }
    }

    /// A number of `low..=high`.
    pub fn range(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Yes in `permille` of 1,000 throws; no when there are no bytes left.
    pub fn chance(&mut self, permille: u16) -> bool {
        let thrown = self.0.int_in_range(0..=999_u16).unwrap_or(0);
        thrown >= 1000 - permille.min(999)
    }

    /// One of `list`, which isn't empty.
    pub fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.int_in_range(0..=u64::MAX).unwrap_or(0)
    }
}
