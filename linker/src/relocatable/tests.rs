use object::read::elf::ElfFile64;
use object::{Object as _, ObjectComdat as _, ObjectSection as _, ObjectSymbol as _};

use crate::robustness::sample;
use crate::{MemoryFiles, link_args};

fn relocatable(options: &str, inputs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let files: MemoryFiles = inputs.iter().map(|(n, b)| (*n, b.clone())).collect();
    let names = inputs.iter().map(|i| i.0);
    let args: Vec<String> = options.split(' ').chain(names).map(String::from).collect();
    link_args(&args, &files).unwrap().0
}

fn both() -> Vec<(&'static str, Vec<u8>)> {
    vec![("a.o", sample::bytes("a.o")), ("b.o", sample::bytes("b.o"))]
}

#[test]
fn a_second_pass_changes_nothing() {
    let once = relocatable("-r", &both());
    let twice = relocatable("-r", &[("x.o", once.clone())]);
    assert!(once == twice);
}

#[test]
fn sections_are_joined_and_references_move_along() {
    let bytes = relocatable("-r", &both());
    let file: ElfFile64<'_> = ElfFile64::parse(&bytes[..]).unwrap();
    let frames: Vec<_> = file.sections().filter(|s| s.name() == Ok(".eh_frame")).collect();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].size(), 2 * 44);
    let places: Vec<u64> = frames[0].relocations().map(|r| r.0).collect();
    assert_eq!(places, [32, 44 + 32]);
    let strings = file.section_by_name(".debug_str").unwrap();
    assert_eq!(strings.size(), 241, "inflated");
    assert!(strings.data().unwrap().starts_with(b"debug debug "));
}

#[test]
fn groups_and_properties_stay_one_each() {
    let mut inputs = both();
    inputs.push(("c.o", sample::bytes("b.o")));
    let mut files: MemoryFiles = inputs.iter().map(|(n, b)| (*n, b.clone())).collect();
    files.insert("d.o", sample::bytes("b.o"));
    let args = ["-r", "--allow-multiple-definition", "a.o", "b.o", "c.o"].map(String::from);
    let bytes = link_args(&args, &files).unwrap().0;
    let file: ElfFile64<'_> = ElfFile64::parse(&bytes[..]).unwrap();
    assert_eq!(
        file.comdats().map(|c| c.name().map(String::from)).collect::<Vec<_>>(),
        [Ok("once".into())]
    );
    // a.o has no property, so none is true of all.
    assert!(file.section_by_name(".note.gnu.property").is_none());
    let alone = relocatable("-r", &[("b.o", sample::bytes("b.o"))]);
    let alone: ElfFile64<'_> = ElfFile64::parse(&alone[..]).unwrap();
    assert!(alone.section_by_name(".note.gnu.property").is_some());
}

#[test]
fn references_and_commons_survive() {
    let bytes = relocatable("-r", &both());
    let file: ElfFile64<'_> = ElfFile64::parse(&bytes[..]).unwrap();
    let symbol = |name: &str| file.symbols().find(|s| s.name() == Ok(name)).unwrap();
    assert!(symbol("common").is_common() && symbol("common").size() == 40);
    assert!(symbol("imported").is_undefined() && symbol("imported").is_global());
    assert!(symbol("once").is_weak() && symbol("g").is_definition());
}

#[test]
fn debug_sections_go_with_s() {
    let bytes = relocatable("-r -S", &both());
    let file: ElfFile64<'_> = ElfFile64::parse(&bytes[..]).unwrap();
    assert!(!file.sections().any(|s| s.name().is_ok_and(|n| n.contains(".debug"))));
}
