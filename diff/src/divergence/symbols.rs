//! Conditions on the symbol of a fact: a request's inputs in, whether a divergence may be about it out.
//!
//! It must not know what linkers made of the symbol.

use object::elf::{STT_COMMON, STT_OBJECT};
use object::{
    BinaryFormat, Object as _, ObjectKind, ObjectSection as _, ObjectSymbol as _, RelocationTarget,
    SymbolFlags, SymbolSection,
};
use serde::Deserialize;

use super::Question;
use crate::model::archive;
use crate::{Family, Request, Value};

/// What a symbol must be.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Symbol {
    /// Nothing defines it and no reference is strong.
    WeakUndefined,
    /// A library defines it.
    LibraryDefined,
    /// A library defines it as data.
    LibraryObject,
    /// A library defines it as a number.
    LibraryAbsolute,
    /// Objects mention it, and no relocation refers to it.
    Unused,
}

impl Symbol {
    /// The name used in `divergences.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WeakUndefined => "weak-undefined",
            Self::LibraryDefined => "library-defined",
            Self::LibraryObject => "library-object",
            Self::LibraryAbsolute => "library-absolute",
            Self::Unused => "unused",
        }
    }

    /// Whether the fact's symbol is that.
    pub(super) fn describes(self, question: &Question<'_>) -> bool {
        name(question).is_some_and(|name| self.is(question.request, &name))
    }

    fn is(self, request: &Request, name: &str) -> bool {
        if self == Self::Unused {
            return is_unused(request, name);
        }
        let mut any = false;
        let mut all = true;
        each(request, name, &mut |library, symbol| {
            let defined = !symbol.is_undefined();
            let data = matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. }
                if matches!(st_info.st_type(), STT_OBJECT | STT_COMMON));
            let absolute = symbol.section() == SymbolSection::Absolute;
            match self {
                Self::WeakUndefined => {
                    any |= !library;
                    all &= !defined && (library || symbol.is_weak());
                }
                Self::LibraryDefined => any |= library && defined,
                Self::LibraryObject => any |= library && defined && data,
                Self::LibraryAbsolute => any |= library && defined && absolute,
                Self::Unused => {}
            }
        });
        any && all
    }
}

/// Whether objects have symbols of that name, and no relocation refers to one.
fn is_unused(request: &Request, name: &str) -> bool {
    let mut any = false;
    for (_, bytes) in archive::contents(request) {
        let Ok(object) = object::File::parse(bytes) else { continue };
        let is_named = |symbol: &object::Symbol<'_, '_>| {
            symbol.name().unwrap_or_default().split('@').next() == Some(name)
        };
        let named: Vec<_> =
            object.symbols().filter(is_named).map(|symbol| symbol.index()).collect();
        any |= !named.is_empty();
        let mut relocs = object.sections().flat_map(|section| section.relocations());
        let refers = |reloc: object::Relocation| matches!(reloc.target(), RelocationTarget::Symbol(at) if named.contains(&at));
        if !named.is_empty() && relocs.any(|(_, reloc)| refers(reloc)) {
            return false;
        }
    }
    any
}

/// The name that the fact is about, without its version.
fn name(question: &Question<'_>) -> Option<String> {
    let key = question.key;
    let base = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    if matches!(key.family, Family::Import | Family::Export | Family::Lookup) {
        return Some(base(&key.rest));
    }
    let dynamic = |value: &Value| value.to_string().strip_prefix("dynamic ").map(base);
    [question.found, question.wanted].into_iter().flatten().find_map(dynamic)
}

/// Calls `see` with each global symbol of that name, and whether a library has it.
fn each(request: &Request, name: &str, see: &mut dyn FnMut(bool, &object::Symbol<'_, '_>)) {
    let mut read = |bytes: &[u8]| {
        let Ok(elf) = object::File::parse(bytes) else { return };
        let library = elf.kind() == ObjectKind::Dynamic;
        let look = |symbol: object::Symbol<'_, '_>| {
            let named = symbol.name().unwrap_or_default().split('@').next() == Some(name);
            if named && symbol.is_global() && symbol.section() != SymbolSection::None {
                see(library, &symbol);
            }
        };
        // Mach-O has one table for both.
        if library && elf.format() == BinaryFormat::Elf {
            elf.dynamic_symbols().for_each(look);
        } else {
            elf.symbols().for_each(look);
        }
    };
    archive::contents(request).iter().for_each(|(_, bytes)| read(bytes));
}
