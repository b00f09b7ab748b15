//! Laid-out code → the instructions that have to move because of a processor's errata.
//!
//! What is data among code, mapping symbols say. Must not know which sequences are at fault.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::Member;
use super::thunks::Want;
use crate::arch::Erratum;
use crate::format::elf::SHF_EXECINSTR;
use crate::link::Link;
use crate::object::{FileId, Home, Object, c_string, kind};

/// The numbers of the errata the command line asks to avoid.
pub(super) fn asked(link: &Link<'_>) -> Vec<u8> {
    let asked = |erratum: &Erratum| {
        let mut flags = link.options.errata.iter().map(|flag| flag.trim_start_matches('-'));
        flags.any(|flag| flag == erratum.flag)
    };
    let numbers = (0..).zip(link.arch.errata).filter(|(_, erratum)| asked(erratum));
    numbers.map(|(number, _)| number).collect()
}

/// The instructions to move, with their places.
pub(super) fn sites(link: &Link<'_>, errata: &[u8]) -> Vec<(u64, Want)> {
    let mut found = Vec::new();
    let mut maps: FxHashMap<FileId, Map> = FxHashMap::default();
    for &number in errata {
        let erratum = &link.arch.errata[usize::from(number)];
        for out in link.outs.iter().filter(|o| o.is_alloc() && o.flags & SHF_EXECINSTR != 0) {
            let of = |member: &Member| {
                let base = out.addr.wrapping_add(link.sec_off[member.sec.i()]);
                let mut list = Vec::new();
                let code = link.object(member.file).section_data(member.index);
                (erratum.find)(code, base, &mut list);
                let site = |at| (base.wrapping_add(at), *member, at);
                list.into_iter().map(site).collect::<Vec<_>>()
            };
            let list: Vec<Vec<_>> = out.members.par_iter().map(of).collect();
            for (place, member, at) in list.into_iter().flatten() {
                let map = maps.entry(member.file).or_insert_with(|| map(link.object(member.file)));
                if is_code(map, member.index, at) {
                    found.push((place, Want::Moved(member, at, number)));
                }
            }
        }
    }
    found
}

/// By section and offset: whether code begins there, or data.
type Map = Vec<(u32, u64, bool)>;

fn map(object: &Object<'_>) -> Map {
    let mut map = Vec::new();
    for index in 1..object.first_global {
        let symbol = object.symbols.get(index);
        let Home::Section(section) = symbol.home else { continue };
        if symbol.kind != kind::NOTYPE {
            continue;
        }
        if let [b'$', letter, rest @ ..] = c_string(object.names, symbol.name)
            && matches!(rest, [] | [b'.', ..])
        {
            map.push((section, symbol.value, *letter != b'd'));
        }
    }
    map.sort_unstable();
    map
}

/// Whether byte `at` of the section is code: what no symbol says is, as the section's flags have it.
fn is_code(map: &Map, section: u32, at: u64) -> bool {
    let after = map.partition_point(|&(s, offset, _)| (s, offset) <= (section, at));
    after.checked_sub(1).map(|last| map[last]).is_none_or(|(s, _, code)| s != section || code)
}

/// Moves the instruction at the head of `rest`, at address `place`, to a stub at `at`; whether it still
/// had to, now that it is relocated.
pub(super) fn move_out(
    erratum: &Erratum,
    place: u64,
    at: u64,
    stub: &mut [u8],
    rest: &mut [u8],
) -> bool {
    let Some(old) = rest.first_chunk_mut::<4>() else { return false };
    let Some(branch) = (erratum.branch)(*old, at.wrapping_sub(place) as i64) else { return false };
    stub[..4].copy_from_slice(old);
    let reaches = (erratum.stub.write)(stub, at, place.wrapping_add(4));
    if reaches {
        *old = branch;
    }
    reaches
}
