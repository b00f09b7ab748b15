//! The names by which Go's runtime asks for the bounds of sections → whether an address is the right one.
//!
//! A mode has the linker define them. The runtime looks at all that is between: they are exact. It must not know
//! relocations.

use super::judge::Judge;
use super::match_names;

/// A section that has names for where it starts and ends.
#[derive(Debug)]
pub(crate) struct Bound {
    /// `runtime.text`.
    pub(crate) start: &'static str,
    /// `runtime.etext`.
    pub(crate) end: &'static str,
    /// `.text`.
    pub(crate) section: &'static str,
    /// What stands in for it, among other sections, where it would have addresses in it.
    pub(crate) moved: Option<&'static str>,
    /// What it is where no input says: SHT_*, SHF_*.
    pub(crate) kind: u32,
    /// See `kind`.
    pub(crate) flags: u64,
}

/// A row of data that is written.
const fn row(start: &'static str, end: &'static str, section: &'static str, kind: u32) -> Bound {
    Bound { start, end, section, moved: None, kind, flags: 3 }
}

/// Every such section.
pub(crate) const BOUNDS: [Bound; 7] = [
    Bound { flags: 6, ..row("runtime.text", "runtime.etext", ".text", 1) },
    Bound { flags: 2, ..row("runtime.rodata", "runtime.erodata", ".rodata", 1) },
    Bound {
        moved: Some(".data.rel.ro.go.type"),
        flags: 2,
        ..row("runtime.types", "runtime.etypes", ".go.type", 1)
    },
    row("runtime.noptrdata", "runtime.enoptrdata", ".noptrdata", 1),
    row("runtime.data", "runtime.edata", ".data", 1),
    row("runtime.bss", "runtime.ebss", ".bss", 8),
    row("runtime.noptrbss", "runtime.enoptrbss", ".noptrbss", 8),
];

/// Whether `name` is one of them.
pub(super) fn is_marker(name: &str) -> bool {
    name.starts_with("runtime.") && BOUNDS.iter().any(|row| row.start == name || row.end == name)
}

impl Bound {
    /// Whether input sections called `name` are part of it: the usual ones have others behind a dot, and the old
    /// way to say COMDAT.
    pub(crate) fn has(&self, name: &str) -> bool {
        let letter = match self.section {
            ".text" => "t",
            ".rodata" => "r",
            ".data" => "d",
            ".bss" => "b",
            _ => return name == self.section || self.moved == Some(name),
        };
        let once = name.strip_prefix(".gnu.linkonce.").and_then(|rest| rest.split_once('.'));
        let rest = name.strip_prefix(self.section);
        once.is_some_and(|(kind, rest)| kind == letter && !rest.starts_with("rel.ro"))
            || (rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                && !rest.is_some_and(|rest| rest.starts_with(".rel.ro")))
    }
}

/// Whether `value` is exactly where the section starts or ends that `name` bounds. Bounds of a section that isn't
/// there only have to be equal.
///
/// What can't be found may be part of it, and so may common storage of `.bss`, which some linkers have behind it, and
/// thunks: then the bound may be further out, as long as nothing else is between.
pub(super) fn marker(judge: &Judge<'_, '_>, name: &str, value: u64) -> Option<bool> {
    let bound = BOUNDS.iter().find(|row| row.start == name || row.end == name)?;
    let all = Bound { moved: None, ..*bound };
    let objects = judge.inputs.objects.iter().flat_map(|object| &object.sections);
    let mut own = objects.filter(|s| s.has(super::object::ALLOC) && s.name == bound.section);
    let rows: &[&Bound] = match (own.next().is_some(), judge.inputs.gc) {
        (false, _) => &[bound],
        (true, false) => &[&all],
        // Whatever is garbage is not there.
        (true, true) => &[&all, bound],
    };
    Some(rows.iter().any(|row| bounds(judge, row, row.end == name, value)))
}

/// The same of one section; `is_end`: where it ends.
fn bounds(judge: &Judge<'_, '_>, bound: &Bound, is_end: bool, value: u64) -> bool {
    let mut range: Option<(u64, u64)> = None;
    let mut others = Vec::new();
    let mut commons = false;
    for (id, base) in judge.places.sections() {
        let section = judge.inputs.section(id);
        let common = section.is_none() && bound.section == ".bss";
        commons |= common;
        match section {
            Some(section) if section.size == 0 || section.has(super::object::TLS) => {}
            Some(section) if bound.has(section.name) => {
                let stop = base.saturating_add(section.size);
                let (low, high) = range.unwrap_or((base, stop));
                range = Some((low.min(base), high.max(stop)));
            }
            _ if common => {}
            _ => others.push(base),
        }
    }
    let Some((low, high)) = range else {
        let empty = *judge.bounds.borrow_mut().entry(bound.start).or_insert(value) == value;
        if commons || is_hidden(judge, bound) {
            let ends = [value, value.wrapping_sub(1)];
            let inside = ends.iter().any(|at| judge.module.image.segment(*at).is_some());
            // What has no known place may be garbage, and nothing is left.
            return inside || judge.inputs.gc && !commons && empty;
        }
        return empty;
    };
    let exact = match is_end {
        // What is empty and last is aligned all the same.
        true => [high, high.next_multiple_of(empty_align(judge, bound))].contains(&value),
        false => value == low,
    };
    let loose = || commons || has_thunk(judge, bound, high) || is_hidden(judge, bound);
    let between = |from: u64, to: u64| others.iter().any(|base| (from..to).contains(base));
    exact
        || match is_end {
            true => loose() && value > high && !between(high, value),
            false => loose() && value < low && !between(value, low),
        }
}

/// How the empty input sections of it are aligned at most.
fn empty_align(judge: &Judge<'_, '_>, bound: &Bound) -> u64 {
    let sections = judge.inputs.objects.iter().flat_map(|object| &object.sections);
    let empty = sections.filter(|s| s.size == 0 && s.kind != 0 && bound.has(s.name));
    empty.map(|s| s.align).filter(|align| align.is_power_of_two()).max().unwrap_or(1)
}

/// Whether a thunk is right behind code that ends at `end`: part of the section to some linkers.
fn has_thunk(judge: &Judge<'_, '_>, bound: &Bound, end: u64) -> bool {
    // In either state of Arm's.
    let starts = [2, 4, 8, 16].map(|align| end.next_multiple_of(align));
    let starts = [starts, starts.map(|start| start + 1)].concat();
    let stub = judge.module.machine.stub;
    bound.section == ".text" && starts.iter().any(|at| stub(&judge.module.image, *at).is_ok())
}

/// Whether something of the section may be in the output that has no known place: it has neither a marker nor a
/// symbol that the output would have.
fn is_hidden(judge: &Judge<'_, '_>, bound: &Bound) -> bool {
    let objects = judge.inputs.objects.iter().zip(&judge.inputs.first);
    objects.into_iter().any(|(object, first)| {
        let parts = object.sections.iter().enumerate().filter(|(at, section)| {
            let unknown = judge.places.base(first + *at as u32).is_none();
            let loaded = section.has(super::object::ALLOC) && section.size > 0;
            loaded && unknown && section.marker().is_none() && bound.has(section.name)
        });
        parts.into_iter().any(|(at, _)| {
            let id = first + at as u32;
            object.sections[at].merged()
                || match_names::leave_open(judge.inputs, judge.module, &judge.places.symbols, id)
        })
    })
}
