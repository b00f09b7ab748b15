//! PLT entries and veneers of any linker → where they go, and whether lazy binding works.
//!
//! It must not know which linker wrote them: short and long entries, with and without `bx pc` for callers in
//! Thumb state, veneers by literal, by MOVW and MOVT, absolute and relative are all run symbolically.

use super::eval::{Cpu, Value};
use crate::loader::Image;
use crate::model::elf::machine::Way;

/// Where the PLT entry or veneer at `address` goes; bit 0 is the state, of both.
///
/// Errors: a text, if what is there is neither.
pub(super) fn at(image: &Image<'_>, address: u64) -> Result<Way, String> {
    let mut cpu = Cpu::new();
    let start = u32::try_from(address).map_err(|_| "an address beyond 32 bits")?;
    match cpu.follow(image, start)? {
        Value::Memory(slot) if cpu.stack.is_empty() => Ok(Way::Slot(slot.into())),
        Value::Number(target) if cpu.stack.is_empty() => Ok(Way::Address(target.into())),
        _ => Err("code that doesn't jump through a slot".into()),
    }
}

/// Checks what a call through the unbound slot of the entry at `address` does: with IP at the slot and LR,
/// pushed before, at `GOT[2]`, jump to what that holds. The resolver takes the index from IP - LR.
///
/// Spec: AAELF32 "PLT sequences and usage models"; glibc `sysdeps/arm/dl-trampoline.S`.
pub(super) fn lazy(image: &Image<'_>, address: u64, got: u64, index: u32) -> Result<(), String> {
    let wrong = || "a lazy entry that doesn't reach the resolver with its index".to_owned();
    let mut cpu = Cpu::new();
    let start = u32::try_from(address).map_err(|_| wrong())?;
    let Value::Memory(slot) = cpu.follow(image, start)? else { return Err(wrong()) };
    let first = image.u32(slot.into()).ok_or("an unmapped slot")?;
    let target = cpu.follow(image, first)?;
    let link = got.wrapping_add(8) as u32;
    let resolver = target == Value::Memory(link) && cpu.registers[14] == Value::Number(link);
    let here = cpu.registers[12] == Value::Number(slot);
    let numbered = slot.wrapping_sub(link).wrapping_sub(4) == index.wrapping_mul(4);
    if !resolver || !here || !numbered || cpu.stack.len() != 1 {
        return Err(wrong());
    }
    Ok(())
}
