//! The relations hold for the reference, and a linker that one of them breaks is seen.

use std::sync::Arc;
use std::time::Duration;

use scold_diff::adapter::{self, Adapter, Outcome, Shared};
use scold_diff::oracle::{self, Cost};
use scold_diff::{Mode, Request, Target};

use super::*;
use crate::examine::Bench;
use crate::{generate, text};

const CASE: &str = "\
case amd64-elf shared
OPTIONobject a.o {
  section .text progbits ax align=16 marker {
    hex 48 8d 05 00 00 00 00 c3 90 90 90 90 90 90 90 90
    hex 48 8d 05 00 00 00 00 c3
    reloc 0x13 R_X86_64_PC32 local -4
    reloc 0x23 R_X86_64_PC32 local -4
  }
  section .data progbits aw align=8 marker {
    hex 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
  }
  symbol local local object at .data+0x10 size 8
  symbol first global func at .text+0x10 size 8
  symbol second global func at .text+0x20 size 8
}
";

const MACHO: &str = "\
case amd64-macho c-shared
option gc-sections
object a.o subsections {
  section __TEXT,__text progbits ax align=16 tail-marker {
    hex 48 8d 05 00 00 00 00 c3
    reloc 0x3 X86_64_RELOC_SIGNED _local
  }
  section __DATA,__data progbits aw align=8 tail-marker {
    hex 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
  }
  symbol _first global func at __TEXT,__text+0x0
  symbol _local local object at __DATA,__data+0x0
}
";

fn case(option: &str) -> Case {
    text::parse(&CASE.replace("OPTION", option)).unwrap()
}

fn reference() -> Shared {
    adapter::select(&[adapter::REFERENCE.into()], &[]).unwrap().remove(0)
}

/// A linker that loses a byte of data whenever the first object is not this one.
struct Picky {
    inner: Shared,
    object: Arc<[u8]>,
}

impl Adapter for Picky {
    fn name(&self) -> &str {
        "picky"
    }
    fn version(&self) -> &str {
        "1.0"
    }
    fn link(&self, request: &Request, limit: Duration) -> Outcome {
        let mut outcome = self.inner.link(request, limit);
        if let Outcome::Linked(image) = &mut outcome
            && request.files[0].bytes != self.object
            && let Some(at) = image.windows(16).position(|bytes| bytes == [0x11; 16])
        {
            image[at + 3] = 0;
        }
        outcome
    }
}

/// Shapes of what is said about `linker` over `case`.
fn shapes(linker: Shared, case: &Case) -> Vec<String> {
    let mut bench = Bench::new(vec![linker], Cost::Links, Duration::from_secs(20));
    bench.oracles = oracle::up_to(Cost::Links);
    bench.oracles.retain(|oracle| oracle.name() == "metamorphic");
    let ruling = bench.examined(case).ruling;
    ruling.complaints.into_iter().map(|c| format!("{} {:?}", c.shape, c.keys)).collect()
}

#[test]
fn every_relation_sees_a_planted_fault_and_the_reference_has_none() {
    for (relation, option) in
        [("split", ""), ("locals", ""), ("dead", "option gc-sections\noption export-dynamic\n")]
    {
        let case = case(option);
        let row = RELATIONS.iter().find(|row| row.name == relation).unwrap();
        assert!((row.apply)(&case).is_some(), "{relation} does not apply");
        let list = shapes(reference(), &case);
        assert!(list.is_empty(), "{relation}: {list:#?}");
        let object = emit::request(&case).files[0].bytes.clone();
        let list = shapes(Arc::new(Picky { inner: reference(), object }), &case);
        let start = format!("{relation}: bytes");
        assert!(list.iter().any(|shape| shape.starts_with(&start)), "{relation}: {list:#?}");
    }
}

#[test]
fn relations_of_macho_see_a_planted_fault_too() {
    let case = text::parse(MACHO).unwrap();
    let list = shapes(reference(), &case);
    assert!(list.is_empty(), "{list:#?}");
    let object = emit::request(&case).files[0].bytes.clone();
    let list = shapes(Arc::new(Picky { inner: reference(), object }), &case);
    for relation in ["locals", "dead"] {
        let start = format!("{relation}: bytes");
        assert!(list.iter().any(|shape| shape.starts_with(&start)), "{relation}: {list:#?}");
    }
    assert!(split::split(&case).is_none());
}

#[test]
fn a_cut_section_keeps_its_symbols_and_relocations() {
    let split = split::split(&case("")).unwrap().case;
    let object = split.objects()[0];
    assert_eq!(object.sections.len(), 3);
    assert_eq!(object.sections[0].size(), 0x20);
    assert_eq!(object.sections[2].relocs[0].offset, 0x13);
    assert_eq!(object.symbols[2].definition, Definition::Section { section: 2, offset: 16 });
    assert_eq!(text::parse(&text::print(&split)).as_ref(), Ok(&split));
}

#[test]
fn the_reference_holds_on_random_cases() {
    let mut applied = [0; 3];
    for number in 0..150 {
        let mode = Mode::ALL[number as usize % Mode::ALL.len()];
        let case = generate::seeded(11, number, Target::AMD64_ELF, mode);
        for (count, relation) in applied.iter_mut().zip(RELATIONS) {
            *count += u32::from((relation.apply)(&case).is_some());
        }
        let mut list = shapes(reference(), &case);
        list.retain(|shape| RELATIONS.iter().any(|row| shape.starts_with(row.name)));
        assert!(list.is_empty(), "case {number}: {list:#?}\n{case:?}");
    }
    assert!(applied.iter().all(|count| *count >= 10), "{applied:?}");
}

#[test]
fn the_reference_holds_on_random_cases_of_macho() {
    let mut applied = [0; 3];
    for number in 0..60 {
        let target = [Target::AMD64_MACHO, Target::ARM64_MACHO][number as usize % 2];
        let mode = Mode::ALL[number as usize / 2 % 4];
        let case = generate::seeded(11, number, target, mode);
        for (count, relation) in applied.iter_mut().zip(RELATIONS) {
            *count += u32::from((relation.apply)(&case).is_some());
        }
        let mut list = shapes(reference(), &case);
        list.retain(|shape| RELATIONS.iter().any(|row| shape.starts_with(row.name)));
        assert!(list.is_empty(), "case {number}: {list:#?}\n{case:?}");
    }
    let [split, locals, dead] = applied;
    assert!(split == 0 && locals >= 30 && dead >= 5, "{applied:?}");
}
