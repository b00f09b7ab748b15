//! Index tables for unwinders (`.ARM.exidx`) of inputs and output → `unwind` facts: what looking a function's
//! address up gives.
//!
//! It must not know how the linker merged entries: equal neighbours and those that end a range never show.
//!
//! Spec: EHABI32 §5 "Index table entries", §6 "Exception-handling table entries".

use super::inputs::SecId;
use super::judge::{Judge, Reference, Use};
use super::object::Where;
use super::unwind;
use crate::bytes::{number, sign_extend};
use crate::loader::Image;
use crate::model::{Facts, Family, Meaning, Value, digest};

/// SHT_ARM_EXIDX.
pub(super) const INDEX: u32 = 0x7000_0001;

/// Adds the facts of every function that an input's index names.
pub(super) fn facts(judge: &Judge<'_, '_>, facts: &mut Facts) {
    if judge.module.machine.index.is_none() {
        return;
    }
    let table =
        judge.module.image.index.and_then(|(at, size)| table(&judge.module.image, at, size));
    for (object, first) in (0_u32..).zip(&judge.inputs.first) {
        let sections = (*first..).zip(&judge.inputs.objects[object as usize].sections);
        for (id, _) in sections.filter(|(_, section)| section.kind == INDEX) {
            for spot in functions(judge, object, id) {
                let Some((address, place)) = unwind::home(judge, spot, facts) else { continue };
                let said = match &table {
                    Some(table) => tell(judge, table, address),
                    None => Value::Text("missing".into()),
                };
                facts.put(Family::Unwind, place.to_string(), said);
            }
        }
    }
}

/// The functions that an input section's entries are for: a section, and how far into it.
fn functions(judge: &Judge<'_, '_>, object: u32, id: SecId) -> Vec<(SecId, u64)> {
    let inputs = judge.inputs;
    let Some(section) = inputs.section(id) else { return Vec::new() };
    let symbols = &inputs.objects[object as usize].symbols;
    let entries = section.relocs().filter(|reloc| reloc.offset % 8 == 0 && reloc.r_type != 0);
    let spot = |reloc: super::object::Reloc| {
        let symbol = symbols.get(reloc.symbol as usize)?;
        let Where::Section(section) = symbol.place else { return None };
        // The state is no part of a function's address here.
        let state = if matches!(symbol.kind, 2 | 10) { judge.module.machine.state } else { 0 };
        let offset = (symbol.value & !state).wrapping_add_signed(reloc.addend);
        Some((inputs.first[object as usize] + section, offset))
    };
    entries.filter_map(spot).collect()
}

/// An entry of the output's table: the start of its function, the second word and where that is.
struct Entry {
    start: u64,
    word: u32,
    at: u64,
}

fn table(image: &Image<'_>, address: u64, size: u64) -> Option<Vec<Entry>> {
    let raw = image.slice(address, size)?;
    let entries = (0_u64..).step_by(8).zip(raw.chunks_exact(8));
    let read = |(at, raw): (u64, &[u8])| {
        let at = address.wrapping_add(at);
        let start = relative(at, number(&raw[..4]) as u32);
        Entry { start, word: number(&raw[4..]) as u32, at: at.wrapping_add(4) }
    };
    Some(entries.map(read).collect())
}

/// Where the 31-bit distance of a word at `at` leads.
fn relative(at: u64, word: u32) -> u64 {
    let distance = sign_extend(u64::from(word << 1), 4) as i64 >> 1;
    at.wrapping_add_signed(distance) & 0xffff_ffff
}

/// What an unwinder finds for the function at `address`.
fn tell(judge: &Judge<'_, '_>, table: &[Entry], address: u64) -> Value {
    let text = |text: String| Value::Text(text.into());
    let after = table.partition_point(|entry| entry.start <= address);
    let Some(entry) = after.checked_sub(1).and_then(|at| table.get(at)) else {
        return text("before the first entry".into());
    };
    match entry.word {
        1 => text("cantunwind".into()),
        word if word >> 31 != 0 => text(format!("inline {word:#010x}")),
        word => match unwind::table(judge, relative(entry.at, word)) {
            Some(place) => {
                let record = record(judge, relative(entry.at, word), &place);
                text(record.unwrap_or_else(|| "unreadable".into()))
            }
            None => Value::Ref(Meaning::Lost),
        },
    }
}

/// The record of `.ARM.extab` at `at`, which is `place`.
fn record(judge: &Judge<'_, '_>, at: u64, place: &str) -> Option<String> {
    let image = &judge.module.image;
    let first = image.u32(at)?;
    let (personality, start, more) = if first >> 31 == 0 {
        let routine = relative(at, first);
        let meaning = judge.address(routine, Reference::NONE, Use::Call);
        let next = at.wrapping_add(4);
        // GCC's routines: the first byte of their data counts the words behind it.
        (meaning.to_string(), next, image.u32(next)? >> 24)
    } else {
        let model = first >> 24 & 15;
        (model.to_string(), at, if model == 0 { 0 } else { first >> 16 & 0xff })
    };
    let bytes = image.slice(start, 4 * (u64::from(more) + 1))?;
    Some(format!("table {place} personality={personality} frame={:016x}", digest(bytes)))
}
