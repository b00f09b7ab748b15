//! `.eh_frame` of an input: which function each FDE describes and how.
//!
//! Spec: LSB §10.6. It must not know which functions are in the output.

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
}

/// The FDEs of a section, or `None` if it can't be read.
pub(crate) fn fdes(section: &Section) -> Option<Vec<Fde<'_>>> {
    let Data::Bytes(data) = &section.data else { return Some(Vec::new()) };
    let start = section.start();
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
        let id = u32_at(data, at + 4)? as usize;
        if id != 0 {
            let cie_at = (at + 4).checked_sub(id)?;
            let cie = Cie::read(data, cie_at)?;
            let pc_at = at + 8;
            let pc_width = width(cie.pointer)?;
            let length = uint(data, pc_at + pc_width, pc_width)?;
            let mut lsda = None;
            if cie.lsda.is_some() {
                let (_, used) = uleb(data, pc_at + 2 * pc_width)?;
                let field = start + (pc_at + 2 * pc_width + used) as u64;
                lsda = section.relocs.iter().find(|r| r.offset == field);
            }
            let field = start + pc_at as u64;
            if let Some(begin) = section.relocs.iter().find(|r| r.offset == field) {
                let cie_range = (start + cie_at as u64, start + cie.end as u64);
                list.push(Fde {
                    begin,
                    length,
                    augmentation: cie.augmentation,
                    lsda,
                    cie: cie_range,
                });
            }
        }
        at = end;
    }
    Some(list)
}

struct Cie {
    augmentation: String,
    pointer: u8,
    lsda: Option<u8>,
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
        pos += uleb(data, pos)?.1;
        pos += uleb(data, pos)?.1; // sleb, same length
        pos += if *data.get(at + 8)? == 1 { 1 } else { uleb(data, pos)?.1 };
        let mut cie = Self { augmentation, pointer: 0, lsda: None, end };
        if cie.augmentation.starts_with('z') {
            pos += uleb(data, pos)?.1;
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
