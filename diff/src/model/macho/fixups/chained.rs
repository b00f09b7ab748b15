//! LC_DYLD_CHAINED_FIXUPS → fixups.
//!
//! Spec: `mach-o/fixup-chains.h`; pointer formats 2 and 6, import formats 1 to 3.

use super::{Bind, Fixups};
use crate::bytes::{slice, str_at, u16_at, u32_at, u64_at};
use crate::model::macho::image::File;

/// DYLD_CHAINED_PTR_64: rebase targets are addresses.
const PTR_64: u16 = 2;
/// DYLD_CHAINED_PTR_64_OFFSET: rebase targets are offsets from the image's start.
const PTR_64_OFFSET: u16 = 6;

/// DYLD_CHAINED_PTR_START_NONE.
const NONE: u16 = 0xffff;

/// A symbol of the import table.
struct Import<'a> {
    ordinal: i64,
    weak: bool,
    name: &'a str,
    addend: i64,
}

/// Adds the chained fixups that `blob` describes.
///
/// Errors: what dyld refuses.
pub(super) fn read(file: &File<'_>, blob: &[u8], fixups: &mut Fixups) -> Result<(), String> {
    let word = |at| u32_at(blob, at).ok_or("the header of chained fixups is cut");
    if word(0)? != 0 {
        return Err("chained fixups of another version".into());
    }
    if word(24)? != 0 {
        return Err("chained fixups with packed names".into());
    }
    let imports = imports(blob, word(8)?, word(12)?, word(16)?, word(20)?)
        .ok_or("the imports of chained fixups are damaged")?;
    let libraries = file.libraries.len() as i64;
    if imports.iter().any(|import| import.ordinal > libraries || import.ordinal < super::WEAK) {
        return Err("a chained import of a library that is not there".into());
    }
    let starts = u64::from(word(4)?);
    let count = word(starts)?;
    if count as usize != file.segments.len() {
        return Err("chained fixups for another number of segments".into());
    }
    let mut format = None;
    for index in 0..u64::from(count) {
        let offset = u64::from(word(starts + 4 + 4 * index)?);
        if offset == 0 {
            continue;
        }
        let chain = Chain::read(file, blob, starts + offset, index as usize)?;
        if format.replace(chain.format).is_some_and(|other| other != chain.format) {
            return Err("chained fixups in two pointer formats".into());
        }
        chain.walk(file, blob, &imports, fixups)?;
    }
    Ok(())
}

fn imports(blob: &[u8], at: u32, names: u32, count: u32, format: u32) -> Option<Vec<Import<'_>>> {
    let names = blob.get(names as usize..)?;
    let size = match format {
        1 => 4,
        2 => 8,
        3 => 16,
        _ => return None,
    };
    let table = slice(blob, at.into(), u64::from(count).checked_mul(size)?)?;
    let import = |raw: &[u8]| {
        let (ordinal, weak, name, addend);
        if format == 3 {
            let word = u64_at(raw, 0)?;
            ordinal = i64::from(word as u16 as i16);
            weak = word >> 16 & 1 != 0;
            name = word >> 32;
            addend = u64_at(raw, 8)? as i64;
        } else {
            let word = u32_at(raw, 0)?;
            ordinal = i64::from(word as u8 as i8);
            weak = word >> 8 & 1 != 0;
            name = u64::from(word >> 9);
            addend = if format == 2 { i64::from(u32_at(raw, 4)? as i32) } else { 0 };
        }
        // Ordinals up to 0xf0 (0xfff0) are libraries, above are special.
        let ordinal = match (format, ordinal) {
            (3, low @ ..-15) => low + 0x1_0000,
            (1 | 2, low @ ..-15) => low + 0x100,
            (_, ordinal) => ordinal,
        };
        names.get(usize::try_from(name).ok()?)?;
        Some(Import { ordinal, weak, name: str_at(names, name), addend })
    };
    table.chunks_exact(size as usize).map(import).collect()
}

/// dyld_chained_starts_in_segment.
struct Chain {
    page_size: u64,
    format: u16,
    /// The segment's address.
    address: u64,
    /// Where page_start[] is in the table.
    pages: u64,
    page_count: u16,
}

impl Chain {
    fn read(file: &File<'_>, blob: &[u8], at: u64, index: usize) -> Result<Self, String> {
        let cut = "the page table of chained fixups is cut";
        let half = |k| u16_at(blob, at + k).ok_or(cut);
        let segment = file.segments.get(index).ok_or(cut)?;
        let (page_size, format, page_count) = (half(4)?.into(), half(6)?, half(20)?);
        let offset = u64_at(blob, at + 8).ok_or(cut)?;
        let size = u32_at(blob, at).ok_or(cut)?;
        let address = segment.address;
        if address.wrapping_sub(file.base()) != offset {
            return Err("chained fixups at another segment offset".into());
        }
        if !matches!(page_size, 0x1000 | 0x4000) {
            return Err("chained fixups with a strange page size".into());
        }
        if !matches!(format, PTR_64 | PTR_64_OFFSET) {
            return Err(format!("chained pointer format {format}"));
        }
        if u64::from(size) < 22 + 2 * u64::from(page_count) {
            return Err(cut.into());
        }
        Ok(Self { page_size, format, address, pages: at + 22, page_count })
    }

    /// Follows the chain of every page.
    fn walk(
        &self,
        file: &File<'_>,
        blob: &[u8],
        imports: &[Import<'_>],
        fixups: &mut Fixups,
    ) -> Result<(), String> {
        for page in 0..u64::from(self.page_count) {
            let start = u16_at(blob, self.pages + 2 * page).ok_or("page starts are cut")?;
            if start == NONE {
                continue;
            }
            let first = page * self.page_size;
            let mut at = u64::from(start);
            loop {
                if at + 8 > self.page_size {
                    return Err("a chain leaves its page".into());
                }
                let address = self.address.wrapping_add(first + at);
                let slot = file.slice(address, 8).and_then(|bytes| u64_at(bytes, 0));
                let raw = slot.ok_or("a chain leaves its segment")?;
                self.pointer(file, raw, address, imports, fixups)?;
                let next = (raw >> 51 & 0xfff) * 4;
                if next == 0 {
                    break;
                }
                at += next;
            }
        }
        Ok(())
    }

    fn pointer(
        &self,
        file: &File<'_>,
        raw: u64,
        address: u64,
        imports: &[Import<'_>],
        fixups: &mut Fixups,
    ) -> Result<(), String> {
        if raw >> 63 != 0 {
            let index = (raw & 0xff_ffff) as usize;
            let import = imports.get(index).ok_or("a chained import that is not there")?;
            if raw >> 32 & 0x7_ffff != 0 {
                return Err("reserved bits of a chained bind are set".into());
            }
            let addend = import.addend.wrapping_add((raw >> 24 & 0xff) as i64);
            let name = import.name.to_owned();
            let (ordinal, weak) = (import.ordinal, import.weak);
            fixups.bind(address, Bind { ordinal, name, addend, weak, lazy: false });
            return Ok(());
        }
        if raw >> 44 & 0x7f != 0 {
            return Err("reserved bits of a chained rebase are set".into());
        }
        let low = raw & 0xf_ffff_ffff;
        let target = if self.format == PTR_64 { low } else { low.wrapping_add(file.base()) };
        fixups.rebase(address, target | (raw >> 36 & 0xff) << 56);
        Ok(())
    }
}
