//! Unwinding: the entries and records of functions that stay → `__unwind_info` and `__eh_frame`. A
//! function whose compact entry says so, or that has none, keeps its DWARF record. Must not know how
//! objects keep either.

mod info;

use rustc_hash::FxHashMap;

use super::link::{Link, Made, Ref};
use super::object::{NONE, Object, Record, Section, Target};
use crate::format::macho::attr;
use crate::{Error, ErrorKind, Result};

/// How one function is unwound.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its atom, and where in it.
    pub at: (u32, u64),
    /// Bytes.
    pub len: u32,
    /// Personality and table not counted.
    pub encoding: u32,
    /// From 1; 0 is none.
    pub personality: u32,
    /// The language's table.
    pub lsda: Option<(u32, u64)>,
}

/// A DWARF record that stays: object, record, where it goes, and, of a FDE, where its CIE is.
#[derive(Clone, Copy, Debug)]
struct Kept {
    file: usize,
    record: usize,
    at: u64,
    cie: u64,
}

/// What goes into the two sections.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    functions: Vec<Function>,
    personalities: Vec<Ref>,
    /// What stands for a place: a name that has a slot, or a personality routine's.
    homes: FxHashMap<(u32, u64), Ref>,
    records: Vec<Kept>,
    /// Bytes of the records.
    records_size: u64,
    /// `__unwind_info`, once addresses of code are known.
    pub info: Vec<u8>,
}

impl Plan {
    /// Bytes of both sections, as far as they are known: 0 if there is none of it.
    pub fn sizes(&self) -> (u64, u64) {
        let some = u64::from(!self.functions.is_empty());
        (some.max(self.info.len() as u64), self.records_size)
    }
}

/// Bits of an encoding that say how the rest is to be read.
const MODE: u32 = 0x0f00_0000;
/// Bits that this linker sets itself: start, table, personality.
const OWN: u32 = 0xf000_0000;

/// Plans for every function that stays.
///
/// Errors: `bad-input` for more personality routines than the format has room for.
pub fn plan(link: &mut Link<'_>) -> Result<()> {
    let mut plan = Plan { homes: homes(link), ..Plan::default() };
    let dwarf = link.machine.unwind_dwarf;
    // Functions with a compact entry that is enough.
    let mut compact = rustc_hash::FxHashSet::default();
    for file in (0..link.files.len()).filter(|_| !link.options.no_compact_unwind) {
        let object = &link.files[file];
        for entry in &object.unwind {
            let atom = object.first_atom + entry.function.0;
            let at = (atom, entry.function.1);
            if !link.is_kept(atom) || entry.encoding & MODE == dwarf {
                continue;
            }
            compact.insert(at);
            let personality = match entry.personality {
                Some((target, addend)) => {
                    let what = plan.canonical(link, routine(link, file, target, addend));
                    let number = plan.personality(what);
                    number.ok_or_else(|| too_many(link, at, link.title(file, target)))?
                }
                None => 0,
            };
            let lsda = entry.lsda.map(|(atom, offset)| (object.first_atom + atom, offset));
            let encoding = entry.encoding & !OWN;
            plan.functions.push(Function { at, len: entry.len, encoding, personality, lsda });
        }
    }
    keep_records(link, &mut plan, &compact);
    if !link.options.no_compact_unwind {
        uncovered(link, &mut plan);
    }
    for &what in &plan.personalities {
        link.got.add(what);
    }
    for kept in &plan.records {
        let record = &link.files[kept.file].records[kept.record];
        if let Some((_, target)) = record.personality {
            let what = link.target(kept.file, target);
            link.got.add(plan.canonical(link, what));
        }
    }
    link.unwind = plan;
    Ok(())
}

/// The personality routine that an entry of `file` refers to.
fn routine(link: &Link<'_>, file: usize, target: Target, addend: i64) -> Ref {
    match link.target(file, target) {
        Ref::Atom(atom, offset) => Ref::Atom(atom, offset.wrapping_add(addend)),
        what => what,
    }
}

/// Where in this image a reference leads.
fn place(link: &Link<'_>, what: Ref) -> Option<(u32, u64)> {
    let (at, offset) = link.atom_of(what)?;
    let atom = &link.atoms[at as usize];
    Some(match atom.forward {
        NONE => (at, offset),
        other => (other, offset.wrapping_add(atom.forward_at)),
    })
}

/// Names by the places they stand for, those before others that the loader doesn't look up.
fn homes(link: &Link<'_>) -> FxHashMap<(u32, u64), Ref> {
    let entries = (0..).zip(&link.files).flat_map(|(file, object)| {
        let named = object.unwind.iter().filter_map(|entry| entry.personality);
        let records = object.records.iter().filter_map(|record| record.personality);
        let targets = named.map(|(target, _)| target).chain(records.map(|(_, target)| target));
        targets.map(move |target| link.target(file, target))
    });
    let all = link.got.list.iter().copied().chain(entries);
    let mut names: Vec<Ref> = all.filter(|what| matches!(what, Ref::Name(_))).collect();
    names.sort_by_key(|&name| link.bound(name).is_some());
    let mut homes = FxHashMap::default();
    for what in names {
        if let Some(place) = place(link, what) {
            homes.entry(place).or_insert(what);
        }
    }
    homes
}

impl Plan {
    /// What stands for `what` and all that leads to the same place, so that it has one slot.
    fn canonical(&self, link: &Link<'_>, what: Ref) -> Ref {
        let own = |other: &Ref| matches!(what, Ref::Atom(..)) || link.bound(*other).is_none();
        let place = place(link, what).filter(|_| link.bound(what).is_none());
        place.and_then(|place| self.homes.get(&place)).copied().filter(own).unwrap_or(what)
    }

    /// The number of a personality routine, from 1; none if there are more than the table has room for.
    fn personality(&mut self, what: Ref) -> Option<u32> {
        let found = self.personalities.iter().position(|&other| other == what);
        let at = found.unwrap_or_else(|| {
            self.personalities.push(what);
            self.personalities.len() - 1
        });
        (at < 3).then_some(at as u32 + 1)
    }
}

/// A fourth personality routine, called `name`, of the function at that place.
fn too_many(link: &Link<'_>, (atom, offset): (u32, u64), name: String) -> Error {
    let text = "more than three personality routines: the unwind table has no room";
    let error = Error::new(ErrorKind::BadInput, format!("{text} for {name}"));
    let atom = &link.atoms[atom as usize];
    match link.files.get(atom.file as usize) {
        Some(object) => error.at(object.site(atom.section, atom.start.wrapping_add(offset))),
        None => error,
    }
}

/// Keeps the records of functions without a compact entry, and their CIEs, equal ones once.
fn keep_records(link: &Link<'_>, plan: &mut Plan, compact: &rustc_hash::FxHashSet<(u32, u64)>) {
    let mut cies: FxHashMap<(&[u8], Option<Ref>), u64> = FxHashMap::default();
    let mut size = 0;
    for (file, object) in link.files.iter().enumerate() {
        for (index, record) in object.records.iter().enumerate() {
            let (Some(function), Some(cie)) = (record.function, record.cie) else { continue };
            let at = (object.first_atom + function.2.0, function.2.1);
            if !link.is_kept(at.0) || compact.contains(&at) {
                continue;
            }
            let personality = object.records[cie].personality;
            let bytes = object.record(&object.records[cie]);
            let routine = |target| plan.canonical(link, link.target(file, target));
            let key = (bytes, personality.map(|(_, target)| routine(target)));
            let cie_at = *cies.entry(key).or_insert_with(|| {
                let kept = Kept { file, record: cie, at: size, cie: 0 };
                plan.records.push(kept);
                size += bytes.len() as u64;
                kept.at
            });
            plan.records.push(Kept { file, record: index, at: size, cie: cie_at });
            if !link.options.no_compact_unwind {
                let encoding = link.machine.unwind_dwarf | (size as u32 & 0xff_ffff);
                let len = 1;
                plan.functions.push(Function { at, len, encoding, personality: 0, lsda: None });
            }
            size += object.record(record).len() as u64;
        }
    }
    plan.records_size = size;
}

/// Functions that nothing describes end what is said of those before them.
fn uncovered(link: &Link<'_>, plan: &mut Plan) {
    if plan.functions.is_empty() {
        return;
    }
    let known: rustc_hash::FxHashSet<u32> = plan.functions.iter().map(|f| f.at.0).collect();
    for (at, atom) in (0..).zip(&link.atoms) {
        let Some(object) = link.files.get(atom.file as usize) else { continue };
        let header = &object.sections[atom.section as usize].header;
        let code = header.flags & (attr::PURE_INSTRUCTIONS | attr::SOME_INSTRUCTIONS) != 0;
        if code && link.is_kept(at) && !known.contains(&at) && atom.size > 0 {
            let len = u32::try_from(atom.size).unwrap_or(u32::MAX);
            let at = (at, 0);
            plan.functions.push(Function { at, len, encoding: 0, personality: 0, lsda: None });
        }
    }
}

/// Makes `__unwind_info` as the addresses are now.
///
/// Errors: `reloc-overflow` if the image is too large for it.
pub fn build(link: &mut Link<'_>) -> Result<()> {
    let mut plan = std::mem::take(&mut link.unwind);
    if !plan.functions.is_empty() {
        let key = |f: &Function| link.atoms[f.at.0 as usize].addr.wrapping_add(f.at.1);
        plan.functions.sort_by_cached_key(|function| (key(function), function.encoding));
        let slots: Vec<(Ref, u64)> = plan
            .personalities
            .iter()
            .map(|&what| {
                let slot = link.address_of(Made::Got) + 8 * link.got.get(what).unwrap_or(0);
                (what, slot.wrapping_sub(link.base))
            })
            .collect();
        plan.info = info::build(link, &plan.functions, &slots)?;
    }
    link.unwind = plan;
    Ok(())
}

/// Writes `__eh_frame` at its address; gives all that is wrong with it.
pub fn write_records(link: &Link<'_>, addr: u64, out: &mut [u8]) -> Vec<Error> {
    let mut errors = Vec::new();
    for kept in &link.unwind.records {
        let object = &link.files[kept.file];
        let record = &object.records[kept.record];
        let bytes = object.record(record);
        let (at, place) = (kept.at as usize, addr + kept.at);
        let out = &mut out[at..at + bytes.len()];
        out.copy_from_slice(bytes);
        if record.cie.is_some() {
            let back = kept.at + 4 - kept.cie;
            out[4..8].copy_from_slice(&(back as u32).to_le_bytes());
        }
        let mut put = |field: u32, width: u8, to: u64| {
            let value = to.wrapping_sub(place + u64::from(field)) as i64;
            match width == 4 && i32::try_from(value).is_err() {
                true => errors.push(far(object, record, field, value)),
                false => crate::arch::Field::Data(width).write(&mut out[field as usize..], value),
            }
        };
        for &(field, width, (atom, offset)) in record.function.iter().chain(&record.lsda) {
            let what = link.target(kept.file, Target::Atom(atom));
            put(field, width, link.address(what).wrapping_add(offset));
        }
        if let Some((field, target)) = record.personality {
            let what = link.unwind.canonical(link, link.target(kept.file, target));
            let slot = link.got.get(what).unwrap_or(0);
            put(field, 4, link.address_of(Made::Got) + 8 * slot);
        }
    }
    errors
}

/// The error of a field of an unwind record that has no room for `value`.
fn far(object: &Object<'_>, record: &Record, field: u32, value: i64) -> Error {
    let text = format!(
        "an unwind record is too far from what it describes: {value:#x} is not in -2^31..2^31-1"
    );
    let is_frame = |section: &Section<'_>| section.header.name == b"__eh_frame";
    let section = object.sections.iter().position(is_frame).unwrap_or_default();
    let offset = record.range.0 as u64 + u64::from(field);
    Error::new(ErrorKind::RelocOverflow, text).at(object.site(section as u32, offset))
}
