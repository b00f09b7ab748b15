//! Structural mutations: a case → a neighbour of it, every reference inside still leading somewhere.
//!
//! A mutation doesn't ask whether the specs still decide the result: the neighbour is marked
//! implementation-defined. One row per mutation.

use crate::Case;
use crate::case::*;
use crate::generate::Dice;
use crate::machine;
use scold_diff::Format;

/// One kind of change: its name, and what it does; `false` if there was nothing to change.
pub type Mutation = (&'static str, fn(&mut Case, &mut Dice<'_>) -> bool);

/// Every kind of change.
pub const MUTATIONS: &[Mutation] = &[
    ("swap two inputs", swap_inputs),
    ("wrap an object in an archive", wrap_object),
    ("repeat an object under another name", repeat_object),
    ("drop an option", drop_option),
    ("add an option", add_option),
    ("change a symbol's binding", change_binding),
    ("change a symbol's visibility", change_visibility),
    ("change a symbol's kind", change_kind),
    ("change a symbol's definition", change_definition),
    ("rename a symbol after another", rename_symbol),
    ("change a relocation's type", change_type),
    ("change a relocation's addend", change_addend),
    ("change a relocation's symbol", change_target),
    ("drop a relocation", drop_reloc),
    ("change a section's alignment", change_align),
    ("change a byte", change_byte),
    ("change a library", change_library),
];

/// A neighbour of `case`: one to four changes away.
pub fn mutate(case: &Case, dice: &mut Dice<'_>) -> Case {
    let mut mutant = case.clone();
    let mut changes = dice.range(1, 4);
    for _ in 0..32 {
        let (_, change) = dice.pick(MUTATIONS);
        changes -= usize::from(change(&mut mutant, dice));
        if changes == 0 {
            break;
        }
    }
    if mutant != *case {
        mutant.validity = Validity::ImplementationDefined;
    }
    mutant
}

/// One of the case's objects.
fn object<'c>(case: &'c mut Case, dice: &mut Dice<'_>) -> Option<&'c mut Object> {
    let mut objects = case.objects_mut();
    let index = dice.below(objects.len());
    (index < objects.len()).then(|| objects.swap_remove(index))
}

fn symbol<'c>(case: &'c mut Case, dice: &mut Dice<'_>) -> Option<&'c mut Symbol> {
    let symbols = &mut object(case, dice)?.symbols;
    let index = dice.below(symbols.len());
    symbols.get_mut(index)
}

fn section<'c>(case: &'c mut Case, dice: &mut Dice<'_>) -> Option<&'c mut Section> {
    let sections = &mut object(case, dice)?.sections;
    let index = dice.below(sections.len());
    sections.get_mut(index)
}

fn reloc<'c>(case: &'c mut Case, dice: &mut Dice<'_>) -> Option<&'c mut Reloc> {
    let mut relocs: Vec<_> =
        object(case, dice)?.sections.iter_mut().flat_map(|section| &mut section.relocs).collect();
    let index = dice.below(relocs.len());
    (index < relocs.len()).then(|| relocs.swap_remove(index))
}

/// Sets `slot`; whether that was a change.
fn set<T: PartialEq>(slot: &mut T, value: T) -> bool {
    let changed = *slot != value;
    *slot = value;
    changed
}

fn swap_inputs(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let count = case.inputs.len();
    let (a, b) = (dice.below(count), dice.below(count));
    if a != b {
        case.inputs.swap(a, b);
    }
    a != b
}

fn wrap_object(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let count = case.inputs.len();
    let index = dice.below(count);
    let Some(Input::Object(object)) = case.inputs.get(index) else { return false };
    let name = format!("wrapped.{}.a", object.name);
    let members = vec![object.clone()];
    let (whole, thin) = (dice.chance(500), false);
    case.inputs[index] = Input::Archive(Archive { name, members, whole, thin });
    true
}

fn repeat_object(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let index = dice.below(case.inputs.len());
    let Some(Input::Object(object)) = case.inputs.get(index) else { return false };
    let mut copy = object.clone();
    copy.name = format!("again.{}", copy.name);
    if case.objects().iter().any(|other| other.name == copy.name) {
        return false;
    }
    case.inputs.push(Input::Object(copy));
    true
}

fn drop_option(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let index = dice.below(case.options.len());
    let found = index < case.options.len();
    if found {
        case.options.remove(index);
    }
    found
}

fn add_option(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let macho = [
        Opt::GcSections,
        Opt::Now,
        Opt::AsNeeded,
        Opt::FixupChains(true),
        Opt::FixupChains(false),
        Opt::DynamicLookup,
        Opt::MinOs(11),
    ];
    let elf = [
        Opt::Bsymbolic,
        Opt::BsymbolicFunctions,
        Opt::ExportDynamic,
        Opt::GcSections,
        Opt::NoRelax,
        Opt::Now,
        Opt::PackRelativeRelocs,
        Opt::O2,
    ];
    let option = match case.target.format {
        Format::Elf => dice.pick(&elf),
        Format::Macho => dice.pick(&macho),
    };
    let new = !case.options.contains(option);
    if new {
        case.options.push(option.clone());
    }
    new
}

fn change_binding(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let binding = *dice.pick(&[Binding::Weak, Binding::Global, Binding::Unique]);
    symbol(case, dice).is_some_and(|s| s.binding != Binding::Local && set(&mut s.binding, binding))
}

fn change_visibility(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let list = [Visibility::Hidden, Visibility::Protected, Visibility::Default];
    let visibility = *dice.pick(&list);
    symbol(case, dice)
        .is_some_and(|s| s.binding != Binding::Local && set(&mut s.visibility, visibility))
}

fn change_kind(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let list = [SymbolKind::Notype, SymbolKind::Object, SymbolKind::Func, SymbolKind::Ifunc];
    let kind = *dice.pick(&list);
    symbol(case, dice).is_some_and(|s| s.kind != SymbolKind::Tls && set(&mut s.kind, kind))
}

fn change_definition(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let list = [
        Definition::Undefined,
        Definition::Absolute(0x1234),
        Definition::Absolute(0xffff_ffff),
        Definition::Common { align: 16 },
    ];
    let definition = *dice.pick(&list);
    let Some(object) = object(case, dice) else { return false };
    let index = dice.below(object.symbols.len());
    // Where an atom begins is what it is, in Mach-O.
    let fixed = object.begins_atom(index);
    object.symbols.get_mut(index).is_some_and(|s| {
        s.binding != Binding::Local
            && s.kind != SymbolKind::Tls
            && !fixed
            && set(&mut s.definition, definition)
    })
}

fn rename_symbol(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let Some(name) = symbol(case, dice).map(|symbol| symbol.name.clone()) else { return false };
    symbol(case, dice).is_some_and(|symbol| set(&mut symbol.name, name))
}

fn change_type(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let rows = machine::rows(case.target);
    let target = case.target;
    let width = |number| rows.row(number).map(|row| row.field.width);
    reloc(case, dice).is_some_and(|reloc| {
        let same = rows.0.iter().filter(|row| Some(row.field.width) == width(reloc.r_type));
        let list: Vec<u32> =
            same.map(|row| row.number).filter(|number| !machine::leads(target, *number)).collect();
        !machine::leads(target, reloc.r_type)
            && !list.is_empty()
            && set(&mut reloc.r_type, *dice.pick(&list))
    })
}

fn change_addend(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let list = [0, 1, -1, -4, 8, 0x7fff_ffff, -0x8000_0000, 0x8000_0000];
    let addend = *dice.pick(&list);
    reloc(case, dice).is_some_and(|reloc| set(&mut reloc.addend, addend))
}

fn change_target(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let Some(object) = object(case, dice) else { return false };
    let (symbols, sections) = (object.symbols.len(), object.sections.len());
    let target = match dice.below(3) {
        1 if sections > 0 => SymbolRef::Section(dice.below(sections)),
        _ if symbols > 0 => SymbolRef::Named(dice.below(symbols)),
        _ => SymbolRef::Null,
    };
    let relocs = object.sections.iter_mut().flat_map(|section| &mut section.relocs);
    let mut relocs: Vec<_> = relocs.collect();
    let index = dice.below(relocs.len());
    relocs.get_mut(index).is_some_and(|reloc| set(&mut reloc.symbol, target))
}

fn drop_reloc(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let target = case.target;
    section(case, dice).is_some_and(|section| {
        let index = dice.below(section.relocs.len());
        let leads = |reloc: &Reloc| machine::leads(target, reloc.r_type);
        // The halves of a pair mean nothing alone.
        let before = index.checked_sub(1).and_then(|index| section.relocs.get(index));
        let found = section.relocs.get(index).is_some_and(|reloc| !leads(reloc))
            && !before.is_some_and(leads);
        if found {
            section.relocs.remove(index);
        }
        found
    })
}

fn change_align(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let align = *dice.pick(&[1, 2, 16, 64, 4096, 65536]);
    section(case, dice).is_some_and(|section| set(&mut section.align, align))
}

fn change_byte(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    section(case, dice).is_some_and(|section| match &mut section.data {
        Data::Bytes(bytes) => {
            let index = dice.below(bytes.len());
            let byte = dice.below(256) as u8;
            bytes.get_mut(index).is_some_and(|slot| set(slot, byte))
        }
        Data::Zeros(_) => false,
    })
}

fn change_library(case: &mut Case, dice: &mut Dice<'_>) -> bool {
    let index = dice.below(case.inputs.len());
    let Some(Input::Library(library)) = case.inputs.get_mut(index) else { return false };
    let symbol = dice.below(library.symbols.len());
    let Some(symbol) = library.symbols.get_mut(symbol) else { return false };
    match dice.below(3) {
        0 => set(&mut symbol.binding, Binding::Weak),
        1 => set(&mut symbol.defined, LibraryDefinition::Undefined),
        _ => set(&mut symbol.size, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{emit, generate, text};
    use scold_diff::{Mode, Target};

    #[test]
    fn every_mutation_changes_some_case_and_every_mutant_is_well_formed() {
        let mut worked = vec![0; MUTATIONS.len()];
        for number in 0..300 {
            let bytes = generate::bytes(5, number);
            let case = generate::seeded(5, number, Target::AMD64_ELF, Mode::Shared);
            for (i, (name, change)) in MUTATIONS.iter().enumerate() {
                let mut mutant = case.clone();
                if change(&mut mutant, &mut Dice::new(&bytes)) {
                    assert_ne!(mutant, case, "{name}");
                    worked[i] += 1;
                }
            }
            let mutant = mutate(&case, &mut Dice::new(&bytes));
            assert_eq!(text::parse(&text::print(&mutant)).as_ref(), Ok(&mutant));
            let _ = emit::request(&mutant);
        }
        for ((name, _), worked) in MUTATIONS.iter().zip(worked) {
            assert!(worked > 0, "{name} never changed anything");
        }
    }
}
