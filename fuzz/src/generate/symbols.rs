//! Entities: which names there are, where each is defined, with which binding and visibility.
//!
//! What linkers legitimately disagree about (JUDGE rows in `config.rs`) never meets here.

use super::Dice;
use super::world::{Draft, Entity, Home, Kind, World, at_most};
use crate::case::*;
use crate::emit::unique;

impl World<'_> {
    /// One to four objects, some of them members of archives, and libraries.
    pub(super) fn choose_objects(&mut self, dice: &mut Dice<'_>) {
        let direct = *dice.pick(&[1, 1, 2, 2, 2, 3, 3, 4]);
        let names = ["a.o", "b.o", "c.o", "d.o"];
        for name in &names[..direct] {
            self.drafts.push(Draft::new(self.machine, (*name).to_owned()));
        }
        if self.config.archives {
            self.archives = dice.range(1, 2);
            for archive in 0..self.archives {
                for member in 0..dice.range(1, 3) {
                    let mut draft = Draft::new(self.machine, format!("m{archive}{member}.o"));
                    draft.archive = Some(archive);
                    self.drafts.push(draft);
                }
            }
        }
        if self.config.libraries {
            for i in 0..dice.range(1, 2) {
                let name = format!("lib{i}.so");
                let soname = (!dice.chance(200)).then(|| format!("lib{i}.so.1"));
                let as_needed = self.config.as_needed && dice.chance(500);
                self.libraries.push(Library {
                    name,
                    soname,
                    as_needed,
                    symbols: vec![],
                    weak: false,
                });
            }
        }
    }

    pub(super) fn choose_entities(&mut self, dice: &mut Dice<'_>) {
        for number in 0..dice.range(3, 10) {
            let entity = self.choose_entity(dice, number);
            self.entities.push(entity);
        }
        self.choose_wrapped(dice);
    }

    fn choose_entity(&mut self, dice: &mut Dice<'_>, number: usize) -> Entity {
        let config = self.config;
        let kind = self.choose_kind(dice);
        let letter = match kind {
            Kind::Func => 'f',
            Kind::Object | Kind::Alias => 'd',
            Kind::Tls => 't',
            Kind::Ifunc => 'i',
            Kind::Absolute(_) => 'a',
            Kind::Common => 'c',
            Kind::Absent => 'w',
            Kind::Unresolved => 'u',
        };
        let size = match kind {
            Kind::Object | Kind::Tls | Kind::Common => *dice.pick(&[8, 8, 4, 1, 16, 24, 64, 3]),
            _ => 0,
        };
        let mut entity = Entity {
            name: format!("{letter}{number}"),
            definition: None,
            kind,
            visibility: Visibility::Default,
            homes: vec![],
            local: false,
            unique: false,
            comdat: false,
            size,
            barred: vec![],
        };
        if matches!(kind, Kind::Absent | Kind::Unresolved) {
            return entity;
        }
        self.choose_homes(dice, &mut entity);
        let in_object = matches!(entity.homes[0], Home::Object(_));
        if in_object
            && config.locals
            && dice.chance(300)
            && !entity.comdat
            && entity.homes.len() == 1
        {
            entity.local = !matches!(kind, Kind::Common);
        }
        if in_object && config.visibility && !entity.local && dice.chance(500) {
            let list = [Visibility::Hidden, Visibility::Hidden, Visibility::Protected];
            entity.visibility = *dice.pick(&list);
            if dice.chance(100) {
                entity.visibility = Visibility::Internal;
            }
        }
        entity.unique = kind == Kind::Object
            && config.unique
            && in_object
            && entity.visibility == Visibility::Default
            && !entity.local
            && dice.chance(400);
        entity
    }

    fn choose_kind(&mut self, dice: &mut Dice<'_>) -> Kind {
        let config = self.config;
        let rare = [
            (config.tls, 300, Kind::Tls),
            (config.ifunc, 250, Kind::Ifunc),
            (config.common, 300, Kind::Common),
            (config.absent, 250, Kind::Absent),
            (config.unresolved && self.is_library(), 200, Kind::Unresolved),
        ];
        for (on, permille, kind) in rare {
            if on && dice.chance(permille) {
                return kind;
            }
        }
        if config.absolute && dice.chance(250) {
            let small = dice.below(0x10000) as u64;
            let edges = [small, 0x1234_5678, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, !0];
            return Kind::Absolute(self.machine.address(*dice.pick(&edges)));
        }
        if dice.chance(500) { Kind::Object } else { Kind::Func }
    }

    /// Where it is defined: one home, or several that the specs tell how to combine.
    fn choose_homes(&mut self, dice: &mut Dice<'_>, entity: &mut Entity) {
        let config = self.config;
        let direct = self.direct();
        let object = *dice.pick(&direct);
        let importable = matches!(entity.kind, Kind::Func | Kind::Object | Kind::Tls | Kind::Ifunc);
        if importable && !self.libraries.is_empty() && dice.chance(350) {
            entity.homes.push(Home::Library(dice.below(self.libraries.len())));
            // A library's name may be defined by an object too: the object's wins.
            if dice.chance(150) && entity.kind != Kind::Ifunc {
                entity.homes.insert(0, Home::Object(object));
            }
            return;
        }
        let member = self.drafts.len() > direct.len() && dice.chance(300);
        if member && entity.kind != Kind::Common {
            let object = dice.range(direct.len(), self.drafts.len() - 1);
            entity.homes.push(Home::Object(object));
            return;
        }
        entity.homes.push(Home::Object(object));
        let other = direct.iter().copied().filter(|i| *i != object).collect::<Vec<_>>();
        if other.is_empty() {
            return;
        }
        let second = Home::Object(*dice.pick(&other));
        match entity.kind {
            Kind::Func | Kind::Object if config.comdat && dice.chance(300) => {
                entity.comdat = true;
                entity.homes.push(second);
            }
            Kind::Func | Kind::Object if config.weak && dice.chance(250) => {
                entity.homes.push(second);
            }
            Kind::Common if dice.chance(500) => entity.homes.push(second),
            _ => {}
        }
    }

    /// `--wrap`: a function of one object, its wrapper in another; who defines it doesn't call it.
    fn choose_wrapped(&mut self, dice: &mut Dice<'_>) {
        if !self.config.wrap {
            return;
        }
        let direct = self.direct();
        let found = self.entities.iter().position(|entity| {
            entity.kind == Kind::Func
                && !entity.local
                && !entity.comdat
                && matches!(entity.homes[..], [Home::Object(o)] if direct.contains(&o))
        });
        let Some(index) = found else { return };
        let Home::Object(home) = self.entities[index].homes[0] else { return };
        let others: Vec<usize> = direct.into_iter().filter(|o| *o != home).collect();
        if others.is_empty() {
            return;
        }
        let wrapper_home = *dice.pick(&others);
        let name = self.entities[index].name.clone();
        let mut wrapper = self.entities[index].clone();
        wrapper.name = format!("__wrap_{name}");
        wrapper.homes = vec![Home::Object(wrapper_home)];
        wrapper.visibility = Visibility::Default;
        let mut real = self.entities[index].clone();
        real.name = format!("__real_{name}");
        real.definition = Some(String::new());
        real.barred = vec![home];
        // The original is reached only as __real_; plain references mean the wrapper, whose
        // visibility is the default one.
        self.entities[index].barred = (0..self.drafts.len()).collect();
        self.entities.push(wrapper);
        self.entities.push(real);
        self.case.options.push(Opt::Wrap(name.clone()));
        let mut call = self.entities[index].clone();
        call.barred = vec![home, wrapper_home];
        call.visibility = Visibility::Default;
        call.homes = vec![Home::Object(wrapper_home)];
        call.definition = Some(String::new());
        self.entities.push(call);
    }

    /// Writes every definition into its object or library.
    pub(super) fn define_entities(&mut self, dice: &mut Dice<'_>) {
        for index in 0..self.entities.len() {
            // An empty definition name: the entity is only another way to refer to one.
            if self.entities[index].definition.as_deref() == Some("") {
                continue;
            }
            let homes = self.entities[index].homes.clone();
            let weak_first = self.config.weak && dice.chance(200);
            let beside = dice.chance(500);
            for (nth, home) in homes.into_iter().enumerate() {
                let entity = &self.entities[index];
                let binding = match nth {
                    _ if entity.local => Binding::Local,
                    _ if entity.unique => Binding::Unique,
                    _ if entity.kind == Kind::Common => Binding::Global,
                    _ if entity.comdat || (nth > 0 && matches!(home, Home::Object(_))) => {
                        Binding::Weak
                    }
                    0 if weak_first && beside => Binding::Weak,
                    _ => Binding::Global,
                };
                match home {
                    Home::Object(object) => self.define(dice, index, object, binding),
                    Home::Library(library) => self.define_in_library(dice, index, library),
                }
            }
        }
    }

    fn define(&mut self, dice: &mut Dice<'_>, entity: usize, object: usize, binding: Binding) {
        let number = self.next();
        let config = self.config;
        let what = self.entities[entity].clone();
        let (kind, size, definition) = match what.kind {
            Kind::Absolute(value) => (SymbolKind::Notype, 0, Definition::Absolute(value)),
            Kind::Common => {
                let size = what.size * *dice.pick(&[1, 1, 2, 5]);
                let align = *dice.pick(&[1, 2, 4, 8, 16, 32, 64]);
                (SymbolKind::Object, size, Definition::Common { align })
            }
            _ => self.place(dice, &what, object, number),
        };
        let draft = &mut self.drafts[object];
        if what.comdat
            && let Definition::Section { section, .. } = definition
        {
            let signature = what.name.clone();
            draft.object.groups.push(Group { signature, comdat: true, members: vec![section] });
        }
        let mut visibility = what.visibility;
        let name = what.definition.unwrap_or_else(|| what.name.clone());
        let direct = draft.archive.is_none();
        let index = draft.object.symbols.len();
        draft.mentions.insert(entity, index);
        let other = (0..self.drafts.len())
            .find(|other| *other != object && self.drafts[*other].archive.is_none());
        if let (true, true, [_], Some(other)) =
            (config.reference_visibility && dice.chance(200), direct, &what.homes[..], other)
            && visibility != Visibility::Default
        {
            // Only a reference says it.
            visibility = match dice.chance(500) {
                true => Visibility::Default,
                false => at_most(dice, visibility),
            };
            let undefined = Symbol {
                name: what.name,
                binding: Binding::Global,
                kind: if what.kind == Kind::Tls { SymbolKind::Tls } else { SymbolKind::Notype },
                visibility: what.visibility,
                size: 0,
                definition: Definition::Undefined,
                desc: Default::default(),
            };
            let draft = &mut self.drafts[other];
            draft.object.symbols.push(undefined);
            draft.mentions.insert(entity, draft.object.symbols.len() - 1);
        }
        let symbol =
            Symbol { name, binding, kind, visibility, size, definition, desc: Default::default() };
        self.drafts[object].object.symbols.push(symbol);
    }

    /// Puts an entity's bytes into a section of `object`.
    fn place(
        &mut self,
        dice: &mut Dice<'_>,
        what: &Entity,
        object: usize,
        number: u64,
    ) -> (SymbolKind, u64, Definition) {
        let (config, machine) = (self.config, self.machine);
        let own = what.comdat || (config.own_sections && dice.chance(500));
        let odd = config.odd && dice.chance(300);
        let word = unique(number);
        let (kind, base, letters, nobits) = match what.kind {
            Kind::Func => (SymbolKind::Func, ".text", "ax", false),
            Kind::Ifunc => (SymbolKind::Ifunc, ".text", "ax", false),
            Kind::Tls if dice.chance(400) => (SymbolKind::Tls, ".tbss", "awt", true),
            Kind::Tls => (SymbolKind::Tls, ".tdata", "awt", false),
            _ => {
                let places = [(".data", "aw"), (".data", "aw"), (".rodata", "a"), (".bss", "aw")];
                let (base, letters) = *dice.pick(&places);
                (SymbolKind::Object, base, letters, base == ".bss")
            }
        };
        let name = if own { format!("{base}.{}", what.name) } else { base.to_owned() };
        let contents = if nobits { SectionKind::Nobits } else { SectionKind::Progbits };
        let draft = &mut self.drafts[object];
        let section = if what.comdat {
            draft.add_section(&name, contents, letters)
        } else {
            draft.section(&name, contents, letters)
        };
        let (align, bytes) = match what.kind {
            Kind::Func => (if odd { 1 } else { 16 }, (machine.code.returns)(word)),
            Kind::Ifunc => (16, (machine.code.resolver)(word)),
            Kind::Tls if config.tls_aligned => {
                (*dice.pick(&[1, 4, 16, 32, 64, 128]), data(word, what.size))
            }
            _ if odd => (1, data(word, what.size)),
            _ => (if what.size.is_multiple_of(16) { 16 } else { 8 }, data(word, what.size)),
        };
        if odd && !nobits && !(letters.contains('x') && machine.code.align > 1) {
            draft.append(section, 1, &[0x90]);
        }
        let offset = draft.append(section, align, &bytes);
        let size = if what.size == 0 { bytes.len() as u64 } else { what.size };
        let offset = match what.kind {
            Kind::Func | Kind::Ifunc => offset + (machine.code.state)(word),
            _ => offset,
        };
        (kind, size, Definition::Section { section, offset })
    }

    fn define_in_library(&mut self, dice: &mut Dice<'_>, entity: usize, library: usize) {
        let what = &self.entities[entity];
        let kind = match what.kind {
            Kind::Func => SymbolKind::Func,
            Kind::Tls => SymbolKind::Tls,
            Kind::Ifunc => SymbolKind::Ifunc,
            _ => SymbolKind::Object,
        };
        let alias = entity as u32 + 1;
        let readonly = kind == SymbolKind::Object && dice.chance(150);
        let symbol = LibrarySymbol {
            name: what.name.clone(),
            version: None,
            binding: if dice.chance(100) { Binding::Weak } else { Binding::Global },
            kind,
            visibility: Visibility::Default,
            size: match kind {
                SymbolKind::Func => (self.machine.code.returns)(0).len() as u64,
                _ => what.size.max(1),
            },
            defined: LibraryDefinition::Defined { alias, readonly },
        };
        let symbols = &mut self.libraries[library].symbols;
        if self.config.aliases && kind == SymbolKind::Object && dice.chance(500) {
            let name = format!("{}_alias", symbol.name);
            symbols.push(LibrarySymbol { name, ..symbol.clone() });
        }
        symbols.push(symbol);
    }
}

/// Bytes that occur nowhere else.
fn data(word: u64, size: u64) -> Vec<u8> {
    (0..size.div_ceil(8)).flat_map(|i| (word ^ i).to_le_bytes()).take(size as usize).collect()
}
