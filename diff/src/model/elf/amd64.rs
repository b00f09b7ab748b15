//! x86-64: relocation rows of the judge, and how code reaches GOT, PLT and TLS.
//!
//! x86-64 has one displacement width, no range thunks and no alignment rules for branches; what makes it
//! hard is that the psABI lets linkers rewrite instructions around GOTPCRELX and TLS relocations. The
//! rows say which bytes that can be; [`relax`] and [`tls`] know every form there is.

mod apx;
mod eval;
mod relax;
mod stubs;
mod tls;

use super::machine::{Form, Machine, Row, Site};
use crate::class::Class;
use crate::loader::{Kind, Tls};

/// The row of the table.
pub(super) static MACHINE: Machine = Machine {
    number: 62,
    class: Class::Elf64,
    flags: |flags, _| flags == 0,
    rel: false,
    implicit: |_, _, _| 0,
    dynamic,
    relative: 8,
    irelative: 37,
    untaken: &[24],
    alike: &[
        ("GOTPCRELX", "R_X86_64_GOTPCREL"),
        ("R_X86_64_GOTPCREL", "R_X86_64_GOTPCREL"),
        ("_GOTTPOFF", "R_X86_64_GOTTPOFF"),
        ("_GOTPC32_TLSDESC", "R_X86_64_GOTPC32_TLSDESC"),
    ],
    renamed: &[],
    tp_bias: Tls::tp_bias,
    state: 0,
    stands_for: |r_type, _| r_type,
    index: None,
    fits: |_, _, _| false,
    row,
    mask,
    mask_at,
    restore: |_, _, _, _| {},
    instruction_bias: 4,
    branches,
    got: relax::got,
    // Every field is a number by itself.
    code: |_, _| Err("an instruction that nobody decodes".into()),
    dynamic_tls: tls::dynamic,
    tls_call: 8,
    initial_exec: tls::initial_exec,
    descriptor: tls::descriptor,
    call_kept: tls::call_kept,
    stub: stubs::at,
    lazy: stubs::lazy,
};

/// x86-64 psABI table 4.10, as rtld of glibc implements it.
fn dynamic(r_type: u32) -> Option<(Kind, u8)> {
    Some(match r_type {
        0 => return None,
        1 => (Kind::Symbol, 8),
        2 => (Kind::Pc32, 4),
        5 => (Kind::Copy, 0),
        6 => (Kind::GlobDat, 8),
        7 => (Kind::JumpSlot, 8),
        8 => (Kind::Relative, 8),
        10 => (Kind::Symbol32, 4),
        16 => (Kind::DtpMod, 8),
        17 => (Kind::DtpOff, 8),
        18 => (Kind::TpOff, 8),
        32 => (Kind::Size, 4),
        33 => (Kind::Size, 8),
        36 => (Kind::TlsDesc, 16),
        37 => (Kind::Irelative, 8),
        _ => (Kind::Unknown, 8),
    })
}

/// `call`, `jmp` and `jcc` with a displacement of 4 bytes; `jmp` and `jcc` with one.
fn branches(site: Site<'_>, size: u8) -> bool {
    let before = |n: usize| site.at.checked_sub(n).and_then(|at| site.input.get(at).copied());
    match size {
        4 => {
            matches!(before(1), Some(0xe8 | 0xe9))
                || (before(2) == Some(0x0f) && before(1).is_some_and(|op| op & 0xf0 == 0x80))
        }
        1 => before(1).is_some_and(|op| op == 0xeb || op & 0xf0 == 0x70),
        _ => false,
    }
}

macro_rules! rows {
    ($($name:ident = $number:literal $form:ident $size:literal ($before:literal, $after:literal);)*) => {
        /// The row of a relocation.
        fn row(r_type: u32) -> Option<Row> {
            let (name, form, size, before, after) = match r_type {
                $($number => (stringify!($name), Form::$form, $size, $before, $after),)*
                _ => return None,
            };
            Some(Row { r_type, name, form, size, before, after, code: false, group: 0, stateless: true, caller: 0 })
        }
    };
}

rows! {
    R_X86_64_NONE = 0             None 0        (0, 0);
    R_X86_64_64 = 1               Abs 8         (0, 8);
    R_X86_64_PC32 = 2             Pc 4          (0, 4);
    R_X86_64_GOT32 = 3            Got 4         (0, 4);
    R_X86_64_PLT32 = 4            Plt 4         (0, 4);
    R_X86_64_GOTPCREL = 9         GotPcRel 4    (2, 4);
    R_X86_64_32 = 10              Abs 4         (0, 4);
    R_X86_64_32S = 11             AbsSigned 4   (0, 4);
    R_X86_64_16 = 12              Abs 2         (0, 2);
    R_X86_64_PC16 = 13            Pc 2          (0, 2);
    R_X86_64_8 = 14               Abs 1         (0, 1);
    R_X86_64_PC8 = 15             Pc 1          (0, 1);
    R_X86_64_DTPMOD64 = 16        DtpMod 8      (0, 8);
    R_X86_64_DTPOFF64 = 17        DtpOff 8      (0, 8);
    R_X86_64_TPOFF64 = 18         TpOff 8       (0, 8);
    R_X86_64_TLSGD = 19           TlsGd 4       (4, 12);
    R_X86_64_TLSLD = 20           TlsLd 4       (3, 9);
    R_X86_64_DTPOFF32 = 21        DtpOff 4      (0, 4);
    R_X86_64_GOTTPOFF = 22        GotTpOff 4    (3, 4);
    R_X86_64_TPOFF32 = 23         TpOff 4       (0, 4);
    R_X86_64_PC64 = 24            Pc 8          (0, 8);
    R_X86_64_GOTOFF64 = 25        GotOff 8      (0, 8);
    R_X86_64_GOTPC32 = 26         GotPc 4       (0, 4);
    R_X86_64_GOT64 = 27           Got 8         (0, 8);
    R_X86_64_GOTPCREL64 = 28      GotPcRel 8    (0, 8);
    R_X86_64_GOTPC64 = 29         GotPc 8       (0, 8);
    R_X86_64_GOTPLT64 = 30        Got 8         (0, 8);
    R_X86_64_PLTOFF64 = 31        PltOff 8      (0, 8);
    R_X86_64_SIZE32 = 32          Size 4        (0, 4);
    R_X86_64_SIZE64 = 33          Size 8        (0, 8);
    R_X86_64_GOTPC32_TLSDESC = 34 TlsDesc 4     (3, 4);
    R_X86_64_TLSDESC_CALL = 35    TlsDescCall 0 (0, 2);
    R_X86_64_GOTPCRELX = 41       GotPcRel 4    (2, 4);
    R_X86_64_REX_GOTPCRELX = 42   GotPcRel 4    (3, 4);
    R_X86_64_CODE_4_GOTPCRELX = 43 GotPcRel 4   (4, 4);
    R_X86_64_CODE_4_GOTTPOFF = 44 GotTpOff 4    (4, 4);
    R_X86_64_CODE_4_GOTPC32_TLSDESC = 45 TlsDesc 4 (4, 4);
    R_X86_64_CODE_6_GOTTPOFF = 50 GotTpOff 4    (6, 4);
}

/// The bytes around the place of a relocation that a linker may write: (before, after).
fn mask(r_type: u32) -> (u64, u64) {
    row(r_type).map_or((0, 8), |row| (row.before.into(), row.after.into()))
}

/// The same for the relocation at `offset` of `data`: the large model's TLS sequences are longer.
fn mask_at(r_type: u32, data: &[u8], offset: u64) -> (u64, u64) {
    match tls::is_large(r_type, data, offset) {
        true => (tls::LARGE.0 as u64, tls::LARGE.1 as u64),
        false => mask(r_type),
    }
}
