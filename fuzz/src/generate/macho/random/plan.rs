//! What names stand for, where each is defined, which options there are.

use scold_diff::Mode;

use super::World;
use crate::case::{Binding, Opt, SymbolKind};
use crate::generate::dice::Dice;
use crate::generate::macho::parts;

/// What a name is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Func,
    Data,
    Const,
    Zerofill,
    /// A place in an atom that another name starts.
    Inside,
    /// Size, alignment.
    Common(u64, u64),
    Number(u64),
    /// A thread-local variable; whether it starts as zero.
    Variable(bool),
}

/// Who sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    Global,
    Private,
    Weak,
    WeakPrivate,
    Hideable,
    Local,
}

impl Scope {
    pub(super) fn is_weak(self) -> bool {
        matches!(self, Self::Weak | Self::WeakPrivate | Self::Hideable)
    }

    pub(super) fn is_exported(self) -> bool {
        matches!(self, Self::Global | Self::Weak)
    }
}

/// Who defines it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Home {
    /// These objects; more than one if it is weak or common.
    Objects(Vec<usize>),
    Library,
    /// Nobody: it is looked up when the image is loaded.
    Nowhere,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) struct Entity {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    pub(super) home: Home,
    /// References say that it may be missing.
    pub(super) nullable: bool,
    /// What fills it, or what the function returns.
    pub(super) fill: u8,
    pub(super) align: u64,
    pub(super) size: usize,
}

impl Entity {
    /// Whether `object` defines it.
    pub(super) fn is_in(&self, object: usize) -> bool {
        matches!(&self.home, Home::Objects(homes) if homes.contains(&object))
    }

    /// Whether `object` can name it.
    pub(super) fn is_visible(&self, object: usize) -> bool {
        self.scope != Scope::Local || self.is_in(object)
    }

    pub(super) fn is_variable(&self) -> bool {
        matches!(self.kind, Kind::Variable(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number(_))
    }

    /// Whether an object defines it.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.home, Home::Objects(_))
    }

    /// Whether there are bytes of it to be read, whatever a loader provides.
    pub(super) fn is_readable(&self) -> bool {
        self.is_own() && matches!(self.kind, Kind::Data | Kind::Const | Kind::Zerofill)
    }
}

impl World {
    pub(super) fn choose_files(&mut self, dice: &mut Dice<'_>) {
        let cut = !dice.chance(150);
        for index in 0..dice.range(1, 4) {
            let name = format!("{}.o", char::from(b'a' + index as u8));
            let subsections = cut || dice.chance(500);
            self.objects.push(parts::object(&name, subsections));
            let archive = (index > 0 && dice.chance(250)).then(|| dice.below(2));
            self.archives.push(archive);
        }
        // Archives are numbered from 0 without gaps.
        if !self.archives.contains(&Some(0)) {
            self.archives.iter_mut().flatten().for_each(|archive| *archive = 0);
        }
        for index in 0..dice.below(3) {
            let name = format!("lib{}.dylib", char::from(b'x' + index as u8));
            let mut library = parts::library(&name, Vec::new());
            library.weak = dice.chance(200);
            if dice.chance(200) {
                library.soname = Some(format!("@rpath/lib{index}.dylib"));
            }
            self.libraries.push(library);
        }
    }

    pub(super) fn choose_entities(&mut self, dice: &mut Dice<'_>) {
        for number in 0..dice.range(2, 14) {
            let entity = self.entity(dice, number);
            self.entities.push(entity);
        }
    }

    fn entity(&mut self, dice: &mut Dice<'_>, number: usize) -> Entity {
        let mut entity = Entity {
            name: format!("_e{number}"),
            kind: kind(dice),
            scope: scope(dice),
            home: Home::Nowhere,
            nullable: false,
            fill: 0x10 + number as u8,
            align: *dice.pick(&[8, 16, 8, 32]),
            size: 8 * dice.range(1, 5),
        };
        if !self.libraries.is_empty() && dice.chance(250) {
            self.import(dice, &mut entity);
            return entity;
        }
        if dice.chance(60) {
            entity.scope = Scope::Global;
            entity.kind = if dice.chance(500) { Kind::Func } else { Kind::Data };
            entity.nullable = dice.chance(400);
            return entity;
        }
        match entity.kind {
            Kind::Common(..) if entity.scope != Scope::Private => entity.scope = Scope::Global,
            Kind::Number(_) | Kind::Inside if entity.scope.is_weak() => {
                entity.scope = Scope::Global;
            }
            Kind::Variable(_) if entity.scope == Scope::Hideable => entity.scope = Scope::Weak,
            _ => {}
        }
        entity.home = Home::Objects(self.homes(dice, &entity));
        // A weak library definition that a strong one of this image takes the place of.
        let weakly = self.libraries.len() == 1 && entity.scope == Scope::Global && dice.chance(80);
        if weakly && matches!(entity.kind, Kind::Func | Kind::Data) {
            let function = entity.kind == Kind::Func;
            let kind = if function { SymbolKind::Func } else { SymbolKind::Object };
            let alias = self.libraries[0].symbols.len() as u32;
            let symbol = parts::exported(&entity.name, Binding::Weak, kind, alias);
            self.libraries[0].symbols.push(symbol);
        }
        entity
    }

    /// Objects that define an entity: weak ones are in no archive, because then it depends on the linker
    /// which copy is first.
    fn homes(&self, dice: &mut Dice<'_>, entity: &Entity) -> Vec<usize> {
        if !entity.scope.is_weak() && !matches!(entity.kind, Kind::Common(..)) {
            return vec![dice.below(self.objects.len())];
        }
        let plain = (0..self.objects.len()).filter(|&index| self.archives[index].is_none());
        let plain: Vec<usize> = plain.collect();
        let some: Vec<usize> = plain.iter().copied().filter(|_| dice.chance(600)).collect();
        if some.is_empty() { vec![plain[0]] } else { some }
    }

    /// Makes an entity one of a library.
    fn import(&mut self, dice: &mut Dice<'_>, entity: &mut Entity) {
        entity.home = Home::Library;
        entity.scope = Scope::Global;
        let (ours, theirs) = match entity.kind {
            Kind::Func | Kind::Number(_) => (Kind::Func, SymbolKind::Func),
            Kind::Variable(_) => (Kind::Variable(false), SymbolKind::Tls),
            _ => (Kind::Data, SymbolKind::Object),
        };
        entity.kind = ours;
        entity.nullable = dice.chance(200);
        let weak = dice.chance(250) && theirs != SymbolKind::Tls;
        let binding = if weak { Binding::Weak } else { Binding::Global };
        let library = dice.below(self.libraries.len());
        let symbols = &mut self.libraries[library].symbols;
        let alias = symbols.len() as u32;
        symbols.push(parts::exported(&entity.name, binding, theirs, alias));
    }

    pub(super) fn choose_options(&mut self, dice: &mut Dice<'_>) {
        if dice.chance(600) {
            self.options.push(Opt::FixupChains(dice.chance(500)));
        }
        if dice.chance(500) {
            self.options.push(Opt::MinOs(*dice.pick(&[11, 12, 13, 14])));
        }
        let dylib = matches!(self.mode, Mode::CShared | Mode::Plugin);
        if dylib && dice.chance(100) {
            self.options.push(Opt::Soname("/usr/local/lib/libscold.dylib".into()));
        }
        if self.objects.iter().all(|object| object.subsections) && dice.chance(300) {
            self.options.push(Opt::GcSections);
        }
        if !self.libraries.is_empty() && dice.chance(150) {
            self.options.push(Opt::AsNeeded);
        }
        let nowhere = self.entities.iter().filter(|entity| entity.home == Home::Nowhere);
        let nowhere: Vec<String> = nowhere.map(|entity| entity.name.clone()).collect();
        if !nowhere.is_empty() && dice.chance(500) {
            self.options.push(Opt::DynamicLookup);
        } else {
            self.options.extend(nowhere.into_iter().map(Opt::MayBeUndefined));
        }
        self.list_exports(dice);
    }

    fn list_exports(&mut self, dice: &mut Dice<'_>) {
        let can_list = |entity: &&Entity| match &entity.home {
            Home::Objects(homes) => {
                let loaded = homes.iter().all(|&home| self.archives[home].is_none());
                loaded && entity.scope.is_exported()
            }
            _ => false,
        };
        let names: Vec<String> =
            self.entities.iter().filter(can_list).map(|entity| entity.name.clone()).collect();
        if names.is_empty() || !dice.chance(200) {
            return;
        }
        let listed = dice.chance(500);
        for name in names.into_iter().filter(|_| dice.chance(500)) {
            self.options.push(if listed { Opt::Exported(name) } else { Opt::Unexported(name) });
        }
    }
}

fn kind(dice: &mut Dice<'_>) -> Kind {
    match dice.below(20) {
        0..=5 => Kind::Func,
        6..=9 => Kind::Data,
        10..=11 => Kind::Const,
        12..=13 => Kind::Zerofill,
        14 => Kind::Inside,
        15..=16 => Kind::Common(8 * dice.range(1, 6) as u64, *dice.pick(&[8, 16, 64])),
        17 => Kind::Number(*dice.pick(&[0x40, 0x1234, 0x7fff_fff0, 0xffff_ffff, 0x1234_5678_9abc])),
        _ => Kind::Variable(dice.chance(400)),
    }
}

fn scope(dice: &mut Dice<'_>) -> Scope {
    use Scope::{Global, Hideable, Local, Private, Weak, WeakPrivate};
    *dice.pick(&[
        Global,
        Global,
        Global,
        Private,
        Private,
        Weak,
        Weak,
        WeakPrivate,
        Hideable,
        Local,
        Local,
    ])
}
