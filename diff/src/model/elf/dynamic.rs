//! Dynamic tables → `export`, `import`, `lookup`, `init`, `fini`, `needed`, `dynamic`, `tls`, `entry`.
//!
//! It must not know relocation sites.

use super::inputs::Spot;
use super::judge::{Found, Judge, Reference, Use};
use super::names;
use super::object::ALLOC;
use crate::loader::{Dynamic, Symbol};
use crate::model::{Binding, Facts, Family, Meaning, SymbolKind, Value};

/// Names that no input has.
const ABSENT: [&str; 3] = ["scold.absent.1", "scold.absent.2", "scold.absent.3"];

/// Adds all facts that come from dynamic tables.
pub(super) fn facts(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let module = judge.module;
    // No loader does anything about a block of nothing (glibc's `_dl_map_object_from_fd`).
    if let Some(tls) = module.image.tls.filter(|tls| tls.size > 0) {
        facts.put(Family::Tls, "align", Value::Number(tls.align));
    }
    if module.executable {
        let entry = judge.address(module.image.entry, Reference::NONE, Use::Call);
        facts.put(Family::Entry, "", Value::Ref(entry));
    }
    let Some(dynamic) = &module.dynamic else {
        static_arrays(judge, facts);
        return;
    };
    tags(judge, dynamic, facts);
    if dynamic.broken.is_none() {
        symbols(judge, facts);
        lookups(judge, facts);
    }
    arrays(judge, dynamic, facts);
}

fn tags(judge: &Judge<'_, '_>, dynamic: &Dynamic, facts: &mut Facts) {
    let module = judge.module;
    let text = |offset: u64| Value::Text(module.string(offset).into());
    for (i, offset) in dynamic.needed.iter().enumerate() {
        facts.put(Family::Needed, i.to_string(), text(*offset));
    }
    for (name, offset) in [("soname", dynamic.soname), ("runpath", dynamic.runpath)] {
        if let Some(offset) = offset {
            facts.put(Family::Dynamic, name, text(offset));
        }
    }
    let flags = [
        ("now", dynamic.now),
        ("nodelete", dynamic.nodelete),
        ("symbolic", dynamic.symbolic),
        ("textrel", dynamic.textrel),
        ("static_tls", dynamic.static_tls),
    ];
    for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
        facts.put(Family::Dynamic, name, Value::Flag(true));
    }
    if let Some(broken) = &dynamic.broken {
        facts.put(Family::Dynamic, "broken", Value::Text(broken.as_str().into()));
    }
}

/// What a defined dynamic symbol's value means, and its type: an IFUNC whose PLT entry was made its
/// address is still one.
fn defined(judge: &Judge<'_, '_>, symbol: &Symbol<'_>) -> (Meaning, bool) {
    let defs = judge.inputs.defs.get(symbol.name).map_or(&[][..], |defs| defs);
    let to = Reference { name: symbol.name, defs, ..Reference::NONE };
    if symbol.tls() {
        let template = judge.module.image.tls.map_or(0, |tls| tls.address);
        return (judge.tls(template.wrapping_add(symbol.value), to), false);
    }
    if symbol.ifunc() {
        return (judge.ifunc(symbol.value, None, true), true);
    }
    let meaning = if symbol.absolute() && judge.module.image.moves {
        Meaning::Absolute(symbol.value)
    } else {
        judge.address(symbol.value, to, Use::Address)
    };
    let ifunc = matches!(meaning, Meaning::Ifunc(_));
    (meaning, ifunc)
}

fn symbols(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let module = judge.module;
    let mut used = vec![false; module.symbols.list.len()];
    for reloc in &module.relocs {
        if let Some(used) = used.get_mut(reloc.symbol as usize) {
            *used = true;
        }
    }
    for (symbol, used) in module.symbols.list.iter().zip(used).skip(1) {
        let kind = match symbol.kind {
            0 => SymbolKind::Notype,
            1 | 5 => SymbolKind::Object,
            2 => SymbolKind::Func,
            6 => SymbolKind::Tls,
            10 => SymbolKind::Ifunc,
            _ => continue,
        };
        let binding = match symbol.binding {
            1 => Binding::Global,
            2 => Binding::Weak,
            10 => Binding::Unique,
            _ => continue,
        };
        let weak = binding == Binding::Weak;
        if symbol.undefined() {
            if (used || !weak) && symbol.name != "__tls_get_addr" {
                facts.put(Family::Import, import_name(judge, symbol), Value::Import { weak });
            }
            continue;
        }
        if !is_defined_by_inputs(judge, symbol.name) || is_unloaded(judge, symbol.name) {
            continue;
        }
        let (meaning, ifunc) = defined(judge, symbol);
        let value = Value::Export {
            kind: if ifunc { SymbolKind::Ifunc } else { kind },
            binding,
            protected: symbol.visibility == 3,
            size: symbol.size,
            meaning,
        };
        facts.put(Family::Export, export_name(judge, symbol), value);
    }
}

fn is_defined_by_inputs(judge: &Judge<'_, '_>, name: &str) -> bool {
    judge.inputs.defs.contains_key(name)
        || judge.inputs.library.contains_key(name)
        || judge.inputs.defsyms.iter().any(|(defined, _)| *defined == name)
}

/// Whether `name` is of something in a section that isn't loaded: what linkers export as that leads nowhere.
fn is_unloaded(judge: &Judge<'_, '_>, name: &str) -> bool {
    let first = judge.inputs.defs.get(name).and_then(|defs| defs.first());
    let Some(Spot::Section(id, _)) = first.map(|def| def.spot) else { return false };
    judge.inputs.section(id).is_some_and(|section| !section.has(ALLOC))
}

/// `NAME@VER`; the version's library must be needed.
fn import_name(judge: &Judge<'_, '_>, symbol: &Symbol<'_>) -> String {
    let module = judge.module;
    let mut name = module.symbols.asked(symbol);
    let file = module.symbols.version(symbol).and_then(|version| version.file);
    let needed = module.dynamic.as_ref().map_or(&[][..], |dynamic| &dynamic.needed);
    if file.is_some_and(|file| needed.iter().all(|offset| module.string(*offset) != file)) {
        name.push_str("?needed");
    }
    // A value is a canonical PLT entry, or else would answer look-ups with nonsense.
    if symbol.value != 0 {
        let meaning = judge.address(symbol.value, Reference::NONE, Use::Call);
        let itself =
            matches!(&meaning, Meaning::Dynamic(other) if **other == *module.symbols.asked(symbol));
        if !itself || !module.executable {
            name.push_str("?value");
        }
    }
    name
}

/// `NAME`, `NAME@@VER` or `NAME@VER`; copies have the version they are looked up with.
fn export_name(judge: &Judge<'_, '_>, symbol: &Symbol<'_>) -> String {
    let symbols = &judge.module.symbols;
    match symbols.version(symbol) {
        Some(version) if version.file.is_none() => {
            let at = if symbol.version & 0x8000 == 0 { "@@" } else { "@" };
            let wrong = if version.hashed { "" } else { "?hash" };
            format!("{}{at}{}{wrong}", symbol.name, version.name)
        }
        _ => symbols.asked(symbol),
    }
}

fn lookups(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let mentioned = judge.inputs.mentioned.iter().copied();
    let told = |name: &&str| !names::is_linkers(name) && !is_unloaded(judge, name);
    for name in mentioned.filter(told).chain(ABSENT) {
        let found = match judge.module.lookup(name) {
            Err(text) => Some(Meaning::Bad(text.into())),
            Ok(None) => None,
            // A canonical PLT entry answers for an import: what is found is the same without it.
            Ok(Some(index)) => {
                judge.module.symbol(index).map(|symbol| defined(judge, symbol).0).filter(
                    |meaning| !matches!(meaning, Meaning::Dynamic(_)) || !undefined(judge, index),
                )
            }
        };
        facts.put(Family::Lookup, name, Value::Found(found));
    }
}

fn undefined(judge: &Judge<'_, '_>, index: u32) -> bool {
    judge.module.symbol(index).is_some_and(|symbol| symbol.undefined())
}

/// A function that is called at load or unload.
fn function(judge: &Judge<'_, '_>, found: Found) -> Value {
    Value::Ref(judge.settle(found, 0, Reference::NONE, Use::Call))
}

fn table(judge: &Judge<'_, '_>, (start, size): (u64, u64)) -> Vec<Found> {
    if judge.module.image.slice(start, size).is_none() {
        return Vec::new();
    }
    let fixed = !judge.module.image.moves;
    let word = judge.module.image.class.word();
    let slot = |i| match judge.slot(start.wrapping_add(word * i)) {
        Found::Number(value) if fixed => Found::Address(value),
        found => found,
    };
    (0..size / word).map(slot).collect()
}

fn arrays(judge: &Judge<'_, '_>, dynamic: &Dynamic, facts: &mut Facts) {
    let call = |address: Option<u64>| address.map(Found::Address).into_iter();
    let mut init = table(judge, dynamic.preinit_array);
    init.extend(call(dynamic.init));
    init.extend(table(judge, dynamic.init_array));
    let mut fini = table(judge, dynamic.fini_array);
    fini.reverse();
    fini.extend(call(dynamic.fini));
    told(judge, init, fini, facts);
}

/// A static executable's arrays are between symbols; their sections are known by type.
fn static_arrays(judge: &Judge<'_, '_>, facts: &mut Facts) {
    let all = |kind: u32| {
        let headers = judge.module.image.headers.iter().filter(move |h| h.kind == kind);
        headers.flat_map(|h| table(judge, (h.address, h.size))).collect::<Vec<_>>()
    };
    let mut init = all(16);
    init.extend(all(14));
    let mut fini = all(15);
    fini.reverse();
    told(judge, init, fini, facts);
}

fn told(judge: &Judge<'_, '_>, init: Vec<Found>, fini: Vec<Found>, facts: &mut Facts) {
    for (family, list) in [(Family::Init, init), (Family::Fini, fini)] {
        for (i, found) in list.into_iter().enumerate() {
            facts.put(family, i.to_string(), function(judge, found));
        }
    }
}
