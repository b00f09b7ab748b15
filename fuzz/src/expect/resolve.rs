//! Resolution: for every name, which definition wins, and what all mentions together ask of it.
//!
//! Spec: gABI chapter 4 (symbol table, COMDAT groups), with the practice that linkers share: strong,
//! then common, then weak definitions of objects, then the first library's. What they don't share is
//! opened. It must not know what a relocation is.

mod mentions;
mod winners;

pub(crate) use winners::is_identifier;

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};
use scold_diff::expectation::Open;
use scold_diff::model::ErrorClass;
use scold_diff::{Family, Key};

use super::world::World;
use crate::case::{Binding, Section, SectionKind, Symbol, SymbolKind, SymbolRef, Visibility};

/// What became of an input section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// In the output.
    Live,
    /// In a COMDAT group that lost.
    Discarded,
    /// SHF_EXCLUDE.
    Excluded,
    /// Collected by `--gc-sections`.
    Dead,
}

/// Where the winning definition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Winner {
    /// Nowhere.
    Undefined,
    /// `files[file].object.symbols[symbol]`.
    Object { file: usize, symbol: usize },
    /// A common symbol of that file.
    Common { file: usize, symbol: usize, align: u64 },
    /// `libraries[library].symbols[symbol]`.
    Library { library: usize, symbol: usize },
    /// `--defsym` to a number.
    Number(u64),
    /// `--defsym` to another symbol.
    Alias(usize),
    /// A name that the linker makes.
    Linker,
}

/// A global name of the link.
#[derive(Clone, Debug)]
pub(crate) struct Sym<'c> {
    pub(crate) name: Cow<'c, str>,
    /// The hidden version asked for.
    pub(crate) wanted: Option<&'c str>,
    /// The version that the winning definition carries in its own name, and whether it is default.
    pub(crate) version: Option<(&'c str, bool)>,
    pub(crate) winner: Winner,
    /// An object mentions it (a discarded or unloaded one doesn't count).
    pub(crate) in_objects: bool,
    /// The last mention in an object said STT_TLS.
    pub(crate) tls: bool,
    /// A library defines or needs it.
    pub(crate) in_libraries: bool,
    /// Some object refers to it without STB_WEAK.
    pub(crate) strong_ref: bool,
    /// Some object refers to it.
    pub(crate) referenced: bool,
    /// The most constraining of all mentions in objects.
    pub(crate) visibility: Visibility,
    /// The winner's.
    pub(crate) kind: SymbolKind,
    /// The winner's.
    pub(crate) binding: Binding,
    /// The winner's; the largest of commons.
    pub(crate) size: u64,
}

/// What is found wrong or left open on the way.
#[derive(Default, Debug)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<ErrorClass>,
    pub(crate) may: Vec<ErrorClass>,
    pub(crate) open: Vec<Open>,
    /// Names whose references are open too: the reason, and whether it is policy.
    pub(crate) unclear: FxHashMap<Box<str>, (&'static str, bool)>,
}

impl Findings {
    pub(crate) fn error(&mut self, class: ErrorClass) {
        if !self.errors.contains(&class) {
            self.errors.push(class);
        }
    }

    pub(crate) fn may(&mut self, class: ErrorClass) {
        if !self.may.contains(&class) {
            self.may.push(class);
        }
    }

    /// Leaves one key open.
    pub(crate) fn open(&mut self, family: Family, rest: impl Into<Box<str>>, reason: &'static str) {
        self.open.push(Open { family: Some(family), rest: rest.into(), reason, policy: false });
    }

    /// Leaves one key to the linker's policy.
    pub(crate) fn policy(&mut self, key: Key, reason: &'static str) {
        self.open.push(Open { family: Some(key.family), rest: key.rest, reason, policy: true });
    }

    /// Leaves what an unusual relocation does open, or to the linker's policy: its place, the bytes
    /// around it (a relaxation may have changed them), whether it is refused.
    pub(crate) fn place(&mut self, section: &str, offset: u64, reason: &'static str, policy: bool) {
        let site = format!("{section}+{offset:#x}");
        let mut add = |family, rest: &str| {
            self.open.push(Open { family: Some(family), rest: rest.into(), reason, policy });
        };
        add(Family::Error, "");
        add(Family::Site, &site);
        add(Family::Bytes, section);
    }

    /// Leaves what becomes of a name open, or to the linker's policy: how it is exported, imported and
    /// found, what refers to it, what that needs. Sections, permissions, arrays, unwinding stay.
    pub(crate) fn name(&mut self, name: &str, reason: &'static str, policy: bool) {
        let tail = format!("{name}@*");
        let mut add = |family, rest: &str| {
            self.open.push(Open { family: Some(family), rest: rest.into(), reason, policy });
        };
        for family in [Family::Export, Family::Import] {
            add(family, name);
            add(family, &tail);
        }
        add(Family::Lookup, name);
        use Family::{Dynamic, Entry, Error, Needed, Tls};
        for family in [Dynamic, Entry, Error, Needed, Tls] {
            add(family, "*");
        }
        self.unclear.entry(name.into()).or_insert((reason, policy));
    }

    /// Leaves whole families open, or to the linker's policy.
    pub(crate) fn families(&mut self, list: &[Family], reason: &'static str, policy: bool) {
        for family in list {
            self.open.push(Open { family: Some(*family), rest: "*".into(), reason, policy });
        }
    }

    /// Leaves everything open, or to the linker's policy.
    pub(crate) fn everything(&mut self, reason: &'static str, policy: bool) {
        self.open.push(Open { family: None, rest: "*".into(), reason, policy });
    }
}

/// The link after resolution.
#[derive(Debug)]
pub(crate) struct Link<'c> {
    pub(crate) world: World<'c>,
    pub(crate) syms: Vec<Sym<'c>>,
    /// Per file, per symbol: index into `syms`; locals have [`LOCAL`].
    pub(crate) ids: Vec<Vec<usize>>,
    /// Per file, per section.
    pub(crate) fates: Vec<Vec<Fate>>,
    pub(crate) findings: Findings,
    names: FxHashMap<(Cow<'c, str>, Option<&'c str>), usize>,
}

/// The id of a local symbol.
pub(crate) const LOCAL: usize = usize::MAX;

impl<'c> Link<'c> {
    pub(crate) fn resolve(world: World<'c>) -> Self {
        let mut link = Self {
            ids: Vec::with_capacity(world.files.len()),
            fates: Vec::with_capacity(world.files.len()),
            syms: Vec::new(),
            findings: Findings::default(),
            names: FxHashMap::default(),
            world,
        };
        if link.world.order_matters {
            link.findings.everything("archives searched in order or all at once", true);
        }
        link.decide_fates();
        link.mention_all();
        link.mention_libraries();
        link.apply_defsyms();
        link.pick_winners();
        link
    }

    pub(crate) fn section(&self, file: usize, section: usize) -> &'c Section {
        &self.world.files[file].object.sections[section]
    }

    pub(crate) fn symbol(&self, file: usize, symbol: usize) -> &'c Symbol {
        &self.world.files[file].object.symbols[symbol]
    }

    /// The symbol with that plain name, if anything mentions it.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(&(Cow::Borrowed(name), None)).copied()
    }

    /// Indexes of the files that take part.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = usize> + use<'c> {
        let list: Vec<usize> =
            (0..self.world.files.len()).filter(|&i| self.world.files[i].loaded).collect();
        list.into_iter()
    }

    fn decide_fates(&mut self) {
        let mut groups = FxHashSet::default();
        let mut linkonce = FxHashSet::default();
        for file in &self.world.files {
            let object = file.object;
            let mut fates: Vec<Fate> = object
                .sections
                .iter()
                .map(|s| if s.flags.exclude { Fate::Excluded } else { Fate::Live })
                .collect();
            if file.loaded {
                for group in object.groups.iter().filter(|g| g.comdat) {
                    if !groups.insert(&*group.signature) {
                        for &member in &group.members {
                            fates[member] = Fate::Discarded;
                        }
                    }
                }
                for (section, fate) in object.sections.iter().zip(&mut fates) {
                    if section.name.starts_with(".gnu.linkonce.")
                        && !linkonce.insert(&*section.name)
                    {
                        *fate = Fate::Discarded;
                    }
                }
            }
            self.fates.push(fates);
        }
    }

    fn intern(&mut self, name: Cow<'c, str>, wanted: Option<&'c str>) -> usize {
        if let Some(&id) = self.names.get(&(Cow::Borrowed(&*name), wanted)) {
            return id;
        }
        let id = self.syms.len();
        self.names.insert((name.clone(), wanted), id);
        self.syms.push(Sym {
            name,
            wanted,
            version: None,
            winner: Winner::Undefined,
            in_objects: false,
            tls: false,
            in_libraries: false,
            strong_ref: false,
            referenced: false,
            visibility: Visibility::Default,
            kind: SymbolKind::Notype,
            binding: Binding::Global,
            size: 0,
        });
        id
    }

    /// What a relocation's symbol stands for, aliases followed.
    pub(crate) fn target(&self, file: usize, symbol: SymbolRef) -> Target {
        match symbol {
            SymbolRef::Null => Target::Null,
            SymbolRef::Section(section) => Target::Section { file, section },
            SymbolRef::Named(symbol) => match self.ids[file][symbol] {
                LOCAL => Target::Local { file, symbol },
                id if self.syms[id].wanted.is_some() => Target::Global(self.follow(id)),
                id => Target::Global(id),
            },
        }
    }

    /// Whether libraries define this name only in versions that are not default ones.
    pub(crate) fn is_hidden_version_only(&self, id: usize) -> bool {
        let name = &self.syms[id].name;
        let symbols = self.world.libraries.iter().flat_map(|library| &library.symbols);
        let mut same = symbols.filter(|symbol| *symbol.name == **name).peekable();
        same.peek().is_some() && same.all(|s| matches!(s.version, Some((_, false))))
    }

    /// The symbol at the end of a chain of aliases.
    pub(crate) fn follow(&self, mut id: usize) -> usize {
        for _ in 0..8 {
            match self.syms[id].winner {
                Winner::Alias(next) => id = next,
                _ => break,
            }
        }
        id
    }
}

/// What a relocation's symbol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    Null,
    Section { file: usize, section: usize },
    Local { file: usize, symbol: usize },
    Global(usize),
}

/// Whether a section holds unwind records: by name, whatever its type.
pub(crate) fn unwinds(section: &Section) -> bool {
    section.kind == SectionKind::EhFrame || section.name == ".eh_frame"
}

/// Whether a section is one whose contents the linker takes apart: no site, bytes or perm facts.
pub(crate) fn is_taken_apart(section: &Section) -> bool {
    use SectionKind::{FiniArray, InitArray, PreinitArray};
    section.flags.merge
        || unwinds(section)
        || matches!(section.kind, InitArray | FiniArray | PreinitArray)
        || old_array(section).is_some()
}

/// What older compilers have for arrays of functions: which array its words join, from the last to the first, and with
/// what priority.
///
/// Spec: the system's linker scripts; GCC's `collect2`, where numbers count down from 65535.
pub(crate) fn old_array(section: &Section) -> Option<(SectionKind, u64)> {
    let rows = [(".ctors", SectionKind::InitArray), (".dtors", SectionKind::FiniArray)];
    let rest = |name| section.name.strip_prefix(name).filter(|_| section.flags.alloc);
    let (kind, rest) = rows.into_iter().find_map(|(name, kind)| Some((kind, rest(name)?)))?;
    match rest.strip_prefix('.').map(str::parse::<u64>) {
        None if rest.is_empty() => Some((kind, u64::MAX)),
        Some(Ok(number)) => Some((kind, 65535_u64.saturating_sub(number))),
        _ => None,
    }
}
