//! Weak references of a program that nothing answers → looked up by the loader if every reference to the name can wait
//! for that, else null: data, GOT and code of one output agree. It must not know of addresses.

use rayon::prelude::*;

use crate::format::elf::SHF_ALLOC;
use crate::link::{Link, Special, attr};
use crate::object::{Object, SymId};
use crate::scan::{Act, Spot, decide};

/// What says so of a name.
const OPEN: u16 = attr::WEAK_UNDEF | attr::IMPORT;

/// Makes those null that something can't wait for; [`super::classify`] has made all of them imports.
pub(super) fn settle(link: &mut Link<'_>) {
    let is_open = |bits: &u16| bits & OPEN == OPEN;
    let names = link.res.names.len();
    if !link.options.kind.is_executable() || !link.attrs[..names].iter().any(is_open) {
        return;
    }
    let objects: Vec<_> = link.res.objects().map(|(_, object)| object).collect();
    let shared = &*link;
    let mut nulls: Vec<SymId> =
        objects.par_iter().flat_map_iter(|object| nulls(shared, object)).collect();
    // What is an alias of nothing is where nothing is.
    nulls.extend(link.specials.iter().filter_map(|special| match special {
        Special::Alias(target, _) => Some(*target).filter(|id| is_open(&link.attrs[id.i()])),
        _ => None,
    }));
    for id in nulls {
        link.attrs[id.i()] = attr::ABSOLUTE | attr::WEAK_UNDEF;
    }
}

/// The names that `object` refers to so that the loader can't help.
fn nulls(link: &Link<'_>, object: &Object<'_>) -> Vec<SymId> {
    let is_open = |sym: u32| link.attrs[object.id(sym).i()] & OPEN == OPEN;
    let globals = object.first_global..object.symbols.len();
    let mut found = Vec::new();
    if !globals.into_iter().any(is_open) {
        return found;
    }
    for index in (0..object.sections.len()).filter(|at| !object.dead[*at as usize]) {
        let flags = object.sections.get(index).flags;
        if flags & SHF_ALLOC == 0 || object.relocs_of.get(index as usize).is_none_or(|at| *at == 0)
        {
            continue;
        }
        let spot = Spot { code: object.section_data(index), flags, ld_relaxed: false, next: None };
        for reloc in object.relocs(index).iter().filter(|reloc| is_open(reloc.sym)) {
            let (id, row) = (object.id(reloc.sym), link.arch.row(reloc.kind));
            let fails = |row| {
                matches!(
                    decide(link, row, id, link.attrs[id.i()], &reloc, &spot).act,
                    Act::Fail(..)
                )
            };
            if row.is_some_and(fails) {
                found.push(id);
            }
        }
    }
    found
}
