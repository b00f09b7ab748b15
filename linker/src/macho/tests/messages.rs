//! What errors say: the place, what it refers to, the number that is wrong.

use super::*;

/// The text of the one error of a link.
fn says(arm: bool, more: &str, files: &MemoryFiles) -> String {
    link_args(&args(arm, more), files).expect_err("no link").to_string()
}

/// An object with a function of six bytes or four and its entry in `__compact_unwind`.
fn unwound(arm: bool, skip: i64, len: u32) -> Vec<u8> {
    let mut maker = Maker::new(arm);
    let symbol = maker.function("u", "puts", false);
    let name = |text: &str| text.as_bytes().to_vec();
    let unwind = maker.object.add_section(
        name("__LD"),
        name("__compact_unwind"),
        object::SectionKind::Debug,
    );
    let mut entry = [0; 32];
    entry[8..12].copy_from_slice(&len.to_le_bytes());
    let offset = maker.object.append_section_data(unwind, &entry, 8);
    let r_type = m::X86_64_RELOC_UNSIGNED;
    let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
    let relocation = Relocation { offset, symbol, addend: skip, flags };
    maker.object.add_relocation(unwind, relocation).expect("a relocation");
    maker.bytes()
}

#[test]
fn a_corrupt_unwind_entry_is_named_where_it_is() {
    for (arm, size) in [(true, 4), (false, 6)] {
        let mut files = files(arm);
        let mut link = |skip, len| {
            files.insert("u.o", unwound(arm, skip, len));
            link_args(&args(arm, "-dylib a.o u.o l.tbd"), &files).map_err(|e| e.to_string())
        };
        link(0, size).expect("the whole function");
        let site = "u.o:(__LD,__compact_unwind+0x8): ";
        let text = link(0, 0x7fff_ffff).expect_err("a length out of proportion");
        assert!(text.contains(&format!("{site}an unwind entry reaches over the end")), "{text}");
        let text = link(0, size + 1).expect_err("a byte too many");
        assert!(text.contains(site), "{text}");
        for skip in [-1, 0x7fff_ffff_0000, size as i64 + 1] {
            let text = link(skip, 0).expect_err("no function there");
            assert!(text.contains("u.o:(__LD,__compact_unwind+0x0): "), "{text}");
            assert!(text.contains("outside of its section"), "{text}");
        }
    }
}
