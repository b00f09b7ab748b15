//! What objects say of their code as a whole, and of functions with calling conventions of their own → what
//! the output says, and the reports that `-z ...-report=` ask for.

use rayon::prelude::*;

use super::notes::{self, Property};
use crate::arch::Arch;
use crate::error::{Error, ErrorKind, Errors};
use crate::link::{Link, attr};
use crate::object::{FileId, SymId};
use crate::options::Severity;
use crate::resolve::Resolution;

/// Merges the program properties of all objects.
///
/// Errors: `bad-input` for a note that overruns; `usage` for what a report makes an error.
pub fn plan(link: &mut Link<'_>) -> Result<(), Errors> {
    let (lists, mut errors) = read(link);
    let own = &link.arch.properties;
    let z = &link.options.z;
    let mut forced = Vec::new();
    let bit = |on: bool, bit: u32| if on { bit } else { 0 };
    let bits = bit(z.ibt, own.marked) | bit(z.shstk, own.returns);
    if bits != 0 {
        forced.push((own.feature, bits));
    }
    if let Some(isa) = own.isa.filter(|_| z.isa_level > 0) {
        forced.push((isa, 1 << (z.isa_level - 1)));
    }
    let reports = [
        (own.marked, z.marks_report, "branch targets are not marked"),
        (own.returns, z.returns_report, "returns are not guarded"),
    ];
    let mut warnings = Vec::new();
    for (file, list) in &lists {
        for &(bit, severity, text) in &reports {
            if severity == Severity::None || bit == 0 || feature(link, list) & bit != 0 {
                continue;
            }
            let name = &link.object(*file).name;
            match severity {
                Severity::Error => errors.push(Error::new(ErrorKind::Usage, text).in_file(name)),
                _ => warnings.push(format!("{name}: {text}")),
            }
        }
    }
    let lists = lists.iter().map(|list| &list.1[..]);
    let mut merged = notes::merge(lists, own.merge, &forced);
    if z.no_shstk {
        clear(&mut merged, own.feature, own.returns);
    }
    link.plan.marked_plt = z.ibtplt || feature(link, &merged) & own.marked != 0;
    link.plan.properties = merged;
    link.plan.variants = variants(link.arch, &link.res);
    link.warnings.extend(warnings);
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// The properties of each object, and what is wrong with their notes.
fn read(link: &Link<'_>) -> (Vec<(FileId, Vec<Property>)>, Vec<Error>) {
    let mut lists = Vec::new();
    let mut errors = Vec::new();
    let word = link.arch.word() as usize;
    // Both lists are in file order.
    let mut inputs = link.plan.property_inputs.iter().peekable();
    for (file, object) in link.res.objects() {
        let mut list = Vec::new();
        while let Some(member) = inputs.next_if(|m| m.file == file) {
            let section = object.section_data(member.index);
            match notes::parse(section, link.arch.properties.merge, word) {
                Ok(mut found) => list.append(&mut found),
                Err(m) => {
                    let site = crate::scan::site(object, member.index, m.offset);
                    errors.push(Error::new(ErrorKind::BadInput, m.text).at(site));
                }
            }
        }
        lists.push((file, list));
    }
    (lists, errors)
}

/// The bits of what all code must have.
fn feature(link: &Link<'_>, list: &[Property]) -> u32 {
    let own = list.iter().find(|p| p.kind == link.arch.properties.feature);
    own.and_then(|p| p.data.first()).map_or(0, |&byte| byte.into())
}

fn clear(list: &mut Vec<Property>, kind: u32, bits: u32) {
    for property in list.iter_mut().filter(|p| p.kind == kind) {
        if let Some(byte) = property.data.first_mut() {
            *byte &= !bits as u8;
        }
    }
    list.retain(|p| p.kind != kind || p.data.iter().any(|&byte| byte != 0));
}

/// Symbols without a definition in any object that some object calls by a convention which lazy binding
/// would spoil, in order.
pub(crate) fn variants(arch: &Arch, res: &Resolution<'_>) -> Vec<SymId> {
    let Some((bit, _)) = arch.variant else { return Vec::new() };
    let objects: Vec<_> = res.objects().map(|o| o.1).collect();
    let of = objects.par_iter().flat_map_iter(|object| {
        let globals = (object.first_global..).zip(&object.globals);
        let marked = move |index| object.symbols.get(index).rest & bit != 0;
        let found =
            globals.filter(move |&(index, id)| !res.defs[id.i()].is_local() && marked(index));
        found.map(|(_, &id)| id)
    });
    let mut list: Vec<SymId> = of.collect();
    list.sort_unstable();
    list.dedup();
    list
}

/// Whether lazy binding would spoil arguments of the function `id`.
pub(crate) fn is_variant(link: &Link<'_>, id: SymId) -> bool {
    let Some((bit, _)) = link.arch.variant else { return false };
    match link.attrs[id.i()] & attr::IMPORT {
        0 => link.res.winner(id).is_some_and(|symbol| symbol.rest & bit != 0),
        _ => link.plan.variants.binary_search(&id).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, Sym as _};
    use object::write::{Object, Symbol, SymbolSection};
    use object::{
        Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
        elf,
    };

    use crate::link_args;
    use crate::robustness::sample::{reloc, symbol};

    /// `f` calls a vector function that is elsewhere.
    fn caller() -> Vec<u8> {
        let mut o = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
        let text = o.add_section(vec![], b".text".to_vec(), SectionKind::Text);
        o.append_section_data(text, &0x9400_0000_u32.to_le_bytes(), 4);
        symbol(&mut o, "f", SymbolKind::Text, Some((text, 0, 4)));
        let import = o.add_symbol(Symbol {
            name: b"vector".to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Text,
            scope: SymbolScope::Unknown,
            weak: false,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::Elf {
                st_info: elf::SymbolInfo(0x10),
                st_other: elf::SymbolOther(0x80),
            },
        });
        reloc(&mut o, text, 0, import, 0, elf::R_AARCH64_CALL26);
        o.write().unwrap()
    }

    /// The machine's own tags, and what `.dynsym` says of `vector` beside its visibility.
    fn said(args: &str) -> (Vec<u64>, u8) {
        let files: crate::MemoryFiles = [("a.o", caller())].into_iter().collect();
        let args: Vec<String> = args.split(' ').map(String::from).collect();
        let (image, _) = link_args(&args, &files).unwrap();
        let file = ElfFile64::<Endianness>::parse(&*image).unwrap();
        let (header, end) = (file.elf_header(), Endianness::Little);
        let sections = header.sections(end, &*image).unwrap();
        let (tags, _) = sections.dynamic(end, &*image).unwrap().unwrap();
        let tags = tags
            .iter()
            .map(|t| t.d_tag(end).0 as u64)
            .filter(|tag| (0x7000_0000..0x7000_1000).contains(tag));
        let table = sections.symbols(end, &*image, elf::SHT_DYNSYM).unwrap();
        let vector = table.iter().find(|s| s.name(end, table.strings()) == Ok(b"vector")).unwrap();
        (tags.collect(), vector.st_other.0 & !3)
    }

    #[test]
    fn the_loader_is_told_of_calls_it_can_t_bind_lazily() {
        assert_eq!(said("-shared a.o"), (vec![0x7000_0005], 0x80));
        let marked = "-shared -z force-bti -z pac-plt a.o";
        assert_eq!(said(marked), (vec![0x7000_0001, 0x7000_0003, 0x7000_0005], 0x80));
    }

    #[test]
    fn inputs_without_marks_are_reported() {
        let files: crate::MemoryFiles = [("a.o", caller())].into_iter().collect();
        let link = |args: &str| {
            let args: Vec<String> = args.split(' ').map(String::from).collect();
            link_args(&args, &files)
        };
        let marks = "a.o: branch targets are not marked";
        for args in ["-z force-bti", "-z bti-report=warning", "-z force-bti -z bti-report=none"] {
            let (_, report) = link(&format!("-shared a.o {args}")).unwrap();
            let none = args.ends_with("none");
            assert_eq!(report.warnings, if none { vec![] } else { vec![marks] }, "{args}");
        }
        assert!(link("-shared a.o -z gcs-report=error").is_err());
        assert!(link("-shared a.o -z gcs=always -z gcs-report=none").is_ok());
    }
}
