//! Fields that have bits already where a relocation goes: some linkers or the value into them.
//!
//! It must not know what linkers made of them.

use object::read::archive::ArchiveFile;
use object::{File, Object as _, ObjectSection as _, RelocationFlags, RelocationTarget};

use crate::{Format, Request};

/// `e_machine` of the one whose instructions are looked at.
const MACHINE: u16 = 183;

/// How far from a site the other instructions of its sequence are.
const NEAR: u64 = 16;

/// Whether the instruction that the key `site.FILE:SECTION+0xOFF` speaks of, or another that refers to the same
/// symbol beside it, has bits in its field. On AArch64 only: where relocations have no addends, fields have.
pub(super) fn has_bits(request: &Request, key: &str) -> bool {
    let target = request.target;
    let Some(place) = key.strip_prefix("site.") else { return false };
    if (target.arch.machine(), target.format) != (MACHINE, Format::Elf) {
        return false;
    }
    request.files.iter().any(|file| match ArchiveFile::parse(&*file.bytes) {
        Ok(archive) => archive.members().flatten().any(|member| {
            let name = format!("{}({})", file.name, String::from_utf8_lossy(member.name()));
            member.data(&*file.bytes).is_ok_and(|bytes| in_object(&name, bytes, place))
        }),
        Err(_) => in_object(&file.name, &file.bytes, place),
    })
}

fn in_object(file: &str, bytes: &[u8], place: &str) -> bool {
    let Some(rest) = place.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    let Some((section, offset)) = rest.rsplit_once("+0x") else { return false };
    let Ok(offset) = u64::from_str_radix(offset, 16) else { return false };
    let (name, nth) = match section.rsplit_once('#') {
        Some((name, nth)) => (name, nth.parse().unwrap_or(0)),
        None => (section, 0),
    };
    let Ok(elf) = File::parse(bytes) else { return false };
    let found = elf.sections().filter(|section| section.name() == Ok(name)).nth(nth);
    let Some(section) = found else { return false };
    let data = section.data().unwrap_or_default();
    let records: Vec<(u64, u32, RelocationTarget)> = section
        .relocations()
        .filter_map(|(at, relocation)| match relocation.flags() {
            RelocationFlags::Elf { r_type } => Some((at, r_type.0, relocation.target())),
            _ => None,
        })
        .collect();
    let symbol = records.iter().find(|record| record.0 == offset).map(|record| record.2);
    let beside =
        records.iter().filter(|(at, _, to)| at.abs_diff(offset) <= NEAR && Some(*to) == symbol);
    beside.into_iter().any(|(at, r_type, _)| {
        let at = usize::try_from(*at).unwrap_or(usize::MAX);
        let word = data.get(at..).and_then(|rest| rest.first_chunk());
        word.is_some_and(|word| u32::from_le_bytes(*word) & field(*r_type) != 0)
    })
}

/// Where a relocation of this type goes in an instruction: AAELF64 §5.7.6 and on.
fn field(r_type: u32) -> u32 {
    match r_type {
        // MOVZ, MOVN, MOVK.
        263..=270
        | 287..=293
        | 300..=308
        | 515
        | 516
        | 520
        | 521
        | 523..=527
        | 539
        | 540
        | 544..=548
        | 565
        | 566 => 0x001f_ffe0,
        // LDR (literal), B.cond.
        273 | 280 | 309 | 522 | 543 | 560 => 0x00ff_ffe0,
        // ADR, ADRP.
        274..=276 | 311 | 512 | 513 | 517 | 518 | 541 | 561 | 562 => 0x60ff_ffe0,
        // TBZ, TBNZ.
        279 => 0x0007_ffe0,
        // B, BL.
        282 | 283 => 0x03ff_ffff,
        // ADD, LDR, STR.
        277
        | 278
        | 284..=286
        | 299
        | 310
        | 312
        | 313
        | 514
        | 519
        | 528..=538
        | 542
        | 549..=559
        | 563
        | 564 => 0x003f_fc00,
        _ => 0,
    }
}
