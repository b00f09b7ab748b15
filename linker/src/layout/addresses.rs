//! Addresses and file offsets: output sections in order → segments.

use rayon::prelude::*;

use super::segments::{self, Run};
use super::{Made, OutSec, SecPlace, align_up, order, too_large};
use crate::error::{Error, ErrorKind, Errors};
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
    /// Where what is called so is, if its bounds have names.
    pub bounds: rustc_hash::FxHashMap<Vec<u8>, Bounds>,
}

/// Where the sections of one name are.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Address of the first byte.
    pub start: u64,
    /// Address behind the last one.
    pub end: u64,
    /// The numbers of the output sections that have the start and the end.
    pub outs: [usize; 2],
}

impl Bounds {
    /// From the start of `self` to the end of `later`.
    pub(super) fn to(self, later: Self) -> Self {
        Self { end: later.end, outs: [self.outs[0], later.outs[1]], ..self }
    }
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
    link.sec_out.par_iter_mut().with_min_len(4096).for_each(|out| {
        if let Some(old) = out.whole() {
            *out = SecPlace::out(place[old as usize]);
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

/// Assigns addresses until the packed relocations, whose size depends on them, have settled.
///
/// Errors: `usage` if the image does not fit the address space.
pub fn settle(link: &mut Link<'_>) -> Result<(), Errors> {
    assign(link);
    check(link)?;
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
        check(link)?;
    }
    Ok(())
}

/// What has been given out so far. Sums that pass the end stay there: [`check`] looks for them.
struct Cursor {
    page: u64,
    /// Segments of different permissions share no page of the file.
    apart: bool,
    offset: u64,
    addr: u64,
    segments: Vec<Segment>,
}

impl Cursor {
    /// Starts the segment of `run`, which holds `outs`.
    fn open(&mut self, run: &Run, outs: &[OutSec]) {
        let align = outs.iter().map(|o| o.align).max().unwrap_or(1).max(self.page);
        let load = Segment { kind: PT_LOAD, flags: run.flags, align, ..Segment::default() };
        if self.segments.is_empty() {
            // The first one holds the headers, too.
            let (size, addr) = (self.offset, self.addr.saturating_sub(self.offset));
            self.segments.push(Segment { addr, file_size: size, mem_size: size, ..load });
            return;
        }
        let apart = self.apart || align > self.page;
        self.offset = if apart { align_up(self.offset, align) } else { self.offset };
        self.addr = align_up(self.addr, align).saturating_add(self.offset % align);
        self.segments.push(Segment { offset: self.offset, addr: self.addr, ..load });
    }

    /// Places a section at the end of the open segment.
    fn place(&mut self, out: &mut OutSec, align: u64) {
        let Some(segment) = self.segments.last_mut() else { return };
        out.addr = align_up(self.addr, align);
        out.offset = segment.offset.saturating_add(out.addr - segment.addr);
        if !out.in_memory() {
            return;
        }
        self.addr = out.addr.saturating_add(out.size);
        segment.mem_size = self.addr - segment.addr;
        if out.in_file() {
            self.offset = out.offset.saturating_add(out.size);
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
    let runs = segments::runs(&outs);
    let count = runs.len() + segments::parts(link, &outs).len();
    let tls_align = outs.iter().filter(|o| o.is_tls()).map(|o| o.align).max().unwrap_or(1);
    let class = link.arch.class;
    let offset = (class.header() + class.segment() * count) as u64;
    let apart = link.options.z.separate_code;
    let addr = base.saturating_add(offset);
    let mut cursor = Cursor { page, apart, offset, addr, segments: Vec::new() };
    for run in &runs {
        cursor.open(run, &outs[run.outs.clone()]);
        for at in run.outs.clone() {
            let first_tls = outs[at].is_tls() && (at == 0 || !outs[at - 1].is_tls());
            let align = if first_tls { tls_align } else { outs[at].align };
            cursor.place(&mut outs[at], align);
        }
    }
    let mut shape =
        Shape { base, segments: cursor.segments, headers_size: offset, ..Shape::default() };
    shape.tls = tls_block(&outs, tls_align);
    place_unloaded(&mut outs, cursor.offset, &mut shape, class);
    link.outs = outs;
    segments::finish(link, &mut shape, page);
    link.shape = shape;
}

/// Whether everything has a place: addresses and file offsets that passed the end have stayed there.
///
/// Errors: `usage`, with the first section that does not fit.
fn check(link: &Link<'_>) -> Result<(), Errors> {
    let names = |o: &&OutSec| matches!(o.made, Some(Made::Strtab | Made::Dynstr | Made::Shstrtab));
    if link.outs.iter().filter(names).any(|o| o.size > u32::MAX.into()) {
        let text = "a string table is larger than the 4 GiB that symbols can count";
        return Err(Error::new(ErrorKind::Usage, text).into());
    }
    let last = link.arch.class.last_address();
    let page = link.options.z.max_page_size.unwrap_or(link.arch.page);
    // Segments end with a page, and files are sized in signed numbers.
    let (memory, file) = (last - last % page, i64::MAX as u64 & last);
    let ends =
        |start: u64, size: u64, limit: u64| start.checked_add(size).is_none_or(|e| e > limit);
    let beyond = |o: &&OutSec| {
        let bytes = if o.in_file() { o.size } else { 0 };
        ends(o.offset, bytes, file) || o.is_alloc() && ends(o.addr, o.size, memory)
    };
    let headers = ends(shape_start(link), link.shape.headers_size, memory);
    let size = link.shape.size > file;
    if link.shape.segments.len() >= usize::from(PN_XNUM) {
        let text =
            format!("{} program headers are more than a file can have", link.shape.segments.len());
        return Err(Error::new(ErrorKind::Usage, text).into());
    }
    match link.outs.iter().find(beyond) {
        Some(out) => Err(too_large(out)),
        None if headers || size => Err(too_large(&OutSec::new(b"the headers", 0, 0))),
        None => Ok(()),
    }
}

fn shape_start(link: &Link<'_>) -> u64 {
    link.shape.segments.iter().find(|s| s.kind == PT_LOAD).map_or(0, |s| s.addr)
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
        offset = offset.saturating_add(if out.in_file() { size } else { 0 });
        names |= out.made == Some(Made::Shstrtab);
    }
    shape.headers = align_up(offset, class.word() as u64);
    let headers = (class.section() * (outs.len() + 1)) as u64;
    shape.size = if names { shape.headers.saturating_add(headers) } else { offset };
}

fn tls_block(outs: &[OutSec], align: u64) -> (u64, u64, u64) {
    let start = outs.iter().find(|o| o.is_tls()).map_or(0, |o| o.addr);
    let end = outs.iter().filter(|o| o.is_tls()).map(|o| o.addr.saturating_add(o.size)).max();
    (start, end.map_or(0, |end| end - start), align)
}
