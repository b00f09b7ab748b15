//! libLLVM from Debian's static libraries: 230 archives, 3,000 objects, 0.19 GB out.

use std::fs;
use std::path::{Path, PathBuf};

use super::{command, compile, driver, program, run, scratch, skip};

/// What Debian's LLVM uses; the packages that bring its archives bring these too.
const NEEDS: &[&str] =
    &["libffi.so.8", "libedit.so.2", "libz.so.1", "libzstd.so.1", "libxml2.so.2", "libz3.so.4"];

/// Halves of `opt` and `tblgen`: their command-line options collide with others' at load time,
/// whichever linker joins them.
const PROGRAMS: &[&str] = &["libLLVMOptDriver", "libLLVMTableGen"];

#[test]
fn llvm_is_one_loadable_library() {
    let Some(lib) = newest_llvm() else {
        return skip("llvm", "libLLVM's archives", "apt-get install llvm-22-dev");
    };
    let mut archives: Vec<_> = fs::read_dir(&lib)
        .expect("LLVM's folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let program = PROGRAMS.iter().any(|program| name.starts_with(program));
            name.starts_with("libLLVM") && name.ends_with(".a") && !program
        })
        .collect();
    archives.sort();
    let dir = scratch("llvm");
    let library = dir.join("libLLVM-all.so");
    run(driver("g++")
        .args(["-shared", "-Wl,--whole-archive"])
        .args(&archives)
        .arg("-Wl,--no-whole-archive")
        .arg("-o")
        .arg(&library)
        .args(NEEDS.iter().map(|name| format!("-l:{name}")))
        .args(["-lrt", "-ldl", "-lm", "-lpthread"]));
    let host = dir.join("host");
    let object = compile("gcc", &program("llvm_host.c"), &["-O1", "-fPIE"]);
    run(driver("gcc").arg("-o").arg(&host).arg(object).arg("-ldl"));
    let text = run(command(&host).arg(&library));
    assert!(text.contains("ret i32 %sum") && text.contains("verified"), "{text}");
    let _ = fs::remove_file(library);
}

/// The library folder of the newest LLVM that has static libraries.
fn newest_llvm() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.strip_prefix("llvm-")?.parse().ok()?;
            Some((version, path.join("lib")))
        })
        .filter(|(_, lib)| Path::new(&lib.join("libLLVMCore.a")).exists())
        .collect();
    found.sort();
    found.pop().map(|(_, lib)| lib)
}
