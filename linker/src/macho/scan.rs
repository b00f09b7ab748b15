//! Scanning: every relocation of what stays → the slots, stubs and pointers it needs. Must not know of
//! addresses.

use rayon::prelude::*;

use super::link::{BINDER, Def, Link, Ref};
use super::object::{Atom, NONE, Reloc, Target};
use super::resolve::settle::HEADER;
use crate::arch::What;
use crate::format::macho::kind;
use crate::{Error, ErrorKind, Errors};

/// What a reference needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Need {
    Got,
    Stub,
    Tlv,
}

/// Atoms looked at by one thread at a time.
const CHUNK: usize = 1 << 12;

/// Scans every atom that stays.
///
/// Errors: `undefined-symbol`, `tls-mismatch`, `reloc-unsupported`.
pub fn scan(link: &mut Link<'_>) -> Result<(), Errors> {
    let this = &*link;
    let parts: Vec<_> = link
        .atoms
        .par_chunks(CHUNK)
        .map(|atoms| {
            let mut found = (Vec::new(), Vec::new());
            let mut seen = rustc_hash::FxHashSet::default();
            for atom in atoms.iter().filter(|atom| atom.live && atom.forward == NONE) {
                for reloc in this.relocs(atom) {
                    match need(this, atom, reloc) {
                        Ok(Some(need)) if seen.insert(need) => found.0.push(need),
                        Ok(_) => {}
                        Err(error) => found.1.push(error),
                    }
                }
            }
            found
        })
        .collect();
    let mut errors = Vec::new();
    for (needs, wrong) in parts {
        errors.extend(wrong);
        for (need, what) in needs {
            match need {
                Need::Got => link.got.add(what),
                Need::Stub => link.stubs.add(what),
                Need::Tlv => link.tlv.add(what),
            }
        }
    }
    for at in 0..link.inits.len() {
        let what = link.inits[at].what;
        if let Some(name) = nothing(link, what) {
            let (file, section, offset) = link.inits[at].from;
            let error = Error::new(ErrorKind::UndefinedSymbol, format!("undefined symbol: {name}"));
            errors.push(error.at(link.files[file as usize].site(section, offset)));
        } else if link.atom_of(what).is_none() {
            // What another image has is called through a stub.
            link.stubs.add(what);
        }
    }
    let first = link.init().filter(|&what| link.bound(what).is_some());
    if let Some(what) = first.filter(|&what| link.atom_of(what).is_none()) {
        link.stubs.add(what);
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// Libraries that might have what is undefined, had they been found.
fn missing_reexports(link: &Link<'_>) -> String {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let all = link.libraries.iter().flat_map(|library| {
        library.missing.iter().map(|name| (text(name), text(&library.install_name)))
    });
    all.fold(String::new(), |hint, (name, of)| {
        format!("{hint}; unable to locate re-export {name} of {of}")
    })
}

/// Whether an instruction that loads an address from a slot can make it itself.
pub fn relaxes(link: &Link<'_>, atom: &Atom, reloc: &Reloc, what: Ref) -> bool {
    let row = link.machine.row(reloc.kind);
    let relaxable = row.is_some_and(|row| row.relaxable);
    relaxable
        && link.bound(what).is_none()
        && !link.is_absolute(what)
        && (link.machine.can_relax)(
            reloc.kind,
            link.data(atom),
            (u64::from(reloc.offset) - atom.start) as usize,
        )
}

fn need(link: &Link<'_>, atom: &Atom, reloc: &Reloc) -> Result<Option<(Need, Ref)>, Error> {
    let file = atom.file as usize;
    let what = link.target(file, reloc.target);
    let fail = |kind, text: String| {
        let site = link.files[file].site(atom.section, reloc.offset.into());
        Err(Error::new(kind, text).at(site))
    };
    let minus = link.target(file, reloc.minus);
    for end in [what, minus] {
        if let Some(name) = nothing(link, end) {
            let hint = missing_reexports(link);
            return fail(ErrorKind::UndefinedSymbol, format!("undefined symbol: {name}{hint}"));
        }
    }
    let Some(row) = link.machine.row(reloc.kind) else { return Ok(None) };
    let plain = reloc.kind == link.machine.unsigned && reloc.minus == Target::None;
    let direct = row.what == What::Symbol && !plain;
    let elsewhere = match is_elsewhere(link, minus) {
        true => Some(reloc.minus),
        false => (direct && is_elsewhere(link, what)).then_some(reloc.target),
    };
    if let Some(target) = elsewhere {
        let name = link.title(file, target);
        let text = format!("{} can't reach into another image; refers to {name}", row.name);
        return fail(ErrorKind::RelocDynamic, text);
    }
    let behind = reloc.addend - (link.machine.bias)(reloc.kind);
    if row.what == What::Plt && link.bound(what).is_some() && behind != 0 {
        let name = link.title(file, reloc.target);
        let text = format!("{} into the stub of {name}, {behind} bytes behind its start", row.name);
        return fail(ErrorKind::RelocUnsupported, text);
    }
    let access = row.what == What::TlsDesc;
    if is_thread_local(link, what) != access {
        let name = link.title(file, reloc.target);
        let not = if access { "not " } else { "" };
        let text = format!("{} against {name}, which is {not}thread-local", row.name);
        return fail(ErrorKind::TlsMismatch, text);
    }
    Ok(match row.what {
        What::Plt if link.bound(what).is_some() => Some((Need::Stub, what)),
        What::Got if !relaxes(link, atom, reloc, what) => Some((Need::Got, what)),
        What::TlsDesc if !relaxes(link, atom, reloc, what) => Some((Need::Tlv, what)),
        _ => None,
    })
}

/// The name a reference is by, if nothing has it.
fn nothing<'a>(link: &Link<'a>, what: Ref) -> Option<std::borrow::Cow<'a, str>> {
    match what {
        Ref::Name(id) if link.globals[id.i()].def == Def::None => Some(link.name(id)),
        _ => None,
    }
}

/// Whether only the loader knows where a reference leads.
fn is_elsewhere(link: &Link<'_>, what: Ref) -> bool {
    let Ref::Name(id) = what else { return false };
    matches!(link.globals[id.i()].def, Def::Library(_) | Def::Lookup)
}

/// Whether a reference leads to a thread-local variable's descriptor. What is looked up at run time is none:
/// ld64, lld and zig refuse it, too.
fn is_thread_local(link: &Link<'_>, what: Ref) -> bool {
    match (link.atom_of(what), what) {
        (Some((atom, _)), _) => {
            let atom = &link.atoms[atom as usize];
            let object = link.files.get(atom.file as usize);
            let section = object.map(|object| &object.sections[atom.section as usize]);
            section.is_some_and(|section| section.header.kind() == kind::TLV_VARS)
        }
        (None, Ref::Name(id)) => link.globals[id.i()].thread_local,
        _ => false,
    }
}

/// Stubs jump through the GOT, or, with lazy binding, through pointers of their own.
///
/// Errors: `undefined-symbol` for names the options ask for.
pub fn plan_stubs(link: &mut Link<'_>) -> Result<(), Errors> {
    let binder = link.names.find(BINDER, crate::object::hash_name(BINDER));
    let binder = binder.filter(|id| link.globals[id.i()].ordinal.is_some());
    let lazy = !link.chained && !link.options.bind_at_load && binder.is_some();
    for at in 0..link.stubs.list.len() {
        let what = link.stubs.list[at];
        let Some(id) = link.bound(what) else { continue };
        let own = link.atom_of(what).is_some();
        // A slot that is there anyway, and weak names, which are bound early, take no lazy one.
        let early = link.got.get(what).is_some() || (own && link.globals[id.i()].weak);
        match lazy && !early && !link.globals[id.i()].weak {
            true => link.lazy.add(what),
            false => link.got.add(what),
        }
    }
    if !link.lazy.list.is_empty() {
        link.binder = binder;
        link.got.add(Ref::Name(binder.unwrap_or(crate::object::SymId(0))));
    }
    asked(link)
}

/// Names that options ask for must be there.
fn asked(link: &mut Link<'_>) -> Result<(), Errors> {
    let options = link.options;
    let mut errors = Vec::new();
    for (option, name) in options.asked_names() {
        let id = link.names.find(name.as_bytes(), crate::object::hash_name(name.as_bytes()));
        let global = id.map(|id| &link.globals[id.i()]);
        if global.is_none_or(|global| global.def == Def::None) {
            // Who names no entry has that of every program.
            let text = match option == "-e" && options.entry.is_none() {
                true => format!("undefined symbol: {name}; where a program starts, but for -e"),
                false => format!("undefined symbol: {name}; wanted by {option}"),
            };
            errors.push(Error::new(ErrorKind::UndefinedSymbol, text));
        } else if option == "-exported_symbol"
            && global.is_some_and(|global| global.private)
            && name.as_bytes() != HEADER
        {
            link.warnings.push(format!("cannot export {name}, which is hidden; {option}"));
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}
