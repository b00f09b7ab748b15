//! A section's relocations in file order → each with where its field goes: what the scan, the write and
//! `--emit-relocs` walk. Must not know what becomes of any.

use super::{Object, Reloc, RelocTable};
use crate::init_order::reversed;

/// A walk over the relocations of one section.
pub(crate) struct Walk<'o> {
    relocs: RelocTable<'o>,
    at: usize,
    /// The section's size, if its words are written in reverse.
    turned: Option<u64>,
    word: u64,
}

impl<'o> Walk<'o> {
    /// Of the section at `index`; `word` is the machine's.
    pub(crate) fn new(object: &'o Object<'_>, index: u32, word: u64) -> Self {
        let turned = turned(object, index, word);
        Self { relocs: object.relocs(index), at: 0, turned, word }
    }

    /// The next relocation, and the offset of its field in what is written of the section.
    #[inline]
    pub(crate) fn step(&mut self) -> Option<(Reloc, u64)> {
        let reloc = self.relocs.get(self.at)?;
        self.at += 1;
        let to = match self.turned {
            None => reloc.offset,
            Some(size) => reversed(reloc.offset, size, self.word),
        };
        Some((reloc, to))
    }

    /// Offset and type of the one that [`Walk::step`] is to yield.
    #[inline]
    pub(crate) fn next(&self) -> Option<(u64, u32)> {
        self.relocs.get(self.at).map(|r| (r.offset, r.kind))
    }

    /// Passes over that one if it is `taken`.
    #[inline]
    pub(crate) fn skip(&mut self, taken: bool) {
        self.at += usize::from(taken);
    }
}

/// The size of the section at `index`, if its words are written in reverse.
pub(crate) fn turned(object: &Object<'_>, index: u32, word: u64) -> Option<u64> {
    let size = object.section_size(index);
    (object.is_reversed(index) && size.is_multiple_of(word)).then_some(size)
}

#[cfg(test)]
mod tests {
    use object::{SectionFlags, SectionKind, SymbolKind, elf};

    use crate::robustness::sample::{new, reloc, symbol};
    use crate::{ErrorKind, link_args};

    /// Links a `.ctors` of `size` bytes with one relocation of `data` at `offset`.
    fn ctors(
        size: usize,
        (offset, kind): (u64, elf::RelocationType),
        args: &str,
    ) -> Vec<ErrorKind> {
        let mut o = new();
        let data = o.add_section(vec![], b".data".to_vec(), SectionKind::Data);
        o.append_section_data(data, &[0; 8], 8);
        let v = symbol(&mut o, "v", SymbolKind::Data, Some((data, 0, 8)));
        o.symbol_mut(v).scope = object::SymbolScope::Linkage;
        let list = o.add_section(vec![], b".ctors".to_vec(), SectionKind::Data);
        let (sh_type, sh_flags) = (elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_WRITE);
        o.section_mut(list).flags = SectionFlags::Elf { sh_type, sh_flags };
        o.append_section_data(list, &vec![0; size], 8);
        reloc(&mut o, list, offset, v, 0, kind);
        let files: crate::MemoryFiles = [("a.o", o.write().unwrap())].into_iter().collect();
        let args: Vec<String> = args.split(' ').map(String::from).collect();
        let errors = link_args(&args, &files).err();
        errors.iter().flat_map(|e| e.iter()).map(|e| e.kind()).collect()
    }

    #[test]
    fn words_that_are_reversed_are_relocated_as_wholes() {
        let word = elf::R_X86_64_64;
        for args in
            ["-shared a.o", "-shared -z pack-relative-relocs a.o", "-shared --emit-relocs a.o"]
        {
            assert_eq!(ctors(16, (8, word), args), [], "{args}");
            assert_eq!(ctors(19, (3, word), args), [], "{args}: nothing is reversed");
            for odd in [(3, word), (4, word), (8, elf::R_X86_64_PC32), (13, elf::R_X86_64_8)] {
                let errors = ctors(16, odd, args);
                assert_eq!(errors, [ErrorKind::RelocUnsupported], "{odd:?} {args}");
            }
        }
    }
}
