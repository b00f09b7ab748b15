//! What a function reaches is what its symbol says, whatever its state.

use object::write::{Object, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

use super::*;
use crate::{File, Mode, Target};

/// `x.o` with `probe.1` in Thumb state at 0x10 and `probe.2` at 0x20 of .text, and a second .text.
pub(crate) fn functions() -> Request {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    let mut section = || object.add_section(vec![], b".text".to_vec(), SectionKind::Text);
    let (text, other) = (section(), section());
    for (name, section, value) in
        [("probe.1", text, 0x11), ("probe.2", text, 0x20), ("probe.3", other, 0)]
    {
        object.append_section_data(section, &[0; 0x40], 4);
        object.add_symbol(Symbol {
            name: name.into(),
            value,
            size: 8,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    let bytes = object.write().expect("an object").into();
    Request {
        target: Target::ARM_ELF,
        mode: Mode::Shared,
        args: vec![],
        files: vec![File { name: "x.o".into(), bytes }],
        goos: None,
    }
}

#[test]
fn a_function_is_as_long_as_its_symbol_says() {
    let reach = Reach::of(&functions());
    let has = |name: &str| {
        let keys = (0..0x40).map(|at| (at, format!("site.x.o:.text+{at:#x}")));
        keys.filter(|(_, key)| reach.has(name, key)).map(|(at, _)| at).collect::<Vec<u64>>()
    };
    assert_eq!(has("probe.1"), (0x10..0x18).collect::<Vec<_>>());
    assert_eq!(has("probe.2"), (0x20..0x28).collect::<Vec<_>>());
    assert!(reach.has("probe.3", "site.x.o:.text#1+0x7"));
    assert!(!reach.has("probe.3", "site.x.o:.text+0x7"));
    assert!(!reach.has("probe.1", "site.y.o:.text+0x10"));
    assert!(!reach.has("probe.1", "export.probe.1"));
}
