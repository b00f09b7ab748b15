//! Thread-local storage: every way a compiler reaches it, in every kind of output, run.

use std::path::Path;

use super::platform::{HOST, Platform};
use super::{command, compile, driver, program, run, scratch, skip};

/// Two calls on one thread, then one on another.
const WANTED: &str = "130205 101 7 23 34 45 3 0\n\
                      150407 102 7 24 35 46 3 0\n\
                      130205 101 7 23 34 45 3 0\n";

/// Links `objects` as a program in every way there is, and as a library; each must print
/// [`WANTED`].
#[track_caller]
fn right_in_every_output(platform: &Platform, dir: &Path, objects: &[&Path]) {
    let main = compile(platform.gcc, &program("tls_main.c"), &["-fPIE", "-O1"]);
    let kinds: &[&[&str]] = &[
        &["-pie"],
        &["-pie", "-Wl,--no-relax"],
        &["-no-pie"],
        &["-static"],
        &["-static-pie"],
        &["-no-pie", "-Wl,--emit-relocs"],
    ];
    let exe = dir.join("exe");
    for kind in kinds.iter().filter(|kind| platform.has_startup(kind)) {
        run(driver(platform.gcc).args(*kind).arg("-o").arg(&exe).arg(&main).args(objects));
        assert_eq!(run(&mut platform.run(&exe)), WANTED, "{kind:?} {objects:?}");
    }
    let library = dir.join("libtls.so");
    // What local-dynamic code says of a symbol is only true if no other module defines it.
    run(driver(platform.gcc).args(["-shared", "-Wl,-Bsymbolic", "-o"]).arg(&library).args(objects));
    run(driver(platform.gcc).arg("-o").arg(&exe).args([&main, &library]));
    assert_eq!(run(&mut platform.run(&exe)), WANTED, "-shared {objects:?}");
}

#[track_caller]
pub(super) fn right_however_linked(
    platform: &Platform,
    test: &str,
    compiler: &str,
    flags: &[&str],
) {
    let dir = scratch(&platform.folder(test));
    let flags = [&["-fPIC", "-O1"], flags].concat();
    let module = compile(compiler, &program("tls_module.c"), &flags);
    let other = compile(compiler, &program("tls_other.c"), &flags);
    right_in_every_output(platform, &dir, &[&module, &other]);
    let joined = dir.join("joined.o");
    run(driver(platform.gcc).args(["-r", "-o"]).arg(&joined).args([&module, &other]));
    right_in_every_output(platform, &dir, &[&joined]);
}

#[test]
fn descriptors_by_gcc() {
    right_however_linked(&HOST, "tls-gnu2", "gcc", &["-mtls-dialect=gnu2"]);
    let local = ["-mtls-dialect=gnu2", "-ftls-model=local-dynamic"];
    right_however_linked(&HOST, "tls-gnu2-ld", "gcc", &local);
}

#[test]
fn calls_by_gcc() {
    right_however_linked(&HOST, "tls-gd", "gcc", &[]);
    right_however_linked(&HOST, "tls-no-plt", "gcc", &["-fno-plt"]);
    right_however_linked(&HOST, "tls-ie", "gcc", &["-ftls-model=initial-exec"]);
}

/// The large code model reaches `__tls_get_addr` through the GOT's base; static programs have none.
#[test]
fn calls_in_the_large_code_model() {
    right_however_linked(&HOST, "tls-large", "gcc", &["-mcmodel=large"]);
}

#[test]
fn both_by_clang() {
    let desc = "-mtls-dialect=gnu2";
    let probe = |name: &&str| {
        let asked = command(name).args([desc, "-E", "-x", "c", "/dev/null"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    let Some(clang) = ["clang", "clang-22", "clang-20", "clang-19"].into_iter().find(probe) else {
        return skip("both_by_clang", "clang 19 or later", "apt-get install clang-19");
    };
    right_however_linked(&HOST, "tls-clang", clang, &[]);
    right_however_linked(&HOST, "tls-clang-desc", clang, &[desc]);
}

/// An object may use both dialects, as after `-r`: then one base must serve both.
#[test]
fn both_dialects_in_one_object() {
    let dir = scratch("tls-both");
    let module = program("tls_module.c");
    let rename = ["-Dshow=unused", "-Dglobal=g2", "-Dhidden=h2", "-Daligned=a2"];
    let other = compile("gcc", &program("tls_other.c"), &["-fPIC", "-O1"]);
    for dialects in [["gnu", "gnu2"], ["gnu2", "gnu"]] {
        let [unused, used] = dialects.map(|dialect| format!("-mtls-dialect={dialect}"));
        let unused = [&["-fPIC", "-O1", &unused][..], &rename].concat();
        let unused = compile("gcc", &module, &unused);
        let used = compile("gcc", &module, &["-fPIC", "-O1", &used]);
        let joined = dir.join("joined.o");
        run(driver("gcc").args(["-r", "-o"]).arg(&joined).args([&unused, &used, &other]));
        right_in_every_output(&HOST, &dir, &[&joined]);
    }
}
