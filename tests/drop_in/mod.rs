//! Real users of a linker, linked with `ld.scold` through `gcc -B DIR`, run, and asked for results.
//!
//! `SCOLD_LD=/path/to/a/linker` puts another linker in its place: a test that fails with GNU ld too
//! is wrong itself.

mod arm;
mod arm64;
mod c;
mod cxx;
mod debug;
mod defsym;
mod emit_relocs;
mod flags;
mod go;
mod inputs;
mod llvm;
mod macho;
mod modules;
mod platform;
mod rust;
mod tls;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A folder for the outputs of `test`, empty.
fn scratch(test: &str) -> PathBuf {
    let dir = base().join(test);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}

/// Where outputs that stay between runs are: compiled objects, caches.
fn base() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("drop_in")
}

/// This folder.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drop_in")
}

/// The folder for `-B`: its `ld` is the linker under test.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let linker = env::var_os("SCOLD_LD")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_scold")), PathBuf::from);
        let name = if env::var_os("SCOLD_LD").is_some() { "prefix-other" } else { "prefix" };
        let dir = base().join(name);
        fs::create_dir_all(&dir).expect("the prefix folder");
        for name in ["ld", "ld.scold"] {
            let link = dir.join(name);
            if fs::read_link(&link).is_ok_and(|old| old == linker) {
                continue;
            }
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&linker, link).expect("a link to the linker");
        }
        dir
    })
}

/// `-B` and the prefix as one argument.
fn dash_b() -> String {
    format!("-B{}", prefix().display())
}

/// A command that is stopped after twenty minutes.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("1200").arg(program);
    command
}

/// A compiler driver with the linker under test behind it.
fn driver(name: &str) -> Command {
    let mut command = command(name);
    command.arg(dash_b());
    command
}

/// Runs `command`, which must succeed; its standard output.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = output(command);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// Runs `command`, which must fail; its standard error.
#[track_caller]
fn run_failing(command: &mut Command) -> String {
    let output = output(command);
    let (stdout, stderr) = texts(&output);
    assert!(!output.status.success(), "{command:?} succeeded\n{stdout}{stderr}");
    stderr
}

#[track_caller]
fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Whether `program` can be started at all.
fn has(program: impl AsRef<OsStr>) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Says that a test can't run here; under `SCOLD_REQUIRE=all` that is a failure.
#[track_caller]
fn skip(test: &str, what: &str, hint: &str) {
    assert_ne!(
        env::var("SCOLD_REQUIRE").as_deref(),
        Ok("all"),
        "{test} needs {what}, but SCOLD_REQUIRE=all: {hint}"
    );
    eprintln!("skipped: {test} needs {what}: {hint}");
}

/// Compiles `source` to an object that stays for the next run.
///
/// The name is made of the source's and `flags`, so each set of flags has its own.
fn compile(compiler: &str, source: &Path, flags: &[&str]) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (compiler, source, flags, fs::read(source).expect("the source")).hash(&mut hasher);
    let dir = base().join("objects");
    fs::create_dir_all(&dir).expect("the objects' folder");
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let object = dir.join(format!("{stem}-{:016x}.o", hasher.finish()));
    if !object.exists() {
        // Other tests may want the same object at the same moment.
        let mine = object.with_extension(format!("{:?}.tmp", std::thread::current().id()));
        run(command(compiler).args(flags).arg("-c").arg("-o").arg(&mine).arg(source));
        fs::rename(&mine, &object).expect("the object takes its name");
    }
    object
}

/// A program of this folder.
fn program(name: &str) -> PathBuf {
    here().join("programs").join(name)
}

/// Where cargo keeps the sources of the crate `name` of `sources/Cargo.toml`; fetched if need be.
fn crate_source(name: &str) -> Option<PathBuf> {
    let manifest = here().join("sources/Cargo.toml");
    let mut cargo = command(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--locked", "--manifest-path"]).arg(manifest);
    let output = output(&mut cargo);
    if !output.status.success() {
        eprintln!("{}", texts(&output).1);
        return None;
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let package = packages.iter().find(|package| package["name"] == name)?;
    let manifest = Path::new(package["manifest_path"].as_str()?);
    manifest.parent().map(Path::to_owned)
}

#[test]
fn gcc_calls_the_linker_under_test() {
    if env::var_os("SCOLD_LD").is_some() {
        return;
    }
    let version = run(driver("gcc").arg("-Wl,--version"));
    assert!(version.starts_with("scold ld.scold "), "{version}");
}
