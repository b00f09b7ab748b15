//! The plan of a case: entities, objects in the making, and what is known of both.
//!
//! [`Traits`] say which references to an entity are valid whatever a linker decides.

use rustc_hash::FxHashMap;
use scold_diff::{Mode, Target};

use super::Dice;
use crate::Case;
use crate::case::*;
use crate::config::Config;
use crate::machine::{self, Machine};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Func,
    Object,
    Tls,
    Ifunc,
    Absolute(u64),
    Common,
    /// Weak references only; nobody defines it.
    Absent,
    /// Nobody defines it, and a library may be linked all the same.
    Unresolved,
    /// `--defsym` of another entity.
    Alias,
}

/// Where an entity is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Home {
    Object(usize),
    Library(usize),
}

/// A name and everything that stands behind it.
#[derive(Clone, Debug)]
pub(super) struct Entity {
    /// As references spell it.
    pub(super) name: String,
    /// As definitions spell it, where that differs (`f@@V1`).
    pub(super) definition: Option<String>,
    pub(super) kind: Kind,
    pub(super) visibility: Visibility,
    /// The first is a normal definition; the others have the binding they can have beside it.
    pub(super) homes: Vec<Home>,
    pub(super) local: bool,
    pub(super) unique: bool,
    pub(super) comdat: bool,
    /// Bytes of data, or the code's length.
    pub(super) size: u64,
    /// Objects that must not refer to it.
    pub(super) barred: Vec<usize>,
}

/// What is certain of an entity, whatever a linker decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    /// Cannot be preempted: a direct reference is fine.
    pub(super) near: bool,
    /// Only a library defines it.
    pub(super) imported: bool,
    /// No one defines it.
    pub(super) absent: bool,
}

/// An object in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) machine: &'static Machine,
    pub(super) object: Object,
    /// Entity, or the name of something else → index of its symbol.
    pub(super) mentions: FxHashMap<usize, usize>,
    pub(super) names: FxHashMap<String, usize>,
    /// The archive it goes into.
    pub(super) archive: Option<usize>,
}

/// A case in the making.
pub(super) struct World<'c> {
    pub(super) machine: &'static Machine,
    pub(super) config: &'c Config,
    pub(super) case: Case,
    pub(super) drafts: Vec<Draft>,
    pub(super) archives: usize,
    pub(super) libraries: Vec<Library>,
    pub(super) entities: Vec<Entity>,
    pub(super) bsymbolic: bool,
    /// Functions that can be called: (object, symbol).
    pub(super) probes: Vec<(usize, usize)>,
    /// Needs the dynamic loader's library for `__tls_get_addr`.
    pub(super) tls_get_addr: bool,
    /// Numbers for things that have to differ.
    pub(super) counter: u64,
}

impl<'c> World<'c> {
    pub(super) fn new(config: &'c Config, target: Target, mode: Mode) -> Self {
        let case = Case {
            target,
            mode,
            validity: Validity::Defined,
            options: vec![],
            inputs: vec![],
            versions: None,
            beside: Vec::new(),
        };
        Self {
            machine: machine::of(target.arch),
            config,
            case,
            drafts: vec![],
            archives: 0,
            libraries: vec![],
            entities: vec![],
            bsymbolic: mode == Mode::CShared,
            probes: vec![],
            tls_get_addr: false,
            counter: 0,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.case.mode
    }

    pub(super) fn is_library(&self) -> bool {
        self.case.mode.is_library()
    }

    pub(super) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Objects (never members of archives: those may stay out) and how many.
    pub(super) fn direct(&self) -> Vec<usize> {
        (0..self.drafts.len()).filter(|i| self.drafts[*i].archive.is_none()).collect()
    }

    pub(super) fn traits(&self, entity: &Entity) -> Traits {
        let in_object = entity.homes.iter().any(|home| matches!(home, Home::Object(_)));
        let imported = !in_object && !entity.homes.is_empty();
        let absent = matches!(entity.kind, Kind::Absent | Kind::Unresolved);
        let bound = entity.local
            || entity.visibility != Visibility::Default
            || !self.is_library()
            || (self.bsymbolic && !entity.unique);
        Traits { near: bound && in_object, imported, absent }
    }

    /// The symbol of entity `entity` in object `object`, added as a reference if it isn't there.
    pub(super) fn mention(&mut self, dice: &mut Dice<'_>, object: usize, entity: usize) -> usize {
        if let Some(symbol) = self.drafts[object].mentions.get(&entity) {
            return *symbol;
        }
        let config = self.config;
        let what = &self.entities[entity];
        let member = what
            .homes
            .iter()
            .any(|home| matches!(home, Home::Object(o) if self.drafts[*o].archive.is_some()));
        let weak = match what.kind {
            Kind::Absent => true,
            Kind::Unresolved => false,
            // A weak reference extracts nothing, and copies of weak imports are policy.
            _ => !member && config.weak_references && dice.chance(300) && self.is_library(),
        };
        let visible =
            config.reference_visibility && !self.traits(what).imported && dice.chance(500);
        let said = if visible { at_most(dice, what.visibility) } else { Visibility::Default };
        let symbol = Symbol {
            name: what.name.clone(),
            binding: if weak { Binding::Weak } else { Binding::Global },
            kind: match what.kind {
                Kind::Tls => SymbolKind::Tls,
                Kind::Func if dice.chance(200) => SymbolKind::Func,
                _ => SymbolKind::Notype,
            },
            visibility: said,
            size: 0,
            definition: Definition::Undefined,
            desc: Default::default(),
        };
        let draft = &mut self.drafts[object];
        draft.object.symbols.push(symbol);
        let index = draft.object.symbols.len() - 1;
        draft.mentions.insert(entity, index);
        index
    }

    /// An undefined symbol that no entity stands for, once per object.
    pub(super) fn named(&mut self, object: usize, name: &str, kind: SymbolKind) -> usize {
        let draft = &mut self.drafts[object];
        if let Some(symbol) = draft.names.get(name) {
            return *symbol;
        }
        let hidden = name.starts_with("__start_") || name.starts_with("__stop_");
        let hidden = hidden || matches!(name, "_DYNAMIC" | "__ehdr_start");
        draft.object.symbols.push(Symbol {
            name: name.to_owned(),
            binding: Binding::Global,
            kind,
            visibility: if hidden { Visibility::Hidden } else { Visibility::Default },
            size: 0,
            definition: Definition::Undefined,
            desc: Default::default(),
        });
        let index = draft.object.symbols.len() - 1;
        draft.names.insert(name.to_owned(), index);
        index
    }

    /// Entities that object `object` can refer to and that `wanted` accepts.
    pub(super) fn reachable(
        &self,
        object: usize,
        wanted: impl Fn(&Entity, Traits) -> bool,
    ) -> Vec<usize> {
        let here = |entity: &Entity| {
            !entity.barred.contains(&object)
                && (!entity.local || entity.homes.contains(&Home::Object(object)))
        };
        let list = self.entities.iter().enumerate();
        list.filter(|(_, entity)| here(entity) && wanted(entity, self.traits(entity)))
            .map(|(i, _)| i)
            .collect()
    }
}

/// A visibility that constrains at most as much: together with `visibility` it says nothing new.
pub(super) fn at_most(dice: &mut Dice<'_>, visibility: Visibility) -> Visibility {
    let order =
        [Visibility::Default, Visibility::Protected, Visibility::Hidden, Visibility::Internal];
    let place = order.iter().position(|one| *one == visibility).unwrap_or(0);
    if dice.chance(600) { visibility } else { *dice.pick(&order[..=place]) }
}
