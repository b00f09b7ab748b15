//! Sections that nothing but a name of their file, or nothing at all, tells.

use super::{assemble, file, link, skip};
use crate::desugar::{self, desugar};
use crate::model::{Family, Key, Meaning, Value};
use crate::{Facts, Mode, Request, Target};

/// Counts in a variable of its own, which nobody else can name.
fn counter(number: u8) -> String {
    format!(
        " .file \"c{number}.c\"
 .text
 .globl count{number}
 .type count{number},@function
count{number}: incl n(%rip)
 movl $0x1234567{number}, %eax
 movl $0x89abcde{number}, %ecx
 movl n(%rip), %eax
 ret
 .local n
 .comm n,4,4
"
    )
}

fn counters(more: &[&str]) -> Option<Request> {
    let files = vec![file("c1.o", assemble(&counter(1))?), file("c2.o", assemble(&counter(2))?)];
    let mut args: Vec<String> = vec!["c1.o".into(), "c2.o".into()];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    Some(Request { target: Target::AMD64_ELF, mode: Mode::Shared, args, files, goos: None })
}

fn site<'f>(facts: &'f Facts, place: &str) -> Option<&'f Value> {
    facts.get(&Key::new(Family::Site, place))
}

/// Two files have a local variable of one name; their sections have no bytes.
#[test]
fn a_name_of_two_files_is_told_by_the_file() {
    let Some(request) = counters(&[]) else { return skip() };
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes);
        for number in 1..=2 {
            let found = site(&facts, &format!("c{number}.o:.text+0x2"));
            let Some(Value::Ref(Meaning::Place(place))) = found else {
                panic!("{name}: {found:?}")
            };
            assert_eq!(place.to_string(), format!("c{number}.o:.bss+0x0"), "{name}");
        }
    }
}

/// Without names nobody can tell whether it is right; that it is in no other section is still known.
#[test]
fn what_a_stripped_output_has_is_not_judged() {
    let Some(request) = counters(&["-s"]) else { return skip() };
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes);
        let found = site(&facts, "c1.o:.text+0x2");
        assert_eq!(found, Some(&Value::Ref(Meaning::Lost)), "{name}");
    }
}

/// Module data, its marker first, and nothing else.
const MODULE: &str = "
 .section .data.m,\"aw\",@progbits
 mark 1
 .globl local.moduledata
 .hidden local.moduledata
 .type local.moduledata,@object
local.moduledata: .quad 7
";

/// The function that a plugin gets is looked into though no name tells where it is.
#[test]
fn the_announcer_is_found_without_a_name() {
    let Some(bytes) = assemble(MODULE) else { return skip() };
    let args = vec!["a.o".into(), "-s".into()];
    let files = vec![file("a.o", bytes)];
    let target = Target::AMD64_ELF;
    let request = desugar(Request { target, mode: Mode::Plugin, args, files, goos: None });
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes).to_string();
        let entry = format!("init.0 = {}:.text+0x0", desugar::OBJECT);
        assert!(facts.contains(&entry), "{name}: {facts}");
        let data = format!("site.{}:.text+0x3 = a.o:.data.m+0x10", desugar::OBJECT);
        assert!(facts.contains(&data), "{name}: {facts}");
    }
}

/// Three words that GNU ld's hash table has, too; data that is there twice, and code of no bytes to speak of.
const AMBIGUOUS: &str = "
 .section .noptrdata,\"aw\",@progbits
 .long 1,2,3
 .section .data.one,\"aw\",@progbits
 .ascii \"what is there twice\"
 .section .data.two,\"aw\",@progbits
 .ascii \"what is there twice\"
 .section .text.tiny,\"ax\"
 nop
 .text
 .globl f
f: ret
";

/// What bytes don't tell is not judged: it is in the output, or may be. What has bytes of its own, or a name, and is
/// not there is gone.
#[test]
fn what_bytes_do_not_tell_is_not_judged() {
    let Some(bytes) = assemble(AMBIGUOUS) else { return skip() };
    let files = vec![file("a.o", bytes)];
    let args = vec!["a.o".into(), "--hash-style=sysv".into()];
    let (target, mode) = (Target::AMD64_ELF, Mode::Shared);
    let request = Request { target, mode, args, files, goos: None };
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes);
        let perm = |section: &str| {
            let value = facts.get(&Key::new(Family::Perm, format!("a.o:{section}")));
            value.map_or("absent".to_owned(), Value::to_string)
        };
        assert_eq!(perm(".noptrdata"), "rw", "{name}: {facts}");
        for section in [".data.one", ".data.two"] {
            assert!(["rw", "lost"].contains(&&*perm(section)), "{name}: {facts}");
        }
        assert!(["rx", "lost"].contains(&&*perm(".text.tiny")), "{name}: {facts}");
        let mut gone = bytes.clone();
        let at = memchr::memmem::find_iter(&bytes, b"\x01\0\0\0\x02\0\0\0\x03\0\0\0")
            .collect::<Vec<_>>();
        at.iter().for_each(|at| gone[*at] = 7);
        let facts = super::super::facts(&request, &gone).to_string();
        assert!(!facts.contains("a.o:.noptrdata"), "{name}: {facts}");
    }
}
