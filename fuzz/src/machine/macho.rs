//! What Mach-O has otherwise than ELF: its own relocations.
//!
//! A relocation says its length and whether it is relative beside its type, so a type can have several rows:
//! [`number`] packs the three. The addend is in the field, or on arm64 in an ARM64_RELOC_ADDEND that the
//! emitter puts before it; a case has it in the relocation that it is for. A difference is two relocations at
//! one place, the SUBTRACTOR first.

pub mod amd64;
pub mod arm64;

use scold_diff::request::Arch;

use super::{Row, Rows};

/// Every machine that Mach-O is generated for.
pub static MACHINES: &[&Machine] = &[&amd64::MACHINE, &arm64::MACHINE];

/// The machine of an architecture; callers ask for targets that have a name only.
pub fn of(arch: Arch) -> &'static Machine {
    MACHINES.iter().copied().find(|machine| machine.arch == arch).unwrap_or(MACHINES[0])
}

/// A machine, as Mach-O has it.
pub struct Machine {
    /// Which it is.
    pub arch: Arch,
    /// Its relocations, by [`number`].
    pub rows: &'static [Row],
    /// The relocation of a word of data: `S + A`.
    pub pointer: u32,
    /// What stands before one that is subtracted from, for 4 and 8 bytes.
    pub minus: [u32; 2],
    /// Bytes before and after the place that a linker may rewrite, by [`number`].
    pub rewritable: fn(u32) -> (u64, u64),
    /// UNWIND_*_MODE_DWARF.
    pub dwarf: u32,
}

impl Machine {
    /// The row of a relocation, by [`number`].
    pub fn row(&self, number: u32) -> Option<&'static Row> {
        Rows(self.rows).row(number)
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.arch)
    }
}

/// r_type, r_pcrel and r_length of a relocation as [`crate::case::Reloc::r_type`] has them.
pub const fn number(r_type: u32, pcrel: bool, length: u32) -> u32 {
    r_type << 4 | (pcrel as u32) << 2 | length
}

/// And back: r_type (4 bits), r_pcrel, r_length (2 bits).
pub const fn parts(number: u32) -> (u32, bool, u32) {
    (number >> 4 & 15, number & 4 != 0, number & 3)
}

/// A machine's table: constants and the names that texts have, r_type, r_pcrel, log2 of the bytes.
macro_rules! rows {
    ($(#[$doc:meta])* $table:ident:
     $($name:ident $text:literal = ($type:literal, $pcrel:literal, $length:literal), $form:ident, $field:expr, $check:expr $(, $rare:ident)?;)*) => {
        $(#[doc = concat!("`", $text, "`")]
        pub const $name: u32 = $crate::machine::macho::number($type, $pcrel, $length);)*
        $(#[$doc])*
        pub const $table: &[$crate::machine::Row] = &[$($crate::machine::Row {
            number: $name,
            name: $text,
            form: $crate::machine::Form::$form,
            field: $field,
            check: $check,
            rare: false $(|| rows!(@ $rare))?,
        }),*];
    };
    (@ rare) => { true };
}
use rows;
