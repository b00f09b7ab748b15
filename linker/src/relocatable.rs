//! `-r`: the objects of a link → one object that a later link can take in their stead.
//!
//! Sections of one name, kind and flags follow each other; COMDAT groups stay groups, and what else
//! must stay apart stays apart. Relocations keep their type and move with their section. No address
//! is known here, so nothing is scanned, relaxed, merged by content or defined by the linker.

mod emit;
mod parts;
mod symbols;

use crate::arch::Arch;
use crate::link::Link;
use crate::object::{Object, SymId};
use crate::options::{Expression, Options};
use crate::resolve::{Resolution, rank};
use crate::symbols::DefsymOrder;
use crate::{Error, ErrorKind, Errors, Report, Sink, output};

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
    order: DefsymOrder<'w>,
    parts: Vec<Part<'w>>,
    groups: Vec<Group>,
    /// For each section of the link its part and its offset there; no part for what is left out.
    places: Vec<(u32, u64)>,
    /// `e_flags`.
    flags: u32,
}

/// No part.
const NOWHERE: u32 = u32::MAX;

/// Writes the object; `bytes` is the size of all inputs together.
///
/// Errors: `bad-input` for malformed properties, `wrong-machine` for objects that don't go together, `usage`
/// for absurd sizes, `reloc-overflow` for addends that their fields don't hold, `io`.
pub fn write(link: &mut Link<'_>, sink: &mut dyn Sink, bytes: u64) -> Result<Report, Errors> {
    let removed = crate::gc::collect(link);
    let (res, options, arch) = (&link.res, link.options, link.arch);
    let objects = res.objects().map(|(_, object)| object).collect();
    let places = vec![(NOWHERE, 0); res.section_count];
    let order = check_defsyms(res, options)?;
    let (parts, groups) = (Vec::new(), Vec::new());
    let mut work = Work { res, options, arch, objects, order, parts, groups, places, flags: 0 };
    parts::gather(&mut work)?;
    let table = symbols::collect(&work);
    let image = emit::plan(&mut work, table);
    let out = output::allocate(sink, image.size, bytes)?;
    emit::write(&work, &image, out)?;
    Ok(Report { removed, ..Report::default() })
}

/// No address is known here: a `--defsym` can only be a number, or what an object defines in a section.
///
/// Errors: `usage`, `undefined-symbol`.
fn check_defsyms<'o>(
    res: &Resolution<'_>,
    options: &'o Options,
) -> Result<DefsymOrder<'o>, Errors> {
    let order = DefsymOrder::new(options)?;
    let mut errors = Vec::new();
    for (at, defsym) in options.defsyms.iter().enumerate() {
        let error = match (&defsym.value, defsym.value.as_alias()) {
            (Expression::Number(_), _) => continue,
            (_, None) => {
                let text = "with -r only a number or SYMBOL+NUMBER is known";
                Error::new(ErrorKind::Usage, format!("--defsym {}: {text}", defsym.name))
            }
            (_, Some((target, _))) => {
                let id = res.find(target.as_bytes());
                let is_placed = |id: SymId| {
                    res.defs[id.i()].is_local() && res.defs[id.i()].rank() != rank::COMMON
                };
                if order.seen(at, target).is_some() || id.is_some_and(is_placed) {
                    continue;
                }
                let text = format!("undefined symbol: {target}, in --defsym {}", defsym.name);
                Error::new(ErrorKind::UndefinedSymbol, text)
            }
        };
        errors.push(error);
    }
    Errors::collect(errors).map_or(Ok(order), Err)
}

#[cfg(test)]
mod tests;
