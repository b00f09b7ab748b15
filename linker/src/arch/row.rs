//! Relocations as rows: what the psABI's table says of a type → what is computed, where it goes, what
//! fits. Must not know of machines.

/// What a relocation refers to; `A` is added to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Nothing.
    Nothing,
    /// `S`: the symbol.
    Symbol,
    /// `L`: its PLT entry, or itself if it needs none.
    Plt,
    /// `G`: its slot in the GOT.
    Got,
    /// `GOT`: what GOT-relative values count from.
    GotBase,
    /// `Z`: its size.
    Size,
    /// `@tlsgd`: its module and offset.
    TlsGd,
    /// `@tlsld`: this module's pair.
    TlsLd,
    /// `@dtpoff`: its offset in the block of thread-locals.
    DtpOff,
    /// `@gottpoff`: its slot with the offset from the thread pointer.
    GotTp,
    /// `@tpoff`: its offset from the thread pointer.
    TpOff,
    /// `@tlsdesc`: its descriptor.
    TlsDesc,
    /// `@tlscall`: the call through the descriptor; a marker.
    TlsDescCall,
}

/// What the value counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// Nothing: the value itself.
    Zero,
    /// `P`: the place.
    Place,
    /// `Pa`: the word the place is in.
    Word,
    /// `SB`: the start of the segment that the value is in.
    Segment,
    /// The page of the value, from the page of the place.
    Page,
    /// The page of the value: the rest of an address whose page another relocation gives.
    InPage,
    /// The GOT's base.
    Got,
    /// The page of the GOT's base.
    GotPage,
}

/// What [`Base::Page`] and its kind call a page, whatever the machine maps.
const PAGE: i64 = 0x1000;

impl Base {
    /// `value` counted from here; `place` is `P`, `got` the GOT's base.
    ///
    /// Segments are not known here: [`Self::Segment`] leaves it as it is.
    #[inline]
    pub fn count(self, value: i64, place: i64, got: impl Fn() -> i64) -> i64 {
        match self {
            Self::Zero | Self::Segment => value,
            Self::Word => value.wrapping_sub(place & !3),
            Self::Place => value.wrapping_sub(place),
            Self::Page => (value & -PAGE).wrapping_sub(place & -PAGE),
            Self::InPage => value & (PAGE - 1),
            Self::Got => value.wrapping_sub(got()),
            Self::GotPage => value.wrapping_sub(got() & -PAGE),
        }
    }
}

/// How instructions of one form keep a value: in pieces, scaled, or as part of their opcode.
#[derive(Debug)]
pub struct Code {
    /// The value is a multiple of 2 to the power of this.
    pub scale: u8,
    /// The instruction with the value in place of what it had.
    pub put: fn(u32, i64) -> u32,
    /// The value in the instruction, sign-extended: the addend where records have none.
    pub get: fn(u32) -> i64,
}

/// How branches of one form keep their distance, on machines with two instruction sets: bit 0 of it is
/// 1 if it ends in the second.
#[derive(Debug)]
pub struct Branch {
    /// Bytes of the instruction.
    pub len: u8,
    /// Which set it is of.
    pub own: i64,
    /// What the program counter is ahead of it: a branch to a symbol has the addend `-pc`.
    pub pc: i64,
    /// What addresses of instructions are multiples of, by set.
    pub aligned: [i64; 2],
    /// Which set the instruction as it is goes to: counts if the target does not say.
    pub state: fn(u32) -> i64,
    /// Whether the instruction, or what it can become, goes that far and to that set.
    pub reaches: fn(u32, i64) -> bool,
    /// The instruction with the distance in place of what it had.
    pub put: fn(u32, i64) -> u32,
    /// The distance in the instruction, sign-extended.
    pub get: fn(u32) -> i64,
    /// What does nothing in place of the instruction.
    pub nothing: fn(u32) -> u32,
}

/// The bytes a relocation replaces.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// A marker without bytes.
    Mark,
    /// A little-endian word of so many bytes.
    Data(u8),
    /// Part of an instruction of four bytes.
    Insn(&'static Code),
    /// Part of an instruction of two bytes.
    Half(&'static Code),
    /// The distance of a branch.
    Branch(&'static Branch),
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
    /// A magnitude of so many bits, and a sign.
    Magnitude(u8),
    /// What a magnitude less so many rotated bytes leaves: so many bits.
    Groups(u8, u8),
}

/// One relocation type.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The psABI's name.
    pub name: &'static str,
    /// What it refers to.
    pub what: What,
    /// What that counts from.
    pub base: Base,
    /// Where it goes.
    pub field: Field,
    /// Whether it has the target's instruction set in bit 0 (`T`).
    pub state: bool,
    /// What fits.
    pub range: Range,
    /// Whether the psABI lets a linker rewrite the instruction that loads from the GOT, or that uses a
    /// descriptor; those of a descriptor without it stay, whatever the output.
    pub relaxable: bool,
}

/// Folds relocation rows into `ROWS`, by number, the list of all types, and a constant of each type's
/// name.
macro_rules! rows {
    ($($name:ident = $number:literal [$($letter:tt)*] $field:expr, $range:expr $(, $relax:ident)?;)*) => {
        /// The row of each relocation type, by its number.
        pub(crate) static ROWS: &[Option<$crate::arch::Row>] = {
            #[allow(unused_imports)]
            use $crate::arch::{Field::*, Range::*};
            const LEN: usize = {
                let mut len = 0;
                $(if $number >= len { len = $number + 1; })*
                len
            };
            const LIST: [Option<$crate::arch::Row>; LEN] = {
                let mut list = [None; LEN];
                $(list[$number] = Some($crate::arch::Row {
                    name: stringify!($name),
                    what: $crate::arch::expr!($($letter)*).0,
                    base: $crate::arch::expr!($($letter)*).1,
                    field: $field,
                    state: $crate::arch::states!($($letter)*),
                    range: $range,
                    relaxable: rows!(@ $($relax)?),
                });)*
                list
            };
            &LIST
        };

        $(
            #[doc = concat!("`", stringify!($name), "`.")]
            #[allow(dead_code)]
            pub(crate) const $name: u32 = $number;
        )*

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
            Self::Magnitude(n) => value.unsigned_abs() >> n == 0,
            Self::Groups(n, bits) => super::rotated::rest(value, n) >> bits == 0,
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
            Self::Magnitude(n) => write!(f, "-2^{n}+1..2^{n}-1"),
            Self::Groups(n, 0) => write!(f, "{n} rotated bytes"),
            Self::Groups(n, bits) => write!(f, "{n} rotated bytes and {bits} bits"),
        }
    }
}

impl Field {
    /// Bytes the field covers.
    pub fn len(self) -> u64 {
        match self {
            Self::Mark => 0,
            Self::Data(n) => n.into(),
            Self::Insn(_) => 4,
            Self::Half(_) => 2,
            Self::Branch(branch) => branch.len.into(),
        }
    }

    /// Whether `value` is a multiple of what the field counts in.
    #[inline]
    pub fn counts(self, value: i64) -> bool {
        match self {
            Self::Insn(code) | Self::Half(code) => value & ((1 << code.scale) - 1) == 0,
            _ => true,
        }
    }

    /// Whether it is data of `word` bytes, as an address is.
    #[inline]
    pub fn is_word(self, word: u64) -> bool {
        matches!(self, Self::Data(n) if u64::from(n) == word)
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
            (Self::Insn(code), Some(&[a, b, c, d])) => (code.get)(u32::from_le_bytes([a, b, c, d])),
            (Self::Half(code), Some(bytes)) => (code.get)(insn(bytes)),
            (Self::Branch(branch), Some(bytes)) => (branch.get)(insn(bytes)),
            _ => 0,
        }
    }

    /// Replaces the field at the head of `place`; bits that don't fit are lost.
    pub fn write(self, place: &mut [u8], value: i64) {
        match self {
            Self::Mark => {}
            Self::Insn(code) => {
                let old = crate::format::elf::tables::u32_at(place, 0);
                place[..4].copy_from_slice(&(code.put)(old, value).to_le_bytes());
            }
            Self::Half(code) => put_insn(&mut place[..2], code.put, value),
            Self::Branch(branch) => {
                put_insn(&mut place[..branch.len.into()], branch.put, value);
            }
            Self::Data(8) => place[..8].copy_from_slice(&value.to_le_bytes()),
            Self::Data(4) => place[..4].copy_from_slice(&(value as u32).to_le_bytes()),
            Self::Data(n) => {
                place[..n as usize].copy_from_slice(&value.to_le_bytes()[..n as usize]);
            }
        }
    }
}

/// The instruction at the head of `place`, of two or four bytes.
pub(crate) fn insn(place: &[u8]) -> u32 {
    let mut word = [0; 4];
    word[..place.len().min(4)].copy_from_slice(&place[..place.len().min(4)]);
    u32::from_le_bytes(word)
}

fn put_insn(place: &mut [u8], put: fn(u32, i64) -> u32, value: i64) {
    let new = put(insn(place), value).to_le_bytes();
    place.copy_from_slice(&new[..place.len()]);
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
