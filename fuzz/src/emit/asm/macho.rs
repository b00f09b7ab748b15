//! Mach-O objects → assembler text for clang, dylibs → text stubs.
//!
//! Clang has no `.reloc` for Mach-O, so a relocation is what an instruction or a directive makes: [`amd64`] and
//! [`arm64`] find one with the same bytes. Where there is none, or where the assembler settles a reference
//! itself, the bytes stand with a comment, and the text is not the whole truth: `is_whole` tells.

mod amd64;
mod arm64;
pub(super) mod stub;

use std::collections::BTreeSet;
use std::fmt::Write;

use scold_diff::{Arch, Target};

use super::{byte_lines, quoted};
use crate::case::*;
use crate::emit::macho::layout::{self, Layout};
use crate::machine;
use crate::machine::Form;
use crate::machine::macho::amd64 as x86;

/// Assembler text that stands for bytes `start..end` of a section, with the relocations in it.
struct Spelled {
    start: usize,
    end: usize,
    text: String,
}

/// The line that starts the assembler.
pub(crate) fn command(target: Target, file: &str) -> String {
    format!(
        "clang --target={}-apple-macos11 -c -x assembler -o {file} -",
        machine_name(target.arch)
    )
}

/// The machine as `-arch` has it.
pub(super) fn machine_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "x86_64",
        Arch::Arm64 => "arm64",
        Arch::Arm => "armv7",
    }
}

/// An object as assembler text.
pub(super) fn object(object: &Object, target: Target) -> String {
    Writer::new(object, target).write().text
}

/// Whether the assembler makes of the text what the case has.
#[cfg(test)]
pub(crate) fn is_whole(object: &Object, target: Target) -> bool {
    Writer::new(object, target).write().whole
}

struct Writer<'a> {
    object: &'a Object,
    target: Target,
    text: String,
    whole: bool,
    /// Relocations that could not be spelled.
    missing: usize,
    /// There are differences, which clang must not settle while it reads: it does where no directive of alignment is
    /// between two labels.
    differs: bool,
}

impl<'a> Writer<'a> {
    fn new(object: &'a Object, target: Target) -> Self {
        let text = "\t.build_version macos, 11, 0\n".into();
        let mut relocs = object.sections.iter().flat_map(|section| &section.relocs);
        let differs = relocs.any(|reloc| machine::leads(target, reloc.r_type));
        let differs = differs && target.arch == Arch::Amd64 && !object.subsections;
        Self { object, target, text, whole: true, missing: 0, differs }
    }

    fn write(mut self) -> Self {
        let object = self.object;
        for merged in &Layout::new(object).sections {
            let head = section_head(&object.sections[merged.parts[0]]);
            let _ = writeln!(self.text, "\t.section {head}");
            for &part in &merged.parts {
                self.section(part);
            }
        }
        self.caveat();
        for (index, symbol) in object.symbols.iter().enumerate() {
            self.attributes(index, symbol);
        }
        let later = self.text.split(amd64::LATER).skip(1);
        let digits = later.map(|text| text.split(|c: char| !c.is_ascii_hexdigit()).next());
        let numbers: BTreeSet<String> = digits.flatten().map(str::to_owned).collect();
        for number in numbers {
            self.line(&format!("{}{number} = 0x{number}", amd64::LATER));
        }
        if object.subsections {
            self.text.push_str("\t.subsections_via_symbols\n");
        }
        self
    }

    /// Says at the head what is missing further down.
    fn caveat(&mut self) {
        if self.missing > 0 {
            let count = self.missing;
            let head = format!(
                "// this text is not the whole object: relocations left as comments: {count}\n"
            );
            self.text.insert_str(0, &head);
        }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "\t{text}");
    }

    /// Says that something can't be said.
    fn comment(&mut self, text: &str) {
        self.whole = false;
        let _ = writeln!(self.text, "\t// {text}");
    }

    fn section(&mut self, index: usize) {
        let section = &self.object.sections[index];
        self.line(&format!(".p2align {}, 0x0", layout::align(section).trailing_zeros()));
        if self.refers(SymbolRef::Section(index)) {
            let _ = writeln!(self.text, "{}:", label(index));
        }
        if section.kind.is_zerofill() {
            let mut done = 0;
            for (at, symbol) in self.labels(index) {
                self.gap(at.saturating_sub(done));
                done = at.max(done);
                self.label(symbol);
            }
            self.gap(section.size().saturating_sub(done));
            return;
        }
        let bytes = crate::emit::contents(self.object, index);
        let mut labels = self.labels(index);
        labels.reverse();
        let mut done = 0;
        for relocs in groups(self.target, &section.relocs) {
            let spelled = self.spelled(index, &bytes, relocs);
            match spelled.filter(|it| it.start >= done && it.end <= bytes.len()) {
                Some(spelled) => {
                    self.bytes(&bytes, &mut done, spelled.start, &mut labels);
                    if labels.last().is_some_and(|(at, _)| *at < spelled.end as u64) {
                        self.comment("a label is inside of this");
                    }
                    if relocs.iter().any(|reloc| self.by_symbol(index, reloc)) {
                        self.comment("as a place, by a symbol at hand");
                    }
                    self.line(&spelled.text);
                    done = spelled.end;
                }
                None => {
                    let at = (relocs[0].offset as usize).clamp(done, bytes.len());
                    self.bytes(&bytes, &mut done, at, &mut labels);
                    for reloc in relocs {
                        let name = machine::rows(self.target).name(reloc.r_type).unwrap_or("?");
                        let target = self.name(reloc.symbol);
                        let words = format!("here {name} {target} {:+}", reloc.addend);
                        self.comment(&words);
                        self.missing += 1;
                    }
                }
            }
        }
        self.bytes(&bytes, &mut done, bytes.len(), &mut labels);
        labels.iter().rev().for_each(|(_, symbol)| self.label(*symbol));
    }

    fn gap(&mut self, len: u64) {
        if len > 0 {
            self.line(&format!(".space {len:#x}"));
        }
    }

    /// Bytes up to `to`, with the labels among them.
    fn bytes(&mut self, bytes: &[u8], done: &mut usize, to: usize, labels: &mut Vec<(u64, usize)>) {
        while let Some((at, symbol)) = labels.last().copied().filter(|(at, _)| *at <= to as u64) {
            labels.pop();
            let at = (at as usize).max(*done);
            byte_lines(&mut self.text, &bytes[*done..at], true);
            if at > 0 && self.differs {
                self.line(".p2align 0");
            }
            *done = at;
            self.label(symbol);
        }
        byte_lines(&mut self.text, &bytes[*done..to], true);
        *done = to;
    }

    /// Symbols of section `index` by their offsets; those at the start first, one that begins an atom before others.
    fn labels(&self, index: usize) -> Vec<(u64, usize)> {
        let mut list = Vec::new();
        for (i, symbol) in self.object.symbols.iter().enumerate() {
            if let Definition::Section { section, offset } = symbol.definition
                && section == index
            {
                list.push((offset, i));
            }
        }
        list.sort_by_key(|(offset, i)| (*offset, self.object.symbols[*i].desc.alt_entry, *i));
        list
    }

    fn label(&mut self, index: usize) {
        let symbol = &self.object.symbols[index];
        let name = quoted(&symbol.name);
        if symbol.desc.alt_entry {
            self.line(&format!(".alt_entry {name}"));
        }
        let _ = writeln!(self.text, "{name}:");
    }

    /// What a relocation refers to.
    fn name(&self, symbol: SymbolRef) -> String {
        match symbol {
            SymbolRef::Named(i) => {
                self.object.symbols.get(i).map_or_else(|| "?".into(), |s| quoted(&s.name))
            }
            SymbolRef::Section(i) => label(i),
            SymbolRef::Null => "-".into(),
        }
    }

    /// Text for the relocations at one place.
    fn spelled(&self, index: usize, bytes: &[u8], relocs: &[Reloc]) -> Option<Spelled> {
        let reloc = relocs.last()?;
        let at = usize::try_from(reloc.offset).ok()?;
        let nothing = |reloc: &Reloc| match reloc.symbol {
            SymbolRef::Named(i) => i >= self.object.symbols.len(),
            SymbolRef::Section(i) => i >= self.object.sections.len(),
            SymbolRef::Null => true,
        };
        if relocs.iter().any(nothing) || self.is_settled(index, relocs) {
            return None;
        }
        let target = self.name(reloc.symbol);
        let plus = if reloc.addend == 0 { String::new() } else { format!("{:+}", reloc.addend) };
        if let [minus, _] = relocs {
            // For amd64 clang takes no difference of what another file has.
            let here = |reloc: &Reloc| self.atom(reloc.symbol).is_some();
            if self.target.arch == Arch::Amd64 && !relocs.iter().all(here) {
                return None;
            }
            return data(
                at,
                reloc.r_type,
                &format!("{target} - {}{plus}", self.name(minus.symbol)),
            );
        }
        if matches!(reloc.r_type, x86::X86_64_RELOC_UNSIGNED | x86::X86_64_RELOC_UNSIGNED_4) {
            return data(at, reloc.r_type, &format!("{target}{plus}"));
        }
        match self.target.arch {
            Arch::Arm64 => arm64::spelled(bytes, at, reloc.r_type, &target, &plus),
            _ => amd64::spelled(bytes, at, reloc.r_type, &target, &plus),
        }
    }

    /// Whether the assembler leaves no relocation: two places of one atom are at a known distance. Without
    /// subsections a section is one atom on arm64.
    fn is_settled(&self, index: usize, relocs: &[Reloc]) -> bool {
        let places: Vec<_> = relocs.iter().map(|reloc| self.atom(reloc.symbol)).collect();
        let absolute = |reloc: &Reloc| {
            let SymbolRef::Named(i) = reloc.symbol else { return false };
            let symbol = self.object.symbols.get(i);
            symbol.is_some_and(|s| matches!(s.definition, Definition::Absolute(_)))
        };
        let last = relocs.last().expect("groups are not empty");
        let row = machine::macho::of(self.target.arch).row(last.r_type);
        // Slots are the linker's, and so are pages and what is behind their starts.
        let linkers = [Form::Got, Form::TlsDescriptor, Form::Page, Form::Low];
        if row.is_some_and(|row| linkers.contains(&row.form)) {
            return false;
        }
        let (_, pcrel, _) = machine::macho::parts(last.r_type);
        let here = self.atom_at(index, last.offset);
        let near = relocs.len() == 1 && pcrel && places[0] == Some(here);
        let difference = relocs.len() == 2 && places[0].is_some() && places[0] == places[1];
        near || difference || relocs.iter().any(absolute)
    }

    /// Whether the assembler writes a relocation of a symbol that is one of a section in the case, or the other
    /// way round: to debug sections what is defined here is a place, everywhere else a symbol.
    fn by_symbol(&self, index: usize, reloc: &Reloc) -> bool {
        let debug = is_debug(&self.object.sections[index]);
        match reloc.symbol {
            SymbolRef::Section(_) => !debug,
            SymbolRef::Named(_) => debug && self.atom(reloc.symbol).is_some(),
            SymbolRef::Null => false,
        }
    }

    fn refers(&self, symbol: SymbolRef) -> bool {
        let mut relocs = self.object.sections.iter().flat_map(|section| &section.relocs);
        relocs.any(|reloc| reloc.symbol == symbol)
    }

    /// The atom of a symbol: the first section of its name, and where it starts in which part.
    fn atom(&self, symbol: SymbolRef) -> Option<(&'a str, usize, u64)> {
        match symbol {
            SymbolRef::Named(i) => match self.object.symbols.get(i)?.definition {
                Definition::Section { section, offset } => Some(self.atom_at(section, offset)),
                _ => None,
            },
            SymbolRef::Section(i) => Some(self.atom_at(i, 0)),
            SymbolRef::Null => None,
        }
    }

    fn atom_at(&self, section: usize, offset: u64) -> (&'a str, usize, u64) {
        let name = self.object.sections.get(section).map_or("", |section| section.name.as_str());
        if self.target.arch == Arch::Arm64 && !self.object.subsections {
            return (name, 0, 0);
        }
        let labels = self.labels(section);
        let mut starts = labels.iter().filter(|(at, symbol)| {
            let symbol = &self.object.symbols[*symbol];
            *at <= offset && !symbol.desc.alt_entry && !symbol.name.starts_with('L')
        });
        (name, section, starts.next_back().map_or(0, |(at, _)| *at))
    }

    fn attributes(&mut self, index: usize, symbol: &Symbol) {
        let name = quoted(&symbol.name);
        let same = self.object.symbols.iter().filter(|other| other.name == symbol.name).count();
        if same > 1 {
            self.comment(&format!("symbol {} is another {name}", index + 1));
            return;
        }
        match symbol.definition {
            // What something refers to is in the table anyway.
            Definition::Undefined if self.refers(SymbolRef::Named(index)) => {}
            Definition::Undefined => self.line(&format!(".reference {name}")),
            Definition::Absolute(value) => self.line(&format!("{name} = {value:#x}")),
            Definition::Common { align } => {
                let align = align.max(1).ilog2();
                self.line(&format!(".comm {name}, {}, {align}", symbol.size));
            }
            Definition::Section { .. } => {}
        }
        let defined =
            matches!(symbol.definition, Definition::Section { .. } | Definition::Absolute(_));
        let weak = symbol.binding == Binding::Weak;
        let hidden = matches!(symbol.visibility, Visibility::Hidden | Visibility::Internal);
        let bits = symbol.desc;
        let global = defined && symbol.binding != Binding::Local;
        let rows = [
            (global && !hidden, "globl"),
            (hidden && symbol.binding != Binding::Local, "private_extern"),
            (defined && bits.can_be_hidden, "weak_def_can_be_hidden"),
            (defined && weak && !bits.can_be_hidden, "weak_definition"),
            (symbol.definition == Definition::Undefined && weak, "weak_reference"),
            (defined && bits.no_dead_strip, "no_dead_strip"),
        ];
        for (_, directive) in rows.iter().filter(|(on, _)| *on) {
            self.line(&format!(".{directive} {name}"));
        }
    }
}

/// Relocations by place, as texts have them: lowest first, pairs together.
fn groups(target: Target, relocs: &[Reloc]) -> Vec<&[Reloc]> {
    let mut list = Vec::new();
    let mut at = 0;
    while at < relocs.len() {
        let pair = machine::leads(target, relocs[at].r_type)
            && relocs.get(at + 1).is_some_and(|next| next.offset == relocs[at].offset);
        let count = if pair { 2 } else { 1 };
        list.push(&relocs[at..at + count]);
        at += count;
    }
    list.sort_by_key(|group| group[0].offset);
    list
}

/// A directive for 4 or 8 bytes.
fn data(at: usize, r_type: u32, expression: &str) -> Option<Spelled> {
    let (_, _, length) = machine::macho::parts(r_type);
    let directive = match length {
        2 => ".long",
        3 => ".quad",
        _ => return None,
    };
    let text = format!("{directive} {expression}");
    Some(Spelled { start: at, end: at + (1 << length), text })
}

fn is_debug(section: &Section) -> bool {
    section.name.starts_with("__LD,") || section.name.starts_with("__DWARF,")
}

/// A label for a section that something refers to.
fn label(index: usize) -> String {
    format!("Lsection{index}")
}

/// What `.section` says of it.
fn section_head(section: &Section) -> String {
    let kind = match section.kind {
        SectionKind::Progbits | SectionKind::PreinitArray | SectionKind::Note => "regular",
        SectionKind::Nobits => "zerofill",
        SectionKind::InitArray => "mod_init_funcs",
        SectionKind::FiniArray => "mod_term_funcs",
        SectionKind::EhFrame => "coalesced,no_toc+strip_static_syms+live_support",
        SectionKind::CstringLiterals => "cstring_literals",
        SectionKind::Literals4 => "4byte_literals",
        SectionKind::Literals8 => "8byte_literals",
        SectionKind::Literals16 => "16byte_literals",
        SectionKind::ThreadLocalRegular => "thread_local_regular",
        SectionKind::ThreadLocalZerofill => "thread_local_zerofill",
        SectionKind::ThreadLocalVariables => "thread_local_variables",
    };
    let attributes: Vec<&str> = [
        (section.flags.exec, "pure_instructions"),
        (section.flags.retain, "no_dead_strip"),
        (is_debug(section), "debug"),
    ]
    .iter()
    .filter(|(on, _)| *on)
    .map(|(_, name)| *name)
    .collect();
    let separator = if section.kind == SectionKind::EhFrame { "+" } else { "," };
    match attributes.is_empty() {
        true => format!("{},{kind}", section.name),
        false => format!("{},{kind}{separator}{}", section.name, attributes.join("+")),
    }
}
