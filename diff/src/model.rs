//! Facts: what a loader would see of one linked module, as keyed values.
//!
//! A reader (`model/elf.rs`) turns the bytes of an output, read beside the [`crate::Request`] that
//! made it, into [`Facts`]; `scold_fuzz::expect` computes the same Facts from a case without any
//! bytes. Both follow the definitions here to the letter. Addresses, order, padding, PLT shape, hash
//! style and the packing of dynamic relocations never show.
//!
//! # Naming inputs
//!
//! FILE is the name in the request: `a.o`; an archive member is `lib.a(m.o)`. SECTION is
//! `FILE:NAME`, with `#k` appended from the second section of that name on (`a.o:.text#1`). A
//! *place* is `SECTION+0xOFF` in input coordinates. Common symbols have the place
//! `FILE:COMMON.NAME+0x0` where FILE is the file whose common won (the largest; the first of equals).
//!
//! Sections that can carry one start with a 16-byte marker ([`MARKER_MAGIC`] and 8 bytes that are
//! unique in the request): that is how they are found in an output. Others are found by unique symbols
//! of the output's symbol table, or by their bytes.
//!
//! # Finer points
//!
//! - `init_array`-like and `.eh_frame` sections and mergeable sections have no `site`, `bytes` or `perm`
//!   facts: `init`, `fini`, `unwind` and [`Meaning::Merged`] say what they mean.
//! - A TLS sequence's sites are at the relocations that name the variable in a field (TLSGD, TLSLD,
//!   GOTPC32_TLSDESC…); the call of `__tls_get_addr` that belongs to it and markers (TLSDESC_CALL) have none.
//! - Of an address in several instructions (ADRP and 12 bits, MOVZ and MOVK) every relocation has a site;
//!   those of one symbol and addend mean the same, one alone what its bits can mean for its symbol.
//! - A branch to a weak symbol that nobody defines is `absolute 0`, however it does nothing.
//! - A number read from an 8- or 16-bit field is what the field gives modulo its width, zero-extended,
//!   after the addend is taken off; from a 32-bit field it is extended as the relocation's type says.
//! - A lookup is named `NAME@VER` when it asks for a version: imports of versioned symbols, and
//!   preemptible definitions that have one.
//! - A mergeable string is read where S (named symbol) or S + A (section symbol) points.
//! - NOBITS sections have no `bytes` fact (one that says `not zero` is a fault); empty sections and
//!   `.note.gnu.property` have no facts.
//! - A canonical PLT entry of an undefined symbol is no answer to a look-up, and a reference to it is
//!   [`Meaning::Dynamic`]; as an address, any other PLT entry is a fault. So is an IFUNC whose address
//!   is taken as what the resolver returns at one place and as a PLT entry at another.
//! - `export` facts are for names that an object, a library or `--defsym` defines; `__tls_get_addr` is
//!   never an `import`.
//! - A static executable has `init` and `fini` facts too: its start-up code calls the sections' entries.
//! - `dynamic.broken` (text) is what a loader would refuse or fall over; no correct module has it.
//! - `relro` counts up to the last whole page of PT_GNU_RELRO, as ld.so protects it.
//! - `unwind` facts exist if there is a PT_GNU_EH_FRAME or `--eh-frame-hdr` is asked for.
//! - `lookup` facts are for names that objects mention, not for those that only libraries do, nor for
//!   those that only linkers make ([`elf::is_linkers`]).
//! - `lookup` facts exist only if the module has a dynamic symbol table.
//!
//! - On arm an address of code has bit 0 set if it is entered in Thumb state: a place is where `st_value`
//!   points, so a Thumb function is at an odd offset, whatever field or branch leads there and in whichever
//!   state it arrives. A branch to what is no function (a label, a section symbol) is at the place as it is,
//!   and has to arrive in the caller's state. Odd addresses of data stay odd.
//! - `unwind` facts on arm come from the index table (PT_ARM_EXIDX): for each entry of an input's `.ARM.exidx`
//!   whose function is in the output, at the function's place without its state, what looking that address
//!   up gives: `cantunwind`, `inline 0xWORD`, or `table PLACE personality=N|MEANING frame=DIGEST`, the digest of
//!   the unwinding instructions (with the count before them). `.ARM.exidx` has no other facts.
//!
//! # Mach-O
//!
//! - SECTION is an *atom*: in an object with MH_SUBSECTIONS_VIA_SYMBOLS what starts at a symbol that is neither
//!   N_ALT_ENTRY nor named `L…` (or at its section's start), else a whole section. It is named
//!   `FILE:SEG,SECT`, `#k` counting the atoms of that section name in the file. Its marker may be anywhere in it;
//!   atoms without one are found by the symbols they define. Literals are known by contents only.
//! - A lookup is named `NAME@WHERE`: an install name, `flat`, `main`, `self`, or `weak` for what is coalesced with
//!   the other images' definitions of the name, whatever table says so. `import` facts leave out what the image
//!   defines itself, and `dyld_stub_binder`.
//! - A field of a reference to a section (r_extern 0) has an address of the object: what it is to is the atom with
//!   that address, and the addend what is left. Of a SUBTRACTOR pair only the UNSIGNED has a site: what is added.
//!   ARM64_RELOC_ADDEND has none.
//! - In a thread-local variable's descriptor the third word is `tls PLACE`, of the initial content; a TLVP reference
//!   means the descriptor.
//! - `bytes` masks the field and, of a load that may become LEA, the two bytes before it; the whole of an instruction
//!   on arm64. Code of an object with LC_LINKER_OPTIMIZATION_HINT has none.
//! - A number that code reaches relative to itself is the number, as if the image did not slide; one that dyld slides
//!   is a fault.
//! - `__compact_unwind`, `__eh_frame`, `__mod_init_func` and `__mod_term_func` have no `site`, `bytes` or `perm` facts.
//! - `perm` is `relro` in a segment with SG_READ_ONLY, `tls` in the thread-local template.
//! - `export`: kind Tls if the trie says so, Notype else; Weak with EXPORT_SYMBOL_FLAGS_WEAK_DEFINITION; no size.
//! - `needed` is the install name, and ` weak` after it for LC_LOAD_WEAK_DYLIB. `dynamic.soname` is LC_ID_DYLIB,
//!   `dynamic.flat` no MH_TWOLEVEL, `dynamic.weak_defines` MH_WEAK_DEFINES.
//! - `init` and `fini` are in the order of `__mod_init_func` or `__init_offsets` and of `__mod_term_func`.
//! - `unwind` facts are for each function with an entry in an input's `__compact_unwind`, as `__unwind_info` has it:
//!   `enc=0xMODE personality=MEANING|none lsda=PLACE|none`, without the bits that number personalities; for the mode
//!   that says so `dwarf` and what is in the FDE.
//!
//! # Families
//!
//! See [`Family`]: each variant says what its keys and values are.

pub(crate) mod archive;
pub mod elf;
mod facts;
pub mod macho;
mod refusal;

use std::collections::HashMap;
use std::fmt;

pub use facts::{Difference, Facts};
pub use refusal::ErrorClass;

use crate::{Format, Request};

/// The first 8 bytes of every marker; never a valid instruction sequence or pointer of a case.
pub const MARKER_MAGIC: [u8; 8] = *b"\xf1SCOLD\x1b\xf2";

/// What a fact is about. The name of the variant in lower case is the first part of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// `error` → [`Value::Error`]: the link was refused. Then it is the only fact.
    Error,
    /// `export.NAME`, `export.NAME@@VER` (default version), `export.NAME@VER` (hidden version) →
    /// [`Value::Export`]. One for every *defined* dynamic symbol that an input mentions by name.
    /// Names only the linker makes (`_end`, `_DYNAMIC`, `__start_X`, version names) are left out.
    Export,
    /// `import.NAME`, `import.NAME@VER` → [`Value::Import`]. One for every *undefined* dynamic symbol
    /// that is used by a dynamic relocation or referenced strongly.
    Import,
    /// `site.SECTION+0xOFF` → [`Value::Ref`]: what the relocation at that place of an input section
    /// that is in the output finally means for symbol S (the addend is taken off again), after PLT,
    /// GOT, copies, relaxations and dynamic relocations are followed. Allocated sections only.
    Site,
    /// `bytes.SECTION` → [`Value::Digest`] of an allocated input section's contents in the output,
    /// with the bytes that its relocations may rewrite masked to zero.
    Bytes,
    /// `init.N` → [`Value::Ref`], the N-th function called at load (DT_INIT, then DT_INIT_ARRAY; of Mach-O
    /// LC_ROUTINES_64's, then what sections list).
    Init,
    /// `fini.N` → [`Value::Ref`], the N-th function called at unload (DT_FINI_ARRAY backwards, DT_FINI).
    Fini,
    /// `needed.N` → [`Value::Text`]: DT_NEEDED, in order.
    Needed,
    /// `dynamic.soname`, `dynamic.runpath` → [`Value::Text`]; `dynamic.now|nodelete|symbolic|textrel|
    /// static_tls` → [`Value::Flag`] true, absent otherwise. Of Mach-O `dynamic.load NAME`, how a library is
    /// loaded if that is not plainly.
    Dynamic,
    /// `perm.SECTION` → [`Value::Text`] of `r`, `rx`, `rw`, `relro` (written by the loader, then
    /// read-only), `tls` for an allocated input section that is in the output. Absent if it is not, and
    /// [`Meaning::Lost`], as are `bytes` and `unwind`, if it couldn't be found but may be.
    Perm,
    /// `tls.align` → [`Value::Number`], p_align of PT_TLS (1 if there is none: then absent).
    Tls,
    /// `lookup.NAME` → [`Value::Found`]: what the module's own hash tables answer for each name that
    /// an input mentions as a global symbol, and for three names that none does (`scold.absent.1`…).
    /// Only the default (or only) version counts.
    Lookup,
    /// `unwind.PLACE` → [`Value::Text`]: for each FDE of an input whose function is in the output, at
    /// the function's place, as found through .eh_frame_hdr: `len=N aug=zR lsda=PLACE|none`, then
    /// ` personality=MEANING` if the CIE has one (`*` and the slot, if the pointer is indirect), then
    /// ` cfa=C,D,R frame=DIGEST`: alignment factors and return address register, and 31 times the digest of
    /// the CIE's instructions plus that of the FDE's, each without the zeros at its end.
    Unwind,
    /// `entry` → [`Value::Ref`]: where an executable starts.
    Entry,
}

impl Family {
    /// Every family.
    pub const ALL: &[Self] = &[
        Self::Error,
        Self::Export,
        Self::Import,
        Self::Site,
        Self::Bytes,
        Self::Init,
        Self::Fini,
        Self::Needed,
        Self::Dynamic,
        Self::Perm,
        Self::Tls,
        Self::Lookup,
        Self::Unwind,
        Self::Entry,
    ];

    /// The first part of the family's keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Export => "export",
            Self::Import => "import",
            Self::Site => "site",
            Self::Bytes => "bytes",
            Self::Init => "init",
            Self::Fini => "fini",
            Self::Needed => "needed",
            Self::Dynamic => "dynamic",
            Self::Perm => "perm",
            Self::Tls => "tls",
            Self::Lookup => "lookup",
            Self::Unwind => "unwind",
            Self::Entry => "entry",
        }
    }
}

/// A fact's name: its family and the rest, `export.foo@@V1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// What it is about.
    pub family: Family,
    /// What comes after the family's name and the dot; empty for `error` and `entry`.
    pub rest: Box<str>,
}

impl Key {
    /// The key `family.rest`.
    pub fn new(family: Family, rest: impl Into<Box<str>>) -> Self {
        Self { family, rest: rest.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family.name())?;
        if self.rest.is_empty() { Ok(()) } else { write!(f, ".{}", self.rest) }
    }
}

/// A place in input coordinates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// `FILE:NAME` or `FILE:NAME#k`.
    pub section: Box<str>,
    /// Bytes from the section's start.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset < 0 {
            write!(f, "{}-{:#x}", self.section, -self.offset)
        } else {
            write!(f, "{}+{:#x}", self.section, self.offset)
        }
    }
}

/// Why an address is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// To go there: any way is as good as another.
    Call,
    /// To have it: it must be the same wherever it is taken.
    Address,
}

/// What a reference finally means at run time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Meaning {
    /// The address of a place of this module, decided when it was linked (or rebased).
    Place(Place),
    /// The address that dynamic lookup gives for `NAME` or `NAME@VER`: imports, preemptible
    /// definitions, canonical PLTs and copies. Protected and `DF_SYMBOLIC` self-lookups, and an
    /// executable's lookups of its own exports, are [`Meaning::Place`].
    Dynamic(Box<str>),
    /// A number: absolute symbols; 0 is a weak undefined that stays null.
    Absolute(u64),
    /// The TLS variable of the inner meaning (its place in the TLS template, or its name), whatever
    /// model reaches it: TP offset, DTP offset, descriptor, module id and offset.
    Tls(Box<Meaning>),
    /// This module's TLS block as such (a local-dynamic module id).
    TlsModule,
    /// What the IFUNC resolver at the place returns.
    Ifunc(Place),
    /// The GOT's base (`_GLOBAL_OFFSET_TABLE_`).
    GotBase,
    /// A symbol's size.
    Size(u64),
    /// A string of a mergeable section, up to its NUL, read where the reference points (addend
    /// included, because it selects the piece); a constant of one in full.
    Merged(Vec<u8>),
    /// The end of a linker-made name: `__start_X`, `_end`, `__ehdr_start`… by that name.
    Linker(Box<str>),
    /// The target was discarded and the field has the linker's tombstone.
    Discarded,
    /// An address in no section that could be found, of what is in one that couldn't: in a stripped output, or of
    /// names that others have too. It may be right.
    Lost,
    /// Nothing a correct link can give; the text says what was found.
    Bad(String),
}

impl Value {
    /// Whether it is of what couldn't be found ([`Meaning::Lost`]).
    pub(crate) fn is_lost(&self) -> bool {
        let (Self::Ref(meaning) | Self::Found(Some(meaning)) | Self::Export { meaning, .. }) = self
        else {
            return false;
        };
        match meaning {
            Meaning::Tls(inner) => **inner == Meaning::Lost,
            meaning => *meaning == Meaning::Lost,
        }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => write!(f, "{place}"),
            Self::Dynamic(name) => write!(f, "dynamic {name}"),
            Self::Absolute(value) => write!(f, "absolute {value:#x}"),
            Self::Tls(inner) => write!(f, "tls {inner}"),
            Self::TlsModule => f.write_str("tls-module"),
            Self::Ifunc(place) => write!(f, "ifunc {place}"),
            Self::GotBase => f.write_str("got-base"),
            Self::Size(size) => write!(f, "size {size:#x}"),
            Self::Merged(bytes) => write!(f, "merged \"{}\"", bytes.escape_ascii()),
            Self::Linker(name) => write!(f, "linker {name}"),
            Self::Discarded => f.write_str("discarded"),
            Self::Lost => f.write_str("lost"),
            Self::Bad(text) => write!(f, "bad: {text}"),
        }
    }
}

/// What a dynamic symbol is; STT_COMMON counts as object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // STT_* by their names.
pub enum SymbolKind {
    Notype,
    Object,
    Func,
    Tls,
    Ifunc,
}

/// How a dynamic symbol binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // STB_* by their names.
pub enum Binding {
    Global,
    Weak,
    Unique,
}

/// A fact's value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Value {
    /// See [`Family::Error`].
    Error(ErrorClass),
    /// See [`Family::Export`].
    Export {
        /// STT_*.
        kind: SymbolKind,
        /// STB_*.
        binding: Binding,
        /// STV_PROTECTED; everything else exported is default.
        protected: bool,
        /// st_size.
        size: u64,
        /// What st_value means: a place, an absolute number, `tls PLACE`, `ifunc PLACE`, or
        /// `dynamic NAME` for a copy relocation or a canonical PLT.
        meaning: Meaning,
    },
    /// See [`Family::Import`].
    Import {
        /// STB_WEAK.
        weak: bool,
    },
    /// What a reference means.
    Ref(Meaning),
    /// A digest ([`digest`]).
    Digest(u64),
    /// Free text of a documented form.
    Text(Box<str>),
    /// A number.
    Number(u64),
    /// A flag that is on.
    Flag(bool),
    /// The answer of a hash table; all tables of the module agreed.
    Found(Option<Meaning>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(class) => f.write_str(class.code()),
            Self::Export { kind, binding, protected, size, meaning } => {
                let protected = if *protected { " protected" } else { "" };
                write!(f, "{kind:?} {binding:?}{protected} size={size} {meaning}")
            }
            Self::Import { weak } => f.write_str(if *weak { "weak" } else { "strong" }),
            Self::Ref(meaning) => write!(f, "{meaning}"),
            Self::Digest(digest) => write!(f, "{digest:016x}"),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Found(Some(meaning)) => write!(f, "found {meaning}"),
            Self::Found(None) => f.write_str("absent"),
        }
    }
}

/// Reads the output of `request` as a loader of its format would.
///
/// Never panics on any bytes.
pub fn facts(request: &Request, output: &[u8]) -> Facts {
    match request.target.format {
        Format::Elf => elf::facts(request, output),
        Format::Macho => macho::facts(request, output),
    }
}

/// What facts call the `nth` section of this name in `file`, counted from 0: `a.o:.data`, `a.o:.data#1`.
pub fn section_label(file: &str, name: &str, nth: usize) -> String {
    match nth {
        0 => format!("{file}:{name}"),
        nth => format!("{file}:{name}#{nth}"),
    }
}

/// What facts call the sections of `file`, whose names are these.
pub fn section_labels<'n>(file: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let label = |name| {
        let nth = seen.entry(name).or_default();
        let label = section_label(file, name, *nth);
        *nth += 1;
        label
    };
    names.into_iter().map(label).collect()
}

/// The digest of [`Value::Digest`]: FNV-1a, 64 bits.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
