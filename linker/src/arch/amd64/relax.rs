//! amd64's rewrites: loads from the GOT, and the TLS sequences of psABI §11.1 and the TLSDESC
//! paper. A sequence that is not byte for byte the documented one is left alone.

use super::apx;
use crate::arch::Relax;

/// The call that follows a GD or LD load.
enum Call {
    Direct,
    Indirect,
    /// Through a register, by an offset from the GOT: the large code model.
    Large,
}

/// Bytes `from..from + N` of `code`, if they are there.
pub(super) fn window<const N: usize>(code: &[u8], from: Option<usize>) -> Option<&[u8; N]> {
    let from = from?;
    code.get(from..from.checked_add(N)?)?.try_into().ok()
}

fn is_call(kind: u32) -> bool {
    // PC32 and PLT32 go with `call f`, GOTPCREL and its relaxable forms with `call *f@GOTPCREL`.
    matches!(kind, 2 | 4 | 9 | 41 | 42)
}

/// `lea x(%rip), %rdi` before its displacement.
const LEA: [u8; 3] = [0x48, 0x8d, 0x3d];

/// R_X86_64_PLTOFF64, on the call of the large code model.
const PLTOFF64: u32 = 31;

/// `movabs $__tls_get_addr@pltoff, %rax; add %rbx, %rax; call *%rax`, or with %r15, behind the `lea`
/// whose displacement is at `at`.
fn large_call(code: &[u8], at: usize, next: (u64, u32)) -> bool {
    let load = window::<2>(code, Some(at + 4)) == Some(&[0x48, 0xb8]);
    let call = window::<5>(code, Some(at + 14)).is_some_and(|b| {
        matches!(b, [0x48, 0x01, 0xd8, 0xff, 0xd0] | [0x4c, 0x01, 0xf8, 0xff, 0xd0])
    });
    load && call && next == (at as u64 + 6, PLTOFF64)
}

/// The form of the general-dynamic sequence whose `lea` displacement is at `at`.
fn gd_call(code: &[u8], at: usize, next: Option<(u64, u32)>) -> Option<Call> {
    let (next_at, next_kind) = next?;
    if window::<3>(code, at.checked_sub(3)) == Some(&LEA) && large_call(code, at, next?) {
        return Some(Call::Large);
    }
    let lea = window::<4>(code, at.checked_sub(4))?;
    let call = window::<4>(code, Some(at + 4))?;
    window::<4>(code, Some(at + 8))?;
    if lea != &[0x66, 0x48, 0x8d, 0x3d] || next_at != at as u64 + 8 || !is_call(next_kind) {
        return None;
    }
    match call {
        [0x66, 0x66, 0x48, 0xe8] => Some(Call::Direct),
        [0x66, 0x48, 0xff, 0x15] => Some(Call::Indirect),
        _ => None,
    }
}

/// The form of the local-dynamic sequence whose `lea` displacement is at `at`.
fn ld_call(code: &[u8], at: usize, next: Option<(u64, u32)>) -> Option<Call> {
    let (next_at, next_kind) = next?;
    if window::<3>(code, at.checked_sub(3))? != &LEA {
        return None;
    }
    if large_call(code, at, next?) {
        return Some(Call::Large);
    }
    if !is_call(next_kind) {
        return None;
    }
    let call = window::<2>(code, Some(at + 4))?;
    if call[0] == 0xe8 && next_at == at as u64 + 5 {
        window::<4>(code, Some(at + 5))?;
        return Some(Call::Direct);
    }
    if call == &[0xff, 0x15] && next_at == at as u64 + 6 {
        window::<4>(code, Some(at + 6))?;
        return Some(Call::Indirect);
    }
    None
}

/// Whether `mov`/`add` with a RIP-relative operand and a REX.W prefix (maybe REX.R) is before `at`.
fn rex_op(code: &[u8], at: usize, ops: &[u8]) -> bool {
    window::<3>(code, at.checked_sub(3))
        .is_some_and(|b| matches!(b[0], 0x48 | 0x4c) && ops.contains(&b[1]) && b[2] & 0xc7 == 5)
}

/// Whether the code around `offset` has the form that `what` rewrites.
pub(super) fn can(
    code: &[u8],
    offset: u64,
    kind: u32,
    what: Relax,
    next: Option<(u64, u32)>,
) -> bool {
    let at = offset as usize;
    match what {
        Relax::GotToPc if kind == 42 => window::<3>(code, at.checked_sub(3)).is_some_and(|b| {
            b[0] & 0xf0 == 0x40 && b[1] == 0x8b && b[2] & 0xc7 == 5 && b[0] & 8 != 0
        }),
        Relax::GotToPc if kind == 43 => apx::rex2_op(code, at, &[0x8b]),
        Relax::GotToPc => window::<2>(code, at.checked_sub(2)).is_some_and(|b| {
            (b[0] == 0x8b && b[1] & 0xc7 == 5) || b == &[0xff, 0x15] || b == &[0xff, 0x25]
        }),
        Relax::GdToLe | Relax::GdToIe => gd_call(code, at, next).is_some(),
        Relax::LdToLe => ld_call(code, at, next).is_some(),
        Relax::IeToLe => match kind {
            44 => apx::rex2_op(code, at, &[0x8b, 0x03]),
            50 => apx::evex_add(code, at),
            _ => kind == 22 && rex_op(code, at, &[0x8b, 0x03]),
        },
        Relax::DescToLe | Relax::DescToIe if kind == 45 => apx::rex2_op(code, at, &[0x8d]),
        Relax::DescToLe | Relax::DescToIe => kind == 34 && rex_op(code, at, &[0x8d]),
        Relax::DescCall => window::<2>(code, Some(at)) == Some(&[0xff, 0x10]),
    }
}

/// Rewrites the instruction or sequence around `offset`; `value` is what the new field is to hold
/// before the place is subtracted; false if it does not fit.
pub(super) fn rewrite(
    code: &mut [u8],
    offset: u64,
    kind: u32,
    what: Relax,
    value: i64,
    place: u64,
) -> bool {
    let at = offset as usize;
    let relative =
        |field: u64| value.wrapping_sub(place.wrapping_add(field).wrapping_add(4) as i64);
    let fits = |code: &mut [u8], at: usize, value: i64| {
        code[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        i32::try_from(value).is_ok()
    };
    match what {
        Relax::GotToPc => got_to_pc(code, at, kind, value, place),
        Relax::GdToLe | Relax::GdToIe => {
            let field = gd_field(code, at);
            code[field - 12..field - 3].copy_from_slice(&THREAD_POINTER);
            if field == at + 9 {
                code[at + 13..at + 19].copy_from_slice(&[0x66, 0x0f, 0x1f, 0x44, 0, 0]);
            }
            if what == Relax::GdToLe {
                code[field - 3..field].copy_from_slice(&[0x48, 0x8d, 0x80]);
                fits(code, field, value)
            } else {
                code[field - 3..field].copy_from_slice(&[0x48, 0x03, 0x05]);
                fits(code, field, relative((field - at) as u64))
            }
        }
        Relax::LdToLe => {
            ld_to_le(code, at);
            true
        }
        Relax::IeToLe | Relax::DescToLe if kind >= 43 => {
            apx::to_immediate(&mut code[..at], kind);
            fits(code, at, value)
        }
        Relax::IeToLe => {
            ie_to_le(&mut code[at - 3..at]);
            fits(code, at, value)
        }
        Relax::DescToLe => {
            let reg = (code[at - 1] >> 3) & 7;
            code[at - 3] = 0x48 | (code[at - 3] & 4) >> 2;
            code[at - 2] = 0xc7;
            code[at - 1] = 0xc0 | reg;
            fits(code, at, value)
        }
        Relax::DescToIe => {
            code[at - 2] = 0x8b;
            fits(code, at, relative(0))
        }
        Relax::DescCall => {
            code[at..at + 2].copy_from_slice(&[0x66, 0x90]);
            true
        }
    }
}

/// `mov %fs:0, %rax`
const THREAD_POINTER: [u8; 9] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0];

/// Where the field is once the general-dynamic sequence at `at` is rewritten: the large code model's
/// is without the prefix that the others begin with.
fn gd_field(code: &[u8], at: usize) -> usize {
    let large = window::<2>(code, Some(at + 4)) == Some(&[0x48, 0xb8]);
    if large { at + 9 } else { at + 8 }
}

/// `lea x@tlsld(%rip), %rdi; call __tls_get_addr` → `mov %fs:0, %rax`, padded by prefixes; in the
/// large code model behind `cs nopw 0(%rax,%rax); nop`.
fn ld_to_le(code: &mut [u8], at: usize) {
    let padding: &[u8] = match code[at + 4] {
        0xe8 => &[0x66; 3],
        0xff => &[0x66; 4],
        _ => &[0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0x66, 0x90],
    };
    let load = at - 3 + padding.len();
    code[at - 3..load].copy_from_slice(padding);
    code[load..load + THREAD_POINTER.len()].copy_from_slice(&THREAD_POINTER);
}

/// The relocation of what [`rewrite`] leaves: PC32, TPOFF or GOTTPOFF in another's place.
pub(super) fn rewritten(
    code: &[u8],
    offset: u64,
    kind: u32,
    what: Relax,
) -> Option<(i64, u32, i64)> {
    let at = offset as usize;
    match what {
        Relax::GotToPc => {
            let jump = window::<2>(code, at.checked_sub(2)) == Some(&[0xff, 0x25]) && kind != 43;
            Some((if jump { -1 } else { 0 }, 2, 0))
        }
        Relax::GdToLe => Some(((gd_field(code, at) - at) as i64, 23, 4)),
        Relax::GdToIe => Some(((gd_field(code, at) - at) as i64, 22, 0)),
        Relax::IeToLe | Relax::DescToLe => Some((0, 23, 4)),
        Relax::DescToIe => Some((0, if kind == 45 { 44 } else { 22 }, 0)),
        // An offset in the module is one from the thread pointer now.
        Relax::LdToLe if kind == 21 => Some((0, 23, 0)),
        Relax::LdToLe if kind == 17 => Some((0, 18, 0)),
        Relax::LdToLe | Relax::DescCall => None,
    }
}

/// `mov x@gottpoff(%rip), %r` → `mov $x, %r`; `add` → `lea x(%r), %r`, or `add $x` for %rsp, %r12.
fn ie_to_le(op: &mut [u8]) {
    let reg = (op[2] >> 3) & 7;
    let high = op[0] & 4 != 0;
    match op[1] {
        0x8b => op.copy_from_slice(&[0x48 | u8::from(high), 0xc7, 0xc0 | reg]),
        _ if reg == 4 => op.copy_from_slice(&[0x48 | u8::from(high), 0x81, 0xc0 | reg]),
        _ => op.copy_from_slice(&[if high { 0x4d } else { 0x48 }, 0x8d, 0x80 | reg << 3 | reg]),
    }
}

/// `mov x@GOTPCREL(%rip), %r` → `lea x(%rip), %r`; `call *` → `addr32 call`; `jmp *` → `jmp; nop`.
fn got_to_pc(code: &mut [u8], at: usize, kind: u32, value: i64, place: u64) -> bool {
    let mut field = at;
    if code[at - 2] == 0x8b {
        code[at - 2] = 0x8d;
    } else if kind == 41 && code[at - 1] == 0x15 {
        code[at - 2..at].copy_from_slice(&[0x67, 0xe8]);
    } else {
        code[at - 2] = 0xe9;
        code[at + 3] = 0x90;
        field = at - 1;
    }
    let end = place.wrapping_sub(at as u64).wrapping_add(field as u64 + 4);
    let value = value.wrapping_sub(end as i64);
    code[field..field + 4].copy_from_slice(&(value as u32).to_le_bytes());
    i32::try_from(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Relax, can, rewrite};

    #[test]
    fn a_load_becomes_lea() {
        let mut code = [0x48, 0x8b, 0x05, 0, 0, 0, 0];
        assert!(can(&code, 3, 42, Relax::GotToPc, None));
        assert!(rewrite(&mut code, 3, 42, Relax::GotToPc, 0x2000, 0x1003));
        assert_eq!(code, [0x48, 0x8d, 0x05, 0xf9, 0x0f, 0, 0]);
    }

    #[test]
    fn a_jump_ends_in_a_nop() {
        let mut code = [0xff, 0x25, 0, 0, 0, 0];
        assert!(can(&code, 2, 41, Relax::GotToPc, None));
        assert!(rewrite(&mut code, 2, 41, Relax::GotToPc, 0x2000, 0x1002));
        assert_eq!(code, [0xe9, 0xfb, 0x0f, 0, 0, 0x90]);
    }

    #[test]
    fn add_to_r12_stays_an_add() {
        let mut code = [0x4c, 0x03, 0x25, 0, 0, 0, 0];
        assert!(rewrite(&mut code, 3, 22, Relax::IeToLe, -16, 0));
        assert_eq!(code, [0x49, 0x81, 0xc4, 0xf0, 0xff, 0xff, 0xff]);
    }

    /// The large code model's call behind `lea x(%rip), %rdi`.
    const LARGE: [u8; 22] = [
        0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x4c, 0x01, 0xf8, 0xff,
        0xd0,
    ];

    #[test]
    fn the_large_code_model_s_calls_are_known() {
        let next = Some((9, 31));
        let mut code = LARGE;
        assert!(can(&code, 3, 19, Relax::GdToLe, next) && can(&code, 3, 20, Relax::LdToLe, next));
        assert!(!can(&code, 3, 19, Relax::GdToLe, Some((9, 4))));
        assert!(rewrite(&mut code, 3, 19, Relax::GdToLe, -8, 0x1003));
        assert_eq!(code[..9], [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], "mov %fs:0, %rax");
        assert_eq!(code[9..16], [0x48, 0x8d, 0x80, 0xf8, 0xff, 0xff, 0xff], "lea -8(%rax), %rax");
        assert_eq!(code[16..], [0x66, 0x0f, 0x1f, 0x44, 0, 0], "nop");
        let mut code = LARGE;
        assert!(rewrite(&mut code, 3, 19, Relax::GdToIe, 0x2000, 0x1003));
        assert_eq!(code[9..16], [0x48, 0x03, 0x05, 0xf0, 0x0f, 0, 0], "add slot(%rip), %rax");
        let mut code = LARGE;
        assert!(rewrite(&mut code, 3, 20, Relax::LdToLe, 0, 0x1003));
        assert_eq!(code[13..], [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], "mov %fs:0, %rax");
    }

    #[test]
    fn an_unknown_sequence_is_left_alone() {
        let code = [0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x90, 0xe8, 0, 0, 0, 0];
        assert!(!can(&code, 3, 20, Relax::LdToLe, Some((9, 4))));
    }
}
