//! Relocation: one section's bytes, already in the output → the same with every field replaced.
//!
//! What becomes of each relocation is [`crate::scan::decide`]'s answer, as it was in the scan. Must
//! not know of files or of the order in which sections are written.

pub(crate) mod branch;

use branch::Jump;

use crate::arch::{Base, Field, Relax, Rewrite, Row, What, insn};
use crate::error::{Error, ErrorKind};
use crate::format::elf::{SHF_ALLOC, SHF_EXECINSTR};
use crate::layout::Member;
use crate::layout::assign::plain_debug_name;
use crate::link::{Link, attr};
use crate::object::walk::Walk;
use crate::object::{Home, Object, Reloc, SymId};
use crate::scan::{Act, Spot, decide, packs, site, symbol_text};
use crate::synthetic::plan::NONE;

/// A dynamic relocation, placed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DynReloc {
    /// Relative ones first, the rest by symbol.
    pub class: u8,
    /// Index in `.dynsym`.
    pub sym: u32,
    /// Address.
    pub place: u64,
    /// Type.
    pub kind: u32,
    /// Addend.
    pub addend: i64,
}

/// What relocating yields beside the bytes.
#[derive(Default, Debug)]
pub struct Yield {
    /// Dynamic relocations.
    pub dynamic: Vec<DynReloc>,
    /// Places whose relative relocation is packed.
    pub packed: Vec<u64>,
    /// What does not fit.
    pub errors: Vec<Error>,
}

/// One section, or one record of `.eh_frame`, being relocated.
struct Work<'l, 'a, 'y> {
    link: &'l Link<'a>,
    object: &'l Object<'a>,
    index: u32,
    /// What instructions are recognised in: the section as it was read.
    code: &'l [u8],
    /// The address of the bytes being written.
    base: u64,
    flags: u64,
    /// Whether the file's local-dynamic sequences are all rewritten.
    ld_relaxed: bool,
    /// What refers to something gone becomes this, where that is no error.
    tombstone: Option<i64>,
    out: &'y mut Yield,
}

/// Relocates section `member`, whose bytes in the output are `buf` at address `base`.
pub fn section(link: &Link<'_>, member: &Member, base: u64, buf: &mut [u8], out: &mut Yield) {
    let object = link.object(member.file);
    if object.relocs(member.index).is_empty() {
        return;
    }
    let flags = object.sections.get(member.index).flags;
    let gone = || tombstone(plain_debug_name(object.section_name(member.index)));
    let mut work = Work {
        link,
        object,
        index: member.index,
        code: object.section_data(member.index),
        base,
        flags,
        ld_relaxed: link.plan.ld_relaxed[member.file.i()],
        tombstone: (flags & SHF_ALLOC == 0).then(gone),
        out,
    };
    let mut walk = Walk::new(object, member.index, link.arch.word());
    while let Some((reloc, to)) = walk.step() {
        let taken = work.one(&reloc, to, || walk.next(), buf);
        walk.skip(taken);
    }
}

/// Relocates one record of the unwind table `member`, which begins at an offset and has relocations of some
/// indexes; its bytes in the output are `buf` at address `base`.
pub fn record(
    link: &Link<'_>,
    member: &Member,
    (from, kept): (u64, std::ops::Range<usize>),
    base: u64,
    buf: &mut [u8],
    out: &mut Yield,
) {
    let object = link.object(member.file);
    let relocs = object.relocs(member.index);
    let mut work = Work {
        link,
        object,
        index: member.index,
        code: &[],
        base,
        flags: object.sections.get(member.index).flags,
        ld_relaxed: false,
        // A pointer of 0 is none: the function outlives its exception table.
        tombstone: Some(0),
        out,
    };
    for at in kept {
        let Some(reloc) = relocs.get(at) else { continue };
        let to = reloc.offset.wrapping_sub(from);
        work.one(&reloc, to, || None, buf);
    }
}

/// What a debug section's reference to something gone becomes: 0 would end a range list early.
fn tombstone(name: &[u8]) -> i64 {
    i64::from(name == b".debug_ranges" || name == b".debug_loc")
}

impl Work<'_, '_, '_> {
    /// Applies `reloc`, whose field is at `to` in `buf`; whether that took care of the one after it.
    #[inline]
    fn one(
        &mut self,
        reloc: &Reloc,
        to: u64,
        next: impl Fn() -> Option<(u64, u32)>,
        buf: &mut [u8],
    ) -> bool {
        let link = self.link;
        let Some(row) = link.arch.row(reloc.kind) else {
            self.unknown(reloc);
            return false;
        };
        let end = to.checked_add(row.field.len());
        if end.is_none_or(|end| end > buf.len() as u64) {
            self.outside(reloc, row);
            return false;
        }
        let id = self.object.id(reloc.sym);
        let bits = link.attrs[id.i()];
        if bits & attr::DISCARDED != 0
            && let Some(value) = self.tombstone
        {
            row.field.write(&mut buf[to as usize..], value);
            return false;
        }
        let next = match row.what {
            What::TlsGd | What::TlsLd => next(),
            _ => None,
        };
        let (code, flags, ld_relaxed) = (self.code, self.flags, self.ld_relaxed);
        let spot = Spot { code, flags, ld_relaxed, next };
        let decision = decide(link, row, id, bits, reloc, &spot);
        self.apply(row, id, bits, (reloc, to), decision.act, buf);
        decision.takes_next
    }

    #[inline]
    fn apply(
        &mut self,
        row: &Row,
        id: SymId,
        bits: u16,
        (reloc, to): (&Reloc, u64),
        act: Act,
        buf: &mut [u8],
    ) {
        let place = self.base.wrapping_add(to);
        let at = to as usize;
        match act {
            Act::Skip => {}
            Act::Static if matches!(row.field, Field::Branch(_)) => {
                self.branch(row, bits, reloc, place, &mut buf[at..]);
            }
            Act::Static => {
                let mut value = self.value(row, id, bits, reloc, place);
                if !row.range.holds(value) {
                    match self.thunk(row, reloc, place) {
                        Some(distance) => value = distance,
                        None => self.overflow(row, reloc, value),
                    }
                } else if !row.field.counts(value) {
                    self.misaligned(row, reloc, value);
                }
                row.field.write(&mut buf[at..], value);
            }
            Act::Relative => {
                let value = self.target(row, id, bits, reloc);
                let packed = self.relative(place, value, reloc);
                let stored = packed || self.link.stores_addends();
                row.field.write(&mut buf[at..], if stored { value } else { 0 });
            }
            Act::Symbolic(kind) => {
                let types = &self.link.arch.dynamic;
                let sym = self.link.plan.slots(id).dynsym;
                let (sym, addend) = match sym {
                    NONE if kind == types.tpoff => {
                        let offset = self.link.addrs[id.i()].wrapping_sub(self.link.tls_start());
                        (0, reloc.addend.wrapping_add(offset as i64))
                    }
                    NONE => (0, reloc.addend),
                    sym => (sym, reloc.addend),
                };
                let stored = if self.link.arch.explicit_addends { 0 } else { addend };
                row.field.write(&mut buf[at..], stored);
                self.out.dynamic.push(DynReloc { class: 1, sym, place, kind, addend });
            }
            Act::Relax(rewrite) => self.relax(row, id, reloc, rewrite, place, buf),
            // The scan has reported it; what it did not see is not loaded.
            Act::Fail(kind, text) => {
                let name = symbol_text(self.object, reloc.sym);
                let text = format!("{} against {name} {text}", row.name);
                self.fail(kind, text, reloc);
            }
        }
    }

    /// Notes that the loader adds the base at `place`; whether it does so by a packed relocation,
    /// whose addend is in place.
    fn relative(&mut self, place: u64, value: i64, reloc: &Reloc) -> bool {
        let packed = packs(self.link, self.object, self.index, reloc.offset);
        if packed {
            self.out.packed.push(place);
        } else {
            let kind = self.link.arch.dynamic.relative;
            self.out.dynamic.push(DynReloc { class: 0, sym: 0, place, kind, addend: value });
        }
        packed
    }

    /// `S + A`; of a merged section's symbol, `A` selects the piece.
    #[inline]
    fn target(&self, row: &Row, id: SymId, bits: u16, reloc: &Reloc) -> i64 {
        if bits & (attr::STATE | attr::MERGED) != 0 {
            return self.special_target(row, id, bits, reloc);
        }
        (self.link.addrs[id.i()] as i64).wrapping_add(reloc.addend)
    }

    /// The same for symbols whose value has a state in it, or that stand for merged sections.
    #[inline(never)]
    fn special_target(&self, row: &Row, id: SymId, bits: u16, reloc: &Reloc) -> i64 {
        if bits & attr::STATE != 0 {
            let (address, state) = (self.link.addrs[id.i()] & !1, self.link.addrs[id.i()] & 1);
            let end = address.wrapping_add_signed(reloc.addend) as i64;
            return if row.state { end | state as i64 } else { end };
        }
        let symbol = self.object.symbols.get(reloc.sym);
        if let Home::Section(s) = symbol.home {
            let offset = symbol.value.wrapping_add(reloc.addend as u64);
            let address = self.link.section_address(self.object.sec(s), offset);
            // Outside the section: counted from its start, as if nothing were merged.
            let start = || self.link.section_address(self.object.sec(s), 0).unwrap_or(0);
            return address.unwrap_or_else(|| start().wrapping_add(offset)) as i64;
        }
        (self.link.addrs[id.i()] as i64).wrapping_add(reloc.addend)
    }

    #[inline]
    fn value(&self, row: &Row, id: SymId, bits: u16, reloc: &Reloc, place: u64) -> i64 {
        let link = self.link;
        let p = place as i64;
        let a = reloc.addend;
        let slots = || link.plan.slots(id);
        let got = |word: u32| link.got_address(word) as i64;
        let value = match row.what {
            What::Symbol => self.target(row, id, bits, reloc),
            // A branch to nothing goes on with the next instruction.
            What::Plt
                if branch::is_nothing(bits)
                    && link.arch.thunks.is_some_and(|t| t.kinds.contains(&reloc.kind)) =>
            {
                return row.field.len() as i64;
            }
            What::Plt => self.plt(row, id, bits, reloc),
            What::Got => got(slots().got).wrapping_add(a),
            What::GotBase => (link.got_base() as i64).wrapping_add(a),
            What::Size => self.size(id, reloc).wrapping_add(a),
            What::TlsGd => got(slots().tlsgd).wrapping_add(a),
            What::TlsLd => got(link.plan.module_slot.unwrap_or(0)).wrapping_add(a),
            // A weak undefined thread-local is at offset 0, as lld has it.
            What::DtpOff | What::TpOff if bits & attr::WEAK_UNDEF != 0 => a,
            // In data it is half of a tls_index, whatever the code was relaxed to; lld differs.
            What::DtpOff if self.ld_relaxed && self.flags & SHF_EXECINSTR != 0 => {
                link.thread_offset(id, true).wrapping_add(a)
            }
            What::DtpOff => {
                (link.addrs[id.i()].wrapping_sub(link.tls_start()) as i64).wrapping_add(a)
            }
            What::GotTp => got(slots().gottp).wrapping_add(a),
            What::TpOff => link.tp_offset(link.addrs[id.i()]).wrapping_add(a),
            What::TlsDesc => got(slots().tlsdesc).wrapping_add(a),
            What::Nothing | What::TlsDescCall => return 0,
        };
        let value = match row.base {
            Base::Segment => value.wrapping_sub(link.segment_start(value as u64) as i64),
            base => base.count(value, p, || link.got_base() as i64),
        };
        link.arch.class.wrap(value)
    }

    /// The distance to a thunk that stands in for what a branch can't reach.
    #[cold]
    fn thunk(&self, row: &Row, reloc: &Reloc, place: u64) -> Option<i64> {
        let thunks = self.link.arch.thunks.as_ref()?;
        let jump = || Jump::new(self.link, self.object, row, reloc, (place, &[]));
        thunks.kinds.contains(&reloc.kind).then(|| self.link.pools.find(self.link, &jump()))?
    }

    /// Writes a branch that may change the instruction set.
    fn branch(&mut self, row: &Row, bits: u16, reloc: &Reloc, place: u64, buf: &mut [u8]) {
        let Field::Branch(branch) = row.field else { return };
        let (link, field) = (self.link, &mut buf[..branch.len.into()]);
        if branch::is_nothing(bits) && row.what != What::TlsDescCall {
            let nothing = (branch.nothing)(insn(field)).to_le_bytes();
            field.copy_from_slice(&nothing[..field.len()]);
            return;
        }
        let jump = Jump::new(link, self.object, row, reloc, (place, field));
        let mut distance = jump.distance;
        if !jump.reaches() {
            let may = link.arch.thunks.is_some_and(|thunks| thunks.kinds.contains(&reloc.kind));
            match may.then(|| link.pools.find(link, &jump)).flatten() {
                Some(other) => distance = other,
                None => self.overflow(row, reloc, jump.formula(link)),
            }
        } else if jump.is_misaligned() {
            self.misaligned(row, reloc, distance);
        }
        row.field.write(field, distance);
    }

    /// `L + A`, `L` being the symbol itself if it needs no PLT entry.
    #[inline]
    fn plt(&self, row: &Row, id: SymId, bits: u16, reloc: &Reloc) -> i64 {
        if bits & (attr::DYNAMIC | attr::IFUNC) != 0 {
            let plt = self.link.plan.slots(id).plt;
            if plt != NONE {
                return (self.link.plt_address(plt) as i64).wrapping_add(reloc.addend);
            }
        }
        self.target(row, id, bits, reloc)
    }

    fn size(&self, id: SymId, reloc: &Reloc) -> i64 {
        if let Some(&(size, _)) = self.link.res.commons.get(&id) {
            return size as i64;
        }
        let winner = self.link.res.winner(id);
        winner.unwrap_or_else(|| self.object.symbols.get(reloc.sym)).size as i64
    }

    /// Rewrites code. Only what has no addend of its own is, so none is added.
    fn relax(
        &mut self,
        row: &Row,
        id: SymId,
        reloc: &Reloc,
        rewrite: Rewrite,
        place: u64,
        buf: &mut [u8],
    ) {
        let (link, what) = (self.link, rewrite.what);
        let address = link.addrs[id.i()];
        let ld = self.ld_relaxed && what != Relax::IeToLe;
        let value = match what {
            Relax::GotToPc => address as i64,
            Relax::GdToLe | Relax::IeToLe | Relax::DescToLe
                if link.attrs[id.i()] & attr::WEAK_UNDEF != 0 =>
            {
                0
            }
            Relax::GdToLe | Relax::IeToLe | Relax::DescToLe => link.thread_offset(id, ld),
            Relax::GdToIe | Relax::DescToIe => link.got_address(link.plan.slots(id).gottp) as i64,
            Relax::Desc => link.got_address(link.plan.slots(id).tlsdesc) as i64,
            Relax::LdToLe | Relax::DescCall | Relax::DescLoad => 0,
        };
        let at = (reloc.offset, reloc.kind);
        if !(link.arch.relax)(self.code, buf, at, rewrite, value, place) {
            self.overflow(row, reloc, value);
        }
    }

    #[cold]
    fn misaligned(&mut self, row: &Row, reloc: &Reloc, value: i64) {
        let name = symbol_text(self.object, reloc.sym);
        let text = format!("{} against {name}: value {value:#x} is misaligned", row.name);
        self.fail(ErrorKind::RelocOverflow, text, reloc);
    }

    #[cold]
    fn overflow(&mut self, row: &Row, reloc: &Reloc, value: i64) {
        let name = symbol_text(self.object, reloc.sym);
        let text = format!(
            "{} against {name}: value {value} ({value:#x}) is outside {}",
            row.name, row.range
        );
        self.fail(ErrorKind::RelocOverflow, text, reloc);
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind, text: String, reloc: &Reloc) {
        let at = site(self.object, self.index, reloc.offset);
        self.out.errors.push(Error::new(kind, text).at(at));
    }

    #[cold]
    fn unknown(&mut self, reloc: &Reloc) {
        let text = format!("relocation type {} is unknown", reloc.kind);
        self.fail(ErrorKind::RelocUnsupported, text, reloc);
    }

    #[cold]
    fn outside(&mut self, reloc: &Reloc, row: &Row) {
        self.fail(ErrorKind::BadInput, format!("{} is outside the section", row.name), reloc);
    }
}
