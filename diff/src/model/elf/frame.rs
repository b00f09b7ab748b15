//! Records of `.eh_frame`, ELF's or Mach-O's: the bytes of a CIE or an FDE → what they say.
//!
//! It must not know where records are.
//!
//! Spec: LSB 5, "Exception Frames"; DWARF 4, 6.4.

use crate::bytes::{number, sign_extend, str_at, u32_at};
use crate::class::Class;

/// What a CIE says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cie<'a> {
    pub(crate) augmentation: &'a str,
    /// Code alignment factor, data alignment factor, return address register.
    pub(crate) factors: (u64, i64, u64),
    /// DW_EH_PE_* of addresses in FDEs.
    pointers: u8,
    /// DW_EH_PE_* of the LSDA pointer, if there is one.
    lsda: Option<u8>,
    /// DW_EH_PE_* of the personality routine's pointer, and where it is in the record.
    pub(crate) personality: Option<(u8, u64)>,
    /// What every FDE starts with, without the padding.
    instructions: &'a [u8],
}

/// What an FDE says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fde<'a> {
    /// The function's address.
    pub(crate) start: u64,
    /// Its length.
    pub(crate) length: u64,
    /// The address of its language-specific data.
    pub(crate) lsda: Option<u64>,
    /// Without the padding.
    pub(crate) instructions: &'a [u8],
}

/// Reads an FDE of this CIE, given without its length; `here` is the address of its first byte.
pub(crate) fn fde<'a>(class: Class, record: &'a [u8], cie: &Cie<'_>, here: u64) -> Option<Fde<'a>> {
    let mut at = 4;
    let start = pointer(class, record, &mut at, cie.pointers, here.wrapping_add(4))?;
    let length = pointer(class, record, &mut at, cie.pointers & 0x0f, 0)?;
    let mut instructions = at;
    let mut lsda = None;
    if cie.augmentation.starts_with('z') {
        let size = leb(record, &mut at)?;
        instructions = at.checked_add(size)?;
    }
    if let Some(encoding) = cie.lsda {
        let place = here.wrapping_add(at);
        let raw = pointer(class, record, &mut at.clone(), encoding & 0x0f, 0)?;
        if raw != 0 {
            lsda = Some(pointer(class, record, &mut at, encoding, place)?);
        }
        instructions = instructions.max(at);
    }
    let instructions = trimmed(record.get(usize::try_from(instructions).ok()?..)?);
    Some(Fde { start, length, lsda, instructions })
}

/// The digest of what a CIE and its FDE say about the frame.
pub(crate) fn digest(cie: &Cie<'_>, fde: &[u8]) -> u64 {
    let digest = crate::model::digest;
    digest(cie.instructions).wrapping_mul(31).wrapping_add(digest(fde))
}

/// Instructions without the padding behind them (DW_CFA_nop).
fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Reads a CIE, given without its length.
pub(crate) fn cie(class: Class, record: &[u8]) -> Option<Cie<'_>> {
    let version = *record.get(4)?;
    if u32_at(record, 0)? != 0 || !matches!(version, 1 | 3) {
        return None;
    }
    let augmentation = str_at(record, 5);
    let mut cie = Cie { augmentation, ..Cie::default() };
    let mut at = 6 + augmentation.len() as u64;
    let byte = |at: &mut u64| {
        *at += 1;
        record.get(usize::try_from(*at - 1).ok()?).copied()
    };
    let code = leb(record, &mut at)?;
    let data = signed_leb(record, &mut at)?;
    let register = if version == 1 { byte(&mut at)?.into() } else { leb(record, &mut at)? };
    cie.factors = (code, data, register);
    let mut end = None;
    for letter in augmentation.bytes() {
        match letter {
            b'z' => {
                let size = leb(record, &mut at)?;
                end = Some(at.checked_add(size)?);
            }
            b'R' => cie.pointers = byte(&mut at)?,
            b'L' => cie.lsda = Some(byte(&mut at)?),
            b'P' => {
                let encoding = byte(&mut at)?;
                cie.personality = Some((encoding, at));
                pointer(class, record, &mut at, encoding & 0x0f, 0)?;
            }
            b'S' | b'B' => {}
            _ => return None,
        }
    }
    if end.is_some_and(|end| end < at) {
        return None;
    }
    cie.instructions = trimmed(record.get(usize::try_from(end.unwrap_or(at)).ok()?..)?);
    Some(cie)
}

/// A number of DWARF's signed variable-length form.
fn signed_leb(bytes: &[u8], at: &mut u64) -> Option<i64> {
    let start = *at;
    let value = leb(bytes, at)?;
    let bits = 7 * (*at - start);
    let negative = bits < 64 && value >> (bits - 1) & 1 != 0;
    Some(if negative { (value | u64::MAX << bits) as i64 } else { value as i64 })
}

fn leb(bytes: &[u8], at: &mut u64) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(usize::try_from(*at).ok()?)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A pointer of a DW_EH_PE_* encoding; `place` is the address it is at.
pub(crate) fn pointer(
    class: Class,
    bytes: &[u8],
    at: &mut u64,
    encoding: u8,
    place: u64,
) -> Option<u64> {
    let (size, signed) = match encoding & 0x0f {
        0x00 => (class.word() as u8, false),
        0x04 => (8, false),
        0x02 => (2, false),
        0x03 => (4, false),
        0x0a => (2, true),
        0x0b => (4, true),
        0x0c => (8, true),
        _ => return None,
    };
    let raw = number(crate::bytes::slice(bytes, *at, size.into())?);
    *at += u64::from(size);
    let value = if signed { sign_extend(raw, size) } else { raw };
    match encoding & 0xf0 {
        0x00 => Some(value),
        0x10 => Some(class.wrap(value.wrapping_add(place))),
        _ => None,
    }
}
