//! The bounds of sections that a module asks for → empty sections before and behind all of the kind.
//!
//! Every linker lays the inputs of a section out in the order of its objects. A linker that orders them by alignment
//! has the first one first, as it is aligned as the others at most are, and the last one, which is not, last. It must
//! not know how bounds are used.

use super::edit::Mark;
use super::said::Said;
use super::{Part, Place, Symbol};
use crate::model::elf::{self, Bound, Outline};

/// SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR: what keeps sections of one name apart.
const APART: u64 = 7;

/// A bound whose sections another's stand in for, with that one's name: linkers put it among others, and nothing
/// before and behind all can bound it.
pub(super) type Moved = (&'static Bound, &'static str);

/// The bounds for which that is so in `said`.
pub(super) fn moved(said: &Said<'_>) -> Vec<Moved> {
    let sections = said.sections(&[]);
    let there = |name: &str| sections.iter().any(|section| section.name == name);
    let moved = |bound: &&Bound| bound.moved.filter(|moved| !there(bound.section) && there(moved));
    elf::BOUNDS.iter().filter_map(|bound| Some((bound, moved(&bound)?))).collect()
}

/// Where sections start that `said` asks that of; `sections` are all there are, as linkers get them.
pub(super) fn heads(said: &Said<'_>, sections: &[Outline<'_>], moved: &[Moved]) -> Vec<Part> {
    let wanted = outside(moved).filter(|bound| said.lacks(bound.start));
    wanted.map(|bound| part(sections, bound, true)).collect()
}

/// Where they end.
pub(super) fn tails(said: &Said<'_>, sections: &[Outline<'_>], moved: &[Moved]) -> Vec<Part> {
    let wanted = outside(moved).filter(|bound| said.lacks(bound.end));
    wanted.map(|bound| part(sections, bound, false)).collect()
}

/// The bounds that stand before and behind all.
fn outside(moved: &[Moved]) -> impl Iterator<Item = &'static Bound> {
    elf::BOUNDS.iter().filter(|bound| moved.iter().all(|(other, _)| other.section != bound.section))
}

fn part(sections: &[Outline<'_>], bound: &Bound, is_head: bool) -> Part {
    let ours: Vec<&Outline<'_>> = sections.iter().filter(|s| bound.has(s.name)).collect();
    let first = ours.iter().find(|section| section.name == bound.section).or(ours.first());
    let (kind, flags) = first.map_or((bound.kind, bound.flags), |s| (s.kind, s.flags & APART));
    let aligns = ours.iter().map(|section| section.align).filter(|align| align.is_power_of_two());
    let align = aligns.max().unwrap_or(1);
    // GNU ld and gold have code that is unlikely to run first.
    let first_of_code = is_head && bound.section == ".text";
    Part {
        name: if first_of_code { ".text.unlikely" } else { bound.section },
        kind,
        flags,
        align: if is_head { align } else { 1 },
        bytes: Vec::new(),
        symbols: vec![Symbol {
            name: if is_head { bound.start } else { bound.end }.to_owned(),
            global: true,
            hidden: true,
            kind: 0,
        }],
        fields: Vec::new(),
        lines: Vec::new(),
    }
}

/// Names for where what stands in starts and ends, each with the file that has the first or last of it.
pub(super) fn marks(said: &Said<'_>, moved: &[Moved]) -> Vec<(Place, Mark)> {
    let each = moved.iter().flat_map(|&(bound, section)| {
        let mut places = said.places(section);
        let (first, last) = (places.next(), places.last());
        let ends = [(bound.start, first.clone(), false), (bound.end, last.or(first), true)];
        ends.into_iter().filter_map(move |(name, place, at_end)| {
            let mark = Mark { section, name, at_end };
            place.filter(|_| said.lacks(name)).map(|place| (place, mark))
        })
    });
    each.collect()
}
