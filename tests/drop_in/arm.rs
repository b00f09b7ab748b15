//! arm: `arm-linux-gnueabihf-gcc -B DIR` for what this machine's gcc links, in both instruction sets, run by
//! qemu's user mode.

use super::platform::ARM;
use super::{c, command, compile, cxx, driver, go, program, run, scratch, tls};

/// Compiler flags: the instruction sets, literals and moves of halves, direct and indirect calls.
const FLAVOURS: &[&[&str]] = &[
    &["-mthumb"],
    &["-marm"],
    &["-marm", "-mword-relocations"],
    &["-mthumb", "-fno-plt"],
    &["-mthumb", "-mlong-calls"],
];

#[test]
fn arm_programs_of_every_kind_run() {
    if ARM.ready("programs") {
        for flags in FLAVOURS {
            c::programs(&ARM, flags);
        }
    }
}

#[test]
fn arm_thread_locals() {
    if ARM.ready("thread-locals") {
        for state in ["-marm", "-mthumb"] {
            for flags in [
                &[state][..],
                &[state, "-ftls-model=local-dynamic"],
                &[state, "-ftls-model=initial-exec"],
                &[state, "-mtls-dialect=gnu2"],
            ] {
                tls::right_however_linked(&ARM, "tls", ARM.gcc, flags);
            }
        }
    }
}

#[test]
fn arm_libraries_throw_through_dlopen() {
    for state in ["-marm", "-mthumb"] {
        cxx::libraries(&ARM, &[state]);
    }
}

/// Branches out of reach, or to the other instruction set: over 1, 16 and 32 MiB.
#[test]
fn arm_branches_get_there() {
    if !ARM.ready("branches") {
        return;
    }
    let exe = scratch("arm-far").join("exe");
    for gap in ["0x100", "0x180000", "0x1200000", "0x2400000"] {
        let gap = format!("-Wa,--defsym,GAP={gap}");
        let object = compile(ARM.gcc, &program("arm_far.s"), &[&gap]);
        for kind in [&["-no-pie"][..], &["-pie", "-Wl,--gc-sections"]] {
            run(driver(ARM.gcc).args(kind).arg("-o").arg(&exe).arg(&object));
            assert_eq!(run(&mut ARM.run(&exe)), "30c9\n", "{gap} {kind:?}");
        }
    }
}

/// The unwinder finds the code by the index, and the tables by what the index says.
#[test]
fn arm_exceptions() {
    if !ARM.ready("exceptions") {
        return;
    }
    let exe = scratch("arm-throw").join("exe");
    let native = exe.with_extension("native");
    run(command("g++").arg("-o").arg(&native).arg(program("throw.cc")));
    let wanted = run(&mut command(&native));
    for state in ["-marm", "-mthumb"] {
        let object = compile(ARM.gxx, &program("throw.cc"), &["-fPIE", "-O1", state]);
        for kind in ["-pie", "-no-pie", "-static"] {
            for merge in ["-Wl,--gc-sections", "-Wl,--no-merge-exidx-entries"] {
                run(driver(ARM.gxx).args([kind, merge, "-o"]).arg(&exe).arg(&object));
                assert_eq!(run(&mut ARM.run(&exe)), wanted, "{state} {kind} {merge}");
            }
        }
    }
}

#[test]
fn arm_sqlite() {
    if ARM.ready("sqlite") {
        c::sqlite(&ARM);
    }
}

#[test]
fn arm_go_c_shared() {
    go::c_shared(&ARM);
}

#[test]
fn arm_go_plugins() {
    go::plugins(&ARM);
}

#[test]
fn arm_go_executables() {
    go::executables(&ARM);
}
