//! `.eh_frame` of the subjects: two functions, one with a personality routine and a table.

use object::SectionKind;
use object::elf;
use object::write::{Object, SectionId, SymbolId};

use super::relocate;

/// What the records speak of.
pub(super) struct Frames {
    /// The code's section symbol.
    pub(super) text: SymbolId,
    /// Start and length of the two functions.
    pub(super) functions: [(u64, u64); 2],
    /// The table's section symbol.
    pub(super) table: SymbolId,
    /// Where it is in it.
    pub(super) table_at: u64,
    /// Where the personality routine's address is kept.
    pub(super) slot: SectionId,
}

impl Frames {
    /// Adds the section; `routine` is the personality routine.
    pub(super) fn add(&self, object: &mut Object<'_>, routine: SymbolId) {
        let kind = SectionKind::ReadOnlyData;
        let frame = object.add_section(vec![], b".eh_frame".to_vec(), kind);
        let slot_at = object.append_section_data(self.slot, &[0; 8], 8);
        relocate(object, self.slot, slot_at, elf::R_X86_64_64, routine, 0);
        let slot = object.section_symbol(self.slot);
        let mut bytes = Vec::new();
        let mut relocs = Vec::new();
        // Code alignment 1, data alignment -8, return address in register 16; indirect, relative.
        let rich = [&b"\x01zPLR\0"[..], &[1, 0x78, 16, 7, 0x9b, 0, 0, 0, 0, 0x1b, 0x1b]].concat();
        let plain = [&b"\x01zR\0"[..], &[1, 0x78, 16, 1, 0x1b]].concat();
        for (i, head) in [rich, plain].into_iter().enumerate() {
            let cie = bytes.len();
            // def_cfa rsp+8; offset r16 -8
            record(&mut bytes, 0, &[&head[..], &[0x0c, 7, 8, 0x90, 1]].concat());
            let fde = bytes.len();
            let (start, len) = self.functions[i];
            relocs.push((fde + 8, self.text, start));
            let own: &[u8] = match i {
                0 => {
                    relocs.push((cie + 8 + 11, slot, slot_at));
                    relocs.push((fde + 17, self.table, self.table_at));
                    // advance 4; def_cfa_offset 16
                    &[4, 0, 0, 0, 0, 0x44, 0x0e, 0x10]
                }
                _ => &[0, 0x42, 0x0e, 0x18],
            };
            let len = u32::try_from(len).unwrap_or(1).to_le_bytes();
            let back = u32::try_from(fde + 4 - cie).unwrap_or(0);
            record(&mut bytes, back, &[&[0; 4][..], &len, own].concat());
        }
        object.append_section_data(frame, &bytes, 8);
        // In order: mold 1.10 and wild 0.10 die of others.
        relocs.sort_by_key(|(at, ..)| *at);
        for (at, symbol, addend) in relocs {
            let addend = i64::try_from(addend).unwrap_or(0);
            relocate(object, frame, at as u64, elf::R_X86_64_PC32, symbol, addend);
        }
    }
}

/// One record, padded to 8 bytes.
fn record(bytes: &mut Vec<u8>, id: u32, body: &[u8]) {
    let len = (4 + body.len()).next_multiple_of(8) + 4;
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len() + len - 4 - body.len(), 0);
}
