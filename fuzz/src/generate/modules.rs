//! A random case → the case of a Go module: names that the build mode's rules look at, in all
//! combinations, mistakes among them.
//!
//! The runtime's data lists modules; guests announce theirs to it; a library starts its runtime. Types are
//! data that every module has and the host's wins. It must not know what a mode makes of the names.

pub(crate) mod bounds;

use scold_diff::{Arch, Mode, Target};

use super::{Dice, parts};
use crate::Case;
use crate::case::*;
use crate::machine;

/// Module case number `index` of the stream `seed`; none where the case it is made from is no valid one.
pub fn seeded(seed: u64, index: u64, target: Target, mode: Mode) -> Option<Case> {
    let case = super::seeded(seed, index, target, mode);
    let valid = case.validity != Validity::Invalid;
    let bytes = super::bytes(!seed, index);
    valid.then(|| add(case, &mut Dice::new(&bytes)))
}

/// `case` with a Go module in it.
pub fn add(mut case: Case, dice: &mut Dice<'_>) -> Case {
    let mut module = Module::new(case.target);
    if dice.chance(150) {
        case.options.push(Opt::Android);
    }
    module.code(dice, &case);
    module.data(dice, case.mode);
    module.types(dice);
    module.bounds(dice, case.options.contains(&Opt::GcSections));
    if !case.mode.is_library() || dice.chance(500) {
        case.inputs.push(Input::Library(host(&module.object, dice)));
    }
    target1(&mut case, &module.object, dice);
    let direct = case.inputs.iter().filter(|input| matches!(input, Input::Object(_))).count();
    // After the first object: that one has an executable's start.
    let at = dice.below(direct + 1).max(1).min(case.inputs.len());
    if dice.chance(250) {
        let user = user(&module, dice);
        case.inputs.splice(at..at, user.map(Input::Object));
        shelve(&mut case, module.object, dice);
        return case;
    }
    if dice.chance(250) {
        // Of two lists' ends nobody could tell where they are.
        let last = !module.object.symbols.iter().any(|symbol| symbol.name == LAST);
        case.inputs.insert(at, Input::Object(module.object));
        let mut runtime = Module::new(case.target);
        runtime.object.name = "rt.o".into();
        runtime.runtime(dice, last);
        shelve(&mut case, runtime.object, dice);
        return case;
    }
    case.inputs.insert(at, Input::Object(module.object));
    case
}

/// What R_ARM_TARGET1 is, maybe; a distance only where no loader would run it.
fn target1(case: &mut Case, module: &Object, dice: &mut Dice<'_>) {
    let arm = case.target.arch == Arch::Arm;
    let init = machine::of(case.target.arch).init;
    let runs = case.objects().into_iter().chain([module]).any(|object| {
        let arrays = object.sections.iter().filter(|s| s.kind != SectionKind::Progbits);
        let old = object.sections.iter().filter(|s| s.name.starts_with(".ctors"));
        arrays.chain(old).flat_map(|s| &s.relocs).any(|reloc| reloc.r_type == init)
    });
    if arm && dice.chance(150) {
        let relative = !runs && dice.chance(500);
        case.options.push(Opt::Target1Relative(relative));
    }
}

/// An object that asks for something of `module`, maybe; it comes before archives.
fn user(module: &Module, dice: &mut Dice<'_>) -> Option<Object> {
    dice.chance(700).then_some(())?;
    let shared = |s: &&Symbol| {
        let kind = matches!(s.kind, SymbolKind::Func | SymbolKind::Object);
        kind && s.binding == Binding::Global && s.definition != Definition::Undefined
    };
    let names: Vec<&str> =
        module.object.symbols.iter().filter(shared).map(|s| s.name.as_str()).collect();
    let name = *dice.pick(&names);
    let mut user = Module::new(module.target);
    user.object.name = "use.o".into();
    let data = user.section(".data", false, vec![0; 16]);
    user.object.symbols.push(Symbol {
        binding: *dice.pick(&[Binding::Global, Binding::Global, Binding::Weak]),
        ..parts::symbol(name, SymbolKind::Notype, Definition::Undefined)
    });
    user.refer(data, 0, 0);
    Some(user.object)
}

/// Puts `object` into an archive: it takes part only if something asks for it.
fn shelve(case: &mut Case, object: Object, dice: &mut Dice<'_>) {
    let mut members = vec![object];
    if dice.chance(300) {
        members.insert(dice.below(2), parts::object("no.o"));
    }
    let archive = Archive {
        name: "libgo.a".into(),
        members,
        whole: dice.chance(150),
        thin: dice.chance(200),
    };
    // After objects, and mostly before libraries.
    let library = case.inputs.iter().position(|input| matches!(input, Input::Library(_)));
    let at = library.filter(|_| dice.chance(800)).unwrap_or(case.inputs.len());
    case.inputs.insert(at, Input::Archive(archive));
}

/// What a host defines and `module` doesn't.
fn host(module: &Object, dice: &mut Dice<'_>) -> Library {
    let defines = |name: &str| {
        let mut symbols = module.symbols.iter();
        symbols.any(|s| s.name == name && s.definition != Definition::Undefined)
    };
    let names =
        [("runtime.addmoduledata", SymbolKind::Func, 16), ("type:host", SymbolKind::Object, 16)];
    let symbol = |(name, kind, size): (&str, SymbolKind, u64)| LibrarySymbol {
        name: name.to_owned(),
        version: None,
        binding: Binding::Global,
        kind,
        visibility: Visibility::Default,
        size,
        defined: LibraryDefinition::Defined { alias: 0, readonly: false },
    };
    let list = names.into_iter().filter(|name| !defines(name.0)).map(symbol);
    let mut symbols: Vec<LibrarySymbol> = list.collect();
    for (alias, symbol) in (7000..).zip(&mut symbols) {
        symbol.defined = LibraryDefinition::Defined { alias, readonly: false };
    }
    Library {
        name: "libhost.so".to_owned(),
        soname: dice.chance(500).then(|| "host.so".to_owned()),
        as_needed: dice.chance(300),
        symbols,
        weak: false,
    }
}

/// The end of the runtime's list.
const LAST: &str = "runtime.lastmoduledatap";

/// Who sees a definition; a module finds its own even where no other object does.
const MOSTLY_GLOBAL: [Binding; 4] =
    [Binding::Global, Binding::Global, Binding::Global, Binding::Local];

/// The module's object in the making.
struct Module {
    target: Target,
    object: Object,
}

impl Module {
    fn new(target: Target) -> Self {
        let object = Object {
            name: "go.o".into(),
            sections: vec![],
            symbols: vec![],
            groups: vec![],
            subsections: false,
        };
        Self { target, object }
    }

    fn section(&mut self, name: &str, exec: bool, bytes: Vec<u8>) -> usize {
        self.object.sections.push(Section {
            name: name.to_owned(),
            kind: SectionKind::Progbits,
            flags: SectionFlags { alloc: true, write: !exec, exec, ..SectionFlags::default() },
            align: 16,
            entsize: 0,
            marker: Marker::Head,
            data: Data::Bytes(bytes),
            relocs: Vec::new(),
            link_order: None,
        });
        self.object.sections.len() - 1
    }

    /// A symbol of `size` bytes at `offset` after the marker.
    fn define(
        &mut self,
        name: &str,
        kind: SymbolKind,
        (section, offset): (usize, u64),
        size: u64,
    ) -> usize {
        self.object.symbols.push(Symbol {
            name: name.to_owned(),
            binding: Binding::Global,
            kind,
            visibility: Visibility::Default,
            size,
            definition: Definition::Section { section, offset: 16 + offset },
            desc: Default::default(),
        });
        self.object.symbols.len() - 1
    }

    /// A word that holds the address of a symbol, `offset` bytes after the marker.
    fn refer(&mut self, section: usize, offset: u64, symbol: usize) {
        let r_type = machine::of(self.target.arch).pointer;
        let symbol = SymbolRef::Named(symbol);
        let reloc = Reloc { offset: 16 + offset, r_type, symbol, addend: 0 };
        self.object.sections[section].relocs.push(reloc);
    }

    /// Functions: where a library starts, the runtime's own.
    fn code(&mut self, dice: &mut Dice<'_>, case: &Case) {
        let mode = case.mode;
        let ret = machine::of(self.target.arch).code.ret;
        let mut bytes = Vec::new();
        let mut functions = Vec::new();
        let mut names = Vec::new();
        let others = if case.goos() == "linux" { "android" } else { "linux" };
        let [entry, other] =
            [case.goos(), others].map(|goos| crate::expect::module_entry(self.target, goos));
        // Another system's or machine's, or none, says nothing.
        let all = [&*entry, &*entry, &*entry, &*other, "_rt0_s390x_linux_lib", ""];
        let start = *dice.pick(&all);
        let often = if mode == Mode::CShared { 800 } else { 300 };
        if !start.is_empty() && dice.chance(often) {
            names.push(start);
        }
        if dice.chance(if mode == Mode::Plugin { 200 } else { 600 }) {
            names.push("runtime.addmoduledata");
        }
        names.push("main.main");
        for name in names {
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            functions.push((name, bytes.len() as u64));
            bytes.extend_from_slice(ret);
        }
        let text = self.section(".text", true, bytes);
        for (name, offset) in functions {
            let symbol = self.define(name, SymbolKind::Func, (text, offset), ret.len() as u64);
            if name == "runtime.addmoduledata" {
                self.object.symbols[symbol].binding = *dice.pick(&MOSTLY_GLOBAL);
            }
            if name.starts_with("_rt0") {
                let symbol = &mut self.object.symbols[symbol];
                symbol.visibility =
                    *dice.pick(&[Visibility::Default, Visibility::Hidden, Visibility::Protected]);
                symbol.binding =
                    *dice.pick(&[Binding::Global, Binding::Global, Binding::Weak, Binding::Local]);
                self.start(dice, text, offset);
            }
        }
    }

    /// What only a runtime has.
    fn runtime(&mut self, dice: &mut Dice<'_>, last: bool) {
        let ret = machine::of(self.target.arch).code.ret;
        let text = self.section(".text", true, ret.to_vec());
        self.define("runtime.addmoduledata", SymbolKind::Func, (text, 0), ret.len() as u64);
        let spare = self.section(".data.rt", false, vec![0; 32]);
        if last && dice.chance(700) {
            self.last(dice, (spare, 24));
        }
    }

    /// Maybe an init entry that leads to the last symbol, at `offset` of `text`, or near it: the Go linker's own.
    fn start(&mut self, dice: &mut Dice<'_>, text: usize, offset: u64) {
        let symbol = self.object.symbols.len() - 1;
        let by_place = SymbolRef::Section(text);
        let (symbol, addend) = match dice.below(8) {
            0 => (SymbolRef::Named(symbol), 0),
            1 => (by_place, 16 + offset as i64),
            2 if offset > 0 => (by_place, 16),
            _ => return,
        };
        let machine = machine::of(self.target.arch);
        let width = machine.word;
        let names = [".init_array", ".init_array", ".init_array.00200", ".ctors", ".ctors.00200"];
        let name = if dice.chance(300) { *dice.pick(&names) } else { names[0] };
        let section = self.section(name, false, vec![0; width.into()]);
        let r_type = *dice.pick(&[machine.pointer, machine.init]);
        let array = &mut self.object.sections[section];
        let old = name.starts_with(".ctors");
        array.kind = if old { SectionKind::Progbits } else { SectionKind::InitArray };
        (array.marker, array.align) = (Marker::None, width.into());
        array.relocs.push(Reloc { offset: 0, r_type, symbol, addend });
    }

    /// The module's data under either name, and the end of the runtime's list.
    fn data(&mut self, dice: &mut Dice<'_>, mode: Mode) {
        let words = dice.range(1, 4);
        let size = 8 * words as u64;
        let section = self.section(".data.go.module", false, vec![0; size as usize + 16]);
        let own = if mode == Mode::Plugin { 850 } else { 400 };
        if dice.chance(own) {
            let symbol = self.define("local.moduledata", SymbolKind::Object, (section, 0), size);
            // What others see of it is the mode's to hide.
            let symbol = &mut self.object.symbols[symbol];
            symbol.visibility = *dice.pick(&[Visibility::Hidden, Visibility::Default]);
            symbol.binding = *dice.pick(&[Binding::Global, Binding::Local]);
        }
        if dice.chance(600) {
            let symbol =
                self.define("runtime.firstmoduledata", SymbolKind::Object, (section, 0), size);
            self.object.symbols[symbol].binding = *dice.pick(&MOSTLY_GLOBAL);
        }
        for word in 0..words as u64 {
            let symbol = dice.below(self.object.symbols.len());
            self.refer(section, 8 * word, symbol);
        }
        if dice.chance(700) {
            self.last(dice, (section, 16 + 8 * words as u64));
        }
    }

    /// The end of the runtime's list, somewhere among data or zeros; the word `spare` leads there without its name.
    fn last(&mut self, dice: &mut Dice<'_>, spare: (usize, u64)) {
        let width = u64::from(machine::of(self.target.arch).word);
        if dice.chance(100) {
            let symbol = self.define(LAST, SymbolKind::Object, (0, 0), width);
            self.object.symbols[symbol].definition = Definition::Common { align: width };
            return;
        }
        let data = (".data", SectionKind::Progbits);
        let zeros = |name| (name, SectionKind::Nobits);
        let homes = [data, data, data, zeros(".bss"), zeros(".noptrbss"), zeros(".bss.go")];
        let (name, kind) = *dice.pick(&homes);
        let section = self.section(name, false, vec![*dice.pick(&[0, 0x5a]); 32]);
        let last = self.define(LAST, SymbolKind::Object, (section, 0), width);
        self.object.symbols[last].binding =
            *dice.pick(&[Binding::Global, Binding::Global, Binding::Weak, Binding::Local]);
        self.object.sections[section].kind = kind;
        if kind == SectionKind::Nobits {
            self.object.sections[section].data = Data::Zeros(48);
        } else {
            self.refer(section, 16, last);
            if dice.chance(200) {
                self.refer(section, 0, last);
            }
        }
        let r_type = machine::of(self.target.arch).pointer;
        let symbol = SymbolRef::Section(section);
        let reloc = Reloc { offset: spare.1, r_type, symbol, addend: 16 };
        self.object.sections[spare.0].relocs.push(reloc);
    }

    /// Data that every module has: each finds the host's, unless it binds its own.
    fn types(&mut self, dice: &mut Dice<'_>) {
        let count = dice.range(0, 3) as u64;
        let section = self.section(".data.go.type", false, vec![0x5a; 16 * count as usize + 32]);
        let first = self.object.symbols.len();
        for number in 0..count {
            let name = if number == 0 { "type:host".into() } else { format!("type:T{number}") };
            let symbol = self.define(&name, SymbolKind::Object, (section, 16 * number), 16);
            if dice.chance(300) {
                self.object.symbols[symbol].binding = Binding::Weak;
            }
        }
        for number in 0..count {
            let symbol = first + dice.below(count as usize);
            self.refer(section, 16 * number, symbol);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scold_diff::desugar::sugared;

    use super::*;
    use crate::{emit, text};

    const MODES: [Mode; 4] = [Mode::CShared, Mode::Plugin, Mode::Pie, Mode::Exe];

    fn cases() -> impl Iterator<Item = Case> {
        let case = |index| seeded(3, index, Target::AMD64_ELF, MODES[index as usize % MODES.len()]);
        (0..120).filter_map(case)
    }

    #[test]
    fn text_gives_every_module_again() {
        for case in cases() {
            assert_eq!(text::parse(&text::print(&case)).as_ref(), Ok(&case));
        }
    }

    #[test]
    fn every_mode_adds_what_it_can() {
        let mut seen = BTreeSet::new();
        for case in cases() {
            let facts = crate::expect::expect(&case).facts.to_string();
            let added = sugared(&emit::request(&case)).is_some();
            assert!(added || !facts.contains("buildmode.o"), "only one of two adds: {case:?}");
            if facts.contains("buildmode.o:.text+") {
                seen.insert((case.mode, "announced"));
            }
            let before = sugared(&emit::request(&case));
            if before.is_some_and(|b| b.file("go.o") != emit::request(&case).file("go.o")) {
                seen.insert((case.mode, "changed"));
            }
        }
        assert_eq!(seen.len(), 2 * MODES.len(), "{seen:?}");
    }
}
