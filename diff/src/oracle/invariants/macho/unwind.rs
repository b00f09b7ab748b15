//! `__unwind_info` as the unwinder walks it: an index, pages, and what they lead to.
//!
//! Spec: `mach-o/compact_unwind_encoding.h`.

use super::super::Flaws;
use super::Image;
use crate::bytes::{slice, u16_at, u32_at};
use crate::model::macho::image::Section;

/// UNWIND_HAS_LSDA.
const HAS_TABLE: u32 = 0x4000_0000;
/// UNWIND_*_MODE_MASK.
const MODE: u32 = 0x0f00_0000;
const AT: &str = "__unwind_info";

/// The section and what of it is known.
struct Table<'t, 'a> {
    image: &'t Image<'a>,
    bytes: &'a [u8],
    shared: u32,
    shared_count: u32,
    personalities: u32,
    /// Functions with a language's table.
    tables: Vec<(u32, u32)>,
}

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    let Some(section) = image.file.sections.iter().find(|s| s.name == AT) else { return };
    let Some(bytes) = image.file.contents(section) else { return };
    let word = |at| u32_at(bytes, at).unwrap_or(0);
    flaws.check(word(0) == 1, "version of the unwind table", AT, word(0).into(), "1");
    let (index, count) = (u64::from(word(20)), u64::from(word(24)));
    let end = 12_u64.saturating_mul(count).saturating_add(index);
    if count < 2 || end > bytes.len() as u64 || count > 1 << 20 {
        return flaws.check(false, "index of the unwind table", AT, count, "pages and their end");
    }
    let row = |i: u64| [0, 4, 8].map(|k| word(index + 12 * i + k));
    let sentinel = row(count - 1);
    let (from, to) = (row(0)[2], sentinel[2]);
    let mut table = Table {
        image,
        bytes,
        shared: word(4),
        shared_count: word(8),
        personalities: word(16),
        tables: Vec::new(),
    };
    table.personalities(word(12), flaws);
    table.tables = table.tables(from, to, flaws);
    flaws.check(
        sentinel[1] == 0,
        "sentinel of the unwind table",
        AT,
        sentinel[1].into(),
        "no page",
    );
    let mut last = None;
    for i in 0..count - 1 {
        let [first, page, tables] = row(i);
        let next = row(i + 1)[0];
        let good = tables >= from && tables <= to && (tables - from).is_multiple_of(8);
        flaws.check(good, "tables of a page", AT, tables.into(), "in the list");
        if page == 0 {
            continue;
        }
        for (function, encoding) in table.page(page, first, flaws) {
            let ordered = last.is_none_or(|last| last < function);
            flaws.check(ordered, "order of the unwind table", AT, function.into(), "ascending");
            last = Some(function);
            // lld ends the table where the last function starts, if that has nothing to say.
            let within =
                function >= first && (function < next || (function, encoding) == (next, 0));
            flaws.check(within, "function of another page", AT, function.into(), "in its page");
            table.entry(function, encoding, flaws);
        }
    }
    covered(image, sentinel[0], flaws);
}

/// The sentinel is behind all functions that symbols name.
fn covered(image: &Image<'_>, sentinel: u32, flaws: &mut Flaws) {
    let end = image.file.base().wrapping_add(sentinel.into());
    let inside = image.executable(end.wrapping_sub(1));
    flaws.check(inside, "sentinel of the unwind table", AT, sentinel.into(), "the end of code");
}

impl Table<'_, '_> {
    fn word(&self, at: u64) -> u32 {
        u32_at(self.bytes, at).unwrap_or(0)
    }

    fn personalities(&self, at: u32, flaws: &mut Flaws) {
        let count = self.personalities;
        flaws.check(count <= 3, "personalities of the unwind table", AT, count.into(), "3 at most");
        for i in 0..count.min(3) {
            let offset = self.word(u64::from(at) + 4 * u64::from(i));
            let address = self.image.file.base().wrapping_add(offset.into());
            let slot = self.image.fixups.at(address).is_some();
            flaws.check(slot, "personality's slot", AT, offset.into(), "a pointer dyld sets");
        }
    }

    /// Functions with their languages' tables.
    fn tables(&self, from: u32, to: u32, flaws: &mut Flaws) -> Vec<(u32, u32)> {
        let size = u64::from(to.wrapping_sub(from));
        let Some(bytes) = slice(self.bytes, from.into(), size).filter(|_| from <= to) else {
            flaws.check(false, "list of tables", AT, from.into(), "in the section");
            return Vec::new();
        };
        let word = |entry: &[u8], at| u32_at(entry, at).unwrap_or(0);
        let list: Vec<(u32, u32)> =
            bytes.chunks_exact(8).map(|entry| (word(entry, 0), word(entry, 4))).collect();
        let sorted = list.windows(2).all(|pair| pair[0].0 < pair[1].0);
        flaws.check(sorted, "order of tables", AT, list.len() as u64, "ascending");
        for (_, table) in &list {
            let address = self.image.file.base().wrapping_add((*table).into());
            let mapped = self.image.file.section_at(address).is_some();
            flaws.check(mapped, "language's table elsewhere", AT, (*table).into(), "in the image");
        }
        list
    }

    /// Functions of a page with their encodings.
    fn page(&self, page: u32, first: u32, flaws: &mut Flaws) -> Vec<(u32, u32)> {
        let page = u64::from(page);
        let half = |at| u64::from(u16_at(self.bytes, page + at).unwrap_or(0));
        let (entries, count) = (page + half(4), half(6));
        match self.word(page) {
            2 => (0..count)
                .map(|i| [self.word(entries + 8 * i), self.word(entries + 8 * i + 4)])
                .map(|[function, encoding]| (function, encoding))
                .collect(),
            3 => {
                let (own, own_count) = (page + half(8), half(10));
                let one = |i| {
                    let word = self.word(entries + 4 * i);
                    let (index, distance) = (word >> 24, word & 0xff_ffff);
                    let encoding = match index.checked_sub(self.shared_count) {
                        None => Some(self.word(u64::from(self.shared) + 4 * u64::from(index))),
                        Some(k) if u64::from(k) < own_count => {
                            Some(self.word(own + 4 * u64::from(k)))
                        }
                        Some(_) => None,
                    };
                    (first.wrapping_add(distance), encoding)
                };
                let list: Vec<_> = (0..count).map(one).collect();
                let known = list.iter().all(|(_, encoding)| encoding.is_some());
                flaws.check(known, "encoding of the unwind table", AT, count, "one of the lists");
                list.into_iter().map(|(at, encoding)| (at, encoding.unwrap_or(0))).collect()
            }
            kind => {
                flaws.check(false, "page of the unwind table", AT, kind.into(), "2 or 3");
                Vec::new()
            }
        }
    }

    fn entry(&self, function: u32, encoding: u32, flaws: &mut Flaws) {
        let base = self.image.file.base();
        let code = self.image.executable(base.wrapping_add(function.into()));
        flaws.check(code, "unwind of no code", AT, function.into(), "in code");
        let personality = encoding >> 28 & 3;
        let good = personality <= self.personalities;
        flaws.check(good, "personality that is not there", AT, encoding.into(), "one of the list");
        let listed = self.tables.binary_search_by_key(&function, |entry| entry.0).is_ok();
        let has = encoding & HAS_TABLE != 0;
        let by_record = encoding & MODE == self.image.file.machine.dwarf;
        // A record tells its table itself.
        let good = listed == has || by_record;
        flaws.check(
            good,
            "language's table",
            AT,
            function.into(),
            "in the list if the entry says so",
        );
        if by_record {
            record(self.image, function, encoding & 0xff_ffff, flaws);
        }
    }
}

/// An entry that leaves it to DWARF leads to a record of that very function.
fn record(image: &Image<'_>, function: u32, at: u32, flaws: &mut Flaws) {
    let named = |section: &&Section<'_>| section.name == "__eh_frame";
    let Some(section) = image.file.sections.iter().find(named) else {
        return flaws.check(false, "unwind record", AT, at.into(), "an __eh_frame");
    };
    let address = section.address.wrapping_add(at.into());
    let wanted = image.file.base().wrapping_add(function.into());
    let is_fde = image.file.u32(address + 4).is_some_and(|id| id != 0);
    // clang's pointers are of eight bytes, relative to their place.
    let pointer = image.file.slice(address + 8, 8).map_or(0, crate::bytes::number);
    let narrow = i64::from(pointer as u32 as i32) as u64;
    let targets = [pointer, narrow].map(|value| value.wrapping_add(address + 8));
    let good = is_fde && targets.contains(&wanted);
    flaws.check(good, "unwind record", AT, at.into(), "the function's own");
}
