//! What the added object holds on each machine: the bytes that the Go linker writes there, a row each.

use super::{DATA, FUNC, FUNCTION, Field, Part, Symbol};
use crate::class::Class;

/// Offset, type, its name, addend.
type Place = (u64, u32, &'static str, i64);

/// A machine.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Code {
    /// e_machine.
    pub(super) machine: u16,
    /// e_flags.
    pub(super) flags: u32,
    pub(super) class: Class,
    /// Whether relocations have addends of their own.
    pub(super) rela: bool,
    /// The type of a word that holds an address.
    pub(super) word: (u32, &'static str),
    /// All types that an init entry may have.
    pub(super) words: &'static [u32],
    /// `runtime.addmoduledata(&DATA)`, addends in place where records have none.
    announce: &'static [u8],
    align: u64,
    /// What refers to DATA.
    data: &'static [Place],
    /// What refers to the function.
    call: Place,
    /// Mapping symbols of code: offset, name. Assemblers make them themselves.
    pub(super) marks: &'static [(u64, &'static str)],
    /// The same as assemblers read it.
    lines: &'static [&'static str],
    /// What assemblers call a word that holds an address.
    pub(super) directive: &'static str,
    /// The function with a mistake, which bytes of it are others: the second argument's register.
    pub(super) other_register: &'static [(usize, u8)],
    /// See there: a call without a return, or a branch that was to be the last.
    pub(super) no_return: &'static [(usize, u8)],
}

/// AMD64: `lea DATA(%rip), %rdi; call; ret`. AArch64: `adrp x0; add x0, x0; b`. Arm:
/// `ldr r0, [pc, #4]; add r0, pc, r0; b; .word`, where pc at the addition is the word's address.
static MACHINES: &[Code] = &[
    Code {
        machine: 62,
        flags: 0,
        class: Class::Elf64,
        rela: true,
        word: (1, "R_X86_64_64"),
        words: &[1],
        announce: &[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3],
        align: 16,
        data: &[(3, 2, "R_X86_64_PC32", -4)],
        call: (8, 4, "R_X86_64_PLT32", -4),
        marks: &[],
        lines: &["lea DATA(%rip), %rdi", "call runtime.addmoduledata@PLT", "ret"],
        directive: ".quad",
        other_register: &[(2, 0x35)],
        no_return: &[(12, 0x90)],
    },
    Code {
        machine: 183,
        flags: 0,
        class: Class::Elf64,
        rela: true,
        word: (257, "R_AARCH64_ABS64"),
        words: &[257],
        announce: &[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14],
        align: 16,
        data: &[
            (0, 275, "R_AARCH64_ADR_PREL_PG_HI21", 0),
            (4, 277, "R_AARCH64_ADD_ABS_LO12_NC", 0),
        ],
        call: (8, 283, "R_AARCH64_CALL26", 0),
        marks: &[(0, "$x")],
        // The Go linker has a branch with a call's relocation.
        lines: &[
            "adrp x0, DATA",
            "add x0, x0, :lo12:DATA",
            ".reloc ., R_AARCH64_CALL26, runtime.addmoduledata",
            "b .",
        ],
        directive: ".xword",
        other_register: &[(0, 1), (4, 0x21)],
        no_return: &[(11, 0x94)],
    },
    Code {
        machine: 40,
        flags: 0x0500_0000,
        class: Class::Elf32,
        rela: false,
        word: (2, "R_ARM_ABS32"),
        // AAELF32 §5.6.1: R_ARM_TARGET1 is what init entries have.
        words: &[2, 38],
        announce: &[4, 0, 0x9f, 0xe5, 0, 0, 0x8f, 0xe0, 0xfe, 0xff, 0xff, 0xea, 0, 0, 0, 0],
        align: 4,
        data: &[(12, 3, "R_ARM_REL32", 0)],
        call: (8, 29, "R_ARM_JUMP24", -8),
        marks: &[(0, "$a"), (12, "$d")],
        lines: &["ldr r0, [pc, #4]", "add r0, pc, r0", "b runtime.addmoduledata", ".word DATA - ."],
        directive: ".word",
        other_register: &[(1, 0x10), (4, 1), (5, 0x10)],
        no_return: &[(11, 0xeb)],
    },
];

/// The machine with this number.
pub(super) fn of(machine: u16) -> Option<&'static Code> {
    MACHINES.iter().find(|code| code.machine == machine)
}

impl Code {
    /// Bytes of an address.
    fn width(&self) -> usize {
        if self.class == Class::Elf64 { 8 } else { 4 }
    }

    /// The function that announces `data`.
    pub(super) fn announce(&self, data: &str) -> Part {
        let field = |&(offset, r_type, name, addend): &Place, symbol: &str| Field {
            offset,
            r_type,
            name,
            symbol: symbol.to_owned(),
            addend,
        };
        let mut fields: Vec<Field> = self.data.iter().map(|place| field(place, data)).collect();
        fields.push(field(&self.call, super::APPEND));
        let quoted = format!("\"{data}\"");
        Part {
            name: ".text",
            kind: 1,
            flags: 2 | 4,
            align: self.align,
            bytes: self.announce.to_vec(),
            symbols: vec![Symbol {
                name: FUNCTION.to_owned(),
                global: false,
                hidden: false,
                kind: FUNC,
            }],
            fields,
            lines: self.lines.iter().map(|line| line.replace("DATA", &quoted)).collect(),
        }
    }

    /// A word of `.init_array` called `called` that holds the address of `target`.
    pub(super) fn entry(&self, called: &str, target: &str) -> Part {
        let (r_type, name) = self.word;
        let symbol = Symbol { name: called.into(), global: false, hidden: false, kind: DATA };
        Part {
            name: ".init_array",
            kind: 14,
            flags: 1 | 2,
            align: self.width() as u64,
            bytes: vec![0; self.width()],
            symbols: vec![symbol],
            fields: vec![Field { offset: 0, r_type, name, symbol: target.to_owned(), addend: 0 }],
            lines: vec![format!("{} \"{target}\"", self.directive)],
        }
    }
}
