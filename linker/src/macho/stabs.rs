//! The debug map: for each object with debug information, where its functions and variables ended up,
//! so that `dsymutil` can carry its DWARF over. Must not know how the symbol table is laid out.

use super::link::{Def, Link};
use super::object::{Home, NONE};
use super::options::Options;
use crate::format::macho::attr;

/// One entry: name, `n_type`, section, `n_desc`, value.
pub type Stab = (Vec<u8>, u8, u8, u16, u64);

mod kind {
    pub(super) const GSYM: u8 = 0x20;
    pub(super) const FUN: u8 = 0x24;
    pub(super) const STSYM: u8 = 0x26;
    pub(super) const BNSYM: u8 = 0x2e;
    pub(super) const ENSYM: u8 = 0x4e;
    pub(super) const SO: u8 = 0x64;
    pub(super) const OSO: u8 = 0x66;
}

/// What a symbol of an object became.
struct Placed<'a> {
    addr: u64,
    name: &'a [u8],
    section: u8,
    /// Where its atom ends: it can't reach further.
    end: u64,
    code: bool,
    global: bool,
}

/// The debug map of the link.
pub fn entries(link: &Link<'_>) -> Vec<Stab> {
    let mut out = Vec::new();
    for (file, object) in (0..).zip(&link.files) {
        let Some((folder, name)) = &object.source else { continue };
        let placed = placed(link, file);
        if placed.is_empty() {
            continue;
        }
        let mut folder = folder.clone();
        if !folder.ends_with(b"/") {
            folder.push(b'/');
        }
        let path = std::path::absolute(&object.name)
            .map_or_else(|_| object.name.clone(), |path| path.display().to_string());
        let path = shown(link.options, &path).to_owned();
        out.push((folder, kind::SO, 0, 0, 0));
        out.push((name.clone(), kind::SO, 0, 0, 0));
        // No time of modification: the same inputs give the same output.
        out.push((path.into_bytes(), kind::OSO, link.machine.subtype as u8, 1, 0));
        for (symbol, next) in placed.iter().zip(nexts(&placed)) {
            let name = symbol.name.to_vec();
            if symbol.code {
                let size = next.min(symbol.end).saturating_sub(symbol.addr);
                out.push((Vec::new(), kind::BNSYM, symbol.section, 0, symbol.addr));
                out.push((name, kind::FUN, symbol.section, 0, symbol.addr));
                out.push((Vec::new(), kind::FUN, 0, 0, size));
                out.push((Vec::new(), kind::ENSYM, symbol.section, 0, size));
            } else if symbol.global {
                out.push((name, kind::GSYM, 0, 0, 0));
            } else {
                out.push((name, kind::STSYM, symbol.section, 0, symbol.addr));
            }
        }
        out.push((Vec::new(), kind::SO, 1, 0, 0));
    }
    out
}

/// What the map says of the object at `path`.
pub(super) fn shown<'p>(options: &Options, path: &'p str) -> &'p str {
    let prefix = options.oso_prefix.as_deref().unwrap_or_default();
    path.strip_prefix(prefix).unwrap_or(path)
}

/// For each symbol the next address after its own at which there is one.
fn nexts(placed: &[Placed<'_>]) -> Vec<u64> {
    let mut out = vec![u64::MAX; placed.len()];
    for i in (0..placed.len().saturating_sub(1)).rev() {
        let next = placed[i + 1].addr;
        out[i] = if next > placed[i].addr { next } else { out[i + 1] };
    }
    out
}

/// The symbols of an object that are in the image, by address.
fn placed<'a>(link: &Link<'a>, file: u32) -> Vec<Placed<'a>> {
    let object = &link.files[file as usize];
    let mut out = Vec::new();
    for (index, symbol) in (0..).zip(&object.symbols) {
        let Home::Atom(atom, offset) = symbol.home else { continue };
        let atom = object.first_atom + atom;
        let lost =
            symbol.is_global() && link.globals[symbol.id.i()].def != Def::Object(file, index);
        let hidden = symbol.name.is_empty() || matches!(symbol.name[0], b'L' | b'l');
        if lost || (hidden && !symbol.is_global()) || !link.is_kept(atom) {
            continue;
        }
        let atom = &link.atoms[atom as usize];
        if atom.out == NONE {
            continue;
        }
        let flags = object.sections[atom.section as usize].header.flags;
        out.push(Placed {
            addr: atom.addr.wrapping_add(offset),
            name: symbol.name,
            section: atom.out.wrapping_add(1) as u8,
            end: atom.addr + atom.size,
            code: flags & (attr::PURE_INSTRUCTIONS | attr::SOME_INSTRUCTIONS) != 0,
            global: symbol.is_global(),
        });
    }
    out.sort_by_key(|symbol| symbol.addr);
    out
}
