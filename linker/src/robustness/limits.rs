//! Valid inputs whose sum does not fit: each ends with one error that names the section, whatever wraps.

use object::write::{Object, SymbolSection};
use object::{SectionFlags, SectionKind, SymbolKind, elf};

use super::sample::{new, symbol};
use crate::{ErrorKind, MemoryFiles, link_args};

/// An object with a `.bss` of so many bytes.
fn zeroes(name: &str, size: u64, align: u64) -> Vec<u8> {
    let mut o = new();
    let at = o.add_section(vec![], name.as_bytes().to_vec(), SectionKind::UninitializedData);
    o.append_section_bss(at, size, align);
    symbol(&mut o, "f", SymbolKind::Data, Some((at, 0, 8)));
    o.write().unwrap()
}

/// An object with commons of this size and alignment.
fn commons(count: usize, size: u64, align: u64) -> Vec<u8> {
    let mut o: Object<'_> = new();
    for i in 0..count {
        let common = symbol(&mut o, &format!("c{i}"), SymbolKind::Data, None);
        o.symbol_mut(common).section = SymbolSection::Common;
        (o.symbol_mut(common).value, o.symbol_mut(common).size) = (align, size);
    }
    o.write().unwrap()
}

/// The one error of a link of `files` in their order.
fn refused(files: &[Vec<u8>], options: &str) -> String {
    let names: Vec<String> = (0..files.len()).map(|i| format!("{i}.o")).collect();
    let args: Vec<String> = options.split(' ').map(String::from).chain(names.clone()).collect();
    let files: MemoryFiles = names.iter().map(String::as_str).zip(files.to_vec()).collect();
    match link_args(&args, &files) {
        Ok((image, _)) => panic!("{options}: linked, {} bytes", image.len()),
        Err(errors) => {
            assert!(errors.iter().all(|e| e.kind() == ErrorKind::Usage), "{errors}");
            assert_eq!(errors.iter().count(), 1, "{errors}");
            errors.to_string()
        }
    }
}

/// No input has more than 2 to the power of 46 bytes of zeroes, so it takes many.
#[test]
fn commons_larger_than_the_address_space_together() {
    for (count, size, align) in [(1 << 18, 1 << 46, 1), (1 << 17, 1 << 46, 8), (3, 1, 1 << 63)] {
        let text = refused(&[commons(count, size, align)], "-shared");
        assert!(text.contains("no room for .bss"), "{text}");
    }
}

#[test]
fn an_image_that_begins_too_late() {
    let files = [zeroes(".bss", 0x10000, 8), commons(3, 8, 8)];
    for base in ["ffffffffffff0000", "fffffffffffff000", "8000000000000000"] {
        for kind in ["-no-pie", "-pie", "-shared", "-shared -z noseparate-code"] {
            let options = format!("{kind} --image-base=0x{base}");
            if base.starts_with('f') {
                refused(&files, &options);
            } else {
                let args = format!("{options} 0.o");
                let args: Vec<String> = args.split(' ').map(String::from).collect();
                let files: MemoryFiles = [("0.o", files[0].clone())].into_iter().collect();
                link_args(&args, &files).unwrap();
            }
        }
    }
}

#[test]
fn pages_of_a_tebibyte() {
    let text = refused(&[zeroes(".bss", 64, 8)], "-shared -z max-page-size=0x10000000000");
    assert!(text.contains("out of proportion"), "{text}");
}

/// Notes of different alignment can't share a header, and headers are counted in 16 bits.
#[test]
fn more_program_headers_than_can_be_counted() {
    let mut o = new();
    for i in 0..0x10000u64 {
        let name = format!(".note.{i}").into_bytes();
        let at = o.add_section(vec![], name, SectionKind::Note);
        o.section_mut(at).flags =
            SectionFlags::Elf { sh_type: elf::SHT_NOTE, sh_flags: elf::SHF_ALLOC };
        o.append_section_data(at, &[0; 16], 4 << (i & 1));
    }
    let text = refused(&[o.write().unwrap()], "-shared");
    assert!(text.contains("program headers"), "{text}");
}
