//! `--emit-relocs`: what is kept must say of the output what its bytes hold.

use std::fs;

use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionKind};

use super::{command, compile, driver, program, run, scratch};

/// Checks every kept relocation against the bytes it is for; how many there were.
fn check(bytes: &[u8], name: &str) -> usize {
    let file = object::File::parse(bytes).expect("an ELF file");
    let mut checked = 0;
    for section in file.sections().filter(|s| s.kind() != SectionKind::UninitializedData) {
        let data = section.data().expect("the section's bytes");
        for (place, reloc) in section.relocations() {
            let RelocationFlags::Elf { r_type } = reloc.flags() else { unreachable!() };
            let RelocationTarget::Symbol(symbol) = reloc.target() else { continue };
            let symbol = file.symbol_by_index(symbol).expect("the symbol exists");
            // What goes through the PLT or the loader has another value in place.
            if symbol.is_undefined() || is_ifunc(&symbol) {
                continue;
            }
            let (size, relative) = match r_type {
                object::elf::R_X86_64_64 => (8, false),
                object::elf::R_X86_64_32 | object::elf::R_X86_64_32S => (4, false),
                object::elf::R_X86_64_PC32 | object::elf::R_X86_64_PLT32 => (4, true),
                _ => continue,
            };
            let base = if relative { place } else { 0 };
            let value = symbol.address().wrapping_add(reloc.addend() as u64).wrapping_sub(base);
            let at = (place - section.address()) as usize;
            let section = section.name().unwrap_or("?");
            let want = &value.to_le_bytes()[..size];
            assert_eq!(&data[at..at + size], want, "{name}: {section}+{at:#x}, type {r_type}");
            checked += 1;
        }
    }
    checked
}

/// Whether `symbol` is an indirect function.
fn is_ifunc<'d>(symbol: &impl ObjectSymbol<'d>) -> bool {
    let object::SymbolFlags::Elf { st_info, .. } = symbol.flags() else { unreachable!() };
    st_info.0 & 15 == object::elf::STT_GNU_IFUNC.0
}

#[test]
fn kept_relocations_say_what_the_bytes_hold() {
    let dir = scratch("emit_relocs");
    let flags = ["-g", "-O1", "-fcommon", "-ffunction-sections"];
    let pie = compile("gcc", &program("modes.c"), &[&flags[..], &["-fPIE"]].concat());
    let pic = compile("gcc", &program("modes.c"), &[&flags[..], &["-fPIC"]].concat());
    let kinds: &[(&[&str], _, _)] = &[
        (&["-pie"], &pie, 100),
        (&["-no-pie", "-Wl,--gc-sections"], &pie, 100),
        (&["-static"], &pie, 5000),
        (&["-shared"], &pic, 100),
    ];
    for (i, (kind, object, least)) in kinds.iter().enumerate() {
        let out = dir.join(format!("out{i}"));
        run(driver("gcc").args(*kind).arg("-Wl,-q").arg("-o").arg(&out).arg(object));
        if kind[0] != "-shared" {
            run(&mut command(&out));
        }
        let count = check(&fs::read(&out).expect("the output"), &format!("{kind:?}"));
        assert!(count >= *least, "{kind:?}: only {count} relocations");
    }
}
