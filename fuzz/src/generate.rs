//! Random bytes → a case that a correct linker must take, whose meaning the specs decide.
//!
//! A case is planned as a *world*: entities (what names stand for), where each is defined, what
//! refers to what. Only then is it written out as objects, archives, libraries and options. Few bytes
//! give a small case, and a changed byte a changed detail. What specs leave open is not made, or
//! marks the case. Nothing here must know what a linker makes of it.

mod archives;
mod code;
mod data;
mod dice;
mod init;
pub mod macho;
pub mod matrix;
pub mod modules;
mod options;
mod parts;
mod sections;
pub mod sweep;
mod symbols;
#[cfg(test)]
mod tests;
mod unwind;
mod versions;
mod world;
pub mod worlds;

use scold_diff::request::Format;
use scold_diff::{Mode, Target};

use crate::Case;
use crate::case::{Data, Input, Marker, Section, SectionFlags, SectionKind};
use crate::config::Config;
use crate::emit::unique;

pub use dice::Dice;
use world::World;

/// How many random bytes a seeded case is made from.
const BYTES: usize = 4096;

/// The case that `bytes` describe; any bytes describe one.
pub fn from_bytes(bytes: &[u8], target: Target, mode: Option<Mode>) -> Case {
    let mut dice = Dice::new(bytes);
    let mode = mode.unwrap_or_else(|| *dice.pick(Mode::ALL));
    let config = Config::draw(&mut dice);
    generate(&mut dice, &config, target, mode)
}

/// Case number `index` of the stream `seed`.
pub fn seeded(seed: u64, index: u64, target: Target, mode: Mode) -> Case {
    from_bytes(&bytes(seed, index), target, Some(mode))
}

/// The random bytes of case number `index` of the stream `seed`.
pub fn bytes(seed: u64, index: u64) -> Vec<u8> {
    let start = unique(unique(seed) ^ index);
    let words = (0..BYTES as u64 / 8).map(|i| unique(start.wrapping_add(i)));
    words.flat_map(u64::to_le_bytes).collect()
}

/// A case with what `config` allows.
pub fn generate(dice: &mut Dice<'_>, config: &Config, target: Target, mode: Mode) -> Case {
    if target.format == Format::Macho {
        return macho::random::generate(dice, target, mode);
    }
    let mut world = World::new(config, target, mode);
    world.choose_objects(dice);
    world.choose_entities(dice);
    world.define_entities(dice);
    world.add_sections(dice);
    world.add_versions(dice);
    world.choose_options(dice);
    world.add_code(dice);
    world.add_data(dice);
    world.add_init(dice);
    world.add_entry(dice);
    world.add_unwind(dice);
    world.finish(dice)
}

/// `case` with so many more sections in its first object that indexes need SHN_XINDEX.
///
/// Its own function rather than a knob: one such case takes as long as a thousand others.
pub fn many_sections(mut case: Case) -> Case {
    let object = case.inputs.iter_mut().find_map(|input| match input {
        Input::Object(object) => Some(object),
        _ => None,
    });
    if let Some(object) = object {
        // At the end, so that no index changes; what comes after the symbols' sections counts.
        let first = object.sections.len();
        object.sections.extend((0..0xff00).map(|i| filler(first + i)));
    }
    case
}

fn filler(number: usize) -> Section {
    Section {
        name: format!(".rodata.z{number}"),
        kind: SectionKind::Progbits,
        flags: SectionFlags { alloc: true, ..SectionFlags::default() },
        align: 1,
        entsize: 0,
        marker: Marker::Head,
        data: Data::Bytes(Vec::new()),
        relocs: Vec::new(),
        link_order: None,
    }
}
