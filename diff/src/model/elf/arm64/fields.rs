//! Instruction fields of AArch64, and the addresses that several of them make.
//!
//! A row's field says which bits of the instruction are its own; a relocation's mates have the rest of the
//! address. What linkers rewrite (ADRP and LDR of a GOT entry, ADRP and ADD) is known by all its bits. It
//! must not know symbols.
//!
//! Spec: AAELF64 §5.7; relaxations: §5.7 "Relocation optimization".

use super::eval::{self, NOP, bits, destination, is_add, is_adr, signed, source};
use super::{groups, stubs};
use crate::bytes::{number, sign_extend};
use crate::model::elf::machine::{Access, Form, Mate, Row, Site};

/// Which bits of an instruction are the field, and what they count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    /// Bytes that are no instruction.
    Data,
    /// Words from the place: `imm26`.
    Branch26,
    /// `imm19`: conditional branches and literals.
    Word19,
    /// `imm14`.
    Word14,
    /// ADR.
    Adr,
    /// ADRP.
    Page,
    /// `imm12`, in units of 2^n bytes.
    Low(u32),
    /// `imm12`, in units of 4096 bytes.
    High,
    /// `imm16` of MOVZ, MOVN and MOVK: which halfword; whether all bits above must be right.
    Half(u32, bool),
    /// A marker.
    Mark,
}

impl Field {
    /// The bits of the instruction that are not the field's.
    fn rest(self) -> u32 {
        match self {
            Self::Data => 0,
            Self::Branch26 => 0xfc00_0000,
            Self::Word19 => 0xff00_001f,
            Self::Word14 => 0xfff8_001f,
            Self::Adr | Self::Page => 0x9f00_001f,
            Self::Low(_) | Self::High => 0xffc0_03ff,
            Self::Half(..) => 0xffe0_001f,
            Self::Mark => u32::MAX,
        }
    }
}

/// The instruction at `at` of input and output; one that a patch of an erratum moved is where it was.
pub(super) fn words(site: Site<'_>, at: usize) -> Result<(u32, u32), String> {
    let site = Site { place: address(site, at), at, ..site };
    let (input, output) = site.both(0, 4).ok_or("an instruction outside its section")?;
    let (input, output) = (number(input) as u32, number(output) as u32);
    if eval::branch(input).is_none()
        && let Some(word) = stubs::moved(site.image, output, site.place)
    {
        return Ok((input, word));
    }
    Ok((input, output))
}

/// The address of offset `at` of the site's section.
pub(super) fn address(site: Site<'_>, at: usize) -> u64 {
    site.place.wrapping_sub(site.at as u64).wrapping_add(at as u64)
}

pub(super) fn changed(input: u32, output: u32) -> String {
    format!("instruction {input:08x} became {output:08x}")
}

/// What the instruction at a site makes, with its mates.
pub(super) fn access(site: Site<'_>, row: Row) -> Result<Access, String> {
    let field = super::field(row.r_type);
    let (input, output) = words(site, site.at)?;
    let kept = (input ^ output) & field.rest() == 0;
    let place = site.place;
    match field {
        Field::Data => data(site, row),
        Field::Branch26 if output == NOP => Ok(Access::Number(0, 8)),
        Field::Page | Field::Low(_) | Field::High if row.form != Form::Got => paired(site, row),
        Field::Half(..) => halves(site, row),
        // A GOT entry read by its address, made the address itself.
        Field::Word19
            if row.form == Form::GotPcRel
                && eval::is_adr(output)
                && destination(input) == destination(output) =>
        {
            Ok(Access::Address(place.wrapping_add(eval::adr_immediate(output)), false))
        }
        _ if !kept => Err(changed(input, output)),
        Field::Branch26 => Ok(branch(place, signed(output, 0, 26) << 2)),
        Field::Word14 => Ok(branch(place, signed(output, 5, 14) << 2)),
        Field::Word19 => {
            let target = place.wrapping_add(signed(output, 5, 19) << 2);
            let call = row.form == Form::Plt;
            Ok(if row.form == Form::GotPcRel {
                Access::Slot(target, false)
            } else {
                Access::Address(target, call)
            })
        }
        Field::Adr => Ok(Access::Address(place.wrapping_add(eval::adr_immediate(output)), false)),
        // From the GOT, or from its page.
        Field::Low(shift) => {
            let offset = u64::from(bits(output, 10, 12)) << shift;
            let page = if row.r_type == GOTPAGE { !0xfff } else { u64::MAX };
            Ok(Access::FromGot(offset, page))
        }
        _ => Err("an instruction that nobody decodes".into()),
    }
}

/// R_AARCH64_LD64_GOTPAGE_LO15.
const GOTPAGE: u32 = 313;

fn branch(place: u64, by: u64) -> Access {
    Access::Address(place.wrapping_add(by), true)
}

/// Data that may be signed or not: the psABI lets both through.
fn data(site: Site<'_>, row: Row) -> Result<Access, String> {
    let (_, bytes) = site.both(0, row.size.into()).ok_or("a relocation outside its section")?;
    let mask = if row.size >= 8 { u64::MAX } else { (1 << (8 * u32::from(row.size))) - 1 };
    let value = number(bytes);
    match row.form {
        Form::GotPcRel => {
            Ok(Access::Slot(site.place.wrapping_add(sign_extend(value, row.size)), false))
        }
        _ => Ok(Access::Part(value, mask)),
    }
}

/// What one instruction of a pair has of the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Half {
    /// Everything but the low 12 bits.
    High(u64),
    /// The low 12 bits.
    Low(u64),
    /// All of it.
    Whole(u64),
    /// The GOT slot itself, read by its address.
    Literal(u64),
    /// Nothing any more.
    Gone,
}

/// An instruction of a pair; `true` if what it made from the GOT is an address now.
fn half(site: Site<'_>, mate: Mate) -> Result<(Half, bool), String> {
    let field = super::field(mate.r_type);
    let (input, output) = words(site, mate.at)?;
    let place = address(site, mate.at);
    let same = destination(input) == destination(output);
    let kept = (input ^ output) & field.rest() == 0;
    let page = |word| (place & !0xfff).wrapping_add(eval::adr_immediate(word) << 12);
    let direct = place.wrapping_add(eval::adr_immediate(output));
    let got = super::row(mate.r_type).is_some_and(|row| row.form == Form::GotPcRel);
    match field {
        _ if output == NOP => Ok((Half::Gone, false)),
        Field::Page if kept => Ok((Half::High(page(output)), false)),
        // A page in reach, which saves the erratum (bfd); or with the offset too.
        Field::Page if same && is_adr(output) && direct & 0xfff == 0 => {
            Ok((Half::High(direct), false))
        }
        Field::Page if same && is_adr(output) => Ok((Half::Whole(direct), got)),
        Field::High if kept => Ok((Half::High(u64::from(bits(output, 10, 12)) << 12), false)),
        Field::Low(shift) if kept => {
            Ok((Half::Low(u64::from(bits(output, 10, 12)) << shift), false))
        }
        Field::Low(_) if same && is_adr(output) && (got || is_add(input)) => {
            Ok((Half::Whole(direct), got))
        }
        Field::Low(_) if got && same && is_add(output) && source(input) == source(output) => {
            Ok((Half::Low(bits(output, 10, 12).into()), true))
        }
        Field::Low(_) if got && same && eval::is_literal(output) => {
            Ok((Half::Literal(place.wrapping_add(signed(output, 5, 19) << 2)), false))
        }
        _ => Err(changed(input, output)),
    }
}

/// Two instructions that have the high and the low bits of an address, or of an offset.
fn paired(site: Site<'_>, row: Row) -> Result<Access, String> {
    let own = Mate { at: site.at, r_type: row.r_type };
    let (mine, direct) = half(site, own)?;
    let partner = partner(site, own);
    let (other, other_direct) = match partner {
        Some(mate) => half(site, mate)?,
        None => (Half::Gone, false),
    };
    let direct = direct || other_direct;
    let got = row.form == Form::GotPcRel;
    let whole = |value: u64| match row.form {
        Form::GotPcRel if !direct => Access::Slot(value, false),
        Form::Abs | Form::Pc | Form::GotPcRel => Access::Address(value, false),
        _ => Access::Part(value, u64::MAX),
    };
    match (mine, other) {
        (Half::High(high), Half::Low(low)) | (Half::Low(low), Half::High(high)) => {
            Ok(whole(high.wrapping_add(low)))
        }
        (Half::Whole(value), Half::Gone) | (Half::Gone, Half::Whole(value))
            if partner.is_some() =>
        {
            Ok(whole(value))
        }
        (Half::Literal(slot), Half::Gone) | (Half::Gone, Half::Literal(slot)) if got => {
            Ok(Access::Slot(slot, false))
        }
        _ if partner.is_some() => Err("an address whose halves don't fit".into()),
        (Half::High(high), _) => Ok(Access::Part(high, !0xfff)),
        // Where overflow is checked there is nothing above.
        (Half::Low(low), _) if super::is_checked(row.r_type) => Ok(Access::Part(low, u64::MAX)),
        (Half::Low(low), _) => Ok(Access::Part(low, 0xfff)),
        _ => Err("half of an address that is gone".into()),
    }
}

/// The relocation that has the other half: next to it, or the nearest that uses the same register.
fn partner(site: Site<'_>, own: Mate) -> Option<Mate> {
    let high = |mate: &Mate| matches!(super::field(mate.r_type), Field::Page | Field::High);
    let others = site.mates.iter().copied().filter(|mate| high(mate) != high(&own));
    let register = |mate: Mate| {
        let (input, _) = words(site, mate.at).ok()?;
        Some(if high(&mate) { destination(input) } else { source(input) })
    };
    let mine = register(own);
    others.min_by_key(|mate| {
        let backwards = high(&own) == (mate.at < own.at);
        (backwards, register(*mate) != mine, mate.at.abs_diff(own.at))
    })
}

/// MOVZ or MOVN and its MOVKs.
fn halves(site: Site<'_>, row: Row) -> Result<Access, String> {
    let own = Mate { at: site.at, r_type: row.r_type };
    let relative = row.form == Form::Pc;
    let mut found: [Option<(u64, bool)>; 4] = [None; 4];
    let mut negative = false;
    let mut list: Vec<Mate> = if relative { Vec::new() } else { site.mates.to_vec() };
    list.retain(|mate| *mate != own);
    list.sort_by_key(|mate| mate.at.abs_diff(own.at));
    for mate in std::iter::once(own).chain(list) {
        let Field::Half(index, checked) = super::field(mate.r_type) else { continue };
        let Some(slot) = found.get_mut(index as usize).filter(|slot| slot.is_none()) else {
            continue;
        };
        let (input, output) = words(site, mate.at)?;
        let rest = Field::Half(index, checked).rest();
        // MOVZ and MOVN may become each other where the value is signed.
        let sign = if groups::signed(mate.r_type) { 1 << 30 } else { 0 };
        if (input ^ output) & rest & !sign != 0 {
            return Err(changed(input, output));
        }
        let inverted = output >> 29 & 3 == 0;
        let bits = u64::from(bits(output, 5, 16));
        *slot = Some((if inverted { !bits & 0xffff } else { bits }, checked));
        negative |= inverted;
    }
    let (mut value, mut mask) = (0, 0);
    for (index, half) in found.iter().enumerate() {
        if let Some((bits, _)) = half {
            value |= bits << (16 * index);
            mask |= 0xffff << (16 * index);
        }
    }
    let top = found.iter().rposition(Option::is_some).unwrap_or(0);
    // Where overflow is checked there is nothing above but the sign.
    if matches!(found[top], Some((_, true))) && top < 3 {
        mask |= u64::MAX << (16 * (top + 1));
        if negative {
            value |= u64::MAX << (16 * (top + 1));
        }
    }
    let origin = if relative { site.place } else { 0 };
    match (row.form, mask) {
        (Form::Abs | Form::AbsSigned, u64::MAX) => Ok(Access::Number(value, 8)),
        (Form::Pc, u64::MAX) => Ok(Access::Address(site.place.wrapping_add(value), false)),
        (Form::Got, u64::MAX) => Ok(Access::FromGot(value, u64::MAX)),
        _ => Ok(Access::PartFrom(value, mask, origin)),
    }
}
