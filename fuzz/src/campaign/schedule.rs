//! The order of a hunt: engines, modes and a seed → case number *i*, for any *i*, on any thread.
//!
//! Engines take turns, so that a short hunt sees some of each. The exhaustive ones are walked in
//! strides that touch every case once, so that a short hunt sees all corners of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use scold_diff::Mode;
use scold_diff::request::by_name;

use crate::Case;

/// Where cases come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Engine {
    /// Every pair of symbol kinds.
    Matrix,
    /// Every relocation at the boundaries of its range.
    Sweep,
    /// Random cases.
    Random,
    /// Go modules, in the modes that add something to them.
    Modules,
}

impl Engine {
    /// Every engine.
    pub const ALL: &[Self] = &[Self::Matrix, Self::Sweep, Self::Random, Self::Modules];

    /// The name used on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Sweep => "sweep",
            Self::Random => "random",
            Self::Modules => "modules",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        by_name(Self::ALL, Self::name, "engine", s)
    }
}

/// A source of cases: how many there are (`None`: no end), and the n-th.
#[derive(Clone)]
pub struct Source {
    /// How many cases; `None` for no end.
    pub len: Option<u64>,
    /// The n-th; `None` for a number that gives no case.
    pub case: Arc<dyn Fn(u64) -> Option<Case> + Send + Sync>,
}

/// What is at a number of a schedule.
pub(super) enum Slot {
    /// This case.
    Case(Box<Case>),
    /// Nothing: a number that is left out.
    Empty,
    /// Nothing here and nothing after.
    End,
}

/// Sources in turns.
#[derive(Clone)]
pub struct Schedule {
    sources: Vec<Source>,
    modes: Vec<Mode>,
    seed: u64,
}

impl Schedule {
    /// The sources in turns; cases of other modes than `modes` are left out (empty: all modes).
    pub fn new(sources: Vec<Source>, modes: &[Mode], seed: u64) -> Self {
        Self { sources, modes: modes.to_vec(), seed }
    }

    /// How many numbers there are before the end; `None` for no end.
    pub fn len(&self) -> Option<u64> {
        self.sources.iter().try_fold(0_u64, |sum, source| Some(sum.saturating_add(source.len?)))
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// What is at `number`.
    pub(super) fn case(&self, number: u64) -> Slot {
        let Some((source, nth)) = self.turn(number) else { return Slot::End };
        let source = &self.sources[source];
        let nth = source.len.map_or(nth, |len| stride(nth, len, self.seed));
        match (source.case)(nth) {
            Some(case) if self.modes.is_empty() || self.modes.contains(&case.mode) => {
                Slot::Case(Box::new(case))
            }
            _ => Slot::Empty,
        }
    }

    /// The case at `number`, if there is one.
    pub fn get(&self, number: u64) -> Option<Case> {
        match self.case(number) {
            Slot::Case(case) => Some(*case),
            Slot::Empty | Slot::End => None,
        }
    }

    /// Why there is no case at `number`, if there is none.
    pub fn absence(&self, number: u64) -> Option<String> {
        let Some((source, nth)) = self.turn(number) else {
            return Some(format!("the plan ends after {} numbers", self.len().unwrap_or_default()));
        };
        let source = &self.sources[source];
        let nth = source.len.map_or(nth, |len| stride(nth, len, self.seed));
        match (source.case)(nth) {
            None => Some("its draw gives no valid case: a hunt passes over it, too".to_owned()),
            Some(case) if !self.modes.is_empty() && !self.modes.contains(&case.mode) => {
                Some(format!("it is of mode {}, which the plan leaves out", case.mode))
            }
            Some(_) => None,
        }
    }

    /// Whose turn `number` is, and how many turns that source had before.
    ///
    /// Sources that have an end drop out when they reach it; the others go on in turns.
    fn turn(&self, number: u64) -> Option<(usize, u64)> {
        let mut ends: Vec<(u64, usize)> = Vec::new();
        for (i, source) in self.sources.iter().enumerate() {
            ends.push((source.len.unwrap_or(u64::MAX), i));
        }
        ends.sort();
        let mut alive: Vec<usize> = (0..self.sources.len()).collect();
        let (mut left, mut rounds) = (number, 0);
        for (end, source) in ends {
            let span = (end - rounds).saturating_mul(alive.len() as u64);
            if left < span {
                let count = alive.len() as u64;
                return Some((alive[(left % count) as usize], rounds + left / count));
            }
            left -= span;
            rounds = end;
            alive.retain(|s| *s != source);
        }
        None
    }
}

/// A permutation of `0..len`: steps of about the golden ratio, made coprime, from where `seed` says.
fn stride(n: u64, len: u64, seed: u64) -> u64 {
    let golden = (len as f64 * 0.618_033_988_749_895) as u64;
    let step = (golden.max(1)..).find(|step| gcd(*step, len) == 1).unwrap_or(1);
    let at = u128::from(n) * u128::from(step) + u128::from(seed % len);
    (at % u128::from(len)) as u64
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(lens: &[Option<u64>]) -> Schedule {
        let source = |len: &Option<u64>| Source { len: *len, case: Arc::new(|_| None) };
        Schedule::new(lens.iter().map(source).collect(), &[], 1)
    }

    #[test]
    fn sources_take_turns_and_drop_out_at_their_end() {
        let turns = |lens: &[Option<u64>]| {
            let schedule = schedule(lens);
            (0..9).map_while(|n| schedule.turn(n)).collect::<Vec<_>>()
        };
        assert_eq!(
            turns(&[Some(1), Some(3), Some(2)]),
            [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (1, 2)]
        );
        assert_eq!(turns(&[Some(1), None])[..5], [(0, 0), (1, 0), (1, 1), (1, 2), (1, 3)]);
        assert_eq!(turns(&[Some(2), Some(2)]), [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert!(turns(&[]).is_empty());
    }

    #[test]
    fn a_stride_touches_everything_once() {
        for len in [1, 2, 3, 10, 97, 4096, 14560] {
            let mut seen: Vec<u64> = (0..len).map(|n| stride(n, len, 7)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..len), "{len}");
        }
    }
}
