//! A reducer that is asked for one relocation must end with little more than that relocation.

use scold_diff::{Mode, Target};

use super::{Budget, reduce};
use crate::case::{
    Binding, Case, Data, Definition, Group, Input, Marker, Object, Opt, Reloc, Section,
    SectionFlags, SectionKind, Symbol, SymbolKind, SymbolRef, Validity, VersionNode, VersionScript,
    Visibility,
};

fn section(name: &str, relocs: Vec<Reloc>) -> Section {
    Section {
        name: name.into(),
        kind: SectionKind::Progbits,
        flags: SectionFlags { alloc: true, write: true, ..SectionFlags::default() },
        align: 16,
        entsize: 0,
        marker: Marker::Head,
        data: Data::Bytes(vec![7; 64]),
        relocs,
        link_order: None,
    }
}

fn symbol(name: &str, definition: Definition) -> Symbol {
    Symbol {
        name: name.into(),
        binding: Binding::Weak,
        kind: SymbolKind::Object,
        visibility: Visibility::Protected,
        size: 4,
        definition,
        desc: Default::default(),
    }
}

fn big_case() -> Case {
    let object = |n: usize| {
        let relocs = (0..6)
            .map(|i| Reloc {
                offset: 16 + 8 * i,
                r_type: 1 + (i as u32 % 2),
                symbol: if i % 2 == 0 {
                    SymbolRef::Named(i as usize)
                } else {
                    SymbolRef::Section(1)
                },
                addend: i as i64 * 5,
            })
            .collect();
        Object {
            name: format!("o{n}.o"),
            sections: vec![section(".data.a", Vec::new()), section(".data.b", relocs)],
            symbols: (0..8)
                .map(|i| {
                    symbol(
                        &format!("object_{n}_symbol_{i}"),
                        Definition::Section { section: i % 2, offset: 16 },
                    )
                })
                .collect(),
            groups: vec![Group { signature: format!("g{n}"), comdat: true, members: vec![0, 1] }],
            subsections: false,
        }
    };
    Case {
        target: Target::AMD64_ELF,
        mode: Mode::Shared,
        validity: Validity::Defined,
        options: vec![Opt::Now, Opt::GcSections, Opt::Wrap("x".into())],
        inputs: (0..4).map(|n| Input::Object(object(n))).collect(),
        versions: Some(VersionScript {
            nodes: vec![VersionNode {
                name: "V1".into(),
                global: vec!["*".into()],
                local: Vec::new(),
                parent: None,
            }],
        }),
        beside: Vec::new(),
    }
}

/// Every reference by index points at something.
fn intact(case: &Case) -> bool {
    case.objects().into_iter().all(|object| {
        let sections = object.sections.len();
        object.symbols.iter().all(|s| match s.definition {
            Definition::Section { section, .. } => section < sections,
            _ => true,
        }) && object.groups.iter().all(|g| g.members.iter().all(|m| *m < sections))
            && object.sections.iter().flat_map(|s| &s.relocs).all(|r| match r.symbol {
                SymbolRef::Named(symbol) => symbol < object.symbols.len(),
                SymbolRef::Section(section) => section < sections,
                SymbolRef::Null => true,
            })
    })
}

fn named_targets(case: &Case) -> Vec<String> {
    case.objects()
        .into_iter()
        .flat_map(|object| {
            object.sections.iter().flat_map(|s| &s.relocs).filter_map(|r| match r.symbol {
                SymbolRef::Named(symbol) => Some(object.symbols[symbol].name.clone()),
                _ => None,
            })
        })
        .collect()
}

#[test]
fn keeps_only_what_the_predicate_needs() {
    let case = big_case();
    let reduced = reduce(&case, Budget::default(), &mut |candidate| {
        assert!(intact(candidate), "{} objects", candidate.objects().len());
        named_targets(candidate).iter().any(|name| name == "object_2_symbol_4")
    });
    assert!(reduced.minimal);
    assert!(reduced.case.options.is_empty() && reduced.case.versions.is_none());
    let objects = reduced.case.objects();
    assert_eq!(objects.len(), 1);
    assert!(objects[0].groups.is_empty());
    let relocs: usize = objects[0].sections.iter().map(|s| s.relocs.len()).sum();
    assert_eq!((relocs, objects[0].symbols.len()), (1, 1));
    assert_eq!(objects[0].symbols[0].visibility, Visibility::Default);
    assert_eq!(named_targets(&reduced.case), ["object_2_symbol_4"]);
}

#[test]
fn the_budget_is_kept_and_the_best_so_far_returned() {
    let case = big_case();
    let mut asked = 0;
    let budget = Budget { candidates: 5, ..Budget::default() };
    let reduced = reduce(&case, budget, &mut |_| {
        asked += 1;
        asked == 5
    });
    assert_eq!((asked, reduced.tried, reduced.kept, reduced.minimal), (5, 5, 1, false));
}

#[test]
fn same_case_same_result() {
    let predicate = |candidate: &Case| named_targets(candidate).len() >= 3;
    let one = reduce(&big_case(), Budget::default(), &mut { predicate });
    let two = reduce(&big_case(), Budget::default(), &mut { predicate });
    assert!(one.case == two.case);
    assert_eq!(named_targets(&one.case).len(), 3);
}

/// Two entries of a table, each for a function.
const UNWIND: &str = "\
case amd64-macho c-shared
object a.o subsections {
  section __TEXT,__text progbits ax align=4 tail-marker {
    hex c3
  }
  section __TEXT,__text progbits ax align=4 tail-marker {
    hex c3
  }
  section __LD,__compact_unwind progbits - align=8 {
    fill 0x00 0x48
    hex 01 00 00 00 00 00 00 01
    fill 0x00 0x10
    reloc 0x0 X86_64_RELOC_UNSIGNED [#0]
    reloc 0x20 X86_64_RELOC_UNSIGNED [#1]
  }
  symbol _f global notype at #0+0x0
  symbol _g global notype at #1+0x0
}
";

#[test]
fn entries_of_functions_go_with_them() {
    let case = crate::text::parse(UNWIND).unwrap();
    let table = |case: &Case| {
        let mut all = case.objects().into_iter().flat_map(|object| object.sections.clone());
        all.rfind(|section| section.name.ends_with("unwind"))
    };
    let reduced = reduce(&case, Budget::default(), &mut |candidate| {
        let Some(table) = table(candidate) else { return false };
        assert_eq!(table.relocs.len() as u64 * 32, table.size(), "{candidate:?}");
        !table.relocs.is_empty()
    });
    let table = table(&reduced.case).unwrap();
    assert_eq!((table.size(), table.relocs[0].offset), (32, 0), "{:?}", reduced.case);
}

/// What Mach-O adds: pairs stay pairs, atoms keep what they start with.
const MACHO: &str = "\
case amd64-macho c-shared
option gc-sections
object a.o subsections {
  section __TEXT,__text progbits ax align=16 tail-marker {
    hex 48 8d 05 00 00 00 00 c3
    reloc 0x3 X86_64_RELOC_SIGNED _data 8
  }
  section __DATA,__data progbits aw align=16 tail-marker {
    fill 0x00 0x20
    reloc 0x0 X86_64_RELOC_UNSIGNED _f
    reloc 0x8 X86_64_RELOC_SUBTRACTOR _f
    reloc 0x8 X86_64_RELOC_UNSIGNED _data 3
    reloc 0x10 X86_64_RELOC_SUBTRACTOR _inside
    reloc 0x10 X86_64_RELOC_UNSIGNED _data
  }
  section __DATA,__data progbits aw align=16 tail-marker {
    fill 0x00 0x20
  }
  symbol _f global func at __TEXT,__text+0x0 no-dead-strip
  symbol _data global notype at #1+0x0
  symbol _inside local notype at #1+0x4 alt-entry
  symbol _other weak notype at #2+0x0 can-be-hidden
}
library libx.dylib weak {
}
";

#[test]
fn pairs_and_atoms_of_macho_stay_whole() {
    let case = crate::text::parse(MACHO).unwrap();
    let minus = |case: &Case| {
        let sections = case.objects().into_iter().flat_map(|object| &object.sections);
        let mut pairs = 0;
        for section in sections {
            for (i, reloc) in section.relocs.iter().enumerate() {
                if crate::machine::leads(case.target, reloc.r_type) {
                    pairs += 1;
                    assert_eq!(section.relocs[i + 1].offset, reloc.offset, "{case:?}");
                }
            }
        }
        pairs
    };
    let atoms = |case: &Case| {
        for object in case.objects() {
            for section in 0..object.sections.len() {
                let start = Definition::Section { section, offset: 0 };
                let begins = |s: &Symbol| s.definition == start && !s.desc.alt_entry;
                assert!(object.symbols.iter().any(begins), "{case:?}");
            }
        }
    };
    let reduced = reduce(&case, Budget::default(), &mut |candidate| {
        assert!(intact(candidate));
        atoms(candidate);
        minus(candidate) > 0
    });
    assert_eq!(minus(&reduced.case), 1, "{:?}", reduced.case);
    let object = reduced.case.objects()[0];
    let relocs: usize = object.sections.iter().map(|s| s.relocs.len()).sum();
    assert_eq!((relocs, reduced.case.inputs.len()), (2, 1), "{:?}", reduced.case);
    assert!(object.sections.iter().all(|s| s.marker == Marker::Tail && s.align <= 8));
    assert!(object.symbols.iter().all(|s| !s.desc.no_dead_strip && !s.desc.can_be_hidden));
}
