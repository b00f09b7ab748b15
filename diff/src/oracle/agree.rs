//! The agree oracle: the linkers among themselves.
//!
//! Each fact is put to the vote; the odd one out is named. Where an expectation says what is right
//! there is nothing to vote about: that is the `expected` oracle's to say. Majority isn't truth, and
//! without one the complaint names everybody.

use std::collections::{BTreeMap, BTreeSet};

use super::expected::strictness;
use super::{Cost, Differing, Evidence, Mismatch, Oracle, Ruling, Trial, shape};
use crate::adapter::{Outcome, REFERENCE};
use crate::expectation::{Refusal, Strictness};
use crate::model::ErrorClass;
use crate::{Family, Key, Value};

/// The vote.
pub(super) struct Agree;

impl Oracle for Agree {
    fn name(&self) -> &'static str {
        "agree"
    }

    fn cost(&self) -> Cost {
        Cost::Facts
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        let voters: Vec<&Trial> = evidence.trials.iter().filter(|trial| trial.counts()).collect();
        let error = Key::new(Family::Error, "");
        let voters = understanding(evidence, ruling, voters, &error);
        if voters.len() < 2 {
            return;
        }
        if !judged(evidence, &voters, &error) {
            vote(evidence, ruling, &voters, &error);
        }
        let linked: Vec<&Trial> =
            voters.into_iter().filter(|trial| trial.facts.error().is_none()).collect();
        let keys: BTreeSet<&Key> =
            linked.iter().flat_map(|trial| trial.facts.iter().map(|(key, _)| key)).collect();
        for key in keys {
            let first = said(linked[0], key);
            if linked.iter().all(|trial| said(trial, key) == first) {
                continue;
            }
            if !judged(evidence, &linked, key) {
                let found = |trial: &&Trial| said(trial, key).is_none_or(|it| !it.is_lost());
                let voters: Vec<&Trial> = linked.iter().copied().filter(found).collect();
                vote(evidence, ruling, &voters, key);
            } else if is_open(evidence, key) {
                hold(evidence, ruling, &linked, key);
            }
        }
    }
}

/// Those of `voters` that understand the link, if one of them does: an option of another linker's is no error in it, nor
/// is what only a build mode asks for. Generated links have none of that, and what they want is `expected`'s to say.
fn understanding<'t>(
    evidence: &Evidence<'_>,
    ruling: &mut Ruling,
    voters: Vec<&'t Trial>,
    error: &Key,
) -> Vec<&'t Trial> {
    if evidence.expected.is_some() || voters.iter().all(|trial| excuse(trial).is_some()) {
        return voters;
    }
    let mut rest = Vec::new();
    for trial in voters {
        match excuse(trial) {
            Some(why) => ruling.open.push((trial.linker.name().to_owned(), error.clone(), why)),
            None => rest.push(trial),
        }
    }
    rest
}

/// Why a refusal says nothing about the link.
fn excuse(trial: &Trial) -> Option<&'static str> {
    match &trial.outcome {
        Outcome::Refused(ErrorClass::UnknownOption, _) => Some("an option it does not know"),
        // What stands for the mode for others can be linked all the same.
        Outcome::Refused(ErrorClass::ModeConflict, _) => {
            Some("what the build mode asks for can't be had")
        }
        _ => None,
    }
}

/// What nobody finds.
static NOTHING: Value = Value::Found(None);

/// What an output says about `key`: who has no table of names finds none.
fn said<'t>(trial: &'t Trial, key: &Key) -> Option<&'t Value> {
    let nothing = || (key.family == Family::Lookup).then_some(&NOTHING);
    trial.facts.get(key).or_else(nothing)
}

/// Whether the expectation decides this key, or leaves it open: no vote either way.
fn judged(evidence: &Evidence<'_>, voters: &[&Trial], key: &Key) -> bool {
    let Some(expected) = evidence.expected else { return false };
    // An output that should not be there says nothing; that it is there is `expected`'s to say.
    if key.family == Family::Error || matches!(expected.refusal, Refusal::Must(_)) {
        return true;
    }
    !matches!(expected.refusal, Refusal::Must(_))
        || voters.iter().any(|trial| expected.open_reason(key, strictness(trial)).is_some())
}

/// Whether the expectation leaves this key open, for the reference too.
fn is_open(evidence: &Evidence<'_>, key: &Key) -> bool {
    evidence.expected.is_some_and(|expected| {
        !matches!(expected.refusal, Refusal::Must(_))
            && expected.open_reason(key, Strictness::Reference).is_some()
    })
}

/// Holds the reference to what all others agree on, though no spec demands it: three of them are no
/// accident. Where they are split, or few, that it stands apart from most is counted.
fn hold(evidence: &Evidence<'_>, ruling: &mut Ruling, voters: &[&Trial], key: &Key) {
    let ours = |trial: &&&Trial| trial.linker.name() == REFERENCE;
    let Some(trial) = voters.iter().find(ours) else { return };
    let mut parties: BTreeMap<Option<&Value>, Vec<&Trial>> = BTreeMap::new();
    for other in voters.iter().filter(|trial| !ours(trial)) {
        parties.entry(other.facts.get(key)).or_default().push(other);
    }
    let found = trial.facts.get(key);
    let parties = parties.into_iter().map(|(value, trials)| (value, voices(&trials)));
    let parties: Vec<_> = parties.collect();
    let others: usize = parties.iter().map(|(_, count)| count).sum();
    let Some((wanted, count)) = parties.into_iter().max_by_key(|(_, count)| *count) else { return };
    if wanted == found || count * 2 <= others {
        return;
    }
    if count == others && others >= 3 {
        let differing = Differing { trial, key, found, wanted };
        ruling.differ(evidence, "agree", &differing, "all others agree");
    } else {
        let name = REFERENCE.to_owned();
        ruling.open.push((name, key.clone(), "most linkers do otherwise"));
    }
}

/// How many programs `trials` are of: what all versions of one do is the habit of one.
fn voices(trials: &[&Trial]) -> usize {
    trials.iter().map(|trial| trial.linker.family()).collect::<BTreeSet<_>>().len()
}

/// Puts one key to the vote.
fn vote(evidence: &Evidence<'_>, ruling: &mut Ruling, voters: &[&Trial], key: &Key) {
    let mut parties: BTreeMap<Option<&Value>, Vec<&Trial>> = BTreeMap::new();
    for trial in voters {
        parties.entry(said(trial, key)).or_default().push(trial);
    }
    settle(evidence, key, &mut parties, ruling);
    if parties.len() < 2 {
        return;
    }
    let detail = parties
        .iter()
        .map(|(value, trials)| format!("{}: {}", names(trials).join(", "), text(*value)))
        .chain(voters.iter().filter(|_| key.family == Family::Error).filter_map(|t| refusal(t)))
        .collect::<Vec<_>>()
        .join("; ");
    let all: usize = parties.values().map(|trials| voices(trials)).sum();
    let majority =
        parties.iter().find(|(_, trials)| voices(trials) * 2 > all).map(|(value, _)| *value);
    if let Some(wanted) = majority {
        for (found, trials) in parties.iter().filter(|(value, _)| **value != wanted) {
            for trial in trials {
                if !ruling.complained(trial.linker.name(), &key.to_string()) {
                    let differing = Differing { trial, key, found: *found, wanted };
                    ruling.differ(evidence, "agree", &differing, &detail);
                }
            }
        }
        return;
    }
    let mut list = parties.iter();
    if let (Some((found, _)), Some((wanted, _))) = (list.next(), list.next()) {
        let relocations =
            ruling.relocations.get_or_insert_with(|| shape::Relocations::of(evidence.request));
        let shape = shape(relocations.at(key).as_deref(), key, *found, *wanted);
        let mismatch =
            Mismatch { key: key.to_string(), found: text(*found), wanted: text(*wanted) };
        let everybody = names(voters).join("|");
        ruling.complain("agree", &everybody, &format!("no majority: {shape}"), mismatch, &detail);
    }
}

/// Joins parties whose difference a divergence explains, and refusals in words that nobody knows.
fn settle<'a>(
    evidence: &Evidence<'_>,
    key: &Key,
    parties: &mut BTreeMap<Option<&'a Value>, Vec<&'a Trial>>,
    ruling: &mut Ruling,
) {
    if key.family == Family::Error
        && let Some(unclear) = parties.remove(&Some(&Value::Error(ErrorClass::Other)))
    {
        let clear = parties.iter_mut().find(|(value, _)| value.is_some());
        match clear {
            Some((_, trials)) => trials.extend(unclear),
            None => {
                parties.insert(Some(&Value::Error(ErrorClass::Other)), unclear);
            }
        }
    }
    // The largest party is the measure, of equals that of the reference, which no divergence is about; the others join
    // it where a divergence says so.
    let ours = |trials: &[&Trial]| trials.iter().any(|trial| trial.linker.name() == REFERENCE);
    let largest = parties.iter().max_by_key(|(_, trials)| (trials.len(), ours(trials)));
    let Some(measure) = largest.map(|(value, _)| *value) else { return };
    let Ruling { relocations, explained: reasons, poisoned, .. } = ruling;
    let relocations = &*relocations.get_or_insert_with(|| shape::Relocations::of(evidence.request));
    let relocation = relocations.at(key);
    let others: Vec<Option<&Value>> =
        parties.keys().copied().filter(|value| *value != measure).collect();
    for found in others {
        let trials = parties.remove(&found).unwrap_or_default();
        let (explained, rest): (Vec<&Trial>, Vec<&Trial>) = trials.into_iter().partition(|trial| {
            let question = crate::divergence::Question {
                request: evidence.request,
                linker: &*trial.linker,
                key,
                relocation: relocation.as_deref(),
                relocations,
                found,
                wanted: measure,
            };
            let Some(divergence) = evidence.rules.explain(&question) else { return false };
            reasons.push(divergence.id.clone());
            if divergence.poisons() {
                poisoned.push((trial.linker.name().into(), divergence.id.clone()));
            }
            true
        });
        if !rest.is_empty() {
            parties.insert(found, rest);
        }
        parties.entry(measure).or_default().extend(explained);
    }
}

/// What a linker said that refused.
fn refusal(trial: &Trial) -> Option<String> {
    match &trial.outcome {
        Outcome::Refused(_, said) => Some(format!("{}: {}", trial.linker.name(), said.trim_end())),
        _ => None,
    }
}

fn names(trials: &[&Trial]) -> Vec<String> {
    trials.iter().map(|trial| trial.linker.name().to_owned()).collect()
}

fn text(value: Option<&Value>) -> String {
    value.map_or("absent".into(), ToString::to_string)
}
