//! References by name → indexes, once the whole object is read: they may precede what they name.

use super::Error;
use super::words::Word;
use crate::case::{Definition, Object, SymbolRef};

type Result<T> = std::result::Result<T, Error>;

/// References that wait for the end of their object.
#[derive(Default)]
pub(super) struct Later(Vec<(usize, Slot, Word)>);

pub(super) enum Slot {
    /// `link=` of a section.
    Link(usize),
    /// The section of a symbol.
    Place(usize),
    /// A member of a group.
    Member(usize),
    /// The symbol of a section's relocation.
    Target(usize, usize),
}

impl Later {
    pub(super) fn push(&mut self, line: usize, slot: Slot, word: Word) {
        self.0.push((line, slot, word));
    }

    pub(super) fn resolve(self, object: &mut Object) -> Result<()> {
        for (line, slot, word) in self.0 {
            let error = |text: String| Error { line, text };
            match slot {
                Slot::Link(i) => {
                    object.sections[i].link_order =
                        Some(section(object, &word.text).map_err(error)?);
                }
                Slot::Member(i) => {
                    let member = section(object, &word.text).map_err(error)?;
                    object.groups[i].members.push(member);
                }
                Slot::Place(i) => {
                    let found = section(object, &word.text).map_err(error)?;
                    if let Definition::Section { section, .. } = &mut object.symbols[i].definition {
                        *section = found;
                    }
                }
                Slot::Target(i, j) => {
                    let found = target(object, &word).map_err(error)?;
                    object.sections[i].relocs[j].symbol = found;
                }
            }
        }
        Ok(())
    }
}

fn section(object: &Object, name: &str) -> std::result::Result<usize, String> {
    find(object.sections.iter().map(|section| &*section.name), name, "section")
}

fn target(object: &Object, word: &Word) -> std::result::Result<SymbolRef, String> {
    let inner = word.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if word.text == "-" && !word.quoted {
        Ok(SymbolRef::Null)
    } else if let (Some(inner), false) = (inner, word.quoted) {
        section(object, inner).map(SymbolRef::Section)
    } else {
        let names = object.symbols.iter().map(|symbol| &*symbol.name);
        find(names, &word.text, "symbol").map(SymbolRef::Named)
    }
}

/// `#INDEX`, or a name that occurs once.
fn find<'a>(
    names: impl ExactSizeIterator<Item = &'a str>,
    name: &str,
    what: &str,
) -> std::result::Result<usize, String> {
    if let Some(index) = name.strip_prefix('#').and_then(|index| index.parse().ok()) {
        return if index < names.len() { Ok(index) } else { Err(format!("no {what} {name}")) };
    }
    let mut found = names.enumerate().filter(|(_, known)| *known == name).map(|(i, _)| i);
    match (found.next(), found.next()) {
        (Some(index), None) => Ok(index),
        (None, _) => Err(format!("no {what} `{name}`")),
        (Some(_), Some(_)) => Err(format!("more than one {what} `{name}`: say #INDEX")),
    }
}
