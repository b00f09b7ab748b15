//! Names that only the linker defines → whether the address a reference got is a right one for that name.
//!
//! Where linkers put these differs (JUDGE row 8 of the divergences): each is judged by its relation to
//! what it bounds. It must not know relocations.

use super::bounds;
use super::judge::Judge;
use super::object::Section;
use crate::loader::Segment;
use crate::model::Meaning;

/// The meaning of `value` as the address of the linker-made `name`; `None` if it is not such a name.
pub(super) fn meaning(judge: &Judge<'_, '_>, name: &str, value: u64) -> Option<Meaning> {
    let image = &judge.module.image;
    let dynamic = judge.module.dynamic.as_ref();
    let first = || image.loads.iter().find(|load| load.offset == 0).map(|load| load.address);
    let array = |pick: fn(&crate::loader::Dynamic) -> (u64, u64), end: bool| {
        let (start, size) = dynamic.map(pick).filter(|(start, _)| *start != 0)?;
        Some(if end { start.wrapping_add(size) } else { start })
    };
    let equal = |wanted: Option<u64>| wanted == Some(value);
    let end = name.ends_with("_end");
    let right = match name {
        "_GLOBAL_OFFSET_TABLE_" => return Some(got(judge, value)),
        "_DYNAMIC" if dynamic.is_none() => return None,
        "_DYNAMIC" => equal(image.dynamic.map(|(address, _)| address)),
        "__ehdr_start" | "__executable_start" => equal(first()),
        "__GNU_EH_FRAME_HDR" => equal(image.unwind.map(|(address, _)| address)),
        "__init_array_start" | "__init_array_end" => {
            table(judge, "init", array(|d| d.init_array, end), (14, end), value)
        }
        "__fini_array_start" | "__fini_array_end" => {
            table(judge, "fini", array(|d| d.fini_array, end), (15, end), value)
        }
        "__preinit_array_start" | "__preinit_array_end" => {
            table(judge, "preinit", array(|d| d.preinit_array, end), (16, end), value)
        }
        "__rela_iplt_start" | "__rela_iplt_end" | "__rel_iplt_start" | "__rel_iplt_end" => {
            indirect(judge, end, value)
        }
        // An address that no other module has: the start of the image, its data, or nothing in a program.
        "__dso_handle" => {
            image.segment(value).is_some_and(|segment| !segment.executable() || segment.offset == 0)
        }
        "_end" | "end" => ends(judge, value, |_, _| true),
        "_edata" | "edata" => {
            ends(judge, value, |flags, nobits| flags & 1 != 0 && !nobits)
                && within(judge, value, |segment| segment.writable(), |segment| segment.file_size)
        }
        "_etext" | "etext" => {
            ends(judge, value, |flags, _| flags & 4 != 0)
                && within(judge, value, |segment| segment.executable(), |segment| segment.size)
        }
        "__bss_start" => zeros(judge, value),
        _ if name.starts_with("runtime.") => bounds::marker(judge, name, value)?,
        _ => {
            let (bound, end) = match (name.strip_prefix("__start_"), name.strip_prefix("__stop_")) {
                (Some(bound), _) => (bound, false),
                (_, Some(bound)) => (bound, true),
                _ => return None,
            };
            identifier(judge, bound, end, value)?
        }
    };
    Some(match right {
        true => Meaning::Linker(name.into()),
        false => Meaning::Bad(format!("not where `{name}` has to be")),
    })
}

/// Whether `value` is the bound that start-up code needs of a table of functions: the dynamic one, or, in a
/// static program, that of the sections of this type. An empty table's bounds only have to be equal.
fn table(
    judge: &Judge<'_, '_>,
    pair: &'static str,
    dynamic: Option<u64>,
    (kind, end): (u32, bool),
    value: u64,
) -> bool {
    if let Some(wanted) = dynamic {
        return wanted == value;
    }
    let image = &judge.module.image;
    let filled = image.headers.iter().filter(|h| h.kind == kind && h.size > 0);
    let (low, high) = filled.fold((u64::MAX, 0), |(low, high), header| {
        (low.min(header.address), high.max(header.address.saturating_add(header.size)))
    });
    if judge.module.dynamic.is_none() && low < high {
        return value == if end { high } else { low };
    }
    *judge.bounds.borrow_mut().entry(pair).or_insert(value) == value
}

/// The bounds of the IRELATIVE table that a static program applies itself. A dynamic one leaves it to the
/// loader: there nothing reads them.
fn indirect(judge: &Judge<'_, '_>, end: bool, value: u64) -> bool {
    let module = judge.module;
    if module.dynamic.is_some() {
        return true;
    }
    let mut slots = module.irelative.iter();
    match (slots.next(), module.irelative.last()) {
        (Some(first), Some(last)) => {
            let entry = module.image.class.reloc_size(!module.machine.rel);
            value == if end { last.saturating_add(entry) } else { *first }
        }
        _ => *judge.bounds.borrow_mut().entry("iplt").or_insert(value) == value,
    }
}

/// Whether `value` is in one of these segments, or where its first `len` bytes end.
fn within(
    judge: &Judge<'_, '_>,
    value: u64,
    which: fn(&Segment) -> bool,
    len: fn(&Segment) -> u64,
) -> bool {
    let mut loads = judge.module.image.loads.iter().filter(|load| which(load)).peekable();
    // Without any there is no end of it either.
    loads.peek().is_none() || loads.any(|load| value.wrapping_sub(load.address) <= len(load))
}

/// Whether the zero-filled data starts at `value`: none before it, nothing stored between it and the first.
fn zeros(judge: &Judge<'_, '_>, value: u64) -> bool {
    let writable = || {
        judge.places.sections().filter_map(|(id, base)| {
            let section = judge.inputs.section(id).filter(|s| s.flags & 0x401 == 1)?;
            Some((section, base))
        })
    };
    let first = writable().filter(|(section, _)| section.nobits()).map(|(_, base)| base).min();
    let stored = |(section, base): (&Section<'_>, u64)| {
        !section.nobits() && base >= value && first.is_some_and(|first| base < first)
    };
    first.is_none_or(|first| value <= first)
        && within(judge, value, |segment| segment.writable(), |segment| segment.size)
        && !writable().any(stored)
}

/// Whether `name` is one that linkers define when nobody else does.
pub(super) fn is_linkers(name: &str) -> bool {
    matches!(
        name,
        "_GLOBAL_OFFSET_TABLE_"
            | "_DYNAMIC"
            | "__ehdr_start"
            | "__executable_start"
            | "_end"
            | "end"
            | "_edata"
            | "edata"
            | "_etext"
            | "etext"
            | "__bss_start"
            | "__dso_handle"
            | "__GNU_EH_FRAME_HDR"
            | "_PROCEDURE_LINKAGE_TABLE_"
            | "_TLS_MODULE_BASE_"
    ) || [
        "__start_",
        "__stop_",
        "__init_array_",
        "__fini_array_",
        "__preinit_array_",
        "__rela_iplt_",
        "__rel_iplt_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// `_GLOBAL_OFFSET_TABLE_`: the same for everybody who asks.
pub(super) fn got(judge: &Judge<'_, '_>, value: u64) -> Meaning {
    let known = judge.got_base().unwrap_or(value);
    let image = &judge.module.image;
    let mapped = [value, value.wrapping_sub(1)].iter().any(|at| image.segment(*at).is_some());
    match known == value && mapped {
        true => Meaning::GotBase,
        false => Meaning::Bad("not the GOT's base".into()),
    }
}

/// Whether `value` is at or after the end of all sections that `which` wants by flags and NOBITS.
fn ends(judge: &Judge<'_, '_>, value: u64, which: fn(u64, bool) -> bool) -> bool {
    let image = &judge.module.image;
    let last = image.loads.iter().map(|load| load.address.wrapping_add(load.size)).max();
    let after = judge.places.sections().all(|(id, base)| {
        let Some(section) = judge.inputs.section(id) else { return true };
        !which(section.flags, section.nobits())
            || section.flags & 0x400 != 0
            || base.saturating_add(section.size) <= value
    });
    after && last.is_some_and(|last| value <= last.next_multiple_of(4096))
}

/// Whether `value` bounds the output section that has all input sections called `bound`.
fn identifier(judge: &Judge<'_, '_>, bound: &str, end: bool, value: u64) -> Option<bool> {
    let named = |name: &str| name == bound;
    let mut range: Option<(u64, u64, u64)> = None;
    for (id, base) in judge.places.sections() {
        let Some(section) = judge.inputs.section(id).filter(|section| named(section.name)) else {
            continue;
        };
        let stop = base.saturating_add(section.size);
        let (low, high, align) = range.unwrap_or((base, stop, 1));
        range = Some((low.min(base), high.max(stop), align.max(section.align)));
    }
    let (low, high, align) = range?;
    // Padding inside the output section, before the first and after the last input section.
    Some(if end {
        value >= high && value - high < align
    } else {
        value <= low && low - value < align
    })
}
