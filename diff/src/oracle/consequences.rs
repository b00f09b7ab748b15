//! Complaints → those that say something of their own: what follows from another one is dropped.
//!
//! One defect shows at many keys: a section that is gone takes its bytes and sites along, a name that is
//! not exported can't be found, a program with a wrong pointer does not run. Reported are causes; what
//! follows is listed among what was explained. It must not know which linker it is.

use std::collections::BTreeSet;

use super::reach::Reach;
use super::{Complaint, Mismatch};
use crate::{Key, Request};

/// Drops what follows from other complaints about the same linker; gives the shapes dropped.
///
/// A known bug takes along what it does to the same section or name. It says nothing about the rest of
/// the output: a known size must not hide a crash.
pub(super) fn fold(
    complaints: &mut Vec<Complaint>,
    open: &[(String, Key, &'static str)],
    request: &Request,
) -> Vec<String> {
    let mut causes = BTreeSet::new();
    let mut ended = BTreeSet::new();
    let mut wrong = BTreeSet::new();
    for complaint in complaints.iter() {
        let linker = || complaint.linker.clone();
        for key in &complaint.keys {
            causes.extend(cause(key).into_iter().map(|cause| (linker(), cause)));
            if ends(complaint, key) {
                ended.insert((linker(), key.key.clone()));
            }
            if complaint.oracle == "expected" {
                wrong.extend(name(&key.key).map(|name| (linker(), name.to_owned())));
            }
        }
    }
    let lost = Lost::of(complaints, open, request);
    let mut dropped = Vec::new();
    complaints.retain_mut(|complaint| {
        let linker = &complaint.linker;
        let mine = |key: &Mismatch| ended.contains(&(linker.clone(), key.key.clone()));
        let over = ended.iter().any(|(ended, key)| {
            ended == linker && (key == "error" || complaint.oracle != "invariants")
        });
        if over && !complaint.keys.iter().any(mine) {
            dropped.push(format!("follows: {}", complaint.shape));
            return false;
        }
        let there = |set: &BTreeSet<_>, what: String| set.contains(&(linker.clone(), what));
        complaint.keys.retain(|key| match complaint.oracle {
            "execute" => {
                name(&key.key).is_none_or(|name| !there(&wrong, name.to_owned()))
                    && called(&key.key).is_none_or(|name| !lost.has(linker, name))
            }
            "expected" => effects(&key.key, &key.found, &key.wanted)
                .is_none_or(|cause| !there(&causes, cause)),
            _ => true,
        });
        if complaint.keys.is_empty() {
            dropped.push(format!("follows: {}", complaint.shape));
        }
        !complaint.keys.is_empty()
    });
    dropped
}

/// Functions with a wrong site of their own, or one that differs where nobody judges: they need not come back.
struct Lost {
    sites: BTreeSet<(String, String)>,
    reach: Option<Reach>,
}

impl Lost {
    fn of(
        complaints: &[Complaint],
        open: &[(String, Key, &'static str)],
        request: &Request,
    ) -> Self {
        let calls = |complaint: &&Complaint| complaint.oracle == "execute";
        let mut called = complaints.iter().filter(calls).flat_map(|complaint| &complaint.keys);
        let reach = called.any(|key| self::called(&key.key).is_some());
        let judged = complaints.iter().filter(|c| matches!(c.oracle, "expected" | "loader"));
        let wrong = judged.flat_map(|complaint| {
            complaint.keys.iter().map(|key| (complaint.linker.clone(), key.key.clone()))
        });
        let open = open.iter().map(|(linker, key, _)| (linker.clone(), key.to_string()));
        let sites = wrong.chain(open).filter(|(_, key)| key.starts_with("site."));
        Self { sites: sites.collect(), reach: reach.then(|| Reach::of(request)) }
    }

    fn has(&self, linker: &str, name: &str) -> bool {
        let mine = self.sites.iter().filter(|(other, _)| other == linker).map(|(_, site)| &**site);
        self.reach.as_ref().is_some_and(|reach| reach.is_wrong(name, mine))
    }
}

/// The symbol that a key is about: of a fact, or of what the host was told to do.
fn name(key: &str) -> Option<&str> {
    let about = ["export.", "import.", "lookup.", "find ", "dlsym "];
    let name = about.iter().find_map(|about| key.strip_prefix(about))?;
    Some(name.split(['@', ' ']).next().unwrap_or(name))
}

/// The function that the host called.
fn called(key: &str) -> Option<&str> {
    key.strip_prefix("call ")
}

/// Whether there is nothing to say about an output beside this: it should not be there, or (as far as is
/// known for the first time) nobody can load it.
fn ends(complaint: &Complaint, key: &Mismatch) -> bool {
    let accepted = key.key == "error" && key.found == "absent";
    let broken = key.key == "dynamic.broken" && complaint.known.is_none();
    complaint.oracle == "expected" && (accepted || broken)
}

/// The causes that a difference is, under the names that [`effects`] gives.
fn cause(key: &Mismatch) -> Vec<String> {
    let gone = match (&*key.found, &*key.wanted) {
        ("absent", _) => "no",
        (_, "absent") => "more",
        _ => return Vec::new(),
    };
    if let Some(section) = key.key.strip_prefix("perm.") {
        return vec![format!("{gone} section {section}")];
    }
    let Some(export) = key.key.strip_prefix("export.") else { return Vec::new() };
    match export.split_once("@@") {
        // The default version is found by its name alone too.
        Some((name, version)) => {
            vec![format!("{gone} export {name}"), format!("{gone} export {name}@{version}")]
        }
        None => vec![format!("{gone} export {export}")],
    }
}

/// The cause that would explain a difference at `key`.
fn effects(key: &str, found: &str, wanted: &str) -> Option<String> {
    let change = match (found, wanted) {
        ("absent", _) => "no",
        (_, "absent") => "more",
        _ => "",
    };
    if let Some(section) = key.strip_prefix("bytes.") {
        return (!change.is_empty()).then(|| format!("{change} section {section}"));
    }
    if let Some(site) = key.strip_prefix("site.") {
        let (section, _) = site.rsplit_once('+')?;
        return (!change.is_empty()).then(|| format!("{change} section {section}"));
    }
    let name = key.strip_prefix("lookup.")?;
    match (found.starts_with("found"), wanted.starts_with("found")) {
        (true, false) => Some(format!("more export {name}")),
        (false, true) => Some(format!("no export {name}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::reach::tests::functions;
    use super::*;
    use crate::Family;

    fn complaint(oracle: &'static str, linker: &str, key: &str, found: &str) -> Complaint {
        let wanted = if found == "absent" { "found x" } else { "absent" };
        Complaint {
            oracle,
            linker: linker.into(),
            shape: format!("{key} {found}"),
            keys: vec![Mismatch { key: key.into(), found: found.into(), wanted: wanted.into() }],
            detail: String::new(),
            known: None,
        }
    }

    fn left(mut list: Vec<Complaint>) -> Vec<String> {
        let _ = fold(&mut list, &[], &functions());
        list.into_iter().map(|complaint| complaint.shape).collect()
    }

    #[test]
    fn a_missing_section_takes_its_bytes_and_sites_along() {
        let all = || {
            vec![
                complaint("expected", "a", "perm.x.o:.text", "absent"),
                complaint("expected", "a", "bytes.x.o:.text", "absent"),
                complaint("expected", "a", "site.x.o:.text+0x14", "absent"),
            ]
        };
        assert_eq!(left(all()), ["perm.x.o:.text absent"]);
        // Not those of another section, nor of another linker, nor without the cause.
        assert_eq!(left(all()[1..].to_vec()).len(), 2);
        let mut other = all();
        other[1].linker = "b".into();
        other[2].keys[0].key = "site.x.o:.text.f+0x14".into();
        assert_eq!(left(other).len(), 3);
    }

    #[test]
    fn a_missing_export_is_not_found() {
        let all = vec![
            complaint("expected", "a", "export.f@@V", "absent"),
            complaint("expected", "a", "lookup.f", "absent"),
            complaint("expected", "a", "lookup.g", "absent"),
        ];
        assert_eq!(left(all), ["export.f@@V absent", "lookup.g absent"]);
        // Another version of the name is another symbol.
        let old = vec![
            complaint("expected", "a", "export.f@V1", "absent"),
            complaint("expected", "a", "lookup.f", "absent"),
        ];
        assert_eq!(left(old).len(), 2);
    }

    #[test]
    fn an_output_that_should_not_be_there_says_nothing() {
        let site = complaint("loader", "a", "site.x.o:.text+0x1", "bad: x");
        let accepted = complaint("expected", "a", "error", "absent");
        assert_eq!(left(vec![site.clone(), accepted.clone()]), ["error absent"]);
        let mut other = accepted;
        other.linker = "b".into();
        assert_eq!(left(vec![site, other]).len(), 2);
    }

    #[test]
    fn a_run_says_nothing_new_about_the_same_symbol_only() {
        let run = complaint("execute", "a", "find f", "signal 11");
        let lost = complaint("expected", "a", "export.f", "absent");
        assert_eq!(left(vec![run.clone(), lost.clone()]), ["export.f absent"]);
        let other = complaint("expected", "a", "export.g", "other size");
        assert_eq!(left(vec![run.clone(), other]).len(), 2);
        let site = complaint("expected", "a", "site.x.o:.text+0x1", "place y");
        assert_eq!(left(vec![run, site]).len(), 2);
    }

    #[test]
    fn a_probe_with_a_wrong_site_need_not_come_back() {
        let run = |name: &str| Complaint {
            shape: name.into(),
            ..complaint("execute", "a", &format!("call {name}"), "signal 11")
        };
        let site = |at: &str| complaint("expected", "a", &format!("site.x.o:.text{at}"), "bad: x");
        let known = Complaint { known: Some("BUGS.md 123".into()), ..site("+0x14") };
        assert_eq!(left(vec![run("probe.1"), known]).len(), 1);
        // Another function's, another section's, another linker's say nothing about it.
        assert_eq!(left(vec![run("probe.1"), site("+0x24")]).len(), 2);
        assert_eq!(left(vec![run("probe.1"), site("#1+0x14")]).len(), 2);
        let mut other = site("+0x14");
        other.linker = "b".into();
        assert_eq!(left(vec![run("probe.1"), other]).len(), 2);
        // Nor need one that differs where nobody judges.
        let open = [("a".to_owned(), Key::new(Family::Site, "x.o:.text+0x14"), "a choice")];
        let mut list = vec![run("probe.1"), run("probe.2")];
        let _ = fold(&mut list, &open, &functions());
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn what_is_known_hides_nothing_elsewhere() {
        let broken = complaint("expected", "a", "dynamic.broken", "bad");
        let run = complaint("execute", "a", "open", "signal 11");
        let flaw = complaint("invariants", "a", "header", "bad");
        assert_eq!(left(vec![broken.clone(), run.clone(), flaw.clone()]).len(), 2, "run follows");
        let known = Complaint { known: Some("BUGS.md 23".into()), ..broken };
        assert_eq!(left(vec![known, run, flaw]).len(), 3);
    }
}
