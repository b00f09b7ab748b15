//! Literals: strings and constants with equal bytes → one of them. Must not know who refers to them.

use rustc_hash::FxHashMap;

use super::link::Link;
use super::object::NONE;
use crate::format::macho::kind;

/// Folds equal literals into the first one, which gets the largest alignment of all.
pub fn fold(link: &mut Link<'_>) {
    let mut seen = FxHashMap::default();
    for at in 0..link.atoms.len() {
        let atom = link.atoms[at];
        if !atom.live || atom.forward != NONE {
            continue;
        }
        let Some(object) = link.files.get(atom.file as usize) else { continue };
        let section = &object.sections[atom.section as usize];
        let literal = matches!(
            section.header.kind(),
            kind::CSTRING | kind::LITERAL4 | kind::LITERAL8 | kind::LITERAL16
        );
        // What is relocated is not known yet.
        if !literal || !section.relocs.is_empty() {
            continue;
        }
        let data = link.data(&atom);
        let key = (section.header.segment, section.header.name, data);
        let first = *seen.entry(key).or_insert(at as u32);
        if first != at as u32 {
            link.atoms[at].forward = first;
            let first = &mut link.atoms[first as usize];
            first.align = first.align.max(atom.align);
        }
    }
}
