//! Fuzz targets: bytes → a panic if something is wrong. `fuzz_targets/` has one file for each, which
//! libFuzzer drives; here each is smoke-run by plain tests too.
//!
//! Bytes that are the text of a case stand for that case, so that seeds are readable; any other bytes
//! are the choices of the generator.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use scold_diff::adapter::{self, Outcome, REFERENCE, Shared};
use scold_diff::oracle::Cost;
use scold_diff::request::File;
use scold_diff::{Mode, Request, Target, model};

use crate::examine::Bench;
use crate::{Case, emit, generate, text};

/// One target: its name, and what it does with bytes.
pub type Row = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Row] =
    &[("link", link), ("differential", differential), ("parse", parse), ("roundtrip", roundtrip)];

/// The case that `bytes` stand for.
pub fn case(bytes: &[u8]) -> Case {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.starts_with("case "))
        .and_then(|text| text::parse(text).ok())
        .unwrap_or_else(|| generate::from_bytes(bytes, Target::AMD64_ELF, None))
}

/// The reference alone, in process, against what the specs demand.
pub fn link(bytes: &[u8]) {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    judge(BENCH.get_or_init(|| bench(REFERENCE, Cost::Bytes)), bytes);
}

/// All linkers of this machine against each other and the specs.
pub fn differential(bytes: &[u8]) {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    judge(BENCH.get_or_init(|| bench("all", Cost::Bytes)), bytes);
}

fn bench(linkers: &str, cost: Cost) -> Bench {
    let linkers = adapter::select(&[linkers.to_owned()], &[]).expect("these are always there");
    Bench::new(linkers, cost, Duration::from_secs(10))
}

fn judge(bench: &Bench, bytes: &[u8]) {
    let case = case(bytes);
    let examined = bench.examined(&case);
    if let Some(complaint) = examined.ruling.news().next() {
        panic!("{}\n{complaint:#?}\n{case:?}", complaint.signature(&examined.request));
    }
}

/// Arbitrary bytes as case text, as an object and as an output: errors, never panics.
pub fn parse(bytes: &[u8]) {
    let _ = text::parse(&String::from_utf8_lossy(bytes));
    for target in [Target::AMD64_ELF, Target::AMD64_MACHO, Target::ARM64_MACHO] {
        let file = File { name: "a.o".into(), bytes: bytes.into() };
        let args = vec!["a.o".into()];
        let request = Request { target, mode: Mode::Shared, args, files: vec![file], goos: None };
        let outcome = reference().link(&request, Duration::from_secs(10));
        assert!(!matches!(outcome, Outcome::Crashed(_)), "{target}: {outcome:?}");
        let _ = model::facts(&request, bytes);
    }
}

fn reference() -> &'static Shared {
    static LINKER: OnceLock<Shared> = OnceLock::new();
    LINKER.get_or_init(|| adapter::select(&[REFERENCE.into()], &[]).expect("ours").remove(0))
}

/// The text form reads back, and the same case gives the same bytes.
pub fn roundtrip(bytes: &[u8]) {
    let case = case(bytes);
    let text = text::print(&case);
    assert_eq!(text::parse(&text).as_ref(), Ok(&case), "{text}");
    assert_eq!(emit::request(&case), emit::request(&case));
}

/// Runs target `name` on the files that the command line names: how a crash is looked at without
/// libFuzzer.
pub fn replay(name: &str) -> ExitCode {
    let Some((_, run)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        return ExitCode::FAILURE;
    };
    for path in std::env::args_os().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => run(&bytes),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// What a file of `fuzz_targets/` consists of.
#[macro_export]
macro_rules! fuzz_target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::target::$name(bytes));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::target::replay(stringify!($name))
        }
    };
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_target_has_its_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz_targets");
        for (name, _) in TARGETS {
            let text = std::fs::read_to_string(format!("{folder}/{name}.rs")).unwrap();
            assert!(text.contains(&format!("fuzz_target!({name})")), "{name}");
        }
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), TARGETS.len());
    }

    #[test]
    fn parse_and_roundtrip_hold_on_random_bytes() {
        for number in 0..50 {
            let bytes = generate::bytes(2, number);
            parse(&bytes[..bytes.len() % (number as usize * 40 + 1)]);
            roundtrip(&bytes);
        }
    }

    #[test]
    fn near_valid_objects_never_crash_the_reference() {
        for number in 0..40 {
            near_valid(number, &generate::seeded(9, number, Target::AMD64_ELF, Mode::Shared));
        }
        for target in [Target::AMD64_MACHO, Target::ARM64_MACHO] {
            for number in 0..40 {
                let case = generate::macho::matrix::case(target, 29 * number);
                near_valid(number, &case.expect("a case"));
            }
        }
    }

    /// The case's first file, damaged in several ways.
    fn near_valid(number: u64, case: &Case) {
        let request = emit::request(case);
        let bytes = request.files[0].bytes.clone();
        for step in 0..8 {
            let mut bad = bytes.to_vec();
            let at = (number as usize * 131 + step * 977) % bad.len();
            bad[at] ^= 1 << (step % 8);
            parse(&bad);
            parse(&bad[..at]);
        }
    }

    /// What is in a folder, sorted by name.
    fn entries(folder: &Path) -> Vec<PathBuf> {
        let mut list: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        list.sort();
        list
    }

    /// The seeds of every target that has some, sorted by name.
    fn seeds() -> Vec<(String, String)> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/seeds"));
        let mut list = Vec::new();
        for folder in entries(root).iter().filter(|path| path.is_dir()) {
            let files = entries(folder);
            assert!(files.len() >= 20, "{} seeds in {}", files.len(), folder.display());
            for path in files {
                let text = std::fs::read_to_string(&path).unwrap();
                let target = folder.file_name().unwrap().to_str().unwrap();
                assert!(text.starts_with(&format!("case {target} ")), "{}", path.display());
                list.push((path.display().to_string(), text));
            }
        }
        list
    }

    #[test]
    fn seeds_read_back() {
        for (path, text) in seeds() {
            let case = text::parse(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(text::print(&case), text, "{path}");
            roundtrip(text.as_bytes());
        }
    }

    #[test]
    fn link_holds_on_seeds_and_random_bytes() {
        seeds().iter().for_each(|(_, text)| link(text.as_bytes()));
        for number in 0..50 {
            link(&generate::bytes(2, number));
        }
    }

    /// It panics where a linker of this machine has a bug; the reference must have none.
    #[test]
    fn differential_runs_and_clears_the_reference() {
        for (path, text) in seeds().iter().step_by(8) {
            let Err(panic) = std::panic::catch_unwind(|| differential(text.as_bytes())) else {
                continue;
            };
            let what = panic.downcast_ref::<String>().map_or("a panic of its own", |s| s.as_str());
            let signature = what.lines().next().unwrap_or_default();
            let known = Target::NAMED.iter().any(|target| signature.ends_with(target.name()));
            assert!(known, "{path}: {what}");
            assert!(!signature.contains("reference"), "{path}: {what}");
        }
    }

    /// libFuzzer mutates case texts too: what is malformed may be refused, and is no finding.
    #[test]
    fn malformed_objects_are_no_findings() {
        let rows = [
            ("ax", 1, 0x12, "R_X86_64_PC32"),
            ("-", 1, 0x12, "R_X86_64_64"),
            ("aw", 3, 0x10, "R_X86_64_PC32"),
        ];
        for (flags, align, at, r_type) in rows {
            let section = format!("section .s progbits {flags} align={align} marker");
            let reloc = format!("reloc {at:#x} {r_type} [.s] 0");
            let object = format!("object a.o {{\n{section} {{\nhex 00 00 00 00\n{reloc}\n}}\n}}");
            let text = format!("case amd64-elf shared\n{object}\n");
            assert!(text::parse(&text).is_ok(), "{text}");
            link(text.as_bytes());
        }
    }
}
