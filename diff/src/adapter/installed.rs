//! A linker of this machine: its row and the programs that serve each target.
//!
//! Looks programs up, runs them on a request and reads how that ended. It must not know any one linker.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{ADAPTERS, Adapter, Linker, OUTPUT, Outcome, Port, Shared};
use super::{basic, gnu_ld, matches, release};
use crate::run::{self, End, Limits, Scratch};
use crate::{Request, Target};

/// A [`Linker`] with a program of this machine.
#[derive(Clone, Debug)]
pub struct Installed {
    name: String,
    linker: &'static Linker,
    /// At least one; the linker's own program first.
    served: Vec<Served>,
    threads: usize,
}

/// A port and the program that serves it here.
#[derive(Clone, Debug)]
struct Served {
    port: &'static Port,
    path: PathBuf,
    version: String,
}

impl Linker {
    /// The programs of this machine that are this linker; the preferred one first. That one serves
    /// the targets that have programs of their own too.
    pub fn installed(&'static self) -> Vec<Installed> {
        let mut numbered = self.numbered.map(run::find_numbered).unwrap_or_default();
        numbered.reverse();
        let plain = self.programs.iter().flat_map(|name| run::find(name));
        let plain = plain.chain(numbered.iter().map(|(_, path)| path.clone()));
        let plain = plain.chain((self.hidden)());
        let own = plain.map(|path| self.serve(&path)).find(|served| !served.is_empty());
        let mut served = own.unwrap_or_default();
        for port in self.ports {
            if !served.iter().any(|other| other.port.target == port.target) {
                let paths = port.programs.iter().flat_map(|name| run::find(name));
                let mut all = paths.flat_map(|path| self.serve(&path));
                served.extend(all.find(|other| other.port.target == port.target));
            }
        }
        let first = (self.name.to_owned(), served);
        let rest = numbered
            .iter()
            .map(|(number, path)| (format!("{}-{number}", self.name), self.serve(path)));
        let all = std::iter::once(first).chain(rest).filter(|(_, served)| !served.is_empty());
        all.map(|(name, served)| Installed { name, linker: self, served, threads: 1 }).collect()
    }

    /// What `path` serves, if it says that it is this linker.
    fn serve(&'static self, path: &Path) -> Vec<Served> {
        let banner = banner(path, self.version);
        let Some(version) = banner.filter(|version| (self.is)(version)) else {
            return Vec::new();
        };
        let listed = self.lists.then(|| said(path, "-V")).flatten();
        let can = |port: &&Port| {
            let name = port.listed.unwrap_or(port.target.arch.emulation());
            listed.as_ref().is_none_or(|list| list.split_whitespace().any(|word| word == name))
        };
        let all = self.ports.iter().filter(can);
        all.map(|port| Served { port, path: path.into(), version: version.clone() }).collect()
    }
}

/// The first line of what the program prints for `arg`; ld64 prints it where errors go.
fn banner(path: &Path, arg: &str) -> Option<String> {
    Some(said(path, arg)?.trim().lines().next().unwrap_or_default().trim().into())
}

/// What the program prints for `arg`.
fn said(path: &Path, arg: &str) -> Option<String> {
    let limits = Limits::wall(Duration::from_secs(10));
    let run = run::run(path, &[arg], Path::new("/"), &[], limits).ok()?;
    (run.end == End::Exit(0)).then(|| run.out() + &run.err())
}

/// What a linker said, with its warnings at the end: they have no part in a crash.
fn warnings_last(said: &str) -> String {
    let (warnings, rest): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.contains("warning:"));
    [rest, warnings].concat().join("\n")
}

impl Installed {
    /// The linker at `path`, called `name`; recognised by how it tells its version, else called like GNU ld,
    /// and believed to serve every target of that.
    ///
    /// Errors: no program there, one that has no `--version`, or one that serves no target of ours.
    pub fn at(name: &str, path: &Path) -> Result<Self, String> {
        // It is run in other folders than this one.
        let path = &std::path::absolute(path).map_err(|e| format!("`{}`: {e}", path.display()))?;
        let mut ways: Vec<&str> = ADAPTERS.iter().map(|linker| linker.version).collect();
        ways.dedup();
        let banners: Vec<_> =
            ways.iter().filter_map(|way| Some((*way, banner(path, way)?))).collect();
        let (_, version) =
            banners.first().ok_or_else(|| format!("`{}` has no --version", path.display()))?;
        let is = |linker: &&Linker| {
            banners.iter().any(|(way, banner)| *way == linker.version && (linker.is)(banner))
        };
        let linker = ADAPTERS.iter().copied().find(is);
        let stranger = |port| Served { port, path: path.clone(), version: version.clone() };
        let served = match linker {
            Some(linker) => linker.serve(path),
            None => gnu_ld::LINKER.ports.iter().map(stranger).collect(),
        };
        if served.is_empty() {
            return Err(format!("`{}` links for no target that scold knows", path.display()));
        }
        let linker = linker.unwrap_or(&gnu_ld::LINKER);
        Ok(Self { name: name.into(), linker, served, threads: 1 })
    }

    /// The same, called `name`.
    pub(super) fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// What links for `target`.
    fn served(&self, target: Target) -> Option<&Served> {
        self.served.iter().find(|served| served.port.target == target)
    }

    /// The same, its programs somewhere else.
    #[cfg(test)]
    pub(super) fn move_to(&mut self, path: &Path) {
        self.served.iter_mut().for_each(|served| served.path = path.into());
    }

    /// The targets it serves, each with the program and its version.
    pub fn targets(&self) -> impl Iterator<Item = (Target, &Path, &str)> {
        self.served.iter().map(|served| (served.port.target, &*served.path, &*served.version))
    }

    /// Runs the linker on the files that are in `scratch` already.
    fn perform(
        &self,
        served: &Served,
        mut args: Vec<String>,
        files: &io::Result<Scratch>,
        limit: Duration,
    ) -> Outcome {
        let env = self.linker.env;
        args.extend(["-o".into(), OUTPUT.into()]);
        let scratch = match files {
            Ok(scratch) => scratch,
            Err(error) => return served.broken(error),
        };
        let run = match run::run(&served.path, &args, scratch.path(), env, Limits::wall(limit)) {
            Ok(run) => run,
            Err(error) => return served.broken(&error),
        };
        let said = run.err();
        let failure = said.lines().find(|line| self.linker.crash.iter().any(|c| matches(line, c)));
        match run.end {
            End::Timeout => Outcome::Hung,
            End::Signal(signal) => {
                Outcome::Crashed(format!("signal {signal}: {}", warnings_last(&said)))
            }
            End::Exit(_) if failure.is_some() => Outcome::Crashed(said),
            End::Exit(0) => match std::fs::read(scratch.path().join(OUTPUT)) {
                Ok(bytes) => Outcome::Linked(bytes),
                Err(error) => Outcome::Crashed(format!("exited 0 without an output: {error}")),
            },
            End::Exit(_) => self.refusal(served, said),
        }
    }

    /// What links as `request` asks.
    ///
    /// Errors: why this linker is known not to do that.
    fn asked(&self, request: &Request) -> Result<&Served, Outcome> {
        let mode = request.mode.args(request.target.format);
        let asked = |prefix: &str| {
            let mut given = mode.iter().copied().chain(request.args.iter().map(String::as_str));
            given.any(|arg| arg.starts_with(prefix))
        };
        if let Some((_, reason)) = self.linker.lacks.iter().find(|(prefix, _)| asked(prefix)) {
            return Err(Outcome::Unsupported(reason));
        }
        self.served(request.target).ok_or(Outcome::Unsupported("it does not link for this target"))
    }

    fn refusal(&self, served: &Served, said: String) -> Outcome {
        if said.contains("out of memory") || said.contains("memory exhausted") {
            return Outcome::Hung;
        }
        let unsupported = self
            .linker
            .unsupported
            .iter()
            .chain(served.port.unsupported)
            .find(|(part, _)| said.lines().any(|line| matches(line, part)));
        match unsupported {
            Some((_, reason)) => Outcome::Unsupported(reason),
            None => Outcome::Refused(self.linker.classify(&said), said),
        }
    }
}

impl Served {
    /// A failure of this machine is not the linker's: nobody judges it, and the command says so.
    fn broken(&self, error: &io::Error) -> Outcome {
        run::note_trouble(&self.path.display().to_string(), error);
        Outcome::Unsupported("it could not be run here")
    }
}

impl Adapter for Installed {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        self.served.first().map_or("", |served| &served.version)
    }

    fn family(&self) -> &str {
        self.linker.name
    }

    fn serves(&self, target: Target) -> bool {
        self.served(target).is_some()
    }

    fn program(&self, target: Target) -> Option<&Path> {
        self.served(target).map(|served| &*served.path)
    }

    fn command(&self, request: &Request) -> Vec<String> {
        if let Some(words) = self.linker.words {
            return words(request);
        }
        let given = self.linker.args.iter().chain(request.mode.args(request.target.format));
        let mut args = basic(request);
        args.extend(given.map(|arg| (*arg).to_owned()));
        let release = release(self.version()).first().copied().unwrap_or(0);
        let newer = self.linker.newer.iter().filter(|(since, _)| release >= *since);
        args.extend(newer.map(|(_, arg)| (*arg).to_owned()));
        args.extend(self.linker.threads.map(|flag| format!("{flag}{}", self.threads)));
        args.extend(request.args.iter().cloned());
        args
    }

    fn with_threads(&self, threads: usize) -> Option<Shared> {
        self.linker.threads?;
        Some(Arc::new(Self { threads, ..self.clone() }))
    }

    fn link(&self, request: &Request, limit: Duration) -> Outcome {
        match self.asked(request) {
            Ok(served) => {
                let files = Scratch::with(&request.files);
                self.perform(served, self.command(request), &files, limit)
            }
            Err(why) => why,
        }
    }

    fn link_over(
        &self,
        request: &Request,
        limit: Duration,
        junk: u8,
        len: usize,
    ) -> Option<Outcome> {
        let served = self.served(request.target)?;
        let ready = Scratch::with(&request.files)
            .and_then(|scratch| scratch.write(OUTPUT, &vec![junk; len]).map(|_| scratch));
        Some(self.perform(served, self.command(request), &ready, limit))
    }

    fn join(&self, request: &Request, limit: Duration) -> Option<Outcome> {
        let served = match self.asked(request) {
            Ok(served) => served,
            Err(why) => return Some(why),
        };
        let mut args = vec!["-r".to_owned()];
        args.push(format!("-m{}", request.target.arch.emulation()));
        args.extend(self.linker.threads.map(|flag| format!("{flag}{}", self.threads)));
        args.extend(request.args.iter().cloned());
        Some(self.perform(served, args, &Scratch::with(&request.files), limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_told_before_warnings() {
        let said = "mold: warning: no w2\nmold.h:2310: Assertion failed.";
        assert!(warnings_last(said).starts_with("mold.h:2310"));
    }
}
