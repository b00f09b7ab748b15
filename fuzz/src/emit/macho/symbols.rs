//! Symbols of an object → its symbol table: locals, then what it defines for others, then what it wants.
//!
//! Commons count as wanted, as everywhere in Mach-O. It must not know relocations.

use super::layout::Layout;
use super::pieces::{
    N_ABS, N_ALT_ENTRY, N_EXT, N_NO_DEAD_STRIP, N_PEXT, N_SECT, N_WEAK_DEF, N_WEAK_REF, Nlist,
};
use crate::case::{Binding, Definition, Object, Symbol, Visibility};
use crate::emit::bytes::Bytes;

/// The table.
pub(super) struct Symbols {
    pub(super) rows: Vec<Nlist>,
    /// How many are local, defined, undefined.
    pub(super) counts: [u32; 3],
    pub(super) strings: Bytes,
    /// For each of the object's symbols: its row.
    pub(super) index: Vec<u32>,
}

impl Symbols {
    pub(super) fn new(object: &Object, layout: &Layout<'_>) -> Self {
        let mut table = Self {
            rows: Vec::with_capacity(object.symbols.len()),
            counts: [0; 3],
            strings: Bytes(vec![0]),
            index: vec![0; object.symbols.len()],
        };
        for group in 0..3 {
            for (i, symbol) in object.symbols.iter().enumerate() {
                if group_of(symbol) == group {
                    table.index[i] = table.rows.len() as u32;
                    let name = table.strings.string(&symbol.name);
                    table.rows.push(Nlist { name, ..row(symbol, layout) });
                    table.counts[group] += 1;
                }
            }
        }
        table
    }
}

/// 0 for locals, 1 for what others see, 2 for what somebody else may have.
fn group_of(symbol: &Symbol) -> usize {
    match symbol.definition {
        Definition::Undefined | Definition::Common { .. } => 2,
        _ if symbol.binding == Binding::Local => 0,
        _ => 1,
    }
}

/// What the table says of a symbol, but for its name.
fn row(symbol: &Symbol, layout: &Layout<'_>) -> Nlist {
    let weak = symbol.binding == Binding::Weak;
    let hidden = matches!(symbol.visibility, Visibility::Hidden | Visibility::Internal);
    let (mut kind, mut desc) = (0, 0);
    if group_of(symbol) != 0 {
        kind |= N_EXT | if hidden { N_PEXT } else { 0 };
    }
    let (mut sect, mut value) = (0, 0);
    match symbol.definition {
        Definition::Undefined => desc |= if weak { N_WEAK_REF } else { 0 },
        Definition::Common { align } => {
            value = symbol.size;
            desc |= (align.max(1).ilog2().min(15) as u16) << 8;
        }
        Definition::Absolute(number) => (kind, value) = (kind | N_ABS, number),
        Definition::Section { section, offset } => {
            kind |= N_SECT;
            sect = u8::try_from(layout.ordinal(section)).unwrap_or(0);
            value = layout.address(section).unwrap_or(0).wrapping_add(offset);
        }
    }
    if group_of(symbol) != 2 {
        let bits = symbol.desc;
        desc |= if weak { N_WEAK_DEF } else { 0 };
        desc |= if bits.can_be_hidden { N_WEAK_DEF | N_WEAK_REF } else { 0 };
        desc |= if bits.alt_entry { N_ALT_ENTRY } else { 0 };
    }
    desc |= if symbol.desc.no_dead_strip { N_NO_DEAD_STRIP } else { 0 };
    Nlist { name: 0, kind, sect, desc, value }
}
