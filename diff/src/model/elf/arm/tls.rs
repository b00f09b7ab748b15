//! TLS descriptors in code, before and after the link → how they reach their variable.
//!
//! A word says how far the descriptor is from the call that uses it; the call, elsewhere, is kept or rewritten to
//! read an offset from the thread pointer, and then the word is something else too. It must not know symbols.
//!
//! Spec: AAELF32 "Thread-local storage"; "Thread-Local Storage Descriptors for ARM" §4.

use super::fields::Field;
use super::word;
use crate::bytes::number;
use crate::model::elf::machine::{Row, Site, TlsAccess};

const OUTSIDE: &str = "a TLS sequence that leaves its section";

/// R_ARM_TLS_GOTDESC: its addend is the distance from the call, odd if that is in Thumb state.
pub(super) fn descriptor(site: Site<'_>, _: Row) -> Result<TlsAccess, String> {
    let value = word(site)?;
    let (input, _) = site.both(0, 4).ok_or(OUTSIDE)?;
    let addend = number(input) as u32 as i32;
    let thumb = addend & 1 != 0;
    let back = usize::try_from(addend & !1).map_err(|_| OUTSIDE)?;
    let call = Site {
        at: site.at.checked_sub(back).ok_or(OUTSIDE)?,
        place: site.place.wrapping_sub(back as u64),
        ..site
    };
    let field = if thumb { Field::ThumbBranch } else { Field::Branch };
    let (_, output) = call.both(0, 4).ok_or(OUTSIDE)?;
    let bits = field.bits(output).ok_or(OUTSIDE)?;
    // The caller takes the addend off again, which is none of a symbol's.
    let value = value.wrapping_add(addend as u64);
    let from = |bias: u64| call.place.wrapping_add(bias).wrapping_add(value);
    match bits {
        // LR has the state.
        _ if is_call(thumb, bits) => Ok(TlsAccess::Descriptor(from(4) + u64::from(thumb))),
        0xf3af_8000 | 0xe320_f000 | 0xe1a0_0000 | 0xbf00_bf00 | 0x46c0_46c0 => {
            Ok(TlsAccess::Thread(value))
        }
        // add r0, pc; ldr r0, [r0]
        0x4478_6800 if thumb => Ok(TlsAccess::ThreadSlot(from(4))),
        // ldr r0, [pc, r0]
        0xe79f_0000 if !thumb => Ok(TlsAccess::ThreadSlot(from(8))),
        _ => Err(format!("a descriptor call became {bits:08x}")),
    }
}

/// BL or BLX.
fn is_call(thumb: bool, bits: u32) -> bool {
    match thumb {
        true => bits & 0xf800_c000 == 0xf000_c000,
        false => bits >> 24 == 0xeb || bits >> 25 == 0x7d,
    }
}

/// R_ARM_TLS_CALL and R_ARM_THM_TLS_CALL: the input's call says which it is, since a NOP in Arm state is a BLX in Thumb.
pub(super) fn call_kept(site: Site<'_>) -> Result<bool, String> {
    let (input, output) = site.both(0, 4).ok_or(OUTSIDE)?;
    let thumb = !is_call(false, Field::Branch.bits(input).unwrap_or(0));
    let field = if thumb { Field::ThumbBranch } else { Field::Branch };
    Ok(is_call(thumb, field.bits(output).unwrap_or(0)))
}
