//! Sections of an object → where they are in its file: those of one name are one section there, zerofill last.
//!
//! It must not know symbols or relocations.

use crate::case::{Object, Section, SectionKind};
use crate::emit::append_contents;

/// The largest alignment that the format's linkers take.
const LARGEST: u64 = 1 << 15;

/// A section of the file.
pub(in crate::emit) struct Merged<'a> {
    /// `__TEXT,__text`.
    pub(in crate::emit) name: &'a str,
    /// Indexes into `Object::sections` of what it is made of.
    pub(in crate::emit) parts: Vec<usize>,
    pub(super) addr: u64,
    pub(super) size: u64,
    /// Log2.
    pub(super) align: u32,
    /// S_* and S_ATTR_*.
    pub(super) flags: u32,
    pub(super) zerofill: bool,
}

/// Where everything is.
pub(in crate::emit) struct Layout<'a> {
    /// In the order of their headers.
    pub(in crate::emit) sections: Vec<Merged<'a>>,
    /// For each of the object's sections: index into `sections`, and its address.
    pub(super) places: Vec<(usize, u64)>,
}

impl<'a> Layout<'a> {
    pub(in crate::emit) fn new(object: &'a Object) -> Self {
        let mut sections: Vec<Merged<'a>> = Vec::new();
        for (index, section) in object.sections.iter().enumerate() {
            match sections.iter_mut().find(|known| known.name == section.name) {
                Some(known) => {
                    known.parts.push(index);
                    known.zerofill &= section.kind.is_zerofill();
                }
                None => sections.push(Merged {
                    name: &section.name,
                    parts: vec![index],
                    addr: 0,
                    size: 0,
                    align: 0,
                    flags: flags(section),
                    zerofill: section.kind.is_zerofill(),
                }),
            }
        }
        sections.sort_by_key(|section| section.zerofill);
        let mut layout = Self { sections, places: vec![(0, 0); object.sections.len()] };
        layout.place(object);
        layout
    }

    fn place(&mut self, object: &Object) {
        let mut addr = 0_u64;
        for (number, merged) in self.sections.iter_mut().enumerate() {
            let aligns = merged.parts.iter().map(|part| align(&object.sections[*part]));
            let largest = aligns.max().unwrap_or(1);
            addr = addr.next_multiple_of(largest);
            (merged.addr, merged.align) = (addr, largest.trailing_zeros());
            for &part in &merged.parts {
                let section = &object.sections[part];
                addr = addr.next_multiple_of(align(section));
                self.places[part] = (number, addr);
                addr += section.size();
            }
            merged.size = addr - merged.addr;
        }
    }

    /// Where the object's section `index` is, if there is one.
    pub(super) fn address(&self, index: usize) -> Option<u64> {
        self.places.get(index).map(|place| place.1)
    }

    /// The section of the file that the object's section `index` is in, from 1; 0 if there is no such.
    pub(super) fn ordinal(&self, index: usize) -> u32 {
        self.places.get(index).map_or(0, |place| place.0 as u32 + 1)
    }

    /// The bytes of all sections that have some, from address 0 on.
    pub(super) fn contents(&self, object: &Object) -> Vec<u8> {
        let mut out = Vec::new();
        for merged in self.sections.iter().filter(|merged| !merged.zerofill) {
            for &part in &merged.parts {
                out.resize(self.places[part].1 as usize, 0);
                append_contents(object, part, &mut out);
            }
            out.resize((merged.addr + merged.size) as usize, 0);
        }
        out
    }
}

/// The alignment as headers can have it.
pub(crate) fn align(section: &Section) -> u64 {
    section.align.clamp(1, LARGEST).next_power_of_two()
}

/// S_* of its kind, S_ATTR_* of its flags and its name.
fn flags(section: &Section) -> u32 {
    let kind = match section.kind {
        SectionKind::Progbits | SectionKind::PreinitArray | SectionKind::Note => 0,
        SectionKind::Nobits => 1,
        SectionKind::CstringLiterals => 2,
        SectionKind::Literals4 => 3,
        SectionKind::Literals8 => 4,
        SectionKind::InitArray => 9,
        SectionKind::FiniArray => 0xa,
        // S_COALESCED; S_ATTR_NO_TOC, STRIP_STATIC_SYMS, LIVE_SUPPORT.
        SectionKind::EhFrame => 0x6800_000b,
        SectionKind::Literals16 => 0xe,
        SectionKind::ThreadLocalRegular => 0x11,
        SectionKind::ThreadLocalZerofill => 0x12,
        SectionKind::ThreadLocalVariables => 0x13,
    };
    // S_ATTR_PURE_INSTRUCTIONS, SOME_INSTRUCTIONS; NO_DEAD_STRIP; DEBUG.
    let exec = if section.flags.exec { 0x8000_0400 } else { 0 };
    let retain = if section.flags.retain { 0x1000_0000 } else { 0 };
    let debug = section.name.starts_with("__LD,") || section.name.starts_with("__DWARF,");
    kind | exec | retain | if debug { 0x0200_0000 } else { 0 }
}
