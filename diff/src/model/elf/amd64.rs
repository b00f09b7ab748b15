//! x86-64: relocation rows of the judge, and how code reaches GOT, PLT and TLS.
//!
//! x86-64 has one displacement width, no range thunks and no alignment rules for branches; what makes it
//! hard is that the psABI lets linkers rewrite instructions around GOTPCRELX and TLS relocations. The
//! rows say which bytes that can be; [`relax`] and [`tls`] know every form there is.

mod apx;
pub(super) mod eval;
pub(super) mod relax;
pub(super) mod stubs;
pub(super) mod tls;

/// How a relocation's field is computed (letters of the psABI, table 4.10).
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
    /// `lea x@tlsdesc(%rip), %rax`.
    TlsDesc,
    /// `call *(%rax)` of a descriptor.
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
}

macro_rules! rows {
    ($($name:ident = $number:literal $form:ident $size:literal ($before:literal, $after:literal);)*) => {
        /// The row of a relocation.
        pub(super) fn row(r_type: u32) -> Option<Row> {
            let (name, form, size, before, after) = match r_type {
                $($number => (stringify!($name), Form::$form, $size, $before, $after),)*
                _ => return None,
            };
            Some(Row { r_type, name, form, size, before, after })
        }
    };
}

rows! {
    R_X86_64_NONE = 0             None 0        (0, 0);
    R_X86_64_64 = 1               Abs 8         (0, 8);
    R_X86_64_PC32 = 2             Pc 4          (0, 4);
    R_X86_64_GOT32 = 3            Got 4         (0, 4);
    R_X86_64_PLT32 = 4            Plt 4         (0, 4);
    R_X86_64_GOTPCREL = 9         GotPcRel 4    (2, 4);
    R_X86_64_32 = 10              Abs 4         (0, 4);
    R_X86_64_32S = 11             AbsSigned 4   (0, 4);
    R_X86_64_16 = 12              Abs 2         (0, 2);
    R_X86_64_PC16 = 13            Pc 2          (0, 2);
    R_X86_64_8 = 14               Abs 1         (0, 1);
    R_X86_64_PC8 = 15             Pc 1          (0, 1);
    R_X86_64_DTPMOD64 = 16        DtpMod 8      (0, 8);
    R_X86_64_DTPOFF64 = 17        DtpOff 8      (0, 8);
    R_X86_64_TPOFF64 = 18         TpOff 8       (0, 8);
    R_X86_64_TLSGD = 19           TlsGd 4       (4, 12);
    R_X86_64_TLSLD = 20           TlsLd 4       (3, 9);
    R_X86_64_DTPOFF32 = 21        DtpOff 4      (0, 4);
    R_X86_64_GOTTPOFF = 22        GotTpOff 4    (3, 4);
    R_X86_64_TPOFF32 = 23         TpOff 4       (0, 4);
    R_X86_64_PC64 = 24            Pc 8          (0, 8);
    R_X86_64_GOTOFF64 = 25        GotOff 8      (0, 8);
    R_X86_64_GOTPC32 = 26         GotPc 4       (0, 4);
    R_X86_64_GOT64 = 27           Got 8         (0, 8);
    R_X86_64_GOTPCREL64 = 28      GotPcRel 8    (0, 8);
    R_X86_64_GOTPC64 = 29         GotPc 8       (0, 8);
    R_X86_64_GOTPLT64 = 30        Got 8         (0, 8);
    R_X86_64_PLTOFF64 = 31        PltOff 8      (0, 8);
    R_X86_64_SIZE32 = 32          Size 4        (0, 4);
    R_X86_64_SIZE64 = 33          Size 8        (0, 8);
    R_X86_64_GOTPC32_TLSDESC = 34 TlsDesc 4     (3, 4);
    R_X86_64_TLSDESC_CALL = 35    TlsDescCall 0 (0, 2);
    R_X86_64_GOTPCRELX = 41       GotPcRel 4    (2, 4);
    R_X86_64_REX_GOTPCRELX = 42   GotPcRel 4    (3, 4);
    R_X86_64_CODE_4_GOTPCRELX = 43 GotPcRel 4   (4, 4);
    R_X86_64_CODE_4_GOTTPOFF = 44 GotTpOff 4    (4, 4);
    R_X86_64_CODE_4_GOTPC32_TLSDESC = 45 TlsDesc 4 (4, 4);
    R_X86_64_CODE_6_GOTTPOFF = 50 GotTpOff 4    (6, 4);
}

/// The bytes around the place of a relocation that a linker may write: (before, after).
pub(super) fn mask(r_type: u32) -> (u64, u64) {
    row(r_type).map_or((0, 8), |row| (row.before.into(), row.after.into()))
}

/// The same for the relocation at `offset` of `data`: the large model's TLS sequences are longer.
pub(super) fn mask_at(r_type: u32, data: &[u8], offset: u64) -> (u64, u64) {
    match tls::is_large(r_type, data, offset) {
        true => (tls::LARGE.0 as u64, tls::LARGE.1 as u64),
        false => mask(r_type),
    }
}
