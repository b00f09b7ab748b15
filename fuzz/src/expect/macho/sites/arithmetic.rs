//! Whether what a relocation computes fits its field, wherever a linker puts things.
//!
//! Spec: reloc.h of each machine. Numbers are exact; places are anywhere in an image of at most this case's size,
//! which starts at 0, or at 4 GiB for programs.

use scold_diff::model::{ErrorClass, Meaning};

use super::super::live::Part;
use super::{At, Sites};
use crate::case::{Data, Definition, SymbolRef};
use crate::machine::macho::parts;
use crate::machine::{Form, Range};

/// Where a program starts: behind __PAGEZERO.
const PROGRAM: i128 = 0x1_0000_0000;
/// What an image may have beside the sections of a case.
const SLACK: i128 = 0x40_0000;

/// Smallest and largest.
type Span = (i128, i128);

/// What is added: by the relocation, or by the bits that are in its instruction, as ld64 reads them.
fn addend(at: &At<'_>) -> i64 {
    if at.reloc.addend == 0 { embedded(at) } else { at.reloc.addend }
}

/// The addend in an instruction of arm64.
fn embedded(at: &At<'_>) -> i64 {
    let Data::Bytes(bytes) = &at.section.data else { return 0 };
    let place = usize::try_from(at.reloc.offset).ok().and_then(|offset| bytes.get(offset..));
    let Some(word) = place.and_then(|place| place.first_chunk()) else { return 0 };
    let word = u32::from_le_bytes(*word);
    let signed = |bits: u32, count: u32| (i64::from(bits) << (64 - count)) >> (64 - count);
    let field = at.row.field;
    match parts(at.reloc.r_type).0 {
        // Nothing but the value is there.
        _ if field.mask == u64::MAX >> (64 - 8 * u64::from(field.width.max(1))) => 0,
        2 => signed(word & 0x03ff_ffff, 26) << 2,
        3 | 5 | 8 => signed((word >> 3 & 0x1f_fffc) | (word >> 29 & 3), 21) << 12,
        4 | 6 | 9 => {
            let load = word & 0x3b00_0000 == 0x3900_0000;
            let wide = load && word >> 30 == 0 && word & 0x0480_0000 == 0x0480_0000;
            let scale = if load { word >> 30 } else { 0 };
            i64::from(word >> 10 & 0xfff) << if wide { 4 } else { scale }
        }
        _ => 0,
    }
}

impl Sites<'_, '_> {
    /// Judges bits that are in an instruction already.
    pub(super) fn bits(&mut self, at: &At<'_>) {
        let bits = embedded(at);
        if bits == 0 {
            return;
        }
        if at.reloc.addend != 0 {
            return self.findings.error(ErrorClass::BadInput);
        }
        if matches!(at.row.form, Form::Got | Form::TlsDescriptor) {
            self.findings.may(ErrorClass::BadInput);
            return self.findings.error(ErrorClass::RelocUnsupported);
        }
        if bits < 0 {
            // ld64 reads no sign.
            self.findings.everything("a negative addend in an instruction", true);
        }
    }

    /// Judges the value of a relocation that is not refused for what it names.
    pub(super) fn range(&mut self, at: &At<'_>, minus: Option<At<'_>>, meaning: Option<&Meaning>) {
        let Some(meaning) = meaning else { return };
        let reached = matches!(at.row.form, Form::Got | Form::TlsDescriptor)
            || matches!(meaning, Meaning::Dynamic(_));
        if reached && addend(at) != 0 && at.row.form != Form::Absolute {
            // The addend of a slot; a load that becomes the address has no slot to add it to.
            let plain = at.row.name == "X86_64_RELOC_GOT";
            if !plain {
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.may(ErrorClass::BadInput);
                self.findings.everything("an addend of a slot or a stub", false);
            }
            return;
        }
        if reached {
            return;
        }
        self.misaligned(at, meaning, minus.is_some());
        let Some(value) = self.value(at, minus, meaning) else { return };
        let (min, max) = limits(at, minus.is_some());
        let (low, high) = value;
        if low >= min && high <= max {
            return;
        }
        let (loose_min, loose_max) = loose(at, minus.is_some(), (min, max));
        if high < loose_min || low > loose_max {
            // A branch goes further by a thunk, but not to what is no place.
            match (at.row.check.extended, meaning) {
                (true, Meaning::Place(_)) => return,
                (true, _) => {}
                _ => return self.findings.error(ErrorClass::RelocOverflow),
            }
        }
        self.findings.may(ErrorClass::RelocOverflow);
        let label = self.link.labels[at.file][at.index].clone();
        self.findings.place(&label, at.reloc.offset, "a value at the limit of its field", false);
    }

    /// What is written into the field; nothing if every value fits.
    fn value(&self, at: &At<'_>, minus: Option<At<'_>>, meaning: &Meaning) -> Option<Span> {
        if at.row.check.range == Range::Any {
            return None;
        }
        let addend = i128::from(addend(at));
        let (kind, ..) = parts(at.reloc.r_type);
        let bias = i128::from(match (at.row.form, kind) {
            (Form::Relative, 6) => 5,
            (Form::Relative, 7) => 6,
            (Form::Relative, 8) => 8,
            (Form::Branch, _) => 1,
            (Form::Relative, _) => 4,
            (Form::Call, _) if at.row.check.bits == 32 => 4,
            _ => 0,
        });
        let shift = |(low, high): Span, by: i128| (low + by, high + by);
        if let Some(minus) = minus {
            let other = self.link.part(minus.file, minus.reloc.symbol);
            let other = other.zip(self.offset(&minus));
            return Some(shift(self.distance(at, other), addend));
        }
        if at.row.form == Form::Absolute {
            return Some(match meaning {
                Meaning::Absolute(number) => shift(exact(*number), addend),
                _ => return None,
            });
        }
        let here = Some((Part::Section(at.file, at.index), at.reloc.offset as i128));
        let distance = match meaning {
            Meaning::Absolute(number) => {
                let (low, high) = self.image();
                (i128::from(*number as i64) - high, i128::from(*number as i64) - low)
            }
            _ => self.distance(at, here),
        };
        let (low, high) = shift(distance, addend - bias);
        Some(match at.row.form {
            Form::Page => ((low - 0xfff) & !0xfff, (high + 0xfff) & !0xfff),
            _ => (low, high),
        })
    }

    /// From a part's offset to the target, without the addend.
    fn distance(&self, at: &At<'_>, from: Option<(Part, i128)>) -> Span {
        let to = self.link.part(at.file, at.reloc.symbol).zip(self.offset(at));
        let (low, high) = self.image();
        match (to, from) {
            (Some((there, to)), Some((here, from))) if there == here => (to - from, to - from),
            _ => (low - high, high - low),
        }
    }

    /// Where a relocation's symbol is in its part.
    fn offset(&self, at: &At<'_>) -> Option<i128> {
        use super::super::resolve::{Target, Winner};
        let defined = |file, symbol| match self.link.symbol(file, symbol).definition {
            Definition::Section { offset, .. } => Some(i128::from(offset)),
            _ => None,
        };
        match self.link.target(at.file, at.reloc.symbol) {
            Target::Null => None,
            Target::Section { .. } => Some(0),
            Target::Local { file, symbol } => defined(file, symbol),
            Target::Global(id) => match self.link.syms[id].winner {
                Winner::Object { file, symbol } => defined(file, symbol),
                Winner::Common { .. } => Some(0),
                _ => None,
            },
        }
    }

    /// The addresses that something of the image can have.
    fn image(&self) -> Span {
        let mut size = SLACK;
        for &file in &self.link.world.order {
            for section in &self.link.world.files[file].object.sections {
                size += i128::from(section.size()) + i128::from(section.align);
            }
        }
        if self.link.world.on.library { (0, size) } else { (PROGRAM, PROGRAM + size) }
    }

    /// Refuses a value that is no multiple of what its field counts in.
    fn misaligned(&mut self, at: &At<'_>, meaning: &Meaning, paired: bool) {
        let scale = match at.row.form {
            Form::Low => scale(at),
            Form::Call if !paired => u64::from(at.row.check.align),
            _ => return,
        };
        if scale <= 1 {
            return;
        }
        let known = match meaning {
            Meaning::Absolute(number) => Some(*number),
            _ => self.link.part(at.file, at.reloc.symbol).and_then(|part| match part {
                Part::Section(file, section) => {
                    let enough = self.link.section(file, section).align.is_multiple_of(scale);
                    self.offset(at).filter(|_| enough).map(|offset| offset as u64)
                }
                Part::Common(_) => None,
            }),
        };
        let here = match at.row.form {
            Form::Call => at.reloc.offset,
            _ => 0,
        };
        match known.map(|value| value.wrapping_add(addend(at) as u64).wrapping_sub(here)) {
            Some(value) if value.is_multiple_of(scale) => {}
            Some(_) => self.findings.error(ErrorClass::RelocMisaligned),
            None => {
                self.findings.may(ErrorClass::RelocMisaligned);
                let label = self.link.labels[at.file][at.index].clone();
                self.findings.place(&label, at.reloc.offset, "an unknown alignment", false);
            }
        }
    }
}

fn exact(number: u64) -> Span {
    let number = i128::from(number as i64);
    (number, number)
}

/// What an instruction counts its offset in.
fn scale(at: &At<'_>) -> u64 {
    let Data::Bytes(bytes) = &at.section.data else { return 1 };
    let from = at.reloc.offset.saturating_sub(at.section.start()) as usize;
    let Some(word) = bytes.get(from..).and_then(|rest| rest.first_chunk()) else { return 1 };
    let word = u32::from_le_bytes(*word);
    if word & 0x3b00_0000 != 0x3900_0000 {
        return 1;
    }
    match word >> 30 {
        0 if word & 0x0480_0000 == 0x0480_0000 => 16,
        size => 1 << size,
    }
}

/// Smallest and largest value that surely fits: a difference is signed, an address is not.
fn limits(at: &At<'_>, paired: bool) -> Span {
    if paired && at.row.field.width == 4 {
        return (-(1 << 31), (1 << 31) - 1);
    }
    at.row.limits()
}

/// What is within these, some linkers take: an address of 32 bits may be read either way, a difference has a sign.
fn loose(at: &At<'_>, paired: bool, tight: Span) -> Span {
    let data = at.row.form == Form::Absolute && at.row.field.width == 4;
    if data && !paired { (-(1 << 31), (1 << 32) - 1) } else { tight }
}

/// Whether a relocation without symbol leads out of the section it names.
pub(super) fn leaves(at: &At<'_>, size: u64) -> bool {
    matches!(at.reloc.symbol, SymbolRef::Section(_))
        && !(0..size.max(1) as i64).contains(&at.reloc.addend)
}
