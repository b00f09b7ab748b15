//! Conditions on the inputs of a link: a request in, whether a known bug can show there at all out.
//!
//! It must not know what linkers made of the inputs.

use object::elf::{
    STB_GNU_UNIQUE, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_SECTION, STT_TLS,
    STV_DEFAULT, STV_HIDDEN, STV_INTERNAL, STV_PROTECTED, SymbolType,
};
use object::macho::MH_SUBSECTIONS_VIA_SYMBOLS;
use object::{
    Architecture, BinaryFormat, File, FileFlags, Object as _, ObjectKind, ObjectSection as _,
    ObjectSymbol as _, RelocationFlags, RelocationTarget, SectionIndex, SectionKind, Symbol,
    SymbolFlags, SymbolIndex, SymbolScope, SymbolSection,
};
use serde::Deserialize;

use crate::Request;
use crate::model::{archive, macho};

/// What one of the inputs must have.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Has {
    /// A COMDAT group.
    Comdat,
    /// A shared library.
    Library,
    /// A Mach-O library for another machine.
    LibraryOfAnother,
    /// A Mach-O library, or a stub, that passes on what another has.
    Reexports,
    /// A text stub for a variant of a machine: `arm64e.x1`.
    StubOfVariant,
    /// A library that defines a number.
    LibraryAbsolute,
    /// A library that defines a function.
    LibraryFunction,
    /// A library that defines an STT_GNU_IFUNC.
    LibraryIfunc,
    /// A relocation without a symbol.
    NullSymbol,
    /// A relocation by a section symbol of thread-local data.
    TlsBySection,
    /// Relocations of one section that are not sorted by offset.
    UnsortedRelocations,
    /// An object's symbol that is a number.
    Absolute,
    /// An object's common symbol.
    Common,
    /// An object's STT_GNU_IFUNC.
    Ifunc,
    /// An object's function of the name `_init` or `_fini`.
    InitFunction,
    /// Several Mach-O objects with functions that dyld runs.
    SeveralInits,
    /// An object's protected definition.
    Protected,
    /// An object's STT_TLS, or Mach-O's descriptor of a thread-local variable.
    Tls,
    /// Mach-O's table of how functions unwind.
    Unwind,
    /// An object's definition that Mach-O hides from other images.
    PrivateExtern,
    /// An object's symbol in a section of code that is empty.
    EmptyCode,
    /// An addend in an instruction of Mach-O's arm64, where ARM64_RELOC_ADDEND is for them.
    AddendInInstruction,
    /// A reference to where a segment of a Mach-O image starts or ends.
    SegmentBound,
    /// An object's common symbol that a member of an archive defines.
    CommonOfArchive,
    /// A Mach-O object's pointer that is not aligned to four bytes.
    UnalignedPointer,
    /// A Mach-O object's pointer to what is 2 GiB or more away from its symbol.
    FarPointer,
    /// A difference whose subtrahend is in a section, not a symbol.
    SubtractorBySection,
    /// An object's table of constructors as old compilers made it.
    Constructors,
    /// Such a table and an array of init functions, neither with a priority.
    MixedInits,
    /// An object's STB_GNU_UNIQUE.
    Unique,
    /// An object's definition that is STV_INTERNAL.
    Internal,
    /// An object's definition that is STV_HIDDEN or STV_INTERNAL.
    HiddenDefinition,
    /// An object's definition with a version in its name: `.symver f,f@@V`.
    VersionedDefinition,
    /// The same of a reference.
    VersionedReference,
    /// A Mach-O object without MH_SUBSECTIONS_VIA_SYMBOLS.
    WholeSections,
    /// An object's weak definition.
    WeakDefinition,
    /// An object's weak reference.
    WeakReference,
    /// An object's reference that another module must not answer.
    BoundReference,
    /// The same, weak.
    WeakBoundReference,
    /// No symbol that the program could be entered at.
    NoEntry,
}

impl Has {
    /// Whether an input of `request` has it.
    pub(super) fn describes(self, request: &Request) -> bool {
        match self {
            Self::SubtractorBySection => return macho::subtracts_section(request),
            Self::CommonOfArchive => return common_of_archive(request),
            Self::MixedInits => {
                return has_section(request, ".ctors") && has_section(request, ".init_array");
            }
            Self::NoEntry => return no_entry(request),
            Self::LibraryOfAnother => return library_of_another(request),
            Self::Reexports | Self::StubOfVariant => {
                return request.files.iter().any(|file| self.is_in_library(&file.bytes));
            }
            _ => {}
        }
        let read = |bytes: &[u8]| usize::from(File::parse(bytes).is_ok_and(|elf| self.is_in(&elf)));
        let all = archive::contents(request);
        let counts = all.iter().map(|(_, bytes)| read(bytes));
        counts.sum::<usize>() >= if self == Self::SeveralInits { 2 } else { 1 }
    }

    /// Whether a dynamic library of Mach-O or a stub of one has it.
    fn is_in_library(self, bytes: &[u8]) -> bool {
        let has = |what: &[u8]| memchr::memmem::find(bytes, what).is_some();
        if bytes.starts_with(b"--- !tapi-tbd") || bytes.starts_with(b"{") {
            return match self {
                Self::StubOfVariant => has(b"arm64e."),
                _ => has(b"reexported-libraries:") || has(b"\"reexported_libraries\""),
            };
        }
        let passes_on = |file: macho::image::File<'_>| {
            file.libraries.iter().any(|library| library.command == macho::image::REEXPORT)
        };
        self == Self::Reexports && macho::image::File::read(bytes).is_ok_and(passes_on)
    }

    fn is_in(self, elf: &File<'_>) -> bool {
        if elf.kind() == ObjectKind::Dynamic {
            return self == Self::Library
                || elf.dynamic_symbols().any(|symbol| self.is_library_symbol(&symbol));
        }
        match self {
            Self::Comdat => elf.comdats().next().is_some(),
            Self::NullSymbol => relocated(elf, |symbol| symbol.is_none()),
            Self::UnsortedRelocations => elf
                .sections()
                .any(|section| !section.relocations().map(|(offset, _)| offset).is_sorted()),
            Self::TlsBySection => relocated(elf, |index| {
                let symbol = index.and_then(|index| elf.symbol_by_index(index).ok());
                symbol.is_some_and(|symbol| {
                    let by_section = kind(&symbol) == STT_SECTION;
                    let section = symbol.section_index().map(|at| elf.section_by_index(at));
                    let thread = matches!(section, Some(Ok(section))
                        if matches!(section.kind(), SectionKind::Tls | SectionKind::UninitializedTls));
                    by_section && thread
                })
            }),
            Self::Tls if elf.format() == BinaryFormat::MachO => {
                elf.sections().any(|section| section.kind() == SectionKind::TlsVariables)
            }
            Self::WholeSections => matches!(elf.flags(), FileFlags::MachO { flags, .. }
                if !flags.contains(MH_SUBSECTIONS_VIA_SYMBOLS)),
            Self::SeveralInits => elf
                .sections()
                .any(|section| matches!(section.name(), Ok("__mod_init_func" | "__mod_term_func"))),
            Self::Constructors => elf.sections().any(|section| {
                let name = section.name().unwrap_or_default();
                name == ".ctors" || name.starts_with(".ctors.")
            }),
            Self::Unwind => elf.sections().any(|section| section.name() == Ok("__compact_unwind")),
            Self::UnalignedPointer => pointer(elf, |at, _| !at.is_multiple_of(4)),
            Self::FarPointer => pointer(elf, |_, addend| i32::try_from(addend).is_err()),
            Self::AddendInInstruction => addend_in_instruction(elf),
            Self::EmptyCode => elf.symbols().any(|symbol| {
                let section = symbol.section_index().map(|at| elf.section_by_index(at));
                matches!(section, Some(Ok(section))
                    if section.kind() == SectionKind::Text && section.size() == 0)
            }),
            _ => elf.symbols().any(|symbol| self.is_object_symbol(&symbol)),
        }
    }

    fn is_library_symbol(self, symbol: &Symbol<'_, '_>) -> bool {
        match self {
            Self::LibraryAbsolute => symbol.section() == SymbolSection::Absolute,
            Self::LibraryIfunc => !symbol.is_undefined() && kind(symbol) == STT_GNU_IFUNC,
            Self::LibraryFunction => !symbol.is_undefined() && kind(symbol) == STT_FUNC,
            _ => false,
        }
    }

    fn is_object_symbol(self, symbol: &Symbol<'_, '_>) -> bool {
        let (st_info, st_other) = match symbol.flags() {
            SymbolFlags::Elf { st_info, st_other } => (st_info, st_other),
            SymbolFlags::MachO { .. } => return self.is_mach_o_symbol(symbol),
            _ => return false,
        };
        let undefined = symbol.is_undefined();
        let weak = st_info.st_bind() == STB_WEAK;
        let visibility = st_other.visibility();
        match self {
            Self::Absolute => {
                symbol.section() == SymbolSection::Absolute
                    && !symbol.name().unwrap_or("").is_empty()
            }
            Self::Common => symbol.section() == SymbolSection::Common,
            Self::Ifunc => kind(symbol) == STT_GNU_IFUNC,
            Self::InitFunction => !undefined && matches!(symbol.name(), Ok("_init" | "_fini")),
            Self::Protected => !undefined && visibility == STV_PROTECTED,
            Self::Tls => kind(symbol) == STT_TLS,
            Self::Internal => !undefined && visibility == STV_INTERNAL,
            Self::HiddenDefinition => !undefined && matches!(visibility, STV_HIDDEN | STV_INTERNAL),
            Self::VersionedDefinition => !undefined && versioned(symbol),
            Self::VersionedReference => undefined && versioned(symbol),
            Self::Unique => st_info.st_bind() == STB_GNU_UNIQUE,
            Self::WeakDefinition => !undefined && weak,
            Self::WeakReference => undefined && weak,
            Self::BoundReference => undefined && visibility != STV_DEFAULT,
            Self::WeakBoundReference => undefined && weak && visibility != STV_DEFAULT,
            _ => false,
        }
    }
}

impl Has {
    /// The same of Mach-O's symbols, which have no types.
    fn is_mach_o_symbol(self, symbol: &Symbol<'_, '_>) -> bool {
        match self {
            Self::Absolute => symbol.section() == SymbolSection::Absolute,
            Self::Common => symbol.section() == SymbolSection::Common,
            Self::PrivateExtern => {
                !symbol.is_undefined()
                    && symbol.is_global()
                    && symbol.scope() == SymbolScope::Linkage
            }
            Self::WeakDefinition => !symbol.is_undefined() && symbol.is_weak(),
            Self::SegmentBound => {
                let name = symbol.name().unwrap_or("");
                name.starts_with("segment$start$") || name.starts_with("segment$end$")
            }
            _ => false,
        }
    }
}

fn versioned(symbol: &Symbol<'_, '_>) -> bool {
    symbol.name().is_ok_and(|name| name.contains('@'))
}

fn kind(symbol: &Symbol<'_, '_>) -> SymbolType {
    match symbol.flags() {
        SymbolFlags::Elf { st_info, .. } => st_info.st_type(),
        _ => STT_NOTYPE,
    }
}

/// Whether a common symbol of an object is defined by a member of an archive.
fn common_of_archive(request: &Request) -> bool {
    let mut commons = Vec::new();
    let mut defined = Vec::new();
    for (name, bytes) in archive::contents(request) {
        let Ok(object) = File::parse(bytes) else { continue };
        if name.ends_with(')') {
            let globals = object.symbols().filter(|s| s.is_global() && !s.is_undefined());
            let own = globals.filter(|symbol| symbol.section() != SymbolSection::Common);
            defined.extend(own.filter_map(|symbol| symbol.name().ok()));
        } else {
            let own = object.symbols().filter(|s| s.section() == SymbolSection::Common);
            commons.extend(own.filter_map(|symbol| symbol.name().ok()));
        }
    }
    commons.iter().any(|name| defined.contains(name))
}

/// Whether an object has a section of this name.
fn has_section(request: &Request, name: &str) -> bool {
    archive::contents(request).iter().any(|(_, bytes)| {
        File::parse(*bytes).is_ok_and(|object| {
            object.kind() == ObjectKind::Relocatable && object.section_by_name(name).is_some()
        })
    })
}

/// Whether nobody defines the entry symbol of `request`, which is no number either.
fn no_entry(request: &Request) -> bool {
    let args = request.args.iter().enumerate();
    let mut given = args.filter_map(|(at, arg)| {
        let bare = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))?;
        match bare {
            "e" | "entry" => request.args.get(at + 1).map(String::as_str),
            _ => bare.strip_prefix("entry="),
        }
    });
    let name = given.next_back().unwrap_or("_start");
    let defines = |bytes: &[u8]| {
        let Ok(object) = File::parse(bytes) else { return false };
        object.symbols().any(|s| s.is_global() && !s.is_undefined() && s.name() == Ok(name))
    };
    let number = name.starts_with(|first: char| first.is_ascii_digit());
    !number && !archive::contents(request).iter().any(|(_, bytes)| defines(bytes))
}

/// Whether a Mach-O object has a pointer of eight bytes that `wanted` wants: its offset, and what its field holds.
fn pointer(object: &File<'_>, wanted: impl Fn(u64, i64) -> bool) -> bool {
    object.sections().any(|section| {
        let data = section.data().unwrap_or_default();
        let mut relocations = section.relocations();
        relocations.any(|(at, relocation)| {
            // X86_64_RELOC_UNSIGNED and ARM64_RELOC_UNSIGNED are both 0.
            let plain = matches!(relocation.flags(),
                RelocationFlags::MachO { r_type, r_length: 3, .. } if r_type.0 == 0);
            let field = usize::try_from(at).ok().and_then(|at| data.get(at..)?.first_chunk());
            plain && field.is_some_and(|field| wanted(at, i64::from_le_bytes(*field)))
        })
    })
}

/// Whether a relocation is by a symbol that `wanted` wants.
fn relocated(elf: &File<'_>, wanted: impl Fn(Option<SymbolIndex>) -> bool) -> bool {
    elf.sections().flat_map(|section| section.relocations()).any(|(_, relocation)| match relocation
        .target()
    {
        RelocationTarget::Symbol(index) => wanted(Some(index)),
        // `mach-o/reloc.h`: R_ABS instead of a section's number.
        RelocationTarget::Absolute | RelocationTarget::Section(SectionIndex(0)) => wanted(None),
        _ => false,
    })
}

/// Whether an instruction has bits where a relocation goes.
fn addend_in_instruction(file: &File<'_>) -> bool {
    let arm = file.architecture() == Architecture::Aarch64;
    let fields = |kind: u8| match kind {
        2 => 0x03ff_ffff,
        3 | 5 | 8 => 0x60ff_ffe0,
        4 | 6 | 9 => 0x003f_fc00,
        _ => 0,
    };
    let has = |section: object::Section<'_, '_>| {
        let data = section.data().unwrap_or_default();
        section.relocations().any(|(at, relocation)| match relocation.flags() {
            RelocationFlags::MachO { r_type, .. } => {
                let place = usize::try_from(at).ok().and_then(|at| data.get(at..)?.first_chunk());
                place.is_some_and(|word| u32::from_le_bytes(*word) & fields(r_type.0) != 0)
            }
            _ => false,
        })
    };
    arm && file.format() == BinaryFormat::MachO && file.sections().any(has)
}

/// Whether a Mach-O library is for another machine than an object.
fn library_of_another(request: &Request) -> bool {
    let files = request.files.iter().filter_map(|file| File::parse(&*file.bytes).ok());
    let files: Vec<_> = files.filter(|file| file.format() == BinaryFormat::MachO).collect();
    let of = |kind| files.iter().filter(move |file| file.kind() == kind).map(File::architecture);
    of(ObjectKind::Dynamic).any(|own| of(ObjectKind::Relocatable).any(|other| other != own))
}
