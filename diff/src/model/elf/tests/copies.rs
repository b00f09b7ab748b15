//! COMDAT groups of two files: whichever copy is found, it is the first.

use std::sync::Arc;

use super::{assemble, file, link, skip};
use crate::{Facts, Mode, Request, Target};

/// A function that two files have in a group, its body and what is beside it.
fn unit(before: &str, flags: &str, body: &str) -> String {
    format!(
        "
 .text
 {before}
 .section .text.x,\"axG\",@progbits,x,comdat
 .weak x
 {flags}
 .type x,@function
x: .cfi_startproc
 {body}
 .cfi_endproc
 .text
"
    )
}

const BODY: &str = "movl $0x12345678, %eax
 movl $0x9abcdef0, %ecx
 leaq (%rax,%rcx,4), %rdx
 ret";

fn request(files: &[(&str, Arc<[u8]>)], more: &[&str]) -> Request {
    let mut args: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    let files = files.iter().map(|(name, bytes)| file(name, bytes.clone())).collect();
    Request { target: Target::AMD64_ELF, mode: Mode::Shared, args, files, goos: None }
}

fn about(facts: &Facts, part: &str) -> Vec<String> {
    let lines = facts.iter().map(|(key, value)| format!("{key} = {value}"));
    lines.filter(|line| line.contains(part)).collect()
}

#[test]
fn the_first_copy_speaks_for_all() {
    for (flags, more, short) in [
        ("", &["--eh-frame-hdr"][..], false),
        (".hidden x", &["--eh-frame-hdr"], false),
        (".hidden x", &["-s", "--eh-frame-hdr"], false),
        ("", &["--eh-frame-hdr"], true),
    ] {
        let body = if short { "ret" } else { BODY };
        let one = unit(".globl f\nf: ret\n nop", flags, body);
        let two = unit(".globl g\ng: nop\n nop\n nop\n nop\n ret", flags, body);
        let (Some(one), Some(two)) = (assemble(&one), assemble(&two)) else { return skip() };
        let request = request(&[("a.o", one), ("b.o", two)], more);
        let mut first: Option<(String, Vec<String>)> = None;
        for (name, bytes) in link(&request) {
            let facts = super::super::facts(&request, &bytes);
            assert_eq!(about(&facts, "b.o:.text.x"), [""; 0], "{name} {more:?}: {facts}");
            let own = about(&facts, "a.o:.text.x");
            let count = 3 + usize::from(flags.is_empty()) * 2;
            assert_eq!(own.len(), count, "{name} {more:?}: {facts}");
            let (other, wanted) = first.get_or_insert_with(|| (name.clone(), own.clone()));
            assert_eq!(*wanted, own, "{other} and {name}");
        }
    }
}

/// An output that has the later of two different copies has that.
#[test]
fn a_copy_that_only_a_later_one_can_be_is_that() {
    let one = unit(".globl f\nf: ret", "", BODY);
    let two = unit(".globl g\ng: ret", "", "nop\n nop\n ret");
    let (Some(one), Some(two)) = (assemble(&one), assemble(&two)) else { return skip() };
    let swapped = request(&[("b.o", two.clone()), ("a.o", one.clone())], &[]);
    let request = request(&[("a.o", one), ("b.o", two)], &[]);
    for (name, bytes) in link(&swapped) {
        let facts = super::super::facts(&request, &bytes);
        assert!(about(&facts, "perm.a.o:.text.x").is_empty(), "{name}: {facts}");
        assert!(!about(&facts, "perm.b.o:.text.x").is_empty(), "{name}: {facts}");
    }
}

/// Local functions of equal bytes, some of whose names nobody keeps, don't get each other's places.
#[test]
fn equal_bytes_are_not_one_place() {
    let function = |name: &str| format!(" .section .text.{name},\"ax\"\n{name}:\n {BODY}\n");
    let body = [".Lone", "two", ".Lthree"].map(function).concat();
    let calls = " .text\n .globl f\nf: call .Lone\n call two\n call .Lthree\n ret\n";
    let Some(bytes) = assemble(&format!("{body}{calls}")) else { return skip() };
    let request = request(&[("a.o", bytes)], &[]);
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes);
        for (at, name_of) in [(1, ".Lone"), (6, "two"), (11, ".Lthree")] {
            let line = about(&facts, &format!("site.a.o:.text+{at:#x} "));
            let right = format!("site.a.o:.text+{at:#x} = a.o:.text.{name_of}+0x0");
            let lost = format!("site.a.o:.text+{at:#x} = lost");
            assert!(line == [&*right] || line == [&*lost], "{name}: {line:?}\n{facts}");
        }
    }
}
