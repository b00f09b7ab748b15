//! The ELF writer: headers around the sections.

use super::class::Class;
use super::*;
use crate::link::Link;
use crate::object::Section;
use crate::options::OutputKind;

struct Fields<'b> {
    out: &'b mut [u8],
    at: usize,
    class: Class,
}

impl Fields<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn word(&mut self, value: u64) {
        self.put(&value.to_le_bytes()[..self.class.word()]);
    }
}

/// Writes the file header, the program headers and the section headers.
pub fn headers(link: &Link<'_>, image: &mut [u8]) {
    let (shape, class) = (&link.shape, link.arch.class);
    let sections = link.outs.len() as u64 + 1;
    let names = link.out_of(crate::layout::Made::Shstrtab).map_or(0, |o| o.shndx);
    let mut out = Fields { out: image, at: 0, class };
    out.put(&[0x7f, b'E', b'L', b'F', class.ident(), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.u16(match link.options.kind {
        OutputKind::Exe => ET_EXEC,
        OutputKind::Relocatable => ET_REL,
        _ => ET_DYN,
    });
    out.u16(link.arch.machine);
    out.u32(1);
    out.word(link.plan.entry.map_or(link.plan.entry_number, |id| link.addrs[id.i()]));
    out.word(if shape.segments.is_empty() { 0 } else { class.header() as u64 });
    out.word(if names > 0 { shape.headers } else { 0 });
    out.u32(link.plan.flags);
    out.u16(class.header() as u16);
    out.u16(class.segment() as u16);
    out.u16(shape.segments.len() as u16);
    out.u16(class.section() as u16);
    out.u16(if names == 0 || sections >= u64::from(SHN_LORESERVE) { 0 } else { sections as u16 });
    out.u16(if names >= u32::from(SHN_LORESERVE) { SHN_XINDEX } else { names as u16 });
    for segment in &shape.segments {
        out.u32(segment.kind);
        // ELF32 has the flags further down.
        if class == Class::Elf64 {
            out.u32(segment.flags);
        }
        out.word(segment.offset);
        out.word(segment.addr);
        out.word(segment.addr);
        out.word(segment.file_size);
        out.word(segment.mem_size);
        if class == Class::Elf32 {
            out.u32(segment.flags);
        }
        out.word(segment.align);
    }
    if names > 0 {
        section_headers(link, &mut image[shape.headers as usize..], sections, names);
    }
}

fn section_headers(link: &Link<'_>, image: &mut [u8], sections: u64, names: u32) {
    let class = link.arch.class;
    let mut slots = image.chunks_exact_mut(class.section());
    let null = Section {
        size: if sections >= u64::from(SHN_LORESERVE) { sections } else { 0 },
        link: if names >= u32::from(SHN_LORESERVE) { names } else { 0 },
        ..Section::default()
    };
    let mut name = 1u32;
    let listed = link.outs.iter().map(|section| {
        let at = name;
        name += section.name.len() as u32 + 1;
        let packed = if section.packed.is_some() { SHF_COMPRESSED } else { 0 };
        Section {
            name: at,
            kind: section.kind,
            flags: section.flags | packed,
            addr: section.addr,
            offset: section.offset,
            size: section.packed.as_ref().map_or(section.size, |p| p.len() as u64),
            link: section.link,
            info: section.info,
            align: section.align,
            entsize: section.entsize,
        }
    });
    for (section, slot) in std::iter::once(null).chain(listed).zip(&mut slots) {
        class.put_section(slot, &section);
    }
}
