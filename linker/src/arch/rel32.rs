//! A machine for tests only: 32 bits, addends in the fields. Must not be in any build that people run.

use super::{Arch, rows};
use crate::format::elf::class::Class;

rows! {
    REL32_NONE = 0 []              Mark,    Any;
    REL32_WORD = 1 [S + A]         Data(4), Any;
    REL32_SLOT = 3 [G + A]         Data(4), Any;
    REL32_TLS = 4  [GOTTPOFF + A - P] Data(4), Any;
}

/// The machine.
pub const REL32: Arch = Arch {
    name: "rel32",
    machine: 0x7ffe,
    emulation: "elf32_rel",
    format: "elf32-rel",
    class: Class::Elf32,
    explicit_addends: false,
    rows: ROWS,
    ..super::amd64::AMD64
};

mod tests {
    use object::read::elf::ElfFile32;
    use object::write::{Object, StandardSection};
    use object::{
        Architecture, BinaryFormat, Endianness, Object as _, ObjectSection as _, SymbolKind,
        SymbolScope, elf,
    };

    use crate::link_args;
    use crate::robustness::sample::{reloc, symbol};

    /// Dynamic relocations have no addends here: the loader finds them in the fields.
    #[test]
    fn addends_of_dynamic_relocations_are_in_place() {
        let mut o = Object::new(BinaryFormat::Elf, Architecture::I386, Endianness::Little);
        let data = o.section_id(StandardSection::Data);
        o.append_section_data(data, &[0; 24], 8);
        let tls = o.section_id(StandardSection::Tls);
        o.append_section_data(tls, &[1; 16], 8);
        let own = symbol(&mut o, "own", SymbolKind::Data, Some((data, 16, 4)));
        let open = symbol(&mut o, "open", SymbolKind::Data, Some((data, 20, 4)));
        let local = symbol(&mut o, "local", SymbolKind::Tls, Some((tls, 8, 4)));
        for id in [own, local] {
            o.symbol_mut(id).scope = SymbolScope::Linkage;
        }
        let kind = elf::RelocationType;
        reloc(&mut o, data, 0, own, 4, kind(super::REL32_WORD));
        reloc(&mut o, data, 4, open, 8, kind(super::REL32_WORD));
        reloc(&mut o, data, 8, own, 0, kind(super::REL32_SLOT));
        reloc(&mut o, data, 12, local, 0, kind(super::REL32_TLS));
        let mut bytes = o.write().unwrap();
        bytes[18..20].copy_from_slice(&super::REL32.machine.to_le_bytes());
        let files: crate::MemoryFiles = [("a.o", bytes)].into_iter().collect();
        let (image, _) = link_args(&["-shared", "a.o"].map(String::from), &files).unwrap();
        let file = ElfFile32::<Endianness>::parse(&*image).unwrap();
        let section = |name: &str| file.section_by_name(name).unwrap();
        let words = |name: &str| -> Vec<u32> {
            let data = section(name).data().unwrap();
            data.chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect()
        };
        let own = section(".data").address() as u32 + 16;
        assert_eq!(words(".data")[..2], [own + 4, 8], "relative, then symbolic");
        let got = words(".got");
        assert!(
            got.contains(&own) && got.contains(&8),
            "{got:x?}: a slot, a thread-local's offset"
        );
        assert_eq!(section(".rel.dyn").size(), 4 * 8);
    }
}
