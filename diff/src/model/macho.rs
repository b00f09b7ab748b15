//! Mach-O modules → Facts.
//!
//! The reader's table of contents: the image is read (`image`), what dyld writes into it (`fixups`) and exports
//! (`trie`) is decoded, the inputs are read (`inputs`) and found in it (`places`), every relocation site is
//! decoded and followed (`sites`, `judge`), and what the tables say is told in terms of places (`dynamic`,
//! `unwind`). What is particular to a machine is in its own module, picked in `machine`. It must not know the
//! linker that wrote the output.

mod amd64;
mod arm64;
mod dynamic;
pub(crate) mod fixups;
mod frames;
pub(crate) mod image;
mod inputs;
mod judge;
mod leb;
pub(crate) mod machine;
mod match_bytes;
mod object;
mod places;
mod sites;
#[cfg(test)]
mod tests;
pub(crate) mod trie;
mod unwind;

use std::collections::BTreeSet;

use super::{Family, Value};
use crate::{Facts, Request};

pub(crate) use image::file_kind;
pub(crate) use object::inits;

/// Reads the output of `request` as dyld would.
///
/// Never panics on any bytes: what can't be read becomes a `Bad` meaning or a missing fact.
pub fn facts(request: &Request, output: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let read = image::File::read(output).and_then(|file| {
        let machine = machine::of(request.target.arch).filter(|m| m.arch == file.machine.arch);
        Ok((file, machine.ok_or("an image for another machine")?))
    });
    let (file, machine) = match read {
        Ok(read) => read,
        Err(text) => {
            broken(&mut facts, &text);
            return facts;
        }
    };
    let fixups = fixups::Fixups::read(&file);
    if let Some(text) = &fixups.broken {
        broken(&mut facts, text);
    }
    let blob = file.trie.or(file.info.map(|info| info.export));
    let trie = blob.map_or(Some(&[][..]), |blob| file.blob(blob));
    let entries = trie.and_then(trie::entries);
    if entries.is_none() {
        broken(&mut facts, "the export trie is damaged");
    }
    let (trie, entries) = (trie.unwrap_or_default(), entries.unwrap_or_default());
    let mut inputs = inputs::Inputs::read(request, machine);
    let mut places = places::Places::locate(&inputs, &file);
    let absent = places.absent(&inputs);
    if absent.contains(&true) {
        inputs.forget(&absent);
        places = places::Places::locate(&inputs, &file);
    }
    let exports: BTreeSet<String> = entries.iter().map(|(name, _)| name.clone()).collect();
    let judge = judge::Judge {
        machine,
        inputs: &inputs,
        places: &places,
        file: &file,
        fixups: &fixups,
        exports: &exports,
    };
    dynamic::facts(&judge, trie, &entries, &mut facts);
    unwind::facts(&judge, &mut facts);
    sites::facts(&judge, &mut facts);
    facts
}

/// Which place of an input an address of an output is.
pub(crate) struct Map<'a> {
    inputs: inputs::Inputs<'a>,
    places: places::Places,
}

impl<'a> Map<'a> {
    /// Finds the inputs of `request` in `file`; none for machines nobody links for.
    pub(crate) fn new(request: &'a Request, file: &image::File<'_>) -> Option<Self> {
        let machine = machine::of(request.target.arch)?;
        let inputs = inputs::Inputs::read(request, machine);
        let places = places::Places::locate(&inputs, file);
        Some(Self { inputs, places })
    }

    /// The place, if the address is one of an input.
    pub(crate) fn at(&self, address: u64) -> Option<String> {
        self.places.at(&self.inputs, address).map(|place| place.to_string())
    }
}

fn broken(facts: &mut Facts, text: &str) {
    facts.put(Family::Dynamic, "broken", Value::Text(text.into()));
}

/// Whether `name` stands for the image's header.
fn is_header(name: &str) -> bool {
    name == "___dso_handle" || (name.starts_with("__mh_") && name.ends_with("_header"))
}

/// Whether `name` is one that linkers define when nobody else does: it has no `export` and no `lookup` fact.
pub fn is_linkers(name: &str) -> bool {
    let bound = |what: &str| {
        let end = name.strip_prefix(what).and_then(|rest| rest.split('$').next());
        matches!(end, Some("start" | "end"))
    };
    is_header(name) || bound("section$") || bound("segment$")
}

/// The name in `mach-o/*/reloc.h` of a relocation type of `arch`, or its number.
pub(crate) fn relocation_name(arch: crate::Arch, r_type: u8) -> String {
    let row = machine::of(arch).and_then(|machine| (machine.row)(r_type));
    row.map_or_else(|| format!("r{r_type}"), |row| row.name.to_owned())
}

/// An atom that a symbol begins.
pub(crate) struct Named {
    /// Its object.
    pub(crate) file: String,
    /// The segment and section it is in.
    pub(crate) segment: String,
    /// See `segment`.
    pub(crate) section: String,
    /// Bytes up to the next one.
    pub(crate) size: u64,
    /// Symbols in it; the first is at its start.
    pub(crate) names: Vec<String>,
}

/// Every atom of `files`, which are objects of `request` and members, that a symbol begins, as they come.
pub(crate) fn atoms(request: &Request, files: &[String]) -> Vec<Named> {
    let Some(machine) = machine::of(request.target.arch) else { return Vec::new() };
    let order = |file: &str| files.iter().position(|other| other == file);
    let mut objects = inputs::Inputs::read(request, machine).objects;
    objects.retain(|object| order(&object.file).is_some());
    objects.sort_by_key(|object| order(&object.file));
    let mut list = Vec::new();
    for object in &objects {
        for (index, atom) in (0..).zip(&object.atoms) {
            let mut symbols: Vec<_> = object.symbols.iter().collect();
            symbols.retain(|s| matches!(s.place, object::Where::Atom(at, _) if at == index));
            let begins = |s: &&object::Symbol<'_>| s.place == object::Where::Atom(index, 0);
            symbols.sort_by_key(|symbol| !begins(symbol));
            if !symbols.first().is_some_and(begins) {
                continue;
            }
            list.push(Named {
                file: object.file.clone(),
                segment: atom.segment.to_owned(),
                section: atom.section.to_owned(),
                size: atom.size,
                names: symbols.into_iter().map(|symbol| symbol.name.to_owned()).collect(),
            });
        }
    }
    list
}

/// Every relocation of an object: the place of its site, and its type. None of what is no object.
pub(crate) fn relocations(request: &Request) -> Vec<(String, u8)> {
    let Some(machine) = machine::of(request.target.arch) else { return Vec::new() };
    let inputs = inputs::Inputs::read(request, machine);
    let mut list = Vec::new();
    for (id, atom) in inputs.placeable() {
        let name = inputs.name(id);
        let at = |reloc: &object::Reloc| (format!("{name}+{:#x}", reloc.offset), reloc.r_type);
        list.extend(atom.relocs.iter().map(at));
    }
    list
}

/// Whether an object has a SUBTRACTOR with r_extern 0.
pub(crate) fn subtracts_section(request: &Request) -> bool {
    let Some(machine) = machine::of(request.target.arch) else { return false };
    let inputs = inputs::Inputs::read(request, machine);
    let mut relocs = inputs.placeable().flat_map(|(_, atom)| &atom.relocs);
    relocs.any(|reloc| matches!(reloc.minus, Some(object::Target::Atom(_))))
}
