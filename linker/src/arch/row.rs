//! Relocations as rows: what the psABI's table says of a type → what is computed, where it goes, what
//! fits. Must not know of machines.

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

    /// The value in the field at the head of `place`, sign-extended; 0 if there is no room for it.
    pub fn read(self, place: &[u8]) -> i64 {
        match (self, place.get(..self.len() as usize)) {
            (Self::Data(n @ 1..=8), Some(bytes)) => {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                let unused = 64 - 8 * u32::from(n);
                i64::from_le_bytes(word) << unused >> unused
            }
            _ => 0,
        }
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
        assert_eq!(Field::Data(4).read(&bytes), -0xedcc);
        assert_eq!(Field::Data(4).read(&bytes[1..]), 0, "no room");
    }
}
