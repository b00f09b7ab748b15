//! Object → the bytes of a relocatable ELF file for a machine.
//!
//! File order: section contents, relocation tables, symbol table, strings, headers. Section indexes:
//! null, groups, the object's own in their order, `.note.GNU-stack`, one `.rela` (or `.rel`) for each
//! section with relocations, then the tables. An index outside the object becomes 0 and is never a panic.
//! What is a machine's own comes from its row.

use object::elf;

use super::bytes::{Bytes, FileHeader, Header, Sym};
use super::machine::{self, Machine};
use crate::case::{Binding, Definition, Object, Section, SectionKind, Symbol, SymbolKind};
use crate::case::{SymbolRef, Visibility};
use scold_diff::Target;

/// The bytes of `object` as a relocatable file for `target`.
pub fn object(object: &Object, target: Target) -> Vec<u8> {
    let mut writer = Writer::new(object, machine::find(target));
    writer.contents();
    writer.symbols();
    writer.relocations();
    writer.groups();
    writer.finish()
}

struct Writer<'a> {
    object: &'a Object,
    machine: &'static Machine,
    out: Bytes,
    names: Bytes,
    headers: Vec<Header>,
    /// For each section: the group it is in (0 for none).
    group_of: Vec<u32>,
    /// Index of the first `.rela` header; for each section, its `.rela` header or 0.
    rela_of: Vec<u32>,
    rela_start: usize,
    symtab: usize,
    symbol_index: Vec<u32>,
    section_symbol: Vec<u32>,
    signature_index: Vec<u32>,
}

impl<'a> Writer<'a> {
    fn new(object: &'a Object, machine: &'static Machine) -> Self {
        let sections = object.sections.len();
        let mut group_of = vec![0; sections];
        for (i, group) in object.groups.iter().enumerate() {
            for &member in &group.members {
                if let Some(slot) = group_of.get_mut(member) {
                    *slot = i as u32 + 1;
                }
            }
        }
        let rela_start = 1 + object.groups.len() + sections + 1;
        let mut next = rela_start;
        let rela_of: Vec<u32> = object
            .sections
            .iter()
            .map(|section| {
                next += usize::from(!section.relocs.is_empty());
                if section.relocs.is_empty() { 0 } else { next as u32 - 1 }
            })
            .collect();
        let mut out = Bytes(Vec::with_capacity(4096));
        out.0.resize(machine.class.pick(52, 64) as usize, 0);
        Self {
            object,
            machine,
            out,
            names: Bytes(vec![0]),
            headers: vec![Header::default(); next],
            group_of,
            rela_of,
            rela_start,
            symtab: next,
            symbol_index: Vec::new(),
            section_symbol: Vec::new(),
            signature_index: Vec::new(),
        }
    }

    /// The index of the object's section `index` in the file; 0 if there is no such section.
    fn shndx(&self, index: usize) -> u32 {
        if index < self.object.sections.len() {
            (1 + self.object.groups.len() + index) as u32
        } else {
            0
        }
    }

    fn contents(&mut self) {
        for (index, section) in self.object.sections.iter().enumerate() {
            let named = !section.relocs.is_empty();
            let name = if named {
                let prefix = self.machine.prefix();
                let name = self.names.string(prefix);
                self.names.0.pop();
                self.names.string(&section.name);
                name + prefix.len() as u32
            } else {
                self.names.string(&section.name)
            };
            let offset = self.out.align(section.align.clamp(1, 64).next_power_of_two());
            super::append_contents(self.object, index, &mut self.out.0);
            self.machine.put_addends(section, &mut self.out.0[offset as usize..]);
            let header = Header {
                name,
                kind: section_type(section.kind, self.machine),
                flags: section_flags(section) | self.group_flag(index),
                addr: 0,
                offset,
                size: section.size(),
                link: section.link_order.map_or(0, |other| self.shndx(other)),
                info: 0,
                align: section.align,
                entsize: section.entsize,
            };
            let at = self.shndx(index) as usize;
            self.headers[at] = header;
        }
        // Without it GNU ld would make the stack executable, and say so.
        let name = self.names.string(".note.GNU-stack");
        let (offset, kind) = (self.out.len(), elf::SHT_PROGBITS.0);
        self.headers[self.rela_start - 1] =
            Header { name, kind, offset, align: 1, ..Header::default() };
    }

    fn group_flag(&self, index: usize) -> u64 {
        if self.group_of[index] == 0 { 0 } else { elf::SHF_GROUP.0 }
    }

    /// Section symbols that are used, then locals, then the rest, as the gABI orders them.
    fn symbols(&mut self) {
        let object = self.object;
        let mut used = vec![false; object.sections.len()];
        for reloc in object.sections.iter().flat_map(|section| &section.relocs) {
            if let SymbolRef::Section(index) = reloc.symbol
                && let Some(slot) = used.get_mut(index)
            {
                *slot = true;
            }
        }
        let mut table = Table::new(self.machine);
        self.section_symbol = vec![0; object.sections.len()];
        for (index, _) in used.iter().enumerate().filter(|(_, used)| **used) {
            let sym = Sym { info: elf::STT_SECTION.0, ..Sym::NULL };
            self.section_symbol[index] = table.push(sym, self.shndx(index));
        }
        for (i, group) in object.groups.iter().enumerate() {
            let known = object.symbols.iter().any(|symbol| symbol.name == group.signature);
            self.signature_index.push(0);
            if !known {
                let name = table.strings.string(&group.signature);
                self.signature_index[i] = table.push(Sym { name, ..Sym::NULL }, 1 + i as u32);
            }
        }
        for (section, list) in object.sections.iter().enumerate() {
            for (name, value) in self.machine.mapping(object, section, list) {
                let name = table.strings.string(name);
                table.push(Sym { name, value, ..Sym::NULL }, self.shndx(section));
            }
        }
        self.symbol_index = vec![0; object.symbols.len()];
        for local in [true, false] {
            for (i, symbol) in object.symbols.iter().enumerate() {
                if (symbol.binding == Binding::Local) == local {
                    self.symbol_index[i] = self.symbol(symbol, &mut table);
                }
            }
            table.locals = if local { table.count } else { table.locals };
        }
        for (i, group) in object.groups.iter().enumerate() {
            if let Some(at) = object.symbols.iter().position(|s| s.name == group.signature) {
                self.signature_index[i] = self.symbol_index[at];
            }
        }
        self.tables(table);
    }

    fn symbol(&self, symbol: &Symbol, table: &mut Table) -> u32 {
        let (kind, shndx, value) = match symbol.definition {
            Definition::Undefined => (symbol.kind, 0, 0),
            Definition::Section { section, offset } => (symbol.kind, self.shndx(section), offset),
            Definition::Absolute(value) => (symbol.kind, ABS, value),
            Definition::Common { align } => (symbol.kind, COMMON, align),
        };
        let binding = match symbol.binding {
            Binding::Local => elf::STB_LOCAL.0,
            Binding::Global => elf::STB_GLOBAL.0,
            Binding::Weak => elf::STB_WEAK.0,
            Binding::Unique => elf::STB_GNU_UNIQUE.0,
        };
        let sym = Sym {
            name: table.strings.string(&symbol.name),
            info: binding << 4 | symbol_type(kind),
            other: visibility(symbol.visibility),
            shndx: 0,
            value,
            size: symbol.size,
        };
        table.push(sym, shndx)
    }

    /// Writes `.symtab`, `.strtab` and, with very many sections, `.symtab_shndx`.
    fn tables(&mut self, table: Table) {
        let symtab = self.symtab as u32;
        let name = self.names.string(".symtab");
        let (class, word) = (self.machine.class, self.machine.class.word());
        let offset = self.out.align(word);
        self.out.0.extend_from_slice(&table.rows.0);
        self.headers.push(Header {
            name,
            kind: elf::SHT_SYMTAB.0,
            offset,
            size: table.rows.len(),
            link: symtab + 1,
            info: table.locals,
            align: word,
            entsize: class.pick(16, 24),
            ..Header::default()
        });
        let name = self.names.string(".strtab");
        let offset = self.out.len();
        self.out.0.extend_from_slice(&table.strings.0);
        let size = table.strings.len();
        let kind = elf::SHT_STRTAB.0;
        self.headers.push(Header { name, kind, offset, size, align: 1, ..Header::default() });
        if table.extended.iter().any(|index| *index != 0) {
            let name = self.names.string(".symtab_shndx");
            let offset = self.out.align(4);
            table.extended.iter().for_each(|index| self.out.u32(*index));
            self.headers.push(Header {
                name,
                kind: elf::SHT_SYMTAB_SHNDX.0,
                offset,
                size: 4 * table.extended.len() as u64,
                link: symtab,
                align: 4,
                entsize: 4,
                ..Header::default()
            });
        }
    }

    fn relocations(&mut self) {
        for (index, section) in self.object.sections.iter().enumerate() {
            if section.relocs.is_empty() {
                continue;
            }
            let word = self.machine.class.word();
            let offset = self.out.align(word);
            for reloc in &section.relocs {
                let symbol = match reloc.symbol {
                    SymbolRef::Named(i) => self.symbol_index.get(i),
                    SymbolRef::Section(i) => self.section_symbol.get(i),
                    SymbolRef::Null => None,
                };
                self.machine.reloc(reloc, symbol.copied().unwrap_or(0), &mut self.out);
            }
            let at = self.shndx(index);
            let prefix = self.machine.prefix().len() as u32;
            let header = Header {
                name: self.headers[at as usize].name - prefix,
                kind: self.machine.reloc_kind(),
                flags: elf::SHF_INFO_LINK.0 | self.group_flag(index),
                offset,
                size: self.out.len() - offset,
                link: self.symtab as u32,
                info: at,
                align: word,
                entsize: self.machine.reloc_size(),
                addr: 0,
            };
            self.headers[self.rela_of[index] as usize] = header;
        }
    }

    fn groups(&mut self) {
        for (i, group) in self.object.groups.iter().enumerate() {
            let offset = self.out.align(4);
            self.out.u32(if group.comdat { elf::GRP_COMDAT.0 } else { 0 });
            for &member in &group.members {
                self.out.u32(self.shndx(member));
                match self.rela_of.get(member) {
                    Some(0) | None => {}
                    Some(rela) => self.out.u32(*rela),
                }
            }
            self.headers[1 + i] = Header {
                name: self.names.string(".group"),
                kind: elf::SHT_GROUP.0,
                offset,
                size: self.out.len() - offset,
                link: self.symtab as u32,
                info: self.signature_index[i],
                align: 4,
                entsize: 4,
                ..Header::default()
            };
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if let Some((name, kind, bytes)) = self.machine.attributes {
            let (name, offset) = (self.names.string(name), self.out.len());
            self.out.0.extend_from_slice(bytes);
            let size = bytes.len() as u64;
            self.headers.push(Header { name, kind, offset, size, align: 1, ..Header::default() });
        }
        let name = self.names.string(".shstrtab");
        let offset = self.out.len();
        self.out.0.extend_from_slice(&self.names.0);
        let size = self.names.len();
        let kind = elf::SHT_STRTAB.0;
        self.headers.push(Header { name, kind, offset, size, align: 1, ..Header::default() });
        let (shnum, shstrndx) = (self.headers.len(), self.headers.len() - 1);
        let many = shnum >= usize::from(elf::SHN_LORESERVE);
        if many {
            self.headers[0].size = shnum as u64;
            self.headers[0].link = shstrndx as u32;
        }
        let shoff = self.out.align(8);
        let class = self.machine.class;
        self.headers.iter().for_each(|header| header.write(class, &mut self.out));
        let header = FileHeader {
            class,
            machine: self.machine.arch.machine(),
            flags: self.machine.flags,
            kind: elf::ET_REL.0,
            osabi: osabi(self.object),
            phnum: 0,
            shoff,
            shnum: if many { 0 } else { shnum as u16 },
            shstrndx: if many { elf::SHN_XINDEX.0 } else { shstrndx as u16 },
        };
        self.out.patch(0, &header.bytes());
        self.out.0
    }
}

const ABS: u32 = u32::MAX;
const COMMON: u32 = u32::MAX - 1;

/// A symbol table in the making.
struct Table {
    machine: &'static Machine,
    rows: Bytes,
    strings: Bytes,
    /// The real index of each symbol whose section doesn't fit st_shndx, else 0.
    extended: Vec<u32>,
    count: u32,
    locals: u32,
}

impl Table {
    fn new(machine: &'static Machine) -> Self {
        let mut rows = Bytes(Vec::with_capacity(1024));
        Sym::NULL.write(machine.class, &mut rows);
        Self { machine, rows, strings: Bytes(vec![0]), extended: vec![0], count: 1, locals: 1 }
    }

    fn push(&mut self, mut sym: Sym, shndx: u32) -> u32 {
        let large = (u32::from(elf::SHN_LORESERVE)..COMMON).contains(&shndx);
        sym.shndx = match shndx {
            ABS => elf::SHN_ABS.0,
            COMMON => elf::SHN_COMMON.0,
            _ if large => elf::SHN_XINDEX.0,
            index => index as u16,
        };
        self.extended.push(if large { shndx } else { 0 });
        sym.write(self.machine.class, &mut self.rows);
        self.count += 1;
        self.count - 1
    }
}

fn section_type(kind: SectionKind, machine: &Machine) -> u32 {
    match kind {
        SectionKind::Progbits => elf::SHT_PROGBITS.0,
        SectionKind::Nobits => elf::SHT_NOBITS.0,
        SectionKind::InitArray => elf::SHT_INIT_ARRAY.0,
        SectionKind::FiniArray => elf::SHT_FINI_ARRAY.0,
        SectionKind::PreinitArray => elf::SHT_PREINIT_ARRAY.0,
        SectionKind::Note => elf::SHT_NOTE.0,
        SectionKind::EhFrame => machine.unwind,
        other => unreachable!("{other:?} is a kind of Mach-O's"),
    }
}

fn section_flags(section: &Section) -> u64 {
    let flags = &section.flags;
    let rows = [
        (flags.alloc, elf::SHF_ALLOC.0),
        (flags.write, elf::SHF_WRITE.0),
        (flags.exec, elf::SHF_EXECINSTR.0),
        (flags.tls, elf::SHF_TLS.0),
        (flags.merge, elf::SHF_MERGE.0),
        (flags.strings, elf::SHF_STRINGS.0),
        (flags.retain, elf::SHF_GNU_RETAIN.0),
        (flags.exclude, elf::SHF_EXCLUDE.0),
        (section.link_order.is_some(), elf::SHF_LINK_ORDER.0),
    ];
    rows.iter().filter(|(on, _)| *on).fold(0, |bits, (_, bit)| bits | bit)
}

/// STT_* of a symbol.
pub(super) fn symbol_type(kind: SymbolKind) -> u8 {
    match kind {
        SymbolKind::Notype => elf::STT_NOTYPE.0,
        SymbolKind::Object => elf::STT_OBJECT.0,
        SymbolKind::Func => elf::STT_FUNC.0,
        SymbolKind::Tls => elf::STT_TLS.0,
        SymbolKind::Ifunc => elf::STT_GNU_IFUNC.0,
    }
}

/// STV_* of a symbol.
pub(super) fn visibility(visibility: Visibility) -> u8 {
    match visibility {
        Visibility::Default => elf::STV_DEFAULT.0,
        Visibility::Internal => elf::STV_INTERNAL.0,
        Visibility::Hidden => elf::STV_HIDDEN.0,
        Visibility::Protected => elf::STV_PROTECTED.0,
    }
}

/// GNU's meaning of IFUNC, UNIQUE and RETAIN holds in files that say they are GNU's.
fn osabi(object: &Object) -> u8 {
    let gnu = object.sections.iter().any(|section| section.flags.retain)
        || object
            .symbols
            .iter()
            .any(|symbol| symbol.kind == SymbolKind::Ifunc || symbol.binding == Binding::Unique);
    if gnu { elf::ELFOSABI_GNU.0 } else { elf::ELFOSABI_NONE.0 }
}
