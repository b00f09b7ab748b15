//! Debug sections, compressed going in and coming out; exceptions without a loader; constructors.

use super::{command, compile, driver, has, program, run, scratch, skip};

/// The lines readelf makes of debug sections, inflated; addresses and offsets are part of them.
fn dump(file: &std::path::Path) -> String {
    let mut readelf = command("readelf");
    run(readelf.args(["-z", "--debug-dump=info,decodedline"]).arg(file))
}

#[test]
fn debug_sections_survive_compression() {
    let dir = scratch("compress");
    let plain = compile("gcc", &program("modes.c"), &["-g", "-fPIE", "-O1", "-fcommon"]);
    let want = {
        let exe = dir.join("plain");
        run(driver("gcc").arg("-o").arg(&exe).arg(&plain));
        dump(&exe)
    };
    assert!(want.contains("DW_TAG_compile_unit"), "nothing to compare");
    for form in ["none", "zlib", "zstd", "zlib-gnu"] {
        let object = dir.join(format!("{form}.o"));
        let style = format!("--compress-debug-sections={form}");
        if form == "zstd" && !has("llvm-objcopy-22") {
            skip("zstd input", "llvm-objcopy-22", "apt install llvm-22");
            continue;
        }
        let tool = if form == "zstd" { "llvm-objcopy-22" } else { "objcopy" };
        run(command(tool).arg(style).arg(&plain).arg(&object));
        for method in ["none", "zlib", "zstd"] {
            let exe = dir.join(format!("{form}-{method}"));
            let option = format!("-Wl,--compress-debug-sections={method}");
            run(driver("gcc").arg(option).arg("-o").arg(&exe).arg(&object));
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(lines(&dump(&exe)), lines(&want), "{form} in, {method} out");
            let headers = run(command("readelf").arg("-tW").arg(&exe));
            assert_eq!(headers.contains("COMPRESSED"), method != "none", "{form}, {method}");
            assert!(!headers.contains(".zdebug"), "{form}: the old name stays");
            run(&mut command(&exe));
        }
    }
}

/// `crtbeginT.o` registers the unwind table by a symbol in an empty `.eh_frame`.
#[test]
fn static_programs_catch_exceptions() {
    let dir = scratch("throw");
    let object = compile("g++", &program("throw.cc"), &["-O1"]);
    let kinds: &[&[&str]] = &[
        &["-static"],
        &["-static", "-Wl,--gc-sections"],
        &["-static", "-Wl,--eh-frame-hdr"],
        &["-static-pie"],
        &[],
    ];
    for (i, kind) in kinds.iter().enumerate() {
        let exe = dir.join(format!("throw{i}"));
        run(driver("g++").args(*kind).arg("-o").arg(&exe).arg(&object));
        assert_eq!(run(&mut command(&exe)), "dtor\nboom3\n5\n", "{kind:?}");
    }
}

/// Old constructor tables ran from their end; folded into the arrays, the order must be the same.
/// Tables of one priority stay in the order of their sections, as GNU ld's script has it.
#[test]
fn constructor_tables_fold_in_reverse() {
    let dir = scratch("ctors");
    let object = compile("gcc", &program("ctors.c"), &["-O1", "-fPIE", "-fno-toplevel-reorder"]);
    let kinds: &[&[&str]] =
        &[&[], &["-static"], &["-Wl,-z,pack-relative-relocs"], &["-Wl,--gc-sections"]];
    for (i, kind) in kinds.iter().enumerate() {
        let exe = dir.join(format!("ctors{i}"));
        run(driver("gcc").args(*kind).arg("-o").arg(&exe).arg(&object));
        assert_eq!(run(&mut command(&exe)), "d\nc\nb\na\ne\nmain\nx\ny\n", "{kind:?}");
    }
}
