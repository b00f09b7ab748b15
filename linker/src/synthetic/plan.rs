//! The plan of what the linker makes itself: needs by symbol → slots, entries, counts, sizes.
//!
//! Everything is decided here once; the writers follow it. It must not know of addresses.

use rustc_hash::FxHashMap;

use super::hash::{GnuHash, SysvHash};
use super::versions::{Definition, Need};
use crate::layout::{Made, Member};
use crate::link::{Link, Special, attr, need};
use crate::object::SymId;
use crate::resolve::mention;
use crate::scan::Totals;

/// No slot.
pub const NONE: u32 = u32::MAX;

/// Where the entries of one symbol are.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// Word of `.got` with the address.
    pub got: u32,
    /// Word of `.got` with the offset from the thread pointer.
    pub gottp: u32,
    /// First word of `.got` with module and offset.
    pub tlsgd: u32,
    /// First word of `.got` with a descriptor.
    pub tlsdesc: u32,
    /// Entry of the PLT, those of indirect functions after the lazy ones.
    pub plt: u32,
    /// Index in `.dynsym`.
    pub dynsym: u32,
    /// Number of the copy.
    pub copy: u32,
}

const EMPTY: Slots = Slots {
    got: NONE,
    gottp: NONE,
    tlsgd: NONE,
    tlsdesc: NONE,
    plt: NONE,
    dynsym: NONE,
    copy: NONE,
};

/// One GOT entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GotEntry {
    /// A symbol's address.
    Address(SymId),
    /// A symbol's offset from the thread pointer.
    TpOff(SymId),
    /// A symbol's module and offset.
    General(SymId),
    /// A symbol's descriptor.
    Descriptor(SymId),
    /// This module and offset 0.
    Module,
}

impl GotEntry {
    /// Words it takes.
    pub fn words(self) -> u32 {
        match self {
            Self::Address(_) | Self::TpOff(_) => 1,
            _ => 2,
        }
    }
}

/// What a dynamic relocation adds to its symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addend {
    /// Nothing.
    Zero,
    /// A symbol's address.
    Address(SymId),
    /// A symbol's offset in the TLS block.
    TlsOffset(SymId),
}

/// A dynamic relocation of a GOT entry: word in the entry, type, symbol, addend.
pub type GotReloc = (u32, u32, Option<SymId>, Addend);

/// A copy of a library's data.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its names; the first was asked for.
    pub ids: Vec<SymId>,
    /// The section it is in.
    pub made: Made,
    /// Offset there.
    pub offset: u64,
}

/// The value of an entry of `.dynamic`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag {
    /// A number.
    Value(u64),
    /// The address of a section.
    Address(Made),
    /// The size of a section.
    Size(Made),
    /// The address of the named output section.
    NamedAddress(&'static str),
    /// Its size.
    NamedSize(&'static str),
    /// The address of a symbol.
    Symbol(SymId),
    /// The number of leading relative relocations.
    RelativeCount,
}

/// Everything planned.
#[derive(Default, Debug)]
pub struct Plan {
    /// A loader gets to see the output.
    pub dynamic: bool,
    /// Everything is within reach of everything: place-relative rewrites always fit.
    pub near: bool,
    /// By file: all its local-dynamic sequences are rewritten.
    pub ld_relaxed: Vec<bool>,
    /// `.eh_frame` inputs.
    pub eh_inputs: Vec<Member>,
    /// Inputs of the index of unwind tables, and its entries.
    pub index_inputs: Vec<Member>,
    /// See `index_inputs`.
    pub index: Vec<super::index::Entry>,
    /// `.note.gnu.property` inputs.
    pub property_inputs: Vec<Member>,
    /// Merged unwind records.
    pub eh: super::unwind::EhPlan,
    /// Build attributes.
    pub attributes: Vec<u8>,
    /// `e_flags`.
    pub flags: u32,
    /// Merged properties.
    pub properties: Vec<super::notes::Property>,
    /// Index into `slots` by symbol.
    aux: Vec<u32>,
    slots: Vec<Slots>,
    /// GOT entries with their first word.
    pub got: Vec<(u32, GotEntry)>,
    /// Words of `.got`.
    pub got_words: u32,
    /// The module's own pair.
    pub module_slot: Option<u32>,
    /// Symbols with a lazy PLT entry, in order.
    pub plt: Vec<SymId>,
    /// Indirect functions, in order.
    pub iplt: Vec<SymId>,
    /// Copies of library data.
    pub copies: Vec<Copy>,
    /// `.dynsym` from index 1.
    pub dynsyms: Vec<SymId>,
    /// How many of them are undefined.
    pub imports: u32,
    /// Name offsets of `dynsyms`.
    pub dynsym_names: Vec<u32>,
    /// `.dynstr`.
    pub dynstr: Vec<u8>,
    /// `.gnu.hash`.
    pub gnu_hash: Option<GnuHash>,
    /// `.hash`.
    pub sysv_hash: Option<SysvHash>,
    /// `.gnu.version` from index 1.
    pub versym: Vec<u16>,
    /// `.gnu.version_d`.
    pub verdefs: Vec<Definition>,
    /// `.gnu.version_r`.
    pub verneeds: Vec<Need>,
    /// `.dynamic`.
    pub tags: Vec<(u64, Tag)>,
    /// Entries of `.rela.dyn`, relative ones first.
    pub rela_count: u64,
    /// How many are relative.
    pub relative_count: u64,
    /// Words packed in `.relr.dyn`: in sections, and words of the GOT.
    pub packed: Vec<(crate::object::SecId, u64)>,
    /// See `packed`.
    pub packed_got: Vec<u32>,
    /// Versions that an executable's symbols bring along, after the script's.
    pub extra_versions: Vec<Vec<u8>>,
    /// PLT entries carry landing marks (IBT, BTI).
    pub marked_plt: bool,
    /// Imports whose calls can't be bound lazily.
    pub variants: Vec<SymId>,
    /// Calls go to the routine for descriptors.
    pub desc_calls: bool,
    /// Something counts from the GOT's base.
    pub got_based: bool,
    /// What the scan says about flags.
    pub static_tls: bool,
    /// Text relocations.
    pub text: bool,
    /// The entry symbol.
    pub entry: Option<SymId>,
    /// Where the program starts without such a symbol.
    pub entry_number: u64,
    /// `.symtab`.
    pub symtab: super::symtab::SymtabPlan,
}

impl Plan {
    /// The slots of `id`, all empty if it has none.
    pub fn slots(&self, id: SymId) -> &Slots {
        match self.aux.get(id.i()) {
            Some(&at) if at != NONE => &self.slots[at as usize],
            _ => &EMPTY,
        }
    }

    pub(super) fn slots_mut(&mut self, id: SymId) -> &mut Slots {
        let aux = &mut self.aux[id.i()];
        if *aux == NONE {
            *aux = self.slots.len() as u32;
            self.slots.push(EMPTY);
        }
        &mut self.slots[*aux as usize]
    }

    fn add_got(&mut self, entry: GotEntry) -> u32 {
        let at = self.got_words;
        self.got.push((at, entry));
        self.got_words += entry.words();
        at
    }
}

/// Hands out slots for everything the scan asked for.
pub fn plan_slots(link: &mut Link<'_>, totals: Totals) {
    let mut plan = std::mem::take(&mut link.plan);
    plan.aux = vec![NONE; link.res.symbol_count];
    plan.static_tls = totals.static_tls;
    plan.text = totals.text;
    plan.got_based = totals.got_base || link.specials.contains(&Special::GotBase);
    plan.desc_calls = totals.desc_calls;
    plan.packed = totals.packed;
    plan.relative_count = totals.relative;
    plan.rela_count = totals.symbolic;
    let mut copies = Vec::new();
    for at in 0..link.res.symbol_count {
        let id = SymId(at as u32);
        let needs = link.need(id);
        if needs & !(need::USED | need::DYNSYM) == 0 {
            continue;
        }
        if needs & need::GOT != 0 {
            plan.slots_mut(id).got = plan.got_words;
            plan.add_got(GotEntry::Address(id));
        }
        if needs & need::GOTTP != 0 {
            plan.slots_mut(id).gottp = plan.got_words;
            plan.add_got(GotEntry::TpOff(id));
        }
        if needs & need::TLSGD != 0 {
            plan.slots_mut(id).tlsgd = plan.got_words;
            plan.add_got(GotEntry::General(id));
        }
        if needs & need::TLSDESC != 0 {
            plan.slots_mut(id).tlsdesc = plan.got_words;
            plan.add_got(GotEntry::Descriptor(id));
        }
        if needs & need::PLT != 0 {
            let list = match link.attrs[at] & attr::IFUNC {
                0 => &mut plan.plt,
                _ => &mut plan.iplt,
            };
            list.push(id);
        }
        if needs & need::COPY != 0 {
            copies.push(id);
        }
    }
    if totals.tls_ld {
        plan.module_slot = Some(plan.add_got(GotEntry::Module));
    }
    let lazy = plan.plt.len() as u32;
    for (index, id) in plan.plt.clone().into_iter().enumerate() {
        plan.slots_mut(id).plt = index as u32;
    }
    for (index, id) in plan.iplt.clone().into_iter().enumerate() {
        plan.slots_mut(id).plt = lazy + index as u32;
    }
    super::copies::plan(link, &mut plan, copies);
    link.plan = plan;
    count_got(link);
}

/// The dynamic relocations of a GOT entry.
pub fn got_relocs(link: &Link<'_>, entry: GotEntry) -> smallvec::SmallVec<[GotReloc; 2]> {
    let types = &link.arch.dynamic;
    let mut list = smallvec::SmallVec::new();
    let dynamic = |id: SymId| link.attrs[id.i()] & attr::DYNAMIC != 0;
    let gone = |id: SymId| link.attrs[id.i()] & (attr::ABSOLUTE | attr::DISCARDED) != 0;
    match entry {
        GotEntry::Address(id) if dynamic(id) => {
            list.push((0, types.glob_dat, Some(id), Addend::Zero));
        }
        GotEntry::Address(id) if link.is_pic() && !gone(id) => {
            list.push((0, types.relative, None, Addend::Address(id)));
        }
        GotEntry::Address(_) => {}
        GotEntry::TpOff(id) if dynamic(id) => list.push((0, types.tpoff, Some(id), Addend::Zero)),
        // Null has no offset from the thread pointer: the slot stays 0, as in executables. Asking
        // ld.so for one in a module without PT_TLS makes it divide by the alignment 0.
        GotEntry::TpOff(id) if link.attrs[id.i()] & attr::WEAK_UNDEF != 0 => {}
        GotEntry::TpOff(id) if link.is_shared() => {
            list.push((0, types.tpoff, None, Addend::TlsOffset(id)));
        }
        GotEntry::TpOff(_) => {}
        GotEntry::General(id) if dynamic(id) => {
            list.push((0, types.dtpmod, Some(id), Addend::Zero));
            list.push((1, types.dtpoff, Some(id), Addend::Zero));
        }
        GotEntry::General(_) | GotEntry::Module if link.is_shared() => {
            list.push((0, types.dtpmod, None, Addend::Zero));
        }
        GotEntry::General(_) | GotEntry::Module => {}
        GotEntry::Descriptor(id) if dynamic(id) => {
            list.push((0, types.tlsdesc, Some(id), Addend::Zero));
        }
        GotEntry::Descriptor(id) => list.push((0, types.tlsdesc, None, Addend::TlsOffset(id))),
    }
    list
}

fn count_got(link: &mut Link<'_>) {
    let (mut relative, mut other, mut packed) = (0, 0, Vec::new());
    for &(word, entry) in &link.plan.got {
        for (at, kind, ..) in got_relocs(link, entry) {
            match kind == link.arch.dynamic.relative {
                true if link.options.pack_relr => packed.push(word + at),
                true => relative += 1,
                false => other += 1,
            }
        }
    }
    other += link.plan.copies.len() as u64;
    if !link.irelative_with_jumps() {
        other += link.plan.iplt.len() as u64;
    }
    link.plan.packed_got = packed;
    link.plan.relative_count += relative;
    link.plan.rela_count += other + link.plan.relative_count;
}

/// Chooses `.dynsym`: imports that are used, then definitions in hash order.
pub fn plan_dynsyms(link: &mut Link<'_>) {
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    // `foo` and `foo@V` can be one symbol of a library: one copy, one name in the table.
    let mut copied: FxHashMap<u64, SymId> = FxHashMap::default();
    let mut again = Vec::new();
    for at in 0..link.res.names.len() {
        let id = SymId(at as u32);
        let bits = link.attrs[at];
        let needs = link.need(id);
        // A function's address in this program must be found by everybody.
        let ours = link.plan.slots(id).copy != NONE
            || needs & need::CANONICAL != 0 && bits & attr::DYNAMIC != 0;
        let named = link.res.mentions[at] & (mention::STRONG | mention::WEAK) != 0
            && !link.options.gc_sections;
        if bits & attr::EXPORT != 0 || ours {
            if bits & attr::IMPORT != 0 {
                let first = *copied.entry(link.res.defs[at].0).or_insert(id);
                if first != id {
                    again.push((id, first));
                    continue;
                }
            }
            exports.push(id);
        } else if bits & attr::DYNAMIC != 0 && (named || needs & (need::USED | need::DYNSYM) != 0) {
            imports.push(id);
        }
    }
    let names: Vec<&[u8]> = exports.iter().map(|&id| base_name(link.res.names.get(id))).collect();
    if link.options.hash_style.gnu {
        let hashes: Vec<u32> = names.iter().map(|n| super::hash::gnu_hash(n)).collect();
        let table = GnuHash::plan(&hashes, link.arch.word() as usize);
        exports = table.order().iter().map(|&i| exports[i as usize]).collect();
        link.plan.gnu_hash = Some(table);
    }
    link.plan.imports = imports.len() as u32;
    imports.append(&mut exports);
    for (index, &id) in imports.iter().enumerate() {
        link.plan.slots_mut(id).dynsym = index as u32 + 1;
    }
    for (id, first) in again {
        link.plan.slots_mut(id).dynsym = link.plan.slots(first).dynsym;
    }
    if link.options.hash_style.sysv {
        link.plan.sysv_hash = Some(SysvHash::plan(imports.len() as u32 + 1));
    }
    link.plan.dynsyms = imports;
}

/// A name without its version.
pub fn base_name(name: &[u8]) -> &[u8] {
    match memchr::memchr(b'@', name) {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}
