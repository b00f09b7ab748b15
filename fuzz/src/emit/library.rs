//! Library → the bytes of a real, loadable ELF shared object, made without any linker.
//!
//! Two PT_LOADs: headers, dynamic tables, constants and code (r-x), then TLS template, `.dynamic` and
//! data (rw-). Functions return a unique number, data holds unique bytes ([`number`]), so a
//! running program tells which definition it reached. No relocations: nothing here refers to
//! anything. It must not know who links against it.

mod tables;

use object::elf;

use super::bytes::{Bytes, FileHeader, Header, Segment, Sym};
use super::elf::{symbol_type, visibility};
use super::machine::{self, Machine};
use super::unique;
use crate::case::{Binding, Library, LibraryDefinition, LibrarySymbol, SymbolKind};
use scold_diff::Target;
use scold_diff::model::digest;
use tables::{buckets, gnu_hash};

/// What the function `alias` of the library returns, and what its data starts with.
pub fn number(library: &str, alias: u32) -> u64 {
    unique(digest(library.as_bytes()).wrapping_add(u64::from(alias)))
}

/// The bytes of the data `alias`: room for the largest of the symbols that share it.
pub(super) fn data(library: &Library, alias: u32) -> Vec<u8> {
    let same = |s: &&LibrarySymbol| matches!(s.defined, LibraryDefinition::Defined { alias: a, .. } if a == alias);
    let sizes = library.symbols.iter().filter(same).map(|s| s.size);
    let words = sizes.max().unwrap_or(8).clamp(8, 1 << 16).div_ceil(8);
    let number = number(&library.name, alias);
    (0..words).flat_map(|word| number.wrapping_add(word).to_le_bytes()).collect()
}

/// The bytes of `library` as a shared object for `target`.
pub fn library(library: &Library, target: Target) -> Vec<u8> {
    let mut writer = Writer::new(library, machine::find(target));
    writer.place_symbols();
    writer.dynamic_tables();
    writer.segments();
    writer.finish()
}

/// Section indexes in the file; symbols name them.
const RODATA: u16 = 1;
const TEXT: u16 = 2;
const TDATA: u16 = 3;
const DATA: u16 = 4;
const DYNSTR: u32 = 5;
const DYNSYM: u32 = 6;

/// Where symbols of one kind live.
#[derive(Default)]
struct Region {
    bytes: Vec<u8>,
    /// (alias, offset) of what is there already.
    places: Vec<(u32, u64)>,
}

struct Writer<'a> {
    library: &'a Library,
    machine: &'static Machine,
    /// Symbols in .dynsym order after the null symbol.
    order: Vec<usize>,
    /// How many of them are undefined.
    undefined: usize,
    regions: [Region; 5],
    /// (st_shndx, offset in the region or absolute value) for each of the library's symbols.
    places: Vec<(u16, u64)>,
    strings: Bytes,
    names: Vec<u32>,
    soname: u32,
    versions: Vec<&'a str>,
    out: Bytes,
    headers: Vec<Header>,
    section_names: Bytes,
    /// (tag, value) for the tables written so far.
    tags: Vec<(i64, u64)>,
    symbol_rows: usize,
    addresses: [u64; 5],
    programs: Vec<Segment>,
}

impl<'a> Writer<'a> {
    fn new(library: &'a Library, machine: &'static Machine) -> Self {
        let (buckets, mut strings) = (buckets(library), Bytes(vec![0]));
        let defined = |i: &usize| library.symbols[*i].defined != LibraryDefinition::Undefined;
        let all = 0..library.symbols.len();
        let mut order: Vec<usize> = all.clone().filter(|i| !defined(i)).collect();
        let undefined = order.len();
        order.extend(all.filter(defined));
        // .gnu.hash wants the defined symbols of a bucket side by side.
        order[undefined..].sort_by_key(|i| gnu_hash(&library.symbols[*i].name) % buckets);
        let names = library.symbols.iter().map(|symbol| strings.string(&symbol.name)).collect();
        let soname = library.soname.as_ref().map_or(0, |soname| strings.string(soname));
        let mut versions: Vec<&str> = Vec::new();
        for symbol in library.symbols.iter().filter(|s| s.defined != LibraryDefinition::Undefined) {
            if let Some((version, _)) = &symbol.version
                && !versions.contains(&version.as_str())
            {
                versions.push(version);
            }
        }
        let mut out = Bytes(Vec::with_capacity(12 << 10));
        out.0.resize(machine.class.pick(52 + 32 * 5, 64 + 56 * 5) as usize, 0);
        Self {
            library,
            machine,
            order,
            undefined,
            regions: Default::default(),
            places: Vec::new(),
            strings,
            names,
            soname,
            versions,
            out,
            headers: vec![Header::default(); 5],
            section_names: Bytes(vec![0]),
            tags: Vec::new(),
            symbol_rows: 0,
            addresses: [0; 5],
            programs: Vec::new(),
        }
    }

    fn place_symbols(&mut self) {
        for symbol in &self.library.symbols {
            let place = match symbol.defined {
                LibraryDefinition::Undefined => (0, 0),
                LibraryDefinition::Absolute(value) => (elf::SHN_ABS.0, value),
                LibraryDefinition::Defined { alias, readonly } => {
                    let section = match symbol.kind {
                        SymbolKind::Func | SymbolKind::Ifunc => TEXT,
                        SymbolKind::Tls => TDATA,
                        _ if readonly => RODATA,
                        _ => DATA,
                    };
                    let region = &mut self.regions[section as usize];
                    (section, region.place(self.library, self.machine, symbol, alias))
                }
            };
            self.places.push(place);
        }
    }

    /// Everything a loader searches, in the first segment.
    fn dynamic_tables(&mut self) {
        let versions = self.version_definitions();
        let table = self.strings.0.clone();
        let address = self.section(".dynstr", elf::SHT_STRTAB.0, elf::SHF_ALLOC.0, 1, &table);
        self.tags.push((elf::DT_STRTAB.0, address));
        self.tags.push((elf::DT_STRSZ.0, table.len() as u64));

        // Rows are filled in when addresses are known.
        let class = self.machine.class;
        let (word, size) = (class.word(), class.pick(16, 24));
        self.symbol_rows = self.out.align(word) as usize;
        let rows = vec![0; size as usize * (self.order.len() + 1)];
        let address = self.section(".dynsym", elf::SHT_DYNSYM.0, elf::SHF_ALLOC.0, word, &rows);
        self.last().link = DYNSTR;
        self.last().info = 1;
        self.last().entsize = size;
        self.tags.push((elf::DT_SYMTAB.0, address));
        self.tags.push((elf::DT_SYMENT.0, size));

        let table = self.sysv_hash_table();
        let address = self.section(".hash", elf::SHT_HASH.0, elf::SHF_ALLOC.0, word, &table);
        self.last().link = DYNSYM;
        self.last().entsize = 4;
        self.tags.push((elf::DT_HASH.0, address));
        let table = self.gnu_hash_table();
        let address =
            self.section(".gnu.hash", elf::SHT_GNU_HASH.0, elf::SHF_ALLOC.0, word, &table);
        self.last().link = DYNSYM;
        self.tags.push((elf::DT_GNU_HASH.0, address));

        if let Some(definitions) = versions {
            let table = self.version_symbols();
            let kind = elf::SHT_GNU_VERSYM.0;
            let address = self.section(".gnu.version", kind, elf::SHF_ALLOC.0, 2, &table);
            self.last().link = DYNSYM;
            self.last().entsize = 2;
            self.tags.push((elf::DT_VERSYM.0, address));
            let kind = elf::SHT_GNU_VERDEF.0;
            let address =
                self.section(".gnu.version_d", kind, elf::SHF_ALLOC.0, word, &definitions);
            let count = self.versions.len() as u64 + 1;
            self.last().link = DYNSTR;
            self.last().info = count as u32;
            self.tags.push((elf::DT_VERDEF.0, address));
            self.tags.push((elf::DT_VERDEFNUM.0, count));
        }
    }

    /// Appends a section whose address is its file offset (first segment) and gives that.
    fn section(&mut self, name: &str, kind: u32, flags: u64, align: u64, bytes: &[u8]) -> u64 {
        let offset = self.out.align(align);
        self.out.0.extend_from_slice(bytes);
        let header = self.header(name, kind, flags, align, offset, bytes.len() as u64);
        self.headers.push(header);
        offset
    }

    fn last(&mut self) -> &mut Header {
        self.headers.last_mut().expect("a section was just added")
    }

    fn header(
        &mut self,
        name: &str,
        kind: u32,
        flags: u64,
        align: u64,
        at: u64,
        size: u64,
    ) -> Header {
        let name = self.section_names.string(name);
        Header { name, kind, flags, addr: at, offset: at, size, align, ..Header::default() }
    }

    /// Constants and code, then the writable segment.
    fn segments(&mut self) {
        self.region(RODATA, ".rodata", elf::SHF_ALLOC.0, 0);
        self.region(TEXT, ".text", elf::SHF_ALLOC.0 | elf::SHF_EXECINSTR.0, 0);
        let size = self.out.len();
        let (kind, flags) = (elf::PT_LOAD.0, elf::PF_R.0 | elf::PF_X.0);
        let page = self.machine.page;
        self.programs.push(Segment { kind, flags, offset: 0, address: 0, size, align: page });

        let start = self.out.align(16);
        let rw = elf::SHF_ALLOC.0 | elf::SHF_WRITE.0;
        self.region(TDATA, ".tdata", rw | elf::SHF_TLS.0, page);
        let tls_end = self.out.len();
        let dynamic = self.dynamic();
        self.region(DATA, ".data", rw, page);
        let end = self.out.len();
        let flags = elf::PF_R.0 | elf::PF_W.0;
        let segment = |kind: u32, offset: u64, end: u64, align: u64| {
            let (address, size) = (offset + page, end - offset);
            Segment { kind, flags, offset, address, size, align }
        };
        self.programs.push(segment(elf::PT_LOAD.0, start, end, page));
        let word = self.machine.class.word();
        self.programs.push(segment(elf::PT_DYNAMIC.0, dynamic.0, dynamic.1, word));
        let kind = elf::PT_GNU_STACK.0;
        self.programs.push(Segment { kind, flags, offset: 0, address: 0, size: 0, align: 16 });
        if !self.regions[TDATA as usize].bytes.is_empty() {
            self.programs.push(segment(elf::PT_TLS.0, start, tls_end, 16));
        }
    }

    fn region(&mut self, index: u16, name: &str, flags: u64, shift: u64) {
        let bytes = std::mem::take(&mut self.regions[index as usize].bytes);
        let offset = self.out.align(16);
        self.out.0.extend_from_slice(&bytes);
        let size = bytes.len() as u64;
        let mut header = self.header(name, elf::SHT_PROGBITS.0, flags, 16, offset, size);
        header.addr += shift;
        self.addresses[index as usize] = if index == TDATA { 0 } else { header.addr };
        self.headers[index as usize] = header;
        self.regions[index as usize].bytes = bytes;
    }

    /// Writes `.dynamic` and gives its file range.
    fn dynamic(&mut self) -> (u64, u64) {
        let offset = self.out.align(16);
        if self.library.soname.is_some() {
            self.tags.push((elf::DT_SONAME.0, u64::from(self.soname)));
        }
        self.tags.push((elf::DT_NULL.0, 0));
        let class = self.machine.class;
        for (tag, value) in &self.tags {
            self.out.word(class, *tag as u64);
            self.out.word(class, *value);
        }
        let size = self.out.len() - offset;
        let flags = elf::SHF_ALLOC.0 | elf::SHF_WRITE.0;
        let mut header =
            self.header(".dynamic", elf::SHT_DYNAMIC.0, flags, class.word(), offset, size);
        header.addr += self.machine.page;
        header.link = DYNSTR;
        header.entsize = 2 * class.word();
        self.headers.push(header);
        (offset, offset + size)
    }

    fn finish(mut self) -> Vec<u8> {
        self.symbol_rows();
        let name = self.section_names.string(".shstrtab");
        let (offset, size) = (self.out.len(), self.section_names.len());
        self.out.0.extend_from_slice(&self.section_names.0);
        let kind = elf::SHT_STRTAB.0;
        self.headers.push(Header { name, kind, offset, size, align: 1, ..Header::default() });
        let shoff = self.out.align(8);
        let class = self.machine.class;
        self.headers.iter().for_each(|header| header.write(class, &mut self.out));
        let mut programs = Bytes::default();
        self.programs.iter().for_each(|segment| segment.write(class, &mut programs));
        self.out.patch(class.pick(52, 64) as usize, &programs.0);
        let header = FileHeader {
            class,
            machine: self.machine.arch.machine(),
            flags: self.machine.flags | self.machine.library_flags,
            kind: elf::ET_DYN.0,
            osabi: self.osabi(),
            phnum: self.programs.len() as u16,
            shoff,
            shnum: self.headers.len() as u16,
            shstrndx: self.headers.len() as u16 - 1,
        };
        self.out.patch(0, &header.bytes());
        self.out.0
    }

    fn symbol_rows(&mut self) {
        let mut rows = Bytes::default();
        let class = self.machine.class;
        Sym::NULL.write(class, &mut rows);
        for &i in &self.order {
            let symbol = &self.library.symbols[i];
            let (shndx, value) = self.places[i];
            let base = self.addresses.get(usize::from(shndx)).copied().unwrap_or(0);
            let binding = match symbol.binding {
                Binding::Weak => elf::STB_WEAK.0,
                Binding::Unique => elf::STB_GNU_UNIQUE.0,
                Binding::Global | Binding::Local => elf::STB_GLOBAL.0,
            };
            let sym = Sym {
                name: self.names[i],
                info: binding << 4 | symbol_type(symbol.kind),
                other: visibility(symbol.visibility),
                shndx,
                value: base.wrapping_add(value),
                size: symbol.size,
            };
            sym.write(class, &mut rows);
        }
        self.out.patch(self.symbol_rows, &rows.0);
    }

    fn osabi(&self) -> u8 {
        let gnu = |s: &LibrarySymbol| s.kind == SymbolKind::Ifunc || s.binding == Binding::Unique;
        if self.library.symbols.iter().any(gnu) {
            elf::ELFOSABI_GNU.0
        } else {
            elf::ELFOSABI_NONE.0
        }
    }
}

impl Region {
    /// The value of `symbol`, whose bytes are added unless an alias brought them already.
    fn place(
        &mut self,
        library: &Library,
        machine: &Machine,
        symbol: &LibrarySymbol,
        alias: u32,
    ) -> u64 {
        if let Some((_, offset)) = self.places.iter().find(|(known, _)| *known == alias) {
            return *offset;
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let mut offset = self.bytes.len() as u64;
        let number = number(&library.name, alias);
        match symbol.kind {
            SymbolKind::Func => {
                let (code, state) = (machine.returns)(number, alias);
                self.bytes.extend_from_slice(&code);
                offset += state;
            }
            SymbolKind::Ifunc => {
                // Its implementation is the 16 bytes behind it.
                self.bytes.extend_from_slice(&machine.resolver);
                self.bytes.extend_from_slice(&(machine.returns)(number, 0).0);
            }
            _ => self.bytes.extend(data(library, alias)),
        }
        self.places.push((alias, offset));
        offset
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::case::Visibility;
    use object::read::elf::ElfFile64;
    use object::{Object, ObjectSymbol};

    fn symbol(name: &str, kind: SymbolKind, alias: u32) -> LibrarySymbol {
        LibrarySymbol {
            name: name.into(),
            version: None,
            binding: Binding::Global,
            kind,
            visibility: Visibility::Default,
            size: 24,
            defined: LibraryDefinition::Defined { alias, readonly: false },
        }
    }

    /// A library with every kind of symbol, two versions and an alias.
    pub(crate) fn sample() -> Library {
        let mut symbols = vec![
            symbol("f", SymbolKind::Func, 1),
            symbol("d", SymbolKind::Object, 2),
            symbol("d_alias", SymbolKind::Object, 2),
            symbol("t", SymbolKind::Tls, 3),
            symbol("i", SymbolKind::Ifunc, 4),
            symbol("v", SymbolKind::Func, 5),
            symbol("v", SymbolKind::Func, 6),
            symbol("u", SymbolKind::Notype, 0),
            symbol("a", SymbolKind::Notype, 0),
        ];
        symbols[5].version = Some(("V1".into(), false));
        symbols[6].version = Some(("V2".into(), true));
        symbols[7].defined = LibraryDefinition::Undefined;
        symbols[8].defined = LibraryDefinition::Absolute(0x1234);
        Library {
            name: "libx.so".into(),
            soname: Some("libx.so.1".into()),
            as_needed: false,
            symbols,
            weak: false,
        }
    }

    #[test]
    fn aliases_share_an_address_and_bytes_are_unique() {
        let bytes = library(&sample(), Target::AMD64_ELF);
        let file = ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
        let address = |name| {
            file.dynamic_symbols().find(|s| s.name() == Ok(name)).map(|s| s.address()).unwrap()
        };
        assert_eq!(address("d"), address("d_alias"));
        assert_ne!(address("d"), address("f"));
        assert_eq!(address("a"), 0x1234);
        let text = number("libx.so", 1).to_le_bytes();
        assert!(bytes.windows(8).any(|window| window == text));
        assert_ne!(number("libx.so", 1), number("libx.so", 2));
        assert_ne!(number("libx.so", 1), number("liby.so", 1));
    }
}
