//! What a mode adds → an object: init entries, the function that announces the module's data, the runtime's
//! list of modules. Must not know how its parts are placed or relocated: it is read like any other object.

use object::elf;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{RelocationFlags, SectionFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

use super::Mode;
use crate::arch::{Arch, InitField as Field};
use crate::input::made::{empty, finish};
use crate::resolve::Resolution;
use crate::{Error, ErrorKind, Result};

/// What people call the object.
pub const OBJECT: &str = "<buildmode>";

/// The function that announces the module's data.
const FUNCTION: &str = "go:link.addmoduledata";
/// The init entry that calls it.
const ENTRY: &str = "go:link.addmoduledatainit";
/// The runtime's own: appends a module to its list.
const APPEND: &str = "runtime.addmoduledata";
/// The runtime's pointer to the last module of the list.
pub(super) const LAST: &str = "runtime.lastmoduledatap";
/// Its replacement's own name.
const LIST: &str = "go:link.lastmoduledatap";

/// What is added to one link.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Addition {
    /// The function that starts the library.
    pub start: Option<String>,
    /// The data that is announced to the host's runtime.
    pub announce: Option<&'static str>,
    /// The data that the runtime's list starts with: this module has the runtime. As in Go, the symbol
    /// that ends the list is another from then on; only names find it.
    pub list: Option<&'static str>,
    /// An archive's runtime is part of the module because the module was to announce itself: what asked for it
    /// still does.
    pub pulls: bool,
}

impl Addition {
    /// What `mode` adds on `(goos, goarch)` to a link with these definitions.
    pub fn find(mode: &Mode, target: (&str, &str), defines: impl Fn(&str) -> bool) -> Self {
        let data = mode.data_names().into_iter().find(|name| defines(name));
        let (runtime, last) = (defines(APPEND), defines(LAST));
        Self {
            start: mode.entry(target.0, target.1).filter(|name| defines(name)),
            announce: data.filter(|_| !runtime),
            // One that is another module's is that one's to set.
            list: data.filter(|_| runtime && last),
            pulls: false,
        }
    }

    /// Whether there is nothing to add: no Go module.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The object.
    ///
    /// Errors: `internal`.
    pub fn object(&self, arch: &'static Arch) -> Result<Vec<u8>> {
        const INIT: (&str, elf::SectionType) = (".init_array", elf::SHT_INIT_ARRAY);
        const DATA: (&str, elf::SectionType) = (".noptrdata", elf::SHT_PROGBITS);
        let mut made = Made::new(arch);
        if let Some(data) = self.announce {
            let function = made.function(data)?;
            made.pointer(INIT, ENTRY, elf::STB_LOCAL, function)?;
        }
        if let Some(start) = &self.start {
            let function = made.undefined(start);
            made.pointer(INIT, &format!("{start}.ptr"), elf::STB_LOCAL, function)?;
        }
        if let Some(data) = self.list {
            let data = made.undefined(data);
            let place = made.pointer(DATA, LAST, elf::STB_GLOBAL, data)?;
            // A name that what it replaces has not.
            made.symbol(LIST, elf::STB_LOCAL, elf::STT_OBJECT, Some(place));
        }
        if self.pulls {
            made.undefined(APPEND);
        }
        finish(&made.object, arch, OBJECT)
    }
}

/// Whether an object of the link, past the first `own`, has its entry already: the Go linker made it for
/// another linker.
pub(super) fn is_complete(res: &Resolution<'_>, own: usize) -> bool {
    let has = |object: &crate::object::Object<'_>| {
        (1..object.first_global).any(|at| object.symbol_name(at) == ENTRY.as_bytes())
    };
    res.objects().skip(own).any(|(_, object)| has(object))
}

/// The object so far.
struct Made {
    object: Object<'static>,
    arch: &'static Arch,
}

impl Made {
    fn new(arch: &'static Arch) -> Self {
        let mut made = Self { object: empty(arch), arch };
        // Without it some linkers ask for an executable stack.
        made.section(".note.GNU-stack", elf::SHT_PROGBITS, elf::SectionFlags(0));
        made
    }

    fn section(
        &mut self,
        name: &str,
        sh_type: elf::SectionType,
        sh_flags: elf::SectionFlags,
    ) -> SectionId {
        let name = name.as_bytes().to_vec();
        let id = self.object.add_section(Vec::new(), name, SectionKind::Other);
        self.object.section_mut(id).flags = SectionFlags::Elf { sh_type, sh_flags };
        id
    }

    fn symbol(
        &mut self,
        name: &str,
        bind: elf::SymbolBind,
        kind: elf::SymbolType,
        at: Option<(SectionId, u64)>,
    ) -> SymbolId {
        let scope =
            if bind == elf::STB_LOCAL { SymbolScope::Compilation } else { SymbolScope::Dynamic };
        let st_info = elf::SymbolInfo(bind.0 << 4 | kind.0);
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: at.map_or(0, |at| at.1),
            kind: SymbolKind::Unknown,
            scope,
            weak: false,
            section: at.map_or(SymbolSection::Undefined, |at| SymbolSection::Section(at.0)),
            flags: SymbolFlags::Elf { st_info, st_other: elf::SymbolOther(0) },
        })
    }

    fn undefined(&mut self, name: &str) -> SymbolId {
        self.symbol(name, elf::STB_GLOBAL, elf::STT_NOTYPE, None)
    }

    fn refer(&mut self, section: SectionId, field: Field, symbol: SymbolId) -> Result<()> {
        let flags = RelocationFlags::Elf { r_type: elf::RelocationType(field.kind) };
        // Where records have no addends, it is in the field already.
        let addend = if self.arch.explicit_addends { field.addend } else { 0 };
        let relocation = Relocation { offset: field.offset, symbol, addend, flags };
        self.object
            .add_relocation(section, relocation)
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()).in_file(OBJECT))
    }

    /// The function that announces `data`.
    fn function(&mut self, data: &str) -> Result<SymbolId> {
        let init = self.arch.module_init;
        let text = self.section(".text", elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_EXECINSTR);
        self.object.append_section_data(text, init.code, init.align);
        let data = self.undefined(data);
        let append = self.undefined(APPEND);
        for field in init.data {
            self.refer(text, *field, data)?;
        }
        self.refer(text, init.call, append)?;
        let place = (text, init.code.len() as u64);
        Ok(self.symbol(FUNCTION, elf::STB_LOCAL, elf::STT_FUNC, Some(place)))
    }

    /// A word called `name` in a section of its own that holds the address of `target`.
    fn pointer(
        &mut self,
        (section, kind): (&str, elf::SectionType),
        name: &str,
        bind: elf::SymbolBind,
        target: SymbolId,
    ) -> Result<(SectionId, u64)> {
        let word = self.arch.word();
        let id = self.section(section, kind, elf::SHF_ALLOC | elf::SHF_WRITE);
        self.object.append_section_data(id, &vec![0; word as usize], word);
        self.refer(id, Field { offset: 0, kind: self.arch.dynamic.word, addend: 0 }, target)?;
        self.symbol(name, bind, elf::STT_OBJECT, Some((id, word)));
        Ok((id, word))
    }
}
