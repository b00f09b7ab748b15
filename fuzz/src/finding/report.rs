//! `report.md`: a finding → text ready to paste into a tracker.
//!
//! It answers what maintainers ask: is the input valid, who does what, which is right and why, what
//! is the smallest input, how do I see it.

use std::fmt::Write as _;

use scold_diff::Format;

use super::{Finding, outcome_words, repro};
use crate::case::Validity;
use crate::{emit, text};

/// The report.
pub(super) fn markdown(finding: &Finding<'_>) -> String {
    let sighting = finding.sighting;
    let complaint = &sighting.complaint;
    let case = finding.case;
    let linkers: Vec<&str> = sighting.linkers().collect();
    let mut text = format!("# {}: {}\n\n", linkers.join(" or "), title(finding));
    let _ = writeln!(
        text,
        "Target {}, mode {} (`{}`). Class: {}. {}\n",
        case.target,
        case.mode,
        case.mode.args(case.target.format).join(" "),
        sighting.class(),
        validity(case.validity, specs(case.target.format))
    );
    if !case.beside.is_empty() {
        let _ = writeln!(
            text,
            "It takes {} links that run together: what follows is about the first; the others are in the case under `beside`.\n",
            1 + case.beside.len()
        );
    }
    table(&mut text, finding);
    which_is_right(&mut text, finding);
    text.push_str("\n## Input\n\n```text\n");
    text.push_str(&text::print(case));
    text.push_str("```\n");
    let assembler = match case.target.format {
        Format::Elf => "GNU as",
        Format::Macho => "clang",
    };
    let _ = write!(text, "\nAs assembler text ({assembler}):\n\n```asm\n");
    text.push_str(emit::asm::text(case, &finding.examined.request).trim_end());
    text.push_str("\n```\n");
    if let Some(trial) = finding.examined.trials.iter().find(|t| linkers.contains(&t.linker.name()))
    {
        let args = trial.linker.command(&finding.examined.request);
        let args: Vec<String> = args.iter().map(|arg| repro::quoted(arg)).collect();
        let program = trial
            .linker
            .program(finding.examined.request.target)
            .map(|path| path.display().to_string());
        let program = program.unwrap_or_else(|| "ld-scold".into());
        let _ = writeln!(text, "\nLinked with\n\n```sh\n{program} {} -o out\n```", args.join(" "));
    }
    let _ = write!(
        text,
        "\n## How to see it\n\n\
         `sh repro.sh` writes the objects, links them and exits 0 when the bug shows; `LD=PROGRAM sh repro.sh`\n\
         tries another build. With scold: `scold replay .`\n\n\
         Found by scold ({}), signature `{}`.\n",
        finding.origin, sighting.signature
    );
    if !complaint.detail.is_empty() {
        let _ =
            write!(text, "\n## What was said\n\n```text\n{}\n```\n", complaint.detail.trim_end());
    }
    text
}

/// The bug in a line.
fn title(finding: &Finding<'_>) -> String {
    let complaint = &finding.sighting.complaint;
    match complaint.keys.first() {
        Some(key) if key.key != "outcome" => {
            format!("{} — `{}` is {}, not {}", complaint.shape, key.key, key.found, key.wanted)
        }
        _ => complaint.shape.clone(),
    }
}

/// What decides about a format.
fn specs(format: Format) -> &'static str {
    match format {
        Format::Elf => "the gABI and the psABI",
        Format::Macho => "Mach-O's headers and what ld64 does",
    }
}

fn validity(validity: Validity, specs: &str) -> String {
    match validity {
        Validity::Defined => format!("The input is valid: {specs} decide what must come out."),
        Validity::ImplementationDefined => {
            "The input is accepted by common practice; the specs leave room.".into()
        }
        Validity::Invalid => "The input is invalid on purpose: a linker must refuse it.".into(),
    }
}

fn table(text: &mut String, finding: &Finding<'_>) {
    text.push_str("| linker | version | what it did | verdict |\n|---|---|---|---|\n");
    let verdicts = &finding.examined.ruling.verdicts;
    for (trial, verdict) in finding.examined.trials.iter().zip(verdicts) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            trial.linker.name(),
            trial.linker.version().replace('|', "/"),
            outcome_words(&trial.outcome).replace('|', "/"),
            verdict
        );
    }
}

fn which_is_right(text: &mut String, finding: &Finding<'_>) {
    let complaint = &finding.sighting.complaint;
    let expected = format!(
        "What must come out was computed from the input alone, by {}; no linker was asked.",
        specs(finding.case.target.format)
    );
    let why = match complaint.oracle {
        "expected" => &expected,
        "agree" => {
            "The linkers disagree. A majority is evidence, not proof: what the spec says decides."
        }
        "invariants" => "No spec allows this in any output, whatever the input.",
        "loader" => "What the output's own dynamic relocations and hash tables say is impossible.",
        "execute" => "Seen when the module was loaded and run with the platform's own loader.",
        "metamorphic" => {
            "The same link, written another way that may not matter, comes out otherwise."
        }
        "outcome" => "A linker must answer any input with an output or an error.",
        _ => "This is scold's own mistake.",
    };
    let _ =
        write!(text, "\n## What is wrong\n\n{why}\n\n| fact | wanted | found |\n|---|---|---|\n");
    for key in &complaint.keys {
        let cell = |value: &str| value.replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(text, "| `{}` | {} | {} |", key.key, cell(&key.wanted), cell(&key.found));
    }
}
