//! AArch64: an address is a page and a rest in two instructions, which a linker may rewrite.
//!
//! Spec: `mach-o/arm64/reloc.h`, `mach/machine.h`; Arm ARM, C6.

mod hints;

use super::image::File;
use super::machine::{Field, Form, Machine, Part, RawReloc, Row, Seen, Way};
use crate::Arch;
use crate::bytes::{number, sign_extend, u32_at};

pub(super) static MACHINE: Machine = Machine {
    arch: Arch::Arm64,
    cputype: 0x0100_000c,
    page: 0x4000,
    stub_size: 12,
    signed: true,
    slides: true,
    subtractor: 1,
    addend: Some(10),
    row,
    stored,
    object_target,
    mask,
    see,
    joined: |page, low| page & 0x1f == low >> 5 & 0x1f,
    hint: hints::follow,
    stub,
    lazy,
    dwarf: 0x0300_0000,
};

fn row(r_type: u8) -> Option<Row> {
    let (name, form, part) = match r_type {
        0 => ("ARM64_RELOC_UNSIGNED", Form::Pointer, Part::Whole),
        1 => ("ARM64_RELOC_SUBTRACTOR", Form::Pointer, Part::Whole),
        2 => ("ARM64_RELOC_BRANCH26", Form::Branch, Part::Whole),
        3 => ("ARM64_RELOC_PAGE21", Form::Relative, Part::Page),
        4 => ("ARM64_RELOC_PAGEOFF12", Form::Relative, Part::Low),
        5 => ("ARM64_RELOC_GOT_LOAD_PAGE21", Form::GotLoad, Part::Page),
        6 => ("ARM64_RELOC_GOT_LOAD_PAGEOFF12", Form::GotLoad, Part::Low),
        7 => ("ARM64_RELOC_POINTER_TO_GOT", Form::Got, Part::Whole),
        8 => ("ARM64_RELOC_TLVP_LOAD_PAGE21", Form::Tlv, Part::Page),
        9 => ("ARM64_RELOC_TLVP_LOAD_PAGEOFF12", Form::Tlv, Part::Low),
        10 => ("ARM64_RELOC_ADDEND", Form::Relative, Part::Whole),
        _ => return None,
    };
    Some(Row { name, form, part, behind: 0 })
}

/// Data holds its addend. So do instructions, unless an ARM64_RELOC_ADDEND has it: ld64 takes what is there for it.
fn stored(raw: &RawReloc, field: &[u8]) -> i64 {
    let value = number(field);
    let Some(row) = row(raw.r_type) else { return 0 };
    match (row.form, row.part) {
        (Form::Pointer, _) => sign_extend(value, raw.size) as i64,
        (Form::Branch, _) => branch(value as u32) as i64,
        (Form::Relative, Part::Page) => page(value as u32) as i64,
        (Form::Relative, Part::Low) => low(value as u32).unwrap_or(0) as i64,
        _ => 0,
    }
}

fn object_target(raw: &RawReloc, stored: i64, place: u64) -> u64 {
    match raw.pcrel {
        true => place.wrapping_add_signed(stored),
        false => stored.cast_unsigned(),
    }
}

fn mask(_: u8, size: u8) -> (u64, u64) {
    (0, size.into())
}

/// The distance of B and BL.
fn branch(word: u32) -> u64 {
    (((word << 6).cast_signed() >> 4) as i64).cast_unsigned()
}

/// The distance in bytes of ADRP.
fn page(word: u32) -> u64 {
    near(word) << 12
}

/// The distance of ADR.
fn near(word: u32) -> u64 {
    let bits = (word >> 29 & 3) | (word >> 5 & 0x7_ffff) << 2;
    (((bits << 11).cast_signed() >> 11) as i64).cast_unsigned()
}

/// The offset of ADD, LDR and STR with 12 bits, in bytes.
fn low(word: u32) -> Option<u64> {
    let bits = u64::from(word >> 10 & 0xfff);
    if word & 0x7fc0_0000 == 0x1100_0000 {
        return Some(bits);
    }
    if word & 0x3b00_0000 != 0x3900_0000 {
        return None;
    }
    let vector = word & 0x0480_0000 == 0x0480_0000 && word >> 30 == 0;
    Some(bits << if vector { 4 } else { word >> 30 })
}

const NOP: u32 = 0xd503_201f;

fn is_adrp(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

fn is_adr(word: u32) -> bool {
    word & 0x9f00_0000 == 0x1000_0000
}

/// LDR (literal), of any kind of register.
fn is_literal(word: u32) -> bool {
    word & 0x3b00_0000 == 0x1800_0000
}

/// What LDR (literal) at `place` loads from.
fn literal(place: u64, word: u32) -> u64 {
    place.wrapping_add((((word << 8).cast_signed() >> 13) as i64 * 4) as u64)
}

/// ADD (immediate) of 64 bits, unshifted.
fn is_add(word: u32) -> bool {
    word & 0xffc0_0000 == 0x9100_0000
}

/// LDR of 64 bits with an offset.
fn is_load(word: u32) -> bool {
    word & 0xffc0_0000 == 0xf940_0000
}

fn see(field: Field<'_>) -> Result<Seen, &'static str> {
    let word = |bytes| u32_at(bytes, field.at as u64).ok_or("a field that is cut");
    let (from, to) = (word(field.input)?, word(field.output)?);
    let row = field.row;
    if row.form == Form::Got {
        let distance = sign_extend(to.into(), 4);
        return Ok(Seen::Whole(field.place.wrapping_add(distance), true));
    }
    if row.form == Form::Branch {
        return match (from ^ to) & 0xfc00_0000 {
            0 => Ok(Seen::Whole(field.place.wrapping_add(branch(to)), false)),
            _ => Err("a branch that became something else"),
        };
    }
    match row.part {
        Part::Page => see_page(field, from, to),
        _ => see_low(field, from, to),
    }
}

/// ADRP; optimisation hints make it ADR or nothing.
fn see_page(field: Field<'_>, from: u32, to: u32) -> Result<Seen, &'static str> {
    if to == NOP {
        return Ok(Seen::Nothing);
    }
    if (from ^ to) & 0x1f != 0 {
        return Err("an address in another register");
    }
    if is_adrp(to) {
        return Ok(Seen::Page((field.place & !0xfff).wrapping_add(page(to))));
    }
    match is_adr(to) {
        true => Ok(Seen::Whole(field.place.wrapping_add(near(to)), false)),
        false => Err("ADRP that became something else"),
    }
}

/// The instruction that adds the rest, or loads from there.
fn see_low(field: Field<'_>, from: u32, to: u32) -> Result<Seen, &'static str> {
    if to == NOP {
        return Ok(Seen::Nothing);
    }
    let slot = matches!(field.row.form, Form::GotLoad | Form::Tlv);
    let literal = || literal(field.place, to);
    let same_register = (from ^ to) & 0x1f == 0;
    let loads_same = same_register && hints::literal_of(from) == Some(to & 0xff00_0000);
    if slot {
        return match (from ^ to) & 0x3ff == 0 {
            true if is_load(to) && is_load(from) => Ok(Seen::Low(low(to).unwrap_or(0), true)),
            true if is_add(to) => Ok(Seen::Low(low(to).unwrap_or(0), false)),
            _ if loads_same => Ok(Seen::Whole(literal(), true)),
            _ if same_register && is_adr(to) => {
                Ok(Seen::Whole(field.place.wrapping_add(near(to)), false))
            }
            _ => Err("a load that became something else"),
        };
    }
    if (from ^ to) & !0x3f_fc00 == 0 {
        return low(to).map(|rest| Seen::Low(rest, false)).ok_or("12 bits of what has none");
    }
    match same_register {
        true if loads_same => Ok(Seen::Whole(literal(), false)),
        true if is_adr(to) => Ok(Seen::Whole(field.place.wrapping_add(near(to)), false)),
        _ => Err("an instruction that became something else"),
    }
}

/// ADRP, LDR or ADD, BR by way of x16; B; and what hints make of the first two.
fn stub(file: &File<'_>, address: u64) -> Option<Way> {
    let word = |n: u64| file.u32(address.wrapping_add(4 * n));
    let first = word(0)?;
    if first & 0xfc00_0000 == 0x1400_0000 {
        return Some(Way::Address(address.wrapping_add(branch(first))));
    }
    let (second, third) = (word(1)?, word(2)?);
    // Only these are a stub's to overwrite.
    let register = second & 0x1f;
    if !matches!(register, 16 | 17) || third != 0xd61f_0000 | register << 5 {
        return None;
    }
    if first == NOP && second & 0xff00_0000 == 0x5800_0000 {
        let distance = ((second << 8).cast_signed() >> 13) as i64 * 4;
        return Some(Way::Slot(address.wrapping_add(4).wrapping_add_signed(distance)));
    }
    if !is_adrp(first) || first & 0x1f != register || second >> 5 & 0x1f != register {
        return None;
    }
    let to = (address & !0xfff).wrapping_add(page(first)).wrapping_add(low(second)?);
    match second {
        load if is_load(load) => Some(Way::Slot(to)),
        add if is_add(add) => Some(Way::Address(to)),
        _ => None,
    }
}

/// `ldr w16, +8`, a branch to the helper's head, the offset.
fn lazy(file: &File<'_>, address: u64) -> Option<u32> {
    let word = |n: u64| file.u32(address.wrapping_add(4 * n));
    let shape = word(0)? == 0x1800_0050 && word(1)? & 0xfc00_0000 == 0x1400_0000;
    if shape { word(2) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_hold_what_they_hold() {
        assert_eq!(branch(0x97ff_ffff), (-4_i64) as u64);
        assert_eq!(branch(0x1400_0001), 4);
        assert_eq!(page(0xb000_0010), 0x1000);
        assert_eq!(page(0x90ff_fff0), (-0x4000_i64) as u64);
        assert_eq!(near(0x1000_0040), 8);
        assert_eq!(low(0xf940_0620), Some(8));
        assert_eq!(low(0x3dc0_0400), Some(16));
        assert_eq!(low(0x9100_0c21), Some(3));
        assert_eq!(low(NOP), None);
        assert!(is_literal(0x5800_0010) && is_literal(0x1c00_0010) && !is_literal(NOP));
    }

    /// Where the stub of `code` at 0x1000 leads.
    fn way(code: &[u32]) -> Option<Way> {
        // The header, and a segment of all that is in the file: its header comes first.
        let mut words = vec![0xfeed_facf, 0x0100_000c, 0, 6, 1, 72, 0, 0, 0x19, 72];
        words.extend([0; 4]);
        let size = 104 + 4 * code.len() as u32;
        words.extend([0x1000 - 104, 0, size, 0, 0, 0, size, 0, 5, 5, 0, 0]);
        words.extend(code);
        let bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        stub(&File::read(&bytes).expect("an image"), 0x1000)
    }

    #[test]
    fn stubs_lead_where_they_jump() {
        let jump = 0xd61f_0200;
        assert_eq!(way(&[0xb000_0010, 0xf940_0610, jump]), Some(Way::Slot(0x2008)));
        assert_eq!(way(&[0xb000_0011, 0xf940_0631, 0xd61f_0220]), Some(Way::Slot(0x2008)));
        assert_eq!(way(&[0xb000_0010, 0x9100_2210, jump]), Some(Way::Address(0x2008)));
        assert_eq!(way(&[NOP, 0x5800_0090, jump]), Some(Way::Slot(0x1014)));
        assert_eq!(way(&[0x1400_0002]), Some(Way::Address(0x1008)));
        // By another register, half a pointer, by what was not set.
        assert_eq!(way(&[NOP, 0x5800_0085, 0xd61f_00a0]), None);
        assert_eq!(way(&[NOP, 0x1800_0090, jump]), None);
        assert_eq!(way(&[0xb000_0011, 0xf940_0610, jump]), None);
        assert_eq!(way(&[0xb000_0010, 0xf940_0610, 0xd61f_0220]), None);
    }
}
