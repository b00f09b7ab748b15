//! Dynamic symbols, versions and hash tables → names, and answers to look-ups by name.
//!
//! It must not know relocations.

use super::Dynamic;
use super::image::Image;
use crate::bytes::{str_at, u16_at, u32_at};

/// A dynamic symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Without its version.
    pub name: &'a str,
    /// st_value.
    pub value: u64,
    /// st_size.
    pub size: u64,
    /// STB_*.
    pub binding: u8,
    /// STT_*.
    pub kind: u8,
    /// STV_*.
    pub visibility: u8,
    /// st_shndx.
    pub section: u16,
    /// The entry of DT_VERSYM, 1 without one; the top bit hides.
    pub version: u16,
}

impl Symbol<'_> {
    /// Whether it is undefined here.
    pub fn undefined(&self) -> bool {
        self.section == 0
    }

    /// Whether its value is a number that doesn't move with the image.
    pub fn absolute(&self) -> bool {
        self.section == 0xfff1
    }

    /// STT_TLS.
    pub fn tls(&self) -> bool {
        self.kind == 6
    }

    /// STT_GNU_IFUNC.
    pub fn ifunc(&self) -> bool {
        self.kind == 10
    }
}

/// A version that DT_VERNEED or DT_VERDEF gives an index.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// Its name.
    pub name: &'a str,
    /// The library it is needed from; `None` if it is defined here.
    pub file: Option<&'a str>,
    /// The hash beside the name is the name's.
    pub hashed: bool,
    /// VER_FLG_BASE: the file's own entry, no version.
    pub base: bool,
}

/// The dynamic symbols of a module.
#[derive(Clone, Default, Debug)]
pub struct Symbols<'a> {
    /// In the table's order; the first is the null symbol.
    pub list: Vec<Symbol<'a>>,
    versions: Vec<Option<Version<'a>>>,
    /// The string table to the end of its segment.
    pub strings: &'a [u8],
}

/// The gABI's hash function.
pub fn sysv_hash(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// The hash function of DT_GNU_HASH.
pub fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

impl<'a> Symbols<'a> {
    /// Reads the table; `used` is the highest index that a relocation names.
    pub(super) fn read(image: &Image<'a>, dynamic: &Dynamic, used: u32) -> Self {
        let strings = image.tail(dynamic.strings);
        let strings = &strings
            [..strings.len().min(usize::try_from(dynamic.strings_size).unwrap_or(usize::MAX))];
        let table = image.tail(dynamic.symbols);
        let count = count(image, dynamic).max(u64::from(used) + 1);
        let versym = dynamic.versym.map(|address| image.tail(address)).unwrap_or_default();
        let list = table
            .chunks_exact(image.class.sizes().symbol as usize)
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .map_while(|raw| image.class.symbol(raw))
            .enumerate()
            .map(|(i, raw)| Symbol {
                name: str_at(strings, raw.name.into()),
                value: raw.value,
                size: raw.size,
                binding: raw.info >> 4,
                kind: raw.info & 15,
                visibility: raw.other & 3,
                section: raw.section,
                version: u16_at(versym, 2 * i as u64).unwrap_or(1),
            })
            .collect();
        let mut symbols = Self { list, versions: Vec::new(), strings };
        symbols.needs(image.tail(dynamic.verneed.0), dynamic.verneed.1);
        symbols.definitions(image.tail(dynamic.verdef.0), dynamic.verdef.1);
        symbols
    }

    fn set_version(&mut self, index: u16, version: Version<'a>) {
        let index = usize::from(index & 0x7fff);
        if self.versions.len() <= index {
            self.versions.resize(index + 1, None);
        }
        self.versions[index] = Some(version);
    }

    fn needs(&mut self, table: &[u8], count: u64) {
        let mut at = 0_u64;
        for _ in 0..count.min(table.len() as u64 / 16) {
            let field = |k| u32_at(table, at.wrapping_add(k));
            let (Some(file), Some(aux), Some(next)) = (field(4), field(8), field(12)) else {
                return;
            };
            let file = str_at(self.strings, file.into());
            let entries = u16_at(table, at.wrapping_add(2)).unwrap_or(0);
            let mut aux = at.wrapping_add(aux.into());
            for _ in 0..entries {
                let field = |k| u32_at(table, aux.wrapping_add(k));
                let (Some(hash), Some(name), Some(next)) = (field(0), field(8), field(12)) else {
                    return;
                };
                let name = str_at(self.strings, name.into());
                let hashed = hash == sysv_hash(name);
                let index = u16_at(table, aux.wrapping_add(6)).unwrap_or(0);
                self.set_version(index, Version { name, file: Some(file), hashed, base: false });
                aux = aux.wrapping_add(next.into());
                if next == 0 {
                    break;
                }
            }
            at = at.wrapping_add(next.into());
            if next == 0 {
                break;
            }
        }
    }

    fn definitions(&mut self, table: &[u8], count: u64) {
        let mut at = 0_u64;
        for _ in 0..count.min(table.len() as u64 / 20) {
            let field = |k| u32_at(table, at.wrapping_add(k));
            let (Some(hash), Some(aux), Some(next)) = (field(8), field(12), field(16)) else {
                return;
            };
            let Some(name) = u32_at(table, at.wrapping_add(aux.into())) else { return };
            let name = str_at(self.strings, name.into());
            let base = u16_at(table, at.wrapping_add(2)).unwrap_or(0) & 1 != 0;
            let hashed = hash == sysv_hash(name);
            let index = u16_at(table, at.wrapping_add(4)).unwrap_or(0);
            self.set_version(index, Version { name, file: None, hashed, base });
            at = at.wrapping_add(next.into());
            if next == 0 {
                break;
            }
        }
    }

    /// The version of a symbol, if it has one.
    pub fn version(&self, symbol: &Symbol<'_>) -> Option<Version<'a>> {
        let index = symbol.version & 0x7fff;
        if index < 2 {
            return None;
        }
        let version = self.versions.get(usize::from(index)).copied().flatten();
        let none = Version { name: "?", file: None, hashed: false, base: false };
        Some(version.unwrap_or(none)).filter(|version| !version.base)
    }

    /// `NAME` or `NAME@VER`: what a look-up for this symbol asks; with what is wrong in the tables.
    pub fn asked(&self, symbol: &Symbol<'_>) -> String {
        let mut text = symbol.name.to_owned();
        if let Some(version) = self.version(symbol) {
            text.push('@');
            text.push_str(version.name);
            if !version.hashed {
                text.push_str("?hash");
            }
            if symbol.undefined() && version.file.is_none() {
                text.push_str("?file");
            }
        }
        text
    }

    /// Whether a look-up without a version takes this symbol when it finds its name.
    fn answers(&self, symbol: &Symbol<'_>, name: &str) -> bool {
        symbol.name == name
            && symbol.version & 0x8000 == 0
            && (symbol.value != 0 || symbol.absolute() || symbol.tls() && !symbol.undefined())
            && matches!(symbol.binding, 1 | 2 | 10)
    }

    /// What DT_GNU_HASH answers: an index.
    pub fn gnu_lookup(&self, image: &Image<'_>, table: u64, name: &str) -> Option<u32> {
        let buckets = image.u32(table)?;
        let first = image.u32(table.wrapping_add(4))?;
        let words = image.u32(table.wrapping_add(8))?;
        let shift = image.u32(table.wrapping_add(12))?;
        let hash = gnu_hash(name);
        let bloom = table.wrapping_add(16);
        // glibc masks the word number; others take it modulo: a power of two serves both.
        let size = image.class.word();
        let width = 8 * size as u32;
        let word = u64::from((hash / width) & words.wrapping_sub(1));
        let bits = image.word(bloom.wrapping_add(size * word))?;
        let second = hash.checked_shr(shift).unwrap_or(0) % width;
        if bits >> (hash % width) & bits >> second & 1 == 0 {
            return None;
        }
        let bucket_table = bloom.wrapping_add(size * u64::from(words));
        let bucket = u64::from(hash.checked_rem(buckets)?);
        let mut index = image.u32(bucket_table.wrapping_add(4 * bucket))?;
        let chain = bucket_table.wrapping_add(4 * u64::from(buckets));
        if index == 0 {
            return None;
        }
        for _ in 0..=self.list.len() {
            let at = u64::from(index).wrapping_sub(first.into()).wrapping_mul(4);
            let entry = image.u32(chain.wrapping_add(at))?;
            if entry | 1 == hash | 1 {
                let symbol = self.list.get(index as usize)?;
                if self.answers(symbol, name) {
                    return Some(index);
                }
            }
            if entry & 1 != 0 {
                return None;
            }
            index = index.checked_add(1)?;
        }
        None
    }

    /// What DT_HASH answers: an index.
    pub fn sysv_lookup(&self, image: &Image<'_>, table: u64, name: &str) -> Option<u32> {
        let buckets = image.u32(table)?;
        let bucket = u64::from(sysv_hash(name).checked_rem(buckets)?);
        let mut index = image.u32(table.wrapping_add(8 + 4 * bucket))?;
        let chain = table.wrapping_add(8 + 4 * u64::from(buckets));
        for _ in 0..=self.list.len() {
            if index == 0 {
                return None;
            }
            let symbol = self.list.get(index as usize)?;
            if self.answers(symbol, name) {
                return Some(index);
            }
            index = image.u32(chain.wrapping_add(4 * u64::from(index)))?;
        }
        None
    }
}

/// How many dynamic symbols there are: no tag says it.
fn count(image: &Image<'_>, dynamic: &Dynamic) -> u64 {
    let header = image.headers.iter().find(|h| h.kind == 11 && h.address == dynamic.symbols);
    if let Some(header) = header {
        return header.size / image.class.sizes().symbol;
    }
    if let Some(table) = dynamic.sysv_hash {
        return image.u32(table.wrapping_add(4)).unwrap_or(0).into();
    }
    dynamic.gnu_hash.and_then(|table| gnu_count(image, table)).unwrap_or(0)
}

fn gnu_count(image: &Image<'_>, table: u64) -> Option<u64> {
    let buckets = u64::from(image.u32(table)?);
    let first = u64::from(image.u32(table.wrapping_add(4))?);
    let words = u64::from(image.u32(table.wrapping_add(8))?);
    let bucket_table = table.wrapping_add(16).wrapping_add(image.class.word() * words);
    let raw = image.slice(bucket_table, 4 * buckets)?;
    let last = raw.chunks_exact(4).map(|raw| u64::from(u32_at(raw, 0).unwrap_or(0))).max()?;
    if last < first {
        return Some(first);
    }
    let chain = image.tail(bucket_table.wrapping_add(4 * buckets));
    let mut index = last - first;
    while u32_at(chain, 4 * index)? & 1 == 0 {
        index += 1;
    }
    Some(first + index + 1)
}
