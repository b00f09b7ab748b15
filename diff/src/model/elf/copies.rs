//! COMDAT groups that several objects have → the copy of each that an output has, and the sections of all others.
//!
//! Linkers keep one copy of a group, the first by rights; where its names or bytes are found doesn't say whose they
//! are. So the first speaks for all, unless the output has what only a later one can be. It must not know what any
//! relocation means.
//!
//! Spec: gABI, "Section Groups": GRP_COMDAT.

use rustc_hash::{FxHashMap, FxHashSet};

use super::inputs::{Inputs, SecId};
use super::match_bytes::{self, Map};
use super::object::Where;
use super::places::NOWHERE;
use crate::loader::Module;

/// A copy of a group.
#[derive(Debug)]
struct Copy {
    object: usize,
    sections: Vec<SecId>,
    /// A name in it is where its bytes are, and none is where they aren't.
    fits: Option<bool>,
}

/// The sections of copies that another speaks for; `symbols` are the output's names that occur once there.
pub(super) fn others(
    inputs: &Inputs<'_>,
    module: &Module<'_>,
    symbols: &FxHashMap<String, Option<u64>>,
) -> FxHashSet<SecId> {
    let mut groups = groups(inputs);
    groups.retain(|copies| {
        !copies.iter().flat_map(|copy| &copy.sections).any(|id| is_marked(inputs, *id))
    });
    for copies in &mut groups {
        copies.sort_by_key(|copy| !inputs.is_certain(copy.object));
    }
    if groups.is_empty() {
        return FxHashSet::default();
    }
    by_names(inputs, module, symbols, &mut groups);
    let map = Map::of(module);
    let mut others = FxHashSet::default();
    for copies in groups {
        let named = copies.iter().position(|copy| copy.fits == Some(true));
        let silent = || copies.iter().all(|copy| copy.fits.is_none());
        let has_bytes = |copy: &Copy| {
            let mut sections = copy.sections.iter().filter_map(|id| inputs.section(*id));
            sections.any(|section| {
                let hits = match_bytes::search(module, &map, section);
                hits.is_some_and(|hits| !hits.is_empty())
            })
        };
        let by_bytes = || copies.iter().position(has_bytes).filter(|_| silent());
        let chosen = named.or_else(by_bytes).unwrap_or(0);
        let rest = copies.into_iter().enumerate().filter(|(at, _)| *at != chosen);
        others.extend(rest.flat_map(|(_, copy)| copy.sections));
    }
    others
}

/// Groups of one name that several objects have.
fn groups(inputs: &Inputs<'_>) -> Vec<Vec<Copy>> {
    let mut numbers: FxHashMap<&str, usize> = FxHashMap::default();
    let mut groups: Vec<Vec<Copy>> = Vec::new();
    for (at, (object, first)) in inputs.objects.iter().zip(&inputs.first).enumerate() {
        for group in &object.groups {
            let own = |section: &u32| (*section as usize) < object.sections.len();
            let sections = group.sections.iter().copied().filter(own).map(|it| first + it);
            let copy = Copy { object: at, sections: sections.collect(), fits: None };
            let number = *numbers.entry(group.name).or_insert(groups.len());
            if number == groups.len() {
                groups.push(Vec::new());
            }
            groups[number].push(copy);
        }
    }
    groups.retain(|copies| copies.len() > 1);
    groups
}

/// Whether a section has a marker.
fn is_marked(inputs: &Inputs<'_>, id: SecId) -> bool {
    inputs.section(id).is_some_and(|section| section.marker().is_some())
}

/// The sections of copies that are not there, because a marked copy of their group is, as `base` says.
pub(super) fn replaced(inputs: &Inputs<'_>, base: &[u64]) -> FxHashSet<SecId> {
    let there = |id: &SecId| is_marked(inputs, *id) && base[*id as usize] != NOWHERE;
    let mut replaced = FxHashSet::default();
    for copies in groups(inputs) {
        let Some(chosen) = copies.iter().position(|copy| copy.sections.iter().any(there)) else {
            continue;
        };
        let rest = copies.into_iter().enumerate().filter(|(at, _)| *at != chosen);
        replaced.extend(rest.flat_map(|(_, copy)| copy.sections));
    }
    replaced
}

/// Holds the copies against what is where the output has their names.
fn by_names(
    inputs: &Inputs<'_>,
    module: &Module<'_>,
    symbols: &FxHashMap<String, Option<u64>>,
    groups: &mut [Vec<Copy>],
) {
    let mut homes: FxHashMap<SecId, (usize, usize)> = FxHashMap::default();
    for (number, copies) in groups.iter().enumerate() {
        for (at, copy) in copies.iter().enumerate() {
            homes.extend(copy.sections.iter().map(|id| (*id, (number, at))));
        }
    }
    for (object, first) in inputs.objects.iter().zip(&inputs.first) {
        for symbol in object.symbols.iter().filter(|symbol| symbol.binding != 0) {
            let Where::Section(at) = symbol.place else { continue };
            let (Some(&(number, copy)), Some(Some(value))) =
                (homes.get(&(first + at)), symbols.get(symbol.name))
            else {
                continue;
            };
            let Some(section) = inputs.section(first + at) else { continue };
            let differs = match_bytes::differs(module, section, value.wrapping_sub(symbol.value));
            let fits = &mut groups[number][copy].fits;
            *fits = Some(fits.unwrap_or(true) && !differs);
        }
    }
}
