//! Flags of GNU ld and lld that change an output or say something of it, by what they come to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol};

use super::{command, compile, output, prefix, run, run_failing, scratch, texts};

/// The linker, called directly.
pub(super) fn ld(dir: &Path) -> Command {
    let mut command = command(prefix().join("ld"));
    command.current_dir(dir);
    command
}

/// An object of `text`, compiled in `dir` as `name.o`.
pub(super) fn object(dir: &Path, name: &str, text: &str, flags: &[&str]) -> PathBuf {
    let source = dir.join(format!("{name}.c"));
    fs::write(&source, text).expect("the source");
    let object = compile("gcc", &source, flags);
    let here = dir.join(format!("{name}.o"));
    fs::copy(object, &here).expect("the object");
    here
}

pub(super) const START: &str = "extern char a; char x[4]; int pad = 1; char *at(void) { return &a; } void _start(void) { at(); }";

/// Address and section of the global symbol `name`.
pub(super) fn symbol(file: &[u8], name: &str) -> (u64, bool) {
    let file = object::File::parse(file).expect("an ELF file");
    let found = file.symbols().find(|s| s.name() == Ok(name));
    let found = found.unwrap_or_else(|| panic!("no symbol {name}"));
    (found.address(), found.section_index().is_some())
}

#[test]
fn defsym_takes_expressions() {
    let dir = scratch("flags_defsym");
    object(&dir, "a", START, &["-fno-pie", "-mcmodel=large"]);
    let link = |value: &str| {
        run(ld(&dir).args(["a.o", "-o", "out", "--defsym"]).arg(format!("a={value}")));
        fs::read(dir.join("out")).expect("the output")
    };
    for (value, wanted) in [
        ("-1", u64::MAX),
        ("010", 8),
        ("(1 << 4) | 1", 17),
        ("DEFINED(x) ? 1 : 2", 1),
        ("DEFINED(y) ? 1 : 2", 2),
        ("CONSTANT(MAXPAGESIZE)", 0x1000),
        ("_start - _start", 0),
    ] {
        assert_eq!(symbol(&link(value), "a"), (wanted, false), "{value}");
    }
    for (value, of) in [
        ("4 + _start", (|start, _| start + 4) as fn(u64, u64) -> u64),
        ("_start + 2 * 8", |start, _| start + 16),
        ("_start & ~0xfff", |start, _| start & !0xfff),
        ("ALIGN(_start, 0x1000)", |start, _| start.next_multiple_of(0x1000)),
        ("ADDR(.text)", |_, text| text),
        ("MAX(ADDR(.text), 1)", |_, text| text),
    ] {
        let image = link(value);
        let file = object::File::parse(&*image).unwrap();
        let text = file.section_by_name(".text").expect("text").address();
        assert_eq!(symbol(&image, "a"), (of(symbol(&image, "_start").0, text), true), "{value}");
    }
    let chain = (1..50).map(|i| format!("--defsym=a{i}=a{}+1", i - 1));
    run(ld(&dir)
        .args(["a.o", "-o", "out", "--defsym=a0=_start"])
        .args(chain)
        .arg("--defsym=a=a49"));
    let image = fs::read(dir.join("out")).unwrap();
    assert_eq!(symbol(&image, "a").0, symbol(&image, "_start").0 + 49);
    for (value, wanted) in [
        ("nosuch", "undefined symbol: nosuch, in --defsym a"),
        ("a + 1", "--defsym a: the value is the symbol itself"),
        ("1 / (x - x)", "--defsym a: division by zero"),
        ("1 +", "expected a value"),
    ] {
        let error =
            run_failing(ld(&dir).args(["a.o", "-o", "none", "--defsym"]).arg(format!("a={value}")));
        assert!(error.contains(wanted), "{value}: {error}");
        assert!(!dir.join("none").exists());
    }
}

#[test]
fn maps_say_why_a_member_is_there_and_cref_who_uses_what() {
    let dir = scratch("flags_map");
    object(&dir, "m", "extern int f(void); void _start(void) { f(); }", &[]);
    object(&dir, "f", "extern int g(void); int f(void) { return g(); }", &[]);
    object(&dir, "g", "int g(void) { return 1; }", &[]);
    run(command("ar").current_dir(&dir).args(["rc", "lib.a", "f.o", "g.o"]));
    let args = ["m.o", "lib.a", "-o", "out"];
    let map = run(ld(&dir).args(args).arg("-Map=-"));
    let head = "Archive member included to satisfy reference by file (symbol)\n\n";
    let f = format!("{:30}m.o (f)\n", "lib.a(f.o)");
    let g = format!("{:30}lib.a(f.o) (g)\n", "lib.a(g.o)");
    assert!(map.starts_with(&format!("{head}{f}{g}\n")), "{map}");
    let asked = run(ld(&dir).args(["-u", "g", "-e", "0", "lib.a", "-o", "out", "-M"]));
    assert!(asked.contains(&format!("{:30}(g)\n", "lib.a(g.o)")), "{asked}");
    let cref = run(ld(&dir).args(args).arg("--cref"));
    let wanted = format!("{:50}lib.a(f.o)\n{:50}m.o\n", "f", "");
    assert!(cref.contains("Cross Reference Table") && cref.contains(&wanted), "{cref}");
}

#[test]
fn package_metadata_is_a_note() {
    let dir = scratch("flags_package");
    object(&dir, "a", "int f(void) { return 1; }", &["-fPIC"]);
    run(ld(&dir).args(["-shared", "a.o", "-o", "out", "--package-metadata={%22os%22:%22x%22}"]));
    let image = fs::read(dir.join("out")).unwrap();
    let file = object::File::parse(&*image).unwrap();
    let note = file.section_by_name(".note.package").expect("the note").data().unwrap();
    let wanted = b"\x04\0\0\0\x0b\0\0\0\x7e\x1a\xfe\xcaFDO\0{\"os\":\"x\"}\0\0";
    assert_eq!(note, wanted);
}

#[test]
fn retain_symbols_file_leaves_only_what_it_lists() {
    let dir = scratch("flags_retain");
    object(
        &dir,
        "a",
        "static int l(void) { return 1; } int f(void) { return l(); } int g(void) { return f(); }",
        &["-fPIC", "-O0"],
    );
    fs::write(dir.join("list"), "g\nl\n").unwrap();
    run(ld(&dir).args(["-shared", "a.o", "-o", "out", "--retain-symbols-file=list"]));
    let image = fs::read(dir.join("out")).unwrap();
    let file = object::File::parse(&*image).unwrap();
    let mut names: Vec<_> = file.symbols().filter_map(|s| s.name().ok()).collect();
    names.sort_unstable();
    assert_eq!(names.iter().filter(|n| !n.is_empty()).collect::<Vec<_>>(), [&"g", &"l"]);
    let exported: Vec<_> = file.dynamic_symbols().filter_map(|s| s.name().ok()).collect();
    assert!(exported.contains(&"f") && exported.contains(&"g"), "{exported:?}");
}

#[test]
fn what_weakens_an_image_can_be_warned_of_or_refused() {
    let dir = scratch("flags_warn");
    object(&dir, "a", "int y; int *p = &y; int f(void) { return 1; }", &["-fPIC"]);
    fs::write(
        dir.join("w.s"),
        ".section .wx,\"awx\"\n.quad 0\n.section .ro,\"a\"\n.quad f\n.section .note.GNU-stack,\"x\"\n",
    )
    .unwrap();
    run(command("as").current_dir(&dir).args(["w.s", "-o", "w.o"]));
    let args = ["-shared", "a.o", "w.o", "-z", "notext", "-o", "out"];
    let said = |flag: &str| {
        let output = output(ld(&dir).args(args).arg(flag));
        (output.status.success(), texts(&output).1)
    };
    assert_eq!(said("--no-warn-textrel"), (true, String::new()));
    for (flag, text) in [
        ("--warn-textrel", "relocations in read-only memory"),
        ("--warn-execstack", "executable stack"),
        ("--warn-rwx-segments", "writable and executable"),
    ] {
        let (linked, text_said) = said(flag);
        assert!(linked && text_said.contains(text), "{flag}: {text_said}");
    }
    fs::remove_file(dir.join("out")).unwrap();
    for (flag, text) in
        [("--error-execstack", "executable stack"), ("--error-rwx-segments", "writable and")]
    {
        let (linked, text_said) = said(flag);
        assert!(!linked && text_said.contains(text), "{flag}: {text_said}");
        assert!(!dir.join("out").exists(), "{flag}");
    }
}

#[test]
fn undefined_symbols_can_be_warnings() {
    let dir = scratch("flags_noinhibit");
    object(
        &dir,
        "a",
        "extern int f(void); int g(void) { return f(); } void _start(void) { g(); }",
        &[],
    );
    object(&dir, "b", "int g(void) { return 2; }", &[]);
    let error = run_failing(ld(&dir).args(["a.o", "b.o", "-o", "out"]));
    assert!(error.contains("duplicate symbol: g"), "{error}");
    for flag in ["--noinhibit-exec", "--warn-unresolved-symbols"] {
        let output = output(ld(&dir).args(["a.o", "-o", "out", flag]));
        let said = texts(&output).1;
        assert!(
            output.status.success() && said.contains("warning: a.o: undefined symbol: f"),
            "{said}"
        );
    }
    run(ld(&dir).args(["a.o", "b.o", "-o", "out", "--noinhibit-exec"]));
}

#[test]
fn errata_of_other_machines_are_refused() {
    let dir = scratch("flags_errata");
    object(&dir, "a", "void _start(void) {}", &[]);
    let error = run_failing(ld(&dir).args(["a.o", "-o", "out", "--fix-cortex-a53-843419"]));
    assert!(error.contains("--fix-cortex-a53-843419 is for other machines"), "{error}");
}

#[test]
fn an_entry_can_be_a_number() {
    let dir = scratch("flags_entry");
    object(&dir, "a", "void f(void) {}", &[]);
    let output = output(ld(&dir).args(["a.o", "-o", "out", "-e", "0x401000"]));
    assert_eq!(texts(&output).1, "");
    let image = fs::read(dir.join("out")).unwrap();
    assert_eq!(object::File::parse(&*image).unwrap().entry(), 0x401000);
}

/// The names `file` exports.
pub(super) fn exports(file: &Path) -> Vec<String> {
    let image = fs::read(file).expect("the output");
    let file = object::File::parse(&*image).expect("an ELF file");
    let names = file.dynamic_symbols().filter(|s| s.is_definition());
    let mut names: Vec<_> = names.filter_map(|s| Some(s.name().ok()?.to_owned())).collect();
    names.sort_unstable();
    names
}

#[test]
fn version_scripts_and_lists_know_cxx_names() {
    let dir = scratch("flags_cxx");
    let source = dir.join("a.cc");
    fs::write(
        &source,
        "namespace ns { int f(int) { return 1; } int hidden() { return 2; } }\n\
         namespace ns2 { int f(int) { return 1; } int f(long) { return 2; } }\n\
         extern \"C\" int g() { return 3; }\n\
         void operator delete(void *) noexcept {}\n\
         struct C { virtual int f() { return 1; } }; int h(C *c) { return c->f(); } C c;",
    )
    .unwrap();
    fs::copy(compile("g++", &source, &["-fPIC"]), dir.join("a.o")).unwrap();
    for (script, wanted) in [
        (
            "V1 { global: extern \"C++\" { ns::*; \"ns2::f(int)\"; }; local: extern \"C++\" { \"ns::hidden()\"; }; *; };",
            &["_ZN2ns1fEi", "_ZN3ns21fEi"][..],
        ),
        (
            "V1 { global: \\g; extern \"C++\" { ns?::f* }; local: *; };",
            &["_ZN3ns21fEi", "_ZN3ns21fEl", "g"],
        ),
    ] {
        fs::write(dir.join("v"), script).unwrap();
        run(ld(&dir).args(["-shared", "a.o", "-o", "out", "--version-script=v"]));
        assert_eq!(exports(&dir.join("out")), wanted, "{script}");
    }
    fs::write(dir.join("l"), "{ extern \"C++\" { \"ns2::f(long)\" }; };").unwrap();
    let args = ["-pie", "a.o", "-o", "out", "-e", "0", "--unresolved-symbols=ignore-all"];
    run(ld(&dir).args(args).arg("--dynamic-list=l"));
    assert_eq!(exports(&dir.join("out")), ["_ZN3ns21fEl"]);
    for (flag, wanted) in [
        ("--dynamic-list-cpp-new", &["_ZdlPv"][..]),
        ("--dynamic-list-cpp-typeinfo", &["_ZTI1C", "_ZTS1C"]),
    ] {
        run(ld(&dir).args(args).arg(flag));
        assert_eq!(exports(&dir.join("out")), wanted, "{flag}");
    }
}

#[test]
fn a_version_of_an_object_obeys_its_own_node() {
    let dir = scratch("flags_symver");
    let text = "int f1(void) { return 1; } int f2(void) { return 2; }\n\
                __asm__(\".symver f1,f@V1\\n.symver f2,f@@V2\");";
    object(&dir, "a", text, &["-fPIC"]);
    for (script, wanted) in [
        ("V2 { global: b*; }; V1 { global: ba*; local: *; };", &["f"][..]),
        ("V1 { global: f; local: *; }; V2 { } V1;", &["f", "f"]),
    ] {
        fs::write(dir.join("v"), script).unwrap();
        run(ld(&dir).args(["-shared", "a.o", "-o", "out", "--version-script=v"]));
        assert_eq!(exports(&dir.join("out")), wanted, "{script}");
    }
}

#[test]
fn refusals_name_the_file_or_the_flag() {
    let dir = scratch("flags_refusals");
    object(&dir, "a", "int f(void) { return 1; }", &["-fPIC"]);
    fs::write(dir.join("text"), "some text").unwrap();
    run(command("ar").current_dir(&dir).args(["rc", "lib.a", "a.o", "text"]));
    for (args, text) in [
        (&["a.o", "-o", "no/where/out"][..], "no/where/out: cannot write"),
        (&["a.o", "-o", "."], ".: cannot write: is a directory"),
        (
            &["--whole-archive", "lib.a", "-o", "out"],
            "lib.a(text): archive member is not an object",
        ),
        (&["a.o", "-o", "out", "--image-base=0x123"], "--image-base=0x123: not a multiple"),
        (&["a.o", "-o", "out", "--wrap="], "--wrap needs a symbol"),
    ] {
        let error = run_failing(ld(&dir).arg("-shared").args(args));
        assert!(error.contains(text), "{args:?}: {error}");
        assert!(!dir.join("out").exists());
    }
    run(ld(&dir).args(["-shared", "-u", "f", "lib.a", "-o", "out"]));
}

#[test]
fn objects_can_be_collected_wrapped_and_given_names() {
    let dir = scratch("flags_relocatable");
    let text = "extern int ext(void); int kept(void) { return 1; } int gone(void) { return ext(); }\n\
                int root(void) { return kept(); } int other(void) { return ext(); } int gone_data = 1;";
    object(&dir, "a", text, &["-g", "-ffunction-sections", "-fdata-sections"]);
    object(&dir, "m", "extern int root(void); int main(void) { return root() - 1; }", &[]);
    let link = |args: &[&str]| {
        run(ld(&dir).args(["-r", "a.o", "-o", "r.o"]).args(args));
        fs::read(dir.join("r.o")).unwrap()
    };
    let names = |image: &[u8]| -> Vec<String> {
        let file = object::File::parse(image).unwrap();
        let global = file.symbols().filter(|s| s.is_global() && s.is_definition());
        let mut names: Vec<_> = global.map(|s| s.name().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    };
    let image = link(&["--gc-sections", "-u", "root"]);
    assert_eq!(names(&image), ["kept", "root"]);
    let file = object::File::parse(&*image).unwrap();
    assert!(file.section_by_name(".text.gone").is_none());
    run(super::driver("gcc").current_dir(&dir).args(["m.o", "r.o", "-o", "out"]));
    run(&mut command(dir.join("out")));
    let all = ["gone", "gone_data", "kept", "other", "root"];
    assert_eq!(names(&link(&["--gc-sections", "--gc-keep-exported"])), all);
    let image = link(&["--gc-sections", "-e", "root", "--defsym=alias=other+1"]);
    assert_eq!(names(&image), ["alias", "kept", "other", "root"]);
    let image = link(&["--wrap=ext"]);
    let file = object::File::parse(&*image).unwrap();
    let undefined: Vec<_> = file.symbols().filter(|s| s.is_undefined()).collect();
    assert!(undefined.iter().any(|s| s.name() == Ok("__wrap_ext")));
    assert!(!undefined.iter().any(|s| s.name() == Ok("ext")));
    let image = link(&["--defsym=n=5", "--defsym=ext=kept", "--defsym=at=n+2"]);
    assert_eq!((symbol(&image, "n"), symbol(&image, "at")), ((5, false), (7, false)));
    assert_eq!(symbol(&image, "ext"), symbol(&image, "kept"));
    run(ld(&dir).args(["-shared", "r.o", "-o", "out"]));
    for (flag, text) in [
        ("--defsym=x=nosuch", "undefined symbol: nosuch, in --defsym x"),
        ("--defsym=x=kept*2", "--defsym x: with -r only a number"),
        ("--gc-sections", "needs a root"),
    ] {
        let error = run_failing(ld(&dir).args(["-r", "a.o", "-o", "none", flag]));
        assert!(error.contains(text), "{flag}: {error}");
    }
}

#[test]
fn segments_lie_as_asked_and_programs_run() {
    let dir = scratch("flags_segments");
    let text = "static int (*const t[])(const char *) = { __builtin_puts }; _Thread_local int v = 4;\n\
                int big[5000] = { 1 }; int main(void) { return t[0](\"hi\") < 0 || v + big[0] != 5; }";
    object(&dir, "a", text, &["-fPIE"]);
    for kind in ["-pie", "-no-pie", "-static", "-static-pie"] {
        let mut sizes = Vec::new();
        for z in ["separate-code", "noseparate-code", "separate-loadable-segments"] {
            let out = dir.join(format!("out{kind}-{z}"));
            let flags = format!("-Wl,-z,{z},-z,now");
            run(super::driver("gcc").current_dir(&dir).args(["a.o", kind, &flags, "-o"]).arg(&out));
            assert_eq!(run(&mut command(&out)), "hi\n", "{kind} {z}");
            let image = fs::read(&out).unwrap();
            check_segments(&image, &format!("{kind} {z}"));
            sizes.push(image.len());
        }
        assert!(sizes[1] < sizes[0] && sizes[0] <= sizes[2], "{kind}: {sizes:?}");
    }
}

/// Every loaded byte is where the loader can map it, and relro is inside what is loaded.
fn check_segments(image: &[u8], what: &str) {
    use object::read::elf::{FileHeader as _, ProgramHeader as _};
    let end = object::Endianness::Little;
    let header = object::elf::FileHeader64::<object::Endianness>::parse(image).unwrap();
    let segments = header.program_headers(end, image).unwrap();
    let loads: Vec<_> = segments.iter().filter(|s| s.p_type(end) == object::elf::PT_LOAD).collect();
    for load in &loads {
        let (addr, offset, align) = (load.p_vaddr(end), load.p_offset(end), load.p_align(end));
        assert_eq!(addr % align, offset % align, "{what}");
    }
    for pair in loads.windows(2) {
        let stop = (pair[0].p_vaddr(end) + pair[0].p_memsz(end)).next_multiple_of(0x1000);
        assert!(stop <= pair[1].p_vaddr(end) / 0x1000 * 0x1000, "{what}: segments share a page");
    }
    for relro in segments.iter().filter(|s| s.p_type(end) == object::elf::PT_GNU_RELRO) {
        let (start, stop) = (relro.p_vaddr(end), relro.p_vaddr(end) + relro.p_memsz(end));
        let inside = |load: &&object::elf::ProgramHeader64<object::Endianness>| {
            load.p_vaddr(end) <= start && stop <= load.p_vaddr(end) + load.p_memsz(end)
        };
        assert!(loads.iter().copied().any(|load| inside(&load)), "{what}: relro is not loaded");
        assert_eq!(stop % 0x1000, 0, "{what}");
    }
}

/// No input says what it needs: the note is the option's alone.
#[test]
fn instruction_set_levels_are_noted() {
    if !super::has("ld.bfd") {
        return super::skip("-z x86-64-v2", "ld.bfd", "apt-get install binutils");
    }
    let dir = scratch("flags_isa");
    object(&dir, "a", "int f(void) { return 1; }", &["-fPIC", "-fcf-protection=none"]);
    run(command("objcopy").current_dir(&dir).args(["-R", ".note.gnu.property", "a.o"]));
    let note = |linker: &mut std::process::Command, level: &str| {
        let level = format!("x86-64-{level}");
        run(linker.current_dir(&dir).args(["-shared", "a.o", "-o", "out", "-z", &level]));
        let file = fs::read(dir.join("out")).unwrap();
        let file = object::File::parse(&*file).unwrap();
        file.section_by_name(".note.gnu.property").expect("a note").data().unwrap().to_vec()
    };
    for level in ["baseline", "v2", "v3", "v4"] {
        assert_eq!(note(&mut ld(&dir), level), note(&mut command("ld.bfd"), level), "{level}");
    }
}
