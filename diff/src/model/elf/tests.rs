//! The reader against real linkers: equal facts from all, and no planted fault goes unseen.

mod again;
mod alike;
mod copies;
mod empty;
mod lost;

use std::sync::Arc;
use std::time::Duration;

use crate::adapter::{self, Outcome, Shared};
use crate::desugar::desugar;
use crate::model::Key;
use crate::run::{self, End, Limits, Scratch};
use crate::{Facts, File, Mode, Request, Target};

/// What all the assembler texts start with: a marker of their own for each section.
const MACROS: &str = "
.macro mark n
 .ascii \"\\xf1SCOLD\\x1b\\xf2\"
 .quad 0x1122334455000000+\\n
.endm
";

/// One object with every usual way of reaching things.
const BODY: &str = "
 .section .text.f,\"ax\",@progbits
 mark 1
 .globl f
 .type f,@function
f: call g@PLT
 call h@PLT
 call imp@PLT
 movq imp@GOTPCREL(%rip), %rax
 movq g@GOTPCREL(%rip), %r9
 addq d@GOTPCREL(%rip), %r10
 cmpl $3, hid(%rip)
 call *imp2@GOTPCREL(%rip)
 call *h@GOTPCREL(%rip)
 jmp *hid_f@GOTPCREL(%rip)
 leaq .Lstr(%rip), %rdi
 leaq loc+5(%rip), %rsi
 movq weak_undef@GOTPCREL(%rip), %rdx
 jne h
 ret
 .size f,.-f
 .globl h
 .hidden h
h: ret
 .globl hid_f
 .hidden hid_f
hid_f: ret
 .weak weak_undef
 .section .text.g,\"ax\",@progbits
 mark 2
 .globl g
 .type g,@function
g: ret
 .section .text.tls,\"ax\",@progbits
 mark 3
tlsf:
 .byte 0x66
 leaq t1@tlsgd(%rip), %rdi
 .word 0x6666
 rex64
 call __tls_get_addr@PLT
 .byte 0x66
 leaq t_imp@tlsgd(%rip), %rdi
 .word 0x6666
 rex64
 call __tls_get_addr@PLT
 leaq t2@tlsld(%rip), %rdi
 call __tls_get_addr@PLT
 leaq t2@dtpoff(%rax), %rcx
 leaq t3@dtpoff(%rax), %rdx
 movq t1@gottpoff(%rip), %r11
 addq t_imp@gottpoff(%rip), %rax
 movq t2@gottpoff(%rip), %rax
 leaq t1@tlsdesc(%rip), %rax
 call *t1@tlscall(%rax)
 leaq t_imp@tlsdesc(%rip), %rax
 call *t_imp@tlscall(%rax)
 ret
 .section .text.ifunc,\"ax\",@progbits
 mark 4
 .type ifn,@gnu_indirect_function
ifn: leaq h(%rip), %rax
 ret
use_ifn: call ifn@PLT
 movq ifn@GOTPCREL(%rip), %rax
 ret
 .section .data.d,\"aw\",@progbits
 mark 5
 .globl d
 .type d,@object
 .size d, 64
d: .quad f
 .quad h
 .quad g+8
 .quad imp
 .quad loc+2
 .quad absolute
 .long h-.
 .long 0
 .quad ifn
 .quad weak_undef
 .quad .Lstr2
 .quad com+4
 .quad pdata
 .globl pdata
 .protected pdata
 .type pdata,@object
 .size pdata,8
pdata: .quad 1
 .globl hid
 .hidden hid
hid: .long 3
 .section .data.loc,\"aw\",@progbits
 mark 6
loc: .quad loc
 .quad d
 .section .bss.b,\"aw\",@nobits
 .globl bss_sym
bss_sym: .zero 32
 .section .rodata.str1.1,\"aMS\",@progbits,1
.Lstr: .string \"hello\"
.Lstr2: .string \"world\"
 .section .rodata.ro,\"a\",@progbits
 mark 7
 .long h-.
 .long hid-.
 .long 7
 .section .data.rel.ro.x,\"aw\",@progbits
 mark 8
 .quad f
 .quad imp2
 .section .init_array,\"aw\"
 .quad f
 .section .fini_array,\"aw\"
 .quad g
 .section .tdata.t,\"awT\",@progbits
 mark 9
 .globl t1
 .type t1,@tls_object
 .size t1,8
t1: .quad 7
t2: .quad 8
 .section .tbss.t,\"awT\",@nobits
 .globl t3
 .hidden t3
 .type t3,@tls_object
t3: .zero 16
 .comm com,24,16
 .globl absolute
 absolute = 0x1234
";

/// What executables reach directly.
const DIRECT: &str = "
 .section .text._start,\"ax\",@progbits
 mark 20
 .globl _start
_start: call f
 leaq t1@tpoff(%rax), %rcx
 movq %fs:t3@tpoff, %rax
 leaq imp_data(%rip), %rax
 movl imp_data(%rip), %eax
 leaq imp(%rip), %rcx
 ret
";

/// Only for fixed addresses.
const FIXED: &str = "
 movl $f, %eax
 movq $loc, %rax
 movl $absolute, %ecx
 movl $imp, %ecx
 ret
";

const LIBRARY: &str = "
 .text
 .globl imp, imp2
 .type imp,@function
 .type imp2,@function
imp: ret
imp2: ret
 .data
 .globl imp_data
 .type imp_data,@object
 .size imp_data,8
imp_data: .quad 5
 .section .tdata,\"awT\",@progbits
 .globl t_imp
 .type t_imp,@tls_object
 .size t_imp,8
t_imp: .quad 6
";

fn linkers() -> Vec<Shared> {
    adapter::select(&["every".into()], &[]).unwrap_or_default().into_iter().collect()
}

fn assemble(text: &str) -> Option<Arc<[u8]>> {
    let scratch = Scratch::new().ok()?;
    scratch.write("a.s", format!("{MACROS}{text}").as_bytes()).ok()?;
    let tool = run::find("as").into_iter().next()?;
    let args = ["-o", "a.o", "a.s"];
    let run = run::run(&tool, &args, scratch.path(), &[], Limits::default()).ok()?;
    assert_eq!(run.end, End::Exit(0), "{}", run.err());
    Some(std::fs::read(scratch.path().join("a.o")).ok()?.into())
}

/// A library made by GNU ld.
fn library(text: &str) -> Option<Arc<[u8]>> {
    versioned(text, "{ global: *; };")
}

/// The same with a version script.
fn versioned(text: &str, script: &str) -> Option<Arc<[u8]>> {
    let scratch = Scratch::new().ok()?;
    scratch.write("a.o", &assemble(text)?).ok()?;
    scratch.write("v.map", script.as_bytes()).ok()?;
    let tool = run::find("ld").into_iter().next()?;
    let args = ["-shared", "-soname", "libx.so.1", "--version-script", "v.map", "-o", "x", "a.o"];
    let run = run::run(&tool, &args, scratch.path(), &[], Limits::default()).ok()?;
    assert_eq!(run.end, End::Exit(0), "{}", run.err());
    Some(std::fs::read(scratch.path().join("x")).ok()?.into())
}

fn file(name: &str, bytes: Arc<[u8]>) -> File {
    File { name: name.into(), bytes }
}

/// The usual link, or nothing where there is no assembler.
fn request(mode: Mode, more: &[&str]) -> Option<Request> {
    let text = match mode {
        Mode::Exe => format!("{BODY}{DIRECT}{FIXED}"),
        Mode::Pie => format!("{BODY}{DIRECT}"),
        _ => BODY.to_owned(),
    };
    let files = vec![file("a.o", assemble(&text)?), file("libx.so", library(LIBRARY)?)];
    let mut args: Vec<String> = vec!["a.o".into(), "libx.so".into()];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    if !mode.is_library() {
        args.extend(["--dynamic-linker".into(), "/lib64/ld-linux-x86-64.so.2".into()]);
    }
    Some(Request { target: Target::AMD64_ELF, mode, args, files, goos: None })
}

fn link(request: &Request) -> Vec<(String, Vec<u8>)> {
    let mut list = Vec::new();
    for linker in linkers() {
        match linker.link(request, Duration::from_secs(20)) {
            Outcome::Linked(bytes) => list.push((linker.name().to_owned(), bytes)),
            other => eprintln!("{}: {other:?}", linker.name()),
        }
    }
    assert!(
        list.iter().any(|(name, _)| name == crate::adapter::REFERENCE),
        "the reference links all"
    );
    list
}

/// The linkers whose facts must be equal here; others have bugs or layouts that show (BUGS.md).
const ALIKE: &[&str] = &["gnu_ld", "lld", "lld-22", "lld-19", "lld-16", "lld-14", "mold"];

#[test]
fn linkers_agree() {
    for mode in Mode::ALL {
        let Some(request) = request(*mode, &[]) else { return skip() };
        let mut first: Option<(String, Facts)> = None;
        for (name, bytes) in link(&request) {
            let facts = super::facts(&request, &bytes);
            let bad: Vec<_> = facts.iter().filter(|(_, v)| v.to_string().contains("bad")).collect();
            // mold 1.10 leaves TLS descriptors preemptible under -Bsymbolic.
            if !ALIKE.contains(&&*name) || (*mode == Mode::CShared && name == "mold") {
                continue;
            }
            assert!(bad.is_empty(), "{mode} {name}: {bad:#?}");
            assert!(facts.iter().count() > 60, "{mode} {name}: {facts}");
            match &first {
                None => first = Some((name, facts)),
                Some((other, wanted)) => {
                    let open = |key: &Key| {
                        // Weak undefined: null or dynamic. What is bound at once is not asked for.
                        key.to_string().contains("weak_undef")
                            || key.to_string() == "site.a.o:.data.d+0x50"
                            || key.to_string() == "site.a.o:.text.f+0x5e"
                            || key.to_string() == "dynamic.now"
                    };
                    let differences = wanted.differences(&facts);
                    let left: Vec<_> = differences.iter().filter(|d| !open(d.key)).collect();
                    assert!(left.is_empty(), "{mode}: {other} and {name}: {left:#?}");
                }
            }
        }
    }
}

/// An empty block, types that are collected, and code that could be anything's.
const NOTHING: &str = r#"
 .section .tbss,"awT",@nobits
 .section .go.type,"a"
 .space 24
 .section .refs,"aw"
 .globl tab
tab: .quad runtime.types, runtime.etypes, other
 .text
 .globl f
f: ret
 .section .text.hot.a,"ax"
 nop
 .section .text.hot.b,"ax"
other: nop
"#;

#[test]
fn nothing_is_said_of_nothing() {
    let Some(bytes) = assemble(NOTHING) else { return skip() };
    let (target, args) = (Target::AMD64_ELF, vec!["a.o".into(), "--gc-sections".into()]);
    let files = vec![file("a.o", bytes)];
    let request = Request { target, mode: Mode::Plugin, args, files, goos: None };
    let request = desugar(request);
    for (name, bytes) in link(&request) {
        let facts = super::facts(&request, &bytes).to_string();
        assert!(!facts.contains("tls."), "{name}: {facts}");
        for bound in ["runtime.types", "runtime.etypes"] {
            assert!(facts.contains(&format!("linker {bound}\n")), "{name}: {facts}");
        }
    }
}

/// File ranges of the sections that faults are planted in.
fn targets(bytes: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    use object::{Object as _, ObjectSection as _};
    let file = object::File::parse(bytes).expect("an ELF file");
    let range = |section: object::Section<'_, '_>| {
        let name = section.name().ok()?.to_owned();
        let (start, len) = section.file_range()?;
        (section.address() != 0).then_some((name, start as usize..(start + len) as usize))
    };
    let skipped = [".note", ".comment", ".eh_frame", ".interp"];
    file.sections()
        .filter_map(range)
        .filter(|(name, _)| !skipped.iter().any(|skip| name.starts_with(skip)))
        .collect()
}

/// Flips bits of every byte of every section that is loaded: (section, caught, planted, misses).
fn plant(request: &Request, bytes: &[u8], all: bool) -> Vec<(String, usize, usize, Vec<String>)> {
    let honest = super::facts(request, bytes);
    // What a loader overwrites with a RELA slot's value is nobody's business; a lazy slot's is.
    let module = crate::loader::Module::load(bytes).expect("a module");
    let overwritten = |at: usize| {
        let load = module
            .image
            .loads
            .iter()
            .find(|load| (load.offset..load.offset + load.file_size).contains(&(at as u64)));
        let address = load.map_or(0, |load| at as u64 - load.offset + load.address);
        let mut there = module.relocs_in(address, address + 1);
        there.any(|reloc| reloc.plt_index.is_none() || reloc.kind != crate::loader::Kind::JumpSlot)
    };
    let mut copy = bytes.to_vec();
    let mut scores = Vec::new();
    for (name, range) in targets(bytes) {
        let (mut caught, mut planted, mut misses) = (0, 0, Vec::new());
        for at in range.clone().filter(|at| !overwritten(*at)) {
            let bits = if all { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                copy[at] ^= 1 << bit;
                planted += 1;
                if super::facts(request, &copy) == honest {
                    misses.push(format!("{:#x}.{bit}", at - range.start));
                } else {
                    caught += 1;
                }
                copy[at] ^= 1 << bit;
            }
        }
        scores.push((name, caught, planted, misses));
    }
    scores
}

/// The score: how many of the one-bit faults in loaded bytes change the facts. What is left is padding,
/// spare room in hash tables, and fields that no loader reads.
#[test]
fn planted_faults_are_seen() {
    for mode in [Mode::Shared, Mode::Pie] {
        let Some(request) = request(mode, &["--hash-style=gnu"]) else { return skip() };
        let Some((name, bytes)) = link(&request).into_iter().find(|(name, _)| name == "lld") else {
            return skip();
        };
        let (mut caught, mut planted) = (0, 0);
        for (section, c, p, misses) in plant(&request, &bytes, false) {
            eprintln!("{mode} {name} {section}: {c} of {p}");
            caught += c;
            planted += p;
            let least = match &*section {
                ".text" | ".data" | ".data.rel.ro" | ".init_array" | ".fini_array" | ".tdata" => {
                    100
                }
                ".rela.dyn" | ".rela.plt" => 95,
                _ => 0,
            };
            // Padding between input sections is nobody's.
            assert!(c * 100 >= p * (least - least / 10), "{section}: {misses:?}");
        }
        eprintln!("{mode} {name}: {caught} of {planted} faults seen");
        assert!(caught * 100 >= planted * 75, "{caught} of {planted}");
    }
}

/// Cutting a module off, or overwriting any 8 bytes of its head, must not make the reader fall over.
#[test]
fn damage_is_survived() {
    let Some(request) = request(Mode::Shared, &[]) else { return skip() };
    for (_, bytes) in link(&request).into_iter().take(2) {
        for len in (0..bytes.len()).step_by(97) {
            super::facts(&request, &bytes[..len]);
        }
        for at in (0..0x400.min(bytes.len() - 8)).step_by(2) {
            let mut copy = bytes.clone();
            copy[at..at + 8].fill(0xff);
            super::facts(&request, &copy);
            copy[at..at + 8].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            super::facts(&request, &copy);
        }
    }
}

fn skip() {
    let hint = "skipped: needs `as`, `ld` and `ld.lld` (apt-get install binutils lld)";
    assert!(std::env::var_os("SCOLD_REQUIRE").is_none(), "{hint}");
    eprintln!("{hint}");
}
