//! amd64: values are counted from the end of the field, or of the immediate behind it.

use super::{Helper, Machine};
use crate::arch::{Field, Range, rows};

rows! {
    X86_64_RELOC_UNSIGNED = 0    [S + A]           Data(8), Any;
    X86_64_RELOC_SIGNED = 1      [S + A - P]       Data(4), Signed(32);
    X86_64_RELOC_BRANCH = 2      [L + A - P]       Data(4), Signed(32);
    X86_64_RELOC_GOT_LOAD = 3    [G + GOT + A - P] Data(4), Signed(32), relax;
    X86_64_RELOC_GOT = 4         [G + GOT + A - P] Data(4), Signed(32);
    X86_64_RELOC_SUBTRACTOR = 5  []                Mark,    Any;
    X86_64_RELOC_SIGNED_1 = 6    [S + A - P]       Data(4), Signed(32);
    X86_64_RELOC_SIGNED_2 = 7    [S + A - P]       Data(4), Signed(32);
    X86_64_RELOC_SIGNED_4 = 8    [S + A - P]       Data(4), Signed(32);
    X86_64_RELOC_TLV = 9         [TLSDESC + A - P] Data(4), Signed(32), relax;
}

/// The machine.
pub static AMD64: Machine = Machine {
    name: "x86_64",
    cpu: 0x0100_0007,
    subtype: 3,
    strangers: &[],
    page: 0x1000,
    rows: ROWS,
    unsigned: 0,
    subtractor: 5,
    addend: None,
    bias: |kind| match kind {
        0 | 5 => 0,
        6 => -5,
        7 => -6,
        8 => -8,
        _ => -4,
    },
    embeds: |_| true,
    legacy: |_, _| None,
    slot_load: |_, _| None,
    slot_bits: |_, _| false,
    field: |row, _| row.field,
    // `mov reg, [rip + x]` becomes `lea reg, [rip + x]`.
    can_relax: |_, code, at| at >= 2 && code.get(at - 2) == Some(&0x8b),
    relax: |_, code, at| code[at - 2] = 0x8d,
    stub_size: 6,
    stub: |out, at, slot| {
        out[..2].copy_from_slice(&[0xff, 0x25]); // jmp *slot(%rip)
        put(out, 2, at, slot)
    },
    helper: Helper { header_size: 16, header, entry_size: 10, entry },
    thunk: None,
    unwind_dwarf: 0x0400_0000,
    chained_programs: 13 << 16,
    classic_if_unaligned: true,
    always_signed: false,
    always_slides: false,
};

/// Writes the distance from the end of the four bytes at `field` to `to`.
fn put(out: &mut [u8], field: usize, at: u64, to: u64) -> bool {
    let value = to.wrapping_sub(at + field as u64 + 4) as i64;
    Field::Data(4).write(&mut out[field..], value);
    Range::Signed(32).holds(value)
}

fn header(out: &mut [u8], at: u64, private: u64, binder: u64) -> bool {
    // lea private(%rip), %r11; push %r11; jmp *binder(%rip); nop
    out[..16]
        .copy_from_slice(&[0x4c, 0x8d, 0x1d, 0, 0, 0, 0, 0x41, 0x53, 0xff, 0x25, 0, 0, 0, 0, 0x90]);
    put(out, 3, at, private) & put(out, 11, at, binder)
}

fn entry(out: &mut [u8], at: u64, header: u64, offset: u32) -> bool {
    out[0] = 0x68; // push
    out[1..5].copy_from_slice(&offset.to_le_bytes());
    out[5] = 0xe9; // jmp
    put(out, 6, at, header)
}
