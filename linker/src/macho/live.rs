//! Dead stripping: what roots reach stays, the rest goes. Must not know of output sections.

use super::link::{Def, Link, Ref};
use super::object::{NONE, Target};
use super::options::Kind;
use crate::format::macho::{attr, kind, nlist};
use crate::object::SymId;

/// Marks what is reached, if asked to.
pub fn mark(link: &mut Link<'_>) {
    if !link.options.dead_strip {
        return;
    }
    let coalesced: Vec<bool> = link.atoms.iter().map(|atom| !atom.live).collect();
    let mut work = Vec::new();
    for (at, atom) in link.atoms.iter_mut().enumerate() {
        atom.live = false;
        if atom.forward != NONE || coalesced[at] {
            continue;
        }
        let Some(file) = link.files.get(atom.file as usize) else { continue };
        let header = &file.sections[atom.section as usize].header;
        let rooted = matches!(header.kind(), kind::MOD_INIT | kind::MOD_TERM)
            || header.flags & attr::NO_DEAD_STRIP != 0;
        if rooted {
            work.push(at as u32);
        }
    }
    roots(link, &mut work);
    let mut needed = unwinds(link);
    supporters(link, &mut needed);
    needed.sort_unstable();
    while let Some(at) = work.pop() {
        let atom = &mut link.atoms[at as usize];
        if atom.live || coalesced[at as usize] {
            continue;
        }
        atom.live = true;
        let (file, atom) = (atom.file as usize, *atom);
        let targets = link.relocs(&atom).iter().flat_map(|reloc| [reloc.target, reloc.minus]);
        let reached = targets.filter_map(|t| link.atom_of(link.target(file, t)));
        work.extend(reached.map(|found| found.0));
        let from = needed.partition_point(|&(function, _)| function < at);
        let mine = needed[from..].iter().take_while(|entry| entry.0 == at);
        work.extend(mine.map(|entry| entry.1));
    }
}

fn roots(link: &Link<'_>, work: &mut Vec<u32>) {
    let options = link.options;
    for (file, object) in link.files.iter().enumerate() {
        for (index, symbol) in (0..).zip(&object.symbols) {
            if symbol.desc & nlist::NO_DEAD_STRIP != 0 && symbol.kind & nlist::STAB == 0 {
                let target = link.target(file, Target::Symbol(index));
                work.extend(link.atom_of(target).map(|found| found.0));
            }
        }
    }
    let is_program = options.kind == Kind::Execute;
    let entry = options.entry.as_deref().unwrap_or("_main");
    let named = options.wanted.iter().chain(&options.init).map(String::as_str);
    let named: rustc_hash::FxHashSet<&[u8]> =
        named.chain(is_program.then_some(entry)).map(str::as_bytes).collect();
    for (at, global) in (0..).zip(&link.globals) {
        let id = SymId(at);
        let exported = global.exported && (!is_program || options.exported.is_some());
        if exported || named.contains(link.names.get(id)) {
            work.extend(link.atom_of(Ref::Name(id)).map(|found| found.0));
        }
        if let Def::Made(atom) = global.def {
            work.extend(exported.then_some(atom));
        }
    }
}

/// Functions with what unwinding them needs.
fn unwinds(link: &Link<'_>) -> Vec<(u32, u32)> {
    let mut out = Vec::new();
    for (file, object) in link.files.iter().enumerate() {
        let base = object.first_atom;
        for entry in &object.unwind {
            let function = base + entry.function.0;
            out.extend(entry.lsda.map(|(atom, _)| (function, base + atom)));
            let personality = entry.personality.map(|p| link.target(file, p.0));
            out.extend(personality.and_then(|p| link.atom_of(p)).map(|p| (function, p.0)));
        }
        for record in &object.records {
            let (Some(function), Some(cie)) = (record.function, record.cie) else { continue };
            let function = base + function.2.0;
            out.extend(record.lsda.map(|lsda| (function, base + lsda.2.0)));
            let personality = object.records[cie].personality.map(|p| link.target(file, p.1));
            out.extend(personality.and_then(|p| link.atom_of(p)).map(|p| (function, p.0)));
        }
    }
    out
}

/// What supports others lives if it refers to something that does.
fn supporters(link: &Link<'_>, out: &mut Vec<(u32, u32)>) {
    for (at, atom) in (0..).zip(&link.atoms) {
        let Some(object) = link.files.get(atom.file as usize) else { continue };
        let header = &object.sections[atom.section as usize].header;
        if header.flags & attr::LIVE_SUPPORT != 0 {
            let target =
                |reloc: &super::object::Reloc| link.target(atom.file as usize, reloc.target);
            let found = link.relocs(atom).iter().filter_map(|reloc| link.atom_of(target(reloc)));
            out.extend(found.map(|(other, _)| (other, at)));
        }
    }
}
