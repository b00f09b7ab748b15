//! Tests of finding and splitting inputs, well-formed and not.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::ErrorKind;

/// The start of an ELF64 little-endian x86-64 file.
fn elf(e_type: u8) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([e_type, 0, 62, 0]);
    bytes.resize(64, 0);
    bytes
}

const REL: u8 = 1;
const DYN: u8 = 3;

fn header(name: &str, size: usize) -> Vec<u8> {
    format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).into_bytes()
}

/// An archive of `members`, whose names are the raw header fields.
fn ar(magic: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = magic.as_bytes().to_vec();
    for (name, bytes) in members {
        out.extend(header(name, bytes.len()));
        if magic == "!<arch>\n" || matches!(*name, "/" | "//") {
            out.extend(*bytes);
        }
        if out.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn load_args(files: &MemoryFiles, line: &str) -> Result<Inputs, Errors> {
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    Inputs::load(&Options::parse(&args, files)?, files)
}

fn names(inputs: &Inputs) -> Vec<&str> {
    inputs.list.iter().map(|input| input.name.as_str()).collect()
}

fn kind(files: &MemoryFiles, line: &str) -> (ErrorKind, String) {
    let errors = load_args(files, line).expect_err(line);
    (errors.first().kind(), errors.to_string())
}

#[test]
fn globs() {
    for (pattern, name, wanted) in [
        ("*", "", true),
        ("a*b", "ab", true),
        ("a*b", "axxbxb", true),
        ("a*b", "axxbx", false),
        ("a*b*c", "a.b.b.c", true),
        ("?", "", false),
        ("?", "x", true),
        ("[a-c]x", "bx", true),
        ("[!a-c]x", "bx", false),
        ("[^a-c]x", "dx", true),
        ("[]]", "]", true),
        (r"a\*", "a*", true),
        (r"a\*", "ab", false),
        (r"\bar", "bar", true),
        (r"\bar", r"\bar", false),
        (r"\[x]*", "[x]y", true),
        ("_ZN*3foo*", "_ZN1a3fooEv", true),
        ("***a", "bba", true),
    ] {
        assert_eq!(
            Pattern::glob(pattern).unwrap().matches(&Name::new(name.as_bytes())),
            wanted,
            "{pattern} {name}"
        );
    }
}

#[test]
fn version_scripts() {
    let text = br#"
        /* base */ V1 { global: foo; bar_*; "q*"; extern "C" { c1; c2 }; local: *; };
        V2 { baz; bar_x*; global: last; local: bar_y?; hidden } V1; # end
    "#;
    let script = VersionScript::parse(text, "v").unwrap();
    assert_eq!(script.nodes[1].parents, [0]);
    assert_eq!(script.find(b"V2"), Some(1));
    let matcher = VersionMatcher::new(&script);
    for (name, wanted) in [
        ("foo", Assignment::Global(0)),
        ("c2", Assignment::Global(0)),
        ("q*", Assignment::Global(0)),
        ("qx", Assignment::Local),
        ("bar_a", Assignment::Global(0)),
        ("bar_x1", Assignment::Global(1)),
        ("bar_y1", Assignment::Local),
        ("baz", Assignment::Global(1)),
        ("last", Assignment::Global(1)),
        ("hidden", Assignment::Local),
        ("other", Assignment::Local),
    ] {
        assert_eq!(matcher.assign(name.as_bytes()), Some(wanted), "{name}");
    }
    let anonymous = VersionScript::parse(b"{ global: a; local: b; };", "v").unwrap();
    assert_eq!(VersionMatcher::new(&anonymous).assign(b"c"), None);
    assert_eq!(anonymous.nodes[0].name, None);
    // `global` without a colon is a name like any other.
    let script = VersionScript::parse(b"V { global; local: local; };", "v").unwrap();
    assert_eq!(script.nodes[0].globals, [Pattern::exact("global")]);
    assert_eq!(script.nodes[0].locals, [Pattern::exact("local")]);
}

#[test]
fn patterns_for_demangled_names() {
    let text = br#"V1 { global: extern "C++" { ns::*; "ns2::f(int)"; std::vector<int*; plain }; g;
        local: extern "C++" { "ns::hidden()" }; *; };"#;
    let script = VersionScript::parse(text, "v").unwrap();
    let matcher = VersionMatcher::new(&script);
    for (name, wanted) in [
        ("_ZN2ns1fEi", true),
        ("_ZN2ns6hiddenEv", false),
        ("_ZN3ns21fEi", true),
        ("_ZN3ns21fEl", false),
        ("_ZNSt6vectorIiSaIiEE9push_backERKi", true),
        ("plain", true),
        ("g", true),
        ("_Z1gv", false),
        ("other", false),
    ] {
        let to = if wanted { Assignment::Global(0) } else { Assignment::Local };
        assert_eq!(matcher.assign(name.as_bytes()), Some(to), "{name}");
    }
    let list = Pattern::parse_list(br#"{ extern "C++" { ns::*; "f()" }; h; };"#, "l").unwrap();
    let set = PatternSet::new(&list);
    for (name, wanted) in
        [("_ZN2ns1fEi", true), ("_Z1fv", true), ("f()", true), ("h", true), ("_Z1hv", false)]
    {
        assert_eq!(set.matches(name.as_bytes()), wanted, "{name}");
    }
}

#[test]
fn exporting_everything_beats_hiding_everything() {
    for text in ["V { global: *; local: *; };", "V { local: *; global: *; };"] {
        let script = VersionScript::parse(text.as_bytes(), "v").unwrap();
        let matcher = VersionMatcher::new(&script);
        assert_eq!(matcher.assign(b"a"), Some(Assignment::Global(0)), "{text}");
    }
}

#[test]
fn malformed_version_scripts_say_where() {
    for (text, offset, part) in [
        ("V {", Some(3), "found the end"),
        ("V { a b; };", Some(6), "expected `;` or `}`, found `b`"),
        ("V { a; }", Some(8), "`;` or a parent"),
        ("V { a; } W;", Some(9), "`W` is not defined"),
        ("V { a; }; V { b; };", Some(10), "duplicate version"),
        ("{ a; }; V { b; };", None, "anonymous"),
        ("V { extern \"Java\" { a; }; };", Some(11), "only C and C++"),
        ("V { /* };", Some(4), "comment without end"),
        ("V { \"a };", Some(4), "quote without end"),
        ("\u{1}", Some(0), "byte 0x01"),
    ] {
        let error = VersionScript::parse(text.as_bytes(), "v").expect_err(text);
        assert_eq!(error.kind(), ErrorKind::BadScript);
        assert_eq!(error.site().unwrap().offset, offset, "{text}: {error}");
        assert!(error.text().contains(part), "{text}: {error}");
    }
}

#[test]
fn libc_is_a_script() {
    let files: MemoryFiles = [
        (
            "/lib/libc.so",
            b"/* GNU ld script */ OUTPUT_FORMAT(elf64-x86-64)\n\
              GROUP ( /lib/libc.so.6 /lib/libc_nonshared.a AS_NEEDED ( /lib/ld.so ) )"
                .to_vec(),
        ),
        ("/lib/libc.so.6", elf(DYN)),
        ("/lib/ld.so", elf(DYN)),
        ("/lib/libc_nonshared.a", ar("!<arch>\n", &[("at.o/", &elf(REL))])),
        ("/lib/libgcc_s.so", b"GROUP ( libgcc_s.so.1 -lgcc )".to_vec()),
        ("/lib/libgcc_s.so.1", elf(DYN)),
        ("/lib/libgcc.a", ar("!<arch>\n", &[])),
        ("a.o", elf(REL)),
    ]
    .into_iter()
    .collect();
    let inputs = load_args(&files, "a.o -L/lib -lc -lgcc_s").unwrap();
    let wanted = [
        "a.o",
        "/lib/libc.so.6",
        "/lib/libc_nonshared.a(at.o)",
        "/lib/ld.so",
        "/lib/libgcc_s.so.1",
    ];
    assert_eq!(names(&inputs), wanted);
    let as_needed: Vec<_> = inputs.list.iter().map(|input| input.state.as_needed).collect();
    assert_eq!(as_needed, [false, false, false, true, false]);
    assert!(inputs.list[2].lazy && inputs.list[2].archive == Some(0));
    assert_eq!(inputs.list[4].needed, "libgcc_s.so.1");
    assert!(inputs.opened.contains(&PathBuf::from("/lib/libgcc.a")));
    // Inside a sysroot absolute names stay inside.
    let files: MemoryFiles = [
        ("/r/lib/libm.so", b"GROUP(/lib/libm.so.6)".to_vec()),
        ("/r/lib/libm.so.6", elf(DYN)),
        ("/lib/libm.so.6", elf(DYN)),
    ]
    .into_iter()
    .collect();
    let inputs = load_args(&files, "--sysroot=/r -L=/lib -lm").unwrap();
    assert_eq!(names(&inputs), ["/r/lib/libm.so.6"]);
}

#[test]
fn libraries_are_found_by_content() {
    let mut other = elf(DYN);
    other[18] = 183;
    let files: MemoryFiles = [
        ("1/libx.so", other),
        ("2/libx.so", elf(DYN)),
        ("2/libx.a", ar("!<arch>\n", &[("m.o/", &elf(REL))])),
        ("2/libgo.a", elf(DYN)),
        ("a.o", elf(REL)),
    ]
    .into_iter()
    .collect();
    let inputs = load_args(&files, "a.o -L1 -L2 -lx -lgo").unwrap();
    assert_eq!(names(&inputs), ["a.o", "2/libx.so", "2/libgo.a"]);
    assert_eq!(inputs.warnings, ["skipping incompatible 1/libx.so"]);
    assert_eq!(inputs.list[1].needed, "libx.so");
    assert_eq!(inputs.list[2].kind, InputKind::Shared);
    let inputs = load_args(&files, "a.o -L1 -L2 -Bstatic -lx -Bdynamic -l:libx.so").unwrap();
    assert_eq!(names(&inputs), ["a.o", "2/libx.a(m.o)", "2/libx.so"]);
    assert!(kind(&files, "a.o -L2 -lnone -lnine").1.contains("-lnine"), "all are named");
    // The same archive twice is one; --whole-archive in either place counts.
    let inputs = load_args(&files, "2/libx.a --whole-archive 2/libx.a a.o").unwrap();
    assert_eq!(names(&inputs), ["2/libx.a(m.o)", "a.o"]);
    assert!(!inputs.list[0].lazy);
    let inputs = load_args(&files, "--exclude-libs libx.a 2/libx.a a.o").unwrap();
    assert!(inputs.list[0].hidden && !inputs.list[1].hidden);
    let inputs = load_args(&files, "--start-lib a.o --end-lib 2/libx.so").unwrap();
    assert!(inputs.list[0].lazy && !inputs.list[1].lazy);
}

#[test]
fn archives_of_every_kind() {
    let gnu = ar(
        "!<arch>\n",
        &[
            ("/", b"\0\0\0\x02\0\0\0\x08\0\0\0\x50one\0two\0"),
            ("//", b"a_rather_long_name.o/\nother.o/\n"),
            ("/0", b"1"),
            ("/22", b"22"),
            ("short.o/", b"333"),
            ("notes", b"4"),
        ],
    );
    let archive = Archive::parse(&gnu, "g").unwrap();
    let got: Vec<_> =
        archive.members.iter().map(|m| (m.name, gnu[m.range.clone()].len())).collect();
    let wanted: [(&[u8], usize); 4] =
        [(b"a_rather_long_name.o", 1), (b"other.o", 2), (b"short.o", 3), (b"notes", 1)];
    assert_eq!(got, wanted);
    let index = archive.index().unwrap().unwrap();
    assert_eq!(index[1], IndexEntry { name: b"two", header: 0x50 });

    let wide = ar("!<arch>\n", &[("/SYM64/", b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x09x\0")]);
    let index = Archive::parse(&wide, "w").unwrap().index().unwrap().unwrap();
    assert_eq!(index, [IndexEntry { name: b"x", header: 9 }]);

    let bsd = ar(
        "!<arch>\n",
        &[
            ("#1/20", b"__.SYMDEF SORTED\0\0\0\0\x08\0\0\0\x01\0\0\0\x44\0\0\0\x04\0\0\0\0ab\0"),
            ("#1/8", b"long.o\0\0body"),
        ],
    );
    let archive = Archive::parse(&bsd, "b").unwrap();
    assert_eq!((archive.members[0].name, archive.members.len()), (&b"long.o"[..], 1));
    assert_eq!(&bsd[archive.members[0].range.clone()], b"body");
    let index = archive.index().unwrap().unwrap();
    assert_eq!(index, [IndexEntry { name: b"ab", header: 0x44 }]);

    let empty = Archive::parse(b"!<arch>\n", "e").unwrap();
    assert!(empty.members.is_empty() && empty.index().unwrap().is_none());

    let thin = ar("!<thin>\n", &[("//", b"sub/m.o/\n"), ("/0", &[0; 64]), ("n.o/", &[0; 64])]);
    let files: MemoryFiles =
        [("d/t.a", thin.clone()), ("d/sub/m.o", elf(REL)), ("d/n.o", elf(REL)), ("t.a", thin)]
            .into_iter()
            .collect();
    let inputs = load_args(&files, "d/t.a").unwrap();
    assert_eq!(names(&inputs), ["d/t.a(sub/m.o)", "d/t.a(n.o)"]);
    assert_eq!(inputs.list[1].bytes(), elf(REL));
    let (kind, text) = kind(&files, "t.a");
    assert_eq!(kind, ErrorKind::MissingFile);
    assert!(text.starts_with("t.a(sub/m.o): sub/m.o: cannot open"), "{text}");
}

#[test]
fn malformed_archives_say_where() {
    let good = ar("!<arch>\n", &[("a.o/", b"12"), ("b.o/", b"34")]);
    let damaged = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    for (bytes, offset, part) in [
        (good[..30].to_vec(), 8, "ends inside"),
        (good[..good.len() - 1].to_vec(), 70, "past the end"),
        (damaged(70 + 58, b"xx"), 70, "header is malformed"),
        (damaged(8 + 48, b"x"), 8, "size is not a number"),
        (damaged(8 + 48, b"9999999999"), 8, "past the end"),
        (damaged(8, b"/7  "), 8, "long name is missing"),
        (damaged(8, b"#1/9"), 8, "name is too long"),
    ] {
        let error = Archive::parse(&bytes, "x.a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
        assert_eq!(error.site().unwrap().offset, Some(offset), "{error}");
        assert!(error.text().contains(part), "{error}");
    }
    let cut = ar("!<arch>\n", &[("/", b"\0\0\0\x02\0\0\0\x08")]);
    assert!(Archive::parse(&cut, "x.a").unwrap().index().is_err());
}

#[test]
fn inputs_that_are_none() {
    let mut arm = elf(REL);
    arm[18] = 40;
    let mut big = elf(REL);
    big[5] = 2;
    big[16..20].reverse();
    big[16..20].rotate_left(2);
    let files: MemoryFiles = [
        ("a.o", elf(REL)),
        ("arm.o", arm),
        ("big.o", big),
        ("exe", elf(2)),
        ("core", elf(4)),
        ("empty", Vec::new()),
        ("text", b"Dear linker,\n".to_vec()),
        ("binary", vec![1, 2, 3, 4]),
        ("sections", b"SECTIONS { .text : { *(.text) } }".to_vec()),
        ("cut.o", elf(REL)[..10].to_vec()),
        ("bitcode", b"BC\xc0\xde1234".to_vec()),
        ("self", b"INPUT(self)".to_vec()),
        ("dangling", b"INPUT(nowhere)".to_vec()),
        ("open", b"GROUP ( a.o".to_vec()),
    ]
    .into_iter()
    .collect();
    for (name, wanted) in [
        ("arm.o", ErrorKind::WrongMachine),
        ("big.o", ErrorKind::WrongMachine),
        ("exe", ErrorKind::BadInput),
        ("core", ErrorKind::BadInput),
        ("empty", ErrorKind::BadInput),
        ("text", ErrorKind::BadInput),
        ("binary", ErrorKind::BadInput),
        ("sections", ErrorKind::BadScript),
        ("cut.o", ErrorKind::BadInput),
        ("bitcode", ErrorKind::BadInput),
        ("self", ErrorKind::BadScript),
        ("dangling", ErrorKind::MissingFile),
        ("open", ErrorKind::BadScript),
        ("absent", ErrorKind::MissingFile),
    ] {
        let (kind, text) = kind(&files, &format!("a.o {name}"));
        assert_eq!(kind, wanted, "{name}: {text}");
        assert!(text.starts_with(name), "{name}: {text}");
    }
    assert_eq!(kind(&files, "arm.o").0, ErrorKind::WrongMachine);
    assert_eq!(load_args(&files, "a.o").unwrap().emulation.unwrap().emulation, "elf_x86_64");
}

proptest! {
    #[test]
    fn arbitrary_archives_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in 0usize..300,
    ) {
        let mut archive = ar("!<arch>\n", &[("/", b"\0\0\0\x01\0\0\0\x08x\0"), ("/0", b"body")]);
        let at = at.min(archive.len());
        archive.splice(at..(at + bytes.len() / 4).min(archive.len()), bytes.iter().copied());
        if let Ok(archive) = Archive::parse(&archive, "x") {
            let _ = archive.index();
        }
    }

    #[test]
    fn arbitrary_scripts_never_panic(text in "[ -~\n]{0,60}|([VG{}();:,*\"/# a]|global|local|extern|GROUP|AS_NEEDED){0,30}") {
        let _ = VersionScript::parse(text.as_bytes(), "v");
        let _ = Pattern::parse_list(text.as_bytes(), "v");
        let files: MemoryFiles = [("s", text.clone().into_bytes())].into_iter().collect();
        let _ = load_args(&files, "s");
    }

    #[test]
    fn arbitrary_globs_end(pattern in "[ab*?\\[\\]!\\\\-]{0,12}", name in "[ab]{0,40}") {
        if let Ok(pattern) = Pattern::glob(&pattern) {
            let _ = pattern.matches(&Name::new(name.as_bytes()));
        }
    }

    #[test]
    fn arbitrary_files_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut elf = elf(REL);
        elf.truncate(bytes.len());
        elf.extend(&bytes);
        let files: MemoryFiles = [("a", bytes), ("b", elf)].into_iter().collect();
        let _ = load_args(&files, "a");
        let _ = load_args(&files, "b");
    }
}

#[test]
fn memory_files_ignore_dots() {
    let mut files = MemoryFiles::new();
    files.insert("./a.o", vec![1]);
    assert!(files.open(Path::new("a.o")).is_ok());
    assert!(files.open(Path::new("././a.o")).is_ok());
    assert!(files.open(Path::new("b.o")).is_err());
}
