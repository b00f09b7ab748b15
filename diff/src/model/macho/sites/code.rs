//! Instructions, and the other one that makes the same address → what they lead to.
//!
//! It must not know a machine's instructions, nor pointers in data.

use super::super::inputs::Spot;
use super::super::judge::{Found, Reference, Use, bad};
use super::super::machine::{Field, Form, Made, Part, Row, Seen, Step};
use super::super::object::{Hint, Reloc};
use super::super::places::Places;
use super::Pass;
use crate::bytes::u32_at;
use crate::model::Meaning;

/// How many ADRP one after the other may rely on the first.
const MOST_PAGES: u8 = 16;

impl<'p> Pass<'p, '_, '_> {
    fn see(&self, reloc: &Reloc, row: Row) -> Result<Seen, &'static str> {
        let at = usize::try_from(reloc.offset).unwrap_or(usize::MAX);
        let (input, output, place) = (self.atom.data, self.output, self.place(reloc));
        let field = Field { row, size: reloc.size, input, output, at, place };
        let seen = (self.judge.machine.see)(field)?;
        let nothing = seen == Seen::Nothing && row.part == Part::Page;
        let held = nothing.then(|| self.held(reloc.offset, MOST_PAGES)).flatten();
        Ok(held.map_or(seen, Seen::Page))
    }

    /// What the instructions of a hint make.
    fn made(&self, hint: &Hint, slot: bool, before: Option<u64>) -> Option<Made> {
        let step = |at: &u64| {
            let place = self.base.wrapping_add(*at);
            let (from, to) = (u32_at(self.atom.data, *at)?, u32_at(self.output, *at)?);
            Some(Step { from, to, place })
        };
        let steps: Option<Vec<Step>> = hint.at.iter().map(step).collect();
        (self.judge.machine.hint)(hint.kind, slot, &steps?, before)
    }

    /// The page that an ADRP of before left to the one at `offset`, if a hint says so.
    fn held(&self, offset: u64, hops: u8) -> Option<u64> {
        let again = |hint: &&Hint| {
            hint.kind == Hint::PAGE_AGAIN && hint.at.get(1) == Some(&offset) && hint.at[0] < offset
        };
        let hint = self.atom.hints.iter().find(again)?;
        let before = hops.checked_sub(1).and_then(|hops| self.held(hint.at[0], hops));
        Some(self.made(hint, false, before)?.ok()?.0)
    }

    /// The address that the instructions of a hint make of which the one of `reloc` is one.
    fn hinted(&self, reloc: &Reloc, row: Row) -> Option<Made> {
        let with = |hint: &&Hint| {
            hint.kind != Hint::PAGE_AGAIN && hint.at.iter().take(2).any(|at| *at == reloc.offset)
        };
        let hint = self.atom.hints.iter().find(with)?;
        let before = self.held(*hint.at.first()?, MOST_PAGES);
        let slot = matches!(row.form, Form::GotLoad | Form::Tlv);
        self.made(hint, slot, before)
    }

    /// An instruction's field, or a distance in data.
    pub(super) fn code(&self, reloc: &Reloc, row: Row, to: Reference<'_>) -> Meaning {
        let usage = if row.form == Form::Branch { Use::Call } else { Use::Address };
        let reached = |made: Made| match made {
            Ok((slot, true)) => self.in_slot(slot, to),
            Ok((address, false)) => self.reached(address, to, usage),
            Err(text) => bad(text),
        };
        if let Some(made) = self.hinted(reloc, row) {
            return reached(made);
        }
        let seen = match self.see(reloc, row) {
            Ok(seen) => seen,
            Err(text) => return bad(text),
        };
        match self.whole(reloc, row, seen) {
            Some(made) => reached(made),
            None => self.alone(seen, to),
        }
    }

    /// An address that code makes. A number is reached as far as it can be: where the image does not slide.
    fn reached(&self, address: u64, to: Reference<'_>, usage: Use) -> Meaning {
        let number = address.wrapping_add_signed(to.addend.wrapping_neg());
        match to.defs.contains(&Spot::Absolute(number)) {
            true => Meaning::Absolute(number),
            false => self.judge.settle(Found::Address(address), to, usage),
        }
    }

    /// The address that an instruction and its mate make, and whether it is a slot's; none if it has no mate.
    fn whole(&self, reloc: &Reloc, row: Row, seen: Seen) -> Option<Made> {
        let other = || {
            let mate = self.mate(reloc, row, seen)?;
            Some(self.see(mate, self.row(mate)?))
        };
        Some(match seen {
            Seen::Whole(address, slot) => Ok((address, slot)),
            Seen::Page(page) => match other()? {
                Ok(Seen::Low(low, slot)) => Ok((page.wrapping_add(low), slot)),
                Ok(Seen::Whole(address, slot)) => Ok((address, slot)),
                Ok(_) => Err("a page without the rest"),
                Err(text) => Err(text),
            },
            Seen::Low(low, slot) => match other()? {
                Ok(Seen::Page(page)) => Ok((page.wrapping_add(low), slot)),
                Ok(_) => Err("12 bits without a page"),
                Err(text) => Err(text),
            },
            Seen::Nothing => match other()? {
                Ok(Seen::Whole(address, slot)) => Ok((address, slot)),
                Ok(_) => Err("an address that nobody makes"),
                Err(text) => Err(text),
            },
        })
    }

    /// The relocation of the other part of the same address: of several the nearest by the same register, a page's
    /// behind it and the rest's before it. One that a linker made into something else makes way for one that fits.
    fn mate(&self, reloc: &Reloc, row: Row, own: Seen) -> Option<&'p Reloc> {
        let wanted = match row.part {
            Part::Page => Part::Low,
            Part::Low => Part::Page,
            Part::Whole => return None,
        };
        let same = move |other: &&Reloc| {
            other.target == reloc.target
                && other.addend == reloc.addend
                && self.row(other).is_some_and(|o| o.form == row.form && o.part == wanted)
        };
        let relocs = &self.atom.relocs;
        let at = relocs.partition_point(|other| other.offset < reloc.offset);
        let (before, behind) = (relocs[..at].iter().rev(), &relocs[at..]);
        let mut mates: Vec<&Reloc> = match row.part {
            Part::Page => behind.iter().chain(before).filter(same).collect(),
            _ => before.chain(behind).filter(same).collect(),
        };
        let first = mates.first().copied();
        let word = |reloc: &Reloc| u32_at(self.atom.data, reloc.offset);
        mates.retain(|mate| {
            let (page, low) = if wanted == Part::Page { (*mate, reloc) } else { (reloc, *mate) };
            let both = word(page).zip(word(low));
            both.is_some_and(|(page, low)| (self.judge.machine.joined)(page, low))
        });
        let fits = |mate: &&&Reloc| {
            let seen = self.row(mate).map(|row| self.see(mate, row));
            matches!(
                (own, seen),
                (Seen::Low(..), Some(Ok(Seen::Page(_))))
                    | (Seen::Page(_), Some(Ok(Seen::Low(..) | Seen::Whole(..))))
                    | (Seen::Nothing, Some(Ok(Seen::Whole(..))))
            )
        };
        mates.iter().find(fits).or(mates.first()).copied().or(first)
    }

    /// What a page or 12 bits alone can mean for its symbol.
    fn alone(&self, seen: Seen, to: Reference<'_>) -> Meaning {
        let fits = |address: u64| match seen {
            Seen::Page(page) => address & !0xfff == page,
            Seen::Low(low, false) => address & 0xfff == low,
            _ => false,
        };
        for spot in to.defs {
            if let Spot::Absolute(number) = *spot
                && fits(number.wrapping_add_signed(to.addend))
            {
                return Meaning::Absolute(number);
            }
            let address = self.judge.places.address(self.judge.inputs, *spot);
            let place = Places::place(self.judge.inputs, *spot);
            if let (Some(address), Some(place)) = (address, place)
                && fits(address.wrapping_add_signed(to.addend))
            {
                return Meaning::Place(place);
            }
        }
        bad("a part of another address")
    }
}
