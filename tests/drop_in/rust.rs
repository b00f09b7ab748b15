//! Rust: a cdylib for a C host, and scold itself, whose tests must pass when `ld.scold` linked them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{base, command, compile, driver, here, output, prefix, program, run, scratch, texts};

/// A cargo command whose links go to the linker under test, also where rustc would use its lld.
fn cargo(target_dir: &Path) -> Command {
    cargo_with(prefix(), target_dir)
}

/// The same, with the `ld` of the folder `prefix`.
fn cargo_with(prefix: &Path, target_dir: &Path) -> Command {
    let mut command = command(env!("CARGO"));
    let flags =
        ["-Clinker=gcc", "-Clinker-features=-lld", &format!("-Clink-arg=-B{}", prefix.display())]
            .join("\x1f");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags).env("CARGO_TARGET_DIR", target_dir);
    // What cargo sets for this test must not reach the build.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET").env_remove("RUSTC_WRAPPER");
    command
}

#[test]
fn a_cdylib_is_loaded_and_called() {
    let dir = scratch("rust-cdylib");
    let host = dir.join("host");
    let object = compile("gcc", &program("rust_host.c"), &["-O1", "-fPIE"]);
    run(driver("gcc").arg("-o").arg(&host).arg(object).arg("-ldl"));
    for profile in ["dev", "release"] {
        let manifest = here().join("cdylib/Cargo.toml");
        let mut cargo = cargo(&dir.join("target"));
        run(cargo
            .args(["build", "--locked", "--profile", profile, "--manifest-path"])
            .arg(manifest));
        let folder = if profile == "dev" { "debug" } else { profile };
        let library = dir.join("target").join(folder).join("libdrop_in_cdylib.so");
        let text = run(command(&host).arg(library));
        let wanted = "11 20 100 -1\n44 54\n\
                      {'i': 4, 'm': 1, 'p': 2, 's': 4} 1.414 Ok(1500.0) [Some(1), \"two\"]\n1\n";
        assert_eq!(text, wanted, "{profile}");
    }
}

/// Builds scold and its tests with itself, runs the tests, then has the result link a program.
#[test]
fn scold_links_itself() {
    let dir = base().join("self");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let log = dir.join("links.log");
    let logging = logging_prefix(&dir, &log);
    let mut tests = cargo_with(&logging, &dir);
    let output = output(tests.current_dir(root).args(["test", "--locked", "--workspace"]).args([
        "--lib",
        "--bins",
        "--no-fail-fast",
        "--",
        "--quiet",
    ]));
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    let passed: usize = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. ")?.split_once(" passed"))
        .map(|(count, _)| count.parse::<usize>().expect("a number"))
        .sum();
    assert!(passed > 100, "only {passed} tests\n{stdout}");
    run(cargo_with(&logging, &dir).current_dir(root).args(["build", "--locked", "--bin", "scold"]));
    // The log is of all runs into this folder: cargo links again only what has changed.
    let linked = std::fs::read_to_string(log).expect("a log of links");
    for part in ["scold_linker-", "scold_diff-", "scold_fuzz-", "deps/scold-"] {
        assert!(linked.contains(part), "{part} was not linked by the linker under test: {linked}");
    }
    let second = linked_by(&dir.join("debug/scold"));
    assert_eq!(run(&mut command(second)), "123 123 8 0 1 0 =y\n42 3 0\nbye\n");
}

/// A folder for `-B` whose `ld` writes down where its output goes and calls the linker under test.
fn logging_prefix(dir: &Path, log: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = dir.join("prefix");
    std::fs::create_dir_all(&folder).expect("the prefix folder");
    let linker = prefix().join("ld");
    let script = format!(
        "#!/bin/sh\necho \"$*\" | grep -o -e '-o [^ ]*' >> '{}'\nexec '{}' \"$@\"\n",
        log.display(),
        linker.display()
    );
    let path = folder.join("ld");
    std::fs::write(&path, script).expect("the script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    folder
}

/// A program linked by the linker at `linker`.
fn linked_by(linker: &Path) -> PathBuf {
    let dir = scratch("rust-self");
    std::os::unix::fs::symlink(linker, dir.join("ld")).expect("a link to the linker");
    let object = compile("gcc", &program("modes.c"), &["-fPIE", "-O1", "-fcommon"]);
    let exe = dir.join("modes");
    run(command("gcc").arg(format!("-B{}", dir.display())).arg("-o").arg(&exe).arg(object));
    exe
}
