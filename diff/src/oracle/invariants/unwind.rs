//! .eh_frame_hdr: sorted, complete, and each entry its FDE's.

use std::collections::{BTreeMap, BTreeSet};

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};
use object::elf;

use super::Flaws;
use super::image::{Image, quad};

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    let Some(header) = image.segment(elf::PT_GNU_EH_FRAME.0) else { return };
    let Some(bytes) = image.range(header.vaddr, header.filesz) else { return };
    let Some(frames) = image.named(".eh_frame") else { return };
    let good = bytes.first() == Some(&1);
    flaws.check(good, ".eh_frame_hdr version", ".eh_frame_hdr", 0, "1");
    let encoding = bytes.get(1).copied().unwrap_or(0);
    // libgcc follows it as it says, through memory too: all linkers say "sdata4, from here".
    flaws.check(
        encoding == 0x1b,
        ".eh_frame_hdr pointer's encoding",
        ".eh_frame_hdr",
        encoding.into(),
        "DW_EH_PE_pcrel | sdata4",
    );
    if !good || bytes.get(1..4) != Some(&[0x1b, 0x03, 0x3b]) {
        return;
    }
    let relative = |base: u64, at: u64| {
        quad(bytes, at).map(|value| base.wrapping_add(i64::from(value as i32) as u64))
    };
    let pointer = relative(header.vaddr.wrapping_add(4), 4).unwrap_or(0);
    let good = pointer == frames.addr;
    flaws.check(good, ".eh_frame_hdr points elsewhere", ".eh_frame_hdr", pointer, ".eh_frame");
    let count = u64::from(quad(bytes, 8).unwrap_or(0));
    let fits = count.checked_mul(8).is_some_and(|size| size + 12 <= bytes.len() as u64);
    flaws.check(fits, ".eh_frame_hdr cut short", ".eh_frame_hdr", count, "as many entries");
    if !fits {
        return;
    }
    let table: Vec<(u64, u64)> = (0..count)
        .filter_map(|i| {
            Some((relative(header.vaddr, 12 + i * 8)?, relative(header.vaddr, 16 + i * 8)?))
        })
        .collect();
    for pair in table.windows(2) {
        let sorted = pair[0].0 <= pair[1].0;
        flaws.check(sorted, ".eh_frame_hdr not sorted", ".eh_frame_hdr", pair[1].0, "ascending");
    }
    let Some(fdes) = fdes(image, frames) else {
        flaws.check(false, ".eh_frame malformed", ".eh_frame", frames.addr, "records");
        return;
    };
    for (pc, at) in &table {
        let good = fdes.get(at).is_some_and(|(start, _)| start == pc);
        flaws.check(good, ".eh_frame_hdr entry is wrong", ".eh_frame_hdr", *pc, "its FDE's start");
    }
    let listed: BTreeSet<u64> = table.iter().map(|(_, at)| *at).collect();
    let missing = fdes.iter().find(|(at, (_, len))| *len > 0 && !listed.contains(at));
    if let Some((_, (pc, _))) = missing {
        flaws.check(false, ".eh_frame_hdr misses an FDE", ".eh_frame_hdr", *pc, "complete");
    }
}

/// FDE address → start and length of what it covers.
fn fdes(image: &Image<'_>, section: &super::image::Section) -> Option<BTreeMap<u64, (u64, u64)>> {
    let bytes = image.data(section)?;
    let mut frames = EhFrame::new(bytes, LittleEndian);
    frames.set_address_size(image.class.word() as u8);
    let bases = BaseAddresses::default().set_eh_frame(section.addr);
    let mut entries = frames.entries(&bases);
    let mut map = BTreeMap::new();
    while let Some(entry) = entries.next().ok()? {
        if let CieOrFde::Fde(partial) = entry {
            let fde = partial.parse(EhFrame::cie_from_offset).ok()?;
            let at = section.addr.wrapping_add(fde.offset() as u64);
            map.insert(at, (fde.initial_address(), fde.len()));
        }
    }
    Some(map)
}
