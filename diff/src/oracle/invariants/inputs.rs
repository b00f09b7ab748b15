//! Input sections in the output: found by their markers, aligned, whole, apart, and not twice.

use std::collections::HashMap;

use object::{Object as _, ObjectSection as _, SectionFlags};

use super::Flaws;
use super::image::{ALLOC, Image};
use crate::Request;
use crate::model::{MARKER_MAGIC, archive};

/// An input section that starts with a marker.
pub(in crate::oracle) struct Marked {
    pub(in crate::oracle) name: String,
    pub(in crate::oracle) size: u64,
    align: u64,
}

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let marked = marked(request);
    if marked.is_empty() {
        return;
    }
    let mut placed: Vec<(u64, &Marked)> = Vec::new();
    for load in image.loads() {
        let Some(bytes) = image.range(load.vaddr, load.filesz) else { continue };
        for at in memchr::memmem::find_iter(bytes, &MARKER_MAGIC) {
            let Some(key) = bytes.get(at + 8..at + 16) else { continue };
            let Some(input) = marked.get(key) else { continue };
            placed.push((load.vaddr.wrapping_add(at as u64), input));
        }
    }
    placed.sort_by_key(|(addr, _)| *addr);
    for (addr, input) in &placed {
        let good = input.align < 2 || addr.is_multiple_of(input.align);
        flaws.check(
            good,
            "input section misaligned",
            &input.name,
            *addr,
            "a multiple of its alignment",
        );
    }
    for pair in placed.windows(2) {
        let ((addr, input), (next, _)) = (&pair[0], &pair[1]);
        let apart = addr.saturating_add(input.size) <= *next;
        flaws.check(apart, "input sections overlap", &input.name, *next, "disjoint");
    }
    let mut seen = std::collections::HashSet::new();
    for (addr, input) in &placed {
        // Sections of one object may share a name: the marker is what they are known by.
        let fresh = seen.insert(std::ptr::from_ref(*input));
        flaws.check(fresh, "input section twice", &input.name, *addr, "once");
    }
}

/// The marked sections of the request's objects and of members of its archives, by marker.
pub(in crate::oracle) fn marked(request: &Request) -> HashMap<[u8; 8], Marked> {
    let mut map = HashMap::new();
    for (file, bytes) in archive::contents(request) {
        let Ok(elf) = object::File::parse(bytes) else { continue };
        if elf.kind() != object::ObjectKind::Relocatable {
            continue;
        }
        for section in elf.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            let Ok(data) = section.data() else { continue };
            let Some(key) = data.strip_prefix(&MARKER_MAGIC).and_then(|rest| rest.get(..8)) else {
                continue;
            };
            if sh_flags.0 & ALLOC == 0 {
                continue;
            }
            let name = format!("{file}:{}", section.name().unwrap_or_default());
            let marked = Marked { name, size: section.size(), align: section.align() };
            map.insert(key.try_into().unwrap_or_default(), marked);
        }
    }
    map
}
