//! The data of a Go plugin: each marked section has its head first, its tail last, and symbols by size between.
//!
//! The order is what a linker was asked for, by a mode or by an order file.

use super::super::Flaws;
use super::Image;
use crate::Request;
use crate::desugar::macho::{Name, Row, rows};

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    for row in rows(request) {
        let found = found(&row, image);
        for pair in found.windows(2) {
            let [(name, address), (next, after)] = pair else { continue };
            if name.is_free(next) {
                continue;
            }
            let (text, next) = (format!("after {}", name.name), &next.name);
            // What has no bytes is where the next one is.
            flaws.check(address <= after, "order of a plugin's data", next, *after, &text);
        }
        let (head, tail) = (row.marker.0, row.marker.1);
        let section = |at: u64| image.file.sections.iter().find(|section| section.has(at));
        let found = found.iter().map(|(name, address)| (&*name.name, *address));
        let last = found.clone().next_back();
        for (name, address) in found.filter(|(name, _)| *name == head || *name == tail) {
            let Some(section) = section(address) else { continue };
            let right = match name == head {
                true => address == section.address,
                false => last.is_some_and(|last| last.0 == name),
            };
            flaws.check(right, "bound of a plugin's section", name, address, "at its end");
        }
    }
}

/// Names that are one symbol of the image, in the order that they must have, and where they are.
fn found<'r>(row: &'r Row, image: &Image<'_>) -> Vec<(&'r Name, u64)> {
    let address = |name: &str| {
        let mut symbols = image.file.symbols.iter().filter(|s| s.in_section() && s.name == name);
        let (first, second) = (symbols.next()?, symbols.next());
        second.is_none().then_some(first.value)
    };
    // Of copies of a name one is kept, where that one was.
    let names = row.names.iter().filter(|name| name.alone);
    names.filter_map(|name| Some((name, address(&name.name)?))).collect()
}
