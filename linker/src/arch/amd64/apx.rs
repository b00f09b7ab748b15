//! APX forms of the rewritten instructions: REX2 prefixes and extended EVEX ones (psABI §4.4, the
//! CODE_4 and CODE_6 relocations). They differ from the classic forms in where register bits are.

use super::relax::window;
use super::*;

/// Whether relocations of this type are on APX instructions.
pub(super) fn has(kind: u32) -> bool {
    kind >= R_X86_64_CODE_4_GOTPCRELX
}

/// Whether a REX2.W instruction with a RIP-relative operand, its opcode one of `ops`, is before
/// `at`.
pub(super) fn rex2_op(code: &[u8], at: usize, ops: &[u8]) -> bool {
    // The payload is M0 R4 X4 B4 W R3 X3 B3; M0 would select another opcode map.
    window::<4>(code, at.checked_sub(4)).is_some_and(|b| {
        b[0] == 0xd5 && b[1] & 0x88 == 0x08 && ops.contains(&b[2]) && b[3] & 0xc7 == 5
    })
}

/// Whether an EVEX `add` that reads its RIP-relative operand is before `at`.
pub(super) fn evex_add(code: &[u8], at: usize) -> bool {
    window::<6>(code, at.checked_sub(6)).is_some_and(|b| {
        let map4 = b[0] == 0x62 && b[1] & 7 == 4 && b[2] & 0x83 == 0x80;
        // Without a new destination, opcode 1 writes to memory.
        let reads = b[4] == 3 || b[4] == 1 && b[3] & 0x10 != 0;
        map4 && reads && b[5] & 0xc7 == 5
    })
}

/// Rewrites in `out` the instruction at the end of `input` to take an immediate: `mov` and `lea` become
/// `mov $x`, `add` becomes `add $x`; the register moves from ModRM.reg to ModRM.rm.
pub(super) fn to_immediate(input: &[u8], out: &mut [u8], kind: u32) {
    let at = input.len();
    out[at - 1] = 0xc0 | (input[at - 1] >> 3) & 7;
    if kind == R_X86_64_CODE_6_GOTTPOFF {
        // R3 X3 B3 R4 (inverted), B4, then the map.
        let p = input[at - 5];
        out[at - 5] = p & 0x47 | 0x90 | (p & 0x80) >> 2 | (!p & 0x10) >> 1;
        out[at - 2] = 0x81;
        return;
    }
    let payload = input[at - 3];
    out[at - 3] = payload & 0x88 | (payload & 0x44) >> 2;
    out[at - 2] = if input[at - 2] == 0x03 { 0x81 } else { 0xc7 };
}

#[cfg(test)]
mod tests {
    use super::super::relax::{can, rewrite};
    use super::*;
    use crate::arch::Relax;

    fn relaxed(kind: u32, what: Relax, code: &[u8]) -> Vec<u8> {
        let mut code = [code, &[0; 4]].concat();
        let at = code.len() as u64 - 4;
        let found = can(&code, at, kind, what, None).unwrap();
        assert!(rewrite(&code.clone(), &mut code, (at, kind), found, -8, at));
        code
    }

    #[test]
    fn rex2_forms_keep_their_register() {
        let mov = relaxed(R_X86_64_CODE_4_GOTTPOFF, Relax::IeToLe, &[0xd5, 0x4c, 0x8b, 0x3d]);
        assert_eq!(mov, [0xd5, 0x19, 0xc7, 0xc7, 0xf8, 0xff, 0xff, 0xff], "mov $-8, %r31");
        let add = relaxed(R_X86_64_CODE_4_GOTTPOFF, Relax::IeToLe, &[0xd5, 0x48, 0x03, 0x05]);
        assert_eq!(add, [0xd5, 0x18, 0x81, 0xc0, 0xf8, 0xff, 0xff, 0xff], "add $-8, %r16");
        let lea =
            relaxed(R_X86_64_CODE_4_GOTPC32_TLSDESC, Relax::DescToLe, &[0xd5, 0x48, 0x8d, 0x05]);
        assert_eq!(lea, [0xd5, 0x18, 0xc7, 0xc0, 0xf8, 0xff, 0xff, 0xff]);
        let load =
            relaxed(R_X86_64_CODE_4_GOTPC32_TLSDESC, Relax::DescToIe, &[0xd5, 0x48, 0x8d, 0x05]);
        assert_eq!(load[..4], [0xd5, 0x48, 0x8b, 0x05]);
        let near = relaxed(R_X86_64_CODE_4_GOTPCRELX, Relax::GotToPc, &[0xd5, 0x48, 0x8b, 0x05]);
        assert_eq!(near[..4], [0xd5, 0x48, 0x8d, 0x05]);
    }

    #[test]
    fn evex_forms_keep_both_registers() {
        let ndd =
            relaxed(R_X86_64_CODE_6_GOTTPOFF, Relax::IeToLe, &[0x62, 0xf4, 0xe4, 0x18, 0x01, 0x05]);
        assert_eq!(ndd[..6], [0x62, 0xf4, 0xe4, 0x18, 0x81, 0xc0], "add $-8, %rax, %rbx");
        // add x(%rip), %r31, %r18: R3 and R4 move to B3 and B4.
        let high =
            relaxed(R_X86_64_CODE_6_GOTTPOFF, Relax::IeToLe, &[0x62, 0x64, 0xec, 0x10, 0x03, 0x3d]);
        assert_eq!(high[..6], [0x62, 0xdc, 0xec, 0x10, 0x81, 0xc7]);
    }

    #[test]
    fn what_writes_memory_is_left_alone() {
        let store = [0x62, 0xf4, 0xfc, 0x0c, 0x01, 0x05, 0, 0, 0, 0];
        assert!(can(&store, 6, R_X86_64_CODE_6_GOTTPOFF, Relax::IeToLe, None).is_none());
        let test = [0xd5, 0x48, 0x85, 0x05, 0, 0, 0, 0];
        assert!(can(&test, 4, R_X86_64_CODE_4_GOTPCRELX, Relax::GotToPc, None).is_none());
    }
}
