//! Names that only the linker defines → whether the address a reference got is a right one for that name.
//!
//! Where linkers put these differs (JUDGE row 8 of the divergences): each is judged by its relation to
//! what it bounds. It must not know relocations.

use super::judge::Judge;
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
    // Without a table the two names of a pair may be anywhere, as long as they are equal.
    let equal = |wanted: Option<u64>| wanted.is_none_or(|wanted| wanted == value);
    let right = match name {
        "_GLOBAL_OFFSET_TABLE_" => return Some(got(judge, value)),
        "_DYNAMIC" if dynamic.is_none() => return None,
        "_DYNAMIC" => equal(image.dynamic.map(|(address, _)| address)),
        "__ehdr_start" | "__executable_start" => equal(first()),
        "__GNU_EH_FRAME_HDR" => equal(image.unwind.map(|(address, _)| address)),
        "__init_array_start" => equal(array(|d| d.init_array, false)),
        "__init_array_end" => equal(array(|d| d.init_array, true)),
        "__fini_array_start" => equal(array(|d| d.fini_array, false)),
        "__fini_array_end" => equal(array(|d| d.fini_array, true)),
        "__preinit_array_start" => equal(array(|d| d.preinit_array, false)),
        "__preinit_array_end" => equal(array(|d| d.preinit_array, true)),
        "__rela_iplt_start" | "__rela_iplt_end" => true,
        "__dso_handle" => image.segment(value).is_some(),
        "_end" | "end" => ends(judge, value, |_, _| true),
        "_edata" | "edata" => ends(judge, value, |flags, nobits| flags & 1 != 0 && !nobits),
        "_etext" | "etext" => ends(judge, value, |flags, _| flags & 4 != 0),
        "__bss_start" => judge.places.sections().all(|(id, base)| {
            let section = judge.inputs.section(id);
            section.is_none_or(|s| !s.nobits() || s.flags & 0x400 != 0 || base >= value)
        }),
        _ => {
            let (bound, end) = match (name.strip_prefix("__start_"), name.strip_prefix("__stop_")) {
                (Some(bound), _) => (bound, false),
                (_, Some(bound)) => (bound, true),
                _ => return None,
            };
            bounds(judge, bound, end, value)?
        }
    };
    Some(match right {
        true => Meaning::Linker(name.into()),
        false => Meaning::Bad(format!("not where `{name}` has to be")),
    })
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
fn bounds(judge: &Judge<'_, '_>, bound: &str, end: bool, value: u64) -> Option<bool> {
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
