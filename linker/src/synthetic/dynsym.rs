//! `.dynsym`: what one dynamic symbol says, and the table.

use rayon::prelude::*;

use super::plan::NONE;
use crate::format::elf::SHN_ABS;
use crate::format::elf::class::SymbolRecord;
use crate::layout::Made;
use crate::link::{Link, attr, need};
use crate::object::{SymId, bind, kind};
use crate::resolve::mention;

/// A symbol as the loader sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// `st_info`.
    pub info: u8,
    /// `st_other`.
    pub vis: u8,
    /// Section number in full.
    pub shndx: u32,
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
            let (shndx, value) = super::symtab::place(link, object, &symbol, id);
            let mut of = if symbol.kind == kind::COMMON { kind::OBJECT } else { symbol.kind };
            let mut shndx = shndx;
            if bits & attr::IFUNC != 0 && link.need(id) & need::CANONICAL != 0 {
                of = kind::FUNC;
                shndx = link.out_of(Made::Plt).map_or(0, |o| o.shndx);
            }
            let size = link.res.commons.get(&id).map_or(symbol.size, |c| c.0);
            Entry { info: symbol.bind << 4 | of, vis, shndx, value, size }
        }
        _ => {
            let of = if bits & attr::TLS != 0 { kind::TLS } else { kind::NOTYPE };
            let value = link.addrs[id.i()];
            let shndx = match bits & attr::ABSOLUTE {
                0 => link.section_at(value),
                _ => SHN_ABS.into(),
            };
            let tls = if of == kind::TLS { link.tls_start() } else { 0 };
            let of = match def.as_special().map(|at| &link.specials[at]) {
                Some(crate::link::Special::Alias(target, _)) => {
                    link.res.winner(*target).map_or(of, |s| s.kind)
                }
                _ => of,
            };
            Entry {
                info: bind::GLOBAL << 4 | of,
                vis,
                shndx,
                value: value.wrapping_sub(tls),
                size: 0,
            }
        }
    }
}

/// The entry of an import: undefined, a copy, or a canonical PLT entry.
fn import(link: &Link<'_>, id: SymId) -> Entry {
    let winner = link.res.winner(id);
    let slots = link.plan.slots(id);
    let strong = link.res.mentions[id.i()] & mention::STRONG != 0;
    let binding = if strong { bind::GLOBAL } else { bind::WEAK };
    let mut entry = Entry {
        info: binding << 4 | winner.map_or(kind::NOTYPE, |s| s.kind),
        vis: 0,
        shndx: 0,
        value: 0,
        size: 0,
    };
    if entry.info & 15 == kind::IFUNC {
        entry.info = binding << 4 | kind::FUNC;
    }
    if slots.copy != NONE {
        let made = link.plan.copies[slots.copy as usize].made;
        entry.shndx = link.out_of(made).map_or(0, |o| o.shndx);
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
        let short = if entry.shndx < 0xff00 { entry.shndx as u16 } else { SHN_ABS };
        let Entry { info, vis: other, value, size, .. } = entry;
        class.put_symbol(slot, &SymbolRecord { name, info, other, shndx: short, value, size });
    });
}
