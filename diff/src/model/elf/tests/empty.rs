//! Sections without bytes, and what has their address.

use super::{assemble, desugar, file, link, skip};
use crate::model::{Family, Key, Value};
use crate::{Facts, Mode, Request, Target};

/// As a compiler's start-up objects have it: a table that is empty, begun by one and ended by the other.
const BEGIN: &str = "
 .section .table,\"aw\",@progbits
 .section .data.d,\"aw\",@progbits
 .long 7
 .bss
 .byte 0
 .text
 .globl f
f: movl $0x12345678, %eax
 leaq .table(%rip), %rdi
 leaq table_end(%rip), %rsi
 leaq .bss(%rip), %rdx
 ret
 .hidden table_end
";

const END: &str = "
 .section .table,\"aw\",@progbits
 .globl table_end
 .hidden table_end
table_end:
";

fn ask(facts: &Facts, offset: u64) -> String {
    let key = Key::new(Family::Site, format!("a.o:.text+{offset:#x}"));
    facts.get(&key).map_or_else(String::new, Value::to_string)
}

#[test]
fn an_empty_section_is_itself_whatever_has_its_address() {
    let (Some(a), Some(b)) = (assemble(BEGIN), assemble(END)) else { return skip() };
    for more in [&[][..], &["-s"]] {
        let mut args: Vec<String> = vec!["a.o".into(), "b.o".into()];
        args.extend(more.iter().map(|arg: &&str| (*arg).to_owned()));
        let files = vec![file("a.o", a.clone()), file("b.o", b.clone())];
        let (target, mode) = (Target::AMD64_ELF, Mode::Shared);
        let request = Request { target, mode, args, files, goos: None };
        for (name, mut bytes) in link(&request) {
            let facts = super::super::facts(&request, &bytes);
            assert_eq!(ask(&facts, 8), "a.o:.table+0x0", "{name}: {facts}");
            assert_eq!(ask(&facts, 15), "b.o:.table+0x0", "{name}: {facts}");
            // The table is not empty if its bounds are apart.
            let code = memchr::memmem::find(&bytes, b"\xb8\x78\x56\x34\x12").unwrap();
            let field = u32::from_le_bytes(bytes[code + 8..code + 12].try_into().unwrap());
            bytes[code + 8..code + 12].copy_from_slice(&(field - 16).to_le_bytes());
            let facts = super::super::facts(&request, &bytes);
            let (start, end) = (ask(&facts, 8), ask(&facts, 15));
            let right = (start.as_str(), end.as_str()) == ("a.o:.table+0x0", "b.o:.table+0x0");
            assert!(!right, "{name}: {start} {end}");
        }
    }
}

/// A block that only a local symbol names, and its bounds.
const BLOCK: &str = "
 .local started
 .comm started,4,4
 .section .refs,\"aw\",@progbits
 .globl tab
tab: .quad runtime.bss, runtime.ebss
 .text
 .globl f
f: lea started(%rip), %rax
 ret
";

/// Without local symbols nothing says where the block is: that is no reason to take its bounds for wrong.
#[test]
fn bounds_of_what_has_no_known_place_are_open() {
    let Some(bytes) = assemble(BLOCK) else { return skip() };
    for strip in ["-s", "-S", "-x"] {
        let args = vec!["a.o".into(), strip.into()];
        let files = vec![file("a.o", bytes.clone())];
        let (target, mode) = (Target::AMD64_ELF, Mode::CShared);
        let request = desugar(Request { target, mode, args, files, goos: None });
        for (name, bytes) in link(&request) {
            let facts = super::super::facts(&request, &bytes).to_string();
            assert!(facts.contains("= linker runtime.ebss"), "{name} {strip}: {facts}");
            assert!(!facts.contains("bad:"), "{name} {strip}: {facts}");
        }
    }
}

/// Bounds of types, asked for by one object and met by another without any symbol.
const ASKS: &str = "
 .section .refs,\"aw\",@progbits
 .globl tab
tab: .quad runtime.types, runtime.etypes
";
const HAS: &str = "
 .section .data.rel.ro.go.type,\"aw\",@progbits
 .quad 1
";
const BOTH: &str = "
 .section .go.type,\"a\",@progbits
 .globl g1
g1: .quad 1
 .section .data.rel.ro.go.type,\"aw\",@progbits
 .globl g2
g2: .quad 2
";

/// What stands in for a section has its bounds, also where its object has no symbol table; the section itself, if it is
/// there.
#[test]
fn bounds_are_the_sections_own_or_of_what_stands_in() {
    let Some(asks) = assemble(ASKS) else { return skip() };
    for body in [HAS, BOTH] {
        let Some(body) = assemble(body) else { return skip() };
        let args = vec!["a.o".into(), "b.o".into()];
        let files = vec![file("a.o", asks.clone()), file("b.o", body)];
        let (target, mode) = (Target::AMD64_ELF, Mode::Plugin);
        let request = desugar(Request { target, mode, args, files, goos: None });
        for (name, bytes) in link(&request) {
            let facts = super::super::facts(&request, &bytes).to_string();
            for bound in ["types", "etypes"] {
                assert!(facts.contains(&format!("= linker runtime.{bound}")), "{name}: {facts}");
            }
            assert!(!facts.contains("bad:"), "{name}: {facts}");
        }
    }
}
