//! Worlds of modules: a host with a runtime, one to four plugins, each a link of its own, that run together.
//!
//! The runtime is real machine code: a list of modules and a function that appends to it. Plugins have data that
//! others have too, functions that others preempt, init functions of several kinds; some bind their own symbols by
//! mistake, some are plain C libraries, some need what only another has. Names say what each symbol does, so that
//! `expect::drills` can tell what must be seen at run time:
//!
//! | symbol | |
//! |---|---|
//! | `type:T` | data that every module may have |
//! | `fn:F` | a function that returns its module's and its own number |
//! | `local.fn:F` | the same, found in its own object only |
//! | `got/S`, `ptr/S` | a function that returns the address of `S`, a word that holds it |
//! | `plt/F`, `own/F` | functions that call `F` as everybody sees it, and the local one |
//! | `mark/B` | a function that returns the bound `B` of a section, around `at.SECTION` |
//! | `init/N`, `_init` | appends `N` to the module's log, whose address the function `log` returns |
//!
//! It must not know what comes of all that.

mod bounds;
mod inits;

use scold_diff::{Arch, Mode, Target};

use super::Dice;
use super::parts::{add_piece, case, object, section, symbol};
use crate::case::*;
use crate::machine::{self, Machine, announce};

/// Modules of the host's language have no more of each.
const TYPES: [&str; 3] = ["type:A", "type:B", "type:C"];
const FUNCTIONS: [&str; 3] = ["fn:a", "fn:b", "fn:c"];
/// What `_init` logs, and the function that starts a library's runtime.
pub const INIT: u8 = 99;
/// See [`INIT`].
pub const START: u8 = 100;

/// What `fn:F` of module `number` returns.
pub fn value(number: usize, function: &str) -> u64 {
    let at = FUNCTIONS.iter().position(|name| *name == function).unwrap_or(FUNCTIONS.len());
    16 * (number as u64 + 1) + at as u64
}

/// World number `index` of the stream `seed`, one of its modules of mode `mode` first; none for modes that no
/// module of a world has.
pub fn seeded(seed: u64, index: u64, target: Target, mode: Mode) -> Option<Case> {
    let hosts = &[Mode::Pie, Mode::Exe, Mode::CShared];
    let module = |mode, number, host: Option<&Case>, dice: &mut Dice<'_>| {
        module(target, mode, number, host, dice)
    };
    world((seed, index), mode, hosts, module)
}

/// A host, of one of the modes `hosts`, and plugins; `module` makes one of a mode and a number, for a host.
pub(super) fn world(
    (seed, index): (u64, u64),
    mode: Mode,
    hosts: &[Mode],
    module: impl Fn(Mode, usize, Option<&Case>, &mut Dice<'_>) -> Case,
) -> Option<Case> {
    let bytes = super::bytes(seed.rotate_left(17), index);
    let dice = &mut Dice::new(&bytes);
    let host = match mode {
        Mode::Plugin => *dice.pick(hosts),
        other => Some(other).filter(|mode| hosts.contains(mode))?,
    };
    let first = module(host, 0, None, dice);
    let count = dice.range(1, 4);
    let plugins = (1..=count).map(|k| module(Mode::Plugin, k, Some(&first), dice));
    let mut all: Vec<Case> = plugins.collect();
    all.insert(0, first);
    let own = if mode == Mode::Plugin { dice.range(1, count) } else { 0 };
    let mut main = all.remove(own);
    main.beside = all;
    Some(main)
}

/// Module `number`; plugins are told who is their host.
fn module(
    target: Target,
    mode: Mode,
    number: usize,
    host: Option<&Case>,
    dice: &mut Dice<'_>,
) -> Case {
    let mut module = Module::new(target, number, host);
    let mut case = case(target, mode);
    // All are for one system.
    if host.map_or_else(|| dice.chance(150), |host| host.options.contains(&Opt::Android)) {
        case.options.push(Opt::Android);
    }
    if number == 0 {
        module.runtime(&case, dice);
    } else if dice.chance(800) {
        let name = *dice.pick(&["local.moduledata", "local.moduledata", "runtime.firstmoduledata"]);
        module.module_data(name, Visibility::Hidden);
    }
    module.inits(mode, dice);
    module.functions(dice);
    module.types(dice);
    module.bounds(dice);
    for (permille, option) in [
        (200, Opt::GcSections),
        (200, Opt::NoRelax),
        (200, Opt::O2),
        (300, Opt::HashStyle(*dice.pick(&[HashStyle::Sysv, HashStyle::Both]))),
        (if target.arch == Arch::Arm { 100 } else { 0 }, Opt::Target1Relative(false)),
    ] {
        if dice.chance(permille) {
            case.options.push(option);
        }
    }
    // As if it were a library for everybody: a mistake, which shows.
    if number != 0 && dice.chance(120) {
        case.options.push(Opt::Bsymbolic);
    }
    case.inputs.push(Input::Object(module.object));
    if !mode.is_library() {
        case.options.push(Opt::ExportDynamic);
        case.inputs.push(Input::Library(ballast()));
    }
    case
}

/// Makes an executable a dynamic one.
fn ballast() -> Library {
    let symbol = LibrarySymbol {
        name: "ballast".to_owned(),
        version: None,
        binding: Binding::Global,
        kind: SymbolKind::Object,
        visibility: Visibility::Default,
        size: 8,
        defined: LibraryDefinition::Defined { alias: 0, readonly: false },
    };
    Library {
        name: "libballast.so".to_owned(),
        soname: None,
        as_needed: false,
        symbols: vec![symbol],
        weak: false,
    }
}

/// Sections of a module, in this order.
const SECTIONS: [(&str, &str); 4] =
    [(".text", "ax"), (".data.go.module", "aw"), (".data.go.type", "aw"), (".data", "aw")];
const TEXT: usize = 0;
const MODULE: usize = 1;
const TYPE: usize = 2;
const DATA: usize = 3;

/// A module's only object in the making.
struct Module<'h> {
    machine: &'static Machine,
    target: Target,
    number: usize,
    host: Option<&'h Case>,
    object: Object,
}

impl<'h> Module<'h> {
    fn new(target: Target, number: usize, host: Option<&'h Case>) -> Self {
        let mut object = object(&format!("m{number}.o"));
        object.sections =
            SECTIONS.iter().map(|(name, letters)| section(name, letters, &[])).collect();
        Self { machine: machine::of(target.arch), target, number, host, object }
    }

    /// The symbol called `name`; undefined unless it is there.
    fn named(&mut self, name: &str, binding: Binding) -> SymbolRef {
        let list = &mut self.object.symbols;
        let at = list.iter().position(|symbol| symbol.name == name).unwrap_or_else(|| {
            list.push(Symbol {
                binding,
                ..symbol(name, SymbolKind::Notype, Definition::Undefined)
            });
            list.len() - 1
        });
        SymbolRef::Named(at)
    }

    fn defines(&self, name: &str) -> bool {
        let mut symbols = self.object.symbols.iter();
        symbols.any(|symbol| symbol.name == name && symbol.definition != Definition::Undefined)
    }

    /// The next place of a section.
    fn place(&mut self, section: usize, align: u64) -> u64 {
        let to = self.object.sections[section].size().next_multiple_of(align) - 16;
        if let Data::Bytes(bytes) = &mut self.object.sections[section].data {
            bytes.resize(to as usize, 0);
        }
        16 + to
    }

    fn bytes(&mut self, section: usize, more: &[u8]) {
        if let Data::Bytes(bytes) = &mut self.object.sections[section].data {
            bytes.extend_from_slice(more);
        }
    }

    fn define(&mut self, name: &str, kind: SymbolKind, section: usize, offset: u64) -> usize {
        let size = (self.object.sections[section].size() - (offset & !1)).max(1);
        let definition = Definition::Section { section, offset };
        let made = Symbol { size, ..symbol(name, kind, definition) };
        let list = &mut self.object.symbols;
        match list.iter().position(|symbol| symbol.name == name) {
            Some(at) => list[at] = made,
            None => list.push(made),
        }
        list.iter().position(|symbol| symbol.name == name).unwrap_or_default()
    }

    /// A function of these bytes with these fields; `state` is what its instruction set adds to its address.
    fn function(
        &mut self,
        name: &str,
        bytes: &[u8],
        fields: &[(u64, u32, i64, SymbolRef)],
        state: u64,
    ) -> usize {
        let offset = self.place(TEXT, 16);
        self.bytes(TEXT, bytes);
        let relocs = fields.iter().map(|&(at, r_type, addend, symbol)| Reloc {
            offset: offset + at,
            r_type,
            symbol,
            addend,
        });
        self.object.sections[TEXT].relocs.extend(relocs);
        self.define(name, SymbolKind::Func, TEXT, offset + state)
    }

    /// Words of data; the first of them refers to something.
    fn words(&mut self, section: usize, words: &[u64], to: Option<SymbolRef>) -> u64 {
        let width = u64::from(self.machine.word);
        let offset = self.place(section, 16);
        for word in words {
            self.bytes(section, &word.to_le_bytes()[..width as usize]);
        }
        let r_type = self.machine.pointer;
        let reloc = to.map(|symbol| Reloc { offset, r_type, symbol, addend: 0 });
        self.object.sections[section].relocs.extend(reloc);
        offset
    }

    fn module_data(&mut self, name: &str, visibility: Visibility) {
        let offset = self.words(MODULE, &[0, self.number as u64], None);
        let at = self.define(name, SymbolKind::Object, MODULE, offset);
        self.object.symbols[at].visibility = visibility;
    }

    /// The list, what appends to it, where an executable or a library starts.
    fn runtime(&mut self, case: &Case, dice: &mut Dice<'_>) {
        self.module_data("runtime.firstmoduledata", Visibility::Default);
        let offset = self.words(DATA, &[0], None);
        self.define("runtime.lastmoduledatap", SymbolKind::Object, DATA, offset);
        let last = self.named("runtime.lastmoduledatap", Binding::Global);
        let append = announce::of(self.target.arch).append;
        let fields: Vec<_> =
            append.fields.iter().map(|&(at, t, a)| (at.into(), t, a.into(), last)).collect();
        self.function("runtime.addmoduledata", append.bytes, &fields, 0);
        if !case.mode.is_library() {
            self.function("_start", self.machine.code.exit, &[], 0);
        } else if dice.chance(800) {
            let entry = crate::expect::module_entry(case.target, case.goos());
            let at = self.logging(&entry, START);
            self.object.symbols[at].visibility =
                *dice.pick(&[Visibility::Default, Visibility::Hidden, Visibility::Protected]);
        }
    }

    /// A function that returns the address of a symbol of this object.
    fn taking(&mut self, name: &str, symbol: SymbolRef) {
        let offset = self.place(TEXT, 16);
        let code = &self.machine.code;
        add_piece(&mut self.object.sections[TEXT], &code.take, symbol, 0);
        self.bytes(TEXT, code.ret);
        self.define(name, SymbolKind::Func, TEXT, offset);
    }

    /// Whether the host has `name`.
    fn host_has(&self, name: &str) -> bool {
        let objects = self.host.map(Case::objects).unwrap_or_default();
        objects.iter().flat_map(|object| &object.symbols).any(|s| s.name == name)
    }

    /// Whether what it or its host has may be referred to, or what only another plugin may have.
    fn may_refer(&self, name: &str, dice: &mut Dice<'_>) -> bool {
        let there = self.defines(name) || self.host_has(name);
        if there { dice.chance(750) } else { self.number != 0 && dice.chance(60) }
    }

    fn functions(&mut self, dice: &mut Dice<'_>) {
        for name in FUNCTIONS {
            if !dice.chance(600) {
                continue;
            }
            let number = value(self.number, name);
            let bytes = (self.machine.code.returns)(number);
            let state = (self.machine.code.state)(number);
            let at = self.function(name, &bytes, &[], state);
            self.object.symbols[at].binding =
                *dice.pick(&[Binding::Global, Binding::Global, Binding::Weak]);
            if dice.chance(150) {
                self.object.symbols[at].visibility = Visibility::Protected;
            }
            let twin = Symbol {
                name: format!("local.{name}"),
                binding: Binding::Local,
                visibility: Visibility::Default,
                ..self.object.symbols[at].clone()
            };
            self.object.symbols.push(twin);
            let twin = SymbolRef::Named(self.object.symbols.len() - 1);
            if dice.chance(700) {
                self.calling(&format!("own/{name}"), twin, dice);
            }
        }
        for name in FUNCTIONS {
            if self.may_refer(name, dice) {
                let symbol = self.named(name, Binding::Global);
                self.calling(&format!("plt/{name}"), symbol, dice);
            }
        }
    }

    /// A function that calls another as compilers write it, and returns what that one returns.
    fn calling(&mut self, name: &str, symbol: SymbolRef, dice: &mut Dice<'_>) {
        let all = self.machine.code.sequences.iter();
        let calls: Vec<_> = all
            .filter(|it| it.needs == machine::Needs::Function)
            .filter(|it| {
                it.parts.len() == 1 && announce::of(self.target.arch).calls.contains(&it.parts[0].1)
            })
            .collect();
        let call = dice.pick(&calls);
        let fields: Vec<_> = call
            .parts
            .iter()
            .map(|&(at, r_type, addend, _)| (at.into(), r_type, addend.into(), symbol))
            .collect();
        self.function(name, call.bytes, &fields, call.state);
    }

    /// Data that others have too, and references to it.
    fn types(&mut self, dice: &mut Dice<'_>) {
        for name in TYPES {
            if dice.chance(600) {
                let offset = self.words(TYPE, &[7, self.number as u64], None);
                let at = self.define(name, SymbolKind::Object, TYPE, offset);
                if dice.chance(250) {
                    self.object.symbols[at].binding = Binding::Weak;
                }
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

    /// References to `name` through the GOT, and by a word of data.
    fn refer(&mut self, name: &str, binding: Binding, dice: &mut Dice<'_>) {
        let symbol = self.named(name, binding);
        let through_got = dice.chance(700);
        if through_got {
            let offset = self.place(TEXT, 16);
            let got = announce::of(self.target.arch).got;
            add_piece(&mut self.object.sections[TEXT], &got, symbol, 0);
            self.define(&format!("got/{name}"), SymbolKind::Func, TEXT, offset);
        }
        if !through_got || dice.chance(600) {
            let offset = self.words(DATA, &[0], Some(symbol));
            self.define(&format!("ptr/{name}"), SymbolKind::Object, DATA, offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn text_gives_every_world_again() {
        let modes = [Mode::Plugin, Mode::Pie, Mode::Exe, Mode::CShared];
        let mut sizes = std::collections::BTreeSet::new();
        for index in 0..80 {
            let mode = modes[index as usize % modes.len()];
            let world = seeded(5, index, Target::ARM64_ELF, mode).expect("a world");
            assert_eq!(world.mode, mode);
            assert_eq!(text::parse(&text::print(&world)).as_ref(), Ok(&world));
            sizes.insert(world.beside.len());
        }
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(seeded(5, 0, Target::ARM64_ELF, Mode::Shared).is_none());
    }
}
