//! What an input's function or variable is made of: which sites lie in it.
//!
//! It must not know what is at a site.

use std::collections::HashMap;
use std::ops::Range;

use object::{File, Object as _, ObjectKind, ObjectSection as _, ObjectSymbol as _};

use super::shape::labelled;
use crate::Request;
use crate::model::archive;
use crate::model::elf::machine;

/// The symbols of a request's ELF objects that have a size.
pub(super) struct Reach {
    list: Vec<(String, String, Range<u64>)>,
}

impl Reach {
    /// Reads the objects and archives of `request`; what can't be read has none.
    pub(super) fn of(request: &Request) -> Self {
        let machine = machine::of(request.target.arch.machine());
        let state = machine.map_or(0, |machine| machine.state);
        let mut list = Vec::new();
        for (name, bytes) in archive::contents(request) {
            read(&name, bytes, state, &mut list);
        }
        Self { list }
    }

    /// Whether one of these wrong facts is of a site in what has this name: a function with one need not come back.
    pub(super) fn is_wrong<'k>(&self, name: &str, keys: impl IntoIterator<Item = &'k str>) -> bool {
        keys.into_iter().any(|key| self.has(name, key))
    }

    /// Whether the site that this key speaks of (`site.a.o:.text+0x14`) lies in what has this name.
    fn has(&self, name: &str, key: &str) -> bool {
        let site = key.strip_prefix("site.").and_then(|site| site.rsplit_once("+0x"));
        let Some((section, offset)) = site else { return false };
        let Ok(offset) = u64::from_str_radix(offset, 16) else { return false };
        let mut named = self.list.iter().filter(|(symbol, ..)| symbol == name);
        named.any(|(_, place, range)| place == section && range.contains(&offset))
    }
}

/// Adds the symbols of one object; `state` are bits of a value that are no part of the address.
fn read(file: &str, bytes: &[u8], state: u64, list: &mut Vec<(String, String, Range<u64>)>) {
    let Ok(elf) = File::parse(bytes) else { return };
    if elf.kind() != ObjectKind::Relocatable {
        return;
    }
    let labels = labelled(file, &elf).into_iter();
    let places: HashMap<_, _> = labels.map(|(label, section)| (section.index(), label)).collect();
    for symbol in elf.symbols().filter(|symbol| symbol.size() > 0) {
        let place = symbol.section_index().and_then(|index| places.get(&index));
        let (Some(place), Ok(name)) = (place, symbol.name()) else { continue };
        let start = symbol.address() & !state;
        let end = start.saturating_add(symbol.size());
        list.push((name.to_owned(), place.clone(), start..end));
    }
}

#[cfg(test)]
pub(crate) mod tests;
