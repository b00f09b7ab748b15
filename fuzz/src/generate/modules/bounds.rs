//! Bounds of sections that a module asks for by the Go linker's names; the sections, full, empty or not there.
//!
//! It must not know where a linker has them.

use super::Module;
use crate::case::*;
use crate::generate::Dice;
use crate::generate::parts::{add_piece, flags, section, symbol};
use crate::machine;

/// A section, its flags, whether it is zeros, and what its start and end are called.
type Row = (&'static str, &'static str, bool, [&'static str; 2]);

/// Every section whose bounds have names.
pub(crate) const ROWS: [Row; 7] = [
    (".text", "ax", false, ["runtime.text", "runtime.etext"]),
    (".rodata", "a", false, ["runtime.rodata", "runtime.erodata"]),
    (".go.type", "a", false, ["runtime.types", "runtime.etypes"]),
    (".noptrdata", "aw", false, ["runtime.noptrdata", "runtime.enoptrdata"]),
    (".data", "aw", false, ["runtime.data", "runtime.edata"]),
    (".bss", "aw", true, ["runtime.bss", "runtime.ebss"]),
    (".noptrbss", "aw", true, ["runtime.noptrbss", "runtime.enoptrbss"]),
];

/// A section of a row with so many bytes; without any it is empty.
pub(crate) fn bounded((name, letters, zeros, _): Row, size: u64) -> Section {
    let empty = section(name, letters, &[]);
    let marker = if zeros || size == 0 { Marker::None } else { Marker::Head };
    let kind = if zeros { SectionKind::Nobits } else { SectionKind::Progbits };
    let data = if zeros { Data::Zeros(size) } else { Data::Bytes(vec![0x5a; size as usize]) };
    Section { flags: flags(letters), marker, kind, data, ..empty }
}

impl Module {
    /// Words and code that refer to bounds, and what is between those.
    pub(super) fn bounds(&mut self, dice: &mut Dice<'_>, collects: bool) {
        if !dice.chance(500) {
            return;
        }
        let table = self.section(".data.bounds", false, vec![0; 16 * ROWS.len()]);
        self.define("bounds", SymbolKind::Object, (table, 0), 8);
        let mut at = 0;
        for mut row in ROWS {
            if !dice.chance(600) {
                continue;
            }
            if row.0 == ".go.type" && dice.chance(500) && !collects {
                // Where types have addresses in them. Whether bounds alone keep them is not the same for all.
                (row.0, row.1) = (".data.rel.ro.go.type", "aw");
            }
            if !row.1.contains('x') {
                self.between(row, dice);
            }
            for name in row.3 {
                if dice.chance(800) {
                    let bound = self.bound(name, dice);
                    self.refer(table, at, bound);
                    at += 8;
                }
            }
        }
    }

    /// A reference to a bound, maybe by code, too; its symbol.
    fn bound(&mut self, name: &str, dice: &mut Dice<'_>) -> usize {
        let at = self.object.symbols.len();
        self.object.symbols.push(Symbol {
            binding: *dice.pick(&[Binding::Global, Binding::Global, Binding::Weak]),
            visibility: *dice.pick(&[Visibility::Default, Visibility::Default, Visibility::Hidden]),
            ..symbol(name, SymbolKind::Notype, Definition::Undefined)
        });
        if dice.chance(300) {
            let code = &machine::of(self.target.arch).code;
            // The module's functions are its first section.
            let text = &mut self.object.sections[0];
            let start = text.size().next_multiple_of(16) - 16;
            if let Data::Bytes(bytes) = &mut text.data {
                bytes.resize(start as usize, 0);
            }
            add_piece(text, &code.take, SymbolRef::Named(at), 0);
        }
        at
    }

    /// What is between bounds: something, nothing, or no such section at all.
    fn between(&mut self, row: Row, dice: &mut Dice<'_>) {
        let size = match dice.below(4) {
            0 => return,
            1 => 0,
            _ => dice.range(1, 40) as u64,
        };
        let number = self.object.sections.len();
        let align = *dice.pick(&[1, 4, 16, 32]);
        self.object.sections.push(Section { align, ..bounded(row, size) });
        if size > 0 {
            let offset = self.object.sections[number].start();
            let definition = Definition::Section { section: number, offset };
            let name = format!("in{}", row.0.replace('.', "_"));
            self.object.symbols.push(Symbol {
                size,
                visibility: *dice.pick(&[Visibility::Default, Visibility::Hidden]),
                ..symbol(&name, SymbolKind::Object, definition)
            });
        }
    }
}
