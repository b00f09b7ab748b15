//! The mentions of every name: what the symbols of objects and libraries ask of it together.
//!
//! Spec: gABI chapter 4, with strong, common and weak definitions in that order. It must not know who
//! wins in the end: libraries and the linker itself come in `winners`.

use std::borrow::Cow;

use scold_diff::model::ErrorClass;

use super::super::world::{Mention, Name};
use super::{Fate, LOCAL, Link, Winner};
use crate::case::{Binding, Definition, Symbol, SymbolKind, Visibility};

impl<'c> Link<'c> {
    pub(super) fn mention_all(&mut self) {
        for file in 0..self.world.files.len() {
            let object = self.world.files[file].object;
            let loaded = self.world.files[file].loaded;
            let mut ids = Vec::with_capacity(object.symbols.len());
            for (index, symbol) in object.symbols.iter().enumerate() {
                if symbol.binding == Binding::Local {
                    ids.push(LOCAL);
                    continue;
                }
                let mention = self.world.mentioned(symbol);
                let (id, name) = match mention {
                    Mention::Plain(name) => {
                        let (base, wanted) = name.key();
                        (self.intern(Cow::Borrowed(base), wanted), name)
                    }
                    Mention::Wrapped(text) => {
                        let name = Name::parse(&symbol.name);
                        (self.intern(Cow::Owned(text), None), Name { version: None, ..name })
                    }
                };
                ids.push(id);
                if loaded {
                    self.mention(file, index, symbol, id, name);
                }
            }
            self.ids.push(ids);
        }
    }

    /// Whether a mention defines, given what became of its section.
    fn defines(&self, file: usize, symbol: &Symbol) -> bool {
        match symbol.definition {
            Definition::Undefined => false,
            Definition::Section { section, .. } => self.fates[file][section] == Fate::Live,
            Definition::Absolute(_) | Definition::Common { .. } => true,
        }
    }

    fn mention(
        &mut self,
        file: usize,
        index: usize,
        symbol: &'c Symbol,
        id: usize,
        name: Name<'c>,
    ) {
        let defines = self.defines(file, symbol);
        let old = self.syms[id].clone();
        let tls = symbol.kind == SymbolKind::Tls;
        if old.in_objects && old.tls != tls {
            // bfd wants even references to agree, others look at the relocations only.
            self.findings.may(ErrorClass::TlsMismatch);
            self.findings.everything("mentions that disagree about TLS", true);
        }
        if defines && old.winner != Winner::Undefined && old.version != name.written() {
            self.findings.may(ErrorClass::DuplicateSymbol);
            self.findings.everything("definitions of one name with and without a version", true);
        }
        let sym = &mut self.syms[id];
        sym.in_objects = true;
        sym.tls = tls;
        sym.visibility = most_constraining(sym.visibility, symbol.visibility);
        if !defines {
            sym.referenced = true;
            sym.strong_ref |= symbol.binding != Binding::Weak;
            if symbol.definition != Definition::Undefined {
                // A reference left by a discarded copy: does its visibility count?
                if symbol.visibility != old.visibility {
                    self.findings.name(&old.name, "visibility of a discarded definition", true);
                }
            }
            return;
        }
        self.offer(file, index, symbol, id, name);
    }

    /// Lets a definition compete with the one that has won so far.
    fn offer(&mut self, file: usize, index: usize, symbol: &'c Symbol, id: usize, name: Name<'c>) {
        let rank = rank(symbol);
        let old = self.syms[id].winner;
        let old_rank = match old {
            Winner::Object { file, symbol } | Winner::Common { file, symbol, .. } => {
                self.rank_of(file, symbol)
            }
            _ => 0,
        };
        let winner = match symbol.definition {
            Definition::Common { align } => Winner::Common { file, symbol: index, align },
            _ => Winner::Object { file, symbol: index },
        };
        let sym = &mut self.syms[id];
        if rank == 3 && old_rank == 3 {
            let Winner::Object { file, symbol: other } = old else { return };
            self.duplicate(file, other, symbol);
            return;
        }
        if rank == 2 && old_rank == 2 {
            let Winner::Common { align, .. } = old else { return };
            let Winner::Common { align: new, .. } = winner else { return };
            let align = align.max(new);
            if symbol.size > sym.size {
                sym.size = symbol.size;
                sym.kind = symbol.kind;
                sym.winner = Winner::Common { file, symbol: index, align };
            } else if let Winner::Common { align: kept, .. } = &mut sym.winner {
                *kept = align;
            }
            return;
        }
        if rank > old_rank {
            sym.winner = winner;
            sym.kind = symbol.kind;
            sym.binding = symbol.binding;
            sym.size = symbol.size;
            sym.version = name.written();
        }
    }

    fn rank_of(&self, file: usize, symbol: usize) -> u8 {
        rank(self.symbol(file, symbol))
    }

    fn duplicate(&mut self, file: usize, other: usize, symbol: &Symbol) {
        let old = self.symbol(file, other);
        match (old.definition, symbol.definition) {
            // gold, bfd and lld take equal absolute definitions, mold does not.
            (Definition::Absolute(a), Definition::Absolute(b)) if a == b => {
                self.findings.may(ErrorClass::DuplicateSymbol);
            }
            _ => self.findings.error(ErrorClass::DuplicateSymbol),
        }
    }

    pub(super) fn mention_libraries(&mut self) {
        for library in 0..self.world.libraries.len() {
            let symbols = &self.world.libraries[library].symbols;
            for symbol in symbols {
                let default = symbol.version.as_ref().is_none_or(|(_, default)| *default);
                let wanted = match &symbol.version {
                    Some((version, false)) => Some(&**version),
                    _ => None,
                };
                let id = self.intern(Cow::Borrowed(&symbol.name), wanted);
                self.syms[id].in_libraries = true;
                let other = (symbol.kind == SymbolKind::Tls) != self.syms[id].tls;
                if other && self.syms[id].in_objects {
                    self.findings.may(ErrorClass::TlsMismatch);
                    self.findings.everything("mentions that disagree about TLS", true);
                }
                if !default {
                    let id = self.intern(Cow::Borrowed(&symbol.name), None);
                    self.syms[id].in_libraries = true;
                }
                // A definition of `foo@V` preempts the library's `foo@@V`.
                let version = symbol.version.as_ref().map(|(version, _)| &**version);
                if let Some(&id) = self.names.get(&(Cow::Borrowed(&*symbol.name), version)) {
                    self.syms[id].in_libraries = true;
                }
            }
        }
    }
}

/// strong 3, common 2, weak 1.
fn rank(symbol: &Symbol) -> u8 {
    match (symbol.definition, symbol.binding) {
        (Definition::Common { .. }, _) => 2,
        (_, Binding::Weak) => 1,
        _ => 3,
    }
}

fn most_constraining(a: Visibility, b: Visibility) -> Visibility {
    let order = |v| match v {
        Visibility::Default => 0,
        Visibility::Protected => 1,
        Visibility::Hidden => 2,
        Visibility::Internal => 3,
    };
    if order(a) >= order(b) { a } else { b }
}
