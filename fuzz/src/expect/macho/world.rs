//! The case as ld64 sees it: options as switches, files in link order, which archive members take part.
//!
//! It must not know which definition wins, nor what a relocation is.

use rustc_hash::{FxHashMap, FxHashSet};
use scold_diff::Mode;
use scold_diff::request::Arch;

use crate::case::{
    Archive, Binding, Case, Definition, Input, Library, LibraryDefinition, Object, Opt,
};
use crate::machine::macho::{self, Machine};

/// The library that every link ends with: what it has, and its install name.
pub(super) const SYSTEM: &str = "/usr/lib/libSystem.B.dylib";
/// What [`SYSTEM`] exports.
const SYSTEM_NAMES: [&str; 2] = ["dyld_stub_binder", "__tlv_bootstrap"];

/// The options as switches.
#[derive(Debug)]
pub(super) struct Switches<'c> {
    /// A library or a bundle.
    pub(super) library: bool,
    /// It has an install name.
    pub(super) dylib: bool,
    pub(super) flat: bool,
    pub(super) chained: bool,
    pub(super) dead_strip: bool,
    pub(super) needed_only: bool,
    pub(super) dynamic_lookup: bool,
    pub(super) allowed: Vec<&'c str>,
    pub(super) exported: Option<Vec<&'c str>>,
    pub(super) unexported: Vec<&'c str>,
    pub(super) install_name: &'c str,
    pub(super) entry: &'c str,
    pub(super) undefined: Vec<&'c str>,
}

impl<'c> Switches<'c> {
    fn new(case: &'c Case) -> Self {
        let mut on = Self {
            library: case.mode.is_library(),
            dylib: matches!(case.mode, Mode::CShared | Mode::Plugin),
            flat: case.mode == Mode::Plugin,
            chained: false,
            dead_strip: false,
            needed_only: false,
            dynamic_lookup: false,
            allowed: Vec::new(),
            exported: None,
            unexported: Vec::new(),
            install_name: "@rpath/scold.dylib",
            entry: "_main",
            undefined: Vec::new(),
        };
        let (mut asked, mut min) = (None, 13);
        for option in &case.options {
            match option {
                Opt::FixupChains(chained) => asked = Some(*chained),
                Opt::MinOs(version) => min = *version,
                Opt::DynamicLookup => on.dynamic_lookup = true,
                Opt::MayBeUndefined(name) => on.allowed.push(name),
                Opt::Exported(name) => on.exported.get_or_insert_default().push(name),
                Opt::Unexported(name) => on.unexported.push(name),
                Opt::GcSections => on.dead_strip = true,
                Opt::AsNeeded => on.needed_only = true,
                Opt::Soname(name) => on.install_name = name,
                Opt::Entry(name) => on.entry = name,
                Opt::Undefined(name) => on.undefined.push(name),
                // What only ELF's linkers have says nothing here.
                _ => {}
            }
        }
        let oldest = if !on.library && case.target.arch == Arch::Amd64 { 13 } else { 12 };
        let usual = min >= oldest && (on.flat || !on.dynamic_lookup);
        on.chained = asked.unwrap_or(usual);
        on
    }
}

/// A relocatable object of the case.
#[derive(Debug)]
pub(super) struct File<'c> {
    pub(super) object: &'c Object,
    /// The archive it is in.
    pub(super) archive: Option<&'c Archive>,
    /// Takes part in the link.
    pub(super) loaded: bool,
}

impl File<'_> {
    /// `a.o` or `lib.a(m.o)`.
    pub(super) fn name(&self) -> String {
        match self.archive {
            Some(archive) => format!("{}({})", archive.name, self.object.name),
            None => self.object.name.clone(),
        }
    }
}

/// Who answers to a name that no object of the command line defines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Offer {
    /// That symbol of that library.
    Library { library: usize, symbol: usize },
    /// [`SYSTEM`].
    System,
    /// That file, which is a member of an archive.
    Member(usize),
}

/// The case as a link sees it.
#[derive(Debug)]
pub(super) struct World<'c> {
    pub(super) machine: &'static Machine,
    pub(super) on: Switches<'c>,
    /// Objects and archive members in command-line order.
    pub(super) files: Vec<File<'c>>,
    pub(super) libraries: Vec<&'c Library>,
    /// Files of the link: those of the command line, then members as they are needed.
    pub(super) order: Vec<usize>,
    /// The first on the command line that has a name, archive or library alike.
    pub(super) offers: FxHashMap<&'c str, Offer>,
    /// Linkers may take other members, or other libraries' definitions.
    pub(super) order_matters: Option<&'static str>,
}

impl<'c> World<'c> {
    pub(super) fn new(case: &'c Case) -> Self {
        let mut world = Self {
            machine: macho::of(case.target.arch),
            on: Switches::new(case),
            files: Vec::new(),
            libraries: Vec::new(),
            order: Vec::new(),
            offers: FxHashMap::default(),
            order_matters: None,
        };
        for input in &case.inputs {
            match input {
                Input::Object(object) => {
                    world.order.push(world.files.len());
                    world.files.push(File { object, archive: None, loaded: true });
                }
                Input::Library(library) => world.add_library(library),
                Input::Archive(archive) => world.add_archive(archive),
                Input::Group(archives) => archives.iter().for_each(|a| world.add_archive(a)),
            }
        }
        for name in SYSTEM_NAMES {
            world.offers.entry(name).or_insert(Offer::System);
        }
        world.extract();
        world
    }

    fn add_library(&mut self, library: &'c Library) {
        let number = self.libraries.len();
        self.libraries.push(library);
        for (symbol, it) in library.symbols.iter().enumerate() {
            if it.defined == LibraryDefinition::Undefined {
                continue;
            }
            let offer = Offer::Library { library: number, symbol };
            let first = *self.offers.entry(&it.name).or_insert(offer);
            if first != offer && self.is_weak(first) {
                self.order_matters = Some("a later definition than a library's weak one");
            }
        }
    }

    fn add_archive(&mut self, archive: &'c Archive) {
        for object in &archive.members {
            let file = self.files.len();
            self.files.push(File { object, archive: Some(archive), loaded: archive.whole });
            if archive.whole {
                self.order.push(file);
                continue;
            }
            // Indexes of archives list commons, too.
            for name in names(object, |d| d != Definition::Undefined) {
                let first = *self.offers.entry(name).or_insert(Offer::Member(file));
                if first != Offer::Member(file) && self.is_weak(first) {
                    self.order_matters = Some("a later definition than a library's weak one");
                }
            }
        }
    }

    /// Whether it is a library's weak definition.
    pub(super) fn is_weak(&self, offer: Offer) -> bool {
        match offer {
            Offer::Library { library, symbol } => {
                self.libraries[library].symbols[symbol].binding == Binding::Weak
            }
            _ => false,
        }
    }

    /// Loads the archive members that are needed, and theirs.
    fn extract(&mut self) {
        let mut defined: FxHashSet<&str> = FxHashSet::default();
        let mut commons: FxHashSet<&str> = FxHashSet::default();
        let mut wanted: Vec<&'c str> = self.on.undefined.clone();
        wanted.extend((!self.on.library).then_some(self.on.entry));
        let mut at = 0;
        loop {
            for &file in &self.order[at..] {
                let object = self.files[file].object;
                defined.extend(definitions(object));
                commons.extend(names(object, |d| matches!(d, Definition::Common { .. })));
                wanted.extend(names(object, |d| !matches!(d, Definition::Section { .. })));
            }
            at = self.order.len();
            let needed = wanted.iter().find_map(|name| match self.offers.get(name) {
                Some(&Offer::Member(file)) if !self.files[file].loaded => {
                    let object = self.files[file].object;
                    // A common symbol is enough, but gives way to a definition.
                    let known = defined.contains(name)
                        || (commons.contains(name) && definitions(object).all(|n| n != *name));
                    (!known).then_some((file, *name))
                }
                _ => None,
            });
            let Some((file, name)) = needed else { break };
            if commons.contains(name) {
                self.order_matters = Some("a common symbol against an archive's definition");
            }
            self.files[file].loaded = true;
            self.order.push(file);
        }
        self.check_order(&wanted);
    }

    /// A linker that takes members as soon as they are wanted may take more of them.
    fn check_order(&mut self, wanted: &[&str]) {
        for name in wanted {
            if let Some(&Offer::Member(file)) = self.offers.get(name)
                && !self.files[file].loaded
                && !self.defines_before(name)
            {
                self.order_matters = Some("a member is needed until a later object comes");
            }
        }
    }

    /// Whether no object of the command line refers to `name` and leaves it to another.
    fn defines_before(&self, name: &str) -> bool {
        let plain = self.order.iter().filter(|&&file| self.files[file].archive.is_none());
        let mut objects = plain.map(|&file| self.files[file].object);
        !objects.any(|object| {
            names(object, |d| d == Definition::Undefined).any(|mention| mention == name)
        })
    }
}

/// The global names an object defines; commons are none.
fn definitions(object: &Object) -> impl Iterator<Item = &str> {
    names(object, |d| matches!(d, Definition::Section { .. } | Definition::Absolute(_)))
}

fn names(object: &Object, which: impl Fn(Definition) -> bool) -> impl Iterator<Item = &str> {
    let global = object.symbols.iter().filter(|s| s.binding != Binding::Local);
    global.filter(move |s| which(s.definition)).map(|s| &*s.name)
}
