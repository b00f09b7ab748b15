//! References into mergeable sections → the piece that they read.
//!
//! It must not know how the linker merged.

use super::super::inputs::Spot;
use super::super::object::{MERGE, STRINGS};
use super::{Judge, Reference, bad};
use crate::model::Meaning;

impl Judge<'_, '_> {
    /// The piece of a mergeable section, if that is what the symbol is defined in.
    ///
    /// `value` is S. For a section symbol the piece is at S + A, for a named one at S.
    pub(super) fn merged(&self, value: u64, to: Reference<'_>) -> Option<Meaning> {
        let section = to.defs.iter().find_map(|def| match def.spot {
            Spot::Section(id, offset) => {
                let section = self.inputs.section(id)?;
                section.merged().then_some((section, offset))
            }
            _ => None,
        });
        let (section, mut offset) = section?;
        if self.places.occupied(value) && !to.section {
            return None;
        }
        let mut at = value;
        if to.section {
            at = at.wrapping_add_signed(to.addend);
            offset = offset.wrapping_add_signed(to.addend);
        }
        let step = section.entsize;
        let into = offset % step;
        let tail = self.module.image.tail(at.wrapping_sub(into));
        if offset % section.align == 0 && !at.is_multiple_of(section.align) {
            return Some(bad("a merged piece that is misaligned"));
        }
        if section.flags & (MERGE | STRINGS) == MERGE {
            return Some(match tail.get(..step as usize) {
                Some(piece) => Meaning::Merged(piece.to_vec()),
                None => bad("a merged constant outside the image"),
            });
        }
        let mut piece = Vec::new();
        for unit in tail.chunks_exact(usize::try_from(step).ok()?).take(4096) {
            if unit.iter().all(|byte| *byte == 0) {
                return Some(Meaning::Merged(piece));
            }
            piece.extend_from_slice(unit);
        }
        Some(bad("a merged string without an end"))
    }
}
