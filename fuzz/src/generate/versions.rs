//! Versions: of a library's symbols, of definitions (`f@@V`), and version scripts.

use super::Dice;
use super::world::{Home, Kind, World};
use crate::case::*;

impl World<'_> {
    pub(super) fn add_versions(&mut self, dice: &mut Dice<'_>) {
        if self.config.library_versions {
            self.version_libraries(dice);
        }
        if self.config.version_script && self.is_library() {
            self.write_script(dice);
        }
    }

    /// Some symbols of libraries get a default version, some an older one beside it.
    fn version_libraries(&mut self, dice: &mut Dice<'_>) {
        for (number, library) in self.libraries.iter_mut().enumerate() {
            let mut older = Vec::new();
            for symbol in &mut library.symbols {
                if dice.chance(300) {
                    continue;
                }
                symbol.version = Some((format!("L{number}_2"), true));
                if dice.chance(300) {
                    let mut old = symbol.clone();
                    old.version = Some((format!("L{number}_1"), false));
                    if let LibraryDefinition::Defined { alias, .. } = &mut old.defined {
                        *alias += 1000;
                    }
                    older.push(old);
                }
            }
            library.symbols.extend(older);
        }
        self.refer_to_versions(dice);
    }

    /// Some references name the version they want.
    fn refer_to_versions(&mut self, dice: &mut Dice<'_>) {
        for entity in &mut self.entities {
            let [Home::Library(library)] = entity.homes[..] else { continue };
            let versions: Vec<String> = self.libraries[library]
                .symbols
                .iter()
                .filter(|symbol| symbol.name == entity.name)
                .filter_map(|symbol| symbol.version.as_ref().map(|(name, _)| name.clone()))
                .collect();
            if !versions.is_empty() && dice.chance(250) {
                entity.name = format!("{}@{}", entity.name, dice.pick(&versions));
            }
        }
    }

    /// One anonymous node, or named ones; what a host has to find stays global.
    fn write_script(&mut self, dice: &mut Dice<'_>) {
        let mut names: Vec<String> = Vec::new();
        for entity in &self.entities {
            let here = entity.homes.iter().any(|home| matches!(home, Home::Object(_)));
            if here && !entity.local && !matches!(entity.kind, Kind::Absent | Kind::Unresolved) {
                names.push(entity.name.clone());
            }
        }
        names.retain(|name| !name.contains('@') && !name.starts_with("__real_"));
        names.dedup();
        let mut global: Vec<String> = names.iter().filter(|_| dice.chance(600)).cloned().collect();
        global.push("scold.probe.*".into());
        let local = if dice.chance(600) { vec!["*".to_owned()] } else { vec![] };
        let node = |name: &str, global, local, parent| VersionNode {
            name: name.into(),
            global,
            local,
            parent,
        };
        if dice.chance(400) {
            self.case.versions = Some(VersionScript { nodes: vec![node("", global, local, None)] });
            return;
        }
        let second: Vec<String> = names
            .iter()
            .filter(|name| !global.contains(name))
            .filter(|_| dice.chance(500))
            .cloned()
            .collect();
        let mut nodes = vec![node("V1", global, local, None)];
        if !second.is_empty() {
            let parent = dice.chance(500).then(|| "V1".to_owned());
            nodes.push(node("V2", second, vec![], parent));
        }
        if self.config.symver {
            self.add_symver(dice, nodes.last().map_or("V1".into(), |node| node.name.clone()));
        }
        self.case.versions = Some(VersionScript { nodes });
    }

    /// Functions whose own name says their version: one older, one default.
    fn add_symver(&mut self, dice: &mut Dice<'_>, version: String) {
        let direct = self.direct();
        let object = *dice.pick(&direct);
        for sign in ["@", "@@"] {
            if sign == "@" && version == "V1" {
                continue;
            }
            let number = self.next();
            let code = (self.machine.code.returns)(number);
            let name = if sign == "@" { "sv@V1".to_owned() } else { format!("sv@@{version}") };
            let draft = &mut self.drafts[object];
            let section = draft.section(".text", SectionKind::Progbits, "ax");
            let offset = draft.append(section, 16, &code);
            let offset = offset + (self.machine.code.state)(number);
            let symbol = draft.local(&name, SymbolKind::Func, section, offset, code.len() as u64);
            draft.object.symbols[symbol].binding = Binding::Global;
        }
    }
}
