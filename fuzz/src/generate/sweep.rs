//! The relocation boundary sweep: every relocation over the boundary values of its psABI range, with
//! numbers and with places, as section symbol and as named symbol, in every mode.
//!
//! Whether a value fits is arithmetic, so [`crate::expect`] knows the answer without any linker. Each
//! case has one relocation that matters, in a marked section whose field already has bits in it.
//! Numbering is stable. It must not know what a linker makes of a case.

use std::sync::OnceLock;

use scold_diff::request::Format;
use scold_diff::{Mode, Target};

use super::parts;
use crate::case::{
    Binding, Data, Definition, Input, Marker, Object, Opt, Section, SectionKind, Symbol,
    SymbolKind, SymbolRef, Visibility,
};
use crate::machine::{self, Form, Machine, Piece, Row};
use crate::{Case, emit};

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

/// One point of the sweep: a piece of code or data, what it refers to, and numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Point {
    piece: &'static Piece,
    /// The row of the piece's first field.
    row: &'static Row,
    referent: Referent,
    /// The value the field should get, or the symbol should have.
    value: i64,
    /// How much of the value is in the addend.
    addend: i64,
    /// What fills the fields beforehand.
    preset: u8,
    /// `--no-relax`.
    keep: bool,
}

/// How many numbers there are for `target`.
pub fn count(target: Target) -> u64 {
    points(target).len() as u64 * Mode::ALL.len() as u64
}

/// The case of a number; `None` behind the last.
pub fn case(target: Target, number: u64) -> Option<Case> {
    let modes = Mode::ALL.len() as u64;
    let mode = Mode::ALL[(number % modes) as usize];
    let point = points(target).get(usize::try_from(number / modes).ok()?)?;
    Some(build(target, mode, point))
}

/// Every case for `target`, in the order of its numbers.
pub fn sweep(target: Target) -> impl Iterator<Item = Case> {
    (0..count(target)).filter_map(move |number| case(target, number))
}

fn points(target: Target) -> &'static [Point] {
    static POINTS: OnceLock<Vec<Vec<Point>>> = OnceLock::new();
    let all = POINTS.get_or_init(|| machine::MACHINES.iter().map(|one| points_of(one)).collect());
    let machines = machine::MACHINES.iter().position(|one| one.arch == target.arch);
    machines.map_or(&[], |index| &all[index])
}

fn points_of(machine: &Machine) -> Vec<Point> {
    let mut list = Vec::new();
    for piece in machine.sweep {
        let Some(row) = machine.row(piece.fields[0].1) else { continue };
        let point = Point {
            piece,
            row,
            referent: Referent::Null,
            value: 0,
            addend: 0,
            preset: 0,
            keep: false,
        };
        match row.form {
            Form::Absolute => absolute_points(point, &mut list),
            Form::Relative | Form::Call => relative_points(point, &mut list),
            Form::Got | Form::GotHalf => got_points(point, &mut list),
            Form::Size => size_points(point, &mut list),
            _ => tls_points(point, &mut list),
        }
    }
    list.retain(|point| can_be_written(machine, point) && can_be_reached(machine, point));
    list
}

/// Whether a branch reaches its place by itself. AAELF32 §5.6.1: a veneer is for a function, or for another section's place.
fn can_be_reached(machine: &Machine, point: &Point) -> bool {
    let near = matches!(point.referent, Referent::Near | Referent::NearSection);
    !(near && machine.interworks && point.row.check.extended) || point.row.fits(point.value as u64)
}

/// Whether the object can say it: addends fit their fields, and numbers an address.
fn can_be_written(machine: &Machine, point: &Point) -> bool {
    if machine.rela {
        return true;
    }
    let target = Target { arch: machine.arch, format: Format::Elf };
    let mut object = parts::object("a.o");
    let (_, addend, before) = refer(machine, &mut object, point);
    let words = object.symbols.iter().all(|symbol| match symbol.definition {
        Definition::Absolute(value) => i32::try_from(value as i64).is_ok() || value >> 32 == 0,
        Definition::Section { offset, .. } => offset >> 31 == 0,
        _ => true,
    });
    let has = |(_, r_type, own): &(u8, u32, i8)| {
        emit::machine::can_have(target, *r_type, addend.wrapping_add((*own).into()))
    };
    words && before <= MOST_BEFORE && point.piece.fields.iter().all(has)
}

/// As much as may stand before a place to make a distance.
const MOST_BEFORE: u64 = 0x11_0000;

/// The boundaries of a field: of its range, of every way to misread it, and single bits.
fn boundaries(row: &Row) -> Vec<i64> {
    let bits = u32::from(row.check.bits.max(1));
    let mut edges: Vec<i128> = vec![0, i128::from(i64::MIN), i128::from(i64::MAX)];
    for bits in [bits - 1, bits, bits + 1] {
        edges.extend([1_i128 << bits, -(1_i128 << bits)]);
    }
    if let machine::Range::Groups(count) = row.check.range {
        // The highest that so many groups and the rest hold: all ones, from the top down.
        let ones = bits - 1 + 8 * u32::from(count);
        edges.extend((ones..=ones + 2).flat_map(|bits| [1_i128 << bits, -(1_i128 << bits)]));
    }
    edges.extend([i128::from(u32::MAX), 0x7fff_ffff, 0xffff_ffff_0000_0000]);
    let mut list: Vec<i64> = Vec::new();
    for edge in edges {
        for step in [-1, 0, 1] {
            list.push((edge + step) as i64);
        }
        if row.check.align > 1 {
            let align = i128::from(row.check.align);
            list.extend([edge - align, edge - align / 2, edge + align].map(|edge| edge as i64));
        }
    }
    list.extend((0..64).step_by(3).map(|bit| 1_i64 << bit));
    list.extend([0x55, 0x5aa5_5aa5, 0x1234_5678_9abc_def0, -2, -0x55]);
    list.sort_unstable();
    list.dedup();
    list
}

fn absolute_points(point: Point, list: &mut Vec<Point>) {
    use Referent::{Far, FarSection, GlobalNumber, HiddenNumber, LocalNumber, Null};
    let ways: &[(Referent, i64, u8)] = &[
        (LocalNumber, 0, 0x00),
        (LocalNumber, 1, 0xff),
        (HiddenNumber, -1, 0xa5),
        (HiddenNumber, 0x7fff_ffff, 0x00),
        (GlobalNumber, 0, 0xff),
        (Null, 0, 0xff),
    ];
    for value in boundaries(point.row) {
        for &(referent, addend, preset) in ways {
            list.push(Point { referent, value, addend, preset, ..point });
        }
    }
    for value in [-1, 0, 1, 8, 0x7fff_ffff, -0x8000_0000, 0x1_0000_0000] {
        for referent in [Far, FarSection] {
            list.push(Point { referent, value, preset: 0xff, ..point });
        }
    }
}

fn relative_points(point: Point, list: &mut Vec<Point>) {
    use Referent::{Far, FarSection, HiddenNumber, LocalNumber, Near, NearSection};
    for value in boundaries(point.row) {
        for (referent, preset) in [(Near, 0x00), (NearSection, 0xff)] {
            list.push(Point { referent, value, preset, ..point });
        }
    }
    // A distance to a number: only where the image can't move, and far from the edge.
    for value in [0, 1, 0x1000, 0x3000_0000, 0x7fff_ffff, 0x1_0000_0000, -1, -0x8000_0000, i64::MIN]
    {
        for referent in [LocalNumber, HiddenNumber] {
            list.push(Point { referent, value, preset: 0xff, ..point });
        }
    }
    for value in [-5, -4, 0, 1, 0x3fff, -0x4000, 0x7fff_ffff, -0x8000_0000, 0x1_0000_0000] {
        for referent in [Far, FarSection] {
            list.push(Point { referent, value, preset: 0xff, ..point });
        }
    }
}

/// Loads through the GOT that linkers may turn into immediates and addresses.
fn got_points(point: Point, list: &mut Vec<Point>) {
    use Referent::{Far, GlobalNumber, HiddenNumber, LocalNumber};
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
    for keep in [false, true] {
        for referent in [LocalNumber, HiddenNumber, GlobalNumber] {
            for &value in values {
                list.push(Point { referent, value, keep, ..point });
            }
        }
        list.push(Point { referent: Far, keep, preset: 0xff, ..point });
    }
}

fn size_points(point: Point, list: &mut Vec<Point>) {
    for value in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, -1] {
        for addend in [0, 1, -1] {
            list.push(Point { referent: Referent::Far, value, addend, preset: 0xff, ..point });
        }
    }
}

/// Offsets from the thread pointer and in the TLS block.
fn tls_points(point: Point, list: &mut Vec<Point>) {
    let offset = matches!(point.row.form, Form::TpOffset | Form::DtpOffset);
    let values: &[i64] = match offset {
        false => &[0],
        true => &[0, 1, -1, 8, 0x7fff_ffff, -0x7fff_0000, 0x1_0000_0000, -0x1_0000_0000],
    };
    for referent in [Referent::Tls, Referent::TlsSection] {
        for &value in values {
            let keep = !offset && referent == Referent::TlsSection;
            list.push(Point { referent, value, preset: 0xff, keep, ..point });
        }
    }
}

fn build(target: Target, mode: Mode, point: &Point) -> Case {
    let mut case = parts::case(target, mode);
    if point.keep {
        case.options.push(Opt::NoRelax);
    }
    let machine = machine::of(target.arch);
    let mut site = match point.piece.code {
        true => parts::section(".text.site", "ax", &[]),
        false => parts::section(".data.site", "aw", &[]),
    };
    let mut object = parts::object("a.o");
    let (symbol, addend, before) = refer(machine, &mut object, point);
    let nops = machine.code.nop.iter().copied().cycle();
    if let Data::Bytes(bytes) = &mut site.data {
        bytes.extend(nops.take(before as usize));
    }
    parts::add_piece(&mut site, point.piece, symbol, addend);
    if let Data::Bytes(bytes) = &mut site.data {
        for &(at, r_type, _) in point.piece.fields {
            let Some(row) = machine.row(r_type) else { continue };
            let bits = (u64::from_ne_bytes([point.preset; 8]) & row.field.mask).to_le_bytes();
            let field = bytes
                .iter_mut()
                .skip(before as usize + usize::from(at))
                .take(row.field.width.into());
            field.zip(bits).for_each(|(byte, bits)| *byte |= bits);
        }
        bytes.extend([0xcc; 8]);
    }
    object.sections.insert(0, site);
    parts::add_entry(machine, &mut object, mode);
    case.inputs.push(Input::Object(object));
    case
}

/// Adds what the relocation refers to (the site will be section 0); gives symbol and addend, and how many
/// bytes must stand before the piece.
fn refer(machine: &Machine, object: &mut Object, point: &Point) -> (SymbolRef, i64, u64) {
    if point.referent == Referent::Near && !machine.rela {
        return refer_by_place(machine, object, point);
    }
    let (symbol, addend) = refer_by_addend(machine, object, point);
    (symbol, addend, 0)
}

/// A place in the same section, far enough for the value: fields may have no room for it.
fn refer_by_place(machine: &Machine, object: &mut Object, point: &Point) -> (SymbolRef, i64, u64) {
    let place = 16 + i64::from(point.piece.fields[0].0);
    let step = machine.code.align as i64;
    let before = (16 - place).saturating_sub(point.value).max(0);
    let before = before.saturating_add(step - 1) / step * step;
    let offset = place.saturating_add(before).saturating_add(point.value) as u64;
    let symbol = name(object, Binding::Local, Definition::Section { section: 0, offset });
    (symbol, 0, before as u64)
}

fn refer_by_addend(machine: &Machine, object: &mut Object, point: &Point) -> (SymbolRef, i64) {
    let (value, addend) = (point.value, point.addend);
    let at = |section, offset| Definition::Section { section, offset };
    let number = |value: i64| Definition::Absolute(machine.address(value as u64));
    let got = matches!(point.row.form, Form::Got | Form::GotHalf);
    let sum = value.wrapping_sub(addend);
    // The field is so many bytes into its section.
    let place = 16 + i64::from(point.piece.fields[0].0);
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
            if point.row.form == Form::Size {
                object.symbols[0].size = sum as u64;
                return (symbol, addend);
            }
            (symbol, if got { addend } else { value })
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
        marker: Marker::None,
        data: Data::Zeros(40),
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
        for target in [Target::AMD64_ELF, Target::ARM_ELF] {
            assert!(count(target) > 5_000, "{}", count(target));
            assert!(case(target, count(target)).is_none());
            for case in sweep(target) {
                assert!(crate::expect::expect(&case).facts.iter().next().is_some());
            }
        }
    }

    #[test]
    fn both_sides_of_every_limit_are_there() {
        for machine in machine::MACHINES {
            for row in machine.sweep.iter().filter_map(|piece| machine.row(piece.fields[0].1)) {
                if row.limits().1 > i128::from(i64::MAX) {
                    continue;
                }
                let (min, max) = row.limits();
                let values = boundaries(row);
                let align = i128::from(row.check.align);
                for edge in [min - 1, min, 0, 1, max, max + 1, max + 1 - align] {
                    let edge = i64::try_from(edge).unwrap();
                    assert!(values.contains(&edge), "{} {edge:#x}", row.name);
                }
            }
        }
    }

    #[test]
    fn a_value_beyond_the_limit_must_be_refused() {
        let row = machine::of(Target::AMD64_ELF.arch).row(11).unwrap();
        let fits = |p: &&Point| p.row == row && p.referent == Referent::LocalNumber;
        let of = |value| {
            let mut list = points(Target::AMD64_ELF).iter().filter(fits);
            *list.find(|p| p.value == value).unwrap()
        };
        let expect = |p| crate::expect::expect(&build(Target::AMD64_ELF, Mode::Exe, &p)).refusal;
        assert_eq!(expect(of(0x8000_0000)), Refusal::Must(vec![ErrorClass::RelocOverflow]));
        assert_eq!(expect(of(0x7fff_ffff)), Refusal::Never);
    }
}
