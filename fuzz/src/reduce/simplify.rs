//! Making a case plainer: one rule, one place, one step at a time.
//!
//! A rule sees its places in a fixed order. Asked for the n-th it changes it, or says that it is
//! plain already, or that there is no n-th.

use scold_diff::Format;

use crate::case::{
    Binding, Case, Data, Definition, Desc, Input, Object, Section, SectionKind, Symbol, SymbolKind,
    SymbolRef, Visibility,
};

/// What a rule did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It changed the place.
    Changed,
    /// The place is as plain as the rule can make it.
    Plain,
    /// There is no such place.
    End,
}

type Rule = fn(&mut Case, usize) -> Step;

/// The rules, those that remove most first.
pub(super) const RULES: &[Rule] = &[
    unpack_input,
    plain_archive,
    plain_library,
    |case, n| each_section(case, n, zero_data),
    |case, n| each_section(case, n, trim_data),
    least_align,
    |case, n| each_section(case, n, plain_section),
    |case, n| each_reloc(case, n),
    |case, n| each_symbol(case, n, default_visibility),
    |case, n| each_symbol(case, n, global_binding),
    |case, n| each_symbol(case, n, no_type),
    |case, n| each_symbol(case, n, no_size),
    |case, n| each_symbol(case, n, plain_value),
    |case, n| each_symbol(case, n, plain_desc),
    short_name,
];

/// How many places `rule` sees in `case`.
pub(super) fn places(rule: &Rule, case: &Case) -> usize {
    let mut scratch = case.clone();
    (0..).take_while(|n| rule(&mut scratch, *n) != Step::End).count()
}

fn changed(yes: bool) -> Step {
    if yes { Step::Changed } else { Step::Plain }
}

/// Puts `new` into `field`.
fn set<T: PartialEq>(field: &mut T, new: T) -> Step {
    let differs = *field != new;
    *field = new;
    changed(differs)
}

/// A group becomes its archives, an archive its objects.
fn unpack_input(case: &mut Case, nth: usize) -> Step {
    if nth >= case.inputs.len() {
        return Step::End;
    }
    let replacement: Vec<Input> = match &case.inputs[nth] {
        Input::Group(archives) => archives.iter().cloned().map(Input::Archive).collect(),
        Input::Archive(archive) => archive.members.iter().cloned().map(Input::Object).collect(),
        Input::Object(_) | Input::Library(_) => return Step::Plain,
    };
    case.inputs.splice(nth..=nth, replacement);
    Step::Changed
}

fn plain_archive(case: &mut Case, nth: usize) -> Step {
    match case.inputs.get_mut(nth) {
        None => Step::End,
        Some(Input::Archive(archive)) if archive.thin => set(&mut archive.thin, false),
        Some(Input::Archive(archive)) => set(&mut archive.whole, false),
        Some(_) => Step::Plain,
    }
}

fn plain_library(case: &mut Case, nth: usize) -> Step {
    match case.inputs.get_mut(nth) {
        None => Step::End,
        Some(Input::Library(library)) if library.as_needed => set(&mut library.as_needed, false),
        Some(Input::Library(library)) if library.weak => set(&mut library.weak, false),
        Some(Input::Library(library)) => set(&mut library.soname, None),
        Some(_) => Step::Plain,
    }
}

fn each_section(case: &mut Case, nth: usize, rule: fn(&mut Object, usize) -> Step) -> Step {
    let mut left = nth;
    for object in case.objects_mut() {
        if left < object.sections.len() {
            return rule(object, left);
        }
        left -= object.sections.len();
    }
    Step::End
}

/// Zero bytes, where no instruction or string needs them.
fn zero_data(object: &mut Object, section: usize) -> Step {
    match &mut object.sections[section].data {
        Data::Bytes(bytes) => {
            let plain = bytes.iter().all(|b| *b == 0);
            bytes.fill(0);
            changed(!plain)
        }
        Data::Zeros(_) => Step::Plain,
    }
}

/// Drops the tail that no relocation and no symbol reaches.
fn trim_data(object: &mut Object, index: usize) -> Step {
    /// The widest relocated field; narrower ones keep a few bytes too many.
    const FIELD: u64 = 8;
    let section = &object.sections[index];
    let marker = section.start();
    let relocs = section.relocs.iter().map(|r| r.offset.saturating_add(FIELD));
    let symbols = object.symbols.iter().filter_map(|symbol| match symbol.definition {
        Definition::Section { section, offset } if section == index => {
            Some(offset.saturating_add(symbol.size.max(1)))
        }
        _ => None,
    });
    let used = relocs.chain(symbols).max().unwrap_or(0).saturating_sub(marker);
    // Tables keep whole entries.
    let entry = match section.kind {
        _ if section.name == "__LD,__compact_unwind" => 32,
        SectionKind::ThreadLocalVariables => 24,
        _ => 1,
    };
    let used = used.next_multiple_of(entry);
    match &mut object.sections[index].data {
        Data::Bytes(bytes) => {
            let before = bytes.len();
            bytes.truncate(usize::try_from(used).unwrap_or(usize::MAX));
            changed(bytes.len() < before)
        }
        Data::Zeros(len) => {
            let shorter = (*len).min(used);
            set(len, shorter)
        }
    }
}

fn least_align(case: &mut Case, nth: usize) -> Step {
    match case.target.format {
        Format::Elf => each_section(case, nth, |object, section| align(object, section, 1)),
        // Where pointers are chained they have to be words.
        Format::Macho => each_section(case, nth, |object, section| align(object, section, 8)),
    }
}

/// `referring`: of sections with relocations.
fn align(object: &mut Object, section: usize, referring: u64) -> Step {
    let section = &mut object.sections[section];
    let least = match section.kind {
        SectionKind::InitArray | SectionKind::FiniArray | SectionKind::PreinitArray => 8,
        SectionKind::EhFrame => 8,
        SectionKind::Note => 4,
        SectionKind::Literals16 => 16,
        SectionKind::Literals8 | SectionKind::ThreadLocalVariables => 8,
        SectionKind::Literals4 => 4,
        _ if section.relocs.is_empty() => 1,
        _ => referring,
    };
    if section.align <= least { Step::Plain } else { set(&mut section.align, least) }
}

fn plain_section(object: &mut Object, section: usize) -> Step {
    let Section { flags, link_order, entsize, .. } = &mut object.sections[section];
    if flags.retain {
        set(&mut flags.retain, false)
    } else if link_order.is_some() {
        set(link_order, None)
    } else if flags.merge {
        (flags.merge, flags.strings, *entsize) = (false, false, 0);
        Step::Changed
    } else {
        Step::Plain
    }
}

fn each_reloc(case: &mut Case, nth: usize) -> Step {
    let mut left = nth;
    for object in case.objects_mut() {
        for section in &mut object.sections {
            if let Some(reloc) = section.relocs.get_mut(left) {
                // The addend that belongs to a PC-relative field is plainer than 0 would be.
                let plain = matches!(reloc.addend, 0 | -4) || reloc.symbol == SymbolRef::Null;
                return if plain { Step::Plain } else { set(&mut reloc.addend, 0) };
            }
            left -= section.relocs.len();
        }
    }
    Step::End
}

fn each_symbol(case: &mut Case, nth: usize, rule: fn(&mut Symbol) -> Step) -> Step {
    let mut left = nth;
    for object in case.objects_mut() {
        if let Some(symbol) = object.symbols.get_mut(left) {
            return rule(symbol);
        }
        left -= object.symbols.len();
    }
    Step::End
}

fn default_visibility(symbol: &mut Symbol) -> Step {
    set(&mut symbol.visibility, Visibility::Default)
}

fn global_binding(symbol: &mut Symbol) -> Step {
    match symbol.binding {
        Binding::Weak | Binding::Unique => set(&mut symbol.binding, Binding::Global),
        Binding::Local | Binding::Global => Step::Plain,
    }
}

fn no_type(symbol: &mut Symbol) -> Step {
    match symbol.kind {
        // A TLS symbol without its type is an invalid object, and without IFUNC another question.
        SymbolKind::Tls | SymbolKind::Ifunc => Step::Plain,
        _ => set(&mut symbol.kind, SymbolKind::Notype),
    }
}

fn no_size(symbol: &mut Symbol) -> Step {
    match symbol.definition {
        Definition::Common { .. } if symbol.size > 8 => set(&mut symbol.size, 8),
        Definition::Common { .. } => Step::Plain,
        _ => set(&mut symbol.size, 0),
    }
}

/// What makes two atoms of one stays.
fn plain_desc(symbol: &mut Symbol) -> Step {
    let plain = Desc { alt_entry: symbol.desc.alt_entry, ..Desc::default() };
    set(&mut symbol.desc, plain)
}

fn plain_value(symbol: &mut Symbol) -> Step {
    match &mut symbol.definition {
        Definition::Common { align } => set(align, 8),
        Definition::Absolute(value) if *value > 0x1000 => set(value, 0x1000),
        _ => Step::Plain,
    }
}

/// The n-th name, when it is longer than two letters, becomes `s0`, `s1` … everywhere.
fn short_name(case: &mut Case, nth: usize) -> Step {
    let names = names(case);
    let Some(old) = names.get(nth) else { return Step::End };
    // Names that mean something: probes, markers, what the linker or the runtime knows.
    let special =
        old.starts_with("scold.") || old.starts_with('_') || old.contains(['@', '.', '*']);
    if special || old.len() <= 2 {
        return Step::Plain;
    }
    let Some(new) = (0..).map(|i| format!("s{i}")).find(|new| !names.contains(new)) else {
        return Step::Plain;
    };
    rename(case, old, &new);
    Step::Changed
}

fn names(case: &Case) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let base = name.split('@').next().unwrap_or(name);
        if !list.iter().any(|n| n == base) {
            list.push(base.to_owned());
        }
    };
    for object in case.objects() {
        object.symbols.iter().for_each(|symbol| add(&symbol.name));
    }
    for input in &case.inputs {
        if let Input::Library(library) = input {
            library.symbols.iter().for_each(|symbol| add(&symbol.name));
        }
    }
    list
}

/// Renames only symbols; a name that options or scripts spell too is left to be refused by the
/// predicate, which costs one question.
fn rename(case: &mut Case, old: &str, new: &str) {
    let fix = |name: &mut String| {
        let version = name.find('@').map_or(name.len(), |at| at);
        if &name[..version] == old {
            name.replace_range(..version, new);
        }
    };
    for object in case.objects_mut() {
        object.symbols.iter_mut().for_each(|symbol| fix(&mut symbol.name));
        object.groups.iter_mut().for_each(|group| fix(&mut group.signature));
    }
    for input in &mut case.inputs {
        if let Input::Library(library) = input {
            library.symbols.iter_mut().for_each(|symbol| fix(&mut symbol.name));
        }
    }
    for node in case.versions.iter_mut().flat_map(|script| &mut script.nodes) {
        node.global.iter_mut().chain(&mut node.local).for_each(fix);
    }
}
