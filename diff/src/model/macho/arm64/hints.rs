//! Linker optimisation hints: what the instructions that one names do in the output, whatever a linker made of them.
//!
//! A hint promises that nobody else uses the registers between its instructions, so only what the last of them gets
//! counts: the address or the access. What each writes is followed; a rewrite that gives another address, another
//! register or another access is an error here or a wrong address with the caller.
//!
//! Spec: LLVM, `MCLinkerOptimizationHint.h`; Arm ARM, C6.

use super::super::machine::{Made, Step};
use super::super::object::Hint;
use super::{NOP, is_add, is_adr, is_adrp, is_literal, is_load, literal, low, near, page};

/// LOH_ARM64_ADRP_LDR: the load is the second.
const LOAD: u8 = 2;
/// LOH_ARM64_ADRP_ADD_LDR to LOH_ARM64_ADRP_LDR_GOT_STR: the access is the third.
const THIRD: std::ops::RangeInclusive<u8> = 3..=6;
/// LOH_ARM64_ADRP_ADD.
const ADD: u8 = 7;
/// LOH_ARM64_ADRP_LDR_GOT.
const GOT: u8 = 8;

/// The destination, or what is stored.
fn low_register(word: u32) -> u32 {
    word & 0x1f
}

fn base_register(word: u32) -> u32 {
    word >> 5 & 0x1f
}

/// The opcode of LDR (literal) that loads what a load with 12 bits does.
pub(super) fn literal_of(word: u32) -> Option<u32> {
    Some(match word & 0xffc0_0000 {
        0xb940_0000 => 0x1800_0000,
        0xf940_0000 => 0x5800_0000,
        0xb980_0000 => 0x9800_0000,
        0xbd40_0000 => 0x1c00_0000,
        0xfd40_0000 => 0x5c00_0000,
        0x3dc0_0000 => 0x9c00_0000,
        _ => return None,
    })
}

/// What a register holds.
#[derive(Clone, Copy)]
enum Held {
    Address(u64),
    /// What a slot does.
    Slot(u64),
}

/// What the hint's own registers hold, in the output.
struct Registers {
    own: [u32; 2],
    held: [Option<Held>; 2],
}

const CLOBBERED: &str = "an address in another register";

impl Registers {
    fn get(&self, register: u32) -> Result<Held, &'static str> {
        let at = self.own.iter().position(|own| *own == register).ok_or(CLOBBERED)?;
        self.held[at].ok_or("an address that nobody makes")
    }

    fn address(&self, register: u32) -> Result<u64, &'static str> {
        match self.get(register)? {
            Held::Address(address) => Ok(address),
            Held::Slot(_) => Err("what a slot holds for an address"),
        }
    }

    fn set(&mut self, register: u32, held: Held) -> Result<(), &'static str> {
        // Both may be the same register.
        if !self.own.contains(&register) {
            return Err(CLOBBERED);
        }
        for (own, slot) in self.own.iter().zip(&mut self.held) {
            if *own == register {
                *slot = Some(held);
            }
        }
        Ok(())
    }

    /// ADRP, and what a linker makes of it.
    fn first(&mut self, step: Step, before: Option<u64>) -> Result<(), &'static str> {
        let (register, place) = (low_register(step.to), step.place);
        match step.to {
            NOP => match before {
                Some(page) => self.set(low_register(step.from), Held::Address(page)),
                None => Ok(()),
            },
            to if is_adrp(to) => {
                let address = (place & !0xfff).wrapping_add(page(to));
                self.set(register, Held::Address(address))
            }
            to if is_adr(to) => self.set(register, Held::Address(place.wrapping_add(near(to)))),
            _ => Err("ADRP that became something else"),
        }
    }

    /// ADD, or the load from a slot.
    fn second(&mut self, step: Step) -> Result<(), &'static str> {
        let (to, place) = (step.to, step.place);
        let (register, base) = (low_register(to), base_register(to));
        let slot = is_load(step.from);
        let same = (step.from ^ to) & 0x3ff == 0;
        let offset = low(to).unwrap_or(0);
        match to {
            NOP => Ok(()),
            _ if same && is_add(to) => {
                let address = self.address(base)?.wrapping_add(offset);
                self.set(register, Held::Address(address))
            }
            _ if same && is_load(to) && slot => {
                let at = self.address(base)?.wrapping_add(offset);
                self.set(register, Held::Slot(at))
            }
            _ if register != low_register(step.from) => Err(CLOBBERED),
            _ if is_adr(to) => self.set(register, Held::Address(place.wrapping_add(near(to)))),
            _ if slot && to & 0xff00_0000 == 0x5800_0000 => {
                self.set(register, Held::Slot(literal(place, to)))
            }
            _ => Err("an instruction that became something else"),
        }
    }

    /// The load or store at `offset` from the address, in the object: the address, and whether it is a slot's.
    fn access(&self, step: Step, offset: u64) -> Made {
        let (from, to) = (step.from, step.to);
        if is_literal(to) && (from ^ to) & 0x1f == 0 {
            return match literal_of(from) == Some(to & 0xff00_0000) {
                true => Ok((literal(step.place, to).wrapping_sub(offset), false)),
                false => Err("a load of another width"),
            };
        }
        // All but the offset and the base.
        if (from ^ to) & 0xffc0_001f != 0 {
            return Err("an access that became something else");
        }
        let there = low(to).unwrap_or(0);
        match self.get(base_register(to))? {
            Held::Address(address) => Ok((address.wrapping_add(there).wrapping_sub(offset), false)),
            Held::Slot(slot) if there == offset => Ok((slot, true)),
            Held::Slot(_) => Err("an access at another offset"),
        }
    }
}

/// What the instructions of a hint of this kind make, addend included: the address, and whether it is a slot's; the page
/// for two ADRP. With `slot` the second loads an address: compilers hint so at a thread-local variable's. `before` is the page that an ADRP of before left, which makes the first superfluous. None if the
/// object's instructions are not what the kind says.
pub(super) fn follow(kind: u8, slot: bool, steps: &[Step], before: Option<u64>) -> Option<Made> {
    let [first, second, rest @ ..] = steps else { return None };
    if !is_adrp(first.from) {
        return None;
    }
    let page_in = low_register(first.from);
    if kind == Hint::PAGE_AGAIN {
        if !is_adrp(second.from) || low_register(second.from) != page_in {
            return None;
        }
        let mut registers = Registers { own: [page_in; 2], held: [None; 2] };
        let made = registers.first(*first, before).and_then(|()| registers.address(page_in));
        return Some(made.map(|page| (page, false)));
    }
    if base_register(second.from) != page_in {
        return None;
    }
    let kind = if kind == LOAD && slot { GOT } else { kind };
    if kind == LOAD {
        low(second.from).filter(|_| !is_add(second.from))?;
        let mut registers = Registers { own: [page_in; 2], held: [None; 2] };
        return Some(registers.first(*first, before).and_then(|()| registers.access(*second, 0)));
    }
    let shape = if matches!(kind, 4 | 6 | GOT) { is_load } else { is_add };
    let result = low_register(second.from);
    let mut registers = Registers { own: [page_in, result], held: [None; 2] };
    let made = registers.first(*first, before).and_then(|()| registers.second(*second));
    match (kind, rest) {
        _ if !shape(second.from) => None,
        (ADD | GOT, []) => Some(made.and_then(|()| match registers.get(result)? {
            Held::Address(address) => Ok((address, false)),
            Held::Slot(slot) => Ok((slot, true)),
        })),
        (_, [third]) if THIRD.contains(&kind) => {
            let offset = low(third.from).filter(|_| base_register(third.from) == result)?;
            Some(made.and_then(|()| registers.access(*third, offset)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
