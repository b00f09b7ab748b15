//! The link as data: every file, name, atom, output section and slot, and where a reference leads.
//! Must not know of phases: they fill this in, one after the other.

use rustc_hash::FxHashMap;

use super::machine::Machine;
use super::object::{Atom, Home, NONE, Object, Target};
use super::options::{Options, Take};
use crate::object::SymId;
use crate::resolve::names::Names;

/// What the classic encoding's stubs call.
pub(super) const BINDER: &[u8] = b"dyld_stub_binder";

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Def {
    /// Nothing, yet or ever.
    #[default]
    None,
    /// A symbol of an object.
    Object(u32, u32),
    /// An atom that the linker made: a common's room.
    Made(u32),
    /// A library's name.
    Library(u32),
    /// Whatever the loader finds under the name.
    Lookup,
    /// The start or end of something of the image: an entry of [`Link::bounds`].
    Bound(u32),
}

/// A name.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Global {
    pub def: Def,
    /// Bytes and alignment, while it is a common.
    pub common: Option<(u64, u8)>,
    /// What wins is a weak definition, or a library's weak one.
    pub weak: bool,
    /// Every definition may be hidden if it is weak.
    pub can_hide: bool,
    /// Not for other images.
    pub private: bool,
    pub thread_local: bool,
    pub strong_ref: bool,
    pub weak_ref: bool,
    pub exported: bool,
    /// A library's name that is exported as this image's, too.
    pub reexported: bool,
    /// Where the loader looks it up, if it does.
    pub ordinal: Option<i32>,
    /// A library has a weak definition that this image's yields to nobody for.
    pub overrides_weak: bool,
    /// May be missing at run time.
    pub weak_import: bool,
    /// Its address, once there are any.
    pub addr: u64,
}

/// Where something of the image starts or ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bound {
    /// The image.
    Base,
    /// A section, by segment and name; its end or its start.
    Section(Vec<u8>, Vec<u8>, bool),
    /// A segment.
    Segment(Vec<u8>, bool),
}

/// A dynamic library.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Library {
    pub install_name: Vec<u8>,
    /// What it passes on that is nowhere to be found.
    pub missing: Vec<Vec<u8>>,
    pub current: u32,
    pub compatibility: u32,
    pub take: Take,
    pub auto: bool,
    pub used: bool,
    /// Something needs more than a weak reference.
    pub strongly: bool,
    /// The program that a bundle is for.
    pub is_loader: bool,
    /// As symbols and the loader count; 0 if it has none.
    pub ordinal: i32,
}

/// Where a reference leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ref {
    /// Nowhere: the addend is all.
    Zero,
    /// A number.
    Absolute(u64),
    /// An atom, at an offset.
    Atom(u32, i64),
    /// A name.
    Name(SymId),
}

/// A function called when the image is loaded.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Init {
    pub what: Ref,
    pub addend: i64,
    /// File, section and offset of the pointer.
    pub from: (u32, u32, u64),
}

/// What the linker makes itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Made {
    Stubs,
    Helper,
    Got,
    LazyPointers,
    TlvPointers,
    InitOffsets,
    UnwindInfo,
    EhFrame,
    Private,
}

/// An output section.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Out {
    pub segment: Vec<u8>,
    pub name: Vec<u8>,
    pub flags: u32,
    /// Logarithm.
    pub align: u8,
    pub size: u64,
    pub addr: u64,
    pub offset: u64,
    pub atoms: Vec<u32>,
    pub made: Option<Made>,
    pub reserved: [u32; 2],
    /// Code that branches in this section need to get further: where it is, where it leads.
    pub thunks: Vec<(u64, Ref, i64)>,
    /// The thunks for each target.
    pub thunk_index: FxHashMap<(Ref, i64), Vec<usize>>,
}

impl Out {
    /// What sort of section it is.
    pub fn kind(&self) -> u32 {
        self.flags & 0xff
    }

    /// Whether files have no bytes of it.
    pub fn is_zerofill(&self) -> bool {
        use crate::format::macho::kind;
        matches!(self.kind(), kind::ZEROFILL | kind::GB_ZEROFILL | kind::TLV_ZEROFILL)
    }
}

/// A segment of the image.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Segment {
    pub name: Vec<u8>,
    pub addr: u64,
    pub size: u64,
    pub offset: u64,
    pub file_size: u64,
    pub protection: u32,
    pub flags: u32,
    /// Its sections among the link's.
    pub outs: std::ops::Range<usize>,
}

/// Slots by what they hold.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// In order.
    pub list: Vec<Ref>,
    index: FxHashMap<Ref, u32>,
}

impl Slots {
    /// Makes sure there is one for `what`.
    pub fn add(&mut self, what: Ref) {
        self.index.entry(what).or_insert_with(|| {
            self.list.push(what);
            self.list.len() as u32 - 1
        });
    }

    /// The number of that for `what`.
    pub fn get(&self, what: Ref) -> Option<u64> {
        self.index.get(&what).map(|&at| at.into())
    }
}

/// The link.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Link<'a> {
    pub options: &'a Options,
    pub machine: &'static Machine,
    pub files: Vec<Object<'a>>,
    /// The atoms of all files, then those of the commons.
    pub atoms: Vec<Atom>,
    pub names: Names<'a>,
    pub globals: Vec<Global>,
    pub libraries: Vec<Library>,
    pub bounds: Vec<Bound>,
    pub chained: bool,
    pub outs: Vec<Out>,
    pub segments: Vec<Segment>,
    pub got: Slots,
    pub stubs: Slots,
    /// Names with stubs that are bound on the first call.
    pub lazy: Slots,
    pub tlv: Slots,
    /// What Objective-C's runtime reads first.
    pub info: Option<super::objc::Info>,
    /// Functions called when the image is loaded, as offsets.
    pub inits: Vec<Init>,
    pub unwind: super::unwind::Plan,
    pub base: u64,
    pub warnings: Vec<String>,
    /// `dyld_stub_binder`, if stubs bind lazily.
    pub binder: Option<SymId>,
}

impl<'a> Link<'a> {
    /// Where a relocation of `file` leads, its addend not counted.
    #[inline]
    pub fn target(&self, file: usize, target: Target) -> Ref {
        let object = &self.files[file];
        match target {
            Target::None => Ref::Zero,
            Target::Atom(atom) => self.atom(object.first_atom + atom, 0),
            Target::Symbol(index) => {
                let symbol = &object.symbols[index as usize];
                if symbol.is_global() {
                    return Ref::Name(symbol.id);
                }
                match symbol.home {
                    Home::Atom(atom, offset) => self.atom(object.first_atom + atom, offset as i64),
                    Home::Absolute(value) => Ref::Absolute(value),
                    _ => Ref::Zero,
                }
            }
        }
    }

    /// The atom that stands for `atom`.
    #[inline]
    fn atom(&self, atom: u32, offset: i64) -> Ref {
        let it = &self.atoms[atom as usize];
        match it.forward {
            NONE => Ref::Atom(atom, offset),
            other => Ref::Atom(other, offset.wrapping_add_unsigned(it.forward_at)),
        }
    }

    /// The address of what a reference leads to in this image; 0 elsewhere.
    #[inline]
    pub fn address(&self, what: Ref) -> u64 {
        match what {
            Ref::Zero => 0,
            Ref::Absolute(value) => value,
            Ref::Atom(atom, offset) => self.atoms[atom as usize].addr.wrapping_add(offset as u64),
            Ref::Name(id) => self.globals[id.i()].addr,
        }
    }

    /// The name, if the loader looks it up.
    pub fn bound(&self, what: Ref) -> Option<SymId> {
        match what {
            Ref::Name(id) if self.globals[id.i()].ordinal.is_some() => Some(id),
            _ => None,
        }
    }

    /// The atom in which a reference leads into this image.
    pub fn atom_of(&self, what: Ref) -> Option<(u32, u64)> {
        match what {
            Ref::Atom(atom, offset) => Some((atom, offset as u64)),
            Ref::Name(id) => match self.globals[id.i()].def {
                Def::Made(atom) => Some((atom, 0)),
                Def::Object(file, symbol) => {
                    let object = &self.files[file as usize];
                    match object.symbols[symbol as usize].home {
                        Home::Atom(atom, offset) => Some((object.first_atom + atom, offset)),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether what a reference leads to is a number, which no loader moves.
    pub fn is_absolute(&self, what: Ref) -> bool {
        match what {
            Ref::Zero | Ref::Absolute(_) => true,
            Ref::Atom(..) => false,
            Ref::Name(id) => match self.globals[id.i()].def {
                Def::Object(file, symbol) => {
                    let symbol = self.files[file as usize].symbols[symbol as usize];
                    matches!(symbol.home, Home::Absolute(_))
                }
                _ => false,
            },
        }
    }

    /// A name, for people.
    pub fn name(&self, id: SymId) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.names.get(id))
    }

    /// What a relocation of `file` refers to, for people: a name, or the place of what has none.
    pub fn title(&self, file: usize, target: Target) -> String {
        match target {
            Target::Symbol(index) if !self.files[file].symbols[index as usize].name.is_empty() => {
                String::from_utf8_lossy(self.files[file].symbols[index as usize].name).into_owned()
            }
            _ => self.title_of(self.target(file, target)),
        }
    }

    /// What a slot or a stub is for, for people: the same.
    pub fn title_of(&self, what: Ref) -> String {
        match what {
            Ref::Name(id) => self.name(id).into_owned(),
            Ref::Absolute(value) => format!("{value:#x}"),
            Ref::Zero => "a number".to_owned(),
            Ref::Atom(at, offset) => {
                let atom = &self.atoms[at as usize];
                let Some(object) = self.files.get(atom.file as usize) else {
                    return "a common symbol".to_owned();
                };
                let home = Home::Atom(at.wrapping_sub(object.first_atom), offset as u64);
                match object.symbols.iter().find(|s| s.home == home && !s.name.is_empty()) {
                    Some(symbol) => String::from_utf8_lossy(symbol.name).into_owned(),
                    None => object.site(atom.section, atom.start + offset as u64).to_string(),
                }
            }
        }
    }

    /// What `-init` names, if anything mentions it.
    pub fn init(&self) -> Option<Ref> {
        let name = self.options.init.as_ref()?.as_bytes();
        self.names.find(name, crate::object::hash_name(name)).map(Ref::Name)
    }

    /// The output section that `made` is in.
    pub fn out_of(&self, made: Made) -> Option<&Out> {
        self.outs.iter().find(|out| out.made == Some(made))
    }

    /// The address of what the linker made; 0 if it made none.
    pub fn address_of(&self, made: Made) -> u64 {
        self.out_of(made).map_or(0, |out| out.addr)
    }

    /// The relocations of an atom.
    pub fn relocs(&self, atom: &Atom) -> &[super::object::Reloc] {
        let Some(file) = self.files.get(atom.file as usize) else { return &[] };
        let relocs = &file.sections[atom.section as usize].relocs;
        let from = relocs.partition_point(|reloc| u64::from(reloc.offset) < atom.start);
        let rest = &relocs[from..];
        let end = atom.start + atom.size;
        &rest[..rest.partition_point(|reloc| u64::from(reloc.offset) < end)]
    }

    /// The bytes of an atom; none if it is zero-filled.
    pub fn data(&self, atom: &Atom) -> &'a [u8] {
        let Some(file) = self.files.get(atom.file as usize) else { return &[] };
        let data = file.sections[atom.section as usize].data;
        data.get(atom.start as usize..(atom.start + atom.size) as usize).unwrap_or_default()
    }

    /// Whether an atom is in the output.
    pub fn is_kept(&self, atom: u32) -> bool {
        let atom = &self.atoms[atom as usize];
        atom.live && atom.forward == NONE
    }
}
