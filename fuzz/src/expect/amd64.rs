//! The amd64 relocations as the psABI tells them: how wide the field is, what it holds, its range.
//!
//! This table is the judge's own; it must not know the linker's rows.
//! Spec: x86-64 psABI §4.4.1 (table 4.9), §3.5.5 for the TLS ones.

/// What the field holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// `S + A`.
    Absolute,
    /// `S + A - P`.
    Relative,
    /// `L + A - P`: a call or jump.
    Call,
    /// `G + GOT + A - P` and `G + A`: the slot that holds S.
    Got,
    /// `S + A - GOT` and `L + A - GOT`.
    FromGot,
    /// `GOT + A - P`.
    GotBase,
    /// `Z + A`.
    Size,
    /// Names a TLS variable: general dynamic, initial exec, descriptor.
    Tls,
    /// The module's TLS block: local dynamic.
    TlsModule,
    /// `S + A - DTV block`: an offset in the module's own block.
    DtpOffset,
    /// `S + A - TP`: only the executable knows it.
    TpOffset,
    /// Changes nothing by itself.
    Nothing,
}

/// Which values fit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Range {
    /// `-2^(n-1) ..= 2^(n-1)-1`.
    Signed,
    /// `0 ..= 2^n-1`.
    Unsigned,
    /// `-2^(n-1) ..= 2^n-1`: the psABI doesn't say how the field is read.
    Either,
    /// Every value (64 bits).
    Any,
}

/// One relocation type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The psABI's number.
    pub r_type: u32,
    /// The psABI's name.
    pub name: &'static str,
    /// The field's width in bytes.
    pub width: u8,
    /// What it holds.
    pub form: Form,
    /// What fits.
    pub range: Range,
}

const fn row(r_type: u32, name: &'static str, width: u8, form: Form, range: Range) -> Row {
    Row { r_type, name, width, form, range }
}

/// Every relocation that objects may carry.
pub const ROWS: &[Row] = &[
    row(0, "R_X86_64_NONE", 0, Form::Nothing, Range::Any),
    row(1, "R_X86_64_64", 8, Form::Absolute, Range::Any),
    row(2, "R_X86_64_PC32", 4, Form::Relative, Range::Signed),
    row(3, "R_X86_64_GOT32", 4, Form::Got, Range::Signed),
    row(4, "R_X86_64_PLT32", 4, Form::Call, Range::Signed),
    row(9, "R_X86_64_GOTPCREL", 4, Form::Got, Range::Signed),
    row(10, "R_X86_64_32", 4, Form::Absolute, Range::Unsigned),
    row(11, "R_X86_64_32S", 4, Form::Absolute, Range::Signed),
    row(12, "R_X86_64_16", 2, Form::Absolute, Range::Either),
    row(13, "R_X86_64_PC16", 2, Form::Relative, Range::Signed),
    row(14, "R_X86_64_8", 1, Form::Absolute, Range::Either),
    row(15, "R_X86_64_PC8", 1, Form::Relative, Range::Signed),
    row(17, "R_X86_64_DTPOFF64", 8, Form::DtpOffset, Range::Any),
    row(18, "R_X86_64_TPOFF64", 8, Form::TpOffset, Range::Any),
    row(19, "R_X86_64_TLSGD", 4, Form::Tls, Range::Signed),
    row(20, "R_X86_64_TLSLD", 4, Form::TlsModule, Range::Signed),
    row(21, "R_X86_64_DTPOFF32", 4, Form::DtpOffset, Range::Signed),
    row(22, "R_X86_64_GOTTPOFF", 4, Form::Tls, Range::Signed),
    row(23, "R_X86_64_TPOFF32", 4, Form::TpOffset, Range::Signed),
    row(24, "R_X86_64_PC64", 8, Form::Relative, Range::Any),
    row(25, "R_X86_64_GOTOFF64", 8, Form::FromGot, Range::Any),
    row(26, "R_X86_64_GOTPC32", 4, Form::GotBase, Range::Signed),
    row(27, "R_X86_64_GOT64", 8, Form::Got, Range::Any),
    row(28, "R_X86_64_GOTPCREL64", 8, Form::Got, Range::Any),
    row(29, "R_X86_64_GOTPC64", 8, Form::GotBase, Range::Any),
    row(30, "R_X86_64_GOTPLT64", 8, Form::Got, Range::Any),
    row(31, "R_X86_64_PLTOFF64", 8, Form::FromGot, Range::Any),
    row(32, "R_X86_64_SIZE32", 4, Form::Size, Range::Unsigned),
    row(33, "R_X86_64_SIZE64", 8, Form::Size, Range::Any),
    row(34, "R_X86_64_GOTPC32_TLSDESC", 4, Form::Tls, Range::Signed),
    row(35, "R_X86_64_TLSDESC_CALL", 0, Form::Nothing, Range::Any),
    row(41, "R_X86_64_GOTPCRELX", 4, Form::Got, Range::Signed),
    row(42, "R_X86_64_REX_GOTPCRELX", 4, Form::Got, Range::Signed),
    row(43, "R_X86_64_CODE_4_GOTPCRELX", 4, Form::Got, Range::Signed),
    row(44, "R_X86_64_CODE_4_GOTTPOFF", 4, Form::Tls, Range::Signed),
    row(45, "R_X86_64_CODE_4_GOTPC32_TLSDESC", 4, Form::Tls, Range::Signed),
    row(50, "R_X86_64_CODE_6_GOTTPOFF", 4, Form::Tls, Range::Signed),
];

/// The row of a relocation type.
pub fn find(r_type: u32) -> Option<&'static Row> {
    const INDEX: [u8; 64] = index();
    match INDEX.get(r_type as usize) {
        Some(&at) if at != u8::MAX => Some(&ROWS[at as usize]),
        _ => None,
    }
}

/// How many bytes before and from the place of a relocation a linker may rewrite.
///
/// Appendix B lets it change the instruction around a GOT or TLS access: opcode and ModRM, and the prefixes
/// that the type promises. Dynamic TLS is a sequence with its call, of which the large model has a longer
/// form (`movabs` of the call's target behind the `lea`). Everything else has its field.
/// Not the judge's table: a mask too wide there must show here.
pub fn rewritable(r_type: u32, data: &[u8], offset: u64) -> (u64, u64) {
    let behind = usize::try_from(offset).ok().and_then(|at| data.get(at.checked_add(4)?..));
    let large = behind.is_some_and(|code| matches!(code, [0x48, 0xb8, ..]));
    match r_type {
        // (data16) lea; then movabs, add, call *%rax: 10 + 3 + 2 bytes.
        19 | 20 if large => (3, 4 + 15),
        // data16 lea; data16 data16 rex call.
        19 => (4, 4 + 8),
        // lea; call.
        20 => (3, 4 + 5),
        9 | 41 => (2, 4),
        22 | 34 | 42 => (3, 4),
        43..=45 => (4, 4),
        50 => (6, 4),
        35 => (0, 2),
        _ => (0, find(r_type).map_or(8, |row| row.width.into())),
    }
}

const fn index() -> [u8; 64] {
    let mut index = [u8::MAX; 64];
    let mut i = 0;
    while i < ROWS.len() {
        index[ROWS[i].r_type as usize] = i as u8;
        i += 1;
    }
    index
}

impl Row {
    /// Smallest and largest value that fits, as the psABI has it.
    pub fn limits(&self) -> (i128, i128) {
        let bits = u32::from(self.width) * 8;
        let half = 1_i128 << bits.max(1).saturating_sub(1);
        let full = 1_i128 << bits;
        match self.range {
            Range::Signed => (-half, half - 1),
            Range::Unsigned => (0, full - 1),
            Range::Either => (-half, full - 1),
            Range::Any => (i128::from(i64::MIN), i128::from(u64::MAX)),
        }
    }

    /// Whether the 64-bit `value` fits.
    ///
    /// A 64-bit sum wraps: as an unsigned field sees it 0xffff_ffff_ffff_ffff is not -1.
    pub fn fits(&self, value: u64) -> bool {
        let value = match self.range {
            Range::Unsigned => i128::from(value),
            _ => i128::from(value as i64),
        };
        let (min, max) = self.limits();
        (min..=max).contains(&value) || self.range == Range::Any
    }

    /// Whether practice disagrees about `value`: mold reads 8- and 16-bit fields as unsigned,
    /// bfd takes -2^n..2^n for them and for their relative forms.
    pub fn is_disputed(&self, value: u64) -> bool {
        if self.form == Form::Size && self.width == 4 {
            // bfd reads it as unsigned, lld as signed.
            return (-0x8000_0000..0).contains(&(value as i64)) || value >> 31 == 1;
        }
        if self.width > 2 || self.form == Form::Nothing {
            return false;
        }
        let full = 1_i128 << (u32::from(self.width) * 8);
        let half = full / 2;
        let value = i128::from(value as i64);
        match self.range {
            Range::Either => (-full..0).contains(&value),
            _ => (half..full).contains(&value) || (-full..-half).contains(&value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_number() {
        for row in ROWS {
            assert_eq!(find(row.r_type), Some(row));
        }
        assert_eq!(find(5), None);
        assert_eq!(find(u32::MAX), None);
    }

    #[test]
    fn ranges_are_the_psabi_s() {
        let fits = |r_type, value: i64| find(r_type).unwrap().fits(value as u64);
        assert!(fits(10, 0xffff_ffff) && !fits(10, 0x1_0000_0000) && !fits(10, -1));
        assert!(fits(11, -0x8000_0000) && fits(11, 0x7fff_ffff));
        assert!(!fits(11, 0x8000_0000) && !fits(11, -0x8000_0001));
        assert!(fits(14, 255) && fits(14, -128) && !fits(14, 256) && !fits(14, -129));
        assert!(fits(15, 127) && !fits(15, 128) && find(15).unwrap().is_disputed(128));
        assert!(fits(1, -1) && fits(1, i64::MIN));
    }
}
