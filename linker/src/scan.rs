//! The scan: relocations → what each symbol needs and how many dynamic relocations there will be.
//!
//! [`decide`] says what becomes of one relocation from facts that no longer change; scan and write
//! both ask it, so what is planned is what is written. It must not know of addresses.

use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::arch::{Expr, Relax, Row};
use crate::error::{Error, ErrorKind, Errors, Site};
use crate::format::elf::*;
use crate::link::{Link, MERGE_BIT, NOWHERE, attr, need};
use crate::object::{Object, Reloc, SecId, SymId};

/// What becomes of a relocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Nothing.
    Skip,
    /// The expression's value is written.
    Static,
    /// The value is written, and the loader adds the base.
    Relative,
    /// The loader does it, by this dynamic relocation against the symbol.
    Symbolic(u32),
    /// The code is rewritten.
    Relax(Relax),
    /// It can't be done.
    Fail(ErrorKind, &'static str),
}

/// [`Act`], what it needs, and whether the next relocation is consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What becomes of it.
    pub act: Act,
    /// Bits of [`need`].
    pub needs: u16,
    /// The rewrite covers the next relocation too.
    pub takes_next: bool,
}

/// Where a relocation is.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'s> {
    /// The section's bytes.
    pub code: &'s [u8],
    /// `SHF_*` of the section.
    pub flags: u64,
    /// Whether the file's local-dynamic sequences can all be rewritten.
    pub ld_relaxed: bool,
    /// Offset and type of the next relocation.
    pub next: Option<(u64, u32)>,
}

const fn act(act: Act, needs: u16) -> Decision {
    Decision { act, needs, takes_next: false }
}

const fn fail(text: &'static str) -> Decision {
    act(Act::Fail(ErrorKind::RelocDynamic, text), 0)
}

const NO_PIC: Decision =
    fail("can't be used in a position-independent output; recompile with -fPIC");
const PREEMPTED: Decision = fail("can't be used against a symbol another module may define");
const NO_COPY: Decision = fail("needs a copy of a library's data that can't be made");
const READ_ONLY: Decision = fail("needs a dynamic relocation in a read-only section");

/// What becomes of `reloc`, whose symbol has attributes `bits`.
#[inline]
pub fn decide(
    link: &Link<'_>,
    row: &Row,
    id: SymId,
    bits: u16,
    reloc: &Reloc,
    spot: &Spot<'_>,
) -> Decision {
    if spot.flags & SHF_ALLOC == 0 {
        return act(Act::Static, 0);
    }
    match row.expr {
        Expr::Nothing => act(Act::Skip, 0),
        Expr::Abs
        | Expr::Pc
        | Expr::Plt
        | Expr::PltOff
        | Expr::GotOff
        | Expr::Got
        | Expr::GotPc
            if bits & attr::TLS != 0 && bits & attr::WEAK_UNDEF == 0 =>
        {
            act(
                Act::Fail(ErrorKind::TlsMismatch, "is no TLS access, its symbol is thread-local"),
                0,
            )
        }
        Expr::Abs => absolute(link, row, id, bits, spot),
        Expr::Pc | Expr::GotOff => relative(link, id, bits),
        Expr::Plt | Expr::PltOff => {
            if bits & (attr::DYNAMIC | attr::IFUNC) != 0 {
                return act(Act::Static, need::PLT | used(bits));
            }
            relative(link, id, bits)
        }
        Expr::GotBase => act(Act::Static, 0),
        Expr::Got | Expr::GotPc => {
            let fixed =
                bits & (attr::DYNAMIC | attr::ABSOLUTE | attr::IFUNC | attr::DISCARDED) == 0;
            if row.relaxable
                && fixed
                && link.options.relax
                && link.plan.near
                && reloc.addend == -4
                && (link.arch.can_relax)(spot.code, reloc.offset, reloc.kind, Relax::GotToPc, None)
            {
                return act(Act::Relax(Relax::GotToPc), 0);
            }
            let ifunc = if bits & attr::IFUNC != 0 { need::PLT | need::CANONICAL } else { 0 };
            act(Act::Static, need::GOT | used(bits) | ifunc)
        }
        Expr::Size => match bits & attr::IMPORT {
            0 => act(Act::Static, 0),
            _ => act(Act::Symbolic(reloc.kind), need::DYNSYM | need::USED),
        },
        _ => tls(link, row, bits, reloc, spot),
    }
}

fn used(bits: u16) -> u16 {
    if bits & attr::DYNAMIC != 0 { need::USED } else { 0 }
}

fn absolute(link: &Link<'_>, row: &Row, id: SymId, bits: u16, spot: &Spot<'_>) -> Decision {
    let word = row.field.len() == link.arch.word;
    let writable = spot.flags & SHF_WRITE != 0 || link.options.z.text == Some(false);
    if bits & attr::DYNAMIC != 0 {
        if word && writable {
            return act(Act::Symbolic(link.arch.dynamic.word), need::DYNSYM | need::USED);
        }
        if link.is_shared() {
            return if word { READ_ONLY } else { PREEMPTED };
        }
        return direct_import(link, id, bits, word);
    }
    if bits & (attr::ABSOLUTE | attr::DISCARDED) != 0 {
        return act(Act::Static, 0);
    }
    let needs = if bits & attr::IFUNC != 0 { need::PLT | need::CANONICAL } else { 0 };
    match link.is_pic() {
        false => act(Act::Static, needs),
        true if !word => NO_PIC,
        true if !writable => READ_ONLY,
        true => act(Act::Relative, needs),
    }
}

fn relative(link: &Link<'_>, id: SymId, bits: u16) -> Decision {
    if bits & attr::DYNAMIC != 0 {
        return match link.is_shared() {
            true => PREEMPTED,
            false => direct_import(link, id, bits, false),
        };
    }
    if bits & attr::IFUNC != 0 {
        return act(Act::Static, need::PLT | need::CANONICAL);
    }
    // The distance to a fixed address is unknown until load; a weak undefined one is never taken.
    if bits & attr::ABSOLUTE != 0 && bits & attr::WEAK_UNDEF == 0 && link.is_pic() {
        return NO_PIC;
    }
    act(Act::Static, 0)
}

/// An executable refers to a library's symbol as if it were its own.
fn direct_import(link: &Link<'_>, id: SymId, bits: u16, absolute_word: bool) -> Decision {
    if bits & (attr::PROTECTED_IMPORT | attr::WEAK_UNDEF) != 0 {
        return NO_COPY;
    }
    if absolute_word && link.is_pic() {
        return READ_ONLY;
    }
    if bits & attr::FUNC != 0 {
        return act(Act::Static, need::PLT | need::CANONICAL | need::USED);
    }
    let size = link.res.winner(id).map_or(0, |s| s.size);
    if !link.options.z.copyreloc || size == 0 || bits & attr::TLS != 0 {
        return NO_COPY;
    }
    act(Act::Static, need::COPY | need::USED)
}

/// Whether TLS accesses are rewritten at all: only executables know their offsets, and static ones
/// have no loader to help.
pub(crate) fn relaxes_tls(link: &Link<'_>) -> bool {
    link.options.kind.is_executable() && (link.options.relax || !link.is_dynamic())
}

fn tls(link: &Link<'_>, row: &Row, bits: u16, reloc: &Reloc, spot: &Spot<'_>) -> Decision {
    if bits & (attr::TLS | attr::WEAK_UNDEF) == 0 && row.expr != Expr::TlsLd {
        return act(Act::Fail(ErrorKind::TlsMismatch, "is a TLS access, its symbol is not"), 0);
    }
    let dynamic = bits & attr::DYNAMIC != 0;
    let relax = relaxes_tls(link);
    let can = |what| (link.arch.can_relax)(spot.code, reloc.offset, reloc.kind, what, spot.next);
    let gottp = need::GOTTP | used(bits);
    match row.expr {
        Expr::TlsGd => {
            let what = if dynamic { Relax::GdToIe } else { Relax::GdToLe };
            if relax && can(what) {
                let needs = if dynamic { gottp } else { 0 };
                return Decision { act: Act::Relax(what), needs, takes_next: true };
            }
            act(Act::Static, need::TLSGD | used(bits))
        }
        Expr::TlsLd if relax && spot.ld_relaxed => {
            Decision { act: Act::Relax(Relax::LdToLe), needs: 0, takes_next: true }
        }
        Expr::GotTp if relax && !dynamic && can(Relax::IeToLe) => act(Act::Relax(Relax::IeToLe), 0),
        Expr::GotTp => act(Act::Static, gottp),
        Expr::DtpOff if dynamic => PREEMPTED,
        Expr::TpOff if link.is_shared() || dynamic => {
            if row.field.len() == link.arch.word && spot.flags & SHF_WRITE != 0 {
                return act(Act::Symbolic(link.arch.dynamic.tpoff), need::DYNSYM | used(bits));
            }
            if dynamic { PREEMPTED } else { NO_PIC }
        }
        Expr::TlsDesc => {
            let what = if dynamic { Relax::DescToIe } else { Relax::DescToLe };
            match (relax, relax && can(what)) {
                (false, _) => act(Act::Static, need::TLSDESC | used(bits)),
                (_, true) => act(Act::Relax(what), if dynamic { gottp } else { 0 }),
                _ => act(Act::Fail(ErrorKind::RelocUnsupported, "is in an unknown sequence"), 0),
            }
        }
        Expr::TlsDescCall if relax && can(Relax::DescCall) => act(Act::Relax(Relax::DescCall), 0),
        Expr::TlsDescCall => act(Act::Skip, 0),
        _ => act(Act::Static, 0),
    }
}

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
                if !(link.arch.can_relax)(code, reloc.offset, reloc.kind, Relax::LdToLe, next) {
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
