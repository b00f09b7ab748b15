//! What atoms that are placed refer to says where others are: nothing else tells atoms apart that have no name in the
//! output and bytes as others have. It must not know whether a reference is right: who follows a wrong one finds
//! other bytes.

use super::super::fixups::Fixups;
use super::super::inputs::{AtomId, Spot};
use super::super::machine::{Field, Form, Part, Row, Seen};
use super::super::object::{Atom, Reloc, Target, Where};
use super::super::unwind;
use super::{NOWHERE, Search};
use crate::bytes::u32_at;

/// S_SYMBOL_STUBS.
const STUBS: u32 = 8;

impl Search<'_, '_> {
    /// Places what references lead to: how many. With `any`, also atoms whose bytes say nothing.
    pub(super) fn referred(&mut self, fixups: &Fixups, any: bool, base: &mut [u64]) -> usize {
        let mut total = 0;
        loop {
            let mut found = 0;
            for (id, address) in self.leads(fixups, base) {
                if base[id as usize] == NOWHERE && self.takes(id, address, any) {
                    self.put(id, address, base);
                    found += 1;
                }
            }
            total += found;
            if found == 0 {
                return total;
            }
        }
    }

    /// Whether an atom may be at `address`.
    fn takes(&self, id: AtomId, address: u64, any: bool) -> bool {
        let Some(atom) = self.inputs.atom(id).filter(|atom| atom.placeable()) else { return false };
        let stubs = self.file.section_at(address).is_some_and(|section| section.kind() == STUBS);
        let fits = self.bytes_fit(atom, address);
        !stubs
            && address.is_multiple_of(atom.align.max(1))
            && self.free(atom, address)
            && (fits == Some(true) || (any && fits.is_none()))
    }

    /// Atoms that are nowhere yet, each with where something says that it is.
    fn leads(&self, fixups: &Fixups, base: &[u64]) -> Vec<(AtomId, u64)> {
        let mut leads = Vec::new();
        let objects = self.inputs.objects.iter().enumerate();
        for (index, object) in objects.filter(|(index, _)| !self.inputs.is_absent(*index)) {
            let first = self.inputs.first[index];
            for (id, atom) in (first..).zip(&object.atoms) {
                let start = base[id as usize];
                if object.unwind.contains(&(id - first)) {
                    leads.extend(self.tables(index, atom, base));
                } else if start != NOWHERE && !atom.zerofill() {
                    leads.extend(self.sites(index, atom, start, fixups, base));
                }
            }
        }
        leads
    }

    /// What a reference of object `index` is to: an atom that is nowhere yet, and how far into it.
    fn lost(&self, index: usize, target: Target, base: &[u64]) -> Option<(AtomId, u64)> {
        let (id, offset) = self.target(index, target)?;
        (base[id as usize] == NOWHERE).then_some((id, offset))
    }

    /// The only atom that can be meant, and how far into it.
    fn target(&self, index: usize, target: Target) -> Option<(AtomId, u64)> {
        let first = self.inputs.first[index];
        match target {
            Target::Atom(atom) => Some((first + atom, 0)),
            Target::Number => None,
            Target::Symbol(symbol) => {
                let symbol = self.inputs.objects[index].symbols.get(symbol as usize)?;
                if symbol.external {
                    return match self.inputs.defs.get(symbol.name).map(Vec::as_slice) {
                        Some([Spot::Atom(id, offset)]) => Some((*id, *offset)),
                        _ => None,
                    };
                }
                match symbol.place {
                    Where::Atom(atom, offset) => Some((first + atom, offset)),
                    _ => None,
                }
            }
        }
    }

    /// Where the fields of an atom at `start` lead.
    fn sites(
        &self,
        index: usize,
        atom: &Atom<'_>,
        start: u64,
        fixups: &Fixups,
        base: &[u64],
    ) -> Vec<(AtomId, u64)> {
        let Some(output) = self.file.slice(start, atom.size) else { return Vec::new() };
        let lead = |(at, reloc): (usize, &Reloc)| {
            let (id, offset) = self.lost(index, reloc.target, base)?;
            let row = (self.machine.row)(reloc.r_type).filter(|_| reloc.minus.is_none())?;
            let address = match (row.form, reloc.size) {
                (Form::Pointer, 8) => fixups.held(self.file, start.wrapping_add(reloc.offset))?,
                (Form::Relative | Form::Branch, _) => self.address(row, atom, at, start, output)?,
                _ => return None,
            };
            let address = address.wrapping_add_signed(reloc.addend.wrapping_neg());
            Some((id, address.wrapping_sub(offset)))
        };
        atom.relocs.iter().enumerate().filter_map(lead).collect()
    }

    /// The address that the instruction of relocation `number` makes, with the one that adds the rest.
    fn address(
        &self,
        row: Row,
        atom: &Atom<'_>,
        number: usize,
        start: u64,
        output: &[u8],
    ) -> Option<u64> {
        let see = |row: Row, reloc: &Reloc| {
            let at = usize::try_from(reloc.offset).ok()?;
            let place = start.wrapping_add(reloc.offset);
            let (size, input) = (reloc.size, atom.data);
            (self.machine.see)(Field { row, size, input, output, at, place }).ok()
        };
        let reloc = &atom.relocs[number];
        let page = match see(row, reloc)? {
            Seen::Whole(address, false) => return Some(address),
            Seen::Page(page) => page,
            _ => return None,
        };
        let word = |reloc: &Reloc| u32_at(atom.data, reloc.offset);
        let mut behind = atom.relocs[number + 1..].iter();
        let low = behind.find(|low| {
            let same = low.target == reloc.target && low.addend == reloc.addend;
            let joined = word(reloc).zip(word(low));
            let part = (self.machine.row)(low.r_type).map(|row| row.part);
            same && part == Some(Part::Low)
                && joined.is_some_and(|(a, b)| (self.machine.joined)(a, b))
        })?;
        match see((self.machine.row)(low.r_type)?, low)? {
            Seen::Low(rest, false) => Some(page.wrapping_add(rest)),
            _ => None,
        }
    }

    /// Where the image's unwinding table has the language's tables of `atom`, a `__compact_unwind`.
    fn tables(&self, index: usize, atom: &Atom<'_>, base: &[u64]) -> Vec<(AtomId, u64)> {
        let section = self.file.sections.iter().find(|section| section.name == "__unwind_info");
        let table = section.and_then(|section| self.file.slice(section.address, section.size));
        let Some(table) = table else { return Vec::new() };
        let image = self.file.base();
        let lead = |entry: u64| {
            let at = |offset| atom.relocs.iter().find(|r| r.offset == 32 * entry + offset);
            let (function, lsda) = (at(0)?, at(24)?);
            let (id, offset) = self.lost(index, lsda.target, base)?;
            let (code, skip) = self.target(index, function.target)?;
            let start = Some(base[code as usize]).filter(|start| *start != NOWHERE)?;
            let pc = start.wrapping_add(skip).wrapping_add_signed(function.addend);
            let found = unwind::find(table, pc.wrapping_sub(image))?;
            let mine = image.wrapping_add(found.start.into()) == pc;
            let address = image.wrapping_add(found.lsda.filter(|_| mine)?.into());
            let skip = offset.wrapping_add_signed(lsda.addend);
            Some((id, address.wrapping_sub(skip)))
        };
        (0..atom.size / 32).filter_map(lead).collect()
    }
}
