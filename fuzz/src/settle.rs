//! Settling findings: what a hunt found → reduced cases → folders.
//!
//! It must not know how the hunt went; only what each finding's lowest case shows.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{io, thread};

use scold_diff::adapter::{Outcome, REFERENCE};

use crate::campaign::{Examine as _, Found, Sighting};
use crate::examine::Bench;
use crate::finding::{self, Finding};
use crate::reduce::{Budget, Reduced, reduce};
use crate::{Case, emit};

/// How findings are settled.
#[derive(Clone, Copy)]
pub struct Settle<'a> {
    /// Linkers and oracles, all that took part.
    pub bench: &'a Bench,
    /// What a reduction may cost; `None` leaves cases as they are.
    pub budget: Option<Budget>,
    /// Where folders go.
    pub root: &'a Path,
    /// How the hunt was called: part of every folder.
    pub origin: &'a str,
    /// Threads.
    pub jobs: usize,
}

/// A finding with its folder.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What folds duplicates.
    pub signature: String,
    /// Who was blamed, in any case.
    pub linkers: Vec<String>,
    /// How it shows.
    pub class: &'static str,
    /// How many cases showed it.
    pub count: u64,
    /// The first key: what was wanted, what was found.
    pub summary: String,
    /// Its folder.
    pub path: PathBuf,
}

impl Settle<'_> {
    /// Writes a folder for every finding, in their order. Once `cancel` is true nothing is reduced any
    /// more, but every folder is still written.
    ///
    /// Errors: the system's, the first.
    pub fn all(&self, found: &[Found], cancel: &AtomicBool) -> io::Result<Vec<Settled>> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let worker = || {
            while let Some((at, found)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                found.get(at).map(|found| (at, found))
            } {
                let settled = self.one(found, cancel);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((at, settled));
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.jobs.max(1) {
                scope.spawn(worker);
            }
            worker();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, settled)| settled).collect()
    }

    fn one(&self, found: &Found, cancel: &AtomicBool) -> io::Result<Settled> {
        let signature = &found.sighting.signature;
        let small = match self.budget {
            Some(budget) => shrink(self.bench, &found.case, &found.sighting, budget, cancel).case,
            None => alone(&narrow(self.bench, &found.sighting), &found.case, signature),
        };
        let origin = format!("{}, case {}", self.origin, found.number);
        let path = write(self.root, self.bench, &small, &found.sighting, &origin)?;
        let summary = found
            .sighting
            .complaint
            .keys
            .first()
            .map(|key| format!("{} is {}, not {}", key.key, key.found, key.wanted));
        Ok(Settled {
            signature: signature.clone(),
            linkers: found.linkers.iter().cloned().collect(),
            class: found.sighting.class(),
            count: found.count,
            summary: summary.unwrap_or_default(),
            path,
        })
    }
}

/// The smallest case that shows what `sighting` says, of those the budget allows.
pub fn shrink(
    bench: &Bench,
    case: &Case,
    sighting: &Sighting,
    budget: Budget,
    cancel: &AtomicBool,
) -> Reduced {
    let bench = narrow(bench, sighting);
    let case = &alone(&bench, case, &sighting.signature);
    // What the reference gets wrong as well on the way is another thing: the case has become invalid.
    let strict = !sighting.linkers().any(|linker| linker == REFERENCE);
    let said = refusal(&bench, case, sighting);
    reduce(case, budget, &mut |candidate| {
        !cancel.load(Ordering::Relaxed)
            && !candidate.inputs.is_empty()
            && shows_only(&bench, candidate, &sighting.signature, strict)
            && (said.is_none() || said == refusal(&bench, candidate, sighting))
    })
}

/// The link of a world that shows `signature` without the others; all of it if it takes several.
pub(crate) fn alone(bench: &Bench, case: &Case, signature: &str) -> Case {
    if case.beside.is_empty() {
        return case.clone();
    }
    let first = Case { beside: Vec::new(), ..case.clone() };
    let mut links = std::iter::once(&first).chain(&case.beside);
    links.find(|link| shows(bench, link, signature)).unwrap_or(case).clone()
}

/// What the blamed linker says when it refuses `case`, without names and numbers: classes are too
/// wide to keep a reduction from drifting to another refusal.
fn refusal(bench: &Bench, case: &Case, sighting: &Sighting) -> Option<String> {
    if sighting.class() != "refused" {
        return None;
    }
    let blamed = sighting.linkers().next()?;
    let linker = bench.linkers.iter().find(|linker| linker.name() == blamed)?;
    let Outcome::Refused(_, said) = linker.link(&emit::request(case), bench.limit) else {
        return None;
    };
    let word = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    Some(said.lines().next()?.split_whitespace().filter(word).collect::<Vec<_>>().join(" "))
}

/// Whether `case` shows it and, where that is asked, nothing about the reference.
fn shows_only(bench: &Bench, case: &Case, signature: &str, strict: bool) -> bool {
    let sightings = bench.examine(case).sightings;
    sightings.iter().any(|sighting| sighting.signature == signature)
        && !(strict && sightings.iter().any(|s| s.linkers().any(|linker| linker == REFERENCE)))
}

/// Whether `case` shows a finding with this signature.
pub fn shows(bench: &Bench, case: &Case, signature: &str) -> bool {
    bench.examine(case).sightings.iter().any(|sighting| sighting.signature == signature)
}

/// Only the linkers and oracles that the sighting needs: comparisons need everyone.
fn narrow(bench: &Bench, sighting: &Sighting) -> Bench {
    let oracle = sighting.complaint.oracle;
    if matches!(oracle, "agree" | "scold") {
        let mut bench = bench.clone();
        bench.oracles.retain(|o| oracle == "scold" || matches!(o.name(), "expected" | "agree"));
        return bench;
    }
    let mut bench =
        bench.only(|name| name == REFERENCE || sighting.linkers().any(|linker| linker == name));
    bench.oracles.retain(|o| o.name() == oracle);
    bench
}

/// Examines `case` once more with everyone, and writes the folder.
///
/// Errors: the system's.
pub fn write(
    root: &Path,
    bench: &Bench,
    case: &Case,
    sighting: &Sighting,
    origin: &str,
) -> io::Result<PathBuf> {
    if sighting.complaint.oracle == "scold" {
        // Examining it would panic again: the case and what was said must do.
        let folder = root.join(finding::folder_name(&sighting.signature));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("case"), crate::text::print(case))?;
        std::fs::write(folder.join("report.md"), &sighting.complaint.detail)?;
        return Ok(folder);
    }
    let examined = bench.examined(case);
    // What the small case shows, in its own names.
    let small = examined.examination().sightings.into_iter();
    let small = small.into_iter().find(|s| s.signature == sighting.signature);
    let sighting = small.as_ref().unwrap_or(sighting);
    finding::write(root, &Finding { case, sighting, examined: &examined, origin })
}
