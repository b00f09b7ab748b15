//! Numbers, offsets and bytes of the output object.

use rayon::prelude::*;

use super::symbols::{OutSymbol, Place, Table};
use super::{Part, Work};
use crate::format::elf::class::{Class, SymbolHome, SymbolRecord};
use crate::format::elf::*;
use crate::object::{Reloc, Section};
use crate::synthetic::strings::StringTable;
use crate::{Error, ErrorKind, Errors};

/// Everything decided: what is where in the file.
pub(super) struct Image<'w> {
    table: Table<'w>,
    /// Section headers without the null one, in order.
    headers: Vec<Header>,
    /// Contents of the sections the linker makes, by header.
    made: Vec<(usize, Vec<u8>)>,
    section_table: u64,
    names_index: u32,
    /// The size of the file.
    pub(super) size: u64,
}

#[derive(Clone, Copy, Default)]
struct Header {
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entsize: u64,
    /// The part whose bytes, or whose relocations, these are.
    part: Option<(usize, bool)>,
}

impl Header {
    fn in_file(&self) -> u64 {
        if self.kind == SHT_NOBITS { 0 } else { self.size }
    }
}

/// Numbers the sections and gives each its place in the file.
pub(super) fn plan<'w>(work: &mut Work<'w, '_>, table: Table<'w>) -> Image<'w> {
    // Groups first: the gABI wants them before their members.
    let mut next = 1 + work.groups.len() as u32;
    for part in &mut work.parts {
        part.index = next;
        next += if part.relocs == 0 { 1 } else { 2 };
    }
    let symtab = next;
    let extended = next > u32::from(SHN_LORESERVE);
    let strtab = symtab + 1 + u32::from(extended);
    let names_index = strtab + 1;
    let mut made = Vec::new();
    let mut headers = Vec::with_capacity(names_index as usize);
    let mut names = Vec::with_capacity(names_index as usize);
    for (at, group) in work.groups.iter().enumerate() {
        let bytes = group_bytes(work, group);
        let info = table.number(work, group.object, group.signature).map_or(0, |n| n.0);
        let (size, kind) = (bytes.len() as u64, SHT_GROUP);
        headers.push(Header {
            kind,
            size,
            link: symtab,
            info,
            align: 4,
            entsize: 4,
            ..Header::default()
        });
        names.push(b".group".to_vec());
        made.push((at, bytes));
    }
    for (at, part) in work.parts.iter().enumerate() {
        push_part(work, at, part, symtab, &mut headers, &mut names);
    }
    let class = work.arch.class;
    let (symbols, indexes, strings) = symbol_tables(work, &table);
    let rest = [
        (&b".symtab"[..], SHT_SYMTAB, symbols, strtab, work.arch.word(), class.symbol() as u64),
        (b".symtab_shndx", SHT_SYMTAB_SHNDX, indexes, symtab, 4, 4),
        (b".strtab", SHT_STRTAB, strings, 0, 1, 0),
        (b".shstrtab", SHT_STRTAB, Vec::new(), 0, 1, 0),
    ];
    for (name, kind, bytes, link, align, entsize) in rest {
        if kind == SHT_SYMTAB_SHNDX && !extended {
            continue;
        }
        let info = if kind == SHT_SYMTAB { table.locals as u32 + 1 } else { 0 };
        let size = bytes.len() as u64;
        headers.push(Header { kind, size, link, info, align, entsize, ..Header::default() });
        names.push(name.to_vec());
        made.push((headers.len() - 1, bytes));
    }
    name_all(&mut headers, &names, &mut made);
    let section_table = place_all(&mut headers, class);
    let size = section_table.saturating_add((class.section() * (headers.len() + 1)) as u64);
    Image { table, headers, made, section_table, names_index, size }
}

/// Fills in the table of names, the last section, and each header's place in it.
fn name_all(headers: &mut [Header], names: &[Vec<u8>], made: &mut [(usize, Vec<u8>)]) {
    let mut strings = StringTable::new();
    for (header, name) in headers.iter_mut().zip(names) {
        header.name = strings.add(name);
    }
    let mut bytes = vec![0; strings.size() as usize];
    strings.write(&mut bytes);
    if let (Some(header), Some(last)) = (headers.last_mut(), made.last_mut()) {
        header.size = bytes.len() as u64;
        last.1 = bytes;
    }
}

/// Gives every section its place in the file; returns that of the section headers.
fn place_all(headers: &mut [Header], class: Class) -> u64 {
    // What is too large for the file saturates, and is refused when room is asked for.
    let up = |at: u64, align: u64| at.checked_next_multiple_of(align.max(1)).unwrap_or(u64::MAX);
    let mut end = class.header() as u64;
    for header in headers {
        header.offset = up(end, header.align.min(1 << 20));
        end = header.offset.saturating_add(header.in_file());
    }
    up(end, class.word() as u64)
}

fn push_part(
    work: &Work<'_, '_>,
    at: usize,
    part: &Part<'_>,
    symtab: u32,
    headers: &mut Vec<Header>,
    names: &mut Vec<Vec<u8>>,
) {
    headers.push(Header {
        kind: part.kind,
        flags: part.flags,
        size: part.size,
        link: part.link.map_or(0, |l| work.parts[l].index),
        align: part.align,
        entsize: part.entsize,
        part: Some((at, false)),
        ..Header::default()
    });
    names.push(part.name.to_vec());
    if part.relocs > 0 {
        let (group, form) = (part.flags & SHF_GROUP, work.arch.relocs());
        headers.push(Header {
            kind: form.section_kind(),
            flags: SHF_INFO_LINK | group,
            size: (part.relocs * form.size()) as u64,
            link: symtab,
            info: part.index,
            align: work.arch.word(),
            entsize: form.size() as u64,
            part: Some((at, true)),
            ..Header::default()
        });
        names.push([form.prefix().as_bytes(), part.name].concat());
    }
}

/// The group's flag word and its members, relocations included.
fn group_bytes(work: &Work<'_, '_>, group: &super::Group) -> Vec<u8> {
    let mut words = vec![u32::from(group.comdat)];
    for &part in &group.parts {
        let part = &work.parts[part];
        words.push(part.index);
        if part.relocs > 0 {
            words.push(part.index + 1);
        }
    }
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// The bytes of `.symtab`, `.symtab_shndx`, `.strtab`.
fn symbol_tables(work: &Work<'_, '_>, table: &Table<'_>) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let full: Vec<Vec<u8>> = table
        .symbols
        .iter()
        .map(|s| match s.version {
            Some((version, _)) => [s.name, b"@@", version].concat(),
            None => s.name.to_vec(),
        })
        .collect();
    let mut strings = StringTable::with_capacity(full.len());
    let class = work.arch.class;
    let mut symbols = vec![0; class.symbol()];
    let mut indexes = vec![0; 4];
    for (symbol, name) in table.symbols.iter().zip(&full) {
        let (shndx, extended) = home(work, symbol).numbers();
        let record = SymbolRecord {
            name: strings.add(name),
            info: symbol.bind << 4 | symbol.kind,
            other: symbol.other,
            shndx,
            value: symbol.value,
            size: symbol.size,
        };
        let from = symbols.len();
        symbols.resize(from + class.symbol(), 0);
        class.put_symbol(&mut symbols[from..], &record);
        indexes.extend(extended.to_le_bytes());
    }
    let mut bytes = vec![0; strings.size() as usize];
    strings.write(&mut bytes);
    (symbols, indexes, bytes)
}

fn home(work: &Work<'_, '_>, symbol: &OutSymbol<'_>) -> SymbolHome {
    match symbol.place {
        Place::Undefined => SymbolHome::UNDEFINED,
        Place::Absolute => SymbolHome::ABSOLUTE,
        Place::Common => SymbolHome::Reserved(SHN_COMMON),
        Place::Group(group) => SymbolHome::Section(group + 1),
        Place::Part(part) => SymbolHome::Section(work.parts[part as usize].index),
    }
}

/// Writes the file.
///
/// Errors: `reloc-overflow` for an addend that its field does not hold.
pub(super) fn write(work: &Work<'_, '_>, image: &Image<'_>, out: &mut [u8]) -> Result<(), Errors> {
    let mut rest = &mut *out;
    let mut at = 0;
    let mut tasks = Vec::with_capacity(image.headers.len());
    for (i, header) in image.headers.iter().enumerate() {
        let tail = rest.split_at_mut(header.offset as usize - at).1;
        let (mine, tail) = tail.split_at_mut(header.in_file() as usize);
        at = header.offset as usize + mine.len();
        tasks.push((i, mine));
        rest = tail;
    }
    let errors = tasks.into_par_iter().flat_map_iter(|(i, mine)| {
        match image.headers[i].part {
            Some((part, false)) => {
                contents(work, &work.parts[part], mine);
                return addends(work, image, &work.parts[part], mine);
            }
            Some((part, true)) => relocations(work, image, &work.parts[part], mine),
            None => {
                if let Ok(found) = image.made.binary_search_by_key(&i, |m| m.0) {
                    mine.copy_from_slice(&image.made[found].1);
                }
            }
        }
        Vec::new()
    });
    let errors: Vec<Error> = errors.collect();
    write_header(work, image, &mut out[..work.arch.class.header()]);
    write_sections(work.arch.class, image, &mut out[image.section_table as usize..]);
    Errors::collect(errors).map_or(Ok(()), Err)
}

fn contents(work: &Work<'_, '_>, part: &Part<'_>, out: &mut [u8]) {
    if out.is_empty() {
        return;
    }
    if let Some(made) = &part.made {
        out.copy_from_slice(made);
        return;
    }
    let code = part.flags & SHF_EXECINSTR != 0;
    let mut filled = 0;
    for member in &part.members {
        let bytes = work.objects[member.object].section_data(member.section);
        let start = member.offset as usize;
        if code {
            work.arch.fill(&mut out[filled..start]);
        }
        out[start..start + bytes.len()].copy_from_slice(bytes);
        filled = start + bytes.len();
    }
}

/// Where records have no addends: those of symbols that have moved, in their fields.
fn addends(work: &Work<'_, '_>, image: &Image<'_>, part: &Part<'_>, out: &mut [u8]) -> Vec<Error> {
    let mut errors = Vec::new();
    if work.arch.explicit_addends {
        return errors;
    }
    for member in &part.members {
        let object = work.objects[member.object];
        for reloc in object.relocs(member.section).iter() {
            let Some((_, add)) = image.table.number(work, member.object, reloc.sym) else {
                continue;
            };
            // A record with an addend of its own becomes one without.
            let own = add != 0 || object.relocs(member.section).is_explicit();
            let Some(row) = work.arch.row(reloc.kind).filter(|_| own) else { continue };
            let at = reloc.offset.wrapping_add(member.offset) as usize;
            let field =
                at.checked_add(row.field.len() as usize).and_then(|end| out.get_mut(at..end));
            let Some(field) = field else { continue };
            let addend = reloc.addend.wrapping_add(add as i64);
            row.field.write(field, addend);
            if row.field.read(field) != work.arch.class.wrap(addend) && !row.field.is_empty() {
                let text = format!("{}: the field does not hold the addend {addend:#x}", row.name);
                let site = crate::scan::site(object, member.section, reloc.offset);
                errors.push(Error::new(ErrorKind::RelocOverflow, text).at(site));
            }
        }
    }
    errors
}

fn relocations(work: &Work<'_, '_>, image: &Image<'_>, part: &Part<'_>, out: &mut [u8]) {
    let form = work.arch.relocs();
    let mut fields = out.chunks_exact_mut(form.size());
    for member in &part.members {
        for reloc in work.objects[member.object].relocs(member.section).iter() {
            let Some(field) = fields.next() else { return };
            // A symbol whose section is gone: type 0 is "none" on every machine.
            let (sym, kind, addend) = match image.table.number(work, member.object, reloc.sym) {
                Some((number, add)) => (number, reloc.kind, reloc.addend.wrapping_add(add as i64)),
                None => (0, 0, 0),
            };
            let offset = reloc.offset.wrapping_add(member.offset);
            form.write(field, &Reloc { offset, kind, sym, addend });
        }
    }
}

fn write_header(work: &Work<'_, '_>, image: &Image<'_>, out: &mut [u8]) {
    let many = image.headers.len() + 1 >= usize::from(SHN_LORESERVE);
    let count = if many { 0 } else { image.headers.len() as u16 + 1 };
    let names = if image.names_index < u32::from(SHN_LORESERVE) {
        image.names_index as u16
    } else {
        SHN_XINDEX
    };
    let class = work.arch.class;
    // Little-endian, version 1.
    out[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class.ident(), 1, 1]);
    let at = class.header_offsets();
    let halves = [
        (16, ET_REL),
        (18, work.arch.machine),
        // e_ehsize is before the sizes and counts of segments.
        (at.segment_count - 4, class.header() as u16),
        (at.section_size, class.section() as u16),
        (at.section_count, count),
        (at.names, names),
    ];
    for (at, value) in halves {
        out[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    out[20] = 1;
    class.put_word(&mut out[at.sections..], image.section_table);
    out[at.flags..at.flags + 4].copy_from_slice(&work.flags.to_le_bytes());
}

fn write_sections(class: Class, image: &Image<'_>, out: &mut [u8]) {
    // Counts that don't fit the ELF header are in the null section's.
    let many = image.headers.len() + 1 >= usize::from(SHN_LORESERVE);
    let far = image.names_index >= u32::from(SHN_LORESERVE);
    let null = Header {
        size: if many { image.headers.len() as u64 + 1 } else { 0 },
        link: if far { image.names_index } else { 0 },
        ..Header::default()
    };
    let slots = out.chunks_exact_mut(class.section());
    for (header, slot) in std::iter::once(&null).chain(&image.headers).zip(slots) {
        let &Header { name, kind, flags, offset, size, link, info, align, entsize, .. } = header;
        let section =
            Section { name, kind, flags, addr: 0, offset, size, link, info, align, entsize };
        class.put_section(slot, &section);
    }
}
