//! Code forms: one row for each instruction sequence that refers to a symbol, as compilers write it,
//! so that every optional relaxation of the psABI has its chance.
//!
//! Each is a whole function body that leaves something in `rax`: an address, a number, or what the
//! called function returned. Spec: x86-64 psABI §4.4, appendix B; ELF TLS ABI §4.3.6.

use crate::config::Config;
use crate::relocs::*;

/// Who a field of a form refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// The form's target.
    Target,
    /// `_GLOBAL_OFFSET_TABLE_`.
    Got,
    /// `__tls_get_addr`.
    TlsGetAddr,
    /// `_TLS_MODULE_BASE_`, which linkers define.
    ModuleBase,
    /// The function itself: the addend counts from its start.
    Here,
}

/// Which targets a form can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Needs {
    /// Anything but TLS.
    Any,
    /// At a fixed distance: not preemptible, not absolute.
    Near,
    /// At a fixed distance and no import, copy or IFUNC.
    Placed,
    /// A function; the form calls it.
    Function,
    /// A function; the form calls it and allows an import.
    Pointer,
    /// An address known at link time, in an executable.
    Address,
    /// The same, in 31 bits.
    LowAddress,
    /// A symbol with a size, of this module.
    Sized,
    /// A TLS variable.
    Tls,
    /// A TLS variable that can't be preempted.
    NearTls,
    /// A TLS variable of the executable.
    ExeTls,
    /// Nothing.
    Nothing,
}

/// A field of a form: offset in its bytes, type, addend, whose.
pub(super) type Field = (u8, u32, i8, Who);

/// One code form.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) bytes: &'static [u8],
    pub(super) fields: &'static [Field],
    pub(super) needs: Needs,
    /// The knob that allows it.
    pub(super) on: fn(&Config) -> bool,
}

macro_rules! form {
    ($on:expr, $needs:ident, [$($byte:literal)*], $(($at:literal, $kind:ident, $addend:literal, $who:ident))*) => {
        Form {
            bytes: &[$($byte),*],
            fields: &[$(($at, $kind, $addend, Who::$who)),*],
            needs: Needs::$needs,
            on: $on,
        }
    };
}

fn always(_: &Config) -> bool {
    true
}

/// Forms in instructions of Intel APX (REX2 and EVEX prefixes): nothing here runs them.
#[rustfmt::skip]
pub(super) const APX: &[Form] = &[
    // mov, add, cmp S@GOTPCREL(%rip), %r31; test; mov to %r16 and (with a needless REX2) %r8
    form!(|c| c.got, Any, [0xd5 0x4c 0x8b 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Any, [0xd5 0x4c 0x03 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Any, [0xd5 0x4c 0x3b 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Any, [0xd5 0x48 0x85 0x25 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Any, [0xd5 0x48 0x8b 0x05 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Any, [0xd5 0x0c 0x8b 0x05 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTPCRELX, -4, Target)),
    // mov, add S@GOTTPOFF(%rip), %r31; %r16
    form!(|c| c.tls_ie, Tls, [0xd5 0x4c 0x8b 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0xd5 0x4c 0x03 0x3d 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0xd5 0x48 0x8b 0x05 0 0 0 0 0xc3], (4, R_X86_64_CODE_4_GOTTPOFF, -4, Target)),
    // {nf} add S@GOTTPOFF(%rip), %r31; %r16; add S@GOTTPOFF(%rip), %r31, %r8; %r15, %r31; %rcx, %rdx
    form!(|c| c.tls_ie, Tls, [0x62 0x64 0xfc 0x0c 0x03 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0x62 0xe4 0xfc 0x0c 0x03 0x05 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0x62 0x64 0xbc 0x18 0x03 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0x62 0x74 0x84 0x10 0x03 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0x62 0xf4 0xec 0x18 0x03 0x0d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    // add %r31, S@GOTTPOFF(%rip), %r17
    form!(|c| c.tls_ie, Tls, [0x62 0x64 0xf4 0x10 0x01 0x3d 0 0 0 0 0xc3], (6, R_X86_64_CODE_6_GOTTPOFF, -4, Target)),
    // lea S@TLSDESC(%rip), %r31; mov %r31, %rax; call *S@TLSCALL(%rax); and %r16
    form!(|c| c.tls_desc, Tls, [0xd5 0x4c 0x8d 0x3d 0 0 0 0 0xd5 0x4c 0x89 0xf8 0xff 0x10 0xc3], (4, R_X86_64_CODE_4_GOTPC32_TLSDESC, -4, Target) (12, R_X86_64_TLSDESC_CALL, 0, Target)),
    form!(|c| c.tls_desc, Tls, [0xd5 0x48 0x8d 0x05 0 0 0 0 0xd5 0x48 0x89 0xc0 0xff 0x10 0xc3], (4, R_X86_64_CODE_4_GOTPC32_TLSDESC, -4, Target) (12, R_X86_64_TLSDESC_CALL, 0, Target)),
];

#[rustfmt::skip]
pub(super) const FORMS: &[Form] = &[
    // lea S(%rip), %rax; and through %r10
    form!(always, Near, [0x48 0x8d 0x05 0 0 0 0 0xc3], (3, R_X86_64_PC32, -4, Target)),
    form!(always, Near, [0x4c 0x8d 0x15 0 0 0 0 0x4c 0x89 0xd0 0xc3], (3, R_X86_64_PC32, -4, Target)),
    // call S@PLT; jmp S@PLT; je S@PLT
    form!(always, Function, [0x48 0x83 0xec 8 0xe8 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (5, R_X86_64_PLT32, -4, Target)),
    form!(always, Function, [0xe9 0 0 0 0], (1, R_X86_64_PLT32, -4, Target)),
    form!(always, Function, [0x31 0xc0 0x0f 0x84 0 0 0 0], (4, R_X86_64_PLT32, -4, Target)),
    // mov S@GOTPCREL(%rip), %rax; %r8; %eax
    form!(|c| c.got, Any, [0x48 0x8b 0x05 0 0 0 0 0xc3], (3, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Any, [0x4c 0x8b 0x05 0 0 0 0 0x4c 0x89 0xc0 0xc3], (3, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Any, [0x48 0x8b 0x05 0 0 0 0 0xc3], (3, R_X86_64_GOTPCREL, -4, Target)),
    form!(|c| c.got, Any, [0x8b 0x05 0 0 0 0 0xc3], (2, R_X86_64_GOTPCRELX, -4, Target)),
    // call *S@GOTPCREL(%rip); jmp *S@GOTPCREL(%rip)
    form!(|c| c.got, Pointer, [0x48 0x83 0xec 8 0xff 0x15 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (6, R_X86_64_GOTPCRELX, -4, Target)),
    form!(|c| c.got, Pointer, [0xff 0x25 0 0 0 0], (2, R_X86_64_GOTPCRELX, -4, Target)),
    // push S@GOTPCREL(%rip); pop %rax
    form!(|c| c.got, Any, [0xff 0x35 0 0 0 0 0x58 0xc3], (2, R_X86_64_GOTPCREL, -4, Target)),
    // xor %eax, %eax; OP S@GOTPCREL(%rip), %rax
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x03 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x0b 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x13 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x1b 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x2b 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x33 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x23 0x05 0 0 0 0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    // xor %r9d, %r9d; add S@GOTPCREL(%rip), %r9; mov %r9, %rax
    form!(|c| c.got_arithmetic, Any, [0x45 0x31 0xc9 0x4c 0x03 0x0d 0 0 0 0 0x4c 0x89 0xc8 0xc3], (6, R_X86_64_REX_GOTPCRELX, -4, Target)),
    // xor %eax, %eax; cmp S@GOTPCREL(%rip), %rax; sete %al; and test
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x3b 0x05 0 0 0 0 0x0f 0x94 0xc0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x85 0x05 0 0 0 0 0x0f 0x94 0xc0 0xc3], (5, R_X86_64_REX_GOTPCRELX, -4, Target)),
    // cmpq $0, S@GOTPCREL(%rip); setne %al: the field is not at the instruction's end
    form!(|c| c.got_arithmetic, Any, [0x31 0xc0 0x48 0x83 0x3d 0 0 0 0 0 0x0f 0x95 0xc0 0xc3], (5, R_X86_64_GOTPCREL, -5, Target)),
    // movabs $S, %rax; mov $S, %eax; mov $S, %rax; lea S, %rax
    form!(|c| c.absolute_code, Address, [0x48 0xb8 0 0 0 0 0 0 0 0 0xc3], (2, R_X86_64_64, 0, Target)),
    form!(|c| c.absolute_code, LowAddress, [0xb8 0 0 0 0 0xc3], (1, R_X86_64_32, 0, Target)),
    form!(|c| c.absolute_code, LowAddress, [0x48 0xc7 0xc0 0 0 0 0 0xc3], (3, R_X86_64_32S, 0, Target)),
    form!(|c| c.absolute_code, LowAddress, [0x48 0x8d 0x04 0x25 0 0 0 0 0xc3], (4, R_X86_64_32S, 0, Target)),
    // lea _GLOBAL_OFFSET_TABLE_(%rip), %rcx; movabs $S@GOTOFF, %rax; add %rcx, %rax
    form!(|c| c.large, Placed, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (9, R_X86_64_GOTOFF64, 0, Target)),
    // …; movabs $S@GOT, %rax; mov (%rcx,%rax), %rax
    form!(|c| c.large, Any, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (9, R_X86_64_GOT64, 0, Target)),
    // …; movabs $S@PLTOFF, %rax; add %rcx, %rax; call *%rax
    form!(|c| c.large, Function, [0x48 0x83 0xec 8 0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xff 0xd0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32, -4, Got) (13, R_X86_64_PLTOFF64, 0, Target)),
    // lea 0(%rip), %rcx; movabs $S@GOTPCREL, %rax; mov (%rcx,%rax), %rax
    form!(|c| c.large, Any, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (9, R_X86_64_GOTPCREL64, 2, Target)),
    // lea 0(%rip), %rcx; movabs $S - 0b, %rax; add %rcx, %rax
    form!(|c| c.large, Near, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (9, R_X86_64_PC64, 2, Target)),
    form!(|c| c.large, Nothing, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (9, R_X86_64_GOTPC64, 2, Got)),
    // …; mov $S@GOT, %rax; mov (%rcx,%rax), %rax; and movabs $S@GOTPLT, %rax
    form!(|c| c.large, Any, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xc7 0xc0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (10, R_X86_64_GOT32, 0, Target)),
    form!(|c| c.large, Pointer, [0x48 0x8d 0x0d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x8b 0x04 0x01 0xc3], (3, R_X86_64_GOTPC32, -4, Got) (9, R_X86_64_GOTPLT64, 0, Target)),
    // xor %eax, %eax; jmp 1f; nop; 1: ret, and je
    form!(|c| c.narrow, Nothing, [0x31 0xc0 0xeb 0 0x90 0xc3], (3, R_X86_64_PC8, 4, Here)),
    form!(|c| c.narrow, Nothing, [0x31 0xc0 0x74 0 0x90 0xc3], (3, R_X86_64_PC8, 4, Here)),
    // mov $S@SIZE, %eax; movabs $S@SIZE, %rax
    form!(|c| c.size, Sized, [0xb8 0 0 0 0 0xc3], (1, R_X86_64_SIZE32, 0, Target)),
    form!(|c| c.size, Sized, [0x48 0xb8 0 0 0 0 0 0 0 0 0xc3], (2, R_X86_64_SIZE64, 0, Target)),
    // General dynamic, called through the PLT and through the GOT
    form!(|c| c.tls_gd, Tls, [0x48 0x83 0xec 8 0x66 0x48 0x8d 0x3d 0 0 0 0 0x66 0x66 0x48 0xe8 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (8, R_X86_64_TLSGD, -4, Target) (16, R_X86_64_PLT32, -4, TlsGetAddr)),
    form!(|c| c.tls_gd, Tls, [0x48 0x83 0xec 8 0x66 0x48 0x8d 0x3d 0 0 0 0 0x66 0x48 0xff 0x15 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (8, R_X86_64_TLSGD, -4, Target) (16, R_X86_64_GOTPCRELX, -4, TlsGetAddr)),
    // …; of the large model: push %rbx; lea _GLOBAL_OFFSET_TABLE_(%rip), %rbx; lea S@TLSGD(%rip), %rdi;
    // movabs $__tls_get_addr@PLTOFF, %rax; add %rbx, %rax; call *%rax; pop %rbx
    form!(|c| c.tls_large, Tls, [0x53 0x48 0x8d 0x1d 0 0 0 0 0x48 0x8d 0x3d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xd8 0xff 0xd0 0x5b 0xc3], (4, R_X86_64_GOTPC32, -4, Got) (11, R_X86_64_TLSGD, -4, Target) (17, R_X86_64_PLTOFF64, 0, TlsGetAddr)),
    form!(|c| c.tls_large, NearTls, [0x53 0x48 0x8d 0x1d 0 0 0 0 0x48 0x8d 0x3d 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xd8 0xff 0xd0 0x48 0x8d 0x80 0 0 0 0 0x5b 0xc3], (4, R_X86_64_GOTPC32, -4, Got) (11, R_X86_64_TLSLD, -4, Target) (17, R_X86_64_PLTOFF64, 0, TlsGetAddr) (33, R_X86_64_DTPOFF32, 0, Target)),
    // Local dynamic: lea S@TLSLD(%rip), %rdi; call; lea S@DTPOFF(%rax), %rax
    form!(|c| c.tls_ld, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x3d 0 0 0 0 0xe8 0 0 0 0 0x48 0x8d 0x80 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_TLSLD, -4, Target) (12, R_X86_64_PLT32, -4, TlsGetAddr) (19, R_X86_64_DTPOFF32, 0, Target)),
    form!(|c| c.tls_ld, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x3d 0 0 0 0 0xff 0x15 0 0 0 0 0x48 0x8d 0x80 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_TLSLD, -4, Target) (13, R_X86_64_GOTPCRELX, -4, TlsGetAddr) (20, R_X86_64_DTPOFF32, 0, Target)),
    // Initial exec: mov S@GOTTPOFF(%rip), %rax; add %fs:0, %rax; and the other way round; in %r11
    form!(|c| c.tls_ie, Tls, [0x48 0x8b 0x05 0 0 0 0 0x64 0x48 0x03 0x04 0x25 0 0 0 0 0xc3], (3, R_X86_64_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x48 0x03 0x05 0 0 0 0 0xc3], (12, R_X86_64_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0x4c 0x8b 0x1d 0 0 0 0 0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x4c 0x01 0xd8 0xc3], (3, R_X86_64_GOTTPOFF, -4, Target)),
    form!(|c| c.tls_ie, Tls, [0x64 0x4c 0x8b 0x24 0x25 0 0 0 0 0x4c 0x03 0x25 0 0 0 0 0x4c 0x89 0xe0 0xc3], (12, R_X86_64_GOTTPOFF, -4, Target)),
    // Local exec: mov %fs:0, %rax; lea S@TPOFF(%rax), %rax; add $S@TPOFF, %rax; movabs
    form!(|c| c.tls_le, ExeTls, [0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x48 0x8d 0x80 0 0 0 0 0xc3], (12, R_X86_64_TPOFF32, 0, Target)),
    form!(|c| c.tls_le, ExeTls, [0x64 0x48 0x8b 0x04 0x25 0 0 0 0 0x48 0x05 0 0 0 0 0xc3], (11, R_X86_64_TPOFF32, 0, Target)),
    form!(|c| c.tls_le, ExeTls, [0x64 0x48 0x8b 0x0c 0x25 0 0 0 0 0x48 0xb8 0 0 0 0 0 0 0 0 0x48 0x01 0xc8 0xc3], (11, R_X86_64_TPOFF64, 0, Target)),
    // Descriptor: lea S@TLSDESC(%rip), %rax; call *S@TLSCALL(%rax); add %fs:0, %rax
    form!(|c| c.tls_desc, Tls, [0x48 0x83 0xec 8 0x48 0x8d 0x05 0 0 0 0 0xff 0x10 0x64 0x48 0x03 0x04 0x25 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32_TLSDESC, -4, Target) (11, R_X86_64_TLSDESC_CALL, 0, Target)),
    // The module's descriptor: lea _TLS_MODULE_BASE_@TLSDESC(%rip), %rax; call *…@TLSCALL(%rax);
    // lea S@DTPOFF(%rax), %rax; add %fs:0, %rax (gcc -mtls-dialect=gnu2); and in %rcx
    form!(|c| c.tls_desc, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x05 0 0 0 0 0xff 0x10 0x48 0x8d 0x80 0 0 0 0 0x64 0x48 0x03 0x04 0x25 0 0 0 0 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32_TLSDESC, -4, ModuleBase) (11, R_X86_64_TLSDESC_CALL, 0, ModuleBase) (16, R_X86_64_DTPOFF32, 0, Target)),
    form!(|c| c.tls_desc, NearTls, [0x48 0x83 0xec 8 0x48 0x8d 0x05 0 0 0 0 0xff 0x10 0x48 0x8d 0x88 0 0 0 0 0x64 0x48 0x03 0x0c 0x25 0 0 0 0 0x48 0x89 0xc8 0x48 0x83 0xc4 8 0xc3], (7, R_X86_64_GOTPC32_TLSDESC, -4, ModuleBase) (11, R_X86_64_TLSDESC_CALL, 0, ModuleBase) (16, R_X86_64_DTPOFF32, 0, Target)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relocs::AMD64;

    #[test]
    fn fields_lie_in_the_code_and_are_zero() {
        for form in FORMS.iter().chain(APX) {
            for (at, kind, _, _) in form.fields {
                let width = AMD64.iter().find(|row| row.number == *kind).unwrap().width;
                let field = &form.bytes[usize::from(*at)..][..usize::from(width)];
                assert!(field.iter().all(|byte| *byte == 0), "{form:?}");
            }
        }
    }
}
