//! amd64: one field shape (a little-endian word), everything place-relative reaches ±2 GiB.
//!
//! Rows follow x86-64 psABI 1.0 §4.4; the PLT is its lazy form (§5.2). The thread pointer is the
//! end of the static TLS block (variant II).

mod apx;
mod relax;

use super::{
    Arch, DynTypes, InitField, Merge, ModuleInit, Plt, PltEntries, Properties, ThreadPointer, rows,
};
use crate::format::elf::SHT_PROGBITS;
use crate::format::elf::class::Class;

rows! {
    R_X86_64_NONE = 0             []                Mark,     Any;
    R_X86_64_64 = 1               [S + A]           Data(8),  Any;
    R_X86_64_PC32 = 2             [S + A - P]       Data(4),  Signed(32);
    R_X86_64_GOT32 = 3            [G + A]           Data(4),  Signed(32);
    R_X86_64_PLT32 = 4            [L + A - P]       Data(4),  Signed(32);
    R_X86_64_GOTPCREL = 9         [G + GOT + A - P] Data(4),  Signed(32);
    R_X86_64_32 = 10              [S + A]           Data(4),  Unsigned(32);
    R_X86_64_32S = 11             [S + A]           Data(4),  Signed(32);
    R_X86_64_16 = 12              [S + A]           Data(2),  Either(16);
    R_X86_64_PC16 = 13            [S + A - P]       Data(2),  Signed(16);
    R_X86_64_8 = 14               [S + A]           Data(1),  Either(8);
    R_X86_64_PC8 = 15             [S + A - P]       Data(1),  Signed(8);
    R_X86_64_DTPOFF64 = 17        [DTPOFF + A]      Data(8),  Any;
    R_X86_64_TPOFF64 = 18         [TPOFF + A]       Data(8),  Any;
    R_X86_64_TLSGD = 19           [TLSGD + A - P]   Data(4),  Signed(32);
    R_X86_64_TLSLD = 20           [TLSLD + A - P]   Data(4),  Signed(32);
    R_X86_64_DTPOFF32 = 21        [DTPOFF + A]      Data(4),  Signed(32);
    R_X86_64_GOTTPOFF = 22        [GOTTPOFF + A - P] Data(4), Signed(32);
    R_X86_64_TPOFF32 = 23         [TPOFF + A]       Data(4),  Signed(32);
    R_X86_64_PC64 = 24            [S + A - P]       Data(8),  Any;
    R_X86_64_GOTOFF64 = 25        [S + A - GOT]     Data(8),  Any;
    R_X86_64_GOTPC32 = 26         [GOT + A - P]     Data(4),  Signed(32);
    R_X86_64_GOT64 = 27           [G + A]           Data(8),  Any;
    R_X86_64_GOTPCREL64 = 28      [G + GOT + A - P] Data(8),  Any;
    R_X86_64_GOTPC64 = 29         [GOT + A - P]     Data(8),  Any;
    R_X86_64_GOTPLT64 = 30        [G + A]           Data(8),  Any;
    R_X86_64_PLTOFF64 = 31        [L - GOT + A]     Data(8),  Any;
    R_X86_64_SIZE32 = 32          [Z + A]           Data(4),  Unsigned(32);
    R_X86_64_SIZE64 = 33          [Z + A]           Data(8),  Any;
    R_X86_64_GOTPC32_TLSDESC = 34 [TLSDESC + A - P] Data(4),  Signed(32), relax;
    R_X86_64_TLSDESC_CALL = 35    [TLSCALL]         Mark,     Any;
    R_X86_64_GOTPCRELX = 41       [G + GOT + A - P] Data(4),  Signed(32), relax;
    R_X86_64_REX_GOTPCRELX = 42   [G + GOT + A - P] Data(4),  Signed(32), relax;
    R_X86_64_CODE_4_GOTPCRELX = 43 [G + GOT + A - P] Data(4), Signed(32), relax;
    R_X86_64_CODE_4_GOTTPOFF = 44 [GOTTPOFF + A - P] Data(4), Signed(32);
    R_X86_64_CODE_4_GOTPC32_TLSDESC = 45 [TLSDESC + A - P] Data(4), Signed(32), relax;
    R_X86_64_CODE_5_GOTPCRELX = 46 [G + GOT + A - P] Data(4), Signed(32);
    R_X86_64_CODE_5_GOTTPOFF = 47 [GOTTPOFF + A - P] Data(4), Signed(32);
    R_X86_64_CODE_5_GOTPC32_TLSDESC = 48 [TLSDESC + A - P] Data(4), Signed(32), relax;
    R_X86_64_CODE_6_GOTPCRELX = 49 [G + GOT + A - P] Data(4), Signed(32);
    R_X86_64_CODE_6_GOTTPOFF = 50 [GOTTPOFF + A - P] Data(4), Signed(32);
    R_X86_64_CODE_6_GOTPC32_TLSDESC = 51 [TLSDESC + A - P] Data(4), Signed(32), relax;
}

/// `.eh_frame`, as some assemblers mark it.
const SHT_X86_64_UNWIND: u32 = 0x7000_0001;
/// A common symbol beyond 2 GiB.
const SHN_X86_64_LCOMMON: u16 = 0xff02;
/// A section beyond 2 GiB.
const SHF_X86_64_LARGE: u64 = 0x1000_0000;

/// psABI §5.1 "Program Property".
fn merge(kind: u32) -> Option<Merge> {
    Some(match kind {
        // GNU_PROPERTY_X86_FEATURE_1_AND and its kind: IBT, SHSTK, LAM.
        0xc000_0002..=0xc000_7fff => Merge::And,
        // ..._FEATURE_2_NEEDED, ..._ISA_1_NEEDED.
        0xc000_8000..=0xc000_ffff => Merge::Or,
        // ..._FEATURE_2_USED, ..._ISA_1_USED: unknown for one object is unknown for all.
        0xc001_0000..=0xc001_7fff => Merge::OrAnd,
        _ => return None,
    })
}

/// As the Go linker has it.
const MODULE_INIT: ModuleInit = ModuleInit {
    code: &[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3],
    align: 16,
    data: &[InitField { offset: 3, kind: R_X86_64_PC32, addend: -4 }],
    call: InitField { offset: 8, kind: R_X86_64_PLT32, addend: -4 },
    marks: &[],
    text: &["lea  DATA(%rip), %rdi", "call runtime.addmoduledata@plt", "ret"],
};

/// The machine.
pub const AMD64: Arch = Arch {
    name: "amd64",
    machine: 62,
    emulation: "elf_x86_64",
    format: "elf64-x86-64",
    class: Class::Elf64,
    explicit_addends: true,
    page: 0x1000,
    base: 0x40_0000,
    section_kind: |kind| if kind == SHT_X86_64_UNWIND { SHT_PROGBITS } else { kind },
    commons: &[SHN_X86_64_LCOMMON],
    large: SHF_X86_64_LARGE,
    properties: Properties {
        merge,
        feature: 0xc000_0002,
        marked: 1,
        returns: 2,
        isa: Some(0xc000_8002),
    },
    variant: None,
    thread_pointer: ThreadPointer::End,
    base_is_got_plt: true,
    dynamic: DynTypes {
        word: R_X86_64_64,
        relative: 8,
        glob_dat: 6,
        jump_slot: 7,
        copy: 5,
        irelative: 37,
        dtpmod: 16,
        dtpoff: R_X86_64_DTPOFF64,
        tpoff: R_X86_64_TPOFF64,
        tlsdesc: 36,
    },
    plt: Plt { header: 16, reserved: 3 },
    plt_marks: &[],
    interp: "/lib64/ld-linux-x86-64.so.2",
    no_addend: -4,
    errata: &[],
    nop: &[0x90],
    attributes: None,
    index: None,
    thunks: None,
    irelative_with_jumps: true,
    two_states: false,
    rewrites_ld: true,
    module_init: MODULE_INIT,
    chosen: None,
    rows: ROWS,
    plt_header,
    plt_entries: |marked, _| if marked { &MARKED } else { &PLAIN },
    desc_call: &[],
    desc_argument: 1,
    can_relax: relax::can,
    relax: relax::rewrite,
    relaxed: relax::rewritten,
};

static PLAIN: PltEntries = PltEntries {
    size: 16,
    lazy: plt_entry,
    eager: plt_eager,
    first: |entry, _| entry + 6,
    tags: &[],
};

static MARKED: PltEntries = PltEntries {
    size: 32,
    lazy: plt_marked,
    eager: plt_eager,
    first: |entry, _| entry + 16,
    tags: &[],
};

/// The distance from the end of an instruction's displacement at `place` to `target`.
fn displacement(target: u64, place: u64) -> [u8; 4] {
    (target.wrapping_sub(place.wrapping_add(4)) as u32).to_le_bytes()
}

/// `push got+8(%rip); jmp *got+16(%rip); nop`
fn plt_header(buf: &mut [u8], at: u64, got: u64) {
    buf[..16]
        .copy_from_slice(&[0xff, 0x35, 0, 0, 0, 0, 0xff, 0x25, 0, 0, 0, 0, 0x0f, 0x1f, 0x40, 0]);
    buf[2..6].copy_from_slice(&displacement(got + 8, at + 2));
    buf[8..12].copy_from_slice(&displacement(got + 16, at + 8));
}

/// `jmp *slot(%rip); push $index; jmp header`
fn plt_entry(buf: &mut [u8], at: u64, slot: u64, index: u32, header: u64) {
    buf[..12].copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0, 0x68, 0, 0, 0, 0, 0xe9]);
    buf[2..6].copy_from_slice(&displacement(slot, at + 2));
    buf[7..11].copy_from_slice(&index.to_le_bytes());
    buf[12..16].copy_from_slice(&displacement(header, at + 12));
}

/// `endbr64; jmp *slot(%rip); nop; endbr64; push $index; jmp header; nop`
fn plt_marked(buf: &mut [u8], at: u64, slot: u64, index: u32, header: u64) {
    plt_eager(buf, at, slot);
    buf[16..32]
        .copy_from_slice(&[0xf3, 0x0f, 0x1e, 0xfa, 0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0, 0x66, 0x90]);
    buf[21..25].copy_from_slice(&index.to_le_bytes());
    buf[26..30].copy_from_slice(&displacement(header, at + 26));
}

/// `endbr64; jmp *slot(%rip); nop`
fn plt_eager(buf: &mut [u8], at: u64, slot: u64) {
    buf[..16].copy_from_slice(&[
        0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0, 0, 0, 0, 0x66, 0x0f, 0x1f, 0x44, 0, 0,
    ]);
    buf[6..10].copy_from_slice(&displacement(slot, at + 6));
}
