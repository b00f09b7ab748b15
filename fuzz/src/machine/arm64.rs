//! AArch64: its relocations as AAELF64 tells them, what linkers may rewrite around them, code.
//!
//! Instructions are words, so a field is some bits of one; an address takes two instructions or four, each
//! with a relocation for its part. Branches reach 128 MiB, and further by thunks. The rows are the judge's
//! own; they must not know the linker's.
//! Spec: AAELF64 2024Q3 §5.7.

mod code;

use scold_diff::request::Arch;

use super::rows::{any, data, either, insn, part, rows, signed, unsigned};
use super::{Machine, Piece};

/// The machine.
pub static MACHINE: Machine = Machine {
    arch: Arch::Arm64,
    rows: ROWS,
    word: 8,
    rela: true,
    pointer: R_AARCH64_ABS64,
    init: R_AARCH64_ABS64,
    distance: R_AARCH64_PREL32,
    tls_call: 12,
    // AAELF64 §5.6.1, "Weak references".
    null_is_here: true,
    interworks: false,
    tcb: Some(16),
    words: &[
        R_AARCH64_ABS64,
        R_AARCH64_ABS64,
        R_AARCH64_ABS64,
        R_AARCH64_PREL32,
        R_AARCH64_PREL64,
        R_AARCH64_ABS32,
    ],
    rare_words: &[R_AARCH64_PLT32, R_AARCH64_GOTPCREL32],
    narrow: &[(2, R_AARCH64_PREL16, R_AARCH64_ABS16)],
    got_base: R_AARCH64_PREL32,
    sweep: code::SWEEP,
    code: code::CODE,
    // 4, -8, x30.
    factors: &[4, 0x78, 30],
    // DW_CFA_def_cfa sp, 0.
    frame: &[0x0c, 31, 0],
    loader: ("ld-linux-aarch64.so.1", "GLIBC_2.17"),
    rewritable,
    rare_sequence: |_, _, _| false,
};

rows! {
    /// Spec: AAELF64 §5.7.5 to §5.7.12.
    ROWS:
    R_AARCH64_NONE = 0, Nothing, data(0), any();
    R_AARCH64_NULL = 256, Nothing, data(0), any();
    R_AARCH64_ABS64 = 257, Absolute, data(8), any();
    R_AARCH64_ABS32 = 258, Absolute, data(4), either(32);
    R_AARCH64_ABS16 = 259, Absolute, data(2), either(16), rare;
    R_AARCH64_PREL64 = 260, Relative, data(8), any();
    R_AARCH64_PREL32 = 261, Relative, data(4), either(32).disputed();
    R_AARCH64_PREL16 = 262, Relative, data(2), either(16).disputed();
    R_AARCH64_MOVW_UABS_G0 = 263, Absolute, insn(0x001f_ffe0), unsigned(16);
    R_AARCH64_MOVW_UABS_G0_NC = 264, Absolute, insn(0x001f_ffe0), part(16);
    R_AARCH64_MOVW_UABS_G1 = 265, Absolute, insn(0x001f_ffe0), unsigned(32).from(16);
    R_AARCH64_MOVW_UABS_G1_NC = 266, Absolute, insn(0x001f_ffe0), part(16).from(16);
    R_AARCH64_MOVW_UABS_G2 = 267, Absolute, insn(0x001f_ffe0), unsigned(48).from(32);
    R_AARCH64_MOVW_UABS_G2_NC = 268, Absolute, insn(0x001f_ffe0), part(16).from(32);
    R_AARCH64_MOVW_UABS_G3 = 269, Absolute, insn(0x001f_ffe0), part(16).from(48);
    R_AARCH64_MOVW_SABS_G0 = 270, Absolute, insn(0x001f_ffe0), signed(17), rare;
    R_AARCH64_MOVW_SABS_G1 = 271, Absolute, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_MOVW_SABS_G2 = 272, Absolute, insn(0x001f_ffe0), signed(49).from(32), rare;
    R_AARCH64_LD_PREL_LO19 = 273, Relative, insn(0x00ff_ffe0), signed(21).aligned(4).from(2);
    R_AARCH64_ADR_PREL_LO21 = 274, Relative, insn(0x60ff_ffe0), signed(21);
    R_AARCH64_ADR_PREL_PG_HI21 = 275, Page, insn(0x60ff_ffe0), signed(33).from(12);
    R_AARCH64_ADR_PREL_PG_HI21_NC = 276, Page, insn(0x60ff_ffe0), part(21).from(12);
    R_AARCH64_ADD_ABS_LO12_NC = 277, Low, insn(0x003f_fc00), part(12);
    R_AARCH64_LDST8_ABS_LO12_NC = 278, Low, insn(0x003f_fc00), part(12);
    R_AARCH64_TSTBR14 = 279, Branch, insn(0x0007_ffe0), signed(16).aligned(4).from(2), rare;
    R_AARCH64_CONDBR19 = 280, Branch, insn(0x00ff_ffe0), signed(21).aligned(4).from(2);
    R_AARCH64_JUMP26 = 282, Call, insn(0x03ff_ffff), signed(28).aligned(4).from(2).extended();
    R_AARCH64_CALL26 = 283, Call, insn(0x03ff_ffff), signed(28).aligned(4).from(2).extended();
    R_AARCH64_LDST16_ABS_LO12_NC = 284, Low, insn(0x003f_fc00), part(12).aligned(2).from(1);
    R_AARCH64_LDST32_ABS_LO12_NC = 285, Low, insn(0x003f_fc00), part(12).aligned(4).from(2);
    R_AARCH64_LDST64_ABS_LO12_NC = 286, Low, insn(0x003f_fc00), part(12).aligned(8).from(3);
    R_AARCH64_MOVW_PREL_G0 = 287, Relative, insn(0x001f_ffe0), signed(17), rare;
    R_AARCH64_MOVW_PREL_G0_NC = 288, Relative, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_MOVW_PREL_G1 = 289, Relative, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_MOVW_PREL_G1_NC = 290, Relative, insn(0x001f_ffe0), part(16).from(16), rare;
    R_AARCH64_MOVW_PREL_G2 = 291, Relative, insn(0x001f_ffe0), signed(49).from(32), rare;
    R_AARCH64_MOVW_PREL_G2_NC = 292, Relative, insn(0x001f_ffe0), part(16).from(32), rare;
    R_AARCH64_MOVW_PREL_G3 = 293, Relative, insn(0x001f_ffe0), part(16).from(48), rare;
    R_AARCH64_LDST128_ABS_LO12_NC = 299, Low, insn(0x003f_fc00), part(12).aligned(16).from(4);
    R_AARCH64_MOVW_GOTOFF_G0 = 300, GotOffset, insn(0x001f_ffe0), signed(17), rare;
    R_AARCH64_MOVW_GOTOFF_G0_NC = 301, GotOffset, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_MOVW_GOTOFF_G1 = 302, GotOffset, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_MOVW_GOTOFF_G1_NC = 303, GotOffset, insn(0x001f_ffe0), part(16).from(16), rare;
    R_AARCH64_MOVW_GOTOFF_G2 = 304, GotOffset, insn(0x001f_ffe0), signed(49).from(32), rare;
    R_AARCH64_MOVW_GOTOFF_G2_NC = 305, GotOffset, insn(0x001f_ffe0), part(16).from(32), rare;
    R_AARCH64_MOVW_GOTOFF_G3 = 306, GotOffset, insn(0x001f_ffe0), part(16).from(48), rare;
    R_AARCH64_GOTREL64 = 307, FromGot, data(8), any(), rare;
    R_AARCH64_GOTREL32 = 308, FromGot, data(4), signed(32), rare;
    R_AARCH64_GOT_LD_PREL19 = 309, Got, insn(0x00ff_ffe0), signed(21).from(2);
    R_AARCH64_LD64_GOTOFF_LO15 = 310, GotOffset, insn(0x003f_fc00), unsigned(15).aligned(8).from(3), rare;
    R_AARCH64_ADR_GOT_PAGE = 311, Got, insn(0x60ff_ffe0), signed(33).from(12);
    R_AARCH64_LD64_GOT_LO12_NC = 312, Got, insn(0x003f_fc00), part(12).from(3);
    R_AARCH64_LD64_GOTPAGE_LO15 = 313, GotOffset, insn(0x003f_fc00), unsigned(15).aligned(8).from(3), rare;
    R_AARCH64_PLT32 = 314, Call, data(4), signed(32);
    R_AARCH64_GOTPCREL32 = 315, Got, data(4), signed(32), rare;
    R_AARCH64_TLSGD_ADR_PREL21 = 512, TlsDynamic, insn(0x60ff_ffe0), signed(21), rare;
    R_AARCH64_TLSGD_ADR_PAGE21 = 513, TlsDynamic, insn(0x60ff_ffe0), signed(33).from(12), rare;
    R_AARCH64_TLSGD_ADD_LO12_NC = 514, TlsDynamic, insn(0x003f_fc00), part(12), rare;
    R_AARCH64_TLSGD_MOVW_G1 = 515, TlsDynamic, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_TLSGD_MOVW_G0_NC = 516, TlsDynamic, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_TLSLD_ADR_PREL21 = 517, TlsModule, insn(0x60ff_ffe0), signed(21), rare;
    R_AARCH64_TLSLD_ADR_PAGE21 = 518, TlsModule, insn(0x60ff_ffe0), signed(33).from(12), rare;
    R_AARCH64_TLSLD_ADD_LO12_NC = 519, TlsModule, insn(0x003f_fc00), part(12), rare;
    R_AARCH64_TLSLD_MOVW_G1 = 520, TlsModule, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_TLSLD_MOVW_G0_NC = 521, TlsModule, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_TLSLD_LD_PREL19 = 522, TlsModule, insn(0x00ff_ffe0), signed(21).from(2), rare;
    R_AARCH64_TLSLD_MOVW_DTPREL_G2 = 523, DtpOffset, insn(0x001f_ffe0), signed(49).from(32), rare;
    R_AARCH64_TLSLD_MOVW_DTPREL_G1 = 524, DtpOffset, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC = 525, DtpOffset, insn(0x001f_ffe0), part(16).from(16), rare;
    R_AARCH64_TLSLD_MOVW_DTPREL_G0 = 526, DtpOffset, insn(0x001f_ffe0), signed(17), rare;
    R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC = 527, DtpOffset, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_TLSLD_ADD_DTPREL_HI12 = 528, DtpOffset, insn(0x003f_fc00), unsigned(24).from(12), rare;
    R_AARCH64_TLSLD_ADD_DTPREL_LO12 = 529, DtpOffset, insn(0x003f_fc00), unsigned(12), rare;
    R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC = 530, DtpOffset, insn(0x003f_fc00), part(12), rare;
    R_AARCH64_TLSLD_LDST8_DTPREL_LO12 = 531, DtpOffset, insn(0x003f_fc00), unsigned(12), rare;
    R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC = 532, DtpOffset, insn(0x003f_fc00), part(12), rare;
    R_AARCH64_TLSLD_LDST16_DTPREL_LO12 = 533, DtpOffset, insn(0x003f_fc00), unsigned(12).aligned(2).from(1), rare;
    R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC = 534, DtpOffset, insn(0x003f_fc00), part(12).aligned(2).from(1), rare;
    R_AARCH64_TLSLD_LDST32_DTPREL_LO12 = 535, DtpOffset, insn(0x003f_fc00), unsigned(12).aligned(4).from(2), rare;
    R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC = 536, DtpOffset, insn(0x003f_fc00), part(12).aligned(4).from(2), rare;
    R_AARCH64_TLSLD_LDST64_DTPREL_LO12 = 537, DtpOffset, insn(0x003f_fc00), unsigned(12).aligned(8).from(3), rare;
    R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC = 538, DtpOffset, insn(0x003f_fc00), part(12).aligned(8).from(3), rare;
    R_AARCH64_TLSIE_MOVW_GOTTPREL_G1 = 539, TlsInitial, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_TLSIE_MOVW_GOTTPREL_G0_NC = 540, TlsInitial, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21 = 541, TlsInitial, insn(0x60ff_ffe0), signed(33).from(12);
    R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC = 542, TlsInitial, insn(0x003f_fc00), part(12).from(3);
    R_AARCH64_TLSIE_LD_GOTTPREL_PREL19 = 543, TlsInitial, insn(0x00ff_ffe0), signed(21).from(2), rare;
    R_AARCH64_TLSLE_MOVW_TPREL_G2 = 544, TpOffset, insn(0x001f_ffe0), signed(49).from(32), rare;
    R_AARCH64_TLSLE_MOVW_TPREL_G1 = 545, TpOffset, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_TLSLE_MOVW_TPREL_G1_NC = 546, TpOffset, insn(0x001f_ffe0), part(16).from(16), rare;
    R_AARCH64_TLSLE_MOVW_TPREL_G0 = 547, TpOffset, insn(0x001f_ffe0), signed(17), rare;
    R_AARCH64_TLSLE_MOVW_TPREL_G0_NC = 548, TpOffset, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_TLSLE_ADD_TPREL_HI12 = 549, TpOffset, insn(0x003f_fc00), unsigned(24).from(12);
    R_AARCH64_TLSLE_ADD_TPREL_LO12 = 550, TpOffset, insn(0x003f_fc00), unsigned(12), rare;
    R_AARCH64_TLSLE_ADD_TPREL_LO12_NC = 551, TpOffset, insn(0x003f_fc00), part(12);
    R_AARCH64_TLSLE_LDST8_TPREL_LO12 = 552, TpOffset, insn(0x003f_fc00), unsigned(12), rare;
    R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC = 553, TpOffset, insn(0x003f_fc00), part(12), rare;
    R_AARCH64_TLSLE_LDST16_TPREL_LO12 = 554, TpOffset, insn(0x003f_fc00), unsigned(12).aligned(2).from(1), rare;
    R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC = 555, TpOffset, insn(0x003f_fc00), part(12).aligned(2).from(1), rare;
    R_AARCH64_TLSLE_LDST32_TPREL_LO12 = 556, TpOffset, insn(0x003f_fc00), unsigned(12).aligned(4).from(2), rare;
    R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC = 557, TpOffset, insn(0x003f_fc00), part(12).aligned(4).from(2), rare;
    R_AARCH64_TLSLE_LDST64_TPREL_LO12 = 558, TpOffset, insn(0x003f_fc00), unsigned(12).aligned(8).from(3), rare;
    R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC = 559, TpOffset, insn(0x003f_fc00), part(12).aligned(8).from(3), rare;
    R_AARCH64_TLSDESC_LD_PREL19 = 560, TlsDescriptor, insn(0x00ff_ffe0), signed(21).from(2), rare;
    R_AARCH64_TLSDESC_ADR_PREL21 = 561, TlsDescriptor, insn(0x60ff_ffe0), signed(21), rare;
    R_AARCH64_TLSDESC_ADR_PAGE21 = 562, TlsDescriptor, insn(0x60ff_ffe0), signed(33).from(12);
    R_AARCH64_TLSDESC_LD64_LO12 = 563, TlsDescriptor, insn(0x003f_fc00), part(12).from(3);
    R_AARCH64_TLSDESC_ADD_LO12 = 564, TlsDescriptor, insn(0x003f_fc00), part(12);
    R_AARCH64_TLSDESC_OFF_G1 = 565, TlsDescriptor, insn(0x001f_ffe0), signed(33).from(16), rare;
    R_AARCH64_TLSDESC_OFF_G0_NC = 566, TlsDescriptor, insn(0x001f_ffe0), part(16), rare;
    R_AARCH64_TLSDESC_LDR = 567, Nothing, data(0), any();
    R_AARCH64_TLSDESC_ADD = 568, Nothing, data(0), any();
    R_AARCH64_TLSDESC_CALL = 569, Nothing, data(0), any();
    R_AARCH64_TLSLE_LDST128_TPREL_LO12 = 570, TpOffset, insn(0x003f_fc00), unsigned(12).aligned(16).from(4), rare;
    R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC = 571, TpOffset, insn(0x003f_fc00), part(12).aligned(16).from(4), rare;
    R_AARCH64_TLSLD_LDST128_DTPREL_LO12 = 572, DtpOffset, insn(0x003f_fc00), unsigned(12).aligned(16).from(4), rare;
    R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC = 573, DtpOffset, insn(0x003f_fc00), part(12).aligned(16).from(4), rare;
    R_AARCH64_COPY = 1024, Loader, data(0), any();
    R_AARCH64_GLOB_DAT = 1025, Loader, data(8), any();
    R_AARCH64_JUMP_SLOT = 1026, Loader, data(8), any();
    R_AARCH64_RELATIVE = 1027, Loader, data(8), any();
    R_AARCH64_TLS_DTPMOD64 = 1028, Loader, data(8), any();
    R_AARCH64_TLS_DTPREL64 = 1029, Loader, data(8), any();
    R_AARCH64_TLS_TPREL64 = 1030, Loader, data(8), any();
    R_AARCH64_TLSDESC = 1031, Loader, data(8), any();
    R_AARCH64_IRELATIVE = 1032, Loader, data(8), any();
}

/// How many bytes before and from the place of a relocation a linker may rewrite.
///
/// General and local dynamic end with their call and a no-op, which are part of what is relaxed; all other
/// instructions are one word each.
fn rewritable(r_type: u32, _: &[u8], _: u64) -> (u64, u64) {
    match r_type {
        R_AARCH64_TLSGD_ADR_PREL21
        | R_AARCH64_TLSGD_ADD_LO12_NC
        | R_AARCH64_TLSLD_ADR_PREL21
        | R_AARCH64_TLSLD_ADD_LO12_NC => (0, 12),
        R_AARCH64_NONE | R_AARCH64_NULL => (0, 0),
        R_AARCH64_TLSDESC_LDR | R_AARCH64_TLSDESC_ADD | R_AARCH64_TLSDESC_CALL => (0, 4),
        _ => (0, MACHINE.input_row(r_type).map_or(8, |row| row.field.width.into())),
    }
}
