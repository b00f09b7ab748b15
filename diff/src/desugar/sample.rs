//! Go modules to judge by: an object of any machine with the names that a mode looks at.

use std::sync::Arc;

use super::{DATA, FUNC, Field, Part, Symbol, code, write};
use crate::model::MARKER_MAGIC;
use crate::{File, Mode, Request, Target};

/// What a module with the runtime defines.
pub(crate) const RUNTIME: [&str; 3] =
    ["runtime.addmoduledata", "runtime.firstmoduledata", "runtime.lastmoduledatap"];

/// The link of one object of code and data that carry markers and define `names`; not yet desugared.
pub(crate) fn module(target: Target, mode: Mode, names: &[&str]) -> Option<Request> {
    let code = code::of(target.arch.machine())?;
    let part = |name, flags, data: bool, tag: u8| {
        let list = names.iter().filter(|name| is_data(name) == data && **name != RUNTIME[2]);
        let kind = if data { DATA } else { FUNC };
        let symbol = |name: &&str| Symbol {
            name: (*name).to_owned(),
            global: true,
            hidden: name.starts_with("local."),
            kind,
        };
        let bytes = [&MARKER_MAGIC[..], &[tag; 8], &[0; 16]].concat();
        let symbols = list.map(symbol).collect();
        Part {
            name,
            kind: 1,
            flags,
            align: 16,
            bytes,
            symbols,
            fields: Vec::new(),
            lines: Vec::new(),
        }
    };
    let mut parts = vec![part(".text", 6, false, 7), part(".data", 3, true, 9), fixed(code)];
    // The list's end is a word, and no marker.
    if let Some(last) = names.iter().find(|name| **name == RUNTIME[2]) {
        let symbol = Symbol { name: (*last).to_owned(), global: true, hidden: false, kind: DATA };
        parts.push(Part {
            name: ".noptrdata",
            kind: 1,
            flags: 3,
            align: 8,
            bytes: vec![0x11; 16],
            symbols: vec![symbol],
            fields: Vec::new(),
            lines: Vec::new(),
        });
    }
    // A type refers to itself, as everybody sees it.
    if let Some(name) = names.iter().find(|name| name.starts_with("type.")) {
        let (r_type, word) = code.word;
        let symbol = (*name).to_owned();
        parts[1].fields.push(Field { offset: 16, r_type, name: word, symbol, addend: 0 });
    }
    let files =
        vec![File { name: "a.o".into(), bytes: Arc::from(write::object(code, &parts, &[])) }];
    Some(Request { target, mode, args: vec!["a.o".into()], files, goos: None })
}

/// A word that only the loader writes.
fn fixed(code: &code::Code) -> Part {
    let (r_type, word) = code.word;
    let symbol = "scold.fixed".to_owned();
    let fields = vec![Field { offset: 16, r_type, name: word, symbol: symbol.clone(), addend: 0 }];
    Part {
        name: ".data.rel.ro",
        kind: 1,
        flags: 3,
        align: 16,
        bytes: [&MARKER_MAGIC[..], &[3; 8], &[0; 16]].concat(),
        symbols: vec![Symbol { name: symbol, global: false, hidden: false, kind: DATA }],
        fields,
        lines: Vec::new(),
    }
}

/// An object that has the address of `to` in a word of `section`: an init entry, or data behind a marker.
pub(crate) fn pointer(target: Target, section: &'static str, to: &str) -> Option<File> {
    let code = code::of(target.arch.machine())?;
    let mut entry = code.entry("own.pointer", to);
    if section != entry.name {
        (entry.name, entry.kind) = (section, 1);
        entry.bytes = [&MARKER_MAGIC[..], &[3; 8], &entry.bytes].concat();
        entry.fields[0].offset = 16;
    }
    Some(File { name: "own.o".into(), bytes: Arc::from(write::object(code, &[entry], &[])) })
}

/// The same with words that refer to section bounds which only a linker that knows modes has, each moved `by` so
/// many bytes: those of code, and those of a section that is not there.
pub(crate) fn bounded(target: Target, mode: Mode, by: i32) -> Option<Request> {
    let mut request = module(target, mode, &["f", "local.moduledata"])?;
    let code = code::of(target.arch.machine())?;
    let (r_type, name) = code.word;
    let width = if code.rela { 8 } else { 4 };
    let bounds = ["runtime.text", "runtime.etext", "runtime.noptrbss", "runtime.enoptrbss"];
    let field = |(at, symbol): (u64, &&str)| Field {
        offset: 16 + width * at,
        r_type,
        name,
        symbol: (*symbol).to_owned(),
        addend: by.into(),
    };
    // Where records have no addends, the words have.
    let word = if code.rela { vec![0; 8] } else { by.to_le_bytes().to_vec() };
    let table = Part {
        name: ".data",
        kind: 1,
        flags: 3,
        align: 16,
        bytes: [&MARKER_MAGIC[..], &[5; 8], &word.repeat(4)].concat(),
        symbols: Vec::new(),
        fields: (0..).zip(&bounds).map(field).collect(),
        lines: Vec::new(),
    };
    let bytes = Arc::from(write::object(code, &[table], &[]));
    request.files.push(File { name: BOUNDED.into(), bytes });
    request.args.push(BOUNDED.into());
    Some(request)
}

/// An object of zeros that are called `name`.
#[cfg(test)]
pub(crate) fn alone(target: Target, name: &str, align: u64) -> Option<Vec<u8>> {
    let symbol = Symbol { name: name.to_owned(), global: true, hidden: false, kind: DATA };
    let part = Part {
        name: ".bss",
        kind: 8,
        flags: 3,
        align,
        bytes: vec![0; 16],
        symbols: vec![symbol],
        fields: Vec::new(),
        lines: Vec::new(),
    };
    Some(write::object(code::of(target.arch.machine())?, &[part], &[]))
}

/// The link of such objects of a module with the runtime, the list's end aligned to 32, and of one that refers to
/// `bounds`.
#[cfg(test)]
pub(crate) fn zeros(target: Target, mode: Mode, bounds: &[&str]) -> Option<Request> {
    let asks = write::object(code::of(target.arch.machine())?, &[], bounds);
    let mut objects = vec![("last.o", alone(target, RUNTIME[2], 32)?), ("asks.o", asks)];
    for (file, name) in ["first.o", "append.o"].into_iter().zip([RUNTIME[1], RUNTIME[0]]) {
        objects.push((file, alone(target, name, 4)?));
    }
    let args = objects.iter().map(|(name, _)| (*name).to_owned()).collect();
    let file = |(name, bytes): (&str, Vec<u8>)| File { name: name.into(), bytes: bytes.into() };
    let files = objects.into_iter().map(file).collect();
    Some(Request { target, mode, args, files, goos: None })
}

/// The object with those words.
pub(crate) const BOUNDED: &str = "bounds.o";

fn is_data(name: &str) -> bool {
    name.starts_with("type.") || (name.contains("moduledata") && !name.contains(".add"))
}
