//! Writes `.eh_frame` as planned: records copied, relocated like everything else, FDEs pointed at
//! their CIEs.

use super::eh_frame_hdr::{self, Entry};
use crate::error::{Error, ErrorKind};
use crate::layout::Made;
use crate::link::Link;
use crate::relocate::{self, Yield};

/// Writes the section; lists its FDEs for the search table, if there is one.
pub fn write(link: &Link<'_>, buf: &mut [u8], yields: &mut Yield) -> Vec<Entry> {
    let base = link.out_of(Made::EhFrame).map_or(0, |o| o.addr);
    for kept in &link.plan.eh.kept {
        let member = &link.plan.eh_inputs[kept.input as usize];
        let data = link.object(member.file).section_data(member.index);
        let at = kept.offset as usize;
        let out = &mut buf[at..at + kept.record.size as usize];
        out.copy_from_slice(kept.record.bytes(data));
        if let Some(cie) = kept.cie {
            let field = usize::from(kept.record.id_at);
            let distance = kept.offset + field as u64 - cie;
            out[field..field + 4].copy_from_slice(&(distance as u32).to_le_bytes());
        }
        let part = (kept.record.offset.into(), kept.relocations());
        relocate::record(link, member, part, base.wrapping_add(kept.offset), out, yields);
    }
    if link.out_of(Made::EhFrameHdr).is_none() {
        return Vec::new();
    }
    eh_frame_hdr::collect(buf, base, link.arch.word() as usize).unwrap_or_else(|malformed| {
        let error = Error::new(ErrorKind::BadInput, malformed.text);
        yields.errors.push(error.in_file(".eh_frame"));
        Vec::new()
    })
}
