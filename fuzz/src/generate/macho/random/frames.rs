//! `__eh_frame`: functions whose compact unwind entry says that DWARF tells.
//!
//! Pointers are relative, each by two relocations from the section's own symbol, as assemblers write them.

use scold_diff::request::Arch;

use super::World;
use crate::case::{Binding, Definition, Reloc, SectionKind, SymbolRef};
use crate::generate::macho::parts::{self, Content};
use crate::machine::Piece;

/// A function that DWARF tells about.
pub(super) struct Frame {
    pub(super) function: SymbolRef,
    pub(super) length: u32,
    /// The personality routine and the function's table.
    pub(super) language: Option<(SymbolRef, SymbolRef)>,
    /// DW_CFA_def_cfa_offset of this.
    pub(super) depth: u8,
}

/// DW_EH_PE_pcrel, a whole word.
const RELATIVE: u8 = 0x10;
/// DW_EH_PE_indirect, pcrel, sdata4.
const SLOT: u8 = 0x9b;

impl World {
    /// The section with the records of `frames`.
    pub(super) fn add_frames(&mut self, object: usize, frames: &[Frame]) {
        let arch = self.target.arch;
        // Behind the slot of a distance to a GOT slot, which code can't hold.
        let slot = match self.code.slot.code {
            true => self.code.rare.iter().find(|piece| !piece.code),
            false => Some(&self.code.slot),
        };
        let Some(slot) = slot else { return };
        let it = &mut self.objects[object];
        let name = format!("EH_frame_{}", char::from(b'a' + object as u8));
        let own = SymbolRef::Named(it.symbols.len());
        it.symbols.push(parts::symbol(&name, Binding::Local, Definition::Undefined));
        let mut content = Content::default();
        let (pointer, minus) = (self.machine.pointer, self.machine.minus[1]);
        let pair = |content: &mut Content, symbol: SymbolRef| {
            let offset = content.bytes.len() as u64;
            content.relocs.push(Reloc { offset, r_type: minus, symbol: own, addend: 0 });
            let addend = (offset as i64).wrapping_neg();
            content.relocs.push(Reloc { offset, r_type: pointer, symbol, addend });
            content.bytes.extend([0; 8]);
        };
        for with in [false, true] {
            let mine = frames.iter().filter(|frame| frame.language.is_some() == with);
            let mut mine = mine.peekable();
            let Some(first) = mine.peek() else { continue };
            let common = content.bytes.len();
            let routine = first.language.map(|(routine, _)| routine);
            common_record(&mut content, arch, slot, routine);
            for frame in mine {
                let start = content.bytes.len();
                begin(&mut content, (start + 4 - common) as u32);
                pair(&mut content, frame.function);
                content.bytes.extend(u64::from(frame.length).to_le_bytes());
                content.bytes.push(if with { 8 } else { 0 });
                if let Some((_, table)) = frame.language {
                    pair(&mut content, table);
                }
                // DW_CFA_advance_loc of 1, DW_CFA_def_cfa_offset.
                content.bytes.extend([0x41, 0x0e, frame.depth]);
                end(&mut content, start);
            }
        }
        let it = &mut self.objects[object];
        let (section, offset) = parts::add(it, "__TEXT,__eh_frame", 8, content);
        debug_assert_eq!(it.sections[section].kind, SectionKind::EhFrame);
        if let SymbolRef::Named(symbol) = own {
            it.symbols[symbol].definition = Definition::Section { section, offset };
        }
    }
}

/// A CIE, with a personality routine or without.
fn common_record(content: &mut Content, arch: Arch, slot: &Piece, routine: Option<SymbolRef>) {
    let start = content.bytes.len();
    begin(content, 0);
    content.bytes.push(1);
    content.bytes.extend_from_slice(if routine.is_some() { b"zPLR\0" } else { b"zR\0" });
    let register = if arch == Arch::Arm64 { 30 } else { 16 };
    content.bytes.extend([1, 0x78, register]);
    match routine {
        Some(routine) => {
            content.bytes.extend([7, SLOT]);
            content.piece(slot, routine, 0);
            content.bytes.extend([RELATIVE, RELATIVE]);
        }
        None => content.bytes.extend([1, RELATIVE]),
    }
    // DW_CFA_def_cfa of the stack pointer; DW_CFA_offset of the return address.
    let frame: &[u8] = if arch == Arch::Arm64 { &[0x0c, 31, 0] } else { &[0x0c, 7, 8, 0x90, 1] };
    content.bytes.extend_from_slice(frame);
    end(content, start);
}

/// Room for a record's length, and its first word.
fn begin(content: &mut Content, word: u32) {
    content.bytes.extend([0; 4]);
    content.bytes.extend(word.to_le_bytes());
}

/// Pads the record that begins at `start`, with DW_CFA_nop, and writes its length.
fn end(content: &mut Content, start: usize) {
    content.align(8, 0);
    let length = (content.bytes.len() - start - 4) as u32;
    content.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
