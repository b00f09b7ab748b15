//! AArch64: relocation rows of the judge, and how code reaches GOT, PLT, thunks and TLS.
//!
//! Every instruction is four bytes, and an address takes several: ADRP and twelve bits, MOVZ and three MOVK.
//! Branches reach 128 MiB, so there are thunks; linkers may rewrite GOT loads, TLS sequences, and what
//! Cortex-A53 gets wrong. [`fields`] and [`tls`] know every form there is.
//!
//! Spec: AAELF64 (2024Q3) §5.7, "Relocation types".

mod eval;
mod fields;
mod stubs;
#[cfg(test)]
mod tests;
mod tls;

use super::machine::{Form, Machine, Row};
use crate::class::Class;
use crate::loader::{Kind, Tls};
use fields::Field;

/// The row of the table.
pub(super) static MACHINE: Machine = Machine {
    number: 183,
    class: Class::Elf64,
    flags: |flags, _| flags == 0,
    rel: false,
    implicit: |_, _, _| 0,
    dynamic,
    relative: 1027,
    irelative: 1032,
    untaken: &[],
    // What one of an address's relocations means, all mean.
    alike: &[
        ("_LD64_GOT_LO12_NC", "R_AARCH64_ADR_GOT_PAGE"),
        ("_TLSGD_ADD_LO12_NC", "R_AARCH64_TLSGD_ADR_PAGE21"),
        ("_TLSLD_ADD_LO12_NC", "R_AARCH64_TLSLD_ADR_PAGE21"),
        ("_TLSIE_LD64_GOTTPREL_LO12_NC", "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21"),
        ("_TLSDESC_LD64_LO12", "R_AARCH64_TLSDESC_ADR_PAGE21"),
        ("_TLSDESC_ADD_LO12", "R_AARCH64_TLSDESC_ADR_PAGE21"),
        ("_TLSDESC_ADR_PREL21", "R_AARCH64_TLSDESC_LD_PREL19"),
        ("_ABS_LO12_NC", "R_AARCH64_ADR_PREL_PG_HI21"),
    ],
    renamed: &[],
    tp_bias,
    state: 0,
    stands_for: |r_type, _| r_type,
    index: None,
    fits: |_, _, _| false,
    row,
    mask,
    mask_at: |r_type, _, _| mask(r_type),
    restore: stubs::restore,
    instruction_bias: 0,
    branches: |_, _| false,
    got: fields::access,
    code: fields::access,
    dynamic_tls: tls::dynamic,
    tls_call: 8,
    initial_exec: tls::initial_exec,
    descriptor: tls::descriptor,
    call_kept: tls::call_kept,
    stub: stubs::at,
    lazy: stubs::lazy,
};

/// AAELF64 §5.7.12, "Dynamic relocations", as rtld of glibc implements them.
fn dynamic(r_type: u32) -> Option<(Kind, u8)> {
    Some(match r_type {
        0 | 256 => return None,
        257 => (Kind::Symbol, 8),
        1024 => (Kind::Copy, 0),
        1025 => (Kind::GlobDat, 8),
        1026 => (Kind::JumpSlot, 8),
        1027 => (Kind::Relative, 8),
        1028 => (Kind::DtpMod, 8),
        1029 => (Kind::DtpOff, 8),
        1030 => (Kind::TpOff, 8),
        1031 => (Kind::TlsDesc, 16),
        1032 => (Kind::Irelative, 8),
        _ => (Kind::Unknown, 8),
    })
}

/// Variant I: two words of the thread control block, then the program's block, aligned.
///
/// Spec: AAELF64 §7.4; with p_vaddr misaligned as glibc's `_dl_determine_tlsoffset` does.
fn tp_bias(tls: &Tls) -> u64 {
    let mask = if tls.align.is_power_of_two() { tls.align - 1 } else { 0 };
    let gap = tls.address.wrapping_sub(TCB) & mask;
    TCB.wrapping_add(gap).wrapping_sub(tls.address)
}

/// Bytes of the thread control block behind the thread pointer.
const TCB: u64 = 16;

macro_rules! rows {
    ($($name:ident = $number:literal $form:ident $size:literal $group:ident $field:expr;)*) => {
        /// The row of a relocation.
        fn row(r_type: u32) -> Option<Row> {
            let (name, form, size, group) = match r_type {
                $($number => (stringify!($name), Form::$form, $size, groups::$group),)*
                _ => return None,
            };
            let code = !matches!(form, Form::None) && (size == 0 || group == groups::EITHER);
            let after = if size > 0 || form == Form::None { size } else { 4 };
            let group = if group == groups::EITHER { 0 } else { group };
            Some(Row {
                r_type,
                name,
                form,
                size,
                before: 0,
                after,
                code,
                group,
                stateless: true,
                caller: 0,
            })
        }

        /// The field of a relocation.
        fn field(r_type: u32) -> Field {
            use Field::*;
            match r_type {
                $($number => $field,)*
                _ => Data,
            }
        }
    };
}

/// Which relocations make an address together.
mod groups {
    /// In no group.
    pub(super) const NO: u8 = 0;
    pub(super) const ADDRESS: u8 = 1;
    pub(super) const GOT: u8 = 2;
    pub(super) const GD: u8 = 3;
    pub(super) const LD: u8 = 4;
    pub(super) const IE: u8 = 5;
    pub(super) const DESC: u8 = 6;
    pub(super) const UABS: u8 = 7;
    pub(super) const SABS: u8 = 8;
    pub(super) const PREL: u8 = 9;
    pub(super) const GOTOFF: u8 = 10;
    pub(super) const TPREL: u8 = 11;
    pub(super) const TPREL_MOVW: u8 = 12;
    pub(super) const DTPREL: u8 = 13;
    pub(super) const DTPREL_MOVW: u8 = 14;
    /// In no group; data whose sign the psABI leaves open.
    pub(super) const EITHER: u8 = 255;

    /// Whether MOVZ and MOVN are chosen by the value's sign.
    pub(super) fn signed(r_type: u32) -> bool {
        let group = super::row(r_type).map_or(NO, |row| row.group);
        matches!(group, SABS | PREL | TPREL_MOVW | DTPREL_MOVW | GOTOFF)
    }
}

/// Whether the low 12 bits are all there is: overflow is checked.
fn is_checked(r_type: u32) -> bool {
    matches!(row(r_type), Some(row) if matches!(row.form, Form::TpOff | Form::DtpOff)
        && row.name.ends_with("_LO12"))
}

rows! {
    R_AARCH64_NONE = 0                          None 0     NO Data;
    R_AARCH64_NULL = 256                        None 0     NO Data;
    R_AARCH64_ABS64 = 257                       Abs 8      NO Data;
    R_AARCH64_ABS32 = 258                       Abs 4      EITHER Data;
    R_AARCH64_ABS16 = 259                       Abs 2      NO Data;
    R_AARCH64_PREL64 = 260                      Pc 8       NO Data;
    R_AARCH64_PREL32 = 261                      Pc 4       NO Data;
    R_AARCH64_PREL16 = 262                      Pc 2       NO Data;
    R_AARCH64_MOVW_UABS_G0 = 263                Abs 0      UABS Half(0, true);
    R_AARCH64_MOVW_UABS_G0_NC = 264             Abs 0      UABS Half(0, false);
    R_AARCH64_MOVW_UABS_G1 = 265                Abs 0      UABS Half(1, true);
    R_AARCH64_MOVW_UABS_G1_NC = 266             Abs 0      UABS Half(1, false);
    R_AARCH64_MOVW_UABS_G2 = 267                Abs 0      UABS Half(2, true);
    R_AARCH64_MOVW_UABS_G2_NC = 268             Abs 0      UABS Half(2, false);
    R_AARCH64_MOVW_UABS_G3 = 269                Abs 0      UABS Half(3, true);
    R_AARCH64_MOVW_SABS_G0 = 270                Abs 0      SABS Half(0, true);
    R_AARCH64_MOVW_SABS_G1 = 271                Abs 0      SABS Half(1, true);
    R_AARCH64_MOVW_SABS_G2 = 272                Abs 0      SABS Half(2, true);
    R_AARCH64_LD_PREL_LO19 = 273                Pc 0       NO Word19;
    R_AARCH64_ADR_PREL_LO21 = 274               Pc 0       NO Adr;
    R_AARCH64_ADR_PREL_PG_HI21 = 275            Pc 0       ADDRESS Page;
    R_AARCH64_ADR_PREL_PG_HI21_NC = 276         Pc 0       ADDRESS Page;
    R_AARCH64_ADD_ABS_LO12_NC = 277             Abs 0      ADDRESS Low(0);
    R_AARCH64_LDST8_ABS_LO12_NC = 278           Abs 0      ADDRESS Low(0);
    R_AARCH64_TSTBR14 = 279                     Plt 0      NO Word14;
    R_AARCH64_CONDBR19 = 280                    Plt 0      NO Word19;
    R_AARCH64_JUMP26 = 282                      Plt 0      NO Branch26;
    R_AARCH64_CALL26 = 283                      Plt 0      NO Branch26;
    R_AARCH64_LDST16_ABS_LO12_NC = 284          Abs 0      ADDRESS Low(1);
    R_AARCH64_LDST32_ABS_LO12_NC = 285          Abs 0      ADDRESS Low(2);
    R_AARCH64_LDST64_ABS_LO12_NC = 286          Abs 0      ADDRESS Low(3);
    R_AARCH64_MOVW_PREL_G0 = 287                Pc 0       PREL Half(0, true);
    R_AARCH64_MOVW_PREL_G0_NC = 288             Pc 0       PREL Half(0, false);
    R_AARCH64_MOVW_PREL_G1 = 289                Pc 0       PREL Half(1, true);
    R_AARCH64_MOVW_PREL_G1_NC = 290             Pc 0       PREL Half(1, false);
    R_AARCH64_MOVW_PREL_G2 = 291                Pc 0       PREL Half(2, true);
    R_AARCH64_MOVW_PREL_G2_NC = 292             Pc 0       PREL Half(2, false);
    R_AARCH64_MOVW_PREL_G3 = 293                Pc 0       PREL Half(3, true);
    R_AARCH64_LDST128_ABS_LO12_NC = 299         Abs 0      ADDRESS Low(4);
    R_AARCH64_MOVW_GOTOFF_G0 = 300              Got 0      GOTOFF Half(0, true);
    R_AARCH64_MOVW_GOTOFF_G0_NC = 301           Got 0      GOTOFF Half(0, false);
    R_AARCH64_MOVW_GOTOFF_G1 = 302              Got 0      GOTOFF Half(1, true);
    R_AARCH64_MOVW_GOTOFF_G1_NC = 303           Got 0      GOTOFF Half(1, false);
    R_AARCH64_MOVW_GOTOFF_G2 = 304              Got 0      GOTOFF Half(2, true);
    R_AARCH64_MOVW_GOTOFF_G2_NC = 305           Got 0      GOTOFF Half(2, false);
    R_AARCH64_MOVW_GOTOFF_G3 = 306              Got 0      GOTOFF Half(3, true);
    R_AARCH64_GOTREL64 = 307                    GotOff 8   NO Data;
    R_AARCH64_GOTREL32 = 308                    GotOff 4   NO Data;
    R_AARCH64_GOT_LD_PREL19 = 309               GotPcRel 0 NO Word19;
    R_AARCH64_LD64_GOTOFF_LO15 = 310            Got 0      NO Low(3);
    R_AARCH64_ADR_GOT_PAGE = 311                GotPcRel 0 GOT Page;
    R_AARCH64_LD64_GOT_LO12_NC = 312            GotPcRel 0 GOT Low(3);
    R_AARCH64_LD64_GOTPAGE_LO15 = 313           Got 0      NO Low(3);
    R_AARCH64_PLT32 = 314                       Plt 4      NO Data;
    R_AARCH64_GOTPCREL32 = 315                  GotPcRel 4 NO Data;
    R_AARCH64_TLSGD_ADR_PREL21 = 512            TlsGd 0    GD Adr;
    R_AARCH64_TLSGD_ADR_PAGE21 = 513            TlsGd 0    GD Page;
    R_AARCH64_TLSGD_ADD_LO12_NC = 514           TlsGd 0    GD Low(0);
    R_AARCH64_TLSGD_MOVW_G1 = 515               TlsGd 0    GD Half(1, true);
    R_AARCH64_TLSGD_MOVW_G0_NC = 516            TlsGd 0    GD Half(0, false);
    R_AARCH64_TLSLD_ADR_PREL21 = 517            TlsLd 0    LD Adr;
    R_AARCH64_TLSLD_ADR_PAGE21 = 518            TlsLd 0    LD Page;
    R_AARCH64_TLSLD_ADD_LO12_NC = 519           TlsLd 0    LD Low(0);
    R_AARCH64_TLSLD_MOVW_G1 = 520               TlsLd 0    LD Half(1, true);
    R_AARCH64_TLSLD_MOVW_G0_NC = 521            TlsLd 0    LD Half(0, false);
    R_AARCH64_TLSLD_LD_PREL19 = 522             TlsLd 0    LD Word19;
    R_AARCH64_TLSLD_MOVW_DTPREL_G2 = 523        DtpOff 0   DTPREL_MOVW Half(2, true);
    R_AARCH64_TLSLD_MOVW_DTPREL_G1 = 524        DtpOff 0   DTPREL_MOVW Half(1, true);
    R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC = 525     DtpOff 0   DTPREL_MOVW Half(1, false);
    R_AARCH64_TLSLD_MOVW_DTPREL_G0 = 526        DtpOff 0   DTPREL_MOVW Half(0, true);
    R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC = 527     DtpOff 0   DTPREL_MOVW Half(0, false);
    R_AARCH64_TLSLD_ADD_DTPREL_HI12 = 528       DtpOff 0   DTPREL High;
    R_AARCH64_TLSLD_ADD_DTPREL_LO12 = 529       DtpOff 0   DTPREL Low(0);
    R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC = 530    DtpOff 0   DTPREL Low(0);
    R_AARCH64_TLSLD_LDST8_DTPREL_LO12 = 531     DtpOff 0   DTPREL Low(0);
    R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC = 532  DtpOff 0   DTPREL Low(0);
    R_AARCH64_TLSLD_LDST16_DTPREL_LO12 = 533    DtpOff 0   DTPREL Low(1);
    R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC = 534 DtpOff 0   DTPREL Low(1);
    R_AARCH64_TLSLD_LDST32_DTPREL_LO12 = 535    DtpOff 0   DTPREL Low(2);
    R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC = 536 DtpOff 0   DTPREL Low(2);
    R_AARCH64_TLSLD_LDST64_DTPREL_LO12 = 537    DtpOff 0   DTPREL Low(3);
    R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC = 538 DtpOff 0   DTPREL Low(3);
    R_AARCH64_TLSIE_MOVW_GOTTPREL_G1 = 539      GotTpOff 0 IE Half(1, true);
    R_AARCH64_TLSIE_MOVW_GOTTPREL_G0_NC = 540   GotTpOff 0 IE Half(0, false);
    R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21 = 541   GotTpOff 0 IE Page;
    R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC = 542 GotTpOff 0 IE Low(3);
    R_AARCH64_TLSIE_LD_GOTTPREL_PREL19 = 543    GotTpOff 0 IE Word19;
    R_AARCH64_TLSLE_MOVW_TPREL_G2 = 544         TpOff 0    TPREL_MOVW Half(2, true);
    R_AARCH64_TLSLE_MOVW_TPREL_G1 = 545         TpOff 0    TPREL_MOVW Half(1, true);
    R_AARCH64_TLSLE_MOVW_TPREL_G1_NC = 546      TpOff 0    TPREL_MOVW Half(1, false);
    R_AARCH64_TLSLE_MOVW_TPREL_G0 = 547         TpOff 0    TPREL_MOVW Half(0, true);
    R_AARCH64_TLSLE_MOVW_TPREL_G0_NC = 548      TpOff 0    TPREL_MOVW Half(0, false);
    R_AARCH64_TLSLE_ADD_TPREL_HI12 = 549        TpOff 0    TPREL High;
    R_AARCH64_TLSLE_ADD_TPREL_LO12 = 550        TpOff 0    TPREL Low(0);
    R_AARCH64_TLSLE_ADD_TPREL_LO12_NC = 551     TpOff 0    TPREL Low(0);
    R_AARCH64_TLSLE_LDST8_TPREL_LO12 = 552      TpOff 0    TPREL Low(0);
    R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC = 553   TpOff 0    TPREL Low(0);
    R_AARCH64_TLSLE_LDST16_TPREL_LO12 = 554     TpOff 0    TPREL Low(1);
    R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC = 555  TpOff 0    TPREL Low(1);
    R_AARCH64_TLSLE_LDST32_TPREL_LO12 = 556     TpOff 0    TPREL Low(2);
    R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC = 557  TpOff 0    TPREL Low(2);
    R_AARCH64_TLSLE_LDST64_TPREL_LO12 = 558     TpOff 0    TPREL Low(3);
    R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC = 559  TpOff 0    TPREL Low(3);
    R_AARCH64_TLSDESC_LD_PREL19 = 560           TlsDesc 0  DESC Word19;
    R_AARCH64_TLSDESC_ADR_PREL21 = 561          TlsDesc 0  DESC Adr;
    R_AARCH64_TLSDESC_ADR_PAGE21 = 562          TlsDesc 0  DESC Page;
    R_AARCH64_TLSDESC_LD64_LO12 = 563           TlsDesc 0  DESC Low(3);
    R_AARCH64_TLSDESC_ADD_LO12 = 564            TlsDesc 0  DESC Low(0);
    R_AARCH64_TLSDESC_OFF_G1 = 565              TlsDesc 0  DESC Half(1, true);
    R_AARCH64_TLSDESC_OFF_G0_NC = 566           TlsDesc 0  DESC Half(0, false);
    R_AARCH64_TLSDESC_LDR = 567                 TlsDescCall 0 DESC Mark;
    R_AARCH64_TLSDESC_ADD = 568                 TlsDescCall 0 DESC Mark;
    R_AARCH64_TLSDESC_CALL = 569                TlsDescCall 0 DESC Mark;
    R_AARCH64_TLSLE_LDST128_TPREL_LO12 = 570    TpOff 0    TPREL Low(4);
    R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC = 571 TpOff 0    TPREL Low(4);
    R_AARCH64_TLSLD_LDST128_DTPREL_LO12 = 572   DtpOff 0   DTPREL Low(4);
    R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC = 573 DtpOff 0  DTPREL Low(4);
    R_AARCH64_TLS_DTPMOD   = 1028               DtpMod 8   NO Data;
    R_AARCH64_TLS_DTPREL   = 1029               DtpOff 8   NO Data;
    R_AARCH64_TLS_TPREL   = 1030                TpOff 8    NO Data;
}

/// The bytes around the place of a relocation that a linker may write: (before, after). Behind the last
/// of a general or local dynamic sequence come its call and a no-op.
fn mask(r_type: u32) -> (u64, u64) {
    match r_type {
        512 | 514 | 517 | 519 => (0, 12),
        _ => row(r_type).map_or((0, 8), |row| (0, row.after.into())),
    }
}
