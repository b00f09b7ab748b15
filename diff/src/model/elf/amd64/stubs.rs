//! PLT entries of any linker → the GOT slot they jump through, and whether lazy binding works.
//!
//! It must not know which linker wrote them: lazy and eager entries, with and without IBT, in `.plt`,
//! `.plt.sec`, `.plt.got` and `.iplt` are all run symbolically.

use super::eval::{Machine, Value};
use crate::loader::Image;
use crate::model::elf::machine::Way;

/// The slot that the PLT entry at `address` jumps through.
///
/// Errors: a text, if what is there isn't one.
pub(super) fn at(image: &Image<'_>, address: u64) -> Result<Way, String> {
    enter(image, address).map(|(slot, _)| Way::Slot(slot))
}

fn enter(image: &Image<'_>, address: u64) -> Result<(u64, Machine), String> {
    // A call one byte before an entry may slide into it over padding: right by luck is wrong.
    if image.tail(address).first() == Some(&0x90) {
        return Err("padding before a PLT entry".into());
    }
    let mut machine = Machine::new();
    match machine.follow(image, address)? {
        Value::Memory(slot) if machine.stack.is_empty() => Ok((slot, machine)),
        _ => Err("code that doesn't jump through a slot".into()),
    }
}

/// Checks what a call through the unbound slot of the entry at `address` does: push the index of its
/// relocation, push `GOT[1]`, jump to `GOT[2]`.
///
/// Spec: x86-64 psABI §5.2, "Procedure Linkage Table".
pub(super) fn lazy(image: &Image<'_>, address: u64, got: u64, index: u32) -> Result<(), String> {
    let (slot, mut machine) = enter(image, address)?;
    let start = image.u64(slot).ok_or("an unmapped slot")?;
    let target = machine.follow(image, start)?;
    let pushed = [Value::Number(index.into()), Value::Memory(got.wrapping_add(8))];
    if target != Value::Memory(got.wrapping_add(16)) || machine.stack != pushed {
        return Err("a lazy entry that doesn't reach the resolver with its index".into());
    }
    Ok(())
}
