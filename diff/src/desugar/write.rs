//! Parts → an ELF object. Only what those need: no groups, no versions, addends as the machine has them.

use super::code::Code;
use super::{ALIAS, Field, Part, Symbol};
use crate::class::Class;

/// A section holds code.
const SHF_EXECINSTR: u64 = 4;

/// A section header before it is encoded.
#[derive(Default)]
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
}

/// The object so far.
struct Writer {
    class: Class,
    bytes: Vec<u8>,
    headers: Vec<Header>,
    names: Vec<u8>,
}

impl Writer {
    /// A number as wide as an address.
    fn word(&self, value: u64) -> Vec<u8> {
        let width = if self.class == Class::Elf64 { 8 } else { 4 };
        value.to_le_bytes()[..width].to_vec()
    }

    fn section(&mut self, name: &str, header: Header, content: &[u8]) {
        // Where it is in the file doesn't matter to anybody; an input's alignment may be any number.
        let start = self.bytes.len().next_multiple_of(16);
        self.bytes.resize(start, 0);
        self.bytes.extend(content);
        let named = add(&mut self.names, name);
        let size = content.len() as u64;
        self.headers.push(Header { name: named, offset: start as u64, size, ..header });
    }

    fn header(&self, header: &Header) -> Vec<u8> {
        let Header { name, kind, flags, offset, size, link, info, align, entsize } = *header;
        let mut out = [name.to_le_bytes(), kind.to_le_bytes()].concat();
        for value in [flags, 0, offset, size] {
            out.extend(self.word(value));
        }
        out.extend([link.to_le_bytes(), info.to_le_bytes()].concat());
        for value in [align, entsize] {
            out.extend(self.word(value));
        }
        out
    }
}

/// Adds a name to a string table.
fn add(table: &mut Vec<u8>, name: &str) -> u32 {
    let at = table.len() as u32;
    table.extend(name.as_bytes());
    table.push(0);
    at
}

/// A symbol: its name, info and visibility, section, value and size.
type Entry = (String, [u8; 2], u16, [u64; 2]);

/// The object's symbols: what is local first.
struct Table {
    list: Vec<Entry>,
    locals: u32,
}

impl Table {
    /// Parts are sections 1, 2, ….
    fn of(code: &Code, parts: &[Part], wanted: &[&str]) -> Self {
        let mut list: Vec<Entry> = vec![(String::new(), [0, 0], 0, [0, 0])];
        for (part, section) in
            parts.iter().zip(1..).filter(|(part, _)| part.flags & SHF_EXECINSTR != 0)
        {
            let marks = code.marks.iter().filter(|mark| mark.0 < part.bytes.len() as u64);
            list.extend(marks.map(|&(at, name)| (name.into(), [0, 0], section, [at, 0])));
        }
        let mut locals = list.len() as u32;
        for global in [false, true] {
            for (part, section) in parts.iter().zip(1u16..) {
                for Symbol { name, kind, hidden, .. } in
                    part.symbols.iter().filter(|s| s.global == global)
                {
                    let info = [u8::from(global) << 4 | kind, 2 * u8::from(*hidden)];
                    list.push((name.clone(), info, section, [0, part.bytes.len() as u64]));
                }
            }
            if !global {
                locals = list.len() as u32;
            }
        }
        let named = parts.iter().flat_map(|part| &part.fields).map(|field| &*field.symbol);
        for symbol in named.chain(wanted.iter().copied()) {
            if !list.iter().any(|entry| entry.0 == symbol) {
                // What can't have an alias is nobody else's either: then no linker takes the link.
                let hidden = 2 * u8::from(symbol.starts_with(ALIAS));
                list.push((symbol.to_owned(), [1 << 4, hidden], 0, [0, 0]));
            }
        }
        Self { list, locals }
    }

    fn index(&self, name: &str) -> u64 {
        self.list.iter().position(|entry| entry.0 == name).unwrap_or_default() as u64
    }

    /// The table and its strings.
    fn write(&self, writer: &Writer) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut strings) = (Vec::new(), vec![0]);
        for (name, info, section, numbers) in &self.list {
            let name = if name.is_empty() { 0 } else { add(&mut strings, name) };
            out.extend(name.to_le_bytes());
            let rest = [&info[..], &section.to_le_bytes()].concat();
            let numbers = numbers.map(|number| writer.word(number)).concat();
            match writer.class {
                Class::Elf64 => out.extend([rest, numbers].concat()),
                Class::Elf32 => out.extend([numbers, rest].concat()),
            }
        }
        (out, strings)
    }
}

/// The relocations of one part.
fn records(code: &Code, writer: &Writer, table: &Table, fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        let symbol = table.index(&field.symbol);
        let info = match code.class {
            Class::Elf64 => symbol << 32 | u64::from(field.r_type),
            Class::Elf32 => symbol << 8 | u64::from(field.r_type & 0xff),
        };
        out.extend([writer.word(field.offset), writer.word(info)].concat());
        if code.rela {
            out.extend(writer.word(field.addend as u64));
        }
    }
    out
}

/// The object of `parts`, which asks for `wanted`, too.
pub(super) fn object(code: &Code, parts: &[Part], wanted: &[&str]) -> Vec<u8> {
    let sizes = code.class.sizes();
    let mut writer = Writer {
        class: code.class,
        bytes: vec![0; sizes.header as usize],
        headers: vec![Header::default()],
        names: vec![0],
    };
    for part in parts {
        let Part { kind, flags, align, .. } = *part;
        writer.section(part.name, Header { kind, flags, align, ..Header::default() }, &part.bytes);
    }
    writer.section(".note.GNU-stack", Header { kind: 1, ..Header::default() }, &[]);
    let table = Table::of(code, parts, wanted);
    let (symbols, strings) = table.write(&writer);
    // After the parts, the note and a table of relocations for each part.
    let symtab = 2 * parts.len() as u32 + 2;
    let (kind, prefix, entsize) =
        if code.rela { (4, ".rela", sizes.rela) } else { (9, ".rel", sizes.rel) };
    for (part, info) in parts.iter().zip(1..) {
        let content = records(code, &writer, &table, &part.fields);
        let flags = 0x40; // SHF_INFO_LINK
        let header =
            Header { kind, flags, link: symtab, info, align: 8, entsize, ..Header::default() };
        writer.section(&format!("{prefix}{}", part.name), header, &content);
    }
    let (link, info) = (symtab + 1, table.locals);
    let header =
        Header { kind: 2, link, info, align: 8, entsize: sizes.symbol, ..Header::default() };
    writer.section(".symtab", header, &symbols);
    writer.section(".strtab", Header { kind: 3, ..Header::default() }, &strings);
    finish(code, writer)
}

/// Adds the names, the section headers and the file header.
fn finish(code: &Code, mut writer: Writer) -> Vec<u8> {
    let name = add(&mut writer.names, ".shstrtab");
    let (offset, size) = (writer.bytes.len() as u64, writer.names.len() as u64);
    writer.headers.push(Header { name, kind: 3, offset, size, ..Header::default() });
    let names = std::mem::take(&mut writer.names);
    writer.bytes.extend(names);
    let start = writer.bytes.len().next_multiple_of(8);
    writer.bytes.resize(start, 0);
    for at in 0..writer.headers.len() {
        let header = writer.header(&writer.headers[at]);
        writer.bytes.extend(header);
    }
    let sizes = code.class.sizes();
    let class = if code.class == Class::Elf64 { 2 } else { 1 };
    let mut head = vec![0x7f, b'E', b'L', b'F', class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    head.extend([1u16.to_le_bytes(), code.machine.to_le_bytes()].concat());
    head.extend(1u32.to_le_bytes());
    for value in [0, 0, start as u64] {
        head.extend(writer.word(value));
    }
    head.extend(code.flags.to_le_bytes());
    let count = writer.headers.len() as u16;
    for half in [sizes.header as u16, 0, 0, sizes.section as u16, count, count - 1] {
        head.extend(half.to_le_bytes());
    }
    writer.bytes[..head.len()].copy_from_slice(&head);
    writer.bytes
}
