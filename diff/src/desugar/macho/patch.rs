//! What ld64 has no flag for, written into an object: the word that ends the runtime's list, names of bounds, names
//! that the whole link is to see, the segment of read-only data with addresses in it.
//!
//! Tables that grow are written again behind everything else; what keeps its size stays where it is.

use super::{LAST, MOST, Plan, mangled};
use crate::bytes::{slice, u32_at};
use crate::model::archive;
use crate::model::macho::image::{File as Image, OBJECT, Section, file_kind};

/// The end of every changed object; before it the number of bytes there were, before that those bytes.
const MAGIC: &[u8; 8] = b"\0sugared";

/// The object that became `bytes`; none if none did.
pub(super) fn original(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, len) = bytes.strip_suffix(MAGIC)?.split_last_chunk()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    rest.get(rest.len().checked_sub(len)?..)
}

/// What `change` makes of an object, or of the members of an archive; none of anything else, or if it changes nothing.
pub(super) fn inside(bytes: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let object = |bytes: &[u8]| file_kind(bytes) == Some(OBJECT);
    match bytes.starts_with(archive::MAGIC) {
        true => archive::with_members(bytes, |_, member| change(member).filter(|_| object(member))),
        false => change(bytes).filter(|_| object(bytes)),
    }
}

/// An object with a mode's changes; none if there is nothing to change.
pub(super) fn changed(bytes: &[u8], plan: &Plan) -> Option<Vec<u8>> {
    let file = Image::read(bytes).ok()?;
    let mut patch = Patch::new(bytes, &file)?;
    for (name, bound) in &plan.bounds {
        for index in 0..file.symbols.len() {
            let symbol = &file.symbols[index];
            if symbol.name == *name && symbol.external() && !symbol.in_section() {
                patch.rename(index, bound);
            }
        }
    }
    for (is_local, name) in &plan.shared {
        for index in 0..file.symbols.len() {
            let symbol = &file.symbols[index];
            let is_it = symbol.name == *name && (*is_local || symbol.external());
            if is_it && symbol.in_section() && !symbol.stab() {
                patch.share(index, symbol.external());
            }
        }
    }
    if plan.common.is_some() {
        patch.claim(&file, &mangled(LAST));
    } else if let Some(data) = &plan.list {
        patch.point(&file, (&mangled(LAST), plan.local_list), data);
    }
    patch.changed.then(|| {
        let len = (bytes.len() as u64).to_le_bytes();
        [&patch.finish()[..], bytes, &len, MAGIC].concat()
    })
}

/// LC_SYMTAB, LC_DYSYMTAB, LC_SEGMENT_64.
const SYMTAB: u32 = 2;
const DYSYMTAB: u32 = 0xb;
const SEGMENT: u32 = 0x19;

/// The load commands of an object, each with where it is.
fn commands(bytes: &[u8]) -> Option<Vec<(u32, u64)>> {
    let (mut at, mut list) = (32_u64, Vec::new());
    for _ in 0..u32_at(bytes, 16)? {
        list.push((u32_at(bytes, at)?, at));
        at += u64::from(u32_at(bytes, at + 4)?.max(8));
    }
    Some(list)
}

/// Where section headers of an object are: 80 bytes each, behind the 72 of their segment's command.
fn headers(bytes: &[u8]) -> Option<Vec<usize>> {
    let mut list = Vec::new();
    for (_, at) in commands(bytes)?.into_iter().filter(|(command, _)| *command == SEGMENT) {
        let count = u64::from(u32_at(bytes, at + 64)?);
        let size = u64::from(u32_at(bytes, at + 4)?);
        (72 + 80 * count <= size && at + size <= bytes.len() as u64).then_some(())?;
        list.extend((0..count).map(|k| (at + 72 + 80 * k) as usize));
    }
    Some(list)
}

/// In `reserved3` of a section that was in `__TEXT`.
const MOVED: [u8; 4] = *b"TEXT";

/// An object, or an archive of such, whose read-only data with addresses in it is in `segment`: dyld writes it. None if
/// there is none.
pub(super) fn moved(bytes: &[u8], segment: &str) -> Option<Vec<u8>> {
    if bytes.starts_with(archive::MAGIC) {
        return archive::with_members(bytes, |_, member| moved(member, segment));
    }
    let file = Image::read(bytes).ok().filter(|_| file_kind(bytes) == Some(OBJECT))?;
    let minus = u32::from(file.machine.subtractor);
    let mut out = bytes.to_vec();
    let mut any = false;
    for (section, at) in file.sections.iter().zip(headers(bytes)?) {
        let plain = section.segment == "__TEXT" && section.flags == 0;
        let size = 8 * u64::from(section.reloc_count);
        let relocs = slice(bytes, section.reloc_offset.into(), size).unwrap_or_default();
        let mut before = 0;
        let address = relocs.chunks_exact(8).any(|entry| {
            let info = u32_at(entry, 4).unwrap_or_default();
            // An UNSIGNED of eight bytes, not the second of two.
            let found = info & 0xf700_0000 == 0x0600_0000 && before >> 28 != minus;
            before = info;
            found
        });
        if plain && address {
            let mut name = [0; 16];
            name[..segment.len()].copy_from_slice(segment.as_bytes());
            out.get_mut(at + 16..at + 32)?.copy_from_slice(&name);
            out.get_mut(at + 76..at + 80)?.copy_from_slice(&MOVED);
            any = true;
        }
    }
    any.then_some(out)
}

/// What was before [`moved`]; none if nothing was.
pub(super) fn unmoved(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(bytes, &MOVED)?;
    if bytes.starts_with(archive::MAGIC) {
        return archive::with_members(bytes, |_, member| unmoved(member));
    }
    (file_kind(bytes) == Some(OBJECT)).then_some(())?;
    let mut out = bytes.to_vec();
    let mut any = false;
    for at in headers(bytes)? {
        if out.get(at + 76..at + 80)? == MOVED {
            out.get_mut(at + 16..at + 32)?.copy_from_slice(b"__TEXT\0\0\0\0\0\0\0\0\0\0");
            out.get_mut(at + 76..at + 80)?.fill(0);
            any = true;
        }
    }
    any.then_some(out)
}

/// An object that is being changed.
struct Patch {
    bytes: Vec<u8>,
    /// Where LC_SYMTAB, LC_DYSYMTAB (if there is one) and the section headers are.
    symtab: usize,
    dysymtab: Option<usize>,
    sections: Vec<usize>,
    symbols: Vec<u8>,
    strings: Vec<u8>,
    changed: bool,
}

impl Patch {
    fn new(bytes: &[u8], file: &Image<'_>) -> Option<Self> {
        let commands = commands(bytes)?;
        let last = |wanted| commands.iter().rfind(|(command, _)| *command == wanted);
        let place = |wanted| last(wanted).map(|(_, at)| *at as usize);
        let (symtab, dysymtab, sections) = (place(SYMTAB)?, place(DYSYMTAB), headers(bytes)?);
        let word = |k: u64| u32_at(bytes, symtab as u64 + 4 * k).map(u64::from);
        let symbols = slice(bytes, word(2)?, 16 * word(3)?)?.to_vec();
        let strings = slice(bytes, word(4)?, word(5)?)?.to_vec();
        (sections.len() == file.sections.len()).then(|| Self {
            bytes: bytes.to_vec(),
            symtab,
            dysymtab,
            sections,
            symbols,
            strings,
            changed: false,
        })
    }

    fn name(&mut self, name: &str) -> [u8; 4] {
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        at.to_le_bytes()
    }

    fn rename(&mut self, index: usize, name: &str) {
        let name = self.name(name);
        self.symbols[16 * index..16 * index + 4].copy_from_slice(&name);
        self.changed = true;
    }

    /// Has all objects of the link see a symbol, and nobody else: the symbol itself, or one like it.
    fn share(&mut self, index: usize, external: bool) {
        let mut own: [u8; 16] = std::array::from_fn(|at| self.symbols[16 * index + at]);
        // N_PEXT, N_EXT.
        own[4] |= 0x11;
        if external {
            self.symbols[16 * index..16 * index + 16].copy_from_slice(&own);
        } else {
            self.add(own);
        }
        self.changed = true;
    }

    /// One more symbol, behind those that are undefined.
    fn add(&mut self, symbol: [u8; 16]) {
        self.symbols.extend(symbol);
        if let Some(at) = self.dysymtab {
            let count = u32_at(&self.bytes, at as u64 + 28).unwrap_or_default();
            self.set(at + 28, count + 1);
        }
    }

    /// Has the word called `name`, if it is defined here, and whether that is locally, hold the address of `data`.
    fn point(&mut self, file: &Image<'_>, (name, is_local): (&str, bool), data: &str) {
        let here = |symbol: &&crate::model::macho::image::Symbol<'_>| {
            let plain = symbol.in_section() && !symbol.stab();
            symbol.name == name && plain && symbol.external() != is_local
        };
        let Some(word) = file.symbols.iter().find(here) else { return };
        let Some(number) = usize::from(word.section).checked_sub(1) else { return };
        let Some(section) = file.sections.get(number) else { return };
        let offset = word.value.wrapping_sub(section.address);
        let end = offset.checked_add(8).filter(|end| *end <= section.size);
        let Some(end) = end.filter(|end| u32::try_from(*end).is_ok()) else { return };
        let mut table: Vec<u8> = Vec::new();
        let size = 8 * u64::from(section.reloc_count);
        let old = slice(file.bytes, section.reloc_offset.into(), size).unwrap_or_default();
        for entry in old.chunks_exact(8) {
            let (from, info) =
                (u64::from(u32_at(entry, 0).unwrap_or(0)), u32_at(entry, 4).unwrap_or(0));
            let to = from + (1 << (info >> 25 & 3));
            match (from < end && to > offset, from >= offset && to <= end) {
                (false, _) => table.extend(entry),
                // Whatever it referred to.
                (true, true) => {}
                (true, false) => return,
            }
        }
        let Some(start) = self.fill(number, section) else { return };
        let at = (start + offset) as usize;
        let Some(field) = self.bytes.get_mut(at..at + 8) else { return };
        field.fill(0);
        let symbol = self.index(file, data);
        table.extend((offset as u32).to_le_bytes());
        // An external UNSIGNED of eight bytes.
        table.extend((symbol | 0x0e00_0000).to_le_bytes());
        let place = self.append(&table);
        self.set(self.sections[number] + 56, place);
        self.set(self.sections[number] + 60, table.len() as u32 / 8);
        self.changed = true;
    }

    /// Has a section of zeros be one of data, called as others of data are; where its bytes are. None if there are too
    /// many, or each thread has its own.
    fn fill(&mut self, number: usize, section: &Section<'_>) -> Option<u64> {
        if !section.zerofill() {
            return Some(section.offset.into());
        }
        if section.template() || section.size > MOST {
            return None;
        }
        let header = self.sections[number];
        let place = self.append(&vec![0; section.size as usize]);
        self.set(header + 48, place);
        // No section is larger than filesize, nor that than vmsize.
        let segments = commands(&self.bytes)?.into_iter().filter(|it| it.0 == SEGMENT);
        let segment = segments.map(|it| it.1).rfind(|at| *at < header as u64)?;
        let filesize = u32_at(&self.bytes, segment + 48)?.max(section.size as u32);
        self.set(segment as usize + 48, filesize);
        // The type is S_REGULAR.
        self.set(header + 64, section.flags & !0xff);
        let like = match section.name {
            "__bss" | "__common" => "__data",
            "__noptrbss" => "__noptrdata",
            name => name,
        };
        let mut name = [0; 16];
        name[..like.len()].copy_from_slice(like.as_bytes());
        self.bytes.get_mut(header..header + 16)?.copy_from_slice(&name);
        Some(place.into())
    }

    /// Common blocks called `name` are another object's variable.
    fn claim(&mut self, file: &Image<'_>, name: &str) {
        for index in 0..file.symbols.len() {
            if file.symbols[index].name == name && file.symbols[index].common() {
                let entry = &mut self.symbols[16 * index..16 * index + 16];
                entry[4..].fill(0);
                // N_UNDF | N_EXT.
                entry[4] = 1;
                self.changed = true;
            }
        }
    }

    /// The symbol called `name`, which is added if the object has none.
    fn index(&mut self, file: &Image<'_>, name: &str) -> u32 {
        let own = |s: &crate::model::macho::image::Symbol<'_>| s.external() || s.in_section();
        let known = file.symbols.iter().position(|s| s.name == name && !s.stab() && own(s));
        known.unwrap_or_else(|| {
            let text = self.name(name);
            // N_UNDF | N_EXT.
            let mut symbol = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            symbol[..4].copy_from_slice(&text);
            self.add(symbol);
            self.symbols.len() / 16 - 1
        }) as u32
    }

    fn append(&mut self, more: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len() as u32;
        self.bytes.extend(more);
        at
    }

    fn set(&mut self, at: usize, value: u32) {
        if let Some(field) = self.bytes.get_mut(at..at + 4) {
            field.copy_from_slice(&value.to_le_bytes());
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.strings.resize(self.strings.len().next_multiple_of(8), 0);
        let (symbols, strings) =
            (std::mem::take(&mut self.symbols), std::mem::take(&mut self.strings));
        let places = [
            self.append(&symbols),
            symbols.len() as u32 / 16,
            self.append(&strings),
            strings.len() as u32,
        ];
        for (word, value) in (2..).zip(places) {
            self.set(self.symtab + 4 * word, value);
        }
        self.bytes
    }
}
