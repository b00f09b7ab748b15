//! Files that are no objects → objects: the bytes of `-b binary`, the symbols of `--just-symbols`.

use object::elf;
use object::write::{Object, SectionId, StandardSection, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSymbol as _, SymbolFlags,
    SymbolKind, SymbolScope,
};

use super::load::bad_input;
use crate::arch::Arch;
use crate::format::elf::class::Class;
use crate::format::elf::read::check_header;
use crate::{Error, ErrorKind, Result};

/// The object that holds `bytes`, the content of the file called `name`, in its `.data`.
pub(super) fn binary(bytes: &[u8], name: &str, arch: &Arch) -> Result<Vec<u8>> {
    let mut object = empty(arch);
    let section = object.section_id(StandardSection::Data);
    object.append_section_data(section, bytes, 1);
    // A `_` for each byte, as GNU ld and lld have it.
    let plain = |b: u8| if b.is_ascii_alphanumeric() { char::from(b) } else { '_' };
    let stem: String = name.bytes().map(plain).collect();
    let size = bytes.len() as u64;
    for (suffix, section, value) in [
        ("start", SymbolSection::Section(section), 0),
        ("end", SymbolSection::Section(section), size),
        ("size", SymbolSection::Absolute, size),
    ] {
        define(&mut object, format!("_binary_{stem}_{suffix}").into_bytes(), section, value, 0);
    }
    finish(&object, arch, name)
}

/// The object that defines the global symbols of `bytes`, an ELF file called `name`, as numbers.
pub(super) fn symbols(bytes: &[u8], name: &str, arch: &Arch) -> Result<Vec<u8>> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err(bad_input(name, "no ELF file with symbols"));
    }
    check_header(bytes, name, arch)?;
    let file = object::File::parse(bytes)
        .map_err(|error| bad_input(name, &format!("no ELF file with symbols: {error}")))?;
    let mut object = empty(arch);
    for symbol in file.symbols().filter(|s| s.is_global() && s.is_definition()) {
        let wanted =
            matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data | SymbolKind::Unknown);
        let Ok(text) = symbol.name_bytes() else { continue };
        if wanted && !text.is_empty() {
            let (value, size) = (symbol.address(), symbol.size());
            // What the link defines itself is no duplicate of it, as GNU ld has it.
            let id = define(&mut object, text.to_vec(), SymbolSection::Absolute, value, size);
            object.symbol_mut(id).flags = flags(elf::STB_WEAK.0);
        }
    }
    finish(&object, arch, name)
}

/// An object of the machine's class. Nothing but the header depends on the machine itself.
pub(crate) fn empty<'d>(arch: &Arch) -> Object<'d> {
    let stand_in = match arch.class {
        Class::Elf64 => Architecture::X86_64,
        Class::Elf32 => Architecture::I386,
    };
    Object::new(BinaryFormat::Elf, stand_in, Endianness::Little)
}

fn define(
    object: &mut Object<'_>,
    name: Vec<u8>,
    section: SymbolSection,
    value: u64,
    size: u64,
) -> SymbolId {
    let (kind, scope, flags) =
        (SymbolKind::Unknown, SymbolScope::Dynamic, flags(elf::STB_GLOBAL.0));
    object.add_symbol(Symbol { name, value, size, kind, scope, weak: false, section, flags })
}

/// An untyped symbol of this binding.
fn flags(bind: u8) -> SymbolFlags<SectionId, SymbolId> {
    let st_info = elf::SymbolInfo(bind << 4 | elf::STT_NOTYPE.0);
    SymbolFlags::Elf { st_info, st_other: elf::SymbolOther(0) }
}

/// Its bytes, as those of the file called `name`.
pub(crate) fn finish(object: &Object<'_>, arch: &Arch, name: &str) -> Result<Vec<u8>> {
    let mut bytes = object
        .write()
        .map_err(|error| Error::new(ErrorKind::BadInput, error.to_string()).in_file(name))?;
    // e_machine.
    if let Some(machine) = bytes.get_mut(18..20) {
        machine.copy_from_slice(&arch.machine.to_le_bytes());
    }
    Ok(bytes)
}
