//! amd64's rewrites: loads from the GOT, and the TLS sequences of psABI §11.1 and the TLSDESC
//! paper. A sequence that is not byte for byte the documented one is left alone.

use super::*;
use crate::arch::{Relax, Rewrite};

/// The call behind a GD or LD load.
const DIRECT: u8 = 0;
const INDIRECT: u8 = 1;
/// Through a register, by an offset from the GOT: the large code model.
const LARGE: u8 = 2;

/// What loads from the GOT, or calls or jumps through it.
const LOAD: u8 = 0;
const CALL: u8 = 1;
const JUMP: u8 = 2;

/// Bytes `from..from + N` of `code`, if they are there.
pub(super) fn window<const N: usize>(code: &[u8], from: Option<usize>) -> Option<&[u8; N]> {
    let from = from?;
    code.get(from..from.checked_add(N)?)?.try_into().ok()
}

fn is_call(kind: u32) -> bool {
    // PC32 and PLT32 go with `call f`, GOTPCREL and its relaxable forms with `call *f@GOTPCREL`.
    matches!(
        kind,
        R_X86_64_PC32
            | R_X86_64_PLT32
            | R_X86_64_GOTPCREL
            | R_X86_64_GOTPCRELX
            | R_X86_64_REX_GOTPCRELX
    )
}

/// `lea x(%rip), %rdi` before its displacement.
const LEA: [u8; 3] = [0x48, 0x8d, 0x3d];

/// `movabs $__tls_get_addr@pltoff, %rax; add %rbx, %rax; call *%rax`, or with %r15, behind the `lea`
/// whose displacement is at `at`.
fn large_call(code: &[u8], at: usize, next: (u64, u32)) -> bool {
    let load = window::<2>(code, Some(at + 4)) == Some(&[0x48, 0xb8]);
    let call = window::<5>(code, Some(at + 14)).is_some_and(|b| {
        matches!(b, [0x48, 0x01, 0xd8, 0xff, 0xd0] | [0x4c, 0x01, 0xf8, 0xff, 0xd0])
    });
    load && call && next == (at as u64 + 6, R_X86_64_PLTOFF64)
}

/// The form of the general-dynamic sequence whose `lea` displacement is at `at`.
fn gd_call(code: &[u8], at: usize, next: Option<(u64, u32)>) -> Option<u8> {
    let (next_at, next_kind) = next?;
    if window::<3>(code, at.checked_sub(3)) == Some(&LEA) && large_call(code, at, next?) {
        return Some(LARGE);
    }
    let lea = window::<4>(code, at.checked_sub(4))?;
    let call = window::<4>(code, Some(at + 4))?;
    window::<4>(code, Some(at + 8))?;
    if lea != &[0x66, 0x48, 0x8d, 0x3d] || next_at != at as u64 + 8 || !is_call(next_kind) {
        return None;
    }
    match call {
        [0x66, 0x66, 0x48, 0xe8] => Some(DIRECT),
        [0x66, 0x48, 0xff, 0x15] => Some(INDIRECT),
        _ => None,
    }
}

/// The form of the local-dynamic sequence whose `lea` displacement is at `at`.
fn ld_call(code: &[u8], at: usize, next: Option<(u64, u32)>) -> Option<u8> {
    let (next_at, next_kind) = next?;
    if window::<3>(code, at.checked_sub(3))? != &LEA {
        return None;
    }
    if large_call(code, at, next?) {
        return Some(LARGE);
    }
    if !is_call(next_kind) {
        return None;
    }
    let call = window::<2>(code, Some(at + 4))?;
    if call[0] == 0xe8 && next_at == at as u64 + 5 {
        window::<4>(code, Some(at + 5))?;
        return Some(DIRECT);
    }
    if call == &[0xff, 0x15] && next_at == at as u64 + 6 {
        window::<4>(code, Some(at + 6))?;
        return Some(INDIRECT);
    }
    None
}

/// Whether `mov`/`add` with a RIP-relative operand and a REX.W prefix (maybe REX.R) is before `at`.
fn rex_op(code: &[u8], at: usize, ops: &[u8]) -> bool {
    window::<3>(code, at.checked_sub(3))
        .is_some_and(|b| matches!(b[0], 0x48 | 0x4c) && ops.contains(&b[1]) && b[2] & 0xc7 == 5)
}

/// The form of the instruction with a GOT slot as operand, whose displacement is at `at`.
fn got_form(code: &[u8], at: usize, kind: u32) -> Option<u8> {
    match kind {
        R_X86_64_REX_GOTPCRELX => window::<3>(code, at.checked_sub(3)).and_then(|b| {
            (b[0] & 0xf8 == 0x48 && b[1] == 0x8b && b[2] & 0xc7 == 5).then_some(LOAD)
        }),
        R_X86_64_CODE_4_GOTPCRELX => apx::rex2_op(code, at, &[0x8b]).then_some(LOAD),
        _ => match window::<2>(code, at.checked_sub(2))? {
            [0x8b, operand] if operand & 0xc7 == 5 => Some(LOAD),
            [0xff, 0x15] if kind == R_X86_64_GOTPCRELX => Some(CALL),
            [0xff, 0x25] => Some(JUMP),
            _ => None,
        },
    }
}

/// What can be done to the code around `offset` if `what` is wanted.
pub(super) fn can(
    code: &[u8],
    offset: u64,
    kind: u32,
    what: Relax,
    next: Option<(u64, u32)>,
) -> Option<Rewrite> {
    let at = offset as usize;
    let only = |is: bool| is.then_some(0);
    let form = match what {
        Relax::GotToPc => got_form(code, at, kind),
        Relax::GdToLe | Relax::GdToIe => gd_call(code, at, next),
        Relax::LdToLe => ld_call(code, at, next),
        Relax::IeToLe => only(match kind {
            R_X86_64_CODE_4_GOTTPOFF => apx::rex2_op(code, at, &[0x8b, 0x03]),
            R_X86_64_CODE_6_GOTTPOFF => apx::evex_add(code, at),
            R_X86_64_GOTTPOFF => rex_op(code, at, &[0x8b, 0x03]),
            _ => false,
        }),
        Relax::DescToLe | Relax::DescToIe => only(match kind {
            R_X86_64_CODE_4_GOTPC32_TLSDESC => apx::rex2_op(code, at, &[0x8d]),
            R_X86_64_GOTPC32_TLSDESC => rex_op(code, at, &[0x8d]),
            _ => false,
        }),
        Relax::DescLoad | Relax::Desc => None,
        Relax::DescCall => only(window::<2>(code, Some(at)) == Some(&[0xff, 0x10])),
    };
    form.map(|form| Rewrite { what, form })
}

/// Rewrites in `out` the instruction or sequence around `offset` of `code`, as [`can`] found it;
/// `value` is what the new field is to hold before the place is subtracted; false if it does not fit.
pub(super) fn rewrite(
    code: &[u8],
    out: &mut [u8],
    (offset, kind): (u64, u32),
    Rewrite { what, form }: Rewrite,
    value: i64,
    place: u64,
) -> bool {
    let at = offset as usize;
    let relative =
        |field: u64| value.wrapping_sub(place.wrapping_add(field).wrapping_add(4) as i64);
    let fits = |out: &mut [u8], at: usize, value: i64| {
        out[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        i32::try_from(value).is_ok()
    };
    match what {
        Relax::GotToPc => got_to_pc(out, at, form, value, place),
        Relax::GdToLe | Relax::GdToIe => {
            let field = gd_field(at, form);
            out[field - 12..field - 3].copy_from_slice(&THREAD_POINTER);
            if form == LARGE {
                out[at + 13..at + 19].copy_from_slice(&[0x66, 0x0f, 0x1f, 0x44, 0, 0]);
            }
            if what == Relax::GdToLe {
                out[field - 3..field].copy_from_slice(&[0x48, 0x8d, 0x80]);
                fits(out, field, value)
            } else {
                out[field - 3..field].copy_from_slice(&[0x48, 0x03, 0x05]);
                fits(out, field, relative((field - at) as u64))
            }
        }
        Relax::LdToLe => {
            ld_to_le(out, at, form);
            true
        }
        Relax::IeToLe | Relax::DescToLe if apx::has(kind) => {
            apx::to_immediate(&code[..at], &mut out[..at], kind);
            fits(out, at, value)
        }
        Relax::IeToLe => {
            out[at - 3..at].copy_from_slice(&ie_to_le(&code[at - 3..at]));
            fits(out, at, value)
        }
        Relax::DescToLe => {
            let (rex, reg) = (code[at - 3], (code[at - 1] >> 3) & 7);
            out[at - 3..at].copy_from_slice(&[0x48 | (rex & 4) >> 2, 0xc7, 0xc0 | reg]);
            fits(out, at, value)
        }
        Relax::DescToIe => {
            out[at - 2] = 0x8b;
            fits(out, at, relative(0))
        }
        Relax::DescLoad | Relax::Desc => false,
        Relax::DescCall => {
            out[at..at + 2].copy_from_slice(&[0x66, 0x90]);
            true
        }
    }
}

/// `mov %fs:0, %rax`
const THREAD_POINTER: [u8; 9] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0];

/// Where the field is once the general-dynamic sequence at `at` is rewritten: the large code model's
/// is without the prefix that the others begin with.
fn gd_field(at: usize, form: u8) -> usize {
    if form == LARGE { at + 9 } else { at + 8 }
}

/// `lea x@tlsld(%rip), %rdi; call __tls_get_addr` → `mov %fs:0, %rax`, padded by prefixes; in the
/// large code model behind `cs nopw 0(%rax,%rax); nop`.
fn ld_to_le(out: &mut [u8], at: usize, form: u8) {
    let padding: &[u8] = match form {
        DIRECT => &[0x66; 3],
        INDIRECT => &[0x66; 4],
        _ => &[0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0x66, 0x90],
    };
    let load = at - 3 + padding.len();
    out[at - 3..load].copy_from_slice(padding);
    out[load..load + THREAD_POINTER.len()].copy_from_slice(&THREAD_POINTER);
}

/// The relocation of what [`rewrite`] leaves: PC32, TPOFF or GOTTPOFF in another's place.
pub(super) fn rewritten(kind: u32, Rewrite { what, form }: Rewrite) -> Option<(i64, u32, i64)> {
    let moved = gd_field(0, form) as i64;
    match what {
        Relax::GotToPc => Some((if form == JUMP { -1 } else { 0 }, R_X86_64_PC32, 0)),
        Relax::GdToLe => Some((moved, R_X86_64_TPOFF32, 4)),
        Relax::GdToIe => Some((moved, R_X86_64_GOTTPOFF, 0)),
        Relax::IeToLe | Relax::DescToLe => Some((0, R_X86_64_TPOFF32, 4)),
        Relax::DescToIe if apx::has(kind) => Some((0, R_X86_64_CODE_4_GOTTPOFF, 0)),
        Relax::DescToIe => Some((0, R_X86_64_GOTTPOFF, 0)),
        // An offset in the module is one from the thread pointer now.
        Relax::LdToLe if kind == R_X86_64_DTPOFF32 => Some((0, R_X86_64_TPOFF32, 0)),
        Relax::LdToLe if kind == R_X86_64_DTPOFF64 => Some((0, R_X86_64_TPOFF64, 0)),
        Relax::LdToLe | Relax::DescCall | Relax::DescLoad | Relax::Desc => None,
    }
}

/// `mov x@gottpoff(%rip), %r` → `mov $x, %r`; `add` → `lea x(%r), %r`, or `add $x` for %rsp, %r12.
fn ie_to_le(op: &[u8]) -> [u8; 3] {
    let reg = (op[2] >> 3) & 7;
    let high = op[0] & 4 != 0;
    match op[1] {
        0x8b => [0x48 | u8::from(high), 0xc7, 0xc0 | reg],
        _ if reg == 4 => [0x48 | u8::from(high), 0x81, 0xc0 | reg],
        _ => [if high { 0x4d } else { 0x48 }, 0x8d, 0x80 | reg << 3 | reg],
    }
}

/// `mov x@GOTPCREL(%rip), %r` → `lea x(%rip), %r`; `call *` → `addr32 call`; `jmp *` → `jmp; nop`.
fn got_to_pc(out: &mut [u8], at: usize, form: u8, value: i64, place: u64) -> bool {
    let mut field = at;
    match form {
        LOAD => out[at - 2] = 0x8d,
        CALL => out[at - 2..at].copy_from_slice(&[0x67, 0xe8]),
        _ => {
            out[at - 2] = 0xe9;
            out[at + 3] = 0x90;
            field = at - 1;
        }
    }
    let end = place.wrapping_sub(at as u64).wrapping_add(field as u64 + 4);
    let value = value.wrapping_sub(end as i64);
    out[field..field + 4].copy_from_slice(&(value as u32).to_le_bytes());
    i32::try_from(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `code` once what is wanted is done at `at`.
    fn relaxed(code: &[u8], at: (u64, u32), what: Relax, value: i64, place: u64) -> Vec<u8> {
        let next = Some((at.0 + 6, R_X86_64_PLTOFF64));
        let found = can(code, at.0, at.1, what, next).unwrap();
        let mut out = code.to_vec();
        assert!(rewrite(code, &mut out, at, found, value, place));
        out
    }

    #[test]
    fn a_load_becomes_lea() {
        let code = [0x48, 0x8b, 0x05, 0, 0, 0, 0];
        let code = relaxed(&code, (3, R_X86_64_REX_GOTPCRELX), Relax::GotToPc, 0x2000, 0x1003);
        assert_eq!(code, [0x48, 0x8d, 0x05, 0xf9, 0x0f, 0, 0]);
    }

    #[test]
    fn a_jump_ends_in_a_nop() {
        let code = [0xff, 0x25, 0, 0, 0, 0];
        let code = relaxed(&code, (2, R_X86_64_GOTPCRELX), Relax::GotToPc, 0x2000, 0x1002);
        assert_eq!(code, [0xe9, 0xfb, 0x0f, 0, 0, 0x90]);
    }

    #[test]
    fn add_to_r12_stays_an_add() {
        let code = [0x4c, 0x03, 0x25, 0, 0, 0, 0];
        let code = relaxed(&code, (3, R_X86_64_GOTTPOFF), Relax::IeToLe, -16, 0);
        assert_eq!(code, [0x49, 0x81, 0xc4, 0xf0, 0xff, 0xff, 0xff]);
    }

    /// The large code model's call behind `lea x(%rip), %rdi`.
    const LARGE: [u8; 22] = [
        0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x4c, 0x01, 0xf8, 0xff,
        0xd0,
    ];

    #[test]
    fn the_large_code_model_s_calls_are_known() {
        let gd = (3, R_X86_64_TLSGD);
        assert!(can(&LARGE, 3, gd.1, Relax::GdToLe, Some((9, R_X86_64_PLT32))).is_none());
        let code = relaxed(&LARGE, gd, Relax::GdToLe, -8, 0x1003);
        assert_eq!(code[..9], THREAD_POINTER, "mov %fs:0, %rax");
        assert_eq!(code[9..16], [0x48, 0x8d, 0x80, 0xf8, 0xff, 0xff, 0xff], "lea -8(%rax), %rax");
        assert_eq!(code[16..], [0x66, 0x0f, 0x1f, 0x44, 0, 0], "nop");
        let code = relaxed(&LARGE, gd, Relax::GdToIe, 0x2000, 0x1003);
        assert_eq!(code[9..16], [0x48, 0x03, 0x05, 0xf0, 0x0f, 0, 0], "add slot(%rip), %rax");
        let code = relaxed(&LARGE, (3, R_X86_64_TLSLD), Relax::LdToLe, 0, 0x1003);
        assert_eq!(code[13..], THREAD_POINTER, "mov %fs:0, %rax");
    }

    /// What other relocations made of the sequence before: the form is what the input has, and
    /// what is written stays in the sequence.
    #[test]
    fn the_output_s_bytes_don_t_choose_the_form() {
        let gd =
            [0x66, 0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0].as_slice();
        let ld = [0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0].as_slice();
        for (code, at, what) in [
            (gd, (4, R_X86_64_TLSGD), Relax::GdToLe),
            (gd, (4, R_X86_64_TLSGD), Relax::GdToIe),
            (ld, (3, R_X86_64_TLSLD), Relax::LdToLe),
        ] {
            let next = Some((code.len() as u64 - 4, R_X86_64_PLT32));
            let found = can(code, at.0, at.1, what, next).unwrap();
            let mut clean = code.to_vec();
            assert!(rewrite(code, &mut clean, at, found, 64, 0));
            for other in [[0x48, 0xb8], [0xff, 0x15], [0, 0]] {
                let mut spoilt = code.to_vec();
                let from = at.0 as usize + 4;
                spoilt[from..from + 2].copy_from_slice(&other);
                assert!(rewrite(code, &mut spoilt, at, found, 64, 0));
                assert_eq!(spoilt, clean, "{what:?} over {other:x?}");
            }
        }
    }

    #[test]
    fn an_unknown_sequence_is_left_alone() {
        let code = [0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x90, 0xe8, 0, 0, 0, 0];
        let next = Some((9, R_X86_64_PLT32));
        assert!(can(&code, 3, R_X86_64_TLSLD, Relax::LdToLe, next).is_none());
    }
}
