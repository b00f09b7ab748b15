//! arm64: `aarch64-linux-gnu-gcc -B DIR` for what this machine's gcc links, run by qemu's user mode.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol};

use super::platform::ARM64;
use super::{c, command, compile, cxx, driver, go, program, run, scratch, tls};

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
    run(command("g++").arg("-o").arg(&native).arg(program("throw.cc")));
    let wanted = run(&mut command(&native));
    for kind in ["-pie", "-no-pie", "-static", "-static-pie"] {
        run(driver(ARM64.gxx).arg(kind).arg("-o").arg(&exe).arg(&object));
        assert_eq!(run(&mut ARM64.run(&exe)), wanted, "{kind}");
    }
}

/// Branches out of reach: over 128 MiB, with addends, of section symbols, to the PLT, through a pointer.
#[test]
fn arm64_branches_get_there() {
    if !ARM64.ready("branches") {
        return;
    }
    let dir = scratch("arm64-far");
    let (object, exe) = (dir.join("far.o"), dir.join("exe"));
    for gap in ["0x100", "0x8100000"] {
        let gap = format!("-Wa,--defsym,GAP={gap}");
        run(command(ARM64.gcc).args([&gap, "-c", "-o"]).arg(&object).arg(program("arm64_far.s")));
        for kind in [&["-no-pie"][..], &["-pie", "-Wl,--gc-sections"]] {
            run(driver(ARM64.gcc).args(kind).arg("-o").arg(&exe).arg(&object));
            assert_eq!(run(&mut ARM64.run(&exe)), "3121\n", "{gap} {kind:?}");
        }
    }
    // They are large.
    fs::remove_dir_all(dir).expect("the folder goes");
}

/// The word at `name` of an executable.
fn word_at(exe: &Path, name: &str) -> u32 {
    let bytes = fs::read(exe).expect("the output");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let symbol = file.symbol_by_name(name).expect("the symbol");
    let section = file.sections().find(|s| Some(s.index()) == symbol.section_index());
    let data = section.and_then(|s| s.data_range(symbol.address(), 4).ok()?);
    u32::from_le_bytes(data.expect("its bytes").try_into().expect("four"))
}

/// Erratum 843419 of the Cortex-A53: the access after a late `adrp` is a branch to where it went.
#[test]
fn arm64_late_adrps_lose_their_access() {
    if !ARM64.ready("erratum") {
        return;
    }
    let exe = scratch("arm64-843419").join("exe");
    let object = compile(ARM64.gcc, &program("arm64_843419.s"), &[]);
    for kind in ["-no-pie", "-pie"] {
        for fix in [true, false] {
            // Debian's compiler asks for it unless told not to.
            let fixes = ["-mfix-cortex-a53-843419", "-mno-fix-cortex-a53-843419"];
            let flag = fixes[usize::from(!fix)];
            run(driver(ARM64.gcc).args([kind, flag, "-o"]).arg(&exe).arg(&object));
            run(&mut ARM64.run(&exe));
            for (name, moves) in
                [("moved.0", true), ("moved.1", true), ("moved.2", true), ("stays", false)]
            {
                let branch = word_at(&exe, name) >> 26 == 0b000101;
                assert_eq!(branch, moves && fix, "{name} {kind} {flag}");
            }
        }
    }
}

/// A program marked for BTI reaches its PLT by indirect branches; without a mark at one place it dies
/// there, so the marks were looked at.
#[test]
fn arm64_plt_has_landing_marks() {
    if !ARM64.ready("landing marks") {
        return;
    }
    let exe = scratch("arm64-bti").join("exe");
    for (marked, text) in [("1", Some("here\nhere\nhere\n")), ("0", None)] {
        let marked = format!("-Wa,--defsym,MARKED={marked},-march=armv8.5-a");
        let object = compile(ARM64.gcc, &program("arm64_bti.s"), &[&marked]);
        for kind in ["-no-pie", "-pie"] {
            for plt in ["-Wl,-z,lazy", "-Wl,-z,now", "-Wl,-z,bti-report=error"] {
                let args = ["-nostartfiles", kind, plt, "-o"];
                run(driver(ARM64.gcc).args(args).arg(&exe).arg(&object));
                match text {
                    Some(text) => assert_eq!(run(&mut ARM64.run(&exe)), text, "{kind} {plt}"),
                    None => drop(super::run_failing(&mut ARM64.run(&exe))),
                }
            }
        }
    }
}

/// `-z pac-plt`: entries check what they jump to. No loader here signs it, so the program is run by a
/// processor that checks nothing.
#[test]
fn arm64_plt_checks_addresses() {
    if !ARM64.ready("signed PLT") {
        return;
    }
    let exe = scratch("arm64-pac").join("exe");
    let object = compile(ARM64.gcc, &program("modes.c"), &["-fPIE", "-O1", "-fcommon"]);
    let wanted = "123 123 8 0 1 0 =y\n42 3 0\nbye\n";
    for bti in ["-Wl,-z,force-bti", "-Wl,-z,lazy"] {
        run(driver(ARM64.gcc).args(["-w", bti, "-Wl,-z,pac-plt", "-o"]).arg(&exe).arg(&object));
        let text = run(ARM64.run(&exe).env("QEMU_CPU", "cortex-a53"));
        assert_eq!(text, wanted, "{bti}");
        let bytes = fs::read(&exe).expect("the output");
        let file = object::File::parse(&*bytes).expect("an ELF file");
        let plt = file.section_by_name(".plt").and_then(|plt| plt.data().ok()).expect("a PLT");
        let checks = plt.chunks(4).filter(|word| *word == 0xd503_219f_u32.to_le_bytes()).count();
        assert!(checks > 3, "{checks} times autia1716, {bti}");
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
