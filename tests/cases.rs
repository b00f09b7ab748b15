//! File tests of links: `corpus/cases/AREA/NAME.case` must come out as `NAME.facts` says.
//!
//! The reference links each case; the facts of its output must be the golden ones, what `expect`
//! demands, and nothing that a loader or the format forbids. `BLESS=1` writes the goldens; what the
//! specs decide is held against them all the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scold_diff::adapter::{self, Outcome};
use scold_diff::expectation::Strictness;
use scold_diff::model::elf;
use scold_diff::oracle::Cost;
use scold_diff::{Expectation, Facts};
use scold_fuzz::examine::Bench;
use scold_fuzz::expect::expect;
use scold_fuzz::{Case, emit};

const LIMIT: Duration = Duration::from_secs(20);

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/cases");
    let areas = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = areas
        .filter(|path| path.is_dir())
        .flat_map(|area| fs::read_dir(area).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .collect();
    cases.sort();
    cases
}

fn reference() -> Bench {
    let linkers = adapter::select(&["reference".to_owned()], &[]).unwrap();
    Bench::new(linkers, Cost::Bytes, LIMIT)
}

#[test]
fn every_case_comes_out_as_it_should() {
    let bless = std::env::var_os("BLESS").is_some();
    let bench = reference();
    let paths = cases();
    assert!(paths.len() >= 10, "the corpus is gone");
    let mut failures = String::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let problem = match scold_fuzz::text::parse(&text) {
            Ok(case) => judged(&bench, &case, &path.with_extension("facts"), bless),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            failures += &format!("{}:\n{problem}\n", path.display());
        }
    }
    assert!(
        failures.is_empty(),
        "{failures}\nIf the new facts are right: BLESS=1 cargo test cases"
    );
}

/// What is wrong with the reference's output of `case`.
fn judged(bench: &Bench, case: &Case, golden: &Path, bless: bool) -> Option<String> {
    let examined = bench.examined(case);
    let got = examined.trials[0].facts.to_string();
    if bless {
        fs::write(golden, &got).unwrap();
    }
    let want = fs::read_to_string(golden).unwrap_or_default();
    let mut problem = similar::TextDiff::from_lines(&want, &got).unified_diff().to_string();
    for complaint in &examined.ruling.complaints {
        problem += &format!("{}: {}: {:?}\n", complaint.oracle, complaint.shape, complaint.keys);
    }
    if let Some(expected) = &examined.expected {
        problem += &wrong(expected, &examined.trials[0].facts);
    }
    (!problem.is_empty()).then_some(problem)
}

/// The keys on which `facts` are not what the specs demand, no divergence accepted.
fn wrong(expected: &Expectation, facts: &Facts) -> String {
    let judgement = expected.judge(facts, Strictness::Reference);
    let list = judgement.wrong.iter();
    list.map(|w| format!("{}: wanted {:?}, found {:?}\n", w.key, w.expected, w.found)).collect()
}

/// A golden without its case would never be looked at.
#[test]
fn every_golden_has_a_case() {
    for path in cases() {
        let area = path.parent().unwrap();
        for entry in fs::read_dir(area).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("facts") => assert!(path.with_extension("case").exists(), "{path:?}"),
                Some("case") => {}
                _ => panic!("what is {}?", path.display()),
            }
        }
    }
}

/// The reference against the specs on a sample of all three engines; the whole of it is a hunt of
/// `.ci/run`. No divergence explains anything here.
#[test]
fn the_reference_does_what_the_specs_demand() {
    use scold_diff::{Mode, Target};
    use scold_fuzz::generate::{self, matrix, sweep};

    let target = Target::AMD64_ELF;
    let linkers = adapter::select(&["reference".to_owned()], &[]).unwrap();
    let random = (0..2_000_usize)
        .map(|i| generate::seeded(1, i as u64, target, Mode::ALL[i % Mode::ALL.len()]));
    let all =
        matrix::matrix(target).step_by(23).chain(sweep::sweep(target).step_by(11)).chain(random);
    let (mut total, mut bad, mut first) = (0, 0, String::new());
    for case in all {
        total += 1;
        let request = emit::request(&case);
        let facts = match linkers[0].link(&request, LIMIT) {
            Outcome::Linked(image) => elf::facts(&request, &image),
            Outcome::Refused(class, _) => Facts::refused(class),
            other => panic!("{other:?}\n{case:?}"),
        };
        let problem = wrong(&expect(&case), &facts);
        if !problem.is_empty() {
            bad += 1;
            if first.is_empty() {
                first = format!("{problem}\n{case:?}");
            }
        }
    }
    assert_eq!(bad, 0, "of {total}, first:\n{first}");
}
