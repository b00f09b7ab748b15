//! Liveness under `--gc-sections`: what can be reached from the roots.
//!
//! Spec: GNU ld's manual (--gc-sections), gABI on SHF_LINK_ORDER, SHF_GNU_RETAIN, groups.
//! It must not know what relocations mean, only what they name.

use rustc_hash::FxHashSet;

use super::binding::Bound;
use super::resolve::{Fate, LOCAL, Link, Target, Winner, is_identifier, unwinds};
use super::unwind;
use crate::case::{Definition, SectionKind, SymbolRef, Visibility};

/// Marks sections that nothing needs as dead.
pub(crate) fn collect(link: &mut Link<'_>, bounds: &[Bound], entry: &str) {
    let marker = Marker::reach(link, bounds, entry);
    if marker.bounded {
        // bfd keeps what __start_ names, lld's -z start-stop-gc does not.
        link.findings.everything("--gc-sections and __start_/__stop_ names", true);
    }
    leave_to_as_needed(link, bounds, entry, &marker.live);
    leave_to_defsym(link, bounds, entry, &marker);
    let dead_set = (0..link.world.files.len()).any(|file| {
        let sections = &link.world.files[file].object.sections;
        sections.iter().enumerate().any(|(section, it)| {
            let dead = link.fates[file][section] == Fate::Live && !marker.live[file][section];
            dead && it.flags.alloc && is_identifier(&it.name)
        })
    });
    if dead_set {
        // bfd and mold keep sections that __start_ could name.
        link.findings.everything("--gc-sections and C identifiers", true);
    }
    for (fates, live) in link.fates.iter_mut().zip(&marker.live) {
        for (fate, live) in fates.iter_mut().zip(live) {
            if *fate == Fate::Live && !live {
                *fate = Fate::Dead;
            }
        }
    }
}

/// What is only kept because a library has a name of the executable, too, is left to policy if that library may
/// not be needed: bfd and mold let go of a library before they collect, lld and gold after. So is what is only kept
/// for being exported, if no library may be needed: bfd has made a static executable by then.
fn leave_to_as_needed(link: &mut Link<'_>, bounds: &[Bound], entry: &str, live: &[Vec<bool>]) {
    let on = &link.world.on;
    let needed = super::site::needed(link);
    let may_be_static = !on.pic && !needed.contains(&true);
    if on.library || on.export_dynamic && !may_be_static {
        return;
    }
    let certain: FxHashSet<&str> = (link.world.libraries.iter().zip(needed))
        .filter_map(|(library, needed)| needed.then_some(&library.symbols))
        .flatten()
        .map(|symbol| &*symbol.name)
        .collect();
    let mut without = bounds.to_vec();
    for (bound, sym) in without.iter_mut().zip(&link.syms) {
        bound.exported &= !may_be_static && (!sym.in_libraries || certain.contains(&*sym.name));
    }
    if Marker::reach(link, &without, entry).live != live {
        link.findings.everything("--gc-sections and names of unneeded libraries", true);
    }
}

/// What only a `--defsym` refers to that nothing refers to is left to policy: bfd and mold collect it. So is what is only
/// kept because its name is exported, if that stands for one that nobody outside sees: bfd hides it, too.
fn leave_to_defsym(link: &mut Link<'_>, bounds: &[Bound], entry: &str, marker: &Marker) {
    let is_alias = |id: &usize| matches!(link.syms[*id].winner, Winner::Alias(_));
    let aliases: Vec<usize> = (0..link.syms.len()).filter(is_alias).collect();
    if aliases.is_empty() {
        return;
    }
    let mut with = marker.clone();
    aliases.iter().for_each(|id| with.mark_sym(link, *id));
    with.run(link);
    let mut hidden = bounds.to_vec();
    for id in aliases {
        hidden[id].exported &= link.syms[link.follow(id)].visibility == Visibility::Default;
    }
    let without = Marker::reach(link, &hidden, entry);
    if with.live != marker.live || without.live != marker.live {
        link.findings.everything("--gc-sections and what only a --defsym names", true);
    }
}

#[derive(Clone)]
struct Marker {
    live: Vec<Vec<bool>>,
    queue: Vec<(usize, usize)>,
    bounded: bool,
}

impl Marker {
    /// All that is alive if so much is exported.
    fn reach(link: &Link<'_>, bounds: &[Bound], entry: &str) -> Self {
        let sections = link.world.files.iter().map(|file| file.object.sections.len());
        let live = sections.map(|count| vec![false; count]).collect();
        let mut marker = Self { live, queue: Vec::new(), bounded: false };
        marker.roots(link, bounds, entry);
        marker.run(link);
        marker
    }

    fn mark(&mut self, link: &Link<'_>, file: usize, section: usize) {
        if link.fates[file][section] == Fate::Live && !self.live[file][section] {
            self.live[file][section] = true;
            self.queue.push((file, section));
        }
    }

    fn mark_sym(&mut self, link: &Link<'_>, id: usize) {
        let sym = &link.syms[link.follow(id)];
        match sym.winner {
            Winner::Object { file, symbol } => {
                if let Definition::Section { section, .. } = link.symbol(file, symbol).definition {
                    self.mark(link, file, section);
                }
            }
            Winner::Linker => {
                let name = sym.name.as_ref();
                let bounded = name.strip_prefix("__start_").or(name.strip_prefix("__stop_"));
                if let Some(bounded) = bounded.filter(|name| is_identifier(name)) {
                    self.bounded = true;
                    for file in link.loaded() {
                        for section in 0..self.live[file].len() {
                            if link.section(file, section).name == bounded {
                                self.mark(link, file, section);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn mark_ref(&mut self, link: &Link<'_>, file: usize, symbol: SymbolRef) {
        match link.target(file, symbol) {
            Target::Null => {}
            Target::Section { file, section } => self.mark(link, file, section),
            Target::Local { file, symbol } => {
                if let Definition::Section { section, .. } = link.symbol(file, symbol).definition {
                    self.mark(link, file, section);
                }
            }
            Target::Global(id) => self.mark_sym(link, id),
        }
    }

    fn roots(&mut self, link: &Link<'_>, bounds: &[Bound], entry: &str) {
        for (id, bound) in bounds.iter().enumerate() {
            if bound.exported {
                self.mark_sym(link, id);
            }
        }
        let named = link.world.on.undefined.iter().copied().chain([entry, "_init", "_fini"]);
        for name in named {
            if let Some(id) = link.find(name) {
                self.mark_sym(link, id);
            }
        }
        for file in link.loaded() {
            for section in 0..self.live[file].len() {
                let it = link.section(file, section);
                let kept = it.flags.retain
                    || !it.flags.alloc
                    || matches!(
                        it.kind,
                        SectionKind::InitArray
                            | SectionKind::FiniArray
                            | SectionKind::PreinitArray
                            | SectionKind::Note
                            | SectionKind::EhFrame
                    )
                    || [".init", ".fini", ".ctors", ".dtors", ".jcr", ".eh_frame"]
                        .contains(&&*it.name)
                    || it.name.starts_with(".ctors.")
                    || it.name.starts_with(".dtors.");
                if kept {
                    self.mark(link, file, section);
                }
            }
        }
    }

    fn run(&mut self, link: &Link<'_>) {
        loop {
            while let Some((file, section)) = self.queue.pop() {
                self.visit(link, file, section);
            }
            self.unwind(link);
            if self.queue.is_empty() {
                break;
            }
        }
    }

    fn visit(&mut self, link: &Link<'_>, file: usize, section: usize) {
        let object = link.world.files[file].object;
        let it = &object.sections[section];
        if it.flags.alloc && !unwinds(it) {
            for reloc in &it.relocs {
                self.mark_ref(link, file, reloc.symbol);
            }
        }
        if !it.flags.alloc {
            return;
        }
        for group in object.groups.iter().filter(|g| g.members.contains(&section)) {
            for &member in &group.members {
                self.mark(link, file, member);
            }
        }
        for (other, dependent) in object.sections.iter().enumerate() {
            if dependent.link_order == Some(section) {
                self.mark(link, file, other);
            }
        }
    }

    /// The LSDAs and personality routines of live functions are live.
    fn unwind(&mut self, link: &Link<'_>) {
        for file in link.loaded() {
            for section in &link.world.files[file].object.sections {
                if !unwinds(section) {
                    continue;
                }
                for fde in unwind::fdes(section).unwrap_or_default() {
                    if !self.is_live(link, file, fde.begin.symbol) {
                        continue;
                    }
                    if let Some(lsda) = fde.lsda {
                        self.mark_ref(link, file, lsda.symbol);
                    }
                    for reloc in &section.relocs {
                        if (fde.cie.0..fde.cie.1).contains(&reloc.offset) {
                            self.mark_ref(link, file, reloc.symbol);
                        }
                    }
                }
            }
        }
    }

    fn is_live(&self, link: &Link<'_>, file: usize, symbol: SymbolRef) -> bool {
        let (file, section) = match symbol {
            SymbolRef::Section(section) => (file, section),
            SymbolRef::Named(symbol) if link.ids[file][symbol] == LOCAL => {
                match link.symbol(file, symbol).definition {
                    Definition::Section { section, .. } => (file, section),
                    _ => return false,
                }
            }
            SymbolRef::Named(symbol) => {
                match link.syms[link.follow(link.ids[file][symbol])].winner {
                    Winner::Object { file, symbol } => match link.symbol(file, symbol).definition {
                        Definition::Section { section, .. } => (file, section),
                        _ => return false,
                    },
                    _ => return false,
                }
            }
            SymbolRef::Null => return false,
        };
        self.live[file][section]
    }
}
