//! The module as a whole: exports, imports, lookups, sections, init and fini, needed libraries, flags,
//! unwinding, entry.
//!
//! Spec: gABI chapters 4 and 5, LSB §10.6. It must not know what relocations do: `site.rs` says what
//! they mean and how they use names.

mod contents;

use rustc_hash::FxHashSet;
use scold_diff::expectation::Choice;
use scold_diff::model::{self, Binding as Bind, Meaning, Place, Value};
use scold_diff::{Family, Key};

use super::binding::has_dynamic_table;
use super::resolve::{Fate, Target, Winner, unwinds};
use super::site::Sites;
use super::unwind;
use super::world::Name;
use crate::case::{Binding, Case, Definition, SymbolKind, SymbolRef, Visibility};

/// Three names that no input mentions.
const ABSENT: [&str; 3] = ["scold.absent.1", "scold.absent.2", "scold.absent.3"];

impl Sites<'_, '_> {
    /// Adds every fact that is not a site; returns the decisions that are the linker's.
    pub(crate) fn finish(&mut self, case: &Case, entry: &str) -> Vec<Choice> {
        let mut choices = Vec::new();
        let table = has_dynamic_table(self.link);
        if table {
            self.exports();
            self.imports();
            self.lookups();
            self.needed();
            self.flags(case);
        }
        self.weak_choices(&mut choices);
        self.arrays();
        self.sections();
        self.unwind();
        if !self.link.world.on.library {
            self.entry(entry);
        }
        choices
    }

    fn exports(&mut self) {
        for id in 0..self.link.syms.len() {
            if !self.bounds[id].exported {
                continue;
            }
            let sym = &self.link.syms[id];
            let key = self.export_key(id);
            let value = Value::Export {
                kind: kind(sym.kind),
                binding: binding(sym.binding),
                protected: sym.visibility == Visibility::Protected,
                size: sym.size,
                meaning: self.export_meaning(id),
            };
            if sym.kind == SymbolKind::Ifunc && !self.link.world.on.pic {
                // Its address is a canonical PLT entry's if anything took it.
                self.findings.open(Family::Export, key.clone(), "IFUNC of an executable");
                self.findings.open(Family::Lookup, &*sym.name, "IFUNC of an executable");
            }
            self.facts.add(Family::Export, key, value);
        }
    }

    fn export_key(&self, id: usize) -> String {
        let name = &self.link.syms[id].name;
        match &self.bounds[id].version {
            Some((version, true)) => format!("{name}@@{version}"),
            Some((version, false)) => format!("{name}@{version}"),
            None => name.clone().into_owned(),
        }
    }

    fn imports(&mut self) {
        for id in 0..self.link.syms.len() {
            let sym = &self.link.syms[id];
            let imported = match sym.winner {
                Winner::Library { .. } => true,
                Winner::Undefined => self.bounds[id].dynamic,
                _ => false,
            };
            if !imported || !sym.in_objects {
                continue;
            }
            let name = self.lookup_name(id);
            let uses = self.uses[id];
            if self.is_library_number(id) {
                self.open_name(&name, id, "a number of a library");
            }
            if !uses.any {
                let key = Key::new(Family::Import, &*name);
                self.findings.policy(key, "an import nothing uses");
                if !sym.strong_ref || self.link.world.on.gc {
                    continue;
                }
            }
            if sym.name == "__tls_get_addr" {
                // Its calls come and go with relaxation: no fact tells of it.
                continue;
            }
            if sym.wanted.is_some() && sym.winner == Winner::Undefined {
                self.findings.everything("a version that no library defines", true);
            }
            let copied = uses.direct && !self.link.world.on.library;
            if copied && sym.kind == SymbolKind::Object && !self.is_library_number(id) {
                self.copy(id, &name);
                continue;
            }
            if copied && (sym.kind == SymbolKind::Notype || self.is_protected(id)) {
                // Neither a function nor data: bfd copies nothing, lld refuses. A protected function
                // has its own address in its library, which a program's PLT entry can't be.
                self.findings.may(model::ErrorClass::RelocDynamic);
            }
            if copied || (uses.word && !self.link.world.on.pic && sym.kind == SymbolKind::Object) {
                self.open_name(&name, id, "canonical PLT entry, copy or plain import");
            }
            self.facts.add(Family::Import, name, Value::Import { weak: !sym.strong_ref });
        }
    }

    fn is_protected(&self, id: usize) -> bool {
        match self.link.syms[id].winner {
            Winner::Library { library, symbol } => {
                let symbol = &self.link.world.libraries[library].symbols[symbol];
                symbol.visibility == Visibility::Protected
            }
            _ => false,
        }
    }

    fn open_name(&mut self, name: &str, id: usize, reason: &'static str) {
        let plain = &self.link.syms[id].name;
        self.findings.policy(Key::new(Family::Import, name), reason);
        self.findings.policy(Key::new(Family::Export, format!("{plain}*")), reason);
        self.findings.policy(Key::new(Family::Lookup, &**plain), reason);
    }

    /// An executable's own copy of a library's variable.
    fn copy(&mut self, id: usize, name: &str) {
        let sym = &self.link.syms[id];
        let Winner::Library { library, symbol } = sym.winner else { return };
        let definition = &self.link.world.libraries[library].symbols[symbol];
        if definition.size == 0 || definition.visibility == Visibility::Protected {
            self.findings.may(model::ErrorClass::RelocDynamic);
            self.findings.everything("copy of a protected or empty variable", false);
        }
        if definition.version.is_some() {
            self.open_name(name, id, "version of a copied variable");
        }
        let value = Value::Export {
            kind: SymbolKindOut::Object,
            binding: binding(definition.binding),
            protected: false,
            size: definition.size,
            meaning: Meaning::Dynamic(name.into()),
        };
        // bfd gives the copy the binding of the reference, others the library's.
        self.findings.policy(Key::new(Family::Export, name), "binding of a copied variable");
        self.facts.add(Family::Export, name, value);
        self.copies.insert(name.into());
        let aliases = &self.link.world.libraries[library].symbols;
        for (index, alias) in aliases.iter().enumerate() {
            if alias.defined != definition.defined || alias.name == definition.name {
                continue;
            }
            let reason = "aliases of a copied variable";
            let key = format!("{}*", alias.name);
            self.findings.policy(Key::new(Family::Export, key.clone()), reason);
            self.findings.policy(Key::new(Family::Import, key), reason);
            self.findings.policy(Key::new(Family::Lookup, &*alias.name), reason);
            let alias_id = self.link.find(&alias.name);
            let Some(alias_id) = alias_id.filter(|id| {
                self.link.syms[*id].winner == Winner::Library { library, symbol: index }
            }) else {
                continue;
            };
            let name = self.lookup_name(alias_id);
            let value = Value::Export {
                kind: SymbolKindOut::Object,
                binding: binding(alias.binding),
                protected: false,
                size: alias.size,
                meaning: Meaning::Dynamic(name.as_str().into()),
            };
            if self.copies.insert(name.as_str().into()) {
                self.facts.add(Family::Export, name, value);
            }
        }
    }

    fn lookups(&mut self) {
        let world = &self.link.world;
        let mut names: FxHashSet<&str> = ABSENT.into_iter().collect();
        for file in &world.files {
            let global = file.object.symbols.iter().filter(|s| s.binding != Binding::Local);
            names.extend(global.map(|s| Name::parse(&s.name).base));
        }
        names.retain(|name| !scold_diff::model::elf::is_linkers(name));
        let mut found: Vec<(Box<str>, Meaning)> = Vec::new();
        for (key, value) in self.facts.iter().filter(|(key, _)| key.family == Family::Export) {
            let Value::Export { meaning, .. } = value else { continue };
            let (base, version) = key.rest.split_once('@').unwrap_or((&key.rest, ""));
            // Hidden versions only answer to those who ask for them.
            if version.is_empty() || version.starts_with('@') {
                found.push((base.into(), meaning.clone()));
            }
        }
        // A copy has the version of what it copies, but is no hidden definition: it answers to the
        // plain name unless two versions do.
        for name in &self.copies {
            let base = Name::parse(name).base;
            let same = self.copies.iter().filter(|other| Name::parse(other).base == base);
            if name.contains('@') && same.count() == 1 {
                found.push((base.into(), Meaning::Dynamic((**name).into())));
            }
        }
        for name in names {
            let answer = found.iter().find(|(n, _)| **n == *name).map(|(_, m)| m.clone());
            self.facts.add(Family::Lookup, name, Value::Found(answer));
        }
    }

    fn needed(&mut self) {
        let mut list: Vec<&str> = Vec::new();
        let mut seen_optional = false;
        for (index, library) in self.link.world.libraries.iter().enumerate() {
            let optional = library.as_needed || self.link.world.on.as_needed;
            let used = self.link.syms.iter().enumerate().any(|(id, sym)| {
                matches!(sym.winner, Winner::Library { library, .. } if library == index)
                    && sym.strong_ref
                    && (self.uses[id].any || {
                        seen_optional |= optional;
                        true
                    })
            });
            seen_optional |= optional && !used;
            let name = library.soname.as_deref().unwrap_or(&library.name);
            if (used || !optional) && !list.contains(&name) {
                list.push(name);
            }
        }
        if seen_optional {
            // bfd decides when it reads the library, others after resolution; only some count uses.
            self.findings.policy(Key::new(Family::Needed, "*"), "--as-needed");
            self.findings.policy(Key::new(Family::Export, "*"), "--as-needed");
            self.findings.policy(Key::new(Family::Lookup, "*"), "--as-needed");
        }
        for (index, name) in list.into_iter().enumerate() {
            self.facts.add(Family::Needed, index.to_string(), Value::Text(name.into()));
        }
    }

    fn flags(&mut self, case: &Case) {
        let on = &self.link.world.on;
        if let Some(name) = on.soname {
            if on.library {
                self.facts.add(Family::Dynamic, "soname", Value::Text(name.into()));
            } else {
                let key = Key::new(Family::Dynamic, "soname");
                self.findings.policy(key, "-soname of an executable");
            }
        }
        let _ = case;
        // With it, a loader would find what a dynamic list names in the library itself.
        let symbolic = on.symbolic && on.library && on.dynamic_list.is_none();
        let list = [
            ("now", on.now),
            ("nodelete", on.nodelete),
            ("symbolic", symbolic),
            ("textrel", self.textrel),
            ("static_tls", self.static_tls && on.library),
        ];
        for (name, set) in list {
            if set {
                self.facts.add(Family::Dynamic, name, Value::Flag(true));
            }
        }
        let key = |name: &str| Key::new(Family::Dynamic, name);
        if !on.pic && !self.needed.contains(&true) {
            // Whether a program that needs none of its libraries is a dynamic one.
            self.findings.policy(key("now"), "an executable that needs no library");
        }
        if !on.library {
            self.findings.policy(key("symbolic"), "-Bsymbolic of an executable");
            self.findings.policy(key("nodelete"), "-z nodelete of an executable");
            self.findings.policy(key("static_tls"), "DF_STATIC_TLS of an executable");
        }
        if self.textrel {
            self.findings.policy(key("textrel"), "text relocations");
        }
    }

    /// A weak reference of an executable that nothing answers: null everywhere or looked up everywhere.
    fn weak_choices(&mut self, choices: &mut Vec<Choice>) {
        for (id, sites) in std::mem::take(&mut self.weak_sites) {
            let name = self.lookup_name(id);
            let mut null = Vec::new();
            let mut dynamic = Vec::new();
            for key in sites {
                if self.facts.get(&key).is_some() {
                    null.push((key.clone(), Some(Value::Ref(Meaning::Absolute(0)))));
                    let meaning = Meaning::Dynamic(name.clone().into());
                    dynamic.push((key, Some(Value::Ref(meaning))));
                }
            }
            let import = Key::new(Family::Import, &*name);
            null.push((import.clone(), None));
            dynamic.push((import, Some(Value::Import { weak: true })));
            choices.push(Choice {
                reason: "weak undefined name of an executable: null or looked up",
                alternatives: vec![null, dynamic],
            });
        }
    }

    fn unwind(&mut self) {
        for file in self.link.loaded() {
            for index in 0..self.labels[file].len() {
                let section = self.link.section(file, index);
                if !unwinds(section) || self.link.fates[file][index] != Fate::Live {
                    continue;
                }
                let Some(fdes) = unwind::fdes(section) else {
                    self.findings.may(model::ErrorClass::BadInput);
                    self.findings.open(Family::Unwind, "*", "an .eh_frame that can't be read");
                    continue;
                };
                for fde in fdes {
                    self.fde(file, &fde);
                }
            }
        }
    }

    fn fde(&mut self, file: usize, fde: &unwind::Fde<'_>) {
        // An FDE belongs to the section it was compiled with, even if its symbol is another's now.
        let Some(place) = self.input_place(file, fde.begin) else { return };
        let lsda = match fde.lsda.map(|reloc| self.input_place(file, reloc)) {
            None => "none".to_owned(),
            Some(Some(place)) => place.to_string(),
            Some(None) => {
                let reason = "an LSDA outside of the module";
                self.findings.open(Family::Unwind, place.to_string(), reason);
                String::new()
            }
        };
        let mut text = format!("len={} aug={} lsda={lsda}", fde.length, fde.augmentation);
        if let Some((indirect, reloc)) = fde.personality {
            let mark = if indirect { "*" } else { "" };
            match reloc.and_then(|reloc| self.input_place(file, reloc)) {
                Some(routine) => text.push_str(&format!(" personality={mark}{routine}")),
                None => {
                    let reason = "a personality routine outside of the module";
                    self.findings.open(Family::Unwind, place.to_string(), reason);
                }
            }
        }
        if fde.written {
            let reason = "a relocation of a frame's instructions";
            self.findings.open(Family::Unwind, place.to_string(), reason);
        }
        let (code, data, register) = fde.factors;
        text.push_str(&format!(" cfa={code},{data},{register} frame={:016x}", fde.frame));
        let key = Key::new(Family::Unwind, place.to_string());
        match self.facts.get(&key) {
            Some(Value::Text(old)) if **old == *text => {}
            Some(_) => self.findings.open(Family::Unwind, key.rest, "two FDEs for one function"),
            None => self.facts.add(Family::Unwind, key.rest, Value::Text(text.into())),
        }
    }

    fn input_place(&self, file: usize, reloc: &crate::case::Reloc) -> Option<Place> {
        let defined = |file: usize, symbol: usize| match self.link.symbol(file, symbol).definition {
            Definition::Section { section, offset } => Some((file, section, offset)),
            _ => None,
        };
        let (file, section, offset) = match self.link.target(file, reloc.symbol) {
            Target::Null => None,
            Target::Section { file, section } => Some((file, section, 0)),
            Target::Local { file, symbol } => defined(file, symbol),
            Target::Global(id) => match (reloc.symbol, self.link.syms[id].winner) {
                (SymbolRef::Named(symbol), _) if defined(file, symbol).is_some() => {
                    defined(file, symbol)
                }
                (_, Winner::Object { file, symbol }) => defined(file, symbol),
                _ => None,
            },
        }?;
        if self.link.fates[file][section] != Fate::Live {
            return None;
        }
        let offset = (offset as i64).wrapping_add(reloc.addend);
        Some(Place { section: self.labels[file][section].clone(), offset })
    }

    fn entry(&mut self, name: &str) {
        let winner = self.link.find(name).map(|id| (id, self.link.syms[id].winner));
        match winner {
            Some((id, Winner::Object { .. })) => {
                self.facts.add(Family::Entry, "", Value::Ref(self.export_meaning(id)));
            }
            _ => self.findings.open(Family::Entry, "", "no entry symbol"),
        }
    }
}

use scold_diff::model::SymbolKind as SymbolKindOut;

fn kind(kind: SymbolKind) -> SymbolKindOut {
    match kind {
        SymbolKind::Notype => SymbolKindOut::Notype,
        SymbolKind::Object => SymbolKindOut::Object,
        SymbolKind::Func => SymbolKindOut::Func,
        SymbolKind::Tls => SymbolKindOut::Tls,
        SymbolKind::Ifunc => SymbolKindOut::Ifunc,
    }
}

fn binding(binding: Binding) -> Bind {
    match binding {
        Binding::Weak => Bind::Weak,
        Binding::Unique => Bind::Unique,
        Binding::Global | Binding::Local => Bind::Global,
    }
}
