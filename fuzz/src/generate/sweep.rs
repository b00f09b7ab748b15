//! The relocation boundary sweep: every relocation over the boundary values of its psABI range, with
//! numbers and with places, as section symbol and as named symbol, in every mode.
//!
//! Whether a value fits is arithmetic, so [`crate::expect`] knows the answer without any linker. Each
//! case has one relocation that matters, in a marked section whose field already has bits in it.
//! Numbering is stable. It must not know what a linker makes of a case.

use std::sync::OnceLock;

use scold_diff::{Mode, Target};

use super::parts;
use crate::Case;
use crate::case::{
    Binding, Definition, Input, Object, Opt, Section, SectionKind, Symbol, SymbolKind, SymbolRef,
    Visibility,
};
use crate::expect::amd64::{Form, Row, find};

/// What the relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Referent {
    /// A number that only this object knows.
    LocalNumber,
    /// A number that the module knows.
    HiddenNumber,
    /// A number that others may preempt.
    GlobalNumber,
    /// Symbol 0: the addend is all.
    Null,
    /// A named place of the same section.
    Near,
    /// The same section's symbol.
    NearSection,
    /// A hidden name in another section.
    Far,
    /// Another section's symbol.
    FarSection,
    /// A TLS variable of this module.
    Tls,
    /// The TLS section's symbol.
    TlsSection,
}

/// One point of the sweep: a relocation, what it refers to, and numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Point {
    r_type: u32,
    referent: Referent,
    /// The value the field should get, or the symbol should have.
    value: i64,
    /// How much of the value is in the addend.
    addend: i64,
    /// What fills the field beforehand.
    preset: u8,
    /// Bytes of the instruction before the field.
    code: &'static [u8],
    /// `--no-relax`.
    keep: bool,
}

/// How many numbers there are for `target`.
pub fn count(target: Target) -> u64 {
    let _ = target;
    points().len() as u64 * Mode::ALL.len() as u64
}

/// The case of a number; `None` behind the last.
pub fn case(target: Target, number: u64) -> Option<Case> {
    let modes = Mode::ALL.len() as u64;
    let mode = Mode::ALL[(number % modes) as usize];
    let point = points().get(usize::try_from(number / modes).ok()?)?;
    Some(build(target, mode, point))
}

/// Every case for `target`, in the order of its numbers.
pub fn sweep(target: Target) -> impl Iterator<Item = Case> {
    (0..count(target)).filter_map(move |number| case(target, number))
}

fn points() -> &'static [Point] {
    static POINTS: OnceLock<Vec<Point>> = OnceLock::new();
    POINTS.get_or_init(|| {
        let mut list = Vec::new();
        for r_type in [1, 10, 11, 12, 14] {
            absolute_points(r_type, &mut list);
        }
        for r_type in [2, 4, 13, 15, 24] {
            relative_points(r_type, &mut list);
        }
        got_points(&mut list);
        size_points(&mut list);
        tls_points(&mut list);
        list
    })
}

/// The boundaries of a field: of its range, of every way to misread it, and single bits.
fn boundaries(row: &Row) -> Vec<i64> {
    let bits = u32::from(row.width) * 8;
    let mut edges: Vec<i128> = vec![0, i128::from(i64::MIN), i128::from(i64::MAX)];
    for bits in [bits - 1, bits, bits + 1] {
        edges.extend([1_i128 << bits, -(1_i128 << bits)]);
    }
    edges.extend([i128::from(u32::MAX), 0x7fff_ffff, 0xffff_ffff_0000_0000]);
    let mut list: Vec<i64> = Vec::new();
    for edge in edges {
        for step in [-1, 0, 1] {
            list.push((edge + step) as i64);
        }
    }
    list.extend((0..64).step_by(3).map(|bit| 1_i64 << bit));
    list.extend([0x55, 0x5aa5_5aa5, 0x1234_5678_9abc_def0, -2, -0x55]);
    list.sort_unstable();
    list.dedup();
    list
}

fn absolute_points(r_type: u32, list: &mut Vec<Point>) {
    use Referent::{Far, FarSection, GlobalNumber, HiddenNumber, LocalNumber, Null};
    let Some(row) = find(r_type) else { return };
    let ways: &[(Referent, i64, u8)] = &[
        (LocalNumber, 0, 0x00),
        (LocalNumber, 1, 0xff),
        (HiddenNumber, -1, 0xa5),
        (HiddenNumber, 0x7fff_ffff, 0x00),
        (GlobalNumber, 0, 0xff),
        (Null, 0, 0xff),
    ];
    for value in boundaries(row) {
        for &(referent, addend, preset) in ways {
            list.push(Point { addend, preset, ..point(r_type, referent, value) });
        }
    }
    for addend in [-1, 0, 1, 0x7fff_ffff, -0x8000_0000, 0x1_0000_0000] {
        for referent in [Far, FarSection] {
            list.push(Point { preset: 0xff, ..point(r_type, referent, addend) });
        }
    }
}

fn relative_points(r_type: u32, list: &mut Vec<Point>) {
    use Referent::{Far, FarSection, HiddenNumber, LocalNumber, Near, NearSection};
    let Some(row) = find(r_type) else { return };
    let code: &[u8] = match r_type {
        2 => &[0x48, 0x8d, 0x05],
        4 => &[0xe8],
        _ => &[],
    };
    for value in boundaries(row) {
        for (referent, preset) in [(Near, 0x00), (NearSection, 0xff)] {
            list.push(Point { preset, code, ..point(r_type, referent, value) });
        }
    }
    // A distance to a number: only where the image can't move, and far from the edge.
    for value in [0, 1, 0x1000, 0x3000_0000, 0x7fff_ffff, 0x1_0000_0000, -1, -0x8000_0000, i64::MIN]
    {
        for referent in [LocalNumber, HiddenNumber] {
            list.push(Point { preset: 0xff, code, ..point(r_type, referent, value) });
        }
    }
    for addend in [-5, -4, 0, 1, 0x3fff, -0x4000, 0x7fff_ffff, -0x8000_0000, 0x1_0000_0000] {
        for referent in [Far, FarSection] {
            list.push(Point { preset: 0xff, code, ..point(r_type, referent, addend) });
        }
    }
}

/// Loads through the GOT that linkers may turn into immediates and addresses.
fn got_points(list: &mut Vec<Point>) {
    use Referent::{Far, GlobalNumber, HiddenNumber, LocalNumber};
    let forms: &[(u32, &[u8])] = &[
        (42, &[0x48, 0x8b, 0x05]), // mov x@gotpcrel(%rip), %rax
        (42, &[0x4c, 0x8b, 0x3d]), // mov …, %r15
        (42, &[0x48, 0x3b, 0x05]), // cmp
        (42, &[0x48, 0x03, 0x0d]), // add …, %rcx
        (42, &[0x48, 0x85, 0x05]), // test
        (41, &[0x8b, 0x05]),       // mov …, %eax
        (41, &[0x3b, 0x05]),       // cmp …, %eax
        (41, &[0xff, 0x15]),       // call *
        (41, &[0xff, 0x25]),       // jmp *
        (9, &[0x48, 0x8b, 0x05]),  // the form that must be left alone
        (9, &[0xff, 0x35]),        // push
    ];
    let values: &[i64] = &[
        0,
        1,
        -1,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0001,
        0xffff_ffff,
        0x1_0000_0000,
        -0x7fff_ffff,
        -0x8000_0000,
        -0x8000_0001,
        i64::MIN,
        i64::MAX,
        0x1234_5678_9abc_def0,
    ];
    for &(r_type, code) in forms {
        for keep in [false, true] {
            for referent in [LocalNumber, HiddenNumber, GlobalNumber] {
                for &value in values {
                    let base = point(r_type, referent, value);
                    list.push(Point { addend: -4, code, keep, ..base });
                }
            }
            let base = point(r_type, Far, 0);
            list.push(Point { addend: -4, code, keep, ..base });
        }
    }
}

fn size_points(list: &mut Vec<Point>) {
    for r_type in [32, 33] {
        for value in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, -1] {
            for addend in [0, 1, -1] {
                let base = point(r_type, Referent::Far, value);
                list.push(Point { addend, preset: 0xff, ..base });
            }
        }
    }
}

/// Offsets from the thread pointer and in the TLS block.
fn tls_points(list: &mut Vec<Point>) {
    // mov $x@tpoff, %rax; R_X86_64_TPOFF64 and DTPOFF64 are words of data.
    let forms: &[(u32, &[u8])] = &[
        (23, &[0x48, 0xc7, 0xc0]),
        (21, &[0x48, 0xc7, 0xc0]),
        (18, &[]),
        (17, &[]),
        (22, &[0x48, 0x8b, 0x05]),
        (22, &[0x4c, 0x03, 0x3d]),
    ];
    for &(r_type, code) in forms {
        for referent in [Referent::Tls, Referent::TlsSection] {
            let addends: &[i64] = match r_type {
                22 => &[-4],
                _ => &[0, 1, -1, 8, 0x7fff_ffff, -0x7fff_0000, 0x1_0000_0000, -0x1_0000_0000],
            };
            for &addend in addends {
                let keep = r_type == 22 && referent == Referent::TlsSection;
                let base = point(r_type, referent, addend);
                list.push(Point { preset: 0xff, code, keep, ..base });
            }
        }
    }
}

fn point(r_type: u32, referent: Referent, value: i64) -> Point {
    Point { r_type, referent, value, addend: 0, preset: 0, code: &[], keep: false }
}

fn build(target: Target, mode: Mode, point: &Point) -> Case {
    let mut case = parts::case(target, mode);
    if point.keep {
        case.options.push(Opt::NoRelax);
    }
    let width = find(point.r_type).map_or(8, |row| u64::from(row.width));
    let mut bytes = point.code.to_vec();
    let field = bytes.len() as u64;
    bytes.resize(bytes.len() + width as usize, point.preset);
    bytes.resize(bytes.len() + 8, 0xcc);
    let mut site = match point.code {
        [] => parts::section(".data.site", "aw", &bytes),
        _ => parts::section(".text.site", "ax", &bytes),
    };
    let mut object = parts::object("a.o");
    let (symbol, addend) = refer(&mut object, point, field);
    site.relocs.push(parts::reloc(field, point.r_type, symbol, addend));
    object.sections.insert(0, site);
    parts::add_entry(&mut object, mode);
    case.inputs.push(Input::Object(object));
    case
}

/// Adds what the relocation refers to (the site will be section 0); gives symbol and addend.
fn refer(object: &mut Object, point: &Point, field: u64) -> (SymbolRef, i64) {
    let (value, addend) = (point.value, point.addend);
    let at = |section, offset| Definition::Section { section, offset };
    let number = |value: i64| Definition::Absolute(value as u64);
    let r_form = find(point.r_type).map(|row| row.form);
    let sum = if r_form == Some(Form::Got) { value } else { value.wrapping_sub(addend) };
    // The field is `16 + field` bytes into its section.
    let place = 16 + field as i64;
    match point.referent {
        Referent::LocalNumber => (name(object, Binding::Local, number(sum)), addend),
        Referent::HiddenNumber => {
            let symbol = name(object, Binding::Global, number(sum));
            object.symbols[0].visibility = Visibility::Hidden;
            (symbol, addend)
        }
        Referent::GlobalNumber => (name(object, Binding::Global, number(sum)), addend),
        Referent::Null => (SymbolRef::Null, value),
        Referent::Near => {
            let symbol = name(object, Binding::Local, at(0, 16));
            (symbol, value.wrapping_add(place - 16))
        }
        Referent::NearSection => (SymbolRef::Section(0), value.wrapping_add(place)),
        Referent::Far => {
            object.sections.push(parts::section(".data.far", "aw", &[0x11; 16]));
            let symbol = name(object, Binding::Global, at(1, 24));
            object.symbols[0].visibility = Visibility::Hidden;
            object.symbols[0].kind = SymbolKind::Object;
            object.symbols[0].size = 8;
            match r_form {
                Some(Form::Size) => {
                    object.symbols[0].size = sum as u64;
                    (symbol, addend)
                }
                Some(Form::Got) => (symbol, addend),
                _ => (symbol, value),
            }
        }
        Referent::FarSection => {
            object.sections.push(parts::section(".data.far", "aw", &[0x11; 16]));
            (SymbolRef::Section(1), value.wrapping_add(24))
        }
        Referent::Tls | Referent::TlsSection => {
            object.sections.push(parts::section(".tdata", "awt", &[0x22; 16]));
            object.sections.push(zeroed_tls());
            let symbol = name(object, Binding::Local, at(1, 24));
            object.symbols[0].kind = SymbolKind::Tls;
            object.symbols[0].size = 8;
            match point.referent {
                Referent::Tls => (symbol, value),
                _ => (SymbolRef::Section(1), value.wrapping_add(24)),
            }
        }
    }
}

/// A `.tbss` with another alignment behind the template.
fn zeroed_tls() -> Section {
    Section {
        kind: SectionKind::Nobits,
        align: 64,
        marker: false,
        data: crate::case::Data::Zeros(40),
        ..parts::section(".tbss", "awt", &[])
    }
}

fn name(object: &mut Object, binding: Binding, definition: Definition) -> SymbolRef {
    let symbol = parts::symbol("thing", SymbolKind::Notype, definition);
    object.symbols.push(Symbol { binding, ..symbol });
    SymbolRef::Named(object.symbols.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use scold_diff::expectation::Refusal;
    use scold_diff::model::ErrorClass;

    #[test]
    fn every_number_gives_a_case_with_an_expectation() {
        let target = Target::AMD64_ELF;
        assert!(count(target) > 5_000, "{}", count(target));
        assert!(case(target, count(target)).is_none());
        for case in sweep(target) {
            assert!(crate::expect::expect(&case).facts.iter().next().is_some());
        }
    }

    #[test]
    fn both_sides_of_every_limit_are_there() {
        for r_type in [2, 4, 10, 11, 12, 13, 14, 15] {
            let row = find(r_type).unwrap();
            let (min, max) = row.limits();
            let values = boundaries(row);
            for edge in [min - 1, min, 0, 1, max, max + 1] {
                let edge = i64::try_from(edge).unwrap();
                assert!(values.contains(&edge), "{} {edge:#x}", row.name);
            }
        }
    }

    #[test]
    fn a_value_beyond_the_limit_must_be_refused() {
        let over = Point { preset: 0xff, ..point(11, Referent::LocalNumber, 0x8000_0000) };
        let fits = Point { value: 0x7fff_ffff, ..over };
        let expect = |p| crate::expect::expect(&build(Target::AMD64_ELF, Mode::Exe, p)).refusal;
        assert_eq!(expect(&over), Refusal::Must(vec![ErrorClass::RelocOverflow]));
        assert_eq!(expect(&fits), Refusal::Never);
    }
}
