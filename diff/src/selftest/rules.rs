//! A fault for each rule of what a build mode makes of a link, on each target that has the rule: which oracles see it.
//!
//! Here nothing is random, and one oracle is enough: the list is a proof that no rule can be forgotten unseen.

mod elf;
mod macho;

use std::fmt;
use std::time::Duration;

use super::{Canned, complaints};
use crate::adapter::{Outcome, Shared};
use crate::model::ErrorClass;
use crate::oracle::{Oracle, Trial};
use crate::{Expectation, Format, Request, Target};

/// A link and what a linker with a fault makes of it.
struct Planted {
    /// The link; what the mode adds is in its files.
    request: Request,
    /// What the linker takes it for.
    faulty: Request,
    /// What it takes it for when it makes the file.
    file: Request,
    /// What it makes of it where there is no such mode, if that is wrong.
    elsewhere: Option<Outcome>,
}

impl Planted {
    fn new(request: Request, faulty: Request) -> Self {
        Self { file: request.clone(), request, faulty, elsewhere: None }
    }

    /// Nothing is wrong with it but what is made of it where there is no such mode.
    fn elsewhere(request: Request, outcome: Outcome) -> Self {
        Self { elsewhere: Some(outcome), ..Self::new(request.clone(), request) }
    }
}

/// A fault.
struct Row {
    rule: &'static str,
    fault: &'static str,
    plant: fn(Target) -> Option<Planted>,
}

const fn row(rule: &'static str, fault: &'static str, plant: fn(Target) -> Option<Planted>) -> Row {
    Row { rule, fault, plant }
}

/// A fault, and who saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caught {
    /// What the mode demands.
    pub rule: &'static str,
    /// What the linker does instead.
    pub fault: &'static str,
    /// Where.
    pub target: Target,
    /// The oracles that complain; none: it was missed.
    pub oracles: Vec<&'static str>,
}

/// `request` is linked where there is no such mode.
fn linked(request: Request) -> Option<Planted> {
    Some(Planted::elsewhere(request, Outcome::Linked(Vec::new())))
}

/// `request` is refused there, as if an option were unknown.
fn refused(request: Request) -> Option<Planted> {
    let said = "unknown option: --buildmode".to_owned();
    let outcome = Outcome::Refused(ErrorClass::UnknownOption, said);
    Some(Planted::elsewhere(request, outcome))
}

/// Every fault on every target that has its rule.
#[derive(Clone, Default, Debug)]
pub struct Rules(pub Vec<Caught>);

impl Rules {
    /// What nobody saw.
    pub fn missed(&self) -> impl Iterator<Item = &Caught> {
        self.0.iter().filter(|caught| caught.oracles.is_empty())
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caught = self.0.len() - self.missed().count();
        writeln!(f, "rules of build modes, broken and seen: {caught} of {}", self.0.len())?;
        let mut rule = "";
        let mut rows = self.0.iter().collect::<Vec<_>>();
        // Targets of one fault are beside each other already; faults of one rule are not.
        let first = |rule: &str| self.0.iter().position(|caught| caught.rule == rule);
        rows.sort_by_key(|caught| first(caught.rule));
        for caught in rows {
            if caught.rule != rule {
                rule = caught.rule;
                writeln!(f, "  {rule}")?;
            }
            let by = match &caught.oracles[..] {
                [] => "nobody".to_owned(),
                list => list.join(", "),
            };
            writeln!(f, "    {:<11} {:<50} {by}", caught.target.name(), caught.fault)?;
        }
        Ok(())
    }
}

/// Breaks every rule in `linker` and asks each of `oracles` alone.
pub fn rules(linker: &Shared, oracles: &[&'static dyn Oracle], limit: Duration) -> Rules {
    let mut list = Vec::new();
    for (format, rows) in [(Format::Elf, elf::ROWS), (Format::Macho, macho::ROWS)] {
        for row in rows {
            for target in Target::ALL.iter().copied().filter(|target| target.format == format) {
                let planted = (row.plant)(target);
                let oracles = planted.map(|planted| seen(&planted, linker, oracles, limit));
                list.push(Caught {
                    rule: row.rule,
                    fault: row.fault,
                    target,
                    oracles: oracles.unwrap_or_default(),
                });
            }
        }
    }
    Rules(list)
}

/// The oracles that complain about the fault, and not about the link without it.
fn seen(
    planted: &Planted,
    linker: &Shared,
    oracles: &[&'static dyn Oracle],
    limit: Duration,
) -> Vec<&'static str> {
    let Planted { request, faulty, file, elsewhere } = planted;
    let trial = |what: &Request, file: &Request, elsewhere: Option<&Outcome>| {
        let canned = Canned {
            name: linker.name().to_owned(),
            version: linker.version().to_owned(),
            command: linker.command(request),
            file_mode: linker.file_mode(file, limit),
            elsewhere: elsewhere.cloned().or_else(|| linker.elsewhere(request, limit)),
        };
        let canned: Shared = std::sync::Arc::new(canned);
        Trial::of(&canned, request, linker.link(what, limit))
    };
    let honest = trial(request, request, None);
    let faulty = trial(faulty, file, elsewhere.as_ref());
    // What is not linked as it is shows nothing when it is linked otherwise.
    if honest.outcome.image().is_none() {
        return Vec::new();
    }
    let expected = Expectation { facts: honest.facts.clone(), ..Expectation::default() };
    let sees = |oracle: &&&'static dyn Oracle| {
        let say = |trial| complaints(request, &expected, trial, &honest, **oracle, limit);
        let before = say(&honest);
        say(&faulty).iter().any(|shape| !before.contains(shape))
    };
    oracles.iter().filter(sees).map(|oracle| oracle.name()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{adapter, oracle};

    #[test]
    fn every_broken_rule_is_seen() {
        let linkers = adapter::select(&[adapter::REFERENCE.into()], &[]).unwrap();
        let oracles = oracle::up_to(oracle::Cost::Bytes);
        let rules = rules(&linkers[0], &oracles, Duration::from_secs(20));
        println!("{rules}");
        assert_eq!(rules.missed().count(), 0, "{rules}");
        assert!(rules.0.len() >= 159, "{rules}");
        let alone = rules.0.iter().filter(|caught| caught.oracles == ["modes"]);
        assert!(alone.count() >= 8, "what only modes sees: {rules}");
    }

    /// A link put together without the mode is the same to every oracle as long as no rule is broken.
    #[test]
    fn nothing_is_seen_where_no_rule_is_broken() {
        let linkers = adapter::select(&[adapter::REFERENCE.into()], &[]).unwrap();
        let oracles = oracle::up_to(oracle::Cost::Bytes);
        for target in Target::ALL {
            let whole = match target.format {
                Format::Elf => elf::unbroken(*target),
                Format::Macho => macho::unbroken(*target),
            };
            assert!(!whole.is_empty(), "{target}");
            for planted in whole {
                let limit = Duration::from_secs(20);
                let facts = |what: &Request| {
                    let outcome = linkers[0].link(what, limit);
                    assert!(outcome.image().is_some(), "{target}: {outcome:?}");
                    Trial::of(&linkers[0], &planted.request, outcome).facts.to_string()
                };
                let (honest, same) = (facts(&planted.request), facts(&planted.faulty));
                let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
                let other: Vec<_> =
                    lines(&honest).symmetric_difference(&lines(&same)).cloned().collect();
                assert!(other.is_empty(), "{target}: {other:#?}");
                let seen = seen(&planted, &linkers[0], &oracles, limit);
                assert!(seen.is_empty(), "{target} {}: {seen:?}", planted.request.mode);
            }
        }
    }
}
