//! `.eh_frame` of inputs and output → `unwind` facts: what an unwinder finds for each function.
//!
//! It must not know where records are in the output beyond what `.eh_frame_hdr` says.

use super::judge::{Found, Judge, Reference, Use};
use super::object::{Reloc, Where};
use crate::bytes::{number, sign_extend, str_at, u32_at};
use crate::class::Class;
use crate::loader::Image;
use crate::model::{Facts, Family, Value, digest};

/// What a CIE says.
#[derive(Clone, Debug, Default)]
struct Cie<'a> {
    augmentation: &'a str,
    /// Code alignment factor, data alignment factor, return address register.
    factors: (u64, i64, u64),
    /// DW_EH_PE_* of addresses in FDEs.
    pointers: u8,
    /// DW_EH_PE_* of the LSDA pointer, if there is one.
    lsda: Option<u8>,
    /// DW_EH_PE_* of the personality routine's pointer, and where it is in the record.
    personality: Option<(u8, u64)>,
    /// What every FDE starts with, without the padding.
    instructions: &'a [u8],
}

/// Adds the facts of every input FDE whose function is in the output.
pub(super) fn facts(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let asked = judge.request.args.iter().any(|arg| arg == "--eh-frame-hdr");
    let header = judge.module.image.unwind;
    if header.is_none() && !asked {
        return;
    }
    for (index, object) in judge.inputs.objects.iter().enumerate() {
        for section in object.sections.iter().filter(|section| section.is_unwind()) {
            let mut relocs: Vec<Reloc> = section.relocs().collect();
            // Assemblers sort them, but nothing says that they must.
            relocs.sort_by_key(|reloc| reloc.offset);
            for at in records(section.data) {
                let Some(address) = function(judge, index, &relocs, at) else { continue };
                let Some(place) = judge.places.at(judge.inputs, address) else { continue };
                let text = match header
                    .and_then(|(header, _)| find(&judge.module.image, header, address))
                {
                    Some(fde) => tell(judge, fde, address),
                    None => "missing".to_owned(),
                };
                facts.put(Family::Unwind, place.to_string(), Value::Text(text.into()));
            }
        }
    }
}

/// Offsets of the FDEs of an input section.
fn records(data: &[u8]) -> Vec<u64> {
    let mut list = Vec::new();
    let mut at = 0_u64;
    while let Some(length) = u32_at(data, at).filter(|length| *length != u32::MAX) {
        if length >= 4 && u32_at(data, at + 4).is_some_and(|id| id != 0) {
            list.push(at);
        }
        at += 4 + u64::from(length);
    }
    list
}

/// The address of the function that the input FDE at `at` is for.
fn function(judge: &Judge<'_, '_>, object: usize, relocs: &[Reloc], at: u64) -> Option<u64> {
    let first = relocs.binary_search_by_key(&(at + 8), |reloc| reloc.offset).ok()?;
    let reloc = relocs[first];
    let symbol = judge.inputs.objects[object].symbols.get(reloc.symbol as usize)?;
    let Where::Section(section) = symbol.place else { return None };
    let base = judge.places.base(judge.inputs.first[object] + section)?;
    let address = base.wrapping_add(symbol.value).wrapping_add_signed(reloc.addend);
    Some(judge.module.image.class.wrap(address))
}

/// The FDE that the sorted table of `.eh_frame_hdr` gives for `address`.
///
/// Spec: LSB 5, "The .eh_frame_hdr section".
fn find(image: &Image<'_>, header: u64, address: u64) -> Option<u64> {
    let head: [u8; 4] = image.memory(header)?;
    if head[0] != 1 || head[2] != 0x03 || head[3] != 0x3b {
        return None;
    }
    // The pointer to .eh_frame.
    let skip = match head[1] {
        0x1b => 4,
        0x1c => 8,
        _ => return None,
    };
    let count = u64::from(image.u32(header.wrapping_add(4 + skip))?);
    let table = image.slice(header.wrapping_add(8 + skip), count.checked_mul(8)?)?;
    let entry = |i: u64| {
        let word =
            |k| sign_extend(u32_at(table, 8 * i + k).unwrap_or(0).into(), 4).wrapping_add(header);
        (word(0), word(4))
    };
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if entry(middle).0 <= address { low = middle + 1 } else { high = middle }
    }
    let (start, fde) = entry(low.checked_sub(1)?);
    (start == address).then_some(fde)
}

/// What the output's FDE at `fde`, which must be for `address`, has an unwinder do.
fn tell(judge: &Judge<'_, '_>, fde: u64, address: u64) -> String {
    let image = &judge.module.image;
    let class = image.class;
    let told = || {
        let record = record(image, fde)?;
        let back = u64::from(u32_at(record, 0)?);
        let cie_at = fde.wrapping_add(4).wrapping_sub(back);
        let cie = cie(class, self::record(image, cie_at)?)?;
        let mut at = 4;
        let here = |at: u64| fde.wrapping_add(4).wrapping_add(at);
        let start = pointer(class, record, &mut at, cie.pointers, here(4))?;
        let length = pointer(class, record, &mut at, cie.pointers & 0x0f, 0)?;
        if start != address {
            return Some("for another function".to_owned());
        }
        let mut lsda = "none".to_owned();
        let mut instructions = at;
        if cie.augmentation.starts_with('z') {
            let size = leb(record, &mut at)?;
            instructions = at.checked_add(size)?;
        }
        if let Some(encoding) = cie.lsda {
            let place = here(at);
            let raw = pointer(class, record, &mut at.clone(), encoding & 0x0f, 0)?;
            if raw != 0 {
                let target = pointer(class, record, &mut at, encoding, place)?;
                lsda = match judge.places.at(judge.inputs, target) {
                    Some(place) => place.to_string(),
                    None => "outside any input section".to_owned(),
                };
            }
            instructions = instructions.max(at);
        }
        let own = trimmed(record.get(usize::try_from(instructions).ok()?..)?);
        let (code, data, register) = cie.factors;
        let mut text = format!("len={length} aug={} lsda={lsda}", cie.augmentation);
        if let Some((encoding, at)) = cie.personality {
            let found = personality(judge, self::record(image, cie_at)?, cie_at, encoding, at)?;
            text.push_str(&format!(" personality={found}"));
        }
        let frame = frame(cie.instructions, own);
        text.push_str(&format!(" cfa={code},{data},{register} frame={frame:016x}"));
        Some(text)
    };
    told().unwrap_or_else(|| "unreadable".to_owned())
}

/// The digest of what a CIE and its FDE say about the frame.
fn frame(cie: &[u8], fde: &[u8]) -> u64 {
    digest(cie).wrapping_mul(31).wrapping_add(digest(fde))
}

/// Instructions without the padding behind them (DW_CFA_nop).
fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// What the personality routine's pointer leads to: the routine, or the slot with its address.
fn personality(
    judge: &Judge<'_, '_>,
    record: &[u8],
    cie: u64,
    encoding: u8,
    at: u64,
) -> Option<String> {
    let class = judge.module.image.class;
    let place = cie.wrapping_add(4).wrapping_add(at);
    let value = pointer(class, record, &mut at.clone(), encoding & 0x7f, place)?;
    let found = match judge.module.reloc_at(place) {
        Some(reloc) => judge.relocated(reloc),
        None => Found::Address(value),
    };
    let usage = if encoding & 0x80 != 0 { Use::Address } else { Use::Call };
    let mark = if encoding & 0x80 != 0 { "*" } else { "" };
    Some(format!("{mark}{}", judge.settle(found, 0, Reference::NONE, usage)))
}

/// The bytes of the record at `address`, after its length.
fn record<'a>(image: &Image<'a>, address: u64) -> Option<&'a [u8]> {
    let length = image.u32(address).filter(|length| (4..u32::MAX).contains(length))?;
    image.slice(address.wrapping_add(4), length.into())
}

fn cie(class: Class, record: &[u8]) -> Option<Cie<'_>> {
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
fn pointer(class: Class, bytes: &[u8], at: &mut u64, encoding: u8, place: u64) -> Option<u64> {
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
