//! How long files and functions may be, what is never left behind, what is always documented.

use std::collections::BTreeMap;
use std::fs;

use super::{Source, all_sources, no_complaints, root};

/// Lines of a hand-written file, its tests not counted.
const FILE_CAP: usize = 450;
/// Lines of a function.
const FUNCTION_CAP: usize = 60;
/// How far a ratchet's number may be above what is true.
const SLACK: usize = 15;

/// What may be longer: `path lines # reason`, `path::function lines # reason`.
fn ratchet() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("tests/tidy/ratchet.txt")).expect("the ratchet");
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (entry, reason) = line.split_once('#').unwrap_or((line, ""));
            assert!(!reason.trim().is_empty(), "no reason in ratchet.txt: {line}");
            let mut words = entry.split_whitespace();
            let name = words.next().expect("a name").to_owned();
            let number = words.next().and_then(|n| n.parse().ok());
            (name, number.unwrap_or_else(|| panic!("no number in ratchet.txt: {line}")))
        })
        .collect()
}

/// Writes the ratchet anew: true numbers, reasons kept; new entries lack theirs.
fn bless(lengths: &BTreeMap<String, usize>) {
    let path = root().join("tests/tidy/ratchet.txt");
    let old = fs::read_to_string(&path).expect("the ratchet");
    let reason = |name: &str| {
        let line = old.lines().find(|line| line.split_whitespace().next() == Some(name))?;
        Some(line.split_once('#')?.1.trim().to_owned())
    };
    let mut text: String = old
        .lines()
        .take_while(|line| line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    for (name, lines) in lengths {
        // Without a reason the line is refused: splitting is the rule.
        let reason = reason(name).unwrap_or_default();
        text.push_str(&format!("{name} {lines} # {reason}\n"));
    }
    fs::write(path, text).expect("the ratchet is written");
}

/// The functions of a file with their lengths. Written as rustfmt does: a body ends with a brace in
/// the column where the `fn` line starts.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let lines: Vec<(usize, &str)> = source.lines().collect();
    let mut list = Vec::new();
    for (i, (_, line)) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start();
        let is_fn = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "const fn ",
            "pub const fn ",
            "unsafe fn ",
        ]
        .iter()
        .any(|start| words.starts_with(start));
        if !is_fn || words.ends_with(';') || words.ends_with('}') {
            continue;
        }
        let name = words.split("fn ").nth(1).unwrap_or_default();
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(len) = lines[i..].iter().position(|(_, line)| *line == close) {
            list.push((name, len + 1));
        }
    }
    list
}

#[test]
fn files_and_functions_stay_short() {
    let mut lengths = BTreeMap::new();
    for source in all_sources().iter().filter(|source| !source.is_test()) {
        let lines = source.lines().count();
        if lines > FILE_CAP {
            lengths.insert(source.path.clone(), lines);
        }
        for (name, lines) in functions(source) {
            if lines > FUNCTION_CAP {
                lengths.insert(format!("{}::{name}", source.path), lines);
            }
        }
    }
    if std::env::var_os("BLESS").is_some() {
        bless(&lengths);
    }
    let allowed = ratchet();
    let mut complaints = Vec::new();
    for (name, lines) in &lengths {
        match allowed.get(name) {
            None => complaints.push(format!("{name} has {lines} lines: split it")),
            Some(most) if lines > most => {
                complaints.push(format!("{name} has {lines} lines, {most} allowed: split it"));
            }
            Some(most) if lines + SLACK < *most => {
                complaints.push(format!("{name} has {lines} lines: lower its ratchet from {most}"));
            }
            Some(_) => {}
        }
    }
    for name in allowed.keys().filter(|name| !lengths.contains_key(*name)) {
        complaints.push(format!("{name} is short now, or gone: drop it from ratchet.txt"));
    }
    no_complaints(&complaints, "too long (or the ratchet is loose)");
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut complaints = Vec::new();
    for source in all_sources() {
        for (i, line) in source.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{}:{} has {word}", source.path, i + 1));
            }
        }
    }
    no_complaints(&complaints, "left for later");
}

#[test]
fn every_module_says_what_it_does() {
    let mut complaints = Vec::new();
    for source in all_sources() {
        if source.is_test() {
            continue;
        }
        let first = source.text.lines().find(|l| !l.starts_with("#!") && !l.trim().is_empty());
        if !first.is_some_and(|line| line.starts_with("//!")) {
            complaints.push(source.path.clone());
        }
    }
    no_complaints(&complaints, "no module doc");
}

#[test]
fn no_drawers_for_odds_and_ends() {
    let complaints: Vec<String> = all_sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| {
            path.split(['/', '.'])
                .any(|part| ["utils", "util", "common", "misc", "helpers"].contains(&part))
        })
        .collect();
    no_complaints(&complaints, "name these after what they hold");
}

#[test]
fn the_function_finder_finds_functions() {
    let text =
        "fn a() {\n    b();\n}\n\nimpl X {\n    pub fn c(\n        &self,\n    ) {\n    }\n}\n";
    let source = Source { path: "x.rs".into(), text: text.into() };
    assert_eq!(functions(&source), [("a".to_owned(), 3), ("c".to_owned(), 4)]);
}
