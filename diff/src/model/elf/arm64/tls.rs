//! TLS sequences, before and after the link → how they reach their variable.
//!
//! Kept instructions must be kept to the bit but for their fields; rewritten ones are run symbolically, in
//! whatever of the sequence's places they are (mold uses the last two, lld the first). It must not know
//! symbols or GOT slots.
//!
//! Spec: AAELF64 §5.7.11, "Thread-local storage"; ELF TLS descriptors for AArch64.

use super::eval::{Machine, NOP, Value, destination};
use super::fields::{Field, address, changed, words};
use crate::model::elf::machine::{Mate, Row, Site, TlsAccess as Access};

/// The bits of the instruction at `mate` that must stay if it is kept.
fn kept(site: Site<'_>, mate: Mate) -> Result<bool, String> {
    let (input, output) = words(site, mate.at)?;
    let field = match super::field(mate.r_type) {
        Field::Page | Field::Adr => 0x9f00_001f,
        Field::Low(_) => 0xffc0_03ff,
        Field::Word19 => 0xff00_001f,
        _ => u32::MAX,
    };
    Ok((input ^ output) & field == 0)
}

/// The relocations of the sequence that the site is in: from the nearest that starts one to where the
/// next starts.
fn sequence<'b>(site: Site<'b>, row: Row) -> &'b [Mate] {
    let own = Mate { at: site.at, r_type: row.r_type };
    let mates = site.mates;
    let at = mates.iter().position(|mate| *mate == own).unwrap_or(0);
    // A page comes first; the others follow it in any order, each once.
    let starts =
        |mate: &Mate| super::field(mate.r_type) == Field::Page || ALONE.contains(&mate.r_type);
    let from = mates[..=at.min(mates.len().saturating_sub(1))].iter().rposition(starts);
    let Some(from) = from else {
        return mates.get(at..=at).unwrap_or_default();
    };
    let rest = &mates[from + 1..];
    let end = rest.iter().enumerate().position(|(i, mate)| {
        starts(mate) || rest[..i].iter().any(|other| other.r_type == mate.r_type)
    });
    &mates[from..from + 1 + end.unwrap_or(rest.len())]
}

/// What comes first where code is so small that no page is needed.
const ALONE: &[u32] = &[512, 517, 522, 543, 560];

/// Runs the instructions at those places.
fn run(site: Site<'_>, places: impl Iterator<Item = usize>) -> Result<Machine, String> {
    let mut machine = Machine::new();
    for at in places {
        let (_, word) = words(site, at)?;
        if machine.step(word, address(site, at))?.is_some() {
            return Err("a rewritten TLS sequence that jumps".into());
        }
    }
    Ok(machine)
}

fn all_kept(site: Site<'_>, list: &[Mate]) -> Result<bool, String> {
    for mate in list {
        if !kept(site, *mate)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// TLSGD and TLSLD: `adrp x0; add x0, x0; bl __tls_get_addr; nop`, or `adr x0; bl; nop`.
pub(super) fn dynamic(site: Site<'_>, row: Row) -> Result<Access, String> {
    let list = sequence(site, row);
    let (Some(first), Some(last)) = (list.first(), list.last()) else {
        return Err("a TLS sequence without an end".into());
    };
    if list.iter().any(|mate| matches!(super::field(mate.r_type), Field::Half(..))) {
        return Err("a large TLS sequence, which nobody decodes".into());
    }
    let own = list.iter().map(|mate| mate.at);
    if all_kept(site, list)? {
        let (input, _) = words(site, last.at)?;
        return match run(site, own)?.register(destination(input)) {
            Value::Address(pair) => Ok(Access::Pair(pair)),
            _ => Err("half of a TLS sequence".into()),
        };
    }
    // The call and what is behind it are rewritten too.
    let after = [last.at + 4, last.at + 8];
    let (input, _) = words(site, first.at)?;
    match run(site, own.chain(after))?.register(destination(input)) {
        Value::Thread(offset) => Ok(Access::Thread(offset)),
        Value::ThreadMemory(slot) => Ok(Access::ThreadSlot(slot)),
        _ => Err("a rewritten TLS sequence that doesn't make an address".into()),
    }
}

/// IE: `adrp x; ldr x, [x]`, or `ldr x, slot`; kept, or the offset as an immediate.
pub(super) fn initial_exec(site: Site<'_>, row: Row) -> Result<Access, String> {
    let list = sequence(site, row);
    let last = list.last().ok_or("a TLS sequence without an end")?;
    let (input, _) = words(site, last.at)?;
    let result = run(site, list.iter().map(|mate| mate.at))?.register(destination(input));
    match (all_kept(site, list)?, result) {
        (true, Value::Memory(slot)) => Ok(Access::ThreadSlot(slot)),
        (false, Value::Number(offset)) => Ok(Access::Thread(offset)),
        (true, _) => Err("half of a TLS sequence".into()),
        (false, _) => Err("a rewritten TLS sequence that doesn't make an offset".into()),
    }
}

/// TLSDESC: `adrp x0; ldr x1, [x0]; add x0, x0; blr x1`, kept, or making the offset in X0.
pub(super) fn descriptor(site: Site<'_>, row: Row) -> Result<Access, String> {
    let list = sequence(site, row);
    if all_kept(site, list)? {
        let code = list.iter().filter(|mate| super::field(mate.r_type) != Field::Mark);
        let machine = run(site, code.map(|mate| mate.at))?;
        return match (machine.register(0), machine.register(1)) {
            (Value::Address(at), Value::Memory(function)) if at == function => {
                Ok(Access::Descriptor(at))
            }
            (Value::Address(at), Value::Unknown) | (Value::Unknown, Value::Memory(at)) => {
                Ok(Access::Descriptor(at))
            }
            _ => Err("half of a TLS descriptor's address".into()),
        };
    }
    match run(site, list.iter().map(|mate| mate.at))?.register(0) {
        Value::Number(offset) => Ok(Access::Thread(offset)),
        Value::Memory(slot) => Ok(Access::ThreadSlot(slot)),
        _ => Err("a rewritten TLS sequence that doesn't make an offset".into()),
    }
}

/// A marker of TLSDESC: whether its instruction is kept; what a rewritten one does is told by the rest.
pub(super) fn call_kept(site: Site<'_>) -> Result<bool, String> {
    let (input, output) = words(site, site.at)?;
    // What may be in a sequence's last place: nothing, a load, the low half of an offset.
    let rewritten =
        output == NOP || output & 0xffc0_0000 == 0xf940_0000 || output & 0xffe0_0000 == 0xf280_0000;
    match (input == output, rewritten) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => Err(changed(input, output)),
    }
}
