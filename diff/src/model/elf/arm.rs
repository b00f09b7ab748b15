//! ARM (32-bit, EABI5): relocation rows of the judge, and how code reaches GOT, PLT and TLS.
//!
//! What makes it hard is that every field is encoded in its own way, that code has two states which a branch
//! must arrive in, and that addends live in the fields. In exchange code is hardly ever rewritten: BL and BLX,
//! no-ops for nobody's weak functions, BX for old processors, TLS descriptors.
//!
//! Spec: AAELF32 2023Q3, "Relocation codes table".

mod eval;
mod fields;
mod stubs;
mod tls;

use fields::Field;

use super::machine::{Access, Form, Machine, Mate, Row, Site, Sum, TlsAccess};
use crate::class::Class;
use crate::loader::{Kind, Tls};

/// The row of the table.
pub(super) static MACHINE: Machine = Machine {
    number: 40,
    class: Class::Elf32,
    flags,
    rel: true,
    implicit,
    restore: |_, _, _, _| {},
    dynamic,
    relative: 23,
    irelative: 160,
    untaken: &[],
    alike: &[],
    renamed: &[
        ("R_ARM_PC13", "R_ARM_LDR_PC_G0"),
        ("R_ARM_THM_PC22", "R_ARM_THM_CALL"),
        ("R_ARM_GOTOFF", "R_ARM_GOTOFF32"),
        ("R_ARM_GOTPC", "R_ARM_BASE_PREL"),
        ("R_ARM_GOT32", "R_ARM_GOT_BREL"),
        ("R_ARM_THM_PC11", "R_ARM_THM_JUMP11"),
        ("R_ARM_THM_PC9", "R_ARM_THM_JUMP8"),
        ("R_ARM_THM_TLS_DESCSEQ", "R_ARM_THM_TLS_DESCSEQ16"),
    ],
    tp_bias,
    state: 1,
    stands_for,
    row,
    mask: |r_type| row(r_type).map_or((0, 4), |row| (0, row.after.into())),
    mask_at: |r_type, _, _| row(r_type).map_or((0, 4), |row| (0, row.after.into())),
    instruction_bias: 0,
    branches: |_, _| false,
    got: |site, _| Ok(Access::Slot(site.place.wrapping_add(word(site)?), false)),
    code,
    fits,
    index: Some(0x7000_0001),
    dynamic_tls: |site, _| Ok(TlsAccess::Pair(site.place.wrapping_add(word(site)?))),
    tls_call: 0,
    initial_exec: |site, _| Ok(TlsAccess::ThreadSlot(site.place.wrapping_add(word(site)?))),
    descriptor: tls::descriptor,
    call_kept: tls::call_kept,
    stub: stubs::at,
    lazy: stubs::lazy,
};

/// EABI5; a float ABI only if no input has the other one.
///
/// Spec: AAELF32 "ARM-specific e_flags".
fn flags(found: u32, inputs: &[u32]) -> bool {
    const SOFT: u32 = 0x200;
    const HARD: u32 = 0x400;
    let any = |flag: u32| inputs.iter().any(|flags| flags & flag != 0);
    let wrong = (found & HARD != 0 && any(SOFT)) || (found & SOFT != 0 && any(HARD));
    // Executables may say that their entry is a pair of state and address (EF_ARM_HASENTRY).
    found & 0xff00_0000 == 0x0500_0000 && found & 0x00ff_f9ff == 0 && !wrong
}

/// AAELF32 "Dynamic relocations", as rtld of glibc implements them.
fn dynamic(r_type: u32) -> Option<(Kind, u8)> {
    Some(match r_type {
        0 => return None,
        2 => (Kind::Symbol, 4),
        3 => (Kind::Pc32, 4),
        13 => (Kind::TlsDesc, 8),
        17 => (Kind::DtpMod, 4),
        18 => (Kind::DtpOff, 4),
        19 => (Kind::TpOff, 4),
        20 => (Kind::Copy, 0),
        21 => (Kind::GlobDat, 4),
        22 => (Kind::JumpSlot, 4),
        23 => (Kind::Relative, 4),
        160 => (Kind::Irelative, 4),
        _ => (Kind::Unknown, 4),
    })
}

/// Variant I: the thread control block of two words is below the block.
fn tp_bias(tls: &Tls) -> u64 {
    let align = tls.align.max(1);
    let gap = if align.is_power_of_two() { tls.address.wrapping_sub(8) & (align - 1) } else { 0 };
    gap.wrapping_add(8).wrapping_sub(tls.address)
}

/// R_ARM_TARGET1 and R_ARM_TARGET2, as the platform or the arguments say.
///
/// Spec: AAELF32 "Static miscellaneous relocations"; GNU/Linux takes ABS32 and GOT_PREL.
fn stands_for(r_type: u32, args: &[String]) -> u32 {
    let said = |wanted: &str| args.iter().any(|arg| arg.trim_start_matches('-') == wanted);
    match r_type {
        38 if said("target1-rel") => 3,
        38 => 2,
        41 if said("target2=rel") => 3,
        41 if said("target2=abs") => 2,
        41 => 96,
        other => other,
    }
}

/// What is special about a row besides its form and field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Note {
    /// Nothing.
    Plain,
    /// No T in the expression.
    NoState,
    /// A branch.
    Goes,
    /// The low half, the high half: 16 bits of the value.
    Low,
    High,
    /// The high half of S + A - P.
    HighOfDistance,
    /// Group `n`; the last one leaves no rest.
    Group(u8),
    Last(u8),
    /// Group `n` of a load: what the instructions before left.
    Rest(u8),
    /// Byte `n` of the value.
    Byte(u8),
    /// Some low bits of the value.
    Bits(u64),
}

macro_rules! rows {
    ($($name:ident = $number:literal $form:ident $field:expr, $note:expr;)*) => {
        fn entry(r_type: u32) -> Option<(&'static str, Form, Field, Note)> {
            use Field::*;
            use Note::*;
            Some(match r_type {
                $($number => (stringify!($name), Form::$form, $field, $note),)*
                _ => return None,
            })
        }
    };
}

rows! {
    R_ARM_NONE = 0                 None Data(0), Plain;
    R_ARM_PC24 = 1                 Pc Branch, Goes;
    R_ARM_ABS32 = 2                Abs Data(4), Plain;
    R_ARM_REL32 = 3                Pc Data(4), Plain;
    R_ARM_LDR_PC_G0 = 4            Pc Load, Rest(0);
    R_ARM_ABS16 = 5                Abs Data(2), NoState;
    R_ARM_ABS12 = 6                Abs Load, NoState;
    R_ARM_THM_ABS5 = 7             Abs ThumbLoad5, Bits(0x7c);
    R_ARM_ABS8 = 8                 Abs Data(1), NoState;
    R_ARM_THM_CALL = 10            Pc ThumbBranch, Goes;
    R_ARM_THM_PC8 = 11             Pc ThumbLiteral, NoState;
    R_ARM_TLS_DTPMOD32 = 17        DtpMod Data(4), Plain;
    R_ARM_TLS_DTPOFF32 = 18        DtpOff Data(4), Plain;
    R_ARM_TLS_TPOFF32 = 19         TpOff Data(4), Plain;
    R_ARM_THM_XPC22 = 16           Pc ThumbBranch, Goes;
    R_ARM_XPC25 = 15               Pc Branch, Goes;
    R_ARM_GOTOFF32 = 24            GotOff Data(4), Plain;
    R_ARM_BASE_PREL = 25           GotPc Data(4), Plain;
    R_ARM_GOT_BREL = 26            Got Data(4), Plain;
    R_ARM_PLT32 = 27               Pc Branch, Goes;
    R_ARM_CALL = 28                Pc Branch, Goes;
    R_ARM_JUMP24 = 29              Pc Branch, Goes;
    R_ARM_THM_JUMP24 = 30          Pc ThumbBranch, Goes;
    R_ARM_V4BX = 40                None Data(4), Plain;
    R_ARM_PREL31 = 42              Pc Prel31, Plain;
    R_ARM_MOVW_ABS_NC = 43         Abs Move, Low;
    R_ARM_MOVT_ABS = 44            Abs Move, High;
    R_ARM_MOVW_PREL_NC = 45        Pc Move, Low;
    R_ARM_MOVT_PREL = 46           Pc Move, HighOfDistance;
    R_ARM_THM_MOVW_ABS_NC = 47     Abs ThumbMove, Low;
    R_ARM_THM_MOVT_ABS = 48        Abs ThumbMove, High;
    R_ARM_THM_MOVW_PREL_NC = 49    Pc ThumbMove, Low;
    R_ARM_THM_MOVT_PREL = 50       Pc ThumbMove, HighOfDistance;
    R_ARM_THM_JUMP19 = 51          Pc ThumbConditional, Goes;
    R_ARM_THM_JUMP6 = 52           Pc Jump6, Goes;
    R_ARM_THM_ALU_PREL_11_0 = 53   Pc ThumbAdr, Plain;
    R_ARM_THM_PC12 = 54            Pc ThumbLoad, NoState;
    R_ARM_ABS32_NOI = 55           Abs Data(4), NoState;
    R_ARM_REL32_NOI = 56           Pc Data(4), NoState;
    R_ARM_ALU_PC_G0_NC = 57        Pc Alu, Group(0);
    R_ARM_ALU_PC_G0 = 58           Pc Alu, Last(0);
    R_ARM_ALU_PC_G1_NC = 59        Pc Alu, Group(1);
    R_ARM_ALU_PC_G1 = 60           Pc Alu, Last(1);
    R_ARM_ALU_PC_G2 = 61           Pc Alu, Last(2);
    R_ARM_LDR_PC_G1 = 62           Pc Load, Rest(1);
    R_ARM_LDR_PC_G2 = 63           Pc Load, Rest(2);
    R_ARM_LDRS_PC_G0 = 64          Pc LoadSigned, Rest(0);
    R_ARM_LDRS_PC_G1 = 65          Pc LoadSigned, Rest(1);
    R_ARM_LDRS_PC_G2 = 66          Pc LoadSigned, Rest(2);
    R_ARM_LDC_PC_G0 = 67           Pc LoadCoprocessor, Rest(0);
    R_ARM_LDC_PC_G1 = 68           Pc LoadCoprocessor, Rest(1);
    R_ARM_LDC_PC_G2 = 69           Pc LoadCoprocessor, Rest(2);
    R_ARM_TLS_GOTDESC = 90         TlsDesc Data(4), Plain;
    R_ARM_TLS_CALL = 91            TlsDescCall Branch, Plain;
    R_ARM_TLS_DESCSEQ = 92         None Data(4), Plain;
    R_ARM_THM_TLS_CALL = 93        TlsDescCall ThumbBranch, Plain;
    R_ARM_GOT_ABS = 95             GotAbs Data(4), Plain;
    R_ARM_GOT_PREL = 96            GotPcRel Data(4), Plain;
    R_ARM_GOT_BREL12 = 97          Got Load, Bits(u64::MAX);
    R_ARM_GOTOFF12 = 98            GotOff Load, Bits(u64::MAX);
    R_ARM_GOTRELAX = 99            None Data(4), Plain;
    R_ARM_GNU_VTENTRY = 100        None Data(0), Plain;
    R_ARM_GNU_VTINHERIT = 101      None Data(0), Plain;
    R_ARM_THM_JUMP11 = 102         Pc Jump11, Goes;
    R_ARM_THM_JUMP8 = 103          Pc Jump8, Goes;
    R_ARM_TLS_GD32 = 104           TlsGd Data(4), Plain;
    R_ARM_TLS_LDM32 = 105          TlsLd Data(4), Plain;
    R_ARM_TLS_LDO32 = 106          DtpOff Data(4), Plain;
    R_ARM_TLS_IE32 = 107           GotTpOff Data(4), Plain;
    R_ARM_TLS_LE32 = 108           TpOff Data(4), Plain;
    R_ARM_TLS_LDO12 = 109          DtpOff Load, Bits(u64::MAX);
    R_ARM_TLS_LE12 = 110           TpOff Load, Bits(u64::MAX);
    R_ARM_THM_TLS_DESCSEQ16 = 129  None Data(2), Plain;
    R_ARM_THM_TLS_DESCSEQ32 = 130  None Data(4), Plain;
    R_ARM_THM_GOT_BREL12 = 131     Got ThumbLoad, Bits(u64::MAX);
    R_ARM_THM_ALU_ABS_G0_NC = 132  Abs ThumbImmediate, Byte(0);
    R_ARM_THM_ALU_ABS_G1_NC = 133  Abs ThumbImmediate, Byte(1);
    R_ARM_THM_ALU_ABS_G2_NC = 134  Abs ThumbImmediate, Byte(2);
    R_ARM_THM_ALU_ABS_G3 = 135     Abs ThumbImmediate, Byte(3);
}

/// The row of a relocation.
fn row(r_type: u32) -> Option<Row> {
    let (name, form, field, note) = entry(r_type)?;
    let size = field.size();
    let data = matches!(field, Field::Data(_));
    // MOVW and MOVT of one address, in each state.
    let group = match r_type {
        43 | 44 => 1,
        47 | 48 => 2,
        45 | 46 => 3,
        49 | 50 => 4,
        _ => 0,
    };
    // LDR has no use for the state, MOVT no room; S + A of the first byte has both.
    let stateless = match note {
        Note::Plain | Note::Goes | Note::Low | Note::Group(_) | Note::Last(_) => false,
        Note::Byte(n) => n > 0,
        _ => true,
    };
    Some(Row {
        r_type,
        name,
        form,
        size,
        before: 0,
        after: size,
        code: !data,
        group,
        stateless,
        caller: field.thumb().into(),
    })
}

/// The addend in the place.
fn implicit(r_type: u32, data: &[u8], offset: u64) -> i64 {
    // Both stand for words.
    let r_type = if matches!(r_type, 38 | 41) { 2 } else { r_type };
    let Some((_, form, field, _)) = entry(r_type) else { return 0 };
    if matches!(form, Form::None | Form::TlsDescCall) {
        return 0;
    }
    let bytes = usize::try_from(offset).ok().and_then(|at| data.get(at..));
    bytes.and_then(|bytes| field.bits(bytes)).map_or(0, |bits| field.addend(bits))
}

/// The word at the site in the output, sign-extended.
fn word(site: Site<'_>) -> Result<u64, String> {
    site.field(0).ok_or_else(|| "a field outside its section".into())
}

/// What the instruction at the site makes.
fn code(site: Site<'_>, row: Row) -> Result<Access, String> {
    let (_, form, field, note) = entry(row.r_type).ok_or("no such relocation")?;
    let (before, now) = bits(site, field)?;
    if note == Note::Goes {
        return branch(site, field, before, now);
    }
    if (before ^ now) & !field.mask() != 0 {
        // ADD and SUB, LDR down and up: the mask has those; nothing else may change.
        return Err(format!("instruction {before:08x} became {now:08x}"));
    }
    let value = field.value(now) as u64;
    let place = site.place;
    // What counts from the instruction counts from its word in Thumb state.
    let from = if field.thumb() { place & !3 } else { place };
    Ok(match (note, form) {
        (Note::Low | Note::High | Note::HighOfDistance, _) => match (pair(site, row), form) {
            (Some(whole), Form::Abs) => Access::Number(whole.into(), 4),
            (Some(whole), _) => Access::Address(whole.into(), false),
            (None, Form::Abs) if note == Note::Low => Access::Part(value, 0xffff),
            (None, _) if note == Note::Low => Access::Part(value.wrapping_add(place), 0xffff),
            (None, _) => Access::Sum,
        },
        (Note::Group(_) | Note::Last(_), _) => Access::Sum,
        (Note::Rest(0), _) => Access::Address(place.wrapping_add(value), false),
        (Note::Rest(_), _) => Access::Sum,
        (Note::Byte(n), _) => Access::Part(value << (8 * n), 0xff << (8 * n)),
        (Note::Bits(mask), _) => Access::Part(value, mask),
        (_, Form::Abs) => Access::Number(value, 8),
        // A pointer for an unwinder: what it calls may be an entry of the PLT.
        (_, Form::Pc) if field == Field::Prel31 => Access::Address(place.wrapping_add(value), true),
        _ => Access::Address(from.wrapping_add(value), false),
    })
}

/// Input and output of the instruction.
fn bits(site: Site<'_>, field: Field) -> Result<(u32, u32), String> {
    let outside = || "a field outside its section".to_owned();
    let (input, output) = site.both(0, field.size().into()).ok_or_else(outside)?;
    field.bits(input).zip(field.bits(output)).ok_or_else(outside)
}

/// S + A, with the state, of MOVW and MOVT that make it together; each may count from its own place, its
/// addend too.
fn pair(site: Site<'_>, row: Row) -> Option<u32> {
    let (_, form, field, _) = entry(row.r_type)?;
    let low = |r_type: u32| matches!(r_type, 43 | 45 | 47 | 49);
    let half = |at: usize| {
        let (_, now) = bits(Site { at, ..site }, field).ok()?;
        Some(field.value(now) as u32 & 0xffff)
    };
    let addend = |at: usize| {
        let (before, _) = bits(Site { at, ..site }, field).unwrap_or_default();
        field.addend(before) as u32
    };
    let distance = |mate: &&Mate| (addend(mate.at) != addend(site.at), mate.at.abs_diff(site.at));
    let others = site.mates.iter().filter(|mate| low(mate.r_type) != low(row.r_type));
    let other = others.min_by_key(distance)?.at;
    if other.abs_diff(site.at) > 16 {
        return None;
    }
    let (low, high) = if low(row.r_type) { (site.at, other) } else { (other, site.at) };
    // What is taken from S.
    let less = |at: usize| match form {
        Form::Pc => {
            let place = (site.place as u32).wrapping_add(at as u32).wrapping_sub(site.at as u32);
            place.wrapping_sub(addend(at))
        }
        _ => addend(at).wrapping_neg(),
    };
    // The high half is of a sum whose low half follows from the other's.
    let symbol = half(low)?.wrapping_add(less(low));
    let rest = symbol.wrapping_sub(less(high)) & 0xffff;
    let symbol = (half(high)? << 16 | rest).wrapping_add(less(high));
    Some(symbol.wrapping_add(addend(site.at)))
}

/// Where a branch goes, and in which state it arrives there.
fn branch(site: Site<'_>, field: Field, before: u32, now: u32) -> Result<Access, String> {
    let thumb = field.thumb();
    let size = u64::from(field.size());
    let bias = if thumb { 4 } else { 8 };
    let nop = match (thumb, size) {
        (false, _) => matches!(now, 0xe320_f000 | 0xe1a0_0000),
        (true, 4) => matches!(now, 0xf3af_8000 | 0xe000_bf00 | 0xbf00_bf00 | 0x46c0_46c0),
        _ => matches!(now, 0xbf00 | 0x46c0),
    };
    if nop && nop_for(field, before) {
        return Ok(Access::Branch((site.place + size) | u64::from(thumb), bias));
    }
    let (mask, other) = match field {
        // BL and BLX: with the condition "always" they are one instruction in two states.
        Field::Branch if calls(before) && calls(now) => (0, now >> 28 == 0xf),
        Field::ThumbBranch if before & 0x4000 != 0 => (0x1000, now & 0x1000 == 0),
        _ => (0, false),
    };
    let fixed = if calls(before) && field == Field::Branch { 0 } else { !field.mask() & !mask };
    if (before ^ now) & fixed != 0 || (field == Field::Branch && calls(before) != calls(now)) {
        return Err(format!("branch {before:08x} became {now:08x}"));
    }
    let distance = field.value(now) as u64;
    let base = site.place.wrapping_add(bias);
    // BLX of Thumb counts from the word that it is in.
    let base = if thumb && other { base & !3 } else { base };
    let target = base.wrapping_add(distance) & 0xffff_ffff;
    Ok(Access::Branch(target | u64::from(thumb != other), bias))
}

/// BL without a condition, or BLX.
fn calls(bits: u32) -> bool {
    bits >> 24 == 0xeb || bits >> 25 == 0x7d
}

/// Whether the branch may become nothing: conditions or not, but not CBZ.
fn nop_for(field: Field, before: u32) -> bool {
    field != Field::Jump6 && before != 0
}

/// Whether the instruction is one for the sum.
fn fits(site: Site<'_>, row: Row, sum: Sum) -> bool {
    let Some((_, form, field, note)) = entry(row.r_type) else { return false };
    let Ok((_, now)) = bits(site, field) else { return false };
    let found = field.value(now);
    let mut value = (sum.symbol as u32).wrapping_add(sum.addend as u32);
    if !row.stateless {
        value |= sum.state as u32;
    }
    if form == Form::Pc {
        value = value.wrapping_sub(site.place as u32);
    }
    let distance = i64::from(value as i32);
    let magnitude = distance.unsigned_abs() as u32;
    let right = |wanted: u32| {
        let sign = wanted == 0 || (found < 0) == (distance < 0);
        found.unsigned_abs() == u64::from(wanted) && sign
    };
    match note {
        Note::High | Note::HighOfDistance => found as u32 & 0xffff == value >> 16,
        Note::Group(n) => right(fields::group(magnitude, n).0),
        Note::Last(n) => {
            let (chunk, rest) = fields::group(magnitude, n);
            right(chunk) && rest == 0
        }
        Note::Rest(0) => right(magnitude),
        Note::Rest(n) => right(fields::group(magnitude, n - 1).1),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
