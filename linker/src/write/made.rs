//! The contents of the sections the linker makes, from the plan and the addresses.

use crate::error::{Error, ErrorKind};
use crate::layout::Made;
use crate::layout::symbols::definition_address;
use crate::link::{Link, attr};
use crate::object::{Reloc, SymId};
use crate::relocate::{DynReloc, Yield};
use crate::synthetic::plan::{Addend, GotEntry, NONE, Tag, base_name, got_relocs};
use crate::synthetic::{dynsym, eh_frame_hdr, hash, notes, relr, versions};

/// Writes sections one after the other; those that list what others did come last.
pub(super) struct Writer<'l, 'a> {
    link: &'l Link<'a>,
    fdes: Vec<eh_frame_hdr::Entry>,
    pub(super) errors: Vec<Error>,
    own: Yield,
}

impl<'l, 'a> Writer<'l, 'a> {
    pub(super) fn new(link: &'l Link<'a>) -> Self {
        Self { link, fdes: Vec::new(), errors: Vec::new(), own: Yield::default() }
    }

    pub(super) fn write(&mut self, made: Made, buf: &mut [u8], yields: &mut [Yield]) {
        let link = self.link;
        let plan = &link.plan;
        match made {
            Made::Interp => {
                let text = link.options.dynamic_linker.as_deref();
                let text = text.unwrap_or(link.arch.interp).as_bytes();
                buf[..text.len()].copy_from_slice(text);
            }
            Made::Property => notes::write(&plan.properties, link.arch.word() as usize, buf),
            Made::BuildId => crate::synthetic::build_id::write(&link.options.build_id, buf),
            Made::Package => {
                let text = link.options.package_metadata.as_deref().unwrap_or_default();
                crate::synthetic::package::write(text, buf);
            }
            Made::GnuHash => {
                if let Some(table) = &plan.gnu_hash {
                    table.write(plan.imports + 1, buf);
                }
            }
            Made::Hash => {
                let names = plan.dynsyms.iter().map(|&id| base_name(link.res.names.get(id)));
                let hashes: Vec<u32> = names.map(hash::sysv_hash).collect();
                if let Some(table) = &plan.sysv_hash {
                    table.write(&hashes, buf);
                }
            }
            Made::Dynsym => dynsym::write(link, buf),
            Made::Attributes => buf.copy_from_slice(&plan.attributes),
            Made::Dynstr => buf.copy_from_slice(&plan.dynstr),
            Made::Versym => versions::write_versym(&plan.versym, &mut buf[2..]),
            Made::Verdef => versions::write_verdef(&plan.verdefs, buf),
            Made::Verneed => versions::write_verneed(&plan.verneeds, buf),
            Made::RelaDyn => self.rela_dyn(buf, yields),
            Made::Relr => self.relr(buf, yields),
            Made::RelaPlt => self.rela_plt(buf),
            Made::EhFrame => {
                self.fdes = crate::synthetic::unwind_write::write(link, buf, &mut self.own);
                self.errors.append(&mut self.own.errors);
            }
            Made::Index => {
                crate::synthetic::index::write(link, buf, &mut self.own);
                self.errors.append(&mut self.own.errors);
            }
            Made::EhFrameHdr => self.eh_frame_hdr(buf),
            Made::Plt => self.plt(buf),
            Made::Dynamic => self.dynamic(buf),
            Made::Got => self.got(buf),
            Made::GotPlt => self.got_plt(buf),
            Made::Shstrtab => {
                let mut at = 1;
                for out in &link.outs {
                    buf[at..at + out.name.len()].copy_from_slice(&out.name);
                    at += out.name.len() + 1;
                }
            }
            _ => {}
        }
    }

    fn word(&self, buf: &mut [u8], word: u32, value: u64) {
        let class = self.link.arch.class;
        class.put_word(&mut buf[word as usize * class.word()..], value);
    }

    fn got(&mut self, buf: &mut [u8]) {
        let link = self.link;
        let weak = |id: SymId| link.attrs[id.i()] & attr::WEAK_UNDEF != 0;
        let tls = |id: SymId| match weak(id) {
            true => 0,
            false => link.addrs[id.i()].wrapping_sub(link.tls_start()),
        };
        for &(at, entry) in &link.plan.got {
            let dynamic = |id: SymId| link.attrs[id.i()] & attr::DYNAMIC != 0;
            match entry {
                GotEntry::Address(id) if !dynamic(id) => {
                    let stored = link.stores_addends()
                        || link.options.pack_relr
                        || got_relocs(link, entry).is_empty();
                    self.word(buf, at, if stored { link.addrs[id.i()] } else { 0 });
                }
                GotEntry::TpOff(id) if !dynamic(id) && !link.is_shared() && !weak(id) => {
                    self.word(buf, at, link.tp_offset(link.addrs[id.i()]) as u64);
                }
                GotEntry::General(id) if !dynamic(id) => {
                    self.word(buf, at, u64::from(!link.is_shared()));
                    self.word(buf, at + 1, tls(id));
                }
                GotEntry::Module => self.word(buf, at, u64::from(!link.is_shared())),
                _ => {}
            }
            for (word, kind, sym, addend) in got_relocs(link, entry) {
                let place = link.got_address(at + word);
                let addend = match addend {
                    Addend::Zero => 0,
                    Addend::Address(id) => link.addrs[id.i()] as i64,
                    Addend::TlsOffset(id) => tls(id) as i64,
                };
                let relative = kind == link.arch.dynamic.relative;
                if !relative && !link.arch.explicit_addends {
                    // A descriptor's other word is the loader's.
                    let desc = kind == link.arch.dynamic.tlsdesc;
                    let second = if desc { link.arch.desc_argument } else { 0 };
                    self.word(buf, at + word + second, addend as u64);
                }
                if relative && link.options.pack_relr {
                    self.own.packed.push(place);
                    continue;
                }
                let sym = sym.map_or(0, |id| link.plan.slots(id).dynsym);
                let class = u8::from(!relative);
                self.own.dynamic.push(DynReloc { class, sym, place, kind, addend });
            }
        }
    }

    fn got_plt(&self, buf: &mut [u8]) {
        let link = self.link;
        let dynamic = link.out_of(Made::Dynamic).map_or(0, |o| o.addr);
        self.word(buf, 0, dynamic);
        let reserved = link.arch.plt.reserved as u32;
        let header = link.plt_address(0).wrapping_sub(link.plt_header());
        for index in 0..link.plan.plt.len() as u32 {
            let entry = link.plt_address(index);
            self.word(buf, reserved + index, (link.plt_entries().first)(entry, header));
        }
        for (at, &id) in link.plan.iplt.iter().enumerate() {
            let index = reserved + (link.plan.plt.len() + at) as u32;
            self.word(buf, index, definition_address(link, id));
        }
    }

    fn plt(&self, buf: &mut [u8]) {
        let link = self.link;
        let (entries, call) = buf.split_at_mut(buf.len() - link.desc_call_size() as usize);
        for (slot, word) in call.chunks_exact_mut(4).zip(link.arch.desc_call) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        let buf = entries;
        let header = link.plt_header() as usize;
        let base = link.plt_address(0).wrapping_sub(header as u64);
        if header > 0 {
            let got = link.out_of(Made::GotPlt).map_or(0, |o| o.addr);
            (link.arch.plt_header)(&mut buf[..header], base, got);
        }
        let size = link.plt_entry_size() as usize;
        for (index, entry) in buf[header..].chunks_exact_mut(size).enumerate() {
            let index = index as u32;
            let (at, slot) = (link.plt_address(index), link.plt_slot(index));
            if (index as usize) < link.plan.plt.len() {
                (link.plt_entries().lazy)(entry, at, slot, index, base);
            } else {
                (link.plt_entries().eager)(entry, at, slot);
            }
        }
    }

    fn rela_plt(&mut self, buf: &mut [u8]) {
        let link = self.link;
        let types = &link.arch.dynamic;
        let mut list = Vec::new();
        for (index, &id) in link.plan.plt.iter().enumerate() {
            let sym = link.plan.slots(id).dynsym;
            let sym = if sym == NONE { 0 } else { sym };
            let place = link.plt_slot(index as u32);
            list.push(DynReloc { class: 1, sym, place, kind: types.jump_slot, addend: 0 });
        }
        if link.irelative_with_jumps() {
            list.append(&mut self.irelative());
        }
        self.put_relocs(buf, &list);
    }

    fn irelative(&self) -> Vec<DynReloc> {
        let link = self.link;
        let kind = link.arch.dynamic.irelative;
        let of = link.plan.iplt.iter().enumerate().map(|(at, &id)| {
            let place = link.plt_slot((link.plan.plt.len() + at) as u32);
            let addend = definition_address(link, id) as i64;
            DynReloc { class: 2, sym: 0, place, kind, addend }
        });
        of.collect()
    }

    fn rela_dyn(&mut self, buf: &mut [u8], yields: &mut [Yield]) {
        let link = self.link;
        let mut list = std::mem::take(&mut self.own.dynamic);
        for copy in &link.plan.copies {
            let place = link.out_of(copy.made).map_or(0, |o| o.addr + copy.offset);
            let sym = link.plan.slots(copy.ids[0]).dynsym;
            let kind = link.arch.dynamic.copy;
            list.push(DynReloc { class: 1, sym, place, kind, addend: 0 });
        }
        for each in yields {
            list.append(&mut each.dynamic);
        }
        if !link.irelative_with_jumps() {
            list.append(&mut self.irelative());
        }
        if link.options.z.combreloc {
            rayon::slice::ParallelSliceMut::par_sort_unstable(&mut list[..]);
        }
        self.put_relocs(buf, &list);
    }

    fn put_relocs(&mut self, buf: &mut [u8], list: &[DynReloc]) {
        let form = self.link.arch.relocs();
        let planned = buf.len() / form.size();
        if list.len() != planned && self.errors.is_empty() {
            let text = format!("{planned} dynamic relocations planned, {} made", list.len());
            self.errors.push(Error::new(ErrorKind::Internal, text));
        }
        for (slot, r) in buf.chunks_exact_mut(form.size()).zip(list) {
            let sym = if r.sym == NONE { 0 } else { r.sym };
            form.write(slot, &Reloc { offset: r.place, kind: r.kind, sym, addend: r.addend });
        }
    }

    fn relr(&mut self, buf: &mut [u8], yields: &mut [Yield]) {
        let mut places = std::mem::take(&mut self.own.packed);
        for each in yields {
            places.append(&mut each.packed);
        }
        places.sort_unstable();
        // Two relocations may fill one place; packed twice, it would get the base twice.
        places.dedup();
        let words = relr::encode(&places, self.link.arch.word() as usize);
        relr::write(&words, self.link.arch.word() as usize, buf);
    }

    fn eh_frame_hdr(&mut self, buf: &mut [u8]) {
        let link = self.link;
        let at = |made| link.out_of(made).map_or(0, |o| o.addr);
        let mut entries = std::mem::take(&mut self.fdes);
        let (hdr, frame) = (at(Made::EhFrameHdr), at(Made::EhFrame));
        if let Err(error) = eh_frame_hdr::write(hdr, frame, &mut entries, buf) {
            self.errors.push(error);
        }
    }

    fn dynamic(&self, buf: &mut [u8]) {
        let link = self.link;
        let class = link.arch.class;
        for (slot, &(tag, value)) in buf.chunks_exact_mut(class.dynamic()).zip(&link.plan.tags) {
            let named = |name: &str| {
                let mut of = link.outs.iter().filter(|o| o.name == name.as_bytes() && o.is_alloc());
                of.next().map_or((0, 0), |o| (o.addr, o.size))
            };
            let value = match value {
                Tag::Value(value) => value,
                Tag::Address(made) => link.out_of(made).map_or(0, |o| o.addr),
                Tag::Size(made) => link.out_of(made).map_or(0, |o| o.size),
                Tag::NamedAddress(name) => named(name).0,
                Tag::NamedSize(name) => named(name).1,
                Tag::Symbol(id) => link.addrs[id.i()],
                Tag::RelativeCount => link.plan.relative_count,
            };
            class.put_word(slot, tag);
            class.put_word(&mut slot[class.word()..], value);
        }
    }
}
