//! Where each of arm's relocations has its addend: data, and the immediates of both instruction sets.
//!
//! Spec: AAELF32 §5.6.1.1 (addends of REL relocations), Arm ARM for the fields. It must not know what is
//! added to them.

/// Fields by the bits that they have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    /// So many bytes.
    Data(u8),
    /// 31 bits.
    Word31,
    /// `b`, `bl`, `blx` of ARM: 24 bits of words; `blx` has one more.
    Branch,
    /// `bl`, `blx`, `b.w`: 25 bits in two halfwords.
    Long,
    /// `b<cond>.w`: 21 bits in two halfwords.
    Cond,
    /// `b`: 12 bits, `b<cond>`: 9 bits.
    Short(u8),
    /// `cbz`: 7 bits, unsigned.
    Zero,
    /// `movw`, `movt`.
    Move,
    /// The same in Thumb code.
    ThumbMove,
    /// `ldr`: U and 12 bits.
    Load,
    /// `ldrh`, `ldrd`: U and 8 bits in two parts.
    LoadHalf,
    /// `ldc`, `vldr`: U and 8 bits of words.
    LoadCo,
    /// `add`, `sub`: a rotated byte.
    Add,
    /// `ldr.w`: U and 12 bits.
    ThumbLoad,
    /// `adr.w`: `add` or `sub` of 12 bits.
    ThumbAdr,
    /// `ldr` from a literal: 8 bits of words.
    Literal,
    /// `ldr` from a register: 5 bits of words.
    Five,
    /// `movs`, `adds`: 8 bits.
    Byte,
    /// Nothing to write.
    Nothing,
}

fn field(r_type: u32) -> Field {
    use Field::*;
    match r_type {
        2 | 3 | 9 | 24..=26 | 38 | 41 | 55 | 56 | 90 | 95 | 96 | 104..=108 => Data(4),
        5 => Data(2),
        8 => Data(1),
        42 => Word31,
        1 | 15 | 27..=29 => Branch,
        10 | 16 | 30 => Long,
        51 => Cond,
        102 => Short(12),
        103 => Short(9),
        52 => Zero,
        43..=46 | 84..=86 => Move,
        47..=50 | 87..=89 => ThumbMove,
        4 | 6 | 62 | 63 | 75..=77 | 97 | 98 | 109..=111 => Load,
        64..=66 | 78..=80 => LoadHalf,
        67..=69 | 81..=83 => LoadCo,
        57..=61 | 70..=74 => Add,
        54 | 131 => ThumbLoad,
        53 => ThumbAdr,
        11 => Literal,
        7 => Five,
        132..=135 => Byte,
        _ => Nothing,
    }
}

/// Whether the field is a word of data.
pub(super) fn is_word(r_type: u32) -> bool {
    matches!(field(r_type), Field::Data(4) | Field::Word31)
}

/// Writes `addend` into the field; false where it doesn't fit, and what doesn't fit is cut off.
pub(super) fn put(r_type: u32, bytes: &mut [u8], addend: i64) -> bool {
    let field = field(r_type);
    let len = match field {
        Field::Nothing => return addend == 0,
        Field::Data(len) => usize::from(len),
        Field::Short(_) | Field::Zero | Field::Literal | Field::Five | Field::Byte => 2,
        _ => 4,
    };
    let Some(bytes) = bytes.get_mut(..len) else { return false };
    let old = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let (new, fits) = written(field, old, addend);
    bytes.copy_from_slice(&new.to_le_bytes()[..len]);
    fits
}

/// `-2^(bits-1) ..= 2^(bits-1)-1`, a multiple of `1 << scale`.
fn signed(addend: i64, bits: u32, scale: u32) -> bool {
    let half = 1_i64 << (bits - 1);
    (-half..half).contains(&addend) && addend & ((1 << scale) - 1) == 0
}

/// `-limit ..= limit`, in steps of `1 << scale`.
fn within(addend: i64, limit: i64, scale: u32) -> bool {
    (-limit..=limit).contains(&addend) && addend & ((1 << scale) - 1) == 0
}

fn written(field: Field, old: u32, addend: i64) -> (u32, bool) {
    let v = addend as u32;
    match field {
        Field::Nothing => (old, addend == 0),
        Field::Data(4) => (v, (-(1 << 31)..1 << 32).contains(&addend)),
        Field::Data(len) => (v, signed(addend, u32::from(len) * 8, 0)),
        Field::Word31 => (old & 0x8000_0000 | v & 0x7fff_ffff, signed(addend, 31, 0)),
        Field::Branch if old >> 28 == 0xf => {
            let word = old & 0xfe00_0000 | (v & 2) << 23 | v >> 2 & 0xff_ffff;
            (word, signed(addend, 26, 1))
        }
        Field::Branch => (old & 0xff00_0000 | v >> 2 & 0xff_ffff, signed(addend, 26, 2)),
        Field::Long => (long(old, v), signed(addend, 25, if is_blx(old) { 2 } else { 1 })),
        Field::Cond => (cond(old, v), signed(addend, 21, 1)),
        Field::Short(bits) => {
            let bits = u32::from(bits);
            let mask = (1 << (bits - 1)) - 1;
            (old & !mask | v >> 1 & mask, signed(addend, bits, 1))
        }
        Field::Zero => {
            // The addend is read modulo 128, from -4.
            let fits = (-4..124).contains(&addend) && addend % 2 == 0;
            (old & !0x2f8 | (v & 0x40) << 3 | (v & 0x3e) << 2, fits)
        }
        Field::Move => (old & 0xfff0_f000 | (v & 0xf000) << 4 | v & 0xfff, signed(addend, 16, 0)),
        Field::ThumbMove => (thumb_move(old, v), signed(addend, 16, 0)),
        Field::Literal => {
            (old & 0xff00 | v >> 2 & 0xff, (-4..=1016).contains(&addend) && addend % 4 == 0)
        }
        Field::Five => {
            (old & !0x7c0 | (v >> 2 & 0x1f) << 6, (0..=124).contains(&addend) && addend % 4 == 0)
        }
        Field::Byte => (old & 0xff00 | v & 0xff, (0..=255).contains(&addend)),
        Field::Add => add(old, addend),
        _ => magnitude(field, old, addend),
    }
}

/// Fields of a size, whose instruction has the sign.
fn magnitude(field: Field, old: u32, addend: i64) -> (u32, bool) {
    let size = addend.unsigned_abs() as u32;
    let up = |old: u32, bit: u32| if addend < 0 { old & !(1 << bit) } else { old | 1 << bit };
    match field {
        Field::Load => (up(old & !0xfff, 23) | size & 0xfff, within(addend, 0xfff, 0)),
        Field::LoadHalf => {
            (up(old & !0xf0f, 23) | (size & 0xf0) << 4 | size & 0xf, within(addend, 0xff, 0))
        }
        Field::LoadCo => (up(old & !0xff, 23) | size >> 2 & 0xff, within(addend, 0x3fc, 2)),
        Field::ThumbLoad => {
            (up(old & !0x0fff_0000, 7) | (size & 0xfff) << 16, within(addend, 0xfff, 0))
        }
        _ => {
            let sub = if addend < 0 { 0xa0 } else { 0 };
            let imm = (size & 0x800) >> 1 | (size & 0x700) << 20 | (size & 0xff) << 16;
            (old & !0x70ff_04a0 | sub | imm, within(addend, 0xfff, 0))
        }
    }
}

/// Whether the second halfword, in the upper half here, is that of `blx`.
fn is_blx(old: u32) -> bool {
    old >> 16 & 0xd000 == 0xc000
}

/// S:I1:I2:imm10:imm11, where J is not (I eor S).
fn long(old: u32, v: u32) -> u32 {
    let sign = v >> 24 & 1;
    let bit = |n: u32| (v >> n & 1) ^ sign ^ 1;
    let first = sign << 10 | v >> 12 & 0x3ff;
    let second = bit(23) << 13 | bit(22) << 11 | v >> 1 & 0x7ff;
    old & 0xd000_f800 | first | second << 16
}

/// S:J2:J1:imm6:imm11.
fn cond(old: u32, v: u32) -> u32 {
    let first = (v >> 20 & 1) << 10 | v >> 12 & 0x3f;
    let second = (v >> 18 & 1) << 13 | (v >> 19 & 1) << 11 | v >> 1 & 0x7ff;
    old & 0xd000_fbc0 | first | second << 16
}

/// imm4:i:imm3:imm8.
fn thumb_move(old: u32, v: u32) -> u32 {
    let first = v >> 12 & 0xf | (v & 0x800) >> 1;
    let second = (v & 0x700) << 4 | v & 0xff;
    old & 0x8f00_fbf0 | first | second << 16
}

/// `add` or `sub` of a byte at an even position.
fn add(old: u32, addend: i64) -> (u32, bool) {
    let size = addend.unsigned_abs() as u32;
    let rotation = (0..16).find(|rotation| size.rotate_left(2 * rotation) <= 0xff);
    let byte = size.rotate_left(2 * rotation.unwrap_or(0)) & 0xff;
    let opcode = if addend < 0 { 1 << 22 } else { 1 << 23 };
    (old & !0x00c0_0fff | opcode | rotation.unwrap_or(0) << 8 | byte, rotation.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put32(r_type: u32, old: u32, addend: i64) -> (u32, bool) {
        let mut bytes = old.to_le_bytes();
        let fits = put(r_type, &mut bytes, addend);
        (u32::from_le_bytes(bytes), fits)
    }

    /// What GNU `as` writes for the same instructions; Thumb's first halfword is the lower half.
    #[test]
    fn fields_are_as_the_assembler_has_them() {
        let rows: &[(u32, u32, i64, u32)] = &[
            (28, 0xeb00_0000, -8, 0xebff_fffe),
            (28, 0xfa00_0000, -6, 0xfbff_fffe),
            (10, 0xd000_f000, -4, 0xfffe_f7ff),
            (10, 0xc000_f000, -4, 0xeffe_f7ff),
            (30, 0x9000_f000, -4, 0xbffe_f7ff),
            (51, 0x8000_f000, -4, 0xaffe_f43f),
            (43, 0xe300_0000, 0x1234, 0xe301_0234),
            (47, 0x0000_f240, 0x1234, 0x2034_f241),
            (47, 0x0000_f240, 0x0fff, 0x70ff_f640),
            (4, 0xe51f_0000, -8, 0xe51f_0008),
            (4, 0xe51f_0000, 8, 0xe59f_0008),
            (64, 0xe15f_00d0, 0x12, 0xe1df_01d2),
            (67, 0xed5f_0a00, -8, 0xed5f_0a02),
            (57, 0xe28f_0000, -8, 0xe24f_0008),
            (57, 0xe28f_0000, 0xff00, 0xe28f_0cff),
            (54, 0x0000_f8df, -4, 0x0004_f85f),
            (53, 0x0000_f20f, -4, 0x0004_f2af),
            (42, 0x8000_0000, -1, 0xffff_ffff),
        ];
        for &(r_type, old, addend, new) in rows {
            assert_eq!(put32(r_type, old, addend), (new, true), "{r_type} {addend}: {new:#x}");
        }
        let rows: &[(u32, u32, i64, u32)] = &[
            (102, 0xe000, -4, 0xe7fe),
            (103, 0xd000, -4, 0xd0fe),
            (52, 0xb100, -4, 0xb3f0),
            (11, 0x4800, -4, 0x48ff),
            (7, 0x6800, 124, 0x6fc0),
            (132, 0x3000, 255, 0x30ff),
        ];
        for &(r_type, old, addend, new) in rows {
            assert_eq!(put32(r_type, old, addend), (new, true), "{r_type} {addend}: {new:#x}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_generated() {
        let no = |r_type, addend| assert!(!put32(r_type, 0, addend).1, "{r_type} {addend}");
        let yes = |r_type, addend| assert!(put32(r_type, 0, addend).1, "{r_type} {addend}");
        for (r_type, low, high, step) in [
            (28, -0x200_0000, 0x1ff_fffc, 4),
            (30, -0x100_0000, 0xff_fffe, 2),
            (51, -0x10_0000, 0xf_fffe, 2),
            (102, -0x800, 0x7fe, 2),
            (103, -0x100, 0xfe, 2),
            (43, -0x8000, 0x7fff, 1),
            (4, -0xfff, 0xfff, 1),
            (64, -0xff, 0xff, 1),
            (67, -0x3fc, 0x3fc, 4),
            (42, -0x4000_0000, 0x3fff_ffff, 1),
            (5, -0x8000, 0x7fff, 1),
            (8, -0x80, 0x7f, 1),
        ] {
            yes(r_type, low);
            yes(r_type, high);
            no(r_type, low - step);
            no(r_type, high + step);
            if step > 1 {
                no(r_type, 1);
            }
        }
        no(57, 0x101);
        yes(57, 0xff00_0000);
        yes(57, -0xff00);
    }
}
