//! Relocation types by number and psABI name: one row each, for the text form, the generator's menu
//! and assembler text.
//!
//! It must not say what a relocation means: `expect` and the judge each know that for themselves.

/// One relocation type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The psABI's number.
    pub number: u32,
    /// The psABI's name.
    pub name: &'static str,
    /// Bytes of the field; 0 for markers.
    pub width: u8,
}

macro_rules! rows {
    ($(#[$doc:meta])* $table:ident: $($name:ident = $number:literal, $width:literal;)*) => {
        $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: u32 = $number;)*
        $(#[$doc])*
        pub const $table: &[Row] =
            &[$(Row { number: $number, name: stringify!($name), width: $width }),*];
    };
}

rows! {
    /// x86-64. Spec: psABI 1.0, table 4.9.
    AMD64:
    R_X86_64_NONE = 0, 0;
    R_X86_64_64 = 1, 8;
    R_X86_64_PC32 = 2, 4;
    R_X86_64_GOT32 = 3, 4;
    R_X86_64_PLT32 = 4, 4;
    R_X86_64_COPY = 5, 0;
    R_X86_64_GLOB_DAT = 6, 8;
    R_X86_64_JUMP_SLOT = 7, 8;
    R_X86_64_RELATIVE = 8, 8;
    R_X86_64_GOTPCREL = 9, 4;
    R_X86_64_32 = 10, 4;
    R_X86_64_32S = 11, 4;
    R_X86_64_16 = 12, 2;
    R_X86_64_PC16 = 13, 2;
    R_X86_64_8 = 14, 1;
    R_X86_64_PC8 = 15, 1;
    R_X86_64_DTPMOD64 = 16, 8;
    R_X86_64_DTPOFF64 = 17, 8;
    R_X86_64_TPOFF64 = 18, 8;
    R_X86_64_TLSGD = 19, 4;
    R_X86_64_TLSLD = 20, 4;
    R_X86_64_DTPOFF32 = 21, 4;
    R_X86_64_GOTTPOFF = 22, 4;
    R_X86_64_TPOFF32 = 23, 4;
    R_X86_64_PC64 = 24, 8;
    R_X86_64_GOTOFF64 = 25, 8;
    R_X86_64_GOTPC32 = 26, 4;
    R_X86_64_GOT64 = 27, 8;
    R_X86_64_GOTPCREL64 = 28, 8;
    R_X86_64_GOTPC64 = 29, 8;
    R_X86_64_GOTPLT64 = 30, 8;
    R_X86_64_PLTOFF64 = 31, 8;
    R_X86_64_SIZE32 = 32, 4;
    R_X86_64_SIZE64 = 33, 8;
    R_X86_64_GOTPC32_TLSDESC = 34, 4;
    R_X86_64_TLSDESC_CALL = 35, 0;
    R_X86_64_TLSDESC = 36, 0;
    R_X86_64_IRELATIVE = 37, 8;
    R_X86_64_GOTPCRELX = 41, 4;
    R_X86_64_REX_GOTPCRELX = 42, 4;
    R_X86_64_CODE_4_GOTPCRELX = 43, 4;
    R_X86_64_CODE_4_GOTTPOFF = 44, 4;
    R_X86_64_CODE_4_GOTPC32_TLSDESC = 45, 4;
    R_X86_64_CODE_6_GOTTPOFF = 50, 4;
}

/// The psABI's name of a relocation type.
pub fn name(number: u32) -> Option<&'static str> {
    AMD64.iter().find(|row| row.number == number).map(|row| row.name)
}

/// The relocation type with this psABI name.
pub fn number(name: &str) -> Option<u32> {
    AMD64.iter().find(|row| row.name == name).map(|row| row.number)
}
