//! A few x86-64 instructions in the output → what they compute, symbolically.
//!
//! Enough for PLT entries, lazy binding and TLS sequences in every form linkers write them; anything else
//! is an error, so that a flipped bit can't pass for padding. It must not know which linker wrote them.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::loader::Image;

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::model::elf) enum Value {
    Unknown,
    Number(u64),
    /// A link-time address, taken relative to the instruction pointer.
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

/// Registers and what was pushed.
#[derive(Clone, Debug)]
pub(in crate::model::elf) struct Machine {
    pub(in crate::model::elf) registers: [Value; 16],
    pub(in crate::model::elf) stack: Vec<Value>,
}

/// Where a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::model::elf) enum Stop {
    /// At a jump to this.
    Jump(Value),
    /// At the end of the bytes.
    End,
}

impl Machine {
    pub(in crate::model::elf) fn new() -> Self {
        Self { registers: [Value::Unknown; 16], stack: Vec::new() }
    }

    /// RAX.
    pub(in crate::model::elf) fn rax(&self) -> Value {
        self.registers[0]
    }

    /// Runs `bytes`, which are at `address`.
    ///
    /// Errors: a text, for an instruction that has no business there.
    pub(in crate::model::elf) fn run(
        &mut self,
        bytes: &[u8],
        address: u64,
    ) -> Result<Stop, String> {
        let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if let Some(target) = self.step(&instruction)? {
                return Ok(Stop::Jump(target));
            }
        }
        Ok(Stop::End)
    }

    /// Runs from `address` to a jump through memory or out of the image, at most a few jumps.
    pub(in crate::model::elf) fn follow(
        &mut self,
        image: &Image<'_>,
        mut address: u64,
    ) -> Result<Value, String> {
        for _ in 0..4 {
            if !image.segment(address).is_some_and(|segment| segment.executable()) {
                return Err("code that is not executable".into());
            }
            let tail = image.tail(address);
            match self.run(&tail[..tail.len().min(40)], address)? {
                Stop::Jump(Value::Address(target)) => address = target,
                Stop::Jump(target) => return Ok(target),
                Stop::End => return Err("code without an end".into()),
            }
        }
        Err("a chain of jumps".into())
    }

    fn step(&mut self, i: &Instruction) -> Result<Option<Value>, String> {
        match i.mnemonic() {
            Mnemonic::Nop | Mnemonic::Endbr64 => {}
            Mnemonic::Mov => {
                let value = self.operand(i, 1);
                self.set(i, value)?;
            }
            Mnemonic::Lea => {
                let value = self.effective(i);
                self.set(i, value)?;
            }
            Mnemonic::Xor
                if i.op_kind(1) == OpKind::Register && i.op_register(0) == i.op_register(1) =>
            {
                self.set(i, Value::Number(0))?;
            }
            Mnemonic::Add => {
                let value = self.operand(i, 0).plus(self.operand(i, 1));
                self.set(i, value)?;
            }
            Mnemonic::Sub => {
                let value = match self.operand(i, 1) {
                    Value::Number(n) => self.operand(i, 0).plus(Value::Number(n.wrapping_neg())),
                    _ => Value::Unknown,
                };
                self.set(i, value)?;
            }
            Mnemonic::Push => {
                let value = self.operand(i, 0);
                self.stack.push(value);
            }
            Mnemonic::Jmp => {
                let near = matches!(i.op_kind(0), OpKind::NearBranch64 | OpKind::Register)
                    || (i.op_kind(0) == OpKind::Memory && i.memory_size().size() == 8);
                if !near {
                    return Err("a far jump".into());
                }
                return Ok(Some(self.operand(i, 0)));
            }
            other => return Err(format!("unexpected instruction {other:?}").to_lowercase()),
        }
        Ok(None)
    }

    fn register(&self, register: Register) -> Value {
        if register.is_gpr64() {
            return self.registers[register.number() & 15];
        }
        match self.registers[register.full_register().number() & 15] {
            Value::Number(n) if register.is_gpr32() => Value::Number(n & 0xffff_ffff),
            _ => Value::Unknown,
        }
    }

    fn set(&mut self, i: &Instruction, value: Value) -> Result<(), String> {
        let register = i.op_register(0);
        if i.op_kind(0) != OpKind::Register || !(register.is_gpr64() || register.is_gpr32()) {
            return Err("an instruction that writes memory".into());
        }
        if register.full_register() == Register::RSP {
            return Err("an instruction that moves the stack".into());
        }
        let value = match value {
            Value::Number(n) if register.is_gpr32() => Value::Number(n & 0xffff_ffff),
            _ if register.is_gpr32() => Value::Unknown,
            value => value,
        };
        self.registers[register.full_register().number() & 15] = value;
        Ok(())
    }

    fn operand(&self, i: &Instruction, n: u32) -> Value {
        match i.op_kind(n) {
            OpKind::Register => self.register(i.op_register(n)),
            OpKind::NearBranch64 => Value::Address(i.near_branch64()),
            OpKind::Memory => self.load(i),
            OpKind::Immediate8to64
            | OpKind::Immediate32to64
            | OpKind::Immediate64
            | OpKind::Immediate32
            | OpKind::Immediate8to32 => Value::Number(i.immediate(n)),
            _ => Value::Unknown,
        }
    }

    fn effective(&self, i: &Instruction) -> Value {
        if i.memory_index() != Register::None {
            return Value::Unknown;
        }
        let displacement = i.memory_displacement64();
        match i.memory_base() {
            Register::RIP => Value::Address(displacement),
            Register::None => Value::Number(displacement),
            base => self.register(base).plus(Value::Number(displacement)),
        }
    }

    fn load(&self, i: &Instruction) -> Value {
        match (i.segment_prefix(), self.effective(i)) {
            (Register::FS, Value::Number(0)) => Value::Thread(0),
            (Register::FS | Register::GS, _) => Value::Unknown,
            (_, Value::Address(address) | Value::Number(address)) => Value::Memory(address),
            _ => Value::Unknown,
        }
    }
}
