//! What a mode adds → a Mach-O object: init entries, the function that announces the module's data, the head of the
//! runtime's list, markers. Must not know how its parts are placed or relocated.

use object::macho as m;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};

use super::Marker;
use crate::format::macho::{attr, kind};
use crate::macho::machine::Machine;
use crate::mode::{Addition, OBJECT};
use crate::{Error, ErrorKind, Result};

/// The function that announces the module's data.
const FUNCTION: &str = "go:link.addmoduledata";
/// The init entry that calls it.
pub(super) const ENTRY: &str = "go:link.addmoduledatainit";
/// The runtime's own: appends a module to its list.
const APPEND: &str = "runtime.addmoduledata";
/// The runtime's pointer to the last module of the list.
pub(super) const LAST: &str = "runtime.lastmoduledatap";

/// A field of the code: offset, relocation, its name, the addend.
pub type Place = (u64, m::RelocationType, &'static str, i64);

/// Code that announces a module's data to its host's runtime.
#[derive(PartialEq, Eq, Debug)]
pub struct Init {
    /// What `-arch` calls the machine.
    pub arch: &'static str,
    /// For people.
    pub text: &'static [&'static str],
    /// Its bytes.
    pub code: &'static [u8],
    /// Fields that refer to the data.
    pub data: &'static [Place],
    /// The field of the call.
    pub call: Place,
}

static INITS: &[Init] = &[
    Init {
        arch: "x86_64",
        text: &["leaq DATA(%rip), %rdi", "callq _runtime.addmoduledata", "retq"],
        code: &[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3],
        data: &[(3, m::X86_64_RELOC_SIGNED, "X86_64_RELOC_SIGNED", -4)],
        call: (8, m::X86_64_RELOC_BRANCH, "X86_64_RELOC_BRANCH", -4),
    },
    Init {
        arch: "arm64",
        text: &["adrp x0, DATA@PAGE", "add x0, x0, DATA@PAGEOFF", "b _runtime.addmoduledata"],
        code: &[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14],
        data: &[
            (0, m::ARM64_RELOC_PAGE21, "ARM64_RELOC_PAGE21", 0),
            (4, m::ARM64_RELOC_PAGEOFF12, "ARM64_RELOC_PAGEOFF12", 0),
        ],
        call: (8, m::ARM64_RELOC_BRANCH26, "ARM64_RELOC_BRANCH26", 0),
    },
];

/// The code of the machine that `-arch` calls `arch`.
pub fn init(arch: &str) -> Option<&'static Init> {
    INITS.iter().find(|init| init.arch == arch)
}

/// Flags of a section of code.
const CODE: u32 = attr::PURE_INSTRUCTIONS | attr::SOME_INSTRUCTIONS;

/// The object.
///
/// Errors: `internal`.
pub(super) fn object(
    addition: &Addition,
    markers: &[(&Marker, &str)],
    common: Option<(u64, u8)>,
    machine: &Machine,
) -> Result<Vec<u8>> {
    let init = init(machine.name).ok_or_else(|| internal("no code for the machine"))?;
    let arch = if machine.name == "arm64" { Architecture::Aarch64 } else { Architecture::X86_64 };
    let mut object = Object::new(BinaryFormat::MachO, arch, Endianness::Little);
    object.set_subsections_via_symbols();
    let mut made = Made { object, sections: Vec::new(), init };
    if let Some(data) = addition.announce {
        let function = made.function(data)?;
        made.entry(ENTRY, function)?;
    }
    if let Some(start) = &addition.start {
        let function = made.undefined(start);
        made.entry(&format!("{start}.ptr"), function)?;
    }
    if let Some(data) = addition.list {
        made.undefined(data);
    }
    if let Some((size, align)) = common {
        made.variable(LAST, size, 1 << align);
    }
    if addition.pulls {
        made.undefined(APPEND);
    }
    for (marker, name) in markers {
        made.marker(marker, name);
    }
    made.object.write().map_err(|error| internal(&error.to_string()))
}

fn internal(text: &str) -> Error {
    Error::new(ErrorKind::Internal, text.to_owned()).in_file(OBJECT)
}

struct Made {
    object: Object<'static>,
    sections: Vec<(String, SectionId)>,
    init: &'static Init,
}

impl Made {
    fn section(&mut self, segment: &str, name: &str, kind: SectionKind, flags: u32) -> SectionId {
        if let Some(found) = self.sections.iter().find(|found| found.0 == name) {
            return found.1;
        }
        let id = self.object.add_section(segment.into(), name.into(), kind);
        let flags = m::SectionFlags(flags);
        self.object.section_mut(id).flags = SectionFlags::MachO { flags, reserved2: 0 };
        self.sections.push((name.to_owned(), id));
        id
    }

    fn symbol(
        &mut self,
        name: &str,
        kind: SymbolKind,
        scope: SymbolScope,
        section: SymbolSection,
    ) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind,
            scope,
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    fn undefined(&mut self, name: &str) -> SymbolId {
        let (scope, section) = (SymbolScope::Dynamic, SymbolSection::Undefined);
        self.symbol(name, SymbolKind::Data, scope, section)
    }

    fn refer(
        &mut self,
        section: SectionId,
        (offset, r_type, pcrel, length): (u64, m::RelocationType, bool, u8),
        symbol: SymbolId,
        addend: i64,
    ) -> Result<()> {
        let flags = RelocationFlags::MachO { r_type, r_pcrel: pcrel, r_length: length };
        let relocation = Relocation { offset, symbol, addend, flags };
        let added = self.object.add_relocation(section, relocation);
        added.map_err(|error| internal(&error.to_string()))
    }

    /// The function that announces `data`.
    fn function(&mut self, data: &str) -> Result<SymbolId> {
        let init = self.init;
        let text = self.section("__TEXT", "__text", SectionKind::Text, CODE);
        let scope = SymbolScope::Compilation;
        let function = self.symbol(FUNCTION, SymbolKind::Text, scope, SymbolSection::Section(text));
        let at = self.object.add_symbol_data(function, text, init.code, 16);
        let data = self.undefined(data);
        let append = self.undefined(APPEND);
        for &(offset, r_type, name, addend) in init.data {
            // An offset in a page is counted from no place.
            let pcrel = !name.ends_with("PAGEOFF12");
            self.refer(text, (at + offset, r_type, pcrel, 2), data, addend)?;
        }
        let (offset, r_type, _, addend) = init.call;
        self.refer(text, (at + offset, r_type, true, 2), append, addend)?;
        Ok(function)
    }

    /// An init entry called `name` that calls `target`.
    fn entry(&mut self, name: &str, target: SymbolId) -> Result<()> {
        let section = self.section("__DATA", "__mod_init_func", SectionKind::Data, kind::MOD_INIT);
        let home = SymbolSection::Section(section);
        let symbol = self.symbol(name, SymbolKind::Data, SymbolScope::Compilation, home);
        let at = self.object.add_symbol_data(symbol, section, &[0; 8], 8);
        // The plain address is 0 on both machines.
        self.refer(section, (at, m::X86_64_RELOC_UNSIGNED, false, 3), target, 0)
    }

    /// So many zeros that all objects call `name`.
    fn variable(&mut self, name: &str, size: u64, align: u64) {
        let section = self.section("__DATA", "__noptrdata", SectionKind::Data, kind::REGULAR);
        let home = SymbolSection::Section(section);
        let symbol = self.symbol(name, SymbolKind::Data, SymbolScope::Dynamic, home);
        self.object.add_symbol_data(symbol, section, &vec![0; size as usize], align);
    }

    /// Head or tail of a section: data that only this image sees.
    fn marker(&mut self, &(_, _, segment, section, _): &Marker, name: &str) {
        let (sort, flags) = match section {
            "__text" => (SectionKind::Text, CODE),
            "__bss" | "__noptrbss" => (SectionKind::UninitializedData, kind::ZEROFILL),
            _ => (SectionKind::Data, kind::REGULAR),
        };
        let id = self.section(segment, section, sort, flags);
        let home = SymbolSection::Section(id);
        let symbol = self.symbol(name, SymbolKind::Data, SymbolScope::Linkage, home);
        match sort {
            SectionKind::UninitializedData => self.object.add_symbol_bss(symbol, id, 8, 8),
            _ => self.object.add_symbol_data(symbol, id, &[0; 8], 8),
        };
    }
}
