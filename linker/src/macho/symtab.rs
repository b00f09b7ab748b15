//! The symbol table: local symbols, exported ones and imports, each sort in one run, with the table
//! that says whose slot is whose. Must not know where tables go.

use rustc_hash::FxHashSet;

use super::fixups::Fixups;
use super::link::{Def, Link, Made, Ref};
use super::object::{Home, NONE};
use super::resolve::settle;
use crate::format::macho::chained::Value;
use crate::format::macho::{nlist, ordinal};
use crate::object::SymId;

/// Symbols of each sort.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Counts {
    pub locals: u32,
    pub exported: u32,
    pub undefined: u32,
}

/// The tables.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Tables {
    pub counts: Counts,
    pub symbols: Vec<u8>,
    pub indirect: Vec<u8>,
    pub strings: Vec<u8>,
}

/// A slot whose symbol is of no interest to the loader, and one that is a number.
const LOCAL: u32 = 0x8000_0000;
const ABSOLUTE: u32 = 0x4000_0000;

struct Writer<'l, 'a> {
    link: &'l Link<'a>,
    symbols: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
    /// The number of each name's entry.
    numbers: Vec<u32>,
}

impl Writer<'_, '_> {
    fn put(&mut self, name: &[u8], kind: u8, section: u8, desc: u16, value: u64) -> u32 {
        // The table starts with an empty name behind a space.
        let at = if name.is_empty() { 1 } else { self.strings.len() as u32 };
        if !name.is_empty() {
            self.strings.extend(name);
            self.strings.push(0);
        }
        self.symbols.extend(at.to_le_bytes());
        self.symbols.extend([kind, section]);
        self.symbols.extend(desc.to_le_bytes());
        self.symbols.extend(value.to_le_bytes());
        self.count += 1;
        self.count - 1
    }
}

/// Makes the tables.
pub fn build(link: &Link<'_>, fixups: &Fixups) -> Tables {
    let mut out = Writer {
        link,
        symbols: Vec::new(),
        strings: b" \0".to_vec(),
        count: 0,
        numbers: vec![NONE; link.globals.len()],
    };
    let mut counts = Counts::default();
    if !link.options.no_debug {
        for (name, kind, section, desc, value) in super::stabs::entries(link) {
            out.put(&name, kind, section, desc, value);
        }
    }
    out.locals();
    counts.locals = out.count;
    out.exports();
    counts.exported = out.count - counts.locals;
    out.imports(fixups);
    counts.undefined = out.count - counts.locals - counts.exported;
    let indirect = out.indirect();
    out.strings.resize(out.strings.len().next_multiple_of(8), 0);
    Tables { counts, symbols: out.symbols, indirect, strings: out.strings }
}

impl Writer<'_, '_> {
    /// Symbols other images don't see, in order of files.
    fn locals(&mut self) {
        let link = self.link;
        if link.options.no_locals {
            return;
        }
        for (file, object) in (0..).zip(&link.files) {
            for (index, symbol) in (0..).zip(&object.symbols) {
                let Home::Atom(atom, offset) = symbol.home else { continue };
                let mut kind = nlist::SECT;
                if symbol.is_global() {
                    let global = &link.globals[symbol.id.i()];
                    if global.exported || global.def != Def::Object(file, index) {
                        continue;
                    }
                    kind |= nlist::PEXT;
                } else if symbol.name.is_empty() || matches!(symbol.name[0], b'L' | b'l') {
                    continue;
                }
                let atom = object.first_atom + atom;
                if !link.is_kept(atom) {
                    continue;
                }
                let atom = &link.atoms[atom as usize];
                let desc =
                    symbol.desc & (nlist::WEAK_DEF | nlist::ALT_ENTRY | nlist::NO_DEAD_STRIP);
                let value = atom.addr.wrapping_add(offset);
                self.put(symbol.name, kind, atom.out.wrapping_add(1) as u8, desc, value);
            }
        }
        for (at, global) in (0..).zip(&link.globals) {
            if let Def::Made(atom) = global.def
                && !global.exported
                && link.is_kept(atom)
            {
                let section = link.atoms[atom as usize].out.wrapping_add(1) as u8;
                let kind = nlist::SECT | nlist::PEXT;
                self.put(link.names.get(SymId(at)), kind, section, 0, global.addr);
            }
        }
    }

    /// Exported symbols by name.
    fn exports(&mut self) {
        let link = self.link;
        let mut list: Vec<(&[u8], u32)> = (0..)
            .zip(&link.globals)
            .filter(|(_, global)| global.exported)
            .map(|(at, _)| (link.names.get(SymId(at)), at))
            .collect();
        if settle::exports_header(link.options) {
            list.push((settle::HEADER, NONE));
        }
        list.sort_unstable();
        for (name, at) in list {
            if at == NONE {
                self.put(name, nlist::SECT | nlist::EXT, 1, 0x10, link.base);
                continue;
            }
            let global = &link.globals[at as usize];
            let id = SymId(at);
            let found = link.atom_of(Ref::Name(id));
            let (kind, section) = match found {
                Some((atom, _)) => {
                    (nlist::SECT, link.atoms[atom as usize].out.wrapping_add(1) as u8)
                }
                None => (nlist::ABS, 0),
            };
            let mut desc = if global.weak { nlist::WEAK_DEF } else { 0 };
            if let Def::Object(file, index) = global.def {
                let symbol = &link.files[file as usize].symbols[index as usize];
                desc |= symbol.desc & nlist::ALT_ENTRY;
            }
            self.numbers[at as usize] =
                self.put(name, kind | nlist::EXT, section, desc, global.addr);
        }
    }

    /// Names of other images that this one uses, by name.
    fn imports(&mut self, fixups: &Fixups) {
        let link = self.link;
        let mut used = FxHashSet::default();
        for fixup in &fixups.list {
            if let Value::Import(id, _) = fixup.value {
                used.insert(id);
            }
        }
        used.extend(fixups.lazy.iter().map(|entry| entry.1));
        let elsewhere =
            |&id: &u32| matches!(link.globals[id as usize].def, Def::Library(_) | Def::Lookup);
        let used = used.into_iter().filter(elsewhere);
        let mut list: Vec<(&[u8], u32)> = used.map(|id| (link.names.get(SymId(id)), id)).collect();
        list.sort_unstable();
        for (name, at) in list {
            let global = &link.globals[at as usize];
            let mut desc = match global.def {
                _ if link.options.flat => 0,
                Def::Library(library) => ordinal_bits(link.libraries[library as usize].ordinal),
                _ => ordinal_bits(ordinal::FLAT),
            };
            if global.weak_import {
                desc |= nlist::WEAK_REF;
            }
            if global.weak {
                desc |= nlist::WEAK_DEF;
            }
            self.numbers[at as usize] = self.put(name, nlist::UNDF | nlist::EXT, 0, desc, 0);
        }
    }

    /// Whose slot each is, sections of slots in order.
    fn indirect(&self) -> Vec<u8> {
        let link = self.link;
        let mut out = Vec::new();
        for section in &link.outs {
            let slots = match section.made {
                Some(Made::Stubs) => &link.stubs.list,
                Some(Made::Got) => &link.got.list,
                Some(Made::LazyPointers) => &link.lazy.list,
                Some(Made::TlvPointers) => &link.tlv.list,
                _ => continue,
            };
            for &what in slots {
                let number = match link.bound(what) {
                    Some(id) => self.numbers[id.i()],
                    None => NONE,
                };
                let local = if link.is_absolute(what) { LOCAL | ABSOLUTE } else { LOCAL };
                let word = if number == NONE { local } else { number };
                out.extend(word.to_le_bytes());
            }
        }
        out
    }
}

/// A library's number in `n_desc`: eight bits, the last ones of them special. Of the 254th library and those
/// behind it symbols say no more than that they are looked up.
///
/// Spec: `mach-o/nlist.h`, MAX_LIBRARY_ORDINAL.
fn ordinal_bits(ordinal: i32) -> u16 {
    match ordinal {
        ordinal::MAIN => 0xff00,
        ordinal @ 0..=0xfd => (ordinal as u16) << 8,
        _ => 0xfe00,
    }
}
