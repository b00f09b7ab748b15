//! What dyld writes when it loads an image: its fixups, chained or by opcodes → by address.
//!
//! It must not know who refers to the slots. What dyld would refuse is in [`Fixups::broken`].

mod chained;
mod opcodes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::image::File;

/// BIND_SPECIAL_DYLIB_* and chained ordinals that are no library's number.
pub(crate) const SELF: i64 = 0;
/// Search the main executable.
pub(crate) const MAIN: i64 = -1;
/// Search all images in load order.
pub(crate) const FLAT: i64 = -2;
/// Search all images that define it weakly: one definition for all.
pub(crate) const WEAK: i64 = -3;

/// A symbol that is looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bind {
    /// A library's number from 1, or one of the special ordinals.
    pub(crate) ordinal: i64,
    pub(crate) name: String,
    pub(crate) addend: i64,
    /// Weak import: nothing found is null.
    pub(crate) weak: bool,
    /// Bound at the first call.
    pub(crate) lazy: bool,
}

/// What a slot gets.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Fixup {
    /// An address of this image (before it slides).
    pub(crate) rebase: Option<u64>,
    /// What is looked up and overwrites that.
    pub(crate) bind: Option<Bind>,
    /// The name and addend of a coalesced look-up beside those (the weak table of the classic encoding).
    pub(crate) coalesce: Option<(String, i64)>,
}

/// All fixups of an image.
#[derive(Clone, Default, Debug)]
pub(crate) struct Fixups {
    pub(crate) map: BTreeMap<u64, Fixup>,
    /// Names of the weak table that only say that this image's definition is a strong one.
    pub(crate) strong: Vec<String>,
    /// Where each entry of the lazy table starts, and the slot that it binds.
    pub(crate) lazy: BTreeMap<u64, u64>,
    /// The image has chained fixups.
    pub(crate) chained: bool,
    /// The first thing that dyld would not take.
    pub(crate) broken: Option<String>,
}

impl Fixups {
    /// Reads all tables of `file`.
    pub(crate) fn read(file: &File<'_>) -> Self {
        let mut fixups = Self::default();
        if let Some(blob) = file.chains {
            fixups.chained = true;
            let result = match file.blob(blob) {
                Some(bytes) => chained::read(file, bytes, &mut fixups),
                None => Err("chained fixups are outside the file".into()),
            };
            fixups.note(result);
        }
        if let Some(info) = file.info {
            let result = opcodes::read(file, &info, &mut fixups);
            fixups.note(result);
        }
        if file.chains.is_some() && file.info.is_some() {
            fixups.note(Err("fixups are encoded in two ways".into()));
        }
        if !file.slides() {
            fixups.stay(file);
        }
        fixups.check(file);
        fixups
    }

    /// In an image that stays where it is a lazy slot has its helper's address without a rebase.
    fn stay(&mut self, file: &File<'_>) {
        let lazy = |fixup: &Fixup| fixup.bind.as_ref().is_some_and(|bind| bind.lazy);
        for (address, fixup) in self.map.iter_mut().filter(|(_, fixup)| lazy(fixup)) {
            fixup.rebase = fixup.rebase.or_else(|| file.word(*address));
        }
    }

    /// The address in the slot at `address`, as far as it is this image's.
    pub(crate) fn held(&self, file: &File<'_>, address: u64) -> Option<u64> {
        match self.at(address) {
            Some(fixup) => fixup.rebase,
            None => file.word(address).filter(|_| !file.slides()),
        }
    }

    fn note(&mut self, result: Result<(), String>) {
        if let Err(text) = result {
            self.broken.get_or_insert(text);
        }
    }

    /// Slots must be in writable memory and apart from each other.
    fn check(&mut self, file: &File<'_>) {
        let mut end = 0;
        let mut wrong = None;
        for address in self.map.keys() {
            let inside = file.at(*address).filter(|s| s.size - (address - s.address) >= 8);
            wrong = match inside {
                None => Some("a fixup outside the image"),
                Some(segment) if !segment.writable() => Some("a fixup in read-only memory"),
                Some(_) if *address < end => Some("fixups that overlap"),
                Some(_) => None,
            };
            if wrong.is_some() {
                break;
            }
            end = address.saturating_add(8);
        }
        self.note(wrong.map_or(Ok(()), |text| Err(text.into())));
    }

    /// The fixup of the slot at `address`.
    pub(crate) fn at(&self, address: u64) -> Option<&Fixup> {
        self.map.get(&address)
    }

    /// Slots that have bytes of `start..end`.
    pub(crate) fn within(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &Fixup)> {
        let range = if start < end { start.saturating_sub(7)..end } else { 0..0 };
        self.map.range(range).map(|(address, fixup)| (*address, fixup))
    }

    /// Adds a rebase; the same slot twice is a fault.
    fn rebase(&mut self, address: u64, target: u64) {
        let fixup = self.map.entry(address).or_default();
        if fixup.rebase.replace(target).is_some() {
            self.note(Err("a slot is rebased twice".into()));
        }
    }

    /// Adds a bind; the same slot twice is a fault.
    fn bind(&mut self, address: u64, bind: Bind) {
        let fixup = self.map.entry(address).or_default();
        if fixup.bind.replace(bind).is_some() {
            self.note(Err("a slot is bound twice".into()));
        }
    }
}
