//! PLT entries of any linker → the GOT slot they jump through, and whether lazy binding works.
//!
//! It must not know which linker wrote them: lazy and eager entries, with and without IBT, in `.plt`,
//! `.plt.sec`, `.plt.got` and `.iplt` are all run symbolically.

use super::eval::{Machine, Value};
use crate::loader::Image;

/// A PLT entry.
#[derive(Clone, Debug)]
pub(in crate::model::elf) struct Stub {
    /// The slot it jumps through.
    pub(in crate::model::elf) slot: u64,
    machine: Machine,
}

/// The PLT entry at `address`.
///
/// Errors: a text, if what is there isn't one.
pub(in crate::model::elf) fn at(image: &Image<'_>, address: u64) -> Result<Stub, String> {
    // A call one byte before an entry may slide into it over padding: right by luck is wrong.
    if image.tail(address).first() == Some(&0x90) {
        return Err("padding before a PLT entry".into());
    }
    let mut machine = Machine::new();
    match machine.follow(image, address)? {
        Value::Memory(slot) if machine.stack.is_empty() => Ok(Stub { slot, machine }),
        _ => Err("code that doesn't jump through a slot".into()),
    }
}

impl Stub {
    /// Checks what a call through the unbound slot does: push the index of its relocation, push `GOT[1]`,
    /// jump to `GOT[2]`.
    ///
    /// Spec: x86-64 psABI §5.2, "Procedure Linkage Table".
    pub(in crate::model::elf) fn lazy(
        mut self,
        image: &Image<'_>,
        got: u64,
        index: u32,
    ) -> Result<(), String> {
        let start = image.u64(self.slot).ok_or("an unmapped slot")?;
        let target = self.machine.follow(image, start)?;
        let pushed = [Value::Number(index.into()), Value::Memory(got.wrapping_add(8))];
        if target != Value::Memory(got.wrapping_add(16)) || self.machine.stack != pushed {
            return Err("a lazy entry that doesn't reach the resolver with its index".into());
        }
        Ok(())
    }
}
