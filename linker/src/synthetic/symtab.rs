//! `.symtab` and `.strtab`: every symbol of the output for debuggers, planned per file so that
//! files can be written in parallel.

use rayon::prelude::*;

use crate::format::elf::class::{Class, SymbolHome, SymbolRecord};
use crate::layout::addresses::stays;
use crate::layout::symbols::definition_address;
use crate::layout::{Made, OutSec, SecPlace};
use crate::link::{Link, attr, section_of};
use crate::object::{FileId, Home, Object, SymId, Symbol, bind, kind, vis};
use crate::options::{Discard, Strip};

/// Where each file's symbols go.
#[derive(Default, Debug)]
pub struct SymtabPlan {
    /// By object, in order: the file, its local symbols and those that nobody outside sees, its global ones, its bytes of
    /// names.
    pub files: Vec<(FileId, u32, u32, u64)>,
    /// Names no object defines that are in the output nevertheless: imports, the linker's own.
    pub others: Vec<SymId>,
    /// Those of them that nobody outside sees.
    pub hidden: Vec<SymId>,
    /// Mapping symbols of what the linker makes: name, number of the output section, address. They are
    /// the last of the local ones.
    pub marks: Vec<(&'static str, usize, u64)>,
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

/// Whether nobody outside sees the global symbol: here it is a local one.
///
/// Spec: gABI ch. 4, STV_HIDDEN, STV_INTERNAL.
pub(crate) fn is_hidden(link: &Link<'_>, id: SymId) -> bool {
    matches!(link.res.visibility[id.i()], vis::HIDDEN | vis::INTERNAL)
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
                    match is_hidden(shared, id) {
                        true => locals += 1,
                        false => globals += 1,
                    }
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
    (plan.hidden, plan.others) = others.into_iter().partition(|&id| is_hidden(link, id));
    plan.locals += plan.hidden.len() as u32;
    link.plan.symtab = plan;
}

/// Adds mapping symbols for code that the linker makes, now that it has its place.
pub fn add_marks(link: &mut Link<'_>) {
    let mut marks = link.pools.marks(link);
    if let Some((number, plt)) = link.outs.iter().enumerate().find(|o| o.1.made == Some(Made::Plt))
    {
        let has = |&&(offset, _): &&(u64, &str)| offset == 0 || link.plt_header() > 0;
        let own = link.arch.plt_marks.iter().filter(has);
        marks.extend(own.map(|&(offset, name)| (name, number, plt.addr + offset)));
    }
    marks.retain(|mark| retains(link, mark.0.as_bytes()));
    if marks.is_empty() || link.plan.symtab.count == 0 {
        return;
    }
    let (count, strings) =
        (marks.len() as u32, mark_names(&marks).map(|n| n.len() as u64 + 1).sum::<u64>());
    let plan = &mut link.plan.symtab;
    plan.locals += count;
    plan.count += count;
    plan.strings += strings;
    plan.marks = marks;
    let (symbol, plan) = (link.arch.class.symbol() as u64, &link.plan.symtab);
    for out in &mut link.outs {
        match out.made {
            Some(Made::Symtab) => {
                out.info = plan.locals;
                out.size = u64::from(plan.count) * symbol;
            }
            Some(Made::SymtabShndx) => out.size = u64::from(plan.count) * 4,
            Some(Made::Strtab) => out.size = plan.strings,
            _ => {}
        }
    }
    crate::layout::addresses::place_again(link);
}

/// Each of their names once.
fn mark_names(marks: &[(&'static str, usize, u64)]) -> impl Iterator<Item = &'static str> {
    let names: std::collections::BTreeSet<&'static str> = marks.iter().map(|m| m.0).collect();
    names.into_iter()
}

/// One entry, ready to write.
struct Entry {
    name: u32,
    info: u8,
    other: u8,
    home: SymbolHome,
    value: u64,
    size: u64,
}

/// Room for entries, one after the other.
struct Slots<'b> {
    class: Class,
    symbols: &'b mut [u8],
    /// Of `.symtab_shndx`; empty if there is none.
    indexes: &'b mut [u8],
}

impl Slots<'_> {
    /// The first `count`, and the rest.
    fn split(self, count: u32) -> (Self, Self) {
        let at = count as usize * self.class.symbol();
        let (symbols, more) = self.symbols.split_at_mut(at);
        let at = self.indexes.len().min(count as usize * 4);
        let (indexes, rest) = self.indexes.split_at_mut(at);
        let class = self.class;
        (Self { class, symbols, indexes }, Self { class, symbols: more, indexes: rest })
    }

    /// Writes the next one.
    fn put(&mut self, entry: &Entry) {
        let Entry { name, info, other, home, value, size } = *entry;
        let (shndx, extended) = home.numbers();
        let symbols = std::mem::take(&mut self.symbols);
        let Some((slot, rest)) = symbols.split_at_mut_checked(self.class.symbol()) else { return };
        self.symbols = rest;
        self.class.put_symbol(slot, &SymbolRecord { name, info, other, shndx, value, size });
        if let Some((index, rest)) = std::mem::take(&mut self.indexes).split_at_mut_checked(4) {
            index.copy_from_slice(&extended.to_le_bytes());
            self.indexes = rest;
        }
    }
}

/// Section and value of a symbol in `home` whose address is `address`.
pub(crate) fn place(
    link: &Link<'_>,
    object: &Object<'_>,
    symbol: &Symbol,
    id: SymId,
) -> (SymbolHome, u64) {
    let mut address = link.addrs[id.i()];
    let out = match symbol.home {
        Home::Section(s) => section_of(link, object.sec(s)),
        Home::Common => link.common_at.get(&id).map(|c| c.0),
        _ => return (SymbolHome::ABSOLUTE, symbol.value),
    };
    let Some(out) = out else { return (SymbolHome::UNDEFINED, 0) };
    if symbol.kind == kind::TLS {
        address = address.wrapping_sub(link.tls_start());
    }
    (link.outs[out as usize].home(), address)
}

/// The same for the table that debuggers read: whatever has the address of an indirect function, it is its resolver.
fn own_place(
    link: &Link<'_>,
    object: &Object<'_>,
    symbol: &Symbol,
    id: SymId,
) -> (SymbolHome, u64) {
    let (home, value) = place(link, object, symbol, id);
    match home {
        SymbolHome::Section(_) if symbol.kind == kind::IFUNC => {
            (home, definition_address(link, id))
        }
        _ => (home, value),
    }
}

/// Writes the tables, which are zeroed and of the planned sizes; `indexes` may be missing.
pub fn write(link: &Link<'_>, symtab: &mut [u8], indexes: &mut [u8], strtab: &mut [u8]) {
    let plan = &link.plan.symtab;
    if plan.count == 0 {
        return;
    }
    let slots = Slots { class: link.arch.class, symbols: symtab, indexes };
    let (locals, mut globals) = slots.split(plan.locals);
    let (mut sections, mut locals) = locals.split(1).1.split(plan.sections);
    if plan.sections > 0 {
        for out in with_symbol(link) {
            let (home, value) = (out.home(), out.addr);
            sections.put(&Entry { name: 0, info: kind::SECTION, other: 0, home, value, size: 0 });
        }
    }
    let (_, mut strings) = strtab.split_at_mut(1);
    let mut at = 1u64;
    let mut tasks = Vec::with_capacity(plan.files.len());
    for &(file, local_count, global_count, bytes) in &plan.files {
        let (a, b, c);
        (a, locals) = locals.split(local_count);
        (b, globals) = globals.split(global_count);
        (c, strings) = strings.split_at_mut(bytes as usize);
        tasks.push((file, a, b, c, at));
        at += bytes;
    }
    let (mut hidden, marks) = locals.split(plan.hidden.len() as u32);
    let (mut globals, strings) = (globals, strings);
    tasks.into_par_iter().for_each(|(file, locals, globals, strings, at)| {
        write_file(link, file, locals, globals, strings, at);
    });
    let mut named = 0;
    for (list, slots) in [(&plan.hidden, &mut hidden), (&plan.others, &mut globals)] {
        named += write_others(link, list, slots, &mut strings[named..], at + named as u64);
    }
    write_marks(link, marks, &mut strings[named..], at + named as u64);
}

fn write_file<'b>(
    link: &Link<'_>,
    file: FileId,
    mut locals: Slots<'b>,
    mut globals: Slots<'b>,
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
    for index in 1..object.first_global {
        let symbol = object.symbols.get(index);
        if !keeps_local(link, object, &symbol) {
            continue;
        }
        let (home, value) = own_place(link, object, &symbol, object.id(index));
        let name = add(crate::object::c_string(object.names, symbol.name));
        let size = symbol.size;
        locals.put(&Entry {
            name,
            info: symbol.kind,
            other: symbol.vis | symbol.rest,
            home,
            value,
            size,
        });
    }
    for (at, &id) in object.globals.iter().enumerate() {
        let index = object.first_global + at as u32;
        if !keeps_global(link, file, id, index) {
            continue;
        }
        let symbol = object.symbols.get(index);
        let (home, value) = own_place(link, object, &symbol, id);
        let name = add(link.res.names.get(id));
        let kind = if symbol.kind == kind::COMMON { kind::OBJECT } else { symbol.kind };
        let size = link.res.commons.get(&id).map_or(symbol.size, |c| c.0);
        let other = link.res.visibility[id.i()] | symbol.rest;
        let (slots, bind) = match is_hidden(link, id) {
            true => (&mut locals, bind::LOCAL),
            false => (&mut globals, symbol.bind),
        };
        slots.put(&Entry { name, info: bind << 4 | kind, other, home, value, size });
    }
}

/// Writes `list`, which no object defines. How many bytes their names took.
fn write_others(
    link: &Link<'_>,
    list: &[SymId],
    slots: &mut Slots<'_>,
    strings: &mut [u8],
    base: u64,
) -> usize {
    let mut used = 0usize;
    for &id in list {
        let text = link.res.names.get(id);
        strings[used..used + text.len()].copy_from_slice(text);
        let name = (base + used as u64) as u32;
        used += text.len() + 1;
        let super::dynsym::Entry { info, other, home, value, size } =
            super::dynsym::entry(link, id);
        // The kind alone is a local symbol's.
        let info = if is_hidden(link, id) { info & 15 } else { info };
        slots.put(&Entry { name, info, other, home, value, size });
    }
    used
}

fn write_marks(link: &Link<'_>, mut slots: Slots<'_>, strings: &mut [u8], base: u64) {
    let (mut names, mut used) = (Vec::new(), 0);
    for text in mark_names(&link.plan.symtab.marks) {
        strings[used..used + text.len()].copy_from_slice(text.as_bytes());
        names.push((text, (base + used as u64) as u32));
        used += text.len() + 1;
    }
    for &(text, out, value) in &link.plan.symtab.marks {
        let name = names.iter().find(|n| n.0 == text).map_or(0, |n| n.1);
        let home = link.outs[out].home();
        slots.put(&Entry { name, info: kind::NOTYPE, other: 0, home, value, size: 0 });
    }
}
