//! Adapters: how to have one linker perform a [`Request`]. One file and one line each.
//!
//! A linker of the GNU style, or one that is called as ld64 is, is one [`Linker`] row: how to find it, what to pass beside the request,
//! what it can't do, how its messages classify. [`Installed`] is such a row with a program of this
//! machine. Adapters must not know what is being compared, or why.

mod choose;
mod gnu_ld;
mod gold;
mod installed;
pub(crate) mod ld64;
mod ld64_lld;
mod lld;
mod mold;
mod reference;
mod wild;
mod zig;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use choose::select;
pub use installed::Installed;
pub use reference::Reference;

use crate::model::ErrorClass;
use crate::{File, Format, Request, Target};

/// Every linker that scold knows, one line each: those of the GNU style, then those that are called as ld64.
pub static ADAPTERS: &[&Linker] = &[
    &gnu_ld::LINKER,
    &gold::LINKER,
    &lld::LINKER,
    &mold::LINKER,
    &wild::LINKER,
    &ld64::LINKER,
    &ld64_lld::LINKER,
    &zig::LINKER,
];

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

    /// Whether it links for `target`; it is not asked otherwise.
    fn serves(&self, target: Target) -> bool {
        let _ = target;
        true
    }

    /// The program that links for `target`, for linkers that are programs.
    fn program(&self, target: Target) -> Option<&Path> {
        let _ = target;
        None
    }

    /// The full command line but for the program and `-o`, as [`Adapter::link`] passes it.
    fn command(&self, request: &Request) -> Vec<String> {
        request
            .mode
            .args(request.target.format)
            .iter()
            .map(|arg| (*arg).to_owned())
            .chain(request.args.clone())
            .collect()
    }

    /// The files that go with [`Adapter::command`], as [`Adapter::link`] gives them to the linker.
    fn files(&self, request: &Request) -> Vec<File> {
        request.files.clone()
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

    /// The permissions of the file that it makes of `request`, and those of one made with 0777 beside it: there the
    /// umask shows. None if nobody promises any.
    fn file_mode(&self, request: &Request, limit: Duration) -> Option<(u32, u32)> {
        let _ = (request, limit);
        None
    }

    /// What it makes of `request` on [`NOWHERE`]; none from those that know no modes.
    fn elsewhere(&self, request: &Request, limit: Duration) -> Option<Outcome> {
        let _ = (request, limit);
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

/// A system that has none of the build modes that are linked here.
pub const NOWHERE: &str = "windows";

/// A linker, as a row. All its targets are of one format, which says how it is called.
#[derive(Debug)]
pub struct Linker {
    /// `gold`.
    pub name: &'static str,
    /// The targets it can serve.
    pub ports: &'static [Port],
    /// Whether `-V` lists the emulations that a program of it was built with: not all of them.
    pub lists: bool,
    /// Names of the program, the first found is taken.
    pub programs: &'static [&'static str],
    /// Where several versions live beside each other: `ld.lld-` and a number.
    pub numbered: Option<&'static str>,
    /// Other places where it may be.
    pub hidden: fn() -> Option<PathBuf>,
    /// What makes it tell its version: `--version`, and what ld64 has instead of it.
    pub version: &'static str,
    /// Whether the first line of that is this linker's.
    pub is: fn(&str) -> bool,
    /// The arguments of a request in its own words, if it is called as no other is.
    pub words: Option<fn(&Request) -> Vec<String>>,
    /// What it needs in its environment; paths are relative to the folder of the link.
    pub env: &'static [(&'static str, &'static str)],
    /// Arguments that make it do what the others do, before the request's.
    pub args: &'static [&'static str],
    /// More of those that its releases from this one on know, and need.
    pub newer: &'static [(u32, &'static str)],
    /// How to set its number of threads, where it has any: `--threads=`.
    pub threads: Option<&'static str>,
    /// Arguments, a mode's too, that it does not know, with the reason reported: a prefix of one argument.
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
}

/// A target that a linker serves.
#[derive(Debug)]
pub struct Port {
    /// The target.
    pub target: Target,
    /// What `-V` calls it, where that is not the emulation that compilers pass.
    pub listed: Option<&'static str>,
    /// Names of the program that is built for it, for where the linker's own does not serve it.
    pub programs: &'static [&'static str],
    /// What brings such a program, if it is not what brings the linker.
    pub package: &'static str,
    /// Messages that say "not written yet" for this target only.
    pub unsupported: &'static [(&'static str, &'static str)],
}

impl Port {
    /// A target that the linker's own program serves, like every other.
    const fn of(target: Target) -> Self {
        Self { target, listed: None, programs: &[], package: "", unsupported: &[] }
    }
}

/// Which of several errors speaks for a refusal: what resolution finds, then what relocation finds;
/// what is often only a consequence of those ("bad value") last.
const RANK: &[ErrorClass] = &[
    ErrorClass::ModeConflict,
    ErrorClass::DuplicateSymbol,
    ErrorClass::TlsMismatch,
    ErrorClass::UndefinedVersion,
    ErrorClass::UndefinedSymbol,
    ErrorClass::RelocDynamic,
    ErrorClass::RelocUnsupported,
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

/// The output's name; no request has a file of this name.
const OUTPUT: &str = "scold.out";

/// What every linker of the GNU style is told, so that defaults don't differ; the request's own arguments
/// come later and win.
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

/// What every linker is told for the request's target and mode: the emulation, the loader of executables, as
/// gcc passes it, and what defaults would differ in.
fn basic(request: &Request) -> Vec<String> {
    let arch = request.target.arch;
    let mut args: Vec<&str> = Vec::new();
    match request.target.format {
        Format::Elf => {
            args.extend(["-m", arch.emulation()]);
            if !request.mode.is_library() {
                args.extend(["-dynamic-linker", arch.interpreter()]);
            }
            args.extend(COMMON);
        }
        Format::Macho => {
            args.extend(["-arch", arch.darwin()]);
            // ld64 takes the platform once.
            if !request.args.iter().any(|arg| arg == PLATFORM) {
                args.extend([PLATFORM, "macos", "13.0", "26.0"]);
            }
        }
    }
    args.into_iter().map(str::to_owned).collect()
}

/// The option that says for which systems the output is: it decides how fixups are encoded.
const PLATFORM: &str = "-platform_version";

/// A shared adapter.
pub type Shared = Arc<dyn Adapter>;

#[cfg(test)]
mod tests;
