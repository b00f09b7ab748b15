//! Adapters: how to have one linker perform a [`Request`]. One file and one line each.
//!
//! A linker of the GNU style is one [`Linker`] row: how to find it, what to pass beside the request,
//! what it can't do, how its messages classify. [`Installed`] is such a row with a program of this
//! machine. Adapters must not know what is being compared, or why.

mod choose;
mod gnu_ld;
mod gold;
mod lld;
mod mold;
mod reference;
mod wild;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use choose::select;
pub use reference::Reference;

use crate::model::ErrorClass;
use crate::run::{self, End, Limits, Scratch};
use crate::{Arch, Format, Request, Target};

/// Every linker of the GNU style that scold knows, one line each.
pub static ADAPTERS: &[&Linker] =
    &[&gnu_ld::LINKER, &gold::LINKER, &lld::LINKER, &mold::LINKER, &wild::LINKER];

/// The name of the reference linker's adapter.
pub const REFERENCE: &str = "reference";

/// What came of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The output's bytes.
    Linked(Vec<u8>),
    /// Refused with a message, and its class.
    Refused(ErrorClass, String),
    /// Died of a signal (or panicked), with what it said.
    Crashed(String),
    /// Ran into the time or memory limit.
    Hung,
    /// Not asked: this linker is known not to do that, and why.
    Unsupported(&'static str),
}

impl Outcome {
    /// The output's bytes, if there is one.
    pub fn image(&self) -> Option<&[u8]> {
        match self {
            Self::Linked(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// One linker of this machine.
pub trait Adapter: Send + Sync {
    /// `reference`, `gnu_ld`, `gold`, `lld`, `lld-19`, `mold`, `wild`, or a name given by `--linker`.
    fn name(&self) -> &str;

    /// The version as it prints it, one line.
    fn version(&self) -> &str;

    /// Performs `request`; leaves nothing behind.
    fn link(&self, request: &Request, limit: Duration) -> Outcome;

    /// Which program it is, whatever its name here: `lld` for `lld-19`.
    fn family(&self) -> &str {
        self.name()
    }

    /// The program, for linkers that are one.
    fn program(&self) -> Option<&Path> {
        None
    }

    /// The full command line but for the program and `-o`, as [`Adapter::link`] passes it.
    fn command(&self, request: &Request) -> Vec<String> {
        request
            .mode
            .args()
            .iter()
            .map(|arg| (*arg).to_owned())
            .chain(request.args.clone())
            .collect()
    }

    /// The same linker with that many threads (one is the default: small links are fastest with
    /// one); none if it has no such option.
    fn with_threads(&self, threads: usize) -> Option<Shared> {
        let _ = threads;
        None
    }

    /// Links over an output of that length that is there already, full of `junk`; none if the output
    /// is not a file.
    fn link_over(
        &self,
        request: &Request,
        limit: Duration,
        junk: u8,
        len: usize,
    ) -> Option<Outcome> {
        let _ = (request, limit, junk, len);
        None
    }

    /// Joins the inputs with `-r`; none if it can't.
    fn join(&self, request: &Request, limit: Duration) -> Option<Outcome> {
        let _ = (request, limit);
        None
    }

    /// The version's numbers: `[22, 1, 8]`.
    fn release(&self) -> Vec<u32> {
        release(self.version())
    }
}

/// A linker of the GNU style, as a row.
#[derive(Debug)]
pub struct Linker {
    /// `gold`.
    pub name: &'static str,
    /// Names of the program, the first found is taken.
    pub programs: &'static [&'static str],
    /// Where several versions live beside each other: `ld.lld-` and a number.
    pub numbered: Option<&'static str>,
    /// Other places where it may be.
    pub hidden: fn() -> Option<PathBuf>,
    /// Whether the first line of `--version` is this linker's.
    pub is: fn(&str) -> bool,
    /// Arguments that make it do what the others do, before the request's.
    pub args: &'static [&'static str],
    /// How to set its number of threads, where it has any: `--threads=`.
    pub threads: Option<&'static str>,
    /// Arguments that it does not know, with the reason reported: a prefix of one argument.
    pub lacks: &'static [(&'static str, &'static str)],
    /// Messages that say "not written yet": a part of the message, and the reason reported.
    pub unsupported: &'static [(&'static str, &'static str)],
    /// Messages that own up to an internal failure, whatever the exit code.
    pub crash: &'static [&'static str],
    /// Classes by parts of the message, the first that matches counts.
    pub classes: &'static [(&'static str, ErrorClass)],
    /// How to get it: Debian package or cargo command.
    pub package: &'static str,
}

impl Linker {
    /// The class of a refusal with this message.
    ///
    /// A linker may report several errors, and reports them in its own order (an undefined symbol
    /// found while scanning comes after another's relocation); `RANK` makes one of them speak.
    pub fn classify(&self, message: &str) -> ErrorClass {
        let lines = message.lines().filter(|line| !line.contains("warning: "));
        let found = lines.filter_map(|line| {
            self.classes.iter().find(|(part, _)| matches(line, part)).map(|(_, class)| *class)
        });
        found.min_by_key(|class| rank(*class)).unwrap_or(ErrorClass::Other)
    }

    /// The programs of this machine that are this linker: name, path; the preferred one first.
    pub fn installed(&'static self) -> Vec<Installed> {
        let mut list = Vec::new();
        let mut numbered = self.numbered.map(run::find_numbered).unwrap_or_default();
        numbered.reverse();
        let plain = self.programs.iter().flat_map(|name| run::find(name));
        let plain = plain.chain(numbered.iter().map(|(_, path)| path.clone()));
        if let Some(found) = plain.chain((self.hidden)()).find_map(|p| self.probe(self.name, p)) {
            list.push(found);
        }
        list.extend(
            numbered
                .into_iter()
                .filter_map(|(number, path)| self.probe(&format!("{}-{number}", self.name), path)),
        );
        list
    }

    /// `path` as this linker, if it says that it is.
    fn probe(&'static self, name: &str, path: PathBuf) -> Option<Installed> {
        let version = banner(&path)?;
        (self.is)(&version).then(|| Installed {
            name: name.into(),
            linker: self,
            path,
            version,
            threads: 1,
        })
    }
}

/// Which of several errors speaks for a refusal: what resolution finds, then what relocation finds;
/// what is often only a consequence of those ("bad value") last.
const RANK: &[ErrorClass] = &[
    ErrorClass::DuplicateSymbol,
    ErrorClass::TlsMismatch,
    ErrorClass::UndefinedVersion,
    ErrorClass::UndefinedSymbol,
    ErrorClass::RelocUnsupported,
    ErrorClass::RelocDynamic,
    ErrorClass::RelocMisaligned,
    ErrorClass::RelocOverflow,
    ErrorClass::WrongMachine,
    ErrorClass::MissingFile,
];

/// The place of `class` in [`RANK`]; behind it if it has none.
fn rank(class: ErrorClass) -> usize {
    RANK.iter().position(|other| *other == class).unwrap_or(RANK.len())
}

/// Whether `line` has the parts of `pattern`, which `*` separates, in order.
fn matches(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// The first line of `--version`.
fn banner(path: &Path) -> Option<String> {
    let limits = Limits::wall(Duration::from_secs(10));
    let run = run::run(path, &["--version"], Path::new("/"), &[], limits).ok()?;
    (run.end == End::Exit(0)).then(|| run.out().lines().next().unwrap_or_default().trim().into())
}

/// The first dotted number of a version line; none gives an empty list.
///
/// gold's banner starts with the version of binutils, which is the one that people know.
pub fn release(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| word.split('.').map_while(|part| part.parse().ok()).collect())
        .unwrap_or_default()
}

/// A [`Linker`] with a program of this machine.
#[derive(Clone, Debug)]
pub struct Installed {
    name: String,
    linker: &'static Linker,
    path: PathBuf,
    version: String,
    threads: usize,
}

impl Installed {
    /// The linker at `path`, called `name`; recognised by its `--version`, else called like GNU ld.
    ///
    /// Errors: no program there, or one that has no `--version`.
    pub fn at(name: &str, path: &Path) -> Result<Self, String> {
        // It is run in other folders than this one.
        let path = &std::path::absolute(path).map_err(|e| format!("`{}`: {e}", path.display()))?;
        let version =
            banner(path).ok_or_else(|| format!("`{}` has no --version", path.display()))?;
        let linker = ADAPTERS.iter().find(|linker| (linker.is)(&version));
        let linker = linker.copied().unwrap_or(&gnu_ld::LINKER);
        Ok(Self { name: name.into(), linker, path: path.into(), version, threads: 1 })
    }

    /// Runs the linker on the files that are in `scratch` already.
    fn perform(&self, mut args: Vec<String>, scratch: &Scratch, limit: Duration) -> Outcome {
        args.extend(["-o".into(), OUTPUT.into()]);
        let run = match run::run(&self.path, &args, scratch.path(), &[], Limits::wall(limit)) {
            Ok(run) => run,
            Err(error) => return self.broken(&error),
        };
        let said = run.err();
        let failure = said.lines().find(|line| self.linker.crash.iter().any(|c| matches(line, c)));
        match run.end {
            End::Timeout => Outcome::Hung,
            End::Signal(signal) => Outcome::Crashed(format!("signal {signal}: {said}")),
            End::Exit(_) if failure.is_some() => Outcome::Crashed(said),
            End::Exit(0) => match std::fs::read(scratch.path().join(OUTPUT)) {
                Ok(bytes) => Outcome::Linked(bytes),
                Err(error) => Outcome::Crashed(format!("exited 0 without an output: {error}")),
            },
            End::Exit(_) => self.refusal(said),
        }
    }

    /// A failure of this machine is not the linker's: nobody judges it, and the command says so.
    fn broken(&self, error: &std::io::Error) -> Outcome {
        run::note_trouble(&self.path.display().to_string(), error);
        Outcome::Unsupported("it could not be run here")
    }

    /// Why this linker is known not to do what `request` asks for.
    fn lack(&self, request: &Request) -> Option<&'static str> {
        let asked = |prefix: &str| request.args.iter().any(|arg| arg.starts_with(prefix));
        let lacks = self.linker.lacks.iter();
        lacks.filter(|(prefix, _)| asked(prefix)).map(|(_, reason)| *reason).next()
    }

    fn refusal(&self, said: String) -> Outcome {
        if said.contains("out of memory") || said.contains("memory exhausted") {
            return Outcome::Hung;
        }
        let unsupported = self
            .linker
            .unsupported
            .iter()
            .find(|(part, _)| said.lines().any(|line| matches(line, part)));
        match unsupported {
            Some((_, reason)) => Outcome::Unsupported(reason),
            None => Outcome::Refused(self.linker.classify(&said), said),
        }
    }
}

impl Adapter for Installed {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn family(&self) -> &str {
        self.linker.name
    }

    fn program(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn command(&self, request: &Request) -> Vec<String> {
        let emulation = emulation(request.target).map(|name| ["-m", name]);
        let common = COMMON.iter().chain(emulation.iter().flatten());
        let mode = request.mode.args().iter();
        let interp = if request.mode.is_library() { &[][..] } else { INTERPRETER };
        let given = common.chain(self.linker.args).chain(interp).chain(mode);
        let mut args: Vec<String> = given.map(|arg| (*arg).to_owned()).collect();
        args.extend(self.linker.threads.map(|flag| format!("{flag}{}", self.threads)));
        args.extend(request.args.iter().cloned());
        args
    }

    fn with_threads(&self, threads: usize) -> Option<Shared> {
        self.linker.threads?;
        Some(Arc::new(Self { threads, ..self.clone() }))
    }

    fn link(&self, request: &Request, limit: Duration) -> Outcome {
        if let Some(reason) = self.lack(request) {
            return Outcome::Unsupported(reason);
        }
        match Scratch::with(&request.files) {
            Ok(scratch) => self.perform(self.command(request), &scratch, limit),
            Err(error) => self.broken(&error),
        }
    }

    fn link_over(
        &self,
        request: &Request,
        limit: Duration,
        junk: u8,
        len: usize,
    ) -> Option<Outcome> {
        let ready = Scratch::with(&request.files)
            .and_then(|scratch| scratch.write(OUTPUT, &vec![junk; len]).map(|_| scratch));
        Some(match ready {
            Ok(scratch) => self.perform(self.command(request), &scratch, limit),
            Err(error) => self.broken(&error),
        })
    }

    fn join(&self, request: &Request, limit: Duration) -> Option<Outcome> {
        if let Some(reason) = self.lack(request) {
            return Some(Outcome::Unsupported(reason));
        }
        let scratch = match Scratch::with(&request.files) {
            Ok(scratch) => scratch,
            Err(error) => return Some(self.broken(&error)),
        };
        let mut args = vec!["-r".to_owned()];
        args.extend(emulation(request.target).map(|name| format!("-m{name}")));
        args.extend(self.linker.threads.map(|flag| format!("{flag}{}", self.threads)));
        args.extend(request.args.iter().cloned());
        Some(self.perform(args, &scratch, limit))
    }
}

/// The output's name; no request has a file of this name.
const OUTPUT: &str = "scold.out";

/// What every linker is told, so that defaults don't differ; the request's own arguments come later
/// and win.
const COMMON: &[&str] = &[
    "-z",
    "relro",
    "-z",
    "noexecstack",
    "--eh-frame-hdr",
    "--build-id=none",
    "--hash-style=both",
    "--enable-new-dtags",
    "--allow-shlib-undefined",
];

/// For executables, as gcc passes it.
pub(crate) const INTERPRETER: &[&str] = &["-dynamic-linker", "/lib64/ld-linux-x86-64.so.2"];

fn emulation(target: Target) -> Option<&'static str> {
    match (target.arch, target.format) {
        (Arch::Amd64, Format::Elf) => Some("elf_x86_64"),
        (Arch::Arm64, Format::Elf) => Some("aarch64linux"),
        (Arch::Arm, Format::Elf) => Some("armelf_linux_eabi"),
        (_, Format::Macho) => None,
    }
}

/// A shared adapter.
pub type Shared = Arc<dyn Adapter>;

#[cfg(test)]
mod tests;
