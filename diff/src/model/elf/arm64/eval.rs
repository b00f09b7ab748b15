//! A few A64 instructions → what they compute, symbolically.
//!
//! Enough for PLT entries, lazy binding, thunks and TLS sequences in every form linkers write them;
//! anything else is an error, so that a flipped bit can't pass for padding. It must not know which linker
//! wrote them.

use crate::loader::Image;

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Unknown,
    Number(u64),
    /// A link-time address, taken relative to the program counter.
    Address(u64),
    /// The 8 bytes in memory at a link-time address.
    Memory(u64),
    /// The thread pointer plus a number.
    Thread(u64),
    /// The thread pointer plus the 8 bytes in memory at a link-time address.
    ThreadMemory(u64),
}

impl Value {
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a.wrapping_add(b)),
            (Self::Address(a), Self::Number(b)) | (Self::Number(b), Self::Address(a)) => {
                Self::Address(a.wrapping_add(b))
            }
            (Self::Thread(a), Self::Number(b)) | (Self::Number(b), Self::Thread(a)) => {
                Self::Thread(a.wrapping_add(b))
            }
            (Self::Thread(0), Self::Memory(a)) | (Self::Memory(a), Self::Thread(0)) => {
                Self::ThreadMemory(a)
            }
            _ => Self::Unknown,
        }
    }
}

/// The number of bits `[low, low + len)`.
pub(super) fn bits(word: u32, low: u32, len: u32) -> u32 {
    word >> low & ((1 << len) - 1)
}

/// The same, sign-extended to 64 bits.
pub(super) fn signed(word: u32, low: u32, len: u32) -> u64 {
    let shift = 64 - len;
    ((u64::from(bits(word, low, len)) << shift) as i64 >> shift) as u64
}

/// The signed immediate of ADR and ADRP, in bytes or pages.
pub(super) fn adr_immediate(word: u32) -> u64 {
    signed(bits(word, 5, 19) << 2 | bits(word, 29, 2), 0, 21)
}

pub(super) fn is_adrp(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

pub(super) fn is_adr(word: u32) -> bool {
    word & 0x9f00_0000 == 0x1000_0000
}

/// `add x, x, #imm12` without a shift.
pub(super) fn is_add(word: u32) -> bool {
    word & 0xffc0_0000 == 0x9100_0000
}

/// `ldr x, [x, #imm12 * 8]`.
pub(super) fn is_load(word: u32) -> bool {
    word & 0xffc0_0000 == 0xf940_0000
}

/// `ldr x, label`.
pub(super) fn is_literal(word: u32) -> bool {
    word & 0xff00_0000 == 0x5800_0000
}

/// `b` and `bl` with their displacement.
pub(super) fn branch(word: u32) -> Option<u64> {
    (word & 0x7c00_0000 == 0x1400_0000).then(|| signed(word, 0, 26) << 2)
}

pub(super) const NOP: u32 = 0xd503_201f;

/// The register in bits 0 to 4: what most instructions write.
pub(super) fn destination(word: u32) -> u32 {
    word & 31
}

/// The register in bits 5 to 9: what most read.
pub(super) fn source(word: u32) -> u32 {
    word >> 5 & 31
}

/// Registers and what was pushed.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    x: [Value; 32],
    pub(super) pushed: Vec<Value>,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self { x: [Value::Unknown; 32], pushed: Vec::new() }
    }

    /// X0 to X30.
    pub(super) fn register(&self, number: u32) -> Value {
        self.x[number as usize & 31]
    }

    fn set(&mut self, word: u32, value: Value) {
        self.x[destination(word) as usize] = value;
    }

    /// Runs from `address` to a jump: what it jumps to.
    ///
    /// Errors: a text, for an instruction that has no business there.
    pub(super) fn follow(&mut self, image: &Image<'_>, address: u64) -> Result<Value, String> {
        if !image.segment(address).is_some_and(|segment| segment.executable()) {
            return Err("code that is not executable".into());
        }
        if !address.is_multiple_of(4) {
            return Err("code at an odd address".into());
        }
        for step in 0..MOST_STEPS {
            let place = address.wrapping_add(4 * step);
            let word = image.u32(place).ok_or("code without an end")?;
            if is_literal(word) {
                self.literal(image, word, place);
            } else if let Some(target) = self.step(word, place)? {
                return Ok(target);
            }
        }
        Err("code without an end".into())
    }

    /// `ldr x, label`: a constant, if nothing can write it.
    fn literal(&mut self, image: &Image<'_>, word: u32, place: u64) {
        let address = place.wrapping_add(signed(word, 5, 19) << 2);
        let fixed = image.segment(address).is_some_and(|segment| !segment.writable());
        let value = match image.u64(address).filter(|_| fixed) {
            Some(number) => Value::Number(number),
            None => Value::Memory(address),
        };
        self.set(word, value);
    }

    /// One instruction; the target, if it jumps.
    pub(super) fn step(&mut self, word: u32, place: u64) -> Result<Option<Value>, String> {
        let read = |number: u32| match number {
            // In address arithmetic it is the stack pointer, else zero.
            31 => Value::Unknown,
            number => self.register(number),
        };
        let immediate = Value::Number(u64::from(bits(word, 10, 12)) << (12 * bits(word, 22, 1)));
        let half = u64::from(bits(word, 5, 16));
        let shift = 16 * bits(word, 21, 2);
        let value = match word {
            NOP => return Ok(None),
            // bti, bti c, bti j, bti jc; autia1716, autib1716.
            0xd503_241f | 0xd503_245f | 0xd503_249f | 0xd503_24df => return Ok(None),
            0xd503_219f | 0xd503_21df => return Ok(None),
            // stp x16, x30, [sp, #-16]!
            0xa9bf_7bf0 => {
                self.pushed.extend([self.register(16), self.register(30)]);
                return Ok(None);
            }
            _ if is_adrp(word) => {
                let page = (place & !0xfff).wrapping_add(adr_immediate(word) << 12);
                Value::Address(page)
            }
            _ if is_adr(word) => Value::Address(place.wrapping_add(adr_immediate(word))),
            _ if word & 0xff80_0000 == 0x9100_0000 => read(source(word)).plus(immediate),
            // add x, x, x
            _ if word & 0xffe0_fc00 == 0x8b00_0000 => {
                read(source(word)).plus(read(bits(word, 16, 5)))
            }
            _ if is_load(word) => {
                let offset = Value::Number(u64::from(bits(word, 10, 12)) << 3);
                match read(source(word)).plus(offset) {
                    Value::Address(address) => Value::Memory(address),
                    _ => Value::Unknown,
                }
            }
            _ if is_literal(word) => Value::Memory(place.wrapping_add(signed(word, 5, 19) << 2)),
            _ if word & 0xff80_0000 == 0xd280_0000 => Value::Number(half << shift),
            _ if word & 0xff80_0000 == 0x9280_0000 => Value::Number(!(half << shift)),
            _ if word & 0xff80_0000 == 0xf280_0000 => match self.register(destination(word)) {
                Value::Number(n) => Value::Number(n & !(0xffff << shift) | half << shift),
                _ => Value::Unknown,
            },
            // mrs x, tpidr_el0
            _ if word & !31 == 0xd53b_d040 => Value::Thread(0),
            _ if word & 0xfc00_0000 == 0x1400_0000 => {
                return Ok(branch(word).map(|by| Value::Address(place.wrapping_add(by))));
            }
            // br
            _ if word & 0xffff_fc1f == 0xd61f_0000 => return Ok(Some(read(source(word)))),
            _ => return Err(format!("unexpected instruction {word:#010x}")),
        };
        self.set(word, value);
        Ok(None)
    }
}

/// The longest PLT entry or thunk has fewer instructions: `bti`, `movz`, three `movk`, `adr`, `add`, `br`.
const MOST_STEPS: u64 = 12;
