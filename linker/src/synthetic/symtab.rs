//! `.symtab` and `.strtab`: every symbol of the output for debuggers, planned per file so that
//! files can be written in parallel.

use rayon::prelude::*;

use crate::format::elf::class::{Class, SymbolRecord};
use crate::format::elf::{SHN_ABS, SHN_XINDEX};
use crate::layout::OutSec;
use crate::layout::SecPlace;
use crate::layout::addresses::stays;
use crate::link::{Link, attr, section_of};
use crate::object::{FileId, Home, Object, SymId, Symbol, kind};
use crate::options::{Discard, Strip};

/// Where each file's symbols go.
#[derive(Default, Debug)]
pub struct SymtabPlan {
    /// By object, in order: the file, its local symbols, its global ones, its bytes of names.
    pub files: Vec<(FileId, u32, u32, u64)>,
    /// Names no object defines that are in the output nevertheless: imports, the linker's own.
    pub others: Vec<SymId>,
    /// How many section symbols follow the null one: `--emit-relocs` refers to them.
    pub sections: u32,
    /// How many local symbols there are, the null one included.
    pub locals: u32,
    /// How many there are in all, the null one included.
    pub count: u32,
    /// Bytes of `.strtab`.
    pub strings: u64,
}

/// Whether local symbol `index` of `object` goes to the output.
pub(crate) fn keeps_local(link: &Link<'_>, object: &Object<'_>, symbol: &Symbol) -> bool {
    let in_output = match symbol.home {
        Home::Section(s) => {
            let out = link.sec_out[object.sec(s).i()];
            s != 0 && out != SecPlace::NOWHERE && !object.dead[s as usize]
        }
        Home::Absolute => true,
        _ => false,
    };
    if !in_output || symbol.kind == kind::SECTION || symbol.name == 0 {
        return false;
    }
    let name = crate::object::c_string(object.names, symbol.name);
    if !retains(link, name) {
        return false;
    }
    match link.options.discard {
        Discard::None => true,
        Discard::All => symbol.kind == kind::FILE,
        Discard::Locals => !name.starts_with(b".L"),
        Discard::SecMerge => {
            let merged = matches!(symbol.home, Home::Section(s)
                if link.sec_out[object.sec(s).i()].is_merged());
            !(merged && name.starts_with(b".L"))
        }
    }
}

/// Whether the global symbol at `index` of `object` is written with it.
pub(crate) fn keeps_global(link: &Link<'_>, file: FileId, id: SymId, index: u32) -> bool {
    let def = link.res.defs[id.i()];
    def.is_local()
        && def.file() == file
        && def.sym() == index
        && link.attrs[id.i()] & attr::DISCARDED == 0
        && retains(link, link.res.names.get(id))
}

/// Whether `--retain-symbols-file` leaves `name` in the table. Relocations that are kept need theirs.
fn retains(link: &Link<'_>, name: &[u8]) -> bool {
    let list = link.options.retain.as_ref().filter(|_| !link.options.emit_relocs);
    list.is_none_or(|list| list.contains(name))
}

/// The output sections that have a symbol of their own with `--emit-relocs`: the inputs' contents.
pub(crate) fn with_symbol<'l>(link: &'l Link<'_>) -> impl Iterator<Item = &'l OutSec> {
    link.outs.iter().filter(|o| o.made.is_none() && stays(o))
}

/// Counts symbols and name bytes by file.
pub fn plan(link: &mut Link<'_>) {
    if link.options.strip == Strip::All {
        return;
    }
    let shared = &*link;
    let objects: Vec<(FileId, &Object<'_>)> = link.res.objects().collect();
    let files: Vec<(FileId, u32, u32, u64)> = objects
        .par_iter()
        .map(|&(file, object)| {
            let (mut locals, mut globals, mut bytes) = (0, 0, 0u64);
            for index in 1..object.first_global {
                let symbol = object.symbols.get(index);
                if keeps_local(shared, object, &symbol) {
                    locals += 1;
                    let name = crate::object::c_string(object.names, symbol.name);
                    bytes += name.len() as u64 + 1;
                }
            }
            for (at, &id) in object.globals.iter().enumerate() {
                if keeps_global(shared, file, id, object.first_global + at as u32) {
                    globals += 1;
                    bytes += shared.res.names.get(id).len() as u64 + 1;
                }
            }
            (file, locals, globals, bytes)
        })
        .collect();
    let mut others = Vec::new();
    for at in 0..link.res.names.len() {
        let id = SymId(at as u32);
        let def = link.res.defs[at];
        let special = def.as_special().is_some() && retains(link, link.res.names.get(id));
        let import =
            link.attrs[at] & attr::IMPORT != 0 && link.plan.slots(id).dynsym != super::plan::NONE;
        if special || import {
            others.push(id);
        }
    }
    let mut plan = SymtabPlan { locals: 1, count: 1, strings: 1, ..SymtabPlan::default() };
    for &(_, locals, globals, bytes) in &files {
        plan.locals += locals;
        plan.count += locals + globals;
        plan.strings += bytes;
    }
    if link.options.emit_relocs {
        plan.sections = with_symbol(link).count() as u32;
        plan.locals += plan.sections;
        plan.count += plan.sections;
    }
    plan.count += others.len() as u32;
    plan.strings += others.iter().map(|&id| link.res.names.get(id).len() as u64 + 1).sum::<u64>();
    plan.files = files;
    plan.others = others;
    link.plan.symtab = plan;
}

/// One entry, ready to write.
struct Entry {
    name: u32,
    info: u8,
    other: u8,
    shndx: u32,
    value: u64,
    size: u64,
}

fn put(class: Class, out: &mut [u8], entry: &Entry) {
    let Entry { name, info, other, value, size, .. } = *entry;
    let shndx = if entry.shndx < 0xff00 || entry.shndx == SHN_ABS.into() {
        entry.shndx as u16
    } else {
        SHN_XINDEX
    };
    class.put_symbol(out, &SymbolRecord { name, info, other, shndx, value, size });
}

/// Section number and value of a symbol in `home` whose address is `address`.
pub(crate) fn place(
    link: &Link<'_>,
    object: &Object<'_>,
    symbol: &Symbol,
    id: SymId,
) -> (u32, u64) {
    let mut address = link.addrs[id.i()];
    let out = match symbol.home {
        Home::Section(s) => section_of(link, object.sec(s)),
        Home::Common => link.common_at.get(&id).map(|c| c.0),
        _ => return (SHN_ABS.into(), symbol.value),
    };
    let Some(out) = out else { return (0, 0) };
    if symbol.kind == kind::TLS {
        address = address.wrapping_sub(link.tls_start());
    }
    (link.outs[out as usize].shndx, address)
}

/// Writes both tables; `symtab` and `strtab` are zeroed and of the planned sizes.
pub fn write(link: &Link<'_>, symtab: &mut [u8], strtab: &mut [u8]) {
    let plan = &link.plan.symtab;
    if plan.count == 0 {
        return;
    }
    let entry = link.arch.class.symbol();
    let (locals, globals) = symtab.split_at_mut(plan.locals as usize * entry);
    let (sections, locals) = locals[entry..].split_at_mut(plan.sections as usize * entry);
    for (slot, out) in sections.chunks_exact_mut(entry).zip(with_symbol(link)) {
        let (shndx, value) = (out.shndx, out.addr);
        put(
            link.arch.class,
            slot,
            &Entry { name: 0, info: kind::SECTION, other: 0, shndx, value, size: 0 },
        );
    }
    let (mut locals, mut globals) = (locals, globals);
    let (_, mut strings) = strtab.split_at_mut(1);
    let mut at = 1u64;
    let mut tasks = Vec::with_capacity(plan.files.len());
    for &(file, local_count, global_count, bytes) in &plan.files {
        let (a, rest) = locals.split_at_mut(local_count as usize * entry);
        locals = rest;
        let (b, rest) = globals.split_at_mut(global_count as usize * entry);
        globals = rest;
        let (c, rest) = strings.split_at_mut(bytes as usize);
        strings = rest;
        tasks.push((file, a, b, c, at));
        at += bytes;
    }
    let (tail, tail_strings) = (globals, strings);
    tasks.into_par_iter().for_each(|(file, locals, globals, strings, at)| {
        write_file(link, file, locals, globals, strings, at);
    });
    write_others(link, tail, tail_strings, at);
}

fn write_file(
    link: &Link<'_>,
    file: FileId,
    locals: &mut [u8],
    globals: &mut [u8],
    strings: &mut [u8],
    base: u64,
) {
    let object = link.object(file);
    let mut used = 0usize;
    let mut add = |name: &[u8]| {
        strings[used..used + name.len()].copy_from_slice(name);
        let at = base + used as u64;
        used += name.len() + 1;
        at as u32
    };
    let mut slots = locals.chunks_exact_mut(link.arch.class.symbol());
    for index in 1..object.first_global {
        let symbol = object.symbols.get(index);
        if !keeps_local(link, object, &symbol) {
            continue;
        }
        let Some(slot) = slots.next() else { break };
        let (shndx, value) = place(link, object, &symbol, object.id(index));
        let name = add(crate::object::c_string(object.names, symbol.name));
        let size = symbol.size;
        put(
            link.arch.class,
            slot,
            &Entry { name, info: symbol.kind, other: symbol.vis, shndx, value, size },
        );
    }
    let mut slots = globals.chunks_exact_mut(link.arch.class.symbol());
    for (at, &id) in object.globals.iter().enumerate() {
        let index = object.first_global + at as u32;
        if !keeps_global(link, file, id, index) {
            continue;
        }
        let Some(slot) = slots.next() else { break };
        let symbol = object.symbols.get(index);
        let (shndx, value) = place(link, object, &symbol, id);
        let name = add(link.res.names.get(id));
        let kind = if symbol.kind == kind::COMMON { kind::OBJECT } else { symbol.kind };
        let info = symbol.bind << 4 | kind;
        let size = link.res.commons.get(&id).map_or(symbol.size, |c| c.0);
        put(
            link.arch.class,
            slot,
            &Entry { name, info, other: link.res.visibility[id.i()], shndx, value, size },
        );
    }
}

fn write_others(link: &Link<'_>, out: &mut [u8], strings: &mut [u8], base: u64) {
    let mut used = 0usize;
    for (slot, &id) in out.chunks_exact_mut(link.arch.class.symbol()).zip(&link.plan.symtab.others)
    {
        let name = link.res.names.get(id);
        strings[used..used + name.len()].copy_from_slice(name);
        let name_at = (base + used as u64) as u32;
        used += name.len() + 1;
        let entry = super::dynsym::entry(link, id);
        put(
            link.arch.class,
            slot,
            &Entry {
                name: name_at,
                info: entry.info,
                other: entry.vis,
                shndx: entry.shndx,
                value: entry.value,
                size: entry.size,
            },
        );
    }
}
