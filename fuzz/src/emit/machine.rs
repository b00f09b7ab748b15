//! What is a machine's own in the files that cases become: class, addends, flags, a library's code.
//!
//! One row for each machine, a file each. It must not know what a relocation means, only where an addend
//! is written.

mod amd64;
mod arm;
mod arm64;

use object::elf;
use scold_diff::{Arch, Format, Target};

use super::bytes::Bytes;
pub use super::bytes::Class;
use crate::case::{Object, Reloc, Section, SectionKind};

/// Each machine that cases are written for.
pub const MACHINES: &[&Machine] = &[&amd64::MACHINE, &arm64::MACHINE, &arm::MACHINE];

/// How a machine's files are written.
#[derive(Debug)]
pub struct Machine {
    /// Which one.
    pub arch: Arch,
    /// ELF32 or ELF64.
    pub class: Class,
    /// e_flags of objects.
    pub flags: u32,
    /// What e_flags of libraries have beside these.
    pub library_flags: u32,
    /// The page that libraries' segments are aligned to.
    pub page: u64,
    /// The section type of `.eh_frame`, where it has one of its own.
    pub unwind: u32,
    /// The section that says what an object's code needs: name, type and bytes.
    pub attributes: Option<(&'static str, u32, &'static [u8])>,
    /// Where addends are in the fields: writes one, if there is a way to. None: tables have them.
    pub addends: Option<PutAddend>,
    /// Which mapping symbols a section of an object needs: names and values.
    pub mapping: fn(&Object, usize, &Section) -> Vec<(&'static str, u64)>,
    /// A function that returns a number, and what its state adds to its address; callers vary `alias`.
    pub returns: fn(u64, u32) -> (Vec<u8>, u64),
    /// An IFUNC's resolver: returns the address behind these 16 bytes.
    pub resolver: [u8; 16],
    /// What it is in assembler text.
    pub assembler: Assembler,
}

/// Writes the addend of a relocation of this type into its field; says whether it could.
pub type PutAddend = fn(u32, &mut [u8], i64) -> bool;

/// How GNU `as` writes for a machine.
#[derive(Clone, Copy, Debug)]
pub struct Assembler {
    /// What must stand above everything.
    pub head: &'static str,
    /// What types begin with, where `@` begins a comment.
    pub sigil: char,
    /// Lines of a function that returns a number.
    pub returns: fn(u64) -> String,
    /// Relocations that GNU calls otherwise than the psABI.
    pub names: &'static [(&'static str, &'static str)],
    /// Relocations of words that are written as an operator's, where `.reloc` makes another addend.
    pub operators: &'static [(&'static str, &'static str)],
    /// Relocations that GNU `as` 2.40 doesn't know, but clang does.
    pub clang_only: &'static [&'static str],
    /// What clang calls the target.
    pub clang: &'static str,
    /// Lines of a resolver before the function it chooses.
    pub resolver: &'static str,
}

/// The row of a target's machine.
pub fn find(target: Target) -> &'static Machine {
    MACHINES.iter().find(|machine| machine.arch == target.arch).expect("every machine has a row")
}

/// Whether a relocation of this type can have this addend: not each field has room.
pub fn can_have(target: Target, r_type: u32, addend: i64) -> bool {
    if target.format == Format::Macho {
        return super::macho::can_have(target.arch, r_type, addend);
    }
    match find(target).addends {
        Some(put) => put(r_type, &mut [0; 8], addend),
        None => true,
    }
}

impl Machine {
    /// How the names of relocation sections begin.
    pub(super) fn prefix(&self) -> &'static str {
        if self.addends.is_some() { ".rel" } else { ".rela" }
    }

    /// The type of relocation sections.
    pub(super) fn reloc_kind(&self) -> u32 {
        if self.addends.is_some() { elf::SHT_REL.0 } else { elf::SHT_RELA.0 }
    }

    /// Bytes of an entry of one.
    pub(super) fn reloc_size(&self) -> u64 {
        let fields = if self.addends.is_some() { 2 } else { 3 };
        fields * self.class.word()
    }

    /// Appends an entry.
    pub(super) fn reloc(&self, reloc: &Reloc, symbol: u32, out: &mut Bytes) {
        out.word(self.class, reloc.offset);
        let symbol = u64::from(symbol);
        let kind = u64::from(reloc.r_type);
        out.word(self.class, self.class.pick(symbol << 8 | kind & 0xff, symbol << 32 | kind));
        if self.addends.is_none() {
            out.word(self.class, reloc.addend as u64);
        }
    }

    /// Writes the addends of a section's relocations into its bytes, where that is their place.
    pub(super) fn put_addends(&self, section: &Section, bytes: &mut [u8]) {
        let Some(put) = self.addends.filter(|_| section.kind != SectionKind::Nobits) else {
            return;
        };
        for reloc in &section.relocs {
            if let Some(field) =
                usize::try_from(reloc.offset).ok().and_then(|at| bytes.get_mut(at..))
            {
                put(reloc.r_type, field, reloc.addend);
            }
        }
    }

    /// Mapping symbols of section `index`.
    pub(super) fn mapping(
        &self,
        object: &Object,
        index: usize,
        section: &Section,
    ) -> Vec<(&'static str, u64)> {
        (self.mapping)(object, index, section)
    }
}

/// A machine with one instruction set and no data in its code needs no mapping symbols.
fn unmapped(_: &Object, _: usize, _: &Section) -> Vec<(&'static str, u64)> {
    Vec::new()
}
