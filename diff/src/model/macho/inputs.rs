//! A request's files and arguments → every object that may be in the link, and who defines each name.
//!
//! It must not know the output. Which archive members take part isn't decided here: their atoms are in
//! the output or they aren't.

use rustc_hash::{FxHashMap, FxHashSet};

use super::image::{self, OBJECT};
use super::machine::Machine;
use super::object::{self, Atom, Object, Symbol, Where};
use crate::Request;
use crate::model::{archive, section_label};

/// An atom of some object: index into [`Inputs::owner`].
pub(super) type AtomId = u32;

/// What an input says a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spot {
    /// So many bytes into an atom.
    Atom(AtomId, u64),
    /// A number.
    Absolute(u64),
    /// Common storage: index into [`Inputs::commons`].
    Common(u32),
}

/// The common storage a name may get.
#[derive(Clone, Debug)]
pub(super) struct Common<'a> {
    pub(super) name: &'a str,
    /// Whose common is the largest; the first of equals.
    pub(super) object: u32,
    pub(super) size: u64,
}

/// The inputs of a link.
#[derive(Debug, Default)]
pub(super) struct Inputs<'a> {
    pub(super) objects: Vec<Object<'a>>,
    /// The first atom id of each object.
    pub(super) first: Vec<AtomId>,
    /// The object of each atom id.
    pub(super) owner: Vec<u32>,
    /// Definitions in objects by external name, strong ones first.
    pub(super) defs: FxHashMap<&'a str, Vec<Spot>>,
    /// Names that objects mention as external symbols.
    pub(super) mentioned: FxHashSet<&'a str>,
    pub(super) commons: Vec<Common<'a>>,
    /// `-force_load`: archives whose members all take part.
    whole: Vec<&'a str>,
    /// `-dead_strip`: atoms that are not there say nothing.
    strip: bool,
    /// `-x`: names that are not there say nothing.
    nameless: bool,
    /// Objects that are not in the output, if that is known.
    absent: Vec<bool>,
}

impl<'a> Inputs<'a> {
    /// Reads all files of `request`.
    pub(super) fn read(request: &'a Request, machine: &Machine) -> Self {
        let mut inputs = Self::default();
        for file in &request.files {
            let bytes = &file.bytes[..];
            if bytes.starts_with(archive::MAGIC) || bytes.starts_with(archive::THIN) {
                for (name, bytes) in archive::members(request, file) {
                    inputs.object(name, bytes, machine);
                }
            } else if request.args.contains(&file.name) && image::file_kind(bytes) == Some(OBJECT) {
                inputs.object(file.name.clone(), bytes, machine);
            }
        }
        let mut args = request.args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            match arg {
                "-force_load" => inputs.whole.extend(args.next()),
                "-dead_strip" => inputs.strip = true,
                "-x" => inputs.nameless = true,
                "-all_load" => {
                    inputs.whole.extend(request.files.iter().map(|file| file.name.as_str()));
                }
                _ => {}
            }
        }
        for index in 0..inputs.objects.len() {
            inputs.define(index);
        }
        inputs
    }

    fn object(&mut self, file: String, bytes: &'a [u8], machine: &Machine) {
        let Some(object) = object::read(file, bytes, machine) else { return };
        let index = self.objects.len() as u32;
        self.first.push(self.owner.len() as u32);
        self.owner.resize(self.owner.len() + object.atoms.len(), index);
        self.objects.push(object);
    }

    /// Forgets what the objects that are not in the output define; their mentions stay.
    pub(super) fn forget(&mut self, absent: &[bool]) {
        self.defs.clear();
        self.commons.clear();
        for index in (0..self.objects.len()).filter(|&index| !absent[index]) {
            self.define(index);
        }
        self.absent = absent.to_vec();
    }

    /// Whether nothing of `object` may be in the output though it is in the link: no member of an archive
    /// that is searched.
    pub(super) fn certain(&self, object: &Object<'_>) -> bool {
        let member = object.file.strip_suffix(')').and_then(|name| name.split_once('('));
        let absolute = || object.symbols.iter().any(|s| matches!(s.place, Where::Absolute(_)));
        member
            .is_none_or(|(archive, _)| self.whole.contains(&archive) || (self.strip && absolute()))
    }

    fn define(&mut self, index: usize) {
        let (object, first) = (&self.objects[index], self.first[index]);
        for symbol in object.symbols.iter().filter(|s| s.external && !s.name.is_empty()) {
            self.mentioned.insert(symbol.name);
            let spot = match symbol.place {
                Where::Undefined => continue,
                Where::Absolute(value) => Spot::Absolute(value),
                Where::Atom(atom, offset) => Spot::Atom(first.wrapping_add(atom), offset),
                Where::Common(size) => {
                    let new = Common { name: symbol.name, object: index as u32, size };
                    match self.commons.iter_mut().find(|common| common.name == symbol.name) {
                        Some(old) if old.size < size => *old = new,
                        Some(_) => {}
                        None => {
                            let spot = Spot::Common(self.commons.len() as u32);
                            self.defs.entry(symbol.name).or_default().push(spot);
                            self.commons.push(new);
                        }
                    }
                    continue;
                }
            };
            let list = self.defs.entry(symbol.name).or_default();
            if symbol.weak { list.push(spot) } else { list.insert(0, spot) }
        }
    }

    /// The definition that a symbol of `object` is itself.
    pub(super) fn own(&self, object: u32, symbol: &Symbol<'_>) -> Option<Spot> {
        match symbol.place {
            Where::Absolute(value) => Some(Spot::Absolute(value)),
            Where::Atom(atom, offset) => {
                Some(Spot::Atom(self.first[object as usize].wrapping_add(atom), offset))
            }
            Where::Undefined | Where::Common(_) => None,
        }
    }

    /// The atom with this id.
    pub(super) fn atom(&self, id: AtomId) -> Option<&Atom<'a>> {
        let object = *self.owner.get(id as usize)? as usize;
        self.objects[object].atoms.get((id - self.first[object]) as usize)
    }

    /// Of functions that have copies, the size of the smallest: which of them stays is the linker's to choose, and what
    /// pads a function up to the next one is its own.
    pub(super) fn shortest_copies(&self) -> FxHashMap<AtomId, u64> {
        let mut all = FxHashMap::default();
        for copies in self.defs.values().filter(|copies| copies.len() > 1) {
            let whole = |spot: &Spot| match spot {
                Spot::Atom(id, 0) => {
                    // One with a marker is told from the others.
                    let plain = |atom: &&object::Atom<'_>| atom.code && atom.marker.is_none();
                    let atom = self.atom(*id).filter(plain)?;
                    Some((*id, atom.size))
                }
                _ => None,
            };
            let sizes: Vec<(AtomId, u64)> = copies.iter().filter_map(whole).collect();
            if let Some(least) = sizes.iter().map(|(_, size)| *size).min() {
                all.extend(sizes.iter().map(|(id, _)| (*id, least)));
            }
        }
        all
    }

    /// Whether the output has nothing of object `index`.
    pub(super) fn is_absent(&self, index: usize) -> bool {
        self.absent.get(index) == Some(&true)
    }

    /// Whether atoms that nothing needs are left out.
    pub(super) fn strips(&self) -> bool {
        self.strip
    }

    /// Whether an object whose names the output lacks may be in it all the same.
    pub(super) fn names_go(&self) -> bool {
        self.nameless
    }

    /// Every atom that has an address of its own.
    pub(super) fn placeable(&self) -> impl Iterator<Item = (AtomId, &Atom<'a>)> {
        let atoms = self.objects.iter().flat_map(|object| &object.atoms);
        let present = |id: AtomId| !self.is_absent(self.owner[id as usize] as usize);
        (0..).zip(atoms).filter(move |(id, atom)| atom.placeable() && present(*id))
    }

    /// `FILE:SEG,SECT#k`, the name of an atom, or `FILE:COMMON.NAME` of a common, in facts.
    pub(super) fn name(&self, id: u32) -> String {
        let Some(owner) = self.owner.get(id as usize) else {
            let common = (id as usize).checked_sub(self.owner.len());
            let Some(common) = common.and_then(|common| self.commons.get(common)) else {
                return "?".into();
            };
            let file = &self.objects[common.object as usize].file;
            return format!("{file}:COMMON.{}", common.name);
        };
        let object = &self.objects[*owner as usize];
        let atom = &object.atoms[(id - self.first[*owner as usize]) as usize];
        let name = format!("{},{}", atom.segment, atom.section);
        section_label(&object.file, &name, atom.nth as usize)
    }
}
