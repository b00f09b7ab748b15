//! Hash tables: every defined dynamic symbol is found, and nothing that is undefined.

use object::elf;

use super::Flaws;
use super::image::{Image, Symbol, quad};

/// The gABI's hash of a name.
pub(super) fn sysv(name: &[u8]) -> u32 {
    name.iter().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add((*byte).into());
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

/// The hash of .gnu.hash.
pub(super) fn gnu(name: &[u8]) -> u32 {
    name.iter().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add((*byte).into()))
}

/// Whether it is a program, a position-independent one too.
fn is_program(image: &Image<'_>) -> bool {
    !image.library || image.segment(elf::PT_INTERP.0).is_some()
}

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    // Without a dynamic section nobody reads the table: mold leaves one in static executables.
    if image.dynamic.is_none() {
        return;
    }
    let Some(section) = image.dynsym() else { return };
    let symbols = image.symbols(section);
    let (gnu_table, sysv_table) = (image.tag(0x6fff_fef5), image.tag(4));
    let exports = symbols.iter().any(|symbol| symbol.defined() && !symbol.local());
    let any = gnu_table.is_some() || sysv_table.is_some() || !exports;
    flaws.check(any, "dynamic symbols without a hash table", &section.name, 0, "a hash table");
    for (i, symbol) in symbols.iter().enumerate().skip(1) {
        let Some(name) = image.dynstr(symbol.name) else { continue };
        if symbol.local() {
            continue;
        }
        let at = format!("{}[{i}] {}", section.name, String::from_utf8_lossy(name));
        if let Some(table) = gnu_table {
            let found = gnu_chain(image, table, name, symbols.len()).contains(&i);
            flaws.check(
                found || !symbol.defined(),
                ".gnu.hash misses a definition",
                &at,
                gnu(name).into(),
                "found",
            );
            // Loaders pass over one without a value; with one it is a program's canonical PLT entry.
            flaws.check(
                !found || symbol.defined() || symbol.value == 0 || is_program(image),
                ".gnu.hash finds an undefined symbol",
                &at,
                gnu(name).into(),
                "not found",
            );
        }
        if let Some(table) = sysv_table {
            let found = sysv_chain(image, table, name, symbols.len()).contains(&i);
            flaws.check(
                found || !symbol.defined(),
                ".hash misses a definition",
                &at,
                sysv(name).into(),
                "found",
            );
        }
    }
    if let Some(count) = sysv_table.and_then(|t| image.at(t)).and_then(|bytes| quad(bytes, 4)) {
        let good = count as usize == symbols.len();
        flaws.check(good, ".hash has another number of symbols", ".hash", count.into(), "nchain");
    }
    let names: Vec<&[u8]> =
        symbols.iter().map(|s| image.dynstr(s.name).unwrap_or_default()).collect();
    if let Some(at) = gnu_table.and_then(|table| gnu_chains(image, table, &names).err()) {
        flaws.check(false, ".gnu.hash is not in order", ".gnu.hash", at, "its symbols by bucket");
    }
    if let Some(at) = sysv_table.and_then(|table| sysv_chains(image, table, &names).err()) {
        flaws.check(false, ".hash is not in order", ".hash", at, "its symbols by bucket");
    }
    versioned_twice(image, &symbols, flaws);
}

/// Walks every bucket of .gnu.hash: its chain has the symbols that hash to it, in a row, and nobody else.
/// The error is the first bucket or word that is wrong.
fn gnu_chains(image: &Image<'_>, table: u64, names: &[&[u8]]) -> Result<(), u64> {
    let bytes = image.at(table).ok_or(0_u64)?;
    let read = |at: u64| quad(bytes, at).ok_or(at);
    let (buckets, first) = (u64::from(read(0)?), u64::from(read(4)?));
    let (blooms, shift) = (u64::from(read(8)?), read(12)?);
    if buckets == 0 || shift > 31 || !blooms.is_power_of_two() || first > names.len() as u64 {
        return Err(0);
    }
    let start = 16 + blooms * image.class.word();
    let chains = start.checked_add(buckets.checked_mul(4).ok_or(0_u64)?).ok_or(0_u64)?;
    let mut walked = 0;
    for bucket in 0..buckets {
        let at = start + bucket * 4;
        let mut index = u64::from(read(at)?);
        if index == 0 {
            continue;
        }
        loop {
            let name = names.get(usize::try_from(index).unwrap_or(usize::MAX)).ok_or(at)?;
            let word = read(chains + index.checked_sub(first).ok_or(at)? * 4)?;
            let hash = gnu(name);
            if word | 1 != hash | 1 || u64::from(hash) % buckets != bucket {
                return Err(at);
            }
            walked += 1;
            index += 1;
            if word & 1 != 0 {
                break;
            }
        }
    }
    // bfd makes a table for nobody where nothing is exported, its first symbol inside the imports.
    if walked == 0 || walked == names.len() as u64 - first { Ok(()) } else { Err(chains) }
}

/// Walks every bucket of .hash: no loops, no symbol of another bucket, none twice.
fn sysv_chains(image: &Image<'_>, table: u64, names: &[&[u8]]) -> Result<(), u64> {
    let bytes = image.at(table).ok_or(0_u64)?;
    let read = |at: u64| quad(bytes, at).ok_or(at);
    let buckets = u64::from(read(0)?);
    let mut seen = vec![false; names.len()];
    for bucket in 0..buckets {
        let at = 8 + bucket * 4;
        let mut index = read(at)?;
        while index != 0 {
            let name = names.get(index as usize).ok_or(at)?;
            let wrong = u64::from(sysv(name)) % buckets != bucket;
            if wrong || std::mem::replace(&mut seen[index as usize], true) {
                return Err(at);
            }
            index = read(8 + (buckets + u64::from(index)) * 4)?;
        }
    }
    Ok(())
}

/// Symbol indexes of the chain that a lookup of `name` walks; empty if the bloom filter says no.
fn gnu_chain(image: &Image<'_>, table: u64, name: &[u8], count: usize) -> Vec<usize> {
    let walk = || {
        let bytes = image.at(table)?;
        let (buckets, first) = (quad(bytes, 0)?, quad(bytes, 4)?);
        let (blooms, shift) = (quad(bytes, 8)?, quad(bytes, 12)?);
        let hash = gnu(name);
        let size = image.class.word();
        let width = 8 * size as u32;
        let bloom = u64::from((hash / width).checked_rem(blooms)?);
        let filter = image.class.word_at(bytes, 16 + bloom * size)?;
        let bits = 1_u64 << (hash % width) | 1_u64 << (hash.checked_shr(shift)? % width);
        if filter & bits != bits {
            return Some(Vec::new());
        }
        let chains = 16 + u64::from(blooms) * size;
        let mut at = quad(bytes, chains + u64::from(hash.checked_rem(buckets)?) * 4)?;
        let mut found = Vec::new();
        while at >= first && (at as usize) < count {
            let word = chains + u64::from(buckets) * 4 + u64::from(at - first) * 4;
            let other = quad(bytes, word)?;
            if other | 1 == hash | 1 {
                found.push(at as usize);
            }
            if other & 1 != 0 {
                break;
            }
            at += 1;
        }
        Some(found)
    };
    walk().unwrap_or_default()
}

fn sysv_chain(image: &Image<'_>, table: u64, name: &[u8], count: usize) -> Vec<usize> {
    let walk = || {
        let bytes = image.at(table)?;
        let buckets = quad(bytes, 0)?;
        let bucket = sysv(name).checked_rem(buckets)?;
        let mut at = quad(bytes, 8 + u64::from(bucket) * 4)?;
        let mut found = Vec::new();
        // A chain that visits more than every symbol is a loop.
        while at != 0 && found.len() <= count {
            found.push(at as usize);
            at = quad(bytes, 8 + (u64::from(buckets) + u64::from(at)) * 4)?;
        }
        Some(found)
    };
    walk().unwrap_or_default()
}

/// Two definitions of one name and version.
fn versioned_twice(image: &Image<'_>, symbols: &[Symbol], flaws: &mut Flaws) {
    let mut seen = std::collections::HashSet::new();
    for (i, symbol) in symbols.iter().enumerate().skip(1) {
        if !symbol.defined() || symbol.local() {
            continue;
        }
        let versym = image.tag(0x6fff_fff0).and_then(|table| image.at(table));
        let version = versym.and_then(|bytes| super::image::half(bytes, i as u64 * 2));
        let name = image.dynstr(symbol.name).unwrap_or_default();
        let fresh = seen.insert((name, version.unwrap_or(1) & 0x7fff));
        let at = format!(".dynsym[{i}] {}", String::from_utf8_lossy(name));
        flaws.check(fresh, "two dynamic definitions of one name", at, symbol.value, "one");
    }
}
