//! The symbol table: its three runs, each entry by itself, and that it tells what the export trie tells.

use super::super::Flaws;
use super::Image;
use crate::bytes::{slice, u32_at};
use crate::model::macho::image::{Symbol, TWOLEVEL, kind};
use crate::model::macho::trie::{self, ABSOLUTE, REEXPORT, THREAD_LOCAL, WEAK};

const PRIVATE: u8 = 0x10;
const WEAK_DEF: u16 = 0x80;

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    let Some(table) = image.command(2) else { return };
    let count = u64::from(table.word(12));
    let read = image.file.symbols.len() as u64 == count;
    flaws.check(read, "symbol table is cut", "LC_SYMTAB", count, "as many entries as it says");
    for i in 0..count {
        let entry = slice(image.file.bytes, u64::from(table.word(8)) + 16 * i, 4);
        let name = entry.and_then(|entry| u32_at(entry, 0)).unwrap_or(0);
        let good = name < table.word(20) || name == 0;
        flaws.check(good, "symbol's name outside of the strings", i, name.into(), "inside");
    }
    let last = slice(image.file.bytes, table.word(16).into(), table.word(20).into());
    let ends = last.is_none_or(|strings| strings.last().is_none_or(|byte| *byte == 0));
    flaws.check(ends, "string table without an end", "LC_SYMTAB", 0, "a NUL");
    let Some([locals, exported, undefined]) = runs(image, count, flaws) else { return };
    for symbol in locals {
        let good = symbol.stab() || !symbol.external();
        if !good {
            flaws.add("external symbol among locals", symbol.name, "N_EXT", "none");
        }
        place(image, symbol, flaws);
    }
    for symbol in exported {
        if symbol.stab() || !symbol.external() || is_undefined(symbol) {
            flaws.add("exported run", symbol.name, format!("{:#x}", symbol.n_type), "definitions");
        }
        place(image, symbol, flaws);
    }
    for symbol in undefined {
        import(image, symbol, flaws);
    }
    exports(image, exported, flaws);
}

/// The symbols of the three runs of LC_DYSYMTAB.
fn runs<'i>(image: &'i Image<'_>, count: u64, flaws: &mut Flaws) -> Option<[&'i [Symbol<'i>]; 3]> {
    let command = image.command(0xb)?;
    let word = |at| u64::from(command.word(at));
    let mut next = 0;
    let mut lists = [&image.file.symbols[..0]; 3];
    for (k, name) in ["locals", "exports", "undefined"].into_iter().enumerate() {
        let (first, size) = (word(8 + 8 * k as u64), word(12 + 8 * k as u64));
        let good = first == next || size == 0;
        flaws.check(good, "runs of symbols", name, first, "one behind the other");
        next = first.saturating_add(size);
        let range = usize::try_from(first).ok()?..usize::try_from(next).ok()?;
        lists[k] = image.file.symbols.get(range).unwrap_or_default();
        flaws.check(lists[k].len() as u64 == size, "runs of symbols", name, size, "in the table");
    }
    flaws.check(next == count, "runs of symbols", "all", next, "every symbol in one of them");
    for (at, name) in [(32, "tocoff"), (40, "modtaboff"), (68, "nextrel"), (76, "nlocrel")] {
        let found = word(at + if at < 68 { 4 } else { 0 });
        flaws.check(found == 0, "tables of old loaders", name, found, "none");
    }
    Some(lists)
}

/// N_UNDF.
fn is_undefined(symbol: &Symbol<'_>) -> bool {
    !symbol.stab() && symbol.n_type & 0xe == 0
}

fn place(image: &Image<'_>, symbol: &Symbol<'_>, flaws: &mut Flaws) {
    if !symbol.in_section() {
        let good = symbol.stab() || (symbol.absolute() && symbol.section == 0);
        if !good {
            flaws.add("symbol's type", symbol.name, format!("{:#x}", symbol.n_type), "a known one");
        }
        return;
    }
    let section = usize::from(symbol.section).checked_sub(1);
    let Some(section) = section.and_then(|at| image.file.sections.get(at)) else {
        let found = symbol.section.to_string();
        return flaws.add("symbol's section", symbol.name, found, "one of the image");
    };
    // The header's name is counted to the first section.
    let header = symbol.value == image.file.base() && symbol.section == 1;
    let inside = symbol.value.wrapping_sub(section.address) <= section.size;
    let wanted = "in its section";
    flaws.check(
        inside || header,
        "symbol outside of its section",
        symbol.name,
        symbol.value,
        wanted,
    );
}

/// What an undefined symbol says of where it comes from.
fn import(image: &Image<'_>, symbol: &Symbol<'_>, flaws: &mut Flaws) {
    if !is_undefined(symbol) || !symbol.external() {
        flaws.add("undefined run", symbol.name, format!("{:#x}", symbol.n_type), "imports");
        return;
    }
    let ordinal = i64::from(symbol.desc >> 8);
    let libraries = match image.file.flags & TWOLEVEL {
        0 => 0,
        _ => image.file.libraries.len() as i64,
    };
    let known = matches!(ordinal, 0xfe | 0xff) || ordinal <= libraries;
    let at = symbol.name;
    flaws.check(known, "import of a library that is not there", at, ordinal as u64, "one there");
    let mut binds = image.fixups.map.values().filter_map(|fixup| fixup.bind.as_ref());
    let Some(bind) = binds.find(|bind| bind.name == symbol.name) else { return };
    // dyld's own tables decide; the symbol table is for people and must tell the same.
    let same = match bind.ordinal {
        -3 => true,
        -1 => ordinal == 0xff,
        -2 => ordinal == 0xfe || libraries == 0,
        // MAX_LIBRARY_ORDINAL: what is behind has no number here.
        number if number > 0xfd => ordinal == 0xfe,
        number => number == ordinal,
    };
    flaws.check(same, "import's library differs from its fixup's", at, ordinal as u64, "the same");
    let weak = symbol.desc & 0x40 != 0;
    flaws.check(weak == bind.weak, "import's weakness differs", at, symbol.desc.into(), "the same");
}

/// The trie and the symbol table export the same.
fn exports(image: &Image<'_>, symbols: &[Symbol<'_>], flaws: &mut Flaws) {
    let blob = image.file.trie.or(image.file.info.map(|info| info.export));
    let trie = blob.and_then(|blob| image.file.blob(blob)).unwrap_or_default();
    let base = image.file.base();
    for symbol in symbols.iter().filter(|symbol| symbol.n_type & PRIVATE == 0) {
        let at = symbol.name;
        let Some(export) = trie::lookup(trie, symbol.name) else {
            flaws.add("exported symbol is not in the trie", at, "missing", "what dyld finds");
            continue;
        };
        let absolute = export.kind() == ABSOLUTE;
        let value = if absolute { export.value } else { base.wrapping_add(export.value) };
        let same = value == symbol.value && absolute == symbol.absolute();
        flaws.check(same, "trie and symbol table differ", at, value, "the same address");
        let weak = export.flags & WEAK != 0;
        let same = weak == (symbol.desc & WEAK_DEF != 0);
        flaws.check(same, "trie and symbol table differ: weak", at, export.flags, "the same");
    }
    for (name, export) in image.exports.iter().filter(|(_, e)| e.flags & REEXPORT == 0) {
        let listed = symbols.iter().any(|symbol| symbol.name == name);
        flaws.check(listed, "trie's name is no exported symbol", name, export.value, "one");
        if export.kind() == ABSOLUTE {
            continue;
        }
        let address = base.wrapping_add(export.value);
        let mapped = image.file.at(address).is_some()
            || image.file.sections.iter().any(|s| s.address.wrapping_add(s.size) == address);
        flaws.check(mapped, "export outside of the image", name, export.value, "inside");
        let section = image.file.section_at(address);
        let variable = section.is_some_and(|section| section.kind() == kind::TLV_VARIABLES);
        let local = export.kind() == THREAD_LOCAL;
        let good = local == variable || section.is_none();
        flaws.check(good, "export's kind", name, export.flags, "thread-local for descriptors");
    }
}
