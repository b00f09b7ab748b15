//! Values in pieces of eight bits, each at an even position: what one instruction after the other adds.
//! Must not know of instructions.

/// The size of what is left of `value` after `groups` of its groups, the first the highest.
///
/// A group is eight bits at the even position where the highest is in it (AAELF32 §5.6.1.6).
pub(crate) fn rest(value: i64, groups: u8) -> u32 {
    (0..groups).fold(value.unsigned_abs() as u32, |rest, _| rest & !group(rest))
}

/// The highest group of `rest`, in place.
pub(crate) fn group(rest: u32) -> u32 {
    rest & 0xff << position(rest)
}

/// The even position that the highest group begins at.
pub(crate) fn position(rest: u32) -> u32 {
    (32 - rest.leading_zeros()).saturating_sub(8).next_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::{group, rest};

    /// AAELF32's example: 0x12345678 in groups.
    #[test]
    fn groups_are_the_highest_bits_first() {
        assert_eq!(rest(0x1234_5678, 1), 0x0034_5678);
        assert_eq!(group(0x1234_5678), 0x1200_0000);
        assert_eq!(group(0x0400_0000 | 0xff), 0x0400_0000);
        assert_eq!(rest(-0x1_0203, 1), 0x203);
    }
}
