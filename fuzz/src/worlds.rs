//! Judging a world: the modules beside a case are held against what the specs demand of each, and all of them are
//! run together. It must not know how a world is made.

use scold_diff::oracle::{self, Cost, Evidence, Ruling, Trial, world};

use crate::expect::{self, drills};
use crate::{Case, emit};

/// Adds to `ruling` what is wrong with the world of `case`, of which `evidence` is one module; it is run if it `runs`.
pub fn judge(case: &Case, evidence: &Evidence<'_>, runs: bool, ruling: &mut Ruling) {
    let mut wrong = Vec::new();
    for other in &case.beside {
        let request = emit::request(other);
        let expected = expect::expect(other);
        let links = evidence.trials.iter();
        let trials: Vec<Trial> =
            links.map(|trial| Trial::run(&trial.linker, &request, evidence.limit)).collect();
        let evidence =
            Evidence { request: &request, trials: &trials, expected: Some(&expected), ..*evidence };
        let found = oracle::judge(&evidence, &oracle::up_to(Cost::Bytes));
        ruling.complaints.extend(found.news().cloned());
        ruling.open.extend(found.open);
        wrong.push(found.complaints);
    }
    if let Some(stage) = runs.then(|| drills::stage(case, wrong)).flatten() {
        world::play(&stage, evidence, ruling);
    }
}

#[cfg(test)]
mod tests;
