//! Inputs beside an image → where each atom is, and which place an address is.
//!
//! Atoms are found by their markers, then by symbols whose name is unique, then by their neighbours and bytes. It must not know what any
//! relocation means.

use rustc_hash::FxHashMap;

use super::image::File;
use super::inputs::{AtomId, Inputs, Spot};
use super::object::Where;
use crate::model::{MARKER_MAGIC, Place};

/// No place.
const NOWHERE: u64 = u64::MAX;

/// An atom or common, as an interval of addresses.
#[derive(Clone, Copy, Debug)]
struct Interval {
    start: u64,
    end: u64,
    /// An atom id, or `inputs.owner.len() +` a common's index.
    id: u32,
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Places {
    /// By atom id, then by common: the address.
    base: Vec<u64>,
    list: Vec<Interval>,
    /// Atoms that were found by their marker or their name.
    named: Vec<bool>,
    /// Atoms whose marker is in the output twice.
    pub(super) twice: Vec<AtomId>,
    /// Copies of one definition that have no markers, the one first that its name stands for.
    copies: Vec<Vec<AtomId>>,
    /// Symbols of the output, global and local ones apart; those whose name occurs once have their values.
    symbols: [FxHashMap<String, Option<u64>>; 2],
}

impl Places {
    /// Finds every atom of `inputs` in `file`.
    pub(super) fn locate(inputs: &Inputs<'_>, file: &File<'_>) -> Self {
        let total = inputs.owner.len() + inputs.commons.len();
        let mut places = Self {
            base: vec![NOWHERE; total],
            list: Vec::new(),
            named: Vec::new(),
            twice: Vec::new(),
            copies: Vec::new(),
            symbols: Default::default(),
        };
        places.by_markers(inputs, file);
        for symbol in file.symbols.iter().filter(|s| s.in_section() && !s.name.is_empty()) {
            // N_PEXT: the image's own, but one for all objects.
            let global = symbol.external() || symbol.n_type & 0x10 != 0;
            let entry = places.symbols[usize::from(global)].entry(symbol.name.to_owned());
            entry
                .and_modify(|old| *old = old.filter(|old| *old == symbol.value))
                .or_insert(Some(symbol.value));
        }
        places.by_symbols(inputs, file);
        places.named = places.base.iter().map(|base| *base != NOWHERE).collect();
        super::match_bytes::locate(inputs, file, &mut places.base);
        places.settle_copies();
        places.index(inputs);
        places.commons(inputs);
        places
    }

    fn by_markers(&mut self, inputs: &Inputs<'_>, file: &File<'_>) {
        let marked = |(id, atom): (AtomId, &super::object::Atom<'_>)| {
            let (unique, at) = atom.marker?;
            Some((unique, (id, at)))
        };
        let markers: FxHashMap<[u8; 8], (AtomId, u64)> =
            inputs.placeable().filter_map(marked).collect();
        if markers.is_empty() {
            return;
        }
        let finder = memchr::memmem::Finder::new(&MARKER_MAGIC);
        for segment in file.segments.iter().filter(|s| s.accessible() && s.name != "__LINKEDIT") {
            let bytes = file.tail(segment.address);
            for at in finder.find_iter(bytes) {
                let unique = bytes.get(at + 8..at + 16).map(<[u8; 8]>::try_from);
                let Some(Ok(unique)) = unique else { continue };
                let Some(&(id, offset)) = markers.get(&unique) else { continue };
                let address = segment.address.wrapping_add(at as u64).wrapping_sub(offset);
                let base = &mut self.base[id as usize];
                if *base == NOWHERE {
                    *base = address;
                } else if *base != address {
                    self.twice.push(id);
                }
            }
        }
    }

    fn by_symbols(&mut self, inputs: &Inputs<'_>, file: &File<'_>) {
        let mut names: FxHashMap<(&str, bool), Vec<Candidate>> = FxHashMap::default();
        let present = (0..inputs.objects.len()).filter(|index| !inputs.is_absent(*index));
        for (object, first) in present.map(|index| (&inputs.objects[index], inputs.first[index])) {
            let certain = inputs.certain(object);
            for symbol in object.symbols.iter().filter(|symbol| !symbol.name.is_empty()) {
                let atom = match symbol.place {
                    Where::Atom(atom, offset) => Some((first + atom, offset)),
                    Where::Undefined => continue,
                    Where::Absolute(_) | Where::Common(_) => None,
                };
                let candidate = Candidate { atom, weak: symbol.weak, certain };
                names.entry((symbol.name, symbol.external)).or_default().push(candidate);
            }
        }
        for (&(name, global), candidates) in &names {
            if candidates.len() > 1 && !global {
                continue;
            }
            // An atom with a marker was found by it, or is not there.
            let unmarked = |c: &Candidate| {
                let atom = inputs.atom(c.atom?.0)?;
                (atom.placeable() && atom.marker.is_none()).then_some(())
            };
            let Some((id, offset)) = chosen(candidates, |c| unmarked(c).is_some()) else {
                continue;
            };
            let whole = |c: &Candidate| c.atom.filter(|(_, at)| *at == 0 && unmarked(c).is_some());
            let rest = candidates.iter().filter_map(whole).map(|(other, _)| other);
            if candidates.len() > 1 && offset == 0 {
                let rest = rest.filter(|other| *other != id);
                self.copies.push(std::iter::once(id).chain(rest).collect());
            }
            let Some(atom) = inputs.atom(id) else { continue };
            if self.base[id as usize] != NOWHERE {
                continue;
            }
            let both = names.contains_key(&(name, !global));
            let Some(value) = self.symbol(name, global, both) else { continue };
            let placed = |other: &Candidate| {
                let (other, at) = other.atom?;
                let base = self.base(other)?;
                (base.wrapping_add(at) == value).then_some(())
            };
            if candidates.iter().any(|other| placed(other).is_some()) {
                continue;
            }
            let base = value.wrapping_sub(offset);
            let segment = file.at(base);
            let fits = |s: &super::image::Segment<'_>| {
                (base - s.address).checked_add(atom.size).is_some_and(|end| end <= s.size)
            };
            if segment.is_some_and(fits) {
                self.base[id as usize] = base;
            }
        }
    }

    /// Of copies that only bytes tell apart one speaks for all, as it does where their name is there to see: which of
    /// them stays is the linker's to choose.
    fn settle_copies(&mut self) {
        for copies in std::mem::take(&mut self.copies) {
            let placed = |id: &&AtomId| self.base[**id as usize] != NOWHERE;
            let found: Vec<AtomId> = copies.iter().filter(placed).copied().collect();
            if let ([only], [first, ..]) = (&found[..], &copies[..]) {
                self.base.swap(*only as usize, *first as usize);
            }
        }
    }

    /// The value of the output's only symbol called `name`, of that binding if inputs have it of both; some
    /// linkers make global ones local.
    fn symbol(&self, name: &str, global: bool, both: bool) -> Option<u64> {
        let [local, others] = &self.symbols;
        let (first, second) = if global { (others, local) } else { (local, others) };
        let found = first.get(name).or_else(|| second.get(name).filter(|_| !both));
        found.copied().flatten()
    }

    fn index(&mut self, inputs: &Inputs<'_>) {
        for (id, atom) in inputs.placeable() {
            let start = self.base[id as usize];
            if start != NOWHERE {
                self.list.push(Interval { start, end: start.saturating_add(atom.size), id });
            }
        }
        self.list.sort_by_key(|interval| (interval.start, interval.end));
    }

    /// A common is where the output's symbol of its name is, unless an atom is there.
    fn commons(&mut self, inputs: &Inputs<'_>) {
        let atoms = inputs.owner.len();
        for (i, common) in inputs.commons.iter().enumerate() {
            let Some(start) = self.symbol(common.name, true, true) else { continue };
            if self.inside(start).is_none() {
                self.base[atoms + i] = start;
                let (end, id) = (start.saturating_add(common.size), (atoms + i) as u32);
                self.list.push(Interval { start, end, id });
                self.list.sort_by_key(|interval| (interval.start, interval.end));
            }
        }
    }

    /// Which objects are archive members that were not extracted: none of their atoms is in the output, or none of the
    /// names that they would have been extracted for.
    pub(super) fn absent(&self, inputs: &Inputs<'_>) -> Vec<bool> {
        let mut seen = vec![(false, false); inputs.objects.len()];
        for (id, _) in inputs.placeable() {
            let (any, placed) = &mut seen[inputs.owner[id as usize] as usize];
            *any = true;
            *placed |= self.base[id as usize] != NOWHERE;
        }
        let absent =
            (0..).zip(&inputs.objects).zip(seen).map(|((index, object), (any, placed))| {
                !inputs.certain(object) && any && (!placed || self.unnamed(inputs, index))
            });
        absent.collect()
    }

    /// Whether object `index` defines names for others and the output has none of them.
    fn unnamed(&self, inputs: &Inputs<'_>, index: usize) -> bool {
        // A marker is as good as a name: what has one is there by itself. With -dead_strip a name that only the object
        // has is, too: those that others see may have gone.
        let mut atoms = (inputs.first[index]..).zip(&inputs.objects[index].atoms);
        let proof = |atom: &super::object::Atom<'_>| atom.marker.is_some() || inputs.strips();
        if atoms.any(|(id, atom)| proof(atom) && self.named[id as usize]) {
            return false;
        }
        let own = inputs.objects[index].symbols.iter().filter_map(|symbol| match symbol.place {
            Where::Atom(atom, _) if symbol.external && !symbol.weak => {
                let id = inputs.first[index] + atom;
                inputs.atom(id)?.placeable().then(|| self.named[id as usize])
            }
            _ => None,
        });
        let own: Vec<bool> = own.collect();
        !inputs.names_go() && !own.is_empty() && !own.contains(&true)
    }

    /// The address of an atom or common that is in the output.
    pub(super) fn base(&self, id: u32) -> Option<u64> {
        self.base.get(id as usize).copied().filter(|base| *base != NOWHERE)
    }

    /// The address of what a definition defines, if it is in the output; numbers have none.
    pub(super) fn address(&self, inputs: &Inputs<'_>, spot: Spot) -> Option<u64> {
        match spot {
            Spot::Atom(id, offset) => Some(self.base(id)?.wrapping_add(offset)),
            Spot::Common(common) => self.base((inputs.owner.len() + common as usize) as u32),
            Spot::Absolute(_) => None,
        }
    }

    /// The place a definition defines.
    pub(super) fn place(inputs: &Inputs<'_>, spot: Spot) -> Option<Place> {
        let (id, offset) = match spot {
            Spot::Atom(id, offset) => (id, offset),
            Spot::Common(common) => ((inputs.owner.len() + common as usize) as u32, 0),
            Spot::Absolute(_) => return None,
        };
        Some(Place { section: inputs.name(id).into(), offset: offset as i64 })
    }

    fn inside(&self, address: u64) -> Option<&Interval> {
        let at = self.list.partition_point(|interval| interval.start <= address);
        self.list[..at].iter().rev().take(8).find(|interval| address < interval.end)
    }

    /// The place that `address` is, in an atom or at its end.
    pub(super) fn at(&self, inputs: &Inputs<'_>, address: u64) -> Option<Place> {
        let found = self.inside(address).or_else(|| {
            let at = self.list.partition_point(|interval| interval.start <= address);
            self.list[..at].iter().rev().take(8).find(|interval| address == interval.end)
        })?;
        let offset = address.wrapping_sub(found.start) as i64;
        Some(Place { section: inputs.name(found.id).into(), offset })
    }

    /// Whether `address` is in an atom (not at its end).
    pub(super) fn occupied(&self, address: u64) -> bool {
        self.inside(address).is_some()
    }

    /// Every placed atom: id and address.
    pub(super) fn atoms<'p>(
        &'p self,
        inputs: &'p Inputs<'_>,
    ) -> impl Iterator<Item = (AtomId, u64)> + 'p {
        let bases = self.base.iter().take(inputs.owner.len()).enumerate();
        bases.filter_map(|(id, base)| (*base != NOWHERE).then_some((id as u32, *base)))
    }
}

/// A definition of a name.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Which atom, and where in it; none for numbers and commons.
    atom: Option<(AtomId, u64)>,
    weak: bool,
    /// Its object is in the link, whatever is needed.
    certain: bool,
}

/// The definition that a name's symbol in the output is: copies without marker are all alike, so that it
/// is for the specs to say which of them stays: the strong one, else the first weak one, and members of archives last.
fn chosen(
    candidates: &[Candidate],
    unmarked: impl Fn(&Candidate) -> bool,
) -> Option<(AtomId, u64)> {
    let list = || candidates.iter().filter(|c| unmarked(c));
    list().min_by_key(|c| (!c.certain, c.weak))?.atom
}
