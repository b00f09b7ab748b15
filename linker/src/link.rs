//! The state of one link: what the phases hand on to each other, as dense tables by id.
//!
//! Each phase fills its tables once; [`crate::link()`] says in which order.

use std::sync::atomic::AtomicU16;

use rustc_hash::FxHashMap;

use crate::arch::Arch;
use crate::format::elf::class::SymbolHome;
use crate::layout::{OutSec, Place, SecPlace};
use crate::merge::Merged;
use crate::object::{FileId, Object, SecId, SymId};
use crate::options::{Options, OutputKind};
use crate::resolve::Resolution;
use crate::synthetic::plan::Plan;

/// What a symbol is to relocations against it.
pub mod attr {
    #![allow(missing_docs)]
    /// Its value is known only at run time: imported, or exported and preemptible.
    pub const DYNAMIC: u16 = 1;
    /// Not defined in this output.
    pub const IMPORT: u16 = 2;
    /// A value without a base.
    pub const ABSOLUTE: u16 = 4;
    /// A weak reference that nothing defines.
    pub const WEAK_UNDEF: u16 = 8;
    /// A function.
    pub const FUNC: u16 = 16;
    /// An indirect function of this output.
    pub const IFUNC: u16 = 32;
    /// Thread-local.
    pub const TLS: u16 = 64;
    /// A section symbol of a merged section: the addend selects the piece.
    pub const MERGED: u16 = 128;
    /// Defined in a section that is not part of the output.
    pub const DISCARDED: u16 = 256;
    /// In `.dynsym` as a definition.
    pub const EXPORT: u16 = 512;
    /// Undefined, and that is an error where it is used.
    pub const UNDEFINED: u16 = 1024;
    /// Defined by a library with protected visibility.
    pub const PROTECTED_IMPORT: u16 = 2048;
    /// Bit 0 of its value is its instruction set, no part of its address.
    pub const STATE: u16 = 4096;
}

/// What the scan found a symbol to need.
pub mod need {
    #![allow(missing_docs)]
    pub const GOT: u16 = 1;
    pub const PLT: u16 = 2;
    /// The PLT entry is the function's address.
    pub const CANONICAL: u16 = 4;
    pub const COPY: u16 = 8;
    pub const GOTTP: u16 = 16;
    pub const TLSGD: u16 = 32;
    pub const TLSDESC: u16 = 64;
    /// A dynamic relocation names it.
    pub const DYNSYM: u16 = 128;
    /// Referenced at all: an import must be in `.dynsym`.
    pub const USED: u16 = 256;
}

/// What the linker defines by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Special {
    /// The start of the output section of this name.
    Start(Vec<u8>),
    /// The end of the output section of this name.
    Stop(Vec<u8>),
    /// The base of GOT-relative values.
    GotBase,
    /// The image's first byte.
    Header,
    /// The end of the image, of code, of initialised data; the start of zeroed data.
    End,
    /// See [`Special::End`].
    CodeEnd,
    /// See [`Special::End`].
    DataEnd,
    /// See [`Special::End`].
    BssStart,
    /// Bounds of the IRELATIVE relocations of a static executable.
    IrelativeStart,
    /// See [`Special::IrelativeStart`].
    IrelativeEnd,
    /// The start of the TLS block, as what module-relative accesses call it.
    TlsModuleBase,
    /// `--defsym` with a number.
    Absolute(u64),
    /// `--defsym` with another symbol.
    Alias(SymId, i64),
    /// `--defsym` with any other expression: which one, whether it moves with the image, and its
    /// value once addresses are known.
    #[allow(missing_docs)]
    Computed { defsym: u32, is_address: bool, value: u64 },
}

/// No output section.
pub const NOWHERE: u32 = u32::MAX;

/// The place in [`Link::outs`] of what `section` is in; `None` if it is not part of the output.
pub fn section_of(link: &Link<'_>, section: SecId) -> Option<u32> {
    match link.sec_out[section.i()].get() {
        Place::Nowhere => None,
        Place::Merge(merge) => Some(link.merges[merge as usize].out),
        Place::Out(out) => Some(out),
    }
}

/// One link.
#[derive(Debug)]
pub struct Link<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// For which machine.
    pub arch: &'static Arch,
    /// Files and winners.
    pub res: Resolution<'a>,
    /// [`attr`] by symbol.
    pub attrs: Vec<u16>,
    /// What the linker defines, by number.
    pub specials: Vec<Special>,
    /// Version index by exported name: 0 local, 1 global, from 2 as in the version script.
    pub version_of: Vec<u16>,
    /// [`need`] by symbol.
    pub needs: Vec<AtomicU16>,
    /// Output section or merge by section.
    pub sec_out: Vec<SecPlace>,
    /// Offset in the output section, or the input's number in its merge.
    pub sec_off: Vec<u64>,
    /// Output sections.
    pub outs: Vec<OutSec>,
    /// Output section by [`crate::layout::Made`].
    pub made_at: [u32; 32],
    /// Merged contents, with their output section and offset in it.
    pub merges: Vec<MergedPart<'a>>,
    /// Offsets of commons: output section, offset.
    pub common_at: FxHashMap<SymId, (u32, u64)>,
    /// Synthetic contents.
    pub plan: Plan,
    /// Code between input sections: thunks and the like.
    pub pools: crate::layout::thunks::Pools,
    /// Segments and sizes.
    pub shape: crate::layout::addresses::Shape,
    /// Address by symbol.
    pub addrs: Vec<u64>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Merged pieces of one kind.
#[derive(Debug)]
pub struct MergedPart<'a> {
    /// The pieces.
    pub merged: Merged<'a>,
    /// The output section.
    pub out: u32,
    /// Offset in it.
    pub offset: u64,
}

impl<'a> Link<'a> {
    /// A link about to start.
    pub fn new(options: &'a Options, arch: &'static Arch, res: Resolution<'a>) -> Self {
        // A library that turns out unneeded still says what kind of program this is.
        let libraries = res.libraries().next().is_some();
        let mut plan = Plan::default();
        plan.dynamic = options.kind.is_pic() || (libraries && !options.is_static);
        Self {
            options,
            arch,
            res,
            plan,
            attrs: Vec::new(),
            specials: Vec::new(),
            version_of: Vec::new(),
            needs: Vec::new(),
            sec_out: Vec::new(),
            sec_off: Vec::new(),
            outs: Vec::new(),
            made_at: [NOWHERE; 32],
            merges: Vec::new(),
            common_at: FxHashMap::default(),
            pools: crate::layout::thunks::Pools::default(),
            shape: crate::layout::addresses::Shape::default(),
            addrs: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether addresses are known only at run time.
    pub fn is_pic(&self) -> bool {
        self.options.kind.is_pic()
    }

    /// Whether the output is a library.
    pub fn is_shared(&self) -> bool {
        self.options.kind == OutputKind::Shared
    }

    /// Whether a loader gets to see the output.
    pub fn is_dynamic(&self) -> bool {
        self.plan.dynamic
    }

    /// Clears the needs and learns how far apart things can be.
    ///
    /// Errors: `usage` for a section that no address space holds; below, sizes can be added.
    pub fn prepare_scan(&mut self) -> Result<(), crate::Errors> {
        let most = self.arch.class.last_address() / 2;
        if let Some(out) = self.outs.iter().find(|o| o.size > most) {
            return Err(crate::layout::too_large(out));
        }
        self.needs.resize_with(self.res.symbol_count, || AtomicU16::new(0));
        // Each may begin a segment, aligned as it is or to a page.
        let page = self.options.z.max_page_size.unwrap_or(self.arch.page);
        let room = |o: &OutSec| o.size.saturating_add(o.align.max(page));
        let loaded = self.outs.iter().filter(|o| o.is_alloc()).map(room);
        self.plan.near = loaded.fold(0, u64::saturating_add) < 1 << 30;
        self.plan.ld_relaxed = crate::scan::local_dynamic(self);
        Ok(())
    }

    /// How many relocations the input sections in the output have.
    pub fn relocation_count(&self) -> u64 {
        use rayon::prelude::*;
        let objects: Vec<_> = self.res.objects().map(|o| o.1).collect();
        let entry = self.arch.relocs().size() as u64;
        let of = |o: &&Object<'_>| {
            let live = |&(index, at): &(usize, &u32)| {
                *at != 0 && self.sec_out[o.sec(index as u32).i()] != SecPlace::NOWHERE
            };
            let relocs = o.relocs_of.iter().enumerate().filter(live);
            relocs.map(|(_, &at)| o.sections.get(at).size / entry).sum::<u64>()
        };
        let records = self.plan.eh_inputs.iter().enumerate();
        let records = records.flat_map(|(input, _)| self.plan.eh.of(input));
        let frames: u64 = records.map(|kept| kept.relocations().len() as u64).sum();
        objects.par_iter().map(of).sum::<u64>() + frames
    }

    /// The object `file` is. Only for files known to be objects.
    pub fn object(&self, file: FileId) -> &Object<'a> {
        match self.res.object(file) {
            Some(object) => object,
            None => unreachable!("a section of a file that is no object"),
        }
    }

    /// Address of byte `offset` of `section`; `None` if it is not part of the output.
    pub fn section_address(&self, section: SecId, offset: u64) -> Option<u64> {
        match self.sec_out[section.i()].get() {
            Place::Out(out) => Some(
                self.outs[out as usize]
                    .addr
                    .wrapping_add(self.sec_off[section.i()])
                    .wrapping_add(offset),
            ),
            Place::Merge(merge) => {
                let part = &self.merges[merge as usize];
                let place = part.merged.place(self.sec_off[section.i()] as usize, offset)?;
                Some(self.outs[part.out as usize].addr + part.offset + place)
            }
            Place::Nowhere => {
                let frame = self.out_of(crate::layout::Made::EhFrame)?;
                Some(frame.addr + self.plan.unwind_place(section, offset)?)
            }
        }
    }

    /// The output section the linker makes as `made`.
    pub fn out_of(&self, made: crate::layout::Made) -> Option<&OutSec> {
        self.outs.get(*self.made_at.get(made as usize)? as usize)
    }

    /// Whether the addends of relative relocations are in their fields too, or only there.
    pub fn stores_addends(&self) -> bool {
        self.options.apply_dynamic_relocs || !self.arch.explicit_addends
    }

    /// The output section that `address` is in or at the end of; absolute if none is.
    pub fn section_at(&self, address: u64) -> SymbolHome {
        // What is loaded comes first, by rising addresses. Only TLS blocks overlap what follows them.
        let below = self.outs.partition_point(|o| o.is_alloc() && o.addr <= address);
        let holds = |o: &&OutSec| address <= o.addr.saturating_add(o.size);
        let last = self.outs[..below].iter().rposition(OutSec::in_memory).unwrap_or(0);
        let found = self.outs[last..below].iter().rfind(holds);
        let found = found.or_else(|| self.outs[..last].iter().rfind(|o| o.is_tls() && holds(o)));
        let found = found.or_else(|| self.outs.first().filter(|o| o.is_alloc()));
        found.map_or(SymbolHome::ABSOLUTE, OutSec::home)
    }

    /// The start of the segment that `address` is in; 0 if none has it.
    pub fn segment_start(&self, address: u64) -> u64 {
        let loads = self.shape.segments.iter().filter(|s| s.kind == crate::format::elf::PT_LOAD);
        let below = loads.map(|s| s.addr).filter(|&start| start <= address);
        below.max().unwrap_or(0)
    }

    /// Where GOT-relative values count from.
    pub fn got_base(&self) -> u64 {
        use crate::layout::Made;
        let (plt, got) = (self.out_of(Made::GotPlt), self.out_of(Made::Got));
        let first = if self.arch.base_is_got_plt { plt.or(got) } else { got.or(plt) };
        first.map_or(0, |o| o.addr)
    }

    /// Address of word `word` of `.got`.
    pub fn got_address(&self, word: u32) -> u64 {
        let got = self.out_of(crate::layout::Made::Got).map_or(0, |o| o.addr);
        got + u64::from(word) * self.arch.word()
    }

    /// How many relocations there are beside the PLT.
    pub fn jump_relocs(&self) -> usize {
        self.plan.plt.len() + if self.irelative_with_jumps() { self.plan.iplt.len() } else { 0 }
    }

    /// Whether IRELATIVE relocations are there: startup code of static programs wants them together.
    pub fn irelative_with_jumps(&self) -> bool {
        self.arch.irelative_with_jumps || !self.is_dynamic()
    }

    /// Bytes of the PLT before its first entry.
    pub fn plt_header(&self) -> u64 {
        if self.plan.plt.is_empty() { 0 } else { self.arch.plt.header }
    }

    /// The form of the PLT's entries.
    pub fn plt_entries(&self) -> &'static crate::arch::PltEntries {
        (self.arch.plt_entries)(self.plan.marked_plt, self.options.z.pac_plt)
    }

    /// Bytes of a PLT entry.
    pub fn plt_entry_size(&self) -> u64 {
        self.plt_entries().size
    }

    /// Bytes of the routine that calls of descriptors go to, if there are any.
    pub fn desc_call_size(&self) -> u64 {
        if self.plan.desc_calls { 4 * self.arch.desc_call.len() as u64 } else { 0 }
    }

    /// Address of the routine that calls of descriptors go to: behind the PLT.
    pub fn desc_call(&self) -> u64 {
        let size = self.desc_call_size();
        self.out_of(crate::layout::Made::Plt).map_or(0, |o| o.addr + o.size - size)
    }

    /// Address of PLT entry `index`.
    pub fn plt_address(&self, index: u32) -> u64 {
        let plt = self.out_of(crate::layout::Made::Plt).map_or(0, |o| o.addr);
        plt + self.plt_header() + u64::from(index) * self.plt_entry_size()
    }

    /// Address of the slot that PLT entry `index` jumps through.
    pub fn plt_slot(&self, index: u32) -> u64 {
        let got = self.out_of(crate::layout::Made::GotPlt).map_or(0, |o| o.addr);
        got + (self.arch.plt.reserved + u64::from(index)) * self.arch.word()
    }

    /// Start of the TLS block.
    pub fn tls_start(&self) -> u64 {
        self.shape.tls.0
    }

    /// `address` counted from the thread pointer.
    pub fn tp_offset(&self, address: u64) -> i64 {
        let (start, size, align) = self.shape.tls;
        self.arch.thread_pointer.offset(address, start, size, align)
    }

    /// Whether `id` is `_TLS_MODULE_BASE_`.
    pub fn is_module_base(&self, id: SymId) -> bool {
        let special = self.res.defs.get(id.i()).and_then(|def| def.as_special());
        special.is_some_and(|at| self.specials.get(at) == Some(&Special::TlsModuleBase))
    }

    /// `id` counted from the thread pointer. Where local-dynamic accesses have become local-exec ones
    /// (`ld`), the offsets in use count from the thread pointer, so that is the module's base there.
    pub fn thread_offset(&self, id: SymId, ld: bool) -> i64 {
        match ld && self.is_module_base(id) {
            true => 0,
            false => self.tp_offset(self.addrs[id.i()]),
        }
    }

    /// What the scan found `id` to need.
    pub fn need(&self, id: SymId) -> u16 {
        self.needs[id.i()].load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The name of a global symbol.
    pub fn name(&self, id: SymId) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.res.names.get(id))
    }
}
