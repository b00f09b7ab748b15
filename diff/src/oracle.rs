//! Oracles: links that were made in, complaints out. One file and one line each.
//!
//! [`judge`] asks every oracle about the [`Evidence`] of one request, takes away what a divergence
//! or a known bug explains, and gives each linker a [`Verdict`]. Oracles must not know how a request
//! came about; only what they may look at.

mod agree;
mod consequences;
mod execute;
mod expected;
mod invariants;
mod loader;
pub mod metamorphic;
mod modes;
mod reach;
mod repeat;
mod shape;

use std::fmt;
use std::time::Duration;

pub use execute::world;
pub use invariants::{Flaw, flaws};
pub use shape::{Relocations, relocation_name, shape};

use crate::adapter::{Outcome, Shared};
use crate::divergence::{Question, Rules};
use crate::expectation::Expectation;
use crate::{Facts, Format, Key, Request, Value, model};

/// Every oracle, one line each.
pub static ORACLES: &[&dyn Oracle] = &[
    &expected::Expected,
    &agree::Agree,
    &loader::Loader,
    &invariants::Invariants,
    &modes::Modes,
    &execute::Execute,
    &repeat::Repeat,
    &metamorphic::Metamorphic,
];

/// One link that was made: by whom, what came of it, and what a loader would see.
#[derive(Clone)]
pub struct Trial {
    /// Who linked.
    pub linker: Shared,
    /// What came of it.
    pub outcome: Outcome,
    /// Facts of the output or of the refusal; none for crashes and the like.
    pub facts: Facts,
}

impl Trial {
    /// Has `linker` perform `request` and reads the output.
    pub fn run(linker: &Shared, request: &Request, limit: Duration) -> Self {
        let outcome = linker.link(request, limit);
        Self::of(linker, request, outcome)
    }

    /// The trial of an outcome that is there already.
    pub fn of(linker: &Shared, request: &Request, outcome: Outcome) -> Self {
        let facts = match &outcome {
            Outcome::Linked(image) => model::facts(request, image),
            Outcome::Refused(class, _) => Facts::refused(*class),
            _ => Facts::default(),
        };
        Self { linker: linker.clone(), outcome, facts }
    }

    /// Whether it has anything to compare: an output or a refusal.
    pub fn counts(&self) -> bool {
        matches!(self.outcome, Outcome::Linked(_) | Outcome::Refused(..))
    }
}

/// What there is to judge about one request.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The link.
    pub request: &'a Request,
    /// What came of it, by linker.
    pub trials: &'a [Trial],
    /// What the specs demand, if anybody knows.
    pub expected: Option<&'a Expectation>,
    /// What explains differences away.
    pub rules: &'a Rules,
    /// Wall time for each program an oracle runs.
    pub limit: Duration,
}

/// What an oracle costs, so that a campaign can choose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cost {
    /// Looks at Facts: microseconds.
    Facts,
    /// Walks output bytes: tens of microseconds.
    Bytes,
    /// Runs a program per output: milliseconds.
    Runs,
    /// Links again, several times.
    Links,
}

/// One way to see that an output is wrong.
pub trait Oracle: Sync {
    /// The name used in signatures and on command lines.
    fn name(&self) -> &'static str;

    /// What it costs.
    fn cost(&self) -> Cost;

    /// Whether it can look at links of this format; it is not asked about others.
    fn reads(&self, format: Format) -> bool {
        let _ = format;
        true
    }

    /// Adds to `ruling` what is wrong with `evidence`.
    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling);
}

/// One key on which something is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// The key, as text (not every oracle speaks of facts).
    pub key: String,
    /// What this linker's output has.
    pub found: String,
    /// What it should have, or what the others have.
    pub wanted: String,
}

/// Something that is wrong with one linker's output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// Who complains.
    pub oracle: &'static str,
    /// The linker's adapter name; names joined by `|` when nobody can tell who is wrong.
    pub linker: String,
    /// What changed, without names and numbers: `site R_X86_64_PC32 place→absolute`.
    pub shape: String,
    /// The keys, the first few of them.
    pub keys: Vec<Mismatch>,
    /// What people should know beside: who agrees with whom, which bytes.
    pub detail: String,
    /// The known bug it is, by its link: counted, not reported again.
    pub known: Option<String>,
}

impl Complaint {
    /// How it shows: `silent` (wrong output), `refused`, `accepted`, `crash`, `hang`.
    pub fn class(&self) -> &'static str {
        // It is the output that crashed or hung: its linker wrote it without a word.
        if self.oracle == "execute" {
            return "silent";
        }
        let shape = self.shape.trim_start_matches("no majority: ");
        match shape.split(' ').take(2).collect::<Vec<_>>().as_slice() {
            ["crash", ..] => "crash",
            ["hang", ..] => "hang",
            ["error", "accepted"] => "accepted",
            ["error", ..] => "refused",
            _ => "silent",
        }
    }

    /// What folds duplicates: oracle, shape, linker, architecture.
    pub fn signature(&self, request: &Request) -> String {
        format!("{}/{}/{}/{}", self.oracle, self.shape, self.linker, request.target)
    }
}

/// How a linker did on one request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Nothing that was judged is wrong with it; [`Ruling::is_open`] tells if keys differ that the specs
    /// leave open.
    Agree,
    /// An oracle complains.
    Divergent,
    /// Nothing that was judged is wrong, but a legitimate divergence ended the comparison.
    Poisoned,
    /// It refused, and nobody minds; or it is known not to do that.
    Refused,
    /// It crashed.
    Crashed,
    /// It ran into a limit.
    Hung,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: &[Self] =
        &[Self::Agree, Self::Divergent, Self::Poisoned, Self::Refused, Self::Crashed, Self::Hung];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Divergent => "divergent",
            Self::Poisoned => "poisoned",
            Self::Refused => "refused",
            Self::Crashed => "crashed",
            Self::Hung => "hung",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the oracles say about one request.
#[derive(Clone, Default, Debug)]
pub struct Ruling {
    /// What is wrong.
    pub complaints: Vec<Complaint>,
    /// Who is out of the comparison, and which divergence ended it.
    pub poisoned: Vec<(String, String)>,
    /// Keys on which a linker differs from what is expected and is not judged: linker, key, reason.
    pub open: Vec<(String, Key, &'static str)>,
    /// Differences that were not counted, by reason.
    pub explained: Vec<String>,
    /// What an oracle could not look at because this machine failed it, once for each output.
    pub skipped: Vec<String>,
    /// By trial, in order.
    pub verdicts: Vec<Verdict>,
    relocations: Option<Relocations>,
}

/// How many keys a complaint keeps.
const KEYS: usize = 12;

/// A key on which a trial differs from what is wanted.
pub(crate) struct Differing<'a> {
    pub(crate) trial: &'a Trial,
    pub(crate) key: &'a Key,
    pub(crate) found: Option<&'a Value>,
    pub(crate) wanted: Option<&'a Value>,
}

impl Ruling {
    /// Whether this linker's complaints include one about this key already.
    pub(crate) fn complained(&self, linker: &str, key: &str) -> bool {
        self.complaints.iter().any(|c| c.linker == linker && c.keys.iter().any(|k| k.key == key))
    }

    /// Files a difference: explained away, poison, or part of a complaint.
    pub(crate) fn differ(
        &mut self,
        evidence: &Evidence<'_>,
        oracle: &'static str,
        differing: &Differing<'_>,
        detail: &str,
    ) {
        let relocations = self.relocations.get_or_insert_with(|| Relocations::of(evidence.request));
        let name = differing.trial.linker.name();
        let relocation = relocations.at(differing.key);
        let question = Question {
            request: evidence.request,
            linker: &*differing.trial.linker,
            key: differing.key,
            relocation: relocation.as_deref(),
            relocations,
            found: differing.found,
            wanted: differing.wanted,
        };
        // Where one answer is demanded everywhere, a rule about one key can't say that two will do.
        let bound = oracle == "expected"
            && evidence.expected.is_some_and(|expected| expected.chooses(differing.key));
        let divergence = evidence.rules.explain(&question);
        if let Some(divergence) = divergence.filter(|entry| entry.poisons() || !bound) {
            self.explained.push(divergence.id.clone());
            if divergence.poisons() {
                self.poisoned.push((name.into(), divergence.id.clone()));
            }
            return;
        }
        let text = |value: Option<&Value>| value.map_or("absent".into(), ToString::to_string);
        let mismatch = Mismatch {
            key: differing.key.to_string(),
            found: text(differing.found),
            wanted: text(differing.wanted),
        };
        let shape = shape(relocation.as_deref(), differing.key, differing.found, differing.wanted);
        self.complain(oracle, name, &shape, mismatch, detail);
    }

    /// Adds `mismatch` to the complaint of this shape.
    pub fn complain(
        &mut self,
        oracle: &'static str,
        linker: &str,
        shape: &str,
        mismatch: Mismatch,
        detail: &str,
    ) {
        let same = self
            .complaints
            .iter_mut()
            .find(|c| c.oracle == oracle && c.linker == linker && c.shape == shape);
        if let Some(complaint) = same {
            if complaint.keys.len() < KEYS && !complaint.keys.contains(&mismatch) {
                complaint.keys.push(mismatch);
            }
            return;
        }
        self.complaints.push(Complaint {
            oracle,
            linker: linker.into(),
            shape: shape.into(),
            keys: vec![mismatch],
            detail: detail.into(),
            known: None,
        });
    }

    /// The complaints that are news.
    pub fn news(&self) -> impl Iterator<Item = &Complaint> {
        self.complaints.iter().filter(|complaint| complaint.known.is_none())
    }

    /// Whether this linker differs on a key that the specs leave open: it was not judged there.
    pub fn is_open(&self, linker: &str) -> bool {
        self.open.iter().any(|(name, ..)| name == linker)
    }

    /// Ends the judgement: known bugs, complaints of poisoned linkers, verdicts.
    fn finish(&mut self, evidence: &Evidence<'_>) {
        // A poisoned linker answered another question: what the comparison says about it is void.
        let poisoned = &self.poisoned;
        self.complaints.retain(|complaint| {
            let compares = matches!(complaint.oracle, "expected" | "agree");
            let names = complaint.linker.split('|');
            let judged = names.filter(|name| !poisoned.iter().any(|(linker, _)| linker == name));
            // Where there was no majority, one alone has nobody to differ from.
            !compares || judged.count() > usize::from(complaint.linker.contains('|'))
        });
        for complaint in &mut self.complaints {
            let signature = complaint.signature(evidence.request);
            let named = |name: &str| {
                let mut linkers = evidence.trials.iter().map(|trial| &*trial.linker);
                linkers.find(|linker| linker.name() == name)
            };
            // Without a majority it may be anybody's.
            let known = complaint.linker.split('|').find_map(|name| {
                evidence.rules.known(evidence.request, named(name), &signature, complaint)
            });
            complaint.known = known.map(|bug| bug.link.clone());
        }
        self.explained.extend(consequences::fold(
            &mut self.complaints,
            &self.open,
            evidence.request,
        ));
        self.verdicts = evidence.trials.iter().map(|trial| self.verdict(trial)).collect();
    }

    fn verdict(&self, trial: &Trial) -> Verdict {
        let name = trial.linker.name();
        let complained = self.complaints.iter().any(|c| c.linker.split('|').any(|l| l == name));
        match trial.outcome {
            Outcome::Crashed(_) => Verdict::Crashed,
            Outcome::Hung => Verdict::Hung,
            Outcome::Unsupported(_) => Verdict::Refused,
            _ if complained => Verdict::Divergent,
            _ if self.poisoned.iter().any(|(linker, _)| linker == name) => Verdict::Poisoned,
            Outcome::Refused(..) => Verdict::Refused,
            Outcome::Linked(_) => Verdict::Agree,
        }
    }
}

/// The oracles that cost at most this.
pub fn up_to(cost: Cost) -> Vec<&'static dyn Oracle> {
    ORACLES.iter().copied().filter(|oracle| oracle.cost() <= cost).collect()
}

/// Asks `oracles` in order, and rules.
pub fn judge(evidence: &Evidence<'_>, oracles: &[&dyn Oracle]) -> Ruling {
    judge_with(evidence, oracles, |_| ())
}

/// The same with something more to complain about, which only the caller knows.
pub fn judge_with(
    evidence: &Evidence<'_>,
    oracles: &[&dyn Oracle],
    more: impl FnOnce(&mut Ruling),
) -> Ruling {
    let mut ruling = Ruling::default();
    for trial in evidence.trials {
        ended_badly(trial, &mut ruling);
    }
    let format = evidence.request.target.format;
    for oracle in oracles.iter().filter(|oracle| oracle.reads(format)) {
        oracle.judge(evidence, &mut ruling);
    }
    more(&mut ruling);
    ruling.finish(evidence);
    ruling
}

/// Crashes and hangs are findings by themselves.
fn ended_badly(trial: &Trial, ruling: &mut Ruling) {
    let (shape, said) = match &trial.outcome {
        Outcome::Crashed(said) => (format!("crash {}", shape::crash(first_line(said))), &**said),
        Outcome::Hung => ("hang".to_owned(), "time or memory limit"),
        _ => return,
    };
    let mismatch = Mismatch {
        key: "outcome".into(),
        found: first_line(said).into(),
        wanted: "an answer".into(),
    };
    ruling.complain("outcome", trial.linker.name(), &shape, mismatch, said);
}

/// The line that says most: the first that owns up to a fault of the linker's, else that speaks of a failure, else
/// the first.
fn first_line(said: &str) -> &str {
    let with = |words: &[&str]| said.lines().find(|line| words.iter().any(|w| line.contains(w)));
    let own = with(&["internal error", "panicked", "ssert", "signal"]);
    own.or_else(|| with(&["error"])).or_else(|| said.lines().next()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
