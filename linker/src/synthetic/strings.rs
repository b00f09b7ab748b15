//! String tables: names → offsets, then bytes (`.strtab`, `.dynstr`, `.shstrtab`).
//!
//! Names are borrowed and copied once, into the output. Must not know what the names mean.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::{Error, ErrorKind, Result};

/// Names per task when the table is written.
const CHUNK: usize = 8192;

/// A string table being collected; offset 0 is the empty name.
#[derive(Clone, Debug)]
pub struct StringTable<'a> {
    offsets: FxHashMap<&'a [u8], u32>,
    names: Vec<&'a [u8]>,
    size: u64,
}

impl Default for StringTable<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> StringTable<'a> {
    /// A table with only the empty name.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// The same, with room for `names` names.
    pub fn with_capacity(names: usize) -> Self {
        let offsets = FxHashMap::with_capacity_and_hasher(names, Default::default());
        Self { offsets, names: Vec::with_capacity(names), size: 1 }
    }

    /// The offset of `name`, added unless it is there. Names past 4 GiB: see [`check`](Self::check).
    pub fn add(&mut self, name: &'a [u8]) -> u32 {
        if name.is_empty() {
            return 0;
        }
        if let Some(&offset) = self.offsets.get(name) {
            return offset;
        }
        let offset = self.push(name);
        self.offsets.insert(name, offset);
        offset
    }

    /// Adds `name` without looking whether it is there: for names known to be distinct.
    pub fn push(&mut self, name: &'a [u8]) -> u32 {
        let offset = self.size;
        self.names.push(name);
        self.size += name.len() as u64 + 1;
        offset as u32
    }

    /// The offset of `name` if [`add`](Self::add) has seen it.
    pub fn get(&self, name: &[u8]) -> Option<u32> {
        if name.is_empty() { Some(0) } else { self.offsets.get(name).copied() }
    }

    /// The size of the section in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Errors: `bad-input` if the table has outgrown the 32 bits of `st_name`.
    pub fn check(&self) -> Result<()> {
        if self.size > u64::from(u32::MAX) {
            return Err(Error::new(ErrorKind::BadInput, "string table larger than 4 GiB"));
        }
        Ok(())
    }

    /// Writes the section, in parallel; `out` has [`size`](Self::size) bytes.
    pub fn write(&self, out: &mut [u8]) {
        let Some((first, mut rest)) = out.split_first_mut() else { return };
        *first = 0;
        let mut tasks = Vec::with_capacity(self.names.len() / CHUNK + 1);
        for names in self.names.chunks(CHUNK) {
            let len = names.iter().map(|n| n.len() + 1).sum();
            let (mine, tail) = rest.split_at_mut(len);
            tasks.push((names, mine));
            rest = tail;
        }
        tasks.into_par_iter().for_each(|(names, mut out)| {
            for name in names {
                let (mine, tail) = out.split_at_mut(name.len() + 1);
                mine[..name.len()].copy_from_slice(name);
                mine[name.len()] = 0;
                out = tail;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_stored_once() {
        let mut table = StringTable::new();
        assert_eq!(table.add(b""), 0);
        assert_eq!(table.add(b"ab"), 1);
        assert_eq!(table.add(b"c"), 4);
        assert_eq!(table.add(b"ab"), 1);
        assert_eq!(table.push(b"ab"), 6);
        assert_eq!(table.get(b"c"), Some(4));
        assert_eq!(table.get(b"d"), None);
        let mut out = vec![0xaa; table.size() as usize];
        table.write(&mut out);
        assert_eq!(out, b"\0ab\0c\0ab\0");
        table.check().unwrap();
    }

    proptest! {
        #[test]
        fn every_offset_reads_back(names in prop::collection::vec("[a-c]{0,3}", 0..40)) {
            let mut table = StringTable::new();
            let offsets: Vec<u32> = names.iter().map(|n| table.add(n.as_bytes())).collect();
            let mut out = vec![0xaa; table.size() as usize];
            table.write(&mut out);
            for (name, offset) in names.iter().zip(offsets) {
                let tail = &out[offset as usize..];
                let end = tail.iter().position(|&b| b == 0).unwrap();
                prop_assert_eq!(&tail[..end], name.as_bytes());
            }
        }
    }
}
