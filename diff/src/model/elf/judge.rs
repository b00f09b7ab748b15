//! What a field, slot or address of the output leads to → the [`Meaning`] it has for its symbol.
//!
//! It must not know instructions or relocation types: those are decoded in `sites.rs` and the
//! architecture's module. Addresses never get into texts: they differ between linkers.

mod branches;
mod empty;
mod merged;

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashMap;

use super::inputs::{Def, Inputs, SecId, Spot};
use super::machine::{Form, Way};
use super::names;
use super::object::EXEC;
use super::places::{Places, copy_at};
use crate::Request;
use crate::bytes::{number, sign_extend};
use crate::loader::{DynReloc, Kind, Module, Symbol};
pub(super) use crate::model::Use;
use crate::model::{Meaning, Place};

/// Everything known of one link.
pub(super) struct Judge<'j, 'a> {
    pub(super) request: &'a Request,
    pub(super) inputs: &'j Inputs<'a>,
    pub(super) places: &'j Places,
    pub(super) module: &'j Module<'a>,
    /// The GOT's base, once asked for.
    pub(super) got: Cell<Option<u64>>,
    /// What it is if no code says so: the symbol's value, or DT_PLTGOT.
    pub(super) default_got: Option<u64>,
    /// How the address of each IFUNC was taken: true if always by a resolved slot, false by a PLT entry.
    pub(super) ifuncs: RefCell<FxHashMap<Place, (bool, bool)>>,
    /// Where the bounds of each empty table are.
    pub(super) bounds: RefCell<FxHashMap<&'static str, u64>>,
    /// Where the empty sections are that only references tell.
    pub(super) empties: RefCell<FxHashMap<SecId, u64>>,
    /// How many PLT entries deep the judge is: slots may lead in circles.
    pub(super) depth: Cell<u8>,
}

/// What the bits at a reference lead to, addend included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// An address of this module.
    Address(u64),
    /// A number that doesn't move.
    Number(u64),
    /// What looking up this dynamic symbol gives, plus an addend.
    Symbol(u32, u64),
    /// What the resolver at this address returns.
    Ifunc(u64),
    /// A TLS variable of this module, by its address in the template.
    Tls(u64),
    /// The TLS variable that looking up this dynamic symbol gives, plus an addend.
    TlsSymbol(u32, u64),
    /// Nothing good.
    Bad(String),
}

/// The symbol that a reference names, as the inputs define it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference<'r> {
    pub(super) name: &'r str,
    pub(super) defs: &'r [Def],
    /// A section symbol: the addend selects the piece of a mergeable section.
    pub(super) section: bool,
    /// Defined in the object that refers to it.
    pub(super) own: bool,
    /// The field has the symbol's address without its state.
    pub(super) stateless: bool,
    pub(super) addend: i64,
}

impl Reference<'_> {
    /// No symbol: what is there by itself.
    pub(super) const NONE: Reference<'static> =
        Reference { name: "", defs: &[], section: false, own: false, stateless: false, addend: 0 };
}

/// How many thunks and PLT entries may follow each other.
const MOST_HOPS: u8 = 8;

fn bad(text: impl Into<String>) -> Meaning {
    Meaning::Bad(text.into())
}

impl<'a> Judge<'_, 'a> {
    /// Whether addresses are numbers.
    fn fixed(&self) -> bool {
        !self.module.image.moves
    }

    /// The GOT's base: what the first GOTPC relocation gives (mold has the symbol elsewhere); all others
    /// must agree with it.
    pub(super) fn got_base(&self) -> Option<u64> {
        if self.got.get().is_none() {
            let first = self.places.sections().find_map(|(id, base)| {
                let section = self.inputs.section(id).filter(|section| section.told())?;
                let reloc = section.relocs().find(|reloc| {
                    (self.module.machine.row)(reloc.r_type)
                        .is_some_and(|row| row.form == Form::GotPc)
                })?;
                let size = (self.module.machine.row)(reloc.r_type)?.size;
                let place = base.wrapping_add(reloc.offset);
                let field = number(self.module.image.slice(place, size.into())?);
                let target = place.wrapping_add(sign_extend(field, size));
                Some(target.wrapping_add_signed(reloc.addend.wrapping_neg()))
            });
            self.got.set(first.or(self.default_got));
        }
        self.got.get()
    }

    /// What a reference means whose bits, with `addend` in them, lead to `found`.
    pub(super) fn settle(
        &self,
        found: Found,
        addend: u64,
        to: Reference<'_>,
        usage: Use,
    ) -> Meaning {
        let less = |value: u64| self.less(value, addend, to);
        match found {
            Found::Bad(text) => bad(text),
            // A call was followed through thunks with its addend in it: one left over is entered by it.
            Found::Address(value)
                if addend != 0 && usage == Use::Call && self.is_thunk(less(value)) =>
            {
                bad("behind the start of a thunk")
            }
            Found::Address(value) => self.address(less(value), to, usage),
            Found::Number(value) => self.number(less(value), to),
            Found::Symbol(index, value) => self.symbolic(index, less(value), to, usage),
            Found::Ifunc(resolver) if addend == 0 => self.ifunc(resolver, Some(usage), true),
            Found::Ifunc(_) => bad("an addend on an ifunc"),
            Found::Tls(value) => self.tls(less(value), to),
            Found::TlsSymbol(index, value) => self.tls_symbolic(index, less(value), to),
        }
    }

    /// A number. Where addresses don't move it may be one.
    fn number(&self, value: u64, to: Reference<'_>) -> Meaning {
        let is_def = |def: &Def| def.spot == Spot::Absolute(value);
        if to.defs.iter().any(is_def) {
            return Meaning::Absolute(value);
        }
        if self.discarded(to) && value <= 1 {
            return Meaning::Discarded;
        }
        if self.fixed() && value != 0 {
            return self.address(value, to, Use::Address);
        }
        Meaning::Absolute(value)
    }

    /// Whether the symbol is only defined in a section that is not in the output.
    fn discarded(&self, to: Reference<'_>) -> bool {
        let gone = |def: &Def| match def.spot {
            Spot::Section(id, _) => {
                self.places.base(id).is_none()
                    && self.inputs.section(id).is_some_and(|section| section.told())
            }
            _ => false,
        };
        to.own && !to.defs.is_empty() && to.defs.iter().all(gone)
    }

    /// An address of this module, the addend taken off.
    pub(super) fn address(&self, value: u64, to: Reference<'_>, usage: Use) -> Meaning {
        for def in to.defs {
            if self.fixed() && def.spot == Spot::Absolute(value) {
                return Meaning::Absolute(value);
            }
            if self.places.address(self.inputs, def.spot) != Some(value) {
                continue;
            }
            if def.kind == 10 {
                return bad("the ifunc's resolver instead of what it returns");
            }
            if let Some(place) = self.places.place(self.inputs, def.spot) {
                return Meaning::Place(place);
            }
        }
        if let Some(meaning) = self.merged(value, to).or_else(|| self.empty(value, to)) {
            return meaning;
        }
        if to.defs.is_empty()
            && let Some(meaning) = names::meaning(self, to.name, value)
        {
            return meaning;
        }
        if let Some((copy, offset)) = copy_at(self.module, value) {
            return self.copied(copy, offset, value, to.name);
        }
        if !self.places.occupied(value)
            && self.module.image.segment(value).is_some_and(|segment| segment.executable())
            && let Ok(way) = (self.module.machine.stub)(&self.module.image, value)
        {
            if self.depth.get() > MOST_HOPS {
                return bad("a circle of PLT entries");
            }
            self.depth.set(self.depth.get() + 1);
            let meaning = match (way, usage) {
                (Way::Slot(slot), _) => self.stub(slot, value, to, usage),
                (Way::Address(target), Use::Call) => self.address(target, to, usage),
                (Way::Address(_), Use::Address) => bad("a thunk, not an address"),
            };
            self.depth.set(self.depth.get() - 1);
            return meaning;
        }
        if let Some(place) = self.places.at(self.inputs, value) {
            return Meaning::Place(place);
        }
        if value == 0 && (self.fixed() || usage == Use::Call) {
            return Meaning::Absolute(0);
        }
        match self.module.image.segment(value) {
            Some(_) if value == 0 => bad("the image base"),
            Some(segment) if self.may_be_lost(to, segment.executable()) => Meaning::Lost,
            Some(segment) => {
                let kind = if segment.executable() { "code" } else { "data" };
                bad(format!("{kind} outside any input section"))
            }
            None if self.fixed() => Meaning::Absolute(value),
            None => bad("an address outside the image"),
        }
    }

    /// Whether what is at an address in no section may be what was meant: no section that could tell is known.
    fn may_be_lost(&self, to: Reference<'_>, code: bool) -> bool {
        let lost = |def: &Def| self.places.is_lost(self.inputs, def.spot);
        match to.defs {
            [] => self.places.any_lost(self.inputs, if code { EXEC } else { 0 }),
            defs => defs.iter().any(lost),
        }
    }

    /// Storage that a copy relocation fills is what looking the symbol up gives.
    fn copied(&self, copy: u32, offset: u64, value: u64, name: &str) -> Meaning {
        let symbols = &self.module.symbols;
        let here = |symbol: &&Symbol<'_>| symbol.value == value && !symbol.undefined();
        let first = symbols.list.get(copy as usize);
        // An alias is as far into the copy as it is into the original.
        let library = |name: &str| self.inputs.library.get(name).copied();
        let apart =
            |symbol: &Symbol<'_>| Some(library(symbol.name)?.wrapping_sub(library(first?.name)?));
        let alias = symbols.list.iter().filter(here).find(|symbol| symbol.name == name);
        let alias = alias.filter(|alias| apart(alias).is_none_or(|apart| apart == offset));
        let first = first.filter(|_| offset == 0);
        match alias.or(first) {
            Some(symbol) => Meaning::Dynamic(symbols.asked(symbol).into()),
            None => bad("the middle of a copied variable"),
        }
    }

    /// A PLT entry: for calls whatever its slot holds, as an address only if it is canonical.
    fn stub(&self, slot: u64, address: u64, to: Reference<'_>, usage: Use) -> Meaning {
        let reloc = self.module.reloc_at(slot);
        let found = self.slot(slot);
        let lazy = reloc.filter(|reloc| reloc.kind == Kind::JumpSlot && !self.now());
        if let Some(DynReloc { plt_index, .. }) = lazy {
            let got = self.module.dynamic.as_ref().and_then(|dynamic| dynamic.plt_got);
            let checked = match (got, plt_index) {
                (Some(got), Some(index)) => {
                    (self.module.machine.lazy)(&self.module.image, address, got, *index)
                }
                _ => Err("a lazy slot that no table lists".into()),
            };
            if let Err(text) = checked {
                return bad(text);
            }
        }
        match (found, usage) {
            (Found::Ifunc(resolver), usage) => self.ifunc(resolver, Some(usage), false),
            (Found::Symbol(index, addend), Use::Address) => {
                let Some(symbol) = self.module.symbol(index) else { return bad("no such symbol") };
                // As good as R_*_IRELATIVE.
                if symbol.ifunc() && addend == 0 && self.module.binds_locally(symbol) {
                    return self.ifunc(symbol.value, Some(usage), false);
                }
                // Others must find it too, by its name.
                let canonical = self.module.executable
                    && symbol.value == address
                    && addend == 0
                    && self.module.lookup(symbol.name) == Ok(Some(index));
                if !canonical {
                    return bad(format!("a PLT entry of `{}`, not its address", symbol.name));
                }
                Meaning::Dynamic(self.module.symbols.asked(symbol).into())
            }
            (found @ (Found::Symbol(..) | Found::Address(_)), Use::Call) => {
                self.settle(found, 0, Reference { addend: 0, ..to }, Use::Call)
            }
            (Found::Number(0), Use::Call) => Meaning::Absolute(0),
            // wild's entries for local functions under --no-relax: the address is in the slot already.
            (found @ Found::Number(_), Use::Call) if self.fixed() => {
                self.settle(found, 0, Reference { addend: 0, ..to }, Use::Call)
            }
            (Found::Bad(text), _) => bad(text),
            _ => bad("a PLT entry, not an address"),
        }
    }

    fn now(&self) -> bool {
        self.module.dynamic.as_ref().is_some_and(|dynamic| dynamic.now)
    }

    /// What the word at `address` holds once the module is loaded.
    pub(super) fn slot(&self, address: u64) -> Found {
        let Some(end) = address.checked_add(self.module.image.class.word()) else {
            return Found::Bad("an unmapped slot".into());
        };
        if let Some(reloc) = self.module.reloc_at(address) {
            if self.module.relocs_in(address, end).count() != 1 {
                return Found::Bad("a slot that several dynamic relocations write".into());
            }
            return self.relocated(reloc);
        }
        if self.module.relocs_in(address, end).next().is_some() {
            return Found::Bad("a slot that a dynamic relocation writes in part".into());
        }
        match self.module.image.word(address) {
            None => Found::Bad("an unmapped slot".into()),
            Some(value) => Found::Number(value),
        }
    }

    /// What a dynamic relocation puts into its slot.
    pub(super) fn relocated(&self, reloc: &DynReloc) -> Found {
        let writable = self.module.image.segment(reloc.address).map(|segment| segment.writable());
        let textrel = self.module.dynamic.as_ref().is_some_and(|dynamic| dynamic.textrel);
        match writable {
            None => return Found::Bad("a dynamic relocation outside the image".into()),
            Some(false) if !textrel => {
                return Found::Bad("a dynamic relocation into read-only memory".into());
            }
            _ => {}
        }
        match reloc.kind {
            Kind::Relative => Found::Address(reloc.addend),
            Kind::Symbol | Kind::GlobDat | Kind::JumpSlot => {
                Found::Symbol(reloc.symbol, reloc.addend)
            }
            Kind::Irelative => Found::Ifunc(reloc.addend),
            Kind::TpOff | Kind::DtpOff | Kind::TlsDesc if reloc.symbol == 0 => {
                let template = self.module.image.tls.map_or(0, |tls| tls.address);
                Found::Tls(template.wrapping_add(reloc.addend))
            }
            Kind::TpOff | Kind::DtpOff | Kind::TlsDesc => {
                Found::TlsSymbol(reloc.symbol, reloc.addend)
            }
            kind => Found::Bad(format!("a dynamic relocation of kind {kind:?}").to_lowercase()),
        }
    }

    /// A dynamic symbol plus what is left of the addend.
    fn symbolic(&self, index: u32, rest: u64, to: Reference<'_>, usage: Use) -> Meaning {
        let Some(symbol) = self.module.symbol(index).filter(|_| index > 0) else {
            return bad("a dynamic relocation without a symbol");
        };
        if symbol.tls() {
            return bad("a TLS symbol used as an address");
        }
        if self.module.binds_locally(symbol) {
            let value = symbol.value.wrapping_add(rest);
            return match (symbol.absolute(), symbol.ifunc()) {
                (true, _) => self.number(value, to),
                (_, true) if rest == 0 => self.ifunc(value, Some(usage), true),
                _ => self.address(value, to, usage),
            };
        }
        let asked = self.module.symbols.asked(symbol);
        if symbol.name.is_empty() {
            return bad("a dynamic relocation against a symbol without a name");
        }
        if rest != 0 {
            return bad(format!("{asked} with {:#x} too much", rest));
        }
        Meaning::Dynamic(asked.into())
    }

    /// An IFUNC by its resolver's address; `direct` if what the resolver returns is what is used, not
    /// a PLT entry.
    pub(super) fn ifunc(&self, resolver: u64, usage: Option<Use>, direct: bool) -> Meaning {
        let Some(place) = self.places.at(self.inputs, resolver) else {
            return bad("an ifunc resolver outside any input section");
        };
        if usage == Some(Use::Address) {
            let mut ifuncs = self.ifuncs.borrow_mut();
            let ways = ifuncs.entry(place.clone()).or_default();
            if direct { ways.0 = true } else { ways.1 = true }
        }
        Meaning::Ifunc(place)
    }

    /// A TLS variable by its template address, the addend taken off.
    pub(super) fn tls(&self, value: u64, to: Reference<'_>) -> Meaning {
        for def in to.defs {
            if def.kind != 6 && !to.section {
                continue;
            }
            if self.places.address(self.inputs, def.spot) == Some(value)
                && let Some(place) = self.places.place(self.inputs, def.spot)
            {
                return Meaning::Tls(Box::new(Meaning::Place(place)));
            }
        }
        match self.places.tls_at(self.inputs, value) {
            Some(place) => Meaning::Tls(Box::new(Meaning::Place(place))),
            None if self.module.image.tls.is_none() => bad("TLS in a module without PT_TLS"),
            None if to.defs.iter().any(|def| self.places.is_lost(self.inputs, def.spot)) => {
                Meaning::Tls(Box::new(Meaning::Lost))
            }
            None => bad("TLS outside any input section"),
        }
    }

    fn tls_symbolic(&self, index: u32, rest: u64, to: Reference<'_>) -> Meaning {
        let Some(symbol) = self.module.symbol(index) else { return bad("no such symbol") };
        if !symbol.tls() && !symbol.undefined() {
            return bad(format!("{} is not TLS", symbol.name));
        }
        if self.module.binds_locally(symbol) {
            let template = self.module.image.tls.map_or(0, |tls| tls.address);
            return self.tls(symbol.value.wrapping_add(template).wrapping_add(rest), to);
        }
        let asked = self.module.symbols.asked(symbol);
        if symbol.name.is_empty() {
            return bad("a dynamic relocation against a symbol without a name");
        }
        if rest != 0 {
            return bad(format!("tls {asked} with {rest:#x} too much"));
        }
        Meaning::Tls(Box::new(Meaning::Dynamic(asked.into())))
    }
}
