//! Offers: files claim their COMDAT groups, then offer definitions and mentions of names.
//!
//! Any order of calls gives the same tables: each is a minimum, a maximum or a union.

use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::{Def, File, Resolver, constraint, mention, rank};
use crate::format::elf::shared::Shared;
use crate::object::{FileId, Home, Object, SymId, Symbol, hash_name, vis};

impl<'a> Resolver<'a> {
    /// Claims the groups and offers the definitions of everything read so far.
    pub(super) fn offer_all(&mut self) {
        let mut files = std::mem::take(&mut self.files);
        files.par_iter().for_each(|file| {
            if let File::Object(object) = file {
                self.claim(object);
            }
        });
        files.par_iter_mut().enumerate().for_each(|(at, file)| match file {
            File::Object(object) => {
                self.discard(object);
                self.offer(FileId(at as u32), object);
            }
            File::Shared(library) => self.offer_shared(FileId(at as u32), library),
            _ => {}
        });
        self.files = files;
    }

    /// Claims the COMDAT groups of `object` for it, unless one loaded earlier has them.
    pub(super) fn claim(&self, object: &Object<'a>) {
        let mark = |name: &[u8], hash: u64, section: u32| {
            if let Some(id) = self.names.find(name, hash) {
                let key = u64::from(object.seq) << 32 | u64::from(section);
                self.owners[id.i()].fetch_min(key, Relaxed);
            }
        };
        for group in object.groups.iter().filter(|g| g.comdat) {
            mark(group.name.0, group.name.1, group.section);
        }
        for &section in &object.linkonce {
            let name = object.section_name(section);
            mark(name, hash_name(name), section);
        }
    }

    /// Marks the sections of groups that another file keeps.
    pub(super) fn discard(&self, object: &mut Object<'a>) {
        let lost = |name: &[u8], hash: u64, section: u32| {
            self.names.find(name, hash).is_some_and(|id| {
                let key = u64::from(object.seq) << 32 | u64::from(section);
                self.owners[id.i()].load(Relaxed) != key
            })
        };
        let mut dead = Vec::new();
        for group in object.groups.iter().filter(|g| g.comdat) {
            if lost(group.name.0, group.name.1, group.section) {
                dead.extend(group.sections());
            }
        }
        for &section in &object.linkonce {
            let name = object.section_name(section);
            if lost(name, hash_name(name), section) {
                dead.push(section);
            }
        }
        for section in dead {
            object.dead[section as usize] = true;
        }
    }

    pub(super) fn offer(&self, file: FileId, object: &Object<'a>) {
        let hide = self.candidates[file.i()].hide;
        for (at, &id) in object.globals.iter().enumerate() {
            let index = object.first_global + at as u32;
            let symbol = object.symbols.get(index);
            let defined = match symbol.home {
                Home::Undefined => false,
                Home::Section(s) => !object.dead[s as usize],
                _ => true,
            };
            self.mention(id, &symbol, defined && hide, defined);
            if defined {
                let rank = match symbol.home {
                    Home::Common => rank::COMMON,
                    _ if symbol.is_weak() => rank::WEAK,
                    _ => rank::STRONG,
                };
                let def = Def::new(rank, file, index);
                if self.defs[id.i()].load(Relaxed) > def.0 {
                    self.defs[id.i()].fetch_min(def.0, Relaxed);
                }
            }
        }
    }

    pub(super) fn mention(&self, id: SymId, symbol: &Symbol, hide: bool, defined: bool) {
        let mut bits = match symbol.kind {
            crate::object::kind::TLS => mention::TLS,
            crate::object::kind::NOTYPE => 0,
            _ => mention::NOT_TLS,
        };
        if hide {
            bits |= mention::HIDE;
        }
        if !defined {
            bits |= if symbol.is_weak() { mention::WEAK } else { mention::STRONG };
        }
        if self.mentions[id.i()].load(Relaxed) & bits != bits {
            self.mentions[id.i()].fetch_or(bits, Relaxed);
        }
        if symbol.vis != vis::DEFAULT {
            self.visibility[id.i()].fetch_max(constraint(symbol.vis), Relaxed);
        }
    }

    pub(super) fn offer_shared(&self, file: FileId, library: &Shared<'a>) {
        for symbol in &library.defined {
            let Some(id) = self.names.find(symbol.name, symbol.hash) else { continue };
            self.mentions[id.i()].fetch_or(mention::LIBRARY_DEF, Relaxed);
            if !symbol.hidden {
                let def = Def::new(rank::SHARED, file, symbol.index);
                self.defs[id.i()].fetch_min(def.0, Relaxed);
            }
        }
        for want in &library.undefined {
            if let Some(id) = self.names.find(want.name, want.hash) {
                self.mentions[id.i()].fetch_or(mention::LIBRARY, Relaxed);
            }
        }
    }
}
