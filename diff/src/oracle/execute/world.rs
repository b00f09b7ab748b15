//! Modules that run together: a host, its guests and what they must answer in; who linked them wrong out.
//!
//! Every linker makes all modules of a world; then the platform's loader loads them in every order that a drill
//! wants, each drill in a process of its own. It must not know why an answer is wanted.

use std::io;

use super::host::Host;
use super::platform::Platform;
use crate::adapter::{Outcome, Shared};
use crate::divergence::Question;
use crate::oracle::reach::Reach;
use crate::oracle::{Complaint, Evidence, Mismatch, Relocations, Ruling, Trial};
use crate::run::{End, Run};
use crate::{File, Key, Request, Value};

/// A command to the host (`host.c` has them), the answer it must give, and the rule that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The command.
    pub command: String,
    /// The answer.
    pub wanted: String,
    /// The rule: `module list`, `one copy`.
    pub rule: &'static str,
    /// The fact of a module that it shows: what explains another value there explains another answer.
    pub fact: Option<(usize, Key)>,
}

/// Modules that run together.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Their links; the first one is the host, or a library that takes its place. They are loaded from `./module.N`.
    pub modules: Vec<Request>,
    /// Which of them the evidence is about.
    pub own: usize,
    /// What is wrong with each of them by itself, known or not; nothing for the one that the evidence is about.
    pub wrong: Vec<Vec<Complaint>>,
    /// What the host is told, from nothing each time.
    pub drills: Vec<Vec<Line>>,
}

/// Plays `stage` with what each linker of `evidence` makes of it.
pub fn play(stage: &Stage, evidence: &Evidence<'_>, ruling: &mut Ruling) {
    let Some(host) = Platform::of(evidence.request.target) else { return };
    let host = match Host::get(host) {
        Ok(host) => host,
        Err(why) => {
            ruling.skipped.push(format!("execute: no program loads modules: {why}"));
            return;
        }
    };
    for trial in evidence.trials {
        let Some(images) = images(stage, trial, evidence) else { continue };
        let answers = || answers(host, stage, &images, evidence);
        let judged = (evidence, &*ruling.complaints);
        let mut found = Ruling::default();
        let mut played = answers().map(|all| compare(stage, trial, &all, judged, &mut found));
        if played.is_ok() && !found.complaints.is_empty() {
            // What is wrong with a module is wrong each time; what happened to an emulator, or to this machine, isn't.
            let mut again = Ruling::default();
            played = answers().map(|all| compare(stage, trial, &all, judged, &mut again));
            if again.complaints.is_empty() && played.is_ok() {
                let why = "execute: a world that failed did not the second time";
                ruling.skipped.push(why.to_owned());
            }
            found = again;
        }
        match played {
            Ok(()) => {
                ruling.complaints.append(&mut found.complaints);
                ruling.explained.append(&mut found.explained);
            }
            Err(error) => {
                ruling.skipped.push(format!("execute: a world could not be run: {error}"));
            }
        }
    }
}

/// All modules as this linker makes them; none if it refuses one: that is not this oracle's to judge.
fn images(stage: &Stage, trial: &Trial, evidence: &Evidence<'_>) -> Option<Vec<Vec<u8>>> {
    let make = |(number, request): (usize, &Request)| {
        if number == stage.own {
            return trial.outcome.image().map(<[u8]>::to_vec);
        }
        match trial.linker.link(request, evidence.limit) {
            Outcome::Linked(image) => Some(image),
            _ => None,
        }
    };
    stage.modules.iter().enumerate().map(make).collect()
}

/// What was answered in one drill.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answers {
    /// These lines.
    Lines(Vec<String>),
    /// There was no drill: what came of the program.
    Nothing(String),
}

/// The answers of every drill. All are played by one program; if it runs out of time the rest is played by another, so
/// that the limit is one for each drill.
fn answers(
    host: &Host,
    stage: &Stage,
    images: &[Vec<u8>],
    evidence: &Evidence<'_>,
) -> io::Result<Vec<Answers>> {
    let mut all = Vec::new();
    while all.len() < stage.drills.len() {
        let run = run(host, stage, &stage.drills[all.len()..], images, evidence)?;
        let mut played = split(&run.out());
        let late = run.end == End::Timeout;
        let goes_on = late && played.len() > 1;
        if late {
            // The last one was under way.
            played.pop();
        }
        all.extend(played.into_iter().map(Answers::Lines));
        if !goes_on {
            let found = if late { "hang" } else { "nothing" };
            let said = format!("{found} {:?} {}", run.end, run.err());
            all.resize(stage.drills.len(), Answers::Nothing(said));
        }
    }
    Ok(all)
}

/// The lines of each drill.
fn split(out: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for line in out.lines() {
        match (line, all.last_mut()) {
            ("drill", _) => all.push(Vec::new()),
            (_, Some(last)) => last.push(line.to_owned()),
            _ => {}
        }
    }
    all
}

fn run(
    host: &Host,
    stage: &Stage,
    drills: &[Vec<Line>],
    images: &[Vec<u8>],
    evidence: &Evidence<'_>,
) -> io::Result<Run> {
    let first = stage.modules.first().unwrap_or(evidence.request);
    let mut files = Vec::new();
    for ((number, request), image) in stage.modules.iter().enumerate().zip(images) {
        let name = format!("module.{number}");
        files.push(File { name, bytes: image.as_slice().into() });
        // Libraries that one of them needs.
        let libraries = request.files.iter().filter(|file| file.bytes.get(16) == Some(&3));
        for library in libraries {
            if !files.iter().any(|file| file.name == library.name) {
                files.push(library.clone());
            }
        }
    }
    let mut script = String::new();
    for drill in drills {
        script.push_str("drill\n");
        for line in drill {
            script.push_str(&line.command);
            script.push('\n');
        }
    }
    let program = (!first.mode.is_library()).then_some("module.0");
    host.perform(&files, program, &script, evidence.limit)
}

/// What explains why `found` is the answer: a divergence, or a known bug. That of the module that the evidence is about
/// is left to those who count it.
fn explained(
    line: &Line,
    found: &str,
    stage: &Stage,
    linker: &Shared,
    evidence: &Evidence<'_>,
) -> Option<String> {
    let (module, key) = line.fact.as_ref()?;
    let request = stage.modules.get(*module)?;
    let text = |text: &str| Value::Text(text.into());
    let question = Question {
        request,
        linker: &**linker,
        key,
        relocation: None,
        relocations: &Relocations::of(request),
        found: Some(&text(found)),
        wanted: Some(&text(&line.wanted)),
    };
    if let Some(entry) = evidence.rules.explain(&question) {
        return Some(entry.id.clone());
    }
    if *module == stage.own {
        return None;
    }
    let key = line.command.clone();
    let mismatch = Mismatch { key, found: found.into(), wanted: line.wanted.clone() };
    let complaint = Complaint {
        oracle: "execute",
        linker: linker.name().into(),
        shape: format!("world: {}", line.rule),
        keys: vec![mismatch],
        detail: String::new(),
        known: None,
    };
    let signature = complaint.signature(request);
    Some(evidence.rules.known(request, Some(&**linker), &signature, &complaint)?.link.clone())
}

/// Holds what was answered against what is wanted; `own` is what is wrong with the module that the evidence is about.
fn compare(
    stage: &Stage,
    trial: &Trial,
    answers: &[Answers],
    (evidence, own): (&Evidence<'_>, &[Complaint]),
    ruling: &mut Ruling,
) {
    let name = trial.linker.name();
    let mut wrong: Vec<&[Complaint]> = stage.wrong.iter().map(Vec::as_slice).collect();
    if let Some(wrong) = wrong.get_mut(stage.own) {
        *wrong = own;
    }
    let mut complain = |shape: &str, key: String, found: &str, wanted: &str| {
        let mismatch = Mismatch { key, found: found.into(), wanted: wanted.into() };
        ruling.complain("execute", name, shape, mismatch, "");
    };
    let mut reasons = Vec::new();
    for (number, (drill, answers)) in stage.drills.iter().zip(answers).enumerate() {
        let played = match answers {
            Answers::Lines(lines) => lines,
            Answers::Nothing(said) => {
                complain("world: does not load", format!("drill {number}"), said, "answers");
                break;
            }
        };
        for (at, line) in drill.iter().enumerate() {
            let found = played.get(at).map_or("nothing", String::as_str);
            if found == line.wanted {
                continue;
            }
            let crashed = found.starts_with("crash");
            let why = explained(line, found, stage, &trial.linker, evidence);
            if let Some(why) = why.filter(|_| !crashed) {
                reasons.push(why);
                continue;
            }
            if crashed && is_lost(stage, &wrong, name, &line.command) {
                break;
            }
            let shape = match crashed {
                true => format!("world: crash: {}", line.rule),
                false => format!("world: {}", line.rule),
            };
            let before: Vec<&str> =
                drill[..at].iter().filter(|l| l.rule == "load").map(|l| &*l.command).collect();
            let key = format!("{} after {}", line.command, before.join(", "));
            complain(&shape, key, found, &line.wanted);
            // What follows may follow from it.
            break;
        }
    }
    ruling.explained.extend(reasons);
}

/// Whether a function that `command` calls has a wrong site of its own, of which its module's complaints tell: it
/// need not come back.
fn is_lost(stage: &Stage, wrong: &[&[Complaint]], linker: &str, command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    words.windows(2).any(|pair| {
        let (Ok(module), Some(name)) = (pair[0].parse::<usize>(), pair[1].strip_prefix("call:"))
        else {
            return false;
        };
        let (Some(request), Some(wrong)) = (stage.modules.get(module), wrong.get(module)) else {
            return false;
        };
        let wrong = wrong.iter().filter(|complaint| complaint.linker == linker);
        let keys: Vec<&str> =
            wrong.flat_map(|complaint| &complaint.keys).map(|key| &*key.key).collect();
        !keys.is_empty() && Reach::of(request).is_wrong(name, keys)
    })
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lines_belong_to_the_drill_before_them() {
        let said = "noise\ndrill\nloaded\n1 2 .\ndrill\ndrill\ncrash 11\n";
        assert_eq!(split(said), [vec!["loaded", "1 2 ."], vec![], vec!["crash 11"]]);
        assert!(split("").is_empty());
    }
}
