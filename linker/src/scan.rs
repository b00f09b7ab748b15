//! The scan: relocations → what each symbol needs and how many dynamic relocations there will be.
//!
//! [`decide()`] says what becomes of one relocation from facts that no longer change; scan and write
//! both ask it, so what is planned is what is written. It must not know of addresses.

mod decide;

pub(crate) use decide::relaxes_tls;
pub use decide::{Act, Decision, Spot, decide};

use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::arch::{Expr, Relax, Row};
use crate::error::{Error, ErrorKind, Errors, Site};
use crate::format::elf::*;
use crate::link::{Link, MERGE_BIT, NOWHERE, attr};
use crate::object::{Object, Reloc, SecId, SymId};

/// What the scan of one object, then of all, adds up to.
#[derive(Default, Debug)]
pub struct Totals {
    /// Words the loader adds the base to.
    pub relative: u64,
    /// Dynamic relocations against symbols.
    pub symbolic: u64,
    /// Initial-exec accesses: the library can't be loaded late.
    pub static_tls: bool,
    /// A local-dynamic access that stays.
    pub tls_ld: bool,
    /// Something counts from the GOT's base.
    pub got_base: bool,
    /// A dynamic relocation in a read-only section.
    pub text: bool,
    /// Places of `relative`, if they are to be packed.
    pub packed: Vec<(SecId, u64)>,
    /// What can't be done.
    pub errors: Vec<Error>,
}

impl Totals {
    fn add(mut self, mut other: Self) -> Self {
        self.relative += other.relative;
        self.symbolic += other.symbolic;
        self.static_tls |= other.static_tls;
        self.tls_ld |= other.tls_ld;
        self.got_base |= other.got_base;
        self.text |= other.text;
        self.packed.append(&mut other.packed);
        self.errors.append(&mut other.errors);
        self
    }
}

/// Scans every relocation of what is loaded.
///
/// Errors: `undefined-symbol`, `reloc-dynamic`, `reloc-unsupported`, `tls-mismatch`, `bad-input`.
pub fn scan(link: &Link<'_>) -> Result<Totals, Errors> {
    let objects: Vec<&Object<'_>> = link.res.objects().map(|o| o.1).collect();
    let eh: rustc_hash::FxHashSet<SecId> = link.plan.eh_inputs.iter().map(|m| m.sec).collect();
    let totals = objects
        .par_iter()
        .map(|object| {
            let mut totals = Totals::default();
            let ld = ld_relaxed(link, object);
            for (index, &at) in object.relocs_of.iter().enumerate() {
                let sec = object.sec(index as u32);
                let out = link.sec_out[sec.i()];
                if at == 0 || out & MERGE_BIT != 0 && !(out == NOWHERE && eh.contains(&sec)) {
                    continue;
                }
                scan_section(link, object, index as u32, ld, &mut totals);
            }
            totals
        })
        .reduce(Totals::default, Totals::add);
    let mut totals = totals;
    match Errors::collect(std::mem::take(&mut totals.errors)) {
        Some(errors) => Err(errors),
        None => Ok(totals),
    }
}

/// Whether every local-dynamic sequence of `object` has the documented form: then the offsets used
/// with them count from the thread pointer.
pub(crate) fn ld_relaxed(link: &Link<'_>, object: &Object<'_>) -> bool {
    if !relaxes_tls(link) {
        return false;
    }
    for (index, &at) in object.relocs_of.iter().enumerate() {
        let sec = object.sec(index as u32);
        if at == 0 || link.sec_out[sec.i()] & MERGE_BIT != 0 {
            continue;
        }
        let relocs = object.relocs(index as u32);
        for (i, reloc) in relocs.iter().enumerate() {
            let is_ld = (link.arch.row)(reloc.kind).is_some_and(|r| r.expr == Expr::TlsLd);
            if is_ld {
                let next = relocs.get(i + 1).map(|r| (r.offset, r.kind));
                let code = object.section_data(index as u32);
                let known = reloc.addend == link.arch.no_addend;
                if !known
                    || !(link.arch.can_relax)(code, reloc.offset, reloc.kind, Relax::LdToLe, next)
                {
                    return false;
                }
            }
        }
    }
    true
}

/// The place of a relocation, for people.
pub(crate) fn site(object: &Object<'_>, index: u32, offset: u64) -> Site {
    Site {
        file: object.name.clone(),
        section: Some(String::from_utf8_lossy(object.section_name(index)).into_owned()),
        offset: Some(offset),
    }
}

/// The symbol of a relocation, for people.
pub(crate) fn symbol_text(object: &Object<'_>, sym: u32) -> String {
    match object.symbol_name(sym) {
        [] if sym == 0 => "an absolute value".into(),
        [] => format!("local symbol {sym}"),
        name => String::from_utf8_lossy(name).into_owned(),
    }
}

fn scan_section(link: &Link<'_>, object: &Object<'_>, index: u32, ld: bool, totals: &mut Totals) {
    let section = object.sections.get(index);
    if section.flags & SHF_ALLOC == 0 {
        return;
    }
    let code = object.section_data(index);
    let relocs = object.relocs(index);
    let is_eh = link.sec_out[object.sec(index).i()] == NOWHERE;
    let mut at = 0;
    let mut spot = Spot { code, flags: section.flags, ld_relaxed: ld, next: None };
    while let Some(reloc) = relocs.get(at) {
        at += 1;
        let id = object.id(reloc.sym);
        let bits = link.attrs[id.i()];
        let Some(row) = (link.arch.row)(reloc.kind) else {
            let text = format!("relocation type {} is unknown", reloc.kind);
            totals.errors.push(Error::new(ErrorKind::RelocUnsupported, text).at(site(
                object,
                index,
                reloc.offset,
            )));
            continue;
        };
        let end = reloc.offset.checked_add(row.field.len());
        if end.is_none_or(|end| end > code.len() as u64) {
            let text = format!("{} is outside the section", row.name);
            totals.errors.push(Error::new(ErrorKind::BadInput, text).at(site(
                object,
                index,
                reloc.offset,
            )));
            continue;
        }
        if bits & (attr::UNDEFINED | attr::DISCARDED) != 0 {
            if is_eh && bits & attr::DISCARDED != 0 {
                continue;
            }
            if let Some(error) = broken(link, object, index, &reloc, id, bits) {
                totals.errors.push(error);
                continue;
            }
        }
        spot.next = match row.expr {
            Expr::TlsGd | Expr::TlsLd => relocs.get(at).map(|r| (r.offset, r.kind)),
            _ => None,
        };
        let decision = decide(link, &row, id, bits, &reloc, &spot);
        at += usize::from(decision.takes_next);
        if decision.needs != 0 {
            let needs = &link.needs[id.i()];
            if needs.load(Relaxed) & decision.needs != decision.needs {
                needs.fetch_or(decision.needs, Relaxed);
            }
        }
        tally(link, object, index, &reloc, &row, decision, section.flags, totals);
    }
}

#[allow(clippy::too_many_arguments)]
fn tally(
    link: &Link<'_>,
    object: &Object<'_>,
    index: u32,
    reloc: &Reloc,
    row: &Row,
    decision: Decision,
    flags: u64,
    totals: &mut Totals,
) {
    match decision.act {
        Act::Static => match row.expr {
            Expr::TlsLd => totals.tls_ld = true,
            Expr::GotTp => totals.static_tls = true,
            Expr::GotBase | Expr::GotOff | Expr::PltOff | Expr::Got => totals.got_base = true,
            _ => {}
        },
        Act::Relative => {
            totals.text |= flags & SHF_WRITE == 0;
            let even = reloc.offset.is_multiple_of(2) && object.sections.get(index).align >= 2;
            if link.options.pack_relr && even {
                let offset = match object.is_reversed(index) {
                    true => {
                        let (size, word) = (object.section_size(index), link.arch.word);
                        crate::init_order::reversed(reloc.offset, size, word)
                    }
                    false => reloc.offset,
                };
                totals.packed.push((object.sec(index), offset));
            } else {
                totals.relative += 1;
            }
        }
        Act::Symbolic(kind) => {
            totals.text |= flags & SHF_WRITE == 0;
            totals.static_tls |= kind == link.arch.dynamic.tpoff;
            totals.symbolic += 1;
        }
        Act::Fail(kind, text) => {
            let name = symbol_text(object, reloc.sym);
            let text = format!("{} against {name} {text}", row.name);
            totals.errors.push(Error::new(kind, text).at(site(object, index, reloc.offset)));
        }
        Act::Skip | Act::Relax(_) => {}
    }
}

/// The error of a relocation against a symbol that is not there.
fn broken(
    link: &Link<'_>,
    object: &Object<'_>,
    index: u32,
    reloc: &Reloc,
    id: SymId,
    bits: u16,
) -> Option<Error> {
    let site = site(object, index, reloc.offset);
    if bits & attr::UNDEFINED != 0 {
        return Some(crate::symbols::undefined(link, id, site));
    }
    let name = symbol_text(object, reloc.sym);
    let text = format!("relocation refers to {name}, whose section was discarded");
    Some(Error::new(ErrorKind::UndefinedSymbol, text).at(site))
}
