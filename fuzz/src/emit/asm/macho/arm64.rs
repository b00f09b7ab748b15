//! Words of arm64 with relocations → their assembler text.

use super::Spelled;
use crate::machine::macho::arm64::*;

/// The instruction, or the directive, at `at` that refers to `target`; `plus` is its addend.
pub(super) fn spelled(
    bytes: &[u8],
    at: usize,
    r_type: u32,
    target: &str,
    plus: &str,
) -> Option<Spelled> {
    let (len, text) = match r_type {
        ARM64_RELOC_POINTER_TO_GOT => (4, format!(".long {target}@GOT - .")),
        ARM64_RELOC_POINTER_TO_GOT_8 if plus.is_empty() => (8, format!(".quad {target}@GOT")),
        _ => (4, instruction(word(bytes, at)?, r_type, target, plus)?),
    };
    Some(Spelled { start: at, end: at + len, text })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.get(..4)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

fn instruction(word: u32, r_type: u32, target: &str, plus: &str) -> Option<String> {
    if plus.starts_with('-') {
        // Clang (22 still) lets the sign run over the other bits of the ADDEND.
        return None;
    }
    let (rd, rn) = (word & 31, word >> 5 & 31);
    let operand = |modifier: &str| format!("{target}@{modifier}{plus}");
    Some(match r_type {
        ARM64_RELOC_BRANCH26 if word & 0x7fff_ffff == 0x1400_0000 => {
            format!("{} {target}{plus}", if word >> 31 == 1 { "bl" } else { "b" })
        }
        ARM64_RELOC_PAGE21 => adrp(word, &operand("PAGE"))?,
        ARM64_RELOC_GOT_LOAD_PAGE21 => adrp(word, &operand("GOTPAGE"))?,
        ARM64_RELOC_TLVP_LOAD_PAGE21 => adrp(word, &operand("TLVPPAGE"))?,
        ARM64_RELOC_PAGEOFF12 if word & 0xffff_fc00 == 0x9100_0000 => {
            format!("add {}, {}, {}", base(rd), base(rn), operand("PAGEOFF"))
        }
        ARM64_RELOC_PAGEOFF12 => access(word, &operand("PAGEOFF"))?,
        ARM64_RELOC_GOT_LOAD_PAGEOFF12 => access(word, &operand("GOTPAGEOFF"))?,
        ARM64_RELOC_TLVP_LOAD_PAGEOFF12 => access(word, &operand("TLVPPAGEOFF"))?,
        _ => return None,
    })
}

fn adrp(word: u32, operand: &str) -> Option<String> {
    (word & 0xffff_ffe0 == 0x9000_0000)
        .then(|| format!("adrp {}, {operand}", register('x', word & 31)))
}

/// A register where 31 is zero.
fn register(kind: char, number: u32) -> String {
    match (number, kind) {
        (31, 'x' | 'w') => format!("{kind}zr"),
        _ => format!("{kind}{number}"),
    }
}

/// A register where 31 is the stack pointer.
fn base(number: u32) -> String {
    if number == 31 { "sp".into() } else { register('x', number) }
}

/// A load or store at a base and an unsigned offset of 0.
fn access(word: u32, operand: &str) -> Option<String> {
    if word & 0x3b3f_fc00 != 0x3900_0000 {
        return None;
    }
    let (size, vector, opc) = (word >> 30, word >> 26 & 1, word >> 22 & 3);
    let (name, kind) = match (vector, size, opc) {
        (0, 0, 0) => ("strb", 'w'),
        (0, 0, 1) => ("ldrb", 'w'),
        (0, 0, 2) => ("ldrsb", 'x'),
        (0, 0, _) => ("ldrsb", 'w'),
        (0, 1, 0) => ("strh", 'w'),
        (0, 1, 1) => ("ldrh", 'w'),
        (0, 1, 2) => ("ldrsh", 'x'),
        (0, 1, _) => ("ldrsh", 'w'),
        (0, 2, 0) => ("str", 'w'),
        (0, 2, 1) => ("ldr", 'w'),
        (0, 2, 2) => ("ldrsw", 'x'),
        (0, 3, 0) => ("str", 'x'),
        (0, 3, 1) => ("ldr", 'x'),
        (1, 0, 2) => ("str", 'q'),
        (1, 0, 3) => ("ldr", 'q'),
        (1, size, 0) => ("str", ['b', 'h', 's', 'd'][size as usize]),
        (1, size, 1) => ("ldr", ['b', 'h', 's', 'd'][size as usize]),
        _ => return None,
    };
    let (rt, rn) = (register(kind, word & 31), base(word >> 5 & 31));
    Some(format!("{name} {rt}, [{rn}, {operand}]"))
}
