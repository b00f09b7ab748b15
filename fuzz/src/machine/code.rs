//! Code of a machine: instruction sequences that refer to symbols, as compilers write them, so that every
//! optional relaxation of the psABIs has its chance; and the small functions that cases are made of.
//!
//! It must not know any machine's instructions.

use crate::config::Config;

/// Who a field of a sequence refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// The sequence's target.
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

/// Which targets a sequence can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Anything but TLS.
    Any,
    /// At a fixed distance: not preemptible, not absolute.
    Near,
    /// At a fixed distance and no import, copy or IFUNC.
    Placed,
    /// The same, and a function.
    Body,
    /// The same, and data at a multiple of so many bytes, which the sequence reads.
    Loaded(u8),
    /// A function; the sequence calls it.
    Function,
    /// A function; the sequence calls it and allows an import.
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

/// A field of a sequence: offset in its bytes, type, addend, whose.
pub type Part = (u8, u32, i8, Who);

/// One sequence: a whole function body that leaves something in the register that functions return in: an
/// address, a number, or what the called function returned.
#[derive(Debug)]
pub struct Sequence {
    /// Its bytes.
    pub bytes: &'static [u8],
    /// Its fields.
    pub parts: &'static [Part],
    /// What it can refer to.
    pub needs: Needs,
    /// The knob that allows it.
    pub on: fn(&Config) -> bool,
    /// What its instruction set adds to the function's address.
    pub state: u64,
}

/// Bytes with fields that all refer to one symbol: not a whole function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Its bytes.
    pub bytes: &'static [u8],
    /// Offset, type and addend of each field.
    pub fields: &'static [(u8, u32, i8)],
    /// It is an instruction, not data.
    pub code: bool,
}

/// Instructions with fields.
pub(super) const fn piece(bytes: &'static [u8], fields: &'static [(u8, u32, i8)]) -> Piece {
    Piece { bytes, fields, code: true }
}

/// Data with fields.
pub(super) const fn datum(bytes: &'static [u8], fields: &'static [(u8, u32, i8)]) -> Piece {
    Piece { bytes, fields, code: false }
}

/// What a machine's code is made of.
pub struct Code {
    /// Sequences that every machine of this kind runs.
    pub sequences: &'static [Sequence],
    /// Sequences that only newer ones run: nothing here runs them, and older linkers don't know them.
    pub rare: &'static [Sequence],
    /// Instructions start at a multiple of this.
    pub align: u64,
    /// An instruction that does nothing.
    pub nop: &'static [u8],
    /// Returns.
    pub ret: &'static [u8],
    /// Leaves the program with status 0.
    pub exit: &'static [u8],
    /// A function that returns a number (or as much of it as an address has).
    pub returns: fn(u64) -> Vec<u8>,
    /// What the instruction set of that function, and of its resolver, adds to its address.
    pub state: fn(u64) -> u64,
    /// An IFUNC resolver that returns the function behind it, which returns a number.
    pub resolver: fn(u64) -> Vec<u8>,
    /// A resolver that returns its own address.
    pub own_resolver: &'static [u8],
    /// Makes the address of a symbol of this module.
    pub take: Piece,
    /// Loads an address from the GOT.
    pub got: Piece,
    /// Calls.
    pub call: Piece,
    /// Makes an address that is known at link time.
    pub absolute: Piece,
    /// Loads an offset from the thread pointer.
    pub tls_initial: Piece,
    /// Makes an offset from the thread pointer that is known at link time.
    pub tls_local: Piece,
}

macro_rules! sequence {
    ($on:expr, $needs:ident, [$($byte:literal)*], $(($at:literal, $kind:ident, $addend:literal, $who:ident))*) => {
        $crate::machine::code::Sequence {
            bytes: &[$($byte),*],
            parts: &[$(($at, $kind, $addend, $crate::machine::code::Who::$who)),*],
            needs: $crate::machine::code::Needs::$needs,
            on: $on,
            state: 0,
        }
    };
}
pub(super) use sequence;
