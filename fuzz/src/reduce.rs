//! The reducer: a case that shows something → the smallest case found that still shows it.
//!
//! Structural, never bytes: parts are dropped in chunks (halving, like ddmin), then what is left is
//! made plain, until nothing more can go or the budget is spent. References by index stay intact:
//! what pointed at a dropped part is dropped or repaired with it.
//!
//! It must not know what is being looked for: the predicate does.

mod remove;
mod simplify;

use std::time::{Duration, Instant};

use crate::Case;

/// How much a reduction may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Candidates tried; each costs the predicate's links.
    pub candidates: usize,
    /// Wall time; checked before each candidate. A safety net: results only depend on the machine's
    /// speed once this runs out.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { candidates: 1500, time: Duration::from_secs(60) }
    }
}

/// What came of a reduction.
#[derive(Clone)]
pub struct Reduced {
    /// The smallest case found.
    pub case: Case,
    /// Candidates tried.
    pub tried: usize,
    /// Candidates that still showed it.
    pub kept: usize,
    /// Nothing more could go; otherwise the budget ran out.
    pub minimal: bool,
}

/// Reduces `case`, keeping `same` true.
///
/// `same` is not asked about `case` itself; the caller knows that it holds.
pub fn reduce(case: &Case, budget: Budget, same: &mut dyn FnMut(&Case) -> bool) -> Reduced {
    let mut run = Run {
        best: case.clone(),
        same,
        tried: 0,
        kept: 0,
        left: budget.candidates,
        deadline: Instant::now() + budget.time,
    };
    loop {
        let before = run.kept;
        for kind in remove::KINDS {
            run.drop_parts(*kind);
        }
        run.simplify();
        if run.kept == before || run.spent() {
            break;
        }
    }
    let minimal = !run.spent();
    Reduced { case: run.best, tried: run.tried, kept: run.kept, minimal }
}

struct Run<'a> {
    best: Case,
    same: &'a mut dyn FnMut(&Case) -> bool,
    tried: usize,
    kept: usize,
    left: usize,
    deadline: Instant,
}

impl Run<'_> {
    fn spent(&self) -> bool {
        self.left == 0 || Instant::now() >= self.deadline
    }

    /// Takes `candidate` as the new best if it still shows it.
    fn try_case(&mut self, candidate: Case) -> bool {
        if self.spent() || candidate == self.best {
            return false;
        }
        self.left -= 1;
        self.tried += 1;
        let same = (self.same)(&candidate);
        if same {
            self.best = candidate;
            self.kept += 1;
        }
        same
    }

    /// Drops parts of one kind: all, then halves, then quarters … then one by one, from the end so
    /// that earlier parts keep their places when a later one goes.
    fn drop_parts(&mut self, kind: remove::Kind) {
        let mut chunk = remove::parts(&self.best, kind).len();
        while chunk > 0 {
            let mut end = remove::parts(&self.best, kind).len();
            while end > 0 && !self.spent() {
                let parts = remove::parts(&self.best, kind);
                // Dropping one part may take others with it.
                end = end.min(parts.len());
                let start = end.saturating_sub(chunk);
                if start == end {
                    break;
                }
                let candidate = remove::without(&self.best, &parts[start..end]);
                self.try_case(candidate);
                end = start;
            }
            chunk /= 2;
        }
    }

    /// Applies every simplification where it still shows it. A simplification's n-th place is tried
    /// until there is no n-th place.
    fn simplify(&mut self) {
        for rule in simplify::RULES {
            let mut nth = 0;
            while !self.spent() {
                let mut candidate = self.best.clone();
                match rule(&mut candidate, nth) {
                    simplify::Step::Changed => {
                        // A place that was made plain may not count any more: stay at the same n
                        // only if the rule now sees a different thing there.
                        let size = simplify::places(rule, &self.best);
                        if !self.try_case(candidate) || simplify::places(rule, &self.best) >= size {
                            nth += 1;
                        }
                    }
                    simplify::Step::Plain => nth += 1,
                    simplify::Step::End => break,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
