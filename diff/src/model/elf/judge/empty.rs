//! References to sections without bytes → the place, if that may be it.
//!
//! Nothing in an output tells where such a section is but what refers to it, and it shares its address with whatever
//! comes next: linkers that order sections otherwise have another neighbour there. It must not know relocations.

use super::super::inputs::{SecId, Spot};
use super::super::object::Section;
use super::{Judge, Reference};
use crate::model::Meaning;

impl Judge<'_, '_> {
    /// The place in an empty section that `value` is, if the symbol is defined there and nothing speaks against it: it
    /// is inside of nothing else, in memory of the same kind, with the others of its name, and wherever else the
    /// section was meant.
    pub(super) fn empty(&self, value: u64, to: Reference<'_>) -> Option<Meaning> {
        to.defs.iter().find_map(|def| {
            let Spot::Section(id, offset) = def.spot else { return None };
            let section = self.inputs.section(id)?;
            let unknown = section.placeable() && section.size == 0 && section.marker().is_none();
            if !unknown || self.places.base(id).is_some() {
                return None;
            }
            let start = value.wrapping_sub(offset);
            let known = self.empties.borrow().get(&id).copied();
            if !known.map_or_else(|| self.may_start(id, section, start), |known| known == start) {
                return None;
            }
            self.empties.borrow_mut().insert(id, start);
            self.places.place(self.inputs, def.spot).map(Meaning::Place)
        })
    }

    /// Whether an empty section may be at `start`.
    fn may_start(&self, id: SecId, section: &Section<'_>, start: u64) -> bool {
        let image = &self.module.image;
        let alike = [start, start.wrapping_sub(1)].iter().any(|at| {
            let segment = image.segment(*at);
            segment.is_some_and(|it| it.writable() == (section.flags & 1 != 0))
        });
        alike && !self.places.is_inside(start) && self.is_with_its_like(id, section, start)
    }

    /// Whether `start` is among the other sections of this name, or where the empty ones are.
    fn is_with_its_like(&self, id: SecId, section: &Section<'_>, start: u64) -> bool {
        let same = |other: &Section<'_>| other.placeable() && other.name == section.name;
        let mut range: Option<(u64, u64)> = None;
        let mut align = section.align;
        let ids = 0..self.inputs.owner.len() as SecId;
        for other in ids.filter(|other| *other != id) {
            let Some(like) = self.inputs.section(other).filter(|it| same(it)) else { continue };
            let known = self.empties.borrow().get(&other).copied();
            let Some(base) = self.places.base(other).or(known) else {
                // It may be the first or the last of them.
                if like.size > 0 { return true } else { continue }
            };
            let stop = base.saturating_add(like.size);
            let (low, high) = range.unwrap_or((base, stop));
            range = Some((low.min(base), high.max(stop)));
            align = align.max(like.align);
        }
        range.is_none_or(|(low, high)| {
            (low.saturating_sub(align - 1)..=high.saturating_add(align - 1)).contains(&start)
        })
    }
}
