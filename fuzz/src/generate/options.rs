//! Options that change what a link means.

use super::Dice;
use super::world::{Home, Kind, World};
use crate::case::*;

impl World<'_> {
    pub(super) fn choose_options(&mut self, dice: &mut Dice<'_>) {
        let config = self.config;
        let library = self.is_library();
        let dynamic = library || self.mode() == scold_diff::Mode::Pie;
        let style = *dice.pick(&[HashStyle::Sysv, HashStyle::Gnu, HashStyle::Both]);
        let rows = [
            (config.bsymbolic && library && !self.bsymbolic, Opt::Bsymbolic),
            (config.bsymbolic_functions && library, Opt::BsymbolicFunctions),
            (config.export_dynamic && !library, Opt::ExportDynamic),
            (config.gc_sections, Opt::GcSections),
            (config.no_relax, Opt::NoRelax),
            (config.now, Opt::Now),
            (config.nodelete && library, Opt::Nodelete),
            (config.relr && dynamic, Opt::PackRelativeRelocs),
            (config.hash_style, Opt::HashStyle(style)),
            (config.soname && library, Opt::Soname("scold.so".into())),
            (config.o2, Opt::O2),
            (config.defs && library && !config.unresolved, Opt::Defs),
        ];
        self.bsymbolic |= rows[0].0;
        self.case.options.extend(rows.into_iter().filter(|(on, _)| *on).map(|(_, opt)| opt));
        if config.dynamic_list && library {
            self.add_dynamic_list(dice);
        }
        if config.defsym {
            self.add_defsym(dice);
        }
        if config.undefined
            && let Some(name) = self.some_function(dice)
        {
            self.case.options.push(Opt::Undefined(name));
        }
    }

    fn some_function(&self, dice: &mut Dice<'_>) -> Option<String> {
        let list: Vec<_> = self
            .entities
            .iter()
            .filter(|e| e.kind == Kind::Func && !e.local && e.barred.is_empty())
            .filter(|e| matches!(e.homes[..], [Home::Object(_)]))
            .collect();
        (!list.is_empty()).then(|| dice.pick(&list).name.clone())
    }

    fn add_dynamic_list(&mut self, dice: &mut Dice<'_>) {
        let names: Vec<String> = self
            .entities
            .iter()
            .filter(|e| !e.local && !e.name.contains('@') && dice.chance(500))
            .map(|e| e.name.clone())
            .collect();
        if !names.is_empty() {
            // What is on the list can be preempted, whatever -Bsymbolic says.
            self.bsymbolic = false;
            self.case.options.push(Opt::DynamicList(names));
        }
    }

    /// A number, or a second name for a function of an object.
    fn add_defsym(&mut self, dice: &mut Dice<'_>) {
        let direct = self.direct();
        let template = super::world::Entity {
            name: "ds".into(),
            definition: Some(String::new()),
            kind: Kind::Absolute(0),
            visibility: Visibility::Default,
            homes: vec![Home::Object(direct[0])],
            local: false,
            unique: false,
            comdat: false,
            size: 0,
            barred: vec![],
        };
        if dice.chance(500) {
            let value = *dice.pick(&[0x1234, 0x7fff_ffff, 0x8000_0000, 0]);
            self.case.options.push(Opt::Defsym("ds".into(), DefsymValue::Number(value)));
            self.entities.push(super::world::Entity { kind: Kind::Absolute(value), ..template });
        } else if let Some(name) = self.some_function(dice) {
            self.case.options.push(Opt::Defsym("ds".into(), DefsymValue::Symbol(name)));
            self.entities.push(super::world::Entity { kind: Kind::Alias, ..template });
        }
    }
}
