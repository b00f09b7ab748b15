//! The same for 32 bits, addends in fields, two instruction sets, the index of unwind tables and attributes.

use object::write::{Object, Relocation, StandardSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSymbol as _, RelocationFlags,
    SectionFlags, SectionKind, SymbolKind, elf,
};
use proptest::prelude::*;

use super::sample::symbol;
use super::{Change, apply, change};
use crate::arch::arm;
use crate::{MemoryFiles, link_args};

/// Code of both sets that branches and loads, its index and tables, attributes.
fn sample() -> Vec<u8> {
    let mut o = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    let text = o.section_id(StandardSection::Text);
    let code =
        [0xeb00_0000u32, 0xd000_f000, 0x9000_f000, 0xe300_0000, 0x0c00_f240, 0xe28f_0000, 0, 8];
    let code: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    o.append_section_data(text, &code, 4);
    let own = symbol(&mut o, "own", SymbolKind::Text, Some((text, 1, 8)));
    let other = symbol(&mut o, "other", SymbolKind::Text, None);
    let tls = symbol(&mut o, "tls", SymbolKind::Tls, None);
    let data = o.section_id(StandardSection::Data);
    o.append_section_data(data, &[4; 8], 4);
    let mut special = |name: &str, kind: u32, alloc: bool, bytes: &[u8]| {
        let section = o.add_section(vec![], name.as_bytes().to_vec(), SectionKind::Other);
        o.append_section_data(section, bytes, 4);
        let sh_flags = if alloc { elf::SHF_ALLOC } else { elf::SectionFlags(0) };
        let sh_type = elf::SectionType(kind);
        o.section_mut(section).flags = SectionFlags::Elf { sh_type, sh_flags };
        section
    };
    let index =
        special(".ARM.exidx", arm::SHT_ARM_EXIDX, true, &[0, 0, 0, 0, 0xb0, 0xb0, 0xb0, 0x80]);
    special(
        ".ARM.attributes",
        arm::SHT_ARM_ATTRIBUTES,
        false,
        b"A\x15\0\0\0aeabi\0\x01\x0b\0\0\0\x06\x0a\x1c\x01\x17\x03",
    );
    for (section, offset, symbol, kind) in [
        (text, 0, other, arm::R_ARM_CALL),
        (text, 4, own, arm::R_ARM_THM_CALL),
        (text, 8, other, arm::R_ARM_THM_JUMP24),
        (text, 12, own, arm::R_ARM_MOVW_PREL_NC),
        (text, 16, own, arm::R_ARM_THM_MOVW_PREL_NC),
        (text, 20, own, arm::R_ARM_ALU_PC_G0_NC),
        (text, 24, tls, arm::R_ARM_TLS_GD32),
        (text, 28, own, arm::R_ARM_GOT_PREL),
        (data, 0, own, arm::R_ARM_ABS32),
        (data, 4, other, arm::R_ARM_ABS32),
        (index, 0, own, arm::R_ARM_PREL31),
    ] {
        let flags = RelocationFlags::Elf { r_type: elf::RelocationType(kind) };
        o.add_relocation(section, Relocation { offset, symbol, addend: 0, flags }).unwrap();
    }
    let mut bytes = o.write().unwrap();
    // The index is for the first section.
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let start = word(&bytes, 32) as usize;
    let headers = (start..bytes.len()).step_by(40);
    let of = |kind: u32| headers.clone().find(|&at| word(&bytes, at + 4) == kind).unwrap();
    let (index, text) = (of(arm::SHT_ARM_EXIDX), of(1));
    bytes[index + 24] = ((text - start) / 40) as u8;
    bytes
}

fn link(file: &[u8], args: &str) -> Result<Vec<u8>, crate::Errors> {
    let files: MemoryFiles = [("a.o", file.to_vec())].into_iter().collect();
    let args: Vec<String> = args.split(' ').map(String::from).collect();
    link_args(&args, &files).map(|(image, _)| image)
}

const KINDS: [&str; 4] = [
    "-shared -Bsymbolic a.o",
    "-r a.o",
    "-shared -Bsymbolic --gc-sections --emit-relocs a.o",
    "-e own --unresolved-symbols=ignore-all a.o",
];

#[test]
fn the_sample_links() {
    for kind in KINDS {
        let image = link(&sample(), kind).unwrap_or_else(|errors| panic!("{kind}: {errors}"));
        assert_eq!(image[36..40], 0x500_0400u32.to_le_bytes(), "{kind}: e_flags");
    }
}

#[test]
fn a_type_may_say_which_instruction_set_a_function_is_of() {
    let mut file = sample();
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let start = word(&file, 32) as usize;
    let symtab = (start..file.len()).step_by(40).find(|&at| word(&file, at + 4) == 2).unwrap();
    let (from, size) = (word(&file, symtab + 16) as usize, word(&file, symtab + 20) as usize);
    let own = (from..from + size).step_by(16).find(|&at| word(&file, at + 4) == 1).unwrap();
    (file[own + 4], file[own + 12]) = (0, file[own + 12] & 0xf0 | 13);
    let image = link(&file, KINDS[0]).unwrap();
    let image = object::File::parse(&*image).unwrap();
    let own = image.dynamic_symbols().find(|s| s.name() == Ok("own")).unwrap();
    assert_eq!((own.address() & 3, own.kind()), (1, SymbolKind::Text));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_the_file_holds_the_link_ends(
        changes in prop::collection::vec(change(), 1..4),
        kind in 0usize..KINDS.len(),
    ) {
        let mut file = sample();
        for change in changes.iter().filter(|change| !matches!(change, Change::Header(..))) {
            apply(&mut file, change);
        }
        let _ = link(&file, KINDS[kind]);
    }
}
