//! What a relocation row says: number, name, what the field holds, where its bits are, what fits.
//!
//! It must not know any machine.

/// What the field holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// `S + A`.
    Absolute,
    /// `S + A - P`.
    Relative,
    /// `Page(S + A) - Page(P)`: all but the low 12 bits of the distance.
    Page,
    /// `S + A`, of which only low bits are taken: right wherever the image is, if pages stay whole.
    Low,
    /// `L + A - P`: a call or jump.
    Call,
    /// The same, to a place of this module only.
    Branch,
    /// `G + GOT + A - P` and `G + A`: the slot that holds S.
    Got,
    /// The same in an instruction that uses half of a slot.
    GotHalf,
    /// `G - GOT` or `G - Page(GOT)`: the slot that holds S, from the GOT's base.
    GotOffset,
    /// `S + A - GOT`.
    FromGot,
    /// `L + A - GOT`.
    PltFromGot,
    /// `GOT + A - P`.
    GotBase,
    /// `Z + A`.
    Size,
    /// Names a TLS variable: general dynamic.
    TlsDynamic,
    /// Names a TLS variable: initial exec.
    TlsInitial,
    /// Names a TLS variable: descriptor. In Mach-O the slot that holds its address, or that address.
    TlsDescriptor,
    /// The module's TLS block: local dynamic.
    TlsModule,
    /// `S + A - DTV block`: an offset in the module's own block.
    DtpOffset,
    /// `S + A - TP`: only the executable knows it.
    TpOffset,
    /// `-S` of the next one, at the same place: its field holds a difference (Mach-O).
    Minus,
    /// A of the next one, at the same place, where its field has no room (Mach-O).
    Addend,
    /// Changes nothing by itself.
    Nothing,
    /// Only loaders see it: objects don't carry it.
    Loader,
}

impl Form {
    /// Starts a sequence that ends in a call of `__tls_get_addr`.
    pub fn calls_for_tls(self) -> bool {
        matches!(self, Self::TlsDynamic | Self::TlsModule)
    }
}

/// Where the bits are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Field {
    /// Bytes of the place; 0 for markers.
    pub width: u8,
    /// Which of their bits are the relocation's; the rest is the instruction.
    pub mask: u64,
}

/// A field of data: all bits of so many bytes.
pub(super) const fn data(width: u8) -> Field {
    Field { width, mask: if width == 0 { 0 } else { u64::MAX >> (64 - 8 * width as u32) } }
}

/// A field in an instruction of four bytes: those bits.
pub(super) const fn insn(mask: u32) -> Field {
    Field { width: 4, mask: mask as u64 }
}

/// Which values fit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Range {
    /// `-2^(n-1) ..= 2^(n-1)-1`.
    Signed,
    /// `0 ..= 2^n-1`.
    Unsigned,
    /// `-2^(n-1) ..= 2^n-1`: the psABI doesn't say how the field is read, or says that it is both.
    Either,
    /// `-(2^n-1) ..= 2^n-1`: the sign is in the instruction.
    Magnitude,
    /// What is left of the magnitude after so many groups of 8 bits each, the highest first, is in
    /// `0 ..= 2^n-1`; only arm cuts values like that (AAELF32 §5.6.1.6).
    Groups(u8),
    /// Every value: 64 bits, or a part of them that is not checked.
    Any,
}

/// Which values a field takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Check {
    /// Their range.
    pub range: Range,
    /// The n of the range: bits of the value, not of the field.
    pub bits: u8,
    /// The value is a multiple of this.
    pub align: u8,
    /// Bits below this one are not in the field.
    pub low: u8,
    /// A linker can reach further by a thunk.
    pub extended: bool,
    /// Practice disagrees about the values that half of the conventions take.
    pub disputed: bool,
}

const fn check(range: Range, bits: u8) -> Check {
    Check { range, bits, align: 1, low: 0, extended: false, disputed: false }
}

pub(super) const fn signed(bits: u8) -> Check {
    check(Range::Signed, bits)
}

pub(super) const fn unsigned(bits: u8) -> Check {
    check(Range::Unsigned, bits)
}

pub(super) const fn either(bits: u8) -> Check {
    check(Range::Either, bits)
}

pub(super) const fn any() -> Check {
    check(Range::Any, 64)
}

pub(super) const fn magnitude(bits: u8) -> Check {
    check(Range::Magnitude, bits)
}

pub(super) const fn groups(count: u8, bits: u8) -> Check {
    check(Range::Groups(count), bits)
}

/// Only so many bits of the value are in the field, and no others are looked at.
pub(super) const fn part(bits: u8) -> Check {
    check(Range::Any, bits)
}

impl Check {
    /// A multiple of this.
    pub(super) const fn aligned(self, align: u8) -> Self {
        Self { align, ..self }
    }

    /// The field starts at this bit of the value.
    pub(super) const fn from(self, low: u8) -> Self {
        Self { low, ..self }
    }

    /// A linker can reach further by a thunk.
    pub(super) const fn extended(self) -> Self {
        Self { extended: true, ..self }
    }

    /// bfd and mold read the field in other ways.
    pub(super) const fn disputed(self) -> Self {
        Self { disputed: true, ..self }
    }
}

/// One relocation type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The psABI's number.
    pub number: u32,
    /// The psABI's name.
    pub name: &'static str,
    /// What it holds.
    pub form: Form,
    /// Where.
    pub field: Field,
    /// What fits.
    pub check: Check,
    /// Newer than some of the linkers that are around, or one that some never took.
    pub rare: bool,
}

impl Row {
    /// Smallest and largest value that fits, as the psABI has it.
    pub fn limits(&self) -> (i128, i128) {
        let full = 1_i128 << self.check.bits;
        let half = full / 2;
        match self.check.range {
            Range::Signed => (-half, half - 1),
            Range::Unsigned => (0, full - 1),
            Range::Either => (-half, full - 1),
            Range::Magnitude => (1 - full, full - 1),
            Range::Groups(_) | Range::Any => (i128::from(i64::MIN), i128::from(u64::MAX)),
        }
    }

    /// Whether the 64-bit `value` fits.
    ///
    /// A 64-bit sum wraps: as an unsigned field sees it 0xffff_ffff_ffff_ffff is not -1.
    pub fn fits(&self, value: u64) -> bool {
        let value = match self.check.range {
            Range::Unsigned => i128::from(value),
            Range::Groups(count) => {
                let left = (0..count)
                    .fold((value as i64).unsigned_abs() as u32, |rest, _| rest & !highest(rest));
                return u64::from(left) >> self.check.bits == 0;
            }
            _ => i128::from(value as i64),
        };
        let (min, max) = self.limits();
        self.check.range == Range::Any || (min..=max).contains(&value)
    }

    /// Whether the field has only some bits of the value.
    pub fn is_part(&self) -> bool {
        self.check.low > 0 || (self.check.range == Range::Any && self.check.bits < 64)
    }

    /// Whether the field is one or two bytes of data.
    pub fn is_narrow(&self) -> bool {
        matches!(self.field.width, 1..=2) && self.field == data(self.field.width)
    }

    /// Whether the value is a multiple of what the field counts in.
    pub fn is_aligned(&self, value: u64) -> bool {
        value.is_multiple_of(u64::from(self.check.align))
    }

    /// Whether practice disagrees about `value`: mold reads 8- and 16-bit fields as unsigned,
    /// bfd takes -2^n..2^n for them and for their relative forms.
    pub fn is_disputed(&self, value: u64) -> bool {
        if !self.check.disputed {
            return false;
        }
        let full = 1_i128 << self.check.bits;
        let half = full / 2;
        let value = i128::from(value as i64);
        match self.check.range {
            Range::Either if self.form == Form::Absolute => (-full..0).contains(&value),
            _ => (half..full).contains(&value) || (-full..-half).contains(&value),
        }
    }
}

/// The relocation types of a target, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rows(pub &'static [Row]);

impl Rows {
    /// The row of a relocation type.
    pub fn row(self, number: u32) -> Option<&'static Row> {
        self.0.binary_search_by_key(&number, |row| row.number).ok().map(|at| &self.0[at])
    }

    /// The psABI's name of a relocation type.
    pub fn name(self, number: u32) -> Option<&'static str> {
        self.row(number).map(|row| row.name)
    }
}

/// The 8 bits, from an even position, with the highest that is set.
fn highest(rest: u32) -> u32 {
    let bits = 32 - rest.leading_zeros();
    0xff << bits.saturating_sub(8).next_multiple_of(2)
}

/// A machine's table: constants by the psABI's names, and the rows.
macro_rules! rows {
    ($(#[$doc:meta])* $table:ident: $($name:ident = $number:literal, $form:ident, $field:expr, $check:expr $(, $rare:ident)?;)*) => {
        $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: u32 = $number;)*
        $(#[$doc])*
        pub const $table: &[$crate::machine::Row] = &[$($crate::machine::Row {
            number: $number,
            name: stringify!($name),
            form: $crate::machine::Form::$form,
            field: $field,
            check: $check,
            rare: false $(|| rows!(@ $rare))?,
        }),*];
    };
    (@ rare) => { true };
}
pub(super) use rows;
