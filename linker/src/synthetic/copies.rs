//! Copies of libraries' data: which symbols share one, and where it goes. Must not know of addresses.

use rustc_hash::FxHashMap;

use super::plan::{Copy, NONE, Plan};
use crate::layout::{Made, align_up};
use crate::link::Link;
use crate::object::{FileId, Home, SymId};

/// Gives each symbol that is `asked` for its copy, with all its other names.
pub(super) fn plan(link: &Link<'_>, plan: &mut Plan, asked: Vec<SymId>) {
    if asked.is_empty() {
        return;
    }
    // Other names of the same data must move with it.
    let mut names: FxHashMap<(FileId, u64), Vec<SymId>> = FxHashMap::default();
    for (at, def) in link.res.defs.iter().enumerate().filter(|(_, def)| def.is_shared()) {
        let id = SymId(at as u32);
        if let Some(symbol) = link.res.winner(id) {
            names.entry((def.file(), symbol.value)).or_default().push(id);
        }
    }
    let mut sizes: FxHashMap<Made, u64> = FxHashMap::default();
    let mut largest: FxHashMap<FileId, FxHashMap<(u64, Home), u64>> = FxHashMap::default();
    for id in asked {
        if plan.slots(id).copy != NONE {
            continue;
        }
        let def = link.res.defs[id.i()];
        let (Some(library), Some(symbol)) = (link.res.shared(def.file()), link.res.winner(id))
        else {
            continue;
        };
        let same = |s: &crate::object::Symbol| s.value == symbol.value && s.home == symbol.home;
        let mut ids = names.get(&(def.file(), symbol.value)).cloned().unwrap_or_default();
        ids.retain(|other| link.res.winner(*other).is_some_and(|s| same(&s)));
        let aliases = largest.entry(def.file()).or_insert_with(|| {
            let mut sizes: FxHashMap<(u64, Home), u64> = FxHashMap::default();
            for symbol in library.defined.iter().map(|s| library.symbols.get(s.index)) {
                let size = sizes.entry((symbol.value, symbol.home)).or_default();
                *size = symbol.size.max(*size);
            }
            sizes
        });
        let size = aliases.get(&(symbol.value, symbol.home)).copied().unwrap_or(symbol.size);
        let made = match library.is_read_only(symbol.value) {
            true => Made::CopyRelro,
            false => Made::Copy,
        };
        let end = sizes.entry(made).or_default();
        let offset = align_up(*end, library.align_of(&symbol));
        *end = offset.saturating_add(size);
        for &each in &ids {
            plan.slots_mut(each).copy = plan.copies.len() as u32;
        }
        plan.copies.push(Copy { ids, made, offset });
    }
}

/// The size a copy's section needs.
pub fn size(link: &Link<'_>, made: Made) -> u64 {
    let of = link.plan.copies.iter().filter(|c| c.made == made);
    of.map(|c| {
        let sizes = c.ids.iter().filter_map(|&id| link.res.winner(id)).map(|s| s.size);
        c.offset.saturating_add(sizes.max().unwrap_or(0))
    })
    .max()
    .unwrap_or(0)
}
