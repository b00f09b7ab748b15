//! Examining a case: Case → request → every linker → Facts → oracles → verdicts and sightings.
//!
//! It must not know how cases are made, nor which linkers there are.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use scold_diff::adapter::{Outcome, Shared};
use scold_diff::divergence::Rules;
use scold_diff::model::ErrorClass;
use scold_diff::oracle::{
    self, Complaint, Cost, Evidence, Mismatch, Oracle, Ruling, Trial, Verdict,
};
use scold_diff::{Expectation, Request};

use crate::campaign::{Examination, Examine, Sighting};
use crate::{Case, emit, expect, metamorphic, worlds};

/// Linkers, oracles and limits: everything a case is examined with.
#[derive(Clone)]
pub struct Bench {
    /// Who links.
    pub linkers: Vec<Shared>,
    /// Who judges.
    pub oracles: Vec<&'static dyn Oracle>,
    /// What explains differences.
    pub rules: &'static Rules,
    /// How long one link or run may take.
    pub limit: Duration,
}

/// A case with everything that came of it.
pub struct Examined {
    /// The link.
    pub request: Request,
    /// What the specs demand, if anybody knows.
    pub expected: Option<Expectation>,
    /// What came of it, by linker.
    pub trials: Vec<Trial>,
    /// What the oracles say.
    pub ruling: Ruling,
}

/// That no linker linked anything, and that nobody blames what the inputs say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unlinked {
    /// What is to blame, as the linker says that says it best.
    pub blame: Blame,
    /// That linker and the first line of what it says.
    pub said: String,
}

/// Why nothing was linked, the clearest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Blame {
    /// Files that are missing or can't be read.
    Files,
    /// Options that are unknown, or used wrongly.
    Options,
    /// Nobody knows.
    Unknown,
    /// What linkers are known to lack.
    Linkers,
}

impl Blame {
    /// Whom a refusal blames; none if that is the inputs.
    fn of(class: ErrorClass) -> Option<Self> {
        match class {
            ErrorClass::MissingFile | ErrorClass::Io => Some(Self::Files),
            ErrorClass::UnknownOption | ErrorClass::Usage | ErrorClass::ModeConflict => {
                Some(Self::Options)
            }
            ErrorClass::Other => Some(Self::Unknown),
            _ => None,
        }
    }
}

impl Bench {
    /// These linkers with every oracle that costs at most `cost`.
    pub fn new(linkers: Vec<Shared>, cost: Cost, limit: Duration) -> Self {
        Self { linkers, oracles: oracle::up_to(cost), rules: Rules::standard(), limit }
    }

    /// The same with only the linkers that `keep` says.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let linkers = self.linkers.iter().filter(|linker| keep(linker.name())).cloned().collect();
        Self { linkers, ..self.clone() }
    }

    /// Links and judges `case`. Panics of the project's own code are the caller's.
    pub fn examined(&self, case: &Case) -> Examined {
        self.ruled(emit::request(case), Some(expect::expect(case)), Some(case))
    }

    /// Links and judges `request`, of which the specs demand `expected` if anybody knows.
    pub fn judged(&self, request: Request, expected: Option<Expectation>) -> Examined {
        self.ruled(request, expected, None)
    }

    /// Relations that need the case are asked with the judge's own.
    fn ruled(
        &self,
        request: Request,
        expected: Option<Expectation>,
        case: Option<&Case>,
    ) -> Examined {
        let asked = self.linkers.iter().filter(|linker| linker.serves(request.target));
        let trials: Vec<Trial> =
            asked.map(|linker| Trial::run(linker, &request, self.limit)).collect();
        let evidence = Evidence {
            request: &request,
            trials: &trials,
            expected: expected.as_ref(),
            rules: self.rules,
            limit: self.limit,
        };
        let runs = self.oracles.iter().any(|oracle| oracle.name() == "execute");
        let related = self.oracles.iter().any(|oracle| oracle.name() == "metamorphic");
        let ruling = oracle::judge_with(&evidence, &self.oracles, |ruling| {
            if let Some(case) = case.filter(|_| related) {
                metamorphic::judge(case, &evidence, ruling);
            }
            if let Some(case) = case.filter(|case| !case.beside.is_empty()) {
                worlds::judge(case, &evidence, runs, ruling);
            }
        });
        Examined { request, expected, trials, ruling }
    }
}

impl Examined {
    /// Why there is nothing to judge, if every linker refused, and not because of what the inputs say.
    pub fn unlinked(&self) -> Option<Unlinked> {
        let why = |trial: &Trial| match &trial.outcome {
            Outcome::Refused(class, said) => Some((Blame::of(*class)?, said.clone())),
            Outcome::Unsupported(reason) => Some((Blame::Linkers, (*reason).to_owned())),
            _ => None,
        };
        let all = self.trials.iter().map(|trial| Some((trial.linker.name(), why(trial)?)));
        let all: Vec<_> = all.collect::<Option<_>>()?;
        let (name, (blame, said)) = all.into_iter().min_by_key(|(_, (blame, _))| *blame)?;
        let said = said.lines().next().unwrap_or_default();
        Some(Unlinked { blame, said: format!("{name}: {said}") })
    }

    /// The verdicts and the complaints that are news.
    pub fn examination(&self) -> Examination {
        let names = self.trials.iter().map(|trial| trial.linker.name().to_owned());
        let mut open: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        for (linker, _, why) in &self.ruling.open {
            open.entry(linker.clone()).or_default().insert(why);
        }
        Examination {
            links: self.trials.len() as u64,
            verdicts: names.zip(self.ruling.verdicts.iter().copied()).collect(),
            open,
            skipped: self.ruling.skipped.clone(),
            sightings: self
                .ruling
                .news()
                .map(|complaint| Sighting {
                    signature: complaint.signature(&self.request),
                    complaint: complaint.clone(),
                })
                .collect(),
            known: self.ruling.complaints.iter().filter_map(|c| c.known.clone()).collect(),
        }
    }
}

impl Examine for Bench {
    fn examine(&self, case: &Case) -> Examination {
        match catch_unwind(AssertUnwindSafe(|| self.examined(case).examination())) {
            Ok(examination) => examination,
            Err(_) => own_panic(case, &self.linkers),
        }
    }
}

/// A panic of the project's own code is a finding too: against scold itself.
fn own_panic(case: &Case, linkers: &[Shared]) -> Examination {
    let said = LAST_PANIC.take();
    let place = said.lines().next().unwrap_or("somewhere").to_owned();
    let complaint = Complaint {
        oracle: "scold",
        linker: "scold".into(),
        shape: format!("panic {place}"),
        keys: vec![Mismatch {
            key: "panic".into(),
            found: said.clone(),
            wanted: "an answer".into(),
        }],
        detail: said,
        known: None,
    };
    let signature = format!("scold/{}/scold/{}", complaint.shape, case.target);
    Examination {
        skipped: Vec::new(),
        links: 0,
        verdicts: linkers.iter().map(|l| (l.name().to_owned(), Verdict::Poisoned)).collect(),
        open: BTreeMap::new(),
        sightings: vec![Sighting { signature, complaint }],
        known: BTreeSet::new(),
    }
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has panics remembered (place, then message) instead of printed: a hunt reports them as findings.
pub fn remember_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "somewhere".into(), ToString::to_string);
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("no message");
        LAST_PANIC.set(format!("{place}\n{message}"));
    }));
}
