//! The image as a whole: exports, look-ups, sections, initialisers, needed libraries, flags, the entry.
//!
//! Spec: loader.h, and dyld for what it does with it. It must not know what relocations do: `sites` says that.

use rustc_hash::FxHashSet;
use scold_diff::model::macho::is_linkers;
use scold_diff::model::{Binding as Bind, Meaning, Place, SymbolKind, Value, digest};
use scold_diff::{Family, Key};

use super::live::Part;
use super::resolve::{Fate, Winner, install_name};
use super::sites::{Sites, is_taken_apart};
use super::world::SYSTEM;
use crate::case::{Binding, Marker, Section, SectionKind};
use crate::emit;

/// Three names that no input mentions.
const ABSENT: [&str; 3] = ["scold.absent.1", "scold.absent.2", "scold.absent.3"];

impl Sites<'_, '_> {
    /// Adds every fact that is not a site.
    pub(super) fn finish(&mut self) {
        self.exports();
        self.lookups();
        self.needed();
        self.flags();
        self.arrays();
        self.sections();
        self.unwind();
        self.entry();
        self.imports();
    }

    /// Exported definitions that are in the output.
    fn exported(&self) -> Vec<(usize, Meaning)> {
        let here = |id: &usize| {
            let part = self.link.home(*id);
            self.link.syms[*id].exported && part.is_none_or(|part| self.link.is_live(part))
        };
        let ids = (0..self.link.syms.len()).filter(here);
        ids.filter_map(|id| self.meaning_of(id).map(|meaning| (id, meaning))).collect()
    }

    fn exports(&mut self) {
        for (id, meaning) in self.exported() {
            let sym = &self.link.syms[id];
            let value = Value::Export {
                kind: match self.link.is_thread_local(id) {
                    true => SymbolKind::Tls,
                    false => SymbolKind::Notype,
                },
                binding: if sym.weak { Bind::Weak } else { Bind::Global },
                protected: false,
                size: 0,
                meaning,
            };
            self.facts.add(Family::Export, sym.name, value);
        }
    }

    fn lookups(&mut self) {
        let mut names: FxHashSet<&str> = ABSENT.into_iter().collect();
        for file in &self.link.world.files {
            let symbols = file.object.symbols.iter().filter(|s| s.binding != Binding::Local);
            names.extend(symbols.map(|s| &*s.name));
        }
        let exported = self.exported();
        for name in names.into_iter().filter(|name| !is_linkers(name)) {
            let id = self.link.find(name);
            let found = exported.iter().find(|(it, _)| Some(*it) == id);
            let found = found.map(|(_, meaning)| meaning.clone());
            self.facts.add(Family::Lookup, name, Value::Found(found));
        }
    }

    fn needed(&mut self) {
        let mut list: Vec<String> = Vec::new();
        let way = |name: &str| Key::new(Family::Dynamic, format!("load {name}"));
        for (index, library) in self.link.world.libraries.iter().enumerate() {
            let uses = self.link.syms.iter().filter(
                |s| matches!(s.winner, Winner::Library { library, .. } if library == index),
            );
            let (mut used, mut strongly) = (false, false);
            uses.for_each(|sym| (used, strongly) = (true, strongly | sym.strong_ref));
            if self.link.world.on.needed_only {
                if !used {
                    continue;
                }
                let bound = self.bound.values().any(|id| {
                    let winner = self.link.syms[*id].winner;
                    matches!(winner, Winner::Library { library, .. } if library == index)
                });
                if !bound {
                    // By the symbol tables, or by what is left of the image.
                    let reason = "a library that only dead code uses";
                    self.findings.families(&[Family::Needed], reason, true);
                    self.findings.policy(way("*"), reason);
                }
            }
            let name = install_name(library);
            if library.weak || (used && !strongly) {
                self.facts.add(Family::Dynamic, way(&name).rest, Value::Text("weak".into()));
            }
            list.push(name);
        }
        let mut system = self.link.syms.iter().filter(|s| s.winner == Winner::System).peekable();
        let only_weakly = system.peek().is_some() && system.all(|s| !s.strong_ref);
        if only_weakly && !self.link.world.on.chained {
            // dyld_stub_binder is wanted too, by some if there are stubs only.
            self.findings.policy(way(SYSTEM), "a system library that only weak references use");
        }
        if self.link.world.on.needed_only {
            // Some keep dyld_stub_binder's library in any case.
            let unused = !self.link.syms.iter().any(|s| s.winner == Winner::System);
            if unused {
                let reason = "a system library that nothing uses";
                self.findings.policy(Key::new(Family::Needed, list.len().to_string()), reason);
                self.findings.policy(way(SYSTEM), reason);
            }
        }
        if only_weakly {
            self.facts.add(Family::Dynamic, way(SYSTEM).rest, Value::Text("weak".into()));
        }
        list.push(SYSTEM.to_owned());
        for (index, name) in list.into_iter().enumerate() {
            self.facts.add(Family::Needed, index.to_string(), Value::Text(name.into()));
        }
    }

    fn flags(&mut self) {
        let on = &self.link.world.on;
        if on.dylib {
            self.facts.add(Family::Dynamic, "soname", Value::Text(on.install_name.into()));
        }
        let defines = self.exported().iter().any(|(id, _)| {
            let sym = &self.link.syms[*id];
            sym.weak || sym.overrides
        });
        for (name, set) in [("flat", on.flat), ("weak_defines", defines)] {
            if set {
                self.facts.add(Family::Dynamic, name, Value::Flag(true));
            }
        }
    }

    /// Functions called at load and unload.
    fn arrays(&mut self) {
        let lists =
            [(Family::Init, SectionKind::InitArray), (Family::Fini, SectionKind::FiniArray)];
        for (family, kind) in lists {
            let mut number = 0;
            for file in self.link.world.order.clone() {
                for index in 0..self.link.labels[file].len() {
                    let section = self.link.section(file, index);
                    if section.kind != kind || self.link.fates[file][index] != Fate::Live {
                        continue;
                    }
                    if self.link.world.files[file].archive.is_some() {
                        // ld64 orders files as the command line has them, others as they are loaded.
                        self.findings.families(&[family], "initialisers of an archive", true);
                    }
                    for slot in 0..section.size() / 8 {
                        let meaning = self.slot(file, section, 8 * slot);
                        match meaning {
                            Some(meaning) => {
                                self.facts.add(family, number.to_string(), Value::Ref(meaning));
                            }
                            None => {
                                self.findings.open(family, number.to_string(), "no plain function");
                            }
                        }
                        number += 1;
                    }
                }
            }
        }
    }

    /// The function that a slot of an array names.
    fn slot(&mut self, file: usize, section: &Section, offset: u64) -> Option<Meaning> {
        let mut relocs = section.relocs.iter().filter(|reloc| reloc.offset == offset);
        let (Some(reloc), None) = (relocs.next(), relocs.next()) else { return None };
        if reloc.r_type != self.link.world.machine.pointer {
            return None;
        }
        let meaning = self.named(file, reloc)?;
        match meaning {
            Meaning::Place(place) => {
                let offset = place.offset.wrapping_add(reloc.addend);
                Some(Meaning::Place(Place { offset, ..place }))
            }
            Meaning::Dynamic(_) if reloc.addend == 0 => Some(meaning),
            _ => None,
        }
    }

    /// `bytes` and `perm`.
    fn sections(&mut self) {
        for file in self.link.world.order.clone() {
            for index in 0..self.link.labels[file].len() {
                let section = self.link.section(file, index);
                let skip = is_taken_apart(section) || section.size() == 0;
                if self.link.fates[file][index] != Fate::Live || skip {
                    continue;
                }
                let label = self.link.labels[file][index].clone();
                if !self.is_findable(file, index) {
                    let reason = "an atom that can't be found in an output";
                    self.findings.open(Family::Perm, label.clone(), reason);
                    self.findings.open(Family::Bytes, label.clone(), reason);
                    self.findings.open(Family::Site, format!("{label}+*"), reason);
                }
                if !section.kind.is_zerofill() {
                    let digest = self.contents(file, index);
                    self.facts.add(Family::Bytes, label.clone(), Value::Digest(digest));
                }
                self.facts.add(Family::Perm, label, Value::Text(permissions(section).into()));
            }
        }
    }

    /// Whether it has a marker, or a symbol of its own that outputs keep.
    fn is_findable(&self, file: usize, section: usize) -> bool {
        let it = self.link.section(file, section);
        if it.marker != Marker::None && !it.kind.is_zerofill() {
            return true;
        }
        let symbols = &self.link.world.files[file].object.symbols;
        symbols.iter().enumerate().any(|(symbol, s)| {
            let id = self.link.ids[file][symbol];
            let own = match self.link.syms.get(id) {
                Some(sym) => sym.winner == Winner::Object { file, symbol },
                None => !s.name.starts_with(['l', 'L']),
            };
            own && matches!(s.definition, crate::case::Definition::Section { section: at, .. } if at == section)
        })
    }

    /// The digest of an atom's input bytes with everything masked that its relocations may rewrite.
    fn contents(&self, file: usize, index: usize) -> u64 {
        let object = self.link.world.files[file].object;
        let mut bytes = emit::contents(object, index);
        bytes.resize(bytes.len() + padding(&object.sections, index), 0);
        for reloc in &object.sections[index].relocs {
            let (before, after) = (self.link.world.machine.rewritable)(reloc.r_type);
            let len = bytes.len() as u64;
            let start = reloc.offset.saturating_sub(before).min(len) as usize;
            let end = reloc.offset.saturating_add(after).min(len) as usize;
            bytes[start..end].fill(0);
        }
        digest(&bytes)
    }

    fn entry(&mut self) {
        let on = &self.link.world.on;
        if on.library {
            return;
        }
        let id = self.link.find(on.entry);
        let own = id.filter(|id| matches!(self.link.home(*id), Some(Part::Section(..))));
        match own.and_then(|id| self.meaning_of(id)) {
            Some(meaning) => self.facts.add(Family::Entry, "", Value::Ref(meaning)),
            None => self.findings.open(Family::Entry, "", "a program that starts elsewhere"),
        }
    }
}

/// An atom reaches to the next one's start: so many bytes are between them in the object.
fn padding(sections: &[Section], index: usize) -> usize {
    let mut at = 0_u64;
    let mut end = None;
    for (other, section) in sections.iter().enumerate() {
        if section.name != sections[index].name {
            continue;
        }
        let start = at.next_multiple_of(emit::macho::align(section));
        if let Some(end) = end {
            return (start - end) as usize;
        }
        at = start + section.size();
        end = (other == index).then_some(at);
    }
    0
}

/// The class of memory a section ends up in.
fn permissions(section: &Section) -> &'static str {
    use SectionKind::{ThreadLocalRegular, ThreadLocalZerofill};
    if matches!(section.kind, ThreadLocalRegular | ThreadLocalZerofill) {
        return "tls";
    }
    match section.name.split_once(',') {
        Some(("__TEXT", _)) => "rx",
        Some(("__DATA_CONST", _) | ("__DATA", "__const")) => "relro",
        _ => "rw",
    }
}
