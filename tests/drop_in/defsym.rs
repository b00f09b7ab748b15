//! `--defsym` beside GNU ld and lld: what stands for what, in which order, and what moves with the image.

use std::path::Path;
use std::process::Command;
use std::{fs, iter};

use object::{Object as _, ObjectSymbol as _, RelocationFlags};

use super::flags::ld;
use super::{command, has, run, run_failing, scratch, skip};

/// `a0` to `a23`, an absolute symbol, and words that hold undefined names' values.
fn source(dir: &Path) {
    let names = (0..24).map(|i| format!("a{i}: nop"));
    let globals = (0..24).map(|i| format!(".globl a{i}"));
    let data = [".data", ".quad p, q, r, s, t"].map(String::from);
    let start = [".globl _start, fixed", "fixed = 7", ".text", "_start: nop"].map(String::from);
    let text: Vec<String> = globals.chain(start).chain(names).chain(data).collect();
    fs::write(dir.join("d.s"), text.join("\n") + "\n").expect("the source");
    run(command("as").current_dir(dir).args(["d.s", "-o", "d.o"]));
}

/// Where the names are: numbers, or distances from `_start`; and how many words the loader moves.
fn values(dir: &Path, linker: &mut Command, flags: &[String]) -> (Vec<(String, u64)>, usize) {
    run(linker.current_dir(dir).args(["d.o", "-o", "out"]).args(flags));
    let bytes = fs::read(dir.join("out")).expect("the output");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let start = file.symbols().find(|s| s.name() == Ok("_start")).expect("_start").address();
    let mut found: Vec<(String, u64)> = file
        .symbols()
        .filter_map(|s| Some((s.name().ok()?.to_owned(), s.address())))
        .filter(|(name, _)| name.len() < 4 && name.starts_with(|c: char| "apqrst".contains(c)))
        // GNU ld calls computed addresses absolute; no number here is an address.
        .map(|(name, at)| (name, if at < 0x200 { at } else { at.wrapping_sub(start) + 0x200 }))
        .collect();
    found.sort();
    let moved = file.dynamic_relocations().into_iter().flatten();
    let relative = RelocationFlags::Elf { r_type: object::elf::R_X86_64_RELATIVE };
    (found, moved.filter(|(_, reloc)| reloc.flags() == relative).count())
}

const OTHERS: &str = "--defsym=p=0 --defsym=q=0 --defsym=r=0 --defsym=s=0 --defsym=t=0";

fn flags(kind: &str, defsyms: &str) -> Vec<String> {
    let given: Vec<&str> = defsyms.split(' ').collect();
    let has = |other: &str| given.iter().any(|d| d.split('=').next() == other.split('=').nth(1));
    let others = OTHERS.split(' ').filter(|o| !has(o)).map(String::from);
    let given = given.iter().map(|d| format!("--defsym={d}"));
    iter::once(kind.to_owned()).chain(given).chain(others).collect()
}

#[test]
fn definitions_stand_for_what_bfd_and_lld_say() {
    let dir = scratch("defsym_order");
    source(&dir);
    for kind in ["-no-pie", "-pie"] {
        for defsyms in [
            // Numbers stay numbers, however they are reached.
            "p=SIZEOF(.data) q=p r=q+1 s=r-1",
            "s=r+1 r=q+1 q=SIZEOF(.data)",
            "p=a1-a0 q=p r=q+a1",
            "p=fixed q=p+1 r=q*2",
            // The last one before, else the last one behind.
            "p=1 q=p p=2 r=p",
            // The only ones of an address that comes later.
            "q=p p=a3",
            "q=a5 a5=a6",
            "a5=a6 q=a5",
            "a0=a1 a1=a2 a2=a3",
            "a0=a1+1 a0=a0+1",
        ] {
            let flags = flags(kind, defsyms);
            let ours = values(&dir, &mut ld(&dir), &flags);
            for other in ["ld.bfd", "ld.lld-22"] {
                if !has(other) {
                    skip("defsym", other, "apt-get install binutils lld-22");
                    continue;
                }
                let theirs = values(&dir, &mut command(other), &flags);
                assert_eq!(ours.0, theirs.0, "{other} {flags:?}");
                // GNU ld makes no difference; lld takes what it has not seen yet for a number, which
                // a loader does not move.
                if other != "ld.bfd" && !defsyms.starts_with("q=") {
                    assert_eq!(ours.1, theirs.1, "{other} {flags:?}");
                }
            }
        }
    }
}

/// Twenty-three definitions in a row, each of a name that the object defines, too: GNU ld gives up after a
/// few passes without a word, lld with one.
#[test]
fn chains_and_circles() {
    let dir = scratch("defsym_chain");
    source(&dir);
    let chain: Vec<String> = (0..23).map(|i| format!("a{i}=a{}", i + 1)).collect();
    let (found, _) = values(&dir, &mut ld(&dir), &flags("-pie", &chain.join(" ")));
    let last = found.iter().find(|f| f.0 == "a23").expect("a23").1;
    for (name, at) in found.iter().filter(|f| f.0.starts_with('a')) {
        assert_eq!(*at, last, "{name}");
    }
    for circle in ["a0=a0", "a0=a1 a1=a0", "a0=a1+1 a1=a2*2 a2=a0"] {
        let error = run_failing(ld(&dir).args(["d.o", "-o", "none"]).args(flags("-pie", circle)));
        assert_eq!(error.matches("error:").count(), 1, "{error}");
        assert!(error.contains("itself") && !dir.join("none").exists(), "{error}");
    }
}

#[test]
fn objects_get_the_same_definitions() {
    if !has("ld.bfd") {
        return skip("defsym", "ld.bfd", "apt-get install binutils");
    }
    let dir = scratch("defsym_object");
    source(&dir);
    for defsyms in ["q=p p=a3", "a5=a6 q=a5", "p=1 q=p p=2 r=p", "a0=a1 a1=a2 a2=a3"] {
        let flags = flags("-r", defsyms);
        let ours = values(&dir, &mut ld(&dir), &flags);
        assert_eq!(ours, values(&dir, &mut command("ld.bfd"), &flags), "{flags:?}");
    }
}

/// As many lines as only an attacker or a generator writes: each is looked up, none searched for.
#[test]
fn long_scripts_end() {
    let dir = scratch("defsym_script");
    source(&dir);
    let lines: Vec<String> = (0..30_000).map(|i| format!("x{i} = a1 + SIZEOF(.s{i});")).collect();
    fs::write(dir.join("s.ld"), lines.join("\n")).unwrap();
    run(ld(&dir).args(["d.o", "s.ld", "-o", "out"]).args(flags("-pie", "p=0")));
    let lines: Vec<String> = (0..30_000).map(|i| format!("x{i} = x{};", i + 1)).collect();
    fs::write(dir.join("s.ld"), lines.join("\n") + "x30000 = a1;").unwrap();
    for kind in ["-pie", "-r"] {
        run(ld(&dir).args(["d.o", "s.ld", "-o", "out"]).args(flags(kind, "p=0")));
        let file = fs::read(dir.join("out")).unwrap();
        let file = object::File::parse(&*file).unwrap();
        let at = |name| file.symbols().find(|s| s.name() == Ok(name)).map(|s| s.address());
        assert_eq!(at("x0"), at("a1"), "{kind}");
    }
}
