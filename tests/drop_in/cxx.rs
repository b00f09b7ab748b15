//! C++: exceptions through a dlopen boundary, thread_local objects, initialisers with priorities,
//! virtual inheritance, iostream.

use super::platform::{HOST, Platform};
use super::{compile, driver, program, run, scratch};

const FLAGS: &[&str] = &["-O1", "-g", "-fPIC", "-std=c++17", "-pthread"];

/// What the host prints when all is well, up to the library's unloading.
const WANTED: &str = "early late plain \n\
    int 42\nfrom the library\n-1 0\n\
    106 fresh\n17 main\n\
    left+diamond 21 1\nSHOUT ff 1.5\n12\n";

#[test]
fn libraries_throw_through_dlopen() {
    libraries(&HOST, &[]);
}

/// Two libraries in one and a host that catch what the other throws, compiled with `flags` for `platform`.
#[track_caller]
pub(super) fn libraries(platform: &Platform, flags: &[&str]) {
    if !platform.ready("c++") {
        return;
    }
    let flags = [FLAGS, flags].concat();
    let dir = scratch(&platform.folder("cxx"));
    let objects =
        ["cxx_one.cc", "cxx_two.cc"].map(|name| compile(platform.gxx, &program(name), &flags));
    let host_object = compile(platform.gxx, &program("cxx_host.cc"), &flags);
    let kinds: &[(&[&str], &[&str])] = &[
        (&["-pie"], &[]),
        (&["-no-pie", "-rdynamic"], &["-Wl,-z,now"]),
        (&["-pie", "-Wl,--gc-sections"], &["-Wl,-Bsymbolic-functions", "-Wl,--gc-sections"]),
        (&["-pie"], &["-Wl,-Bsymbolic", "-Wl,-z,nodelete", "-Wl,--hash-style=sysv"]),
        (&["-pie", "-static-libgcc"], &["-Wl,--no-relax", "-Wl,-z,pack-relative-relocs"]),
    ];
    for (i, (host_flags, library_flags)) in kinds.iter().enumerate() {
        let (host, library) = (dir.join(format!("host{i}")), dir.join(format!("lib{i}.so")));
        run(driver(platform.gxx)
            .arg("-shared")
            .args(*library_flags)
            .arg("-o")
            .arg(&library)
            .args(&objects));
        // The host defines nothing of its own but inline code; Failure's key is in the library.
        run(driver(platform.gxx)
            .args(*host_flags)
            .arg("-o")
            .arg(&host)
            .arg(&host_object)
            .args(["-ldl", "-pthread"]));
        let text = run(platform.run(&host).arg(&library));
        let (text, end) = text.split_at(WANTED.len().min(text.len()));
        assert_eq!(text, WANTED, "{host_flags:?} {library_flags:?}");
        // STB_GNU_UNIQUE keeps a library loaded, as nodelete does, so the order may be either.
        assert!(end.contains("end\n") && end.contains("~plain\n~late\n~early\n"), "{end}");
    }
}
