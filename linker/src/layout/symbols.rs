//! Addresses of symbols, once sections have theirs.

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::addresses::Bounds;
use super::{Made, OutSec};
use crate::format::elf::*;
use crate::link::{Link, Special, attr, need};
use crate::object::{Home, Object, SecId, SymId};
use crate::resolve::File;
use crate::synthetic::plan::NONE;

/// Computes every symbol's address. No address changes below.
pub fn resolve_addresses(link: &mut Link<'_>) {
    link.shape.bounds = bounds(link);
    let shared = &*link;
    let globals = (0..link.res.names.len()).into_par_iter().with_min_len(1024);
    let mut addrs: Vec<u64> = globals.map(|at| global_address(shared, SymId(at as u32))).collect();
    let locals: Vec<Vec<u64>> = link
        .res
        .files
        .par_iter()
        .map(|file| match file {
            File::Object(object) => {
                (0..object.first_global).map(|at| local_address(shared, object, at)).collect()
            }
            _ => Vec::new(),
        })
        .collect();
    addrs.extend(locals.into_iter().flatten());
    link.addrs = addrs;
}

/// Where the sections are whose bounds have names.
fn bounds(link: &Link<'_>) -> FxHashMap<Vec<u8>, Bounds> {
    let asked = link.specials.iter().filter_map(|special| match special {
        Special::Start(name) | Special::Stop(name) => Some(&name[..]),
        _ => None,
    });
    let asked: FxHashSet<&[u8]> = asked.collect();
    let mut bounds: FxHashMap<Vec<u8>, Bounds> = FxHashMap::default();
    let outs = link.outs.iter().enumerate();
    for (number, out) in outs.filter(|(_, o)| o.is_alloc() && asked.contains(&o.name[..])) {
        let (start, end) = inputs_of(link, number, out);
        let own = Bounds { start, end, outs: [number; 2] };
        bounds.entry(out.name.clone()).and_modify(|known| *known = known.to(own)).or_insert(own);
    }
    for name in asked {
        let found = crate::mode::stand_in(name).filter(|_| !bounds.contains_key(name));
        if let Some(those) = found.and_then(|inputs| within(link, inputs)) {
            bounds.insert(name.to_vec(), those);
        }
    }
    bounds
}

/// Where the input sections called `name` are.
fn within(link: &Link<'_>, name: &[u8]) -> Option<Bounds> {
    let of = |(number, out): (usize, &OutSec), member: &super::Member| {
        let object = link.object(member.file);
        let start = out.addr.saturating_add(link.sec_off[member.sec.i()]);
        let end = start.saturating_add(object.section_size(member.index));
        let outs = [number; 2];
        (object.section_name(member.index) == name).then_some(Bounds { start, end, outs })
    };
    let outs = link.outs.iter().enumerate().filter(|(_, out)| out.is_alloc());
    let all = outs.flat_map(|out| out.1.members.iter().filter_map(move |member| of(out, member)));
    let all: Vec<Bounds> = all.collect();
    let last = all.iter().max_by_key(|it| it.end)?;
    Some(all.iter().min_by_key(|it| it.start)?.to(*last))
}

/// Where an output section's inputs start and end: thunks around them are nobody's.
fn inputs_of(link: &Link<'_>, number: usize, out: &OutSec) -> (u64, u64) {
    let (before, behind) = link.pools.around(number, out);
    let first = out.members.first().filter(|_| before > 0);
    let last = out.members.last().filter(|_| behind > 0);
    let offset = |member: &super::Member| link.sec_off[member.sec.i()];
    let end = last
        .map_or(out.size, |last| offset(last) + link.object(last.file).section_size(last.index));
    (out.addr + first.map_or(0, offset), out.addr.saturating_add(end))
}

fn local_address(link: &Link<'_>, object: &Object<'_>, index: u32) -> u64 {
    let id = object.id(index);
    let slots = link.plan.slots(id);
    if slots.plt != NONE && link.need(id) & need::CANONICAL != 0 {
        return link.plt_address(slots.plt);
    }
    let symbol = object.symbols.get(index);
    match symbol.home {
        Home::Section(s) => defined_at(link, object.sec(s), symbol.value),
        _ => symbol.value,
    }
}

fn defined_at(link: &Link<'_>, sec: SecId, value: u64) -> u64 {
    link.section_address(sec, value).unwrap_or(0)
}

fn global_address(link: &Link<'_>, id: SymId) -> u64 {
    let slots = link.plan.slots(id);
    if slots.plt != NONE && link.need(id) & need::CANONICAL != 0 {
        return link.plt_address(slots.plt);
    }
    if slots.copy != NONE {
        let copy = &link.plan.copies[slots.copy as usize];
        return link.out_of(copy.made).map_or(0, |o| o.addr + copy.offset);
    }
    definition_address(link, id)
}

/// Where `id` is defined, whatever stands in for it.
pub(crate) fn definition_address(link: &Link<'_>, id: SymId) -> u64 {
    if id.i() >= link.res.names.len() {
        return link.res.owner(id.0, |o| o.local_base).map_or(0, |object| {
            let symbol = object.symbols.get(id.0 - object.local_base);
            match symbol.home {
                Home::Section(s) => defined_at(link, object.sec(s), symbol.value),
                _ => symbol.value,
            }
        });
    }
    let def = link.res.defs[id.i()];
    if link.attrs[id.i()] & (attr::IMPORT | attr::DISCARDED) != 0 {
        return 0;
    }
    if let Some(special) = def.as_special() {
        return special_address(link, &link.specials[special]);
    }
    let (Some(symbol), Some(object)) = (link.res.winner(id), link.res.object(def.file())) else {
        return 0;
    };
    match symbol.home {
        Home::Section(s) => defined_at(link, object.sec(s), symbol.value),
        Home::Common => link.common_at.get(&id).map_or(0, |c| link.outs[c.0 as usize].addr + c.1),
        _ => symbol.value,
    }
}

fn special_address(link: &Link<'_>, special: &Special) -> u64 {
    let named = |name: &[u8]| link.shape.bounds.get(name).copied();
    let end_of = |test: &dyn Fn(&&OutSec) -> bool| {
        let of = link.outs.iter().filter(|o| o.is_alloc() && o.in_memory());
        of.filter(test).map(|o| o.addr.saturating_add(o.size)).max().unwrap_or(link.shape.base)
    };
    let irelative = link.arch.relocs().size() as u64 * link.plan.plt.len() as u64;
    match special {
        // An empty range is anywhere; inside the image it needs no special base.
        Special::Start(name) => named(name).map_or(link.shape.base, |s| s.start),
        Special::Stop(name) => named(name).map_or(link.shape.base, |s| s.end),
        Special::GotBase => link.got_base(),
        Special::Header => link.shape.base,
        Special::End => end_of(&|_| true),
        Special::CodeEnd => end_of(&|o| o.flags & SHF_EXECINSTR != 0),
        Special::DataEnd => end_of(&|o| o.in_file()),
        Special::BssStart => link
            .outs
            .iter()
            .find(|o| o.is_alloc() && !o.in_file() && !o.is_tls() && !o.relro)
            .map_or_else(|| end_of(&|o| o.in_file()), |o| o.addr),
        Special::IrelativeStart => link.out_of(Made::RelaPlt).map_or(0, |o| o.addr + irelative),
        Special::IrelativeEnd => link.out_of(Made::RelaPlt).map_or(0, |o| o.addr + o.size),
        Special::TlsModuleBase => link.shape.tls.0,
        Special::Absolute(value) | Special::Computed { value, .. } => *value,
        // No target is another definition of `--defsym`: those have been followed.
        Special::Alias(target, addend) => {
            global_address(link, *target).wrapping_add_signed(*addend)
        }
    }
}
