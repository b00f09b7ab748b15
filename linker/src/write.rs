//! Writing: the laid-out link → bytes, in parallel, each output section a slice of its own.
//!
//! An input section is copied and relocated in one pass while it is hot. Must not decide anything:
//! sizes and places are final here.

pub mod made;
pub mod pack;

use rayon::prelude::*;

use crate::error::Errors;
use crate::format::elf::SHF_EXECINSTR;
use crate::layout::{Made, Member, OutSec};
use crate::link::Link;
use crate::object::walk::turned;
use crate::relocate::{self, Yield};

/// Bytes of input one task copies.
const CHUNK: u64 = 1 << 20;

/// Some members of one output section, and the bytes they go to.
struct Task<'l, 'b> {
    out: &'l OutSec,
    members: &'l [Member],
    /// Offset of `buf` in the output section.
    from: u64,
    buf: &'b mut [u8],
}

/// The slice of each output section, in file order.
fn split<'l, 'b>(link: &'l Link<'_>, image: &'b mut [u8]) -> Vec<(&'l OutSec, &'b mut [u8])> {
    let mut outs: Vec<&OutSec> = link.outs.iter().filter(|o| o.in_file()).collect();
    outs.sort_by_key(|o| o.offset);
    let mut slices = Vec::with_capacity(outs.len());
    let (mut rest, mut at) = (image, 0u64);
    for out in outs {
        let size = out.packed.as_ref().map_or(out.size, |p| p.len() as u64);
        let (_, tail) = rest.split_at_mut((out.offset - at) as usize);
        let (here, tail) = tail.split_at_mut(size as usize);
        slices.push((out, here));
        (rest, at) = (tail, out.offset + size);
    }
    slices
}

/// Writes every section into `image`, which is zeroed.
///
/// Errors: `reloc-overflow` and its kind, all of them.
pub fn sections(link: &Link<'_>, image: &mut [u8]) -> Result<(), Errors> {
    let mut tasks = Vec::new();
    let mut merges = Vec::new();
    let mut own = Vec::new();
    let mut kept = Vec::new();
    let [mut symtab, mut indexes, mut strtab]: [&mut [u8]; 3] = Default::default();
    let parts = Parts::new(link);
    for (out, buf) in split(link, image) {
        match out.made {
            None if out.packed.is_some() => {
                buf.copy_from_slice(out.packed.as_deref().unwrap_or_default());
            }
            None => cut(link, out, &parts, buf, &mut tasks, &mut merges),
            Some(Made::Symtab) => symtab = buf,
            Some(Made::SymtabShndx) => indexes = buf,
            Some(Made::Kept) => kept.push((out.info, buf)),
            Some(Made::Strtab) => strtab = buf,
            Some(made) => own.push((made, buf)),
        }
    }
    merges.into_par_iter().for_each(|(part, buf): (usize, &mut [u8])| {
        link.merges[part].merged.write(buf);
    });
    let mut yields: Vec<Yield> = tasks.into_par_iter().map(|task| run(link, task)).collect();
    crate::synthetic::symtab::write(link, symtab, indexes, strtab);
    crate::synthetic::kept::write(link, kept);
    let mut made = made::Writer::new(link);
    own.sort_by_key(|(m, _)| matches!(m, Made::RelaDyn | Made::Relr | Made::EhFrameHdr));
    for (what, buf) in own {
        made.write(what, buf, &mut yields);
    }
    let errors = yields.into_iter().flat_map(|y| y.errors).chain(made.errors).collect();
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// The merged parts that have bytes, by output section and offset.
struct Parts(Vec<(u32, u64, usize)>);

impl Parts {
    fn new(link: &Link<'_>) -> Self {
        let parts = link.merges.iter().enumerate().filter(|(_, part)| part.merged.size() > 0);
        let mut list: Vec<_> = parts.map(|(at, part)| (part.out, part.offset, at)).collect();
        list.sort_unstable();
        Self(list)
    }

    /// Those of output section `number`.
    fn of(&self, number: u32) -> impl Iterator<Item = usize> + '_ {
        let first = self.0.partition_point(|part| part.0 < number);
        self.0[first..].iter().take_while(move |part| part.0 == number).map(|part| part.2)
    }
}

/// Cuts an output section into tasks, and merged parts.
fn cut<'l, 'b>(
    link: &'l Link<'_>,
    out: &'l OutSec,
    parts: &Parts,
    buf: &'b mut [u8],
    tasks: &mut Vec<Task<'l, 'b>>,
    merges: &mut Vec<(usize, &'b mut [u8])>,
) {
    let mut parts = parts.of(out.shndx - 1).peekable();
    let members_end = parts.peek().map_or(buf.len() as u64, |&p| link.merges[p].offset);
    let (mut rest, mut tail) = buf.split_at_mut(members_end as usize);
    let mut at = members_end;
    for part in parts {
        let (_, after) = tail.split_at_mut((link.merges[part].offset - at) as usize);
        let (here, after) = after.split_at_mut(link.merges[part].merged.size() as usize);
        at = link.merges[part].offset + link.merges[part].merged.size();
        merges.push((part, here));
        tail = after;
    }
    let mut from = 0u64;
    let mut first = 0;
    for next in 1..=out.members.len() {
        let end = match out.members.get(next) {
            Some(member) => link.sec_off[member.sec.i()],
            None => members_end,
        };
        if end - from >= CHUNK || next == out.members.len() {
            let (buf, after) = rest.split_at_mut((end - from) as usize);
            tasks.push(Task { out, members: &out.members[first..next], from, buf });
            (rest, from, first) = (after, end, next);
        }
    }
}

/// Copies and relocates the members of one task.
fn run(link: &Link<'_>, task: Task<'_, '_>) -> Yield {
    let mut out = Yield::default();
    let fill = task.out.flags & SHF_EXECINSTR != 0;
    let mut end = 0usize;
    for member in task.members {
        let offset = link.sec_off[member.sec.i()];
        let at = (offset - task.from) as usize;
        let data = link.object(member.file).section_data(member.index);
        if fill && at > end {
            link.arch.fill(&mut task.buf[end..at]);
        }
        // Zeroed contents among others have size but no bytes.
        let buf = &mut task.buf[at..at + data.len()];
        buf.copy_from_slice(data);
        let word = link.arch.word() as usize;
        let object = link.object(member.file);
        if turned(object, member.index, word as u64).is_some() {
            for (to, from) in buf.chunks_exact_mut(word).zip(data.chunks_exact(word).rev()) {
                to.copy_from_slice(from);
            }
        }
        // What has no bytes in its file has zeros, no instructions.
        end = at + object.section_size(member.index) as usize;
        if !data.is_empty() {
            let base = task.out.addr.wrapping_add(offset);
            relocate::section(link, member, base, buf, &mut out);
        }
    }
    out
}
