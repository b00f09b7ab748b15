//! DWARF unwind records: `__TEXT,__eh_frame` → CIEs and FDEs with what they refer to, whether by
//! relocation or by distance. Must not know which of them an image keeps.

use super::{Atom, Object, Section, Target, in_section};
use crate::Result;
use crate::arch::{Field, What};
use crate::format::macho::read::{Bytes, Read, bad};
use crate::macho::machine::Machine;

/// A pointer in a record: where it is, its bytes, and the atom and offset it leads to.
pub type Pointer = (u32, u8, (u32, u64));

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its bytes in the object: from, to.
    pub range: (usize, usize),
    /// Of a FDE: its CIE, in the object's list.
    pub cie: Option<usize>,
    /// Of a FDE: the function.
    pub function: Option<Pointer>,
    /// Of a FDE: the language's table.
    pub lsda: Option<Pointer>,
    /// Of a CIE: where the personality routine's slot is referred to, and the routine.
    pub personality: Option<(u32, Target)>,
    /// Of a CIE: how its FDEs keep pointers to functions and tables.
    encodings: (u8, u8),
    /// Of a CIE: whether its FDEs tell the length of what follows.
    sized: bool,
}

impl<'a> Object<'a> {
    pub(super) fn read_eh_frame(&mut self, machine: &Machine, atoms: &[Atom]) -> Result<()> {
        let found = |s: &&Section<'_>| s.header.name == b"__eh_frame" && !s.is_zerofill();
        let Some(section) = self.sections.iter().find(found) else { return Ok(()) };
        let reader = Reader { object: self, section, machine, atoms };
        let records = reader.records();
        self.records = records.map_err(|e| in_section(e, &self.name, &section.header))?;
        Ok(())
    }

    /// The bytes of a record.
    pub fn record(&self, record: &Record) -> &'a [u8] {
        let found = |s: &&Section<'_>| s.header.name == b"__eh_frame" && !s.is_zerofill();
        let data = self.sections.iter().find(found).map_or(&[][..], |section| section.data);
        &data[record.range.0..record.range.1]
    }
}

struct Reader<'r, 'a> {
    object: &'r Object<'a>,
    section: &'r Section<'a>,
    machine: &'r Machine,
    atoms: &'r [Atom],
}

impl Reader<'_, '_> {
    fn records(&self) -> Read<Vec<Record>> {
        let bytes = Bytes(self.section.data);
        let mut out: Vec<Record> = Vec::new();
        let mut cies = rustc_hash::FxHashMap::default();
        let mut at = 0;
        while at < bytes.0.len() {
            let len = bytes.u32(at)? as usize;
            // Zeros end the table, or are padding between two.
            if len == 0 {
                at += 4;
                continue;
            }
            if len == 0xffff_ffff || len < 4 {
                return bad(at, "an unwind record of a form nobody emits");
            }
            let body = Bytes(bytes.slice(at, len + 4)?);
            let range = (at, at + len + 4);
            let id = body.u32(4)? as usize;
            let record = if id == 0 && !self.is_relocated(at + 4) {
                cies.insert(at, out.len());
                self.cie(body, range)?
            } else {
                let back = match self.is_relocated(at + 4) {
                    true => self.relocated(at + 4, 4)?.map(|to| to.wrapping_sub(at as u64 + 4)),
                    false => Some(id as u64),
                };
                let cie = back.and_then(|back| (at + 4).checked_sub(back as usize));
                match cie.and_then(|cie| cies.get(&cie)) {
                    Some(&cie) => self.fde(body, range, cie, &out[cie])?,
                    None => return bad(at, "an unwind record without its CIE"),
                }
            };
            out.push(record);
            at += len + 4;
        }
        Ok(out)
    }

    fn cie(&self, body: Bytes<'_>, range: (usize, usize)) -> Read<Record> {
        let augmentation = body.cstr(9)?;
        let mut at = 10 + augmentation.len();
        body.uleb(&mut at)?;
        body.uleb(&mut at)?;
        match body.u8(8)? {
            1 => at += 1,
            3 => drop(body.uleb(&mut at)?),
            _ => return bad(range.0 + 8, "an unwind record of an unknown version"),
        }
        let mut record = Record {
            range,
            cie: None,
            function: None,
            lsda: None,
            personality: None,
            encodings: (0, 0xff),
            sized: augmentation.first() == Some(&b'z'),
        };
        for &letter in augmentation {
            match letter {
                b'z' => drop(body.uleb(&mut at)?),
                b'R' | b'L' => {
                    let to = &mut record.encodings;
                    *(if letter == b'R' { &mut to.0 } else { &mut to.1 }) = body.u8(at)?;
                    at += 1;
                }
                b'P' => {
                    let size = size(body.u8(at)?, range.0 + at)?;
                    let reloc = self.reloc(range.0 + at + 1).filter(|reloc| {
                        self.machine.row(reloc.kind).is_some_and(|row| row.what == What::Got)
                    });
                    let Some(reloc) = reloc else {
                        return bad(range.0 + at, "a personality routine that is not in the GOT");
                    };
                    record.personality = Some((at as u32 + 1, reloc.target));
                    at += 1 + usize::from(size);
                }
                b'S' | b'B' => {}
                _ => return bad(range.0 + 9, "an unwind record of an unknown kind"),
            }
        }
        Ok(record)
    }

    fn fde(&self, body: Bytes<'_>, range: (usize, usize), cie: usize, of: &Record) -> Read<Record> {
        let width = size(of.encodings.0, range.0 + 8)?;
        let start = range.0;
        let function = self.pointer(start, 8, width)?;
        let mut at = 8 + 2 * usize::from(width);
        let mut lsda = None;
        if of.sized && body.uleb(&mut at)? > 0 && of.encodings.1 != 0xff {
            lsda = self.pointer(start, at, size(of.encodings.1, start + at)?)?;
        }
        Ok(Record {
            range,
            cie: Some(cie),
            function,
            lsda,
            personality: None,
            encodings: (0, 0),
            sized: false,
        })
    }

    /// The pointer at `at` of the record at `start`; none if it is 0 or leads nowhere.
    fn pointer(&self, start: usize, at: usize, width: u8) -> Read<Option<Pointer>> {
        let to = self.relocated(start + at, width)?;
        let to = to.and_then(|to| {
            self.object.at_address(self.atoms, self.section.header.addr.wrapping_add(to))
        });
        Ok(to.map(|to| (at as u32, width, to)))
    }

    fn reloc(&self, at: usize) -> Option<&super::Reloc> {
        let relocs = &self.section.relocs;
        let from = relocs.partition_point(|reloc| (reloc.offset as usize) < at);
        relocs.get(from).filter(|reloc| reloc.offset as usize == at)
    }

    fn is_relocated(&self, at: usize) -> bool {
        self.reloc(at).is_some()
    }

    /// Where the pointer at `at` leads, counted from the start of the section; none if it is 0.
    fn relocated(&self, at: usize, width: u8) -> Read<Option<u64>> {
        let stored = Field::Data(width).read(&self.section.data[at.min(self.section.data.len())..]);
        let Some(reloc) = self.reloc(at) else {
            return Ok((stored != 0).then(|| (at as i64).wrapping_add(stored) as u64));
        };
        let addr = |target| match target {
            Target::Symbol(index) => Some(self.object.symbols[index as usize].value),
            Target::Atom(atom) => {
                let atom = self.atoms.get(atom as usize)?;
                Some(self.object.sections[atom.section as usize].header.addr + atom.start)
            }
            Target::None => None,
        };
        let (Some(to), Some(from)) = (addr(reloc.target), addr(reloc.minus)) else {
            return bad(at, "an unwind record's pointer is not relative");
        };
        let value = to.wrapping_sub(from).wrapping_add(reloc.addend as u64);
        Ok(Some((at as u64).wrapping_add(value)))
    }
}

/// Bytes of a pointer in an encoding; all are relative to their place.
fn size(encoding: u8, at: usize) -> Read<u8> {
    match encoding & 0x7f {
        0x10 | 0x1c | 0x14 => Ok(8),
        0x1b | 0x13 => Ok(4),
        _ => bad(at, "an unwind record's pointer is of an unknown form"),
    }
}
