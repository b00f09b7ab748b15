//! `.dynsym`: what one dynamic symbol says, and the table.

use rayon::prelude::*;

use super::plan::NONE;
use crate::format::elf::class::{SymbolHome, SymbolRecord};
use crate::format::elf::{SHN_ABS, SHN_XINDEX};
use crate::layout::{Made, OutSec};
use crate::link::{Link, Special, attr, need};
use crate::object::{SymId, bind, kind};
use crate::resolve::mention;

/// A symbol as the loader sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// `st_info`.
    pub info: u8,
    /// `st_other`.
    pub other: u8,
    /// What it is in.
    pub home: SymbolHome,
    /// Address, or offset in the TLS block.
    pub value: u64,
    /// Bytes.
    pub size: u64,
}

/// The entry of `id`, import, copy or definition.
pub fn entry(link: &Link<'_>, id: SymId) -> Entry {
    let bits = link.attrs[id.i()];
    let winner = link.res.winner(id);
    if bits & attr::IMPORT != 0 {
        return import(link, id);
    }
    let vis = link.res.visibility[id.i()];
    let def = link.res.defs[id.i()];
    match (winner, link.res.object(def.file())) {
        (Some(symbol), Some(object)) => {
            let (mut home, value) = super::symtab::place(link, object, &symbol, id);
            let mut of = if symbol.kind == kind::COMMON { kind::OBJECT } else { symbol.kind };
            if bits & attr::IFUNC != 0 && link.need(id) & need::CANONICAL != 0 {
                of = kind::FUNC;
                home = made_home(link, Made::Plt);
            }
            let size = link.res.commons.get(&id).map_or(symbol.size, |c| c.0);
            let other = vis | symbol.rest;
            Entry { info: symbol.bind << 4 | of, other, home, value, size }
        }
        _ => {
            let of = if bits & attr::TLS != 0 { kind::TLS } else { kind::NOTYPE };
            let value = link.addrs[id.i()];
            let special = def.as_special().map(|at| &link.specials[at]);
            let home = match bits & attr::ABSOLUTE {
                0 => special.and_then(|s| bounded(link, s)).unwrap_or(link.section_at(value)),
                _ => SymbolHome::ABSOLUTE,
            };
            let tls = if of == kind::TLS { link.tls_start() } else { 0 };
            let of = match special {
                Some(Special::Alias(target, _)) => link.res.winner(*target).map_or(of, |s| s.kind),
                _ => of,
            };
            Entry {
                info: bind::GLOBAL << 4 | of,
                other: vis,
                home,
                value: value.wrapping_sub(tls),
                size: 0,
            }
        }
    }
}

/// The section that `special` bounds, which is not always the one that is at its address.
fn bounded(link: &Link<'_>, special: &Special) -> Option<SymbolHome> {
    let (name, end) = match special {
        Special::Start(name) => (name, 0),
        Special::Stop(name) => (name, 1),
        _ => return None,
    };
    let bounds = link.shape.bounds.get(name)?;
    Some(link.outs[bounds.outs[end]].home())
}

fn made_home(link: &Link<'_>, made: Made) -> SymbolHome {
    link.out_of(made).map_or(SymbolHome::UNDEFINED, OutSec::home)
}

/// The entry of an import: undefined, a copy, or a canonical PLT entry.
fn import(link: &Link<'_>, id: SymId) -> Entry {
    let winner = link.res.winner(id);
    let slots = link.plan.slots(id);
    let strong = link.res.mentions[id.i()] & mention::STRONG != 0;
    let binding = if strong { bind::GLOBAL } else { bind::WEAK };
    let mut entry = Entry {
        info: binding << 4 | winner.map_or(kind::NOTYPE, |s| s.kind),
        other: match link.arch.variant {
            Some((bit, _)) if super::properties::is_variant(link, id) => bit,
            _ => 0,
        },
        home: SymbolHome::UNDEFINED,
        value: 0,
        size: 0,
    };
    if entry.info & 15 == kind::IFUNC {
        entry.info = binding << 4 | kind::FUNC;
    }
    if slots.copy != NONE {
        let made = link.plan.copies[slots.copy as usize].made;
        entry.home = made_home(link, made);
        entry.value = link.addrs[id.i()];
        entry.size = winner.map_or(0, |s| s.size);
        // The copy takes the library's place: what was unique stays so.
        let binding = winner.map_or(bind::GLOBAL, |s| s.bind);
        entry.info = binding << 4 | kind::OBJECT;
    } else if link.need(id) & need::CANONICAL != 0 {
        entry.value = link.addrs[id.i()];
    }
    entry
}

/// Writes the table.
pub fn write(link: &Link<'_>, out: &mut [u8]) {
    let (plan, class) = (&link.plan, link.arch.class);
    let table = out[class.symbol()..].par_chunks_exact_mut(class.symbol()).with_min_len(1024);
    let names = plan.dynsyms.par_iter().zip(&plan.dynsym_names);
    table.zip(names.with_min_len(1024)).for_each(|(slot, (&id, &name))| {
        let entry = entry(link, id);
        // .dynsym has no extension table: a definition beyond its 16 bits is marked absolute, as
        // loaders look only at whether it is 0.
        let short = match entry.home.numbers().0 {
            SHN_XINDEX => SHN_ABS,
            short => short,
        };
        let Entry { info, other, value, size, .. } = entry;
        class.put_symbol(slot, &SymbolRecord { name, info, other, shndx: short, value, size });
    });
}
