//! A correct output → which of its bits say nothing to a loader, an unwinder or a program, and why.
//!
//! What is not named here is taken to have a meaning: a flip of it that nobody sees is a gap of the
//! judge. It must not know the judge.

mod records;

use std::collections::BTreeMap;
use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, Mnemonic};

use records::{Header, definitions, headers, marked, needs};

use super::mutations::edit::{get, named, small};
use crate::Request;
use crate::model::MARKER_MAGIC;

/// A part of the file, and the bits of it that mean nothing.
pub(super) struct Region {
    pub(super) name: String,
    pub(super) file: Range<usize>,
}

/// Bits without a meaning, by byte of the file.
pub(super) struct Idle {
    bits: Vec<u8>,
    /// How many bits, by region and reason.
    pub(super) reasons: BTreeMap<(String, &'static str), u64>,
}

/// The regions that a loader may look into: headers, program headers, allocated sections.
pub(super) fn regions(image: &[u8]) -> Vec<Region> {
    let table = small(image, 32, 8).unwrap_or(0);
    let count = small(image, 56, 2).unwrap_or(0);
    let mut list = vec![
        Region { name: "ELF header".into(), file: 0..64 },
        Region { name: "program headers".into(), file: table..table + count * 56 },
    ];
    for header in headers(image) {
        if header.flags & 2 != 0 && header.kind != 8 && !header.file.is_empty() {
            list.push(Region { name: header.name, file: header.file });
        }
    }
    list
}

impl Idle {
    /// Classifies the bits of a correct output.
    pub(super) fn of(request: &Request, image: &[u8]) -> Self {
        let mut idle = Self { bits: vec![0; image.len()], reasons: BTreeMap::new() };
        idle.elf_header(request);
        idle.program_headers(image);
        let headers = headers(image);
        for header in &headers {
            match (&*header.name, header.kind) {
                (name, 7) => idle.all(name, header.file.clone(), "notes are for tools"),
                (".eh_frame", _) => idle.frames(image, &headers, header),
                (_, 5) => idle.chains(image, header),
                (".dynamic", _) => idle.dynamic(image, header.file.clone()),
                (_, 11) => idle.symbols(image, header.file.clone()),
                (".dynstr", _) => idle.strings(image, &headers, header),
                (_, 0x6fff_ffff) => idle.versions(image, &headers, header),
                (_, 0x6fff_fffd) => idle.definitions(image, header),
                (_, 0x6fff_fffe) => idle.needs(image, header),
                (_, 0x6fff_fff6) => idle.bloom(image, header),
                (name, 1) if name.starts_with(".plt") || name == ".iplt" => {
                    idle.stubs(image, header);
                }
                (_, 1 | 14 | 15) => idle.content(request, image, header),
                _ => {}
            }
        }
        idle.relocated(image, &headers);
        idle
    }

    /// Whether that bit of that byte means nothing.
    pub(super) fn is(&self, at: usize, bit: u8) -> bool {
        self.bits.get(at).is_some_and(|bits| bits >> bit & 1 != 0)
    }

    fn mark(&mut self, region: &str, at: usize, bits: u8, reason: &'static str) {
        if let Some(old) = self.bits.get_mut(at) {
            let fresh = (bits & !*old).count_ones();
            *old |= bits;
            if fresh > 0 {
                *self.reasons.entry((region.to_owned(), reason)).or_default() += u64::from(fresh);
            }
        }
    }

    fn all(&mut self, region: &str, range: Range<usize>, reason: &'static str) {
        for at in range {
            self.mark(region, at, 0xff, reason);
        }
    }

    fn elf_header(&mut self, request: &Request) {
        let region = "ELF header";
        if request.mode.is_library() {
            self.all(region, 24..32, "nobody enters a library");
        }
        for range in [40..48, 58..64] {
            self.all(region, range, "no loader reads section headers");
        }
    }

    /// What Linux, glibc and libgcc read of each.
    fn program_headers(&mut self, image: &[u8]) {
        let table = small(image, 32, 8).unwrap_or(0);
        let region = "program headers";
        for at in (0..small(image, 56, 2).unwrap_or(0)).map(|i| table + i * 56) {
            let kind = small(image, at, 4).unwrap_or(0);
            // Offsets of the fields: flags 4, offset 8, vaddr 16, paddr 24, filesz 32, memsz 40, align 48.
            let read: &[usize] = match kind {
                1 => &[4, 8, 16, 32, 40, 48],
                2 => &[16, 40],
                3 => &[8, 32],
                6 | 0x6474_e550 => &[16],
                7 => &[16, 32, 40, 48],
                0x6474_e551 => &[4],
                0x6474_e552 => &[16, 40],
                _ => &[],
            };
            for (field, len) in [(4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8)] {
                if !read.contains(&field) {
                    self.all(region, at + field..at + field + len, "no loader reads the field");
                }
            }
            if kind == 1 {
                self.zeros(image, at);
            }
            if read.contains(&4) {
                self.mark(region, at + 4, 0xf8, "flags that say nothing");
                self.all(region, at + 5..at + 8, "flags that say nothing");
            }
            if !matches!(kind, 1..=3 | 6 | 7 | 0x6474_e550..=0x6474_e552) {
                self.all(region, at..at + 4, "a segment that no loader reads");
            }
        }
    }

    /// Zeros behind the last segment do no harm.
    fn zeros(&mut self, image: &[u8], at: usize) {
        let (start, size) = (get(image, at + 16).unwrap_or(0), get(image, at + 40).unwrap_or(0));
        let table = small(image, 32, 8).unwrap_or(0);
        let last = (0..small(image, 56, 2).unwrap_or(0)).map(|i| table + i * 56).all(|other| {
            small(image, other, 4) != Some(1) || get(image, other + 16).unwrap_or(0) <= start
        });
        for bit in (0..16).filter(|bit| last && size >> bit & 1 == 0) {
            let reason = "more zeros behind the image";
            self.mark("program headers", at + 40 + bit / 8, 1 << (bit % 8), reason);
        }
    }

    /// Frames of code that the linker made: its PLT.
    fn frames(&mut self, image: &[u8], headers: &[Header], header: &Header) {
        let text = headers.iter().filter(|h| h.name == ".text");
        let code: Vec<Range<usize>> = text.map(|h| h.address..h.address + h.file.len()).collect();
        let mut records = Vec::new();
        let mut used = Vec::new();
        let mut at = header.file.start;
        while let Some(len) =
            small(image, at, 4).filter(|len| *len > 0 && at + 8 <= header.file.end)
        {
            let back = small(image, at + 4, 4).unwrap_or(0);
            let place = header.address + (at + 8 - header.file.start);
            let offset = small(image, at + 8, 4).unwrap_or(0) as u32 as i32;
            let start = place.wrapping_add_signed(offset as isize);
            let ours = back != 0 && code.iter().any(|code| code.contains(&start));
            if ours {
                used.push(at + 4 - back);
            }
            records.push((at, len + 4, back == 0, ours));
            at += len + 4;
        }
        for (at, len, cie, ours) in records {
            let read = ours || cie && used.contains(&at);
            if !read {
                self.all(&header.name, at..at + len, "the frame of the linker's own code");
            }
        }
    }

    /// Entries of DT_HASH that no bucket leads to.
    fn chains(&mut self, image: &[u8], header: &Header) {
        let word = |i: usize| small(image, header.file.start + i * 4, 4).unwrap_or(0);
        let (buckets, symbols) = (word(0), word(1));
        let mut used = vec![false; symbols];
        for bucket in 0..buckets {
            let mut index = word(2 + bucket);
            while index != 0 && index < symbols && !used[index] {
                used[index] = true;
                index = word(2 + buckets + index);
            }
        }
        for (index, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
            let at = header.file.start + (2 + buckets + index) * 4;
            self.all(&header.name, at..at + 4, "a chain that no bucket leads to");
        }
    }

    fn dynamic(&mut self, image: &[u8], range: Range<usize>) {
        let region = ".dynamic";
        let mut ended = false;
        for at in range.step_by(16) {
            let tag = get(image, at).unwrap_or(0);
            if ended {
                self.all(region, at..at + 16, "behind DT_NULL");
                continue;
            }
            ended = tag == 0;
            let value = at + 8..at + 16;
            match tag {
                0 => self.all(region, value, "the value of DT_NULL"),
                21 => {
                    self.all(region, value, "DT_DEBUG is for debuggers");
                    self.all(region, at + 1..at + 8, "DT_DEBUG is for debuggers");
                    self.mark(region, at, 0xc0, "DT_DEBUG is for debuggers");
                }
                // Fewer are right too: it is a hint.
                0x6fff_fff9 => {
                    for byte in value {
                        self.mark(region, byte, image[byte], "a hint may be lower");
                    }
                }
                _ => {}
            }
        }
    }

    fn symbols(&mut self, image: &[u8], range: Range<usize>) {
        let region = ".dynsym";
        for (i, at) in range.step_by(24).enumerate() {
            let local = image.get(at + 4).is_some_and(|info| info >> 4 == 0);
            if i == 0 || local {
                self.all(region, at..at + 24, "local symbols answer to nobody");
                continue;
            }
            self.mark(region, at + 5, 0xfc, "st_other beside the visibility");
            match small(image, at + 6, 2) {
                Some(0) => self.all(region, at + 16..at + 24, "the size of an import"),
                Some(section) if section < 0xff00 => {
                    // Zero and the special numbers are one flip away at most here and there.
                    for (byte, bit) in (0..16).map(|bit| (at + 6 + bit / 8, bit % 8)) {
                        let flipped = section ^ 1 << (8 * (byte - at - 6) + bit);
                        if flipped != 0 && flipped < 0xff00 {
                            self.mark(
                                region,
                                byte,
                                1 << bit,
                                "loaders ask only for SHN_UNDEF and ABS",
                            );
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Strings that nothing names.
    fn strings(&mut self, image: &[u8], headers: &[Header], header: &Header) {
        let mut starts = Vec::new();
        for other in headers {
            let file = other.file.clone();
            match (&*other.name, other.kind) {
                (_, 11) => starts.extend(file.step_by(24).filter_map(|at| small(image, at, 4))),
                (".dynamic", _) => {
                    let named = |at: &usize| matches!(get(image, *at), Some(1 | 14 | 15 | 29));
                    let entries = file.step_by(16).filter(named);
                    starts.extend(entries.filter_map(|at| small(image, at + 8, 8)));
                }
                (_, 0x6fff_fffd) => {
                    starts.extend(
                        definitions(image, file)
                            .iter()
                            .filter_map(|(_, aux, base)| small(image, *aux, 4).filter(|_| !base)),
                    );
                }
                (_, 0x6fff_fffe) => {
                    for (need, list) in needs(image, file) {
                        starts.extend(small(image, need + 4, 4));
                        starts.extend(list.iter().filter_map(|aux| small(image, aux + 8, 4)));
                    }
                }
                _ => {}
            }
        }
        let mut used = vec![false; header.file.len()];
        for start in starts.into_iter().filter(|start| *start != 0) {
            let tail = image.get(header.file.start + start..header.file.end).unwrap_or_default();
            let end = memchr::memchr(0, tail).map_or(tail.len(), |end| end + 1);
            used.iter_mut().skip(start).take(end).for_each(|used| *used = true);
        }
        for (i, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
            self.all(".dynstr", header.file.start + i..header.file.start + i + 1, "no name");
        }
    }

    fn versions(&mut self, image: &[u8], headers: &[Header], header: &Header) {
        let Some(symbols) = headers.iter().find(|h| h.kind == 11) else { return };
        for (i, at) in symbols.file.clone().step_by(24).enumerate() {
            if i == 0 || image.get(at + 4).is_some_and(|info| info >> 4 == 0) {
                let start = header.file.start + i * 2;
                self.all(&header.name, start..start + 2, "the version of a local symbol");
            }
            let start = header.file.start + i * 2;
            // bfd exports a number of the name of each version it defines.
            if small(image, at + 6, 2) == Some(0xfff1) {
                self.all(&header.name, start..start + 2, "the version of a version's name");
            }
            if small(image, at + 6, 2) == Some(0) && small(image, start, 2).is_some_and(|v| v < 2) {
                self.mark(&header.name, start, 1, "0 and 1 say the same of an import");
            }
        }
    }

    fn definitions(&mut self, image: &[u8], header: &Header) {
        for (at, aux, base) in definitions(image, header.file.clone()) {
            let count = small(image, at + 6, 2).unwrap_or(0);
            self.mark(&header.name, at + 2, 0xfc, "flags that say nothing");
            self.all(&header.name, at + 3..at + 4, "flags that say nothing");
            if base {
                let reason = "the file's own name is no version";
                self.all(&header.name, at + 8..at + 16, reason);
                self.all(&header.name, aux..aux + 8, reason);
            } else if count > 1 {
                let parent = aux + small(image, aux + 4, 4).unwrap_or(0);
                self.all(&header.name, parent..parent + 8, "the parent is for people");
                self.all(&header.name, aux + 4..aux + 8, "the parent is for people");
            } else {
                self.all(&header.name, aux + 4..aux + 8, "the parent is for people");
            }
            self.all(&header.name, at + 6..at + 8, "the parent is for people");
        }
    }

    fn needs(&mut self, image: &[u8], header: &Header) {
        for (need, list) in needs(image, header.file.clone()) {
            let _ = need;
            for aux in list {
                // VER_FLG_WEAK only silences a warning.
                self.all(&header.name, aux + 4..aux + 6, "the flags of a version need");
            }
        }
    }

    /// A bloom filter that says "maybe" more often is right too.
    fn bloom(&mut self, image: &[u8], header: &Header) {
        let start = header.file.start + 16;
        let words = small(image, header.file.start + 8, 4).unwrap_or(0);
        let bytes = image.get(start..(start + words * 8).min(header.file.end)).unwrap_or_default();
        for (at, byte) in (start..).zip(bytes) {
            self.mark(&header.name, at, !byte, "a filter that lets more through");
        }
    }

    /// Padding of PLT entries.
    fn stubs(&mut self, image: &[u8], header: &Header) {
        let Some(bytes) = image.get(header.file.clone()) else { return };
        let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
        while decoder.can_decode() {
            let start = decoder.position();
            let mnemonic = decoder.decode().mnemonic();
            let end = decoder.position();
            let padding = [Mnemonic::Nop, Mnemonic::Int3, Mnemonic::Endbr64, Mnemonic::Ud2];
            if padding.contains(&mnemonic) {
                let at = header.file.start;
                self.all(&header.name, at + start..at + end, "padding");
            }
        }
    }

    /// What lies between input sections.
    fn content(&mut self, request: &Request, image: &[u8], header: &Header) {
        let plain = [".text", ".data", ".rodata", ".data.rel.ro", ".tdata"];
        if !plain.contains(&&*header.name) {
            return;
        }
        let mut used = vec![false; header.file.len()];
        let bytes = image.get(header.file.clone()).unwrap_or_default();
        for at in memchr::memmem::find_iter(bytes, &MARKER_MAGIC) {
            let len = bytes.get(at..at + 16).map_or(0, |marker| marked(request, marker));
            used.iter_mut().skip(at).take(len).for_each(|used| *used = true);
        }
        for (i, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
            let at = header.file.start + i;
            self.all(&header.name, at..at + 1, "between input sections");
        }
    }

    /// Slots that the loader writes without reading them; the GOT's reserved words.
    fn relocated(&mut self, image: &[u8], headers: &[Header]) {
        let at = |address: usize, len: usize| {
            let inside = |h: &&Header| {
                h.flags & 2 != 0
                    && h.kind != 8
                    && (h.address..h.address + h.file.len()).contains(&address)
            };
            let header = headers.iter().find(inside)?;
            let start = header.file.start + address - header.address;
            Some((header.name.clone(), start..start + len))
        };
        for header in headers.iter().filter(|h| h.kind == 4 && h.flags & 2 != 0) {
            for entry in header.file.clone().step_by(24) {
                let kind = small(image, entry + 8, 4);
                // An unbound slot leads to the resolver.
                if let (Some(place), Some(1 | 6 | 8 | 16..=18)) = (small(image, entry, 8), kind)
                    && let Some((name, range)) = at(place, 8)
                {
                    self.all(&name, range, "the loader writes it");
                }
            }
        }
        let Some((start, size)) = named(image, ".dynamic") else { return };
        let table = headers.iter().find(|h| h.name == ".dynamic").map_or(0, |h| h.address);
        for header in headers.iter().filter(|h| h.name == ".got" || h.name == ".got.plt") {
            let file = header.file.clone();
            for word in file.step_by(8).filter(|at| small(image, *at, 8) == Some(table)) {
                self.all(&header.name, word..word + 8, "the GOT's reserved words");
            }
        }
        for entry in (start..start + size).step_by(16).filter(|at| get(image, *at) == Some(3)) {
            let base = small(image, entry + 8, 8).unwrap_or(0);
            if let Some((name, range)) = at(base, 24) {
                self.all(&name, range, "the GOT's reserved words");
            }
        }
    }
}
