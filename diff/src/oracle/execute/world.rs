//! Modules that run together: a host, its guests and what they must answer in; who linked them wrong out.
//!
//! Every linker makes all modules of a world; then the platform's loader loads them in every order that a drill
//! wants, each drill in a process of its own. It must not know why an answer is wanted.

use std::io;

use super::host::Host;
use super::platform::Platform;
use crate::adapter::Outcome;
use crate::oracle::{Evidence, Mismatch, Ruling, Trial};
use crate::run::{End, Run};
use crate::{File, Request};

/// A command to the host (`host.c` has them), the answer it must give, and the rule that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The command.
    pub command: String,
    /// The answer.
    pub wanted: String,
    /// The rule: `module list`, `one copy`.
    pub rule: &'static str,
}

/// Modules that run together.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Their links; the first one is the host, or a library that takes its place. They are loaded from `./module.N`.
    pub modules: Vec<Request>,
    /// Which of them the evidence is about.
    pub own: usize,
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
        match run(host, stage, &images, evidence) {
            Ok(run) => compare(stage, trial, &run, ruling),
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

fn run(host: &Host, stage: &Stage, images: &[Vec<u8>], evidence: &Evidence<'_>) -> io::Result<Run> {
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
    for drill in &stage.drills {
        script.push_str("drill\n");
        for line in drill {
            script.push_str(&line.command);
            script.push('\n');
        }
    }
    let program = (!first.mode.is_library()).then_some("module.0");
    host.perform(&files, program, &script, evidence.limit)
}

/// Holds what was printed against what is wanted.
fn compare(stage: &Stage, trial: &Trial, run: &Run, ruling: &mut Ruling) {
    let name = trial.linker.name();
    let mut complain = |shape: &str, key: String, found: &str, wanted: &str| {
        let mismatch = Mismatch { key, found: found.into(), wanted: wanted.into() };
        ruling.complain("execute", name, shape, mismatch, "");
    };
    let out = run.out();
    let lines: Vec<&str> = out.lines().collect();
    let begins = lines.iter().enumerate().filter(|(_, line)| **line == "drill").map(|(at, _)| at);
    let begins: Vec<usize> = begins.collect();
    for (number, drill) in stage.drills.iter().enumerate() {
        let played = begins.get(number).map(|begin| {
            let end = begins.get(number + 1).copied().unwrap_or(lines.len());
            lines.get(begin + 1..end).unwrap_or_default()
        });
        let Some(played) = played else {
            let found = if run.end == End::Timeout { "hang" } else { "nothing" };
            let said = format!("{found} {:?} {}", run.end, run.err());
            complain("world: does not load", format!("drill {number}"), &said, "answers");
            return;
        };
        for (at, line) in drill.iter().enumerate() {
            let found = played.get(at).copied().unwrap_or("nothing");
            if found == line.wanted {
                continue;
            }
            let shape = match found.starts_with("crash") {
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
}
