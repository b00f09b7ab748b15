//! The code that hands a module's data to its host's runtime, as the Go linker makes it: one row a machine.

use scold_diff::request::Arch;

use super::Piece;
use super::code::piece;

/// Instructions that refer to two symbols.
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    /// With the fields that refer to the data.
    pub code: Piece,
    /// The field of the call: offset, type, addend.
    pub call: (u64, u32, i64),
    /// Its alignment.
    pub align: u64,
}

/// The machine's.
pub fn of(arch: Arch) -> Announce {
    match arch {
        // lea; R_X86_64_PC32, R_X86_64_PLT32.
        Arch::Amd64 => Announce {
            code: piece(&[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3], &[(3, 2, -4)]),
            call: (8, 4, -4),
            align: 16,
        },
        // adrp, add, b; R_AARCH64_ADR_PREL_PG_HI21, ADD_ABS_LO12_NC, CALL26.
        Arch::Arm64 => Announce {
            code: piece(
                &[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14],
                &[(0, 275, 0), (4, 277, 0)],
            ),
            call: (8, 283, 0),
            align: 16,
        },
        // ldr, add, b, the distance; R_ARM_REL32, R_ARM_JUMP24.
        Arch::Arm => Announce {
            code: piece(
                &[4, 0, 0x9f, 0xe5, 0, 0, 0x8f, 0xe0, 0xfe, 0xff, 0xff, 0xea, 0, 0, 0, 0],
                &[(12, 3, 0)],
            ),
            call: (8, 29, -8),
            align: 4,
        },
    }
}
