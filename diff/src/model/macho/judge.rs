//! What a field, slot or address of the image leads to → the [`Meaning`] it has for its symbol.
//!
//! It must not know instructions or relocation types: those are decoded in `sites.rs` and the
//! machine's module. Addresses never get into texts: they differ between linkers.

use std::collections::BTreeSet;

use super::fixups::{Bind, FLAT, Fixup, Fixups, MAIN, SELF, WEAK};
use super::image::File;
use super::inputs::{Inputs, Spot};
use super::machine::{Machine, Way};
use super::places::Places;
pub(super) use crate::model::Use;
use crate::model::{Meaning, Place};

/// Everything known of one link.
pub(super) struct Judge<'j, 'a> {
    pub(super) machine: &'static Machine,
    pub(super) inputs: &'j Inputs<'a>,
    pub(super) places: &'j Places,
    pub(super) file: &'j File<'a>,
    pub(super) fixups: &'j Fixups,
    /// Names that the image exports.
    pub(super) exports: &'j BTreeSet<String>,
}

/// What the bits at a reference lead to, addend included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// An address of this image.
    Address(u64),
    /// A number that doesn't move.
    Number(u64),
    /// What looking this up gives, plus an addend.
    Symbol(String, u64),
    /// Nothing good.
    Bad(&'static str),
}

/// What a relocation names, as the inputs define it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference<'r> {
    pub(super) name: &'r str,
    pub(super) defs: &'r [Spot],
    /// No symbol but a section: the addend selects the piece of literals.
    pub(super) section: bool,
    pub(super) addend: i64,
}

impl Reference<'_> {
    /// No symbol: what is there by itself.
    pub(super) const NONE: Reference<'static> =
        Reference { name: "", defs: &[], section: false, addend: 0 };
}

/// How many thunks, islands and stubs may follow each other.
const MOST_HOPS: u8 = 16;

pub(super) fn bad(text: impl Into<String>) -> Meaning {
    Meaning::Bad(text.into())
}

impl Judge<'_, '_> {
    /// What a reference means whose bits, with its addend in them, lead to `found`.
    pub(super) fn settle(&self, found: Found, to: Reference<'_>, usage: Use) -> Meaning {
        let less = |value: u64| value.wrapping_add_signed(to.addend.wrapping_neg());
        match found {
            Found::Bad(text) => bad(text),
            Found::Address(value) if to.defs.contains(&Spot::Absolute(less(value))) => {
                bad("an absolute symbol that slides")
            }
            Found::Address(value) => self.address(less(value), to, usage),
            Found::Number(value) if self.stays(less(value), to) => {
                self.address(less(value), to, usage)
            }
            Found::Number(value) => Meaning::Absolute(less(value)),
            Found::Symbol(name, addend) => match less(addend) {
                0 => Meaning::Dynamic(name.into()),
                rest => bad(format!("`{name}` with {rest:#x} too much")),
            },
        }
    }

    /// Whether `value` in an image that stays where it is is the address of what `to` names.
    fn stays(&self, value: u64, to: Reference<'_>) -> bool {
        let number = to.defs.iter().any(|spot| matches!(spot, Spot::Absolute(_)));
        !self.file.slides() && !number && self.file.at(value).is_some()
    }

    /// An address of this image, the addend taken off.
    pub(super) fn address(&self, value: u64, to: Reference<'_>, usage: Use) -> Meaning {
        let defined = |spot: &&Spot| self.places.address(self.inputs, **spot) == Some(value);
        let place = to.defs.iter().find(defined).and_then(|spot| Places::place(self.inputs, *spot));
        if let Some(place) = place.or_else(|| self.empty(value, to)) {
            return Meaning::Place(place);
        }
        if let Some(piece) = self.literal(value, to) {
            return piece;
        }
        if to.defs.is_empty()
            && let Some(meaning) = self.linkers(to.name, value)
        {
            return meaning;
        }
        if !self.places.occupied(value) && self.executable(value) {
            match self.follow(value) {
                Some(_) if usage == Use::Address => return bad("a stub, not an address"),
                Some(_) if to.addend != 0 => return bad("a stub with an addend"),
                Some(found) => return self.settle(found, Reference { addend: 0, ..to }, usage),
                None => {}
            }
        }
        if let Some(place) = self.places.at(self.inputs, value) {
            return Meaning::Place(place);
        }
        match self.file.at(value) {
            Some(_) if value == self.file.base() => bad("the image's header"),
            Some(segment) if segment.executable() => bad("code outside any atom"),
            Some(_) => bad("data outside any atom"),
            None => bad("an address outside the image"),
        }
    }

    /// The atom without a byte that a reference is to: it is anywhere in the image, its address another's, too.
    fn empty(&self, value: u64, to: Reference<'_>) -> Option<Place> {
        let empty = |spot: &&Spot| match spot {
            Spot::Atom(id, _) => self.inputs.atom(*id).is_some_and(|atom| atom.size == 0),
            _ => false,
        };
        let inside = self.file.at(value).is_some() || self.file.at(value.wrapping_sub(1)).is_some();
        let spot = to.defs.iter().find(empty).filter(|_| inside)?;
        Places::place(self.inputs, *spot)
    }

    fn executable(&self, address: u64) -> bool {
        self.file.at(address).is_some_and(|segment| segment.executable())
    }

    /// Where code that no input has leads in the end; none if `address` is no such code.
    fn follow(&self, address: u64) -> Option<Found> {
        let mut at = address;
        for _ in 0..MOST_HOPS {
            match (self.machine.stub)(self.file, at) {
                Some(Way::Slot(slot)) => return Some(self.stub(slot)),
                Some(Way::Address(next)) => {
                    at = next;
                    if self.places.occupied(next) || !self.executable(next) {
                        return Some(Found::Address(next));
                    }
                }
                None if at == address => return None,
                None => return Some(Found::Address(at)),
            }
        }
        Some(Found::Bad("a circle of stubs"))
    }

    /// What a stub's slot holds: a lazily bound one must have its helper until then.
    fn stub(&self, slot: u64) -> Found {
        let lazy = self.fixups.at(slot).filter(|f| f.bind.as_ref().is_some_and(|b| b.lazy));
        if let Some(fixup) = lazy {
            let entry = fixup.rebase.and_then(|helper| (self.machine.lazy)(self.file, helper));
            match entry.map(|entry| self.fixups.lazy.get(&u64::from(entry))) {
                Some(bound) if bound == Some(&slot) => {}
                Some(_) => return Found::Bad("a lazy slot whose helper binds another"),
                None => return Found::Bad("a lazy slot without a helper"),
            }
        }
        self.slot(slot)
    }

    /// What the word at `address` holds once the image is loaded.
    pub(super) fn slot(&self, address: u64) -> Found {
        let Some(end) = address.checked_add(8) else { return Found::Bad("an unmapped slot") };
        let mut within = self.fixups.within(address, end);
        match (within.next(), within.next()) {
            (Some((at, fixup)), None) if at == address => self.fixed(fixup),
            (Some(_), _) => Found::Bad("a slot that is fixed up in part"),
            (None, _) => match self.file.word(address) {
                Some(value) => Found::Number(value),
                None => Found::Bad("an unmapped slot"),
            },
        }
    }

    /// What a fixup puts into its slot.
    pub(super) fn fixed(&self, fixup: &Fixup) -> Found {
        if let Some((name, addend)) = &fixup.coalesce {
            return match &fixup.bind {
                Some(bind) if bind.name != *name => Found::Bad("a slot bound to two names"),
                _ => Found::Symbol(format!("{name}@weak"), addend.cast_unsigned()),
            };
        }
        match (&fixup.bind, fixup.rebase) {
            (Some(bind), _) => Found::Symbol(self.asked(bind), bind.addend.cast_unsigned()),
            (None, Some(target)) => Found::Address(target),
            (None, None) => Found::Bad("a slot without a fixup"),
        }
    }

    /// `NAME@WHERE` of what is looked up.
    pub(super) fn asked(&self, bind: &Bind) -> String {
        let library = |ordinal: i64| {
            let index = usize::try_from(ordinal).ok()?.checked_sub(1)?;
            Some(self.file.libraries.get(index)?.name)
        };
        let from = match bind.ordinal {
            SELF => "self",
            MAIN => "main",
            FLAT => "flat",
            WEAK => "weak",
            ordinal => library(ordinal).unwrap_or("nowhere"),
        };
        format!("{}@{from}", bind.name)
    }

    /// The piece of a literal section, if that is what the symbol is defined in. A named symbol's is where it
    /// is, a section's is selected by the addend.
    fn literal(&self, value: u64, to: Reference<'_>) -> Option<Meaning> {
        let atom = to.defs.iter().find_map(|spot| match spot {
            Spot::Atom(id, offset) => Some((self.inputs.atom(*id)?, *offset)),
            _ => None,
        });
        let (atom, offset) = atom?;
        let size = atom.piece()?;
        let (at, offset) = match to.section {
            true => (value.wrapping_add_signed(to.addend), offset.wrapping_add_signed(to.addend)),
            false => (value, offset),
        };
        let start = at.wrapping_sub(offset % size);
        let aligned = offset.is_multiple_of(atom.align) && !at.is_multiple_of(atom.align);
        let tail = self.file.tail(start);
        let piece = match size {
            1 => memchr::memchr(0, tail).map(|end| &tail[..end]),
            size => tail.get(..size as usize),
        };
        Some(match piece {
            Some(_) if aligned && size > 1 => bad("a literal that is misaligned"),
            Some(piece) => Meaning::Merged(piece.to_vec()),
            None => bad("a literal outside the image"),
        })
    }

    /// The meaning of `value` as the address of a name that only linkers define; none if it is not such a name.
    fn linkers(&self, name: &str, value: u64) -> Option<Meaning> {
        let wanted = match name {
            "___dso_handle" => Some(self.file.base()),
            _ if name.starts_with("__mh_") && name.ends_with("_header") => Some(self.file.base()),
            _ => self.bound(name)?,
        };
        Some(match wanted {
            Some(wanted) if wanted != value => bad(format!("not where `{name}` has to be")),
            _ => Meaning::Linker(name.into()),
        })
    }

    /// Where `section$start$SEG$SECT` and the like have to be: of what is not there, anywhere.
    fn bound(&self, name: &str) -> Option<Option<u64>> {
        let mut parts = name.split('$');
        let (what, end) = (parts.next()?, parts.next()?);
        let end = match end {
            "start" => false,
            "end" => true,
            _ => return None,
        };
        let segment = parts.next()?;
        let range = match (what, parts.next()) {
            ("segment", None) => {
                let found = self.file.segments.iter().find(|s| s.name == segment);
                found.map(|s| (s.address, s.size))
            }
            ("section", Some(section)) => {
                let mut all = self.file.sections.iter();
                let found = all.find(|s| s.segment == segment && s.name == section);
                found.map(|s| (s.address, s.size))
            }
            _ => return None,
        };
        Some(range.map(|(start, size)| if end { start.wrapping_add(size) } else { start }))
    }
}
