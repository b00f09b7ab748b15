//! Dynamic relocation tables → one list of slots, sorted by address, each with a neutral kind.
//!
//! It must not know what symbols mean.

use super::Dynamic;
use super::image::Image;
use crate::bytes::{number, u64_at};
use crate::model::elf::machine::Machine;

/// What a dynamic relocation puts into its slot, in a loader's terms (S, A, B, P as in the psABI).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// B + A.
    Relative,
    /// S + A.
    Symbol,
    /// S + A into 4 bytes, zero-extended; or sign-extended.
    Symbol32,
    /// S + A - P into 4 bytes.
    Pc32,
    /// S of a GOT slot.
    GlobDat,
    /// S of a PLT's GOT slot, lazily unless told otherwise.
    JumpSlot,
    /// The library's bytes of S, copied.
    Copy,
    /// What the function at B + A returns.
    Irelative,
    /// The module id of S.
    DtpMod,
    /// S + A as an offset in its module's TLS block.
    DtpOff,
    /// S + A as an offset from the thread pointer.
    TpOff,
    /// A TLS descriptor of S + A.
    TlsDesc,
    /// Z + A.
    Size,
    /// One that no loader knows.
    Unknown,
}

/// One dynamic relocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DynReloc {
    /// Where, before the load base.
    pub address: u64,
    /// What.
    pub kind: Kind,
    /// Bytes written.
    pub size: u8,
    /// Index into the dynamic symbol table; 0 is none.
    pub symbol: u32,
    /// A.
    pub addend: u64,
    /// The index in DT_JMPREL, for those.
    pub plt_index: Option<u32>,
}

/// All dynamic relocations, sorted by address; also what is wrong with their tables.
pub(super) fn read(
    image: &Image<'_>,
    machine: &Machine,
    dynamic: &Dynamic,
) -> (Vec<DynReloc>, Option<String>) {
    let mut list = Vec::new();
    let mut broken = None;
    let (plt, plt_size) = dynamic.plt;
    let (mut rela, mut size) = dynamic.rela;
    // DT_RELA may cover DT_JMPREL, at its end.
    if plt_size > 0 && plt >= rela && plt.wrapping_add(plt_size) == rela.wrapping_add(size) {
        size = plt - rela;
    }
    if size == 0 {
        rela = 0;
    }
    for (address, size, is_plt) in [(rela, size, false), (plt, plt_size, true)] {
        if size == 0 {
            continue;
        }
        let Some(table) = image.slice(address, size).filter(|_| size % 24 == 0) else {
            broken = Some("a RELA table that is not all there".to_owned());
            continue;
        };
        let forced = if is_plt { 0 } else { dynamic.relative_count };
        for (i, raw) in table.chunks_exact(24).enumerate() {
            let info = number(&raw[8..16]);
            // The first DT_RELACOUNT are taken as R_*_RELATIVE unread (glibc's elf_dynamic_do_Rela).
            let r_type = if (i as u64) < forced { machine.relative } else { info as u32 };
            if r_type == machine.relative && info != u64::from(machine.relative) {
                broken = Some("a relative relocation that isn't, or has a symbol".to_owned());
            }
            let Some((kind, size)) = (machine.dynamic)(r_type) else { continue };
            list.push(DynReloc {
                address: number(&raw[..8]),
                kind,
                size,
                symbol: if kind == Kind::Relative { 0 } else { (info >> 32) as u32 },
                addend: number(&raw[16..]),
                plt_index: is_plt.then_some(i as u32),
            });
        }
    }
    if relr(image, dynamic.relr, &mut list).is_none() {
        broken = Some("a RELR table that is not all there".to_owned());
    }
    list.sort_by_key(|reloc| reloc.address);
    (list, broken)
}

/// Spec: gABI, "Relative relocation table".
fn relr(image: &Image<'_>, (address, size): (u64, u64), list: &mut Vec<DynReloc>) -> Option<()> {
    if size == 0 {
        return Some(());
    }
    let table = image.slice(address, size).filter(|_| size % 8 == 0)?;
    let mut next = 0_u64;
    let mut push = |address: u64| {
        if let Some(addend) = image.u64(address) {
            let (kind, size) = (Kind::Relative, 8);
            list.push(DynReloc { address, kind, size, symbol: 0, addend, plt_index: None });
        }
    };
    for raw in table.chunks_exact(8) {
        let entry = u64_at(raw, 0)?;
        if entry & 1 == 0 {
            push(entry);
            next = entry.wrapping_add(8);
        } else {
            for bit in 0..63 {
                if entry >> (bit + 1) & 1 != 0 {
                    push(next.wrapping_add(8 * bit));
                }
            }
            next = next.wrapping_add(63 * 8);
        }
    }
    Some(())
}
