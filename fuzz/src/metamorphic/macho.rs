//! What the relations change in Mach-O cases: names that keep their kind, an atom that nothing reaches.

use scold_diff::Arch;

use crate::Case;
use crate::case::{
    Binding, Data, Definition, Desc, Marker, Object, Reloc, Section, SectionFlags, SectionKind,
    Symbol, SymbolKind, SymbolRef, Visibility,
};
use crate::machine::macho::{amd64, arm64};

/// How another name of a local symbol begins: names with `L` start no atom, those with `l` are left out of the
/// output.
pub(super) fn prefix(name: &str) -> &'static str {
    match name.as_bytes().first() {
        Some(b'L') => "L",
        Some(b'l') => "l",
        _ => "_",
    }
}

/// One more atom in an object, which reaches others and is reached by nobody.
pub(super) fn with_dead_code(mut case: Case) -> Option<Case> {
    let arch = case.target.arch;
    let object = case
        .objects_mut()
        .into_iter()
        .find(|object| object.subsections && !object.sections.is_empty())?;
    let (code, fields): (&[u8], &[(u64, u32)]) = match arch {
        // lea; adrp and add.
        Arch::Amd64 => (&[0x48, 0x8d, 5, 0, 0, 0, 0], &[(3, amd64::X86_64_RELOC_SIGNED)]),
        _ => (
            &[0, 0, 0, 0x90, 0, 0, 0, 0x91],
            &[(0, arm64::ARM64_RELOC_PAGE21), (4, arm64::ARM64_RELOC_PAGEOFF12)],
        ),
    };
    let (mut bytes, mut relocs) = (Vec::new(), Vec::new());
    for symbol in targets(object) {
        let start = bytes.len() as u64;
        relocs.extend(fields.iter().map(|&(at, r_type)| Reloc {
            offset: start + at,
            r_type,
            symbol,
            addend: 0,
        }));
        bytes.extend_from_slice(code);
    }
    bytes.extend_from_slice(if arch == Arch::Amd64 { &[0xc3] } else { &[0xc0, 3, 0x5f, 0xd6] });
    let section = object.sections.len();
    object.sections.push(Section {
        // Of its own: behind another atom it would add padding to that.
        name: "__TEXT,__scold_dead".into(),
        kind: SectionKind::Progbits,
        flags: SectionFlags { alloc: true, exec: true, ..SectionFlags::default() },
        align: 16,
        entsize: 0,
        marker: Marker::Tail,
        data: Data::Bytes(bytes),
        relocs,
        link_order: None,
    });
    object.symbols.push(Symbol {
        name: "_scold.dead".into(),
        binding: Binding::Local,
        kind: SymbolKind::Func,
        visibility: Visibility::Default,
        size: 0,
        definition: Definition::Section { section, offset: 0 },
        desc: Desc::default(),
    });
    Some(case)
}

/// Up to four local symbols of `object` that code can reach.
fn targets(object: &Object) -> Vec<SymbolRef> {
    let plain = |(_, symbol): &(usize, &Symbol)| match symbol.definition {
        Definition::Section { section, .. } => {
            symbol.binding == Binding::Local
                && object.sections.get(section).is_some_and(|section| {
                    matches!(section.kind, SectionKind::Progbits | SectionKind::Nobits)
                })
        }
        _ => false,
    };
    let list = object.symbols.iter().enumerate().filter(plain);
    list.map(|(at, _)| SymbolRef::Named(at)).take(4).collect()
}
