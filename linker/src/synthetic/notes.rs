//! `.note.gnu.property`: the properties of all objects → those of the output; and PT_NOTE grouping.
//!
//! Must not know objects: it sees one list of properties for each, empty where an object has no
//! note. An object without a property clears those that all must have (IBT, SHSTK, BTI, PAC).

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Malformed;
use crate::arch::Merge;

/// One property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Property {
    /// `pr_type`.
    pub kind: u32,
    /// `pr_data`, unpadded.
    pub data: Vec<u8>,
}

/// The machine's rules for the properties of its own range.
pub type Own = fn(u32) -> Option<Merge>;

/// Spec: gABI "Program Property"; the machine's range is its psABI's business.
fn rule(own: Own, kind: u32) -> Option<Merge> {
    Some(match kind {
        1 => Merge::Max,
        2 => Merge::Any,
        0xb000_0000..=0xb000_7fff => Merge::And,
        0xb000_8000..=0xb000_ffff => Merge::Or,
        0xc000_0000..=0xdfff_ffff => return own(kind),
        _ => return None,
    })
}

/// Reads a `.note.gnu.property` section; `word` is 8 for ELF64, 4 for ELF32. Other notes in it are
/// passed over.
///
/// Errors: `bad-input` with the offset of a note or property that overruns, or whose value has
/// another size than its rule needs (only for known properties).
pub fn parse(section: &[u8], own: Own, word: usize) -> Result<Vec<Property>, Malformed> {
    let mut list = Vec::new();
    let mut at = 0;
    while at < section.len() {
        let bad = |text| Malformed { offset: at as u64, text };
        let header = section.get(at..at + 12).ok_or(bad("note header is cut off"))?;
        let field = |i: usize| u32_at(header, 4 * i) as usize;
        let (name, desc) = (field(0), field(1));
        let start = name.checked_next_multiple_of(4).and_then(|n| n.checked_add(at + 12));
        let start = start.ok_or(bad("note ends past the end of the section"))?;
        let end = start.checked_add(desc).filter(|&e| e <= section.len());
        let end = end.ok_or(bad("note ends past the end of the section"))?;
        if section.get(at + 12..at + 12 + name) == Some(b"GNU\0") && field(2) == 5 {
            properties(section, start..end, own, word, &mut list)?;
        }
        at = end.next_multiple_of(word);
    }
    Ok(list)
}

fn properties(
    section: &[u8],
    range: Range<usize>,
    own: Own,
    word: usize,
    list: &mut Vec<Property>,
) -> Result<(), Malformed> {
    let mut at = range.start;
    while at < range.end {
        let bad = |text| Malformed { offset: at as u64, text };
        let rest = &section[at..range.end];
        if rest.len() < 8 {
            return Err(bad("program property is cut off"));
        }
        let (kind, size) = (u32_at(rest, 0), u32_at(rest, 4) as usize);
        let data = rest[8..].get(..size).ok_or(bad("program property is cut off"))?;
        let right = match rule(own, kind) {
            None => true,
            Some(Merge::Max) => size == word,
            Some(Merge::Any) => size == 0,
            Some(_) => size == 4,
        };
        if !right {
            return Err(bad("program property of a wrong size"));
        }
        list.push(Property { kind, data: data.to_vec() });
        at += (8 + size).next_multiple_of(word);
    }
    Ok(())
}

/// Merges the properties of all objects, in a fixed order; unknown ones are left out.
///
/// `forced` are bits to set whatever the objects say, as `-z ibt` or `-z force-bti` ask.
pub fn merge<'a>(
    objects: impl IntoIterator<Item = &'a [Property]>,
    own: Own,
    forced: &[(u32, u32)],
) -> Vec<Property> {
    let mut merged: BTreeMap<u32, Seen> = BTreeMap::new();
    let mut count = 0;
    for object in objects {
        count += 1;
        for p in object {
            let Some(rule) = rule(own, p.kind) else { continue };
            let new = Seen { rule, bits: value(p), size: p.data.len(), objects: 0, last: 0 };
            let seen = merged.entry(p.kind).or_insert(new);
            if seen.last == count {
                // An object that says it twice counts once.
                continue;
            }
            seen.bits = match rule {
                Merge::And => seen.bits & value(p),
                Merge::Max => seen.bits.max(value(p)),
                _ => seen.bits | value(p),
            };
            seen.objects += 1;
            seen.last = count;
        }
    }
    for seen in merged.values_mut().filter(|s| s.rule == Merge::And && s.objects < count) {
        seen.bits = 0;
    }
    for &(kind, bits) in forced {
        let new = Seen { rule: Merge::And, bits: 0, size: 4, objects: 0, last: 0 };
        merged.entry(kind).or_insert(new).bits |= u64::from(bits);
    }
    let keep = |s: &Seen| match s.rule {
        Merge::And | Merge::Or => s.bits != 0,
        Merge::OrAnd => s.objects == count,
        Merge::Max | Merge::Any => true,
    };
    let list = merged.into_iter().filter(|(_, s)| keep(s));
    list.map(|(kind, s)| Property { kind, data: s.bits.to_le_bytes()[..s.size].to_vec() }).collect()
}

/// What the objects so far say of one property.
struct Seen {
    rule: Merge,
    bits: u64,
    size: usize,
    /// How many objects have it.
    objects: usize,
    /// The last of them, counted from 1.
    last: usize,
}

fn value(p: &Property) -> u64 {
    let mut raw = [0; 8];
    let size = p.data.len().min(8);
    raw[..size].copy_from_slice(&p.data[..size]);
    u64::from_le_bytes(raw)
}

/// The size of the output's `.note.gnu.property`, 0 for an empty list.
pub fn size(list: &[Property], word: usize) -> usize {
    if list.is_empty() { 0 } else { 16 + desc_size(list, word) }
}

fn desc_size(list: &[Property], word: usize) -> usize {
    list.iter().map(|p| (8 + p.data.len()).next_multiple_of(word)).sum()
}

/// Writes the output's `.note.gnu.property`.
pub fn write(list: &[Property], word: usize, out: &mut [u8]) {
    out.fill(0);
    let put = |out: &mut [u8], at: usize, value: u32| {
        out[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(out, 0, 4);
    put(out, 4, desc_size(list, word) as u32);
    put(out, 8, 5);
    out[12..16].copy_from_slice(b"GNU\0");
    let mut at = 16;
    for p in list {
        put(out, at, p.kind);
        put(out, at + 4, p.data.len() as u32);
        out[at + 8..][..p.data.len()].copy_from_slice(&p.data);
        at += (8 + p.data.len()).next_multiple_of(word);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
#[path = "notes/tests.rs"]
mod tests;
