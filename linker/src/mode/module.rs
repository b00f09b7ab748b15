//! Where a link defines the names that modes look at, and which inputs have what a mode would add. Must not know
//! which mode it is.

use super::edit::Editor;
use super::made::{ENTRY, LAST};
use super::{Addition, OWN};
use crate::arch::{Arch, Row};
use crate::format::elf::SHT_INIT_ARRAY;
use crate::init_order::{InitArray, classify};
use crate::object::{FileId, Home, Object, Reloc, bind, vis};
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

/// The objects of a link, but for what a mode has added already.
pub(super) struct Module<'r, 'a> {
    res: &'r Resolution<'a>,
    /// How many candidates are the linker's own.
    own: usize,
}

impl<'r, 'a> Module<'r, 'a> {
    /// Of `res`, whose first `own` candidates the linker made.
    pub(super) fn new(res: &'r Resolution<'a>, own: usize) -> Self {
        Self { res, own }
    }

    fn objects(&self) -> impl Iterator<Item = (FileId, &'r Object<'a>)> {
        self.res.objects().filter(|(file, _)| file.i() >= self.own)
    }

    /// Local symbols called `name`.
    fn locals(&self, name: &str) -> impl Iterator<Item = Place> {
        let defines = move |object: &Object<'_>, at: u32| {
            let symbol = object.symbols.get(at);
            let here = matches!(symbol.home, Home::Section(s) if !object.dead[s as usize]);
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
    /// Errors: `duplicate-symbol` if several objects have a local one each.
    pub(super) fn find(&self, name: &str) -> Result<Option<Place>> {
        let global = self.res.find(name.as_bytes()).map(|id| self.res.defs[id.i()]);
        if let Some(def) = global.filter(|def| def.is_local()) {
            return Ok(Some((def.file(), def.sym())));
        }
        if name != OWN && !name.starts_with("_rt0_") {
            return Ok(None);
        }
        let mut found = self.locals(name);
        let first = found.next();
        match (first, found.next()) {
            (Some(one), Some(other)) => {
                let text = format!("duplicate symbol: {name}; also in {}", self.site(one));
                Err(Error::new(ErrorKind::DuplicateSymbol, text).at(self.site(other)))
            }
            _ => Ok(first),
        }
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

    /// Checks that the data called `name` is data.
    ///
    /// Errors: `bad-input` if it is a number, which code that goes anywhere has no distance to.
    pub(super) fn refuse_number(&self, name: &str) -> Result<()> {
        let Some(place) = self.find(name)? else { return Ok(()) };
        match self.object(place.0)?.symbols.get(place.1).home {
            Home::Absolute => {
                let text = format!("{name} is a number: a module's data has an address");
                Err(Error::new(ErrorKind::BadInput, text).at(self.site(place)))
            }
            _ => Ok(()),
        }
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

    /// Whether the variable at `place` holds the address of `data` already.
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
    /// Errors: `bad-input`, `duplicate-symbol`.
    pub(super) fn edits(&self, what: &Addition) -> Result<Vec<(usize, Vec<u8>)>> {
        let mut steps: Vec<(FileId, Step<'_>)> = Vec::new();
        let data = what.announce.or(what.list);
        for name in data.into_iter().chain(what.start.as_deref()) {
            let Some((file, at)) = self.find(name)? else { continue };
            let symbol = self.object(file)?.symbols.get(at);
            if symbol.bind == bind::LOCAL {
                steps.push((file, Step::Alias(at, name)));
            } else if name == OWN && symbol.vis == vis::DEFAULT {
                steps.push((file, Step::Hide(at)));
            }
        }
        if let Some(data) = what.list
            && let Some(last) = self.find(LAST)?
            && !self.points(last, data)
        {
            let id = self.object(last.0)?.id(last.1);
            let common = self.res.commons.get(&id).copied().unwrap_or_default();
            steps.push((last.0, Step::Point(last.1, data, common)));
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
}

/// A change to an object.
enum Step<'s> {
    /// What is local has this name, too.
    Alias(u32, &'s str),
    /// No other module sees it.
    Hide(u32),
    /// The variable holds an address; size and alignment, if it is a common one.
    Point(u32, &'s str, (u64, u64)),
}

impl Step<'_> {
    fn take(&self, editor: &mut Editor<'_>) -> Result<()> {
        match *self {
            Self::Alias(symbol, name) => editor.alias(symbol, name),
            Self::Hide(symbol) => editor.hide(symbol),
            Self::Point(symbol, data, common) => editor.point(symbol, data, common)?,
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
