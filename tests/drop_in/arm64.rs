//! arm64: `aarch64-linux-gnu-gcc -B DIR` for what this machine's gcc links, run by qemu's user mode.

use super::platform::ARM64;
use super::{c, compile, cxx, driver, go, program, run, scratch, tls};

/// Compiler flags: the dialects of TLS, code models, landing marks.
const FLAVOURS: &[&[&str]] =
    &[&[], &["-mcmodel=tiny"], &["-fno-plt"], &["-mbranch-protection=standard"]];

#[test]
fn arm64_programs_of_every_kind_run() {
    if ARM64.ready("programs") {
        for flags in FLAVOURS {
            c::programs(&ARM64, flags);
        }
    }
}

#[test]
fn arm64_thread_locals() {
    if ARM64.ready("thread-locals") {
        let trad = "-mtls-dialect=trad";
        for flags in [
            &[][..],
            &["-mcmodel=tiny"],
            &[trad],
            &[trad, "-mcmodel=tiny"],
            &[trad, "-ftls-model=local-dynamic"],
            &["-ftls-model=initial-exec"],
            &["-ftls-model=initial-exec", "-mcmodel=tiny"],
        ] {
            tls::right_however_linked(&ARM64, "tls", ARM64.gcc, flags);
        }
    }
}

#[test]
fn arm64_libraries_throw_through_dlopen() {
    cxx::libraries(&ARM64, &[]);
}

/// The unwinder finds its tables, and the C++ library's data is copied or reached through the GOT.
#[test]
fn arm64_exceptions() {
    if !ARM64.ready("exceptions") {
        return;
    }
    let exe = scratch("arm64-throw").join("exe");
    let object = compile(ARM64.gxx, &program("throw.cc"), &["-fPIE", "-O1"]);
    let native = exe.with_extension("native");
    run(super::command("g++").arg("-o").arg(&native).arg(program("throw.cc")));
    let wanted = run(&mut super::command(&native));
    for kind in ["-pie", "-no-pie", "-static", "-static-pie"] {
        run(driver(ARM64.gxx).arg(kind).arg("-o").arg(&exe).arg(&object));
        assert_eq!(run(&mut ARM64.run(&exe)), wanted, "{kind}");
    }
}

#[test]
fn arm64_sqlite() {
    if ARM64.ready("sqlite") {
        c::sqlite(&ARM64);
    }
}

#[test]
fn arm64_go_c_shared() {
    go::c_shared(&ARM64);
}

#[test]
fn arm64_go_plugins() {
    go::plugins(&ARM64);
}

#[test]
fn arm64_go_executables() {
    go::executables(&ARM64);
}
