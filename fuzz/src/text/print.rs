//! Case → text. It must not fail on any case, also one whose references lead nowhere.

use std::fmt::Write;

use super::{BINDINGS, FLAGS, HASH_STYLES, KINDS, PLAIN_OPTIONS, SYMBOL_KINDS, VALIDITIES};
use super::{DESCS, VISIBILITIES, desc, flag, is_plain, word};
use crate::case::*;
use crate::machine;

pub(super) fn print(case: &Case) -> String {
    let rows = machine::rows(case.target);
    let mut printer = Printer { rows, out: String::with_capacity(4096), indent: 0 };
    let mut head = format!("case {} {}", case.target, case.mode);
    if case.validity != Validity::Defined {
        let _ = write!(head, " {}", word(VALIDITIES, case.validity));
    }
    printer.line(&head);
    for option in &case.options {
        printer.line(&format!("option {}", option_text(option)));
    }
    if let Some(script) = &case.versions {
        printer.versions(script);
    }
    for input in &case.inputs {
        match input {
            Input::Object(object) => printer.object(object),
            Input::Archive(archive) => printer.archive(archive),
            Input::Library(library) => printer.library(library),
            Input::Group(archives) => {
                printer.open("group");
                archives.iter().for_each(|archive| printer.archive(archive));
                printer.close();
            }
        }
    }
    for other in &case.beside {
        printer.line("beside");
        printer.out.push_str(&print(other));
    }
    printer.out
}

struct Printer {
    rows: machine::Rows,
    out: String,
    indent: usize,
}

impl Printer {
    fn line(&mut self, text: &str) {
        (0..self.indent).for_each(|_| self.out.push_str("  "));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn open(&mut self, text: &str) {
        self.line(&format!("{text} {{"));
        self.indent += 1;
    }

    fn close(&mut self) {
        self.indent -= 1;
        self.line("}");
    }

    fn versions(&mut self, script: &VersionScript) {
        self.open("versions");
        for node in &script.nodes {
            let parent = node.parent.as_ref().map(|p| format!(" parent {}", name(p)));
            self.open(&format!("node {}{}", name(&node.name), parent.unwrap_or_default()));
            for (scope, names) in [("global", &node.global), ("local", &node.local)] {
                names.iter().for_each(|pattern| self.line(&format!("{scope} {}", name(pattern))));
            }
            self.close();
        }
        self.close();
    }

    fn archive(&mut self, archive: &Archive) {
        let mut head = format!("archive {}", name(&archive.name));
        head.push_str(if archive.whole { " whole" } else { "" });
        head.push_str(if archive.thin { " thin" } else { "" });
        self.open(&head);
        archive.members.iter().for_each(|member| self.object(member));
        self.close();
    }

    fn library(&mut self, library: &Library) {
        let mut head = format!("library {}", name(&library.name));
        if let Some(soname) = &library.soname {
            let _ = write!(head, " soname {}", name(soname));
        }
        head.push_str(if library.as_needed { " as-needed" } else { "" });
        head.push_str(if library.weak { " weak" } else { "" });
        self.open(&head);
        for symbol in &library.symbols {
            let mut line = format!("symbol {}", name(&symbol.name));
            if let Some((version, default)) = &symbol.version {
                let _ = write!(line, " {} {}", if *default { "@@" } else { "@" }, name(version));
            }
            attributes(&mut line, symbol.binding, symbol.kind, symbol.visibility);
            let _ = match symbol.defined {
                LibraryDefinition::Undefined => write!(line, " undefined"),
                LibraryDefinition::Absolute(value) => write!(line, " absolute {value:#x}"),
                LibraryDefinition::Defined { alias, readonly } => {
                    write!(line, " alias {alias}{}", if readonly { " readonly" } else { "" })
                }
            };
            size(&mut line, symbol.size);
            self.line(&line);
        }
        self.close();
    }

    fn object(&mut self, object: &Object) {
        let subsections = if object.subsections { " subsections" } else { "" };
        self.open(&format!("object {}{subsections}", name(&object.name)));
        let names = Names::new(object);
        for section in &object.sections {
            self.section(section, &names);
        }
        for symbol in &object.symbols {
            let mut line = format!("symbol {}", name(&symbol.name));
            attributes(&mut line, symbol.binding, symbol.kind, symbol.visibility);
            let _ = match symbol.definition {
                Definition::Undefined => write!(line, " undefined"),
                Definition::Absolute(value) => write!(line, " absolute {value:#x}"),
                Definition::Common { align } => write!(line, " common {align}"),
                Definition::Section { section, offset } => {
                    write!(line, " at {}+{offset:#x}", names.section(section))
                }
            };
            size(&mut line, symbol.size);
            let mut bits = symbol.desc;
            for word in DESCS.iter().filter(|word| desc(&mut bits, word).is_some_and(|bit| *bit)) {
                let _ = write!(line, " {word}");
            }
            self.line(&line);
        }
        for group in &object.groups {
            let mut line = format!("group {}", name(&group.signature));
            line.push_str(if group.comdat { " comdat" } else { " plain" });
            for member in &group.members {
                let _ = write!(line, " {}", names.section(*member));
            }
            self.line(&line);
        }
        self.close();
    }

    fn section(&mut self, section: &Section, names: &Names<'_>) {
        let mut head = format!("section {} {}", name(&section.name), word(KINDS, section.kind));
        let mut flags = section.flags;
        let on: String =
            FLAGS.chars().filter(|letter| flag(&mut flags, *letter).is_some_and(|f| *f)).collect();
        let _ = write!(head, " {} align={}", if on.is_empty() { "-" } else { &on }, section.align);
        if section.entsize != 0 {
            let _ = write!(head, " entsize={}", section.entsize);
        }
        if let Some(other) = section.link_order {
            let _ = write!(head, " link={}", names.section(other));
        }
        head.push_str(match section.marker {
            Marker::None => "",
            Marker::Head => " marker",
            Marker::Tail => " tail-marker",
        });
        self.open(&head);
        match &section.data {
            Data::Zeros(len) => self.line(&format!("zeros {len:#x}")),
            Data::Bytes(bytes) => self.bytes(bytes, section.flags.strings),
        }
        for reloc in &section.relocs {
            let kind = self
                .rows
                .name(reloc.r_type)
                .map_or_else(|| reloc.r_type.to_string(), ToOwned::to_owned);
            let mut line =
                format!("reloc {:#x} {kind} {}", reloc.offset, names.symbol(reloc.symbol));
            if reloc.addend != 0 {
                let _ = write!(line, " {}", reloc.addend);
            }
            self.line(&line);
        }
        self.close();
    }

    /// Text where it is text, hex otherwise, long runs of one byte as such.
    fn bytes(&mut self, mut bytes: &[u8], text: bool) {
        while let Some(first) = bytes.first() {
            let run = bytes.iter().take_while(|byte| *byte == first).count();
            if run >= 32 {
                self.line(&format!("fill {first:#04x} {run:#x}"));
                bytes = &bytes[run..];
                continue;
            }
            let run_at = |at: &usize| {
                bytes.len() >= at + 32 && bytes[*at..at + 32].iter().all(|b| *b == bytes[*at])
            };
            let len = bytes.len().min(16);
            let len = (1..len).find(run_at).unwrap_or(len);
            let nul = bytes.iter().position(|byte| *byte == 0);
            if let (true, Some(nul)) = (text, nul) {
                let piece = &bytes[..=nul];
                self.line(&format!("text \"{}\"", piece.escape_ascii()));
                bytes = &bytes[piece.len()..];
                continue;
            }
            let hex: Vec<String> = bytes[..len].iter().map(|byte| format!("{byte:02x}")).collect();
            self.line(&format!("hex {}", hex.join(" ")));
            bytes = &bytes[len..];
        }
    }
}

/// How sections and symbols of an object are called by its other lines.
struct Names<'a> {
    object: &'a Object,
}

impl<'a> Names<'a> {
    fn new(object: &'a Object) -> Self {
        Self { object }
    }

    fn section(&self, index: usize) -> String {
        let names = self.object.sections.iter().map(|section| &*section.name);
        unique(names, index)
    }

    fn symbol(&self, symbol: SymbolRef) -> String {
        match symbol {
            SymbolRef::Null => "-".into(),
            SymbolRef::Section(index) => format!("[{}]", self.section(index)),
            SymbolRef::Named(index) => {
                unique(self.object.symbols.iter().map(|symbol| &*symbol.name), index)
            }
        }
    }
}

/// The name at `index` where it is plain and the only one of its kind, else the index.
fn unique<'a>(names: impl Iterator<Item = &'a str> + Clone, index: usize) -> String {
    match names.clone().nth(index) {
        Some(name) if is_plain(name) && names.filter(|other| *other == name).count() == 1 => {
            name.to_owned()
        }
        _ => format!("#{index}"),
    }
}

fn attributes(line: &mut String, binding: Binding, kind: SymbolKind, visibility: Visibility) {
    let _ = write!(line, " {} {}", word(BINDINGS, binding), word(SYMBOL_KINDS, kind));
    if visibility != Visibility::Default {
        let _ = write!(line, " {}", word(VISIBILITIES, visibility));
    }
}

fn size(line: &mut String, size: u64) {
    if size != 0 {
        let _ = write!(line, " size {size}");
    }
}

/// A name, quoted if it has to be.
fn name(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { format!("\"{}\"", name.escape_default()) }
}

fn option_text(option: &Opt) -> String {
    if let Some((word, _)) = PLAIN_OPTIONS.iter().find(|(_, known)| known == option) {
        return (*word).to_owned();
    }
    match option {
        Opt::HashStyle(style) => format!("hash-style {}", word(HASH_STYLES, *style)),
        Opt::Defsym(symbol, DefsymValue::Number(value)) => {
            format!("defsym {} {value:#x}", name(symbol))
        }
        Opt::Defsym(symbol, DefsymValue::Symbol(other)) => {
            format!("defsym {} {}", name(symbol), name(other))
        }
        Opt::Wrap(symbol) => format!("wrap {}", name(symbol)),
        Opt::Soname(soname) => format!("soname {}", name(soname)),
        Opt::Entry(symbol) => format!("entry {}", name(symbol)),
        Opt::Undefined(symbol) => format!("undefined {}", name(symbol)),
        Opt::DynamicList(names) => names
            .iter()
            .fold("dynamic-list".to_owned(), |line, pattern| format!("{line} {}", name(pattern))),
        Opt::MinOs(major) => format!("min-os {major}"),
        Opt::MayBeUndefined(symbol) => format!("may-be-undefined {}", name(symbol)),
        Opt::Exported(symbol) => format!("exported {}", name(symbol)),
        Opt::Unexported(symbol) => format!("unexported {}", name(symbol)),
        plain => unreachable!("{} is a plain option", std::any::type_name_of_val(plain)),
    }
}
