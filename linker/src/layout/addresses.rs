//! Addresses and file offsets: output sections in order → segments.

use rayon::prelude::*;

use super::{Made, OutSec, align_up, order};
use crate::format::elf::*;
use crate::link::{Link, NOWHERE, Special, attr, need};
use crate::object::{Home, Object, SecId, SymId};
use crate::options::OutputKind;
use crate::resolve::File;
use crate::synthetic::plan::NONE;

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
    /// Start and size of the TLS block, and its alignment.
    pub tls: (u64, u64, u64),
}

/// Sorts the output sections, drops empty ones and numbers the rest.
pub fn arrange(link: &mut Link<'_>) {
    for at in 0..link.outs.len() {
        link.outs[at].relro = order::is_relro(link, &link.outs[at]);
    }
    let mut wanted: Vec<u32> = (0..link.outs.len() as u32).collect();
    wanted.retain(|&i| {
        let out = &link.outs[i as usize];
        out.size > 0 || out.made.is_some() || !out.members.is_empty()
    });
    wanted.sort_by_key(|&i| (order::rank(&link.outs[i as usize]), i));
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
    let word = link.arch.word;
    while let Some(at) = link.outs.iter().position(|o| o.made == Some(Made::Relr)) {
        let mut places: Vec<u64> = link
            .plan
            .packed
            .iter()
            .filter_map(|&(sec, offset)| link.section_address(sec, offset))
            .chain(link.plan.packed_got.iter().map(|&w| link.got_address(w)))
            .collect();
        places.sort_unstable();
        let size = crate::synthetic::relr::encode(&places, word as usize).len() as u64 * word;
        // It only grows, so this ends; what is too much is filled with empty words.
        if size <= link.outs[at].size {
            break;
        }
        link.outs[at].size = size;
        assign(link);
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
    let mut segments: Vec<Segment> = Vec::new();
    let mut offset = 64 + 56 * count as u64;
    let mut addr = base + offset;
    let mut last: Option<(u32, bool)> = None;
    for at in 0..outs.len() {
        if !outs[at].is_alloc() {
            continue;
        }
        let class = (permissions(&outs[at]), outs[at].relro);
        let first_tls = outs[at].is_tls() && (at == 0 || !outs[at - 1].is_tls());
        if last != Some(class) {
            let rest = outs[at..]
                .iter()
                .take_while(|o| o.is_alloc() && (permissions(o), o.relro) == class);
            let align = rest.map(|o| o.align).max().unwrap_or(1).max(page);
            if last.is_none() {
                segments.push(Segment {
                    kind: PT_LOAD,
                    flags: class.0,
                    offset: 0,
                    addr: base,
                    align,
                    ..Segment::default()
                });
                // Headers alone come first when nothing else is read-only.
                if class.0 != PF_R {
                    segments[0].flags = PF_R;
                    segments[0].file_size = offset;
                    segments[0].mem_size = offset;
                    segments[0].align = page;
                }
            }
            if last.is_some() || class.0 != PF_R {
                let apart = link.options.z.separate_code || align > page;
                offset = if apart { align_up(offset, align) } else { offset };
                addr = align_up(addr, align) + offset % align;
                segments.push(Segment {
                    kind: PT_LOAD,
                    flags: class.0,
                    offset,
                    addr,
                    align,
                    ..Segment::default()
                });
            }
            last = Some(class);
        }
        let segment = segments.len() - 1;
        let out = &mut outs[at];
        let align = if first_tls { tls_align } else { out.align };
        out.addr = align_up(addr, align);
        out.offset = segments[segment].offset + (out.addr - segments[segment].addr);
        let zeroed_tls = out.is_tls() && !out.in_file();
        if zeroed_tls {
            continue;
        }
        addr = out.addr.saturating_add(out.size);
        segments[segment].mem_size = addr - segments[segment].addr;
        if out.in_file() {
            offset = out.offset + out.size;
            segments[segment].file_size = segments[segment].mem_size;
        }
    }
    // A program must at least hold its headers.
    if segments.is_empty() {
        let align = page;
        segments.push(Segment {
            kind: PT_LOAD,
            flags: PF_R,
            addr: base,
            file_size: offset,
            mem_size: offset,
            align,
            offset: 0,
        });
    }
    let mut shape = Shape { base, segments, ..Shape::default() };
    shape.tls = tls_block(&outs, tls_align);
    place_unloaded(&mut outs, offset, &mut shape);
    link.outs = outs;
    finish_segments(link, &mut shape, page, count);
    link.shape = shape;
}

fn place_unloaded(outs: &mut [OutSec], mut offset: u64, shape: &mut Shape) {
    let mut names = false;
    for out in outs.iter_mut().filter(|o| !o.is_alloc()) {
        let size = out.packed.as_ref().map_or(out.size, |p| p.len() as u64);
        offset = align_up(offset, out.align);
        out.offset = offset;
        offset += if out.in_file() { size } else { 0 };
        names |= out.made == Some(Made::Shstrtab);
    }
    shape.headers = align_up(offset, 8);
    shape.size = if names { shape.headers + 64 * (outs.len() as u64 + 1) } else { offset };
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
        list.push((PT_DYNAMIC, PF_R | PF_W, at, at));
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
    let outs = &link.outs;
    let loads = std::mem::take(&mut shape.segments);
    let mut list = Vec::with_capacity(count);
    let mut tail = Vec::new();
    for (kind, flags, first, last) in extra_segments(link, outs) {
        let mut segment = Segment { kind, flags, align: 8, ..Segment::default() };
        match kind {
            PT_PHDR => {
                segment.offset = 64;
                segment.addr = shape.base + 64;
                segment.file_size = 56 * count as u64;
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
        }
        if kind == PT_GNU_RELRO {
            // The loader protects whole pages only: the last one is this segment's alone.
            segment.mem_size = align_up(stop, page) - segment.addr;
            segment.align = 1;
        }
        if kind == PT_INTERP { list.push(segment) } else { tail.push(segment) }
    }
    list.extend(loads);
    list.extend(tail);
    for segment in list.iter_mut().filter(|s| s.kind == PT_LOAD) {
        let relro = outs.iter().any(|o| o.relro && o.addr == segment.addr && o.is_alloc());
        if relro && segment.flags & PF_W != 0 {
            let end = align_up(segment.addr + segment.mem_size, page);
            segment.mem_size = end - segment.addr;
        }
    }
    shape.segments = list;
}

/// Computes every symbol's address. No address changes below.
pub fn resolve_addresses(link: &mut Link<'_>) {
    let shared = &*link;
    let globals = (0..link.res.names.len()).into_par_iter().with_min_len(1024);
    let mut addrs: Vec<u64> =
        globals.map(|at| global_address(shared, SymId(at as u32), 0)).collect();
    let locals: Vec<Vec<u64>> = link
        .res
        .files
        .par_iter()
        .map(|file| match file {
            File::Object(object) => {
                (0..object.first_global).map(|at| local_address(shared, object, at)).collect()
            }
            _ => Vec::new(),
        })
        .collect();
    addrs.extend(locals.into_iter().flatten());
    link.addrs = addrs;
}

fn local_address(link: &Link<'_>, object: &Object<'_>, index: u32) -> u64 {
    let id = object.id(index);
    let slots = link.plan.slots(id);
    if slots.plt != NONE && link.need(id) & need::CANONICAL != 0 {
        return link.plt_address(slots.plt);
    }
    let symbol = object.symbols.get(index);
    match symbol.home {
        Home::Section(s) => defined_at(link, object.sec(s), symbol.value),
        _ => symbol.value,
    }
}

fn defined_at(link: &Link<'_>, sec: SecId, value: u64) -> u64 {
    link.section_address(sec, value).unwrap_or(0)
}

fn global_address(link: &Link<'_>, id: SymId, depth: u32) -> u64 {
    let slots = link.plan.slots(id);
    if slots.plt != NONE && link.need(id) & need::CANONICAL != 0 {
        return link.plt_address(slots.plt);
    }
    if slots.copy != NONE {
        let copy = &link.plan.copies[slots.copy as usize];
        return link.out_of(copy.made).map_or(0, |o| o.addr + copy.offset);
    }
    definition_address(link, id, depth)
}

/// Where `id` is defined, whatever stands in for it.
pub(crate) fn definition_address(link: &Link<'_>, id: SymId, depth: u32) -> u64 {
    if id.i() >= link.res.names.len() {
        return link
            .res
            .objects()
            .map(|o| o.1)
            .find(|o| (o.local_base..o.local_base + o.first_global).contains(&id.0))
            .map_or(0, |object| {
                let symbol = object.symbols.get(id.0 - object.local_base);
                match symbol.home {
                    Home::Section(s) => defined_at(link, object.sec(s), symbol.value),
                    _ => symbol.value,
                }
            });
    }
    let def = link.res.defs[id.i()];
    if link.attrs[id.i()] & (attr::IMPORT | attr::DISCARDED) != 0 {
        return 0;
    }
    if let Some(special) = def.as_special() {
        return special_address(link, &link.specials[special], depth);
    }
    let (Some(symbol), Some(object)) = (link.res.winner(id), link.res.object(def.file())) else {
        return 0;
    };
    match symbol.home {
        Home::Section(s) => defined_at(link, object.sec(s), symbol.value),
        Home::Common => link.common_at.get(&id).map_or(0, |c| link.outs[c.0 as usize].addr + c.1),
        _ => symbol.value,
    }
}

fn special_address(link: &Link<'_>, special: &Special, depth: u32) -> u64 {
    let named = |name: &[u8]| {
        let mut of = link.outs.iter().filter(|o| o.name == name && o.is_alloc());
        of.next().map(|first| {
            let last = of.next_back().unwrap_or(first);
            (first.addr, last.addr.saturating_add(last.size))
        })
    };
    let end_of = |test: &dyn Fn(&&OutSec) -> bool| {
        let of = link.outs.iter().filter(|o| o.is_alloc() && o.in_memory());
        of.filter(test).map(|o| o.addr.saturating_add(o.size)).max().unwrap_or(link.shape.base)
    };
    let irelative = link.arch.word * 3 * link.plan.plt.len() as u64;
    match special {
        // An empty range is anywhere; inside the image it needs no special base.
        Special::Start(name) => named(name).map_or(link.shape.base, |s| s.0),
        Special::Stop(name) => named(name).map_or(link.shape.base, |s| s.1),
        Special::GotBase => link.got_base(),
        Special::Header => link.shape.base,
        Special::End => end_of(&|_| true),
        Special::CodeEnd => end_of(&|o| o.flags & SHF_EXECINSTR != 0),
        Special::DataEnd => end_of(&|o| o.in_file()),
        Special::BssStart => link
            .outs
            .iter()
            .find(|o| o.is_alloc() && !o.in_file() && !o.is_tls() && !o.relro)
            .map_or_else(|| end_of(&|o| o.in_file()), |o| o.addr),
        Special::IrelativeStart => link.out_of(Made::RelaPlt).map_or(0, |o| o.addr + irelative),
        Special::IrelativeEnd => link.out_of(Made::RelaPlt).map_or(0, |o| o.addr + o.size),
        Special::TlsModuleBase => link.shape.tls.0,
        Special::Absolute(value) => *value,
        Special::Alias(target, addend) if depth < 16 => {
            global_address(link, *target, depth + 1).wrapping_add(*addend as u64)
        }
        Special::Alias(..) => 0,
    }
}
