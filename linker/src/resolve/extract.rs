//! Extraction: wanted names → the archive members that define them, until none is left.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use super::{Def, File, Resolver, rank};
use crate::object::{FileId, Home, Object, SymId, bind, hash_name};

/// Names still wanted, and who wants them; the options want on nobody's account.
type Queue = VecDeque<(SymId, Option<FileId>)>;

impl Resolver<'_> {
    /// Extracts archive members until no wanted name is left that one of them offers.
    pub(super) fn extract(&mut self) {
        let mut queue = Queue::new();
        for (at, file) in self.files.iter().enumerate() {
            let user = Some(FileId(at as u32));
            match file {
                File::Object(object) => queue_wanted(object, user, &mut queue),
                File::Shared(library) if at < self.files.len() => {
                    for want in library.undefined.iter().filter(|w| !w.weak && !w.versioned) {
                        let found = self.names.find(want.name, want.hash);
                        queue.extend(found.map(|id| (id, user)));
                    }
                }
                _ => {}
            }
        }
        let roots = self.options.undefined.iter().chain(&self.options.require_defined);
        for name in roots.map(String::as_str).chain(self.options.entry.as_deref()) {
            let found = self.names.find(name.as_bytes(), hash_name(name.as_bytes()));
            queue.extend(found.map(|id| (id, None)));
        }
        for defsym in &self.options.defsyms {
            let find = |name: &str| self.names.find(name.as_bytes(), hash_name(name.as_bytes()));
            defsym.value.symbols(&mut |name| queue.extend(find(name).map(|id| (id, None))));
        }
        while let Some((id, user)) = queue.pop_front() {
            let file = FileId(self.offers(id));
            let def = Def(self.defs[id.i()].load(Relaxed));
            let wanted = match def.rank() {
                rank::SHARED => file < def.file(),
                rank => rank > rank::SHARED,
            };
            if file.0 == u32::MAX || !wanted {
                continue;
            }
            self.lazy[id.i()] = u32::MAX;
            match std::mem::replace(&mut self.files[file.i()], File::Unused) {
                File::Lazy(mut object) => {
                    self.intern_object(file, &mut object);
                    self.fit();
                    self.claim(&object);
                    self.discard(&mut object);
                    self.offer(file, &object);
                    queue_wanted(&object, Some(file), &mut queue);
                    self.extracted.push((file, user, id));
                    self.files[file.i()] = File::Object(object);
                }
                File::Broken(error) => self.errors.push(error),
                other => self.files[file.i()] = other,
            }
        }
    }

    /// The first archive member that offers `id`: `foo@@V` answers to `foo@V`, too.
    fn offers(&mut self, id: SymId) -> u32 {
        let first = self.lazy[id.i()];
        let name = self.names.get(id);
        let Some(at) = memchr::memchr(b'@', name).filter(|at| *at > 0 && first == u32::MAX) else {
            return first;
        };
        let (base, version) = (&name[..at], &name[at + 1..]);
        let plain = self.names.find(base, hash_name(base));
        let Some(file) = plain.map(|plain| self.lazy[plain.i()]) else { return first };
        let Some(File::Lazy(object)) = self.files.get(file as usize) else { return first };
        let defaults = self.defaults.entry(file).or_insert_with(|| {
            let of = object.versions.iter().filter(|v| v.default);
            let key = |sym: u32| object.keys.get(sym.checked_sub(object.first_global)? as usize);
            of.filter_map(|v| Some((key(v.sym)?.0, v.version))).collect()
        });
        if defaults.contains(&(base, version)) { file } else { first }
    }
}

/// Queues what `object` wants from others.
fn queue_wanted(object: &Object<'_>, user: Option<FileId>, queue: &mut Queue) {
    for (at, &id) in object.globals.iter().enumerate() {
        let symbol = object.symbols.get(object.first_global + at as u32);
        if symbol.home == Home::Undefined && symbol.bind != bind::WEAK {
            queue.push_back((id, user));
        }
    }
}
