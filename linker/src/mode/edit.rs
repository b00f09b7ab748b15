//! An object's bytes → the same with what a mode changes in it: a word that holds an address, a name for what has
//! none that others see.
//!
//! Tables that grow move to the end of the file; everything else stays where it is, so the result is read like any
//! object. Must not know what the word or the name is for.

use crate::format::elf::class::{Class, RelocForm, SymbolRecord};
use crate::format::elf::read::section_table;
use crate::format::elf::*;
use crate::object::{Home, Object, Reloc, Section, Symbol, bind, c_string, kind, vis};
use crate::{Error, ErrorKind, Result, Site};

/// Bytes of zeros that may become bytes of the file, as where the word is has some: more than any runtime has.
const MOST: u64 = 1 << 27;

/// Names of sections of zeros, and of those of data that are like them.
const ZEROS: [(&[u8], &[u8]); 2] = [(b".bss", b".data"), (b".noptrbss", b".noptrdata")];

/// An object in the making.
pub(super) struct Editor<'o> {
    object: &'o Object<'o>,
    class: Class,
    bytes: Vec<u8>,
    headers: Vec<Section>,
    /// Section numbers: section names, symbols, the numbers that don't fit those.
    names: u32,
    symtab: u32,
    extended: Option<u32>,
    /// New symbols that others see, with their numbers.
    added: Vec<(String, u32)>,
}

impl<'o> Editor<'o> {
    /// Starts with `object` as it is.
    ///
    /// Errors: `bad-input` if it has no tables to add to.
    pub(super) fn new(object: &'o Object<'o>) -> Result<Self> {
        let class = object.arch.class;
        let (_, names) = section_table(object.data, &object.name, class)?;
        let headers: Vec<Section> = object.sections.iter().map(|(_, header)| header).collect();
        let last = |kind: u32| headers.iter().rposition(|header| header.kind == kind);
        let symtab = last(SHT_SYMTAB).unwrap_or(0) as u32;
        let extended = last(SHT_SYMTAB_SHNDX).map(|at| at as u32);
        let is_table = |at: u32| headers.get(at as usize).is_some_and(|h| h.kind == SHT_STRTAB);
        let strings = headers.get(symtab as usize).map_or(0, |header| header.link);
        if !is_table(names) || !is_table(strings) {
            let text = "no string tables to add a name to";
            return Err(Error::new(ErrorKind::BadInput, text).in_file(&object.name));
        }
        let (bytes, added) = (object.data.to_vec(), Vec::new());
        Ok(Self { object, class, bytes, headers, names, symtab, extended, added })
    }

    /// Adds `more` to the section at `index`, and gives its offset there.
    fn append(&mut self, index: u32, more: &[u8]) -> u64 {
        let Section { offset, size, .. } = self.headers[index as usize];
        if offset + size != self.bytes.len() as u64 {
            let content = self.bytes[offset as usize..(offset + size) as usize].to_vec();
            self.replace(index, &content);
        }
        self.bytes.extend(more);
        self.headers[index as usize].size = size + more.len() as u64;
        size
    }

    /// The section at `index` holds `content` and nothing else.
    fn replace(&mut self, index: u32, content: &[u8]) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let (offset, size) = (self.bytes.len() as u64, content.len() as u64);
        self.bytes.extend(content);
        let header = &mut self.headers[index as usize];
        (header.offset, header.size) = (offset, size);
    }

    fn add_string(&mut self, table: u32, text: &[u8]) -> u32 {
        self.append(table, &[text, &[0]].concat()) as u32
    }

    /// Where the symbol at `index` is in the file.
    fn record(&mut self, index: u32) -> &mut [u8] {
        let at = self.headers[self.symtab as usize].offset as usize;
        &mut self.bytes[at + index as usize * self.class.symbol()..][..self.class.symbol()]
    }

    /// Adds a symbol that others see, and gives its number.
    fn add_symbol(&mut self, text: &str, symbol: &SymbolRecord, extended: u32) -> u32 {
        let strings = self.headers[self.symtab as usize].link;
        let name = self.add_string(strings, text.as_bytes());
        let mut raw = vec![0; self.class.symbol()];
        self.class.put_symbol(&mut raw, &SymbolRecord { name, ..*symbol });
        let at = self.append(self.symtab, &raw) / raw.len() as u64;
        if let Some(table) = self.extended {
            let Section { offset, size, .. } = self.headers[table as usize];
            let mut all = self.bytes[offset as usize..(offset + size) as usize].to_vec();
            // A table that ends early says nothing of the rest.
            all.resize(4 * at as usize, 0);
            all.extend(extended.to_le_bytes());
            self.replace(table, &all);
        }
        self.added.push((text.to_owned(), at as u32));
        at as u32
    }

    /// What is at `symbol` is called `name` by all objects of the link, and by nobody else; `common` is its size
    /// and alignment if it is a common block.
    ///
    /// Errors: `bad-input` for one that is none that data can be.
    pub(super) fn alias(&mut self, symbol: u32, name: &str, common: (u64, u64)) -> Result<()> {
        let class = self.class;
        if self.object.symbols.get(symbol).home == Home::Common {
            self.allot(symbol, common)?;
        }
        let raw = class.symbol_at(self.record(symbol));
        let info = bind::GLOBAL << 4 | raw.info & 15;
        let extended = match self.object.symbols.get(symbol).home {
            Home::Section(section) if raw.shndx == SHN_XINDEX => section,
            _ => 0,
        };
        let other = raw.other & !3 | vis::HIDDEN;
        self.add_symbol(name, &SymbolRecord { info, other, ..raw }, extended);
        Ok(())
    }

    /// Nobody outside of the link sees `symbol`.
    pub(super) fn hide(&mut self, symbol: u32) {
        let class = self.class;
        let raw = class.symbol_at(self.record(symbol));
        let other = raw.other & !3 | vis::HIDDEN;
        class.put_symbol(self.record(symbol), &SymbolRecord { other, ..raw });
    }

    /// The variable `symbol` holds the address of `target`. A common one has the size and alignment `common`.
    ///
    /// Errors: `bad-input` if there is no such variable: `symbol` is something else.
    pub(super) fn point(&mut self, symbol: u32, target: &str, common: (u64, u64)) -> Result<()> {
        let (section, at) = match self.object.symbols.get(symbol).home {
            Home::Common => (self.allot(symbol, common)?, 0),
            _ => self.place(symbol)?,
        };
        self.fill(section, symbol)?;
        let place = self.headers[section as usize].offset as usize + at as usize;
        self.bytes[place..place + self.class.word()].fill(0);
        let (kind, sym) = (self.object.arch.dynamic.word, self.mention(target));
        self.relocate(section, symbol, Reloc { offset: at, kind, sym, addend: 0 })
    }

    fn fail<T>(&self, symbol: u32, text: &str) -> Result<T> {
        let name = String::from_utf8_lossy(self.object.symbol_name(symbol)).into_owned();
        let Symbol { home, value, .. } = self.object.symbols.get(symbol);
        let (section, offset) = match home {
            Home::Section(at) => {
                let name = String::from_utf8_lossy(self.object.section_name(at)).into_owned();
                (Some(name), Some(value))
            }
            _ => (None, None),
        };
        let site = Site { file: self.object.name.clone(), section, offset };
        Err(Error::new(ErrorKind::ModeConflict, format!("{name} can't hold an address: {text}"))
            .at(site))
    }

    /// The section and offset of the variable `symbol`.
    fn place(&self, symbol: u32) -> Result<(u32, u64)> {
        let Symbol { home, value, kind: sort, .. } = self.object.symbols.get(symbol);
        let Home::Section(at) = home else { return self.fail(symbol, "it is a number") };
        let Section { kind, flags, size, .. } = self.headers[at as usize];
        let wrong = match kind {
            _ if sort == kind::TLS || flags & SHF_TLS != 0 => Some("each thread has its own"),
            SHT_PROGBITS | SHT_NOBITS
                if flags & (SHF_ALLOC | SHF_WRITE) != SHF_ALLOC | SHF_WRITE =>
            {
                Some("it can't be written")
            }
            SHT_PROGBITS | SHT_NOBITS if flags & SHF_MERGE != 0 => Some("it may be merged"),
            SHT_PROGBITS | SHT_NOBITS if flags & SHF_COMPRESSED != 0 => Some("it is compressed"),
            SHT_PROGBITS | SHT_NOBITS => None,
            _ => Some("its section is not for data"),
        };
        let end = value.checked_add(self.class.word() as u64);
        let wrong = wrong.or(end.is_none_or(|end| end > size).then_some("its section ends before"));
        wrong.map_or(Ok((at, value)), |text| self.fail(symbol, text))
    }

    /// A section of its own for the common block `symbol`, so large and aligned so.
    fn allot(&mut self, symbol: u32, (size, align): (u64, u64)) -> Result<u32> {
        let class = self.class;
        if self.object.symbols.get(symbol).kind == kind::TLS {
            return self.fail(symbol, "each thread has its own");
        }
        if size < class.word() as u64 {
            return self.fail(symbol, "it is too small");
        }
        let section = self.headers.len() as u32;
        let Some(shndx) = u16::try_from(section).ok().filter(|at| *at < SHN_LORESERVE) else {
            return self.fail(symbol, "the file has too many sections");
        };
        let (kind, flags) = (SHT_NOBITS, SHF_ALLOC | SHF_WRITE);
        let name = self.add_string(self.names, ZEROS[1].0);
        self.headers.push(Section { name, kind, flags, size, align, ..Section::default() });
        let raw = class.symbol_at(self.record(symbol));
        let info = raw.info & 0xf0 | kind::OBJECT;
        let defined = SymbolRecord { info, shndx, value: 0, size, ..raw };
        class.put_symbol(self.record(symbol), &defined);
        Ok(section)
    }

    /// The section at `index` has bytes in the file, if it had none.
    fn fill(&mut self, index: u32, symbol: u32) -> Result<()> {
        let Section { name, kind, size, .. } = self.headers[index as usize];
        if kind != SHT_NOBITS {
            return Ok(());
        }
        if size > MOST {
            return self.fail(symbol, "too many zeros are around it");
        }
        self.replace(index, &vec![0; size as usize]);
        self.headers[index as usize].kind = SHT_PROGBITS;
        let table = self.headers[self.names as usize];
        let old = c_string(table.data(&self.bytes), name).to_vec();
        let like = ZEROS.iter().find_map(|(zeros, data)| {
            let rest = old.strip_prefix(*zeros)?;
            (rest.is_empty() || rest[0] == b'.').then(|| [*data, rest].concat())
        });
        if let Some(like) = like {
            self.headers[index as usize].name = self.add_string(self.names, &like);
        }
        Ok(())
    }

    /// The number of a symbol called `name` that all objects mean by it.
    fn mention(&mut self, name: &str) -> u32 {
        let old = self.object.keys.iter().position(|key| key.0 == name.as_bytes());
        let new = || self.added.iter().find(|added| added.0 == name).map(|added| added.1);
        match old.map(|at| self.object.first_global + at as u32).or_else(new) {
            Some(at) => at,
            None => {
                let info = bind::GLOBAL << 4 | kind::NOTYPE;
                self.add_symbol(name, &SymbolRecord { info, ..SymbolRecord::default() }, 0)
            }
        }
    }

    /// `reloc` in the place of those that are where it is.
    fn relocate(&mut self, section: u32, symbol: u32, reloc: Reloc) -> Result<()> {
        let own = self.object.relocs_of.get(section as usize).copied().filter(|at| *at != 0);
        let table = own.unwrap_or_else(|| self.add_relocations(section));
        let header = self.headers[table as usize];
        let form = RelocForm { class: self.class, explicit: header.kind == SHT_RELA };
        let word = reloc.offset..reloc.offset + self.class.word() as u64;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for raw in header.data(&self.bytes).chunks_exact(form.size()) {
            let other = form.read(raw);
            let len = self.object.arch.row(other.kind).map_or(1, |row| row.field.len().max(1));
            let end = other.offset.saturating_add(len);
            match (word.contains(&other.offset), end) {
                (true, end) if end <= word.end => {}
                (false, end) if end <= word.start => before.extend(raw),
                (false, _) if other.offset >= word.end => after.extend(raw),
                _ => return self.fail(symbol, "another relocation overlaps it"),
            }
        }
        let mut raw = vec![0; form.size()];
        form.write(&mut raw, &reloc);
        self.replace(table, &[before, raw, after].concat());
        Ok(())
    }

    /// A table for the relocations of `section`.
    fn add_relocations(&mut self, section: u32) -> u32 {
        let form = self.object.arch.relocs();
        let strings = self.headers[self.names as usize];
        let name = c_string(strings.data(&self.bytes), self.headers[section as usize].name);
        let name = [form.prefix().as_bytes(), name].concat();
        let name = self.add_string(self.names, &name);
        let (link, info) = (self.symtab, section);
        let (kind, flags, size) = (form.section_kind(), SHF_INFO_LINK, form.size() as u64);
        let align = self.class.word() as u64;
        let header =
            Section { name, kind, flags, link, info, align, entsize: size, ..Section::default() };
        self.headers.push(header);
        self.headers.len() as u32 - 1
    }

    /// The file.
    ///
    /// Errors: `bad-input` if it is larger than its class can say.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        let (at, size) = (self.class.header_offsets(), self.class.section());
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let start = self.bytes.len();
        let count = self.headers.len();
        // What the field can't hold the first header does.
        let short = u16::try_from(count).ok().filter(|count| *count < SHN_LORESERVE).unwrap_or(0);
        self.headers[0].size = if short == 0 { count as u64 } else { 0 };
        self.bytes.resize(start + count * size, 0);
        if self.bytes.len() as u64 > self.class.last_address() {
            let text = "the file has no room for more";
            return Err(Error::new(ErrorKind::BadInput, text).in_file(&self.object.name));
        }
        for (header, raw) in self.headers.iter().zip(self.bytes[start..].chunks_exact_mut(size)) {
            self.class.put_section(raw, header);
        }
        self.class.put_word(&mut self.bytes[at.sections..], start as u64);
        self.bytes[at.section_count..][..2].copy_from_slice(&short.to_le_bytes());
        Ok(self.bytes)
    }
}
