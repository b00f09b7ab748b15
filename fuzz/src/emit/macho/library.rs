//! Library → the bytes of a real, loadable MH_DYLIB, made without any linker.
//!
//! `__TEXT` has header, code and constants, `__DATA` data, descriptors of thread-locals and their initial
//! contents, `__LINKEDIT` binds, the export trie and symbols. Functions return a unique number, data holds
//! unique bytes, as in ELF ones. Nothing here refers to anything but `__tlv_bootstrap`. It must not know who
//! links against it.

mod trie;

use std::collections::BTreeMap;

use scold_diff::Target;

use super::pieces::{Commands, N_ABS, N_EXT, N_SECT, N_WEAK_DEF, Nlist, Sect, Segment};
use crate::case::{Binding, Library, LibraryDefinition, LibrarySymbol, SymbolKind};
use crate::emit::bytes::Bytes;
use crate::emit::library::{data, number};
use crate::emit::machine;
use trie::Export;

/// What images that were linked with it call the library.
pub fn install_name(library: &Library) -> String {
    library.soname.clone().unwrap_or_else(|| format!("/scold/{}", library.name))
}

/// Sections of the file, in order; symbols name them from 1.
const NAMES: [&str; 5] = [
    "__TEXT,__text",
    "__TEXT,__const",
    "__DATA,__data",
    "__DATA,__thread_vars",
    "__DATA,__thread_data",
];
/// S_ATTR_PURE_INSTRUCTIONS and SOME_INSTRUCTIONS, S_THREAD_LOCAL_VARIABLES, S_THREAD_LOCAL_REGULAR.
const FLAGS: [u32; 5] = [0x8000_0400, 0, 0, 0x13, 0x11];
/// What segments are aligned to: enough for every machine.
const PAGE: u64 = 0x4000;
const TEXT: usize = 0;
const CONST: usize = 1;
const DATA: usize = 2;
const VARS: usize = 3;
const TEMPLATE: usize = 4;

/// The bytes of `library` as a dylib for `target`.
pub(super) fn library(library: &Library, target: Target) -> Vec<u8> {
    let mut writer = Writer {
        library,
        target,
        regions: Default::default(),
        places: BTreeMap::new(),
        addresses: [0; 5],
    };
    writer.place_symbols();
    writer.finish()
}

struct Writer<'a> {
    library: &'a Library,
    target: Target,
    regions: [Vec<u8>; 5],
    /// Where an alias is: section, offset.
    places: BTreeMap<(usize, u32), u64>,
    addresses: [u64; 5],
}

/// Which section a symbol is in.
fn region(kind: SymbolKind, readonly: bool) -> usize {
    match kind {
        SymbolKind::Func | SymbolKind::Ifunc => TEXT,
        SymbolKind::Tls => VARS,
        _ if readonly => CONST,
        _ => DATA,
    }
}

impl Writer<'_> {
    fn place_symbols(&mut self) {
        for symbol in &self.library.symbols {
            let LibraryDefinition::Defined { alias, readonly } = symbol.defined else { continue };
            let region = region(symbol.kind, readonly);
            if !self.places.contains_key(&(region, alias)) {
                let offset = self.place(region, alias);
                self.places.insert((region, alias), offset);
            }
        }
    }

    /// Adds the bytes of `alias` and gives their offset.
    fn place(&mut self, region: usize, alias: u32) -> u64 {
        let bytes = match region {
            TEXT => {
                let code = &machine::find(self.target).returns;
                code(number(&self.library.name, alias), alias).0
            }
            VARS => {
                // Thunk and key are the loader's; then the offset of the initial contents.
                let template = append(&mut self.regions[TEMPLATE], &data(self.library, alias), 16);
                [[0; 16].as_slice(), &template.to_le_bytes()].concat()
            }
            _ => data(self.library, alias),
        };
        append(&mut self.regions[region], &bytes, if region == VARS { 8 } else { 16 })
    }

    fn finish(mut self) -> Vec<u8> {
        // Load commands have a fixed size: one pass measures, the next one writes.
        let size = self.commands([0; 3], &Tables::default()).size();
        let mut at = size;
        let mut ends = [0; 3];
        for (i, region) in self.regions.iter().enumerate() {
            at = at.next_multiple_of(if i == DATA { PAGE } else { 16 });
            self.addresses[i] = at;
            at += region.len() as u64;
            ends[if i < DATA { 0 } else { 1 }] = at;
        }
        ends[0] = ends[0].next_multiple_of(PAGE);
        ends[1] = ends[1].max(ends[0]).next_multiple_of(PAGE);
        let tables = self.tables(ends[1]);
        ends[2] = tables.end();
        let kind = 6;
        let cpu = super::cpu(self.target.arch);
        let mut out = self.commands(ends, &tables).file(cpu, kind, self.header_flags());
        for (address, region) in self.addresses.iter().zip(&self.regions) {
            out.0.resize((*address as usize).max(out.0.len()), 0);
            out.0.extend_from_slice(region);
        }
        out.0.resize(ends[1] as usize, 0);
        for blob in tables.blobs {
            out.0.extend_from_slice(&blob.0);
        }
        out.0
    }

    /// MH_NOUNDEFS, MH_DYLDLINK, MH_TWOLEVEL, MH_NO_REEXPORTED_DYLIBS; MH_WEAK_DEFINES,
    /// MH_HAS_TLV_DESCRIPTORS.
    fn header_flags(&self) -> u32 {
        let weak = self.library.symbols.iter().any(is_weak_def);
        let tlv = !self.regions[VARS].is_empty();
        0x10_0085 | if weak { 0x8000 } else { 0 } | if tlv { 0x80_0000 } else { 0 }
    }

    /// Load commands for a file whose segments end there.
    fn commands(&self, [text, data, linkedit]: [u64; 3], tables: &Tables) -> Commands {
        let sects = |range: std::ops::Range<usize>| -> Vec<Sect> {
            let all = range.map(|i| Sect {
                name: NAMES[i].to_owned(),
                addr: self.addresses[i],
                size: self.regions[i].len() as u64,
                offset: self.addresses[i] as u32,
                align: 4,
                flags: FLAGS[i],
                ..Sect::default()
            });
            all.collect()
        };
        let segment = |name, start: u64, end: u64, prot| Segment {
            name,
            vmaddr: start,
            vmsize: (end - start).next_multiple_of(PAGE),
            fileoff: start,
            filesize: end - start,
            prot,
        };
        let mut commands = Commands::default();
        commands.segment(&segment("__TEXT", 0, text, 5), &sects(TEXT..DATA));
        commands.segment(&segment("__DATA", text, data.max(text), 3), &sects(DATA..5));
        commands.segment(&segment("__LINKEDIT", data, linkedit.max(data), 1), &[]);
        commands.dylib(0xd, &install_name(self.library));
        let [bind, export, ..] = tables.places();
        // LC_DYLD_INFO_ONLY: rebase, bind, weak, lazy, export.
        let info = [0, 0, bind.0, bind.1, 0, 0, 0, 0, export.0, export.1];
        commands.words(0x8000_0022, &info);
        let [.., symbols, strings] =
            tables.places().map(|(at, len)| (u64::from(at), u64::from(len)));
        commands.symtab((symbols.0, symbols.1 as usize / 16), strings);
        commands.dysymtab([0, tables.defined, symbols.1 as u32 / 16 - tables.defined]);
        let id = number(&self.library.name, 0);
        commands.words(0x1b, &[id as u32, (id >> 32) as u32, id as u32, 1]);
        commands.build_version();
        commands
    }

    fn tables(&self, start: u64) -> Tables {
        let (mut rows, mut strings) = (Bytes::default(), Bytes(vec![b' ', 0]));
        let mut exports = Vec::new();
        let mut symbols: Vec<&LibrarySymbol> = self.library.symbols.iter().collect();
        let undefined = |s: &&LibrarySymbol| s.defined == LibraryDefinition::Undefined;
        symbols.sort_by_key(|symbol| (undefined(symbol), symbol.name.clone()));
        let defined = symbols.iter().filter(|s| !undefined(s)).count() as u32;
        for symbol in symbols {
            let name = strings.string(&symbol.name);
            let desc = if is_weak_def(symbol) { N_WEAK_DEF } else { 0 };
            let weak = if is_weak_def(symbol) { 4 } else { 0 };
            let row = match symbol.defined {
                // DYNAMIC_LOOKUP_ORDINAL.
                LibraryDefinition::Undefined => {
                    Nlist { name, kind: N_EXT, desc: 0xfe00, ..Nlist::default() }
                }
                LibraryDefinition::Absolute(value) => {
                    exports.push(Export { name: &symbol.name, flags: weak | 2, value });
                    Nlist { name, kind: N_EXT | N_ABS, desc, value, ..Nlist::default() }
                }
                LibraryDefinition::Defined { alias, readonly } => {
                    let region = region(symbol.kind, readonly);
                    let value = self.addresses[region] + self.places[&(region, alias)];
                    let tlv = u64::from(region == VARS);
                    exports.push(Export { name: &symbol.name, flags: weak | tlv, value });
                    Nlist { name, kind: N_EXT | N_SECT, sect: region as u8 + 1, desc, value }
                }
            };
            row.write(&mut rows);
        }
        let mut trie = Bytes(trie::trie(exports));
        trie.align(8);
        strings.align(8);
        Tables { start, defined, blobs: [self.binds(), trie, rows, strings] }
    }

    /// Bind opcodes: the first word of each descriptor is `__tlv_bootstrap`, whoever has it. A library of our own
    /// names no other, because those who link with it in a flat namespace would have to find that too.
    fn binds(&self) -> Bytes {
        let mut out = Bytes::default();
        if self.regions[VARS].is_empty() {
            return out;
        }
        // SET_DYLIB_SPECIAL_IMM -2, SET_SYMBOL, SET_TYPE_IMM pointer.
        out.u8(0x3e);
        out.u8(0x40);
        out.string("__tlv_bootstrap");
        out.u8(0x51);
        for at in (0..self.regions[VARS].len() as u64).step_by(24) {
            // SET_SEGMENT_AND_OFFSET 1, DO_BIND.
            out.u8(0x71);
            trie::uleb(&mut out.0, self.addresses[VARS] - self.addresses[DATA] + at);
            out.u8(0x90);
        }
        out.u8(0);
        out.align(8);
        out
    }
}

fn is_weak_def(symbol: &LibrarySymbol) -> bool {
    symbol.binding == Binding::Weak && symbol.defined != LibraryDefinition::Undefined
}

/// Appends `bytes` at a multiple of `align` and gives their offset.
fn append(region: &mut Vec<u8>, bytes: &[u8], align: usize) -> u64 {
    region.resize(region.len().next_multiple_of(align), 0);
    let offset = region.len() as u64;
    region.extend_from_slice(bytes);
    offset
}

/// What `__LINKEDIT` has: binds, export trie, symbols, strings.
#[derive(Default)]
struct Tables {
    start: u64,
    defined: u32,
    blobs: [Bytes; 4],
}

impl Tables {
    /// File offset and size of each.
    fn places(&self) -> [(u32, u32); 4] {
        let mut at = self.start as u32;
        self.blobs.each_ref().map(|blob| {
            let place = (at, blob.len() as u32);
            at += place.1;
            place
        })
    }

    fn end(&self) -> u64 {
        self.start + self.blobs.iter().map(Bytes::len).sum::<u64>()
    }
}
