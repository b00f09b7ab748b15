//! The scan: relocations → what each symbol needs and how many dynamic relocations there will be.
//!
//! [`decide()`] says what becomes of one relocation from facts that no longer change; scan and write
//! both ask it, so what is planned is what is written. It must not know of addresses.

mod decide;

pub(crate) use decide::relaxes_tls;
pub use decide::{Act, Decision, Spot, decide};

use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::arch::{Base, Relax, Row, What};
use crate::error::{Error, ErrorKind, Errors, Site};
use crate::format::elf::*;
use crate::layout::Member;
use crate::link::{Link, attr};
use crate::object::walk::{self, Walk};
use crate::object::{Object, Reloc, SecId, SymId};
use crate::resolve::File;
use crate::synthetic::index;

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
    /// A call that goes to the routine for descriptors.
    pub desc_calls: bool,
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
        self.desc_calls |= other.desc_calls;
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
    let objects: Vec<_> = link.res.objects().collect();
    let sections = objects.par_iter().map(|&(file, object)| {
        let mut totals = Totals::default();
        let ld = link.plan.ld_relaxed[file.i()];
        for (index, &at) in object.relocs_of.iter().enumerate() {
            let sec = object.sec(index as u32);
            if at != 0 && link.sec_out[sec.i()].whole().is_some() {
                scan_section(link, object, index as u32, ld, &mut totals);
            }
        }
        totals
    });
    let records = (0..link.plan.eh_inputs.len()).into_par_iter().map(|input| {
        let mut totals = Totals::default();
        scan_records(link, input, &mut totals);
        totals
    });
    let entries = link.plan.index.par_iter().map(|entry| scan_entry(link, entry));
    let mut totals = sections.chain(records).chain(entries).reduce(Totals::default, Totals::add);
    match Errors::collect(std::mem::take(&mut totals.errors)) {
        Some(errors) => Err(errors),
        None => Ok(totals),
    }
}

/// For each file whether every local-dynamic sequence of it is rewritten.
pub(crate) fn local_dynamic(link: &Link<'_>) -> Vec<bool> {
    let relaxes = relaxes_tls(link) && link.arch.rewrites_ld;
    let of = |file: &File<'_>| match file {
        File::Object(object) => relaxes && ld_relaxed(link, object),
        _ => false,
    };
    link.res.files.par_iter().map(of).collect()
}

/// Whether every local-dynamic sequence of `object` has the documented form: then the offsets used
/// with them count from the thread pointer.
fn ld_relaxed(link: &Link<'_>, object: &Object<'_>) -> bool {
    for (index, &at) in object.relocs_of.iter().enumerate() {
        let sec = object.sec(index as u32);
        if at == 0 || link.sec_out[sec.i()].whole().is_none() {
            continue;
        }
        let relocs = object.relocs(index as u32);
        for (i, reloc) in relocs.iter().enumerate() {
            let is_ld = link.arch.row(reloc.kind).is_some_and(|r| r.what == What::TlsLd);
            if is_ld {
                let next = relocs.get(i + 1).map(|r| (r.offset, r.kind));
                let code = object.section_data(index as u32);
                let known = reloc.addend == link.arch.no_addend;
                let can =
                    (link.arch.can_relax)(code, reloc.offset, reloc.kind, Relax::LdToLe, next);
                if !known || can.is_none() {
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
    let (flags, size) = (section.flags, code.len() as u64);
    let word = link.arch.word();
    let turned = walk::turned(object, index, word).is_some();
    let mut scanner = Scanner { link, object, index, code, size, flags, ld, turned, totals };
    let mut walk = Walk::new(object, index, word);
    while let Some((reloc, to)) = walk.step() {
        let taken = scanner.one(&reloc, to, || walk.next());
        walk.skip(taken);
    }
}

/// Scans the records of `.eh_frame` input number `input` that stay.
fn scan_records(link: &Link<'_>, input: usize, totals: &mut Totals) {
    let member = &link.plan.eh_inputs[input];
    for kept in link.plan.eh.of(input) {
        let end = u64::from(kept.record.offset) + u64::from(kept.record.size);
        scan_record(link, member, end, kept.relocations(), totals);
    }
}

/// Scans an entry of the index of unwind tables.
fn scan_entry(link: &Link<'_>, entry: &index::Entry) -> Totals {
    let mut totals = Totals::default();
    if let index::Entry::Input(source) = entry {
        let member = &link.plan.index_inputs[source.input as usize];
        let end = source.offset + index::ENTRY;
        scan_record(link, member, end, source.relocs.clone(), &mut totals);
    }
    totals
}

/// Scans the relocations at `indexes` of unwind table `member`, those of a record that ends at `size`.
fn scan_record(
    link: &Link<'_>,
    member: &Member,
    size: u64,
    indexes: std::ops::Range<usize>,
    totals: &mut Totals,
) {
    let object = link.object(member.file);
    let (index, relocs) = (member.index, object.relocs(member.index));
    let flags = object.sections.get(index).flags;
    // No instructions are rewritten here.
    let (code, ld): (&[u8], _) = (&[], false);
    let turned = false;
    let mut scanner = Scanner { link, object, index, code, size, flags, ld, turned, totals };
    for reloc in indexes.filter_map(|at| relocs.get(at)) {
        let id = object.id(reloc.sym);
        if link.attrs[id.i()] & attr::DISCARDED == 0 {
            scanner.one(&reloc, reloc.offset, || None);
        }
    }
}

/// What relocations are scanned in.
struct Scanner<'l, 'a, 't> {
    link: &'l Link<'a>,
    object: &'l Object<'a>,
    index: u32,
    /// What instructions are recognised in.
    code: &'l [u8],
    /// Where fields must end.
    size: u64,
    flags: u64,
    ld: bool,
    /// Whether the section's words are written in reverse.
    turned: bool,
    totals: &'t mut Totals,
}

impl Scanner<'_, '_, '_> {
    /// Notes what `reloc`, whose field goes to `to`, needs; whether that took care of the one after it.
    #[inline]
    fn one(&mut self, reloc: &Reloc, to: u64, next: impl Fn() -> Option<(u64, u32)>) -> bool {
        let (link, object, index) = (self.link, self.object, self.index);
        let id = object.id(reloc.sym);
        let bits = link.attrs[id.i()];
        let Some(row) = link.arch.row(reloc.kind) else {
            let text = format!("relocation type {} is unknown", reloc.kind);
            self.fail(ErrorKind::RelocUnsupported, text, reloc);
            return false;
        };
        let end = reloc.offset.checked_add(row.field.len());
        if end.is_none_or(|end| end > self.size) {
            let text = format!("{} is outside the section", row.name);
            self.fail(ErrorKind::BadInput, text, reloc);
            return false;
        }
        let word = link.arch.word();
        let whole = row.field.len() == word && reloc.offset.is_multiple_of(word);
        if self.turned && !whole && !row.field.is_empty() {
            let text = format!("{} is of no whole word, and words are reversed here", row.name);
            self.fail(ErrorKind::RelocUnsupported, text, reloc);
            return false;
        }
        if bits & (attr::UNDEFINED | attr::DISCARDED) != 0
            && let Some(error) = broken(link, object, index, reloc, id, bits)
        {
            self.totals.errors.push(error);
            return false;
        }
        let next = match row.what {
            What::TlsGd | What::TlsLd => next(),
            _ => None,
        };
        let spot = Spot { code: self.code, flags: self.flags, ld_relaxed: self.ld, next };
        let decision = decide(link, row, id, bits, reloc, &spot);
        if decision.needs != 0 {
            let needs = &link.needs[id.i()];
            if needs.load(Relaxed) & decision.needs != decision.needs {
                needs.fetch_or(decision.needs, Relaxed);
            }
        }
        tally(link, object, index, (reloc, to), row, decision, self.flags, self.totals);
        decision.takes_next
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind, text: String, reloc: &Reloc) {
        let at = site(self.object, self.index, reloc.offset);
        self.totals.errors.push(Error::new(kind, text).at(at));
    }
}

/// Whether the relative relocation at `offset` is packed: those at odd addresses can't be, and of
/// unwind records no address is known to be even.
pub(crate) fn packs(link: &Link<'_>, object: &Object<'_>, index: u32, offset: u64) -> bool {
    link.options.pack_relr
        && offset.is_multiple_of(2)
        && object.sections.get(index).align >= 2
        && link.sec_out[object.sec(index).i()].whole().is_some()
}

#[allow(clippy::too_many_arguments)]
fn tally(
    link: &Link<'_>,
    object: &Object<'_>,
    index: u32,
    (reloc, to): (&Reloc, u64),
    row: &Row,
    decision: Decision,
    flags: u64,
    totals: &mut Totals,
) {
    match decision.act {
        Act::Static => match row.what {
            What::TlsLd => totals.tls_ld = true,
            What::TlsDescCall => totals.desc_calls = true,
            What::GotTp => totals.static_tls = true,
            What::GotBase => totals.got_base = true,
            _ => totals.got_base |= matches!(row.base, Base::Got | Base::GotPage),
        },
        Act::Relative => {
            totals.text |= flags & SHF_WRITE == 0;
            if packs(link, object, index, reloc.offset) {
                totals.packed.push((object.sec(index), to));
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
