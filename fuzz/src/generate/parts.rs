//! Small pieces of cases that the exhaustive engines are put together from.
//!
//! Nothing is random here, and nothing must know what a linker makes of it.

use scold_diff::{Mode, Target};

use crate::case::{
    Binding, Case, Data, Definition, Marker, Object, Reloc, Section, SectionFlags, SectionKind,
    Symbol, SymbolKind, SymbolRef, Validity, Visibility,
};
use crate::machine::{Machine, Piece};

/// A section's flags from letters: `a`, `w`, `x`, `t`.
pub(crate) fn flags(letters: &str) -> SectionFlags {
    SectionFlags {
        alloc: letters.contains('a'),
        write: letters.contains('w'),
        exec: letters.contains('x'),
        tls: letters.contains('t'),
        ..SectionFlags::default()
    }
}

/// A marked section with these bytes after the marker.
pub(crate) fn section(name: &str, letters: &str, bytes: &[u8]) -> Section {
    Section {
        name: name.into(),
        kind: SectionKind::Progbits,
        flags: flags(letters),
        align: 16,
        entsize: 0,
        marker: Marker::Head,
        data: Data::Bytes(bytes.to_vec()),
        relocs: Vec::new(),
        link_order: None,
    }
}

/// A relocation at `offset` bytes after the marker.
pub(crate) fn reloc(offset: u64, r_type: u32, symbol: SymbolRef, addend: i64) -> Reloc {
    Reloc { offset: 16 + offset, r_type, symbol, addend }
}

/// Appends a piece whose fields refer to `symbol`, `addend` beyond their own.
pub(crate) fn add_piece(section: &mut Section, piece: &Piece, symbol: SymbolRef, addend: i64) {
    let start = section.size();
    let Data::Bytes(bytes) = &mut section.data else { return };
    bytes.extend_from_slice(piece.bytes);
    section.relocs.extend(piece.fields.iter().map(|&(at, r_type, own)| Reloc {
        offset: start + u64::from(at),
        r_type,
        symbol,
        addend: addend.wrapping_add(own.into()),
    }));
}

/// A default global symbol.
pub(crate) fn symbol(name: &str, kind: SymbolKind, definition: Definition) -> Symbol {
    Symbol {
        name: name.into(),
        binding: Binding::Global,
        kind,
        visibility: Visibility::Default,
        size: 0,
        definition,
        desc: Default::default(),
    }
}

/// An empty object.
pub(crate) fn object(name: &str) -> Object {
    Object {
        name: name.into(),
        sections: Vec::new(),
        symbols: Vec::new(),
        groups: Vec::new(),
        subsections: false,
    }
}

/// Gives executables their start: `_start`, which does nothing.
pub(crate) fn add_entry(machine: &Machine, object: &mut Object, mode: Mode) {
    if mode.is_library() {
        return;
    }
    let index = object.sections.len();
    object.sections.push(section(".text.start", "ax", machine.code.ret));
    let at = Definition::Section { section: index, offset: 16 };
    let size = machine.code.ret.len() as u64;
    object.symbols.push(Symbol { size, ..symbol("_start", SymbolKind::Func, at) });
}

/// A case without inputs.
pub(crate) fn case(target: Target, mode: Mode) -> Case {
    Case {
        target,
        mode,
        validity: Validity::Defined,
        options: Vec::new(),
        inputs: Vec::new(),
        versions: None,
        beside: Vec::new(),
    }
}
