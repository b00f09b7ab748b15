//! Chained fixups: the places a loader must mend, and whose addresses go there → the pointers as links
//! of a chain, and the table that says where chains start. Formats 2 and 6, imports 1 to 3. Must not
//! know why a place needs mending.

use rustc_hash::FxHashMap;

use super::pad;

/// What the loader writes into a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// An address of this image.
    Own(u64),
    /// The address of a symbol of [`Import`]s by number, and what is added to it.
    Import(u32, i64),
}

/// One place of eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixup {
    /// Its address before the loader moves anything.
    pub addr: u64,
    /// What it gets.
    pub value: Value,
}

/// A symbol the loader looks up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Import<'a> {
    /// With its underscore.
    pub name: &'a [u8],
    /// Where to look: a library's number, or one of [`super::ordinal`].
    pub ordinal: i32,
    /// 0 if it is missing, instead of an error.
    pub weak: bool,
}

/// One segment of the image.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Segment {
    pub addr: u64,
    pub size: u64,
}

/// The table and the chains.
#[derive(Debug, Default)]
pub struct Chains {
    /// What `LC_DYLD_CHAINED_FIXUPS` points to.
    pub blob: Vec<u8>,
    /// The content of every place, as the fixups are.
    pub words: Vec<u64>,
}

/// A fixup that chains have no way to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its place.
    pub addr: u64,
    /// What is wrong.
    pub text: String,
}

/// How pointers are written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// `DYLD_CHAINED_PTR_64` (2), targets as addresses, or `_OFFSET` (6), as offsets.
    pub pointer: u16,
    /// Bytes of a page.
    pub page: u64,
    /// The image's base.
    pub base: u64,
}

/// Chains through `fixups`, sorted by address.
///
/// Errors: every fixup that they can't tell, in order.
pub fn build(
    form: Form,
    segments: &[Segment],
    imports: &[Import<'_>],
    fixups: &[Fixup],
) -> Result<Chains, Vec<Refused>> {
    let (table, place) = rows(fixups);
    let mut chains = Chains { blob: vec![0; 32], words: chain(form, fixups, &place)? };
    starts(form, segments, fixups, &mut chains.blob);
    pad(&mut chains.blob, 8);
    let out = &mut chains.blob;
    let imports_at = out.len();
    let (kind, pool) = put_imports(imports, &table, out);
    let symbols_at = out.len();
    out.extend(pool);
    pad(out, 8);
    let header = [0, 32, imports_at as u32, symbols_at as u32, table.len() as u32, kind, 0];
    for (word, to) in header.iter().zip(out.chunks_exact_mut(4)) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    Ok(chains)
}

/// Rows of the import table, one for each symbol with the addend that does not fit into pointers.
type Rows = Vec<(u32, i64)>;

/// The rows, and which of them each fixup that needs one uses.
fn rows(fixups: &[Fixup]) -> (Rows, FxHashMap<(u32, i64), u32>) {
    let mut place = FxHashMap::default();
    let mut table = Vec::new();
    for fixup in fixups {
        if let Value::Import(symbol, addend) = fixup.value {
            let key = (symbol, outside(addend));
            place.entry(key).or_insert_with(|| {
                table.push(key);
                table.len() as u32 - 1
            });
        }
    }
    (table, place)
}

/// The part of an addend that its pointer has no room for: a pointer keeps 0 to 255.
fn outside(addend: i64) -> i64 {
    if (0..256).contains(&addend) { 0 } else { addend }
}

/// The content of every place: what it gets, and how far the next one of its page is.
fn chain(
    form: Form,
    fixups: &[Fixup],
    place: &FxHashMap<(u32, i64), u32>,
) -> Result<Vec<u64>, Vec<Refused>> {
    let (mut words, mut refused) = (Vec::with_capacity(fixups.len()), Vec::new());
    for (i, fixup) in fixups.iter().enumerate() {
        match word(form, fixup, fixups.get(i + 1), place) {
            Ok(word) => words.push(word),
            Err(text) => refused.push(Refused { addr: fixup.addr, text }),
        }
    }
    if refused.is_empty() { Ok(words) } else { Err(refused) }
}

/// What the place of `fixup` holds; `next` is the one behind it, whatever its page.
fn word(
    form: Form,
    fixup: &Fixup,
    next: Option<&Fixup>,
    place: &FxHashMap<(u32, i64), u32>,
) -> Result<u64, String> {
    if !fixup.addr.is_multiple_of(4) || fixup.addr % form.page > form.page - 8 {
        return Err("chained fixups can't hold the unaligned pointer".to_owned());
    }
    let page = |fixup: &Fixup| fixup.addr / form.page;
    let next = next.filter(|next| page(next) == page(fixup));
    let step = next.map_or(0, |next| (next.addr - fixup.addr) / 4);
    if next.is_some_and(|next| next.addr - fixup.addr < 8) {
        return Err("two pointers overlap".to_owned());
    }
    match fixup.value {
        Value::Own(target) => {
            let high = target >> 56;
            let target = target << 8 >> 8;
            let low = if form.pointer == 6 { target.wrapping_sub(form.base) } else { target };
            if low >> 36 != 0 {
                let text = "chained fixups can't hold the far pointer";
                return Err(format!("{text}: {low:#x} is not in 0..2^36-1"));
            }
            Ok(low | high << 36 | step << 51)
        }
        Value::Import(symbol, addend) => {
            let row = place.get(&(symbol, outside(addend))).copied().unwrap_or(0);
            if row >> 24 != 0 {
                return Err("too many imports".to_owned());
            }
            let inline = if outside(addend) == 0 { addend as u64 } else { 0 };
            Ok(u64::from(row) | inline << 24 | step << 51 | 1 << 63)
        }
    }
}

/// Where the chain of each page starts.
fn starts(form: Form, segments: &[Segment], fixups: &[Fixup], out: &mut Vec<u8>) {
    let table = out.len();
    out.extend((segments.len() as u32).to_le_bytes());
    out.resize(table + 4 + 4 * segments.len(), 0);
    for (i, segment) in segments.iter().enumerate() {
        let from = fixups.partition_point(|fixup| fixup.addr < segment.addr);
        let mine = &fixups[from..];
        let mine = &mine[..mine.partition_point(|f| f.addr - segment.addr < segment.size)];
        let Some(last) = mine.last() else { continue };
        pad(out, 8);
        let offset = (out.len() - table) as u32;
        out[table + 4 + 4 * i..table + 8 + 4 * i].copy_from_slice(&offset.to_le_bytes());
        let pages = ((last.addr - segment.addr) / form.page + 1) as usize;
        let mut first = vec![0xffffu16; pages];
        for fixup in mine.iter().rev() {
            let offset = fixup.addr - segment.addr;
            first[(offset / form.page) as usize] = (offset % form.page) as u16;
        }
        out.extend((22 + 2 * pages as u32).to_le_bytes());
        out.extend((form.page as u16).to_le_bytes());
        out.extend(form.pointer.to_le_bytes());
        out.extend((segment.addr - form.base).to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend((pages as u16).to_le_bytes());
        first.iter().for_each(|start| out.extend(start.to_le_bytes()));
    }
}

/// Appends the import table. Gives its format and the names.
fn put_imports(imports: &[Import<'_>], rows: &Rows, out: &mut Vec<u8>) -> (u32, Vec<u8>) {
    let mut pool = vec![0];
    let mut names = FxHashMap::default();
    let offsets: Vec<u64> = rows
        .iter()
        .map(|&(symbol, _)| {
            *names.entry(symbol).or_insert_with(|| {
                let at = pool.len() as u64;
                pool.extend(imports[symbol as usize].name);
                pool.push(0);
                at
            })
        })
        .collect();
    let wide = pool.len() >= 1 << 23
        || rows.iter().any(|&(symbol, addend)| {
            i32::try_from(addend).is_err()
                || !(-16..=0xf0).contains(&imports[symbol as usize].ordinal)
        });
    let kind = if wide { 3 } else { 1 + u32::from(rows.iter().any(|row| row.1 != 0)) };
    for (&(symbol, addend), name) in rows.iter().zip(offsets) {
        let import = imports[symbol as usize];
        let weak = u64::from(import.weak);
        if wide {
            let ordinal = u64::from(import.ordinal as u16);
            out.extend((ordinal | weak << 16 | name << 32).to_le_bytes());
            out.extend(addend.to_le_bytes());
        } else {
            let ordinal = u64::from(import.ordinal as u8);
            out.extend(((ordinal | weak << 8 | name << 9) as u32).to_le_bytes());
            if kind == 2 {
                out.extend((addend as i32).to_le_bytes());
            }
        }
    }
    (kind, pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form { pointer: 6, page: 0x1000, base: 0 };

    fn at(addr: u64, value: Value) -> Fixup {
        Fixup { addr, value }
    }

    #[test]
    fn a_chain_ends_with_its_page() {
        let fixups = [
            at(0x1000, Value::Own(0x10)),
            at(0x1010, Value::Import(0, 5)),
            at(0x3000, Value::Import(0, 256)),
        ];
        let imports = [Import { name: b"_f", ordinal: -2, weak: true }];
        let segments = [Segment { addr: 0, size: 0x1000 }, Segment { addr: 0x1000, size: 0x4000 }];
        let chains = build(FORM, &segments, &imports, &fixups).unwrap();
        assert_eq!(chains.words, [0x10 | 4 << 51, 5 << 24 | 1 << 63, 1 | 1 << 63]);
        let blob = super::super::read::Bytes(&chains.blob);
        let word = |at| blob.u32(at).unwrap() as usize;
        assert_eq!((word(32), word(36)), (2, 0), "two segments, the first without fixups");
        let start = 32 + word(40);
        assert_eq!(blob.u16(start + 20).unwrap(), 3, "pages");
        let pages = [22, 24, 26].map(|at| blob.u16(start + at).unwrap());
        assert_eq!(pages, [0, 0xffff, 0]);
        assert_eq!((word(16), word(20)), (2, 2), "two imports, with addends");
        assert_eq!(word(word(8)) & 0x1ff, 0x1fe);
        assert_eq!(word(word(8) + 12), 256);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let build = |addr, value| build(FORM, &[], &[], &[at(addr, value)]).map(|c| c.words);
        assert!(build(0x1002, Value::Own(0)).is_err());
        assert!(build(0x1ffc, Value::Own(0)).is_err());
        assert!(build(0x1ff8, Value::Own(1 << 36)).is_err());
        assert_eq!(build(0x1ff8, Value::Own(0x7f << 56 | 1)).unwrap(), [0x7f << 36 | 1]);
    }

    #[test]
    fn all_that_does_not_fit_is_told() {
        let fixups = [(0x1002, 0), (0x1010, 0), (0x1014, 0), (0x1020, 1 << 36)];
        let fixups = fixups.map(|(addr, target)| at(addr, Value::Own(target)));
        let refused = build(FORM, &[], &[], &fixups).expect_err("three of four");
        let places: Vec<_> = refused.iter().map(|refused| refused.addr).collect();
        assert_eq!(places, [0x1002, 0x1010, 0x1020]);
        assert_eq!(refused[1].text, "two pointers overlap");
    }
}
