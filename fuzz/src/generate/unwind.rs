//! `.eh_frame`: several CIEs, FDEs of functions that live and of functions that don't, with and
//! without a language-specific data area.

use scold_diff::Mode;

use super::Dice;
use super::world::World;
use crate::case::*;
use crate::machine::Machine;

/// DWARF's `DW_CFA_nop`.
const NOP: u8 = 0;

impl World<'_> {
    pub(super) fn add_unwind(&mut self, dice: &mut Dice<'_>) {
        if !self.config.eh_frame {
            return;
        }
        for object in 0..self.drafts.len() {
            let functions: Vec<usize> = self.functions(object);
            if functions.is_empty() || dice.chance(200) {
                continue;
            }
            let kind = if dice.chance(500) { SectionKind::Progbits } else { SectionKind::EhFrame };
            // Writable with absolute addresses, as some old assemblers and compilers have it.
            // Whole addresses are the readers' 8 bytes, whatever the machine.
            let wide = self.machine.word == 8;
            let writable = wide && self.config.eh_frame_written && self.mode() == Mode::Exe;
            let draft = &mut self.drafts[object];
            let section = draft.add_section(".eh_frame", kind, if writable { "aw" } else { "a" });
            draft.object.sections[section].marker = Marker::None;
            draft.object.sections[section].align = 8;
            let machine = self.machine;
            let mut frames = Frames { machine, bytes: vec![], relocs: vec![] };
            // DW_EH_PE_pcrel | sdata4, or absptr.
            let plain = frames.cie(b"zR\0", &[if writable { 0 } else { 0x1b }]);
            let lsda = dice.chance(400).then(|| frames.cie(b"zLR\0", &[0x1b, 0x1b]));
            for function in functions {
                if dice.chance(250) {
                    continue;
                }
                match lsda {
                    Some(cie) if dice.chance(500) => {
                        let table = self.lsda(object);
                        self.fde(object, function, &mut frames, cie, Some(table));
                    }
                    _ if writable => self.wide_fde(object, function, &mut frames, plain),
                    _ => self.fde(object, function, &mut frames, plain, None),
                }
            }
            let target = &mut self.drafts[object].object.sections[section];
            target.data = Data::Bytes(frames.bytes);
            target.relocs = frames.relocs;
        }
    }

    /// Symbols of functions, each place once.
    fn functions(&self, object: usize) -> Vec<usize> {
        let symbols = &self.drafts[object].object.symbols;
        let mut seen = Vec::new();
        let mut list = Vec::new();
        for (i, symbol) in symbols.iter().enumerate() {
            let Definition::Section { section, offset } = symbol.definition else { continue };
            if symbol.kind == SymbolKind::Func && !seen.contains(&(section, offset)) {
                seen.push((section, offset));
                list.push(i);
            }
        }
        list
    }

    /// A table for one function: its section symbol and offset.
    fn lsda(&mut self, object: usize) -> (usize, u64) {
        let number = self.next();
        let draft = &mut self.drafts[object];
        let section = draft.section(".gcc_except_table", SectionKind::Progbits, "a");
        let table = [0xff, 0xff, 0x01, 0x00, number as u8, 0, 0, 0];
        (section, draft.append(section, 4, &table))
    }

    fn fde(
        &mut self,
        object: usize,
        function: usize,
        frames: &mut Frames,
        cie: u32,
        lsda: Option<(usize, u64)>,
    ) {
        let symbol = &self.drafts[object].object.symbols[function];
        let Definition::Section { section, offset } = symbol.definition else { return };
        let start = frames.bytes.len() as u64;
        let mut body = vec![];
        body.extend_from_slice(&(start as u32 + 4 - cie).to_le_bytes());
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(&(symbol.size.max(1) as u32).to_le_bytes());
        frames.pc32(start + 8, section, offset);
        body.push(if lsda.is_some() { 4 } else { 0 });
        if let Some((table, at)) = lsda {
            frames.pc32(start + 4 + body.len() as u64, table, at);
            body.extend_from_slice(&[0; 4]);
        }
        frames.record(&body);
    }
}

impl World<'_> {
    /// An FDE with whole addresses.
    fn wide_fde(&self, object: usize, function: usize, frames: &mut Frames, cie: u32) {
        let symbol = &self.drafts[object].object.symbols[function];
        let Definition::Section { section, offset: at } = symbol.definition else { return };
        let start = frames.bytes.len() as u64;
        let mut body = vec![];
        body.extend_from_slice(&(start as u32 + 4 - cie).to_le_bytes());
        let word = usize::from(self.machine.word);
        body.extend_from_slice(&[0; 8][..word]);
        body.extend_from_slice(&symbol.size.max(1).to_le_bytes()[..word]);
        body.push(0);
        let (symbol, addend) = (SymbolRef::Section(section), at as i64);
        let offset = start + 8;
        frames.relocs.push(Reloc { offset, r_type: self.machine.pointer, symbol, addend });
        frames.record(&body);
    }
}

/// The contents of an `.eh_frame` in the making.
struct Frames {
    machine: &'static Machine,
    bytes: Vec<u8>,
    relocs: Vec<Reloc>,
}

impl Frames {
    /// A CIE with the machine's factors and frame; gives its offset.
    fn cie(&mut self, augmentation: &[u8], data: &[u8]) -> u32 {
        let start = self.bytes.len() as u32;
        let mut body = vec![0, 0, 0, 0, 1];
        body.extend_from_slice(augmentation);
        body.extend_from_slice(self.machine.factors);
        body.push(data.len() as u8);
        body.extend_from_slice(data);
        body.extend_from_slice(self.machine.frame);
        self.record(&body);
        start
    }

    fn record(&mut self, body: &[u8]) {
        let len = body.len().next_multiple_of(8) + 4;
        self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
        self.bytes.extend_from_slice(body);
        let pad = len - body.len();
        self.bytes.extend(std::iter::repeat_n(NOP, pad));
    }

    fn pc32(&mut self, offset: u64, section: usize, at: u64) {
        let symbol = SymbolRef::Section(section);
        let (r_type, addend) = (self.machine.distance, at as i64);
        self.relocs.push(Reloc { offset, r_type, symbol, addend });
    }
}
