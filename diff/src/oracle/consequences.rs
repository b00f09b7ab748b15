//! Complaints → those that say something of their own: what follows from another one is dropped.
//!
//! One defect shows at many keys: a section that is gone takes its bytes and sites along, a name that is
//! not exported can't be found, a program with a wrong pointer does not run. Reported are causes; what
//! follows is listed among what was explained. It must not know which linker it is.

use std::collections::BTreeSet;

use super::{Complaint, Mismatch};

/// Drops what follows from other complaints about the same linker; gives the shapes dropped.
pub(super) fn fold(complaints: &mut Vec<Complaint>) -> Vec<String> {
    let causes: BTreeSet<(String, String)> = complaints
        .iter()
        .flat_map(|complaint| {
            let causes =
                complaint.keys.iter().filter_map(|key| cause(&key.key, &key.found, &key.wanted));
            causes.map(|cause| (complaint.linker.clone(), cause))
        })
        .collect();
    let ended: BTreeSet<(String, String)> = complaints
        .iter()
        .flat_map(|complaint| {
            let ends = complaint.keys.iter().filter(|key| ends(complaint.oracle, key));
            ends.map(|key| (complaint.linker.clone(), key.key.clone()))
        })
        .collect();
    let wrong: BTreeSet<String> = complaints
        .iter()
        .filter(|complaint| matches!(complaint.oracle, "expected" | "loader" | "invariants"))
        .map(|complaint| complaint.linker.clone())
        .collect();
    let mut dropped = Vec::new();
    complaints.retain_mut(|complaint| {
        let linker = &complaint.linker;
        let mine = |key: &Mismatch| ended.contains(&(linker.clone(), key.key.clone()));
        if ended.iter().any(|(ended, _)| ended == linker) && !complaint.keys.iter().any(mine) {
            dropped.push(format!("follows: {}", complaint.shape));
            return false;
        }
        if complaint.oracle == "execute" && wrong.contains(linker) {
            dropped.push(format!("follows: {}", complaint.shape));
            return false;
        }
        if complaint.oracle == "expected" {
            complaint.keys.retain(|key| {
                effects(&key.key, &key.found, &key.wanted)
                    .is_none_or(|cause| !causes.contains(&(linker.clone(), cause)))
            });
        }
        if complaint.keys.is_empty() {
            dropped.push(format!("follows: {}", complaint.shape));
        }
        !complaint.keys.is_empty()
    });
    dropped
}

/// Whether there is nothing to say about an output beside this: it should not be there, or nobody can load
/// it.
fn ends(oracle: &str, key: &Mismatch) -> bool {
    let accepted = key.key == "error" && key.found == "absent";
    oracle == "expected" && (accepted || key.key == "dynamic.broken")
}

/// The cause that a difference at `key` is, under the name that [`effects`] gives.
fn cause(key: &str, found: &str, wanted: &str) -> Option<String> {
    let gone = match (found, wanted) {
        ("absent", _) => "no",
        (_, "absent") => "more",
        _ => return None,
    };
    if let Some(section) = key.strip_prefix("perm.") {
        return Some(format!("{gone} section {section}"));
    }
    let name = key.strip_prefix("export.")?;
    Some(format!("{gone} export {}", name.split('@').next().unwrap_or(name)))
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
    use super::*;

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
        let _ = fold(&mut list);
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
    fn a_run_says_nothing_new_about_a_wrong_output() {
        let run = complaint("execute", "a", "call f", "signal");
        assert_eq!(left(vec![run.clone()]).len(), 1);
        let wrong = complaint("expected", "a", "site.x.o:.text+0x1", "place y");
        assert_eq!(left(vec![run, wrong]), ["site.x.o:.text+0x1 place y"]);
    }
}
