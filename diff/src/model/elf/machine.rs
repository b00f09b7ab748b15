//! What is particular to a machine: a row of facts and decoders each, picked by e_machine.
//!
//! A machine comes in as one file beside this one and one line in [`MACHINES`]; everybody else asks
//! the row. It must not know symbols, places, or which linker wrote the output.

use crate::bytes::{number, sign_extend};
use crate::class::Class;
use crate::loader::{Image, Kind, Tls};

/// Every machine that the judge can read, one line each.
static MACHINES: &[&Machine] =
    &[&super::amd64::MACHINE, &super::arm::MACHINE, &super::arm64::MACHINE];

/// The machine with this number in the file header.
pub(crate) fn of(number: u16) -> Option<&'static Machine> {
    MACHINES.iter().copied().find(|machine| machine.number == number)
}

/// The slot that the PLT entry at `address` jumps through, if there is one.
pub(crate) fn slot_behind(machine: &Machine, image: &Image<'_>, address: u64) -> Option<u64> {
    match (machine.stub)(image, address) {
        Ok(Way::Slot(slot)) => Some(slot),
        _ => None,
    }
}

/// The name that this relocation goes by where the instruction around it is of no interest.
pub(crate) fn alike(relocation: &str) -> Option<&'static str> {
    let mut alike = MACHINES.iter().flat_map(|machine| machine.alike);
    alike.find(|(end, _)| relocation.ends_with(end)).map(|(_, name)| *name)
}

/// A machine.
pub(crate) struct Machine {
    /// e_machine.
    pub(crate) number: u16,
    /// How wide its words are.
    pub(crate) class: Class,
    /// Whether e_flags of an output may come of those of its inputs.
    pub(crate) flags: fn(u32, &[u32]) -> bool,
    /// Relocations have no addends of their own: they are in the places, in inputs and outputs.
    pub(crate) rel: bool,
    /// The addend in the place at an offset of an input section's bytes, for those.
    pub(super) implicit: fn(u32, &[u8], u64) -> i64,
    /// What a loader does for a relocation type, and how many bytes it writes; `None` for nothing.
    pub(crate) dynamic: fn(u32) -> Option<(Kind, u8)>,
    /// R_*_RELATIVE.
    pub(crate) relative: u32,
    /// R_*_IRELATIVE.
    pub(crate) irelative: u32,
    /// Types that the psABI gives a loader but no loader takes; what comes of them is told elsewhere.
    pub(crate) untaken: &'static [u32],
    /// Types that differ only in the instruction around them: the end of the name, the name they go by.
    pub(crate) alike: &'static [(&'static str, &'static str)],
    /// Types that the `object` crate calls as an older ABI did: its name, the ABI's of today.
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    /// The offset from the thread pointer of template address 0, in an executable.
    pub(super) tp_bias: fn(&Tls) -> u64,
    /// Bits of a code address that are no part of it: the state in which it is entered.
    pub(crate) state: u64,
    /// The type that one left to the platform stands for, under these arguments.
    pub(super) stands_for: fn(u32, &[String]) -> u32,
    /// How a relocation is computed.
    pub(super) row: fn(u32) -> Option<Row>,
    /// The bytes before and after the place that a linker may rewrite.
    pub(super) mask: fn(u32) -> (u64, u64),
    /// The same, with a look at the section's bytes and the place's offset in it.
    pub(super) mask_at: fn(u32, &[u8], u64) -> (u64, u64),
    /// Puts back what linkers moved out of a section for a processor's sake: the image, the input's bytes,
    /// their address, the output's.
    pub(super) restore: fn(&Image<'_>, &[u8], u64, &mut [u8]),
    /// From the place of a field in an instruction to where its addend counts from.
    pub(super) instruction_bias: u64,
    /// Whether the field at the site is the displacement of a direct call or jump.
    pub(super) branches: fn(Site<'_>, u8) -> bool,
    /// How the instruction at a GOT relocation reaches its symbol.
    pub(super) got: fn(Site<'_>, Row) -> Result<Access, String>,
    /// The same for rows with [`Row::code`]: what the instructions at the site make.
    pub(super) code: fn(Site<'_>, Row) -> Result<Access, String>,
    /// For [`Access::Sum`]: whether the instruction has what that sum gives.
    pub(super) fits: fn(Site<'_>, Row, Sum) -> bool,
    /// PT_* of the unwinder's index, where there is another than `.eh_frame_hdr`.
    pub(crate) index: Option<u32>,
    /// General and local dynamic TLS.
    pub(super) dynamic_tls: fn(Site<'_>, Row) -> Result<TlsAccess, String>,
    /// How far behind the place the relocation of its call may be.
    pub(super) tls_call: u64,
    /// Initial exec TLS.
    pub(super) initial_exec: fn(Site<'_>, Row) -> Result<TlsAccess, String>,
    /// The address of a TLS descriptor.
    pub(super) descriptor: fn(Site<'_>, Row) -> Result<TlsAccess, String>,
    /// Whether the call of a TLS descriptor is kept, or gone.
    pub(super) call_kept: fn(Site<'_>) -> Result<bool, String>,
    /// Where a PLT entry or thunk at an address goes; a text, if what is there is neither.
    pub(super) stub: fn(&Image<'_>, u64) -> Result<Way, String>,
    /// Checks that the PLT entry at an address, unbound, reaches the resolver with the GOT's base and
    /// the index of its relocation.
    pub(super) lazy: fn(&Image<'_>, u64, u64, u32) -> Result<(), String>,
}

impl Machine {
    /// What its tables of dynamic relocations are called.
    pub(crate) fn table(&self) -> &'static str {
        if self.rel { "REL" } else { "RELA" }
    }

    /// What the psABI calls a relocation type.
    pub(crate) fn name(&self, r_type: u32) -> Option<&'static str> {
        (self.row)(r_type).map(|row| row.name)
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "machine {}", self.number)
    }
}

/// How a relocation's field is computed (letters of the psABIs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Nothing.
    None,
    /// S + A.
    Abs,
    /// S + A, sign-extended.
    AbsSigned,
    /// S + A - P.
    Pc,
    /// L + A - P.
    Plt,
    /// G + GOT + A - P; can be relaxed.
    GotPcRel,
    /// G + A.
    Got,
    /// GOT + G + A.
    GotAbs,
    /// S + A - GOT.
    GotOff,
    /// L + A - GOT.
    PltOff,
    /// GOT + A - P.
    GotPc,
    /// Z + A.
    Size,
    /// General dynamic TLS.
    TlsGd,
    /// Local dynamic TLS.
    TlsLd,
    /// Offset in the module's TLS block.
    DtpOff,
    /// Module id.
    DtpMod,
    /// Initial exec TLS.
    GotTpOff,
    /// Local exec TLS.
    TpOff,
    /// The address of a TLS descriptor.
    TlsDesc,
    /// The call of a descriptor.
    TlsDescCall,
}

/// One relocation: number, form, bytes of its field, and the bytes before and after the place that a
/// linker may write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) r_type: u32,
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) size: u8,
    pub(super) before: u8,
    pub(super) after: u8,
    /// The field is in an instruction that [`Machine::code`] reads, not a number by itself.
    pub(super) code: bool,
    /// Relocations of one group, symbol and addend make one address together; 0 is in no group.
    pub(super) group: u8,
    /// The expression has no T: the state of the symbol is not in the field.
    pub(super) stateless: bool,
    /// The state of the code it is in.
    pub(super) caller: u64,
}

/// How the instruction reaches its symbol. Values are S + A of an addend that
/// counts from the place plus [`Machine::instruction_bias`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// Through the GOT slot at the address given; only to call or jump.
    Slot(u64, bool),
    /// By its address relative to the instruction pointer; only to call or jump.
    Address(u64, bool),
    /// As an immediate, and how many bytes of it count.
    Number(u64, u8),
    /// Only some bits of what the row's form gives: the bits, and which they are.
    Part(u64, u64),
    /// The same, counted from an address.
    PartFrom(u64, u64, u64),
    /// Through the GOT slot so far from those bits of the GOT's base.
    FromGot(u64, u64),
    /// A direct branch: where it goes, state included, and how far behind the place its addend counts from.
    Branch(u64, u64),
    /// Something that only tells whether a given sum is right: [`Machine::fits`].
    Sum,
}

/// S (without T), T and A of the psABI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sum {
    pub(super) symbol: u64,
    pub(super) state: u64,
    pub(super) addend: u64,
}

/// Where code goes that no input has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// A PLT entry: to what the slot at this address holds.
    Slot(u64),
    /// A thunk: to this address.
    Address(u64),
}

/// The place of a relocation: input and output bytes of its section, where it is in them, and what
/// belongs to it. How many bytes make the instruction, or how many instructions the address, is the
/// machine's to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'b> {
    pub(super) input: &'b [u8],
    pub(super) output: &'b [u8],
    /// Offset of the relocation in both.
    pub(super) at: usize,
    /// Its address.
    pub(super) place: u64,
    /// The relocations around it that have its group, symbol and addend, itself among them, in order.
    pub(super) mates: &'b [Mate],
    /// The whole output, for what code leads out of the section.
    pub(super) image: &'b Image<'b>,
}

/// A relocation beside others of its group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Mate {
    /// Offset in the section.
    pub(super) at: usize,
    pub(super) r_type: u32,
}

impl Site<'_> {
    /// `len` bytes from `at + from`, of input and output.
    pub(super) fn both(&self, from: isize, len: usize) -> Option<(&[u8], &[u8])> {
        let start = self.at.checked_add_signed(from)?;
        let range = start..start.checked_add(len)?;
        Some((self.input.get(range.clone())?, self.output.get(range)?))
    }

    /// The signed 32-bit number of the output at `at + from`.
    pub(super) fn field(&self, from: isize) -> Option<u64> {
        Some(sign_extend(number(self.both(from, 4)?.1), 4))
    }

    /// What a 32-bit displacement that ends an instruction at `at + from + 4` points to.
    pub(super) fn points(&self, from: isize) -> Option<u64> {
        let end = self.place.wrapping_add_signed(from as i64 + 4);
        Some(end.wrapping_add(self.field(from)?))
    }
}

/// How a sequence reaches its variable (or, for local dynamic, its module's block).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TlsAccess {
    /// `__tls_get_addr` of the pair of GOT slots at this address.
    Pair(u64),
    /// The descriptor at this address.
    Descriptor(u64),
    /// Thread pointer + the GOT slot at this address.
    ThreadSlot(u64),
    /// Thread pointer + this.
    Thread(u64),
}
