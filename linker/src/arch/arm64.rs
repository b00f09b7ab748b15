//! arm64: every instruction is four bytes, addresses are made of a page (`adrp`) and the rest.
//!
//! Rows follow AAELF64 §5.7 (2023Q3), the PLT is its examples' (§9). The thread pointer is before the
//! block of thread-locals, behind two words of the C library's (variant I). A call reaches ±128 MiB.

pub(crate) mod fields;
mod plt;
mod relax;
mod stubs;

use super::{Arch, DynTypes, InitField, Merge, ModuleInit, Plt, Properties, ThreadPointer, rows};
use crate::format::elf::class::Class;
use fields::*;

rows! {
    R_AARCH64_NONE = 0                     []                              Mark,          Any;
    R_AARCH64_WITHDRAWN = 256              []                              Mark,          Any;
    R_AARCH64_ABS64 = 257                  [S + A]                         Data(8),       Any;
    R_AARCH64_ABS32 = 258                  [S + A]                         Data(4),       Either(32);
    R_AARCH64_ABS16 = 259                  [S + A]                         Data(2),       Either(16);
    R_AARCH64_PREL64 = 260                 [S + A - P]                     Data(8),       Any;
    R_AARCH64_PREL32 = 261                 [S + A - P]                     Data(4),       Either(32);
    R_AARCH64_PREL16 = 262                 [S + A - P]                     Data(2),       Either(16);
    R_AARCH64_MOVW_UABS_G0 = 263           [S + A]                         Insn(&MOVW_0), Unsigned(16);
    R_AARCH64_MOVW_UABS_G0_NC = 264        [S + A]                         Insn(&MOVW_0), Any;
    R_AARCH64_MOVW_UABS_G1 = 265           [S + A]                         Insn(&MOVW_1), Unsigned(32);
    R_AARCH64_MOVW_UABS_G1_NC = 266        [S + A]                         Insn(&MOVW_1), Any;
    R_AARCH64_MOVW_UABS_G2 = 267           [S + A]                         Insn(&MOVW_2), Unsigned(48);
    R_AARCH64_MOVW_UABS_G2_NC = 268        [S + A]                         Insn(&MOVW_2), Any;
    R_AARCH64_MOVW_UABS_G3 = 269           [S + A]                         Insn(&MOVW_3), Any;
    R_AARCH64_MOVW_SABS_G0 = 270           [S + A]                         Insn(&MOVNZ_0), Signed(17);
    R_AARCH64_MOVW_SABS_G1 = 271           [S + A]                         Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_MOVW_SABS_G2 = 272           [S + A]                         Insn(&MOVNZ_2), Signed(49);
    R_AARCH64_LD_PREL_LO19 = 273           [S + A - P]                     Insn(&IMM19),  Signed(21);
    R_AARCH64_ADR_PREL_LO21 = 274          [S + A - P]                     Insn(&ADR),    Signed(21);
    R_AARCH64_ADR_PREL_PG_HI21 = 275       [Page(S + A) - Page(P)]         Insn(&ADRP),   Signed(33);
    R_AARCH64_ADR_PREL_PG_HI21_NC = 276    [Page(S + A) - Page(P)]         Insn(&ADRP),   Any;
    R_AARCH64_ADD_ABS_LO12_NC = 277        [Lo(S + A)]                     Insn(&LO12),   Any;
    R_AARCH64_LDST8_ABS_LO12_NC = 278      [Lo(S + A)]                     Insn(&LO12),   Any;
    R_AARCH64_TSTBR14 = 279                [L + A - P]                     Insn(&IMM14),  Signed(16);
    R_AARCH64_CONDBR19 = 280               [L + A - P]                     Insn(&IMM19),  Signed(21);
    R_AARCH64_JUMP26 = 282                 [L + A - P]                     Insn(&IMM26),  Signed(28);
    R_AARCH64_CALL26 = 283                 [L + A - P]                     Insn(&IMM26),  Signed(28);
    R_AARCH64_LDST16_ABS_LO12_NC = 284     [Lo(S + A)]                     Insn(&LO12_2), Any;
    R_AARCH64_LDST32_ABS_LO12_NC = 285     [Lo(S + A)]                     Insn(&LO12_4), Any;
    R_AARCH64_LDST64_ABS_LO12_NC = 286     [Lo(S + A)]                     Insn(&LO12_8), Any;
    R_AARCH64_MOVW_PREL_G0 = 287           [S + A - P]                     Insn(&MOVNZ_0), Signed(17);
    R_AARCH64_MOVW_PREL_G0_NC = 288        [S + A - P]                     Insn(&MOVW_0), Any;
    R_AARCH64_MOVW_PREL_G1 = 289           [S + A - P]                     Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_MOVW_PREL_G1_NC = 290        [S + A - P]                     Insn(&MOVW_1), Any;
    R_AARCH64_MOVW_PREL_G2 = 291           [S + A - P]                     Insn(&MOVNZ_2), Signed(49);
    R_AARCH64_MOVW_PREL_G2_NC = 292        [S + A - P]                     Insn(&MOVW_2), Any;
    R_AARCH64_MOVW_PREL_G3 = 293           [S + A - P]                     Insn(&MOVNZ_3), Any;
    R_AARCH64_LDST128_ABS_LO12_NC = 299    [Lo(S + A)]                     Insn(&LO12_16), Any;
    R_AARCH64_MOVW_GOTOFF_G0 = 300         [G + A]                         Insn(&MOVNZ_0), Signed(17);
    R_AARCH64_MOVW_GOTOFF_G0_NC = 301      [G + A]                         Insn(&MOVW_0), Any;
    R_AARCH64_MOVW_GOTOFF_G1 = 302         [G + A]                         Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_MOVW_GOTOFF_G1_NC = 303      [G + A]                         Insn(&MOVW_1), Any;
    R_AARCH64_MOVW_GOTOFF_G2 = 304         [G + A]                         Insn(&MOVNZ_2), Signed(49);
    R_AARCH64_MOVW_GOTOFF_G2_NC = 305      [G + A]                         Insn(&MOVW_2), Any;
    R_AARCH64_MOVW_GOTOFF_G3 = 306         [G + A]                         Insn(&MOVNZ_3), Any;
    R_AARCH64_GOTREL64 = 307               [S + A - GOT]                   Data(8),       Any;
    R_AARCH64_GOTREL32 = 308               [S + A - GOT]                   Data(4),       Signed(32);
    R_AARCH64_GOT_LD_PREL19 = 309          [G + GOT + A - P]               Insn(&IMM19),  Signed(21);
    R_AARCH64_LD64_GOTOFF_LO15 = 310       [G + A]                         Insn(&LO15),   Unsigned(15);
    R_AARCH64_ADR_GOT_PAGE = 311           [Page(G + A) - Page(P)]         Insn(&ADRP),   Signed(33), relax;
    R_AARCH64_LD64_GOT_LO12_NC = 312       [Lo(G + A)]                     Insn(&LO12_8), Any, relax;
    R_AARCH64_LD64_GOTPAGE_LO15 = 313      [G + A - Page(GOT)]             Insn(&LO15),   Unsigned(15);
    R_AARCH64_PLT32 = 314                  [L + A - P]                     Data(4),       Signed(32);
    R_AARCH64_GOTPCREL32 = 315             [G + GOT + A - P]               Data(4),       Signed(32);
    R_AARCH64_TLSGD_ADR_PREL21 = 512       [TLSGD + A - P]                 Insn(&ADR),    Signed(21);
    R_AARCH64_TLSGD_ADR_PAGE21 = 513       [Page(TLSGD + A) - Page(P)]     Insn(&ADRP),   Signed(33);
    R_AARCH64_TLSGD_ADD_LO12_NC = 514      [Lo(TLSGD + A)]                 Insn(&LO12),   Any;
    R_AARCH64_TLSGD_MOVW_G1 = 515          [TLSGD + A - GOT]               Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_TLSGD_MOVW_G0_NC = 516       [TLSGD + A - GOT]               Insn(&MOVW_0), Any;
    R_AARCH64_TLSLD_ADR_PREL21 = 517       [TLSLD + A - P]                 Insn(&ADR),    Signed(21);
    R_AARCH64_TLSLD_ADR_PAGE21 = 518       [Page(TLSLD + A) - Page(P)]     Insn(&ADRP),   Signed(33);
    R_AARCH64_TLSLD_ADD_LO12_NC = 519      [Lo(TLSLD + A)]                 Insn(&LO12),   Any;
    R_AARCH64_TLSLD_MOVW_G1 = 520          [TLSLD + A - GOT]               Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_TLSLD_MOVW_G0_NC = 521       [TLSLD + A - GOT]               Insn(&MOVW_0), Any;
    R_AARCH64_TLSLD_LD_PREL19 = 522        [TLSLD + A - P]                 Insn(&IMM19),  Signed(21);
    R_AARCH64_TLSLD_MOVW_DTPREL_G2 = 523   [DTPOFF + A]                    Insn(&MOVNZ_2), Signed(49);
    R_AARCH64_TLSLD_MOVW_DTPREL_G1 = 524   [DTPOFF + A]                    Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC = 525 [DTPOFF + A]                   Insn(&MOVW_1), Any;
    R_AARCH64_TLSLD_MOVW_DTPREL_G0 = 526   [DTPOFF + A]                    Insn(&MOVNZ_0), Signed(17);
    R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC = 527 [DTPOFF + A]                   Insn(&MOVW_0), Any;
    R_AARCH64_TLSLD_ADD_DTPREL_HI12 = 528  [DTPOFF + A]                    Insn(&HI12),   Unsigned(24);
    R_AARCH64_TLSLD_ADD_DTPREL_LO12 = 529  [DTPOFF + A]                    Insn(&LO12),   Unsigned(12);
    R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC = 530 [DTPOFF + A]                  Insn(&LO12),   Any;
    R_AARCH64_TLSLD_LDST8_DTPREL_LO12 = 531 [DTPOFF + A]                   Insn(&LO12),   Unsigned(12);
    R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC = 532 [DTPOFF + A]                Insn(&LO12),   Any;
    R_AARCH64_TLSLD_LDST16_DTPREL_LO12 = 533 [DTPOFF + A]                  Insn(&LO12_2), Unsigned(12);
    R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC = 534 [DTPOFF + A]               Insn(&LO12_2), Any;
    R_AARCH64_TLSLD_LDST32_DTPREL_LO12 = 535 [DTPOFF + A]                  Insn(&LO12_4), Unsigned(12);
    R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC = 536 [DTPOFF + A]               Insn(&LO12_4), Any;
    R_AARCH64_TLSLD_LDST64_DTPREL_LO12 = 537 [DTPOFF + A]                  Insn(&LO12_8), Unsigned(12);
    R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC = 538 [DTPOFF + A]               Insn(&LO12_8), Any;
    R_AARCH64_TLSIE_MOVW_GOTTPREL_G1 = 539 [GOTTPOFF + A - GOT]            Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_TLSIE_MOVW_GOTTPREL_G0_NC = 540 [GOTTPOFF + A - GOT]         Insn(&MOVW_0), Any;
    R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21 = 541 [Page(GOTTPOFF + A) - Page(P)] Insn(&ADRP), Signed(33);
    R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC = 542 [Lo(GOTTPOFF + A)]         Insn(&LO12_8), Any;
    R_AARCH64_TLSIE_LD_GOTTPREL_PREL19 = 543 [GOTTPOFF + A - P]            Insn(&IMM19),  Signed(21);
    R_AARCH64_TLSLE_MOVW_TPREL_G2 = 544    [TPOFF + A]                     Insn(&MOVNZ_2), Signed(49);
    R_AARCH64_TLSLE_MOVW_TPREL_G1 = 545    [TPOFF + A]                     Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_TLSLE_MOVW_TPREL_G1_NC = 546 [TPOFF + A]                     Insn(&MOVW_1), Any;
    R_AARCH64_TLSLE_MOVW_TPREL_G0 = 547    [TPOFF + A]                     Insn(&MOVNZ_0), Signed(17);
    R_AARCH64_TLSLE_MOVW_TPREL_G0_NC = 548 [TPOFF + A]                     Insn(&MOVW_0), Any;
    R_AARCH64_TLSLE_ADD_TPREL_HI12 = 549   [TPOFF + A]                     Insn(&HI12),   Unsigned(24);
    R_AARCH64_TLSLE_ADD_TPREL_LO12 = 550   [TPOFF + A]                     Insn(&LO12),   Unsigned(12);
    R_AARCH64_TLSLE_ADD_TPREL_LO12_NC = 551 [TPOFF + A]                    Insn(&LO12),   Any;
    R_AARCH64_TLSLE_LDST8_TPREL_LO12 = 552 [TPOFF + A]                     Insn(&LO12),   Unsigned(12);
    R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC = 553 [TPOFF + A]                  Insn(&LO12),   Any;
    R_AARCH64_TLSLE_LDST16_TPREL_LO12 = 554 [TPOFF + A]                    Insn(&LO12_2), Unsigned(12);
    R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC = 555 [TPOFF + A]                 Insn(&LO12_2), Any;
    R_AARCH64_TLSLE_LDST32_TPREL_LO12 = 556 [TPOFF + A]                    Insn(&LO12_4), Unsigned(12);
    R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC = 557 [TPOFF + A]                 Insn(&LO12_4), Any;
    R_AARCH64_TLSLE_LDST64_TPREL_LO12 = 558 [TPOFF + A]                    Insn(&LO12_8), Unsigned(12);
    R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC = 559 [TPOFF + A]                 Insn(&LO12_8), Any;
    R_AARCH64_TLSDESC_LD_PREL19 = 560      [TLSDESC + A - P]               Insn(&IMM19),  Signed(21), relax;
    R_AARCH64_TLSDESC_ADR_PREL21 = 561     [TLSDESC + A - P]               Insn(&ADR),    Signed(21), relax;
    R_AARCH64_TLSDESC_ADR_PAGE21 = 562     [Page(TLSDESC + A) - Page(P)]   Insn(&ADRP),   Signed(33), relax;
    R_AARCH64_TLSDESC_LD64_LO12 = 563      [Lo(TLSDESC + A)]               Insn(&LO12_8), Any, relax;
    R_AARCH64_TLSDESC_ADD_LO12 = 564       [Lo(TLSDESC + A)]               Insn(&LO12),   Any, relax;
    R_AARCH64_TLSDESC_OFF_G1 = 565         [TLSDESC + A - GOT]             Insn(&MOVNZ_1), Signed(33);
    R_AARCH64_TLSDESC_OFF_G0_NC = 566      [TLSDESC + A - GOT]             Insn(&MOVW_0), Any;
    R_AARCH64_TLSDESC_LDR = 567            []                              Mark,          Any;
    R_AARCH64_TLSDESC_ADD = 568            []                              Mark,          Any;
    R_AARCH64_TLSDESC_CALL = 569           [TLSCALL]                       Mark,          Any;
    R_AARCH64_TLSLE_LDST128_TPREL_LO12 = 570 [TPOFF + A]                   Insn(&LO12_16), Unsigned(12);
    R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC = 571 [TPOFF + A]                Insn(&LO12_16), Any;
    R_AARCH64_TLSLD_LDST128_DTPREL_LO12 = 572 [DTPOFF + A]                 Insn(&LO12_16), Unsigned(12);
    R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC = 573 [DTPOFF + A]              Insn(&LO12_16), Any;
}

/// As the Go linker has it: `adrp x0; add x0, x0; b`.
const MODULE_INIT: ModuleInit = ModuleInit {
    code: &[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14],
    align: 16,
    data: &[
        InitField { offset: 0, kind: R_AARCH64_ADR_PREL_PG_HI21, addend: 0 },
        InitField { offset: 4, kind: R_AARCH64_ADD_ABS_LO12_NC, addend: 0 },
    ],
    call: InitField { offset: 8, kind: R_AARCH64_CALL26, addend: 0 },
    marks: &[(0, "$x")],
    text: &["adrp x0, DATA", "add  x0, x0, :lo12:DATA", "b    runtime.addmoduledata"],
};

/// The machine.
pub const ARM64: Arch = Arch {
    name: "arm64",
    machine: 183,
    emulation: "aarch64linux",
    format: "elf64-littleaarch64",
    class: Class::Elf64,
    explicit_addends: true,
    page: 0x1_0000,
    base: 0x40_0000,
    section_kind: |kind| kind,
    commons: &[],
    large: 0,
    properties: Properties {
        // GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI, PAC, GCS.
        merge: |kind| (kind == 0xc000_0000).then_some(Merge::And),
        feature: 0xc000_0000,
        marked: 1,
        returns: 4,
        isa: None,
    },
    // STO_AARCH64_VARIANT_PCS, DT_AARCH64_VARIANT_PCS.
    variant: Some((0x80, 0x7000_0005)),
    thread_pointer: ThreadPointer::Before(16),
    base_is_got_plt: false,
    dynamic: DynTypes {
        word: 257,
        relative: 1027,
        glob_dat: 1025,
        jump_slot: 1026,
        copy: 1024,
        irelative: 1032,
        dtpmod: 1028,
        dtpoff: 1029,
        tpoff: 1030,
        tlsdesc: 1031,
    },
    plt: Plt { header: 32, reserved: 3 },
    plt_marks: &[(0, "$x")],
    interp: "/lib/ld-linux-aarch64.so.1",
    no_addend: 0,
    errata: stubs::ERRATA,
    nop: &NOP.to_le_bytes(),
    attributes: None,
    index: None,
    thunks: Some(stubs::THUNKS),
    irelative_with_jumps: true,
    two_states: false,
    rewrites_ld: false,
    module_init: MODULE_INIT,
    chosen: None,
    rows: ROWS,
    plt_header: plt::header,
    plt_entries: plt::entries,
    desc_call: &[],
    desc_argument: 1,
    can_relax: relax::can,
    relax: relax::rewrite,
    relaxed: relax::rewritten,
};

const NOP: u32 = 0xd503_201f;

/// Writes instructions, then no-ops up to the end.
fn put_all(buf: &mut [u8], insns: impl IntoIterator<Item = u32>) {
    let padded = insns.into_iter().chain(std::iter::repeat(NOP));
    for (out, insn) in buf.chunks_exact_mut(4).zip(padded) {
        out.copy_from_slice(&insn.to_le_bytes());
    }
}
