//! The relocation boundary sweep of Mach-O: every type, length and r_pcrel of both machines over the boundary
//! values of its range, with numbers and places, named and by section, in every mode; pairs of differences of both
//! lengths; addends in the field and in ARM64_RELOC_ADDEND; offsets that their instruction can't scale.
//!
//! Whether a value fits is arithmetic, so [`crate::expect`] knows the answer without any linker. Each case has one
//! relocation that matters. Numbering is stable. It must not know what a linker makes of a case.

use std::sync::OnceLock;

use scold_diff::request::Arch;
use scold_diff::{Mode, Target};

use super::code;
use super::parts::{self, Content};
use crate::Case;
use crate::case::{
    Binding, Definition, Desc, Input, Object, Opt, Reloc, Symbol, SymbolKind, SymbolRef, Validity,
    Visibility,
};
use crate::emit;
use crate::machine::macho::{self, Machine};
use crate::machine::{Form, Piece, Row};

/// What the relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Referent {
    /// A number that only the object knows, that the image knows, that others may override.
    LocalNumber,
    PrivateNumber,
    GlobalNumber,
    /// Symbol 0.
    Null,
    /// A name 32 bytes into the same atom, and its section.
    Near,
    NearSection,
    /// A private name of another section, and its section.
    Far,
    FarSection,
    /// An exported name, a weak one, a common one.
    Exported,
    Weak,
    Common,
    /// A library's.
    Import,
    /// A variable.
    Variable,
    /// A string, by name and by section.
    Text,
    TextSection,
}

use Referent::*;

/// One point of the sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Point {
    bytes: &'static [u8],
    /// Where in them, and what: of an address in two parts both, where one alone says nothing.
    fields: &'static [(u8, u32, i8)],
    /// Of the first field.
    row: &'static Row,
    /// The piece is in `__TEXT,__text`.
    code: bool,
    referent: Referent,
    /// Of numbers: their value.
    number: u64,
    addend: i64,
    /// Bits in the first field's instruction.
    bits: u32,
    /// Its subtrahend: a name in the same atom, or another's.
    minus: Option<Referent>,
}

const MODES: [Mode; 4] = [Mode::CShared, Mode::Plugin, Mode::Shared, Mode::Pie];
/// Modes, fixups, atoms.
const VARIANTS: u64 = 16;

/// How many numbers there are for `target`.
pub fn count(target: Target) -> u64 {
    points(target.arch).len() as u64 * VARIANTS
}

/// The case of a number.
pub fn case(target: Target, number: u64) -> Option<Case> {
    let point = points(target.arch).get((number / VARIANTS) as usize)?;
    let variant = number % VARIANTS;
    let mode = MODES[variant as usize % 4];
    Some(build(target, mode, (variant / 4).is_multiple_of(2), variant / 8 == 0, point))
}

fn points(arch: Arch) -> &'static [Point] {
    static AMD64: OnceLock<Vec<Point>> = OnceLock::new();
    static ARM64: OnceLock<Vec<Point>> = OnceLock::new();
    let list = if arch == Arch::Arm64 { &ARM64 } else { &AMD64 };
    list.get_or_init(|| {
        let mut all = Points { arch, machine: macho::of(arch), list: Vec::new() };
        all.pieces().into_iter().for_each(|(piece, code)| all.piece(&piece, code));
        all.differences();
        all.list
    })
}

/// The list in the making.
struct Points {
    arch: Arch,
    machine: &'static Machine,
    list: Vec<Point>,
}

impl Points {
    /// Every piece whose first field is swept, and whether it is code.
    fn pieces(&self) -> Vec<(Piece, bool)> {
        let code = code::of(self.arch);
        let mut list = vec![
            (code.call, true),
            (code.jump, true),
            (code.take, true),
            (code.load, true),
            (code.variable, true),
            (code.slot, true),
        ];
        list.extend(code.direct.iter().map(|piece| (*piece, true)));
        list.extend(code.rare.iter().map(|piece| (*piece, piece.code)));
        list.push((code.words[0], false));
        list.push((code.words[0], true));
        list.push((code.words[1], false));
        list
    }

    fn add(&mut self, piece: &Piece, code: bool, referent: Referent, number: u64, addend: i64) {
        let whole = |form| matches!(form, Form::Got | Form::TlsDescriptor);
        for (index, field) in piece.fields.iter().enumerate() {
            let Some(row) = self.machine.row(field.1) else { continue };
            let (bytes, bits, minus) = (piece.bytes, 0, None);
            let fields = match whole(row.form) || matches!(referent, Text | TextSection) {
                true if index > 0 => break,
                true => piece.fields,
                false => &piece.fields[index..=index],
            };
            if fields.iter().all(|f| emit::macho::can_have(self.arch, f.1, addend)) {
                self.list.push(Point {
                    bytes,
                    fields,
                    row,
                    code,
                    referent,
                    number,
                    addend,
                    bits,
                    minus,
                });
            }
        }
    }

    fn piece(&mut self, piece: &Piece, code: bool) {
        let Some(row) = piece.fields.first().and_then(|field| self.machine.row(field.1)) else {
            return;
        };
        if row.form == Form::TlsDescriptor {
            for referent in [Variable, Far, Exported, Import] {
                self.add(piece, code, referent, 0, 0);
            }
            return;
        }
        for referent in [Near, Far, Exported, Weak, Common, Import] {
            self.add(piece, code, referent, 0, 0);
        }
        if matches!(row.form, Form::Got) {
            self.add(piece, code, PrivateNumber, 0x1234, 0);
            self.add(piece, code, GlobalNumber, u64::MAX, 0);
            self.add(piece, code, Far, 0, 4);
            self.embedded(piece, code);
            return;
        }
        for addend in [1, 2, 3, 4, 7, 8, 15, 16, -1, -8] {
            self.add(piece, code, Far, 0, addend);
            self.add(piece, code, Near, 0, addend);
        }
        self.add(piece, code, Import, 0, 8);
        self.add(piece, code, Common, 0, 4);
        if self.arch == Arch::Amd64 || row.form == Form::Absolute {
            for addend in [0, 4, 15] {
                self.add(piece, code, FarSection, 0, addend);
                self.add(piece, code, NearSection, 0, addend);
            }
            self.add(piece, code, TextSection, 0, 0);
            self.add(piece, code, TextSection, 0, 6);
        }
        self.add(piece, code, Text, 0, 0);
        self.boundaries(piece, code, row);
        self.embedded(piece, code);
    }

    /// Addends in instructions of arm64, alone, beside another one, and where none can be.
    fn embedded(&mut self, piece: &Piece, code: bool) {
        let before = self.list.len();
        for (referent, addend) in [(Near, 0), (Far, 0), (Exported, 0), (Import, 0), (Far, 8)] {
            self.add(piece, code, referent, 0, addend);
        }
        let mut added = self.list.split_off(before);
        added.retain_mut(|point| {
            let at = usize::from(point.fields[0].0);
            let word = point.bytes.get(at..).and_then(|rest| rest.first_chunk());
            let load =
                word.is_some_and(|word| u32::from_le_bytes(*word) & 0x3b00_0000 == 0x3900_0000);
            point.bits = match point.row.form {
                _ if self.arch != Arch::Arm64 => 0,
                Form::Call | Form::Branch => 2,
                // Near by, the page is the same or not.
                Form::Page | Form::Got if point.row.field.mask == 0x60ff_ffe0 => 1 << 29,
                Form::Low if load => 1 << 10,
                Form::Low => 8 << 10,
                _ => 0,
            };
            point.bits != 0
        });
        self.list.append(&mut added);
    }

    /// Values around the limits of the field: of numbers, and of places nearby.
    fn boundaries(&mut self, piece: &Piece, code: bool, row: &'static Row) {
        let (min, max) = row.limits();
        let programs = 0x1_0000_0000_i128;
        let far = 0x200_0000;
        let mut values = vec![0, 1, -1, 0xff0, 0x1234];
        values.extend([min - 1, min, min + 1, max - 1, max, max + 1]);
        values.extend([min - far, min + far, max - far, max + far]);
        values.extend([programs, programs + min + far, programs + max - far, programs + max + far]);
        for value in values {
            let Ok(number) =
                i64::try_from(value).map(|v| v as u64).or_else(|_| u64::try_from(value))
            else {
                continue;
            };
            for referent in [PrivateNumber, LocalNumber, GlobalNumber] {
                self.add(piece, code, referent, number, 0);
            }
            self.add(piece, code, PrivateNumber, number.wrapping_sub(8), 8);
            self.add(piece, code, PrivateNumber, number.wrapping_add(5), -5);
            if row.form == Form::Absolute {
                self.add(piece, code, Null, 0, number as i64);
            }
        }
        // Exactly at the limit: the distance to a name in the same atom is known.
        for value in [min - 1, min, max, max + 1] {
            for behind in 0..=20 {
                self.add(piece, code, Near, 0, (value - 16 + behind) as i64);
            }
        }
    }

    fn differences(&mut self) {
        let code = code::of(self.arch);
        for (wide, piece) in code.words.iter().enumerate().map(|(i, piece)| (i == 0, piece)) {
            let Some(row) = self.machine.row(piece.fields[0].1) else { continue };
            let limits = if wide { (i64::MIN, i64::MAX) } else { (-(1 << 31), (1 << 31) - 1) };
            let mut addends = vec![0, 1, -1, 3, 5, 0x1001, -0x7fff, limits.0, limits.1];
            for by in [1, 8, 16, 24, 31, 32, 33, 40] {
                addends.extend([limits.0 + by, limits.1 - by]);
            }
            let pairs = [
                (Near, Near),
                (Near, NearSection),
                (Far, Near),
                (Near, Far),
                (FarSection, Near),
                (Exported, Near),
                (Near, Exported),
                (Weak, Far),
                (Far, Weak),
                (Common, Near),
                (Import, Near),
                (Near, Import),
                (PrivateNumber, Near),
            ];
            for (referent, minus) in pairs {
                for (index, &addend) in addends.iter().enumerate() {
                    if index > 4 && !matches!((referent, minus), (Near, Near) | (Far, Near)) {
                        continue;
                    }
                    if referent == FarSection && !(0..16).contains(&addend) {
                        continue;
                    }
                    self.list.push(Point {
                        bytes: piece.bytes,
                        fields: piece.fields,
                        row,
                        code: false,
                        referent,
                        number: 0x1234,
                        addend,
                        bits: 0,
                        minus: Some(minus),
                    });
                }
            }
        }
    }
}

fn build(target: Target, mode: Mode, chained: bool, subsections: bool, point: &Point) -> Case {
    let machine = macho::of(target.arch);
    let code = code::of(target.arch);
    let mut object = parts::object("a.o", subsections);
    let mut carrier =
        Content::of(&if point.code { code.nop.repeat(8 / code.nop.len()) } else { vec![0; 8] });
    let place = carrier.bytes.len() as u64;
    carrier.bytes.extend(point.bytes);
    if point.bits != 0 {
        let at = place as usize + usize::from(point.fields[0].0);
        let word = carrier.bytes[at..].first_chunk_mut::<4>().expect("an instruction");
        *word = (u32::from_le_bytes(*word) | point.bits).to_le_bytes();
    }
    carrier.bytes.resize(48, 0);
    let section = if point.code { "__TEXT,__text" } else { "__DATA,__data" };
    let name = |name: &str| Symbol {
        visibility: Visibility::Hidden,
        ..parts::symbol(name, Binding::Global, Definition::Undefined)
    };
    let (index, start) = parts::add(&mut object, section, 16, carrier);
    let at = |offset| Definition::Section { section: index, offset: start + offset };
    parts::name(&mut object, Symbol { definition: at(0), ..name("_carrier") });
    let desc = Desc { alt_entry: true, ..Desc::default() };
    let near = parts::name(&mut object, Symbol { definition: at(32), desc, ..name("_near") });
    let far =
        parts::atom(&mut object, "__DATA,__const", 16, Content::of(&[0x11; 32]), name("_far"));
    let context = Context { machine, near, far, index };
    let symbol = referent(&mut object, &context, point.referent, point.number);
    let mut relocs = Vec::new();
    if let Some(minus) = point.minus {
        let symbol = referent(&mut object, &context, minus, 0x20);
        let r_type = machine.minus[usize::from(point.row.field.width == 8)];
        relocs.push(Reloc { offset: start + place, r_type, symbol, addend: 0 });
    }
    relocs.extend(point.fields.iter().map(|&(at, r_type, _)| Reloc {
        offset: start + place + u64::from(at),
        r_type,
        symbol,
        addend: point.addend,
    }));
    object.sections[index].relocs.extend(relocs);
    if mode == Mode::Pie {
        let main = parts::symbol("_main", Binding::Global, Definition::Undefined);
        parts::atom(&mut object, "__TEXT,__text", 16, Content::of(code.ret), main);
    }
    let mut inputs = vec![Input::Object(object)];
    if [Some(point.referent), point.minus].contains(&Some(Import)) {
        let symbol = parts::exported("_import", Binding::Global, SymbolKind::Func, 0);
        inputs.push(Input::Library(parts::library("libx.dylib", vec![symbol])));
    }
    Case {
        target,
        mode,
        validity: Validity::Defined,
        options: vec![Opt::FixupChains(chained)],
        inputs,
        versions: None,
        beside: vec![],
    }
}

struct Context {
    machine: &'static Machine,
    near: SymbolRef,
    far: SymbolRef,
    /// The carrier's section.
    index: usize,
}

/// The reference to what a point is about.
fn referent(object: &mut Object, context: &Context, referent: Referent, number: u64) -> SymbolRef {
    use Binding::{Global, Local};
    let value = Definition::Absolute(number);
    let private = |symbol: Symbol| Symbol { visibility: Visibility::Hidden, ..symbol };
    let undefined = Definition::Undefined;
    let content = Content::of(&[0x22; 24]);
    let section = |object: &Object, symbol: SymbolRef| match symbol {
        SymbolRef::Named(index) => match object.symbols[index].definition {
            Definition::Section { section, .. } => SymbolRef::Section(section),
            _ => SymbolRef::Null,
        },
        other => other,
    };
    match referent {
        Null => SymbolRef::Null,
        Near => context.near,
        NearSection => SymbolRef::Section(context.index),
        Far => context.far,
        FarSection => section(object, context.far),
        LocalNumber => parts::name(object, parts::symbol("_number", Local, value)),
        PrivateNumber => parts::name(object, private(parts::symbol("_number", Global, value))),
        GlobalNumber => parts::name(object, parts::symbol("_number", Global, value)),
        Exported => {
            let it = parts::symbol("_exported", Global, undefined);
            parts::atom(object, "__DATA,__data", 16, content, it)
        }
        Weak => {
            let it = parts::symbol("_weak", Binding::Weak, undefined);
            parts::atom(object, "__DATA,__data", 16, content, it)
        }
        Common => {
            let it = parts::symbol("_common", Global, Definition::Common { align: 16 });
            parts::name(object, private(Symbol { size: 24, ..it }))
        }
        Import => parts::undefined(object, "_import"),
        Variable => {
            let init = parts::symbol("_variable$tlv$init", Local, undefined);
            let init = parts::atom(object, "__DATA,__thread_data", 16, content, init);
            let content = parts::descriptor(object, context.machine, init);
            let it = private(parts::symbol("_variable", Global, undefined));
            parts::atom(object, "__DATA,__thread_vars", 8, content, it)
        }
        Text | TextSection => {
            let it = parts::symbol("_text", Local, undefined);
            let content = Content::of(b"first\0second\0");
            let named = parts::atom(object, "__TEXT,__cstring", 1, content, it);
            if referent == Text { named } else { section(object, named) }
        }
    }
}
