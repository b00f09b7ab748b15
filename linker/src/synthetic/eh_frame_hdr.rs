//! `.eh_frame_hdr`: (function address, FDE address) pairs → the table an unwinder searches.
//!
//! Must not know input sections. [`collect`] reads the pairs back from a finished `.eh_frame`, for
//! callers that don't gather them while writing it.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::eh_frame::{self, DW_EH_PE_DATAREL, DW_EH_PE_PCREL, DW_EH_PE_SDATA4, RecordKind};
use crate::{Error, ErrorKind, Malformed, Result};

/// One row: where a function starts, and where its FDE is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Address of the function's first byte.
    pub pc: u64,
    /// Address of the FDE's length field.
    pub fde: u64,
}

/// The size of the section for `fdes` rows.
pub fn size(fdes: usize) -> usize {
    12 + 8 * fdes
}

/// Sorts `entries` and writes the section, which is at `hdr`; `.eh_frame` is at `eh_frame`.
///
/// Errors: `reloc-overflow` if something is more than 2 GiB away from the table.
/// Spec: LSB core, "The .eh_frame_hdr section".
pub fn write(hdr: u64, eh_frame: u64, entries: &mut [Entry], out: &mut [u8]) -> Result<()> {
    entries.par_sort_unstable();
    let (head, rows) = out.split_at_mut(12);
    // Version; encodings of the .eh_frame pointer, of the count (udata4), of the table.
    let pointer = DW_EH_PE_PCREL | DW_EH_PE_SDATA4;
    head[..4].copy_from_slice(&[1, pointer, 0x03, DW_EH_PE_DATAREL | DW_EH_PE_SDATA4]);
    head[4..8].copy_from_slice(&near(eh_frame, hdr.wrapping_add(4))?.to_le_bytes());
    let count = u32::try_from(entries.len()).map_err(|_| too_far(hdr))?;
    head[8..].copy_from_slice(&count.to_le_bytes());
    for (row, entry) in rows.chunks_exact_mut(8).zip(entries.iter()) {
        row[..4].copy_from_slice(&near(entry.pc, hdr)?.to_le_bytes());
        row[4..].copy_from_slice(&near(entry.fde, hdr)?.to_le_bytes());
    }
    Ok(())
}

fn near(target: u64, base: u64) -> Result<i32> {
    i32::try_from(target.wrapping_sub(base) as i64).map_err(|_| too_far(target))
}

fn too_far(target: u64) -> Error {
    let text = format!("{target:#x} is more than 2 GiB away from .eh_frame_hdr");
    Error::new(ErrorKind::RelocOverflow, text)
}

/// The rows of a finished `.eh_frame` at `address`, in its order; `word` is 8 for ELF64.
///
/// Errors: `bad-input` at a record whose function address can't be read from the image.
pub fn collect(section: &[u8], address: u64, word: usize) -> Result<Vec<Entry>, Malformed> {
    let mut entries = Vec::new();
    let mut known: FxHashMap<u32, u8> = FxHashMap::default();
    for record in eh_frame::split(section)? {
        let RecordKind::Fde { cie } = record.kind else { continue };
        let bad = |text| Malformed { offset: u64::from(record.offset), text };
        let encoding = match known.get(&cie) {
            Some(&encoding) => encoding,
            None => cie_encoding(section, cie, word)?,
        };
        known.insert(cie, encoding);
        let at = record.pc_begin() as usize;
        let field = &section[at..(record.offset + record.size) as usize];
        let place = address.wrapping_add(at as u64);
        let pc = eh_frame::read_pointer(field, place, encoding, word)
            .ok_or(bad("function address of an FDE can't be read"))?;
        entries.push(Entry { pc, fde: address.wrapping_add(u64::from(record.offset)) });
    }
    Ok(entries)
}

fn cie_encoding(section: &[u8], cie: u32, word: usize) -> Result<u8, Malformed> {
    let bytes = &section[cie as usize..];
    let id_at = if bytes.starts_with(&[0xff; 4]) { 12 } else { 4 };
    let read = eh_frame::parse_cie(bytes, id_at, word);
    let inside = |e: Malformed| Malformed { offset: e.offset + u64::from(cie), ..e };
    Ok(read.map_err(inside)?.fde_encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn i32_at(b: &[u8], at: usize) -> i64 {
        i64::from(i32::from_le_bytes(b[at..at + 4].try_into().unwrap()))
    }

    #[test]
    fn the_table_is_sorted_and_relative() {
        let mut rows = [
            Entry { pc: 0x3000, fde: 0x1120 },
            Entry { pc: 0x2000, fde: 0x1140 },
            Entry { pc: 0x800, fde: 0x1160 },
        ];
        let mut out = vec![0xaa; size(3)];
        write(0x1000, 0x1100, &mut rows, &mut out).unwrap();
        assert_eq!(out[..4], [1, 0x1b, 3, 0x3b]);
        assert_eq!(i32_at(&out, 4) + 0x1004, 0x1100);
        assert_eq!(i32_at(&out, 8), 3);
        let pcs: Vec<i64> = (0..3).map(|i| i32_at(&out, 12 + 8 * i) + 0x1000).collect();
        assert_eq!(pcs, [0x800, 0x2000, 0x3000]);
        assert_eq!(i32_at(&out, 16) + 0x1000, 0x1160);
    }

    #[test]
    fn too_far_is_an_error() {
        let mut out = vec![0; size(1)];
        let mut rows = [Entry { pc: 0x1_0000_0000, fde: 0x10 }];
        let e = write(0, 0, &mut rows, &mut out).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::RelocOverflow);
        rows[0].pc = 0x7fff_ffff;
        write(0, 0, &mut rows, &mut out).unwrap();
    }

    #[test]
    fn rows_are_read_from_the_image() {
        let mut b = vec![16, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0];
        for target in [0x500i32, -0x10] {
            let at = b.len() as u32;
            b.extend([12, 0, 0, 0]);
            b.extend((at + 4).to_le_bytes());
            b.extend(target.to_le_bytes());
            b.extend([4, 0, 0, 0]);
        }
        b.extend([0; 4]);
        let rows = collect(&b, 0x4000, 8).unwrap();
        assert_eq!(rows[0], Entry { pc: 0x4000 + 28 + 0x500, fde: 0x4014 });
        assert_eq!(rows[1], Entry { pc: 0x4000 + 44 - 0x10, fde: 0x4024 });
        b[16] = 0x9b;
        assert_eq!(collect(&b, 0x4000, 8).unwrap_err().offset, 20, "indirect can't be read");
    }

    proptest! {
        #[test]
        fn any_bytes_collect(b in prop::collection::vec(prop_oneof![Just(0u8), 0u8..24, any::<u8>()], 0..120)) {
            let _ = collect(&b, 0x1000, 8);
        }
    }
}
