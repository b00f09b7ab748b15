//! Relocations of placed input sections → `site`, `bytes` and `perm` facts.
//!
//! One pass over each section: every relocation's field and the instruction around it is decoded by
//! the judge's own rows, followed through GOT, PLT and dynamic relocations, and given its meaning.

mod groups;
mod parts;
mod sequences;

use std::ops::Range;

use super::inputs::{Def, SecId};
use super::judge::{Found, Judge, Reference, Use};
use super::machine::{Form, Row, Site, TlsAccess};
use super::names;
use super::object::{EXEC, Reloc, Section, Symbol, TLS};
use crate::bytes::{number, sign_extend};
use crate::loader::{Kind, Tls};
use crate::model::{Facts, Family, Meaning, Value};

/// One section in the output.
struct Pass<'p, 'j, 'a> {
    judge: &'p Judge<'j, 'a>,
    section: &'p Section<'a>,
    object: u32,
    output: &'p [u8],
    base: u64,
    /// What the last local-dynamic sequence made: a thread pointer offset if it was rewritten.
    local_dynamic: Option<u64>,
    /// A local-dynamic sequence was kept: offsets are from the block's start.
    block: bool,
    /// The last TLSDESC site: its index in `sites`, its symbol, whether it was kept.
    descriptor: Option<(usize, u32, bool)>,
    /// The relocation of the call that ends a TLS sequence: which site, at what offset, whether the call
    /// was kept.
    tls_call: Option<(usize, u64, bool)>,
    /// Relocations that make an address together.
    groups: groups::Groups,
    sites: Vec<(u64, Meaning)>,
}

/// Adds the facts of every placed section.
pub(super) fn facts(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let mut all = Vec::new();
    for (id, base) in judge.places.sections() {
        let Some(section) = judge.inputs.section(id).filter(|section| section.told()) else {
            continue;
        };
        let name = judge.inputs.section_name(id);
        facts.put(Family::Perm, name.clone(), Value::Text(perm(judge, section, base).into()));
        if judge.places.twice.contains(&id) {
            facts.put(Family::Perm, format!("{name} twice"), Value::Flag(true));
        }
        if let Some(sites) = contents(judge, id, section, base, &name, facts) {
            all.push((name, sites));
        }
    }
    lost(judge, facts);
    for (name, sites) in all {
        let mut last = None;
        for (offset, mut meaning) in sites {
            one_ifunc_address(judge, &mut meaning);
            let key = if last == Some(offset) {
                format!("{name}+{offset:#x} again")
            } else {
                format!("{name}+{offset:#x}")
            };
            last = Some(offset);
            facts.put(Family::Site, key, Value::Ref(meaning));
        }
    }
}

/// Nothing is said of what may be there, though nobody knows where.
fn lost(judge: &Judge<'_, '_>, facts: &mut Facts) {
    for id in &judge.places.lost {
        let Some(section) = judge.inputs.section(*id).filter(|section| section.told()) else {
            continue;
        };
        let name = judge.inputs.section_name(*id);
        let nothing = || Value::Ref(Meaning::Lost);
        for reloc in section.relocs() {
            facts.put(Family::Site, format!("{name}+{:#x}", reloc.offset), nothing());
        }
        facts.put(Family::Perm, name.clone(), nothing());
        if !section.nobits() {
            facts.put(Family::Bytes, name, nothing());
        }
    }
}

/// An IFUNC's address must be one: what its resolver returns, or its PLT entry.
fn one_ifunc_address(judge: &Judge<'_, '_>, meaning: &mut Meaning) {
    if let Meaning::Ifunc(place) = meaning
        && judge.ifuncs.borrow().get(place) == Some(&(true, true))
    {
        *meaning = Meaning::Bad(format!("ifunc `{place}` with more than one address"));
    }
}

/// `r`, `rx`, `rw`, `relro` or `tls`.
fn perm(judge: &Judge<'_, '_>, section: &Section<'_>, base: u64) -> &'static str {
    let image = &judge.module.image;
    let end = base.saturating_add(section.size);
    if section.has(TLS) {
        let tls = image.tls.filter(|tls| base >= tls.address);
        let size = |tls: Tls| if section.nobits() { tls.size } else { tls.file_size };
        let inside = tls.is_some_and(|tls| end <= tls.address.saturating_add(size(tls)));
        return if inside { "tls" } else { "outside PT_TLS" };
    }
    let Some(segment) = image.segment(base) else { return "unmapped" };
    if end > segment.address.saturating_add(segment.size) {
        return "cut off";
    }
    let relro = image.relro.is_some_and(|(from, to)| base >= from && end <= to);
    match segment.flags & 7 {
        6 if relro => "relro",
        4 => "r",
        5 => "rx",
        6 => "rw",
        7 => "rwx",
        1 => "x",
        _ => "not readable",
    }
}

/// Adds the digest and gives the sites, if the section's bytes are all there.
fn contents(
    judge: &Judge<'_, '_>,
    id: SecId,
    section: &Section<'_>,
    base: u64,
    name: &str,
    facts: &mut Facts,
) -> Option<Vec<(u64, Meaning)>> {
    if section.nobits() {
        zeros(judge, section, base, name, facts);
        return None;
    }
    let Some(output) = judge.module.image.slice(base, section.size) else {
        facts.put(Family::Bytes, name, Value::Text("not in the file".into()));
        return None;
    };
    let mut pass = Pass {
        judge,
        section,
        object: judge.inputs.owner[id as usize],
        output,
        base,
        local_dynamic: None,
        block: false,
        descriptor: None,
        tls_call: None,
        groups: groups::Groups::of(judge.module.machine, section),
        sites: Vec::new(),
    };
    let mut bytes = output.to_vec();
    let mut holes = Vec::new();
    for reloc in section.relocs() {
        let (before, after) =
            (judge.module.machine.mask_at)(reloc.r_type, section.data, reloc.offset);
        let start = reloc.offset.saturating_sub(before).min(section.size);
        let end = reloc.offset.saturating_add(after).min(section.size);
        if start < end {
            bytes[start as usize..end as usize].fill(0);
            holes.push(start..end);
        }
        pass.reloc(reloc);
    }
    if section.has(EXEC) {
        (judge.module.machine.restore)(&judge.module.image, section.data, base, &mut bytes);
    }
    let mut digest = crate::model::digest(&bytes);
    let holes = merged(holes);
    for reloc in judge.module.relocs_in(base, base.saturating_add(section.size)) {
        // A dynamic relocation where there is no reference changes bytes that nothing may touch.
        let at = reloc.address.wrapping_sub(base);
        let next = holes.partition_point(|hole| hole.end <= at);
        if !holes.get(next).is_some_and(|hole| hole.contains(&at)) {
            digest = digest.wrapping_add(0x9e37_79b9_7f4a_7c15 ^ at);
        }
    }
    facts.put(Family::Bytes, name, Value::Digest(digest));
    Some(pass.sites)
}

/// The ranges in order, those that touch as one.
fn merged(mut holes: Vec<Range<u64>>) -> Vec<Range<u64>> {
    holes.sort_unstable_by_key(|hole| hole.start);
    let mut list: Vec<Range<u64>> = Vec::with_capacity(holes.len());
    for hole in holes {
        match list.last_mut().filter(|last| hole.start <= last.end) {
            Some(last) => last.end = last.end.max(hole.end),
            None => list.push(hole),
        }
    }
    list
}

/// NOBITS have no `bytes` fact, unless something is there.
fn zeros(judge: &Judge<'_, '_>, section: &Section<'_>, base: u64, name: &str, facts: &mut Facts) {
    if section.has(TLS) {
        return;
    }
    let tail = judge.module.image.tail(base);
    let there = &tail[..tail.len().min(usize::try_from(section.size).unwrap_or(usize::MAX))];
    let end = base.saturating_add(section.size);
    let written = judge.module.relocs_in(base, end).any(|reloc| reloc.kind != Kind::Copy);
    if written || there.iter().any(|byte| *byte != 0) {
        facts.put(Family::Bytes, name, Value::Text("not zero".into()));
    }
}

impl Pass<'_, '_, '_> {
    fn reloc(&mut self, reloc: Reloc) {
        let machine = self.judge.module.machine;
        let r_type = (machine.stands_for)(reloc.r_type, &self.judge.request.args);
        let Some(row) = (machine.row)(r_type) else {
            let text = format!("relocation {} in an input", reloc.r_type);
            self.sites.push((reloc.offset, Meaning::Bad(text)));
            return;
        };
        let judge = self.judge;
        let object = &judge.inputs.objects[self.object as usize];
        let Some(symbol) = object.symbols.get(reloc.symbol as usize) else { return };
        let wrapped = match symbol.place {
            super::object::Where::Undefined => judge.inputs.wrap(symbol.name),
            _ => symbol.name.into(),
        };
        let local;
        let defs: &[Def] = if symbol.binding == 0 {
            local = judge.inputs.own(self.object, symbol);
            local.as_slice()
        } else {
            judge.inputs.defs.get(&*wrapped).map_or(&[], |defs| defs)
        };
        let section = symbol.kind == 3;
        let own = matches!(symbol.place, super::object::Where::Section(_));
        let (addend, stateless) = (reloc.addend, row.stateless);
        let to = Reference { name: &wrapped, defs, section, own, stateless, addend };
        if self.ends_tls_sequence(reloc, row, to) {
            return;
        }
        if let Some(meaning) = self.meaning(reloc, row, symbol, to) {
            self.sites.push((reloc.offset, meaning));
        }
    }

    fn site(&self, reloc: Reloc, row: Row) -> Site<'_> {
        let at = usize::try_from(reloc.offset).unwrap_or(usize::MAX);
        let place = self.base.wrapping_add(reloc.offset);
        let mates = self.groups.around(reloc, row);
        let image = &self.judge.module.image;
        Site { input: self.section.data, output: self.output, at, place, mates, image }
    }

    fn meaning(
        &mut self,
        reloc: Reloc,
        row: Row,
        symbol: &Symbol<'_>,
        to: Reference<'_>,
    ) -> Option<Meaning> {
        let index = self.sites.len();
        match row.form {
            Form::None => None,
            Form::TlsDescCall => {
                self.descriptor_call(reloc, row);
                None
            }
            Form::TlsGd | Form::TlsLd => {
                let access = (self.judge.module.machine.dynamic_tls)(self.site(reloc, row), row);
                let kept = matches!(access, Ok(TlsAccess::Pair(_)));
                self.tls_call = Some((index, reloc.offset, kept));
                Some(self.dynamic_tls(access, reloc, row, to))
            }
            Form::GotTpOff => {
                let access = (self.judge.module.machine.initial_exec)(self.site(reloc, row), row);
                Some(self.tls_access(access, reloc, to))
            }
            Form::TlsDesc => {
                let access = (self.judge.module.machine.descriptor)(self.site(reloc, row), row);
                let kept = matches!(access, Ok(TlsAccess::Descriptor(_)));
                self.descriptor = Some((index, reloc.symbol, kept));
                if symbol.name == "_TLS_MODULE_BASE_" {
                    return Some(self.module_base(access, reloc));
                }
                Some(self.tls_access(access, reloc, to))
            }
            _ if row.code => Some(self.code(reloc, row, symbol, to)),
            _ => Some(self.plain(reloc, row, to)),
        }
    }

    /// Everything without a sequence.
    fn plain(&self, reloc: Reloc, row: Row, to: Reference<'_>) -> Meaning {
        let site = self.site(reloc, row);
        let addend = reloc.addend as u64;
        let size = usize::from(row.size);
        let Some((_, bytes)) = site.both(0, size) else {
            return Meaning::Bad("a relocation outside its section".into());
        };
        let field = number(bytes);
        if row.form == Form::GotPcRel {
            return self.got_access(site, row, field, addend, to);
        }
        if let Some(meaning) = self.dynamic_field(site.place, row, addend, to) {
            return meaning;
        }
        let signed = sign_extend(field, row.size);
        match row.form {
            Form::Abs | Form::AbsSigned => self.absolute(row, field, addend, to),
            Form::Pc | Form::Plt => {
                let usage = if row.form == Form::Plt || self.branches(site, row.size) {
                    Use::Call
                } else {
                    Use::Address
                };
                let target = site.place.wrapping_add(signed);
                self.judge.settle(Found::Address(target), addend, to, usage)
            }
            Form::Size => Meaning::Size(field.wrapping_sub(addend)),
            Form::DtpOff => self.module_offset(signed, addend, to),
            Form::TpOff => self.judge.settle(self.thread(signed), addend, to, Use::Address),
            Form::DtpMod => Meaning::Bad("a module id without a relocation".into()),
            Form::GotPc => {
                names::got(self.judge, site.place.wrapping_add(signed).wrapping_sub(addend))
            }
            Form::GotAbs => self.got_slot(signed.wrapping_sub(addend), Use::Address, to),
            Form::Got | Form::GotOff | Form::PltOff => self.got_relative(row, signed, addend, to),
            _ => Meaning::Bad("a relocation without a decoder".into()),
        }
    }

    /// `offset` bytes from the GOT's base.
    fn got_relative(&self, row: Row, offset: u64, addend: u64, to: Reference<'_>) -> Meaning {
        let Some(got) = self.judge.got_base() else {
            return Meaning::Bad("an offset from a GOT base that nobody knows".into());
        };
        let target = got.wrapping_add(offset);
        match row.form {
            Form::Got => self.got_slot(target.wrapping_sub(addend), Use::Address, to),
            Form::PltOff => self.judge.settle(Found::Address(target), addend, to, Use::Call),
            _ => self.judge.settle(Found::Address(target), addend, to, Use::Address),
        }
    }

    /// A field that a dynamic relocation writes; `None` if none does.
    fn dynamic_field(
        &self,
        place: u64,
        row: Row,
        addend: u64,
        to: Reference<'_>,
    ) -> Option<Meaning> {
        let module = self.judge.module;
        let mut touching = module.relocs_in(place, place.checked_add(row.size.into())?);
        let reloc = touching.next()?;
        if touching.next().is_some() || reloc.address != place || reloc.size != row.size {
            return Some(Meaning::Bad("a field that a dynamic relocation writes in part".into()));
        }
        let found = self.judge.relocated(reloc);
        let whole = u64::from(row.size) == module.image.class.word();
        let fits = match (row.form, reloc.kind) {
            (Form::Abs, Kind::Relative | Kind::Symbol | Kind::Irelative) => whole,
            (Form::Abs, Kind::GlobDat | Kind::JumpSlot) => whole,
            (Form::Abs, Kind::Symbol32) => row.size == 4,
            (Form::Pc, Kind::Pc32) => row.size == 4,
            (Form::TpOff, Kind::TpOff) => true,
            (Form::DtpOff, Kind::DtpOff) => true,
            (Form::DtpMod, Kind::DtpMod) => return Some(self.module_id(reloc.symbol)),
            (Form::Size, Kind::Size) => {
                let symbol = module.symbol(reloc.symbol).filter(|_| reloc.addend == addend);
                let text = || Meaning::Bad("the size of something else".into());
                return Some(symbol.map_or_else(text, |symbol| Meaning::Size(symbol.size)));
            }
            _ => false,
        };
        let found = match (fits, reloc.kind) {
            (true, Kind::Symbol32 | Kind::Pc32) => Found::Symbol(reloc.symbol, reloc.addend),
            (true, _) => found,
            (false, kind) => {
                let text = format!("{} with a dynamic relocation of kind {kind:?}", row.name);
                Found::Bad(text.to_lowercase())
            }
        };
        Some(self.judge.settle(found, addend, to, Use::Address))
    }

    /// S + A in the field itself.
    fn absolute(&self, row: Row, field: u64, addend: u64, to: Reference<'_>) -> Meaning {
        let value = if row.form == Form::AbsSigned { sign_extend(field, row.size) } else { field };
        if row.size >= 4 {
            return self.judge.settle(Found::Number(value), addend, to, Use::Address);
        }
        let mask = (1 << (8 * u32::from(row.size))) - 1;
        Meaning::Absolute(value.wrapping_sub(addend) & mask)
    }

    /// GOTPCREL and its relatives.
    fn got_access(
        &self,
        site: Site<'_>,
        row: Row,
        field: u64,
        addend: u64,
        to: Reference<'_>,
    ) -> Meaning {
        if row.size == 8 {
            let slot = site.place.wrapping_add(field).wrapping_sub(addend);
            return self.got_slot(slot, Use::Address, to);
        }
        self.reached((self.judge.module.machine.got)(site, row), row, addend, to)
    }

    /// What a GOT slot holds; an unbound lazy slot is no address.
    fn got_slot(&self, slot: u64, usage: Use, to: Reference<'_>) -> Meaning {
        let judge = self.judge;
        let slot = judge.module.image.class.wrap(slot);
        if judge.places.occupied(slot) {
            return Meaning::Bad("a GOT slot inside an input section".into());
        }
        let now = judge.module.dynamic.as_ref().is_some_and(|dynamic| dynamic.now);
        let reloc = judge.module.reloc_at(slot);
        if usage == Use::Address && !now && reloc.is_some_and(|r| r.kind == Kind::JumpSlot) {
            return Meaning::Bad("an address read from a slot that is bound lazily".into());
        }
        let mut found = judge.slot(slot);
        if let Found::Number(value) = found
            && !judge.module.image.moves
            && value != 0
        {
            found = Found::Address(value);
        }
        judge.settle(found, 0, Reference { addend: 0, ..to }, usage)
    }

    /// Whether the field is the displacement of a direct call or jump.
    fn branches(&self, site: Site<'_>, size: u8) -> bool {
        self.section.has(EXEC) && (self.judge.module.machine.branches)(site, size)
    }
}
