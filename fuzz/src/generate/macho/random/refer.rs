//! Code and data that refer to entities, in every way that has a meaning; probes that hosts may call.

use super::World;
use super::plan::{Entity, Kind};
use crate::case::{Binding, Definition, Object, SymbolRef};
use crate::generate::dice::Dice;
use crate::generate::macho::parts::{self, Content};

/// Strings of `__cstring`, the same in every object.
const STRINGS: [&str; 5] = ["hello", "lo", "", "a longer string", "hello world"];

impl World {
    /// Functions that refer to everything.
    pub(super) fn add_code(&mut self, dice: &mut Dice<'_>) {
        for object in 0..self.objects.len() {
            for number in 0..dice.range(1, 3) {
                let mut content = Content::of(self.code.nop);
                for _ in 0..dice.range(1, 5) {
                    self.refer(dice, object, &mut content);
                }
                content.bytes.extend(self.code.ret);
                content.align(4, self.code.nop[0]);
                let binding = if dice.chance(500) { Binding::Global } else { Binding::Local };
                let letter = char::from(b'a' + object as u8);
                let name = format!("_user_{letter}{number}");
                let symbol = parts::symbol(&name, binding, Definition::Undefined);
                parts::atom(&mut self.objects[object], "__TEXT,__text", 16, content, symbol);
            }
            for _ in 0..dice.below(3) {
                self.add_probe(dice, object);
            }
        }
    }

    /// One reference in code.
    fn refer(&mut self, dice: &mut Dice<'_>, object: usize, content: &mut Content) {
        let code = self.code;
        let near = |e: &Entity| !e.is_variable() && !e.is_number() && !self.may_be_overridden(e);
        let any = |e: &Entity| !e.is_variable();
        let function = |e: &Entity| e.kind == Kind::Func;
        let how = dice.below(8);
        let (piece, found) = match how {
            0 => (&code.call, self.pick(dice, object, function)),
            1 => (&code.jump, self.pick(dice, object, function)),
            2 | 3 => (&code.load, self.pick(dice, object, any)),
            4 if code.slot.code => (&code.slot, self.pick(dice, object, any)),
            4 | 5 => (&code.variable, self.pick(dice, object, Entity::is_variable)),
            6 => (dice.pick(code.direct), self.pick(dice, object, near)),
            _ => (&code.take, self.pick(dice, object, near)),
        };
        let Some(entity) = found else { return };
        let symbol = self.mention(object, entity);
        // A multiple of what the instruction counts in.
        let beyond = how >= 6 && self.entities[entity].size > 8 && dice.chance(300);
        content.piece(piece, symbol, if beyond { 8 } else { 0 });
    }

    /// A function that a host may call: it returns what it sees.
    fn add_probe(&mut self, dice: &mut Dice<'_>, object: usize) {
        let code = self.code;
        let how = dice.below(4);
        let own = |e: &Entity| e.is_readable() && !self.may_be_overridden(e);
        let found = match how {
            0 => self.pick(dice, object, |e| e.kind == Kind::Func && e.is_own()),
            1 => self.pick(dice, object, |e| e.is_variable() && e.is_own()),
            2 => self.pick(dice, object, Entity::is_readable),
            _ => self.pick(dice, object, own),
        };
        let Some(entity) = found else { return };
        let symbol = self.mention(object, entity);
        let mut content = Content::default();
        if how < 2 {
            content.bytes.extend(code.enter);
        }
        content.piece([&code.call, &code.variable, &code.load, &code.peek][how], symbol, 0);
        if how < 2 {
            content.bytes.extend(code.leave);
        }
        if matches!(how, 1 | 2) {
            content.bytes.extend(code.look);
        }
        content.bytes.extend(code.ret);
        content.align(4, code.nop[0]);
        let name = format!("_scold.probe.{}", self.probes);
        self.probes += 1;
        let symbol = parts::symbol(&name, Binding::Global, Definition::Undefined);
        parts::atom(&mut self.objects[object], "__TEXT,__text", 16, content, symbol);
    }

    /// Pointers, differences, distances to slots, strings and literals.
    pub(super) fn add_data(&mut self, dice: &mut Dice<'_>) {
        for object in 0..self.objects.len() {
            for number in 0..dice.below(3) {
                let name = format!("_words_{}{number}", char::from(b'a' + object as u8));
                let binding = if dice.chance(500) { Binding::Global } else { Binding::Local };
                let index = self.objects[object].symbols.len();
                let symbol = parts::symbol(&name, binding, Definition::Undefined);
                self.objects[object].symbols.push(symbol);
                let mut content = Content::of(&[0x77; 8]);
                for _ in 0..dice.range(1, 6) {
                    self.add_word(dice, object, SymbolRef::Named(index), &mut content);
                }
                let section = if dice.chance(300) { "__DATA,__const" } else { "__DATA,__data" };
                let it = &mut self.objects[object];
                let (section, offset) = parts::add(it, section, 16, content);
                it.symbols[index].definition = Definition::Section { section, offset };
            }
            if dice.chance(400) {
                self.add_literals(dice, object);
            }
        }
    }

    fn add_word(
        &mut self,
        dice: &mut Dice<'_>,
        object: usize,
        own: SymbolRef,
        content: &mut Content,
    ) {
        match dice.below(6) {
            0 => self.add_difference(dice, object, own, content),
            1 if !self.code.slot.code => {
                let Some(entity) = self.pick(dice, object, |e| !e.is_variable()) else { return };
                let symbol = self.mention(object, entity);
                content.align(4, 0);
                content.piece(&self.code.slot, symbol, 0);
            }
            2 => self.add_by_section(dice, object, content),
            _ => {
                let Some(entity) = self.pick(dice, object, |e| !e.is_variable()) else { return };
                let symbol = self.mention(object, entity);
                let odd = [1, 8, 0xff, 0x100, -1, -0x80, 0x1234, 0x7f_ffff];
                let addend = if dice.chance(300) { *dice.pick(&odd) } else { 0 };
                content.pointer(self.machine, symbol, addend);
            }
        }
    }

    fn add_difference(
        &mut self,
        dice: &mut Dice<'_>,
        object: usize,
        own: SymbolRef,
        content: &mut Content,
    ) {
        let placed = |e: &Entity| e.is_own() && !e.is_variable() && !e.is_number();
        let Some(entity) = self.pick(dice, object, placed) else { return };
        let symbol = self.mention(object, entity);
        let (wide, addend) = (dice.chance(500), *dice.pick(&[0, 4, -4, 1, 0x1000, -0x333]));
        let (one, other) = if dice.chance(500) { (symbol, own) } else { (own, symbol) };
        content.difference(self.machine, wide, one, other, addend);
    }

    /// A pointer without symbol, into an entity that nobody else defines.
    fn add_by_section(&mut self, dice: &mut Dice<'_>, object: usize, content: &mut Content) {
        let sure = |e: &Entity| {
            let placed = matches!(e.kind, Kind::Func | Kind::Data | Kind::Const | Kind::Zerofill);
            e.is_in(object) && placed && !e.scope.is_weak()
        };
        let Some(entity) = self.pick(dice, object, sure) else { return };
        let SymbolRef::Named(symbol) = self.mention(object, entity) else { return };
        if let Definition::Section { section, offset } =
            self.objects[object].symbols[symbol].definition
        {
            let inside = dice.below(8) as i64;
            content.pointer(self.machine, SymbolRef::Section(section), offset as i64 + inside);
        }
    }

    /// Strings and constants, and references to them.
    fn add_literals(&mut self, dice: &mut Dice<'_>, object: usize) {
        let letter = char::from(b'a' + object as u8);
        let (machine, code) = (self.machine, self.code);
        let it = &mut self.objects[object];
        let mut words = Content::of(&[0x66; 8]);
        let mut user = Content::of(code.nop);
        for number in 0..dice.range(1, 3) {
            let content = Content::of(&[dice.pick(&STRINGS).as_bytes(), &[0]].concat());
            let (section, offset) = in_one(it, "__TEXT,__cstring", 1, content);
            let at = Definition::Section { section, offset };
            let name = format!("_text_{letter}{number}");
            let named = parts::name(it, parts::symbol(&name, Binding::Local, at));
            match dice.below(3) {
                0 => words.pointer(machine, named, 0),
                1 => words.pointer(machine, SymbolRef::Section(section), offset as i64),
                _ => user.piece(&code.take, named, 0),
            }
        }
        let literals =
            [("__TEXT,__literal4", 4), ("__TEXT,__literal8", 8), ("__TEXT,__literal16", 16)];
        for (section, size) in literals {
            if dice.chance(500) {
                let content = Content::of(&vec![*dice.pick(&[0, 0x3f, 0x40]); size]);
                let (section, offset) = in_one(it, section, size as u64, content);
                let at = Definition::Section { section, offset };
                let name = format!("_number_{letter}{size}");
                let named = parts::name(it, parts::symbol(&name, Binding::Local, at));
                user.piece(&code.take, named, 0);
            }
        }
        user.bytes.extend(code.ret);
        user.align(4, code.nop[0]);
        let atoms = [("__DATA,__data", words, "texts"), ("__TEXT,__text", user, "reader")];
        for (section, content, what) in atoms {
            let name = format!("_{what}_{letter}");
            let symbol = parts::symbol(&name, Binding::Global, Definition::Undefined);
            parts::atom(it, section, 16, content, symbol);
        }
    }
}

/// Names that linkers define. Those of sections are of ones that every object may have.
const BOUNDS: [&str; 6] = [
    "___dso_handle",
    "section$start$__TEXT$__text",
    "section$end$__DATA$__data",
    "section$start$__DATA$__none",
    "segment$start$__DATA",
    "segment$end$__TEXT",
];

impl World {
    /// References to where the image, a section or a segment starts or ends.
    pub(super) fn add_bounds(&mut self, dice: &mut Dice<'_>) {
        for object in 0..self.objects.len() {
            if !dice.chance(100) {
                continue;
            }
            let (machine, code) = (self.machine, self.code);
            let it = &mut self.objects[object];
            let letter = char::from(b'a' + object as u8);
            let (mut words, mut user) = (Content::of(&[0x55; 8]), Content::of(code.nop));
            for name in BOUNDS {
                if !dice.chance(400) {
                    continue;
                }
                let symbol = parts::symbol(name, Binding::Global, Definition::Undefined);
                let symbol = parts::name(it, symbol);
                match dice.below(3) {
                    0 => words.pointer(machine, symbol, 0),
                    1 => user.piece(&code.load, symbol, 0),
                    _ => user.piece(&code.take, symbol, 0),
                }
            }
            user.bytes.extend(code.ret);
            user.align(4, code.nop[0]);
            for (section, content, what) in
                [("__DATA,__data", words, "bounds"), ("__TEXT,__text", user, "bounded")]
            {
                let name = format!("_{what}_{letter}");
                let symbol = parts::symbol(&name, Binding::Global, Definition::Undefined);
                parts::atom(it, section, 16, content, symbol);
            }
        }
    }
}

/// Appends to the object's one section of that name, which elements cut, not symbols.
fn in_one(object: &mut Object, section: &str, align: u64, content: Content) -> (usize, u64) {
    let cut = std::mem::replace(&mut object.subsections, false);
    let place = parts::add(object, section, align, content);
    object.subsections = cut;
    place
}
