//! Findings: an examined case and its sighting → a folder that people can use without scold.
//!
//! | file | what |
//! |---|---|
//! | `case` | the case as text; `scold replay` reads it |
//! | `objects/` | every input of the link, as bytes |
//! | `outputs/` | what each linker made of them |
//! | `facts.diff` | wanted against found |
//! | `repro.sh` | POSIX sh; needs only the linker; exits 0 when the bug shows |
//! | `report.md` | ready to paste into a tracker |
//! | `verdict.json` | all of it for machines |
//!
//! The folder's name comes from the signature: found again, it is written again. It must not know how
//! the case was found or made smaller.

mod report;
mod repro;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use scold_diff::adapter::Outcome;
use scold_diff::model::digest;
use serde_json::json;

use crate::campaign::Sighting;
use crate::examine::Examined;
use crate::{Case, text};

/// Everything a folder is written from.
pub struct Finding<'a> {
    /// The case, as small as it got.
    pub case: &'a Case,
    /// What it shows.
    pub sighting: &'a Sighting,
    /// What came of linking it.
    pub examined: &'a Examined,
    /// How it was found, for the record: engine, seed, number.
    pub origin: &'a str,
}

/// Writes the folder of `finding` under `root`; an older one of the same signature goes.
///
/// Errors: the system's.
pub fn write(root: &Path, finding: &Finding<'_>) -> io::Result<PathBuf> {
    let folder = root.join(folder_name(&finding.sighting.signature));
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for sub in ["objects", "outputs"] {
        fs::create_dir_all(folder.join(sub))?;
    }
    fs::write(folder.join("case"), text::print(finding.case))?;
    for file in &finding.examined.request.files {
        fs::write(folder.join("objects").join(&file.name), &file.bytes)?;
    }
    // Those of the links beside it.
    for (other, number) in finding.case.beside.iter().zip(1..) {
        let dir = folder.join("objects").join(format!("beside{number}"));
        fs::create_dir_all(&dir)?;
        for file in crate::emit::request(other).files {
            fs::write(dir.join(&file.name), &file.bytes)?;
        }
    }
    for trial in &finding.examined.trials {
        let name = trial.linker.name();
        match &trial.outcome {
            Outcome::Linked(bytes) => {
                fs::write(folder.join("outputs").join(format!("{name}.out")), bytes)?;
            }
            Outcome::Refused(_, said) | Outcome::Crashed(said) => {
                fs::write(folder.join("outputs").join(format!("{name}.txt")), said)?;
            }
            Outcome::Hung | Outcome::Unsupported(_) => {}
        }
    }
    fs::write(folder.join("facts.diff"), facts_diff(finding))?;
    let script = folder.join("repro.sh");
    let text = match finding.case.beside.is_empty() {
        true => repro::script(finding),
        false => repro::SEVERAL.into(),
    };
    fs::write(&script, text)?;
    executable(&script)?;
    fs::write(folder.join("report.md"), report::markdown(finding))?;
    let verdict = serde_json::to_string_pretty(&verdict(finding)).map_err(io::Error::other)?;
    fs::write(folder.join("verdict.json"), verdict + "\n")?;
    Ok(folder)
}

fn executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// `expected-site-r2-other-place-lld-amd64-elf-1f3a`: readable, and never the same for two signatures.
pub fn folder_name(signature: &str) -> String {
    let mut name = String::new();
    for c in signature.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('-') {
            name.push('-');
        }
        if name.len() >= 80 {
            break;
        }
    }
    let hash = digest(signature.as_bytes());
    format!("{}-{:04x}", name.trim_matches('-'), (hash ^ (hash >> 32)) & 0xffff)
}

/// What the blamed linkers' Facts should be: the expectation, or another linker's Facts.
fn facts_diff(finding: &Finding<'_>) -> String {
    let complaint = &finding.sighting.complaint;
    let mut diff = String::new();
    for key in &complaint.keys {
        let _ =
            writeln!(diff, "# {}\n#   wanted {}\n#   found  {}", key.key, key.wanted, key.found);
    }
    let blamed = |name: &str| finding.sighting.linkers().any(|linker| linker == name);
    let trials = &finding.examined.trials;
    let other = trials.iter().find(|t| !blamed(t.linker.name()) && t.outcome.image().is_some());
    let wanted = match (&finding.examined.expected, other) {
        (Some(expected), _) if complaint.oracle != "agree" => {
            ("expected".to_owned(), expected.facts.to_string())
        }
        (_, Some(trial)) => (trial.linker.name().to_owned(), trial.facts.to_string()),
        (_, None) => return diff,
    };
    for trial in trials.iter().filter(|trial| blamed(trial.linker.name())) {
        let found = trial.facts.to_string();
        let lines = similar::TextDiff::from_lines(&wanted.1, &found);
        let unified = lines
            .unified_diff()
            .context_radius(1)
            .header(&wanted.0, trial.linker.name())
            .to_string();
        diff.push_str(&unified);
    }
    diff
}

/// What a linker did, in a word or two.
fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Linked(bytes) => format!("linked, {} bytes", bytes.len()),
        Outcome::Refused(class, _) => format!("refused: {}", class.code()),
        Outcome::Crashed(_) => "crashed".into(),
        Outcome::Hung => "hung".into(),
        Outcome::Unsupported(reason) => format!("not asked: {reason}"),
    }
}

fn verdict(finding: &Finding<'_>) -> serde_json::Value {
    let complaint = &finding.sighting.complaint;
    let ruling = &finding.examined.ruling;
    let linkers: Vec<_> = finding
        .examined
        .trials
        .iter()
        .zip(&ruling.verdicts)
        .map(|(trial, verdict)| {
            json!({
                "name": trial.linker.name(),
                "version": trial.linker.version(),
                "verdict": verdict.name(),
                "outcome": outcome_words(&trial.outcome),
            })
        })
        .collect();
    let keys: Vec<_> = complaint
        .keys
        .iter()
        .map(|key| json!({ "key": key.key, "wanted": key.wanted, "found": key.found }))
        .collect();
    json!({
        "signature": finding.sighting.signature,
        "class": finding.sighting.class(),
        "oracle": complaint.oracle,
        "shape": complaint.shape,
        "blamed": finding.sighting.linkers().collect::<Vec<_>>(),
        "validity": format!("{:?}", finding.case.validity),
        "target": finding.case.target.name(),
        "mode": finding.case.mode.name(),
        "origin": finding.origin,
        "linkers": linkers,
        "keys": keys,
        "detail": complaint.detail,
        "explained": ruling.explained,
    })
}

#[cfg(test)]
mod tests;
