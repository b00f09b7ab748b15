//! What instructions reach → its meaning, also where they have only some bits of an address.
//!
//! A page without its offset, one halfword of four: many addresses have these bits. What the symbol can
//! be is asked first; if nothing fits, the bits say nothing. It must not know instructions.

use super::super::inputs::{Def, Spot};
use super::super::judge::{Found, Reference, Use};
use super::super::machine::{Access, Form, Row, Sum};
use super::super::object::{Reloc, Symbol};
use super::Pass;
use crate::model::Meaning;

/// How many slots are tried for a GOT access of which only a part is there.
const MOST_SLOTS: usize = 64;

fn something_else() -> Meaning {
    Meaning::Bad("part of the address of something else".into())
}

impl Pass<'_, '_, '_> {
    /// A relocation in an instruction.
    pub(super) fn code(
        &self,
        reloc: Reloc,
        row: Row,
        symbol: &Symbol<'_>,
        to: Reference<'_>,
    ) -> Meaning {
        let access = self.decoded(reloc, row);
        if access == Ok(Access::Sum) {
            let fits = |sum: Sum| (self.judge.module.machine.fits)(self.site(reloc, row), row, sum);
            let found = self.part_of_address(&fits, reloc.addend as u64, to);
            return found.unwrap_or_else(something_else);
        }
        // A branch to a weak name that nobody has goes on, by a no-op or by a branch to what is next.
        if let Ok(Access::Address(target, true)) = access {
            let next = self.base.wrapping_add(reloc.offset).wrapping_add(row.after.into());
            let nobody = to.defs.is_empty() && symbol.binding == 2;
            if nobody && target == next {
                return Meaning::Absolute(0);
            }
        }
        if let Ok(Access::Branch(target, _)) = access {
            let next = self.base.wrapping_add(reloc.offset).wrapping_add(row.after.into());
            if to.defs.is_empty() && symbol.binding == 2 && target == next | row.caller {
                return Meaning::Absolute(0);
            }
        }
        self.reached(access, row, reloc.addend as u64, to)
    }

    /// How the instruction at `reloc` reaches its symbol.
    pub(super) fn decoded(&self, reloc: Reloc, row: Row) -> Result<Access, String> {
        let site = self.site(reloc, row);
        let end = site.place.wrapping_add(row.after.into());
        if site.both(0, row.after.into()).is_none() {
            return Err("a relocation outside its section".into());
        }
        if self.judge.module.relocs_in(site.place, end).next().is_some() {
            return Err("an instruction that a dynamic relocation writes".into());
        }
        (self.judge.module.machine.code)(site, row)
    }

    /// What instructions reach, however they do.
    pub(super) fn reached(
        &self,
        access: Result<Access, String>,
        row: Row,
        addend: u64,
        to: Reference<'_>,
    ) -> Meaning {
        let rest = addend.wrapping_add(self.judge.module.machine.instruction_bias);
        let usage = |call| if call { Use::Call } else { Use::Address };
        match access {
            Err(text) => Meaning::Bad(text),
            Ok(Access::Slot(points, call)) => {
                self.got_slot(points.wrapping_sub(rest), usage(call), to)
            }
            Ok(Access::Address(points, true)) => {
                let points = self.judge.through(points);
                self.judge.settle(Found::Address(points), rest, to, Use::Call)
            }
            Ok(Access::Address(points, false)) => {
                self.judge.settle(Found::Address(points), rest, to, Use::Address)
            }
            Ok(Access::Number(value, size)) => {
                let value = if size == 4 { value & 0xffff_ffff } else { value };
                self.judge.settle(Found::Number(value), rest, to, Use::Address)
            }
            Ok(Access::Part(value, mask)) => self.part((value, mask), row, rest, to),
            Ok(Access::PartFrom(value, mask, origin)) => {
                self.part((value, mask), row, rest.wrapping_sub(origin), to)
            }
            Ok(Access::FromGot(offset, bits)) => match self.judge.got_base() {
                Some(got) => self.got_slot((got & bits).wrapping_add(offset), Use::Address, to),
                None => Meaning::Bad("an offset from a GOT base that nobody knows".into()),
            },
            Ok(Access::Branch(target, bias)) => {
                let caller = row.caller;
                let found = self.judge.entered(self.judge.through(target), caller, to);
                self.judge.settle(found, addend.wrapping_add(bias), to, Use::Call)
            }
            Ok(Access::Sum) => Meaning::Bad("an instruction without its relocation".into()),
        }
    }

    /// The bits of a value that a mask says, of what the row's form gives for S + `addend`.
    fn part(&self, (value, mask): (u64, u64), row: Row, addend: u64, to: Reference<'_>) -> Meaning {
        let fits = |whole: u64| (whole ^ value) & mask == 0;
        match row.form {
            Form::Abs | Form::AbsSigned | Form::Pc => {
                let whole = |sum: Sum| (sum.symbol | sum.state).wrapping_add(sum.addend);
                let found = self.part_of_address(&|sum| fits(whole(sum)), addend, to);
                // The low half of a number is most of it.
                let most = row.form == Form::Abs && mask >= u32::MAX.into();
                let number = || self.judge.settle(Found::Number(value), addend, to, Use::Address);
                found.or_else(|| most.then(number)).unwrap_or_else(something_else)
            }
            Form::Got | Form::GotOff if mask == u64::MAX => {
                self.got_relative(row, value, addend, to)
            }
            Form::TpOff if mask == u64::MAX => {
                self.judge.settle(self.thread(value), addend, to, Use::Address)
            }
            Form::DtpOff if mask == u64::MAX => self.module_offset(value, addend, to),
            Form::TpOff | Form::DtpOff => self.part_of_tls(fits, row.form, addend, to),
            Form::GotPcRel => self.part_of_slot(fits, to),
            Form::Got => match self.judge.got_base() {
                Some(got) => self.part_of_slot(|slot| fits(slot.wrapping_sub(got)), to),
                None => Meaning::Bad("an offset from a GOT base that nobody knows".into()),
            },
            _ => Meaning::Bad("part of something without parts".into()),
        }
    }

    /// The address of a definition, or of what the output's own symbol of that name is, if it fits.
    fn part_of_address(
        &self,
        fits: &dyn Fn(Sum) -> bool,
        addend: u64,
        to: Reference<'_>,
    ) -> Option<Meaning> {
        let judge = self.judge;
        let named = judge.places.symbol(to.name).filter(|_| !to.name.is_empty() && !to.own);
        let symbols = judge.module.symbols.list.iter();
        let dynamic = symbols.filter(|s| s.name == to.name && s.value != 0);
        let code = to.defs.iter().any(Def::is_code) || dynamic.clone().any(|s| s.kind == 2);
        let sum = |value: u64, code: bool| {
            let state = if code { judge.module.machine.state } else { 0 };
            Sum { symbol: value & !state, state: value & state, addend }
        };
        // A number is one wherever the output has it.
        for def in to.defs {
            if let Spot::Absolute(value) = def.spot
                && fits(sum(value, false))
            {
                return Some(judge.settle(Found::Number(value), 0, to, Use::Address));
            }
        }
        let dynamic = dynamic.map(|s| s.value).filter(|_| named.is_none() && !to.own);
        for value in named.into_iter().chain(dynamic) {
            if fits(sum(value, code)) {
                return Some(judge.settle(Found::Address(value), 0, to, Use::Address));
            }
        }
        for def in to.defs {
            let value = judge.places.address(judge.inputs, def.spot);
            if let Some(value) = value.filter(|value| fits(sum(*value, def.is_code()))) {
                return Some(judge.settle(Found::Address(value), 0, to, Use::Address));
            }
        }
        fits(sum(0, false)).then_some(Meaning::Absolute(0))
    }

    fn part_of_tls(
        &self,
        fits: impl Fn(u64) -> bool,
        form: Form,
        addend: u64,
        to: Reference<'_>,
    ) -> Meaning {
        let judge = self.judge;
        let Some(tls) = judge.module.image.tls else {
            return Meaning::Bad("TLS in a module without PT_TLS".into());
        };
        let from_thread = form == Form::TpOff || self.local_dynamic.is_some();
        let bias = match from_thread {
            true => (judge.module.machine.tp_bias)(&tls),
            false => tls.address.wrapping_neg(),
        };
        let bias =
            bias.wrapping_sub(self.local_dynamic.filter(|_| form == Form::DtpOff).unwrap_or(0));
        let spots = to.defs.iter().filter_map(|def| judge.places.address(judge.inputs, def.spot));
        for address in spots {
            if fits(address.wrapping_add(bias).wrapping_add(addend)) {
                return judge.tls(address, to);
            }
        }
        Meaning::Bad("part of the offset of something else".into())
    }

    /// A slot of the GOT of which only some bits are known: the one that has the symbol.
    fn part_of_slot(&self, fits: impl Fn(u64) -> bool, to: Reference<'_>) -> Meaning {
        let judge = self.judge;
        let mine = |meaning: &Meaning| match meaning {
            Meaning::Dynamic(name) => name.split('@').next() == Some(to.name),
            Meaning::Bad(_) => false,
            _ => true,
        };
        // What a loader writes, then what it leaves alone.
        let written = judge.module.relocs.iter().map(|reloc| reloc.address);
        for slot in written.filter(|slot| fits(*slot)).take(MOST_SLOTS) {
            let meaning = self.got_slot(slot, Use::Address, to);
            let def = matches!(&meaning, Meaning::Place(_)) && !to.defs.is_empty();
            if matches!(meaning, Meaning::Dynamic(_)) && mine(&meaning) || def {
                return meaning;
            }
        }
        Meaning::Bad("part of a GOT access without the rest".into())
    }
}
