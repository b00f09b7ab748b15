//! What stands for the address of an IFUNC.

use super::{assemble, file, link, skip};
use crate::{Mode, Request, Target};

/// A library takes the address of an IFUNC that it exports.
const LIBRARY: &str = "
 .section .text.f,\"ax\",@progbits
 mark 1
 .globl chosen
 .type chosen,@gnu_indirect_function
chosen: lea 0(%rip), %rax
 ret
 .globl f
f: lea chosen(%rip), %rax
 ret
";

/// Found in the library itself, its name in the slot of a PLT entry is as good as R_X86_64_IRELATIVE.
#[test]
fn a_plt_entry_of_a_name_that_is_bound_here_stands_for_it() {
    let Some(bytes) = assemble(LIBRARY) else { return skip() };
    let (target, args) = (Target::AMD64_ELF, vec!["a.o".into(), "-Bsymbolic".into()]);
    let files = vec![file("a.o", bytes)];
    let request = Request { target, mode: Mode::Shared, args, files, goos: None };
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes).to_string();
        let wanted = "site.a.o:.text.f+0x1b = ifunc a.o:.text.f+0x10";
        assert!(facts.contains(wanted), "{name}: {facts}");
    }
}
