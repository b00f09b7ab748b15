use object::write::{Object, Relocation, SectionId, StandardSection, SymbolId};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSection as _, RelocationFlags,
    SectionFlags, SectionKind, elf,
};

use crate::{MemoryFiles, link_args};

const CIE: [u8; 24] =
    [20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0];

/// An object of 64 bytes of code and an empty `.eh_frame` with `flags`.
fn new(flags: elf::SectionFlags) -> (Object<'static>, SectionId, SymbolId) {
    let mut o = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let text = o.section_id(StandardSection::Text);
    o.append_section_data(text, &[0x90; 64], 16);
    let symbol = o.section_symbol(text);
    let frame = o.add_section(vec![], b".eh_frame".to_vec(), SectionKind::ReadOnlyData);
    let sh_type = elf::SHT_PROGBITS;
    o.section_mut(frame).flags = SectionFlags::Elf { sh_type, sh_flags: flags };
    (o, frame, symbol)
}

/// An FDE at `at` of the CIE at 0, whose pointers have `word` bytes; where its first one is.
fn fde(o: &mut Object<'_>, frame: SectionId, at: u32, word: usize) -> u64 {
    let size = (4 + 2 * word + 1).next_multiple_of(4);
    let mut bytes = [(size as u32).to_le_bytes(), (at + 4).to_le_bytes()].concat();
    bytes.resize(4 + size, 0);
    bytes[8 + word] = 32;
    assert_eq!(o.append_section_data(frame, &bytes, 1), u64::from(at));
    u64::from(at) + 8
}

fn link(o: &Object<'_>, options: &str) -> Result<Vec<u8>, crate::Errors> {
    let files: MemoryFiles = [("a.o", o.write().unwrap())].into_iter().collect();
    let args: Vec<String> = options.split(' ').chain(["a.o"]).map(String::from).collect();
    link_args(&args, &files).map(|(image, _)| image)
}

/// The address and bytes of section `name`.
fn section(image: &[u8], name: &str) -> (u64, Vec<u8>) {
    let file = object::File::parse(image).unwrap();
    let section = file.section_by_name(name).unwrap();
    (section.address(), section.data().unwrap().to_vec())
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// GNU ld takes them in any order; nothing says they are sorted.
#[test]
fn relocations_in_any_order_mean_the_same() {
    let order = |places: [usize; 2], options: &str| {
        let (mut o, frame, text) = new(elf::SHF_ALLOC);
        o.append_section_data(frame, &CIE, 8);
        let at = [fde(&mut o, frame, 24, 4), fde(&mut o, frame, 44, 4)];
        for i in places {
            let flags = RelocationFlags::Elf { r_type: elf::R_X86_64_PC32 };
            let addend = 32 * i as i64;
            let relocation = Relocation { offset: at[i], symbol: text, addend, flags };
            o.add_relocation(frame, relocation).unwrap();
        }
        section(&link(&o, options).unwrap(), ".eh_frame")
    };
    for options in ["-shared --eh-frame-hdr", "-pie", "-no-pie -q"] {
        assert_eq!(order([0, 1], options), order([1, 0], options), "{options}");
    }
}

/// A table with absolute pointers is relocated by the loader, as GNU ld and lld have it.
#[test]
fn absolute_pointers_get_relative_relocations() {
    let (mut o, frame, text) = new(elf::SHF_ALLOC | elf::SHF_WRITE);
    let mut cie = CIE;
    cie[16] = 0;
    o.append_section_data(frame, &cie, 8);
    // The second has no function: it goes, and its relocations with it.
    let at = [fde(&mut o, frame, 24, 8), fde(&mut o, frame, 52, 8)];
    for offset in [at[0], at[1] + 8] {
        let flags = RelocationFlags::Elf { r_type: elf::R_X86_64_64 };
        o.add_relocation(frame, Relocation { offset, symbol: text, addend: 16, flags }).unwrap();
    }
    for options in ["-shared --eh-frame-hdr", "-shared -z pack-relative-relocs"] {
        let image = link(&o, options).unwrap();
        let (address, bytes) = section(&image, ".eh_frame");
        let function = section(&image, ".text").0 + 16;
        assert_eq!(word(&bytes, 32), function);
        let rela = section(&image, ".rela.dyn").1;
        assert_eq!(rela.len(), 24, "{options}");
        assert_eq!((word(&rela, 0), word(&rela, 8)), (address + 32, 8), "R_X86_64_RELATIVE");
        assert_eq!(word(&rela, 16), function);
    }
}

/// A call frame's personality by way of the PLT is the PLT's entry, not address 0.
#[test]
fn a_personality_in_a_library_is_its_plt_entry() {
    let (mut o, frame, text) = new(elf::SHF_ALLOC);
    o.append_section_data(frame, &CIE, 8);
    let at = fde(&mut o, frame, 24, 4);
    let import = o.add_symbol(object::write::Symbol {
        name: b"personality".to_vec(),
        value: 0,
        size: 0,
        kind: object::SymbolKind::Text,
        scope: object::SymbolScope::Dynamic,
        weak: false,
        section: object::write::SymbolSection::Undefined,
        flags: object::SymbolFlags::None,
    });
    for (offset, symbol, r_type) in
        [(at, text, elf::R_X86_64_PC32), (20, import, elf::R_X86_64_PLT32)]
    {
        let flags = RelocationFlags::Elf { r_type };
        o.add_relocation(frame, Relocation { offset, symbol, addend: 0, flags }).unwrap();
    }
    let image = link(&o, "-shared").unwrap();
    let (address, bytes) = section(&image, ".eh_frame");
    let distance = i32::from_le_bytes(bytes[20..24].try_into().unwrap());
    let (plt, entries) = section(&image, ".plt");
    let target = (address + 20).wrapping_add_signed(distance.into());
    assert!(plt < target && target < plt + entries.len() as u64, "{target:#x}, .plt at {plt:#x}");
}
