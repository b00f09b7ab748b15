//! Bounds of sections in a module of a world: functions `mark/NAME` that return the address called `NAME`, and what is
//! between two of those, `at.SECTION`.
//!
//! It must not know where they have to be.

use scold_diff::Format;

use super::Module;
use crate::case::*;
use crate::generate::Dice;
use crate::generate::modules::bounds::{ROWS, bounded};
use crate::generate::parts::symbol;

impl Module<'_> {
    pub(super) fn bounds(&mut self, dice: &mut Dice<'_>) {
        // Mach-O has other sections.
        if self.target.format != Format::Elf || dice.chance(500) {
            return;
        }
        // Code and data have other things in them.
        let rows = ROWS.into_iter().filter(|row| !matches!(row.0, ".text" | ".data"));
        for row in rows {
            if !dice.chance(500) {
                continue;
            }
            let size = *dice.pick(&[None, Some(0), Some(16), Some(48)]);
            if let Some(size) = size {
                let number = self.object.sections.len();
                self.object.sections.push(bounded(row, size));
                let offset = self.object.sections[number].start();
                let definition = Definition::Section { section: number, offset };
                let name = format!("at{}", row.0);
                let made = Symbol { size, ..symbol(&name, SymbolKind::Object, definition) };
                self.object.symbols.extend((size > 0).then_some(made));
            }
            for name in row.3 {
                let bound = self.named(name, Binding::Global);
                self.taking(&format!("mark/{name}"), bound);
            }
        }
    }
}
