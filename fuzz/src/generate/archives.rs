//! Drafts → the inputs of a case, in an order that every linker understands alike: objects, then
//! archives (several in a group), then libraries.

use super::Dice;
use super::world::World;
use crate::Case;
use crate::case::*;
use crate::machine::{Form, Machine};

impl World<'_> {
    pub(super) fn finish(mut self, dice: &mut Dice<'_>) -> Case {
        let config = self.config;
        let mut archives: Vec<Archive> = (0..self.archives)
            .map(|i| Archive {
                name: format!("lib{i}.a"),
                members: vec![],
                whole: config.whole && dice.chance(500),
                thin: config.thin && dice.chance(500),
            })
            .collect();
        for mut draft in std::mem::take(&mut self.drafts) {
            for section in &mut draft.object.sections {
                section.relocs.sort_by_key(|reloc| reloc.offset);
                if config.unsorted && may_be_unsorted(self.machine, section) {
                    section.relocs.reverse();
                    let middle = dice.below(section.relocs.len());
                    section.relocs.rotate_left(middle);
                }
            }
            match draft.archive {
                Some(archive) => archives[archive].members.push(draft.object),
                None => self.case.inputs.push(Input::Object(draft.object)),
            }
        }
        if archives.len() > 1 {
            self.case.inputs.push(Input::Group(archives));
        } else {
            self.case.inputs.extend(archives.into_iter().map(Input::Archive));
        }
        let libraries = std::mem::take(&mut self.libraries);
        self.case.inputs.extend(libraries.into_iter().map(Input::Library));
        if self.tls_get_addr {
            self.case.inputs.push(Input::Library(dynamic_loader(self.machine)));
        }
        self.case
    }
}

/// Whether the order of its relocations means nothing: a TLS sequence's must follow each other.
fn may_be_unsorted(machine: &Machine, section: &Section) -> bool {
    let sequence = |reloc: &Reloc| {
        // The call of a descriptor is a marker.
        let row = machine.row(reloc.r_type);
        row.is_none_or(|row| row.form.calls_for_tls() || row.form == Form::Nothing)
    };
    section.marker == Marker::Head && !section.relocs.iter().any(sequence)
}

/// A stand-in for the platform's loader: linked against, while the real one is what is found when a
/// program runs.
pub(super) fn dynamic_loader(machine: &Machine) -> Library {
    let (soname, version) = machine.loader;
    Library {
        name: "ld.so".into(),
        soname: Some(soname.into()),
        as_needed: false,
        weak: false,
        symbols: vec![LibrarySymbol {
            name: "__tls_get_addr".into(),
            version: Some((version.into(), true)),
            binding: Binding::Global,
            kind: SymbolKind::Func,
            visibility: Visibility::Default,
            size: (machine.code.returns)(0).len() as u64,
            defined: LibraryDefinition::Defined { alias: 1, readonly: false },
        }],
    }
}
