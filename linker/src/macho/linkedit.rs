//! The tables at the end of the image: fixups, exports, function starts, data in code, symbols, the
//! signature's place. Must not know where the image goes.

use super::fixups::{self, Fixups};
use super::link::{Def, Link, Out};
use super::object::Home;
use super::options::Kind;
use super::resolve::settle;
use super::symtab::{self, Counts};
use crate::format::macho::chained::{self, Form, Import, Value};
use crate::format::macho::opcodes::{self, Bind, Place};
use crate::format::macho::signature::Signed;
use crate::format::macho::trie::{self, Export};
use crate::format::macho::{attr, nlist, pad, put_uleb};
use crate::object::SymId;
use crate::{ErrorKind, Errors};

/// One table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Part {
    Chains,
    Rebases,
    Binds,
    WeakBinds,
    LazyBinds,
    Exports,
    FunctionStarts,
    DataInCode,
    Symbols,
    Indirect,
    Strings,
    Signature,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Linkedit {
    /// Each with its place in the file, its size and its bytes; none of the signature yet.
    pub parts: Vec<(Part, u64, u64, Vec<u8>)>,
    /// Symbols of each sort.
    pub counts: Counts,
    /// What each fixup's place holds.
    pub words: Vec<u64>,
    /// Where each lazy bind starts.
    pub lazy: Vec<u32>,
    /// Bytes of the whole image.
    pub size: u64,
}

impl Linkedit {
    /// Offset and size of a table, as load commands want them.
    pub fn place(&self, part: Part) -> Vec<u32> {
        // Of opcodes and slots that are not there nobody wants to know the place.
        let told =
            matches!(part, Part::Exports | Part::FunctionStarts | Part::DataInCode | Part::Symbols);
        let found = self.parts.iter().find(|entry| entry.0 == part && (told || entry.2 > 0));
        found.map_or(vec![0, 0], |&(_, at, size, _)| vec![at as u32, size as u32])
    }
}

/// Makes every table and gives it its place.
///
/// Errors: `reloc-unsupported` for fixups that can't be told.
pub fn build(link: &mut Link<'_>, fixups: &Fixups) -> Result<Linkedit, Errors> {
    let mut out = Linkedit::default();
    let mut parts: Vec<(Part, Vec<u8>, u64)> = Vec::new();
    if link.chained {
        let chains = chain(link, fixups)?;
        out.words = chains.words;
        parts.push((Part::Chains, chains.blob, 8));
    } else {
        classic(link, fixups, &mut out, &mut parts);
    }
    // A trie of nothing but its root is malformed to LLVM's readers: without exports there is none.
    let exports = exports(link);
    let trie = if exports.is_empty() { Vec::new() } else { trie::build(&exports) };
    parts.push((Part::Exports, trie, 8));
    if !link.options.no_function_starts {
        parts.push((Part::FunctionStarts, function_starts(link), 8));
    }
    if !link.options.no_data_in_code {
        parts.push((Part::DataInCode, data_in_code(link), 8));
    }
    let tables = symtab::build(link, fixups);
    out.counts = tables.counts;
    parts.push((Part::Symbols, tables.symbols, 8));
    parts.push((Part::Indirect, tables.indirect, 4));
    parts.push((Part::Strings, tables.strings, 1));
    let Some(last) = link.segments.last_mut() else { return Ok(out) };
    let mut at = last.offset;
    for (part, bytes, align) in parts {
        at = at.next_multiple_of(align);
        let size = bytes.len() as u64;
        out.parts.push((part, at, size, bytes));
        at += size;
    }
    if link.options.is_signed() {
        at = at.next_multiple_of(16);
        let size = signed(link, at).len() as u64;
        out.parts.push((Part::Signature, at, size, Vec::new()));
        at += size;
    }
    out.size = at;
    if let Some(last) = link.segments.last_mut() {
        last.file_size = at - last.offset;
        last.size = last.file_size.next_multiple_of(link.machine.page);
    }
    Ok(out)
}

/// The signature of an image whose first `limit` bytes are signed.
pub fn signed<'l>(link: &'l Link<'_>, limit: u64) -> Signed<'l> {
    let ident = link.options.output.file_name().and_then(|name| name.to_str()).unwrap_or("a.out");
    let text = link.segments.iter().find(|segment| segment.name == b"__TEXT");
    let main = link.options.kind == Kind::Execute;
    Signed { ident, limit, text: text.map_or(0, |text| text.file_size), main }
}

/// Every name as an import; few of them are used as such.
fn imports<'a>(link: &Link<'a>) -> Vec<Import<'a>> {
    let import = |(at, global): (u32, &super::link::Global)| Import {
        name: link.names.get(SymId(at)),
        ordinal: global.ordinal.unwrap_or(0),
        weak: global.weak_import,
    };
    (0..).zip(&link.globals).map(import).collect()
}

fn chain(link: &Link<'_>, fixups: &Fixups) -> Result<chained::Chains, Errors> {
    let pointer = if link.options.minos >= 12 << 16 { 6 } else { 2 };
    let form = Form { pointer, page: link.machine.page, base: link.base };
    let segment = |s: &super::link::Segment| chained::Segment { addr: s.addr, size: s.size };
    let mut segments: Vec<_> = link.segments.iter().map(segment).collect();
    // Nothing is mended in what is no part of memory.
    for (to, from) in segments.iter_mut().zip(&link.segments) {
        to.size = if from.protection & 2 == 0 { 0 } else { to.size };
    }
    let error = |refused: &chained::Refused| {
        let text = format!("{} at address {:#x}", refused.text, refused.addr);
        let text = format!("{text}; -no_fixup_chains takes it");
        fixups::located(link, ErrorKind::RelocUnsupported, &text, refused.addr)
    };
    chained::build(form, &segments, &imports(link), &fixups.list).map_err(|refused| {
        let errors = Errors::collect(refused.iter().map(error).collect());
        errors.unwrap_or_else(|| unreachable!("chains are refused for a reason"))
    })
}

/// The segment of an address, and how far in it is.
fn place(link: &Link<'_>, addr: u64) -> Place {
    let found =
        link.segments.iter().rposition(|segment| segment.addr <= addr && segment.protection != 0);
    let at = found.unwrap_or(0);
    (at as u8, addr - link.segments[at].addr)
}

/// Streams of opcodes; the places hold addresses.
fn classic(
    link: &Link<'_>,
    fixups: &Fixups,
    out: &mut Linkedit,
    parts: &mut Vec<(Part, Vec<u8>, u64)>,
) {
    let imports = imports(link);
    let (mut rebases, mut binds, mut weak) = (Vec::new(), Vec::new(), Vec::new());
    for fixup in &fixups.list {
        let at = place(link, fixup.addr);
        match fixup.value {
            Value::Own(target) => {
                rebases.push(at);
                out.words.push(target);
            }
            Value::Import(id, addend) => {
                let global = &link.globals[id as usize];
                let import = imports[id as usize];
                let own = matches!(global.def, Def::Object(..) | Def::Made(_));
                let bind = Bind { place: at, import, addend };
                // A weak definition's own copy serves until the loader has seen them all.
                match own && global.weak {
                    true => rebases.push(at),
                    false => binds.push(bind),
                }
                if global.weak {
                    weak.push(bind);
                }
                let word = if own { global.addr.wrapping_add(addend as u64) } else { 0 };
                out.words.push(word);
            }
        }
    }
    binds.sort_by_key(|bind| (bind.import.ordinal, bind.import.name, bind.addend, bind.place));
    weak.sort_by_key(|bind| (bind.import.name, bind.addend, bind.place));
    let overrides = |(at, g): (u32, &super::link::Global)| {
        (g.exported && g.overrides_weak).then(|| link.names.get(SymId(at)))
    };
    let mut strong: Vec<&[u8]> = (0..).zip(&link.globals).filter_map(overrides).collect();
    strong.sort_unstable();
    let lazy = |&(addr, id): &(u64, u32)| Bind {
        place: place(link, addr),
        import: imports[id as usize],
        addend: 0,
    };
    let lazy: Vec<Bind<'_>> = fixups.lazy.iter().map(lazy).collect();
    let (stream, starts) = opcodes::lazy(&lazy);
    out.lazy = starts;
    if !link.options.slides() {
        rebases.clear();
    }
    parts.push((Part::Rebases, opcodes::rebases(&rebases), 8));
    parts.push((Part::Binds, opcodes::binds(&binds, false, &[]), 8));
    parts.push((Part::WeakBinds, opcodes::binds(&weak, true, &strong), 8));
    parts.push((Part::LazyBinds, stream, 8));
}

fn exports<'a>(link: &Link<'a>) -> Vec<Export<'a>> {
    let export = |(at, global): (u32, &super::link::Global)| {
        let id = SymId(at);
        if let (true, Def::Library(number)) = (global.reexported, global.def) {
            let weak = if global.weak { trie::WEAK } else { 0 };
            let flags = trie::REEXPORT | weak | u64::from(global.thread_local);
            let value = link.libraries[number as usize].ordinal as u64;
            return Some(Export { name: link.names.get(id), flags, value });
        }
        let absolute = link.is_absolute(super::link::Ref::Name(id));
        let kind = if absolute { 2 } else { global.thread_local.into() };
        let weak = if global.weak { trie::WEAK } else { 0 };
        let base = if absolute { 0 } else { link.base };
        global.exported.then(|| Export {
            name: link.names.get(id),
            flags: kind | weak,
            value: global.addr.wrapping_sub(base),
        })
    };
    let mut list: Vec<Export<'a>> = (0..).zip(&link.globals).filter_map(export).collect();
    if settle::exports_header(link.options) {
        list.push(Export { name: settle::HEADER, flags: 0, value: 0 });
    }
    list.sort_unstable_by_key(|export| export.name);
    list.dedup_by_key(|export| export.name);
    list
}

/// Says of a section that it has code.
const CODE: u32 = attr::PURE_INSTRUCTIONS | attr::SOME_INSTRUCTIONS;

/// Distances from one function to the next, the first from the start of __TEXT.
fn function_starts(link: &Link<'_>) -> Vec<u8> {
    let mut starts = Vec::new();
    for object in &link.files {
        for symbol in &object.symbols {
            let Home::Atom(atom, offset) = symbol.home else { continue };
            let atom = object.first_atom + atom;
            let section = object.sections.get(usize::from(symbol.section).wrapping_sub(1));
            let code = section.is_some_and(|section| section.header.flags & CODE != 0);
            if code && link.is_kept(atom) && symbol.desc & nlist::ALT_ENTRY == 0 {
                starts.push(link.atoms[atom as usize].addr.wrapping_add(offset));
            }
        }
    }
    // A symbol without code behind it may be where the next section starts.
    let code: Vec<&Out> = link.outs.iter().filter(|out| out.flags & CODE != 0).collect();
    starts.retain(|start| code.iter().any(|out| start.wrapping_sub(out.addr) < out.size));
    starts.sort_unstable();
    starts.dedup();
    let mut out = Vec::new();
    let mut last = link.base;
    for start in starts {
        put_uleb(&mut out, start.wrapping_sub(last));
        last = start;
    }
    out.push(0);
    pad(&mut out, 8);
    out
}

fn data_in_code(link: &Link<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    for object in &link.files {
        for &(section, offset, len, kind) in &object.data_in_code {
            let atoms = &object.sections[section as usize].atoms;
            let first = (object.first_atom + atoms.start) as usize;
            let atoms = &link.atoms[first..(object.first_atom + atoms.end) as usize];
            let at = atoms.partition_point(|atom| atom.start <= offset).saturating_sub(1);
            if let Some(atom) = atoms.get(at).filter(|_| link.is_kept((first + at) as u32)) {
                let addr = atom.addr + (offset - atom.start);
                list.push((addr.wrapping_sub(link.base) as u32, len, kind));
            }
        }
    }
    list.sort_unstable();
    let mut out = Vec::with_capacity(8 * list.len());
    for (offset, len, kind) in list {
        out.extend(offset.to_le_bytes());
        out.extend(len.to_le_bytes());
        out.extend(kind.to_le_bytes());
    }
    out
}
