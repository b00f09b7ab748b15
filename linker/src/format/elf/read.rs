//! The ELF reader: bytes of a relocatable object → [`Object`].
//!
//! Everything a later phase indexes with is checked here, once, so that later phases need not fail.
//! Must not know of other files of the link.

use super::class::{Class, RelocForm};
use super::tables::{SectionTable, SymbolTable, u16_at, u32_at};
use super::*;
use crate::arch::Arch;
use crate::error::{Error, ErrorKind, Result, Site};
use crate::object::{Group, Home, Object, Section, SymVersion, bind, hash_name, kind};

fn bad(name: &str, section: Option<String>, offset: Option<u64>, text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadInput, text).at(Site { file: name.to_owned(), section, offset })
}

/// Checks the ELF header: class, byte order, machine.
///
/// Errors: `bad-input`, `wrong-machine`.
pub fn check_header(data: &[u8], name: &str, arch: &Arch) -> Result<u16> {
    if data.len() < arch.class.header() {
        return Err(bad(name, None, None, "the file ends inside its ELF header"));
    }
    let wrong = |text: String| Error::new(ErrorKind::WrongMachine, text).in_file(name);
    if data[4] != arch.class.ident() {
        let (own, other) = match arch.class {
            Class::Elf64 => (64, 32),
            Class::Elf32 => (32, 64),
        };
        return Err(wrong(format!("a {other}-bit file in a {own}-bit link")));
    }
    if data[5] != 1 {
        return Err(wrong("a big-endian file".into()));
    }
    let found = u16_at(data, 18);
    if found != arch.machine {
        let wanted = arch.machine;
        return Err(wrong(format!("made for machine {found}, the link is for {wanted}")));
    }
    Ok(u16_at(data, 16))
}

/// Finds the section headers and their name table.
///
/// Errors: `bad-input` if they reach outside the file.
pub fn section_table<'a>(
    data: &'a [u8],
    name: &str,
    class: Class,
) -> Result<(SectionTable<'a>, u32)> {
    let (at, entry) = (class.header_offsets(), class.section());
    let from = class.word_at(data, at.sections);
    let mut count = u64::from(u16_at(data, at.section_count));
    let mut names = u32::from(u16_at(data, at.names));
    if from == 0 {
        return Ok((SectionTable { bytes: &[], count: 0, class }, 0));
    }
    if usize::from(u16_at(data, at.section_size)) != entry {
        return Err(bad(
            name,
            None,
            Some(at.section_size as u64),
            "section headers of an unknown size",
        ));
    }
    let first = usize::try_from(from).ok().and_then(|at| data.get(at..at.checked_add(entry)?));
    let Some(first) = first else {
        return Err(bad(
            name,
            None,
            Some(at.sections as u64),
            "the section headers are outside the file",
        ));
    };
    if count == 0 {
        count = class.section_at(first).size;
    }
    if names == u32::from(SHN_XINDEX) {
        names = class.section_at(first).link;
    }
    let bytes = count
        .checked_mul(entry as u64)
        .and_then(|len| from.checked_add(len))
        .and_then(|to| data.get(from as usize..usize::try_from(to).ok()?));
    let Some(bytes) = bytes else {
        return Err(bad(
            name,
            None,
            Some(at.sections as u64),
            "the section headers are outside the file",
        ));
    };
    if u64::from(names) >= count {
        return Err(bad(
            name,
            None,
            Some(at.names as u64),
            "the section name table does not exist",
        ));
    }
    Ok((SectionTable { bytes, count: count as u32, class }, names))
}

/// Reads a relocatable object.
///
/// Errors: `bad-input` for the first thing wrong with the file, `wrong-machine`.
pub fn object<'a>(data: &'a [u8], name: String, arch: &'static Arch) -> Result<Object<'a>> {
    if check_header(data, &name, arch)? != ET_REL {
        return Err(bad(&name, None, Some(16), "not a relocatable object"));
    }
    let (sections, names_at) = section_table(data, &name, arch.class)?;
    let mut object = Object {
        name,
        arch,
        data,
        sections,
        section_names: sections.get(names_at).data(data),
        symbols: SymbolTable::new(&[], &[], arch),
        names: &[],
        first_global: 0,
        relocs_of: vec![0; sections.len() as usize],
        groups: Vec::new(),
        linkonce: Vec::new(),
        keys: Vec::new(),
        versions: Vec::new(),
        commons: Vec::new(),
        dead: vec![false; sections.len() as usize],
        seq: 0,
        globals: Vec::new(),
        sec_base: 0,
        local_base: 0,
        inflated: Vec::new(),
        sorted: Vec::new(),
        exec_stack: false,
    };
    let mut groups = Vec::new();
    let mut symtab = None;
    let mut extended: &[u8] = &[];
    for (index, section) in sections.iter().skip(1) {
        check_section(&object, index, &section)?;
        match section.kind {
            SHT_SYMTAB => symtab = Some(section),
            SHT_SYMTAB_SHNDX => extended = section.data(data),
            SHT_RELA | SHT_REL => object.relocs_of[section.info as usize] = index,
            SHT_GROUP => groups.push((index, section)),
            _ if section.flags & SHF_EXECINSTR != 0 => {
                object.exec_stack |= object.section_name(index) == b".note.GNU-stack";
            }
            _ => {}
        }
    }
    if let Some(section) = symtab {
        read_symbols(&mut object, section, extended)?;
    }
    for (index, section) in groups {
        let group = read_group(&object, index, section)?;
        object.groups.push(group);
    }
    check_relocs(&object)?;
    sort_unwind(&mut object);
    inflate(&mut object)?;
    Ok(object)
}

/// Inflates every compressed section, those of the GNU form before SHF_COMPRESSED included.
fn inflate(object: &mut Object<'_>) -> Result<()> {
    for (index, section) in object.sections.iter().skip(1) {
        let legacy = section.flags & (SHF_COMPRESSED | SHF_ALLOC) == 0
            && object.named_after(index, b".zdebug");
        if section.flags & SHF_COMPRESSED == 0 && !legacy || section.kind == SHT_NOBITS {
            continue;
        }
        let name = String::from_utf8_lossy(object.section_name(index)).into_owned();
        let bytes = section.data(object.data);
        let header = match legacy {
            true => crate::compress::legacy_header(bytes),
            false => crate::compress::header(bytes, object.arch.class.word()).map(Some),
        };
        let fail =
            |m: crate::Malformed| bad(&object.name, Some(name.clone()), Some(m.offset), m.text);
        let Some(header) = header.map_err(fail)? else { continue };
        let data = crate::compress::decompress(bytes, &header).map_err(fail)?;
        let align = if legacy { section.align } else { header.align };
        object.inflated.push((index, data.into(), align.min(1 << 40)));
    }
    Ok(())
}

fn check_section(object: &Object<'_>, index: u32, section: &Section) -> Result<()> {
    let (count, form) = (object.sections.len(), object.arch.relocs());
    let fail = |text: &str| {
        let name = String::from_utf8_lossy(object.section_name(index)).into_owned();
        Err(bad(&object.name, Some(name), None, text))
    };
    if section.name as usize >= object.section_names.len().max(1) {
        return Err(bad(&object.name, None, None, format!("section {index} has no name")));
    }
    if section.kind != SHT_NOBITS
        && section.kind != SHT_NULL
        && section.offset.checked_add(section.size).is_none_or(|to| to > object.data.len() as u64)
    {
        return fail("the section's bytes are outside the file");
    }
    if !section.align.is_power_of_two() || section.align > 1 << 40 {
        return fail("the alignment is not a power of two");
    }
    if section.size > 1 << 46 {
        return fail("the size is absurd");
    }
    let entry = |of: usize| section.size.is_multiple_of(of as u64);
    // A machine whose relocations have no addends takes those that have, too.
    let form = RelocForm { explicit: form.explicit || section.kind == SHT_RELA, ..form };
    match section.kind {
        kind if kind == form.section_kind() => {
            if section.info >= count || section.info == 0 {
                return fail("the relocations are for a section that does not exist");
            }
            if !entry(form.size()) || section.entsize != form.size() as u64 {
                return fail("the relocations are of an unknown size");
            }
            if object.relocs_of[section.info as usize] != 0 {
                return fail("a second relocation section for one section");
            }
        }
        SHT_RELR => return fail("packed relocations, which objects do not have"),
        SHT_REL | SHT_RELA => {
            return fail("REL relocations, which this machine does not have");
        }
        SHT_SYMTAB if !entry(form.class.symbol()) || section.link >= count => {
            return fail("the symbol table is malformed");
        }
        SHT_GROUP if section.size < 4 || !section.size.is_multiple_of(4) => {
            return fail("the section group is malformed");
        }
        _ if section.flags & SHF_LINK_ORDER != 0 && section.link >= count => {
            return fail("sh_link names a section that does not exist");
        }
        _ if section.flags & SHF_LINK_ORDER != 0 && section.link == index => {
            return fail("the section is to follow itself");
        }
        _ => {}
    }
    Ok(())
}

fn read_symbols<'a>(object: &mut Object<'a>, section: Section, extended: &'a [u8]) -> Result<()> {
    object.symbols = SymbolTable::new(section.data(object.data), extended, object.arch);
    object.names = object.sections.get(section.link).data(object.data);
    let entry = object.arch.class.symbol() as u64;
    object.first_global = section.info;
    let file = object.name.clone();
    let fail = |at: u32, text: &str| {
        Err(bad(&file, Some(".symtab".into()), Some(u64::from(at) * entry), text))
    };
    let count = object.symbols.len();
    if object.first_global > count || (count > 0 && object.first_global == 0) {
        return fail(0, "sh_info is not the first global symbol");
    }
    object.keys.reserve((count - object.first_global) as usize);
    for at in 0..count {
        let symbol = object.symbols.get(at);
        if let Some(text) = misplaced(object, &symbol) {
            return fail(at, text);
        }
        if symbol.name != 0 && symbol.name as usize >= object.names.len() {
            return fail(at, "a symbol's name is outside the string table");
        }
        let is_local = at < object.first_global;
        if is_local != (symbol.bind == bind::LOCAL) {
            return fail(at, "local and global symbols are mixed");
        }
        if is_local {
            continue;
        }
        if symbol.home == Home::Common && !symbol.value.max(1).is_power_of_two() {
            return fail(at, "a common symbol's alignment is not a power of two");
        }
        if symbol.home == Home::Common {
            object.commons.push(at);
        }
        let name = object.symbol_name(at);
        if symbol.home == Home::Common && name == b"__gnu_lto_slim" {
            return fail(at, "GCC LTO code: link-time optimisation is not supported");
        }
        let (key, version) = split_version(name, at, symbol.home);
        object.versions.extend(version);
        object.keys.push((key, hash_name(key)));
    }
    Ok(())
}

/// What is wrong with where a symbol is, if anything.
fn misplaced(object: &Object<'_>, symbol: &crate::object::Symbol) -> Option<&'static str> {
    match symbol.home {
        Home::Common if symbol.size > 1 << 46 => Some("a common symbol's size is absurd"),
        Home::Section(s) if s >= object.sections.len() => {
            Some("a symbol in a section that does not exist")
        }
        // Only SHN_XINDEX can lead here.
        Home::Section(0) => Some("a symbol's section number is in a table that does not have it"),
        Home::Section(s) => {
            let plain = object.sections.get(s).flags & SHF_TLS == 0;
            let odd = symbol.kind == kind::TLS && plain;
            odd.then_some("a thread-local symbol outside thread-local data")
        }
        _ => None,
    }
}

/// Separates `foo@@V` into what names it and its version; `foo@V` keeps its full name.
fn split_version(name: &[u8], sym: u32, home: Home) -> (&[u8], Option<SymVersion<'_>>) {
    let Some(at) = memchr::memchr(b'@', name).filter(|&at| at > 0) else {
        return (name, None);
    };
    let tail = &name[at + 1..];
    let defined = home != Home::Undefined;
    let (version, default) = match tail {
        [b'@', b'@', v @ ..] => (v, defined),
        [b'@', v @ ..] => (v, true),
        v => (v, false),
    };
    let key = if default { &name[..at] } else { name };
    (key, Some(SymVersion { sym, version, default }))
}

fn read_group<'a>(object: &Object<'a>, index: u32, section: Section) -> Result<Group<'a>> {
    let data = section.data(object.data);
    let fail = |text: &str| Err(bad(&object.name, Some(".group".into()), None, text));
    if section.info >= object.symbols.len() {
        return fail("the group's signature does not exist");
    }
    let name = match object.symbols.get(section.info).kind {
        kind::SECTION => object.symbol_name(section.info),
        _ => crate::object::c_string(object.names, object.symbols.get(section.info).name),
    };
    let group = Group {
        section: index,
        signature: section.info,
        name: (name, hash_name(name)),
        members: &data[4..],
        comdat: u32_at(data, 0) & 1 != 0,
    };
    if group.sections().any(|s| s >= object.sections.len() || s == 0) {
        return fail("the group has a member that does not exist");
    }
    if group.sections().any(|s| object.sections.get(s).kind == SHT_GROUP) {
        return fail("the group has a group as a member");
    }
    Ok(group)
}

/// Whether the section at `index` is a table of unwind records.
fn unwinds(object: &Object<'_>, index: u32) -> bool {
    let kind = object.sections.get(index).kind;
    object.arch.index.is_some_and(|i| i.kind == kind) || object.section_name(index) == b".eh_frame"
}

/// Sorts the relocations of unwind tables: each record looks for its own, and no spec promises order.
fn sort_unwind(object: &mut Object<'_>) {
    for index in 1..object.sections.len() {
        if object.relocs_of[index as usize] != 0 && unwinds(object, index) {
            let sorted = object.relocs(index).sorted();
            object.sorted.extend(sorted.map(|relocs| (index, relocs)));
        }
    }
}

fn check_relocs(object: &Object<'_>) -> Result<()> {
    let count = object.symbols.len();
    for (index, &at) in object.relocs_of.iter().enumerate().filter(|e| *e.1 != 0) {
        let of = object.sections.get(index as u32).kind;
        if matches!(of, SHT_RELA | SHT_REL | SHT_SYMTAB | SHT_STRTAB | SHT_GROUP) {
            let name = String::from_utf8_lossy(object.section_name(at)).into_owned();
            let text = "the relocations are for a section that can have none";
            return Err(bad(&object.name, Some(name), None, text));
        }
        let table = object.sections.get(object.sections.get(at).link).kind;
        if count > 0 && table != SHT_SYMTAB {
            let name = String::from_utf8_lossy(object.section_name(at)).into_owned();
            let text = "relocations against what is no symbol table";
            return Err(bad(&object.name, Some(name), None, text));
        }
        // Without a table not even the null symbol exists.
        let worst = object.relocs(index as u32).iter().position(|r| r.sym >= count);
        if let Some(position) = worst {
            let name = String::from_utf8_lossy(object.section_name(at)).into_owned();
            let text = "a relocation against a symbol that does not exist";
            return Err(bad(
                &object.name,
                Some(name),
                Some((position * object.arch.relocs().size()) as u64),
                text,
            ));
        }
    }
    Ok(())
}
