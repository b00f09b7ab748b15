//! Addresses and file offsets: output sections in order → segments.

use rayon::prelude::*;

use super::{Made, OutSec, align_up, order};
use crate::format::elf::class::Class;
use crate::format::elf::*;
use crate::link::{Link, NOWHERE};
use crate::options::OutputKind;

/// One program header.
#[derive(Clone, Copy, Default, Debug)]
#[allow(missing_docs)]
pub struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub addr: u64,
    pub file_size: u64,
    pub mem_size: u64,
    pub align: u64,
}

/// The shape of the file.
#[derive(Clone, Default, Debug)]
pub struct Shape {
    /// Program headers.
    pub segments: Vec<Segment>,
    /// Address of the file's first byte.
    pub base: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Where the section headers are.
    pub headers: u64,
    /// Bytes of the ELF header and the program headers.
    pub headers_size: u64,
    /// Start and size of the TLS block, and its alignment.
    pub tls: (u64, u64, u64),
    /// Start and end of the output sections whose bounds have names.
    pub bounds: rustc_hash::FxHashMap<Vec<u8>, (u64, u64)>,
}

/// Sorts the output sections, drops empty ones and numbers the rest.
pub fn arrange(link: &mut Link<'_>) {
    for at in 0..link.outs.len() {
        link.outs[at].relro = order::is_relro(link, &link.outs[at]);
    }
    let mut wanted: Vec<u32> = (0..link.outs.len() as u32).collect();
    wanted.retain(|&i| {
        let out = &link.outs[i as usize];
        (out.is_alloc() || !link.options.z.no_section_header) && stays(out)
    });
    wanted.sort_by_key(|&i| (order::rank(&link.outs[i as usize], link.arch.large), i));
    let mut place = vec![NOWHERE; link.outs.len()];
    for (new, &old) in wanted.iter().enumerate() {
        place[old as usize] = new as u32;
    }
    let mut olds: Vec<Option<OutSec>> =
        std::mem::take(&mut link.outs).into_iter().map(Some).collect();
    link.outs = wanted.iter().filter_map(|&i| olds[i as usize].take()).collect();
    link.made_at = [NOWHERE; 32];
    for (number, out) in link.outs.iter_mut().enumerate() {
        out.shndx = number as u32 + 1;
        if out.made == Some(Made::Kept) {
            out.info = place[out.info as usize];
        }
        if let Some(made) = out.made {
            link.made_at[made as usize] = number as u32;
        }
    }
    let bit = crate::link::MERGE_BIT;
    link.sec_out.par_iter_mut().with_min_len(4096).for_each(|out| {
        if *out & bit == 0 {
            *out = place[*out as usize];
        }
    });
    for part in &mut link.merges {
        part.out = place[part.out as usize];
    }
    for common in link.common_at.values_mut() {
        common.0 = place[common.0 as usize];
    }
}

/// Whether a section has a place in the output.
pub(crate) fn stays(out: &OutSec) -> bool {
    out.size > 0 || out.made.is_some() || !out.members.is_empty()
}

/// Permissions of an output section in memory.
fn permissions(out: &OutSec) -> u32 {
    let mut flags = PF_R;
    if out.flags & SHF_WRITE != 0 {
        flags |= PF_W;
    }
    if out.flags & SHF_EXECINSTR != 0 {
        flags |= PF_X;
    }
    flags
}

/// Assigns addresses until the packed relocations, whose size depends on them, have settled.
pub fn settle(link: &mut Link<'_>) {
    assign(link);
    let word = link.arch.word();
    while let Some(at) = link.outs.iter().position(|o| o.made == Some(Made::Relr)) {
        let mut places: Vec<u64> = link
            .plan
            .packed
            .iter()
            .filter_map(|&(sec, offset)| link.section_address(sec, offset))
            .chain(link.plan.packed_got.iter().map(|&w| link.got_address(w)))
            .collect();
        places.sort_unstable();
        // Two relocations may fill one place; packed twice, it would get the base twice.
        places.dedup();
        let size = crate::synthetic::relr::encode(&places, word as usize).len() as u64 * word;
        // It only grows, so this ends; what is too much is filled with empty words.
        if size <= link.outs[at].size {
            break;
        }
        link.outs[at].size = size;
        assign(link);
    }
}

/// What has been given out so far.
struct Cursor {
    page: u64,
    base: u64,
    /// Segments of different permissions share no page of the file.
    apart: bool,
    offset: u64,
    addr: u64,
    segments: Vec<Segment>,
    /// Permissions of the segment that is open, and whether it is relro.
    class: Option<(u32, bool)>,
}

impl Cursor {
    /// Starts the segment of `outs`' first section, whose class is another than the last one's.
    fn open(&mut self, outs: &[OutSec], class: (u32, bool)) {
        let rest = outs.iter().take_while(|o| o.is_alloc() && (permissions(o), o.relro) == class);
        let align = rest.map(|o| o.align).max().unwrap_or(1).max(self.page);
        let load = |flags| Segment { kind: PT_LOAD, flags, align, ..Segment::default() };
        let first = self.class.is_none();
        if first && class.0 == PF_R {
            self.segments.push(Segment { addr: self.base, ..load(PF_R) });
        } else {
            if first {
                // Headers alone come first when nothing else is read-only.
                self.segments.push(self.headers());
            }
            let apart = self.apart || align > self.page;
            self.offset = if apart { align_up(self.offset, align) } else { self.offset };
            self.addr = align_up(self.addr, align) + self.offset % align;
            let (offset, addr) = (self.offset, self.addr);
            self.segments.push(Segment { offset, addr, ..load(class.0) });
        }
        self.class = Some(class);
    }

    /// The segment of the headers alone.
    fn headers(&self) -> Segment {
        Segment {
            kind: PT_LOAD,
            flags: PF_R,
            offset: 0,
            addr: self.base,
            file_size: self.offset,
            mem_size: self.offset,
            align: self.page,
        }
    }

    /// Places a section at the end of the open segment.
    fn place(&mut self, out: &mut OutSec, align: u64) {
        let Some(segment) = self.segments.last_mut() else { return };
        out.addr = align_up(self.addr, align);
        out.offset = segment.offset + (out.addr - segment.addr);
        if !out.in_memory() {
            return;
        }
        self.addr = out.addr.saturating_add(out.size);
        segment.mem_size = self.addr - segment.addr;
        if out.in_file() {
            self.offset = out.offset + out.size;
            segment.file_size = segment.mem_size;
        }
    }
}

/// Gives everything its address and file offset.
fn assign(link: &mut Link<'_>) {
    let page = link.options.z.max_page_size.unwrap_or(link.arch.page);
    let base = match link.options.kind {
        OutputKind::Exe => link.options.image_base.unwrap_or(link.arch.base),
        _ => link.options.image_base.unwrap_or(0),
    };
    let mut outs = std::mem::take(&mut link.outs);
    let count = count_headers(link, &outs);
    let tls_align = outs.iter().filter(|o| o.is_tls()).map(|o| o.align).max().unwrap_or(1);
    let class = link.arch.class;
    let offset = (class.header() + class.segment() * count) as u64;
    let mut cursor = Cursor {
        page,
        base,
        apart: link.options.z.separate_code,
        offset,
        addr: base + offset,
        segments: Vec::new(),
        class: None,
    };
    for at in 0..outs.len() {
        if !outs[at].is_alloc() {
            continue;
        }
        let run = (permissions(&outs[at]), outs[at].relro);
        if cursor.class != Some(run) {
            cursor.open(&outs[at..], run);
        }
        let first_tls = outs[at].is_tls() && (at == 0 || !outs[at - 1].is_tls());
        let align = if first_tls { tls_align } else { outs[at].align };
        cursor.place(&mut outs[at], align);
    }
    // A program must at least hold its headers.
    if cursor.segments.is_empty() {
        cursor.segments.push(cursor.headers());
    }
    let mut shape =
        Shape { base, segments: cursor.segments, headers_size: offset, ..Shape::default() };
    shape.tls = tls_block(&outs, tls_align);
    place_unloaded(&mut outs, cursor.offset, &mut shape, class);
    link.outs = outs;
    finish_segments(link, &mut shape, page, count);
    link.shape = shape;
}

/// Gives what is not loaded its file offset again, now that some of it is smaller.
pub fn place_again(link: &mut Link<'_>) {
    let start = link.outs.iter().filter(|o| !o.is_alloc()).map(|o| o.offset).min();
    if let Some(start) = start {
        place_unloaded(&mut link.outs, start, &mut link.shape, link.arch.class);
    }
}

fn place_unloaded(outs: &mut [OutSec], mut offset: u64, shape: &mut Shape, class: Class) {
    let mut names = false;
    for out in outs.iter_mut().filter(|o| !o.is_alloc()) {
        let size = out.packed.as_ref().map_or(out.size, |p| p.len() as u64);
        offset = align_up(offset, out.align);
        out.offset = offset;
        offset += if out.in_file() { size } else { 0 };
        names |= out.made == Some(Made::Shstrtab);
    }
    shape.headers = align_up(offset, class.word() as u64);
    let headers = (class.section() * (outs.len() + 1)) as u64;
    shape.size = if names { shape.headers + headers } else { offset };
}

fn tls_block(outs: &[OutSec], align: u64) -> (u64, u64, u64) {
    let start = outs.iter().find(|o| o.is_tls()).map_or(0, |o| o.addr);
    let end = outs.iter().filter(|o| o.is_tls()).map(|o| o.addr.saturating_add(o.size)).max();
    (start, end.map_or(0, |end| end - start), align)
}

/// How many program headers there will be: the loadable ones as [`assign`] makes them, and the rest.
fn count_headers(link: &Link<'_>, outs: &[OutSec]) -> usize {
    let mut count = 0;
    let mut last = None;
    for out in outs.iter().filter(|o| o.is_alloc()) {
        let class = (permissions(out), out.relro);
        if last != Some(class) {
            count += 1;
            count += usize::from(last.is_none() && class.0 != PF_R);
            last = Some(class);
        }
    }
    count.max(1) + extra_segments(link, outs).len()
}

/// Segments that describe parts of the loadable ones: (type, flags, first and last section).
fn extra_segments(link: &Link<'_>, outs: &[OutSec]) -> Vec<(u32, u32, usize, usize)> {
    let mut list = Vec::new();
    let made = |m: Made| outs.iter().position(|o| o.made == Some(m));
    if let Some(at) = made(Made::Interp) {
        list.push((PT_PHDR, PF_R, usize::MAX, usize::MAX));
        list.push((PT_INTERP, PF_R, at, at));
    }
    if let Some(at) = made(Made::Dynamic) {
        list.push((PT_DYNAMIC, permissions(&outs[at]), at, at));
    }
    let run = |test: &dyn Fn(&OutSec) -> bool| {
        let first = outs.iter().position(test)?;
        Some((first, outs.iter().rposition(test)?))
    };
    // Notes of different alignment can't be read as one list.
    let mut at = 0;
    while at < outs.len() {
        let is_note = |o: &OutSec| o.kind == SHT_NOTE && o.is_alloc();
        if !is_note(&outs[at]) {
            at += 1;
            continue;
        }
        let align = outs[at].align;
        let class = permissions(&outs[at]);
        let same = |o: &OutSec| is_note(o) && o.align == align && permissions(o) == class;
        let end = outs[at..].iter().take_while(|o| same(o)).count() + at;
        list.push((PT_NOTE, class, at, end - 1));
        at = end;
    }
    if let Some(at) = made(Made::Property) {
        list.push((PT_GNU_PROPERTY, PF_R, at, at));
    }
    if let Some((first, last)) = run(&|o| o.is_tls()) {
        list.push((PT_TLS, PF_R, first, last));
    }
    if let Some(at) = made(Made::EhFrameHdr) {
        list.push((PT_GNU_EH_FRAME, PF_R, at, at));
    }
    if let Some((first, last)) = run(&|o| o.relro) {
        list.push((PT_GNU_RELRO, PF_R, first, last));
    }
    if !link.options.z.nognustack {
        list.push((PT_GNU_STACK, PF_R | PF_W, usize::MAX, usize::MAX));
    }
    list
}

fn finish_segments(link: &Link<'_>, shape: &mut Shape, page: u64, count: usize) {
    let (outs, class) = (&link.outs, link.arch.class);
    let loads = std::mem::take(&mut shape.segments);
    let mut list = Vec::with_capacity(count);
    let mut tail = Vec::new();
    for (kind, flags, first, last) in extra_segments(link, outs) {
        let mut segment = Segment { kind, flags, align: link.arch.word(), ..Segment::default() };
        match kind {
            PT_PHDR => {
                segment.offset = class.header() as u64;
                segment.addr = shape.base + segment.offset;
                segment.file_size = (class.segment() * count) as u64;
                segment.mem_size = segment.file_size;
                list.push(segment);
                continue;
            }
            PT_GNU_STACK => {
                segment.align = 16;
                segment.mem_size = link.options.z.stack_size;
                // An object that does not say counts as not asking, as lld and mold have it.
                let asked = || link.res.objects().any(|(_, o)| o.exec_stack);
                if link.options.z.execstack.unwrap_or_else(asked) {
                    segment.flags |= PF_X;
                }
                tail.push(segment);
                continue;
            }
            _ => {}
        }
        let run = &outs[first..=last];
        segment.offset = run[0].offset;
        segment.addr = run[0].addr;
        segment.align = run.iter().map(|o| o.align).max().unwrap_or(1);
        let end = |o: &OutSec| o.addr.saturating_add(o.size);
        let memory = |o: &&OutSec| kind == PT_TLS || o.in_memory();
        let stop = run.iter().filter(memory).map(end).max().unwrap_or(segment.addr);
        segment.mem_size = stop.saturating_sub(segment.addr);
        let filled = run.iter().filter(|o| o.in_file()).map(end).max().unwrap_or(segment.addr);
        segment.file_size = filled - segment.addr;
        if kind == PT_TLS {
            segment.align = shape.tls.2;
        } else if kind == PT_GNU_RELRO {
            // Whole pages only are protected: the last one is this segment's alone.
            let common = link.options.z.common_page_size.unwrap_or(page);
            segment.mem_size = align_up(stop, common.min(page)) - segment.addr;
            segment.align = 1;
        }
        if kind == PT_INTERP { list.push(segment) } else { tail.push(segment) }
    }
    list.extend(loads);
    list.extend(tail);
    fill_relro(outs, &mut list, page);
    shape.segments = list;
}

/// Lets the segment of relro sections end with its page, as the loader protects whole pages.
fn fill_relro(outs: &[OutSec], list: &mut [Segment], page: u64) {
    for segment in list.iter_mut().filter(|s| s.kind == PT_LOAD) {
        // Without -z separate-code the first section may start behind the segment's own start.
        let inside = segment.addr..segment.addr.saturating_add(segment.mem_size.max(1));
        let relro = outs.iter().any(|o| o.relro && inside.contains(&o.addr) && o.is_alloc());
        if relro && segment.flags & PF_W != 0 {
            let end = align_up(segment.addr + segment.mem_size, page);
            segment.mem_size = end - segment.addr;
        }
    }
}
