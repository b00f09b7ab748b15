//! Resolution: candidates (objects, archive members, libraries) → the files of the link and, for
//! each name, which definition wins.
//!
//! A definition is one word, rank first, so that the winner is a minimum: the order in which threads
//! offer them does not matter. Must not know of sections' places, relocations or the output.

mod extract;
mod intern;
pub mod names;
mod offer;
pub mod settle;

use std::sync::atomic::{AtomicU8, AtomicU64};

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::arch::Arch;
use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::read;
use crate::format::elf::shared::{Shared, shared};
use crate::object::{FileId, Object, SymId, Symbol, hash_name, vis};
use crate::options::Options;
use names::Names;

/// A file that may become part of the link, in command-line order.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// As people know it.
    pub name: String,
    /// The name a library without DT_SONAME is needed by.
    pub given: Vec<u8>,
    /// Its bytes.
    pub data: &'a [u8],
    /// What it is.
    pub what: What,
    /// Under `--as-needed`.
    pub as_needed: bool,
    /// Its definitions are not exported (`--exclude-libs`).
    pub hide: bool,
}

/// What a candidate is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// An object that is always part of the link.
    Object,
    /// An archive member: part of the link if a name it defines is wanted.
    Lazy,
    /// A shared object.
    Shared,
}

/// What became of a candidate.
#[derive(Debug)]
pub enum File<'a> {
    /// Nothing refers to it.
    Unused,
    /// An archive member that nothing refers to yet.
    Lazy(Box<Object<'a>>),
    /// An archive member that can't be read: an error only if something refers to it.
    Broken(Error),
    /// Part of the output.
    Object(Box<Object<'a>>),
    /// Needed at run time.
    Shared(Box<Shared<'a>>),
}

/// Which file and symbol define a name: rank, file, symbol, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Def(pub u64);

/// Ranks of definitions, best first.
pub mod rank {
    #![allow(missing_docs)]
    pub const STRONG: u64 = 0;
    pub const COMMON: u64 = 1;
    pub const WEAK: u64 = 2;
    pub const SHARED: u64 = 3;
}

/// The file number of what the linker itself defines.
const LINKER: u32 = 0x0fff_ffff;

impl Def {
    /// No definition.
    pub const NONE: Self = Self(u64::MAX);

    /// A definition in `file`.
    pub fn new(rank: u64, file: FileId, sym: u32) -> Self {
        Self(rank << 60 | u64::from(file.0) << 32 | u64::from(sym))
    }

    /// The linker's own definition number `index`.
    pub fn special(index: usize) -> Self {
        Self::new(rank::STRONG, FileId(LINKER), index as u32)
    }

    /// One of [`rank`], or more if there is none.
    pub fn rank(self) -> u64 {
        self.0 >> 60
    }

    /// The defining file.
    pub fn file(self) -> FileId {
        FileId((self.0 >> 32) as u32 & LINKER)
    }

    /// The symbol's index in its file.
    pub fn sym(self) -> u32 {
        self.0 as u32
    }

    /// Whether an object (or the linker) of this link defines it.
    pub fn is_local(self) -> bool {
        self.rank() < rank::SHARED
    }

    /// Whether the linker defines it.
    pub fn as_special(self) -> Option<usize> {
        (self.is_local() && self.file().0 == LINKER).then_some(self.sym() as usize)
    }

    /// Whether a library defines it.
    pub fn is_shared(self) -> bool {
        self.rank() == rank::SHARED
    }
}

/// Who mentions a name.
pub mod mention {
    #![allow(missing_docs)]
    /// A strong reference in an object.
    pub const STRONG: u8 = 1;
    /// A weak reference in an object.
    pub const WEAK: u8 = 2;
    /// A reference in a library.
    pub const LIBRARY: u8 = 4;
    /// A definition in a library, whoever wins.
    pub const LIBRARY_DEF: u8 = 8;
    /// A definition with `--exclude-libs`.
    pub const HIDE: u8 = 16;
    /// Its type is TLS somewhere in an object.
    pub const TLS: u8 = 32;
    /// Its type is a known one that is not TLS somewhere in an object.
    pub const NOT_TLS: u8 = 64;
}

/// Visibility by how much it constrains.
fn constraint(visibility: u8) -> u8 {
    match visibility {
        vis::PROTECTED => 1,
        vis::HIDDEN => 2,
        vis::INTERNAL => 3,
        _ => 0,
    }
}

/// The symbols of the link, by name.
#[derive(Debug)]
pub struct Resolution<'a> {
    /// Every candidate's fate.
    pub files: Vec<File<'a>>,
    /// Every name.
    pub names: Names<'a>,
    /// The winner of each name.
    pub defs: Vec<Def>,
    /// [`mention`]s of each name.
    pub mentions: Vec<u8>,
    /// The most constraining visibility of each name.
    pub visibility: Vec<u8>,
    /// Size and alignment of each common symbol that won.
    pub commons: FxHashMap<SymId, (u64, u64)>,
    /// Version each name was given in an object, by `@` or `@@`: (name, version, default).
    pub versions: FxHashMap<SymId, (&'a [u8], bool)>,
    /// The archive members of the link: which, on whose account, and for which name. By extraction.
    pub extracted: Vec<(FileId, Option<FileId>, SymId)>,
    /// The objects, by rising ids of their sections and local symbols.
    pub order: Vec<FileId>,
    /// How many symbols there are, objects' local ones included.
    pub symbol_count: usize,
    /// How many sections there are.
    pub section_count: usize,
}

impl<'a> Resolution<'a> {
    /// The object `file` is.
    pub fn object(&self, file: FileId) -> Option<&Object<'a>> {
        match self.files.get(file.i()) {
            Some(File::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// The library `file` is.
    pub fn shared(&self, file: FileId) -> Option<&Shared<'a>> {
        match self.files.get(file.i()) {
            Some(File::Shared(shared)) => Some(shared),
            _ => None,
        }
    }

    /// What people call `file`, if it is part of the link.
    pub fn file_name(&self, file: FileId) -> &str {
        match self.files.get(file.i()) {
            Some(File::Object(object)) => &object.name,
            Some(File::Shared(library)) => &library.name,
            _ => "",
        }
    }

    /// Every object, in command-line order.
    pub fn objects(&self) -> impl Iterator<Item = (FileId, &Object<'a>)> {
        self.files.iter().enumerate().filter_map(|(i, file)| match file {
            File::Object(object) => Some((FileId(i as u32), &**object)),
            _ => None,
        })
    }

    /// Every library, in command-line order.
    pub fn libraries(&self) -> impl Iterator<Item = (FileId, &Shared<'a>)> {
        self.files.iter().enumerate().filter_map(|(i, file)| match file {
            File::Shared(shared) => Some((FileId(i as u32), &**shared)),
            _ => None,
        })
    }

    /// The winning symbol of `id`, if a file of the link has it.
    pub fn winner(&self, id: SymId) -> Option<Symbol> {
        let def = *self.defs.get(id.i())?;
        match self.files.get(def.file().i())? {
            File::Object(object) if def.is_local() => Some(object.symbols.get(def.sym())),
            File::Shared(shared) if def.is_shared() => Some(shared.symbols.get(def.sym())),
            _ => None,
        }
    }

    /// The last object whose first id, as `first` has it, is at most `id`.
    pub fn owner(&self, id: u32, first: impl Fn(&Object<'a>) -> u32) -> Option<&Object<'a>> {
        let begins = |file: &FileId| self.object(*file).is_some_and(|o| first(o) <= id);
        self.object(*self.order.get(self.order.partition_point(begins).checked_sub(1)?)?)
    }

    /// The id of `name`, if anything mentions it.
    pub fn find(&self, name: &[u8]) -> Option<SymId> {
        self.names.find(name, hash_name(name))
    }
}

/// A name and its version.
type Versioned<'a> = (&'a [u8], &'a [u8]);

/// Tables that grow with the names.
pub(crate) struct Resolver<'a> {
    options: &'a Options,
    candidates: &'a [Candidate<'a>],
    /// Each wrapped name with its `__wrap_` and `__real_` forms.
    wraps: &'a [[String; 3]],
    files: Vec<File<'a>>,
    names: Names<'a>,
    defs: Vec<AtomicU64>,
    mentions: Vec<AtomicU8>,
    visibility: Vec<AtomicU8>,
    /// Which archive member offers a name, the first one.
    lazy: Vec<u32>,
    /// Which COMDAT group of a signature is kept: order of loading, then section.
    owners: Vec<AtomicU64>,
    versioned: Vec<(FileId, SymId)>,
    extracted: Vec<(FileId, Option<FileId>, SymId)>,
    /// The default versions that archive members define, by member; as far as they were asked for.
    defaults: FxHashMap<u32, FxHashSet<Versioned<'a>>>,
    /// What mentions of wrapped names become mentions of.
    redirects: Option<FxHashMap<SymId, SymId>>,
    loaded: u32,
    errors: Vec<Error>,
}

/// Decides which files take part and which definitions win.
///
/// Errors: `bad-input`, `wrong-machine`, `duplicate-symbol`.
pub fn resolve<'a>(
    candidates: &'a [Candidate<'a>],
    wraps: &'a [[String; 3]],
    options: &'a Options,
    arch: &'static Arch,
) -> Result<Resolution<'a>, Errors> {
    let files = read_all(candidates, arch)?;
    let count = files.iter().map(|file| match file {
        File::Object(object) => object.keys.len(),
        File::Shared(shared) => shared.defined.len() + shared.undefined.len(),
        _ => 0,
    });
    let mut resolver = Resolver {
        options,
        candidates,
        wraps,
        names: Names::with_capacity(count.sum::<usize>() / 2 + 1024),
        files,
        defs: Vec::new(),
        mentions: Vec::new(),
        visibility: Vec::new(),
        lazy: Vec::new(),
        owners: Vec::new(),
        versioned: Vec::new(),
        extracted: Vec::new(),
        defaults: FxHashMap::default(),
        redirects: None,
        loaded: 0,
        errors: Vec::new(),
    };
    resolver.intern_all();
    resolver.offer_all();
    resolver.extract();
    resolver.finish()
}

/// Reads every candidate that takes part whatever happens.
fn read_all<'a>(
    candidates: &'a [Candidate<'a>],
    arch: &'static Arch,
) -> Result<Vec<File<'a>>, Errors> {
    let results: Vec<Result<File<'a>, Error>> = candidates
        .par_iter()
        .map(|candidate| {
            let name = candidate.name.clone();
            Ok(match candidate.what {
                What::Object => File::Object(Box::new(read::object(candidate.data, name, arch)?)),
                What::Lazy => match read::object(candidate.data, name, arch) {
                    Ok(object) => File::Lazy(Box::new(object)),
                    Err(error) => File::Broken(error),
                },
                What::Shared => {
                    let given = &candidate.given;
                    let mut library = shared(candidate.data, name, given, arch)?;
                    library.as_needed = candidate.as_needed;
                    File::Shared(Box::new(library))
                }
            })
        })
        .collect();
    let mut files = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(file) => files.push(file),
            Err(error) => errors.push(error),
        }
    }
    match Errors::collect(errors) {
        Some(errors) => Err(errors),
        None => Ok(files),
    }
}

impl<'a> Resolver<'a> {
    /// Grows the tables to the number of names.
    fn fit(&mut self) {
        let count = self.names.len();
        self.defs.resize_with(count, || AtomicU64::new(u64::MAX));
        self.owners.resize_with(count, || AtomicU64::new(u64::MAX));
        self.mentions.resize_with(count, || AtomicU8::new(0));
        self.visibility.resize_with(count, || AtomicU8::new(0));
        self.lazy.resize(count, u32::MAX);
    }
}

/// An error that names a symbol.
pub(crate) fn symbol_error(kind: ErrorKind, text: &str, name: &[u8]) -> Error {
    Error::new(kind, format!("{text}: {}", String::from_utf8_lossy(name)))
}
