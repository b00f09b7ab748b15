//! The end of resolution: atomics become plain tables; commons, versions, duplicates, needed
//! libraries and dense ids are settled. No file joins the link below.

use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Def, File, Resolution, Resolver, Versioned, mention, rank};
use crate::error::{Error, ErrorKind, Errors, Site};
use crate::object::{FileId, Home, Object, SymId, kind};

impl<'a> Resolver<'a> {
    pub(super) fn finish(mut self) -> Result<Resolution<'a>, Errors> {
        self.fit();
        let mut resolution = Resolution {
            defs: self.defs.into_iter().map(|d| Def(d.into_inner())).collect(),
            mentions: self.mentions.into_iter().map(|m| m.load(Relaxed)).collect(),
            visibility: self.visibility.into_iter().map(|v| plain(v.load(Relaxed))).collect(),
            files: self.files,
            names: self.names,
            commons: FxHashMap::default(),
            versions: FxHashMap::default(),
            extracted: self.extracted,
            order: Vec::new(),
            symbol_count: 0,
            section_count: 0,
        };
        resolution.commons = commons(&resolution);
        self.errors.extend(bind_versions(&mut resolution, &self.versioned));
        if !self.options.allow_multiple_definition {
            self.errors.extend(duplicates(&resolution));
        }
        self.errors.extend(tls_mismatches(&resolution));
        keep_needed(&mut resolution);
        number(&mut resolution);
        match Errors::collect(self.errors) {
            Some(errors) => Err(errors),
            None => Ok(resolution),
        }
    }
}

/// Back from a constraint to `STV_*`.
fn plain(constraint: u8) -> u8 {
    [0, 3, 2, 1][usize::from(constraint & 3)]
}

/// The largest size and alignment of each common symbol that won.
fn commons(resolution: &Resolution<'_>) -> FxHashMap<SymId, (u64, u64)> {
    let mut commons = FxHashMap::default();
    for (_, object) in resolution.objects() {
        for &index in &object.commons {
            let id = object.id(index);
            if resolution.defs[id.i()].rank() == rank::COMMON {
                let symbol = object.symbols.get(index);
                let entry: &mut (u64, u64) = commons.entry(id).or_default();
                entry.0 = entry.0.max(symbol.size);
                entry.1 = entry.1.max(symbol.value).max(1);
            }
        }
    }
    commons
}

/// Strong definitions that lost to another strong one.
fn duplicates(resolution: &Resolution<'_>) -> Vec<Error> {
    let objects: Vec<_> = resolution.objects().collect();
    let per_object = objects.par_iter().flat_map_iter(|&(file, object)| {
        let strong = object.globals.iter().enumerate().filter_map(move |(at, &id)| {
            let index = object.first_global + at as u32;
            let def = resolution.defs[id.i()];
            let other = def.rank() == rank::STRONG && def.as_special().is_none();
            if !other || (def.file() == file && def.sym() == index) {
                return None;
            }
            let symbol = object.symbols.get(index);
            let strong = match symbol.home {
                Home::Section(s) => !object.dead[s as usize] && !symbol.is_weak(),
                Home::Absolute => !symbol.is_weak(),
                _ => false,
            };
            strong.then_some((id, index))
        });
        strong.map(move |(id, index)| duplicate(resolution, object, id, index))
    });
    per_object.collect()
}

fn duplicate(resolution: &Resolution<'_>, object: &Object<'_>, id: SymId, index: u32) -> Error {
    let def = resolution.defs[id.i()];
    let first = resolution.object(def.file()).map_or("the linker", |o| &o.name);
    let name = String::from_utf8_lossy(resolution.names.get(id));
    let text = format!("duplicate symbol: {name}, also defined in {first}");
    let symbol = object.symbols.get(index);
    let section = match symbol.home {
        Home::Section(s) => Some(String::from_utf8_lossy(object.section_name(s)).into_owned()),
        _ => None,
    };
    let offset = section.is_some().then_some(symbol.value);
    Error::new(ErrorKind::DuplicateSymbol, text).at(Site {
        file: object.name.clone(),
        section,
        offset,
    })
}

/// Names that are thread-local in one object and not in another.
fn tls_mismatches(resolution: &Resolution<'_>) -> Vec<Error> {
    const BOTH: u8 = mention::TLS | mention::NOT_TLS;
    let both = |id: SymId| resolution.mentions[id.i()] & BOTH == BOTH;
    if !(0..resolution.mentions.len()).any(|at| both(SymId(at as u32))) {
        return Vec::new();
    }
    // The first object that says so of each name, thread-local and not.
    let mut users: FxHashMap<SymId, [Option<FileId>; 2]> = FxHashMap::default();
    for (file, object) in resolution.objects() {
        for (at, &id) in (0u32..).zip(&object.globals).filter(|g| both(*g.1)) {
            let kind = object.symbols.get(object.first_global + at).kind;
            if kind != kind::NOTYPE {
                let user = &mut users.entry(id).or_default()[usize::from(kind != kind::TLS)];
                user.get_or_insert(file);
            }
        }
    }
    let file = |user: Option<FileId>| {
        user.and_then(|file| resolution.object(file)).map_or("", |object| &object.name)
    };
    let error = |(id, [tls, other]): (SymId, [Option<FileId>; 2])| {
        let name = String::from_utf8_lossy(resolution.names.get(id));
        let text = format!("thread-local here, but not in {}: {name}", file(other));
        Error::new(ErrorKind::TlsMismatch, text).in_file(file(tls))
    };
    users.into_iter().map(error).collect()
}

/// Binds references with a version to the definition that has it.
fn bind_versions<'a>(resolution: &mut Resolution<'a>, versioned: &[(FileId, SymId)]) -> Vec<Error> {
    let mut errors = Vec::new();
    // Versions of definitions first: a reference may come before them.
    let aliases = define_versions(resolution, versioned);
    let libraries = in_libraries(resolution, versioned);
    let mut redirect: FxHashMap<SymId, SymId> = FxHashMap::default();
    for &(_, id) in versioned {
        let full = resolution.names.get(id);
        let own = resolution.defs[id.i()];
        if let Some(&target) = aliases.get(full).filter(|_| own.is_local()) {
            // `foo@V` and `foo@@V` are one name.
            let other = resolution.defs[target.i()];
            if own.rank() == rank::STRONG && other.rank() == rank::STRONG {
                if let Some(object) = resolution.object(own.file()) {
                    errors.push(duplicate(resolution, object, target, own.sym()));
                }
                continue;
            }
            resolution.defs[target.i()] = if own.rank() < other.rank() { own } else { other };
            resolution.defs[id.i()] = Def::NONE;
            resolution.versions.remove(&id);
            redirect.insert(id, target);
            continue;
        }
        if own.is_local() {
            if libraries.contains_key(full) {
                resolution.mentions[id.i()] |= mention::LIBRARY_DEF;
            }
            continue;
        }
        if let Some(&target) = aliases.get(full) {
            redirect.insert(id, target);
        } else if let Some(&def) = libraries.get(full) {
            resolution.defs[id.i()] = def;
        }
    }
    if !redirect.is_empty() {
        redirect_mentions(resolution, &redirect);
    }
    errors
}

/// Notes which version each definition has; the default ones also answer to `foo@V`.
fn define_versions<'a>(
    resolution: &mut Resolution<'a>,
    versioned: &[(FileId, SymId)],
) -> FxHashMap<Vec<u8>, SymId> {
    let mut aliases = FxHashMap::default();
    // Those of one file follow each other.
    for files in versioned.chunk_by(|a, b| a.0 == b.0) {
        let file = files[0].0;
        let Some(object) = resolution.object(file) else { continue };
        let mut found = Vec::new();
        for version in &object.versions {
            let id = object.id(version.sym);
            let def = resolution.defs[id.i()];
            if def.is_local() && def.file() == file && def.sym() == version.sym {
                found.push((id, version.version, version.default));
            }
        }
        for (id, version, default) in found {
            if default {
                let full = [resolution.names.get(id), b"@", version].concat();
                aliases.insert(full, id);
            }
            resolution.versions.insert(id, (version, default));
        }
    }
    aliases
}

/// Has every mention of a name that is the same as another be one of the other.
fn redirect_mentions(resolution: &mut Resolution<'_>, redirect: &FxHashMap<SymId, SymId>) {
    for file in &mut resolution.files {
        let File::Object(object) = file else { continue };
        for id in &mut object.globals {
            if let Some(&target) = redirect.get(id) {
                resolution.mentions[target.i()] |= resolution.mentions[id.i()];
                *id = target;
            }
        }
    }
    for id in redirect.keys() {
        resolution.mentions[id.i()] = 0;
    }
}

/// The first library that defines each `foo@V` of `versioned`.
fn in_libraries<'a>(
    resolution: &Resolution<'a>,
    versioned: &[(FileId, SymId)],
) -> FxHashMap<&'a [u8], Def> {
    let mut asked: FxHashMap<Versioned<'_>, Vec<&'a [u8]>> = FxHashMap::default();
    let mut names = FxHashSet::default();
    for &(_, id) in versioned {
        let full = resolution.names.get(id);
        let Some(at) = memchr::memchr(b'@', full) else { continue };
        let (name, version) = (&full[..at], &full[at + 1..]);
        asked.entry((name, version.strip_prefix(b"@").unwrap_or(version))).or_default().push(full);
        names.insert(name);
    }
    let mut found = FxHashMap::default();
    if asked.is_empty() {
        return found;
    }
    for (file, library) in resolution.libraries() {
        for symbol in library.defined.iter().filter(|s| names.contains(s.name)) {
            let Some(version) = library.versions.get(usize::from(symbol.version)) else { continue };
            let def = Def::new(rank::SHARED, file, symbol.index);
            for &full in asked.get(&(symbol.name, *version)).into_iter().flatten() {
                found.entry(full).or_insert(def);
            }
        }
    }
    found
}

/// Drops libraries under `--as-needed` that no object refers to, and their definitions.
fn keep_needed(resolution: &mut Resolution<'_>) {
    let mut used = vec![false; resolution.files.len()];
    for (def, mentions) in resolution.defs.iter().zip(&resolution.mentions) {
        // A weak reference alone is no need, as gold, lld and bfd have it.
        if def.is_shared() && mentions & mention::STRONG != 0 {
            used[def.file().i()] = true;
        }
    }
    for (at, file) in resolution.files.iter_mut().enumerate() {
        if let File::Shared(library) = file {
            library.used = used[at] || !library.as_needed;
        }
    }
    let files = &resolution.files;
    for def in resolution.defs.iter_mut().filter(|def| def.is_shared()) {
        if matches!(&files[def.file().i()], File::Shared(library) if !library.used) {
            // Another library, also unused, may define it: then it is as undefined.
            *def = Def::NONE;
        }
    }
}

/// Hands out ids of sections and local symbols, files in command-line order.
fn number(resolution: &mut Resolution<'_>) {
    let mut symbols = resolution.names.len() as u32;
    let mut sections = 0;
    for (at, file) in resolution.files.iter_mut().enumerate() {
        if let File::Object(object) = file {
            resolution.order.push(FileId(at as u32));
            object.local_base = symbols;
            object.sec_base = sections;
            symbols += object.first_global;
            sections += object.sections.len();
        }
    }
    resolution.symbol_count = symbols as usize;
    resolution.section_count = sections as usize;
}
