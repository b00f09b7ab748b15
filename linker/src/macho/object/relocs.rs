//! Relocations: entries, pairs and what stands in the fields → what each one means. Must not know what
//! becomes of it.

use super::{Atom, Object, Reloc, Section, Target, atoms, in_section};
use crate::arch::{Base, Field, What};
use crate::format::macho::read::{Bytes, Read, bad};
use crate::macho::machine::Machine;
use crate::{Error, ErrorKind, Result, Site};

/// One entry of the table.
#[derive(Clone, Copy)]
struct Entry {
    offset: u32,
    symbol: u32,
    pcrel: bool,
    size: u8,
    external: bool,
    kind: u8,
}

fn entry(bytes: Bytes<'_>, at: usize, section: &Section<'_>) -> Read<Entry> {
    let (offset, word) = (bytes.u32(at)?, bytes.u32(at + 4)?);
    if offset >> 31 != 0 {
        return bad(at, "a scattered relocation, which 64-bit objects never have");
    }
    let size = 1 << (word >> 25 & 3);
    if u64::from(offset) + u64::from(size) > section.header.size {
        return bad(at, "a relocation is outside of its section");
    }
    Ok(Entry {
        offset,
        symbol: word & 0xff_ffff,
        pcrel: word >> 24 & 1 != 0,
        size,
        external: word >> 27 & 1 != 0,
        kind: (word >> 28) as u8,
    })
}

/// What is part of the addend in the field at the head of `place`.
fn stored(machine: &Machine, entry: &Entry, place: &[u8], insn: u32) -> i64 {
    match (machine.embeds)(entry.kind) {
        true => Field::Data(entry.size).read(place),
        false => (machine.legacy)(entry.kind, insn).unwrap_or(0),
    }
}

/// What is wrong with an instruction that refers to a slot.
fn flaw(machine: &Machine, kind: u8, insn: u32) -> Option<&'static str> {
    match (machine.slot_load)(kind, insn) {
        Some(false) => Some("on what is no load"),
        _ => (machine.slot_bits)(kind, insn).then_some("with an addend in the instruction"),
    }
}

impl<'a> Object<'a> {
    /// Reads the relocations of every section that has any and is of use.
    pub(super) fn read_relocs(&mut self, machine: &Machine, list: &[Atom]) -> Result<()> {
        for index in 0..self.sections.len() {
            let section = &self.sections[index];
            let unwind = matches!(section.header.name, b"__compact_unwind" | b"__eh_frame");
            if section.header.reloc_count == 0 || !(atoms::is_kept(section) || unwind) {
                continue;
            }
            if section.is_zerofill() {
                let error = bad::<()>(section.header.at, "a section without bytes is relocated");
                return error.map_err(|error| error.in_file(&self.name));
            }
            let mut relocs = self.section_relocs(section, machine, list)?;
            relocs.sort_by_key(|reloc| reloc.offset);
            let twice =
                relocs.windows(2).find(|it| it[0].offset + u32::from(it[0].size) > it[1].offset);
            if let Some([_, second]) = twice {
                let (offset, text) =
                    (second.offset.into(), "a second relocation of the same bytes");
                let error = crate::Malformed { offset, text };
                return Err(in_section(error, &self.name, &section.header));
            }
            let embeds = |reloc: &&Reloc| {
                let place = section.data.get(reloc.offset as usize..).unwrap_or_default();
                let insn = place.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
                (machine.legacy)(reloc.kind, insn).is_some_and(|addend| addend != 0)
            };
            let first = relocs.iter().find(embeds).map(|reloc| (index as u32, reloc.offset.into()));
            self.embeds = self.embeds.or(first);
            self.sections[index].relocs = relocs;
        }
        Ok(())
    }

    fn section_relocs(
        &self,
        section: &Section<'a>,
        machine: &Machine,
        list: &[Atom],
    ) -> Result<Vec<Reloc>> {
        let header = &section.header;
        let (start, count) = (header.reloc_offset as usize, header.reloc_count as usize);
        let table = Bytes(self.bytes).slice(start, count.saturating_mul(8));
        let table = Bytes(table.map_err(|error| error.in_file(&self.name))?);
        let mut out = Vec::with_capacity(count);
        let mut addend = None;
        let mut minus = None;
        for at in (0..count).map(|i| 8 * i) {
            let read = entry(table, at, section);
            let entry = read.map_err(|mut error| {
                error.offset += start as u64;
                error.in_file(&self.name)
            })?;
            let fail = |text: &'static str| {
                let error = crate::Malformed { offset: entry.offset.into(), text };
                in_section(error, &self.name, header)
            };
            if Some(entry.kind) == machine.addend {
                addend = Some((entry.offset, i64::from(entry.symbol) << 40 >> 40));
                continue;
            }
            if entry.kind == machine.subtractor {
                if !entry.external || entry.symbol as usize >= self.symbols.len() {
                    return Err(fail("a subtrahend must be a symbol"));
                }
                minus = Some((entry, Target::Symbol(entry.symbol)));
                continue;
            }
            let mut reloc = self.reloc(&entry, section, machine, list)?;
            if let Some((at, value)) = addend.take() {
                let known = at == entry.offset && (machine.legacy)(entry.kind, 0).is_some();
                if !known || reloc.addend != 0 {
                    return Err(fail("an addend belongs to no relocation, or is a second one"));
                }
                reloc.addend = value;
            }
            if let Some((other, target)) = minus.take() {
                let pair = other.offset == entry.offset && other.size == entry.size;
                if !pair || entry.kind != machine.unsigned {
                    return Err(fail("a subtrahend without an address to subtract it from"));
                }
                reloc.minus = target;
            }
            out.push(reloc);
        }
        match minus.is_some() || addend.is_some() {
            true => Err(in_section(
                crate::Malformed { offset: 0, text: "the last relocation has no second half" },
                &self.name,
                header,
            )),
            false => Ok(out),
        }
    }

    fn reloc(
        &self,
        entry: &Entry,
        section: &Section<'a>,
        machine: &Machine,
        list: &[Atom],
    ) -> Result<Reloc> {
        let unsupported = |text: String| {
            let site = Site {
                file: self.name.clone(),
                section: Some(section.header.title()),
                offset: Some(entry.offset.into()),
            };
            Error::new(ErrorKind::RelocUnsupported, text).at(site)
        };
        let Some(row) = machine.row(entry.kind).filter(|row| row.what != What::Nothing) else {
            return Err(unsupported(format!("unknown relocation {}", entry.kind)));
        };
        let plain = entry.kind == machine.unsigned;
        let fits = match plain {
            true => matches!(entry.size, 4 | 8) && !entry.pcrel,
            false => {
                let relative = matches!(row.base, Base::Place | Base::Page);
                u64::from(entry.size) == row.field.len() && entry.pcrel == relative
            }
        };
        if !fits {
            let relative = if entry.pcrel { "relative " } else { "" };
            return Err(unsupported(format!("{} of {} {relative}bytes", row.name, entry.size)));
        }
        let place = section.data.get(entry.offset as usize..).unwrap_or_default();
        let embeds = (machine.embeds)(entry.kind);
        let slot = matches!(row.what, What::Got | What::TlsDesc);
        if !entry.external && (!embeds || slot) {
            return Err(unsupported(format!("{} without a symbol", row.name)));
        }
        let insn = place.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        if let Some(flaw) = flaw(machine, entry.kind, insn).filter(|_| slot) {
            return Err(unsupported(format!("{} {flaw}", row.name)));
        }
        let stored = stored(machine, entry, place, insn);
        let bias = (machine.bias)(entry.kind);
        // A field of a value relative to the program counter holds S + A minus what it is counted
        // from; the immediate behind it is part of that, so is the place for targets without symbol.
        let (target, inside) = self.target(entry, section, machine, list, stored)?;
        let addend = match entry.external {
            true if entry.pcrel && embeds => stored - 4,
            true => stored + bias,
            false => inside + bias,
        };
        Ok(Reloc {
            offset: entry.offset,
            kind: entry.kind,
            size: entry.size,
            target,
            minus: Target::None,
            addend,
        })
    }

    /// What an entry refers to, and for those without symbol where in the atom `stored` leads.
    fn target(
        &self,
        entry: &Entry,
        section: &Section<'a>,
        machine: &Machine,
        list: &[Atom],
        stored: i64,
    ) -> Result<(Target, i64)> {
        let fail = |text| {
            let error = crate::Malformed { offset: entry.offset.into(), text };
            Err(in_section(error, &self.name, &section.header))
        };
        if entry.external {
            return match self.symbols.get(entry.symbol as usize) {
                Some(_) => Ok((Target::Symbol(entry.symbol), 0)),
                None => fail("a relocation against a symbol that is not there"),
            };
        }
        if entry.symbol == 0 {
            return Ok((Target::None, stored));
        }
        let Some(home) = self.sections.get(entry.symbol as usize - 1) else {
            return fail("a relocation against a section that is not there");
        };
        if home.atoms.is_empty() {
            return fail("a relocation against a section that is no part of images");
        }
        let base = match entry.pcrel {
            true => {
                let place = section.header.addr.wrapping_add(entry.offset.into()) as i64;
                place.wrapping_sub((machine.bias)(entry.kind))
            }
            false => 0,
        };
        let offset = stored.wrapping_add(base).wrapping_sub(home.header.addr as i64);
        let (atom, inside) = atoms::at(list, home, offset);
        Ok((Target::Atom(atom), inside))
    }
}
