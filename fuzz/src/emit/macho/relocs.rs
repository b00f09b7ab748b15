//! Relocations of an object → its tables, and their addends in the fields.
//!
//! A named symbol is an external relocation, whose field (or ARM64_RELOC_ADDEND) has the addend; of a section
//! the field has the address in this file of what is meant, relative where the relocation is. It must not
//! know what a linker makes of them.

use scold_diff::{Arch, Format, Target};

use super::layout::Layout;
use super::symbols::Symbols;
use crate::case::{Object, Reloc, SymbolRef};
use crate::emit::bytes::Bytes;
use crate::machine::macho::{amd64, arm64, parts};
use crate::machine::{self, Form};

/// Tables of all sections, and the fields that change.
pub(super) struct Relocs<'a> {
    pub(super) object: &'a Object,
    pub(super) layout: &'a Layout<'a>,
    pub(super) symbols: &'a Symbols,
    pub(super) arch: Arch,
}

impl Relocs<'_> {
    /// The table of section `number` of the file; fields are written into `contents`.
    ///
    /// Assemblers write from the last place to the first; what is at one place stays in order, because pairs
    /// are read in order.
    pub(super) fn table(&self, number: usize, contents: &mut [u8]) -> Vec<u8> {
        let mut groups: Vec<Bytes> = Vec::new();
        let merged = &self.layout.sections[number];
        for &part in &merged.parts {
            let start = self.layout.address(part).unwrap_or(0);
            let mut paired = None;
            for reloc in &self.object.sections[part].relocs {
                let at = start.wrapping_add(reloc.offset);
                if paired.take() != Some(at) {
                    groups.push(Bytes::default());
                }
                let out = groups.last_mut().expect("one was pushed");
                self.entry(reloc, at, at.wrapping_sub(merged.addr), out);
                if !merged.zerofill {
                    self.field(reloc, at, contents);
                }
                let target = Target { arch: self.arch, format: Format::Macho };
                paired = machine::leads(target, reloc.r_type).then_some(at);
            }
        }
        groups.into_iter().rev().flat_map(|group| group.0).collect()
    }

    /// relocation_info, after that of its addend if it needs one.
    fn entry(&self, reloc: &Reloc, at: u64, offset: u64, out: &mut Bytes) {
        let (r_type, pcrel, length) = parts(reloc.r_type);
        let mut write = |symbol: u32, pcrel: bool, length: u32, external: bool, r_type: u32| {
            out.u32(offset as u32);
            let flags = u32::from(pcrel) | length << 1 | u32::from(external) << 3 | r_type << 4;
            out.u32(symbol & 0xff_ffff | flags << 24);
        };
        if reloc.r_type == arm64::ARM64_RELOC_ADDEND && self.arch == Arch::Arm64 {
            return write(reloc.addend as u32, pcrel, length, false, r_type);
        }
        let addend = self.value(reloc, at);
        if addend != 0 && self.is_instruction(reloc) {
            let (r_type, pcrel, length) = parts(arm64::ARM64_RELOC_ADDEND);
            write(addend as u32, pcrel, length, false, r_type);
        }
        match reloc.symbol {
            SymbolRef::Named(i) => {
                let row = self.symbols.index.get(i).copied().unwrap_or(0);
                write(row, pcrel, length, true, r_type);
            }
            SymbolRef::Section(i) => write(self.layout.ordinal(i), pcrel, length, false, r_type),
            SymbolRef::Null => write(0, pcrel, length, false, r_type),
        }
    }

    /// Whether the field is in an instruction of arm64, where it has no room for an addend.
    fn is_instruction(&self, reloc: &Reloc) -> bool {
        self.arch == Arch::Arm64 && !is_data(self.arch, reloc.r_type)
    }

    /// What stands for the addend.
    fn value(&self, reloc: &Reloc, at: u64) -> i64 {
        let behind = behind(self.arch, reloc.r_type);
        match reloc.symbol {
            SymbolRef::Named(_) => reloc.addend.wrapping_sub(behind),
            SymbolRef::Null => reloc.addend,
            SymbolRef::Section(i) => {
                let target = self.layout.address(i).unwrap_or(0) as i64;
                let (_, pcrel, length) = parts(reloc.r_type);
                let here = at as i64 + (1 << length) + behind;
                let base = if pcrel && self.arch == Arch::Amd64 { here } else { 0 };
                target.wrapping_add(reloc.addend).wrapping_sub(base)
            }
        }
    }

    fn field(&self, reloc: &Reloc, at: u64, contents: &mut [u8]) {
        let form = machine::macho::of(self.arch).row(reloc.r_type).map(|row| row.form);
        if !is_data(self.arch, reloc.r_type) || form == Some(Form::Minus) {
            return;
        }
        let width = 1 << parts(reloc.r_type).2;
        let field =
            usize::try_from(at).ok().and_then(|at| contents.get_mut(at..)?.get_mut(..width));
        if let Some(field) = field {
            field.copy_from_slice(&self.value(reloc, at).to_le_bytes()[..width]);
        }
    }
}

/// Whether all bits of the place are the relocation's: everything on x86-64, data on arm64.
fn is_data(arch: Arch, r_type: u32) -> bool {
    let row = machine::macho::of(arch).row(r_type);
    row.is_some_and(|row| row.field.mask == u64::MAX >> (64 - 8 * u64::from(row.field.width)))
}

/// Bytes of the immediate behind the field, which X86_64_RELOC_SIGNED_N leaves out of the addend.
fn behind(arch: Arch, r_type: u32) -> i64 {
    match (arch, r_type) {
        (Arch::Amd64, amd64::X86_64_RELOC_SIGNED_1) => 1,
        (Arch::Amd64, amd64::X86_64_RELOC_SIGNED_2) => 2,
        (Arch::Amd64, amd64::X86_64_RELOC_SIGNED_4) => 4,
        _ => 0,
    }
}

/// Whether a relocation of this kind to a symbol can have this addend: fields are 32 bits mostly, ADDEND has 24
/// and goes with three types only.
pub fn can_have(arch: Arch, r_type: u32, addend: i64) -> bool {
    let Some(row) = machine::macho::of(arch).row(r_type) else { return false };
    let data = is_data(arch, r_type);
    match row.form {
        Form::Minus | Form::Addend => addend == 0,
        _ if data && row.field.width == 8 => true,
        Form::Absolute => u32::try_from(addend).is_ok() || i32::try_from(addend).is_ok(),
        Form::Got if arch == Arch::Arm64 => addend == 0,
        _ if data => {
            let room = 8 * u32::from(row.field.width) - 1;
            (addend - behind(arch, r_type)) >> room == 0
                || (addend - behind(arch, r_type)) >> room == -1
        }
        Form::Call | Form::Page | Form::Low => (-(1 << 23)..1 << 23).contains(&addend),
        _ => addend == 0,
    }
}
