//! Each oracle sees the fault planted for it.

use std::sync::Arc;

use super::*;
use crate::adapter::{Adapter, REFERENCE};
use crate::expectation::{Open, Refusal};
use crate::model::{ErrorClass, Meaning, Place};
use crate::{Family, Mode, Target};

/// A linker that only has a name.
pub(crate) struct Named(pub(crate) &'static str);

impl Adapter for Named {
    fn name(&self) -> &str {
        self.0
    }
    fn version(&self) -> &str {
        "named 1.0"
    }
    fn link(&self, _: &Request, _: Duration) -> Outcome {
        Outcome::Hung
    }
    fn family(&self) -> &str {
        self.0.split('-').next().unwrap_or(self.0)
    }
}

pub(crate) fn request() -> Request {
    Request {
        target: Target::AMD64_ELF,
        mode: Mode::Shared,
        args: vec![],
        files: vec![],
        goos: None,
    }
}

fn place(section: &str) -> Value {
    Value::Ref(Meaning::Place(Place { section: section.into(), offset: 0 }))
}

fn trial(name: &'static str, facts: &[(Family, &str, Value)]) -> Trial {
    let mut all = Facts::default();
    for (family, rest, value) in facts {
        all.add(*family, *rest, value.clone());
    }
    let outcome = match all.error() {
        Some(class) => Outcome::Refused(class, String::new()),
        None => Outcome::Linked(vec![]),
    };
    Trial { linker: Arc::new(Named(name)), outcome, facts: all }
}

fn rule(trials: &[Trial], expected: Option<&Expectation>) -> Ruling {
    let request = request();
    let rules = Rules::default();
    let limit = Duration::from_secs(1);
    let evidence = Evidence { request: &request, trials, expected, rules: &rules, limit };
    judge(&evidence, &up_to(Cost::Facts))
}

fn site(section: &str) -> Vec<(Family, &'static str, Value)> {
    vec![(Family::Site, "a.o:.text+0x1", place(section))]
}

#[test]
fn agreement_is_agreement() {
    let trials = [trial("a", &site("x")), trial("b", &site("x"))];
    let ruling = rule(&trials, None);
    assert!(ruling.complaints.is_empty(), "{ruling:?}");
    assert_eq!(ruling.verdicts, [Verdict::Agree, Verdict::Agree]);
}

/// No table of names is as good as one without the name, and a section that nothing tells from others may be there.
#[test]
fn agreement_needs_no_table_and_no_place() {
    let perm = |value: Value| vec![(Family::Perm, "a.o:.bss", value)];
    let shared = |last: Trial| {
        let there = || perm(Value::Text("rw".into()));
        rule(&[trial("a", &there()), trial("b", &there()), last], None).complaints
    };
    let lost = trial("c", &perm(Value::Ref(Meaning::Lost)));
    assert!(shared(lost).is_empty());
    let gone = trial("c", &[(Family::Lookup, "f", Value::Found(None))]);
    assert_eq!(shared(gone)[0].linker, "c");
    let found = Value::Found(Some(Meaning::Absolute(1)));
    let trials = ["a", "b"].map(|name| trial(name, &[(Family::Lookup, "f", found.clone())]));
    let [a, b] = trials;
    let ruling = rule(&[a, b, trial("c", &[])], None);
    assert_eq!(ruling.complaints[0].linker, "c", "{ruling:?}");
}

#[test]
fn agree_names_the_odd_one_out() {
    let trials = [trial("a", &site("x")), trial("b", &site("y")), trial("c", &site("x"))];
    let ruling = rule(&trials, None);
    assert_eq!(ruling.complaints.len(), 1);
    let complaint = &ruling.complaints[0];
    assert_eq!((complaint.oracle, &*complaint.linker), ("agree", "b"));
    assert_eq!(complaint.signature(&request()), "agree/site other place/b/amd64-elf");
    assert_eq!(ruling.verdicts, [Verdict::Agree, Verdict::Divergent, Verdict::Agree]);
}

#[test]
fn versions_of_a_program_have_one_vote() {
    let trials = ["a", "b-14", "b-16", "b-19", "c"]
        .map(|name| trial(name, &site(if name.starts_with('b') { "y" } else { "x" })));
    let ruling = rule(&trials, None);
    let blamed: Vec<_> = ruling.complaints.iter().map(|c| &*c.linker).collect();
    assert_eq!(blamed, ["b-14", "b-16", "b-19"]);
}

#[test]
fn without_a_majority_nobody_is_blamed_alone() {
    let trials = [trial("a", &site("x")), trial("b", &site("y"))];
    let ruling = rule(&trials, None);
    assert_eq!(ruling.complaints[0].linker, "a|b");
    assert!(ruling.complaints[0].shape.starts_with("no majority"), "{ruling:?}");
    assert_eq!(ruling.verdicts, [Verdict::Divergent, Verdict::Divergent]);
}

#[test]
fn the_expectation_decides_against_the_majority() {
    let mut facts = Facts::default();
    facts.add(Family::Site, "a.o:.text+0x1", place("x"));
    let expected = Expectation { facts, ..Expectation::default() };
    let trials = [trial("a", &site("x")), trial("b", &site("y")), trial("c", &site("y"))];
    let ruling = rule(&trials, Some(&expected));
    let blamed: Vec<_> = ruling.complaints.iter().map(|c| (c.oracle, &*c.linker)).collect();
    assert_eq!(blamed, [("expected", "b"), ("expected", "c")]);
}

/// Leaves all keys of a family open.
fn open(family: Family) -> Open {
    Open { family: Some(family), rest: "*".into(), reason: "the specs are silent", policy: false }
}

#[test]
fn what_is_open_is_counted_apart() {
    let mut facts = Facts::default();
    facts.add(Family::Site, "a.o:.text+0x1", place("x"));
    let expected = Expectation { facts, open: vec![open(Family::Site)], ..Expectation::default() };
    let trials = [trial("a", &site("x")), trial("b", &site("y"))];
    let ruling = rule(&trials, Some(&expected));
    assert!(ruling.complaints.is_empty(), "{ruling:?}");
    assert_eq!(ruling.verdicts, [Verdict::Agree, Verdict::Agree]);
    assert_eq!(["a", "b"].map(|name| ruling.is_open(name)), [false, true]);
}

#[test]
fn the_reference_is_held_to_what_all_others_agree_on() {
    let expected = Expectation { open: vec![open(Family::Site)], ..Expectation::default() };
    let rule_among = |names: [&'static str; 4], values: [&str; 4]| {
        let trials: Vec<Trial> =
            names.iter().zip(values).map(|(name, value)| trial(name, &site(value))).collect();
        let ruling = rule(&trials, Some(&expected));
        let blamed: Vec<String> = ruling.complaints.iter().map(|c| c.linker.clone()).collect();
        (blamed.join(" "), ruling.is_open(names[0]))
    };
    let rule_on = |values| rule_among([crate::adapter::REFERENCE, "b", "c", "d"], values);
    let versions = [crate::adapter::REFERENCE, "b-14", "b-16", "b-19"];
    assert_eq!(rule_among(versions, ["x", "y", "y", "y"]), (String::new(), true));
    assert_eq!(rule_on(["x", "y", "y", "y"]), (crate::adapter::REFERENCE.into(), true));
    assert_eq!(rule_on(["x", "y", "y", "z"]), (String::new(), true));
    assert_eq!(rule_on(["x", "x", "y", "z"]), (String::new(), true));
}

#[test]
fn one_open_key_leaves_the_others_judged() {
    let mut facts = Facts::default();
    facts.add(Family::Site, "a.o:.text+0x1", place("x"));
    facts.add(Family::Import, "f", Value::Import { weak: false });
    let expected =
        Expectation { facts, open: vec![open(Family::Import)], ..Expectation::default() };
    let ruling = rule(&[trial("a", &site("y"))], Some(&expected));
    assert_eq!(ruling.complaints.len(), 1, "{ruling:?}");
    assert_eq!(ruling.complaints[0].oracle, "expected");
    assert_eq!(ruling.open.len(), 1);
    assert_eq!(ruling.verdicts, [Verdict::Divergent]);
}

#[test]
fn refusals_compare_by_class_and_unclear_words_pass() {
    let refused = |class| vec![(Family::Error, "", Value::Error(class))];
    let trials = [
        trial("a", &refused(ErrorClass::RelocOverflow)),
        trial("b", &refused(ErrorClass::RelocOverflow)),
        trial("c", &refused(ErrorClass::Other)),
        trial("d", &site("x")),
    ];
    let ruling = rule(&trials, None);
    assert_eq!(ruling.complaints.len(), 1, "{ruling:?}");
    let signature = ruling.complaints[0].signature(&request());
    assert_eq!(signature, "agree/error accepted reloc-overflow/d/amd64-elf");
    assert_eq!(ruling.verdicts[2], Verdict::Refused);
    let must = Expectation {
        refusal: Refusal::Must(vec![ErrorClass::RelocOverflow]),
        ..Expectation::refused(vec![ErrorClass::RelocOverflow])
    };
    let ruling = rule(&trials, Some(&must));
    assert_eq!(ruling.complaints.len(), 1, "{ruling:?}");
    assert_eq!((ruling.complaints[0].oracle, &*ruling.complaints[0].linker), ("expected", "d"));
}

#[test]
fn the_loader_sees_bad_meanings_and_lying_tables() {
    let bad = Value::Ref(Meaning::Tls(Box::new(Meaning::Bad("module id 7 of nothing".into()))));
    let export = Value::Export {
        kind: model::SymbolKind::Func,
        binding: model::Binding::Global,
        protected: false,
        size: 1,
        meaning: Meaning::Absolute(1),
    };
    let trials = [trial(
        "a",
        &[
            (Family::Site, "a.o:.text+0x1", bad),
            (Family::Export, "f@@V1", export),
            (Family::Lookup, "f", Value::Found(None)),
            (Family::Lookup, "scold.absent.1", Value::Found(Some(Meaning::Absolute(1)))),
        ],
    )];
    let shapes: Vec<String> = rule(&trials, None).complaints.into_iter().map(|c| c.shape).collect();
    assert_eq!(
        shapes,
        [
            "site bad module id of nothing",
            "lookup misses a definition",
            "lookup finds an absent name"
        ]
    );
    // What a site of a link is that nobody should make is not asked; that there is one is.
    let must = Expectation {
        refusal: Refusal::Must(vec![ErrorClass::RelocDynamic]),
        ..Expectation::refused(vec![ErrorClass::RelocDynamic])
    };
    let ruling = rule(&trials, Some(&must));
    let shapes: Vec<_> = ruling.complaints.iter().map(|c| (c.oracle, &*c.shape)).collect();
    assert_eq!(shapes, [("expected", "error accepted reloc-dynamic")]);
}

#[test]
fn crashes_and_hangs_are_findings() {
    let mut crashed = trial("a", &[]);
    crashed.outcome = Outcome::Crashed("signal 11: blah\nassertion 17 failed in x.c:12".into());
    let mut hung = trial("b", &[]);
    hung.outcome = Outcome::Hung;
    let ruling = rule(&[crashed, hung], None);
    assert_eq!(ruling.verdicts, [Verdict::Crashed, Verdict::Hung]);
    let shapes: Vec<&str> = ruling.complaints.iter().map(|c| &*c.shape).collect();
    assert_eq!(shapes, ["crash signal blah", "hang"]);
}

#[test]
fn divergences_explain_and_poison() {
    let text = r#"
        [[divergence]]
        id = "d"
        key = "site.*"
        linkers = ["b"]
        effect = "poison"
        reason = "r"
        source = "s"
    "#;
    let rules = Rules::parse(&[text]).unwrap();
    let request = request();
    let trials = [trial("a", &site("x")), trial("b", &site("y")), trial("c", &site("x"))];
    let limit = Duration::from_secs(1);
    let evidence =
        Evidence { request: &request, trials: &trials, expected: None, rules: &rules, limit };
    let ruling = judge(&evidence, &up_to(Cost::Facts));
    assert!(ruling.complaints.is_empty(), "{ruling:?}");
    assert_eq!(ruling.verdicts, [Verdict::Agree, Verdict::Poisoned, Verdict::Agree]);
}

/// What one linker may do otherwise is no finding of the other, whoever comes first.
#[test]
fn of_two_the_reference_is_the_measure() {
    let text = r#"
        [[divergence]]
        id = "d"
        key = "site.*"
        linkers = ["b"]
        reason = "r"
        source = "s"
    "#;
    let rules = Rules::parse(&[text]).unwrap();
    let (request, limit) = (request(), Duration::from_secs(1));
    for (ours, theirs) in [("x", "y"), ("y", "x")] {
        let trials = [trial(REFERENCE, &site(ours)), trial("b", &site(theirs))];
        let evidence =
            Evidence { request: &request, trials: &trials, expected: None, rules: &rules, limit };
        let ruling = judge(&evidence, &up_to(Cost::Facts));
        assert!(ruling.complaints.is_empty(), "{ruling:?}");
        assert_eq!(ruling.explained, ["d"]);
    }
}

/// Refusals have one class for many reasons: what was said goes with them.
#[test]
fn a_refusal_says_why() {
    let mut refused = trial("b", &[(Family::Error, "", Value::Error(ErrorClass::BadInput))]);
    refused.outcome = Outcome::Refused(ErrorClass::BadInput, "no such thing\n".into());
    let ruling = rule(&[trial("a", &[]), refused, trial("c", &[])], None);
    assert_eq!(ruling.complaints[0].linker, "b");
    assert!(ruling.complaints[0].detail.ends_with("b: no such thing"), "{ruling:?}");
}

/// An option of one linker's is no error in the link, unless nobody knows it.
#[test]
fn an_unknown_option_is_not_judged() {
    let stranger = |name| {
        let unknown = Value::Error(ErrorClass::UnknownOption);
        trial(name, &[(Family::Error, "", unknown)])
    };
    let ruling = rule(&[trial("a", &[]), stranger("b"), stranger("c")], None);
    assert!(ruling.complaints.is_empty() && ruling.is_open("b"), "{ruling:?}");
    let missing = trial("a", &[(Family::Error, "", Value::Error(ErrorClass::MissingFile))]);
    let ruling = rule(&[missing, stranger("b"), stranger("c")], None);
    assert!(ruling.complaints.is_empty() && ruling.is_open("c"), "{ruling:?}");
    let ruling = rule(&[stranger("a"), stranger("b"), stranger("c")], None);
    assert!(ruling.complaints.is_empty() && !ruling.is_open("c"), "{ruling:?}");
}

/// Others link what stands for a mode though the mode can't have what it asks for.
#[test]
fn what_a_mode_cannot_have_is_not_judged() {
    let ruling = |class| {
        let mut refused = trial(REFERENCE, &[(Family::Error, "", Value::Error(class))]);
        refused.outcome = Outcome::Refused(class, "a.o: what it can't have".into());
        rule(&[refused, trial("b", &[]), trial("c", &[])], None)
    };
    let open = ruling(ErrorClass::ModeConflict);
    assert!(open.complaints.is_empty() && open.is_open(REFERENCE), "{open:?}");
    assert_eq!(ruling(ErrorClass::BadInput).complaints.len(), 1);
}

#[test]
fn a_crash_is_named_by_the_fault_and_not_by_the_input() {
    let said = "ld: error: Invalid/unrecognized reloc reloc 314\n\
                ld: internal error in global, at ../../gold/aarch64.cc:6399";
    assert!(first_line(said).contains("internal error in global"));
    assert_eq!(first_line("a\nerror: b\nerror: c"), "error: b");
    assert_eq!(first_line("a\nb"), "a");
}
