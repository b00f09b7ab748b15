//! Printing verdicts and complaints for people.

use std::collections::{BTreeMap, BTreeSet};

use scold_diff::adapter::Shared;
use scold_diff::oracle::Verdict;
use scold_diff::{Request, desugar};
use scold_fuzz::campaign::Tally;
use scold_fuzz::emit;
use scold_fuzz::examine::Examined;

use crate::out::{out, outln};

/// A table of verdict counts, a line per linker; beside them how often keys differed that the specs leave
/// open.
pub(crate) fn tallies(linkers: &[Shared], verdicts: &BTreeMap<String, Tally>) {
    let bold = anstyle::Style::new().bold();
    let width = linkers.iter().map(|l| l.name().len()).max().unwrap_or(0).max(6);
    let heads = Verdict::ALL.iter().map(|v| format!("{:>10}", v.name())).collect::<String>();
    outln!("{bold}{:<width$}{heads}{:>10}  version{bold:#}", "linker", "(open)");
    for linker in linkers {
        let tally = verdicts.get(linker.name()).cloned().unwrap_or_default();
        let row = Verdict::ALL.iter().map(|v| format!("{:>10}", tally.get(*v))).collect::<String>();
        outln!("{:<width$}{row}{:>10}  {}", linker.name(), tally.open, linker.version());
    }
}

/// The objects that stand for the build mode of `request`, as assembler text.
pub(crate) fn desugared(request: &Request) {
    let texts = desugar::texts(request);
    for (name, source) in &texts {
        out!("{}{source}", emit::asm::added(request.target, name, source));
    }
    if texts.is_empty() {
        outln!("# {} adds nothing to this link", request.mode);
    }
}

/// What came of one link: each linker's verdict, then every complaint with its keys.
///
/// Gives whether there is news.
pub(crate) fn examined(examined: &Examined) -> bool {
    let bold = anstyle::Style::new().bold();
    for (trial, verdict) in examined.trials.iter().zip(&examined.ruling.verdicts) {
        use scold_diff::adapter::Outcome;
        let did = match &trial.outcome {
            Outcome::Linked(bytes) => format!("linked, {} bytes", bytes.len()),
            Outcome::Refused(class, said) => {
                format!("refused: {} ({})", class.code(), said.lines().next().unwrap_or_default())
            }
            Outcome::Crashed(said) => {
                format!("crashed: {}", said.lines().next().unwrap_or_default())
            }
            Outcome::Hung => "hung".into(),
            Outcome::Unsupported(reason) => format!("not judged: {reason}"),
        };
        outln!("{bold}{:<10}{bold:#} {:<9} {did}", trial.linker.name(), verdict.name());
    }
    for complaint in &examined.ruling.complaints {
        let known = complaint.known.as_ref().map(|link| format!("  known: {link}"));
        outln!(
            "\n{bold}{}{bold:#}  {}{}",
            complaint.class(),
            complaint.signature(&examined.request),
            known.unwrap_or_default()
        );
        for key in &complaint.keys {
            outln!("  {}\n    wanted {}\n    found  {}", key.key, key.wanted, key.found);
        }
    }
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (linker, _, reason) in &examined.ruling.open {
        reasons.entry(reason).or_default().insert(linker);
    }
    for (reason, linkers) in reasons {
        let linkers: Vec<&str> = linkers.into_iter().collect();
        outln!("\nnot judged: {reason} ({})", linkers.join(", "));
    }
    if !examined.ruling.explained.is_empty() {
        let mut explained = examined.ruling.explained.clone();
        explained.sort();
        explained.dedup();
        outln!("\nexplained: {}", explained.join(", "));
    }
    examined.ruling.news().next().is_some()
}
