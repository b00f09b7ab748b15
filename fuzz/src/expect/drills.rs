//! A world of modules → what must be seen when they run together: drills, each with its answers.
//!
//! The rules are the dynamic loader's (gABI ch. 5, "Shared Object Dependencies": the first definition in the order of
//! loading wins, unless a module looks into itself first) and those of build modes: the list of modules has each
//! once, in the order of loading; init functions run once, in order; functions bind locally where code asks for it;
//! an ELF c-shared library stays. dyld has the same rules for flat images, and for weak definitions of all images. `generate::worlds` says what names mean. It must not know who links.

use std::collections::BTreeSet;
use std::mem;

use scold_diff::oracle::Complaint;
use scold_diff::oracle::world::{Line, Stage};
use scold_diff::{Family, Format, Key, Mode};

use super::macho::MARKERS;
use super::resolve::old_array;
use crate::case::*;
use crate::emit;
use crate::generate::modules::bounds::ROWS;
use crate::generate::worlds::{INIT, START, value};

const FIRST: &str = "runtime.firstmoduledata";
const LAST: &str = "runtime.lastmoduledatap";

/// The modules of `case` and of those beside it, with what is `wrong` with each of these by itself, and what they must
/// answer; none if it is no world any more.
pub fn stage(case: &Case, mut wrong: Vec<Vec<Complaint>>) -> Option<Stage> {
    let mut cases = vec![(0, case)];
    cases.extend((1..).zip(&case.beside));
    // A host, then guests; which is which their modes say.
    cases.sort_by_key(|(at, case)| (case.mode == Mode::Plugin, *at));
    let own = cases.iter().position(|(at, _)| *at == 0)?;
    let modules: Option<Vec<Module>> = cases.iter().map(|(_, case)| Module::of(case)).collect();
    let modules =
        modules.filter(|list| list[0].is_host() && list[1..].iter().all(Module::is_guest))?;
    let world = World { modules: &modules };
    let mut drills = Vec::new();
    for order in orders(modules.len() - 1) {
        drills.push(world.drill(&order));
    }
    drills.extend((1..modules.len()).filter_map(|guest| world.again(guest)));
    drills.extend(world.host_closed());
    let modules = cases.iter().map(|(_, case)| emit::request(case)).collect();
    // Of `case` itself the evidence tells.
    wrong.insert(0, Vec::new());
    let wrong = cases.iter().map(|(at, _)| wrong.get_mut(*at).map(mem::take).unwrap_or_default());
    Some(Stage { wrong: wrong.collect(), modules, own, drills })
}

/// More guests than this have too many orders to try them all.
const MOST: usize = 4;

/// Every order of guests 1 to `count`; of many, those that start with each, and the reverse of that.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count > MOST {
        let turned = |by: usize| (0..count).map(move |at| 1 + (at + by) % count);
        let each = (0..count).flat_map(|by| [turned(by).collect(), turned(by).rev().collect()]);
        return each.collect();
    }
    let mut list = vec![vec![]];
    for guest in 1..=count {
        list = list
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, guest);
                    longer
                })
            })
            .collect();
    }
    list
}

/// What counts of one module.
struct Module {
    mode: Mode,
    macho: bool,
    /// It finds its own symbols first.
    symbolic: bool,
    /// The number in its data, if it has any that it announces, or starts the list with.
    data: Option<usize>,
    /// The number that its functions return.
    number: usize,
    /// Names that others find.
    exports: BTreeSet<String>,
    /// Those that nobody preempts, or sees.
    protected: BTreeSet<String>,
    /// Names that somebody must have.
    wants: BTreeSet<String>,
    /// All names that mean something here.
    names: BTreeSet<String>,
    /// Bounds of sections, and where each must be.
    bounds: Vec<(&'static str, String)>,
    /// What init functions leave in the log.
    log: Vec<u8>,
    has_runtime: bool,
}

impl Module {
    /// None if it is nothing that `generate::worlds` made.
    fn of(case: &Case) -> Option<Self> {
        let objects = case.objects();
        let (number, _) = objects.first()?.name.strip_prefix('m')?.split_once('.')?;
        let own = format!("m{number}.");
        objects.iter().all(|object| object.name.starts_with(&own)).then_some(())?;
        let number = number.parse().ok()?;
        let plain = |symbol: &Symbol| plain(case, &symbol.name).to_owned();
        let symbols = objects.iter().flat_map(|object| &object.symbols);
        let defined = |symbol: &&Symbol| symbol.definition != Definition::Undefined;
        let names: BTreeSet<String> = symbols.clone().filter(defined).map(plain).collect();
        let global = symbols.clone().filter(defined).filter(|s| s.binding != Binding::Local);
        let seen =
            |s: &&Symbol| matches!(s.visibility, Visibility::Default | Visibility::Protected);
        let protected = global.clone().filter(|s| s.visibility != Visibility::Default);
        let wants = symbols.filter(|symbol| {
            symbol.definition == Definition::Undefined && symbol.binding == Binding::Global
        });
        let bound = |name: &str| ROWS.iter().any(|row| row.3.contains(&name)) || is_marker(name);
        let wants = wants.map(plain).filter(|name| !names.contains(name) && !bound(name));
        let has = |name: &str| names.contains(name);
        Some(Self {
            mode: case.mode,
            symbolic: case.mode != Mode::Plugin || case.options.contains(&Opt::Bsymbolic),
            data: (has("local.moduledata") || has(FIRST)).then_some(number),
            number,
            macho: case.target.format == Format::Macho,
            exports: global.filter(seen).map(plain).collect(),
            protected: protected.map(plain).collect(),
            wants: wants.collect(),
            log: log(case, &objects)?,
            bounds: bounds(objects[0]),
            has_runtime: has("runtime.addmoduledata") && has(FIRST) && has(LAST),
            names,
        })
    }

    fn is_host(&self) -> bool {
        self.mode != Mode::Plugin && self.has_runtime && self.number == 0
    }

    fn is_guest(&self) -> bool {
        self.mode == Mode::Plugin && !self.names.contains("runtime.addmoduledata")
    }

    /// Names behind `prefix`.
    fn of_kind<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.names.iter().filter_map(move |name| name.strip_prefix(prefix))
    }

    fn log_line(&self) -> String {
        self.log.iter().map(|number| format!("{number} ")).collect::<String>() + "."
    }
}

/// What bounds of sections `object` returns, and the expression of where each must be: what is in the section is known
/// by a name, and without anything in it start and end are one place.
fn bounds(object: &Object) -> Vec<(&'static str, String)> {
    let symbol = |name: &str| object.symbols.iter().find(|symbol| symbol.name == name);
    let mut list = Vec::new();
    for (section, _, _, [start, end]) in ROWS {
        if symbol(&format!("mark/{start}")).is_none() || symbol(&format!("mark/{end}")).is_none() {
            continue;
        }
        let name = format!("at{section}");
        match symbol(&name).map(|symbol| (symbol.definition, symbol.size)) {
            Some((Definition::Section { offset, .. }, size)) => {
                list.push((start, format!("name:{name}-{offset}")));
                list.push((end, format!("name:{name}+{size}")));
            }
            _ => list.push((end, format!("call:mark/{start}"))),
        }
    }
    list
}

/// A name as the source has it.
fn plain<'n>(case: &Case, name: &'n str) -> &'n str {
    match case.target.format {
        Format::Elf => name,
        Format::Macho => name.strip_prefix('_').unwrap_or(name),
    }
}

/// Whether the linker says where a name is: a bound of a section of a Go module.
fn is_marker(name: &str) -> bool {
    let names = MARKERS.iter().flat_map(|row| [row.0, row.1]);
    names.filter_map(|marker| marker.strip_prefix('_')).any(|marker| marker == name)
}

/// What the init functions of `objects` log when they run: `_init`, then the array, by priority, then by place.
/// What the mode adds comes before the array's entries without a priority. None if an entry is no init function.
fn log(case: &Case, objects: &[&Object]) -> Option<Vec<u8>> {
    let mut log = Vec::new();
    let defines = |name: &str| {
        let mut symbols = objects.iter().flat_map(|object| &object.symbols);
        symbols.any(|s| plain(case, &s.name) == name && s.definition != Definition::Undefined)
    };
    if defines("_init") && case.target.format == Format::Elf {
        log.push(INIT);
    }
    let mut entries = Vec::new();
    if case.mode == Mode::CShared && defines(&super::module_entry(case.target, case.goos())) {
        entries.push((u64::MAX, START));
    }
    let sections =
        objects.iter().flat_map(|object| object.sections.iter().map(move |s| (object, s)));
    for (object, section) in sections {
        let old = old_array(section).filter(|_| case.target.format == Format::Elf);
        let priority = match (old, section.name.strip_prefix(".init_array.")) {
            (Some((SectionKind::InitArray, priority)), _) => priority,
            _ if section.kind != SectionKind::InitArray => continue,
            (_, Some(number)) => number.parse().ok()?,
            _ => u64::MAX,
        };
        let numbers: Option<Vec<u8>> = section
            .relocs
            .iter()
            .map(|reloc| {
                let SymbolRef::Named(at) = reloc.symbol else { return None };
                let name = plain(case, &object.symbols.get(at)?.name);
                name.strip_prefix("init/")?.parse().ok()
            })
            .collect();
        let mut numbers = numbers?;
        if old.is_some() {
            numbers.reverse();
        }
        entries.extend(numbers.into_iter().map(|number| (priority, number)));
    }
    entries.sort_by_key(|entry| entry.0);
    log.extend(entries.into_iter().map(|entry| entry.1));
    Some(log)
}

struct World<'m> {
    modules: &'m [Module],
}

/// A drill in the making.
#[derive(Default)]
struct Drill {
    lines: Vec<Line>,
    /// What is loaded, in order.
    scope: Vec<usize>,
}

impl Drill {
    fn line(&mut self, rule: &'static str, command: String, wanted: &str) {
        self.lines.push(Line { command, wanted: wanted.to_owned(), rule, fact: None });
    }

    /// The same, of what a module's Facts have under `fact`.
    fn about(&mut self, (module, fact): (usize, Key), command: String, wanted: &str) {
        self.line("init functions", command, wanted);
        if let Some(line) = self.lines.last_mut() {
            line.fact = Some((module, fact));
        }
    }
}

impl World<'_> {
    /// Who defines what `module` calls `name`; `scope` has what was loaded before it.
    fn provider(&self, module: usize, name: &str, scope: &[usize]) -> Option<usize> {
        let has = |at: &usize| self.modules[*at].exports.contains(name);
        let hidden = self.modules[module].protected.contains(name);
        let own = (hidden || has(&module)).then_some(module);
        let first = || scope.iter().copied().find(|at| has(at)).or(own);
        let it = &self.modules[module];
        match own {
            Some(own) if it.symbolic || it.protected.contains(name) => Some(own),
            _ => first(),
        }
    }

    /// Loads the host.
    fn start(&self) -> Drill {
        let mut drill = Drill::default();
        self.load(&mut drill, 0);
        drill
    }

    /// Loads `module`; whether that works.
    fn load(&self, drill: &mut Drill, module: usize) -> bool {
        let it = &self.modules[module];
        let mut wants = it.wants.iter();
        let works = wants.all(|name| self.provider(module, name, &drill.scope).is_some());
        let from = if it.mode.is_library() { format!("./module.{module}") } else { "-".into() };
        let answer = if works { "loaded" } else { "fail" };
        drill.line("load", format!("load {module} {from}"), answer);
        if works && !drill.scope.contains(&module) {
            drill.scope.push(module);
        }
        self.list(drill);
        // An executable's own run when it starts: it never does here, but for Mach-O, where it is loaded like others.
        if works && (it.macho || it.mode.is_library()) && it.names.contains("log") {
            let fact = Key::new(Family::Init, "log");
            drill.about((module, fact), format!("log {module} call:log"), &it.log_line());
        }
        works
    }

    /// The list of modules.
    fn list(&self, drill: &mut Drill) {
        let numbers = drill.scope.iter().filter_map(|at| self.modules[*at].data);
        let text: String = numbers.map(|number| format!("{number} ")).collect();
        drill.line("module list", format!("list {FIRST} {LAST}"), &(text + "."));
    }

    /// Loads guests in this order, then again; looks at all of them each time.
    fn drill(&self, order: &[usize]) -> Vec<Line> {
        let mut drill = self.start();
        let mut bound = vec![(0, vec![])];
        self.look(&mut drill, &bound);
        // What can't be loaded may be once others are there.
        for &guest in order.iter().chain(order) {
            let before = drill.scope.clone();
            let new = self.load(&mut drill, guest) && !before.contains(&guest);
            if new {
                bound.push((guest, before));
            }
        }
        self.look(&mut drill, &bound);
        drill.lines
    }

    /// What everybody refers to, by what was there when it was loaded.
    fn look(&self, drill: &mut Drill, bound: &[(usize, Vec<usize>)]) {
        for (module, scope) in bound {
            let it = &self.modules[*module];
            for (prefix, how) in [("got/", "call"), ("ptr/", "word")] {
                for name in it.of_kind(prefix) {
                    let (to, expression) = match self.provider(*module, name, scope) {
                        Some(to) => (to, format!("name:{name}")),
                        None => (0, "null".to_owned()),
                    };
                    let command = format!("same {module} {how}:{prefix}{name} {to} {expression}");
                    drill.line("one copy", command, "same");
                }
            }
            for (name, place) in &it.bounds {
                let command = format!("same {module} call:mark/{name} {module} {place}");
                drill.line("section bounds", command, "same");
            }
            for name in it.of_kind("own/") {
                let wanted = value(it.number, name).to_string();
                drill.line("own functions", format!("value {module} call:own/{name}"), &wanted);
            }
            for name in it.of_kind("plt/") {
                let Some(to) = self.provider(*module, name, scope) else { continue };
                let wanted = value(self.modules[to].number, name).to_string();
                drill.line("calls", format!("value {module} call:plt/{name}"), &wanted);
            }
        }
    }

    /// Loads, unloads and loads `guest`, if it is one that can be: nobody has its data in a list.
    fn again(&self, guest: usize) -> Option<Vec<Line>> {
        let it = &self.modules[guest];
        let mut drill = self.start();
        if it.data.is_some() || !self.load(&mut drill, guest) {
            return None;
        }
        drill.line("unload", format!("unload {guest}"), "gone");
        drill.scope.retain(|at| *at != guest);
        self.list(&mut drill);
        self.load(&mut drill, guest);
        self.look(&mut drill, &[(guest, vec![0])]);
        Some(drill.lines)
    }

    /// A c-shared library is closed, and stays as it is.
    fn host_closed(&self) -> Option<Vec<Line>> {
        let stays = self.modules[0].mode == Mode::CShared && !self.modules[0].macho;
        stays.then_some(())?;
        let mut drill = self.start();
        drill.line("unload", "unload 0".to_owned(), "stays");
        self.load(&mut drill, 0);
        for guest in 1..self.modules.len() {
            self.load(&mut drill, guest);
        }
        Some(drill.lines)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::orders;

    #[test]
    fn orders_are_all_of_few_guests_and_some_of_many() {
        let counts: Vec<usize> = (0..7).map(|count| orders(count).len()).collect();
        assert_eq!(counts, [1, 1, 2, 6, 24, 10, 12]);
        for order in orders(6) {
            assert_eq!(order.into_iter().collect::<BTreeSet<_>>(), (1..=6).collect());
        }
    }
}
