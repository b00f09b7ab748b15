//! The expected oracle: what the specs demand against what each linker did.

use super::{Cost, Differing, Evidence, Oracle, Ruling, Trial};
use crate::adapter::{Outcome, REFERENCE};
use crate::expectation::{Refusal, Strictness};
use crate::model::ErrorClass;
use crate::{Family, Key};

/// The specs, as [`crate::Expectation`] has them.
pub(super) struct Expected;

/// How strictly an expectation binds this linker.
pub(super) fn strictness(trial: &Trial) -> Strictness {
    if trial.linker.name() == REFERENCE { Strictness::Reference } else { Strictness::Spec }
}

impl Oracle for Expected {
    fn name(&self) -> &'static str {
        "expected"
    }

    fn cost(&self) -> Cost {
        Cost::Facts
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        let Some(expected) = evidence.expected else { return };
        for trial in evidence.trials.iter().filter(|trial| trial.counts()) {
            // A refusal in words that nobody could class is a refusal all the same.
            let unclear = trial.facts.error() == Some(ErrorClass::Other);
            if unclear && matches!(expected.refusal, Refusal::Must(_)) {
                continue;
            }
            let judgement = expected.judge(&trial.facts, strictness(trial));
            let name = trial.linker.name();
            let open = judgement.unjudged.iter();
            ruling.open.extend(open.map(|(key, why)| (name.to_owned(), key.clone(), *why)));
            // Where a link had to be refused, what the output has beside is of no interest.
            let error = Key::new(Family::Error, "");
            let must = matches!(expected.refusal, Refusal::Must(_));
            let said = if let Outcome::Refused(_, said) = &trial.outcome { said } else { "" };
            // An image that no loader takes has no other fact to miss.
            let broken = Key::new(Family::Dynamic, "broken");
            let unreadable = trial.facts.get(&broken).is_some();
            let list = judgement.wrong.iter().filter(|wrong| match (must, unreadable) {
                (true, _) => wrong.key == error,
                (_, true) => wrong.key == broken,
                _ => true,
            });
            for wrong in list {
                let differing = Differing {
                    trial,
                    key: &wrong.key,
                    found: wrong.found.as_ref(),
                    wanted: wrong.expected.as_ref(),
                };
                ruling.differ(evidence, self.name(), &differing, said);
            }
        }
    }
}
