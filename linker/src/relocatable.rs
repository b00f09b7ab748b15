//! `-r`: the objects of a link → one object that a later link can take in their stead.
//!
//! Sections of one name, kind and flags follow each other; COMDAT groups stay groups, and what else
//! must stay apart stays apart. Relocations keep their type and move with their section. No address
//! is known here, so nothing is scanned, relaxed, merged by content or defined by the linker.

mod emit;
mod parts;
mod symbols;

use crate::arch::Arch;
use crate::object::Object;
use crate::options::Options;
use crate::resolve::Resolution;
use crate::{Errors, Report, Sink, output};

/// A section of the output.
#[derive(Debug)]
struct Part<'a> {
    name: &'a [u8],
    kind: u32,
    flags: u64,
    align: u64,
    entsize: u64,
    size: u64,
    members: Vec<Member>,
    /// The group it belongs to.
    group: Option<usize>,
    /// SHF_LINK_ORDER: the part it goes with.
    link: Option<usize>,
    /// What it holds instead of its members.
    made: Option<Vec<u8>>,
    /// How many relocations its members have.
    relocs: usize,
    /// Its number in the section table; that of its relocations follows.
    index: u32,
}

/// An input section in a part.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Place of the object in [`Work::objects`].
    object: usize,
    section: u32,
    offset: u64,
}

/// A section group that stays.
#[derive(Debug)]
struct Group {
    object: usize,
    section: u32,
    signature: u32,
    comdat: bool,
    parts: Vec<usize>,
}

/// What the steps hand on.
struct Work<'w, 'a> {
    res: &'w Resolution<'a>,
    options: &'w Options,
    arch: &'static Arch,
    objects: Vec<&'w Object<'a>>,
    parts: Vec<Part<'w>>,
    groups: Vec<Group>,
    /// For each section of the link its part and its offset there; no part for what is left out.
    places: Vec<(u32, u64)>,
}

/// No part.
const NOWHERE: u32 = u32::MAX;

/// Writes the object; `bytes` is the size of all inputs together.
///
/// Errors: `bad-input` for malformed properties, `usage` for absurd sizes, `io`.
pub fn write(
    res: &Resolution<'_>,
    options: &Options,
    arch: &'static Arch,
    sink: &mut dyn Sink,
    bytes: u64,
) -> Result<Report, Errors> {
    let objects = res.objects().map(|(_, object)| object).collect();
    let places = vec![(NOWHERE, 0); res.section_count];
    let mut work =
        Work { res, options, arch, objects, parts: Vec::new(), groups: Vec::new(), places };
    parts::gather(&mut work)?;
    let table = symbols::collect(&work);
    let image = emit::plan(&mut work, table);
    let out = output::allocate(sink, image.size, bytes)?;
    emit::write(&work, &image, out);
    Ok(Report::default())
}

#[cfg(test)]
mod tests;
