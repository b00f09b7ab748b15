//! The index of unwind tables: entries of all inputs in the order of the code they are for, equal ones
//! merged, code without any covered, and an end → one table (EHABI §5, "Index table entries").
//!
//! Plans once which entry goes where; must not know of addresses, or of what the tables say.

use rustc_hash::FxHashMap;

use crate::arch::Field;
use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::SHF_EXECINSTR;
use crate::format::elf::tables::u32_at;
use crate::layout::{Made, Member, order};
use crate::link::{Link, attr};
use crate::object::SecId;
use crate::relocate::{self, Yield};

/// Bytes of an entry: where the code begins, and what unwinds it.
pub const ENTRY: u64 = 8;
/// What unwinds nothing.
const CANT_UNWIND: u32 = 1;

/// An entry of an input: which input, its offset there, its relocations.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which of [`super::plan::Plan::index_inputs`].
    pub input: u32,
    /// Its offset there.
    pub offset: u64,
    /// The indexes of its relocations.
    pub relocs: std::ops::Range<usize>,
}

/// An entry of the output.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An input's.
    Input(Source),
    /// Nothing unwinds the code from this offset on.
    None(SecId, u64),
}

/// Plans the table, once members have their places.
///
/// Errors: `bad-input` for an input that is no table.
pub fn plan(link: &mut Link<'_>) -> Result<(), Errors> {
    let inputs = &link.plan.index_inputs;
    let mut of: FxHashMap<SecId, Vec<u32>> = FxHashMap::default();
    let mut errors = Vec::new();
    for (at, member) in (0u32..).zip(inputs) {
        let object = link.object(member.file);
        let section = object.sections.get(member.index);
        if !(object.section_data(member.index).len() as u64).is_multiple_of(ENTRY) {
            let site = crate::scan::site(object, member.index, 0);
            let text = "the size is not a multiple of an entry's";
            errors.push(Error::new(ErrorKind::BadInput, text).at(site));
        } else if section.link != 0 && section.link < object.sections.len() {
            of.entry(object.sec(section.link)).or_default().push(at);
        }
    }
    let mut table = Table { link, entries: Vec::new(), last: None, said: false };
    let mut end = None;
    for member in code(link) {
        let object = link.object(member.file);
        end = Some((member.sec, object.section_size(member.index)));
        match of.get(&member.sec) {
            Some(list) => list.iter().for_each(|&input| table.add(input)),
            None => table.uncovered(member.sec, 0),
        }
    }
    if let Some((sec, size)) = end {
        table.uncovered(sec, size);
    }
    // Without a word from any input there is nothing to say.
    link.plan.index = if table.said { table.entries } else { Vec::new() };
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// The members with code, in the order of the image.
fn code<'l>(link: &'l Link<'_>) -> impl Iterator<Item = &'l Member> {
    let code = |o: &&crate::layout::OutSec| o.is_alloc() && o.flags & SHF_EXECINSTR != 0;
    let mut outs: Vec<_> = link.outs.iter().filter(code).collect();
    outs.sort_by_key(|out| order::rank(out, link.arch.large));
    let members = outs.into_iter().flat_map(|out| &out.members);
    members.filter(|m| link.object(m.file).section_size(m.index) > 0)
}

/// The table, growing.
struct Table<'l, 'a> {
    link: &'l Link<'a>,
    entries: Vec<Entry>,
    /// What unwinds the code so far, if no table of its own does.
    last: Option<u32>,
    /// An input has an entry for code that stays, be it what was said before.
    said: bool,
}

impl Table<'_, '_> {
    /// Adds the entries of input number `input` that differ from those before them.
    fn add(&mut self, input: u32) {
        let link = self.link;
        let member = &link.plan.index_inputs[input as usize];
        let object = link.object(member.file);
        let data = object.section_data(member.index);
        let relocs = object.relocs(member.index);
        let mut at = 0;
        for offset in (0..data.len() as u64).step_by(ENTRY as usize) {
            let first = at;
            let (mut own, mut dead) = (false, false);
            while let Some(reloc) = relocs.get(at).filter(|r| r.offset < offset + ENTRY) {
                let mark =
                    link.arch.row(reloc.kind).is_some_and(|r| matches!(r.field, Field::Mark));
                own |= reloc.offset >= offset + 4 && !mark;
                dead |= !mark && link.attrs[object.id(reloc.sym).i()] & attr::DISCARDED != 0;
                at += 1;
            }
            let word = (!own).then(|| u32_at(data, offset as usize + 4));
            let merge = link.options.merge_exidx || word == Some(CANT_UNWIND);
            self.said |= !dead;
            if dead || word.is_some() && word == self.last && merge {
                continue;
            }
            self.last = word;
            self.entries.push(Entry::Input(Source { input, offset, relocs: first..at }));
        }
    }

    /// Says that nothing unwinds what is from `offset` of `sec` on.
    fn uncovered(&mut self, sec: SecId, offset: u64) {
        if self.last != Some(CANT_UNWIND) {
            self.last = Some(CANT_UNWIND);
            self.entries.push(Entry::None(sec, offset));
        }
    }
}

/// Writes the table.
pub fn write(link: &Link<'_>, buf: &mut [u8], yields: &mut Yield) {
    let base = link.out_of(Made::Index).map_or(0, |o| o.addr);
    let slots = buf.chunks_exact_mut(ENTRY as usize).zip(&link.plan.index);
    for ((slot, entry), place) in slots.zip((base..).step_by(ENTRY as usize)) {
        match entry {
            Entry::Input(source) => {
                let member = &link.plan.index_inputs[source.input as usize];
                let data = link.object(member.file).section_data(member.index);
                slot.copy_from_slice(&data[source.offset as usize..][..ENTRY as usize]);
                let part = (source.offset, source.relocs.clone());
                relocate::record(link, member, part, place, slot, yields);
            }
            Entry::None(sec, offset) => {
                let to = link.section_address(*sec, *offset).unwrap_or(0);
                let distance = to.wrapping_sub(place) as u32 & 0x7fff_ffff;
                slot[..4].copy_from_slice(&distance.to_le_bytes());
                slot[4..].copy_from_slice(&CANT_UNWIND.to_le_bytes());
            }
        }
    }
}
