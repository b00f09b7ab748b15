//! A case: a whole link as plain data.
//!
//! What people read, edit and commit is its text form (`text.rs`), which `Debug` prints too.

mod library;
mod options;

use scold_diff::model::section_labels;
use scold_diff::{Format, Mode, Target};

pub use library::{Library, LibraryDefinition, LibrarySymbol, VersionNode, VersionScript};
pub use options::{DefsymValue, HashStyle, Opt};

/// How far the specs decide what must come out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum Validity {
    /// The gABI and psABI decide everything.
    #[default]
    Defined,
    /// Practice decides; linkers may differ without being wrong.
    ImplementationDefined,
    /// A correct linker must refuse it.
    Invalid,
}

/// A whole link.
#[derive(Clone, PartialEq, Eq)]
pub struct Case {
    /// Machine and format.
    pub target: Target,
    /// What is built.
    pub mode: Mode,
    /// How far the specs decide.
    pub validity: Validity,
    /// Options that change meaning, in order, before the inputs.
    pub options: Vec<Opt>,
    /// Inputs in command-line order.
    pub inputs: Vec<Input>,
    /// The version script, if any (`--version-script=v.map`).
    pub versions: Option<VersionScript>,
    /// Other modules, which run together with this one: links of their own, with none beside them.
    pub beside: Vec<Case>,
}

impl Case {
    /// What Go calls the system that the output is for.
    pub fn goos(&self) -> &'static str {
        match self.target.format {
            Format::Macho => "darwin",
            Format::Elf if self.options.contains(&Opt::Android) => "android",
            Format::Elf => "linux",
        }
    }

    /// Every object, members of archives included, in command-line order.
    pub fn objects(&self) -> Vec<&Object> {
        let mut list = Vec::new();
        for input in &self.inputs {
            match input {
                Input::Object(object) => list.push(object),
                Input::Archive(archive) => list.extend(&archive.members),
                Input::Group(archives) => list.extend(archives.iter().flat_map(|a| &a.members)),
                Input::Library(_) => {}
            }
        }
        list
    }

    /// The same, to change them.
    pub fn objects_mut(&mut self) -> Vec<&mut Object> {
        let mut list = Vec::new();
        for input in &mut self.inputs {
            match input {
                Input::Object(object) => list.push(object),
                Input::Archive(archive) => list.extend(&mut archive.members),
                Input::Group(archives) => {
                    list.extend(archives.iter_mut().flat_map(|a| &mut a.members));
                }
                Input::Library(_) => {}
            }
        }
        list
    }
}

/// One input on the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A relocatable object.
    Object(Object),
    /// An archive of objects.
    Archive(Archive),
    /// A shared library to link against, made without any linker.
    Library(Library),
    /// `--start-group … --end-group` around archives.
    Group(Vec<Archive>),
}

/// An archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archive {
    /// `lib1.a`.
    pub name: String,
    /// Members in order.
    pub members: Vec<Object>,
    /// `--whole-archive` around it.
    pub whole: bool,
    /// A thin archive.
    pub thin: bool,
}

/// A relocatable object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// `a.o`; unique in the case.
    pub name: String,
    /// Sections in order; references are by index into this list.
    pub sections: Vec<Section>,
    /// Symbols in order; references are by index into this list. Locals and globals may be mixed:
    /// emitters order them as the format wants.
    pub symbols: Vec<Symbol>,
    /// COMDAT groups.
    pub groups: Vec<Group>,
    /// Mach-O: MH_SUBSECTIONS_VIA_SYMBOLS.
    pub subsections: bool,
}

impl Object {
    /// What facts call its sections, if it is in `file`.
    pub(crate) fn labels(&self, file: &str) -> Vec<Box<str>> {
        let names = self.sections.iter().map(|section| &*section.name);
        section_labels(file, names).into_iter().map(String::into_boxed_str).collect()
    }

    /// Whether an atom of Mach-O is one because of this symbol: no other starts where it does.
    pub fn begins_atom(&self, symbol: usize) -> bool {
        let start = |symbol: &Symbol| match symbol.definition {
            Definition::Section { section, offset: 0 } => {
                (!symbol.desc.alt_entry && !symbol.name.starts_with('L')).then_some(section)
            }
            _ => None,
        };
        let section = self.symbols.get(symbol).and_then(start).filter(|_| self.subsections);
        section.is_some() && self.symbols.iter().filter(|s| start(s) == section).count() == 1
    }
}

/// A COMDAT (or plain) group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// The signature symbol's name.
    pub signature: String,
    /// GRP_COMDAT.
    pub comdat: bool,
    /// Indexes into `Object::sections`.
    pub members: Vec<usize>,
}

/// An input section. Where it has a marker at its head (never for NOBITS) the emitter puts 16 unique bytes before `data`,
/// and every offset here (symbols, relocations) counts from the start of the marker.
///
/// In Mach-O it is a part of the section `name` (`SEGMENT,SECTION`): sections of one name of one object are one in the
/// file, in this order. In an object with subsections each is an atom and starts with a symbol that is no alternative entry;
/// markers are at the tail there, because what an atom's symbol stands for comes first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// `.text.f`.
    pub name: String,
    /// SHT_*: what is in it.
    pub kind: SectionKind,
    /// `a`, `w`, `x`, `t`, `M`, `S`, `R` (retain), `E` (exclude).
    pub flags: SectionFlags,
    /// sh_addralign.
    pub align: u64,
    /// sh_entsize, for mergeable sections.
    pub entsize: u64,
    /// Where 16 unique bytes are that the judge finds it by.
    pub marker: Marker,
    /// The bytes after the marker; for NOBITS only its length counts.
    pub data: Data,
    /// Relocations in the order of their table; offsets ascending unless that is what is tried.
    pub relocs: Vec<Reloc>,
    /// SHF_LINK_ORDER: the section it goes with.
    pub link_order: Option<usize>,
}

impl Section {
    /// Where the data starts: after the marker, if there is one.
    pub fn start(&self) -> u64 {
        if self.has_marker(Marker::Head) { 16 } else { 0 }
    }

    /// sh_size.
    pub fn size(&self) -> u64 {
        let tail = if self.has_marker(Marker::Tail) { 16 } else { 0 };
        self.start() + self.data.len() + tail
    }

    /// Whether there are marker bytes at `place`; NOBITS has none.
    pub fn has_marker(&self, place: Marker) -> bool {
        self.marker == place && !self.kind.is_zerofill()
    }
}

impl Data {
    /// How many bytes it stands for.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(len) => *len,
        }
    }

    /// Whether it stands for none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a section's marker is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum Marker {
    /// There is none.
    #[default]
    None,
    /// Before the data.
    Head,
    /// After the data.
    Tail,
}

/// A section's contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// These bytes.
    Bytes(Vec<u8>),
    /// That many zeros (NOBITS, or a gap).
    Zeros(u64),
}

/// SHT_*, and in Mach-O the S_* that mean the same: S_REGULAR, S_ZEROFILL, S_MOD_INIT_FUNC_POINTERS,
/// S_MOD_TERM_FUNC_POINTERS; S_* that ELF has nothing like are at the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // SHT_* and S_* by their names.
pub enum SectionKind {
    Progbits,
    Nobits,
    InitArray,
    FiniArray,
    PreinitArray,
    Note,
    EhFrame,
    CstringLiterals,
    Literals4,
    Literals8,
    Literals16,
    ThreadLocalRegular,
    ThreadLocalZerofill,
    ThreadLocalVariables,
}

impl SectionKind {
    /// Whether the file has no bytes of it.
    pub fn is_zerofill(self) -> bool {
        matches!(self, Self::Nobits | Self::ThreadLocalZerofill)
    }
}

/// SHF_*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[allow(missing_docs)] // SHF_* by their names.
pub struct SectionFlags {
    pub alloc: bool,
    pub write: bool,
    pub exec: bool,
    pub tls: bool,
    pub merge: bool,
    pub strings: bool,
    pub retain: bool,
    pub exclude: bool,
}

/// A relocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reloc {
    /// Bytes from the section's start (marker included).
    pub offset: u64,
    /// The psABI's number; in Mach-O r_type, r_pcrel and r_length as [`crate::machine::macho::number`] packs them.
    pub r_type: u32,
    /// S.
    pub symbol: SymbolRef,
    /// A. For REL targets and Mach-O the emitter writes it where their objects have it.
    pub addend: i64,
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SymbolRef {
    /// `Object::symbols[i]`.
    Named(usize),
    /// The section symbol of `Object::sections[i]`.
    Section(usize),
    /// Symbol 0.
    Null,
}

/// A symbol of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// Its name, with `@V` or `@@V` when versioned by `.symver`.
    pub name: String,
    /// STB_*.
    pub binding: Binding,
    /// STT_*.
    pub kind: SymbolKind,
    /// STV_*.
    pub visibility: Visibility,
    /// st_size.
    pub size: u64,
    /// Where it is.
    pub definition: Definition,
    /// What only Mach-O says of it.
    pub desc: Desc,
}

impl Symbol {
    /// A mention of `name`, which is defined elsewhere.
    pub fn undefined(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            binding: Binding::Global,
            kind: SymbolKind::Notype,
            visibility: Visibility::Default,
            size: 0,
            definition: Definition::Undefined,
            desc: Desc::default(),
        }
    }
}

/// Bits of a Mach-O symbol's n_desc. That it is weak (N_WEAK_DEF, N_WEAK_REF) its binding says, and N_PEXT its
/// visibility.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Desc {
    /// N_ALT_ENTRY: no atom starts here.
    pub alt_entry: bool,
    /// N_WEAK_DEF and N_WEAK_REF of a definition: nobody compares its address, it need not be exported.
    pub can_be_hidden: bool,
    /// N_NO_DEAD_STRIP.
    pub no_dead_strip: bool,
}

/// Where a symbol is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Definition {
    /// Nowhere in this object.
    Undefined,
    /// In `Object::sections[section]`, `offset` bytes from its start (marker included).
    Section {
        /// Index.
        section: usize,
        /// Bytes.
        offset: u64,
    },
    /// SHN_ABS.
    Absolute(u64),
    /// SHN_COMMON with this alignment.
    Common {
        /// st_value.
        align: u64,
    },
}

/// STB_*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // STB_* by their names.
pub enum Binding {
    Local,
    Global,
    Weak,
    Unique,
}

/// STT_*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // STT_* by their names.
pub enum SymbolKind {
    Notype,
    Object,
    Func,
    Tls,
    Ifunc,
}

/// STV_*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // STV_* by their names.
pub enum Visibility {
    Default,
    Internal,
    Hidden,
    Protected,
}
