//! Architectures: what a machine adds to the link, as rows and a few functions.
//!
//! A relocation is one row in psABI letters; the match, its names and the scan's needs derive from
//! it. Must not know of files, symbols or layout: numbers in, bytes out.

pub mod amd64;

/// The expression of a relocation, as the psABI spells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expr {
    /// Nothing to do.
    Nothing,
    /// `S + A`
    Abs,
    /// `S + A - P`
    Pc,
    /// `L + A - P`
    Plt,
    /// `G + A`: offset of the GOT slot from the GOT's base.
    Got,
    /// `G + GOT + A - P`
    GotPc,
    /// `S + A - GOT`
    GotOff,
    /// `GOT + A - P`
    GotBase,
    /// `L - GOT + A`
    PltOff,
    /// `Z + A`
    Size,
    /// `@tlsgd`: place-relative address of a module and offset pair.
    TlsGd,
    /// `@tlsld`: place-relative address of this module's pair.
    TlsLd,
    /// `@dtpoff`
    DtpOff,
    /// `@gottpoff`: place-relative address of a slot with the offset from the thread pointer.
    GotTp,
    /// `@tpoff`
    TpOff,
    /// `@tlsdesc`: place-relative address of a descriptor.
    TlsDesc,
    /// `@tlscall`: marks the call through the descriptor.
    TlsDescCall,
}

/// The bytes a relocation replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// A marker without bytes.
    Mark,
    /// A little-endian word of so many bytes.
    Data(u8),
}

/// The values a field takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    /// Any value: nothing is lost.
    Any,
    /// Two's complement of so many bits.
    Signed(u8),
    /// Unsigned of so many bits.
    Unsigned(u8),
    /// Either of the two.
    Either(u8),
}

/// One relocation type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The psABI's name.
    pub name: &'static str,
    /// What it computes.
    pub expr: Expr,
    /// Where it goes.
    pub field: Field,
    /// What fits.
    pub range: Range,
    /// Whether the psABI lets a linker rewrite the instruction that loads from the GOT.
    pub relaxable: bool,
}

/// Turns psABI letters into an [`Expr`].
macro_rules! expr {
    () => {
        $crate::arch::Expr::Nothing
    };
    (S + A) => {
        $crate::arch::Expr::Abs
    };
    (S + A - P) => {
        $crate::arch::Expr::Pc
    };
    (L + A - P) => {
        $crate::arch::Expr::Plt
    };
    (G + A) => {
        $crate::arch::Expr::Got
    };
    (G + GOT + A - P) => {
        $crate::arch::Expr::GotPc
    };
    (S + A - GOT) => {
        $crate::arch::Expr::GotOff
    };
    (GOT + A - P) => {
        $crate::arch::Expr::GotBase
    };
    (L - GOT + A) => {
        $crate::arch::Expr::PltOff
    };
    (Z + A) => {
        $crate::arch::Expr::Size
    };
    (TLSGD + A - P) => {
        $crate::arch::Expr::TlsGd
    };
    (TLSLD + A - P) => {
        $crate::arch::Expr::TlsLd
    };
    (DTPOFF + A) => {
        $crate::arch::Expr::DtpOff
    };
    (GOTTPOFF + A - P) => {
        $crate::arch::Expr::GotTp
    };
    (TPOFF + A) => {
        $crate::arch::Expr::TpOff
    };
    (TLSDESC + A - P) => {
        $crate::arch::Expr::TlsDesc
    };
    (TLSCALL) => {
        $crate::arch::Expr::TlsDescCall
    };
}
pub(crate) use expr;

/// Folds relocation rows into `fn row(kind) -> Option<Row>` and the list of all types.
macro_rules! rows {
    ($($name:ident = $number:literal [$($letter:tt)*] $field:expr, $range:expr $(, $relax:ident)?;)*) => {
        /// The row of relocation type `kind`.
        pub(crate) fn row(kind: u32) -> Option<$crate::arch::Row> {
            #[allow(unused_imports)]
            use $crate::arch::{Field::*, Range::*};
            Some(match kind {
                $($number => $crate::arch::Row {
                    name: stringify!($name),
                    expr: $crate::arch::expr!($($letter)*),
                    field: $field,
                    range: $range,
                    relaxable: rows!(@ $($relax)?),
                },)*
                _ => return None,
            })
        }

        /// Every relocation type that has a row.
        pub const TYPES: &[(u32, &str)] = &[$(($number, stringify!($name))),*];
    };
    (@ relax) => { true };
    (@) => { false };
}
pub(crate) use rows;

/// The numbers of the dynamic relocations.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct DynTypes {
    pub word: u32,
    pub relative: u32,
    pub glob_dat: u32,
    pub jump_slot: u32,
    pub copy: u32,
    pub irelative: u32,
    pub dtpmod: u32,
    pub dtpoff: u32,
    pub tpoff: u32,
    pub tlsdesc: u32,
}

/// How a TLS or GOT access is rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relax {
    /// Load from the GOT → the address itself.
    GotToPc,
    /// General dynamic → local exec.
    GdToLe,
    /// General dynamic → initial exec.
    GdToIe,
    /// Local dynamic → local exec.
    LdToLe,
    /// Initial exec → local exec.
    IeToLe,
    /// Descriptor → local exec.
    DescToLe,
    /// Descriptor → initial exec.
    DescToIe,
    /// The call through a descriptor that is no more.
    DescCall,
}

/// The PLT's shape.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Plt {
    pub header: u64,
    pub entry: u64,
    /// Slots of `.got.plt` that belong to the loader.
    pub reserved: u64,
}

/// Original bytes, offset, type, what was wanted → how far the field moved, its type now, what is added
/// to the addend.
pub type Relaxed = fn(&[u8], u64, u32, Relax) -> Option<(i64, u32, i64)>;

/// Section bytes, offset, type, what is wanted, the next relocation (offset, type) → whether it can be.
pub type CanRelax = fn(&[u8], u64, u32, Relax, Option<(u64, u32)>) -> bool;

/// One machine.
#[derive(Debug)]
pub struct Arch {
    /// As `GOARCH` spells it.
    pub name: &'static str,
    /// `EM_*`.
    pub machine: u16,
    /// Bytes of a pointer.
    pub word: u64,
    /// The default of `-z max-page-size`.
    pub page: u64,
    /// The default image base of a fixed-position executable.
    pub base: u64,
    /// Dynamic relocations.
    pub dynamic: DynTypes,
    /// The PLT's shape.
    pub plt: Plt,
    /// The loader, unless the command line names another.
    pub interp: &'static str,
    /// The addend of a rewritable instruction's operand that refers to the symbol itself.
    pub no_addend: i64,
    /// What fills gaps in code.
    pub fill: u8,
    /// The row of a relocation type.
    pub row: fn(u32) -> Option<Row>,
    /// Writes the PLT's header: buffer, its address, address of `.got.plt`.
    pub plt_header: fn(&mut [u8], u64, u64),
    /// Writes one PLT entry: buffer, its address, slot's address, index, header's address.
    pub plt_entry: fn(&mut [u8], u64, u64, u32, u64),
    /// Bytes of an entry that may be the target of a tracked indirect branch.
    pub plt_marked_size: u64,
    /// Writes one: buffer, its address, slot's address, index, header's address.
    pub plt_marked: fn(&mut [u8], u64, u64, u32, u64),
    /// Where its lazy slot points at first.
    pub plt_marked_lazy: fn(u64) -> u64,
    /// Writes one PLT entry that is never lazy: buffer, its address, slot's address.
    pub plt_eager: fn(&mut [u8], u64, u64),
    /// Where a lazy slot points at first: address of its PLT entry → value.
    pub plt_lazy: fn(u64) -> u64,
    /// Whether the code around a relocation has the form that `Relax` rewrites.
    pub can_relax: CanRelax,
    /// Rewrites: section bytes, offset, type, what, what the field refers to, P.
    pub relax: fn(&mut [u8], u64, u32, Relax, i64, u64) -> bool,
    /// What a rewritten place holds: original bytes, offset, type, what → how far its field moved,
    /// its type and what is added to the addend; `None` if it has no field any more.
    pub relaxed: Relaxed,
}

/// Every machine there is.
pub const ARCHES: &[&Arch] = &[&amd64::AMD64];

impl Range {
    /// Whether `value` fits.
    pub fn holds(self, value: i64) -> bool {
        let fits = |bits: u8, low: i64, high: i64| bits >= 64 || (low <= value && value <= high);
        match self {
            Self::Any => true,
            Self::Signed(n) => fits(n, -(1 << (n.min(63) - 1)), (1 << (n.min(63) - 1)) - 1),
            Self::Unsigned(n) => fits(n, 0, ((1u64 << n.min(62)) - 1) as i64),
            Self::Either(n) => fits(n, -(1 << (n.min(63) - 1)), ((1u64 << n.min(62)) - 1) as i64),
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Any => f.write_str("any value"),
            Self::Signed(n) => write!(f, "-2^{0}..2^{0}-1", n - 1),
            Self::Unsigned(n) => write!(f, "0..2^{n}-1"),
            Self::Either(n) => write!(f, "-2^{}..2^{n}-1", n - 1),
        }
    }
}

impl Field {
    /// Bytes the field covers.
    pub fn len(self) -> u64 {
        match self {
            Self::Mark => 0,
            Self::Data(n) => n.into(),
        }
    }

    /// Whether it covers none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Replaces the field at the head of `place`; bits that don't fit are lost.
    pub fn write(self, place: &mut [u8], value: i64) {
        match self {
            Self::Mark => {}
            Self::Data(8) => place[..8].copy_from_slice(&value.to_le_bytes()),
            Self::Data(4) => place[..4].copy_from_slice(&(value as u32).to_le_bytes()),
            Self::Data(n) => {
                place[..n as usize].copy_from_slice(&value.to_le_bytes()[..n as usize]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Range};

    #[test]
    fn ranges_are_the_psabi_s() {
        assert!(Range::Either(8).holds(255) && Range::Either(8).holds(-128));
        assert!(!Range::Either(8).holds(256) && !Range::Either(8).holds(-129));
        assert!(Range::Unsigned(32).holds(0xffff_ffff) && !Range::Unsigned(32).holds(-1));
        assert!(!Range::Unsigned(32).holds(0x1_0000_0000));
        assert!(Range::Signed(32).holds(-0x8000_0000) && !Range::Signed(32).holds(0x8000_0000));
        assert!(Range::Any.holds(i64::MIN));
    }

    #[test]
    fn a_field_is_replaced_whatever_was_there() {
        let mut bytes = [0xff; 4];
        Field::Data(2).write(&mut bytes, 0x1234);
        assert_eq!(bytes, [0x34, 0x12, 0xff, 0xff]);
    }
}
