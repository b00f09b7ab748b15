//! What a mode adds, with a mistake in it: what a linker that got a rule wrong would have added.

use super::{APPEND, DATA, Extra, FUNC, FUNCTION, LAST, Part, Symbol, apply};
use crate::Request;

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slip {
    /// None: what is right.
    None,
    /// There is no init entry.
    NoEntry,
    /// The init entry is there twice.
    TwoEntries,
    /// The init entry leads a word further.
    EntryMoved,
    /// What is announced is a word further.
    DataMoved,
    /// A function of the module's own is called, not the host's.
    OwnCall,
    /// What is announced goes in another register than the first argument's.
    OtherRegister,
    /// The function doesn't come back as it was called.
    NoReturn,
    /// Other modules see the function.
    Exported,
    /// The module has an end of the list of its own, whatever its host has.
    OwnList,
    /// The list starts with what is called so.
    ListOf(&'static str),
}

/// `request` desugared, with a mistake; none if that changes nothing.
pub(crate) fn desugar(request: &Request, slip: Slip) -> Option<Request> {
    let mut extra = Extra::of(request)?;
    let (code, before) = (extra.code, (extra.parts.clone(), extra.changes.clone()));
    let parts = &mut extra.parts;
    let is_entry = |part: &Part| part.name == ".init_array";
    let moved = |part: &mut Part, all: &dyn Fn(&str) -> bool| {
        for field in part.fields.iter_mut().filter(|field| all(&field.symbol)) {
            let word = if code.rela { 8 } else { 4 };
            field.addend += i64::from(word);
            // Where records have no addends, the field has.
            let at = field.offset as usize;
            if let (false, Some(bytes)) = (code.rela, part.bytes.get_mut(at..at + 4)) {
                bytes[0] += word;
            }
        }
    };
    match slip {
        Slip::None => {}
        Slip::NoEntry => parts.retain(|part| !is_entry(part)),
        Slip::TwoEntries => parts.extend(before.0.iter().filter(|part| is_entry(part)).cloned()),
        Slip::EntryMoved => {
            parts.iter_mut().filter(|part| is_entry(part)).for_each(|part| moved(part, &|_| true));
        }
        Slip::DataMoved => {
            let code = parts.iter_mut().filter(|part| part.name == ".text");
            code.for_each(|part| moved(part, &|symbol| symbol != APPEND));
        }
        Slip::OwnCall if !parts.iter().any(|part| part.name == ".text") => {}
        Slip::OwnCall => parts.push(Part {
            name: ".text",
            kind: 1,
            flags: 2 | 4,
            align: 16,
            bytes: vec![0; 16],
            symbols: vec![Symbol { name: APPEND.into(), global: true, hidden: true, kind: FUNC }],
            fields: vec![],
            lines: vec![],
        }),
        Slip::OtherRegister => change(parts, code.other_register),
        Slip::NoReturn => change(parts, code.no_return),
        Slip::Exported => {
            let symbols = parts.iter_mut().flat_map(|part| &mut part.symbols);
            symbols.filter(|symbol| symbol.name == FUNCTION).for_each(|it| it.global = true);
        }
        Slip::OwnList => {
            let mut list = code.entry(LAST, FUNCTION);
            (list.name, list.kind) = (".data", 1);
            list.symbols[0] = Symbol { name: LAST.into(), global: true, hidden: false, kind: DATA };
            parts.push(list);
        }
        Slip::ListOf(name) => {
            for pointer in extra.changes.iter_mut().filter_map(|(_, c)| c.pointer.as_mut()) {
                pointer.target = name.to_owned();
            }
        }
    }
    let same = before == (extra.parts.clone(), extra.changes.clone());
    (same == (slip == Slip::None)).then(|| apply(&extra, request.clone()))
}

/// Other bytes in the function: where, and which.
fn change(parts: &mut [Part], bytes: &[(usize, u8)]) {
    for part in parts.iter_mut().filter(|part| part.name == ".text") {
        for (at, byte) in bytes {
            if let Some(place) = part.bytes.get_mut(*at) {
                *place = *byte;
            }
        }
    }
}
