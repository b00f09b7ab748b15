//! What each form of relocation computes (`S + A`, `S + A - P` …), and when it must or may be refused.
//!
//! Spec: the psABIs, through the rows of [`crate::machine`]. It must not know how a target is told: that is `meaning`.

use scold_diff::Key;
use scold_diff::model::{ErrorClass, Meaning};

use super::super::resolve::Target;
use super::{At, HIGHEST, LOWEST, Sites, Thing, open_key};
use crate::case::SymbolKind;
use crate::machine::{Form, Range};

impl Sites<'_, '_> {
    /// `S + A`.
    pub(super) fn absolute(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let (row, addend, writable) = (at.row, at.reloc.addend, at.section.flags.write);
        let on = &self.link.world.on;
        match thing {
            Thing::Number(value) => self.number(at, value)?,
            Thing::Null(_) => self.number(at, 0)?,
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) if on.pic => {
                if !self.machine.is_word(row) {
                    self.findings.error(ErrorClass::RelocDynamic);
                    return None;
                }
                self.word(writable);
            }
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {
                self.bounded(at, i128::from(addend) + LOWEST, i128::from(addend) + HIGHEST)?;
            }
            Thing::Dynamic(id) if self.machine.is_word(row) => {
                if writable {
                    self.uses[id].word = true;
                } else {
                    self.uses[id].direct = true;
                    if on.pic {
                        self.word(false);
                    }
                }
            }
            Thing::Dynamic(_) if on.pic => {
                self.findings.error(ErrorClass::RelocDynamic);
                return None;
            }
            Thing::Dynamic(id) => {
                self.uses[id].direct = true;
                self.bounded(at, i128::from(addend) + LOWEST, i128::from(addend) + HIGHEST)?;
                if row.field.width < 4 {
                    self.findings.error(ErrorClass::RelocOverflow);
                    self.findings.error(ErrorClass::RelocDynamic);
                    return None;
                }
            }
            Thing::Gone | Thing::Undefined => return None,
        }
        let ifunc = self.kind(at.file, at.reloc.symbol) == SymbolKind::Ifunc;
        if ifunc && at.row.is_part() {
            self.findings.open.push(open_key(key, "part of the address of an IFUNC's PLT entry"));
        }
        self.address(at, key, thing)
    }

    /// Low bits of `S + A`.
    pub(super) fn low(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        match thing {
            Thing::Dynamic(id) if self.link.world.on.library => {
                // Alone it says nothing; the page that goes with it is refused.
                let _ = id;
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.open.push(open_key(key, "low bits of a name that can be preempted"));
            }
            Thing::Dynamic(id) => self.uses[id].direct = true,
            Thing::Gone | Thing::Undefined => return None,
            Thing::Null(_) if self.machine.null_is_here => {
                // The page that goes with it is the place's.
                self.findings.open.push(open_key(key, "a distance to nothing"));
            }
            _ => {}
        }
        self.aligned(at, thing)?;
        self.address(at, key, thing)
    }

    /// What remains of a thing's address divided by a power of two, where that is known.
    fn remainder(&self, thing: Thing, align: u64) -> Option<u64> {
        let (value, known) = match thing {
            Thing::Number(value) => (value, align),
            Thing::Place { file, section, offset } => {
                (offset, self.link.section(file, section).align.max(1))
            }
            Thing::Null(_) => (0, align),
            // PLT entries are code.
            Thing::Dynamic(_) => (0, 4),
            _ => return None,
        };
        known.is_multiple_of(align).then_some(value % align)
    }

    /// Refuses a value that is no multiple of what the field counts in.
    pub(super) fn aligned(&mut self, at: &At<'_>, thing: Thing) -> Option<()> {
        let align = u64::from(at.row.check.align);
        let kind = self.kind(at.file, at.reloc.symbol);
        let function = matches!(kind, SymbolKind::Func | SymbolKind::Ifunc);
        if align == 1 || (function && self.machine.interworks) {
            // A function's lowest bit says its state, and its address fits its state.
            return Some(());
        }
        let relative = matches!(at.row.form, Form::Relative | Form::Call | Form::Branch);
        let place = Thing::Place { file: at.file, section: at.index, offset: at.reloc.offset };
        let place = if relative { self.remainder(place, align) } else { Some(0) };
        let sum = self.remainder(thing, align).zip(place).map(|(thing, place)| {
            thing.wrapping_sub(place).wrapping_add(at.reloc.addend as u64) % align
        });
        match sum {
            Some(0) => {}
            Some(_) if !relative => {
                self.findings.error(ErrorClass::RelocMisaligned);
                self.findings.error(ErrorClass::RelocOverflow);
                return None;
            }
            sum => {
                self.findings.may(ErrorClass::RelocMisaligned);
                self.findings.may(ErrorClass::RelocOverflow);
                if sum.is_some() || self.machine.interworks {
                    // AAELF64 says which bits are taken, not that the others must be zero.
                    let policy = !self.machine.interworks;
                    self.open_place(at, "a branch between instructions", policy);
                }
            }
        }
        Some(())
    }

    /// A word that the loader relocates.
    pub(super) fn word(&mut self, writable: bool) {
        if !writable {
            self.textrel = true;
            self.findings.may(ErrorClass::RelocDynamic);
        }
    }

    /// A number in a field: refused if it doesn't fit.
    pub(super) fn number(&mut self, at: &At<'_>, value: u64) -> Option<()> {
        let sum = self.machine.sum(value.wrapping_add(at.reloc.addend as u64));
        self.aligned(at, Thing::Number(value))?;
        if at.row.is_disputed(sum) {
            self.findings.may(ErrorClass::RelocOverflow);
            // What bfd makes of a number that does not fit is nobody's to judge.
            let fits = at.row.fits(sum);
            self.open_place(at, "bfd's and mold's ranges of narrow fields", fits);
        }
        if !at.row.fits(sum) {
            self.findings.error(ErrorClass::RelocOverflow);
            if self.link.world.on.pic {
                // bfd refuses narrow fields of movable images before it looks at the value.
                self.findings.error(ErrorClass::RelocDynamic);
            }
            return None;
        }
        Some(())
    }

    /// A value between two bounds in a field: refused if none fits, left open if some do.
    pub(super) fn bounded(&mut self, at: &At<'_>, low: i128, high: i128) -> Option<()> {
        let (min, max) = at.row.limits();
        // A page's distance is that of the bytes, give or take where in their pages they are.
        let slack = if at.row.form == Form::Page { 0xfff } else { 0 };
        let (low, high) = (low - slack, high + slack);
        if let Range::Groups(_) = at.row.check.range {
            // What fits isn't an interval.
            if low == high && !at.row.fits(low as u64) {
                self.findings.error(ErrorClass::RelocOverflow);
                return None;
            }
            if low != high {
                self.findings.may(ErrorClass::RelocOverflow);
            }
            return Some(());
        }
        if at.row.check.range == Range::Any || (low >= min && high <= max) {
            return Some(());
        }
        if (high < min || low > max) && !at.row.check.extended {
            self.findings.error(ErrorClass::RelocOverflow);
            return None;
        }
        self.findings.may(ErrorClass::RelocOverflow);
        Some(())
    }

    /// `S + A - P`.
    pub(super) fn relative(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let on = &self.link.world.on;
        match thing {
            Thing::Null(_) if self.machine.null_is_here => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocOverflow);
                self.findings.open.push(open_key(key, "a distance to nothing"));
            }
            Thing::Number(value) if on.pic => {
                let _ = value;
                // The distance to a number changes with the load address: no loader can fix it.
                self.findings.error(ErrorClass::RelocDynamic);
                self.findings.error(ErrorClass::RelocUnsupported);
                return None;
            }
            Thing::Null(_) if on.pic => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.open.push(open_key(key, "distance to null in a movable image"));
            }
            Thing::Number(value) => self.distance_to_number(at, value)?,
            Thing::Null(_) => self.distance_to_number(at, 0)?,
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {
                self.distance(at, thing)?
            }
            Thing::Dynamic(id) => self.relative_dynamic(at, id)?,
            Thing::Gone | Thing::Undefined => return None,
        }
        self.aligned(at, thing)?;
        self.address(at, key, thing)
    }

    pub(super) fn distance_to_number(&mut self, at: &At<'_>, value: u64) -> Option<()> {
        let sum = self.machine.sum(value.wrapping_add(at.reloc.addend as u64));
        let sum = i128::from(sum as i64);
        let full = 1_i128 << at.row.check.bits;
        if at.row.check.disputed && sum >= full / 2 {
            self.open_place(at, "bfd's and mold's ranges of narrow fields", false);
        }
        self.bounded(at, sum - HIGHEST, sum - LOWEST)
    }

    /// The distance of two places: known within a section, bounded otherwise.
    pub(super) fn distance(&mut self, at: &At<'_>, thing: Thing) -> Option<()> {
        let addend = i128::from(at.reloc.addend);
        let ifunc = self.kind(at.file, at.reloc.symbol) == SymbolKind::Ifunc;
        match thing {
            Thing::Place { file, section, offset }
                if (file, section) == (at.file, at.index) && !ifunc =>
            {
                let value = i128::from(offset) + addend - i128::from(at.reloc.offset);
                let value = i128::from(self.machine.sum(value as u64) as i64);
                if at.row.is_disputed(value as u64) {
                    self.findings.may(ErrorClass::RelocOverflow);
                    // What fits as a number without a sign can't be told from a negative distance.
                    let fits = at.row.fits(value as u64) && at.row.check.range == Range::Signed;
                    self.open_place(at, "bfd's and mold's ranges of narrow fields", fits);
                }
                if at.row.check.extended && !at.row.fits(value as u64) {
                    // Only functions, and what is in other sections, have a right to a thunk.
                    if self.kind(at.file, at.reloc.symbol) != SymbolKind::Func {
                        self.findings.may(ErrorClass::RelocOverflow);
                        // Nor does AAELF32 say in which state one they have no right to arrives.
                        if self.machine.interworks {
                            self.open_place(at, "a thunk that nothing has a right to", true);
                        }
                    }
                    return Some(());
                }
                self.bounded(at, value, value)
            }
            _ if at.row.check.disputed && addend + HIGHEST >= at.row.limits().1 / 2 => {
                self.open_place(at, "bfd's and mold's ranges of narrow fields", false);
                self.bounded(at, addend - HIGHEST, addend + HIGHEST)
            }
            _ if at.row.check.extended && addend.abs() < LOWEST => Some(()),
            _ => self.anywhere(at),
        }
    }

    pub(super) fn relative_dynamic(&mut self, at: &At<'_>, id: usize) -> Option<()> {
        let kind = self.link.syms[id].kind;
        let writable = at.section.flags.write;
        if self.link.world.on.library {
            let certain = at.row.field.width < 4 || (kind == SymbolKind::Object && !writable);
            if certain && at.row.field.width < self.machine.word {
                self.findings.error(ErrorClass::RelocDynamic);
                return None;
            }
            // A PLT entry (mold) or R_X86_64_PC32 for the loader (bfd) are ways out.
            self.findings.may(ErrorClass::RelocDynamic);
            self.findings.may(ErrorClass::RelocUnsupported);
            return self.anywhere(at);
        }
        self.uses[id].direct = true;
        if at.row.field.width < 4 {
            self.findings.may(ErrorClass::RelocDynamic);
            self.findings.may(ErrorClass::RelocOverflow);
        }
        self.anywhere(at)
    }

    /// A distance that nothing is known about: what the field reaches is up to the layout.
    fn anywhere(&mut self, at: &At<'_>) -> Option<()> {
        let addend = i128::from(at.reloc.addend);
        self.bounded(at, addend - HIGHEST, addend + HIGHEST)
    }

    /// `L + A - P`.
    pub(super) fn call(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let pic = self.link.world.on.pic;
        match thing {
            Thing::Number(_) if pic => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.may(ErrorClass::RelocOverflow);
                self.findings.may(ErrorClass::Other);
                self.findings.open.push(open_key(key, "a call of a number in a movable image"));
            }
            Thing::Null(_) if pic => {
                self.no_call(at);
                self.findings.open.push(open_key(key, "a call of nothing"));
            }
            // A no-op, wherever it is.
            Thing::Null(id) if self.machine.null_is_here => {
                let name = id.map(|id| &*self.link.syms[id].name);
                let others = self.link.syms.iter().filter(|sym| Some(&*sym.name) == name);
                if others.count() > 1 {
                    let reason = "a call of nothing whose name others have in a version";
                    self.findings.open.push(open_key(key, reason));
                }
            }
            Thing::Number(value) => self.distance_to_number(at, value)?,
            Thing::Null(_) => self.distance_to_number(at, 0)?,
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {
                self.distance(at, thing)?
            }
            Thing::Dynamic(id) => {
                if !matches!(self.link.syms[id].kind, SymbolKind::Func | SymbolKind::Ifunc) {
                    self.no_call(at);
                }
                self.distance(at, thing)?;
            }
            Thing::Gone | Thing::Undefined => return None,
        }
        self.aligned(at, thing)?;
        self.address(at, key, thing)
    }

    /// Lets R_ARM_PREL31 be refused where no distance is known: it is data, which calls nothing, and what is no
    /// function has no right to a PLT entry.
    fn no_call(&mut self, at: &At<'_>) {
        if self.machine.interworks && !at.row.check.extended {
            self.findings.may(ErrorClass::RelocDynamic);
        }
    }

    /// `G + A`, `G + GOT + A - P`.
    pub(super) fn got(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let addend = i128::from(at.reloc.addend);
        match at.row.form {
            Form::GotOffset => self.bounded(at, addend, addend + LOWEST)?,
            _ => self.bounded(at, addend - HIGHEST, addend + HIGHEST)?,
        }
        if let (Form::GotHalf, Thing::Number(value)) = (at.row.form, thing)
            && value > 0xffff_ffff
        {
            // Loads and comparisons of 32 bits see half of it.
            self.findings.open.push(open_key(key, "half of a wide number"));
        }
        self.address(at, key, thing)
    }

    /// `S + A - GOT`, `L + A - GOT`.
    pub(super) fn off_got(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let pltoff = at.row.form == Form::PltFromGot;
        match thing {
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {}
            Thing::Dynamic(_) if pltoff => {}
            _ => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.open.push(open_key(key, "distance from the GOT to nowhere"));
            }
        }
        self.address(at, key, thing)
    }

    /// `Z + A`.
    pub(super) fn size(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let size = match self.link.target(at.file, at.reloc.symbol) {
            Target::Global(id) => self.link.syms[id].size,
            Target::Local { file, symbol } => self.link.symbol(file, symbol).size,
            Target::Null => 0,
            Target::Section { .. } => {
                self.findings.open.push(open_key(key, "the size of a section symbol"));
                0
            }
        };
        match thing {
            Thing::Dynamic(_) | Thing::Null(_) | Thing::Linker(_) => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.open.push(open_key(key, "the size of another module's symbol"));
            }
            _ => self.number(at, size)?,
        }
        Some(Meaning::Size(size))
    }
}
