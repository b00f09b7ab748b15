//! The loader oracle: what the abstract loader finds impossible or contradictory in one module.
//!
//! It needs no other linker and no expectation: a reference that means nothing ([`Meaning::Bad`]), a
//! definition that the module's own hash tables don't find, a name that they find twice over.

use super::shape::{Relocations, words};
use super::{Cost, Evidence, Mismatch, Oracle, Ruling, Trial};
use crate::divergence::Question;
use crate::expectation::{Refusal, Strictness};
use crate::model::Meaning;
use crate::{Family, Key, Value};

/// The abstract loader.
pub(super) struct Loader;

impl Oracle for Loader {
    fn name(&self) -> &'static str {
        "loader"
    }

    fn cost(&self) -> Cost {
        Cost::Facts
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        let must = evidence.expected.is_some_and(|it| matches!(it.refusal, Refusal::Must(_)));
        for trial in evidence.trials {
            for (key, value) in trial.facts.iter() {
                if value.is_lost() && evidence.expected.is_none() {
                    let reason = "a section that can't be found in an output";
                    ruling.open.push((trial.linker.name().into(), key.clone(), reason));
                }
                // What had to be refused, and who has a reason not to, is the expectation's: nobody says what
                // comes of it.
                if must && key.family == Family::Site {
                    continue;
                }
                // What the specs leave open may come out as nothing a loader can make sense of; what
                // is a linker's own policy may not.
                let open = key.family == Family::Site
                    && evidence
                        .expected
                        .is_some_and(|e| e.open_reason(key, Strictness::Reference).is_some());
                if !open
                    && !ruling.complained(trial.linker.name(), &key.to_string())
                    && !is_explained(evidence, trial, key, value, ruling)
                {
                    look(trial, key, value, ruling);
                }
            }
        }
    }
}

/// Whether a divergence says why it is otherwise than expected, or, of a name of the linker's own, elsewhere.
fn is_explained(
    evidence: &Evidence<'_>,
    trial: &Trial,
    key: &Key,
    found: &Value,
    ruling: &mut Ruling,
) -> bool {
    let Some(text) = bad(found) else { return false };
    let own = text.strip_prefix("not where `").and_then(|text| text.split_once('`'));
    let own = own.map(|(name, _)| Value::Ref(Meaning::Linker(name.into())));
    let expected = evidence.expected.and_then(|expected| expected.facts.get(key));
    let Some(wanted) = own.as_ref().or(expected) else { return false };
    let relocations = ruling.relocations.get_or_insert_with(|| Relocations::of(evidence.request));
    let relocation = relocations.at(key);
    let question = Question {
        request: evidence.request,
        linker: &*trial.linker,
        key,
        relocation: relocation.as_deref(),
        relocations,
        found: Some(found),
        wanted: Some(wanted),
    };
    let divergence = evidence.rules.explain(&question);
    ruling.explained.extend(divergence.map(|entry| entry.id.clone()));
    divergence.is_some()
}

fn look(trial: &Trial, key: &Key, value: &Value, ruling: &mut Ruling) {
    let mut complain = |shape: &str, wanted: String| {
        let mismatch = Mismatch { key: key.to_string(), found: value.to_string(), wanted };
        ruling.complain("loader", trial.linker.name(), shape, mismatch, "");
    };
    if let Some(text) = bad(value) {
        complain(&format!("{} bad {}", key.family.name(), words(text)), "a meaning".into());
    }
    match (key.family, value) {
        (Family::Lookup, Value::Found(found)) => {
            let export = export(trial, &key.rest);
            match (found, export) {
                (None, Some(value)) => complain("lookup misses a definition", value.to_string()),
                (Some(_), _) if key.rest.starts_with("scold.absent.") => {
                    complain("lookup finds an absent name", "absent".into());
                }
                _ => {}
            }
        }
        (Family::Init | Family::Fini, Value::Ref(Meaning::Absolute(number))) if *number != 0 => {
            complain("init entry is a plain number", "a function".into());
        }
        _ => {}
    }
}

/// The export that a lookup of `name` without a version has to find.
fn export<'a>(trial: &'a Trial, name: &str) -> Option<&'a Value> {
    let plain = trial.facts.get(&Key::new(Family::Export, name));
    plain.or_else(|| {
        let head = format!("{name}@@");
        let mut all = trial.facts.iter();
        let is = |key: &Key| key.family == Family::Export && key.rest.starts_with(&*head);
        all.find(|(key, _)| is(key)).map(|(_, value)| value)
    })
}

/// The text of a meaning that no correct link can give.
fn bad(value: &Value) -> Option<&str> {
    let mut meaning = match value {
        Value::Ref(meaning) | Value::Found(Some(meaning)) | Value::Export { meaning, .. } => {
            meaning
        }
        Value::Text(text) => return text.strip_prefix("bad: "),
        _ => return None,
    };
    while let Meaning::Tls(inner) = meaning {
        meaning = inner;
    }
    match meaning {
        Meaning::Bad(text) => Some(text),
        _ => None,
    }
}
