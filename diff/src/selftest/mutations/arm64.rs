//! Faults of arm64: instructions of the subject, PLT entries, dynamic relocations.

use super::Mutation;
use super::edit::{add, find, rela, small};
use crate::model::{MARKER_MAGIC, digest};

/// Every fault, one row each. Words are those of the subject's code.
pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation { name: "arm64: bl of an import", apply: |i| word(i, 0, CALL, 1) },
    Mutation { name: "arm64: page of a GOT entry", apply: |i| word(i, 1, ADRP, 1 << 5) },
    Mutation { name: "arm64: GOT load of another slot", apply: |i| word(i, 2, LOAD, 1 << 10) },
    Mutation { name: "arm64: GOT load made an address", apply: |i| word(i, 2, LOAD, LOAD_ADD) },
    Mutation { name: "arm64: GOT load's relaxation", apply: |i| word(i, 2, ADD, 1 << 12) },
    Mutation { name: "arm64: GOT load's register", apply: |i| word(i, 2, ANY, 1) },
    Mutation { name: "arm64: page of data", apply: |i| word(i, 3, ADRP, 1 << 29) },
    Mutation { name: "arm64: page's register", apply: |i| word(i, 3, ADRP, 2) },
    Mutation { name: "arm64: page made relative", apply: |i| word(i, 3, ADRP, 1 << 31) },
    Mutation { name: "arm64: low 12 bits", apply: |i| word(i, 4, ADD, 1 << 12) },
    Mutation { name: "arm64: low 12 bits shifted", apply: |i| word(i, 4, ADD, 1 << 22) },
    Mutation { name: "arm64: scaled low 12 bits", apply: |i| word(i, 6, ANY, 1 << 10) },
    Mutation { name: "arm64: width of a load", apply: |i| word(i, 6, ANY, 1 << 30) },
    Mutation { name: "arm64: descriptor's page", apply: |i| word(i, 7, ADRP, 1 << 5) },
    Mutation { name: "arm64: descriptor's function", apply: |i| word(i, 8, LOAD, 1 << 10) },
    Mutation { name: "arm64: descriptor's address", apply: |i| word(i, 9, ADD, 1 << 13) },
    Mutation { name: "arm64: descriptor's call", apply: |i| word(i, 10, BLR, BLR_NOP) },
    Mutation { name: "arm64: high half of a TLS offset", apply: |i| word(i, 7, MOVZ, 1 << 5) },
    Mutation { name: "arm64: low half of a TLS offset", apply: |i| word(i, 8, MOVK, 1 << 9) },
    Mutation { name: "arm64: bl in a section", apply: |i| word(i, 11, CALL, 1) },
    Mutation { name: "arm64: bl made b", apply: |i| word(i, 11, CALL, 1 << 31) },
    Mutation { name: "arm64: cbz", apply: |i| word(i, 12, ANY, 1 << 5) },
    Mutation { name: "arm64: adr", apply: |i| word(i, 13, ANY, 1 << 29) },
    Mutation { name: "arm64: PLT entry loads another slot", apply: |i| plt(i, PLT_LOAD, 1 << 10) },
    Mutation { name: "arm64: PLT entry's register", apply: |i| plt(i, PLT_LOAD, 1) },
    Mutation { name: "arm64: RELATIVE addend", apply: |i| rela(i, 1027, |r| add(r, 16, 1)) },
    Mutation { name: "arm64: RELATIVE's place", apply: |i| rela(i, 1027, |r| add(r, 0, 8)) },
    Mutation { name: "arm64: ABS64's symbol", apply: |i| rela(i, 257, |r| add(r, 12, 1)) },
    Mutation { name: "arm64: GLOB_DAT's symbol", apply: |i| rela(i, 1025, |r| add(r, 12, 1)) },
    Mutation { name: "arm64: JUMP_SLOT's symbol", apply: |i| rela(i, 1026, |r| add(r, 12, 1)) },
    Mutation { name: "arm64: JUMP_SLOT's place", apply: |i| rela(i, 1026, |r| add(r, 0, 8)) },
    Mutation { name: "arm64: TLSDESC's symbol", apply: |i| rela(i, 1031, |r| add(r, 12, 1)) },
    Mutation { name: "arm64: TLSDESC's addend", apply: |i| rela(i, 1031, |r| add(r, 16, 8)) },
];

/// The bits that an instruction must have, and their values.
type Shape = (u32, u32);

const ANY: Shape = (0, 0);
const CALL: Shape = (0xfc00_0000, 0x9400_0000);
const ADRP: Shape = (0x9f00_0000, 0x9000_0000);
const LOAD: Shape = (0xffc0_0000, 0xf940_0000);
const ADD: Shape = (0xffc0_0000, 0x9100_0000);
const MOVZ: Shape = (0xff80_0000, 0xd280_0000);
const MOVK: Shape = (0xff80_0000, 0xf280_0000);
const BLR: Shape = (u32::MAX, 0xd63f_0020);
/// `ldr x17, [x16, #…]`.
const PLT_LOAD: Shape = (0xffc0_03ff, 0xf940_0211);
/// What makes the load an `add`, the call a no-op.
const LOAD_ADD: u32 = 0xf940_0000 ^ 0x9100_0000;
const BLR_NOP: u32 = 0xd63f_0020 ^ 0xd503_201f;

/// Flips bits of a word of the subject's code, if it is such an instruction.
fn word(image: &mut [u8], index: usize, shape: Shape, bits: u32) -> bool {
    let marker = [MARKER_MAGIC, digest(b".text").to_le_bytes()].concat();
    let own = image.get(18) == Some(&183);
    let Some(at) = find(image, &marker).filter(|_| own) else { return false };
    change(image, at + marker.len() + 4 * index, shape, bits)
}

/// The same for the first PLT entry.
fn plt(image: &mut [u8], shape: Shape, bits: u32) -> bool {
    let own = image.get(18) == Some(&183);
    let at = |at: usize| small(image, at, 4).map(|word| word as u32);
    // The header has the same load, behind a push of X16 and X30.
    let header = |place: usize| place.checked_sub(8).and_then(at) == Some(0xa9bf_7bf0);
    let is =
        |place: &usize| at(*place).is_some_and(|word| word & shape.0 == shape.1) && !header(*place);
    let first = (0..image.len() / 4).map(|i| 4 * i).find(is);
    first.filter(|_| own).is_some_and(|at| change(image, at, shape, bits))
}

fn change(image: &mut [u8], at: usize, (mask, value): Shape, bits: u32) -> bool {
    let Some(field) = image.get_mut(at..at + 4) else { return false };
    let Ok(bytes) = <[u8; 4]>::try_from(&*field) else { return false };
    let word = u32::from_le_bytes(bytes);
    field.copy_from_slice(&(word ^ bits).to_le_bytes());
    word & mask == value
}
