//! arm64: `aarch64-linux-gnu-gcc -B DIR` in every kind of output, run by qemu's user mode.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{command, compile, driver, has, program, run, scratch, skip};

const GCC: &str = "aarch64-linux-gnu-gcc";
const GXX: &str = "aarch64-linux-gnu-g++";
const QEMU: &str = "qemu-aarch64";
const KINDS: &[&[&str]] = &[
    &["-pie"],
    &["-pie", "-Wl,--no-relax"],
    &["-no-pie"],
    &["-no-pie", "-Wl,-z,lazy", "-Wl,--emit-relocs"],
    &["-static"],
    &["-static-pie"],
];

/// Whether `test` can run here.
#[track_caller]
fn ready(test: &str) -> bool {
    let ready = [GCC, GXX, QEMU].iter().all(has);
    if !ready {
        let hint = "apt-get install g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user";
        skip(test, "a cross compiler and qemu-aarch64", hint);
    }
    ready
}

/// The program `exe`, run with the libraries beside it.
fn emulated(exe: &Path) -> Command {
    let mut command = command(QEMU);
    command.args(["-L", "/usr/aarch64-linux-gnu"]).arg(exe);
    command
}

fn tls_objects(flags: &[&str]) -> [PathBuf; 2] {
    let flags = [&["-fPIC", "-O1"], flags].concat();
    ["tls_module.c", "tls_other.c"].map(|name| compile(GCC, &program(name), &flags))
}

/// Thread-locals by descriptors, by calls and by offsets; C's startup code and threads come along.
#[test]
fn thread_locals() {
    if !ready("thread_locals") {
        return;
    }
    const WANTED: &str = "130205 101 7 23 34 45 3 0\n\
                          150407 102 7 24 35 46 3 0\n\
                          130205 101 7 23 34 45 3 0\n";
    let dir = scratch("arm64-tls");
    let exe = dir.join("exe");
    let library = dir.join("libtls.so");
    let main = compile(GCC, &program("tls_main.c"), &["-fPIE", "-O1"]);
    for model in [&[][..], &["-mtls-dialect=trad"], &["-ftls-model=initial-exec"]] {
        let objects = tls_objects(model);
        for kind in KINDS {
            run(driver(GCC).args(*kind).arg("-o").arg(&exe).arg(&main).args(&objects));
            assert_eq!(run(&mut emulated(&exe)), WANTED, "{kind:?} {model:?}");
        }
        run(driver(GCC).args(["-shared", "-Wl,-Bsymbolic", "-o"]).arg(&library).args(&objects));
        run(driver(GCC).arg("-o").arg(&exe).args([&main, &library]));
        assert_eq!(run(&mut emulated(&exe)), WANTED, "-shared {model:?}");
    }
}

/// The unwinder finds its tables, and the C++ library's data is copied or reached through the GOT.
#[test]
fn exceptions() {
    if !ready("exceptions") {
        return;
    }
    let exe = scratch("arm64-throw").join("exe");
    let object = compile(GXX, &program("throw.cc"), &["-fPIE", "-O1"]);
    let native = exe.with_extension("native");
    run(command("g++").arg("-o").arg(&native).arg(program("throw.cc")));
    let wanted = run(&mut command(&native));
    for kind in KINDS {
        run(driver(GXX).args(*kind).arg("-o").arg(&exe).arg(&object));
        assert_eq!(run(&mut emulated(&exe)), wanted, "{kind:?}");
    }
}
