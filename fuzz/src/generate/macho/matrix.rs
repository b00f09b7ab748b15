//! The exhaustive symbol-kind matrix of Mach-O: every kind of mention of one name against every other, in two
//! objects, an object and a library, an object and an archive member, in both orders, as library, flat library,
//! bundle and program, with chained and classic fixups, for three systems, with and without atoms.
//!
//! Every definition has its own bytes in a marked section, so which one won shows. Numbering is stable:
//! [`case`] of a number is a function of the tables alone. It must not know what a linker makes of a case.

use scold_diff::{Mode, Target};

use super::code::{self, Code};
use super::parts::{self, Content};
use crate::Case;
use crate::case::{
    Archive, Binding, Definition, Desc, Input, Library, LibraryDefinition, Object, Opt, Symbol,
    SymbolKind, SymbolRef, Validity, Visibility,
};
use crate::generate::matrix::locate;
use crate::machine::macho::{self, Machine};

/// The one name.
const NAME: &str = "_thing";

/// Where a mention puts the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Put {
    Nowhere,
    Code,
    Data,
    Const,
    Zerofill,
    /// 8 bytes into an atom that another name starts.
    Inside,
    Absolute,
    Common(u64, u64),
    /// A variable with a value, and one without.
    Variable,
    ZeroVariable,
}

/// A kind of mention in an object.
#[derive(Clone, Copy, Debug)]
struct Mention {
    binding: Binding,
    private: bool,
    put: Put,
    desc: Desc,
}

const PLAIN: Desc = Desc { alt_entry: false, can_be_hidden: false, no_dead_strip: false };

const fn mention(binding: Binding, put: Put) -> Mention {
    Mention { binding, private: false, put, desc: PLAIN }
}

const fn private(binding: Binding, put: Put) -> Mention {
    Mention { binding, private: true, put, desc: PLAIN }
}

const fn hideable(put: Put) -> Mention {
    let desc = Desc { can_be_hidden: true, ..PLAIN };
    Mention { binding: Binding::Weak, private: false, put, desc }
}

const fn kept(put: Put) -> Mention {
    let desc = Desc { no_dead_strip: true, ..PLAIN };
    Mention { binding: Binding::Global, private: false, put, desc }
}

use Binding::{Global, Local, Weak};

/// Every kind of mention in an object.
const MENTIONS: &[Mention] = &[
    mention(Global, Put::Nowhere),
    mention(Weak, Put::Nowhere),
    mention(Global, Put::Code),
    mention(Global, Put::Data),
    mention(Global, Put::Const),
    mention(Global, Put::Zerofill),
    private(Global, Put::Code),
    private(Global, Put::Data),
    mention(Weak, Put::Code),
    mention(Weak, Put::Data),
    private(Weak, Put::Code),
    private(Weak, Put::Data),
    hideable(Put::Code),
    hideable(Put::Data),
    mention(Global, Put::Inside),
    private(Global, Put::Inside),
    kept(Put::Data),
    mention(Global, Put::Common(24, 8)),
    mention(Global, Put::Common(40, 32)),
    private(Global, Put::Common(8, 16)),
    mention(Global, Put::Absolute),
    mention(Weak, Put::Absolute),
    private(Global, Put::Absolute),
    mention(Local, Put::Code),
    mention(Local, Put::Data),
    mention(Global, Put::Variable),
    mention(Weak, Put::Variable),
    private(Global, Put::Variable),
    mention(Global, Put::ZeroVariable),
];

/// A kind of mention in a library, and whether the library is one to do without.
#[derive(Clone, Copy, Debug)]
struct LibraryMention {
    binding: Binding,
    kind: SymbolKind,
    defined: bool,
    weak_library: bool,
}

const fn library(binding: Binding, kind: SymbolKind) -> LibraryMention {
    LibraryMention { binding, kind, defined: true, weak_library: false }
}

/// Every kind of mention in a library.
const LIBRARY_MENTIONS: &[LibraryMention] = &[
    library(Global, SymbolKind::Func),
    library(Global, SymbolKind::Object),
    library(Weak, SymbolKind::Func),
    library(Weak, SymbolKind::Object),
    library(Global, SymbolKind::Tls),
    LibraryMention { weak_library: true, ..library(Global, SymbolKind::Func) },
    LibraryMention { weak_library: true, ..library(Weak, SymbolKind::Object) },
    LibraryMention { defined: false, ..library(Global, SymbolKind::Func) },
];

/// What the two mentions are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Objects,
    /// An object before a library, or after it.
    Library {
        first: bool,
    },
    /// An object before an archive, or after it.
    Archive {
        first: bool,
    },
}

/// How each object refers to the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// Through a slot, a word, a stub.
    Indirect,
    /// By distance, too.
    Direct,
    /// As the first, and what nobody has may be looked up.
    Lookup,
}

/// One block of the matrix for each variant.
const BLOCKS: &[(Shape, Reach)] = &[
    (Shape::Objects, Reach::Indirect),
    (Shape::Objects, Reach::Direct),
    (Shape::Objects, Reach::Lookup),
    (Shape::Library { first: true }, Reach::Indirect),
    (Shape::Library { first: true }, Reach::Direct),
    (Shape::Library { first: false }, Reach::Indirect),
    (Shape::Archive { first: true }, Reach::Indirect),
    (Shape::Archive { first: false }, Reach::Indirect),
];

const MODES: [Mode; 4] = [Mode::CShared, Mode::Plugin, Mode::Shared, Mode::Pie];
const SYSTEMS: [u8; 3] = [11, 12, 13];
/// Modes, systems, fixups, atoms.
const VARIANTS: u64 = (MODES.len() * SYSTEMS.len() * 4) as u64;

fn partners(shape: Shape) -> u64 {
    match shape {
        Shape::Library { .. } => LIBRARY_MENTIONS.len() as u64,
        Shape::Objects | Shape::Archive { .. } => MENTIONS.len() as u64,
    }
}

/// How many numbers there are.
pub fn count() -> u64 {
    let pairs = BLOCKS.iter().map(|(shape, _)| MENTIONS.len() as u64 * partners(*shape));
    pairs.sum::<u64>() * VARIANTS
}

/// The case of a number; `None` where the two mentions can't be of one name.
pub fn case(target: Target, number: u64) -> Option<Case> {
    let variant = number % VARIANTS;
    let (block, first, second) =
        locate(number / VARIANTS, BLOCKS, MENTIONS.len(), |b| partners(b.0))?;
    build(target, variant as usize, block.0, block.1, &MENTIONS[first], second)
}

/// Whether a mention says that the name is a thread-local variable's; `None` if it says nothing.
fn variable(mention: &Mention) -> Option<bool> {
    match mention.put {
        Put::Nowhere => None,
        put => Some(matches!(put, Put::Variable | Put::ZeroVariable)),
    }
}

fn build(
    target: Target,
    variant: usize,
    shape: Shape,
    reach: Reach,
    first: &Mention,
    second: usize,
) -> Option<Case> {
    let other = match shape {
        Shape::Library { .. } => {
            let it = &LIBRARY_MENTIONS[second];
            it.defined.then_some(it.kind == SymbolKind::Tls)
        }
        _ => variable(&MENTIONS[second]),
    };
    let kinds: Vec<bool> = variable(first).into_iter().chain(other).collect();
    let thread = kinds.first().copied().unwrap_or(false);
    if kinds.iter().any(|kind| *kind != thread) {
        return None;
    }
    let mode = MODES[variant % 4];
    let subsections = (variant / 4).is_multiple_of(2);
    let refs = References {
        machine: macho::of(target.arch),
        code: code::of(target.arch),
        thread,
        reach,
        subsections,
    };
    let mut a = one("a.o", first, 0, &refs);
    add_entry(&refs, &mut a, mode);
    let a = Input::Object(a);
    let b = match shape {
        Shape::Objects => Input::Object(one("b.o", &MENTIONS[second], 1, &refs)),
        Shape::Library { .. } => Input::Library(shared(&LIBRARY_MENTIONS[second])),
        Shape::Archive { .. } => Input::Archive(Archive {
            name: "libm.a".into(),
            members: vec![one("m.o", &MENTIONS[second], 1, &refs)],
            whole: false,
            thin: false,
        }),
    };
    let before = matches!(shape, Shape::Library { first: false } | Shape::Archive { first: false });
    let mut options = vec![
        Opt::FixupChains((variant / 8).is_multiple_of(2)),
        Opt::MinOs(SYSTEMS[variant / 16 % 3]),
    ];
    if reach == Reach::Lookup {
        options.push(Opt::DynamicLookup);
    }
    Some(Case {
        target,
        mode,
        validity: Validity::Defined,
        options,
        inputs: if before { vec![b, a] } else { vec![a, b] },
        versions: None,
        beside: vec![],
    })
}

struct References {
    machine: &'static Machine,
    code: &'static Code,
    thread: bool,
    reach: Reach,
    subsections: bool,
}

/// An object with one mention, and references of its own to it.
fn one(name: &str, mention: &Mention, which: u8, refs: &References) -> Object {
    let mut object = parts::object(name, refs.subsections);
    let thing = parts::name(&mut object, parts::symbol(NAME, Global, Definition::Undefined));
    let letter = char::from(b'a' + which);
    let mut code = Content::of(refs.code.nop);
    let mut data = Content::default();
    let user = SymbolRef::Named(object.symbols.len());
    if refs.thread {
        code.piece(&refs.code.variable, thing, 0);
    } else {
        code.piece(&refs.code.call, thing, 0);
        code.piece(&refs.code.load, thing, 0);
        data.pointer(refs.machine, thing, 0);
        data.pointer(refs.machine, thing, 0x10);
        if refs.reach == Reach::Direct {
            code.piece(&refs.code.take, thing, 0);
            data.difference(refs.machine, true, thing, user, 4);
        }
    }
    let slot = &refs.code.slot;
    if !refs.thread && slot.code {
        code.piece(slot, thing, 0);
    }
    code.bytes.extend(refs.code.ret);
    code.align(4, refs.code.nop[0]);
    if !refs.thread && !slot.code {
        code.piece(slot, thing, 0);
    }
    let global = |name: String| parts::symbol(&name, Global, Definition::Undefined);
    parts::atom(&mut object, "__TEXT,__text", 16, code, global(format!("_user_{letter}")));
    if !data.bytes.is_empty() {
        parts::atom(&mut object, "__DATA,__data", 16, data, global(format!("_data_{letter}")));
    }
    define(&mut object, mention, which, refs);
    object
}

/// Puts the name where the mention says.
fn define(object: &mut Object, mention: &Mention, which: u8, refs: &References) {
    let fill = 0x40 + which;
    let number = 0x100 + u16::from(which);
    let letter = char::from(b'a' + which);
    let size = if which == 0 { 24 } else { 16 };
    let bytes = Content::of(&vec![fill; size]);
    let mut desc = mention.desc;
    let place = |object: &mut Object, section: &str, content: Content| {
        let (section, offset) = parts::add(object, section, 16, content);
        Definition::Section { section, offset }
    };
    let definition = match mention.put {
        Put::Nowhere => Definition::Undefined,
        Put::Code => place(object, "__TEXT,__text", Content::of(&refs.code.returns(number))),
        Put::Data => place(object, "__DATA,__data", bytes),
        Put::Const => place(object, "__DATA,__const", bytes),
        Put::Zerofill => place(object, "__DATA,__bss", bytes),
        Put::Inside => {
            let at = place(object, "__DATA,__data", bytes);
            let around = parts::symbol(&format!("_around_{letter}"), Global, at);
            parts::name(object, around);
            desc.alt_entry = true;
            match at {
                Definition::Section { section, offset } => {
                    Definition::Section { section, offset: offset + 8 }
                }
                other => other,
            }
        }
        Put::Absolute => Definition::Absolute(0x1230 + 16 * u64::from(which)),
        Put::Common(_, align) => Definition::Common { align },
        Put::Variable | Put::ZeroVariable => {
            let section = match mention.put {
                Put::Variable => "__DATA,__thread_data",
                _ => "__DATA,__thread_bss",
            };
            let init =
                parts::symbol(&format!("_thing_{letter}$tlv$init"), Local, Definition::Undefined);
            let content = parts::atom(object, section, 16, bytes, init);
            let descriptor = parts::descriptor(object, refs.machine, content);
            let (section, offset) = parts::add(object, "__DATA,__thread_vars", 8, descriptor);
            Definition::Section { section, offset }
        }
    };
    object.symbols[0] = Symbol {
        binding: mention.binding,
        visibility: if mention.private { Visibility::Hidden } else { Visibility::Default },
        size: if let Put::Common(size, _) = mention.put { size } else { 0 },
        desc,
        ..parts::symbol(NAME, mention.binding, definition)
    };
}

/// Gives programs their start.
fn add_entry(refs: &References, object: &mut Object, mode: Mode) {
    if mode == Mode::Pie {
        let main = parts::symbol("_main", Global, Definition::Undefined);
        parts::atom(object, "__TEXT,__text", 16, Content::of(refs.code.ret), main);
    }
}

fn shared(mention: &LibraryMention) -> Library {
    let mut symbol = parts::exported(NAME, mention.binding, mention.kind, 0);
    if !mention.defined {
        symbol.defined = LibraryDefinition::Undefined;
    }
    let other = parts::exported("_other", Global, SymbolKind::Object, 1);
    Library { weak: mention.weak_library, ..parts::library("libx.dylib", vec![symbol, other]) }
}
