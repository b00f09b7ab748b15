//! An object and what a mode changes in it → the object as linkers that know no modes must get it.
//!
//! What changes is written behind what was there, so that the object before can be had again. It must not know why
//! anything changes.

use super::code::Code;
use crate::bytes::{slice, str_at, u32_at};
use crate::class::{Class, RawReloc, RawSymbol, SectionHeader};
use crate::model::archive;

/// What changes in an object.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Change {
    /// Symbols, by number, and other names for them that all objects of the link see, and nobody else.
    pub(super) aliases: Vec<(u32, String)>,
    /// Symbols that nobody outside sees, and their names.
    pub(super) hidden: Vec<(u32, String)>,
    pub(super) pointer: Option<Pointer>,
    /// Common blocks, by number, that become sections so large and aligned so.
    pub(super) blocks: Vec<(u32, (u64, u64))>,
    pub(super) marks: Vec<Mark>,
}

/// A name for where a section starts or ends that all objects of the link see, and nobody else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) at_end: bool,
}

/// A variable that holds an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pointer {
    /// Its number and name.
    pub(super) symbol: (u32, String),
    /// The name of what it leads to.
    pub(super) target: String,
}

/// The end of every changed object; before it the number of bytes there were, before that the file header.
pub(super) const MAGIC: &[u8; 8] = b"\0sugared";
/// STV_HIDDEN.
const HIDDEN: u8 = 2;
/// Bytes of zeros that may become bytes of the file.
const MOST: usize = 1 << 27;

/// `bytes` with `change`; none if it is no object that can be changed so.
pub(super) fn changed(code: &Code, bytes: &[u8], change: &Change) -> Option<Vec<u8>> {
    let mut editor = Editor::read(code, bytes, &change.blocks)?;
    change.aliases.iter().try_for_each(|(at, name)| editor.alias(*at as usize, name))?;
    change.hidden.iter().try_for_each(|(at, _)| editor.hide(*at as usize))?;
    if let Some(Pointer { symbol, target }) = &change.pointer {
        editor.point(symbol.0 as usize, target)?;
    }
    change.marks.iter().try_for_each(|mark| editor.mark(mark))?;
    editor.touched.then(|| editor.finish())
}

/// The object, or archive with such members, that became `bytes`; none if none did.
pub(super) fn original(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.starts_with(archive::MAGIC) {
        memchr::memmem::find(bytes, MAGIC)?;
        return archive::with_members(bytes, |_, member| original(member));
    }
    let size = Class::of(bytes)?.sizes().header as usize;
    let rest = bytes.strip_suffix(MAGIC)?;
    let (rest, len) = rest.split_last_chunk()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let head = rest.get(rest.len().checked_sub(size)?..)?;
    Some([head, rest.get(size..len)?].concat())
}

/// An object in the making: its tables, as far as they are new.
struct Editor<'o> {
    code: &'o Code,
    bytes: &'o [u8],
    /// See [`Change::blocks`].
    blocks: &'o [(u32, (u64, u64))],
    /// Anything is new.
    touched: bool,
    sections: Vec<SectionHeader>,
    /// New contents, by section.
    contents: Vec<Option<Vec<u8>>>,
    /// Numbers of sections: section names, symbols, their names.
    names: usize,
    symtab: usize,
    strtab: usize,
}

impl<'o> Editor<'o> {
    fn read(code: &'o Code, bytes: &'o [u8], blocks: &'o [(u32, (u64, u64))]) -> Option<Self> {
        let header = code.class.file_header(bytes)?;
        let sections = code.class.sections(bytes, &header)?;
        let names = match header.names {
            0xffff => sections.first()?.link as usize,
            names => names.into(),
        };
        let symtab = sections.iter().rposition(|section| section.kind == 2);
        let strtab = symtab.map(|symtab| sections[symtab].link as usize);
        let is_strings = |at: usize| sections.get(at).is_some_and(|section| section.kind == 3);
        (is_strings(names) && strtab.is_none_or(is_strings)).then_some(())?;
        let contents = vec![None; sections.len()];
        let (touched, has) = (false, symtab.is_some());
        let (symtab, strtab) = (symtab.unwrap_or_default(), strtab.unwrap_or_default());
        let mut editor =
            Self { code, bytes, blocks, touched, sections, contents, names, symtab, strtab };
        if !has {
            editor.add_symtab()?;
        }
        Some(editor)
    }

    /// Assemblers write no symbol table where there is nothing to write.
    fn add_symtab(&mut self) -> Option<()> {
        let class = self.code.class;
        let mut add = |name: &str, header: SectionHeader, content: Vec<u8>| {
            let name = self.string(self.names, name)?;
            self.sections.push(SectionHeader { name, ..header });
            self.contents.push(Some(content));
            Some(self.sections.len() - 1)
        };
        let strtab = add(".strtab", SectionHeader { kind: 3, align: 1, ..NONE }, vec![0])?;
        let (link, align, entsize) = (strtab as u32, class.word(), class.sizes().symbol);
        let header = SectionHeader { kind: 2, link, info: 1, align, entsize, ..NONE };
        self.symtab = add(".symtab", header, vec![0; entsize as usize])?;
        self.strtab = strtab;
        Some(())
    }

    /// What a section holds, to be changed.
    fn content(&mut self, at: usize) -> Option<&mut Vec<u8>> {
        if self.contents.get(at)?.is_none() {
            let SectionHeader { offset, size, kind, .. } = *self.sections.get(at)?;
            let old = if kind == 8 { &[] } else { slice(self.bytes, offset, size)? };
            self.contents[at] = Some(old.to_vec());
        }
        self.contents[at].as_mut()
    }

    fn string(&mut self, table: usize, text: &str) -> Option<u32> {
        let strings = self.content(table)?;
        let at = strings.len() as u32;
        strings.extend(text.as_bytes());
        strings.push(0);
        Some(at)
    }

    /// The symbol called `name`, the best there is: one that others see, and of those a definition.
    fn symbol(&mut self, name: &str) -> Option<(usize, RawSymbol)> {
        let class = self.code.class;
        let size = class.sizes().symbol as usize;
        let strings = self.content(self.strtab)?.clone();
        let table = self.content(self.symtab)?.chunks_exact(size).enumerate();
        let all = table.filter_map(|(at, raw)| Some((at, class.symbol(raw)?)));
        let named = |symbol: &RawSymbol| {
            let text = str_at(&strings, symbol.name.into());
            text == name || text.strip_prefix(name).is_some_and(|rest| rest.starts_with("@@"))
        };
        let own = all.filter(|(_, symbol)| named(symbol));
        own.max_by_key(|(at, s)| (s.info >> 4 != 0, s.section != 0, std::cmp::Reverse(*at)))
    }

    /// The symbol at `at`.
    fn record(&mut self, at: usize) -> Option<RawSymbol> {
        let class = self.code.class;
        let size = class.sizes().symbol as usize;
        class.symbol(self.content(self.symtab)?.get(at * size..(at + 1) * size)?)
    }

    fn symbol_bytes(&self, symbol: &RawSymbol) -> Vec<u8> {
        let RawSymbol { name, info, other, section, value, size } = *symbol;
        let class = self.code.class;
        let rest = [&[info, other][..], &section.to_le_bytes()].concat();
        let numbers = [word(class, value), word(class, size)].concat();
        let name = name.to_le_bytes().to_vec();
        match class {
            Class::Elf64 => [name, rest, numbers].concat(),
            Class::Elf32 => [name, numbers, rest].concat(),
        }
    }

    fn put_symbol(&mut self, at: usize, symbol: &RawSymbol) -> Option<()> {
        let raw = self.symbol_bytes(symbol);
        let place = at * raw.len();
        self.touched = true;
        self.content(self.symtab)?.get_mut(place..place + raw.len())?.copy_from_slice(&raw);
        Some(())
    }

    /// Adds a symbol that others see.
    fn add_symbol(&mut self, name: &str, symbol: &RawSymbol, wide: u32) -> Option<usize> {
        self.touched = true;
        let name = self.string(self.strtab, name)?;
        let raw = self.symbol_bytes(&RawSymbol { name, ..*symbol });
        let table = self.content(self.symtab)?;
        let at = table.len() / raw.len();
        table.extend(raw);
        if let Some(numbers) = self.sections.iter().rposition(|section| section.kind == 18) {
            let numbers = self.content(numbers)?;
            numbers.resize(4 * at, 0);
            numbers.extend(wide.to_le_bytes());
        }
        Some(at)
    }

    /// Section numbers of symbols that don't fit them.
    fn wide(&mut self, symbol: usize) -> u32 {
        let table = self.sections.iter().rposition(|section| section.kind == 18);
        let table = table.and_then(|at| self.content(at).map(|content| &*content));
        table.and_then(|table| u32_at(table, 4 * symbol as u64)).unwrap_or(0)
    }

    /// Nobody outside sees the symbol at `at`.
    fn hide(&mut self, at: usize) -> Option<()> {
        let symbol = self.record(at)?;
        let other = symbol.other | HIDDEN;
        match symbol.other & 3 {
            0 => self.put_symbol(at, &RawSymbol { other, ..symbol }),
            _ => Some(()),
        }
    }

    /// The symbol at `at` is `name` for all objects, and for nobody outside.
    fn alias(&mut self, at: usize, name: &str) -> Option<()> {
        let mut symbol = self.record(at)?;
        if symbol.section == 0xfff2 {
            self.allot(at, &symbol)?;
            symbol = self.record(at)?;
        }
        let wide = if symbol.section == 0xffff { self.wide(at) } else { 0 };
        let info = 1 << 4 | symbol.info & 15;
        let other = symbol.other & !3 | HIDDEN;
        self.add_symbol(name, &RawSymbol { info, other, ..symbol }, wide).map(drop)
    }

    /// A section's start or end has a name; of several sections the first one's start, the last one's end.
    fn mark(&mut self, mark: &Mark) -> Option<()> {
        let names = self.content(self.names)?.clone();
        let is_named = |s: &SectionHeader| str_at(&names, s.name.into()) == mark.section;
        let found = match mark.at_end {
            false => self.sections.iter().position(is_named),
            true => self.sections.iter().rposition(is_named),
        };
        let section = u16::try_from(found?).ok().filter(|number| *number < 0xff00)?;
        let value = if mark.at_end { self.sections[found?].size } else { 0 };
        let symbol = RawSymbol { name: 0, info: 1 << 4, other: HIDDEN, section, value, size: 0 };
        self.add_symbol(mark.name, &symbol, 0).map(drop)
    }

    /// The variable at `at` holds the address of `target`.
    fn point(&mut self, at: usize, target: &str) -> Option<()> {
        let symbol = self.record(at)?;
        let (section, offset) = match symbol.section {
            0xfff2 => (self.allot(at, &symbol)?, 0),
            0xffff => (self.wide(at) as usize, symbol.value),
            0 | 0xff00.. => return None,
            section => (section.into(), symbol.value),
        };
        self.fill(section)?;
        let width = self.code.class.word();
        let end = usize::try_from(offset.checked_add(width)?).ok()?;
        self.content(section)?.get_mut(offset as usize..end)?.fill(0);
        let target = match self.symbol(target).filter(|(_, symbol)| symbol.info >> 4 != 0) {
            Some((at, _)) => at,
            None => {
                let other = if target.starts_with(super::ALIAS) { HIDDEN } else { 0 };
                let none =
                    RawSymbol { name: 0, info: 1 << 4, other, section: 0, value: 0, size: 0 };
                self.add_symbol(target, &none, 0)?
            }
        };
        self.relocate(section, offset, target as u32)
    }

    /// A section of its own for a common symbol.
    fn allot(&mut self, at: usize, symbol: &RawSymbol) -> Option<usize> {
        let number = self.sections.len();
        let section = u16::try_from(number).ok().filter(|number| *number < 0xff00)?;
        let own = self.blocks.iter().find(|(number, _)| *number as usize == at);
        let (size, align) = own.map_or((symbol.size, symbol.value), |(_, block)| *block);
        let name = self.string(self.names, ".noptrbss")?;
        // SHF_ALLOC, SHF_WRITE.
        let header = SectionHeader { name, kind: 8, flags: 3, size, align, ..NONE };
        self.sections.push(header);
        self.contents.push(None);
        // STT_OBJECT.
        let info = symbol.info & 0xf0 | 1;
        self.put_symbol(at, &RawSymbol { info, section, value: 0, size, ..*symbol })?;
        Some(number)
    }

    /// A section of zeros becomes one of data, and is called like others of data.
    fn fill(&mut self, at: usize) -> Option<()> {
        let SectionHeader { kind, size, name, .. } = *self.sections.get(at)?;
        if kind != 8 {
            return Some(());
        }
        let size = usize::try_from(size).ok().filter(|size| *size <= MOST)?;
        let names = self.content(self.names)?;
        let name = str_at(names, name.into()).to_owned();
        let like = [(".bss", ".data"), (".noptrbss", ".noptrdata")].into_iter().find_map(|it| {
            let rest = name.strip_prefix(it.0)?;
            (rest.is_empty() || rest.starts_with('.')).then(|| format!("{}{rest}", it.1))
        });
        if let Some(like) = like {
            self.sections[at].name = self.string(self.names, &like)?;
        }
        self.sections[at].kind = 1;
        self.contents[at] = Some(vec![0; size]);
        Some(())
    }

    /// The word at `offset` of a section holds the address of a symbol, and nothing else is there.
    fn relocate(&mut self, section: usize, offset: u64, symbol: u32) -> Option<()> {
        let (class, word) = (self.code.class, self.code.word);
        let is_table = |header: &SectionHeader| {
            matches!(header.kind, 4 | 9) && header.info as usize == section
        };
        let table = match self.sections.iter().position(is_table) {
            Some(table) => table,
            None => self.add_table(section)?,
        };
        let rela = self.sections[table].kind == 4;
        let end = offset.checked_add(class.word())?;
        let size = class.reloc_size(rela) as usize;
        let own = RawReloc { offset, r_type: word.0, symbol, addend: rela.then_some(0) };
        let own = record(class, &own);
        self.touched = true;
        let content = self.content(table)?;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for raw in content.chunks_exact(size) {
            let at = class.relocs(raw, rela).next()?.offset;
            if at < offset {
                before.extend(raw);
            } else if at >= end {
                after.extend(raw);
            }
        }
        *content = [before, own, after].concat();
        Some(())
    }

    fn add_table(&mut self, section: usize) -> Option<usize> {
        let (class, rela) = (self.code.class, self.code.rela);
        let old = self.sections[section].name;
        let names = self.content(self.names)?;
        let name = str_at(names, old.into()).to_owned();
        let (kind, prefix) = if rela { (4, ".rela") } else { (9, ".rel") };
        let name = self.string(self.names, &format!("{prefix}{name}"))?;
        let (link, info) = (self.symtab as u32, section as u32);
        let (align, entsize) = (class.word(), class.reloc_size(rela));
        // SHF_INFO_LINK.
        let header = SectionHeader { name, kind, flags: 0x40, link, info, align, entsize, ..NONE };
        self.sections.push(header);
        self.contents.push(Some(Vec::new()));
        Some(self.sections.len() - 1)
    }

    fn finish(mut self) -> Vec<u8> {
        let class = self.code.class;
        let mut out = self.bytes.to_vec();
        for (section, content) in self.sections.iter_mut().zip(&self.contents) {
            if let Some(content) = content {
                out.resize(out.len().next_multiple_of(16), 0);
                (section.offset, section.size) = (out.len() as u64, content.len() as u64);
                out.extend(content);
            }
        }
        out.resize(out.len().next_multiple_of(16), 0);
        let table = out.len() as u64;
        let count = u16::try_from(self.sections.len()).ok().filter(|count| *count < 0xff00);
        self.sections[0].size = if count.is_none() { self.sections.len() as u64 } else { 0 };
        for section in &self.sections {
            out.extend(section_bytes(class, section));
        }
        let word = class.word() as usize;
        // e_shoff, the third of three words from offset 24; e_shnum, twelve bytes behind them.
        let places = [(24 + 2 * word, table, word), (36 + 3 * word, count.unwrap_or(0).into(), 2)];
        out.extend(&self.bytes[..class.sizes().header as usize]);
        out.extend((self.bytes.len() as u64).to_le_bytes());
        out.extend(MAGIC);
        for (at, value, len) in places {
            out[at..at + len].copy_from_slice(&u64::to_le_bytes(value)[..len]);
        }
        out
    }
}

/// A header of nothing.
const NONE: SectionHeader = SectionHeader {
    name: 0,
    kind: 0,
    flags: 0,
    address: 0,
    offset: 0,
    size: 0,
    link: 0,
    info: 0,
    align: 0,
    entsize: 0,
};

fn word(class: Class, value: u64) -> Vec<u8> {
    value.to_le_bytes()[..class.word() as usize].to_vec()
}

fn section_bytes(class: Class, header: &SectionHeader) -> Vec<u8> {
    let SectionHeader { name, kind, flags, address, offset, size, link, info, align, entsize } =
        *header;
    let mut out = [name.to_le_bytes(), kind.to_le_bytes()].concat();
    [flags, address, offset, size].iter().for_each(|value| out.extend(word(class, *value)));
    out.extend([link.to_le_bytes(), info.to_le_bytes()].concat());
    [align, entsize].iter().for_each(|value| out.extend(word(class, *value)));
    out
}

fn record(class: Class, reloc: &RawReloc) -> Vec<u8> {
    let info = match class {
        Class::Elf64 => u64::from(reloc.symbol) << 32 | u64::from(reloc.r_type),
        Class::Elf32 => u64::from(reloc.symbol) << 8 | u64::from(reloc.r_type & 0xff),
    };
    let addend = reloc.addend.map(|addend| word(class, addend as u64));
    [word(class, reloc.offset), word(class, info), addend.unwrap_or_default()].concat()
}
