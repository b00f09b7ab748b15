//! Dropping parts of a case: a list of parts → the case without them, references repaired.

use scold_diff::{Format, Target};

use crate::case::{Archive, Case, Data, Definition, Input, Object, Section, SymbolRef};
use crate::machine;

/// Kinds of parts, coarse first: a dropped input saves hundreds of smaller questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A module that runs together with the case's.
    Beside,
    /// A whole input.
    Input,
    /// An archive's member.
    Member,
    /// An option.
    Option,
    /// The version script, its nodes, its names.
    Version,
    /// A library's symbol.
    LibrarySymbol,
    /// A COMDAT group; its members stay.
    Group,
    /// A section with the symbols in it and the relocations to them.
    Section,
    /// A relocation, or two that belong together.
    Reloc,
    /// A symbol with the relocations to it; what starts an atom goes with its section only.
    Symbol,
}

/// The order in which kinds are tried.
pub(super) const KINDS: &[Kind] = &[
    Kind::Beside,
    Kind::Input,
    Kind::Member,
    Kind::Option,
    Kind::Version,
    Kind::Group,
    Kind::Section,
    Kind::Reloc,
    Kind::Symbol,
    Kind::LibrarySymbol,
];

/// One part of a case, by index into the lists of [`Case`]; `object` counts every object of the case,
/// members included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Beside(usize),
    Input(usize),
    Member { archive: usize, member: usize },
    Option(usize),
    VersionScript,
    VersionNode(usize),
    VersionGlobal { node: usize, name: usize },
    VersionLocal { node: usize, name: usize },
    LibrarySymbol { input: usize, symbol: usize },
    Group { object: usize, group: usize },
    Section { object: usize, section: usize },
    Reloc { object: usize, section: usize, reloc: usize },
    Symbol { object: usize, symbol: usize },
}

/// Every part of `kind` in `case`, in order.
pub(super) fn parts(case: &Case, kind: Kind) -> Vec<Part> {
    match kind {
        Kind::Beside => (0..case.beside.len()).map(Part::Beside).collect(),
        Kind::Input => (0..case.inputs.len()).map(Part::Input).collect(),
        Kind::Member => archives(case)
            .enumerate()
            .flat_map(|(archive, a)| {
                (0..a.members.len()).map(move |member| Part::Member { archive, member })
            })
            .collect(),
        Kind::Option => (0..case.options.len()).map(Part::Option).collect(),
        Kind::Version => version_parts(case),
        Kind::LibrarySymbol => case
            .inputs
            .iter()
            .enumerate()
            .flat_map(|(input, i)| {
                let count = if let Input::Library(library) = i { library.symbols.len() } else { 0 };
                (0..count).map(move |symbol| Part::LibrarySymbol { input, symbol })
            })
            .collect(),
        Kind::Group | Kind::Section | Kind::Reloc | Kind::Symbol => case
            .objects()
            .into_iter()
            .enumerate()
            .flat_map(|(index, object)| object_parts(object, index, kind, case.target))
            .collect(),
    }
}

fn version_parts(case: &Case) -> Vec<Part> {
    let Some(script) = &case.versions else { return Vec::new() };
    let mut list = vec![Part::VersionScript];
    for (node, n) in script.nodes.iter().enumerate() {
        list.push(Part::VersionNode(node));
        list.extend((0..n.global.len()).map(|name| Part::VersionGlobal { node, name }));
        list.extend((0..n.local.len()).map(|name| Part::VersionLocal { node, name }));
    }
    list
}

fn object_parts(o: &Object, object: usize, kind: Kind, target: Target) -> Vec<Part> {
    match kind {
        Kind::Group => (0..o.groups.len()).map(|group| Part::Group { object, group }).collect(),
        Kind::Section => {
            (0..o.sections.len()).map(|section| Part::Section { object, section }).collect()
        }
        Kind::Symbol => (0..o.symbols.len())
            .filter(|symbol| !o.begins_atom(*symbol))
            .map(|symbol| Part::Symbol { object, symbol })
            .collect(),
        _ => o
            .sections
            .iter()
            .enumerate()
            .flat_map(|(section, s)| {
                let alone = move |reloc: &usize| *reloc == 0 || !leads(s, target, reloc - 1);
                let all = (0..s.relocs.len()).filter(alone);
                all.map(move |reloc| Part::Reloc { object, section, reloc })
            })
            .collect(),
    }
}

/// `case` without `drop`, which are parts of one kind in the order [`parts`] gave them.
pub(super) fn without(case: &Case, drop: &[Part]) -> Case {
    let mut case = case.clone();
    // From the end, so that the indexes of those before stay true.
    for part in drop.iter().rev() {
        drop_part(&mut case, *part);
    }
    if case.target.format == Format::Macho {
        case.objects_mut().into_iter().for_each(drop_entries);
    }
    case
}

/// Drops the entries of `__compact_unwind` that are nobody's: no compiler writes such, and what a linker makes of
/// them says nothing.
fn drop_entries(object: &mut Object) {
    const ENTRY: u64 = 32;
    let tables = object.sections.iter_mut().filter(|s| s.name == "__LD,__compact_unwind");
    for section in tables {
        let Data::Bytes(bytes) = &mut section.data else { continue };
        for entry in (0..bytes.len() as u64 / ENTRY).rev() {
            let start = entry * ENTRY;
            if section.relocs.iter().any(|reloc| reloc.offset == start) {
                continue;
            }
            bytes.drain(start as usize..(start + ENTRY) as usize);
            section.relocs.retain(|reloc| !(start..start + ENTRY).contains(&reloc.offset));
            for reloc in section.relocs.iter_mut().filter(|reloc| reloc.offset > start) {
                reloc.offset -= ENTRY;
            }
        }
    }
}

fn drop_part(case: &mut Case, part: Part) {
    let target = case.target;
    match part {
        Part::Beside(other) => {
            case.beside.remove(other);
        }
        Part::Input(input) => {
            case.inputs.remove(input);
        }
        Part::Member { archive, member } => {
            if let Some(archive) = archives_mut(case).nth(archive) {
                archive.members.remove(member);
            }
        }
        Part::Option(option) => {
            case.options.remove(option);
        }
        Part::VersionScript => case.versions = None,
        Part::VersionNode(_) | Part::VersionGlobal { .. } | Part::VersionLocal { .. } => {
            drop_version(case, part);
        }
        Part::LibrarySymbol { input, symbol } => {
            if let Some(Input::Library(library)) = case.inputs.get_mut(input) {
                library.symbols.remove(symbol);
            }
        }
        Part::Group { object, group } => {
            if let Some(object) = case.objects_mut().into_iter().nth(object) {
                object.groups.remove(group);
            }
        }
        Part::Section { object, section } => {
            if let Some(object) = case.objects_mut().into_iter().nth(object) {
                drop_section(object, section, target);
            }
        }
        Part::Reloc { object, section, reloc } => {
            if let Some(object) = case.objects_mut().into_iter().nth(object) {
                let section = &mut object.sections[section];
                let count = if leads(section, target, reloc) { 2 } else { 1 };
                section.relocs.drain(reloc..reloc + count);
            }
        }
        Part::Symbol { object, symbol } => {
            if let Some(object) = case.objects_mut().into_iter().nth(object) {
                drop_symbol(object, symbol, target);
            }
        }
    }
}

/// Whether relocation `index` and the next are a pair.
fn leads(section: &Section, target: Target, index: usize) -> bool {
    let [first, second] = [index, index + 1].map(|index| section.relocs.get(index));
    let same = first.map(|reloc| reloc.offset) == second.map(|reloc| reloc.offset);
    same && first.is_some_and(|reloc| machine::leads(target, reloc.r_type))
}

/// Drops the relocations to `gone`, and those that belong to them.
fn drop_relocs(section: &mut Section, gone: SymbolRef, target: Target) {
    for index in (0..section.relocs.len()).rev() {
        if section.relocs.get(index).is_some_and(|reloc| reloc.symbol == gone) {
            let start = index - usize::from(index > 0 && leads(section, target, index - 1));
            let count = if leads(section, target, start) { 2 } else { 1 };
            section.relocs.drain(start..start + count);
        }
    }
}

fn drop_version(case: &mut Case, part: Part) {
    let Some(script) = &mut case.versions else { return };
    match part {
        Part::VersionNode(node) => {
            let gone = script.nodes.remove(node).name;
            for node in &mut script.nodes {
                node.parent.take_if(|parent| *parent == gone);
            }
            // An empty script is another thing than none.
            if script.nodes.is_empty() {
                case.versions = None;
            }
        }
        Part::VersionGlobal { node, name } => {
            script.nodes[node].global.remove(name);
        }
        Part::VersionLocal { node, name } => {
            script.nodes[node].local.remove(name);
        }
        _ => {}
    }
}

fn drop_section(object: &mut Object, gone: usize, target: Target) {
    let inside =
        |d: &Definition| matches!(d, Definition::Section { section, .. } if *section == gone);
    for symbol in (0..object.symbols.len()).rev() {
        if inside(&object.symbols[symbol].definition) {
            drop_symbol(object, symbol, target);
        }
    }
    object.sections.remove(gone);
    let shift = |index: &mut usize| *index -= usize::from(*index > gone);
    for symbol in &mut object.symbols {
        if let Definition::Section { section, .. } = &mut symbol.definition {
            shift(section);
        }
    }
    for section in &mut object.sections {
        drop_relocs(section, SymbolRef::Section(gone), target);
        for reloc in &mut section.relocs {
            if let SymbolRef::Section(section) = &mut reloc.symbol {
                shift(section);
            }
        }
        section.link_order.take_if(|target| *target == gone);
        if let Some(target) = &mut section.link_order {
            shift(target);
        }
    }
    for group in &mut object.groups {
        group.members.retain(|member| *member != gone);
        group.members.iter_mut().for_each(shift);
    }
    object.groups.retain(|group| !group.members.is_empty());
}

fn drop_symbol(object: &mut Object, gone: usize, target: Target) {
    object.symbols.remove(gone);
    for section in &mut object.sections {
        drop_relocs(section, SymbolRef::Named(gone), target);
        for reloc in &mut section.relocs {
            if let SymbolRef::Named(symbol) = &mut reloc.symbol {
                *symbol -= usize::from(*symbol > gone);
            }
        }
    }
}

fn archives(case: &Case) -> impl Iterator<Item = &Archive> {
    case.inputs.iter().flat_map(|input| match input {
        Input::Archive(archive) => std::slice::from_ref(archive),
        Input::Group(list) => list.as_slice(),
        Input::Object(_) | Input::Library(_) => &[],
    })
}

fn archives_mut(case: &mut Case) -> impl Iterator<Item = &mut Archive> {
    case.inputs.iter_mut().flat_map(|input| match input {
        Input::Archive(archive) => std::slice::from_mut(archive),
        Input::Group(list) => list.as_mut_slice(),
        Input::Object(_) | Input::Library(_) => &mut [],
    })
}
