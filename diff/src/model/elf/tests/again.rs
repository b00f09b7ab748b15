//! An object that is given twice is two.

use super::{assemble, file, link, skip};
use crate::desugar::desugar;
use crate::{Mode, Request, Target};

/// A word that refers to the end of code, which must not be the first of two.
const ASKS: &str = "
 .section .tab,\"aw\",@progbits
 mark 1
 .quad runtime.etext
";

/// Code of bytes that are anybody's.
const CODE: &str = "
 .text
 .globl h
h: .rept 40
 nop
 .endr
 ret
";

/// The bounds of a section have both in them, whatever order they come in, also if an archive is all linked twice.
#[test]
fn bounds_have_both_between() {
    let (Some(asks), Some(code)) = (assemble(ASKS), assemble(CODE)) else { return skip() };
    let files = vec![file("asks.o", asks), file("code.o", code)];
    for args in [
        &["asks.o", "code.o", "code.o"][..],
        &["code.o", "asks.o", "code.o"],
        &["code.o", "--start-lib", "asks.o", "--end-lib", "code.o", "-u", "tab", "code.o"],
    ] {
        let args = args.iter().copied().chain(["-z", "muldefs"]).map(str::to_owned).collect();
        let (target, files) = (Target::AMD64_ELF, files.clone());
        let request = Request { target, mode: Mode::Plugin, args, files, goos: None };
        let request = desugar(request);
        for (name, bytes) in link(&request) {
            let facts = super::super::facts(&request, &bytes).to_string();
            assert!(!facts.contains("not where"), "{name}: {facts}");
        }
    }
}

/// What is in a section that is not loaded is nowhere, so no table of names can be wrong about it.
#[test]
fn what_is_not_loaded_is_not_exported() {
    let text =
        " .section .foo,\"\",@progbits\n .globl x\nx: .quad 0\n .data\n .globl y\ny: .quad 7\n";
    let Some(bytes) = assemble(text) else { return skip() };
    let (target, args) = (Target::AMD64_ELF, vec!["a.o".into()]);
    let files = vec![file("a.o", bytes)];
    let request = Request { target, mode: Mode::Shared, args, files, goos: None };
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes).to_string();
        assert!(facts.contains("export.y = "), "{name}: {facts}");
        assert!(!facts.contains("export.x") && !facts.contains("lookup.x"), "{name}: {facts}");
    }
}
