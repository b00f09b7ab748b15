//! C: programs of every kind, SQLite and zstd as libraries, what goes wrong.

use std::fs;
use std::path::{Path, PathBuf};

use super::platform::{HOST, Platform};
use super::{
    command, compile, crate_source, driver, here, program, run, run_failing, scratch, skip,
};

const FETCH: &str = "cargo fetch --manifest-path tests/drop_in/sources/Cargo.toml";

#[test]
fn programs_of_every_kind_run() {
    programs(&HOST, &[]);
}

/// Programs of every kind, compiled with `flags` for `platform`.
#[track_caller]
pub(super) fn programs(platform: &Platform, flags: &[&str]) {
    let dir = scratch(&platform.folder("modes"));
    let kinds: &[(&str, &[&str])] = &[
        ("-fPIE", &["-pie"]),
        ("-fno-pic", &["-no-pie"]),
        ("-fno-pic", &["-static"]),
        ("-fPIE", &["-static-pie"]),
        ("-fPIE", &["-pie", "-Wl,-z,now", "-Wl,--gc-sections", "-s"]),
        ("-fPIE", &["-pie", "-Wl,-z,pack-relative-relocs", "-Wl,--hash-style=sysv"]),
        ("-fPIE", &["-pie", "-Wl,-z,noseparate-code", "-Wl,--no-relax", "-rdynamic"]),
        ("-fno-pic", &["-no-pie", "-Wl,-z,lazy", "-Wl,--build-id=uuid", "-Wl,-S"]),
        ("-fPIC", &["-pie", "-Wl,-z,norelro", "-Wl,--emit-relocs"]),
        ("-fPIC", &["-no-pie", "-Wl,-z,max-page-size=65536"]),
    ];
    let kinds = kinds.iter().filter(|kind| platform.has_startup(kind.1));
    for (i, (flag, link)) in kinds.enumerate() {
        let flags = [&[*flag, "-O1", "-fcommon", "-g"], flags].concat();
        let object = compile(platform.gcc, &program("modes.c"), &flags);
        let exe = dir.join(format!("modes{i}"));
        run(driver(platform.gcc).args(*link).arg("-o").arg(&exe).arg(object));
        let text = run(&mut platform.run(&exe));
        assert_eq!(text, "123 123 8 0 1 0 =y\n42 3 0\nbye\n", "{link:?} {flags:?}");
    }
}

#[test]
fn a_relocatable_link_can_be_linked_again() {
    let dir = scratch("relocatable");
    let object = compile("gcc", &program("modes.c"), &["-fPIE", "-O1", "-fcommon"]);
    let (joined, exe) = (dir.join("joined.o"), dir.join("modes"));
    run(driver("gcc").args(["-r", "-o"]).arg(&joined).arg(object));
    run(driver("gcc").arg("-o").arg(&exe).arg(joined));
    assert_eq!(run(&mut command(&exe)), "123 123 8 0 1 0 =y\n42 3 0\nbye\n");
}

#[test]
fn sqlite_answers_from_every_kind_of_library() {
    sqlite(&HOST);
}

/// SQLite as a library in every form, for `platform`.
#[track_caller]
pub(super) fn sqlite(platform: &Platform) {
    let Some(source) = crate_source("libsqlite3-sys") else {
        return skip("sqlite", "the crate libsqlite3-sys", FETCH);
    };
    let flags = ["-O1", "-g", "-fPIC", "-ffunction-sections", "-fdata-sections", "-w"];
    let object = compile(platform.gcc, &source.join("sqlite3/sqlite3.c"), &flags);
    let host_object = compile(platform.gcc, &program("sqlite_host.c"), &["-O1", "-fPIE"]);
    let dir = scratch(&platform.folder("sqlite"));
    let host = dir.join("host");
    run(driver(platform.gcc).arg("-o").arg(&host).arg(host_object).args(["-ldl", "-lpthread"]));
    let kinds: &[&[&str]] = &[
        &[],
        &["-Wl,-Bsymbolic", "-Wl,-z,nodelete"],
        &["-Wl,-z,now", "-Wl,--build-id=0x0123456789abcdef"],
        &["-Wl,--gc-sections", "-s"],
        &["-Wl,-z,pack-relative-relocs", "-Wl,--compress-debug-sections=zlib"],
        &["-Wl,--no-relax", "-Wl,-z,defs", "-Wl,--hash-style=both", "-Wl,-O2"],
    ];
    for (i, kind) in kinds.iter().enumerate() {
        let library = dir.join(format!("libsqlite{i}.so"));
        run(driver(platform.gcc)
            .arg("-shared")
            .args(*kind)
            .arg("-o")
            .arg(&library)
            .arg(&object)
            .args(["-ldl", "-lm", "-lpthread"]));
        let wanted = "2000|6003000|125.063\n\
                      1|1001\n2|1002\n3|1003\n\
                      deep\n\
                      2000|1\n\
                      2.5000 00FF|Äbc|NULL|Inf\n\
                      ok\n";
        assert_eq!(run(platform.run(&host).arg(&library)), wanted, "{kind:?}");
    }
}

#[test]
fn zstd_round_trips_shared_and_static() {
    let Some(source) = crate_source("zstd-sys") else {
        return skip("zstd", "the crate zstd-sys", FETCH);
    };
    let lib = source.join("zstd/lib");
    let include = format!("-I{}", lib.display());
    let flags = ["-O1", "-fPIC", "-DZSTD_MULTITHREAD", "-w", &include];
    let mut objects = Vec::new();
    for part in ["common", "compress", "decompress", "dictBuilder"] {
        for source in sources(&lib.join(part)) {
            objects.push(compile("gcc", &source, &flags));
        }
    }
    assert!(objects.len() > 20, "zstd has more files than {}", objects.len());
    let dir = scratch("zstd");
    let host = compile("gcc", &program("zstd_host.c"), &["-O1", "-fPIE", &include]);
    let archive = dir.join("libzstd.a");
    run(command("ar").arg("rcs").arg(&archive).args(&objects));
    let library = dir.join("libzstd.so");
    run(driver("gcc")
        .args(["-shared", "-Wl,-soname,libzstd.so", "-Wl,--whole-archive", "-o"])
        .arg(&library)
        .arg(&archive)
        .args(["-Wl,--no-whole-archive", "-lpthread"]));
    let search = format!("-L{}", dir.display());
    let rpath = format!("-Wl,-rpath,{}", dir.display());
    let kinds: &[&[&str]] = &[
        &[&search, "-lzstd", &rpath],
        &["-no-pie", &search, "-lzstd", &rpath, "-Wl,-z,now"],
        &[&search, "-Wl,-Bstatic", "-lzstd", "-Wl,-Bdynamic"],
        &["-static", &search, "-lzstd"],
    ];
    for (i, kind) in kinds.iter().enumerate() {
        let exe = dir.join(format!("host{i}"));
        run(driver("gcc").arg("-o").arg(&exe).arg(&host).args(*kind).arg("-lpthread"));
        let text = run(&mut command(&exe));
        let wanted = "damage is seen: 1\ndictionary: 1\nversion 1.5.7\n";
        assert_eq!(text, wanted, "{kind:?}");
    }
}

/// The C and assembler files of a folder, sorted.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut list: Vec<_> = fs::read_dir(dir)
        .expect("zstd's folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "c" || ext == "S"))
        .collect();
    list.sort();
    list
}

/// What goes wrong must say so in one message, fail, and leave no output.
#[test]
fn errors_are_clear_and_leave_nothing() {
    let dir = scratch("errors");
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).expect("a source");
        compile("gcc", &path, &["-fPIC"])
    };
    let main = write("main.c", "int main(void) { return 0; }");
    let twice = write("twice.c", "int main(void) { return 1; }");
    let undefined = write("undefined.c", "int missing(void); int use(void) { return missing(); }");
    let far = write("far.c", "asm(\".text\\n.long far\\n\");");
    let (cut, junk) = (dir.join("cut.o"), dir.join("junk.a"));
    let bytes = fs::read(&main).expect("an object");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("half an object");
    fs::write(&junk, "!<arch>\nnot a header").expect("a bad archive");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (main, here) = (text(&main), text(&here()));
    let cases: &[(&[&str], &[&str])] = &[
        (&[&main, &text(&undefined)], &["undefined", "missing", "undefined-", ".text"]),
        (&[&main, &text(&twice)], &["duplicate", "main", "twice-"]),
        (&[&main, &text(&far), "-Wl,--defsym=far=0x123456789"], &["far", "R_X86_64_32", "outside"]),
        (&[&main, &text(&cut)], &["cut.o"]),
        (&[&main, &text(&junk)], &["junk.a", "0x8"]),
        (&[&main, "-lno-such-library"], &["-lno-such-library"]),
        (&[&main, "/no/such/file.o"], &[]),
        (&[&main, "-Wl,--no-such-option"], &["unrecognized option '--no-such-option'"]),
        (&[&main, &format!("{here}/mod.rs")], &["mod.rs", "not recognized"]),
    ];
    let out = dir.join("out");
    for (args, words) in cases {
        let message = run_failing(driver("gcc").args(*args).arg("-o").arg(&out));
        let ours = std::env::var_os("SCOLD_LD").is_none();
        for word in words.iter().filter(|_| ours) {
            assert!(message.contains(word), "{args:?}: no `{word}` in:\n{message}");
        }
        assert!(!out.exists(), "{args:?} left an output");
        let errors = message.lines().filter(|line| line.contains("ld.scold: error:")).count();
        // gcc itself looks for files named by path.
        assert!(
            errors == 1 || !ours || args[1].starts_with("/no"),
            "{args:?}: not one error:\n{message}"
        );
    }
    let names: Vec<_> =
        fs::read_dir(&dir).expect("the folder").map(|e| e.unwrap().path()).collect();
    assert!(!names.iter().any(|name| text(name).contains(".tmp")), "{names:?}");
}

/// Go's feature probes do this as root.
#[test]
fn dev_null_stays_a_device() {
    use std::os::unix::fs::FileTypeExt;
    let main = compile("gcc", &program("modes.c"), &["-fPIE", "-O1", "-fcommon"]);
    run(driver("gcc").args(["-Wl,--no-gc-sections", "-o", "/dev/null"]).arg(main));
    let meta = fs::metadata("/dev/null").expect("/dev/null");
    assert!(meta.file_type().is_char_device());
}

#[test]
fn any_number_of_threads_makes_the_same_bytes() {
    if std::env::var_os("SCOLD_LD").is_some() {
        return;
    }
    let dir = scratch("threads");
    let object = compile("gcc", &program("modes.c"), &["-fno-pic", "-O1", "-fcommon", "-g"]);
    let mut first: Option<Vec<u8>> = None;
    for threads in ["1", "2", "7"] {
        let exe = dir.join(threads);
        let flag = format!("-Wl,--threads={threads}");
        run(driver("gcc").args(["-static", "-Wl,--build-id", &flag, "-o"]).arg(&exe).arg(&object));
        let bytes = fs::read(&exe).expect("the program");
        match &first {
            None => first = Some(bytes),
            Some(first) => assert!(*first == bytes, "{threads} threads make other bytes"),
        }
    }
}
