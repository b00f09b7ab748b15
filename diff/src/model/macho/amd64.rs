//! x86-64: addresses are whole and relative to the field's end, but for what follows it.
//!
//! Spec: `mach-o/x86_64/reloc.h`, `mach/machine.h`.

use super::image::File;
use super::machine::{Field, Form, Machine, Part, RawReloc, Row, Seen, Way};
use crate::Arch;
use crate::bytes::{number, sign_extend, u32_at};

pub(super) static MACHINE: Machine = Machine {
    arch: Arch::Amd64,
    cputype: 0x0100_0007,
    page: 0x1000,
    stub_size: 6,
    signed: false,
    slides: false,
    subtractor: 5,
    addend: None,
    row,
    stored,
    object_target,
    mask,
    see,
    joined: |_, _| true,
    hint: |_, _, _, _| None,
    stub,
    lazy,
    dwarf: 0x0400_0000,
};

fn row(r_type: u8) -> Option<Row> {
    let (name, form, behind) = match r_type {
        0 => ("X86_64_RELOC_UNSIGNED", Form::Pointer, 0),
        1 => ("X86_64_RELOC_SIGNED", Form::Relative, 0),
        2 => ("X86_64_RELOC_BRANCH", Form::Branch, 0),
        3 => ("X86_64_RELOC_GOT_LOAD", Form::GotLoad, 0),
        4 => ("X86_64_RELOC_GOT", Form::Got, 0),
        5 => ("X86_64_RELOC_SUBTRACTOR", Form::Pointer, 0),
        6 => ("X86_64_RELOC_SIGNED_1", Form::Relative, 1),
        7 => ("X86_64_RELOC_SIGNED_2", Form::Relative, 2),
        8 => ("X86_64_RELOC_SIGNED_4", Form::Relative, 4),
        9 => ("X86_64_RELOC_TLV", Form::Tlv, 0),
        _ => return None,
    };
    Some(Row { name, form, part: Part::Whole, behind })
}

fn stored(raw: &RawReloc, field: &[u8]) -> i64 {
    let behind = row(raw.r_type).map_or(0, |row| row.behind);
    (sign_extend(number(field), raw.size) as i64).wrapping_add(behind.into())
}

fn object_target(raw: &RawReloc, stored: i64, place: u64) -> u64 {
    match raw.pcrel {
        true => place.wrapping_add(raw.size.into()).wrapping_add_signed(stored),
        false => stored.cast_unsigned(),
    }
}

/// A load's opcode and register byte are before the field.
fn mask(r_type: u8, size: u8) -> (u64, u64) {
    (if matches!(r_type, 3 | 9) { 2 } else { 0 }, size.into())
}

fn see(field: Field<'_>) -> Result<Seen, &'static str> {
    let size = usize::from(field.size);
    let bytes = field.output.get(field.at..field.at + size).ok_or("a field that is cut")?;
    let distance = sign_extend(number(bytes), field.size);
    let after = field.place + u64::from(field.size) + u64::from(field.row.behind);
    let target = after.wrapping_add(distance);
    match field.row.form {
        Form::GotLoad | Form::Tlv => Ok(Seen::Whole(target, loads(field)?)),
        Form::Got => Ok(Seen::Whole(target, true)),
        _ => Ok(Seen::Whole(target, false)),
    }
}

/// Whether a load is one still; it may have become LEA.
fn loads(field: Field<'_>) -> Result<bool, &'static str> {
    let before = field.at.checked_sub(2);
    let opcode = |bytes: &[u8]| Some([*bytes.get(before?)?, *bytes.get(field.at - 1)?]);
    match (opcode(field.input), opcode(field.output)) {
        (Some([_, from]), Some([_, to])) if from != to => Err("a load into another register"),
        (Some([0x8b, _]), Some([0x8b, _])) => Ok(true),
        (Some([0x8b, _]), Some([0x8d, _])) => Ok(false),
        (Some([from, _]), Some([to, _])) if from == to => Ok(true),
        (Some(_), Some(_)) => Err("a load that became something else"),
        _ => Err("a load that is cut"),
    }
}

/// `jmp *slot(%rip)`.
fn stub(file: &File<'_>, address: u64) -> Option<Way> {
    match file.slice(address, 6)? {
        code @ [0xff, 0x25, ..] => {
            let distance = sign_extend(u32_at(code, 2)?.into(), 4);
            Some(Way::Slot(address.wrapping_add(6).wrapping_add(distance)))
        }
        _ => None,
    }
}

/// `push $offset`, then a jump to the helper's head.
fn lazy(file: &File<'_>, address: u64) -> Option<u32> {
    match file.slice(address, 10)? {
        [0x68, rest @ ..] if rest[4] == 0xe9 => u32_at(rest, 0),
        _ => None,
    }
}
