//! Thunks: branches whose target may be out of reach → pieces of code nearby that go on to it. Atoms
//! get their places in their section here, thunks between them. Must not know how a thunk looks.

use rustc_hash::FxHashSet;

use crate::macho::link::{Link, Out, Ref};
use crate::macho::object::Atom;

/// What a group of atoms may cover before its thunks must follow, of what a branch reaches: thunks
/// need room, too.
const GROUP: (u64, u64) = (3, 8);

/// Places all atoms relative to the start of their sections.
pub(super) fn place(link: &mut Link<'_>) {
    let made = |out: &Out| out.made.is_some();
    for at in (0..link.outs.len()).filter(|&at| !made(&link.outs[at])).collect::<Vec<_>>() {
        link.outs[at].size = place_atoms(link, at);
    }
    let text = |out: &&Out| out.segment == b"__TEXT";
    let all: u64 = link.outs.iter().filter(text).map(|out| out.size).sum();
    let reach = link.machine.thunk.as_ref().map_or(u64::MAX, |thunk| thunk.reach);
    for at in 0..link.outs.len() {
        if all >= reach / 2 && text(&&link.outs[at]) && !made(&link.outs[at]) {
            with_thunks(link, at);
        }
    }
}

/// Places the atoms of a section one behind the other; gives its size.
fn place_atoms(link: &mut Link<'_>, at: usize) -> u64 {
    let mut offset = 0u64;
    for &atom in &link.outs[at].atoms {
        let atom = &mut link.atoms[atom as usize];
        offset = offset.next_multiple_of(1 << atom.align);
        atom.addr = offset;
        offset += atom.size;
    }
    offset
}

/// Places the atoms of a section in groups, behind each the thunks its branches may need.
fn with_thunks(link: &mut Link<'_>, at: usize) {
    let Some(thunk) = &link.machine.thunk else { return };
    let most = thunk.reach / GROUP.1 * GROUP.0;
    let atoms = std::mem::take(&mut link.outs[at].atoms);
    let (mut offset, mut from, mut start) = (0u64, 0, 0u64);
    let mut thunks = Vec::new();
    for (i, &atom) in atoms.iter().enumerate() {
        let Atom { size, align, .. } = link.atoms[atom as usize];
        if i > from && offset + size - start > most {
            offset = add(link, &atoms[from..i], offset, &mut thunks);
            (from, start) = (i, offset);
        }
        offset = offset.next_multiple_of(1 << align);
        link.atoms[atom as usize].addr = offset;
        offset += size;
    }
    offset = add(link, &atoms[from..], offset, &mut thunks);
    let out = &mut link.outs[at];
    for (number, entry) in (0..).zip(&thunks) {
        out.thunk_index.entry((entry.1, entry.2)).or_default().push(number);
    }
    (out.atoms, out.size, out.thunks) = (atoms, offset, thunks);
}

/// Adds thunks at `offset` for branches of a group of atoms that leave it; gives where they end.
fn add(link: &Link<'_>, atoms: &[u32], mut offset: u64, thunks: &mut Vec<(u64, Ref, i64)>) -> u64 {
    let Some(thunk) = &link.machine.thunk else { return offset };
    let group: FxHashSet<u32> = atoms.iter().copied().collect();
    let mut seen = FxHashSet::default();
    offset = offset.next_multiple_of(4);
    for &at in atoms {
        let atom = &link.atoms[at as usize];
        for reloc in link.relocs(atom).iter().filter(|reloc| reloc.kind == thunk.kind) {
            let what = link.target(atom.file as usize, reloc.target);
            let to = link.atom_of(what).filter(|_| link.bound(what).is_none());
            let near = to.is_some_and(|(to, _)| group.contains(&to));
            if !near && seen.insert((what, reloc.addend)) {
                thunks.push((offset, what, reloc.addend));
                offset += thunk.size;
            }
        }
    }
    offset
}

/// The thunk for `what` that a branch at `place` in section `out` reaches.
pub fn find(link: &Link<'_>, out: usize, place: u64, what: Ref, addend: i64) -> Option<u64> {
    let reach = link.machine.thunk.as_ref()?.reach;
    let out = &link.outs[out];
    let list = out.thunk_index.get(&(what, addend))?;
    let at = |&number: &usize| out.addr + out.thunks[number].0;
    list.iter().map(at).find(|&at| at.abs_diff(place) < reach)
}
