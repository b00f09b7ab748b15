//! Sites of every relocation type, in every encoding of fixups.

use super::*;

/// What an assembler would fold if it were in the same file.
pub(super) const ABSOLUTE: (&str, &str) = ("b.o", "\t.globl _abs\n_abs = 0x1234\n");

/// Two functions, their data, and one reference of each kind.
pub(super) fn source(arch: Arch) -> String {
    let text = match arch {
        Arch::Amd64 => {
            "\t.globl _f\n_f:\tcallq _g\n\tcallq _ext\n\tleaq _d+4(%rip), %rax\n\tmovb $1, _d(%rip)\n\
             \tmovq _extdata@GOTPCREL(%rip), %rax\n\tmovq _d@GOTPCREL(%rip), %rcx\n\
             \tpushq _d@GOTPCREL(%rip)\n\tmovq _t@TLVP(%rip), %rdi\n\tleaq L_s(%rip), %rdi\n\tcallq _w\n\tretq\n"
        }
        _ => {
            "\t.globl _f\n_f:\tbl _g\n\tbl _ext\n\tadrp x0, _d@PAGE+4\n\tldr w1, [x0, _d@PAGEOFF+4]\n\
             \tadrp x2, _extdata@GOTPAGE\n\tldr x2, [x2, _extdata@GOTPAGEOFF]\n\
             \tadrp x3, _d@GOTPAGE\n\tldr x3, [x3, _d@GOTPAGEOFF]\n\
             \tadrp x4, _t@TLVPPAGE\n\tldr x4, [x4, _t@TLVPPAGEOFF]\n\
             \tadrp x5, L_s@PAGE\n\tadd x5, x5, L_s@PAGEOFF\n\tbl _w\n\tret\n"
        }
    };
    let got = match arch {
        Arch::Amd64 => "\t.long _extdata@GOTPCREL+4\n\t.long 0\n",
        _ => "\t.long _extdata@GOT-.\n\t.long 0\n",
    };
    let (align, m) = ("\t.p2align 3\n", marker);
    format!(
        "\t.text\n{align}{text}{}{align}_g:\n\tnop\n\tnop\n{}\
         {align}\t.weak_definition _w\n\t.globl _w\n_w:\n\tnop\n\tnop\n{}\
         \t.data\n{align}\t.globl _d\n_d:\n\t.quad _f\n\t.quad _extdata+16\n\t.quad _w\n\t.quad _g-_d\n\
         \t.quad 0\n\t.quad L_s\n{got}\t.alt_entry _inside\n_inside:\n{}\
         \t.section __TEXT,__cstring,cstring_literals\nL_s:\t.asciz \"hello\"\n\
         \t.section __DATA,__thread_data,thread_local_regular\n{align}_t$tlv$init:\n\t.quad 5\n{}\
         \t.section __DATA,__thread_vars,thread_local_variables\n\t.globl _t\n_t:\n\
         \t.quad __tlv_bootstrap\n\t.quad 0\n\t.quad _t$tlv$init\n\
         \t.section __DATA,__mod_init_func,mod_init_funcs\n{align}\t.quad _g\n\t.quad _f\n\
         \t.zerofill __DATA,__bss,_z,64,4\n\t.comm _c,24,3\n\t.data\n{align}_p:\n\t.quad _z+8\n\t.quad _c\n{}\
         \t.subsections_via_symbols\n",
        m(1),
        m(2),
        m(3),
        m(4),
        m(5),
        m(6),
    )
}

const F: &str = "a.o:__TEXT,__text+0x0";
const G: &str = "a.o:__TEXT,__text#1+0x0";
const D: &str = "a.o:__DATA,__data+0x0";
const T: &str = "a.o:__DATA,__thread_vars+0x0";
const EXT: &str = "dynamic _ext@/usr/lib/libSystem.B.dylib";
const EXTDATA: &str = "dynamic _extdata@/usr/lib/libSystem.B.dylib";

/// By offset in `_f`: what its references mean.
fn code(arch: Arch) -> Vec<(u64, &'static str)> {
    let (w, s) = ("dynamic _w@weak", "merged \"hello\"");
    match arch {
        Arch::Amd64 => vec![
            (1, G),
            (6, EXT),
            (13, D),
            (19, D),
            (27, EXTDATA),
            (34, D),
            (40, D),
            (47, T),
            (54, s),
            (59, w),
        ],
        _ => vec![
            (0, G),
            (4, EXT),
            (8, D),
            (12, D),
            (16, EXTDATA),
            (20, EXTDATA),
            (24, D),
            (28, D),
            (32, T),
            (36, T),
            (40, s),
            (44, s),
            (48, w),
        ],
    }
}

fn wanted(arch: Arch) -> Vec<(String, String)> {
    let code = code(arch).into_iter();
    let mut all: Vec<(String, String)> =
        code.map(|(at, m)| (format!("site.a.o:__TEXT,__text+{at:#x}"), m.into())).collect();
    let bootstrap = "dynamic __tlv_bootstrap@/usr/lib/libSystem.B.dylib";
    let library = "/usr/lib/libSystem.B.dylib";
    for (key, value) in [
        ("site.a.o:__DATA,__data+0x0", F),
        ("site.a.o:__DATA,__data+0x8", EXTDATA),
        ("site.a.o:__DATA,__data+0x10", "dynamic _w@weak"),
        ("site.a.o:__DATA,__data+0x18", G),
        ("site.a.o:__DATA,__data+0x20", "-"),
        ("site.a.o:__DATA,__data+0x28", "merged \"hello\""),
        ("site.a.o:__DATA,__data+0x30", EXTDATA),
        ("site.a.o:__DATA,__data#1+0x0", "a.o:__DATA,__bss+0x0"),
        ("site.a.o:__DATA,__data#1+0x8", "a.o:COMMON._c+0x0"),
        ("site.a.o:__DATA,__thread_vars+0x0", bootstrap),
        ("site.a.o:__DATA,__thread_vars+0x10", "tls a.o:__DATA,__thread_data+0x0"),
        ("perm.a.o:__TEXT,__text", "rx"),
        ("perm.a.o:__DATA,__data", "rw"),
        ("perm.a.o:__DATA,__thread_data", "tls"),
        ("perm.a.o:__DATA,__bss", "rw"),
        ("bytes.a.o:__DATA,__bss", "-"),
        ("export._f", "Notype Global size=0 a.o:__TEXT,__text+0x0"),
        ("export._g", "-"),
        ("export._w", "Notype Weak size=0 a.o:__TEXT,__text#2+0x0"),
        ("export._t", "Tls Global size=0 a.o:__DATA,__thread_vars+0x0"),
        ("export._abs", "Notype Global size=0 absolute 0x1234"),
        ("export._c", "Notype Global size=0 a.o:COMMON._c+0x0"),
        ("lookup._f", "found a.o:__TEXT,__text+0x0"),
        ("lookup._ext", "absent"),
        ("lookup.scold.absent.1", "absent"),
        ("import._ext@/usr/lib/libSystem.B.dylib", "strong"),
        ("import._extdata@/usr/lib/libSystem.B.dylib", "strong"),
        ("import._w@weak", "-"),
        ("import.dyld_stub_binder@/usr/lib/libSystem.B.dylib", "-"),
        ("needed.0", library),
        ("needed.1", "-"),
        ("init.0", G),
        ("init.1", F),
        ("init.2", "-"),
        ("dynamic.weak_defines", "true"),
        ("dynamic.broken", "-"),
        ("dynamic.flat", "-"),
    ] {
        all.push((key.into(), value.into()));
    }
    all
}

#[test]
fn every_reference_means_what_it_says() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        for way in WAYS {
            for (mode, soname) in [(Mode::CShared, "@rpath/x"), (Mode::Shared, "-")] {
                let name = ["-install_name", soname];
                let args: &[&str] = if mode == Mode::CShared { &name } else { &[] };
                let args = [way, args].concat();
                let Some(request) = request(arch, mode, &[("a.o", &source(arch)), ABSOLUTE], &args)
                else {
                    return;
                };
                let mut wanted = wanted(arch);
                wanted.push(("dynamic.soname".into(), soname.into()));
                let wanted: Vec<_> =
                    wanted.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                assert_facts(&request, &wanted);
            }
        }
    }
}

#[test]
fn digests_are_the_inputs_without_fields() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let Some(request) = request(arch, Mode::CShared, &[("a.o", &source(arch)), ABSOLUTE], &[])
        else {
            return;
        };
        let inputs = inputs::Inputs::read(&request, machine::of(arch).expect("a machine"));
        let data =
            inputs.placeable().find(|(id, _)| inputs.name(*id) == "a.o:__DATA,__thread_data");
        let digest = crate::model::digest(data.expect("the atom").1.data);
        assert_facts(&request, &[("bytes.a.o:__DATA,__thread_data", &format!("{digest:016x}"))]);
        let all = linked(&request);
        let text = |facts: &Facts| {
            facts.get(&Key::new(Family::Bytes, "a.o:__TEXT,__text")).map(ToString::to_string)
        };
        assert!(all.iter().all(|(_, facts)| text(facts).is_some()));
        assert!(all.iter().all(|(_, facts)| text(facts) == text(&all[0].1)), "{arch:?}");
    }
}

/// lld rebases pointers to absolute symbols.
#[test]
fn numbers_do_not_slide() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        for way in WAYS {
            let source = format!("\t.data\n\t.p2align 3\n_d:\n\t.quad _abs+1\n{}", marker(1));
            let sources = [("a.o", source.as_str()), ABSOLUTE];
            let Some(request) = request(arch, Mode::CShared, &sources, way) else { return };
            for (linker, facts) in linked(&request) {
                let value = match linker.as_str() {
                    crate::adapter::REFERENCE => "absolute 0x1234",
                    _ => "bad: an absolute symbol that slides",
                };
                assert_these(&linker, &facts, &[("site.a.o:__DATA,__data+0x0", value)]);
            }
        }
    }
}

/// What has no bytes of its own, and no name that stays with `-x`, is found by what is around it, in any order.
#[test]
fn nameless_atoms_are_found_by_their_neighbours() {
    let zeros = "\t.globl _d\n\t.data\n\t.p2align 3\n_d:\n\t.quad _y\n\t.quad _z\n\
                 .zerofill __DATA,__bss,_y,4,2\n.zerofill __DATA,__bss,_z,8,3\n";
    let first = "\t.globl _x\n\t.data\n\t.p2align 2\n_x:\n\t.long 3\n";
    let second = "\t.globl _s\n\t.data\n\t.p2align 3\n_s:\n\t.quad 0x123456789\n";
    let third = "\t.data\n\t.p2align 3\n_p:\n\t.quad _s\n\t.no_dead_strip _p\n";
    for arch in [Arch::Amd64, Arch::Arm64] {
        let end = "\t.subsections_via_symbols\n";
        let sources = [zeros, first, second, third].map(|source| format!("{source}{end}"));
        let [zeros, first, second, third] = sources.each_ref().map(String::as_str);
        let alone = [("a.o", zeros)];
        let Some(request) = request(arch, Mode::CShared, &alone, &["-x"]) else { return };
        assert_facts(
            &request,
            &[
                ("site.a.o:__DATA,__data+0x0", "a.o:__DATA,__bss+0x0"),
                ("site.a.o:__DATA,__data+0x8", "a.o:__DATA,__bss#1+0x0"),
            ],
        );
        let three = [("a.o", first), ("b.o", second), ("c.o", third)];
        let Some(request) = super::request(arch, Mode::CShared, &three, &["-x"]) else { return };
        assert_facts(&request, &[("site.c.o:__DATA,__data+0x0", "b.o:__DATA,__data+0x0")]);
    }
}
