//! Inputs that are no objects: bytes to embed, symbols only, scripts.

use std::fs;

use object::Object;

use super::flags::{exports, ld, object, symbol};
use super::{command, run, run_failing, scratch};

#[test]
fn binary_files_are_embedded() {
    let dir = scratch("flags_binary");
    fs::write(dir.join("da-ta.txt"), "hello").unwrap();
    let text = "extern char _binary_da_ta_txt_start[], _binary_da_ta_txt_end[];\n\
                int main(void) { return _binary_da_ta_txt_end - _binary_da_ta_txt_start != 5\n\
                || _binary_da_ta_txt_start[4] != 'o'; }";
    object(&dir, "m", text, &[]);
    run(ld(&dir).args(["-r", "-b", "binary", "da-ta.txt", "-o", "d.o"]));
    let gcc = || {
        let mut gcc = super::driver("gcc");
        gcc.current_dir(&dir).args(["m.o", "-o", "out"]);
        gcc
    };
    run(gcc().arg("d.o"));
    run(&mut command(dir.join("out")));
    run(gcc().arg("-Wl,--format=binary,da-ta.txt,--format=default"));
    run(&mut command(dir.join("out")));
    fs::write(dir.join("é.bin"), "x").unwrap();
    run(ld(&dir).args(["-r", "-b", "binary", "é.bin", "-o", "d.o"]));
    let symbols = run(command("readelf").arg("-sW").arg(dir.join("d.o")));
    assert!(symbols.contains(" _binary____bin_start"), "a _ for each byte: {symbols}");
}

#[test]
fn just_symbols_gives_addresses() {
    let dir = scratch("flags_just");
    object(&dir, "a", "int x = 3; void _start(void) {}", &["-fno-pie"]);
    object(&dir, "b", "extern int x; int *p = &x; void _start(void) {}", &["-fno-pie"]);
    run(ld(&dir).args(["a.o", "-o", "base"]));
    run(ld(&dir).args(["b.o", "-o", "out", "--just-symbols=base"]));
    let images = ["base", "out"].map(|name| fs::read(dir.join(name)).unwrap());
    assert_eq!(symbol(&images[1], "x"), (symbol(&images[0], "x").0, false));
    let error = run_failing(ld(&dir).args(["b.o", "-o", "out", "--just-symbols=b.c"]));
    assert!(error.contains("b.c: no ELF file with symbols"), "{error}");
    let mut other = images[0].clone();
    other[18] = 183;
    fs::write(dir.join("other"), other).unwrap();
    let error = run_failing(ld(&dir).args(["b.o", "-o", "out", "--just-symbols=other"]));
    assert!(error.contains("other: made for machine 183"), "{error}");
    // What is no file is a run path.
    run(ld(&dir).args(["-shared", "-R", "/some/where", "-o", "out"]).arg(object(
        &dir,
        "c",
        "int c;",
        &["-fPIC"],
    )));
    assert!(run(command("readelf").arg("-d").arg(dir.join("out"))).contains("[/some/where]"));
}

#[test]
fn scripts_among_the_inputs_say_more_than_files() {
    let dir = scratch("flags_script");
    object(
        &dir,
        "a",
        "extern char s; char *f(void) { return &s; } int g(void) { return 1; }",
        &["-fPIC"],
    );
    let script = "OUTPUT_FORMAT(elf64-x86-64) INPUT(a.o) ENTRY(g) s = f + 0x10;\n\
                  VERSION { V { global: f; s; local: *; }; }";
    fs::write(dir.join("a.ld"), script).unwrap();
    run(ld(&dir).args(["-shared", "a.ld", "-o", "out"]));
    assert_eq!(exports(&dir.join("out")), ["f", "s"]);
    run(ld(&dir).args(["a.ld", "-o", "exe"]));
    let image = fs::read(dir.join("exe")).unwrap();
    assert_eq!(symbol(&image, "s").0, symbol(&image, "f").0 + 16);
    assert_eq!(object::File::parse(&*image).unwrap().entry(), symbol(&image, "g").0);
    for (script, text) in [
        (
            "OUTPUT_FORMAT(elf32-i386) INPUT(a.o)",
            "a.ld: incompatible with elf_x86_64: OUTPUT_FORMAT(elf32-i386)",
        ),
        ("VERSION { V { global: f; }; ", "expected `}`"),
        ("s = 1 +; INPUT(a.o)", "s: expected a value"),
        ("PROVIDE(s = 1);", "PROVIDE is not supported"),
        ("ENTRY(", "a symbol"),
    ] {
        fs::write(dir.join("a.ld"), script).unwrap();
        let error = run_failing(ld(&dir).args(["-shared", "a.o", "a.ld", "-o", "none"]));
        assert!(error.contains(text), "{script}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    // Found in a library directory, a script of another machine is passed over.
    fs::create_dir(dir.join("other")).unwrap();
    fs::create_dir(dir.join("right")).unwrap();
    fs::write(dir.join("other/libq.so"), "OUTPUT_FORMAT(elf32-i386) INPUT(none.o)").unwrap();
    fs::write(dir.join("right/libq.so"), "OUTPUT_FORMAT(elf64-x86-64) INPUT(a.o)").unwrap();
    run(ld(&dir)
        .args(["-shared", "a.o", "-Lother", "-Lright", "-lq", "-o", "out", "-z", "muldefs"]));
}

/// A library that has its version from another asks no archive, but one without asks: GNU ld, gold, lld agree.
#[test]
fn what_libraries_want_of_a_version_is_in_no_archive() {
    let dir = scratch("versioned_want");
    let text = "int need(void); int use(void) { return need(); }";
    for (name, text) in [("use", text), ("need", "int need(void) { return 1; }")] {
        object(&dir, name, text, &["-fPIC"]);
    }
    object(&dir, "f", "int use(void); int f(void) { return use(); }", &["-fPIC"]);
    run(command("ar").arg("rcs").arg(dir.join("need.a")).arg(dir.join("need.o")));
    fs::write(dir.join("v"), "G { global: need; };").unwrap();
    let name = ["--soname=s.so", "--version-script=v"];
    run(ld(&dir).args(["-shared", "need.o", "-o", "s.so"]).args(name));
    run(ld(&dir).args(["-shared", "use.o", "s.so", "-o", "versioned.so"]));
    run(ld(&dir).args(["-shared", "use.o", "-o", "plain.so"]));
    for (library, wanted) in [("versioned.so", &["f"][..]), ("plain.so", &["f", "need"])] {
        run(ld(&dir).args(["-shared", "f.o", library, "need.a", "s.so", "-o", "out"]));
        assert_eq!(exports(&dir.join("out")), wanted, "{library}");
    }
}
