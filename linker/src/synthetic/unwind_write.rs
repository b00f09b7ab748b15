//! Writes `.eh_frame` as planned: records copied, relocated, FDEs pointed at their CIEs.

use super::eh_frame_hdr::{self, Entry};
use crate::error::{Error, ErrorKind};
use crate::layout::Made;
use crate::link::Link;
use crate::object::{Home, Object, Reloc};
use crate::scan::site;

/// Writes the section and lists its FDEs for the search table.
pub fn write(link: &Link<'_>, buf: &mut [u8]) -> (Vec<Entry>, Vec<Error>) {
    let base = link.out_of(Made::EhFrame).map_or(0, |o| o.addr);
    let mut errors = Vec::new();
    for kept in &link.plan.eh.kept {
        let member = &link.plan.eh_inputs[kept.input as usize];
        let object = link.object(member.file);
        let data = object.section_data(member.index);
        let at = kept.offset as usize;
        let out = &mut buf[at..at + kept.record.size as usize];
        out.copy_from_slice(kept.record.bytes(data));
        if let Some(cie) = kept.cie {
            let field = usize::from(kept.record.id_at);
            let distance = kept.offset + field as u64 - cie;
            out[field..field + 4].copy_from_slice(&(distance as u32).to_le_bytes());
        }
        let relocs = object.relocs(member.index);
        for index in kept.relocs.0..kept.relocs.0 + kept.relocs.1 {
            let Some(r) = relocs.get(index as usize) else { continue };
            let Some(row) = (link.arch.row)(r.kind) else { continue };
            let within = (r.offset - u64::from(kept.record.offset)) as usize;
            let place = base + kept.offset + within as u64;
            let fits = within + row.field.len() as usize <= out.len();
            let id = object.id(r.sym);
            let target = target(link, object, &r);
            let value = match row.expr {
                crate::arch::Expr::Abs => target,
                crate::arch::Expr::Pc | crate::arch::Expr::Plt => target.wrapping_sub(place as i64),
                crate::arch::Expr::GotPc => (link.got_address(link.plan.slots(id).got) as i64)
                    .wrapping_add(r.addend)
                    .wrapping_sub(place as i64),
                crate::arch::Expr::Nothing => continue,
                _ => {
                    let text = format!("{} in unwind tables", row.name);
                    let error = Error::new(ErrorKind::RelocUnsupported, text);
                    errors.push(error.at(site(object, member.index, r.offset)));
                    continue;
                }
            };
            if !fits || !row.range.holds(value) {
                let text = format!("{}: value {value:#x} is outside {}", row.name, row.range);
                let error = Error::new(ErrorKind::RelocOverflow, text);
                errors.push(error.at(site(object, member.index, r.offset)));
                continue;
            }
            row.field.write(&mut out[within..], value);
        }
    }
    match eh_frame_hdr::collect(buf, base, link.arch.word as usize) {
        Ok(entries) => (entries, errors),
        Err(malformed) => {
            errors.push(Error::new(ErrorKind::BadInput, malformed.text).in_file(".eh_frame"));
            (Vec::new(), errors)
        }
    }
}

/// `S + A`; in a merged section that of the piece it selects.
fn target(link: &Link<'_>, object: &Object<'_>, r: &Reloc) -> i64 {
    let id = object.id(r.sym);
    let symbol = object.symbols.get(r.sym);
    if let (Home::Section(s), true) =
        (symbol.home, link.attrs[id.i()] & crate::link::attr::MERGED != 0)
    {
        let offset = symbol.value.wrapping_add(r.addend as u64);
        return link.section_address(object.sec(s), offset).unwrap_or(0) as i64;
    }
    (link.addrs[id.i()] as i64).wrapping_add(r.addend)
}
