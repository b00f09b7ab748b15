//! TLS code sequences, before and after the link → how they reach their variable.
//!
//! Kept sequences must be kept to the bit; rewritten ones are run symbolically or known by all their
//! bits. It must not know symbols or GOT slots.
//!
//! Spec: ELF TLS §4.4.6, §5.5 (x86-64); x86-64 psABI appendix B.

use super::apx;
use super::eval::{Machine, Stop, Value};
use super::relax::moved_rex;
use crate::model::elf::machine::{Form, Row, Site, TlsAccess as Access};

/// Bytes before and after the field of TLSGD and TLSLD in the large model's sequence:
/// `lea x@tlsgd(%rip), %rdi; movabs $__tls_get_addr@PLTOFF, %rax; add %rbx, %rax; call *%rax`.
pub(super) const LARGE: (usize, usize) = (3, 19);

/// Whether TLSGD or TLSLD at `offset` is in a sequence of the large model.
pub(super) fn is_large(r_type: u32, data: &[u8], offset: u64) -> bool {
    let next = usize::try_from(offset).ok().and_then(|at| data.get(at.checked_add(4)?..));
    matches!(r_type, 19 | 20) && next.is_some_and(|next| next.starts_with(&[0x48, 0xb8]))
}

const OUTSIDE: &str = "a TLS sequence that leaves its section";

/// TLSGD and TLSLD. A call through the GOT is a byte longer in TLSLD's sequence.
pub(super) fn dynamic(site: Site<'_>, row: Row) -> Result<Access, String> {
    let next = site.at.checked_add(4).and_then(|at| site.input.get(at..));
    let indirect = next.and_then(|code| code.get(..2)) == Some(&[0xff, 0x15]);
    let after = usize::from(row.after) + usize::from(row.form == Form::TlsLd && indirect);
    let (before, after) = match is_large(row.r_type, site.input, site.at as u64) {
        true => LARGE,
        false => (row.before.into(), after),
    };
    sequence(site, before, after)
}

/// TLSGD and TLSLD: `lea x@tlsgd(%rip), %rdi; call __tls_get_addr@PLT` with the padding of the psABI.
/// `after` is how many bytes from the field to the end of the call, `before` to the start.
fn sequence(site: Site<'_>, before: usize, after: usize) -> Result<Access, String> {
    let start = -(before as isize);
    let (head, new_head) = site.both(start, before).ok_or(OUTSIDE)?;
    let (_, all) = site.both(start, before + after).ok_or(OUTSIDE)?;
    if head == new_head {
        // The call has its own relocation, which says where it goes; its padding must still be there.
        let padding = after - 4 - 4;
        let (pad, new_pad) = site.both(4, padding).ok_or(OUTSIDE)?;
        let kept = if (before, after) == LARGE {
            let (call, new_call) = site.both(14, 5).ok_or(OUTSIDE)?;
            pad[..2] == new_pad[..2] && call == new_call
        } else {
            let direct = pad.last() == Some(&0xe8);
            let fixed = if direct { padding } else { padding.saturating_sub(2) };
            pad[..fixed] == new_pad[..fixed]
        };
        if !kept {
            return Err(format!("a TLS call {pad:02x?} became {new_pad:02x?}"));
        }
        let end = site.place.wrapping_add(4);
        return Ok(Access::Pair(end.wrapping_add(site.field(0).ok_or(OUTSIDE)?)));
    }
    let mut machine = Machine::new();
    let address = site.place.wrapping_sub(before as u64);
    match machine.run(all, address)? {
        Stop::End if machine.stack.is_empty() => {}
        _ => return Err("a rewritten TLS sequence that jumps or pushes".into()),
    }
    match machine.rax() {
        Value::Thread(offset) => Ok(Access::Thread(offset)),
        Value::ThreadMemory(slot) => Ok(Access::ThreadSlot(slot)),
        _ => Err("a rewritten TLS sequence that doesn't make an address".into()),
    }
}

/// GOTTPOFF: `mov x@gottpoff(%rip), %r` or `add`, kept or with the offset as an immediate.
/// A kept one gives the slot for A = -4; an immediate is S + (A + 4).
pub(super) fn initial_exec(site: Site<'_>, row: Row) -> Result<Access, String> {
    let before = usize::from(row.before);
    let points = site.place.wrapping_add(4).wrapping_add(site.field(0).ok_or(OUTSIDE)?);
    let clamped = before.min(site.at);
    let (input, output) = site.both(-(clamped as isize), clamped).ok_or(OUTSIDE)?;
    if input == output {
        return Ok(Access::ThreadSlot(points));
    }
    if let Some(wanted) = apx::immediate(input) {
        return match output == wanted {
            true => Ok(Access::Thread(site.field(0).ok_or(OUTSIDE)?)),
            false => Err(format!("instruction {input:02x?} became {output:02x?}")),
        };
    }
    let (&[rex, op, modrm], &[new_rex, new_op, new_modrm]) = (input, output) else {
        return Err(format!("instruction {input:02x?} became {output:02x?}"));
    };
    let register = modrm >> 3 & 7;
    let immediate = (moved_rex(rex), 0xc0 | register);
    let known = match (op, new_op) {
        (0x8b, 0xc7) | (0x03, 0x81) => (new_rex, new_modrm) == immediate,
        // lea disp32(%r), %r; with the register number 4 there would be a SIB byte.
        (0x03, 0x8d) => {
            new_rex == rex | rex >> 2 & 1
                && register != 4
                && new_modrm == 0x80 | register << 3 | register
        }
        _ => false,
    };
    if !known || modrm & 0xc7 != 5 || rex & 0xf8 != 0x48 {
        return Err(format!("instruction {input:02x?} became {output:02x?}"));
    }
    Ok(Access::Thread(site.field(0).ok_or(OUTSIDE)?))
}

/// GOTPC32_TLSDESC: `lea x@tlsdesc(%rip), %rax`, kept, or loading the offset from the GOT or as an
/// immediate. A kept one gives the descriptor for A = -4; an immediate is S + (A + 4).
pub(super) fn descriptor(site: Site<'_>, row: Row) -> Result<Access, String> {
    let before = usize::from(row.before);
    let points = site.place.wrapping_add(4).wrapping_add(site.field(0).ok_or(OUTSIDE)?);
    let clamped = before.min(site.at);
    let (input, output) = site.both(-(clamped as isize), clamped).ok_or(OUTSIDE)?;
    if input == output {
        return Ok(Access::Descriptor(points));
    }
    if let &[0xd5, prefix, 0x8d, modrm] = input {
        if output == [0xd5, prefix, 0x8b, modrm] {
            return Ok(Access::ThreadSlot(points));
        }
        if apx::immediate(&[0xd5, prefix, 0x8b, modrm]).as_deref() == Some(output) {
            return Ok(Access::Thread(site.field(0).ok_or(OUTSIDE)?));
        }
    }
    if let (&[rex, 0x8d, modrm], &[new_rex, new_op, new_modrm]) = (input, output)
        && modrm & 0xc7 == 5
    {
        let register = modrm >> 3 & 7;
        if (new_rex, new_op, new_modrm) == (rex, 0x8b, modrm) {
            return Ok(Access::ThreadSlot(points));
        }
        if (new_rex, new_op, new_modrm) == (moved_rex(rex), 0xc7, 0xc0 | register) {
            return Ok(Access::Thread(site.field(0).ok_or(OUTSIDE)?));
        }
    }
    Err(format!("instruction {input:02x?} became {output:02x?}"))
}

/// TLSDESC_CALL: whether the call is kept (`call *(%rax)`), or gone (`xchg %ax, %ax`).
pub(super) fn call_kept(site: Site<'_>) -> Result<bool, String> {
    let (input, output) = site.both(0, 2).ok_or(OUTSIDE)?;
    match output {
        _ if input == output => Ok(true),
        [0x66, 0x90] => Ok(false),
        _ => Err(format!("a descriptor call {input:02x?} became {output:02x?}")),
    }
}
