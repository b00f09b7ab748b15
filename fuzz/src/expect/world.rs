//! The case as a link sees it: options as switches, objects in order, names, which archive members
//! take part.
//!
//! It must not know which definition wins, nor what a relocation is.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};
use scold_diff::Mode;

use crate::case::{
    Archive, Binding, Case, Definition, DefsymValue, Input, Library, LibraryDefinition, Object,
    Opt, Symbol,
};
use crate::machine::{self, Machine};

/// The options as switches.
#[derive(Default, Debug)]
pub(crate) struct Switches<'c> {
    pub(crate) library: bool,
    /// The image can be loaded anywhere.
    pub(crate) pic: bool,
    /// Names bound sections: a mode is asked for.
    pub(crate) marks: bool,
    pub(crate) symbolic: bool,
    pub(crate) symbolic_functions: bool,
    pub(crate) export_dynamic: bool,
    pub(crate) gc: bool,
    pub(crate) defs: bool,
    pub(crate) now: bool,
    pub(crate) nodelete: bool,
    pub(crate) as_needed: bool,
    /// R_ARM_TARGET1 is a distance.
    pub(crate) target1_relative: bool,
    pub(crate) soname: Option<&'c str>,
    pub(crate) entry: Option<&'c str>,
    pub(crate) undefined: Vec<&'c str>,
    pub(crate) dynamic_list: Option<Vec<&'c str>>,
    pub(crate) wrap: Vec<&'c str>,
    pub(crate) defsym: Vec<(&'c str, &'c DefsymValue)>,
}

impl<'c> Switches<'c> {
    fn new(case: &'c Case) -> Self {
        let library = case.mode.is_library();
        let mut on = Self {
            library,
            pic: case.mode != Mode::Exe,
            marks: case.mode != Mode::Shared,
            symbolic: case.mode == Mode::CShared,
            nodelete: case.mode == Mode::CShared,
            now: case.mode == Mode::Plugin,
            ..Self::default()
        };
        for option in &case.options {
            match option {
                // The last of the two counts (bfd, lld).
                Opt::Bsymbolic => (on.symbolic, on.symbolic_functions) = (true, false),
                Opt::BsymbolicFunctions => (on.symbolic, on.symbolic_functions) = (false, true),
                Opt::ExportDynamic => on.export_dynamic = true,
                Opt::GcSections => on.gc = true,
                Opt::Now => on.now = true,
                Opt::Nodelete => on.nodelete = true,
                Opt::Defs => on.defs = true,
                Opt::AsNeeded => on.as_needed = true,
                Opt::Target1Relative(relative) => on.target1_relative = *relative,
                Opt::Soname(name) => on.soname = Some(name),
                Opt::Entry(name) => on.entry = Some(name),
                Opt::Undefined(name) => on.undefined.push(name),
                Opt::Wrap(name) => on.wrap.push(name),
                Opt::Defsym(name, value) => on.defsym.push((name, value)),
                Opt::DynamicList(names) => {
                    on.dynamic_list.get_or_insert_default().extend(names.iter().map(|n| &**n));
                }
                Opt::NoRelax
                | Opt::PackRelativeRelocs
                | Opt::HashStyle(_)
                | Opt::O2
                | Opt::Android => {}
                other => unreachable!("{other:?} is an option of Mach-O's linkers"),
            }
        }
        on
    }
}

/// A symbol's name taken apart: `foo`, `foo@V` (hidden), `foo@@V` (default).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Name<'c> {
    pub(crate) base: &'c str,
    pub(crate) version: Option<&'c str>,
    pub(crate) default: bool,
}

impl<'c> Name<'c> {
    pub(crate) fn parse(text: &'c str) -> Self {
        match text.split_once('@') {
            None => Self { base: text, version: None, default: true },
            Some((base, rest)) => match rest.strip_prefix('@') {
                Some(version) => Self { base, version: Some(version), default: true },
                None => Self { base, version: Some(rest), default: false },
            },
        }
    }

    /// The version it is written with, and whether it is the default one.
    pub(crate) fn written(self) -> Option<(&'c str, bool)> {
        self.version.map(|version| (version, self.default))
    }

    /// What references to it look for: a default version answers to the plain name.
    pub(crate) fn key(self) -> (&'c str, Option<&'c str>) {
        (self.base, if self.default { None } else { self.version })
    }
}

/// A relocatable object of the case.
#[derive(Debug)]
pub(crate) struct File<'c> {
    pub(crate) object: &'c Object,
    /// The archive it is in.
    pub(crate) archive: Option<&'c Archive>,
    /// Takes part in the link.
    pub(crate) loaded: bool,
}

impl File<'_> {
    /// `a.o` or `lib.a(m.o)`.
    pub(crate) fn name(&self) -> String {
        match self.archive {
            Some(archive) => format!("{}({})", archive.name, self.object.name),
            None => self.object.name.clone(),
        }
    }
}

/// What an input of the command line holds, by index into the lists of [`World`].
#[derive(Clone, Copy, Debug)]
enum Step {
    Object(usize),
    /// Archives searched together until nothing more is needed: files `.0..e`.
    Search(usize, usize),
    Library(usize),
}

/// The case as a link sees it.
#[derive(Debug)]
pub(crate) struct World<'c> {
    pub(crate) machine: &'static Machine,
    pub(crate) on: Switches<'c>,
    /// Objects and archive members in command-line order.
    pub(crate) files: Vec<File<'c>>,
    pub(crate) libraries: Vec<&'c Library>,
    steps: Vec<Step>,
    /// Searching archives once from left to right takes other members than searching them all.
    pub(crate) order_matters: bool,
}

impl<'c> World<'c> {
    pub(crate) fn new(case: &'c Case) -> Self {
        let on = Switches::new(case);
        let mut world = Self {
            machine: machine::of(case.target.arch),
            on,
            files: Vec::new(),
            libraries: Vec::new(),
            steps: Vec::new(),
            order_matters: false,
        };
        for input in &case.inputs {
            match input {
                Input::Object(object) => {
                    world.steps.push(Step::Object(world.files.len()));
                    world.files.push(File { object, archive: None, loaded: true });
                }
                Input::Library(library) => {
                    world.steps.push(Step::Library(world.libraries.len()));
                    world.libraries.push(library);
                }
                Input::Archive(archive) => world.add_archives(std::slice::from_ref(archive)),
                Input::Group(archives) => world.add_archives(archives),
            }
        }
        if world.files.iter().any(|file| !file.loaded) {
            world.extract();
        }
        world
    }

    fn add_archives(&mut self, archives: &'c [Archive]) {
        let start = self.files.len();
        for archive in archives {
            for object in &archive.members {
                if archive.whole {
                    self.steps.push(Step::Object(self.files.len()));
                }
                self.files.push(File { object, archive: Some(archive), loaded: archive.whole });
            }
        }
        self.steps.push(Step::Search(start, self.files.len()));
    }

    /// The name that a mention stands for once `--wrap` is applied: undefined mentions only.
    pub(crate) fn mentioned(&self, symbol: &'c Symbol) -> Mention<'c> {
        let name = Name::parse(&symbol.name);
        if symbol.definition == Definition::Undefined && !self.on.wrap.is_empty() {
            if self.on.wrap.contains(&name.base) {
                return Mention::Wrapped(format!("__wrap_{}", name.base));
            }
            if let Some(real) = name.base.strip_prefix("__real_")
                && self.on.wrap.contains(&real)
            {
                return Mention::Plain(Name { base: real, ..name });
            }
        }
        Mention::Plain(name)
    }

    /// The strong undefined names of a file, `--wrap` applied.
    fn wants(&self, file: usize) -> Vec<Cow<'c, str>> {
        let object = self.files[file].object;
        let undefined = |s: &&Symbol| {
            s.definition == Definition::Undefined
                && matches!(s.binding, Binding::Global | Binding::Unique)
        };
        object.symbols.iter().filter(undefined).map(|s| self.mentioned(s).text()).collect()
    }

    /// Marks the archive members that strong references need, to a fixpoint over all archives.
    fn extract(&mut self) {
        let lazy = self.extract_from_all();
        self.order_matters = lazy != self.extract_left_to_right();
        for (file, loaded) in self.files.iter_mut().zip(lazy) {
            file.loaded = loaded;
        }
    }

    fn extract_from_all(&self) -> Vec<bool> {
        let mut loaded: Vec<bool> = self.files.iter().map(|file| file.loaded).collect();
        let mut providers: FxHashMap<Cow<'_, str>, Option<usize>> = FxHashMap::default();
        for step in &self.steps {
            match *step {
                Step::Library(library) => {
                    for name in library_definitions(self.libraries[library]) {
                        providers.entry(name).or_insert(None);
                    }
                }
                Step::Search(start, end) => {
                    for file in start..end {
                        for name in definitions(self.files[file].object) {
                            providers.entry(name).or_insert(Some(file));
                        }
                    }
                }
                Step::Object(_) => {}
            }
        }
        let mut defined = FxHashSet::default();
        let mut queue: Vec<usize> = (0..loaded.len()).filter(|&i| loaded[i]).collect();
        for &file in &queue {
            defined.extend(definitions(self.files[file].object));
        }
        let mut wanted = self.first_wants();
        while !queue.is_empty() || !wanted.is_empty() {
            for file in queue.drain(..) {
                wanted.extend(self.wants(file));
            }
            for name in std::mem::take(&mut wanted) {
                if defined.contains(&name) {
                    continue;
                }
                if let Some(&Some(file)) = providers.get(&name)
                    && !loaded[file]
                {
                    loaded[file] = true;
                    defined.extend(definitions(self.files[file].object));
                    queue.push(file);
                }
            }
        }
        loaded
    }

    fn extract_left_to_right(&self) -> Vec<bool> {
        let mut loaded: Vec<bool> = vec![false; self.files.len()];
        let mut defined: FxHashSet<Cow<'_, str>> = FxHashSet::default();
        let mut wanted: Vec<Cow<'_, str>> = self.named().map(Cow::Borrowed).collect();
        for step in &self.steps {
            match *step {
                Step::Object(file) => {
                    loaded[file] = true;
                    defined.extend(definitions(self.files[file].object));
                    wanted.extend(self.wants(file));
                }
                Step::Library(library) => {
                    let library = self.libraries[library];
                    defined.extend(library_definitions(library));
                    wanted.extend(library_wants(library).map(Cow::Borrowed));
                }
                Step::Search(start, end) => loop {
                    let needed = (start..end).find(|&file| {
                        !loaded[file]
                            && definitions(self.files[file].object)
                                .any(|name| !defined.contains(&name) && wanted.contains(&name))
                    });
                    let Some(file) = needed else { break };
                    loaded[file] = true;
                    defined.extend(definitions(self.files[file].object));
                    wanted.extend(self.wants(file));
                },
            }
        }
        loaded
    }

    /// The names that the command line wants: `-u`, `-e`, what a `--defsym` stands for.
    fn named(&self) -> impl Iterator<Item = &'c str> {
        let aliased = self.on.defsym.iter().filter_map(|(_, value)| match value {
            DefsymValue::Symbol(name) => Some(&**name),
            DefsymValue::Number(_) => None,
        });
        self.on.undefined.iter().chain(&self.on.entry).copied().chain(aliased)
    }

    /// What the command line and the libraries want.
    fn first_wants(&self) -> Vec<Cow<'c, str>> {
        let mut list: Vec<Cow<'c, str>> = self.named().map(Cow::Borrowed).collect();
        for library in &self.libraries {
            list.extend(library_wants(library).map(Cow::Borrowed));
        }
        list
    }
}

/// A name with `--wrap` applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mention<'c> {
    Plain(Name<'c>),
    Wrapped(String),
}

impl<'c> Mention<'c> {
    /// What has to be looked for: `foo`, or `foo@V` for a hidden version.
    fn text(self) -> Cow<'c, str> {
        match self {
            Self::Plain(Name { base, version: Some(version), default: false }) => {
                format!("{base}@{version}").into()
            }
            Self::Plain(name) => name.base.into(),
            Self::Wrapped(name) => name.into(),
        }
    }
}

/// The global names an object answers to, commons included: `foo@@V` to both `foo` and `foo@V`,
/// `foo@V` only to those who ask for it.
fn definitions(object: &Object) -> impl Iterator<Item = Cow<'_, str>> {
    object
        .symbols
        .iter()
        .filter(|s| s.binding != Binding::Local && s.definition != Definition::Undefined)
        .flat_map(|s| {
            let name = Name::parse(&s.name);
            answers(name.base, name.written())
        })
}

fn library_definitions(library: &Library) -> impl Iterator<Item = Cow<'_, str>> {
    library
        .symbols
        .iter()
        .filter(|s| s.defined != LibraryDefinition::Undefined)
        .flat_map(|s| answers(&s.name, s.version.as_ref().map(|(v, default)| (&**v, *default))))
}

fn answers<'n>(
    base: &'n str,
    version: Option<(&str, bool)>,
) -> impl Iterator<Item = Cow<'n, str>> + use<'n> {
    let plain = version.is_none_or(|(_, default)| default).then_some(Cow::Borrowed(base));
    let full = version.map(|(version, _)| Cow::Owned(format!("{base}@{version}")));
    plain.into_iter().chain(full)
}

fn library_wants(library: &Library) -> impl Iterator<Item = &str> {
    library
        .symbols
        .iter()
        .filter(|s| s.defined == LibraryDefinition::Undefined && s.binding != Binding::Weak)
        .map(|s| &*s.name)
}
