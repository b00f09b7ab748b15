//! Branches that can't reach → pools of thunks between input sections, shared by all that need them.
//!
//! Runs once addresses are known, and again while pools grow. A thunk is one for a symbol and an
//! addend: the addend belongs to the target. Must not know how a machine's thunk is written.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Member, align_up};
use crate::arch::Thunk;
use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::SHF_EXECINSTR;
use crate::link::Link;
use crate::relocate::branch::{self, Jump, Target};

/// Thunks in one place.
#[derive(Debug)]
struct Pool {
    /// The output section.
    out: usize,
    /// How many of its members come before.
    after: usize,
    /// Offset in the output section.
    offset: u64,
    targets: Vec<Target>,
}

/// All pools of a link.
#[derive(Default, Debug)]
pub struct Thunks {
    pools: Vec<Pool>,
    /// By target: pools that have a thunk for it, and which.
    known: FxHashMap<Target, Vec<(usize, u64)>>,
}

impl Thunks {
    /// The distance to the nearest thunk that stands in for where `jump` goes.
    pub(crate) fn find(&self, link: &Link<'_>, thunk: &Thunk, jump: &Jump<'_>) -> Option<i64> {
        let known = self.known.get(&jump.target)?;
        let distances = known.iter().filter_map(|&(pool, index)| {
            let pool = &self.pools[pool];
            let at = link.outs[pool.out].addr + pool.offset + index * thunk.size;
            jump.distance_to(link, at)
        });
        distances.min_by_key(|d| d.unsigned_abs())
    }
}

/// Code that is one function, whatever its number of members: nothing may come between them.
fn falls_through(name: &[u8]) -> bool {
    matches!(name, b".init" | b".fini")
}

/// Adds thunks until every branch reaches one or its target.
///
/// Errors: `reloc-overflow` if that has no end; `usage` for a `--defsym` that can't be computed.
pub fn settle(link: &mut Link<'_>) -> Result<(), Errors> {
    let Some(thunk) = link.arch.thunk else { return Ok(()) };
    let code = || link.outs.iter().filter(|o| o.is_alloc() && o.flags & SHF_EXECINSTR != 0);
    let start = code().map(|o| o.addr).min().unwrap_or(0);
    let end = code().map(|o| o.addr.saturating_add(o.size)).max().unwrap_or(0);
    if end - start < thunk.reach && !link.arch.two_states {
        return Ok(());
    }
    link.thunks.pools = pools(link, thunk.reach);
    // Each round adds a thunk at least, and most need one or two.
    for _ in 0..64 {
        if !grow(link, &thunk) {
            return Ok(());
        }
        make_room(link, &thunk);
        super::addresses::settle(link)?;
        crate::symbols::compute_defsyms(link)?;
        super::symbols::resolve_addresses(link);
    }
    Err(Error::new(ErrorKind::RelocOverflow, "branches stay out of reach of thunks").into())
}

/// Empty pools at the end of each section of code, and inside so that all of it reaches one.
fn pools(link: &Link<'_>, reach: u64) -> Vec<Pool> {
    let mut pools = Vec::new();
    let apart = reach / 4 * 3;
    for (number, out) in link.outs.iter().enumerate() {
        let merged = link.merges.iter().any(|part| part.out as usize == number);
        if out.flags & SHF_EXECINSTR == 0 || out.members.is_empty() || merged {
            continue;
        }
        if falls_through(&out.name) {
            continue;
        }
        let mut last = 0;
        let mut add = |after: usize| {
            pools.push(Pool { out: number, after, offset: 0, targets: Vec::new() });
        };
        for (at, member) in out.members.iter().enumerate().skip(1) {
            let offset = link.sec_off[member.sec.i()];
            let end = offset + link.object(member.file).section_size(member.index);
            if end - last > apart {
                add(at);
                last = offset;
            }
        }
        add(out.members.len());
    }
    pools
}

/// The branches of `member` that don't reach their target, by themselves or by a thunk there is.
fn unreached<'l>(
    link: &'l Link<'_>,
    thunks: &Thunks,
    thunk: &Thunk,
    addr: u64,
    member: &Member,
) -> Vec<(u64, Jump<'l>)> {
    let object = link.object(member.file);
    let base = addr.wrapping_add(link.sec_off[member.sec.i()]);
    let bytes = object.section_data(member.index);
    let mut list = Vec::new();
    for reloc in object.relocs(member.index).iter().filter(|r| thunk.kinds.contains(&r.kind)) {
        let Some(row) = link.arch.row(reloc.kind) else { continue };
        let from = reloc.offset as usize;
        let field = bytes.get(from..from.saturating_add(row.field.len() as usize));
        let Some(field) = field else { continue };
        if branch::is_nothing(link.attrs[object.id(reloc.sym).i()]) {
            continue;
        }
        let place = base + reloc.offset;
        let jump = Jump::new(link, object, row, &reloc, (place, field));
        if !jump.reaches() && thunks.find(link, thunk, &jump).is_none() {
            list.push((place, jump));
        }
    }
    list
}

/// Adds the thunks that are missing; whether there were any.
fn grow(link: &mut Link<'_>, thunk: &Thunk) -> bool {
    let mut thunks = std::mem::take(&mut link.thunks);
    let shared = &*link;
    let code = |o: &&super::OutSec| o.flags & SHF_EXECINSTR != 0 && !o.members.is_empty();
    let mut missing = Vec::new();
    for out in shared.outs.iter().filter(code) {
        let of = out.members.par_iter().map(|m| unreached(shared, &thunks, thunk, out.addr, m));
        missing.extend(of.collect::<Vec<_>>().into_iter().flatten());
    }
    let mut added = false;
    for (place, jump) in missing {
        // Another branch may have got one that is near enough.
        if thunks.find(shared, thunk, &jump).is_some() {
            continue;
        }
        let away = |(_, pool): &(usize, &Pool)| {
            let end = shared.outs[pool.out].addr + pool.offset;
            (end + pool.targets.len() as u64 * thunk.size).abs_diff(place)
        };
        // What no pool is near to is reported when it is relocated.
        let Some((at, _)) = thunks.pools.iter().enumerate().min_by_key(away) else { continue };
        let known = thunks.known.entry(jump.target).or_default();
        if known.iter().all(|&(pool, _)| pool != at) {
            let targets = &mut thunks.pools[at].targets;
            known.push((at, targets.len() as u64));
            targets.push(jump.target);
            added = true;
        }
    }
    link.thunks = thunks;
    added
}

/// Moves members so that the pools fit between them.
fn make_room(link: &mut Link<'_>, thunk: &Thunk) {
    let mut outs = std::mem::take(&mut link.outs);
    let mut pools = link.thunks.pools.iter_mut().peekable();
    while let Some(number) = pools.peek().map(|pool| pool.out) {
        let out = &mut outs[number];
        let mut size = 0;
        for at in 0..=out.members.len() {
            while let Some(pool) = pools.next_if(|p| (p.out, p.after) == (number, at)) {
                pool.offset = align_up(size, 4);
                if !pool.targets.is_empty() {
                    size = pool.offset + pool.targets.len() as u64 * thunk.size;
                }
            }
            let Some(member) = out.members.get(at) else { break };
            // As `place_members` does it.
            let object = match link.res.object(member.file) {
                Some(object) => object,
                None => continue,
            };
            size = align_up(size, object.section_align(member.index));
            link.sec_off[member.sec.i()] = size;
            size = size.saturating_add(object.section_size(member.index));
        }
        out.size = size;
        out.align = out.align.max(4);
    }
    link.outs = outs;
}

/// Writes the thunks into `image`, once everything else is there.
pub fn write(link: &Link<'_>, image: &mut [u8]) -> Result<(), Errors> {
    let Some(thunk) = link.arch.thunk else { return Ok(()) };
    let mut errors = Vec::new();
    for pool in &link.thunks.pools {
        let out = &link.outs[pool.out];
        let from = (out.offset + pool.offset) as usize;
        let size = thunk.size as usize;
        let bytes = &mut image[from..from + pool.targets.len() * size];
        let places = bytes.chunks_exact_mut(size).zip(&pool.targets).zip(0u64..);
        for ((buf, target), index) in places {
            let at = out.addr.wrapping_add(pool.offset).wrapping_add(index * thunk.size);
            let to = branch::address(link, target);
            if !(thunk.write)(buf, target.own, (at, to)) {
                let text = format!("a thunk at {at:#x} can't reach {to:#x}");
                errors.push(Error::new(ErrorKind::RelocOverflow, text));
            }
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}
