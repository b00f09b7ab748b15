//! `.eh_frame` of inputs and output → `unwind` facts: what an unwinder finds for each function.
//!
//! It must not know where records are in the output beyond what `.eh_frame_hdr` says.

use super::frame;
use super::inputs::{SecId, Spot};
use super::judge::{Found, Judge, Reference, Use};
use super::object::{EXEC, Reloc, Where};
use crate::bytes::{sign_extend, u32_at};
use crate::loader::Image;
use crate::model::{Facts, Family, Meaning, Place, Value};

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
                let Some(spot) = function(judge, index, &relocs, at) else { continue };
                let Some((address, place)) = home(judge, spot, facts) else { continue };
                let found =
                    header.and_then(|(header, _)| find(&judge.module.image, header, address));
                let text = || Value::Text("missing".into());
                let said = found.map_or_else(text, |fde| tell(judge, fde, address));
                facts.put(Family::Unwind, place.to_string(), said);
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

/// The address and the place of a function that is so far into a section; nothing is said of what is in one that may
/// be there, though nobody knows where.
pub(super) fn home(
    judge: &Judge<'_, '_>,
    (section, offset): (SecId, u64),
    facts: &mut Facts,
) -> Option<(u64, Place)> {
    if judge.places.lost.contains(&section) {
        let place = judge.places.place(judge.inputs, Spot::Section(section, offset))?;
        facts.put(Family::Unwind, place.to_string(), Value::Ref(Meaning::Lost));
    }
    let base = judge.places.base(section)?;
    let address = judge.module.image.class.wrap(base.wrapping_add(offset));
    Some((address, judge.places.at(judge.inputs, address)?))
}

/// The function that the input FDE at `at` is for: a section, and how far into it.
fn function(
    judge: &Judge<'_, '_>,
    object: usize,
    relocs: &[Reloc],
    at: u64,
) -> Option<(SecId, u64)> {
    let first = relocs.binary_search_by_key(&(at + 8), |reloc| reloc.offset).ok()?;
    let reloc = relocs[first];
    let symbol = judge.inputs.objects[object].symbols.get(reloc.symbol as usize)?;
    let Where::Section(section) = symbol.place else { return None };
    let offset = symbol.value.wrapping_add_signed(reloc.addend);
    Some((judge.inputs.first[object] + section, offset))
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
fn tell(judge: &Judge<'_, '_>, fde: u64, address: u64) -> Value {
    let image = &judge.module.image;
    let class = image.class;
    let told = || {
        let record = record(image, fde)?;
        let back = u64::from(u32_at(record, 0)?);
        let cie_at = fde.wrapping_add(4).wrapping_sub(back);
        let cie = frame::cie(class, self::record(image, cie_at)?)?;
        let said = frame::fde(class, record, &cie, fde.wrapping_add(4))?;
        if said.start != address {
            return Some(Value::Text("for another function".into()));
        }
        let lsda = match said.lsda.map(|target| table(judge, target)) {
            None => "none".to_owned(),
            Some(Some(place)) => place,
            Some(None) => return Some(Value::Ref(Meaning::Lost)),
        };
        let (code, data, register) = cie.factors;
        let mut text = format!("len={} aug={} lsda={lsda}", said.length, cie.augmentation);
        if let Some((encoding, at)) = cie.personality {
            let found = personality(judge, self::record(image, cie_at)?, cie_at, encoding, at)?;
            text.push_str(&format!(" personality={found}"));
        }
        let frame = frame::digest(&cie, said.instructions);
        text.push_str(&format!(" cfa={code},{data},{register} frame={frame:016x}"));
        Some(Value::Text(text.into()))
    };
    told().unwrap_or_else(|| Value::Text("unreadable".into()))
}

/// The place of what an entry for a function leads to; none if it may be one that nobody knows where it is.
pub(super) fn table(judge: &Judge<'_, '_>, address: u64) -> Option<String> {
    let places = judge.places;
    let data = |id: &SecId| judge.inputs.section(*id).is_some_and(|section| !section.has(EXEC));
    match places.at(judge.inputs, address) {
        Some(place) if places.occupied(address) => Some(place.to_string()),
        _ if places.lost.iter().any(data) => None,
        Some(place) => Some(place.to_string()),
        None => Some("outside any input section".to_owned()),
    }
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
    let value = frame::pointer(class, record, &mut at.clone(), encoding & 0x7f, place)?;
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
