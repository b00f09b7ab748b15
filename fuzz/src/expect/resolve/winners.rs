//! What no object defines: `--defsym`, libraries, the names that linkers make.
//!
//! It must not know how objects settle a name among themselves: that is `mentions`.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};
use scold_diff::model::ErrorClass;
use scold_diff::{Family, Key};

use super::{Fate, Link, Winner};
use crate::case::{Binding, Definition, DefsymValue, LibraryDefinition, SymbolKind, Visibility};

impl<'c> Link<'c> {
    pub(super) fn apply_defsyms(&mut self) {
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
    pub(super) fn pick_winners(&mut self) {
        let provided = self.library_definitions();
        for id in 0..self.syms.len() {
            let sym = &self.syms[id];
            let key = (&*sym.name, sym.wanted);
            let found = provided.get(&key).copied();
            match sym.winner {
                Winner::Common { .. } if found.is_some() => {
                    let name = sym.name.clone();
                    self.findings.name(&name, "common symbol against a library's definition", true);
                }
                Winner::Undefined => self.pick_winner(id, found),
                Winner::Object { .. } => self.join_versions(id),
                _ => {}
            }
        }
        self.check_commons_against_archives();
        self.check_versions();
        self.check_defsyms();
    }

    /// Definitions of `foo@V` and `foo@@V` are two of one name and version.
    fn join_versions(&mut self, id: usize) {
        let Some(version) = self.syms[id].wanted else { return };
        let Some(plain) = self.find(&self.syms[id].name.clone()) else { return };
        if plain == id || self.syms[plain].version != Some((version, true)) {
            return;
        }
        let weak = |id: usize| self.syms[id].binding == Binding::Weak;
        match (weak(id), weak(plain)) {
            (false, false) => self.findings.error(ErrorClass::DuplicateSymbol),
            (false, true) => {
                self.findings.everything("a strong hidden version over a weak default one", false);
            }
            _ => self.syms[id].winner = Winner::Alias(plain),
        }
    }

    /// An expression of something undefined can't be evaluated.
    fn check_defsyms(&mut self) {
        for id in 0..self.syms.len() {
            if self.syms[id].wanted.is_some() || !matches!(self.syms[id].winner, Winner::Alias(_)) {
                continue;
            }
            match self.syms[self.follow(id)].winner {
                Winner::Undefined => self.findings.error(ErrorClass::UndefinedSymbol),
                // lld wants a definition in an object.
                Winner::Library { .. } => self.findings.may(ErrorClass::UndefinedSymbol),
                Winner::Object { .. } => match self.syms[self.follow(id)].kind {
                    SymbolKind::Ifunc => {
                        self.findings.everything("--defsym alias of an IFUNC", false);
                    }
                    // bfd: the alias has the type of what it stands for.
                    kind => self.syms[id].kind = kind,
                },
                _ => {}
            }
        }
    }

    /// A name that objects mention under several versions at once: every linker folds them its own way.
    pub(super) fn check_versions(&mut self) {
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
                let name = plain.name.clone();
                self.findings.name(&name, "one name under several versions", true);
            }
        }
    }

    pub(super) fn pick_winner(&mut self, id: usize, found: Option<(usize, usize)>) {
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
        let found = found.filter(|_| !self.is_marker(&self.syms[id].name));
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
    pub(super) fn library_definitions(
        &self,
    ) -> FxHashMap<(&'c str, Option<&'c str>), (usize, usize)> {
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
    pub(super) fn check_commons_against_archives(&mut self) {
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

    /// Whether `name` bounds a section in this link: no other module's does.
    fn is_marker(&self, name: &str) -> bool {
        self.world.on.marks && MARKERS.as_flattened().contains(&name)
    }

    /// Whether the linker itself defines `name` when nobody else does.
    pub(super) fn linker_makes(&self, name: &str) -> bool {
        if LINKER_NAMES.contains(&name) || self.is_marker(name) {
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
}

/// What the Go linker calls the bounds of sections: a mode has the linker define them.
const MARKERS: [[&str; 2]; 7] = [
    ["runtime.text", "runtime.etext"],
    ["runtime.rodata", "runtime.erodata"],
    ["runtime.types", "runtime.etypes"],
    ["runtime.noptrdata", "runtime.enoptrdata"],
    ["runtime.data", "runtime.edata"],
    ["runtime.bss", "runtime.ebss"],
    ["runtime.noptrbss", "runtime.enoptrbss"],
];

/// Names that every linker makes when they are only referenced.
const LINKER_NAMES: &[&str] = &[
    "_GLOBAL_OFFSET_TABLE_",
    "_DYNAMIC",
    "_TLS_MODULE_BASE_",
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
