//! Objective-C's remarks on objects (`__objc_imageinfo`) → one for the image: its runtime reads no other. Must not know
//! what else objects have for it.
//!
//! Spec: objc4, `struct objc_image_info`: a version, 0, and flags; Swift's version in bits 8 to 15, that of its language
//! in bits 16 to 31.

use super::link::Link;
use crate::format::macho::read::Bytes;
use crate::{Error, ErrorKind, Errors};

/// What all objects must have for the image to have it: class properties in categories.
const CLASS_PROPERTIES: u32 = 1 << 6;
/// Version and flags.
const SIZE: u64 = 8;

/// The one remark of the image.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    atom: u32,
    flags: u32,
}

/// Makes one remark of all: the first, in the place of which the others are used. One of an unknown version says
/// nothing, with a warning, as with ld64; several in one object are what others' `-r` makes.
///
/// Errors: `bad-input` for objects by different versions of Swift.
pub fn merge(link: &mut Link<'_>) -> Result<(), Errors> {
    let mut errors = Vec::new();
    // Where Swift's version was said first.
    let mut swift = None;
    for at in remarks(link) {
        let atom = link.atoms[at as usize];
        let object = &link.files[atom.file as usize];
        // Zeros that have no bytes are no remark.
        let data = Bytes(link.data(&atom));
        if atom.size < SIZE || data.0.is_empty() || !link.is_kept(at) {
            continue;
        }
        let site = object.site(atom.section, atom.start);
        let (mut own, mut strange) = (None, false);
        for start in (0..data.0.len() / SIZE as usize).map(|nth| nth * SIZE as usize) {
            let flags = match (data.u32(start), data.u32(start + 4)) {
                (Ok(0), Ok(flags)) => flags & (CLASS_PROPERTIES | !0xff),
                _ => 0,
            };
            strange |= data.u32(start) != Ok(0);
            own = Some(own.map_or(flags, |known| both(known, flags)));
            let said = flags >> 8 & 0xff;
            match &swift {
                _ if said == 0 => {}
                None => swift = Some((said, object.name.to_owned())),
                Some((version, _)) if *version == said => {}
                Some((version, other)) => {
                    let text = format!("is by version {said} of Swift's ABI, {other} by {version}");
                    errors.push(Error::new(ErrorKind::BadInput, text).at(site.clone()));
                    break;
                }
            }
        }
        if strange {
            link.warnings.push(format!("{site}: a remark for Objective-C of no known version"));
        }
        let flags = own.unwrap_or(0);
        match &mut link.info {
            None => {
                link.info = Some(Info { atom: at, flags });
                link.atoms[at as usize].size = SIZE;
            }
            Some(info) => {
                info.flags = both(info.flags, flags);
                link.atoms[at as usize].forward = info.atom;
            }
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// The atoms of all such sections.
fn remarks(link: &Link<'_>) -> Vec<u32> {
    let each = link.files.iter().flat_map(|object| {
        let sections = object.sections.iter().filter(|it| it.header.name == b"__objc_imageinfo");
        sections.flat_map(|it| it.atoms.clone()).map(|atom| object.first_atom + atom)
    });
    each.collect()
}

/// The flags of an image with objects of both: the oldest language of those in Swift.
fn both(one: u32, other: u32) -> u32 {
    let properties = one & other & CLASS_PROPERTIES;
    let least = |part: u32| match (one & part, other & part) {
        (0, some) | (some, 0) => some,
        (some, more) => some.min(more),
    };
    properties | least(0xff << 8) | least(0xffff << 16)
}

/// Writes it.
pub fn write(link: &Link<'_>, image: &mut [u8]) {
    let Some(Info { atom, flags }) = link.info else { return };
    let atom = &link.atoms[atom as usize];
    let out = &link.outs[atom.out as usize];
    let at = (out.offset + (atom.addr - out.addr)) as usize;
    image[at..at + SIZE as usize].copy_from_slice(&[[0; 4], flags.to_le_bytes()].concat());
}
