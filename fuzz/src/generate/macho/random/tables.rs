//! What a loader and an unwinder read: initialisers, compact unwind entries, the entry.

use scold_diff::Mode;
use scold_diff::request::Arch;

use super::World;
use super::frames::Frame;
use super::plan::{Entity, Kind, Scope};
use crate::case::{Binding, Data, Definition, Marker, SymbolRef};
use crate::generate::dice::Dice;
use crate::generate::macho::parts::{self, Content};

/// UNWIND_HAS_LSDA.
const HAS_LSDA: u32 = 0x4000_0000;

/// Frames with a frame pointer and without, as each machine encodes them.
fn encodings(arch: Arch) -> &'static [u32] {
    match arch {
        Arch::Arm64 => &[0x0400_0000, 0x0200_0000, 0x0400_0001, 0x0200_1000],
        _ => &[0x0100_0000, 0x0200_0000, 0x0101_0001, 0x0202_0000],
    }
}

impl World {
    pub(super) fn add_arrays(&mut self, dice: &mut Dice<'_>) {
        for object in 0..self.objects.len() {
            if self.archives[object].is_some() {
                continue;
            }
            for section in ["__DATA,__mod_init_func", "__DATA,__mod_term_func"] {
                if !dice.chance(150) {
                    continue;
                }
                let mut content = Content::default();
                for _ in 0..dice.range(1, 3) {
                    let own = |e: &Entity| {
                        e.kind == Kind::Func && e.is_in(object) && !self.may_be_overridden(e)
                    };
                    let Some(entity) = self.pick(dice, object, own) else { break };
                    let symbol = self.mention(object, entity);
                    content.pointer(self.machine, symbol, 0);
                }
                if !content.bytes.is_empty() {
                    parts::add(&mut self.objects[object], section, 8, content);
                }
            }
        }
    }

    /// Entries for some functions of an object.
    pub(super) fn add_unwind(&mut self, dice: &mut Dice<'_>) {
        for object in 0..self.objects.len() {
            if !dice.chance(350) {
                continue;
            }
            let it = &self.objects[object];
            let symbols = it.symbols.iter().enumerate();
            let functions = symbols.filter_map(|(index, symbol)| match symbol.definition {
                Definition::Section { section, offset } => {
                    let text = it.sections[section].name == "__TEXT,__text";
                    let sure = symbol.binding != Binding::Weak;
                    text.then_some((section, offset, sure.then_some(SymbolRef::Named(index))))
                }
                _ => None,
            });
            let dwarf = dice.chance(300);
            let (mut content, mut frames) = (Content::default(), Vec::new());
            for (section, offset, name) in functions.collect::<Vec<_>>() {
                match name {
                    _ if !dice.chance(700) => {}
                    Some(name) if dwarf && dice.chance(500) => {
                        let place = (section, offset);
                        frames.push(self.add_frame(dice, object, (place, name), &mut content));
                    }
                    _ => self.add_entry(dice, object, (section, offset), &mut content),
                }
            }
            if !content.bytes.is_empty() {
                parts::add(&mut self.objects[object], "__LD,__compact_unwind", 8, content);
            }
            if !frames.is_empty() {
                self.add_frames(object, &frames);
            }
        }
    }

    fn add_entry(
        &mut self,
        dice: &mut Dice<'_>,
        object: usize,
        (section, offset): (usize, u64),
        content: &mut Content,
    ) {
        let length = self.length(object, section);
        let mut encoding = *dice.pick(encodings(self.target.arch));
        let personality = if dice.chance(300) { self.personality(dice, object) } else { None };
        let lsda = personality.is_some() && dice.chance(600);
        if lsda {
            encoding |= HAS_LSDA;
        }
        content.pointer(self.machine, SymbolRef::Section(section), offset as i64);
        content.bytes.extend(length.to_le_bytes());
        content.bytes.extend(encoding.to_le_bytes());
        match personality {
            Some(entity) => {
                let symbol = self.mention(object, entity);
                content.pointer(self.machine, symbol, 0);
            }
            None => content.bytes.extend([0; 8]),
        }
        if !lsda {
            content.bytes.extend([0; 8]);
            return;
        }
        let (_, (section, offset)) = self.table(object);
        content.pointer(self.machine, SymbolRef::Section(section), offset as i64);
    }

    /// An exception table: its name, and where it is.
    fn table(&mut self, object: usize) -> (SymbolRef, (usize, u64)) {
        let it = &mut self.objects[object];
        let name = format!("_table_{}{}", char::from(b'a' + object as u8), it.symbols.len());
        let table = Content::of(&[0xff, 0x9b, 0x05, 0x01, 0, 0, 0, 0]);
        let (section, offset) = parts::add(it, "__TEXT,__gcc_except_tab", 4, table);
        let at = Definition::Section { section, offset };
        (parts::name(it, parts::symbol(&name, Binding::Local, at)), (section, offset))
    }

    /// How long a function of an object is, or surely is.
    fn length(&self, object: usize, section: usize) -> u32 {
        let it = &self.objects[object];
        match &it.sections[section].data {
            Data::Bytes(bytes) if it.subsections => bytes.len() as u32,
            _ => 8,
        }
    }

    /// An entry that says that DWARF tells, and what that does.
    fn add_frame(
        &mut self,
        dice: &mut Dice<'_>,
        object: usize,
        ((section, offset), function): ((usize, u64), SymbolRef),
        content: &mut Content,
    ) -> Frame {
        let length = self.length(object, section);
        content.pointer(self.machine, SymbolRef::Section(section), offset as i64);
        content.bytes.extend(length.to_le_bytes());
        content.bytes.extend(self.machine.dwarf.to_le_bytes());
        content.bytes.extend([0; 16]);
        let routine = if dice.chance(300) { self.personality(dice, object) } else { None };
        let language = routine.map(|entity| {
            let routine = self.mention(object, entity);
            (routine, self.table(object).0)
        });
        Frame { function, length, language, depth: *dice.pick(&[16, 32, 48]) }
    }

    /// One routine for all: a table has room for three.
    fn personality(&mut self, dice: &mut Dice<'_>, object: usize) -> Option<usize> {
        if self.routine.is_none() {
            let routine = |e: &Entity| e.kind == Kind::Func && e.scope == Scope::Global;
            self.routine = self.pick(dice, object, routine);
        }
        self.routine
    }

    /// Programs start somewhere: there, something is referred to.
    pub(super) fn add_main(&mut self, dice: &mut Dice<'_>) {
        if self.mode != Mode::Pie {
            return;
        }
        let mut content = Content::of(self.code.nop);
        for _ in 0..3 {
            if let Some(entity) = self.pick(dice, 0, |e| !e.is_variable()) {
                let symbol = self.mention(0, entity);
                content.piece(&self.code.load, symbol, 0);
            }
        }
        content.bytes.extend(self.code.ret);
        let main = parts::symbol("_main", Binding::Global, Definition::Undefined);
        parts::atom(&mut self.objects[0], "__TEXT,__text", 16, content, main);
    }

    /// An object without code, as clang makes of files of data: a name in its empty `__text`.
    pub(super) fn add_nothing(&mut self, dice: &mut Dice<'_>) {
        if !dice.chance(40) {
            return;
        }
        let mut it = parts::object("nothing.o", true);
        let binding = if dice.chance(500) { Binding::Global } else { Binding::Local };
        let nothing = parts::symbol("_nothing", binding, Definition::Undefined);
        let nothing = parts::atom(&mut it, "__TEXT,__text", 4, Content::default(), nothing);
        it.sections[0].marker = Marker::None;
        let mut content = Content::of(&[0x88; 8]);
        if dice.chance(500) {
            content.pointer(self.machine, nothing, 0);
        }
        let data = parts::symbol("_beside", Binding::Global, Definition::Undefined);
        parts::atom(&mut it, "__DATA,__data", 8, content, data);
        let at = dice.range(0, self.objects.len());
        self.objects.insert(at, it);
        self.archives.insert(at, None);
    }
}
