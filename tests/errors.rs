//! File tests of refusals: `corpus/errors/NAME.case` must fail with exactly the lines of `NAME.error`.
//!
//! A case is a link as text; lines that start with `;!` then change the files it made, so that they
//! are malformed in one place (see `corpus/errors/README.md`). `BLESS=1` writes the goldens.

#[path = "errors/edit.rs"]
mod edit;

use std::fs;
use std::path::{Path, PathBuf};

use scold_linker::{MemoryFiles, link_args};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/errors")
}

#[test]
fn every_error_is_the_expected_one() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .collect();
    cases.sort();
    assert!(cases.len() > 20, "the corpus is gone");
    let mut failures = String::new();
    for path in cases {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let got = match refusal(&fs::read_to_string(&path).unwrap()) {
            Ok(text) => text,
            Err(problem) => {
                failures += &format!("{name}: {problem}\n");
                continue;
            }
        };
        let golden = path.with_extension("error");
        if bless {
            fs::write(&golden, &got).unwrap();
            continue;
        }
        let want = fs::read_to_string(&golden).unwrap_or_default();
        if got != want {
            let diff = similar::TextDiff::from_lines(&want, &got).unified_diff().to_string();
            failures += &format!("{name}:\n{diff}\n");
        }
    }
    assert!(
        failures.is_empty(),
        "{failures}\nIf the new errors are right: BLESS=1 cargo test --test main errors"
    );
}

/// Links the case and gives its errors, one per line after the stable code of their kind.
fn refusal(text: &str) -> Result<String, String> {
    let case = scold_fuzz::text::parse(text).map_err(|e| e.to_string())?;
    let request = scold_fuzz::emit::request(&case);
    let mut link = edit::Link {
        args: case
            .mode
            .args(case.target.format)
            .iter()
            .map(|a| a.to_string())
            .chain(request.args)
            .collect(),
        files: request.files.into_iter().map(|f| (f.name, f.bytes.to_vec())).collect(),
    };
    for line in text.lines().filter_map(|l| l.trim().strip_prefix(";!")) {
        edit::apply(&mut link, line).map_err(|e| format!("`{}`: {e}", line.trim()))?;
    }
    let files: MemoryFiles = link.files.into_iter().collect();
    match link_args(&link.args, &files) {
        Ok(_) => Err("was linked, though it must be refused".into()),
        Err(errors) => Ok(errors.iter().map(|e| format!("{}: {e}\n", e.kind().code())).collect()),
    }
}

/// A golden without its case would never be looked at.
#[test]
fn every_golden_has_a_case() {
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("error") => assert!(path.with_extension("case").exists(), "{}", path.display()),
            Some("case" | "md") => {}
            _ => panic!("what is {}?", path.display()),
        }
    }
}
