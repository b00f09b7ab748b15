//! What a mode adds → an object: init entries, the function that announces the module's data. Must not know how its parts are placed or relocated: it is read like any other object.

use object::elf;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{RelocationFlags, SectionFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

use super::Mode;
use crate::arch::{Arch, InitField as Field};
use crate::input::made::{empty, finish};
use crate::{Error, ErrorKind, Result};

/// What people call the object.
pub const OBJECT: &str = "<buildmode>";

/// The function that announces the module's data.
const FUNCTION: &str = "go:link.addmoduledata";
/// The init entry that calls it.
pub(super) const ENTRY: &str = "go:link.addmoduledatainit";
/// The runtime's own: appends a module to its list.
const APPEND: &str = "runtime.addmoduledata";
/// The runtime's pointer to the last module of the list.
pub(super) const LAST: &str = "runtime.lastmoduledatap";

/// What says that a module has the runtime.
pub(super) const RUNTIME: [&str; 2] = [APPEND, LAST];

/// What is added to one link.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Addition {
    /// The function that starts the library.
    pub start: Option<String>,
    /// The data that is announced to the host's runtime.
    pub announce: Option<&'static str>,
    /// The data that the runtime's list starts with: this module has the runtime.
    pub list: Option<&'static str>,
    /// An archive's runtime is part of the module because the module was to announce itself: what asked for it
    /// still does.
    pub pulls: bool,
}

impl Addition {
    /// What `mode` adds on `(goos, goarch)` to a link; `look` tells of a name whether it is defined, and then whether
    /// for all objects.
    ///
    /// Errors: those of `look`.
    pub fn find(
        mode: &Mode,
        target: (&str, &str),
        look: impl Fn(&str) -> Result<Option<bool>>,
    ) -> Result<Self> {
        let defines = |name: &str| Ok::<_, crate::Error>(look(name)?.is_some());
        let mut data = None;
        for name in mode.data_names() {
            if data.is_none() && defines(name)? {
                data = Some(name);
            }
        }
        let last = defines(LAST)?;
        let runtime = defines(APPEND)? || mode.has_runtime_if_listed() && last;
        // A list whose end no other object sees is a runtime's that the Go linker has put together: the host's has
        // no part in it.
        let closed = look(LAST)? == Some(false);
        let start = mode.entry(target.0, target.1);
        let starts = start.as_deref().map_or(Ok(false), &defines)?;
        Ok(Self {
            start: start.filter(|_| starts),
            announce: data.filter(|_| !runtime && !closed),
            // One that is another module's is that one's to set.
            list: data.filter(|_| runtime && last),
            pulls: false,
        })
    }

    /// Whether there is nothing to add: no Go module.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The module's data, whatever is done with it.
    pub fn data(&self) -> Option<&'static str> {
        self.announce.or(self.list)
    }

    /// The object, which calls what it refers to what `handle` says.
    ///
    /// Errors: `internal`; those of `handle`.
    pub fn object(
        &self,
        arch: &'static Arch,
        handle: impl Fn(&str) -> Result<String>,
    ) -> Result<Vec<u8>> {
        let mut made = Made::new(arch);
        if let Some(data) = self.announce {
            let function = made.function(&handle(data)?)?;
            made.entry(ENTRY, function)?;
        }
        if let Some(start) = &self.start {
            let function = made.undefined(&handle(start)?);
            made.entry(&format!("{start}.ptr"), function)?;
        }
        if self.pulls {
            made.undefined(APPEND);
        }
        finish(&made.object, arch, OBJECT)
    }
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
        for &(offset, name) in init.marks {
            let mark = self.symbol(name, elf::STB_LOCAL, elf::STT_NOTYPE, Some((text, 0)));
            self.object.symbol_mut(mark).value = offset;
        }
        let place = (text, init.code.len() as u64);
        Ok(self.symbol(FUNCTION, elf::STB_LOCAL, elf::STT_FUNC, Some(place)))
    }

    /// An init entry called `name` that calls `target`.
    fn entry(&mut self, name: &str, target: SymbolId) -> Result<()> {
        let word = self.arch.word();
        let flags = elf::SHF_ALLOC | elf::SHF_WRITE;
        let id = self.section(".init_array", elf::SHT_INIT_ARRAY, flags);
        self.object.append_section_data(id, &vec![0; word as usize], word);
        self.refer(id, Field { offset: 0, kind: self.arch.dynamic.word, addend: 0 }, target)?;
        self.symbol(name, elf::STB_LOCAL, elf::STT_OBJECT, Some((id, word)));
        Ok(())
    }
}
