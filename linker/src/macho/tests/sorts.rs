//! What a section's sort says of what is in it; pointers where no loader looks for them.

use super::*;
use crate::format::macho::{kind, lc, read};

/// The address of a symbol.
fn address(image: &[u8], name: &str) -> u64 {
    let file = object::File::parse(image).expect("an image");
    file.symbols().find(|symbol| symbol.name() == Ok(name)).expect(name).address()
}

/// Adds a section with one variable, called `name`, aligned to a byte.
fn packed(maker: &mut Maker, (segment, section, sort): (&str, &str, u32), name: &str, size: usize) {
    let names = [segment, section].map(|name| name.as_bytes().to_vec());
    let [segment, section] = names;
    let id = maker.object.add_section(segment, section, object::SectionKind::Data);
    let flags = m::SectionFlags(sort);
    maker.object.section_mut(id).flags = object::SectionFlags::MachO { flags, reserved2: 0 };
    let variable = maker.symbol(name, SymbolKind::Data, false);
    let offset = maker.object.add_symbol_data(variable, id, &vec![7; size], 1);
    if sort == kind::TLV_VARS {
        let r_type = m::X86_64_RELOC_UNSIGNED;
        let flags = RelocationFlags::MachO { r_type, r_pcrel: false, r_length: 3 };
        let symbol = maker.symbol("environ", SymbolKind::Data, false);
        let relocation = Relocation { offset, symbol, addend: 0, flags };
        maker.object.add_relocation(id, relocation).expect("a relocation");
    }
}

/// clang aligns `__thread_vars` to a byte on x86_64, and nobody has to align literals: their sorts say it.
#[test]
fn descriptors_and_literals_are_aligned_whatever_their_sections_say() {
    for arm in [false, true] {
        let mut maker = maker(arm);
        let (text, data) = ("__TEXT", "__DATA");
        packed(&mut maker, (text, "__const", kind::REGULAR), "odd", 1);
        packed(&mut maker, (data, "__odd", kind::REGULAR), "byte", 1);
        let all = [
            ((text, "__literal4", kind::LITERAL4), "four", 4),
            ((text, "__literal8", kind::LITERAL8), "eight", 8),
            ((text, "__literal16", kind::LITERAL16), "sixteen", 16),
            ((data, "__thread_vars", kind::TLV_VARS), "thread", 24),
        ];
        for (section, name, size) in all {
            packed(&mut maker, section, name, size);
        }
        let mut files = files(arm);
        files.insert("s.o", maker.bytes());
        let line = args(arm, "-dylib s.o l.tbd");
        let (image, report) = link_args(&line, &files).expect("a link");
        assert_eq!(report.warnings, [""; 0], "{arm}");
        for (_, name, size) in all {
            let align = if size == 24 { 8 } else { size as u64 };
            let at = address(&image, &format!("_{name}"));
            assert!(at.is_multiple_of(align), "{arm} {name}: {at:#x}");
        }
        let file = read::File::parse(&image).expect("an image");
        assert!(file.command(&[lc::CHAINED_FIXUPS]).is_some(), "{arm}");
    }
}

#[test]
fn packed_pointers_are_not_chained() {
    for arm in [false, true] {
        let mut maker = Maker::new(arm);
        maker.function("f", "puts", false);
        maker.pointer_at("packed", "f", 3);
        let mut files = files(arm);
        files.insert("a.o", maker.bytes());
        let link = |way: &str| link_args(&args(arm, &format!("-dylib a.o l.tbd{way}")), &files);
        link(" -no_fixup_chains").expect("classic fixups hold any pointer");
        let error = link(" -fixup_chains").expect_err("asked for what can't be").first().kind();
        assert_eq!(error, ErrorKind::RelocUnsupported);
        // ld64 falls back on x86_64 only.
        match link("") {
            Ok((_, report)) => assert!(!arm && report.warnings.len() == 1),
            Err(error) => assert!(arm, "{error}"),
        }
    }
}
