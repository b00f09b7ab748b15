//! A few ARM and Thumb instructions in the output → where they go, symbolically.
//!
//! Enough for PLT entries, lazy binding and veneers in every form linkers write them; anything else is an
//! error. An address of code has bit 0 set if it is entered in Thumb state. It must not know which linker
//! wrote them.

use crate::loader::Image;

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Unknown,
    Number(u32),
    /// The word in memory at an address, outside of code.
    Memory(u32),
}

impl Value {
    fn plus(self, other: u32) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.wrapping_add(other)),
            _ => Self::Unknown,
        }
    }
}

/// Registers, and what was pushed.
#[derive(Clone, Debug)]
pub(super) struct Cpu {
    pub(super) registers: [Value; 16],
    pub(super) stack: Vec<Value>,
}

/// What an instruction does to the next one's address.
enum Step {
    Next(u32),
    /// Bit 0 is the state.
    Jump(Value),
}

/// How many instructions a veneer may have.
const MOST: usize = 12;

const PC: usize = 15;
const SP: usize = 13;

impl Cpu {
    pub(super) fn new() -> Self {
        Self { registers: [Value::Unknown; 16], stack: Vec::new() }
    }

    /// Runs from `address` to the first jump that is not from its own few instructions to the next.
    pub(super) fn follow(&mut self, image: &Image<'_>, address: u32) -> Result<Value, String> {
        let mut at = address;
        for _ in 0..MOST {
            if !code(image, at) {
                return Err("code that is not executable".into());
            }
            match self.step(image, at)? {
                Step::Next(size) => at = at.wrapping_add(size),
                // `bx pc` and the branch over its padding stay in the entry.
                Step::Jump(Value::Number(target)) if target.wrapping_sub(at) < 12 => at = target,
                Step::Jump(target) => return Ok(target),
            }
        }
        Err("code without an end".into())
    }

    fn step(&mut self, image: &Image<'_>, at: u32) -> Result<Step, String> {
        if at & 1 == 0 {
            let bits = image.u32(at.into()).ok_or("code that is not mapped")?;
            return self.arm(image, at, bits);
        }
        let half = |at: u32| image.number(at.into(), 2).map(|half| half as u32);
        let at = at & !1;
        let first = half(at).ok_or("code that is not mapped")?;
        if first >> 11 < 0x1d {
            return self.thumb(image, at, first);
        }
        let second = half(at.wrapping_add(2)).ok_or("code that is not mapped")?;
        self.thumb_wide(image, at, first << 16 | second)
    }

    fn register(&self, n: u32, pc: u32) -> Value {
        if n as usize == PC { Value::Number(pc) } else { self.registers[n as usize & 15] }
    }

    fn load(&self, image: &Image<'_>, address: Value) -> Value {
        match address {
            Value::Number(at) if code(image, at) => {
                image.u32(at.into()).map_or(Value::Unknown, Value::Number)
            }
            Value::Number(at) => Value::Memory(at),
            _ => Value::Unknown,
        }
    }

    fn set(&mut self, n: u32, value: Value, size: u32) -> Result<Step, String> {
        match n as usize & 15 {
            PC => Ok(Step::Jump(value)),
            SP => Err("an instruction that moves the stack".into()),
            n => {
                self.registers[n] = value;
                Ok(Step::Next(size))
            }
        }
    }

    fn arm(&mut self, image: &Image<'_>, at: u32, bits: u32) -> Result<Step, String> {
        let pc = at.wrapping_add(8);
        let (rn, rd) = (bits >> 16 & 15, bits >> 12 & 15);
        let up = bits >> 23 & 1 != 0;
        let sign = |number: u32| if up { number } else { number.wrapping_neg() };
        if matches!(bits, 0xe320_f000 | 0xe1a0_0000) {
            return Ok(Step::Next(4));
        }
        // str lr, [sp, #-4]!
        if bits == 0xe52d_e004 {
            self.stack.push(self.registers[14]);
            return Ok(Step::Next(4));
        }
        if bits & 0xffff_fff0 == 0xe12f_ff10 {
            return Ok(Step::Jump(self.register(bits & 15, pc)));
        }
        if bits >> 24 == 0xea {
            let target = pc.wrapping_add((((bits << 8) as i32) >> 6) as u32);
            return Ok(Step::Jump(Value::Number(target)));
        }
        let immediate = || (bits & 0xff).rotate_right(2 * (bits >> 8 & 15));
        match bits >> 20 {
            // ldr, with write-back in 0x_f/_b of W.
            0xe51 | 0xe53 | 0xe59 | 0xe5b => {
                let address = self.register(rn, pc).plus(sign(bits & 0xfff));
                let value = self.load(image, address);
                if bits >> 21 & 1 != 0 {
                    self.set(rn, address, 4)?;
                }
                self.set(rd, value, 4)
            }
            0xe79 if bits & 0xff0 == 0 => {
                let address = self.sum(rn, bits & 15, pc);
                let value = self.load(image, address);
                self.set(rd, value, 4)
            }
            0xe28 => self.set(rd, self.register(rn, pc).plus(immediate()), 4),
            0xe24 => self.set(rd, self.register(rn, pc).plus(immediate().wrapping_neg()), 4),
            0xe08 if bits & 0xff0 == 0 => self.set(rd, self.sum(rn, bits & 15, pc), 4),
            0xe1a if bits & 0xff0 == 0 => self.set(rd, self.register(bits & 15, pc), 4),
            0xe3a => self.set(rd, Value::Number(immediate()), 4),
            0xe30 => self.set(rd, Value::Number(rn << 12 | bits & 0xfff), 4),
            0xe34 => self.move_top(rd, rn << 12 | bits & 0xfff),
            _ => Err(format!("unexpected instruction {bits:08x}")),
        }
    }

    fn sum(&self, one: u32, other: u32, pc: u32) -> Value {
        match (self.register(one, pc), self.register(other, pc)) {
            (value, Value::Number(number)) | (Value::Number(number), value) => value.plus(number),
            _ => Value::Unknown,
        }
    }

    fn move_top(&mut self, rd: u32, half: u32) -> Result<Step, String> {
        let value = match self.registers[rd as usize & 15] {
            Value::Number(number) => Value::Number(half << 16 | number & 0xffff),
            _ => Value::Unknown,
        };
        self.set(rd, value, 4)
    }

    fn thumb(&mut self, image: &Image<'_>, at: u32, bits: u32) -> Result<Step, String> {
        let pc = at.wrapping_add(4);
        let (rd, rm) = (bits >> 4 & 8 | bits & 7, bits >> 3 & 15);
        match bits {
            0x46c0 | 0xbf00 => Ok(Step::Next(2)),
            // bx: of pc it goes to the next word, in ARM state.
            0x4700..=0x4787 if bits & 7 == 0 => {
                let target = if rm as usize == PC { pc & !3 } else { 0 };
                let value = self.register(rm, pc);
                Ok(Step::Jump(if rm as usize == PC { Value::Number(target) } else { value }))
            }
            0x4400..=0x44ff => {
                let value = self.sum(rd, rm, pc);
                Ok(thumb_state(self.set(rd, value, 2)?))
            }
            0x4600..=0x46ff => {
                let value = self.register(rm, pc);
                Ok(thumb_state(self.set(rd, value, 2)?))
            }
            // ldr rt, [pc, #imm]
            0x4800..=0x4fff => {
                let address = Value::Number((pc & !3).wrapping_add((bits & 0xff) << 2));
                self.set(bits >> 8 & 7, self.load(image, address), 2)
            }
            0xe000..=0xe7ff => {
                let target = pc.wrapping_add((((bits << 21) as i32) >> 20) as u32);
                Ok(Step::Jump(Value::Number(target | 1)))
            }
            _ => Err(format!("unexpected instruction {bits:04x}")),
        }
    }

    fn thumb_wide(&mut self, image: &Image<'_>, at: u32, bits: u32) -> Result<Step, String> {
        let pc = at.wrapping_add(4);
        let (rn, rd) = (bits >> 16 & 15, bits >> 8 & 15);
        let half = (bits >> 16 & 15) << 12 | (bits >> 26 & 1) << 11 | (bits >> 12 & 7) << 8;
        let half = half | bits & 0xff;
        if bits & 0xf800_d000 == 0xf000_9000 {
            let distance = super::fields::Field::ThumbBranch.value(bits) as u32;
            return Ok(Step::Jump(Value::Number(pc.wrapping_add(distance) | 1)));
        }
        if bits == 0xf3af_8000 {
            return Ok(Step::Next(4));
        }
        match bits >> 20 & 0xfbf {
            0xf24 => self.set(rd, Value::Number(half), 4),
            0xf2c => self.move_top(rd, half),
            // ldr.w rt, [rn, #imm12], and of pc in both directions.
            0xf8d => {
                let from = if rn as usize == PC { pc & !3 } else { pc };
                let address = self.register(rn, from).plus(bits & 0xfff);
                self.set(bits >> 12 & 15, self.load(image, address), 4)
            }
            0xf85 if rn as usize == PC => {
                let address = Value::Number((pc & !3).wrapping_sub(bits & 0xfff));
                self.set(bits >> 12 & 15, self.load(image, address), 4)
            }
            // add.w, sub.w with 12 bits; add.w of registers
            0xf20 | 0xf2a => {
                let number = bits & 0xff | (bits >> 12 & 7) << 8 | (bits >> 26 & 1) << 11;
                let number = if bits >> 23 & 1 != 0 { number.wrapping_neg() } else { number };
                let from = if rn as usize == PC { pc & !3 } else { pc };
                self.set(rd, self.register(rn, from).plus(number), 4)
            }
            0xeb0 if bits & 0x70f0 == 0 => self.set(rd, self.sum(rn, bits & 15, pc), 4),
            _ => Err(format!("unexpected instruction {bits:08x}")),
        }
    }
}

/// `add pc` and `mov pc` don't change the state in Thumb.
fn thumb_state(step: Step) -> Step {
    match step {
        Step::Jump(Value::Number(target)) => Step::Jump(Value::Number(target | 1)),
        other => other,
    }
}

/// Whether what is at the address can't be written: code, and the constants in it.
fn code(image: &Image<'_>, at: u32) -> bool {
    image.segment(at.into()).is_some_and(|segment| segment.executable() && !segment.writable())
}
