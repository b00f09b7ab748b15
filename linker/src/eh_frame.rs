//! `.eh_frame`: bytes → CIE and FDE records, and what a CIE says about its FDEs' pointers.
//!
//! Must not know relocations or liveness: a record is a range of an input section, and the caller
//! asks which of its relocations fall in it. Little-endian only.

use crate::Malformed;

// How a pointer is encoded: the low half says size and sign, the high half what it is relative to.
/// As large as an address.
pub const DW_EH_PE_ABSPTR: u8 = 0x00;
const DW_EH_PE_UDATA2: u8 = 0x02;
const DW_EH_PE_UDATA4: u8 = 0x03;
const DW_EH_PE_UDATA8: u8 = 0x04;
const DW_EH_PE_SDATA2: u8 = 0x0a;
/// Signed, 4 bytes.
pub const DW_EH_PE_SDATA4: u8 = 0x0b;
const DW_EH_PE_SDATA8: u8 = 0x0c;
/// Relative to the field's own address.
pub const DW_EH_PE_PCREL: u8 = 0x10;
/// Relative to the table.
pub const DW_EH_PE_DATAREL: u8 = 0x30;
/// Not there.
pub const DW_EH_PE_OMIT: u8 = 0xff;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// Common information, shared by FDEs.
    Cie,
    /// A function's unwind table; `cie` is the offset of its CIE in the same section.
    Fde {
        /// Start of the CIE.
        cie: u32,
    },
    /// A zero length: the end of the table for who walks it. The linker drops all of them and
    /// puts one at the end, because one in the middle would hide what follows.
    Terminator,
}

/// One record of an input section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its start in the section, at the length field.
    pub offset: u32,
    /// All its bytes, length field included.
    pub size: u32,
    /// Offset, within the record, of the CIE id or CIE pointer: 4, or 12 with a 64-bit length.
    pub id_at: u8,
    /// What it is.
    pub kind: RecordKind,
}

impl Record {
    /// Offset in the section of an FDE's first pointer, the function's address.
    pub fn pc_begin(&self) -> u32 {
        self.offset + u32::from(self.id_at) + 4
    }

    /// The section's bytes this record covers.
    pub fn bytes<'a>(&self, section: &'a [u8]) -> &'a [u8] {
        &section[self.offset as usize..][..self.size as usize]
    }

    /// The indexes of the relocations that fall in this record, `offsets` being those of the
    /// section's relocations, sorted.
    pub fn relocations(&self, offsets: &[u64]) -> std::ops::Range<usize> {
        let start = offsets.partition_point(|&o| o < u64::from(self.offset));
        let end = u64::from(self.offset) + u64::from(self.size);
        start..start + offsets[start..].partition_point(|&o| o < end)
    }
}

/// Splits a section into records, in order.
///
/// Errors: `bad-input` with the offset of a record that overruns the section, is too short for its
/// id, or points at something that is no CIE.
/// Spec: LSB core, "Exception Frames"; the CIE id has 4 bytes even after a 64-bit length.
pub fn split(section: &[u8]) -> Result<Vec<Record>, Malformed> {
    if u32::try_from(section.len()).is_err() {
        return Err(Malformed { offset: 0, text: ".eh_frame section larger than 4 GiB" });
    }
    let mut records = Vec::with_capacity(section.len() / 40);
    let mut at = 0;
    while at < section.len() {
        let record = next(section, at, &records)?;
        at += record.size as usize;
        records.push(record);
    }
    Ok(records)
}

fn next(section: &[u8], at: usize, before: &[Record]) -> Result<Record, Malformed> {
    let bad = |text| Malformed { offset: at as u64, text };
    let rest = &section[at..];
    let length = u32_at(rest, 0).ok_or(bad("length field of an .eh_frame record is cut off"))?;
    let (length, id_at) = match length {
        0 => {
            let kind = RecordKind::Terminator;
            return Ok(Record { offset: at as u32, size: 4, id_at: 4, kind });
        }
        0xffff_ffff => {
            let wide =
                rest.get(4..12).ok_or(bad("length field of an .eh_frame record is cut off"))?;
            (u64::from_le_bytes(wide.try_into().unwrap_or_default()), 12)
        }
        0xffff_fff0.. => return Err(bad("reserved length of an .eh_frame record")),
        _ => (u64::from(length), 4),
    };
    if length > (rest.len() - id_at) as u64 {
        return Err(bad(".eh_frame record ends past the end of the section"));
    }
    if length < 4 {
        return Err(bad(".eh_frame record too short for its CIE pointer"));
    }
    let kind = match u32_at(rest, id_at).unwrap_or_default() {
        0 => RecordKind::Cie,
        back => {
            let cie = (at + id_at).checked_sub(back as usize).map(|c| c as u32);
            let cie = cie.filter(|&c| is_cie(before, c));
            RecordKind::Fde { cie: cie.ok_or(bad("CIE pointer of an FDE points to no CIE"))? }
        }
    };
    let size = (id_at as u64 + length) as u32;
    Ok(Record { offset: at as u32, size, id_at: id_at as u8, kind })
}

/// Whether a CIE starts at `offset`.
fn is_cie(before: &[Record], offset: u32) -> bool {
    before
        .binary_search_by_key(&offset, |r| r.offset)
        .is_ok_and(|i| before[i].kind == RecordKind::Cie)
}

/// What a CIE says that a linker must know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cie {
    /// How its FDEs encode function addresses (`R` in the augmentation).
    pub fde_encoding: u8,
    /// How its FDEs encode the language-specific data area (`L`), `DW_EH_PE_omit` if they don't.
    pub lsda_encoding: u8,
    /// Where the personality's pointer is within the record, and its encoding (`P`).
    pub personality: Option<(u32, u8)>,
    /// Whether FDEs have augmentation data (`z`).
    pub augmented: bool,
    /// Whether this is a signal frame (`S`).
    pub signal: bool,
}

/// Reads the CIE in `record`'s bytes; `word` is 8 for ELF64, 4 for ELF32.
///
/// Errors: `bad-input` with an offset within the record.
pub fn parse_cie(bytes: &[u8], id_at: u8, word: usize) -> Result<Cie, Malformed> {
    let mut r = Reader { bytes, at: usize::from(id_at) + 4 };
    let version = r.u8()?;
    if !matches!(version, 1 | 3 | 4) {
        return Err(Malformed { offset: r.at as u64 - 1, text: "CIE of an unknown version" });
    }
    let augmentation = r.string()?;
    let mut cie = Cie {
        fde_encoding: DW_EH_PE_ABSPTR,
        lsda_encoding: DW_EH_PE_OMIT,
        personality: None,
        augmented: false,
        signal: false,
    };
    let augmentation = match augmentation.strip_prefix(b"eh") {
        // GCC 2's form: a pointer to its exception table comes first.
        Some(rest) => {
            r.skip(word)?;
            rest
        }
        None => augmentation,
    };
    if version == 4 {
        r.skip(2)?;
    }
    r.leb()?;
    r.leb()?;
    if version == 1 {
        r.skip(1)?;
    } else {
        r.leb()?;
    }
    for &letter in augmentation {
        match letter {
            b'z' => {
                r.leb()?;
                cie.augmented = true;
            }
            b'R' => cie.fde_encoding = r.u8()?,
            b'L' => cie.lsda_encoding = r.u8()?,
            b'P' => {
                let encoding = r.u8()?;
                cie.personality = Some((r.at as u32, encoding));
                r.skip(pointer_size(encoding, word).ok_or(r.bad("unknown pointer encoding"))?)?;
            }
            b'S' => cie.signal = true,
            // AArch64: return addresses signed with the B key; tagged frames.
            b'B' | b'G' => {}
            _ => return Err(r.bad("unknown augmentation of a CIE")),
        }
    }
    Ok(cie)
}

/// The bytes that a pointer of `encoding` takes; `None` for LEB128, aligned and unknown forms.
pub fn pointer_size(encoding: u8, word: usize) -> Option<usize> {
    match encoding & 0x0f {
        DW_EH_PE_ABSPTR => Some(word),
        DW_EH_PE_UDATA2 | DW_EH_PE_SDATA2 => Some(2),
        DW_EH_PE_UDATA4 | DW_EH_PE_SDATA4 => Some(4),
        DW_EH_PE_UDATA8 | DW_EH_PE_SDATA8 => Some(8),
        _ => None,
    }
}

/// Reads the pointer in `field`, whose address is `place`, as the unwinder would.
///
/// `None` for what needs more than the image: indirect, text-relative and function-relative forms.
pub fn read_pointer(field: &[u8], place: u64, encoding: u8, word: usize) -> Option<u64> {
    let size = pointer_size(encoding, word)?;
    let mut raw = [0; 8];
    raw[..size].copy_from_slice(field.get(..size)?);
    let value = u64::from_le_bytes(raw);
    let signed = encoding & 0x08 != 0;
    let value = if signed && size < 8 {
        let shift = 64 - 8 * size as u32;
        ((value << shift) as i64 >> shift) as u64
    } else {
        value
    };
    let value = match encoding & 0xf0 {
        0 => value,
        DW_EH_PE_PCREL => place.wrapping_add(value),
        _ => return None,
    };
    Some(if word == 4 { value & 0xffff_ffff } else { value })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bad(&self, text: &'static str) -> Malformed {
        Malformed { offset: self.at.min(self.bytes.len()) as u64, text }
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(self.bad("CIE is cut off"))?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), Malformed> {
        if self.bytes.len().saturating_sub(self.at) < count {
            return Err(self.bad("CIE is cut off"));
        }
        self.at += count;
        Ok(())
    }

    fn leb(&mut self) -> Result<(), Malformed> {
        while self.u8()? & 0x80 != 0 {}
        Ok(())
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at.min(self.bytes.len());
        let rest = &self.bytes[start..];
        let end = memchr::memchr(0, rest).ok_or(self.bad("augmentation of a CIE has no end"))?;
        self.at = start + end + 1;
        Ok(&rest[..end])
    }
}

#[cfg(test)]
#[path = "eh_frame/tests.rs"]
mod tests;
