//! arm64: the fields are AAELF64's; what an instruction scales its offset by follows from itself.

use super::{Helper, Machine, Thunk};
use crate::arch::arm64::fields::{ADRP, IMM26, LO12, LO12_2, LO12_4, LO12_8, LO12_16};
use crate::arch::{Field, Range, rows};

rows! {
    ARM64_RELOC_UNSIGNED = 0            [S + A]                       Data(8),       Any;
    ARM64_RELOC_SUBTRACTOR = 1          []                            Mark,          Any;
    ARM64_RELOC_BRANCH26 = 2            [L + A - P]                   Insn(&IMM26),  Signed(28);
    ARM64_RELOC_PAGE21 = 3              [Page(S + A) - Page(P)]       Insn(&ADRP),   Signed(33);
    ARM64_RELOC_PAGEOFF12 = 4           [Lo(S + A)]                   Insn(&LO12),   Any;
    ARM64_RELOC_GOT_LOAD_PAGE21 = 5     [Page(G + A) - Page(P)]       Insn(&ADRP),   Signed(33), relax;
    ARM64_RELOC_GOT_LOAD_PAGEOFF12 = 6  [Lo(G + A)]                   Insn(&LO12),   Any, relax;
    ARM64_RELOC_POINTER_TO_GOT = 7      [G + GOT + A - P]             Data(4),       Signed(32);
    ARM64_RELOC_TLVP_LOAD_PAGE21 = 8    [Page(TLSDESC + A) - Page(P)] Insn(&ADRP),   Signed(33), relax;
    ARM64_RELOC_TLVP_LOAD_PAGEOFF12 = 9 [Lo(TLSDESC + A)]             Insn(&LO12),   Any, relax;
    ARM64_RELOC_ADDEND = 10             []                            Mark,          Any;
}

/// The machine.
pub static ARM64: Machine = Machine {
    name: "arm64",
    cpu: 0x0100_000c,
    subtype: 0,
    // Its pointers are signed.
    strangers: &[(2, "arm64e")],
    page: 0x4000,
    rows: ROWS,
    unsigned: 0,
    subtractor: 1,
    addend: Some(10),
    bias: |_| 0,
    // clang leaves something in the field of POINTER_TO_GOT; every linker ignores it.
    embeds: |kind| kind == 0,
    legacy,
    slot_load: |kind, insn| matches!(kind, 6 | 9).then_some(insn & 0xbfc0_0000 == 0xb940_0000), // ldr
    slot_bits: |kind, insn| match kind {
        5 | 8 => insn & 0x60ff_ffe0 != 0, // adrp
        6 | 9 => insn & 0x003f_fc00 != 0, // ldr
        _ => false,
    },
    field,
    can_relax: |_, _, _| true,
    relax: |kind, code, at| {
        if matches!(kind, 6 | 9) {
            let add = word(code, at) & 0x001f_ffff | 0x9100_0000;
            code[at..at + 4].copy_from_slice(&add.to_le_bytes());
        }
    },
    stub_size: 12,
    stub: |out, at, slot| {
        // adrp x16, slot; ldr x16, [x16, slot]; br x16
        let (adrp, near) = page(0x9000_0010, at, slot);
        put(out, [adrp, (LO12_8.put)(0xf940_0210, slot as i64), 0xd61f_0200]);
        near
    },
    helper: Helper { header_size: 24, header, entry_size: 12, entry },
    thunk: Some(Thunk {
        size: 12,
        reach: 1 << 27,
        kind: 2,
        write: |out, at, to| {
            // adrp x16, to; add x16, x16, to; br x16
            let (adrp, near) = page(0x9000_0010, at, to);
            put(out, [adrp, (LO12.put)(0x9100_0210, to as i64), 0xd61f_0200]);
            near
        },
    }),
    unwind_dwarf: 0x0300_0000,
    chained_programs: 12 << 16,
    classic_if_unaligned: false,
    always_signed: true,
    always_slides: true,
};

fn word(code: &[u8], at: usize) -> u32 {
    code.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

/// `add` counts in bytes, a load or store in what it moves.
fn field(row: &crate::arch::Row, insn: u32) -> Field {
    if !matches!(row.field, Field::Insn(code) if std::ptr::fn_addr_eq(code.put, LO12.put)) {
        return row.field;
    }
    if insn & 0x3b00_0000 != 0x3900_0000 {
        return row.field;
    }
    Field::Insn(match insn >> 30 {
        0 if insn & 0x0480_0000 == 0x0480_0000 => &LO12_16,
        0 => &LO12,
        1 => &LO12_2,
        2 => &LO12_4,
        _ => &LO12_8,
    })
}

/// What ld64 reads from instructions when there is no ARM64_RELOC_ADDEND.
fn legacy(kind: u8, insn: u32) -> Option<i64> {
    let signed = |value: u32, bits: u32| i64::from(value as i32) << (64 - bits) >> (64 - bits);
    match kind {
        2 => Some(signed(insn & 0x3ff_ffff, 26) * 4),
        3 => Some(signed((insn >> 29 & 3) | (insn >> 3 & 0x1f_fffc), 21) * 0x1000),
        4 => {
            let value = i64::from(insn >> 10 & 0xfff);
            let scale = if insn & 0x3b00_0000 == 0x3900_0000 { insn >> 30 } else { 0 };
            let wide = scale == 0 && insn & 0x3f80_0000 == 0x3d80_0000;
            Some(value << if wide { 4 } else { scale })
        }
        _ => None,
    }
}

/// `insn` with the page of `to` from that of `at`, and whether it is in reach.
fn page(insn: u32, at: u64, to: u64) -> (u32, bool) {
    let value = (to & !0xfff).wrapping_sub(at & !0xfff) as i64;
    ((ADRP.put)(insn, value), Range::Signed(33).holds(value))
}

fn put<const N: usize>(out: &mut [u8], insns: [u32; N]) {
    for (out, insn) in out.chunks_exact_mut(4).zip(insns) {
        out.copy_from_slice(&insn.to_le_bytes());
    }
}

fn header(out: &mut [u8], at: u64, private: u64, binder: u64) -> bool {
    let (private_page, near) = page(0x9000_0011, at, private);
    let (binder_page, nearer) = page(0x9000_0010, at + 12, binder);
    put(
        out,
        [
            private_page,                             // adrp x17, private
            (LO12.put)(0x9100_0231, private as i64),  // add x17, x17, private
            0xa9bf_47f0,                              // stp x16, x17, [sp, #-16]!
            binder_page,                              // adrp x16, binder
            (LO12_8.put)(0xf940_0210, binder as i64), // ldr x16, [x16, binder]
            0xd61f_0200,                              // br x16
        ],
    );
    near && nearer
}

fn entry(out: &mut [u8], at: u64, header: u64, offset: u32) -> bool {
    let value = header.wrapping_sub(at + 4) as i64;
    // ldr w16, .+8; b header; the offset
    put(out, [0x1800_0050, (IMM26.put)(0x1400_0000, value), offset]);
    Range::Signed(28).holds(value)
}
