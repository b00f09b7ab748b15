//! `-Map`: the finished layout → why each archive member is there, and a table for people, one line per
//! output section, input section and symbol. Must not change anything.

use std::fmt::Write;

use rayon::prelude::*;

use crate::format::elf::SHF_ALLOC;
use crate::layout::{Member, OutSec};
use crate::link::Link;
use crate::object::{Home, Object, kind};
use crate::options::Options;
use crate::output::Report;
use crate::resolve::Resolution;

/// The parts of the map that resolution decides.
#[derive(Debug)]
pub struct Map {
    wanted: bool,
    reasons: String,
    crossed: Option<String>,
}

impl Map {
    /// What `options` ask for.
    pub fn new(res: &Resolution<'_>, options: &Options) -> Self {
        let wanted = options.map.is_some();
        Self {
            wanted,
            reasons: if wanted { reasons(res) } else { String::new() },
            crossed: options.cref.then(|| crate::crossref::table(res)),
        }
    }

    /// Gives `report` the whole map, `table` inside; cross references without a map are printed.
    pub fn finish(self, table: &str, mut report: Report) -> Report {
        if self.wanted {
            report.map = Some(self.reasons + table + &self.crossed.unwrap_or_default());
        } else {
            report.traced.extend(self.crossed);
        }
        report
    }
}

/// The table of addresses.
pub fn text(link: &Link<'_>) -> String {
    let mut outs: Vec<&OutSec> = link.outs.iter().filter(|o| o.shndx != 0).collect();
    outs.sort_by_key(|o| (o.flags & SHF_ALLOC == 0, o.shndx));
    let symbols: Vec<Symbols<'_>> = link
        .res
        .objects()
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(_, o)| Symbols::new(o))
        .collect();
    let files: rustc_hash::FxHashMap<u32, usize> =
        link.res.objects().enumerate().map(|(at, (file, _))| (file.0, at)).collect();
    let blocks: Vec<String> = outs
        .par_iter()
        .map(|out| {
            let mut text = String::new();
            let _ = writeln!(
                text,
                "{:16x} {:8x} {:5} {}",
                out.addr,
                out.size,
                out.align,
                String::from_utf8_lossy(&out.name)
            );
            for member in &out.members {
                let own = files.get(&member.file.0).map(|&at| &symbols[at]);
                write_member(link, out, member, own, &mut text);
            }
            text
        })
        .collect();
    let mut text = String::new();
    let _ = writeln!(text, "{:>16} {:>8} {:>5} Out     In      Symbol", "Address", "Size", "Align");
    text.extend(blocks);
    text
}

/// Why each archive member is part of the link, as GNU ld's map begins.
fn reasons(res: &Resolution<'_>) -> String {
    let mut text = String::new();
    if res.extracted.is_empty() {
        return text;
    }
    text += "Archive member included to satisfy reference by file (symbol)\n\n";
    for &(file, user, id) in &res.extracted {
        let member = res.file_name(file);
        let user = user.map_or("", |user| res.file_name(user));
        let symbol = String::from_utf8_lossy(res.names.get(id));
        // Long names have a line of their own.
        let gap = if member.len() < 29 { "" } else { "\n" };
        let pad = if member.len() < 29 { 30 - member.len() } else { 30 };
        let space = if user.is_empty() { "" } else { " " };
        let _ = writeln!(text, "{member}{gap}{:pad$}{user}{space}({symbol})", "");
    }
    text.push('\n');
    text
}

fn write_member(
    link: &Link<'_>,
    out: &OutSec,
    member: &Member,
    symbols: Option<&Symbols<'_>>,
    text: &mut String,
) {
    let object = link.object(member.file);
    let address = out.addr.wrapping_add(link.sec_off[member.sec.i()]);
    let _ = writeln!(
        text,
        "{address:16x} {:8x} {:5}         {}:({})",
        object.section_size(member.index),
        object.section_align(member.index),
        object.name,
        String::from_utf8_lossy(object.section_name(member.index))
    );
    for &(_, value, size, name) in symbols.iter().flat_map(|s| s.of(member.index)) {
        let place = address.wrapping_add(value);
        let name = String::from_utf8_lossy(name);
        let _ = writeln!(text, "{place:16x} {size:8x}     1                 {name}");
    }
}

/// The named symbols of an object by section and value.
struct Symbols<'a>(Vec<(u32, u64, u64, &'a [u8])>);

impl<'a> Symbols<'a> {
    fn new(object: &Object<'a>) -> Self {
        let mut list = Vec::new();
        for index in 1..object.symbols.len() {
            let symbol = object.symbols.get(index);
            let Home::Section(section) = symbol.home else { continue };
            let name = object.symbol_name(index);
            if !name.is_empty() && !matches!(symbol.kind, kind::SECTION | kind::FILE) {
                list.push((section, symbol.value, symbol.size, name));
            }
        }
        list.sort();
        Self(list)
    }

    fn of(&self, section: u32) -> &[(u32, u64, u64, &'a [u8])] {
        let start = self.0.partition_point(|s| s.0 < section);
        let len = self.0[start..].partition_point(|s| s.0 == section);
        &self.0[start..start + len]
    }
}
