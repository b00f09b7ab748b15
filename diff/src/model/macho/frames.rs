//! `__eh_frame` of the image → what an FDE says, for functions whose unwinding is in DWARF.
//!
//! It must not know how the FDE was found.

use super::judge::{Judge, Reference, Use};
use crate::bytes::u32_at;
use crate::class::Class;
use crate::model::elf::frame;

/// What the FDE at `offset` of `__eh_frame`, which must be for the function at `address`, has an unwinder do.
pub(super) fn tell(judge: &Judge<'_, '_>, offset: u32, address: u64) -> String {
    let file = judge.file;
    let section = file.sections.iter().find(|section| section.name == "__eh_frame");
    let Some(section) = section else { return "dwarf without __eh_frame".to_owned() };
    let record = |at: u64| {
        let length = file.u32(at).filter(|length| (4..u32::MAX).contains(length))?;
        file.slice(at.wrapping_add(4), length.into())
    };
    let fde = section.address.wrapping_add(offset.into());
    let told = || {
        let bytes = record(fde)?;
        let back = u64::from(u32_at(bytes, 0)?);
        let cie_at = fde.wrapping_add(4).wrapping_sub(back);
        let cie = frame::cie(Class::Elf64, record(cie_at)?)?;
        let said = frame::fde(Class::Elf64, bytes, &cie, fde.wrapping_add(4))?;
        if said.start != address {
            return Some("dwarf for another function".to_owned());
        }
        let lsda = said.lsda.map_or("none".to_owned(), |lsda| super::unwind::place(judge, lsda));
        let mut text = format!("dwarf len={} aug={} lsda={lsda}", said.length, cie.augmentation);
        if let Some((encoding, at)) = cie.personality {
            let place = cie_at.wrapping_add(4).wrapping_add(at);
            let pointer = encoding & 0x7f;
            let value =
                frame::pointer(Class::Elf64, record(cie_at)?, &mut at.clone(), pointer, place)?;
            let slot = encoding & 0x80 != 0;
            let found = if slot { judge.slot(value) } else { super::judge::Found::Address(value) };
            let found = judge.settle(found, Reference::NONE, Use::Address);
            text.push_str(&format!(" personality={found}"));
        }
        let (code, data, register) = cie.factors;
        let frame = frame::digest(&cie, said.instructions);
        text.push_str(&format!(" cfa={code},{data},{register} frame={frame:016x}"));
        Some(text)
    };
    told().unwrap_or_else(|| "dwarf unreadable".to_owned())
}
