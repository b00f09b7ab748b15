//! A library's symbols → the tables a loader searches: hash tables, versions.
//!
//! Spec: gABI ch. 5; the GNU hash table and symbol versions as glibc reads them.

use object::elf;

use super::Writer;
use crate::case::{Library, LibraryDefinition};
use crate::emit::bytes::Bytes;

impl Writer<'_> {
    pub(super) fn sysv_hash_table(&self) -> Vec<u8> {
        let buckets = buckets(self.library);
        let (mut heads, mut chains) = (vec![0; buckets as usize], vec![0]);
        for (row, &i) in self.order.iter().enumerate() {
            let head = &mut heads[(sysv_hash(&self.library.symbols[i].name) % buckets) as usize];
            chains.push(*head);
            *head = row as u32 + 1;
        }
        let mut out = Bytes::default();
        out.u32(buckets);
        out.u32(chains.len() as u32);
        heads.iter().chain(&chains).for_each(|entry| out.u32(*entry));
        out.0
    }

    pub(super) fn gnu_hash_table(&self) -> Vec<u8> {
        const SHIFT: u32 = 6;
        let buckets = buckets(self.library);
        let hashes: Vec<u32> = self.order[self.undefined..]
            .iter()
            .map(|i| gnu_hash(&self.library.symbols[*i].name))
            .collect();
        let first = 1 + self.undefined as u32;
        let class = self.machine.class;
        let bits = 8 * class.word() as u32;
        let mut bloom = 0_u64;
        let mut heads = vec![0; buckets as usize];
        for (row, hash) in hashes.iter().enumerate() {
            bloom |= 1 << (hash % bits) | 1 << ((hash >> SHIFT) % bits);
            let head = &mut heads[(hash % buckets) as usize];
            *head = if *head == 0 { first + row as u32 } else { *head };
        }
        let mut out = Bytes::default();
        [buckets, first, 1, SHIFT].iter().for_each(|word| out.u32(*word));
        out.word(class, bloom);
        heads.iter().for_each(|head| out.u32(*head));
        for (row, hash) in hashes.iter().enumerate() {
            let last = hashes.get(row + 1).is_none_or(|next| next % buckets != hash % buckets);
            out.u32(hash & !1 | u32::from(last));
        }
        out.0
    }

    /// `.gnu.version_d`: the base entry, then the library's versions; none without versions.
    pub(super) fn version_definitions(&mut self) -> Option<Vec<u8>> {
        if self.versions.is_empty() {
            return None;
        }
        let base = self.library.soname.as_deref().unwrap_or(&self.library.name);
        let names: Vec<&str> = std::iter::once(base).chain(self.versions.clone()).collect();
        let mut out = Bytes::default();
        for (i, name) in names.iter().enumerate() {
            let last = i + 1 == names.len();
            out.u16(elf::VER_DEF_CURRENT);
            out.u16(if i == 0 { elf::VER_FLG_BASE.0 } else { 0 });
            out.u16(i as u16 + 1);
            out.u16(1);
            out.u32(sysv_hash(name));
            out.u32(20);
            out.u32(if last { 0 } else { 28 });
            let string = self.strings.string(name);
            out.u32(string);
            out.u32(0);
        }
        Some(out.0)
    }

    pub(super) fn version_symbols(&self) -> Vec<u8> {
        let mut out = Bytes::default();
        out.u16(0);
        for &i in &self.order {
            let symbol = &self.library.symbols[i];
            let known = symbol.version.as_ref().and_then(|(version, default)| {
                let index = self.versions.iter().position(|v| v == version)? as u16 + 2;
                Some(if *default { index } else { index | elf::VERSYM_HIDDEN.0 })
            });
            let defined = symbol.defined != LibraryDefinition::Undefined;
            out.u16(known.filter(|_| defined).unwrap_or(elf::VER_NDX_GLOBAL.0));
        }
        out.0
    }
}

pub(super) fn buckets(library: &Library) -> u32 {
    (library.symbols.len() as u32 / 2).max(1)
}

/// The hash of `.hash` and of version names. Spec: gABI ch. 5.
pub(super) fn sysv_hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

/// The hash of `.gnu.hash`.
pub(super) fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_documents() {
        assert_eq!(sysv_hash("printf"), 0x077905a6);
        assert_eq!(gnu_hash("printf"), 0x156b2bb8);
    }
}
