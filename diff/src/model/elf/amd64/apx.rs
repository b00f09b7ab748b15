//! Instructions with the prefixes of Intel APX that load or add a word of memory → the same with an
//! immediate instead.
//!
//! Only what relocations of the psABI allow linkers to rewrite; registers 16 to 31 are why it differs from
//! the older prefixes. It must not know symbols.
//!
//! Spec: Intel APX architecture, REX2 and extended EVEX prefixes; x86-64 psABI §4.4, CODE_4_* and CODE_6_*.

/// The bytes up to the field of `input`, which has a displacement from the instruction pointer there, once
/// its memory operand is a sign-extended immediate; `None` if that isn't such an instruction.
pub(super) fn immediate(input: &[u8]) -> Option<Vec<u8>> {
    match *input {
        [0xd5, prefix, op, modrm] if prefix & 0x80 == 0 && modrm & 0xc7 == 5 => {
            let register = modrm >> 3 & 7;
            let (op, modrm) = opcode(op, register)?;
            // R4 and R3 (bits 6 and 2) become B4 and B3 (bits 4 and 0).
            Some(vec![0xd5, prefix & !0x55 | prefix >> 2 & 0x11, op, modrm])
        }
        [0x62, first, second, third, 1 | 3, modrm]
            if first & 0x47 == 0x44 && second & 0x87 == 0x84 && modrm & 0xc7 == 5 =>
        {
            // Stored inverted: R3 and R4 (bits 7 and 4) become B3 (inverted, bit 5) and B4 (bit 3).
            let r3 = first & 0x80 == 0;
            let r4 = first & 0x10 == 0;
            let mut moved = first | 0xb0;
            moved &= !(u8::from(r3) << 5);
            moved = moved & !8 | u8::from(r4) << 3;
            Some(vec![0x62, moved, second, third, 0x81, 0xc0 | modrm >> 3 & 7])
        }
        _ => None,
    }
}

/// Opcode and ModRM of the form with a 32-bit immediate.
fn opcode(op: u8, register: u8) -> Option<(u8, u8)> {
    match op {
        0x8b => Some((0xc7, 0xc0 | register)),
        0x85 => Some((0xf7, 0xc0 | register)),
        _ if op & 0xc7 == 3 => Some((0x81, 0xc0 | op & 0x38 | register)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both sides as clang 22 assembles them.
    #[test]
    fn every_register_moves_with_all_its_bits() {
        let rows: &[(&[u8], &[u8])] = &[
            // mov, add, test in %r31
            (&[0xd5, 0x4c, 0x8b, 0x3d], &[0xd5, 0x19, 0xc7, 0xc7]),
            (&[0xd5, 0x4c, 0x03, 0x3d], &[0xd5, 0x19, 0x81, 0xc7]),
            (&[0xd5, 0x4c, 0x85, 0x3d], &[0xd5, 0x19, 0xf7, 0xc7]),
            // add m, %r31, %r8; add m, %r15, %r31; {nf} add m, %r31
            (&[0x62, 0x64, 0xbc, 0x18, 3, 0x3d], &[0x62, 0xdc, 0xbc, 0x18, 0x81, 0xc7]),
            (&[0x62, 0x74, 0x84, 0x10, 3, 0x3d], &[0x62, 0xd4, 0x84, 0x10, 0x81, 0xc7]),
            (&[0x62, 0x64, 0xfc, 0x0c, 3, 0x3d], &[0x62, 0xdc, 0xfc, 0x0c, 0x81, 0xc7]),
        ];
        for (input, wanted) in rows {
            assert_eq!(immediate(input).as_deref(), Some(*wanted), "{input:02x?}");
        }
        assert_eq!(immediate(&[0x48, 0x8b, 0x05]), None);
        assert_eq!(immediate(&[0xd5, 0x4c, 0x8d, 0x3d]), None);
    }
}
