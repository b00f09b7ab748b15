//! Relocations of placed atoms → `site`, `bytes` and `perm` facts.
//!
//! Every relocation's field and the instruction around it is decoded by the machine's rows, followed
//! through slots and fixups, and given its meaning.

mod code;

use super::image::kind;
use super::inputs::{AtomId, Spot};
use super::judge::{Found, Judge, Reference, Use, bad};
use super::machine::{Form, Row};
use super::object::{Atom, Object, Reloc, Target};
use crate::bytes::{number, sign_extend, slice};
use crate::model::{Facts, Family, Meaning, Value};

/// One atom in the output.
struct Pass<'p, 'j, 'a> {
    judge: &'p Judge<'j, 'a>,
    object: u32,
    atom: &'p Atom<'a>,
    output: &'p [u8],
    base: u64,
}

/// Adds the facts of every placed atom.
pub(super) fn facts(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let shortest = judge.inputs.shortest_copies();
    for (id, base) in judge.places.atoms(judge.inputs) {
        let Some(atom) = judge.inputs.atom(id) else { continue };
        let name = judge.inputs.name(id);
        facts.put(Family::Perm, name.clone(), Value::Text(perm(judge, atom, base).into()));
        if judge.places.twice.contains(&id) {
            facts.put(Family::Perm, format!("{name} twice"), Value::Flag(true));
        }
        // Nobody aligns more than pages are: ld64 and lld say so.
        if !base.is_multiple_of(atom.align.min(judge.machine.page)) {
            facts.put(Family::Perm, format!("{name} misaligned"), Value::Flag(true));
        }
        let size = shortest.get(&id).copied().unwrap_or(atom.size);
        contents(judge, id, (atom, size), base, &name, facts);
    }
}

/// `r`, `rx`, `rw`, `relro` or `tls`.
fn perm(judge: &Judge<'_, '_>, atom: &Atom<'_>, base: u64) -> &'static str {
    let file = judge.file;
    if atom.template() {
        let section = file.section_at(base);
        return match section.filter(|section| section.template()) {
            Some(section) if section.address + section.size - base >= atom.size => "tls",
            _ => "outside of the template",
        };
    }
    let Some(segment) = file.at(base) else { return "unmapped" };
    if segment.size - (base - segment.address) < atom.size {
        return "cut off";
    }
    match segment.protection & 7 {
        3 if segment.read_only() => "relro",
        1 => "r",
        3 => "rw",
        5 => "rx",
        7 => "rwx",
        4 => "x",
        _ => "not readable",
    }
}

/// Adds the digest and the sites of the atom's first `size` bytes, if they are all there.
fn contents(
    judge: &Judge<'_, '_>,
    id: AtomId,
    (atom, size): (&Atom<'_>, u64),
    base: u64,
    name: &str,
    facts: &mut Facts,
) {
    let end = base.saturating_add(size);
    if atom.zerofill() {
        let tail = judge.file.tail(base);
        let there = &tail[..tail.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
        let written = judge.fixups.within(base, end).next().is_some();
        if written || there.iter().any(|byte| *byte != 0) {
            facts.put(Family::Bytes, name, Value::Text("not zero".into()));
        }
        return;
    }
    let Some(output) = judge.file.slice(base, size) else {
        facts.put(Family::Bytes, name, Value::Text("not in the file".into()));
        return;
    };
    let object = judge.inputs.owner[id as usize];
    let pass = Pass { judge, object, atom, output, base };
    facts.put(Family::Bytes, name, Value::Digest(pass.digest(end)));
    for reloc in atom.relocs.iter().filter(|reloc| reloc.offset < size) {
        let offset = reloc.offset;
        facts.put(Family::Site, format!("{name}+{offset:#x}"), Value::Ref(pass.meaning(reloc)));
    }
}

impl<'p> Pass<'p, '_, '_> {
    fn row(&self, reloc: &Reloc) -> Option<Row> {
        (self.judge.machine.row)(reloc.r_type)
    }

    /// The digest of the bytes that nothing may rewrite.
    fn digest(&self, end: u64) -> u64 {
        let mut bytes = self.output.to_vec();
        let size = bytes.len() as u64;
        let mut masked = vec![false; bytes.len()];
        for reloc in &self.atom.relocs {
            let (before, after) = (self.judge.machine.mask)(reloc.r_type, reloc.size);
            let from = reloc.offset.saturating_sub(before).min(size) as usize;
            let to = reloc.offset.saturating_add(after).min(size) as usize;
            bytes[from..to].fill(0);
            masked[from..to].fill(true);
        }
        for at in self.atom.hints.iter().flat_map(|hint| &hint.at) {
            // What they do is told at their relocations.
            let at = (*at).min(size) as usize;
            let end = bytes.len().min(at + 4);
            bytes[at..end].fill(0);
        }
        let mut digest = crate::model::digest(&bytes);
        for (address, _) in self.judge.fixups.within(self.base, end) {
            // A fixup where there is no reference changes bytes that nothing may touch.
            let at = address.wrapping_sub(self.base);
            let there = usize::try_from(at).ok().and_then(|at| masked.get(at));
            if there != Some(&true) {
                digest = digest.wrapping_add(0x9e37_79b9_7f4a_7c15 ^ at);
            }
        }
        digest
    }

    fn object(&self) -> &'p Object<'_> {
        &self.judge.inputs.objects[self.object as usize]
    }

    fn meaning(&self, reloc: &Reloc) -> Meaning {
        let Some(row) = self.row(reloc) else {
            return bad(format!("relocation {} in an input", reloc.r_type));
        };
        let own;
        let addend = reloc.addend;
        let to = match reloc.target {
            Target::Number => Reference { addend, ..Reference::NONE },
            Target::Atom(atom) => {
                own = [Spot::Atom(self.judge.inputs.first[self.object as usize] + atom, 0)];
                Reference { name: "", defs: &own, section: true, addend }
            }
            Target::Symbol(index) => {
                let Some(symbol) = self.object().symbols.get(index as usize) else {
                    return bad("a symbol that its object lacks");
                };
                let defs = match symbol.external {
                    true => self.judge.inputs.defs.get(symbol.name).map_or(&[][..], |d| d),
                    false => {
                        own = [self.judge.inputs.own(self.object, symbol).unwrap_or(NONE)];
                        &own[..]
                    }
                };
                Reference { name: symbol.name, defs, section: false, addend }
            }
        };
        match (row.form, reloc.size) {
            (Form::Pointer, _) => self.pointer(reloc, to),
            (Form::Got, 8) => self.pointer_to_slot(reloc, to),
            _ => self.code(reloc, row, to),
        }
    }

    fn place(&self, reloc: &Reloc) -> u64 {
        self.base.wrapping_add(reloc.offset)
    }

    /// A field with an address or a difference.
    fn pointer(&self, reloc: &Reloc, to: Reference<'_>) -> Meaning {
        let judge = self.judge;
        let place = self.place(reloc);
        let Some(field) = slice(self.output, reloc.offset, reloc.size.into()).map(number) else {
            return bad("a field outside its atom");
        };
        let fixed = judge.fixups.within(place, place.saturating_add(reloc.size.into())).next();
        if let Some(minus) = reloc.minus {
            if fixed.is_some() {
                return bad("a difference that is fixed up");
            }
            let Some(from) = self.address_of(minus) else {
                return bad("a difference to what is not in the image");
            };
            let to_address = from.wrapping_add(sign_extend(field, reloc.size));
            let bits = 8 * u32::from(reloc.size);
            let found = match bits {
                64 => to_address,
                // A narrow difference is one modulo its width: the distance is short, so it is the nearest.
                _ => to_address,
            };
            return judge.settle(Found::Address(found), to, Use::Address);
        }
        let absolute = || to.defs.iter().any(|spot| matches!(spot, Spot::Absolute(_)));
        match reloc.size {
            8 if self.is_template_offset(reloc) => match fixed {
                Some(_) => bad("an offset into the template that is fixed up"),
                None => self.template(field, to),
            },
            8 => judge.settle(judge.slot(place), to, Use::Address),
            _ if fixed.is_some() => bad("a narrow field that is fixed up"),
            4 if absolute() || to.defs.is_empty() => {
                let value = field.wrapping_add_signed(to.addend.wrapping_neg()) & 0xffff_ffff;
                Meaning::Absolute(value)
            }
            _ if judge.file.slides() => bad("a narrow address in an image that moves"),
            _ => judge.settle(Found::Number(field), to, Use::Address),
        }
    }

    /// Whether it is the third word of a thread-local variable's descriptor.
    fn is_template_offset(&self, reloc: &Reloc) -> bool {
        self.atom.kind == kind::TLV_VARIABLES && (self.atom.start + reloc.offset) % 24 == 16
    }

    fn template(&self, offset: u64, to: Reference<'_>) -> Meaning {
        let Some(start) = self.judge.file.template() else {
            return bad("a thread-local variable without a template");
        };
        let value = start.wrapping_add(offset).wrapping_add_signed(to.addend.wrapping_neg());
        match self.judge.address(value, to, Use::Address) {
            Meaning::Bad(text) => bad(text),
            meaning => Meaning::Tls(Box::new(meaning)),
        }
    }

    /// The address of what is subtracted.
    fn address_of(&self, target: Target) -> Option<u64> {
        let inputs = self.judge.inputs;
        let address = |spot: Spot| self.judge.places.address(inputs, spot);
        match target {
            Target::Number => Some(0),
            Target::Atom(atom) => address(Spot::Atom(inputs.first[self.object as usize] + atom, 0)),
            Target::Symbol(index) => {
                let symbol = self.object().symbols.get(index as usize)?;
                if !symbol.external {
                    return address(inputs.own(self.object, symbol)?);
                }
                match inputs.defs.get(symbol.name) {
                    Some(defs) => defs.iter().find_map(|spot| address(*spot)),
                    None if super::is_header(symbol.name) => Some(self.judge.file.base()),
                    None => None,
                }
            }
        }
    }

    /// A word with the address of a slot.
    fn pointer_to_slot(&self, reloc: &Reloc, to: Reference<'_>) -> Meaning {
        match self.judge.slot(self.place(reloc)) {
            Found::Address(slot) => self.in_slot(slot, to),
            _ => bad("a pointer to a slot that is none"),
        }
    }

    /// What a slot at `slot` plus the addend holds.
    fn in_slot(&self, slot: u64, to: Reference<'_>) -> Meaning {
        let slot = slot.wrapping_add_signed(to.addend.wrapping_neg());
        self.judge.settle(self.judge.slot(slot), Reference { addend: 0, ..to }, Use::Address)
    }
}

/// A local symbol that is nowhere.
const NONE: Spot = Spot::Common(u32::MAX);
