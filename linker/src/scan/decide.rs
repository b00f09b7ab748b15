//! What becomes of one relocation: its row, its symbol and its place → a [`Decision`].
//!
//! From facts that no longer change, so scan and write get the same answer. It must not know of addresses.

use crate::arch::{Base, Field, Relax, Rewrite, Row, What};
use crate::error::ErrorKind;
use crate::format::elf::*;
use crate::link::{Link, attr, need};
use crate::object::{Reloc, SymId};
use crate::resolve::Def;

/// What becomes of a relocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Nothing.
    Skip,
    /// The expression's value is written.
    Static,
    /// The value is written, and the loader adds the base.
    Relative,
    /// The loader does it, by this dynamic relocation against the symbol.
    Symbolic(u32),
    /// The code is rewritten.
    Relax(Rewrite),
    /// It can't be done.
    Fail(ErrorKind, &'static str),
}

/// [`Act`], what it needs, and whether the next relocation is consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What becomes of it.
    pub act: Act,
    /// Bits of [`need`].
    pub needs: u16,
    /// The rewrite covers the next relocation too.
    pub takes_next: bool,
}

/// Where a relocation is.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'s> {
    /// The section's bytes.
    pub code: &'s [u8],
    /// `SHF_*` of the section.
    pub flags: u64,
    /// Whether the file's local-dynamic sequences can all be rewritten.
    pub ld_relaxed: bool,
    /// Offset and type of the next relocation.
    pub next: Option<(u64, u32)>,
}

const fn act(act: Act, needs: u16) -> Decision {
    Decision { act, needs, takes_next: false }
}

const fn fail(text: &'static str) -> Decision {
    act(Act::Fail(ErrorKind::RelocDynamic, text), 0)
}

const UNKNOWN: Decision =
    act(Act::Fail(ErrorKind::RelocUnsupported, "is in an unknown sequence"), 0);

const NO_PIC: Decision =
    fail("can't be used in a position-independent output; recompile with -fPIC");

const PREEMPTED: Decision = fail("can't be used against a symbol another module may define");
const NO_COPY: Decision = fail("needs a copy of a library's data that can't be made");
const READ_ONLY: Decision = fail("needs a dynamic relocation in a read-only section");

/// What becomes of `reloc`, whose symbol has attributes `bits`.
#[inline]
pub fn decide(
    link: &Link<'_>,
    row: &Row,
    id: SymId,
    bits: u16,
    reloc: &Reloc,
    spot: &Spot<'_>,
) -> Decision {
    if spot.flags & SHF_ALLOC == 0 {
        return act(Act::Static, 0);
    }
    let address = matches!(row.what, What::Symbol | What::Plt | What::Got);
    if address && bits & attr::TLS != 0 && bits & attr::WEAK_UNDEF == 0 {
        let text = "is no TLS access, its symbol is thread-local";
        return act(Act::Fail(ErrorKind::TlsMismatch, text), 0);
    }
    match row.what {
        What::Nothing => act(Act::Skip, 0),
        What::Symbol if row.base == Base::Zero => absolute(link, row, id, bits, spot),
        What::Symbol => relative(link, id, bits),
        What::Plt => {
            if bits & (attr::DYNAMIC | attr::IFUNC) != 0 {
                return act(Act::Static, need::PLT | used(bits));
            }
            relative(link, id, bits)
        }
        What::GotBase => act(Act::Static, 0),
        What::Got if row.base == Base::Zero && link.is_pic() => NO_PIC,
        What::Got => {
            let fixed =
                bits & (attr::DYNAMIC | attr::ABSOLUTE | attr::IFUNC | attr::DISCARDED) == 0;
            if row.relaxable
                && fixed
                && link.options.relax
                && link.plan.near
                && reloc.addend == link.arch.no_addend
                && let Some(rewrite) =
                    (link.arch.can_relax)(spot.code, reloc.offset, reloc.kind, Relax::GotToPc, None)
            {
                return act(Act::Relax(rewrite), 0);
            }
            let ifunc = if bits & attr::IFUNC != 0 { need::PLT | need::CANONICAL } else { 0 };
            act(Act::Static, need::GOT | used(bits) | ifunc)
        }
        What::Size => match bits & attr::IMPORT {
            0 => act(Act::Static, 0),
            _ => act(Act::Symbolic(reloc.kind), need::DYNSYM | need::USED),
        },
        _ => tls(link, row, id, bits, reloc, spot),
    }
}

fn used(bits: u16) -> u16 {
    if bits & attr::DYNAMIC != 0 { need::USED } else { 0 }
}

fn absolute(link: &Link<'_>, row: &Row, id: SymId, bits: u16, spot: &Spot<'_>) -> Decision {
    let word = row.field.is_word(link.arch.word());
    let writable = spot.flags & SHF_WRITE != 0 || link.options.z.text == Some(false);
    if bits & attr::DYNAMIC != 0 {
        if word && writable {
            return act(Act::Symbolic(link.arch.dynamic.word), need::DYNSYM | need::USED);
        }
        if link.is_shared() {
            return if word { READ_ONLY } else { PREEMPTED };
        }
        return direct_import(link, id, bits, word);
    }
    if bits & (attr::ABSOLUTE | attr::DISCARDED) != 0 {
        return act(Act::Static, 0);
    }
    let needs = if bits & attr::IFUNC != 0 { need::PLT | need::CANONICAL } else { 0 };
    match link.is_pic() {
        false => act(Act::Static, needs),
        true if !word => NO_PIC,
        true if !writable => READ_ONLY,
        true => act(Act::Relative, needs),
    }
}

fn relative(link: &Link<'_>, id: SymId, bits: u16) -> Decision {
    if bits & attr::DYNAMIC != 0 {
        return match link.is_shared() {
            true => PREEMPTED,
            false => direct_import(link, id, bits, false),
        };
    }
    if bits & attr::IFUNC != 0 {
        return act(Act::Static, need::PLT | need::CANONICAL);
    }
    // The distance to a fixed address is unknown until load; a weak undefined one is never taken.
    if bits & attr::ABSOLUTE != 0 && bits & attr::WEAK_UNDEF == 0 && link.is_pic() {
        return NO_PIC;
    }
    act(Act::Static, 0)
}

/// An executable refers to a library's symbol as if it were its own.
fn direct_import(link: &Link<'_>, id: SymId, bits: u16, absolute_word: bool) -> Decision {
    if bits & (attr::PROTECTED_IMPORT | attr::WEAK_UNDEF) != 0 {
        return NO_COPY;
    }
    if absolute_word && link.is_pic() {
        return READ_ONLY;
    }
    if bits & attr::FUNC != 0 {
        return act(Act::Static, need::PLT | need::CANONICAL | need::USED);
    }
    let size = link.res.winner(id).map_or(0, |s| s.size);
    if !link.options.z.copyreloc || size == 0 || bits & attr::TLS != 0 {
        return NO_COPY;
    }
    act(Act::Static, need::COPY | need::USED)
}

/// Whether TLS accesses are rewritten at all: only executables know their offsets, and static ones
/// have no loader to help.
pub(crate) fn relaxes_tls(link: &Link<'_>) -> bool {
    link.options.kind.is_executable() && (link.options.relax || !link.is_dynamic())
}

/// An offset from the thread pointer that only the loader knows.
fn tp_off(link: &Link<'_>, row: &Row, bits: u16, spot: &Spot<'_>) -> Decision {
    if row.field.is_word(link.arch.word()) && spot.flags & SHF_WRITE != 0 {
        return act(Act::Symbolic(link.arch.dynamic.tpoff), need::DYNSYM | used(bits));
    }
    if bits & attr::DYNAMIC != 0 { PREEMPTED } else { NO_PIC }
}

/// The call through a descriptor.
fn desc_call(link: &Link<'_>, row: &Row, rewrite: Option<Rewrite>, relax: bool) -> Decision {
    match rewrite {
        Some(rewrite) => act(Act::Relax(rewrite), 0),
        None if relax && !link.arch.desc_call.is_empty() => UNKNOWN,
        None if matches!(row.field, Field::Branch(_)) => act(Act::Static, 0),
        None => act(Act::Skip, 0),
    }
}

/// A descriptor that stays.
fn desc(link: &Link<'_>, rewrite: Option<Rewrite>, bits: u16) -> Decision {
    let needs = need::TLSDESC | used(bits);
    match rewrite {
        Some(rewrite) => act(Act::Relax(rewrite), needs),
        None if link.arch.desc_call.is_empty() => act(Act::Static, needs),
        None => UNKNOWN,
    }
}

fn tls(
    link: &Link<'_>,
    row: &Row,
    id: SymId,
    bits: u16,
    reloc: &Reloc,
    spot: &Spot<'_>,
) -> Decision {
    // What nobody defines has the type that its uses say.
    let unknown = bits & attr::WEAK_UNDEF != 0
        || bits & attr::IMPORT != 0 && link.res.defs.get(id.i()).is_none_or(|d| *d == Def::NONE);
    if bits & attr::TLS == 0 && !unknown && row.what != What::TlsLd {
        return act(Act::Fail(ErrorKind::TlsMismatch, "is a TLS access, its symbol is not"), 0);
    }
    let dynamic = bits & attr::DYNAMIC != 0;
    let relax = relaxes_tls(link);
    let known = |what| (link.arch.can_relax)(spot.code, reloc.offset, reloc.kind, what, spot.next);
    // An addend counts from a slot that rewritten code has not; in a field it is what the place counts from.
    let none = reloc.addend == link.arch.no_addend || !link.arch.explicit_addends;
    let plain = relax && none;
    let can = |what| if plain { known(what) } else { None };
    let call =
        if dynamic && !link.arch.desc_call.is_empty() { Relax::DescLoad } else { Relax::DescCall };
    let gottp = need::GOTTP | used(bits);
    match row.what {
        What::TlsGd => {
            let what = if dynamic { Relax::GdToIe } else { Relax::GdToLe };
            let Some(rewrite) = can(what) else {
                return act(Act::Static, need::TLSGD | used(bits));
            };
            let needs = if dynamic { gottp } else { 0 };
            Decision { act: Act::Relax(rewrite), needs, takes_next: true }
        }
        What::TlsLd if relax && spot.ld_relaxed => match known(Relax::LdToLe) {
            Some(rewrite) => Decision { act: Act::Relax(rewrite), needs: 0, takes_next: true },
            None => UNKNOWN,
        },
        What::GotTp => match can(Relax::IeToLe).filter(|_| !dynamic) {
            Some(rewrite) => act(Act::Relax(rewrite), 0),
            None => act(Act::Static, gottp),
        },
        What::DtpOff if dynamic => PREEMPTED,
        What::TpOff if link.is_shared() || dynamic => tp_off(link, row, bits, spot),
        What::TlsDesc => {
            let what = if dynamic { Relax::DescToIe } else { Relax::DescToLe };
            match can(what) {
                _ if !relax => desc(link, known(Relax::Desc), bits),
                _ if !row.relaxable && link.is_dynamic() => desc(link, None, bits),
                Some(rewrite) => act(Act::Relax(rewrite), if dynamic { gottp } else { 0 }),
                None => UNKNOWN,
            }
        }
        What::TlsDescCall => desc_call(link, row, known(call).filter(|_| relax), relax),
        _ => act(Act::Static, 0),
    }
}
