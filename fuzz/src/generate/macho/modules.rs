//! A random case of Mach-O → the case of a Go module: names that the build mode's rules look at, in all
//! combinations, mistakes among them. It must not know what a mode makes of the names.

use scold_diff::expectation::Refusal;
use scold_diff::{Mode, Target};

use super::super::dice::Dice;
use super::code::{self, Code};
use super::parts::{self, Content};
use crate::case::*;
use crate::expect::macho::{MARKERS, mangled};
use crate::machine::macho::{self, Machine};

/// Module case number `index` of the stream `seed`; none where the case it is made from must be refused.
pub fn seeded(seed: u64, index: u64, target: Target, mode: Mode) -> Option<Case> {
    let case = super::super::seeded(seed, index, target, mode);
    let valid = case.validity != Validity::Invalid
        && !matches!(crate::expect::expect(&case).refusal, Refusal::Must(_));
    let bytes = super::super::bytes(!seed, index);
    valid.then(|| add(case, &mut Dice::new(&bytes)))
}

/// `case` with a Go module in it.
pub fn add(mut case: Case, dice: &mut Dice<'_>) -> Case {
    let mut module = Module {
        target: case.target,
        machine: macho::of(case.target.arch),
        code: code::of(case.target.arch),
        object: parts::object("go.o", dice.chance(300)),
    };
    module.functions(dice, case.mode);
    module.data(dice, case.mode);
    module.marks(dice, case.mode);
    if !case.options.contains(&Opt::DynamicLookup) {
        if dice.chance(500) {
            let alias = 7000;
            let name = "_runtime.addmoduledata";
            let symbol = parts::exported(name, Binding::Global, SymbolKind::Func, alias);
            case.inputs.push(Input::Library(parts::library("libhost.dylib", vec![symbol])));
        } else {
            case.options.push(Opt::MayBeUndefined("_runtime.addmoduledata".into()));
        }
    }
    let direct = case.inputs.iter().filter(|input| matches!(input, Input::Object(_))).count();
    let at = dice.below(direct + 1).min(case.inputs.len());
    case.inputs.insert(at, Input::Object(module.object));
    case
}

/// Who sees a definition; a module finds its own even where no other object does.
const MOSTLY_GLOBAL: [Binding; 4] =
    [Binding::Global, Binding::Global, Binding::Global, Binding::Local];

/// The module's object in the making.
struct Module {
    target: Target,
    machine: &'static Machine,
    code: &'static Code,
    object: Object,
}

impl Module {
    fn atom(&mut self, section: &str, mut content: Content, name: &str) -> usize {
        content.align(16, 0);
        let symbol = parts::symbol(name, Binding::Global, Definition::Undefined);
        match parts::atom(&mut self.object, section, 16, content, symbol) {
            SymbolRef::Named(at) => at,
            _ => 0,
        }
    }

    /// Zeros, and what they are called.
    fn zeros(&mut self, section: &str, name: &str) -> usize {
        let symbol = self.atom(section, Content::default(), name);
        let section = self.object.sections.last_mut();
        section.into_iter().for_each(|section| {
            (section.kind, section.data) = (SectionKind::Nobits, Data::Zeros(16));
        });
        symbol
    }

    /// Where a library starts, the runtime's own.
    fn functions(&mut self, dice: &mut Dice<'_>, mode: Mode) {
        let entry = mangled(&crate::expect::module_entry(self.target, "darwin"));
        // Another system's, or none, says nothing.
        let start = *dice.pick(&[&*entry, &*entry, "__rt0_amd64_linux_lib", ""]);
        let often = if mode == Mode::CShared { 800 } else { 300 };
        let mut names = vec!["_main.main"];
        if !start.is_empty() && dice.chance(often) {
            names.push(start);
        }
        if dice.chance(if mode == Mode::Plugin { 200 } else { 600 }) {
            names.push("_runtime.addmoduledata");
        }
        for name in names {
            let symbol = self.atom("__TEXT,__text", Content::of(self.code.ret), name);
            if name == "_runtime.addmoduledata" {
                self.object.symbols[symbol].binding = *dice.pick(&MOSTLY_GLOBAL);
            }
            if name.starts_with("__rt0") {
                let visibility = *dice.pick(&[Visibility::Default, Visibility::Hidden]);
                let binding = *dice.pick(&[Binding::Global, Binding::Global, Binding::Local]);
                let symbol = &mut self.object.symbols[symbol];
                (symbol.visibility, symbol.binding) = (visibility, binding);
                if binding == Binding::Local {
                    symbol.visibility = Visibility::Default;
                }
            }
        }
    }

    /// The module's data under either name, and the end of the runtime's list.
    fn data(&mut self, dice: &mut Dice<'_>, mode: Mode) {
        let own = if mode == Mode::Plugin { 850 } else { 400 };
        let mut names = Vec::new();
        if dice.chance(own) {
            names.push("_local.moduledata");
        }
        // Where the host could preempt it, code can't refer to it.
        if mode != Mode::Plugin && dice.chance(600) {
            names.push("_runtime.firstmoduledata");
        }
        if dice.chance(300) {
            // Only a plugin has it where the loader can write.
            let mut content = Content::default();
            content.pointer(self.machine, SymbolRef::Named(0), 0);
            if mode == Mode::Plugin {
                self.atom("__TEXT,__rodata", content, "_table");
            }
        }
        for name in names {
            let mut content = Content::default();
            for _ in 0..dice.range(1, 4) {
                let symbol = SymbolRef::Named(dice.below(self.object.symbols.len()));
                content.pointer(self.machine, symbol, 0);
            }
            let symbol = self.atom("__DATA,__go_module", content, name);
            if name == "_runtime.firstmoduledata" {
                self.object.symbols[symbol].binding = *dice.pick(&MOSTLY_GLOBAL);
            }
            if name == "_local.moduledata" {
                // What others see of it is the mode's to hide.
                let symbol = &mut self.object.symbols[symbol];
                (symbol.binding, symbol.visibility) = *dice.pick(&[
                    (Binding::Global, Visibility::Hidden),
                    (Binding::Global, Visibility::Default),
                    (Binding::Local, Visibility::Default),
                ]);
            }
        }
        if dice.chance(700) {
            self.last(dice);
        }
    }

    /// The end of the runtime's list: data, zeros, or a common block.
    fn last(&mut self, dice: &mut Dice<'_>) {
        let name = "_runtime.lastmoduledatap";
        if dice.chance(100) {
            let definition = Definition::Common { align: *dice.pick(&[8, 32]) };
            let mut symbol = parts::symbol(name, Binding::Global, definition);
            symbol.size = *dice.pick(&[8, 8, 24]);
            self.object.symbols.push(symbol);
            return;
        }
        let mut content = Content::default();
        match dice.chance(300) {
            true => content.pointer(self.machine, SymbolRef::Named(0), 0),
            false => content.bytes.extend([0x5a; 8]),
        }
        let zeros = ["__DATA,__bss", "__DATA,__noptrbss", "__DATA,__common", "__DATA,__zeros"];
        let last = match dice.chance(200) {
            true => self.zeros(dice.pick::<&str>(&zeros), name),
            false => self.atom("__DATA,__noptrdata", content, name),
        };
        self.object.symbols[last].binding = *dice.pick(&MOSTLY_GLOBAL);
    }

    /// Words that hold the addresses of markers, some of which the module defines itself.
    fn marks(&mut self, dice: &mut Dice<'_>, mode: Mode) {
        let module = |s: &Symbol| s.name.ends_with("moduledata");
        let is_go = self.object.symbols.iter().any(module);
        // What a mode makes of those is called as others of data: a second section of that name.
        let zeros = self.object.sections.iter().any(|section| section.kind == SectionKind::Nobits);
        for (start, end, section) in MARKERS {
            if start == "_runtime.rodata" || !(is_go || mode == Mode::Plugin) {
                continue;
            }
            for name in [start, end] {
                if dice.chance(60) && !section.ends_with("bss") && !zeros {
                    self.atom(section, Content::of(&[1; 16]), name);
                } else if dice.chance(120) {
                    let symbol = parts::undefined(&mut self.object, name);
                    let mut content = Content::default();
                    content.pointer(self.machine, symbol, 0);
                    let name = format!("_mark/{}", &name[1..]);
                    self.atom("__DATA,__table", content, &name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scold_diff::desugar::sugared;

    use super::*;
    use crate::{emit, text};

    const MODES: [Mode; 3] = [Mode::CShared, Mode::Plugin, Mode::Pie];

    fn cases() -> impl Iterator<Item = Case> {
        let case = |n| seeded(3, n, Target::AMD64_MACHO, MODES[n as usize % MODES.len()]);
        (0..90).filter_map(case)
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
            for part in ["buildmode.o:__TEXT,__text+", "section$", "buildmode.o:__DATA,__data"] {
                if facts.contains(part) {
                    seen.insert((case.mode, part));
                }
            }
        }
        let [code, bound, data] =
            ["buildmode.o:__TEXT,__text+", "section$", "buildmode.o:__DATA,__data"];
        // Bounds of a library, symbols of a plugin.
        let wanted = [(Mode::CShared, bound), (Mode::Pie, bound), (Mode::Plugin, data)];
        for it in MODES.map(|mode| (mode, code)).into_iter().chain(wanted) {
            assert!(seen.contains(&it), "{it:?}: {seen:?}");
        }
    }
}
