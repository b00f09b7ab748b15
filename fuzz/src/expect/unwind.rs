//! `.eh_frame` of an input: which function each FDE describes and how.
//!
//! Spec: LSB §10.6. It must not know which functions are in the output.

use scold_diff::model::digest;

use crate::case::{Data, Reloc, Section};

/// One FDE of an input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fde<'c> {
    /// The relocation of its pc_begin.
    pub(crate) begin: &'c Reloc,
    /// The addend that reaches the function's start (the field is relative to itself).
    pub(crate) length: u64,
    pub(crate) augmentation: String,
    /// The relocation of its LSDA pointer.
    pub(crate) lsda: Option<&'c Reloc>,
    /// All relocations of its CIE (the personality routine).
    pub(crate) cie: (u64, u64),
    /// Whether the CIE's personality pointer is indirect, and its relocation.
    pub(crate) personality: Option<(bool, Option<&'c Reloc>)>,
    /// Alignment factors and return address register of the CIE.
    pub(crate) factors: (u64, i64, u64),
    /// What says how the frame looks: the digests of both instruction streams.
    pub(crate) frame: u64,
    /// A relocation writes into the instructions.
    pub(crate) written: bool,
}

/// The FDEs of a section, or `None` if it can't be read.
pub(crate) fn fdes(section: &Section) -> Option<Vec<Fde<'_>>> {
    let Data::Bytes(data) = &section.data else { return Some(Vec::new()) };
    let mut list = Vec::new();
    let mut at = 0_usize;
    while at + 4 <= data.len() {
        let length = u32_at(data, at)? as usize;
        if length == 0 {
            at += 4;
            continue;
        }
        if length == 0xffff_ffff {
            return None;
        }
        let end = at.checked_add(4)?.checked_add(length)?;
        if end > data.len() {
            return None;
        }
        if u32_at(data, at + 4)? != 0 {
            list.extend(fde(section, data, at, end)?);
        }
        at = end;
    }
    Some(list)
}

/// The FDE at `at..end`; none if nothing says what it is for.
fn fde<'c>(section: &'c Section, data: &[u8], at: usize, end: usize) -> Option<Option<Fde<'c>>> {
    let start = section.start();
    // Of two, as Mach-O has for a distance, the second names what is pointed to.
    let reloc = |at: usize| section.relocs.iter().rfind(|r| r.offset == start + at as u64);
    let cie_at = (at + 4).checked_sub(u32_at(data, at + 4)? as usize)?;
    let cie = Cie::read(data, cie_at)?;
    let pc_at = at + 8;
    let pc_width = width(cie.pointer)?;
    let length = uint(data, pc_at + pc_width, pc_width)?;
    let mut pos = pc_at + 2 * pc_width;
    let mut lsda = None;
    if cie.augmentation.starts_with('z') {
        let (size, used) = uleb(data, pos)?;
        if cie.lsda.is_some() {
            lsda = reloc(pos + used);
        }
        pos = pos.checked_add(used)?.checked_add(usize::try_from(size).ok()?)?;
    }
    let own = data.get(pos..end)?;
    let common = data.get(cie.instructions..cie.end)?;
    let Some(begin) = reloc(pc_at) else { return Some(None) };
    let inside = |from: usize, to: usize| {
        let range = start + from as u64..start + to as u64;
        section.relocs.iter().any(|r| range.contains(&r.offset))
    };
    let frame = digest(without_padding(common)).wrapping_mul(31);
    Some(Some(Fde {
        begin,
        length,
        lsda,
        cie: (start + cie_at as u64, start + cie.end as u64),
        personality: cie.personality.map(|(indirect, at)| (indirect, reloc(at))),
        factors: cie.factors,
        frame: frame.wrapping_add(digest(without_padding(own))),
        written: inside(pos, end) || inside(cie.instructions, cie.end),
        augmentation: cie.augmentation,
    }))
}

/// Without the DW_CFA_nop at the end.
fn without_padding(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = bytes {
        bytes = rest;
    }
    bytes
}

struct Cie {
    augmentation: String,
    pointer: u8,
    lsda: Option<u8>,
    factors: (u64, i64, u64),
    /// Whether the personality routine's pointer is indirect, and where it is.
    personality: Option<(bool, usize)>,
    /// Where the instructions start.
    instructions: usize,
    end: usize,
}

impl Cie {
    fn read(data: &[u8], at: usize) -> Option<Self> {
        let end = at.checked_add(4)?.checked_add(u32_at(data, at)? as usize)?;
        let data = data.get(..end)?;
        let mut pos = at + 9;
        let text = data.get(pos..)?;
        let len = text.iter().position(|&b| b == 0)?;
        let augmentation = String::from_utf8_lossy(&text[..len]).into_owned();
        pos += len + 1;
        let (code, used) = uleb(data, pos)?;
        pos += used;
        let (raw, used) = uleb(data, pos)?;
        pos += used;
        let shift = 64_u32.saturating_sub(7 * used as u32);
        let factor = (raw << shift) as i64 >> shift;
        let (register, used) = match *data.get(at + 8)? {
            1 => (u64::from(*data.get(pos)?), 1),
            _ => uleb(data, pos)?,
        };
        pos += used;
        let factors = (code, factor, register);
        let mut cie = Self {
            augmentation,
            pointer: 0,
            lsda: None,
            factors,
            personality: None,
            instructions: pos,
            end,
        };
        if cie.augmentation.starts_with('z') {
            let (size, used) = uleb(data, pos)?;
            pos += used;
            cie.instructions = pos.checked_add(usize::try_from(size).ok()?)?;
            for letter in cie.augmentation.clone().bytes().skip(1) {
                match letter {
                    b'R' => {
                        cie.pointer = *data.get(pos)?;
                        pos += 1;
                    }
                    b'L' => {
                        cie.lsda = Some(*data.get(pos)?);
                        pos += 1;
                    }
                    b'P' => {
                        cie.personality = Some((*data.get(pos)? & 0x80 != 0, pos + 1));
                        pos += 1 + width(*data.get(pos)?)?;
                    }
                    b'S' | b'B' => {}
                    _ => return None,
                }
            }
        }
        Some(cie)
    }
}

/// The width of a pointer with this DW_EH_PE encoding.
fn width(encoding: u8) -> Option<usize> {
    match encoding & 0x0f {
        0x00 | 0x04 | 0x0c => Some(8),
        0x03 | 0x0b => Some(4),
        0x02 | 0x0a => Some(2),
        _ => None,
    }
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn uint(data: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = data.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn uleb(data: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (i, byte) in data.get(at..)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}
