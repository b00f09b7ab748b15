//! The exhaustive symbol-kind matrix: every kind of mention of one name against every other, in two
//! objects, an object and a library, an object and an archive member, in both orders, in every mode,
//! through every kind of reference that decides what a linker must do.
//!
//! Every definition is in a marked section of its own with its own size and bytes, so which one won
//! shows. Numbering is stable: [`case`] of a number is a function of the tables alone. It must not
//! know what a linker makes of a case.

use scold_diff::{Mode, Target};

use super::parts;
use crate::Case;
use crate::case::{
    Archive, Binding, Data, Definition, Group, Input, Library, LibraryDefinition, LibrarySymbol,
    Object, Section, Symbol, SymbolKind, SymbolRef, Validity, VersionNode, VersionScript,
    Visibility,
};
use crate::machine::{self, Machine, Piece};

/// The one name.
const NAME: &str = "thing";
/// The version of versioned mentions.
const VERSION: &str = "V1";

/// Where a mention puts the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Put {
    Nowhere,
    Code,
    Data,
    /// A resolver that returns its own address.
    Resolver,
    Tls,
    Absolute,
    Common(u64, u64),
    /// In a COMDAT group of its own.
    Group,
}

/// A kind of mention in an object.
#[derive(Clone, Copy, Debug)]
struct Mention {
    suffix: &'static str,
    binding: Binding,
    visibility: Visibility,
    kind: SymbolKind,
    put: Put,
}

const fn mention(binding: Binding, visibility: Visibility, kind: SymbolKind, put: Put) -> Mention {
    Mention { suffix: "", binding, visibility, kind, put }
}

const fn versioned(suffix: &'static str, binding: Binding, kind: SymbolKind, put: Put) -> Mention {
    Mention { suffix, binding, visibility: Visibility::Default, kind, put }
}

use Binding::{Global, Unique, Weak};
use SymbolKind::{Func, Ifunc, Notype, Object as Obj, Tls};
use Visibility::{Default as Def, Hidden, Internal, Protected};

/// Every kind of mention in an object.
const MENTIONS: &[Mention] = &[
    mention(Global, Def, Notype, Put::Nowhere),
    mention(Weak, Def, Notype, Put::Nowhere),
    mention(Global, Hidden, Notype, Put::Nowhere),
    mention(Global, Protected, Notype, Put::Nowhere),
    mention(Global, Internal, Notype, Put::Nowhere),
    mention(Weak, Hidden, Notype, Put::Nowhere),
    mention(Weak, Protected, Notype, Put::Nowhere),
    mention(Global, Def, Func, Put::Code),
    mention(Global, Def, Obj, Put::Data),
    mention(Global, Def, Notype, Put::Data),
    mention(Weak, Def, Func, Put::Code),
    mention(Weak, Def, Obj, Put::Data),
    mention(Global, Hidden, Obj, Put::Data),
    mention(Global, Protected, Obj, Put::Data),
    mention(Global, Protected, Func, Put::Code),
    mention(Global, Internal, Func, Put::Code),
    mention(Weak, Hidden, Func, Put::Code),
    mention(Weak, Protected, Obj, Put::Data),
    mention(Global, Def, Obj, Put::Common(24, 8)),
    mention(Global, Def, Obj, Put::Common(40, 32)),
    mention(Global, Hidden, Obj, Put::Common(8, 64)),
    mention(Global, Def, Notype, Put::Absolute),
    mention(Weak, Def, Notype, Put::Absolute),
    mention(Global, Hidden, Notype, Put::Absolute),
    mention(Global, Def, Ifunc, Put::Resolver),
    mention(Weak, Def, Ifunc, Put::Resolver),
    mention(Global, Hidden, Ifunc, Put::Resolver),
    mention(Unique, Def, Obj, Put::Data),
    mention(Global, Def, Func, Put::Group),
    mention(Weak, Def, Func, Put::Group),
    versioned("@V1", Global, Notype, Put::Nowhere),
    versioned("@V1", Global, Func, Put::Code),
    versioned("@@V1", Global, Func, Put::Code),
    versioned("@@V1", Weak, Obj, Put::Data),
    mention(Global, Def, Tls, Put::Nowhere),
    mention(Weak, Def, Tls, Put::Nowhere),
    mention(Global, Def, Tls, Put::Tls),
    mention(Weak, Def, Tls, Put::Tls),
    mention(Global, Hidden, Tls, Put::Tls),
    mention(Global, Protected, Tls, Put::Tls),
];

/// A kind of mention in a library.
#[derive(Clone, Copy, Debug)]
struct LibraryMention {
    version: Option<bool>,
    binding: Binding,
    kind: SymbolKind,
    visibility: Visibility,
    defined: LibraryDefinition,
}

const HERE: LibraryDefinition = LibraryDefinition::Defined { alias: 0, readonly: false };
const CONSTANT: LibraryDefinition = LibraryDefinition::Defined { alias: 0, readonly: true };

const fn library(
    version: Option<bool>,
    binding: Binding,
    kind: SymbolKind,
    visibility: Visibility,
    defined: LibraryDefinition,
) -> LibraryMention {
    LibraryMention { version, binding, kind, visibility, defined }
}

/// Every kind of mention in a library.
const LIBRARY_MENTIONS: &[LibraryMention] = &[
    library(None, Global, Notype, Def, LibraryDefinition::Undefined),
    library(None, Weak, Notype, Def, LibraryDefinition::Undefined),
    library(None, Global, Func, Def, HERE),
    library(None, Global, Obj, Def, HERE),
    library(None, Weak, Func, Def, HERE),
    library(None, Weak, Obj, Def, HERE),
    library(None, Global, Func, Protected, HERE),
    library(None, Global, Obj, Protected, HERE),
    library(None, Global, Obj, Def, CONSTANT),
    library(None, Unique, Obj, Def, HERE),
    library(None, Global, Notype, Def, LibraryDefinition::Absolute(0x1234)),
    library(Some(true), Global, Func, Def, HERE),
    library(Some(false), Global, Func, Def, HERE),
    library(Some(true), Global, Obj, Def, HERE),
    library(None, Global, Tls, Def, HERE),
    library(None, Weak, Tls, Def, HERE),
];

/// What the two mentions are in, and what refers to the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// Two objects.
    Objects,
    /// An object before a library, or after it.
    Library { first: bool },
    /// An object before an archive, or after it.
    Archive { first: bool },
}

/// How each object refers to the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// A word, a GOT slot, a call where that fits: possible in every mode.
    Indirect,
    /// A distance, in executables an absolute word, too: what needs copies and canonical PLTs.
    Direct,
}

/// One block of the matrix for each mode.
const BLOCKS: &[(Shape, Reach)] = &[
    (Shape::Objects, Reach::Indirect),
    (Shape::Objects, Reach::Direct),
    (Shape::Library { first: true }, Reach::Indirect),
    (Shape::Library { first: true }, Reach::Direct),
    (Shape::Library { first: false }, Reach::Indirect),
    (Shape::Archive { first: true }, Reach::Indirect),
    (Shape::Archive { first: false }, Reach::Indirect),
];

fn partners(shape: Shape) -> u64 {
    match shape {
        Shape::Library { .. } => LIBRARY_MENTIONS.len() as u64,
        Shape::Objects | Shape::Archive { .. } => MENTIONS.len() as u64,
    }
}

/// How many numbers there are for `target`.
pub fn count(target: Target) -> u64 {
    let _ = target;
    let per_mode: u64 =
        BLOCKS.iter().map(|(shape, _)| MENTIONS.len() as u64 * partners(*shape)).sum();
    per_mode * Mode::ALL.len() as u64
}

/// The case of a number; `None` where the two mentions can't be of one name (TLS and not TLS).
pub fn case(target: Target, number: u64) -> Option<Case> {
    let modes = Mode::ALL.len() as u64;
    let mode = Mode::ALL[(number % modes) as usize];
    let (block, first, second) = locate(number / modes, BLOCKS, MENTIONS.len(), |b| partners(b.0))?;
    build(target, mode, block.0, block.1, &MENTIONS[first], second)
}

/// Which of `blocks` number `left` of a matrix is in, its first mention of so many, and its second among the block's
/// `partners`; none behind the end.
pub(super) fn locate<B: Copy>(
    mut left: u64,
    blocks: &[B],
    mentions: usize,
    partners: impl Fn(B) -> u64,
) -> Option<(B, usize, usize)> {
    for &block in blocks {
        let partners = partners(block);
        let numbers = mentions as u64 * partners;
        if left < numbers {
            return Some((block, (left / partners) as usize, (left % partners) as usize));
        }
        left -= numbers;
    }
    None
}

/// Every case for `target`, in the order of its numbers.
pub fn matrix(target: Target) -> impl Iterator<Item = Case> {
    (0..count(target)).filter_map(move |number| case(target, number))
}

fn build(
    target: Target,
    mode: Mode,
    shape: Shape,
    reach: Reach,
    first: &Mention,
    second: usize,
) -> Option<Case> {
    let mut case = parts::case(target, mode);
    let other = match shape {
        Shape::Library { .. } => LIBRARY_MENTIONS[second].kind,
        Shape::Objects | Shape::Archive { .. } => MENTIONS[second].kind,
    };
    let other_defines = match shape {
        Shape::Library { .. } => LIBRARY_MENTIONS[second].defined != LibraryDefinition::Undefined,
        _ => MENTIONS[second].put != Put::Nowhere,
    };
    let tls = first.kind == Tls || other == Tls;
    let defined_as = |defines: bool, kind| !defines || kind == Tls;
    if tls
        && !(defined_as(first.put != Put::Nowhere, first.kind) && defined_as(other_defines, other))
    {
        return None;
    }
    let code = [first.kind, other].iter().all(|k| matches!(k, Func | Ifunc | Notype));
    let machine = machine::of(target.arch);
    let refs = References { machine, tls, code, reach, mode };
    let mut a = one("a.o", first, 0, refs);
    parts::add_entry(machine, &mut a, mode);
    let a = Input::Object(a);
    let b = match shape {
        Shape::Objects => Input::Object(one("b.o", &MENTIONS[second], 1, refs)),
        Shape::Library { .. } => Input::Library(shared(&LIBRARY_MENTIONS[second])),
        Shape::Archive { .. } => Input::Archive(Archive {
            name: "libm.a".into(),
            members: vec![one("m.o", &MENTIONS[second], 1, refs)],
            whole: false,
            thin: false,
        }),
    };
    case.inputs = match shape {
        Shape::Objects | Shape::Library { first: true } | Shape::Archive { first: true } => {
            vec![a, b]
        }
        Shape::Library { first: false } | Shape::Archive { first: false } => vec![b, a],
    };
    let versioned = |m: &Mention| !m.suffix.is_empty() && m.put != Put::Nowhere;
    let in_objects = !matches!(shape, Shape::Library { .. });
    if versioned(first) || (in_objects && versioned(&MENTIONS[second])) {
        case.versions = Some(script());
    }
    if shape == (Shape::Archive { first: false }) {
        case.validity = Validity::ImplementationDefined;
    }
    Some(case)
}

/// A script that has the version but gives it to nothing.
fn script() -> VersionScript {
    let node = VersionNode {
        name: VERSION.into(),
        global: vec!["scold.none*".into()],
        local: Vec::new(),
        parent: None,
    };
    VersionScript { nodes: vec![node] }
}

#[derive(Clone, Copy)]
struct References {
    machine: &'static Machine,
    tls: bool,
    code: bool,
    reach: Reach,
    mode: Mode,
}

/// An object with one mention, and references of its own to it.
fn one(name: &str, mention: &Mention, which: u8, refs: References) -> Object {
    let mut object = parts::object(name);
    let fill = 0x40 + which;
    let size = if which == 0 { 8 } else { 4 };
    let machine = &refs.machine.code;
    // Some code, a return, and what differs from the other object's.
    let code = |start: &[u8], nops: usize| {
        let mut code = [start, &machine.nop.repeat(nops), machine.ret].concat();
        code.extend([fill; 4]);
        code
    };
    let mut place = |section: Section| {
        object.sections.push(section);
        Definition::Section { section: object.sections.len() - 1, offset: 16 }
    };
    let definition = match mention.put {
        Put::Nowhere => Definition::Undefined,
        Put::Code | Put::Group => place(parts::section(".text.thing", "ax", &code(&[], 4))),
        Put::Data => place(parts::section(".data.thing", "aw", &[fill; 8])),
        Put::Resolver => place(parts::section(".text.thing", "ax", &code(machine.own_resolver, 1))),
        Put::Tls => place(parts::section(".tdata", "awt", &[fill; 8])),
        Put::Absolute => Definition::Absolute(0x1230 + 4 * u64::from(which)),
        Put::Common(_, align) => Definition::Common { align },
    };
    if mention.put == Put::Group {
        object.groups.push(Group { signature: NAME.into(), comdat: true, members: vec![0] });
    }
    let size = match mention.put {
        Put::Nowhere | Put::Absolute => 0,
        Put::Common(size, _) => size,
        _ => size,
    };
    object.symbols.push(Symbol {
        name: format!("{NAME}{}", mention.suffix),
        binding: mention.binding,
        kind: mention.kind,
        visibility: mention.visibility,
        size,
        definition,
        desc: Default::default(),
    });
    add_references(&mut object, refs);
    object
}

/// References to symbol 0 of `object`.
fn add_references(object: &mut Object, refs: References) {
    let it = SymbolRef::Named(0);
    let code = &refs.machine.code;
    let pieces: &[&Piece] = match (refs.tls, refs.reach) {
        (true, Reach::Indirect) => &[&code.tls_initial],
        (true, Reach::Direct) => &[&code.tls_local],
        (false, Reach::Indirect) if refs.code => &[&code.got, &code.call],
        (false, Reach::Indirect) => &[&code.got],
        (false, Reach::Direct) if refs.mode == Mode::Exe => &[&code.take, &code.absolute],
        (false, Reach::Direct) => &[&code.take],
    };
    let mut text = parts::section(".text.refs", "ax", &[]);
    for piece in pieces {
        parts::add_piece(&mut text, piece, it, 0);
    }
    if let Data::Bytes(bytes) = &mut text.data {
        bytes.extend_from_slice(code.ret);
    }
    object.sections.push(text);
    if !refs.tls && refs.reach == Reach::Indirect {
        let word = usize::from(refs.machine.word);
        let mut data = parts::section(".data.refs", "aw", &[0; 8][..word]);
        data.relocs.push(parts::reloc(0, refs.machine.pointer, it, 0));
        object.sections.push(data);
    }
}

fn shared(mention: &LibraryMention) -> Library {
    Library {
        name: "libs.so".into(),
        soname: Some("libs.so.1".into()),
        as_needed: false,
        symbols: vec![LibrarySymbol {
            name: NAME.into(),
            version: mention.version.map(|default| (VERSION.into(), default)),
            binding: mention.binding,
            kind: mention.kind,
            visibility: mention.visibility,
            size: match mention.defined {
                LibraryDefinition::Defined { .. } => 16,
                _ => 0,
            },
            defined: mention.defined,
        }],
        weak: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_gives_its_own_case() {
        let target = Target::AMD64_ELF;
        let cases: Vec<_> = matrix(target).collect();
        assert!(cases.len() > 15_000, "{}", cases.len());
        assert!(cases.len() as u64 <= count(target));
        assert!(case(target, count(target)).is_none());
        for mode in Mode::ALL {
            assert!(cases.iter().filter(|c| c.mode == *mode).count() > 3_000);
        }
        for pair in cases.windows(2).take(2_000) {
            assert!(pair[0] != pair[1]);
        }
    }

    #[test]
    fn every_mention_is_expected_to_be_something() {
        for case in matrix(Target::AMD64_ELF) {
            let expectation = crate::expect::expect(&case);
            assert!(expectation.facts.iter().next().is_some());
        }
    }
}
