//! Architectures: what a machine adds to the link, as rows and a few functions.
//!
//! A relocation is one row in psABI letters; the match, its names and the scan's needs derive from
//! it. What a machine differs in is a field of [`Arch`]; no other module asks which machine it is.
//! Must not know of files, symbols or layout: numbers in, bytes out.

pub mod amd64;
pub mod arm;
pub mod arm64;
mod letters;
#[cfg(test)]
pub mod rel32;
mod rotated;
mod row;

pub(crate) use letters::{expr, states};
pub use row::{Base, Branch, Code, Field, Range, Row, What};
pub(crate) use row::{insn, rows};

use crate::format::elf::class::{Class, RelocForm};

/// The numbers of the dynamic relocations.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct DynTypes {
    pub word: u32,
    pub relative: u32,
    pub glob_dat: u32,
    pub jump_slot: u32,
    pub copy: u32,
    pub irelative: u32,
    pub dtpmod: u32,
    pub dtpoff: u32,
    pub tpoff: u32,
    pub tlsdesc: u32,
}

/// How a TLS or GOT access is rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relax {
    /// Load from the GOT → the address itself.
    GotToPc,
    /// General dynamic → local exec.
    GdToLe,
    /// General dynamic → initial exec.
    GdToIe,
    /// Local dynamic → local exec.
    LdToLe,
    /// Initial exec → local exec.
    IeToLe,
    /// Descriptor → local exec.
    DescToLe,
    /// Descriptor → initial exec.
    DescToIe,
    /// The call through a descriptor that is no more.
    DescCall,
    /// The same, where the call has to load the offset.
    DescLoad,
    /// The descriptor stays, and what its address counts from is for the code to say.
    Desc,
}

/// A sequence that can be rewritten. What it is was read from the input once: in the output another
/// relocation may have changed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rewrite {
    /// What becomes of it.
    pub what: Relax,
    /// Which of the documented forms it has, as the machine counts them.
    pub form: u8,
}

/// The PLT's shape.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Plt {
    pub header: u64,
    /// Slots of `.got.plt` that belong to the loader.
    pub reserved: u64,
}

/// One form of the PLT's entries.
#[derive(Debug)]
pub struct PltEntries {
    /// Bytes of one.
    pub size: u64,
    /// Writes one: buffer, its address, slot's address, index, header's address.
    pub lazy: fn(&mut [u8], u64, u64, u32, u64),
    /// Writes one that is never lazy: buffer, its address, slot's address.
    pub eager: fn(&mut [u8], u64, u64),
    /// Where a lazy slot points at first: addresses of its entry and of the header → value.
    pub first: fn(u64, u64) -> u64,
    /// Tags of `.dynamic` that tell the loader of the form.
    pub tags: &'static [u64],
}

/// Type, what was done → how far the field moved, its type now, what is added
/// to the addend.
pub type Relaxed = fn(u32, Rewrite) -> Option<(i64, u32, i64)>;

/// Section bytes, offset, type, what is wanted, the next relocation (offset, type) → what can be done.
pub type CanRelax = fn(&[u8], u64, u32, Relax, Option<(u64, u32)>) -> Option<Rewrite>;

/// The input's bytes, the output's, offset and type, what is done, what the field refers to, P → whether
/// the value fits. Instructions are read from the input only.
pub type DoRelax = fn(&[u8], &mut [u8], (u64, u32), Rewrite, i64, u64) -> bool;

/// Where the thread pointer is, seen from the block of the executable's thread-locals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadPointer {
    /// At the block's end (variant II).
    End,
    /// So many bytes before the block, or more if its alignment wants that (variant I).
    Before(u64),
}

impl ThreadPointer {
    /// `address` counted from it; the block starts at `start`.
    pub fn offset(self, address: u64, start: u64, size: u64, align: u64) -> i64 {
        use crate::layout::align_up;
        let pointer = match self {
            Self::End => start.wrapping_add(align_up(size, align)),
            Self::Before(header) => start.wrapping_sub(align_up(header, align)),
        };
        address.wrapping_sub(pointer) as i64
    }
}

/// How the values of one program property in several objects make that of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    /// Bitwise and; an object without it counts as 0; a result of 0 is left out.
    And,
    /// Bitwise or; a result of 0 is left out.
    Or,
    /// Bitwise or, but only if every object has it.
    OrAnd,
    /// The largest.
    Max,
    /// There if any object has it; no value.
    Any,
}

/// The machine's program properties.
#[derive(Clone, Copy, Debug)]
pub struct Properties {
    /// How a property of the machine's own range is merged; `None` for what is unknown.
    pub merge: fn(u32) -> Option<Merge>,
    /// The property of what all code must have (`..._FEATURE_1_AND`).
    pub feature: u32,
    /// The bit of it that says: indirect branches go to marked places (IBT, BTI).
    pub marked: u32,
    /// The bit of it that says: return addresses are kept twice (SHSTK, GCS).
    pub returns: u32,
    /// The property of the needed instruction set: one bit a level, the baseline first.
    pub isa: Option<u32>,
}

/// What a relocation whose meaning the ABI leaves to the platform is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Reading {
    /// As the platform has it.
    #[default]
    Platform,
    /// `S + A`.
    Absolute,
    /// `S + A - P`.
    Relative,
    /// `G + GOT + A - P`.
    Got,
}

/// What a machine's ABI leaves open.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Choices {
    /// `--target1-abs`, `--target1-rel`.
    pub target1: Reading,
    /// `--target2`.
    pub target2: Reading,
    /// `--fix-v4bx`: the processor has no `bx`.
    pub no_bx: bool,
}

/// An object's `e_flags` and its build attributes, if it has any.
pub type AttributedInput<'b> = (u32, Option<&'b [u8]>);

/// What the objects' build attributes come to.
#[derive(Default, Debug)]
pub struct Attributed {
    /// The output's.
    pub bytes: Vec<u8>,
    /// Its `e_flags`.
    pub flags: u32,
    /// Objects, by number, that contradict those before them, and in what.
    pub complaints: Vec<(usize, String)>,
    /// Objects whose attributes can't be read.
    pub malformed: Vec<(usize, crate::Malformed)>,
}

/// Attributes that say what code needs of its processor and of its callers.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// Their section's name.
    pub name: &'static str,
    /// Their section's type.
    pub kind: u32,
    /// Merges each object's `e_flags` and attributes.
    pub merge: fn(&[AttributedInput<'_>]) -> Attributed,
}

/// The table that finds unwind tables by the code they are for.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    /// Its section's name.
    pub name: &'static str,
    /// Its section's type.
    pub kind: u32,
    /// Its segment's type.
    pub segment: u32,
    /// The symbols of its start and end.
    pub bounds: [&'static str; 2],
}

/// Code that the linker puts between sections.
#[derive(Clone, Copy, Debug)]
pub struct Stub {
    /// Bytes of one.
    pub size: u64,
    /// Where it may begin.
    pub align: u64,
    /// Its mapping symbols, by offset.
    pub marks: &'static [(u64, &'static str)],
    /// Writes one: buffer, its address and the target's, whose instruction set is in bit 0; whether it
    /// reaches that.
    pub write: fn(&mut [u8], u64, u64) -> bool,
}

/// Stubs that stand in for branch targets out of reach or in another instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Thunks {
    /// The stubs, by number.
    pub stubs: &'static [Stub],
    /// How far all the branches go, either way.
    pub reach: u64,
    /// The relocation types of branches that may go through one.
    pub kinds: &'static [u32],
    /// The instruction set of a branch that needs one, how far it has to go → the stub for it, of the same set.
    pub stub: fn(i64, i64) -> u8,
}

/// A fault of a processor, to be avoided by moving an instruction out of its sequence.
#[derive(Clone, Copy, Debug)]
pub struct Erratum {
    /// The option that asks for it, without dashes.
    pub flag: &'static str,
    /// Code and its address → offsets of instructions to move, whatever the code means.
    pub find: fn(&[u8], u64, &mut Vec<u64>),
    /// The stub of a moved instruction: its `write` branches back.
    pub stub: Stub,
    /// The instruction in the output, whether it still has to move, the distance to the stub → the branch
    /// that takes its place.
    pub branch: fn([u8; 4], i64) -> Option<[u8; 4]>,
}

/// A place in code made by the linker that refers to a symbol.
#[derive(Clone, Copy, Debug)]
pub struct InitField {
    /// Bytes from the start.
    pub offset: u64,
    /// The relocation type.
    pub kind: u32,
    /// The addend; in the code too where records have none.
    pub addend: i64,
}

/// `go:link.addmoduledata`: calls `runtime.addmoduledata` with the address of a module's data.
#[derive(Clone, Copy, Debug)]
pub struct ModuleInit {
    /// The code.
    pub code: &'static [u8],
    /// Its alignment.
    pub align: u64,
    /// What refers to the data.
    pub data: &'static [InitField],
    /// What refers to the function called.
    pub call: InitField,
    /// Mapping symbols, by offset.
    pub marks: &'static [(u64, &'static str)],
    /// The code for people.
    pub text: &'static [&'static str],
}

/// One machine.
#[derive(Debug)]
pub struct Arch {
    /// As `GOARCH` spells it.
    pub name: &'static str,
    /// `EM_*`.
    pub machine: u16,
    /// What GNU ld's `-m` calls it.
    pub emulation: &'static str,
    /// What `--oformat` and linker scripts call its files.
    pub format: &'static str,
    /// Of its files.
    pub class: Class,
    /// Whether its relocations have their addends (RELA) or find them in the fields (REL).
    pub explicit_addends: bool,
    /// The default of `-z max-page-size`.
    pub page: u64,
    /// The default image base of a fixed-position executable.
    pub base: u64,
    /// What a section type of the machine's own means to the link.
    pub section_kind: fn(u32) -> u32,
    /// Section indexes of its own that mean a common symbol.
    pub commons: &'static [u16],
    /// Sections with this flag go last: what refers to them reaches everything. 0 if there is none.
    pub large: u64,
    /// Program properties.
    pub properties: Properties,
    /// The bit of `st_other` of functions that lazy binding would spoil arguments of, and the tag that tells
    /// the loader of their PLT entries.
    pub variant: Option<(u8, u64)>,
    /// The thread pointer.
    pub thread_pointer: ThreadPointer,
    /// Whether GOT-relative values count from `.got.plt` if there is one.
    pub base_is_got_plt: bool,
    /// Dynamic relocations.
    pub dynamic: DynTypes,
    /// The PLT's shape.
    pub plt: Plt,
    /// Mapping symbols of the PLT, by offset.
    pub plt_marks: &'static [(u64, &'static str)],
    /// The loader, unless the command line names another.
    pub interp: &'static str,
    /// The addend of a rewritable instruction's operand that refers to the symbol itself.
    pub no_addend: i64,
    /// `--fix-…`: the errata of its processors that compilers may ask to avoid.
    pub errata: &'static [Erratum],
    /// The instruction that fills gaps in code.
    pub nop: &'static [u8],
    /// Its build attributes, if it has any.
    pub attributes: Option<Attributes>,
    /// Its index of unwind tables, if it has that.
    pub index: Option<Index>,
    /// Its thunks; `None` if a branch reaches everything.
    pub thunks: Option<Thunks>,
    /// Whether its loaders look for IRELATIVE among the relocations of the PLT.
    pub irelative_with_jumps: bool,
    /// Whether bit 0 of a function's value is its instruction set, no part of its address.
    pub two_states: bool,
    /// Whether local-dynamic sequences are ever rewritten.
    pub rewrites_ld: bool,
    /// What announces a module to its host's runtime.
    pub module_init: ModuleInit,
    /// The machine with these choices made; `None` if it leaves nothing open.
    pub chosen: Option<fn(Choices) -> &'static Arch>,
    /// The rows of the relocation types, by number.
    pub rows: &'static [Option<Row>],
    /// Writes the PLT's header: buffer, its address, address of `.got.plt`.
    pub plt_header: fn(&mut [u8], u64, u64),
    /// The PLT's entries: whether indirect branches may go to them, whether they check the address they
    /// jump to.
    pub plt_entries: fn(bool, bool) -> &'static PltEntries,
    /// The routine that calls of descriptors go to, in words; none if they are indirect.
    pub desc_call: &'static [u32],
    /// The word of a descriptor with its argument: the other is the loader's.
    pub desc_argument: u32,
    /// Whether the code around a relocation has the form that `Relax` rewrites.
    pub can_relax: CanRelax,
    /// Rewrites.
    pub relax: DoRelax,
    /// What a rewritten place holds: type, what was done → how far its field moved,
    /// its type and what is added to the addend; `None` if it has no field any more.
    pub relaxed: Relaxed,
}

/// Every machine there is; the first is what a link without inputs is for.
pub static ARCHES: &[&Arch] = &[
    &amd64::AMD64,
    &arm64::ARM64,
    &arm::ARM,
    #[cfg(test)]
    &rel32::REL32,
];

impl Arch {
    /// Bytes of a pointer.
    pub const fn word(&self) -> u64 {
        self.class.word() as u64
    }

    /// The row of a relocation type.
    #[inline]
    pub fn row(&self, kind: u32) -> Option<&'static Row> {
        self.rows.get(kind as usize)?.as_ref()
    }

    /// How its relocations are recorded.
    pub const fn relocs(&self) -> RelocForm {
        RelocForm { class: self.class, explicit: self.explicit_addends }
    }

    /// The addend in the field at the head of `place`, where records have none.
    pub fn implicit_addend(&self, kind: u32, place: &[u8]) -> i64 {
        self.row(kind).map_or(0, |row| row.field.read(place))
    }

    /// Fills a gap in code that ends where an instruction may begin.
    pub fn fill(&self, gap: &mut [u8]) {
        for (byte, nop) in gap.iter_mut().rev().zip(self.nop.iter().rev().cycle()) {
            *byte = *nop;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ThreadPointer;

    #[test]
    fn the_thread_pointer_is_at_either_end() {
        assert_eq!(ThreadPointer::End.offset(0x1008, 0x1000, 0x14, 8), -0x10);
        assert_eq!(ThreadPointer::Before(16).offset(0x1008, 0x1000, 0x14, 8), 0x18);
        assert_eq!(ThreadPointer::Before(16).offset(0x1008, 0x1000, 0x14, 64), 0x48);
    }

    #[test]
    fn a_gap_ends_with_a_whole_nop() {
        let nop: &[u8] = &[1, 2, 3, 4];
        let arch = super::Arch { nop, ..super::amd64::AMD64 };
        let mut gap = [0; 6];
        arch.fill(&mut gap);
        assert_eq!(gap, [3, 4, 1, 2, 3, 4]);
    }
}
