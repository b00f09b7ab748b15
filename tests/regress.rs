//! File tests of bugs that were found: every `corpus/regress/NAME.case` is linked again.
//!
//! The reference must link it as the specs demand, whatever an oracle looks at. Lines of the case that
//! start with `;=` are facts its output must have (or `refused CLASS`); lines that start with `;!` name
//! a linker that shows the bug, so that a case is known to still be one:
//!
//! ```text
//! ;= site.a.o:.data+0x10 = absolute 0x1
//! ;! bug 3 gnu_ld 2.40 expected/site R_X86_64_64 *
//! ```
//!
//! The number is the row of BUGS.md; the complaint, a glob over oracle and shape, must be one that
//! `corpus/known/` counts under that row. A linker that is here with another version is skipped.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scold_diff::adapter::{ADAPTERS, Shared, release, select};
use scold_diff::divergence::glob;
use scold_diff::oracle::Cost;
use scold_fuzz::Case;
use scold_fuzz::examine::{Bench, Examined};

const LIMIT: Duration = Duration::from_secs(10);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A case of the folder: its name, its text, what it says.
struct Regression {
    name: String,
    text: String,
    case: Case,
}

/// A linker that shows the bug.
struct Shown<'a> {
    /// The row of BUGS.md.
    bug: u32,
    family: &'a str,
    release: &'a str,
    complaint: &'a str,
}

fn regressions() -> Vec<Regression> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join("corpus/regress"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let case = scold_fuzz::text::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        Regression { name, text, case }
    };
    paths.into_iter().map(read).collect()
}

impl Regression {
    fn lines<'a>(&'a self, mark: &'a str) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter_map(move |line| line.trim().strip_prefix(mark)).map(str::trim)
    }

    fn shown(&self) -> Vec<Shown<'_>> {
        let read = |line| -> Option<Shown<'_>> {
            let [word, bug, family, release, complaint] =
                *str::splitn(line, 5, ' ').collect::<Vec<_>>()
            else {
                return None;
            };
            let bug = bug.parse().ok().filter(|_| word == "bug")?;
            Some(Shown { bug, family, release, complaint })
        };
        let lines = self.lines(";!");
        lines
            .map(|l| read(l).unwrap_or_else(|| panic!("{}: what is `;! {l}`?", self.name)))
            .collect()
    }

    fn examined(&self, linker: &Shared) -> Examined {
        Bench::new(vec![linker.clone()], Cost::Runs, LIMIT).examined(&self.case)
    }
}

#[test]
fn the_reference_has_none_of_the_bugs() {
    let reference = &select(&["reference".into()], &[]).unwrap()[0];
    let mut failures = String::new();
    for regression in regressions() {
        let examined = regression.examined(reference);
        for complaint in &examined.ruling.complaints {
            let _ = writeln!(failures, "{}: {complaint:?}", regression.name);
        }
        let facts = examined.trials[0].facts.to_string();
        for wanted in regression.lines(";=") {
            let there = match wanted.strip_prefix("refused ") {
                Some(class) => {
                    let refused = examined.trials[0].facts.error();
                    refused.is_some_and(|found| found.code() == class)
                }
                None => facts.lines().any(|fact| fact.trim() == wanted),
            };
            if !there {
                let _ = writeln!(failures, "{}: no `{wanted}` in\n{facts}", regression.name);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn linkers_still_show_the_bugs() {
    let here = select(&["every".into()], &[]).unwrap();
    let require = std::env::var("SCOLD_REQUIRE").is_ok_and(|what| what == "all");
    let mut failures = String::new();
    for regression in regressions() {
        for shown in regression.shown() {
            let family: Vec<_> = here.iter().filter(|l| l.family() == shown.family).collect();
            let wanted = release(shown.release);
            let Some(linker) = family.iter().find(|l| l.release().starts_with(&wanted)) else {
                let known = ADAPTERS.iter().find(|row| row.name == shown.family);
                let package = known.map_or("no package", |row| row.package);
                println!(
                    "skipped: {} wants {} {} ({package} brings one)",
                    regression.name, shown.family, shown.release
                );
                assert!(!require || !family.is_empty(), "no {} here", shown.family);
                continue;
            };
            let problem = alive(&regression, &shown, linker);
            if let Some(problem) = problem {
                let _ = writeln!(failures, "{} with {}: {problem}", regression.name, linker.name());
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// What is wrong with the claim that `linker` shows the bug.
fn alive(regression: &Regression, shown: &Shown<'_>, linker: &Shared) -> Option<String> {
    let examined = regression.examined(linker);
    let text = |c: &scold_diff::oracle::Complaint| format!("{}/{}", c.oracle, c.shape);
    let all = &examined.ruling.complaints;
    let Some(complaint) = all.iter().find(|c| glob(shown.complaint, &text(c))) else {
        let list: Vec<String> = all.iter().map(text).collect();
        return Some(format!("no {}, but {list:#?}", shown.complaint));
    };
    let link = format!("BUGS.md {}", shown.bug);
    (complaint.known.as_deref() != Some(&link))
        .then(|| format!("{} is not counted as {link}: {:?}", text(complaint), complaint.known))
}

#[test]
fn every_row_has_its_case() {
    let table = fs::read_to_string(root().join("BUGS.md")).unwrap();
    let rows: Vec<(u32, &str)> = table
        .lines()
        .filter_map(|line| Some((line.split('|').nth(1)?.trim().parse().ok()?, line)))
        .collect();
    for (at, (number, _)) in rows.iter().enumerate() {
        assert_eq!(*number as usize, at + 1, "rows of BUGS.md are numbered from 1");
    }
    let list = regressions();
    for regression in &list {
        for shown in regression.shown() {
            let row = rows.iter().find(|(number, _)| *number == shown.bug);
            let row = row.unwrap_or_else(|| panic!("{}: no row {}", regression.name, shown.bug)).1;
            assert!(row.contains(&*regression.name), "row {} and {}", shown.bug, regression.name);
        }
    }
    for (number, _) in rows {
        let shows = |regression: &Regression| regression.shown().iter().any(|s| s.bug == number);
        assert!(list.iter().any(shows), "row {number} of BUGS.md has no case");
    }
}
