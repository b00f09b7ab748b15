//! Case → assembler text for GNU `as`, or for clang, and the `ld` commands: what a bug report shows to people who
//! don't have scold.
//!
//! Fields are data with `.reloc` beside them, so that the assembler folds nothing: it has no say in
//! what a linker must decide. Where GNU `as` would add to the addend in such a field, it has an operator. Libraries have no assembler text that makes the same bytes; their text
//! makes one with the same symbols, linked by the linker at hand.

pub(crate) mod macho;

use std::cmp::Ordering;
use std::fmt::Write;

use scold_diff::desugar;
use scold_diff::{Format, Request, Target};

use super::machine::{Machine, find};
use crate::Case;
use crate::case::*;
use crate::machine;

/// Every object, member and library of `case` as assembler text: file name and text.
pub fn sources(case: &Case) -> Vec<(String, String)> {
    let (mut list, target) = (Vec::new(), case.target);
    let mut members = |archive: &Archive| {
        let text = |member: &Object| (member.name.clone(), object(member, target));
        list.extend(archive.members.iter().map(text));
    };
    for input in &case.inputs {
        match input {
            Input::Archive(archive) => members(archive),
            Input::Group(archives) => archives.iter().for_each(&mut members),
            Input::Object(_) | Input::Library(_) => {}
        }
    }
    for input in &case.inputs {
        match input {
            Input::Object(one) => list.push((one.name.clone(), object(one, target))),
            Input::Library(one) => list.push((one.name.clone(), library(one, target))),
            Input::Archive(_) | Input::Group(_) => {}
        }
    }
    list
}

/// Assembler text of the whole case under a heading for each file, and how to link it.
pub fn text(case: &Case, request: &Request) -> String {
    let mut out = String::new();
    let target = case.target;
    for (name, source) in sources(case) {
        let stub = source.starts_with("--- !tapi");
        let command = match target.format {
            Format::Elf => elf_command(&name, &source, find(target)),
            Format::Macho if stub => "as it stands".into(),
            Format::Macho => macho::command(target, &name),
        };
        let _ = writeln!(out, "# ---- {name}: {command}\n{source}");
    }
    for (name, source) in desugar::texts(request) {
        let _ = writeln!(out, "{}{source}", added(target, name, &source));
    }
    for file in &request.files {
        let script = std::str::from_utf8(&file.bytes).ok();
        let is_script = [".map", ".list", ".tbd"].iter().any(|end| file.name.ends_with(end));
        if let (true, Some(script)) = (is_script, script) {
            let _ = writeln!(out, "# ---- {}", file.name);
            script.lines().for_each(|line| out.push_str(&format!("# {line}\n")));
        }
    }
    for archive in archives(case) {
        let names: Vec<_> = archive.members.iter().map(|member| &*member.name).collect();
        let ar = match target.format {
            Format::Elf if archive.thin => "ar rcs --thin",
            Format::Elf => "ar rcs",
            Format::Macho => "llvm-ar --format=darwin rcs",
        };
        let _ = writeln!(out, "# {ar} {} {}", archive.name, names.join(" "));
    }
    let ld = match target.format {
        Format::Elf => "ld".into(),
        Format::Macho => format!("ld -arch {}", macho::machine_name(target.arch)),
    };
    let mode = request.mode.args(target.format).join(" ");
    let _ = writeln!(out, "# {ld} {mode} {} -o out", request.args.join(" "));
    out
}

/// The heading of what a mode adds as `source`: what assembles it, if it is an object at all and not only what changes
/// in others.
pub fn added(target: Target, name: &str, source: &str) -> String {
    let command = match target.format {
        _ if source.lines().all(|line| line.starts_with('#')) => return String::new(),
        Format::Elf => format!("as -o {name} -"),
        Format::Macho => macho::command(target, name),
    };
    format!("# ---- {name}: {command}\n")
}

/// What assembles `source`: GNU `as`, or clang where that doesn't know a relocation.
fn elf_command(name: &str, source: &str, machine: &Machine) -> String {
    let unknown = |r_type: &&&str| source.contains(&format!(", {r_type}, "));
    match machine.assembler.clang_only.iter().find(unknown) {
        None => format!("as -o {name} -"),
        Some(r_type) => {
            let arch = machine.assembler.clang;
            format!(
                "clang --target={arch} -c -o {name} -x assembler - (GNU as 2.40 has no {r_type})"
            )
        }
    }
}

fn archives(case: &Case) -> Vec<&Archive> {
    let list = case.inputs.iter().map(|input| match input {
        Input::Archive(archive) => std::slice::from_ref(archive),
        Input::Group(archives) => archives,
        _ => &[],
    });
    list.flatten().collect()
}

/// An object as assembler text for `target`.
pub fn object(object: &Object, target: Target) -> String {
    if target.format == Format::Macho {
        return macho::object(object, target);
    }
    let machine = find(target);
    let mut text = machine.assembler.head.to_owned();
    for index in 0..object.sections.len() {
        section_head(&mut text, object, index, machine);
        section_body(&mut text, object, index, machine);
    }
    for symbol in &object.symbols {
        symbol_lines(&mut text, symbol, machine);
    }
    stack_line(&mut text, machine);
    text
}

/// Without it GNU ld would make the stack executable.
fn stack_line(text: &mut String, machine: &Machine) {
    let _ = writeln!(text, "\t.section .note.GNU-stack,\"\",{}progbits", machine.assembler.sigil);
}

/// A label for every section, because names may occur twice.
fn label(index: usize) -> String {
    format!(".Lsection{index}")
}

fn section_head(text: &mut String, object: &Object, index: usize, machine: &Machine) {
    let section = &object.sections[index];
    let flags = &section.flags;
    let group = object.groups.iter().find(|group| group.members.contains(&index));
    let letters: String = [
        (flags.alloc, 'a'),
        (flags.write, 'w'),
        (flags.exec, 'x'),
        (flags.tls, 'T'),
        (flags.merge, 'M'),
        (flags.strings, 'S'),
        (flags.retain, 'R'),
        (flags.exclude, 'e'),
        (group.is_some(), 'G'),
        (section.link_order.is_some(), 'o'),
    ]
    .iter()
    .filter(|(on, _)| *on)
    .map(|(_, letter)| letter)
    .collect();
    let kind = match section.kind {
        SectionKind::Progbits => "progbits",
        SectionKind::Nobits => "nobits",
        SectionKind::InitArray => "init_array",
        SectionKind::FiniArray => "fini_array",
        SectionKind::PreinitArray => "preinit_array",
        SectionKind::Note => "note",
        SectionKind::EhFrame if machine.unwind == 1 => "progbits",
        SectionKind::EhFrame => "0x70000001",
        other => unreachable!("{other:?} is a kind of Mach-O's"),
    };
    let sigil = machine.assembler.sigil;
    let _ = write!(text, "\t.section {},\"{letters}\",{sigil}{kind}", quoted(&section.name));
    if flags.merge {
        let _ = write!(text, ",{}", section.entsize);
    }
    if let Some(other) = section.link_order {
        let _ = write!(text, ",{}", label(other));
    }
    if let Some(group) = group {
        let comdat = if group.comdat { ",comdat" } else { "" };
        let _ = write!(text, ",{}{comdat}", quoted(&group.signature));
    }
    // Sections that share a name would be one without it.
    let _ = writeln!(text, ",unique,{}", index + 1);
    let _ = writeln!(text, "\t.balign {}", section.align.max(1));
    let _ = writeln!(text, "{}:", label(index));
}

fn section_body(text: &mut String, object: &Object, index: usize, machine: &Machine) {
    let section = &object.sections[index];
    if section.kind == SectionKind::Nobits {
        let _ = writeln!(text, "\t.zero {:#x}", section.size());
        return;
    }
    let mut bytes = super::contents(object, index);
    machine.put_addends(section, &mut bytes);
    // gas has no `.reloc` for a place inside an earlier `.fill`.
    let folds = section.relocs.is_sorted_by_key(|reloc| reloc.offset);
    let mut done = 0;
    for (position, reloc) in section.relocs.iter().enumerate() {
        let at = (reloc.offset as usize).clamp(done, bytes.len());
        byte_lines(text, &bytes[done..at], folds);
        done = at;
        let end = section.relocs.get(position + 1).map_or(bytes.len(), |next| next.offset as usize);
        let field = bytes.get(at..end.min(bytes.len())).and_then(<[u8]>::first_chunk);
        if let Some(field) = field.filter(|_| at as u64 == reloc.offset)
            && let Some(line) = operator_line(object, reloc, *field, machine)
        {
            text.push_str(&line);
            done = at + field.len();
            continue;
        }
        reloc_line(text, object, reloc, at as u64, machine);
    }
    byte_lines(text, &bytes[done..], folds);
}

/// Lines of data; `folds`: runs of one byte may be one line.
fn byte_lines(text: &mut String, mut rest: &[u8], folds: bool) {
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|byte| *byte == first).count();
        let taken = if folds && run >= 16 {
            let _ = writeln!(text, "\t.fill {run:#x}, 1, {first:#04x}");
            run
        } else {
            let len = rest.len().min(16);
            let list: Vec<String> = rest[..len].iter().map(|b| format!("{b:#04x}")).collect();
            let _ = writeln!(text, "\t.byte {}", list.join(", "));
            len
        };
        rest = &rest[taken..];
    }
}

/// A word whose relocation `as` would add its symbol's value to, if it were one of `.reloc`.
fn operator_line(
    object: &Object,
    reloc: &Reloc,
    field: [u8; 4],
    machine: &Machine,
) -> Option<String> {
    let name = machine::of(machine.arch).name(reloc.r_type)?;
    let operators = machine.assembler.operators;
    let (_, operator) = operators.iter().find(|(psabi, _)| *psabi == name)?;
    let SymbolRef::Named(index) = reloc.symbol else { return None };
    let symbol = object.symbols.get(index)?;
    let placed = matches!(symbol.definition, Definition::Section { .. });
    let addend = i32::from_le_bytes(field);
    placed.then(|| format!("\t.word {}({operator}) {addend:+}\n", quoted(&symbol.name)))
}

/// A relocation of the bytes that follow; `here` is where the text is.
fn reloc_line(text: &mut String, object: &Object, reloc: &Reloc, here: u64, machine: &Machine) {
    let name = machine::of(machine.arch).name(reloc.r_type).unwrap_or("BFD_RELOC_NONE");
    let other = machine.assembler.names.iter().find(|(psabi, _)| *psabi == name);
    let kind = other.map_or(name, |(_, gnu)| gnu);
    let place = match reloc.offset.cmp(&here) {
        Ordering::Equal => ".".to_owned(),
        Ordering::Greater => format!(". + {:#x}", reloc.offset - here),
        Ordering::Less => format!(". - {:#x}", here - reloc.offset),
    };
    let _ = write!(text, "\t.reloc {place}, {kind}, ");
    let target = match reloc.symbol {
        SymbolRef::Null => None,
        SymbolRef::Named(i) => object.symbols.get(i).map(|symbol| quoted(&symbol.name)),
        SymbolRef::Section(i) => Some(label(i)),
    };
    // Where addends are in the fields, the bytes have them.
    let addend = if machine.addends.is_some() { 0 } else { reloc.addend };
    let _ = match (target, addend) {
        (Some(target), 0) => writeln!(text, "{target}"),
        (Some(target), addend) => writeln!(text, "{target} {addend:+}"),
        (None, addend) => writeln!(text, "{addend}"),
    };
}

fn symbol_lines(text: &mut String, symbol: &Symbol, machine: &Machine) {
    let name = quoted(&symbol.name);
    let _ = match symbol.binding {
        Binding::Local => writeln!(text, "\t.local {name}"),
        Binding::Weak => writeln!(text, "\t.weak {name}"),
        Binding::Global | Binding::Unique => writeln!(text, "\t.globl {name}"),
    };
    let visibility = match symbol.visibility {
        Visibility::Default => None,
        Visibility::Internal => Some("internal"),
        Visibility::Hidden => Some("hidden"),
        Visibility::Protected => Some("protected"),
    };
    if let Some(visibility) = visibility {
        let _ = writeln!(text, "\t.{visibility} {name}");
    }
    let common = matches!(symbol.definition, Definition::Common { .. });
    match symbol.definition {
        Definition::Undefined => {}
        Definition::Absolute(value) => {
            let _ = writeln!(text, "\t.set {name}, {value:#x}");
        }
        Definition::Common { align } => {
            let _ = writeln!(text, "\t.comm {name}, {}, {align}", symbol.size);
        }
        Definition::Section { section, offset } => {
            let _ = writeln!(text, "\t.set {name}, {} + {offset:#x}", label(section));
        }
    }
    let kind = match (symbol.binding, symbol.kind) {
        (Binding::Unique, _) => Some("gnu_unique_object"),
        (_, SymbolKind::Notype) => None,
        (_, SymbolKind::Object) => Some("object"),
        (_, SymbolKind::Func) => Some("function"),
        (_, SymbolKind::Tls) => Some("tls_object"),
        (_, SymbolKind::Ifunc) => Some("gnu_indirect_function"),
    };
    if let (Some(kind), false) = (kind, common) {
        let _ = writeln!(text, "\t.type {name}, {}{kind}", machine.assembler.sigil);
    }
    if symbol.size != 0 && !common {
        let _ = writeln!(text, "\t.size {name}, {}", symbol.size);
    }
}

/// A library's symbols as assembler text, to be linked with `-shared` and the version script in it; for Mach-O as a
/// text stub.
pub fn library(library: &Library, target: Target) -> String {
    if target.format == Format::Macho {
        return macho::stub::library(library);
    }
    let assembler = &find(target).assembler;
    let sigil = assembler.sigil;
    let soname = library.soname.as_ref().map(|name| format!(" -soname={name}"));
    let mut text = assembler.head.to_owned();
    let _ = writeln!(text, "# ld -shared{} --version-script=…", soname.unwrap_or_default());
    for symbol in &library.symbols {
        let version = symbol.version.as_ref().map(|(version, default)| {
            format!("{}{}{version}", symbol.name, if *default { "@@" } else { "@" })
        });
        let name = quoted(version.as_ref().unwrap_or(&symbol.name));
        let weak = symbol.binding == Binding::Weak;
        let _ = writeln!(text, "\t{} {name}", if weak { ".weak" } else { ".globl" });
        let number = match symbol.defined {
            LibraryDefinition::Undefined => continue,
            LibraryDefinition::Absolute(value) => {
                let _ = writeln!(text, "\t.set {name}, {value:#x}");
                continue;
            }
            LibraryDefinition::Defined { alias, .. } => {
                super::library::number(&library.name, alias)
            }
        };
        let (place, kind) = match symbol.kind {
            SymbolKind::Func => (".text".into(), "function"),
            SymbolKind::Ifunc => (".text".into(), "gnu_indirect_function"),
            SymbolKind::Tls => (format!(".section .tdata,\"awT\",{sigil}progbits"), "tls_object"),
            _ => (".data".into(), "object"),
        };
        let _ = writeln!(text, "\t{place}\n\t.balign 16\n\t.type {name}, {sigil}{kind}\n{name}:");
        let _ = match symbol.kind {
            SymbolKind::Func => write!(text, "{}", (assembler.returns)(number)),
            SymbolKind::Ifunc => {
                write!(text, "{}{}", assembler.resolver, (assembler.returns)(number))
            }
            _ => writeln!(text, "\t.quad {number:#x}\n\t.zero {}", symbol.size.saturating_sub(8)),
        };
        let _ = writeln!(text, "\t.size {name}, {}", symbol.size);
    }
    stack_line(&mut text, find(target));
    text
}

/// Versions too are part of a quoted name: what `.symver` renames can't have relocations in GNU `as`.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("\"{name}\"") }
}
