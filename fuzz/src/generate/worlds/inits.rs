//! What a module of a world does when it is loaded: init functions, each of which leaves a number in the module's log.
//!
//! It must not know in what order they run.

use scold_diff::Mode;

use super::{DATA, INIT, Module};
use crate::case::*;
use crate::generate::Dice;
use crate::generate::parts::section;
use crate::machine::announce;

impl Module<'_> {
    /// Functions that run when it is loaded, by arrays with and without priorities, new and old, and by name; the log
    /// of them.
    pub(super) fn inits(&mut self, mode: Mode, dice: &mut Dice<'_>) {
        let mut priority = 101;
        // Not all linkers know that the old ones are to be run, or agree on which of two without a priority is first.
        let old = dice.chance(150);
        let plain = if old && dice.chance(500) { ".ctors" } else { ".init_array" };
        for number in 1..=dice.range(0, 4) as u8 {
            let name = format!("init/{number}");
            let at = self.logging(&name, number);
            self.object.symbols[at].binding = Binding::Local;
            priority += dice.range(1, 300);
            let section = match dice.below(if old { 4 } else { 3 }) {
                0 => plain.to_owned(),
                1 => format!(".init_array.{priority:05}"),
                2 => format!(".init_array.{:05}", 20000 - priority),
                _ => format!(".ctors.{:05}", 30000 + priority),
            };
            self.entry(&section, SymbolRef::Named(at), dice);
        }
        if mode.is_library() && dice.chance(250) {
            self.logging("_init", INIT);
        }
        let log = self.log();
        self.taking("log", log);
    }

    /// A function that appends `number` to the log.
    pub(super) fn logging(&mut self, name: &str, number: u8) -> usize {
        let log = self.log();
        let take = self.machine.code.take;
        let bytes = [take.bytes, &(announce::of(self.target.arch).log)(number)].concat();
        let fields: Vec<_> =
            take.fields.iter().map(|&(at, t, a)| (at.into(), t, a.into(), log)).collect();
        self.function(name, &bytes, &fields, 0)
    }

    pub(super) fn log(&mut self) -> SymbolRef {
        if !self.defines("own.log") {
            let offset = self.place(DATA, 16);
            self.bytes(DATA, &[0; 40]);
            let at = self.define("own.log", SymbolKind::Object, DATA, offset);
            self.object.symbols[at].binding = Binding::Local;
        }
        self.named("own.log", Binding::Local)
    }

    /// A word of an array of init functions, maybe behind another one of it.
    fn entry(&mut self, name: &str, function: SymbolRef, dice: &mut Dice<'_>) {
        let width = u64::from(self.machine.word);
        let r_type = *dice.pick(&[self.machine.pointer, self.machine.init]);
        let reloc = Reloc { offset: 0, r_type, symbol: function, addend: 0 };
        let last = self.object.sections.last_mut().filter(|section| section.name == name);
        if let Some(Section { data: Data::Bytes(bytes), relocs, .. }) = last {
            relocs.push(Reloc { offset: bytes.len() as u64, ..reloc });
            bytes.resize(bytes.len() + width as usize, 0);
            return;
        }
        let old = name.starts_with(".ctors");
        self.object.sections.push(Section {
            kind: if old { SectionKind::Progbits } else { SectionKind::InitArray },
            marker: Marker::None,
            align: width,
            relocs: vec![reloc],
            ..section(name, "aw", &vec![0; width as usize])
        });
    }
}
