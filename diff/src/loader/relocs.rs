//! Dynamic relocation tables → one list of slots, sorted by address, each with a neutral kind.
//!
//! It must not know what symbols mean.

use super::Dynamic;
use super::image::Image;
use crate::class::RawReloc;
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
    // Of two tables one is of the wrong form, and `dynamic.broken` says so.
    let (mut start, mut size) = if machine.rel { dynamic.rel } else { dynamic.rela };
    // It may cover DT_JMPREL, at its end.
    if plt_size > 0 && plt >= start && plt.wrapping_add(plt_size) == start.wrapping_add(size) {
        size = plt - start;
    }
    if size == 0 {
        start = 0;
    }
    let entry = image.class.reloc_size(!machine.rel);
    for (address, size, is_plt) in [(start, size, false), (plt, plt_size, true)] {
        if size == 0 {
            continue;
        }
        let Some(table) = image.slice(address, size).filter(|_| size % entry == 0) else {
            broken = Some(format!("a {} table that is not all there", machine.table()));
            continue;
        };
        let forced = if is_plt { 0 } else { dynamic.relative_count };
        for (i, raw) in image.class.relocs(table, !machine.rel).enumerate() {
            let RawReloc { offset: address, symbol, .. } = raw;
            // The first DT_RELACOUNT are taken as R_*_RELATIVE unread (glibc's elf_dynamic_do_Rela).
            let r_type = if (i as u64) < forced { machine.relative } else { raw.r_type };
            if r_type == machine.relative && (raw.r_type, symbol) != (r_type, 0) {
                broken = Some("a relative relocation that isn't, or has a symbol".to_owned());
            }
            let Some((kind, size)) = (machine.dynamic)(r_type) else { continue };
            let symbol = if kind == Kind::Relative { 0 } else { symbol };
            let addend = match raw.addend {
                Some(addend) => addend as u64,
                None => in_place(image, kind, address, size, symbol),
            };
            let plt_index = is_plt.then_some(i as u32);
            list.push(DynReloc { address, kind, size, symbol, addend, plt_index });
        }
    }
    if relr(image, dynamic.relr, &mut list).is_none() {
        broken = Some("a RELR table that is not all there".to_owned());
    }
    list.sort_by_key(|reloc| reloc.address);
    (list, broken)
}

/// The addend of a relocation without one of its own: what its place holds, if its kind counts that.
pub(super) fn in_place(image: &Image<'_>, kind: Kind, address: u64, size: u8, symbol: u32) -> u64 {
    let field = |size| image.number(address, size).unwrap_or(0);
    match kind {
        Kind::GlobDat | Kind::JumpSlot | Kind::Copy | Kind::DtpMod | Kind::Unknown => 0,
        // The first word is the argument; of a symbol bound lazily it has the index (bfd's elf32-arm).
        Kind::TlsDesc if symbol != 0 => 0,
        Kind::TlsDesc => field(size / 2),
        _ => field(size),
    }
}

/// Spec: gABI, "Relative relocation table".
fn relr(image: &Image<'_>, (address, size): (u64, u64), list: &mut Vec<DynReloc>) -> Option<()> {
    if size == 0 {
        return Some(());
    }
    let word = image.class.word();
    let table = image.slice(address, size).filter(|_| size % word == 0)?;
    let bits = 8 * word - 1;
    let mut next = 0_u64;
    let mut push = |address: u64| {
        if let Some(addend) = image.word(address) {
            let (kind, size) = (Kind::Relative, word as u8);
            list.push(DynReloc { address, kind, size, symbol: 0, addend, plt_index: None });
        }
    };
    for raw in table.chunks_exact(word as usize) {
        let entry = image.class.word_at(raw, 0)?;
        if entry & 1 == 0 {
            push(entry);
            next = entry.wrapping_add(word);
        } else {
            for bit in 0..bits {
                if entry >> (bit + 1) & 1 != 0 {
                    push(next.wrapping_add(word * bit));
                }
            }
            next = next.wrapping_add(bits * word);
        }
    }
    Some(())
}
