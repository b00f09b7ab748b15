//! Objects in the making: atoms where symbols cut sections, parts of one section where they don't.
//!
//! Nothing is random here, and nothing must know what a linker makes of it.

use crate::case::{
    Binding, Data, Definition, Desc, Library, LibraryDefinition, LibrarySymbol, Marker, Object,
    Reloc, Section, SectionFlags, SectionKind, Symbol, SymbolKind, SymbolRef, Visibility,
};
use crate::machine::Piece;
use crate::machine::macho::Machine;

/// Content of an atom to be.
#[derive(Clone, Default, Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) relocs: Vec<Reloc>,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), relocs: Vec::new() }
    }

    /// Appends a piece whose fields refer to `symbol`, `addend` beyond it.
    pub(super) fn piece(&mut self, piece: &Piece, symbol: SymbolRef, addend: i64) {
        let start = self.bytes.len() as u64;
        self.bytes.extend_from_slice(piece.bytes);
        self.relocs.extend(piece.fields.iter().map(|&(at, r_type, own)| Reloc {
            offset: start + u64::from(at),
            r_type,
            symbol,
            addend: addend.wrapping_add(own.into()),
        }));
    }

    /// Appends a word that points to `symbol`.
    pub(super) fn pointer(&mut self, machine: &Machine, symbol: SymbolRef, addend: i64) {
        self.align(8, 0);
        let offset = self.bytes.len() as u64;
        self.relocs.push(Reloc { offset, r_type: machine.pointer, symbol, addend });
        self.bytes.extend([0; 8]);
    }

    /// Appends `symbol - other + addend`, a word or half of one.
    pub(super) fn difference(
        &mut self,
        machine: &Machine,
        wide: bool,
        symbol: SymbolRef,
        other: SymbolRef,
        addend: i64,
    ) {
        self.align(if wide { 8 } else { 4 }, 0);
        let offset = self.bytes.len() as u64;
        let narrow = machine.rows.iter().find(|row| row.name.ends_with("UNSIGNED.4"));
        let plain = if wide { machine.pointer } else { narrow.map_or(0, |row| row.number) };
        let minus = machine.minus[usize::from(wide)];
        self.relocs.push(Reloc { offset, r_type: minus, symbol: other, addend: 0 });
        self.relocs.push(Reloc { offset, r_type: plain, symbol, addend });
        self.bytes.extend(vec![0; if wide { 8 } else { 4 }]);
    }

    /// Fills up to a multiple of `align`.
    pub(super) fn align(&mut self, align: usize, fill: u8) {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), fill);
    }
}

/// The kind of a section, by its name.
pub(super) fn kind(name: &str) -> SectionKind {
    match name {
        "__DATA,__bss" | "__DATA,__noptrbss" => SectionKind::Nobits,
        "__DATA,__mod_init_func" => SectionKind::InitArray,
        "__DATA,__mod_term_func" => SectionKind::FiniArray,
        "__TEXT,__cstring" => SectionKind::CstringLiterals,
        "__TEXT,__literal4" => SectionKind::Literals4,
        "__TEXT,__literal8" => SectionKind::Literals8,
        "__TEXT,__literal16" => SectionKind::Literals16,
        "__DATA,__thread_data" => SectionKind::ThreadLocalRegular,
        "__DATA,__thread_bss" => SectionKind::ThreadLocalZerofill,
        "__TEXT,__eh_frame" => SectionKind::EhFrame,
        "__DATA,__thread_vars" => SectionKind::ThreadLocalVariables,
        _ => SectionKind::Progbits,
    }
}

/// Whether a section of that kind can carry a marker.
fn marker(kind: SectionKind) -> Marker {
    if kind == SectionKind::Progbits { Marker::Tail } else { Marker::None }
}

fn empty(name: &str, align: u64) -> Section {
    let kind = kind(name);
    Section {
        name: name.into(),
        kind,
        flags: SectionFlags {
            alloc: !name.starts_with("__LD,"),
            write: name.starts_with("__DATA"),
            exec: name == "__TEXT,__text",
            ..SectionFlags::default()
        },
        align,
        entsize: 0,
        marker: if name.starts_with("__LD,") { Marker::None } else { marker(kind) },
        data: if kind.is_zerofill() { Data::Zeros(0) } else { Data::Bytes(Vec::new()) },
        relocs: Vec::new(),
        link_order: None,
    }
}

/// Adds an atom, or appends to the section where nothing cuts it; gives where it is.
pub(super) fn add(object: &mut Object, name: &str, align: u64, content: Content) -> (usize, u64) {
    let old = object.sections.iter().position(|section| section.name == name);
    let index = match old.filter(|_| !object.subsections) {
        Some(index) => index,
        None => {
            object.sections.push(empty(name, align));
            object.sections.len() - 1
        }
    };
    let section = &mut object.sections[index];
    section.align = section.align.max(align);
    let start = match &mut section.data {
        Data::Zeros(len) => {
            let start = len.next_multiple_of(align);
            *len = start + content.bytes.len() as u64;
            start
        }
        Data::Bytes(bytes) => {
            bytes.resize(bytes.len().next_multiple_of(align as usize), 0);
            let start = bytes.len() as u64;
            bytes.extend(content.bytes);
            start
        }
    };
    let moved = content.relocs.into_iter();
    section.relocs.extend(moved.map(|reloc| Reloc { offset: start + reloc.offset, ..reloc }));
    (index, start)
}

/// A symbol of these properties.
pub(super) fn symbol(name: &str, binding: Binding, definition: Definition) -> Symbol {
    Symbol {
        name: name.into(),
        binding,
        kind: SymbolKind::Notype,
        visibility: Visibility::Default,
        size: 0,
        definition,
        desc: Desc::default(),
    }
}

/// Adds a symbol; gives the reference to it.
pub(super) fn name(object: &mut Object, symbol: Symbol) -> SymbolRef {
    object.symbols.push(symbol);
    SymbolRef::Named(object.symbols.len() - 1)
}

/// Adds an atom with its name.
pub(super) fn atom(
    object: &mut Object,
    section: &str,
    align: u64,
    content: Content,
    of: Symbol,
) -> SymbolRef {
    let (section, offset) = add(object, section, align, content);
    name(object, Symbol { definition: Definition::Section { section, offset }, ..of })
}

/// The reference to an undefined name, which is added if the object doesn't mention it.
pub(super) fn undefined(object: &mut Object, wanted: &str) -> SymbolRef {
    match object.symbols.iter().position(|symbol| symbol.name == wanted) {
        Some(known) => SymbolRef::Named(known),
        None => name(object, symbol(wanted, Binding::Global, Definition::Undefined)),
    }
}

/// A descriptor of the variable whose initial content is at `content`.
pub(super) fn descriptor(object: &mut Object, machine: &Machine, content: SymbolRef) -> Content {
    let bootstrap = undefined(object, "__tlv_bootstrap");
    let mut it = Content::default();
    it.pointer(machine, bootstrap, 0);
    it.bytes.extend([0; 8]);
    it.pointer(machine, content, 0);
    it
}

/// An object without anything.
pub(super) fn object(name: &str, subsections: bool) -> Object {
    Object {
        name: name.into(),
        sections: Vec::new(),
        symbols: Vec::new(),
        groups: Vec::new(),
        subsections,
    }
}

/// A library with these symbols.
pub(super) fn library(name: &str, symbols: Vec<LibrarySymbol>) -> Library {
    Library { name: name.into(), soname: None, as_needed: false, symbols, weak: false }
}

/// A symbol of a library.
pub(super) fn exported(
    name: &str,
    binding: Binding,
    kind: SymbolKind,
    alias: u32,
) -> LibrarySymbol {
    LibrarySymbol {
        name: name.into(),
        version: None,
        binding,
        kind,
        visibility: Visibility::Default,
        size: 16,
        defined: LibraryDefinition::Defined { alias, readonly: false },
    }
}
