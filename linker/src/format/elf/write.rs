//! The ELF writer: headers around the sections.

use super::*;
use crate::link::Link;
use crate::options::OutputKind;

struct Fields<'b>(&'b mut [u8], usize);

impl Fields<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
}

/// Writes the file header, the program headers and the section headers.
pub fn headers(link: &Link<'_>, image: &mut [u8]) {
    let shape = &link.shape;
    let sections = link.outs.len() as u64 + 1;
    let names = link.out_of(crate::layout::Made::Shstrtab).map_or(0, |o| o.shndx);
    let mut out = Fields(image, 0);
    out.put(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.u16(match link.options.kind {
        OutputKind::Exe => ET_EXEC,
        OutputKind::Relocatable => ET_REL,
        _ => ET_DYN,
    });
    out.u16(link.arch.machine);
    out.u32(1);
    out.u64(link.plan.entry.map_or(link.plan.entry_number, |id| link.addrs[id.i()]));
    out.u64(if shape.segments.is_empty() { 0 } else { 64 });
    out.u64(if names > 0 { shape.headers } else { 0 });
    out.u32(0);
    out.u16(64);
    out.u16(56);
    out.u16(shape.segments.len() as u16);
    out.u16(64);
    out.u16(if names == 0 || sections >= u64::from(SHN_LORESERVE) { 0 } else { sections as u16 });
    out.u16(if names >= u32::from(SHN_LORESERVE) { SHN_XINDEX } else { names as u16 });
    for segment in &shape.segments {
        out.u32(segment.kind);
        out.u32(segment.flags);
        out.u64(segment.offset);
        out.u64(segment.addr);
        out.u64(segment.addr);
        out.u64(segment.file_size);
        out.u64(segment.mem_size);
        out.u64(segment.align);
    }
    if names > 0 {
        section_headers(link, &mut image[shape.headers as usize..], sections, names);
    }
}

fn section_headers(link: &Link<'_>, image: &mut [u8], sections: u64, names: u32) {
    let mut out = Fields(image, 0);
    out.put(&[0; 32]);
    out.u64(if sections >= u64::from(SHN_LORESERVE) { sections } else { 0 });
    out.u32(if names >= u32::from(SHN_LORESERVE) { names } else { 0 });
    out.put(&[0; 20]);
    let mut name = 1u32;
    for section in &link.outs {
        out.u32(name);
        name += section.name.len() as u32 + 1;
        out.u32(section.kind);
        let packed = if section.packed.is_some() { SHF_COMPRESSED } else { 0 };
        out.u64(section.flags | packed);
        out.u64(section.addr);
        out.u64(section.offset);
        out.u64(section.packed.as_ref().map_or(section.size, |p| p.len() as u64));
        out.u32(section.link);
        out.u32(section.info);
        out.u64(section.align);
        out.u64(section.entsize);
    }
}
