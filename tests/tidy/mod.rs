//! Invariants of the sources themselves, read as text: who may name whom, how long things may get,
//! what must be documented. ARCHITECTURE.md states them; here they hold.

mod caps;
mod flags;
mod layers;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path from the root, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines before the file's own tests, with numbers from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let all: Vec<&str> = self.text.lines().collect();
        let tests = all.windows(2).position(|w| {
            w[0].trim() == "#[cfg(test)]" && w[1].starts_with("mod ") && w[1].ends_with('{')
        });
        let end = tests.unwrap_or(all.len());
        all.into_iter().take(end).enumerate().map(|(i, line)| (i + 1, line))
    }

    /// The lines that are code: no comments, no docs.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines()
            .map(|(number, line)| (number, line.split(" // ").next().unwrap_or_default()))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Whether the whole file is tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file under `folder`, sorted.
fn sources(folder: &str) -> Vec<Source> {
    let mut list = Vec::new();
    walk(&root().join(folder), &mut list);
    list.sort();
    list.into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("under the root");
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            Source { path: name.to_string_lossy().replace('\\', "/"), text }
        })
        .collect()
}

fn walk(folder: &Path, list: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                walk(&path, list);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            list.push(path);
        }
    }
}

/// Every source of the project.
fn all_sources() -> Vec<Source> {
    ["src", "linker", "diff", "fuzz", "benches", "tests"].into_iter().flat_map(sources).collect()
}

/// Fails with every complaint at once.
fn no_complaints(complaints: &[String], what: &str) {
    assert!(complaints.is_empty(), "{what}:\n  {}\n", complaints.join("\n  "));
}
