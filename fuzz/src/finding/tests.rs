//! What a folder holds, and that its script tells the truth, with GNU ld and LLVM's ld64 where they are.

use std::path::Path;
use std::time::Duration;

use scold_diff::adapter;
use scold_diff::oracle::{Complaint, Cost, Mismatch};
use scold_diff::run::{self, End, Limits};

use super::*;
use crate::emit;
use crate::examine::Bench;

const CASE: &str = "\
case amd64-elf shared
object a.o {
  section .data progbits aw align=8 marker {
    hex 00 00 00 00 00 00 00 00
    reloc 0x10 R_X86_64_64 f 0
  }
  symbol f global notype undefined
  symbol d global object at .data+0x10 size 8
}
";

const MACHO: &str = "\
case arm64-macho c-shared
object a.o subsections {
  section __DATA,__data progbits aw align=8 tail-marker {
    hex 00 00 00 00 00 00 00 00
    reloc 0x0 ARM64_RELOC_UNSIGNED _f
  }
  symbol _f global notype undefined
  symbol _d global object at __DATA,__data+0x0
}
library libx.dylib {
  symbol _f global func alias 1
}
";

fn sighting(linker: &str, shape: &str) -> Sighting {
    let key =
        Mismatch { key: "site.a.o:.data+0x10".into(), found: "x".into(), wanted: "y|z".into() };
    Sighting {
        signature: format!("expected/{shape}/{linker}/some-target"),
        complaint: Complaint {
            oracle: "expected",
            linker: linker.into(),
            shape: shape.into(),
            keys: vec![key],
            detail: "it said so".into(),
            known: None,
        },
    }
}

/// The folder for a case as if it showed `shape`, or nothing where its linker is not there.
fn written(root: &Path, case: &str, shape: &str) -> Option<PathBuf> {
    let linker = if case.contains("-macho") { "ld64_lld" } else { "gnu_ld" };
    let linkers = match adapter::select(&[linker.to_owned()], &[]) {
        Ok(linkers) => linkers,
        Err(why) => {
            assert!(std::env::var("SCOLD_REQUIRE").is_err(), "{why}");
            eprintln!("skipped: {why}");
            return None;
        }
    };
    let case = text::parse(case).expect("the case parses");
    let mut bench = Bench::new(linkers, Cost::Facts, Duration::from_secs(10));
    bench.oracles.clear();
    let examined = bench.judged(emit::request(&case), None);
    let sighting = sighting(linker, shape);
    let finding =
        Finding { case: &case, sighting: &sighting, examined: &examined, origin: "a test" };
    Some(write(root, &finding).expect("a folder"))
}

fn sh(folder: &Path, env: &[(&str, &str)]) -> run::Run {
    let limits = Limits::wall(Duration::from_secs(30));
    run::run(Path::new("/bin/sh"), &["repro.sh"], folder, env, limits).expect("a shell")
}

#[test]
fn a_wrong_output_is_shown_again() {
    let root = tempfile::tempdir().unwrap();
    let Some(folder) = written(root.path(), CASE, "site other place") else { return };
    for name in
        ["case", "objects/a.o", "outputs/gnu_ld.out", "facts.diff", "report.md", "verdict.json"]
    {
        assert!(folder.join(name).is_file(), "{name}");
    }
    let run = sh(&folder, &[]);
    assert_eq!(run.end, End::Exit(0), "{}{}", run.out(), run.err());
    // The script needs nothing beside it.
    let alone = tempfile::tempdir().unwrap();
    fs::copy(folder.join("repro.sh"), alone.path().join("repro.sh")).unwrap();
    assert_eq!(sh(alone.path(), &[]).end, End::Exit(0));
    let missing = alone.path().join("no-such-linker");
    let run = sh(&folder, &[("LD", missing.to_str().unwrap())]);
    assert_eq!(run.end, End::Exit(2), "{}{}", run.out(), run.err());
    let report = fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(report.contains("| `site.a.o:.data+0x10` | y\\|z | x |"), "{report}");
    assert!(report.contains("reloc 0x10 R_X86_64_64 f") && report.contains("GNU ld"), "{report}");
    assert!(report.contains("\t.reloc ., R_X86_64_64, f"), "{report}");
    // A recorded output that is not what comes out: the script says that it can't tell.
    let script = fs::read_to_string(folder.join("repro.sh")).unwrap();
    let other = script.replace("= '", "= '1");
    fs::write(alone.path().join("repro.sh"), other).unwrap();
    assert_eq!(sh(alone.path(), &[]).end, End::Exit(2));
}

#[test]
fn a_refusal_is_shown_again() {
    let root = tempfile::tempdir().unwrap();
    let defs = CASE.replace("shared\n", "shared\noption defs\n");
    let Some(folder) = written(root.path(), &defs, "error undefined-symbol for none") else {
        return;
    };
    assert_eq!(sh(&folder, &[]).end, End::Exit(0));
    let Some(folder) = written(root.path(), &defs, "error accepted undefined-symbol") else {
        return;
    };
    assert_eq!(sh(&folder, &[]).end, End::Exit(1));
}

#[test]
fn a_folder_of_macho_is_one_too() {
    let root = tempfile::tempdir().unwrap();
    let Some(folder) = written(root.path(), MACHO, "site other place") else { return };
    let run = sh(&folder, &[]);
    assert_eq!(run.end, End::Exit(0), "{}{}", run.out(), run.err());
    let report = fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(report.contains("As assembler text (clang)") && report.contains("ld64"), "{report}");
    assert!(report.contains("\t.quad _f"), "{report}");
    let undefined = MACHO.replace("symbol _f global func alias 1", "");
    let refused = "error undefined-symbol for none";
    let Some(folder) = written(root.path(), &undefined, refused) else { return };
    assert_eq!(sh(&folder, &[]).end, End::Exit(0));
}

/// What a mode adds is the reference's own to add: its script has the objects as they were.
#[test]
fn a_modules_script_gives_the_reference_what_it_was_given() {
    let root = tempfile::tempdir().unwrap();
    let text = MACHO.replace("c-shared", "plugin").replace("_d global", "_local.moduledata global");
    let case = text::parse(&text).expect("the case parses");
    let linkers = adapter::select(&["reference".to_owned()], &[]).expect("it is always here");
    let mut bench = Bench::new(linkers, Cost::Facts, Duration::from_secs(10));
    bench.oracles.clear();
    let request = scold_diff::desugar::desugar(emit::request(&case));
    let examined = bench.judged(request, None);
    let sighting = sighting("reference", "site other place");
    let finding =
        Finding { case: &case, sighting: &sighting, examined: &examined, origin: "a test" };
    let folder = write(root.path(), &finding).expect("a folder");
    let script = fs::read_to_string(folder.join("repro.sh")).unwrap();
    assert!(script.contains("--buildmode=plugin") && script.contains(">a.o"), "{script}");
    assert!(!script.contains(">buildmode.o") && !script.contains("-order_file"), "{script}");
}

#[test]
fn folders_are_named_after_signatures() {
    let one = folder_name("agree/site r2 other place/lld|gold/amd64-elf");
    assert!(one.starts_with("agree-site-r2-other-place-lld-gold-amd64-elf-"), "{one}");
    assert_ne!(folder_name("a/b"), folder_name("a b"));
    assert!(folder_name(&"x".repeat(500)).len() < 100);
}

/// Links that run together take more than a script: it says so, and the folder has what all of them are made of.
#[test]
fn a_world_is_left_to_scold() {
    let root = tempfile::tempdir().unwrap();
    let other = text::parse(CASE).expect("the case parses");
    let world = text::print(&Case { beside: vec![other.clone()], ..other });
    let Some(folder) = written(root.path(), &world, "site other place") else { return };
    assert!(folder.join("objects/beside1/a.o").is_file());
    let run = sh(&folder, &[]);
    assert_eq!(run.end, End::Exit(2), "{}{}", run.out(), run.err());
    assert!(run.err().contains("scold replay"), "{}", run.err());
    let report = fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(report.contains("It takes 2 links"), "{report}");
}
