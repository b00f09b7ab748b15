//! Interning: every name of every file gets its id; wrapped names are redirected.
//!
//! Must not know which definition wins.

use rustc_hash::FxHashMap;

use crate::object::{FileId, Home, Object, hash_name};

use super::{File, Resolver};

impl<'a> Resolver<'a> {
    /// Gives every name its id, files in command-line order.
    pub(super) fn intern_all(&mut self) {
        let mut seen = rustc_hash::FxHashSet::default();
        for at in 0..self.files.len() {
            let file = FileId(at as u32);
            match std::mem::replace(&mut self.files[at], File::Unused) {
                File::Object(mut object) => {
                    self.intern_object(file, &mut object);
                    self.files[at] = File::Object(object);
                }
                File::Shared(library) => {
                    // The same library named twice counts once.
                    if !seen.insert(library.soname) {
                        continue;
                    }
                    for symbol in &library.defined {
                        self.names.intern(symbol.name, symbol.hash);
                    }
                    for want in &library.undefined {
                        self.names.intern(want.name, want.hash);
                    }
                    self.files[at] = File::Shared(library);
                }
                other => self.files[at] = other,
            }
        }
        for defsym in &self.options.defsyms {
            let name = defsym.name.as_bytes();
            self.names.intern(name, hash_name(name));
            defsym.value.symbols(&mut |name| {
                self.names.intern(name.as_bytes(), hash_name(name.as_bytes()));
            });
        }
        let files = std::mem::take(&mut self.files);
        for (at, file) in files.iter().enumerate() {
            let File::Lazy(object) = file else { continue };
            for (key, &(name, hash)) in object.keys.iter().enumerate() {
                let symbol = object.symbols.get(object.first_global + key as u32);
                if symbol.home == Home::Undefined {
                    continue;
                }
                let id = self.names.intern(name, hash);
                if self.lazy.len() <= id.i() {
                    self.lazy.resize(id.i() + 1, u32::MAX);
                }
                let slot = &mut self.lazy[id.i()];
                *slot = (*slot).min(at as u32);
            }
        }
        self.files = files;
        self.fit();
    }

    pub(super) fn intern_object(&mut self, file: FileId, object: &mut Object<'a>) {
        object.seq = self.loaded;
        self.loaded += 1;
        let keys = std::mem::take(&mut object.keys);
        object.globals = keys.iter().map(|&(name, hash)| self.names.intern(name, hash)).collect();
        for &version in &object.versions {
            self.versioned.push((file, object.id(version.sym)));
        }
        for group in &object.groups {
            self.names.intern(group.name.0, group.name.1);
        }
        for index in 1..object.sections.len() {
            let name = object.section_name(index);
            if name.starts_with(b".gnu.linkonce.") {
                object.linkonce.push(index);
                self.names.intern(name, hash_name(name));
            }
        }
        self.wrap(object);
    }

    /// Redirects references to wrapped names.
    pub(super) fn wrap(&mut self, object: &mut Object<'a>) {
        if self.wraps.is_empty() {
            return;
        }
        let redirects = self.redirects.get_or_insert_with(|| {
            let mut map = FxHashMap::default();
            for names in self.wraps {
                let [plain, wrapped, real] = names
                    .each_ref()
                    .map(|name| self.names.intern(name.as_bytes(), hash_name(name.as_bytes())));
                map.entry(plain).or_insert(wrapped);
                map.entry(real).or_insert(plain);
            }
            map
        });
        for at in 0..object.globals.len() {
            let symbol = object.symbols.get(object.first_global + at as u32);
            if symbol.home == Home::Undefined
                && let Some(&other) = redirects.get(&object.globals[at])
            {
                object.globals[at] = other;
            }
        }
    }
}
