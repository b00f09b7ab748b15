//! Functions that refer to entities, from the machine's sequences whose targets allow them.

use super::Dice;
use super::world::{Entity, Home, Kind, Traits, World};
use crate::case::*;
use crate::emit;
use crate::machine::{Form, Needs, Sequence, Who};

impl World<'_> {
    /// Functions in every object: each has one form, and a name that a host can call.
    pub(super) fn add_code(&mut self, dice: &mut Dice<'_>) {
        let code = &self.machine.code;
        let rare = if self.config.apx { code.rare } else { &[] };
        let forms = code.sequences.iter().chain(rare).filter(|form| (form.on)(self.config));
        let forms: Vec<&Sequence> = forms.collect();
        for object in 0..self.drafts.len() {
            let tries = dice.range(1, 9);
            for _ in 0..tries {
                let form = *dice.pick(&forms);
                let targets =
                    self.reachable(object, |entity, traits| self.suits(form, entity, traits));
                if form.needs == Needs::Nothing {
                    self.add_function(dice, object, form, None);
                } else if !targets.is_empty() {
                    let target = *dice.pick(&targets);
                    self.add_function(dice, object, form, Some(target));
                }
            }
        }
    }

    /// Whether `form` may refer to `entity` whatever a linker decides.
    fn suits(&self, form: &Sequence, entity: &Entity, traits: Traits) -> bool {
        let config = self.config;
        let exe = !self.is_library();
        let tls = entity.kind == Kind::Tls;
        let function = matches!(entity.kind, Kind::Func | Kind::Ifunc);
        let absolute = matches!(entity.kind, Kind::Absolute(_) | Kind::Alias);
        let ifunc = entity.kind == Kind::Ifunc;
        // Copies and canonical PLTs.
        let copied = exe
            && traits.imported
            && config.copies
            && (entity.kind == Kind::Object
                || (entity.kind == Kind::Func && self.mode() == scold_diff::Mode::Exe));
        let direct = (traits.near || copied) && !traits.absent && (!ifunc || config.ifunc_address);
        match form.needs {
            Needs::Any => !tls && self.got_reaches(form, entity),
            Needs::Near => !tls && direct && !absolute,
            Needs::Placed => traits.near && !tls && !absolute && !ifunc,
            Needs::Body => traits.near && entity.kind == Kind::Func,
            Needs::Loaded(width) => {
                traits.near && entity.kind == Kind::Object && self.has_whole(entity, width.into())
            }
            Needs::Function | Needs::Pointer => function,
            Needs::Address => self.mode() == scold_diff::Mode::Exe && !tls && direct,
            Needs::LowAddress => {
                let low = !matches!(entity.kind, Kind::Absolute(v) if v > 0x7fff_ffff);
                self.mode() == scold_diff::Mode::Exe && !tls && direct && low
            }
            Needs::Sized => traits.near && !tls && !absolute && !ifunc && entity.homes.len() == 1,
            Needs::Tls => tls,
            Needs::NearTls => tls && traits.near,
            Needs::ExeTls => tls && traits.near && exe,
            Needs::Nothing => false,
        }
    }

    /// Whether an object's definition is the only one, at a multiple of so many bytes, and has as many:
    /// a load beyond its end reads what a linker put there.
    fn has_whole(&self, entity: &Entity, width: u64) -> bool {
        let [Home::Object(home)] = entity.homes[..] else { return false };
        let object = &self.drafts[home].object;
        let name = entity.definition.as_ref().unwrap_or(&entity.name);
        let symbol = object.symbols.iter().find(|symbol| symbol.name == *name);
        symbol.is_some_and(|symbol| match symbol.definition {
            Definition::Section { section, offset } => {
                let section = &object.sections[section];
                let aligned = offset.is_multiple_of(width) && section.align.is_multiple_of(width);
                aligned && symbol.size >= width
            }
            _ => false,
        })
    }

    /// A 32-bit load of a GOT entry keeps only what fits: not a case for large numbers.
    fn got_reaches(&self, form: &Sequence, entity: &Entity) -> bool {
        let row = form.parts.first().and_then(|part| self.machine.row(part.1));
        let narrow = row.is_some_and(|row| row.form == Form::GotHalf);
        !(narrow && matches!(entity.kind, Kind::Absolute(value) if value > 0x7fff_ffff))
    }

    fn add_function(
        &mut self,
        dice: &mut Dice<'_>,
        object: usize,
        form: &Sequence,
        target: Option<usize>,
    ) {
        let config = self.config;
        let number = self.next();
        let own = config.own_sections && dice.chance(400);
        let name = if own { format!(".text.p{number}") } else { ".text".to_owned() };
        let bytes = self.body(dice, form);
        let align = if config.odd && dice.chance(200) { 1 } else { 16 };
        let draft = &mut self.drafts[object];
        let section = draft.section(&name, SectionKind::Progbits, "ax");
        let start = draft.append(section, align, &bytes);
        let (beside, by_section) = self.beside(dice, object, form, target);
        for (at, r_type, addend, who) in form.parts {
            let mut addend = i64::from(*addend);
            let symbol = match (who, target) {
                (Who::Target, Some(target)) => {
                    addend += beside;
                    self.refer(dice, object, target, by_section, &mut addend)
                }
                (Who::TlsGetAddr, _) => {
                    self.tls_get_addr = true;
                    SymbolRef::Named(self.named(object, "__tls_get_addr", SymbolKind::Notype))
                }
                (Who::ModuleBase, _) => {
                    SymbolRef::Named(self.named(object, "_TLS_MODULE_BASE_", SymbolKind::Tls))
                }
                (Who::Here, _) if self.machine.rela => {
                    addend += start as i64;
                    SymbolRef::Section(section)
                }
                // A symbol of its own, for not each field has room for an addend.
                (Who::Here, _) => SymbolRef::Named(self.drafts[object].local(
                    &format!("here.{number}"),
                    SymbolKind::Notype,
                    section,
                    start,
                    0,
                )),
                _ => SymbolRef::Named(self.named(
                    object,
                    "_GLOBAL_OFFSET_TABLE_",
                    SymbolKind::Notype,
                )),
            };
            let offset = start + u64::from(*at);
            self.drafts[object].reloc(section, Reloc { offset, r_type: *r_type, symbol, addend });
        }
        let inside = target.is_none_or(|target| self.is_inside(target, beside));
        self.name_function(object, section, start + form.state, form, (number, inside));
    }

    /// Whether so many bytes behind the start of `target` are in its section still: what lies beyond is a linker's
    /// choice, and nothing that a host could ask for.
    fn is_inside(&self, target: usize, beside: i64) -> bool {
        let entity = &self.entities[target];
        let name = entity.definition.as_ref().unwrap_or(&entity.name);
        let mut homes = entity.homes.iter().filter_map(|home| match home {
            Home::Object(object) => Some(&self.drafts[*object].object),
            _ => None,
        });
        beside == 0
            || homes.all(|object| {
                let symbol = object.symbols.iter().find(|symbol| symbol.name == *name);
                symbol.is_some_and(|symbol| match symbol.definition {
                    Definition::Section { section, offset } => {
                        let section = &object.sections[section];
                        let at = offset.checked_add_signed(beside);
                        at.is_some_and(|at| at < section.size())
                    }
                    Definition::Common { .. } => (0..symbol.size as i64).contains(&beside),
                    _ => true,
                })
            })
    }

    /// What a sequence adds to its target, and whether it names the section: one choice for all its
    /// fields, whose parts name the same symbol and addend.
    fn beside(
        &self,
        dice: &mut Dice<'_>,
        object: usize,
        form: &Sequence,
        target: Option<usize>,
    ) -> (i64, bool) {
        let config = self.config;
        let exact = target.is_none_or(|target| self.exact(form, target));
        let beside = if !exact && config.addends && dice.chance(250) {
            *dice.pick(&[1, 2, 4, -1, 0x10])
        } else {
            0
        };
        let by_section = !exact && config.section_symbols && dice.chance(400);
        let offset = target.and_then(|target| self.offset_in(object, target)).unwrap_or(0);
        let beside = if self.can_have(form, beside) { beside } else { 0 };
        (beside, by_section && self.can_have(form, beside + offset as i64))
    }

    /// Whether every field that refers to the target has room for this beside its own addend.
    fn can_have(&self, form: &Sequence, beside: i64) -> bool {
        form.parts.iter().filter(|(.., who)| *who == Who::Target).all(|(_, r_type, own, _)| {
            emit::machine::can_have(self.case.target, *r_type, i64::from(*own) + beside)
        })
    }

    /// Where an object has an entity in a section.
    fn offset_in(&self, object: usize, entity: usize) -> Option<u64> {
        let draft = &self.drafts[object];
        match draft.object.symbols[*draft.mentions.get(&entity)?].definition {
            Definition::Section { offset, .. } => Some(offset),
            _ => None,
        }
    }

    /// The form's bytes, with or without bits where relocations will be.
    fn body(&self, dice: &mut Dice<'_>, form: &Sequence) -> Vec<u8> {
        let mut bytes = form.bytes.to_vec();
        for (at, kind, _, _) in form.parts {
            if self.config.preset_bits && dice.chance(300) {
                let field = self.machine.row(*kind).map(|row| row.field);
                let junk = (dice.bits() & field.map_or(0, |field| field.mask)).to_le_bytes();
                let width = field.map_or(0, |field| usize::from(field.width));
                let bytes = &mut bytes[usize::from(*at)..][..width];
                bytes.iter_mut().zip(junk).for_each(|(byte, junk)| *byte |= junk);
            }
        }
        bytes
    }

    /// Whether the form takes the symbol as it is: no addend, no section symbol.
    fn exact(&self, form: &Sequence, target: usize) -> bool {
        let entity = &self.entities[target];
        let moved = matches!(form.needs, Needs::Near | Needs::Placed | Needs::Address);
        let moved = moved || form.needs == Needs::LowAddress;
        let data = matches!(entity.kind, Kind::Object | Kind::Common);
        !(moved && data && self.traits(entity).near)
    }

    /// A reference to `target`: by name, or as section symbol and addend where that is the same.
    pub(super) fn refer(
        &mut self,
        dice: &mut Dice<'_>,
        object: usize,
        target: usize,
        by_section: bool,
        addend: &mut i64,
    ) -> SymbolRef {
        let symbol = self.mention(dice, object, target);
        let entity = &self.entities[target];
        let draft = &self.drafts[object];
        let placed = draft.object.symbols[symbol].definition;
        let same = entity.homes.len() == 1 && self.traits(entity).near;
        if let (Definition::Section { section, offset }, true, true) = (placed, by_section, same)
            && !draft.is_grouped(section)
        {
            *addend += offset as i64;
            return SymbolRef::Section(section);
        }
        SymbolRef::Named(symbol)
    }

    /// `scold.probe.N` is a function that a host may call, `scold.apx.N` one that needs a newer machine,
    /// `scold.beside.N` one that comes upon what is not its target's.
    fn name_function(
        &mut self,
        object: usize,
        section: usize,
        at: u64,
        form: &Sequence,
        (number, inside): (u64, bool),
    ) {
        let draft = &mut self.drafts[object];
        let size = form.bytes.len() as u64;
        let rare = self.machine.code.rare;
        let what = match rare.iter().any(|one| std::ptr::eq(one, form)) {
            true => "apx",
            false if inside => "probe",
            false => "beside",
        };
        let name = format!("scold.{what}.{number}");
        let symbol = draft.local(&name, SymbolKind::Func, section, at, size);
        draft.object.symbols[symbol].binding = Binding::Global;
        if draft.archive.is_none() {
            self.probes.push((object, symbol));
        }
    }
}
