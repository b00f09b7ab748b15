//! Build attributes: those of all objects → those of the output, and its `e_flags`.
//!
//! Must not know what an attribute means: the machine merges them.

use crate::arch::Arch;
use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::tables::u32_at;
use crate::object::Object;
use crate::options::Options;

/// The bytes of the output's attributes, empty if it has none, and its `e_flags`.
///
/// Errors: `wrong-machine` for objects that don't go together, `bad-input`.
pub fn merge<'o, 'a: 'o>(
    arch: &Arch,
    options: &Options,
    objects: impl Iterator<Item = &'o Object<'a>>,
) -> Result<(Vec<u8>, u32), Errors> {
    let Some(attributes) = arch.attributes else { return Ok((Vec::new(), 0)) };
    let at = arch.class.header_offsets().flags;
    let objects: Vec<(&Object<'_>, Option<u32>)> = objects
        .map(|object| {
            let kind = |index: &u32| object.sections.get(*index).kind == attributes.kind;
            (object, (1..object.sections.len()).find(kind))
        })
        .collect();
    let inputs: Vec<(u32, Option<&[u8]>)> = objects
        .iter()
        .map(|(object, index)| {
            (u32_at(object.data, at), index.map(|index| object.section_data(index)))
        })
        .collect();
    let merged = (attributes.merge)(&inputs);
    let mut errors = Vec::new();
    let site = |at: usize, offset: u64| {
        let (object, index) = objects[at];
        let site = crate::scan::site(object, index.unwrap_or(0), offset);
        crate::Site { section: site.section.filter(|_| index.is_some()), ..site }
    };
    for (at, malformed) in merged.malformed {
        let error = Error::new(ErrorKind::BadInput, malformed.text);
        errors.push(error.at(site(at, malformed.offset)));
    }
    for (at, text) in merged.complaints.into_iter().filter(|_| options.mismatches) {
        errors.push(Error::new(ErrorKind::WrongMachine, text).at(site(at, 0)));
    }
    Errors::collect(errors).map_or(Ok((merged.bytes, merged.flags)), Err)
}
