//! Where a link defines the names that modes look at, and which inputs have what a mode would add. Must not know
//! which mode it is.

use super::edit::Editor;
use super::made::{ENTRY, LAST};
use super::{Addition, FIRST, OWN};
use crate::arch::{Arch, Row};
use crate::format::elf::{SHF_ALLOC, SHF_TLS, SHT_INIT_ARRAY};
use crate::init_order::{InitArray, classify};
use crate::object::{FileId, Home, Object, Reloc, Symbol, bind, kind, vis};
use crate::resolve::Resolution;
use crate::{Error, ErrorKind, Result, Site};

/// A symbol of a file.
type Place = (FileId, u32);

/// Whether a section called `name` joins the init entries though it is of another type: `.ctors`.
fn is_old_init(name: &[u8]) -> bool {
    classify(name).is_some_and(|section| section.array == InitArray::Init && section.reversed)
}

/// Whether a relocation of type `kind` makes a word an address: several types do.
fn is_address(arch: &Arch, kind: u32) -> bool {
    let says = |row: &Row| (row.what, row.base, row.state, row.field.len());
    let word = arch.row(arch.dynamic.word).map(says);
    word.is_some() && arch.row(kind).map(says) == word
}

/// What the linker's own objects call a symbol called `name` where by that name they would find none, or another's.
fn alias(name: &str) -> String {
    format!("go:link.{name}")
}

/// The objects of a link, but for what a mode has added already.
pub(super) struct Module<'r, 'a> {
    res: &'r Resolution<'a>,
    /// How many candidates are the linker's own.
    own: usize,
    /// Another module may define the same names, and its definitions come first.
    library: bool,
}

impl<'r, 'a> Module<'r, 'a> {
    /// Of `res`, whose first `own` candidates the linker made.
    pub(super) fn new(res: &'r Resolution<'a>, own: usize, library: bool) -> Self {
        Self { res, own, library }
    }

    fn objects(&self) -> impl Iterator<Item = (FileId, &'r Object<'a>)> {
        self.res.objects().filter(|(file, _)| file.i() >= self.own)
    }

    /// Local symbols called `name`.
    fn locals(&self, name: &str) -> impl Iterator<Item = Place> {
        let defines = move |object: &Object<'_>, at: u32| {
            let symbol = object.symbols.get(at);
            let here = match symbol.home {
                // A section's own symbol has its name, or none.
                Home::Section(section) => {
                    symbol.kind != kind::SECTION && !object.dead[section as usize]
                }
                // A source file's name is a number, too.
                Home::Absolute => symbol.kind != kind::FILE,
                _ => false,
            };
            here && object.symbol_name(at) == name.as_bytes()
        };
        self.objects().flat_map(move |(file, object)| {
            let all = 1..object.first_global;
            all.filter(move |at| defines(object, *at)).map(move |at| (file, at))
        })
    }

    /// Whether an object has its entry already: the Go linker made it for another linker.
    pub(super) fn is_complete(&self) -> bool {
        self.locals(ENTRY).next().is_some()
    }

    /// Where all objects, or one alone, define `name`: the Go linker leaves local what no other module needs.
    ///
    /// Errors: `duplicate-symbol` if there are several local ones.
    pub(super) fn find(&self, name: &str) -> Result<Option<Place>> {
        let global = self.res.find(name.as_bytes()).map(|id| self.res.defs[id.i()]);
        if let Some(def) = global.filter(|def| def.is_local()) {
            return Ok(Some((def.file(), def.sym())));
        }
        let mut found = self.locals(name);
        let first = found.next();
        match (first, found.next()) {
            (Some(one), Some(other)) => {
                let text = format!(
                    "several local symbols {name}: the build mode asks for one; another is in {}",
                    self.site(one)
                );
                Err(Error::new(ErrorKind::DuplicateSymbol, text).at(self.site(other)))
            }
            _ => Ok(first),
        }
    }

    /// Whether anything is called `name`, and then whether for all objects.
    ///
    /// Errors: as [`Self::find`].
    pub(super) fn look(&self, name: &str) -> Result<Option<bool>> {
        let Some((file, at)) = self.find(name)? else { return Ok(None) };
        Ok(Some(self.object(file)?.symbols.get(at).bind != bind::LOCAL))
    }

    fn object(&self, file: FileId) -> Result<&'r Object<'a>> {
        let none = || Error::new(ErrorKind::Internal, "a definition in no object");
        self.res.object(file).ok_or_else(none)
    }

    /// Where a symbol is, for a person.
    fn site(&self, place: Place) -> Site {
        let file = self.res.file_name(place.0).to_owned();
        match self.home(place).zip(self.res.object(place.0)) {
            Some(((_, section, at), object)) => {
                let name = String::from_utf8_lossy(object.section_name(section)).into_owned();
                Site { file, section: Some(name), offset: Some(at) }
            }
            None => Site { file, section: None, offset: None },
        }
    }

    /// Checks that `what`, which is called `name`, has an address.
    ///
    /// Errors: `undefined-symbol` if it is a number: what goes anywhere has no distance to that, and nothing is there.
    pub(super) fn refuse_number(&self, name: &str, what: &str) -> Result<()> {
        let Some(place) = self.find(name)? else { return Ok(()) };
        match self.object(place.0)?.symbols.get(place.1).home {
            Home::Absolute => {
                let text = format!("{name} is a number: {what} has an address");
                Err(Error::new(ErrorKind::UndefinedSymbol, text).at(self.site(place)))
            }
            _ => Ok(()),
        }
    }

    /// Checks that `what`, which is called `name`, is at one address when the module is loaded.
    ///
    /// Errors: `mode-conflict` if it is in a section that isn't loaded, or if each thread has its own.
    pub(super) fn refuse_unloaded(&self, name: &str, what: &str) -> Result<()> {
        let Some(place) = self.find(name)? else { return Ok(()) };
        let object = self.object(place.0)?;
        let symbol = object.symbols.get(place.1);
        let flags = match symbol.home {
            Home::Section(at) => object.sections.get(at).flags,
            _ => SHF_ALLOC,
        };
        let wrong = if symbol.kind == kind::TLS || flags & SHF_TLS != 0 {
            "is thread-local"
        } else if flags & SHF_ALLOC == 0 {
            "is not loaded"
        } else {
            return Ok(());
        };
        let text = format!("{name} {wrong}: {what} has an address");
        Err(Error::new(ErrorKind::ModeConflict, text).at(self.site(place)))
    }

    /// Whether `init`, what `-init` names, is `start` by its name: then the loader calls that without an entry.
    pub(super) fn is_init(&self, init: &str, start: &str) -> bool {
        let global = self.res.find(init.as_bytes()).map(|id| self.res.defs[id.i()]);
        init == start && global.is_some_and(|def| def.is_local())
    }

    /// Section and offset of a symbol.
    fn home(&self, (file, symbol): Place) -> Option<(FileId, u32, u64)> {
        let symbol = self.res.object(file)?.symbols.get(symbol);
        match symbol.home {
            Home::Section(section) => Some((file, section, symbol.value)),
            _ => None,
        }
    }

    /// Where the symbol at `index` of a file leads.
    fn target(&self, (file, index): Place) -> Option<(FileId, u32, u64)> {
        let object = self.res.object(file)?;
        if index < object.first_global {
            return self.home((file, index));
        }
        let def = self.res.defs[object.id(index).i()];
        def.is_local().then(|| self.home((def.file(), def.sym())))?
    }

    /// Whether some object's init entry leads to `start`.
    pub(super) fn is_called(&self, start: Place) -> bool {
        let Some(start) = self.home(start) else { return false };
        self.objects().any(|(file, object)| {
            let entries = object.sections.iter().filter(|(at, section)| {
                let runs = section.kind == SHT_INIT_ARRAY || is_old_init(object.section_name(*at));
                runs && !object.dead[*at as usize]
            });
            let leads = |reloc: Reloc| {
                let target = self.target((file, reloc.sym));
                let moved = |(file, section, at): (FileId, u32, u64)| {
                    (file, section, at.wrapping_add_signed(reloc.addend))
                };
                is_address(object.arch, reloc.kind) && target.map(moved) == Some(start)
            };
            entries.map(|(at, _)| object.relocs(at)).any(|table| table.iter().any(leads))
        })
    }

    /// Whether the linker's own objects see a symbol called `name` by an alias only.
    fn is_aliased(&self, name: &str, symbol: Symbol) -> bool {
        symbol.bind == bind::LOCAL || name == FIRST && self.library
    }

    /// What the linker's own objects call what is called `name`.
    ///
    /// Errors: as [`Self::find`].
    pub(super) fn handle(&self, name: &str) -> Result<String> {
        let Some((file, at)) = self.find(name)? else { return Ok(name.to_owned()) };
        let symbol = self.object(file)?.symbols.get(at);
        Ok(if self.is_aliased(name, symbol) { alias(name) } else { name.to_owned() })
    }

    /// Whether what is called `name` at `place` has its alias already.
    ///
    /// Errors: `mode-conflict` if something else is called so.
    fn has_alias(&self, name: &str, place: Place) -> Result<bool> {
        let alias = alias(name);
        let known = self.res.find(alias.as_bytes()).map(|id| self.res.defs[id.i()]);
        let Some(def) = known.filter(|def| def.is_local()) else { return Ok(false) };
        let other = (def.file(), def.sym());
        if self.home(other) == self.home(place) {
            return Ok(true);
        }
        let text = format!("duplicate symbol: {alias}, the build mode's own name for {name}");
        Err(Error::new(ErrorKind::ModeConflict, text).at(self.site(other)))
    }

    /// Whether the variable at `place` holds the address of what the module, and nobody else, calls `data` already.
    fn points(&self, place: Place, data: &str) -> bool {
        let Some((file, section, at)) = self.home(place) else { return false };
        let Some(object) = self.res.object(file) else { return false };
        let end = at.saturating_add(object.arch.word());
        let table = object.relocs(section);
        let mut inside = table.iter().filter(|reloc| (at..end).contains(&reloc.offset));
        let (Some(reloc), None) = (inside.next(), inside.next()) else { return false };
        let named = reloc.sym >= object.first_global
            && self.res.names.get(object.id(reloc.sym)) == data.as_bytes();
        named && (reloc.offset, reloc.addend) == (at, 0) && is_address(object.arch, reloc.kind)
    }

    /// The inputs, by number, that `what` changes, and their new bytes.
    ///
    /// Errors: `bad-input`, `duplicate-symbol`, `mode-conflict`.
    pub(super) fn edits(&self, what: &Addition) -> Result<Vec<(usize, Vec<u8>)>> {
        let mut steps: Vec<(FileId, Step)> = Vec::new();
        for name in what.data().into_iter().chain(what.start.as_deref()) {
            let Some((file, at)) = self.find(name)? else { continue };
            let symbol = self.object(file)?.symbols.get(at);
            if self.is_aliased(name, symbol) {
                if !self.has_alias(name, (file, at))? {
                    steps.push((file, Step::Alias(at, alias(name), self.common((file, at))?)));
                }
            } else if name == OWN && symbol.vis == vis::DEFAULT {
                steps.push((file, Step::Hide(at)));
            }
        }
        if let Some(data) = what.list
            && let Some(last) = self.find(LAST)?
        {
            let data = self.handle(data)?;
            if !self.points(last, &data) {
                steps.push((last.0, Step::Point(last.1, data, self.common(last)?)));
            }
        }
        steps.sort_by_key(|step| step.0);
        let each = steps.chunk_by(|a, b| a.0 == b.0).map(|steps| {
            let file = steps[0].0;
            let mut editor = Editor::new(self.object(file)?)?;
            steps.iter().try_for_each(|(_, step)| step.take(&mut editor))?;
            Ok((file.i() - self.own, editor.finish()?))
        });
        each.collect()
    }

    /// Size and alignment of a common block that all objects see; of anything else nothing.
    fn common(&self, (file, symbol): Place) -> Result<(u64, u64)> {
        let object = self.object(file)?;
        let shared = (symbol >= object.first_global).then(|| object.id(symbol));
        let block = shared.and_then(|id| self.res.commons.get(&id));
        Ok(block.copied().unwrap_or_default())
    }
}

/// A change to an object.
enum Step {
    /// The module has this name for it, too; size and alignment, if it is a common block.
    Alias(u32, String, (u64, u64)),
    /// No other module sees it.
    Hide(u32),
    /// The variable holds an address; size and alignment, if it is a common one.
    Point(u32, String, (u64, u64)),
}

impl Step {
    fn take(&self, editor: &mut Editor<'_>) -> Result<()> {
        match self {
            Self::Alias(symbol, name, common) => editor.alias(*symbol, name, *common),
            Self::Hide(symbol) => {
                editor.hide(*symbol);
                Ok(())
            }
            Self::Point(symbol, data, common) => editor.point(*symbol, data, *common),
        }
    }
}

#[cfg(test)]
mod owned;
#[cfg(test)]
mod refused;
#[cfg(test)]
pub(super) mod tests;
