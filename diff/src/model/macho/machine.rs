//! What is particular to a machine: its relocation types, its stubs, how instructions hold addresses.
//!
//! A machine comes in as one file beside this one and one line in [`MACHINES`]; everybody else asks the row. It
//! must not know places: addresses in, addresses out.

use super::image::File;
use crate::Arch;

/// Every machine that the judge can read, one line each.
static MACHINES: &[&Machine] = &[&super::amd64::MACHINE, &super::arm64::MACHINE];

/// The machine with this cputype in the header.
pub(super) fn of_header(cputype: u32) -> Option<&'static Machine> {
    MACHINES.iter().copied().find(|machine| machine.cputype == cputype)
}

/// The machine of `arch`, if it is one of Mach-O's.
pub(crate) fn of(arch: Arch) -> Option<&'static Machine> {
    MACHINES.iter().copied().find(|machine| machine.arch == arch)
}

/// An entry of an object's relocation table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RawReloc {
    /// In its section.
    pub(super) offset: u64,
    /// r_symbolnum.
    pub(super) symbol: u32,
    pub(super) pcrel: bool,
    /// Bytes: r_length as a power of two.
    pub(super) size: u8,
    pub(super) external: bool,
    pub(super) r_type: u8,
}

/// What a relocation's field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// An address or a difference of two.
    Pointer,
    /// The distance to an address.
    Relative,
    /// The distance to code: any way there will do.
    Branch,
    /// The distance to a slot with the address, or to the address if the instruction was rewritten.
    GotLoad,
    /// The distance to a slot with the address.
    Got,
    /// As [`Form::GotLoad`], of a thread-local variable's descriptor.
    Tlv,
}

/// Which part of an address an instruction holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// All that there is.
    Whole,
    /// The page, 4 KiB.
    Page,
    /// The rest.
    Low,
}

/// A relocation type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// Its name in `mach-o/*/reloc.h`.
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) part: Part,
    /// How many bytes of an immediate are behind the field.
    pub(super) behind: u8,
}

/// A field in the output, and beside it what the input has there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'s> {
    pub(super) row: Row,
    /// Bytes of the field.
    pub(super) size: u8,
    /// The atom's bytes in the object and in the output.
    pub(super) input: &'s [u8],
    pub(super) output: &'s [u8],
    /// The field's offset in both.
    pub(super) at: usize,
    /// Its address.
    pub(super) place: u64,
}

/// An instruction that a hint names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// In the object.
    pub(super) from: u32,
    /// In the output.
    pub(super) to: u32,
    /// Its address.
    pub(super) place: u64,
}

/// The address that instructions make, and whether it is that of a slot.
pub(super) type Made = Result<(u64, bool), &'static str>;

/// What an instruction says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// An address, and whether it is that of a slot.
    Whole(u64, bool),
    /// A page, for an instruction that adds the rest.
    Page(u64),
    /// The rest, and whether it is that of a slot.
    Low(u64, bool),
    /// It does nothing: its mate says all.
    Nothing,
}

/// Where a piece of code at an address that no input has goes on to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To what a slot holds.
    Slot(u64),
    /// To an address.
    Address(u64),
}

/// A machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) arch: Arch,
    /// CPU_TYPE_*, in the header.
    pub(crate) cputype: u32,
    /// Bytes of a page.
    pub(crate) page: u64,
    /// Bytes of a stub.
    pub(crate) stub_size: u64,
    /// Whether the kernel runs nothing without a signature.
    pub(crate) signed: bool,
    /// Whether it runs no program that is not MH_PIE.
    pub(crate) slides: bool,
    /// The type that is subtracted by the next.
    pub(crate) subtractor: u8,
    /// The type that holds the addend of the next.
    pub(super) addend: Option<u8>,
    /// A type's row; none of a type that no object has.
    pub(super) row: fn(u8) -> Option<Row>,
    /// The addend that a field of an object holds; of a reference to a section what leads to the address.
    pub(super) stored: fn(&RawReloc, &[u8]) -> i64,
    /// The address in the object that a reference to a section is to.
    pub(super) object_target: fn(&RawReloc, i64, u64) -> u64,
    /// How many bytes before and after a field's start belong to what a linker may rewrite.
    pub(super) mask: fn(u8, u8) -> (u64, u64),
    /// Reads an instruction's field.
    pub(super) see: fn(Field<'_>) -> Result<Seen, &'static str>,
    /// Whether of two instructions of the object the second adds to the page that the first makes, in its register.
    pub(super) joined: fn(u32, u32) -> bool,
    /// What the instructions of a hint of some kind make in the output, given whether the second loads an address from a
    /// slot and the page that is there already; none if the object's are no such instructions.
    pub(super) hint: fn(u8, bool, &[Step], Option<u64>) -> Option<Made>,
    /// Reads a stub, a thunk or an island.
    pub(crate) stub: fn(&File<'_>, u64) -> Option<Way>,
    /// What a stub helper entry at an address pushes.
    pub(crate) lazy: fn(&File<'_>, u64) -> Option<u32>,
    /// Compact unwinding modes: which means DWARF.
    pub(crate) dwarf: u32,
}
