//! Resolution: for every name, which definition wins, whether it is exported, how references bind to it.
//!
//! Spec: nlist.h for N_WEAK_DEF, N_WEAK_REF, N_PEXT and commons; ld64's order: strong, then weak, then common
//! definitions of objects, then whoever is first on the command line. What linkers don't share is opened.
//! It must not know what a relocation is.

use rustc_hash::{FxHashMap, FxHashSet};
use scold_diff::model::ErrorClass;
use scold_diff::model::macho::is_linkers;
use scold_diff::{Family, Key};

use super::world::{Offer, SYSTEM, World};
use crate::case::{Binding, Definition, Section, SectionKind, Symbol, SymbolKind, Visibility};
pub(super) use crate::expect::resolve::Findings;

/// Where the winning definition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Winner {
    /// Nowhere.
    Undefined,
    /// `files[file].object.symbols[symbol]`.
    Object { file: usize, symbol: usize },
    /// A common symbol of that file.
    Common { file: usize, size: u64, align: u64 },
    /// `libraries[library].symbols[symbol]`.
    Library { library: usize, symbol: usize },
    /// The system's library.
    System,
    /// Nowhere, and that is allowed: dyld looks it up in every image.
    Lookup,
    /// The linker: the header, or where a section or segment starts or ends.
    Linker,
}

/// A global name of the link.
#[derive(Clone, Debug)]
pub(super) struct Sym<'c> {
    pub(super) name: &'c str,
    pub(super) winner: Winner,
    /// The winner's N_WEAK_DEF.
    pub(super) weak: bool,
    can_be_hidden: bool,
    /// Not exported, whatever the options.
    private: bool,
    /// Some object refers to it without N_WEAK_REF.
    pub(super) strong_ref: bool,
    pub(super) weak_ref: bool,
    pub(super) exported: bool,
    /// What dyld looks up for references: `NAME@…`.
    pub(super) bound: Option<String>,
    /// It is a strong definition of what a library has a weak one of.
    pub(super) overrides: bool,
}

/// Whether an input section is in the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Live,
    /// A weak copy that lost.
    Coalesced,
    /// Nothing refers to it.
    Dead,
}

/// The link after resolution.
#[derive(Debug)]
pub(super) struct Link<'c> {
    pub(super) world: World<'c>,
    pub(super) syms: Vec<Sym<'c>>,
    /// Per file, per symbol: index into `syms`; locals have [`LOCAL`].
    pub(super) ids: Vec<Vec<usize>>,
    /// Per file, per section.
    pub(super) fates: Vec<Vec<Fate>>,
    /// Per name: its common symbol is not in the output. Empty if nothing is stripped.
    pub(super) dead_commons: Vec<bool>,
    /// Per file, per section: `FILE:SEG,SECT#k`.
    pub(super) labels: Vec<Vec<Box<str>>>,
    pub(super) findings: Findings,
    names: FxHashMap<&'c str, usize>,
}

/// The id of a local symbol.
pub(super) const LOCAL: usize = usize::MAX;

/// What a relocation's symbol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// Symbol 0: the number 0.
    Null,
    /// A section of a file, by its address.
    Section {
        file: usize,
        section: usize,
    },
    Local {
        file: usize,
        symbol: usize,
    },
    Global(usize),
}

impl<'c> Link<'c> {
    pub(super) fn resolve(world: World<'c>) -> Self {
        let mut link = Self {
            ids: vec![Vec::new(); world.files.len()],
            fates: Vec::with_capacity(world.files.len()),
            labels: Vec::with_capacity(world.files.len()),
            dead_commons: Vec::new(),
            syms: Vec::new(),
            findings: Findings::default(),
            names: FxHashMap::default(),
            world,
        };
        for file in 0..link.world.files.len() {
            let object = link.world.files[file].object;
            link.fates.push(vec![Fate::Live; object.sections.len()]);
            link.labels.push(object.labels(&link.world.files[file].name()));
        }
        if let Some(reason) = link.world.order_matters {
            link.findings.everything(reason, true);
        }
        for file in link.world.order.clone() {
            let symbols = &link.world.files[file].object.symbols;
            let ids = symbols.iter().enumerate().map(|(index, symbol)| {
                if symbol.binding == Binding::Local { LOCAL } else { link.mention(file, index) }
            });
            link.ids[file] = ids.collect();
        }
        link.name_options();
        link.look_elsewhere();
        link.coalesce();
        link.decide();
        link
    }

    pub(super) fn section(&self, file: usize, section: usize) -> &'c Section {
        &self.world.files[file].object.sections[section]
    }

    pub(super) fn symbol(&self, file: usize, symbol: usize) -> &'c Symbol {
        &self.world.files[file].object.symbols[symbol]
    }

    /// The symbol with that name, if anything mentions it.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    fn intern(&mut self, name: &'c str) -> usize {
        *self.names.entry(name).or_insert_with(|| {
            self.syms.push(Sym {
                name,
                winner: Winner::Undefined,
                weak: false,
                can_be_hidden: false,
                private: false,
                strong_ref: false,
                weak_ref: false,
                exported: false,
                bound: None,
                overrides: false,
            });
            self.syms.len() - 1
        })
    }

    /// Decides between what a name stood for and what the object says.
    fn mention(&mut self, file: usize, index: usize) -> usize {
        let symbol = self.symbol(file, index);
        let id = self.intern(&symbol.name);
        let private = symbol.visibility != Visibility::Default;
        match symbol.definition {
            Definition::Undefined if symbol.binding == Binding::Weak => {
                self.syms[id].weak_ref = true;
            }
            Definition::Undefined => self.syms[id].strong_ref = true,
            Definition::Common { align } => self.common(id, file, symbol.size, align, private),
            Definition::Section { .. } | Definition::Absolute(_) => {
                self.define(id, file, index, private);
            }
        }
        id
    }

    fn common(&mut self, id: usize, file: usize, size: u64, align: u64, private: bool) {
        let sym = &mut self.syms[id];
        match sym.winner {
            Winner::Undefined => {
                sym.winner = Winner::Common { file, size, align };
                sym.private = private;
            }
            Winner::Common { file: first, size: old, align: least } => {
                let file = if size > old { file } else { first };
                sym.winner = Winner::Common { file, size: size.max(old), align: align.max(least) };
                let differ = sym.private != private;
                sym.private &= private;
                if differ {
                    let name = sym.name;
                    self.findings.name(name, "a private and a public common symbol", true);
                }
            }
            _ => {}
        }
    }

    fn define(&mut self, id: usize, file: usize, index: usize, private: bool) {
        let symbol = self.symbol(file, index);
        let weak = symbol.binding == Binding::Weak;
        if weak && matches!(symbol.definition, Definition::Absolute(_)) {
            // nlist.h knows weak definitions in coalesced sections only.
            self.findings.may(ErrorClass::DuplicateSymbol);
            self.findings.everything("a weak number", true);
        }
        let can_be_hidden = weak && symbol.desc.can_be_hidden;
        let old = self.syms[id].clone();
        match old.winner {
            Winner::Object { .. } if !old.weak && !weak => {
                self.findings.error(ErrorClass::DuplicateSymbol);
            }
            Winner::Object { file: first, symbol: it } if old.weak && weak => {
                // ld64 keeps the copy with the larger alignment, or the one that is exported.
                if (old.private, old.can_be_hidden) != (private, can_be_hidden) {
                    self.open_copies((first, it), (file, index), "weak copies of other visibility");
                } else if self.alignment(first, it) != self.alignment(file, index) {
                    self.open_copies((first, it), (file, index), "weak copies of other alignment");
                } else if self.world.files[file].archive.is_some() {
                    self.open_copies((first, it), (file, index), "a weak copy in an archive");
                }
                let sym = &mut self.syms[id];
                sym.private &= private;
                sym.can_be_hidden &= can_be_hidden;
            }
            Winner::Object { .. } if !old.weak => {}
            _ => {
                let sym = &mut self.syms[id];
                sym.winner = Winner::Object { file, symbol: index };
                (sym.weak, sym.can_be_hidden, sym.private) = (weak, can_be_hidden, private);
            }
        }
    }

    fn alignment(&self, file: usize, symbol: usize) -> u64 {
        match self.symbol(file, symbol).definition {
            Definition::Section { section, .. } => self.section(file, section).align,
            _ => 0,
        }
    }

    /// Leaves to the linker's policy which of two weak copies stays.
    fn open_copies(&mut self, one: (usize, usize), two: (usize, usize), reason: &'static str) {
        for (file, symbol) in [one, two] {
            let it = self.symbol(file, symbol);
            self.findings.name(&it.name, reason, true);
            if let Definition::Section { section, .. } = it.definition {
                let label = self.labels[file][section].clone();
                for family in [Family::Bytes, Family::Perm] {
                    self.findings.policy(Key::new(family, label.clone()), reason);
                }
                self.findings.policy(Key::new(Family::Site, format!("{label}+*")), reason);
            }
        }
    }

    /// What the command line asks for.
    fn name_options(&mut self) {
        let on = &self.world.on;
        let entry = (!on.library).then_some(on.entry);
        for name in on.undefined.clone().into_iter().chain(entry) {
            let id = self.intern(name);
            self.syms[id].strong_ref = true;
        }
        for name in self.world.on.exported.clone().unwrap_or_default() {
            if self.find(name).is_none_or(|id| self.syms[id].winner == Winner::Undefined) {
                self.findings.everything("-exported_symbol of what no object defines", true);
            }
        }
    }

    /// What no object defines.
    fn look_elsewhere(&mut self) {
        for id in 0..self.syms.len() {
            let offer = self.world.offers.get(self.syms[id].name).copied();
            let weak_offer = offer.is_some_and(|offer| self.world.is_weak(offer));
            let on = &self.world.on;
            let sym = &mut self.syms[id];
            match (sym.winner, offer) {
                (Winner::Undefined, Some(Offer::Library { library, symbol })) => {
                    sym.winner = Winner::Library { library, symbol };
                    sym.weak = weak_offer;
                }
                (Winner::Undefined, Some(Offer::System)) => sym.winner = Winner::System,
                (Winner::Undefined, _) if is_linkers(sym.name) => sym.winner = Winner::Linker,
                (Winner::Undefined, _) if on.dynamic_lookup || on.allowed.contains(&sym.name) => {
                    sym.winner = Winner::Lookup;
                }
                (Winner::Object { .. }, _) => sym.overrides = weak_offer && !sym.weak,
                _ => {}
            }
        }
    }

    /// Atoms all of whose names stand for other copies are not in the output.
    fn coalesce(&mut self) {
        for file in self.world.order.clone() {
            let object = self.world.files[file].object;
            let (mut lost, mut stay) = (FxHashSet::default(), FxHashSet::default());
            for (index, symbol) in object.symbols.iter().enumerate() {
                let Definition::Section { section, offset } = symbol.definition else { continue };
                let id = self.ids[file][index];
                let won =
                    id != LOCAL && self.syms[id].winner == (Winner::Object { file, symbol: index });
                if id != LOCAL && !won && offset == 0 {
                    lost.insert(section);
                } else if id != LOCAL || !symbol.name.starts_with(['l', 'L']) {
                    stay.insert(section);
                }
            }
            for &section in lost.difference(&stay) {
                self.fates[file][section] = Fate::Coalesced;
            }
        }
    }

    /// What is exported, and what dyld looks up.
    fn decide(&mut self) {
        let on = &self.world.on;
        for sym in &mut self.syms {
            sym.bound = match sym.winner {
                Winner::Undefined | Winner::Linker => None,
                Winner::Lookup => Some(format!("{}@flat", sym.name)),
                Winner::System if on.flat => Some(format!("{}@flat", sym.name)),
                Winner::System => Some(format!("{}@{SYSTEM}", sym.name)),
                // Two-level names of weak definitions are looked up everywhere, too.
                Winner::Library { .. } if sym.weak => Some(format!("{}@weak", sym.name)),
                Winner::Library { .. } if on.flat => Some(format!("{}@flat", sym.name)),
                Winner::Library { library, .. } => {
                    let library = self.world.libraries[library];
                    Some(format!("{}@{}", sym.name, install_name(library)))
                }
                Winner::Object { .. } | Winner::Common { .. } => {
                    let listed = on.exported.as_ref().is_none_or(|l| l.contains(&sym.name));
                    let auto = sym.can_be_hidden && on.exported.is_none();
                    sym.exported =
                        !sym.private && !auto && listed && !on.unexported.contains(&sym.name);
                    match (sym.exported, sym.weak) {
                        (true, true) => Some(format!("{}@weak", sym.name)),
                        (true, false) if on.flat => Some(format!("{}@flat", sym.name)),
                        _ => None,
                    }
                }
            };
        }
        self.numbers();
    }

    /// Numbers are never looked up: the loader would move them.
    fn numbers(&mut self) {
        for id in 0..self.syms.len() {
            if self.number(id).is_some() && self.syms[id].bound.take().is_some() {
                let name = self.syms[id].name;
                self.findings.name(name, "a number that another image could override", true);
            }
            let weak = matches!(self.syms[id].winner, Winner::Library { .. }) && self.syms[id].weak;
            if weak && self.world.on.flat {
                let name = self.syms[id].name;
                self.findings.name(name, "a flat lookup of a library's weak definition", true);
            }
        }
    }

    /// The number that a name stands for, if it does for one.
    pub(super) fn number(&self, id: usize) -> Option<u64> {
        match self.syms[id].winner {
            Winner::Object { file, symbol } => match self.symbol(file, symbol).definition {
                Definition::Absolute(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a name is that of a thread-local variable.
    pub(super) fn is_thread_local(&self, id: usize) -> bool {
        match self.syms[id].winner {
            Winner::Object { file, symbol } => match self.symbol(file, symbol).definition {
                Definition::Section { section, .. } => {
                    self.section(file, section).kind == SectionKind::ThreadLocalVariables
                }
                _ => false,
            },
            Winner::Library { library, symbol } => {
                self.world.libraries[library].symbols[symbol].kind == SymbolKind::Tls
            }
            _ => false,
        }
    }
}

/// LC_ID_DYLIB of a library of the case.
pub(super) fn install_name(library: &crate::case::Library) -> String {
    library.soname.clone().unwrap_or_else(|| format!("/scold/{}", library.name))
}
