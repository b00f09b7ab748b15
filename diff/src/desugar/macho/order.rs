//! The order of a Go plugin's data on darwin: in each marked section the head, symbols by size and then as they
//! came, the tail.

use super::{MARKERS, Marker, OBJECT, sugared};
use crate::Request;
use crate::model::macho;

/// A section and its symbols in order, each as ld64 finds it: `OBJECT:NAME`.
pub(crate) struct Row {
    /// Whose section it is.
    pub(crate) marker: &'static Marker,
    /// The first symbol of each atom.
    pub(crate) names: Vec<Name>,
}

/// A symbol that begins an atom.
pub(crate) struct Name {
    /// Its object.
    pub(crate) file: String,
    pub(crate) name: String,
    /// No other object has one of that name.
    pub(crate) alone: bool,
    /// Where it lies among the others: head, between by size, tail.
    pub(crate) rank: (u8, u64),
}

impl Name {
    /// Whether nothing says which of the two comes first: members of archives come as they are asked for.
    pub(crate) fn is_free(&self, other: &Self) -> bool {
        let member = |name: &Self| name.file.ends_with(')');
        self.rank == other.rank && self.file != other.file && (member(self) || member(other))
    }
}

/// The order of every section of a plugin that a mode adds something to; nothing for others.
pub(crate) fn rows(request: &Request) -> Vec<Row> {
    let added = sugared(request).is_some() && request.file(OBJECT).is_some();
    if request.mode != crate::Mode::Plugin || !added {
        return Vec::new();
    }
    let atoms = macho::atoms(request, &super::said::present(request));
    let row = |marker: &'static Marker| {
        let here = |atom: &&macho::Named| (&*atom.segment, &*atom.section) == (marker.2, marker.3);
        let mut list: Vec<_> = atoms.iter().filter(here).collect();
        let rank = |atom: &macho::Named| {
            let has = |name: &str| atom.names.iter().any(|other| other == name);
            let place = if has(marker.0) { 0 } else { 1 + u8::from(has(marker.1)) };
            (place, if marker.4 { atom.size } else { 0 })
        };
        list.sort_by_key(|atom| rank(atom));
        let named = |name: &String| atoms.iter().filter(|atom| atom.names.contains(name)).count();
        let name = |atom: &macho::Named| {
            let first = atom.names.first()?;
            let (file, name) = (atom.file.clone(), first.clone());
            Some(Name { file, name, alone: named(first) == 1, rank: rank(atom) })
        };
        let names = list.into_iter().filter_map(name);
        Row { marker, names: names.collect() }
    };
    MARKERS.iter().map(row).filter(|row| !row.names.is_empty()).collect()
}

/// The order file.
pub(super) fn file(request: &Request) -> String {
    let rows = rows(request);
    let names = rows.iter().flat_map(|row| &row.names);
    names.map(|Name { file, name, .. }| format!("{file}:{name}\n")).collect()
}
