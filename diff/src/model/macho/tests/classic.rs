//! Flat namespaces, programs, libraries' weak names, and what has no subsections.

use super::*;

fn add(arch: Arch, body: &str, rest: &str) -> String {
    let call = if arch == Arch::Amd64 { "callq" } else { "bl" };
    body.replace("CALL", call) + rest + "\t.subsections_via_symbols\n"
}

const ALIGN: &str = "\t.p2align 3\n";

#[test]
fn a_flat_image_asks_for_its_own_names() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let m = marker;
        let source = add(
            arch,
            &format!(
                "\t.text\n{ALIGN}\t.globl _f\n_f:\n\tCALL _k\n\tCALL _h\n\tCALL _ext\n{}\
                 {ALIGN}\t.globl _h\n\t.private_extern _h\n_h:\n\tnop\n{ALIGN}\t.globl _k\n_k:\n\tnop\n{}",
                m(1),
                m(2)
            ),
            &format!("\t.data\n{ALIGN}_d:\n\t.quad _f\n\t.quad _h\n{}", m(3)),
        );
        for way in WAYS {
            let Some(request) = request(arch, Mode::Plugin, &[("a.o", &source)], way) else {
                return;
            };
            let at = |n: u64| match arch {
                Arch::Amd64 => format!("site.a.o:__TEXT,__text+{:#x}", 5 * n + 1),
                _ => format!("site.a.o:__TEXT,__text+{:#x}", 4 * n),
            };
            let hidden = "a.o:__TEXT,__text#1+0x0";
            let at = [at(1), at(2), at(0)];
            let wanted = [
                (at[0].as_str(), hidden),
                (&at[1], "dynamic _ext@flat"),
                ("site.a.o:__DATA,__data+0x0", "dynamic _f@flat"),
                ("site.a.o:__DATA,__data+0x8", hidden),
                ("import._f@flat", "-"),
                ("import._ext@flat", "strong"),
                ("dynamic.flat", "true"),
                ("export._h", "-"),
                ("lookup._h", "absent"),
            ];
            for (linker, facts) in linked(&request) {
                // lld has no stub helper for a name of the image's own.
                let lazy = linker != crate::adapter::REFERENCE && way[0] == "-no_fixup_chains";
                let call =
                    if lazy { "bad: a lazy slot without a helper" } else { "dynamic _k@flat" };
                assert_these(&linker, &facts, &[&wanted[..], &[(&at[2], call)]].concat());
            }
        }
    }
}

#[test]
fn a_program_has_an_entry() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let source = add(
            arch,
            &format!(
                "\t.text\n{ALIGN}_l:\n\tnop\n{}{ALIGN}\t.globl _main\n_main:\n\tCALL _l\n",
                marker(1)
            ),
            &marker(2),
        );
        for way in WAYS {
            let Some(request) = request(arch, Mode::Pie, &[("a.o", &source)], way) else { return };
            let call = if arch == Arch::Amd64 { 1 } else { 0 };
            let key = format!("site.a.o:__TEXT,__text#1+{call:#x}");
            assert_facts(
                &request,
                &[("entry", "a.o:__TEXT,__text#1+0x0"), (&key, "a.o:__TEXT,__text+0x0")],
            );
        }
    }
}

/// LC_ROUTINES_64 goes before what sections list; lld has no -init.
#[test]
fn the_first_constructor_is_found() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let source = add(
            arch,
            &format!("\t.text\n{ALIGN}\t.globl _f\n_f:\n\tnop\n{}{ALIGN}_g:\n\tnop\n", marker(1)),
            &format!(
                "{}\t.section __DATA,__mod_init_func,mod_init_funcs\n{ALIGN}\t.quad _g\n",
                marker(2)
            ),
        );
        for way in WAYS {
            let way = [*way, &["-init", "_f"]].concat();
            let sources = [("a.o", &*source)];
            let Some(request) = request(arch, Mode::CShared, &sources, &way) else { return };
            let (first, second) = ("a.o:__TEXT,__text+0x0", "a.o:__TEXT,__text#1+0x0");
            for (linker, facts) in linked(&request) {
                let wanted = match &*linker {
                    crate::adapter::REFERENCE => [("init.0", first), ("init.1", second)],
                    _ => [("init.0", second), ("init.1", "-")],
                };
                assert_these(&linker, &facts, &wanted);
            }
        }
    }
}

#[test]
fn a_section_without_subsections_is_one_atom() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let source = format!(
            "\t.text\n{ALIGN}\t.globl _f\n_f:\n\tnop\n\tnop\n\tnop\n\tnop\n_g:\n\tnop\n\tnop\n\tnop\n\tnop\n{}\
             \t.data\n{ALIGN}_d:\n\t.quad _g+1\n\t.quad _missing\n\t.weak_reference _missing\n\
             \t.quad ___dso_handle\n{}",
            marker(1),
            marker(2)
        );
        let lookup = ["-undefined", "dynamic_lookup"];
        let Some(request) = request(arch, Mode::CShared, &[("a.o", &source)], &lookup) else {
            return;
        };
        let g = if arch == Arch::Amd64 { 4 } else { 16 };
        assert_facts(
            &request,
            &[
                ("site.a.o:__DATA,__data+0x0", &format!("a.o:__TEXT,__text+{g:#x}")),
                ("site.a.o:__DATA,__data+0x8", "dynamic _missing@flat"),
                ("site.a.o:__DATA,__data+0x10", "linker ___dso_handle"),
                ("import._missing@flat", "weak"),
                ("perm.a.o:__TEXT,__text#1", "-"),
            ],
        );
    }
}

#[test]
fn unwinding_is_found_for_each_function() {
    for arch in [Arch::Amd64, Arch::Arm64] {
        let frame = match arch {
            Arch::Amd64 => {
                "\tpushq %rbp\n\t.cfi_def_cfa_offset 16\n\t.cfi_offset %rbp, -16\n\tmovq %rsp, %rbp\n\
                 \t.cfi_def_cfa_register %rbp\n"
            }
            _ => {
                "\tstp x29, x30, [sp, #-16]!\n\tmov x29, sp\n\t.cfi_def_cfa w29, 16\n\
                 \t.cfi_offset w30, -8\n\t.cfi_offset w29, -16\n"
            }
        };
        let source = add(
            arch,
            &format!(
                "\t.text\n{ALIGN}\t.globl _f\n_f:\n\t.cfi_startproc\n\t.cfi_personality 155, ___gxx_personality_v0\n\
                 \t.cfi_lsda 16, _lsda\n{frame}\tret\n\t.cfi_endproc\n{}\
                 {ALIGN}\t.globl _g\n_g:\n\t.cfi_startproc\n{frame}\tret\n\t.cfi_endproc\n{}\
                 {ALIGN}\t.globl _h\n_h:\n\t.cfi_startproc\n\t.cfi_personality 155, _ext\n{frame}\tret\n\t.cfi_endproc\n{}",
                marker(1),
                marker(2),
                marker(3)
            ),
            &format!("\t.section __TEXT,__gcc_except_tab\n{ALIGN}_lsda:\n\t.quad 7\n{}", marker(4)),
        );
        for way in WAYS {
            let Some(request) = request(arch, Mode::CShared, &[("a.o", &source)], way) else {
                return;
            };
            let enc = if arch == Arch::Amd64 { "enc=0x1000000" } else { "enc=0x4000000" };
            let handled = format!(
                "{enc} personality={EXT} lsda=a.o:__TEXT,__gcc_except_tab+0x0",
                EXT = "dynamic ___gxx_personality_v0@/usr/lib/libSystem.B.dylib"
            );
            assert_facts(
                &request,
                &[
                    ("unwind.a.o:__TEXT,__text+0x0", &handled),
                    (
                        "unwind.a.o:__TEXT,__text#1+0x0",
                        &format!("{enc} personality=none lsda=none"),
                    ),
                ],
            );
            // What compact unwinding cannot say is in DWARF.
            for (linker, facts) in linked(&request) {
                let key = Key::new(Family::Unwind, "a.o:__TEXT,__text#2+0x0");
                let text = facts.get(&key).map(ToString::to_string).unwrap_or_default();
                assert!(text.starts_with("dwarf len="), "{linker} {text:?}\n{facts}");
            }
        }
    }
}
