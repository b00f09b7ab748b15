//! Metamorphic relations on cases: a case in, another out whose output must have the same Facts.
//!
//! Those that a request can express (order, archives, `-r` first) are the judge's own; here are those
//! that need the case: a section split in two, local symbols renamed, dead code added. They must not
//! know how a link ends, only what must not change when it ends well.

mod macho;
mod split;
#[cfg(test)]
mod tests;

use scold_diff::adapter::Outcome;
use scold_diff::model::Family;
use scold_diff::oracle::metamorphic::compare;
use scold_diff::oracle::{Evidence, Ruling, Trial};
use scold_diff::{Facts, Format, Mode};

use crate::case::{Binding, Data, Definition, Marker, Object, Opt, Reloc, Section, SectionFlags};
use crate::case::{SectionKind, Symbol, SymbolKind, SymbolRef, Visibility};
use crate::{Case, emit, machine};

/// A case that must end as another does.
pub struct Variant {
    /// The case.
    pub case: Case,
    /// How its Facts read in the other's terms.
    pub moved: Option<split::Moved>,
}

impl Variant {
    fn plain(case: Case) -> Self {
        Self { case, moved: None }
    }
}

/// One relation: a name, part of the complaint's shape, and how a variant is made; none if the relation
/// does not apply.
pub struct Relation {
    /// `split`, `locals`, `dead`.
    pub name: &'static str,
    /// Makes the variant.
    pub apply: fn(&Case) -> Option<Variant>,
}

/// Every relation, one row each.
pub static RELATIONS: &[Relation] = &[
    Relation { name: "split", apply: split::split },
    Relation { name: "locals", apply: |case| renamed(case).map(Variant::plain) },
    Relation { name: "dead", apply: |case| with_dead_code(case).map(Variant::plain) },
];

/// Links the variants of `case` with every linker that linked it, and complains where Facts change.
pub fn judge(case: &Case, evidence: &Evidence<'_>, ruling: &mut Ruling) {
    for relation in RELATIONS {
        let Some(variant) = (relation.apply)(case) else { continue };
        let request = emit::request(&variant.case);
        for trial in evidence.trials.iter().filter(|trial| trial.outcome.image().is_some()) {
            let outcome = trial.linker.link(&request, evidence.limit);
            if let Outcome::Hung | Outcome::Crashed(_) = outcome {
                // A finding of its own, and of the case it happened with: the variant's.
                continue;
            }
            let mut other = Trial::of(&trial.linker, &request, outcome);
            match &variant.moved {
                None => compare(evidence, trial, &other, relation.name, ruling),
                Some(moved) => {
                    other.facts = moved.back(&other.facts);
                    let whole = Trial { facts: moved.comparable(&trial.facts), ..trial.clone() };
                    compare(evidence, &whole, &other, relation.name, ruling);
                }
            }
        }
    }
}

/// Every local symbol under another name. Local names mean nothing outside of their object, but for those that build
/// modes look for, and equal ones in several objects are different symbols.
fn renamed(case: &Case) -> Option<Case> {
    let (format, modes) = (case.target.format, case.mode != Mode::Shared);
    let mut case = case.clone();
    let mut count = 0;
    let free = |symbol: &&mut Symbol| {
        let meant = ["moduledata", "_rt0_"].iter().any(|part| symbol.name.contains(part));
        symbol.binding == Binding::Local && !(modes && meant)
    };
    for object in case.objects_mut() {
        for symbol in object.symbols.iter_mut().filter(free) {
            // What assemblers never write into symbol tables stays of that kind.
            let kind = match format {
                Format::Elf if symbol.name.starts_with(".L") => ".L",
                Format::Elf => "",
                Format::Macho => macho::prefix(&symbol.name),
            };
            symbol.name = format!("{kind}scold.local.{count}");
            count += 1;
        }
    }
    (count > 0).then_some(case)
}

/// The name of the section that nothing reaches.
const DEAD: &str = ".text.scold.dead";

/// Under `--gc-sections` (`-dead_strip`), one more section that nothing reaches, though it reaches others. What it
/// refers to lives or dies as before.
fn with_dead_code(case: &Case) -> Option<Case> {
    case.options.contains(&Opt::GcSections).then_some(())?;
    let mut case = case.clone();
    if case.target.format == Format::Macho {
        return macho::with_dead_code(case);
    }
    let code = &machine::of(case.target.arch).code;
    let object = case.objects_mut().into_iter().find(|object| !object.sections.is_empty())?;
    let targets = targets(object);
    let mut bytes = Vec::new();
    let mut relocs = Vec::new();
    for symbol in targets {
        for &(at, r_type, addend) in code.take.fields {
            let offset = 16 + bytes.len() as u64 + u64::from(at);
            relocs.push(Reloc { offset, r_type, symbol, addend: addend.into() });
        }
        bytes.extend_from_slice(code.take.bytes);
    }
    bytes.extend_from_slice(code.ret);
    let section = object.sections.len();
    object.sections.push(Section {
        name: DEAD.into(),
        kind: SectionKind::Progbits,
        flags: SectionFlags { alloc: true, exec: true, ..SectionFlags::default() },
        align: 16,
        entsize: 0,
        marker: Marker::Head,
        data: Data::Bytes(bytes),
        relocs,
        link_order: None,
    });
    object.symbols.push(Symbol {
        name: "scold.dead".into(),
        binding: Binding::Local,
        kind: SymbolKind::Func,
        visibility: Visibility::Default,
        size: 1,
        definition: Definition::Section { section, offset: 16 },
        desc: Default::default(),
    });
    Some(case)
}

/// Up to four sections of `object` that a PC-relative reference can name.
fn targets(object: &Object) -> Vec<SymbolRef> {
    let grouped = |at: usize| object.groups.iter().any(|group| group.members.contains(&at));
    let plain = |(at, section): &(usize, &Section)| {
        let flags = section.flags;
        let kind = matches!(section.kind, SectionKind::Progbits | SectionKind::Nobits);
        kind && flags.alloc && !flags.tls && !flags.merge && !flags.exclude && !grouped(*at)
    };
    let list = object.sections.iter().enumerate().filter(plain);
    list.map(|(at, _)| SymbolRef::Section(at)).take(4).collect()
}

/// `facts` without those that `drop` says.
fn without(facts: &Facts, drop: impl Fn(Family, &str) -> bool) -> Facts {
    let mut kept = Facts::default();
    for (key, value) in facts.iter().filter(|(key, _)| !drop(key.family, &key.rest)) {
        kept.add(key.family, key.rest.clone(), value.clone());
    }
    kept
}
