//! A Go module's link in some mode → the same link for linkers that know no modes: what the mode adds, as an
//! object more.
//!
//! `-buildmode` has the Go linker add an init entry, a function that announces the module's data to its
//! host's runtime, or the head of the runtime's list. Which of them comes of what the objects define; the
//! object is the judge's own, not the reference linker's. It must not know who links, or what for.

mod code;
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod text;
mod write;

use crate::model::elf::{self, Mention};
use crate::{File, Format, Mode, Request, Target};

/// The object's name; no request has another file of this name.
pub const OBJECT: &str = "buildmode.o";

/// What lets the object's definitions replace others': the first one counts.
pub const REPLACE: &str = "--allow-multiple-definition";

/// A symbol of the object.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Symbol {
    name: String,
    global: bool,
    hidden: bool,
    /// STT_*.
    kind: u8,
}

/// A field that refers to a symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Field {
    offset: u64,
    r_type: u32,
    /// The type for people and assemblers.
    name: &'static str,
    symbol: String,
    addend: i64,
}

/// A section of the object, with the symbols that are all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part {
    name: &'static str,
    /// SHT_*.
    kind: u32,
    /// SHF_*.
    flags: u64,
    align: u64,
    bytes: Vec<u8>,
    symbols: Vec<Symbol>,
    fields: Vec<Field>,
}

/// What a mode adds to a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extra {
    code: &'static code::Code,
    parts: Vec<Part>,
    replaces: bool,
}

/// What objects of a link say that matters here.
#[derive(Default)]
struct Said {
    defined: Vec<String>,
    /// The Go linker has added it all.
    complete: bool,
}

impl Said {
    fn of(request: &Request) -> Self {
        let mut said = Self::default();
        let named = request
            .files
            .iter()
            .filter(|file| file.name != OBJECT && request.args.contains(&file.name));
        for file in named.filter(|file| mentions_go(&file.bytes)) {
            for Mention { name, global, defined } in elf::mentions(&file.bytes) {
                said.complete |= name == ENTRY && !global;
                if global && defined {
                    said.defined.push(name.to_owned());
                }
            }
        }
        said
    }

    fn defines(&self, name: &str) -> bool {
        self.defined.iter().any(|other| other == name)
    }
}

/// Whether `bytes` have any of the names at all: most objects don't.
fn mentions_go(bytes: &[u8]) -> bool {
    ["_rt0_", "moduledata"]
        .iter()
        .any(|part| memchr::memmem::find(bytes, part.as_bytes()).is_some())
}

const FUNCTION: &str = "go:link.addmoduledata";
const ENTRY: &str = "go:link.addmoduledatainit";
const APPEND: &str = "runtime.addmoduledata";
const LAST: &str = "runtime.lastmoduledatap";
/// The replacement's own name, which nothing else has.
const LIST: &str = "go:link.lastmoduledatap";
/// STT_OBJECT, STT_FUNC.
const DATA: u8 = 1;
const FUNC: u8 = 2;

impl Extra {
    /// What the mode of `request` adds to it; none if that is nothing.
    pub fn of(request: &Request) -> Option<Self> {
        let Target { arch, format } = request.target;
        if request.mode == Mode::Shared || format != Format::Elf {
            return None;
        }
        let said = Said::of(request);
        if said.complete || said.defined.is_empty() {
            return None;
        }
        let code = code::of(arch.machine())?;
        let mut parts = Vec::new();
        let data = match request.mode {
            Mode::Plugin => ["local.moduledata", "runtime.firstmoduledata"],
            _ => ["runtime.firstmoduledata", "local.moduledata"],
        };
        let data = data.into_iter().find(|name| said.defines(name));
        let runtime = said.defines(APPEND);
        if let Some(data) = data.filter(|_| !runtime) {
            parts.push(code.announce(data));
            parts.push(code.pointer(".init_array", &[(ENTRY, false)], FUNCTION));
        }
        let target = request.target.name();
        let start = format!("_rt0_{}_linux_lib", target.split('-').next().unwrap_or(target));
        if request.mode == Mode::CShared && said.defines(&start) {
            parts.push(code.pointer(".init_array", &[(&format!("{start}.ptr"), false)], &start));
        }
        let list = data.filter(|_| runtime && said.defines(LAST));
        if let Some(data) = list {
            parts.push(code.pointer(".noptrdata", &[(LAST, true), (LIST, false)], data));
        }
        (!parts.is_empty()).then(|| Self { code, parts, replaces: list.is_some() })
    }

    /// The object.
    pub fn object(&self) -> Vec<u8> {
        write::object(self.code, &self.parts)
    }

    /// The object as GNU as reads it.
    pub fn text(&self) -> String {
        text::print(&self.parts)
    }
}

/// `request` for linkers that know no modes.
pub fn desugar(request: Request) -> Request {
    if sugared(&request).is_some() {
        return request;
    }
    let Some(extra) = Extra::of(&request) else { return request };
    let Request { target, mode, mut args, mut files } = request;
    args.insert(0, OBJECT.to_owned());
    if extra.replaces {
        args.insert(0, REPLACE.to_owned());
    }
    files.insert(0, File { name: OBJECT.to_owned(), bytes: extra.object().into() });
    Request { target, mode, args, files }
}

/// The arguments of a desugared request without what [`desugar`] put before them; none if it did nothing.
pub fn sugared(request: &Request) -> Option<&[String]> {
    match &request.args[..] {
        [first, rest @ ..] if first == OBJECT => Some(rest),
        [first, second, rest @ ..] if first == REPLACE && second == OBJECT => Some(rest),
        _ => None,
    }
}
