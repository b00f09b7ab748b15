//! What dyld reads of an image → `export`, `import`, `lookup`, `needed`, `init`, `entry` and `dynamic` facts.
//!
//! It must not know relocations.

use std::collections::BTreeMap;

use super::fixups::Fixup;
use super::image::{DYLIB, TWOLEVEL, WEAK_DEFINES, kind};
use super::is_linkers;
use super::judge::{Found, Judge, Reference, Use, bad};
use super::trie::{self, Export};
use crate::model::{Binding, Facts, Family, Meaning, SymbolKind, Value};

/// Names that no input has.
const ABSENT: [&str; 3] = ["scold.absent.1", "scold.absent.2", "scold.absent.3"];

/// What only the classic encoding's stub helper needs.
const BINDER: &str = "dyld_stub_binder";

/// Adds them all; `trie` is the export trie's bytes, `entries` what it lists.
pub(super) fn facts(
    judge: &Judge<'_, '_>,
    trie: &[u8],
    entries: &[(String, Export)],
    facts: &mut Facts,
) {
    for (name, export) in entries {
        if judge.inputs.mentioned.contains(name.as_str()) && !is_linkers(name) {
            facts.put(Family::Export, name.as_str(), exported(judge, name, export));
        }
    }
    let mentioned = judge.inputs.mentioned.iter().copied();
    for name in mentioned.filter(|name| !is_linkers(name)).chain(ABSENT) {
        let found = trie::lookup(trie, name).map(|export| defined(judge, name, &export));
        facts.put(Family::Lookup, name, Value::Found(found));
    }
    imports(judge, facts);
    for (i, library) in judge.file.libraries.iter().enumerate() {
        facts.put(Family::Needed, i.to_string(), Value::Text(library.name.into()));
        // Apart from the order, in which linkers differ.
        if let Some(way) = library.way() {
            let key = format!("load {}", library.name);
            facts.put(Family::Dynamic, key, Value::Text(way.into()));
        }
    }
    header(judge, facts);
    let calls = [(Family::Init, kind::MOD_INIT), (Family::Fini, kind::MOD_TERM)];
    for (family, kind) in calls {
        for (i, found) in functions(judge, kind).into_iter().enumerate() {
            let meaning = judge.settle(found, Reference::NONE, Use::Call);
            facts.put(family, i.to_string(), Value::Ref(meaning));
        }
    }
}

fn header(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let file = judge.file;
    let text = |facts: &mut Facts, key: &str, text: String| {
        facts.put(Family::Dynamic, key, Value::Text(text.into()));
    };
    if let Some(id) = file.id.filter(|_| file.kind == DYLIB) {
        text(facts, "soname", id.into());
    }
    if !file.paths.is_empty() {
        text(facts, "runpath", file.paths.join(":"));
    }
    if file.flags & TWOLEVEL == 0 {
        facts.put(Family::Dynamic, "flat", Value::Flag(true));
    }
    if file.flags & WEAK_DEFINES != 0 {
        facts.put(Family::Dynamic, "weak_defines", Value::Flag(true));
    }
    if let Some(offset) = file.entry {
        let address = file.base().wrapping_add(offset);
        let meaning = judge.settle(Found::Address(address), Reference::NONE, Use::Call);
        facts.put(Family::Entry, "", Value::Ref(meaning));
    }
}

fn exported(judge: &Judge<'_, '_>, name: &str, export: &Export) -> Value {
    let kind = match export.kind() {
        trie::THREAD_LOCAL => SymbolKind::Tls,
        _ => SymbolKind::Notype,
    };
    let weak = export.flags & trie::WEAK != 0;
    let binding = if weak { Binding::Weak } else { Binding::Global };
    let meaning = defined(judge, name, export);
    Value::Export { kind, binding, protected: false, size: 0, meaning }
}

/// What an exported name is.
fn defined(judge: &Judge<'_, '_>, name: &str, export: &Export) -> Meaning {
    if export.flags & trie::REEXPORT != 0 {
        let index = usize::try_from(export.value).ok().and_then(|n| n.checked_sub(1));
        let library = index.and_then(|index| judge.file.libraries.get(index));
        let other = if export.other.is_empty() { name } else { &export.other };
        return match library {
            Some(library) => Meaning::Dynamic(format!("{other}@{}", library.name).into()),
            None => bad("an export of a library that is not there"),
        };
    }
    match export.kind() {
        trie::ABSOLUTE => Meaning::Absolute(export.value),
        3 => bad("an export of a kind that is none"),
        _ => {
            let address = judge.file.base().wrapping_add(export.value);
            let defs = judge.inputs.defs.get(name).map_or(&[][..], |defs| defs);
            let to = Reference { name, defs, section: false, addend: 0 };
            judge.address(address, to, Use::Address)
        }
    }
}

/// One for each name that others are asked for.
fn imports(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let mut all: BTreeMap<String, bool> = BTreeMap::new();
    for fixup in judge.fixups.map.values() {
        let Some((name, asked, weak)) = import(judge, fixup) else { continue };
        // Nobody but this image has to have what it has itself.
        if name == BINDER || judge.exports.contains(&name) {
            continue;
        }
        all.entry(asked).and_modify(|old| *old &= weak).or_insert(weak);
    }
    for (asked, weak) in all {
        facts.put(Family::Import, asked, Value::Import { weak });
    }
}

/// The name, the name with where it is looked up, and whether it may be missing.
fn import(judge: &Judge<'_, '_>, fixup: &Fixup) -> Option<(String, String, bool)> {
    let Found::Symbol(asked, _) = judge.fixed(fixup) else { return None };
    let weak = fixup.bind.as_ref().is_some_and(|bind| bind.weak);
    let name = match (&fixup.coalesce, &fixup.bind) {
        (Some((name, _)), _) => name,
        (None, Some(bind)) => &bind.name,
        (None, None) => return None,
    };
    Some((name.clone(), asked, weak))
}

/// The functions that sections of this kind list. Constructors are in dyld's order: LC_ROUTINES_64's, those
/// listed as pointers, those as offsets.
fn functions(judge: &Judge<'_, '_>, kind: u32) -> Vec<Found> {
    let file = judge.file;
    let starts = kind == kind::MOD_INIT;
    let first = file.routine.filter(|_| starts);
    let mut list: Vec<_> = first.map(Found::Address).into_iter().collect();
    let kinds = [(kind, 8), (kind::INIT_OFFSETS, 4)];
    let kinds = kinds.into_iter().take(if starts { 2 } else { 1 });
    let sections = kinds.flat_map(|(kind, step)| {
        let like = file.sections.iter().filter(move |section| section.kind() == kind);
        like.map(move |section| (section, step))
    });
    for (section, step) in sections {
        if file.slice(section.address, section.size).is_none() {
            list.push(Found::Bad("functions that the file lacks"));
            continue;
        }
        for i in 0..section.size / step {
            let at = section.address.wrapping_add(step * i);
            list.push(match step {
                4 => Found::Address(file.base().wrapping_add(file.u32(at).unwrap_or(0).into())),
                _ => judge.slot(at),
            });
        }
    }
    list
}
