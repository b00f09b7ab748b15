//! Single flipped bits: correct outputs in, how many flips of each part the judge sees out.
//!
//! The bits are drawn by a fixed sequence, so the same images give the same table. Bits that say nothing
//! to a loader are not flipped, but named with their reason ([`super::idle`]).

use std::collections::BTreeMap;
use std::fmt;

use super::idle::{Idle, regions};
use super::{Canned, Planted, subjects};
use crate::adapter::{Outcome, Shared};
use crate::divergence::Rules;
use crate::oracle::{self, Cost, Evidence, Trial};

/// Flips that nobody has to see: linker, part, its first bytes, reason.
const ALLOWED: &[(&str, &str, usize, &str)] = &[
    ("gold", ".plt", usize::MAX, UNUSED),
    ("gold", ".got.plt", usize::MAX, UNUSED),
    ("gold", ".rela.plt", usize::MAX, UNUSED),
    ("mold", ".got", 8, "mold reserves the first word of .got for itself"),
];
const UNUSED: &str = "gold makes a PLT entry for a function whose address is all that is asked for";

/// How the flips of one part went.
#[derive(Clone, Default, Debug)]
pub struct Row {
    /// Bits flipped, one at a time.
    pub flipped: u64,
    /// Flips that an oracle complained about.
    pub caught: u64,
    /// Bits that mean nothing, by reason.
    pub idle: BTreeMap<&'static str, u64>,
    /// Flips that nobody saw: linker, subject, byte of the part, bit.
    pub missed: Vec<String>,
}

/// The table: parts by name.
#[derive(Clone, Default, Debug)]
pub struct Flips {
    /// By part: a section's name, or a header's.
    pub rows: BTreeMap<String, Row>,
}

impl Flips {
    /// Bits flipped and flips caught.
    pub fn total(&self) -> (u64, u64) {
        let sum = |pick: fn(&Row) -> u64| self.rows.values().map(pick).sum();
        (sum(|row| row.flipped), sum(|row| row.caught))
    }
}

impl fmt::Display for Flips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flipped, caught) = self.total();
        writeln!(f, "single bits flipped: {caught} of {flipped} caught")?;
        for (name, row) in &self.rows {
            let idle: u64 = row.idle.values().sum();
            writeln!(
                f,
                "  {name:<16} {:>6} of {:>6}; without a meaning {idle}",
                row.caught, row.flipped
            )?;
        }
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        for (reason, count) in self.rows.values().flat_map(|row| &row.idle) {
            *reasons.entry(reason).or_default() += count;
        }
        for (reason, count) in reasons {
            writeln!(f, "  not flipped: {count} bits, {reason}")?;
        }
        for (name, row) in &self.rows {
            for missed in &row.missed {
                writeln!(f, "  missed: {name} {missed}")?;
            }
        }
        Ok(())
    }
}

/// Flips up to `each` bits of every part of every linker's output of every subject.
pub fn run(linkers: &[Shared], each: u64, limit: std::time::Duration) -> Flips {
    let mut flips = Flips::default();
    // Which bits of a PLT mean nothing is known of amd64 only.
    let known = |planted: &Planted| planted.request.target == crate::Target::AMD64_ELF;
    for planted in subjects(super::subject::all(), linkers, limit).into_iter().filter(known) {
        one(&planted, each, &mut flips);
    }
    flips
}

fn one(planted: &Planted, each: u64, flips: &mut Flips) {
    let Some(image) = planted.trial.outcome.image() else { return };
    // A flip shows only in an output with which nothing is wrong yet.
    if seen(planted, image) {
        return;
    }
    let idle = Idle::of(&planted.request, image);
    for ((region, reason), count) in &idle.reasons {
        *flips.rows.entry(region.clone()).or_default().idle.entry(reason).or_default() += count;
    }
    for region in regions(image) {
        let name = region.name;
        let row = flips.rows.entry(name.clone()).or_default();
        let bits = region.file.len() as u64 * 8;
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64 ^ bits;
        let all = bits <= each;
        for i in 0..bits.min(each) {
            let bit = if all { i } else { next(&mut seed) % bits };
            let (at, bit) = (region.file.start + (bit / 8) as usize, (bit % 8) as u8);
            if at >= image.len() || idle.is(at, bit) {
                continue;
            }
            let mut faulty = image.to_vec();
            faulty[at] ^= 1 << bit;
            row.flipped += 1;
            if seen(planted, &faulty) {
                row.caught += 1;
            } else if let Some(reason) = allowed(planted, &name, at - region.file.start) {
                row.flipped -= 1;
                *row.idle.entry(reason).or_default() += 1;
            } else {
                let (linker, subject) = (planted.trial.linker.name(), planted.subject);
                let byte = at - region.file.start;
                row.missed.push(format!("byte {byte:#x} bit {bit} ({linker}, {subject})"));
            }
        }
    }
}

fn allowed(planted: &Planted, part: &str, byte: usize) -> Option<&'static str> {
    let family = planted.trial.linker.family();
    let is = |row: &&(&str, &str, usize, &str)| (row.0, row.1) == (family, part) && byte < row.2;
    ALLOWED.iter().find(is).map(|row| row.3)
}

/// Whether an oracle that reads one output complains.
fn seen(planted: &Planted, faulty: &[u8]) -> bool {
    let name = planted.trial.linker.name();
    let linker: Shared = Canned::named(name);
    let trial = Trial::of(&linker, &planted.request, Outcome::Linked(faulty.to_vec()));
    let trials = [trial];
    let evidence = Evidence {
        request: &planted.request,
        trials: &trials,
        expected: Some(&planted.expected),
        rules: Rules::standard(),
        limit: std::time::Duration::from_secs(20),
    };
    !oracle::judge(&evidence, &oracle::up_to(Cost::Bytes)).complaints.is_empty()
}

/// xorshift64*: fixed, so that the same images give the same table.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
}
