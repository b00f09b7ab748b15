//! `.eh_frame` of the output: records of all inputs, dead ones dropped, equal CIEs shared.
//!
//! Plans once which record goes where; must not know of addresses.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::Malformed;
use crate::eh_frame::{Record, RecordKind, parse_cie, read_pointer, split};
use crate::error::{Error, ErrorKind, Errors};
use crate::layout::Member;
use crate::layout::SecPlace;
use crate::link::{Link, attr};
use crate::object::{Home, Object, SecId};
use crate::scan::site;

/// One record of the output.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Which input it is from.
    pub input: u32,
    /// The record there.
    pub record: Record,
    /// Its offset in the output.
    pub offset: u64,
    /// For an FDE, the offset of its CIE in the output.
    pub cie: Option<u64>,
    /// Its relocations: the index of the first, and how many.
    pub relocs: (u32, u32),
}

impl Kept {
    /// The indexes of its relocations.
    pub fn relocations(&self) -> std::ops::Range<usize> {
        self.relocs.0 as usize..self.relocs.0 as usize + self.relocs.1 as usize
    }
}

/// The output's `.eh_frame`.
#[derive(Default, Debug)]
pub struct EhPlan {
    /// Records in order; those of one input follow each other.
    pub kept: Vec<Kept>,
    /// Its size, the terminator included.
    pub size: u64,
    /// How many FDEs there are.
    pub fdes: usize,
    /// Where each input's first record goes, or would go, and its number in `kept`.
    pub starts: Vec<(u64, u32)>,
}

impl EhPlan {
    /// The records of input number `input`.
    pub fn of(&self, input: usize) -> &[Kept] {
        let first = |at: usize| self.starts.get(at).map_or(self.kept.len(), |s| s.1 as usize);
        &self.kept[first(input)..first(input + 1)]
    }
}

impl super::plan::Plan {
    /// Where byte `offset` of the `.eh_frame` section `section` went; a record that is gone is where
    /// the next one is. `crtbeginT.o` registers the table by a symbol in an empty section.
    pub fn unwind_place(&self, section: SecId, offset: u64) -> Option<u64> {
        let input = self.eh_inputs.binary_search_by_key(&section, |m| m.sec).ok()?;
        let (start, _) = *self.eh.starts.get(input)?;
        let own = self.eh.of(input);
        let past = |k: &Kept| u64::from(k.record.offset) + u64::from(k.record.size) <= offset;
        let next = own.get(own.partition_point(past));
        let next = next.map(|k| k.offset + offset.saturating_sub(k.record.offset.into()));
        let after = self.eh.starts.get(input + 1).map(|s| s.0);
        let end = after.unwrap_or_else(|| self.eh.size.saturating_sub(4));
        Some(if offset == 0 { start } else { next.unwrap_or(end) })
    }
}

/// Plans `.eh_frame` from its inputs.
///
/// Errors: `bad-input` for records that can't be split.
pub fn plan(link: &mut Link<'_>) -> Result<(), Errors> {
    let inputs = std::mem::take(&mut link.plan.eh_inputs);
    let shared = &*link;
    let split: Vec<Result<Vec<Kept>, Error>> = inputs
        .par_iter()
        .enumerate()
        .map(|(at, member)| records(shared, at as u32, member))
        .collect();
    let mut plan = EhPlan::default();
    let mut errors = Vec::new();
    let mut cies: FxHashMap<Vec<u8>, u64> = FxHashMap::default();
    for (member, list) in inputs.iter().zip(split) {
        plan.starts.push((plan.size, plan.kept.len() as u32));
        match list {
            Ok(list) => place(shared, member, list, &mut plan, &mut cies),
            Err(error) => errors.push(error),
        }
    }
    if !plan.kept.is_empty() {
        plan.size += 4;
    }
    link.plan.eh = plan;
    link.plan.eh_inputs = inputs;
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// The records of one input that are not dead.
fn records(link: &Link<'_>, input: u32, member: &Member) -> Result<Vec<Kept>, Error> {
    let object = link.object(member.file);
    let data = object.section_data(member.index);
    let records = split(data).map_err(|m| {
        Error::new(ErrorKind::BadInput, m.text).at(site(object, member.index, m.offset))
    })?;
    let relocs = object.relocs(member.index);
    let mut list = Vec::with_capacity(records.len());
    let mut at = 0u32;
    for record in records {
        let (from, to) = (u64::from(record.offset), u64::from(record.offset + record.size));
        while relocs.get(at as usize).is_some_and(|r| r.offset < from) {
            at += 1;
        }
        let first = at;
        while relocs.get(at as usize).is_some_and(|r| r.offset < to) {
            at += 1;
        }
        if let RecordKind::Fde { .. } = record.kind {
            let begin = u64::from(record.pc_begin());
            let function =
                (first..at).filter_map(|i| relocs.get(i as usize)).find(|r| r.offset == begin);
            // Without a relocation the function is nowhere: gone with a discarded section.
            if function.is_none_or(|r| !is_live(link, object, r.sym)) {
                continue;
            }
        } else if record.kind == RecordKind::Cie {
            check_cie(link, &record, data).map_err(|m| m.in_section(&object.name, ".eh_frame"))?;
        } else {
            continue;
        }
        list.push(Kept { input, record, offset: 0, cie: None, relocs: (first, at - first) });
    }
    Ok(list)
}

/// What makes `.eh_frame_hdr` must be readable: functions' addresses as plain or relative numbers.
fn check_cie(link: &Link<'_>, record: &Record, data: &[u8]) -> Result<(), Malformed> {
    if !link.options.eh_frame_hdr {
        return Ok(());
    }
    let word = link.arch.word() as usize;
    let start = u64::from(record.offset);
    let cie = parse_cie(record.bytes(data), record.id_at, word)
        .map_err(|m| Malformed { offset: start + m.offset, ..m })?;
    match read_pointer(&[0; 8], 0, cie.fde_encoding, word) {
        Some(_) => Ok(()),
        None => {
            Err(Malformed { offset: start, text: "CIE's pointer encoding fits no search table" })
        }
    }
}

/// Whether the symbol at `index` is in a section of the output.
fn is_live(link: &Link<'_>, object: &Object<'_>, index: u32) -> bool {
    let symbol = object.symbols.get(index);
    match symbol.home {
        Home::Section(s) => link.sec_out[object.sec(s).i()] != SecPlace::NOWHERE,
        Home::Undefined => {
            let bits = link.attrs[object.id(index).i()];
            bits & (attr::DISCARDED | attr::UNDEFINED | attr::ABSOLUTE) == 0
        }
        _ => true,
    }
}

fn place(
    link: &Link<'_>,
    member: &Member,
    list: Vec<Kept>,
    plan: &mut EhPlan,
    cies: &mut FxHashMap<Vec<u8>, u64>,
) {
    let object = link.object(member.file);
    let data = object.section_data(member.index);
    let wanted: rustc_hash::FxHashSet<u32> = list
        .iter()
        .filter_map(|k| match k.record.kind {
            RecordKind::Fde { cie, .. } => Some(cie),
            _ => None,
        })
        .collect();
    let mut here: FxHashMap<u32, u64> = FxHashMap::default();
    for mut kept in list {
        match kept.record.kind {
            RecordKind::Fde { cie, .. } => {
                kept.cie = here.get(&cie).copied();
                plan.fdes += 1;
            }
            _ if !wanted.contains(&kept.record.offset) => continue,
            _ => {
                let key = cie_key(object, member.index, &kept, data);
                if let Some(&at) = cies.get(&key) {
                    here.insert(kept.record.offset, at);
                    continue;
                }
                cies.insert(key, plan.size);
                here.insert(kept.record.offset, plan.size);
            }
        }
        kept.offset = plan.size;
        plan.size += u64::from(kept.record.size);
        plan.kept.push(kept);
    }
}

/// What makes two CIEs the same: bytes, and what their relocations mean.
fn cie_key(object: &Object<'_>, index: u32, kept: &Kept, data: &[u8]) -> Vec<u8> {
    let mut key = kept.record.bytes(data).to_vec();
    let relocs = object.relocs(index);
    for at in kept.relocations() {
        if let Some(r) = relocs.get(at) {
            let within = r.offset - u64::from(kept.record.offset);
            key.extend(within.to_le_bytes());
            key.extend(r.kind.to_le_bytes());
            key.extend(object.id(r.sym).0.to_le_bytes());
            key.extend(r.addend.to_le_bytes());
        }
    }
    key
}

#[cfg(test)]
#[path = "unwind/tests.rs"]
mod tests;
