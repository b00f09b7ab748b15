//! Entities → definitions in objects.

use super::World;
use super::plan::{Entity, Home, Kind, Scope};
use crate::case::{Binding, Definition, Desc, Object, Symbol, SymbolRef, Visibility};
use crate::generate::dice::Dice;
use crate::generate::macho::parts::{self, Content};

impl World {
    /// Puts every entity into the objects that define it.
    pub(super) fn define(&mut self, dice: &mut Dice<'_>) {
        for number in 0..self.entities.len() {
            let entity = self.entities[number].clone();
            let Home::Objects(homes) = &entity.home else { continue };
            let kept = dice.chance(100);
            for &object in homes {
                let symbol = entity_symbol(&entity, kept);
                self.define_in(object, &entity, symbol);
            }
        }
    }

    fn define_in(&mut self, object: usize, entity: &Entity, symbol: Symbol) {
        let (machine, code) = (self.machine, self.code);
        let object = &mut self.objects[object];
        let bytes = Content::of(&vec![entity.fill; entity.size]);
        let (section, align, content) = match entity.kind {
            Kind::Func => {
                let content = Content::of(&code.returns(0x100 + u16::from(entity.fill)));
                ("__TEXT,__text", 16, content)
            }
            Kind::Data => ("__DATA,__data", entity.align, bytes),
            Kind::Const => ("__DATA,__const", entity.align, bytes),
            Kind::Zerofill => ("__DATA,__bss", entity.align, bytes),
            Kind::Inside => return inside(object, entity, bytes, symbol),
            Kind::Common(size, align) => {
                let definition = Definition::Common { align };
                parts::name(object, Symbol { definition, size, ..symbol });
                return;
            }
            Kind::Number(value) => {
                parts::name(object, Symbol { definition: Definition::Absolute(value), ..symbol });
                return;
            }
            Kind::Variable(zero) => {
                let section = if zero { "__DATA,__thread_bss" } else { "__DATA,__thread_data" };
                let init = format!("{}_{}$tlv$init", entity.name, &object.name[..1]);
                let init = parts::symbol(&init, Binding::Local, Definition::Undefined);
                let content = parts::atom(object, section, entity.align, bytes, init);
                // As compilers align them.
                ("__DATA,__thread_vars", 8, parts::descriptor(object, machine, content))
            }
        };
        parts::atom(object, section, align, content, symbol);
    }

    /// How `object` names an entity.
    pub(super) fn mention(&mut self, object: usize, entity: usize) -> SymbolRef {
        let entity = &self.entities[entity];
        let symbols = &mut self.objects[object].symbols;
        if let Some(known) = symbols.iter().position(|symbol| symbol.name == entity.name) {
            return SymbolRef::Named(known);
        }
        let binding = if entity.nullable { Binding::Weak } else { Binding::Global };
        symbols.push(parts::symbol(&entity.name, binding, Definition::Undefined));
        SymbolRef::Named(symbols.len() - 1)
    }

    /// An entity that `object` can name, of those that `wanted` likes.
    pub(super) fn pick(
        &self,
        dice: &mut Dice<'_>,
        object: usize,
        wanted: impl Fn(&Entity) -> bool,
    ) -> Option<usize> {
        let fits = |entity: &Entity| entity.is_visible(object) && wanted(entity);
        let list: Vec<usize> =
            (0..self.entities.len()).filter(|&it| fits(&self.entities[it])).collect();
        (!list.is_empty()).then(|| *dice.pick(&list))
    }
}

/// An atom with a name of its own, and the entity behind its start.
fn inside(object: &mut Object, entity: &Entity, mut bytes: Content, symbol: Symbol) {
    let around = format!("_around{}", entity.name);
    let around = parts::symbol(&around, Binding::Local, Definition::Undefined);
    bytes.bytes.extend([entity.fill; 8]);
    let (section, offset) = parts::add(object, "__DATA,__data", 16, bytes);
    let at = |more| Definition::Section { section, offset: offset + more };
    parts::name(object, Symbol { definition: at(0), ..around });
    let desc = Desc { alt_entry: true, ..symbol.desc };
    parts::name(object, Symbol { definition: at(8), desc, ..symbol });
}

fn entity_symbol(entity: &Entity, kept: bool) -> Symbol {
    let (binding, visibility) = match entity.scope {
        Scope::Global => (Binding::Global, Visibility::Default),
        Scope::Private => (Binding::Global, Visibility::Hidden),
        Scope::Weak | Scope::Hideable => (Binding::Weak, Visibility::Default),
        Scope::WeakPrivate => (Binding::Weak, Visibility::Hidden),
        Scope::Local => (Binding::Local, Visibility::Default),
    };
    let desc = Desc {
        can_be_hidden: entity.scope == Scope::Hideable,
        no_dead_strip: kept && !matches!(entity.kind, Kind::Common(..) | Kind::Number(_)),
        ..Desc::default()
    };
    let symbol = parts::symbol(&entity.name, binding, Definition::Undefined);
    Symbol { visibility, desc, ..symbol }
}
