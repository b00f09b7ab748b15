//! x86-64: its relocations as the psABI tells them, what linkers may rewrite around them, code.
//!
//! The rows are the judge's own; they must not know the linker's.
//! Spec: x86-64 psABI 1.0 §4.4.1 (table 4.9), §3.5.5 for the TLS ones.

mod code;

use scold_diff::request::Arch;

use super::rows::{any, data, either, rows, signed, unsigned};
use super::{Machine, Piece};

/// The machine.
pub static MACHINE: Machine = Machine {
    arch: Arch::Amd64,
    rows: ROWS,
    word: 8,
    rela: true,
    pointer: R_X86_64_64,
    init: R_X86_64_64,
    distance: R_X86_64_PC32,
    tls_call: 16,
    null_is_here: false,
    interworks: false,
    tcb: None,
    words: &[
        R_X86_64_64,
        R_X86_64_64,
        R_X86_64_64,
        R_X86_64_PC32,
        R_X86_64_PC64,
        R_X86_64_32,
        R_X86_64_DTPOFF64,
    ],
    rare_words: &[],
    narrow: &[(1, R_X86_64_PC8, R_X86_64_8), (2, R_X86_64_PC16, R_X86_64_16)],
    got_base: R_X86_64_GOTPC32,
    sweep: code::SWEEP,
    code: code::CODE,
    // 1, -8, the return address's column.
    factors: &[1, 0x78, 16],
    // DW_CFA_def_cfa rsp, 8; DW_CFA_offset of the return address.
    frame: &[0x0c, 7, 8, 0x90, 1],
    loader: ("ld-linux-x86-64.so.2", "GLIBC_2.3"),
    rewritable,
    rare_sequence: is_large,
};

rows! {
    /// Spec: psABI 1.0, table 4.9.
    ROWS:
    R_X86_64_NONE = 0, Nothing, data(0), any();
    R_X86_64_64 = 1, Absolute, data(8), any();
    R_X86_64_PC32 = 2, Relative, data(4), signed(32);
    R_X86_64_GOT32 = 3, Got, data(4), signed(32);
    R_X86_64_PLT32 = 4, Call, data(4), signed(32);
    R_X86_64_COPY = 5, Loader, data(0), any();
    R_X86_64_GLOB_DAT = 6, Loader, data(8), any();
    R_X86_64_JUMP_SLOT = 7, Loader, data(8), any();
    R_X86_64_RELATIVE = 8, Loader, data(8), any();
    R_X86_64_GOTPCREL = 9, Got, data(4), signed(32);
    R_X86_64_32 = 10, Absolute, data(4), unsigned(32);
    R_X86_64_32S = 11, Absolute, data(4), signed(32);
    R_X86_64_16 = 12, Absolute, data(2), either(16).disputed();
    R_X86_64_PC16 = 13, Relative, data(2), signed(16).disputed();
    R_X86_64_8 = 14, Absolute, data(1), either(8).disputed();
    R_X86_64_PC8 = 15, Relative, data(1), signed(8).disputed();
    R_X86_64_DTPMOD64 = 16, Loader, data(8), any();
    R_X86_64_DTPOFF64 = 17, DtpOffset, data(8), any();
    R_X86_64_TPOFF64 = 18, TpOffset, data(8), any();
    R_X86_64_TLSGD = 19, TlsDynamic, data(4), signed(32);
    R_X86_64_TLSLD = 20, TlsModule, data(4), signed(32);
    R_X86_64_DTPOFF32 = 21, DtpOffset, data(4), signed(32);
    R_X86_64_GOTTPOFF = 22, TlsInitial, data(4), signed(32);
    R_X86_64_TPOFF32 = 23, TpOffset, data(4), signed(32);
    R_X86_64_PC64 = 24, Relative, data(8), any();
    R_X86_64_GOTOFF64 = 25, FromGot, data(8), any();
    R_X86_64_GOTPC32 = 26, GotBase, data(4), signed(32);
    R_X86_64_GOT64 = 27, Got, data(8), any();
    R_X86_64_GOTPCREL64 = 28, Got, data(8), any();
    R_X86_64_GOTPC64 = 29, GotBase, data(8), any();
    R_X86_64_GOTPLT64 = 30, Got, data(8), any();
    R_X86_64_PLTOFF64 = 31, PltFromGot, data(8), any();
    R_X86_64_SIZE32 = 32, Size, data(4), unsigned(32);
    R_X86_64_SIZE64 = 33, Size, data(8), any();
    R_X86_64_GOTPC32_TLSDESC = 34, TlsDescriptor, data(4), signed(32);
    R_X86_64_TLSDESC_CALL = 35, Nothing, data(0), any();
    R_X86_64_TLSDESC = 36, Loader, data(0), any();
    R_X86_64_IRELATIVE = 37, Loader, data(8), any();
    R_X86_64_GOTPCRELX = 41, GotHalf, data(4), signed(32);
    R_X86_64_REX_GOTPCRELX = 42, Got, data(4), signed(32);
    R_X86_64_CODE_4_GOTPCRELX = 43, Got, data(4), signed(32), rare;
    R_X86_64_CODE_4_GOTTPOFF = 44, TlsInitial, data(4), signed(32), rare;
    R_X86_64_CODE_4_GOTPC32_TLSDESC = 45, TlsDescriptor, data(4), signed(32), rare;
    R_X86_64_CODE_6_GOTTPOFF = 50, TlsInitial, data(4), signed(32), rare;
}

/// How many bytes before and from the place of a relocation a linker may rewrite.
///
/// Appendix B lets it change the instruction around a GOT or TLS access: opcode and ModRM, and the prefixes
/// that the type promises. Dynamic TLS is a sequence with its call, of which the large model has a longer
/// form (`movabs` of the call's target behind the `lea`). Everything else has its field.
/// Not the judge's table: a mask too wide there must show here.
fn rewritable(r_type: u32, data: &[u8], offset: u64) -> (u64, u64) {
    match r_type {
        // (data16) lea; then movabs, add, call *%rax: 10 + 3 + 2 bytes.
        R_X86_64_TLSGD | R_X86_64_TLSLD if is_large(r_type, data, offset) => (3, 4 + 15),
        // data16 lea; data16 data16 rex call.
        R_X86_64_TLSGD => (4, 4 + 8),
        // lea; call.
        R_X86_64_TLSLD => (3, 4 + 5),
        R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX => (2, 4),
        R_X86_64_GOTTPOFF | R_X86_64_GOTPC32_TLSDESC | R_X86_64_REX_GOTPCRELX => (3, 4),
        R_X86_64_CODE_4_GOTPCRELX | R_X86_64_CODE_4_GOTTPOFF | R_X86_64_CODE_4_GOTPC32_TLSDESC => {
            (4, 4)
        }
        R_X86_64_CODE_6_GOTTPOFF => (6, 4),
        R_X86_64_TLSDESC_CALL => (0, 2),
        _ => (0, MACHINE.input_row(r_type).map_or(8, |row| row.field.width.into())),
    }
}

/// Whether a TLSGD or TLSLD is in the sequence of the large model, with `movabs` after it.
fn is_large(r_type: u32, data: &[u8], offset: u64) -> bool {
    let behind = usize::try_from(offset).ok().and_then(|at| data.get(at.checked_add(4)?..));
    matches!(r_type, R_X86_64_TLSGD | R_X86_64_TLSLD)
        && behind.is_some_and(|code| code.starts_with(&[0x48, 0xb8]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Row;

    fn row(number: u32) -> &'static Row {
        MACHINE.row(number).unwrap()
    }

    #[test]
    fn ranges_are_the_psabi_s() {
        let fits = |r_type, value: i64| row(r_type).fits(value as u64);
        assert!(fits(10, 0xffff_ffff) && !fits(10, 0x1_0000_0000) && !fits(10, -1));
        assert!(fits(11, -0x8000_0000) && fits(11, 0x7fff_ffff));
        assert!(!fits(11, 0x8000_0000) && !fits(11, -0x8000_0001));
        assert!(fits(14, 255) && fits(14, -128) && !fits(14, 256) && !fits(14, -129));
        assert!(fits(15, 127) && !fits(15, 128) && row(15).is_disputed(128));
        assert!(fits(1, -1) && fits(1, i64::MIN));
    }
}
