//! Case → bytes for Mach-O: objects, archives with `__.SYMDEF`, dylibs, a stub of libSystem, ld64's arguments.
//!
//! Everything is written directly, because assemblers fold what linkers must decide. Nothing here must know
//! how a link ends, or which linker performs it.

mod archive;
pub(super) mod layout;
mod library;
mod link;
mod object;
mod pieces;
mod relocs;
mod symbols;
#[cfg(test)]
mod tests;

pub(crate) use layout::align;
pub use library::install_name;
pub use link::{SYSTEM, request};
pub use object::object;
pub use relocs::can_have;

use scold_diff::Arch;

/// CPU_TYPE_* and CPU_SUBTYPE_* of a machine.
fn cpu(arch: Arch) -> (u32, u32) {
    match arch {
        Arch::Amd64 => (0x0100_0007, 3),
        Arch::Arm64 => (0x0100_000c, 0),
        // ARM_V7; nothing is generated for it.
        Arch::Arm => (12, 9),
    }
}
