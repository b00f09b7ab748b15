//! Objective-C's remarks on objects (`__objc_imageinfo`) → one for the image: its runtime reads no other. Must not know
//! what else objects have for it.
//!
//! Spec: objc4, `struct objc_image_info`: a version, 0, and flags; Swift's version in bits 8 to 15, that of its language
//! in bits 16 to 31.

use super::link::Link;
use super::object::NONE;
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

/// Makes one remark of all: the first, in the place of which the others are used.
///
/// Errors: `bad-input` for what is no remark, and for objects by different versions of Swift.
pub fn merge(link: &mut Link<'_>) -> Result<(), Errors> {
    let mut errors = Vec::new();
    // Where Swift's version was said first.
    let mut swift = None;
    for at in 0..link.atoms.len() as u32 {
        let atom = link.atoms[at as usize];
        let Some(object) = link.files.get(atom.file as usize) else { continue };
        let header = &object.sections[atom.section as usize].header;
        if header.name != b"__objc_imageinfo" || atom.size == 0 || !link.is_kept(at) {
            continue;
        }
        let site = object.site(atom.section, atom.start);
        let fail = |text: String| Error::new(ErrorKind::BadInput, text).at(site.clone());
        let data = Bytes(link.data(&atom));
        let (Ok(0), Ok(flags), SIZE) = (data.u32(0), data.u32(4), atom.size) else {
            errors.push(fail(format!("{} bytes that are no remark for Objective-C", atom.size)));
            continue;
        };
        let said = flags >> 8 & 0xff;
        match &swift {
            _ if said == 0 => {}
            None => swift = Some((said, object.name.to_owned())),
            Some((version, _)) if *version == said => {}
            Some((version, other)) => {
                let text = format!("is by version {said} of Swift's ABI, {other} by {version}");
                errors.push(fail(text));
            }
        }
        match &mut link.info {
            None => link.info = Some(Info { atom: at, flags: flags & (CLASS_PROPERTIES | !0xff) }),
            Some(info) => {
                info.flags = both(info.flags, flags);
                let first = info.atom;
                link.atoms[at as usize].forward = first;
            }
        }
    }
    debug_assert!(link.info.is_none_or(|info| link.atoms[info.atom as usize].forward == NONE));
    Errors::collect(errors).map_or(Ok(()), Err)
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
    image[at + 4..at + SIZE as usize].copy_from_slice(&flags.to_le_bytes());
}
