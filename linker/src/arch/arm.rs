//! arm: ELF32, addends in the fields, two instruction sets; bit 0 of a function's value says which.
//!
//! Rows follow AAELF32 §5.6.1 (2023Q3), TLS that of §5.6.2 and the addenda's descriptors. `bl` and `blx`
//! become each other; every other branch to the other state goes through a thunk. The thread pointer is
//! two words before the block of thread-locals (variant I). A call reaches ±32 MiB, from Thumb ±16 MiB.

mod attributes;
mod branches;
mod fields;
mod relax;
mod thunks;

use std::sync::Mutex;

use super::{
    Arch, Attributes, Choices, DynTypes, Field, Index, InitField, ModuleInit, Plt, PltEntries,
    Properties, ThreadPointer, Thunks, rows,
};
use crate::arch::{Reading, Row, What};
use crate::format::elf::class::Class;
use branches::*;
use fields::*;

rows! {
    R_ARM_NONE = 0                []                     Mark,             Any;
    R_ARM_PC24 = 1                [L + A - P]            Branch(&ARM_BRANCH), Signed(26);
    R_ARM_ABS32 = 2               [((S + A) | T)]        Data(4),          Any;
    R_ARM_REL32 = 3               [((S + A) | T) - P]    Data(4),          Any;
    R_ARM_LDR_PC_G0 = 4           [S + A - P]            Insn(&LDR_0),     Magnitude(12);
    R_ARM_ABS16 = 5               [S + A]                Data(2),          Either(16);
    R_ARM_ABS12 = 6               [S + A]                Insn(&LDR_0),     Magnitude(12);
    R_ARM_THM_ABS5 = 7            [S + A]                Half(&THUMB_LDR5), Unsigned(7);
    R_ARM_ABS8 = 8                [S + A]                Data(1),          Either(8);
    R_ARM_SBREL32 = 9             [((S + A) | T) - SB]   Data(4),          Any;
    R_ARM_THM_CALL = 10           [L + A - P]            Branch(&THUMB_CALL), Signed(25);
    R_ARM_THM_PC8 = 11            [S + A - Pa]           Half(&THUMB_LDR8), Unsigned(10);
    R_ARM_XPC25 = 15              [L + A - P]            Branch(&ARM_BRANCH), Signed(26);
    R_ARM_THM_XPC22 = 16          [L + A - P]            Branch(&THUMB_CALL), Signed(25);
    R_ARM_GOTOFF32 = 24           [((S + A) | T) - GOT]  Data(4),          Any;
    R_ARM_BASE_PREL = 25          [GOT + A - P]          Data(4),          Any;
    R_ARM_GOT_BREL = 26           [G + A]                Data(4),          Any;
    R_ARM_PLT32 = 27              [L + A - P]            Branch(&ARM_BRANCH), Signed(26);
    R_ARM_CALL = 28               [L + A - P]            Branch(&ARM_BRANCH), Signed(26);
    R_ARM_JUMP24 = 29             [L + A - P]            Branch(&ARM_BRANCH), Signed(26);
    R_ARM_THM_JUMP24 = 30         [L + A - P]            Branch(&THUMB_JUMP), Signed(25);
    R_ARM_TARGET1 = 38            [((S + A) | T)]        Data(4),          Any;
    R_ARM_V4BX = 40               []                     Mark,             Any;
    R_ARM_TARGET2 = 41            [G + GOT + A - P]      Data(4),          Any;
    R_ARM_PREL31 = 42             [L + A - P]            Insn(&WORD31),    Signed(31);
    R_ARM_MOVW_ABS_NC = 43        [((S + A) | T)]        Insn(&MOVW),      Any;
    R_ARM_MOVT_ABS = 44           [S + A]                Insn(&MOVT),      Any;
    R_ARM_MOVW_PREL_NC = 45       [((S + A) | T) - P]    Insn(&MOVW),      Any;
    R_ARM_MOVT_PREL = 46          [S + A - P]            Insn(&MOVT),      Any;
    R_ARM_THM_MOVW_ABS_NC = 47    [((S + A) | T)]        Insn(&THUMB_MOVW), Any;
    R_ARM_THM_MOVT_ABS = 48       [S + A]                Insn(&THUMB_MOVT), Any;
    R_ARM_THM_MOVW_PREL_NC = 49   [((S + A) | T) - P]    Insn(&THUMB_MOVW), Any;
    R_ARM_THM_MOVT_PREL = 50      [S + A - P]            Insn(&THUMB_MOVT), Any;
    R_ARM_THM_JUMP19 = 51         [L + A - P]            Branch(&THUMB_COND), Signed(21);
    R_ARM_THM_JUMP6 = 52          [((S + A) | T) - P]    Branch(&SHORT_ZERO), Unsigned(7);
    R_ARM_THM_ALU_PREL_11_0 = 53  [((S + A) | T) - Pa]   Insn(&THUMB_ADR), Magnitude(12);
    R_ARM_THM_PC12 = 54           [S + A - Pa]           Insn(&THUMB_LDR), Magnitude(12);
    R_ARM_ABS32_NOI = 55          [S + A]                Data(4),          Any;
    R_ARM_REL32_NOI = 56          [S + A - P]            Data(4),          Any;
    R_ARM_ALU_PC_G0_NC = 57       [((S + A) | T) - P]    Insn(&ADD_0),     Any;
    R_ARM_ALU_PC_G0 = 58          [((S + A) | T) - P]    Insn(&ADD_0),     Groups(1, 0);
    R_ARM_ALU_PC_G1_NC = 59       [((S + A) | T) - P]    Insn(&ADD_1),     Any;
    R_ARM_ALU_PC_G1 = 60          [((S + A) | T) - P]    Insn(&ADD_1),     Groups(2, 0);
    R_ARM_ALU_PC_G2 = 61          [((S + A) | T) - P]    Insn(&ADD_2),     Groups(3, 0);
    R_ARM_LDR_PC_G1 = 62          [S + A - P]            Insn(&LDR_1),     Groups(1, 12);
    R_ARM_LDR_PC_G2 = 63          [S + A - P]            Insn(&LDR_2),     Groups(2, 12);
    R_ARM_LDRS_PC_G0 = 64         [S + A - P]            Insn(&LDRS_0),    Groups(0, 8);
    R_ARM_LDRS_PC_G1 = 65         [S + A - P]            Insn(&LDRS_1),    Groups(1, 8);
    R_ARM_LDRS_PC_G2 = 66         [S + A - P]            Insn(&LDRS_2),    Groups(2, 8);
    R_ARM_LDC_PC_G0 = 67          [S + A - P]            Insn(&LDC_0),     Groups(0, 10);
    R_ARM_LDC_PC_G1 = 68          [S + A - P]            Insn(&LDC_1),     Groups(1, 10);
    R_ARM_LDC_PC_G2 = 69          [S + A - P]            Insn(&LDC_2),     Groups(2, 10);
    R_ARM_ALU_SB_G0_NC = 70       [((S + A) | T) - SB]   Insn(&ADD_0),     Any;
    R_ARM_ALU_SB_G0 = 71          [((S + A) | T) - SB]   Insn(&ADD_0),     Groups(1, 0);
    R_ARM_ALU_SB_G1_NC = 72       [((S + A) | T) - SB]   Insn(&ADD_1),     Any;
    R_ARM_ALU_SB_G1 = 73          [((S + A) | T) - SB]   Insn(&ADD_1),     Groups(2, 0);
    R_ARM_ALU_SB_G2 = 74          [((S + A) | T) - SB]   Insn(&ADD_2),     Groups(3, 0);
    R_ARM_LDR_SB_G0 = 75          [S + A - SB]           Insn(&LDR_0),     Groups(0, 12);
    R_ARM_LDR_SB_G1 = 76          [S + A - SB]           Insn(&LDR_1),     Groups(1, 12);
    R_ARM_LDR_SB_G2 = 77          [S + A - SB]           Insn(&LDR_2),     Groups(2, 12);
    R_ARM_LDRS_SB_G0 = 78         [S + A - SB]           Insn(&LDRS_0),    Groups(0, 8);
    R_ARM_LDRS_SB_G1 = 79         [S + A - SB]           Insn(&LDRS_1),    Groups(1, 8);
    R_ARM_LDRS_SB_G2 = 80         [S + A - SB]           Insn(&LDRS_2),    Groups(2, 8);
    R_ARM_LDC_SB_G0 = 81          [S + A - SB]           Insn(&LDC_0),     Groups(0, 10);
    R_ARM_LDC_SB_G1 = 82          [S + A - SB]           Insn(&LDC_1),     Groups(1, 10);
    R_ARM_LDC_SB_G2 = 83          [S + A - SB]           Insn(&LDC_2),     Groups(2, 10);
    R_ARM_MOVW_BREL_NC = 84       [((S + A) | T) - SB]   Insn(&MOVW),      Any;
    R_ARM_MOVT_BREL = 85          [S + A - SB]           Insn(&MOVT),      Any;
    R_ARM_MOVW_BREL = 86          [((S + A) | T) - SB]   Insn(&MOVW),      Unsigned(16);
    R_ARM_THM_MOVW_BREL_NC = 87   [((S + A) | T) - SB]   Insn(&THUMB_MOVW), Any;
    R_ARM_THM_MOVT_BREL = 88      [S + A - SB]           Insn(&THUMB_MOVT), Any;
    R_ARM_THM_MOVW_BREL = 89      [((S + A) | T) - SB]   Insn(&THUMB_MOVW), Unsigned(16);
    R_ARM_TLS_GOTDESC = 90        [TLSDESC + A - P]      Data(4),          Any, relax;
    R_ARM_TLS_CALL = 91           [TLSCALL]              Branch(&ARM_BRANCH), Signed(26);
    R_ARM_TLS_DESCSEQ = 92        [TLSCALL]              Insn(&SAME),      Any;
    R_ARM_THM_TLS_CALL = 93       [TLSCALL]              Branch(&THUMB_CALL), Signed(25);
    R_ARM_GOT_ABS = 95            [G + GOT + A]          Data(4),          Any;
    R_ARM_GOT_PREL = 96           [G + GOT + A - P]      Data(4),          Any;
    R_ARM_GOT_BREL12 = 97         [G + A]                Insn(&LDR_0),     Magnitude(12);
    R_ARM_GOTOFF12 = 98           [S + A - GOT]          Insn(&LDR_0),     Magnitude(12);
    R_ARM_GOTRELAX = 99           []                     Mark,             Any;
    R_ARM_GNU_VTENTRY = 100       []                     Mark,             Any;
    R_ARM_GNU_VTINHERIT = 101     []                     Mark,             Any;
    R_ARM_THM_JUMP11 = 102        [((S + A) | T) - P]    Branch(&SHORT_JUMP), Signed(12);
    R_ARM_THM_JUMP8 = 103         [((S + A) | T) - P]    Branch(&SHORT_COND), Signed(9);
    R_ARM_TLS_GD32 = 104          [TLSGD + A - P]        Data(4),          Any;
    R_ARM_TLS_LDM32 = 105         [TLSLD + A - P]        Data(4),          Any;
    R_ARM_TLS_LDO32 = 106         [DTPOFF + A]           Data(4),          Any;
    R_ARM_TLS_IE32 = 107          [GOTTPOFF + A - P]     Data(4),          Any;
    R_ARM_TLS_LE32 = 108          [TPOFF + A]            Data(4),          Any;
    R_ARM_TLS_LDO12 = 109         [DTPOFF + A]           Insn(&LDR_0),     Magnitude(12);
    R_ARM_TLS_LE12 = 110          [TPOFF + A]            Insn(&LDR_0),     Magnitude(12);
    R_ARM_TLS_IE12GP = 111        [GOTTPOFF + A - GOT]   Insn(&LDR_0),     Magnitude(12);
    R_ARM_THM_TLS_DESCSEQ16 = 129 [TLSCALL]              Half(&SAME),      Any;
    R_ARM_THM_TLS_DESCSEQ32 = 130 [TLSCALL]              Insn(&SAME),      Any;
    R_ARM_THM_GOT_BREL12 = 131    [G + A]                Insn(&THUMB_LDR), Magnitude(12);
    R_ARM_THM_ALU_ABS_G0_NC = 132 [((S + A) | T)]        Half(&BYTE_0),    Any;
    R_ARM_THM_ALU_ABS_G1_NC = 133 [S + A]                Half(&BYTE_1),    Any;
    R_ARM_THM_ALU_ABS_G2_NC = 134 [S + A]                Half(&BYTE_2),    Any;
    R_ARM_THM_ALU_ABS_G3 = 135    [S + A]                Half(&BYTE_3),    Any;
}

/// The branches that may go through a thunk: the shorter ones can't reach any.
const BRANCHES: &[u32] = &[
    R_ARM_PC24,
    R_ARM_XPC25,
    R_ARM_PLT32,
    R_ARM_CALL,
    R_ARM_JUMP24,
    R_ARM_THM_CALL,
    R_ARM_THM_XPC22,
    R_ARM_THM_JUMP24,
    R_ARM_THM_JUMP19,
];

/// What unwinds code: ordered as it is.
pub const SHT_ARM_EXIDX: u32 = 0x7000_0001;
/// What the code needs of the processor and of its callers.
pub const SHT_ARM_ATTRIBUTES: u32 = 0x7000_0003;

/// As the Go linker has it: `ldr r0, [pc, #4]; add r0, pc, r0; b; .word`. When it adds, the program counter is the
/// word's own address.
const MODULE_INIT: ModuleInit = ModuleInit {
    code: &[0x04, 0x00, 0x9f, 0xe5, 0x00, 0x00, 0x8f, 0xe0, 0xfe, 0xff, 0xff, 0xea, 0, 0, 0, 0],
    align: 4,
    data: &[InitField { offset: 12, kind: R_ARM_REL32, addend: 0 }],
    call: InitField { offset: 8, kind: R_ARM_JUMP24, addend: -8 },
    marks: &[(0, "$a"), (12, "$d")],
    text: &["ldr r0, [pc, #4]", "add r0, pc, r0", "b   runtime.addmoduledata", ".word DATA - ."],
};

/// The machine.
pub const ARM: Arch = Arch {
    name: "arm",
    machine: 40,
    emulation: "armelf_linux_eabi",
    format: "elf32-littlearm",
    class: Class::Elf32,
    explicit_addends: false,
    page: 0x1_0000,
    base: 0x1_0000,
    section_kind: |kind| kind,
    commons: &[],
    large: 0,
    properties: Properties { merge: |_| None, feature: 0, marked: 0, returns: 0, isa: None },
    variant: None,
    thread_pointer: ThreadPointer::Before(8),
    base_is_got_plt: false,
    dynamic: DynTypes {
        word: R_ARM_ABS32,
        relative: 23,
        glob_dat: 21,
        jump_slot: 22,
        copy: 20,
        irelative: 160,
        dtpmod: 17,
        dtpoff: 18,
        tpoff: 19,
        tlsdesc: 13,
    },
    plt: Plt { header: 32, reserved: 3 },
    plt_marks: &[(0, "$a"), (16, "$d"), (32, "$a")],
    interp: "/lib/ld-linux-armhf.so.3",
    no_addend: 0,
    errata: &[],
    // Nothing is a no-op of both instruction sets.
    nop: &[0],
    attributes: Some(Attributes {
        name: ".ARM.attributes",
        kind: SHT_ARM_ATTRIBUTES,
        merge: attributes::merged,
    }),
    index: Some(Index {
        name: ".ARM.exidx",
        kind: SHT_ARM_EXIDX,
        segment: 0x7000_0001,
        bounds: ["__exidx_start", "__exidx_end"],
    }),
    thunks: Some(Thunks {
        stubs: thunks::STUBS,
        reach: 1 << 20,
        kinds: BRANCHES,
        stub: |own, _| own as u8,
    }),
    irelative_with_jumps: false,
    two_states: true,
    rewrites_ld: false,
    module_init: MODULE_INIT,
    chosen: Some(chosen),
    rows: ROWS,
    plt_header,
    plt_entries: |_, _| &ENTRIES,
    // `add r0, lr, r0; ldr r1, [r0, #4]; bx r1`
    desc_call: &[0xe08e_0000, 0xe590_1004, 0xe12f_ff11, TRAP],
    desc_argument: 0,
    can_relax: relax::can,
    relax: relax::rewrite,
    relaxed: relax::rewritten,
};

/// The machine with what AAELF32 leaves to the platform (§5.6.1.5, §5.6.1.3) read as asked.
fn chosen(choices: Choices) -> &'static Arch {
    static MADE: Mutex<Vec<(Choices, &'static Arch)>> = Mutex::new(Vec::new());
    if choices == Choices::default() {
        return &ARM;
    }
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(&(_, arch)) = made.iter().find(|(of, _)| *of == choices) {
        return arch;
    }
    let mut rows = ROWS.to_vec();
    let reading = |kind: u32, reading: Reading| {
        let like = match reading {
            Reading::Platform => kind,
            Reading::Absolute => R_ARM_ABS32,
            Reading::Relative => R_ARM_REL32,
            Reading::Got => R_ARM_GOT_PREL,
        };
        let name = ARM.row(kind).map_or("", |row| row.name);
        ARM.row(like).map(|row| Row { name, ..*row })
    };
    rows[R_ARM_TARGET1 as usize] = reading(R_ARM_TARGET1, choices.target1);
    rows[R_ARM_TARGET2 as usize] = reading(R_ARM_TARGET2, choices.target2);
    if choices.no_bx
        && let Some(row) = &mut rows[R_ARM_V4BX as usize]
    {
        // It has no symbol, so any value would do.
        (row.what, row.field) = (What::Size, Field::Insn(&BX_TO_MOV));
    }
    // As many as there are choices, whatever the number of links.
    let arch = Box::leak(Box::new(Arch { rows: rows.leak(), ..ARM }));
    made.push((choices, arch));
    arch
}

static ENTRIES: PltEntries = PltEntries {
    size: 16,
    lazy: |buf, at, slot, _, _| plt_eager(buf, at, slot),
    eager: plt_eager,
    first: |_, header| header,
    tags: &[],
};

fn put_all<const N: usize>(buf: &mut [u8], words: [u32; N]) {
    for (slot, word) in buf.chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
}

/// What no processor runs.
const TRAP: u32 = 0xd4d4_d4d4;

/// `str lr, [sp, #-4]!; ldr lr, [pc, #4]; add lr, pc, lr; ldr pc, [lr, #8]!; .word GOT - .`
fn plt_header(buf: &mut [u8], at: u64, got: u64) {
    let distance = (got as u32).wrapping_sub(at as u32 + 16);
    let code = [0xe52d_e004, 0xe59f_e004, 0xe08f_e00e, 0xe5be_f008, distance];
    put_all(buf, [code[0], code[1], code[2], code[3], code[4], TRAP, TRAP, TRAP]);
}

/// `add ip, pc, #...; add ip, ip, #...; ldr pc, [ip, #...]!`, with one more `add` beyond 256 MiB.
fn plt_eager(buf: &mut [u8], at: u64, slot: u64) {
    let v = (slot as u32).wrapping_sub(at as u32 + 8);
    let load = 0xe5bc_f000 | v & 0xfff;
    let middle = 0xe28c_ca00 | v >> 12 & 0xff;
    let words = match v >> 28 {
        0 => [0xe28f_c600 | v >> 20 & 0xff, middle, load, TRAP],
        far => [0xe28f_c200 | far, 0xe28c_c600 | v >> 20 & 0xff, middle, load],
    };
    put_all(buf, words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_plt_reaches_everything() {
        let mut buf = [0; 16];
        plt_eager(&mut buf, 0x1_0000, 0x234_5680);
        let words: Vec<u32> =
            buf.chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect();
        // 0x234_5680 - 0x1_0008 = 0x233_5678.
        assert_eq!(words, [0xe28f_c623, 0xe28c_ca35, 0xe5bc_f678, TRAP]);
        plt_eager(&mut buf, 0x2000_0000, 0x1000_0008);
        assert_eq!(u32::from_le_bytes(buf[..4].try_into().unwrap()), 0xe28f_c20f);
    }
}
