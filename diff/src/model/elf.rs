//! ELF modules → Facts.
//!
//! The reader's table of contents: the inputs are read (`inputs`), found in the output (`places`),
//! every relocation site is decoded and followed (`sites`, `judge`), and what the dynamic tables say is
//! told in terms of places (`dynamic`, `unwind`). What is particular to a machine is in its own
//! module, picked in `machine`. It must not know the linker that wrote the output.

mod amd64;
mod arm;
mod arm64;
mod dynamic;
mod exidx;
pub(crate) mod frame;
#[cfg(test)]
mod hostile;
mod inputs;
mod judge;
pub(crate) mod machine;
mod match_bytes;
mod names;
mod object;
mod places;
mod sites;
#[cfg(test)]
mod tests;
mod unwind;

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashMap;

use super::{Family, Value};
use crate::loader::Module;
use crate::{Facts, Request};

/// Reads the output of `request` as a loader would.
///
/// Never panics on any bytes: what can't be read becomes a `Bad` meaning or a missing fact.
pub fn facts(request: &Request, output: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let mut module = match Module::load(output) {
        Ok(module) => module,
        Err(text) => {
            facts.put(Family::Dynamic, "broken", Value::Text(text.into()));
            return facts;
        }
    };
    module.executable = !request.mode.is_library();
    let mut inputs = inputs::Inputs::read(request);
    let mut places = places::Places::locate(&inputs, &module);
    let absent = places.absent(&inputs);
    if absent.contains(&true) {
        inputs.forget(&absent);
        places = places::Places::locate(&inputs, &module);
    }
    let plt_got = module.dynamic.as_ref().and_then(|dynamic| dynamic.plt_got);
    let got = places.symbol("_GLOBAL_OFFSET_TABLE_").or(plt_got);
    let judge = judge::Judge {
        request,
        inputs: &inputs,
        places: &places,
        module: &module,
        got: Cell::new(None),
        default_got: got,
        ifuncs: RefCell::new(FxHashMap::default()),
        bounds: RefCell::new(FxHashMap::default()),
        depth: Cell::new(0),
    };
    dynamic::facts(&judge, &mut facts);
    unwind::facts(&judge, &mut facts);
    exidx::facts(&judge, &mut facts);
    sites::facts(&judge, &mut facts);
    facts
}

/// Whether `name` is one that linkers define when nobody else does: it has no `lookup` fact.
pub fn is_linkers(name: &str) -> bool {
    names::is_linkers(name)
}

/// A symbol that an object mentions.
pub(crate) struct Mention<'a> {
    pub(crate) name: &'a str,
    pub(crate) global: bool,
    pub(crate) defined: bool,
}

/// The symbols of an object; none of what is none.
pub(crate) fn mentions<'a>(bytes: &'a [u8]) -> Vec<Mention<'a>> {
    let object = (crate::bytes::u16_at(bytes, 16) == Some(1))
        .then(|| object::read(String::new(), bytes))
        .flatten();
    let symbols = object.map(|object| object.symbols).unwrap_or_default();
    let mention = |symbol: object::Symbol<'a>| Mention {
        name: symbol.name,
        global: symbol.binding != 0,
        defined: symbol.place != object::Where::Undefined,
    };
    symbols.into_iter().skip(1).map(mention).collect()
}
