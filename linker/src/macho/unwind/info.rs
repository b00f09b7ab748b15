//! `__unwind_info`, version 1: functions by address → an index of pages of at most 4 KiB, each with
//! its encodings, and the table of language tables. Must not know where entries came from.

use rustc_hash::FxHashMap;

use super::Function;
use crate::macho::link::{Link, Ref};
use crate::{Error, ErrorKind, Result};

const HEADER: usize = 28;
/// Bytes of a page at most.
const PAGE: usize = 4096;
/// Head of a compressed page.
const PAGE_HEADER: usize = 12;
/// Encodings that all pages share, and those of all kinds a page can name.
const SHARED: usize = 127;
const NAMED: usize = 256;
/// The function has a table.
const HAS_LSDA: u32 = 0x4000_0000;

/// One line of the table.
struct Line {
    function: u32,
    encoding: u32,
}

/// The section; `personalities` are routines and the offsets of their slots from the image's base.
///
/// Errors: `reloc-overflow` for what is further than the table can say.
pub(super) fn build(
    link: &Link<'_>,
    functions: &[Function],
    personalities: &[(Ref, u64)],
) -> Result<Vec<u8>> {
    let slots = personalities.iter().map(|&(what, slot)| self::slot(link, what, slot));
    let slots = slots.collect::<Result<Vec<u32>>>()?;
    let offset = |place| offset(link, place);
    let mut lines: Vec<Line> = Vec::with_capacity(functions.len());
    let mut tables = Vec::new();
    let mut end = 0;
    for function in functions {
        let at = offset(function.at)?;
        let mut encoding = function.encoding | function.personality << 28;
        if let Some(lsda) = function.lsda {
            encoding |= HAS_LSDA;
            tables.push((at, offset(lsda)?));
        }
        let size = link.atoms[function.at.0 as usize].size as u32;
        end = at.saturating_add(function.len.max(size.saturating_sub(function.at.1 as u32)));
        match lines.last_mut() {
            // Two entries of one place: an empty function's and the next one's.
            Some(last) if last.function == at => last.encoding = encoding,
            // What is unwound alike is one range, if no record or table tells them apart.
            Some(last) if last.encoding == encoding && folds(link, encoding) => {}
            _ => lines.push(Line { function: at, encoding }),
        }
    }
    let shared = shared(&lines);
    let pages = pages(&lines, &shared);
    let personalities_at = HEADER + 4 * shared.len();
    let index_at = personalities_at + 4 * personalities.len();
    let tables_at = index_at + 12 * (pages.len() + 1);
    let mut page_at = tables_at + 8 * tables.len();
    let mut out = Vec::new();
    let mut put = |words: &[u32]| words.iter().for_each(|word| out.extend(word.to_le_bytes()));
    put(&[1, HEADER as u32, shared.len() as u32, personalities_at as u32]);
    put(&[personalities.len() as u32, index_at as u32, pages.len() as u32 + 1]);
    put(&shared);
    for slot in slots {
        put(&[slot]);
    }
    let table_of = |function| tables_at + 8 * tables.partition_point(|table| table.0 < function);
    for page in &pages {
        put(&[page.first, page_at as u32, table_of(page.first) as u32]);
        page_at += page.bytes.len();
    }
    put(&[end, 0, (tables_at + 8 * tables.len()) as u32]);
    for &(function, table) in &tables {
        put(&[function, table]);
    }
    pages.iter().for_each(|page| out.extend(&page.bytes));
    Ok(out)
}

/// The offset of a personality routine's slot, as the table has it.
fn slot(link: &Link<'_>, what: Ref, slot: u64) -> Result<u32> {
    u32::try_from(slot).map_err(|_| {
        let name = link.title_of(what);
        let text = format!(
            "the slot of the personality routine {name} is {slot:#x} bytes behind the image's start: \
             the unwind table has 32 bits"
        );
        Error::new(ErrorKind::RelocOverflow, text)
    })
}

/// The offset of a place from the image's start, as the table has it.
fn offset(link: &Link<'_>, (atom, at): (u32, u64)) -> Result<u32> {
    let atom = &link.atoms[atom as usize];
    let offset = atom.addr.wrapping_add(at).wrapping_sub(link.base);
    u32::try_from(offset).map_err(|_| {
        let text =
            format!("{offset:#x} bytes behind the image's start: the unwind table has 32 bits");
        let error = Error::new(ErrorKind::RelocOverflow, text);
        match link.files.get(atom.file as usize) {
            Some(object) => error.at(object.site(atom.section, atom.start.wrapping_add(at))),
            None => error,
        }
    })
}

fn folds(link: &Link<'_>, encoding: u32) -> bool {
    encoding & HAS_LSDA == 0 && encoding & super::MODE != link.machine.unwind_dwarf
}

/// Encodings that more than one line has, the most frequent first.
fn shared(lines: &[Line]) -> Vec<u32> {
    let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
    for line in lines {
        *counts.entry(line.encoding).or_default() += 1;
    }
    let mut list: Vec<(u32, u32)> = counts.into_iter().filter(|entry| entry.1 > 1).collect();
    list.sort_unstable_by_key(|&(encoding, count)| (u32::MAX - count, encoding));
    list.truncate(SHARED);
    list.into_iter().map(|entry| entry.0).collect()
}

struct Page {
    first: u32,
    bytes: Vec<u8>,
}

/// Cuts the lines into pages, as many to each as there is room for.
fn pages(lines: &[Line], shared: &[u32]) -> Vec<Page> {
    let number: FxHashMap<u32, usize> = shared.iter().copied().zip(0..).collect();
    let mut pages = Vec::new();
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let mut own: Vec<u32> = Vec::new();
        let mut own_number = FxHashMap::default();
        let mut entries = Vec::new();
        for line in rest {
            let distance = line.function - first.function;
            let named = number.get(&line.encoding).or_else(|| own_number.get(&line.encoding));
            let more = usize::from(named.is_none());
            let size = PAGE_HEADER + 4 * (entries.len() + 1 + own.len() + more);
            if distance >= 1 << 24 || size > PAGE || shared.len() + own.len() + more > NAMED {
                break;
            }
            let named = named.copied().unwrap_or_else(|| {
                own.push(line.encoding);
                let named = shared.len() + own.len() - 1;
                own_number.insert(line.encoding, named);
                named
            });
            entries.push(distance | (named as u32) << 24);
        }
        let own_at = PAGE_HEADER + 4 * entries.len();
        let heads = [PAGE_HEADER as u16, entries.len() as u16, own_at as u16, own.len() as u16];
        let mut bytes = 3u32.to_le_bytes().to_vec();
        bytes.extend(heads.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(entries.iter().chain(&own).flat_map(|word| word.to_le_bytes()));
        pages.push(Page { first: first.function, bytes });
        rest = &rest[entries.len()..];
    }
    pages
}
