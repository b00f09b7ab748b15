//! Data that refers: pointers, distances, strings, `__start_` symbols, linker-made symbols.

use super::Dice;
use super::world::{Entity, Kind, World};
use crate::case::*;
use crate::machine::Form;

impl World<'_> {
    /// Fields in every object's data.
    pub(super) fn add_data(&mut self, dice: &mut Dice<'_>) {
        for object in 0..self.drafts.len() {
            for _ in 0..dice.range(0, 5) {
                self.add_pointer(dice, object);
            }
            if self.config.narrow {
                self.add_narrow(dice, object);
            }
            if self.config.merge {
                self.add_strings(dice, object);
            }
            if self.config.start_stop && dice.chance(500) {
                self.add_set(dice, object);
            }
            if self.config.linker_symbols && dice.chance(500) {
                self.add_linker_symbol(dice, object);
            }
        }
    }

    /// Room for a field; gives section and offset.
    fn field(&mut self, dice: &mut Dice<'_>, object: usize, width: usize) -> (usize, u64) {
        let config = self.config;
        let own = config.own_sections && dice.chance(300);
        let number = self.next();
        let base = if config.relro && dice.chance(400) { ".data.rel.ro" } else { ".data" };
        let name = if own { format!("{base}.p{number}") } else { base.to_owned() };
        let junk = if config.preset_bits && dice.chance(300) { dice.bits() } else { 0 };
        let odd = config.odd && dice.chance(200);
        let draft = &mut self.drafts[object];
        let section = draft.section(&name, SectionKind::Progbits, "aw");
        if odd {
            draft.append(section, 1, &[0xaa]);
        }
        let align = if odd { 1 } else { width as u64 };
        let offset = draft.append(section, align, &junk.to_le_bytes()[..width]);
        (section, offset)
    }

    fn add_pointer(&mut self, dice: &mut Dice<'_>, object: usize) {
        let config = self.config;
        let exe = self.mode() == scold_diff::Mode::Exe;
        let machine = self.machine;
        let rare = config.rare && !machine.rare_words.is_empty() && dice.chance(300);
        let r_type = *dice.pick(if rare { machine.rare_words } else { machine.words });
        let Some(row) = machine.row(r_type) else { return };
        let width = row.field.width;
        let targets = self.reachable(object, |entity, traits| {
            let tls = entity.kind == Kind::Tls;
            let ifunc = entity.kind == Kind::Ifunc && !config.ifunc_address;
            let absolute = matches!(entity.kind, Kind::Absolute(_));
            let function = matches!(entity.kind, Kind::Func | Kind::Ifunc);
            match row.form {
                Form::Absolute if width == machine.word => !tls,
                Form::DtpOffset => tls && traits.near,
                Form::Absolute => {
                    let high = matches!(entity.kind, Kind::Absolute(v) if v > 0xffff_ffff);
                    exe && !tls && !ifunc && traits.near && !high
                }
                Form::Call => function,
                Form::Got => !tls,
                _ => traits.near && !tls && !ifunc && !absolute,
            }
        });
        if targets.is_empty() {
            return;
        }
        let target = *dice.pick(&targets);
        let traits = self.traits(&self.entities[target]);
        let plain = traits.absent
            || traits.imported
            || matches!(row.form, Form::DtpOffset | Form::Call | Form::Got)
            || matches!(self.entities[target].kind, Kind::Ifunc | Kind::Absolute(_));
        // `(S + A) | T`: what is odd by A and by T can't be told apart.
        let data = matches!(self.entities[target].kind, Kind::Object | Kind::Common);
        let plain = plain || (!machine.rela && !data);
        let mut addend = 0;
        if !plain && config.addends && dice.chance(400) {
            addend = *dice.pick(&[1, -1, 2, 8, 0x1000]);
        }
        let (section, offset) = self.field(dice, object, width.into());
        let by_section = !plain && config.section_symbols && dice.chance(400);
        let symbol = self.refer(dice, object, target, by_section, &mut addend);
        self.drafts[object].reloc(section, Reloc { offset, r_type, symbol, addend });
    }

    /// 8- and 16-bit fields: the distance to a place in the same section, and small numbers.
    fn add_narrow(&mut self, dice: &mut Dice<'_>, object: usize) {
        if self.machine.narrow.is_empty() {
            return;
        }
        let (width, r_type, absolute) = *dice.pick(self.machine.narrow);
        let (width, wide) = (usize::from(width), width > 1);
        let (section, offset) = self.field(dice, object, width);
        let far = *dice.pick(if wide {
            &[0, 1, -1, 0x7fff, -0x8000, 300]
        } else {
            &[0, 1, -1, 0x7f, -0x80, 30]
        });
        let symbol = SymbolRef::Section(section);
        let addend = offset as i64 + far;
        self.drafts[object].reloc(section, Reloc { offset, r_type, symbol, addend });
        // GNU ld refuses narrow numbers in movable images.
        if self.mode() != scold_diff::Mode::Exe {
            return;
        }
        let small = |entity: &Entity, _| matches!(entity.kind, Kind::Absolute(v) if v < 0x80);
        let targets = self.reachable(object, small);
        let (section, offset) = self.field(dice, object, width);
        let symbol = if targets.is_empty() || dice.chance(500) {
            let edges = if wide { &[0x7fff, 0x100, 0xff, 1] } else { &[0x7f, 0x40, 1, 0] };
            let name = format!("n.{object}.{offset}");
            let symbol = self.drafts[object].local(&name, SymbolKind::Notype, section, 0, 0);
            self.drafts[object].object.symbols[symbol].definition =
                Definition::Absolute(*dice.pick(edges));
            symbol
        } else {
            {
                let target = *dice.pick(&targets);
                self.mention(dice, object, target)
            }
        };
        let (r_type, symbol) = (absolute, SymbolRef::Named(symbol));
        self.drafts[object].reloc(section, Reloc { offset, r_type, symbol, addend: 0 });
    }

    /// Mergeable strings or constants, and references into them: by a local symbol, or by the section
    /// symbol with an addend that selects a piece.
    fn add_strings(&mut self, dice: &mut Dice<'_>, object: usize) {
        let words: [&[u8]; 6] =
            [b"\0", b"scold\0", b"cold\0", b"old\0", b"reference\0", b"linker\0"];
        let constants = dice.chance(300);
        let mut pieces = Vec::new();
        let count = dice.range(1, 4);
        let draft = &mut self.drafts[object];
        let section = if constants {
            draft.section(".rodata.cst8", SectionKind::Progbits, "aM")
        } else {
            draft.section(".rodata.str1.1", SectionKind::Progbits, "aMS")
        };
        draft.object.sections[section].entsize = if constants { 8 } else { 1 };
        for _ in 0..count {
            let offset = if constants {
                draft.append(section, 8, &(dice.below(3) as u64 + 0x5c01d).to_le_bytes())
            } else {
                draft.append(section, 1, words[dice.below(words.len())])
            };
            pieces.push(offset);
        }
        for piece in pieces {
            let (field, offset) = self.field(dice, object, self.machine.word.into());
            let inner = if constants { 0 } else { self.inside(dice, object, section, piece) };
            let draft = &mut self.drafts[object];
            let (symbol, addend) = if self.config.section_symbols && dice.chance(500) {
                (SymbolRef::Section(section), piece + inner)
            } else {
                let name = format!("str.{}.{piece}", draft.object.name);
                let known = draft.object.symbols.iter().position(|symbol| symbol.name == name);
                let symbol = known
                    .unwrap_or_else(|| draft.local(&name, SymbolKind::Object, section, piece, 0));
                (SymbolRef::Named(symbol), 0)
            };
            let (r_type, addend) = (self.machine.pointer, addend as i64);
            draft.reloc(field, Reloc { offset, r_type, symbol, addend });
        }
    }

    /// An offset into the string at `piece`, never past its last character.
    fn inside(&self, dice: &mut Dice<'_>, object: usize, section: usize, piece: u64) -> u64 {
        let Data::Bytes(bytes) = &self.drafts[object].object.sections[section].data else {
            return 0;
        };
        let len = bytes[piece as usize..].iter().position(|byte| *byte == 0).unwrap_or(0);
        if dice.chance(300) { dice.below(len) as u64 } else { 0 }
    }

    /// A set: a C-identifier section, and pointers to its bounds.
    fn add_set(&mut self, dice: &mut Dice<'_>, object: usize) {
        let number = self.next();
        let draft = &mut self.drafts[object];
        let section = draft.section("scold_set", SectionKind::Progbits, "aw");
        draft.append(section, 8, &number.to_le_bytes());
        for name in ["__start_scold_set", "__stop_scold_set"] {
            let (section, offset) = self.field(dice, object, self.machine.word.into());
            let symbol = SymbolRef::Named(self.named(object, name, SymbolKind::Notype));
            let reloc = Reloc { offset, r_type: self.machine.pointer, symbol, addend: 0 };
            self.drafts[object].reloc(section, reloc);
        }
    }

    fn add_linker_symbol(&mut self, dice: &mut Dice<'_>, object: usize) {
        let name = *dice.pick(&["_GLOBAL_OFFSET_TABLE_", "_DYNAMIC", "__ehdr_start"]);
        if name == "_DYNAMIC" && self.mode() == scold_diff::Mode::Exe {
            // A static executable has none.
            return;
        }
        let (section, offset) = self.field(dice, object, 4);
        let symbol = SymbolRef::Named(self.named(object, name, SymbolKind::Notype));
        let got = name.starts_with("_G");
        let r_type = if got { self.machine.got_base } else { self.machine.distance };
        self.drafts[object].reloc(section, Reloc { offset, r_type, symbol, addend: 0 });
    }
}
