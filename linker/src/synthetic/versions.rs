//! Symbol versions: definitions and needs → `.gnu.version_d`, `.gnu.version_r`, `.gnu.version`.
//!
//! Names are offsets into `.dynstr`, hashes are [`sysv_hash`](super::hash::sysv_hash)es. Must not
//! know where versions come from. The structures are the same in ELF32 and ELF64.

use object::elf;

/// One version definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition {
    /// Offset of its name in `.dynstr`.
    pub name: u32,
    /// Hash of its name.
    pub hash: u32,
    /// `VER_FLG_BASE` for the first, `VER_FLG_WEAK` for a version without symbols.
    pub flags: u16,
    /// Its `vd_ndx`: 1 for the base entry, then from 2.
    pub index: u16,
    /// Offsets of its predecessors' names.
    pub parents: Vec<u32>,
}

/// The versions needed from one library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    /// Offset of the library's DT_NEEDED name in `.dynstr`.
    pub file: u32,
    /// What is needed of it, at least one.
    pub versions: Vec<NeedVersion>,
}

/// One version needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeedVersion {
    /// Offset of its name in `.dynstr`.
    pub name: u32,
    /// Hash of its name.
    pub hash: u32,
    /// Its `vna_other`: the number `.gnu.version` uses, disjoint from the definitions' indexes.
    pub index: u16,
    /// Whether only weak references ask for it, so that its absence is no error at load time.
    pub weak: bool,
}

const VERDEF: usize = 20;
const VERDAUX: usize = 8;
const VERNEED: usize = 16;
const VERNAUX: usize = 16;

/// The size of `.gnu.version_d`.
pub fn verdef_size(definitions: &[Definition]) -> usize {
    definitions.iter().map(|d| VERDEF + VERDAUX * (1 + d.parents.len())).sum()
}

/// Writes `.gnu.version_d`; the first definition is the base entry, named after the module.
///
/// Spec: LSB, "Symbol Versioning".
pub fn write_verdef(definitions: &[Definition], out: &mut [u8]) {
    let mut out = Fields(out);
    for (i, d) in definitions.iter().enumerate() {
        let count = 1 + d.parents.len();
        out.u16(elf::VER_DEF_CURRENT);
        out.u16(d.flags);
        out.u16(d.index);
        out.u16(count as u16);
        out.u32(d.hash);
        out.u32(VERDEF as u32);
        out.u32(next(i, definitions.len(), VERDEF + VERDAUX * count));
        for (j, &name) in std::iter::once(&d.name).chain(&d.parents).enumerate() {
            out.u32(name);
            out.u32(next(j, count, VERDAUX));
        }
    }
}

/// The size of `.gnu.version_r`.
pub fn verneed_size(needs: &[Need]) -> usize {
    needs.iter().map(|n| VERNEED + VERNAUX * n.versions.len()).sum()
}

/// Writes `.gnu.version_r`.
///
/// Spec: LSB, "Symbol Versioning".
pub fn write_verneed(needs: &[Need], out: &mut [u8]) {
    let mut out = Fields(out);
    for (i, n) in needs.iter().enumerate() {
        let count = n.versions.len();
        out.u16(elf::VER_NEED_CURRENT);
        out.u16(count as u16);
        out.u32(n.file);
        out.u32(VERNEED as u32);
        out.u32(next(i, needs.len(), VERNEED + VERNAUX * count));
        for (j, v) in n.versions.iter().enumerate() {
            out.u32(v.hash);
            out.u16(if v.weak { elf::VER_FLG_WEAK.0 } else { 0 });
            out.u16(v.index);
            out.u32(v.name);
            out.u32(next(j, count, VERNAUX));
        }
    }
}

/// Writes `.gnu.version`: one number for each entry of `.dynsym`, the null entry included.
pub fn write_versym(versions: &[u16], out: &mut [u8]) {
    let mut out = Fields(out);
    for &v in versions {
        out.u16(v);
    }
}

/// The distance to the next entry, 0 at the last.
fn next(i: usize, count: usize, size: usize) -> u32 {
    if i + 1 == count { 0 } else { size as u32 }
}

struct Fields<'a>(&'a mut [u8]);

impl Fields<'_> {
    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        let (field, rest) = std::mem::take(&mut self.0).split_at_mut(bytes.len());
        field.copy_from_slice(bytes);
        self.0 = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u16_at(b: &[u8], at: usize) -> u16 {
        u16::from_le_bytes(b[at..at + 2].try_into().unwrap())
    }

    fn u32_at(b: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(b[at..at + 4].try_into().unwrap())
    }

    /// The starts of a chain of entries whose distance to the next is at `link`.
    fn chain(b: &[u8], mut at: usize, link: usize) -> Vec<usize> {
        let mut starts = vec![at];
        while u32_at(b, at + link) != 0 {
            at += u32_at(b, at + link) as usize;
            starts.push(at);
        }
        starts
    }

    #[test]
    fn definitions_read_back() {
        let base = elf::VER_FLG_BASE.0;
        let list = vec![
            Definition { name: 1, hash: 11, flags: base, index: 1, parents: vec![] },
            Definition { name: 5, hash: 12, flags: 0, index: 2, parents: vec![] },
            Definition { name: 9, hash: 13, flags: 0, index: 3, parents: vec![5, 1] },
        ];
        let mut out = vec![0xaa; verdef_size(&list)];
        write_verdef(&list, &mut out);
        let back: Vec<Definition> = chain(&out, 0, 16)
            .into_iter()
            .map(|at| {
                assert_eq!(u16_at(&out, at), 1);
                let aux = chain(&out, at + u32_at(&out, at + 12) as usize, 4);
                assert_eq!(aux.len(), usize::from(u16_at(&out, at + 6)));
                let names: Vec<u32> = aux.into_iter().map(|a| u32_at(&out, a)).collect();
                Definition {
                    name: names[0],
                    hash: u32_at(&out, at + 8),
                    flags: u16_at(&out, at + 2),
                    index: u16_at(&out, at + 4),
                    parents: names[1..].to_vec(),
                }
            })
            .collect();
        assert_eq!(back, list);
    }

    #[test]
    fn needs_read_back() {
        let version = |name, index, weak| NeedVersion { name, hash: name * 7, index, weak };
        let list = vec![
            Need { file: 3, versions: vec![version(4, 2, false), version(8, 3, true)] },
            Need { file: 20, versions: vec![version(30, 4, false)] },
        ];
        let mut out = vec![0xaa; verneed_size(&list)];
        write_verneed(&list, &mut out);
        let back: Vec<Need> = chain(&out, 0, 12)
            .into_iter()
            .map(|at| {
                assert_eq!(u16_at(&out, at), 1);
                let aux = chain(&out, at + u32_at(&out, at + 8) as usize, 12);
                assert_eq!(aux.len(), usize::from(u16_at(&out, at + 2)));
                let versions = aux.into_iter().map(|a| NeedVersion {
                    hash: u32_at(&out, a),
                    weak: u16_at(&out, a + 4) == 2,
                    index: u16_at(&out, a + 6),
                    name: u32_at(&out, a + 8),
                });
                Need { file: u32_at(&out, at + 4), versions: versions.collect() }
            })
            .collect();
        assert_eq!(back, list);
    }

    #[test]
    fn versym_is_one_number_each() {
        let mut out = [0xaa; 6];
        write_versym(&[0, 1, 0x8002], &mut out);
        assert_eq!(out, [0, 0, 1, 0, 2, 0x80]);
        assert!(verdef_size(&[]) == 0 && verneed_size(&[]) == 0);
    }
}
