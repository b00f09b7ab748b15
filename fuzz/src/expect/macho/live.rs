//! Dead stripping: what roots reach stays, the rest goes.
//!
//! Spec: ld64's manual for `-dead_strip`, nlist.h for N_NO_DEAD_STRIP. It must not know what a relocation
//! computes.

use super::resolve::{Fate, LOCAL, Link, Target, Winner};
use super::unwind;
use crate::case::{Definition, SectionKind, SymbolRef};

/// What stays or goes as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// A section of a file.
    Section(usize, usize),
    /// The common symbol of a name.
    Common(usize),
}

/// Marks what isn't reached as dead, if that is asked for.
pub(super) fn strip(link: &mut Link<'_>) {
    if !link.world.on.dead_strip {
        return;
    }
    let mut reached: Vec<Vec<bool>> = link.fates.iter().map(|f| vec![false; f.len()]).collect();
    let mut work = roots(link);
    let mut commons = vec![false; link.syms.len()];
    while let Some(part) = work.pop() {
        let (file, section) = match part {
            Part::Section(file, section) => (file, section),
            Part::Common(id) => {
                commons[id] = true;
                continue;
            }
        };
        if link.fates[file][section] != Fate::Live || reached[file][section] {
            continue;
        }
        reached[file][section] = true;
        for reloc in &link.section(file, section).relocs {
            work.extend(link.part(file, reloc.symbol));
        }
        for entry in unwind::entries(link.world.files[file].object) {
            let mine = entry.function.and_then(|it| unwind::own(link.world.files[file].object, it));
            if mine.is_some_and(|(mine, _)| mine == section) {
                let needs = entry.personality.into_iter().chain(entry.lsda);
                work.extend(needs.filter_map(|it| link.part(file, it.symbol)));
            }
        }
        for (frames, fde) in unwind::frames(link.world.files[file].object) {
            let object = link.world.files[file].object;
            let mine = unwind::led(object, frames, fde.begin).is_some_and(|(it, _)| it == section);
            if mine {
                let personality = fde.personality.and_then(|(_, reloc)| reloc);
                let needs = personality.into_iter().chain(fde.lsda);
                work.extend(needs.filter_map(|it| link.part(file, it.symbol)));
            }
        }
    }
    link.dead_commons = commons.into_iter().map(|reached| !reached).collect();
    for file in link.world.order.clone() {
        let whole = !link.world.files[file].object.subsections;
        for (section, reached) in reached[file].iter().enumerate() {
            if *reached || link.fates[file][section] != Fate::Live {
                continue;
            }
            if !unwind::describes(link.section(file, section)) {
                link.fates[file][section] = Fate::Dead;
            }
            if whole {
                // ld64 keeps what it can't cut.
                let reason = "dead code of an object without subsections";
                link.findings.everything(reason, true);
            }
        }
    }
}

fn roots(link: &Link<'_>) -> Vec<Part> {
    let mut list = Vec::new();
    for &file in &link.world.order {
        let object = link.world.files[file].object;
        for (index, section) in object.sections.iter().enumerate() {
            let array = matches!(section.kind, SectionKind::InitArray | SectionKind::FiniArray);
            if array || section.flags.retain {
                list.push(Part::Section(file, index));
            }
        }
        for (index, symbol) in object.symbols.iter().enumerate() {
            if symbol.desc.no_dead_strip {
                list.extend(link.part(file, SymbolRef::Named(index)));
            }
        }
    }
    let on = &link.world.on;
    for (id, sym) in link.syms.iter().enumerate() {
        // A program's own exports are no roots unless they are listed.
        let exported = sym.exported && (on.library || on.exported.is_some());
        let named = on.undefined.contains(&sym.name) || (!on.library && sym.name == on.entry);
        if exported || named {
            list.extend(link.home(id));
        }
    }
    list
}

impl Link<'_> {
    /// The part of this image that a relocation leads to.
    pub(super) fn part(&self, file: usize, symbol: SymbolRef) -> Option<Part> {
        match self.target(file, symbol) {
            Target::Null => None,
            Target::Section { file, section } => Some(Part::Section(file, section)),
            Target::Local { file, symbol } => match self.symbol(file, symbol).definition {
                Definition::Section { section, .. } => Some(Part::Section(file, section)),
                _ => None,
            },
            Target::Global(id) => self.home(id),
        }
    }

    /// Where a name's own definition is.
    pub(super) fn home(&self, id: usize) -> Option<Part> {
        match self.syms[id].winner {
            Winner::Object { file, symbol } => match self.symbol(file, symbol).definition {
                Definition::Section { section, .. } => Some(Part::Section(file, section)),
                _ => None,
            },
            Winner::Common { .. } => Some(Part::Common(id)),
            _ => None,
        }
    }

    /// What a relocation's symbol stands for.
    pub(super) fn target(&self, file: usize, symbol: SymbolRef) -> Target {
        match symbol {
            SymbolRef::Null => Target::Null,
            SymbolRef::Section(section) => Target::Section { file, section },
            SymbolRef::Named(symbol) => match self.ids[file][symbol] {
                LOCAL => Target::Local { file, symbol },
                id => Target::Global(id),
            },
        }
    }

    /// Whether a part is in the output.
    pub(super) fn is_live(&self, part: Part) -> bool {
        match part {
            Part::Section(file, section) => self.fates[file][section] == Fate::Live,
            Part::Common(id) => !self.dead_commons.get(id).copied().unwrap_or(false),
        }
    }
}
