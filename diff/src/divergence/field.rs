//! Fields that have bits already where a relocation goes: some linkers or the value into them.
//!
//! It must not know what linkers made of them.

use object::{
    File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget,
    Section,
};

use crate::model::archive;
use crate::oracle::Mismatch;
use crate::{Format, Request};

/// `e_machine` of the one whose instructions are looked at.
const MACHINE: u16 = 183;

/// R_AARCH64_CALL26.
const CALL26: u32 = 283;

/// How far from a site the other instructions of its sequence are.
const NEAR: u64 = 16;

/// Whether the instruction that the key `site.FILE:SECTION+0xOFF` speaks of, or another that refers to the same
/// symbol beside it, has bits in its field, or one that refers to the symbol of `import.NAME` or of a value
/// `dynamic NAME`, which then seems to be used otherwise, or one of the function of `call NAME`. On AArch64 only: where
/// relocations have no addends, fields have.
pub(super) fn has_bits(request: &Request, first: &Mismatch) -> bool {
    let target = request.target;
    if (target.arch.machine(), target.format) != (MACHINE, Format::Elf) {
        return false;
    }
    let part = |about| first.key.strip_prefix(about);
    let values = [&first.found, &first.wanted];
    let named: Vec<_> = values.iter().filter_map(|it| it.strip_prefix("dynamic ")).collect();
    let base = |name: &str| name.split('@').next().unwrap_or(name).to_owned();
    let parts = (part("site."), part("import."), part("call "));
    let look = |name: &str, bytes: &[u8]| match parts {
        (Some(place), ..) => {
            in_object(name, bytes, place) || named.iter().any(|name| of_symbol(bytes, &base(name)))
        }
        (_, Some(import), _) => of_symbol(bytes, &base(import)),
        (_, _, Some(function)) => in_function(bytes, function),
        _ => false,
    };
    archive::contents(request).iter().any(|(name, bytes)| look(name, bytes))
}

/// Whether an instruction of the function `name`, if this object defines it, has bits in its field.
fn in_function(bytes: &[u8], name: &str) -> bool {
    let Ok(elf) = File::parse(bytes) else { return false };
    let own = elf.symbols().find(|symbol| symbol.is_definition() && symbol.name() == Ok(name));
    let Some(symbol) = own else { return false };
    let section = symbol.section_index().map(|index| elf.section_by_index(index));
    let Some(Ok(section)) = section else { return false };
    let data = section.data().unwrap_or_default();
    // A reduced case has lost the sizes.
    let size = if symbol.size() == 0 { section.size() } else { symbol.size() };
    let body = symbol.address()..symbol.address().saturating_add(size);
    let all = records(&section);
    all.iter().any(|(at, r_type, _)| body.contains(at) && filled(data, *at, *r_type))
}

/// Whether an instruction of this object that refers to `name` has bits in its field.
fn of_symbol(bytes: &[u8], name: &str) -> bool {
    let Ok(elf) = File::parse(bytes) else { return false };
    let wanted = elf.symbols().find(|symbol| symbol.is_undefined() && symbol.name() == Ok(name));
    let Some(wanted) = wanted.map(|symbol| RelocationTarget::Symbol(symbol.index())) else {
        return false;
    };
    elf.sections().any(|section| {
        let data = section.data().unwrap_or_default();
        let all = records(&section);
        all.iter().any(|(at, r_type, to)| *to == wanted && filled(data, *at, *r_type))
    })
}

/// Offset, type and target of each relocation.
fn records(section: &Section<'_, '_>) -> Vec<(u64, u32, RelocationTarget)> {
    let all = section.relocations().filter_map(|(at, relocation)| match relocation.flags() {
        RelocationFlags::Elf { r_type } => Some((at, r_type.0, relocation.target())),
        _ => None,
    });
    all.collect()
}

/// Whether the instruction at `at` has bits where a relocation of this type goes.
fn filled(data: &[u8], at: u64, r_type: u32) -> bool {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let word = data.get(at..).and_then(|rest| rest.first_chunk());
    word.is_some_and(|word| u32::from_le_bytes(*word) & field(r_type) != 0)
}

fn in_object(file: &str, bytes: &[u8], place: &str) -> bool {
    let Some(rest) = place.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    let Some((section, offset)) = rest.rsplit_once("+0x") else { return false };
    let Ok(offset) = u64::from_str_radix(offset, 16) else { return false };
    let (name, nth) = match section.rsplit_once('#') {
        Some((name, nth)) => (name, nth.parse().unwrap_or(0)),
        None => (section, 0),
    };
    let Ok(elf) = File::parse(bytes) else { return false };
    let found = elf.sections().filter(|section| section.name() == Ok(name)).nth(nth);
    let Some(section) = found else { return false };
    let data = section.data().unwrap_or_default();
    let records = records(&section);
    let symbol = records.iter().find(|record| record.0 == offset).map(|record| record.2);
    // A TLS sequence calls a function that its variable's name is not in.
    let mut beside = records.iter().filter(|(at, r_type, to)| {
        at.abs_diff(offset) <= NEAR && (Some(*to) == symbol || *r_type == CALL26)
    });
    beside.any(|(at, r_type, _)| filled(data, *at, *r_type))
}

/// Where a relocation of this type goes in an instruction: AAELF64 §5.7.6 and on.
fn field(r_type: u32) -> u32 {
    match r_type {
        // MOVZ, MOVN, MOVK.
        263..=272
        | 287..=293
        | 300..=308
        | 515
        | 516
        | 520
        | 521
        | 523..=527
        | 539
        | 540
        | 544..=548
        | 565
        | 566 => 0x001f_ffe0,
        // LDR (literal), B.cond.
        273 | 280 | 309 | 522 | 543 | 560 => 0x00ff_ffe0,
        // ADR, ADRP.
        274..=276 | 311 | 512 | 513 | 517 | 518 | 541 | 561 | 562 => 0x60ff_ffe0,
        // TBZ, TBNZ.
        279 => 0x0007_ffe0,
        // B, BL.
        282 | 283 => 0x03ff_ffff,
        // ADD, LDR, STR.
        277
        | 278
        | 284..=286
        | 299
        | 310
        | 312
        | 313
        | 514
        | 519
        | 528..=538
        | 542
        | 549..=559
        | 563
        | 564 => 0x003f_fc00,
        _ => 0,
    }
}
