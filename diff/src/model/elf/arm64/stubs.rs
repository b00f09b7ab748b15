//! PLT entries and thunks of any linker → where they go, and whether lazy binding works.
//!
//! It must not know which linker wrote them: entries with and without BTI and PAC, in `.plt`, `.plt.got`
//! and `.iplt`, thunks near and far are all run symbolically. Nor must the patches of Cortex-A53's errata
//! be known by name: a branch to a copy of the instruction, and back, is that instruction.

use super::eval::{Machine, Value, branch};
use crate::loader::Image;
use crate::model::elf::machine::Way;

/// Where the PLT entry or thunk at `address` goes.
///
/// Errors: a text, if what is there is neither.
pub(super) fn at(image: &Image<'_>, address: u64) -> Result<Way, String> {
    let mut machine = Machine::new();
    match machine.follow(image, address)? {
        Value::Memory(slot) if machine.pushed.is_empty() => Ok(Way::Slot(slot)),
        Value::Address(target) if machine.pushed.is_empty() => Ok(Way::Address(target)),
        Value::Number(target) if machine.pushed.is_empty() && !image.moves => {
            Ok(Way::Address(target))
        }
        _ => Err("code that goes nowhere".into()),
    }
}

/// Checks what a call through the unbound slot of the entry at `address` does: X16 is the slot's address,
/// it and X30 are pushed, X16 becomes the address of `GOT[2]`, whose content is jumped to. The resolver
/// counts slots from there, so the index must be the slot's.
///
/// Spec: AAELF64 §7.3, "Program linkage table"; `_dl_runtime_resolve` of glibc.
pub(super) fn lazy(image: &Image<'_>, address: u64, got: u64, index: u32) -> Result<(), String> {
    let mut machine = Machine::new();
    let Value::Memory(slot) = machine.follow(image, address)? else {
        return Err("code that doesn't jump through a slot".into());
    };
    let at = got.wrapping_add(24).wrapping_add(8 * u64::from(index));
    if machine.register(16) != Value::Address(slot) || slot != at {
        return Err("a lazy entry that doesn't hand over its slot".into());
    }
    let start = image.u64(slot).ok_or("an unmapped slot")?;
    let target = machine.follow(image, start)?;
    let third = got.wrapping_add(16);
    let pushed = [Value::Address(slot), Value::Unknown];
    let hands = machine.register(16) == Value::Address(third) && machine.pushed == pushed;
    if target != Value::Memory(third) || !hands {
        return Err("a lazy entry that doesn't reach the resolver with its slot".into());
    }
    Ok(())
}

/// The instruction that a patch of an erratum moved away from `place`, where `word` is now.
///
/// Spec: Arm, Cortex-A53 MPCore Software Developers Errata Notice, 835769 and 843419.
pub(super) fn moved(image: &Image<'_>, word: u32, place: u64) -> Option<u32> {
    let target = place.wrapping_add(branch(word).filter(|_| word >> 31 == 0)?);
    let original = image.u32(target)?;
    let back = image.u32(target.wrapping_add(4))?;
    let end = target.wrapping_add(4).wrapping_add(branch(back).filter(|_| back >> 31 == 0)?);
    (end == place.wrapping_add(4)).then_some(original)
}

/// Puts instructions that patches moved away back into `bytes`, the output's, where `input` had them.
pub(super) fn restore(image: &Image<'_>, input: &[u8], base: u64, bytes: &mut [u8]) {
    let pairs = input.chunks_exact(4).zip(bytes.chunks_exact_mut(4)).enumerate();
    for (i, (before, after)) in pairs.filter(|(_, (before, after))| before != after) {
        let word = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes);
        let (Ok(before), Ok(found)) = (word(before), word(after)) else { continue };
        let place = base.wrapping_add(4 * i as u64);
        if moved(image, found, place) == Some(before) {
            after.copy_from_slice(&before.to_le_bytes());
        }
    }
}
