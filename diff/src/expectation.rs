//! Expectations: what the specs demand of one link, and what they leave open.
//!
//! `scold_fuzz::expect` computes one from a case, without any bytes; [`Expectation::judge`] holds a
//! linker's [`Facts`] against it. What the specs leave open is named with its reason, never guessed
//! and never hidden: a judgement says how many keys it did not judge, and why.
//!
//! It must not know how an expectation was computed, nor which linker made the Facts.

use std::collections::BTreeMap;

use crate::model::ErrorClass;
use crate::{Facts, Family, Key, Value};

/// How strictly an expectation binds a linker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Strictness {
    /// Any linker: what practice leaves to the linker's policy is not judged.
    Spec,
    /// The reference: where practice leaves a policy open, it must follow the project's.
    Reference,
}

/// Keys that are not judged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Open {
    /// The family, or all of them.
    pub family: Option<Family>,
    /// The rest of the key; a trailing `*` matches any tail.
    pub rest: Box<str>,
    /// Why, in a few words.
    pub reason: &'static str,
    /// Linkers differ by policy, and the facts are what the project's policy gives: judged under
    /// [`Strictness::Reference`].
    pub policy: bool,
}

impl Open {
    /// Whether `key` is not judged because of this entry.
    pub fn covers(&self, key: &Key, strictness: Strictness) -> bool {
        if self.policy && strictness == Strictness::Reference {
            return false;
        }
        self.family.is_none_or(|family| family == key.family)
            && match self.rest.strip_suffix('*') {
                Some(head) => key.rest.starts_with(head),
                None => *key.rest == *self.rest,
            }
    }
}

/// A decision that is the linker's, but must be taken the same way for all keys it touches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What is being decided, in a few words.
    pub reason: &'static str,
    /// The ways to decide it; `None` means that the key is absent. [`Expectation::facts`] has the
    /// first. All alternatives have the same keys.
    pub alternatives: Vec<Vec<(Key, Option<Value>)>>,
}

/// Whether the link has to succeed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Refusal {
    /// It must succeed.
    #[default]
    Never,
    /// It may succeed (then the facts hold) or be refused for one of these reasons.
    May(Vec<ErrorClass>),
    /// It must be refused for one of these reasons (a case can have several faults).
    Must(Vec<ErrorClass>),
}

/// What the specs demand of one link.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Expectation {
    /// The facts demanded; those of a refused link when it must be refused.
    pub facts: Facts,
    /// Whether it must, may or must not be refused.
    pub refusal: Refusal,
    /// Decisions left to the linker as a whole.
    pub choices: Vec<Choice>,
    /// Keys that are not judged.
    pub open: Vec<Open>,
}

/// One key on which an output is wrong.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wrong {
    /// The key.
    pub key: Key,
    /// The value demanded; `None` if there must be no such fact.
    pub expected: Option<Value>,
    /// The value found, if any.
    pub found: Option<Value>,
}

/// What came of holding Facts against an expectation.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Judgement {
    /// What is wrong, in the order of the keys.
    pub wrong: Vec<Wrong>,
    /// Differences that were not judged, with the reason; of a refusal that may be, its class.
    pub unjudged: Vec<(Key, &'static str)>,
}

impl Judgement {
    /// Nothing is wrong and everything was judged.
    pub fn is_agreement(&self) -> bool {
        self.wrong.is_empty() && self.unjudged.is_empty()
    }
}

impl Expectation {
    /// The expectation of a link that must be refused for one of `classes` (not empty).
    pub fn refused(classes: Vec<ErrorClass>) -> Self {
        let facts = Facts::refused(classes[0]);
        Self { facts, refusal: Refusal::Must(classes), ..Self::default() }
    }

    /// Why `key` is not judged, if it isn't.
    pub fn open_reason(&self, key: &Key, strictness: Strictness) -> Option<&'static str> {
        self.open.iter().find(|open| open.covers(key, strictness)).map(|open| open.reason)
    }

    /// Whether a decision that the linker must take as a whole is about `key`.
    pub fn chooses(&self, key: &Key) -> bool {
        self.choices.iter().any(|choice| choice.alternatives[0].iter().any(|(k, _)| k == key))
    }

    /// Holds `found` against the expectation.
    pub fn judge(&self, found: &Facts, strictness: Strictness) -> Judgement {
        let mut judgement = Judgement::default();
        if let Some(class) = found.error() {
            self.judge_error(class, found, strictness, &mut judgement);
            return judgement;
        }
        if let Refusal::Must(classes) = &self.refusal {
            let key = Key::new(Family::Error, "");
            let expected = Value::Error(classes[0]);
            self.record(&mut judgement, &key, Some(&expected), None, strictness);
            return judgement;
        }
        let chosen = self.chosen(found);
        for difference in self.facts.differences(found) {
            let expected = match chosen.get(difference.key) {
                Some(value) => *value,
                None => difference.left,
            };
            if expected == difference.right {
                continue;
            }
            self.record(&mut judgement, difference.key, expected, difference.right, strictness);
        }
        // An alternative was taken, but this key of it still has the first alternative's value.
        for (key, expected) in &chosen {
            if found.get(key) == self.facts.get(key) && found.get(key) != *expected {
                self.record(&mut judgement, key, *expected, found.get(key), strictness);
            }
        }
        judgement
    }

    fn judge_error(
        &self,
        class: ErrorClass,
        found: &Facts,
        strictness: Strictness,
        judgement: &mut Judgement,
    ) {
        let key = Key::new(Family::Error, "");
        let expected = match &self.refusal {
            Refusal::May(classes) if classes.contains(&class) => {
                judgement.unjudged.push((key, class.code()));
                return;
            }
            Refusal::Must(classes) if classes.contains(&class) => return,
            Refusal::Must(classes) => Some(Value::Error(classes[0])),
            _ => None,
        };
        self.record(judgement, &key, expected.as_ref(), found.get(&key), strictness);
    }

    fn record(
        &self,
        judgement: &mut Judgement,
        key: &Key,
        expected: Option<&Value>,
        found: Option<&Value>,
        strictness: Strictness,
    ) {
        match self.open_reason(key, strictness) {
            Some(reason) => judgement.unjudged.push((key.clone(), reason)),
            None => judgement.wrong.push(Wrong {
                key: key.clone(),
                expected: expected.cloned(),
                found: found.cloned(),
            }),
        }
    }

    /// For every choice the alternative that fits `found` best, as demanded values.
    fn chosen(&self, found: &Facts) -> BTreeMap<&Key, Option<&Value>> {
        let mut map = BTreeMap::new();
        for choice in &self.choices {
            let misses = |alternative: &Vec<(Key, Option<Value>)>| {
                alternative.iter().filter(|(key, value)| found.get(key) != value.as_ref()).count()
            };
            let Some(best) = choice.alternatives.iter().min_by_key(|a| misses(a)) else { continue };
            map.extend(best.iter().map(|(key, value)| (key, value.as_ref())));
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Meaning;

    fn absolute(value: u64) -> Value {
        Value::Ref(Meaning::Absolute(value))
    }

    fn site(name: &str) -> Key {
        Key::new(Family::Site, name)
    }

    fn facts(list: &[(&str, u64)]) -> Facts {
        let mut facts = Facts::default();
        for (name, value) in list {
            facts.add(Family::Site, *name, absolute(*value));
        }
        facts
    }

    #[test]
    fn a_choice_must_be_taken_the_same_way_everywhere() {
        let way =
            |value| vec![(site("x"), Some(absolute(value))), (site("y"), Some(absolute(value)))];
        let expectation = Expectation {
            facts: facts(&[("x", 0), ("y", 0)]),
            choices: vec![Choice { reason: "test", alternatives: vec![way(0), way(1)] }],
            ..Expectation::default()
        };
        let wrong = |list| expectation.judge(&facts(list), Strictness::Spec).wrong.len();
        assert_eq!(wrong(&[("x", 0), ("y", 0)]), 0);
        assert_eq!(wrong(&[("x", 1), ("y", 1)]), 0);
        assert_eq!(wrong(&[("x", 0), ("y", 1)]), 1);
        assert_eq!(wrong(&[("x", 1), ("y", 0)]), 1);
        assert_eq!(wrong(&[("x", 2), ("y", 1)]), 1);
    }

    #[test]
    fn open_keys_are_counted_and_policies_bind_the_reference() {
        let open = |rest: &str, policy| Open {
            family: Some(Family::Site),
            rest: rest.into(),
            reason: "test",
            policy,
        };
        let expectation = Expectation {
            facts: facts(&[("a.o:x", 0), ("b.o:x", 0)]),
            open: vec![open("a.o:*", false), open("b.o:x", true)],
            ..Expectation::default()
        };
        let found = facts(&[("a.o:x", 1), ("b.o:x", 1)]);
        let spec = expectation.judge(&found, Strictness::Spec);
        assert_eq!((spec.wrong.len(), spec.unjudged.len()), (0, 2));
        let reference = expectation.judge(&found, Strictness::Reference);
        assert_eq!((reference.wrong.len(), reference.unjudged.len()), (1, 1));
    }

    #[test]
    fn refusals_are_judged_by_class() {
        let must =
            Expectation::refused(vec![ErrorClass::RelocOverflow, ErrorClass::DuplicateSymbol]);
        let judge = |e: &Expectation, f: &Facts| e.judge(f, Strictness::Spec).wrong.len();
        assert_eq!(judge(&must, &Facts::refused(ErrorClass::DuplicateSymbol)), 0);
        assert_eq!(judge(&must, &Facts::refused(ErrorClass::Other)), 1);
        assert_eq!(judge(&must, &facts(&[("x", 0)])), 1);
        let never = Expectation::default();
        assert_eq!(judge(&never, &Facts::refused(ErrorClass::Other)), 1);
    }
}
