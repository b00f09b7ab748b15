//! What is particular to a machine: one [`Machine`] each, of relocation rows, code and small facts.
//!
//! A machine comes in as one file in `machine/` and one line in [`MACHINES`]; text form, emitters,
//! generators, expectations and the reducer ask the row. [`Machine`] is a machine as ELF has it; what Mach-O
//! has otherwise, its relocations before all, is in [`macho`]. [`rows()`] serves whoever asks no more. The rows are the judge's own reading of the
//! psABIs; this must not know the linker's rows, nor what any linker makes of a case.

pub mod amd64;
pub mod announce;
pub mod arm;
pub mod arm64;
pub mod code;
pub mod macho;
mod rows;

use scold_diff::request::{Arch, Format, Target};

pub use code::{Code, Needs, Piece, Sequence, Who};
pub use rows::{Check, Field, Form, Range, Row, Rows};

/// Every machine, one line each.
pub static MACHINES: &[&Machine] = &[&amd64::MACHINE, &arm64::MACHINE, &arm::MACHINE];

/// The relocation types of a target.
pub fn rows(target: Target) -> Rows {
    match target.format {
        Format::Elf => Rows(of(target.arch).rows),
        Format::Macho => Rows(macho::of(target.arch).rows),
    }
}

/// The machine of an architecture. Those without a row yet are served by the first, whose relocations
/// they then don't know: callers ask for targets of [`scold_diff::Target::ALL`] only.
pub fn of(arch: Arch) -> &'static Machine {
    MACHINES.iter().copied().find(|machine| machine.arch == arch).unwrap_or(MACHINES[0])
}

/// Whether a relocation is the first of two at one place, of which none means anything without the other.
pub fn leads(target: Target, number: u32) -> bool {
    let row = rows(target).row(number);
    row.is_some_and(|row| matches!(row.form, Form::Minus | Form::Addend))
}

/// The relocation type with this psABI name, whatever its machine.
pub fn number(name: &str) -> Option<u32> {
    let elf = MACHINES.iter().flat_map(|machine| machine.rows);
    let macho = macho::MACHINES.iter().flat_map(|machine| machine.rows);
    elf.chain(macho).find(|row| row.name == name).map(|row| row.number)
}

/// A machine, as ELF has it.
pub struct Machine {
    /// Which it is.
    pub arch: Arch,
    /// Its relocation types, by number.
    pub rows: &'static [Row],
    /// Bytes of an address.
    pub word: u8,
    /// Relocations carry their addends; without it the field does.
    pub rela: bool,
    /// The relocation of a word of data: `S + A`.
    pub pointer: u32,
    /// The relocation that compilers give init entries, which is the same or as good.
    pub init: u32,
    /// The relocation of a 32-bit distance in data: `S + A - P`.
    pub distance: u32,
    /// How many bytes behind a general or local dynamic TLS relocation that of its call may be.
    pub tls_call: u64,
    /// A distance to a weak name that nobody has is 0: the place itself, and a call of it does nothing.
    pub null_is_here: bool,
    /// Bit 0 of a function's address is the state of its code.
    pub interworks: bool,
    /// Bytes between the thread pointer and the program's TLS block behind it (variant I); with none the
    /// block ends at the thread pointer (variant II).
    pub tcb: Option<u64>,
    /// Types of words of data that refer; likelier ones stand more than once.
    pub words: &'static [u32],
    /// More of them, which some linkers don't know.
    pub rare_words: &'static [u32],
    /// Narrow fields of data: bytes, the type of a distance, the type of a number.
    pub narrow: &'static [(u8, u32, u32)],
    /// The type that makes the GOT's address in data.
    pub got_base: u32,
    /// What the sweep tries, each with values around the limits of its first field.
    pub sweep: &'static [Piece],
    /// Instructions.
    pub code: Code,
    /// Of a CIE: code and data alignment factor, return address register, as LEB128 bytes.
    pub factors: &'static [u8],
    /// Of a CIE: the instructions that hold at a function's start.
    pub frame: &'static [u8],
    /// The platform's loader: its soname, and the version of `__tls_get_addr`.
    pub loader: (&'static str, &'static str),
    /// Bytes before and after the place that a linker may rewrite, given the section's input bytes
    /// (marker included) and the place's offset in them.
    pub rewritable: fn(u32, &[u8], u64) -> (u64, u64),
    /// Whether the sequence at a TLS relocation is one that some linkers don't know.
    pub rare_sequence: fn(u32, &[u8], u64) -> bool,
}

impl Machine {
    /// The row of a relocation type.
    pub fn row(&self, number: u32) -> Option<&'static Row> {
        Rows(self.rows).row(number)
    }

    /// A sum as the machine computes it: what doesn't fit an address is gone, the highest bit is the sign.
    pub fn sum(&self, value: u64) -> u64 {
        let unused = 64 - 8 * u32::from(self.word);
        ((value << unused) as i64 >> unused) as u64
    }

    /// So much of a value as an address has.
    pub fn address(&self, value: u64) -> u64 {
        value & u64::MAX >> (64 - 8 * u32::from(self.word))
    }

    /// The row of a relocation type that objects may carry.
    pub fn input_row(&self, number: u32) -> Option<&'static Row> {
        self.row(number).filter(|row| row.form != Form::Loader)
    }

    /// Whether the field is a word of data that holds a whole address.
    pub fn is_word(&self, row: &Row) -> bool {
        row.field == rows::data(self.word)
    }

    /// The psABI's name of a relocation type.
    pub fn name(&self, number: u32) -> Option<&'static str> {
        self.row(number).map(|row| row.name)
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.arch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_found_by_number_and_name() {
        for &target in Target::NAMED {
            let rows = rows(target);
            assert!(rows.0.is_sorted_by(|a, b| a.number < b.number), "{target}");
            for row in rows.0 {
                assert_eq!(rows.row(row.number), Some(row));
                assert_eq!(number(row.name), Some(row.number));
            }
            assert_eq!(rows.row(u32::MAX), None);
        }
        for machine in MACHINES {
            assert!(machine.row(machine.pointer).is_some_and(|row| row.form == Form::Absolute));
            assert!(machine.row(machine.distance).is_some_and(|row| row.form == Form::Relative));
        }
    }

    #[test]
    fn fields_lie_in_the_code_and_are_zero() {
        for machine in MACHINES {
            let code = &machine.code;
            let sequences = code.sequences.iter().chain(code.rare);
            let parts = sequences.flat_map(|it| it.parts.iter().map(|p| (it.bytes, p.0, p.1)));
            let pieces = [&code.take, &code.got, &code.call, &code.tls_initial, &code.tls_local];
            let pieces = pieces.into_iter().chain([&code.absolute]).chain(machine.sweep);
            let fields = pieces.flat_map(|it| it.fields.iter().map(|f| (it.bytes, f.0, f.1)));
            for (bytes, at, kind) in parts.chain(fields) {
                let row = machine.row(kind).unwrap();
                let field = &bytes[usize::from(at)..][..usize::from(row.field.width)];
                let value = field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                assert_eq!(value & row.field.mask, 0, "{} {bytes:02x?}", row.name);
            }
        }
    }
}
