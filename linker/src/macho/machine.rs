//! Machines as Mach-O sees them: relocation numbers, stubs and encodings as rows and a few functions.
//! The rows are made of the same letters and fields as ELF's. No other module of this format asks
//! which machine it is. Must not know of files, symbols or layout.

pub mod amd64;
pub mod arm64;

use crate::arch::{Field, Row};

/// What one machine adds to a link.
#[derive(Debug)]
pub struct Machine {
    /// What `-arch` calls it.
    pub name: &'static str,
    /// CPU_TYPE_*.
    pub cpu: u32,
    /// CPU_SUBTYPE_*.
    pub subtype: u32,
    /// Those of the same CPU_TYPE_* whose objects don't go together with its own, each with its name.
    pub strangers: &'static [(u32, &'static str)],
    /// Bytes of a page.
    pub page: u64,
    /// Relocations by number.
    pub rows: &'static [Option<Row>],
    /// The number of the plain address.
    pub unsigned: u8,
    /// The number of what is subtracted from the address that follows.
    pub subtractor: u8,
    /// The number of an addend for the relocation that follows.
    pub addend: Option<u8>,
    /// What to add to a field's value: where the program counter is counted from.
    pub bias: fn(u8) -> i64,
    /// Whether what is in the field is part of the addend.
    pub embeds: fn(u8) -> bool,
    /// The addend in an instruction, as objects had it before there was a relocation for it; none
    /// of relocations that have no addend.
    pub legacy: fn(u8, u32) -> Option<i64>,
    /// Whether an instruction with a slot's offset loads from it; none of other relocations.
    pub slot_load: fn(u8, u32) -> Option<bool>,
    /// Whether an instruction that refers to a slot has bits in its field: nothing is added to slots.
    pub slot_bits: fn(u8, u32) -> bool,
    /// The field of `row` in an instruction; data has that of the row.
    pub field: fn(&Row, u32) -> Field,
    /// Whether the load at an offset of some code can become the address itself.
    pub can_relax: fn(u8, &[u8], usize) -> bool,
    /// Rewrites that load.
    pub relax: fn(u8, &mut [u8], usize),
    /// Bytes of a stub, and its code: the address it jumps to is in a slot.
    pub stub_size: u64,
    /// Writes the stub at an address for a slot; whether the slot is in reach.
    pub stub: fn(&mut [u8], u64, u64) -> bool,
    /// The code that binds on the first call.
    pub helper: Helper,
    /// How far a branch reaches, and the code that goes further.
    pub thunk: Option<Thunk>,
    /// What a compact unwind entry says when the DWARF record is to be used.
    pub unwind_dwarf: u32,
    /// The smallest macOS whose programs have chained fixups by default.
    pub chained_programs: u32,
    /// Pointers that chains can't hold make the fixups classic, unless told otherwise.
    pub classic_if_unaligned: bool,
    /// Signed even if nobody asks.
    pub always_signed: bool,
    /// No program is bound to the place it is linked to.
    pub always_slides: bool,
}

/// Lazy binding.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Helper {
    pub header_size: u64,
    /// Buffer, its address, `__dyld_private`, the slot of `dyld_stub_binder`.
    pub header: fn(&mut [u8], u64, u64, u64) -> bool,
    pub entry_size: u64,
    /// Buffer, its address, the header's address, offset of the lazy bind.
    pub entry: fn(&mut [u8], u64, u64, u32) -> bool,
}

/// Branches out of reach.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Thunk {
    pub size: u64,
    pub reach: u64,
    /// The relocation that a thunk serves.
    pub kind: u8,
    /// Buffer, its address, the target.
    pub write: fn(&mut [u8], u64, u64) -> bool,
}

/// All machines.
pub const MACHINES: &[&Machine] = &[&amd64::AMD64, &arm64::ARM64];

impl Machine {
    /// The row of a relocation.
    pub fn row(&self, kind: u8) -> Option<&'static Row> {
        self.rows.get(usize::from(kind))?.as_ref()
    }

    /// The machine that `-arch` calls `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        MACHINES.iter().copied().find(|machine| machine.name == name)
    }

    /// The name of `subtype`, whose objects this machine's don't go together with.
    pub fn stranger(&self, subtype: u32) -> Option<&'static str> {
        self.strangers.iter().find(|other| other.0 == subtype).map(|other| other.1)
    }

    /// The machine of a file.
    pub fn of(cpu: u32) -> Option<&'static Self> {
        MACHINES.iter().copied().find(|machine| machine.cpu == cpu)
    }
}
