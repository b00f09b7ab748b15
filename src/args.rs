//! Arguments that several subcommands share.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use scold_diff::adapter::{self, ADAPTERS, Shared};
use scold_diff::oracle::Cost;
use scold_diff::{Format, Mode, Target};
use scold_fuzz::campaign::{self, Engine, Schedule};
use scold_fuzz::{Case, text};

use crate::exit::Failure;

/// Which linkers take part.
#[derive(Args, Clone)]
pub(crate) struct Linkers {
    /// Linkers: reference, gnu_ld, gold, lld, mold, wild, rust-lld, for Mach-O ld64_lld, ld64, zig, rust-ld64; a
    /// version suffix picks one (lld-19); `all` is the newest of each that is here, `every` all of them
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,…")]
    pub(crate) linkers: Vec<String>,
    /// Another linker, called as GNU ld is, unless it says that it is one of those
    #[arg(long = "linker", value_name = "NAME=PATH")]
    extra: Vec<String>,
    /// Seconds that one link may take
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    link_limit: u64,
}

impl Linkers {
    /// The adapters; at least one.
    pub(crate) fn adapters(&self) -> Result<Vec<Shared>, Failure> {
        let added = |name: &str| {
            self.extra.iter().any(|extra| extra.split_once('=').is_some_and(|(n, _)| n == name))
        };
        let known = |name: &&String| {
            if added(name) {
                return true;
            }
            let family = name.split('-').next().unwrap_or(name);
            let others = ["all", "every", "rust", adapter::REFERENCE];
            others.contains(&family) || ADAPTERS.iter().any(|linker| linker.name == family)
        };
        if let Some(name) = self.linkers.iter().find(|name| !known(name)) {
            let known: Vec<&str> = ADAPTERS.iter().map(|linker| linker.name).collect();
            let known = known.join(", ");
            let why = format!("no linker `{name}`; known: all, every, reference, {known}");
            return Err(Failure::Usage(why));
        }
        for extra in &self.extra {
            match extra.split_once('=') {
                None | Some(("" | adapter::REFERENCE, _) | (_, "")) => {
                    let why = format!("`{extra}` is not NAME=PATH with a name of its own");
                    return Err(Failure::Usage(why));
                }
                Some(_) => {}
            }
        }
        let folder = std::env::temp_dir();
        tempfile::tempdir_in(&folder).map_err(|error| {
            Failure::environment(format!("temporary folder {}", folder.display()), error)
        })?;
        let list = adapter::select(&self.linkers, &self.extra).map_err(Failure::Environment)?;
        if list.is_empty() {
            return Err(Failure::Environment("no linker here; `scold doctor` says more".into()));
        }
        Ok(list)
    }

    /// The adapters for findings; unless some are asked for, those that they were seen with are among them, if here.
    pub(crate) fn adapters_for(&self, findings: &[PathBuf]) -> Result<Vec<Shared>, Failure> {
        let mut list = self.adapters()?;
        if self.linkers != ["all"] {
            return Ok(list);
        }
        for name in findings.iter().flat_map(|path| recorded_linkers(path)) {
            if list.iter().all(|linker| linker.name() != name) {
                list.extend(adapter::select(&[name], &[]).unwrap_or_default());
            }
        }
        Ok(list)
    }

    /// How long one link may take.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.link_limit)
    }
}

/// Reads a case: a file, or a finding's folder.
pub(crate) fn read_case(path: &Path) -> Result<Case, Failure> {
    let file = if path.is_dir() { path.join("case") } else { PathBuf::from(path) };
    let text = read_text(&file).map_err(|error| Failure::usage(file.display(), error))?;
    text::parse(&text).map_err(|error| Failure::usage(file.display(), error))
}

/// No case is larger: a device or a wrong file must not fill the memory.
const LARGEST_CASE: u64 = 64 << 20;

fn read_text(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(LARGEST_CASE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_CASE {
        return Err(std::io::Error::other("too large for a case"));
    }
    String::from_utf8(bytes).map_err(|_| {
        std::io::Error::other("not the text of a case; `scold diff` takes objects and archives")
    })
}

/// The number of threads to use when none is given.
pub(crate) fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The signature that a finding's folder records.
pub(crate) fn recorded_signature(path: &Path) -> Option<String> {
    recorded(path)?["signature"].as_str().map(str::to_owned)
}

/// The linkers that a finding was seen with.
fn recorded_linkers(path: &Path) -> Vec<String> {
    let Some(verdict) = recorded(path) else { return Vec::new() };
    let all = verdict["linkers"].as_array().into_iter().flatten();
    all.filter_map(|linker| linker["name"].as_str().map(str::to_owned)).collect()
}

fn recorded(path: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(path.join("verdict.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Which cases: the same plan has the same cases.
#[derive(Args, Clone)]
pub(crate) struct Plan {
    /// Where cases come from: matrix, sweep, random, modules, all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,…")]
    engine: Vec<String>,
    /// Modes: c-shared, plugin, shared, pie, exe, all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,…")]
    mode: Vec<String>,
    /// Targets, or all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,…")]
    target: Vec<String>,
    /// Of these targets, those of this format
    #[arg(long, value_enum, default_value_t = Formats::All)]
    format: Formats,
    /// Seed of the random cases, and where the others start
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

impl Plan {
    /// The cases, in order.
    pub(crate) fn schedule(&self, seed: u64) -> Result<Schedule, Failure> {
        let engines = listed(&self.engine, Engine::ALL)?;
        let modes = listed(&self.mode, Mode::ALL)?;
        let targets = self.targets()?;
        let sources = targets
            .iter()
            .flat_map(|target| campaign::sources(&engines, *target, &modes, seed))
            .collect();
        Ok(Schedule::new(sources, &modes, seed))
    }

    /// The targets, in order; at least one.
    pub(crate) fn targets(&self) -> Result<Vec<Target>, Failure> {
        let (all, format) = match self.format {
            Formats::All => return listed(&self.target, Target::ALL),
            Formats::Elf => (Target::ALL, Format::Elf),
            // Whoever asks for the format by name gets it.
            Formats::Macho => (Target::NAMED, Format::Macho),
        };
        let mut list = listed(&self.target, all)?;
        list.retain(|target| target.format == format);
        if list.is_empty() {
            let why = format!("--target {} has none of this format", self.target.join(","));
            return Err(Failure::Usage(why));
        }
        Ok(list)
    }

    /// The arguments that give this plan again.
    pub(crate) fn spelled(&self, seed: u64) -> String {
        let format = match self.format {
            Formats::All => "",
            Formats::Elf => " --format elf",
            Formats::Macho => " --format macho",
        };
        format!(
            "--engine {} --mode {} --target {}{format} --seed {seed}",
            self.engine.join(","),
            self.mode.join(","),
            self.target.join(",")
        )
    }
}

/// Object file formats that are hunted in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Formats {
    /// ELF
    Elf,
    /// Mach-O
    Macho,
    /// Both
    All,
}

/// `names` parsed; `all` is every one of `all`.
fn listed<T: FromStr<Err = String> + Copy>(names: &[String], all: &[T]) -> Result<Vec<T>, Failure> {
    if names.iter().any(|name| name == "all") {
        return Ok(all.to_vec());
    }
    names.iter().map(|name| name.parse().map_err(Failure::Usage)).collect()
}

/// How much oracles may cost.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Depth {
    /// Facts only
    Facts,
    /// Walk output bytes too
    Bytes,
    /// Run the outputs too
    Runs,
    /// Link again in other ways too
    Links,
}

impl Depth {
    pub(crate) fn cost(self) -> Cost {
        match self {
            Self::Facts => Cost::Facts,
            Self::Bytes => Cost::Bytes,
            Self::Runs => Cost::Runs,
            Self::Links => Cost::Links,
        }
    }
}
