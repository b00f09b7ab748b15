//! Atoms: sections → the pieces that are kept, dropped, merged or ordered on their own. Must not know
//! what refers to them.

use super::{Atom, NONE, Object, Section, in_section};
use crate::Result;
use crate::format::macho::read::{File, Nlist, bad};
use crate::format::macho::{attr, kind, nlist};

/// The object promises that nothing reaches from one symbol's bytes into the next's.
const SUBSECTIONS_VIA_SYMBOLS: u32 = 0x2000;

/// The atom of `section` at `offset`, and where in it; the nearest one if there is none.
pub(super) fn at(atoms: &[Atom], section: &Section<'_>, offset: i64) -> (u32, i64) {
    let range = section.atoms.start as usize..section.atoms.end as usize;
    let after = atoms[range.clone()].partition_point(|atom| atom.start as i64 <= offset);
    let atom = range.start + after.saturating_sub(1);
    (atom as u32, offset - atoms[atom].start as i64)
}

/// Whether a section is part of images: unwind tables are made anew, debug information stays behind.
pub(super) fn is_kept(section: &Section<'_>) -> bool {
    let header = &section.header;
    header.flags & attr::DEBUG == 0
        && !matches!(header.segment, b"__LD" | b"__DWARF" | b"__LLVM")
        && (header.segment, header.name) != (b"__TEXT", b"__eh_frame")
}

impl<'a> Object<'a> {
    /// Cuts every section into atoms.
    pub(super) fn cut(&mut self, file: &File<'a>, table: &[Nlist<'a>]) -> Result<Vec<Atom>> {
        let by_symbols = file.header.flags & SUBSECTIONS_VIA_SYMBOLS != 0;
        let mut starts: Vec<Vec<u64>> = vec![Vec::new(); self.sections.len()];
        let cuts = |s: &&Nlist<'_>| {
            s.kind & nlist::STAB == 0
                && s.kind & nlist::TYPE == nlist::SECT
                && s.desc & nlist::ALT_ENTRY == 0
                && !s.name.starts_with(b"L")
        };
        for symbol in table.iter().filter(cuts).filter(|_| by_symbols) {
            if let Some(index) = usize::from(symbol.section).checked_sub(1)
                && let Some(section) = self.sections.get(index)
            {
                starts[index].push(symbol.value.wrapping_sub(section.header.addr));
            }
        }
        let mut atoms = Vec::new();
        for (index, section) in self.sections.iter_mut().enumerate() {
            let first = atoms.len() as u32;
            if is_kept(section) {
                let elements = elements(section, by_symbols)
                    .map_err(|error| in_section(error, &self.name, &section.header))?;
                let list = elements.unwrap_or_else(|| std::mem::take(&mut starts[index]));
                cut(section, index as u32, list, &mut atoms);
            }
            section.atoms = first..atoms.len() as u32;
        }
        Ok(atoms)
    }
}

/// Where the elements of a section start that is a row of them, whatever symbols there are.
fn elements(
    section: &Section<'_>,
    by_symbols: bool,
) -> std::result::Result<Option<Vec<u64>>, crate::Malformed> {
    let size = section.header.size;
    let every = |step: u64| {
        if !size.is_multiple_of(step) {
            return bad(size as usize, "the section's size is no multiple of its elements'");
        }
        Ok(Some((0..size).step_by(step as usize).collect()))
    };
    match section.header.kind() {
        kind::CSTRING => {
            if section.data.last().is_some_and(|&byte| byte != 0) {
                return bad(section.data.len(), "the last string has no end");
            }
            let ends = memchr::memchr_iter(0, section.data).map(|end| end as u64 + 1);
            Ok(Some([0].into_iter().chain(ends).filter(|&start| start < size).collect()))
        }
        kind::LITERAL4 => every(4),
        kind::LITERAL8 => every(8),
        kind::LITERAL16 => every(16),
        kind::LITERAL_POINTERS if by_symbols => every(8),
        _ => Ok(None),
    }
}

fn cut(section: &Section<'_>, index: u32, mut starts: Vec<u64>, atoms: &mut Vec<Atom>) {
    let size = section.header.size;
    starts.retain(|&start| start <= size);
    starts.push(0);
    starts.sort_unstable();
    starts.dedup();
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(size);
        let align = match start {
            0 => section.header.align,
            _ => section.header.align.min(start.trailing_zeros()),
        };
        atoms.push(Atom {
            file: 0,
            section: index,
            start,
            size: end - start,
            align: align as u8,
            live: true,
            forward: NONE,
            forward_at: 0,
            out: NONE,
            addr: 0,
        });
    }
}
