//! Resolution: for every name, which definition wins, and what all mentions together ask of it.
//!
//! Spec: gABI chapter 4 (symbol table, COMDAT groups), with the practice that linkers share: strong,
//! then common, then weak definitions of objects, then the first library's. What they don't share is
//! opened. It must not know what a relocation is.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};
use scold_diff::expectation::Open;
use scold_diff::model::ErrorClass;
use scold_diff::{Family, Key};

use super::world::{Mention, Name, World};
use crate::case::{
    Binding, Definition, DefsymValue, LibraryDefinition, Section, SectionKind, Symbol, SymbolKind,
    SymbolRef, Visibility,
};

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

    fn mention_all(&mut self) {
        for file in 0..self.world.files.len() {
            let object = self.world.files[file].object;
            let loaded = self.world.files[file].loaded;
            let mut ids = Vec::with_capacity(object.symbols.len());
            for (index, symbol) in object.symbols.iter().enumerate() {
                if symbol.binding == Binding::Local {
                    ids.push(LOCAL);
                    continue;
                }
                let mention = self.world.mentioned(symbol);
                let (id, name) = match mention {
                    Mention::Plain(name) => {
                        let (base, wanted) = name.key();
                        (self.intern(Cow::Borrowed(base), wanted), name)
                    }
                    Mention::Wrapped(text) => {
                        let name = Name::parse(&symbol.name);
                        (self.intern(Cow::Owned(text), None), Name { version: None, ..name })
                    }
                };
                ids.push(id);
                if loaded {
                    self.mention(file, index, symbol, id, name);
                }
            }
            self.ids.push(ids);
        }
    }

    /// Whether a mention defines, given what became of its section.
    fn defines(&self, file: usize, symbol: &Symbol) -> bool {
        match symbol.definition {
            Definition::Undefined => false,
            Definition::Section { section, .. } => self.fates[file][section] == Fate::Live,
            Definition::Absolute(_) | Definition::Common { .. } => true,
        }
    }

    fn mention(
        &mut self,
        file: usize,
        index: usize,
        symbol: &'c Symbol,
        id: usize,
        name: Name<'c>,
    ) {
        let defines = self.defines(file, symbol);
        let old = self.syms[id].clone();
        let tls = symbol.kind == SymbolKind::Tls;
        if old.in_objects && old.tls != tls {
            // bfd wants even references to agree, others look at the relocations only.
            self.findings.may(ErrorClass::TlsMismatch);
            self.findings.everything("mentions that disagree about TLS", true);
        }
        if defines && old.winner != Winner::Undefined && old.version != name.written() {
            self.findings.may(ErrorClass::DuplicateSymbol);
            self.findings.everything("definitions of one name with and without a version", true);
        }
        let sym = &mut self.syms[id];
        sym.in_objects = true;
        sym.tls = tls;
        sym.visibility = most_constraining(sym.visibility, symbol.visibility);
        if !defines {
            sym.referenced = true;
            sym.strong_ref |= symbol.binding != Binding::Weak;
            if symbol.definition != Definition::Undefined {
                // A reference left by a discarded copy: does its visibility count?
                if symbol.visibility != old.visibility {
                    self.findings.everything("visibility of a discarded definition", true);
                }
            }
            return;
        }
        let rank = rank(symbol);
        let old_rank = match old.winner {
            Winner::Object { file, symbol } | Winner::Common { file, symbol, .. } => {
                self.rank_of(file, symbol)
            }
            _ => 0,
        };
        let winner = match symbol.definition {
            Definition::Common { align } => Winner::Common { file, symbol: index, align },
            _ => Winner::Object { file, symbol: index },
        };
        let sym = &mut self.syms[id];
        if rank == 3 && old_rank == 3 {
            let Winner::Object { file, symbol: other } = old.winner else { return };
            self.duplicate(file, other, symbol);
            return;
        }
        if rank == 2 && old_rank == 2 {
            let Winner::Common { align, .. } = old.winner else { return };
            let Winner::Common { align: new, .. } = winner else { return };
            let align = align.max(new);
            if symbol.size > sym.size {
                sym.size = symbol.size;
                sym.kind = symbol.kind;
                sym.winner = Winner::Common { file, symbol: index, align };
            } else if let Winner::Common { align: kept, .. } = &mut sym.winner {
                *kept = align;
            }
            return;
        }
        if rank > old_rank {
            sym.winner = winner;
            sym.kind = symbol.kind;
            sym.binding = symbol.binding;
            sym.size = symbol.size;
            sym.version = name.written();
        }
    }

    fn rank_of(&self, file: usize, symbol: usize) -> u8 {
        rank(self.symbol(file, symbol))
    }

    fn duplicate(&mut self, file: usize, other: usize, symbol: &Symbol) {
        let old = self.symbol(file, other);
        match (old.definition, symbol.definition) {
            // gold, bfd and lld take equal absolute definitions, mold does not.
            (Definition::Absolute(a), Definition::Absolute(b)) if a == b => {
                self.findings.may(ErrorClass::DuplicateSymbol);
            }
            _ => self.findings.error(ErrorClass::DuplicateSymbol),
        }
    }

    fn mention_libraries(&mut self) {
        for library in 0..self.world.libraries.len() {
            let symbols = &self.world.libraries[library].symbols;
            for symbol in symbols {
                let default = symbol.version.as_ref().is_none_or(|(_, default)| *default);
                let wanted = match &symbol.version {
                    Some((version, false)) => Some(&**version),
                    _ => None,
                };
                let id = self.intern(Cow::Borrowed(&symbol.name), wanted);
                self.syms[id].in_libraries = true;
                if !default {
                    let id = self.intern(Cow::Borrowed(&symbol.name), None);
                    self.syms[id].in_libraries = true;
                }
            }
        }
    }

    fn apply_defsyms(&mut self) {
        for (name, value) in self.world.on.defsym.clone() {
            let id = self.intern(Cow::Borrowed(name), None);
            if self.syms[id].winner != Winner::Undefined {
                self.findings.everything("--defsym of a name that objects define", true);
            }
            let winner = match value {
                DefsymValue::Number(value) => Winner::Number(*value),
                DefsymValue::Symbol(other) => {
                    let other_id = self.intern(Cow::Borrowed(other), None);
                    self.syms[other_id].referenced = true;
                    self.syms[other_id].strong_ref = true;
                    self.findings.policy(
                        Key::new(Family::Export, name),
                        "kind and size of a --defsym alias",
                    );
                    Winner::Alias(other_id)
                }
            };
            let reason = "which tables a --defsym name is in";
            self.findings.open(Family::Export, name, reason);
            self.findings.open(Family::Lookup, name, reason);
            let sym = &mut self.syms[id];
            sym.winner = winner;
            sym.in_objects = true;
            sym.kind = SymbolKind::Notype;
            sym.size = 0;
        }
    }

    /// Gives every name that no object defines the first library's definition, or the linker's.
    fn pick_winners(&mut self) {
        let provided = self.library_definitions();
        for id in 0..self.syms.len() {
            let sym = &self.syms[id];
            let key = (&*sym.name, sym.wanted);
            let found = provided.get(&key).copied();
            match sym.winner {
                Winner::Common { .. } if found.is_some() => {
                    self.findings.everything("common symbol against a library's definition", true);
                }
                Winner::Undefined => self.pick_winner(id, found),
                _ => {}
            }
        }
        self.check_commons_against_archives();
        self.check_versions();
    }

    /// A name that objects mention under several versions at once: every linker folds them its own way.
    fn check_versions(&mut self) {
        for id in 0..self.syms.len() {
            let sym = &self.syms[id];
            if sym.wanted.is_none() || !sym.in_objects {
                continue;
            }
            let Some(plain) = self.find(&sym.name.clone()) else { continue };
            let plain = &self.syms[plain];
            if plain.in_objects || (plain.in_libraries && sym.winner != Winner::Undefined) {
                self.findings.may(ErrorClass::DuplicateSymbol);
                self.findings.may(ErrorClass::UndefinedSymbol);
                self.findings.everything("one name under several versions", true);
            }
        }
    }

    fn pick_winner(&mut self, id: usize, found: Option<(usize, usize)>) {
        if let Some(version) = self.syms[id].wanted {
            // `foo@V` asks for what `foo@@V` defines, too.
            if let Some(plain) = self.find(&self.syms[id].name.clone()) {
                let other = &self.syms[plain];
                if other.version.is_some_and(|(v, default)| v == version && default) {
                    self.syms[id].winner = Winner::Alias(plain);
                    return;
                }
            }
        }
        let Some((library, symbol)) = found else {
            if self.linker_makes(&self.syms[id].name) {
                self.syms[id].winner = Winner::Linker;
            }
            return;
        };
        let definition = &self.world.libraries[library].symbols[symbol];
        let sym = &mut self.syms[id];
        // A reference that is not default must be satisfied inside the module.
        if sym.visibility == Visibility::Default {
            sym.winner = Winner::Library { library, symbol };
            sym.kind = definition.kind;
            sym.size = definition.size;
            sym.version = definition.version.as_ref().map(|(v, default)| (&**v, *default));
        }
    }

    /// (name, hidden version) → the first library's definition.
    fn library_definitions(&self) -> FxHashMap<(&'c str, Option<&'c str>), (usize, usize)> {
        let mut map = FxHashMap::default();
        for (index, library) in self.world.libraries.iter().enumerate() {
            for (symbol, definition) in library.symbols.iter().enumerate() {
                if definition.defined == LibraryDefinition::Undefined {
                    continue;
                }
                let place = (index, symbol);
                if let Some((version, default)) = &definition.version {
                    map.entry((&*definition.name, Some(&**version))).or_insert(place);
                    if !default {
                        continue;
                    }
                }
                map.entry((&*definition.name, None)).or_insert(place);
            }
        }
        map
    }

    /// bfd and mold extract a member for a common symbol, gold, lld and wild don't.
    fn check_commons_against_archives(&mut self) {
        let commons: FxHashSet<usize> = (0..self.syms.len())
            .filter(|&id| matches!(self.syms[id].winner, Winner::Common { .. }))
            .collect();
        if commons.is_empty() {
            return;
        }
        let offered = self.world.files.iter().zip(&self.ids).any(|(file, ids)| {
            !file.loaded
                && file.object.symbols.iter().zip(ids).any(|(symbol, id)| {
                    commons.contains(id)
                        && !matches!(
                            symbol.definition,
                            Definition::Undefined | Definition::Common { .. }
                        )
                })
        });
        if offered {
            self.findings.everything("common symbol against an archive member", true);
        }
    }

    /// Whether the linker itself defines `name` when nobody else does.
    fn linker_makes(&self, name: &str) -> bool {
        if LINKER_NAMES.contains(&name) {
            return true;
        }
        let bounded = name.strip_prefix("__start_").or_else(|| name.strip_prefix("__stop_"));
        bounded.is_some_and(|section| {
            is_identifier(section)
                && self.loaded().any(|file| {
                    let sections = &self.world.files[file].object.sections;
                    sections
                        .iter()
                        .zip(&self.fates[file])
                        .any(|(s, fate)| s.name == section && *fate == Fate::Live)
                })
        })
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

/// Names that every linker makes when they are only referenced.
const LINKER_NAMES: &[&str] = &[
    "_GLOBAL_OFFSET_TABLE_",
    "_DYNAMIC",
    "__ehdr_start",
    "__executable_start",
    "__dso_handle",
    "_end",
    "end",
    "_etext",
    "etext",
    "_edata",
    "edata",
    "__bss_start",
    "__preinit_array_start",
    "__preinit_array_end",
    "__init_array_start",
    "__init_array_end",
    "__fini_array_start",
    "__fini_array_end",
    "__rela_iplt_start",
    "__rela_iplt_end",
];

/// Whether a section's name gets `__start_` and `__stop_` symbols.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// strong 3, common 2, weak 1.
fn rank(symbol: &Symbol) -> u8 {
    match (symbol.definition, symbol.binding) {
        (Definition::Common { .. }, _) => 2,
        (_, Binding::Weak) => 1,
        _ => 3,
    }
}

fn most_constraining(a: Visibility, b: Visibility) -> Visibility {
    let order = |v| match v {
        Visibility::Default => 0,
        Visibility::Protected => 1,
        Visibility::Hidden => 2,
        Visibility::Internal => 3,
    };
    if order(a) >= order(b) { a } else { b }
}

/// Whether a section is one whose contents the linker takes apart: no site, bytes or perm facts.
pub(crate) fn is_taken_apart(section: &Section) -> bool {
    section.flags.merge
        || matches!(
            section.kind,
            SectionKind::EhFrame
                | SectionKind::InitArray
                | SectionKind::FiniArray
                | SectionKind::PreinitArray
        )
}
