//! Outputs that differ, and mean the same.

use super::{assemble, file, link, skip, versioned};
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

/// A variable under two versions.
const OLD_AND_NEW: &str = "
 .data
 .balign 8
 .globl v_old, v_new
 .type v_old,@object
 .type v_new,@object
 .size v_old,8
 .size v_new,8
v_old:
v_new: .quad 7
 .symver v_old,v@V1
 .symver v_new,v@@V2
";

/// Which copies the older one.
const COPIES: &str = "
 .section .text.f,\"ax\",@progbits
 mark 1
 .symver old,v@V1
 .globl _start
_start: lea old(%rip), %rax
 ret
";

/// lld exports the copy under each version that it has in the library: whichever the tables of names find is the same.
#[test]
fn a_copy_under_two_versions_is_found_by_either() {
    let Some(library) = versioned(OLD_AND_NEW, "V1 { }; V2 { } V1;") else { return skip() };
    let files =
        vec![file("a.o", assemble(COPIES).expect("an assembler")), file("libx.so", library)];
    let args = ["a.o", "libx.so", "--hash-style=both"].map(str::to_owned).into();
    let request = Request { target: Target::AMD64_ELF, mode: Mode::Exe, args, files, goos: None };
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes).to_string();
        let lookups: Vec<_> = facts.lines().filter(|line| line.starts_with("lookup.v")).collect();
        let good = lookups.iter().all(|line| !line.contains("bad"));
        assert!(!lookups.is_empty() && good, "{name}: {facts}");
    }
}

/// Code without a marker, known by its name only, which an init entry holds.
const RESOLVER: &str = "
 .text
 .globl chosen
 .type chosen,@gnu_indirect_function
chosen: ret
 .section .init_array,\"aw\",@init_array
 .quad chosen
";

/// lld makes an IFUNC whose address is taken a function: its name is the PLT entry's then, and the code is behind that.
#[test]
fn an_ifunc_that_became_a_function_still_names_its_section() {
    let Some(bytes) = assemble(RESOLVER) else { return skip() };
    let (target, args) = (Target::AMD64_ELF, vec!["a.o".into(), "-Bsymbolic".into()]);
    let files = vec![file("a.o", bytes)];
    let request = Request { target, mode: Mode::Shared, args, files, goos: None };
    for (name, bytes) in link(&request) {
        let facts = super::super::facts(&request, &bytes).to_string();
        for wanted in ["init.0 = ifunc a.o:.text+0x0", "export.chosen = Ifunc Global size=0 ifunc"]
        {
            assert!(facts.contains(wanted), "{name}: {facts}");
        }
    }
}
