//! Code sequences of x86-64: one row for each way to refer to a symbol.
//!
//! Each leaves its result in `rax`. Spec: x86-64 psABI §4.4, appendix B; ELF TLS ABI §4.3.6.

use super::*;
use crate::config::Config;
use crate::machine::code::{Code, Sequence, datum, piece, sequence};

/// What x86-64 code is made of.
pub(super) const CODE: Code = Code {
    sequences: SEQUENCES,
    rare: APX,
    align: 1,
    nop: &[0x90],
    ret: &[0xc3],
    // mov $60, %eax; xor %edi, %edi; syscall
    exit: &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05],
    returns,
    state: |_| 0,
    resolver,
    // lea -7(%rip), %rax; ret
    own_resolver: &[0x48, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff, 0xc3],
    // lea S(%rip), %rax
    take: piece(&[0x48, 0x8d, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_PC32, -4)]),
    // mov S@gotpcrel(%rip), %rax
    got: piece(&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_REX_GOTPCRELX, -4)]),
    // call S@plt
    call: piece(&[0xe8, 0, 0, 0, 0], &[(1, R_X86_64_PLT32, -4)]),
    // mov $S, %rax
    absolute: piece(&[0x48, 0xc7, 0xc0, 0, 0, 0, 0], &[(3, R_X86_64_32S, 0)]),
    // mov S@gottpoff(%rip), %rax
    tls_initial: piece(&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_GOTTPOFF, -4)]),
    // mov $S@tpoff, %rax
    tls_local: piece(&[0x48, 0xc7, 0xc0, 0, 0, 0, 0], &[(3, R_X86_64_TPOFF32, 0)]),
};

/// `movabs $number, %rax; ret`
fn returns(number: u64) -> Vec<u8> {
    let mut code = vec![0x48, 0xb8];
    code.extend_from_slice(&number.to_le_bytes());
    code.push(0xc3);
    code
}

/// `lea 1f(%rip), %rax; ret; 1:` and a function that returns the number.
fn resolver(number: u64) -> Vec<u8> {
    let mut bytes = vec![0x48, 0x8d, 0x05, 1, 0, 0, 0, 0xc3];
    bytes.extend_from_slice(&returns(number));
    bytes
}

/// What the sweep tries.
#[rustfmt::skip]
pub(super) const SWEEP: &[Piece] = &[
    datum(&[0; 8], &[(0, R_X86_64_64, 0)]),
    datum(&[0; 4], &[(0, R_X86_64_32, 0)]),
    datum(&[0; 4], &[(0, R_X86_64_32S, 0)]),
    datum(&[0; 2], &[(0, R_X86_64_16, 0)]),
    datum(&[0; 1], &[(0, R_X86_64_8, 0)]),
    piece(&[0x48, 0x8d, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_PC32, 0)]),
    piece(&[0xe8, 0, 0, 0, 0], &[(1, R_X86_64_PLT32, 0)]),
    datum(&[0; 2], &[(0, R_X86_64_PC16, 0)]),
    datum(&[0; 1], &[(0, R_X86_64_PC8, 0)]),
    datum(&[0; 8], &[(0, R_X86_64_PC64, 0)]),
    // mov x@gotpcrel(%rip), %rax; mov …, %r15; cmp; add …, %rcx; test
    piece(&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_REX_GOTPCRELX, -4)]),
    piece(&[0x4c, 0x8b, 0x3d, 0, 0, 0, 0], &[(3, R_X86_64_REX_GOTPCRELX, -4)]),
    piece(&[0x48, 0x3b, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_REX_GOTPCRELX, -4)]),
    piece(&[0x48, 0x03, 0x0d, 0, 0, 0, 0], &[(3, R_X86_64_REX_GOTPCRELX, -4)]),
    piece(&[0x48, 0x85, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_REX_GOTPCRELX, -4)]),
    // mov …, %eax; cmp …, %eax; call *; jmp *
    piece(&[0x8b, 0x05, 0, 0, 0, 0], &[(2, R_X86_64_GOTPCRELX, -4)]),
    piece(&[0x3b, 0x05, 0, 0, 0, 0], &[(2, R_X86_64_GOTPCRELX, -4)]),
    piece(&[0xff, 0x15, 0, 0, 0, 0], &[(2, R_X86_64_GOTPCRELX, -4)]),
    piece(&[0xff, 0x25, 0, 0, 0, 0], &[(2, R_X86_64_GOTPCRELX, -4)]),
    // The form that must be left alone, and push.
    piece(&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_GOTPCREL, -4)]),
    piece(&[0xff, 0x35, 0, 0, 0, 0], &[(2, R_X86_64_GOTPCREL, -4)]),
    datum(&[0; 4], &[(0, R_X86_64_SIZE32, 0)]),
    datum(&[0; 8], &[(0, R_X86_64_SIZE64, 0)]),
    // mov $x@tpoff, %rax; R_X86_64_TPOFF64 and DTPOFF64 are words of data.
    piece(&[0x48, 0xc7, 0xc0, 0, 0, 0, 0], &[(3, R_X86_64_TPOFF32, 0)]),
    piece(&[0x48, 0xc7, 0xc0, 0, 0, 0, 0], &[(3, R_X86_64_DTPOFF32, 0)]),
    datum(&[0; 8], &[(0, R_X86_64_TPOFF64, 0)]),
    datum(&[0; 8], &[(0, R_X86_64_DTPOFF64, 0)]),
    piece(&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[(3, R_X86_64_GOTTPOFF, -4)]),
    piece(&[0x4c, 0x03, 0x3d, 0, 0, 0, 0], &[(3, R_X86_64_GOTTPOFF, -4)]),
];

fn always(_: &Config) -> bool {
    true
}

/// Sequences in instructions of Intel APX (REX2 and EVEX prefixes): nothing here runs them.
#[rustfmt::skip]
const APX: &[Sequence] = &[
    // mov, add, cmp S@GOTPCREL(%rip), %r31; test; mov to %r16 and (with a needless REX2) %r8
    sequence!(|c| c.got, Any, [0xd5 0x4c 0x8b 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Any, [0xd5 0x4c 0x03 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Any, [0xd5 0x4c 0x3b 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Any, [0xd5 0x48 0x85 0x25 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Any, [0xd5 0x48 0x8b 0x05 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Any, [0xd5 0x0c 0x8b 0x05 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    // mov, add S@GOTTPOFF(%rip), %r31; %r16
    sequence!(|c| c.tls_ie, Tls, [0xd5 0x4c 0x8b 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0xd5 0x4c 0x03 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0xd5 0x48 0x8b 0x05 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTTPOFF, -4, Target)),
    // {nf} add S@GOTTPOFF(%rip), %r31; %r16; add S@GOTTPOFF(%rip), %r31, %r8; %r15, %r31; %rcx, %rdx
    sequence!(|c| c.tls_ie, Tls, [0x62 0x64 0xfc 0x0c 0x03 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0x62 0xe4 0xfc 0x0c 0x03 0x05 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0x62 0x64 0xbc 0x18 0x03 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0x62 0x74 0x84 0x10 0x03 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0x62 0xf4 0xec 0x18 0x03 0x0d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    // add %r31, S@GOTTPOFF(%rip), %r17
    sequence!(|c| c.tls_ie, Tls, [0x62 0x64 0xf4 0x10 0x01 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    // lea S@TLSDESC(%rip), %r31; mov %r31, %rax; call *S@TLSCALL(%rax); and %r16
    sequence!(|c| c.tls_desc, Tls, [0xd5 0x4c 0x8d 0x3d 0 0 0 0 0xd5 0x4c 0x89 0xf8 0xff 0x10 0xc3], (4, R_X86_64_CODE_4_GOTPC32_TLSDESC, -4, Target) (12, R_X86_64_TLSDESC_CALL, 0, Target)),
    sequence!(|c| c.tls_desc, Tls, [0xd5 0x48 0x8d 0x05 0 0 0 0 0xd5 0x48 0x89 0xc0 0xff 0x10 0xc3], (4, R_X86_64_CODE_4_GOTPC32_TLSDESC, -4, Target) (12, R_X86_64_TLSDESC_CALL, 0, Target)),
];

#[rustfmt::skip]
const SEQUENCES: &[Sequence] = &[
    // lea S(%rip), %rax; and through %r10
    sequence!(always, Near, [0x48 0x8d 0x05 0 0 0 0 0xc3], (3, R_X86_64_PC32, -4, Target)),
    sequence!(always, Near, [0x4c 0x8d 0x15 0 0 0 0 0x4c 0x89 0xd0 0xc3], (3, R_X86_64_PC32, -4, Target)),
    // call S@PLT; jmp S@PLT; je S@PLT
    sequence!(always, Function, [0x48 0x83 0xec 8 0xe8 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (5, R_X86_64_PLT32, -4, Target)),
    sequence!(always, Function, [0xe9 0 0 0 0], (1, R_X86_64_PLT32, -4, Target)),
    sequence!(always, Function, [0x31 0xc0 0x0f 0x84 0 0 0 0], (4, R_X86_64_PLT32, -4, Target)),
    // mov S@GOTPCREL(%rip), %rax; %r8; %eax
    sequence!(|c| c.got, Any, [0x48 0x8b 0x05 0 0 0 0 0xc3], (3, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Any, [0x4c 0x8b 0x05 0 0 0 0 0x4c 0x89 0xc0 0xc3], (3, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Any, [0x48 0x8b 0x05 0 0 0 0 0xc3], (3, R_X86_64_GOTPCREL, -4, Target)),
    sequence!(|c| c.got, Any, [0x8b 0x05 0 0 0 0 0xc3], (2, R_X86_64_GOTPCRELX, -4, Target)),
    // call *S@GOTPCREL(%rip); jmp *S@GOTPCREL(%rip)
    sequence!(|c| c.got, Pointer, [0x48 0x83 0xec 8 0xff 0x15 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (6, R_X86_64_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got, Pointer, [0xff 0x25 0 0 0 0], (2, R_X86_64_GOTPCRELX, -4, Target)),
    // push S@GOTPCREL(%rip); pop %rax
    sequence!(|c| c.got, Any, [0xff 0x35 0 0 0 0 0x58 0xc3], (2, R_X86_64_GOTPCREL, -4, Target)),
    // xor %eax, %eax; OP S@GOTPCREL(%rip), %rax; neg %rax where it is taken away: less than nothing is no address
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x03 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x0b 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x13 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x1b 0x05 0 0 0 0 0x48 0xf7 0xd8 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x2b 0x05 0 0 0 0 0x48 0xf7 0xd8 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x33 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x23 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    // xor %r9d, %r9d; add S@GOTPCREL(%rip), %r9; mov %r9, %rax
    sequence!(|c| c.got_arithmetic, Any, [0x45 0x31 0xc9 0x4c 0x03 0x0d 0 0 0 0 0x4c 0x89 0xc8 0xc3], (6, R_X86_64_REX_GOTPCRELX, -4, Target)),
    // xor %eax, %eax; cmp S@GOTPCREL(%rip), %rax; sete %al; and test
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x3b 0x05 0 0 0 0 0x0f 0x94 0xc0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x85 0x05 0 0 0 0 0x0f 0x94 0xc0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    // cmpq $0, S@GOTPCREL(%rip); setne %al: the field is not at the instruction's end
    sequence!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x83 0x3d 0 0 0 0 0 0x0f 0x95 0xc0 0xc3], (5, R_X86_64_GOTPCREL, -5, Target)),
    // movabs $S, %rax; mov $S, %eax; mov $S, %rax; lea S, %rax
    sequence!(|c| c.absolute_code, Address, [0x48 0xb8 0 0 0 0 0 0 0 0 0xc3], (2, R_X86_64_64, 0, Target)),
    sequence!(|c| c.absolute_code, LowAddress, [0xb8 0 0 0 0 0xc3], (1, R_X86_64_32, 0, Target)),
    sequence!(|c| c.absolute_code, LowAddress, [0x48 0xc7 0xc0 0 0 0 0 0xc3], (3, R_X86_64_32S, 0, Target)),
    sequence!(|c| c.absolute_code, LowAddress, [0x48 0x8d 0x04 0x25 0 0 0 0 0xc3], (4, R_X86_64_32S, 0, Target)),
    // lea _GLOBAL_OFFSET_TABLE_(%rip), %rcx; movabs $S@GOTOFF, %rax; add %rcx, %rax
    sequence!(|c| c.large, Placed, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (9, R_X86_64_GOTOFF64, 0, Target)),
    // …; movabs $S@GOT, %rax; mov (%rcx,%rax), %rax
    sequence!(|c| c.large, Any, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (9, R_X86_64_GOT64, 0, Target)),
    // …; movabs $S@PLTOFF, %rax; add %rcx, %rax; call *%rax
    sequence!(|c| c.large, Function, [0x48 0x83 0xec 8 0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xff 0xd0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32, -4, Got) (13, R_X86_64_PLTOFF64, 0, Target)),
    // lea 0(%rip), %rcx; movabs $S@GOTPCREL, %rax; mov (%rcx,%rax), %rax
    sequence!(|c| c.large, Any, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (9, R_X86_64_GOTPCREL64, 2, Target)),
    // lea 0(%rip), %rcx; movabs $S - 0b, %rax; add %rcx, %rax
    sequence!(|c| c.large, Near, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (9, R_X86_64_PC64, 2, Target)),
    sequence!(|c| c.large, Nothing, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (9, R_X86_64_GOTPC64, 2, Got)),
    // …; mov $S@GOT, %rax; mov (%rcx,%rax), %rax; and movabs $S@GOTPLT, %rax
    sequence!(|c| c.large, Any, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xc7 0xc0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (10, R_X86_64_GOT32, 0, Target)),
    sequence!(|c| c.large, Pointer, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (9, R_X86_64_GOTPLT64, 0, Target)),
    // xor %eax, %eax; jmp 1f; nop; 1: ret, and je
    sequence!(|c| c.narrow, Nothing, [0x31 0xc0 0xeb 0 0x90 0xc3], (3, R_X86_64_PC8, 4, Here)),
    sequence!(|c| c.narrow, Nothing, [0x31 0xc0 0x74 0 0x90 0xc3], (3, R_X86_64_PC8, 4, Here)),
    // mov $S@SIZE, %eax; movabs $S@SIZE, %rax
    sequence!(|c| c.size, Sized, [0xb8 0 0 0 0 0xc3], (1, R_X86_64_SIZE32, 0, Target)),
    sequence!(|c| c.size, Sized, [0x48 0xb8 0 0 0 0 0 0 0 0 0xc3], (2, R_X86_64_SIZE64, 0, Target)),
    // General dynamic, called through the PLT and through the GOT
    sequence!(|c| c.tls_gd, Tls, [0x48 0x83 0xec 8 0x66 0x48 0x8d 0x3d 0 0 0 0 0x66 0x66 0x48 0xe8 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (8, R_X86_64_TLSGD, -4, Target) (16, R_X86_64_PLT32, -4, TlsGetAddr)),
    sequence!(|c| c.tls_gd, Tls, [0x48 0x83 0xec 8 0x66 0x48 0x8d 0x3d 0 0 0 0 0x66 0x48 0xff 0x15 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (8, R_X86_64_TLSGD, -4, Target) (16, R_X86_64_GOTPCRELX, -4, TlsGetAddr)),
    // …; of the large model: push %rbx; lea _GLOBAL_OFFSET_TABLE_(%rip), %rbx; lea S@TLSGD(%rip), %rdi;
    // movabs $__tls_get_addr@PLTOFF, %rax; add %rbx, %rax; call *%rax; pop %rbx
    sequence!(|c| c.tls_large, Tls, [0x53 0x48 0x8d 0x1d 0 0 0 0 0x48 0x8d 0x3d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xd8 0xff 0xd0 0x5b 0xc3], (4, R_X86_64_GOTPC32, -4, Got) (11, R_X86_64_TLSGD, -4, Target) (17, R_X86_64_PLTOFF64, 0, TlsGetAddr)),
    sequence!(|c| c.tls_large, NearTls, [0x53 0x48 0x8d 0x1d 0 0 0 0 0x48 0x8d 0x3d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xd8 0xff 0xd0 0x48 0x8d 0x80 0 0 0 0 0x5b 0xc3], (4, R_X86_64_GOTPC32, -4, Got) (11, R_X86_64_TLSLD, -4, Target) (17, R_X86_64_PLTOFF64, 0, TlsGetAddr) (33, R_X86_64_DTPOFF32, 0, Target)),
    // Local dynamic: lea S@TLSLD(%rip), %rdi; call; lea S@DTPOFF(%rax), %rax
    sequence!(|c| c.tls_ld, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x3d 0 0 0 0 0xe8 0 0 0 0 0x48 0x8d 0x80 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_TLSLD, -4, Target) (12, R_X86_64_PLT32, -4, TlsGetAddr) (19, R_X86_64_DTPOFF32, 0, Target)),
    sequence!(|c| c.tls_ld, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x3d 0 0 0 0 0xff 0x15 0 0 0 0 0x48 0x8d 0x80 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_TLSLD, -4, Target) (13, R_X86_64_GOTPCRELX, -4, TlsGetAddr) (20, R_X86_64_DTPOFF32, 0, Target)),
    // Initial exec: mov S@GOTTPOFF(%rip), %rax; add %fs:0, %rax; and the other way round; in %r11
    sequence!(|c| c.tls_ie, Tls, [0x48 0x8b 0x05 0 0 0 0 0x64 0x48 0x03 0x04 0x25 0 0 0 0 0xc3], (3, R_X86_64_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x48 0x03 0x05 0 0 0 0 0xc3], (12, R_X86_64_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0x4c 0x8b 0x1d 0 0 0 0 0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x4c 0x01 0xd8 0xc3], (3, R_X86_64_GOTTPOFF, -4, Target)),
    sequence!(|c| c.tls_ie, Tls, [0x64 0x4c 0x8b 0x24 0x25 0 0 0 0 0x4c 0x03 0x25 0 0 0 0 0x4c 0x89 0xe0 0xc3], (12, R_X86_64_GOTTPOFF, -4, Target)),
    // Local exec: mov %fs:0, %rax; lea S@TPOFF(%rax), %rax; add $S@TPOFF, %rax; movabs
    sequence!(|c| c.tls_le, ExeTls, [0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x48 0x8d 0x80 0 0 0 0 0xc3], (12, R_X86_64_TPOFF32, 0, Target)),
    sequence!(|c| c.tls_le, ExeTls, [0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x48 0x05 0 0 0 0 0xc3], (11, R_X86_64_TPOFF32, 0, Target)),
    sequence!(|c| c.tls_le, ExeTls, [0x64 0x48 0x8b 0x0c 0x25 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (11, R_X86_64_TPOFF64, 0, Target)),
    // Descriptor: lea S@TLSDESC(%rip), %rax; call *S@TLSCALL(%rax); add %fs:0, %rax
    sequence!(|c| c.tls_desc, Tls, [0x48 0x83 0xec 8 0x48 0x8d 0x05 0 0 0 0 0xff 0x10 0x64 0x48 0x03 0x04 0x25 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32_TLSDESC, -4, Target) (11, R_X86_64_TLSDESC_CALL, 0, Target)),
    // The module's descriptor: lea _TLS_MODULE_BASE_@TLSDESC(%rip), %rax; call *…@TLSCALL(%rax);
    // lea S@DTPOFF(%rax), %rax; add %fs:0, %rax (gcc -mtls-dialect=gnu2); and in %rcx
    sequence!(|c| c.tls_desc, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x05 0 0 0 0 0xff 0x10 0x48 0x8d 0x80 0 0 0 0 0x64 0x48 0x03 0x04 0x25 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32_TLSDESC, -4, ModuleBase) (11, R_X86_64_TLSDESC_CALL, 0, ModuleBase) (16, R_X86_64_DTPOFF32, 0, Target)),
    sequence!(|c| c.tls_desc, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x05 0 0 0 0 0xff 0x10 0x48 0x8d 0x88 0 0 0 0 0x64 0x48 0x03 0x0c 0x25 0 0 0 0 0x48 0x89 0xc8 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32_TLSDESC, -4, ModuleBase) (11, R_X86_64_TLSDESC_CALL, 0, ModuleBase) (16, R_X86_64_DTPOFF32, 0, Target)),
];
