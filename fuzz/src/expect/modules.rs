//! A Go module's case → the case that says what its build mode adds, as one more object.
//!
//! Written once more, beside the judge's writer and the linker's: three who must agree. It must not know
//! bytes of objects, nor who links.

use std::borrow::Cow;

use scold_diff::desugar::OBJECT;
use scold_diff::{Mode, Target};

use crate::case::*;
use crate::machine;

const FUNCTION: &str = "go:link.addmoduledata";
const APPEND: &str = "runtime.addmoduledata";
const FIRST: &str = "runtime.firstmoduledata";
const OWN: &str = "local.moduledata";
const LAST: &str = "runtime.lastmoduledatap";

/// `case` with what its mode adds.
pub(super) fn desugared(case: &Case) -> Cow<'_, Case> {
    let defines = |name: &str| {
        case.inputs.iter().any(|input| match input {
            Input::Object(object) => object.symbols.iter().any(|symbol| {
                let defined = symbol.definition != Definition::Undefined;
                symbol.name == name && defined && symbol.binding != Binding::Local
            }),
            _ => false,
        })
    };
    if case.mode == Mode::Shared {
        return Cow::Borrowed(case);
    }
    let names = if case.mode == Mode::Plugin { [OWN, FIRST] } else { [FIRST, OWN] };
    let data = names.into_iter().find(|name| defines(name));
    let (runtime, last) = (defines(APPEND), defines(LAST));
    let mut made =
        Made { target: case.target, object: Object { name: OBJECT.to_owned(), ..EMPTY } };
    if let Some(data) = data.filter(|_| !runtime) {
        made.announce(data);
    }
    let start = entry(case.target);
    if case.mode == Mode::CShared && defines(&start) {
        made.pointer(".init_array", &format!("{start}.ptr"), &start);
    }
    let list = data.filter(|_| runtime && last);
    if let Some(data) = list {
        let symbol = made.pointer(".noptrdata", LAST, data);
        made.object.symbols[symbol].binding = Binding::Global;
    }
    if made.object.sections.is_empty() {
        return Cow::Borrowed(case);
    }
    let mut case = case.clone();
    if list.is_some() {
        // The old one stays where it is, but nobody finds it by its name.
        let all = case.objects_mut().into_iter().flat_map(|object| &mut object.symbols);
        for symbol in all.filter(|symbol| symbol.name == LAST && symbol.binding != Binding::Local) {
            symbol.definition = Definition::Undefined;
        }
    }
    case.inputs.insert(0, Input::Object(made.object));
    Cow::Owned(case)
}

/// Where a library for `target` starts.
pub(crate) fn entry(target: Target) -> String {
    let name = target.name();
    format!("_rt0_{}_linux_lib", name.split('-').next().unwrap_or(name))
}

const EMPTY: Object = Object {
    name: String::new(),
    sections: Vec::new(),
    symbols: Vec::new(),
    groups: Vec::new(),
    subsections: false,
};

struct Made {
    target: Target,
    object: Object,
}

impl Made {
    /// The index of the symbol called `name`, undefined unless it is there.
    fn symbol(&mut self, name: &str) -> usize {
        let list = &mut self.object.symbols;
        list.iter().position(|symbol| symbol.name == name).unwrap_or_else(|| {
            list.push(Symbol {
                name: name.to_owned(),
                binding: Binding::Global,
                kind: SymbolKind::Notype,
                visibility: Visibility::Default,
                size: 0,
                definition: Definition::Undefined,
                desc: Default::default(),
            });
            list.len() - 1
        })
    }

    /// A section and its only, local, symbol.
    fn section(
        &mut self,
        name: &str,
        symbol: (&str, SymbolKind),
        align: u64,
        bytes: &[u8],
        relocs: Vec<Reloc>,
    ) -> usize {
        let section = self.object.sections.len();
        let (exec, init) = (name == ".text", name == ".init_array");
        self.object.sections.push(Section {
            name: name.to_owned(),
            kind: if init { SectionKind::InitArray } else { SectionKind::Progbits },
            flags: SectionFlags { alloc: true, write: !exec, exec, ..SectionFlags::default() },
            align,
            entsize: 0,
            marker: Marker::None,
            data: Data::Bytes(bytes.to_vec()),
            relocs,
            link_order: None,
        });
        let at = self.symbol(symbol.0);
        let made = &mut self.object.symbols[at];
        (made.binding, made.kind, made.size) = (Binding::Local, symbol.1, bytes.len() as u64);
        made.definition = Definition::Section { section, offset: 0 };
        at
    }

    /// The function that announces `data`, and its entry.
    fn announce(&mut self, data: &str) {
        let made = machine::announce::of(self.target.arch);
        let (data, call) = (self.symbol(data), self.symbol(APPEND));
        let field = |(offset, r_type, addend): (u64, u32, i64), symbol: usize| Reloc {
            offset,
            r_type,
            symbol: SymbolRef::Named(symbol),
            addend,
        };
        let fields = made.code.fields.iter();
        let mut relocs: Vec<Reloc> = fields
            .map(|&(offset, r_type, addend)| field((offset.into(), r_type, addend.into()), data))
            .collect();
        relocs.push(field(made.call, call));
        relocs.sort_by_key(|reloc| reloc.offset);
        self.section(".text", (FUNCTION, SymbolKind::Func), made.align, made.code.bytes, relocs);
        self.pointer(".init_array", "go:link.addmoduledatainit", FUNCTION);
    }

    /// A word called `name` that holds the address of `target`; its symbol.
    fn pointer(&mut self, section: &str, name: &str, target: &str) -> usize {
        let machine = machine::of(self.target.arch);
        let symbol = SymbolRef::Named(self.symbol(target));
        let reloc = Reloc { offset: 0, r_type: machine.pointer, symbol, addend: 0 };
        let word = [0; 8];
        let word = &word[..usize::from(machine.word)];
        self.section(section, (name, SymbolKind::Object), machine.word.into(), word, vec![reloc])
    }
}
