//! Worlds of Go modules on darwin: a host with a runtime, and flat plugins, each a link of its own, that run together.
//!
//! What symbols are called is as in [`crate::generate::worlds`], with an underscore before it. Here are no arrays with
//! priorities and no `_init`; but a plugin's data lies by size between markers, whose addresses are in words
//! called `mark/M`. What two modules have is weak in both or in none: dyld looks up weak definitions in an order of
//! their own. It must not know what comes of all that.

use scold_diff::{Mode, Target};

use super::super::dice::Dice;
use super::super::worlds::{START, value, world};
use super::code::{self, Code};
use super::parts::{self, Content};
use crate::case::*;
use crate::expect::macho::{MARKERS, mangled};
use crate::machine::announce;
use crate::machine::macho::{self, Machine};

/// Modules of the host's language have no more of each; the last one is weak.
const TYPES: [&str; 3] = ["_type:A", "_type:B", "_type:C"];
const FUNCTIONS: [&str; 3] = ["_fn:a", "_fn:b", "_fn:c"];
/// Where data of any size is.
const PLACES: [&str; 5] = [
    "__DATA,__data",
    "__DATA,__noptrdata",
    "__DATA,__bss",
    "__DATA,__noptrbss",
    "__DATA_CONST,__go_type",
];

/// World number `index` of the stream `seed`, one of its modules of mode `mode` first; none for modes that no
/// module of a world has.
pub fn seeded(seed: u64, index: u64, target: Target, mode: Mode) -> Option<Case> {
    let module = |mode, number, host: Option<&Case>, dice: &mut Dice<'_>| {
        module(target, mode, number, host, dice)
    };
    world((seed, index), mode, &[Mode::Pie, Mode::CShared], module)
}

/// Module `number`; plugins are told who is their host.
fn module(
    target: Target,
    mode: Mode,
    number: usize,
    host: Option<&Case>,
    dice: &mut Dice<'_>,
) -> Case {
    let mut module = Module::new(target, number, host, dice);
    module.types(dice);
    module.data(dice);
    module.functions(dice);
    if number == 0 {
        module.runtime(mode, dice);
    } else if dice.chance(800) {
        let name = ["_local.moduledata", "_local.moduledata", "_runtime.firstmoduledata"];
        let name = name[dice.below(name.len())];
        let at = module.module_data(name, Visibility::Hidden);
        if name == "_local.moduledata" && dice.chance(300) {
            let symbol = &mut module.objects[0].symbols[at];
            (symbol.binding, symbol.visibility) = (Binding::Local, Visibility::Default);
        }
    }
    module.inits(dice);
    module.references(dice);
    module.marks(dice);
    let mut case = super::super::parts::case(target, mode);
    module.options(&mut case, dice);
    case.inputs.extend(module.objects.into_iter().map(Input::Object));
    case
}

/// A module's objects in the making: what is local is in the first one.
struct Module<'h> {
    target: Target,
    machine: &'static Machine,
    code: &'static Code,
    number: usize,
    host: Option<&'h Case>,
    objects: Vec<Object>,
}

impl<'h> Module<'h> {
    fn new(target: Target, number: usize, host: Option<&'h Case>, dice: &mut Dice<'_>) -> Self {
        // Go's own object can't be cut; C's can.
        let mut objects = vec![parts::object(&format!("m{number}.o"), dice.chance(500))];
        if dice.chance(500) {
            objects.push(parts::object(&format!("m{number}.b.o"), dice.chance(700)));
        }
        let (machine, code) = (macho::of(target.arch), code::of(target.arch));
        Self { target, machine, code, number, host, objects }
    }

    fn some(&self, dice: &mut Dice<'_>) -> usize {
        dice.below(self.objects.len())
    }

    fn defines(&self, name: &str) -> bool {
        let mut symbols = self.objects.iter().flat_map(|object| &object.symbols);
        symbols.any(|symbol| symbol.name == name && symbol.definition != Definition::Undefined)
    }

    /// An atom with a name, or a part of a section; its symbol.
    fn atom(
        &mut self,
        object: usize,
        section: &str,
        mut content: Content,
        name: &str,
        binding: Binding,
    ) -> usize {
        content.align(16, if section == "__TEXT,__text" { self.code.nop[0] } else { 0 });
        let symbol = parts::symbol(name, binding, Definition::Undefined);
        match parts::atom(&mut self.objects[object], section, 16, content, symbol) {
            SymbolRef::Named(at) => at,
            _ => 0,
        }
    }

    fn function(&mut self, object: usize, name: &str, content: Content) -> usize {
        let nop = self.code.nop;
        let mut content = content;
        // An instruction at a time.
        while !content.bytes.len().is_multiple_of(16) {
            content.bytes.extend_from_slice(nop);
        }
        self.atom(object, "__TEXT,__text", content, name, Binding::Global)
    }

    /// The reference to `name` in an object.
    fn named(&mut self, object: usize, name: &str, binding: Binding) -> SymbolRef {
        let object = &mut self.objects[object];
        let known = object.symbols.iter().position(|symbol| symbol.name == name);
        match known {
            Some(known) => SymbolRef::Named(known),
            None => parts::name(object, parts::symbol(name, binding, Definition::Undefined)),
        }
    }

    /// Data that others have too.
    fn types(&mut self, dice: &mut Dice<'_>) {
        for name in TYPES {
            if dice.chance(600) {
                let object = self.some(dice);
                let mut content = Content::of(&7_u64.to_le_bytes());
                content.bytes.extend(&[self.number as u8; 8]);
                let section = *dice.pick(&["__DATA_CONST,__go_type", "__DATA,__data"]);
                let weak = name == TYPES[2];
                let binding = if weak { Binding::Weak } else { Binding::Global };
                self.atom(object, section, content, name, binding);
            }
        }
    }

    /// Data of any size.
    fn data(&mut self, dice: &mut Dice<'_>) {
        for number in 0..dice.range(0, 8) {
            let object = self.some(dice);
            let content = Content::of(&vec![number as u8; 16 * dice.range(1, 5)]);
            let binding = *dice.pick(&[Binding::Global, Binding::Local]);
            let name = format!("_data/{}.{number}", self.number);
            let section = *dice.pick(&PLACES);
            self.atom(object, section, content, &name, binding);
        }
    }

    fn functions(&mut self, dice: &mut Dice<'_>) {
        for name in FUNCTIONS {
            if !dice.chance(600) {
                continue;
            }
            let object = self.some(dice);
            let number = value(self.number, &name[1..]);
            let content = Content::of(&self.code.returns(number as u16));
            let at = self.function(object, name, content);
            let cut = self.objects[object].subsections;
            let symbol = &mut self.objects[object].symbols[at];
            if name == FUNCTIONS[2] {
                symbol.binding = Binding::Weak;
            } else if dice.chance(150) {
                symbol.visibility = Visibility::Hidden;
            }
            // Go's twins are in objects that can't be cut. A weak copy may be dropped, and what refers to it has
            // another then.
            if cut || name == FUNCTIONS[2] {
                continue;
            }
            let mut twin = symbol.clone();
            twin.name = mangled(&format!("local.{}", &name[1..]));
            (twin.binding, twin.visibility) = (Binding::Local, Visibility::Default);
            let twin = parts::name(&mut self.objects[object], twin);
            if dice.chance(700) {
                self.calling(object, &format!("_own/{}", &name[1..]), twin, dice);
            }
        }
    }

    fn module_data(&mut self, name: &str, visibility: Visibility) -> usize {
        let mut content = Content::of(&[0; 8]);
        content.bytes.extend(&(self.number as u64).to_le_bytes());
        let at = self.atom(0, "__DATA,__go_module", content, name, Binding::Global);
        self.objects[0].symbols[at].visibility = visibility;
        at
    }

    /// The list, what appends to it, where an executable or a library starts.
    fn runtime(&mut self, mode: Mode, dice: &mut Dice<'_>) {
        self.module_data("_runtime.firstmoduledata", Visibility::Default);
        let object = self.some(dice);
        let mut content = Content::default();
        if dice.chance(300) {
            // Whatever it was.
            let other = self.named(object, "_runtime.firstmoduledata", Binding::Global);
            content.pointer(self.machine, other, 8);
        } else {
            content.bytes.extend([0x5a; 8]);
        }
        let last = "_runtime.lastmoduledatap";
        self.atom(object, "__DATA,__noptrdata", content, last, Binding::Global);
        let last = self.named(0, last, Binding::Global);
        let mut content = Content::default();
        content.piece(&announce::darwin(self.target.arch), last, 0);
        self.function(0, "_runtime.addmoduledata", content);
        if !mode.is_library() {
            self.function(0, "_main", Content::of(self.code.ret));
        } else if dice.chance(800) {
            let entry = mangled(&crate::expect::module_entry(self.target, "darwin"));
            let at = self.logging(&entry, START);
            let visibility = *dice.pick(&[Visibility::Default, Visibility::Hidden]);
            self.objects[0].symbols[at].visibility = visibility;
        }
    }

    /// A function that appends `number` to the log.
    fn logging(&mut self, name: &str, number: u8) -> usize {
        let log = self.log();
        let mut content = Content::default();
        content.piece(&self.code.take, log, 0);
        content.bytes.extend((announce::of(self.target.arch).log)(number));
        self.function(0, name, content)
    }

    fn log(&mut self) -> SymbolRef {
        let name = "_own.log";
        if !self.defines(name) {
            let content = Content::of(&[0; 48]);
            self.atom(0, "__DATA,__noptrbss", content, name, Binding::Local);
        }
        self.named(0, name, Binding::Local)
    }

    /// Functions that run when it is loaded, and the log of them.
    fn inits(&mut self, dice: &mut Dice<'_>) {
        for number in 1..=dice.range(0, 4) as u8 {
            let at = self.logging(&format!("_init/{number}"), number);
            self.objects[0].symbols[at].binding = Binding::Local;
            let mut content = Content::default();
            content.pointer(self.machine, SymbolRef::Named(at), 0);
            parts::add(&mut self.objects[0], "__DATA,__mod_init_func", 8, content);
        }
        let log = self.log();
        let mut content = Content::default();
        content.piece(&self.code.take, log, 0);
        content.bytes.extend(self.code.ret);
        self.function(0, "_log", content);
    }

    /// A function that calls another, and returns what that one returns.
    fn calling(&mut self, object: usize, name: &str, symbol: SymbolRef, dice: &mut Dice<'_>) {
        let mut content = Content::default();
        if dice.chance(300) {
            content.piece(&self.code.jump, symbol, 0);
        } else {
            content.bytes.extend(self.code.enter);
            content.piece(&self.code.call, symbol, 0);
            content.bytes.extend(self.code.leave);
            content.bytes.extend(self.code.ret);
        }
        self.function(object, name, content);
    }

    /// Whether what it or its host has may be referred to, or what only another plugin may have.
    fn may_refer(&self, name: &str, dice: &mut Dice<'_>) -> bool {
        let objects = self.host.map(Case::objects).unwrap_or_default();
        let mut symbols = objects.iter().flat_map(|object| &object.symbols);
        let host = symbols.any(|s| s.name == name && s.visibility == Visibility::Default);
        if self.defines(name) || host {
            dice.chance(750)
        } else {
            self.number != 0 && dice.chance(60)
        }
    }

    fn references(&mut self, dice: &mut Dice<'_>) {
        for name in FUNCTIONS {
            if self.may_refer(name, dice) {
                let object = self.some(dice);
                let symbol = self.named(object, name, Binding::Global);
                self.calling(object, &format!("_plt/{}", &name[1..]), symbol, dice);
            }
        }
        for name in TYPES {
            if self.may_refer(name, dice) {
                self.refer(name, Binding::Global, dice);
            } else if self.number != 0 && !self.defines(name) && dice.chance(300) {
                self.refer(name, Binding::Weak, dice);
            }
        }
    }

    /// References to `name` through a slot, and by a word of data.
    fn refer(&mut self, name: &str, binding: Binding, dice: &mut Dice<'_>) {
        let object = self.some(dice);
        let symbol = self.named(object, name, binding);
        let through_got = dice.chance(700);
        if through_got {
            let mut content = Content::default();
            content.piece(&self.code.load, symbol, 0);
            content.bytes.extend(self.code.ret);
            self.function(object, &format!("_got/{}", &name[1..]), content);
        }
        if !through_got || dice.chance(600) {
            let mut content = Content::default();
            content.pointer(self.machine, symbol, 0);
            let name = format!("_ptr/{}", &name[1..]);
            let all = ["__DATA,__data", "__DATA_CONST,__go_type", "__TEXT,__rodata"];
            // Only a plugin has the last one where the loader can write.
            let section = *dice.pick(if self.number != 0 { &all } else { &all[..2] });
            self.atom(object, section, content, &name, Binding::Global);
        }
    }

    /// Words that hold the addresses of markers.
    fn marks(&mut self, dice: &mut Dice<'_>) {
        for (start, end, _) in MARKERS {
            // Sections of code with addresses in them go elsewhere in a plugin: none are made.
            for name in [start, end] {
                if start != "_runtime.rodata" && dice.chance(200) {
                    let object = self.some(dice);
                    let symbol = self.named(object, name, Binding::Global);
                    let mut content = Content::default();
                    content.pointer(self.machine, symbol, 0);
                    let name = format!("_mark/{}", &name[1..]);
                    self.atom(object, "__DATA,__table", content, &name, Binding::Global);
                }
            }
        }
    }

    fn options(&self, case: &mut Case, dice: &mut Dice<'_>) {
        if dice.chance(250) {
            case.options.push(Opt::FixupChains(dice.chance(500)));
        }
        if dice.chance(250) {
            case.options.push(Opt::MinOs(*dice.pick(&[11, 12, 14])));
        }
        // What a program exports is nothing that it needs.
        if case.mode.is_library() && dice.chance(150) {
            case.options.push(Opt::GcSections);
        }
        if self.number == 0 {
            return;
        }
        if dice.chance(500) {
            case.options.push(Opt::DynamicLookup);
            return;
        }
        let symbols = self.objects.iter().flat_map(|object| &object.symbols);
        let mut wanted: Vec<&str> = symbols
            .filter(|s| s.definition == Definition::Undefined && !self.defines(&s.name))
            .map(|symbol| symbol.name.as_str())
            .filter(|name| MARKERS.iter().all(|row| row.0 != *name && row.1 != *name))
            .chain(["_runtime.addmoduledata"])
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let allowed = wanted.into_iter().map(|name| Opt::MayBeUndefined(name.to_owned()));
        case.options.extend(allowed);
    }
}

#[cfg(test)]
mod tests {
    use scold_diff::desugar::{desugar, sugared};

    use super::*;
    use crate::{emit, text};

    #[test]
    fn what_a_mode_changes_comes_back() {
        let mut changed = 0;
        for index in 0..40 {
            let mode = [Mode::Plugin, Mode::Pie, Mode::CShared][index as usize % 3];
            let case = seeded(9, index, Target::AMD64_MACHO, mode).expect("a world");
            let request = emit::request(&case);
            let Some(before) = sugared(&request) else { continue };
            assert_eq!(desugar(request.clone()), request, "once is enough");
            assert_eq!(desugar(before.clone()), request, "the same again");
            for object in case.objects() {
                let bytes = emit::macho::object(object, case.target);
                let file = |request: &scold_diff::Request| {
                    request.file(&object.name).map(|file| file.bytes.to_vec())
                };
                assert_eq!(file(&before).as_ref(), Some(&bytes), "{}", object.name);
                changed += usize::from(file(&request) != Some(bytes));
            }
        }
        assert!(changed > 10, "{changed}");
    }

    #[test]
    fn text_gives_every_world_again() {
        let modes = [Mode::Plugin, Mode::Pie, Mode::CShared];
        let mut sizes = std::collections::BTreeSet::new();
        for index in 0..60 {
            let mode = modes[index as usize % modes.len()];
            let world = seeded(5, index, Target::ARM64_MACHO, mode).expect("a world");
            assert_eq!(world.mode, mode);
            assert_eq!(text::parse(&text::print(&world)).as_ref(), Ok(&world));
            sizes.insert(world.beside.len());
        }
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(seeded(5, 0, Target::ARM64_MACHO, Mode::Shared).is_none());
    }
}
