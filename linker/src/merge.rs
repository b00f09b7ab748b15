//! SHF_MERGE: the strings and constants of many input sections → one section where each occurs once.
//!
//! Two steps: [`Split`] finds the pieces, [`Split::merge`] places them. The result is a function of the
//! inputs alone, whatever the number of threads. Must not know symbols, relocations or output sections; the caller
//! groups sections that may share pieces (same output section, flags and entry size).

use std::hash::Hasher;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use rayon::prelude::*;
use rustc_hash::FxHasher;

use crate::Malformed;
use crate::layout::align_up;

/// One input section of a merge.
#[derive(Clone, Copy, Debug)]
pub struct MergeInput<'a> {
    /// Its contents.
    pub bytes: &'a [u8],
    /// Its `sh_addralign`, a power of two; 0 counts as 1.
    pub align: u64,
}

/// What the pieces are: all inputs of one merge agree on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MergeKind {
    /// `sh_entsize`: bytes of a constant, or of a string's character. Not 0.
    pub entry: u32,
    /// SHF_STRINGS: pieces end after a zero character.
    pub strings: bool,
}

/// The pieces of all inputs, found and hashed.
#[derive(Debug)]
pub struct Split<'a> {
    kind: MergeKind,
    inputs: Vec<MergeInput<'a>>,
    /// The pieces of input i are `first[i]..first[i + 1]`.
    first: Vec<u32>,
    /// Where each piece starts in its input.
    starts: Vec<u32>,
    hashes: Vec<u64>,
}

/// One merged section: where each piece went.
#[derive(Debug)]
pub struct Merged<'a> {
    kind: MergeKind,
    inputs: Vec<MergeInput<'a>>,
    first: Vec<u32>,
    starts: Vec<u32>,
    /// Where each piece is in the output; `DROPPED` if it has none.
    places: Vec<u64>,
    /// What is written: (piece, its input), by rising place.
    written: Vec<(u32, u32)>,
    size: u64,
    align: u64,
}

const DROPPED: u64 = u64::MAX;

impl<'a> Split<'a> {
    /// Splits `inputs`, in parallel.
    ///
    /// Errors: the index of the first malformed input, and what is wrong with it: a size that is
    /// no multiple of the entry, or a string without an end (at the offset where it starts).
    pub fn new(kind: MergeKind, inputs: Vec<MergeInput<'a>>) -> Result<Self, (usize, Malformed)> {
        let pieces: Vec<Result<Pieces, Malformed>> =
            inputs.par_iter().with_min_len(16).map(|i| pieces(kind, i.bytes)).collect();
        let mut first = Vec::with_capacity(inputs.len() + 1);
        let mut lists = Vec::with_capacity(inputs.len());
        let mut total = 0u64;
        for (i, list) in pieces.into_iter().enumerate() {
            let list = list.map_err(|e| (i, e))?;
            first.push(total as u32);
            total += list.starts.len() as u64;
            if total >= u64::from(u32::MAX) {
                return Err((i, Malformed { offset: 0, text: "too many pieces to merge" }));
            }
            lists.push(list);
        }
        first.push(total as u32);
        let mut starts = Vec::with_capacity(total as usize);
        let mut hashes = Vec::with_capacity(total as usize);
        for list in lists {
            starts.extend_from_slice(&list.starts);
            hashes.extend_from_slice(&list.hashes);
        }
        Ok(Self { kind, inputs, first, starts, hashes })
    }

    /// Places the pieces: in order of first occurrence, or with `tails` (`-O2`, strings only) such
    /// that a string which ends another one shares its bytes.
    pub fn merge(self, tails: bool) -> Merged<'a> {
        let (same, aligns) = self.unify();
        let mut written = self.winners(&same);
        let align = written.iter().map(|&(p, _)| aligns[p as usize].load(Relaxed)).max();
        let mut places = vec![DROPPED; self.starts.len()];
        let mut end = 0u64;
        if tails && self.kind.strings {
            self.place_tails(&mut written, &aligns, &mut places, &mut end);
        } else {
            for &(piece, input) in &written {
                let align = 1u64 << aligns[piece as usize].load(Relaxed);
                let place = align_up(end, align);
                places[piece as usize] = place;
                end = place.saturating_add(self.range(piece, input).len() as u64);
            }
        }
        let winners: Vec<u64> = same
            .par_iter()
            .map(|s| places.get(s.load(Relaxed) as usize).copied().unwrap_or(DROPPED))
            .collect();
        Merged {
            kind: self.kind,
            inputs: self.inputs,
            first: self.first,
            starts: self.starts,
            places: winners,
            written,
            size: end,
            align: 1 << align.unwrap_or(0),
        }
    }

    /// For each piece the first one equal to it (`u32::MAX` for the unmarked), and for that one the
    /// strictest alignment of all (as a power of two).
    fn unify(&self) -> (Vec<AtomicU32>, Vec<AtomicU8>) {
        let count = self.starts.len();
        let same: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(u32::MAX)).collect();
        let aligns: Vec<AtomicU8> = (0..count).map(|_| AtomicU8::new(0)).collect();
        // The number of shards doesn't show in the result: a piece's shard follows from its hash,
        // and each shard takes its pieces in input order.
        let threads = rayon::current_num_threads();
        let bits = if count < 4096 { 0 } else { (threads * 2).next_power_of_two().min(64).ilog2() };
        let shards: Vec<u32> = (0..1 << bits).collect();
        shards.into_par_iter().for_each(|shard| self.unify_shard(shard, bits, &same, &aligns));
        (same, aligns)
    }

    fn unify_shard(&self, shard: u32, bits: u32, same: &[AtomicU32], aligns: &[AtomicU8]) {
        let mine = |hash: u64| bits == 0 || (hash >> (64 - bits)) as u32 == shard;
        let count = self.hashes.iter().filter(|&&h| mine(h)).count();
        // Open addressing, at most half full; an entry is 32 bits of the hash, a piece, its input.
        let mask = (count * 2).next_power_of_two().max(8) - 1;
        let mut table = vec![(0u32, u32::MAX, 0u32); mask + 1];
        for (input, range) in self.first.windows(2).enumerate() {
            for piece in range[0]..range[1] {
                let hash = self.hashes[piece as usize];
                if !mine(hash) {
                    continue;
                }
                let bytes = self.bytes(piece, input as u32);
                let short = (hash >> 20) as u32;
                let mut slot = hash as usize & mask;
                let winner = loop {
                    match table[slot] {
                        (_, u32::MAX, _) => {
                            table[slot] = (short, piece, input as u32);
                            break piece;
                        }
                        (h, p, i) if h == short && self.bytes(p, i) == bytes => {
                            break p;
                        }
                        _ => slot = (slot + 1) & mask,
                    }
                };
                same[piece as usize].store(winner, Relaxed);
                let align = self.align_of(piece, input);
                aligns[winner as usize].fetch_max(align, Relaxed);
            }
        }
    }

    /// The pieces that are written, with their inputs, in order.
    fn winners(&self, same: &[AtomicU32]) -> Vec<(u32, u32)> {
        (0..self.inputs.len())
            .into_par_iter()
            .with_min_len(64)
            .flat_map_iter(|input| {
                let range = self.first[input]..self.first[input + 1];
                range
                    .filter(|&p| same[p as usize].load(Relaxed) == p)
                    .map(move |p| (p, input as u32))
            })
            .collect()
    }

    /// Lays out strings sorted by their reversed bytes, longest first, so that one that ends
    /// another comes right after it.
    fn place_tails(
        &self,
        written: &mut Vec<(u32, u32)>,
        aligns: &[AtomicU8],
        places: &mut [u64],
        end: &mut u64,
    ) {
        let entry = self.kind.entry as usize;
        let mut sorted = std::mem::take(written);
        sorted.par_sort_unstable_by(|&(a, ai), &(b, bi)| {
            let (a, b) = (self.bytes(a, ai), self.bytes(b, bi));
            b.rchunks(entry).cmp(a.rchunks(entry))
        });
        let mut host: Option<(&[u8], u64)> = None;
        for (piece, input) in sorted {
            let bytes = self.bytes(piece, input);
            let align = 1u64 << aligns[piece as usize].load(Relaxed);
            if let Some((whole, start)) = host
                && whole.ends_with(bytes)
                && (start + (whole.len() - bytes.len()) as u64).is_multiple_of(align)
            {
                places[piece as usize] = start + (whole.len() - bytes.len()) as u64;
                continue;
            }
            let place = align_up(*end, align);
            places[piece as usize] = place;
            *end = place.saturating_add(bytes.len() as u64);
            written.push((piece, input));
            host = Some((bytes, place));
        }
    }

    /// A piece is as aligned as its own start: the rest of its section's alignment is for others.
    fn align_of(&self, piece: u32, input: usize) -> u8 {
        let section = self.inputs[input].align.max(1).trailing_zeros();
        let start = self.starts[piece as usize];
        if start == 0 { section as u8 } else { section.min(start.trailing_zeros()) as u8 }
    }

    fn range(&self, piece: u32, input: u32) -> Range<usize> {
        range(&self.inputs, &self.first, &self.starts, piece, input)
    }

    fn bytes(&self, piece: u32, input: u32) -> &'a [u8] {
        &self.inputs[input as usize].bytes[self.range(piece, input)]
    }
}

impl Merged<'_> {
    /// The size of the merged section in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its alignment.
    pub fn align(&self) -> u64 {
        self.align
    }

    /// Where in the merged section byte `offset` of `input` is: the piece's place plus the distance
    /// into the piece. The end of an input is the end of its last piece. `None` past the end,
    /// and for a piece that was not kept.
    pub fn place(&self, input: usize, offset: u64) -> Option<u64> {
        let piece = find(self.kind, &self.first, &self.starts, input, offset)?;
        let size = self.inputs[input].bytes.len() as u64;
        let place = self.places[piece];
        (offset <= size && place != DROPPED).then(|| place + offset - u64::from(self.starts[piece]))
    }

    /// Writes the section, in parallel; gaps for alignment are zero.
    pub fn write(&self, out: &mut [u8]) {
        const CHUNK: usize = 4096;
        let mut rest = out;
        let mut at = 0;
        let mut tasks = Vec::with_capacity(self.written.len() / CHUNK + 1);
        for (i, list) in self.written.chunks(CHUNK).enumerate() {
            let end = match self.written.get((i + 1) * CHUNK) {
                Some(&(next, _)) => self.places[next as usize],
                None => self.size,
            };
            let (mine, tail) = rest.split_at_mut((end - at) as usize);
            tasks.push((list, at, mine));
            (rest, at) = (tail, end);
        }
        tasks.into_par_iter().for_each(|(list, base, out)| {
            let mut filled = 0;
            for &(piece, input) in list {
                let from = range(&self.inputs, &self.first, &self.starts, piece, input);
                let start = (self.places[piece as usize] - base) as usize;
                let end = start + from.len();
                out[filled..start].fill(0);
                out[start..end].copy_from_slice(&self.inputs[input as usize].bytes[from]);
                filled = end;
            }
            out[filled..].fill(0);
        });
    }
}

/// The piece of `input` that holds byte `offset`; its last piece for its end and past it.
fn find(
    kind: MergeKind,
    first: &[u32],
    starts: &[u32],
    input: usize,
    offset: u64,
) -> Option<usize> {
    let range = first[input] as usize..first[input + 1] as usize;
    let own = &starts[range.clone()];
    let last = own.len().checked_sub(1)?;
    let index = if kind.strings {
        own.partition_point(|&s| u64::from(s) <= offset) - 1
    } else {
        (offset / u64::from(kind.entry)).min(last as u64) as usize
    };
    Some(range.start + index)
}

fn range(
    inputs: &[MergeInput<'_>],
    first: &[u32],
    starts: &[u32],
    piece: u32,
    input: u32,
) -> Range<usize> {
    let start = starts[piece as usize] as usize;
    let end = if piece + 1 == first[input as usize + 1] {
        inputs[input as usize].bytes.len()
    } else {
        starts[piece as usize + 1] as usize
    };
    start..end
}

struct Pieces {
    starts: Vec<u32>,
    hashes: Vec<u64>,
}

fn pieces(kind: MergeKind, bytes: &[u8]) -> Result<Pieces, Malformed> {
    let entry = kind.entry.max(1) as usize;
    let bad = |offset: usize, text| Err(Malformed { offset: offset as u64, text });
    if u32::try_from(bytes.len()).is_err() {
        return bad(0, "SHF_MERGE section larger than 4 GiB");
    }
    if !bytes.len().is_multiple_of(entry) {
        return bad(bytes.len(), "size of a SHF_MERGE section is no multiple of sh_entsize");
    }
    let mut starts = Vec::new();
    let mut hashes = Vec::new();
    let mut add = |start: usize, end: usize| {
        starts.push(start as u32);
        hashes.push(hash(&bytes[start..end]));
    };
    if !kind.strings {
        (0..bytes.len()).step_by(entry).for_each(|at| add(at, at + entry));
        return Ok(Pieces { starts, hashes });
    }
    let mut start = 0;
    if entry == 1 {
        for zero in memchr::memchr_iter(0, bytes) {
            add(start, zero + 1);
            start = zero + 1;
        }
    } else {
        for (i, unit) in bytes.chunks_exact(entry).enumerate() {
            if unit.iter().all(|&b| b == 0) {
                add(start, (i + 1) * entry);
                start = (i + 1) * entry;
            }
        }
    }
    if start != bytes.len() {
        return bad(start, "string in a SHF_MERGE section has no end");
    }
    Ok(Pieces { starts, hashes })
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
#[path = "merge/tests.rs"]
mod tests;
