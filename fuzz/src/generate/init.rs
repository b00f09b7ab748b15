//! Functions that run at load and unload, and an executable's entry.

use super::Dice;
use super::world::World;
use crate::case::*;
use crate::machine::Piece;

impl World<'_> {
    /// `.init_array`, `.fini_array` with distinct priorities; `_init` and `_fini`.
    pub(super) fn add_init(&mut self, dice: &mut Dice<'_>) {
        let mut priority = 100;
        for object in self.direct() {
            if self.config.init_array {
                for (kind, base) in [
                    (SectionKind::InitArray, ".init_array"),
                    (SectionKind::FiniArray, ".fini_array"),
                ] {
                    for _ in 0..dice.range(0, 2) {
                        let plain = dice.chance(400);
                        priority += dice.range(1, 300);
                        let name =
                            if plain { base.to_owned() } else { format!("{base}.{priority:05}") };
                        self.add_array(dice, object, kind, &name);
                    }
                }
            }
        }
        if self.config.init_functions && self.is_library() {
            for name in ["_init", "_fini"] {
                let object = dice.below(self.direct().len());
                let symbol = self.returning(object, name);
                self.drafts[object].object.symbols[symbol].binding = Binding::Global;
            }
        }
    }

    fn add_array(&mut self, dice: &mut Dice<'_>, object: usize, kind: SectionKind, name: &str) {
        for _ in 0..dice.range(1, 2) {
            let number = self.next();
            let function = self.returning(object, &format!("init.{number}"));
            let by_section = self.config.section_symbols && dice.chance(300);
            let draft = &mut self.drafts[object];
            let section = draft.section(name, kind, "aw");
            let word = u64::from(self.machine.word);
            let offset = draft.append(section, word, &[0; 8][..word as usize]);
            let place = draft.object.symbols[function].definition;
            let (symbol, addend) = match place {
                Definition::Section { section, offset } if by_section => {
                    (SymbolRef::Section(section), offset as i64)
                }
                _ => (SymbolRef::Named(function), 0),
            };
            draft.reloc(section, Reloc { offset, r_type: self.machine.pointer, symbol, addend });
        }
    }

    /// A function that does nothing.
    fn returning(&mut self, object: usize, name: &str) -> usize {
        let ret = self.machine.code.ret;
        let draft = &mut self.drafts[object];
        let section = draft.section(".text", SectionKind::Progbits, "ax");
        let offset = draft.append(section, 16, ret);
        draft.local(name, SymbolKind::Func, section, offset, ret.len() as u64)
    }

    /// `_start`: names some probes so that they are alive, then leaves.
    pub(super) fn add_entry(&mut self, dice: &mut Dice<'_>) {
        if self.is_library() {
            return;
        }
        let (mut bytes, mut relocs) = (Vec::new(), Vec::new());
        let Piece { bytes: take, fields, .. } = self.machine.code.take;
        for (object, symbol) in self.probes.clone() {
            if dice.chance(200) && relocs.len() < 6 {
                continue;
            }
            let name = self.drafts[object].object.symbols[symbol].name.clone();
            let here = if object == 0 { symbol } else { self.named(0, &name, SymbolKind::Notype) };
            relocs.push((bytes.len() as u64, here));
            bytes.extend_from_slice(take);
        }
        bytes.extend_from_slice(self.machine.code.exit);
        let draft = &mut self.drafts[0];
        let section = draft.section(".text.start", SectionKind::Progbits, "ax");
        let start = draft.append(section, 16, &bytes);
        for (at, symbol) in relocs {
            let symbol = SymbolRef::Named(symbol);
            for (field, r_type, addend) in fields {
                let offset = start + at + u64::from(*field);
                let (r_type, addend) = (*r_type, i64::from(*addend));
                draft.reloc(section, Reloc { offset, r_type, symbol, addend });
            }
        }
        let size = bytes.len() as u64;
        let entry = draft.local("_start", SymbolKind::Func, section, start, size);
        draft.object.symbols[entry].binding = Binding::Global;
    }
}
