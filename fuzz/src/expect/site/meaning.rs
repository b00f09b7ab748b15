//! How the target of a relocation is told: as a place, a number, a name to look up, a merged piece.
//!
//! It must not know what the relocation computes: that is `forms`.

use scold_diff::Key;
use scold_diff::model::{Meaning, Place};

use super::super::binding::has_dynamic_table;
use super::super::resolve::{LOCAL, Winner};
use super::{At, Sites, Thing, open_key};
use crate::case::{
    Data, Definition, LibraryDefinition, Marker, Reloc, Section, SymbolKind, SymbolRef, Visibility,
};
use crate::machine::Form;

impl Sites<'_, '_> {
    /// What the address of `thing` means; a merged piece is read there.
    pub(super) fn address(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        if let Thing::Place { file, section, offset } = thing
            && self.link.section(file, section).flags.merge
        {
            return self.merged(at, key, file, section, offset);
        }
        if let Thing::Null(Some(id)) = thing {
            let sym = &self.link.syms[id];
            let importable = has_dynamic_table(self.link) && sym.visibility == Visibility::Default;
            if importable && !self.link.world.on.library {
                self.weak_sites.entry(id).or_default().push(key.clone());
            }
        }
        let ifunc = self.kind(at.file, at.reloc.symbol) == SymbolKind::Ifunc;
        Some(self.plain(thing, ifunc))
    }

    pub(super) fn plain(&self, thing: Thing, ifunc: bool) -> Meaning {
        match thing {
            Thing::Place { file, section, offset } => {
                let place = self.at_place(file, section, offset as i64);
                if ifunc { Meaning::Ifunc(place) } else { Meaning::Place(place) }
            }
            Thing::Common(id) => Meaning::Place(self.common_place(id)),
            Thing::Number(value) => Meaning::Absolute(value),
            Thing::Null(_) => Meaning::Absolute(0),
            Thing::Dynamic(id) => Meaning::Dynamic(self.lookup_name(id).into()),
            Thing::Linker(id) => match &*self.link.syms[id].name {
                "_GLOBAL_OFFSET_TABLE_" => Meaning::GotBase,
                name => Meaning::Linker(name.into()),
            },
            Thing::Gone | Thing::Undefined => Meaning::Discarded,
        }
    }

    pub(super) fn at_place(&self, file: usize, section: usize, offset: i64) -> Place {
        Place { section: self.labels[file][section].clone(), offset }
    }

    pub(super) fn common_place(&self, id: usize) -> Place {
        let Winner::Common { file, .. } = self.link.syms[id].winner else { unreachable!() };
        let name = self.link.world.files[file].name();
        let section = format!("{name}:COMMON.{}", self.link.syms[id].name);
        Place { section: section.into(), offset: 0 }
    }

    /// `NAME` or `NAME@VER`, as the loader looks it up.
    pub(crate) fn lookup_name(&self, id: usize) -> String {
        let sym = &self.link.syms[id];
        let version = match (&self.bounds[id].version, sym.winner) {
            (Some((version, _)), _) => Some(&**version),
            // A library that is not needed can't be asked for a version.
            (None, Winner::Library { library, .. }) if !self.needed[library] => None,
            (None, Winner::Library { .. }) => sym.version.map(|(version, _)| version),
            (None, _) => sym.wanted,
        };
        match version {
            Some(version) => format!("{}@{version}", sym.name),
            None => sym.name.clone().into_owned(),
        }
    }

    pub(super) fn merged(
        &mut self,
        at: &At<'_>,
        key: &Key,
        file: usize,
        section: usize,
        offset: u64,
    ) -> Option<Meaning> {
        let by_section = matches!(at.reloc.symbol, SymbolRef::Section(_));
        let mut offset = i128::from(offset);
        if by_section {
            offset += i128::from(at.reloc.addend);
            if matches!(at.row.form, Form::Relative | Form::Call) {
                self.findings.open.push(open_key(key, "which piece a distance selects"));
            }
        }
        match piece(self.link.section(file, section), offset) {
            Some(bytes) => Some(Meaning::Merged(bytes)),
            None => {
                self.findings.open.push(open_key(key, "outside of a merged piece"));
                Some(Meaning::Merged(Vec::new()))
            }
        }
    }

    /// The meaning of an exported definition.
    pub(crate) fn export_meaning(&self, id: usize) -> Meaning {
        let thing = self.definition(id);
        let kind = self.link.syms[self.link.follow(id)].kind;
        if let Thing::Place { file, section, offset } = thing
            && self.link.section(file, section).flags.merge
            && let Some(bytes) = piece(self.link.section(file, section), offset.into())
        {
            return Meaning::Merged(bytes);
        }
        match (kind, self.plain(thing, kind == SymbolKind::Ifunc)) {
            (SymbolKind::Tls, meaning) => Meaning::Tls(Box::new(meaning)),
            (_, meaning) => meaning,
        }
    }

    /// What a pointer-sized slot that a relocation fills holds: the addend is part of it.
    pub(crate) fn pointer(&self, file: usize, reloc: &Reloc) -> Option<Meaning> {
        let thing = self.thing(file, reloc.symbol);
        let ifunc = self.kind(file, reloc.symbol) == SymbolKind::Ifunc;
        match self.plain(thing, ifunc) {
            Meaning::Place(place) => {
                let offset = place.offset.wrapping_add(reloc.addend);
                Some(Meaning::Place(Place { offset, ..place }))
            }
            Meaning::Absolute(value) => {
                Some(Meaning::Absolute(value.wrapping_add(reloc.addend as u64)))
            }
            Meaning::Discarded => None,
            meaning if reloc.addend == 0 => Some(meaning),
            _ => None,
        }
    }

    /// Whether a library's definition is a number, which linkers treat in their own ways.
    pub(crate) fn is_library_number(&self, id: usize) -> bool {
        match self.link.syms[id].winner {
            Winner::Library { library, symbol } => matches!(
                self.link.world.libraries[library].symbols[symbol].defined,
                LibraryDefinition::Absolute(_)
            ),
            _ => false,
        }
    }

    /// Whether a symbol of a file defines something in that section under a name of its own.
    pub(crate) fn is_findable(&self, file: usize, section: usize) -> bool {
        let it = self.link.section(file, section);
        if it.marker != Marker::None && !it.kind.is_zerofill() {
            return true;
        }
        let object = self.link.world.files[file].object;
        object.symbols.iter().zip(&self.link.ids[file]).enumerate().any(|(index, (s, &id))| {
            matches!(s.definition, Definition::Section { section: at, .. } if at == section)
                && (id == LOCAL
                    || self.link.syms[id].winner == Winner::Object { file, symbol: index })
        })
    }
}

/// The string from `offset` to its NUL, or the whole constant there.
fn piece(section: &Section, offset: i128) -> Option<Vec<u8>> {
    let Data::Bytes(data) = &section.data else { return None };
    let at = usize::try_from(offset - i128::from(section.start())).ok()?;
    if at >= data.len() {
        return None;
    }
    let unit = usize::try_from(section.entsize).ok()?.max(1);
    if !section.flags.strings {
        let start = at - at % unit;
        return data.get(start..start + unit).map(<[u8]>::to_vec);
    }
    let end = data[at..].chunks_exact(unit).position(|c| c.iter().all(|&b| b == 0))?;
    Some(data[at..at + end * unit].to_vec())
}
