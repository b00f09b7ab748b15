//! Lists that must agree: README and the targets, `object`'s constants and the linker's rows.

use std::collections::BTreeSet;
use std::fs;

use scold_diff::Target;

use super::{no_complaints, root};

#[test]
fn readme_lists_the_targets() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let section = readme.split("\n## Targets\n").nth(1).expect("README has `## Targets`");
    let section = section.split("\n## ").next().unwrap_or_default();
    let listed: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let real: BTreeSet<&str> = Target::ALL.iter().map(|target| target.name()).collect();
    assert_eq!(listed, real, "README's target table and Target::ALL");
}

#[test]
fn the_pages_are_there() {
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "BUGS.md",
        "DIVERGENCES.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "benches/record/README.md",
    ];
    let missing = pages.iter().filter(|page| !root().join(page).is_file());
    no_complaints(&missing.map(|page| (*page).to_owned()).collect::<Vec<_>>(), "missing pages");
}

#[test]
fn bugs_are_numbered_from_one() {
    let text = fs::read_to_string(root().join("BUGS.md")).expect("BUGS.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(' '));
    let numbers: Vec<usize> = rows.filter_map(|(first, _)| first.parse().ok()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

/// The source of the crate `object` that this build uses.
fn object_source() -> String {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("cargo metadata: {error}: {}", String::from_utf8_lossy(&output.stderr))
        });
    let packages = metadata["packages"].as_array().expect("packages");
    let manifest = packages
        .iter()
        .find(|package| {
            package["name"] == "object"
                && package["version"].as_str().is_some_and(|v| v.starts_with("0.40"))
        })
        .and_then(|package| package["manifest_path"].as_str())
        .expect("object is a dependency");
    let folder = std::path::Path::new(manifest).with_file_name("src");
    let file = ["elf.rs", "elf/mod.rs"].iter().map(|f| folder.join(f)).find(|f| f.is_file());
    fs::read_to_string(file.expect("object's elf.rs")).expect("UTF-8")
}

/// Relocations that have no row in the linker, with the reason.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("R_X86_64_COPY", "only in outputs: the linker makes it"),
    ("R_X86_64_DTPMOD64", "only in outputs: the linker makes it"),
    ("R_X86_64_GLOB_DAT", "only in outputs: the linker makes it"),
    ("R_X86_64_IRELATIVE", "only in outputs: the linker makes it"),
    ("R_X86_64_JUMP_SLOT", "only in outputs: the linker makes it"),
    ("R_X86_64_RELATIVE", "only in outputs: the linker makes it"),
    ("R_X86_64_TLSDESC", "only in outputs: the linker makes it"),
    ("R_X86_64_RELATIVE64", "x32 only, and only in outputs"),
    ("R_X86_64_PC32_BND", "MPX: withdrawn from the psABI"),
    ("R_X86_64_PLT32_BND", "MPX: withdrawn from the psABI"),
    ("R_ARM_COPY", "only in outputs: the linker makes it"),
    ("R_ARM_GLOB_DAT", "only in outputs: the linker makes it"),
    ("R_ARM_IRELATIVE", "only in outputs: the linker makes it"),
    ("R_ARM_JUMP_SLOT", "only in outputs: the linker makes it"),
    ("R_ARM_RELATIVE", "only in outputs: the linker makes it"),
    ("R_ARM_TLS_DESC", "only in outputs: the linker makes it"),
    ("R_ARM_TLS_DTPMOD32", "only in outputs: the linker makes it"),
    ("R_ARM_TLS_DTPOFF32", "only in outputs: the linker makes it"),
    ("R_ARM_TLS_TPOFF32", "only in outputs: the linker makes it"),
    ("R_ARM_PC13", "LDR_PC_G0 by its old name"),
    ("R_ARM_THM_PC22", "THM_CALL by its old name"),
    ("R_ARM_GOTOFF", "GOTOFF32 by its old name"),
    ("R_ARM_GOTPC", "BASE_PREL by its old name"),
    ("R_ARM_GOT32", "GOT_BREL by its old name"),
    ("R_ARM_ALU_PCREL_7_0", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_ALU_PCREL_15_8", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_ALU_PCREL_23_15", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_LDR_SBREL_11_0", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_ALU_SBREL_19_12", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_ALU_SBREL_27_20", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_SBREL31", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_SWI24", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_THM_SWI8", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_AMP_VCALL9", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_BASE_ABS", "no tool here makes it"),
    ("R_ARM_PLT32_ABS", "no tool here makes it"),
    ("R_ARM_THM_PC11", "THM_JUMP11 by its old name"),
    ("R_ARM_THM_PC9", "THM_JUMP8 by its old name"),
    ("R_ARM_ME_TOO", "obsolete: AAELF32 says to diagnose it"),
    ("R_ARM_THM_TLS_DESCSEQ", "THM_TLS_DESCSEQ16 by its old name"),
    ("R_ARM_RXPC25", "of an ABI before EABI"),
    ("R_ARM_RSBREL32", "of an ABI before EABI"),
    ("R_ARM_THM_RPC22", "of an ABI before EABI"),
    ("R_ARM_RREL32", "of an ABI before EABI"),
    ("R_ARM_RABS22", "of an ABI before EABI"),
    ("R_ARM_RPC24", "of an ABI before EABI"),
    ("R_ARM_RBASE", "of an ABI before EABI"),
];

/// Checks that each of `object`'s constants that begins with `prefix` is in the linker's file of rows.
fn rows_of(file: &str, prefix: &str) {
    let linker = fs::read_to_string(root().join(file)).expect("the machine's rows");
    let words: BTreeSet<&str> = linker.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let object = object_source();
    let constants: BTreeSet<&str> = object
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(prefix) && *word != prefix)
        .collect();
    assert!(constants.len() > 30, "only {} constants found", constants.len());
    let listed = |name: &&&str| UNSUPPORTED.iter().any(|(other, _)| other == *name);
    let missing = constants.difference(&words).filter(|name| !listed(name));
    let missing: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
    no_complaints(&missing, &format!("neither a row in {file} nor listed as unsupported here"));
}

#[test]
fn every_relocation_constant_has_a_row() {
    rows_of("linker/src/arch/amd64.rs", "R_X86_64_");
    rows_of("linker/src/arch/arm.rs", "R_ARM_");
}
