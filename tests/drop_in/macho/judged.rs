//! `scold diff` of what compilers make for darwin: linkers that are right agree, whatever the link needs to be judged.

use std::fs;
use std::path::{Path, PathBuf};

use super::{HINT, MACHINES, Machine, Tools, command, has, linker, run, scratch, skip};

/// `scold diff` of reference and lld in `dir`; what it says of findings is the error.
#[track_caller]
fn agree(machine: &Machine, dir: &Path, args: &[&str]) {
    let mut scold = command(env!("CARGO_BIN_EXE_scold"));
    scold.current_dir(dir).args(["diff", "--linkers", "reference,ld64_lld", "--"]);
    let text = run(scold.args(["-arch", machine.name]).args(args));
    assert_eq!(text.matches(" linked, ").count(), 2, "{args:?}: {text}");
}

/// What the tests here need beside [`Tools`].
fn found(test: &str) -> Option<Tools> {
    let tools = Tools::find(test)?;
    if has("ld64.lld") || has("ld64.lld-22") {
        return Some(tools);
    }
    skip(test, "ld64.lld", "apt-get install lld");
    None
}

/// Chains of libraries by every way to say where the next one is.
#[test]
fn darwin_chains_of_libraries_are_judged() {
    let Some(tools) = found("darwin chains") else { return };
    let sdk = tools.known_sdk();
    let system = ["-syslibroot", &sdk, "-lSystem"];
    for machine in &MACHINES {
        for (at, (name, place, rpath, flags)) in [
            ("@loader_path/e/libz.dylib", "d/e/libz.dylib", "", &[][..]),
            ("@rpath/z.dylib", "f/z.dylib", "@loader_path/../f", &[]),
            ("@rpath/z.dylib", "f/z.dylib", "", &["-rpath", "@loader_path/f"]),
            ("/opt/libz.1.dylib", "k/libz.1.dylib", "", &["-Lk"]),
            ("/opt/Z.framework/Z", "k/Z.framework/Z", "", &["-F", "k"]),
            ("/usr/lib/libscoldz.dylib", "k/libscoldz.dylib", "", &["-Lk"]),
            ("/usr/lib/libscoldz.dylib", "k/libscoldz.dylib", "", &["-Lk", "-no_implicit_dylibs"]),
        ]
        .into_iter()
        .enumerate()
        {
            let dir = scratch(&format!("darwin-chain-{}-{at}", machine.name));
            let object = |name: &str, text: &str| {
                let path = dir.join(name);
                fs::write(&path, text).expect("a source");
                tools.object(machine, &path, &["-O1"])
            };
            let library = |output: &str, name: &str, object: &Path, more: &[&str]| {
                let path = dir.join(output);
                fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
                let mut link = linker(machine);
                link.current_dir(&dir).arg("-dylib").arg(object).args(["-install_name", name]);
                run(link.args(more).args(system).arg("-o").arg(path));
            };
            let z = object("z.c", "int puts(const char *); int z(void) { return puts(\"z\"); }");
            let y = object("y.c", "int y(void) { return 1; }");
            let u = object("u.c", "int y(void), z(void); int u(void) { return y() + z(); }");
            library(place, name, &z, &[]);
            let rpath = if rpath.is_empty() { vec![] } else { vec!["-rpath", rpath] };
            let passes_on = [&["-reexport_library", place][..], &rpath].concat();
            library("d/y.dylib", "/d/y.dylib", &y, &passes_on);
            let u = u.display().to_string();
            let args = [&["-dylib", &u, "d/y.dylib"], &system[..], flags].concat();
            agree(machine, &dir, &args);
        }
    }
}

/// How libc++abi is compiled, with the headers of zig's package.
fn flags(tools: &Tools, sdk: &str) -> Vec<String> {
    let folders = ["libcxx/include", "libcxxabi/include", "libcxx/src", "libcxxabi/src"];
    let include = |folder| format!("-I{}", tools.zig.join("lib").join(folder).display());
    let has = ["THREADS", "THREAD_API_PTHREAD", "MONOTONIC_CLOCK", "LOCALIZATION", "UNICODE"];
    let has = has.iter().chain(&["WIDE_CHARACTERS", "RANDOM_DEVICE"]).map(|name| (name, 1));
    let not = ["VENDOR_AVAILABILITY_ANNOTATIONS", "MUSL_LIBC", "TIME_ZONE_DATABASE"];
    let all = has.chain(not.iter().map(|name| (name, 0)));
    let all = all.map(|(name, value)| format!("-D_LIBCPP_HAS_{name}={value}"));
    let fixed = [
        "-isysroot",
        sdk,
        "-nostdinc++",
        "-w",
        "-std=c++23",
        "-D_LIBCPP_HARDENING_MODE_DEFAULT=_LIBCPP_HARDENING_MODE_NONE",
        "-D_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_HARDENING_DEPENDENT",
        "-D_LIBCPP_BUILDING_LIBRARY",
        "-D_LIBCXXABI_BUILDING_LIBRARY",
        "-D_LIBCPP_ABI_VERSION=1",
        "-D_LIBCPP_ABI_NAMESPACE=__1",
        "-D_LIBCPP_DISABLE_AVAILABILITY",
        "-D_LIBCPP_INSTRUMENTED_WITH_ASAN=0",
        "-D_LIBCPP_PSTL_BACKEND_SERIAL",
    ];
    let fixed = fixed.map(str::to_owned).into_iter();
    fixed.chain(folders.map(include)).chain(all).collect()
}

/// libc++abi's members: functions and tables without names, or with those that all have; most of them not wanted.
#[test]
fn darwin_archives_of_nameless_atoms_are_judged() {
    let Some(tools) = found("darwin nameless") else { return };
    let Some(ar) = ["llvm-ar-22", "llvm-ar"].into_iter().find(|ar| has(ar)) else {
        return skip("darwin nameless", "llvm-ar", HINT);
    };
    let sdk = tools.known_sdk();
    let headers = PathBuf::from(&sdk).join("usr/include");
    if !headers.exists() {
        // Another test may be first.
        let _ = std::os::unix::fs::symlink(tools.headers(), &headers);
    }
    let source = tools.zig.join("lib/libcxxabi/src");
    let fixed = flags(&tools, &sdk);
    let mut members: Vec<_> = ["cxa_demangle", "cxa_exception", "cxa_exception_storage"].into();
    members.extend(["cxa_default_handlers", "cxa_guard", "cxa_handlers", "cxa_personality"]);
    members.extend(["cxa_vector", "fallback_malloc", "private_typeinfo", "abort_message"]);
    members.extend(["stdlib_new_delete", "stdlib_stdexcept", "stdlib_typeinfo"]);
    for machine in &MACHINES {
        let target = format!("--target={}-apple-macos11", machine.name);
        let mut flags = vec![target.as_str(), "-Os"];
        flags.extend(fixed.iter().map(String::as_str));
        let object = |file: &Path| super::compile(&tools.clang, file, &flags);
        let dir = scratch(&format!("darwin-nameless-{}", machine.name));
        let objects = members.iter().map(|name| object(&source.join(format!("{name}.cpp"))));
        run(command(ar).arg("rcs").arg(dir.join("libabi.a")).args(objects));
        let user = dir.join("user.cpp");
        let text = "extern \"C\" char *__cxa_demangle(const char *, char *, unsigned long *, int *);\n\
                    extern \"C\" int u(const char *s) { int e; try { if (*s) throw 1;\n\
                    __cxa_demangle(s, 0, 0, &e); } catch (int i) { return i; } return e; }\n";
        fs::write(&user, text).expect("a source");
        let user = object(&user).display().to_string();
        let ways = [
            &["-dylib"][..],
            &["-dylib", "-x"],
            &["-bundle", "-dead_strip"],
            &["-dylib", "-all_load", "-x"],
        ];
        for way in ways {
            let rest =
                ["libabi.a", "-syslibroot", &sdk, "-lSystem", "-undefined", "dynamic_lookup"];
            agree(machine, &dir, &[way, &[&user], &rest].concat());
        }
    }
}
