//! The instruction at a GOTPCREL(X) relocation, before and after the link → how it reaches its symbol.
//!
//! Every form that the psABI lets linkers write is known by all of its bits (appendix B.2); anything else
//! is an error. It must not know symbols.

use crate::model::elf::machine::{Access, Row, Site};

/// REX of an instruction whose register moves from ModRM.reg to ModRM.rm.
pub(super) fn moved_rex(rex: u8) -> u8 {
    rex & !5 | rex >> 2 & 1
}

/// Decodes the access.
pub(super) fn got(site: Site<'_>, row: Row) -> Result<Access, String> {
    let outside = || "a field outside its section".to_owned();
    let points = site.points(0).ok_or_else(outside)?;
    // At a section's start there is no instruction before the field.
    let before = usize::from(row.before).min(site.at);
    let (input, output) = site.both(-(before as isize), before).ok_or_else(outside)?;
    let head = before.saturating_sub(2);
    let (op, modrm) = match input.get(head..) {
        Some(&[op, modrm]) => (op, modrm),
        _ => (0, 0),
    };
    let branch = op == 0xff && matches!(modrm, 0x15 | 0x25);
    if input == output {
        // `call *` and `jmp *` don't take the address.
        return Ok(Access::Slot(points, branch));
    }
    let wrong = || Err(format!("instruction {:02x?} became {:02x?}", input, output));
    if before < usize::from(row.before) || modrm & 0xc7 != 5 && !branch {
        return wrong();
    }
    if branch {
        return if output[..head] == input[..head] {
            branch_form(site, modrm == 0x15).map_or_else(wrong, Ok)
        } else {
            wrong()
        };
    }
    let (new_op, new_modrm) = (output[head], output[head + 1]);
    if op == 0x8b && new_op == 0x8d && new_modrm == modrm && output[..head] == input[..head] {
        return Ok(Access::Address(points, false));
    }
    if row.r_type == 43 && super::apx::immediate(input).as_deref() == Some(output) {
        let size = if input[1] & 8 != 0 { 8 } else { 4 };
        return Ok(Access::Number(site.field(0).unwrap_or(0), size));
    }
    // R_X86_64_GOTPCREL has no license for immediates.
    if row.r_type == 9 || row.before > 3 {
        return wrong();
    }
    let rex = input[..head].first().copied().unwrap_or(0);
    let register = modrm >> 3 & 7;
    let form = match op {
        0x8b => (0xc7, 0xc0 | register),
        0x85 => (0xf7, 0xc0 | register),
        _ if op & 0xc7 == 3 => (0x81, 0xc0 | op & 0x38 | register),
        _ => return wrong(),
    };
    let prefix = output[..head].first().copied().unwrap_or(0);
    let wanted_prefix = if rex == 0 { 0 } else { moved_rex(rex) };
    if (new_op, new_modrm) != form || prefix != wanted_prefix {
        return wrong();
    }
    let size = if rex & 8 != 0 { 8 } else { 4 };
    Ok(Access::Number(site.field(0).unwrap_or(0), size))
}

/// `call *x(%rip)`, `jmp *x(%rip)` made direct, with the spare byte before or after.
fn branch_form(site: Site<'_>, call: bool) -> Option<Access> {
    let (_, bytes) = site.both(-2, 6)?;
    let opcode = if call { 0xe8 } else { 0xe9 };
    match *bytes {
        [0x67 | 0x90, op, ..] if op == opcode => Some(Access::Address(site.points(0)?, true)),
        [op, .., 0x90] if op == opcode => Some(Access::Address(site.points(-1)?, true)),
        _ => None,
    }
}
