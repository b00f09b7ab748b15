//! Instructions of x86-64 with relocations → their assembler text.
//!
//! Only the bytes from the opcode on have to be an instruction of their own: prefixes stand before it as data,
//! so that a `movss` is what `adcb` makes behind `0xf3, 0x0f`.

use super::Spelled;
use crate::machine::macho::amd64::*;

/// The instruction around the field at `at` that refers to `target`; `plus` is its addend.
pub(super) fn spelled(
    bytes: &[u8],
    at: usize,
    r_type: u32,
    target: &str,
    plus: &str,
) -> Option<Spelled> {
    let field = bytes.get(at..)?.get(..4)?;
    let before = |count: usize| at.checked_sub(count).map(|start| bytes[start]);
    let memory = match r_type {
        X86_64_RELOC_GOT_LOAD | X86_64_RELOC_GOT => format!("{target}@GOTPCREL{plus}(%rip)"),
        X86_64_RELOC_TLV => format!("{target}@TLVP{plus}(%rip)"),
        _ => format!("{target}{plus}(%rip)"),
    };
    if field != [0; 4] {
        return None;
    }
    let (start, end, text) = match r_type {
        X86_64_RELOC_BRANCH => {
            let (len, name) = branch(before(1)?, before(2))?;
            (at - len, at + 4, format!("{name} {target}{plus}"))
        }
        X86_64_RELOC_GOT_LOAD => {
            let (rex, opcode, modrm) = (before(3)?, before(2)?, before(1)?);
            if rex & 0xfb != 0x48 || opcode != 0x8b || modrm & 0xc7 != 5 {
                return None;
            }
            let register = WIDE[usize::from(modrm >> 3 | (rex & 4) << 1)];
            (at - 3, at + 4, format!("movq {memory}, %{register}"))
        }
        _ => {
            let immediate = match r_type {
                X86_64_RELOC_SIGNED_1 => 1,
                X86_64_RELOC_SIGNED_2 => 2,
                X86_64_RELOC_SIGNED_4 => 4,
                _ => 0,
            };
            let value = bytes.get(at + 4..)?.get(..immediate)?;
            let value = value.iter().rev().fold(0_u32, |v, byte| v << 8 | u32::from(*byte));
            let instruction = match (before(2), before(1)) {
                (Some(opcode), Some(modrm)) if modrm & 0xc7 == 5 => {
                    let wide = before(3) == Some(0x66);
                    instruction(opcode, modrm >> 3, immediate, value, wide, &memory)
                }
                _ => None,
            };
            match instruction {
                Some((prefix, text)) => (at - 2 - prefix, at + 4 + immediate, text),
                None if r_type == X86_64_RELOC_GOT => {
                    (at, at + 4, format!(".long {target}@GOTPCREL{plus}"))
                }
                None => return None,
            }
        }
    };
    Some(Spelled { start, end, text })
}

/// Starts the name of a number, in hexadecimal digits, that the text defines at its end.
pub(super) const LATER: &str = "Lnumber_";

const WIDE: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
const WORDS: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const BYTES: [&str; 8] = ["al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"];
const ARITHMETIC: [&str; 8] = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"];
const CONDITIONS: [&str; 16] = [
    "jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jp", "jnp", "jl", "jge",
    "jle", "jg",
];

/// Bytes of the opcode, and the name.
fn branch(last: u8, before: Option<u8>) -> Option<(usize, &'static str)> {
    match (before, last) {
        (Some(0x0f), 0x80..=0x8f) => Some((2, CONDITIONS[usize::from(last & 15)])),
        (_, 0xe8) => Some((1, "callq")),
        (_, 0xe9) => Some((1, "jmp")),
        _ => None,
    }
}

/// The instruction with this opcode and register field, with an immediate of so many bytes behind: bytes before
/// the opcode that it makes itself, and the text.
fn instruction(
    opcode: u8,
    register: u8,
    immediate: usize,
    value: u32,
    wide: bool,
    memory: &str,
) -> Option<(usize, String)> {
    let register = usize::from(register & 7);
    let (byte, word) = (BYTES[register], WORDS[register]);
    if immediate > 0 {
        return with_immediate(opcode, register, immediate, value, wide, memory);
    }
    let text = match opcode {
        0x00..=0x3f if opcode & 7 < 4 => {
            let name = ARITHMETIC[usize::from(opcode >> 3)];
            match opcode & 3 {
                0 => format!("{name}b %{byte}, {memory}"),
                1 => format!("{name}l %{word}, {memory}"),
                2 => format!("{name}b {memory}, %{byte}"),
                _ => format!("{name}l {memory}, %{word}"),
            }
        }
        0x84 => format!("testb %{byte}, {memory}"),
        0x85 => format!("testl %{word}, {memory}"),
        0x86 => format!("xchgb %{byte}, {memory}"),
        0x87 => format!("xchgl %{word}, {memory}"),
        0x88 => format!("movb %{byte}, {memory}"),
        0x89 => format!("movl %{word}, {memory}"),
        0x8a => format!("movb {memory}, %{byte}"),
        0x8b => format!("movl {memory}, %{word}"),
        0x8d => format!("leal {memory}, %{word}"),
        0xff => match register {
            0 => format!("incl {memory}"),
            1 => format!("decl {memory}"),
            2 => format!("callq *{memory}"),
            4 => format!("jmpq *{memory}"),
            6 => format!("pushq {memory}"),
            _ => return None,
        },
        0xfe if register == 0 => format!("incb {memory}"),
        0xfe if register == 1 => format!("decb {memory}"),
        _ => return None,
    };
    Some((0, text))
}

fn with_immediate(
    opcode: u8,
    register: usize,
    immediate: usize,
    value: u32,
    wide: bool,
    memory: &str,
) -> Option<(usize, String)> {
    // The assembler takes the short form where the value has one, unless it comes to know it later.
    let short = (value as i32) < 128 && (value as i32) >= -128;
    let text = match (opcode, immediate) {
        (0x80, 1) => format!("{}b ${value}, {memory}", ARITHMETIC[register]),
        (0x83, 1) => format!("{}l ${}, {memory}", ARITHMETIC[register], value as u8 as i8),
        (0x81, 4) if !short => format!("{}l ${value:#x}, {memory}", ARITHMETIC[register]),
        (0x81, 4) => format!("{}l ${LATER}{value:x}, {memory}", ARITHMETIC[register]),
        (0x81, 2) if wide => {
            return Some((1, format!("{}w ${LATER}{value:x}, {memory}", ARITHMETIC[register])));
        }
        (0xc6, 1) if register == 0 => format!("movb ${value}, {memory}"),
        (0xc7, 4) if register == 0 => format!("movl ${value:#x}, {memory}"),
        (0xf6, 1) if register == 0 => format!("testb ${value}, {memory}"),
        (0xf7, 4) if register == 0 => format!("testl ${value:#x}, {memory}"),
        (0xc7, 2) if register == 0 && wide => {
            return Some((1, format!("movw ${value:#x}, {memory}")));
        }
        _ => return None,
    };
    Some((0, text))
}
