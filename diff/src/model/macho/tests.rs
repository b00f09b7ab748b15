//! Small sources, assembled and linked by who is here, against what they must mean.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::*;
use crate::adapter::{Outcome, Shared, select};
use crate::run::{self, End, Limits};
use crate::{Arch, File, Format, Key, Mode, Target};

mod classic;
mod sites;

/// What every link has at its end: where thread-local variables and lazy binding come from.
const SYSTEM: &str = concat!(
    "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n",
    "install-name: '/usr/lib/libSystem.B.dylib'\nexports:\n",
    "  - targets: [ x86_64-macos, arm64-macos ]\n",
    "    symbols: [ dyld_stub_binder, __tlv_bootstrap, _ext, _extdata,\n",
    "      ___gxx_personality_v0 ]\n...\n",
);

/// `clang`, and the linkers that are judged by; says what is missing if something is.
fn tools() -> Option<(&'static Path, &'static [Shared])> {
    static FOUND: OnceLock<Option<(PathBuf, Vec<Shared>)>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let names = ["clang-22", "clang-19", "clang-16", "clang"];
        let clang = names.iter().flat_map(|name| run::find(name)).next();
        let clang = clang.filter(|clang| assemble(clang, Arch::Arm64, ".text\n").is_some());
        let linkers = ["rust-ld64", "ld64_lld"]
            .iter()
            .find_map(|name| select(&["reference".to_owned(), (*name).to_owned()], &[]).ok());
        Some((clang?, linkers?))
    });
    match found {
        Some((clang, linkers)) => Some((clang, linkers)),
        None => {
            let required = std::env::var("SCOLD_REQUIRE").is_ok_and(|v| v == "all");
            assert!(!required, "no clang for darwin, or no ld64.lld here");
            println!("skipped: apt-get install clang lld, or rustup component add llvm-tools");
            None
        }
    }
}

fn assemble(clang: &Path, arch: Arch, source: &str) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().ok()?;
    std::fs::write(dir.path().join("x.s"), source).ok()?;
    let target = format!("--target={}-apple-macos13", arch.darwin());
    let args = [target.as_str(), "-c", "x.s", "-o", "x.o"];
    let run = run::run(clang, &args, dir.path(), &[], Limits::wall(Duration::from_secs(60)));
    let run = run.ok()?;
    assert_eq!(run.end, End::Exit(0), "{}", run.err());
    std::fs::read(dir.path().join("x.o")).ok()
}

/// A marker whose bytes are those of `n`.
fn marker(n: u8) -> String {
    format!("\t.ascii \"\\361SCOLD\\033\\362\"\n\t.quad 0x{n:02x}{n:02x}5363616e6e65\n")
}

/// A link of sources in the assembler of `arch`.
fn request(arch: Arch, mode: Mode, sources: &[(&str, &str)], args: &[&str]) -> Option<Request> {
    let (clang, _) = tools()?;
    let mut files: Vec<File> = sources
        .iter()
        .map(|(name, source)| {
            let bytes = assemble(clang, arch, source).expect("a source that assembles");
            File { name: (*name).into(), bytes: bytes.into() }
        })
        .collect();
    files.push(File { name: "libSystem.tbd".into(), bytes: SYSTEM.as_bytes().into() });
    let given = args.iter().map(|arg| (*arg).to_owned());
    let args = given.chain(files.iter().map(|file| file.name.clone())).collect();
    Some(Request { target: Target { arch, format: Format::Macho }, mode, args, files, goos: None })
}

/// The facts of what each linker makes of `request`, by linker.
fn linked(request: &Request) -> Vec<(String, Facts)> {
    let Some((_, linkers)) = tools() else { return Vec::new() };
    let limit = Duration::from_secs(60);
    let facts = |linker: &Shared| match linker.link(request, limit) {
        Outcome::Linked(image) => (linker.name().to_owned(), super::facts(request, &image)),
        other => panic!("{}: {other:?} of {:?}", linker.name(), linker.command(request)),
    };
    linkers.iter().map(facts).collect()
}

/// Asserts that every linker's facts have these values; `-` is a key that must not be there.
#[track_caller]
fn assert_facts(request: &Request, wanted: &[(&str, &str)]) {
    for (linker, facts) in linked(request) {
        assert_these(&linker, &facts, wanted);
        let bad: Vec<_> = facts.iter().filter(|(_, v)| v.to_string().contains("bad: ")).collect();
        assert!(bad.is_empty(), "{linker}: {bad:?}\n{facts}");
    }
}

#[track_caller]
fn assert_these(linker: &str, facts: &Facts, wanted: &[(&str, &str)]) {
    for (key, value) in wanted {
        let family = Family::ALL.iter().find(|f| key.split('.').next() == Some(f.name()));
        let family = *family.expect("a family");
        let rest = key.strip_prefix(family.name()).unwrap_or_default();
        let key = Key::new(family, rest.strip_prefix('.').unwrap_or_default());
        let found = facts.get(&key).map_or("-".to_owned(), ToString::to_string);
        assert_eq!(found, *value, "{linker} {key} of\n{facts}");
    }
}

/// Both fixup encodings, and old and new pointer formats.
const WAYS: &[&[&str]] = &[
    &["-fixup_chains"],
    &["-no_fixup_chains"],
    &["-fixup_chains", "-platform_version", "macos", "11.0", "26.0"],
];

#[test]
fn damaged_images_never_panic() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let source = sites::source(arch);
        for way in WAYS {
            let Some(request) =
                request(arch, Mode::CShared, &[("a.o", &source), sites::ABSOLUTE], way)
            else {
                return;
            };
            let (_, linkers) = tools().expect("they were there");
            let Outcome::Linked(image) = linkers[0].link(&request, Duration::from_secs(60)) else {
                panic!("{way:?} does not link");
            };
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let mut random = |bound: usize| {
                state =
                    state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                (state >> 33) as usize % bound
            };
            for _ in 0..300 {
                let mut bytes = image.clone();
                for _ in 0..=random(3) {
                    // The header and the tables at the end are where damage leads somewhere.
                    let at = match random(3) {
                        0 => random(2048.min(bytes.len())),
                        1 => bytes.len() - 1 - random(2048.min(bytes.len())),
                        _ => random(bytes.len()),
                    };
                    bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
                }
                bytes.truncate(if random(4) == 0 { random(image.len()) } else { image.len() });
                let _ = super::facts(&request, &bytes);
            }
            // Objects are as foreign as images.
            let object = request.files[0].bytes.to_vec();
            for _ in 0..200 {
                let mut bytes = object.clone();
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
                bytes.truncate(if random(4) == 0 { random(object.len()) } else { object.len() });
                let mut damaged = request.clone();
                damaged.files[0].bytes = bytes.into();
                let _ = super::facts(&damaged, &image);
            }
        }
    }
}
