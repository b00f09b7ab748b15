//! The repeat oracle: the same link again must give the same bytes.
//!
//! Again over an output that is there already and full of junk (what nobody wrote shows), at another
//! time, and with several threads. Facts are not asked: a linker is a function of its inputs.

use super::{Cost, Evidence, Mismatch, Oracle, Ruling, Trial};
use crate::adapter::Outcome;

/// The repetition.
pub(super) struct Repeat;

impl Oracle for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn cost(&self) -> Cost {
        Cost::Links
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        for trial in evidence.trials {
            let Some(image) = trial.outcome.image() else { continue };
            let linker = &trial.linker;
            for (junk, way) in [(0xa5, "bytes nobody wrote"), (0x5a, "bytes nobody wrote")] {
                let again = linker.link_over(evidence.request, evidence.limit, junk, image.len());
                compare(trial, image, again, way, ruling);
            }
            let threads = linker.with_threads(4);
            let again = threads.map(|linker| linker.link(evidence.request, evidence.limit));
            compare(trial, image, again, "threads change the output", ruling);
        }
    }
}

fn compare(trial: &Trial, image: &[u8], again: Option<Outcome>, shape: &str, ruling: &mut Ruling) {
    let Some(again) = again else { return };
    let name = trial.linker.name();
    let Outcome::Linked(other) = &again else {
        let found = format!("{again:?}").chars().take(200).collect();
        let mismatch = Mismatch { key: "outcome".into(), found, wanted: "linked as before".into() };
        ruling.complain("repeat", name, "does not link again", mismatch, "");
        return;
    };
    if other == image {
        return;
    }
    let at =
        image.iter().zip(other).position(|(a, b)| a != b).unwrap_or(image.len().min(other.len()));
    let some = |bytes: &[u8]| format!("{:02x?}", &bytes[at..bytes.len().min(at + 8)]);
    let key = format!("byte {at:#x}");
    let mismatch = Mismatch { key, found: some(other), wanted: some(image) };
    ruling.complain("repeat", name, shape, mismatch, "");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::{judge, tests::request};
    use super::*;
    use crate::adapter::{Adapter, Shared};
    use crate::divergence::Rules;
    use crate::{Facts, Request};

    /// A linker that leaves the byte at 2 as it finds it, or counts its threads.
    struct Sloppy {
        gap: bool,
        threads: usize,
    }

    impl Adapter for Sloppy {
        fn name(&self) -> &str {
            "sloppy"
        }
        fn version(&self) -> &str {
            "1.0"
        }
        fn link(&self, _: &Request, _: Duration) -> Outcome {
            Outcome::Linked(vec![0, 0, 0, self.threads as u8])
        }
        fn with_threads(&self, threads: usize) -> Option<Shared> {
            (!self.gap).then(|| Arc::new(Self { gap: false, threads }) as Shared)
        }
        fn link_over(&self, _: &Request, _: Duration, junk: u8, _: usize) -> Option<Outcome> {
            let gap = if self.gap { junk } else { 0 };
            Some(Outcome::Linked(vec![0, 0, gap, self.threads as u8]))
        }
    }

    #[test]
    fn gaps_and_threads_show() {
        for (gap, shape) in [(true, "bytes nobody wrote"), (false, "threads change the output")] {
            let linker: Shared = Arc::new(Sloppy { gap, threads: 1 });
            let request = request();
            let limit = Duration::from_secs(1);
            let outcome = linker.link(&request, limit);
            let trials = [Trial { linker, outcome, facts: Facts::default() }];
            let rules = Rules::default();
            let evidence = Evidence {
                request: &request,
                trials: &trials,
                expected: None,
                rules: &rules,
                limit,
            };
            let ruling = judge(&evidence, &[&Repeat]);
            assert_eq!(ruling.complaints.len(), 1, "{ruling:?}");
            assert_eq!(ruling.complaints[0].shape, shape);
        }
    }
}
