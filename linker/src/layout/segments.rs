//! Output sections in order → program headers: which sections a loadable one holds, and what the others
//! describe of them. Must not give out addresses.

use std::ops::Range;

use super::addresses::{Segment, Shape};
use super::{Made, OutSec, align_up};
use crate::format::elf::*;
use crate::link::Link;

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

/// The output sections of one loadable segment.
pub(super) struct Run {
    /// Their numbers.
    pub outs: Range<usize>,
    /// `PF_*`.
    pub flags: u32,
}

/// The loadable segments: what is alike and adjacent shares one. The first is read-only and holds the
/// headers, if need be alone.
pub(super) fn runs(outs: &[OutSec]) -> Vec<Run> {
    // What is loaded comes first.
    let loaded = &outs[..outs.iter().take_while(|o| o.is_alloc()).count()];
    let class = |o: &OutSec| (permissions(o), o.relro);
    let mut runs: Vec<Run> = Vec::new();
    if loaded.first().is_none_or(|o| permissions(o) != PF_R) {
        runs.push(Run { outs: 0..0, flags: PF_R });
    }
    let mut from = 0;
    for list in loaded.chunk_by(|a, b| class(a) == class(b)) {
        let outs = from..from + list.len();
        from = outs.end;
        runs.push(Run { outs, flags: permissions(&list[0]) });
    }
    runs
}

/// Segments that describe parts of the loadable ones: (type, flags, first and last section).
pub(super) fn parts(link: &Link<'_>, outs: &[OutSec]) -> Vec<(u32, u32, usize, usize)> {
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
    if let (Some(index), Some(at)) = (link.arch.index, made(Made::Index)) {
        list.push((index.segment, PF_R, at, at));
    }
    if let Some((first, last)) = run(&|o| o.relro) {
        list.push((PT_GNU_RELRO, PF_R, first, last));
    }
    if !link.options.z.nognustack {
        list.push((PT_GNU_STACK, PF_R | PF_W, usize::MAX, usize::MAX));
    }
    list
}

/// Completes the program headers of `shape`, which has the loadable ones.
pub(super) fn finish(link: &Link<'_>, shape: &mut Shape, page: u64) {
    let (outs, class) = (&link.outs, link.arch.class);
    let loads = std::mem::take(&mut shape.segments);
    let parts = parts(link, outs);
    let count = loads.len() + parts.len();
    let mut list = Vec::with_capacity(count);
    let mut tail = Vec::new();
    for (kind, flags, first, last) in parts {
        let mut segment = Segment { kind, flags, align: link.arch.word(), ..Segment::default() };
        match kind {
            PT_PHDR => {
                segment.offset = class.header() as u64;
                segment.addr = shape.base.saturating_add(segment.offset);
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
        segment.file_size = filled.saturating_sub(segment.addr);
        if kind == PT_TLS {
            segment.align = shape.tls.2;
        } else if kind == PT_GNU_RELRO {
            // Whole pages only are protected: the last one is this segment's alone.
            let common = link.options.z.common_page_size.unwrap_or(page);
            segment.mem_size = align_up(stop, common.min(page)).saturating_sub(segment.addr);
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
            let end = align_up(segment.addr.saturating_add(segment.mem_size), page);
            segment.mem_size = end.saturating_sub(segment.addr);
        }
    }
}
