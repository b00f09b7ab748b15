//! Branches that can't get where they go, and instructions that must not stay where they are → stubs
//! in pools between input sections, shared by all that need them.
//!
//! Runs once addresses are known, and again while pools grow; nothing is taken back, so that ends. A
//! thunk is one for a symbol and an addend: the addend belongs to the target. Must not know how a
//! machine's stubs are written or which branches need one.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Member, OutSec, align_up, errata};
use crate::arch::{Arch, Stub, Thunks};
use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::SHF_EXECINSTR;
use crate::link::{Link, Special, attr};
use crate::object::is_c_identifier;
use crate::relocate::branch::{self, Jump, Target};

/// What a stub does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Want {
    /// Goes there, as this stub of the machine's.
    Branch(Target, u8),
    /// Holds the instruction at an offset of a section, for this erratum.
    Moved(Member, u64, u8),
}

/// Stubs in one place.
#[derive(Debug)]
struct Pool {
    /// The output section.
    out: usize,
    /// How many of its members come before.
    after: usize,
    /// Offset in the output section.
    offset: u64,
    size: u64,
    /// What is in it, with offsets.
    stubs: Vec<(Want, u64)>,
}

impl Pool {
    /// The address of the end of what is before it.
    fn start(&self, link: &Link<'_>) -> u64 {
        let out = &link.outs[self.out];
        let before = self.after.checked_sub(1).map(|at| &out.members[at]);
        let end = before.map_or(0, |member| {
            let size = link.object(member.file).section_size(member.index);
            link.sec_off[member.sec.i()] + size
        });
        out.addr.wrapping_add(end)
    }
}

/// Where pools begin: what any stub can be aligned to.
const ALIGN: u64 = 8;

/// All pools of a link.
#[derive(Default, Debug)]
pub struct Pools {
    list: Vec<Pool>,
    /// The pools that have it, with the offset there.
    known: FxHashMap<Want, Vec<(usize, u64)>>,
}

impl Pools {
    /// Whether there is no stub.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How long the stubs before and behind all input sections of an output section are.
    pub(super) fn around(&self, number: usize, out: &OutSec) -> (u64, u64) {
        let size = |after: usize| {
            let there = self.list.iter().filter(|pool| pool.out == number && pool.size > 0);
            there.filter(|pool| pool.after == after).map(|pool| pool.size).sum::<u64>()
        };
        (size(0), size(out.members.len()))
    }

    /// The distance to the nearest thunk that stands in for where `jump` goes.
    pub(crate) fn find(&self, link: &Link<'_>, jump: &Jump<'_>) -> Option<i64> {
        let known = self.known.get(&wanted(link, jump)?)?;
        let distances = known.iter().filter_map(|&(pool, at)| {
            let pool = &self.list[pool];
            jump.distance_to(link, link.outs[pool.out].addr.wrapping_add(pool.offset + at))
        });
        distances.min_by_key(|d| d.unsigned_abs())
    }

    /// Adds the stubs that are missing to the nearest pools; whether there were any. What no pool is
    /// near to is reported when it is relocated.
    fn grow(&mut self, link: &Link<'_>, thunks: Option<&Thunks>, errata: &[u8]) -> bool {
        let branches = thunks.map_or(Vec::new(), |thunks| unreached(link, self, thunks));
        let moved = errata::sites(link, errata).into_iter();
        let moved = moved.map(|(place, want)| Missing { place, want, jump: None });
        // Pools are in the order of addresses.
        let starts: Vec<u64> = self.list.iter().map(|pool| pool.start(link)).collect();
        let mut grown = false;
        for Missing { place, want, jump } in branches.into_iter().chain(moved) {
            // Another branch may have got one that is near enough.
            if jump.is_some_and(|jump| self.find(link, &jump).is_some()) {
                continue;
            }
            let next = starts.partition_point(|&start| start < place);
            let near = [next.checked_sub(1), (next < starts.len()).then_some(next)];
            let near = near.into_iter().flatten().min_by_key(|&at| starts[at].abs_diff(place));
            let Some(at) = near else { continue };
            let known = self.known.entry(want).or_default();
            if known.iter().any(|&(pool, _)| pool == at || jump.is_none()) {
                continue;
            }
            let (pool, stub) = (&mut self.list[at], stub(link.arch, want));
            let offset = align_up(pool.size, stub.align);
            pool.size = offset + stub.size;
            pool.stubs.push((want, offset));
            known.push((at, offset));
            grown = true;
        }
        grown
    }

    /// Each stub with its address and the number of its output section, in order.
    fn each<'l>(&'l self, link: &'l Link<'_>) -> impl Iterator<Item = (Want, usize, u64)> + 'l {
        self.list.iter().flat_map(move |pool| {
            let base = link.outs[pool.out].addr.wrapping_add(pool.offset);
            pool.stubs.iter().map(move |&(want, at)| (want, pool.out, base.wrapping_add(at)))
        })
    }

    /// Mapping symbols of the stubs: name, number of the output section, address.
    pub fn marks(&self, link: &Link<'_>) -> Vec<(&'static str, usize, u64)> {
        let mut marks: Vec<(&'static str, usize, u64)> = Vec::new();
        for (want, out, at) in self.each(link) {
            for &(offset, name) in stub(link.arch, want).marks {
                marks.push((name, out, at + offset));
            }
        }
        marks
    }
}

/// A stub that is missing.
struct Missing<'l> {
    /// Where.
    place: u64,
    want: Want,
    /// The branch that has to get there.
    jump: Option<Jump<'l>>,
}

/// The machine's stub for `want`.
fn stub(arch: &'static Arch, want: Want) -> &'static Stub {
    match (want, &arch.thunks) {
        (Want::Branch(_, number), Some(thunks)) => &thunks.stubs[usize::from(number)],
        (Want::Branch(..), None) => unreachable!("a thunk on a machine without any"),
        (Want::Moved(_, _, number), _) => &arch.errata[usize::from(number)].stub,
    }
}

/// Adds stubs until every branch gets where it goes and no sequence of an erratum is left.
///
/// Errors: `reloc-overflow` if that has no end; `usage` for a `--defsym` that can't be computed.
pub fn settle(link: &mut Link<'_>) -> Result<(), Errors> {
    let errata = errata::asked(link);
    for _ in 0..64 {
        let thunks =
            link.arch.thunks.as_ref().filter(|thunks| link.arch.two_states || far(link, thunks));
        if thunks.is_none() && errata.is_empty() {
            return Ok(());
        }
        if link.pools.is_empty() {
            link.pools.list = pools(link);
        }
        let mut pools = std::mem::take(&mut link.pools);
        let grown = pools.grow(link, thunks, &errata);
        link.pools = pools;
        if !grown {
            return Ok(());
        }
        make_room(link);
        super::addresses::settle(link)?;
        crate::symbols::compute_defsyms(link)?;
        super::symbols::resolve_addresses(link);
    }
    Err(Error::new(ErrorKind::RelocOverflow, "branches stay out of reach of thunks").into())
}

/// Whether anything a branch may go to is out of its reach.
fn far(link: &Link<'_>, thunks: &Thunks) -> bool {
    let loaded = || link.outs.iter().filter(|o| o.is_alloc());
    let start = loaded().map(|o| o.addr).min().unwrap_or(0);
    let end = loaded().map(|o| o.addr.saturating_add(o.size)).max().unwrap_or(0);
    let (low, high) = (end.saturating_sub(thunks.reach), start.saturating_add(thunks.reach));
    let absolute = attr::ABSOLUTE | attr::WEAK_UNDEF;
    let beyond = |(bits, &addr): (&u16, &u64)| {
        bits & absolute == attr::ABSOLUTE && addr != 0 && !(low..high).contains(&addr)
    };
    end - start >= thunks.reach || link.attrs.par_iter().zip(&link.addrs).any(beyond)
}

/// Code that is one function, or that programs walk through by the bounds of its name: nothing may come between.
fn is_whole(link: &Link<'_>, out: &OutSec) -> bool {
    let bound = |special: &Special| match special {
        Special::Start(name) | Special::Stop(name) => *name == out.name && is_c_identifier(name),
        _ => false,
    };
    matches!(&out.name[..], b".init" | b".fini") || link.specials.iter().any(bound)
}

/// Empty pools around each section of code, and inside so that all of it reaches one.
fn pools(link: &Link<'_>) -> Vec<Pool> {
    let mut pools = Vec::new();
    let apart = link.arch.thunks.map_or(u64::MAX, |thunks| thunks.reach / 4 * 3);
    for (number, out) in link.outs.iter().enumerate() {
        let merged = link.merges.iter().any(|part| part.out as usize == number);
        if !is_code(out) || merged || is_whole(link, out) {
            continue;
        }
        let mut last = 0;
        let mut add = |after: usize| {
            pools.push(Pool { out: number, after, offset: 0, size: 0, stubs: Vec::new() });
        };
        for (at, member) in out.members.iter().enumerate() {
            let offset = link.sec_off[member.sec.i()];
            let end = offset + link.object(member.file).section_size(member.index);
            // A member as large as that has a pool on either side.
            if end - last > apart {
                add(at);
                last = offset;
            }
        }
        add(out.members.len());
    }
    pools
}

/// Whether input sections with code are in it.
fn is_code(out: &OutSec) -> bool {
    out.is_alloc() && out.flags & SHF_EXECINSTR != 0 && !out.members.is_empty()
}

/// The stub for a branch that needs one.
fn wanted(link: &Link<'_>, jump: &Jump<'_>) -> Option<Want> {
    let thunks = link.arch.thunks.as_ref()?;
    Some(Want::Branch(jump.target, (thunks.stub)(jump.target.own, jump.distance)))
}

/// The branches of `member` that don't get where they go, by themselves or by a stub there is.
fn astray<'l>(
    link: &'l Link<'_>,
    pools: &Pools,
    thunks: &Thunks,
    (addr, member): (u64, &Member),
) -> Vec<Missing<'l>> {
    let object = link.object(member.file);
    let base = addr.wrapping_add(link.sec_off[member.sec.i()]);
    let bytes = object.section_data(member.index);
    let mut list = Vec::new();
    for reloc in object.relocs(member.index).iter().filter(|r| thunks.kinds.contains(&r.kind)) {
        let Some(row) = link.arch.row(reloc.kind) else { continue };
        let from = reloc.offset as usize;
        let field = bytes.get(from..from.saturating_add(row.field.len() as usize));
        let Some(field) = field else { continue };
        if branch::is_nothing(link.attrs[object.id(reloc.sym).i()]) {
            continue;
        }
        let place = base.wrapping_add(reloc.offset);
        let jump = Jump::new(link, object, row, &reloc, (place, field));
        if !jump.reaches() && pools.find(link, &jump).is_none() {
            list.extend(wanted(link, &jump).map(|want| Missing { place, want, jump: Some(jump) }));
        }
    }
    list
}

/// All of them.
fn unreached<'l>(link: &'l Link<'_>, pools: &Pools, thunks: &Thunks) -> Vec<Missing<'l>> {
    let mut missing = Vec::new();
    for out in link.outs.iter().filter(|o| o.is_alloc()) {
        let of = out.members.par_iter().map(|m| astray(link, pools, thunks, (out.addr, m)));
        missing.extend(of.collect::<Vec<_>>().into_iter().flatten());
    }
    missing
}

/// Moves members so that the pools fit between them.
fn make_room(link: &mut Link<'_>) {
    let mut outs = std::mem::take(&mut link.outs);
    let mut pools = link.pools.list.iter_mut().peekable();
    while let Some(number) = pools.peek().map(|pool| pool.out) {
        let out = &mut outs[number];
        let mut size = 0;
        for at in 0..=out.members.len() {
            while let Some(pool) = pools.next_if(|p| (p.out, p.after) == (number, at)) {
                if pool.size > 0 {
                    pool.offset = align_up(size, ALIGN);
                    size = pool.offset + pool.size;
                    out.align = out.align.max(ALIGN);
                }
            }
            let Some(member) = out.members.get(at) else { break };
            // As `place_members` does it.
            let Some(object) = link.res.object(member.file) else { continue };
            size = align_up(size, object.section_align(member.index));
            link.sec_off[member.sec.i()] = size;
            size = size.saturating_add(object.section_size(member.index));
        }
        out.size = size;
    }
    link.outs = outs;
}

/// Writes the stubs into `image`, once everything else is there.
///
/// Errors: `reloc-overflow` for a stub that can't reach its target.
pub fn write(link: &Link<'_>, image: &mut [u8]) -> Result<(), Errors> {
    let mut errors = Vec::new();
    for (want, number, at) in link.pools.each(link) {
        let out = &link.outs[number];
        let stub = stub(link.arch, want);
        let mut code = [0; 64];
        let code = &mut code[..stub.size as usize];
        let offset = |address: u64| (out.offset + (address - out.addr)) as usize;
        let reaches = match want {
            Want::Branch(target, _) => {
                let to = branch::address(link, &target);
                let reaches = (stub.write)(code, at, to);
                if !reaches {
                    let text = format!("a thunk at {at:#x} can't reach {to:#x}");
                    errors.push(Error::new(ErrorKind::RelocOverflow, text));
                }
                reaches
            }
            Want::Moved(member, from, erratum) => {
                let place = link.section_address(member.sec, from).unwrap_or(0);
                let erratum = &link.arch.errata[usize::from(erratum)];
                errata::move_out(erratum, place, at, code, &mut image[offset(place)..])
            }
        };
        if reaches {
            image[offset(at)..][..code.len()].copy_from_slice(code);
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

#[cfg(test)]
#[path = "thunks/tests.rs"]
mod tests;
