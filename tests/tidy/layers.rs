//! Dependencies point one way: `linker ← diff ← fuzz ← scold`.

use super::{Source, all_sources, no_complaints, root, sources};

/// Complains about every line of code in `list` that has one of `words` as a whole word.
fn banned(list: &[Source], words: &[&str], except: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in list.iter().filter(|s| !except.contains(&s.path.as_str())) {
        for (number, line) in source.code() {
            let hit = words.iter().find(|word| has_word(line, word));
            if let Some(word) = hit {
                complaints.push(format!("{}:{number} names {word}", source.path));
            }
        }
    }
    complaints
}

fn has_word(line: &str, word: &str) -> bool {
    let ident = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(ident)
            && !line[at + word.len()..].chars().next().is_some_and(ident)
    })
}

#[test]
fn linker_knows_nobody() {
    let names = ["scold_diff", "scold_fuzz", "scold"];
    no_complaints(&banned(&sources("linker/src"), &names[..2], &[]), "the linker knows others");
    let manifest = std::fs::read_to_string(root().join("linker/Cargo.toml")).expect("a manifest");
    assert!(!manifest.contains("scold-diff") && !manifest.contains("scold-fuzz"));
}

#[test]
fn judge_shares_nothing_with_the_defendant() {
    let complaints =
        banned(&sources("diff/src"), &["scold_linker"], &["diff/src/adapter/reference.rs"]);
    no_complaints(&complaints, "only adapter/reference.rs may name the reference linker");
    no_complaints(&banned(&sources("diff/src"), &["scold_fuzz"], &[]), "the judge knows cases");
}

#[test]
fn judge_has_no_randomness() {
    let words = ["rand", "arbitrary", "Unstructured", "RandomState", "fastrand", "getrandom"];
    no_complaints(&banned(&sources("diff/src"), &words, &[]), "the judge is random");
    let manifest = std::fs::read_to_string(root().join("diff/Cargo.toml")).expect("a manifest");
    let plain = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    assert!(!plain.contains("arbitrary") && !plain.contains("rand"), "diff depends on randomness");
}

#[test]
fn generator_knows_no_command_line() {
    no_complaints(
        &banned(&sources("fuzz/src"), &["scold_linker"], &[]),
        "the generator knows the linker",
    );
    let words = [
        "ld.lld",
        "ld.gold",
        "ld.bfd",
        "ld.mold",
        "\"mold\"",
        "\"wild\"",
        "\"gnu_ld\"",
        "--no-fork",
    ];
    let mut complaints = Vec::new();
    for source in sources("fuzz/src").iter().filter(|s| !s.is_test()) {
        for (number, line) in source.code() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{}:{number} names {word}", source.path));
            }
        }
    }
    no_complaints(&complaints, "the generator names a linker");
}

#[test]
fn one_file_spawns_processes() {
    let mut complaints = Vec::new();
    for source in all_sources().iter().filter(|s| !s.is_test() && s.path != "diff/src/run.rs") {
        for (number, line) in source.code() {
            let waived = source.text.contains("#![allow(clippy::disallowed_methods)]");
            if line.contains("Command::new(") && !waived {
                complaints.push(format!("{}:{number} spawns a process", source.path));
            }
        }
    }
    no_complaints(&complaints, "diff/src/run.rs is the only place that spawns processes");
}

#[test]
fn unsafe_code_is_named() {
    let mut complaints = Vec::new();
    for source in all_sources().into_iter().filter(|source| !source.is_test()) {
        let exempt = source.text.contains("#![allow(unsafe_code)]");
        let lines: Vec<&str> = source.text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !has_word(code, "unsafe") || code.contains("\"") {
                continue;
            }
            if !exempt {
                complaints.push(format!(
                    "{}:{} in a module without the exemption",
                    source.path,
                    i + 1
                ));
            } else if !lines[i.saturating_sub(6)..=i]
                .iter()
                .any(|l| l.contains("SAFETY:") || l.contains("# Safety"))
            {
                complaints.push(format!("{}:{} has no SAFETY reason", source.path, i + 1));
            }
        }
    }
    no_complaints(&complaints, "unsafe code");
}

/// What is particular to a machine is in its row: a new one is a file and a line.
#[test]
fn neutral_judges_name_no_machine() {
    // The rows and their tables, the lists of targets and of modes' systems, and what only runs natively or is one
    // program.
    let except = [
        "diff/src/model/elf.rs",
        "diff/src/model/elf/machine.rs",
        "diff/src/model/macho.rs",
        "diff/src/model/macho/machine.rs",
        "diff/src/oracle/execute/platform.rs",
        "diff/src/real.rs",
        "diff/src/real/modes.rs",
        "diff/src/request.rs",
    ];
    // Each machine's own files, and the rows that say which linker serves which target.
    let own = [
        "diff/src/model/elf/amd64",
        "diff/src/model/elf/arm",
        "diff/src/model/macho/amd64",
        "diff/src/model/macho/arm64",
        "diff/src/selftest",
        "diff/src/adapter/",
    ];
    let own = |path: &str| own.iter().any(|start| path.starts_with(start));
    let list: Vec<Source> = sources("diff/src")
        .into_iter()
        .filter(|source| !own(&source.path) && !source.is_test())
        .collect();
    let words =
        ["amd64", "Amd64", "AMD64_ELF", "EM_X86_64", "arm64", "Arm64", "ARM64_ELF", "EM_AARCH64"];
    let mut words = words.to_vec();
    words.extend(["Arm", "ARM_ELF", "EM_ARM"]);
    no_complaints(&banned(&list, &words, &except), "the judge names a machine");
}
