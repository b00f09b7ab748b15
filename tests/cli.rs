//! The command as people and scripts call it: exit codes, summary lines, links made by `prefix`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn scold(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scold")).args(args).output().expect("scold runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_usage_is_2_and_a_missing_linker_is_3() {
    for args in [
        &["hunt", "--engine", "nonsense"][..],
        &["hunt", "--linkers", "nonsense"],
        &["hunt", "--linker", "x"],
        &["hunt", "--mode", "static"],
        &["replay", "/nonexistent/case"],
        &["show"],
        &["nonsense"],
    ] {
        let output = scold(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(err(&output).contains("error"), "{args:?}");
    }
    let output = scold(&["hunt", "--linkers", "gold-77"]);
    assert_eq!(code(&output), 3, "{}", err(&output));
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    for name in [
        "hunt",
        "diff",
        "link",
        "reduce",
        "replay",
        "show",
        "doctor",
        "selftest",
        "prefix",
        "completions",
    ] {
        let output = scold(&[name, "--help"]);
        assert_eq!(code(&output), 0);
        assert!(out(&output).contains("scold "), "{name}");
        assert!(out(&output).contains("Example"), "{name} has no example");
    }
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let output = scold(&["completions", shell]);
        assert!(code(&output) == 0 && out(&output).contains("hunt"), "{shell}");
    }
}

#[test]
fn doctor_lists_the_reference() {
    let output = scold(&["doctor", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = rows.as_array().expect("an array");
    assert!(rows.iter().any(|row| row["name"] == "reference"));
    assert!(rows.iter().any(|row| row["kind"] == "assembler"));
}

/// The last line of a hunt, as JSON.
fn summary(output: &Output) -> serde_json::Value {
    let text = out(output);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}{}", err(output)))
}

fn hunt(dir: &Path, seed: &str, jobs: &str) -> serde_json::Value {
    let dir = dir.display().to_string();
    let output = scold(&[
        "hunt",
        "--linkers",
        "reference",
        "--seed",
        seed,
        "--cases",
        "60",
        "--jobs",
        jobs,
        "--json",
        "--no-reduce",
        "--quiet",
        "--out",
        &dir,
    ]);
    let summary = summary(&output);
    let findings = summary["findings"].as_array().expect("findings").len();
    assert_eq!(code(&output), i32::from(findings > 0), "{}", err(&output));
    summary
}

#[test]
fn a_hunt_ends_with_one_summary_line_and_is_repeatable() {
    let dirs: Vec<tempfile::TempDir> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let one = hunt(dirs[0].path(), "5", "1");
    let two = hunt(dirs[1].path(), "5", "3");
    let text = one.to_string();
    for key in ["cases", "links", "seconds", "verdicts", "findings"] {
        assert!(!one[key].is_null(), "{text}");
    }
    assert_eq!(one["cases"], 60);
    for verdict in ["agree", "divergent", "poisoned", "refused", "crashed", "hung"] {
        assert!(one["verdicts"]["reference"][verdict].is_u64(), "{text}");
    }
    assert_eq!(one["verdicts"], two["verdicts"]);
    let signatures = |summary: &serde_json::Value| {
        let list = summary["findings"].as_array().expect("findings").iter();
        list.map(|finding| finding["signature"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(signatures(&one), signatures(&two));
    for finding in one["findings"].as_array().expect("findings") {
        let path = Path::new(finding["path"].as_str().expect("a path"));
        assert!(path.join("case").is_file() && path.join("report.md").is_file());
    }
}

#[test]
fn prefix_makes_links_that_are_the_linker() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bin");
    let output = scold(&["prefix", &path.display().to_string()]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let version = Command::new(path.join("ld")).arg("--version").output().expect("ld runs");
    assert!(version.status.success() && out(&version).contains("scold"), "{}", out(&version));
    let unknown = Command::new(path.join("ld.scold")).arg("--nonsense").output().expect("ld runs");
    assert_eq!(code(&unknown), 1);
    assert!(err(&unknown).contains("unrecognized option"), "{}", err(&unknown));
}

#[test]
fn link_is_the_linker_too() {
    let output = scold(&["link", "-o", "/dev/null", "/nonexistent.o"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("/nonexistent.o"), "{}", err(&output));
}

/// Runs `args` for a reader that has gone before the first line.
fn unread(program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let scold = Path::new(env!("CARGO_BIN_EXE_scold"));
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/seeds/amd64-elf");
    let seed = std::fs::read_dir(seed).unwrap().map(|e| e.unwrap().path()).min().unwrap();
    let seed = seed.display().to_string();
    for args in [
        &["doctor", "--json"][..],
        &["replay", "--linkers", "reference", &seed],
        &["show", &seed],
        &["hunt", "--linkers", "reference", "--cases", "2", "--json", "--no-reduce", "--quiet"],
    ] {
        let output = unread(scold, args);
        assert_eq!(code(&output), 141, "{args:?}: {}", err(&output));
        assert!(!err(&output).contains("panicked"), "{args:?}: {}", err(&output));
    }
    for args in [&["completions", "bash"][..], &["link", "--help"], &["--help"]] {
        let output = unread(scold, args);
        assert!(!err(&output).contains("panicked"), "{args:?}: {}", err(&output));
    }
}
