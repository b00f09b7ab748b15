//! Fields of ARM and Thumb instructions: bits in, the number that they encode out.
//!
//! One decoder serves both ends of a relocation: the addend in the input's field and the value in the
//! output's. It must not know symbols, places or relocation types.
//!
//! Spec: AAELF32 "Addends and PC-bias compensation", tables "Arm relocation actions by instruction type" and
//! "Thumb relocation actions by instruction type"; encodings: Arm ARM (ARMv7-A) A5 to A8.

use crate::bytes::{number, sign_extend};

/// How a field is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    /// So many bytes of data.
    Data(u8),
    /// The low 31 bits of a word.
    Prel31,
    /// B, BL, BLX (immediate).
    Branch,
    /// BL, BLX, B.W of Thumb.
    ThumbBranch,
    /// Bcond.W.
    ThumbConditional,
    /// B, 11 bits.
    Jump11,
    /// Bcond, 8 bits.
    Jump8,
    /// CBZ, CBNZ.
    Jump6,
    /// MOVW, MOVT.
    Move,
    /// The same of Thumb.
    ThumbMove,
    /// ADD, SUB with a rotated immediate.
    Alu,
    /// LDR, STR with 12 bits.
    Load,
    /// LDRH, LDRD and others with two nibbles.
    LoadSigned,
    /// LDC: 8 bits of words.
    LoadCoprocessor,
    /// ADR.W.
    ThumbAdr,
    /// LDR (literal), 8 bits of words.
    ThumbLiteral,
    /// LDR.W with a sign and 12 bits.
    ThumbLoad,
    /// LDR (immediate), 5 bits of words.
    ThumbLoad5,
    /// MOVS, ADDS with 8 bits.
    ThumbImmediate,
}

impl Field {
    /// Bytes of the instruction or datum.
    pub(super) fn size(self) -> u8 {
        match self {
            Self::Data(size) => size,
            Self::Jump11 | Self::Jump8 | Self::Jump6 => 2,
            Self::ThumbLiteral | Self::ThumbLoad5 | Self::ThumbImmediate => 2,
            _ => 4,
        }
    }

    /// Whether the instruction runs in Thumb state.
    pub(super) fn thumb(self) -> bool {
        matches!(
            self,
            Self::ThumbBranch
                | Self::ThumbConditional
                | Self::Jump11
                | Self::Jump8
                | Self::Jump6
                | Self::ThumbMove
                | Self::ThumbAdr
                | Self::ThumbLiteral
                | Self::ThumbLoad
                | Self::ThumbLoad5
                | Self::ThumbImmediate
        )
    }

    /// The bits as one number: of a 32-bit Thumb instruction the first halfword is the high one.
    pub(super) fn bits(self, bytes: &[u8]) -> Option<u32> {
        let raw = number(bytes.get(..self.size().into())?) as u32;
        Some(if self.thumb() && self.size() == 4 { raw.rotate_left(16) } else { raw })
    }

    /// Which bits of the instruction encode the number.
    pub(super) fn mask(self) -> u32 {
        match self {
            Self::Data(1) => 0xff,
            Self::Data(2) => 0xffff,
            Self::Data(_) => u32::MAX,
            Self::Prel31 => 0x7fff_ffff,
            Self::Branch => 0x00ff_ffff,
            Self::ThumbBranch => 0x07ff_2fff,
            Self::ThumbConditional => 0x043f_2fff,
            Self::Jump11 => 0x07ff,
            Self::Jump8 | Self::ThumbLiteral | Self::ThumbImmediate => 0xff,
            Self::Jump6 => 0x02f8,
            Self::Move => 0x000f_0fff,
            Self::ThumbMove => 0x040f_70ff,
            // ADD or SUB is the number's sign.
            Self::Alu => 0x00c0_0fff,
            Self::Load => 0x0080_0fff,
            Self::LoadSigned => 0x0080_0f0f,
            Self::LoadCoprocessor => 0x0080_00ff,
            Self::ThumbAdr => 0x04a0_70ff,
            Self::ThumbLoad => 0x0080_0fff,
            Self::ThumbLoad5 => 0x07c0,
        }
    }

    /// The number that the bits encode, as signed as the instruction takes it.
    pub(super) fn value(self, bits: u32) -> i64 {
        let signed = |magnitude: u32, plus: bool| {
            if plus { i64::from(magnitude) } else { -i64::from(magnitude) }
        };
        let up = bits >> 23 & 1 != 0;
        match self {
            Self::Data(size) => sign_extend(bits.into(), size) as i64,
            Self::Prel31 => extend(bits, 31),
            Self::Branch => {
                // BLX has bit 1 of the distance in bit 24.
                let half = if bits >> 28 == 0xf { bits >> 24 & 1 } else { 0 };
                extend(bits << 2, 26) + i64::from(half << 1)
            }
            Self::ThumbBranch => {
                let sign = bits >> 26 & 1;
                let i1 = !(bits >> 13 & 1 ^ sign) & 1;
                let i2 = !(bits >> 11 & 1 ^ sign) & 1;
                let high = sign << 24 | i1 << 23 | i2 << 22 | (bits >> 16 & 0x3ff) << 12;
                // In BLX the lowest bit has no meaning.
                let low = if bits >> 12 & 1 == 0 { bits & 0x7fe } else { bits & 0x7ff };
                extend(high | low << 1, 25)
            }
            Self::ThumbConditional => {
                let (sign, j1, j2) = (bits >> 26 & 1, bits >> 13 & 1, bits >> 11 & 1);
                let high = sign << 20 | j2 << 19 | j1 << 18 | (bits >> 16 & 0x3f) << 12;
                extend(high | (bits & 0x7ff) << 1, 21)
            }
            Self::Jump11 => extend(bits << 1, 12),
            Self::Jump8 => extend(bits << 1, 9),
            Self::Jump6 => i64::from((bits >> 9 & 1) << 6 | (bits >> 3 & 0x1f) << 1),
            Self::Move => extend(bits >> 4 & 0xf000 | bits & 0xfff, 16),
            Self::ThumbMove => {
                let high = (bits >> 16 & 15) << 12 | (bits >> 26 & 1) << 11;
                extend(high | (bits >> 12 & 7) << 8 | bits & 0xff, 16)
            }
            Self::Alu => {
                let magnitude = (bits & 0xff).rotate_right(2 * (bits >> 8 & 15));
                signed(magnitude, up)
            }
            Self::Load | Self::ThumbLoad => signed(bits & 0xfff, up),
            Self::LoadSigned => signed((bits >> 4 & 0xf0) | bits & 15, up),
            Self::LoadCoprocessor => signed((bits & 0xff) << 2, up),
            Self::ThumbAdr => {
                let low = (bits >> 26 & 1) << 11 | (bits >> 12 & 7) << 8 | bits & 0xff;
                signed(low, bits >> 23 & 1 == 0)
            }
            Self::ThumbLiteral => i64::from((bits & 0xff) << 2),
            Self::ThumbLoad5 => i64::from((bits >> 6 & 31) << 2),
            Self::ThumbImmediate => i64::from(bits & 0xff),
        }
    }

    /// The addend in a field that nobody relocated yet. Fields without a sign can't hold the usual
    /// -4: they hold it modulo their size.
    pub(super) fn addend(self, bits: u32) -> i64 {
        match self {
            Self::ThumbLiteral => ((self.value(bits) + 4) & 0x3ff) - 4,
            Self::Jump6 => ((self.value(bits) + 4) & 0x7f) - 4,
            _ => self.value(bits),
        }
    }
}

/// The low `width` bits of `value`, sign-extended.
fn extend(value: u32, width: u32) -> i64 {
    i64::from((value << (32 - width)) as i32 >> (32 - width))
}

/// Group `n` of a number: the 8 bits at an even place that the `n`-th instruction takes, and what is left
/// to those behind it.
///
/// Spec: AAELF32, "Group relocations": Y_n and G_n.
pub(super) fn group(magnitude: u32, n: u8) -> (u32, u32) {
    let (mut chunk, mut rest) = (0, magnitude);
    for _ in 0..=n {
        let shift = if rest == 0 { 0 } else { (32 - rest.leading_zeros()).saturating_sub(8) };
        let shift = shift.next_multiple_of(2);
        chunk = rest & 0xff_u32.checked_shl(shift).unwrap_or(0);
        rest &= !chunk;
    }
    (chunk, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_of_the_assembler_read_back() {
        // arm-linux-gnueabihf-as 2.40 wrote these.
        let cases = [
            (Field::Branch, 0xebff_fffe, -8),
            (Field::Branch, 0xfbff_fffe, -6),
            (Field::ThumbBranch, 0xf7ff_fffe, -4),
            (Field::ThumbBranch, 0xf7ff_effe, -4),
            (Field::ThumbBranch, 0xf7ff_bffe, -4),
            (Field::ThumbConditional, 0xf43f_affe, -4),
            (Field::Jump11, 0xe7fe, -4),
            (Field::Jump8, 0xd0fe, -4),
            (Field::Move, 0xe30f_0ffc, -4),
            (Field::ThumbMove, 0xf64f_70fc, -4),
            (Field::Alu, 0xe24f_0008, -8),
            (Field::Alu, 0xe28f_0c01, 256),
            (Field::Load, 0xe51f_0008, -8),
            (Field::LoadSigned, 0xe1df_01f4, 20),
            (Field::LoadCoprocessor, 0xed1f_0102, -8),
            (Field::ThumbAdr, 0xf2af_0004, -4),
            (Field::ThumbLoad, 0xf85f_0004, -4),
            (Field::Prel31, 0x7fff_fffc, -4),
        ];
        for (field, bits, value) in cases {
            assert_eq!(field.addend(bits), value, "{field:?} {bits:#x}");
        }
        assert_eq!(Field::ThumbLiteral.addend(0x48ff), -4);
        assert_eq!(Field::Jump6.addend(0xb3f8), -2);
    }

    #[test]
    fn groups_take_eight_bits_from_the_top() {
        assert_eq!(group(0x1234_5678, 0), (0x1200_0000, 0x0034_5678));
        assert_eq!(group(0xff, 0), (0xff, 0));
        assert_eq!(group(0x100, 0), (0x100, 0));
        assert_eq!(group(0x0001_0001, 1), (1, 0));
        assert_eq!(group(0, 2), (0, 0));
    }
}
