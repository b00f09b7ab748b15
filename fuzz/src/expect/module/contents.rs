//! The sections of the module: their bytes, permissions and TLS, the arrays of functions.
//!
//! Spec: gABI chapters 4 and 5. It must not know names beyond those of sections.

use scold_diff::model::{Meaning, Value, digest};
use scold_diff::{Family, Key};

use super::super::binding::has_dynamic_table;
use super::super::resolve::{Fate, LOCAL, Winner, is_taken_apart, old_array};
use super::super::site::Sites;
use crate::case::{Definition, Section, SectionKind, SymbolKind};
use crate::emit;
use crate::machine::Machine;

impl Sites<'_, '_> {
    /// Functions called at load and unload.
    pub(super) fn arrays(&mut self) {
        // A static executable's start-up code calls the arrays, but knows no DT_INIT.
        let dynamic = has_dynamic_table(self.link);
        let mut init = if dynamic { self.function("_init") } else { Vec::new() };
        init.extend(self.array(SectionKind::InitArray, ".init_array"));
        let mut fini = self.array(SectionKind::FiniArray, ".fini_array");
        fini.reverse();
        if dynamic {
            fini.extend(self.function("_fini"));
        }
        for (family, list) in [(Family::Init, init), (Family::Fini, fini)] {
            for (index, meaning) in list.into_iter().enumerate() {
                match meaning {
                    Some(meaning) => {
                        self.facts.add(family, index.to_string(), Value::Ref(meaning));
                    }
                    None => self.findings.open(family, index.to_string(), "not a plain function"),
                }
            }
        }
    }

    /// DT_INIT and DT_FINI are the functions of these names, if this module defines them.
    fn function(&self, name: &str) -> Vec<Option<Meaning>> {
        let Some(id) = self.link.find(name) else { return Vec::new() };
        match self.link.syms[id].winner {
            Winner::Object { .. } => vec![Some(self.export_meaning(id))],
            _ => Vec::new(),
        }
    }

    /// The slots of an array in the order they are laid out.
    fn array(&mut self, kind: SectionKind, plain: &str) -> Vec<Option<Meaning>> {
        let mut sections = Vec::new();
        for file in self.link.loaded() {
            for index in 0..self.labels[file].len() {
                let section = self.link.section(file, index);
                if self.link.fates[file][index] != Fate::Live {
                    continue;
                }
                if let Some((_, priority)) = old_array(section).filter(|old| old.0 == kind) {
                    sections.push((priority, file, index));
                } else if section.kind == kind {
                    let (priority, odd) = priority(&section.name, plain);
                    if odd {
                        for family in [Family::Init, Family::Fini] {
                            self.findings.open(family, "*", "an array section of an odd name");
                        }
                    }
                    sections.push((priority, file, index));
                }
            }
        }
        sections.sort_by_key(|(priority, ..)| *priority);
        let word = u64::from(self.machine.word);
        let mut slots = Vec::new();
        for (_, file, index) in sections {
            let section = self.link.section(file, index);
            let mut list: Vec<_> = (0..section.size() / word)
                .map(|slot| {
                    let mut at = section.relocs.iter().filter(|r| r.offset == slot * word);
                    match (at.next(), at.next()) {
                        (Some(reloc), None) if self.is_pointer(reloc) => self.pointer(file, reloc),
                        _ => None,
                    }
                })
                .collect();
            if old_array(section).is_some() {
                list.reverse();
            }
            slots.append(&mut list);
        }
        slots
    }

    /// `bytes`, `perm` and `tls`.
    pub(super) fn sections(&mut self) {
        let mut tls_align = 0;
        for file in self.link.loaded() {
            for index in 0..self.labels[file].len() {
                let section = self.link.section(file, index);
                if self.link.fates[file][index] != Fate::Live || !section.flags.alloc {
                    continue;
                }
                if section.flags.tls && section.size() > 0 {
                    tls_align = tls_align.max(section.align.max(1));
                }
                if is_taken_apart(section) {
                    continue;
                }
                let findable = self.is_findable(file, index);
                if section.size() == 0 && !findable {
                    // Nothing of it is in an output, and nothing of it can be wrong.
                    continue;
                }
                let label = self.labels[file][index].clone();
                if section.size() == 0 || !findable {
                    let empty = "where an empty section is";
                    let lost = "a section that can't be found in an output";
                    let reason = if findable { empty } else { lost };
                    self.findings.open(Family::Perm, label.clone(), reason);
                    self.findings.open(Family::Bytes, label.clone(), reason);
                    self.findings.open(Family::Site, format!("{label}+*"), reason);
                }
                if self.is_unlisted(file, index) {
                    let reason = "a section of which GNU ld lists no symbols";
                    self.findings.policy(Key::new(Family::Perm, &*label), reason);
                }
                if section.kind != SectionKind::Nobits {
                    let digest =
                        contents_digest(self.machine, self.link.world.files[file].object, index);
                    self.facts.add(Family::Bytes, label.clone(), Value::Digest(digest));
                }
                self.facts.add(Family::Perm, label, Value::Text(permissions(section).into()));
            }
        }
        for sym in &self.link.syms {
            if let (Winner::Common { align, .. }, SymbolKind::Tls) = (sym.winner, sym.kind) {
                tls_align = tls_align.max(align.max(1));
            }
        }
        if tls_align > 0 {
            self.facts.add(Family::Tls, "align", Value::Number(tls_align));
        }
    }

    /// Whether only local symbols tell where a section is, and the object has no contents: GNU ld leaves the local
    /// symbols of such an object out of the output.
    fn is_unlisted(&self, file: usize, section: usize) -> bool {
        let object = self.link.world.files[file].object;
        let mut symbols = object.symbols.iter().zip(&self.link.ids[file]);
        let known = symbols.any(|(symbol, &id)| {
            matches!(symbol.definition, Definition::Section { section: at, .. } if at == section)
                && id != LOCAL
        });
        !known && object.sections.iter().all(|section| section.kind == SectionKind::Nobits)
    }
}

/// `.init_array.N` before `.init_array`; the second value says that the name is neither.
fn priority(name: &str, plain: &str) -> (u64, bool) {
    match name.strip_prefix(plain) {
        Some("") => (u64::MAX, false),
        Some(rest) => match rest.strip_prefix('.').map(str::parse) {
            Some(Ok(number)) => (number, false),
            _ => (u64::MAX, true),
        },
        None => (u64::MAX, plain != ".preinit_array"),
    }
}

/// The class of memory a section ends up in.
fn permissions(section: &Section) -> &'static str {
    let name = &*section.name;
    let relro = name == ".data.rel.ro" || name.starts_with(".data.rel.ro.") || name == ".jcr";
    match section.flags {
        flags if flags.tls => "tls",
        flags if flags.exec && flags.write => "rwx",
        flags if flags.exec => "rx",
        flags if flags.write && relro => "relro",
        flags if flags.write => "rw",
        _ => "r",
    }
}

/// The digest of a section's input bytes with everything masked that its relocations may rewrite.
fn contents_digest(machine: &Machine, object: &crate::case::Object, index: usize) -> u64 {
    let data = emit::contents(object, index);
    let mut bytes = data.clone();
    for reloc in &object.sections[index].relocs {
        let (before, after) = (machine.rewritable)(reloc.r_type, &data, reloc.offset);
        let len = bytes.len() as u64;
        let start = reloc.offset.saturating_sub(before).min(len) as usize;
        let end = reloc.offset.saturating_add(after).min(len) as usize;
        bytes[start..end].fill(0);
    }
    digest(&bytes)
}
